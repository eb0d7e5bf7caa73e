"""The steps of a clean-up plan, and the reasons against a step.

A clean-up plan never tags a role: only a person knows a role's right tags.
"""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from collections.abc import Iterator

import msgspec

from iamframe.analysis.plan.reads import existing, in_stack
from iamframe.analysis.plan.resources import (
    OWNER_GONE,
    Context,
    Finding,
    GoneOwner,
    ProfileFacts,
    Resource,
    RoleFacts,
    day,
    needed_tags,
)
from iamframe.checks.tag_policy import Demand
from iamframe.checks.tags import MOST_TAGS
from iamframe.knowledge.arn import PROFILE_TYPE, ROLE_TYPE
from iamframe.knowledge.makers import GUESS
from iamframe.knowledge.owners import NAME, owner_of
from iamframe.messages.render import Message

_TAGS = "sort_by(Tags||`[]`,&Key)[].[Key,Value]"
# The fields that a script collects again. `to_string` escapes all characters except ASCII, so the comparison does not
# depend on the terminal's encoding.
STATE_QUERIES = {
    PROFILE_TYPE: f"to_string(InstanceProfile.[InstanceProfileId,Roles[].RoleId,{_TAGS}])",
    ROLE_TYPE: f"to_string(Role.[RoleId,{_TAGS}])",
}
_SIGNS = re.compile(r"[\w.:/=+\-@]", re.ASCII)
_Tags = dict[str, str]
_Rules = list[Demand]


class Command(msgspec.Struct, frozen=True):
    resource: Resource
    action: str
    command: str
    # For a check, the script runs `line` instead of `command`.
    line: str = ""
    undo: str | None = None
    cannot_undo: Message | None = None


class Block(msgspec.Struct, frozen=True):
    """All steps for one profile, with the reasons and the data behind them.

    The script changes the profile only if all `checks` succeed. After a failed deletion, the script tries to put the
    role back.
    """

    profile: ProfileFacts
    checks: list[str]
    why: list[Message]
    notes: list[Message]
    rests_on: list[Message]
    steps: list[Command]

    @property
    def writes(self) -> list[Command]:
        return [step for step in self.steps if step.action != "check"]

    @property
    def deletes(self) -> bool:
        return self.steps[-1].action == "delete"


# Deletions


def deletion_objections(finding: Finding | None, profile: ProfileFacts, context: Context) -> Iterator[Message]:
    if finding and finding.check == OWNER_GONE and profile.gone is None:
        shown = owner_of(profile.name, profile.path, profile.tags or {})
        by_name = shown is None or shown.basis == NAME
        yield {"message": "plan.owner_by_name" if by_name else "plan.owner_maybe"}
    yield from context.objections(profile, "delete")
    if profile.living:
        yield profile.living
    role = profile.role
    if role and role.is_aws_managed:
        yield {"message": "plan.role_managed", "role": role.name}
    yield from needed_tags(filter(profile.needs, profile.own_tags), "delete")
    account = context.accounts[profile.account_id]
    if not account.is_complete or not account.regions or (finding and finding.certainty == "maybe"):
        yield {"message": "plan.use_unknown", "why": account.reason}
    if role:
        yield from context.used_lately(role)
    if profile.user:
        yield profile.user


def deletion(finding: Finding, findings: list[Finding], profile: ProfileFacts, context: Context) -> Block:
    account, role, gone = context.accounts[profile.account_id], profile.role, profile.gone
    steps = [_is_unchanged(profile), _is_in_no_stack(profile, account.regions)]
    steps.append(_is_unreferenced(profile, account.regions))
    why: list[Message] = [{"message": "plan.why.finding", "check": finding.check, "detail": finding.detail}]
    rests_on = [profile.collected, _held(role), account.collected]
    rests_on.append({"message": "plan.rests_on.unreferenced", "regions": account.regions})
    if gone:
        steps.insert(1, _is_without_owner(profile, gone))
        why += [{"message": "plan.why.owner_gone", **gone.facts}] if finding.check != OWNER_GONE else []
        rests_on.append({"message": "plan.rests_on.owner_gone", **gone.facts})
    notes: list[Message] = []
    if role:
        # AWS refuses to delete a profile that holds a role (DeleteConflict).
        remove = _aws_iam("remove-role-from", profile, role_name=role.name)
        put_back = _aws_iam("add-role-to", profile, role_name=role.name)
        steps.append(Command(profile, "remove-role", remove, undo=put_back))
        is_last = role.holders == 1 and role.trusts_ec2 == "yes"
        notes.append({"message": "plan.note.role_alone" if is_last else "plan.note.role_stays", "role": role.name})
        rests_on.append(_last_use(role))
    if profile.maker and profile.maker_basis != GUESS and profile.maker.note:
        notes.append({"message": "plan.note.maker", "note": profile.maker.note})
    tags = {"tags": _tags_json(profile.own_tags)} if profile.own_tags else {}
    undo = _aws_iam("create", profile, path=profile.path, **tags)
    lost = "id" if profile.own_tags == profile.tags else "id_and_tags"
    cannot_undo: Message = {"message": f"plan.cannot_undo.{lost}", "id": profile.id}
    steps.append(Command(profile, "delete", _aws_iam("delete", profile), undo=undo, cannot_undo=cannot_undo))
    others = sorted({one.check for one in findings if one is not finding})
    return Block(profile, [finding.check, *others], why, notes, rests_on, steps)


