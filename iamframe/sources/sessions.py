"""Sessions of boto3, and the first failure that everybody meets: one sentence each that says what to type."""

from __future__ import annotations

import getpass
import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iamframe.errors import ExpiredError, SourceError

if TYPE_CHECKING:
    import boto3

    from iamframe.sources.refusals import Refused

# IAM's home in the partition that is meant where no region says which.
DEFAULT_REGION = "us-east-1"
# Whoever has no network learns that from the first request, within half a minute: so many tries of so many seconds,
# and botocore's waits between them, which are at most 1, 2 and 4.
PATIENCE: dict[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 5,
    "retries": {"mode": "standard", "total_max_attempts": 4},
}
# Roles that profiles assume, kept while the process runs: a code of an MFA device serves once, and a fleet opens a
# session for each account.
_ASSUMED: dict[str, Any] = {}


def open_session(profile: str | None = None) -> boto3.Session:
    """Return a session of the environment's credentials, or of a profile of the AWS configuration; nothing is sent.

    Raises
    ------
    SourceError
        If there is no such profile, or the configuration cannot be read.
    """
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

    inner = session._session  # noqa: SLF001 - boto3 has no other way to how credentials are made
    # The requests by which a profile's role or SSO login gives credentials, which no client of iamframe's makes.
    if inner.get_default_client_config() is None:
        inner.set_default_client_config(Config(**PATIENCE))
    provider: Any = inner.get_component("credential_provider").get_provider("assume-role")
    provider.cache = _ASSUMED
    provider._prompter = _code  # noqa: SLF001


def _code(prompt: str) -> str:
    """Ask for the code of an MFA device, where there is a terminal or a notebook to ask in."""
    from botocore.exceptions import RefreshWithMFAUnsupportedError

    try:
        with warnings.catch_warnings():
            # Without a terminal it would ask whoever reads standard error, and wait for standard input.
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt)
    except (getpass.GetPassWarning, EOFError):
        raise RefreshWithMFAUnsupportedError from None


def check_regions(session: boto3.Session, named: Iterable[str], source: str) -> None:
    """Refuse what cannot be the name of a region, which would else be asked for long and answered by nobody.

    Raises
    ------
    SourceError
        If a region that is named, or the session's own one, has not the form of one.
    """
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
    """Return how the command line names a live source."""
    return f"aws:{profile}" if profile else "aws"


def _profiles() -> str:
    # A session of boto3 would look for the profile that AWS_PROFILE names, which may be the one that is not there.
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


def first_failure(refusal: Refused, source: str, profile: str | None) -> SourceError:
    """Return the sentence for an account of which not even GetCallerIdentity was answered."""
    option = f" --profile={profile}" if profile else ""
    kind = ExpiredError if refusal.reason == "expired" else SourceError
    for codes, sentence in _FIRST:
        if refusal.code in codes:
            return kind(f"{source}: {sentence(option, _plain(refusal.message))}")
    return kind(
        f"{source}: AWS did not say whose account this is ({refusal.code}: {_plain(refusal.message)}); "
        f"`aws sts get-caller-identity{option}` must work before iamframe can"
    )


def _no_credentials(option: str, _: str) -> str:
    found = "" if option else _profiles()
    return (
        f"no credentials were found{_missing_files()}; log in with `aws sso login{option}` or `aws configure{option}`, "
        f"or name a profile as aws:PROFILE{found}"
    )


def _part(option: str, message: str) -> str:
    return f"the credentials are not whole ({message}); set what is missing, as by `aws configure{option}`"


def _expired(option: str, _: str) -> str:
    return f"the credentials have expired; renew them, as by `aws sso login{option}`, and run the same command again"


def _sso(option: str, message: str) -> str:
    return (
        f"there is no SSO login, or it has expired ({message}); log in with `aws sso login{option}` and run the same "
        "command again"
    )


def _login(option: str, message: str) -> str:
    return f"the login cannot be used ({message}); log in with `aws login{option}` and run the same command again"


def _not_fetched(option: str, message: str) -> str:
    return (
        f"no credentials could be had in the way that is set up ({message}); mend it in ~/.aws/config or the "
        f"environment until `aws sts get-caller-identity{option}` answers"
    )


def _configuration(option: str, message: str) -> str:
    return (
        f"the AWS configuration cannot be used ({message}); mend ~/.aws/config until "
        f"`aws sts get-caller-identity{option}` answers"
    )


def _unknown(_: str, message: str) -> str:
    return (
        f"AWS does not know these credentials ({message}); check the access key, and the region: "
        "accounts in China and GovCloud need one of theirs, such as --regions cn-north-1"
    )


