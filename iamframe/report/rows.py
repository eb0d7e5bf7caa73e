"""The findings as the page shows them: which rows, which columns, and what of a row stands only once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pandas as pd

from iamframe.analysis.owners import owner_states
from iamframe.checks.registry import STATUSES, Check
from iamframe.checks.result import Result
from iamframe.knowledge.arn import CONSOLES, partition_of
from iamframe.knowledge.makers import GUESS, known_makers
from iamframe.messages.render import text_of
from iamframe.messages.text import SEVERITIES
from iamframe.report.translate import Translator

# A browser lays out more too slowly; the CSV files beside the page have all.
MAX_ROWS = 10_000
MIN_ROWS_PER_CHECK = 300
COLUMNS = ("name", "path", "found", "relation", "maker", "owner", "account")
CHUNK = 100
# What so many rows or more have in common stands above them, once.
_MANY = 3
_FEW = 5
# The letters that stand for a row's own values in a command, so that commands that are alike stand on the page once.
_PLACES = {"resource_arn": "\ue000", "related_arn": "\ue001", "resource_name": "\ue002", "related_name": "\ue003"}
_ARN = r"(?s)^(?P<head>arn:[^:]*:iam::)(?P<account>[^:]*)(?P<type>:(?:role|instance-profile))(?P<rest>/.*)$"

_Steps = dict[tuple[str, bool], int]
_Seen = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class FindingTable:
    """FindingTable of one table: `columns` are its heads by name, `common` what all its rows have in common.

    `arns` and `related` are how their ARNs begin, with `{}` for the account; path and name follow.
    """

    columns: tuple[str, ...]
    chunks: list[list[dict[str, Any]]]
    size: int
    common: dict[str, str]
    severity: str
    arns: str
    related: str

    @property
    def console(self) -> str:
        """Return the console of the partition that the rows are in."""
        return CONSOLES.get(partition_of(f"{self.related or self.arns}/") or "", "")


@dataclass(frozen=True, slots=True)
class Part:
    """The findings of a check that are to fix, or those that need no action: how many there are, and as tables."""

    total: int
    shown: int
    tables: list[FindingTable]


@dataclass(frozen=True, slots=True)
class Section:
    """One check on the page."""

    check: Check
    title: str
    why: str
    remediation: str
    status: str
    coverage: list[tuple[str, str, list[str]]]
    to_fix: Part
    no_action: Part
    accepted: int
    steps: list[tuple[str, bool]]
    first: dict[str, Any] | None

    @property
    def name(self) -> str:
        """The check's name."""
        return self.check.name

    @property
    def total(self) -> int:
        """All its findings."""
        return self.to_fix.total + self.no_action.total

    @property
    def worst(self) -> int:
        """Accounts of which the check saw as little as its status says."""
        return sum(len(accounts) for status, _, accounts in self.coverage if status == self.status)


def allotted(counts: Mapping[str, tuple[int, int]], most: int = MAX_ROWS) -> dict[str, tuple[int, int]]:
    """Return how many rows each check shows, of those to fix and of those that need no action.

    The most severe checks come first. Each shows `MIN_ROWS_PER_CHECK` or all it has; what is left goes to the rows to
    fix of the first checks, then to the others.
    """
    shown = {}
    for name, (to_fix, no_action) in counts.items():
        least = min(to_fix, MIN_ROWS_PER_CHECK)
        shown[name] = [least, min(no_action, MIN_ROWS_PER_CHECK - least)]
    left = most - sum(map(sum, shown.values()))
    for part in (0, 1):
        for name, of in counts.items():
            more = max(min(of[part] - shown[name][part], left), 0)
            shown[name][part] += more
            left -= more
    return {name: (to_fix, no_action) for name, (to_fix, no_action) in shown.items()}


def sections_of(result: Result, words: Translator, most: int = MAX_ROWS, *, is_masked: bool = False) -> list[Section]:
    """Return the checks of a result as the page shows them, by severity, with at most so many rows in all."""
    findings = result.findings if words.lang == "en" else result.findings_in(words.lang)
    findings = findings.assign(no_action=findings["expected"] | findings["accepted"].notna())
    of_check = dict(list(findings.groupby("check", sort=False)))
    parts = {}
    for name, _ in sorted(result.checks.items(), key=lambda item: SEVERITIES.index(item[1].severity)):
        mine = of_check.get(name, findings[:0])
        parts[name] = mine[~mine["no_action"]], mine[mine["no_action"]]
    shown = allotted({name: (len(to_fix), len(others)) for name, (to_fix, others) in parts.items()}, most)
    coverage = _coverage(result, words)
    show = _Show(
        words,
        has_accounts=len(result.inventory.accounts) > 1,
        has_owners=bool(findings["owner"].notna().any()),
        is_masked=is_masked,
        managing=frozenset(one.name for one in (*result.policy.makers, *known_makers()) if one.wants_back),
    )
    return [show.section(result.checks[name], parts[name], shown[name], coverage[name]) for name in parts]


