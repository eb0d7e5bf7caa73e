"""What comes back from the checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks.coverage import tag_policy
from iamframe.checks.registry import CHECKS, STATUSES
from iamframe.checks.tag_policy import Policy
from iamframe.inventory import display, schema, views
from iamframe.inventory.inventory import Inventory
from iamframe.messages.text import SEVERITIES, count_complete, pluralize

_REASONS_SHOWN = 10
_NAMED = 3


@schema.shows(schema.FINDINGS, schema.COVERAGE)
@dataclass(frozen=True)
class Result:
    """What the checks found, and how far each can be trusted.

    `findings` has one row per resource and related resource of a check, by severity, check and ARN; `coverage` one row
    per account and check: an account without findings of a check has none if its status is `complete`. `pairs` and
    `lists` are the views that the checks read.
    """

    inventory: Inventory
    findings: pd.DataFrame
    coverage: pd.DataFrame
    checks: tuple[str, ...]
    policy: Policy
    pairs: pd.DataFrame
    lists: pd.DataFrame

    @cached_property
    def tag_coverage(self) -> pd.DataFrame:
        """How many roles and profiles of each account carry each tag key."""
        return views.tag_coverage(self.inventory)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per check: its severity, its findings, those expected or accepted, and its accounts by coverage."""
        counts = self.findings.groupby("check")
        statuses = self.coverage.groupby(["check", "status"]).size().unstack(fill_value=0)
        names = list(self.checks)
        frame = pd.DataFrame(
            {
                "check": names,
                "title": [CHECKS[name].title for name in names],
                "severity": [CHECKS[name].severity for name in names],
                "findings": counts.size().reindex(names, fill_value=0).to_numpy(),
                "expected": counts["expected"].sum().reindex(names, fill_value=0).to_numpy(),
                "accepted": counts["accepted"].count().reindex(names, fill_value=0).to_numpy(),
            }
        )
        for status in STATUSES:
            column = statuses[status] if status in statuses else pd.Series(dtype=int)
            frame[status] = column.reindex(names, fill_value=0).to_numpy()
        return frame

    @property
    def asked(self) -> tuple[str, ...]:
        """The checks that somebody asked for: without a tag policy, none of those that need one."""
        has_policy = bool(self.policy.required)
        return tuple(name for name in self.checks if has_policy or tag_policy not in CHECKS[name].needs)

    @property
    def said_complete(self) -> str:
        """How many checks are complete in every account, in words; none is where no account could be told."""
        accounts = len(self.inventory.accounts)
        return count_complete(int((self.summary["complete"] == accounts).sum()) if accounts else 0, len(self.checks))

    def __repr__(self) -> str:
        """Return the number of findings by severity, and how many checks are complete, in one line."""
        counts = self.findings["severity"].value_counts()
        by_severity = ", ".join(f"{counts[name]:,} {name}" for name in SEVERITIES if name in counts) or "none"
        return f"Result({pluralize(len(self.findings), 'finding')}: {by_severity}; {self.said_complete})"

    def _repr_html_(self) -> str:
        """Return what could not be checked, then the checks with their findings, as a notebook shows it."""
        unsure = self.coverage[self.coverage["status"] != "complete"]
        reasons = said_not_complete(unsure)
        summary = self.summary
        columns = ["check", "title", "severity", "findings", "expected", "accepted", *STATUSES]
        head = (*columns[:6], *(f"accounts {status}" for status in STATUSES))
        rows = display.cell_rows(summary[columns])
        parts = [display.html_line(f"{pluralize(len(self.findings), 'finding')}; {self.said_complete}.")]
        if reasons:
            parts.append(display.html_table(("not complete", "accounts", "why"), reasons[:_REASONS_SHOWN]))
            if len(reasons) > _REASONS_SHOWN:
                parts.append(
                    display.html_line(f"and {pluralize(len(reasons) - _REASONS_SHOWN, 'more reason')}, in .coverage")
                )
        return "".join([*parts, display.html_table(head, rows)])


def said_not_complete(unsure: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return, of coverage that is not complete, the distinct reasons: checks, accounts, and why, the widest first."""
    told = []
    for (status, reason), rows in unsure.groupby(["status", "reason"], sort=False):
        checks, accounts = rows["check"].unique(), rows["account_id"].unique()
        told.append((len(rows), some(checks), str(status), some(accounts), str(reason)))
    told.sort(key=lambda row: -row[0])
    return [(f"{checks} ({status})", accounts, reason) for _, checks, status, accounts, reason in told]


def some(names: Iterable[str]) -> str:
    """Return names in a row, and how many more there are than three."""
    every = list(names)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more


def by_severity(findings: pa.Table) -> pa.Table:
    """Return findings by severity, check and ARN."""
    if not len(findings):
        return findings
    severity = pc.index_in(findings["severity"], value_set=pa.array(SEVERITIES))
    keyed = findings.append_column("rank", severity)
    keys = [(name, "ascending") for name in ("rank", "check", "resource_arn", "related_arn", "detail")]
    return findings.take(pc.sort_indices(keyed, keys))
