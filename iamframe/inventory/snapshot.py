"""Frames <-> a folder of Parquet files: a snapshot, complete or not there at all.

    manifest.json                              written last: the parts, their rows and checksums
    roles/account=123456789012/part.parquet    … and so for each frame and account

The folder of an account is named as Hive, DuckDB and pyarrow read it (`account=`, percent-encoded). Its name is not
`account_id`, since readers guess the type of a value in a folder's name: 12 digits become a number (DuckDB), lose their
leading zeros (pyarrow), or clash with the text of the file (pandas). The file has the column `account_id` as text.

A snapshot is written beside its folder and moved into place when all of it is on the disk. Meanwhile these are there:

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
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from itertools import pairwise
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
# Frames that snapshots of older versions do not have.
_LATER = {"events"}
# The folder in which a live load keeps its answers until the snapshot is complete.
UNFINISHED = "unfinished"
_PART = "part.parquet"
_KEY = "account="
# The account of a frame without rows, whose file keeps the columns.
_NO_ACCOUNT = "none"
# Hive's word for a missing value, of which pyarrow cannot tell the type.
_HIVE_MISSING = "__HIVE_DEFAULT_PARTITION__"
_MAX_NAME = 200
_ROWS_AT_ONCE = 1 << 18
_ABANDONED_SECONDS = 24 * 3600
_TRIES = 5

# The errors of decoding a file that is no manifest.
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Head(msgspec.Struct):
    """The fields of a manifest of any version."""

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
    """The parts of a frame; `order` has (part, rows) for each run of rows where accounts take turns."""

    rows: _Count
    parts: list[_Part]
    order: list[tuple[_Count, _Count]] = []


class _Manifest(msgspec.Struct):
    """The fields that reading needs; the others are for people."""

    format: str
    format_version: int
    sources: tuple[str, ...]
    frames: dict[str, _Stored]
    # The checksum of all the rest.
    sha256: str = ""


def is_snapshot(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder holds a snapshot, of any version, even a damaged or unfinished one."""
    try:
        place = _readable(Path(folder))
        return _head(place) is not None or (place / UNFINISHED / "asked.json").is_file()
    except (OSError, ValueError):
        return False


def write_snapshot(
    frames: Mapping[str, pd.DataFrame], sources: tuple[str, ...], folder: str | os.PathLike[str]
) -> Path:
    """Write frames, by their names in the schema, and return the folder.

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
    new = place.with_name(f".{place.name}.iamframe-new-{secrets.token_hex(4)}")
    try:
        refuse_others(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(place)
        new.mkdir()
        _write(frames, sources, new)
        _replace(place, new)
    except OSError as error:
        raise StoreError(
            f"{shown(folder)}: cannot be written ({error.strerror or error}), and what was there is as it was; "
            "name another folder"
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return Path(folder)


def read_snapshot(folder: str | os.PathLike[str]) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """Return the frames of a snapshot, as they were saved, and their sources.

    Raises
    ------
    StoreError
        If there is no snapshot, a newer iamframe wrote it, or a file of it is missing or damaged.
    """
    for _ in range(_TRIES):
        place = _readable(Path(folder))
        text = _manifest_text(place)
        try:
            manifest = _manifest(place, text, Path(folder))
            # Checksums keep files of two snapshots apart.
            frames = {
                name: _read_frame(place, frame, manifest.frames[name]) if name in manifest.frames else frame.empty()
                for name, frame in FRAMES.items()
            }
            return frames, manifest.sources
        except StoreError:
            # It is no damage if another process has replaced the folder meanwhile.
            if _manifest_text(_readable(Path(folder))) == text:
                raise
    raise StoreError(f"{shown(folder)}: is being replaced again and again; open it when that has ended")


# The folder and those beside it


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
    """Return the folder to read: the place itself, or the old snapshot if its replacement was interrupted."""
    try:
        old = _old(place.resolve())
        if (old / MANIFEST).exists():
            return place if (place / MANIFEST).exists() else old
        return place if place.exists() or not _has_content(old) else old
    except (OSError, ValueError):
        # The name is too long for a file system.
        return place


def refuse_others(folder: str | os.PathLike[str]) -> None:
    """Refuse to replace a folder that is no snapshot, or that holds other files besides.

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
    """Move the old snapshot, or an unfinished load, back into place if a save was killed between its two renames.

    Raises
    ------
    StoreError
        If it cannot be moved.
    """
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
                f"{shown(folder)}: what was there is {shown(old)} and cannot be moved back ({error.strerror}); "
                "rename it by hand"
            ) from error
        return
    for new in _new(place):
        # Without a manifest, another process may still be writing it.
        if (new / MANIFEST).exists():
            shutil.rmtree(new, ignore_errors=True)


