"""The types of the records of each AWS operation.

A type has only fields that its operation really returns, so other fields cannot be used by accident. For example, the
records of lists have no `Tags` field, even if a file or an emulator has one: ListRoles and ListInstanceProfiles leave
tags out (IAM API Reference, ListRoles, ListInstanceProfiles; recorded answers agree). `UNSET` means that the answer
does not have the field; None and [] mean that AWS has no value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from iamframe.knowledge.operations import GLOBAL

_MORE_DIGITS = re.compile(r"(\.\d{6})\d+")

State = Literal["complete", "partial", "truncated", "refused"]


class RecordedTime(msgspec.Struct, gc=False):
    """A time as recorders of botocore answers write it: `{"__class__": "datetime", "year": …}`."""

    year: int
    month: int
    day: int
    hour: int = 0
    minute: int = 0
    second: int = 0
    microsecond: int = 0


# An empty ARN would not distinguish resources.
Arn = Annotated[str, msgspec.Meta(min_length=1)]
# Frames hold counts in 64 bits.
Count = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
# The AWS CLI prints ISO text; with `cli_timestamp_format = none` and in older versions, seconds since 1970.
Time = str | float | RecordedTime | None

_IAM = {
    "role_arn": "Arn",
    "role_name": "RoleName",
    "role_path": "Path",
    "role_id": "RoleId",
    "profile_arn": "Arn",
    "profile_name": "InstanceProfileName",
    "profile_path": "Path",
    "profile_id": "InstanceProfileId",
    "created_at": "CreateDate",
    "trust_policy": "AssumeRolePolicyDocument",
    "description": "Description",
    "max_session_seconds": "MaxSessionDuration",
    "boundary": "PermissionsBoundary",
    "last_used": "RoleLastUsed",
    "tags": "Tags",
    "attached": "AttachedManagedPolicies",
    "inline": "RolePolicyList",
    "template": "SourceRoleTemplate",
    "profiles": "InstanceProfileList",
    "roles": "Roles",
}


class Tag(msgspec.Struct, gc=False, frozen=True):
    """One tag; an empty value is `""`."""

    key: str = msgspec.field(name="Key")
    value: str = msgspec.field(name="Value", default="")


class LastUsed(msgspec.Struct, gc=False):
    """Last use of a role; empty if it was not used in the last 400 days (IAM API Reference, GetRole)."""

    at: Time = msgspec.field(name="LastUsedDate", default=None)
    region: str | None = msgspec.field(name="Region", default=None)


class Boundary(msgspec.Struct, gc=False):
    """The permissions boundary of a role."""

    arn: str | None = msgspec.field(name="PermissionsBoundaryArn", default=None)


class AttachedPolicy(msgspec.Struct, gc=False):
    """A managed policy that is attached to a role."""

    arn: str | None = msgspec.field(name="PolicyArn", default=None)


class RoleTemplate(msgspec.Struct, gc=False):
    """The role template that a role was created from; only roles of AcquireRole have one (botocore 1.44.8, GetRole)."""

    arn: str | None = msgspec.field(name="TemplateArn", default=None)


class NestedRole(msgspec.Struct, gc=False, rename=_IAM):
    """A role inside a profile, without tags, last use or description."""

    role_arn: Arn
    role_name: str | None = None
    role_path: str | None = None
    role_id: str | None = None
    created_at: Time = None
    trust_policy: Raw | UnsetType = UNSET


class ListedRole(NestedRole, gc=False, rename=_IAM):
    """A role of ListRoles."""

    description: str | None = None
    max_session_seconds: Count | None = None


class GotRole(ListedRole, gc=False, rename=_IAM):
    """A role of GetRole. `Tags` is absent if it has none; `RoleLastUsed` is always there."""

    boundary: Boundary | None = None
    last_used: LastUsed | UnsetType = UNSET
    tags: list[Tag] | UnsetType = UNSET
    template: RoleTemplate | None = None


class NestedProfile(msgspec.Struct, gc=False, rename=_IAM):
    """A profile under its role, as in an account dump, without tags."""

    profile_arn: Arn
    profile_name: str | None = None
    profile_path: str | None = None
    profile_id: str | None = None
    created_at: Time = None


class RoleDetail(NestedRole, gc=False, rename=_IAM):
    """A role of GetAccountAuthorizationDetails, with its own lists of profiles and policies."""

    boundary: Boundary | None = None
    last_used: LastUsed | UnsetType = UNSET
    tags: list[Tag] | UnsetType = UNSET
    attached: list[AttachedPolicy] | UnsetType = UNSET
    inline: list[Raw] | UnsetType = UNSET
    profiles: list[NestedProfile] | UnsetType = UNSET


class ListedProfile(NestedProfile, gc=False, rename=_IAM):
    """A profile of ListInstanceProfiles; `Roles` is always there, with no role or one."""

    roles: list[NestedRole] | UnsetType = UNSET


class GotProfile(ListedProfile, gc=False, rename=_IAM):
    """A profile of GetInstanceProfile; `Tags` is there even when empty."""

    tags: list[Tag] | UnsetType = UNSET


class Role(GotRole, gc=False, rename=_IAM):
    """A role with all facts, for sources other than IAM's own answers."""

    profiles: list[NestedProfile] | UnsetType = UNSET


