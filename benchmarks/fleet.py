"""Measure a snapshot of many accounts, if one account in a hundred fails: seconds and peak memory.

    python benchmarks/fleet.py [--accounts 10000] [--fewer 2000]

There are five ways to fail. Each account has 20 roles and five profiles. iamframe plans its requests and writes its
journals as usual. Only boto3 is replaced, by a function that makes the answers. Each number of accounts is measured in
a process of its own.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError

import iamframe
from iamframe.inventory import fleet
from iamframe.sources.client import Client

MAX_MEGABYTES = 400
ROLES, PROFILES = 20, 5
TRUST = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
TAGS = [{"Key": "Owner", "Value": "ops"}, {"Key": "Environment", "Value": "prod"}]
# The ways in which accounts fail, each with a part of the gap's text. One account in `EVERY` fails in each way.
WAYS = {
    "denied": "could not be assumed",
    "unreachable": "AWS cannot be reached",
    "throttled": "Rate exceeded",
    "worker": "the worker that read the account stopped: KeyError",
    "unreadable": "ValidationError",
}
EVERY = 500


def way_of(account: str) -> str | None:
    """Return how an account fails, or None if it can be read."""
    place = int(account) % EVERY
    return [*WAYS][place] if place < len(WAYS) else None


class Session:
    """The methods of a boto3 session that iamframe calls before its first request."""

    region_name = "us-east-1"

    def __init__(self, account: str) -> None:
        self.account = account

    def get_partition_for_region(self, _: str) -> str:
        return "aws"

    def get_available_regions(self, *_: object, **__: object) -> list[str]:
        return [self.region_name]


def role_of(account: str, number: int) -> dict[str, Any]:
    name = f"app-{number:02d}"
    return {
        "Path": "/",
        "RoleName": name,
        "RoleId": f"AROA{account}{number:04d}",
        "Arn": f"arn:aws:iam::{account}:role/{name}",
        "CreateDate": "2026-01-01T00:00:00+00:00",
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [TRUST]},
    }


def profile_of(account: str, number: int) -> dict[str, Any]:
    name = f"app-{number:02d}"
    return {
        "Path": "/",
        "InstanceProfileName": name,
        "InstanceProfileId": f"AIPA{account}{number:04d}",
        "Arn": f"arn:aws:iam::{account}:instance-profile/{name}",
        "CreateDate": "2026-01-01T00:00:00+00:00",
        "Roles": [role_of(account, number)],
    }


def identity(account: str) -> dict[str, Any]:
    """Return the answer of GetCallerIdentity, or raise the error of an account that fails."""
    way = way_of(account)
    codes = {"denied": "AccessDenied", "throttled": "Throttling"}
    if way in codes:
        message = "Rate exceeded" if way == "throttled" else f"the request for {account} was refused"
        raise ClientError({"Error": {"Code": codes[way], "Message": message}}, "AssumeRole")
    if way == "unreachable":
        raise EndpointConnectionError(endpoint_url="https://sts.us-east-1.amazonaws.com")
    if way == "worker":
        raise KeyError(account)
    arn = f"arn:aws:sts::{account}:assumed-role/audit/iamframe"
    return {} if way == "unreadable" else {"UserId": "AROA:iamframe", "Account": account, "Arn": arn}


def answer(self: Client, _: object, operation: str, parameters: dict[str, Any], __: str) -> dict[str, Any]:
    """Answer a request instead of boto3."""
    account = self.session.account
    if operation == "GetCallerIdentity":
        return identity(account)
    profiles = [profile_of(account, number) for number in range(PROFILES)]
    if operation == "GetAccountAuthorizationDetails":
        held = {number: [profile] for number, profile in enumerate(profiles)}
        more = {"RolePolicyList": [], "AttachedManagedPolicies": [], "Tags": TAGS, "RoleLastUsed": {}}
        roles = [role_of(account, n) | more | {"InstanceProfileList": held.get(n, [])} for n in range(ROLES)]
        return {"RoleDetailList": roles, "IsTruncated": False}
    if operation == "ListInstanceProfiles":
        return {"InstanceProfiles": profiles, "IsTruncated": False}
    if operation == "GetInstanceProfile":
        return {"InstanceProfile": profiles[int(parameters["InstanceProfileName"][-2:])] | {"Tags": TAGS}}
    if operation == "GetAccountSummary":
        counts = {"Roles": ROLES, "RolesQuota": 1000, "InstanceProfiles": PROFILES, "InstanceProfilesQuota": 1000}
        return {"SummaryMap": counts}
    return {"AccountAliases": []}


def measure(accounts: int, folder: str) -> dict[str, Any]:
    """Save a snapshot. Return the seconds, the peak memory in MB, and the number of failed accounts by way."""
    instead: dict[tuple[object, str], object] = {
        (Client, "_whole"): answer,
        (Client, "boto3_client"): lambda *_: None,
        (fleet, "_session"): lambda member, *_: Session(member.account_id),
        (fleet, "_prime_credentials"): lambda _: None,
    }
    for (place, name), stub in instead.items():
        setattr(place, name, stub)
    ids = [f"{number:012d}" for number in range(1, accounts + 1)]
    start = time.perf_counter()
    inventory = iamframe.load_fleet(ids, role_name="audit", references=False, progress=False, out=folder)
    seconds, peak = time.perf_counter() - start, peak_megabytes()
    failing = {account: way for account in ids if (way := way_of(account))}
    for gaps in inventory.gap_parts():
        unread = gaps[gaps["operation"] == "AssumeRole"]
        for account, detail in zip(unread["account_id"], unread["detail"], strict=True):
            # Each account that failed has one such gap, with the reason. No other account has one.
            assert WAYS[failing.pop(account)] in detail, detail
    assert not failing
    found = Counter(filter(None, map(way_of, ids)))
    rows = inventory.row_counts()
    assert (rows["accounts"], rows["roles"]) == (accounts, (accounts - found.total()) * ROLES)
    one = iamframe.open_snapshot(folder, next(account for account in ids if not way_of(account)))
    assert (len(one.roles), len(one.profiles), len(one.links)) == (ROLES, PROFILES, PROFILES)
    opened = peak_megabytes()
    assert set(iamframe.run_checks(one, only="empty_profiles").coverage["status"]) == {"complete"}
    manifest = pathlib.Path(folder, "manifest.json").stat().st_size / 1e6
    return {"accounts": accounts, "seconds": seconds, "peak": peak, "opened": opened, "MB": manifest, "gaps": found}


def peak_megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--fewer", type=int, default=2_000)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.accounts, args.measure)))
        return
    print(
        "| accounts | seconds | peak MB | peak MB after reading gaps and an account | manifest MB | failed accounts |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for accounts in (args.fewer, args.accounts):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--accounts", str(accounts), "--measure", f"{folder}/fleet"]
            found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        ways = ", ".join(f"{count} {way}" for way, count in found["gaps"].items())
        seconds, size = found["seconds"], found["MB"]
        print(
            f"| {accounts:,} | {seconds:.0f} | {found['peak']} | {found['opened']} | {size:.1f} | {ways} |", flush=True
        )
    assert found["opened"] <= MAX_MEGABYTES, f"{found['opened']} MB is more than {MAX_MEGABYTES} MB"


if __name__ == "__main__":
    main()
