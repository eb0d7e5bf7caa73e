"""What names an instance profile: the answers of EC2, Auto Scaling and other services, as mentions.

Fields: the API References of those services. A profile may be named by name or by ARN; an instance and an association
also carry the unique id of the profile that they were started with. `CONSUMERS` has a row per kind of consumer: those
that come by the hundred thousand have a typed record, the others say by JMESPath where things stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import msgspec

from iamframe.knowledge.operations import (
    ASSOCIATIONS,
    CONFIGURATIONS,
    GROUPS,
    INSTANCES,
    TEMPLATES,
    VERSIONS,
    region_in,
)
from iamframe.sources.records import Mention


class _Profile(msgspec.Struct, gc=False):
    arn: str | None = msgspec.field(name="Arn", default=None)
    id: str | None = msgspec.field(name="Id", default=None)
    name: str | None = msgspec.field(name="Name", default=None)

    @property
    def named(self) -> str | None:
        return self.arn or self.name


class _State(msgspec.Struct, gc=False):
    name: str | None = msgspec.field(name="Name", default=None)


class _Placement(msgspec.Struct, gc=False):
    zone: str | None = msgspec.field(name="AvailabilityZone", default=None)


class _Instance(msgspec.Struct, gc=False, rename="pascal"):
    instance_id: str
    state: _State | None = None
    placement: _Placement | None = None
    iam_instance_profile: _Profile | None = None
    tags: list[dict[str, str]] | None = None


class _Reservation(msgspec.Struct, gc=False, rename="pascal"):
    instances: list[_Instance] = []
    owner_id: str | None = None


class _Association(msgspec.Struct, gc=False, rename="pascal"):
    association_id: str
    instance_id: str | None = None
    state: str | None = None
    iam_instance_profile: _Profile | None = None


class Template(msgspec.Struct, gc=False, rename="pascal"):
    """A launch template, without what it says."""

    launch_template_id: str
    launch_template_name: str | None = None
    created_by: str | None = None
    default_version_number: int | None = None
    latest_version_number: int | None = None


class _TemplateData(msgspec.Struct, gc=False, rename="pascal"):
    iam_instance_profile: _Profile | None = None


class Version(msgspec.Struct, gc=False, rename="pascal"):
    """One version of a launch template."""

    launch_template_id: str
    version_number: int
    launch_template_name: str | None = None
    created_by: str | None = None
    default_version: bool = False
    launch_template_data: _TemplateData | None = None

    @property
    def named(self) -> str | None:
        """The profile that this version names."""
        data = self.launch_template_data
        return data.iam_instance_profile.named if data and data.iam_instance_profile else None


class Configuration(msgspec.Struct, gc=False):
    """A launch configuration."""

    name: str = msgspec.field(name="LaunchConfigurationName")
    arn: str | None = msgspec.field(name="LaunchConfigurationARN", default=None)
    named: str | None = msgspec.field(name="IamInstanceProfile", default=None)


class Pin(msgspec.Struct, gc=False, rename="pascal"):
    """A version of a launch template that something starts instances from."""

    launch_template_id: str | None = None
    launch_template_name: str | None = None
    version: str | None = None


class _Override(msgspec.Struct, gc=False):
    pin: Pin | None = msgspec.field(name="LaunchTemplateSpecification", default=None)


class _MixedTemplate(msgspec.Struct, gc=False):
    pin: Pin | None = msgspec.field(name="LaunchTemplateSpecification", default=None)
    overrides: list[_Override] | None = msgspec.field(name="Overrides", default=None)


class _Mixed(msgspec.Struct, gc=False):
    template: _MixedTemplate | None = msgspec.field(name="LaunchTemplate", default=None)


class _Group(msgspec.Struct, gc=False):
    name: str = msgspec.field(name="AutoScalingGroupName")
    arn: str | None = msgspec.field(name="AutoScalingGroupARN", default=None)
    configuration: str | None = msgspec.field(name="LaunchConfigurationName", default=None)
    template: Pin | None = msgspec.field(name="LaunchTemplate", default=None)
    mixed: _Mixed | None = msgspec.field(name="MixedInstancesPolicy", default=None)
    status: str | None = msgspec.field(name="Status", default=None)


@dataclass(slots=True)
class Pinning:
    """Something that names a profile only through launch templates, or through a launch configuration."""

    consumer_type: str
    consumer_id: str
    pins: list[Pin]
    name: str | None = None
    arn: str | None = None
    state: str | None = None
    configuration: str | None = None
    region: str | None = None
    account_id: str | None = None


def _instances(reservation: _Reservation) -> Iterator[Mention]:
    for instance in reservation.instances:
        state = instance.state.name if instance.state else None
        profile = instance.iam_instance_profile
        # A stopped instance still uses its profile; a terminated one never will again.
        if state == "terminated" or profile is None or profile.named is None:
            continue
        names = [tag.get("Value") for tag in instance.tags or () if tag.get("Key") == "Name"]
        yield Mention(
            "instance",
            instance.instance_id,
            profile.named,
            region=region_in(instance.placement.zone if instance.placement else None),
            account_id=reservation.owner_id,
            profile_id=profile.id,
            consumer_name=names[0] if names else None,
            consumer_state=state,
        )


def _associations(association: _Association) -> Iterator[Mention]:
    profile = association.iam_instance_profile
    if association.state != "disassociated" and profile is not None and profile.named is not None:
        yield Mention(
            "association",
            association.association_id,
            profile.named,
            profile_id=profile.id,
            consumer_name=association.instance_id,
            consumer_state=association.state,
        )


def _versions(version: Version) -> Iterator[Mention]:
    if version.named is not None:
        yield Mention(
            "launch-template",
            version.launch_template_id,
            version.named,
            consumer_name=version.launch_template_name,
            consumer_version=str(version.version_number),
        )


def _configurations(configuration: Configuration) -> Iterator[Mention]:
    if configuration.named:
        yield Mention(
            "launch-configuration",
            configuration.name,
            configuration.named,
            region=region_in(configuration.arn),
            account_id=_account_in(configuration.arn),
            consumer_arn=configuration.arn,
            consumer_name=configuration.name,
        )


def _account_in(arn: str | None) -> str | None:
    parts = (arn or "").split(":", 5)
    return parts[4] or None if len(parts) == 6 else None


def _group(group: _Group) -> Iterator[Pinning]:
    mixed = group.mixed.template if group.mixed else None
    overrides = [o.pin for o in mixed.overrides or ()] if mixed else []
    yield Pinning(
        "auto-scaling-group",
        group.name,
        [pin for pin in (group.template, mixed.pin if mixed else None, *overrides) if pin],
        name=group.name,
        arn=group.arn,
        state=group.status,
        configuration=group.configuration,
        region=region_in(group.arn),
        account_id=_account_in(group.arn),
    )


def _nothing(_: Any) -> Iterator[Any]:
    return iter(())


# Read from files alone, with `references="core"` too, or only with `references="all"`, the default.
When = Literal["files", "references", "all"]


@dataclass(frozen=True, slots=True)
class Step:
    """A read whose answer lists what to ask the next one for: a JMESPath to a list of its parameters."""

    operation: str
    each: str
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Consumer:
    """One kind of consumer: where its records stand in which answer, and what of profiles and templates they name.

    `key` is the list's key in the answer (of a single record, its own). `steps` are the reads that come before
    `operation` for each of its answers; `parameters` go with it, so far as the installed botocore knows them. `always`
    is a field without which a record says nothing of what it names.
    """

    key: str
    service: str
    operation: str
    record: Any
    mentions: Callable[..., Iterator[Mention]] = _nothing
    pinnings: Callable[..., Iterator[Pinning]] = _nothing
    parameters: Mapping[str, object] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    when: When = "references"
    always: str = ""


def _by_path(
    consumer_type: str,
    key: str,
    service: str,
    operation: str,
    id: str,
    named: str = "",
    *,
    pins: str = "",
    name: str = "",
    arn: str = "",
    state: str = "",
    over: Iterable[str] = (),
    parameters: Mapping[str, object] | None = None,
    steps: tuple[Step, ...] = (),
    when: When = "all",
    always: str = "",
) -> Consumer:
    """Return a row for records that say by JMESPath what they name; what is `over` names nothing any more."""
    done = frozenset(over)

    def text(path: str, record: Any) -> str | None:
        value = _search(path, record) if path else None
        return value if isinstance(value, str) else None

    def mentions(record: Any) -> Iterator[Mention]:
        if not named or text(state, record) in done:
            return
        found = _search(named, record)
        for profile in dict.fromkeys(found if isinstance(found, list) else [found]):
            if isinstance(profile, str) and profile:
                yield Mention(
                    consumer_type,
                    text(id, record) or "unknown",
                    profile,
                    region=region_in(text(arn, record)),
                    consumer_arn=text(arn, record),
                    consumer_name=text(name, record),
                    consumer_state=text(state, record),
                )

    def pinnings(record: Any) -> Iterator[Pinning]:
        found = _search(pins, record) if pins and text(state, record) not in done else None
        if found:
            yield Pinning(
                consumer_type,
                text(id, record) or "unknown",
                msgspec.convert([pin for pin in found if pin], list[Pin]),
                name=text(name, record),
                arn=text(arn, record),
                state=text(state, record),
                region=region_in(text(arn, record)),
            )

    return Consumer(key, service, operation, dict[str, Any], mentions, pinnings, parameters or {}, steps, when, always)


def _search(path: str, record: Any) -> Any:
    return _compiled(path).search(record)


@cache
def _compiled(path: str) -> Any:
    import jmespath

    return jmespath.compile(path)


# Instances that AWS manages (EKS Auto Mode, ECS Managed Instances) are left out of EC2's answers in accounts that hide
# them, unless they are asked for (EC2 API Reference, DescribeInstances).
_MANAGED = {"IncludeManagedResources": True}
_EMR_LIVE = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING", "TERMINATING"]
_OPTION = "[?Namespace=='aws:autoscaling:launchconfiguration' && OptionName=='IamInstanceProfile'].Value"

CONSUMERS = (
    Consumer("Reservations", "ec2", INSTANCES, _Reservation, _instances, parameters={"MaxResults": 1000, **_MANAGED}),
    Consumer(
        "IamInstanceProfileAssociations",
        "ec2",
        ASSOCIATIONS,
        _Association,
        _associations,
        parameters={"MaxResults": 1000},
    ),
    # The account-wide listing of versions shows all that this one would; files of it tell which version is the newest.
    Consumer("LaunchTemplates", "ec2", TEMPLATES, Template, when="files"),
    Consumer(
        "LaunchTemplateVersions",
        "ec2",
        VERSIONS,
        Version,
        _versions,
        parameters={"Versions": ["$Latest", "$Default"], "MaxResults": 200, **_MANAGED},
    ),
    Consumer(
        "LaunchConfigurations",
        "autoscaling",
        CONFIGURATIONS,
        Configuration,
        _configurations,
        parameters={"MaxRecords": 100},
    ),
    Consumer(
        "AutoScalingGroups",
        "autoscaling",
        GROUPS,
        _Group,
        pinnings=_group,
        parameters={"MaxRecords": 100, **_MANAGED},
    ),
    _by_path(
        "spot-request",
        "SpotInstanceRequests",
        "ec2",
        "DescribeSpotInstanceRequests",
        "SpotInstanceRequestId",
        "LaunchSpecification.IamInstanceProfile.[Arn, Name][]",
        name="InstanceId",
        state="State",
        over=("cancelled", "closed", "failed"),
        parameters={"MaxResults": 1000},
        when="references",
    ),
    _by_path(
        "spot-fleet",
        "SpotFleetRequestConfigs",
        "ec2",
        "DescribeSpotFleetRequests",
        "SpotFleetRequestId",
        "SpotFleetRequestConfig.LaunchSpecifications[].IamInstanceProfile.[Arn, Name][]",
        pins="SpotFleetRequestConfig.LaunchTemplateConfigs[].LaunchTemplateSpecification",
        state="SpotFleetRequestState",
        over=("cancelled", "failed"),
        parameters={"MaxResults": 1000},
        when="references",
    ),
    _by_path(
        "fleet",
        "Fleets",
        "ec2",
        "DescribeFleets",
        "FleetId",
        pins="LaunchTemplateConfigs[].LaunchTemplateSpecification",
        state="FleetState",
        over=("deleted", "failed"),
        parameters={"MaxResults": 100},
        when="references",
    ),
    _by_path(
        "batch-environment",
        "computeEnvironments",
        "batch",
        "DescribeComputeEnvironments",
        "computeEnvironmentName",
        "[computeResources.instanceRole, "
        "computeResources.managedInstancesProvider.instanceLaunchTemplate.ec2InstanceProfileArn]",
        pins="[computeResources.launchTemplate, computeResources.launchTemplate.overrides[]][]"
        ".{LaunchTemplateId: launchTemplateId, LaunchTemplateName: launchTemplateName, Version: version}",
        name="computeEnvironmentName",
        arn="computeEnvironmentArn",
        state="status",
        over=("DELETED",),
    ),
    _by_path(
        "emr-cluster",
        "Cluster",
        "emr",
        "DescribeCluster",
        "Id",
        "Ec2InstanceAttributes.IamInstanceProfile",
        name="Name",
        arn="ClusterArn",
        state="Status.State",
        over=("TERMINATED", "TERMINATED_WITH_ERRORS"),
        steps=(Step("ListClusters", "Clusters[].{ClusterId: Id}", {"ClusterStates": _EMR_LIVE}),),
    ),
    _by_path(
        "beanstalk-environment",
        "ConfigurationSettings",
        "elasticbeanstalk",
        "DescribeConfigurationSettings",
        "EnvironmentName",
        f"OptionSettings{_OPTION}",
        name="EnvironmentName",
        state="DeploymentStatus",
        steps=(
            Step(
                "DescribeEnvironments",
                "Environments[].{ApplicationName: ApplicationName, EnvironmentName: EnvironmentName}",
                {"IncludeDeleted": False},
            ),
        ),
    ),
    _by_path(
        "imagebuilder-infrastructure",
        "infrastructureConfigurationSummaryList",
        "imagebuilder",
        "ListInfrastructureConfigurations",
        "name",
        "instanceProfileName",
        name="name",
        arn="arn",
        # None can be made without one (Image Builder API Reference, CreateInfrastructureConfiguration).
        always="instanceProfileName",
    ),
    _by_path(
        "imagebuilder-infrastructure",
        "infrastructureConfiguration",
        "imagebuilder",
        "GetInfrastructureConfiguration",
        "name",
        "instanceProfileName",
        name="name",
        arn="arn",
        when="files",
    ),
    _by_path(
        "ecs-capacity-provider",
        "capacityProviders",
        "ecs",
        "DescribeCapacityProviders",
        "name",
        "managedInstancesProvider.instanceLaunchTemplate.ec2InstanceProfileArn",
        name="name",
        arn="capacityProviderArn",
        state="status",
        over=("INACTIVE",),
    ),
    _by_path(
        "rds-custom-instance",
        "DBInstances",
        "rds",
        "DescribeDBInstances",
        "DBInstanceIdentifier",
        "CustomIamInstanceProfile",
        name="DBInstanceIdentifier",
        arn="DBInstanceArn",
        state="DBInstanceStatus",
    ),
    _by_path(
        "pcs-node-group",
        "computeNodeGroup",
        "pcs",
        "GetComputeNodeGroup",
        "id",
        "iamInstanceProfileArn",
        pins="[customLaunchTemplate.{LaunchTemplateId: id, Version: version}]",
        name="name",
        arn="arn",
        state="status",
        over=("DELETED",),
        steps=(
            Step("ListClusters", "clusters[].{clusterIdentifier: id}"),
            Step(
                "ListComputeNodeGroups",
                "computeNodeGroups[].{clusterIdentifier: clusterId, computeNodeGroupIdentifier: id}",
            ),
        ),
    ),
)

# The services whose consumers are asked only with `references="all"`, as people call them.
OTHERS = "Batch, EMR, Elastic Beanstalk, Image Builder, ECS, RDS Custom and PCS"


def with_other_versions(versions: Iterable[Version], templates: Iterable[Template] = ()) -> list[str]:
    """Return the ids of the templates that may have versions besides those that were read.

    Versions are numbered from 1; some may have been deleted. The newest one was read, unless `templates` know better.
    """
    read: dict[str, set[int]] = {}
    for version in versions:
        read.setdefault(version.launch_template_id, set()).add(version.version_number)
    newest = {one.launch_template_id: one.latest_version_number or 0 for one in templates}
    return [template for template, numbers in read.items() if len(numbers) < max(*numbers, newest.get(template, 0))]


def pinned_mentions(
    pinnings: list[Pinning],
    versions: list[Version],
    configurations: list[Configuration],
    templates: list[Template] | None,
) -> tuple[list[Mention], list[str]]:
    """Return what groups and fleets name through templates and configurations, and the versions that nobody has read.

    An unread version is `ID:VERSION`, or `NAME:VERSION` where its template is named so (`template_ids` tells which).
    `templates` is None where the latest version of each was asked for by that name, so that it is among those read.
    """
    read = _by_label(versions, templates)
    # Names of launch configurations are unique in a region; without an ARN nobody can tell which region that is.
    named = {(region_in(one.arn), one.name): one.named for one in configurations}
    anywhere = {one.name: one.named for one in reversed(configurations)}
    mentions, unread = [], []
    for pinning in pinnings:
        found: dict[str, list[str]] = {}
        for pin in pinning.pins:
            label = (pin.launch_template_id or pin.launch_template_name or "", pin.version or "$Default")
            if label not in read:
                unread.append(":".join(label))
            elif profile := read[label].named:
                found.setdefault(profile, []).append(label[1])
        name = pinning.configuration or ""
        if profile := named.get((pinning.region, name), anywhere.get(name)):
            found.setdefault(profile, [])
        mentions += [_through(pinning, profile, labels) for profile, labels in found.items()]
    return mentions, unread


def template_ids(pinnings: Iterable[Pinning], templates: Iterable[Template] = ()) -> set[str]:
    """Return which templates are known by their id: a name may look like one."""
    pinned = {pin.launch_template_id for pinning in pinnings for pin in pinning.pins if pin.launch_template_id}
    return pinned | {template.launch_template_id for template in templates}


def _by_label(versions: list[Version], templates: list[Template] | None) -> dict[tuple[str, str], Version]:
    """Return versions by template (id and name) and by number, `$Default` and `$Latest`, as far as they were read."""
    read: dict[tuple[str, str], Version] = {}
    newest: dict[str, int] = {}
    listed: dict[str, int] = {}
    for version in versions:
        for key in filter(None, (version.launch_template_id, version.launch_template_name)):
            read[key, str(version.version_number)] = version
            newest[key] = max(newest.get(key, 0), version.version_number)
            if version.default_version:
                read[key, "$Default"] = version
    for template in templates or ():
        for key in filter(None, (template.launch_template_id, template.launch_template_name)):
            listed[key] = template.latest_version_number or 0
    # Without the templates' own listing, one above the default was asked for as the latest; the default says nothing.
    latest = {
        key: number
        for key, number in newest.items()
        if templates is None or number > (read[key, "$Default"].version_number if (key, "$Default") in read else number)
    }
    latest |= listed
    return read | {(key, "$Latest"): read[key, str(n)] for key, n in latest.items() if (key, str(n)) in read}


def _through(pinning: Pinning, profile: str, labels: list[str]) -> Mention:
    return Mention(
        pinning.consumer_type,
        pinning.consumer_id,
        profile,
        region=pinning.region,
        account_id=pinning.account_id,
        consumer_arn=pinning.arn,
        consumer_name=pinning.name,
        consumer_version=" ".join(sorted({*labels}, key=lambda label: (len(label), label))) or None,
        consumer_state=pinning.state,
    )
