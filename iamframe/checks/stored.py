"""The files that `check_snapshot` writes into its folder. Each shard has a number and its own files.

    checked.json                         written first: the snapshot and the options of the call
    findings/part-00001.parquet          the frame `findings` of a shard
    coverage/part-00001.parquet          the frame `coverage` of a shard
    checks/NAME/part-00001.parquet       the facts of a check, as in `result["NAME"]`
    shards/00001.json                    written last: the shard was checked, or the reason why this failed

Columns whose names begin with `_` are internal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks.findings import COMMON, KEYS, Found
from iamframe.checks.result import Result, by_severity
from iamframe.checks.shards import Shard
from iamframe.errors import StoreError
from iamframe.inventory import schema
from iamframe.inventory.arrow import index_in
from iamframe.inventory.places import Place, names_in, read_bytes, why, write_bytes
from iamframe.sources.archives import display_path

HEAD = "checked.json"
_FORMAT, _FORMAT_VERSION = "iamframe checked snapshot", 1
# The columns that decide how findings are counted.
COUNTED = ("check", "severity", "expected", "accepted", "account_id", "resource_arn", "finding_id")


class Run(msgspec.Struct, frozen=True):
    """The snapshot and the options of a call. A later call resumes it only if all fields are equal.

    `snapshot` is the checksum of the manifest, and `policy` that of the policy. `checks` is a checksum of the names of
    the checks, and of the code of your own checks.
    """

    snapshot: str
    policy: str
    checks: str
    owner_tag: str
    iamframe_version: str
    shards: list[Shard]
    format: str = _FORMAT
    format_version: int = _FORMAT_VERSION


class Done(msgspec.Struct, frozen=True):
    """A shard that was checked: the checksums of its files by folder, and the accounts that could not be checked."""

    number: int
    files: dict[str, str]
    failures: dict[str, str] = {}


def begin(place: Place, run: Run) -> None:
    """Write the run to the folder. Raise StoreError if the folder has another run, or cannot be written."""
    text = msgspec.json.encode(run)
    noted: bytes | None = None
    with suppress(FileNotFoundError):
        noted = _read(place / HEAD)
    if noted is None:
        with suppress(FileNotFoundError, NotADirectoryError):
            if names_in(place):
                raise StoreError(f"{display_path(place)}: is not empty, and holds no results; choose another folder")
        write_file(place / HEAD, text)
    elif noted != text:
        raise StoreError(
            f"{display_path(place)}: holds the results of another snapshot, policy, set of checks, owner tag, shard "
            "size or version; choose another folder, or delete this one"
        )


def done_in(place: Place, shards: Iterable[Shard]) -> list[Done]:
    """Return the shards whose results are in the folder, including those with accounts that failed."""
    found = []
    for shard in shards:
        # A file that was cut off counts as missing.
        with suppress(FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            found.append(msgspec.json.decode(_read(_marker(place, shard.number)), type=Done))
    return found


def write_result(place: Place, number: int, result: Result, failures: Mapping[str, str]) -> None:
    """Write the result of a shard, and then the file in `shards/`.

    `failures` has the accounts that could not be checked, and the reasons.
    """
    found = result.sorted_findings("en")
    findings = found.select(schema.FINDINGS.names).cast(schema.FINDINGS.arrow).append_column("_order", found["order"])
    tables = {"findings": findings, "coverage": schema.COVERAGE.to_arrow(result.coverage).cast(schema.COVERAGE.arrow)}
    tables |= {f"checks/{name}": _facts_table(result.found[name]) for name in result.checks}
    files = {}
    for folder, table in tables.items():
        data = _parquet(table)
        write_file(_part(place, folder, number), data)
        files[folder] = sha256(data).hexdigest()
    write_file(_marker(place, number), msgspec.json.encode(Done(number, files, dict(failures))))


class Stored:
    """The results of some shards in a folder."""

    def __init__(self, place: Place, done: Iterable[Done]) -> None:
        self._place, self.done = place, list(done)

    def one_by_one(self) -> Iterator[Stored]:
        """Yield each shard."""
        for one in self.done:
            yield Stored(self._place, [one])

    @property
    def failures(self) -> dict[str, str]:
        """The accounts that could not be checked, and the reasons."""
        return {account: reason for one in self.done for account, reason in one.failures.items()}

    def tables(self, folder: str) -> list[pa.Table]:
        """Return the files in a folder, one per shard. Raise StoreError if a file is missing or was changed."""
        return [self._table(one, folder) for one in self.done]

    def findings(self) -> pa.Table:
        """Return the findings, sorted as in `Result.findings`, with the internal column `order`."""
        return by_severity(pa.concat_tables(self.tables("findings")).rename_columns({"_order": "order"}))

    def counted(self) -> Iterator[pd.DataFrame]:
        """Yield the findings of each shard, sorted by severity, with only the columns in `COUNTED`."""
        for one in self.done:
            yield pd.DataFrame(self._table(one, "findings", [*COUNTED]).to_pandas())

    def coverage(self) -> pd.DataFrame:
        """Return the coverage."""
        return schema.COVERAGE.from_arrow(pa.concat_tables(self.tables("coverage")))

    def _table(self, one: Done, folder: str, columns: list[str] | None = None) -> pa.Table:
        import pyarrow.parquet as pq

        file, data = _part(self._place, folder, one.number), b""
        with suppress(FileNotFoundError):
            data = _read(file)
        # A changed Parquet file may still be readable.
        if sha256(data).hexdigest() != one.files.get(folder):
            raise StoreError(
                f"{display_path(file)}: is missing, damaged or changed; delete {display_path(self._place)}, and check "
                "the snapshot again"
            )
        return pq.ParquetFile(pa.BufferReader(data)).read(columns)


class StoredFound(Mapping[str, Found]):
    """The findings and facts of shards, by check. They are read whenever a check is looked up.

    `findings` has the findings of all checks, if they are already in memory.
    """

    def __init__(self, stored: Stored, checks: Iterable[str], findings: pa.Table | None = None) -> None:
        self._stored, self._checks = stored, list(checks)
        self._findings = findings

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the checks."""
        return iter(self._checks)

    def __len__(self) -> int:
        """Return the number of checks."""
        return len(self._checks)

    def __getitem__(self, name: str) -> Found:
        """Return the findings of one check and their facts, shard by shard."""
        if name not in self._checks:
            raise KeyError(name)
        parts = self._stored.tables("findings") if self._findings is None else [self._findings]
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


def write_file(file: Place, data: bytes | memoryview) -> None:
    """Write a file. Raise StoreError if it cannot be written."""
    try:
        write_bytes(file, data)
    except OSError as error:
        raise StoreError(f"{display_path(file)}: cannot be written ({why(error)}); choose another folder") from error
