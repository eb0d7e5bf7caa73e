"""Profiles to delete: the steps in the order that AWS accepts, or the reason why no deletion is planned.

AWS refuses to delete a profile that holds a role (DeleteConflict), so the role is taken out first.
"""

from __future__ import annotations

from collections.abc import Iterator

from iamframe.analysis.plan.commands import (
    Block,
    Command,
    aws_iam,
    is_unchanged,
    is_unused,
    is_without_owner,
    tags_json,
)
from iamframe.analysis.plan.resources import OWNER_GONE, Context, Finding, ProfileFacts, RoleFacts, day, needed_tags
from iamframe.knowledge.makers import GUESS
from iamframe.messages.render import Message


def objections(finding: Finding, profile: ProfileFacts, context: Context) -> Iterator[Message]:
    """Yield the reasons against deleting a profile."""
    if finding.check == OWNER_GONE and profile.gone is None:
        yield {"message": "plan.owner_by_name"}
    yield from context.objections(profile, "delete")
    if profile.living:
        yield profile.living
    role = profile.role
    if role and role.is_aws_managed:
        yield {"message": "plan.role_managed", "role": role.name}
    yield from needed_tags(filter(profile.needs, profile.own_tags))
    account = context.accounts[profile.account_id]
    if not account.is_complete or not account.regions or finding.certainty == "maybe":
        yield {"message": "plan.use_unknown", "why": account.reason}
    if role:
        yield from context.used_lately(role)
    if profile.user:
        yield profile.user


def deletion(finding: Finding, others: list[Finding], profile: ProfileFacts, context: Context) -> Block:
    """Return the steps that delete a profile. They settle all findings about the profile."""
    account, role = context.accounts[profile.account_id], profile.role
    steps = [is_unchanged(profile), is_unused(profile, account.regions)]
    why: list[Message] = [{"message": "plan.why.finding", "check": finding.check, "detail": finding.detail}]
    gone: list[Message] = []
    if profile.gone:
        steps.insert(1, is_without_owner(profile, profile.gone))
        why += [{"message": "plan.why.owner_gone", **profile.gone.said}] if finding.check != OWNER_GONE else []
        gone = [{"message": "plan.rests_on.owner_gone", **profile.gone.said}]
    if role:
        remove, put_back = (aws_iam(verb, profile, role_name=role.name) for verb in ("remove-role-from", "add-role-to"))
        steps.append(Command(profile, "remove-role", remove, undo=put_back))
        is_last = role.holders == 1 and role.trusts_ec2 == "yes"
        why.append({"message": "plan.why.role_alone" if is_last else "plan.why.role_stays", "role": role.name})
    if profile.maker and profile.maker_basis != GUESS and profile.maker.note:
        why.append({"message": "plan.why.note", "note": profile.maker.note})
    tags = {"tags": tags_json(profile.own_tags)} if profile.own_tags else {}
    undo = aws_iam("create", profile, path=profile.path, **tags)
    lost: Message = {"message": "plan.cannot_undo.id", "id": profile.id}
    if profile.own_tags != profile.tags:
        lost = {"message": "plan.cannot_undo.id_and_tags", "id": profile.id}
    steps.append(Command(profile, "delete", aws_iam("delete", profile), undo=undo, cannot_undo=lost))
    holds: Message = {"message": "plan.rests_on.no_role"}
    if role:
        holds = {"message": "plan.rests_on.role", "role": role.name, "id": role.id}
    unused: Message = {"message": "plan.rests_on.unused", "regions": account.regions}
    rests_on = [profile.collected, holds, account.collected, unused, *gone, *([_last_use(role)] if role else [])]
    return Block(profile, [finding.check, *sorted({one.check for one in others})], why, rests_on, steps)


def _last_use(role: RoleFacts) -> Message:
    """Return a message about a role's last use. AWS keeps this for 400 days (IAM API Reference, RoleLastUsed)."""
    if not role.last_used_known:
        return {"message": "plan.rests_on.last_use_unknown", "role": role.name}
    if role.last_used_at is None:
        return {"message": "plan.rests_on.never_used", "role": role.name}
    return {"message": "plan.rests_on.last_used", "role": role.name, "used_at": day(role.last_used_at)}
