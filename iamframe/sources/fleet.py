"""Many accounts: which there are, and a session of the role that each is read by.

An account is one unit of work: what travels to where it runs is its id and the names of role and profile, never a key.
"""

from __future__ import annotations

import copy
import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from iamframe.errors import SourceError
from iamframe.knowledge.arn import partition_of
from iamframe.sources.archives import shown, whole_file
from iamframe.sources.records import make_decoders

if TYPE_CHECKING:
    import boto3

    from iamframe.sources.client import Asker

ORGANIZATION = "org"
_SEPARATORS = ",;\t"
# Names that people give these columns, the first one being the one that is documented.
_COLUMNS = {
    "account_id": ("account_id", "id", "account", "accountid", "account id"),
    "account_name": ("account_name", "name", "alias", "account name", "accountname"),
    "role_name": ("role_name", "role", "role name", "rolename"),
    "external_id": ("external_id", "external id", "externalid"),
    "profile": ("profile", "profile_name"),
}


class Member(msgspec.Struct, frozen=True):
    """One account of many: its id, and how to get in, so far as it differs from the others."""

    account_id: str
    account_name: str | None = None
    role_name: str | None = None
    external_id: str | None = None
    profile: str | None = None
    # The account that asks needs no role of its own; one that Organizations says is not active cannot be asked.
    is_caller: bool = False
    status: str = "ACTIVE"

    def __repr__(self) -> str:
        """Return the account without its external id, which is a secret of sorts."""
        return f"Member({self.account_id!r}, {self.account_name!r})"


def members_of(accounts: Any) -> list[Member]:
    """Return the accounts of a CSV file, a DataFrame, or an iterable of ids or mappings, each once.

    Columns: `account_id` (or `id`), `account_name` (`name`), and optionally `role_name` (`role`), `external_id`,
    `profile`.

    Raises
    ------
    SourceError
        If the file cannot be read, has no column of ids, holds an account twice, or no account at all.
    """
    where = shown(accounts)[:200] if isinstance(accounts, (str, os.PathLike)) else "accounts"
    rows = list(_rows(accounts, where))
    members = [_member(row, where, number) for number, row in enumerate(rows, 1) if row]
    seen: set[str] = set()
    for member in members:
        if member.account_id in seen:
            raise SourceError(f"{where}: holds the account {member.account_id} twice; leave one of them out")
        seen.add(member.account_id)
    if not members:
        raise SourceError(f"{where}: holds no account")
    return members


def _rows(accounts: Any, where: str) -> Iterator[Mapping[str, Any]]:
    if isinstance(accounts, (str, os.PathLike)):
        try:
            # Ends of lines stay as they are: within a cell they are part of it.
            text = whole_file(accounts, pipe=True).decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "is no UTF-8 text"
            raise SourceError(f"{where}: cannot be read ({reason}); name a CSV file of accounts, or org") from error
        try:
            yield from _cells(text, where)
        except csv.Error as error:
            raise SourceError(f"{where}: is no CSV ({error}); save it as CSV again") from error
    elif hasattr(accounts, "to_dict") and hasattr(accounts, "columns"):
        yield from accounts.to_dict("records")
    else:
        for one in accounts:
            yield one if isinstance(one, Mapping) else {"account_id": one}


