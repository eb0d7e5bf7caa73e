"""Checks that compare the names and paths of roles and profiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from iamframe.checks import coverage as needs
from iamframe.checks.findings import Found, findings, found_in
from iamframe.checks.registry import check
from iamframe.checks.tag_policy import ToolUse, any_text
from iamframe.inventory.arrow import Bools, Texts, are_among, index_in, is_in, joined_key
from iamframe.inventory.linking import without_case
from iamframe.knowledge.makers import GUESS, ToolRule, tool_rules

_OF_LINK = [
    *("account_id", "maker", "maker_basis", "relation", "profile_name", "role_name"),
    *("certainty", "tool", "rule", "prefix", "_role_path"),
]
_RESOURCES = {
    "resource_arn": "profile_arn",
    "resource_name": "profile_name",
    "related_arn": "role_arn",
    "related_name": "role_name",
}
_SHOW = "aws iam get-instance-profile --instance-profile-name={resource_name}"


@check(
    severity="low",
    needs=[needs.roles_of_profiles],
    detail="holds the role {role_name}",
    next_step=_SHOW,
    remediation="Create a profile with the role's name, add the role to it, and use it instead of the old profile.",
    about="link",
    alone=True,
)
def name_mismatches(pairs: pd.DataFrame) -> Found:
    """Profile and role names differ.

    The EC2 console shows profiles under "IAM role". People therefore mistake the profile's name for the role's name. If
    role and profile have the same name, the IAM console deletes the profile together with the role. If the names
    differ, the IAM console deletes only the role. The finding names the kind of difference, such as a generated
    suffix. The severity is `info` if a tool causes the difference by design, or if your own naming rule allows it. AWS
    cannot rename a profile or a role. Create a new profile with the right name. Put the role into the new profile.
    Associate the new profile with the instances.
    """
    differ = pairs[pairs["relation"].notna() & (pairs["relation"] != "same")]
    facts = differ[["profile_name", "role_name", "relation"]]
    return findings(differ, "profile_arn", "role_arn", **facts, expected=differ["names_expected"])


@check(
    severity="low",
    needs=[needs.roles_of_profiles, needs.role_paths],
    detail="the profile has the path {profile_path}, but its role has the path {role_path}",
    next_step=_SHOW,
    remediation="Create a new profile with the role's path (and another name, because names are unique), add the role "
    "to the new profile, and use the new profile instead of the old one.",
    about="link",
    alone=True,
)
def path_mismatches(pairs: pd.DataFrame) -> Found:
    """Profile and role paths differ.

    A policy can allow or deny requests by path, such as `instance-profile/team/*`. If the paths differ, a policy may
    cover the role but not the profile. Some tools accept only the path `/`. In an ARN, a tool may expect the name
    directly after `instance-profile/` or `role/`. For Cloud9, AWS itself creates the profile under `/cloud9/` and the
    role under `/service-role/`. AWS cannot change the path of a profile or role: create the resource again.
    """
    differ = pairs[pairs["paths_differ"]]
    facts = differ[["profile_path", "role_path"]]
    return findings(differ, "profile_arn", "role_arn", **facts, expected=differ["paths_expected"])


@check(
    severity="high",
    needs=[needs.all_roles, needs.roles_of_profiles],
    detail="holds the role {related_name}, although there is a role with the profile's name ({namesake_arn})",
    next_step=_SHOW,
    remediation="Find out which of the two roles the profile's instances need. If it is the role with the profile's "
    "name, put it into the profile instead of the current role. Otherwise, create a profile with the name of the "
    "current role, put the current role into it, and let the instances use it.",
)
def crossed_names(pairs: pd.DataFrame, roles: pd.DataFrame) -> Found:
    """Profiles named like one role, but holding another.

    People choose a profile by its name. The instance gets the permissions of the role in the profile. The check
    compares the profile's name with the names of all roles, without regard to case. An account cannot have two roles
    whose names differ only in case. Source: IAM User Guide, "IAM and AWS STS quotas".
    """
    linked = np.flatnonzero(is_in(pairs["relation"], ["affix", "generated", "different"]))
    where = index_in(_name_key(pairs[["account_id", "profile_name"]].iloc[linked], "profile"), _name_key(roles, "role"))
    namesakes = roles["role_arn"].iloc[where[where >= 0]].array
    crossed = pairs.iloc[linked[where >= 0]].assign(namesake_arn=namesakes)
    crossed = crossed[crossed["namesake_arn"] != crossed["role_arn"]]
    return findings(crossed, "profile_arn", "role_arn", **crossed[["namesake_arn", "relation"]])


def _name_key(frame: pd.DataFrame, side: str) -> Texts:
    return joined_key(frame["account_id"], without_case(frame[f"{side}_name"]))


@check(
    severity="medium",
    needs=[needs.roles_of_profiles, needs.references],
    detail={
        "by": "rule",
        "same_names": "{tool} uses the profile, but requires a role with the same name; the role is {role_name}",
        "role_arn": "for SQL Serverless, {tool} also needs the role's ARN, because the role has a different name "
        "({role_name})",
        "prefix": "{tool} accepts only profile and role names that begin with {prefix}; the profile holds the role "
        "{role_name}",
        "role_prefix": "{tool} accepts only role names that begin with {prefix}, and roles whose path contains "
        "{_role_path}; the profile holds the role {role_name}",
        "policy": "AWS's policy for {tool} allows only role names that begin with {prefix}; the profile holds the "
        "role {role_name}",
        "other": "{tool} rejects the names",
    },
    next_step=_SHOW,
    remediation="Create a role and a profile with names that the tool (such as EMR) accepts, and let "
    "the tool use the new profile.",
    about="link",
)
def names_refused(pairs: pd.DataFrame, references: pd.DataFrame, *, tools: Sequence[ToolUse] = ()) -> Found:
    """Profile or role names that tools reject.

    Amazon EMR requires that profile and role have the same name. RDS Custom requires profile and role names that begin
    with `AWSRDSCustom`. AWS PCS requires a role name that begins with `AWSPCS`, or a role path that contains
    `/aws-pcs/`. With names that EMR rejects, you cannot create an EMR cluster. With names that AWS PCS rejects, you
    cannot create a compute node group. Existing clusters keep running. The check covers profiles used by services and
    tools that restrict profile or role names. The check also examines the names of the profiles that your iamframe
    policy file lists under `[[tools]]`. AWS does not show which profiles Databricks uses. To check their names, list
    these profiles under `[[tools]]`. A tool can also reject names that CloudFormation generates, or names that your own
    naming rule demands.
    """
    # Few profiles are used by such tools.
    by_tool = is_in(references["consumer_type"], [kind for rule in tool_rules() for kind in rule.consumer_types])
    is_meant = bool(tools) | are_among(pairs["profile_row"], references["profile_row"][by_tool])
    links = pairs[pairs["relation"].notna() & is_meant]
    parts = [links[:0].assign(tool="", rule="", prefix="", _role_path="", certainty="")]
    for rule in tool_rules() if len(links) else ():
        used = references["profile_row"][is_in(references["consumer_type"], rule.consumer_types)]
        is_used = are_among(links["profile_row"], used)
        for use in tools:
            if use.tool == rule.tool:
                is_used |= links["profile_name"].str.match(any_text(use.profile), na=False).to_numpy(bool)
        if is_used.any():
            mine = links[is_used]
            is_excepted = is_in(mine["maker"], rule.except_makers) & (mine["maker_basis"] != GUESS).to_numpy(bool)
            broken = mine[_breaks(rule, mine) & ~is_excepted]
            certainty = "maybe" if rule.rule == "policy" else "certain"
            given = {"prefix": rule.role_prefix, "_role_path": rule.role_path}
            parts.append(broken.assign(tool=rule.tool, rule=rule.rule, certainty=certainty, **given))
    found = pd.concat(parts, ignore_index=True).sort_values("certainty", kind="stable")
    resources = {name: found[column] for name, column in _RESOURCES.items()}
    return found_in(found[_OF_LINK].assign(resource_type="instance-profile", **resources))


def _breaks(rule: ToolRule, links: pd.DataFrame) -> Bools:
    if rule.wants_same_names:
        # No source says whether a tool distinguishes names by case.
        return ~is_in(links["relation"], ["same", "case"])
    # An unknown name or path breaks no rule.
    wrong = np.zeros(len(links), dtype=bool)
    for side, prefix in (("role", rule.role_prefix), ("profile", rule.profile_prefix)):
        other = ~links[f"{side}_name"].str.startswith(prefix, na=True)
        if side == "role" and rule.role_path:
            other &= ~links["role_path"].str.contains(rule.role_path, regex=False, na=True)
        wrong |= other.to_numpy(bool)
    return wrong
