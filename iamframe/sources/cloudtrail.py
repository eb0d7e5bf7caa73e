"""Read CloudTrail records of changes to roles and instance profiles.

A trail's log files have the form `{"Records": […]}`. Each event from `aws cloudtrail lookup-events` contains its
CloudTrail record as a string. Sources: CloudTrail User Guide, "CloudTrail record contents"; CloudTrail API Reference,
LookupEvents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from msgspec import Raw

from iamframe.knowledge.arn import PROFILE_TYPE, ROLE_TYPE
from iamframe.sources.archives import Unreadable
from iamframe.sources.documents import BROKEN, keys_of, problem_of
from iamframe.sources.records import Answer, State, make_decoders, parsed_time
from iamframe.sources.shapes import ROWS, Document, shape

TRAIL, LOOKUP = "cloudtrail:trail", "LookupEvents"
# Per partition, the region of IAM's control plane, where IAM's events are recorded (AWS Fault Isolation Boundaries,
# "Partitional services"; CloudTrail User Guide, "Global service events"). Records of other regions prove nothing.
HOMES = {
    "aws": "us-east-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-cn": "cn-north-1",
    "aws-eusc": "eusc-de-east-1",
}
_HOME_REGIONS = frozenset(HOMES.values())
_RECORD_KEYS = frozenset(("eventID", "eventTime", "eventSource"))
# The number of items whose keys are examined, to tell these lists from lists of other services.
_EXAMINED = 20
# Creates a role from a template, or returns an existing one (IAM User Guide, "Manage access to role manager").
ACQUIRE = "AcquireRole"
# A role whose creation is this close to the event was created by the event: both times are in whole seconds.
_SAME = timedelta(minutes=1)
CREATE, DELETE, ADD, REMOVE, CHANGE = "create", "delete", "add", "remove", "change"


class Action(NamedTuple):
    resource_type: str
    step: str


_STEPS = {
    CREATE: f"CreateRole CreateServiceLinkedRole {ACQUIRE} CreateInstanceProfile",
    DELETE: "DeleteRole DeleteInstanceProfile",
    ADD: "AddRoleToInstanceProfile",
    REMOVE: "RemoveRoleFromInstanceProfile",
    # DeleteServiceLinkedRole only requests a deletion. IAM deletes later, or not at all (IAM API Reference).
    CHANGE: "DeleteServiceLinkedRole UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy TagRole UntagRole "
    "PutRolePermissionsBoundary DeleteRolePermissionsBoundary TagInstanceProfile UntagInstanceProfile",
}
ACTIONS = {
    name: Action(PROFILE_TYPE if "InstanceProfile" in name else ROLE_TYPE, step)
    for step, names in _STEPS.items()
    for name in names.split()
}

_NULL = Raw(b"null")


class TrailRecord(msgspec.Struct, gc=False, rename="camel"):
    event_source: str | None = None
    event_name: str | None = None
    event_time: str | None = None
    event_id: str | None = msgspec.field(name="eventID", default=None)
    event_category: str | None = None
    management_event: bool | None = None
    # Athena has a text (Athena User Guide, "Create a table for CloudTrail logs in Athena using manual partitioning").
    read_only: bool | str | None = None
    aws_region: str | None = None
    recipient_account_id: str | None = None
    error_code: str | None = None
    user_agent: str | None = None
    # Decoded only in records of IAM.
    user_identity: Raw = _NULL
    request_parameters: Raw = _NULL
    response_elements: Raw = _NULL


class LookupEvent(msgspec.Struct, gc=False):
    text: str = msgspec.field(name="CloudTrailEvent")
    event_id: str | None = msgspec.field(name="EventId", default=None)


class LookupPage(msgspec.Struct):
    events: list[LookupEvent] = msgspec.field(name="Events", default_factory=list)


class Event(msgspec.Struct, gc=False, frozen=True, order=True):
    """An attempt to change a role or profile. The attempt may have failed."""

    event_id: str
    at: datetime
    name: str
    resource_name: str = ""
    resource_arn: str = ""
    resource_id: str = ""
    related_name: str = ""
    tag_keys: str = ""
    actor_arn: str = ""
    user_agent: str = ""
    error_code: str = ""

    @property
    def action(self) -> Action:
        return ACTIONS[self.name]


class EventSpan(msgspec.Struct, gc=False):
    from_at: datetime
    to_at: datetime


class _Identity(msgspec.Struct, gc=False, rename="camel"):
    arn: str | None = None
    account_id: str | None = None
    invoked_by: str | None = None


class _Tag(msgspec.Struct, gc=False):
    key: str


class _Request(msgspec.Struct, gc=False, rename="camel"):
    role_name: str | None = None
    instance_profile_name: str | None = None
    tags: list[_Tag] | None = None
    tag_keys: list[str] | None = None


class _Created(msgspec.Struct, gc=False, rename="camel"):
    arn: str | None = None
    role_name: str | None = None
    role_id: str | None = None
    create_date: str | None = None
    instance_profile_id: str | None = None


class _Response(msgspec.Struct, gc=False, rename="camel"):
    role: _Created | None = None
    instance_profile: _Created | None = None


_record = msgspec.json.Decoder(TrailRecord).decode
_identity = msgspec.json.Decoder(_Identity | None).decode
_request = msgspec.json.Decoder(_Request | None).decode
_response = msgspec.json.Decoder(_Response | None).decode


def record_of(item: TrailRecord | LookupEvent) -> TrailRecord:
    return item if isinstance(item, TrailRecord) else _record(item.text)


def is_of_iam(record: TrailRecord) -> bool:
    return record.event_source == "iam.amazonaws.com" and record.event_name in ACTIONS and _is_of_management(record)


def _is_of_management(record: TrailRecord) -> bool:
    # A trail can record only data events or Insights events. Older records have only one of the two fields.
    return record.event_category in (None, "Management") and record.management_event is not False


def event_of(record: TrailRecord) -> tuple[str | None, Event | None]:
    """Raise `Unreadable` or `MsgspecError` if the record does not have CloudTrail's form."""
    name = str(record.event_name)
    if not record.event_id:
        raise Unreadable("gaps.file.no_event_id", event=name)
    at = parsed_time(record.event_time or "")
    if at is None:
        raise Unreadable("gaps.file.no_event_time", text=repr(record.event_time))
    identity = _identity(record.user_identity) or _Identity()
    request = _request(record.request_parameters) or _Request()
    response = _response(record.response_elements) or _Response()
    of_role = ACTIONS[name].resource_type == ROLE_TYPE
    created = (response.role if of_role else response.instance_profile) or _Created()
    if name == ACQUIRE and not record.error_code and not _is_at(created.create_date, at):
        # AcquireRole returned an existing role.
        return None, None
    keys = [tag.key for tag in request.tags or ()] or request.tag_keys or []
    return record.recipient_account_id or identity.account_id, Event(
        event_id=record.event_id,
        at=at,
        name=name,
        # A request for a service-linked role names only its service; the response names the role.
        resource_name=(request.role_name or created.role_name if of_role else request.instance_profile_name) or "",
        resource_arn=created.arn or "",
        resource_id=created.role_id or created.instance_profile_id or "",
        related_name="" if of_role else request.role_name or "",
        tag_keys=", ".join(sorted(keys)),
        # A service that acts on its own has no ARN, only a name (User Guide, "CloudTrail userIdentity element").
        actor_arn=identity.arn or identity.invoked_by or "",
        user_agent=record.user_agent or "",
        error_code=record.error_code or "",
    )


