"""What Terraform writes: states, and the plans and states that `terraform show -json` prints."""

from __future__ import annotations

import json
from typing import Any

from builders import ACCOUNT, trust


def state(*resources: dict[str, Any]) -> dict[str, Any]:
    """Return a Terraform state file, version 4."""
    return {"version": 4, "terraform_version": "1.9.0", "serial": 1, "lineage": "l", "resources": list(resources)}


def managed(kind: str, attributes: dict[str, Any], mode: str = "managed", **more: Any) -> dict[str, Any]:
    """Return one resource of a state file."""
    instances = [{"schema_version": 0, "attributes": attributes} | more]
    return {"mode": mode, "type": kind, "name": "this", "provider": "p", "instances": instances}


def tf_role(name: str = "web", **more: Any) -> dict[str, Any]:
    """Return the attributes of an aws_iam_role."""
    arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    policy = json.dumps(trust("ec2.amazonaws.com"))
    return {"arn": arn, "name": name, "path": "/", "unique_id": "AROAWEB", "assume_role_policy": policy} | more


def tf_profile(name: str = "web", role: str | None = "web", account: str = ACCOUNT, **more: Any) -> dict[str, Any]:
    """Return the attributes of an aws_iam_instance_profile."""
    arn = f"arn:aws:iam::{account}:instance-profile/{name}"
    return {"arn": arn, "name": name, "path": "/", "unique_id": "AIPAWEB", "role": role} | more


def state_of(*roles: dict[str, Any]) -> dict[str, Any]:
    """Return a state of roles, each given by its attributes."""
    return state(*(managed("aws_iam_role", role) for role in roles))


def state_of_profile(name: str = "web", role: str | None = "web", **more: Any) -> dict[str, Any]:
    """Return a state of one profile, whose role the state does not manage."""
    return state(managed("aws_iam_instance_profile", tf_profile(name, role, **more)))


def plan_resource(address: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return one resource of `terraform show -json`."""
    kind, name = address.split(".")[-2:]
    return {"address": address, "mode": "managed", "type": kind, "name": name, "values": values}


def plan(*resources: dict[str, Any], unknown: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what `terraform show -json` prints of a plan, its resources in a module of a module."""
    module: dict[str, Any] = {"address": "module.a.module.b", "resources": list(resources)}
    changes = [{"address": address, "change": {"after_unknown": after}} for address, after in (unknown or {}).items()]
    root = {"child_modules": [{"address": "module.a", "child_modules": [module]}]}
    return {"format_version": "1.2", "planned_values": {"root_module": root}, "resource_changes": changes}
