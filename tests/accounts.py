"""What the tests of live accounts share: loading a practice account, and what was found in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import commands
import pandas as pd

import iamframe
from iamframe.knowledge.operations import OPERATIONS
from iamframe.practice import PracticeAccount

ID = "123456789012"
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"%s"},"Action":"sts:AssumeRole"}]}'
)
EC2 = TRUST % "ec2.amazonaws.com"
IAM_READS = [read.operation for read in OPERATIONS if read.service == "iam"]


SESSIONS: WeakKeyDictionary[PracticeAccount, Any] = WeakKeyDictionary()
MAKERS: WeakKeyDictionary[PracticeAccount, Any] = WeakKeyDictionary()


def load(account: PracticeAccount, **options: Any) -> iamframe.Inventory:
    if account not in SESSIONS:
        SESSIONS[account] = account.session(region_name="us-east-1")
    return iamframe.load_account(SESSIONS[account], **({"references": False, "progress": False} | options))


def add(account: PracticeAccount, name: str, role: str | None = None, *, path: str = "/", **tags: str) -> str:
    """Make a profile, and the role of that name in it; return the profile's ARN."""
    if account not in MAKERS:
        MAKERS[account] = account.session().client("iam")
    iam = MAKERS[account]
    as_list = [{"Key": key, "Value": value} for key, value in tags.items()]
    made = iam.create_instance_profile(InstanceProfileName=name, Path=path, **({"Tags": as_list} if as_list else {}))
    if role:
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=EC2)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)
    return str(made["InstanceProfile"]["Arn"])


def snapshot(account: PracticeAccount, out: Path, *more: str, account_id: str | None = None) -> tuple[int, str, str]:
    """Run `iamframe snapshot` of an account, in this process; return its exit status and what it printed."""
    environment = os.environ | account.environment(account_id)
    done = commands.run(Path.cwd(), "snapshot", "aws", "--out", str(out), *more, environment=environment)
    return done.returncode, done.stdout, done.stderr


def status(inventory: iamframe.Inventory, check: str) -> str:
    (found,) = iamframe.run_checks(inventory, only=check).coverage["status"]
    return str(found)


def found(inventory: iamframe.Inventory, check: str) -> set[str]:
    return set(iamframe.run_checks(inventory, only=check).findings["resource_name"])


def without_cost(inventory: iamframe.Inventory) -> dict[str, pd.DataFrame]:
    """The frames, but for when and with how many requests they were read."""
    calls = inventory.calls.drop(columns=["requests", "retries", "started_at", "ended_at"])
    return inventory.frames | {"calls": calls, "accounts": inventory.accounts.drop(columns=["captured_at"])}


def same(one: iamframe.Inventory, two: iamframe.Inventory) -> None:
    for name, frame in without_cost(one).items():
        pd.testing.assert_frame_equal(frame, without_cost(two)[name], obj=name)
