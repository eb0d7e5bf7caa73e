"""Fill a simulated account with fictional roles and profiles that have names and paths as in real accounts."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from iamframe.practice.iam import Iam, new_id, now
from iamframe.practice.tagging import HOMES

_TEAMS = ("billing", "search", "ledger", "catalog", "mobile")
_STAGES = ("prod", "test", "dev")
_CLOUD9_ROLE, _CLOUD9_PROFILE = "AWSCloud9SSMAccessRole", "AWSCloud9SSMInstanceProfile"


def fill(iam: Iam, account_id: str, roles: int, profiles: int) -> dict[str, dict[str, Any]]:
    truth: dict[str, dict[str, Any]] = {"roles": {}, "profiles": {}}
    for number in range(roles):
        name, path = _role(number)
        service = "eks.amazonaws.com" if number % 10 == 9 else "ec2.amazonaws.com"
        truth["roles"][name] = {"path": path, "tags": _tags(number), "trusts": service}
    names = list(truth["roles"])
    for number in range(profiles):
        name, path, role = _profile(number, names[number % len(names)] if names else None)
        truth["profiles"][name] = {"path": path, "role": role, "tags": _tags(number + 1)}
    backend = iam.backends.iam(account_id)
    there = {role.name for role in backend.roles.values()} & set(truth["roles"])
    there |= set(backend.instance_profiles) & set(truth["profiles"])
    if there:
        raise ValueError(f"the account {account_id} already contains {min(there)}: fill an account only once")
    _write(iam, account_id, truth)
    return truth


def _role(number: int) -> tuple[str, str]:
    if number % 25 == 5:
        return _cloud9(_CLOUD9_ROLE, number), "/service-role/"
    path = "/" if number % 3 else f"/{_TEAMS[number % 5]}/"
    return f"{_TEAMS[number % 5]}-{_STAGES[number % 3]}-{number:04d}", path


def _profile(number: int, role: str | None) -> tuple[str, str, str | None]:
    if role is None or number % 10 == 7:
        return f"empty-{number:04d}", "/", None
    if role.startswith(_CLOUD9_ROLE):
        return _cloud9(_CLOUD9_PROFILE, number), "/cloud9/", role
    if number % 4 == 2:
        return f"{_TEAMS[number % 5]}-instances-{number:04d}", "/instances/", role
    return (role if role.endswith(f"{number:04d}") else f"{role}-{number:04d}"), "/", role


def _cloud9(stem: str, number: int) -> str:
    return f"{stem}-{number:04d}" if number != 5 else stem


def _tags(number: int) -> dict[str, str]:
    if number % 2:
        return {}
    return {"Team": _TEAMS[number % 5], "Stage": _STAGES[number % 3], "Note": ""}


def _write(iam: Iam, account_id: str, truth: dict[str, dict[str, Any]]) -> None:
    from moto.iam.models import InstanceProfile, Role

    backend, partition, moment = iam.backends.iam(account_id), iam.backends.partition, now()
    made = {}
    for number, (name, role) in enumerate(truth["roles"].items()):
        trust = _trust(role["trusts"])
        entry = Role(account_id, partition, new_id("AROA"), name, trust, role["path"], None, "", _pairs(role), "3600")
        entry.create_date = moment - timedelta(days=number % 900)
        if number % 3 == 0:
            entry.last_used = moment - timedelta(days=number % 400)
            entry.last_used_region = HOMES[partition]
        backend.roles[entry.id] = made[name] = entry
    for number, (name, profile) in enumerate(truth["profiles"].items()):
        held = [made[profile["role"]]] if profile["role"] else []
        region = backend.region_name
        new = InstanceProfile(account_id, region, new_id("AIPA"), name, profile["path"], held, _pairs(profile))
        new.create_date = moment - timedelta(days=number % 900)
        backend.instance_profiles[name] = new
        if new.tags:
            iam.ever_tagged.add(new.id)


def _pairs(item: dict[str, Any]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in item["tags"].items()]


def _trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
