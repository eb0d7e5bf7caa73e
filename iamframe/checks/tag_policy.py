"""The policy file (TOML): required tags, accepted findings, and how your own tools name and use profiles.

```toml
[required_tags]
Owner = "*"                                   # any value
Environment = ["prod", "test"]                # one of these
CostCenter = { pattern = "[0-9]{4}", on = ["role"] }

[[name_pairs]]                                # names that differ by your own rule
role = "{name}-role"
profile = "{name}-profile"

[[makers]]                                    # as in knowledge/makers.toml
name = "Deployer"
role = "deploy-*"
profile = "deployed-*"
names_differ = true

[[tools]]                                     # a tool uses these profiles, but AWS does not show the use
tool = "Databricks"
profile = "databricks-*"

[[accepted]]                                  # `finding_id` or `related_arn` can replace `resource_arn`
check = "empty_profiles"
resource_arn = "arn:aws:iam::*:instance-profile/legacy-*"
reason = "kept for the audit until the end of the year"
expires = 2026-12-31
```
"""

from __future__ import annotations

import datetime as dt
import os
import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from types import NoneType
from typing import Annotated, Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.errors import PolicyError, require
from iamframe.knowledge.makers import Maker, tool_rules
from iamframe.sources.archives import read_file

# An installed package has the example too.
_EXAMPLE = "for an example, see tag-policy.toml (`iamframe notebooks DIR` copies it)"
# The types of TOML, by msgspec's names for them.
_TYPES = {"str": "a text", "object": "a table", "array": "a list", "int": "a number", "float": "a number"}
_TYPES |= {"bool": "true or false", "date": "a date", "datetime": "a date with a time", "time": "a time"}
# What msgspec says about a key, and how iamframe says it.
_KEYS = {"Object contains unknown field": "unknown key", "Object missing required field": "missing key"}


