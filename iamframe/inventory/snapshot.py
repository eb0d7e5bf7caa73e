"""Frames <-> a folder of Parquet files: a snapshot, which is there whole or not at all.

    manifest.json                              written last: what is in the other files
    roles/account=123456789012/part.parquet    … and so for each frame and account

The folder of an account is named as Hive, DuckDB and pyarrow read it (`account=`, percent-encoded), and is not called
`account_id`: readers guess the type of what stands in a folder's name, so that 12 digits become a number (DuckDB), lose
their leading zeros (pyarrow), or clash with the text of the file (pandas). The column `account_id` is in the file, as
text, and the folder's name serves to pick files.
"""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from itertools import accumulate, pairwise
from pathlib import Path, PurePath
from typing import Annotated
from urllib.parse import quote

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa

from iamframe.errors import SchemaError, StoreError
from iamframe.inventory.schema import FRAMES, Frame
from iamframe.sources.archives import FORMAT, MANIFEST, open_file, shown, whole_file
from iamframe.version import __version__

FORMAT_VERSION = 1
# What snapshots of older versions do not have: nobody had read it.
_LATER = {"events"}
# Where a live load keeps what it has read until the snapshot is whole.
UNFINISHED = "unfinished"
_PART = "part.parquet"
_KEY = "account="
# The folder of a frame without rows, whose file keeps the columns.
_NOBODY = "none"
# Hive's word for a missing value, by which pyarrow cannot tell a type.
_HIVE_MISSING = "__HIVE_DEFAULT_PARTITION__"
_LONGEST_NAME = 200
_ROWS_AT_ONCE = 1 << 18
_ABANDONED_SECONDS = 24 * 3600
_TRIES = 5

# What decoding raises on what is no manifest.
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Head(msgspec.Struct):
    """What is looked at before anything else of a manifest is believed."""

    format: str
    format_version: int
    frames: dict[str, msgspec.Raw]


class _Part(msgspec.Struct):
    account_id: str
    folder: str
    rows: _Count
    bytes: _Count = 0
    sha256: str = ""


class _Stored(msgspec.Struct, omit_defaults=True):
    """A frame: its parts, and how many rows in turn come from which, where that is not one part after the other."""

    rows: _Count
    parts: list[_Part]
    order: list[tuple[_Count, _Count]] = []


class _Account(msgspec.Struct):
    account_id: str
    captured_at: datetime | None


class _Manifest(msgspec.Struct):
    format: str
    format_version: int
    iamframe_version: str
    saved_at: datetime
    sources: tuple[str, ...]
    accounts: list[_Account]
    gaps: dict[str, int]
    frames: dict[str, _Stored]
    # Of all the rest: what a disk, a copy or an editor has changed is no snapshot that somebody saved.
    sha256: str = ""


