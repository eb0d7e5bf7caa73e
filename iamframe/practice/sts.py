"""How a practice account answers GetCallerIdentity and AssumeRole."""

from __future__ import annotations

import fnmatch
import json
import secrets
import string
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from iamframe.practice.backends import Backends
from iamframe.practice.calls import Answer, Call, Principal, Refusal, query_answer, text
from iamframe.practice.checks import required

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_HELP = (
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html#troubleshoot_iam-ec2_errors-info-doc"
)


class Sts:
    def __init__(self, backends: Backends, keys: dict[str, Principal], accounts: list[str]) -> None:
        self.backends, self.keys, self.accounts = backends, keys, accounts

    def answer(self, call: Call) -> Answer:
        if call.action == "GetCallerIdentity":
            who = call.who
            result = text("Arn", who.arn) + text("UserId", who.user_id) + text("Account", who.account_id)
            return query_answer(call, result)
        if call.action == "AssumeRole":
            return query_answer(call, self._assume_role(call))
        return self.backends.ask(call)

    def _assume_role(self, call: Call) -> str:
        arn, session = required(call, "RoleArn"), required(call, "RoleSessionName")
        role = self._role(arn)
        # The error is the same for a missing role and for a role that does not trust the caller, so it does not show
        # which roles exist.
        if role is None or not _trusts(role, call):
            raise Refusal(
                "AccessDenied",
                f"User: {call.who.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}",
                403,
            )
        principal, credentials = self._session(role, session, int(call.params.get("DurationSeconds", "3600")))
        return (
            f"<AssumedRoleUser>{text('AssumedRoleId', principal.user_id)}{text('Arn', principal.arn)}</AssumedRoleUser>"
            f"<Credentials>{''.join(text(name, value) for name, value in credentials.items())}</Credentials>"
        )

    def _session(self, role: Any, name: str, seconds: int) -> tuple[Principal, dict[str, str]]:
        arn = f"arn:{self.backends.partition}:sts::{role.account_id}:assumed-role/{role.name}/{name}"
        principal = Principal(role.account_id, arn, f"{role.id}:{name}")
        key = "ASIA" + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16))
        self.keys[key] = principal
        end = datetime.now(UTC) + timedelta(seconds=seconds)
        return principal, {
            "AccessKeyId": key,
            "SecretAccessKey": "practice",
            "SessionToken": f"practice-{key}",
            "Expiration": end.strftime(_TIME),
        }

    def instance_credentials(self, role: Any, instance_id: str) -> dict[str, str]:
        asked = datetime.now(UTC).strftime(_TIME)
        if not any(_trusts_ec2(statement) for statement in _allows(role)):
            # Source: IAM User Guide, "Troubleshooting Amazon EC2 and IAM".
            message = f"EC2 cannot assume the role {role.name}.  Please see documentation at {_HELP}."
            return {"Code": "AssumeRoleUnauthorizedAccess", "Message": message, "LastUpdated": asked}
        # Source: EC2 User Guide, "Retrieve security credentials from instance metadata".
        _, given = self._session(role, instance_id, 6 * 3600)
        given["Token"] = given.pop("SessionToken")
        return {"Code": "Success", "LastUpdated": asked, "Type": "AWS-HMAC", **given}

    def _role(self, arn: str) -> Any:
        account_id = arn.split(":")[4] if arn.count(":") >= 5 else ""
        if account_id not in self.accounts:
            return None
        roles = list(self.backends.iam(account_id).roles.values())
        return next((role for role in roles if role.arn == arn), None)


def _trusts(role: Any, call: Call) -> bool:
    return any(_trusts_principal(statement, call) and _conditions_hold(statement, call) for statement in _allows(role))


def _allows(role: Any) -> Iterator[dict[str, Any]]:
    statements = json.loads(role.assume_role_policy_document).get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        if statement.get("Effect") == "Allow":
            yield statement


def _trusts_principal(statement: dict[str, Any], call: Call) -> bool:
    principal = statement.get("Principal", {})
    named = principal.get("AWS", []) if isinstance(principal, dict) else principal
    partition, account_id = call.who.arn.split(":")[1], call.account_id
    caller = {"*", account_id, f"arn:{partition}:iam::{account_id}:root", call.who.arn}
    return bool(caller & set([named] if isinstance(named, str) else named))


def _trusts_ec2(statement: dict[str, Any]) -> bool:
    principal = statement.get("Principal", {})
    named = principal.get("Service", []) if isinstance(principal, dict) else []
    services = {"ec2.amazonaws.com", "ec2.amazonaws.com.cn"}
    return bool(services & set([named] if isinstance(named, str) else named)) and "Condition" not in statement


def _conditions_hold(statement: dict[str, Any], call: Call) -> bool:
    external_id = call.params.get("ExternalId")
    for operator, conditions in statement.get("Condition", {}).items():
        for key, wanted in conditions.items():
            if operator not in ("StringEquals", "StringLike") or key.lower() != "sts:externalid" or not external_id:
                return False
            patterns = [wanted] if isinstance(wanted, str) else wanted
            exact = operator == "StringEquals"
            if not any(external_id == one if exact else fnmatch.fnmatchcase(external_id, one) for one in patterns):
                return False
    return True