class TagListing(msgspec.Struct, gc=False):
    """The tags of one resource. Its name is known, but not its ARN."""

    resource_type: str
    resource_name: str
    tags: list[Tag]


class Reference(msgspec.Struct, gc=False):
    """A resource that uses a profile: a row of `references` before the profile is known."""

    consumer_type: str
    consumer_id: str
    named: str
    region: str | None = None
    account_id: str | None = None
    profile_id: str | None = None
    consumer_arn: str | None = None
    consumer_name: str | None = None
    consumer_version: str | None = None
    consumer_state: str | None = None


class ResourceOwner(msgspec.Struct, gc=False):
    """A cluster, environment or stack that exists in a region. `profile_name` is a profile that a stack contains."""

    owner_type: str
    owner_id: str
    owner_name: str
    state: str | None = None
    region: str | None = None
    account_id: str | None = None
    profile_name: str | None = None


class RequiredKeys(msgspec.Struct, gc=False):
    """The tag keys that resources of one type need (ListRequiredTags), without values."""

    resource_type: str = msgspec.field(name="ResourceType", default="")
    tag_keys: list[str] = msgspec.field(name="ReportingTagKeys", default_factory=list)


class TagDemand(msgspec.Struct, gc=False):
    """The demands of the organization on one tag key of roles or profiles: a row of `tag_policies`.

    `allowed_values` is a list as JSON, or None if unknown.
    """

    resource_type: str
    tag_key: str
    allowed_values: str | None
    is_required: bool
    is_enforced: bool
    source: str
    account_id: str | None = None


class Account(msgspec.Struct, gc=False):
    """Facts about an account itself."""

    caller_arn: str | None = None
    account_name: str | None = None
    role_quota: int | None = None
    profile_quota: int | None = None
    roles_expected: int | None = None
    profiles_expected: int | None = None


class Gap(msgspec.Struct, gc=False):
    """A row of `gaps`: data that could not be collected. `message` is an id of `messages`; `facts` fill it."""

    operation: str
    subject: str
    reason: str
    message: str
    facts: dict[str, Any]
    region: str = GLOBAL
    account_id: str | None = None


@dataclass(slots=True)
class CallStats:
    """The requests of one operation in one region, its retries, and the times of the first and last (ISO texts)."""

    requests: int = 0
    retries: int = 0
    started_at: str | None = None
    ended_at: str | None = None

    def add(self, requests: int, started_at: str, ended_at: str) -> None:
        """Count the requests of one answer."""
        self.requests += requests
        self.retries += max(requests - 1, 0)
        self.started_at = min(self.started_at or started_at, started_at)
        self.ended_at = max(self.ended_at or ended_at, ended_at)


@dataclass(slots=True)
class Answer:
    """One answer of AWS, live or from a file.

    `chunks` yields lists of records, each of one type, so that a large answer becomes columns chunk by chunk.
    `account_id` is for records without an ARN. `state` is `complete` if the answer is the complete list of its
    operation, and `refused` if AWS gave none. `tally` counts the requests; a file has none.
    """

    operation: str
    origin: str
    chunks: Iterable[list[msgspec.Struct]]
    account_id: str | None = None
    region: str = GLOBAL
    state: State = "partial"
    source: str = ""
    captured_at: str | None = None
    tally: CallStats | None = None

    def __iter__(self) -> Iterator[list[msgspec.Struct]]:
        """Yield the non-empty chunks."""
        return (chunk for chunk in self.chunks if chunk)


def tags_or_none(role: GotRole) -> GotRole:
    """Return a role of GetRole, with [] if it has no tags.

    For a role without tags, AWS leaves out `Tags`, but returns `RoleLastUsed` (recorded answers).
    """
    if role.tags is UNSET and role.last_used is not UNSET:
        role.tags = []
    return role


def time_text(value: Time) -> str | None:
    """Return a time as ISO text, from any form in files; other text stays as it is.

    Raises
    ------
    ValueError, OverflowError, OSError
        If a recorded time or a number of seconds is out of range.
    """
    if isinstance(value, RecordedTime):
        date = (value.year, value.month, value.day)
        return datetime(*date, value.hour, value.minute, value.second, value.microsecond, tzinfo=UTC).isoformat()
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, UTC).isoformat()
    return value or None


def parsed_time(text: str) -> datetime | None:
    """Return the time of ISO text in UTC, or None; text without a zone is in UTC."""
    try:
        # Frames store six decimal places of a second.
        time = datetime.fromisoformat(_MORE_DIGITS.sub(r"\1", text))
        return (time.replace(tzinfo=UTC) if time.tzinfo is None else time).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def make_decoders(kinds: Iterable[object]) -> None:
    """Create the decoders for all record types found in these objects, before threads use them.

    msgspec creates a decoder at the first use, in several steps. If a second thread decodes the same type meanwhile, it
    finds the decoder incomplete and ends the process.
    """
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            msgspec.json.Decoder(kind)


make_decoders(list(globals().values()))


# The consumers to read: all, only those of EC2 and Auto Scaling, or none.
References = Literal["all", "core", "none"]


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """The requests to make in an account."""

    regions: Literal["all"] | tuple[str, ...] = "all"
    references: References = "all"
    role_details: bool = False
    tag_index: bool = False
