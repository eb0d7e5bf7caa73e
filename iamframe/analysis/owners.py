"""Whose the findings are: counted by the value of a tag that names the owner."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks.owner import OWNER_TAG, owners
from iamframe.checks.result import Result
from iamframe.inventory import schema
from iamframe.inventory.arrow import is_in, joined_key
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
    whole = is_in(findings["resource_type"], pa.array(_OF_ACCOUNTS))
    owned = np.asarray(owner.is_valid())
    state = np.select([owned, whole, unread], ["owned", "account", "unread"], "none")
    keys = joined_key(pa.array(state), pc.if_else(owned, owner, ""), findings["severity"])
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for pair in pc.value_counts(keys).to_pylist():
        # A value may hold whatever it likes.
        one, rest = pair["values"].split("\x1f", 1)
        name, severity = rest.rsplit("\x1f", 1)
        counts.setdefault((one, name), dict.fromkeys(SEVERITIES, 0))[severity] = pair["counts"]
    rows = sorted(counts.items(), key=lambda row: (STATES.index(row[0][0]), -sum(row[1].values()), row[0][1]))
    columns: dict[str, list[object]] = {
        "owner": [name if one == "owned" else None for (one, name), _ in rows],
        "state": [one for (one, _), _ in rows],
        "findings": [sum(of.values()) for _, of in rows],
    }
    return schema.FINDINGS_BY_OWNER.conform(columns | {name: [of[name] for _, of in rows] for name in SEVERITIES})