def _is_at(text: str | None, at: datetime) -> bool:
    try:
        made = datetime.strptime(text or "", "%b %d, %Y %I:%M:%S %p").replace(tzinfo=UTC)
    except ValueError:
        made = parsed_time(text or "")  # type: ignore[assignment]
    return made is not None and abs(made - at) <= _SAME


def _holds(key: str, keys: frozenset[str]) -> Callable[[Document], bool]:
    def holds(document: Document) -> bool:
        items = document.keys[key]
        return isinstance(items, list) and (not items or any(keys_of(item) >= keys for item in items[:_EXAMINED]))

    return holds


# S3 and other services have `Records` of their own.
@shape("Records", when=_holds("Records", _RECORD_KEYS))
def trail_file(document: Document) -> Iterable[Answer]:
    return _answers(document, "Records", TRAIL)


@shape(*_RECORD_KEYS, of_items=True)
def record_list(document: Document) -> Iterable[Answer]:
    return _answers(document, ROWS, TRAIL)


@shape("Events", when=_holds("Events", frozenset(("CloudTrailEvent",))))
def looked_up(document: Document) -> Iterable[Answer]:
    return _answers(document, "Events", LOOKUP)


# A digest file is a signed list of a trail's log files.
@shape("digestStartTime")
def digest(document: Document) -> Iterable[Answer]:  # noqa: ARG001 - it holds nothing to read
    return ()


def _answers(document: Document, key: str, operation: str) -> Iterator[Answer]:
    found: dict[str | None, list[Event]] = defaultdict(list)
    # Per account, the times of the first and last record of a region in which IAM's events are recorded.
    spans: dict[str | None, tuple[str, str]] = {}
    regions: set[str | None] = set()
    document.reading.has_read |= not document.items(key) and not document.is_truncated
    for record, owner, event in _records(document, key, LookupEvent if operation == LOOKUP else TrailRecord):
        document.reading.has_read = True
        regions.add(record.aws_region)
        if event:
            found[owner].append(event)
        # The request of a lookup is unknown, so its times do not show which events it leaves out. A trail can leave out
        # all events that change something (CloudTrail API Reference, EventSelector: `ReadWriteType`).
        is_change = _is_of_management(record) and record.read_only not in (True, "true")
        if operation == TRAIL and record.event_time and record.aws_region in _HOME_REGIONS and is_change:
            account, time = record.recipient_account_id, record.event_time
            first, last = spans.get(account, (time, time))
            spans[account] = min(first, time), max(last, time)
    state: State = "truncated" if operation == LOOKUP and document.is_truncated else "partial"
    # An empty lookup is an answer too, but a lookup in another region is not.
    is_answer = operation == LOOKUP and (not regions or not regions.isdisjoint(_HOME_REGIONS))
    for account in list(dict.fromkeys((*found, *spans))) or [None] * is_answer:
        times = [at for text in spans.get(account, ()) if (at := parsed_time(text))]
        covered = [EventSpan(*times)] if len(times) == 2 else []
        yield document.answer(operation, found[account], covered, account_id=account, state=state)


def _records(document: Document, key: str, kind: type) -> Iterator[tuple[TrailRecord, str | None, Event | None]]:
    # Nobody edits CloudTrail's records by hand.
    for item in (item for chunk in document.records(key, kind, by_hand=False) for item in chunk):
        try:
            record = record_of(item)  # type: ignore[arg-type]
            account, event = event_of(record) if is_of_iam(record) else (None, None)
        except BROKEN as error:
            place = f"{document.place} event {item.event_id or 'without an id'}"  # type: ignore[attr-defined]
            why = error.problem if isinstance(error, Unreadable) else problem_of(error, "$")
            problem = {"message": "gaps.file.value", "at": place, "why": why}
            document.reading.unreadable(document.piece, problem, place)
        else:
            yield record, account, event


# A live load uses this module without `files`, which creates the decoders of the other formats.
make_decoders(list(globals().values()))
