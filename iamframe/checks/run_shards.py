"""Check the accounts of a snapshot in groups, called shards, on any executor.

Each worker of the executor holds only one shard in memory.
"""

from __future__ import annotations

import hashlib
import inspect
import marshal
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from iamframe.checks.catalog import CHECKS, Own, each_own, with_own
from iamframe.checks.owner import OWNER_TAG
from iamframe.checks.registry import Check
from iamframe.checks.result import Result
from iamframe.checks.runner import run as run_here
from iamframe.checks.runner import selected
from iamframe.checks.shards import CheckedSnapshot, Run, Shard, Stored, inventory_of, shards_of, unread, write_result
from iamframe.checks.tag_policy import Policy, PolicySource, read_policy
from iamframe.errors import CheckError, IamframeError, PolicyError, SourceError, StoreError, require, require_paths
from iamframe.inventory.arrow import is_in
from iamframe.inventory.load import open_snapshot
from iamframe.inventory.places import is_address, place_of
from iamframe.inventory.snapshot import find_snapshot
from iamframe.sources.archives import display_path
from iamframe.sources.progress import Progress, progress_bars
from iamframe.version import __version__

# A process that checks a shard of this size needs about 400 MB.
ROLES_PER_SHARD = 25_000
_TRIES = 2
# These errors concern all shards, so they end the call.
_FOR_ALL = (CheckError, PolicyError, StoreError)


@dataclass(frozen=True)
class _Work:
    folder: str
    out: str
    # The checksum of the manifest.
    snapshot: str
    only: tuple[str, ...]
    policy: Policy
    own: tuple[Own, ...]
    owner_tag: str


def check_snapshot(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    only: Iterable[str] | None = None,
    policy: PolicySource = None,
    checks: Own | Iterable[Own] | None = None,
    owner_tag: str = OWNER_TAG,
    executor: Executor | None = None,
    workers: int | None = None,
    shard_size: int = ROLES_PER_SHARD,
    progress: bool | Progress | None = None,
) -> Result:
    """Run the checks on a snapshot, in groups of accounts.

    Requests go to AWS only if `folder` or `out` is in S3. For the built-in checks, `run_checks(open_snapshot(folder))`
    gives the same findings, but holds all accounts in memory. Your own checks see only one shard's accounts (and the
    data to which these refer) at a time, so a check that compares accounts of different shards can find less. If a
    worker dies, its shard (a group of accounts) is checked once more. If a shard fails twice, the frame `coverage`
    shows its accounts as `unknown`. An account that cannot be read is shown as `unknown`, too. If an account could not
    be read or checked, `result.inventory.gaps` shows the reason.  Call `check_snapshot` again with the same arguments
    to resume an interrupted run. A repeated call also retries accounts that could not be read or checked.

    Parameters
    ----------
    folder
        A snapshot: a folder on a disk, or an address such as `s3://BUCKET/FOLDER`.
    out
        A folder for the results, on a disk or in an object store. Each shard writes a Parquet file into each of the
        folders `findings/`, `coverage/` and `checks/CHECK/`.
    only, policy, checks, owner_tag
        As in `run_checks`.
    executor
        Any `concurrent.futures.Executor`, such as Dask's `client.get_executor(pure=False)`. The workers must be able to
        read `folder`, and the Python files that you pass as `checks`. The workers must also be able to write `out`. The
        default is one process per processor.
    workers
        The number of processes, if no executor is given.
    shard_size
        The maximum number of roles in a shard, and also of profiles. An account is never divided: an account with more
        is a shard of its own.
    progress
        Whether to show progress. The default is True in a terminal or notebook.

    Returns
    -------
    Result
        The result reads each frame when the frame is first used. `write_report`, `plan` and `explain` read one shard at
        a time.

    Raises
    ------
    StoreError
        If the snapshot cannot be read, or is replaced during the run; if `out` cannot be written, is not shared by all
        workers, or contains anything but results of a call with the same arguments; if `shard_size` is below 1; or if
        the executor accepts no more work.
    UnknownCheckError, PolicyError, CheckError
        As in `run_checks`.
    """
    require_paths("check_snapshot", folder, out)
    require("owner_tag=…", owner_tag, str, instead="the key of a tag")
    own = tuple(_absolute(one) if isinstance(one, (str, os.PathLike)) else one for one in each_own(checks))
    every, tag_rules = with_own(own), read_policy(policy)
    names = selected(only, every)
    if not os.fspath(out):
        raise StoreError("out is empty; give a folder for the results")
    if shard_size < 1:
        raise StoreError(f"shard_size={shard_size}: give a number of roles above 0")
    place, manifest = find_snapshot(folder)
    run = Run(
        snapshot=manifest.sha256,
        policy=_checksum(repr(tag_rules)),
        checks=_checksum(repr([(name, _own_code(every[name])) for name in names])),
        owner_tag=owner_tag,
        iamframe_version=__version__,
        shards=shards_of(place, manifest, shard_size),
    )
    work = _Work(_absolute(folder), _absolute(out), manifest.sha256, names, tag_rules, own, owner_tag)
    results = place_of(work.out)
    run.begin(results)
    checked = {name: every[name] for name in names}
    done = {one.number for one in run.done_in(results) if not one.failures}
    rest = [shard for shard in run.shards if shard.number not in done]
    with progress_bars(progress) as show:
        for shard, why in _run_all(work, rest, executor, workers, show):
            failures = dict.fromkeys(shard.accounts, why)
            write_result(results, shard.number, run_here(unread(failures), names, tag_rules, every), failures)
    stored = Stored(results, run.done_in(results))
    if len(stored.done) < len(run.shards):
        raise StoreError(f"{display_path(out)}: lacks results that workers wrote; give a folder that all workers share")
    failures, accounts = stored.failures, sum(len(shard.accounts) for shard in run.shards)
    if accounts and len(failures) == accounts:
        raise StoreError(f"no account could be checked; the first: {next(iter(failures.values()))}")
    return CheckedSnapshot.of(work.folder, stored, run.shards, checks=checked, policy=tag_rules, owner_tag=owner_tag)


