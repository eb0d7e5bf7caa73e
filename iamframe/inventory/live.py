"""Live accounts as an `Inventory`: one through a session, or many through a role in each."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from iamframe.errors import ExpiredError, IamframeError, SourceError, StoreError
from iamframe.inventory.build import build_inventory, joined, without_collector
from iamframe.inventory.inventory import Inventory
from iamframe.knowledge.operations import ACCOUNT_LIST, ALL, ASSUME_ROLE, IDENTITY
from iamframe.sources.account import AccountReader
from iamframe.sources.client import Client
from iamframe.sources.first_failure import first_failure
from iamframe.sources.journal import Journal
from iamframe.sources.members import (
    ORGANIZATION,
    Member,
    active_members,
    assume_role,
    members_of_organization,
    read_members,
    redacted,
    spellings,
)
from iamframe.sources.progress import Progress, silent
from iamframe.sources.progress import progress_bars as shown_progress
from iamframe.sources.records import Account, Answer, CallStats, Gap, LoadPlan, References
from iamframe.sources.refusals import RequestFailed
from iamframe.sources.sessions import DEFAULT_REGION, check_regions, open_session, source_name

if TYPE_CHECKING:
    import boto3


def load_account(
    session: boto3.Session | None = None,
    *,
    regions: Literal["all"] | Iterable[str] = "all",
    references: bool | References = "all",
    role_details: bool = False,
    tag_index: bool = False,
    workers: int = 16,
    rate: float | None = None,
    progress: bool | Progress | None = None,
    source: str = "aws",
    journal: str | os.PathLike[str] | None = None,
) -> Inventory:
    """Load one live account, read-only, with the credentials of a boto3 session (by default the environment's).

    Requests: GetCallerIdentity, GetAccountSummary and ListAccountAliases once, GetAccountAuthorizationDetails and
    ListInstanceProfiles in pages of 1,000, and one per instance profile for its tags (GetInstanceProfile, or
    ListInstanceProfileTags if only that is allowed). A denied operation is replaced by the next best one; `gaps` and
    `calls` say so. Only iamframe's fixed list of read operations is ever sent.

    Parameters
    ----------
    regions
        Regions in which to look for references to profiles: all enabled ones (one request lists them), or those named.
    references
        `"all"` (or True) reads instances, associations, launch templates with all versions, launch configurations,
        Auto Scaling groups, spot requests, fleets, and what Batch, EMR, Elastic Beanstalk, Image Builder, ECS, RDS
        Custom and PCS use; `"core"` leaves those services out; `"none"` (or False) reads nothing.
    role_details
        Whether to read descriptions and maximum session durations too, which only ListRoles has.
    tag_index
        Whether to read profile tags from the tagging API first, 100 a request, and one by one only the rest. It can
        be out of date: `tags.tag_source` shows the source of each tag.
    workers
        Requests in flight.
    rate
        Maximum requests per second, per service and region; by default as many as AWS allows.
    progress
        Whether to show progress; by default in a terminal or a notebook. A function is called with the stage, its
        finished count and its total so far.
    source
        The name in `accounts.source`.
    journal
        A file that keeps each answer, so that an interrupted load resumes.

    Raises
    ------
    SourceError
        If there are no credentials, they have expired or are unknown, AWS cannot be reached, or it denies everything;
        or if an option is invalid.
    StoreError
        If the journal's disk is full; its answers are kept.
    """
    plan = _plan(regions, references, role_details, tag_index, workers, rate)
    options = _LoadOptions(plan, workers, rate, profile=source.partition(":")[2] or None)
    with shown_progress(progress) as show:
        answers = _answers(session or open_session(), options, source, journal, show)
    return build_inventory(answers, [source])


def load_fleet(
    accounts: str | os.PathLike[str] | Iterable[Any],
    *,
    role_name: str | None = None,
    external_id: str | None = None,
    profile: str | None = None,
    executor: Executor | None = None,
    regions: Literal["all"] | Iterable[str] = "all",
    references: bool | References = "all",
    role_details: bool = False,
    tag_index: bool = False,
    workers: int = 8,
    rate: float | None = None,
    progress: bool | Progress | None = None,
    journals: str | os.PathLike[str] | None = None,
) -> Inventory:
    """Load several live accounts, assuming a role in each.

    If one account fails, the others still load: the account has its row in `accounts`, and `gaps` says why.

    Parameters
    ----------
    accounts
        `"org"` for all active accounts of the caller's organisation (Organizations ListAccounts), a CSV file, a
        DataFrame, or an iterable of ids or mappings, with `account_id`, `account_name` and, where they differ between
        accounts, `role_name`, `external_id`, `profile`.
    role_name
        Name (with its path) of the role to assume in each; without one, each account's own profile is used directly.
    external_id
        External id that the roles require; it is never written to a file.
    profile
        Profile of the AWS configuration whose credentials assume the roles; by default the environment's credentials.
    executor
        Any `concurrent.futures.Executor`, such as Dask's `client.get_executor(pure=False)`; by default eight threads.
        It receives ids and names, never keys.
    workers
        Requests in flight per account.
    journals
        A folder with a journal per account, so that an interrupted load resumes.

    The other parameters are those of `load_account`.

    Raises
    ------
    SourceError
        If the accounts cannot be listed, or none of them could be read; or if an option is invalid.
    StoreError
        If the disk of the journals is full; their answers are kept.
    """
    plan = _plan(regions, references, role_details, tag_index, workers, rate)
    folder = os.fspath(journals) if journals else None
    options = _LoadOptions(plan, workers, rate, role_name, external_id, profile, folder)
    # A DataFrame would compare cell by cell.
    is_organization = isinstance(accounts, str) and accounts == ORGANIZATION
    members = _organization(options) if is_organization else read_members(accounts)
    active = active_members(members)
    # Remote workers may hold other credentials.
    if not is_organization and executor is None and not all(member.profile for member in active):
        try:
            _prime_credentials(options)
        except SourceError:
            # Accounts with a profile of their own still load; each of the others reports the error.
            if not any(member.profile for member in active):
                raise
    with shown_progress(progress) as show:
        loaded = _load_all(active, options, executor, show)
    for one in loaded:
        # The same call resumes from the journals, so such an account is not given up.
        if journals and one.resumable is not None:
            raise one.resumable(one.sentence)
    failed = [one.sentence for one in loaded if one.sentence is not None]
    if len(failed) == len(active):
        first = f"; the first: {failed[0]}" if failed else ""
        raise SourceError(f"none of the {len(active):,} account{'' if len(active) == 1 else 's'} could be read{first}")
    left_out = [
        _unread_account(member, f"the account {member.account_id} is {member.status} and cannot be read", "denied")
        for member in members
        if member not in active
    ]
    return joined([*(one.inventory for one in loaded), *left_out], [source_name(profile)])


@dataclass(frozen=True, slots=True)
class _LoadOptions:
    """How accounts are read; an executor sends it to its workers."""

    plan: LoadPlan
    workers: int
    rate: float | None
    role_name: str | None = None
    # A kind of secret.
    external_id: str | None = field(default=None, repr=False)
    profile: str | None = None
    journals: str | None = None
    # Set when the answers are no longer wanted.
    ended: threading.Event | None = None

    def secrets(self, member: Member) -> tuple[str, ...]:
        """Return the external ids that AWS may quote."""
        return spellings(member.external_id, self.external_id)


def _plan(
    regions: Literal["all"] | Iterable[str],
    references: bool | References,
    role_details: bool,
    tag_index: bool,
    workers: object,
    rate: object,
) -> LoadPlan:
    """Return the requests to make in each account; refuse options that would ask nothing or never end."""
    if not (isinstance(references, bool) or references in get_args(References)):
        raise SourceError(
            f'references={references!r}: says nothing that can be looked for; give "all", "core" or "none"'
        )
    if not (isinstance(workers, Integral) and int(workers) >= 1):
        raise SourceError(f"workers={workers!r}: is no number of requests in flight; give 1 or more")
    if rate is not None and not (isinstance(rate, Real) and 0 < float(rate) < math.inf):
        raise SourceError(f"rate={rate!r}: is no number of requests a second; give one above 0, or none")
    named: Literal["all"] | tuple[str, ...] = "all"
    if regions != "all":
        named = tuple(dict.fromkeys([regions] if isinstance(regions, str) else regions))
    asked: References = ("all" if references else "none") if isinstance(references, bool) else references
    if asked != "none" and not named:
        raise SourceError("no region given; name one, or all")
    return LoadPlan(named, asked, role_details, tag_index)


# One account


def _client(session: boto3.Session, options: _LoadOptions, source: str) -> Client:
    named = options.plan.regions if options.plan.regions != "all" else ()
    check_regions(session, named, source)
    region = session.region_name or next(iter(named), DEFAULT_REGION)
    return Client(session, region, options.workers, options.rate)


def _answers(
    session: boto3.Session,
    options: _LoadOptions,
    source: str,
    journal: str | os.PathLike[str] | None,
    show: Progress,
    member: Member | None = None,
) -> list[Answer]:
    """Return all answers of one account."""
    client = _client(session, options, source)
    client.journal = Journal(Path(journal)) if journal is not None else None
    client.ended = options.ended or client.ended
    name, account = (member.account_name, member.account_id) if member else (None, None)
    try:
        with without_collector():
            answers = AccountReader(client, options.plan, source, name, account, show).answers()
        if client.stopped is not None and client.journal is not None:
            raise ExpiredError(
                f"{source}: the credentials expired after {len(client.journal):,} answers, which are kept; renew them "
                "and run the same command again, which goes on from there"
            )
    except RequestFailed as refusal:
        if member:
            # Done before the sentence is shortened: a part of an external id would not be recognised.
            refusal.message = redacted(refusal.message, options.secrets(member))
        raise first_failure(refusal, source, (member and member.profile) or options.profile) from refusal.cause
    finally:
        if client.journal is not None:
            client.journal.close()
    if all(answer.state == "refused" for answer in answers if answer.tally and answer.operation != IDENTITY):
        raise SourceError(_all_denied(source, answers))
    return answers


def _all_denied(source: str, answers: list[Answer]) -> str:
    # A service control policy can deny even GetCallerIdentity.
    account = next((f"account {answer.account_id}" for answer in answers if answer.account_id), "the account")
    reasons = {record.reason for answer in answers for chunk in answer for record in chunk if isinstance(record, Gap)}
    if "expired" in reasons:
        return f"{source}: the credentials expired before anything was read of {account}; renew them and run again"
    return (
        f"{source}: AWS refused all that iamframe asked of {account}; allow what the README's policy names, or "
        "attach AWS's SecurityAudit or ViewOnlyAccess"
    )


# Many accounts


def _organization(options: _LoadOptions) -> list[Member]:
    source = source_name(options.profile)
    if not options.role_name:
        raise SourceError(
            f"{source}: the accounts of an organisation are read through a role in each; name it with --assume-role "
            "(role_name), such as OrganizationAccountAccessRole"
        )
    try:
        return members_of_organization(_client(open_session(options.profile), options, source))
    except RequestFailed as refusal:
        if refusal.code == "AWSOrganizationsNotInUseException":
            raise SourceError(
                f"{source}: the account is in no organisation; name a CSV of accounts with --accounts FILE"
            ) from refusal.cause
        if refusal.code.startswith("AccessDenied") and refusal.operation in (ACCOUNT_LIST, IDENTITY):
            raise SourceError(
                f"{source}: may not list the accounts of the organisation ({refusal.code}); allow "
                "organizations:ListAccounts, ask from the management or a delegated account, or name a CSV of accounts"
            ) from refusal.cause
        raise first_failure(refusal, source, options.profile) from refusal.cause


def _prime_credentials(options: _LoadOptions) -> None:
    """Get the credentials that assume the roles, once for all accounts: an MFA code works only once."""
    source = source_name(options.profile)
    try:
        _client(open_session(options.profile), options, source).call("sts", IDENTITY)
    except RequestFailed as refusal:
        # A caller without GetCallerIdentity may still assume roles.
        if refusal.operation != IDENTITY or not refusal.code.startswith("AccessDenied"):
            raise first_failure(refusal, source, options.profile) from refusal.cause


# The errors after which a load goes on from its journal, and the reason of the gap.
_RESUMABLE: dict[type[IamframeError], str] = {StoreError: "unreadable", ExpiredError: "expired"}


@dataclass(frozen=True, slots=True)
class _LoadResult:
    """One account's inventory, and the sentence that says why it has no rows.

    It carries no exception, whose cause may not survive the way back from a worker.
    """

    inventory: Inventory
    sentence: str | None = None
    # One of `_RESUMABLE`.
    resumable: type[IamframeError] | None = None


def _load_all(
    members: list[Member], options: _LoadOptions, executor: Executor | None, show: Progress
) -> list[_LoadResult]:
    own = ThreadPoolExecutor(8, thread_name_prefix="iamframe-accounts") if executor is None else None
    ended = threading.Event()
    # The event cannot be sent to workers elsewhere.
    sent = replace(options, ended=ended) if own else options
    futures: list[Future[_LoadResult]] = []
    try:
        futures += (_submitted(executor or own, member, sent) for member in members)  # type: ignore[arg-type]
        for done, _ in enumerate(as_completed(futures), 1):
            show("accounts", done, len(futures))
        return [_result(future, member, options) for future, member in zip(futures, members, strict=True)]
    except BaseException:
        # An interrupted load does not wait for the accounts that are being read.
        ended.set()
        for future in futures:
            future.cancel()
        raise
    finally:
        if own is not None:
            own.shutdown(wait=not ended.is_set(), cancel_futures=True)


def _submitted(executor: Executor, member: Member, options: _LoadOptions) -> Future[_LoadResult]:
    try:
        return executor.submit(_load_member, member, options)
    except RuntimeError as error:  # An executor whose workers have died accepts nothing more.
        failed: Future[_LoadResult] = Future()
        failed.set_exception(error)
        return failed


def _result(future: Future[_LoadResult], member: Member, options: _LoadOptions) -> _LoadResult:
    """Return the result of one account; a worker that died costs only its own accounts."""
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 - executors have exceptions of their own
        said = redacted(" ".join(f"{type(error).__name__}: {error}".split()), options.secrets(member))
        source = source_name(member.profile or options.profile)
        sentence = f"{source}/{member.account_id}: the worker that read the account ended: {said[:300].rstrip(': ')}"
        return _LoadResult(_unread_account(member, sentence, "unreadable"), sentence)


def _load_member(member: Member, options: _LoadOptions) -> _LoadResult:
    """Load one account; it runs on the executor."""
    profile = member.profile or options.profile
    source = f"{source_name(profile)}/{member.account_id}"
    journal = Path(options.journals) / f"{member.account_id}.jsonl" if options.journals else None
    try:
        answers = _answers(_session(member, options, source), options, source, journal, silent, member)
    except IamframeError as error:
        kind, sentence = type(error), str(error)
        unread = _unread_account(member, sentence, _RESUMABLE.get(kind, "denied"))
        return _LoadResult(unread, sentence, kind if kind in _RESUMABLE else None)
    inventory = build_inventory(answers, [source])
    details, secrets = inventory.gaps["detail"], options.secrets(member)
    if any(details.str.contains(secret, regex=False).any() for secret in secrets):
        clean = details.map(lambda detail: redacted(detail, secrets), na_action="ignore").astype(details.dtype)
        inventory = replace(inventory, gaps=inventory.gaps.assign(detail=clean))
    return _LoadResult(inventory)


def _session(member: Member, options: _LoadOptions, source: str) -> boto3.Session:
    """Return a session in a member's account: of its role, or of its profile."""
    profile = member.profile or options.profile
    session = open_session(profile)
    role = member.role_name or options.role_name
    if not role or member.is_caller:
        return session
    try:
        return assume_role(session, member, role, member.external_id or options.external_id)
    except RequestFailed as refusal:
        raise first_failure(refusal, source, profile) from refusal.cause


def _unread_account(member: Member, sentence: str, reason: str) -> Inventory:
    """Return an inventory with nothing but the account and the gap that says why."""
    gap = Gap(ASSUME_ROLE, ALL, reason, sentence, account_id=member.account_id)
    chunks: list[list[Any]] = [[gap], [Account(account_name=member.account_name)]]
    answer = Answer("denied", "aws", chunks, member.account_id, source="aws", tally=CallStats())
    return build_inventory([answer], ["aws"])
