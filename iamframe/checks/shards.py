"""The shards of a snapshot: groups of accounts that are checked together, each by one call on an executor.

A reference can lead to a profile of another account. So a shard lists the accounts with profiles that it uses, and the
accounts that use its profiles. Their data is read for the checks, but they get no findings in this shard.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory.arrow import as_arrow, is_in
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.linking import account_named
from iamframe.inventory.load import open_snapshot
from iamframe.inventory.on_demand import resolved_references
from iamframe.inventory.parts import Manifest, account_sizes, read_frame
from iamframe.inventory.places import Place

_THREADS = 16


class Shard(msgspec.Struct, frozen=True):
    """Some accounts of a snapshot, in the order of their ids.

    `uses` has the other accounts whose profiles these accounts use. `used_by` has the other accounts that use profiles
    of these accounts.
    """

    number: int
    accounts: tuple[str, ...]
    uses: tuple[str, ...] = ()
    used_by: tuple[str, ...] = ()

    def without(self, failures: Container[str], *, neighbours: bool = True) -> Shard:
        """Return the shard without the accounts that cannot be read, or also without all accounts in `uses`."""
        accounts = tuple(one for one in self.accounts if one not in failures)
        uses = tuple(one for one in self.uses if one not in failures and neighbours)
        return Shard(self.number, accounts, uses, self.used_by)


def shards_of(place: Place, manifest: Manifest, size: int) -> list[Shard]:
    """Return the shards of a snapshot.

    A shard has up to `size` roles and up to `size` profiles. A larger account is a shard of its own.
    """
    sizes = account_sizes(manifest)
    uses, used_by = _foreign_uses(place, manifest)
    shards = []
    for number, accounts in enumerate(_groups(sizes, size), 1):
        others = (set().union(*(by.get(one, set()) for one in accounts)) - {*accounts} for by in (uses, used_by))
        shards.append(Shard(number, tuple(accounts), *(tuple(sorted(of & sizes.keys())) for of in others)))
    return shards


def _groups(sizes: dict[str, int], most: int) -> Iterator[list[str]]:
    group: list[str] = []
    rows = 0
    for account in sorted(sizes):
        if group and rows + sizes[account] > most:
            yield group
            group, rows = [], 0
        group.append(account)
        rows += sizes[account]
    # A snapshot without accounts has one shard without accounts.
    yield group


def _foreign_uses(place: Place, manifest: Manifest) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Return, for each account, the accounts whose profiles it uses, and the accounts that use its profiles."""
    uses: dict[str, set[str]] = defaultdict(set)
    used_by: dict[str, set[str]] = defaultdict(set)
    accounts = [part.account_id for part in manifest.frames["references"].parts if part.rows]
    with ThreadPoolExecutor(_THREADS) as threads:
        for references in threads.map(lambda one: read_frame(place, manifest, "references", [one]), accounts):
            own, other = as_arrow(references["account_id"]), _account_used(references)
            foreign = pa.table({"own": own, "other": other}).filter(pc.fill_null(pc.not_equal(own, other), False))
            for pair in foreign.group_by(["own", "other"]).aggregate([]).to_pylist():
                uses[pair["own"]].add(pair["other"])
                used_by[pair["other"]].add(pair["own"])
    return uses, used_by


def _account_used(references: pd.DataFrame) -> pa.Array:
    """Return the account in the ARN of each reference's profile. Without a known ARN, it is missing."""
    return pc.coalesce(account_named(references["profile_arn"]), account_named(references["named"]))


def inventory_of(folder: str | os.PathLike[str], place: Place, manifest: Manifest, shard: Shard) -> Inventory:
    """Return the inventory of a shard, with the data of other accounts that its checks need.

    This is all data of the accounts in `shard.uses`. From the accounts in `shard.used_by`, it is only the references to
    profiles of the shard.
    """
    inventory = open_snapshot(folder, (*shard.accounts, *shard.uses))
    more = [account for account in shard.used_by if account not in shard.uses]
    if not more:
        return inventory
    references = read_frame(place, manifest, "references", more)
    references = references[is_in(_account_used(references), pa.array(shard.accounts))]
    both = pd.concat([inventory.references, references], ignore_index=True)
    return replace(inventory, references=resolved_references(both, inventory))
