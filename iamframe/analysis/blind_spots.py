"""List the consoles, APIs and tools that cannot (or may be unable to) write or read tags, or find resources by tag."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.errors import require
from iamframe.inventory import schema
from iamframe.inventory.arrow import Positions, as_arrow, index_in, is_in
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.views import taggable_resources
from iamframe.knowledge.surfaces import Fact, known_facts

_MISSED = {"yes": "no", "no": "yes", "depends": "depends", "unknown": "unknown"}
_TAGGED = ("yes", "no", "unknown")
# The answers for a surface that can, cannot, or may be able to support an operation.
_ANSWERS = {
    "write": ("its tags can be changed there", "its tags cannot be changed there"),
    "read": ("its tags are shown there", "its tags are not shown there"),
    "find": ("it is found there by its tags", "it is not found there by its tags, nor by having none"),
}


@schema.shows(schema.BLIND_SPOTS)
def blind_spots(inventory: Inventory) -> pd.DataFrame:
    """Return which consoles, APIs and tools cannot, or may be unable to, write tags, read tags or find by tags.

    Each row is about one individual role or profile, one console, API or tool, and one operation (`write`, `read` or
    `find`). The frame leaves out AWS-managed roles. The frame has no rows about operations that a console, API or tool
    supports without conditions. Rows about roles come first. Consoles, APIs and tools are in the same order as in
    `surfaces()`. The columns have the pandas type `category`, which saves memory. For an account with 100,000 roles,
    the returned frame has millions of rows. `blind_spot_counts` returns a small frame, with numbers instead of single
    roles and profiles.
    """
    require("blind_spots", inventory, Inventory, instead="what `iamframe.load` gives")
    parts = []
    for kind, (frame, key) in taggable_resources(inventory).items():
        facts = [fact for fact in known_facts() if fact.resource_type == kind and fact.answer != "yes"]
        fact, row = np.repeat(np.arange(len(facts)), len(frame)), np.tile(np.arange(len(frame)), len(facts))
        tagged = pa.array(_TAGGED).take(pa.array(tag_states(inventory, frame, key)))
        names = {"resource_arn": frame[key], "resource_name": frame[key.replace("arn", "name")]}
        of_resource = {"account_id": frame["account_id"], **names, "tagged": tagged}
        of_fact = {
            "surface": [f.surface for f in facts],
            "resource_type": [kind] * len(facts),
            "operation": [f.operation for f in facts],
            "missed": [_MISSED[f.answer] for f in facts],
            "reason": [_reason(f) for f in facts],
        }
        columns = {
            name: as_arrow(values).dictionary_encode().take(pa.array(row)) for name, values in of_resource.items()
        }
        columns |= {name: pa.array(values).dictionary_encode().take(pa.array(fact)) for name, values in of_fact.items()}
        parts.append(pa.table(columns).select(schema.BLIND_SPOTS.names))
    return schema.BLIND_SPOTS.from_arrow(pa.concat_tables(parts).unify_dictionaries())


@schema.shows(schema.BLIND_SPOT_COUNTS)
def blind_spot_counts(inventory: Inventory) -> pd.DataFrame:
    """Count roles and profiles by whether a console, API or tool can show, change or search their tags.

    Each row is about one account, one console (or API or tool), one resource type and one operation: `write` (change
    tags), `read` (show tags) or `find` (find resources by tag). The column `missed` is `yes` if the console, API or
    tool cannot do the operation. The column `resources` contains the number of the account's collected roles or
    profiles, without AWS-managed roles. If it is 0, there is no row.
    """
    require("blind_spot_counts", inventory, Inventory, instead="what `iamframe.load` gives")
    counts = tagged_counts(inventory)
    rows = [
        (account, f.surface, f.resource_type, f.operation, _MISSED[f.answer], sum(found), *found, _reason(f))
        for account in sorted({account for account, _ in counts})
        for f in known_facts()
        if (found := counts.get((account, f.resource_type)))
    ]
    names = schema.BLIND_SPOT_COUNTS.names
    return schema.BLIND_SPOT_COUNTS.conform(dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {})


def tagged_counts(inventory: Inventory) -> dict[tuple[str, str], list[int]]:
    counts: dict[tuple[str, str], list[int]] = {}
    for kind, (frame, key) in taggable_resources(inventory).items():
        accounts = pc.unique(as_arrow(frame["account_id"]))
        cell = index_in(frame["account_id"], accounts) * len(_TAGGED) + tag_states(inventory, frame, key)
        by_cell = np.bincount(cell, minlength=len(accounts) * len(_TAGGED)).reshape(-1, len(_TAGGED))
        counts |= {(account, kind): by_cell[i].tolist() for i, account in enumerate(accounts.to_pylist())}
    return counts


def tag_states(inventory: Inventory, frame: pd.DataFrame, key: str) -> Positions:
    used = inventory.tags["resource_arn"][~inventory.tags["is_aws_reserved"]]
    known = np.asarray(frame["tags_known"], dtype=bool)
    # The numbers are positions in `_TAGGED`.
    return np.where(known, np.where(is_in(frame[key], used), 0, 1), 2)


def _reason(fact: Fact) -> str:
    can, cannot = _ANSWERS[fact.operation]
    if fact.answer == "yes":
        return f"{can}: {fact.detail}"
    if fact.answer == "depends":
        return f"{can} {fact.condition}: {fact.detail}"
    return f"{cannot}: {fact.detail}" if fact.answer == "no" else f"it is not known whether {can}: {fact.detail}"


@schema.shows(schema.SURFACES)
def surfaces() -> pd.DataFrame:
    """Return which consoles, APIs and tools can write tags, read tags, and find resources by tag.

    A *surface* is a console, API or tool. Each row is about one surface, one operation, and one resource type (role or
    instance profile). The rows come from a file in iamframe, and may be outdated if AWS has changed its services.
    `probe_surfaces` checks in a live account whether the rows about the tagging API are true.
    """
    columns = {name: [getattr(fact, name) for fact in known_facts()] for name in schema.SURFACES.names}
    # Arrow converts days to times, but not a missing day.
    days = {name: pa.array(columns[name], pa.date32()) for name in ("since", "checked_on")}
    return schema.SURFACES.conform(columns | days)
