"""Report in the frame `gaps` which data is missing, and how to collect that data.

GetAccountSummary and other responses from IAM show which lists are incomplete. If resources are created or deleted
while a list is read page by page, a role or profile that exists can be missing from all pages.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory.arrow import Positions
from iamframe.inventory.merge import Merged, rows_by_name
from iamframe.inventory.staging import Kind, Staging
from iamframe.knowledge.arn import name_of
from iamframe.knowledge.operations import (
    ALL,
    CONFIGURATIONS,
    GLOBAL,
    GROUPS,
    INSTANCES,
    PROFILE_LIST,
    PROFILE_TAGS,
    ROLE_LINKS,
    ROLE_LIST,
    ROLE_LISTS,
    SUMMARY,
    UNKNOWN_REGION,
    VERSIONS,
    command_of,
    proving,
)
from iamframe.messages.render import say

# Only IAM's own answers: Config items, Terraform state and similar files need not show all of an account.
_OF_IAM = proving("roles", "profiles", "role_links", "role", "profile")
# The messages of failed requests.
_FAILED = ("gaps.refused", "gaps.vanished")
_USERS = {
    INSTANCES: "gaps.absent.instances",
    VERSIONS: "gaps.absent.template_versions",
    CONFIGURATIONS: "gaps.absent.configurations",
    GROUPS: "gaps.absent.groups",
}


def per_account(accounts: pa.ChunkedArray) -> dict[str, int]:
    counts = accounts.combine_chunks().value_counts()
    return dict(zip(*(part.to_pylist() for part in counts.flatten()), strict=True))


def judge_lists(staged: Staging, merged: Merged) -> None:
    _compare_with_other_answers(staged, merged)
    _compare_with_summary(staged, merged)


def _compare_with_other_answers(staged: Staging, merged: Merged) -> None:
    kind, rows = merged.kind, merged.rows
    own = [number for number, operation in enumerate(staged.operations) if operation in _OF_IAM]
    lists = [number for number in own if staged.operations[number] in kind.lists]
    if len(own) < 2 or not lists:
        return
    accounts = rows["account_id"].combine_chunks().dictionary_encode()
    account, origin = np.asarray(accounts.indices.fill_null(-1)).astype(np.int64), np.asarray(rows["origin"])

    def distinct(group: Positions, origins: list[int]) -> Iterator[tuple[int, int]]:
        # An ARN without an account may be in the files of several accounts.
        among = np.isin(origin, origins) & (account >= 0)
        pairs = pd.unique(group[among] * len(merged.table) + merged.code[among])
        counts = np.unique(pairs // max(len(merged.table), 1), return_counts=True)
        return zip(*(each.tolist() for each in counts), strict=True)

    totals = dict(distinct(account, own))
    names = accounts.dictionary.to_pylist()
    for group, count in distinct(account * len(staged.operations) + origin, lists):
        place, number = divmod(group, len(staged.operations))
        account_id, operation = names[place], staged.operations[number]
        call = staged.calls.get((account_id, operation, GLOBAL))
        if staged.states[number] != "complete" or not call:
            continue
        if count == totals[place] and call.state == "truncated" and not call.lacks:
            # This file contains the complete list, and other files contain parts of the list.
            call.state = "complete"
        elif count < totals[place] and call.state == "complete":
            call.state = "partial"
            _shows_less(staged, account_id, operation, staged.origins[number], count, totals[place])
    for place, total in totals.items():
        for operation in kind.lists:
            # An empty list has no rows, so the loop above does not reach it.
            call = staged.calls.get((names[place], operation, GLOBAL))
            if call and call.state == "complete" and not call.rows:
                call.state = "partial"
                _shows_less(staged, names[place], operation, operation, 0, total)
    _forget_truncated(staged, kind)


def _forget_truncated(staged: Staging, kind: Kind) -> None:
    # Another file may contain a complete list.
    whole = staged.complete_lists()
    staged.gaps[:] = [
        gap
        for gap in staged.gaps
        if gap.reason != "truncated" or gap.operation not in kind.lists or (gap.account_id, gap.operation) not in whole
    ]


def _shows_less(staged: Staging, account: str, operation: str, origin: Any, listed: int, total: int) -> None:
    facts = {"origin": origin, "listed": listed, "total": total, "live": staged.accounts[account]["live"]}
    subject = operation if origin == operation else say(**origin)
    staged.gaps.add(account, operation, subject, "contradicted", "gaps.contradicted.total", **facts)


def _compare_with_summary(staged: Staging, merged: Merged) -> None:
    kind = merged.kind
    # A resource of a Terraform plan, or of an older Config item, may not exist.
    of_iam = [number for number, operation in enumerate(staged.operations) if operation in _OF_IAM]
    listed = np.unique(merged.code[np.isin(np.asarray(merged.rows["origin"]), of_iam)])
    held = Counter(per_account(merged.table["account_id"].take(pa.array(listed))))
    gone = {
        (str(gap.account_id), name_of(gap.subject).casefold())
        for gap in staged.gaps
        if gap.reason == "vanished" and gap.operation in kind.single and gap.subject != ALL
    }
    # Resources that were deleted during the load may still be in the counts of GetAccountSummary.
    held.update(account for account, _ in gone.difference(rows_by_name(merged) if gone else ()))
    for account in staged.accounts:
        number, expected = held[account], max(staged.summaries.get((account, kind.expected), ()), default=0)
        if number >= expected:
            continue
        for operation in kind.lists:
            call = staged.calls.get((account, operation, GLOBAL))
            if call and call.state == "complete":
                call.state = "truncated"
                facts: dict[str, Any] = {"kind": kind.noun, "count": number, "expected": expected}
                staged.gaps.add(account, operation, ALL, "truncated", "gaps.contradicted.count", **facts)


def note_absent(staged: Staging, roles: Merged, profiles: Merged) -> None:
    whole = staged.complete_lists()
    read = {(account, operation) for account, operation, _ in staged.calls}
    for account in staged.accounts:
        if not any((account, operation) in whole for operation in ROLE_LISTS):
            _absent(staged, account, ROLE_LIST, "gaps.absent.roles")
        if (account, PROFILE_LIST) not in whole:
            _absent(staged, account, PROFILE_LIST, "gaps.absent.profiles")
        if (account, SUMMARY) not in read:
            _absent(staged, account, SUMMARY, "gaps.absent.quotas")
        for operation, what in _USERS.items():
            if (account, operation) not in read:
                _absent(staged, account, operation, what, UNKNOWN_REGION)
    _note_absent_links(staged, whole, roles.table, profiles.table)
    for merged in (roles, profiles):
        _note_absent_tags(staged, merged.kind, merged.table)


def _absent(
    staged: Staging,
    account: str,
    operation: str,
    what: str,
    region: str = GLOBAL,
    advice: str = "gaps.not_in_files",
    **facts: Any,
) -> None:
    command = f"`{command_of(operation)}`"
    everywhere = command if region == GLOBAL else {"message": "gaps.each_region", "command": command}
    # If AWS refused the request, a gap with this key exists already, and the first gap counts.
    live = staged.accounts[account]["live"]
    reason, message = ("not_asked", "gaps.not_known") if live else ("not_in_file", advice)
    absent = {"what": {"message": what, **facts}, "command": everywhere}
    staged.gaps.add(account, operation, ALL, reason, message, region, **absent)


def _note_absent_links(staged: Staging, whole: set[tuple[str, str]], roles: pa.Table, profiles: pa.Table) -> None:
    unknown = roles.filter(pc.invert(roles["links_known"]))
    by_account = defaultdict(list)
    for account, arn in zip(*(unknown[name].to_pylist() for name in ("account_id", "role_arn")), strict=True):
        by_account[account].append(arn)
    # A profile whose role was not collected may hold any role of the account.
    unread = {*pc.unique(profiles["account_id"].filter(pc.invert(profiles["role_known"]))).to_pylist()}
    totals = per_account(roles["account_id"])
    for account, arns in by_account.items():
        if (account, PROFILE_LIST) in whole and account not in unread:
            continue
        if len(arns) == totals[account]:
            _absent(staged, account, ROLE_LINKS, "gaps.absent.links", total=len(arns))
            continue
        live = staged.accounts[account]["live"]
        reason = "not_asked" if live else "not_in_file"
        for arn in arns:
            staged.gaps.add(account, ROLE_LINKS, arn, reason, "gaps.absent.links_of_one", arn=arn, live=live)


def _note_absent_tags(staged: Staging, kind: Kind, resources: pa.Table) -> None:
    unknown = resources.filter(pc.invert(resources["tags_known"]))
    numbers = Counter(per_account(unknown["account_id"]))
    # A resource whose request failed already has a gap. Other gaps of GetRole do not concern tags.
    own = {
        (gap.account_id, gap.subject)
        for gap in staged.gaps
        if gap.operation in (kind.tags, "tags") or (gap.operation in kind.single and gap.message.startswith(_FAILED))
    }
    if own:
        columns = (unknown[name].to_pylist() for name in ("account_id", kind.key, kind.name))
        has_own = (
            account for account, arn, name in zip(*columns, strict=True) if {(account, arn), (account, name)} & own
        )
        numbers.subtract(has_own)
    totals = per_account(resources["account_id"])
    for account, number in numbers.items():
        if number:
            facts: dict[str, Any] = {"kind": kind.noun, "n": number, "total": totals[account]}
            of_one = {"advice": "gaps.tags_not_in_files"} if kind.tags == PROFILE_TAGS else {}
            _absent(staged, account, kind.tags, "gaps.absent.tags", **of_one, **facts)
