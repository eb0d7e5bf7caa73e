"""The error message if the first request fails. The cause may be the credentials, profile, network or region."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from iamframe.errors import ExpiredError, SourceError
from iamframe.messages.render import Message, fill, text_of

if TYPE_CHECKING:
    from iamframe.sources.refusals import RequestFailed

Refused = TypeVar("Refused", bound=SourceError)


def refused(kind: type[Refused], source: str, message: str, **facts: Any) -> Refused:
    """Return an error with the reason why a source cannot be read.

    The attribute `said` of the error is its message in the form that a gap stores.
    """
    text = str(text_of(message))
    why = {"message": message} | {name: fact for name, fact in facts.items() if f"{{{name}" in text}
    error = kind(f"{source}: {fill(text, why)}")
    error.said = {"message": "access.of", "source": source, "why": why}
    return error


def first_failure(refusal: RequestFailed, source: str, profile: str | None) -> SourceError:
    """Return the error for an account whose very first call failed."""
    kind = ExpiredError if refusal.reason == "expired" else SourceError
    said, code = plain(refusal.message), refusal.code
    bundle = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")
    if code == "SSLError" and bundle and not Path(bundle).exists():
        code = "NoBundle"
    code = next((finer for codes, form, finer in _FINER if code in codes.split() and re.search(form, said)), code)
    facts = {
        "code": code,
        "said": said,
        "option": f" --profile={profile}" if profile else "",
        "bundle": bundle,
        "missing": missing_files(),
        "profiles": None if profile else profiles(),
        "answer": said or {"message": "access.no_answer"},
    }
    message = next((name for name, codes in _MESSAGES.items() if code in codes.split()), "no_identity")
    return refused(kind, source, f"access.{message}", **facts)


# Codes that mean something else if their message matches a pattern.
_FINER = (
    ("SSLError", "(?i)certificate", "NotTrusted"),
    ("SignatureDoesNotMatch IncompleteSignature InvalidSignatureException", "expired|not yet", "RequestTimeTooSkewed"),
    ("AccessDenied", "MultiFactorAuthentication failed", "WrongCode"),
)
# The messages of `access`, by the codes of AWS, the exceptions of botocore and Python, and the codes above.
_MESSAGES = {
    "none": "NoCredentialsError NoAuthTokenError",
    "partial": "PartialCredentialsError",
    "expired": "ExpiredToken ExpiredTokenException RequestExpired TokenRefreshRequired",
    "sso": "SSOTokenLoadError TokenRetrievalError UnauthorizedSSOTokenError SSOError",
    "login": "LoginRefreshRequired LoginTokenLoadError LoginInsufficientPermissions LoginAuthorizationCodeError "
    "LoginError",
    "way": "CredentialRetrievalError MetadataRetrievalError MissingDependencyException UnknownCredentialError "
    "FileNotFoundError PermissionError OSError JSONDecodeError",
    "configuration": "InvalidConfigError InfiniteLoopConfigError ConfigParseError ConfigNotFound InvalidDefaultsMode "
    "ValueError InvalidSTSRegionalEndpointsConfigError InvalidEndpointConfigurationError",
    "unknown": "InvalidClientTokenId UnrecognizedClientException AuthFailure InvalidAccessKeyId",
    "signature": "SignatureDoesNotMatch IncompleteSignature InvalidSignatureException",
    "clock": "RequestTimeTooSkewed",
    "network": "EndpointConnectionError ConnectTimeoutError ReadTimeoutError ConnectionClosedError",
    "proxy": "ProxyConnectionError InvalidProxiesConfigError",
    "no_bundle": "NoBundle",
    "not_trusted": "NotTrusted",
    "tls": "SSLError",
    "not_aws": f"Unknown ResponseParserError {' '.join(map(str, range(300, 600)))}",
    "mfa": "EOFError RefreshWithMFAUnsupportedError MultiFactorAuthentication",
    "region": "NoRegionError InvalidRegionError UnknownRegionError EndpointProviderError",
    "wrong_code": "WrongCode",
    "role": "AccessDenied",
    "sso_access": "ForbiddenException",
}


def profile_names() -> list[str]:
    """Return the names of the profiles in the AWS configuration."""
    # boto3's session would fail at the profile of AWS_PROFILE, which may be the missing one.
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        return list(Session().full_config.get("profiles", {}))
    except BotoCoreError:
        return []


def profiles() -> Message | None:
    """Return a message that lists the profiles in the AWS configuration, or None if there are no profiles."""
    names = profile_names()[:8]
    return {"message": "access.there_are", "names": names} if names else None


def missing_files() -> Message | None:
    """Return a message about environment variables that point to missing files, or None if no file is missing."""
    files = [
        {"message": "access.missing_file", "variable": variable, "path": path}
        for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
        if (path := os.environ.get(variable)) and not Path(path).expanduser().exists()
    ]
    return {"message": "access.missing", "files": files} if files else None


def plain(error: object) -> str:
    """Return an error's text on one line, for use in a sentence."""
    return " ".join(str(error).split()).rstrip(".:")[:300]
