"""The findings of a check with their facts, and functions that create findings from rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory import schema
from iamframe.inventory.arrow import as_arrow, joined_key

_TYPES = {"profile_arn": "instance-profile", "role_arn": "role"}
_FACTS_TOO = ("relation",)
# The columns that are added after the rule has run.
_ADDED = ("account_name", "owner", "owner_known", "detail")
COMMON = schema.FINDINGS.with_columns(*(column for column in schema.FINDINGS.columns if column.name not in _ADDED))


@dataclass(frozen=True)
class Found:
    """The findings of a check and their facts.

    `findings` has one row per finding, with columns of `schema.FINDINGS`.

    `facts` has one or more rows per finding. Its column `finding` is the row number of the finding, in ascending order.
    Columns whose names begin with `_` are internal: only the text, the command and the order of the findings use them.
    """

    findings: pd.DataFrame
    facts: pd.DataFrame

    def only(self, chosen: Any) -> Found:
        """Return the findings that a mask selects, with their facts."""
        chosen = np.asarray(chosen, dtype=bool)
        of = self.facts["finding"].to_numpy()
        facts = self.facts[chosen[of]].reset_index(drop=True)
        numbers = np.cumsum(chosen) - 1
        return Found(self.findings[chosen].reset_index(drop=True), facts.assign(finding=numbers[of[chosen[of]]]))


def findings(
    rows: pd.DataFrame, resource: str, related: str | None = None, facts: pd.DataFrame | None = None, **more: object
) -> Found:
    """Return one finding per row of a frame.

    `resource` and `related` are names of columns with ARNs. Names, account and maker come from the matching columns of
    `rows`. Any other keyword argument sets the column of that name in `schema.FINDINGS`. If there is no such column, it
    is a fact. If a finding has several rows of facts, pass them as `facts`.
    """
    columns: dict[str, Any] = {"resource_arn": rows[resource], "related_arn": rows[related] if related else None}
    columns["resource_type"] = _TYPES.get(resource)
    names = {"resource_name": resource, "related_name": related or ""}
    columns |= {name: rows[of.replace("_arn", "_name")] for name, of in names.items() if of in _TYPES}
    columns |= {name: rows[name] for name in ("account_id", "maker", "maker_basis") if name in rows}
    known = set(schema.FINDINGS.names)
    columns |= {name: value for name, value in more.items() if name in known}
    if facts is None:
        mine = {name: value for name, value in more.items() if name not in known or name in _FACTS_TOO}
        facts = _frame({"finding": np.arange(len(rows))} | mine, len(rows))
    return Found(_frame(columns, len(rows)), facts)


def _frame(columns: dict[str, Any], size: int) -> pd.DataFrame:
    """Return columns as a frame; values are aligned by position, not by index."""
    values = {
        name: pd.array(as_arrow(given), dtype="str")
        if isinstance(given, (pa.Array, pa.ChunkedArray))
        else given.array
        if isinstance(given, pd.Series)
        else given
        for name, given in columns.items()
        if given is not None
    }
    # Building one frame is faster than adding column after column.
    return pd.DataFrame(values, index=pd.RangeIndex(size))


def found_in(rows: pd.DataFrame) -> Found:
    """Group the rows that a rule returned into findings: one finding per account, resource and related resource.

    A column `_key` separates several findings on the same resource, or findings without a resource.
    """
    rows = rows.reset_index(drop=True)
    missing = pd.Series([None] * len(rows), dtype="str")
    key = joined_key(*(rows.get(name, missing) for name in ("account_id", "resource_arn", "related_arn", "_key")))
    codes = np.asarray(key.dictionary_encode().indices)
    order = np.argsort(codes, kind="stable")
    rows, codes = rows.iloc[order].reset_index(drop=True), codes[order]
    known = [name for name in rows.columns if name in schema.FINDINGS.names or name == "_key"]
    facts = rows[[name for name in rows.columns if name not in known or name in _FACTS_TOO]]
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    return Found(rows[known].iloc[first].reset_index(drop=True), facts.assign(finding=codes))


def finding_ids(found: Mapping[str, pa.Array], keys: pd.Series | None = None) -> pa.Array:
    """Return the id of each finding: a hash of its check, account, resource, related resource, and key."""
    named = pc.if_else(found["resource_arn"].is_null(), found["resource_name"], None) if keys is None else keys
    key = joined_key(*(found[name] for name in ("check", "account_id", "resource_arn", "related_arn")), named)
    # pandas' hash of an object array is SipHash with a fixed key: the same in each process.
    hashes = pd.util.hash_array(key.to_numpy(zero_copy_only=False), categorize=False)
    digits = np.frombuffer(hashes.astype(">u8").tobytes().hex().encode(), dtype="S16")
    return pa.array(digits).cast(pa.string())
