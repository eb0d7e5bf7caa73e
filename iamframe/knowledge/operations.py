"""The table of all AWS operations that iamframe calls.

No operation in the table changes an account. The permissions in docs/reference/permissions.md are generated from the
table `OPERATIONS`. For each operation in the table, the IAM action is the service's IAM prefix, a colon and the
operation's name. Source: Service Authorization Reference.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# When an operation is called.
# `plan`: by every load.
# `fallback`: in place of a denied operation, and for extra details.
# `references`: for consumers in EC2 and Auto Scaling (by default).
# `all`: for consumers in other services (by default).
# `owners`: for clusters, environments and stacks that own profiles (by default, if a profile shows one).
# `organization`: for the account's effective tag policy (by default, with references).
# `index`: with `tag_index=True`.
# `fleet`: for many accounts.
# `history`: for the `history` command.
When = Literal["plan", "fallback", "references", "all", "owners", "organization", "index", "fleet", "history"]

# The facts that an answer proves: all roles or profiles of the account, one of them, its tags, the profiles that hold a
# role, the profiles that consumers use.
Proof = Literal["roles", "profiles", "role", "profile", "role_tags", "profile_tags", "role_links", "references"]


@dataclass(frozen=True, slots=True)
class Operation:
    service: str
    operation: str
    when: When
    # The key of the list or record in the response.
    key: str = ""
    proves: tuple[Proof, ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)
    # If AWS denies the operation, iamframe calls the operation `fallback` instead.
    fallback: str = ""
    # The message about what stays unknown if AWS denies the operation.
    cost: str = "gaps.cost.it"
    # The AWS CLI command that iamframe suggests, if not the operation's own.
    command: str = ""
    # Operations of REST APIs have a path and a method.
    path: str = ""
    method: str = "POST"
    # Whether another operation already has this name as its label.
    has_namesake: bool = False

    @property
    def action(self) -> str:
        return f"{_PREFIXES.get(self.service, self.service)}:{self.operation}"

    @property
    def label(self) -> str:
        """The operation's name in the frames `calls` and `gaps`."""
        return self.action if self.has_namesake or _NAMES[self.operation] > 1 else self.operation


def _users(service: str, when: When, *operations: str, proves: tuple[Proof, ...] = (), **more: Any) -> list[Operation]:
    return [Operation(service, name, when, proves=proves, cost="gaps.cost.users", **more) for name in operations]


# The services whose IAM prefix differs from their name in boto3.
_PREFIXES = {
    "bedrock-agentcore-control": "bedrock-agentcore",
    "emr": "elasticmapreduce",
    "resourcegroupstaggingapi": "tag",
}
# The services whose requests name the operation in the header X-Amz-Target, and its prefix there. A request to any
# other service is a form with an `Action`, or has a `path`. Botocore's models say the same (`metadata`, `http`), but
# the models on a machine can be replaced (AWS_DATA_PATH, ~/.aws/models).
TARGETS = {
    "cloud9": "AWSCloud9WorkspaceManagementService",
    "cloudtrail": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101",
    "ecs": "AmazonEC2ContainerServiceV20141113",
    "emr": "ElasticMapReduce",
    "organizations": "AWSOrganizationsV20161128",
    "pcs": "AWSParallelComputingService",
    "resourcegroupstaggingapi": "ResourceGroupsTaggingAPI_20170126",
}
UNKNOWN_ACCOUNT = "unknown"
UNKNOWN_REGION = "unknown"
GLOBAL = "global"
# The subject of a gap that concerns every resource.
ALL = "*"

IDENTITY = "GetCallerIdentity"
DUMP = "GetAccountAuthorizationDetails"
ROLE_LIST = "ListRoles"
ROLE_LISTS = (DUMP, ROLE_LIST)
ROLE = "GetRole"
ROLE_TAGS = "ListRoleTags"
ROLE_LINKS = "ListInstanceProfilesForRole"
PROFILE_LIST = "ListInstanceProfiles"
PROFILE = "GetInstanceProfile"
PROFILE_TAGS = "ListInstanceProfileTags"
SUMMARY = "GetAccountSummary"
TAG_INDEX = "GetResources"
ASSUME_ROLE = "AssumeRole"
# No operation of AWS: the gap of an account that `check_snapshot` could not check.
CHECK_SNAPSHOT = "check_snapshot"
ACCOUNT_LIST = "ListAccounts"
INSTANCES = "DescribeInstances"
ASSOCIATIONS = "DescribeIamInstanceProfileAssociations"
TEMPLATES = "DescribeLaunchTemplates"
VERSIONS = "DescribeLaunchTemplateVersions"
CONFIGURATIONS = "DescribeLaunchConfigurations"
GROUPS = "DescribeAutoScalingGroups"
STACK_RESOURCES = "DescribeStackResources"
TAG_POLICY = "DescribeEffectivePolicy"
REQUIRED_TAGS = "ListRequiredTags"
# A profile is known to be unreferenced only if all of these were read.
CORE = (INSTANCES, VERSIONS, CONFIGURATIONS, GROUPS)
# Only these two show which versions of launch templates a fleet pins; files seldom hold their output.
FLEETS = ("DescribeFleets", "DescribeSpotFleetRequests")
# The operations that some versions of the AWS CLI do not page: ECS has no paginator, and only newer versions have one
# for Image Builder.
UNPAGED = ("DescribeCapacityProviders", "ListInfrastructureConfigurations")

