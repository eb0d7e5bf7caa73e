"""The steps of a clean-up, as commands of the AWS CLI.

Every value is quoted as one shell word, `--option=value`, whatever characters it contains.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from iamframe.analysis.plan.reads import existing
from iamframe.analysis.plan.resources import GoneOwner, ProfileFacts, Resource
from iamframe.knowledge.arn import PROFILE_TYPE, ROLE_TYPE
from iamframe.messages.render import Message

_TAGS = "sort_by(Tags||`[]`,&Key)[].[Key,Value]"
# The fields that a script collects again. `to_string` escapes all characters except ASCII, so the comparison does not
# depend on the terminal's encoding.
STATE_QUERIES = {
    PROFILE_TYPE: f"to_string(InstanceProfile.[InstanceProfileId,Roles[].RoleId,{_TAGS}])",
    ROLE_TYPE: f"to_string(Role.[RoleId,{_TAGS}])",
}


@dataclass(frozen=True, slots=True)
class Command:
    """One step of a clean-up: one shell line, the command that undoes it, and its effects that cannot be undone.

    A step with the action `check` only reads. For such a step, the script runs `line` instead of `command`.
    """

    resource: Resource
    action: str
    command: str
    line: str = ""
    undo: str | None = None
    cannot_undo: Message | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Steps on one profile that run together or not at all: checks first, then writes."""

    profile: ProfileFacts
    checks: list[str]
    why: list[Message]
    rests_on: list[Message]
    steps: list[Command]

    @property
    def writes(self) -> list[Command]:
        """The steps that change something."""
        return [step for step in self.steps if step.action != "check"]

    @property
    def deletes(self) -> bool:
        """Whether the steps delete the profile."""
        return self.steps[-1].action == "delete"


def aws_iam(verb: str, resource: Resource, **options: str) -> str:
    """Return an AWS CLI command on a role or profile, such as `aws iam get-role …`, as one shell line.

    `verb` is the part of the command before the resource type, such as `get`.
    """
    given = {f"{resource.kind}-name": resource.name, **options}
    words = [f"--{name.replace('_', '-')}={shlex.quote(value)}" for name, value in given.items()]
    return " ".join(("aws iam", f"{verb}-{resource.kind}", *words))


def tags_json(tags: dict[str, str]) -> str:
    """Return tags as JSON for the AWS CLI, whose shorthand cannot quote every value.

    The JSON is ASCII, so that look-alike letters stay different in every locale.
    """
    return json.dumps([{"Key": key, "Value": value} for key, value in tags.items()], separators=(",", ":"))


def is_unchanged(resource: Resource) -> Command:
    """Return a step that checks whether a resource still has the collected id, role and tags."""
    command = aws_iam("get", resource, output="text", query=STATE_QUERIES[resource.kind])
    function = "profile_is" if resource.kind == PROFILE_TYPE else "role_is"
    return Command(resource, "check", command, shlex.join((function, resource.name, resource.state)))


def is_unused(profile: ProfileFacts, regions: list[str]) -> Command:
    """Return a step that checks that no instance in these regions uses a profile."""
    by_id = f"IamInstanceProfileAssociations[?IamInstanceProfile.Id=='{profile.id}'].AssociationId"
    command = (
        f"for region in {' '.join(regions)}; do aws ec2 describe-iam-instance-profile-associations "
        f'--region="$region" --output=text --query={shlex.quote(by_id)}; aws ec2 describe-instances '
        f"--region=\"$region\" --output=text --query='Reservations[].Instances[].InstanceId' "
        f"--filters=Name=iam-instance-profile.id,Values={profile.id}; done"
    )
    return Command(profile, "check", command, shlex.join(("unused", profile.name, profile.arn, profile.id)))


def is_without_owner(profile: ProfileFacts, gone: GoneOwner) -> Command:
    """Return a step that checks that the owner of a profile still does not exist."""
    regions = " ".join(gone.regions)
    command = f"for region in {regions}; do {' '.join(existing(gone.owner).split())}; done"
    line = shlex.join(("without_owner", profile.name, gone.owner.owner_type, regions, *gone.names))
    return Command(profile, "check", command, line)
