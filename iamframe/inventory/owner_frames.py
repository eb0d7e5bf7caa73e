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
    text("owner_id", "id of the owner; for an EKS cluster, its name"),
    text("owner_name", "name of the owner"),
    text("state?", "state of the owner, if the listing shows one"),
    text(
        "profile_name?",
        "the profile that the stack contains (DescribeStackResources); missing if a list call showed the owner",
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
        "status",
        "living (the owner exists), gone (it is in no region where it could be), unread (owners are not collected)",
    ),
    text("regions", "regions where the owner could be and whose owners were collected, separated by spaces"),
    text("listing", "the operation that lists such owners, as in `calls`"),
)
