"""The steps of a clean-up, as commands of the AWS CLI."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from iamframe.analysis.plan.resources import Resource


@dataclass(frozen=True, slots=True)
class Command:
    """One step of a clean-up: the command as one shell line, and how to undo it.

    A step whose action is `check` only reads; the script runs its `line` instead, which calls a function of the script.
    `doing` describes a write whose action does not.
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
    """Steps that run together or not at all: checks first, then writes."""

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


def on(resource: Resource, verb: str, **options: str) -> str:
    """Return the AWS CLI command that does something with a role or profile (`get`, `tag` …), as one shell line.

    Each option is one word of the shell whatever its value is.
    """
    given = {f"{resource.kind}-name": resource.name, **options}
    words = [f"--{name.replace('_', '-')}={shlex.quote(value)}" for name, value in given.items()]
    return " ".join(("aws iam", f"{verb}-{resource.kind}", *words))


def tags_json(tags: dict[str, str]) -> str:
    """Return tags as JSON for the AWS CLI, whose shorthand cannot quote every value.

    It is ASCII, so that letters that look alike stay apart in every locale.
    """
    return json.dumps([{"Key": key, "Value": value} for key, value in tags.items()], separators=(",", ":"))
