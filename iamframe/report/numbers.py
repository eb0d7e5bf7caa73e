"""The numbers on the report's page, in its charts, and in `summary.json`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, TypeVar

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa

from iamframe.analysis.blind_spots import tagged_counts
from iamframe.analysis.owners import owner_states, quota_use
from iamframe.checks import CHECKS
from iamframe.checks.orphans import unreferenced_profiles
from iamframe.checks.owner import owner_keys
from iamframe.checks.registry import STATUSES
from iamframe.checks.result import Result, counts_by_check
from iamframe.checks.tag_policy import demands
from iamframe.inventory.arrow import is_in
from iamframe.inventory.display import cell_rows
from iamframe.inventory.schema import FRAMES
from iamframe.messages.text import SEVERITIES
from iamframe.report.rows import FindingRows
from iamframe.version import __version__

# The version of `summary.json`, for programs that read it.
SUMMARY_VERSION = 1
# The page shows at most this many gaps, and at most this many changes.
MAX_OTHER_ROWS = 1_000
# A picture with more rows is unreadable.
MAX_PICTURE_ROWS = 100
MAX_KEYS = 8
RELATIONS = ("same", "case", "affix", "generated", "different")
_USES = ["referred", "silent", "unasked", "empty", "unheld"]
_TAG_COVERAGE = ["account_id", "resource_type", "tag_key", "tagged"]


class Purpose(msgspec.Struct, frozen=True):
    """How many instance profiles of one account are used, are not known to be used, or hold no role."""

    account_id: str
    # True if all profiles were listed.
    is_whole: bool
    counts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def rank(self) -> tuple[int, int]:
        return -self.counts["silent"] - self.counts["empty"], -self.total


class Tagged(msgspec.Struct, frozen=True):
    account_id: str
    resource_type: str
    # Resources with collected tags, and all other resources.
    known: int
    unknown: int
    # Resources with each tag key.
    tagged: list[int]

    @property
    def share(self) -> float:
        return sum(self.tagged) / max(self.known, 1)

    @property
    def percents(self) -> list[int]:
        # A share above 0 is never shown as 0, and an incomplete share never as 100.
        known = max(self.known, 1)
        return [count and (100 if count >= known else min(max(_percent(count, known), 1), 99)) for count in self.tagged]


# The result of `tagged_counts`: for each account and resource type, the resources with, without and with unknown tags.
TagStates = dict[tuple[str, str], list[int]]
# By severity: the number of resources that need attention. By `to_fix` and `no_action`: the number of findings.
Totals = Counter[str]


class AccountTotals(msgspec.Struct, frozen=True):
    account_id: str
    captured_at: str
    totals: Totals
    # The number of incomplete checks.
    incomplete: int

    @property
    def rank(self) -> tuple[int | str, ...]:
        return (*(-self.totals[severity] for severity in SEVERITIES), self.account_id)


class QuotaRow(msgspec.Struct, frozen=True):
    account_id: str
    maker: str | None
    owner_type: str | None
    owner_name: str | None
    owner_status: str | None
    owner: str | None
    state: str
    roles: int
    profiles: int
    empty: int
    # The larger of `role_share` and `profile_share`, or None if unknown.
    share: float | None

    @property
    def percent(self) -> int | None:
        # Rounded down, as in findings: 100 % means that the quota is full.
        return None if self.share is None else min(max(int(100 * self.share + 1e-9), int(self.share > 0)), 100)

    @property
    def rank(self) -> tuple[bool, float, int]:
        return self.share is None, -(self.share or 0), -self.roles - self.profiles


def widths(counts: Iterable[int], total: int) -> list[int]:
    parts, ends = list(counts), [0]
    for part in parts:
        ends.append(ends[-1] + part)
    places = [_percent(end, total) for end in ends]
    each = [max(after - before, int(part > 0)) for part, before, after in zip(parts, places, places[1:], strict=False)]
    if any(each):
        # The width that thin bars gain is taken from the widest bar.
        widest = each.index(max(each))
        each[widest] = max(each[widest] - max(sum(each) - places[-1], 0), 1)
    return each


def _percent(count: int, of: int) -> int:
    return (200 * count + of) // (2 * of) if of else 0


def relation_counts(result: Result) -> Counter[tuple[str, bool]]:
    # Besides the names in `RELATIONS`: `unread` (a name was not collected), `empty` and `unheld` (as in `purposes`).
    pairs = result.pairs[result.pairs["profile_arn"].notna()]
    alone = pd.Series(np.where(pairs["role_known"], "empty", "unheld"), pairs.index)
    relation = pairs["relation"].fillna("unread").where(pairs["role_arn"].notna(), alone)
    expected = pairs["names_expected"] & relation.isin(RELATIONS[1:])
    counts: dict[Any, int] = pairs.groupby([relation, expected]).size().to_dict()
    return Counter(counts)


def purposes(result: Result) -> list[Purpose]:
    """Count the profiles of each account by use: used, not known to be used, without a role, or not checked."""
    pairs = result.pairs[result.pairs["profile_arn"].notna()]
    arns, alone = pairs["profile_arn"], pairs["role_arn"].isna()
    silent = result.findings["resource_arn"][result.findings["check"] == unreferenced_profiles.__name__]
    masks: list[Any] = [alone & pairs["role_known"], alone, is_in(arns, result.used_profiles), is_in(arns, silent)]
    # The numbers are positions in `_USES`. If references were not collected, the check does not judge a link.
    counts = pairs.groupby(["account_id", np.select(masks, [3, 4, 0, 1], 2)]).size().unstack(fill_value=0)
    counts = counts.reindex(result.inventory.accounts["account_id"], columns=range(len(_USES)), fill_value=0)
    by_account: dict[Any, Any] = counts.set_axis(_USES, axis=1).to_dict("index")
    whole = dict(zip(result.lists["account_id"], result.lists["profiles_whole"], strict=True))
    rows = [Purpose(account, bool(whole.get(account)), of) for account, of in by_account.items()]
    return sorted(rows, key=lambda row: row.rank)


def whole_lists(lists: pd.DataFrame) -> dict[str, bool]:
    return {
        "roles": bool(lists["roles_whole"].all()),
        "profiles": bool(lists["profiles_whole"].all()),
        "references": bool((lists["references_status"] == "complete").all()),
    }


def most_used_keys(coverage: pa.Table) -> list[str]:
    total: Counter[str] = Counter()
    for key, tagged in zip(*(coverage[name].to_pylist() for name in ("tag_key", "tagged")), strict=True):
        total[key] += tagged
    return sorted(total, key=lambda key: (-total[key], key))


def tags(coverage: pa.Table, states: TagStates, keys: Sequence[str]) -> list[Tagged]:
    """Count the resources with each key. The argument `coverage` has the columns of the view `tag_coverage`."""
    columns = (coverage[name].to_pylist() for name in _TAG_COVERAGE)
    counts = {tuple(place): count for *place, count in zip(*columns, strict=True)}
    rows = [
        Tagged(account, kind, tagged + untagged, unknown, [counts.get((account, kind, key), 0) for key in keys])
        for (account, kind), (tagged, untagged, unknown) in states.items()
    ]
    return sorted(rows, key=lambda row: (not row.known, row.share, row.account_id))


def states_by_type(states: TagStates) -> dict[str, list[int]]:
    return {
        kind: [sum(counts[state] for (_, of), counts in states.items() if of == kind) for state in range(3)]
        for kind in ("role", "instance-profile")
    }


def quota_rows(use: pd.DataFrame) -> list[QuotaRow]:
    most = use[["role_share", "profile_share"]].max(axis=1)
    keyed = use.assign(share=most, least=-most, number=-use["roles"] - use["profiles"])
    rows = keyed.sort_values(["least", "number"], kind="stable").head(MAX_PICTURE_ROWS)
    return [QuotaRow(*row) for row in cell_rows(rows[list(QuotaRow.__struct_fields__)])]


def owner_totals(result: Result) -> dict[tuple[str, str], Totals]:
    return _totals(result, lambda findings: [pd.Series(owner_states(findings)), findings["owner"].fillna("")])


def account_counts(result: Result) -> list[AccountTotals]:
    accounts, coverage = result.inventory.accounts, result.coverage
    totals = _totals(result, lambda findings: [findings["account_id"]])
    incomplete = coverage["account_id"][coverage["status"] != "complete"].value_counts()
    captured = accounts["captured_at"].dt.strftime("%Y-%m-%d %H:%M UTC").fillna("")
    rows = []
    for account, at in zip(accounts["account_id"], captured, strict=True):
        rows.append(AccountTotals(account, at, totals[account,], int(incomplete.get(account, 0))))
    return sorted(rows, key=lambda row: row.rank)


def _totals(result: Result, group: Callable[[pd.DataFrame], list[pd.Series]]) -> dict[Any, Totals]:
    findings, resources = result.findings, result.most_severe
    no_action = findings["expected"] | findings["accepted"].notna()
    states = pd.Series(np.where(no_action, "no_action", "to_fix"))
    totals: dict[Any, Totals] = defaultdict(Counter)
    for frame, of in ((findings, states), (resources, resources["severity"])):
        counts = Counter(zip(*(keys.tolist() for keys in [*group(frame), of]), strict=True))
        for (*key, name), count in counts.items():
            totals[tuple(key)][name] = count
    return totals


_Row = TypeVar("_Row", AccountTotals, Purpose, QuotaRow)


class Numbers(msgspec.Struct, frozen=True):
    listed: FindingRows
    summary: dict[str, Any]
    owner_tag: str
    owner_keys: list[str]
    # Rules of tag policies: a tag key, its allowed values, and the types that need the tag (separated by spaces).
    demands: frozenset[tuple[str, str, str]]
    dates: frozenset[str]
    # The lists that were not collected in full for all accounts.
    partial_lists: frozenset[str]
    names: dict[str, str | None]
    # `accounts`, `purposes`, `uses` and `gaps` contain only the rows that the page can show.
    accounts: list[AccountTotals]
    owners: dict[tuple[str, str], Totals]
    relations: Counter[tuple[str, bool]]
    purposes: list[Purpose]
    uses: list[QuotaRow]
    all_uses: int
    tag_keys: pa.Table
    tag_states: TagStates
    gaps: pd.DataFrame

    @classmethod
    def of(cls, result: Result, use: pd.DataFrame, lang: str = "en") -> Numbers:
        accounts, named = account_counts(result), result.inventory.accounts[["account_id", "account_name"]]
        coverage = result.tag_coverage[_TAG_COVERAGE]
        demanded = demands(result.policy, result.inventory.tag_policies)
        return cls(
            listed=FindingRows.of(result, lang),
            summary=summary_of(result),
            owner_tag=result.owner_tag,
            owner_keys=owner_keys(result.inventory, result.owner_tag),
            demands=frozenset((one.rule.key, one.wanted, one.required_of) for one in demanded if one.account_id),
            dates=frozenset(one.captured_at for one in accounts),
            partial_lists=frozenset(name for name, is_whole in whole_lists(result.lists).items() if not is_whole),
            names=dict(cell_rows(named)),
            accounts=accounts[:MAX_PICTURE_ROWS],
            owners=owner_totals(result),
            relations=relation_counts(result),
            purposes=purposes(result)[:MAX_PICTURE_ROWS],
            uses=quota_rows(use),
            all_uses=len(use),
            tag_keys=pa.table({name: pa.array(column).dictionary_encode() for name, column in coverage.items()}),
            tag_states=tagged_counts(result.inventory),
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
            partial_lists=self.partial_lists | other.partial_lists,
            names=self.names | other.names,
            accounts=_first([*self.accounts, *other.accounts]),
            owners=owners | {key: self.owners[key] + other.owners[key] for key in self.owners.keys() & other.owners},
            relations=self.relations + other.relations,
            purposes=_first([*self.purposes, *other.purposes]),
            uses=_first([*self.uses, *other.uses]),
            all_uses=self.all_uses + other.all_uses,
            tag_keys=pa.concat_tables([self.tag_keys, other.tag_keys]).unify_dictionaries().combine_chunks(),
            tag_states=self.tag_states | other.tag_states,
            gaps=pd.concat([self.gaps, other.gaps], ignore_index=True).head(MAX_OTHER_ROWS),
        )


def _first(rows: list[_Row]) -> list[_Row]:
    return sorted(rows, key=lambda row: row.rank)[:MAX_PICTURE_ROWS]


def numbers_of(result: Result, lang: str = "en") -> Numbers:
    return reduce(add, (Numbers.of(part, quota_use(part, part.owner_tag), lang) for part in result.parts()))


def summary_of(result: Result) -> dict[str, Any]:
    accounts = result.inventory.accounts
    captured = accounts["captured_at"].max()
    checks = result.checks
    attention = {severity: int(count) for severity, count in result.attention.items()}
    return {
        "format_version": SUMMARY_VERSION,
        "version": __version__,
        "sources": list(result.inventory.sources),
        "captured_at": None if pd.isna(captured) else captured.isoformat(),
        "accounts": accounts["account_id"].tolist(),
        "rows": {name: len(frame) for name, frame in result.inventory.frames_read.items()},
        "attention": attention | {"resources": sum(attention.values())},
        "findings": counts_by_check(result.findings, "severity", checks, SEVERITIES).to_dict("index"),
        "coverage": counts_by_check(result.coverage, "status", checks, STATUSES).to_dict("index"),
        "checks_not_run": [check for check in CHECKS if check not in checks],
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
