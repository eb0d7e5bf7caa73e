"""The reads that iamframe makes of AWS: nothing that is not on this list is ever sent.

The least policy in the README is made from it. Actions: Service Authorization Reference; each is the operation under
the service's IAM prefix.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

# `plan`: what every load asks first. `fallback`: what takes its place where one of those is denied, and details that
# are asked for. `references`: what EC2 and Auto Scaling are asked, `all`: what other services are; both by default. The
# rest: what `tag_index=True`, many accounts, `history` need.
When = Literal["plan", "fallback", "references", "all", "index", "fleet", "history"]


@dataclass(frozen=True, slots=True)
class Read:
    """One operation: of which client of boto3, the prefix of its IAM action, and when it is asked."""

    service: str
    operation: str
    prefix: str
    when: When

    @property
    def action(self) -> str:
        """The IAM action that allows it."""
        return f"{self.prefix}:{self.operation}"


def _reads(service: str, when: When, *operations: str, prefix: str = "") -> list[Read]:
    return [Read(service, operation, prefix or service, when) for operation in operations]


READS: tuple[Read, ...] = (
    *_reads("sts", "plan", "GetCallerIdentity"),
    *_reads(
        "iam",
        "plan",
        "GetAccountAuthorizationDetails",
        "GetAccountSummary",
        "GetInstanceProfile",
        "ListAccountAliases",
        "ListInstanceProfiles",
    ),
    *_reads(
        "iam",
        "fallback",
        "GetRole",
        "ListInstanceProfileTags",
        "ListInstanceProfilesForRole",
        "ListRoleTags",
        "ListRoles",
    ),
    *_reads(
        "ec2",
        "references",
        "DescribeFleets",
        "DescribeIamInstanceProfileAssociations",
        "DescribeInstances",
        "DescribeLaunchTemplateVersions",
        "DescribeRegions",
        "DescribeSpotFleetRequests",
        "DescribeSpotInstanceRequests",
    ),
    *_reads("autoscaling", "references", "DescribeAutoScalingGroups", "DescribeLaunchConfigurations"),
    *_reads("account", "fallback", "ListRegions"),
    *_reads("batch", "all", "DescribeComputeEnvironments"),
    *_reads("ecs", "all", "DescribeCapacityProviders"),
    *_reads("elasticbeanstalk", "all", "DescribeConfigurationSettings", "DescribeEnvironments"),
    *_reads("emr", "all", "DescribeCluster", "ListClusters", prefix="elasticmapreduce"),
    *_reads("imagebuilder", "all", "ListInfrastructureConfigurations"),
    *_reads("pcs", "all", "GetComputeNodeGroup", "ListClusters", "ListComputeNodeGroups"),
    *_reads("rds", "all", "DescribeDBInstances"),
    *_reads("resourcegroupstaggingapi", "index", "GetResources", prefix="tag"),
    *_reads("sts", "fleet", "AssumeRole"),
    *_reads("organizations", "fleet", "ListAccounts"),
    *_reads("cloudtrail", "history", "LookupEvents"),
)
# What names an operation in a request: `Action` in the form that is sent to `/`, unless it is one of these. The form of
# each is that of botocore's models (`metadata`, `http`), which a test holds it against: the models on a machine can be
# others (AWS_DATA_PATH, ~/.aws/models).
# The services that are told by the header X-Amz-Target, with what stands there before the operation.
TARGETS = {
    "cloudtrail": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101",
    "ecs": "AmazonEC2ContainerServiceV20141113",
    "emr": "ElasticMapReduce",
    "organizations": "AWSOrganizationsV20161128",
    "pcs": "AWSParallelComputingService",
    "resourcegroupstaggingapi": "ResourceGroupsTaggingAPI_20170126",
}


@dataclass(frozen=True, slots=True)
class Rest:
    """Method and path that name an operation; no parameters follow them."""

    method: str
    path: str


RESTS = {
    ("account", "ListRegions"): Rest("POST", "/listRegions"),
    ("batch", "DescribeComputeEnvironments"): Rest("POST", "/v1/describecomputeenvironments"),
    ("imagebuilder", "ListInfrastructureConfigurations"): Rest("POST", "/ListInfrastructureConfigurations"),
}
_KNOWN = {(read.service, read.operation) for read in READS}
_ACTIONS = {(read.service, read.operation): read.action for read in READS}
_OPERATIONS = Counter(read.operation for read in READS)
# `sts:GetCallerIdentity` needs no permission (STS API Reference).
_FREE = {"sts:GetCallerIdentity"}


def is_read(service: str, operation: str) -> bool:
    """Return whether an operation of a service is on the list."""
    return (service, operation) in _KNOWN


def action_of(service: str, operation: str) -> str:
    """Return the IAM action that allows an operation on the list."""
    return _ACTIONS[service, operation]


def label(service: str, operation: str) -> str:
    """Return an operation as `calls` and `gaps` name it: by its name, and its IAM prefix where services share that."""
    return _ACTIONS.get((service, operation), operation) if _OPERATIONS[operation] > 1 else operation


def actions_of(operations: Iterable[str]) -> list[str]:
    """Return the IAM actions that allow operations, named as `calls` and `gaps` name them, sorted."""
    named = set(operations)
    return sorted({read.action for read in READS if label(read.service, read.operation) in named} - _FREE)


def actions(*when: When) -> list[str]:
    """Return the IAM actions that are asked at such times, sorted."""
    return sorted({read.action for read in READS if read.when in when} - _FREE)


def policy(*when: When) -> dict[str, object]:
    """Return the least IAM policy that allows what is asked at such times."""
    return policy_of(actions(*when))


def policy_of(allowed: list[str]) -> dict[str, object]:
    """Return the IAM policy that allows actions; one without a statement where there are none."""
    # IAM takes no statement with an empty list of actions.
    statements = [{"Effect": "Allow", "Action": allowed, "Resource": "*"}] if allowed else []
    return {"Version": "2012-10-17", "Statement": statements}


# The AWS CLI reads the file, or fetches the page, that a value names so (User Guide, "Load a parameter from a file").
NO_VALUE = re.compile(r"^(?:fileb?|https?)://")
UNKNOWN_ACCOUNT = "unknown"
UNKNOWN_REGION = "unknown"
GLOBAL = "global"
# The subject of a gap that speaks of all.
ALL = "*"
DUMP = "GetAccountAuthorizationDetails"
ROLE_LISTS = (DUMP, "ListRoles")
PROFILE_LIST = "ListInstanceProfiles"
ROLE_LINKS = "ListInstanceProfilesForRole"


def cli_name(operation: str) -> str:
    """Return an operation as the AWS CLI names it: `describe-instances`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", operation).lower()


