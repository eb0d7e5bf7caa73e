"""Checks of names and paths of a role and its profile."""

from __future__ import annotations

import pandas as pd

from iamframe.checks import coverage as needs
from iamframe.checks.findings import Found, findings
from iamframe.checks.registry import check
from iamframe.inventory.arrow import Texts, index_in, joined_key
from iamframe.inventory.linking import without_case

_SHOW = "aws iam get-instance-profile --instance-profile-name={resource_name}"


@check(
    severity="low",
    needs=[needs.links],
    detail="profile {profile_name} holds role {role_name}",
    next_step=_SHOW,
    remediation="Create a profile with the role's name, put the role into it, and associate it instead of the old one.",
    about="link",
    alone=True,
)
def name_mismatches(pairs: pd.DataFrame) -> Found:
    """Profile and role names differ.

    The EC2 console lists profiles under "IAM role", so people take the profile's name for the role's. The IAM console
    deletes a profile with its role only if both have the same name. `relation` shows how the names differ; a
    difference by design is `info`. Neither can be renamed: create a profile with the right name, put the role into
    it, and associate it.
    """
    differ = pairs[pairs["relation"].notna() & (pairs["relation"] != "same")]
    return findings(
        differ,
        "profile_arn",
        "role_arn",
        profile_name=differ["profile_name"],
        role_name=differ["role_name"],
        relation=differ["relation"],
        expected=differ["names_expected"],
    )


@check(
    severity="low",
    needs=[needs.links, needs.role_paths],
    detail="the profile is under {profile_path}, the role under {role_path}",
    next_step=_SHOW,
    remediation="Create a profile with the role's path, put the role into it, and associate it instead of the old one.",
    about="link",
    alone=True,
)
def path_mismatches(pairs: pd.DataFrame) -> Found:
    """Profile and role paths differ.

    Policies can allow or deny by path (`instance-profile/team/*`), so different rules may apply to the two sides. A
    path other than `/` also breaks tools that take the first segment of the ARN for the name. AWS itself creates
    Cloud9's profile under `/cloud9/` and its role under `/service-role/`. A path cannot be changed: create the resource
    again.
    """
    differ = pairs[pairs["paths_differ"]]
    return findings(
        differ,
        "profile_arn",
        "role_arn",
        profile_path=differ["profile_path"],
        role_path=differ["role_path"],
        expected=differ["paths_expected"],
    )


@check(
    severity="high",
    needs=[needs.all_roles, needs.links],
    detail="holds role {related_name}, but a role with the profile's own name exists: {namesake_arn}",
    next_step=_SHOW,
    remediation="Put the role with the profile's name into it, or create a profile named after the role that it holds.",
)
def crossed_names(pairs: pd.DataFrame, roles: pd.DataFrame) -> Found:
    """Profiles that hold the wrong role.

    If you choose the profile by its name, the instance gets the permissions of a different role. Names are compared
    without case, because they are unique in an account without case (IAM User Guide, "IAM and AWS STS quotas").
    """
    linked = pairs[pairs["relation"].isin(["affix", "generated", "different"])]
    where = index_in(_name_key(linked, "profile"), _name_key(roles, "role"))
    namesakes = roles["role_arn"].iloc[where[where >= 0]].array
    crossed = linked[where >= 0].assign(namesake_arn=namesakes)
    crossed = crossed[crossed["namesake_arn"] != crossed["role_arn"]]
    return findings(
        crossed, "profile_arn", "role_arn", namesake_arn=crossed["namesake_arn"], relation=crossed["relation"]
    )


def _name_key(frame: pd.DataFrame, side: str) -> Texts:
    return joined_key(frame["account_id"], without_case(frame[f"{side}_name"]))
