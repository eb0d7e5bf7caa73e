"""Texts are filled with facts: counted, listed, cut at three, in two languages, a column at a time."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from iamframe.checks import CHECKS
from iamframe.knowledge.surfaces import known_facts
from iamframe.messages import render
from iamframe.messages.render import LANGUAGES, changed_facts, fill, render_facts, say, text_of

FACTS: dict[str, list[Any]] = {
    "name": ["a", "b", "c", "d", "e"],
    "kind": ["gone", "new", "gone", "gone", None],
    "count_of": [1, 1_000, 2, 0, None],
    "value": ["x", "", "y", "", None],
}


def column(name: str) -> pa.Array:
    return pa.array(FACTS[name])


def told(text: render.Text, group: list[int], lang: str = "en") -> list[str]:
    return render_facts(text, column, np.array(group), max(group) + 1, lang).to_pylist()


def test_each_row_that_is_a_finding_of_its_own_gets_its_own_sentence() -> None:
    assert told("{name} has {count_of:tag}", [0, 1, 2, 3, 4]) == [
        "a has 1 tag", "b has 1,000 tags", "c has 2 tags", "d has 0 tags", "e has ",
    ]  # fmt: skip


def test_sentences_of_one_finding_are_joined_and_cut_behind_three() -> None:
    said = told("{name} is there", [0, 0, 0, 0, 1])
    assert said == ["a is there; b is there; c is there; and 1 more", "e is there"]
    assert told("{name}", [0, 0, 0, 0, 0]) == ["a; b; c; and 2 more"]


def test_a_list_is_joined_within_its_sentence_and_cut_behind_three() -> None:
    assert told("{count} of {kind}: [{name}]!", [0, 0, 0, 0, 1]) == ["4 of gone: a, b, c and 1 more!", "1 of : e!"]


def test_a_fact_chooses_among_texts_and_one_that_has_none_takes_the_other() -> None:
    texts = {"by": "kind", "gone": "{name} went", "other": "{name}?"}
    assert told(texts, [0, 1, 2, 3, 4]) == ["a went", "b?", "c went", "d went", "e?"]


def test_a_value_is_in_quotes_and_an_empty_one_is_called_empty_in_the_readers_language() -> None:
    assert told("is {value:value}", [0, 1, 2, 3, 4])[:3] == ["is 'x'", "is empty", "is 'y'"]
    assert told("{value:value}", [0, 1, 2, 3, 4], "ja")[1] == "空"


def test_no_rows_give_no_sentences() -> None:
    nothing = np.array([], dtype=np.int64)
    for text in ("{name}", "[{name}]", {"by": "kind", "other": "{name}"}):
        assert render_facts(text, lambda _: pa.array([], pa.string()), nothing, 0).to_pylist() == []


@pytest.mark.parametrize(
    ("text", "facts", "expected"),
    [
        ("{n} things", {"n": 1234}, "1,234 things"),
        ("{total:profile}", {"total": 1}, "1 profile"),
        ({"one": "{count} is", "other": "{count} are"}, {"count": 1}, "1 is"),
        ({"one": "{count} is", "other": "{count} are"}, {"count": 2}, "2 are"),
        ("in {regions}", {"regions": ["a", "b", "c", "d", "e"]}, "in a, b, c and 2 more"),
        ("{more}", {"more": {"message": "list.more", "n": 5}}, " and 5 more"),
        ("in {regions:separator}", {"regions": ["a", "b", "c", "d", "e"]}, "in a, b, c, d, e"),
        (
            "{all}",
            {"all": [{"message": "list.more", "n": n} for n in (1, 2, 3, 4)]},
            " and 1 more;  and 2 more;  and 3 more;  and 4 more",
        ),
        ("<{limit:message}>", {"limit": '{"message":"list.more","n":5}'}, "< and 5 more>"),
        ("<{missing:message}>", {"missing": None}, "<>"),
        ("<{missing}>", {"missing": None}, "<>"),
        ("asked{region:in}", {"region": "eu-west-1"}, "asked in eu-west-1"),
        ("asked{region:in}", {"region": None}, "asked"),
        ("{kind:words}", {"kind": "no-value"}, "a value that is not JSON"),
        ("{ids:separator}", {"ids": ["a", "b", "c", "d", "e"]}, "a, b, c, d, e"),
        ("{ways:or}", {"ways": ["a", "b"]}, "a or b"),
        ("{more:between}", {"more": [{"message": "list.more", "n": n} for n in (5, 6)]}, " and 5 more;  and 6 more"),
        ({"by": "live", "True": "asked", "other": "read"}, {"live": True}, "asked"),
        ({"by": "live", "True": "asked", "other": "read"}, {"live": False}, "read"),
        ("{name}", {"name": "{total:profile}"}, "{total:profile}"),
    ],
)
def test_one_sentence_is_filled_from_values(text: render.Text, facts: dict[str, Any], expected: str) -> None:
    assert fill(text, facts) == expected


def test_a_column_of_ids_and_facts_is_rendered_in_either_language() -> None:
    ids, facts = pa.array(["list.more", "", "list.more"]), pa.array(['{"n":1}', "{}", '{"n":20}'])
    assert render.render(ids, facts).to_pylist() == [" and 1 more", "", " and 20 more"]
    assert render.render(ids, facts, "ja").to_pylist() == [" ほか 1 件", "", " ほか 20 件"]


def test_each_text_in_facts_is_changed_and_no_number_name_or_id_of_a_message() -> None:
    facts = '{"a":"a","n":1,"none":null,"list":["a",{"message":"list.more","n":"b"}]}'
    changed = '{"a":"A","n":1,"none":null,"list":["A",{"message":"list.more","n":"B"}]}'
    assert changed_facts(facts, str.upper) == changed


def test_a_fact_is_kept_only_where_it_selects_a_text() -> None:
    facts = '{"why":"denied","parts":[{"message":"gaps.account.failed","why":"account=1/part.parquet"}]}'
    changed = '{"why":"denied","parts":[{"message":"gaps.account.failed","why":"ACCOUNT=1/PART.PARQUET"}]}'
    assert changed_facts(facts, str.upper) == changed


def test_several_messages_are_one_that_has_each_once() -> None:
    one, two = {"message": "list.more", "n": 1}, {"message": "list.more", "n": 2}
    assert render.joint([None, one, two, dict(one)]) == {"message": "list.messages", "messages": [one, two]}
    assert render.joint([render.joint([one, two]), two]) == {"message": "list.messages", "messages": [one, two]}
    assert render.joint([one, None, one]) == one
    assert render.joint([None]) is None


def test_messages_become_columns_of_ids_and_facts() -> None:
    ids, facts = render.columns_of([{"message": "list.more", "n": 1}, None])
    assert (ids.to_pylist(), facts.to_pylist()) == (["list.more", ""], ['{"n":1}', "{}"])


def test_a_message_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        say("no.such")


def test_what_japanese_lacks_is_said_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogues: dict[str, dict[str, render.Text]] = {"en": {"a": "an {x}"}, "ja": {}}
    monkeypatch.setattr(render, "_catalogue", catalogues.__getitem__)
    assert say("a", "ja", x=1) == "an 1"
    assert text_of("b", "ja", default="own") == "own"


def places(text: render.Text) -> set[str]:
    parts = [text] if isinstance(text, str) else [part for key, part in text.items() if key != "by"]
    return {place for part in parts for place in re.findall(r"\{(\w+)", part)}


def test_japanese_has_each_text_with_places_that_the_english_one_has() -> None:
    """A check may be added without its Japanese: this test then tells what is said in English on a Japanese page."""
    english, japanese = (render._catalogue(lang) for lang in LANGUAGES)
    for what in ("title", "why", "detail", "remediation"):
        english = english | {f"checks.{name}.{what}": getattr(check, what) for name, check in CHECKS.items()}
    # An English word without a text is shown as it is.
    english |= {one: "" for one in japanese if one.startswith("page.words.")}
    english |= {f"surfaces.{fact.condition_id}": fact.condition for fact in known_facts() if fact.condition}
    missing = sorted(set(english) - set(japanese))
    assert set(japanese) - set(english) == set()
    assert [key for key in missing if not key.startswith("checks.")] == []
    assert {
        key: places(text) - places(english[key])
        for key, text in japanese.items()
        if places(text) - places(english[key])
    } == {}
    if missing:
        pytest.xfail(f"said in English on a Japanese page: {', '.join(missing)}")
