"""Who made a pair of role and profile, by the names and paths that makers give."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib import resources
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.keys import Bools, Positions, concat

_PARTS = {
    "*": r"[^\n]*",
    "{uuid}": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "{random}": r"[A-Z0-9]{12,13}",
    "{counter}": r"[0-9]{18}[0-9a-f]{8}",
    "{digits}": r"[0-9]+",
    "{hash}": r"[0-9]{15,20}",
}
_TOKEN = re.compile(r"\*|\{[a-z]+\}")


@dataclass(frozen=True, slots=True)
class Maker:
    """One service or tool, with the names and paths that it gives and whether it means them to differ."""

    name: str
    role: str = "*"
    profile: str = ""
    role_path: str = "*"
    profile_path: str = "*"
    names_differ: bool = False
    paths_differ: bool = False
    tags_profiles: bool = True
    wants_back: bool = False
    users: str = ""
    note: str = ""
    source: str = ""
    date: date | None = None

    @property
    def used_by(self) -> dict[str, str]:
        """Services, as boto3 names them, that may use the profile though EC2 shows nothing of it, and what of each."""
        return dict(user.strip().partition(" ")[::2] for user in self.users.split(",") if user.strip())

    def tells(self, side: str) -> bool:
        """Return whether the name of one side alone tells this maker."""
        # A side that takes anything, or whatever the other one is named, says nothing on its own.
        template = self.role if side == "role" else self.profile
        return template not in ("", "*", "{name}_{digits}")

    def pattern(self, sides: str, group: str) -> str:
        """Return a regular expression for `role`, `profile` or both; `group` names the text that both share."""
        seen = False

        def part(match: re.Match[str]) -> str:
            nonlocal seen
            if match.group() != "{name}":
                if match.group() not in _PARTS:
                    raise ValueError(f"{self.name}: there is no {match.group()}, only {{name}}, {', '.join(_PARTS)}")
                return _PARTS[match.group()]
            again, seen = seen, True
            if not group:
                return "[^\\n]+"
            return f"(?P={group})" if again else f"(?P<{group}>[^\\n]+)"

        def expression(template: str) -> str:
            ends = [0, *(end for m in _TOKEN.finditer(template) for end in m.span()), len(template)]
            texts = [template[a:b] for a, b in zip(ends[::2], ends[1::2], strict=True)]
            tokens = [part(match) for match in _TOKEN.finditer(template)]
            return "".join(re.escape(text) + token for text, token in zip(texts, [*tokens, ""], strict=True))

        templates = {
            "role": (self.role_path, self.role),
            "profile": (self.profile_path, self.profile),
            "both": (self.role_path, self.role, self.profile_path, self.profile),
        }
        return "\n".join(map(expression, templates[sides]))


@dataclass(frozen=True, slots=True)
class OwnTag:
    """Keys of tags by which a service or tool knows what is its own; `*` is any text."""

    key: str
    maker: str
    wants_back: bool
    source: str
    date: date


def _entries(table: str) -> list[dict[str, Any]]:
    text = resources.files("iamframe.knowledge").joinpath("makers.toml").read_text(encoding="utf-8")
    entries: list[dict[str, Any]] = tomllib.loads(text)[table]
    return entries


@cache
def known_makers() -> tuple[Maker, ...]:
    """Return the makers of `makers.toml`, in its order: the first that fits counts."""
    return tuple(Maker(**entry) for entry in _entries("maker"))


@cache
def known_own_tags() -> tuple[OwnTag, ...]:
    """Return the keys of tags by which services and tools know their own."""
    return tuple(OwnTag(**entry) for entry in _entries("tag"))


@lru_cache(maxsize=4096)
def own_tag(key: str) -> OwnTag | None:
    """Return the entry that a tag's key falls under, or None: it is nobody's but the account's."""
    return next((one for one in known_own_tags() if fnmatchcase(key, one.key)), None)


def maker_of(makers: Iterable[Maker], columns: Mapping[str, Any], sides: str) -> Positions:
    """Return, per row, the position of the first maker whose names and paths fit, -1 where none does.

    `columns` holds role_path and role_name, profile_path and profile_name, or the four of them; `sides` is `role`,
    `profile` or `both`.
    """
    candidates = [(index, maker) for index, maker in enumerate(makers) if sides == "both" or maker.tells(sides)]
    names = [name for name in ("role_path", "role_name", "profile_path", "profile_name") if name in columns]
    size = len(columns[names[0]])
    found = np.full(size, -1, dtype=np.int64)
    if not candidates or not size:
        return found
    text = concat(*(part for name in names for part in (columns[name], "\n")))
    text = pc.utf8_slice_codeunits(text, 0, -1)
    # Arrow's expressions are linear in the text; most rows fit no maker, and of the others most are tried but once.
    rows = _fitting(text, "|".join(maker.pattern(sides, "") for _, maker in candidates), np.arange(size))
    for index, maker in candidates:
        fitting = _fitting(text, maker.pattern(sides, ""), rows)
        exact = maker.pattern(sides, "name")
        if "(?P=name)" in exact and len(fitting):
            # That two texts are the same is what Arrow's expressions cannot ask.
            same = [re.fullmatch(exact, value) is not None for value in text.take(pa.array(fitting)).to_pylist()]
            fitting = fitting[np.array(same, dtype=bool)]
        found[fitting] = index
        rows = rows[found[rows] < 0]
    return found


def _fitting(text: pa.Array, pattern: str, rows: Positions) -> Positions:
    if not len(rows):
        return rows
    matches = pc.match_substring_regex(text.take(pa.array(rows)), f"\\A(?:{pattern})\\z")
    fits: Bools = np.asarray(pc.fill_null(matches, False))
    return rows[fits]
