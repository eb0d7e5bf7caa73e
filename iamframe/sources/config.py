"""AWS Config items: each recorded role and profile as Config last saw it.

Three shapes hold the same items: the API's, where `configuration` is a JSON string; the S3 snapshot's, where it is an
object; and a single item. Config records a role in every region where it is switched on, so that one role may come
several times: the latest capture counts, and one that was deleted is dropped (AWS Config Developer Guide, "Components
of a configuration item", "Selecting which resources are recorded").
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from iamframe.knowledge.arn import name_of
from iamframe.sources.archives import Piece, Unreadable
from iamframe.sources.documents import BROKEN, sentence_of
from iamframe.sources.reading import Reading, accounts_of
from iamframe.sources.records import (
    Answer,
    Boundary,
    GotProfile,
    LastUsed,
    NestedProfile,
    NestedRole,
    Role,
    Tag,
    Time,
    make_decoders,
    parsed_time,
    time_text,
)
from iamframe.sources.shapes import ROWS, Document, list_of, shape

ROLE, PROFILE = "AWS::IAM::Role", "AWS::IAM::InstanceProfile"


class Item(msgspec.Struct, gc=False, rename="camel"):
    """One configuration item, its `configuration` not yet read."""

    resource_type: str
    configuration_item_status: str | None = None
    configuration_item_capture_time: str | float | None = None
    arn: str | None = None
    resource_id: str | None = None
    account_id: str | None = None
    configuration: Raw | UnsetType = UNSET
    tags: Raw | UnsetType = UNSET

    @property
    def captured_at(self) -> str:
        """When Config captured it, as text that sorts by time."""
        try:
            text = time_text(self.configuration_item_capture_time) or ""
        except (ValueError, OverflowError, OSError):
            text = ""
        time = parsed_time(text)
        return time.isoformat(timespec="microseconds") if time else ""

    @property
    def is_deleted(self) -> bool:
        """Whether the resource was gone when this was captured."""
        return (self.configuration_item_status or "").startswith("ResourceDeleted")


class _Tag(msgspec.Struct, gc=False):
    key: str
    value: str = ""


class _LastUsed(msgspec.Struct, gc=False, rename="camel"):
    last_used_date: Time = None
    region: str | None = None


class _Boundary(msgspec.Struct, gc=False, rename="camel"):
    permissions_boundary_arn: str | None = None


class _Profile(msgspec.Struct, gc=False, rename="camel"):
    arn: str
    instance_profile_name: str | None = None
    path: str | None = None
    instance_profile_id: str | None = None
    create_date: Time = None


class _Role(msgspec.Struct, gc=False, rename="camel"):
    arn: str
    role_name: str | None = None
    path: str | None = None
    role_id: str | None = None
    create_date: Time = None
    assume_role_policy_document: Raw | UnsetType = UNSET
    permissions_boundary: _Boundary | None = None
    role_last_used: _LastUsed | None = None
    instance_profile_list: list[_Profile] | UnsetType = UNSET
    tags: list[_Tag] | UnsetType = UNSET


class _RecordedProfile(_Profile, gc=False, rename="camel"):
    roles: list[Raw] | UnsetType = UNSET
    tags: list[_Tag] | UnsetType = UNSET


def unwrapped(raw: Raw | UnsetType) -> bytes | Raw:
    """Return the JSON itself, where it may be a string that holds it."""
    if raw is UNSET:
        return b"null"
    text = bytes(raw)
    return msgspec.json.decode(text, type=str).encode() if text.startswith(b'"') else raw


class Recorded(NamedTuple):
    """An item, the document and the place that it was read from."""

    document: Document
    place: str
    item: Item


@shape("configurationItems")
def api_items(document: Document) -> Iterable[Answer]:
    """Read `aws configservice get-resource-config-history`, or a snapshot in S3."""
    return _keep_items(document, "configurationItems")


@shape("baseConfigurationItems")
def batch_items(document: Document) -> Iterable[Answer]:
    """Read `aws configservice batch-get-resource-config`."""
    return _keep_items(document, "baseConfigurationItems")


@list_of("resourceType")
def item_list(document: Document) -> Iterable[Answer]:
    """Read a list of items."""
    return _keep_items(document, ROWS)


@shape("resourceType", "configuration")
def one_item(document: Document) -> Iterable[Answer]:
    """Read one item."""
    items = list(document.one(document.as_json(), document.decoder(Item), document.place))
    return _keep(document, [(document.place, item) for item in items]) if items else ()


def _keep_items(document: Document, key: str) -> Iterable[Answer]:
    decode, path = document.decoder(Item), document.path(key)
    places = [(f"{path}[{index}]", raw) for index, raw in enumerate(document.items(key))]
    return _keep(document, [(place, item) for place, raw in places for item in document.one(raw, decode, place)])


def _keep(document: Document, items: list[tuple[str, Item]]) -> Iterable[Answer]:
    """Keep the items of roles and profiles until all files are read: a later file may hold a later capture."""
    mine = [(place, item) for place, item in items if item.resource_type in (ROLE, PROFILE)]
    if not mine:
        raise Unreadable("holds no AWS Config item of a role or instance profile")
    for place, item in mine:
        document.reading.keep(Recorded(document, place, item))
    document.reading.has_read |= any(item.is_deleted for _, item in mine)
    return ()


def answers(reading: Reading) -> list[tuple[Piece, Answer]]:
    """Return the answers that all items of all files stand for, each with its file."""
    found: dict[tuple[str, str, str | None], tuple[Piece, Answer]] = {}
    for document, place, item in _latest(reading.kept(Recorded)):
        try:
            record = resource(item)
        except BROKEN as error:
            at = f"{place}.configuration"
            reading.unreadable(document.piece, sentence_of(error, at), at)
            continue
        reading.has_read = True
        (account,) = accounts_of([record])
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
    """Return the latest capture of each resource, but for resources that were deleted by then."""
    newest: dict[str, Recorded] = {}
    for one in recorded:
        item = one.item
        key = item.arn or f"{item.account_id} {item.resource_id}"
        if key not in newest or item.captured_at >= newest[key].item.captured_at:
            newest[key] = one
    return [one for one in newest.values() if not one.item.is_deleted]


def resource(item: Item) -> Role | GotProfile:
    """Return the role or profile that an item records.

    Raises
    ------
    msgspec.MsgspecError
        If its `configuration` is not of the shape that Config gives it.
    """
    return _role(item) if item.resource_type == ROLE else _profile(item)


def _tags(recorded: list[_Tag] | UnsetType, item: Item) -> list[Tag] | UnsetType:
    if recorded is not UNSET:
        return [Tag(tag.key, tag.value) for tag in recorded]
    # The item's own `tags` map is `{}` also where Config did not look, so only a filled one proves anything.
    outer = msgspec.json.decode(unwrapped(item.tags), type=dict[str, str] | list[_Tag] | None)
    if not outer:
        return UNSET
    pairs = outer.items() if isinstance(outer, dict) else ((tag.key, tag.value) for tag in outer)
    return [Tag(key, value) for key, value in pairs]


def _role(item: Item) -> Role:
    role = msgspec.json.decode(unwrapped(item.configuration), type=_Role)
    return Role(
        role_arn=role.arn,
        role_name=role.role_name,
        role_path=role.path,
        role_id=role.role_id,
        created_at=role.create_date,
        trust_policy=role.assume_role_policy_document,
        boundary=Boundary(role.permissions_boundary.permissions_boundary_arn) if role.permissions_boundary else None,
        last_used=LastUsed(role.role_last_used.last_used_date, role.role_last_used.region)
        if role.role_last_used
        else UNSET,
        tags=_tags(role.tags, item),
        profiles=role.instance_profile_list
        if role.instance_profile_list is UNSET
        else [
            NestedProfile(p.arn, p.instance_profile_name, p.path, p.instance_profile_id, p.create_date)
            for p in role.instance_profile_list
        ],
    )


def _profile(item: Item) -> GotProfile:
    profile = msgspec.json.decode(_camel_keys(unwrapped(item.configuration)), type=_RecordedProfile)
    return GotProfile(
        profile_arn=profile.arn,
        profile_name=profile.instance_profile_name,
        profile_path=profile.path,
        profile_id=profile.instance_profile_id,
        created_at=profile.create_date,
        roles=UNSET if profile.roles is UNSET else [_held_role(raw) for raw in profile.roles],
        tags=_tags(profile.tags, item),
    )


def _camel_keys(text: bytes | Raw) -> bytes:
    # Types that Config took over from CloudFormation keep CloudFormation's PascalCase keys.
    document = msgspec.json.decode(text, type=dict[str, Raw])
    return msgspec.json.encode({key[:1].lower() + key[1:]: value for key, value in document.items()})


def _held_role(raw: Raw) -> NestedRole:
    if bytes(raw).startswith(b'"'):
        return NestedRole("name:" + name_of(msgspec.json.decode(raw, type=str)))
    role = msgspec.json.decode(_camel_keys(raw), type=_Role)
    return NestedRole(
        role.arn, role.role_name, role.path, role.role_id, role.create_date, role.assume_role_policy_document
    )


make_decoders(list(globals().values()))
