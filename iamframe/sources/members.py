"""Read the list of accounts for `load_fleet`, and open sessions in the listed accounts.

Worker processes receive the ids and names of accounts, roles and AWS CLI profiles, but never an access key.
"""

from __future__ import annotations

import copy
import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import boto3
import msgspec
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from iamframe.errors import SourceError, require
from iamframe.sources.archives import display_path, read_file
from iamframe.sources.client import Client
from iamframe.sources.guards import guard_requests
from iamframe.sources.records import make_decoders
from iamframe.sources.refusals import failure_of
from iamframe.sources.sessions import DEFAULT_REGION, share_models

ORGANIZATION = "org"
# The usual names of the columns; the first one is documented.
_COLUMNS = {
    "account_id": ("account_id", "id", "account", "accountid", "account id"),
    "account_name": ("account_name", "name", "alias", "account name", "accountname"),
    "role_name": ("role_name", "role", "role name", "rolename"),
    "external_id": ("external_id", "external id", "externalid"),
    "profile": ("profile", "profile_name"),
}


class Member(msgspec.Struct, frozen=True):
    account_id: str
    account_name: str | None = None
    role_name: str | None = None
    external_id: str | None = None
    profile: str | None = None
    # The caller's own account needs no role.
    is_caller: bool = False
    # The status in Organizations.
    status: str = "ACTIVE"

    @property
    def is_active(self) -> bool:
        return self.status == "ACTIVE"

    def __repr__(self) -> str:
        # The external id is a kind of secret.
        return f"Member({self.account_id!r}, {self.account_name!r})"


def read_members(accounts: Any) -> list[Member]:
    require("load_fleet", accounts, str, os.PathLike, Iterable, instead="account ids, a CSV file, or `org`")
    where = display_path(accounts)[:200] if isinstance(accounts, (str, os.PathLike)) else "accounts"
    members: dict[str, Member] = {}
    for number, row in enumerate(_rows(accounts, where), 1):
        if row:
            member = _member(row, where, number)
            if member.account_id in members:
                raise SourceError(f"{where}: has the account {member.account_id} twice; leave one of them out")
            members[member.account_id] = member
    if not members:
        raise SourceError(f"{where}: holds no account")
    return list(members.values())


def _rows(accounts: Any, where: str) -> Iterable[Mapping[str, Any]]:
    if isinstance(accounts, (str, os.PathLike)):
        return _cells(_text(accounts, where), where)
    if hasattr(accounts, "to_dict") and hasattr(accounts, "columns"):
        return accounts.to_dict("records")  # type: ignore[no-any-return]
    return (one if isinstance(one, Mapping) else {"account_id": one} for one in accounts)


def _text(file: str | os.PathLike[str], where: str) -> str:
    try:
        return read_file(file, pipe=True).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no UTF-8 text"
        raise SourceError(f"{where}: cannot be read ({reason}); give a CSV file of accounts, or `org`") from error


def _cells(text: str, where: str) -> Iterator[Mapping[str, Any]]:
    try:
        # Spreadsheets write semicolons where the comma is a decimal sign, and tabs when they copy.
        for separator in ",;\t":
            # `strict` refuses an unclosed quote, which would swallow the accounts after it.
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
            header: list[str] = []
            # A quoted cell ends with the separator of the file: with another separator, the cell is refused.
            with suppress(csv.Error):
                header = [name.strip().lower() for name in next(reader, ())]
            if set(header) & set(_COLUMNS["account_id"]):
                break
        else:
            raise SourceError(f"{where}: has no column account_id in its first line")
        for cells in reader:
            yield dict(zip(header, cells, strict=False)) if any(cell.strip() for cell in cells) else {}
    except csv.Error as error:
        raise SourceError(f"{where}: is not CSV ({error}); save it as CSV again") from error


