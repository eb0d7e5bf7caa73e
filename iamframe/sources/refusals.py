"""Failed requests: an error of boto3 as a reason of `gaps`."""

from __future__ import annotations

import socket

from botocore import exceptions as failures

from iamframe.errors import IamframeError

# The codes of each reason; other codes that end in "NotFound" are `vanished`, all others `unreadable`.
_CODES = {
    "throttled": "Throttling ThrottlingException ThrottledException RequestLimitExceeded RequestThrottled "
    "RequestThrottledException TooManyRequestsException EC2ThrottledException SlowDown",
    "expired": "ExpiredToken ExpiredTokenException RequestExpired TokenRefreshRequired",
    "denied": "AccessDenied AccessDeniedException AuthFailure AuthorizationError InvalidClientTokenId OptInRequired "
    "SubscriptionRequiredException UnauthorizedAccess UnauthorizedOperation UnrecognizedClientException",
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


class RequestFailed(Exception):
    """A request without an answer: the reason, in the words of `gaps`, and AWS's code and message."""

    def __init__(self, reason: str, code: str, message: str, cause: Exception | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.reason, self.code, self.message, self.cause = reason, code, message, cause
        # The refused operation may be another one: botocore also requests the credentials of a role.
        self.operation: str | None = getattr(cause, "operation_name", None)


class WriteBlocked(IamframeError):
    """An operation outside the table of operations was about to be sent."""


def is_unknown_host(error: Exception | None) -> bool:
    """Return whether DNS says that a host does not exist, rather than that DNS was unreachable."""
    cause = error.kwargs.get("error") if isinstance(error, failures.EndpointConnectionError) else None
    found = getattr(cause, "__cause__", None) or getattr(cause, "__context__", None)
    return isinstance(found, socket.gaierror) and found.errno == socket.EAI_NONAME


def failure_of(error: Exception) -> RequestFailed:
    """Return an error of boto3 with its reason."""
    if isinstance(error, failures.ClientError):
        said = error.response.get("Error", {})
        code, message = str(said.get("Code", "Unknown")), " ".join(str(said.get("Message", "")).split())
        other = "vanished" if code.endswith(_NOT_FOUND) else "unreadable"
        return RequestFailed(_REASONS.get(code, other), code, message, error)
    reason = "expired" if isinstance(error, _EXPIRED) else "unreadable"
    message = " ".join(str(error).split())
    if isinstance(error, (failures.EndpointConnectionError, failures.ProxyConnectionError)):
        # Botocore says only which host it could not connect to; the cause ends with the reason.
        why = str(error.kwargs.get("error", "")).rpartition(": ")[2].strip("()'\", ")
        message = f"{message}: {why}" if why else message
    return RequestFailed(reason, type(error).__name__, message, error)
