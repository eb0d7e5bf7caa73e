"""Call AWS operations in one account, and decode the answers. The frame `gaps` lists data that could not be read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from iamframe.knowledge.arn import name_of
from iamframe.knowledge.operations import (
    ALL,
    BY_LABEL,
    DUMP,
    GLOBAL,
    PROFILE_LIST,
    REQUIRED_TAGS,
    ROLE_LINKS,
    Operation,
)
from iamframe.messages.render import Message
from iamframe.sources.client import Client
from iamframe.sources.consumers import LISTED_BY
from iamframe.sources.progress import Progress, silent
from iamframe.sources.records import (
    Answer,
    Gap,
    GotProfile,
    GotRole,
    ListedProfile,
    ListedRole,
    RequiredKeys,
    RoleDetail,
    State,
    Tag,
    TagListing,
    make_decoders,
    tags_or_none,
)
from iamframe.sources.refusals import (
    CLOSED,
    NotCalled,
    RequestFailed,
    advice_on,
    closed_region,
    failure_of,
    is_host,
    is_unknown_host,
)
from iamframe.sources.sessions import DEFAULT_REGION


class Indexed(msgspec.Struct):
    arn: str = msgspec.field(name="ResourceARN")
    tags: list[Tag] = msgspec.field(name="Tags", default_factory=list)


class Region(msgspec.Struct):
    name: str = msgspec.field(name="RegionName")


# The record type of each list. If a list cannot be decoded as a whole, its records are decoded one by one.
_LISTED = {
    DUMP: RoleDetail,
    "ListRoles": ListedRole,
    PROFILE_LIST: ListedProfile,
    ROLE_LINKS: ListedProfile,
    "GetResources": Indexed,
    "ListRegions": Region,
    REQUIRED_TAGS: RequiredKeys,
}
# The type of each answer that is decoded as a whole.
_ONE: dict[str, Any] = {
    "GetInstanceProfile": GotProfile,
    "ListInstanceProfileTags": list[Tag],
    "GetRole": GotRole,
    "ListRoleTags": list[Tag],
    "GetAccountSummary": dict[str, int],
    "ListAccountAliases": list[str],
    "DescribeRegions": list[Region],
}
_DECODE: dict[str, Callable[[bytes], Any]] = {
    operation: msgspec.json.Decoder(
        msgspec.defstruct("One", [("value", kind, msgspec.field(name=BY_LABEL[operation].key))])
    ).decode
    for operation, kind in _ONE.items()
}


@dataclass
class Listing:
    records: list[Any] = field(default_factory=list)
    state: State = "partial"


class ResourceAnswer(NamedTuple):
    operation: str
    name: str
    record: GotProfile | GotRole | TagListing


@dataclass
class Calls:
    """Makes calls to AWS in one account, from several threads."""

    client: Client
    source: str
    progress: Progress = silent
    account_id: str | None = None
    partition: str = "aws"
    gaps: list[Gap] = field(default_factory=list)
    # The ARNs of roles and profiles that were deleted during the load.
    vanished: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _enabling: threading.Lock = field(default_factory=threading.Lock)
    _enabled: list[str] | None = None
    _done: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pool = ThreadPoolExecutor(self.client.workers, thread_name_prefix="iamframe")

    def submit(self, stage: str, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        with self._lock:
            self._done.setdefault(stage, [0, 0])[1] += 1
        future = self.pool.submit(work, *arguments)
        future.add_done_callback(lambda _: self._advance(stage))
        return future

    def _advance(self, stage: str) -> None:
        with self._lock:
            counts = self._done[stage]
            counts[0] += 1
            self.progress(stage, *counts)

    def listing(self, operation: str, subject: str = ALL, region: str = GLOBAL, **parameters: Any) -> Listing:
        found = Listing()
        for _ in self.pages(operation, found, subject, region, **parameters):
            pass
        return found

    def pages(
        self, operation: str, found: Listing, subject: str = ALL, region: str = GLOBAL, **parameters: Any
    ) -> Iterator[list[Any]]:
        row = BY_LABEL[operation]
        found.state = "complete"
        for body in self.bodies(operation, found, {**row.parameters, **parameters}, subject, region):
            page = self.records(found, operation, region, body, row.key, _LISTED[operation])
            found.records += page
            yield page

    def bodies(
        self,
        operation: str,
        found: Listing,
        parameters: Mapping[str, object],
        subject: str = ALL,
        region: str = GLOBAL,
        *,
        may_vanish: bool = False,
    ) -> Iterator[bytes]:
        row = BY_LABEL[operation]
        try:
            yield from self.client.pages(row.service, row.operation, region, counted_as=operation, **parameters)
        except RequestFailed as refusal:
            if may_vanish and refusal.reason == "vanished":
                return
            found.state = "truncated" if found.records else "refused"
            if not _is_service_absent(self, refusal, row.service, region):
                self.note_refused(operation, refusal, subject, region)

    def records(self, found: Listing, operation: str, region: str, body: bytes, key: str, kind: Any) -> list[Any]:
        value = msgspec.json.decode(body, type=dict[str, msgspec.Raw]).get(key)
        if value is None:
            self.note_missing(found, operation, key, region)
            return []
        raw = bytes(value)
        if raw[:1] != b"[":
            raw = b"[" + raw + b"]"
        try:
            records: list[Any] = msgspec.json.decode(raw, type=list[kind])
        except msgspec.ValidationError:
            records = []
            for number, item in enumerate(msgspec.json.decode(raw, type=list[msgspec.Raw])):
                try:
                    records.append(msgspec.json.decode(item, type=kind))
                except msgspec.ValidationError as error:
                    found.state = "truncated"
                    where = f"{key}[{number}]"
                    facts = {"where": where, "operation": operation, "why": str(error)}
                    self.gap(operation, where, "unreadable", "gaps.answer.record", facts, region)
        return records

    def note_missing(self, found: Listing, operation: str, key: str, region: str) -> None:
        # AWS sends the list even if it is empty. A JMESPath expression begins with the key of the list.
        found.state = "truncated"
        facts = {"operation": operation, "key": key.partition("[")[0]}
        self.gap(operation, ALL, "unreadable", "gaps.answer.no_list", facts, region)

    def one(self, operation: str, region: str = GLOBAL) -> Any:
        row = BY_LABEL[operation]
        try:
            return _decoded(operation, self.client.call(row.service, row.operation, region))
        except RequestFailed as refusal:
            self.note_refused(operation, refusal, region=region)
            return None

    def resource(self, operation: str, arn: str) -> ResourceAnswer | None:
        client, row, name = self.client, BY_LABEL[operation], name_of(arn)
        refusals: dict[str, RequestFailed] = {}
        # An operation may be denied for a few resources only. After more than three denials and no answer, its fallback
        # is called first.
        ways = sorted(
            (operation, row.fallback), key=lambda way: len(client.denials[way]) > 3 and not client.answered[way]
        )
        for way in ways:
            if client.always_denied(way):
                refusals[way] = NotCalled(client.denials[way][-1])
                continue
            try:
                return ResourceAnswer(way, name, self._resource(way, name))
            except RequestFailed as refusal:
                refusals[way] = refusal
            if refusals[way].reason == "vanished":
                self.note_vanished(way, arn)
                return None
            if refusals[way].reason != "denied":
                break
        self.note_refused_one(arn, refusals)
        return None

    def _resource(self, operation: str, name: str) -> GotProfile | GotRole | TagListing:
        kind, parameter = ("role", "RoleName") if "Role" in operation else ("instance-profile", "InstanceProfileName")
        pages = [_decoded(operation, page) for page in self.client.pages("iam", operation, **{parameter: name})]
        if operation.endswith("Tags"):
            return TagListing(kind, name, [tag for page in pages for tag in page])
        found: GotProfile | GotRole = pages[0]
        return tags_or_none(found) if isinstance(found, GotRole) else found

    def enabled_regions(self) -> list[str]:
        with self._enabling:
            if self._enabled is None:
                regions = self.one("DescribeRegions", self.client.region)
                if regions is None:
                    opted = self.listing("ListRegions")
                    regions = opted.records if opted.state == "complete" else []
                self._enabled = sorted(region.name for region in regions)
            return self._enabled

    def note_refused(self, operation: str, refusal: RequestFailed, subject: str = ALL, region: str = GLOBAL) -> None:
        is_elsewhere = refusal.code in CLOSED and region not in (GLOBAL, self.client.region)
        if is_elsewhere and (closed := closed_region(region, self.enabled_regions(), refusal.code)):
            self.gap(operation, subject, *closed, {"region": region, "code": refusal.code}, region)
            return
        row, named = BY_LABEL[operation], None if subject == ALL else subject
        where = None if region == GLOBAL else region
        facts: dict[str, Any] = {"operation": operation, "subject": named, "region": where, "code": refusal.code}
        facts |= {"cost": _cost(row), "advice": advice_on(refusal, row.action)}
        self.gap(operation, subject, refusal.reason, "gaps.refused", facts, region)

    def note_refused_one(self, arn: str, refusals: Mapping[str, RequestFailed]) -> None:
        # One of the operations is enough.
        possible = [way for way, one in refusals.items() if not one.is_explicit] or [*refusals]
        first = possible[0]
        messages = {
            way: "gaps.refusal_of_others" if isinstance(one, NotCalled) else "gaps.refusal"
            for way, one in refusals.items()
        }
        failed = [{"message": messages[way], "operation": way, "code": one.code} for way, one in refusals.items()]
        advice = advice_on(refusals[first], *(f"iam:{way}" for way in possible))
        facts = {"refusals": failed, "arn": arn, "cost": _cost(BY_LABEL[first]), "advice": advice}
        self.gap(first, arn, refusals[first].reason, "gaps.refused_one", facts)

    def note_vanished(self, operation: str, arn: str) -> None:
        with self._lock:
            self.vanished.add(arn)
        self.gap(operation, arn, "vanished", "gaps.vanished", {"arn": arn})

    def note_not_asked(self, operations: Iterable[str], where: str, message: str, **facts: Any) -> None:
        for operation in operations:
            self.gap(operation, ALL, "not_asked", message, facts, where)

    def gap(self, operation: str, subject: str, reason: str, message: str, facts: Any, region: str = GLOBAL) -> None:
        with self._lock:
            self.gaps.append(Gap(operation, subject, reason, message, facts, region, self.account_id))

    def answer(self, operation: str, read: Listing, region: str = GLOBAL) -> Answer:
        tally = self.client.tallies.get((operation, region))
        started_at = tally.started_at if tally else None
        return Answer(
            operation, "AWS", [read.records], self.account_id, region, read.state, self.source, started_at, tally
        )


def _regions_of(calls: Calls, service: str) -> list[str]:
    return calls.client.session.get_available_regions(service, calls.partition)  # type: ignore[no-any-return]


def is_known(calls: Calls, region: str) -> bool:
    return region in _regions_of(calls, "ec2")


def _is_service_absent(calls: Calls, refusal: RequestFailed, service: str, region: str) -> bool:
    if not is_unknown_host(refusal.cause) or region in _regions_of(calls, service) or not is_known(calls, region):
        return False
    meta = calls.client.boto3_client(service, region).meta
    host, prefix = urlsplit(meta.endpoint_url).hostname or "", meta.service_model.endpoint_prefix
    # The URL of a custom endpoint may be mistyped, so its missing host is a gap. Some networks resolve no host of a
    # service, so its host in a region that has all services must be found.
    return host.startswith(f"{prefix}.{region}.amazonaws.") and is_host(f"{prefix}.{DEFAULT_REGION}.amazonaws.com")


def _cost(row: Operation) -> Message:
    user = LISTED_BY.get((row.service, row.operation))
    return {"message": "gaps.cost.consumers", "consumers": user.kind} if user else {"message": row.cost}


def _decoded(operation: str, body: bytes) -> Any:
    try:
        return _DECODE[operation](body).value
    except msgspec.ValidationError as error:
        raise failure_of(error) from error


make_decoders([Indexed, Region])
