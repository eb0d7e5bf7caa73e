"""What an inventory shows, named as a table of cases writes it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from iamframe.inventory.completeness import completeness
from iamframe.inventory.inventory import Inventory


def without(record: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Return a record without some of its keys."""
    return {name: value for name, value in record.items() if name not in keys}


def only_row(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the one row of a frame, missing values as None."""
    (row,) = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return row


def wholeness(inventory: Inventory) -> tuple[bool, bool]:
    """Return whether the roles and the profiles of the one account were read whole."""
    row = only_row(completeness(inventory))
    return row["roles_whole"], row["profiles_whole"]


def links_of(inventory: Inventory) -> list[tuple[str, str]]:
    """Return the links, profile first."""
    return list(zip(inventory.links["profile_arn"], inventory.links["role_arn"], strict=True))


def all_tags(inventory: Inventory) -> dict[str, dict[str, str]]:
    """Return the tags of each resource that has some."""
    tags: dict[str, dict[str, str]] = {}
    for arn, key, value in inventory.tags[["resource_arn", "tag_key", "tag_value"]].itertuples(index=False):
        tags.setdefault(arn, {})[key] = value
    return tags


def reasons(inventory: Inventory, operation: str) -> list[tuple[str, str]]:
    """Return subject and reason of the gaps of one operation."""
    gaps = inventory.gaps[inventory.gaps["operation"] == operation]
    return list(zip(gaps["subject"], gaps["reason"], strict=True))


def shown(inventory: Inventory, name: str) -> Any:
    """Return what a name means: whole, links, tags, reasons, gaps.OPERATION, FRAME.COLUMN or CONSUMER.COLUMN."""
    frame, _, column = name.partition(".")
    if name == "reasons":
        return sorted(set(inventory.gaps["reason"]))
    if not column:
        return {"whole": wholeness, "links": links_of, "tags": all_tags}[name](inventory)
    if frame == "gaps":
        return reasons(inventory, column)
    references = inventory.references
    rows = inventory.frames.get(frame, references[references["consumer_type"] == frame])
    return rows[column].astype(object).where(rows[column].notna(), None).tolist()