def _member(row: Mapping[str, Any], where: str, number: int) -> Member:
    given = {str(key).strip().lower(): value for key, value in row.items() if key is not None}
    values: dict[str, str] = {}
    for column, names in _COLUMNS.items():
        found = next((given[name] for name in names if name in given), None)
        # A missing cell of a DataFrame is nan, which does not equal itself.
        if found is not None and found == found and str(found).strip():  # noqa: PLR0124
            values[column] = str(found).strip()
    account = values.get("account_id", "")
    if account.isascii() and account.isdigit():
        # Spreadsheets remove leading zeros.
        account = account.zfill(12)
    if not (account.isascii() and account.isdigit() and len(account) == 12):
        raise SourceError(f"{where}: row {number} has no account id of 12 digits ({account[:40]!r})")
    return msgspec.convert(values | {"account_id": account}, Member)


class _Account(msgspec.Struct, rename="pascal"):
    id: str
    name: str | None = None
    status: str = "ACTIVE"
    state: str | None = None


class _Accounts(msgspec.Struct, rename="pascal"):
    accounts: list[_Account] = []


def members_of_organization(client: Client) -> list[Member]:
    found: list[_Account] = []
    try:
        caller = client.identity().account
        # One request per 20 accounts.
        for page in client.pages("organizations", "ListAccounts"):
            found += msgspec.json.decode(page, type=_Accounts).accounts
    except msgspec.ValidationError as error:
        raise failure_of(error) from error
    # `State` replaces `Status` in newer answers (Organizations API Reference, Account).
    return [
        Member(one.id, one.name, is_caller=one.id == caller, status=one.state or one.status)
        for one in sorted(found, key=lambda one: one.id)
    ]


def assume_role(
    base: boto3.Session, member: Member, role: str, external_id: str | None, region: str = DEFAULT_REGION
) -> boto3.Session:
    """The session fetches the role's credentials at first use, and renews them later.

    AssumeRole requests go to `region` only if no region is configured for `base`.
    """
    inner = base._session  # noqa: SLF001 - boto3 has no other way to credentials that renew

    def create_client(*args: Any, **options: Any) -> Any:
        client = inner.create_client(*args, **({"region_name": base.region_name or region} | options))
        guard_requests(client, "sts")
        return client

    try:
        of_member = f"iam::{member.account_id}:role/{role.lstrip('/')}"
        partition = base.get_partition_for_region(base.region_name or region)
        arn = role if role.startswith("arn:") else f"arn:{partition}:{of_member}"
        credentials = base.get_credentials()
    except (BotoCoreError, ClientError, OSError, ValueError) as error:
        raise failure_of(error) from error
    if credentials is None:
        raise failure_of(NoCredentialsError())
    extra = {"RoleSessionName": "iamframe"} | ({"ExternalId": external_id} if external_id else {})
    fetcher = AssumeRoleCredentialFetcher(create_client, credentials, arn, extra_args=extra)

    def fetch() -> Any:
        try:
            return fetcher.fetch_credentials()
        except ClientError as error:
            # AWS quotes an external id that it does not accept, and botocore logs the message as a warning.
            answer = error.response.get("Error", {})
            clean = answer | {"Message": redacted(str(answer.get("Message", "")), spellings(external_id))}
            raise ClientError(error.response | {"Error": clean}, error.operation_name) from None

    # A copy keeps the set-up of the session: endpoint, proxy, certificates, region.
    own = copy.copy(inner)
    own._credentials = DeferredRefreshableCredentials(fetch, "assume-role")  # noqa: SLF001
    session = boto3.Session(botocore_session=own)
    share_models(session)
    return session


def spellings(*external_ids: str | None) -> tuple[str, ...]:
    # AWS's messages show consecutive spaces in an external id as one space.
    ids = {one for given in external_ids if given for one in (given, " ".join(given.split()))}
    return tuple(sorted(ids - {""}, key=len, reverse=True))


def redacted(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "…")
    return text


make_decoders(list(globals().values()))
