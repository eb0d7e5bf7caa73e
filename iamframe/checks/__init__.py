"""The checks, one file per family, and `run_checks`."""

from __future__ import annotations

from collections.abc import Iterable

from iamframe.checks import orphans, names, tags, trust  # isort: skip - in this order they are told
from iamframe.checks.registry import CHECKS, Check
from iamframe.checks.result import Result
from iamframe.checks.runner import run
from iamframe.checks.tag_policy import Policy, PolicySource, read_policy
from iamframe.inventory.inventory import Inventory
from iamframe.messages.text import SEVERITIES

__all__ = ["CHECKS", "SEVERITIES", "Check", "Policy", "Result", "names", "orphans", "run_checks", "tags", "trust"]


def run_checks(
    inventory: Inventory,
    only: Iterable[str] | None = None,
    policy: PolicySource = None,
) -> Result:
    """Run the checks over an inventory.

    `only` names the checks to run, all of them by default; `policy` is a tag policy file (TOML), a `Policy`, or a
    list of these, which is read as one: of two rules for a tag the later one holds. No request is made to AWS.

    Returns
    -------
    Result
        `findings`, one row per resource and related resource, by severity, check and ARN; `coverage`, one row per
        account and check, which says whether no findings means that there is nothing; `summary`, one row per check.

    Raises
    ------
    UnknownCheckError
        If `only` names a check that does not exist.
    PolicyError
        If the policy file cannot be understood.
    """
    return run(inventory, only, read_policy(policy))
