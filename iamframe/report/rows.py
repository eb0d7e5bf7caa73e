"""Decide which findings will be on the page, and arrange these findings in tables."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
from msgspec.structs import replace

from iamframe.analysis.owners import owner_states
from iamframe.checks.registry import STATUSES, Check
from iamframe.checks.result import Result, by_severity, frame_and_order
from iamframe.checks.tag_policy import Policy
from iamframe.inventory.arrow import Positions, as_arrow
from iamframe.knowledge.arn import CONSOLES, partition_of
from iamframe.knowledge.makers import GUESS, known_makers
from iamframe.messages.render import by_reason, say, text_of
from iamframe.messages.text import SEVERITIES
from iamframe.report.translate import Translator

# A browser is too slow with more rows; the CSV files beside the page have all rows.
MAX_ROWS = 10_000
MIN_ROWS_PER_CHECK = 300
CHUNK = 100
# If at least this many rows share a text, the text is shown once, above them.
_MANY = 3
_FEW = 5
# Letters that replace a row's own values in a command. Commands that are then equal are on the page only once.
_PLACES = {"resource_arn": "\ue000", "related_arn": "\ue001", "resource_name": "\ue002", "related_name": "\ue003"}
_ARN = re.compile(r"(?s)^(?P<head>arn:[^:]*:iam::)(?P<account>[^:]*)(?P<type>:(?:role|instance-profile))(?P<rest>/.*)$")
# The columns of findings that the page reads.
_READ = ["check", "finding_id", "severity", "certainty", "account_id", "owner", "resource_type", "resource_name"]
_READ += ["resource_arn", "related_name", "related_arn", "relation", "maker", "maker_basis", "accepted", "detail"]
_READ += ["next_step"]

_Finding = dict[str, Any]
_Row = TypeVar("_Row")
_Steps = dict[tuple[str, bool], int]
# The coverage of one check: the accounts, by status and reasons.
_Coverage = dict[tuple[str, tuple[str, ...]], list[str]]
# The names of checks, the reasons as sentences, and the accounts.
Reasons = tuple[tuple[str, ...], tuple[str, ...], list[str]]


class FindingTable(msgspec.Struct, frozen=True):
    columns: tuple[str, ...]
    chunks: list[list[dict[str, Any]]]
    # The values that all rows share, as one text.
    common: str
    # The tool or service that created all resources, or an empty text.
    maker: str
    severity: str
    # The most common prefixes of ARNs. A prefix ends before the path, and contains `{}` instead of the account id.
    arns: str
    related: str

    @property
    def console(self) -> str:
        return CONSOLES.get(partition_of(f"{self.related or self.arns}/") or "", "")


class Part(msgspec.Struct, frozen=True):
    total: int
    shown: int
    tables: list[FindingTable]


class Section(msgspec.Struct, frozen=True):
    check: Check
    title: str
    why: str
    remediation: str
    status: str
    # Each entry contains a status, the reasons and the accounts. The worst status comes first.
    coverage: list[tuple[str, tuple[str, ...], list[str]]]
    to_fix: Part
    no_action: Part
    steps: list[tuple[str, bool]]
    first: dict[str, Any] | None

    @property
    def name(self) -> str:
        return self.check.name

    @property
    def incomplete(self) -> dict[str, int]:
        """The number of accounts with the status `unknown` or `partial`, by status; numbers above zero only."""
        numbers: Counter[str] = Counter()
        for status, _, ids in self.coverage:
            numbers[status] += len(ids)
        return dict(numbers)

    @property
    def total(self) -> int:
        return self.to_fix.total + self.no_action.total


def allotted(counts: Mapping[str, tuple[int, int]], limit: int = MAX_ROWS) -> dict[str, tuple[int, int]]:
    shown = {}
    for name, (to_fix, no_action) in counts.items():
        least = min(to_fix, MIN_ROWS_PER_CHECK)
        shown[name] = [least, min(no_action, MIN_ROWS_PER_CHECK - least)]
    # The remaining space is first given to findings that need a fix. The most severe checks are first in `counts`.
    left = limit - sum(map(sum, shown.values()))
    for part in (0, 1):
        for name, of in counts.items():
            more = max(min(of[part] - shown[name][part], left), 0)
            shown[name][part] += more
            left -= more
    return {name: (to_fix, no_action) for name, (to_fix, no_action) in shown.items()}


class FindingRows(msgspec.Struct, frozen=True):
    lang: str
    sources: tuple[str, ...]
    policy: Policy
    checks: Mapping[str, Check]
    accounts: list[str]
    owners: frozenset[str]
    # Numbers of findings by check, severity and state. A state is `to_fix`, `expected` or `accepted`.
    counts: Counter[tuple[str, str, str]]
    coverage: dict[str, _Coverage]
    # The function `allotted` divides up to `MAX_ROWS` rows between the checks.
    findings: pa.Table

    @classmethod
    def of(cls, result: Result, lang: str = "en") -> FindingRows:
        findings, order = result.with_order if lang == "en" else frame_and_order(result.sorted_findings(lang))
        accepted = findings["accepted"].notna()
        state = np.select([accepted, findings["expected"]], ["accepted", "expected"], "to_fix")
        no_action = state != "to_fix"
        counts: dict[Any, int] = findings.groupby(["check", "severity", state]).size().to_dict()
        sources = result.inventory.sources
        rows = cls(
            lang=lang,
            sources=sources,
            policy=result.policy,
            checks=result.checks,
            accounts=list(map(sys.intern, result.inventory.accounts["account_id"].tolist())),
            owners=frozenset(findings["owner"].dropna().unique()),
            counts=Counter(counts),
            coverage=_coverage(result, Translator(lang, sources)),
            findings=pa.table({"check": as_arrow(findings["check"]), "no_action": no_action}),
        )
        shown = np.concatenate(rows.places())
        return replace(rows, findings=_table(findings.take(shown), no_action=no_action[shown], order=order[shown]))

    def __add__(self, other: FindingRows) -> FindingRows:
        both = replace(
            self,
            sources=tuple(dict.fromkeys(self.sources + other.sources)),
            accounts=self.accounts + other.accounts,
            owners=self.owners | other.owners,
            counts=self.counts + other.counts,
            coverage={name: _joined(self.coverage[name], other.coverage[name]) for name in self.coverage},
            findings=by_severity(pa.concat_tables([self.findings, other.findings])),
        )
        # Rows that are cut here cannot be needed later, because other parts only add findings.
        return replace(both, findings=both.findings.take(np.concatenate(both.places())))

    @property
    def names(self) -> list[str]:
        return sorted(self.checks, key=lambda name: SEVERITIES.index(self.checks[name].severity))

    @property
    def totals(self) -> dict[str, tuple[int, int]]:
        totals = {name: [0, 0] for name in self.names}
        for (name, _, state), count in self.counts.items():
            totals[name][state != "to_fix"] += count
        return {name: (to_fix, others) for name, (to_fix, others) in totals.items()}

    def places(self, limit: int = MAX_ROWS) -> list[Positions]:
        # Each check has two arrays: findings to fix, then findings that need no action.
        check = pd.Index(self.names).get_indexer(pd.Index(self.findings["check"].to_pandas()))
        no_action = np.asarray(self.findings["no_action"])
        return [
            np.flatnonzero((check == number) & (no_action == is_folded))[:size]
            for number, shown in enumerate(allotted(self.totals, limit).values())
            for is_folded, size in enumerate(shown)
        ]


def _table(findings: pd.DataFrame, **more: Any) -> pa.Table:
    columns: dict[str, Any] = {name: as_arrow(findings[name]) for name in _READ}
    columns["next_step_changes"] = np.asarray(findings["next_step_changes"], dtype=bool)
    columns["owner_state"] = as_arrow(owner_states(findings))
    return pa.table(columns | more)


def _incomplete(listed: FindingRows, name: str) -> _Coverage:
    coverage = listed.coverage[name] or {("unknown", (say("coverage.no_account", listed.lang),)): [""]}
    return {(status, said): accounts for (status, said), accounts in coverage.items() if status != "complete"}


def reasons_of(listed: FindingRows) -> list[Reasons]:
    rows = []
    for name in listed.names:
        for (_, said), accounts in _incomplete(listed, name).items():
            rows += [(account, name, said) for account in accounts]
    groups = [(checks, said, [*filter(None, ids)]) for (checks, said), ids in by_reason(rows).items()]
    return sorted(groups, key=lambda group: (-len(group[2]), -len(group[0])))


def sections_of(
    listed: FindingRows, words: Translator, limit: int = MAX_ROWS, *, is_masked: bool = False
) -> list[Section]:
    places = listed.places(limit)
    rows = iter(listed.findings.take(np.concatenate(places)).to_pylist())
    parts = iter([list(islice(rows, len(part))) for part in places])
    show = _Show(
        words,
        has_accounts=len(listed.accounts) > 1,
        has_owners=bool(listed.owners),
        is_masked=is_masked,
        managing=frozenset(one.name for one in (*listed.policy.makers, *known_makers()) if one.wants_back),
    )
    return [
        show.section(listed.checks[name], [(total, next(parts)) for total in totals], _incomplete(listed, name))
        for name, totals in listed.totals.items()
    ]


class _Show(msgspec.Struct, frozen=True):
    words: Translator
    has_accounts: bool
    has_owners: bool
    is_masked: bool
    # Services and tools that manage what they create.
    managing: frozenset[str]

    def section(self, check: Check, parts: list[tuple[int, list[_Finding]]], incomplete: _Coverage) -> Section:
        steps: _Steps = {}
        to_fix, no_action = (
            Part(total, len(rows), [self.table(group, steps) for group in _groups(rows)]) for total, rows in parts
        )
        title, why, remediation = (
            str(text_of(f"checks.{check.name}.{text}", self.words.lang, getattr(check, text)))
            for text in ("title", "why", "remediation")
        )
        worst = max((status for status, _ in incomplete), key=STATUSES.index, default="complete")
        return Section(
            check=check,
            title=title,
            why=why,
            remediation=remediation,
            status=worst,
            coverage=_worst_first(incomplete),
            to_fix=to_fix,
            no_action=no_action,
            steps=list(steps),
            first=next((row for row in parts[0][1] if row["resource_name"] and row["next_step"]), None),
        )

    def table(self, rows: list[_Finding], steps: _Steps) -> FindingTable:
        """Return a check's findings as a table, and add the suggested commands to `steps`."""
        arns, own = _shortened(rows, "resource")
        related, others = _shortened(rows, "related")
        cells = {name: [cell(row) for row in rows] for name, cell in self._cells().items()}
        common = {
            name: cells[name][0]
            for name in ("found", "relation", "maker", "certainty")
            if len(rows) >= _MANY and len(set(cells[name])) == 1
        }
        columns = tuple(name for name, values in cells.items() if self._is_column(name, values) and name not in common)
        severity = Counter(row["severity"] for row in rows).most_common(1)[0][0]
        listed = [
            {
                "name": cells["name"][at],
                "cells": [cells[name][at] for name in columns[1:]],
                "href": "" if self.is_masked else _link(row),
                # The ARN is left out if account, path and name already show it.
                "arn": "" if short[:1] == "/" else short,
                "related": other,
                "step": _step(row, other, steps),
                "managed": row["next_step_changes"] and row["maker"] in self.managing and row["maker_basis"] != GUESS,
                "severity": "" if row["severity"] == severity else row["severity"],
                "mark": "" if "certainty" in common else cells["certainty"][at],
                "accepted": row["accepted"] or "",
                # In a policy file, `*` stands for any text, so only the id distinguishes findings with a `*`.
                "id": row["finding_id"] if "*" in (row["resource_arn"] or "*") + (row["related_arn"] or "") else "",
            }
            for at, (row, short, other) in enumerate(zip(rows, own, others, strict=True))
        ]
        maker = common.get("maker", "")
        return FindingTable(columns, chunked(listed), self._common(**common), maker, severity, arns, related)

    def _common(self, certainty: str = "", maker: str = "", **texts: str) -> str:
        words = self.words
        said = [
            *texts.values(),
            f"{words('heads.maker')} {maker}" if maker else "",
            words("as_collected", certainty=certainty) if certainty else "",
        ]
        return words("semicolon").join(filter(None, said))

    def _cells(self) -> dict[str, Callable[[_Finding], str]]:
        word = self.words.word
        guess = f" ({word('guess')})"
        # A known lack of an owner is shown as an empty cell.
        owner = {"none": ""} | {name: self.words(f"cell_{name}") for name in ("unread", "account")}
        return {
            "name": lambda row: self._name(row["resource_type"], row["resource_name"] or ""),
            "path": lambda row: _parsed(row, "resource")[2],
            "found": lambda row: row["detail"] or "",
            "relation": lambda row: word(row["relation"] or ""),
            "maker": lambda row: (row["maker"] or "") + (guess if row["maker"] and row["maker_basis"] == GUESS else ""),
            "owner": lambda row: owner.get(row["owner_state"], row["owner"]),
            "account": lambda row: row["account_id"],
            "certainty": lambda row: "" if row["certainty"] == "certain" else word(row["certainty"]),
        }

    def _name(self, kind: str | None, name: str) -> str:
        # Most findings are about roles and profiles. Only other resources show their type, if it is known.
        if not kind or kind in ("role", "instance-profile"):
            return name
        return f"{self.words.word(kind.replace('-', ' '))} '{name}'"

    def _is_column(self, name: str, values: list[str]) -> bool:
        chosen = {"name": True, "account": self.has_accounts, "owner": self.has_owners, "certainty": False}
        return chosen.get(name, any(values))