_ALL_ROLES = "iam get-account-authorization-details --filter Role"
_PAGE: dict[str, object] = {"MaxItems": 1000}

# fmt: off
OPERATIONS: tuple[Operation, ...] = (
    Operation("sts", IDENTITY, "plan", cost="gaps.cost.caller"),
    Operation("iam", DUMP, "plan", key="RoleDetailList", proves=("roles", "role_tags", "role_links"),
              parameters={"Filter": ["Role"]} | _PAGE, command=_ALL_ROLES, cost="gaps.cost.role_details"),
    Operation("iam", SUMMARY, "plan", key="SummaryMap", cost="gaps.cost.quotas"),
    Operation("iam", "ListAccountAliases", "plan", key="AccountAliases", cost="gaps.cost.alias"),
    Operation("iam", PROFILE_LIST, "plan", key="InstanceProfiles", proves=("profiles",), parameters=_PAGE,
              cost="gaps.cost.profiles"),
    Operation("iam", PROFILE, "plan", key="InstanceProfile", proves=("profile", "profile_tags"),
              cost="gaps.cost.tags", fallback=PROFILE_TAGS),
    Operation("iam", PROFILE_TAGS, "fallback", key="Tags", proves=("profile_tags",), cost="gaps.cost.tags",
              command="iam list-instance-profile-tags --instance-profile-name=NAME"),
    Operation("iam", ROLE_LIST, "fallback", key="Roles", proves=("roles",), command=_ALL_ROLES, parameters=_PAGE,
              cost="gaps.cost.roles"),
    Operation("iam", ROLE, "fallback", key="Role", proves=("role", "role_tags"),
              cost="gaps.cost.role", fallback=ROLE_TAGS),
    Operation("iam", ROLE_TAGS, "fallback", key="Tags", proves=("role_tags",), command=_ALL_ROLES,
              cost="gaps.cost.role"),
    Operation("iam", ROLE_LINKS, "fallback", key="InstanceProfiles", proves=("role_links",), parameters=_PAGE,
              cost="gaps.cost.links", command="iam list-instance-profiles"),
    Operation("ec2", "DescribeRegions", "references", key="Regions",
              cost="gaps.cost.regions", fallback="ListRegions"),
    Operation("account", "ListRegions", "fallback", key="Regions", path="/listRegions", cost="gaps.cost.regions",
              parameters={"MaxResults": 50, "RegionOptStatusContains": ["ENABLED", "ENABLED_BY_DEFAULT"]}),
    *_users("ec2", "references", INSTANCES, ASSOCIATIONS, proves=("references",)),
    *_users("ec2", "references", VERSIONS, proves=("references",),
            command="ec2 describe-launch-template-versions --versions '$Latest' '$Default'"),
    *_users("ec2", "references", "DescribeSpotInstanceRequests", *FLEETS),
    *_users("autoscaling", "references", CONFIGURATIONS, proves=("references",)),
    *_users("autoscaling", "references", GROUPS),
    *_users("batch", "all", "DescribeComputeEnvironments", path="/v1/describecomputeenvironments"),
    *_users("ecs", "all", "DescribeCapacityProviders"),
    *_users("elasticbeanstalk", "all", "DescribeConfigurationSettings", "DescribeEnvironments"),
    *_users("emr", "all", "DescribeCluster", "ListClusters"),
    *_users("imagebuilder", "all", "ListInfrastructureConfigurations", path="/ListInfrastructureConfigurations"),
    *_users("pcs", "all", "GetComputeNodeGroup", "ListClusters", "ListComputeNodeGroups"),
    *_users("rds", "all", "DescribeDBInstances"),
    *_users("cloud9", "all", "ListEnvironments"),
    *_users("cloud9", "all", "DescribeEnvironments", has_namesake=True),
    *_users("datazone", "all", "ListDomains", path="/v2/domains", method="GET"),
    *_users("datazone", "all", "ListProjects", path="/v2/domains/{domainIdentifier}/projects", method="GET"),
    *_users("datazone", "all", "ListConnections", path="/v2/domains/{domainIdentifier}/connections", method="GET"),
    *_users("bedrock-agentcore-control", "all", "ListCapacityProviders", path="/capacity-providers"),
    *_users("bedrock-agentcore-control", "all", "GetCapacityProvider",
            path="/capacity-providers/{capacityProviderId}", method="GET"),
    Operation("eks", "ListClusters", "owners", key="clusters", cost="gaps.cost.owners", path="/clusters", method="GET"),
    Operation("cloudformation", "ListStacks", "owners", key="StackSummaries", cost="gaps.cost.owners"),
    Operation("cloudformation", STACK_RESOURCES, "owners", key="StackResources", cost="gaps.cost.owners"),
    Operation("organizations", TAG_POLICY, "organization", key="EffectivePolicy",
              parameters={"PolicyType": "TAG_POLICY"}, fallback=REQUIRED_TAGS, cost="gaps.cost.tag_policy",
              command="organizations describe-effective-policy --policy-type TAG_POLICY"),
    Operation("resourcegroupstaggingapi", REQUIRED_TAGS, "fallback", key="RequiredTags",
              cost="gaps.cost.required_tags"),
    Operation("resourcegroupstaggingapi", TAG_INDEX, "index", key="ResourceTagMappingList",
              parameters={"ResourceTypeFilters": ["iam:instance-profile"], "ResourcesPerPage": 100},
              cost="gaps.cost.index"),
    Operation("sts", ASSUME_ROLE, "fleet"),
    Operation("organizations", ACCOUNT_LIST, "fleet"),
    Operation("cloudtrail", "LookupEvents", "history"),
)
# fmt: on
_NAMES = Counter(row.operation for row in OPERATIONS if not row.has_namesake)
_BY_NAME = {(row.service, row.operation): row for row in OPERATIONS}
BY_LABEL = {row.action: row for row in OPERATIONS} | {row.label: row for row in OPERATIONS}
# The file formats that prove a fact just as an operation does, by their names in `calls`.
_FILES: dict[str, tuple[Proof, ...]] = {
    "config:AWS::IAM::Role": ("roles",),
    "config:AWS::IAM::InstanceProfile": ("profiles",),
    "steampipe:aws_iam_role": ("roles",),
    "steampipe:aws_iam_instance_profile": ("profiles",),
    "terraform:state": ("roles", "profiles"),
    "terraform:plan": ("roles", "profiles"),
}
# sts:GetCallerIdentity needs no permission (STS API Reference).
_FREE = {"sts:GetCallerIdentity"}