def _cells(text: str, where: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a CSV, an empty one for a row without any value."""
    # Spreadsheets separate by semicolons where a comma is part of numbers, and by tabs when they copy.
    for separator in _SEPARATORS:
        # A quote that is not closed would swallow the accounts after it.
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        header = [name.strip().lower() for name in next(reader, ())]
        if set(header) & set(_COLUMNS["account_id"]):
            break
    else:
        raise SourceError(f"{where}: has no column account_id in its first line")
    for cells in reader:
        yield dict(zip(header, cells, strict=False)) if any(cell.strip() for cell in cells) else {}


def _member(row: Mapping[str, Any], where: str, number: int) -> Member:
    given = {str(key).strip().lower(): value for key, value in row.items() if key is not None}
    values: dict[str, str] = {}
    for column, names in _COLUMNS.items():
        found = next((given[name] for name in names if name in given), None)
        # A missing cell of a DataFrame is a nan, which is not equal to itself.
        if found is not None and found == found and str(found).strip():  # noqa: PLR0124
            values[column] = str(found).strip()
    account = values.get("account_id", "")
    # Spreadsheets take the zeros off that an id begins with.
    account = account.zfill(12) if account.isascii() and account.isdigit() else account
    if not (account.isascii() and account.isdigit() and len(account) == 12):
        raise SourceError(f"{where}: row {number} has no account id of 12 digits ({account[:40]!r})")
    return msgspec.convert(values | {"account_id": account}, Member)


class _Listed(msgspec.Struct, rename="pascal"):
    id: str
    name: str | None = None
    status: str = "ACTIVE"
    state: str | None = None


class _Accounts(msgspec.Struct, rename="pascal"):
    accounts: list[_Listed] = []


class _Caller(msgspec.Struct, rename="pascal"):
    account: str


def members_of_organization(asker: Asker) -> list[Member]:
    """Return the accounts of the caller's organisation, by Organizations ListAccounts (a request per 20 accounts).

    Raises
    ------
    Refused
        If AWS does not say.
    """
    from iamframe.sources.refusals import Refused

    found: list[_Listed] = []
    try:
        caller = msgspec.json.decode(asker.ask("sts", "GetCallerIdentity"), type=_Caller).account
        for page in asker.pages("organizations", "ListAccounts"):
            found += msgspec.json.decode(page, type=_Accounts).accounts
    except msgspec.ValidationError as error:
        raise Refused("unreadable", type(error).__name__, str(error)) from error
    # `State` replaces `Status` in newer answers (Organizations API Reference, Account).
    return [
        Member(one.id, one.name, is_caller=one.id == caller, status=one.state or one.status)
        for one in sorted(found, key=lambda one: one.id)
    ]


def assumed(base: boto3.Session, member: Member, role: str, external_id: str | None) -> boto3.Session:
    """Return a session of a role in a member's account; the role is assumed at its first request, and again in time.

    `role` is a name, with its path, or an ARN.

    Raises
    ------
    Refused
        If there are no credentials to assume it with.
    """
    import boto3
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    from iamframe.sources.client import guard_requests
    from iamframe.sources.refusals import refusal_of

    inner = base._session  # noqa: SLF001 - boto3 has no other way to sessions whose credentials renew themselves

    def create_client(*asked: Any, **named: Any) -> Any:
        client = inner.create_client(*asked, **named)
        guard_requests(client, "sts")
        return client

    arn = role if role.startswith("arn:") else None
    try:
        arn = arn or f"arn:{_partition(base)}:iam::{member.account_id}:role/{role.lstrip('/')}"
        credentials = base.get_credentials()
    except (BotoCoreError, ClientError, OSError, ValueError) as error:
        raise refusal_of(error) from error
    if credentials is None:
        raise refusal_of(NoCredentialsError())
    extra = {"RoleSessionName": "iamframe"} | ({"ExternalId": external_id} if external_id else {})
    fetcher = AssumeRoleCredentialFetcher(create_client, credentials, arn, extra_args=extra)
    # A copy keeps what the session was set up with: endpoint, proxy, certificates, region.
    own = copy.copy(inner)

    def fetch() -> Any:
        try:
            return fetcher.fetch_credentials()
        except ClientError as error:
            # Botocore logs it as a warning, and AWS quotes what is not to its liking.
            said = error.response.get("Error", {})
            clean = said | {"Message": without(str(said.get("Message", "")), spellings(external_id))}
            raise ClientError(error.response | {"Error": clean}, error.operation_name) from None

    own._credentials = DeferredRefreshableCredentials(fetch, "assume-role")  # noqa: SLF001
    return boto3.Session(botocore_session=own)


def spellings(*external_ids: str | None) -> tuple[str, ...]:
    """Return external ids as they stand in what AWS says, the longest first."""
    ids = {one for given in external_ids if given for one in (given, " ".join(given.split()))}
    return tuple(sorted(ids - {""}, key=len, reverse=True))


def without(text: str, secrets: Iterable[str]) -> str:
    """Return AWS's words without the external ids, which it quotes where they are not to its liking."""
    for secret in secrets:
        text = text.replace(secret, "…")
    return text


def _partition(session: boto3.Session) -> str:
    region = session.region_name
    return str(session.get_partition_for_region(region)) if region else "aws"


def role_account(role_arn: str) -> str | None:
    """Return the account of a role's ARN, or None where the text is a name."""
    return role_arn.split(":", 5)[4] if partition_of(role_arn) else None


def chosen(members: Iterable[Member]) -> list[Member]:
    """Return the members that can be asked."""
    return [member for member in members if member.status == "ACTIVE"]


make_decoders(list(globals().values()))
