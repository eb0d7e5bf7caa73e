"""What a check and its needs are. No rule stands here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from iamframe.checks.evidence import COMPLETE, Evidence, Flags, KnownRows, Verdicts, advice
from iamframe.inventory import schema
from iamframe.messages.render import Text
from iamframe.messages.text import SEVERITIES

STATUSES = ("complete", "partial", "unknown")

# What a finding is about: one side of a link, the link itself, the account, or whichever of them has it.
About = Literal["profile", "role", "link", "account", "any"]
# What settles a finding: the profile is deleted, or it gets any tag, its role's tags, or those that the policy demands.
Remedy = Literal["delete", "any tag", "same tags", "required tags"]
# It returns facts: a DataFrame, one row each, or the `Found` of `checks.findings`.
Rule = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Need:
    """What a check must have read: its name, and what tells how far each account was read."""

    name: str
    judge: Callable[[Evidence], Verdicts]


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """Rows that must be known, a list that must be whole, or both; and which messages say what of them was not read.

    `missing` is the message about rows that are not known; the command of `advised` settles them, or else what gives
    the rest of the list. `settled_by` are the operations whose refusal is told. A list is `of` roles or profiles, and
    `whole` as far as their own list is; where it is not, it is partial if some of it was `seen`: without that, any row.
    `list_first` says so whatever is known of its rows.
    """

    rows: KnownRows | None = None
    missing: str = ""
    advised: str = ""
    settled_by: tuple[str, ...] = ()
    of: str = ""
    whole: Flags | None = None
    seen: Flags | None = None
    not_all: str = ""
    not_seen: str = ""
    list_first: bool = False
    none_known: str = "unknown"

    def __call__(self, evidence: Evidence) -> Verdicts:
        """Return status and reason per account."""
        size = len(evidence.accounts)
        total, known = evidence.count(self.rows) if self.rows else ([0] * size, [0] * size)
        refusals = evidence.refusals(self.settled_by)
        whole = self.whole(evidence) if self.whole else evidence.whole(self.of) if self.of else [True] * size
        seen = self.seen(evidence) if self.seen else total
        lists = evidence.listed(self.of, refusals) if self.of else [{}] * size
        verdicts: Verdicts = []
        for rows, of_them, is_whole, some, listed, refusal in zip(
            total, known, whole, seen, lists, refusals, strict=True
        ):
            if of_them < rows and (is_whole or not self.list_first):
                settled = advice(self.advised, refusal) if self.advised else listed.get("advice")
                facts = {"missing": rows - of_them, "total": rows, "refusal": refusal, "advice": settled}
                verdicts.append(
                    ("partial" if of_them else self.none_known, {"message": f"coverage.{self.missing}"} | facts)
                )
            elif is_whole:
                verdicts.append(COMPLETE)
            else:
                said = {"message": f"coverage.{self.not_all}"} | listed
                said |= {} if some or not self.not_seen else {"message": f"coverage.{self.not_seen}"}
                verdicts.append(("partial" if some else "unknown", said))
        return verdicts


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its rule, what the rule's signature and docstring say of it, and facts that other rooms ask for.

    `detail` is the sentence on a finding, with places for its facts, `next_step` the command to type, by the rules of
    `checks.commands`, and `remediation` what to do about it. `about` is what its findings are about. `alone` is true
    where a resource and its role settle it, however little else was read. `remedy` is what a plan does about its
    findings, None where it does nothing.
    """

    name: str
    severity: str
    rule: Rule
    needs: tuple[Need, ...]
    reads: tuple[str, ...]
    options: tuple[str, ...]
    certainty: str
    detail: Text
    next_step: Text
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
    next_step: Text = "",
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
        described = (severity, rule, tuple(needs), reads, options, certainty, detail, next_step, remediation)
        rule.check = Check(rule.__name__, *described, about, alone, remedy)  # type: ignore[attr-defined]
        return rule

    return register


def checks_of(*modules: ModuleType) -> dict[str, Check]:
    """Return the checks that modules define, by name, in the order in which they stand there."""
    rules = (rule for module in modules for rule in vars(module).values())
    found = (getattr(rule, "check", None) for rule in rules)
    return {one.name: one for one in found if isinstance(one, Check)}