def _absolute(folder: str | os.PathLike[str]) -> str:
    return os.fspath(folder) if is_address(folder) else os.path.abspath(folder)  # noqa: PTH100


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _own_code(check: Check) -> str:
    if check.name in CHECKS:
        return ""  # The version of iamframe identifies this code.
    try:
        # The function may use constants and helpers of its file.
        return Path(check.rule.__code__.co_filename).read_text("utf-8", "replace")
    except OSError:
        pass
    try:
        return inspect.getsource(check.rule)
    except OSError:
        # The function was not defined in a file. `co_code` alone would leave out its constants.
        return f"{marshal.dumps(check.rule.__code__).hex()} {check.rule.__kwdefaults__}"


def _check_shard(work: _Work, shard: Shard) -> None:
    place, manifest = find_snapshot(work.folder)
    if manifest.sha256 != work.snapshot:
        raise StoreError(f"{display_path(work.folder)}: was replaced while it was checked; check it again")
    failures: dict[str, str] = {}
    try:
        inventory = inventory_of(work.folder, place, manifest, shard)
    except StoreError as error:
        failures = _unreadable(work.folder, shard)
        if not failures or failures.keys() >= {*shard.accounts}:
            raise SourceError(_without_path(error, work.folder)) from error
        inventory = inventory_of(work.folder, place, manifest, shard, failures)
    result = run_here(inventory, work.only, work.policy, with_own(work.own), work.owner_tag)
    own = {account: failures[account] for account in shard.accounts if account in failures}
    write_result(place_of(work.out), shard.number, _of_accounts(result, shard.accounts), own)


def _unreadable(folder: str, shard: Shard) -> dict[str, str]:
    failures = {}
    for account in (*shard.accounts, *shard.uses):
        try:
            open_snapshot(folder, [account])
        except StoreError as error:
            failures[account] = _without_path(error, folder)
    return failures


def _without_path(error: StoreError, folder: str) -> str:
    # The folder's path may be private.
    return str(error).replace(display_path(folder), os.path.basename(folder))  # noqa: PTH119 - it may be an address


def _of_accounts(result: Result, accounts: Iterable[str]) -> Result:
    own = pa.array(accounts, pa.string())
    found = {name: one.only(is_in(one.table["account_id"], own)) for name, one in result.found.items()}
    coverage = result.coverage[is_in(result.coverage["account_id"], own)].reset_index(drop=True)
    return replace(result, found=found, coverage=coverage)


def _run_all(
    work: _Work, shards: list[Shard], executor: Executor | None, workers: int | None, show: Progress
) -> Iterator[tuple[Shard, str]]:
    """Yield each shard that failed twice, with the reason."""
    processes = Processes(max(min(workers or os.cpu_count() or 1, len(shards)), 1))
    chosen = processes if executor is None else executor
    waiting: dict[Future[None], Shard] = {}
    tried: Counter[int] = Counter()
    try:
        waiting |= {_submit(chosen, work, shard): shard for shard in shards}
        while waiting:
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                shard = waiting.pop(future)
                tried[shard.number] += 1
                error = future.exception()
                if isinstance(error, _FOR_ALL):
                    raise error
                if error is not None and tried[shard.number] < _TRIES:
                    waiting[_submit(chosen, work, shard)] = shard
                    continue
                if error is not None:
                    yield shard, _why(error)
                show("shards", len(shards) - len({*waiting.values()}), len(shards))
    finally:
        for future in waiting:
            future.cancel()
        processes.shutdown(wait=not waiting, cancel_futures=True)


def _why(error: BaseException) -> str:
    if isinstance(error, BrokenExecutor):
        return "the process that checked it ended abruptly, perhaps because it had too little memory; check it again"
    text = " ".join(str(error).split())
    return text if isinstance(error, IamframeError) else f"{type(error).__name__}: {text}".rstrip(": ")


def _submit(executor: Executor, work: _Work, shard: Shard) -> Future[None]:
    try:
        return executor.submit(_check_shard, work, shard)
    except RuntimeError as error:
        raise StoreError(
            f"the executor accepts no more work ({error}); call check_snapshot again with a new executor: it resumes "
            "where it stopped"
        ) from error


class Processes(Executor):
    # Each process is a pool of one process. In a larger pool, one dead process makes all waiting calls fail.

    def __init__(self, workers: int) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="iamframe-processes")
        self._own = threading.local()
        self._pools: list[Any] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._threads.submit(self._call, fn, *args, **kwargs)

    def _call(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        # Processes of `concurrent.futures` would run the user's script again.
        # Processes of `concurrent.futures` also accept no functions from a notebook.
        from loky.process_executor import ProcessPoolExecutor

        pool = getattr(self._own, "pool", None)
        if pool is None:
            pool = self._own.pool = ProcessPoolExecutor(1, timeout=None)
            self._pools.append(pool)
        try:
            return pool.submit(fn, *args, **kwargs).result()
        except BrokenExecutor:
            self._own.pool = None
            raise

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for pool in self._pools:
            if not wait:
                pool.shutdown(wait=False, kill_workers=True)
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        for pool in self._pools:
            pool.shutdown(wait=wait)
