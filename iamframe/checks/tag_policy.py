"""The tag policy file (TOML): required tags, the house's own names, and findings that are accepted.

```toml
[required_tags]
Owner = "*"                                   # any value
Environment = ["prod", "test"]                # one of these
CostCenter = { pattern = "[0-9]{4}", on = ["role"] }

[[name_pairs]]                                # names that differ by the house's own rule
role = "{name}-role"
profile = "{name}-profile"

[[makers]]                                    # as in knowledge/makers.toml
name = "Deployer"
role = "deploy-*"
profile = "deployed-*"
names_differ = true

[[accepted]]
check = "empty_profiles"
resource_arn = "arn:aws:iam::*:instance-profile/legacy-*"   # `*` is any text
reason = "kept for the audit until the end of the year"
expires = 2026-12-31
```
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.errors import PolicyError
from iamframe.knowledge.makers import Maker
from iamframe.sources.archives import read_file

RESOURCE_TYPES = ("role", "instance-profile")
HOUSE = "house rule"
# It comes with an installed package, too.
_EXAMPLE = "`iamframe notebooks DIR` copies an example, tag-policy.toml"


@dataclass(frozen=True, slots=True)
class RequiredTag:
    """A key that resources must carry, and the values that it may have."""

    key: str
    values: tuple[str, ...] = ()
    pattern: str = ""
    on: tuple[str, ...] = RESOURCE_TYPES

    def allows(self, value: str) -> bool:
        """Return whether this value will do."""
        if self.pattern:
            return re.fullmatch(self.pattern, value) is not None
        return not self.values or value in self.values

    @property
    def wanted(self) -> str:
        """What would do, in words."""
        if self.pattern:
            return f"text that matches {self.pattern}"
        return "one of " + ", ".join(self.values) if self.values else "any value"


@dataclass(frozen=True, slots=True)
class Accepted:
    """Findings that somebody has accepted, with the reason, until a day."""

    check: str
    reason: str
    resource_arn: str = "*"
    related_arn: str = "*"
    expires: date | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What a house demands, what it means so, and what it accepts."""

    path: str | None = None
    required: tuple[RequiredTag, ...] = ()
    makers: tuple[Maker, ...] = ()
    acceptances: tuple[Accepted, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def accepted(self, findings: pa.Table, today: date | None = None) -> pa.Array:
        """Return, per finding, the reason why it is accepted, missing where it is not."""
        today = today or datetime.now(UTC).date()
        reasons = pa.nulls(len(findings), pa.string())
        for one in self.acceptances:
            if one.expires and one.expires < today:
                continue
            hit = np.asarray(pc.equal(findings["check"], one.check))
            for column in ("resource_arn", "related_arn"):
                glob = getattr(one, column)
                if glob != "*":
                    pattern = "(?s)^" + ".*".join(map(re.escape, glob.split("*"))) + "$"
                    matches = pc.match_substring_regex(findings[column], pattern)
                    hit &= np.asarray(pc.fill_null(matches, False))
            reasons = pc.if_else(pc.and_(pa.array(hit), pc.is_null(reasons)), one.reason, reasons)
        return reasons


def read_policy(source: str | os.PathLike[str] | Policy | None) -> Policy:
    """Return the policy of a TOML file; None is an empty one.

    Raises
    ------
    PolicyError
        If the file cannot be read, is no TOML, or holds what a policy has no place for.
    """
    if source is None or isinstance(source, Policy):
        return source or Policy()
    path = Path(source)
    try:
        content = tomllib.loads(read_file(path, pipe=True).decode("utf-8"))
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read ({error.strerror}); check the path of the policy file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PolicyError(f"{path}: is not TOML ({error}); {_EXAMPLE}") from error
    try:
        return _policy(str(path), content)
    except (TypeError, ValueError, re.error) as error:
        raise PolicyError(f"{path}: {error}; {_EXAMPLE}") from error


def _policy(path: str, content: dict[str, Any]) -> Policy:
    if unknown := content.keys() - {"required_tags", "name_pairs", "makers", "accepted"}:
        raise ValueError(f"has no place for {', '.join(sorted(unknown))}")
    required = tuple(_required(key, rule) for key, rule in _table(content, "required_tags").items())
    pairs = [
        _entry(Maker, {"name": HOUSE, "names_differ": True} | pair, "name_pairs")
        for pair in _tables(content, "name_pairs")
    ]
    makers = [_entry(Maker, maker, "makers") for maker in _tables(content, "makers")]
    accepted = tuple(_entry(Accepted, one, "accepted") for one in _tables(content, "accepted"))
    for one in accepted:
        if not one.reason:
            raise ValueError("each [[accepted]] needs a reason")
    for maker in (*pairs, *makers):
        for side in ("role", "profile"):
            maker.pattern(side)
    return Policy(path, required, (*pairs, *makers), accepted, {"required": required} if required else {})


def _table(content: dict[str, Any], name: str) -> dict[str, Any]:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise TypeError(f"[{name}] must be a table")
    return table


def _tables(content: dict[str, Any], name: str) -> list[dict[str, Any]]:
    tables = content.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise TypeError(f"[[{name}]] must be a list of tables")
    return tables


def _entry(kind: type[Any], entry: dict[str, Any], table: str) -> Any:
    known = {one.name: one.type for one in fields(kind)}
    missing = [one.name for one in fields(kind) if one.default is MISSING and one.name not in entry]
    if missing:
        raise ValueError(f"each [[{table}]] needs {', '.join(missing)}")
    if unknown := entry.keys() - known.keys():
        raise ValueError(f"[[{table}]] has no place for {', '.join(sorted(unknown))}")
    for name, value in entry.items():
        wanted = {"str": str, "bool": bool, "date | None": date}[str(known[name])]
        if not isinstance(value, wanted) or isinstance(value, datetime):
            raise TypeError(f"{name} in [[{table}]] must be {'a date' if wanted is date else wanted.__name__}")
    return kind(**entry)


def _required(key: str, rule: Any) -> RequiredTag:
    if rule is True or rule == "*":
        return RequiredTag(key)
    if isinstance(rule, (str, list)):
        return RequiredTag(key, _listed(key, "values", [rule] if isinstance(rule, str) else rule))
    if not isinstance(rule, dict) or not rule.keys() <= {"values", "pattern", "on"}:
        raise TypeError(
            f"the rule for {key} in [required_tags] must be text, a list of texts, or values, pattern and on"
        )
    on = _listed(key, "on", rule.get("on", list(RESOURCE_TYPES)))
    if not set(on) <= set(RESOURCE_TYPES):
        raise ValueError(f"`on` of {key} must be of {', '.join(RESOURCE_TYPES)}")
    pattern = rule.get("pattern", "")
    if not isinstance(pattern, str):
        raise TypeError(f"`pattern` of {key} in [required_tags] must be text")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"`pattern` of {key} is no regular expression ({error})") from error
    return RequiredTag(key, _listed(key, "values", rule.get("values", [])), pattern, on)


def _listed(key: str, name: str, values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"the rule for {key} in [required_tags]: `{name}` must be a list of texts")
    return tuple(values)
