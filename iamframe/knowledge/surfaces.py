"""Surfaces: the consoles, APIs and tools that show or change tags of roles and profiles."""

from __future__ import annotations

import datetime as dt
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    answer: Literal["yes", "no", "depends", "unknown"]
    detail: str
    source: str
    condition: str | None = None
    since: dt.date | None = None


class Fact(_Entry, frozen=True, kw_only=True):
    """Whether a console, API or tool can write or read tags, or find resources by tag, for one resource type."""

    surface: str
    resource_type: str
    operation: str
    checked_on: dt.date
    not_rechecked: str = ""
    # The id of the condition, for translations.
    condition_id: str | None = None


_ABILITY = {
    "yes": "with {tool}, you can {action}",
    "no": "with {tool}, you cannot {action}",
    "depends": "with {tool}, you can {action}, but {condition}",
    "unknown": "it is unknown whether you can {action} with {tool}",
}
# The order in which a sentence shows the answers for role and profile.
ANSWERS = tuple(_ABILITY)


def ability(surface: str, answer: str, action: str, condition: str | None) -> str:
    article = "the " if surface.endswith(("console", "API")) else ""
    sentence = _ABILITY[answer].format(tool=f"{article}{surface}", action=action, condition=condition)
    return sentence[0].upper() + sentence[1:]


class _Source(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    date: dt.date
    not_rechecked: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    homes: dict[str, str]
    conditions: dict[str, str]
    sources: dict[str, _Source]
    surface: dict[str, dict[Literal["role", "instance-profile"], dict[Literal["write", "read", "find"], _Entry]]]


@cache
def _known() -> _File:
    return msgspec.toml.decode(files("iamframe.knowledge").joinpath("surfaces.toml").read_bytes(), type=_File)


@cache
def known_facts() -> tuple[Fact, ...]:
    known = _known()
    return tuple(
        Fact(
            **msgspec.structs.asdict(entry)
            | {"source": source.text, "condition": entry.condition and known.conditions[entry.condition]},
            surface=surface,
            resource_type=kind,
            operation=operation,
            checked_on=source.date,
            not_rechecked=source.not_rechecked,
            condition_id=entry.condition,
        )
        for surface, kinds in known.surface.items()
        for kind, operations in kinds.items()
        for operation, entry in operations.items()
        for source in [known.sources[entry.source]]
    )


def index_home(partition: str) -> str | None:
    """Return the region in which the tagging API shows instance profiles, or None if the region is unknown."""
    return _known().homes.get(partition)
