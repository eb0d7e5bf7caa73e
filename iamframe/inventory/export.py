"""CSV for people, which a spreadsheet opens safely and which reads back unchanged; files that are replaced together.

Every cell is quoted, lines end in CR LF, and the file begins with a byte order mark: a lone CR in a description stays
inside its cell, and letters survive. A cell that a spreadsheet would run as a formula gets an apostrophe in front;
reading the file back takes one apostrophe off (OWASP, "CSV Injection").
"""

from __future__ import annotations

import csv
import errno
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc

from iamframe.errors import ReportError
from iamframe.inventory.arrow import as_arrow, concat

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
# Text with apostrophes before a trigger is guarded too, so that taking one off is always right.
_TRIGGERS = re.compile("^'*[=+\\-@\t\r\n|%＝＋－＠]")


def guarded(values: pd.Series) -> pd.Series:
    """Return text values with an apostrophe before each that a spreadsheet would run as a formula."""
    array = as_arrow(values)
    trigger = pc.fill_null(pc.match_substring_regex(array, _TRIGGERS.pattern), False)
    if not pc.any(trigger).as_py():
        return values
    return pd.Series(pc.if_else(trigger, concat("'", array), array).to_pandas(), dtype="str").set_axis(values.index)


def unguarded(text: str) -> str:
    """Return the text of a cell before it was guarded."""
    return text[1:] if text.startswith("'") and _TRIGGERS.match(text) else text


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame for people: guarded, quoted, UTF-8 with a byte order mark.

    Times are in ISO form, flags True and False, missing values empty.
    """
    names = guarded(pd.Series(frame.columns, dtype="str"))
    columns = [guarded(frame[name]) if frame[name].dtype == "str" else frame[name] for name in frame.columns]
    pd.concat(columns, axis=1, keys=names).to_csv(
        path,
        index=False,
        quoting=csv.QUOTE_ALL,
        lineterminator="\r\n",
        encoding="utf-8-sig",
        date_format=TIME_FORMAT,
    )


def write_into(folder: Path, write: Callable[[Path], None], going: Iterable[str] = ()) -> None:
    """Write files to a temporary folder, then move all of them into a folder and the files `going` out of it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".report-", dir=folder))
    except OSError as error:
        raise ReportError(
            f"{folder}: cannot be written to ({error.strerror}); name another folder with --out"
        ) from error
    except ValueError as error:
        raise ReportError(f"{str(folder)!r}: is no name of a folder ({error}); name another with --out") from error
    try:
        write(aside)
        move_in(aside, folder, going)
    except OSError as error:
        raise ReportError(
            f"{folder}: could not be written ({error.strerror}); the files there are as they were"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def move_in(aside: Path, folder: Path, going: Iterable[str] = ()) -> None:
    """Move finished files into a folder and the files `going` out of it; if one cannot be moved, restore the folder."""
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
        for file in map(Path, going):
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