def aws_command(verb: str, options: Mapping[str, str]) -> str:
    """Return an AWS CLI command to type, in backticks, each option one word of a shell whatever its value is.

    A value that the AWS CLI would take for the place of a file is left for the reader to fill in.
    """
    words = [f"--{name}={'VALUE' if NO_VALUE.match(value) else shlex.quote(value)}" for name, value in options.items()]
    return f"`aws {' '.join((verb, *words))}`"


INSTANCES = "DescribeInstances"
ASSOCIATIONS = "DescribeIamInstanceProfileAssociations"
TEMPLATES = "DescribeLaunchTemplates"
VERSIONS = "DescribeLaunchTemplateVersions"
CONFIGURATIONS = "DescribeLaunchConfigurations"
GROUPS = "DescribeAutoScalingGroups"
# Without one of these nobody can say that nothing refers to a profile.
CORE = (INSTANCES, VERSIONS, CONFIGURATIONS, GROUPS)
# These pin versions of launch templates, which nothing else shows; files seldom hold them.
FLEETS = ("DescribeFleets", "DescribeSpotFleetRequests")
_REGION = re.compile(
    r"(?<![a-z0-9])(?:eusc|[a-z]{2})(?:-(?:gov|iso[bef]?|isob|northeast|northwest|southeast|southwest|north|south|east|west|central|de))+-\d+"
)


def region_in(text: str | None) -> str | None:
    """Return the region that a text such as an availability zone, an ARN or a folder name holds, or None."""
    found = _REGION.search(text) if text else None
    return found.group() if found else None
