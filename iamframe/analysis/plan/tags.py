"""Missing and differing tags: what sets them, on the API of each side, or why it is not planned.

A role and the profiles that hold it are looked at together, since a tag that the role gets is one that each of its
profiles then lacks. Values come from the other side alone; of two values the role's counts, unless the policy forbids
it, and `why` says which is given up. A finding is planned only if it is gone afterwards and no other one has come.

Tag rules (IAM User Guide, "Tags for IAM resources"): at most 50 tags, those that AWS reserves not counted; keys of a
role are unique without case, so that another spelling replaces the first; `aws:` begins neither a key nor a value.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from iamframe.analysis.plan.commands import Block, Command, on, tags_json
from iamframe.analysis.plan.deletions import Finding
from iamframe.analysis.plan.resources import Facts, Resource
from iamframe.analysis.plan.script import unchanged
from iamframe.checks.tag_policy import RequiredTag
from iamframe.inventory.arrow import index_in, is_in
from iamframe.knowledge.arn import PROFILE_TYPE
from iamframe.knowledge.makers import own_tag
from iamframe.messages.text import pluralize

MOST = 50
_SIGNS = re.compile(r"[\w.:/=+\-@]", re.ASCII)

_Tags = dict[str, str]


@dataclass
class Star:
    """A role (None where there is none, or no source shows it) and the profiles that hold it and stay."""

    role: Resource | None
    profiles: list[Resource] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def members(self) -> dict[str, Resource]:
        """Role and profiles by ARN."""
        return {one.arn: one for one in (self.role, *self.profiles) if one}


class _Refusal(Exception):
    """A finding cannot be settled; the message says why."""


def taggings(findings: list[Finding], deleted: set[str], facts: Facts) -> tuple[list[Block], dict[int, str]]:
    """Return what settles findings about tags, and, by the row of each finding not planned, why it is not.

    `deleted` holds the profiles that the plan deletes: they count no more.
    """
    blocks: list[Block] = []
    left: dict[int, str] = {}
    for star in _stars(findings, deleted, facts):
        change = _Change(star, facts)
        left |= change.settle()
        if change.settled:
            blocks.append(_block(change, facts))
    return blocks, left


def _stars(findings: list[Finding], deleted: set[str], facts: Facts) -> list[Star]:
    links = facts.inventory.links
    links = links[~is_in(links["profile_arn"], pd.Series(sorted(deleted), dtype="str"))]
    about = pd.Series([one.resource_arn for one in findings], dtype="str")
    where = index_in(about, links["profile_arn"])
    roles = [links["role_arn"].iloc[at] if at >= 0 else arn for arn, at in zip(about, where.tolist(), strict=True)]
    links = links[is_in(links["role_arn"], pd.Series(roles, dtype="str"))]
    resources = facts.resources([*about, *roles, *links["profile_arn"]])
    stars: dict[str, Star] = {}
    for profile, role in zip(links["profile_arn"], links["role_arn"], strict=True):
        # A role that no source shows is another one in each account; nothing is known that could be copied from it.
        key = role if role in resources else profile
        star = stars.setdefault(key, Star(resources.get(role)))
        star.profiles.append(resources[profile])
    for one, role in zip(findings, roles, strict=True):
        key = role if role in resources else one.resource_arn
        resource = resources[key]
        star = stars.setdefault(key, Star(None, [resource]) if resource.kind == PROFILE_TYPE else Star(resource))
        star.findings.append(one)
    return list(stars.values())


class _Change:
    """What is to be set on the members of a star, and for which findings."""

    def __init__(self, star: Star, facts: Facts) -> None:
        self.star, self.facts = star, facts
        self.rules = facts.result.policy.required
        self.members = star.members
        self.unfit = {arn: facts.unfit(one, deleting=False) for arn, one in self.members.items()}
        self.wanted = list(star.findings)
        self.settled: list[Finding] = []
        self.sets: dict[str, _Tags] = {}
        # Which findings ask for a key on a resource, and where they do not agree on its value.
        self.by: dict[tuple[str, str], set[Finding]] = {}
        self.clashing: set[tuple[str, str]] = set()

    def settle(self) -> dict[int, str]:
        """Find the tags that settle as many findings as can be; return, by row, why the others cannot."""
        left: dict[Finding, str] = {}
        while refused := self._tried():
            left |= refused
            self.wanted = [one for one in self.wanted if one not in refused]
        # What was given up may be settled along with another one: a role without tags by any tag.
        self.settled = [one for one in self.star.findings if self.sets and self._is_gone(one)]
        return {one.row: reason for one, reason in left.items() if one not in self.settled}

    def _is_gone(self, one: Finding) -> bool:
        resource = self.members[one.resource_arn]
        after = self._after(resource)
        if one.remedy == "same tags":
            return self.star.role is not None and after == self._after(self.star.role)
        return not self._violated(resource, after) if one.remedy == "required tags" else bool(after)

    def _tried(self) -> dict[Finding, str]:
        self.sets, self.by, self.clashing = defaultdict(dict), defaultdict(set), set()
        refused: dict[Finding, str] = {}
        # What the role gets comes first: its profiles get it from there.
        for settle in (self._to_role, self._to_profile):
            for one in self.wanted:
                try:
                    if one not in refused:
                        settle(one)
                except _Refusal as refusal:
                    refused[one] = str(refusal)
        return refused or self._what_is_wrong()

    # What each finding asks for.

    def _to_role(self, one: Finding) -> None:
        role = self.star.role
        if role is None:
            return
        if one.remedy == "same tags":
            self._from(self.members[one.resource_arn], role, one)
        elif one.resource_arn != role.arn:
            return
        elif one.remedy == "any tag":
            for profile in self.star.profiles:
                self._from(profile, role, one)
            if not self.sets.get(role.arn):
                raise _Refusal("no profile that stays has tags that could be copied: what they should be is not known")
        else:
            for rule in self._violated(role, role.own_tags):
                values = {p.own_tags[rule.key] for p in self.star.profiles if rule.key in p.own_tags}
                self._set(role, rule.key, _only(rule, values), one)

    def _from(self, profile: Resource, role: Resource, one: Finding) -> None:
        """Give a role what its profile alone has; of two values the role's counts, unless the policy forbids it."""
        for key, value in profile.own_tags.items():
            here = role.own_tags.get(key)
            if here is None or (here != value and self._allows(key, value) and not self._allows(key, here)):
                self._set(role, key, value, one)

    def _allows(self, key: str, value: str) -> bool:
        return all(rule.allows(value) for rule in self.rules if rule.key == key)

    def _to_profile(self, one: Finding) -> None:
        profile = self.members.get(one.resource_arn)
        if profile is None or profile.kind != PROFILE_TYPE:
            return
        role = self.star.role
        if role and role.tags is None:
            raise _Refusal(f"the tags of {role.said} were not read")
        tags = self._after(role) if role else {}
        if one.remedy != "required tags":
            for key, value in tags.items():
                if profile.own_tags.get(key) != value:
                    self._set(profile, key, value, one)
            if one.remedy == "any tag" and not tags:
                raise _Refusal("there is no role with tags that could be copied: what they should be is not known")
        else:
            # What has no tags at all is given all of them: a part of them would make it differ from its role.
            for key, value in tags.items() if not profile.own_tags else ():
                self._set(profile, key, value, one)
            for rule in self._violated(profile, self._after(profile)):
                self._set(profile, rule.key, _only(rule, {tags[rule.key]} if rule.key in tags else set()), one)

    def _set(self, resource: Resource, key: str, value: str, one: Finding) -> None:
        reason = self.unfit[resource.arn]
        if reason:
            raise _Refusal(
                reason if resource.arn == one.resource_arn else f"{resource.said} would have to be tagged: {reason}"
            )
        owner = own_tag(key)
        if owner:
            raise _Refusal(f"the tag {key} is one that {owner.maker} needs where it stands")
        if not _takes(key, 128) or not key or not _takes(value, 256):
            raise _Refusal(f"the tag {key} is none that IAM takes")
        other = next((k for k in self._after(resource) if k != key and k.casefold() == key.casefold()), None)
        if other:
            raise _Refusal(f"{key} and {other} differ in case alone: which of them is right is for you to say")
        self.by[resource.arn, key].add(one)
        if self.sets[resource.arn].setdefault(key, value) != value:
            self.clashing.add((resource.arn, key))

    def _after(self, resource: Resource) -> _Tags:
        return resource.own_tags | self.sets.get(resource.arn, {})

    # What would be wrong afterwards.

    def _what_is_wrong(self) -> dict[Finding, str]:
        """Return the findings that would stay, or bring new ones, with what would be so."""
        wrong: dict[Finding, str] = {}
        for arn, sets in self.sets.items():
            resource, after = self.members[arn], self._after(self.members[arn])
            if len(after) > MOST:
                reason = f"{resource.said} would have {len(after)} tags, and AWS takes {MOST}"
                wrong |= dict.fromkeys(self._asking(resource), reason)
            for rule in self._violated(resource, after):
                if rule.key in sets and rule not in self._violated(resource, resource.own_tags):
                    reason = f"{resource.said} would have a value of {rule.key} that the policy does not allow"
                    wrong |= dict.fromkeys(self.by[arn, rule.key], reason)
        role = self.star.role
        for profile in self.star.profiles if role else ():
            assert role is not None  # noqa: S101 (for the type checker)
            differed, differs = profile.own_tags != role.own_tags, self._after(profile) != self._after(role)
            touching = self._asking(profile) | self._asking(role)
            if profile.tags is None:
                wrong |= dict.fromkeys(touching, f"the tags of {profile.said}, which holds the role too, were not read")
            elif differs and (not differed or (profile.untaggable and self.sets.get(profile.arn))):
                wrong |= dict.fromkeys(touching, f"{profile.said} and {role.said} would then differ")
            mine = [one for one in self.wanted if one.remedy == "same tags" and one.resource_arn == profile.arn]
            if differs and mine:
                wrong |= dict.fromkeys(mine, _still(self._after(role), self._after(profile)))
        for arn, key in self.clashing:
            reason = f"{key} has more than one value that could be copied: which is right is for you to say"
            wrong |= dict.fromkeys(self.by[arn, key], reason)
        return wrong

    def _asking(self, resource: Resource) -> set[Finding]:
        return {one for (arn, _), asking in self.by.items() if arn == resource.arn for one in asking}

    def _violated(self, resource: Resource, tags: _Tags) -> list[RequiredTag]:
        return [
            rule
            for rule in self.rules
            if resource.kind in rule.on and not (rule.key in tags and rule.allows(tags[rule.key]))
        ]