@dataclass(frozen=True, slots=True)
class _Show:
    """How findings are shown in one report."""

    words: Translator
    has_accounts: bool
    has_owners: bool
    is_masked: bool
    # Services and tools that manage what they create.
    managing: frozenset[str]

    def section(
        self, check: Check, parts: tuple[pd.DataFrame, pd.DataFrame], shown: tuple[int, int], coverage: list[_Seen]
    ) -> Section:
        steps: _Steps = {}
        to_fix, no_action = (
            Part(len(part), most, [self.rows(group, steps) for group in _groups(part.head(most))])
            for part, most in zip(parts, shown, strict=True)
        )
        title, why, remediation = (
            str(text_of(f"checks.{check.name}.{text}", self.words.lang, getattr(check, text)))
            for text in ("title", "why", "remediation")
        )
        return Section(
            check=check,
            title=title,
            why=why,
            remediation=remediation,
            status=max((status for _, status, _ in coverage), key=STATUSES.index, default="unknown"),
            coverage=_grouped(coverage),
            to_fix=to_fix,
            no_action=no_action,
            accepted=int(parts[1]["accepted"].notna().sum()),
            steps=list(steps),
            first=_first(parts[0]),
        )

    def rows(self, findings: pd.DataFrame, steps: _Steps) -> FindingTable:
        """Return findings of one check as rows; their commands are added to `steps`."""
        findings = findings.reset_index(drop=True)
        arns, own, paths = _arns(findings, "resource")
        related, other, _ = _arns(findings, "related")
        cells = self._cells(findings, paths)
        common = {
            name: values[0]
            for name, values in cells.items()
            if name in ("found", "relation", "maker", "certainty") and len(values) >= _MANY and len(set(values)) == 1
        }
        columns = tuple(name for name, values in cells.items() if self._is_column(name, values) and name not in common)
        severity = str(findings["severity"].mode().iat[0])
        rows = {
            "cells": zip(*(cells[name] for name in columns), strict=True),
            "href": _links(findings, own) if not self.is_masked else [""] * len(own),
            # What account, path and name say already is not said again.
            "arn": ["" if short[:1] == "/" else short for short in own],
            "related": other,
            "step": _steps(findings, other, steps),
            "managed": _is_managed(findings, self.managing),
            "severity": findings["severity"].where(findings["severity"] != severity, "").tolist(),
            "mark": cells["certainty"] if "certainty" not in common else [""] * len(own),
            "accepted": findings["accepted"].fillna("").tolist(),
            "id": findings["finding_id"].where(_needs_id(findings), "").tolist(),
        }
        listed = [dict(zip(rows, row, strict=True)) for row in zip(*rows.values(), strict=True)]
        chunks = [listed[start : start + CHUNK] for start in range(0, len(listed), CHUNK)]
        shown = {name: value for name, value in common.items() if value}
        return FindingTable(columns, chunks, len(listed), shown, severity, arns, related)

    def _cells(self, findings: pd.DataFrame, paths: list[str]) -> dict[str, list[str]]:
        maker = findings["maker"].where(findings["maker_basis"] != GUESS, findings["maker"] + "?")
        # An owner that is known to be none is an empty cell.
        state = {"none": ""} | {name: self.words(f"cell_{name}") for name in ("unread", "account")}
        owners = zip(findings["owner"].tolist(), owner_states(findings), strict=True)
        certainty = findings["certainty"].where(findings["certainty"] != "certain", "")
        return {
            "name": findings["resource_name"].fillna("").tolist(),
            "path": paths,
            "found": findings["detail"].fillna("").tolist(),
            "relation": [self.words.word(value) for value in findings["relation"].fillna("")],
            "maker": maker.fillna("").tolist(),
            "owner": [state.get(kind, owner) for owner, kind in owners],
            "account": findings["account_id"].tolist(),
            "certainty": [self.words.word(value) if value else "" for value in certainty],
        }

    def _is_column(self, name: str, values: list[str]) -> bool:
        chosen = {"name": True, "account": self.has_accounts, "owner": self.has_owners, "certainty": False}
        return chosen.get(name, any(values))


def _groups(findings: pd.DataFrame) -> list[pd.DataFrame]:
    """Return findings in groups of the same text, where that leaves few and none is small; else all in one."""
    sizes = findings["detail"].value_counts()
    if len(sizes) > _FEW or sizes.min() < _MANY:
        return [findings] if len(findings) else []
    return [group for _, group in findings.groupby("detail", sort=False)]


