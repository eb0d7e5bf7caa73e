"""Check whether each list is whole, and note what no answer shows: each gap says what would settle it.

A list that claims to be whole is not believed if GetAccountSummary counts more, or if another of IAM's own answers
shows more: answers of different times do not add up to one account.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory.arrow import Positions
from iamframe.inventory.staging import Staging
from iamframe.knowledge.operations import (
    ALL,
    CORE,
    GLOBAL,
    PROFILE,
    PROFILE_LIST,
    PROFILE_TAGS,
    ROLE,
    ROLE_LINKS,
    ROLE_LIST,
    ROLE_LISTS,
    ROLE_TAGS,
    SUMMARY,
    UNKNOWN_REGION,
    cli_name,
    command_of,
    proving,
)
from iamframe.messages.text import pluralize

# Only IAM's own answers: Config items, Terraform state and the like need not show a whole account.
_OF_IAM = proving("roles", "profiles", "role_links", "role", "profile")


class Kind(NamedTuple):
    """Roles or profiles: the words for one, its columns, and the operations that read it."""

    noun: str
    key: str
    name: str
    lists: tuple[str, ...]
    single: tuple[str, ...]
    tags: str
    expected: str


ROLE_KIND = Kind("role", "role_arn", "role_name", ROLE_LISTS, (ROLE, ROLE_TAGS), ROLE_TAGS, "roles_expected")
PROFILE_KIND = Kind(
    "instance profile",
    "profile_arn",
    "profile_name",
    (PROFILE_LIST,),
    (PROFILE, PROFILE_TAGS, PROFILE_LIST),
    PROFILE_TAGS,
    "profiles_expected",
)


def per_account(accounts: pa.ChunkedArray) -> dict[str, int]:
    """Return how many rows each account has."""
    counts = accounts.combine_chunks().value_counts()
    return dict(zip(*(part.to_pylist() for part in counts.flatten()), strict=True))


def judge_lists(staged: Staging, kind: Kind, rows: pa.Table, code: Positions, merged: pa.Table) -> None:
    """Correct which lists are `complete`, by the resources that other answers show or count.

    Parameters
    ----------
    rows, code
        The staged rows, and the row of `merged` that each became.
    """
    _compare_with_other_answers(staged, kind, rows, code)
    _compare_with_summary(staged, kind, merged)


def _compare_with_other_answers(staged: Staging, kind: Kind, rows: pa.Table, code: Positions) -> None:
    own = [number for number, operation in enumerate(staged.operations) if operation in _OF_IAM]
    lists = [number for number in own if staged.operations[number] in kind.lists]
    if len(own) < 2 or not lists:
        return
    accounts = rows["account_id"].combine_chunks().dictionary_encode()
    shown = pd.DataFrame({"key": code, "account": accounts.indices, "origin": rows["origin"]})
    shown = shown[shown["origin"].isin(own)].drop_duplicates(["key", "origin"])
    # An ARN without an account may be in the files of several accounts.
    totals = shown.drop_duplicates(["key", "account"]).groupby("account").size()
    listed = shown[shown["origin"].isin(lists)].groupby(["account", "origin"]).size()
    names = accounts.dictionary.to_pylist()
    for place, origin, count in listed.reset_index(name="count").itertuples(index=False, name=None):
        account, operation = names[place], staged.operations[origin]
        call = staged.calls.get((account, operation, GLOBAL))
        if staged.states[origin] != "complete" or not call:
            continue
        if count == totals[place] and call.state == "truncated" and not call.blank:
            # Other files hold parts of this list, and say that there is more.
            call.state = "complete"
        elif count < totals[place] and call.state == "complete":
            call.state = "partial"
            _shows_less(staged, account, operation, staged.origins[origin], f"{count:,}", totals[place])
    for place, total in totals.items():
        for operation in kind.lists:
            # An empty list has no rows, so the loop above does not reach it.
            call = staged.calls.get((names[place], operation, GLOBAL))
            if call and call.state == "complete" and not call.rows:
                call.state = "partial"
                _shows_less(staged, names[place], operation, operation, "none", total)
    _forget_truncated(staged, kind)


def _forget_truncated(staged: Staging, kind: Kind) -> None:
    """Drop the gaps of files that are parts of a list which another file holds whole."""
    whole = {(account, operation) for (account, operation, _), c in staged.calls.items() if c.state == "complete"}
    staged.gaps.rows = [
        gap
        for gap in staged.gaps.rows
        if gap["reason"] != "truncated"
        or gap["operation"] not in kind.lists
        or (gap["account_id"], gap["operation"]) not in whole
    ]


def _shows_less(staged: Staging, account: str, operation: str, origin: str, listed: str, total: int) -> None:
    others, advice = "all files together show", "load files of one time together"
    if staged.accounts[account].get("live"):
        others, advice = "all answers together show", "load the account again"
    staged.gaps.add(
        account,
        operation,
        origin,
        "contradicted",
        f"{origin} lists {listed} and {others} {total:,}: they are not of one time, and that list is not whole; "
        f"{advice}",
    )


def _compare_with_summary(staged: Staging, kind: Kind, merged: pa.Table) -> None:
    held = Counter(per_account(merged["account_id"]))
    # GetAccountSummary may count resources that were deleted during the load. The table lacks them, so they are added.
    vanished = (gap for gap in staged.gaps.rows if gap["reason"] == "vanished" and gap["operation"] in kind.single)
    held.update(gap["account_id"] for gap in vanished)
    for account, row in staged.accounts.items():
        number, expected = held[account], row.get(kind.expected)
        if expected is None or number >= expected:
            continue
        for operation in kind.lists:
            call = staged.calls.get((account, operation, GLOBAL))
            if call and call.state == "complete":
                call.state = "truncated"
                staged.gaps.add(
                    account,
                    operation,
                    ALL,
                    "truncated",
                    f"{pluralize(number, kind.noun)} {'was' if number == 1 else 'were'} read and GetAccountSummary "
                    f"counts {expected:,}: the list is not whole; list them again",
                )


def note_absent(staged: Staging, roles: pa.Table, profiles: pa.Table) -> None:
    """Add, per account, a gap for each list, link, tag, quota and reference that no answer shows."""
    whole = {(account, operation) for (account, operation, _), c in staged.calls.items() if c.state == "complete"}
    read = {(account, operation) for account, operation, _ in staged.calls}
    for account in staged.accounts:
        if not any((account, operation) in whole for operation in ROLE_LISTS):
            _absent(staged, account, ROLE_LIST, "the whole list of roles is")
        if (account, PROFILE_LIST) not in whole:
            what = "the whole list of instance profiles, which alone shows empty ones, is"
            _absent(staged, account, PROFILE_LIST, what)
        if (account, SUMMARY) not in read:
            _absent(staged, account, SUMMARY, "the quotas are")
        for operation in CORE:
            if (account, operation) not in read:
                listed = cli_name(operation).removeprefix("describe-").replace("-", " ")
                _absent(staged, account, operation, f"{listed} are", UNKNOWN_REGION)
    _note_absent_links(staged, whole, roles, profiles)
    _note_absent_tags(staged, ROLE_KIND, roles)
    _note_absent_tags(staged, PROFILE_KIND, profiles)


def _absent(staged: Staging, account: str, operation: str, what: str, region: str = GLOBAL) -> None:
    command = f"`{command_of(operation)}`" + ("" if region == GLOBAL else " of each region")
    if staged.accounts[account].get("live"):
        # If AWS refused the request, a gap with this key exists already, and that one counts.
        detail = f"{what} not known; {command} would show them"
        staged.gaps.add(account, operation, ALL, "not_asked", detail, region)
    else:
        detail = f"{what} not in the files; the output of {command} would show them"
        staged.gaps.add(account, operation, ALL, "not_in_file", detail, region)


def _note_absent_links(staged: Staging, whole: set[tuple[str, str]], roles: pa.Table, profiles: pa.Table) -> None:
    unknown = roles.filter(pc.invert(roles["links_known"]))
    by_account = defaultdict(list)
    for account, arn in zip(*(unknown[name].to_pylist() for name in ("account_id", "role_arn")), strict=True):
        by_account[account].append(arn)
    # A profile whose role was not read may hold any role of the account.
    unread = {*pc.unique(profiles["account_id"].filter(pc.invert(profiles["role_known"]))).to_pylist()}
    totals = per_account(roles["account_id"])
    for account, arns in by_account.items():
        if (account, PROFILE_LIST) in whole and account not in unread:
            continue
        if len(arns) == totals[account]:
            what = f"the profiles that hold the {pluralize(len(arns), 'role')} are"
            _absent(staged, account, ROLE_LINKS, what)
            continue
        is_live = staged.accounts[account].get("live")
        reason, where = ("not_asked", "known") if is_live else ("not_in_file", "in the files")
        for arn in arns:
            staged.gaps.add(account, ROLE_LINKS, arn, reason, f"the profiles that hold {arn} are not {where}")


def _note_absent_tags(staged: Staging, kind: Kind, merged: pa.Table) -> None:
    unknown = merged.filter(pc.invert(merged["tags_known"]))
    numbers = Counter(per_account(unknown["account_id"]))
    # A resource whose request failed has a gap of its own.
    telling = (*kind.single, "tags")
    own = {
        (gap["account_id"], gap["subject"])
        for gap in staged.gaps.rows
        if gap["operation"] in telling and gap["subject"] != ALL
    }
    if own:
        columns = (unknown[name].to_pylist() for name in ("account_id", kind.key, kind.name))
        has_own = (
            account for account, arn, name in zip(*columns, strict=True) if {(account, arn), (account, name)} & own
        )
        numbers.subtract(has_own)
    totals = per_account(merged["account_id"])
    for account, number in numbers.items():
        if number:
            what = f"the tags of {number:,} of {pluralize(totals[account], kind.noun)} are"
            _absent(staged, account, kind.tags, what)
