"""Write a result to files: HTML, CSV, JSON and Excel."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from shutil import copyfileobj
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from iamframe.analysis.compare import Changes
from iamframe.analysis.drift import Drift
from iamframe.analysis.owners import findings_by_owner, joined_owners, quota_use
from iamframe.checks.result import Result
from iamframe.errors import ReportError, require
from iamframe.inventory.arrow import as_arrow
from iamframe.inventory.export import append_csv, write_csv, write_into
from iamframe.inventory.places import local_path
from iamframe.inventory.schema import FINDINGS, FINDINGS_BY_OWNER, FRAMES
from iamframe.messages.render import LANGUAGES
from iamframe.messages.text import SEVERITIES
from iamframe.report.numbers import Numbers
from iamframe.report.page import render_findings, render_page

_CHANGES = ("changes", "changed_findings", "not_compared")
# Files of a report whose names other files may have, too.
_COMMON_NAMES = [f"{name}.csv" for name in (*FRAMES, "findings", "coverage", "owners", "drift")]
_COMMON_NAMES += ["report.html", "report.xlsx"]
# The beginning of an ARN, before its account: partition, service and region.
_HEAD = "(?s)^((?:[^:]*:){4}).*"
# Findings without an ARN come last, so their sort key comes after all beginnings of ARNs.
_NO_ARN = "~"

_TEXT = ((str, type(None)), "a text")
# For each argument of `write_report`, its types, and what to pass instead of another type.
_TAKEN: dict[str, tuple[tuple[type, ...], str]] = {
    "out": ((str, os.PathLike), "the path of a folder"),
    "title": _TEXT,
    "author": _TEXT,
    "changes": ((Changes, type(None)), "what `iamframe.compare` gives"),
    "lang": ((str,), "a language, such as `en`"),
    "owner_tag": ((str,), "the key of a tag"),
    "xlsx": ((bool,), "True or False"),
    "mask": ((bool, str, os.PathLike, type(None)), "True, False or the path of a key file"),
    "drift": ((Drift, type(None)), "what `iamframe.drift` gives"),
}


def write_report(
    result: Result,
    out: str | os.PathLike[str],
    title: str | None = None,
    author: str | None = None,
    changes: Changes | None = None,
    *,
    lang: str = "en",
    owner_tag: str | None = None,
    xlsx: bool = False,
    mask: bool | str | os.PathLike[str] = False,
    drift: Drift | None = None,
) -> Path:
    """Write a report into a folder, and return the path of the page.

    The page is `report.html`. The file `summary.json` contains the totals of the result. `findings.csv` and
    `coverage.csv` contain the frames `findings` and `coverage`. `owners.csv` contains the result of
    `iamframe.findings_by_owner`, and `quota_use.csv` the result of `iamframe.quota_use`. Each check that ran has a
    file `checks/CHECK.csv`. The file of a check has the same rows as `result["CHECK"]`. The frames of the inventory
    have CSV files, such as `roles.csv`. `events.csv`, `resource_owners.csv` and `tag_policies.csv` are written only if
    their data was collected.

    A result of `check_snapshot` need not fit into memory: iamframe writes the result in parts, one group of accounts at
    a time. So `checks/CHECK.csv` and `tags.csv` are sorted by group of accounts first. The rows of `findings.csv`
    without an ARN are sorted in the same way. With `mask` or `xlsx`, the whole result is in memory.

    If the report cannot be written, an older report stays as it was. A new report replaces or removes all files that an
    older report or `iamframe diff --out` wrote into the folder. Other files in the folder are kept. If a folder has
    files that are named like those of a report, such as `accounts.csv`, but no `summary.json`, iamframe writes nothing.
    Title and author are at the top of the page.

    If you pass `changes` or `drift`, the page also shows the changes, or the differences from Terraform. The file
    `summary.json` contains the numbers of changes and differences. The changes are also written to `changes.csv`,
    `changed_findings.csv` and `not_compared.csv`. The differences from Terraform are also written to `drift.csv`.

    Parameters
    ----------
    lang
        Language of the page: `en` or `ja`. Suggested commands, their comments and the CSV files are always in English.
    owner_tag
        Key of the owner tag. The default is `result.owner_tag`. A key that differs only in case, spaces or
        separators, such as `OWNER`, counts, too.
    xlsx
        Whether to also write the Excel workbook `report.xlsx`. The workbook has an overview, the frame `coverage`, and
        the findings by owner. Each check and each frame has a sheet. The workbook needs the extra `excel`.
    mask
        Whether pseudonyms replace account ids, unique ids, external ids and e-mail addresses in every file. Pseudonyms
        also replace ids of AWS Organizations, account names, and the sources that were loaded (such as paths). A
        pseudonym is the same throughout one report. To get the same pseudonyms in several reports, pass the path of a
        key file as `mask`. Otherwise, each report has pseudonyms of its own. The key file is created if it does not
        exist. Percent-encoded ids are found, too. Ids in digits of other writing systems, or in full-width letters, are
        found, too. An id with spaces, hyphens or invisible characters in it is masked if the report also has the id
        without them. An account id that has lost its leading zeros is replaced only in id columns, ARNs and policies.
        External ids are replaced only as whole words. If a name contains an id, the rest of the name is not masked. A
        command in `next_step` becomes a comment if the command contains a pseudonym. At the end, the finished files are
        searched for the original ids. The search does not look for external ids that have fewer than eight characters
        or no digit.

    Raises
    ------
    ReportError
        If the folder cannot be created or written, if files in the folder have the names of report files, but are not
        from a report, if the language does not exist, if `owner_tag` is empty, if the key file is invalid, if the key
        file is in the folder, or if a masked file would still contain an original id or e-mail address.
    MissingExtraError
        If `xlsx` is true and XlsxWriter is not installed.
    """
    given: dict[str, Any] = {"lang": lang, "owner_tag": owner_tag, "xlsx": xlsx, "mask": mask, "drift": drift}
    return write_shown(result, out, title, author, changes, **given)[0]


def write_shown(
    result: Result,
    out: str | os.PathLike[str],
    title: str | None,
    author: str | None,
    changes: Changes | None,
    *,
    lang: str,
    owner_tag: str | None,
    xlsx: bool,
    mask: bool | str | os.PathLike[str],
    drift: Drift | None = None,
) -> tuple[Path, Result]:
    """Write a report. Return the path of the page, and the result that the page shows.

    If the report is masked, the returned result contains pseudonyms instead of ids.
    """
    require("write_report", result, Result, instead="what `iamframe.run_checks` gives")
    owner_tag = result.owner_tag if owner_tag is None else owner_tag
    given = {"out": out, "title": title, "author": author, "changes": changes, "lang": lang, "owner_tag": owner_tag}
    _refuse({**given, "xlsx": xlsx, "mask": mask, "drift": drift})
    folder = Path(out)
    # Title and author may have bytes that the terminal could not decode, and that no file accepts.
    title, author = (text and text.encode("utf-8", "replace").decode() for text in (title, author))
    pseudonyms = None
    # An empty path, such as an unset variable, still asks for masking.
    if mask not in (False, None):
        from iamframe.report.mask import mask_for, masked, search

        pseudonyms = mask_for(mask, folder)
        said = (title, author, owner_tag)
        result, changes, drift, (title, author, key) = masked(result, changes, pseudonyms, *said, drift=drift)
        owner_tag = key or owner_tag
    # Files of an older report to remove, unless the new report writes them, too.
    removed = [f"{name}.csv" for name in (*FRAMES, *_CHANGES, "drift", *_check_tables_in(folder))] + ["report.xlsx"]

    def write(aside: Path) -> None:
        is_masked = pseudonyms is not None
        # A masked result is written as a whole, because its parts would not be masked.
        numbers, owners = _write_parts([result] if is_masked else result.parts(), aside, owner_tag, lang)
        page = render_page(result, title, author, changes, lang=lang, is_masked=is_masked, drift=drift, numbers=numbers)
        # The name of a policy file may have bytes that the terminal could not decode.
        (aside / "report.html").write_text(page, encoding="utf-8", errors="replace", newline="\n")
        _write_summary(numbers.summary | {"masked": is_masked}, aside, changes, drift)
        if xlsx:
            from iamframe.report.excel import write_workbook

            whole = _with_owner_tag(result, owner_tag)
            write_workbook(whole, aside / "report.xlsx", owners, title, author, is_masked=is_masked)
        if pseudonyms:
            search(aside, folder, pseudonyms, removed)

    write_into(folder, write, removed)
    return folder / "report.html", result


def _refuse(given: dict[str, Any]) -> None:
    for name, value in given.items():
        kinds, instead = _TAKEN[name]
        require(f"write_report(…, {name}=…)", value, *kinds, instead=instead)
    out, lang, owner_tag = given["out"], given["lang"], given["owner_tag"]
    if lang not in LANGUAGES:
        raise ReportError(f"lang={lang!r}: the page is not written in that language; there are {', '.join(LANGUAGES)}")
    if not os.fspath(out):
        raise ReportError("out is empty; give a folder for the report")
    if not owner_tag.strip():
        raise ReportError(f"owner_tag={owner_tag!r}: is the key of no tag; name the one whose values are owners")
    refuse_other_files(local_path("write_report", out))
    if given["xlsx"]:
        from iamframe.report.excel import require_xlsxwriter

        require_xlsxwriter()


def refuse_other_files(folder: Path) -> None:
    # A folder that cannot be read raises an error when it is written.
    with suppress(OSError, ValueError):
        there = [name for name in _COMMON_NAMES if (folder / name).exists()]
        if there and not (folder / "summary.json").exists():
            raise ReportError(
                f"{folder}: has no report, but a file {there[0]}, which a report would replace or remove; choose "
                "another folder with --out"
            )


def _write_parts(parts: Iterable[Result], folder: Path, owner_tag: str, lang: str) -> tuple[Numbers, pd.DataFrame]:
    tables = _Tables(folder)

    def read(part: Result) -> Numbers:
        part = _with_owner_tag(part, owner_tag)
        use = quota_use(part, owner_tag)
        tables.add(part, use)
        return Numbers.of(part, use, lang)

    # Unlike a loop, `map` does not keep a part in memory while the next part is made.
    numbers = reduce(add, map(read, parts))
    tables.close()
    return numbers, tables.owners


class _Tables:
    """The CSV files of a report.

    A result of `check_snapshot` can be larger than the memory, so its rows are appended to the files part by part.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._columns: dict[str, list[str]] = {}
        self._empty: dict[str, pd.DataFrame] = {}
        self._pieces: dict[Any, Path] = {}
        self.owners = FINDINGS_BY_OWNER.empty()
        (folder / "checks").mkdir()

    def add(self, part: Result, use: pd.DataFrame) -> None:
        self.owners = joined_owners(self.owners, findings_by_owner(part, part.owner_tag))
        self._add_findings(part)
        tables = {"coverage": part.coverage, "quota_use": use} | part.inventory.frames_read
        tables |= {f"checks/{name}": part[name] for name in part.checks}
        for name, frame in tables.items():
            self._append(name, frame)

    def close(self) -> None:
        write_csv(self.owners, self._folder / "owners.csv")
        for name in self._empty.keys() - self._columns:
            write_csv(self._empty[name], self._folder / f"{name}.csv")
        write_csv(FINDINGS.empty(), self._folder / "findings.csv")
        with (self._folder / "findings.csv").open("ab") as file:
            for key in sorted(self._pieces, key=lambda key: (SEVERITIES.index(key[0]), *key[1:])):
                with self._pieces[key].open("rb") as piece:
                    copyfileobj(piece, file)
                self._pieces[key].unlink()

    def _append(self, name: str, frame: pd.DataFrame) -> None:
        path = self._folder / f"{name}.csv"
        if not len(frame):
            self._empty[name] = frame
        elif name not in self._columns:
            write_csv(frame, path)
            self._columns[name] = list(frame.columns)
        elif more := frame.columns.difference(self._columns[name]).tolist():
            raise ReportError(
                f"{name}.csv: the check gives the facts {', '.join(more)} in some accounts only; make it give the same "
                "facts in all accounts"
            )
        else:
            append_csv(frame.reindex(columns=self._columns[name]), path)

    def _add_findings(self, part: Result) -> None:
        findings, order = part.with_order
        # The ARNs in one piece are equal up to the account id. Groups come in the order of account ids. Each piece is
        # therefore sorted like `Result.findings`.
        head = pc.replace_substring_regex(as_arrow(findings["resource_arn"]), _HEAD, r"\1").fill_null(_NO_ARN)
        keys = [findings["severity"], findings["check"], order, head.to_pandas().to_numpy()]
        for key, rows in findings.groupby(keys, sort=False):
            append_csv(rows, self._pieces.setdefault(key, self._folder / f"piece-{len(self._pieces)}"))


