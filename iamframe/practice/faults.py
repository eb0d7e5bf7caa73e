"""Failures that a practice account imitates, such as denials, throttling and expired credentials."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from iamframe.practice.calls import Call, Refusal

FAULTS = ("reset", "truncated", "short", "500")
_READS = ("Get", "List", "Describe", "BatchGet", "Lookup", "Query", "Scan", "Search", "Select", "Simulate", "GET ")


@dataclass
class Bucket:
    rate: float  # tokens per second
    burst: float
    tokens: float
    at: float

    def take(self) -> bool:
        now = time.monotonic()
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(frozen=True)
class Denial:
    action: str
    resource: str
    account_id: str

    def meets(self, call: Call, names: tuple[str, ...]) -> bool:
        action = call.permission if ":" in self.action else call.action
        return (
            fnmatchcase(action.lower(), self.action.lower())
            and fnmatchcase(call.account_id, self.account_id)
            and any(fnmatchcase(name, self.resource) for name in names)
        )


@dataclass
class Fault:
    kind: str
    action: str
    times: int


class Faults:
    def __init__(self, partition: str) -> None:
        self.partition = partition
        self.lock = threading.Lock()
        self.denials: list[Denial] = []
        self.buckets: dict[str, Bucket] = {}
        self.faults: list[Fault] = []
        # The number of requests until the credentials expire; None: they do not expire.
        self.left: int | None = None

    def broken(self, call: Call) -> str | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fnmatchcase(call.action, fault.action):
                    fault.times -= 1
                    return fault.kind
        return None

    def check(self, call: Call, path_of: Callable[[Call], str]) -> None:
        """If the practice account refuses a call, raise the error that AWS would return."""
        with self.lock:
            if self.left == 0:
                raise expired(call)
            if self.left is not None:
                self.left -= 1
            bucket = self.buckets.get(call.service)
            if bucket and not bucket.take():
                raise throttled(call)
            denials = list(self.denials)
        if denials:
            shown, names = resource_of(call, self.partition, path_of(call))
            if any(denial.meets(call, names) for denial in denials):
                raise denied(call, shown)


def is_write(action: str) -> bool:
    return not action.startswith(_READS) and action != "AssumeRole"


def resource_of(call: Call, partition: str, path: str) -> tuple[str, tuple[str, ...]]:
    # The text for IAM's error message, and the names that a `Denial` can have for the resource.
    params, stem = call.params, f"arn:{partition}:iam::{call.account_id}"
    if call.service == "sts":
        arn = params.get("RoleArn", "*")
        return arn, (arn, arn.rpartition("/")[2])
    if call.service != "iam":
        arn = f"arn:{partition}:{call.permission.partition(':')[0]}:{call.region}:{call.account_id}:*"
        return "*", (arn, "*")
    for parameter, kind in (("InstanceProfileName", "instance-profile"), ("RoleName", "role")):
        if parameter in params:
            name = params[parameter]
            arn = f"{stem}:{kind}{path}{name}"
            shown = arn if call.action.startswith("Create") else f"{kind.replace('-', ' ')} {name}"
            return shown, (arn, name)
    if call.action in ("ListRoles", "ListInstanceProfiles"):
        arn = f"{stem}:{'role' if call.action == 'ListRoles' else 'instance-profile'}{params.get('PathPrefix', '/')}"
        return arn, (arn, "*")
    return "*", (f"{stem}:*", "*")


def denied(call: Call, shown: str) -> Refusal:
    reason = f"because no identity-based policy allows the {call.permission} action"
    user = f"User: {call.who.arn} is not authorized to perform: {call.permission}"
    if call.service == "ec2":
        message = f"You are not authorized to perform this operation. {user} {reason}"
        return Refusal("UnauthorizedOperation", message, 403)
    if call.service == "organizations":
        return Refusal("AccessDeniedException", "You don't have permissions to access this resource.")
    if call.service in ("tagging", "account", "eks"):
        message = f"{user} on resource: {shown} {reason}" if call.service == "eks" else f"{user} {reason}"
        return Refusal("AccessDeniedException", message, 400 if call.service == "tagging" else 403)
    return Refusal("AccessDenied", f"{user} on resource: {shown} {reason}", 403)


def throttled(call: Call) -> Refusal:
    by_service = {
        "ec2": Refusal("RequestLimitExceeded", "Request limit exceeded.", 503),
        "tagging": Refusal("ThrottledException", "Rate exceeded"),
        "organizations": Refusal("TooManyRequestsException", "Rate exceeded"),
        "account": Refusal("TooManyRequestsException", "Rate exceeded", 429),
        "eks": Refusal("ThrottlingException", "Rate exceeded", 429),
    }
    return by_service.get(call.service, Refusal("Throttling", "Rate exceeded"))


def expired(call: Call) -> Refusal:
    message = "The security token included in the request is expired"
    if call.service == "ec2":
        return Refusal("RequestExpired", "Request has expired.")
    if call.service in ("iam", "sts", "autoscaling", "cloudformation"):
        return Refusal("ExpiredToken", message, 403)
    return Refusal("ExpiredTokenException", message, 403 if call.service in ("account", "eks") else 400)


def unknown_credentials(call: Call) -> Refusal:
    message = "The security token included in the request is invalid."
    if call.service == "ec2":
        return Refusal("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
    if call.service in ("iam", "sts", "autoscaling", "cloudformation"):
        return Refusal("InvalidClientTokenId", message, 403)
    return Refusal("UnrecognizedClientException", message, 403 if call.service in ("account", "eks") else 400)


def unsigned() -> Refusal:
    return Refusal("MissingAuthenticationToken", "Missing Authentication Token", 403)


def service_failure(call: Call) -> Refusal:
    code = {"ec2": "InternalError", "iam": "ServiceFailure"}.get(call.service, "InternalFailure")
    return Refusal(code, "The request processing has failed because of an unknown error, exception or failure.", 500)
