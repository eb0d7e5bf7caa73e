"""Records to frames: the answers of all sources, merged by ARN into one `Inventory`.

Merging follows one rule: a known value beats an unknown one, and two known values that differ leave the cell unknown
and a `contradicted` row in `gaps` that tells both. What no source says is a `not_in_file` gap.
"""

from __future__ import annotations

import gc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import UNSET, Raw, UnsetType

from iamframe import schema
from iamframe.keys import Contradiction, Positions, is_in, merged, position
from iamframe.sources.records import (
    GLOBAL,
    UNKNOWN_ACCOUNT,
    Account,
    Answer,
    Gap,
    Mention,
    NestedProfile,
    NestedRole,
    Tagging,
    account_of,
    accounts_of,
    name_of,
    parsed_time,
    partition_of,
    path_of,
    time_text,
)
from iamframe.sources.references import CORE
from iamframe.trust import Says, read_parts

ROLE_LISTS = ("GetAccountAuthorizationDetails", "ListRoles")
PROFILE_LIST = "ListInstanceProfiles"
ROLE_LINKS = "ListInstanceProfilesForRole"
ALL = "*"
_IAM_OWN = (*ROLE_LISTS, PROFILE_LIST, ROLE_LINKS, "GetRole", "GetInstanceProfile")


@dataclass(frozen=True, slots=True)
class Inventory:
    """The roles and instance profiles of one account or many, as linked DataFrames.

    Each frame is a plain DataFrame with the columns that `iamframe.schema` gives it; frames join on the columns that
    they share (`role_arn`, `profile_arn`, `account_id`). Functions of iamframe never change them.
    """

    accounts: pd.DataFrame
    roles: pd.DataFrame
    profiles: pd.DataFrame
    links: pd.DataFrame
    tags: pd.DataFrame
    references: pd.DataFrame
    gaps: pd.DataFrame
    calls: pd.DataFrame
    sources: tuple[str, ...] = ()

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """The frames by name, in the order of the schema."""
        return {name: getattr(self, name) for name in schema.FRAMES}

    def __repr__(self) -> str:
        """Return the number of rows of each frame, in one line."""
        rows = ", ".join(f"{len(frame):,} {name}" for name, frame in self.frames.items())
        return f"Inventory({rows})"


def build_inventory(answers: Iterable[Answer], sources: Iterable[str] = ()) -> Inventory:
    """Return the frames that answers of AWS, or files that stand for them, prove.

    Frames are sorted by their key, so that the order of the answers does not matter.
    """
    with _large_load():
        book = _Book()
        for answer in answers:
            book.read(answer)
        return book.inventory(tuple(sources))


@contextmanager
def _large_load() -> Iterator[None]:
    """Hold the collector off, and let Arrow take memory from the system, while an inventory is built."""
    # Records come by the hundred thousand and none is cyclic: the collector would walk them all again and again.
    was_on = gc.isenabled()
    gc.disable()
    # Arrow's own pool gives memory back and takes it again chunk by chunk, at up to a third of the time.
    pool = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(pool)
        if was_on:
            gc.enable()


_ROLE_COLUMNS = {
    "role_arn": pa.string(),
    "account_id": pa.string(),
    "role_name": pa.string(),
    "role_path": pa.string(),
    "role_id": pa.string(),
    "created_at": pa.string(),
    "description": pa.string(),
    "max_session_seconds": pa.int64(),
    "permissions_boundary_arn": pa.string(),
    "last_used_at": pa.string(),
    "last_used_region": pa.string(),
    "last_used_known": pa.bool_(),
    "trust": pa.int32(),
    "trust_unreadable": pa.bool_(),
    "tags_known": pa.bool_(),
    "links_known": pa.bool_(),
    "origin": pa.int32(),
}
_PROFILE_COLUMNS = {
    "profile_arn": pa.string(),
    "account_id": pa.string(),
    "profile_name": pa.string(),
    "profile_path": pa.string(),
    "profile_id": pa.string(),
    "created_at": pa.string(),
    "role_known": pa.bool_(),
    "tags_known": pa.bool_(),
    "origin": pa.int32(),
}
_LINK_COLUMNS = {"profile_arn": pa.string(), "role_arn": pa.string(), "origin": pa.int32()}
_TAG_COLUMNS = {
    "resource_arn": pa.string(),
    "tag_key": pa.string(),
    "tag_value": pa.string(),
    "resource_type": pa.string(),
    "origin": pa.int32(),
}


class _Rows:
    """Columns that grow by chunks, one Arrow array per chunk and column."""

    def __init__(self, columns: dict[str, pa.DataType]) -> None:
        self.schema = pa.schema(list(columns.items()))
        self.batches: list[pa.RecordBatch] = []

    def add(self, size: int, **values: Any) -> None:
        arrays = []
        for column in self.schema:
            given = values.get(column.name)
            if given is None and pa.types.is_boolean(column.type):
                given = False
            if given is None or isinstance(given, (bool, int, str)):
                arrays.append(pa.repeat(pa.scalar(given, column.type), size))
            else:
                arrays.append(given if isinstance(given, pa.Array) else pa.array(given, column.type))
        self.batches.append(pa.record_batch(arrays, schema=self.schema))

    def table(self) -> pa.Table:
        table = pa.Table.from_batches(self.batches, self.schema)
        self.batches = []
        # Keys are looked up again and again, in one piece; putting the other columns together costs more than it saves.
        for index, name in enumerate(table.column_names):
            if name.endswith("_arn") and table[name].num_chunks > 1:
                table = table.set_column(index, table.schema.field(index), table[name].combine_chunks())
        return table


