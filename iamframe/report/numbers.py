"""The numbers on the report's page and in `summary.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Any, TypeVar

import msgspec
import pandas as pd
import pyarrow as pa

from iamframe.analysis.owners import quota_use
from iamframe.checks import CHECKS
from iamframe.checks.owner import owner_keys
from iamframe.checks.registry import STATUSES
from iamframe.checks.result import Result
from iamframe.checks.tag_policy import demands
from iamframe.inventory.schema import FRAMES
from iamframe.messages.text import SEVERITIES
from iamframe.report import charts
from iamframe.report.rows import FindingRows
from iamframe.version import __version__

# The version of `summary.json`, for programs that read it.
SUMMARY_VERSION = 1
# The page shows at most this many gaps, and at most this many changes.
MAX_OTHER_ROWS = 1_000

_Row = TypeVar("_Row", charts.AccountTotals, charts.Purpose, charts.QuotaRow)


class Numbers(msgspec.Struct, frozen=True):
    listed: FindingRows
    summary: dict[str, Any]
    owner_tag: str
    owner_keys: list[str]
    # Rules of tag policies: a tag key, its allowed values, and the types that need the tag (separated by spaces).
    demands: frozenset[tuple[str, str, str]]
    dates: frozenset[str]
    # `accounts`, `purposes`, `uses` and `gaps` contain only the rows that the page can show.
    accounts: list[charts.AccountTotals]
    owners: dict[tuple[str, str], charts.Totals]
    relations: Counter[tuple[str, bool]]
    purposes: list[charts.Purpose]
    uses: list[charts.QuotaRow]
    all_uses: int
    tag_keys: pa.Table
    taggable: pa.Table
    missed: Counter[tuple[str, int]]
    gaps: pd.DataFrame

    @classmethod
    def of(cls, result: Result, use: pd.DataFrame, lang: str = "en") -> Numbers:
        accounts, (tag_keys, taggable) = charts.account_counts(result), charts.tag_counts(result)
        demanded = demands(result.policy, result.inventory.tag_policies)
        return cls(
            listed=FindingRows.of(result, lang),
            summary=summary_of(result),
            owner_tag=result.owner_tag,
            owner_keys=owner_keys(result.inventory, result.owner_tag),
            demands=frozenset((one.rule.key, one.wanted, one.required_of) for one in demanded if one.account_id),
            dates=frozenset(one.captured_at for one in accounts),
            accounts=accounts[: charts.MAX_PICTURE_ROWS],
            owners=charts.owner_totals(result),
            relations=charts.relation_counts(result),
            purposes=charts.purposes(result)[: charts.MAX_PICTURE_ROWS],
            uses=charts.quota_rows(use),
            all_uses=len(use),
            tag_keys=tag_keys,
            taggable=taggable,
            missed=charts.missed_counts(result),
            gaps=result.inventory.gaps.head(MAX_OTHER_ROWS),
        )

    def __add__(self, other: Numbers) -> Numbers:
        owners = self.owners | other.owners
        return Numbers(
            listed=self.listed + other.listed,
            summary=add_summaries(self.summary, other.summary),
            owner_tag=self.owner_tag,
            owner_keys=sorted({*self.owner_keys, *other.owner_keys}, key=lambda key: (key != self.owner_tag, key)),
            demands=self.demands | other.demands,
            dates=self.dates | other.dates,
            accounts=_first([*self.accounts, *other.accounts]),
            owners=owners | {key: self.owners[key] + other.owners[key] for key in self.owners.keys() & other.owners},
            relations=self.relations + other.relations,
            purposes=_first([*self.purposes, *other.purposes]),
            uses=_first([*self.uses, *other.uses]),
            all_uses=self.all_uses + other.all_uses,
            tag_keys=pa.concat_tables([self.tag_keys, other.tag_keys]).unify_dictionaries().combine_chunks(),
            taggable=pa.concat_tables([self.taggable, other.taggable]),
            missed=self.missed + other.missed,
            gaps=pd.concat([self.gaps, other.gaps], ignore_index=True).head(MAX_OTHER_ROWS),
        )


def _first(rows: list[_Row]) -> list[_Row]:
    return sorted(rows, key=lambda row: row.rank)[: charts.MAX_PICTURE_ROWS]


def numbers_of(result: Result, lang: str = "en") -> Numbers:
    return reduce(add, (Numbers.of(part, quota_use(part, part.owner_tag), lang) for part in result.parts()))


def summary_of(result: Result) -> dict[str, Any]:
    accounts = result.inventory.accounts
    captured = accounts["captured_at"].max()
    counts = result.findings.groupby(["check", "severity"]).size()
    statuses = result.coverage.groupby(["check", "status"]).size()
    attention = {severity: int(count) for severity, count in result.attention.items()}
    return {
        "format_version": SUMMARY_VERSION,
        "version": __version__,
        "sources": list(result.inventory.sources),
        "captured_at": None if captured is None or captured != captured else captured.isoformat(),  # noqa: PLR0124
        "accounts": accounts["account_id"].tolist(),
        "rows": {name: len(frame) for name, frame in result.inventory.frames_read.items()},
        "attention": attention | {"resources": sum(attention.values())},
        "findings": {
            check: {severity: int(counts.get((check, severity), 0)) for severity in SEVERITIES}
            for check in result.checks
        },
        "coverage": {
            check: {status: int(statuses.get((check, status), 0)) for status in STATUSES} for check in result.checks
        },
        "checks_not_run": [check for check in CHECKS if check not in result.checks],
    }


def add_summaries(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {name: _sum(one[name], other[name]) for name in ("rows", "attention", "findings", "coverage")}
    # A part has only the frames that were collected for it.
    numbers["rows"] = {name: numbers["rows"][name] for name in FRAMES if name in numbers["rows"]}
    both = {
        "sources": list(dict.fromkeys([*one["sources"], *other["sources"]])),
        "captured_at": max(filter(None, [one["captured_at"], other["captured_at"]]), default=None),
        "accounts": [*one["accounts"], *other["accounts"]],
    }
    return dict(one) | both | numbers


def _sum(one: Any, other: Any) -> Any:
    if isinstance(one, int):
        return one + other
    return {key: _sum(one.get(key, 0), other.get(key, 0)) for key in one | other}
