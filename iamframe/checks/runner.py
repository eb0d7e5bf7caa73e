"""Run checks over an inventory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks.registry import CHECKS, STATUSES, Check, Evidence, Need, Verdicts
from iamframe.checks.result import Result, by_severity
from iamframe.checks.tag_policy import Policy
from iamframe.errors import PolicyError, UnknownCheckError
from iamframe.inventory import schema, views
from iamframe.inventory.arrow import as_arrow, index_in, joined_key, lookup
from iamframe.inventory.completeness import completeness
from iamframe.inventory.inventory import Inventory


def selected(only: Iterable[str] | None) -> tuple[str, ...]:
    """Return the names of the checks that are asked for, all of them for None.

    Raises
    ------
    UnknownCheckError
        If one does not exist.
    """
    if only is None:
        return tuple(CHECKS)
    names = [only] if isinstance(only, str) else list(only)
    for name in names:
        if name not in CHECKS:
            raise UnknownCheckError(f"no check {name!r}; there are {', '.join(CHECKS)}")
    return tuple(name for name in CHECKS if name in names)


def run(inventory: Inventory, only: Iterable[str] | None, policy: Policy) -> Result:
    """Run the checks over an inventory: what each finds, conformed to the schema, and how far it can be trusted."""
    names = selected(only)
    for accepted in policy.acceptances:
        if accepted.check not in CHECKS:
            whose = f"{policy.path}: [[accepted]]" if policy.path else "an acceptance of the policy"
            raise PolicyError(f"{whose} names {accepted.check!r}, which is no check; there are {', '.join(CHECKS)}")
    evidence = Evidence(inventory, views.pairs(inventory, policy.makers), completeness(inventory), policy)
    frames: dict[str, pd.DataFrame] = inventory.frames | {"pairs": evidence.pairs, "lists": evidence.lists}
    if any("tag_coverage" in CHECKS[name].reads for name in names):
        frames["tag_coverage"] = views.tag_coverage(inventory)
    parts = []
    for name in names:
        one = CHECKS[name]
        options = {option: getattr(policy, option) for option in one.options if hasattr(policy, option)}
        found = one.rule(*(frames[read] for read in one.reads), **options)
        if len(found):
            parts.append(_conformed(one, found, inventory))
    findings = by_severity(pa.concat_tables(parts) if parts else schema.FINDINGS.arrow.empty_table())
    findings = findings.set_column(findings.column_names.index("accepted"), "accepted", policy.accepted(findings))
    coverage = coverage_of(evidence, names, findings)
    return Result(
        inventory, schema.FINDINGS.from_arrow(findings), coverage, names, policy, evidence.pairs, evidence.lists
    )


def _conformed(one: Check, found: pd.DataFrame, inventory: Inventory) -> pa.Table:
    given: Mapping[str, Any] = {name: found[name] for name in found.columns}
    size = len(found)
    arn = as_arrow(found["resource_arn"])
    columns: dict[str, Any] = {
        "check": one.name,
        "severity": one.severity,
        "certainty": one.certainty,
        "expected": False,
        "account_id": None,
        "resource_type": None,
        "resource_name": None,
    } | dict(given)
    if columns["account_id"] is None or columns["resource_type"] is None or columns["resource_name"] is None:
        profile = index_in(arn, inventory.profiles["profile_arn"])
        role = index_in(arn, inventory.roles["role_arn"]) if (profile < 0).any() else np.full(size, -1)
        looked_up = {
            name: pc.coalesce(lookup(inventory.profiles[of_profile], profile), lookup(inventory.roles[of_role], role))
            for name, of_profile, of_role in (
                ("account_id", "account_id", "account_id"),
                ("resource_name", "profile_name", "role_name"),
            )
        }
        looked_up["resource_type"] = pc.if_else(
            pa.array(profile >= 0),
            "instance-profile",
            pc.if_else(pa.array(role >= 0), "role", pa.scalar(None, pa.string())),
        )
        columns |= {name: value for name, value in looked_up.items() if columns[name] is None}
    expected = columns["expected"]
    if not isinstance(expected, bool):
        columns["severity"] = pc.if_else(pa.array(expected), "info", one.severity)
        # What its maker means so wants nothing done.
        step = _array(columns.get("next_step"), pa.string(), size)
        columns["next_step"] = pc.if_else(pa.array(expected), pa.scalar(None, pa.string()), step)
    table = pa.table(
        [_array(columns.get(c.name), c.type, size) for c in schema.FINDINGS.columns], names=schema.FINDINGS.names
    )
    return table.cast(schema.FINDINGS.arrow)


def _array(values: Any, kind: pa.DataType, size: int) -> pa.Array:
    if values is None or isinstance(values, (str, bool)):
        return pa.repeat(pa.scalar(values, kind), size)
    array = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, from_pandas=True)
    return array.cast(kind)


def coverage_of(evidence: Evidence, names: Iterable[str], findings: pa.Table | pd.DataFrame) -> pd.DataFrame:
    """Return how far each check can be trusted in each account that was read, given what it found.

    Columns are those of `schema.COVERAGE`, one row per account and check, in the order of both.
    """
    # Not by a group-by of Arrow, which takes longer to load than all that is done here.
    each = pc.unique(joined_key(findings["account_id"], findings["check"])).to_pylist()
    found = {tuple(key.rsplit("\x1f", 1)) for key in each}
    accounts = evidence.inventory.accounts["account_id"].tolist()
    said: dict[Need, Verdicts] = {}
    rows: dict[str, list[str]] = {name: [] for name in schema.COVERAGE.names}
    by_check = []
    for name in names:
        for need in CHECKS[name].needs:
            if need not in said:
                said[need] = need(evidence)
        by_check.append([said[need] for need in CHECKS[name].needs])
    for index, account in enumerate(accounts):
        for name, verdicts in zip(names, by_check, strict=True):
            mine = [verdict[index] for verdict in verdicts]
            rows["account_id"].append(account)
            rows["check"].append(name)
            status = max((status for status, _ in mine), key=STATUSES.index, default="complete")
            # What was found holds, however little was read.
            rows["status"].append("partial" if status == "unknown" and (account, name) in found else status)
            rows["reason"].append("; ".join(dict.fromkeys(reason for _, reason in mine if reason)))
    return schema.COVERAGE.conform(rows)
