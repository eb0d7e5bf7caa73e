"""What a check found, as facts; and what rules share: findings, and the next command to type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory import schema
from iamframe.inventory.arrow import as_arrow, concat, joined_key, shell_quoted
from iamframe.knowledge.operations import NO_VALUE
from iamframe.messages.render import json_text

_TYPES = {"profile_arn": "instance-profile", "role_arn": "role"}
_FACTS_TOO = ("relation",)
# What the sentence, the accounts and the tags add when findings are shown.
_ADDED = ("account_name", "owner", "owner_known", "detail")
COMMON = schema.FINDINGS.with_columns(*(column for column in schema.FINDINGS.columns if column.name not in _ADDED))


@dataclass(frozen=True)
class Found:
    """What a check found: `findings`, one row each, with columns of `schema.FINDINGS`; and their facts.

    `facts` has one row or more per finding, and in `finding` the number of its row there, ascending. A column whose
    name begins with `_` is for the sentence alone.
    """

    findings: pd.DataFrame
    facts: pd.DataFrame

    def only(self, chosen: Any) -> Found:
        """Return the findings under a mask, with their facts."""
        chosen = np.asarray(chosen, dtype=bool)
        of = self.facts["finding"].to_numpy()
        facts = self.facts[chosen[of]].reset_index(drop=True)
        numbers = np.cumsum(chosen) - 1
        return Found(self.findings[chosen].reset_index(drop=True), facts.assign(finding=numbers[of[chosen[of]]]))


def findings(
    rows: pd.DataFrame, resource: str, related: str | None = None, facts: pd.DataFrame | None = None, **more: object
) -> Found:
    """Return a finding on each row of a frame.

    `resource` and `related` are its columns of ARNs; names, account, maker come from the columns beside them. What else
    is given sets a column of `schema.FINDINGS`, or is a fact. Where a finding has several facts, `facts` holds them.
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
    """Return columns as a frame: values stand by position, whatever their index."""
    values = {
        name: pd.array(as_arrow(given), dtype="str")
        if isinstance(given, (pa.Array, pa.ChunkedArray))
        else given.array
        if isinstance(given, pd.Series)
        else given
        for name, given in columns.items()
        if given is not None
    }
    # One frame of all is made faster than a column after the other is added.
    return pd.DataFrame(values, index=pd.RangeIndex(size))


def found_in(rows: pd.DataFrame) -> Found:
    """Return the rows that a rule gave, one per fact, as findings: one per account, resource and related resource.

    A column `_key` tells findings of one resource, or of none, apart.
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


def command(verb: str, *options: object) -> pa.Array:
    """Return AWS CLI commands: a verb, then names and values of options, each one shell word `--option=value`.

    Missing where the AWS CLI would take a value for the place of a file, and read that.
    """
    parts: list[object] = [f"aws {verb}"]
    for option, value in zip(options[::2], options[1::2], strict=True):
        words = as_arrow(value)
        safe = pc.if_else(pc.match_substring_regex(words, NO_VALUE.pattern), pa.scalar(None, pa.string()), words)
        parts += [f" --{option}=", shell_quoted(safe)]
    return concat(*parts)


def filters(name: str, values: object) -> pa.Array:
    """Return filters as the AWS CLI takes them: its shorthand, or JSON where that would break the value."""
    value = as_arrow(values)
    plain = pc.match_substring_regex(value, r"^[A-Za-z0-9:/_.-]+$")
    as_json = concat(f'[{{"Name":"{name}","Values":[', json_text(value), "]}]")
    return pc.if_else(plain, concat(f"Name={name},Values=", value), as_json)
