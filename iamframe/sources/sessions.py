"""Open boto3 sessions. If a session's first request fails, the error says what to do."""

from __future__ import annotations

import getpass
import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from iamframe.errors import ExpiredError, SourceError
from iamframe.messages.render import Message, fill, text_of

if TYPE_CHECKING:
    import boto3

    from iamframe.sources.refusals import RequestFailed

Refused = TypeVar("Refused", bound=SourceError)
# The region to call where none is configured.
DEFAULT_REGION = "us-east-1"
# Without a network, the first request fails within half a minute: four attempts of five seconds, with botocore's waits
# of at most 1, 2 and 4 seconds between them.
PATIENCE: dict[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 5,
    "retries": {"mode": "standard", "total_max_attempts": 4},
}
# The loaders of models, by the folders that they search. Without them, each session would take a second to load the
# models of all services.
_LOADERS: dict[tuple[str, ...], Any] = {}
# Credentials of roles that profiles assume, for all sessions of the process: an MFA code works only once, and a fleet
# opens a session for each account.
_ASSUMED: dict[str, Any] = {}


def open_session(profile: str | None = None) -> boto3.Session:
    """Opening a session sends no request."""
    import boto3
    from botocore.exceptions import BotoCoreError, ProfileNotFound

    source = source_name(profile)
    try:
        session = boto3.Session(profile_name=profile)
        _prepare(session)
    except ProfileNotFound:
        name, facts = os.environ.get("AWS_PROFILE"), {"profiles": profiles(), "missing": missing_files()}
        message = "access.no_profile" if profile else "access.no_profile_named"
        raise refused(SourceError, source, message, name=name, **facts) from None
    except BotoCoreError as error:
        raise refused(SourceError, source, "access.no_configuration", said=plain(error)) from error
    return session


def _prepare(session: boto3.Session) -> None:
    from botocore.config import Config

    share_models(session)
    inner = session._session  # noqa: SLF001 - boto3 has no other way to set up credentials
    # For botocore's own requests to get the credentials of a role or an SSO login.
    if inner.get_default_client_config() is None:
        inner.set_default_client_config(Config(**PATIENCE))
    provider: Any = inner.get_component("credential_provider").get_provider("assume-role")
    provider.cache = _ASSUMED
    provider._prompter = _ask_mfa_code  # noqa: SLF001


def share_models(session: boto3.Session) -> None:
    core = session._session  # noqa: SLF001 - boto3 does not give its parts away
    loader = core.get_component("data_loader")
    # Each session adds boto3's folder again.
    loader.search_paths[:] = dict.fromkeys(loader.search_paths)
    core.register_component("data_loader", _LOADERS.setdefault(tuple(loader.search_paths), loader))


def _ask_mfa_code(prompt: str) -> str:
    from botocore.exceptions import RefreshWithMFAUnsupportedError

    try:
        with warnings.catch_warnings():
            # Without a terminal, getpass would ask on standard error and wait for standard input.
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt)
    except (getpass.GetPassWarning, EOFError):
        raise RefreshWithMFAUnsupportedError from None


def check_regions(session: boto3.Session, named: Iterable[str], source: str) -> None:
    """Refuse names that do not have the form of a region."""
    from botocore.exceptions import UnknownRegionError

    for region in dict.fromkeys((*named, session.region_name)):
        try:
            # An empty variable configures no region.
            if region or region in named:
                session.get_partition_for_region(region)
        except UnknownRegionError:
            message = "access.no_region" if region in named else "access.no_region_set"
            raise refused(SourceError, source, message, region=region, example=DEFAULT_REGION) from None


def source_name(profile: str | None) -> str:
    return f"aws:{profile}" if profile else "aws"


def refused(kind: type[Refused], source: str, message: str, **facts: Any) -> Refused:
    text = str(text_of(message))
    why = {"message": message} | {name: fact for name, fact in facts.items() if f"{{{name}" in text}
    error = kind(f"{source}: {fill(text, why)}")
    error.message = {"message": "access.of", "source": source, "why": why}
    return error


def first_failure(refusal: RequestFailed, source: str, profile: str | None) -> SourceError:
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
    # boto3's session would fail at the profile of AWS_PROFILE, which may be the missing one.
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        return list(Session().full_config.get("profiles", {}))
    except BotoCoreError:
        return []


def profiles() -> Message | None:
    names = profile_names()[:8]
    return {"message": "access.there_are", "names": names} if names else None


def missing_files() -> Message | None:
    files = [
        {"message": "access.missing_file", "variable": variable, "path": path}
        for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
        if (path := os.environ.get(variable)) and not Path(path).expanduser().exists()
    ]
    return {"message": "access.missing", "files": files} if files else None


def plain(error: object) -> str:
    return " ".join(str(error).split()).rstrip(".:")[:300]
