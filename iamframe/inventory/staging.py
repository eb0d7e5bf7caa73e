"""Records to rows: what each answer says, row by row and column by column, before anything is merged.

Rows become Arrow columns chunk by chunk, so that records by the hundred thousand are never held at once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
from msgspec import UNSET, Raw, UnsetType

from iamframe.knowledge.arn import account_of, accounts_of, name_of, path_of
from iamframe.knowledge.operations import GLOBAL, UNKNOWN_ACCOUNT
from iamframe.knowledge.trust import Says, read_parts, trusts_ec2
from iamframe.sources.cloudtrail import Covered, Event
from iamframe.sources.records import Account, Answer, Gap, Mention, NestedProfile, NestedRole, Tagging, Tally, time_text

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
    "record": pa.int32(),
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
    "record": pa.int32(),
}
# `record` tells apart what one answer says of one resource in two places.
_LINK_COLUMNS = {"profile_arn": pa.string(), "role_arn": pa.string(), "origin": pa.int32(), "record": pa.int32()}
_TAG_COLUMNS = {
    "resource_arn": pa.string(),
    "tag_key": pa.string(),
    "tag_value": pa.string(),
    "resource_type": pa.string(),
    "origin": pa.int32(),
    "record": pa.int32(),
}


class Rows:
    """Columns that grow by chunks, one Arrow array per chunk and column."""

    def __init__(self, columns: dict[str, pa.DataType]) -> None:
        self.schema = pa.schema(list(columns.items()))
        self.batches: list[pa.RecordBatch] = []

    def add(self, size: int, **values: Any) -> None:
        """Add so many rows; a single value stands for all of them, a column left out for missing ones."""
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
        """Return all rows, and hold them no longer."""
        table = pa.Table.from_batches(self.batches, self.schema)
        few_each = table.num_rows < 100 * len(self.batches)
        self.batches = []
        if few_each:
            # Each of the thousands of files of as many accounts has a chunk, and whatever is asked of all walks them.
            return table.combine_chunks()
        # Keys are looked up again and again, in one piece; putting the other columns together costs more than it saves.
        for index, name in enumerate(table.column_names):
            if name.endswith("_arn") and table[name].num_chunks > 1:
                table = table.set_column(index, table.schema.field(index), table[name].combine_chunks())
        return table


@dataclass(slots=True)
class Call:
    """One operation of an account and region: how many records, whether that is the whole list, what it cost."""

    rows: int = 0
    state: str = "refused"
    # Whether an answer said that there is more and showed nothing: it may be a page of any list.
    blank: bool = False
    tally: Tally = field(default_factory=Tally)

    def add(self, rows: int, answer: Answer) -> None:
        """Count the rows of an answer."""
        self.rows += rows
        self.blank |= answer.state == "truncated" and not rows
        self.state = min(self.state, answer.state, key=["truncated", "complete", "partial", "refused"].index)
        self.tally = answer.tally or self.tally


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


class Trusts:
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

    def services(self) -> pa.Array:
        """Return, per code, the services."""
        return pa.array([says.services for says in self._says], pa.string())

    def ec2(self, partition: str) -> pa.Array:
        """Return, per code, whether EC2 is trusted where the role is of a partition."""
        return pa.array([trusts_ec2(says.reaches, partition) for says in self._says], pa.string())


class Book:
    """What the answers say, row by row, before it is merged."""

    def __init__(self) -> None:
        self.roles, self.profiles = Rows(_ROLE_COLUMNS), Rows(_PROFILE_COLUMNS)
        self.links, self.tags = Rows(_LINK_COLUMNS), Rows(_TAG_COLUMNS)
        self.named_tags: list[tuple[str | None, Tagging, int]] = []
        self.mentions: list[Mention] = []
        self.events: dict[str, list[Event]] = defaultdict(list)
        self.gaps: list[dict[str, str]] = []
        self.calls: dict[tuple[str, str, str], Call] = defaultdict(Call)
        self.accounts: dict[str, dict[str, Any]] = {}
        self.origins: list[str] = []
        self.operations: list[str] = []
        self.states: list[str] = []
        self.records = 0
        self.trusts = Trusts()

    def read(self, answer: Answer) -> None:
        """Take the rows of an answer, and what it says of its own wholeness."""
        origin = len(self.origins)
        self.origins.append(f"{answer.operation} in {answer.origin}")
        self.operations.append(answer.operation)
        rows, accounts = 0, Counter[str]()
        for chunk in answer:
            found = self._chunk(chunk, answer, origin)
            rows += len(chunk)
            accounts.update(found)
        self.states.append(answer.state)
        if answer.operation == "denied" and answer.account_id:
            # An account of which all was refused is one of those that were asked for, and nothing of it is known.
            self.account(answer.account_id, answer)
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
            self.calls[account, answer.operation, answer.region].add(count, answer)
            if answer.state == "truncated" and answer.tally is None:
                self.gap(
                    account,
                    answer.operation,
                    answer.origin,
                    "truncated",
                    f"{answer.origin}: says that there is more, or could be read only in part, so that it is not the "
                    "whole list; export it again without --max-items and --no-paginate",
                    answer.region,
                )
            self.account(account, answer)

    def account(self, account: str, answer: Answer) -> dict[str, Any]:
        """Return what is known of an account, with the answer's source in it."""
        row = self.accounts.setdefault(account, {"sources": [], "captured_at": []})
        if answer.source not in row["sources"]:
            row["sources"].append(answer.source)
        if answer.captured_at:
            row["captured_at"].append(answer.captured_at)
        # Whoever could be asked, and was not, says other things of what is missing than a file.
        row["live"] = row.get("live", False) or answer.tally is not None
        return row

    def gap(self, account: str, operation: str, subject: str, reason: str, detail: str, region: str = GLOBAL) -> None:
        """Note something that could not be read, or not be believed."""
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

    def numbered(self, size: int) -> pa.Array:
        """Return numbers for so many records, each given once."""
        self.records += size
        return pa.array(np.arange(self.records - size, self.records, dtype=np.int32))

    def _chunk(self, chunk: list[Any], answer: Answer, origin: int) -> Counter[str]:
        fallback = answer.account_id or UNKNOWN_ACCOUNT
        if isinstance(chunk[0], NestedRole):
            return self._roles(chunk, fallback, origin)
        if isinstance(chunk[0], NestedProfile):
            return self._profiles(chunk, fallback, origin)
        if isinstance(chunk[0], Covered):
            return self._covered(chunk, self.account(fallback, answer), fallback)
        if isinstance(chunk[0], Tagging):
            self.named_tags += [(answer.account_id, tagging, origin) for tagging in chunk]
        elif isinstance(chunk[0], Mention):
            # They may name profiles of another account than the one that was read.
            self.mentions += chunk
        elif isinstance(chunk[0], Event):
            self.events[fallback] += chunk
        elif isinstance(chunk[0], Account):
            self._said(chunk, self.account(fallback, answer) if answer.account_id else {})
        elif isinstance(chunk[0], Gap):
            for gap in chunk:
                self.gap(gap.account_id or fallback, gap.operation, gap.subject, gap.reason, gap.detail, gap.region)
        return Counter({fallback: len(chunk)})

    def _said(self, records: list[Account], row: dict[str, Any]) -> None:
        for record in records:
            facts = {name: getattr(record, name) for name in record.__struct_fields__}
            row.update({name: fact for name, fact in facts.items() if fact is not None})

    def _covered(self, records: list[Covered], row: dict[str, Any], account: str) -> Counter[str]:
        row["events_from_at"] = min(filter(None, (row.get("events_from_at"), *(one.from_at for one in records))))
        row["events_to_at"] = max(filter(None, (row.get("events_to_at"), *(one.to_at for one in records))))
        # It is no record of what the operation lists.
        return Counter({account: 0})

    def _roles(self, records: list[Any], fallback: str, origin: int) -> Counter[str]:
        numbers = self.numbered(len(records))
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
            record=numbers,
        )
        self._tags("role", arns, tags, origin, numbers)
        held = [(p, arn) for arn, ps in zip(arns, profiles or (), strict=False) if ps is not UNSET for p in ps]
        if held:
            nested, roles = map(list, zip(*held, strict=True))
            self._profiles(nested, fallback, origin, under=(roles, _repeated(numbers, profiles)))
        return counts

    def _profiles(
        self, records: list[Any], fallback: str, origin: int, under: tuple[list[str], pa.Array] | None = None
    ) -> Counter[str]:
        """Take profiles, which may stand beneath roles: then `under` is their roles, and the numbers of those."""
        numbers = under[1] if under else self.numbered(len(records))
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
            record=numbers,
        )
        self._tags("instance-profile", arns, tags, origin, numbers)
        if under:
            self.links.add(len(arns), profile_arn=arns, role_arn=under[0], origin=origin, record=numbers)
            return counts
        held = [(arn, role) for arn, rs in zip(arns, roles or (), strict=False) if rs is not UNSET for role in rs]
        if held:
            profiles, nested = map(list, zip(*held, strict=True))
            self.links.add(
                len(held),
                profile_arn=profiles,
                role_arn=[r.role_arn for r in nested],
                origin=origin,
                record=_repeated(numbers, roles),
            )
            shown = [role for role in nested if not role.role_arn.startswith("name:")]
            if shown:
                self._roles(shown, fallback, origin)
        return counts

    def _tags(self, kind: str, arns: list[str], tags: list[Any] | None, origin: int, numbers: pa.Array) -> None:
        known = [(arn, own) for arn, own in zip(arns, tags or (), strict=False) if own is not UNSET and own]
        if known:
            self.tags.add(
                sum(len(own) for _, own in known),
                resource_arn=[arn for arn, own in known for _ in own],
                tag_key=[tag.key for _, own in known for tag in own],
                tag_value=[tag.value for _, own in known for tag in own],
                resource_type=kind,
                origin=origin,
                record=_repeated(numbers, tags),
            )


def _repeated(numbers: pa.Array, lists: list[Any] | None) -> pa.Array:
    """Return the number of each record as often as its list is long."""
    lengths = [0 if own is UNSET else len(own) for own in lists or ()]
    return pa.array(np.repeat(np.asarray(numbers), lengths))


def _name(arn: str) -> str | None:
    return name_of(arn) if account_of(arn) or ("/" in arn and not arn.startswith("address:")) else None
