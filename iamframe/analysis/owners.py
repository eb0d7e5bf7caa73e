"""Whose the findings are: counted by the value of a tag that names the owner."""

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
    """Return how many findings each owner has, by severity, those that the policy accepts left out.

    The owner is the value of the tag on the finding's resource; where that carries none or its tags were not read, of
    its related resource; and where that has none either, of the role that the profile holds. Keys that read alike
    (`owner`, `OWNER`) count as the one asked for; of several on one resource, that which is spelled as asked for. An
    empty value names nobody. Each finding counts once, so that the rows add up; what carries a value on either side is
    counted by `iamframe.exploring.grouped`.

    One row per owner, those with the most findings first, then what has no owner, what may have one that was not read,
    and what is about an account as a whole, with the columns of `schema.FINDINGS_BY_OWNER`. No request is made to AWS.
    """
    findings = result.findings[result.findings["accepted"].isna()]
    owner, unread = owners(result.inventory, findings, tag_key)
    findings = findings.assign(owner=owner.to_pandas().array, owner_known=~unread)
    each = findings[["owner", "severity"]].assign(state=owner_states(findings))
    return schema.FINDINGS_BY_OWNER.conform(count_by_value(each, "owner", "state", STATES))


def owner_states(findings: pd.DataFrame) -> npt.NDArray[np.str_]:
    """Return what is known of each finding's owner, one of `STATES`."""
    whole = findings["resource_type"].isin(_OF_ACCOUNTS)
    return np.select(
        [findings["owner"].notna(), whole, ~findings["owner_known"]], ["owned", "account", "unread"], "none"
    )


def count_by_value(rows: pd.DataFrame, value: str, state: str, states: Sequence[str]) -> pd.DataFrame:
    """Return how many rows have each value and state, by severity; a value is told of the first state alone.

    States come in their order, and within each the values with the most rows first.
    """
    rows = rows.assign(**{value: rows[value].astype("str").fillna("").where(rows[state] == states[0], "")})
    counts = rows.groupby([state, value, "severity"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=list(SEVERITIES), fill_value=0).reset_index()
    counts = counts.assign(findings=counts[list(SEVERITIES)].sum(axis=1), rank=counts[state].map(list(states).index))
    counts = counts.sort_values(["rank", "findings", value], ascending=[True, False, True])
    return counts.assign(**{value: counts[value].where(counts[state] == states[0])})
