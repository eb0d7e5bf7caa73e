"""CloudTrail records, typed: those that tell of roles, instance profiles, their links, tags and trust.

A trail's files hold `{"Records": […]}`; `lookup-events` wraps each record as text (CloudTrail User Guide, "CloudTrail
record contents"; CloudTrail API Reference, LookupEvents). Most records are of other services: they are only skimmed,
and nothing of them is kept. Of those of IAM names, tag keys, who and by what tool are kept, and nothing else.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import Raw

from iamframe.sources.archives import Unreadable
from iamframe.sources.records import make_decoders, parsed_time

TRAIL, LOOKUP = "cloudtrail:trail", "LookupEvents"
# Where IAM has its control plane, per partition, and where its events are recorded (AWS Fault Isolation Boundaries,
# "Partitional services"; CloudTrail User Guide, "Global service events"): records of other regions tell nothing of it.
HOMES = {
    "aws": "us-east-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-cn": "cn-north-1",
    "aws-eusc": "eusc-de-east-1",
}
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


make_decoders(list(globals().values()))
