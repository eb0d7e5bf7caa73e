"""The result of the function `check_snapshot`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import msgspec
import pandas as pd

from iamframe.checks.registry import Check
from iamframe.checks.result import Result, attention_in, frame_and_order, tally_of
from iamframe.checks.shards import Shard, Stored, StoredFound, inventory_of, unread
from iamframe.checks.tag_policy import Policy
from iamframe.inventory import views
from iamframe.inventory.arrow import Positions, as_arrow, is_in
from iamframe.inventory.completeness import completeness
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.on_demand import InventoryOnDemand
from iamframe.inventory.parts import Manifest
from iamframe.inventory.places import Place
from iamframe.inventory.snapshot import find_snapshot


class CheckedSnapshot(Result):
    """A `Result` that reads each frame from files when the frame is first used."""

    _folder: str
    _stored: Stored
    _shards: Sequence[Shard]

    def __new__(cls, **values: Any) -> Result:  # type: ignore[misc]
        # The function `dataclasses.replace` passes values to the class. Its copy is a plain `Result`, with all findings
        # in memory. The module `pickle` passes no values.
        return Result(**values) if values else object.__new__(cls)

    @classmethod
    def of(
        cls,
        folder: str,
        stored: Stored,
        shards: Sequence[Shard],
        checks: Mapping[str, Check],
        policy: Policy,
        owner_tag: str,
    ) -> CheckedSnapshot:
        result = object.__new__(cls)
        values = {"_folder": folder, "_stored": stored, "_shards": shards, "checks": checks, "policy": policy}
        result.__dict__.update(values | {"owner_tag": owner_tag})
        return result

    @cached_property
    def inventory(self) -> Inventory:
        failures = self._stored.failures
        checked = [account for shard in self._shards for account in shard.accounts if account not in failures]
        return InventoryOnDemand.of(self._folder, checked, unread(failures) if failures else None)

    @cached_property
    def found(self) -> Mapping[str, Any]:
        return StoredFound(self._stored, self.checks)

    @cached_property
    def coverage(self) -> pd.DataFrame:
        return self._stored.coverage()

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """The view `pairs` of all checked accounts, not only of one shard."""
        return views.pairs(self.inventory, self.policy.makers)

    @cached_property
    def lists(self) -> pd.DataFrame:
        return completeness(self.inventory)

    @cached_property
    def with_order(self) -> tuple[pd.DataFrame, Positions]:
        return frame_and_order(self._stored.findings())

    @cached_property
    def tally(self) -> pd.DataFrame:
        tallies = pd.concat([tally_of(findings) for findings in self._stored.counted()])
        keys = [name for name in tallies.columns if name != "findings"]
        return tallies.groupby(keys, dropna=False, observed=True)["findings"].sum().reset_index()

    @cached_property
    def attention(self) -> pd.Series:
        # Each resource is in one account, and each account in one shard.
        return pd.DataFrame([attention_in(findings) for findings in self._stored.counted()]).sum().rename("resources")

    def parts(self, *, neighbours: bool = False) -> Iterator[Result]:
        place, manifest = find_snapshot(self._folder)
        for shard, stored in zip(self._shards, self._stored.one_by_one(), strict=True):
            # A variable would keep the part in memory while the next part is read.
            yield self._part(shard, stored, place, manifest, neighbours=neighbours)

    def _part(self, shard: Shard, stored: Stored, place: Place, manifest: Manifest, *, neighbours: bool) -> Result:
        wanted = shard if neighbours else msgspec.structs.replace(shard, uses=())
        inventory = inventory_of(self._folder, place, manifest, wanted, self._stored.failures)
        used_profiles = as_arrow(inventory.references["profile_arn"])
        if shard.used_by and not neighbours:
            own = is_in(inventory.references["account_id"], shard.accounts)
            inventory = replace(inventory, references=inventory.references[own].reset_index(drop=True))
        findings = stored.findings()
        part = Result(
            inventory,
            StoredFound(stored, self.checks, findings),
            stored.coverage(),
            self.checks,
            self.policy,
            views.pairs(inventory, self.policy.makers),
            completeness(inventory),
            self.owner_tag,
        )
        # An owner may come from a tag in another account, so the stored findings are not computed again.
        part.__dict__.update(with_order=frame_and_order(findings), used_profiles=used_profiles)
        return part
