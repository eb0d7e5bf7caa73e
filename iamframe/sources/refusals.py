"""What AWS refused, and why: an error of boto3 as the reason of a gap."""

from __future__ import annotations

import socket

from botocore import exceptions as failures

from iamframe.errors import IamframeError

THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "EC2ThrottledException",
    "SlowDown",
}


_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}


_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "AuthorizationError",
    "InvalidClientTokenId",
    "OptInRequired",
    "SubscriptionRequiredException",
    "UnauthorizedAccess",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
}


_VANISHED = {
    "NoSuchEntity",
    "ResourceNotFoundException",
    "ClusterNotFound",
    "InvalidLaunchTemplateName.NotFoundException",
}


_NO_LONGER = (
    failures.UnauthorizedSSOTokenError,
    failures.SSOTokenLoadError,
    failures.TokenRetrievalError,
    failures.CredentialRetrievalError,
    failures.RefreshWithMFAUnsupportedError,
)


class Refused(Exception):
    """A request that gave no answer: why, in the words of `gaps`, and AWS's code and message."""

    def __init__(self, reason: str, code: str, message: str, cause: Exception | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.reason, self.code, self.message, self.cause = reason, code, message, cause
        # Credentials of a role are asked for by the way, and that may be what was refused.
        self.operation: str | None = getattr(cause, "operation_name", None)


class NotARead(IamframeError):
    """An operation was about to be sent that is not on iamframe's list of reads."""


def is_nowhere(error: Exception | None) -> bool:
    """Return whether the name of a host does not exist, which is not that nobody could be asked for it."""
    cause = error.kwargs.get("error") if isinstance(error, failures.EndpointConnectionError) else None
    found = getattr(cause, "__cause__", None) or getattr(cause, "__context__", None)
    return isinstance(found, socket.gaierror) and found.errno == socket.EAI_NONAME


def refusal_of(error: Exception) -> Refused:
    """Return a failure of boto3 as one reason of `gaps`, with AWS's own code and words."""
    if isinstance(error, failures.ClientError):
        code = str(error.response.get("Error", {}).get("Code", "Unknown"))
        message = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())
        return Refused(_reason(code), code, message, error)
    reason = "expired" if isinstance(error, _NO_LONGER) else "unreadable"
    message = " ".join(str(error).split())
    if isinstance(error, (failures.EndpointConnectionError, failures.ProxyConnectionError)):
        # Botocore says only where it could not connect to; the cause ends with why.
        why = str(error.kwargs.get("error", "")).rpartition(": ")[2].strip("()'\", ")
        message = f"{message}: {why}" if why else message
    return Refused(reason, type(error).__name__, message, error)


def _reason(code: str) -> str:
    for reason, codes in (
        ("denied", _DENIED),
        ("throttled", THROTTLED),
        ("expired", _EXPIRED),
        ("vanished", _VANISHED),
    ):
        if code in codes:
            return reason
    return "vanished" if code.endswith(("NotFound", "NotFoundException", "NotFoundFault")) else "unreadable"