def chunked(rows: list[_Row]) -> list[list[_Row]]:
    # A browser can skip the chunks that are out of view.
    return [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]


def _groups(rows: list[_Finding]) -> list[list[_Finding]]:
    groups: dict[str, list[_Finding]] = {}
    for row in rows:
        groups.setdefault(row["detail"], []).append(row)
    if not 0 < len(groups) <= _FEW or min(map(len, groups.values())) < _MANY:
        return [rows] if rows else []
    return list(groups.values())


def _parsed(row: _Finding, side: str) -> tuple[str, str, str]:
    arn, name = row[f"{side}_arn"] or "", row[f"{side}_name"] or ""
    match = _ARN.match(arn)
    if match is None or not name or not match["rest"].endswith(name):
        return "", arn, ""
    begin = f"{match['head']}{{}}{match['type']}" if match["account"] == row["account_id"] else ""
    return begin, match["rest"], match["rest"].removesuffix(name)


def _shortened(rows: list[_Finding], side: str) -> tuple[str, list[str]]:
    parsed = [_parsed(row, side) for row in rows]
    begins = Counter(begin for begin, _, _ in parsed if begin).most_common(1)
    most = begins[0][0] if begins else ""
    return most, [
        rest if begin == most else row[f"{side}_arn"] or "" for row, (begin, rest, _) in zip(rows, parsed, strict=True)
    ]


