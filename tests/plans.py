"""What the tests of plans share: accounts to plan for, and the reasons of what is not planned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from accounts import add, load
from builders import tag_list

import iamframe
from iamframe import Plan, Result
from iamframe.messages.render import nested
from iamframe.practice import PracticeAccount

NOW = timedelta(0)
DELETING = ("empty_profiles", "unreferenced_profiles", "owner_gone")
PLANNED = (*DELETING, "untagged_profiles", "untagged_roles", "tag_differences", "missing_required_tags")


def checked(account: PracticeAccount, only: Sequence[str] | None = PLANNED, **options: Any) -> Result:
    """What a plan is made of; `only=None` finds the rest, too."""
    return iamframe.run_checks(load(account, **({"references": "all"} | options)), only)


def tag_role(account: PracticeAccount, name: str, **tags: str) -> None:
    account.session().client("iam").tag_role(RoleName=name, Tags=tag_list(tags))


def name_in_template(account: PracticeAccount, name: str, region: str | None = None) -> None:
    """Let a template name a profile, by its name or by an ARN."""
    ec2 = account.session(region_name=region).client("ec2")
    data = {"IamInstanceProfile": {"Arn" if name.startswith("arn:") else "Name": name}}
    name = name.rpartition("/")[2]
    ec2.create_launch_template(LaunchTemplateName=f"t-{len(name)}-{name.strip('-')}", LaunchTemplateData=data)


def link(account: PracticeAccount, name: str, role: dict[str, str], held_by: dict[str, str]) -> None:
    """A pair of one name with these tags, in use."""
    add(account, name, name, **held_by)
    if role:
        tag_role(account, name, **role)
    name_in_template(account, name)


def reasons(plan: Plan) -> dict[tuple[str, str], Any]:
    """Why each finding is not planned, as a message with its facts, by check and name: of a role, `role/NAME`."""
    rows = plan.not_planned
    names = rows["resource_name"].where(rows["resource_type"] != "role", "role/" + rows["resource_name"])
    why = map(nested, rows["message"], rows["facts"])
    return dict(zip(zip(rows["check"], names, strict=True), why, strict=True))


def because(message: str, **facts: Any) -> dict[str, Any]:
    return {"message": f"plan.{message}", **facts}
