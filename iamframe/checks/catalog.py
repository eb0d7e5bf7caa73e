"""The built-in checks, and your own checks."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from iamframe.checks import orphans, names, tags, trust  # isort: skip - the order of the output
from iamframe.checks.coverage import NEEDS_OF
from iamframe.checks.evidence import Need
from iamframe.checks.registry import Check, checks_of, stopped_with
from iamframe.errors import CheckError

CHECKS: dict[str, Check] = checks_of(orphans, names, tags, trust)

# A Python file, or a function under `@iamframe.check`.
Own = str | os.PathLike[str] | Callable[..., Any]


def with_own(own: Own | Iterable[Own] | None) -> dict[str, Check]:
    """Raise CheckError if one of your own checks cannot be loaded."""
    checks = dict(CHECKS)
    for one in each_own(own):
        for check in _checks_in(Path(one)) if isinstance(one, (str, os.PathLike)) else [_check_of(one)]:
            # On some disks, `checks/NAME.csv` and `checks/name.csv` are one file.
            if check.name.casefold() in map(str.casefold, checks):
                raise CheckError(f"{check.name}: a check of that name already exists; rename the function")
            checks[check.name] = replace(check, needs=_needs(check))
    return checks


def each_own(own: Own | Iterable[Own] | None) -> tuple[Own, ...]:
    return (own,) if isinstance(own, (str, os.PathLike)) or callable(own) else tuple(own or ())


def list_checks(own: Own | Iterable[Own] | None = None) -> pd.DataFrame:
    rows = [
        {
            "check": one.name,
            "severity": one.severity,
            "title": one.title,
            "needs": ", ".join(need.name for need in one.needs) or "nothing",
            "remediation": one.remediation,
        }
        for one in with_own(own).values()
    ]
    return pd.DataFrame(rows, dtype="str")


def _needs(check: Check) -> tuple[Need, ...]:
    named = set(check.needs)
    frames = [NEEDS_OF[frame] for frame in check.reads if frame in NEEDS_OF]
    added = [need for default, smaller in frames if named.isdisjoint(default + smaller) for need in default]
    return (*check.needs, *dict.fromkeys(added))


def _check_of(rule: Callable[..., Any]) -> Check:
    check = getattr(rule, "check", None)
    if not isinstance(check, Check):
        raise CheckError(f"{rule!r}: is not a check; put `@iamframe.check(...)` in front of the function")
    return check


def _checks_in(path: Path) -> list[Check]:
    spec = importlib.util.spec_from_file_location("iamframe_own_checks", path)
    if spec is None or spec.loader is None:
        only = f"to run only this check, use --only {path} (in Python, only=['{path}'])"
        to_do = only if str(path) in CHECKS else "give one that ends in .py"
        raise CheckError(f"{path}: is not a Python file; {to_do}")
    module = importlib.util.module_from_spec(spec)
    try:
        path.read_bytes()
    except OSError as error:
        raise CheckError(f"{path}: cannot be read ({error.strerror}); check the path of the file") from error
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise CheckError(f"{path}: {stopped_with(error, str(path))}; fix the file") from error
    if not (found := list(checks_of(module).values())):
        raise CheckError(f"{path}: has no check; put `@iamframe.check(...)` in front of a function")
    return found
