"""One check on a few documents: its findings and its coverage."""

from __future__ import annotations

import functools
import pickle
from pathlib import Path
from typing import Any

from builders import load

from iamframe import Result, run_checks

# Names that a shell, the AWS CLI or a terminal could take for something else.
HOSTILE = ["a b", "it's", 'say "hi"', "$(rm -rf)", "`id`", "-rf", "--help", "a\nb", "a;b", "a,b", "a\\b", "*", "~", "é"]


@functools.lru_cache(maxsize=1)
def checked(folder: Path, documents: bytes, check: str, policy: str | None) -> Result:
    """The result of one check. A test that asks for its findings and then its coverage loads only once."""
    inventory, file = load(folder, pickle.loads(documents)), folder / "policy.toml"
    if policy is not None:
        file.write_text(policy, encoding="utf-8")
    return run_checks(inventory, only=[check], policy=None if policy is None else file)


def rows(folder: Path, documents: dict[str, Any], check: str, policy: str | None = None) -> list[dict[str, Any]]:
    """The findings of one check, missing values as None."""
    findings = checked(folder, pickle.dumps(documents), check, policy).findings
    return findings.astype(object).where(findings.notna(), None).to_dict("records")


def found(folder: Path, documents: dict[str, Any], check: str) -> list[str]:
    """The ARNs of the findings of one check."""
    return [row["resource_arn"] for row in rows(folder, documents, check)]


def covered(folder: Path, documents: dict[str, Any], check: str, policy: str | None = None) -> tuple[str, str]:
    """Status and reason of one check in the one account."""
    coverage = checked(folder, pickle.dumps(documents), check, policy).coverage
    ((status, reason),) = coverage[["status", "reason"]].itertuples(index=False, name=None)
    return status, reason
