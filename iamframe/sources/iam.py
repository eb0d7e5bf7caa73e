"""Read the AWS CLI's output about roles, profiles, their tags, and the account itself."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from msgspec import UNSET

from iamframe.knowledge.operations import DUMP, PROFILE_LIST, ROLE_LINKS
from iamframe.sources.archives import Unreadable
from iamframe.sources.documents import Value, object_of
from iamframe.sources.records import (
    Account,
    Answer,
    Count,
    Gap,
    GotProfile,
    GotRole,
    ListedProfile,
    ListedRole,
    RoleDetail,
    Tag,
    TagListing,
    account_of_summary,
    tags_or_none,
)
from iamframe.sources.shapes import PAGE_KEYS, ROWS, Document, in_cli_form, shape

# The folders of tag listings, where each file is named after its resource.
_TAG_FOLDERS = {
    "instance-profile-tags": ("instance-profile", "ListInstanceProfileTags"),
    "role-tags": ("role", "ListRoleTags"),
}


@shape("RoleDetailList")
def account_dump(document: Document) -> Iterable[Answer]:
    if document.items("RoleDetailList"):
        return [document.listing("RoleDetailList", DUMP, RoleDetail)]
    return [_no_roles(document, DUMP)]


def _no_roles(document: Document, operation: str) -> Answer:
    # Each account has roles, such as that of AWS Support (AWS Support User Guide, "Using service-linked roles"). With
    # `--filter User` or `--path-prefix`, the AWS CLI prints an empty list, too.
    reading, label = document.reading, document.piece.label
    lists = (document.keys.get(key) for key in ("UserDetailList", "GroupDetailList", "Policies"))
    others = b"".join(bytes(item) for items in lists if isinstance(items, list) for item in items)
    accounts = {a.decode() for a in re.findall(rb'"arn:[^":]*:iam::([^":]+):(?:user|group|policy)/', others)}
    accounts -= {"aws"}
    for account in accounts:
        reading.carried.add(document.piece, account)
    account_id = accounts.pop() if len(accounts) == 1 else None
    reading.has_read |= bool(others)
    gap = Gap(operation, label, "truncated", "gaps.answer.no_roles", {"file": label}, account_id=account_id)
    reading.gap(document.piece, gap)
    return document.answer(operation, account_id=account_id, state="truncated" if document.is_truncated else "partial")


# A profile without a key around it has the key `Roles`, too.
@shape("Roles", when=lambda document: "InstanceProfileName" not in document.keys)
def role_list(document: Document) -> Iterable[Answer]:
    if document.items("Roles"):
        return [document.listing("Roles", "ListRoles", ListedRole)]
    return [_no_roles(document, "ListRoles")]


@shape("Role")
def one_role(document: Document) -> Iterable[Answer]:
    answer = document.single("Role", "GetRole", GotRole)
    for role in (role for chunk in answer for role in chunk):
        tags_or_none(role)  # type: ignore[arg-type]
    return [answer]


@shape("InstanceProfiles")
def profile_list(document: Document) -> Iterable[Answer]:
    # Both outputs have the same shape. Only the name of the file or its folder shows that the profiles are one role's.
    folder = in_cli_form("".join(document.piece.folders[-1:]))
    if "for-role" in in_cli_form(document.piece.name) or folder.endswith("for-role"):
        return [document.listing("InstanceProfiles", ROLE_LINKS, ListedProfile, lists_all=False)]
    return [document.listing("InstanceProfiles", PROFILE_LIST, ListedProfile)]


@shape("InstanceProfile")
def one_profile(document: Document) -> Iterable[Answer]:
    return [document.single("InstanceProfile", "GetInstanceProfile", GotProfile)]


# The output of `aws iam get-role --query Role`.
@shape("RoleName", "Arn")
@shape("InstanceProfileName", "Arn")
def role_or_profile(document: Document) -> Iterable[Answer]:
    record = _role_or_profile(document)
    return [document.answer(_OPERATIONS[type(record)], [record])]


@shape("RoleName", "Arn", of_items=True)
@shape("InstanceProfileName", "Arn", of_items=True)
def roles_and_profiles(document: Document) -> Iterable[Answer]:
    records: dict[type, list[Any]] = defaultdict(list)
    for number, item in enumerate(document.items(ROWS)):
        place = f"{document.place}[{number}]"
        with document.reading.gap_if_unreadable(document.piece, place):
            record = _role_or_profile(document.within(place, object_of(item, place)))
            records[type(record)].append(record)
    # The list comes from `--query Roles` or `--query 'InstanceProfiles[]'`. A query may leave out roles or profiles, so
    # the list is never treated as complete.
    return [document.answer(_OPERATIONS[kind], chunk) for kind, chunk in records.items()]


_OPERATIONS: dict[type, str] = {GotRole: "GetRole", RoleDetail: "GetRole", GotProfile: "GetInstanceProfile"}


def _role_or_profile(document: Document) -> GotRole | RoleDetail | GotProfile:
    # A query prints null for a key that the object lacks.
    keys: dict[str, Value] = {key: value for key, value in document.keys.items() if value is not None}
    if "RolePolicyList" in keys:
        # This role is from an account dump, which has the tags of all roles.
        return document.within(document.place, keys).decode(RoleDetail)  # type: ignore[no-any-return]
    kind = GotProfile if "InstanceProfileName" in keys else GotRole
    if not keys.keys() & {"InstanceProfileName", "RoleName"}:
        raise document.of_unknown_shape()
    record: GotRole | GotProfile = document.within(document.place, keys).decode(kind)
    # The object may be from a list, which has neither tags nor last use. Tools that imitate AWS print them empty there.
    if not record.tags:
        record.tags = UNSET
    if isinstance(record, GotRole) and record.last_used and not record.last_used.at:
        record.last_used = UNSET
    return record


@shape("SummaryMap")
def account_summary(document: Document) -> Iterable[Answer]:
    account = account_of_summary(document.decode(dict[str, Count], "SummaryMap"))
    return [document.answer("GetAccountSummary", [account], state="complete")]


@shape("UserId", "Account")
def caller_identity(document: Document) -> Iterable[Answer]:
    account = document.text("Account")
    if account:
        # The account applies to the whole folder.
        document.reading.callers[document.piece.folders].add(account)
    caller = Account(caller_arn=document.text("Arn") if "Arn" in document.keys else None)
    return [document.answer("GetCallerIdentity", [caller], account_id=account, state="complete")]


@shape("AccountAliases")
def account_aliases(document: Document) -> Iterable[Answer]:
    aliases = [alias for chunk in document.records("AccountAliases", str) for alias in chunk]
    account = Account(account_name=str(aliases[0]) if aliases else None)
    return [document.answer("ListAccountAliases", [account], state="complete")]


@shape("Tags", when=lambda document: document.keys.keys() <= {"Tags", *PAGE_KEYS})
def tag_list(document: Document) -> Iterable[Answer]:
    # The output does not show which role or profile has the tags.
    folder = document.piece.folders[-1] if document.piece.folders else ""
    if folder not in _TAG_FOLDERS:
        raise Unreadable("gaps.file.whose_tags")
    resource_type, operation = _TAG_FOLDERS[folder]
    name = document.piece.name.rsplit(".json", 1)[0]
    cut_short, place = document.reading.cut_short, document.piece.place
    if document.is_truncated or place in cut_short:
        cut_short.add(place)
        gap = Gap(operation, name, "truncated", "gaps.answer.tags_truncated", {"file": document.piece.label})
        return [document.answer(operation, [gap])]
    tags: list[Any] = [tag for chunk in document.records("Tags", Tag) for tag in chunk]
    is_complete = len(tags) == len(document.items("Tags"))
    return [document.answer(operation, [TagListing(resource_type, name, tags)])] if is_complete else []
