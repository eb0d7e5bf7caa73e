"""The consoles, APIs and tools that can write, read, or search by the tags of roles and profiles."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

OPERATIONS = ("write", "read", "find")


@dataclass(frozen=True, slots=True)
class Fact:
    """One operation of a surface on the tags of a resource type, and the source of that fact."""

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
    """Return the region whose tagging API shows IAM's resources; None if no source tells it."""
    home: str | None = _known()["homes"].get(partition)
    return home
