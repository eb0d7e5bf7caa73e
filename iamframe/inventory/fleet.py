"""Load many live accounts into one `Inventory`, each with an assumed role or an AWS CLI profile."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from iamframe.errors import ExpiredError, IamframeError, SourceError, StoreError
from iamframe.inventory.build import build_inventory, joined
from iamframe.inventory.gaps import with_details
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.live import LoadOptions, load_plan, open_client, read_answers
from iamframe.inventory.on_demand import InventoryOnDemand
from iamframe.inventory.parts import Written
from iamframe.inventory.places import place_of
from iamframe.inventory.unfinished import finish, unfinished_fleet, write_account, written_accounts
from iamframe.knowledge.operations import ACCOUNT_LIST, ALL, ASSUME_ROLE, IDENTITY
from iamframe.messages.render import changed_facts
from iamframe.sources.members import ORGANIZATION, Member, assume_role, members_of_organization, read_members, redacted
from iamframe.sources.progress import Progress, progress_bars, silent
from iamframe.sources.records import Account, Answer, CallStats, Gap, References
from iamframe.sources.refusals import RequestFailed
from iamframe.sources.sessions import first_failure, open_session, refused, source_name

if TYPE_CHECKING:
    import boto3


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
    out: str | os.PathLike[str] | None = None,
) -> Inventory:
    """Load several live accounts, each with an assumed role or an AWS CLI profile.

    If an account cannot be read, the other accounts are still loaded. The frame `gaps` shows why the account could not
    be read. The frame `accounts` also contains the accounts that could not be read.

    If `out` is given, each account is saved immediately after it is read. A saved account is no longer in memory. After
    an interruption, the same call loads only the missing and failed accounts. On a local disk, an older snapshot stays
    until the new snapshot is complete.

    Parameters
    ----------
    accounts
        A CSV file, a DataFrame, or an iterable of account ids or dictionaries. The columns are `account_id` and
        `account_name`. If the role, external id or AWS CLI profile differs between accounts, the file or DataFrame
        needs the column `role_name`, `external_id` or `profile`. `"org"` stands for all accounts of the caller's
        organisation (Organizations ListAccounts). An account that is not active is not read; the frame `gaps` shows it.
    role_name
        Name of the role to assume in each account, including the role's path. If neither `role_name` nor `accounts`
        names a role for an account, iamframe uses the credentials of the AWS CLI profile (see `profile`) directly.
    external_id
        External id that the roles require. The external id is never written to a file.
    profile
        The AWS CLI profile whose credentials are used, unless an account has one of its own. By default, iamframe uses
        the default credentials of boto3.
    executor
        Any `concurrent.futures.Executor`, such as Dask's `client.get_executor(pure=False)`. The default executor has
        eight threads. The executor receives the ids and names of accounts, roles and AWS CLI profiles, but never an
        access key.
    workers
        The number of requests per account that run at the same time.
    journals
        The folder for journals: files with AWS's answers, one per account, from which an interrupted load resumes. If
        `out` is a local folder, the default is a folder in `out`. Otherwise, iamframe writes no journals by default.
        If `out` is given, a journal is deleted once its account is saved.
    out
        The snapshot's folder, local or in an object store (`s3://BUCKET/FOLDER`). A local folder must be on a disk
        that all workers of the executor share. Do not put access keys of an object store into the address `out`: the
        executor would receive the keys, too.

    See `load_account` for the other parameters.

    Returns
    -------
    Inventory
        If `out` is given, frames are read from the snapshot when first used. If a frame is larger than memory, read
        only some accounts with `open_snapshot(out, accounts)`, or use `iter_snapshot` or `check_snapshot`.

    Raises
    ------
    SourceError
        If the accounts cannot be listed, if no account could be read, or if an option is invalid.
    ExpiredError
        If the credentials expired, and `journals` or `out` is given. To resume the load, make the same call again.
    StoreError
        If the disk with the journals is full, if `out` cannot be written, if `out` already contains other files or
        another load, or if `out` is in an object store and already contains a snapshot.
    """
    plan = load_plan(regions, references, role_details, tag_index, workers, rate)
    folder = os.fspath(journals) if journals else None
    options = LoadOptions(plan, workers, rate, role_name, external_id, profile, folder)
    # `_save_fleet` reads the accounts twice, and an iterator can be read only once.
    given = [*accounts] if isinstance(accounts, Iterator) else accounts
    with progress_bars(progress) as show:
        if out is not None:
            _save_fleet(out, given, options, executor, show)
            return InventoryOnDemand.of(out)
        members = _members(given, options, executor)
        loaded = _load_all(members, options, executor, show)
    if journals:
        # Raise the error instead of adding a gap: the same call can resume from the journals.
        _raise_resumable(loaded)
    _refuse_unread(loaded, members)
    return joined([one.inventory for one in loaded if one.inventory], [source_name(profile)])


def _save_fleet(
    out: str | os.PathLike[str], accounts: Any, options: LoadOptions, executor: Executor | None, show: Progress
) -> None:
    source = source_name(options.profile)
    noted = os.fspath(accounts) if isinstance(accounts, (str, os.PathLike)) else _ids(read_members(accounts))
    call = asdict(options.plan) | {"accounts": noted, "role_name": options.role_name}
    with unfinished_fleet(out, [source], call) as place:
        members = _members(accounts, options, executor)
        written = written_accounts(place, _ids(member for member in members if member.is_active))
        options = replace(options, out=os.fspath(out))
        if isinstance(place, Path):
            new = place.resolve()
            options = replace(options, out=str(new), journals=options.journals or str(new.parent))
        rest = [member for member in members if member.account_id not in written]
        loaded = _load_all(rest, options, executor, show)
        if executor is None:
            loaded = _with_expired_reloaded(rest, loaded, options, show)
        _raise_resumable(loaded)
        if not written:
            _refuse_unread(loaded, members)
        written |= {member.account_id: one.written for member, one in zip(rest, loaded, strict=True) if one.written}
    finish(out, place, written, (source,))


def _ids(members: Iterable[Member]) -> list[str]:
    return [member.account_id for member in members]


def _members(accounts: Any, options: LoadOptions, executor: Executor | None) -> list[Member]:
    # `==` would compare a DataFrame cell by cell.
    if isinstance(accounts, str) and accounts == ORGANIZATION:
        return _organization(options)
    members = read_members(accounts)
    # Remote workers may hold other credentials.
    if executor is None and not all(member.profile for member in members):
        try:
            _prime_credentials(options)
        except SourceError:
            # Accounts with a profile of their own still load; each of the others reports the error.
            if not any(member.profile for member in members):
                raise
    return members


def _organization(options: LoadOptions) -> list[Member]:
    source = source_name(options.profile)
    if not options.role_name:
        raise SourceError(
            f"{source}: iamframe assumes a role in each account of an organization except your own; give the role's "
            "name, for example `--assume-role OrganizationAccountAccessRole` (in Python, `role_name=`)"
        )
    try:
        return members_of_organization(open_client(open_session(options.profile), options, source))
    except RequestFailed as refusal:
        if refusal.code == "AWSOrganizationsNotInUseException":
            raise SourceError(
                f"{source}: the account is in no organization; give a CSV of accounts with --accounts FILE"
            ) from refusal.cause
        if refusal.code.startswith("AccessDenied") and refusal.operation in (ACCOUNT_LIST, IDENTITY):
            raise SourceError(
                f"{source}: the accounts of the organization cannot be listed ({refusal.code}); allow "
                "organizations:ListAccounts, use the management account or a delegated one, or give a CSV of accounts"
            ) from refusal.cause
        raise first_failure(refusal, source, options.profile) from refusal.cause


def _prime_credentials(options: LoadOptions) -> None:
    """Request the credentials of `options.profile` only once, because an MFA code works only once."""
    source = source_name(options.profile)
    try:
        open_client(open_session(options.profile), options, source).call("sts", IDENTITY)
    except RequestFailed as refusal:
        # A caller without GetCallerIdentity may still assume roles.
        if refusal.operation != IDENTITY or not refusal.code.startswith("AccessDenied"):
            raise first_failure(refusal, source, options.profile) from refusal.cause


# The errors after which a load can resume from its journal, and the reason of the gap.
_RESUMABLE: dict[type[IamframeError], str] = {StoreError: "unreadable", ExpiredError: "expired"}
# The other reasons by the id of the error's message. No permission would help after any other error.
_REASONS = {
    "access.role": "denied",
    "access.all_denied": "denied",
    "access.all_denied_explicitly": "denied",
    "access.expired_before": "expired",
}


@dataclass(frozen=True, slots=True)
class _LoadResult:
    inventory: Inventory | None
    # The error as text, because an exception can lose its cause on the way to another process.
    sentence: str | None = None
    # One of `_RESUMABLE`.
    resumable: type[IamframeError] | None = None
    written: Written | None = None


def _raise_resumable(loaded: Iterable[_LoadResult]) -> None:
    for one in loaded:
        if one.resumable is not None:
            raise one.resumable(one.sentence)


def _refuse_unread(loaded: Iterable[_LoadResult], members: Iterable[Member]) -> None:
    count = sum(member.is_active for member in members)
    failed = [one.sentence for one in loaded if one.sentence is not None]
    if len(failed) == count:
        first = f"; the first: {failed[0]}" if failed else ""
        raise SourceError(f"none of the {count:,} account{'' if count == 1 else 's'} could be read{first}")


def _with_expired_reloaded(
    members: list[Member], loaded: list[_LoadResult], options: LoadOptions, show: Progress
) -> list[_LoadResult]:
    expired = {one.account_id: at for at, one in enumerate(members) if loaded[at].resumable is ExpiredError}
    again = [members[at] for at in expired.values()]
    try:
        for profile in {member.profile or options.profile for member in again}:
            _prime_credentials(replace(options, profile=profile))
    except SourceError as error:
        raise ExpiredError(loaded[next(iter(expired.values()))].sentence) from error
    results = list(loaded)
    for at, one in zip(expired.values(), _load_all(again, options, None, show), strict=True):
        results[at] = one
    return results


def _load_all(
    members: list[Member], options: LoadOptions, executor: Executor | None, show: Progress
) -> list[_LoadResult]:
    own = ThreadPoolExecutor(8, thread_name_prefix="iamframe-accounts") if executor is None else None
    ended = threading.Event()
    # The event cannot be sent to remote workers.
    sent = replace(options, ended=ended) if own else options
    futures: list[Future[_LoadResult]] = []
    try:
        futures += (_submitted(executor or own, member, sent) for member in members)  # type: ignore[arg-type]
        for done, future in enumerate(as_completed(futures), 1):
            show("accounts", done, len(futures))
            if not future.cancelled() and isinstance(error := future.exception(), StoreError):
                # The snapshot cannot be written. Wait until no worker writes, so that the same call can follow at once.
                ended.set()
                wait([one for one in futures if not one.cancel()])
                raise error
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


def _submitted(executor: Executor, member: Member, options: LoadOptions) -> Future[_LoadResult]:
    try:
        return executor.submit(_load_member, member, options)
    except RuntimeError as error:  # An executor whose workers have died accepts nothing more.
        failed: Future[_LoadResult] = Future()
        failed.set_exception(error)
        return failed


def _result(future: Future[_LoadResult], member: Member, options: LoadOptions) -> _LoadResult:
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 - executors have exceptions of their own
        text = redacted(" ".join(f"{type(error).__name__}: {error}".split()), options.secrets(member))
        source = f"{source_name(member.profile or options.profile)}/{member.account_id}"
        ended = refused(SourceError, source, "access.worker_ended", said=text[:300].rstrip(": "))
        return _written(_failed(member, ended, "unreadable"), member, options)


def _load_member(member: Member, options: LoadOptions) -> _LoadResult:
    if not member.is_active:
        facts = {"account": member.account_id, "status": member.status}
        unread = _unread_account(member, "not_asked", "gaps.account.inactive", **facts)
        return _written(_LoadResult(unread), member, options)
    journal = Path(options.journals) / f"{member.account_id}.jsonl" if options.journals else None
    result = _written(_read_member(member, options, journal), member, options)
    if journal is not None and result.written and result.sentence is None:
        # The account need not be read again.
        journal.unlink(missing_ok=True)
    return result


def _written(result: _LoadResult, member: Member, options: LoadOptions) -> _LoadResult:
    is_ended = options.ended is not None and options.ended.is_set()
    if options.out is None or result.inventory is None or result.resumable is StoreError or is_ended:
        return result
    is_complete = result.sentence is None and member.is_active
    frames = result.inventory.frames
    written = write_account(place_of(options.out), member.account_id, frames, is_complete=is_complete)
    return replace(result, inventory=None, written=written)


def _read_member(member: Member, options: LoadOptions, journal: Path | None) -> _LoadResult:
    profile = member.profile or options.profile
    source = f"{source_name(profile)}/{member.account_id}"
    try:
        answers = read_answers(_session(member, options, source), options, source, journal, silent, member)
    except IamframeError as error:
        return _failed(member, error, _reason_of(error))
    inventory = build_inventory(answers, [source])
    if secrets := options.secrets(member):
        change = partial(redacted, secrets=secrets)
        facts = inventory.gaps["facts"].map(lambda facts: changed_facts(facts, change)).astype("str")
        inventory = replace(inventory, gaps=with_details(inventory.gaps.assign(facts=facts)))
    return _LoadResult(inventory)


def _reason_of(error: IamframeError) -> str:
    why = (getattr(error, "message", None) or {}).get("why", {})
    return _RESUMABLE.get(type(error)) or _REASONS.get(why.get("message"), "unreadable")


def _session(member: Member, options: LoadOptions, source: str) -> boto3.Session:
    profile = member.profile or options.profile
    session = open_session(profile)
    role = member.role_name or options.role_name
    if not role or member.is_caller:
        return session
    try:
        external_id = member.external_id or options.external_id
        return assume_role(session, member, role, external_id, options.region)
    except RequestFailed as refusal:
        raise first_failure(refusal, source, profile) from refusal.cause


def _failed(member: Member, error: IamframeError, reason: str) -> _LoadResult:
    why = getattr(error, "message", None) or str(error)
    unread = _unread_account(member, reason, "gaps.account.failed", why=why)
    return _LoadResult(unread, str(error), type(error) if type(error) in _RESUMABLE else None)


def _unread_account(member: Member, reason: str, message: str, **facts: Any) -> Inventory:
    gap = Gap(ASSUME_ROLE, ALL, reason, message, facts, account_id=member.account_id)
    chunks: list[list[Any]] = [[gap], [Account(account_name=member.account_name)]]
    answer = Answer("denied", "aws", chunks, member.account_id, source="aws", tally=CallStats())
    return build_inventory([answer], ["aws"])
