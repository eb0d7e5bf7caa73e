"""AWS managed policies that allow much, and those whose names people also use for roles and profiles.

In `policies.toml`, the table `policy` contains policies that allow (almost) everything, or all actions of IAM. The
table `namesake` contains names of AWS managed policies that people also use as names of roles and profiles.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

# From the greatest power to the smallest.
POWERS = ("administrator", "iam_administrator", "power_user")
# Only AWS's own policies have `aws` in place of an account (IAM User Guide, "IAM identifiers").
_AWS_MANAGED = re.compile(r"arn:[^:]*:iam::aws:policy/(.+)")


class _Policy(msgspec.Struct, forbid_unknown_fields=True):
    power: Literal["administrator", "iam_administrator", "power_user"]
    source: str
    date: dt.date


class Namesake(msgspec.Struct, forbid_unknown_fields=True):
    policy: str
    service: str
    source: str
    date: dt.date


class _File(msgspec.Struct, forbid_unknown_fields=True):
    policy: dict[str, _Policy]
    namesake: dict[str, Namesake]


@cache
def _known() -> _File:
    text = files("iamframe.knowledge").joinpath("policies.toml").read_bytes()
    return msgspec.toml.decode(text, type=_File)


def aws_managed_name(arn: str) -> str | None:
    found = _AWS_MANAGED.fullmatch(arn)
    return found[1] if found else None


def power_of(arn: str) -> str | None:
    known = _known().policy.get(aws_managed_name(arn) or "")
    return known.power if known else None


def namesake_of(name: str) -> Namesake | None:
    # IAM does not distinguish names that differ only in case.
    return next((one for known, one in _known().namesake.items() if known.lower() == name.lower()), None)