@dataclass(slots=True)
class _Call:
    rows: int = 0
    state: str = "partial"


def _column(records: list[Any], name: str) -> list[Any] | None:
    if name not in type(records[0]).__struct_fields__:
        return None
    values = list(map(attrgetter(name), records))
    return None if values[0] is None and values.count(None) == len(values) else values


def _filled(values: list[Any] | None, arns: list[str], derive: Callable[[str], str | None]) -> list[str | None]:
    """Return values, with what the ARN says where a record leaves one out."""
    if values is None:
        return list(map(derive, arns))
    return values if all(values) else [v or derive(arn) for v, arn in zip(values, arns, strict=True)]


def _accounts_of(arns: list[str], fallback: str) -> tuple[str | list[str], Counter[str]]:
    """Return the account of each ARN, or the one of all of them, and how often each comes."""
    prefix = arns[0].split("/", 1)[0] + "/"
    if all(arn.startswith(prefix) for arn in arns):
        account = account_of(prefix) or fallback
        return account, Counter({account: len(arns)})
    accounts = [account or fallback for account in accounts_of(arns)]
    return accounts, Counter(accounts)


def _known(values: list[Any] | None) -> list[bool] | bool:
    return False if values is None else [value is not UNSET for value in values]


def _time_texts(values: list[Any] | None) -> list[str | None] | None:
    if values is None or set(map(type, values)) <= _TEXT_OR_NONE:
        return values
    texts = []
    for value in values:
        try:
            texts.append(time_text(value))
        except (ValueError, OverflowError, OSError):
            texts.append(f"unreadable {value!r}")
    return texts


_TEXT_OR_NONE = {str, type(None)}
_NO_DOCUMENT, _NO_POLICY = -1, -2


class _Trusts:
    """The trust policies of all roles: each distinct document is read once and has a code, its place in the columns."""

    def __init__(self) -> None:
        self._codes: dict[bytes, int] = {}
        self._texts: list[pa.Array] = []
        self._says: list[Says] = []

    def codes(self, documents: Iterable[Raw | UnsetType]) -> list[int]:
        """Return the code of each document; below 0 where there is none, or it is no policy."""
        # Thousands of roles share a few documents: a lookup is all that most of them cost.
        known, codes = self._codes, []
        texts: list[str] = []
        for raw in documents:
            document = b"null" if raw is UNSET else bytes(raw)
            code = known.get(document)
            if code is None:
                code = known[document] = _NO_DOCUMENT if document == b"null" else self._read(document, texts)
            codes.append(code)
        if texts:
            self._texts.append(pa.array(texts, pa.string()))
        return codes

    def _read(self, document: bytes, texts: list[str]) -> int:
        read = read_parts(document)
        if read is None:
            return _NO_POLICY
        texts.append(read[0])
        self._says.append(read[1])
        return len(self._says) - 1

    def texts(self) -> pa.Array:
        """Return the canonical texts."""
        if len(self._texts) != 1:
            self._texts = [pa.concat_arrays(self._texts) if self._texts else pa.array([], pa.string())]
        return self._texts[0]

    def unified(self, codes: pa.Array) -> pa.Array:
        """Return codes that are one for all documents of the same text, however each is written."""
        encoded = self.texts().dictionary_encode()
        if len(encoded.dictionary) == len(encoded):
            return codes
        same = np.asarray(encoded.indices)
        first = np.empty(len(encoded.dictionary), dtype=np.int32)
        first[same[::-1]] = np.arange(len(same), dtype=np.int32)[::-1]
        return pa.array(first[same], pa.int32()).take(codes)

    def columns(self) -> tuple[pa.Array, pa.Array, pa.Array]:
        """Return, per code, the text, whether EC2 is trusted, and the services."""
        ec2, services, _ = zip(*self._says, strict=True) if self._says else ([], [], [])
        return self.texts(), pa.array(ec2, pa.string()), pa.array(services, pa.string())


