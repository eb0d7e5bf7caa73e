"""What names an instance profile: EC2's and Auto Scaling's answers, as mentions.

Fields: EC2 and Auto Scaling API References. A profile may be named by name or by ARN; an instance and an association
also carry the unique id of the profile that they were started with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from iamframe.sources.records import Mention

INSTANCES = "DescribeInstances"
ASSOCIATIONS = "DescribeIamInstanceProfileAssociations"
TEMPLATES = "DescribeLaunchTemplates"
VERSIONS = "DescribeLaunchTemplateVersions"
CONFIGURATIONS = "DescribeLaunchConfigurations"
GROUPS = "DescribeAutoScalingGroups"

# Without one of these nobody can say that nothing refers to a profile.
CORE = (INSTANCES, VERSIONS, CONFIGURATIONS, GROUPS)

_REGION = re.compile(
    r"(?<![a-z0-9])[a-z]{2}(?:-(?:gov|iso[bef]?|isob|northeast|northwest|southeast|southwest|north|south|east|west|central|de))+-\d+"
)


def region_in(text: str | None) -> str | None:
    """Return the region that a text such as an availability zone, an ARN or a folder name holds, or None."""
    found = _REGION.search(text) if text else None
    return found.group() if found else None


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
    default_version_number: int | None = None
    latest_version_number: int | None = None


class _TemplateData(msgspec.Struct, gc=False, rename="pascal"):
    iam_instance_profile: _Profile | None = None


class Version(msgspec.Struct, gc=False, rename="pascal"):
    """One version of a launch template."""

    launch_template_id: str
    version_number: int
    launch_template_name: str | None = None
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


class _Pin(msgspec.Struct, gc=False, rename="pascal"):
    launch_template_id: str | None = None
    launch_template_name: str | None = None
    version: str | None = None


class _Override(msgspec.Struct, gc=False):
    pin: _Pin | None = msgspec.field(name="LaunchTemplateSpecification", default=None)


class _MixedTemplate(msgspec.Struct, gc=False):
    pin: _Pin | None = msgspec.field(name="LaunchTemplateSpecification", default=None)
    overrides: list[_Override] | None = msgspec.field(name="Overrides", default=None)


class _Mixed(msgspec.Struct, gc=False):
    template: _MixedTemplate | None = msgspec.field(name="LaunchTemplate", default=None)


class _GroupInstance(msgspec.Struct, gc=False, rename="pascal"):
    launch_template: _Pin | None = None


class Group(msgspec.Struct, gc=False):
    """An Auto Scaling group, which names a profile only through its template or launch configuration."""

    name: str = msgspec.field(name="AutoScalingGroupName")
    arn: str | None = msgspec.field(name="AutoScalingGroupARN", default=None)
    configuration: str | None = msgspec.field(name="LaunchConfigurationName", default=None)
    template: _Pin | None = msgspec.field(name="LaunchTemplate", default=None)
    mixed: _Mixed | None = msgspec.field(name="MixedInstancesPolicy", default=None)
    status: str | None = msgspec.field(name="Status", default=None)

    @property
    def pins(self) -> Iterator[_Pin]:
        """Every version of a launch template that the group may start instances from."""
        mixed = self.mixed.template if self.mixed else None
        overrides = [o.pin for o in mixed.overrides or ()] if mixed else []
        yield from (pin for pin in (self.template, mixed.pin if mixed else None, *overrides) if pin)


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


def _nothing(_: msgspec.Struct) -> Iterator[Mention]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Consumer:
    """One kind of answer: the list's key, the operation, the type of its records, and what they mention."""

    key: str
    operation: str
    record: type[msgspec.Struct]
    mentions: Callable[..., Iterator[Mention]]


CONSUMERS = (
    Consumer("Reservations", INSTANCES, _Reservation, _instances),
    Consumer("IamInstanceProfileAssociations", ASSOCIATIONS, _Association, _associations),
    Consumer("LaunchTemplates", TEMPLATES, Template, _nothing),
    Consumer("LaunchTemplateVersions", VERSIONS, Version, _versions),
    Consumer("LaunchConfigurations", CONFIGURATIONS, Configuration, _configurations),
    Consumer("AutoScalingGroups", GROUPS, Group, _nothing),
)


def group_mentions(
    groups: list[Group], versions: list[Version], configurations: list[Configuration], templates: list[Template]
) -> tuple[list[Mention], list[str]]:
    """Return what the groups name through their templates, and the pinned versions that nobody has read.

    An unread version is `lt-ID:VERSION`, or `NAME:VERSION` where the group names its template so.
    """
    read = _by_label(versions, templates)
    # Names of launch configurations are unique in a region; without an ARN nobody can tell which region that is.
    named = {(region_in(one.arn), one.name): one.named for one in configurations}
    anywhere = {one.name: one.named for one in reversed(configurations)}
    mentions, unread = [], []
    for group in groups:
        found: dict[str, list[str]] = {}
        for pin in group.pins:
            label = (pin.launch_template_id or pin.launch_template_name or "", pin.version or "$Default")
            if label not in read:
                unread.append(":".join(label))
            elif profile := read[label].named:
                found.setdefault(profile, []).append(label[1])
        name = group.configuration or ""
        if profile := named.get((region_in(group.arn), name), anywhere.get(name)):
            found.setdefault(profile, [])
        mentions += [_of_group(group, profile, labels) for profile, labels in found.items()]
    return mentions, unread


def _by_label(versions: list[Version], templates: list[Template]) -> dict[tuple[str, str], Version]:
    """Return versions by template (id and name) and by number, `$Default` and `$Latest`, as far as they were read."""
    read: dict[tuple[str, str], Version] = {}
    newest: dict[str, int] = {}
    for version in versions:
        for key in filter(None, (version.launch_template_id, version.launch_template_name)):
            read[key, str(version.version_number)] = version
            newest[key] = max(newest.get(key, 0), version.version_number)
            if version.default_version:
                read[key, "$Default"] = version
    for template in templates:
        for key in filter(None, (template.launch_template_id, template.launch_template_name)):
            newest[key] = template.latest_version_number or 0
    # Without the templates' own listing, the highest number read is all that `$Latest` can be.
    return read | {(key, "$Latest"): read[key, str(n)] for key, n in newest.items() if (key, str(n)) in read}


def _of_group(group: Group, profile: str, labels: list[str]) -> Mention:
    return Mention(
        "auto-scaling-group",
        group.name,
        profile,
        region=region_in(group.arn),
        account_id=_account_in(group.arn),
        consumer_arn=group.arn,
        consumer_name=group.name,
        consumer_version=" ".join(sorted({*labels}, key=lambda label: (len(label), label))) or None,
        consumer_state=group.status,
    )