def _link(row: _Finding) -> str:
    # The AWS console has no page for an instance profile.
    console = CONSOLES.get(partition_of(row["resource_arn"] or "") or "") if row["resource_type"] == "role" else None
    return f"{console}/iam/home#/roles/details/{quote(row['resource_name'], safe='')}" if console else ""


def _step(row: _Finding, related: str, steps: _Steps) -> int:
    command, name = row["next_step"], row["related_name"] or ""
    if not command:
        return -1
    values = {place: row[of] for of, place in _PLACES.items()}
    # The page takes the name of the related resource from the end of its ARN.
    if related[:1] != "/" or "/" in name:
        values[_PLACES["related_name"]] = None
    if not any(place in command for place in values):
        for place, value in values.items():
            command = command.replace(value, place) if value else command
    return steps.setdefault((command, row["next_step_changes"]), len(steps))


def _coverage(result: Result, words: Translator) -> dict[str, _Coverage]:
    coverage: dict[str, _Coverage] = {name: {} for name in result.checks}
    columns = (result.coverage[name].tolist() for name in ("check", "account_id", "status"))
    for of, account, status, said in zip(*columns, words.sentences(result.coverage), strict=True):
        coverage[of].setdefault((status, said), []).append(sys.intern(account))
    return coverage


def _joined(one: _Coverage, other: _Coverage) -> _Coverage:
    return {key: one.get(key, []) + other.get(key, []) for key in one | other}


def _worst_first(incomplete: _Coverage) -> list[tuple[str, tuple[str, ...], list[str]]]:
    groups = [(status, said, [*filter(None, accounts)]) for (status, said), accounts in incomplete.items()]
    return sorted(groups, key=lambda group: (-STATUSES.index(group[0]), -len(group[2]), group[2], group[1]))