def _wrong_secret(_: str, __: str) -> str:
    return (
        "the secret key does not belong to the access key, or was cut off when it was copied; set both again with "
        "`aws configure`"
    )


def _clock(_: str, __: str) -> str:
    return "AWS refuses the time of this machine; set its clock right, as by `timedatectl set-ntp true`"


def _signature(option: str, message: str) -> str:
    late = "expired" in message or "not yet current" in message
    return _clock(option, message) if late else _wrong_secret(option, message)


def _unreachable(_: str, message: str) -> str:
    return f"AWS cannot be reached ({message}); check the network, the region, HTTPS_PROXY and AWS_ENDPOINT_URL"


def _proxy(_: str, message: str) -> str:
    return f"the proxy cannot be reached ({message}); check HTTPS_PROXY and HTTP_PROXY"


def _not_aws(_: str, message: str) -> str:
    return (
        f"what answers is not AWS ({message or 'an error without a code'}); check whether the network wants a login, "
        "HTTPS_PROXY and AWS_ENDPOINT_URL"
    )


def _tls(_: str, message: str) -> str:
    bundle = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")
    if bundle and not Path(bundle).exists():
        return f"the certificates cannot be read: AWS_CA_BUNDLE names {bundle}, which is not there; mend it"
    if "CERTIFICATE" in message.upper():
        return (
            "the certificate of AWS is not trusted here; set AWS_CA_BUNDLE to the certificates of your proxy or company"
        )
    return f"what answers cannot be talked to by TLS ({message}); check HTTPS_PROXY and AWS_ENDPOINT_URL"


def _mfa(option: str, _: str) -> str:
    return (
        "an MFA code is needed and could not be asked for; run it in a terminal, or put temporary credentials of "
        f"`aws sts get-session-token{option} --serial-number=ARN --token-code=CODE` into the environment"
    )


def _no_region(option: str, message: str) -> str:
    return f"the region cannot be used ({message}); set one with --regions or `aws configure set region REGION{option}`"


def _role(_: str, message: str) -> str:
    if "MultiFactorAuthentication failed" in message:
        return f"the MFA code was not accepted ({message}); wait for the next one and run the same command again"
    return (
        f"the role could not be assumed ({message}); its trust policy and a policy of yours must both "
        "allow sts:AssumeRole"
    )


def _no_access(option: str, message: str) -> str:
    return (
        f"the SSO login gives no access to that account and role ({message}); check sso_account_id and sso_role_name, "
        f"as by `aws configure sso{option}`"
    )


_FIRST: tuple[tuple[set[str], Callable[[str, str], str]], ...] = (
    ({"NoCredentialsError", "NoAuthTokenError"}, _no_credentials),
    ({"PartialCredentialsError"}, _part),
    ({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}, _expired),
    ({"SSOTokenLoadError", "TokenRetrievalError", "UnauthorizedSSOTokenError", "SSOError"}, _sso),
    (
        {
            "LoginRefreshRequired",
            "LoginTokenLoadError",
            "LoginInsufficientPermissions",
            "LoginAuthorizationCodeError",
            "LoginError",
        },
        _login,
    ),
    (
        {
            "CredentialRetrievalError",
            "MetadataRetrievalError",
            "MissingDependencyException",
            "UnknownCredentialError",
            "FileNotFoundError",
            "PermissionError",
            "OSError",
            "JSONDecodeError",
        },
        _not_fetched,
    ),
    (
        {
            "InvalidConfigError",
            "InfiniteLoopConfigError",
            "ConfigParseError",
            "ConfigNotFound",
            "InvalidSTSRegionalEndpointsConfigError",
            "InvalidDefaultsMode",
            "InvalidEndpointConfigurationError",
            "ValueError",
        },
        _configuration,
    ),
    ({"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "InvalidAccessKeyId"}, _unknown),
    ({"SignatureDoesNotMatch", "IncompleteSignature", "InvalidSignatureException"}, _signature),
    ({"RequestTimeTooSkewed"}, _clock),
    ({"EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError"}, _unreachable),
    ({"ProxyConnectionError", "InvalidProxiesConfigError"}, _proxy),
    ({"SSLError"}, _tls),
    ({"Unknown", "ResponseParserError", *map(str, range(300, 600))}, _not_aws),
    ({"EOFError", "RefreshWithMFAUnsupportedError", "MultiFactorAuthentication"}, _mfa),
    ({"NoRegionError", "InvalidRegionError", "UnknownRegionError", "EndpointProviderError"}, _no_region),
    ({"AccessDenied"}, _role),
    ({"ForbiddenException"}, _no_access),
)
