"""The files of an unfinished snapshot, from which an interrupted load resumes.

An older snapshot in FOLDER stays until the new snapshot is complete. If FOLDER is local, a load from AWS writes these
files into FOLDER/unfinished:

- `asked.json`: the sources and options of the call
- `account.jsonl`: the answers of AWS, if only one account is loaded
- `ID.jsonl`: the answers of AWS for each account of a fleet
- `lock`: a locked file that keeps other processes out while a fleet is loaded
- `new/`: the new snapshot of a fleet, with the accounts that are written so far
- `new/.unfinished/ID.json`: a list of the files of a complete account, in the format of the manifest

If FOLDER is in an object store, the files of the new snapshot are in FOLDER itself, because an object store cannot
rename a folder. Files with AWS's answers (`*.jsonl`) are never written to an object store.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from iamframe.errors import IamframeError, StoreError
from iamframe.inventory.parts import UNDECODABLE, Written, write_manifest, write_parts
from iamframe.inventory.places import Place, cannot_write, names_in, place_of, read_bytes, remove, write_bytes
from iamframe.inventory.schema import FRAMES
from iamframe.inventory.snapshot import (
    HIDDEN,
    NEW,
    NOTED_CALL,
    UNFINISHED,
    move_back,
    names_in_new,
    put_in_place,
    refuse_others,
)
from iamframe.sources.archives import display_path, why
from iamframe.sources.journal import Journal
from iamframe.sources.records import make_decoders

# A resumed load may differ in these options: they do not change the requests. The external id is never written.
_NOT_NOTED = ("external_id", "progress", "workers", "rate")
_THREADS = 16


@contextlib.contextmanager
def unfinished_load(folder: str | os.PathLike[str], sources: list[str], live: Mapping[str, Any]) -> Iterator[Path]:
    unfinished = Path(folder) / UNFINISHED
    try:
        move_back(folder)
        # A folder that cannot hold the snapshot is refused before any request to AWS.
        refuse_others(folder)
        is_resumed = unfinished.exists()
        missing = [parent for parent in (Path(folder), *Path(folder).parents) if not parent.exists()]
    except (OSError, ValueError) as error:
        # A name may be longer than any file system takes.
        name = display_path(folder)[:200]
        raise StoreError(f"{name}: cannot be read ({why(error)}); choose another folder") from error
    try:
        _note_call(unfinished, sources, live, f"delete {display_path(unfinished)}, or choose another folder")
        yield unfinished
    except IamframeError:
        # Without any answer, the folder must not bind the user to the failed call.
        if not is_resumed and not _has_answers(unfinished):
            shutil.rmtree(unfinished, ignore_errors=True)
            for created in missing:
                with contextlib.suppress(OSError):
                    created.rmdir()
        raise


@contextlib.contextmanager
def unfinished_fleet(folder: str | os.PathLike[str], sources: list[str], live: Mapping[str, Any]) -> Iterator[Place]:
    """Yield the folder for the new snapshot. The caller then completes the snapshot with `finish`."""
    place = place_of(folder)
    if isinstance(place, Path):
        # The open file keeps other processes out.
        with unfinished_load(folder, sources, live) as unfinished, contextlib.closing(Journal(unfinished / "lock")):
            new = unfinished / NEW
            write_bytes(new / HIDDEN / NOTED_CALL, read_bytes(unfinished / NOTED_CALL))
            yield new
        return
    is_resumed = HIDDEN in names_in_new(place)
    _note_call(place / HIDDEN, sources, live, "or choose another folder")
    try:
        yield place
    except IamframeError:
        with contextlib.suppress(OSError):
            if not is_resumed and names_in(place / HIDDEN) == [NOTED_CALL]:
                # Before this call, the folder was empty.
                place.filesystem.delete_dir_contents(place.path)
        raise


def write_account(place: Place, account: str, frames: Mapping[str, pd.DataFrame], *, is_complete: bool) -> Written:
    try:
        written = write_parts(frames, place, account)
        if is_complete:
            # A resumed load skips this account.
            write_bytes(_note_of(place, account), msgspec.json.encode(written))
    except OSError as error:
        raise cannot_write(place, error) from error
    return written


def written_accounts(place: Place, accounts: Iterable[str]) -> dict[str, Written]:
    try:
        found = {*names_in(place / HIDDEN)}
        there = [account for account in accounts if f"{account}.json" in found]
        with ThreadPoolExecutor(_THREADS) as threads:
            texts = [*threads.map(lambda account: read_bytes(_note_of(place, account)), there)]
    except OSError as error:
        raise cannot_write(place, error) from error
    complete = {}
    for account, text in zip(there, texts, strict=True):
        # A note that was cut off counts as missing.
        with contextlib.suppress(*UNDECODABLE):
            complete[account] = msgspec.json.decode(text, type=Written)
    return complete


def finish(
    folder: str | os.PathLike[str], place: Place, written: Mapping[str, Written], sources: tuple[str, ...]
) -> None:
    try:
        ordered = [written[account] for account in sorted(written)]
        _remove_stale(place, ordered)
        write_manifest(ordered, sources, place)
        if isinstance(place, Path):
            put_in_place(folder, place)
    except OSError as error:
        raise cannot_write(place, error) from error
    if not isinstance(place, Path):
        # A leftover folder does no harm, because readers skip hidden folders.
        with contextlib.suppress(OSError):
            remove(place / HIDDEN)


def _note_of(place: Place, account: str) -> Place:
    return place / HIDDEN / f"{account}.json"


def _remove_stale(place: Place, written: Iterable[Written]) -> None:
    for name in FRAMES:
        own = {part.folder for one in written if name in one.frames for part in one.frames[name].parts}
        with contextlib.suppress(FileNotFoundError):
            for other in {*names_in(place / name)} - own:
                remove(place / name / other)


def _has_answers(unfinished: Path) -> bool:
    complete = (file for file in (unfinished / NEW / HIDDEN).glob("*.json") if file.name != NOTED_CALL)
    return any(kept.stat().st_size for kept in (*unfinished.glob("*.jsonl"), *complete))


def _note_call(unfinished: Place, sources: list[str], live: Mapping[str, Any], way_out: str) -> None:
    options = {name: value for name, value in live.items() if name not in _NOT_NOTED}
    call = msgspec.json.encode({"sources": sources, "options": options}, enc_hook=str, order="sorted")
    note = unfinished / NOTED_CALL
    try:
        try:
            noted = read_bytes(note)
            msgspec.json.decode(noted)
        except (FileNotFoundError, *UNDECODABLE):
            # A note that was cut off can be replaced, because the answers in a journal show their account.
            write_bytes(note, call)
            return
    except OSError as error:
        raise StoreError(
            f"{display_path(unfinished)}: cannot be written ({why(error)}); choose another folder"
        ) from error
    # The answers of two loads must not be mixed.
    if noted != call:
        raise StoreError(
            f"{display_path(os.path.dirname(unfinished))}: holds an unfinished snapshot of other sources or options; "  # noqa: PTH120
            f"finish it with the same command, {way_out}"
        )


make_decoders([Written])
