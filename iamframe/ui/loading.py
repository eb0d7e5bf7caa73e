"""Load the given sources and run the checks, in one process, in several processes, or on Dask."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from iamframe.errors import SourceError, optional
from iamframe.ui import options as given

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from iamframe.checks import Result
    from iamframe.inventory.inventory import Inventory


def progress_options(*sources: str, **live: Any) -> dict[str, Any]:
    from iamframe.inventory.load import is_live

    meta = click.get_current_context().meta
    is_silent = meta.get(given.QUIET) or meta.get(given.VERBOSE)
    return live | ({"progress": False} if is_silent and any(map(is_live, sources)) else {})


def load_sources(*sources: str, **live: Any) -> Inventory:
    from iamframe.inventory.load import load

    return load(*sources, **progress_options(*sources, **live))


def load_old_and_new(old: str, new: tuple[str, ...], live: dict[str, Any]) -> tuple[Inventory, Inventory]:
    from iamframe.inventory.load import is_live

    was = load_sources(old, **(live if is_live(old) else {}))
    # If neither source is live, `load` refuses the options.
    now = load_sources(*new, **({} if is_live(old) and not is_live(new[0]) else live))
    accounts = [one.accounts["account_id"].tolist() for one in (was, now)]
    if not set(accounts[0]) & set(accounts[1]):
        from iamframe.sources.archives import display_path

        before, after = (", ".join(ids[:3]) + " …" * (len(ids) > 3) or "no account" for ids in accounts)
        raise SourceError(
            f"nothing can be compared: {display_path(old)} has {before}, and {' '.join(map(display_path, new))} has "
            f"{after}; give two loads of the same account"
        )
    return was, now


@contextmanager
def checked(
    sources: tuple[str, ...], live: dict[str, Any], shards: dict[str, Any], older: str | None = None, **judged: Any
) -> Iterator[tuple[Inventory | None, Result]]:
    from iamframe.inventory.inventory import SAMPLES
    from iamframe.inventory.load import is_live

    results, dask = shards.get("results"), shards.get("dask")
    if shards.keys() <= {"results"}:
        if results:
            raise click.UsageError("--results needs --workers or --dask")
        from iamframe.checks import run_checks

        old, inventory = load_old_and_new(older, sources, live) if older else (None, load_sources(*sources, **live))
        yield old, run_checks(inventory, **judged)
        return
    if older:
        raise click.UsageError("--compare does not work with --workers or --dask")
    if len(shards.keys() - {"results"}) > 1:
        raise click.UsageError("give --workers or --dask, not both")
    if live or len(sources) != 1 or sources[0] in SAMPLES or is_live(sources[0]):
        names = ", ".join(f"`{source}`" for source in sources) or "the sample"
        raise click.UsageError(
            f"--workers and --dask work only with one snapshot, not with {names}; to save a "
            "snapshot, run `iamframe snapshot SOURCE --out DIR`"
        )
    from iamframe.checks.run_shards import check_snapshot

    meta = click.get_current_context().meta
    with ExitStack() as opened:
        out = results or opened.enter_context(tempfile.TemporaryDirectory(prefix="iamframe-"))
        executor = opened.enter_context(_cluster(dask)) if dask else None
        progress = False if meta.get(given.QUIET) or meta.get(given.VERBOSE) else None
        how: dict[str, Any] = {"executor": executor, "workers": shards.get("workers"), "progress": progress}
        yield None, check_snapshot(sources[0], out, **how, **judged)


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    distributed = optional("distributed", "fleet")
    try:
        client = distributed.Client(address, timeout=10)
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split())
        raise SourceError(f"--dask {address}: no Dask scheduler answers there ({why}); check the address") from error
    with client:
        yield client.get_executor(pure=False)
