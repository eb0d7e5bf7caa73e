"""The sentence for a first request that failed: what is wrong with credentials, profile, network or region."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from iamframe.errors import ExpiredError, SourceError

if TYPE_CHECKING:
    from iamframe.sources.refusals import RequestFailed


def first_failure(refusal: RequestFailed, source: str, profile: str | None) -> SourceError:
    """Return the sentence for an account whose very first call failed."""
    kind = ExpiredError if refusal.reason == "expired" else SourceError
    message, code = plain(refusal.message), refusal.code
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
        "missing": missing_files(),
        "profiles": profiles() if "{profiles}" in sentence and not profile else "",
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


def profiles() -> str:
    """Return the profiles of the AWS configuration, as a sentence shows them."""
    # boto3's session would fail at the profile of AWS_PROFILE, which may be the missing one.
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        names = list(Session().full_config.get("profiles", {}))[:8]
    except BotoCoreError:
        return ""
    return f" (there are {', '.join(names)})" if names else ""


def missing_files() -> str:
    """Return the missing files that environment variables name, as the end of a sentence."""
    variables = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    missing = [
        f"{variable} names {path}, which is not there"
        for variable in variables
        if (path := os.environ.get(variable)) and not Path(path).expanduser().exists()
    ]
    return f", and {' and '.join(missing)}" if missing else ""


def plain(error: object) -> str:
    """Return an error's text on one line, as a part of a sentence."""
    return " ".join(str(error).split()).rstrip(".:")[:300]
