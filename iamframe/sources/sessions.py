"""Sessions of boto3, and the sentence for a first call that fails: it says what to type."""

from __future__ import annotations

import getpass
import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iamframe.errors import ExpiredError, SourceError

if TYPE_CHECKING:
    import boto3

    from iamframe.sources.refusals import RequestFailed

# The region to call where none is configured.
DEFAULT_REGION = "us-east-1"
# Without a network, the first request fails within half a minute: four attempts of five seconds, with botocore's waits
# of at most 1, 2 and 4 seconds between them.
PATIENCE: dict[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 5,
    "retries": {"mode": "standard", "total_max_attempts": 4},
}
# Credentials of roles that profiles assume, for all sessions of the process: an MFA code serves once, and a fleet opens
# a session for each account.
_ASSUMED: dict[str, Any] = {}


def open_session(profile: str | None = None) -> boto3.Session:
    """Return a session with the environment's credentials, or those of a profile; nothing is sent."""
    import boto3
    from botocore.exceptions import BotoCoreError, ProfileNotFound

    source = source_name(profile)
    try:
        session = boto3.Session(profile_name=profile)
        _prepare(session)
    except ProfileNotFound:
        asked = "" if profile else f" as {os.environ.get('AWS_PROFILE')}, which AWS_PROFILE names"
        raise SourceError(
            f"{source}: there is no such profile{asked}{_profiles()}{_missing_files()}; `aws configure list-profiles` "
            "lists them"
        ) from None
    except BotoCoreError as error:
        raise SourceError(
            f"{source}: the AWS configuration cannot be used ({_plain(error)}); mend that file"
        ) from error
    else:
        return session


def _prepare(session: boto3.Session) -> None:
    from botocore.config import Config

    inner = session._session  # noqa: SLF001 - boto3 has no other way to set up credentials
    # For botocore's own requests to get the credentials of a role or an SSO login.
    if inner.get_default_client_config() is None:
        inner.set_default_client_config(Config(**PATIENCE))
    provider: Any = inner.get_component("credential_provider").get_provider("assume-role")
    provider.cache = _ASSUMED
    provider._prompter = _ask_mfa_code  # noqa: SLF001


def _ask_mfa_code(prompt: str) -> str:
    """Ask for an MFA code in a terminal or a notebook."""
    from botocore.exceptions import RefreshWithMFAUnsupportedError

    try:
        with warnings.catch_warnings():
            # Without a terminal, getpass would ask on standard error and wait for standard input.
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt)
    except (getpass.GetPassWarning, EOFError):
        raise RefreshWithMFAUnsupportedError from None


def check_regions(session: boto3.Session, named: Iterable[str], source: str) -> None:
    """Refuse a given region, or the session's own, that cannot be one: requests to it would only time out."""
    from botocore.exceptions import UnknownRegionError

    for region in dict.fromkeys((*named, session.region_name)):
        try:
            if region is not None:
                session.get_partition_for_region(region)
        except UnknownRegionError:
            whose = "" if region in named else ", which AWS_DEFAULT_REGION, AWS_REGION or ~/.aws/config names,"
            raise SourceError(
                f"{source}: {region}{whose} is no region of AWS; name one such as {DEFAULT_REGION} with --regions"
                + (" or `export AWS_DEFAULT_REGION=REGION`" if whose else "")
            ) from None


def source_name(profile: str | None) -> str:
    """Return a live source as the command line writes it."""
    return f"aws:{profile}" if profile else "aws"


def _profiles() -> str:
    # boto3's session would fail at the profile of AWS_PROFILE, which may be the missing one.
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        names = list(Session().full_config.get("profiles", {}))[:8]
    except BotoCoreError:
        return ""
    return f" (there are {', '.join(names)})" if names else ""


def _missing_files() -> str:
    variables = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    missing = [
        f"{variable} names {path}, which is not there"
        for variable in variables
        if (path := os.environ.get(variable)) and not Path(path).expanduser().exists()
    ]
    return f", and {' and '.join(missing)}" if missing else ""


def _plain(error: object) -> str:
    return " ".join(str(error).split()).rstrip(".:")[:300]


def first_failure(refusal: RequestFailed, source: str, profile: str | None) -> SourceError:
    """Return the sentence for an account whose very first call failed."""
    kind = ExpiredError if refusal.reason == "expired" else SourceError
    message, code = _plain(refusal.message), refusal.code
    bundle = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")
    if code == "SSLError" and bundle and not Path(bundle).exists():
        code = "NoBundle"
    code = next((finer for codes, said, finer in _FINER if code in codes.split() and re.search(said, message)), code)
    sentence = next((sentence for codes, sentence in _ADVICE.items() if code in codes.split()), _OTHER_ADVICE)
    facts = {
        "code": code,
        "message": message,
        "option": f" --profile={profile}" if profile else "",
        "bundle": bundle,
        "missing": _missing_files(),
        "profiles": _profiles() if "{profiles}" in sentence and not profile else "",
        "answer": message or "an error without a code",
    }
    return kind(f"{source}: {sentence.format(**facts)}")