def _held(role: RoleFacts | None) -> Message:
    if role is None:
        return {"message": "plan.rests_on.no_role"}
    return {"message": "plan.rests_on.role", "role": role.name, "id": role.id}


def _last_use(role: RoleFacts) -> Message:
    if not role.last_used_known:
        return {"message": "plan.rests_on.last_use_unknown", "role": role.name}
    # AWS reports the last 400 days (IAM API Reference, RoleLastUsed).
    if role.last_used_at is None:
        return {"message": "plan.rests_on.never_used", "role": role.name}
    return {"message": "plan.rests_on.last_used", "role": role.name, "used_at": day(role.last_used_at)}


# Tags


def tagging(
    findings: list[Finding], profile: ProfileFacts, context: Context
) -> tuple[Block | None, dict[Finding, Message]]:
    role = profile.role
    objection = next(context.objections(profile, "tag"), None)
    if objection or role is None or not role.own_tags:
        reason = "no_role" if role is None else "unknown" if role.tags is None else "none"
        no_source: Message = {"message": f"plan.tags.{reason}"}
        return None, dict.fromkeys(findings, objection or no_source)
    # Copied tags must remove the finding and cause no new finding.
    rules = context.demanded(profile)
    tags = profile.own_tags
    differing = {key: value for key, value in role.own_tags.items() if tags.get(key) != value}
    not_all = next(_objections_to_all(profile, role, differing, rules), None)
    required = {key: differing[key] for key in _violated(rules, tags) if key in differing}
    # The profile gets all tags of its role. It gets only the required tags if all findings are about required tags.
    copies_all = not not_all and (not tags or any(one.remedy != "required tags" for one in findings))
    new = differing if copies_all else required
    not_required = next(_objections(profile, new, rules), None) if tags else not_all
    if unmet := _violated(rules, tags | new):
        not_required = {"message": "plan.tags.no_value", "keys": unmet}
    reasons = {one: not_required if one.remedy == "required tags" else not_all for one in findings}
    not_planned = {one: why for one, why in reasons.items() if why}
    settled = [one for one in findings if one not in not_planned]
    return _tag_block(settled, profile, role, new, context) if settled else None, not_planned


def _violated(rules: _Rules, tags: _Tags) -> list[str]:
    return list(dict.fromkeys(one.rule.key for one in rules if one.is_broken_by(tags)))


def _objections(profile: ProfileFacts, new: _Tags, rules: _Rules) -> Iterator[Message]:
    spelled = {key.casefold(): key for key in new}
    cased = [key for key in profile.own_tags if spelled.get(key.casefold(), key) != key]
    if cased:
        yield {"message": "plan.tags.case", "keys": sorted({*cased, *(spelled[key.casefold()] for key in cased)})}
    yield from needed_tags(new, "tag")
    for key, value in new.items():
        if not key or not _is_accepted_by_iam(key, 128) or not _is_accepted_by_iam(value, 256):
            yield {"message": "plan.tags.not_taken", "key": key}
        if any(rule.forbids(key, value) for rule in rules):
            yield {"message": "plan.tags.forbidden", "key": key, "value": value}
    size = len(profile.own_tags | new)
    if size > MOST_TAGS:
        yield {"message": "plan.tags.too_many", "size": size, "most": MOST_TAGS}


def _objections_to_all(profile: ProfileFacts, role: RoleFacts, new: _Tags, rules: _Rules) -> Iterator[Message]:
    yield from _objections(profile, new, rules)
    if only_here := sorted(profile.own_tags.keys() - role.own_tags.keys()):
        yield from needed_tags(only_here, "tag")
        yield {"message": "plan.tags.alone", "keys": only_here}