def _with_owner_tag(result: Result, owner_tag: str) -> Result:
    return result if result.owner_tag == owner_tag else replace(result, owner_tag=owner_tag)


def _check_tables_in(folder: Path) -> list[str]:
    found: list[str] = []
    # A folder that cannot be read raises an error when it is written.
    with suppress(OSError, ValueError):
        for file in sorted((folder / "checks").glob("*.csv")):
            with file.open("rb") as content:
                if b'"finding_id","account_id"' in content.readline(200):
                    found.append(f"checks/{file.stem}")
    return found


def write_changes(changes: Changes, out: str | os.PathLike[str]) -> None:
    """Write the CSV files of changes into a folder. If a file cannot be written, the folder stays as it was.

    Raises
    ------
    ReportError
        If the folder cannot be created or written.
    """
    write_into(local_path("write_changes", out), lambda aside: _write_tables(changes, aside))


def _write_tables(changes: Changes, folder: Path) -> None:
    frames = (changes.changes, changes.findings, changes.not_compared)
    for name, frame in zip(_CHANGES, frames, strict=True):
        write_csv(frame, folder / f"{name}.csv")


def write_findings(
    result: Result,
    out: str | os.PathLike[str],
    heading: str,
    mask: bool | str | os.PathLike[str] = False,
    *,
    undecided: int = 0,
) -> Path:
    """Write all findings of `result` into a folder. If a file cannot be written, the folder stays as it was.

    `result` contains only the findings that match the user's filter. The parameter `undecided` is the number of
    findings that may or may not match the filter, because data is missing.

    Raises
    ------
    ReportError
        If the folder cannot be created or written, if the key file (see `mask`) is invalid or lies in the folder, or
        if a masked file would still contain an original id or e-mail address.
    """
    folder = Path(out)
    pseudonyms = None
    if mask not in (False, None):
        from iamframe.report.mask import mask_for, masked, search

        pseudonyms = mask_for(mask, folder)
        result, *_, (masked_heading,) = masked(result, None, pseudonyms, heading)
        heading = masked_heading or heading

    def write(aside: Path) -> None:
        write_csv(result.findings, aside / "findings.csv")
        write_csv(result.coverage, aside / "coverage.csv")
        page = render_findings(result, heading, undecided=undecided, is_masked=pseudonyms is not None)
        (aside / "findings.html").write_text(page, encoding="utf-8", errors="replace", newline="\n")
        if pseudonyms:
            search(aside, folder, pseudonyms)

    write_into(folder, write)
    return folder / "findings.html"


def _write_summary(numbers: dict[str, Any], folder: Path, changes: Changes | None, drift: Drift | None) -> None:
    if changes is not None:
        _write_tables(changes, folder)
        numbers["changes"] = _counts(changes.to_frame()["change"])
    if drift is not None:
        write_csv(drift.differences, folder / "drift.csv")
        numbers["drift"] = _counts(drift.differences["kind"])
    summary = json.dumps(numbers, indent=2, ensure_ascii=False)
    (folder / "summary.json").write_text(summary + "\n", encoding="utf-8", newline="\n")


def _counts(kinds: pd.Series) -> dict[str, int]:
    return {str(kind): int(count) for kind, count in kinds.value_counts().sort_index().items()}
