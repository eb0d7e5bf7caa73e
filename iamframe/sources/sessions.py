"""Sessions of boto3. If a profile or region does not exist, the error shows what to type."""

from __future__ import annotations

import getpass
import os
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from iamframe.errors import SourceError
from iamframe.sources.first_failure import missing_files, plain, profiles, refused

if TYPE_CHECKING:
    import boto3


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
    """Return a session with the credentials of a profile, or of the environment. No request is sent."""
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
    else:
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
    """Make a session use the service models that another session has loaded."""
    core = session._session  # noqa: SLF001 - boto3 does not give its parts away
    loader = core.get_component("data_loader")
    # Each session adds boto3's folder again.
    loader.search_paths[:] = dict.fromkeys(loader.search_paths)
    core.register_component("data_loader", _LOADERS.setdefault(tuple(loader.search_paths), loader))


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
    """Raise SourceError if a given region, or the session's own region, cannot exist.

    Requests to such a region would only time out.
    """
    from botocore.exceptions import UnknownRegionError

    for region in dict.fromkeys((*named, session.region_name)):
        try:
            if region is not None:
                session.get_partition_for_region(region)
        except UnknownRegionError:
            message = "access.no_region" if region in named else "access.no_region_set"
            raise refused(SourceError, source, message, region=region, example=DEFAULT_REGION) from None


def source_name(profile: str | None) -> str:
    """Return the name of a live source, as it is typed on the command line."""
    return f"aws:{profile}" if profile else "aws"
