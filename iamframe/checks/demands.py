"""The tag requirements of a policy file and of the organization, as one list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
import pandas as pd

from iamframe.checks.tag_policy import Policy, RequiredTag

SIDE_OF = {"role": "role", "instance-profile": "profile"}


@dataclass(frozen=True, slots=True)
class Demand:
    """A tag requirement for resources of one type: the allowed values of a key, and whether the key is required.

    `account_id` is None for a rule of a file, which applies to every account. An organization also prescribes the case
    of the key (Organizations User Guide, "Tag policy syntax and examples"). `required_of` has the types of resources
    that need the tag. `wanted` has the allowed values as text for people.
    """

    kind: str
    rule: RequiredTag
    account_id: str | None = None
    is_required: bool = True
    required_of: str = ""
    wanted: str = ""

    @property
    def demanded_by(self) -> str:
        """The origin of the requirement: `file` or `organization`."""
        return "file" if self.account_id is None else "organization"

    def is_misspelled(self, key: str) -> bool:
        """Return whether the rule is an organization's, and the key differs from the rule's key only in case."""
        return self.account_id is not None and key != self.rule.key and key.casefold() == self.rule.key.casefold()

    def forbids(self, key: str, value: str) -> bool:
        """Return whether a tag breaks the rule."""
        return self.is_misspelled(key) or (key == self.rule.key and not self.rule.allows(value))

    def is_broken_by(self, tags: Mapping[str, str]) -> bool:
        """Return whether the tags of a resource lack a required key, or break the rule."""
        is_missing = self.is_required and self.rule.key not in tags
        return is_missing or any(self.forbids(key, value) for key, value in tags.items())


def demands(policy: Policy, tag_policies: pd.DataFrame) -> Iterator[Demand]:
    """Yield the tag requirements of a policy: first its own rules, then those of the organizations."""
    for rule in policy.required:
        wanted = rule.pattern or ", ".join(rule.values)
        yield from (Demand(kind, rule, wanted=wanted) for kind in SIDE_OF if kind in rule.on)
    if not policy.organization:
        return
    required = (
        tag_policies[tag_policies["is_required"]].groupby(["account_id", "tag_key"])["resource_type"].agg(" ".join)
    )
    columns = (
        tag_policies[name] for name in ("account_id", "resource_type", "tag_key", "allowed_values", "is_required")
    )
    for account, kind, key, allowed, is_required in zip(*columns, strict=True):
        values = msgspec.json.decode(allowed) if isinstance(allowed, str) else []
        rule = RequiredTag(key, pattern="|".join(map(_expression, values)))
        of = required.get((account, key), "")
        yield Demand(kind, rule, account, bool(is_required), of, ", ".join(values))


def _expression(value: str) -> str:
    """Return a regular expression for an allowed value; `*` matches any text."""
    return f"(?s:{'.*'.join(map(re.escape, value.split('*')))})"
