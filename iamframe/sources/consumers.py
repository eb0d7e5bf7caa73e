"""The kinds of AWS resources that use instance profiles. Some resources take the profile from a launch template.

The file `consumers.toml` contains one or two tables `[[consumers]]` per kind of resource. Most tables `[[consumers]]`
have expressions that extract the profiles from the record of a resource. Sources of the names of the records' fields:
Amazon EC2 API Reference, Amazon EC2 Auto Scaling API Reference.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from iamframe.knowledge.arn import account_of
from iamframe.knowledge.operations import (
    ASSOCIATIONS,
    CONFIGURATIONS,
    GROUPS,
    INSTANCES,
    TEMPLATES,
    VERSIONS,
    region_in,
)
from iamframe.messages.render import Message, say
from iamframe.sources.records import Reference, make_decoders

T = TypeVar("T")


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call of an AWS operation. The next calls need values from the answer."""

    operation: str
    key: str
    gives: dict[str, str]
    parameters: dict[str, Any] = {}

    @property
    def each(self) -> str:
        return f"{self.key}[].{{{', '.join(f'{name}: {path}' for name, path in self.gives.items())}}}"


class Consumer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One list operation of a service whose resources use profiles."""

    # The name in the frame `references`.
    consumer_type: str
    # The call that returns the records.
    service: str
    operation: str
    # The key of the records in the answer.
    key: str
    # The source of these facts, and the date when the source was last read.
    source: str
    date: dt.date
    parameters: dict[str, Any] = {}
    # Whether the key holds one record instead of a list.
    single: bool = False
    # Whether the whole answer is one record. The record always contains the key.
    whole: bool = False
    # A field of every record. The field distinguishes the records from other lists under the same key.
    marked: str = ""
    # Every kind is read in files. The value "references" adds live accounts with `references="core"` or
    # `references="all"`. The value "all" adds live accounts with `references="all"`.
    when: Literal["files", "references", "all"] = "all"
    # JMESPath expressions in a record.
    id: str = ""
    name: str = ""
    arn: str = ""
    state: str = ""
    # The states in which a resource no longer starts instances.
    over: tuple[str, ...] = ()
    # JMESPath expressions for the names or ARNs of profiles, and for launch template versions. Each expression may find
    # one value, a list, or a list of lists.
    profiles: str = ""
    pins: str = ""
    # A JMESPath expression for the part of a record that the collect script keeps. By default, the script keeps all.
    kept: str = ""
    # Calls before the main call. The main call is made once per record of the last step.
    steps: tuple[Step, ...] = ()
    # The field that shows which profile a record uses. Every record must have this field.
    always: str = ""
    # Whether many installed AWS CLIs lack the command. Without the command, a clean-up script relies on the loaded
    # data.
    is_recent: bool = False

    @property
    def kind(self) -> Message:
        return {"message": f"consumers.{self.consumer_type}"}

    @property
    def plural(self) -> str:
        return say(**self.kind)

    @property
    def record(self) -> Any:
        return _TYPED.get(self.operation, dict[str, Any])

    @property
    def collected(self) -> str:
        return f"{{{self.key}: {self.key}{f'[].{self.kept}' if self.kept else ''}}}"

    def whole_in(self, answer: bytes) -> bytes:
        if not self.whole or self.key not in msgspec.json.decode(answer):
            return answer
        return msgspec.json.encode({self.key: msgspec.Raw(answer)})

    def mentions(self, record: Any) -> Iterator[Reference]:
        if isinstance(record, ConsumerRecord):
            yield from record.mentions(self.consumer_type)
            return
        for profile in dict.fromkeys(self._listed(self.profiles, record, list[str])):
            yield Reference(named=profile, **self._about(record))

    def pinnings(self, record: Any) -> Iterator[TemplateUse]:
        if isinstance(record, ConsumerRecord):
            yield from record.pinnings(self.consumer_type)
        elif pins := self._listed(self.pins, record, list[Pin]):
            yield TemplateUse(Reference(named="", **self._about(record)), pins)

    def _listed(self, path: str, record: Any, kind: type[T]) -> T:
        """Return the values at `path` in a record. If they do not fit the type `kind`, raise `ValidationError`."""
        in_use = path and _text(self.state, record) not in self.over
        found = _compiled(flat(path)).search(record) if in_use else []
        return msgspec.convert([value for value in found if value], kind)

    def _about(self, record: Any) -> dict[str, Any]:
        arn = _text(self.arn, record)
        return {
            "consumer_type": self.consumer_type,
            "consumer_id": _text(self.id, record) or "unknown",
            "region": region_in(arn),
            "consumer_arn": arn,
            "consumer_name": _text(self.name, record),
            "consumer_state": _text(self.state, record),
        }


def flat(path: str) -> str:
    # Each `[]` flattens one level, and leaves out missing values.
    return f"[{path}][][][]"


def _text(path: str, record: Any) -> str | None:
    value = _compiled(path).search(record) if path else None
    return value if isinstance(value, str) else None


@cache
def _compiled(path: str) -> Any:
    import jmespath

    return jmespath.compile(path)


@dataclass(slots=True)
class TemplateUse:
    # The group or fleet, without a profile.
    consumer: Reference
    pins: list[Pin]
    configuration: str | None = None


class ConsumerRecord(msgspec.Struct, gc=False):
    def mentions(self, _: str) -> Iterator[Reference]:
        return iter(())

    def pinnings(self, _: str) -> Iterator[TemplateUse]:
        return iter(())


class Profile(msgspec.Struct, gc=False):
    arn: str | None = msgspec.field(name="Arn", default=None)
    id: str | None = msgspec.field(name="Id", default=None)
    name: str | None = msgspec.field(name="Name", default=None)

    @property
    def named(self) -> str | None:
        return self.arn or self.name or None


class Template(ConsumerRecord, gc=False, rename="pascal"):
    launch_template_id: str
    launch_template_name: str | None = None
    created_by: str | None = None
    latest_version_number: int | None = None


class TemplateData(msgspec.Struct, gc=False, rename="pascal"):
    iam_instance_profile: Profile | None = None


class Version(ConsumerRecord, gc=False, rename="pascal"):
    launch_template_id: str
    version_number: int
    launch_template_name: str | None = None
    created_by: str | None = None
    default_version: bool = False
    launch_template_data: TemplateData | None = None

    @property
    def named(self) -> str | None:
        data = self.launch_template_data
        return data.iam_instance_profile.named if data and data.iam_instance_profile else None

    def mentions(self, consumer_type: str) -> Iterator[Reference]:
        if self.named is not None:
            yield Reference(
                consumer_type,
                self.launch_template_id,
                self.named,
                consumer_name=self.launch_template_name,
                consumer_version=str(self.version_number),
            )


class Configuration(ConsumerRecord, gc=False):
    name: str = msgspec.field(name="LaunchConfigurationName")
    arn: str | None = msgspec.field(name="LaunchConfigurationARN", default=None)
    named: str | None = msgspec.field(name="IamInstanceProfile", default=None)

    def mentions(self, consumer_type: str) -> Iterator[Reference]:
        if self.named:
            yield Reference(
                consumer_type,
                self.name,
                self.named,
                region=region_in(self.arn),
                account_id=account_of(self.arn or ""),
                consumer_arn=self.arn,
                consumer_name=self.name,
            )


class Pin(msgspec.Struct, gc=False, rename="pascal"):
    launch_template_id: str | None = None
    launch_template_name: str | None = None
    version: str | None = None


class _State(msgspec.Struct, gc=False):
    name: str | None = msgspec.field(name="Name", default=None)


class _Placement(msgspec.Struct, gc=False):
    zone: str | None = msgspec.field(name="AvailabilityZone", default=None)


class _Instance(msgspec.Struct, gc=False, rename="pascal"):
    instance_id: str
    state: _State | None = None
    placement: _Placement | None = None
    iam_instance_profile: Profile | None = None
    tags: list[dict[str, str]] | None = None


class _Reservation(ConsumerRecord, gc=False, rename="pascal"):
    instances: list[_Instance] = msgspec.field(default_factory=list)
    owner_id: str | None = None

    def mentions(self, consumer_type: str) -> Iterator[Reference]:
        for instance in self.instances:
            state = instance.state.name if instance.state else None
            profile = instance.iam_instance_profile
            # A stopped instance still uses its profile; a terminated one does not, and cannot start again.
            if state == "terminated" or profile is None or profile.named is None:
                continue
            names = [tag.get("Value") for tag in instance.tags or () if tag.get("Key") == "Name"]
            yield Reference(
                consumer_type,
                instance.instance_id,
                profile.named,
                region=region_in(instance.placement.zone if instance.placement else None),
                account_id=self.owner_id,
                profile_id=profile.id,
                consumer_name=names[0] if names else None,
                consumer_state=state,
            )


class _Association(ConsumerRecord, gc=False, rename="pascal"):
    association_id: str
    instance_id: str | None = None
    state: str | None = None
    iam_instance_profile: Profile | None = None

    def mentions(self, consumer_type: str) -> Iterator[Reference]:
        profile = self.iam_instance_profile
        if self.state != "disassociated" and profile is not None and profile.named is not None:
            yield Reference(
                consumer_type,
                self.association_id,
                profile.named,
                profile_id=profile.id,
                consumer_name=self.instance_id,
                consumer_state=self.state,
            )


class _Override(msgspec.Struct, gc=False):
    pin: Pin | None = msgspec.field(name="LaunchTemplateSpecification", default=None)


class _MixedTemplate(msgspec.Struct, gc=False):
    pin: Pin | None = msgspec.field(name="LaunchTemplateSpecification", default=None)
    overrides: list[_Override] | None = msgspec.field(name="Overrides", default=None)


class _Mixed(msgspec.Struct, gc=False):
    template: _MixedTemplate | None = msgspec.field(name="LaunchTemplate", default=None)


class _Group(ConsumerRecord, gc=False):
    name: str = msgspec.field(name="AutoScalingGroupName")
    arn: str | None = msgspec.field(name="AutoScalingGroupARN", default=None)
    configuration: str | None = msgspec.field(name="LaunchConfigurationName", default=None)
    template: Pin | None = msgspec.field(name="LaunchTemplate", default=None)
    mixed: _Mixed | None = msgspec.field(name="MixedInstancesPolicy", default=None)
    status: str | None = msgspec.field(name="Status", default=None)

    def pinnings(self, consumer_type: str) -> Iterator[TemplateUse]:
        mixed = self.mixed.template if self.mixed else None
        overrides = [one.pin for one in mixed.overrides or ()] if mixed else []
        group = Reference(
            consumer_type,
            self.name,
            named="",
            region=region_in(self.arn),
            account_id=account_of(self.arn or ""),
            consumer_arn=self.arn,
            consumer_name=self.name,
            consumer_state=self.status,
        )
        pins = [pin for pin in (self.template, mixed.pin if mixed else None, *overrides) if pin]
        yield TemplateUse(group, pins, self.configuration)


# Answers with hundreds of thousands of records. Typed objects are decoded faster than dictionaries.
_TYPED = {
    INSTANCES: _Reservation,
    ASSOCIATIONS: _Association,
    TEMPLATES: Template,
    VERSIONS: Version,
    CONFIGURATIONS: Configuration,
    GROUPS: _Group,
}
CONSUMERS = msgspec.toml.decode(
    files("iamframe.sources").joinpath("consumers.toml").read_bytes(), type=dict[str, tuple[Consumer, ...]]
)["consumers"]
# The consumer that each operation lists, by service and operation.
LISTED_BY = {
    (one.service, name): one for one in CONSUMERS for name in (one.operation, *(step.operation for step in one.steps))
}
# The common names of the services whose use of profiles is read only with `references="all"`.
OTHERS = "Batch, EMR, Elastic Beanstalk, Image Builder, ECS, RDS Custom, PCS, Cloud9, DataZone and Bedrock AgentCore"


def with_other_versions(versions: Iterable[Version], templates: Iterable[Template] = ()) -> list[str]:
    read: dict[str, set[int]] = {}
    for version in versions:
        read.setdefault(version.launch_template_id, set()).add(version.version_number)
    newest = {one.launch_template_id: one.latest_version_number or 0 for one in templates}
    # AWS numbers the versions of a launch template from 1. Missing versions may have been deleted.
    return [template for template, numbers in read.items() if len(numbers) < max(*numbers, newest.get(template, 0))]


def template_ids(pinnings: Iterable[TemplateUse], templates: Iterable[Template] = ()) -> set[str]:
    # The name of a template may look like an id.
    pinned = {pin.launch_template_id for pinning in pinnings for pin in pinning.pins if pin.launch_template_id}
    return pinned | {template.launch_template_id for template in templates}


def template_references(
    pinnings: list[TemplateUse],
    versions: list[Version],
    configurations: list[Configuration],
    templates: list[Template] | None,
) -> tuple[list[Reference], list[str]]:
    """The second result lists the versions that are referenced but were not read, as `ID:VERSION` or `NAME:VERSION`."""
    read = _versions_by_label(versions, templates)
    # Names of launch configurations are unique within a region, and only the ARN shows the region.
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
        region, name = pinning.consumer.region, pinning.configuration or ""
        # Another region may have a launch configuration of this name.
        of_any = named.get((None, name)) if region else anywhere.get(name)
        if profile := named.get((region, name), of_any):
            found.setdefault(profile, [])
        for profile, labels in found.items():
            versions_used = " ".join(sorted({*labels}, key=lambda label: (len(label), label))) or None
            mentions.append(replace(pinning.consumer, named=profile, consumer_version=versions_used))
    return mentions, unread


def _versions_by_label(versions: list[Version], templates: list[Template] | None) -> dict[tuple[str, str], Version]:
    read: dict[tuple[str, str], Version] = {}
    newest: dict[str, int] = {}
    ids: dict[str | None, set[str]] = {}
    for version in versions:
        ids.setdefault(version.launch_template_name, set()).add(version.launch_template_id)
    for version in versions:
        # In files without a region, a name may stand for templates of several regions. It then means none of them.
        is_one = len(ids[version.launch_template_name]) == 1
        for key in filter(None, (version.launch_template_id, version.launch_template_name if is_one else None)):
            read[key, str(version.version_number)] = version
            newest[key] = max(newest.get(key, 0), version.version_number)
            if version.default_version:
                read[key, "$Default"] = version
    # A live load passes no templates, and requests each template's version `$Latest`. The highest version in a live
    # load is therefore the latest.
    # In files without the list of templates, a version that is newer than the default one counts as `$Latest`. A
    # default version alone does not show whether it is the latest.
    latest = {
        key: number
        for key, number in newest.items()
        if templates is None or number > (read[key, "$Default"].version_number if (key, "$Default") in read else number)
    }
    for template in templates or ():
        for key in filter(None, (template.launch_template_id, template.launch_template_name)):
            latest[key] = template.latest_version_number or 0
    return read | {(key, "$Latest"): read[key, str(n)] for key, n in latest.items() if (key, str(n)) in read}


make_decoders(list(globals().values()))
