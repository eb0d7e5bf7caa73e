"""Empty and unreferenced profiles: what deletes each, in the order that AWS accepts, or why it is not planned.

AWS refuses to delete a profile that holds a role (DeleteConflict), so the role is taken out first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd
import pyarrow.compute as pc

from iamframe.analysis.plan.commands import Block, Command, on, tags_json
from iamframe.analysis.plan.resources import Facts, Resource
from iamframe.analysis.plan.script import unchanged, unused
from iamframe.checks import CHECKS
from iamframe.checks.orphans import ec2_roles_without_profile
from iamframe.checks.registry import Remedy
from iamframe.inventory.arrow import as_arrow, index_in, is_in
from iamframe.knowledge.arn import PROFILE_TYPE
from iamframe.knowledge.makers import own_tag
from iamframe.messages.text import pluralize

_ELSEWHERE = r"^arn:[^:]*:iam::(?P<account>\d+):instance-profile/(?:.*/)?(?P<name>[^/]+)$"


class Finding(NamedTuple):
    """One finding: its row, its check, what it is about, and what stands in it."""

    row: int
    check: str
    resource_arn: str
    related_arn: str | None
    detail: str
    certainty: str

    @property
    def remedy(self) -> Remedy | None:
        """What settles it."""
        return CHECKS[self.check].remedy


def deletions(findings: list[Finding], facts: Facts) -> tuple[list[Block], dict[int, str]]:
    """Return what deletes the profiles of findings, and, by the row of each finding not planned, why it is not."""
    resources = facts.resources(arn for one in findings for arn in (one.resource_arn, one.related_arn) if arn)
    users = _users(resources, facts)
    namesakes = _profiles_of_roles(findings, facts)
    blocks, left = [], {}
    for one in findings:
        profile, role = resources[one.resource_arn], resources.get(one.related_arn or "")
        reason = next(filter(None, _objections(one, profile, role, facts)), None) or users.get(one.resource_arn)
        if reason:
            left[one.row] = reason
        else:
            alone = role is not None and namesakes.get(role.arn) == 1
            blocks.append(_deletion(one, profile, role, facts, becomes_lone=alone))
    return blocks, left


def _users(resources: dict[str, Resource], facts: Facts) -> dict[str, str]:
    """Return, by ARN, what refers to a profile, or names its name with another path: AWS may take that for it."""
    references = facts.inventory.references
    unknown = references[references["profile_arn"].isna()]
    parts = pc.extract_regex(pc.utf8_lower(as_arrow(unknown["named"])), _ELSEWHERE)
    places = {
        (one.account_id, one.name.lower()): one.arn
        for one in resources.values()
        if one.kind == PROFILE_TYPE and one.name
    }
    elsewhere = [
        places.get((part["account"], part["name"])) if part is not None else None for part in parts.to_pylist()
    ]
    unknown = unknown.assign(profile_arn=pd.Series(elsewhere, index=unknown.index, dtype="str"))
    found: dict[str, str] = {}
    for some, says in (
        (unknown, "names {named}, its name with another path, which AWS may take for it"),
        (references[is_in(references["profile_arn"], pd.Series(sorted(resources), dtype="str"))], "names it"),
    ):
        rows = some[some["profile_arn"].notna()].drop_duplicates("profile_arn")
        for arn, kind, name, region, named in zip(
            *(rows[column] for column in ("profile_arn", "consumer_type", "consumer_id", "region", "named")),
            strict=True,
        ):
            found[arn] = f"the {kind} {name} in {region} {says.format(named=named)}"
    return found


def _profiles_of_roles(findings: list[Finding], facts: Facts) -> dict[str, int]:
    """Return in how many profiles each role is that trusts EC2."""
    pairs = facts.result.pairs
    pairs = pairs[pairs["profile_arn"].notna() & (pairs["trusts_ec2"] == "yes")]
    arns = pd.Series([one.related_arn for one in findings if one.related_arn], dtype="str").drop_duplicates()
    where = index_in(pairs["role_arn"], arns)
    counts = pd.Series(where[where >= 0]).value_counts()
    return dict(zip(arns.iloc[counts.index.to_numpy()], counts.tolist(), strict=True))


def _objections(one: Finding, profile: Resource, role: Resource | None, facts: Facts) -> Iterator[str | None]:
    yield facts.unfit(profile, deleting=True)
    if role is not None and role.managed:
        yield f"AWS manages {role.said} in it"
    for key in profile.own_tags:
        owner = own_tag(key)
        if owner:
            yield f"its tag {key} is one that {owner.maker} needs"
    account = facts.accounts[profile.account_id]
    if account.references_status != "complete" or not account.regions:
        yield f"use unknown: {account.references_reason}"
    if one.certainty == "maybe":
        yield f"use unknown: {one.detail}"
    used = facts.used_lately(role) if role is not None else None
    if role is not None and used:
        yield f"{role.said} in it was {used}: something may start instances with it now and then"


def _deletion(one: Finding, profile: Resource, role: Resource | None, facts: Facts, *, becomes_lone: bool) -> Block:
    account = facts.accounts[profile.account_id]
    steps = [unchanged(profile), unused(profile, account.regions)]
    if role is not None:
        put_back = on(profile, "add-role-to", role_name=role.name)
        remove = on(profile, "remove-role-from", role_name=role.name)
        doing = f"take the role {role.name} out of"
        steps.append(Command(profile, "remove-role", remove, doing=doing, undo=put_back))
    tags = {"tags": tags_json(profile.own_tags)} if profile.own_tags else {}
    make = on(profile, "create", path=profile.path, **tags)
    steps.append(
        Command(
            profile,
            "delete",
            on(profile, "delete"),
            undo=make,
            cannot_undo=f"the id {profile.id} never comes back: an instance or a policy that holds it knows nothing of "
            "the new profile" + ("" if profile.own_tags == profile.tags else "; nor do the tags that AWS reserves"),
        )
    )
    last_use = f"; {role.said}: {role.last_use}" if role is not None else ""
    holding = f"role {role.name} ({role.id}) in it" if role is not None else "no role in it"
    kept = f"; {role.said} stays" if role is not None else ""
    if becomes_lone:
        kept += f", and, trusting EC2, is then in no profile: {ec2_roles_without_profile.__name__} will name it"
    note = facts.makers[profile.maker].note if profile.maker and profile.maker_is_sure else ""
    return Block(
        profile.account_id,
        f"Delete {profile.said} ({profile.arn})",
        one.check,
        f"{one.check}: {one.detail}{kept}" + (f"; {note}" if note else ""),
        f"id {profile.id}, {holding}, {pluralize(len(profile.tags or {}), 'tag')}, {account.read}; nothing that names "
        f"profiles names it, in {', '.join(account.regions)}{last_use}",
        one.related_arn,
        tuple(steps),
    )
