"""What names an instance profile: each kind of consumer, in the shape that AWS documents, by itself and live."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import jmespath
import msgspec
import pytest
from accounts import EC2, ID, add, found, load
from botocore.exceptions import ClientError
from builders import write

import iamframe
from iamframe.errors import SourceError
from iamframe.inventory.gaps import with_details
from iamframe.knowledge.operations import CONFIGURATIONS, CORE, FLEETS, OPERATIONS, VERSIONS, label
from iamframe.messages.render import say
from iamframe.practice import PracticeAccount
from iamframe.sources.client import Client
from iamframe.sources.consumers import (
    CONSUMERS,
    LISTED_BY,
    Consumer,
    Profile,
    TemplateUse,
    Version,
    template_references,
)
from iamframe.sources.records import Reference

MODELS = botocore.session.get_session()
ARN = f"arn:aws:iam::{ID}:instance-profile/team/web"
LT = "lt-0123456789abcdef0"
HERE = f"eu-west-1:{ID}"


def of(operation: str) -> Consumer:
    return next(one for one in CONSUMERS if one.operation == operation)


def said(mention: Reference) -> tuple[str | None, ...]:
    return (mention.consumer_type, mention.consumer_id, mention.named, mention.consumer_name, mention.consumer_state)


def pinned(pinning: TemplateUse) -> tuple[str, str, list[str]]:
    labels = [f"{pin.launch_template_id or pin.launch_template_name}:{pin.version}" for pin in pinning.pins]
    return pinning.consumer.consumer_type, pinning.consumer.consumer_id, labels


def records(operation: str, answer: dict[str, Any]) -> list[Any]:
    """Decode an answer as a load does."""
    consumer = of(operation)
    value = answer if consumer.whole else answer[consumer.key]
    body = msgspec.json.encode(value if isinstance(value, list) else [value])
    return msgspec.json.decode(body, type=list[consumer.record])  # type: ignore[name-defined,no-any-return]


# Each row of the table: an answer of AWS, what it names, and the templates that it starts instances from.

Case = tuple[str, dict[str, Any], list[tuple[Any, ...]], list[tuple[str, str, list[str]]]]

HELD = {"IamInstanceProfile": {"Arn": ARN, "Id": "AIPAEXAMPLE"}}
PIN = {"LaunchTemplateId": LT, "Version": "2"}
LATEST = {"LaunchTemplateId": LT, "Version": "$Latest"}
# Fields that AWS's answer has, which are of no interest here.
OTHERS = {"ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.micro"}
ON_EC2 = {"type": "EC2", "maxvCpus": 4, "subnets": []}
MANAGED = {"managedInstancesProvider": {"instanceLaunchTemplate": {"ec2InstanceProfileArn": ARN}}}
GOLDEN = {
    "arn": f"arn:aws:imagebuilder:{HERE}:infrastructure-configuration/golden",
    "name": "golden",
    "instanceProfileName": "web",
}


def instance(letter: str, state: str, **more: Any) -> dict[str, Any]:
    return {"InstanceId": f"i-000000000000000{letter}", "State": {"Code": 16, "Name": state}} | more


def pinning(*pins: dict[str, str]) -> dict[str, Any]:
    """The templates of a fleet, with overrides that pin nothing."""
    config = {"Overrides": [{"InstanceType": "t3.micro"}]}
    return {"LaunchTemplateConfigs": [config | {"LaunchTemplateSpecification": pin} for pin in pins]}


def setting(namespace: str, name: str, value: str) -> dict[str, str]:
    return {"Namespace": f"aws:{namespace}", "OptionName": name, "Value": value}


def named(prefix: str, key: str, name: str, **more: Any) -> dict[str, Any]:
    """A record with its name and ARN under keys that begin alike."""
    return {f"{key}Name": name, f"{key}{'ARN' if key[0].isupper() else 'Arn'}": f"arn:aws:{prefix}/{name}"} | more


def environment(name: str, resources: dict[str, Any], status: str = "VALID") -> dict[str, Any]:
    return named(f"batch:{HERE}:compute-environment", "computeEnvironment", name) | {
        "type": "MANAGED",
        "status": status,
        "computeResources": resources,
    }


CASES: list[Case] = [
    (
        "DescribeInstances",
        {
            "Reservations": [
                {
                    "ReservationId": "r-0123456789abcdef0",
                    "OwnerId": ID,
                    "Groups": [],
                    "Instances": [
                        instance(
                            "a",
                            "running",
                            Placement={"AvailabilityZone": "eu-west-1a", "Tenancy": "default"},
                            Tags=[{"Key": "team", "Value": "x"}, {"Key": "Name", "Value": "front"}],
                            **HELD,
                        ),
                        instance("b", "stopped", **HELD),
                        instance("c", "terminated", **HELD),
                        instance("d", "running"),
                    ],
                }
            ]
        },
        [
            ("instance", "i-000000000000000a", ARN, "front", "running"),
            ("instance", "i-000000000000000b", ARN, None, "stopped"),
        ],
        [],
    ),
    (
        "DescribeIamInstanceProfileAssociations",
        {
            "IamInstanceProfileAssociations": [
                {"AssociationId": f"iip-assoc-{letter}", "InstanceId": "i-a", "State": state} | HELD
                for letter, state in (("a", "associated"), ("b", "disassociating"), ("c", "disassociated"))
            ]
        },
        [
            ("association", "iip-assoc-a", ARN, "i-a", "associated"),
            ("association", "iip-assoc-b", ARN, "i-a", "disassociating"),
        ],
        [],
    ),
    (
        "DescribeLaunchTemplates",
        {
            "LaunchTemplates": [
                {"LaunchTemplateId": LT, "LaunchTemplateName": "web", "DefaultVersionNumber": 1}
                | {"LatestVersionNumber": 3}
            ]
        },
        [],
        [],
    ),
    (
        "DescribeLaunchTemplateVersions",
        {
            "LaunchTemplateVersions": [
                {"LaunchTemplateId": LT, "LaunchTemplateName": "web", "VersionNumber": number}
                | {"DefaultVersion": number == 1, "LaunchTemplateData": data}
                for number, data in (
                    (1, {"IamInstanceProfile": {"Name": "web"}}),
                    (2, {"IamInstanceProfile": {"Arn": ARN}}),
                    (3, {"ImageId": "ami-0123456789abcdef0"}),
                )
            ]
        },
        [("launch-template", LT, "web", "web", None), ("launch-template", LT, ARN, "web", None)],
        [],
    ),
    (
        "DescribeLaunchConfigurations",
        {
            "LaunchConfigurations": [
                named(f"autoscaling:{HERE}:launchConfiguration:8:launchConfigurationName", "LaunchConfiguration", name)
                | OTHERS
                | use
                for name, use in (
                    ("by-name", {"IamInstanceProfile": "web"}),
                    ("by-arn", {"IamInstanceProfile": ARN}),
                    ("without", {}),
                )
            ]
        },
        [
            ("launch-configuration", "by-name", "web", "by-name", None),
            ("launch-configuration", "by-arn", ARN, "by-arn", None),
        ],
        [],
    ),
    (
        "DescribeAutoScalingGroups",
        {
            "AutoScalingGroups": [
                named(f"autoscaling:{HERE}:autoScalingGroup:1:autoScalingGroupName", "AutoScalingGroup", "plain")
                | {"LaunchTemplate": PIN | {"LaunchTemplateName": "web"}},
                {
                    "AutoScalingGroupName": "mixed",
                    "Status": "Delete in progress",
                    "MixedInstancesPolicy": {
                        "LaunchTemplate": {
                            "LaunchTemplateSpecification": LATEST,
                            "Overrides": [
                                {"InstanceType": "t3.micro"},
                                {"LaunchTemplateSpecification": {"LaunchTemplateName": "arm", "Version": "4"}},
                            ],
                        },
                        "InstancesDistribution": {"OnDemandBaseCapacity": 0},
                    },
                },
                {"AutoScalingGroupName": "old", "LaunchConfigurationName": "by-name"},
            ]
        },
        [],
        [
            ("auto-scaling-group", "plain", [f"{LT}:2"]),
            ("auto-scaling-group", "mixed", [f"{LT}:$Latest", "arm:4"]),
            ("auto-scaling-group", "old", []),
        ],
    ),
    (
        "DescribeSpotInstanceRequests",
        {
            "SpotInstanceRequests": [
                {"SpotInstanceRequestId": f"sir-{state}", "State": state}
                | {"LaunchSpecification": {"IamInstanceProfile": profile}}
                for state, profile in (
                    ("open", {"Name": "web"}),
                    ("active", {"Arn": ARN}),
                    ("disabled", {"Arn": ARN, "Name": "web"}),
                    ("closed", {"Arn": ARN}),
                    ("cancelled", {"Arn": ARN}),
                    ("failed", {"Arn": ARN}),
                )
            ]
        },
        [
            ("spot-request", "sir-open", "web", None, "open"),
            ("spot-request", "sir-active", ARN, None, "active"),
            ("spot-request", "sir-disabled", ARN, None, "disabled"),
            ("spot-request", "sir-disabled", "web", None, "disabled"),
        ],
        [],
    ),
    (
        "DescribeSpotFleetRequests",
        {
            "SpotFleetRequestConfigs": [
                {
                    "SpotFleetRequestId": f"sfr-{state}",
                    "SpotFleetRequestState": state,
                    "SpotFleetRequestConfig": {
                        "IamFleetRole": f"arn:aws:iam::{ID}:role/fleet",
                        "LaunchSpecifications": [
                            {"ImageId": "ami-1", "IamInstanceProfile": {"Name": "web"}},
                            {"ImageId": "ami-2", "IamInstanceProfile": {"Name": "web"}},
                            {"ImageId": "ami-3", "IamInstanceProfile": {"Arn": ARN}},
                            {"ImageId": "ami-4"},
                        ],
                    }
                    | pinning(PIN, {"LaunchTemplateName": "arm", "Version": "$Default"}),
                }
                for state in ("active", "cancelled_running", "cancelled", "failed")
            ]
        },
        [
            ("spot-fleet", f"sfr-{state}", profile, None, state)
            for state in ("active", "cancelled_running")
            for profile in ("web", ARN)
        ],
        [("spot-fleet", f"sfr-{state}", [f"{LT}:2", "arm:$Default"]) for state in ("active", "cancelled_running")],
    ),
    (
        "DescribeFleets",
        {
            "Fleets": [
                {"FleetId": f"fleet-{state}", "FleetState": state, "Type": "maintain"} | pinning(PIN, LATEST)
                for state in ("active", "deleted_running", "deleted", "failed")
            ]
        },
        [],
        [("fleet", f"fleet-{state}", [f"{LT}:2", f"{LT}:$Latest"]) for state in ("active", "deleted_running")],
    ),
    (
        "DescribeComputeEnvironments",
        {
            "computeEnvironments": [
                environment("by-name", ON_EC2 | {"instanceRole": "web"}),
                environment(
                    "by-template",
                    ON_EC2
                    | {
                        "instanceRole": ARN,
                        "launchTemplate": {
                            "launchTemplateId": LT,
                            "version": "2",
                            "overrides": [{"launchTemplateName": "arm", "version": "$Latest"}],
                        },
                    },
                ),
                environment("gone", ON_EC2 | {"instanceRole": "web"}, "DELETED"),
                environment("fargate", ON_EC2 | {"type": "FARGATE"}),
            ]
        },
        [
            ("batch-environment", "by-name", "web", "by-name", "VALID"),
            ("batch-environment", "by-template", ARN, "by-template", "VALID"),
        ],
        [("batch-environment", "by-template", [f"{LT}:2", "arm:$Latest"])],
    ),
    *(
        (
            "DescribeCluster",
            {
                "Cluster": {
                    "Id": cluster,
                    "Name": "nightly",
                    "ClusterArn": f"arn:aws:elasticmapreduce:{HERE}:cluster/{cluster}",
                    "Status": {"State": state},
                    "Ec2InstanceAttributes": {"IamInstanceProfile": "web", "Ec2SubnetId": "subnet-1"},
                }
            },
            mentions,
            [],
        )
        for cluster, state, mentions in (
            ("j-1ABC", "WAITING", [("emr-cluster", "j-1ABC", "web", "nightly", "WAITING")]),
            ("j-2ABC", "TERMINATED", []),
        )
    ),
    (
        "DescribeConfigurationSettings",
        {
            "ConfigurationSettings": [
                {
                    "ApplicationName": "shop",
                    "EnvironmentName": "shop-prod",
                    "DeploymentStatus": "deployed",
                    "OptionSettings": [
                        setting("autoscaling:launchconfiguration", "EC2KeyName", "not a profile"),
                        setting("elasticbeanstalk:environment", "IamInstanceProfile", "of another namespace"),
                        setting("autoscaling:launchconfiguration", "IamInstanceProfile", "web")
                        | {"ResourceName": "AWSEBAutoScalingLaunchConfiguration"},
                    ],
                }
            ]
        },
        [("beanstalk-environment", "shop-prod", "web", "shop-prod", "deployed")],
        [],
    ),
    (
        "ListInfrastructureConfigurations",
        {"requestId": "r", "infrastructureConfigurationSummaryList": [GOLDEN]},
        [("imagebuilder-infrastructure", "golden", "web", "golden", None)],
        [],
    ),
    (
        "GetInfrastructureConfiguration",
        {"requestId": "r", "infrastructureConfiguration": GOLDEN},
        [("imagebuilder-infrastructure", "golden", "web", "golden", None)],
        [],
    ),
    (
        "DescribeCapacityProviders",
        {
            "capacityProviders": [
                {"capacityProviderArn": f"arn:aws:ecs:{HERE}:capacity-provider/{name}", "name": name, "status": state}
                | provider
                for name, state, provider in (
                    ("managed", "ACTIVE", MANAGED),
                    ("deleted", "INACTIVE", MANAGED),
                    ("FARGATE", "ACTIVE", {}),
                )
            ],
            "failures": [],
        },
        [("ecs-capacity-provider", "managed", ARN, "managed", "ACTIVE")],
        [],
    ),
    (
        "DescribeDBInstances",
        {
            "DBInstances": [
                {
                    "DBInstanceIdentifier": "custom",
                    "DBInstanceArn": f"arn:aws:rds:{HERE}:db:custom",
                    "DBInstanceStatus": "available",
                    "CustomIamInstanceProfile": "AWSRDSCustomInstanceProfile",
                },
                {"DBInstanceIdentifier": "usual", "DBInstanceStatus": "available"},
            ]
        },
        [("rds-custom-instance", "custom", "AWSRDSCustomInstanceProfile", "custom", "available")],
        [],
    ),
    (
        "GetComputeNodeGroup",
        {
            "computeNodeGroup": {
                "id": "pcs_abc",
                "name": "workers",
                "arn": f"arn:aws:pcs:{HERE}:cluster/c/computenodegroup/pcs_abc",
                "clusterId": "pcs_c",
                "status": "SUSPENDED",
                "iamInstanceProfileArn": ARN,
                "customLaunchTemplate": {"id": LT, "version": "2"},
            }
        },
        [("pcs-node-group", "pcs_abc", ARN, "workers", "SUSPENDED")],
        [("pcs-node-group", "pcs_abc", [f"{LT}:2"])],
    ),
    (
        "DescribeEnvironments",
        {
            "environments": [
                {"id": kind, "name": kind, "type": "ec2", "arn": f"arn:aws:cloud9:{HERE}:environment:{kind}"}
                | {"ownerArn": f"arn:aws:iam::{ID}:user/me", "lifecycle": {"status": "CREATED"}}
                | ({"connectionType": connection} if connection else {})
                for kind, connection in (("closed", "CONNECT_SSM"), ("open", "CONNECT_SSH"), ("old", None))
            ]
        },
        [("cloud9-environment", "closed", "AWSCloud9SSMInstanceProfile", "closed", "CREATED")],
        [],
    ),
    (
        "ListConnections",
        {
            "items": [
                {"connectionId": name, "name": name, "domainId": "dzd_1", "type": "SPARK", "props": properties}
                for name, properties in (
                    ("profile", {"sparkEmrProperties": {"instanceProfileArn": ARN}}),
                    ("role", {"sparkEmrProperties": {"instanceProfileArn": f"arn:aws:iam::{ID}:role/web"}}),
                    ("none", {"sparkEmrProperties": {}}),
                    ("glue", {"sparkGlueProperties": {}}),
                )
            ]
        },
        [("datazone-connection", "profile", ARN, "profile", None)],
        [],
    ),
    (
        "GetCapacityProvider",
        {
            "capacityProviderId": "agents-abcdefghij",
            "capacityProviderArn": f"arn:aws:bedrock-agentcore:{HERE}:capacity-provider/agents-abcdefghij",
            "name": "agents",
            "status": "READY",
            "permissionsConfiguration": {"capacityProviderOperatorRoleArn": f"arn:aws:iam::{ID}:role/operator"},
            "computeConfiguration": {
                "ec2Configuration": {"launchTemplateSource": {"launchParameters": {"instanceProfileArn": ARN}}}
            },
        },
        [("agentcore-capacity-provider", "agents-abcdefghij", ARN, "agents", "READY")],
        [],
    ),
]


def test_every_consumer_has_an_answer_here() -> None:
    assert {operation for operation, *_ in CASES} == {consumer.operation for consumer in CONSUMERS}


@pytest.mark.parametrize(("operation", "answer", "mentions", "pins"), CASES, ids=[case[0] for case in CASES])
def test_an_answer_names_its_profiles_and_templates(
    operation: str, answer: dict[str, Any], mentions: list[tuple[Any, ...]], pins: list[tuple[str, str, list[str]]]
) -> None:
    consumer = of(operation)
    decoded = records(operation, answer)
    assert [said(mention) for record in decoded for mention in consumer.mentions(record)] == mentions
    assert [pinned(pinning) for record in decoded for pinning in consumer.pinnings(record)] == pins


def test_batch_on_managed_instances_names_the_profile_of_their_template() -> None:
    """Newer than some models of botocore, so that its shape is not held against one."""
    (record,) = records("DescribeComputeEnvironments", {"computeEnvironments": [environment("managed", MANAGED)]})
    assert [m.named for m in of("DescribeComputeEnvironments").mentions(record)] == [ARN]


def test_an_instance_keeps_the_id_and_place_of_its_profile() -> None:
    answer = next(answer for operation, answer, *_ in CASES if operation == "DescribeInstances")
    (record,) = records("DescribeInstances", answer)
    first = next(of("DescribeInstances").mentions(record))
    assert (first.profile_id, first.region, first.account_id) == ("AIPAEXAMPLE", "eu-west-1", ID)


NUMBER = {"connectionId": "c", "name": "c", "props": {"sparkEmrProperties": {"instanceProfileArn": 5}}}


@pytest.mark.parametrize(
    ("answer", "operation", "got"),
    [
        ({"DBInstances": [{"CustomIamInstanceProfile": {"Name": "web"}}]}, "DescribeDBInstances", "object"),
        ({"items": [NUMBER]}, "ListConnections", "int"),
    ],
)
def test_an_answer_whose_profile_is_no_text_is_a_gap(
    tmp_path: Path, answer: dict[str, Any], operation: str, got: str
) -> None:
    files = {f"{ID}/list-instance-profiles.json": {"InstanceProfiles": []}, f"{ID}/{operation}.json": answer}
    gaps = iamframe.load_files(write(tmp_path, files)).gaps
    (gap,) = gaps[gaps["reason"] == "unreadable"].to_dict("records")
    assert gap["operation"].rpartition(":")[2] == operation
    assert gap["detail"].endswith(f"expected `str`, got `{got}`")


# The table against the models of AWS


def shape_of(service: str, operation: str) -> Any:
    return MODELS.get_service_model(service).operation_model(operation).output_shape


def inputs_of(service: str, operation: str) -> Any:
    return MODELS.get_service_model(service).operation_model(operation).input_shape


def within(node: dict[str, Any], shapes: list[Any]) -> list[Any]:
    """Return the shapes that a JMESPath leads to from others; fail on a field that is in none of them.

    A list is the shape of a list, or, where the path itself makes one, a list of the shapes in it.
    """
    kind, children = node["type"], node["children"]
    match kind:
        case "field":
            name = node["value"]
            found = [shape.members[name] for shape in shapes if name in getattr(shape, "members", {})]
            assert len(found) == len(shapes), f"{name} is not in all of {shapes}"
            shapes = found
        case "subexpression" | "index_expression":
            for child in children:
                shapes = within(child, shapes)
        case "flatten":
            shapes = [[each] for shape in within(children[0], shapes) for each in elements(shape, deep=True)]
        case "projection" | "filter_projection":
            each = [one for shape in within(children[0], shapes) for one in elements(shape)]
            for condition in children[2:]:
                compared(condition, each)
            shapes = [[one] for one in within(children[1], each)]
        case "multi_select_list":
            shapes = [[one for child in children for one in within(child, shapes)]]
        case "multi_select_dict":
            for pair in children:
                within(pair["children"][0], shapes)
            shapes = [{pair["value"] for pair in children}]
        case _:
            assert kind in ("identity", "current", "literal"), kind
            shapes = [node["value"]] if kind == "literal" else shapes
    return shapes


def elements(shape: Any, *, deep: bool = False) -> list[Any]:
    if isinstance(shape, list):
        return [one for each in shape for one in (elements(each) if deep and is_list(each) else [each])]
    assert shape.type_name == "list", f"{shape} is no list"
    return [shape.member]


def is_list(shape: Any) -> bool:
    return isinstance(shape, list) or getattr(shape, "type_name", "") == "list"


def compared(node: dict[str, Any], shapes: list[Any]) -> None:
    if node["type"] == "field":
        within(node, shapes)
    for child in node["children"]:
        compared(child, shapes)


def leads(path: str, shape: Any) -> list[Any]:
    return within(jmespath.compile(path).parsed, [shape])


def paths_of(consumer: Consumer) -> dict[str, str]:
    names = ("id", "name", "arn", "state", "profiles", "pins", "kept")
    return {name: path for name in names if (path := getattr(consumer, name))}


# The field that only newer models have, and what stands in for it.
NEWER = ("managedInstancesProvider.instanceLaunchTemplate.ec2InstanceProfileArn", "instanceRole")


def each_of(shape: Any) -> list[Any]:
    """A shape, or all shapes in lists of lists."""
    return [one for part in shape for one in each_of(part)] if isinstance(shape, list) else [shape]


WITH_PATHS = [consumer for consumer in CONSUMERS if paths_of(consumer)]


@pytest.mark.parametrize("consumer", WITH_PATHS, ids=[one.operation for one in WITH_PATHS])
def test_every_path_leads_to_fields_that_aws_documents(consumer: Consumer) -> None:
    answer = shape_of(consumer.service, consumer.operation)
    shape = answer if consumer.whole else answer.members[consumer.key]
    record = shape.member if shape.type_name == "list" else shape
    assert (consumer.single or consumer.whole) == (shape.type_name != "list")
    assert not consumer.whole or consumer.key in shape.required_members
    assert not consumer.marked or consumer.marked in record.required_members
    paths = paths_of(consumer)
    if consumer.record == dict[str, Any]:
        assert {"id"} < set(paths)
        assert {"profiles", "pins"} & set(paths)
    for name, path in paths.items():
        known = path
        if consumer.service == "batch" and "managedInstancesProvider" not in record.members["computeResources"].members:
            known = path.replace(*NEWER)
        (*_, last) = leads(known, record) or [None]
        assert last is not None, (name, path)
        if name == "pins":
            for pin in each_of(last):
                assert {*getattr(pin, "members", pin)} >= {"LaunchTemplateId", "Version"}, last


def test_a_path_to_a_field_that_is_not_there_is_noticed() -> None:
    """The walk that the other tests rely on."""
    shape = shape_of("ec2", "DescribeSpotFleetRequests").members["SpotFleetRequestConfigs"].member
    for wrong in (
        "SpotFleetRequestId.Nope",
        "SpotFleetRequestConfig.LaunchSpecifications[].IamInstanceProfile.[Arn, Nope][]",
        "SpotFleetRequestConfig.LaunchSpecifications.IamInstanceProfile",
        "SpotFleetRequestConfig.LaunchSpecifications[?Nope=='x'].ImageId",
        "SpotFleetRequestId[].Arn",
    ):
        with pytest.raises(AssertionError):
            leads(wrong, shape)


@pytest.mark.parametrize("consumer", CONSUMERS, ids=[one.operation for one in CONSUMERS])
def test_typed_records_have_the_fields_that_aws_documents(consumer: Consumer) -> None:
    shape = shape_of(consumer.service, consumer.operation).members[consumer.key]
    if consumer.record != dict[str, Any]:
        fits_shape(msgspec.inspect.type_info(consumer.record), shape.member)


def fits_shape(info: Any, shape: Any) -> None:
    if isinstance(info, msgspec.inspect.UnionType):
        (info,) = (one for one in info.types if not isinstance(one, msgspec.inspect.NoneType))
    if isinstance(info, msgspec.inspect.ListType):
        fits_shape(info.item_type, shape.member)
    elif isinstance(info, msgspec.inspect.StructType):
        for field in info.fields:
            # One struct serves what names profiles by id and what names them by name.
            if info.cls is Profile and field.encode_name not in shape.members:
                continue
            fits_shape(field.type, shape.members[field.encode_name])


@pytest.mark.parametrize(("operation", "answer"), [case[:2] for case in CASES], ids=[case[0] for case in CASES])
def test_the_answers_of_these_tests_are_of_the_shape_that_aws_documents(operation: str, answer: Any) -> None:
    is_of(answer, shape_of(of(operation).service, operation))


def is_of(value: Any, shape: Any) -> None:
    if isinstance(value, dict):
        for name, part in value.items():
            assert name in shape.members, f"{name} is not in {shape}"
            is_of(part, shape.members[name])
    elif isinstance(value, list):
        for part in value:
            is_of(part, shape.member)
    else:
        assert (shape.type_name in ("string", "timestamp")) == isinstance(value, str), (shape, value)


ASKED = [one for one in CONSUMERS if one.when != "files"]


@pytest.mark.parametrize("consumer", ASKED, ids=[one.operation for one in ASKED])
def test_each_step_gives_what_the_next_read_asks_for(consumer: Consumer) -> None:
    """And what goes with a request is known to it, so far as the installed botocore knows."""
    given: set[str] = set()
    for step in (*consumer.steps, None):
        operation = step.operation if step else consumer.operation
        inputs = inputs_of(consumer.service, operation)
        fixed = set(step.parameters if step else consumer.parameters) - {"IncludeManagedResources"}
        assert given | fixed <= set(inputs.members)
        assert set(inputs.required_members) <= given | fixed
        assert (consumer.service, operation) in {(read.service, read.operation) for read in OPERATIONS}
        if step:
            ((each,),) = leads(step.each, shape_of(consumer.service, operation))
            given = each


@pytest.mark.parametrize(
    ("operation", "step", "answer", "asked"),
    [
        ("DescribeCluster", 0, {"Clusters": [{"Id": "a"}, {"Id": "b"}]}, [{"ClusterId": "a"}, {"ClusterId": "b"}]),
        (
            "DescribeConfigurationSettings",
            0,
            {"Environments": [{"ApplicationName": "shop", "EnvironmentName": "prod", "EnvironmentId": "e-1"}]},
            [{"ApplicationName": "shop", "EnvironmentName": "prod"}],
        ),
        ("GetComputeNodeGroup", 0, {"clusters": [{"id": "c", "name": "n"}]}, [{"clusterIdentifier": "c"}]),
        (
            "GetComputeNodeGroup",
            1,
            {"computeNodeGroups": [{"id": "g", "clusterId": "c", "name": "n"}]},
            [{"clusterIdentifier": "c", "computeNodeGroupIdentifier": "g"}],
        ),
        ("DescribeCluster", 0, {"Clusters": []}, []),
    ],
)
def test_a_listing_leads_to_a_request_for_each_of_what_it_lists(
    operation: str, step: int, answer: dict[str, Any], asked: list[dict[str, str]]
) -> None:
    assert jmespath.search(of(operation).steps[step].each, answer) == asked


# Versions of launch templates


def version(number: int, profile: str | None, *, default: bool = False, template: str = LT) -> Version:
    data = {"IamInstanceProfile": {"Name": profile}} if profile else {}
    return msgspec.convert(
        {
            "LaunchTemplateId": template,
            "LaunchTemplateName": f"name-of-{template}",
            "VersionNumber": number,
            "DefaultVersion": default,
            "LaunchTemplateData": data,
        },
        Version,
    )


READ = [version(1, "first", default=True), version(4, "latest")]


def through(*pins: dict[str, str], versions: list[Version] | None = None) -> tuple[list[tuple[str, Any]], list[str]]:
    """Return which profile a group names by which labels, and what was not read."""
    group = {"AutoScalingGroupName": "g", "MixedInstancesPolicy": {"LaunchTemplate": {"Overrides": []}}}
    group["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"] = [  # type: ignore[index]
        {"LaunchTemplateSpecification": pin} for pin in pins
    ]
    (record,) = records("DescribeAutoScalingGroups", {"AutoScalingGroups": [group]})
    pinnings = list(of("DescribeAutoScalingGroups").pinnings(record))
    mentions, unread = template_references(pinnings, READ if versions is None else versions, [], None)
    return [(mention.named, mention.consumer_version) for mention in mentions], unread


@pytest.mark.parametrize(
    ("pin", "named"),
    [
        ({"LaunchTemplateId": LT, "Version": "1"}, [("first", "1")]),
        ({"LaunchTemplateId": LT, "Version": "4"}, [("latest", "4")]),
        ({"LaunchTemplateId": LT, "Version": "$Default"}, [("first", "$Default")]),
        ({"LaunchTemplateId": LT, "Version": "$Latest"}, [("latest", "$Latest")]),
        # Auto Scaling and Batch take the default version where none is named.
        ({"LaunchTemplateId": LT}, [("first", "$Default")]),
        ({"LaunchTemplateId": LT, "Version": ""}, [("first", "$Default")]),
        ({"LaunchTemplateName": f"name-of-{LT}", "Version": "4"}, [("latest", "4")]),
    ],
)
def test_a_pin_names_the_profile_of_its_version(pin: dict[str, str], named: list[tuple[str, str]]) -> None:
    assert through(pin) == (named, [])


@pytest.mark.parametrize(
    ("pin", "unread"),
    [
        ({"LaunchTemplateId": LT, "Version": "2"}, f"{LT}:2"),
        ({"LaunchTemplateName": "other", "Version": "$Latest"}, "other:$Latest"),
        ({"LaunchTemplateId": "lt-other"}, "lt-other:$Default"),
    ],
)
def test_a_pin_of_a_version_that_was_not_read_is_told(pin: dict[str, str], unread: str) -> None:
    assert through(pin) == ([], [unread])


def test_pins_of_one_profile_are_one_reference_with_all_its_versions() -> None:
    versions = [version(1, "web", default=True), version(2, "web"), version(10, "web"), version(11, None)]
    pins = [{"LaunchTemplateId": LT, "Version": label} for label in ("10", "2", "$Latest", "$Default", "2")]
    assert through(*pins, versions=versions) == ([("web", "2 10 $Default")], [])


# Live


@pytest.fixture
def account() -> Iterator[PracticeAccount]:
    with PracticeAccount(regions=("eu-west-1", "us-east-1")) as opened:
        yield opened


def answered(
    monkeypatch: pytest.MonkeyPatch, by: Callable[[str, str, str, dict[str, Any]], dict[str, Any] | str | None]
) -> None:
    """Let a function answer in the place of AWS: with an answer, the code of a refusal, or None to let AWS do it."""
    real = Client._whole

    def whole(self: Client, client: Any, operation: str, parameters: dict[str, Any], service: str) -> dict[str, Any]:
        answer = by(service, operation, client.meta.region_name, parameters)
        if isinstance(answer, str):
            raise ClientError({"Error": {"Code": answer, "Message": "no"}}, operation)
        return real(self, client, operation, parameters, service) if answer is None else answer

    monkeypatch.setattr(Client, "_whole", whole)


def referring(inventory: iamframe.Inventory, consumer_type: str) -> list[list[Any]]:
    frame = inventory.references
    columns = ["region", "profile_name", "consumer_name", "consumer_version", "consumer_state"]
    return frame[columns][frame["consumer_type"] == consumer_type].fillna("").to_numpy().tolist()  # type: ignore[no-any-return]


def judged(inventory: iamframe.Inventory) -> tuple[str, list[str]]:
    result = iamframe.run_checks(inventory, only=["unreferenced_profiles"])
    (status,) = result.coverage["status"]
    return status, result.findings["certainty"].tolist()


def template(account: PracticeAccount, *profiles: str, region: str = "eu-west-1") -> str:
    """Make a launch template with a version per profile, the first one its default; return its id."""
    ec2 = account.session(region_name=region).client("ec2")
    made = ""
    for number, name in enumerate(profiles):
        data = {"ImageId": "ami-12345678", "InstanceType": "t3.micro", "IamInstanceProfile": {"Name": name}}
        if number == 0:
            answer = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
            made = answer["LaunchTemplate"]["LaunchTemplateId"]
        else:
            ec2.create_launch_template_version(LaunchTemplateId=made, LaunchTemplateData=data)
    return made


def group(account: PracticeAccount, launch: dict[str, Any], name: str = "g") -> None:
    account.session(region_name="eu-west-1").client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=name, MinSize=0, MaxSize=1, AvailabilityZones=["eu-west-1a"], **launch
    )


def hidden(monkeypatch: pytest.MonkeyPatch, by: Callable[[dict[str, Any]], str | None]) -> None:
    """Show versions only to requests that name their template, as of one that AWS manages; refuse some of them."""

    def answer(_: str, operation: str, __: str, asked: dict[str, Any]) -> dict[str, Any] | str | None:
        if operation == VERSIONS and "LaunchTemplateId" not in asked:
            return {"LaunchTemplateVersions": []}
        return by(asked) if "LaunchTemplateId" in asked else None

    answered(monkeypatch, answer)


@pytest.mark.parametrize("references", ["core", "all"])
def test_each_version_of_a_template_is_a_reference(account: PracticeAccount, references: str) -> None:
    for name in ("first", "second", "third", "fourth", "none"):
        add(account, name, name)
    made = template(account, "first", "second", "third", "second", "fourth")
    group(account, {"LaunchTemplate": {"LaunchTemplateId": made, "Version": "2"}})
    account.forget()
    inventory = load(account, references=references)
    assert referring(inventory, "auto-scaling-group") == [["eu-west-1", "second", "g", "2", ""]]
    assert sorted((row[1], row[3]) for row in referring(inventory, "launch-template")) == [
        ("first", "1"),
        ("fourth", "5"),
        ("second", "2 4"),
        ("third", "3"),
    ]
    asked = [r.region for r in account.requests if r.action == VERSIONS]
    # One in each region for the newest and the default ones, and one for the others, the group's among them.
    assert sorted(asked) == ["eu-west-1", "eu-west-1", "us-east-1"]
    assert found(inventory, "unreferenced_profiles") == {"none"}


def test_a_template_is_asked_by_itself_only_where_it_may_have_other_versions(account: PracticeAccount) -> None:
    """One version, two of which one is the default, and two of which the second is both."""
    add(account, "web", "web")
    ec2 = account.session(region_name="eu-west-1").client("ec2")
    data = {"IamInstanceProfile": {"Name": "web"}}
    for name, versions, default in (("one", 1, 1), ("two", 2, 1), ("second", 2, 2)):
        ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
        for _ in range(versions - 1):
            ec2.create_launch_template_version(LaunchTemplateName=name, LaunchTemplateData=data)
        ec2.modify_launch_template(LaunchTemplateName=name, DefaultVersion=str(default))
    account.forget()
    inventory = load(account, references="core", regions=["eu-west-1"])
    assert account.counts()[VERSIONS] == 2
    assert sorted((row[2], row[3]) for row in referring(inventory, "launch-template")) == [
        ("one", "1"),
        ("second", "1 2"),
        ("two", "1 2"),
    ]


def test_versions_that_were_deleted_are_no_gap(account: PracticeAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their numbers are never given again."""
    add(account, "first", "first")
    add(account, "gone", "gone")
    made = template(account, "first", "gone", "first")
    real = Client._whole

    def without_2(
        self: Client, client: Any, operation: str, parameters: dict[str, Any], service: str
    ) -> dict[str, Any]:
        answer = real(self, client, operation, parameters, service)
        versions = answer.get("LaunchTemplateVersions", [])
        return answer | {"LaunchTemplateVersions": [v for v in versions if v["VersionNumber"] != 2]}

    monkeypatch.setattr(Client, "_whole", lambda *args: (without_2 if args[2] == VERSIONS else real)(*args))
    inventory = load(account, references="all")
    assert made in set(inventory.references["consumer_id"])
    assert inventory.gaps.empty
    assert judged(inventory) == ("complete", ["in scope"])
    assert found(inventory, "unreferenced_profiles") == {"gone"}