def _only(rule: RequiredTag, values: Iterable[str]) -> str:
    allowed = [value for value in values if rule.allows(value)]
    if len(allowed) != 1:
        what = "more than one value that the policy allows is" if allowed else "no value that the policy allows is"
        raise _Refusal(f"{rule.key}: {what} on the other side, so that what it should be is not known")
    return allowed[0]


def _still(role: _Tags, profile: _Tags) -> str:
    keys = sorted(key for key in role.keys() | profile.keys() if role.get(key) != profile.get(key))
    return f"{', '.join(keys)} would differ all the same: which is right is for you to say"


def _takes(text: str, longest: int) -> bool:
    """Whether IAM takes a text in a tag: letters, numbers, spaces and a few signs, not beginning with `aws:`."""
    return (
        len(text) <= longest
        and not text.lower().startswith("aws:")
        and all(_SIGNS.match(c) or unicodedata.category(c)[0] in "LZN" for c in text)
    )


def _block(change: _Change, facts: Facts) -> Block:
    members = [change.members[arn] for arn in change.sets]
    # The script checks the resources that tags are copied from, too.
    sources = {
        arn: change.members[arn]
        for one in change.settled
        for arn in (one.resource_arn, one.related_arn)
        if arn in change.members
    }
    guarded = {one.arn: one for one in (change.star.role, *members) if one} | sources
    steps = [*map(unchanged, guarded.values()), *(_tagging(one, change.sets[one.arn]) for one in members)]
    replaced = [said for one in members for said in _replaced(one, change.sets[one.arn])]
    names = " and ".join(one.said for one in members[:2]) + (
        f" and {len(members) - 2} more" if len(members) > 2 else ""
    )
    account = facts.accounts[members[0].account_id]
    states = "; ".join(f"{one.said}: id {one.id}, {pluralize(len(one.tags or {}), 'tag')}" for one in guarded.values())
    return Block(
        members[0].account_id,
        f"Tag {names}",
        " ".join(sorted({one.check for one in change.settled})),
        "; ".join(
            [f"{one.check}: {change.members[one.resource_arn].name}: {one.detail}" for one in change.settled] + replaced
        ),
        f"{states}; {account.read}",
        None,
        tuple(steps),
    )


def _tagging(one: Resource, tags: _Tags) -> Command:
    old = {key: one.own_tags[key] for key in tags if key in one.own_tags}
    new = [key for key in tags if key not in old]
    undo = [on(one, "untag", tag_keys=json.dumps(new))] if new else []
    undo += [on(one, "tag", tags=tags_json(old))] if old else []
    cannot = "what permissions and cost reports that go by tags did in between stays done"
    return Command(one, "tag", on(one, "tag", tags=tags_json(tags)), undo=" && ".join(undo), cannot_undo=cannot)


def _replaced(one: Resource, tags: _Tags) -> list[str]:
    """Return a sentence per value that the other side's value replaces."""
    other = "role" if one.kind == PROFILE_TYPE else "profile"
    return [
        f"on {one.said} the {other}'s {key}={value!r} takes the place of {one.own_tags[key]!r}"
        for key, value in tags.items()
        if key in one.own_tags
    ]
