"""CloudTrail records, typed: those that tell of roles, instance profiles, their links, tags and trust.

A trail's files hold `{"Records": […]}`; `lookup-events` wraps each record as text (CloudTrail User Guide, "CloudTrail
record contents"; CloudTrail API Reference, LookupEvents). Most records are of other services: they are only skimmed,
and nothing of them is kept. Of those of IAM names, tag keys, who and by what tool are kept, and nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import Raw

from iamframe.sources.archives import Unreadable
from iamframe.sources.documents import BROKEN, sentence_of
from iamframe.sources.records import Answer, State, make_decoders, parsed_time
from iamframe.sources.shapes import ROWS, Document, keys_of, list_of, shape

TRAIL, LOOKUP = "cloudtrail:trail", "LookupEvents"
# Where IAM has its control plane, per partition, and where its events are recorded (AWS Fault Isolation Boundaries,
# "Partitional services"; CloudTrail User Guide, "Global service events"): records of other regions tell nothing of it.
HOMES = {
    "aws": "us-east-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-cn": "cn-north-1",
    "aws-eusc": "eusc-de-east-1",
}
_HOME_REGIONS = frozenset(HOMES.values())
# Records of other services are told apart by their keys; so many items are looked at.
_RECORD_KEYS = frozenset(("eventID", "eventTime", "eventSource"))
_LOOKED_AT = 20
ROLE, PROFILE = "role", "instance-profile"
CREATE, DELETE, ADD, REMOVE, CHANGE = "create", "delete", "add", "remove", "change"


class Action(NamedTuple):
    """What an event of IAM does, and to which type of resource."""

    resource_type: str
    step: str


ACTIONS = {
    "CreateRole": Action(ROLE, CREATE),
    "CreateServiceLinkedRole": Action(ROLE, CREATE),
    "DeleteRole": Action(ROLE, DELETE),
    # It asks for a deletion, which IAM makes later or not at all (IAM API Reference, DeleteServiceLinkedRole).
    "DeleteServiceLinkedRole": Action(ROLE, CHANGE),
    "UpdateRole": Action(ROLE, CHANGE),
    "UpdateRoleDescription": Action(ROLE, CHANGE),
    "UpdateAssumeRolePolicy": Action(ROLE, CHANGE),
    "PutRolePermissionsBoundary": Action(ROLE, CHANGE),
    "DeleteRolePermissionsBoundary": Action(ROLE, CHANGE),
    "TagRole": Action(ROLE, CHANGE),
    "UntagRole": Action(ROLE, CHANGE),
    "CreateInstanceProfile": Action(PROFILE, CREATE),
    "DeleteInstanceProfile": Action(PROFILE, DELETE),
    "AddRoleToInstanceProfile": Action(PROFILE, ADD),
    "RemoveRoleFromInstanceProfile": Action(PROFILE, REMOVE),
    "TagInstanceProfile": Action(PROFILE, CHANGE),
    "UntagInstanceProfile": Action(PROFILE, CHANGE),
}

_NULL = Raw(b"null")


class Record(msgspec.Struct, gc=False, rename="camel"):
    """A record, in which what only IAM's own are asked for is not yet looked at."""

    event_source: str | None = None
    event_name: str | None = None
    event_time: str | None = None
    event_id: str | None = msgspec.field(name="eventID", default=None)
    event_category: str | None = None
    aws_region: str | None = None
    recipient_account_id: str | None = None
    error_code: str | None = None
    user_agent: str | None = None
    user_identity: Raw = _NULL
    request_parameters: Raw = _NULL
    response_elements: Raw = _NULL


class Looked(msgspec.Struct, gc=False):
    """An event of LookupEvents: the record is a text in it."""

    text: str = msgspec.field(name="CloudTrailEvent")
    event_id: str | None = msgspec.field(name="EventId", default=None)


class LookedPage(msgspec.Struct):
    """A page of LookupEvents."""

    events: list[Looked] = msgspec.field(name="Events", default_factory=list)


class Event(msgspec.Struct, gc=False, frozen=True, order=True):
    """One event that changed a role or profile, or tried to: a row of `events` before it has its place."""

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
        """What it does."""
        return ACTIONS[self.name]


class Covered(msgspec.Struct, gc=False):
    """From when to when the records of a trail's file are that tell of IAM."""

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


class _Made(msgspec.Struct, gc=False, rename="camel"):
    arn: str | None = None
    role_name: str | None = None
    role_id: str | None = None
    instance_profile_id: str | None = None


class _Response(msgspec.Struct, gc=False, rename="camel"):
    role: _Made | None = None
    instance_profile: _Made | None = None


_record = msgspec.json.Decoder(Record).decode
_identity = msgspec.json.Decoder(_Identity | None).decode
_request = msgspec.json.Decoder(_Request | None).decode
_response = msgspec.json.Decoder(_Response | None).decode


def record_of(item: Record | Looked) -> Record:
    """Return the record that an item of a trail's file is, or that an event of LookupEvents holds.

    Raises
    ------
    msgspec.MsgspecError
        If its text is no record.
    """
    return item if isinstance(item, Record) else _record(item.text)


