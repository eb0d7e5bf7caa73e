"""The result of `check_snapshot`. Its frames stay in files until they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa

from iamframe.checks.registry import Check
from iamframe.checks.result import Result, attention_in, frame_and_order, tally_of
from iamframe.checks.runner import run
from iamframe.checks.shards import Shard, inventory_of
from iamframe.checks.stored import StoredFound, done_in, read_counted, read_coverage, read_findings, write_result
from iamframe.checks.tag_policy import Policy
from iamframe.inventory import schema, views
from iamframe.inventory.arrow import Positions, as_arrow, is_in
from iamframe.inventory.build import joined
from iamframe.inventory.completeness import completeness
from iamframe.inventory.gaps import GapList
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.on_demand import InventoryOnDemand
from iamframe.inventory.parts import Manifest
from iamframe.inventory.places import Place
from iamframe.inventory.snapshot import find_snapshot
from iamframe.knowledge.operations import ALL
from iamframe.messages.render import columns_of, render
from iamframe.sources.records import Gap


class CheckedSnapshot(Result):
    """A `Result` whose frames are in the files of the snapshot and of `check_snapshot`.

    Each frame is read at its first use. `parts` reads one shard at a time.
    """

    _folder: str
    _place: Place
    _shards: Sequence[Shard]

    @classmethod
    def of(
        cls,
        folder: str,
        place: Place,
        shards: Sequence[Shard],
        checks: Mapping[str, Check],
        policy: Policy,
        owner_tag: str,
    ) -> CheckedSnapshot:
        """Return the result of a snapshot in `folder`. `place` has the results of its shards."""
        result = object.__new__(cls)
        values = {"_folder": folder, "_place": place, "_shards": shards, "checks": checks, "policy": policy}
        result.__dict__.update(values | {"owner_tag": owner_tag})
        return result

    @cached_property
    def inventory(self) -> Inventory:
        """The whole inventory. Each frame is read at its first use.

        An account that could not be checked has only a row in `accounts` and a row in `gaps`.
        """
        checked = [account for shard in self._shards if shard.number not in self._failed for account in shard.accounts]
        failed = [unread(shard, self._failed[shard.number]) for shard in self._shards if shard.number in self._failed]
        return InventoryOnDemand.of(self._folder, checked, joined(failed) if failed else None)

    @cached_property
    def found(self) -> Mapping[str, Any]:
        """The findings of each check and their facts."""
        return StoredFound(self._place, self._numbers, self.checks)

    @cached_property
    def coverage(self) -> pd.DataFrame:
        """The coverage of each check, one row per account and check."""
        return read_coverage(self._place, self._numbers)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """The view `pairs` of the whole inventory."""
        return views.numbered_pairs(self.inventory, self.policy.makers)[schema.PAIRS.names]

    @cached_property
    def lists(self) -> pd.DataFrame:
        """The view `lists` of the whole inventory."""
        return completeness(self.inventory)

    @cached_property
    def with_order(self) -> tuple[pd.DataFrame, Positions]:
        """The findings of all checks, and the order of each finding within its check."""
        findings = self.sorted_findings("en") if self._is_changed else read_findings(self._place, self._numbers)
        return frame_and_order(findings)

    @cached_property
    def tally(self) -> pd.DataFrame:
        """The number of findings. See `Result.tally`."""
        if self._is_changed:
            return tally_of(self.findings)
        tallies = pd.concat([tally_of(read_counted(self._place, number)) for number in self._numbers])
        keys = [name for name in tallies.columns if name != "findings"]
        return tallies.groupby(keys, dropna=False, observed=True)["findings"].sum().reset_index()

    @cached_property
    def attention(self) -> pd.Series:
        """The number of resources that need attention, by severity. See `Result.attention`."""
        if self._is_changed:
            return attention_in(self.findings)
        # Each resource is in one account, and each account in one shard.
        counts = [attention_in(read_counted(self._place, number)) for number in self._numbers]
        return pd.DataFrame(counts).sum().rename("resources")

    def parts(self, *, neighbours: bool = False) -> Iterator[Result]:
        """Yield the results of the shards. See `Result.parts`."""
        if self._is_changed:
            yield self
            return
        place, manifest = find_snapshot(self._folder)
        for shard in self._shards:
            # A variable for the part would keep it in memory while the next one is read.
            yield self._part(shard, place, manifest, neighbours=neighbours)

    def _part(self, shard: Shard, place: Place, manifest: Manifest, *, neighbours: bool) -> Result:
        failure = self._failed.get(shard.number)
        if failure:
            inventory = unread(shard, failure)
        else:
            to_read = shard if neighbours else msgspec.structs.replace(shard, uses=())
            inventory = inventory_of(self._folder, place, manifest, to_read)
        used_profiles = as_arrow(inventory.references["profile_arn"])
        if shard.used_by and not neighbours:
            own = is_in(inventory.references["account_id"], pa.array(shard.accounts))
            inventory = replace(inventory, references=inventory.references[own].reset_index(drop=True))
        findings = read_findings(self._place, [shard.number])
        part = Result(
            inventory,
            StoredFound(self._place, [shard.number], self.checks, findings),
            read_coverage(self._place, [shard.number]),
            self.checks,
            self.policy,
            views.numbered_pairs(inventory, self.policy.makers)[schema.PAIRS.names],
            completeness(inventory),
            self.owner_tag,
        )
        # An owner may come from a tag in another account, so the stored findings are not computed again.
        part.__dict__.update(with_order=frame_and_order(findings), used_profiles=used_profiles)
        return part

    @property
    def _is_changed(self) -> bool:
        """Whether this is a copy that was changed, for example by `only`. Its frames are in memory."""
        return "_shards" not in self.__dict__

    @property
    def _numbers(self) -> list[int]:
        return [shard.number for shard in self._shards]

    @cached_property
    def _failed(self) -> dict[int, str]:
        return {done.number: done.failure for done in done_in(self._place, self._shards) if done.failure}


def unread(shard: Shard, failure: str) -> Inventory:
    """Return an inventory for a shard that could not be checked. It has only its accounts, and a gap for each."""
    gaps = GapList(
        Gap("check_snapshot", ALL, "unreadable", "gaps.account.failed", {"why": failure}, account_id=account)
        for account in shard.accounts
    )
    frames: dict[str, Any] = {name: frame.empty() for name, frame in schema.FRAMES.items()}
    frames["accounts"] = schema.ACCOUNTS.conform({"account_id": list(shard.accounts), "source": "check_snapshot"})
    return Inventory(**(frames | {"gaps": gaps.frame()}))


def write_failure(place: Place, shard: Shard, failure: str, checks: Mapping[str, Check], policy: Policy) -> None:
    """Write the result of a shard that could not be checked: no findings, and the status `unknown` for each check."""
    result = run(unread(shard, failure), tuple(checks), policy, checks)
    message, facts = columns_of([{"message": "coverage.no_shard", "why": failure}] * len(result.coverage))
    reasons = {"reason": render(message, facts), "message": message, "facts": facts}
    coverage = schema.COVERAGE.conform({**result.coverage, "status": "unknown"} | reasons)
    write_result(place, shard.number, replace(result, coverage=coverage), failure)
