"""Sessions of boto3, and the first failure that everybody meets: one sentence each that says what to type."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from iamframe.errors import SourceError

if TYPE_CHECKING:
    import boto3

    from iamframe.sources.asking import Refused

# IAM's home in the partition that is meant where no region says which.
DEFAULT_REGION = "us-east-1"


def open_session(profile: str | None = None) -> boto3.Session:
    """Return a session of the environment's credentials, or of a profile of the AWS configuration; nothing is sent.

    Raises
    ------
    SourceError
        If there is no such profile, or the configuration cannot be read.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ProfileNotFound

    try:
        return boto3.Session(profile_name=profile)
    except ProfileNotFound:
        raise SourceError(
            f"{source_name(profile)}: there is no such profile{_profiles()}; `aws configure list-profiles` lists them"
        ) from None
    except BotoCoreError as error:
        raise SourceError(
            f"{source_name(profile)}: the AWS configuration cannot be used ({error}); mend ~/.aws/config"
        ) from error


def source_name(profile: str | None) -> str:
    """Return how the command line names a live source."""
    return f"aws:{profile}" if profile else "aws"


def _profiles() -> str:
    import boto3

    names = boto3.Session().available_profiles[:8]
    return f" (there are {', '.join(names)})" if names else ""


def first_failure(refusal: Refused, source: str) -> SourceError:
    """Return the sentence for an account of which not even GetCallerIdentity was answered."""
    profile = source.partition(":")[2]
    option = f" --profile={profile}" if profile else ""
    for codes, sentence in _FIRST:
        if refusal.code in codes:
            return SourceError(f"{source}: {sentence(option, refusal.message)}")
    return SourceError(
        f"{source}: AWS did not say whose account this is ({refusal.code}: {refusal.message[:300]}); "
        f"`aws sts get-caller-identity{option}` must work before iamframe can"
    )


def _no_credentials(option: str, _: str) -> str:
    found = "" if option else _profiles()
    return (
        f"no credentials were found; log in with `aws sso login{option}` or `aws configure{option}`, or name a profile "
        f"as aws:PROFILE{found}"
    )


def _expired(option: str, _: str) -> str:
    return f"the credentials have expired; renew them, as by `aws sso login{option}`, and run the same command again"


def _unknown(_: str, message: str) -> str:
    return (
        f"AWS does not know these credentials ({message.rstrip('.')[:200]}); check the access key, and the region: "
        "accounts in China and GovCloud need one of theirs, such as --regions cn-north-1"
    )


def _wrong_secret(_: str, __: str) -> str:
    return "the secret key does not belong to the access key, or was cut off when it was copied; set both again"


def _clock(_: str, __: str) -> str:
    return "AWS refuses the time of this machine; set its clock right"


def _unreachable(_: str, message: str) -> str:
    return (
        f"AWS cannot be reached ({message.rstrip('.')[:200]}); check the network, the region, HTTPS_PROXY and "
        "AWS_ENDPOINT_URL"
    )


def _proxy(_: str, message: str) -> str:
    return f"the proxy cannot be reached ({message.rstrip('.')[:200]}); check HTTPS_PROXY"


def _tls(_: str, __: str) -> str:
    return "the certificate of AWS is not trusted here; set AWS_CA_BUNDLE to the certificates of your proxy or company"


def _mfa(option: str, _: str) -> str:
    return (
        "an MFA code is needed and could not be asked for; run it in a terminal, or put temporary credentials of "
        f"`aws sts get-session-token{option} --serial-number=ARN --token-code=CODE` into the environment"
    )


def _no_region(option: str, message: str) -> str:
    return (
        f"the region cannot be used ({message.rstrip('.')[:200]}); set one with --regions or `aws configure set "
        f"region{option}`"
    )


def _role(_: str, message: str) -> str:
    return f"the role of the profile could not be assumed ({message.rstrip('.')[:300]}); check its trust policy"


_FIRST: tuple[tuple[set[str], Callable[[str, str], str]], ...] = (
    ({"NoCredentialsError", "PartialCredentialsError", "NoAuthTokenError"}, _no_credentials),
    (
        {
            "ExpiredToken",
            "ExpiredTokenException",
            "RequestExpired",
            "SSOTokenLoadError",
            "TokenRetrievalError",
            "UnauthorizedSSOTokenError",
            "LoginRefreshRequired",
        },
        _expired,
    ),
    ({"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "InvalidAccessKeyId"}, _unknown),
    ({"SignatureDoesNotMatch", "IncompleteSignature"}, _wrong_secret),
    ({"RequestTimeTooSkewed", "InvalidSignatureException"}, _clock),
    ({"EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError"}, _unreachable),
    ({"ProxyConnectionError", "InvalidProxiesConfigError"}, _proxy),
    ({"SSLError"}, _tls),
    ({"EOFError", "RefreshWithMFAUnsupportedError", "MultiFactorAuthentication"}, _mfa),
    ({"NoRegionError", "InvalidRegionError", "UnknownRegionError", "EndpointProviderError"}, _no_region),
    ({"AccessDenied"}, _role),
)
