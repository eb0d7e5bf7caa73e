"""IAM's own answers, and answers about the account itself, as the AWS CLI prints them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from iamframe.knowledge.operations import DUMP, PROFILE_LIST, ROLE_LINKS
from iamframe.sources.archives import Unreadable
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
from iamframe.sources.shapes import Document, shape

# The folders of tag listings, where each file is named after its resource.
_TAG_FOLDERS = {
    "instance-profile-tags": ("instance-profile", "ListInstanceProfileTags"),
    "role-tags": ("role", "ListRoleTags"),
}


@shape("RoleDetailList")
def account_dump(document: Document) -> Iterable[Answer]:
    """Read the output of `aws iam get-account-authorization-details`."""
    if document.items("RoleDetailList"):
        return [document.listing("RoleDetailList", DUMP, RoleDetail)]
    return [_dump_without_roles(document)]


def _dump_without_roles(document: Document) -> Answer:
    # `--filter User` prints an empty list of roles too, so an empty list proves nothing.
    reading, label = document.reading, document.piece.label
    lists = (document.keys.get(key) for key in ("UserDetailList", "GroupDetailList", "Policies"))
    others = b"".join(bytes(item) for items in lists if isinstance(items, list) for item in items)
    accounts = {a.decode() for a in re.findall(rb'"arn:[^":]*:iam::([^":]+):(?:user|group|policy)/', others)}
    accounts -= {"aws"}
    for account in accounts:
        reading.carried.add(document.piece, account)
    account_id = accounts.pop() if len(accounts) == 1 else None
    reading.has_read |= bool(others)
    gap = Gap(DUMP, label, "truncated", "gaps.answer.no_roles", {"file": label}, account_id=account_id)
    reading.gap(document.piece, gap)
    return document.answer(DUMP, account_id=account_id, state="truncated" if document.is_truncated else "partial")


@shape("Roles")
def role_list(document: Document) -> Iterable[Answer]:
    """Read the output of `aws iam list-roles`."""
    return [document.listing("Roles", "ListRoles", ListedRole)]


@shape("Role")
def one_role(document: Document) -> Iterable[Answer]:
    """Read the output of `aws iam get-role`."""
    answer = document.single("Role", "GetRole", GotRole)
    for role in (role for chunk in answer for role in chunk):
        tags_or_none(role)  # type: ignore[arg-type]
    return [answer]


@shape("InstanceProfiles")
def profile_list(document: Document) -> Iterable[Answer]:
    """Read the output of `aws iam list-instance-profiles`.

    The output of `aws iam list-instance-profiles-for-role` has the same shape and is read too.
    """
    # Only the file's name shows which of the two it is. The second lists the profiles of one role only.
    if "for-role" in document.piece.name.lower():
        return [document.listing("InstanceProfiles", ROLE_LINKS, ListedProfile, lists_all=False)]
    return [document.listing("InstanceProfiles", PROFILE_LIST, ListedProfile)]


@shape("InstanceProfile")
def one_profile(document: Document) -> Iterable[Answer]:
    """Read the output of `aws iam get-instance-profile`."""
    return [document.single("InstanceProfile", "GetInstanceProfile", GotProfile)]


@shape("SummaryMap")
def account_summary(document: Document) -> Iterable[Answer]:
    """Read the output of `aws iam get-account-summary`."""
    account = account_of_summary(document.decode(dict[str, Count], "SummaryMap"))
    return [document.answer("GetAccountSummary", [account], state="complete")]


@shape("UserId", "Account", "Arn")
def caller_identity(document: Document) -> Iterable[Answer]:
    """Read the output of `aws sts get-caller-identity`."""
    account, arn = document.text("Account"), document.text("Arn")
    return [document.answer("GetCallerIdentity", [Account(caller_arn=arn)], account_id=account, state="complete")]


@shape("AccountAliases")
def account_aliases(document: Document) -> Iterable[Answer]:
    """Read the output of `aws iam list-account-aliases`."""
    aliases = [alias for chunk in document.records("AccountAliases", str) for alias in chunk]
    account = Account(account_name=str(aliases[0]) if aliases else None)
    return [document.answer("ListAccountAliases", [account], state="complete")]


def _has_only_tags(document: Document) -> bool:
    return not document.keys.keys() - {"Tags", "IsTruncated", "Marker", "NextToken", "ResponseMetadata"}


@shape("Tags", when=_has_only_tags)
def tag_list(document: Document) -> Iterable[Answer]:
    """Read the output of `aws iam list-role-tags` or `list-instance-profile-tags`.

    The output does not name its resource. The names of the file and its folder show which resource it is.
    """
    folder = document.piece.folders[-1] if document.piece.folders else ""
    if folder not in _TAG_FOLDERS:
        raise Unreadable("gaps.file.whose_tags")
    resource_type, operation = _TAG_FOLDERS[folder]
    name = document.piece.name.rsplit(".json", 1)[0]
    if document.is_truncated:
        gap = Gap(operation, name, "truncated", "gaps.answer.tags_truncated", {"file": document.piece.label})
        return [document.answer(operation, [gap])]
    tags: list[Any] = [tag for chunk in document.records("Tags", Tag) for tag in chunk]
    is_complete = len(tags) == len(document.items("Tags"))
    return [document.answer(operation, [TagListing(resource_type, name, tags)])] if is_complete else []
