"""What a check is, and what a need knows of what was read. No rule stands here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import Any, Literal

import numpy as np
import pandas as pd

from iamframe.checks.tag_policy import Policy
from iamframe.inventory import schema
from iamframe.inventory.arrow import index_in
from iamframe.inventory.inventory import Inventory
from iamframe.messages.render import Text
from iamframe.messages.text import SEVERITIES

STATUSES = ("complete", "partial", "unknown")

# What a finding is about: one side of a link, the link itself, the account, or whichever of them has it.
About = Literal["profile", "role", "link", "account", "any"]
# What settles a finding: the profile is deleted, or it gets any tag, its role's tags, or those that the policy demands.
Remedy = Literal["delete", "any tag", "same tags", "required tags"]
# It returns facts: a DataFrame, one row each, or the `Found` of `checks.findings`.
Rule = Callable[..., Any]
Counts = dict[str, list[int]]


@dataclass
class Evidence:
    """What was read of each account; a need derives from it how far a check can be trusted."""

    inventory: Inventory
    pairs: pd.DataFrame
    lists: pd.DataFrame
    policy: Policy
    counted: dict[str, Counts] = field(default_factory=dict)

    @cached_property
    def answered(self) -> set[tuple[str, str]]:
        """Account and operation of all that AWS did not refuse."""
        calls = self.inventory.calls[["account_id", "operation"]][self.inventory.calls["state"] != "refused"]
        return set(calls.itertuples(index=False, name=None))

    @cached_property
    def cut_short(self) -> pd.DataFrame:
        """The calls whose list broke off."""
        return self.inventory.calls[self.inventory.calls["state"] == "truncated"]

    @cached_property
    def refused(self) -> list[tuple[str, str, str]]:
        """Account, operation and reason of all that AWS refused, each once, in the order of `gaps`."""
        gaps = self.inventory.gaps
        gaps = gaps.loc[gaps["reason"].isin(["denied", "throttled", "expired"]), ["account_id", "operation", "reason"]]
        return list(gaps.drop_duplicates().itertuples(index=False, name=None))

    def count(self, name: str, frame: pd.DataFrame, **masks: Any) -> Counts:
        """Return the `rows` of a frame per account, in the order of `accounts`, and those under each mask."""
        if name not in self.counted:
            accounts = self.inventory.accounts["account_id"]
            account = index_in(frame["account_id"], accounts)
            under = {"rows": np.ones(len(frame), dtype=bool)} | {k: np.asarray(v, bool) for k, v in masks.items()}
            self.counted[name] = {
                what: np.bincount(account[mask & (account >= 0)], minlength=len(accounts)).tolist()
                for what, mask in under.items()
            }
        return self.counted[name]


# Per account in the order of `accounts`: a status and, unless it is complete, the sentence that says why.
Verdicts = list[tuple[str, str]]
Need = Callable[[Evidence], Verdicts]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its rule, what the rule's signature and docstring say of it, and facts that other rooms ask for.

    `detail` is the sentence on a finding, with places for its facts, and `remediation` what to do about it. `about` is
    what its findings are about. `alone` is true where a resource and its role settle it, however little else was read.
    `remedy` is what a plan does about its findings, None where it does nothing.
    """

    name: str
    severity: str
    rule: Rule
    needs: tuple[Need, ...]
    reads: tuple[str, ...]
    options: tuple[str, ...]
    certainty: str
    detail: Text
    remediation: str
    about: About
    alone: bool
    remedy: Remedy | None

    @property
    def title(self) -> str:
        """What it finds, in one line: the first of its docstring."""
        return (inspect.getdoc(self.rule) or "").splitlines()[0].rstrip(".")

    @property
    def why(self) -> str:
        """Why that matters and what to do: the rest of its docstring, as one paragraph each."""
        return "\n\n".join(" ".join(part.split()) for part in (inspect.getdoc(self.rule) or "").split("\n\n")[1:])


def check(
    severity: str,
    needs: Iterable[Need] = (),
    certainty: str = "certain",
    *,
    detail: Text,
    remediation: str = "",
    about: About = "any",
    alone: bool = False,
    remedy: Remedy | None = None,
) -> Callable[[Rule], Rule]:
    """Make a rule a check under its own name; the arguments are those of `Check`.

    The rule's positional parameters name the frames or views that it reads, its keyword-only ones are its options. The
    first line of its docstring is its title everywhere. It returns one row per fact: `resource_arn` is required;
    columns of `schema.FINDINGS` set what a finding says; all other columns are facts, which `detail` may name. Rows of
    the same account, resource and related resource are one finding.

    Raises
    ------
    TypeError
        If a parameter names neither a frame nor a view, the rule has no docstring, or there is no such severity.
    """

    def register(rule: Rule) -> Rule:
        parameters = inspect.signature(rule).parameters.values()
        reads = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
        options = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        known = schema.FRAMES.keys() | schema.VIEWS.keys()
        if unknown := set(reads) - known:
            raise TypeError(
                f"check {rule.__name__} reads {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}"
            )
        if not rule.__doc__ or severity not in SEVERITIES:
            raise TypeError(f"check {rule.__name__} needs a docstring, and a severity of {', '.join(SEVERITIES)}")
        described = (severity, rule, tuple(needs), reads, options, certainty, detail, remediation)
        rule.check = Check(rule.__name__, *described, about, alone, remedy)  # type: ignore[attr-defined]
        return rule

    return register


def checks_of(*modules: ModuleType) -> dict[str, Check]:
    """Return the checks that modules define, by name, in the order in which they stand there."""
    rules = (rule for module in modules for rule in vars(module).values())
    found = (getattr(rule, "check", None) for rule in rules)
    return {one.name: one for one in found if isinstance(one, Check)}
