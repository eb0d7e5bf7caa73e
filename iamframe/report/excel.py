"""Write the result of the checks as an Excel workbook."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import pyarrow.compute as pc

from iamframe.checks.registry import STATUSES
from iamframe.checks.result import Result, counts_by_check
from iamframe.errors import optional
from iamframe.inventory import schema
from iamframe.inventory.arrow import as_arrow
from iamframe.inventory.display import cell_rows
from iamframe.messages.render import say
from iamframe.messages.text import pluralize
from iamframe.report.translate import without_folder
from iamframe.version import __version__

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

# "Excel specifications and limits", Microsoft: rows of a sheet, including the heading, characters of a cell, and
# characters of a sheet's name.
MAX_SHEET_ROWS = 1_048_576
MAX_CHARACTERS = 32_767
MAX_NAME = 31
_CHUNK = 10_000
_WIDEST = 48
# A longer text would make its row as high as the window.
_WRAPPED = 400
_OVERVIEW = ("sheet", "what it holds", "rows", *(f"{status} in accounts" for status in STATUSES), "note")


class Formats(NamedTuple):
    head: Format
    text: Format
    wrapped: Format
    number: Format


class Sheet(NamedTuple):
    name: str
    title: str
    frame: pd.DataFrame
    # The CSV file with all rows of the sheet.
    file: str
    statuses: list[int]
    note: str


def write_workbook(
    result: Result,
    path: Path,
    owners: pd.DataFrame,
    title: str | None = None,
    author: str | None = None,
    *,
    is_masked: bool = False,
) -> None:
    """Write a result as an Excel workbook.

    Text cells stay text, even after an edit: account ids keep their leading zeros, and nothing becomes a formula or a
    link. A sheet holds at most 1,048,575 rows below its heading, and a cell at most 32,767 characters. The sheet
    `overview` says in which sheets rows are left out or texts are shortened. Times are text, in UTC and in ISO form.
    Flags are text, because LibreOffice would turn a Boolean into a formula. The same result always produces the same
    bytes.

    Raises
    ------
    MissingExtraError
        If XlsxWriter is not installed.
    OSError
        If the file cannot be written.
    """
    require_xlsxwriter()
    from xlsxwriter import Workbook
    from xlsxwriter.exceptions import FileCreateError

    book = Workbook(path, {"constant_memory": True, "tmpdir": str(path.parent), "use_zip64": True})
    book.set_properties(_properties(result, title, author))
    formats = Formats(
        book.add_format({"bold": True, "valign": "top"}),
        book.add_format({"num_format": "@", "valign": "top"}),
        book.add_format({"num_format": "@", "valign": "top", "text_wrap": True}),
        book.add_format({"valign": "top"}),
    )
    overview = book.add_worksheet("overview")
    rows = []
    for sheet in _sheets(result, owners):
        notes = [sheet.note, *_write(book.add_worksheet(sheet.name), sheet, formats)]
        rows.append((sheet.name, sheet.title, len(sheet.frame), *sheet.statuses, "; ".join(filter(None, notes))))
    _write_overview(overview, _said(result, title, author, is_masked), rows, formats)
    try:
        book.close()
    except FileCreateError as error:
        # XlsxWriter's error wraps the system's error.
        raise error.args[0] from error


def require_xlsxwriter() -> None:
    """Raise MissingExtraError if XlsxWriter is not installed."""
    optional("xlsxwriter", "excel")


def _properties(result: Result, title: str | None, author: str | None) -> dict[str, Any]:
    captured = result.inventory.accounts["captured_at"].max()
    # By default, the file contains the time when it was written, and the same result would give different bytes.
    made = pd.Timestamp("1980-01-01") if pd.isna(captured) else captured
    return {
        "title": title or "IAM roles and instance profiles",
        "author": author or "",
        "created": made.to_pydatetime().replace(tzinfo=None, microsecond=0),
    }


def _sheets(result: Result, owners: pd.DataFrame) -> Iterator[Sheet]:
    statuses = counts_by_check(result.coverage, "status", result.checks, STATUSES).to_dict("index")
    names, findings = _names(result.checks), result.findings
    for name in result.checks:
        found = findings[findings["check"] == name]
        counts = [*statuses[name].values()]
        note = ""
        if not len(result.inventory.accounts):
            note = f"unknown: {say('coverage.no_account')}"
        elif counts[2] == len(result.inventory.accounts) and not len(found):
            note = "not checked; see coverage"
        elif sum(counts[1:]):
            note = "there may be more" if len(found) else "none found in the collected data"
            note += "; see coverage for what was not collected"
        elif not len(found):
            note = "none"
        yield Sheet(names[name], result.checks[name].title, found, "findings.csv", counts, note)
    frames = result.inventory.frames_read
    empty = "no rows; see gaps for what was not collected" if len(frames["gaps"]) else "no rows"
    yield Sheet("coverage", f"one row per {schema.COVERAGE.row}", result.coverage, "coverage.csv", [], "")
    yield Sheet("owners", f"one row per {schema.FINDINGS_BY_OWNER.row}", owners, "owners.csv", [], "")
    for name, rows in frames.items():
        said = f"one row per {schema.FRAMES[name].row}"
        yield Sheet(name, said, rows, f"{name}.csv", [], "" if len(rows) else empty)


def _names(checks: Iterable[str]) -> dict[str, str]:
    # A user's check may have a longer name, or the name of another sheet. Excel reserves `history`.
    taken, names = {"overview", "history", "coverage", "owners", *schema.FRAMES}, {}
    for check in checks:
        ends = itertools.chain([""], (f"_{number}" for number in itertools.count(2)))
        tried = (check[: MAX_NAME - len(end)] + end for end in ends)
        names[check] = next(name for name in tried if name.lower() not in taken)
        taken.add(names[check].lower())
    return names


def _write(sheet: Worksheet, table: Sheet, formats: Formats) -> list[str]:
    columns = list(table.frame.columns)
    frame = table.frame.head(MAX_SHEET_ROWS - 1)
    is_number = [frame[name].dtype.kind in "iuf" for name in columns]
    for place, name in enumerate(columns):
        longest = pc.max(pc.utf8_length(as_arrow(frame[name]))).as_py() or 0 if frame[name].dtype == "str" else 20
        text = formats.wrapped if _WIDEST < longest <= _WRAPPED else formats.text
        width = min(max(longest, len(name) + 3), _WIDEST)
        sheet.set_column(place, place, width, formats.number if is_number[place] else text)
        sheet.write_string(0, place, name, formats.head)
    sheet.freeze_panes(1, 0)
    _for_paper(sheet)
    sheet.repeat_rows(0)
    if table.note and not len(frame):
        # The note is a comment and not a row, because programs that read the sheet as a table would find the row.
        sheet.write_comment(0, 0, table.note, {"visible": True, "x_offset": 12, "y_offset": 32, "width": 320})
    if len(frame):
        sheet.autofilter(0, 0, len(frame), len(columns) - 1)
        sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{len(frame) + 1}"})
    writers: list[Callable[..., int]] = [sheet.write_number if number else sheet.write_string for number in is_number]
    cut = 0
    for start in range(0, len(frame), _CHUNK):
        for row, cells in enumerate(cell_rows(frame.iloc[start : start + _CHUNK]), start + 1):
            for place, cell in enumerate(cells):
                if cell is not None:
                    # XlsxWriter returns -2 if the text was too long.
                    cut += writers[place](row, place, cell) == -2
    said = []
    if len(frame) < len(table.frame):
        said.append(f"the first {len(frame):,} of {len(table.frame):,} rows; all are in {table.file}")
    if cut:
        said.append(f"{pluralize(cut, 'cell')} cut at {MAX_CHARACTERS:,} characters; whole in {table.file}")
    return said


def _for_paper(sheet: Worksheet) -> None:
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.5)


def _said(result: Result, title: str | None, author: str | None, is_masked: bool) -> list[str]:
    sources = map(without_folder, result.inventory.sources)
    return [
        *(["This is the fictional sample. No account in this workbook exists."] if result.inventory.is_sample else []),
        title or "IAM roles and instance profiles",
        *([f"By {author}."] if author else []),
        f"Made by iamframe {__version__} from {', '.join(sources) or 'an inventory'}.",
        *([say("report.masked")] if is_masked else []),
        "A check without findings says that there is none only where it is complete in every account.",
    ]


def _write_overview(sheet: Worksheet, said: list[str], rows: list[tuple[Any, ...]], formats: Formats) -> None:
    for place, width in enumerate((28, 68, 8, 20, 19, 20, 50)):
        sheet.set_column(place, place, width, formats.number if 2 <= place <= 5 else formats.wrapped)
    _for_paper(sheet)
    for row, sentence in enumerate(said):
        sheet.write_string(row, 0, sentence, formats.text if row else formats.head)
    top = len(said) + 1
    for place, name in enumerate(_OVERVIEW):
        sheet.write_string(top, place, name, formats.head)
    for row, (name, title, count, *statuses, note) in enumerate(rows, top + 1):
        # Sheet names are names of checks and frames, and have no quotes.
        sheet.write_url(row, 0, f"internal:'{name}'!A1", string=name, tip=f"to the sheet {name}")
        for place, word in ((1, title), (6, note)):
            if word:
                sheet.write_string(row, place, word)
        for place, number in enumerate((count, *statuses), 2):
            sheet.write_number(row, place, number)
