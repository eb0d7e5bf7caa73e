"""The result of the checks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

import iamframe
from iamframe.checks.coverage import required_tags
from iamframe.checks.findings import Found
from iamframe.checks.owner import OWNER_TAG, owners
from iamframe.checks.registry import STATUSES, Check
from iamframe.checks.tag_policy import Policy
from iamframe.errors import UnknownCheckError
from iamframe.inventory import display, schema, views
from iamframe.inventory.arrow import Positions, as_arrow, index_in, is_in, lookup, memory_of_system, on_two_cores
from iamframe.inventory.inventory import Inventory
from iamframe.messages.render import render_facts, say, text_of
from iamframe.messages.text import SEVERITIES, pluralize
from iamframe.version import __version__

# The last two columns make the order unique, so that shards and a single process give the same order.
_ORDER = ("rank", "check", "order", "resource_arn", "related_arn", "detail", "account_id", "finding_id")
_REASONS_SHOWN = 10
_NAMED = 3


@schema.shows(schema.FINDINGS, schema.COVERAGE)
@dataclass(frozen=True)
class Result:
    """The findings, and whether each check had complete data.

    The frame `findings` has one row per finding, sorted by severity and check. In most checks, the findings are sorted
    by ARN. In `unreferenced_profiles` and `ec2_roles_without_profile`, findings whose role has an AWS managed
    administrator policy come first. The details of one check's findings are in `result["CHECK"]`, such as
    `result["empty_profiles"]`. The frame `coverage` shows whether each check had complete data in each account. Trust
    an empty list of findings only if the status in `coverage` is `complete`. The mapping `checks` contains the checks
    that ran, by name. `pairs` shows each profile in one row with the role that it holds. `lists` has one row per
    account, and shows which lists of resources are complete. The field `version` is the version of iamframe that ran
    the checks.
    """

    inventory: Inventory
    found: Mapping[str, Found]
    coverage: pd.DataFrame
    checks: Mapping[str, Check]
    policy: Policy
    pairs: pd.DataFrame
    lists: pd.DataFrame
    owner_tag: str = OWNER_TAG
    version: str = __version__

    def parts(self, *, neighbours: bool = False) -> Iterator[Result]:  # noqa: ARG002 - a subclass has neighbours
        """Divide the accounts into groups, and yield one `Result` per group, in order of the account ids.

        No account is in two groups. If `neighbours` is true, the inventory of each `Result` also contains data of
        other accounts to which the group's accounts refer. For example, a launch template of one account can name
        another account's profile.
        """
        yield self

    @property
    def findings(self) -> pd.DataFrame:
        """The findings of all checks, one row per finding. A change to this frame does not change the result."""
        return self.with_order[0].copy(deep=False)

    @cached_property
    def with_order(self) -> tuple[pd.DataFrame, Positions]:
        """The findings of all checks, and their sort order (the column `order` of `sorted_findings`)."""
        return frame_and_order(self.sorted_findings("en"))

    def only(self, finding_ids: Iterable[str]) -> Result:
        """Return a copy of the result with only the findings that have one of the given finding ids.

        The frame `coverage` stays the same.
        """
        chosen = pa.array([finding_ids] if isinstance(finding_ids, str) else finding_ids, from_pandas=True)
        found = {name: one.only(is_in(one.table["finding_id"], chosen)) for name, one in self.found.items()}
        return replace(self, found=found)

    def findings_in(self, lang: str) -> pd.DataFrame:
        """Return the findings with their details in the language `lang`: `en` or `ja`."""
        return schema.FINDINGS.from_arrow(self.sorted_findings(lang))

    @memory_of_system()
    def sorted_findings(self, lang: str) -> pa.Table:
        """Return the findings, sorted, as an Arrow table.

        The additional column `order` sorts findings of the same check and severity.
        """
        each = ((self.found[name], check) for name, check in self.checks.items())
        parts = [_findings_of(found, check, lang) for found, check in each if len(found.table)]
        if not parts:
            return schema.FINDINGS.arrow.empty_table().append_column("order", pa.array([], pa.int64()))
        table = pa.concat_tables(parts)
        found = table.select(["resource_type", "resource_arn", "related_arn"]).to_pandas()
        owner, unread = owners(self.inventory, found, self.owner_tag)
        # An account has no owner tag that could be missing.
        unread &= (found["resource_type"] != "account").to_numpy(bool)
        accounts = self.inventory.accounts
        account = lookup(accounts["account_name"], index_in(table["account_id"], accounts["account_id"]))
        for name, values in (("account_name", account), ("owner", owner), ("owner_known", pa.array(~unread))):
            table = table.append_column(name, values)
        return by_severity(table.select([*schema.FINDINGS.names, "order"]))

    def __getitem__(self, check: str) -> pd.DataFrame:
        """Raise UnknownCheckError if the check did not run."""
        if check not in self.checks:
            raise UnknownCheckError(
                f"{check}: that check did not run; the checks that ran are {', '.join(self.checks)}"
            )
        found = self.found[check]
        return found.keyed([name for name in found.facts if not str(name).startswith("_") and name != "finding"])

    def explain(self, name: str, **given: Any) -> Any:
        """Return everything known about a role or profile, as `iamframe.explain(result, name)` does."""
        return iamframe.explain(self, name, **given)

    def plan(self, **given: Any) -> Any:
        """Return a clean-up plan, as `iamframe.plan(result)` does."""
        return iamframe.plan(self, **given)

    def write(self, out: str | os.PathLike[str], **given: Any) -> Path:
        """Write the report into a folder, as `iamframe.write_report(result, out)` does."""
        return iamframe.write_report(self, out, **given)

    @cached_property
    def attention(self) -> pd.Series:
        """The number of resources that need attention, by severity.

        A resource of any type needs attention if one of its findings is neither expected nor accepted. Each resource
        is counted once, with the highest severity of these findings. Each finding without an ARN counts as a resource
        of its own.
        """
        return attention_in(self.findings)

    @cached_property
    def most_severe(self) -> pd.DataFrame:
        """The most severe finding of each resource, not counting expected and accepted findings.

        The columns are the same as in the frame `findings`.
        """
        return _most_severe(self.findings)

    @cached_property
    def tally(self) -> pd.DataFrame:
        """The number of findings, grouped by the columns `check`, `severity`, `expected` and `accepted`."""
        return tally_of(self.findings)

    @cached_property
    def used_profiles(self) -> pa.Array:
        """The ARN of the collected profile that each row of `references` points to, or a missing value."""
        return as_arrow(self.inventory.references["profile_arn"])

    @cached_property
    def tag_coverage(self) -> pd.DataFrame:
        """How many roles, and how many profiles, of each account have each tag key."""
        return views.tag_coverage(self.inventory)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per check, with the check's title, its severity, and the total number of its findings.

        The columns `complete`, `partial` and `unknown` contain the number of accounts in which the check has this
        status.
        """
        tally, names = self.tally, list(self.checks)
        statuses = counts_by_check(self.coverage, "status", names, STATUSES)

        def count(rows: pd.DataFrame) -> Any:
            return rows.groupby("check")["findings"].sum().reindex(names, fill_value=0).to_numpy()

        return pd.DataFrame(
            {
                "check": names,
                "title": [one.title for one in self.checks.values()],
                "severity": [one.severity for one in self.checks.values()],
                "findings": count(tally),
                "expected": count(tally[tally["expected"]]),
                "accepted": count(tally[tally["accepted"].notna()]),
                **{status: statuses[status].to_numpy() for status in STATUSES},
            }
        )

    @property
    def asked(self) -> tuple[str, ...]:
        """The names of the checks that ran. If no policy requires tags, checks of required tags are left out."""
        has_policy = self.policy.demands_tags
        return tuple(name for name, one in self.checks.items() if has_policy or required_tags not in one.needs)

    @property
    def complete_text(self) -> str:
        """A sentence that says how many checks had complete data in every account."""
        return self.complete_in("en")

    def complete_in(self, lang: str) -> str:
        """Return the same sentence as `complete_text`, in the language `lang`."""
        accounts, checks = self.inventory.row_counts()["accounts"], len(self.checks)
        complete = int((self.summary["complete"] == accounts).sum()) if accounts else 0
        incomplete = accounts - int(self.summary["complete"].min()) if checks else 0
        state = "all" if complete == checks else "some" if complete else "none"
        if checks == 0:
            state = "empty"
        if checks == 1:
            state = "alone" if complete else "not_alone"
        facts = {"complete": complete, "checks": checks, "incomplete": incomplete, "accounts": accounts}
        return say(f"coverage.complete.{state}", lang, **facts)

    def __repr__(self) -> str:
        counts = self.tally.groupby("severity")["findings"].sum()
        by_severity = ", ".join(f"{counts[name]:,} {name}" for name in SEVERITIES if name in counts)
        found = pluralize(int(counts.sum()), "finding") + (f": {by_severity}" if by_severity else "")
        return f"Result({found}; {self.complete_text})"

    def _repr_html_(self) -> str:
        reasons = incomplete_reasons(self.coverage[self.coverage["status"] != "complete"])
        columns = ["check", "title", "severity", "findings", "expected", "accepted", *STATUSES]
        head = (*columns[:6], *(f"accounts {status}" for status in STATUSES))
        rows = display.cell_rows(self.summary[columns])
        parts = [display.html_line(f"{pluralize(int(self.tally['findings'].sum()), 'finding')}; {self.complete_text}.")]
        if reasons:
            parts.append(display.html_table(("not complete", "accounts", "why"), reasons[:_REASONS_SHOWN]))
            if len(reasons) > _REASONS_SHOWN:
                parts.append(
                    display.html_line(f"and {pluralize(len(reasons) - _REASONS_SHOWN, 'more reason')}, in .coverage")
                )
        return "".join([*parts, display.html_table(head, rows)])


