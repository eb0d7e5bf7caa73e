"""API-shaped documents, so that a test shows its data in a few lines."""

from __future__ import annotations

import functools
import io
import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd

import iamframe
from iamframe.inventory import schema
from iamframe.inventory.build import build_inventory
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.load import load_files
from iamframe.sources.records import Answer

ACCOUNT = "000000000001"
EC2 = "ec2.amazonaws.com"


def trust(*services: str) -> dict[str, Any]:
    """A trust policy that lets these services assume the role."""
    principal = {"Service": services[0] if len(services) == 1 else list(services)}
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}],
    }


def empty_account() -> Inventory:
    """An account that answered both lists and has nothing, as only an imitation of AWS can."""
    lists = ("ListRoles", "ListInstanceProfiles")
    return build_inventory([Answer(name, "live", [], ACCOUNT, state="complete") for name in lists])


def nested_role(
    name: str, path: str = "/", account: str = ACCOUNT, policy: object = None, **more: Any
) -> dict[str, Any]:
    """A role as it stands in a profile: identity and trust (EC2's, if none is given)."""
    return {
        "Path": path,
        "RoleName": name,
        "RoleId": f"AROA{name.upper()}",
        "Arn": f"arn:aws:iam::{account}:role{path}{name}",
        "CreateDate": "2024-05-01T09:00:00+00:00",
        "AssumeRolePolicyDocument": trust(EC2) if policy is None else policy,
    } | more


def profile(
    name: str, role: dict[str, Any] | None = None, path: str = "/", account: str = ACCOUNT, **more: Any
) -> dict[str, Any]:
    """A profile as ListInstanceProfiles prints it."""
    return {
        "Path": path,
        "InstanceProfileName": name,
        "InstanceProfileId": f"AIPA{name.upper()}",
        "Arn": f"arn:aws:iam::{account}:instance-profile{path}{name}",
        "CreateDate": "2024-05-01T09:00:05+00:00",
        "Roles": [role] if role else [],
    } | more


def role_detail(
    name: str,
    profiles: list[dict[str, Any]] | None = None,
    tags: dict[str, str] | None = None,
    attached: tuple[str, ...] = (),
    inline: int = 0,
    **more: Any,
) -> dict[str, Any]:
    """A role as get-account-authorization-details prints it, with its tags, last use and policies."""
    return nested_role(name, **more) | {
        "InstanceProfileList": profiles or [],
        "RolePolicyList": [{"PolicyName": f"inline-{n}", "PolicyDocument": {}} for n in range(inline)],
        "AttachedManagedPolicies": [{"PolicyName": arn.split("/")[-1], "PolicyArn": arn} for arn in attached],
        "Tags": tag_list(tags or {}),
        "RoleLastUsed": {},
    }


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags as AWS lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def dump(*roles: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An account dump."""
    return {"UserDetailList": [], "GroupDetailList": [], "RoleDetailList": list(roles), "Policies": []} | more


def profile_list(*profiles: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The output of list-instance-profiles."""
    return {"InstanceProfiles": list(profiles)} | more


def event(at: str, name: str, **parameters: str) -> dict[str, Any]:
    """A CloudTrail record as a trail's file holds it."""
    return {
        "eventID": f"{at}-{name}-{parameters}",
        "eventTime": at,
        "eventSource": "iam.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "recipientAccountId": ACCOUNT,
        "userAgent": "aws-cli/2.15",
        "userIdentity": {"arn": f"arn:aws:iam::{ACCOUNT}:user/ada"},
        "requestParameters": parameters,
    }


def identity(account: str = ACCOUNT) -> dict[str, Any]:
    """The output of get-caller-identity."""
    return {"UserId": "AIDAEXAMPLE", "Account": account, "Arn": f"arn:aws:iam::{account}:user/audit"}


def write(folder: Path, documents: dict[str, Any]) -> Path:
    """Write documents by file name (text and bytes as they are) and return the folder."""
    for name, document in documents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = document if isinstance(document, (str, bytes)) else json.dumps(document, ensure_ascii=False)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def zipped(members: dict[str, bytes], links: tuple[str, ...] = ()) -> bytes:
    """A zip archive; the members in `links` are links."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = ((stat.S_IFLNK if name in links else stat.S_IFREG) | 0o644) << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def load(folder: Path, documents: dict[str, Any]) -> Inventory:
    """Write documents and load the folder."""
    return load_files(write(folder, documents))


@functools.cache
def sample_result() -> iamframe.Result:
    """What is found in the sample, once for all tests, which only read it."""
    return iamframe.run_checks(iamframe.load_sample())


def of_accounts(*accounts: str, each: int = 2) -> Inventory:
    """An inventory with a few roles, profiles, links, tags, a call and a gap in each account."""
    owner = [account for account in accounts for _ in range(each)]
    names = [f"r{n}" for n in range(len(owner))]
    roles = [f"arn:aws:iam::{a}:role/{n}" for a, n in zip(owner, names, strict=True)]
    profiles = [f"arn:aws:iam::{a}:instance-profile/{n}" for a, n in zip(owner, names, strict=True)]
    when = pd.Timestamp("2024-05-01T09:00:00.123456Z")
    return Inventory(
        accounts=schema.ACCOUNTS.conform(
            {"account_id": list(accounts), "source": "test", "captured_at": [when] + [None] * (len(accounts) - 1)}
        ),
        roles=schema.ROLES.conform(
            {
                "account_id": owner,
                "role_arn": roles,
                "role_name": names,
                "created_at": when,
                "max_session_seconds": [None, *[3600] * (len(owner) - 1)],
                "last_used_known": False,
                "trusts_ec2": "yes",
                "is_aws_managed": False,
                "tags_known": True,
            }
        ),
        profiles=schema.PROFILES.conform(
            {
                "account_id": owner,
                "profile_arn": profiles,
                "profile_name": names,
                "role_known": True,
                "tags_known": True,
            }
        ),
        links=schema.LINKS.conform({"account_id": owner, "profile_arn": profiles, "role_arn": roles}),
        # Tags of the roles of all accounts, then those of their profiles, as an inventory has them.
        tags=schema.TAGS.conform(
            {
                "account_id": owner * 2,
                "resource_arn": roles + profiles,
                "resource_type": ["role"] * len(owner) + ["instance-profile"] * len(owner),
                "tag_key": "Owner",
                "tag_value": [str(n) for n in range(2 * len(owner))],
                "is_aws_reserved": False,
                "tag_source": "test",
            }
        ),
        references=schema.REFERENCES.empty(),
        gaps=schema.GAPS.conform(
            {
                "account_id": list(accounts),
                "region": "global",
                "operation": "GetRole",
                "subject": "*",
                "reason": ["denied", *["not_in_file"] * (len(accounts) - 1)],
                "message": ["gaps.refused_one", *["gaps.not_in_files"] * (len(accounts) - 1)],
                "facts": "{}",
                "detail": "not read",
            }
        ),
        calls=schema.CALLS.conform(
            {
                "account_id": list(accounts),
                "operation": "ListRoles",
                "region": "global",
                "requests": 0,
                "rows": each,
                "retries": 0,
                "state": "complete",
            }
        ),
        sources=("dumps/", "state.tfstate"),
    )
