"""Names and paths of a role and its profile that do not match."""

from __future__ import annotations

import pandas as pd

from iamframe.checks import coverage as needs
from iamframe.checks.findings import Found, findings
from iamframe.checks.registry import check
from iamframe.inventory.arrow import index_in

_SHOW = "aws iam get-instance-profile --instance-profile-name={resource_name}"


@check(
    severity="low",
    needs=[needs.links],
    detail="profile {profile_name} holds role {role_name}",
    next_step=_SHOW,
    remediation="Make a profile named after the role, put the role into it, and associate it in the old one's place.",
    about="link",
    alone=True,
)
def name_mismatches(pairs: pd.DataFrame) -> Found:
    """Profile and role names differ.

    The console, and people, take the name of a profile for the name of its role: EC2 lists profiles under "IAM
    role", and the console deletes a profile with its role only if both are named alike. `relation` says how they
    differ; where it is by the maker's design, the finding is kept as `info`. Neither can be renamed: make a profile
    of the right name, put the role in, and associate it.
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
    detail="beyond /, the profile's path has {_profile_segments:path} and the role's {_role_segments:path}",
    next_step=_SHOW,
    remediation="Make a profile with the role's path, put the role into it, and associate it in the old one's place.",
    about="link",
    alone=True,
)
def path_mismatches(pairs: pd.DataFrame) -> Found:
    """Profile and role paths differ.

    Policies allow or deny by path (`instance-profile/team/*`), and each side is then under another rule; a path beyond
    `/` also breaks tools that take the first segment of the ARN for the name. Cloud9's profile lies under `/cloud9/`
    and its role under `/service-role/`, by AWS's own making. A path cannot be changed, only made anew.
    """
    differ = pairs[pairs["paths_differ"]]
    return findings(
        differ,
        "profile_arn",
        "role_arn",
        profile_path=differ["profile_path"],
        role_path=differ["role_path"],
        _profile_segments=differ["profile_segments"],
        _role_segments=differ["role_segments"],
        expected=differ["paths_expected"],
    )


@check(
    severity="high",
    needs=[needs.all_roles, needs.links],
    detail="holds role {related_name}, though a role of the profile's own name exists: {namesake_arn}",
    next_step=_SHOW,
    remediation="Put the role of its own name into the profile, or give the role that it holds a profile of its name.",
)
def crossed_names(pairs: pd.DataFrame, roles: pd.DataFrame) -> Found:
    """Profiles that hold the wrong role.

    Whoever picks the profile by its name gives the instance the permissions of another role than the one that they
    read. Names are unique in an account without case (IAM User Guide, "IAM and AWS STS quotas").
    """
    linked = pairs[pairs["relation"].isin(["affix", "generated", "different"])]
    where = index_in(_name_key(linked, "profile"), _name_key(roles, "role"))
    namesakes = roles["role_arn"].iloc[where[where >= 0]].array
    crossed = linked[where >= 0].assign(namesake_arn=namesakes)
    crossed = crossed[crossed["namesake_arn"] != crossed["role_arn"]]
    return findings(
        crossed, "profile_arn", "role_arn", namesake_arn=crossed["namesake_arn"], relation=crossed["relation"]
    )


def _name_key(frame: pd.DataFrame, side: str) -> pd.Series:
    return frame["account_id"] + "\n" + frame[f"{side}_name"].str.lower()