def _findings_of(found: Found, check: Check, lang: str) -> pa.Table:
    facts, of, size = found.facts, found.numbers, len(found.table)
    text = text_of(f"checks.{check.name}.detail", lang, check.detail)
    detail = render_facts(text, found.column, of, size, lang)
    starts = np.searchsorted(of, np.arange(size))
    order = facts["_order"].to_numpy()[starts] if "_order" in facts else np.zeros(size, dtype=np.int64)
    return found.table.append_column("detail", detail).append_column("order", pa.array(order))


def frame_and_order(table: pa.Table) -> tuple[pd.DataFrame, Positions]:
    return schema.FINDINGS.from_arrow(table), table["order"].to_numpy()


def _most_severe(findings: pd.DataFrame) -> pd.DataFrame:
    findings = findings[~findings["expected"] & findings["accepted"].isna()]
    resource = findings["resource_arn"].fillna(findings["finding_id"])
    # Findings are sorted by severity, so the first of each resource is its most severe.
    return findings[~findings[["account_id"]].assign(resource=resource).duplicated()]


def attention_in(findings: pd.DataFrame) -> pd.Series:
    severity = _most_severe(findings)["severity"]
    return severity.value_counts().reindex(SEVERITIES, fill_value=0).rename("resources")


def tally_of(findings: pd.DataFrame) -> pd.DataFrame:
    counts = findings.groupby(["check", "severity", "expected", "accepted"], dropna=False, observed=True).size()
    return counts.rename("findings").reset_index()