def is_of_iam(record: Record) -> bool:
    """Return whether a record tells of a role or profile; one that counts events (Insights) is none."""
    return (
        record.event_source == "iam.amazonaws.com"
        and record.event_name in ACTIONS
        and record.event_category in (None, "Management")
    )


def event_of(record: Record) -> tuple[str | None, Event]:
    """Return the account of a record that tells of IAM, where it says it, and the event.

    Raises
    ------
    Unreadable
        If it lacks its id or time.
    msgspec.MsgspecError
        If what it says of who and what is not of CloudTrail's shape.
    """
    name = str(record.event_name)
    if not record.event_id:
        raise Unreadable(f"has no eventID, by which one {name} is told from another")
    at = parsed_time(record.event_time or "")
    if at is None:
        raise Unreadable(f"has the eventTime {record.event_time!r}, which is no time")
    identity = _identity(record.user_identity) or _Identity()
    request = _request(record.request_parameters) or _Request()
    response = _response(record.response_elements) or _Response()
    of_role = ACTIONS[name].resource_type == ROLE
    made = (response.role if of_role else response.instance_profile) or _Made()
    keys = [tag.key for tag in request.tags or ()] or request.tag_keys or []
    return record.recipient_account_id or identity.account_id, Event(
        event_id=record.event_id,
        at=at,
        name=name,
        # A service-linked role is asked for by its service, and IAM names it.
        resource_name=(request.role_name or made.role_name if of_role else request.instance_profile_name) or "",
        resource_arn=made.arn or "",
        resource_id=made.role_id or made.instance_profile_id or "",
        related_name="" if of_role else request.role_name or "",
        tag_keys=", ".join(sorted(keys)),
        # A service that acts by itself has no ARN, only a name (User Guide, "CloudTrail userIdentity element").
        actor_arn=identity.arn or identity.invoked_by or "",
        user_agent=record.user_agent or "",
        error_code=record.error_code or "",
    )


def _holds(key: str, keys: frozenset[str]) -> Callable[[Document], bool]:
    """Return a condition: the key holds a list that is empty, or of which one of the first items has these keys."""

    def holds(document: Document) -> bool:
        items = document.keys[key]
        return isinstance(items, list) and (not items or any(keys_of(item) >= keys for item in items[:_LOOKED_AT]))

    return holds


# S3 and other services have `Records` of their own.
@shape("Records", when=_holds("Records", _RECORD_KEYS))
def trail_file(document: Document) -> Iterable[Answer]:
    """Read a file of a trail."""
    return _answers(document, "Records", TRAIL)


@list_of(*_RECORD_KEYS)
def record_list(document: Document) -> Iterable[Answer]:
    """Read a list of records."""
    return _answers(document, ROWS, TRAIL)


@shape("Events", when=_holds("Events", frozenset(("CloudTrailEvent",))))
def looked_up(document: Document) -> Iterable[Answer]:
    """Read `aws cloudtrail lookup-events`."""
    return _answers(document, "Events", LOOKUP)


@shape("digestStartTime")
def digest(document: Document) -> Iterable[Answer]:  # noqa: ARG001 - there is nothing in it to read
    """Read a signed list of a trail's own files, which says nothing of IAM."""
    return ()


Span = tuple[str, str]


def _answers(document: Document, key: str, operation: str) -> Iterator[Answer]:
    found: dict[str | None, list[Event]] = defaultdict(list)
    # Per account the times of the first and the last record of a region in which IAM's events are recorded.
    spans: dict[str | None, Span] = {}
    document.reading.has_read |= not document.items(key) and not document.is_truncated
    for record in _records(document, key, operation, found):
        document.reading.has_read = True
        # A lookup does not say what it asked for, so its times do not tell what it leaves out.
        if operation == TRAIL and record.event_time and record.aws_region in _HOME_REGIONS:
            account, time = record.recipient_account_id, record.event_time
            first, last = spans.get(account, (time, time))
            spans[account] = min(first, time), max(last, time)
    state: State = "truncated" if operation == LOOKUP and document.is_truncated else "partial"
    accounts = list(dict.fromkeys((*found, *spans)))
    # An empty lookup is an answer too.
    for account in accounts or ([None] if operation == LOOKUP else []):
        times = [at for text in spans.get(account, ()) if (at := parsed_time(text))]
        covered = [Covered(*times)] if len(times) == 2 else []
        yield document.answer(operation, found[account], covered, account_id=account, state=state)


def _records(document: Document, key: str, operation: str, found: dict[str | None, list[Event]]) -> Iterator[Record]:
    """Yield the records of a list, and put the events of those that tell of IAM under their account."""
    kind = Looked if operation == LOOKUP else Record
    # Nobody edits CloudTrail's records by hand, so no key comes twice.
    for item in (item for chunk in document.records(key, kind, once=False) for item in chunk):
        try:
            record = record_of(item)  # type: ignore[arg-type]
            if is_of_iam(record):
                account, event = event_of(record)
                found[account].append(event)
        except BROKEN as error:
            place = f"{document.place} event {item.event_id or 'without an id'}"  # type: ignore[attr-defined]
            sentence = str(error) if isinstance(error, Unreadable) else sentence_of(error, "$")
            document.reading.unreadable(document.piece, f"{place}: {sentence}", place)
        else:
            yield record


make_decoders(list(globals().values()))
