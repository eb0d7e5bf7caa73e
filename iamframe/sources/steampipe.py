"""Read rows of the tables `aws_iam_role` and `aws_iam_instance_profile` from the JSON output of Steampipe.

Sources of the columns: documentation and source code of the Steampipe AWS plugin.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from iamframe.knowledge.arn import account_of
from iamframe.sources.archives import Foreign, Unreadable
from iamframe.sources.documents import keys_of
from iamframe.sources.records import (
    Answer,
    Arn,
    Boundary,
    Count,
    GotProfile,
    LastUsed,
    NestedProfile,
    NestedRole,
    Role,
    Tag,
    Time,
)
from iamframe.sources.shapes import ROWS, Document, shape

_ROLE, _PROFILE = "aws_iam_role", "aws_iam_instance_profile"
_PROFILE_COLUMNS = {"instance_profile_name", "instance_profile_id", "roles"}
_ROLE_COLUMNS = {"role_id", "name", "assume_role_policy", "assume_role_policy_std", "instance_profile_arns"}
# Columns that come from GetRole: Steampipe lists roles with ListRoles, which returns none of them.
_FROM_GET_ROLE = (
    "tags",
    "tags_src",
    "role_last_used_date",
    "role_last_used_region",
    "permissions_boundary_arn",
    "permissions_boundary_type",
)


class _Row(msgspec.Struct, gc=False):
    arn: Arn
    path: str | None = None
    create_date: Time = None
    tags: dict[str, str] | UnsetType | None = UNSET
    tags_src: list[Tag] | UnsetType | None = UNSET
    name: str | None = None
    role_id: str | None = None
    description: str | None = None
    max_session_duration: Count | None = None
    permissions_boundary_arn: str | None = None
    permissions_boundary_type: str | None = None
    role_last_used_date: Time | UnsetType = UNSET
    role_last_used_region: str | None = None
    assume_role_policy: Raw | UnsetType = UNSET
    assume_role_policy_std: Raw | UnsetType = UNSET
    instance_profile_arns: list[str] | UnsetType | None = UNSET
    instance_profile_name: str | None = None
    instance_profile_id: str | None = None
    roles: list[NestedRole] | UnsetType | None = UNSET


@shape(ROWS)
@shape("arn", of_items=True)
def query(document: Document) -> Iterable[Answer]:
    items = document.items(ROWS)
    columns = keys_of(items[0]) if items else set()
    if "arn" not in columns:
        raise Unreadable("gaps.file.no_arn")
    other = Foreign("gaps.file.other_table")
    for table, own_columns, mark, read in _TABLES:
        if columns & own_columns:
            rows: list[Any] = [row for chunk in document.records(ROWS, _Row) for row in chunk]
            # Other tables have columns of the same names, too.
            own = [row for row in rows if mark in row.arn]
            if rows and not own:
                raise other
            if len(own) < len(rows):
                document.reading.unreadable(document.piece, other.problem, document.path(ROWS))
            return [document.answer(f"steampipe:{table}", read(own))]
    raise other


def _roles(rows: list[_Row]) -> list[Role]:
    # Steampipe makes one AWS call per row for some columns. Steampipe writes null if AWS has no value or refused the
    # call. If any row of an account has a value from a call, AWS allowed the call there, and a null means "no value".
    by_account: dict[str | None, list[_Row]] = defaultdict(list)
    for row in rows:
        by_account[account_of(row.arn)].append(row)
    roles: list[Role] = []
    for own in by_account.values():
        got_role = any(_has_value(getattr(row, column)) for row in own for column in _FROM_GET_ROLE)
        got_links = any(_has_value(row.instance_profile_arns) for row in own)
        roles += [_role(row, got_role, got_links) for row in own]
    return roles


def _role(row: _Row, got_role: bool, got_links: bool) -> Role:
    used, arns = row.role_last_used_date, row.instance_profile_arns
    trusts = (raw for raw in (row.assume_role_policy, row.assume_role_policy_std) if _has_value(raw))
    return Role(
        role_arn=row.arn,
        role_name=row.name,
        role_path=row.path,
        role_id=row.role_id,
        created_at=row.create_date,
        trust_policy=next(trusts, UNSET),
        description=row.description or None,
        max_session_seconds=row.max_session_duration,
        boundary=Boundary(row.permissions_boundary_arn) if row.permissions_boundary_arn else None,
        last_used=UNSET if _is_unknown(used, got_role) else LastUsed(used, row.role_last_used_region),  # type: ignore[arg-type]
        tags=_tags(row, got_role),
        profiles=UNSET if _is_unknown(arns, got_links) else [NestedProfile(arn) for arn in arns or ()],
    )


def _profiles(rows: list[_Row]) -> list[GotProfile]:
    return [
        GotProfile(
            profile_arn=row.arn,
            profile_name=row.instance_profile_name,
            profile_path=row.path,
            profile_id=row.instance_profile_id,
            created_at=row.create_date,
            roles=UNSET if row.roles is None else row.roles,
            tags=_tags(row, answered=False),
        )
        for row in rows
    ]


def _has_value(value: object) -> bool:
    return value is not None and value is not UNSET and value != Raw(b"null")


def _is_unknown(value: object, answered: bool) -> bool:
    return value is UNSET or (value is None and not answered)


def _tags(row: _Row, answered: bool) -> list[Tag] | UnsetType:
    if _has_value(row.tags_src):
        return list(row.tags_src or ())
    if _has_value(row.tags):
        return [Tag(key, value) for key, value in (row.tags or {}).items()]
    asked = row.tags is None or row.tags_src is None
    return [] if asked and answered else UNSET


_TABLES = (
    (_PROFILE, _PROFILE_COLUMNS, ":instance-profile/", _profiles),
    (_ROLE, _ROLE_COLUMNS, ":role/", _roles),
)
