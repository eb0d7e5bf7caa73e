"""The built-in checks, and the function `run_checks`."""

from __future__ import annotations

from collections.abc import Iterable

from iamframe.checks.catalog import CHECKS, Own, with_own
from iamframe.checks.owner import OWNER_TAG
from iamframe.checks.registry import Check, check
from iamframe.checks.result import Result
from iamframe.checks.runner import run
from iamframe.checks.tag_policy import Policy, PolicySource, read_policy
from iamframe.errors import require
from iamframe.inventory.inventory import Inventory

__all__ = ["CHECKS", "Check", "Policy", "Result", "check", "run_checks"]


def run_checks(
    inventory: Inventory,
    only: Iterable[str] | None = None,
    policy: PolicySource = None,
    checks: Own | Iterable[Own] | None = None,
    owner_tag: str = OWNER_TAG,
) -> Result:
    """Run the checks on an inventory. `run_checks` reads only the inventory, not the account.

    Parameters
    ----------
    only
        Names of the checks to run. By default, all checks run.
    policy
        Rules for names and tags: a policy file (TOML), a `Policy`, `"org"`, or a list of these. `"org"` stands for the
        account's effective tag policy in AWS Organizations, which is in the frame `tag_policies`. If two files have a
        rule for the same tag, the file that comes later in the list counts.
    checks
        Your own checks: functions decorated with `@iamframe.check`, or Python files with such functions.
    owner_tag
        Key of the tag whose value is the owner of a role or profile. A key that differs only in case, spaces or
        separators, such as `OWNER`, counts, too.

    Returns
    -------
    Result
        The frame `findings` has one row per finding, sorted by severity and check. `result["CHECK"]` shows the details
        of one check's findings. The frame `coverage` shows whether each check had complete data in each account. The
        frame `summary` has one row per check.

    Raises
    ------
    UnknownCheckError
        If a check in `only` does not exist.
    PolicyError
        If a policy file cannot be read, or is not valid.
    CheckError
        If one of your own checks cannot be loaded or stops with an error.
    WrongObjectError
        If `inventory` is not an `Inventory`.
    """
    require("run_checks", inventory, Inventory, instead="what `iamframe.load` gives")
    require("owner_tag=…", owner_tag, str, instead="the key of a tag")
    return run(inventory, only, read_policy(policy), with_own(checks), owner_tag)
