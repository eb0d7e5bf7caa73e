"""What the answers do not show, and what that takes from them: each is a gap, with what would settle it."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory.staging import Book
from iamframe.knowledge.operations import ALL, CORE, GLOBAL, PROFILE_LIST, ROLE_LINKS, ROLE_LISTS, VERSIONS, cli_name
from iamframe.messages.text import counted

_SINGLE = {
    "roles_expected": ("GetRole", "ListRoleTags"),
    "profiles_expected": ("GetInstanceProfile", "ListInstanceProfileTags", "ListInstanceProfiles"),
}
# No account has that id.
_NOBODY = "\0"
_IAM_OWN = (*ROLE_LISTS, PROFILE_LIST, ROLE_LINKS, "GetRole", "GetInstanceProfile")


def note_shorter_than_counted(book: Book, roles: pa.Table, profiles: pa.Table) -> None:
    """Take wholeness from a list that holds less than GetAccountSummary counts."""
    for what, operations, expected, table in (
        ("role", ROLE_LISTS, "roles_expected", roles),
        ("instance profile", (PROFILE_LIST,), "profiles_expected", profiles),
    ):
        counts = table["account_id"].combine_chunks().value_counts()
        held = dict(zip(*(part.to_pylist() for part in counts.flatten()), strict=True))
        for gap in book.gaps:
            # What was deleted between its listing and its reading was counted, and is left out.
            if gap["reason"] == "vanished" and gap["operation"] in _SINGLE[expected]:
                held[gap["account_id"]] = held.get(gap["account_id"], 0) + 1
        for account, row in book.accounts.items():
            read = held.get(account, 0)
            if row.get(expected) is None or read >= row[expected]:
                continue
            for operation in operations:
                call = book.calls.get((account, operation, GLOBAL))
                if call and call.state == "complete":
                    call.state = "truncated"
                    number = held.get(account, 0)
                    book.gap(
                        account,
                        operation,
                        ALL,
                        "truncated",
                        f"{counted(number, what)} {'was' if number == 1 else 'were'} read and GetAccountSummary "
                        f"counts {row[expected]:,}: the list is not whole; list them again",
                    )


def note_lacking_others(book: Book, rows: pa.Table, key: str, operations: tuple[str, ...]) -> None:
    """Take wholeness from a list that lacks what another of IAM's own answers shows: they are not of one time.

    One that lacks nothing is whole, though other files hold parts of it and say that there is more.
    """
    own = [number for number, operation in enumerate(book.operations) if operation in _IAM_OWN]
    lists = [number for number in own if book.operations[number] in operations]
    if len(own) < 2 or not lists:
        return
    shown = rows.filter(pc.is_in(rows["origin"], value_set=pa.array(own, pa.int32())))
    frame = shown.select([key, "account_id", "origin"]).to_pandas().drop_duplicates([key, "origin"])
    # An ARN that names no account may stand in the files of several.
    everything = frame.drop_duplicates([key, "account_id"]).groupby("account_id").size()
    counts = frame[frame["origin"].isin(lists)].groupby(["account_id", "origin"]).size()
    for (account, origin), count in counts.items():
        operation = book.operations[origin]
        call = book.calls.get((account, operation, GLOBAL))
        if book.states[origin] != "complete" or not call:
            continue
        if count == everything[account] and call.state == "truncated" and not call.blank:
            call.state = "complete"
        elif count < everything[account] and call.state == "complete":
            call.state = "partial"
            _shows_less(book, account, operation, book.origins[origin], f"{count:,}", everything[account])
    # A list of none has no row that says whose it is.
    for account, total in everything.items():
        for operation in operations:
            call = book.calls.get((account, operation, GLOBAL))
            if call and call.state == "complete" and not call.rows:
                call.state = "partial"
                _shows_less(book, account, operation, operation, "none", total)

    whole = {(account, operation) for (account, operation, _), call in book.calls.items() if call.state == "complete"}
    book.gaps = [
        gap
        for gap in book.gaps
        if gap["reason"] != "truncated"
        or gap["operation"] not in operations
        or (gap["account_id"], gap["operation"]) not in whole
    ]


def _shows_less(book: Book, account: str, operation: str, origin: str, listed: str, total: int) -> None:
    book.gap(
        account,
        operation,
        origin,
        "contradicted",
        f"{origin} lists {listed} and {_all_read(book, account)} {total:,}: they are not of one time, and that list is "
        f"not whole; {_at_one_time(book, account)}",
    )


def _all_read(book: Book, account: str) -> str:
    return "all answers together show" if book.accounts[account].get("live") else "all files together show"


def _at_one_time(book: Book, account: str) -> str:
    return "load the account again" if book.accounts[account].get("live") else "load files of one time together"


def note_absent(book: Book, roles: pa.Table, profiles: pa.Table) -> None:
    """Note, per account, the lists, links, tags, quotas and references that no answer shows."""
    whole = {(account, operation) for (account, operation, _), c in book.calls.items() if c.state == "complete"}
    read = {(account, operation) for account, operation, _ in book.calls}
    # Each is looked through once, however many accounts there are.
    of_roles = _by_account(roles, ["role_arn", "role_name", "links_known", "tags_known"])
    of_profiles = _by_account(profiles, ["profile_arn", "profile_name", "role_known", "tags_known"])
    said = _with_subject(book)
    core = [(operation, cli_name(operation)) for operation in CORE]
    for account in book.accounts:
        mine = of_roles.get(account, of_roles[_NOBODY])
        theirs = of_profiles.get(account, of_profiles[_NOBODY])
        has_profiles = (account, PROFILE_LIST) in whole
        if not any((account, operation) in whole for operation in ROLE_LISTS):
            _lacks(
                book,
                account,
                "ListRoles",
                "the whole list of roles is",
                "aws iam get-account-authorization-details --filter Role",
            )
        if not has_profiles:
            _lacks(
                book,
                account,
                PROFILE_LIST,
                "the whole list of instance profiles, which alone shows empty ones, is",
                "aws iam list-instance-profiles",
            )
        # A profile of which nobody read what it holds may hold any of the roles.
        if not has_profiles or not np.asarray(theirs["role_known"]).all():
            _lacks_links(book, account, mine)
        for table, keys, what, operation, command in (
            (
                mine,
                ("role_arn", "role_name"),
                "role",
                "ListRoleTags",
                "aws iam get-account-authorization-details --filter Role",
            ),
            (
                theirs,
                ("profile_arn", "profile_name"),
                "instance profile",
                "ListInstanceProfileTags",
                "aws iam list-instance-profile-tags --instance-profile-name=NAME",
            ),
        ):
            unknown = table.filter(pc.invert(table["tags_known"]))
            number = len(unknown) - _with_own_gap(said.get(account, []), unknown, keys)
            if number:
                _lacks(book, account, operation, f"the tags of {number:,} of {counted(len(table), what)} are", command)
        if (account, "GetAccountSummary") not in read:
            _lacks(book, account, "GetAccountSummary", "the quotas are", "aws iam get-account-summary")
        for operation, command in core:
            if (account, operation) not in read:
                service = "ec2" if operation in CORE[:2] else "autoscaling"
                versions = " --versions '$Latest' '$Default'" if operation == VERSIONS else ""
                _lacks(
                    book,
                    account,
                    operation,
                    f"{command.removeprefix('describe-').replace('-', ' ')} are",
                    f"aws {service} {command}{versions}",
                    "unknown",
                )


def _by_account(table: pa.Table, columns: list[str]) -> dict[str, pa.Table]:
    """Return the rows of each account, and none for an account that has none."""
    accounts = table["account_id"].combine_chunks().dictionary_encode()
    codes = np.asarray(accounts.indices)
    table = table.select(columns)
    if len(accounts.dictionary) > 1:
        table = table.take(pa.array(np.argsort(codes, kind="stable"))).combine_chunks()
    starts = np.append(0, np.cumsum(np.bincount(codes, minlength=len(accounts.dictionary)))).tolist()
    parts = zip(accounts.dictionary.to_pylist(), pairwise(starts), strict=True)
    return {account: table.slice(start, end - start) for account, (start, end) in parts} | {_NOBODY: table.slice(0, 0)}


def _with_subject(book: Book) -> dict[str, list[tuple[str, str]]]:
    """Return, per account, the operation and subject of each gap that speaks of one resource."""
    said = defaultdict(list)
    for gap in book.gaps:
        if gap["subject"] != ALL:
            said[gap["account_id"]].append((gap["operation"], gap["subject"]))
    return said


def _with_own_gap(said: list[tuple[str, str]], resources: pa.Table, keys: tuple[str, str]) -> int:
    """Return of how many resources a gap of their own says why their tags are unknown."""
    telling = (*_SINGLE["roles_expected" if keys[0] == "role_arn" else "profiles_expected"], "tags")
    subjects = [subject for operation, subject in said if operation in telling]
    if not subjects:
        return 0
    named = pa.array(subjects, pa.string())
    return pc.sum(pc.or_(*(pc.is_in(resources[key], value_set=named) for key in keys))).as_py() or 0


def _lacks(book: Book, account: str, operation: str, what: str, command: str, region: str = GLOBAL) -> None:
    where = "" if region == GLOBAL else " of each region"
    if not book.accounts[account].get("live"):
        detail = f"{what} not in the files; the output of `{command}`{where} would show them"
        book.gap(account, operation, ALL, "not_in_file", detail, region)
        return
    # A live account has its own gap for each request that was refused, which stands before this one of the same key.
    book.gap(account, operation, ALL, "not_asked", f"{what} not known; `{command}`{where} would show them", region)


def _lacks_links(book: Book, account: str, roles: pa.Table) -> None:
    unknown = roles.filter(pc.invert(roles["links_known"]))
    if len(roles) and len(unknown) == len(roles):
        _lacks(
            book,
            account,
            ROLE_LINKS,
            f"the profiles that hold the {counted(len(roles), 'role')} are",
            "aws iam list-instance-profiles",
        )
    elif len(unknown):
        for arn in unknown["role_arn"].to_pylist():
            live = book.accounts[account].get("live")
            reason, where = ("not_asked", "known") if live else ("not_in_file", "in the files")
            book.gap(account, ROLE_LINKS, arn, reason, f"the profiles that hold {arn} are not {where}")
