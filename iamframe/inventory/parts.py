"""The files of a snapshot: Parquet files and the manifest.

- `manifest.json`: a list of the parts, with their numbers of rows and their checksums; written last
- `roles/account=123456789012/part.parquet`: one part: the rows of one frame (here `roles`) and one account

Hive, DuckDB and pyarrow can read the folder name `account=ID`. `ID` is `none` if the frame has no rows. Otherwise,
`ID` is the account id, percent-encoded if necessary; a hash replaces an id that is too long. The column `account_id`
has the account id or `unknown`, never a hash.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache, partial
from hashlib import sha256
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.errors import SchemaError, StoreError
from iamframe.inventory.places import Place, missing_bucket, names_in, read_bytes, write_bytes
from iamframe.inventory.schema import FRAMES, Frame
from iamframe.sources.archives import FORMAT, MANIFEST, display_path, why
from iamframe.version import __version__

FORMAT_VERSION = 2
# Frames that older snapshots lack, and columns that snapshots of version 1 lack, with their values.
LATER = {"events", "resource_owners", "tag_policies"}
_LATER_COLUMNS = {"gaps": {"message": "", "facts": "{}"}}
_PART = "part.parquet"
# Not `account_id=`, because programs would guess a type for that column: DuckDB would read a number, pyarrow would drop
# leading zeros, and pandas would find another type than in the file.
_KEY = "account="
# The account of a frame without rows, whose file keeps the columns.
_NO_ACCOUNT = "none"
# Hive's word for a missing value, which pyarrow reads without a type.
_HIVE_MISSING = "__HIVE_DEFAULT_PARTITION__"
_MAX_NAME = 200
# A folder without a readable manifest is not replaced.
_NOT_HERE = "copy the snapshot again, or save it to another folder"
_ROWS_AT_ONCE = 1 << 18
_THREADS = 16

# The errors of decoding a file that is damaged, or something else.
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_Count = Annotated[int, msgspec.Meta(ge=0)]


class Head(msgspec.Struct):
    """The manifest fields that exist in every format version."""

    format: str
    format_version: int
    frames: dict[str, msgspec.Raw]


class SavedPart(msgspec.Struct):
    account_id: str
    folder: str
    rows: _Count
    bytes: _Count = 0
    sha256: str = ""


class _StoredFrame(msgspec.Struct, omit_defaults=True):
    rows: _Count
    parts: list[SavedPart]
    # Pairs of a position in `parts` and a number of rows from that file. Empty if each account's rows are together.
    order: list[tuple[_Count, _Count]] = []

    @classmethod
    def from_runs(cls, parts: list[SavedPart], runs: list[tuple[int, int]]) -> _StoredFrame:
        # Accounts come in the order of their first rows: one run of each needs no order.
        return cls(sum(part.rows for part in parts), parts, runs if len(runs) > len(parts) else [])

    @property
    def runs(self) -> list[tuple[int, int]]:
        return self.order or [(number, part.rows) for number, part in enumerate(self.parts)]


class Manifest(msgspec.Struct):
    """The manifest fields that iamframe reads. All other fields are for human readers."""

    format: str
    format_version: int
    sources: tuple[str, ...]
    frames: dict[str, _StoredFrame]
    # The checksum of the rest of the manifest.
    sha256: str = ""


class Written(msgspec.Struct):
    frames: dict[str, _StoredFrame]
    # Entries of the manifest.
    accounts: list[dict[str, Any]]
    gaps: dict[str, int]


def write_parts(frames: Mapping[str, pd.DataFrame], place: Place, member: str | None = None) -> Written:
    """If accounts are saved one by one, the parameter `member` is the current account."""
    tables = {name: frame.to_arrow(frames[name]) for name, frame in FRAMES.items()}
    if member is not None:
        tables = {name: tables[name].sort_by([(key, "ascending") for key in FRAMES[name].key]) for name in tables}
    stored = {}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for name, table in tables.items():
            if len(table):
                stored[name], rows = _divided_by_account(table, member)
                # The list raises the error of a thread.
                list(threads.map(partial(_write_part, place, FRAMES[name]), stored[name].parts, rows))
    gaps = frames["gaps"]["reason"].value_counts()
    return Written(
        stored,
        tables["accounts"].select(["account_id", "captured_at"]).to_pylist(),
        {str(reason): int(count) for reason, count in gaps.items()},
    )


def write_manifest(written: Iterable[Written], sources: tuple[str, ...], place: Place) -> None:
    accounts, gaps = [], Counter[str]()
    parts: dict[str, list[SavedPart]] = {name: [] for name in FRAMES}
    runs: dict[str, list[tuple[int, int]]] = {name: [] for name in FRAMES}
    for one in written:
        accounts += one.accounts
        gaps += Counter(one.gaps)
        for name, stored in one.frames.items():
            runs[name] += [(part + len(parts[name]), rows) for part, rows in stored.runs]
            parts[name] += stored.parts
    for name, frame in FRAMES.items():
        if not parts[name]:
            # The file of a frame without rows keeps its columns.
            parts[name].append(SavedPart("", _KEY + _NO_ACCOUNT, 0))
            _write_part(place, frame, parts[name][0], frame.arrow.empty_table())
    content: dict[str, object] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "iamframe_version": __version__,
        "saved_at": datetime.now(UTC),
        "sources": sources,
        "accounts": accounts,
        "gaps": dict(sorted(gaps.items())),
        "frames": {name: _StoredFrame.from_runs(parts[name], runs[name]) for name in FRAMES},
        "sha256": "",
    }
    # Keep few copies of the manifest in memory: with 10,000 accounts, each has 15 MB.
    content["sha256"] = sha256(msgspec.json.encode(content, order="sorted")).hexdigest()
    write_bytes(place / MANIFEST, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def _checksum(manifest: bytes) -> str:
    # The JSON layout and the stored checksum must not affect the result.
    content = msgspec.json.decode(manifest)
    return sha256(msgspec.json.encode(content | {"sha256": ""}, order="sorted")).hexdigest()


def _divided_by_account(table: pa.Table, member: str | None) -> tuple[_StoredFrame, list[pa.Table]]:
    # A missing account raises an error when the part is written.
    encoded = table["account_id"].cast(pa.string()).fill_null("").combine_chunks().dictionary_encode()
    accounts, code = encoded.dictionary.to_pylist(), np.asarray(encoded.indices)
    starts = np.flatnonzero(np.diff(code, prepend=-1)).tolist()
    runs = [(int(code[start]), table.slice(start, end - start)) for start, end in pairwise([*starts, len(code)])]
    slices: list[list[pa.Table]] = [[] for _ in accounts]
    for account, rows in runs:
        slices[account].append(rows)
    tables = [pa.concat_tables(pieces) for pieces in slices]
    named = zip(accounts, _folders(accounts, member), tables, strict=True)
    parts = [SavedPart(account, folder, len(rows)) for account, folder, rows in named]
    return _StoredFrame.from_runs(parts, [(account, len(rows)) for account, rows in runs]), tables


def _folders(accounts: list[str], member: str | None) -> Iterator[str]:
    taken = {_HIVE_MISSING.casefold()}
    for account in accounts:
        name = quote(account, safe="")
        # Some file systems do not allow longer names, and some ignore case. If accounts are saved one by one, two of
        # them may both have rows about a third account.
        if len(name) > _MAX_NAME or name.casefold() in taken or member not in (None, account):
            name = sha256(f"{member or ''}{account}".encode()).hexdigest()
        taken.add(name.casefold())
        yield _KEY + name


def _write_part(place: Place, frame: Frame, part: SavedPart, rows: pa.Table) -> None:
    import pyarrow.parquet as pq

    file = pa.BufferOutputStream()
    try:
        with pq.ParquetWriter(file, frame.arrow, compression="zstd") as writer:
            # Each slice is cast by itself: no text array of the schema's type holds more than 2 GB.
            for start in range(0, max(len(rows), 1), _ROWS_AT_ONCE):
                writer.write_table(rows.slice(start, _ROWS_AT_ONCE).cast(frame.arrow))
    except (ValueError, pa.ArrowException) as error:
        raise SchemaError(f"frame {frame.name} does not match the schema: {error}") from error
    data = memoryview(file.getvalue())
    write_bytes(place / frame.name / part.folder / _PART, data)
    part.bytes, part.sha256 = len(data), sha256(data).hexdigest()


def manifest_text(place: Place) -> bytes | None:
    try:
        return read_bytes(place / MANIFEST)
    except OSError as error:
        if isinstance(place, Path) or isinstance(error, FileNotFoundError):
            return None
        raise StoreError(
            f"{display_path(place / MANIFEST)}: cannot be read ({why(error)}); check the address, the region and the "
            "credentials"
        ) from error


def head_of(text: bytes | None) -> Head | None:
    try:
        head = msgspec.json.decode(text or b"", type=Head)
    except UNDECODABLE:
        return None
    return head if head.format == FORMAT else None


# A process that checks several shards decodes the manifest only once, because it is large.
@lru_cache(maxsize=1)
def read_manifest(place: Place, text: bytes | None) -> Manifest:
    name, head = display_path(place / MANIFEST), head_of(text)
    if text is None:
        if bucket := missing_bucket(place):
            raise StoreError(f"{display_path(place)}: the bucket {bucket} does not exist; check the address")
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
    except UNDECODABLE as error:
        raise StoreError(f"{name}: is damaged ({error}); {_NOT_HERE}") from error
    if not manifest.sha256:
        raise StoreError(f"{name}: has no checksum, because an older version wrote it; save the snapshot again")
    if not is_unchanged:
        raise StoreError(f"{name}: is damaged or was changed; copy or save the snapshot again")
    stored = [manifest.frames.get(frame) for frame in FRAMES if frame in manifest.frames or frame not in LATER]
    if not head or not all(one and _is_consistent(one) for one in stored):
        raise StoreError(f"{name}: is not the manifest of a complete snapshot; {_NOT_HERE}")
    return manifest


def _is_consistent(stored: _StoredFrame) -> bool:
    rows, names = [part.rows for part in stored.parts], [part.folder for part in stored.parts]
    ordered: dict[int, int] = {}
    for part, length in stored.runs:
        ordered[part] = ordered.get(part, 0) + length
    plain = all(name.startswith(_KEY) and PurePath(name).name == name and name.isprintable() for name in names)
    return plain and len({*names}) == len(names) and sum(rows) == stored.rows and ordered == dict(enumerate(rows))


def read_frame(place: Place, manifest: Manifest, name: str, accounts: Collection[str] | None = None) -> pd.DataFrame:
    frame, stored = FRAMES[name], manifest.frames.get(name)
    if stored is None:
        return frame.empty()
    if accounts is None:
        _refuse_foreign_files(place / name, {part.folder for part in stored.parts})
    else:
        stored = _of_accounts(stored, accounts)
    folder = place / name
    try:
        tables = _read_parts(folder, stored.parts)
        # A column that a file lacks is missing in its rows; one that the schema lacks is left out.
        table = pa.concat_tables([frame.arrow.empty_table(), *_in_order(tables, stored)], promote_options="default")
        for column, value in _LATER_COLUMNS.get(name, {}).items():
            table = table.set_column(frame.names.index(column), column, pc.fill_null(table[column], value))
        return frame.from_arrow(table.combine_chunks())
    except (OSError, pa.ArrowException, SchemaError) as error:
        raise StoreError(
            f"{display_path(folder)}: has data that this version cannot use ({' '.join(str(error).split())}); "
            "load its sources again"
        ) from error


def account_sizes(manifest: Manifest) -> dict[str, int]:
    """For each account, count the roles, count the profiles, and return the larger of the two counts."""
    sizes: dict[str, int] = {}
    for name in FRAMES:
        for part in manifest.frames[name].parts if name in manifest.frames else ():
            rows = part.rows if name in ("roles", "profiles") else 0
            if part.rows:
                sizes[part.account_id] = max(sizes.get(part.account_id, 0), rows)
    return sizes


def _of_accounts(stored: _StoredFrame, accounts: Collection[str]) -> _StoredFrame:
    chosen = [number for number, part in enumerate(stored.parts) if part.account_id in accounts]
    numbers = {was: now for now, was in enumerate(chosen)}
    runs = [(numbers[part], rows) for part, rows in stored.order if part in numbers]
    return _StoredFrame.from_runs([stored.parts[number] for number in chosen], runs)


def _refuse_foreign_files(folder: Place, own: set[str]) -> None:
    try:
        more = {*names_in(folder)} - own
        if isinstance(folder, Path):
            more |= {f"{name}/{file}" for name in own for file in names_in(folder / name) if file != _PART}
    except OSError:
        # `_read_part` refuses files that are missing or unreadable.
        return
    # Readers skip hidden files, such as those of file managers.
    others = sorted(name for name in more if not name.rpartition("/")[2].startswith((".", "_")))
    # Other programs would read the foreign files, too.
    if others:
        raise StoreError(
            f"{display_path(folder / others[0])}: does not belong to the snapshot; move it away, or save it again"
        )


def _read_parts(folder: Place, parts: list[SavedPart]) -> list[pa.Table]:
    files = [folder / part.folder / _PART for part in parts]
    if isinstance(folder, Path):
        return [*map(_read_part, files, parts)]
    # Threads help, because most of the time goes into waiting for the object store.
    with ThreadPoolExecutor(_THREADS) as threads:
        return [*threads.map(_read_part, files, parts)]


def _read_part(file: Place, part: SavedPart) -> pa.Table:
    import pyarrow.parquet as pq

    try:
        data = read_bytes(file, part.bytes)
    except OSError as error:
        if error.errno != errno.EFBIG:
            what = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({why(error)})"
            raise StoreError(f"{display_path(file)}: {what}; copy or save the snapshot again") from error
        # The file became longer, so its checksum cannot match.
        data = b""
    # A changed Parquet file may still be readable.
    if sha256(data).hexdigest() != part.sha256:
        raise StoreError(f"{display_path(file)}: is damaged or was changed; copy or save the snapshot again")
    return pq.ParquetFile(pa.BufferReader(data)).read()


def _in_order(tables: list[pa.Table], stored: _StoredFrame) -> Iterator[pa.Table]:
    rows = [*map(len, tables)]
    if rows != [part.rows for part in stored.parts]:
        raise SchemaError(f"{sum(rows):,} rows and not {stored.rows:,}")
    starts = [0] * len(tables)
    for part, length in stored.runs:
        yield tables[part].slice(starts[part], length)
        starts[part] += length
