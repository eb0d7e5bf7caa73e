"""Whom roles let in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks import coverage as needs
from iamframe.checks.findings import Found, findings
from iamframe.checks.registry import check
from iamframe.inventory.arrow import as_arrow, index_in, lookup
from iamframe.knowledge.trust import read_trust


@check(
    severity="high",
    needs=[needs.links, needs.linked_trust],
    detail={
        "by": "_trust",
        "none": "role {related_name} trusts no service",
        "elsewhere": "role {related_name} trusts {trusted_services}, which is not EC2 in partition {_partition}",
        "other": "role {related_name} trusts {trusted_services}, not EC2",
    },
    next_step="aws iam get-role --role-name={related_name}",
    remediation="Let ec2.amazonaws.com assume the role in its trust policy, or put another role into the profile.",
    about="link",
    alone=True,
)
def profiles_without_ec2_trust(pairs: pd.DataFrame, roles: pd.DataFrame) -> Found:
    """Profiles whose role EC2 cannot assume.

    AWS accepts any role in a profile, but an instance with such a profile gets no credentials
    (`AssumeRoleUnauthorizedAccess`; IAM User Guide, "Troubleshoot IAM and Amazon EC2"). Roles that trust EC2 under a
    condition are not listed.
    """
    closed = pairs[pairs["relation"].notna() & (pairs["trusts_ec2"] == "no")]
    services = lookup(roles["trusted_services"], closed["role_row"].to_numpy())
    # A name that EC2 has in another partition looks right.
    partition = pc.struct_field(pc.extract_regex(as_arrow(closed["profile_arn"]), r"^arn:(?P<name>[^:]+):"), "name")
    looks_right = pc.match_substring_regex(services, r"(^| )ec2\.")
    return findings(
        closed,
        "profile_arn",
        "role_arn",
        trusted_services=services,
        _trust=pc.fill_null(pc.if_else(looks_right, "elsewhere", "other"), "none"),
        _partition=pc.fill_null(partition, "aws"),
    )


@check(
    severity="medium",
    needs=[needs.all_roles, needs.trust],
    detail="trusts a deleted role or user: [{principal_id}]",
    next_step="aws iam get-role --role-name={resource_name}",
    remediation="Remove the deleted principals from the trust policy.",
    about="role",
    alone=True,
)
def deleted_trust_principals(roles: pd.DataFrame) -> Found:
    """Roles that trust a deleted role or user.

    If a trusted role or user is deleted, the trust policy shows its unique id instead (`AROA…`, `AIDA…`; IAM User
    Guide, "AWS JSON policy elements: Principal"). A new role or user with the same name is not trusted.
    """
    policies = as_arrow(roles["trust_policy"])
    distinct = pc.unique(policies.filter(pc.fill_null(pc.match_substring_regex(policies, '"A(RO|ID)A'), False)))
    named = pa.array([read_trust(policy.encode()).deleted for policy in distinct.to_pylist()], pa.string())
    deleted = lookup(named, index_in(policies, distinct))
    rows = roles[deleted.is_valid().to_pandas().to_numpy(bool)]
    each = pc.split_pattern(deleted.drop_null(), " ")
    facts = pd.DataFrame(
        {"finding": np.asarray(pc.list_parent_indices(each)), "principal_id": pc.list_flatten(each).to_pandas()}
    )
    return findings(rows, "role_arn", facts=facts)