class _Book:
    """What the answers say, row by row, before it is merged."""

    def __init__(self) -> None:
        self.roles, self.profiles = _Rows(_ROLE_COLUMNS), _Rows(_PROFILE_COLUMNS)
        self.links, self.tags = _Rows(_LINK_COLUMNS), _Rows(_TAG_COLUMNS)
        self.named_tags: list[tuple[str | None, Tagging, int]] = []
        self.mentions: list[Mention] = []
        self.gaps: list[dict[str, str]] = []
        self.calls: dict[tuple[str, str, str], _Call] = defaultdict(_Call)
        self.accounts: dict[str, dict[str, Any]] = {}
        self.origins: list[str] = []
        self.operations: list[str] = []
        self.trusts = _Trusts()

    # Reading

    def read(self, answer: Answer) -> None:
        origin = len(self.origins)
        self.origins.append(f"{answer.operation} in {answer.origin}")
        self.operations.append(answer.operation)
        rows, accounts = 0, Counter[str]()
        for chunk in answer:
            found = self._chunk(chunk, answer, origin)
            rows += len(chunk)
            accounts.update(found)
        if answer.operation == "denied" and answer.account_id:
            # An account of which all was refused is one of those that were asked for, and nothing of it is known.
            self._account(answer.account_id, answer)
        if answer.operation in ("", "file", "denied"):
            return
        if not accounts:
            accounts[answer.account_id or UNKNOWN_ACCOUNT] = rows
        if len(accounts) > 1 and answer.state == "complete":
            answer.state = "partial"
            for account in accounts:
                self.gap(
                    account,
                    answer.operation,
                    answer.origin,
                    "not_in_file",
                    f"{answer.origin}: lists several accounts, so that it may be the whole list of none; "
                    "export each account by itself",
                )
        for account, count in accounts.items():
            if account == UNKNOWN_ACCOUNT and not rows:
                continue
            call = self.calls[account, answer.operation, answer.region]
            call.rows += count
            call.state = min(call.state, answer.state, key=["truncated", "complete", "partial"].index)
            if answer.state == "truncated":
                self.gap(
                    account,
                    answer.operation,
                    answer.origin,
                    "truncated",
                    f"{answer.origin}: says that there is more, or could be read only in part, so that it is not the "
                    "whole list; export it again without --max-items and --no-paginate",
                    answer.region,
                )
            self._account(account, answer)

    def _account(self, account: str, answer: Answer) -> dict[str, Any]:
        row = self.accounts.setdefault(account, {"sources": [], "captured_at": []})
        if answer.source not in row["sources"]:
            row["sources"].append(answer.source)
        if answer.captured_at:
            row["captured_at"].append(answer.captured_at)
        return row

    def gap(self, account: str, operation: str, subject: str, reason: str, detail: str, region: str = GLOBAL) -> None:
        self.gaps.append(
            {
                "account_id": account,
                "region": region,
                "operation": operation,
                "subject": subject,
                "reason": reason,
                "detail": detail,
            }
        )

    def _chunk(self, chunk: list[Any], answer: Answer, origin: int) -> Counter[str]:
        fallback = answer.account_id or UNKNOWN_ACCOUNT
        if isinstance(chunk[0], NestedRole):
            return self._roles(chunk, fallback, origin)
        if isinstance(chunk[0], NestedProfile):
            return self._profiles(chunk, fallback, origin)
        if isinstance(chunk[0], Tagging):
            self.named_tags += [(answer.account_id, tagging, origin) for tagging in chunk]
        elif isinstance(chunk[0], Mention):
            self.mentions += chunk
            return Counter(mention.account_id or fallback for mention in chunk)
        elif isinstance(chunk[0], Account):
            row = self._account(fallback, answer) if answer.account_id else {}
            for record in chunk:
                row.update(
                    {name: value for name in record.__struct_fields__ if (value := getattr(record, name)) is not None}
                )
        elif isinstance(chunk[0], Gap):
            for gap in chunk:
                self.gap(gap.account_id or fallback, gap.operation, gap.subject, gap.reason, gap.detail, gap.region)
        return Counter({fallback: len(chunk)})

    def _roles(self, records: list[Any], fallback: str, origin: int) -> Counter[str]:
        arns = list(map(attrgetter("role_arn"), records))
        accounts, counts = _accounts_of(arns, fallback)
        boundaries = _column(records, "boundary")
        used = _column(records, "last_used")
        tags = _column(records, "tags")
        profiles = _column(records, "profiles")
        codes = np.array(self.trusts.codes(map(attrgetter("trust_policy"), records)), dtype=np.int32)
        ats = [value.at if value is not UNSET else None for value in used] if used else None
        self.roles.add(
            len(records),
            role_arn=arns,
            account_id=accounts,
            role_name=_filled(_column(records, "role_name"), arns, _name),
            role_path=_filled(_column(records, "role_path"), arns, path_of),
            role_id=_column(records, "role_id"),
            created_at=_time_texts(_column(records, "created_at")),
            description=_column(records, "description"),
            max_session_seconds=_column(records, "max_session_seconds"),
            permissions_boundary_arn=[b.arn if b else None for b in boundaries] if boundaries else None,
            last_used_at=_time_texts(ats),
            last_used_region=[u.region if u is not UNSET else None for u in used] if used else None,
            last_used_known=_known(used),
            trust=pa.array(codes, pa.int32(), mask=codes < 0),
            trust_unreadable=pa.array(codes == _NO_POLICY),
            tags_known=_known(tags),
            links_known=_known(profiles),
            origin=origin,
        )
        self._tags("role", arns, tags, origin)
        held = [(p, arn) for arn, ps in zip(arns, profiles or (), strict=False) if ps is not UNSET for p in ps]
        if held:
            nested, roles = map(list, zip(*held, strict=True))
            self._profiles(nested, fallback, origin, under=roles)
        return counts

    def _profiles(self, records: list[Any], fallback: str, origin: int, under: list[str] | None = None) -> Counter[str]:
        arns = list(map(attrgetter("profile_arn"), records))
        accounts, counts = _accounts_of(arns, fallback)
        roles = _column(records, "roles")
        tags = _column(records, "tags")
        self.profiles.add(
            len(records),
            profile_arn=arns,
            account_id=accounts,
            profile_name=_filled(_column(records, "profile_name"), arns, _name),
            profile_path=_filled(_column(records, "profile_path"), arns, path_of),
            profile_id=_column(records, "profile_id"),
            created_at=_time_texts(_column(records, "created_at")),
            role_known=True if under else _known(roles),
            tags_known=_known(tags),
            origin=origin,
        )
        self._tags("instance-profile", arns, tags, origin)
        if under:
            self.links.add(len(arns), profile_arn=arns, role_arn=under, origin=origin)
            return counts
        held = [(arn, role) for arn, rs in zip(arns, roles or (), strict=False) if rs is not UNSET for role in rs]
        if held:
            profiles, nested = map(list, zip(*held, strict=True))
            self.links.add(len(held), profile_arn=profiles, role_arn=[r.role_arn for r in nested], origin=origin)
            shown = [role for role in nested if not role.role_arn.startswith("name:")]
            if shown:
                self._roles(shown, fallback, origin)
        return counts

    def _tags(self, kind: str, arns: list[str], tags: list[Any] | None, origin: int) -> None:
        known = [(arn, own) for arn, own in zip(arns, tags or (), strict=False) if own is not UNSET and own]
        if known:
            self.tags.add(
                sum(len(own) for _, own in known),
                resource_arn=[arn for arn, own in known for _ in own],
                tag_key=[tag.key for _, own in known for tag in own],
                tag_value=[tag.value for _, own in known for tag in own],
                resource_type=kind,
                origin=origin,
            )

    # Merging

    def inventory(self, sources: tuple[str, ...]) -> Inventory:
        role_rows, profile_rows = self.roles.table(), self.profiles.table()
        if pc.count_distinct(role_rows["role_arn"]).as_py() < len(role_rows):
            trust = self.trusts.unified(role_rows["trust"].combine_chunks())
            role_rows = role_rows.set_column(role_rows.column_names.index("trust"), "trust", trust)
        role_rows = self._timed(role_rows, "role_arn", ("created_at", "last_used_at"))
        profile_rows = self._timed(profile_rows, "profile_arn", ("created_at",))
        roles, clashes = merged(
            role_rows,
            "role_arn",
            ("last_used_known", "trust_unreadable", "tags_known", "links_known"),
            {"last_used_at": ("last_used_region",)},
        )
        profiles, more = merged(profile_rows, "profile_arn", ("role_known", "tags_known"))
        roles, profiles = _sorted(roles, ["role_arn"]), _sorted(profiles, ["profile_arn"])
        for clash in (*clashes, *more):
            self._contradicted(clash)
        links, roles, profiles = self._linked(role_rows, profile_rows, roles, profiles)
        tags, roles, profiles = self._tagged(role_rows, profile_rows, roles, profiles)
        roles = self._with_trust(roles)
        profiles = profiles.set_column(1, "account_id", pc.fill_null(profiles["account_id"], UNKNOWN_ACCOUNT))
        self._shorter_than_counted(roles, profiles)
        self._lacking_others(role_rows, "role_arn", ROLE_LISTS)
        self._lacking_others(profile_rows, "profile_arn", (PROFILE_LIST,))
        references = self._resolved(profiles)
        for name, table in (("role_arn", roles), ("profile_arn", profiles)):
            for account in pc.unique(table["account_id"]).to_pylist():
                first = pc.index(table["account_id"], account).as_py()
                self._partition(account, table[name][first].as_py())
        for account in pc.unique(references["account_id"]).to_pylist():
            self.accounts.setdefault(account, {"sources": list(sources), "captured_at": []})
        self._absent(roles, profiles)
        return Inventory(
            accounts=self._accounts(sources),
            roles=schema.ROLES.from_arrow(roles),
            profiles=schema.PROFILES.from_arrow(profiles),
            links=schema.LINKS.from_arrow(links),
            tags=schema.TAGS.from_arrow(tags),
            references=schema.REFERENCES.from_arrow(references),
            gaps=self._gaps(),
            calls=self._calls(),
            sources=sources,
        )

    def _contradicted(self, clash: Contradiction) -> None:
        one, two = (self.origins[int(origin)] for origin in clash.origins)
        said = [self.trusts.texts()[s] if clash.column == "trust" else s for s in clash.said]
        column = "trust_policy" if clash.column == "trust" else clash.column
        self.gap(
            account_of(clash.key) or UNKNOWN_ACCOUNT,
            column,
            clash.key,
            "contradicted",
            f"{column} of {clash.key} is {said[0]} by {one} and {said[1]} by {two}, so it is left unknown",
        )

    def _timed(self, table: pa.Table, key: str, names: tuple[str, ...]) -> pa.Table:
        for name in names:
            times, unreadable = _times(table[name])
            for row in unreadable:
                arn = table[key][row].as_py()
                self.gap(
                    account_of(arn) or UNKNOWN_ACCOUNT,
                    name,
                    arn,
                    "unreadable",
                    f"{name} of {arn} is {table[name][row].as_py()!r}, which is no time, so it is left unknown",
                )
            table = table.set_column(table.column_names.index(name), name, times)
        return table

    def _linked(
        self, role_rows: pa.Table, profile_rows: pa.Table, roles: pa.Table, profiles: pa.Table
    ) -> tuple[pa.Table, pa.Table, pa.Table]:
        links = self._resolved_roles(self.links.table(), roles, profiles)
        shown = links
        said = profile_rows.select(["profile_arn", "origin"]).filter(profile_rows["role_known"])
        links, doubted = _agreed(said, "profile_arn", links, ["role_arn"])
        doubted_links: dict[str, str] = {
            arn: f"what it holds is {_or_nothing(one)} by {self.origins[a]} and {_or_nothing(two)} by {self.origins[b]}"
            for arn, ((one, a), (two, b)) in doubted.items()
        }
        doubted_roles = {
            role for sides in doubted.values() for held, _ in sides for (role,) in held if not role.startswith("name:")
        }
        own = role_rows.select(["role_arn", "origin"]).filter(role_rows["links_known"])
        for profile, role, origin, own_origin in _not_in_own_list(shown, own):
            doubted_links[profile] = (
                f"{self.origins[origin]} shows {role} in it, and {self.origins[own_origin]} does not"
            )
            doubted_roles.add(role)
        for arn, sentence in doubted_links.items():
            self.gap(
                account_of(arn) or UNKNOWN_ACCOUNT,
                "GetInstanceProfile",
                arn,
                "contradicted",
                f"{arn}: {sentence}, so it is left unknown; `aws iam get-instance-profile "
                f"--instance-profile-name={name_of(arn)}` would tell",
            )
        doubt = pa.array(list(doubted_links), pa.string())
        links = links.filter(pc.invert(pa.array(is_in(links["profile_arn"], doubt))))
        known = np.asarray(profiles["role_known"]) & ~is_in(profiles["profile_arn"], doubt)
        profiles = profiles.set_column(profiles.column_names.index("role_known"), "role_known", pa.array(known))
        own_known = np.asarray(roles["links_known"]) & ~is_in(
            roles["role_arn"], pa.array(list(doubted_roles), pa.string())
        )
        roles = roles.set_column(roles.column_names.index("links_known"), "links_known", pa.array(own_known))
        for arn in sorted(doubted_roles):
            self.gap(
                account_of(arn) or UNKNOWN_ACCOUNT,
                ROLE_LINKS,
                arn,
                "contradicted",
                f"{arn}: sources disagree on the profiles that hold it",
            )
        links = _distinct(_sorted(links, ["profile_arn", "role_arn"]), ["profile_arn", "role_arn"])
        accounts = (
            profiles["account_id"]
            .combine_chunks()
            .take(pa.array(position(links["profile_arn"], profiles["profile_arn"])))
        )
        return links.drop_columns("origin").append_column("account_id", accounts), roles, profiles

    def _resolved_roles(self, links: pa.Table, roles: pa.Table, profiles: pa.Table) -> pa.Table:
        """Give links that know their role by name alone its ARN, where the account (or the file) shows that role."""
        rows = np.flatnonzero(np.asarray(pc.starts_with(links["role_arn"], "name:")))
        if not len(rows):
            return links
        by_name = {
            (account, name.casefold()): arn
            for account, name, arn in zip(
                *(roles[c].to_pylist() for c in ("account_id", "role_name", "role_arn")), strict=True
            )
            if name is not None
        }
        accounts = dict(zip(profiles["profile_arn"].to_pylist(), profiles["account_id"].to_pylist(), strict=True))
        arns = links["role_arn"].to_pylist()
        for row in rows.tolist():
            profile, name = links["profile_arn"][row].as_py(), arns[row].removeprefix("name:")
            account = accounts.get(profile) or UNKNOWN_ACCOUNT
            arns[row] = by_name.get((account, name.casefold()), arns[row])
            if arns[row].startswith("name:"):
                self.gap(
                    account,
                    "GetRole",
                    arns[row],
                    "not_in_file",
                    f"{profile} holds the role {name}, which no source shows: its path, trust and tags are unknown; "
                    f"`aws iam get-role --role-name={name}` would show them",
                )
        return links.set_column(1, "role_arn", pa.array(arns, pa.string()))

    def _tagged(
        self, role_rows: pa.Table, profile_rows: pa.Table, roles: pa.Table, profiles: pa.Table
    ) -> tuple[pa.Table, pa.Table, pa.Table]:
        named = self._named_tags(roles, profiles)
        said = pa.concat_tables(
            [
                role_rows.select(["role_arn", "origin"])
                .filter(role_rows["tags_known"])
                .rename_columns(["resource_arn", "origin"]),
                profile_rows.select(["profile_arn", "origin"])
                .filter(profile_rows["tags_known"])
                .rename_columns(["resource_arn", "origin"]),
                named,
            ]
        )
        tags, doubted = _agreed(said, "resource_arn", self.tags.table(), ["tag_key", "tag_value"])
        for arn, ((one, a), (two, b)) in doubted.items():
            self.gap(
                account_of(arn) or UNKNOWN_ACCOUNT,
                "tags",
                arn,
                "contradicted",
                f"tags of {arn} are {_shown_tags(one)} by {self.origins[a]} and {_shown_tags(two)} by "
                f"{self.origins[b]}, so they are left unknown",
            )
        doubt = pa.array(list(doubted), pa.string())
        tables = []
        for table, key in ((roles, "role_arn"), (profiles, "profile_arn")):
            known = np.asarray(table["tags_known"]) | is_in(table[key], named["resource_arn"])
            known &= ~is_in(table[key], doubt)
            tables.append(table.set_column(table.column_names.index("tags_known"), "tags_known", pa.array(known)))
        owners = pa.concat_arrays([t["account_id"].combine_chunks() for t in tables])
        arns = pa.concat_arrays([tables[0]["role_arn"].combine_chunks(), tables[1]["profile_arn"].combine_chunks()])
        # Roles and profiles are sorted already, so that sorting whole numbers sorts the tags.
        owner, rank = position(tags["resource_arn"], arns), _rank(tags["tag_key"])
        order = np.lexsort((np.asarray(tags["origin"]), rank, owner))
        owner, rank = owner[order], rank[order]
        new = np.append(True, (owner[1:] != owner[:-1]) | (rank[1:] != rank[:-1]))[: len(order)]
        tags = tags.take(pa.array(order[new]))
        account = owners.take(pa.array(owner[new]))
        source = pa.array(self.operations, pa.string()).take(tags["origin"].combine_chunks())
        reserved = pc.starts_with(pc.utf8_lower(tags["tag_key"]), "aws:")
        tags = tags.append_column("account_id", pc.fill_null(account, UNKNOWN_ACCOUNT))
        return tags.append_column("tag_source", source).append_column("is_aws_reserved", reserved), *tables

    def _named_tags(self, roles: pa.Table, profiles: pa.Table) -> pa.Table:
        """Give tag listings the ARN of the resource that their file is named after; add their rows to the tags."""
        arns: dict[tuple[str, str, str], str] = {}
        if self.named_tags:
            for kind, table, key, name in (
                ("role", roles, "role_arn", "role_name"),
                ("instance-profile", profiles, "profile_arn", "profile_name"),
            ):
                columns = zip(*(table[c].to_pylist() for c in ("account_id", name, key)), strict=True)
                arns.update({(kind, account, n.casefold()): arn for account, n, arn in columns if n})
        said: list[tuple[str, int]] = []
        rows: list[tuple[str, str, str, str, int]] = []
        for account, tagging, origin in self.named_tags:
            arn = arns.get((tagging.resource_type, account or UNKNOWN_ACCOUNT, tagging.resource_name.casefold()))
            if arn is None:
                if account:
                    self.gap(
                        account,
                        self.operations[origin],
                        tagging.resource_name,
                        "not_in_file",
                        f"tags of the {tagging.resource_type} {tagging.resource_name} were read, but no file shows "
                        "that resource; add the listing of the account",
                    )
                continue
            said.append((arn, origin))
            rows += [(arn, tag.key, tag.value, tagging.resource_type, origin) for tag in tagging.tags]
        if rows:
            resources, keys, values, kinds, origins = map(list, zip(*rows, strict=True))
            self.tags.add(
                len(rows), resource_arn=resources, tag_key=keys, tag_value=values, resource_type=kinds, origin=origins
            )
        return pa.table(
            {
                "resource_arn": pa.array([arn for arn, _ in said], pa.string()),
                "origin": pa.array([origin for _, origin in said], pa.int32()),
            }
        )

    def _with_trust(self, roles: pa.Table) -> pa.Table:
        code = roles["trust"].combine_chunks()
        policy, ec2, services = (values.take(code) for values in self.trusts.columns())
        for row in np.flatnonzero(np.asarray(roles["trust_unreadable"]) & ~np.asarray(code.is_valid())).tolist():
            arn = roles["role_arn"][row].as_py()
            self.gap(
                roles["account_id"][row].as_py() or UNKNOWN_ACCOUNT,
                "GetRole",
                arn,
                "unreadable",
                f"the trust policy of {arn} is no policy document, so whom it trusts is unknown",
            )
        path = pc.fill_null(roles["role_path"], "")
        managed = pc.or_(pc.starts_with(path, "/aws-service-role/"), pc.starts_with(path, "/aws-reserved/"))
        account = pc.fill_null(roles["account_id"], UNKNOWN_ACCOUNT)
        roles = roles.set_column(roles.column_names.index("account_id"), "account_id", account)
        for name, values in (
            ("trust_policy", policy),
            ("trusts_ec2", pc.fill_null(ec2, "unknown")),
            ("trusted_services", services),
            ("is_aws_managed", managed),
        ):
            roles = roles.append_column(name, values)
        return roles

    def _resolved(self, profiles: pa.Table) -> pa.Table:
        rows: dict[tuple[str, ...], Mention] = {}
        for mention in self.mentions:
            key = (
                mention.account_id or UNKNOWN_ACCOUNT,
                mention.region or "",
                mention.consumer_type,
                mention.consumer_id,
                mention.named,
            )
            held = rows.setdefault(key, mention)
            if held is not mention and mention.consumer_version:
                versions = {*(held.consumer_version or "").split(), *mention.consumer_version.split()}
                held.consumer_version = " ".join(sorted(versions, key=lambda v: (len(v), v)))
        by_name = {}
        if rows:
            named = (profiles[c].to_pylist() for c in ("account_id", "profile_name", "profile_arn"))
            by_name = {(account, name.casefold()): arn for account, name, arn in zip(*named, strict=True) if name}
        columns: dict[str, list[str | None]] = defaultdict(list)
        for (account, region, *_), mention in sorted(rows.items(), key=lambda item: item[0]):
            name = name_of(mention.named)
            columns["account_id"].append(account)
            columns["region"].append(region)
            columns["profile_name"].append(name)
            columns["profile_arn"].append(by_name.get((account, name.casefold())))
            columns["consumer_arn"].append(mention.consumer_arn or self._consumer_arn(account, region, mention))
            for column in (
                "consumer_type",
                "consumer_id",
                "named",
                "profile_id",
                "consumer_name",
                "consumer_version",
                "consumer_state",
            ):
                columns[column].append(getattr(mention, column))
        return pa.table(
            [pa.array(columns[name], pa.string()) for name in schema.REFERENCES.names], names=schema.REFERENCES.names
        )

    def _consumer_arn(self, account: str, region: str, mention: Mention) -> str | None:
        if (
            region == "unknown"
            or account == UNKNOWN_ACCOUNT
            or mention.consumer_type not in ("instance", "launch-template")
        ):
            return None
        partition = partition_of(mention.named) or self.accounts.get(account, {}).get("partition") or "aws"
        return f"arn:{partition}:ec2:{region}:{account}:{mention.consumer_type}/{mention.consumer_id}"

    # What is missing

    def _shorter_than_counted(self, roles: pa.Table, profiles: pa.Table) -> None:
        for what, operations, expected, table in (
            ("roles", ROLE_LISTS, "roles_expected", roles),
            ("instance profiles", (PROFILE_LIST,), "profiles_expected", profiles),
        ):
            counts = table["account_id"].combine_chunks().value_counts()
            held = dict(zip(*(part.to_pylist() for part in counts.flatten()), strict=True))
            for account, row in self.accounts.items():
                if row.get(expected) is None or held.get(account, 0) >= row[expected]:
                    continue
                for operation in operations:
                    call = self.calls.get((account, operation, GLOBAL))
                    if call and call.state == "complete":
                        call.state = "truncated"
                        self.gap(
                            account,
                            operation,
                            ALL,
                            "truncated",
                            f"{held.get(account, 0):,} {what} were read and GetAccountSummary "
                            f"counts {row[expected]:,}: the "
                            "list is not whole; list them again",
                        )

    def _lacking_others(self, rows: pa.Table, key: str, operations: tuple[str, ...]) -> None:
        """Take wholeness from a list that lacks what another of IAM's own answers shows: they are not of one time."""
        own = [number for number, operation in enumerate(self.operations) if operation in _IAM_OWN]
        lists = [number for number in own if self.operations[number] in operations]
        if len(own) < 2 or not lists:
            return
        shown = rows.filter(pc.is_in(rows["origin"], value_set=pa.array(own, pa.int32())))
        frame = shown.select([key, "account_id", "origin"]).to_pandas().drop_duplicates([key, "origin"])
        everything = frame.drop_duplicates(key).groupby("account_id").size()
        counts = frame[frame["origin"].isin(lists)].groupby(["account_id", "origin"]).size()
        for (account, origin), count in counts.items():
            call = self.calls.get((account, self.operations[origin], GLOBAL))
            if count < everything[account] and call and call.state == "complete":
                call.state = "partial"
                self.gap(
                    account,
                    self.operations[origin],
                    self.origins[origin],
                    "contradicted",
                    f"{self.origins[origin]} lists {count:,} and all files together show {everything[account]:,}: they "
                    "are not of one time, and that list is not whole; load files of one time together",
                )

    def _absent(self, roles: pa.Table, profiles: pa.Table) -> None:
        whole = {(account, operation) for (account, operation, _), c in self.calls.items() if c.state == "complete"}
        read = {(account, operation) for account, operation, _ in self.calls}
        for account in self.accounts:
            mine, theirs = (
                t.select([*columns, "account_id"]).filter(pc.equal(t["account_id"], account))
                if len(self.accounts) > 1
                else t
                for t, columns in (
                    (roles, ["role_arn", "links_known", "tags_known"]),
                    (profiles, ["role_known", "tags_known"]),
                )
            )
            has_profiles = (account, PROFILE_LIST) in whole
            if not any((account, operation) in whole for operation in ROLE_LISTS):
                self._lacks(
                    account,
                    "ListRoles",
                    "the whole list of roles is",
                    "aws iam get-account-authorization-details --filter Role",
                )
            if not has_profiles:
                self._lacks(
                    account,
                    PROFILE_LIST,
                    "the whole list of instance profiles, which alone shows empty ones, is",
                    "aws iam list-instance-profiles",
                )
            # A profile of which nobody read what it holds may hold any of the roles.
            if not has_profiles or not np.asarray(theirs["role_known"]).all():
                self._lacks_links(account, mine)
            for table, what, operation, command in (
                (mine, "roles", "ListRoleTags", "aws iam get-account-authorization-details --filter Role"),
                (
                    theirs,
                    "instance profiles",
                    "ListInstanceProfileTags",
                    "aws iam list-instance-profile-tags --instance-profile-name=NAME",
                ),
            ):
                unknown = len(table) - int(np.count_nonzero(np.asarray(table["tags_known"])))
                if unknown:
                    self._lacks(account, operation, f"the tags of {unknown:,} of {len(table):,} {what} are", command)
            if (account, "GetAccountSummary") not in read:
                self._lacks(account, "GetAccountSummary", "the quotas are", "aws iam get-account-summary")
            for operation in CORE:
                if (account, operation) not in read:
                    command = "".join("-" + c.lower() if c.isupper() else c for c in operation).removeprefix("-")
                    service = "ec2" if operation in CORE[:2] else "autoscaling"
                    versions = " --versions '$Latest' '$Default'" if operation == CORE[1] else ""
                    self._lacks(
                        account,
                        operation,
                        f"{command.removeprefix('describe-').replace('-', ' ')} are",
                        f"aws {service} {command}{versions}",
                        "unknown",
                    )

    def _lacks(self, account: str, operation: str, what: str, command: str, region: str = GLOBAL) -> None:
        where = "" if region == GLOBAL else " of each region"
        self.gap(
            account,
            operation,
            ALL,
            "not_in_file",
            f"{what} not in the files; the output of `{command}`{where} would show them",
            region,
        )

    def _lacks_links(self, account: str, roles: pa.Table) -> None:
        unknown = roles.filter(pc.invert(roles["links_known"]))
        if len(roles) and len(unknown) == len(roles):
            self._lacks(
                account,
                ROLE_LINKS,
                f"the profiles that hold the {len(roles):,} roles are",
                "aws iam list-instance-profiles",
            )
        elif len(unknown):
            for arn in unknown["role_arn"].to_pylist():
                self.gap(account, ROLE_LINKS, arn, "not_in_file", f"the profiles that hold {arn} are not in the files")

    # Small frames

    def _partition(self, account: str, arn: str) -> None:
        row = self.accounts.setdefault(account, {"sources": [], "captured_at": []})
        row.setdefault("partition", partition_of(arn))

    def _accounts(self, sources: tuple[str, ...]) -> pd.DataFrame:
        rows = sorted(self.accounts.items())
        columns: dict[str, Any] = {
            name: [row.get(name) for _, row in rows]
            for name in schema.ACCOUNTS.names
            if name not in ("account_id", "source", "captured_at", "partition")
        }
        columns["account_id"] = [account for account, _ in rows]
        columns["partition"] = [row.get("partition") or partition_of(row.get("caller_arn") or "") for _, row in rows]
        columns["source"] = [
            " ".join(sorted(filter(None, row["sources"]))) or " ".join(sorted(sources)) for _, row in rows
        ]
        columns["captured_at"] = _times(
            pa.chunked_array([pa.array([max(row["captured_at"], default=None) for _, row in rows], pa.string())])
        )[0]
        return schema.ACCOUNTS.conform(columns)

    def _gaps(self) -> pd.DataFrame:
        rows = {tuple(gap[name] for name in schema.GAPS.key): gap for gap in reversed(self.gaps)}
        found = [rows[key] for key in sorted(rows)]
        return schema.GAPS.conform({name: [gap[name] for gap in found] for name in schema.GAPS.names})

    def _calls(self) -> pd.DataFrame:
        rows = sorted(self.calls.items())
        return schema.CALLS.conform(
            {
                "account_id": [key[0] for key, _ in rows],
                "operation": [key[1] for key, _ in rows],
                "region": [key[2] for key, _ in rows],
                "requests": 0 if rows else [],
                "rows": [call.rows for _, call in rows],
                "retries": 0 if rows else [],
                "state": [call.state for _, call in rows],
            }
        )


