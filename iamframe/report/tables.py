"""Write a report's CSV files, one group of accounts at a time.

A result of `check_snapshot` can be larger than the memory.
"""

from __future__ import annotations

from pathlib import Path
from shutil import copyfileobj
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from iamframe.analysis.owners import findings_by_owner, joined_owners
from iamframe.checks.result import Result
from iamframe.errors import ReportError
from iamframe.inventory.arrow import as_arrow
from iamframe.inventory.export import append_csv, write_csv
from iamframe.inventory.schema import FINDINGS, FINDINGS_BY_OWNER
from iamframe.messages.text import SEVERITIES

# The beginning of an ARN, before its account: partition, service and region.
_HEAD = "(?s)^((?:[^:]*:){4}).*"
# Findings without an ARN come last, so their sort key comes after all beginnings of ARNs.
_NO_ARN = "~"


class Tables:
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
