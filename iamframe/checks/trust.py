"""Checks of trust policies."""

from __future__ import annotations

import numpy as np
import pandas as pd

from iamframe.checks import coverage as needs
from iamframe.checks.findings import Found, findings
from iamframe.checks.registry import check
from iamframe.knowledge.trust import names_ec2, read_content


@check(
    severity="high",
    needs=[needs.roles_of_profiles, needs.trust_of_roles_in_profiles],
    detail={
        "by": "_trust",
        "none": "the profile's role {related_name} trusts no service",
        "not assumed": "the trust policy of the profile's role {related_name} names EC2, but does not allow "
        "sts:AssumeRole",
        "elsewhere": "the profile's role {related_name} trusts {trusted_services}, which is not EC2 in partition "
        "{_partition}",
        "other": "the profile's role {related_name} trusts {trusted_services}, not EC2",
    },
    next_step="aws iam get-role --role-name={related_name}",
    remediation="Allow ec2.amazonaws.com in the role's trust policy, or put another role into the profile.",
    about="link",
    alone=True,
)
def profiles_without_ec2_trust(pairs: pd.DataFrame, roles: pd.DataFrame) -> Found:
    """Profiles with a role that EC2 cannot assume.

    AWS does not check the trust policy when you put a role into a profile. An instance whose role does not trust EC2
    gets the error code `AssumeRoleUnauthorizedAccess` instead of credentials. Source: IAM User Guide, "Troubleshoot IAM
    and Amazon EC2". The check does not report a profile if the trust policy of its role allows EC2 under a condition.
    """
    closed = pairs[pairs["relation"].notna() & (pairs["trusts_ec2"] == "no")]
    services = roles["trusted_services"].iloc[closed["role_row"]]
    # EC2's name in another partition looks right, but does not work.
    looks_right = services.str.contains(r"(?:^| )ec2\.", case=False, na=False)
    partition = closed["profile_arn"].str.extract("^arn:([^:]+):", expand=False).fillna("aws")
    each = zip(looks_right, services, partition, strict=True)
    is_named = np.array([looks and names_ec2(*one) for looks, *one in each], dtype=bool)
    return findings(
        closed,
        "profile_arn",
        "role_arn",
        trusted_services=services,
        _trust=np.select([services.isna(), is_named, looks_right], ["none", "not assumed", "elsewhere"], "other"),
        _partition=partition,
    )


@check(
    severity="medium",
    needs=[needs.all_roles, needs.trust],
    detail="trusts a deleted principal: [{principal_id}]",
    next_step="aws iam get-role --role-name={resource_name}",
    remediation="Remove the deleted principals from the trust policy.",
    about="role",
    alone=True,
)
def deleted_trust_principals(roles: pd.DataFrame) -> Found:
    """Roles that trust a deleted role or user.

    When a trusted role or user is deleted, its unique id replaces its ARN. A trust policy with a deleted principal
    contains an id like `AROA…` (role) or `AIDA…` (user). Source: IAM User Guide, "AWS JSON policy elements: Principal".
    A new role or user with the same name is not trusted.
    """
    rows = roles[roles["trust_policy"].str.contains('"A(?:RO|ID)A', na=False)]
    # Many roles share a policy.
    read = {policy: read_content(policy.encode()) for policy in rows["trust_policy"].unique()}
    principals = rows["trust_policy"].map({policy: found and found[1].deleted for policy, found in read.items()})
    rows, principals = rows[principals.notna()], principals.dropna().str.split(" ").reset_index(drop=True).explode()
    facts = pd.DataFrame({"finding": principals.index, "principal_id": principals.astype("str").array})
    return findings(rows, "role_arn", facts=facts)
