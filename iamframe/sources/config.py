"""Read the latest recorded state of each role and profile from AWS Config items.

An item's field `configuration` is a JSON string in API responses, and an object in an S3 snapshot. AWS Config may
record a role in several regions, so there may be several items about a role. Source: AWS Config Developer Guide,
"Components of a configuration item", "Selecting which resources are recorded".
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from iamframe.knowledge.arn import name_of
from iamframe.sources.archives import Foreign, Piece
from iamframe.sources.records import (
    Answer,
    AttachedPolicy,
    Boundary,
    GotProfile,
    LastUsed,
    NestedProfile,
    NestedRole,
    RoleDetail,
    Tag,
    parsed_time,
    time_text,
)
from iamframe.sources.shapes import ROWS, Document, Reading, accounts_in, shape

_ROLE, _PROFILE = "AWS::IAM::Role", "AWS::IAM::InstanceProfile"


class Item(msgspec.Struct, gc=False, rename="camel"):
    resource_type: str
    configuration_item_status: str | None = None
    configuration_item_capture_time: str | float | None = None
    arn: str | None = None
    resource_id: str | None = None
    account_id: str | None = None
    # The spellings of S3.
    s3_arn: str | None = msgspec.field(name="ARN", default=None)
    s3_account_id: str | None = msgspec.field(name="awsAccountId", default=None)
    configuration: Raw | UnsetType = UNSET
    tags: Raw | UnsetType = UNSET

    def __post_init__(self) -> None:
        self.arn, self.account_id = self.arn or self.s3_arn, self.account_id or self.s3_account_id

    @property
    def captured_at(self) -> str:
        with suppress(ValueError, OverflowError, OSError):
            if time := parsed_time(time_text(self.configuration_item_capture_time) or ""):
                # Times of equal precision sort chronologically as text.
                return time.isoformat(timespec="microseconds")
        return ""

    @property
    def is_deleted(self) -> bool:
        return (self.configuration_item_status or "").startswith("ResourceDeleted")


def _in_camel_case(kind: type[msgspec.Struct], **types: Any) -> Any:
    own = msgspec.structs.fields(kind)
    fields = [(f.name, types.get(f.name, f.type), msgspec.NODEFAULT if f.required else f.default) for f in own]
    return msgspec.defstruct(
        kind.__name__, fields, bases=(kind,), rename={f.name: _lower_first(f.encode_name) for f in own}
    )


def _lower_first(key: str) -> str:
    return key[:1].lower() + key[1:]


# AWS Config writes the keys of IAM's answers in camelCase.
_Tag = _in_camel_case(Tag)
_HeldRole = _in_camel_case(NestedRole)
_Tags = list[_Tag] | UnsetType  # type: ignore[valid-type]
_Role = _in_camel_case(
    RoleDetail,
    boundary=_in_camel_case(Boundary) | None,
    last_used=_in_camel_case(LastUsed) | UnsetType | None,
    attached=list[_in_camel_case(AttachedPolicy)] | UnsetType,  # type: ignore[misc]
    profiles=list[_in_camel_case(NestedProfile)] | UnsetType,  # type: ignore[misc]
    tags=_Tags,
)
_Profile = _in_camel_case(GotProfile, roles=list[Raw] | UnsetType, tags=_Tags)


class Recorded(NamedTuple):
    document: Document
    place: str
    item: Item


@shape("configurationItems")
def api_items(document: Document) -> Iterable[Answer]:
    """Read the output of `aws configservice get-resource-config-history`, or a snapshot that AWS Config wrote to S3."""
    return _keep(document, _items_of(document, "configurationItems"))


@shape("baseConfigurationItems")
def batch_items(document: Document) -> Iterable[Answer]:
    """Read the output of `aws configservice batch-get-resource-config`."""
    return _keep(document, _items_of(document, "baseConfigurationItems"))


@shape("resourceType", of_items=True)
def item_list(document: Document) -> Iterable[Answer]:
    return _keep(document, _items_of(document, ROWS))


@shape("resourceType", "configuration")
def one_item(document: Document) -> Iterable[Answer]:
    return _keep(document, [(document.place, document.as_json())])


def _items_of(document: Document, key: str) -> list[tuple[str, Raw]]:
    return [(f"{document.path(key)}[{index}]", raw) for index, raw in enumerate(document.items(key))]


def _keep(document: Document, items: list[tuple[str, Raw]]) -> Iterable[Answer]:
    decode = document.decoder(Item)
    read = [Recorded(document, place, document.one(raw, decode, place)) for place, raw in items]
    of_iam = [one for one in read if one.item and one.item.resource_type in (_ROLE, _PROFILE)]
    if not of_iam and all(one.item for one in read):
        raise Foreign("gaps.file.no_config_item")
    for one in of_iam:
        # Another file may have a newer item.
        document.reading.keep(one)
    document.reading.has_read |= any(one.item.is_deleted for one in of_iam)
    return ()


def config_answers(reading: Reading) -> list[tuple[Piece, Answer]]:
    found: dict[tuple[str, str, str | None], tuple[Piece, Answer]] = {}
    for document, place, item in _latest(reading.kept(Recorded)):
        with reading.gap_if_unreadable(document.piece, f"{place}.configuration"):
            record = _role(item) if item.resource_type == _ROLE else _profile(item)
            reading.has_read = True
            (account,) = accounts_in([record])
            if account:
                reading.carried.add(document.piece, account)
            account = account or item.account_id
            new = document.answer(f"config:{item.resource_type}", [], account_id=account)
            key = (document.piece.label, item.resource_type, account)
            _, answer = found.setdefault(key, (document.piece, new))
            answer.chunks[0].append(record)  # type: ignore[index]
            answer.captured_at = max(answer.captured_at or "", item.captured_at)
    return list(found.values())


def _latest(recorded: Iterable[Recorded]) -> list[Recorded]:
    # Only the latest capture of a resource counts. A resource is dropped if its latest capture shows a deletion.
    newest: dict[str, Recorded] = {}
    for one in sorted(recorded, key=lambda one: one.item.captured_at):
        item = one.item
        key = item.arn or f"{item.account_id} {item.resource_id}"
        held = newest[key].item.resource_id if key in newest else None
        # Regions record a deletion at different times, perhaps after the role was created again, with another id.
        if not (item.is_deleted and held and item.resource_id and held != item.resource_id):
            newest[key] = one
    return [one for one in newest.values() if not one.item.is_deleted]


def _role(item: Item) -> RoleDetail:
    role: RoleDetail = msgspec.json.decode(_unwrapped(item.configuration), type=_Role)
    role.last_used = role.last_used or UNSET
    role.tags = _tags(role.tags, item)
    return role


def _profile(item: Item) -> GotProfile:
    profile: GotProfile = msgspec.json.decode(_keys_in_camel_case(_unwrapped(item.configuration)), type=_Profile)
    if profile.roles is not UNSET:
        profile.roles = [_held_role(raw) for raw in profile.roles]  # type: ignore[arg-type]
    profile.tags = _tags(profile.tags, item)
    return profile


def _unwrapped(raw: Raw | UnsetType) -> bytes | Raw:
    if raw is UNSET:
        return b"null"
    text = bytes(raw)
    return msgspec.json.decode(text, type=str).encode() if text.startswith(b'"') else raw


def _tags(recorded: list[Tag] | UnsetType, item: Item) -> list[Tag] | UnsetType:
    if recorded is not UNSET:
        return recorded
    # The item's own `tags` map is `{}` even if Config did not collect tags, so only a non-empty map proves anything.
    tags = msgspec.json.decode(_unwrapped(item.tags), type=dict[str, str] | list[_Tag] | None)  # type: ignore[valid-type]
    if not tags:
        return UNSET
    return [Tag(key, value) for key, value in tags.items()] if isinstance(tags, dict) else tags


def _keys_in_camel_case(text: bytes | Raw) -> bytes:
    # Types that Config took from CloudFormation keep CloudFormation's PascalCase keys.
    document = msgspec.json.decode(text, type=dict[str, Raw])
    return msgspec.json.encode({_lower_first(key): value for key, value in document.items()})


def _held_role(raw: Raw) -> NestedRole:
    if bytes(raw).startswith(b'"'):
        return NestedRole("name:" + name_of(msgspec.json.decode(raw, type=str)))
    role: NestedRole = msgspec.json.decode(_keys_in_camel_case(raw), type=_HeldRole)
    return role
