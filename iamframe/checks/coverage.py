"""Judge whether an account has all the data that a check needs.

If a check has the status `partial` in an account, some findings may be missing. If tags come from the tagging API,
which can be out of date, a finding about tags can be wrong, too. If a check has the status `unknown` in an account, an
empty result proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from iamframe.checks.evidence import COMPLETE, Evidence, Need, Requirement, Verdict, Verdicts, advice
from iamframe.checks.tag_policy import Policy
from iamframe.inventory.arrow import Bools, are_among, is_in
from iamframe.inventory.linking import account_named
from iamframe.inventory.views import knows_profiles
from iamframe.knowledge.operations import (
    BY_LABEL,
    DUMP,
    INSTANCES,
    PROFILE_LIST,
    PROFILE_TAGS,
    REQUIRED_TAGS,
    ROLE_LISTS,
    STACK_RESOURCES,
    SUMMARY,
    TAG_POLICY,
    command_of,
    proving,
)
from iamframe.knowledge.owners import known_owners
from iamframe.messages.render import Message, joint, nested
from iamframe.sources.cloudtrail import LOOKUP, TRAIL

_MOST_COMMANDS = 2
_IN_STACK = BY_LABEL[STACK_RESOURCES].action


def _would_show_unlinked(side: str, evidence: Evidence) -> set[str]:
    operations = proving("roles" if side == "role" else "profiles", files=True)
    frame = getattr(evidence.inventory, f"{side}s")
    # An empty profile, or a role without a profile.
    alone = ~are_among(np.arange(len(frame)), getattr(evidence.inventory.linked_rows, f"link_{side}"))
    if side == "profile":
        alone &= frame["role_known"].to_numpy(bool)
    # A list that was cut short before its first item gives a check no data.
    listed = evidence.read(operations) & set(frame["account_id"].unique())
    return evidence.whole(side) | listed | set(frame["account_id"][alone].unique())


def _held(evidence: Evidence) -> tuple[pd.DataFrame, pd.Series]:
    return evidence.inventory.profiles, evidence.inventory.profiles["role_known"]


def _holders(evidence: Evidence) -> tuple[pd.DataFrame, Bools]:
    return evidence.inventory.roles, knows_profiles(evidence.inventory)


def _linked_paths(evidence: Evidence) -> tuple[pd.DataFrame, pd.Series]:
    return evidence.links, evidence.links["role_path"].notna()


def _trusting(evidence: Evidence) -> tuple[pd.DataFrame, pd.Series]:
    return evidence.inventory.roles, evidence.inventory.roles["trusts_ec2"] != "unknown"


def _linked_trust(evidence: Evidence) -> tuple[pd.DataFrame, pd.Series]:
    return evidence.links, evidence.links["trusts_ec2"] != "unknown"


def _tagged_profiles(evidence: Evidence) -> tuple[pd.DataFrame, pd.Series]:
    return evidence.inventory.profiles, evidence.inventory.profiles["tags_known"]


def _all_accounts(evidence: Evidence) -> set[str]:
    return {*evidence.accounts}


def _links_whole(evidence: Evidence) -> set[str]:
    known = {account for account, (total, known) in evidence.count(_holders).items() if total == known}
    return evidence.whole("profile") | (evidence.whole("role") & known)


def _links_seen(evidence: Evidence) -> set[str]:
    profiles, roles = evidence.count(_held), evidence.count(_holders)
    return {account for account in evidence.accounts if profiles[account][0] or roles[account][1]}


def _tagged_roles(evidence: Evidence) -> tuple[pd.DataFrame, pd.Series]:
    roles = evidence.inventory.roles[~evidence.inventory.roles["is_aws_managed"]]
    return roles, roles["tags_known"]


def _tagged_links(evidence: Evidence) -> tuple[pd.DataFrame, pd.Series]:
    links = evidence.links[~evidence.links["is_aws_managed"]]
    return links, links["profile_tags_known"] & links["role_tags_known"]


def _partial_if_indexed(judge: Callable[[Evidence], Verdicts], evidence: Evidence) -> Verdicts:
    # The tagging API may show tags that were removed.
    return [
        ("partial", {"message": "coverage.profiles.indexed", "count": evidence.indexed[account]})
        if verdict == COMPLETE and account in evidence.indexed
        else verdict
        for account, verdict in zip(evidence.accounts, judge(evidence), strict=True)
    ]


def _tags_of_any(evidence: Evidence) -> Verdicts:
    both = zip(profile_tags.judge(evidence), role_tags.judge(evidence), strict=True)
    return [(one if one == two else "partial", joint([why, why_too])) for (one, why), (two, why_too) in both]


def _demanded(evidence: Evidence) -> Verdicts:
    policy = evidence.policy
    if not policy.organization:
        given = "missing" if policy == Policy() else "none_required"
        missing: Verdict = ("unknown", {"message": f"coverage.policy.{given}"})
        return [COMPLETE if policy.required else missing] * len(evidence.accounts)
    none: Verdict = ("unknown", {"message": "coverage.policy.organization.none_required"})
    demanding = set(evidence.inventory.tag_policies["account_id"])
    verdicts: Verdicts = []
    for account, (status, reason) in zip(evidence.accounts, _organizations(evidence), strict=True):
        if policy.required:
            verdicts.append(("partial" if reason else status, reason))
        else:
            verdicts.append((status, reason) if reason or account in demanding else none)
    return verdicts


def _organizations(evidence: Evidence) -> Verdicts:
    calls = evidence.inventory.calls
    calls = calls[is_in(calls["operation"], (TAG_POLICY, REQUIRED_TAGS))]
    states = dict(zip(zip(calls["account_id"], calls["operation"], strict=True), calls["state"], strict=True))
    verdicts: Verdicts = []
    refusals = evidence.refusals((TAG_POLICY,))
    gaps = evidence.inventory.gaps
    contradicted = {*gaps["account_id"][(gaps["operation"] == TAG_POLICY) & (gaps["reason"] == "contradicted")]}
    for account in evidence.accounts:
        refusal = refusals.get(account)
        state, keys = states.get((account, TAG_POLICY)), states.get((account, REQUIRED_TAGS), "refused")
        if state == "complete":
            verdicts.append(COMPLETE)
            continue
        not_asked = account in evidence.live and state is None
        why = refusal["reason"] if refusal else "not_asked" if not_asked else "not_collected"
        why = "contradicted" if account in contradicted else why
        known = "unread" if keys == "refused" else "keys" if keys == "complete" else "some_keys"
        reason = {"message": f"coverage.policy.organization.{known}", "why": why, "refusal": refusal}
        verdicts.append(("unknown" if known == "unread" else "partial", reason | {"command": command_of(TAG_POLICY)}))
    return verdicts


def _quotas(evidence: Evidence) -> Verdicts:
    accounts = evidence.inventory.accounts
    of_sides = [[f"{side}_quota", f"{side}s_expected"] for side in ("role", "profile")]
    roles, profiles = (accounts[columns].notna().all(axis=1) for columns in of_sides)
    gaps = evidence.inventory.gaps
    contradicted = {*gaps["account_id"][is_in(gaps["operation"], [*of_sides[0], *of_sides[1]])]}
    refusals = evidence.refusals((SUMMARY,))
    verdicts: Verdicts = []
    for account, of_roles, of_profiles in zip(evidence.accounts, roles, profiles, strict=True):
        refusal = refusals.get(account)
        known = "roles" if of_roles else "profiles" if of_profiles else "nothing"
        known = "contradicted" if account in contradicted else known
        facts = {"known": known, "refusal": refusal, "advice": advice(SUMMARY, refusal)}
        status = "partial" if of_roles or of_profiles else "unknown"
        verdicts.append(COMPLETE if of_roles and of_profiles else (status, {"message": "coverage.quotas"} | facts))
    return verdicts


def _references(evidence: Evidence) -> Verdicts:
    columns = ("account_id", "references_status", "references_message", "references_facts")
    verdicts: Verdicts = []
    for account, status, message, facts in zip(*(evidence.lists[name] for name in columns), strict=True):
        reason = nested(message, facts) if message else None
        is_live = account in evidence.live
        verdicts.append((status, reason if is_live else joint([reason, _reference_advice(reason)])))
    return verdicts


def _reference_advice(reason: Message | None) -> Message | None:
    commands, is_cut = [], False
    reasons = reason.get("messages", [reason]) if reason else []
    for one in (part for each in reasons for part in each.get("parts", [each])):
        regions, operations = one.get("regions", ["REGION"]), one.get("operations", ())
        commands += [f"`{command_of(name)} --region={region}`" for region in regions for name in operations]
        is_cut |= one["message"] in ("coverage.references.files", "coverage.references.files_anywhere")
    if len(commands) > _MOST_COMMANDS or (is_cut and not commands):
        return {"message": "coverage.references.script"}
    return {"message": "coverage.references.add", "commands": commands} if commands else None


def _any_references(evidence: Evidence) -> Verdicts:
    nothing = {"message": "coverage.references.nothing", "advice": advice(INSTANCES)}
    # Without the full list of profiles, recreated profiles are found, but deleted ones are not.
    not_gone = {"message": "coverage.profiles.not_gone", "advice": advice(PROFILE_LIST)}
    profiles, elsewhere = set(evidence.inventory.profiles["account_id"].unique()), _references_elsewhere(evidence)
    read, whole = evidence.read(proving("references")), evidence.whole("profile")
    verdicts: Verdicts = []
    for account, (_, reason) in zip(evidence.accounts, _references(evidence), strict=True):
        why = joint([reason, None if account in whole else not_gone]) or elsewhere.get(account)
        status = "partial" if account in whole or account in profiles else "unknown"
        verdicts.append(("unknown", nothing) if account not in read else (status, why) if why else COMPLETE)
    return verdicts


def _owners(evidence: Evidence) -> Verdicts:
    owned = evidence.owned
    unread = owned[owned["status"] == "unread"]
    totals, missing = owned["account_id"].value_counts(), unread["account_id"].value_counts()
    gaps = evidence.inventory.gaps[evidence.inventory.gaps["message"] == "gaps.newer.owner"]
    newer = {
        account: joint(nested(*row) for row in rows[["message", "facts"]].itertuples(index=False, name=None))
        for account, rows in gaps[is_in(gaps["subject"], unread["profile_arn"])].groupby("account_id")
    }
    # The lists are complete, but older than the profiles in `newer`.
    by_account = dict(iter(unread[~is_in(unread["profile_arn"], gaps["subject"])].groupby("account_id")))
    unseen = evidence.refusals((_IN_STACK,))
    refused = {label: evidence.refusals((label,)) for label in dict.fromkeys(unread["listing"])}
    verdicts: Verdicts = []
    for account in evidence.accounts:
        if account not in missing:
            verdicts.append(COMPLETE)
            continue
        status = "partial" if missing[account] < totals[account] else "unknown"
        if (mine := by_account.get(account)) is None:
            verdicts.append((status, newer[account]))
            continue
        lists, advised = [], []
        for label, rows in ((str(label), rows) for label, rows in mine.groupby("listing", sort=False)):
            kind, refusal = str(rows["owner_type"].iloc[0]), refused[label].get(account)
            if kind == "stack" and not refusal and account in unseen:
                kind, refusal = "stack-resources", unseen[account]
            of = {"owner_type": kind}
            operation = _IN_STACK if kind == "stack-resources" else label
            command = f"{command_of(operation)} --region={_one(rows['owner_region'])}"
            lists.append({"message": "coverage.owners.list", **of, "refusal": refusal})
            advised.append({"message": "coverage.owners.advice", **of, "command": command})
        facts = {"message": "coverage.owners.unread", "missing": len(mine), "total": int(totals[account])}
        verdicts.append((status, joint([facts | {"lists": lists, "advice": advised}, newer.get(account)])))
    return verdicts


def _listed_owners(evidence: Evidence) -> Verdicts:
    # iamframe lists owners only in the regions of profiles that may belong to one.
    listings = tuple(owner.label for owner in known_owners())
    return _partial_at_most(evidence, listings, "coverage.owners.not_listed", "coverage.owners.some_listed")


def _events(evidence: Evidence) -> Verdicts:
    # No record shows what the records leave out.
    return _partial_at_most(evidence, (TRAIL, LOOKUP), "coverage.events.unread", "coverage.events.some")


def _partial_at_most(evidence: Evidence, operations: tuple[str, ...], none: str, some: str) -> Verdicts:
    read = evidence.read(operations)
    commands = [f"`{command_of(name)}`" for name in operations if name != TRAIL]
    unread: Verdict = ("unknown", {"message": none, "commands": commands})
    return [("partial", {"message": some}) if account in read else unread for account in evidence.accounts]


def _one(regions: pd.Series) -> str:
    known = set(regions.dropna())
    return known.pop() if len(known) == 1 and regions.notna().all() else "REGION"


def _references_elsewhere(evidence: Evidence) -> dict[str, Message]:
    references, lists = evidence.inventory.references, evidence.lists
    some = references[references["profile_arn"].isna()]
    whole = lists["account_id"][lists["profiles_whole"]]
    whose = account_named(some["named"])
    counts = some["account_id"][np.asarray(whose.is_valid()) & ~is_in(whose, whole)].value_counts()
    facts = {"message": "coverage.references.elsewhere", "command": command_of(PROFILE_LIST)}
    return {str(account): {**facts, "count": int(n)} for account, n in counts.items()}


def _need(name: str, **requirement: Any) -> Need:
    return Need(name, Requirement(**requirement))


all_profiles: Need = _need(
    "all profiles",
    rows=_held,
    missing="profiles.not_held",
    settled_by=(PROFILE_LIST,),
    of="profile",
    seen=partial(_would_show_unlinked, "profile"),
    list_first=True,
)
roles_of_profiles: Need = _need(
    "roles of profiles",
    rows=_held,
    missing="profiles.not_held",
    of="profile",
    whole=_links_whole,
    seen=_links_seen,
    listed="links",
)
role_paths: Need = _need(
    "role paths",
    rows=_linked_paths,
    missing="links.paths",
    advised=DUMP,
    none_known="partial",
)
all_roles: Need = _need("all roles", settled_by=ROLE_LISTS, of="role", seen=partial(_would_show_unlinked, "role"))
profiles_of_roles: Need = _need(
    "profiles of roles", rows=_holders, missing="roles.profiles", of="profile", whole=_all_accounts
)
trust: Need = _need(
    "trust",
    rows=_trusting,
    missing="roles.trust",
    advised=DUMP,
)
trust_of_roles_in_profiles: Need = _need(
    "trust of roles in profiles", rows=_linked_trust, missing="links.trust", advised=DUMP
)
# List calls return no tags of profiles.
profile_tags: Need = Need(
    "profile tags",
    partial(
        _partial_if_indexed,
        Requirement(
            rows=_tagged_profiles,
            missing="profiles.tags",
            advised=PROFILE_TAGS,
            settled_by=proving("profile_tags"),
            of="profile",
        ),
    ),
)
role_tags: Need = _need(
    "role tags", rows=_tagged_roles, missing="roles.tags", advised=DUMP, settled_by=proving("role_tags"), of="role"
)
role_and_profile_tags: Need = Need("role and profile tags", _tags_of_any)
tags_of_both: Need = Need(
    "tags of both", partial(_partial_if_indexed, Requirement(rows=_tagged_links, missing="links.tags"))
)
required_tags: Need = Need("required tags", _demanded)
organizations: Need = Need("organizations", _organizations)
quotas: Need = Need("quotas", _quotas)
references: Need = Need("references", _references)
references_and_profiles: Need = Need("references and profiles", _any_references)
clusters_and_stacks: Need = Need("clusters and stacks", _owners)
resource_owners: Need = Need("resource owners", _listed_owners)
events: Need = Need("events", _events)

# The needs of each frame that a check reads: the default ones, and smaller ones. If a check's own needs have any of a
# frame's needs, the default ones do not apply.
NEEDS_OF: dict[str, tuple[tuple[Need, ...], tuple[Need, ...]]] = {
    "profiles": ((all_profiles,), (profile_tags,)),
    "roles": ((all_roles,), (profiles_of_roles, trust, role_tags)),
    "links": ((roles_of_profiles,), (role_paths, trust_of_roles_in_profiles, tags_of_both)),
    "pairs": (
        (all_profiles, roles_of_profiles, all_roles, profiles_of_roles, trust),
        (role_paths, trust_of_roles_in_profiles, tags_of_both),
    ),
    "tags": ((role_and_profile_tags,), (profile_tags, role_tags, tags_of_both)),
    "tag_coverage": ((role_and_profile_tags,), (profile_tags, role_tags, tags_of_both)),
    "references": ((references,), (references_and_profiles,)),
    "resource_owners": ((resource_owners,), (clusters_and_stacks,)),
    "owned_profiles": ((clusters_and_stacks,), ()),
    "tag_policies": ((organizations,), ()),
    "accounts": ((quotas,), ()),
    "events": ((events,), ()),
}
