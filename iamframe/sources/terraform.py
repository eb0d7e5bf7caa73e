"""Read managed roles and profiles from Terraform state files and `terraform show -json` output.

The page "JSON output format" of the Terraform docs describes the output of `terraform show -json`. The format of state
files is not documented. Terraform has used version 4 of state files since Terraform 0.12.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET, Raw, UnsetType

from iamframe.knowledge.arn import name_of
from iamframe.sources.archives import Unreadable
from iamframe.sources.documents import BROKEN, problem_of
from iamframe.sources.records import Answer, Boundary, Count, GotProfile, NestedRole, Role, Tag
from iamframe.sources.shapes import Document, shape

_VERSIONS, _OF_SHOWN = {"format_version", "terraform_version"}, {"planned_values", "values", "prior_state"}
# The types of the providers `aws` and `awscc` (AWS Cloud Control).
_ROLES, _PROFILES = ("aws_iam_role", "awscc_iam_role"), ("aws_iam_instance_profile", "awscc_iam_instance_profile")


class _Instance(msgspec.Struct, gc=False):
    # A state of Terraform 0.11 that was upgraded may have `attributes_flat` instead.
    attributes: Raw = Raw(b"null")
    index_key: str | int | None = None
    deposed: str | None = None


class _StateResource(msgspec.Struct, gc=False):
    mode: str
    type: str
    name: str
    module: str | None = None
    instances: list[_Instance] = []


class _State(msgspec.Struct, gc=False):
    version: int
    resources: list[_StateResource] = []


class _ShownResource(msgspec.Struct, gc=False):
    address: str
    mode: str
    type: str
    values: Raw = Raw(b"{}")
    deposed_key: str | None = None


class _Module(msgspec.Struct, gc=False):
    resources: list[_ShownResource] = []
    child_modules: list[_Module] = []


class _Values(msgspec.Struct, gc=False):
    root_module: _Module | None = None


class _Before(msgspec.Struct, gc=False):
    arn: str | None = None


class _Change(msgspec.Struct, gc=False):
    after_unknown: Raw = Raw(b"{}")
    before: Raw = Raw(b"null")
    actions: list[str] = []


class _ResourceChange(msgspec.Struct, gc=False):
    address: str
    type: str = ""
    change: _Change | None = None
    deposed: str | None = None


class _Shown(msgspec.Struct, gc=False):
    """The output of `terraform show -json`. A plan contains `planned_values`, and a state contains `values`."""

    planned_values: _Values | None = None
    values: _Values | None = None
    resource_changes: list[_ResourceChange] = []
    prior_state: _Shown | None = None


@dataclass(slots=True)
class _Managed:
    address: str
    type: str
    attributes: Raw
    # Attributes that get a value only in `terraform apply`.
    unknown: dict[str, object] = field(default_factory=dict)
    # Terraform is about to destroy the resource.
    is_deposed: bool = False


class ManagedRole(Role, gc=False):
    address: str = ""


class ManagedProfile(GotProfile, gc=False):
    address: str = ""


class Leaving(msgspec.Struct, gc=False):
    """A role or profile that Terraform will delete, replace or stop managing. Deposed objects count, too."""

    managed_arn: str
    address: str


class _Attributes(msgspec.Struct, gc=False):
    arn: str | None = None
    name: str | None = None
    path: str | None = None
    unique_id: str | None = None
    create_date: str | None = None
    tags: dict[str, str | None] | UnsetType | None = UNSET
    tags_all: dict[str, str | None] | UnsetType | None = UNSET
    assume_role_policy: Raw | UnsetType = UNSET
    description: str | None = None
    max_session_duration: Count | None = None
    permissions_boundary: str | None = None
    # Only profiles have these.
    role: str | UnsetType | None = UNSET
    roles: list[str] | UnsetType | None = UNSET


class _ControlTag(msgspec.Struct, gc=False):
    key: str
    value: str | None = None


class _ControlAttributes(msgspec.Struct, gc=False):
    """The attributes in the provider `awscc`, in which a profile has no tags and no unique id."""

    arn: str | None = None
    role_name: str | None = None
    instance_profile_name: str | None = None
    path: str | None = None
    role_id: str | None = None
    tags: list[_ControlTag] | UnsetType | None = UNSET
    assume_role_policy_document: Raw | UnsetType = UNSET
    description: str | None = None
    max_session_duration: Count | None = None
    permissions_boundary: str | None = None
    roles: list[str] | UnsetType | None = UNSET


# Before Terraform 0.12, a state had `modules` instead of `resources`. A state that OpenTofu encrypted has neither.
@shape("lineage")
@shape("resources", when=lambda document: bool(document.keys.keys() & {"terraform_version", "serial"}))
def state_file(document: Document) -> Iterable[Answer]:
    state = document.decode(_State)
    if state.version != 4:
        raise Unreadable("gaps.file.terraform_version", version=state.version)
    return _answers(document, "terraform:state", _in_state(state))


def _is_shown(document: Document) -> bool:
    # Of an empty state, Terraform shows only the versions. The output of other commands, such as
    # `terraform providers schema -json`, has a format version, too.
    return not document.keys.keys().isdisjoint(_OF_SHOWN) or document.keys.keys() <= _VERSIONS


@shape("format_version", when=_is_shown)
def shown_json(document: Document) -> Iterable[Answer]:
    shown = document.decode(_Shown)
    try:
        managed, leaving = list(_in_shown(shown)), list(_leaving(shown))
    except BROKEN as error:
        raise Unreadable(**problem_of(error, f"{document.place}.resource_changes")) from None
    yield from _answers(document, "terraform:plan" if shown.planned_values else "terraform:state", managed, leaving)


def _answers(
    document: Document, operation: str, managed: Iterable[_Managed], leaving: Iterable[Leaving] = ()
) -> Iterator[Answer]:
    roles: list[ManagedRole] = []
    profiles: list[ManagedProfile] = []
    left = [*leaving]
    for resource in managed:
        with document.reading.gap_if_unreadable(document.piece, resource.address):
            if resource.type not in (*_ROLES, *_PROFILES):
                continue
            if resource.is_deposed:
                left += _left(_attributes(resource).arn, resource.address)
            elif resource.type in _ROLES:
                roles.append(_role(resource))
            else:
                profiles.append(_profile(resource))
    document.reading.has_read = True
    yield document.answer(operation, roles)
    yield document.answer(operation, profiles)
    if left:
        # An answer without an operation is not counted in `calls`.
        yield document.answer("", left)


def _left(arn: str | None, address: str) -> list[Leaving]:
    return [Leaving(arn, address)] if arn else []


def _in_state(state: _State) -> Iterator[_Managed]:
    for resource in state.resources:
        # A data source is managed elsewhere.
        if resource.mode != "managed":
            continue
        prefix = f"{resource.module}." if resource.module else ""
        for instance in resource.instances:
            key = instance.index_key
            index = "" if key is None else f"[{msgspec.json.encode(key).decode()}]"
            address = f"{prefix}{resource.type}.{resource.name}{index}"
            yield _Managed(address, resource.type, instance.attributes, is_deposed=instance.deposed is not None)


def _in_shown(shown: _Shown) -> Iterator[_Managed]:
    unknown = {
        change.address: msgspec.json.decode(change.change.after_unknown, type=dict[str, object] | bool)
        for change in shown.resource_changes
        if change.change and change.deposed is None
    }
    values = shown.planned_values or shown.values
    modules = [values.root_module] if values and values.root_module else []
    while modules:
        module = modules.pop()
        modules += module.child_modules
        for resource in module.resources:
            if resource.mode == "managed":
                after = unknown.get(resource.address)
                known_later = after if isinstance(after, dict) else {}
                is_deposed = resource.deposed_key is not None
                yield _Managed(resource.address, resource.type, resource.values, known_later, is_deposed)
    if shown.prior_state:
        # A plan with `-target` or `-refresh-only` plans nothing for other resources, but Terraform manages them.
        yield from (one for one in _in_shown(shown.prior_state) if one.address not in unknown)


def _leaving(shown: _Shown) -> Iterator[Leaving]:
    for one in shown.resource_changes:
        if one.change and one.type in (*_ROLES, *_PROFILES) and {"delete", "forget"} & {*one.change.actions}:
            before = msgspec.json.decode(one.change.before, type=_Before | None)
            yield from _left(before.arn if before else None, one.address)


def _attributes(managed: _Managed) -> _Attributes:
    if managed.type.startswith("aws_"):
        return msgspec.json.decode(managed.attributes, type=_Attributes)
    one = msgspec.json.decode(managed.attributes, type=_ControlAttributes)
    return _Attributes(
        arn=one.arn,
        name=one.role_name or one.instance_profile_name,
        path=one.path,
        unique_id=one.role_id,
        tags={tag.key: tag.value for tag in one.tags} if one.tags else one.tags,  # type: ignore[arg-type]
        assume_role_policy=one.assume_role_policy_document,
        description=one.description,
        max_session_duration=one.max_session_duration,
        permissions_boundary=one.permissions_boundary,
        roles=one.roles,
    )


def _role(managed: _Managed) -> ManagedRole:
    role = _attributes(managed)
    return ManagedRole(
        role_arn=role.arn or f"address:{managed.address}",
        role_name=role.name,
        role_path=role.path,
        role_id=role.unique_id,
        created_at=role.create_date,
        trust_policy=UNSET if managed.unknown.get("assume_role_policy") else role.assume_role_policy,
        description=role.description or None,
        max_session_seconds=role.max_session_duration,
        boundary=Boundary(role.permissions_boundary) if role.permissions_boundary else None,
        tags=_tags(role, managed),
        address=managed.address,
    )


def _profile(managed: _Managed) -> ManagedProfile:
    profile = _attributes(managed)
    return ManagedProfile(
        profile_arn=profile.arn or f"address:{managed.address}",
        profile_name=profile.name,
        profile_path=profile.path,
        profile_id=profile.unique_id,
        created_at=profile.create_date,
        roles=_held_roles(profile, managed),
        tags=_tags(profile, managed),
        address=managed.address,
    )


def _tags(attributes: _Attributes, managed: _Managed) -> list[Tag] | UnsetType:
    # The attribute `tags_all` includes the provider's default tags.
    # A provider older than default_tags (3.38) has no `tags_all`; one older than 3.35 has no tags of profiles.
    # `terraform show` fills an attribute that an older provider did not write with null.
    is_null = attributes.tags_all is None and bool(attributes.tags)
    is_there = (attributes.tags_all is not UNSET and not is_null) or "tags_all" in managed.unknown
    name = "tags_all" if is_there else "tags"
    tags = getattr(attributes, name)
    if tags is UNSET or managed.unknown.get(name):
        return UNSET
    return [Tag(key, value or "") for key, value in (tags or {}).items()]


def _held_roles(profile: _Attributes, managed: _Managed) -> list[NestedRole] | UnsetType:
    if managed.unknown.get("role") or (managed.unknown.get("roles") and not profile.role):
        return UNSET
    if profile.role is UNSET and profile.roles is UNSET:
        return UNSET
    names = [profile.role] if profile.role else profile.roles or []
    return [NestedRole("name:" + name_of(name)) for name in names if name]