def _arns(findings: pd.DataFrame, side: str) -> tuple[str, list[str], list[str]]:
    """Return how most ARNs of a side begin; each ARN, what follows that where it does, else the whole; and its path."""
    arns, names = findings[f"{side}_arn"], findings[f"{side}_name"].fillna("").tolist()
    parts = arns.str.extract(_ARN)
    rests = parts["rest"].fillna("").tolist()
    paths = [rest.removesuffix(name) if name else "" for rest, name in zip(rests, names, strict=True)]
    paths = ["" if path == rest else path for path, rest in zip(paths, rests, strict=True)]
    has_path = pd.Series(map(bool, paths), index=arns.index, dtype=bool)
    begin = (parts["head"] + "{}" + parts["type"]).where(parts["account"] == findings["account_id"])
    begin = begin.where(has_path)
    most = begin.mode()
    common = str(most.iat[0]) if len(most) else ""
    return common, arns.where((begin != common).fillna(True), parts["rest"]).fillna("").tolist(), paths


def _links(findings: pd.DataFrame, own: list[str]) -> list[str]:
    """Return the console's page of each role; a profile has none."""
    roles = zip(findings["resource_type"].tolist(), findings["resource_name"].tolist(), own, strict=True)
    arns = findings["resource_arn"].fillna("").tolist()
    return [
        f"{CONSOLES[partition]}/iam/home#/roles/details/{quote(name, safe='')}"
        if kind == "role" and short[:1] == "/" and (partition := partition_of(arn)) in CONSOLES
        else ""
        for (kind, name, short), arn in zip(roles, arns, strict=True)
    ]


def _needs_id(findings: pd.DataFrame) -> pd.Series:
    """Return which findings only their id tells apart for a policy file: `*` in it stands for any text."""
    arns = findings["resource_arn"].fillna("*") + findings["related_arn"].fillna("")
    return arns.str.contains("*", regex=False)


def _is_managed(findings: pd.DataFrame, managing: frozenset[str]) -> list[bool]:
    """Return where the command would change what a service or tool surely manages: a plan leaves that alone."""
    is_sure = findings["maker"].isin(managing) & (findings["maker_basis"] != GUESS)
    return (findings["next_step_changes"] & is_sure).tolist()


def _steps(findings: pd.DataFrame, related: list[str], steps: _Steps) -> list[int]:
    """Return the number of each command among those with places for a row's values, and add new ones; -1 without."""
    # The page has the name of what is related as the end of its ARN.
    names = findings["related_name"].fillna("").tolist()
    named = [name if short[:1] == "/" and "/" not in name else "" for short, name in zip(related, names, strict=True)]
    values = [findings[name].fillna("").tolist() for name in _PLACES if name != "related_name"] + [named]
    commands = zip(findings["next_step"].fillna("").tolist(), findings["next_step_changes"].tolist(), strict=True)
    numbers = []
    for (command, changes), *own in zip(commands, *values, strict=True):
        if not any(place in command for place in _PLACES.values()):
            for value, place in zip(own, _PLACES.values(), strict=True):
                command = command.replace(value, place) if value else command  # noqa: PLW2901 - until it is the pattern
        numbers.append(steps.setdefault((command, changes), len(steps)) if command else -1)
    return numbers


def _first(findings: pd.DataFrame) -> dict[str, Any] | None:
    """Return the first finding that has a name and a next step."""
    named = findings[findings["resource_name"].notna() & findings["next_step"].notna()]
    return dict(zip(named.columns, named.iloc[0], strict=True)) if len(named) else None


def _coverage(result: Result, words: Translator) -> dict[str, list[_Seen]]:
    coverage: dict[str, list[_Seen]] = {name: [] for name in result.checks}
    columns = (result.coverage[name].tolist() for name in ("check", "account_id", "status"))
    for of, account, status, reason in zip(*columns, words.reasons(result.coverage), strict=True):
        coverage[of].append((account, status, reason))
    return coverage


def _grouped(coverage: list[_Seen]) -> list[tuple[str, str, list[str]]]:
    """Return the statuses that are not complete, and their reasons, with the accounts that share them, worst first."""
    groups: dict[tuple[str, str], list[str]] = {}
    for account, status, reason in coverage:
        if status != "complete":
            groups.setdefault((status, reason), []).append(account)
    ordered = sorted(groups.items(), key=lambda item: (-STATUSES.index(item[0][0]), -len(item[1]), item[0][1]))
    return [(status, reason, accounts) for (status, reason), accounts in ordered]