def read_of(service: str, operation: str) -> Operation | None:
    return _BY_NAME.get((service, operation))


def label(service: str, operation: str) -> str:
    row = read_of(service, operation)
    return row.label if row else operation


def proving(*facts: Proof, files: bool = False) -> tuple[str, ...]:
    operations = {row.label: row.proves for row in OPERATIONS}
    proofs = operations | (_FILES if files else {})
    return tuple(name for name, proves in proofs.items() if not set(facts).isdisjoint(proves))


def command_of(operation: str) -> str:
    row = BY_LABEL[operation]
    return f"aws {row.command or f'{row.service} {cli_name(row.operation)}'}"


def actions_of(operations: Iterable[str]) -> list[str]:
    return sorted({BY_LABEL[name].action for name in operations if name in BY_LABEL} - _FREE)


def actions(*when: When) -> list[str]:
    return sorted({row.action for row in OPERATIONS if row.when in when} - _FREE)


def policy_of(allowed: list[str]) -> dict[str, object]:
    # IAM refuses a statement with an empty list of actions.
    statements = [{"Effect": "Allow", "Action": allowed, "Resource": "*"}] if allowed else []
    return {"Version": "2012-10-17", "Statement": statements}


def cli_name(operation: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", operation).lower()


# The AWS CLI replaces a value that begins like this with the content of a file or page (User Guide, "Load a parameter
# from a file").
NO_VALUE = re.compile(r"^(?:fileb?|https?)://")


def aws_command(verb: str, options: Mapping[str, str]) -> str:
    words = [f"--{name}={'VALUE' if NO_VALUE.match(value) else shlex.quote(value)}" for name, value in options.items()]
    return f"`aws {' '.join((verb, *words))}`"


_REGION = re.compile(
    r"(?<![a-z0-9])(?:eusc|[a-z]{2})(?:-(?:gov|iso[bef]?|isob|northeast|northwest|southeast|southwest|north|south|east|west|central|de))+-\d+"
)


def region_in(text: str | None) -> str | None:
    found = _REGION.search(text) if text else None
    return found.group() if found else None
