"""The checks, one file per family, and `run_checks`."""

from __future__ import annotations

from collections.abc import Iterable

from iamframe.checks import names, orphans, tags, trust
from iamframe.checks.catalog import CHECKS, Own, with_own
from iamframe.checks.owner import OWNER_TAG
from iamframe.checks.registry import Check, check
from iamframe.checks.result import Result
from iamframe.checks.runner import run
from iamframe.checks.tag_policy import Policy, PolicySource, read_policy
from iamframe.errors import require
from iamframe.inventory.inventory import Inventory
from iamframe.messages.text import SEVERITIES

__all__ = [
    "CHECKS",
    "SEVERITIES",
    "Check",
    "Policy",
    "Result",
    "check",
    "names",
    "orphans",
    "run_checks",
    "tags",
    "trust",
]


def run_checks(
    inventory: Inventory,
    only: Iterable[str] | None = None,
    policy: PolicySource = None,
    checks: Own | Iterable[Own] | None = None,
    owner_tag: str = OWNER_TAG,
) -> Result:
    """Run the checks over an inventory. No request is made to AWS.

    Parameters
    ----------
    only
        Names of the checks to run, all of them by default.
    policy
        A tag policy file (TOML), a `Policy`, or a list of these, read as one: of two rules for a tag the later holds.
    checks
        Checks of one's own, which run with the others: Python files with functions under `@iamframe.check`, or such
        functions.
    owner_tag
        Key of the tag that names the owner of a role or profile; keys that read alike count as the same.

    Returns
    -------
    Result
        `findings`, one row per finding, by severity, check and ARN; `result["CHECK"]`, the facts of one check;
        `coverage`, one row per account and check, which says whether no findings means that there is nothing;
        `summary`, one row per check.

    Raises
    ------
    UnknownCheckError
        If `only` names a check that does not exist.
    PolicyError
        If the policy file cannot be understood.
    CheckError
        If a check of one's own cannot be loaded, or stops with an error.
    WrongObjectError
        If it is given anything but an inventory.
    """
    require("run_checks", inventory, Inventory, instead="what `iamframe.load` gives")
    return run(inventory, only, read_policy(policy), with_own(checks), owner_tag)
