"""Where tags of roles and profiles can be written, read, and be found by: consoles, APIs, tools."""

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
