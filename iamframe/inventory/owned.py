"""The view `owned_profiles`: the profiles that show an owner, and whether the owner still exists."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory import schema
from iamframe.inventory.arrow import as_arrow, is_in
from iamframe.inventory.inventory import Inventory
from iamframe.knowledge.operations import ALL, BY_LABEL, STACK_RESOURCES
from iamframe.knowledge.owners import NAME, Owned, known_owners, owner_of, shows_owner

_RESOURCE = "resource"
LIVING, GONE, UNREAD = "living", "gone", "unread"
# The name of the operation in `gaps`.
_IN_STACK = BY_LABEL[STACK_RESOURCES].action


def owned_profiles(inventory: Inventory) -> pd.DataFrame:
    """Return the profiles that show an owner, and whether that owner is living, gone, or unread (not collected)."""
    lists = _Lists(inventory)
    rows = [lists.judged(one) for one in _candidates(inventory)]
    return schema.OWNED_PROFILES.conform(pd.DataFrame(rows, columns=schema.OWNED_PROFILES.names))


class _Profile(NamedTuple):
    account_id: str
    arn: str
    name: str
    owned: Owned


def _candidates(inventory: Inventory) -> Iterator[_Profile]:
    profiles, tags = inventory.profiles, inventory.tags
    own = tags[(inventory.linked_rows.tag_profile >= 0) & is_in(tags["tag_key"], pa.array(shows_owner().tags))]
    tagged: dict[str, dict[str, str]] = defaultdict(dict)
    for arn, key, value in zip(own["resource_arn"], own["tag_key"], own["tag_value"], strict=True):
        tagged[arn][key] = value
    texts = pc.binary_join_element_wise(
        *(pc.fill_null(as_arrow(profiles[f"profile_{part}"]), "") for part in ("path", "name")), "\n"
    )
    shown = pc.match_substring_regex(texts, shows_owner().texts)
    chosen = profiles[np.asarray(shown) | is_in(profiles["profile_arn"], pa.array(tagged, pa.string()))]
    columns = (chosen[name] for name in ("account_id", "profile_arn", "profile_name", "profile_path"))
    for account, arn, name, path in zip(*(column.fillna("") for column in columns), strict=True):
        if owned := owner_of(name, path, tagged.get(arn, {})):
            yield _Profile(account, arn, name, owned)


class _Lists:
    """The lists of owners that were collected, by account, kind and region."""

    def __init__(self, inventory: Inventory) -> None:
        labels = pa.array([owner.label for owner in known_owners()])
        calls = inventory.calls[is_in(inventory.calls["operation"], labels)]
        whole = calls[calls["state"] == "complete"]
        self.whole: dict[tuple[str, str], set[str]] = defaultdict(set)
        for account, operation, region in zip(whole["account_id"], whole["operation"], whole["region"], strict=True):
            self.whole[account, operation].add(region)
        # Files do not show which regions are enabled.
        asked = calls[calls["requests"] > 0]
        self.asked = set(zip(asked["account_id"], asked["operation"], strict=True))
        gaps = inventory.gaps
        self.gaps = set(zip(gaps["account_id"], gaps["operation"], gaps["subject"], strict=True))
        self.any_gap = {(account, operation) for account, operation, _ in self.gaps}
        self.living: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        self.stacks: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
        columns = ("account_id", "region", "owner_type", "owner_id", "owner_name", "profile_name")
        rows = (inventory.resource_owners[name] for name in columns)
        for account, region, kind, owner_id, name, profile in zip(*rows, strict=True):
            if isinstance(profile, str):
                self.stacks[account, profile].append((region, owner_id, name))
            else:
                self.living[account, kind, owner_id].add(region)
                self.living[account, kind, name].add(region)

    def judged(self, profile: _Profile) -> dict[str, Any]:
        """Return the row of a profile in the view."""
        account, (owner, names, region, basis) = profile.account_id, profile.owned
        if basis == NAME and (stacks := self.stacks.get((account, profile.name))):
            # AWS shows the profile's stack, whether or not the profile's name contains the name of the stack.
            region, stack_id, name = max(stacks, key=lambda one: (account, owner.owner_type, one[1]) in self.living)
            names, basis = (stack_id, name), _RESOURCE
        whole = self.whole.get((account, owner.label), set())
        regions = whole & {region} if region else whole
        living = set().union(*(self.living.get((account, owner.owner_type, name), set()) for name in names))
        if living & {region} if region else living:
            status = LIVING
        elif not regions or not (region or self._is_everywhere(account, owner.label)):
            status = UNREAD
        else:
            refused = {(account, _IN_STACK, ALL), (account, _IN_STACK, profile.arn)} & self.gaps
            status = UNREAD if basis == NAME and refused else GONE
        return {
            "account_id": account,
            "profile_arn": profile.arn,
            "profile_name": profile.name or None,
            "owner_type": owner.owner_type,
            "owner_name": names[-1],
            "owner_region": region,
            "basis": basis,
            "status": status,
            "regions": " ".join(sorted(regions)),
            "listing": owner.label,
        }

    def _is_everywhere(self, account: str, listing: str) -> bool:
        """Return whether a list was collected in every enabled region."""
        return (account, listing) in self.asked and (account, listing) not in self.any_gap
