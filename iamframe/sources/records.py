"""AWS's shapes, typed: what each operation answers, cut down to what that operation proves.

A field that a shape does not have is a fact that the operation never proves, so that it cannot be believed by
accident: the listings have no `Tags` field, whatever a file or an emulator puts there, because AWS documents
ListRoles and ListInstanceProfiles as leaving them out (IAM API Reference, ListRoles, ListInstanceProfiles) and its
recorded answers bear that out. `UNSET` is "not in this answer"; None and [] are "AWS says there is none".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

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


# A resource without one is told from no other.
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
    "profiles": "InstanceProfileList",
    "roles": "Roles",
}


class Tag(msgspec.Struct, gc=False, frozen=True):
    """One tag; an empty value is `""`."""

    key: str = msgspec.field(name="Key")
    value: str = msgspec.field(name="Value", default="")


class LastUsed(msgspec.Struct, gc=False):
    """Last use of a role; empty when it was not used in the 400 days that AWS looks back (API Reference, GetRole)."""

    at: Time = msgspec.field(name="LastUsedDate", default=None)
    region: str | None = msgspec.field(name="Region", default=None)


class Boundary(msgspec.Struct, gc=False):
    """The policy that bounds a role's permissions."""

    arn: str | None = msgspec.field(name="PermissionsBoundaryArn", default=None)


class NestedRole(msgspec.Struct, gc=False, rename=_IAM):
    """A role inside a profile: its identity and trust, and nothing of its tags, last use or description."""

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
    """A role of GetRole, whose `Tags` is absent when there are none and `RoleLastUsed` always there."""

    boundary: Boundary | None = None
    last_used: LastUsed | UnsetType = UNSET
    tags: list[Tag] | UnsetType = UNSET


class NestedProfile(msgspec.Struct, gc=False, rename=_IAM):
    """A profile beneath its role, as in an account dump: never with tags."""

    profile_arn: Arn
    profile_name: str | None = None
    profile_path: str | None = None
    profile_id: str | None = None
    created_at: Time = None


class RoleDetail(NestedRole, gc=False, rename=_IAM):
    """A role of GetAccountAuthorizationDetails, with its own list of profiles."""

    boundary: Boundary | None = None
    last_used: LastUsed | UnsetType = UNSET
    tags: list[Tag] | UnsetType = UNSET
    profiles: list[NestedProfile] | UnsetType = UNSET


class ListedProfile(NestedProfile, gc=False, rename=_IAM):
    """A profile of ListInstanceProfiles; `Roles` is always there and holds no role or one."""

    roles: list[NestedRole] | UnsetType = UNSET


class GotProfile(ListedProfile, gc=False, rename=_IAM):
    """A profile of GetInstanceProfile; `Tags` is there even when empty."""

    tags: list[Tag] | UnsetType = UNSET


class Role(GotRole, gc=False, rename=_IAM):
    """A role with every fact that a source may prove, for sources that are not IAM's own answers."""

    profiles: list[NestedProfile] | UnsetType = UNSET


class Tagging(msgspec.Struct, gc=False):
    """The tags of one resource, known by its name alone."""

    resource_type: str
    resource_name: str
    tags: list[Tag]


class Mention(msgspec.Struct, gc=False):
    """Something that names a profile: a row of `references` before the name is resolved."""

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


class Account(msgspec.Struct, gc=False):
    """What is known of an account itself."""

    caller_arn: str | None = None
    account_name: str | None = None
    role_quota: int | None = None
    profile_quota: int | None = None
    roles_expected: int | None = None
    profiles_expected: int | None = None


class Gap(msgspec.Struct, gc=False):
    """Something that could not be read: a row of `gaps`."""

    operation: str
    subject: str
    reason: str
    detail: str
    region: str = GLOBAL
    account_id: str | None = None


@dataclass(slots=True)
class Tally:
    """What one operation of one region cost: requests, those made again, from when to when (ISO texts)."""

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
    """One answer of AWS, or a file that stands for one.

    `chunks` yields lists of records of one type each, so that an answer larger than memory allows can be turned into
    columns piece by piece. `account_id` is for records whose ARN does not say it. `state` is `complete` when the
    answer is the whole list of what its operation lists, `refused` when AWS gave none. `tally` says what it cost to ask
    for it; a file has none.
    """

    operation: str
    origin: str
    chunks: Iterable[list[msgspec.Struct]]
    account_id: str | None = None
    region: str = GLOBAL
    state: State = "partial"
    source: str = ""
    captured_at: str | None = None
    tally: Tally | None = None

    def __iter__(self) -> Iterator[list[msgspec.Struct]]:
        """Yield the non-empty chunks."""
        return (chunk for chunk in self.chunks if chunk)


def tags_or_none(role: GotRole) -> GotRole:
    """Return a role of GetRole with [] for no tags: it leaves `Tags` out then, and `RoleLastUsed` never (recorded)."""
    if role.tags is UNSET and role.last_used is not UNSET:
        role.tags = []
    return role


def time_text(value: Time) -> str | None:
    """Return a time of any form that files hold as ISO text; what is no time stays what it is.

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
    """Return the time that ISO text says, in UTC (which it is taken for without a zone), or None."""
    try:
        # Digits of a second beyond the sixth are cut off: no frame holds them.
        time = datetime.fromisoformat(_MORE_DIGITS.sub(r"\1", text))
        return (time.replace(tzinfo=UTC) if time.tzinfo is None else time).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def make_decoders(kinds: Iterable[object]) -> None:
    """Make what decodes each typed record among the objects of a module; each that has some does so when it is loaded.

    msgspec makes it at the first use, in several steps: a thread that decodes the same type meanwhile finds it half
    made, and ends the process.
    """
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            msgspec.json.Decoder(kind)


make_decoders(list(globals().values()))


# Which consumers to ask what profile they use: all that iamframe knows, those of EC2 and Auto Scaling, or none.
References = Literal["all", "core", "none"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask of an account."""

    regions: Literal["all"] | tuple[str, ...] = "all"
    references: References = "all"
    role_details: bool = False
    tag_index: bool = False
