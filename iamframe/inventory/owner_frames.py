"""The frames about the owners of profiles."""

from __future__ import annotations

from iamframe.inventory.frame import ACCOUNT_ID, Frame, text

RESOURCE_OWNERS = Frame(
    "resource_owners",
    "EKS cluster, Elastic Beanstalk environment or CloudFormation stack that may own instance profiles",
    ("account_id", "region", "owner_type", "owner_id", "profile_name"),
).with_columns(
    ACCOUNT_ID,
    text("region", "region, or `unknown`"),
    text("owner_type", "eks-cluster, beanstalk-environment, stack"),
    text("owner_id", "its id; the name of an EKS cluster"),
    text("owner_name", "its name"),
    text("state?", "its state, if the listing shows one"),
    text(
        "profile_name?", "the profile that the stack contains (DescribeStackResources); missing for rows of a listing"
    ),
)

OWNED_PROFILES = Frame(
    "owned_profiles", "instance profile that shows what it belongs to, such as an EKS cluster", ("profile_arn",)
).with_columns(
    ACCOUNT_ID,
    text("profile_arn", "ARN of the profile"),
    text("profile_name?", "name of the profile"),
    text("owner_type", "eks-cluster, beanstalk-environment, stack"),
    text("owner_name", "name or id of the owner, as the profile shows it"),
    text("owner_region?", "region of the owner, if the profile shows it"),
    text(
        "basis", "how the profile shows it: tag, path, name (a guess), resource (its stack, by DescribeStackResources)"
    ),
    text(
        "status", "living; gone: not among the owners of each region that it could be in; unread: these are not known"
    ),
    text("regions", "regions whose owners were collected and that it could be in, separated by spaces"),
    text("listing", "the operation that lists such owners, as in `calls`"),
)
