"""The files of a snapshot: one Parquet file for each frame and account, and the manifest.

    manifest.json                              written last: the parts, their rows and checksums
    roles/account=123456789012/part.parquet    … and so for each frame and account

Hive, DuckDB and pyarrow can read the folder name of an account: `account=`, followed by the percent-encoded id. The
name does not begin with `account_id=`, because readers guess the type of a value in a folder's name. 12 digits would
become a number (DuckDB), lose their leading zeros (pyarrow), or clash with the text in the file (pandas). The file has
the column `account_id` as text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
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
import pyarrow.compute as pc

from iamframe.errors import SchemaError, StoreError
from iamframe.inventory.schema import FRAMES, Frame
from iamframe.sources.archives import FORMAT, MANIFEST, display_path, open_file, read_file
from iamframe.version import __version__

FORMAT_VERSION = 2
# Frames that older snapshots lack; columns that snapshots of version 1 lack, and their values then.
_LATER = {"events", "resource_owners", "tag_policies"}
_LATER_COLUMNS = {"gaps": {"message": "", "facts": "{}"}}
_PART = "part.parquet"
_KEY = "account="
# The account of a frame without rows, whose file keeps the columns.
_NO_ACCOUNT = "none"
# Hive's word for a missing value, which pyarrow reads without a type.
_HIVE_MISSING = "__HIVE_DEFAULT_PARTITION__"
_MAX_NAME = 200
_ROWS_AT_ONCE = 1 << 18

# The errors of decoding a file that is not a manifest.
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_Count = Annotated[int, msgspec.Meta(ge=0)]


class Head(msgspec.Struct):
    """The fields that the manifests of all versions have."""

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
    """The parts of a frame, one per account.

    If the frame has all rows of an account together, `order` is empty. Otherwise it lists the runs of rows of one
    account: for each run, the part and the number of rows.
    """

    rows: _Count
    parts: list[_Part]
    order: list[tuple[_Count, _Count]] = []


class Manifest(msgspec.Struct):
    """The fields of a manifest that iamframe reads. The other fields are only information for people."""

    format: str
    format_version: int
    sources: tuple[str, ...]
    frames: dict[str, _Stored]
    # The checksum of the rest of the manifest.
    sha256: str = ""


# Writing


def write_frames(frames: Mapping[str, pd.DataFrame], sources: tuple[str, ...], folder: Path) -> None:
    """Write the files of all frames into a folder, and then their manifest."""
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
    """Return the checksum of a manifest's content.

    The layout of the JSON, and the checksum stored in the manifest, do not change the result.
    """
    content = msgspec.json.decode(manifest)
    return sha256(msgspec.json.encode(content | {"sha256": ""}, order="sorted")).hexdigest()


def _divided(table: pa.Table) -> tuple[_Stored, list[pa.Table]]:
    """Divide a frame into one part per account. Return the parts, and the rows of each part.

    Within a part, the rows keep their order.
    """
    # A missing account raises an error when the part is written.
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
        # Some file systems do not allow longer names, and some ignore case.
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
            raise SchemaError(f"frame {frame.name} does not match the schema: {error}") from error
        file.flush()
        os.fsync(file.fileno())
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        return size, file_digest(file, "sha256").hexdigest()


# Reading


def manifest_text(place: Path) -> bytes | None:
    """Return the manifest in a folder; None if it is not there or cannot be read."""
    try:
        return read_file(place / MANIFEST)
    except OSError:
        return None


def head_of(text: bytes | None) -> Head | None:
    """Return the head of a manifest of any version; None if the text is not a manifest."""
    try:
        head = msgspec.json.decode(text or b"", type=Head)
    except _UNDECODABLE:
        return None
    return head if head.format == FORMAT else None


def read_manifest(place: Path, text: bytes | None) -> Manifest:
    """Return the manifest of the snapshot in a folder.

    Raise StoreError if the manifest is missing, damaged, or of a newer format.
    """
    name, head = display_path(place / MANIFEST), head_of(text)
    if text is None:
        raise StoreError(
            f"{name}: does not exist or cannot be read, so {display_path(place)} is not a snapshot; give "
            "the folder of a snapshot"
        )
    if head and head.format_version > FORMAT_VERSION:
        raise StoreError(
            f"{name}: is of format {head.format_version}, and this iamframe reads up to {FORMAT_VERSION}; "
            "pip install --upgrade iamframe"
        )
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
        is_unchanged = manifest.sha256 == _checksum(text)
    except _UNDECODABLE as error:
        raise StoreError(f"{name}: is damaged ({error}); copy or save the snapshot again") from error
    if not manifest.sha256:
        raise StoreError(f"{name}: has no checksum, because an older version wrote it; save the snapshot again")
    if not is_unchanged:
        raise StoreError(f"{name}: is damaged or was changed; copy or save the snapshot again")
    stored = [manifest.frames.get(frame) for frame in FRAMES if frame in manifest.frames or frame not in _LATER]
    if not head or not all(one and _is_consistent(one) for one in stored):
        raise StoreError(f"{name}: is not the manifest of a complete snapshot; copy or save the snapshot again")
    return manifest


def _is_consistent(stored: _Stored) -> bool:
    """Return whether each part of a frame has its own folder, and whether the numbers of rows add up."""
    rows, names = [part.rows for part in stored.parts], [part.folder for part in stored.parts]
    ordered = dict.fromkeys(range(len(rows)), 0) if stored.order else dict(enumerate(rows))
    for part, length in stored.order:
        ordered[part] = ordered.get(part, 0) + length
    plain = all(name.startswith(_KEY) and PurePath(name).name == name and name.isprintable() for name in names)
    return plain and len({*names}) == len(names) and sum(rows) == stored.rows and ordered == dict(enumerate(rows))


def read_frames(place: Path, manifest: Manifest) -> dict[str, pd.DataFrame]:
    """Return all frames of a snapshot as they were saved.

    Raise StoreError if a file is missing or damaged, or does not belong to the snapshot.
    """
    return {
        name: _read_frame(place, frame, manifest.frames[name]) if name in manifest.frames else frame.empty()
        for name, frame in FRAMES.items()
    }


def _read_frame(place: Path, frame: Frame, stored: _Stored) -> pd.DataFrame:
    folder = place / frame.name
    _refuse_others(folder, {part.folder for part in stored.parts})
    try:
        tables = [_read_part(folder / part.folder / _PART, part) for part in stored.parts]
        # A column that a file lacks is missing in its rows; one that the schema lacks is left out.
        table = pa.concat_tables([frame.arrow.empty_table(), *_in_order(tables, stored)], promote_options="default")
        for name, value in _LATER_COLUMNS.get(frame.name, {}).items():
            table = table.set_column(frame.names.index(name), name, pc.fill_null(table[name], value))
        return frame.from_arrow(table.combine_chunks())
    except (OSError, pa.ArrowException, SchemaError) as error:
        raise StoreError(
            f"{display_path(folder)}: has data that this version cannot use ({' '.join(str(error).split())}); "
            "load its sources again"
        ) from error


def _refuse_others(folder: Path, own: set[str]) -> None:
    """Raise StoreError if the folder of a frame contains files that are not parts of the snapshot.

    Other programs that read the folder would read such files, too.
    """
    try:
        more = {entry.name for entry in folder.iterdir()} - own
        more |= {f"{name}/{file.name}" for name in own for file in (folder / name).iterdir() if file.name != _PART}
    except OSError:
        # `_read_part` refuses files that are missing or unreadable.
        return
    # Readers skip hidden files, such as those of file managers.
    others = sorted(name for name in more if not name.rpartition("/")[2].startswith((".", "_")))
    if others:
        raise StoreError(
            f"{display_path(folder / others[0])}: does not belong to the snapshot; move it away, or save it again"
        )


def _read_part(file: Path, part: _Part) -> pa.Table:
    """Return the rows of a file. Raise StoreError if the file was changed.

    The checksum shows this. A changed Parquet file may still be readable.
    """
    import pyarrow.parquet as pq

    try:
        with open_file(file) as opened:
            data = opened.read() if os.fstat(opened.fileno()).st_size == part.bytes else b""
    except OSError as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise StoreError(f"{display_path(file)}: {what}; copy or save the snapshot again") from error
    if sha256(data).hexdigest() != part.sha256:
        raise StoreError(f"{display_path(file)}: is damaged or was changed; copy or save the snapshot again")
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
