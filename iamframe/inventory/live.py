"""Live accounts: one through a session, many through a role in each, into an `Inventory`."""

from __future__ import annotations

import gc
import math
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from iamframe.errors import ExpiredError, IamframeError, SourceError, StoreError
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.merge import build_inventory, joined
from iamframe.knowledge.operations import ALL
from iamframe.sources.fleet import (
    ORGANIZATION,
    Member,
    assumed,
    chosen,
    members_of,
    members_of_organization,
    spellings,
    without,
)
from iamframe.sources.progress import Progress, silent
from iamframe.sources.progress import shown as shown_progress
from iamframe.sources.records import Account, Answer, Gap, Plan, References, Tally
from iamframe.sources.sessions import DEFAULT_REGION, check_regions, first_failure, open_session, source_name

if TYPE_CHECKING:
    import boto3

    from iamframe.sources.client import Asker

AWS = "aws"


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
    ListInstanceProfileTags where only that is allowed). What is denied is replaced by the next best plan, and told in
    `gaps` and `calls`. Nothing that is not on iamframe's list of reads is ever sent.

    Parameters
    ----------
    regions
        Where to look for what refers to profiles: all that are enabled (one request tells), or those named.
    references
        Whom to ask: `"all"` (or True) asks for instances, associations, launch templates with all versions, launch
        configurations, Auto Scaling groups, spot requests, fleets, and what Batch, EMR, Elastic Beanstalk, Image
        Builder, ECS, RDS Custom and PCS use; `"core"` leaves those services out; `"none"` (or False) asks for nothing.
    role_details
        Whether to read descriptions and longest sessions too, which only ListRoles has.
    tag_index
        Whether to read profile tags from the tagging API first, 100 a request, and one by one only what it does not
        show. It lags behind: `tags.tag_source` says where each tag is from.
    workers
        Requests in flight.
    rate
        Requests a second at most, per service and region; by default as many as AWS lets pass.
    progress
        Whether to show progress; by default to a terminal or a notebook. A function is called with the stage, what is
        done, and what there is so far.
    source
        How `accounts.source` names it.
    journal
        A file that keeps each answer, so that a load which was cut off goes on from it.

    Raises
    ------
    SourceError
        If there are no credentials, they have expired or are unknown, AWS cannot be reached, or it denies everything;
        or if an option is none.
    StoreError
        If the journal's disk is full; what it holds is kept.
    """
    _check(references, workers, rate)
    plan = _plan(regions, references=references, role_details=role_details, tag_index=tag_index)
    with shown_progress(progress) as show:
        profile = source.partition(":")[2] or None
        answers = _asked(session or open_session(), plan, workers, rate, source, journal, show, profile=profile)
    if all(answer.state == "refused" for answer in answers if answer.tally and answer.operation != "GetCallerIdentity"):
        raise SourceError(_all_denied(source, answers))
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
    """Load many live accounts, each as by `load_account`, through a role in each that is assumed where it is read.

    An account that cannot be read costs only its own rows: it has its row in `accounts`, and a gap that says why.

    Parameters
    ----------
    accounts
        `"org"` for all active accounts of the caller's organisation (Organizations ListAccounts), a CSV file, a
        DataFrame, or an iterable of ids or mappings, with `account_id`, `account_name` and, where they differ from
        account to account, `role_name`, `external_id`, `profile`.
    role_name
        Name (with its path) of the role to assume in each; without one, each account's own profile is used as it is.
    external_id
        External id that the roles ask for; it is written nowhere.
    profile
        Profile of the AWS configuration whose credentials assume the roles; by default the environment's credentials.
    executor
        Any `concurrent.futures.Executor`, such as Dask's `client.get_executor(pure=False)`; by default eight threads.
        What travels to it is ids and names, never keys.
    workers
        Requests in flight per account.
    journals
        A folder for a journal per account, so that a load which was cut off goes on from them.

    The other parameters are those of `load_account`.

    Raises
    ------
    SourceError
        If the accounts cannot be listed, or none of them could be read; or if an option is none.
    StoreError
        If the disk of the journals is full; what they hold is kept.
    """
    _check(references, workers, rate)
    plan = _plan(regions, references=references, role_details=role_details, tag_index=tag_index)
    way = _Way(plan, role_name, external_id, profile, workers, rate, os.fspath(journals) if journals else None)
    # A DataFrame compares cell by cell.
    everyone = isinstance(accounts, str) and accounts == ORGANIZATION
    members = _organization(way) if everyone else members_of(accounts)
    able = chosen(members)
    # Elsewhere there may be other credentials than here.
    if not everyone and executor is None and not all(member.profile for member in able):
        try:
            _meet(way)
        except SourceError:
            # Those that have a profile of their own can be read all the same; the others say it each.
            if not any(member.profile for member in able):
                raise
    with shown_progress(progress) as show:
        loaded = _all_loaded(able, way, executor, show)
    for one in loaded:
        # The same call goes on from the journals, so that the account is not given up.
        if journals and one.kept is not None:
            raise (ExpiredError if one.kept == "expired" else StoreError)(one.sentence)
    failed = [one.sentence for one in loaded if one.sentence is not None]
    if len(failed) == len(able):
        first = f"; the first: {failed[0]}" if failed else ""
        raise SourceError(f"none of the {len(able):,} account{'' if len(able) == 1 else 's'} could be read{first}")
    left_out = [
        _unread(m, f"the account {m.account_id} is {m.status} and cannot be read", "denied")
        for m in members
        if m not in able
    ]
    return joined([*(one.inventory for one in loaded), *left_out], [source_name(profile)])


@dataclass(frozen=True, slots=True)
class _Way:
    """How each account of a fleet is read; it travels to where that happens."""

    plan: Plan
    role_name: str | None
    # A secret of sorts.
    external_id: str | None = field(repr=False)
    profile: str | None
    workers: int
    rate: float | None
    journals: str | None
    # Set where nobody waits any more.
    ended: threading.Event | None = None


def _check(references: object, workers: object, rate: object) -> None:
    """Refuse what would else be a load that asks nothing, or never ends."""
    if not (isinstance(references, bool) or references in get_args(References)):
        raise SourceError(
            f'references={references!r}: says nothing that can be looked for; give "all", "core" or "none"'
        )
    if not (isinstance(workers, Integral) and int(workers) >= 1):
        raise SourceError(f"workers={workers!r}: is no number of requests in flight; give 1 or more")
    if rate is not None and not (isinstance(rate, Real) and 0 < float(rate) < math.inf):
        raise SourceError(f"rate={rate!r}: is no number of requests a second; give one above 0, or none")


def _plan(
    regions: Literal["all"] | Iterable[str], *, references: bool | References, role_details: bool, tag_index: bool
) -> Plan:
    named: Literal["all"] | tuple[str, ...] = "all"
    if regions != "all":
        named = tuple(dict.fromkeys([regions] if isinstance(regions, str) else regions))
    asked: References = ("all" if references else "none") if isinstance(references, bool) else references
    if asked != "none" and not named:
        raise SourceError("no region given; name one, or all")
    return Plan(named, asked, role_details, tag_index)


def _asker(session: boto3.Session, plan: Plan, source: str, workers: int = 16, rate: float | None = None) -> Asker:
    from iamframe.sources.client import Asker

    named = plan.regions if plan.regions != "all" else ()
    check_regions(session, named, source)
    return Asker(session, session.region_name or next(iter(named), DEFAULT_REGION), workers, rate)


def _asked(
    session: boto3.Session,
    plan: Plan,
    workers: int,
    rate: float | None,
    source: str,
    journal: str | os.PathLike[str] | None,
    show: Progress,
    member: Member | None = None,
    profile: str | None = None,
    secrets: tuple[str, ...] = (),
    ended: threading.Event | None = None,
) -> list[Answer]:
    from iamframe.sources.account import AccountReader
    from iamframe.sources.journal import Journal
    from iamframe.sources.refusals import Refused

    asker = _asker(session, plan, source, workers, rate)
    asker.journal = Journal(Path(journal)) if journal is not None else None
    asker.ended = ended or asker.ended
    name, account = (member.account_name, member.account_id) if member else (None, None)
    try:
        with _without_collector():
            answers = AccountReader(asker, plan, source, name, account, show).answers()
        if asker.stopped is not None and asker.journal is not None:
            raise ExpiredError(
                f"{source}: the credentials expired after {len(asker.journal):,} answers, which are kept; renew them "
                "and run the same command again, which goes on from there"
            )
    except Refused as refusal:
        # Before the sentence cuts it short: part of an external id would no longer be known for one.
        refusal.message = without(refusal.message, secrets)
        raise first_failure(refusal, source, profile) from refusal.cause
    else:
        return answers
    finally:
        if asker.journal is not None:
            asker.journal.close()


@contextmanager
def _without_collector() -> Iterator[None]:
    """Hold the collector off: of what answers are made nothing is cyclic, and it would walk all of them again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _all_denied(source: str, answers: list[Answer]) -> str:
    # A service control policy can deny even the question who asks.
    account = next((f"account {answer.account_id}" for answer in answers if answer.account_id), "the account")
    reasons = {record.reason for answer in answers for chunk in answer for record in chunk if isinstance(record, Gap)}
    if "expired" in reasons:
        return f"{source}: the credentials expired before anything was read of {account}; renew them and run again"
    return (
        f"{source}: AWS refused all that iamframe asked of {account}; allow what the README's policy names, or "
        "attach AWS's SecurityAudit or ViewOnlyAccess"
    )


