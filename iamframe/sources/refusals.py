"""Convert boto3's errors to the reasons in the frame `gaps`."""

from __future__ import annotations

import socket
from typing import Any

from botocore import exceptions as failures

from iamframe.errors import IamframeError

# The codes of each reason; other codes that end like `_NOT_FOUND` are `vanished`, all others `unreadable`.
_CODES = {
    "throttled": "Throttling ThrottlingException ThrottledException RequestLimitExceeded RequestThrottled "
    "RequestThrottledException TooManyRequestsException EC2ThrottledException SlowDown",
    "expired": "ExpiredToken ExpiredTokenException RequestExpired TokenRefreshRequired",
    "denied": "AccessDenied AccessDeniedException AuthorizationError UnauthorizedAccess UnauthorizedOperation",
    "vanished": "NoSuchEntity",
}
_REASONS = {code: reason for reason, codes in _CODES.items() for code in codes.split()}
THROTTLED = frozenset(_CODES["throttled"].split())
_NOT_FOUND = ("NotFound", "NotFoundException", "NotFoundFault")
_EXPIRED = (
    failures.UnauthorizedSSOTokenError,
    failures.SSOTokenLoadError,
    failures.TokenRetrievalError,
    failures.CredentialRetrievalError,
    failures.RefreshWithMFAUnsupportedError,
)

# Error codes by which a region rejects the account's credentials, usually because the region is not enabled. No
# permission would help (General Reference, "Managing AWS Regions").
CLOSED = {"AuthFailure", "InvalidClientTokenId", "OptInRequired", "UnrecognizedClientException"}


class RequestFailed(Exception):
    """The attribute `reason` fills the column `reason` of the frame `gaps`."""

    def __init__(self, reason: str, code: str, message: str, cause: Exception | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.reason, self.code, self.message, self.cause = reason, code, message, cause
        # The refused operation may be another one: botocore also requests the credentials of a role.
        self.operation: str | None = getattr(cause, "operation_name", None)
        # A policy that allows the action does not help against an explicit Deny (IAM User Guide, "Troubleshoot access
        # denied error messages").
        self.is_explicit = "with an explicit deny" in message


class NotCalled(RequestFailed):
    """iamframe did not call the operation, because AWS had denied it for all earlier resources (20 or more)."""

    def __init__(self, message_of_last: str) -> None:
        super().__init__("denied", "AccessDenied", message_of_last)


class WriteBlocked(IamframeError):
    """Raised for a request that is not a read operation in the table of operations. The request is not sent."""


def is_unknown_host(error: Exception | None) -> bool:
    cause = error.kwargs.get("error") if isinstance(error, failures.EndpointConnectionError) else None
    # If DNS cannot be reached, the error number differs.
    found = getattr(cause, "__cause__", None) or getattr(cause, "__context__", None)
    return isinstance(found, socket.gaierror) and found.errno == socket.EAI_NONAME


def is_host(name: str) -> bool:
    try:
        return bool(socket.getaddrinfo(name, 443))
    except OSError:
        return False


def failure_of(error: Exception) -> RequestFailed:
    if isinstance(error, failures.ClientError):
        answer = error.response.get("Error", {})
        code, message = str(answer.get("Code", "Unknown")), " ".join(str(answer.get("Message", "")).split())
        other = "vanished" if code.endswith(_NOT_FOUND) else "unreadable"
        return RequestFailed(_REASONS.get(code, other), code, message, error)
    reason = "expired" if isinstance(error, _EXPIRED) else "unreadable"
    message = " ".join(str(error).split())
    if isinstance(error, (failures.EndpointConnectionError, failures.ProxyConnectionError)):
        # Botocore only names the host that it could not connect to; the cause ends with the reason.
        why = str(error.kwargs.get("error", "")).rpartition(": ")[2].strip("()'\", ")
        message = f"{message}: {why}" if why else message
    return RequestFailed(reason, type(error).__name__, message, error)


def advice_on(refusal: RequestFailed, *actions: str) -> dict[str, Any]:
    if is_unknown_host(refusal.cause):
        return {"message": "gaps.advice.no_host"}
    if refusal.reason == "denied":
        return {"message": "gaps.advice.denied" if refusal.is_explicit else "gaps.advice.allow", "actions": actions}
    return {"message": "gaps.advice.renew" if refusal.reason == "expired" else "gaps.advice.again"}


def closed_region(region: str, enabled: list[str], code: str) -> tuple[str, str] | None:
    if enabled and region not in enabled:
        return "not_asked", "gaps.region.disabled"
    # AWS also returns OptInRequired if the account is not subscribed to the service (EC2 API Reference, "Error codes").
    if code == "OptInRequired":
        return None
    if not enabled:
        return "unreadable", "gaps.region.rejects"
    # By default, tokens of STS's global endpoint are valid only in regions that are enabled by default (IAM User Guide,
    # "Managing AWS STS in an AWS Region").
    return "unreadable", "gaps.region.rejects_session"
