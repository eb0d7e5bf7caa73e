"""API-shaped documents, so that a test shows its data in a few lines."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import iamframe
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.load import load_files

ACCOUNT = "000000000001"
EC2 = "ec2.amazonaws.com"


def trust(*services: str) -> dict[str, Any]:
    """A trust policy that lets these services assume the role."""
    principal = {"Service": services[0] if len(services) == 1 else list(services)}
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}],
    }


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
    name: str, profiles: list[dict[str, Any]] | None = None, tags: dict[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """A role as get-account-authorization-details prints it, with its tags and last use."""
    return nested_role(name, **more) | {
        "InstanceProfileList": profiles or [],
        "RolePolicyList": [],
        "AttachedManagedPolicies": [],
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


def load(folder: Path, documents: dict[str, Any]) -> Inventory:
    """Write documents and load the folder."""
    return load_files(write(folder, documents))


@functools.cache
def sample_result() -> iamframe.Result:
    """What is found in the sample, once for all tests, which only read it."""
    return iamframe.run_checks(iamframe.load_sample())
