"""For each AWS operation, the types of the records that the operation returns.

Each record type has only the fields that the operation returns. Code therefore cannot use a field that the operation
does not return. For example, ListRoles and ListInstanceProfiles return no `Tags` (sources: IAM API Reference and
recorded responses).

The value `UNSET` means that an answer does not contain the field. The values None and [] mean that AWS has no value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from iamframe.knowledge.operations import GLOBAL

_MORE_DIGITS = re.compile(r"(\.\d{6})\d+")

# The state `complete` means that an answer contains the operation's complete list, and `partial` that it contains a
# part. The state `truncated` means that the list broke off, and `refused` that a call failed before any record.
# A list call, and the calls for each item of its list, share one state.
State = Literal["complete", "partial", "truncated", "refused"]


class RecordedTime(msgspec.Struct, gc=False):
    """A time in a boto3 response that the package placebo recorded: `{"__class__": "datetime", "year": …}`."""

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
# The AWS CLI prints ISO text; with `cli_timestamp_format = none` and in older versions, what the service
# sent, which may be seconds since 1970.
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
    key: str = msgspec.field(name="Key")
    value: str = msgspec.field(name="Value", default="")


class LastUsed(msgspec.Struct, gc=False):
    """The fields `at` and `region` are None after 400 days without use (IAM API Reference, GetRole)."""

    at: Time = msgspec.field(name="LastUsedDate", default=None)
    region: str | None = msgspec.field(name="Region", default=None)


class Boundary(msgspec.Struct, gc=False):
    arn: str | None = msgspec.field(name="PermissionsBoundaryArn", default=None)


class AttachedPolicy(msgspec.Struct, gc=False):
    arn: str | None = msgspec.field(name="PolicyArn", default=None)


class RoleTemplate(msgspec.Struct, gc=False):
    """The template from which a role was created. Source: botocore 1.44.8, GetRole and AcquireRole."""

    arn: str | None = msgspec.field(name="TemplateArn", default=None)


class NestedRole(msgspec.Struct, gc=False, rename=_IAM):
    role_arn: Arn
    role_name: str | None = None
    role_path: str | None = None
    role_id: str | None = None
    created_at: Time = None
    trust_policy: Raw | UnsetType = UNSET


class ListedRole(NestedRole, gc=False, rename=_IAM):
    description: str | None = None
    max_session_seconds: Count | None = None


class GotRole(ListedRole, gc=False, rename=_IAM):
    boundary: Boundary | None = None
    last_used: LastUsed | UnsetType = UNSET
    tags: list[Tag] | UnsetType = UNSET
    template: RoleTemplate | None = None


class NestedProfile(msgspec.Struct, gc=False, rename=_IAM):
    profile_arn: Arn
    profile_name: str | None = None
    profile_path: str | None = None
    profile_id: str | None = None
    created_at: Time = None


class RoleDetail(NestedRole, gc=False, rename=_IAM):
    boundary: Boundary | None = None
    last_used: LastUsed | UnsetType = UNSET
    tags: list[Tag] | UnsetType = UNSET
    attached: list[AttachedPolicy] | UnsetType = UNSET
    inline: list[Raw] | UnsetType = UNSET
    profiles: list[NestedProfile] | UnsetType = UNSET


class ListedProfile(NestedProfile, gc=False, rename=_IAM):
    # ListInstanceProfiles always returns `Roles`, with at most one role.
    roles: list[NestedRole] | UnsetType = UNSET


class GotProfile(ListedProfile, gc=False, rename=_IAM):
    # GetInstanceProfile always returns `Tags`, but the list may be empty.
    tags: list[Tag] | UnsetType = UNSET


class Role(GotRole, gc=False, rename=_IAM):
    """A role from AWS Config, Terraform or Steampipe: the fields of GetRole, and the role's profiles."""

    profiles: list[NestedProfile] | UnsetType = UNSET


class TagListing(msgspec.Struct, gc=False):
    resource_type: str
    resource_name: str
    tags: list[Tag]


class Reference(msgspec.Struct, gc=False):
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
    owner_type: str
    owner_id: str
    owner_name: str
    state: str | None = None
    region: str | None = None
    account_id: str | None = None
    # A profile that the stack contains.
    profile_name: str | None = None