def counts_by_check(frame: pd.DataFrame, column: str, checks: Iterable[str], values: Iterable[str]) -> pd.DataFrame:
    """For each check, count the rows by their value in a column."""
    counts: pd.DataFrame = frame.groupby(["check", column]).size().unstack(fill_value=0)
    return counts.reindex(index=[*checks], columns=[*values], fill_value=0)


def incomplete_reasons(unsure: pd.DataFrame) -> list[tuple[str, str, str]]:
    reasons = []
    for (status, reason), rows in unsure.groupby(["status", "reason"], sort=False):
        checks, accounts = rows["check"].unique(), rows["account_id"].unique()
        reasons.append((len(rows), some(checks), str(status), some(accounts), str(reason)))
    reasons.sort(key=lambda row: -row[0])
    return [(f"{checks} ({status})", accounts, reason) for _, checks, status, accounts, reason in reasons]


def some(names: Iterable[str]) -> str:
    """Return a text with up to three names, and the number of further names."""
    every = list(names)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more


def by_severity(findings: pa.Table) -> pa.Table:
    if not len(findings):
        return findings
    severity = pc.index_in(findings["severity"].cast(pa.string()), value_set=pa.array(SEVERITIES))
    keyed = findings.append_column("rank", severity)
    keys = [(name, "ascending") for name in _ORDER]
    order = pc.sort_indices(keyed, keys)
    columns = on_two_cores(len(findings), *(partial(column.take, order) for column in findings.columns))
    return pa.table(columns, schema=findings.schema)