def _name(arn: str) -> str | None:
    return name_of(arn) if account_of(arn) or ("/" in arn and not arn.startswith("address:")) else None


def _sorted(table: pa.Table, names: list[str]) -> pa.Table:
    first = table[names[0]].combine_chunks()
    if len(names) == 1 and pc.all(pc.less(first[:-1], first[1:])).as_py() is not False:
        return table
    return table.take(pc.sort_indices(table, [(name, "ascending") for name in names])) if len(table) else table


def _distinct(table: pa.Table, names: list[str]) -> pa.Table:
    """Return a sorted table without the rows that repeat the one before in the columns named."""
    new = np.zeros(max(len(table) - 1, 0), dtype=bool)
    for name in names:
        column = table[name].combine_chunks()
        new |= np.asarray(pc.not_equal(column[1:], column[:-1]))
    return table if new.all() else table.filter(pa.array(np.append(True, new)))


def _rank(column: pa.ChunkedArray) -> Positions:
    """Return, per text, its place in the sorted order of the distinct ones."""
    encoded = column.combine_chunks().dictionary_encode()
    order = np.asarray(pc.sort_indices(encoded.dictionary))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    ranks: Positions = rank[np.asarray(encoded.indices)]
    return ranks


def _agreed(
    said: pa.Table, key: str, rows: pa.Table, values: list[str]
) -> tuple[pa.Table, dict[str, list[tuple[frozenset[tuple[str, ...]], int]]]]:
    """Return the rows of resources on whose rows all origins agree, and what two of them say of each of the rest."""
    pairs = said.to_pandas() if len(pc.unique(said["origin"])) > 1 else None
    if pairs is None:
        return rows, {}
    pairs = pairs.drop_duplicates()
    several = pairs[pairs.duplicated(key, keep=False)]
    if several.empty:
        return rows, {}
    shared = pa.array(is_in(rows[key], pa.array(several[key].unique())))
    sets: dict[tuple[str, int], set[tuple[str, ...]]] = {
        pair: set() for pair in zip(several[key], several["origin"], strict=True)
    }
    some = rows.filter(shared)
    for arn, origin, *value in zip(*(some[name].to_pylist() for name in (key, "origin", *values)), strict=True):
        sets.setdefault((arn, origin), set()).add(tuple(value))
    first: dict[str, tuple[frozenset[tuple[str, ...]], int]] = {}
    doubted = {}
    for (arn, origin), held in sets.items():
        mine = (frozenset(held), origin)
        if first.setdefault(arn, mine)[0] != mine[0]:
            doubted[arn] = [first[arn], mine]
    doubt = pa.array(is_in(rows[key], pa.array(list(doubted), pa.string())))
    return rows.filter(pc.invert(doubt)), doubted


