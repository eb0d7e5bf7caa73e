"""List the clusters, environments and stacks of a live account that profiles may belong to.

For example, iamframe requests the list of clusters only if a profile seems to belong to a cluster. If a profile does
not show the region of its cluster, environment or stack, iamframe searches all loaded regions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from iamframe.knowledge.arn import name_of, path_of
from iamframe.knowledge.operations import ALL, BY_LABEL, STACK_RESOURCES, UNKNOWN_REGION
from iamframe.knowledge.owners import NAME, Owned, Owner, known_owners, owners_of
from iamframe.sources.calls import Calls, Listing
from iamframe.sources.owners import owners_in
from iamframe.sources.records import Answer, LoadPlan, ResourceOwner, make_decoders
from iamframe.sources.refusals import RequestFailed, failure_of

_IN_STACK = BY_LABEL[STACK_RESOURCES]


class _Job(NamedTuple):
    owner: Owner
    region: str
    future: Future[Listing]


@dataclass
class OwnerReader:
    calls: Calls
    plan: LoadPlan
    regions: list[str]

    def start(self, profiles: Mapping[str, Mapping[str, str]]) -> list[_Job]:
        self._owned: list[tuple[str, Owned]] = [
            (arn, one) for arn, tags in profiles.items() for one in owners_of(name_of(arn), path_of(arn) or "/", tags)
        ]
        jobs: list[_Job] = []
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
                _Job(owner, region, self.calls.submit("owners", self._list, owner, region))
                for region in self.regions
                if None in shown or region in shown
            ]
        return jobs

    def answers(self, jobs: list[_Job]) -> Iterator[Answer]:
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
            facts = {"where": owner.label, "why": str(error)}
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
