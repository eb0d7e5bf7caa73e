"""What was collected in each account: counts, complete lists, refused operations, and commands for missing data.

Each list has one entry per account, in the same order as `accounts`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from iamframe.checks.tag_policy import Policy
from iamframe.inventory.arrow import Bools, index_in, is_in
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.views import owned_profiles
from iamframe.knowledge.operations import DUMP, PROFILE_LIST, ROLE_LISTS, TAG_INDEX, command_of
from iamframe.messages.render import Message

_OF_LINK = ["account_id", "role_path", "trusts_ec2", "is_aws_managed", "profile_tags_known", "role_tags_known"]
# For roles and profiles: the operations that list them, and the operation whose command the advice gives.
LISTINGS = {"profile": ((PROFILE_LIST,), PROFILE_LIST), "role": (ROLE_LISTS, DUMP)}


@dataclass
class Evidence:
    """What was collected in each account. The needs of checks use it to judge the coverage."""

    inventory: Inventory
    pairs: pd.DataFrame
    lists: pd.DataFrame
    policy: Policy
    counted: dict[KnownRows, tuple[list[int], list[int]]] = field(default_factory=dict)

    @cached_property
    def accounts(self) -> list[str]:
        """The account ids."""
        return list(self.inventory.accounts["account_id"])

    @cached_property
    def live(self) -> set[str]:
        """The accounts for which at least one request was sent to AWS. The others were read only from files."""
        calls = self.inventory.calls
        return set(calls["account_id"][calls["requests"] > 0])

    @cached_property
    def owned(self) -> pd.DataFrame:
        """The view `owned_profiles`: the profiles that show an owner."""
        return owned_profiles(self.inventory)

    @cached_property
    def links(self) -> pd.DataFrame:
        """The rows of `pairs` that are links, with the columns that a need reads."""
        return self.pairs[_OF_LINK][self.pairs["relation"].notna()]

    def count(self, rows: KnownRows) -> tuple[list[int], list[int]]:
        """Return, per account, the number of rows, and the number of rows whose data is known."""
        if rows not in self.counted:
            frame, known = rows(self)
            account = index_in(frame["account_id"], self.inventory.accounts["account_id"])
            is_known = np.asarray(known, bool)
            both = [
                np.bincount(account[where & (account >= 0)], minlength=len(self.accounts)) for where in (True, is_known)
            ]
            self.counted[rows] = both[0].tolist(), both[1].tolist()
        return self.counted[rows]

    def whole(self, side: str) -> Bools:
        """Return, per account, whether all its roles or profiles were collected."""
        return self.lists[f"{side}s_whole"].to_numpy(bool)

    def read(self, operations: tuple[str, ...]) -> list[bool]:
        """Return, per account, whether AWS or a file answered at least one of the operations."""
        calls = self.inventory.calls
        accounts = set(calls["account_id"][is_in(calls["operation"], operations) & (calls["state"] != "refused")])
        return [account in accounts for account in self.accounts]

    @cached_property
    def _refused(self) -> list[tuple[str, str, str]]:
        gaps = self.inventory.gaps
        each = zip(*(gaps[name] for name in ("account_id", "operation", "reason")), strict=True)
        return list(dict.fromkeys(one for one in each if one[2] in ("denied", "throttled", "expired")))

    def refusals(self, operations: tuple[str, ...]) -> list[Message | None]:
        """Return, per account, the message about a refused operation; None if AWS refused none of them."""
        said = {
            account: {"message": "coverage.refused", "operation": operation, "reason": reason}
            for account, operation, reason in self._refused
            if operation in operations
        }
        return [said.get(account) for account in self.accounts]

    @cached_property
    def _cut(self) -> list[tuple[str, str, int]]:
        calls = self.inventory.calls
        cut = calls[calls["state"] == "truncated"]
        return list(zip(*(cut[name] for name in ("account_id", "operation", "requests")), strict=True))

    @cached_property
    def indexed(self) -> dict[str, int]:
        """By account: the number of resources whose tags come from the tagging API."""
        tags = self.inventory.tags
        of_index = tags[tags["tag_source"] == TAG_INDEX]
        counts = of_index.groupby("account_id")["resource_arn"].nunique()
        return {str(account): int(count) for account, count in counts.items()}

    def listed(self, side: str, refusals: list[Message | None]) -> list[dict[str, Any]]:
        """Return, per account, the facts for a message about an incomplete list: advice and, if truncated, the length.

        A truncated list needs a new load or export, not a command that lists it again.
        """
        operations, listing = LISTINGS[side]
        accounts = self.inventory.accounts
        requests = [(account, number) for account, operation, number in self._cut if operation in operations]
        broken, live = {account for account, _ in requests}, {account for account, number in requests if number}
        read = getattr(self.inventory, f"{side}s")["account_id"].value_counts() if broken else {}
        said = []
        for account, expected, refusal in zip(
            self.accounts, accounts[f"{side}s_expected"].astype(object), refusals, strict=True
        ):
            one: dict[str, Any] = {"refusal": refusal, "advice": advice(listing, refusal)}
            if account in broken:
                again = "coverage.load_again" if account in live else f"coverage.{side}s.export"
                number = int(read.get(account, 0))
                is_short = not pd.isna(expected) and number < expected
                one |= {"advice": {"message": again}, "read": number, "message": f"coverage.{side}s.or_more"}
                one |= {"expected": int(expected), "message": f"coverage.{side}s.some"} if is_short else {}
            said.append(one)
        return said


Flags = Callable[[Evidence], Sequence[Any] | Bools]
# The rows that a check needs, and a mask of those that are known.
KnownRows = Callable[[Evidence], tuple[pd.DataFrame, Bools | pd.Series]]
# A status and, unless it is complete, the message with the reason.
Verdict = tuple[str, Message | None]
# One verdict per account.
Verdicts = list[Verdict]
COMPLETE: Verdict = ("complete", None)


def advice(operation: str, refusal: Message | None = None) -> Message:
    """Return advice for missing data: run the command of `operation`, or renew expired credentials."""
    reason = refusal and refusal["reason"]
    if reason == "expired":
        return {"message": "coverage.renew"}
    return {"message": f"coverage.advice.{operation}", "command": command_of(operation), "reason": reason}
