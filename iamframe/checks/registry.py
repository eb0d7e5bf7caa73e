"""The class `Check`, and the decorator `check`."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from iamframe.checks import coverage
from iamframe.checks.evidence import Need
from iamframe.inventory import schema
from iamframe.inventory.arrow import Bools
from iamframe.messages.render import Text
from iamframe.messages.text import SEVERITIES

STATUSES = ("complete", "partial", "unknown")

# The subject of a check's findings: a role, a profile, a link, the account, or any of these.
About = Literal["profile", "role", "link", "account", "any"]
# What a plan does about a finding: delete the profile, or add any tag, the tags of its role, or the required tags.
Remedy = Literal["delete", "any tag", "same tags", "required tags"]
# A rule returns facts, as a DataFrame with one row each, or the `Found` of `checks.findings`.
Rule = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Check:
    """A check: a function with the decorator `check`, and the decorator's arguments.

    The field `detail` is a sentence about a finding, with placeholders for values. The field `next_step` is the
    template of the suggested command (see `checks.findings`). The field `remediation` is advice on what to do about the
    findings. The field `about` is the type of resource that the findings are about. The field `alone` is true if the
    check can run on a single profile and its role. The field `remedy` says what a clean-up plan deletes or tags
    because of the findings. It is None if a plan does nothing about them. The field `ruled_out` is None, or a function
    that takes the findings of one inventory (a `Found`) and the frame `profiles` of another inventory. The function
    returns a mask: True for findings that the check certainly would not report for the other inventory.
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
    ruled_out: Callable[..., Bools] | None

    @property
    def title(self) -> str:
        """The title of the check: the first line of the function's docstring."""
        return (inspect.getdoc(self.rule) or "").splitlines()[0].rstrip(".")

    @property
    def why(self) -> str:
        """The docstring of the check's function, without its first line: why findings matter, and what to do.

        The text has one line per paragraph.
        """
        return "\n\n".join(" ".join(part.split()) for part in (inspect.getdoc(self.rule) or "").split("\n\n")[1:])


def check(
    severity: str,
    needs: Iterable[Need | str] | str = (),
    certainty: str = "certain",
    *,
    detail: Text,
    next_step: Text = "",
    remediation: str = "",
    about: About = "any",
    alone: bool = False,
    remedy: Remedy | None = None,
    ruled_out: Callable[..., Bools] | None = None,
) -> Callable[[Rule], Rule]:
    """Turn a function into a check of the same name.

    The function's positional parameters are frames or views that the check reads. The function's keyword-only
    parameters are the options of the check. The first line of the function's docstring is the title of the check. The
    class `Check` explains the arguments of the decorator, such as `detail` and `next_step`. The check could miss
    findings if any of the data listed in `needs` was not collected. A need is a constant of the module
    `iamframe.checks.coverage` (such as `profile_tags`), or the name of such a constant as text. For each frame that
    your own check reads, iamframe adds default needs (`checks.coverage.NEEDS_OF`), unless `needs` contains needs for
    this frame.

    A check's function returns a frame with one or more rows per finding. The returned frame must have the column
    `resource_arn`. The column `account_id` is needed if the resource is neither a role nor a profile of the inventory.
    The returned frame can also fill these columns of its findings: `resource_type`, `resource_name`, `related_arn`,
    `related_name`, `severity`, `certainty`, `expected`, `maker`, `maker_basis`, `next_step` and `next_step_changes`.
    iamframe raises CheckError if the frame has a column that iamframe fills itself: `finding_id`, `finding`, `check`,
    `account_name`, `accepted`, `owner`, `owner_known` and `detail`. All other columns are facts, which `detail` can
    show. Rows with the same `account_id`, `resource_arn` and `related_arn` become one finding. If the `resource_arn` of
    a row is empty, iamframe compares `resource_name` instead.

    Raises
    ------
    TypeError
        If a positional parameter of the function does not have the name of a frame or view, if the function has no
        docstring, or if the severity or a need does not exist.
    """

    def register(rule: Rule) -> Rule:
        parameters = inspect.signature(rule).parameters.values()
        reads = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
        options = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        # The view `lives` is made by `history`, not by a load.
        known = (schema.FRAMES.keys() | schema.VIEWS.keys()) - {schema.LIVES.name}
        if unknown := set(reads) - known:
            raise TypeError(
                f"check {rule.__name__} reads {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}"
            )
        if not (rule.__doc__ or "").strip():
            raise TypeError(f"check {rule.__name__} needs a docstring; its first line is the title of the check")
        if severity not in SEVERITIES:
            raise TypeError(f"check {rule.__name__} has the severity {severity!r}; use one of {', '.join(SEVERITIES)}")
        needed = tuple(_need(rule.__name__, one) for one in ([needs] if isinstance(needs, str) else needs))
        described = (severity, rule, needed, reads, options, certainty, detail, next_step, remediation)
        rule.check = Check(rule.__name__, *described, about, alone, remedy, ruled_out)  # type: ignore[attr-defined]
        return rule

    return register


def _need(check: str, one: Need | str) -> Need:
    known = {name: need for name, need in vars(coverage).items() if isinstance(need, Need)}
    if not isinstance(one, Need) and one not in known:
        raise TypeError(f"check {check} needs {one!r}; use one of {', '.join(sorted(known))}")
    return one if isinstance(one, Need) else known[one]


def stopped_with(error: BaseException, file: str) -> str:
    lines = [at.lineno for at in traceback.extract_tb(error.__traceback__) if at.filename == file]
    return f"stops with {type(error).__name__}: {error}" + (f" (line {lines[-1]})" if lines else "")


def checks_of(*modules: ModuleType) -> dict[str, Check]:
    rules = (rule for module in modules for rule in vars(module).values())
    found = (getattr(rule, "check", None) for rule in rules)
    return {one.name: one for one in found if isinstance(one, Check)}