class RequiredKeys(msgspec.Struct, gc=False):
    """ListRequiredTags returns tag keys without values."""

    resource_type: str = msgspec.field(name="ResourceType", default="")
    tag_keys: list[str] = msgspec.field(name="ReportingTagKeys", default_factory=list)


class TagDemand(msgspec.Struct, gc=False):
    """A row of the frame `tag_policies`: what an account's tag policy says about one tag key and resource type."""

    resource_type: str
    tag_key: str
    # A JSON list, or None if the values are unknown.
    allowed_values: str | None
    is_required: bool
    is_enforced: bool
    source: str
    account_id: str | None = None


class Account(msgspec.Struct, gc=False):
    caller_arn: str | None = None
    account_name: str | None = None
    role_quota: int | None = None
    profile_quota: int | None = None
    roles_expected: int | None = None
    profiles_expected: int | None = None


def account_of_summary(counts: Mapping[str, int]) -> Account:
    return Account(
        role_quota=counts.get("RolesQuota"),
        profile_quota=counts.get("InstanceProfilesQuota"),
        roles_expected=counts.get("Roles"),
        profiles_expected=counts.get("InstanceProfiles"),
    )


class Gap(msgspec.Struct, gc=False):
    operation: str
    subject: str
    reason: str
    # The id of a message text. The values for the text are in `facts`.
    message: str
    facts: dict[str, Any]
    region: str = GLOBAL
    account_id: str | None = None


@dataclass(slots=True)
class CallStats:
    requests: int = 0
    retries: int = 0
    started_at: str | None = None
    ended_at: str | None = None

    def add(self, requests: int, started_at: str, ended_at: str) -> None:
        self.requests += requests
        self.retries += max(requests - 1, 0)
        self.started_at = min(self.started_at or started_at, started_at)
        self.ended_at = max(self.ended_at or ended_at, ended_at)


@dataclass(slots=True)
class Answer:
    operation: str
    origin: str
    # Each list contains records of one type, and becomes columns before the next list is read.
    chunks: Iterable[list[msgspec.Struct]]
    # The account of records without an ARN.
    account_id: str | None = None
    region: str = GLOBAL
    state: State = "partial"
    source: str = ""
    captured_at: str | None = None
    tally: CallStats | None = None
    # Whether an item of the list could not be read, so that no other answer can show the complete list.
    lacks: bool = False

    def __iter__(self) -> Iterator[list[msgspec.Struct]]:
        return (chunk for chunk in self.chunks if chunk)


def tags_or_none(role: GotRole) -> GotRole:
    # GetRole omits `Tags` for a role without tags. GetRole always returns `RoleLastUsed`. Source: recorded answers.
    if role.tags is UNSET and role.last_used is not UNSET:
        role.tags = []
    return role


def time_text(value: Time) -> str | None:
    """A number or `RecordedTime` that is out of range raises ValueError, OverflowError or OSError."""
    if isinstance(value, RecordedTime):
        date = (value.year, value.month, value.day)
        return datetime(*date, value.hour, value.minute, value.second, value.microsecond, tzinfo=UTC).isoformat()
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, UTC).isoformat()
    return value or None


def parsed_time(text: str) -> datetime | None:
    try:
        # Frames store six decimal places of a second.
        time = datetime.fromisoformat(_MORE_DIGITS.sub(r"\1", text))
        return (time.replace(tzinfo=UTC) if time.tzinfo is None else time).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def make_decoders(kinds: Iterable[object]) -> None:
    """Create the JSON decoders of all record classes now, so that no thread has to create one later.

    Otherwise, msgspec would create a decoder on first use. The process crashes if a second thread uses a decoder that
    the first thread has not finished.
    """
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            msgspec.json.Decoder(kind)


make_decoders(list(globals().values()))


# The consumers to read: all, only those of EC2 and Auto Scaling, or none.
References = Literal["all", "core", "none"]


@dataclass(frozen=True, slots=True)
class LoadPlan:
    regions: Literal["all"] | tuple[str, ...] = "all"
    references: References = "all"
    role_details: bool = False
    tag_index: bool = False
