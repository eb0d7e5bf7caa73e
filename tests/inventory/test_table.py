"""A table to read: text on the left and as text, missing cells empty, and a word where there are no rows."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from test_display import PAYLOADS, Tags

import iamframe
from iamframe.inventory import display


def cells_of(html: str) -> list[str]:
    return re.findall(r"<t[dh][^>]*>([^<]*)</t[dh]>", html)


def test_a_frame_is_shown_without_row_numbers_with_missing_cells_empty_and_times_in_utc() -> None:
    frame = pd.DataFrame(
        {
            "name": ["web", None],
            "rows": pd.array([1234, None], "Int64"),
            "share": [0.5, float("nan")],
            "known": [True, False],
            "at": pd.to_datetime(["2026-11-24T18:40:00+02:00", None]),
        },
        index=[7, 3],
    )
    shown = iamframe.table(frame)
    head = ["name", "rows", "share", "known", "at"]
    first = ["web", "1,234", "0.5", "True", "2026-11-24 16:40:00 UTC"]
    assert cells_of(shown._repr_html_()) == [*head, *first, "", "", "", "False", ""]
    assert repr(shown).splitlines() == [
        "name  rows  share  known  at",
        "web   1234  0.5    True   2026-11-24 16:40:00 UTC",
        "                   False",
    ]


def test_a_row_for_a_file_has_flags_as_words_times_in_iso_form_numbers_and_none() -> None:
    frame = pd.DataFrame(
        {
            "name": pd.Series(["\x1bweb", None], dtype="str"),
            "rows": pd.array([1234, None], "Int64"),
            "share": [0.5, float("nan")],
            "known": [True, False],
            "at": pd.to_datetime(["2026-11-24T18:40:00.9+02:00", None]),
            "mixed": [True, 1],
        }
    )
    assert display.cell_rows(frame) == [
        ("\x1bweb", 1234, 0.5, "True", "2026-11-24T16:40:00Z", "True"),
        (None, None, None, "False", None, "1"),
    ]


def test_what_a_row_is_called_stands_before_it() -> None:
    counts = pd.Series([2, 1], index=pd.Index(["a", "b"], name="maker"), name="links").to_frame()
    assert cells_of(iamframe.table(counts)._repr_html_()) == ["maker", "links", "a", "2", "b", "1"]
    assert repr(iamframe.table(counts["links"])) == repr(iamframe.table(counts))
    turned = pd.DataFrame({"x": [1], "y": ["z"]}).T.rename(columns=lambda _: "")
    assert cells_of(iamframe.table(turned)._repr_html_()) == ["", "", "x", "1", "y", "z"]
    two = pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("roles", "of")]), index=[4])
    assert cells_of(iamframe.table(two)._repr_html_()) == ["roles of", "1"]


@pytest.mark.parametrize("frame", [pd.DataFrame(columns=["a", "b"]), pd.DataFrame({"a": [1], "b": [2]}).iloc[:0]])
def test_a_frame_without_rows_says_so(frame: pd.DataFrame) -> None:
    assert cells_of(iamframe.table(frame)._repr_html_()) == ["a", "b", "none in the collected data"]
    assert repr(iamframe.table(frame)) == "none in the collected data"


def test_rows_that_are_too_many_are_counted() -> None:
    frame = pd.DataFrame({"a": range(1_103)})
    shown = iamframe.table(frame, rows=2)
    assert cells_of(shown._repr_html_()) == ["a", "0", "1"]
    assert "and 1,101 more rows" in shown._repr_html_()
    assert repr(shown) == "a\n0\n1\nand 1,101 more rows"
    assert "more" not in repr(iamframe.table(frame.head(100)))


def test_a_frame_with_rows_of_which_none_is_shown_does_not_say_that_there_are_none() -> None:
    shown = iamframe.table(pd.DataFrame({"a": [1, 2]}), rows=0)
    assert repr(shown) == "a\nand 2 more rows"
    assert display.NO_ROWS not in shown._repr_html_()


def test_whatever_stands_in_a_name_a_head_or_a_cell_is_text() -> None:
    frame = pd.DataFrame([[one] for one in PAYLOADS], columns=[PAYLOADS[0]], index=pd.Index(PAYLOADS, name=PAYLOADS[1]))
    shown = iamframe.table(frame)
    told = Tags(shown._repr_html_())
    assert told.elements == {"table", "thead", "tbody", "tr", "th", "td"}
    assert {one for one in PAYLOADS if one.isprintable()} <= set(told.texts)
    assert "\u202eright [\\u202eright]" in told.texts
    told_already = pd.DataFrame({"detail": ["differ: \u039fwner [\\u039fwner] (2)"]})
    assert cells_of(iamframe.table(told_already)._repr_html_())[1] == "differ: \u039fwner [\\u039fwner] (2)"
    alone = pd.DataFrame({"detail": ["\u039fwner is not [\\u0430]"]})
    assert cells_of(iamframe.table(alone)._repr_html_())[1].endswith(" [\\u039fwner is not [\\u0430]]")
    assert "\\x1b[31m" in repr(iamframe.table(pd.DataFrame({"a": ["\x1b[31m"]})))
    assert len(repr(iamframe.table(pd.DataFrame({"a": ["one\ntwo"]}))).splitlines()) == 2