def _organization(way: _Way) -> list[Member]:
    from iamframe.sources.refusals import Refused

    source = source_name(way.profile)
    if not way.role_name:
        raise SourceError(
            f"{source}: the accounts of an organisation are read through a role in each; name it with --assume-role "
            "(role_name), such as OrganizationAccountAccessRole"
        )
    try:
        return members_of_organization(_asker(open_session(way.profile), way.plan, source))
    except Refused as refusal:
        if refusal.code == "AWSOrganizationsNotInUseException":
            raise SourceError(
                f"{source}: the account is in no organisation; name a CSV of accounts with --accounts FILE"
            ) from refusal.cause
        if refusal.code.startswith("AccessDenied") and refusal.operation in ("ListAccounts", "GetCallerIdentity"):
            raise SourceError(
                f"{source}: may not list the accounts of the organisation ({refusal.code}); allow "
                "organizations:ListAccounts, ask from the management or a delegated account, or name a CSV of accounts"
            ) from refusal.cause
        raise first_failure(refusal, source, way.profile) from refusal.cause


def _meet(way: _Way) -> None:
    """Get the credentials that assume the roles, once for all accounts: a code of an MFA device serves once."""
    from iamframe.sources.refusals import Refused

    source = source_name(way.profile)
    try:
        _asker(open_session(way.profile), way.plan, source).ask("sts", "GetCallerIdentity")
    except Refused as refusal:
        # Who may not ask who he is may still assume roles.
        if refusal.operation != "GetCallerIdentity" or not refusal.code.startswith("AccessDenied"):
            raise first_failure(refusal, source, way.profile) from refusal.cause


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One account's inventory, and the sentence that says why it has no rows.

    No exception travels: what it was caused by may be of kinds that do not survive the way.
    """

    inventory: Inventory
    sentence: str | None = None
    # Why its journal is worth to go on from.
    kept: Literal["expired", "full"] | None = None


def _all_loaded(members: list[Member], way: _Way, executor: Executor | None, show: Progress) -> list[_Loaded]:
    own = ThreadPoolExecutor(8, thread_name_prefix="iamframe-accounts") if executor is None else None
    ended = threading.Event()
    futures: list[Future[_Loaded]] = []
    try:
        # What travels elsewhere cannot be told there that nobody waits.
        here = replace(way, ended=ended) if own else way
        futures += (_submitted(executor or own, member, here) for member in members)  # type: ignore[arg-type]
        for done, _ in enumerate(as_completed(futures), 1):
            show("accounts", done, len(futures))
        return [_result(future, member, way) for future, member in zip(futures, members, strict=True)]
    except BaseException:
        # Whoever interrupts does not wait for the accounts that are being read.
        ended.set()
        for future in futures:
            future.cancel()
        raise
    finally:
        if own is not None:
            own.shutdown(wait=not ended.is_set(), cancel_futures=True)


def _submitted(executor: Executor, member: Member, way: _Way) -> Future[_Loaded]:
    try:
        return executor.submit(_load_member, member, way)
    except RuntimeError as error:  # An executor whose workers have died takes nothing more.
        failed: Future[_Loaded] = Future()
        failed.set_exception(error)
        return failed


def _result(future: Future[_Loaded], member: Member, way: _Way) -> _Loaded:
    """Return what one account gave; a worker that died costs only the accounts that it had taken."""
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 - executors have exceptions of their own
        secrets = spellings(member.external_id, way.external_id)
        said = without(" ".join(f"{type(error).__name__}: {error}".split()), secrets)[:300].rstrip(": ")
        source = source_name(member.profile or way.profile)
        sentence = f"{source}/{member.account_id}: the worker that read the account ended: {said}"
        return _Loaded(_unread(member, sentence, "unreadable"), sentence)


def _load_member(member: Member, way: _Way) -> _Loaded:
    """Return what one account gives; it runs where the executor says."""
    from iamframe.sources.refusals import Refused

    profile = member.profile or way.profile
    source = f"{source_name(profile)}/{member.account_id}"
    journal = Path(way.journals) / f"{member.account_id}.jsonl" if way.journals else None
    secrets = spellings(member.external_id, way.external_id)
    try:
        session = open_session(profile)
        role = member.role_name or way.role_name
        if role and not member.is_caller:
            try:
                session = assumed(session, member, role, member.external_id or way.external_id)
            except Refused as refusal:
                raise first_failure(refusal, source, profile) from refusal.cause
        answers = _asked(
            session, way.plan, way.workers, way.rate, source, journal, silent, member, profile, secrets, way.ended
        )
        if all(a.state == "refused" for a in answers if a.tally and a.operation != "GetCallerIdentity"):
            raise SourceError(_all_denied(source, answers))
    except IamframeError as error:
        if isinstance(error, StoreError):
            return _Loaded(_unread(member, str(error), "unreadable"), str(error), "full")
        if isinstance(error, ExpiredError):
            return _Loaded(_unread(member, str(error), "expired"), str(error), "expired")
        return _Loaded(_unread(member, str(error), "denied"), str(error))
    inventory = build_inventory(answers, [source])
    details = inventory.gaps["detail"]
    if any(details.str.contains(secret, regex=False).any() for secret in secrets):
        clean = details.map(lambda detail: without(detail, secrets), na_action="ignore").astype(details.dtype)
        inventory = replace(inventory, gaps=inventory.gaps.assign(detail=clean))
    return _Loaded(inventory)


def _unread(member: Member, sentence: str, reason: str) -> Inventory:
    gap = Gap("AssumeRole", ALL, reason, sentence, account_id=member.account_id)
    answer = Answer(
        "denied",
        AWS,
        [[gap], [Account(account_name=member.account_name)]],
        member.account_id,
        source=AWS,
        tally=Tally(),
    )
    return build_inventory([answer], [AWS])
