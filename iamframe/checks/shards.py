"""The shards of a snapshot: groups of accounts that one worker checks together.

A resource can refer to a profile of another account, so the checks of a shard also read data of other accounts. The
checks report findings only about the shard's own accounts.

`check_snapshot` writes the following files into its folder `out`. NUMBER is the number of a shard, such as 00001.

- `checked.json` (written first): which accounts each shard has, and checksums of the snapshot, policy and checks.
- `findings/part-NUMBER.parquet`: the frame `findings` of the shard with this number.
- `coverage/part-NUMBER.parquet`: the frame `coverage` of the shard with this number.
- `checks/NAME/part-NUMBER.parquet`: for a check with this name, the rows of `result["NAME"]` for the shard.
- `shards/NUMBER.json` (written after the shard's other files): checksums of these files, and why accounts failed.

In the Parquet files, columns whose names begin with `_` are internal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks.findings import COMMON, KEYS, Found
from iamframe.checks.result import Result, attention_in, by_severity, frame_and_order, tally_of
from iamframe.errors import StoreError
from iamframe.inventory import schema, views
from iamframe.inventory.arrow import Positions, as_arrow, index_in, is_in
from iamframe.inventory.build import joined
from iamframe.inventory.completeness import completeness
from iamframe.inventory.gaps import GapList
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.linking import account_named
from iamframe.inventory.load import open_snapshot
from iamframe.inventory.on_demand import InventoryOnDemand, resolved_references
from iamframe.inventory.parts import Manifest, account_sizes, read_frame
from iamframe.inventory.places import Place, names_in, read_bytes, write_bytes
from iamframe.inventory.snapshot import find_snapshot
from iamframe.knowledge.operations import ALL, CHECK_SNAPSHOT
from iamframe.sources.archives import display_path, why

_THREADS = 16
_HEAD = "checked.json"
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
    format: str = "iamframe checked snapshot"
    format_version: int = 1

    def begin(self, place: Place) -> None:
        text = msgspec.json.encode(self)
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
                f"{display_path(place)}: holds the results of another snapshot, policy, set of checks, owner tag, "
                "shard size or version; choose another folder, or delete this one"
            )

    def done_in(self, place: Place) -> list[Done]:
        found = []
        for shard in self.shards:
            # A file that was cut off counts as missing.
            with suppress(FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
                found.append(msgspec.json.decode(_read(_marker(place, shard.number)), type=Done))
        return found


class Done(msgspec.Struct, frozen=True):
    number: int
    # By folder: the checksum of the shard's file.
    files: dict[str, str]
    # By account: the reason why the account could not be checked.
    failures: dict[str, str] = {}


def write_result(place: Place, number: int, result: Result, failures: Mapping[str, str]) -> None:
    import pyarrow.parquet as pq

    found = result.sorted_findings("en")
    findings = found.select(schema.FINDINGS.names).cast(schema.FINDINGS.arrow).append_column("_order", found["order"])
    tables = {"findings": findings, "coverage": schema.COVERAGE.to_arrow(result.coverage).cast(schema.COVERAGE.arrow)}
    tables |= {f"checks/{name}": _facts_table(result.found[name]) for name in result.checks}
    files = {}
    for folder, table in tables.items():
        pq.write_table(table, file := pa.BufferOutputStream(), compression="zstd")
        _write(_part(place, folder, number), data := memoryview(file.getvalue()))
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


class CheckedSnapshot(Result):
    """A `Result` that reads each frame from files when the frame is first used."""

    _folder: str
    _stored: Stored
    _shards: Sequence[Shard]

    def __new__(cls, **values: Any) -> Result:  # type: ignore[misc]
        # The function `dataclasses.replace` passes values to the class. Its copy is a plain `Result`, with all findings
        # in memory. The module `pickle` passes no values.
        return Result(**values) if values else object.__new__(cls)

    @classmethod
    def of(cls, folder: str, stored: Stored, shards: Sequence[Shard], **values: Any) -> CheckedSnapshot:
        result = object.__new__(cls)
        result.__dict__.update(values, _folder=folder, _stored=stored, _shards=shards)
        return result

    @cached_property
    def inventory(self) -> Inventory:
        failures = self._stored.failures
        checked = [account for shard in self._shards for account in shard.accounts if account not in failures]
        return InventoryOnDemand.of(self._folder, checked, unread(failures) if failures else None)

    @cached_property
    def found(self) -> Mapping[str, Any]:
        return StoredFound(self._stored, self.checks)

    @cached_property
    def coverage(self) -> pd.DataFrame:
        return self._stored.coverage()

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """The view `pairs` of all checked accounts, not only of one shard."""
        return views.pairs(self.inventory, self.policy.makers)

    @cached_property
    def lists(self) -> pd.DataFrame:
        return completeness(self.inventory)

    @cached_property
    def with_order(self) -> tuple[pd.DataFrame, Positions]:
        return frame_and_order(self._stored.findings())

    @cached_property
    def tally(self) -> pd.DataFrame:
        tallies = pd.concat([tally_of(findings) for findings in self._stored.counted()])
        keys = [name for name in tallies.columns if name != "findings"]
        return tallies.groupby(keys, dropna=False, observed=True)["findings"].sum().reset_index()

    @cached_property
    def attention(self) -> pd.Series:
        # Each resource is in one account, and each account in one shard.
        return pd.DataFrame([attention_in(findings) for findings in self._stored.counted()]).sum().rename("resources")

    def parts(self, *, neighbours: bool = False) -> Iterator[Result]:
        place, manifest = find_snapshot(self._folder)
        for shard, stored in zip(self._shards, self._stored.one_by_one(), strict=True):
            # A variable would keep the part in memory while the next part is read.
            yield self._part(shard, stored, place, manifest, neighbours=neighbours)

    def _part(self, shard: Shard, stored: Stored, place: Place, manifest: Manifest, *, neighbours: bool) -> Result:
        wanted = shard if neighbours else msgspec.structs.replace(shard, uses=())
        inventory = inventory_of(self._folder, place, manifest, wanted, self._stored.failures)
        used_profiles = as_arrow(inventory.references["profile_arn"])
        if shard.used_by and not neighbours:
            own = is_in(inventory.references["account_id"], shard.accounts)
            inventory = replace(inventory, references=inventory.references[own].reset_index(drop=True))
        findings = stored.findings()
        part = Result(
            inventory,
            StoredFound(stored, self.checks, findings),
            stored.coverage(),
            self.checks,
            self.policy,
            views.pairs(inventory, self.policy.makers),
            completeness(inventory),
            self.owner_tag,
        )
        # An owner may come from a tag in another account, so the stored findings are not computed again.
        part.__dict__.update(with_order=frame_and_order(findings), used_profiles=used_profiles)
        return part


def _facts_table(found: Found) -> pa.Table:
    facts = found.keyed([name for name in found.facts if name != "finding"])
    facts.columns = facts.columns.astype("str")
    return pa.Table.from_pandas(facts, preserve_index=False)


def _part(place: Place, folder: str, number: int) -> Place:
    for name in folder.split("/"):
        place = place / name
    return place / f"part-{number:05d}.parquet"


def _marker(place: Place, number: int) -> Place:
    return place / "shards" / f"{number:05d}.json"


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
