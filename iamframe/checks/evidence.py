"""What was collected in each account, and which operations AWS refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from iamframe.checks.tag_policy import Policy
from iamframe.inventory.arrow import Bools, index_in, is_in
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.views import owned_profiles
from iamframe.knowledge.operations import CHECK_SNAPSHOT, DUMP, PROFILE_LIST, ROLE_LISTS, TAG_INDEX, command_of
from iamframe.messages.render import Message, nested

_OF_LINK = ["account_id", "role_path", "trusts_ec2", "is_aws_managed", "profile_tags_known", "role_tags_known"]
# For roles and profiles: the operations that list them, and the operation whose command the advice gives.
_LISTINGS = {"profile": ((PROFILE_LIST,), PROFILE_LIST), "role": (ROLE_LISTS, DUMP)}


@dataclass
class Evidence:
    inventory: Inventory
    pairs: pd.DataFrame
    lists: pd.DataFrame
    policy: Policy
    _counts: dict[KnownRows, Counts] = field(default_factory=dict)

    @cached_property
    def accounts(self) -> list[str]:
        return list(self.inventory.accounts["account_id"])

    @cached_property
    def live(self) -> set[str]:
        calls = self.inventory.calls
        return set(calls["account_id"][calls["requests"] > 0])

    @cached_property
    def owned(self) -> pd.DataFrame:
        return owned_profiles(self.inventory)

    @cached_property
    def links(self) -> pd.DataFrame:
        return self.pairs[_OF_LINK][self.pairs["relation"].notna()]

    def count(self, rows: KnownRows) -> Counts:
        if rows not in self._counts:
            frame, known = rows(self)
            account = index_in(frame["account_id"], self.inventory.accounts["account_id"])
            every, is_known = np.ones(len(account), dtype=bool), np.asarray(known, bool)
            size = len(self.accounts)
            both = (np.bincount(account[mask & (account >= 0)], minlength=size).tolist() for mask in (every, is_known))
            self._counts[rows] = dict(zip(self.accounts, zip(*both, strict=True), strict=True))
        return self._counts[rows]

    def whole(self, side: str) -> set[str]:
        return set(self.lists["account_id"][self.lists[f"{side}s_whole"]])

    def read(self, operations: tuple[str, ...]) -> set[str]:
        calls = self.inventory.calls
        return set(calls["account_id"][is_in(calls["operation"], operations) & (calls["state"] != "refused")])

    @cached_property
    def _truncated(self) -> pd.DataFrame:
        calls = self.inventory.calls
        return calls[["account_id", "operation", "requests"]][calls["state"] == "truncated"]

    @cached_property
    def _refused(self) -> list[tuple[str, str, str]]:
        gaps = self.inventory.gaps
        each = zip(*(gaps[name] for name in ("account_id", "operation", "reason")), strict=True)
        return list(dict.fromkeys(one for one in each if one[2] in ("denied", "throttled", "expired")))

    def refusals(self, operations: tuple[str, ...]) -> dict[str, Message]:
        return {
            account: {"message": "coverage.refused", "operation": operation, "reason": reason}
            for account, operation, reason in self._refused
            if operation in operations
        }

    @cached_property
    def indexed(self) -> dict[str, int]:
        tags = self.inventory.tags
        of_index = tags[tags["tag_source"] == TAG_INDEX]
        counts = of_index.groupby("account_id")["resource_arn"].nunique()
        return {str(account): int(count) for account, count in counts.items()}

    @cached_property
    def failed(self) -> dict[str, Verdict]:
        gaps = self.inventory.gaps[self.inventory.gaps["operation"] == CHECK_SNAPSHOT]
        each = zip(gaps["account_id"], gaps["message"], gaps["facts"], strict=True)
        return {
            account: ("unknown", {**nested(message, facts), "message": "coverage.no_shard"})
            for account, message, facts in each
        }

    def list_facts(self, side: str) -> dict[str, dict[str, Any]]:
        operations, listing = _LISTINGS[side]
        refusals = self.refusals(operations)
        facts: dict[str, dict[str, Any]] = {
            account: {"refusal": refusals.get(account), "advice": advice(listing, refusals.get(account))}
            for account in self.accounts
        }
        cut = self._truncated[is_in(self._truncated["operation"], operations)]
        if cut.empty:
            return facts
        live, accounts = set(cut["account_id"][cut["requests"] > 0]), self.inventory.accounts.set_index("account_id")
        read = getattr(self.inventory, f"{side}s")["account_id"].value_counts()
        for account in facts.keys() & set(cut["account_id"]):
            again = "coverage.load_again" if account in live else f"coverage.{side}s.export"
            number, expected = int(read.get(account, 0)), accounts[f"{side}s_expected"][account]
            is_short = not pd.isna(expected) and number < expected
            length = {"expected": int(expected), "message": f"coverage.{side}s.some"} if is_short else {}
            more = {"message": f"coverage.{side}s.or_more", "advice": {"message": again}, "read": number}
            facts[account] |= more | length
        return facts


# By account: the number of rows, and the number of rows whose data is known.
Counts = Mapping[str, tuple[int, int]]
# A function that returns the accounts for which something is true.
Accounts = Callable[[Evidence], set[str]]
# The rows that a check needs, and a mask of those that are known.
KnownRows = Callable[[Evidence], tuple[pd.DataFrame, Bools | pd.Series]]
# A status and, unless it is complete, the message with the reason.
Verdict = tuple[str, Message | None]
# One verdict per account.
Verdicts = list[Verdict]
COMPLETE: Verdict = ("complete", None)


def advice(operation: str, refusal: Message | None = None) -> Message:
    reason = refusal and refusal["reason"]
    if reason == "expired":
        return {"message": "coverage.renew"}
    return {"message": f"coverage.advice.{operation}", "command": command_of(operation), "reason": reason}


class Need(msgspec.Struct, frozen=True):
    """Data that a check needs.

    The function `judge` returns the verdict on each account: status and reason.
    """

    name: str
    judge: Callable[[Evidence], Verdicts]


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """Data is complete if the list of resources is complete, and the data of each resource in the list is known."""

    rows: KnownRows | None = None
    # The message about unknown rows.
    missing: str = ""
    # The operation whose AWS CLI command the message suggests; by default, the command that completes the list.
    advised: str = ""
    # If AWS refused one of these operations, the message mentions the refusal.
    settled_by: tuple[str, ...] = ()
    # The content of the list: `role` or `profile`.
    of: str = ""
    # The accounts with a complete list; by default, those in which all roles (or profiles) were collected.
    whole: Accounts | None = None
    # The accounts in which an incomplete list is `partial`, not `unknown`; by default, those with a row.
    seen: Accounts | None = None
    # The name of the list in messages; by default, roles or profiles.
    listed: str = ""
    # If rows are unknown and the list is incomplete, report the list; by default, the rows.
    list_first: bool = False
    # The status if no row is known.
    none_known: str = "unknown"

    def __call__(self, evidence: Evidence) -> Verdicts:
        refusals = evidence.refusals(self.settled_by)
        counts = evidence.count(self.rows) if self.rows else {}
        whole = self.whole(evidence) if self.whole else evidence.whole(self.of) if self.of else {*evidence.accounts}
        seen = self.seen(evidence) if self.seen else {account for account, (total, _) in counts.items() if total}
        lists = evidence.list_facts(self.of) if self.of else {}
        return [
            self._verdict(*counts.get(one, (0, 0)), one in whole, one in seen, lists.get(one, {}), refusals.get(one))
            for one in evidence.accounts
        ]

    def _verdict(
        self, total: int, known: int, whole: bool, seen: bool, facts: dict[str, Any], refusal: Message | None
    ) -> Verdict:
        if known < total and (whole or not self.list_first):
            settled = advice(self.advised, refusal) if self.advised else facts.get("advice")
            facts = {"missing": total - known, "total": total, "refusal": refusal, "advice": settled}
            return "partial" if known else self.none_known, {"message": f"coverage.{self.missing}"} | facts
        if whole:
            return COMPLETE
        if seen or not self.seen:
            listed = {"message": f"coverage.{self.listed or self.of + 's'}.not_all"} | facts
            return "partial" if seen else "unknown", listed
        return "unknown", facts | {"message": f"coverage.{self.listed or self.of + 's'}.not_seen"}
