"""Rows of Steampipe's `aws_iam_role` and `aws_iam_instance_profile` tables, as its JSON output prints them.

Columns: documentation and source of the Steampipe AWS plugin. A column that needs a call of its own for each row is
null both when AWS says "none" and when that call was refused and the refusal ignored, so null is believed only where
some row of the same file shows that the call was answered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from iamframe.sources.archives import Unreadable
from iamframe.sources.documents import sentence_of
from iamframe.sources.records import (
    Answer,
    Arn,
    Boundary,
    Count,
    GotProfile,
    LastUsed,
    ListedProfile,
    NestedProfile,
    NestedRole,
    Role,
    Tag,
    Time,
    make_decoders,
)
from iamframe.sources.shapes import ROWS, Document, keys_of, list_of, shape

ROLE, PROFILE = "aws_iam_role", "aws_iam_instance_profile"
_PROFILE_COLUMNS = {"instance_profile_name", "instance_profile_id", "roles"}
_ROLE_COLUMNS = {"role_id", "name", "assume_role_policy", "assume_role_policy_std", "instance_profile_arns"}


class RoleRow(msgspec.Struct, gc=False):
    """One row of aws_iam_role."""

    arn: Arn
    name: str | None = None
    role_id: str | None = None
    create_date: Time = None
    description: str | None = None
    max_session_duration: Count | None = None
    path: str | None = None
    permissions_boundary_arn: str | None = None
    permissions_boundary_type: str | None = None
    role_last_used_date: Time | UnsetType = UNSET
    role_last_used_region: str | None = None
    assume_role_policy: Raw | UnsetType = UNSET
    assume_role_policy_std: Raw | UnsetType = UNSET
    instance_profile_arns: list[str] | UnsetType | None = UNSET
    tags: dict[str, str] | UnsetType | None = UNSET
    tags_src: list[Tag] | UnsetType | None = UNSET


class ProfileRow(msgspec.Struct, gc=False):
    """One row of aws_iam_instance_profile."""

    arn: Arn
    instance_profile_name: str | None = None
    instance_profile_id: str | None = None
    create_date: Time = None
    path: str | None = None
    roles: Raw | UnsetType = UNSET
    tags: dict[str, str] | UnsetType | None = UNSET
    tags_src: list[Tag] | UnsetType | None = UNSET


@shape(ROWS)
@list_of("arn")
def query(document: Document) -> Iterable[Answer]:
    """Read the rows of a query."""
    items = document.items(ROWS)
    columns = keys_of(items[0]) if items else set()
    if "arn" not in columns:
        raise Unreadable("holds rows without `arn`, which iamframe needs; add it to the Steampipe query")
    if columns & _PROFILE_COLUMNS:
        kind: Any = ProfileRow
        convert: Any = profiles
        operation = f"steampipe:{PROFILE}"
    elif columns & _ROLE_COLUMNS:
        kind, convert, operation = RoleRow, roles, f"steampipe:{ROLE}"
    else:
        raise Unreadable("holds rows that are neither of aws_iam_role nor of aws_iam_instance_profile")
    try:
        records = convert([row for chunk in document.records(ROWS, kind) for row in chunk])
    except msgspec.MsgspecError as error:
        raise Unreadable(sentence_of(error, "$[*].roles")) from None
    return [document.answer(operation, records)]


def _has(value: object) -> bool:
    return value is not None and value is not UNSET


def _tags(row: RoleRow | ProfileRow, answered: bool) -> list[Tag] | UnsetType:
    if _has(row.tags_src):
        return list(row.tags_src or ())
    if _has(row.tags):
        return [Tag(key, value) for key, value in row.tags.items()]  # type: ignore[union-attr]
    asked = row.tags is None or row.tags_src is None
    return [] if asked and answered else UNSET


def roles(found: list[RoleRow]) -> list[Role]:
    """Return the roles of one query's rows."""
    # GetRole alone gives these (Steampipe lists roles with ListRoles, which has none of them).
    got = any(
        _has(value)
        for row in found
        for value in (
            row.tags,
            row.tags_src,
            row.role_last_used_date,
            row.role_last_used_region,
            row.permissions_boundary_arn,
            row.permissions_boundary_type,
        )
    )
    linked = any(_has(row.instance_profile_arns) for row in found)
    return [_role(row, got, linked) for row in found]


def _role(row: RoleRow, got: bool, linked: bool) -> Role:
    used = row.role_last_used_date
    use_known = _has(used) or (used is None and got)
    arns = row.instance_profile_arns
    known = _has(arns) or (arns is None and linked)
    trust = row.assume_role_policy if _readable(row.assume_role_policy) else row.assume_role_policy_std
    return Role(
        role_arn=row.arn,
        role_name=row.name,
        role_path=row.path,
        role_id=row.role_id,
        created_at=row.create_date,
        trust_policy=trust if _readable(trust) else UNSET,
        description=row.description or None,
        max_session_seconds=row.max_session_duration,
        boundary=Boundary(row.permissions_boundary_arn) if row.permissions_boundary_arn else None,
        last_used=UNSET if used is UNSET or not use_known else LastUsed(used, row.role_last_used_region),
        tags=_tags(row, got),
        profiles=[NestedProfile(arn) for arn in arns or ()] if known else UNSET,
    )


def _readable(raw: Raw | UnsetType) -> bool:
    return raw is not UNSET and bytes(raw) != b"null"


def profiles(found: list[ProfileRow]) -> list[GotProfile]:
    """Return the profiles of one query's rows.

    Raises
    ------
    msgspec.MsgspecError
        If a row's `roles` is not the list of roles that IAM gives.
    """
    return [
        GotProfile(
            profile_arn=row.arn,
            profile_name=row.instance_profile_name,
            profile_path=row.path,
            profile_id=row.instance_profile_id,
            created_at=row.create_date,
            roles=_held(row),
            tags=_tags(row, answered=False),
        )
        for row in found
    ]


def _held(row: ProfileRow) -> list[NestedRole] | UnsetType:
    if not _readable(row.roles):
        return UNSET
    raw = b'{"Arn":"-","Roles":' + bytes(row.roles) + b"}"  # type: ignore[arg-type]
    return msgspec.json.decode(raw, type=ListedProfile).roles


make_decoders(list(globals().values()))
