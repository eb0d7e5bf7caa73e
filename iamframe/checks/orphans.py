"""Checks about the use of profiles and roles: profiles without a role or a known use, stale references, quotas."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks import coverage as needs
from iamframe.checks.findings import Found, findings, found_in
from iamframe.checks.registry import check
from iamframe.inventory.arrow import Bools, are_among, as_arrow, index_in, is_in, joined_key, lookup
from iamframe.inventory.linking import account_named, profile_ids, profiles_meant, without_case, without_path
from iamframe.knowledge.arn import name_of
from iamframe.knowledge.operations import INSTANCES
from iamframe.knowledge.policies import POWERS, aws_managed_name, power_of
from iamframe.messages.render import Message, as_fact

_SHOW_ASSOCIATION = (
    "aws ec2 describe-iam-instance-profile-associations --filters={_instance:instance-id}{region:region}"
)
_SHOW_PROFILES = "aws iam list-instance-profiles-for-role --role-name={resource_name}"
# A younger empty profile may be about to get its role.
MIN_AGE = timedelta(days=1)
_CONSUMERS = ("instance", "association", "launch-template", "launch-configuration")


@check(
    severity="medium",
    needs=[needs.all_profiles],
    detail={
        "by": "_age",
        "young": "holds no role (the profile was less than a day old when the data was collected)",
        "other": "holds no role",
    },
    next_step={
        "by": "_step",
        "delete": "aws iam delete-instance-profile --instance-profile-name={resource_name}",
        "other": "aws iam get-instance-profile --instance-profile-name={resource_name}",
    },
    remediation="Delete the profile, unless something uses the profile or will soon put a role into it.",
    about="profile",
    alone=True,
    remedy="delete",
)
def empty_profiles(
    pairs: pd.DataFrame, references: pd.DataFrame, profiles: pd.DataFrame, accounts: pd.DataFrame
) -> Found:
    """Instance profiles that hold no role.

    The API call RunInstances refuses a profile without a role. A running instance gets no credentials from an empty
    profile. Empty profiles count against the quota, and the IAM console does not show them. A profile becomes empty
    when its role is removed, for example before the role is deleted. A deployment that stops half-way can also leave an
    empty profile. If the profile gets a role before you delete it, AWS refuses the deletion. If a collected resource
    uses the profile, iamframe suggests no deletion. iamframe also suggests no deletion if the profile was created less
    than a day before the data was collected, or if its creation time is unknown. A new profile may still get its role.
    """
    empty = pairs[pairs["role_arn"].isna() & pairs["role_known"]]
    created = profiles["created_at"].iloc[empty["profile_row"]].reset_index(drop=True)
    collected = accounts["captured_at"].iloc[index_in(empty["account_id"], accounts["account_id"])]
    age = collected.reset_index(drop=True).fillna(pd.Timestamp.now("UTC")) - created
    # AWS may resolve a reference with a different path to the profile.
    elsewhere = without_path(references["named"][references["profile_arn"].isna()])
    is_used = is_in(empty["profile_arn"], as_arrow(references["profile_arn"]))
    is_used |= is_in(without_path(empty["profile_arn"]), elsewhere)
    is_unneeded = ~is_used & (age >= MIN_AGE).to_numpy(bool)
    return findings(
        empty,
        "profile_arn",
        _age=pd.array(np.where(age < MIN_AGE, "young", "old"), dtype="str"),
        _step=pd.array(np.where(is_unneeded, "delete", "show"), dtype="str"),
        next_step_changes=is_unneeded,
    )


@check(
    severity="medium",
    needs=[needs.all_profiles, needs.references],
    certainty="maybe",
    detail={
        "by": "certainty",
        "in scope": "no reference found (all enabled regions were scanned); {_may:message}",
        "other": "no reference found ({_limit:message}); {_may:message}",
    },
    next_step="aws ec2 describe-instances --filters={resource_arn:iam-instance-profile.arn}",
    remediation="Find out who uses the profile and when its role was last used. Delete the profile if no person "
    "and no tool uses it.",
    about="profile",
    remedy="delete",
)
def unreferenced_profiles(
    pairs: pd.DataFrame, roles: pd.DataFrame, references: pd.DataFrame, lists: pd.DataFrame
) -> Found:
    """Profiles not used by anything we scanned.

    The finding shows the scanned regions, the role's attached policies, and the number of inline policies. Profiles
    whose role has an AWS managed administrator policy come first. Karpenter, Terraform or a script may use a profile
    later. iamframe therefore never says that a profile is unused. The suggested command lists the instances that use
    the profile in one region. Run the suggested command in all your regions before you delete a profile. Before you
    delete a profile, also check when its role was last used.
    """
    readable = lists[lists["references_status"] != "unknown"]
    candidates = pairs[pairs["relation"].notna() & is_in(pairs["account_id"], readable["account_id"])]
    silent = candidates[~are_among(candidates["profile_row"], references["profile_row"])]
    silent, facts = _powerful_first(silent, roles)
    reasons = zip(readable["references_message"], readable["references_facts"], strict=True)
    limits = pd.Series([as_fact(message, facts) for message, facts in reasons], readable.index, dtype="str")
    readable = readable.assign(limit=limits)
    scope = readable.iloc[index_in(silent["account_id"], readable["account_id"])]
    return findings(
        silent,
        "profile_arn",
        "role_arn",
        certainty=np.where(scope["references_status"] == "complete", "in scope", "maybe"),
        regions=scope["references_regions"],
        not_read=scope["references_not_read"],
        last_used_at=roles["last_used_at"].array.take(silent["role_row"], allow_fill=True),
        _limit=scope["limit"],
        **facts,
    )


@check(
    severity="medium",
    needs=[needs.profile_tags, needs.clusters_and_stacks],
    detail={
        "by": "_kind",
        "eks-cluster": "belongs to the EKS cluster {owner_name}, which no longer exists in {_regions}",
        "beanstalk-environment": "belongs to the Elastic Beanstalk environment {owner_name}, which no longer exists in "
        "{_regions}",
        "stack": "belonged to the CloudFormation stack {owner_name}, which no longer exists in {_regions}",
        "other": "its name suggests the CloudFormation stack {owner_name}, which no longer exists in {_regions}",
    },
    next_step={
        "by": "owner_type",
        "eks-cluster": "aws eks list-clusters{_region:region}",
        "beanstalk-environment": "aws elasticbeanstalk describe-environments{_region:region}",
        "other": "aws cloudformation describe-stack-resources --physical-resource-id={resource_name}{_region:region}",
    },
    remediation="Delete the profile, unless something else now uses the profile.",
    about="profile",
    remedy="delete",
)
def owner_gone(
    owned_profiles: pd.DataFrame, pairs: pd.DataFrame, references: pd.DataFrame, calls: pd.DataFrame
) -> Found:
    """Profiles whose cluster, environment or stack is gone.

    A profile still counts against the quota after its cluster or stack is deleted. Tags such as `eks:cluster-name` and
    `elasticbeanstalk:environment-id` show to which cluster, environment or stack a profile belongs. Karpenter 1.7 and
    later also write the cluster into the path of the profile. If only the profile's name suggests a CloudFormation
    stack, the certainty of the finding is `maybe`. The certainty is also `maybe` if the collected list of EC2 instances
    is incomplete. A cluster, environment or stack counts as gone only after a complete search of every region where it
    could be. If a profile belongs to several clusters, environments or stacks, the check reports the profile only if
    all of them are gone. The check reports no profile that is used by a collected instance. The check ignores the tag
    `kubernetes.io/cluster/…`, because profiles of non-EKS clusters can have this tag, too. Karpenter writes EKS tags
    (which the check uses) even if the cluster is not an EKS cluster. So, before you delete a Karpenter profile, make
    sure that no cluster outside EKS uses it. One in seven of the profile names that CloudFormation makes up looks like
    a name that a person chose. The check does not recognize such names.
    """
    gone = owned_profiles[owned_profiles["status"] == "gone"]
    running = references["profile_arn"][is_in(references["consumer_type"], ["instance", "association"])]
    gone = gone[~is_in(gone["profile_arn"], as_arrow(running))]
    used = references["profile_arn"].value_counts()
    read = calls[(calls["operation"] == INSTANCES) & (calls["state"] == "complete")]
    scanned = set(zip(read["account_id"], read["region"], strict=True))
    each = zip(gone["account_id"], gone["regions"].str.split(), strict=True)
    is_scanned = [all((account, region) in scanned for region in regions) for account, regions in each]
    is_sure = (gone["basis"] != "name") & np.array(is_scanned, dtype=bool)
    pair = pairs.iloc[index_in(gone["profile_arn"], pairs["profile_arn"])]
    return findings(
        pair,
        "profile_arn",
        "role_arn",
        certainty=np.where(is_sure, "certain", "maybe"),
        **gone[["owner_type", "owner_name", "regions", "basis"]],
        references=gone["profile_arn"].map(used).fillna(0).astype("int64"),
        _kind=gone["owner_type"].where(gone["basis"] != "name", "guess"),
        _regions=gone["regions"].str.split().map(_first_three).astype("str"),
        _region=gone["owner_region"],
    )


def _first_three(regions: list[str]) -> str:
    return ", ".join(regions[:3]) + (" …" if len(regions) > 3 else "")


def _profiles_are_there(found: Found, profiles: pd.DataFrame) -> Bools:
    # `profiles` is the frame of another inventory, in which the profile of a stale reference may exist.
    names = {"referenced_id": "profile_id", "_name": "profile_name"}
    uses = found.keyed(["named", *names]).rename(columns=names)
    meant = profiles_meant(uses, profiles)
    held = profile_ids(uses["profile_id"])
    there = profile_ids(lookup(profiles["profile_id"], index_in(meant, profiles["profile_arn"])))
    same = pc.or_(held.is_null(), pc.fill_null(pc.equal(held, there), False))
    # A profile in a Terraform plan may not exist.
    exists = pc.fill_null(pc.invert(pc.starts_with(meant, "address:")), False)
    missing = found.numbers[~np.asarray(pc.and_(same, exists))]
    return ~are_among(np.arange(len(found.table)), missing)


@check(
    severity="high",
    needs=[needs.references_and_profiles],
    detail={
        "by": "problem",
        "gone": "uses the profile {named}, which does not exist",
        "recreated": "still uses the deleted profile {referenced_id}; a new profile named '{_name}' has the id "
        "{current_id}",
        "other_path": "uses the profile {named}, which does not exist; the profile of that name has the path {_path}",
        "other": "uses the profile {named}",
    },
    next_step={
        "by": "consumer_type",
        "instance": _SHOW_ASSOCIATION,
        "association": _SHOW_ASSOCIATION,
        "launch-template": "aws ec2 describe-launch-template-versions --launch-template-id={consumer_id}"
        "{region:region}",
        "other": "aws autoscaling describe-launch-configurations --launch-configuration-names={consumer_id}"
        "{region:region}",
    },
    remediation="For an instance: replace its profile by an existing one. For a launch template or launch "
    "configuration: create a new version, or a new launch configuration, with an existing profile.",
    about="profile",
    ruled_out=_profiles_are_there,
)
def stale_references(references: pd.DataFrame, profiles: pd.DataFrame, lists: pd.DataFrame) -> Found:
    """References to deleted or nonexistent profiles.

    If a profile is deleted and recreated, its instances keep the old profile id and have no credentials. To give the
    instances credentials again, associate the recreated profile with each of them. Source: IAM User Guide,
    "Troubleshoot IAM and Amazon EC2". If a launch template contains the ARN or name of a profile that does not exist,
    launches from the template fail. The check also reports an ARN that differs from a profile's ARN only in the path.
    The check covers only references from instances, associations, launch templates and launch configurations.
    """
    direct = references[is_in(references["consumer_type"], _CONSUMERS)]
    seen = direct["consumer_id"][direct["consumer_type"] == "instance"]
    direct = direct[(direct["consumer_type"] != "association") | ~is_in(direct["consumer_name"], seen)]
    # An ARN contains its account.
    whose = pc.coalesce(account_named(direct["named"]), as_arrow(direct["account_id"]))
    gone = np.asarray(direct["profile_arn"].isna()) & is_in(whose, lists["account_id"][lists["profiles_whole"]])
    # Masked ids, and ids of associations, identify no profile.
    held = profile_ids(direct["profile_id"])
    now = profile_ids(lookup(profiles["profile_id"], direct["profile_row"].to_numpy()))
    recreated = np.asarray(pc.fill_null(pc.not_equal(held, now), False))
    where = np.flatnonzero(gone | recreated)
    stale = direct.iloc[where].reset_index(drop=True)
    # The profile of that name may have another path than the ARN.
    alike = profiles[is_in(without_case(profiles["profile_name"]), without_case(stale["profile_name"]))]
    namesake = index_in(without_path(stale["named"]), without_path(alike["profile_arn"]))
    rows = pd.DataFrame(
        {
            "account_id": stale["account_id"],
            "resource_arn": stale["consumer_arn"].fillna(stale["consumer_id"]),
            "resource_type": stale["consumer_type"],
            "resource_name": stale["consumer_name"].fillna(stale["consumer_id"]),
            "related_arn": stale["profile_arn"],
            "related_name": stale["profile_name"],
            **stale[["consumer_type", "consumer_id", "region", "named"]],
            "problem": np.select([recreated[where], namesake >= 0], ["recreated", "other_path"], "gone"),
            "referenced_id": stale["profile_id"],
            "current_id": now.take(pa.array(where)).to_pandas(),
            "_instance": stale["consumer_name"].where(stale["consumer_type"] == "association", stale["consumer_id"]),
            "_name": stale["profile_name"],
            "_path": lookup(alike["profile_path"], namesake).to_pandas(),
        }
    )
    # All versions of a template count as one consumer.
    return found_in(rows.drop_duplicates(["account_id", "resource_arn", "related_arn", "named", "problem"]))


@check(
    severity="low",
    needs=[needs.all_roles, needs.profiles_of_roles, needs.trust],
    detail="trusts EC2 and is in no instance profile; {_may:message}",
    next_step=_SHOW_PROFILES,
    remediation="Delete the role if nothing needs it, or create a profile for it.",
    about="role",
)
def ec2_roles_without_profile(pairs: pd.DataFrame, roles: pd.DataFrame) -> Found:
    """EC2 roles that are in no instance profile.

    EC2 gives a role to an instance only through a profile. The IAM console creates a profile along with an EC2 role.
    The API call CreateRole and the CloudFormation type AWS::IAM::Role create only a role. The check does not report a
    role whose trust policy allows EC2 only under a condition. Findings about roles with an AWS managed administrator
    policy come first.
    """
    alone = pairs[pairs["profile_arn"].isna() & (pairs["trusts_ec2"] == "yes")]
    alone, facts = _powerful_first(alone, roles)
    return findings(alone, "role_arn", **facts)


@check(
    severity="low",
    needs=[needs.roles_of_profiles],
    detail="is in {count} profiles: [{_profile_name}]",
    next_step=_SHOW_PROFILES,
    remediation="Create one role per purpose, or delete the profiles that nothing uses.",
    about="link",
)
def roles_in_many_profiles(pairs: pd.DataFrame) -> Found:
    """Roles in more than one profile.

    A profile holds at most one role, but a role can be in several profiles. A change to a shared role affects all its
    profiles.
    """
    many = pairs[pairs["relation"].notna() & pairs["role_row"].duplicated(keep=False)]
    # A role that no source shows has no row: it is known only by name, and is a different one in each account.
    many = many[many.duplicated(["account_id", "role_arn"], keep=False)].sort_values("profile_name")
    names = {"role_name": "resource_name", "role_arn": "resource_arn", "profile_name": "_profile_name"}
    rows = many[["account_id", "profile_arn", *names]].rename(columns=names)
    return found_in(rows.assign(resource_type="role"))


@check(
    severity="high",
    needs=[needs.quotas],
    detail={
        "by": "counted",
        "roles": "the account has {used} roles ({_percent}% of its quota of {quota})",
        "profiles": "the account has {used} instance profiles ({_percent}% of its quota of {quota})",
    },
    next_step="aws iam get-account-summary",
    remediation="The file `quota_use.csv` (in Python: `iamframe.quota_use`) shows which tools, clusters, stacks and "
    "owners use up the quota. Delete roles or profiles that are not needed, or request a higher quota.",
    about="account",
)
def quota_pressure(accounts: pd.DataFrame, *, threshold: float = 0.8) -> Found:
    """Accounts near their role or profile quota.

    Creating a role or profile fails with LimitExceeded if its quota is reached. EKS creates a profile for each managed
    node group. Karpenter creates a profile for each node class that specifies a role. Many node groups or node classes
    can use up the profile quota.
    """
    account = accounts[["account_id", "account_name", "partition"]]
    counted = [
        account.assign(counted=what, used=accounts[used], quota=accounts[quota].where(accounts[quota] > 0))
        for what, used, quota in (
            ("roles", "roles_expected", "role_quota"),
            ("profiles", "profiles_expected", "profile_quota"),
        )
    ]
    both = pd.concat(counted, ignore_index=True)
    share = both["used"] / both["quota"]
    full = both[(share >= threshold).fillna(value=False).to_numpy(bool)]
    rows = full[["account_id", "counted", "used", "quota"]].assign(
        resource_arn="arn:" + full["partition"].fillna("aws") + ":iam::" + full["account_id"] + ":root",
        resource_type="account",
        resource_name=full["account_name"],
        _percent=(100 * full["used"] // full["quota"]).astype("Int64"),
    )
    return found_in(rows)


def _powerful_first(rows: pd.DataFrame, roles: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    where = rows["role_row"].to_numpy()
    attached = lookup(roles["attached_policies"], where)
    inline = roles["inline_policy_count"].array.take(where, allow_fill=True)
    # Thousands of roles share a few sets of policies.
    codes = joined_key(attached, inline).dictionary_encode().indices
    first = pa.array(np.unique(codes, return_index=True)[1])
    sets = zip(attached.take(first).to_pylist(), pa.array(inline).take(first).to_pylist(), strict=True)
    messages = [_policies_message(*one) for one in sets]
    powers = [message.get("power") or None for message in messages]
    ranks = [POWERS.index(power) if power else len(POWERS) for power in powers]
    facts = {
        "attached_policies": attached,
        "inline_policy_count": inline,
        "power": pa.array(powers, pa.string()).take(codes),
        "_may": pa.array([msgspec.json.encode(one).decode() for one in messages], pa.string()).take(codes),
        "_order": np.array(ranks, dtype=np.int64)[codes],
    }
    order = np.argsort(facts["_order"], kind="stable")
    return rows.iloc[order], {name: values.take(order) for name, values in facts.items()}


def _policies_message(attached: str | None, inline: int | None) -> Message:
    if attached is None or (inline is None and not attached):
        return {"message": "permissions.unknown"}
    arns = sorted(attached.split(), key=lambda arn: POWERS.index(power_of(arn) or POWERS[-1]))
    names: dict[str, list[str]] = {"aws": [], "own": []}
    for arn in arns:
        names["aws" if aws_managed_name(arn) else "own"].append(name_of(arn))
    parts: list[Message] = [
        {"message": f"permissions.{whose}", "names": own, "count": len(own)} for whose, own in names.items() if own
    ]
    parts += [{"message": "permissions.inline", "count": inline}] if inline else []
    if not parts:
        return {"message": "permissions.none"}
    powers = set(map(power_of, arns))
    power = next((power for power in POWERS if power in powers), "")
    if not power:
        return {"message": "permissions.some", "parts": parts}
    strong = [name_of(arn) for arn in arns if power_of(arn) == power]
    effect = {"message": f"permissions.{power}", "names": strong, "count": len(strong)}
    return {"message": "permissions.powerful", "power": power, "parts": parts, "effect": effect}
