"""The steps of a clean-up, as calls of the AWS CLI."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from iamframe.analysis.plan.resources import PROFILE, Resource


@dataclass(frozen=True, slots=True)
class Command:
    """One step: of what, what it does, the command as one shell line, and what taking it back takes.

    `check` reads, and its `line` is what the script does instead: it calls a function of its own. `doing` says in words
    what a write does to the resource, where its action does not.
    """

    resource: Resource
    action: str
    command: str
    line: str = ""
    undo: str | None = None
    cannot_undo: str | None = None
    doing: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """Commands that are done together or not at all: checks first, then writes."""

    account_id: str
    title: str
    checks: str
    why: str
    rests_on: str
    related_arn: str | None
    steps: tuple[Command, ...]

    @property
    def writes(self) -> list[Command]:
        """The steps that change something."""
        return [step for step in self.steps if step.action != "check"]


def words(*parts: str, **options: str) -> str:
    """Return an AWS CLI command as a line of a shell, each option one word whatever its value is."""
    given = [f"--{name.replace('_', '-')}={shlex.quote(value)}" for name, value in options.items()]
    return " ".join(("aws", *parts, *given))


def tag_words(resource: Resource, tags: dict[str, str]) -> str:
    """Return the command that gives a resource tags; in JSON, since the CLI's shorthand has no safe way of quoting."""
    verb, option = (
        ("tag-instance-profile", "instance_profile_name") if resource.kind == PROFILE else ("tag-role", "role_name")
    )
    return words("iam", verb, **{option: resource.name}, tags=tags_json(tags))


def untag_words(resource: Resource, keys: Iterable[str]) -> str:
    """Return the command that takes tags off a resource."""
    verb, option = (
        ("untag-instance-profile", "instance_profile_name") if resource.kind == PROFILE else ("untag-role", "role_name")
    )
    return words("iam", verb, **{option: resource.name}, tag_keys=json.dumps(list(keys)))


def tags_json(tags: dict[str, str]) -> str:
    """Return tags as the AWS CLI takes them, in ASCII: letters that look alike stay apart, and no locale matters."""
    return json.dumps([{"Key": key, "Value": value} for key, value in tags.items()], separators=(",", ":"))
