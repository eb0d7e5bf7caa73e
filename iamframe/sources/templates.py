"""Launch templates and launch configurations, from which Auto Scaling groups and fleets can take profiles.

Sources of the fields: Amazon EC2 API Reference, Amazon EC2 Auto Scaling API Reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from iamframe.knowledge.arn import account_of
from iamframe.knowledge.operations import region_in
from iamframe.sources.records import Reference, make_decoders


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
    """The second result contains the missing versions as `ID:VERSION` or `NAME:VERSION`."""
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