def _clear_abandoned(place: Path) -> None:
    """Delete what killed saves left beside this place, unless another process may still be writing it."""
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


# Writing


def _write(frames: Mapping[str, pd.DataFrame], sources: tuple[str, ...], folder: Path) -> None:
    tables = {name: frame.to_arrow(frames[name]) for name, frame in FRAMES.items()}
    stored = {}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for name, table in tables.items():
            (folder / name).mkdir()
            stored[name], rows = _divided(table)
            written = [
                threads.submit(_write_part, folder / name / part.folder, FRAMES[name], of_part)
                for part, of_part in zip(stored[name].parts, rows, strict=True)
            ]
            for part, done in zip(stored[name].parts, written, strict=True):
                part.bytes, part.sha256 = done.result()
    gaps = frames["gaps"]["reason"].value_counts().sort_index()
    content: dict[str, object] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "iamframe_version": __version__,
        "saved_at": datetime.now(UTC),
        "sources": sources,
        "accounts": tables["accounts"].select(["account_id", "captured_at"]).to_pylist(),
        "gaps": {str(reason): int(count) for reason, count in gaps.items()},
        "frames": stored,
    }
    manifest = msgspec.json.encode(content | {"sha256": _checksum(msgspec.json.encode(content))})
    with (folder / MANIFEST).open("wb") as file:
        file.write(msgspec.json.format(manifest, indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _checksum(manifest: bytes) -> str:
    """Return the checksum of what a manifest holds, in any layout, except for the checksum itself."""
    content = msgspec.json.decode(manifest)
    return sha256(msgspec.json.encode(content | {"sha256": ""}, order="sorted")).hexdigest()


def _divided(table: pa.Table) -> tuple[_Stored, list[pa.Table]]:
    """Return the parts of a frame, one per account, and the rows of each, in their order."""
    # A missing account is refused where the part is written.
    encoded = table["account_id"].cast(pa.string()).fill_null("").combine_chunks().dictionary_encode()
    accounts, code = encoded.dictionary.to_pylist(), np.asarray(encoded.indices)
    if not accounts:
        return _Stored(0, [_Part("", _KEY + _NO_ACCOUNT, 0)]), [table]
    starts = np.flatnonzero(np.diff(code, prepend=-1)).tolist()
    runs = [(int(code[start]), table.slice(start, end - start)) for start, end in pairwise([*starts, len(code)])]
    slices: list[list[pa.Table]] = [[] for _ in accounts]
    for account, rows in runs:
        slices[account].append(rows)
    tables = [pa.concat_tables(pieces) for pieces in slices]
    named = zip(accounts, _folders(accounts), tables, strict=True)
    parts = [_Part(account, folder, len(rows)) for account, folder, rows in named]
    # Accounts come in the order of their first rows: one run of each needs no order.
    order = [(account, len(rows)) for account, rows in runs] if len(runs) > len(accounts) else []
    return _Stored(len(table), parts, order), tables


def _folders(accounts: list[str]) -> Iterator[str]:
    """Yield a folder name for each account, whatever its id is."""
    taken = {_HIVE_MISSING.casefold()}
    for account in accounts:
        name = quote(account, safe="")
        # Some file systems take no longer name, and some see one name in two that differ only by case.
        if len(name) > _MAX_NAME or name.casefold() in taken:
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
                # Each slice is cast by itself: no text array of the schema's type holds more than 2 GB.
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


def _manifest_text(place: Path) -> bytes | None:
    try:
        return whole_file(place / MANIFEST)
    except OSError:
        return None


def _head(place: Path) -> _Head | None:
    try:
        head = msgspec.json.decode(_manifest_text(place) or b"", type=_Head)
    except _UNDECODABLE:
        return None
    return head if head.format == FORMAT else None


def _manifest(place: Path, text: bytes | None, asked: Path) -> _Manifest:
    name = shown(place / MANIFEST)
    if text is None and (place / UNFINISHED).is_dir():
        raise StoreError(f"{shown(asked)}: is an unfinished snapshot; run the `iamframe snapshot` that began it again")
    if text is None:
        raise StoreError(f"{name}: is not there or cannot be read, so {shown(place)} is no snapshot; name its folder")
    head = _head(place)
    if head and head.format_version > FORMAT_VERSION:
        raise StoreError(
            f"{name}: is of format {head.format_version}, and this iamframe reads up to {FORMAT_VERSION}; "
            "pip install --upgrade iamframe"
        )
    try:
        manifest = msgspec.json.decode(text, type=_Manifest)
        is_unchanged = manifest.sha256 == _checksum(text)
    except _UNDECODABLE as error:
        raise StoreError(f"{name}: is damaged ({error}); copy or save the snapshot anew") from error
    if not manifest.sha256:
        raise StoreError(f"{name}: has no checksum, as before iamframe wrote one; save the snapshot again")
    if not is_unchanged:
        raise StoreError(f"{name}: is damaged or was changed; copy or save the snapshot anew")
    stored = [manifest.frames.get(frame) for frame in FRAMES if frame in manifest.frames or frame not in _LATER]
    if not head or not all(one and _is_consistent(one) for one in stored):
        raise StoreError(f"{name}: is no manifest of a whole snapshot; copy or save the snapshot anew")
    return manifest


def _is_consistent(stored: _Stored) -> bool:
    """Return whether a frame's parts have folders of its own, and the rows of all parts add up."""
    rows, names = [part.rows for part in stored.parts], [part.folder for part in stored.parts]
    ordered = dict.fromkeys(range(len(rows)), 0) if stored.order else dict(enumerate(rows))
    for part, length in stored.order:
        ordered[part] = ordered.get(part, 0) + length
    plain = all(name.startswith(_KEY) and PurePath(name).name == name and name.isprintable() for name in names)
    return plain and len({*names}) == len(names) and sum(rows) == stored.rows and ordered == dict(enumerate(rows))


def _read_frame(place: Path, frame: Frame, stored: _Stored) -> pd.DataFrame:
    folder = place / frame.name
    _refuse_others_parts(folder, {part.folder for part in stored.parts})
    try:
        tables = [_read_part(folder / part.folder / _PART, part) for part in stored.parts]
        # A column that a file lacks is missing in its rows; one that the schema lacks is left out.
        table = pa.concat_tables([frame.arrow.empty_table(), *_in_order(tables, stored)], promote_options="default")
        return frame.from_arrow(table.combine_chunks())
    except (OSError, pa.ArrowException, SchemaError) as error:
        raise StoreError(
            f"{shown(folder)}: holds what this iamframe cannot use ({' '.join(str(error).split())}); "
            "load its sources again"
        ) from error


def _refuse_others_parts(folder: Path, own: set[str]) -> None:
    """Refuse the folder of a frame that holds more than the snapshot's parts: other readers would read it all."""
    try:
        more = {entry.name for entry in folder.iterdir()} - own
        more |= {f"{name}/{file.name}" for name in own for file in (folder / name).iterdir() if file.name != _PART}
    except OSError:
        # What is missing or unreadable is refused where it is read.
        return
    # Readers pass over hidden files, such as the notes of file managers.
    others = sorted(name for name in more if not name.rpartition("/")[2].startswith((".", "_")))
    if others:
        raise StoreError(f"{shown(folder / others[0])}: is no part of the snapshot; move it away, or save it again")


def _read_part(file: Path, part: _Part) -> pa.Table:
    """Return the rows of a file that is as it was saved: a Parquet file with other bytes may be readable too."""
    import pyarrow.parquet as pq

    try:
        with open_file(file) as opened:
            data = opened.read() if os.fstat(opened.fileno()).st_size == part.bytes else b""
    except OSError as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise StoreError(f"{shown(file)}: {what}; copy or save the snapshot anew") from error
    if sha256(data).hexdigest() != part.sha256:
        raise StoreError(f"{shown(file)}: is damaged or was changed; copy or save the snapshot anew")
    return pq.ParquetFile(pa.BufferReader(data)).read()


def _in_order(tables: list[pa.Table], stored: _Stored) -> Iterator[pa.Table]:
    """Yield the rows of all parts in the order in which they were saved."""
    rows = sum(map(len, tables))
    if rows != stored.rows:
        raise SchemaError(f"{rows:,} rows and not {stored.rows:,}")
    if not stored.order:
        yield from tables
    starts = [0] * len(tables)
    for part, length in stored.order:
        yield tables[part].slice(starts[part], length)
        starts[part] += length
