"""Findings by owner: counts by the value of the owner tag."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from iamframe.checks.owner import OWNER_TAG, owners
from iamframe.checks.result import Result
from iamframe.inventory import schema
from iamframe.messages.text import SEVERITIES

STATES = ("owned", "none", "unread", "account")
_OF_ACCOUNTS = ("account", "tag key")


@schema.shows(schema.FINDINGS_BY_OWNER)
def findings_by_owner(result: Result, tag_key: str = OWNER_TAG) -> pd.DataFrame:
    """Return the number of findings per owner, by severity. Accepted findings are left out.

    The owner is the value of the resource's owner tag. If a profile has no owner tag, its role's owner tag counts.
    Keys that look the same, such as `owner` and `OWNER`, count as `tag_key`. If a resource has several such keys, the
    key spelled like `tag_key` counts. An empty value counts as no owner. Each finding counts once, so the sum is the
    number of findings. `iamframe.exploring.grouped` differs: if role and profile have different values, it counts a
    finding for both values.

    The frame has one row per owner; owners with the most findings come first. Up to three more rows count findings
    without an owner, findings whose tags were not collected, and findings about a whole account. No request is made to
    AWS.
    """
    findings = result.findings[result.findings["accepted"].isna()]
    if tag_key != result.owner_tag:
        owner, unread = owners(result.inventory, findings, tag_key)
        findings = findings.assign(owner=owner.to_pandas().array, owner_known=~unread)
    each = findings[["owner", "severity"]].assign(state=owner_states(findings))
    return schema.FINDINGS_BY_OWNER.conform(count_by_value(each, "owner", "state", STATES))


def owner_states(findings: pd.DataFrame) -> npt.NDArray[np.str_]:
    """Return, for each finding, the state of its owner: one of `STATES`."""
    whole = findings["resource_type"].isin(_OF_ACCOUNTS)
    return np.select(
        [findings["owner"].notna(), whole, ~findings["owner_known"]], ["owned", "account", "unread"], "none"
    )


def joined_owners(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Return the sums of two frames of `findings_by_owner`, which are about two parts of a result."""
    keys = ["state", "owner"]
    counts = pd.concat([one, other]).groupby(keys, dropna=False)[list(SEVERITIES)].sum().reset_index()
    return schema.FINDINGS_BY_OWNER.conform(_by_number(counts, "owner", "state", STATES))


def count_by_value(rows: pd.DataFrame, value: str, state: str, states: Sequence[str]) -> pd.DataFrame:
    """Count rows by severity, for each value and state.

    `value` and `state` are names of columns. Only the first state has one row per value. Each other state has one row
    without a value. The states are in the order of `states`. Within a state, the values with the most rows come first.
    """
    rows = rows.assign(**{value: rows[value].astype("str").fillna("").where(rows[state] == states[0], "")})
    counts = rows.groupby([state, value, "severity"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=list(SEVERITIES), fill_value=0).reset_index()
    return _by_number(counts.assign(**{value: counts[value].where(counts[state] == states[0])}), value, state, states)


def _by_number(counts: pd.DataFrame, value: str, state: str, states: Sequence[str]) -> pd.DataFrame:
    """Add the number of findings of any severity, and sort by state, number and value."""
    counts = counts.assign(findings=counts[list(SEVERITIES)].sum(axis=1), rank=counts[state].map(list(states).index))
    return counts.sort_values(["rank", "findings", value], ascending=[True, False, True])