class RequiredTag(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A required tag: its key and its allowed values."""

    # In a file, the key is the name of the rule's table, not a field of it.
    key: str = msgspec.field(name="", default="")
    values: tuple[str, ...] = ()
    pattern: str = ""
    on: tuple[Annotated[str, msgspec.Meta(pattern="^(role|instance-profile)$")], ...] = ("role", "instance-profile")

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"`pattern` is not a regular expression ({error})") from error
        if self.values and self.pattern:
            raise ValueError("has both `values` and `pattern`; use one of them")
        if not self.on:
            raise ValueError("`on` is empty, so nothing needs the tag; give `role`, `instance-profile` or both")

    def allows(self, value: str) -> bool:
        """Return whether the rule allows a value."""
        if self.pattern:
            return re.fullmatch(self.pattern, value) is not None
        return not self.values or value in self.values


class NamePair(Maker, frozen=True, kw_only=True):
    role: str
    profile: str
    name: str = "house rule"
    names_differ: bool = True


class Accepted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule that accepts findings for a reason, and that can have an expiry date."""

    check: str
    reason: str
    finding_id: str = "*"
    resource_arn: str = "*"
    related_arn: str = "*"
    expires: dt.date | None = None

    def __post_init__(self) -> None:
        # The HTML page writes entries with an empty reason, which you must fill in.
        if not self.reason.strip():
            raise ValueError("`reason` is empty; say why the finding is accepted")

    @property
    def has_expired(self) -> bool:
        """Whether the expiry date has passed, in UTC."""
        return self.expires is not None and self.expires < dt.datetime.now(dt.UTC).date()

    def matches(self, findings: pa.Table) -> pa.Array:
        """Return, for each finding, whether the rule is about the finding, even if the rule has expired."""
        hit = np.asarray(pc.equal(findings["check"], self.check))
        for column in ("finding_id", "resource_arn", "related_arn"):
            glob = getattr(self, column)
            if glob != "*":
                texts = findings[column] if column in findings.column_names else pa.nulls(len(hit), pa.string())
                hit = hit & np.asarray(pc.fill_null(pc.match_substring_regex(texts, any_text(glob)), False))
        return pa.array(hit)


class ToolUse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Profiles that are used by a tool such as Databricks.

    The field `profile` is a pattern for names of instance profiles, in which `*` stands for any text.
    """

    tool: str
    profile: str = "*"

    def __post_init__(self) -> None:
        known = [rule.tool for rule in tool_rules()]
        if self.tool not in known:
            raise ValueError(f"`tool` is {self.tool!r}, of which no rule is known; there are {', '.join(known)}")


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of an iamframe policy file.

    The field `makers` contains the naming rules under `[[name_pairs]]` and `[[makers]]`. The field `tools` says which
    tool uses which profiles. If `organization` is true, each account's effective tag policy applies, too.
    """

    path: str | None = None
    required: tuple[RequiredTag, ...] = ()
    makers: tuple[Maker, ...] = ()
    acceptances: tuple[Accepted, ...] = ()
    tools: tuple[ToolUse, ...] = ()
    organization: bool = False

    @property
    def demands_tags(self) -> bool:
        """True if a policy file requires tags, or if each account's effective tag policy is used."""
        return bool(self.required) or self.organization

    def accepted(self, findings: pa.Table) -> pa.Array:
        """Return one value per finding: the reason if the finding is accepted, else a missing value."""
        reasons = pa.nulls(len(findings), pa.string())
        for one in self.acceptances:
            if not one.has_expired:
                reasons = pc.if_else(pc.and_(one.matches(findings), pc.is_null(reasons)), one.reason, reasons)
        return reasons


def any_text(glob: str) -> str:
    return f"(?s:^{'.*'.join(map(re.escape, glob.split('*')))}$)"


# In place of a file: the tag policy of each account's organization.
ORG_POLICY = "org"
PolicySource = str | os.PathLike[str] | Policy | Iterable[str | os.PathLike[str] | Policy] | None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    required_tags: dict[str, Any] = {}
    name_pairs: tuple[NamePair, ...] = ()
    makers: tuple[Maker, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    tools: tuple[ToolUse, ...] = ()


def read_policy(source: PolicySource) -> Policy:
    """Raise PolicyError if an iamframe policy file is unreadable or invalid."""
    if isinstance(source, Policy):
        return source
    if not isinstance(source, (str, os.PathLike)):
        kinds = (str, os.PathLike, Policy, Iterable, NoneType)
        require("policy=…", source, *kinds, instead="a policy file, `org`, a Policy, or a list of these")
        return _merged([read_policy(one) for one in ([] if source is None else source)])
    # A file named `org` can be read as `./org`.
    if source == ORG_POLICY:
        return Policy(ORG_POLICY, organization=True)
    path = Path(source)
    try:
        file = msgspec.toml.decode(read_file(path, pipe=True).removeprefix(BOM_UTF8), type=_File)
        required = tuple(starmap(_required, file.required_tags.items()))
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read ({error.strerror}); check the path of the policy file") from error
    except msgspec.ValidationError as error:
        raise PolicyError(f"{path}: {_in_words(error)}; {_EXAMPLE}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PolicyError(f"{path}: is not TOML ({error}); {_EXAMPLE}") from error
    return Policy(str(path), required, (*file.name_pairs, *file.makers), file.accepted, file.tools)


def _in_words(error: msgspec.ValidationError) -> str:
    problem, _, place = str(error).partition(" - at `$")
    if types := re.fullmatch(r"Expected `(.+)`, got `(.+)`", problem):
        *others, last = [_TYPES[name] for name in types[1].split(" | ") if name != "null"]
        expected = " or ".join(filter(None, [", ".join(others), last]))
        problem = f"expected {expected}, but found {_TYPES[types[2]]}"
    for theirs, ours in _KEYS.items():
        problem = problem.replace(theirs, ours)
    return f"{place.strip('.`')}: {problem}" if place else problem


def _merged(policies: list[Policy]) -> Policy:
    return Policy(
        ", ".join(one.path for one in policies if one.path) or None,
        # If several files have a rule for one tag, the last rule applies.
        tuple({rule.key: rule for one in policies for rule in one.required}.values()),
        tuple(maker for one in policies for maker in one.makers),
        tuple(accepted for one in policies for accepted in one.acceptances),
        tuple(use for one in policies for use in one.tools),
        any(one.organization for one in policies),
    )


def _required(key: str, rule: Any) -> RequiredTag:
    if rule is True or rule == "*":
        return RequiredTag(key)
    if rule == [] or (isinstance(rule, dict) and rule.get("values") == []):
        problem = "the list of allowed values is empty; give values, or `true` if any value is allowed"
        raise msgspec.ValidationError(f"{problem} - at `$.required_tags.{key}`")
    try:
        read = msgspec.convert({key: rule}, dict[str, str | tuple[str, ...] | RequiredTag])[key]
    except msgspec.ValidationError as error:
        # If a table has free keys, msgspec does not report which one is wrong.
        raise msgspec.ValidationError(str(error).replace("$[...]", f"$.required_tags.{key}")) from error
    if isinstance(read, RequiredTag):
        return msgspec.structs.replace(read, key=key)
    return RequiredTag(key, (read,) if isinstance(read, str) else read)


SIDE_OF = {"role": "role", "instance-profile": "profile"}


class Demand(msgspec.Struct, frozen=True):
    """A rule about one tag key, either of roles or of profiles.

    The field `account_id` is None for a rule of a policy file. Rules of a policy file (`--policy FILE`) apply to all
    accounts. A tag policy of AWS Organizations prescribes how tag keys are capitalized. Source: Organizations User
    Guide, "Tag policy syntax and examples". For an organization's rule, the field `required_of` contains the types of
    resources that need the tag. The field `wanted` contains the allowed values as readable text.
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
        """Return whether a key differs only in case from the key of a rule in the organization's tag policy."""
        return self.account_id is not None and key != self.rule.key and key.casefold() == self.rule.key.casefold()

    def forbids(self, key: str, value: str) -> bool:
        """Return whether a tag breaks the rule."""
        return self.is_misspelled(key) or (key == self.rule.key and not self.rule.allows(value))

    def is_broken_by(self, tags: Mapping[str, str]) -> bool:
        """Return whether a resource lacks the required tag, or has a tag that breaks the rule."""
        is_missing = self.is_required and self.rule.key not in tags
        return is_missing or any(self.forbids(key, value) for key, value in tags.items())


def demands(policy: Policy, tag_policies: pd.DataFrame) -> Iterator[Demand]:
    for rule in policy.required:
        wanted = rule.pattern or ", ".join(rule.values)
        yield from (Demand(kind, rule, wanted=wanted) for kind in SIDE_OF if kind in rule.on)
    if not policy.organization:
        return
    required_of = tag_policies[tag_policies["is_required"]].groupby(["account_id", "tag_key"])["resource_type"]
    required = required_of.agg(" ".join)
    columns = ["account_id", "resource_type", "tag_key", "allowed_values", "is_required"]
    for account, kind, key, allowed, is_required in tag_policies[columns].itertuples(index=False):
        values = msgspec.json.decode(allowed) if isinstance(allowed, str) else []
        rule = RequiredTag(key, pattern="|".join(map(any_text, values)))
        of = required.get((account, key), "")
        yield Demand(kind, rule, account, bool(is_required), of, ", ".join(values))