def test_other_versions_that_are_denied_leave_references_unknown(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(account, "first", "first")
    add(account, "second", "second")
    made = template(account, "first", "second", "first")
    no = "UnauthorizedOperation"
    answered(monkeypatch, lambda _, __, ___, asked: no if "LaunchTemplateId" in asked else None)
    inventory = load(account, references=True)
    assert inventory.gaps[["operation", "subject", "reason"]].to_numpy().tolist() == [[VERSIONS, made, "denied"]]
    assert judged(inventory) == ("unknown", [])


def test_a_template_that_is_gone_is_no_gap(account: PracticeAccount) -> None:
    add(account, "first", "first")
    made = template(account, "first", "first")
    group(account, {"LaunchTemplate": {"LaunchTemplateId": made, "Version": "2"}})
    account.session(region_name="eu-west-1").client("ec2").delete_launch_template(LaunchTemplateId=made)
    inventory = load(account, references=True)
    assert inventory.gaps.empty
    assert referring(inventory, "auto-scaling-group") == []
    assert judged(inventory) == ("complete", ["in scope"])


def test_a_version_that_is_gone_is_no_gap_and_does_not_hide_the_others(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 refuses the whole request, whatever else it asks for."""
    add(account, "first", "first")
    add(account, "third", "third")
    made = template(account, "third", "first", "third", "third")
    group(account, {"LaunchTemplate": {"LaunchTemplateId": made, "Version": "2"}}, "a")
    group(account, {"LaunchTemplate": {"LaunchTemplateId": made, "Version": "3"}}, "b")
    hidden(monkeypatch, lambda asked: "InvalidLaunchTemplateId.VersionNotFound" if "2" in asked["Versions"] else None)
    inventory = load(account, references=True)
    assert referring(inventory, "auto-scaling-group") == [["eu-west-1", "third", "b", "3", ""]]
    assert inventory.gaps.empty
    # Only the version that is gone named it.
    assert found(inventory, "unreferenced_profiles") == {"first"}


def test_the_newest_version_of_a_listing_that_broke_off_is_asked_for_by_itself(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        add(account, name, name)
    made = template(account, "first", "second")
    group(account, {"LaunchTemplate": {"LaunchTemplateId": made, "Version": "$Latest"}})
    first = {
        "VersionNumber": 1,
        "DefaultVersion": True,
        "LaunchTemplateData": {"IamInstanceProfile": {"Name": "first"}},
    }
    page = {"NextToken": "more", "LaunchTemplateVersions": [first | {"LaunchTemplateId": made}]}

    def answer(_: str, operation: str, region: str, asked: dict[str, Any]) -> dict[str, Any] | str | None:
        if operation != VERSIONS or region != "eu-west-1" or "LaunchTemplateId" in asked:
            return None
        return "InternalError" if "NextToken" in asked else dict(page)

    answered(monkeypatch, answer)
    inventory = load(account, references=True)
    assert referring(inventory, "auto-scaling-group") == [["eu-west-1", "second", "g", "$Latest", ""]]
    assert judged(inventory) == ("unknown", [])


def test_a_pinned_version_that_is_denied_accuses_nobody(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(account, "first", "first")
    add(account, "second", "second")
    made = template(account, "first", "second", "first")
    group(account, {"LaunchTemplate": {"LaunchTemplateId": made, "Version": "2"}})
    hidden(monkeypatch, lambda _: "UnauthorizedOperation")
    inventory = load(account, references=True)
    assert inventory.gaps[["operation", "subject", "reason"]].to_numpy().tolist() == [[VERSIONS, f"{made}:2", "denied"]]
    assert judged(inventory) == ("unknown", [])


def test_the_launch_configuration_of_a_group_is_the_one_of_its_region(account: PracticeAccount) -> None:
    for region, name in (("eu-west-1", "europe"), ("us-east-1", "america")):
        add(account, name, name)
        account.session(region_name=region).client("autoscaling").create_launch_configuration(
            LaunchConfigurationName="same", ImageId="ami-12345678", InstanceType="t3.micro", IamInstanceProfile=name
        )
    group(account, {"LaunchConfigurationName": "same"})
    inventory = load(account, references=True)
    assert [row[:3] for row in referring(inventory, "auto-scaling-group")] == [["eu-west-1", "europe", "g"]]
    assert [row[:2] for row in referring(inventory, "launch-configuration")] == [
        ["eu-west-1", "europe"],
        ["us-east-1", "america"],
    ]


def test_a_spot_request_refers_to_its_profile(account: PracticeAccount) -> None:
    arn = add(account, "web", "web")
    account.session(region_name="eu-west-1").client("ec2").request_spot_instances(
        SpotPrice="0.1",
        LaunchSpecification={"ImageId": "ami-12345678", "InstanceType": "t3.micro", "IamInstanceProfile": {"Arn": arn}},
    )
    inventory = load(account, references=True)
    assert {tuple(row[:2]) for row in referring(inventory, "spot-request")} == {("eu-west-1", "web")}


def test_a_cluster_of_emr_refers_to_its_profile(account: PracticeAccount) -> None:
    add(account, "web", "web")
    account.session(region_name="us-east-1").client("emr").run_job_flow(
        Name="nightly",
        ReleaseLabel="emr-7.0.0",
        JobFlowRole="web",
        ServiceRole="emr",
        Instances={"MasterInstanceType": "m5.xlarge", "InstanceCount": 1, "KeepJobFlowAliveWhenNoSteps": True},
    )
    # The practice account shows its clusters in every region.
    inventory = load(account, references="all", regions=["us-east-1"])
    assert [row[:3] for row in referring(inventory, "emr-cluster")] == [["us-east-1", "web", "nightly"]]
    assert found(inventory, "unreferenced_profiles") == set()
    core = load(account, references="core", regions=["us-east-1"])
    assert found(core, "unreferenced_profiles") == {"web"}
    assert judged(core) == ("partial", ["maybe"])


def test_an_environment_of_batch_refers_to_its_profile(account: PracticeAccount) -> None:
    arn = add(account, "web", "web")
    session = account.session(region_name="eu-west-1")
    ec2 = session.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    groups = [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]]
    role = session.client("iam").create_role(RoleName="batch", AssumeRolePolicyDocument=EC2)["Role"]["Arn"]
    session.client("batch").create_compute_environment(
        computeEnvironmentName="jobs",
        type="MANAGED",
        state="ENABLED",
        serviceRole=role,
        computeResources={
            "type": "EC2",
            "minvCpus": 0,
            "maxvCpus": 4,
            "instanceTypes": ["m5.large"],
            "subnets": [subnet],
            "securityGroupIds": groups,
            "instanceRole": arn,
        },
    )
    account.forget()
    inventory = iamframe.load_account(account.session(region_name="us-east-1"), progress=False)
    assert referring(inventory, "batch-environment") == [["eu-west-1", "web", "jobs", "", "VALID"]]
    assert inventory.gaps.empty
    assert judged(inventory) == ("complete", [])


def test_a_consumer_of_several_steps_is_asked_for_each_thing_that_a_listing_names(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the practice account cannot hold is answered here, in AWS's shape."""
    arn = add(account, "web", "web")
    add(account, "AWSCloud9SSMInstanceProfile", "AWSCloud9SSMAccessRole")
    answers: dict[tuple[str, str, str], Any] = {
        ("pcs", "ListClusters", ""): {"clusters": [{"id": "c1"}, {"id": "c2"}]},
        ("cloud9", "ListEnvironments", ""): {"environmentIds": ["e1"]},
        ("cloud9", "DescribeEnvironments", "['e1']"): {
            "environments": [{"id": "e1", "name": "ide", "connectionType": "CONNECT_SSM"}]
        },
        ("datazone", "ListDomains", ""): {"items": [{"id": "d"}]},
        ("datazone", "ListProjects", "d"): {"items": [{"domainId": "d", "id": "p1"}, {"domainId": "d", "id": "p2"}]},
        ("datazone", "ListConnections", "d p1"): {"items": []},
        ("datazone", "ListConnections", "d p2"): {
            "items": [{"name": "spark", "props": {"sparkEmrProperties": {"instanceProfileArn": arn}}}]
        },
        ("bedrock-agentcore-control", "ListCapacityProviders", ""): {
            "capacityProviders": [{"capacityProviderId": "a"}]
        },
        ("bedrock-agentcore-control", "GetCapacityProvider", "a"): {
            "name": "agents",
            "permissionsConfiguration": {},
            "computeConfiguration": {
                "ec2Configuration": {"launchTemplateSource": {"launchParameters": {"instanceProfileArn": arn}}}
            },
        },
        ("pcs", "ListComputeNodeGroups", "c1"): {"computeNodeGroups": [{"id": "g1", "clusterId": "c1"}]},
        ("pcs", "ListComputeNodeGroups", "c2"): {"computeNodeGroups": [{"id": "g2", "clusterId": "c2"}]},
        ("pcs", "GetComputeNodeGroup", "c1"): {
            "computeNodeGroup": {"id": "g1", "name": "one", "status": "ACTIVE", "iamInstanceProfileArn": "web"}
        },
        ("pcs", "GetComputeNodeGroup", "c2"): {"computeNodeGroup": {"id": "g2", "name": "two", "status": "DELETED"}},
        ("imagebuilder", "ListInfrastructureConfigurations", ""): {
            "infrastructureConfigurationSummaryList": [{"name": "golden", "instanceProfileName": "web"}]
        },
        ("elasticbeanstalk", "DescribeEnvironments", ""): {
            "Environments": [{"ApplicationName": "shop", "EnvironmentName": "prod"}]
        },
        ("elasticbeanstalk", "DescribeConfigurationSettings", "shop"): next(
            answer for operation, answer, *_ in CASES if operation == "DescribeConfigurationSettings"
        ),
    }

    def answer(service: str, operation: str, _: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        by = ("ApplicationName", "clusterIdentifier", "environmentIds", "domainIdentifier", "projectIdentifier")
        subject = " ".join(str(asked[name]) for name in (*by, "capacityProviderId") if name in asked)
        return answers.get((service, operation, subject.removesuffix(" g1").removesuffix(" g2")))

    answered(monkeypatch, answer)
    inventory = load(account, references="all", regions=["us-east-1"])
    assert referring(inventory, "pcs-node-group") == [["us-east-1", "web", "one", "", "ACTIVE"]]
    assert referring(inventory, "imagebuilder-infrastructure") == [["us-east-1", "web", "golden", "", ""]]
    assert referring(inventory, "beanstalk-environment") == [["us-east-1", "web", "shop-prod", "", "deployed"]]
    assert referring(inventory, "cloud9-environment") == [["us-east-1", "AWSCloud9SSMInstanceProfile", "ide", "", ""]]
    assert referring(inventory, "datazone-connection") == [["us-east-1", "web", "spark", "", ""]]
    assert referring(inventory, "agentcore-capacity-provider") == [["us-east-1", "web", "agents", "", ""]]
    assert set(inventory.gaps["reason"]) == {"not_asked"}


def test_lists_under_the_same_key_are_told_apart_in_files(tmp_path: Path) -> None:
    """Other services have `environments` and `items`, too, which name no profile."""
    folder = tmp_path / ID / "eu-west-1"
    cases = {operation: answer for operation, answer, *_ in CASES}
    documents = {name: cases[name] for name in ("DescribeEnvironments", "ListConnections", "GetCapacityProvider")}
    others = {"m2": {"environments": [{"name": "m"}]}, "k8s": {"items": [{"kind": "Pod"}]}}
    write(folder, {f"{name}.json": document for name, document in (documents | others).items()})
    references = iamframe.load_files(tmp_path).references
    assert sorted(zip(references["consumer_type"], references["consumer_name"], strict=True)) == [
        ("agentcore-capacity-provider", "agents"),
        ("cloud9-environment", "closed"),
        ("datazone-connection", "profile"),
    ]
    assert references[["region", "account_id"]].drop_duplicates().to_numpy().tolist() == [["eu-west-1", ID]]
    for name in documents:
        (folder / f"{name}.json").unlink()
    with pytest.raises(SourceError):
        iamframe.load_files(tmp_path)


def test_a_record_that_does_not_say_which_profile_it_uses_is_a_gap(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That a shape has a field does not mean that each answer has it."""
    add(account, "web", "web")
    listed = {"infrastructureConfigurationSummaryList": [{"arn": "arn:golden", "name": "golden"}]}
    answered(monkeypatch, lambda service, *_: listed if service == "imagebuilder" else None)
    inventory = load(account, references="all")
    assert set(inventory.gaps["operation"]) == {"ListInfrastructureConfigurations"}
    assert judged(inventory) == ("partial", ["maybe"])


# Where a service is not


def without_host(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch, host: str, is_found_elsewhere: bool = True, **config: Any
) -> Any:
    """A session whose one service is asked at AWS's own host, the name of which does not exist."""
    session = account.session(region_name="us-east-1")
    core = session._session
    create, service = core.create_client, host.partition(".")[0]

    def create_client(name: str, *args: Any, **named: Any) -> Any:
        if name == service and named.get("region_name", "") in host:
            return type(core).create_client(core, name, *args, **(named | config))
        return create(name, *args, **named)

    monkeypatch.setattr(core, "create_client", create_client)
    real = socket.getaddrinfo

    def getaddrinfo(asked: str, *args: Any, **named: Any) -> Any:
        if asked.rstrip(".") in (host, "nowhere.example"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if is_found_elsewhere and asked.endswith(".us-east-1.amazonaws.com"):
            asked = "localhost"
        return real(asked, *args, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return session


def test_in_a_region_that_botocore_does_not_know_a_missing_host_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()
    empty: dict[str, dict[str, Any]] = {one.operation: {one.key: []} for one in CONSUMERS}
    empty |= {"ListClusters": {"Clusters": []}, "DescribeEnvironments": {"Environments": []}}
    empty |= {"ListEnvironments": {"environmentIds": []}, "ListDomains": {"items": []}}
    empty |= {"ListCapacityProviders": {"capacityProviders": []}}

    def answer(service: str, operation: str, region: str, _: dict[str, Any]) -> dict[str, Any] | None:
        if region != "eu-west-9":
            return None
        asked.add(service)
        return None if service == "pcs" else dict(empty[operation])

    with PracticeAccount(regions=("us-east-1", "eu-west-9")) as account:
        add(account, "web", "web")
        session = without_host(account, monkeypatch, "pcs.eu-west-9.amazonaws.com")
        answered(monkeypatch, answer)
        inventory = iamframe.load_account(session, progress=False)
    assert asked == {read.service for read in OPERATIONS if read.when in ("references", "all")}
    assert inventory.gaps[["region", "reason"]].to_numpy().tolist() == [["eu-west-9", "unreadable"]]
    assert judged(inventory) == ("partial", ["maybe"])


def test_where_botocore_lists_a_service_elsewhere_only_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elastic Beanstalk is not in this region, as botocore has it; an older botocore does not know all regions."""
    regions = MODELS.get_available_regions("elasticbeanstalk")
    (lacking, *_) = sorted({*MODELS.get_available_regions("ec2")} - {*regions})
    with PracticeAccount(regions=("us-east-1", lacking)) as account:
        add(account, "web", "web")
        account.forget()
        load(account, references="all")
        assert {r.region for r in account.requests if r.service == "elasticbeanstalk"} == {"us-east-1", lacking}
        session = without_host(account, monkeypatch, f"elasticbeanstalk.{lacking}.amazonaws.com")
        inventory = iamframe.load_account(session, progress=False)
    assert inventory.gaps.empty
    assert judged(inventory) == ("complete", ["in scope"])


@pytest.mark.parametrize(("lang", "users"), [("en", "used by Auto Scaling groups"), ("ja", "Auto Scaling グループが")])
def test_a_denied_list_of_consumers_says_which_use_of_profiles_is_unknown(
    account: PracticeAccount, lang: str, users: str
) -> None:
    account.deny("autoscaling:DescribeAutoScalingGroups")
    inventory = iamframe.load_account(account.session(region_name="us-east-1"), progress=False, references=True)
    gaps = with_details(inventory.gaps, lang)
    assert [users in detail for detail in gaps["detail"]] == [True, True]


def test_every_list_of_consumers_names_its_resources_and_an_older_snapshot_still_says_its_sentence() -> None:
    listing = [one for one in OPERATIONS if one.cost == "gaps.cost.users"]
    assert listing
    assert all((one.service, one.operation) in LISTED_BY for one in listing)
    for lang in ("en", "ja"):
        assert say("gaps.cost.users", lang)
        assert all(say(f"consumers.{one.consumer_type}", lang) for one in CONSUMERS)


def test_services_that_share_the_name_of_a_request_are_told_apart(account: PracticeAccount) -> None:
    """EMR and PCS both have a ListClusters."""
    account.deny("elasticmapreduce:ListClusters")
    inventory = load(account, references="all", regions=["us-east-1"])
    (gap,) = inventory.gaps[inventory.gaps["reason"] == "denied"].to_dict("records")
    assert gap["operation"] == "elasticmapreduce:ListClusters"
    assert gap["detail"].endswith("; allow elasticmapreduce:ListClusters")
    calls = inventory.calls.set_index("operation")["state"]
    assert calls["elasticmapreduce:ListClusters"] == "refused"
    assert calls["pcs:ListClusters"] == "complete"


def test_one_call_of_several_that_fails_leaves_a_truncated_list(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(service: str, operation: str, _: str, asked: dict[str, Any]) -> dict[str, Any] | str | None:
        if service != "emr":
            return None
        if operation == "ListClusters":
            return {"Clusters": [{"Id": "j-1"}, {"Id": "j-2"}]}
        return "InternalServerException" if asked["ClusterId"] == "j-1" else {"Cluster": {"Id": "j-2"}}

    answered(monkeypatch, answer)
    calls = load(account, references="all", regions=["us-east-1"]).calls.set_index("operation")["state"]
    assert calls["elasticmapreduce:ListClusters"] == calls["DescribeCluster"] == "truncated"


def test_an_answer_without_its_list_is_told_of_its_own_service(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elastic Beanstalk has a DescribeEnvironments, too."""
    answers: dict[str, Any] = {"ListEnvironments": {"environmentIds": ["e"]}, "DescribeEnvironments": {}}
    answered(monkeypatch, lambda service, operation, *_: answers[operation] if service == "cloud9" else None)
    gaps = load(account, references="all", regions=["us-east-1"]).gaps
    (gap,) = gaps[gaps["reason"] == "unreadable"].to_dict("records")
    assert gap["operation"] == "cloud9:DescribeEnvironments"


# One consumer denied in one of two regions


DENIED = [read for read in OPERATIONS if read.when in ("references", "all") and read.operation != "DescribeRegions"]


@pytest.fixture(scope="module")
def shared() -> Iterator[PracticeAccount]:
    """An account whose one profile nothing names, with something to ask for at the end of each step."""
    with PracticeAccount(regions=("eu-west-1", "us-east-1")) as opened:
        add(opened, "web", "web")
        yield opened


@pytest.mark.parametrize("asked", [{"references": True}, {"references": "all"}, {}])
def test_where_all_was_read_it_is_in_scope(shared: PracticeAccount, asked: dict[str, Any]) -> None:
    shared.forget()
    inventory = iamframe.load_account(shared.session(region_name="us-east-1"), progress=False, **asked)
    assert inventory.gaps.empty
    assert judged(inventory) == ("complete", ["in scope"])
    # Requests are signed for a service by the prefix of its actions.
    consumers = {read.action.partition(":")[0] for read in OPERATIONS if read.when in ("references", "all")}
    assert {r.service for r in shared.requests} >= consumers


def test_a_service_that_has_no_host_in_a_region_uses_nothing_there(
    shared: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Botocore lists no region at all of AWS PCS, which has a host in us-east-1."""
    assert MODELS.get_available_regions("pcs") == []
    session = without_host(shared, monkeypatch, "pcs.eu-west-1.amazonaws.com")
    shared.forget()
    inventory = iamframe.load_account(session, progress=False)
    assert {r.region for r in shared.requests if r.service == "pcs"} == {"us-east-1"}
    assert inventory.gaps.empty
    assert judged(inventory) == ("complete", ["in scope"])


@pytest.mark.parametrize(
    ("host", "config"),
    [
        # Botocore lists this one there.
        ("batch.eu-west-1.amazonaws.com", {}),
        # This network finds the service in no region.
        ("pcs.eu-west-1.amazonaws.com", {"is_found_elsewhere": False}),
        # Somebody has set another endpoint than AWS's.
        ("pcs.eu-west-1.amazonaws.com", {"endpoint_url": "https://nowhere.example"}),
    ],
)
def test_a_host_that_should_be_there_and_is_not_leaves_a_gap(
    shared: PracticeAccount, monkeypatch: pytest.MonkeyPatch, host: str, config: dict[str, Any]
) -> None:
    inventory = iamframe.load_account(without_host(shared, monkeypatch, host, **config), progress=False)
    assert inventory.gaps[["region", "reason"]].to_numpy().tolist() == [["eu-west-1", "unreadable"]]
    assert judged(inventory) == ("partial", ["maybe"])


@pytest.mark.parametrize(("references", "requests"), [("all", 18), ("core", 8)])
def test_an_empty_region_costs_one_request_for_each_listing(
    shared: PracticeAccount, references: str, requests: int
) -> None:
    shared.forget()
    load(shared, references=references)
    others = ("iam", "sts", "organizations")
    regional = [r.region for r in shared.requests if r.service not in others and r.action != "DescribeRegions"]
    assert Counter(regional) == {"eu-west-1": requests, "us-east-1": requests}


def test_the_regions_that_were_not_asked_for_leave_a_part(shared: PracticeAccount) -> None:
    inventory = load(shared, references="all", regions=["us-east-1"])
    assert set(inventory.gaps["reason"]) == {"not_asked"}
    assert judged(inventory) == ("partial", ["maybe"])


@pytest.fixture(scope="module")
def recorded(shared: PracticeAccount) -> dict[tuple[str, ...], dict[str, Any]]:
    """What the account answers, by service, operation, region and parameters."""
    answers, real = {}, Client._whole

    def whole(self: Client, client: Any, operation: str, parameters: dict[str, Any], service: str) -> dict[str, Any]:
        answer = real(self, client, operation, parameters, service)
        answers[service, operation, client.meta.region_name, str(parameters)] = answer
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "_whole", whole)
        load(shared, references="all")
    return answers


@pytest.mark.parametrize("read", DENIED, ids=[read.action for read in DENIED])
def test_one_consumer_denied_in_one_region(
    shared: PracticeAccount, recorded: dict[tuple[str, ...], dict[str, Any]], monkeypatch: pytest.MonkeyPatch, read: Any
) -> None:
    def answer(service: str, operation: str, region: str, parameters: dict[str, Any]) -> dict[str, Any] | str | None:
        before = recorded.get((service, operation, region, str(parameters)))
        if region != "eu-west-1" or service != read.service:
            return before
        return "AccessDenied" if operation == read.operation else LISTED.get(operation, before)

    answered(monkeypatch, answer)
    inventory = load(shared, references="all")
    gaps = inventory.gaps.to_dict("records")
    assert {(gap["region"], gap["reason"]) for gap in gaps} == {("eu-west-1", "denied")}
    assert all(gap["detail"].endswith(f"; allow {read.action}") for gap in gaps)
    # The core consumers, and those that pin versions which nothing else shows.
    core = read.operation in (*CORE, *FLEETS)
    assert judged(inventory) == (("unknown", []) if core else ("partial", ["maybe"]))


# What leads to the last request of a consumer that takes several.
LISTED: dict[str, dict[str, Any]] = {
    "ListClusters": {"Clusters": [{"Id": "j-1"}], "clusters": [{"id": "c"}]},
    "ListComputeNodeGroups": {"computeNodeGroups": [{"id": "g", "clusterId": "c"}]},
    "DescribeEnvironments": {"Environments": [{"ApplicationName": "a", "EnvironmentName": "e"}], "environments": []},
    "ListEnvironments": {"environmentIds": ["e"]},
    "ListDomains": {"items": [{"id": "d"}]},
    "ListProjects": {"items": [{"domainId": "d", "id": "p"}]},
    "ListCapacityProviders": {"capacityProviders": [{"capacityProviderId": "a"}]},
}


def test_with_the_core_alone_each_other_consumer_is_a_gap_and_nothing_is_complete(shared: PracticeAccount) -> None:
    shared.forget()
    inventory = load(shared, references="core")
    assert {read.service for read in OPERATIONS if read.when == "all"} & {r.service for r in shared.requests} == set()
    assert {CONFIGURATIONS, *CORE, *FLEETS} <= set(shared.counts())
    gaps = inventory.gaps
    assert set(gaps["reason"]) == {"not_asked"}
    assert sorted(gaps["operation"]) == sorted(label(o.service, o.operation) for o in CONSUMERS if o.when == "all")
    assert judged(inventory) == ("partial", ["maybe"])


@pytest.mark.parametrize("references", ["none", False])
def test_without_references_each_consumer_is_a_gap_and_nothing_is_known(
    shared: PracticeAccount, references: Any
) -> None:
    inventory = load(shared, references=references)
    gaps = inventory.gaps[inventory.gaps["region"] == "unknown"]
    assert set(gaps["operation"]) == {label(one.service, one.operation) for one in CONSUMERS if one.when != "files"}
    assert judged(inventory) == ("unknown", [])
