"""Rules of services and tools about the names of profiles and roles."""

from __future__ import annotations

import datetime as dt
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec


class ToolRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The names that a tool requires for a profile and its role. `tool_rules.toml` describes the fields."""

    tool: str
    rule: Literal["same_names", "role_arn", "prefix", "policy"]
    source: str
    date: dt.date
    consumer_types: tuple[str, ...] = ()
    role_prefix: str = ""
    profile_prefix: str = ""
    role_path: str = ""
    except_makers: tuple[str, ...] = ()

    @property
    def wants_same_names(self) -> bool:
        """Whether the tool requires the same name for profile and role, or the role's ARN if the names differ."""
        return self.rule in ("same_names", "role_arn")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    rules: tuple[ToolRule, ...]


@cache
def tool_rules() -> tuple[ToolRule, ...]:
    """Return the rules of `tool_rules.toml`."""
    text = files("iamframe.knowledge").joinpath("tool_rules.toml").read_bytes()
    return msgspec.toml.decode(text, type=_File).rules
