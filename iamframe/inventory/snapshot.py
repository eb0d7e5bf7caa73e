"""Save and open snapshots: folders with the frames as Parquet files.

A snapshot is either complete or absent. If FOLDER is local, these folders exist beside FOLDER during a save:

- `.FOLDER.iamframe-new-…`: the new snapshot
- `.FOLDER.iamframe-old`: the old snapshot

When the new snapshot is complete, the old snapshot is renamed to .FOLDER.iamframe-old, and then the new snapshot is
renamed to FOLDER. Between the two renames, `read_snapshot` opens .FOLDER.iamframe-old.

An object store cannot rename a folder. In an object store, the manifest is written last, and completes the snapshot.
"""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import pandas as pd

from iamframe.errors import StoreError
from iamframe.inventory.arrow import on_two_cores
from iamframe.inventory.parts import (
    Manifest,
    account_sizes,
    head_of,
    manifest_text,
    read_frame,
    read_manifest,
    write_manifest,
    write_parts,
)
from iamframe.inventory.places import Place, RemoteFolder, cannot_write, is_address, names_in, place_of
from iamframe.inventory.schema import FRAMES
from iamframe.sources.archives import MANIFEST, display_path, why

# `unfinished` keeps the answers of a live load until the snapshot is complete. `unfinished/new` has the new snapshot of
# a fleet.
UNFINISHED, NEW = "unfinished", "new"
# The folder in an unfinished snapshot of a fleet that lists its complete accounts. Other readers skip hidden folders.
HIDDEN = ".unfinished"
# The file with the call: its sources and options.
NOTED_CALL = "asked.json"
_ABANDONED_SECONDS = 24 * 3600
# While another process saves one snapshot after another, about every second try to read it fails.
_TRIES = 20


def is_snapshot(folder: str | os.PathLike[str]) -> bool:
    """Return True for a snapshot of any version, even if damaged, and for a folder with an interrupted load."""
    # iamframe reads nothing but snapshots from object stores.
    if is_address(folder):
        return True
    try:
        place = _readable(Path(folder))
        has_parts = any((place / "accounts").glob("account=*"))
        return has_parts or head_of(manifest_text(place)) is not None or (place / UNFINISHED / NOTED_CALL).is_file()
    except (OSError, ValueError):
        return False


