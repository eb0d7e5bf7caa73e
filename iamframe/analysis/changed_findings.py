"""Compare the findings of two results."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.analysis.matching import SIDES, KeyMap, NotCompared, differ, ordered
from iamframe.checks import Result
from iamframe.checks.coverage import organizations, required_tags
from iamframe.checks.evidence import COMPLETE, Evidence
from iamframe.inventory import schema
from iamframe.inventory.arrow import Bools, Positions, as_arrow, index_in, is_in, joined_key, lookup
from iamframe.knowledge.owners import known_owners
from iamframe.messages.render import nested
from iamframe.messages.text import SEVERITIES

WAYS = ("new", "gone", "reopened", "settled")
_Sides = tuple[Result, Result]


def changed_findings(sides: _Sides, keys: KeyMap, changes: pd.DataFrame, apart: NotCompared) -> pd.DataFrame:
    """Return the findings that are new, gone, reopened or settled.

    Some findings are in only one result because the other result lacked data. They are left out.
    """
    scopes = _accounts_with_same_scope(sides)
    findings = [one.findings for one in sides]
    resources = [keys.keys(frame, "resource_arn", side) for side, frame in enumerate(findings)]
    where = _counterparts(findings, resources, keys)
    read = [_keys_of_wholly_read(one, keys, side) for side, one in enumerate(sides)]
    parts = _judged_otherwise(findings, where[1], is_in(resources[1], read[0]) & is_in(resources[1], read[1]))
    for side, (way, appeared) in enumerate((("gone", "deleted"), ("new", "created"))):
        alone = (where[side] < 0) & is_in(findings[side]["account_id"], apart.accounts)
        found = findings[side][alone]
        is_read = is_in(resources[side].filter(pa.array(alone)), read[1 - side])
        seen = _seen_by_other(found, sides, side, scopes, is_read)
        seen |= is_in(found["resource_arn"], changes["resource_arn"][changes["change"] == appeared])
        parts.append((way, found[seen]))
        _note_unsure(found[~seen], way, sides[side], scopes, apart)
    _note_incomplete_checks(sides, apart)
    found = pd.concat([rows.assign(change=way) for way, rows in parts], ignore_index=True)
    made = changes[changes["change"].isin(("created", "deleted", "recreated"))]
    found["resource_change"] = lookup(made["change"], index_in(found["resource_arn"], made["resource_arn"]))
    ranks = {"change": WAYS, "severity": SEVERITIES}
    order = ("check", "account_id", "resource_arn", "related_arn")
    table = schema.CHANGED_FINDINGS.to_arrow(found[schema.CHANGED_FINDINGS.names])
    return schema.CHANGED_FINDINGS.from_arrow(ordered(table, ranks, order))


def _counterparts(findings: list[pd.DataFrame], resources: list[pa.Array], keys: KeyMap) -> list[Positions]:
    named, moved = [], []
    for side, (frame, resource) in enumerate(zip(findings, resources, strict=True)):
        related = keys.keys(frame, "related_arn", side)
        key = joined_key(frame["account_id"], frame["check"], resource, related)
        named.append(pc.if_else(resource.is_valid(), key, None))
        arns = (as_arrow(frame[column]) for column in ("resource_arn", "related_arn"))
        moved.append(np.logical_or(*map(differ, arns, (resource, related))))
    where = []
    for side in (0, 1):
        by_id = index_in(findings[side]["finding_id"], findings[1 - side]["finding_id"])
        by_name = index_in(named[side], named[1 - side])
        # A changed or unknown ARN changes the id of a finding, so account, check and resource keys are compared.
        elsewhere = moved[side] | np.append(moved[1 - side], False)[by_name]
        where.append(np.where((by_id < 0) & elsewhere, by_name, by_id))
    return where


def _judged_otherwise(findings: list[pd.DataFrame], where: Positions, read: Bools) -> list[tuple[str, pd.DataFrame]]:
    was, now = findings[0].take(np.maximum(where, 0)) if len(findings[0]) else findings[1], findings[1]
    settled = [np.asarray(frame["expected"] | frame["accepted"].notna()) for frame in (was, now)]
    # Tags can make a finding expected, so tags that only one side collected decide nothing.
    sure = (where >= 0) & (read | (np.asarray(was["expected"]) == np.asarray(now["expected"])))
    before = np.where(was["accepted"].notna(), "accepted", "expected")
    reopened = now.assign(before=before)[sure & settled[0] & ~settled[1]]
    return [("reopened", reopened), ("settled", now[sure & ~settled[0] & settled[1]])]


def _seen_by_other(found: pd.DataFrame, sides: _Sides, side: int, scopes: set[str], read: Bools) -> Bools:
    complete = [_of_check(one.coverage[one.coverage["status"] == "complete"]) for one in sides]
    checks, check = sides[side].checks, _of_check(found)
    relying = is_in(found["check"], [name for name, one in checks.items() if "references" in one.reads])
    alone = is_in(found["check"], [name for name, one in checks.items() if one.alone])
    of_one_scope = is_in(check, complete[side]) & found["account_id"].isin(scopes).to_numpy(bool)
    # The tags of a resource decide nothing if the other side lacks the tag policy.
    by_policy = is_in(found["check"], [name for name, one in checks.items() if required_tags in one.needs])
    judged = read & (~by_policy | is_in(found["account_id"], _accounts_with_tag_policy(sides[1 - side])))
    decided = is_in(check, complete[1 - side]) & (~relying | of_one_scope) | (alone & judged)
    return decided | is_in(found["finding_id"], _ruled_out(sides[side], sides[1 - side]))


def _ruled_out(one: Result, other: Result) -> pa.ChunkedArray:
    ids = [pa.chunked_array([], pa.string())]
    for name, check in one.checks.items():
        if check.ruled_out:
            found = one.found[name]
            ids.append(found.table["finding_id"].filter(pa.array(check.ruled_out(found, other.inventory.profiles))))
    return pa.chunked_array([chunk for each in ids for chunk in each.chunks], pa.string())


def _accounts_with_tag_policy(one: Result) -> list[str]:
    evidence = Evidence(one.inventory, one.pairs, one.lists, one.policy)
    if not one.policy.organization:
        return evidence.accounts
    verdicts = zip(evidence.accounts, organizations.judge(evidence), strict=True)
    return [account for account, verdict in verdicts if verdict == COMPLETE]


def _note_unsure(found: pd.DataFrame, way: str, result: Result, scopes: set[str], apart: NotCompared) -> None:
    unsure = found.value_counts(["account_id", "check"], sort=False).reset_index()
    for account, name, count in unsure.itertuples(index=False, name=None):
        other_scope = "references" in result.checks[name].reads and account not in scopes
        scope = {"message": "not_compared.scope"} if other_scope else None
        apart.add(account, "findings", "findings", name, way=way, count=count, scope=scope)


def _of_check(frame: pd.DataFrame) -> pa.Array:
    return joined_key(frame["account_id"], frame["check"])


def _accounts_with_same_scope(sides: _Sides) -> set[str]:
    calls = [one.inventory.calls for one in sides]
    # Owners are listed only while a profile shows one, so their lists are not part of the scope.
    owners = [owner.label for owner in known_owners()]
    calls = [
        one[(one["region"] != "global") & (one["state"] == "complete") & ~one["operation"].isin(owners)]
        for one in calls
    ]
    keys = [joined_key(one["account_id"], one["operation"], one["region"]) for one in calls]
    other = [set(one["account_id"][~is_in(keys[side], keys[1 - side])]) for side, one in enumerate(calls)]
    return set(sides[0].inventory.accounts["account_id"]) - other[0] - other[1]


def _keys_of_wholly_read(one: Result, keys: KeyMap, side: int) -> pa.Array:
    roles, pairs = one.inventory.roles, one.pairs
    known = roles[roles["tags_known"] & roles["trust_policy"].notna()]
    role = pairs["role_tags_known"] & pairs["role_path"].notna() & (pairs["trusts_ec2"] != "unknown")
    read = pairs["profile_tags_known"] & pairs["role_known"] & (pairs["role_arn"].isna() | role)
    profiles = pairs[pairs["profile_arn"].notna()]
    profiles = profiles[~is_in(profiles["profile_arn"], profiles["profile_arn"][~read[profiles.index]])]
    of_both = ((known, "role_arn"), (profiles, "profile_arn"))
    return pa.concat_arrays([keys.keys(frame, column, side) for frame, column in of_both])


def _note_incomplete_checks(sides: _Sides, apart: NotCompared) -> None:
    reasons: dict[tuple[str, str], dict[tuple[str, str], list[str]]] = {}
    for side, one in zip(SIDES, sides, strict=True):
        rows = one.coverage[(one.coverage["status"] != "complete") & one.coverage["check"].isin(one.asked)]
        rows = rows[is_in(rows["account_id"], apart.accounts)]
        columns = (rows[name] for name in ("account_id", "check", "message", "facts"))
        for account, check, message, facts in zip(*columns, strict=True):
            reasons.setdefault((account, check), {}).setdefault((message, facts), []).append(side)
    for (account, check), sides_of in reasons.items():
        for (message, facts), names in sides_of.items():
            apart.add(account, "findings", "coverage", check, sides=" ".join(names), reason=nested(message, facts))
