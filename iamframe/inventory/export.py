"""Write DataFrames as CSV or JSON, and move finished files into a folder.

CSV files for spreadsheets begin with a byte order mark, so that they are read as UTF-8, and have lines that end in CR
LF. CSV for programs (`csv_bytes`) has no byte order mark. Its lines end in LF. All cells are quoted, so a lone CR in
a description stays inside its cell.

In CSV files for spreadsheets, iamframe puts an apostrophe before text that could be read as a formula. Source: OWASP,
"CSV Injection". A spreadsheet may treat a value as a formula because of its first character. Spreadsheets drop control
characters. Text after a control character can therefore become a formula, too. Text after a line break, tab or
semicolon can become a formula, too, because some spreadsheets begin a new cell there.
"""

from __future__ import annotations

import codecs
import errno
import io
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from iamframe.errors import ReportError
from iamframe.inventory.display import as_text
from iamframe.inventory.snapshot import is_snapshot

_BEFORE = "^|[\x00-\x1f\x7f-\x9f\u2028\u2029;]"
# Spreadsheets can drop spaces before a formula. Unicode has these spaces (category Zs). Text with apostrophes before a
# formula is guarded too, so `unguarded` can always remove one.
_FORMULA = "[' \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]*[=+\\-@|%＝＋－＠｜％]"
# Characters that JSON allows and a terminal obeys: C1, line separators, and changes of the writing direction.
_OBEYED = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def _guarded(texts: pa.Array) -> pa.Array:
    place = f"({_BEFORE})({_FORMULA})"
    # Searching takes a third of the time of replacing, and few columns have a formula.
    found = pc.any(pc.match_substring_regex(texts, place)).as_py()
    return pc.replace_substring_regex(texts, place, r"\1'\2") if found else texts


def unguarded(text: str) -> str:
    return re.sub(f"({_BEFORE})'({_FORMULA})", r"\1\2", text)


def _write(frame: pd.DataFrame, file: BinaryIO, eol: str, *, header: bool = True) -> None:
    # A number, a flag or a time is never a formula, not even -1.
    cells = [as_text(c) if c.dtype.kind in "iufbM" else _guarded(as_text(c)) for _, c in frame.items()]
    names = _guarded(pa.array(frame.columns, pa.string())).to_pylist()
    # Arrow writes a missing value without quotes.
    table = pa.table([texts.fill_null("") for texts in cells], names)
    csv.write_csv(table, file, csv.WriteOptions(include_header=header, eol=eol, quoting_style="all_valid"))


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    with path.open("wb") as file:
        file.write(codecs.BOM_UTF8)
        _write(frame, file, "\r\n")


def append_csv(frame: pd.DataFrame, path: Path) -> None:
    with path.open("ab") as file:
        _write(frame, file, "\r\n", header=False)


def csv_bytes(frame: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    _write(frame, file, "\n")
    return file.getvalue()


def json_rows(frame: pd.DataFrame) -> str:
    text = frame.to_json(orient="records", indent=2, force_ascii=False, date_format="iso", date_unit="s")
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def write_into(folder: Path, write: Callable[[Path], None], going: Iterable[str] = ()) -> None:
    if is_snapshot(folder):
        raise ReportError(f"{folder}: holds a snapshot, which other files would spoil; choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".report-", dir=folder))
    except OSError as error:
        is_file = isinstance(error, FileExistsError)
        why = "is a file, not a folder" if is_file else f"cannot be written to ({error.strerror})"
        raise ReportError(f"{folder}: {why}; choose another folder with --out") from error
    except ValueError as error:
        raise ReportError(f"{str(folder)!r}: is not a folder name ({error}); name another with --out") from error
    try:
        write(aside)
        move_in(aside, folder, going)
    except OSError as error:
        raise ReportError(
            f"{folder}: could not be written ({error.strerror}); the files there are unchanged"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def move_in(aside: Path, folder: Path, going: Iterable[str] = ()) -> None:
    """If a file cannot be moved, the old files in the folder `folder` are restored."""
    files = sorted(path.relative_to(aside) for path in aside.rglob("*") if path.is_file())
    old = Path(tempfile.mkdtemp(dir=aside))
    moved: list[Path] = []
    made: list[Path] = []
    try:
        for file in files:
            place = folder / file
            if place.is_dir():
                raise IsADirectoryError(errno.EISDIR, f"{file} is a folder there", str(place))
            (old / file).parent.mkdir(parents=True, exist_ok=True)
            if not place.parent.is_dir():
                place.parent.mkdir()
                made.append(place.parent)
            if place.exists():
                shutil.copy2(place, old / file)
            (aside / file).replace(place)
            moved.append(file)
        for file in (path for path in map(Path, going) if path not in files):
            if (folder / file).is_file() or (folder / file).is_symlink():
                (old / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).replace(old / file)
                moved.append(file)
    except OSError:
        for file in moved:
            _put_back(old / file, folder / file)
        for place in made:
            place.rmdir()
        raise


def _put_back(kept: Path, place: Path) -> None:
    if kept.exists() or kept.is_symlink():
        kept.replace(place)
    else:
        place.unlink()
