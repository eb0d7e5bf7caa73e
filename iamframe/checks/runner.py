"""Run checks on an inventory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from functools import partial
from types import NoneType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks.catalog import CHECKS, own_findings, own_found
from iamframe.checks.evidence import Evidence
from iamframe.checks.findings import COMMON, Found, array_of, finding_ids, next_steps, with_column
from iamframe.checks.owner import OWNER_TAG
from iamframe.checks.registry import STATUSES, Check, stopped_with
from iamframe.checks.result import Result
from iamframe.checks.tag_policy import Policy, demands
from iamframe.errors import CheckError, PolicyError, UnknownCheckError, require
from iamframe.inventory import schema, views
from iamframe.inventory.arrow import Bools, as_arrow, index_in, is_in, lookup, memory_of_system, on_two_cores
from iamframe.inventory.completeness import completeness
from iamframe.inventory.inventory import Inventory
from iamframe.knowledge.operations import TAG_INDEX
from iamframe.messages.render import columns_of, joint, render

# The facts of each built-in check without findings. A rule runs on empty frames once.
_NO_FACTS: dict[str, pd.DataFrame] = {}


def selected(only: Iterable[str] | None, checks: Mapping[str, Check] = CHECKS) -> tuple[str, ...]:
    require("only=…", only, str, Iterable, NoneType, instead="the names of checks")
    if only is None:
        return tuple(checks)
    names = [only] if isinstance(only, str) else list(only)
    for name in names:
        if name not in checks:
            raise UnknownCheckError(f"there is no check {name!r}; the checks are {', '.join(checks)}")
    return tuple(name for name in checks if name in names)


@memory_of_system()
def run(
    inventory: Inventory,
    only: Iterable[str] | None,
    policy: Policy,
    checks: Mapping[str, Check] = CHECKS,
    owner_tag: str = OWNER_TAG,
) -> Result:
    chosen = {name: checks[name] for name in selected(only, checks)}
    for accepted in policy.acceptances:
        if accepted.check not in checks:
            whose = f"{policy.path}: [[accepted]]" if policy.path else "an acceptance of the policy"
            raise PolicyError(
                f"{whose} names {accepted.check!r}, which is not a check; there are {', '.join(checks)}; if the check "
                "is your own, pass its file with --checks (in Python, checks=), or use a policy file without this entry"
            )
    pairs = views.numbered_pairs(inventory, policy.makers)
    evidence = Evidence(inventory, pairs[schema.PAIRS.names], completeness(inventory), policy)
    frames = inventory.linked_rows.numbered() | {"pairs": pairs, "lists": evidence.lists}
    if any("tag_coverage" in one.reads for one in chosen.values()):
        frames["tag_coverage"] = views.tag_coverage(inventory)
    if any("owned_profiles" in one.reads for one in chosen.values()):
        frames["owned_profiles"] = evidence.owned
    offered = {field.name: getattr(policy, field.name) for field in fields(policy)}
    offered["demanded"] = tuple(demands(policy, inventory.tag_policies))
    calls = {name: partial(_found_by, one, frames, inventory, policy, offered) for name, one in chosen.items()}
    # Checks that read tags take longest, so they start first. Users' own checks need not be safe in threads.
    built_in = sorted(calls.keys() & CHECKS.keys(), key=lambda name: ("tags" not in CHECKS[name].reads, name))
    found = dict(zip(built_in, on_two_cores(len(inventory.tags), *(calls[name] for name in built_in)), strict=True))
    found = {name: found[name] if name in found else call() for name, call in calls.items()}
    coverage = coverage_of(evidence, chosen, found)
    return Result(inventory, found, coverage, chosen, policy, evidence.pairs, evidence.lists, owner_tag)


def _found_by(
    one: Check, frames: Mapping[str, pd.DataFrame], inventory: Inventory, policy: Policy, offered: Mapping[str, Any]
) -> Found:
    is_own = one.name not in CHECKS
    is_idle = not is_own and _judges_nothing(one, frames)
    if is_idle and one.name in _NO_FACTS:
        return Found(COMMON.arrow.empty_table(), _NO_FACTS[one.name].copy())
    found = _returned(one, frames, {option: offered[option] for option in one.options if option in offered})
    # Most checks find nothing in most accounts.
    if not len(found.table):
        if is_idle:
            _NO_FACTS[one.name] = found.facts
        return Found(COMMON.arrow.empty_table(), found.facts)
    if is_own:
        return own_findings(one, found, lambda: _completed(one, found, inventory, policy))
    return _completed(one, found, inventory, policy)


def _returned(one: Check, frames: Mapping[str, pd.DataFrame], options: Mapping[str, Any]) -> Found:
    # pandas may rearrange a frame while another check reads it, so each check has its own; they share the data.
    arguments = [frames[read].copy(deep=False) for read in one.reads]
    try:
        given = one.rule(*arguments, **options)
    except (Exception, SystemExit) as error:
        if one.name in CHECKS:
            raise
        columns = "; ".join(f"{name} has {', '.join(frames[name].columns)}" for name in one.reads)
        advice = columns if isinstance(error, (KeyError, AttributeError)) else "fix it"
        problem = stopped_with(error, one.rule.__code__.co_filename)
        raise CheckError(f"check {one.name}: {problem}; {advice}") from error
    return given if isinstance(given, Found) else own_found(one, given, frames["accounts"]["account_id"])


def _completed(one: Check, found: Found, inventory: Inventory, policy: Policy) -> Found:
    found = Found(_conformed(one, found.table, inventory, policy), found.facts)
    return replace(found, table=with_column(found.table, "next_step", steps_of(one, found)))


def _judges_nothing(one: Check, frames: Mapping[str, pd.DataFrame]) -> bool:
    judged = ["roles", "profiles"] if one.reads[:2] == ("roles", "profiles") else one.reads[:1]
    return all(frames[name].empty for name in judged)


def steps_of(one: Check, found: Found) -> pa.Array:
    steps = next_steps(one.next_step, found) if one.next_step else found.table["next_step"]
    return pc.if_else(found.table["expected"], pa.scalar(None, pa.string()), steps)


def _conformed(one: Check, found: pa.Table, inventory: Inventory, policy: Policy) -> pa.Table:
    size = len(found)
    columns: dict[str, Any] = {
        "check": one.name,
        "severity": one.severity,
        "certainty": one.certainty,
        "expected": False,
        "next_step_changes": False,
    } | {name: found[name] for name in found.column_names}
    if not columns.keys() >= {"account_id", "resource_type", "resource_name"}:
        columns = _resources(found, inventory) | columns
    if "expected" in found.column_names:
        severity = array_of("severity", columns["severity"], size).cast(pa.string())
        columns["severity"] = pc.if_else(columns["expected"], "info", severity)
        changes = array_of("next_step_changes", columns["next_step_changes"], size)
        columns["next_step_changes"] = pc.and_not(changes, columns["expected"])
    arrays = {name: array_of(name, columns.get(name), size) for name in COMMON.names if name != "finding_id"}
    arrays["certainty"] = _certainty(one, arrays, inventory.tags)
    table = pa.table({"finding_id": finding_ids(arrays, columns.get("_key"))} | arrays)
    return COMMON.checked(with_column(table, "accepted", policy.accepted(table)) if policy.acceptances else table)


def _certainty(one: Check, arrays: Mapping[str, pa.Array], tags: pd.DataFrame) -> pa.Array:
    if not {"tags", "owned_profiles"} & {*one.reads}:
        return arrays["certainty"]
    indexed = tags[tags["tag_source"] == TAG_INDEX]
    # The tagging API may show tags that were changed or removed. A finding about a tag key has no ARN.
    outdated = pa.concat_arrays([pc.unique(as_arrow(indexed[name])) for name in ("resource_arn", "account_id")])
    subject = pc.coalesce(arrays["resource_arn"], arrays["account_id"])
    return pc.if_else(pc.is_in(subject, value_set=outdated), "maybe", arrays["certainty"])


def _resources(found: pa.Table, inventory: Inventory) -> dict[str, Any]:
    sides = {"profile": inventory.profiles, "role": inventory.roles}
    at = {side: index_in(found["resource_arn"], frame[f"{side}_arn"]) for side, frame in sides.items()}
    return {
        "account_id": pc.coalesce(*(lookup(frame["account_id"], at[side]) for side, frame in sides.items())),
        "resource_name": pc.coalesce(*(lookup(frame[f"{side}_name"], at[side]) for side, frame in sides.items())),
        "resource_type": np.select([at["profile"] >= 0, at["role"] >= 0], ["instance-profile", "role"], ""),
    }


def coverage_of(evidence: Evidence, checks: Mapping[str, Check], found: Mapping[str, Found]) -> pd.DataFrame:
    accounts_of = {name: set(pc.unique(one.table["account_id"]).to_pylist()) for name, one in found.items()}
    needs = dict.fromkeys(need for one in checks.values() for need in one.needs)
    judged = {need: need.judge(evidence) for need in needs}
    rows: dict[str, list[Any]] = {"account_id": [], "check": [], "status": []}
    reasons = []
    for index, account in enumerate(evidence.accounts):
        for name, one in checks.items():
            failed = evidence.failed.get(account)
            mine = [failed] if failed else [judged[need][index] for need in one.needs]
            status = max((status for status, _ in mine), key=STATUSES.index, default="complete")
            rows["account_id"].append(account)
            rows["check"].append(name)
            # A finding proves that something was collected.
            rows["status"].append("partial" if status == "unknown" and account in accounts_of[name] else status)
            why = [reason for _, reason in mine if reason]
            # One reason may consist of a sentence and advice, which are joined in another way than several reasons.
            is_one = all(reason == why[0] for reason in why)
            reasons.append(joint(why, "list.messages" if is_one else "list.reasons"))
    message, facts = columns_of(reasons)
    return schema.COVERAGE.conform(rows | {"reason": render(message, facts), "message": message, "facts": facts})


def part_of(result: Result, part: Inventory) -> Result:
    arns = pa.concat_arrays([as_arrow(part.roles["role_arn"]), as_arrow(part.profiles["profile_arn"])])

    def is_of(frame: pd.DataFrame | pa.Table, one: str, other: str) -> Bools:
        return is_in(frame[one], arns) | is_in(frame[other], arns)

    pairs = result.pairs[is_of(result.pairs, "profile_arn", "role_arn")]
    lists = result.lists[is_in(result.lists["account_id"], part.accounts["account_id"])]
    found = {name: one.only(is_of(one.table, "resource_arn", "related_arn")) for name, one in result.found.items()}
    # A check can be complete in one part although other parts lack data.
    coverage = coverage_of(Evidence(part, pairs, lists, result.policy), result.checks, found)
    return replace(result, inventory=part, found=found, coverage=coverage, pairs=pairs, lists=lists)