def _not_in_own_list(links: pa.Table, own: pa.Table) -> list[tuple[str, str, int, int]]:
    """Return links that one origin shows, and another leaves out of its list of the role's own profiles."""
    if len(pc.unique(pa.chunked_array([*links["origin"].chunks, *own["origin"].chunks], pa.int32()))) < 2 or not len(
        own
    ):
        return []
    pairs = links.to_pandas().drop_duplicates()
    both = pairs.merge(own.to_pandas().drop_duplicates(), on="role_arn", suffixes=("", "_own"))
    both = both[both["origin"] != both["origin_own"]]
    shown = set(zip(pairs["profile_arn"], pairs["role_arn"], pairs["origin"], strict=True))
    rows = both[["profile_arn", "role_arn", "origin", "origin_own"]].itertuples(index=False, name=None)
    return [row for row in rows if (row[0], row[1], row[3]) not in shown]


def _or_nothing(held: frozenset[tuple[str, ...]]) -> str:
    return ", ".join(sorted(role for (role,) in held)) or "no role"


def _shown_tags(tags: frozenset[tuple[str, ...]]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(tags)) or "none"


def _times(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, list[int]]:
    """Return times of ISO texts, and the rows whose text is no time."""
    try:
        return column.cast(schema.TIME), []
    except pa.ArrowInvalid:
        # One text without a zone, or with more than six digits of a second, fails the cast of the whole column.
        encoded = column.combine_chunks().dictionary_encode()
        times = [parsed_time(text) for text in encoded.dictionary.to_pylist()]
        codes = np.asarray(encoded.indices.fill_null(-1))
        bad = np.array([time is None for time in times], dtype=bool)
        values = pa.array(times, schema.TIME).take(encoded.indices)
        return pa.chunked_array([values]), np.flatnonzero((codes >= 0) & bad[codes]).tolist()
