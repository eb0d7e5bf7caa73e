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

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks.findings import COMMON, Found
from iamframe.checks.result import Result, by_severity
from iamframe.checks.shards import Shard
from iamframe.errors import StoreError
from iamframe.inventory import schema
from iamframe.inventory.arrow import index_in
from iamframe.inventory.places import Place, read_bytes, why, write_bytes
from iamframe.sources.archives import display_path

HEAD = "checked.json"
_FORMAT, _FORMAT_VERSION = "iamframe checked snapshot", 1
# The columns that decide how findings are counted.
COUNTED = ("check", "severity", "expected", "accepted", "account_id", "resource_arn", "finding_id")
_KEYS = ["finding_id", "account_id", "resource_arn", "resource_name", "related_arn"]


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
    """A shard that was checked. `failure` is the reason if the shard could not be checked."""

    number: int
    failure: str | None = None


def begin(place: Place, run: Run) -> None:
    """Write the run to the folder. Raise StoreError if the folder has another run, or cannot be written."""
    text = msgspec.json.encode(run)
    noted: bytes | None = None
    with suppress(FileNotFoundError):
        noted = _read(place / HEAD)
    if noted is None:
        write_file(place / HEAD, text)
    elif noted != text:
        raise StoreError(
            f"{display_path(place)}: holds the results of another snapshot, policy, set of checks, owner tag, shard "
            "size or version; choose another folder, or delete this one"
        )


def done_in(place: Place, shards: Iterable[Shard]) -> list[Done]:
    """Return the shards whose results are in the folder, including those that failed."""
    found = []
    for shard in shards:
        # A file that was cut off counts as missing.
        with suppress(FileNotFoundError, msgspec.DecodeError):
            found.append(msgspec.json.decode(_read(_marker(place, shard.number)), type=Done))
    return found


def write_result(place: Place, number: int, result: Result, failure: str | None = None) -> None:
    """Write the result of a shard, and then the file in `shards/`."""
    found = result.sorted_findings("en")
    findings = found.select(schema.FINDINGS.names).cast(schema.FINDINGS.arrow).append_column("_order", found["order"])
    tables = {"findings": findings, "coverage": schema.COVERAGE.to_arrow(result.coverage).cast(schema.COVERAGE.arrow)}
    tables |= {f"checks/{name}": _facts_table(result.found[name]) for name in result.checks}
    for folder, table in tables.items():
        write_file(_part(place, folder, number), _parquet(table))
    write_file(_marker(place, number), msgspec.json.encode(Done(number, failure)))


def read_findings(place: Place, numbers: Iterable[int]) -> pa.Table:
    """Return the findings of shards, sorted as in `Result.findings`, with the internal column `order`."""
    tables = [_table(_part(place, "findings", number)) for number in numbers]
    return by_severity(pa.concat_tables(tables).rename_columns({"_order": "order"}))


def read_counted(place: Place, number: int) -> pd.DataFrame:
    """Return a shard's findings, sorted by severity, with only the columns in `COUNTED`."""
    return pd.DataFrame(_table(_part(place, "findings", number), [*COUNTED]).to_pandas())


def read_coverage(place: Place, numbers: Iterable[int]) -> pd.DataFrame:
    """Return the coverage of shards."""
    tables = (_table(_part(place, "coverage", number)) for number in numbers)
    return schema.COVERAGE.from_arrow(pa.concat_tables([schema.COVERAGE.arrow.empty_table(), *tables]))


class StoredFound(Mapping[str, Found]):
    """The findings and facts of shards, by check. They are read whenever a check is looked up.

    `findings` has the findings of all checks, if they are already in memory.
    """

    def __init__(
        self, place: Place, numbers: Iterable[int], checks: Iterable[str], findings: pa.Table | None = None
    ) -> None:
        self._place, self._numbers, self._checks = place, list(numbers), list(checks)
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
        read = (_table(_part(self._place, "findings", number)) for number in self._numbers)
        parts = read if self._findings is None else [self._findings]
        found = pa.concat_tables([part.filter(pc.equal(part["check"], name)) for part in parts])
        each = [_table(_part(self._place, f"checks/{name}", number)).to_pandas() for number in self._numbers]
        facts = pd.concat([one for one in each if len(one)] or each[:1], ignore_index=True)
        # `Found` needs the findings in the order of their facts.
        of, ids = pd.factorize(facts["finding_id"])
        rows = found.take(pa.array(index_in(ids, found["finding_id"])))
        facts = facts[[column for column in facts if column not in _KEYS]]
        return Found(COMMON.from_arrow(rows), facts.assign(finding=of))


def _facts_table(found: Found) -> pa.Table:
    each = found.findings[_KEYS].take(found.facts["finding"].to_numpy()).reset_index(drop=True)
    facts = found.facts.drop(columns="finding").reset_index(drop=True)
    facts.columns = facts.columns.astype("str")
    try:
        return pa.Table.from_pandas(pd.concat([each, facts], axis="columns"), preserve_index=False)
    except pa.ArrowException:
        # Your own check may have facts of several types in one column.
        mixed = facts.select_dtypes("object")
        return pa.Table.from_pandas(
            pd.concat([each, facts.assign(**mixed.astype("str"))], axis="columns"), preserve_index=False
        )


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


def _table(file: Place, columns: list[str] | None = None) -> pa.Table:
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(pa.BufferReader(_read(file))).read(columns)
    except (FileNotFoundError, pa.ArrowException) as error:
        raise StoreError(
            f"{display_path(file)}: is missing or damaged; delete the folder and check the snapshot again"
        ) from error


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