def write_snapshot(
    frames: Mapping[str, pd.DataFrame], sources: tuple[str, ...], folder: str | os.PathLike[str]
) -> Path | str:
    if isinstance(folder, str) and is_address(folder):
        _write_remote(frames, sources, place_of(folder))
        return folder
    try:
        # A link to a folder stays a link; its target is replaced.
        place = Path(folder).resolve()
    except (OSError, ValueError) as error:
        raise StoreError(f"{display_path(folder)[:200]}: is not a folder name ({error}); choose another one") from error
    new = _name_new(place)
    try:
        refuse_others(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(place)
        new.mkdir()
        write_manifest([write_parts(frames, new)], sources, new)
        _replace(place, new)
    except OSError as error:
        raise StoreError(
            f"{display_path(folder)}: cannot be written ({why(error)}), and its old content is unchanged; "
            "choose another folder"
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return Path(folder)


def _write_remote(frames: Mapping[str, pd.DataFrame], sources: tuple[str, ...], place: Place) -> None:
    if HIDDEN in names_in_new(place):
        raise StoreError(f"{display_path(place)}: holds an unfinished snapshot; choose another folder, or delete it")
    try:
        write_manifest([write_parts(frames, place)], sources, place)
    except OSError as error:
        raise cannot_write(place, error) from error


def refuse_to_replace(place: Place) -> None:
    if manifest_text(place) is not None:
        raise StoreError(
            f"{display_path(place)}: already holds a snapshot, which an object store cannot replace in one step; "
            "choose another folder, or delete it first"
        )


def names_in_new(place: Place) -> list[str]:
    """Return the names of the files in an object store's folder; raise StoreError if the folder has a snapshot."""
    refuse_to_replace(place)
    try:
        names = names_in(place)
    except OSError as error:
        raise cannot_write(place, error) from error
    if any(names) and HIDDEN not in names:
        raise StoreError(f"{display_path(place)}: is not empty and holds no snapshot; choose another folder")
    return names


def put_in_place(folder: str | os.PathLike[str], written: Path) -> None:
    """If the new or old folder cannot be moved, raise OSError, and leave both unchanged."""
    place = Path(folder).resolve()
    new = _name_new(place)
    written.rename(new)
    try:
        _replace(place, new)
    except OSError:
        with suppress(OSError):
            new.rename(written)
        raise
    shutil.rmtree(place / HIDDEN, ignore_errors=True)


def read_snapshot(
    folder: str | os.PathLike[str], accounts: Iterable[str] | None = None
) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    # A number, as from a CSV file, has lost its leading zeros.
    chosen = None if accounts is None else {one if isinstance(one, str) else str(one).zfill(12) for one in accounts}
    for _ in range(_TRIES):
        place = _located(folder)
        text = manifest_text(place)
        try:
            manifest = _manifest_of(folder, place, text)
            known = account_sizes(manifest) if chosen else {}
            if chosen and (unknown := chosen - known.keys()):
                some = ", ".join([*known][:3]) + (" …" if len(known) > 3 else "")
                raise StoreError(f"{display_path(folder)}: has no account {min(unknown)}; it has {some or 'none'}")
            # Checksums keep files of two snapshots apart.
            reads = (partial(read_frame, place, manifest, name, chosen) for name in FRAMES)
            frames = on_two_cores(manifest.frames["tags"].rows, *reads)
            return dict(zip(FRAMES, frames, strict=True)), manifest.sources
        except StoreError:
            # Another process may be replacing the folder, or may have replaced it: then nothing is damaged.
            if isinstance(place, RemoteFolder) or (_located(folder) == place and manifest_text(place) == text):
                raise
    raise StoreError(f"{display_path(folder)}: is being replaced repeatedly; open it later")


def find_snapshot(folder: str | os.PathLike[str]) -> tuple[Place, Manifest]:
    place = _located(folder)
    return place, _manifest_of(folder, place, manifest_text(place))


def _located(folder: str | os.PathLike[str]) -> Place:
    place = place_of(folder)
    return _readable(place) if isinstance(place, Path) else place


def _manifest_of(folder: str | os.PathLike[str], place: Place, text: bytes | None) -> Manifest:
    if text is None and isinstance(place, Path) and (place / UNFINISHED).is_dir():
        raise StoreError(
            f"{display_path(folder)}: is an unfinished snapshot; run the same `iamframe snapshot` command again"
        )
    return read_manifest(place, text)


def _old(place: Path) -> Path:
    return place.with_name(f".{place.name}.iamframe-old")


def _name_new(place: Path) -> Path:
    return place.with_name(f".{place.name}.iamframe-new-{secrets.token_hex(4)}")


def _new(place: Path) -> Iterator[Path]:
    return place.parent.glob(f".{glob.escape(place.name)}.iamframe-new-*")


def _has_content(place: Path) -> bool:
    try:
        return (place / MANIFEST).exists() or (place / UNFINISHED).is_dir()
    except OSError:
        return False


def _readable(place: Path) -> Path:
    try:
        # After an interrupted save, the old snapshot is still in this folder.
        old = _old(place.resolve())
        if (old / MANIFEST).exists():
            return place if (place / MANIFEST).exists() else old
        return place if place.exists() or not _has_content(old) else old
    except (OSError, ValueError):
        # The name is too long for a file system.
        return place


def refuse_others(folder: str | os.PathLike[str]) -> None:
    place, name = Path(folder).resolve(), display_path(folder)
    if not place.exists():
        return
    if not place.is_dir():
        raise StoreError(f"{name}: is a file; give a folder for the snapshot")
    if Path.cwd().is_relative_to(place):
        # The shell would stay in the replaced folder, which does not exist any more.
        raise StoreError(f"{name}: you are in this folder, which a snapshot would replace; give another folder")
    head = head_of(manifest_text(place))
    own = {UNFINISHED, HIDDEN, *((MANIFEST, *head.frames) if head else ())}
    other = min({entry.name for entry in place.iterdir()} - own, default=None)
    if other is not None:
        what = f"holds {display_path(other)} besides a snapshot" if head else "is not empty and holds no snapshot"
        raise StoreError(f"{name}: {what}, and was not changed; choose another folder")


def move_back(folder: str | os.PathLike[str]) -> None:
    place = Path(folder).resolve()
    old = _old(place)
    # The save was killed between its two renames.
    was_killed = not place.exists() and _has_content(old)
    if was_killed:
        try:
            old.rename(place)
        except OSError as error:
            # Another process may have been quicker.
            if not place.exists():
                raise StoreError(
                    f"{display_path(folder)}: its old content is in {display_path(old)} and cannot be moved back "
                    f"({error.strerror}); rename that folder by hand"
                ) from error
            return
    for new in _new(place):
        if _is_of_call(new, place / UNFINISHED):
            # `put_in_place` was killed. The accounts of the fleet need not be read again.
            new.rename(place / UNFINISHED / NEW)
        # Another process may still be writing a folder without a manifest.
        elif was_killed and (new / MANIFEST).exists():
            shutil.rmtree(new, ignore_errors=True)


def _is_of_call(new: Path, unfinished: Path) -> bool:
    asked = (new / HIDDEN / NOTED_CALL, unfinished / NOTED_CALL)
    return all(file.is_file() for file in asked) and asked[0].read_bytes() == asked[1].read_bytes()


def _clear_abandoned(place: Path) -> None:
    for new in _new(place):
        with suppress(FileNotFoundError):
            # Another process may still be writing to a newer folder.
            if time.time() - new.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(new, ignore_errors=True)


def _replace(place: Path, new: Path) -> None:
    old = _old(place)
    if place.exists():
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        if old.exists() and not place.exists():
            old.rename(place)
        raise
    shutil.rmtree(old, ignore_errors=True)