# Codes that mean something else where their message fits a pattern.
_FINER = (
    ("SSLError", "(?i)certificate", "NotTrusted"),
    ("SignatureDoesNotMatch IncompleteSignature InvalidSignatureException", "expired|not yet", "RequestTimeTooSkewed"),
    ("AccessDenied", "MultiFactorAuthentication failed", "WrongCode"),
)
# What to do, by the codes of AWS, the exceptions of botocore and Python, and the codes above.
# fmt: off
_ADVICE = {
    "NoCredentialsError NoAuthTokenError":
        "no credentials were found{missing}; log in with `aws sso login{option}` or `aws configure{option}`, or name "
        "a profile as aws:PROFILE{profiles}",
    "PartialCredentialsError":
        "the credentials are not whole ({message}); set what is missing, as by `aws configure{option}`",
    "ExpiredToken ExpiredTokenException RequestExpired TokenRefreshRequired":
        "the credentials have expired; renew them, as by `aws sso login{option}`, and run the same command again",
    "SSOTokenLoadError TokenRetrievalError UnauthorizedSSOTokenError SSOError":
        "there is no SSO login, or it has expired ({message}); log in with `aws sso login{option}` and run the same "
        "command again",
    "LoginRefreshRequired LoginTokenLoadError LoginInsufficientPermissions LoginAuthorizationCodeError LoginError":
        "the login cannot be used ({message}); log in with `aws login{option}` and run the same command again",
    "CredentialRetrievalError MetadataRetrievalError MissingDependencyException UnknownCredentialError "
    "FileNotFoundError PermissionError OSError JSONDecodeError":
        "no credentials could be had in the way that is set up ({message}); mend it in ~/.aws/config or the "
        "environment until `aws sts get-caller-identity{option}` answers",
    "InvalidConfigError InfiniteLoopConfigError ConfigParseError ConfigNotFound InvalidDefaultsMode ValueError "
    "InvalidSTSRegionalEndpointsConfigError InvalidEndpointConfigurationError":
        "the AWS configuration cannot be used ({message}); mend ~/.aws/config until `aws sts "
        "get-caller-identity{option}` answers",
    "InvalidClientTokenId UnrecognizedClientException AuthFailure InvalidAccessKeyId":
        "AWS does not know these credentials ({message}); check the access key, and the region: accounts in China and "
        "GovCloud need one of theirs, such as --regions cn-north-1",
    "SignatureDoesNotMatch IncompleteSignature InvalidSignatureException":
        "the secret key does not belong to the access key, or was cut off when it was copied; set both again with "
        "`aws configure`",
    "RequestTimeTooSkewed":
        "AWS refuses the time of this machine; set its clock right, as by `timedatectl set-ntp true`",
    "EndpointConnectionError ConnectTimeoutError ReadTimeoutError ConnectionClosedError":
        "AWS cannot be reached ({message}); check the network, the region, HTTPS_PROXY and AWS_ENDPOINT_URL",
    "ProxyConnectionError InvalidProxiesConfigError":
        "the proxy cannot be reached ({message}); check HTTPS_PROXY and HTTP_PROXY",
    "NoBundle":
        "the certificates cannot be read: AWS_CA_BUNDLE names {bundle}, which is not there; mend it",
    "NotTrusted":
        "the certificate of AWS is not trusted here; set AWS_CA_BUNDLE to the certificates of your proxy or company",
    "SSLError":
        "what answers cannot be talked to by TLS ({message}); check HTTPS_PROXY and AWS_ENDPOINT_URL",
    " ".join(("Unknown", "ResponseParserError", *map(str, range(300, 600)))):
        "what answers is not AWS ({answer}); check whether the network wants a login, HTTPS_PROXY and "
        "AWS_ENDPOINT_URL",
    "EOFError RefreshWithMFAUnsupportedError MultiFactorAuthentication":
        "an MFA code is needed and could not be asked for; run it in a terminal, or put temporary credentials of `aws "
        "sts get-session-token{option} --serial-number=ARN --token-code=CODE` into the environment",
    "NoRegionError InvalidRegionError UnknownRegionError EndpointProviderError":
        "the region cannot be used ({message}); set one with --regions or `aws configure set region REGION{option}`",
    "WrongCode":
        "the MFA code was not accepted ({message}); wait for the next one and run the same command again",
    "AccessDenied":
        "the role could not be assumed ({message}); its trust policy and a policy of yours must both allow "
        "sts:AssumeRole",
    "ForbiddenException":
        "the SSO login gives no access to that account and role ({message}); check sso_account_id and sso_role_name, "
        "as by `aws configure sso{option}`",
}
# fmt: on
_OTHER_ADVICE = (
    "AWS did not say whose account this is ({code}: {message}); `aws sts get-caller-identity{option}` must work before "
    "iamframe can"
)
