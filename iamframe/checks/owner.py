"""The owner of a finding's resource: the value of an owner tag."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory.arrow import Bools, Positions, as_arrow, index_in, lookup, lookup_flag, on_two_cores
from iamframe.inventory.inventory import Inventory
from iamframe.knowledge.names import canonical_key

OWNER_TAG = "Owner"


def owner_keys(inventory: Inventory, tag_key: str = OWNER_TAG) -> list[str]:
    wanted = canonical_key(tag_key)
    keys = pc.unique(as_arrow(inventory.tags["tag_key"])).to_pylist()
    return sorted((key for key in keys if canonical_key(key) == wanted), key=lambda key: (key != tag_key, key))


def owners(inventory: Inventory, findings: pd.DataFrame, tag_key: str = OWNER_TAG) -> tuple[pa.Array, Bools]:
    tags, roles, profiles, linked = inventory.tags, inventory.roles, inventory.profiles, inventory.linked_rows
    keys = pa.array(owner_keys(inventory, tag_key), pa.string())
    key = index_in(tags["tag_key"], keys)
    rows = np.flatnonzero((key >= 0) & (tags["tag_value"] != "").to_numpy(bool))
    # The key spelled like `tag_key` comes last, so it replaces the others.
    rows = rows[np.argsort(-key[rows], kind="stable")]
    tag_of_role, tag_of_profile = (
        _last_value_at(owner[rows], rows, size)
        for owner, size in ((linked.tag_role, len(roles)), (linked.tag_profile, len(profiles)))
    )
    # -2 stands for a role that no source shows: its tags were not collected.
    held = np.where(linked.link_role < 0, -2, linked.link_role)[::-1]
    role_of_profile = _last_value_at(linked.link_profile[::-1], held, len(profiles))
    found = np.full(len(findings), -1)
    is_other, unread = (np.zeros(len(findings), dtype=bool) for _ in range(2))
    direct, by_role = [], []
    arns = pa.concat_arrays([as_arrow(findings[name]) for name in ("resource_arn", "related_arn")])
    each = (
        arns.is_valid(),
        *on_two_cores(
            len(tags), *(partial(index_in, arns, own) for own in (profiles["profile_arn"], roles["role_arn"]))
        ),
    )
    for given, profile, role in zip(*(np.split(np.asarray(of_both), 2) for of_both in each), strict=True):
        direct.append((_at(tag_of_profile, profile), _known(profiles, profile)))
        direct.append((_at(tag_of_role, role), _known(roles, role)))
        is_other |= given & (profile < 0) & (role < 0)
        holding = _at(role_of_profile, profile)
        shown = np.maximum(holding, -1)
        by_role.append((_at(tag_of_role, shown), _known(roles, shown) & (holding != -2)))
    # The resource's tag comes first, then the related resource's. The tag of the profile's role comes last.
    for tag, known in direct + by_role:
        # An owner tag that was not collected may name another owner than a tag that comes later.
        unread |= (found < 0) & ~known
        found = np.where(found < 0, tag, found)
    return lookup(tags["tag_value"], found), unread | (is_other & (found < 0))


def _last_value_at(positions: Positions, values: Positions, size: int) -> Positions:
    result = np.full(size, -1)
    # If a position is repeated, numpy keeps its last value.
    result[positions[positions >= 0]] = values[positions >= 0]
    return result


def _at(values: Positions, where: Positions) -> Positions:
    return np.where(where < 0, -1, values[where]) if len(values) else np.full(len(where), -1)


def _known(frame: pd.DataFrame, rows: Positions) -> Bools:
    return lookup_flag(frame["tags_known"], rows, otherwise=True)
