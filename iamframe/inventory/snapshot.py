"""A snapshot is a folder with the frames as Parquet files. It is either complete or absent.

A new snapshot is first written to a folder beside FOLDER. That folder is renamed to FOLDER when all files are on the
disk. Meanwhile these folders exist:

    .FOLDER.iamframe-new-…     the new snapshot, while it is written
    .FOLDER.iamframe-old       the old one, between the two renames; `read_snapshot` looks there too
"""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pandas as pd

from iamframe.errors import StoreError
from iamframe.inventory.parts import head_of, manifest_text, read_frames, read_manifest, write_frames
from iamframe.sources.archives import MANIFEST, display_path

# The folder in which a live load keeps its answers until the snapshot is complete.
UNFINISHED = "unfinished"
_ABANDONED_SECONDS = 24 * 3600
# While another process saves one snapshot after another, about every second try to read it fails.
_TRIES = 20


def is_snapshot(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder holds a snapshot of any version. Damaged and unfinished snapshots count, too."""
    try:
        place = _readable(Path(folder))
        return head_of(manifest_text(place)) is not None or (place / UNFINISHED / "asked.json").is_file()
    except (OSError, ValueError):
        return False


def write_snapshot(
    frames: Mapping[str, pd.DataFrame], sources: tuple[str, ...], folder: str | os.PathLike[str]
) -> Path:
    """Write frames as a snapshot, and return the folder. The keys of `frames` are names in the schema.

    Raise StoreError if the folder contains anything other than a snapshot.
    """
    try:
        # A link to a folder stays a link; its target is replaced.
        place = Path(folder).resolve()
    except (OSError, ValueError) as error:
        raise StoreError(f"{display_path(folder)[:200]}: is not a folder name ({error}); choose another one") from error
    new = place.with_name(f".{place.name}.iamframe-new-{secrets.token_hex(4)}")
    try:
        refuse_others(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(place)
        new.mkdir()
        write_frames(frames, sources, new)
        _replace(place, new)
    except OSError as error:
        raise StoreError(
            f"{display_path(folder)}: cannot be written ({error.strerror or error}), and its old content is unchanged; "
            "choose another folder"
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return Path(folder)


def read_snapshot(folder: str | os.PathLike[str]) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """Return the frames of a snapshot as they were saved, and their sources.

    Raise StoreError if the snapshot cannot be read.
    """
    for _ in range(_TRIES):
        place = _readable(Path(folder))
        text = manifest_text(place)
        try:
            if text is None and (place / UNFINISHED).is_dir():
                raise StoreError(
                    f"{display_path(folder)}: is an unfinished snapshot; run the same `iamframe snapshot` command again"
                )
            manifest = read_manifest(place, text)
            # Checksums keep files of two snapshots apart.
            return read_frames(place, manifest), manifest.sources
        except StoreError:
            # Another process may have replaced the folder meanwhile: then nothing is damaged.
            if manifest_text(_readable(Path(folder))) == text:
                raise
    raise StoreError(f"{display_path(folder)}: is being replaced repeatedly; open it later")


def _old(place: Path) -> Path:
    return place.with_name(f".{place.name}.iamframe-old")


def _new(place: Path) -> Iterator[Path]:
    return place.parent.glob(f".{glob.escape(place.name)}.iamframe-new-*")


def _has_content(place: Path) -> bool:
    """Return whether a folder holds a snapshot, or the answers of an unfinished load."""
    try:
        return (place / MANIFEST).exists() or (place / UNFINISHED).is_dir()
    except OSError:
        return False


def _readable(place: Path) -> Path:
    """Return the folder to read: `place`, or the folder of the old snapshot if a save was interrupted."""
    try:
        old = _old(place.resolve())
        if (old / MANIFEST).exists():
            return place if (place / MANIFEST).exists() else old
        return place if place.exists() or not _has_content(old) else old
    except (OSError, ValueError):
        # The name is too long for a file system.
        return place


def refuse_others(folder: str | os.PathLike[str]) -> None:
    """Raise StoreError if `folder` is a file, or a folder that contains anything other than a snapshot."""
    place, name = Path(folder).resolve(), display_path(folder)
    if not place.exists():
        return
    if not place.is_dir():
        raise StoreError(f"{name}: is a file; give a folder for the snapshot")
    head = head_of(manifest_text(place))
    own = {UNFINISHED, *((MANIFEST, *head.frames) if head else ())}
    other = min({entry.name for entry in place.iterdir()} - own, default=None)
    if other is not None:
        what = f"holds {display_path(other)} besides a snapshot" if head else "is not empty and holds no snapshot"
        raise StoreError(f"{name}: {what}, and was not changed; choose another folder")


def move_back(folder: str | os.PathLike[str]) -> None:
    """Move the old snapshot, or an unfinished load, back into place if a save was killed between its two renames."""
    place = Path(folder).resolve()
    old = _old(place)
    if place.exists() or not _has_content(old):
        return
    try:
        old.rename(place)
    except OSError as error:
        # Another process may have been quicker.
        if not place.exists():
            raise StoreError(
                f"{display_path(folder)}: what was there is {display_path(old)} and cannot be moved back "
                f"({error.strerror}); rename it by hand"
            ) from error
        return
    for new in _new(place):
        # Without a manifest, another process may still be writing it.
        if (new / MANIFEST).exists():
            shutil.rmtree(new, ignore_errors=True)


def _clear_abandoned(place: Path) -> None:
    """Delete the new folders that killed saves left beside `place`.

    Recent folders stay, because another process may still be writing them.
    """
    for new in _new(place):
        with suppress(FileNotFoundError):
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