def _is_accepted_by_iam(text: str, longest: int) -> bool:
    # Source: IAM User Guide, "Tags for AWS Identity and Access Management resources".
    return (
        len(text) <= longest
        and not text.lower().startswith("aws:")
        and all(_SIGNS.match(c) or unicodedata.category(c)[0] in "LZN" for c in text)
    )


def _tag_block(findings: list[Finding], profile: ProfileFacts, role: RoleFacts, new: _Tags, context: Context) -> Block:
    replaced = {key: profile.own_tags[key] for key in new if key in profile.own_tags}
    added = [key for key in new if key not in replaced]
    undo = [_aws_iam("untag", profile, tag_keys=json.dumps(added))] if added else []
    undo += [_aws_iam("tag", profile, tags=_tags_json(replaced))] if replaced else []
    lost: Message = {"message": "plan.cannot_undo.tags"}
    command = _aws_iam("tag", profile, tags=_tags_json(new))
    why: list[Message] = [
        *({"message": "plan.why.finding", "check": one.check, "detail": one.detail} for one in findings),
        *({"message": "plan.why.replaced", "key": key, "old": old, "value": new[key]} for key, old in replaced.items()),
    ]
    rests_on = [role.collected, profile.collected, context.accounts[profile.account_id].collected]
    step = Command(profile, "tag", command, undo=" && ".join(undo), cannot_undo=lost)
    steps = [_is_unchanged(role), _is_unchanged(profile), step]
    maker = profile.maker if profile.maker_basis == GUESS else None
    notes: list[Message] = [{"message": "plan.note.guess", "maker": maker.name}] if maker and maker.wants_back else []
    return Block(profile, sorted({one.check for one in findings}), why, notes, rests_on, steps)


# Commands


def _aws_iam(verb: str, resource: Resource, **options: str) -> str:
    given = {f"{resource.kind}-name": resource.name, **options}
    # Every value is quoted: `--option=value` is one shell word.
    words = [f"--{name.replace('_', '-')}={shlex.quote(value)}" for name, value in given.items()]
    return " ".join(("aws iam", f"{verb}-{resource.kind}", *words))


def _tags_json(tags: _Tags) -> str:
    # The AWS CLI's shorthand syntax cannot quote every tag value, but JSON can.
    # JSON escapes letters outside ASCII, so look-alike letters can be told apart.
    # The script's escaped letters do not depend on the locale.
    return json.dumps([{"Key": key, "Value": value} for key, value in tags.items()], separators=(",", ":"))


def _is_unchanged(resource: Resource) -> Command:
    command = _aws_iam("get", resource, output="text", query=STATE_QUERIES[resource.kind])
    function = "profile_is" if resource.kind == PROFILE_TYPE else "role_is"
    return Command(resource, "check", command, shlex.join((function, resource.name, resource.state)))


def _is_unreferenced(profile: ProfileFacts, regions: list[str]) -> Command:
    by_id = f"IamInstanceProfileAssociations[?IamInstanceProfile.Id=='{profile.id}'].AssociationId"
    command = (
        f"for region in {' '.join(regions)}; do aws ec2 describe-iam-instance-profile-associations "
        f'--region="$region" --output=text --query={shlex.quote(by_id)}; aws ec2 describe-instances '
        f"--region=\"$region\" --output=text --query='Reservations[].Instances[].InstanceId' "
        f"--filters=Name=iam-instance-profile.id,Values={profile.id}; done"
    )
    return Command(profile, "check", command, shlex.join(("unreferenced", profile.name, profile.arn, profile.id)))


def _in_one_line(command: str) -> str:
    return " ".join(command.replace("\\\n", " ").split())


def _is_in_no_stack(profile: ProfileFacts, regions: list[str]) -> Command:
    command = f"for region in {' '.join(regions)}; do {_in_one_line(in_stack(shlex.quote(profile.name)))}; done"
    return Command(profile, "check", command, shlex.join(("in_no_stack", profile.name)))


def _is_without_owner(profile: ProfileFacts, gone: GoneOwner) -> Command:
    regions = " ".join(gone.regions)
    command = f"for region in {regions}; do {_in_one_line(existing(gone.owner))}; done"
    line = shlex.join(("without_owner", profile.name, gone.owner.owner_type, regions, *gone.names))
    return Command(profile, "check", command, line)
