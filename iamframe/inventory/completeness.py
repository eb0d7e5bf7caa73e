"""Find out, for each account, whether all its data was collected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import pandas as pd

from iamframe.inventory import schema
from iamframe.inventory.arrow import is_in
from iamframe.inventory.inventory import Inventory
from iamframe.knowledge.operations import ALL, CORE, FLEETS, PROFILE_LIST, ROLE_LISTS, UNKNOWN_REGION, VERSIONS, label
from iamframe.messages.render import Message, columns_of, joint, nested, render
from iamframe.sources.consumers import CONSUMERS

# The operations that show the use of profiles, and the listings that lead to them, by their names in `gaps`.
_CONSUMING = tuple(
    {
        name
        for consumer in CONSUMERS
        for operation in (consumer.operation, *(step.operation for step in consumer.steps))
        for name in (operation, label(consumer.service, operation))
    }
)
_REFUSED = ("denied", "throttled", "expired")


def completeness(inventory: Inventory) -> pd.DataFrame:
    calls, accounts = inventory.calls, inventory.accounts["account_id"]
    complete = calls[calls["state"] == "complete"]
    scopes = list(_scopes(inventory))
    references = [scope.status() for scope in scopes]
    message, facts = columns_of(joint(reasons) for _, reasons in references)
    return schema.LISTS.conform(
        {
            "account_id": accounts,
            "roles_whole": is_in(accounts, complete["account_id"][is_in(complete["operation"], ROLE_LISTS)]),
            "profiles_whole": is_in(accounts, complete["account_id"][complete["operation"] == PROFILE_LIST]),
            "references_status": [status for status, _ in references],
            "references_reason": render(message, facts),
            "references_message": message,
            "references_facts": facts,
            "references_regions": [" ".join(scope.regions) for scope in scopes],
            "references_not_read": [scope.not_read for scope in scopes],
        }
    )


# Core operations by region.
_Regions = Mapping[str, set[str]]


class _Scope(msgspec.Struct, frozen=True):
    is_live: bool
    complete: _Regions
    truncated: _Regions
    refused: _Regions
    # The gaps that make the references `unknown`, and the gaps that make them `partial`.
    unread: Message | None
    limit: Message | None
    not_read: str

    def status(self) -> tuple[str, list[Message | None]]:
        missing = [operation for operation in CORE if operation not in _union(self.complete)]
        if missing and self.is_live and self.limit and not self.unread and not self.complete:
            return "unknown", [self.limit]
        regional = self._missing_in_regions(missing)
        if missing:
            truncated = _union(self.truncated)
            absent = [operation for operation in missing if operation not in truncated]
            in_part = [operation for operation in missing if operation in truncated]
            named = {"not_read": absent, "in_part": in_part}
            parts = [_reason(name, operations=operations) for name, operations in named.items() if operations]
            missed = _reason("missing", parts=[*parts, *regional])
            return "unknown", [missed, self.unread if self.is_live else None]
        if self.unread or regional:
            return "unknown", [self.unread or _reason("missing", parts=regional)]
        if self.is_live:
            return "partial" if self.limit else "complete", [self.limit]
        # No file proves that all regions were collected.
        files = _reason("files", regions=self.regions) if self.regions else _reason("files_anywhere")
        return "partial", [files, self.limit]

    @property
    def regions(self) -> list[str]:
        return sorted(self.complete.keys() - {UNKNOWN_REGION})

    def _missing_in_regions(self, everywhere: list[str]) -> list[Message]:
        regions = self.regions
        # A file without a region counts for the region of the other files, unless these have several regions.
        anywhere = self.complete.get(UNKNOWN_REGION, set()) if len(regions) < 2 else set()
        missing: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for region in sorted({*regions, *self.refused} - {UNKNOWN_REGION}):
            # In a region that was not collected, only the refused operations are known to be missing.
            wanted = CORE if region in regions else self.refused[region]
            there = {*self.complete.get(region, ()), *anywhere, *everywhere}
            if lacking := tuple(operation for operation in CORE if operation in wanted and operation not in there):
                missing[lacking].append(region)
        return [_reason("in_regions", regions=where, operations=[*names]) for names, where in missing.items()]


def _reason(name: str, **facts: Sequence[Any]) -> Message:
    return {"message": f"coverage.references.{name}", **facts}


def _union(regions: _Regions) -> set[str]:
    return set().union(*regions.values())


def _scopes(inventory: Inventory) -> Iterable[_Scope]:
    calls, gaps = inventory.calls, inventory.gaps[is_in(inventory.gaps["operation"], _CONSUMING)]
    live = set(calls["account_id"][calls["requests"] > 0])
    core = calls[is_in(calls["operation"], CORE)]
    complete = _by_region(core[core["state"] == "complete"])
    truncated = _by_region(core[core["state"].isin(("truncated", "partial"))])
    refused = _by_region(gaps[is_in(gaps["operation"], CORE) & gaps["reason"].isin(_REFUSED)])
    not_in_file = gaps["reason"] == "not_in_file"
    # A missing version that a group or fleet starts from, or that is the default (TEMPLATE:VERSION), makes the status
    # unknown. Any other missing version makes it partial.
    other_versions = (gaps["operation"] == VERSIONS) & not_in_file & ~gaps["subject"].str.contains(":", regex=False)
    # Skipped regions and resource types make the status partial, too.
    limiting = (gaps["reason"] == "not_asked") | ~is_in(gaps["operation"], (*CORE, *FLEETS)) | other_versions
    all_not_in_file = not_in_file & (gaps["subject"] == ALL)
    unread, limit = _details(gaps[~limiting & ~all_not_in_file]), _details(gaps[limiting & ~all_not_in_file])
    not_read = {account: set(operations) for account, operations in gaps.groupby("account_id")["operation"]}
    for account in inventory.accounts["account_id"]:
        yield _Scope(
            account in live,
            complete.get(account, {}),
            truncated.get(account, {}),
            refused.get(account, {}),
            unread.get(account),
            limit.get(account),
            " ".join(sorted(not_read.get(account, ()))),
        )


def _by_region(rows: pd.DataFrame) -> dict[str, dict[str, set[str]]]:
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for account, region, operation in zip(rows["account_id"], rows["region"], rows["operation"], strict=True):
        found[account][region].add(operation)
    return found


def _details(gaps: pd.DataFrame) -> dict[str, Message]:
    details: dict[str, list[Any]] = defaultdict(list)
    unique = gaps.drop_duplicates(["account_id", "detail"])
    columns = (unique[name] for name in ("account_id", "message", "facts", "detail"))
    for account, message, facts, detail in zip(*columns, strict=True):
        # A gap from an old snapshot has only a detail.
        details[account].append(nested(message, facts) if message else detail)
    return {
        account: {"message": "coverage.gaps" if others else "coverage.gap", "detail": first}
        for account, (first, *others) in details.items()
    }
