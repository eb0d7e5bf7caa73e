"""Profiles whose tags are missing or differ: the steps that copy the role's tags, or the reasons against them.

Roles are never tagged, because only people know their right tags. A finding is planned only if the steps settle it and
cause no other finding.

Tag rules (IAM User Guide, "Tags for IAM resources"): a resource has at most 50 tags, not counting those that AWS
reserves. No key or value may begin with `aws:`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator

from iamframe.analysis.plan.commands import Block, Command, aws_iam, is_unchanged, tags_json
from iamframe.analysis.plan.resources import Context, Finding, ProfileFacts, RoleFacts, needed_tags
from iamframe.checks.tag_policy import Demand
from iamframe.messages.render import Message

MOST = 50
_SIGNS = re.compile(r"[\w.:/=+\-@]", re.ASCII)
_Tags = dict[str, str]
_Rules = list[Demand]


def tagging(
    findings: list[Finding], profile: ProfileFacts, context: Context
) -> tuple[Block | None, dict[Finding, Message]]:
    """Return the steps that copy a role's tags to a profile, and the reasons why other findings are not planned.

    The profile gets all tags of its role. If its only finding is about required tags, it gets only the required ones.
    """
    role = profile.role
    why_not = next(context.objections(profile, "tag"), None)
    if why_not or role is None or not role.own_tags:
        is_unknown = role is not None and role.tags is None
        no_source: Message = {"message": "plan.tags.unknown" if is_unknown else "plan.tags.none"}
        return None, dict.fromkeys(findings, why_not or no_source)
    rules = context.demanded(profile)
    tags = profile.own_tags
    copied = {key: value for key, value in role.own_tags.items() if tags.get(key) != value}
    not_copied = next(_objections_to_all(profile, role, copied, rules), None)
    required = {key: copied[key] for key in _violated(rules, tags) if key in copied}
    copies = not not_copied and (not tags or any(one.remedy != "required tags" for one in findings))
    sets = copied if copies else required
    unmet = _violated(rules, tags | sets)
    not_required = next(_objections(profile, sets, rules), None) if tags else not_copied
    if unmet:
        not_required = {"message": "plan.tags.no_value", "keys": unmet}
    reasons = {one: not_required if one.remedy == "required tags" else not_copied for one in findings}
    left = {one: why for one, why in reasons.items() if why}
    settled = [one for one in findings if one not in left]
    return _block(settled, profile, role, sets, context) if settled else None, left


def _violated(rules: _Rules, tags: _Tags) -> list[str]:
    """Return the keys of the rules that `tags` break."""
    return list(dict.fromkeys(one.rule.key for one in rules if one.is_broken_by(tags)))


def _objections(profile: ProfileFacts, sets: _Tags, rules: _Rules) -> Iterator[Message]:
    """Yield the reasons against setting these tags on a profile."""
    spelled = {key.casefold(): key for key in sets}
    cased = [key for key in profile.own_tags if spelled.get(key.casefold(), key) != key]
    if cased:
        yield {"message": "plan.tags.case", "keys": sorted({*cased, *(spelled[key.casefold()] for key in cased)})}
    yield from needed_tags(sets)
    for key, value in sets.items():
        if not _takes(key, 128) or not key or not _takes(value, 256):
            yield {"message": "plan.tags.not_taken", "key": key}
        if any(rule.forbids(key, value) for rule in rules):
            yield {"message": "plan.tags.forbidden", "key": key, "value": value}
    size = len(profile.own_tags | sets)
    if size > MOST:
        yield {"message": "plan.tags.too_many", "size": size, "most": MOST}


def _objections_to_all(profile: ProfileFacts, role: RoleFacts, sets: _Tags, rules: _Rules) -> Iterator[Message]:
    """Yield the reasons against copying all tags of a role to its profile, such as tags that only the profile has."""
    yield from _objections(profile, sets, rules)
    if alone := sorted(profile.own_tags.keys() - role.own_tags.keys()):
        yield from needed_tags(alone)
        yield {"message": "plan.tags.alone", "keys": alone}


def _takes(text: str, longest: int) -> bool:
    """Return whether IAM accepts a text as tag key or value. This depends on its length, characters and beginning."""
    return (
        len(text) <= longest
        and not text.lower().startswith("aws:")
        and all(_SIGNS.match(c) or unicodedata.category(c)[0] in "LZN" for c in text)
    )


def _block(findings: list[Finding], profile: ProfileFacts, role: RoleFacts, sets: _Tags, context: Context) -> Block:
    old = {key: profile.own_tags[key] for key in sets if key in profile.own_tags}
    new = [key for key in sets if key not in old]
    undo = [aws_iam("untag", profile, tag_keys=json.dumps(new))] if new else []
    undo += [aws_iam("tag", profile, tags=tags_json(old))] if old else []
    lost: Message = {"message": "plan.cannot_undo.tags"}
    step = Command(
        profile, "tag", aws_iam("tag", profile, tags=tags_json(sets)), undo=" && ".join(undo), cannot_undo=lost
    )
    why: list[Message] = [
        *({"message": "plan.why.finding", "check": one.check, "detail": one.detail} for one in findings),
        *({"message": "plan.why.replaced", "key": key, "old": old[key], "value": sets[key]} for key in old),
    ]
    rests_on = [role.collected, profile.collected, context.accounts[profile.account_id].collected]
    steps = [is_unchanged(role), is_unchanged(profile), step]
    return Block(profile, sorted({one.check for one in findings}), why, rests_on, steps)
