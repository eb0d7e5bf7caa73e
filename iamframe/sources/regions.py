"""Read from all regions of a live account what uses profiles, and which clusters, environments and stacks exist.

A consumer is a resource that uses profiles. An owner is a cluster, environment or stack that profiles may belong to.
iamframe requests a list of owners (for example, of clusters) only if a profile seems to belong to such an owner. If a
profile does not show the region of its owner, iamframe searches all loaded regions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple

import jmespath
import msgspec

from iamframe.knowledge.arn import name_of, path_of
from iamframe.knowledge.operations import (
    ALL,
    BY_LABEL,
    CONFIGURATIONS,
    CORE,
    STACK_RESOURCES,
    UNKNOWN_REGION,
    VERSIONS,
    label,
)
from iamframe.knowledge.owners import NAME, Owned, Owner, known_owners, owners_of
from iamframe.sources.calls import Calls, Listing, is_known
from iamframe.sources.consumers import (
    CONSUMERS,
    OTHERS,
    Configuration,
    Consumer,
    TemplateUse,
    Version,
    template_ids,
    template_references,
    with_other_versions,
)
from iamframe.sources.owners import owners_in
from iamframe.sources.records import Answer, LoadPlan, Reference, ResourceOwner, make_decoders
from iamframe.sources.refusals import RequestFailed, failure_of

# The consumers to read for each value of `references`.
_WANTED: dict[str, tuple[str, ...]] = {"all": ("references", "all"), "core": ("references",), "none": ()}
_OF_VERSIONS = next(consumer for consumer in CONSUMERS if consumer.operation == VERSIONS)
_IN_STACK = BY_LABEL[STACK_RESOURCES]


class _Job(NamedTuple):
    consumer: Consumer
    region: str
    future: Future[Listing]


@dataclass
class ReferenceReader:
    calls: Calls
    plan: LoadPlan

    def regions(self) -> list[str]:
        if self.plan.references == "none":
            return []
        if self.plan.regions != "all":
            self.calls.note_not_asked(CORE, UNKNOWN_REGION, "gaps.region.others", regions=self.plan.regions)
            return self._existing(self.plan.regions)
        if enabled := self.calls.enabled_regions():
            return enabled
        here = self.calls.client.region
        self.calls.note_not_asked(CORE, UNKNOWN_REGION, "gaps.region.alone", region=here)
        return [here]

    def _existing(self, named: Iterable[str]) -> list[str]:
        unknown = {region for region in named if not is_known(self.calls, region)}
        enabled = self.calls.enabled_regions() if unknown else []
        nowhere = unknown - set(enabled) if enabled else set()
        for region in sorted(nowhere):
            self.calls.note_not_asked(CORE, region, "gaps.region.unknown", region=region)
        return [region for region in named if region not in nowhere]

    def start(self, regions: list[str]) -> list[_Job]:
        wanted = _WANTED[self.plan.references]
        return [
            _Job(consumer, region, self.calls.submit("references", self._read, consumer, region))
            for region in regions
            for consumer in CONSUMERS
            if consumer.when in wanted
        ]

    def answers(self, jobs: list[_Job]) -> Iterator[Answer]:
        read: dict[tuple[str, str], Listing] = {}
        pinnings: dict[str, list[TemplateUse]] = {job.region: [] for job in jobs}
        self._add_other_versions([job for job in jobs if job.consumer is _OF_VERSIONS])
        for consumer, region, future in jobs:
            found = read[consumer.operation, region] = future.result()
            mentions = [mention for record in found.records for mention in consumer.mentions(record)]
            pinnings[region] += [pinning for record in found.records for pinning in consumer.pinnings(record)]
            for step in consumer.steps:
                yield self.calls.answer(label(consumer.service, step.operation), Listing(state=found.state), region)
            name = label(consumer.service, consumer.operation)
            yield self.calls.answer(name, Listing(self._placed(mentions, region), found.state), region)
        pinned = [
            (region, self.calls.submit("references", self._through_templates, region, of_region, read))
            for region, of_region in pinnings.items()
        ]
        for region, job in pinned:
            yield self.calls.answer("", Listing(self._placed(job.result(), region)), region)

    def note_not_wanted(self) -> None:
        wanted = ("files", *_WANTED[self.plan.references])
        left_out = [label(one.service, one.operation) for one in CONSUMERS if one.when not in wanted]
        message = "gaps.references.core" if self.plan.references == "core" else "gaps.references.none"
        self.calls.note_not_asked(left_out, UNKNOWN_REGION, message, services=OTHERS)

    def _placed(self, mentions: list[Reference], region: str) -> list[Reference]:
        for mention in mentions:
            mention.region, mention.account_id = region, self.calls.account_id
        return mentions

    def _read(self, consumer: Consumer, region: str) -> Listing:
        found = Listing(state="complete")
        asked: list[dict[str, Any]] = [{}]
        for step in consumer.steps:
            name = label(consumer.service, step.operation)
            pages = self._pages(name, found, region, asked, step.parameters)
            asked = [each for page in pages for each in self._next_calls(found, name, step.each, region, page)]
        name = label(consumer.service, consumer.operation)
        for page in self._pages(name, found, region, asked, self._parameters(consumer, region)):
            body = consumer.whole_in(page)
            found.records += self.calls.records(found, name, region, body, consumer.key, consumer.record)
        self._note_without_profile(found, consumer, region)
        if found.records and found.state == "refused":
            # Only some of the calls failed.
            found.state = "truncated"
        return found

    def _pages(
        self, name: str, found: Listing, region: str, asked: list[dict[str, Any]], fixed: Mapping[str, object]
    ) -> Iterator[bytes]:
        for each in asked:
            # "Not found" after a step means that a consumer was deleted since its listing, so it uses nothing. A call
            # without a step is itself a listing, which cannot be deleted.
            yield from self.calls.bodies(name, found, {**each, **fixed}, region=region, may_vanish=bool(each))

    def _next_calls(self, found: Listing, operation: str, path: str, region: str, page: bytes) -> list[dict[str, Any]]:
        each: list[dict[str, Any]] | None = jmespath.search(path, msgspec.json.decode(page))
        if each is None:
            self.calls.note_missing(found, operation, path, region)
        return each or []

    def _note_without_profile(self, found: Listing, consumer: Consumer, region: str) -> None:
        silent = [record for record in found.records if consumer.always and not record.get(consumer.always)]
        for record in silent:
            found.state = "truncated"
            what = f"{consumer.operation} {record.get('name', '')}".strip()
            facts = {"operation": consumer.operation, "name": record.get("name"), "key": consumer.always}
            self.calls.gap(consumer.operation, what, "unreadable", "gaps.answer.no_profile", facts, region)

    def _parameters(self, consumer: Consumer, region: str) -> dict[str, object]:
        return {
            name: value
            for name, value in consumer.parameters.items()
            if name != "IncludeManagedResources"
            or self.calls.client.takes(consumer.service, consumer.operation, name, region)
        }

    def _add_other_versions(self, jobs: list[_Job]) -> None:
        # The lists contain only each template's latest and default version.
        more = [
            (job, self.calls.submit("references", self._versions, {"LaunchTemplateId": template}, [], job.region))
            for job in jobs
            for template in with_other_versions(job.future.result().records)
        ]
        for job, future in more:
            job.future.result().records += future.result()
        for job in jobs:
            found = job.future.result()
            found.records = list({(one.launch_template_id, one.version_number): one for one in found.records}.values())

    def _through_templates(
        self, region: str, pinnings: list[TemplateUse], read: dict[tuple[str, str], Listing]
    ) -> list[Reference]:
        listed = read[VERSIONS, region]
        # If a listing broke off, its highest number need not be the newest version.
        versions: list[Version] = list(listed.records) if listed.state == "complete" else []
        configurations: list[Configuration] = read[CONFIGURATIONS, region].records
        mentions, unread = template_references(pinnings, versions, configurations, None)
        if not unread:
            return mentions
        of_template: dict[str, list[str]] = {}
        for pinned in sorted(set(unread)):
            template, _, version = pinned.rpartition(":")
            of_template.setdefault(template, []).append(version)
        ids = template_ids(pinnings)
        for template, wanted in of_template.items():
            by = "LaunchTemplateId" if template in ids else "LaunchTemplateName"
            versions += self._versions({by: template}, wanted, region)
        return template_references(pinnings, versions, configurations, None)[0]

    def _versions(self, template: dict[str, str], wanted: list[str], region: str) -> list[Version]:
        parameters = self._parameters(_OF_VERSIONS, region)
        del parameters["Versions"]
        # An empty list `wanted` means all versions.
        parameters |= template | ({"Versions": wanted} if wanted else {})
        found: list[Version] = []
        try:
            for page in self.calls.client.pages("ec2", VERSIONS, region, **parameters):
                key, record = _OF_VERSIONS.key, _OF_VERSIONS.record
                found += self.calls.records(Listing(), VERSIONS, region, page, key, record)
        except RequestFailed as refusal:
            if refusal.reason != "vanished":
                subject = ":".join(filter(None, (*template.values(), " ".join(wanted))))
                self.calls.note_refused(VERSIONS, refusal, subject, region)
            elif len(wanted) > 1:
                # One deleted version fails the call for all of them.
                return [version for one in wanted for version in self._versions(template, [one], region)]
            # A deleted version starts no instances, so it uses no profile.
        return found


class _OwnerJob(NamedTuple):
    owner: Owner
    region: str
    future: Future[Listing]


@dataclass
class OwnerReader:
    calls: Calls
    plan: LoadPlan
    regions: list[str]

    def start(self, profiles: Mapping[str, Mapping[str, str]]) -> list[_OwnerJob]:
        self._owned: list[tuple[str, Owned]] = [
            (arn, one) for arn, tags in profiles.items() for one in owners_of(name_of(arn), path_of(arn) or "/", tags)
        ]
        jobs: list[_OwnerJob] = []
        for owner in known_owners():
            shown = {one.region for _, one in self._owned if one.owner is owner}
            if not shown:
                continue
            if not self.regions:
                self.calls.note_not_asked([owner.label], UNKNOWN_REGION, "gaps.owners.not_asked")
            elif None in shown and self.plan.regions != "all":
                regions = list(self.plan.regions)
                self.calls.note_not_asked([owner.label], UNKNOWN_REGION, "gaps.region.others", regions=regions)
            elif None in shown and not self.calls.enabled_regions():
                region = self.calls.client.region
                self.calls.note_not_asked([owner.label], UNKNOWN_REGION, "gaps.region.alone", region=region)
            jobs += [
                _OwnerJob(owner, region, self.calls.submit("owners", self._list, owner, region))
                for region in self.regions
                if None in shown or region in shown
            ]
        return jobs

    def answers(self, jobs: list[_OwnerJob]) -> Iterator[Answer]:
        for owner, region, future in jobs:
            yield self.calls.answer(owner.label, future.result(), region)
        stacks = [job for job in jobs if job.owner.form]
        if not stacks or any(job.future.result().state != "complete" for job in stacks):
            return
        # A profile's name may suggest a stack that no list contains. CloudFormation is then asked in each region.
        existing = {one.owner_name for job in stacks for one in job.future.result().records}
        missing = [arn for arn, one in self._owned if one.basis == NAME and existing.isdisjoint(one.names)]
        asked = [
            (job.region, [self.calls.submit("owners", self._stack_of, arn, job.region) for arn in missing])
            for job in stacks
            if missing
        ]
        for region, futures in asked:
            found = [one for future in futures for one in future.result()]
            yield self.calls.answer(_IN_STACK.action, Listing(found), region)

    def _list(self, owner: Owner, region: str) -> Listing:
        found = Listing(state="complete")
        try:
            for page in self.calls.bodies(owner.label, found, owner.parameters, region=region):
                records = self.calls.records(found, owner.label, region, page, owner.key, Any)
                for one in owners_in(owner, records):
                    one.region = region
                    found.records.append(one)
        except msgspec.ValidationError as error:
            found.state = "truncated"
            facts = {"where": owner.key, "operation": owner.label, "why": str(error)}
            self.calls.gap(owner.label, ALL, "unreadable", "gaps.answer.record", facts, region)
        return found

    def _stack_of(self, arn: str, region: str) -> list[ResourceOwner]:
        name = name_of(arn)
        try:
            # CloudFormation also returns stacks that were deleted in the last 90 days.
            body = self.calls.client.call(
                _IN_STACK.service,
                STACK_RESOURCES,
                region,
                counted_as=_IN_STACK.action,
                none_codes=["ValidationError"],  # "Stack for NAME does not exist"
                PhysicalResourceId=name,
            )
            answer = msgspec.json.decode(body, type=_StackResources | None)
        except (RequestFailed, msgspec.ValidationError) as error:
            refusal = error if isinstance(error, RequestFailed) else failure_of(error)
            self.calls.note_refused(_IN_STACK.action, refusal, arn, region)
            return []
        rows = answer.resources if answer else []
        same = [one for one in rows if one.physical_id == name]
        if same and all(one.type != "AWS::IAM::InstanceProfile" for one in same):
            return []
        # AWS returns only the first 100 resources of the stack, so the profile's own row may be missing.
        stacks = dict.fromkeys((one.stack_id, one.stack_name) for one in rows)
        return [ResourceOwner("stack", *stack, region=region, profile_name=name) for stack in stacks]


class _StackResource(msgspec.Struct):
    stack_id: str = msgspec.field(name="StackId")
    stack_name: str = msgspec.field(name="StackName")
    type: str = msgspec.field(name="ResourceType")
    physical_id: str | None = msgspec.field(name="PhysicalResourceId", default=None)


class _StackResources(msgspec.Struct):
    resources: list[_StackResource] = msgspec.field(name="StackResources")


make_decoders([_StackResources])
