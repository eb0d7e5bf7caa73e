"""Terraform state (version 4) and `terraform show -json`: the roles and profiles that Terraform manages.

Formats: Terraform docs, "JSON output format"; the state format is not documented, version 4 is in use since
Terraform 0.12. Only `mode: managed` counts (a data source belongs to somebody else), and no deposed instance (it is
about to be destroyed). Tags are `tags_all`, which holds the provider's default tags too, else `tags`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import UNSET, Raw, UnsetType

from iamframe.knowledge.arn import name_of
from iamframe.sources.archives import Unreadable
from iamframe.sources.documents import BROKEN, sentence_of
from iamframe.sources.records import Answer, Boundary, Count, GotProfile, NestedRole, Role, Tag, make_decoders
from iamframe.sources.shapes import Document, shape

ROLE, PROFILE = "aws_iam_role", "aws_iam_instance_profile"


class _Instance(msgspec.Struct, gc=False):
    attributes: Raw = Raw(b"{}")
    index_key: str | int | None = None
    deposed: str | None = None


class _StateResource(msgspec.Struct, gc=False):
    mode: str
    type: str
    name: str
    module: str | None = None
    instances: list[_Instance] = []


class State(msgspec.Struct, gc=False):
    """A state file, version 4."""

    version: int
    resources: list[_StateResource] = []


class _Resource(msgspec.Struct, gc=False):
    address: str
    mode: str
    type: str
    values: Raw = Raw(b"{}")
    deposed_key: str | None = None


class _Module(msgspec.Struct, gc=False):
    resources: list[_Resource] = []
    child_modules: list[_Module] = []


class _Values(msgspec.Struct, gc=False):
    root_module: _Module | None = None


class _Change(msgspec.Struct, gc=False):
    after_unknown: Raw = Raw(b"{}")


class _ResourceChange(msgspec.Struct, gc=False):
    address: str
    change: _Change | None = None
    deposed: str | None = None


class Plan(msgspec.Struct, gc=False):
    """What `terraform show -json` prints: of a plan with `planned_values`, of a state with `values`."""

    planned_values: _Values | None = None
    values: _Values | None = None
    resource_changes: list[_ResourceChange] = []


class Managed(msgspec.Struct, gc=False):
    """One managed resource: its address, its attributes, and the attributes that only applying would tell."""

    address: str
    type: str
    attributes: Raw
    unknown: dict[str, object] = {}
    planned: bool = False


class _Common(msgspec.Struct, gc=False):
    arn: str | None = None
    name: str | None = None
    path: str | None = None
    unique_id: str | None = None
    create_date: str | None = None
    tags: dict[str, str | None] | UnsetType | None = UNSET
    tags_all: dict[str, str | None] | UnsetType | None = UNSET


class _Role(_Common, gc=False):
    assume_role_policy: Raw | UnsetType = UNSET
    description: str | None = None
    max_session_duration: Count | None = None
    permissions_boundary: str | None = None


class _Profile(_Common, gc=False):
    role: str | UnsetType | None = UNSET
    roles: list[str] | UnsetType | None = UNSET


@shape("resources", when=lambda document: bool(document.keys.keys() & {"terraform_version", "lineage", "serial"}))
def state_file(document: Document) -> Iterable[Answer]:
    """Read a state file."""
    state = document.decode(State)
    if state.version != 4:
        raise Unreadable(f"is Terraform state version {state.version}; run `terraform state pull` with 0.12 or later")
    return _managed(document, "terraform:state", in_state(state))


@shape("planned_values", "format_version")
@shape("values", "format_version")
def shown(document: Document) -> Iterable[Answer]:
    """Read what `terraform show -json` prints."""
    plan = document.decode(Plan)
    try:
        managed = list(in_plan(plan))
    except BROKEN as error:
        raise Unreadable(sentence_of(error, f"{document.place}.resource_changes")) from None
    return _managed(document, "terraform:plan" if plan.planned_values else "terraform:state", managed)


def _managed(document: Document, operation: str, managed: Iterable[Managed]) -> Iterator[Answer]:
    found: dict[str, list[Role | GotProfile]] = {ROLE: [], PROFILE: []}
    for item in managed:
        try:
            found[item.type].append(resource(item))
        except BROKEN as error:
            document.reading.unreadable(document.piece, sentence_of(error, item.address), item.address)
    document.reading.has_read = True
    for records in found.values():
        yield document.answer(operation, records)


def in_state(state: State) -> Iterator[Managed]:
    """Yield the roles and profiles that a state file manages."""
    for resource in state.resources:
        if resource.mode != "managed" or resource.type not in (ROLE, PROFILE):
            continue
        prefix = f"{resource.module}." if resource.module else ""
        for instance in resource.instances:
            if instance.deposed is None:
                key = instance.index_key
                index = "" if key is None else f"[{key}]" if isinstance(key, int) else f'["{key}"]'
                yield Managed(f"{prefix}{resource.type}.{resource.name}{index}", resource.type, instance.attributes)


def in_plan(plan: Plan) -> Iterator[Managed]:
    """Yield the roles and profiles that a plan leaves, or that a shown state manages."""
    unknown = {
        change.address: msgspec.json.decode(change.change.after_unknown, type=dict[str, object] | bool)
        for change in plan.resource_changes
        if change.change and change.deposed is None
    }
    values = plan.planned_values or plan.values
    modules = [values.root_module] if values and values.root_module else []
    while modules:
        module = modules.pop()
        modules += module.child_modules
        for resource in module.resources:
            if resource.mode == "managed" and resource.type in (ROLE, PROFILE) and resource.deposed_key is None:
                known_after = unknown.get(resource.address, {})
                yield Managed(
                    resource.address,
                    resource.type,
                    resource.values,
                    known_after if isinstance(known_after, dict) else {},
                    planned=plan.planned_values is not None,
                )


def resource(managed: Managed) -> Role | GotProfile:
    """Return the role or profile, with what the plan calls unknown left unknown.

    Raises
    ------
    msgspec.MsgspecError
        If an attribute is not of the type that the AWS provider gives it.
    """
    return _role(managed) if managed.type == ROLE else _profile(managed)


def _tags(common: _Common, managed: Managed) -> list[Tag] | UnsetType:
    # A provider older than default_tags (3.38) knows no `tags_all`, and one older than 3.35 no tags of profiles.
    name = "tags_all" if common.tags_all is not UNSET or "tags_all" in managed.unknown else "tags"
    tags = getattr(common, name)
    if tags is UNSET or managed.unknown.get(name):
        return UNSET
    return [Tag(key, value or "") for key, value in (tags or {}).items()]


def _role(managed: Managed) -> Role:
    role = msgspec.json.decode(managed.attributes, type=_Role)
    has_trust = role.assume_role_policy is not UNSET and not managed.unknown.get("assume_role_policy")
    return Role(
        role_arn=role.arn or f"address:{managed.address}",
        role_name=role.name,
        role_path=role.path,
        role_id=role.unique_id,
        created_at=role.create_date,
        trust_policy=role.assume_role_policy if has_trust else UNSET,
        description=role.description or None,
        max_session_seconds=role.max_session_duration,
        boundary=Boundary(role.permissions_boundary) if role.permissions_boundary else None,
        tags=_tags(role, managed),
    )


def _profile(managed: Managed) -> GotProfile:
    profile = msgspec.json.decode(managed.attributes, type=_Profile)
    return GotProfile(
        profile_arn=profile.arn or f"address:{managed.address}",
        profile_name=profile.name,
        profile_path=profile.path,
        profile_id=profile.unique_id,
        created_at=profile.create_date,
        roles=_held(profile, managed),
        tags=_tags(profile, managed),
    )


def _held(profile: _Profile, managed: Managed) -> list[NestedRole] | UnsetType:
    if managed.unknown.get("role") or (managed.unknown.get("roles") and not profile.role):
        return UNSET
    if profile.role is UNSET and profile.roles is UNSET:
        return UNSET
    names = [profile.role] if profile.role else list(profile.roles or ()) if profile.roles is not UNSET else []
    return [NestedRole("name:" + name_of(name)) for name in names if name]


make_decoders(list(globals().values()))
