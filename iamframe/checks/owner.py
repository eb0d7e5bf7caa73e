"""Who owns the resource of a finding: the value of a tag."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory.arrow import Bools, as_arrow, index_in, is_in, lookup, lookup_flag
from iamframe.inventory.inventory import Inventory
from iamframe.knowledge.names import canonical_key

OWNER_TAG = "Owner"


def owner_keys(inventory: Inventory, tag_key: str = OWNER_TAG) -> list[str]:
    """Return the tag keys in use that read as the one asked for, that one first."""
    wanted = canonical_key(tag_key)
    keys = pc.unique(as_arrow(inventory.tags["tag_key"])).to_pylist()
    return sorted((key for key in keys if canonical_key(key) == wanted), key=lambda key: (key != tag_key, key))


def owners(inventory: Inventory, findings: pd.DataFrame, tag_key: str = OWNER_TAG) -> tuple[pa.Array, Bools]:
    """Return the owner of each finding, missing where none is known, and whether tags that may hold one were not read.

    The owner is the tag's value on the finding's resource, else on its related resource, else on the role that the
    profile holds. An empty value names nobody.
    """
    keys = pa.array(owner_keys(inventory, tag_key), pa.string())
    tags = inventory.tags[(inventory.tags["tag_value"] != "") & is_in(inventory.tags["tag_key"], keys)]
    tags = tags.iloc[np.argsort(index_in(tags["tag_key"], keys), kind="stable")]
    links = inventory.links
    resource, related = (as_arrow(findings[name]) for name in ("resource_arn", "related_arn"))
    held = [lookup(links["role_arn"], index_in(arns, links["profile_arn"])) for arns in (resource, related)]
    owner = pa.nulls(len(findings), pa.string())
    unread = np.zeros(len(findings), dtype=bool)
    for arns in (resource, related, *held):
        owner = pc.coalesce(owner, lookup(tags["tag_value"], index_in(arns, tags["resource_arn"])))
        unread |= np.asarray(arns.is_valid()) & ~_tags_known(inventory, arns)
    return owner, unread


def _tags_known(inventory: Inventory, arns: pa.Array) -> Bools:
    known = np.zeros(len(arns), dtype=bool)
    for frame, key in ((inventory.roles, "role_arn"), (inventory.profiles, "profile_arn")):
        known |= lookup_flag(frame["tags_known"], index_in(arns, frame[key]), otherwise=False)
    return known
