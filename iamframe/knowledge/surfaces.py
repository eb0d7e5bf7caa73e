"""Where tags of roles and profiles can be written, read, and be found by: consoles, APIs, tools."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd
import pyarrow as pa

from iamframe.inventory import schema

OPERATIONS = ("write", "read", "find")


@dataclass(frozen=True, slots=True)
class Fact:
    """What one surface can do with the tags of one resource type, and where that is written."""

    surface: str
    resource_type: str
    operation: str
    answer: str
    detail: str
    source: str
    checked_on: date
    condition: str | None = None
    since: date | None = None


@cache
def _known() -> dict[str, Any]:
    text = resources.files("iamframe.knowledge").joinpath("surfaces.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def known_facts() -> tuple[Fact, ...]:
    """Return the facts of `surfaces.toml`, in its order."""
    known = _known()
    return tuple(
        Fact(surface, kind, operation, checked_on=source["date"], **(entry | {"source": source["text"]}))
        for surface, kinds in known["surface"].items()
        for kind, operations in kinds.items()
        for operation, entry in operations.items()
        for source in [known["sources"][entry["source"]]]
    )


def index_home(partition: str) -> str | None:
    """Return the region in which the tagging API has what IAM holds; None where nobody says."""
    home: str | None = _known()["homes"].get(partition)
    return home


@schema.shows(schema.SURFACES)
def surfaces() -> pd.DataFrame:
    """Return on which consoles, APIs and tools tags of roles and profiles can be written, read, and be found by.

    One row per surface, resource type and operation, surfaces in the order in which one meets them. `answer` is `yes`,
    `no`, `condition` (then `condition` says on what it depends), or `unknown`, where neither AWS nor a measurement says
    it. Each row has its source and of when that is: AWS changes these, and `probe_surfaces` asks a real account.
    """
    return _framed(known_facts())


def surfaces_of(resource_type: str) -> pd.DataFrame:
    """Return the rows of `surfaces` about one resource type, `role` or `instance-profile`."""
    return _framed(tuple(fact for fact in known_facts() if fact.resource_type == resource_type))


def _framed(facts: tuple[Fact, ...]) -> pd.DataFrame:
    columns = {name: [getattr(fact, name) for fact in facts] for name in schema.SURFACES.names}
    # Arrow makes days into times, but takes none for one.
    days = {name: pa.array(columns[name], pa.date32()) for name in ("since", "checked_on")}
    return schema.SURFACES.conform(columns | days)