def is_snapshot(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder holds a snapshot, of whatever version, however damaged, finished or not."""
    try:
        there = _there(Path(folder))
        return _head(there) is not None or (there / UNFINISHED / "asked.json").is_file()
    except (OSError, ValueError):
        return False


def write_snapshot(
    frames: Mapping[str, pd.DataFrame], sources: tuple[str, ...], folder: str | os.PathLike[str]
) -> Path:
    """Write frames, by the names that the schema gives them, and return the folder.

    They are written beside the folder, and moved into its place when all are whole and on the disk. In the moment
    between the old snapshot's going and the new one's coming the old one is `.FOLDER.iamframe-old`, where
    `read_snapshot` looks too.

    Raises
    ------
    StoreError
        If the folder holds anything but a snapshot, or cannot be written.
    SchemaError
        If a frame is not as the schema has it.
    """
    try:
        # A link to a folder stays a link; its target is replaced.
        place = Path(folder).resolve()
    except (OSError, ValueError) as error:
        raise StoreError(f"{shown(folder)[:200]}: is no name of a folder ({error}); name another one") from error
    aside = place.with_name(f".{place.name}.iamframe-new-{secrets.token_hex(4)}")
    try:
        refuse_others(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(place)
        aside.mkdir()
        _write(frames, sources, aside)
        _put(aside, place)
    except OSError as error:
        raise StoreError(
            f"{shown(folder)}: cannot be written ({error.strerror or error}), and what was there is as it was; "
            "name another folder"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Path(folder)


def read_snapshot(folder: str | os.PathLike[str]) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """Return the frames of a snapshot, as they were saved, and their sources.

    Raises
    ------
    StoreError
        If there is no snapshot, a newer iamframe wrote it, or a file of it is missing or damaged.
    """
    place = Path(folder)
    for _ in range(_TRIES):
        there = _there(place)
        said = _manifest_bytes(there)
        try:
            manifest = _manifest(there, said, place)
            # Checksums keep files of two snapshots apart.
            frames = {
                name: _frame(there, frame, manifest.frames[name]) if name in manifest.frames else frame.empty()
                for name, frame in FRAMES.items()
            }
            return frames, manifest.sources
        except StoreError:
            # Another process may have replaced the folder meanwhile: then this is no damage.
            if _manifest_bytes(_there(place)) == said:
                raise
    raise StoreError(f"{shown(folder)}: is being replaced again and again; open it when that has ended")


# Writing


def _kept(place: Path) -> Path:
    """Where the old snapshot is while the new one takes its place."""
    return place.with_name(f".{place.name}.iamframe-old")


def refuse_others(folder: str | os.PathLike[str]) -> None:
    """Refuse to replace what is not a snapshot, or has in it what a snapshot has not.

    Raises
    ------
    StoreError
        If it is so.
    """
    place, name = Path(folder).resolve(), shown(folder)
    if not place.exists():
        return
    if not place.is_dir():
        raise StoreError(f"{name}: is a file; name a folder for the snapshot")
    head = _head(place)
    own = {UNFINISHED, *((MANIFEST, *head.frames) if head else ())}
    other = min({entry.name for entry in place.iterdir()} - own, default=None)
    if other is not None:
        what = f"holds {shown(other)} besides a snapshot" if head else "is not empty and holds no snapshot"
        raise StoreError(f"{name}: {what}, and is left as it is; name another folder")


def move_back(folder: str | os.PathLike[str]) -> None:
    """Undo a save that was killed between the old snapshot's going and the new one's coming.

    What is moved back may be no snapshot yet but what a live load has read for one.

    Raises
    ------
    StoreError
        If it cannot be moved.
    """
    place = Path(folder).resolve()
    kept = _kept(place)
    if place.exists() or not _holds(kept):
        return
    try:
        kept.rename(place)
    except OSError as error:
        # Another process may have been quicker.
        if not place.exists():
            raise StoreError(
                f"{shown(folder)}: what was there is {shown(kept)} and cannot be moved back ({error.strerror}); "
                "rename it by hand"
            ) from error
        return
    for left in _left(place):
        # The one that was about to come; what one without a manifest is of may still be at it.
        if (left / MANIFEST).exists():
            shutil.rmtree(left, ignore_errors=True)


def _holds(kept: Path) -> bool:
    try:
        return (kept / MANIFEST).exists() or (kept / UNFINISHED).is_dir()
    except OSError:
        return False


def _left(place: Path) -> Iterator[Path]:
    return place.parent.glob(f".{glob.escape(place.name)}.iamframe-new-*")


def _clear_abandoned(place: Path) -> None:
    """Delete what saves into this place left behind that were killed, unless one may still be at it."""
    for left in _left(place):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _put(aside: Path, place: Path) -> None:
    kept = _kept(place)
    if place.exists():
        shutil.rmtree(kept, ignore_errors=True)
        place.rename(kept)
    try:
        aside.rename(place)
    except OSError:
        if kept.exists() and not place.exists():
            kept.rename(place)
        raise
    shutil.rmtree(kept, ignore_errors=True)


def _write(frames: Mapping[str, pd.DataFrame], sources: tuple[str, ...], folder: Path) -> None:
    tables = {name: frame.to_arrow(frames[name]) for name, frame in FRAMES.items()}
    stored = {}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for name, table in tables.items():
            (folder / name).mkdir()
            stored[name], rows = _divided(table)
            parts = zip(stored[name].parts, rows, strict=True)
            # Each result is asked for, so that a part which fails is not passed over.
            sums = [threads.submit(_write_part, folder / name / p.folder, FRAMES[name], r) for p, r in parts]
            for part, done in zip(stored[name].parts, sums, strict=True):
                part.bytes, part.sha256 = done.result()
    captured = tables["accounts"].select(["account_id", "captured_at"]).to_pylist()
    gaps = frames["gaps"]["reason"].value_counts().sort_index()
    manifest = _Manifest(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        iamframe_version=__version__,
        saved_at=datetime.now(UTC),
        sources=sources,
        accounts=[_Account(**row) for row in captured],
        gaps={str(reason): int(count) for reason, count in gaps.items()},
        frames=stored,
    )
    manifest.sha256 = _checksum(msgspec.json.encode(manifest))
    with (folder / MANIFEST).open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _checksum(manifest: bytes) -> str:
    """Return the checksum of what a manifest says, however it is written, but for the checksum itself."""
    said = msgspec.json.decode(manifest)
    return sha256(msgspec.json.encode(said | {"sha256": ""}, order="sorted")).hexdigest()


def _divided(table: pa.Table) -> tuple[_Stored, list[pa.Table]]:
    """Return where the rows of a frame go, and the rows of each part, which keep their order in it."""
    # A missing account is refused where the part is written.
    encoded = table["account_id"].cast(pa.string()).fill_null("").combine_chunks().dictionary_encode()
    accounts, code = encoded.dictionary.to_pylist(), np.asarray(encoded.indices)
    starts = np.flatnonzero(np.diff(code, prepend=-1)).tolist()
    runs = [(int(code[a]), a, b - a) for a, b in pairwise([*starts, len(code)])]
    slices: list[list[pa.Table]] = [[] for _ in accounts]
    for account, start, length in runs:
        slices[account].append(table.slice(start, length))
    tables = [pa.concat_tables(pieces) for pieces in slices]
    told = zip(accounts, _folders(accounts), tables, strict=True)
    parts = [_Part(account, folder, len(rows)) for account, folder, rows in told]
    # Accounts stand in the order in which they first come, so that one run of each needs no telling.
    order = [(account, length) for account, _, length in runs] if len(runs) > len(accounts) else []
    if not parts:
        parts, tables = [_Part("", _KEY + _NOBODY, 0)], [table]
    return _Stored(len(table), parts, order), tables


def _folders(accounts: list[str]) -> Iterator[str]:
    """Yield a folder name for each account, whatever stands in its id."""
    taken = {_HIVE_MISSING.casefold()}
    for account in accounts:
        name = quote(account, safe="")
        # Some file systems take no longer name, and some take two that differ only by case for one.
        if len(name) > _LONGEST_NAME or name.casefold() in taken:
            name = sha256(account.encode()).hexdigest()
        taken.add(name.casefold())
        yield _KEY + name


def _write_part(folder: Path, frame: Frame, rows: pa.Table) -> tuple[int, str]:
    """Write one file, and return its size and checksum."""
    import pyarrow.parquet as pq

    folder.mkdir()
    with (folder / _PART).open("w+b") as file:
        try:
            with pq.ParquetWriter(file, frame.arrow, compression="zstd") as writer:
                # Cast a slice at a time: no text array of the schema's type holds more than 2 GB.
                for start in range(0, max(len(rows), 1), _ROWS_AT_ONCE):
                    writer.write_table(rows.slice(start, _ROWS_AT_ONCE).cast(frame.arrow))
        except (ValueError, pa.ArrowException) as error:
            raise SchemaError(f"frame {frame.name} is not as the schema has it: {error}") from error
        file.flush()
        os.fsync(file.fileno())
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        return size, file_digest(file, "sha256").hexdigest()


# Reading


def _there(place: Path) -> Path:
    """Where the snapshot of this place is: there, or, if its replacement was cut short, beside it."""
    try:
        kept = _kept(place.resolve())
        if not (place / MANIFEST).exists() and (kept / MANIFEST).exists():
            return kept
        return kept if not place.exists() and _holds(kept) else place
    except (OSError, ValueError):
        # A name that is too long to be one is none.
        return place


def _manifest_bytes(there: Path) -> bytes | None:
    try:
        return whole_file(there / MANIFEST)
    except OSError:
        return None


def _head(there: Path) -> _Head | None:
    try:
        head = msgspec.json.decode(_manifest_bytes(there) or b"", type=_Head)
    except _BROKEN:
        return None
    return head if head.format == FORMAT else None


def _manifest(there: Path, said: bytes | None, place: Path) -> _Manifest:
    name = shown(there / MANIFEST)
    if said is None and (there / UNFINISHED).is_dir():
        raise StoreError(f"{shown(place)}: is an unfinished snapshot; run the `iamframe snapshot` that began it again")
    if said is None:
        raise StoreError(f"{name}: is not there or cannot be read, so {shown(there)} is no snapshot; name its folder")
    head = _head(there)
    if head and head.format_version > FORMAT_VERSION:
        raise StoreError(
            f"{name}: is of format {head.format_version}, and this iamframe reads up to {FORMAT_VERSION}; "
            "pip install --upgrade iamframe"
        )
    try:
        manifest = msgspec.json.decode(said, type=_Manifest)
        is_whole = manifest.sha256 == _checksum(said)
    except _BROKEN as error:
        raise StoreError(f"{name}: is damaged ({error}); copy or save the snapshot anew") from error
    if not manifest.sha256:
        raise StoreError(f"{name}: has no checksum, as before iamframe wrote one; save the snapshot again")
    if not is_whole:
        raise StoreError(f"{name}: is damaged or was changed; copy or save the snapshot anew")
    there_are = [name for name in FRAMES if name in manifest.frames or name not in _LATER]
    sound = head and all(name in manifest.frames and _adds_up(manifest.frames[name]) for name in there_are)
    if not sound:
        raise StoreError(f"{name}: is no manifest of a whole snapshot; copy or save the snapshot anew")
    return manifest


def _adds_up(stored: _Stored) -> bool:
    """Whether a frame's parts lie in folders of its own, and its rows add up to what they hold."""
    rows = [part.rows for part in stored.parts]
    told = [0] * len(rows)
    for part, length in stored.order:
        if part >= len(rows):
            return False
        told[part] += length
    names = [part.folder for part in stored.parts]
    plain = all(name.startswith(_KEY) and PurePath(name).name == name and name.isprintable() for name in names)
    return plain and len(set(names)) == len(names) and sum(rows) == stored.rows and (not stored.order or told == rows)


def _frame(there: Path, frame: Frame, stored: _Stored) -> pd.DataFrame:
    import pyarrow.dataset as ds
    from pyarrow.fs import LocalFileSystem

    folder = there / frame.name
    _verify_folder(folder, {part.folder for part in stored.parts})
    for part in stored.parts:
        _verify(folder / part.folder / _PART, part)
    files = [str(folder / part.folder / _PART) for part in stored.parts]
    try:
        # The schema's own columns: what a file lacks is missing, what it has besides is not read.
        data = ds.dataset(files, schema=frame.arrow, format="parquet", filesystem=LocalFileSystem())
        return frame.from_arrow(_in_order(data.to_table(), stored).combine_chunks())
    except (OSError, pa.ArrowException, SchemaError) as error:
        raise StoreError(
            f"{shown(folder)}: holds what this iamframe cannot use ({' '.join(str(error).split())}); "
            "load its sources again"
        ) from error


def _verify_folder(folder: Path, own: set[str]) -> None:
    """Refuse the folder of a frame that holds more than the snapshot's parts: other readers would read it all."""
    try:
        with os.scandir(folder) as entries:
            more = {entry.name for entry in entries} - own
        more |= {f"{name}/{file.name}" for name in own for file in (folder / name).iterdir() if file.name != _PART}
    except OSError:
        # What is missing, or cannot be read, is named where it is read.
        return
    # What readers pass over, such as notes that file managers keep.
    others = sorted(name for name in more if not name.rpartition("/")[2].startswith((".", "_")))
    if others:
        raise StoreError(f"{shown(folder / others[0])}: is no part of the snapshot; move it away, or save it again")


def _verify(file: Path, part: _Part) -> None:
    """Refuse a file that is not the one that was saved: not each change of a Parquet file makes it unreadable."""
    try:
        with open_file(file) as opened:
            is_same = os.fstat(opened.fileno()).st_size == part.bytes
            is_same = is_same and file_digest(opened, "sha256").hexdigest() == part.sha256
    except OSError as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise StoreError(f"{shown(file)}: {what}; copy or save the snapshot anew") from error
    if not is_same:
        raise StoreError(f"{shown(file)}: is damaged or was changed; copy or save the snapshot anew")


def _in_order(table: pa.Table, stored: _Stored) -> pa.Table:
    """Return the rows of all parts, one after the other, in the order in which they were saved."""
    if len(table) != stored.rows:
        raise SchemaError(f"{len(table):,} rows and not {stored.rows:,}")
    if not stored.order:
        return table
    starts = list(accumulate((part.rows for part in stored.parts), initial=0))
    pieces = []
    for part, length in stored.order:
        pieces.append(table.slice(starts[part], length))
        starts[part] += length
    return pa.concat_tables(pieces)
