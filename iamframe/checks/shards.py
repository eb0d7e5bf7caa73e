"""The shards of a snapshot: groups of accounts that one worker checks together.

A resource can refer to a profile of another account, so the checks of a shard also read data of other accounts. The
checks report findings only about the shard's own accounts.

`check_snapshot` writes these files into its folder `out`. NUMBER is the number of a shard, such as 00001.

- `checked.json` (written first): checksums of the snapshot, policy and checks, and the accounts of each shard.
- `findings/part-NUMBER.parquet`: the frame `findings` of the shard with this number.
- `coverage/part-NUMBER.parquet`: the frame `coverage` of the shard with this number.
- `checks/NAME/part-NUMBER.parquet`: the rows of `result["NAME"]` for the shard with this number.
- `shards/NUMBER.json` (written after the shard's other files): checksums of these files, and why accounts failed.

Columns whose names begin with `_` are internal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks.findings import COMMON, KEYS, Found
from iamframe.checks.result import Result, by_severity
from iamframe.errors import StoreError
from iamframe.inventory import schema
from iamframe.inventory.arrow import as_arrow, index_in, is_in
from iamframe.inventory.build import joined
from iamframe.inventory.gaps import GapList
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.linking import account_named
from iamframe.inventory.load import open_snapshot
from iamframe.inventory.on_demand import resolved_references
from iamframe.inventory.parts import Manifest, account_sizes, read_frame
from iamframe.inventory.places import Place, names_in, read_bytes, write_bytes
from iamframe.knowledge.operations import ALL, CHECK_SNAPSHOT
from iamframe.sources.archives import display_path, why

_THREADS = 16
_HEAD = "checked.json"
_FORMAT, _FORMAT_VERSION = "iamframe checked snapshot", 1
# The columns that decide how findings are counted.
_COUNTED = ["check", "severity", "expected", "accepted", "account_id", "resource_arn", "finding_id"]


class Shard(msgspec.Struct, frozen=True):
    number: int
    accounts: tuple[str, ...]
    # The other accounts whose profiles the group uses.
    uses: tuple[str, ...] = ()
    # The other accounts that use the group's profiles.
    used_by: tuple[str, ...] = ()


def shards_of(place: Place, manifest: Manifest, size: int) -> list[Shard]:
    sizes = account_sizes(manifest)
    uses, used_by = _foreign_uses(place, manifest)
    shards = []
    for number, accounts in enumerate(_groups(sizes, size), 1):
        others = (set().union(*(by.get(one, set()) for one in accounts)) - {*accounts} for by in (uses, used_by))
        shards.append(Shard(number, tuple(accounts), *(tuple(sorted(of & sizes.keys())) for of in others)))
    return shards


def _groups(sizes: dict[str, int], most: int) -> Iterator[list[str]]:
    group: list[str] = []
    rows = 0
    for account in sorted(sizes):
        if group and rows + sizes[account] > most:
            yield group
            group, rows = [], 0
        group.append(account)
        rows += sizes[account]
    # A snapshot without accounts has one shard without accounts.
    yield group


def _foreign_uses(place: Place, manifest: Manifest) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    uses: dict[str, set[str]] = defaultdict(set)
    used_by: dict[str, set[str]] = defaultdict(set)
    accounts = [part.account_id for part in manifest.frames["references"].parts if part.rows]
    with ThreadPoolExecutor(_THREADS) as threads:
        for references in threads.map(lambda one: read_frame(place, manifest, "references", [one]), accounts):
            own, other = as_arrow(references["account_id"]), _account_used(references)
            foreign = pa.table({"own": own, "other": other}).filter(pc.fill_null(pc.not_equal(own, other), False))
            for pair in foreign.group_by(["own", "other"]).aggregate([]).to_pylist():
                uses[pair["own"]].add(pair["other"])
                used_by[pair["other"]].add(pair["own"])
    return uses, used_by


def _account_used(references: pd.DataFrame) -> pa.Array:
    return pc.coalesce(account_named(references["profile_arn"]), account_named(references["named"]))


def inventory_of(
    folder: str, place: Place, manifest: Manifest, shard: Shard, failures: Mapping[str, str] | None = None
) -> Inventory:
    failures = failures or {}
    accounts, uses = ([one for one in some if one not in failures] for some in (shard.accounts, shard.uses))
    inventory = open_snapshot(folder, (*accounts, *uses))
    if more := [one for one in shard.used_by if one not in uses]:
        references = read_frame(place, manifest, "references", more)
        references = references[is_in(_account_used(references), accounts)]
        both = pd.concat([inventory.references, references], ignore_index=True)
        inventory = replace(inventory, references=resolved_references(both, inventory))
    lost = {one: failures[one] for one in shard.accounts if one in failures}
    return joined([inventory, unread(lost)], inventory.sources) if lost else inventory


def unread(failures: Mapping[str, str]) -> Inventory:
    gaps = GapList()
    for account, reason in failures.items():
        gaps.add(account, CHECK_SNAPSHOT, ALL, "unreadable", "gaps.account.failed", why=reason)
    frames: dict[str, Any] = {name: frame.empty() for name, frame in schema.FRAMES.items()}
    frames["accounts"] = schema.ACCOUNTS.conform({"account_id": sorted(failures), "source": CHECK_SNAPSHOT})
    return Inventory(**(frames | {"gaps": gaps.frame()}))


class Run(msgspec.Struct, frozen=True):
    """The snapshot and the options of a run. `check_snapshot` resumes a run only if no field has changed."""

    # The fields `snapshot`, `policy` and `checks` are checksums.
    snapshot: str
    policy: str
    checks: str
    owner_tag: str
    iamframe_version: str
    shards: list[Shard]
    format: str = _FORMAT
    format_version: int = _FORMAT_VERSION


class Done(msgspec.Struct, frozen=True):
    number: int
    # By folder: the checksum of the shard's file.
    files: dict[str, str]
    # By account: the reason why the account could not be checked.
    failures: dict[str, str] = {}


def begin(place: Place, run: Run) -> None:
    text = msgspec.json.encode(run)
    try:
        is_same = _read(place / _HEAD) == text
    except FileNotFoundError:
        with suppress(FileNotFoundError, NotADirectoryError):
            if names_in(place):
                raise StoreError(
                    f"{display_path(place)}: is not empty, and holds no results; choose another folder"
                ) from None
        _write(place / _HEAD, text)
        return
    if not is_same:
        raise StoreError(
            f"{display_path(place)}: holds the results of another snapshot, policy, set of checks, owner tag, shard "
            "size or version; choose another folder, or delete this one"
        )


def done_in(place: Place, shards: Iterable[Shard]) -> list[Done]:
    found = []
    for shard in shards:
        # A file that was cut off counts as missing.
        with suppress(FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            found.append(msgspec.json.decode(_read(_marker(place, shard.number)), type=Done))
    return found


def write_result(place: Place, number: int, result: Result, failures: Mapping[str, str]) -> None:
    found = result.sorted_findings("en")
    findings = found.select(schema.FINDINGS.names).cast(schema.FINDINGS.arrow).append_column("_order", found["order"])
    tables = {"findings": findings, "coverage": schema.COVERAGE.to_arrow(result.coverage).cast(schema.COVERAGE.arrow)}
    tables |= {f"checks/{name}": _facts_table(result.found[name]) for name in result.checks}
    files = {}
    for folder, table in tables.items():
        data = _parquet(table)
        _write(_part(place, folder, number), data)
        files[folder] = sha256(data).hexdigest()
    # The marker comes last: all files of a shard with a marker are complete.
    _write(_marker(place, number), msgspec.json.encode(Done(number, files, dict(failures))))


class Stored:
    def __init__(self, place: Place, done: Iterable[Done]) -> None:
        self._place, self.done = place, list(done)

    def one_by_one(self) -> Iterator[Stored]:
        for one in self.done:
            yield Stored(self._place, [one])

    @property
    def failures(self) -> dict[str, str]:
        return {account: reason for one in self.done for account, reason in one.failures.items()}

    def findings(self) -> pa.Table:
        return by_severity(pa.concat_tables(self.tables("findings")).rename_columns({"_order": "order"}))

    def counted(self) -> Iterator[pd.DataFrame]:
        # Each file is sorted by severity, as the function `attention_in` requires.
        for table in self.tables("findings", _COUNTED):
            yield table.to_pandas()

    def coverage(self) -> pd.DataFrame:
        return schema.COVERAGE.from_arrow(pa.concat_tables(self.tables("coverage")))

    def tables(self, folder: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
        import pyarrow.parquet as pq

        for one in self.done:
            file, data = _part(self._place, folder, one.number), b""
            with suppress(FileNotFoundError):
                data = _read(file)
            # A changed Parquet file may still be readable.
            if sha256(data).hexdigest() != one.files.get(folder):
                raise StoreError(
                    f"{display_path(file)}: is missing, damaged or changed; delete {display_path(self._place)}, and "
                    "check the snapshot again"
                )
            yield pq.ParquetFile(pa.BufferReader(data)).read(columns)


class StoredFound(Mapping[str, Found]):
    """A mapping from names of checks to their findings.

    Each access by a check's name reads the files of this check again.
    """

    def __init__(self, stored: Stored, checks: Iterable[str], findings: pa.Table | None = None) -> None:
        self._stored, self._checks = stored, list(checks)
        self._findings = findings

    def __iter__(self) -> Iterator[str]:
        return iter(self._checks)

    def __len__(self) -> int:
        return len(self._checks)

    def __getitem__(self, name: str) -> Found:
        if name not in self._checks:
            raise KeyError(name)
        parts = [self._findings] if self._findings is not None else self._stored.tables("findings")
        found = pa.concat_tables([part.filter(pc.equal(part["check"], name)) for part in parts])
        each = [table.to_pandas() for table in self._stored.tables(f"checks/{name}")]
        facts = pd.concat([one for one in each if len(one)] or each[:1], ignore_index=True)
        # `Found` needs the findings in the order of their facts.
        of, ids = pd.factorize(facts["finding_id"])
        rows = found.take(pa.array(index_in(ids, found["finding_id"])))
        facts = facts[[column for column in facts if column not in KEYS]]
        return Found(COMMON.checked(rows), facts.assign(finding=of))


def _facts_table(found: Found) -> pa.Table:
    facts = found.keyed([name for name in found.facts if name != "finding"])
    facts.columns = facts.columns.astype("str")
    try:
        return pa.Table.from_pandas(facts, preserve_index=False)
    except pa.ArrowException:
        # Your own check may have facts of several types in one column.
        mixed = facts.select_dtypes("object").astype("str")
        return pa.Table.from_pandas(facts.assign(**mixed), preserve_index=False)


def _part(place: Place, folder: str, number: int) -> Place:
    for name in folder.split("/"):
        place = place / name
    return place / f"part-{number:05d}.parquet"


def _marker(place: Place, number: int) -> Place:
    return place / "shards" / f"{number:05d}.json"


def _parquet(table: pa.Table) -> memoryview:
    import pyarrow.parquet as pq

    file = pa.BufferOutputStream()
    pq.write_table(table, file, compression="zstd")
    return memoryview(file.getvalue())


def _read(file: Place) -> bytes:
    try:
        return read_bytes(file)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"{display_path(file)}: cannot be read ({why(error)}); check the folder") from error


def _write(file: Place, data: bytes | memoryview) -> None:
    try:
        write_bytes(file, data)
    except OSError as error:
        raise StoreError(f"{display_path(file)}: cannot be written ({why(error)}); choose another folder") from error
