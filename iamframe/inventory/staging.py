"""Put the records of live accounts and of files into internal Arrow tables, which the module `merge` combines.

If a role or profile is in several records, each record gives one row. In the internal tables, tags and links contain
the row numbers of roles and profiles, not their ARNs. Records become Arrow columns chunk by chunk, which saves memory.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import asdict, astuple

from iamframe.inventory import schema
from iamframe.inventory.arrow import Positions
from iamframe.inventory.frame import TIME, Frame
from iamframe.inventory.gaps import GapList
from iamframe.knowledge.arn import account_of, accounts_of, name_of, path_of
from iamframe.knowledge.operations import (
    GLOBAL,
    PROFILE,
    PROFILE_LIST,
    PROFILE_TAGS,
    ROLE,
    ROLE_LISTS,
    ROLE_TAGS,
    SUMMARY,
    TAG_POLICY,
    UNKNOWN_ACCOUNT,
)
from iamframe.knowledge.trust import TrustContent, policy_key, read_content, trusts_ec2
from iamframe.sources.cloudtrail import Event, EventSpan
from iamframe.sources.records import (
    Account,
    Answer,
    CallStats,
    Gap,
    NestedProfile,
    NestedRole,
    Reference,
    ResourceOwner,
    TagDemand,
    TagListing,
    time_text,
)


class Kind(NamedTuple):
    noun: str
    key: str
    name: str
    lists: tuple[str, ...]
    single: tuple[str, ...]
    tags: str
    expected: str


ROLE_KIND = Kind("role", "role_arn", "role_name", ROLE_LISTS, (ROLE, ROLE_TAGS), ROLE_TAGS, "roles_expected")
PROFILE_KIND = Kind(
    "instance-profile",
    "profile_arn",
    "profile_name",
    (PROFILE_LIST,),
    (PROFILE, PROFILE_TAGS, PROFILE_LIST),
    PROFILE_TAGS,
    "profiles_expected",
)


# What `build` adds to the roles after merging.
_ADDED = ("trust_policy", "trusts_ec2", "trusted_services", "is_aws_managed")


def _unmerged_columns(frame: Frame, **more: pa.DataType) -> dict[str, pa.DataType]:
    own = {c.name: pa.string() if c.type == TIME else c.type for c in frame.columns if c.name not in _ADDED}
    # The module `merge` expects the ARN in the first column.
    return {frame.key[0]: pa.string()} | own | more | {"origin": pa.int32()}


_ROLE = _unmerged_columns(schema.ROLES, trust=pa.int32(), trust_unreadable=pa.bool_(), links_known=pa.bool_())
_PROFILE = _unmerged_columns(schema.PROFILES)
# `profile` and `role` are rows of the tables above. A role that is known only by its name has no row.
_LINK = {"profile": pa.int32(), "role": pa.int32(), "role_name": pa.string()}
_TAG = {"row": pa.int32(), "tag_key": pa.string(), "tag_value": pa.string()}

_NO_DOCUMENT, _NO_POLICY = -1, -2
# Terraform shows the role of a profile only by its name.
NAMED = "name:"


class Rows:
    def __init__(self, columns: dict[str, pa.DataType]) -> None:
        self.schema = pa.schema(list(columns.items()))
        self.batches: list[pa.RecordBatch] = []
        self.size = 0

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
        self.size += size

    def table(self) -> pa.Table:
        """Return all chunks as one Arrow table, and forget the chunks."""
        table = pa.Table.from_batches(self.batches, self.schema)
        # Thousands of small files are thousands of chunks, each of which costs time in every step that follows. Joining
        # large chunks costs more than it saves.
        is_scattered = table.num_rows < 100 * len(self.batches)
        self.batches = []
        return table.combine_chunks() if is_scattered else table


class Call(msgspec.Struct):
    rows: int = 0
    state: str = "refused"
    # Whether an answer has an unreadable item, or is empty but marked as incomplete: it may be a page of any list.
    lacks: bool = False
    tally: CallStats = msgspec.field(default_factory=CallStats)

    def add(self, rows: int, answer: Answer) -> None:
        self.rows += rows
        self.lacks |= answer.lacks or (answer.state == "truncated" and not rows)
        self.state = min(self.state, answer.state, key=["truncated", "complete", "partial", "refused"].index)
        if self.lacks and self.state == "complete":
            self.state = "partial"
        self.tally = answer.tally or self.tally


class TrustPolicies:
    """The trust policies, each with a number; policies with identical bytes are stored once."""

    def __init__(self) -> None:
        self._codes = {b"null": _NO_DOCUMENT}
        # Canonical texts.
        self._texts: list[str] = []
        self._contents: list[TrustContent] = []

    def codes(self, documents: Iterable[Raw | UnsetType]) -> Positions:
        # Thousands of roles share a few documents: most of them cost only a lookup.
        texts = [b"null" if raw is UNSET else bytes(raw) for raw in documents]
        known = self._codes
        return np.array([known[text] if text in known else self._code(text) for text in texts], dtype=np.int32)

    def _code(self, document: bytes) -> int:
        code = _NO_POLICY
        if (parts := read_content(document)) is not None:
            code = len(self._texts)
            self._texts.append(parts[0])
            self._contents.append(parts[1])
        self._codes[document] = code
        return code

    def text(self, code: int) -> str:
        return self._texts[code]

    def texts(self) -> pa.Array:
        return pa.array(self._texts, pa.string())

    def unified(self, codes: pa.Array) -> pa.Array:
        # Trust policies that mean the same get the same code. Terraform and Steampipe sort the keys, and AWS does not.
        same = np.arange(len(self._texts))
        first: dict[object, int] = {}
        for code in pc.unique(codes).drop_null().to_pylist():
            same[code] = first.setdefault(policy_key(self._texts[code]), code)
        return pa.array(same).take(codes)

    def services(self) -> pa.Array:
        return pa.array([content.services for content in self._contents], pa.string())

    def ec2(self, partition: str) -> pa.Array:
        return pa.array([trusts_ec2(content.reaches, partition) for content in self._contents], pa.string())


class Staging:
    def __init__(self) -> None:
        self.roles, self.profiles, self.links = Rows(_ROLE), Rows(_PROFILE), Rows(_LINK)
        self.tags = {"role": Rows(_TAG), "instance-profile": Rows(_TAG)}
        self.tag_listings: list[tuple[str | None, TagListing, int]] = []
        self.mentions: list[Reference] = []
        self.owners: list[ResourceOwner] = []
        self.demands: list[TagDemand] = []
        # By account: the demands of each answer of DescribeEffectivePolicy, and the number of the answer.
        self.tag_policies: dict[str, list[tuple[list[TagDemand], int]]] = defaultdict(list)
        self.events: dict[str, list[Event]] = defaultdict(list)
        self.gaps = GapList()
        # By account, operation and region.
        self.calls: dict[tuple[str, str, str], Call] = defaultdict(Call)
        self.accounts: dict[str, dict[str, Any]] = {}
        # By account and column: each value in an answer of GetAccountSummary, and the number of the answer.
        self.summaries: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
        # One entry per answer, indexed by the `origin` of its rows: its operation, its state, its name in messages.
        self.operations: list[str] = []
        self.states: list[str] = []
        self.origins: list[dict[str, str]] = []
        self.trusts = TrustPolicies()

    def read(self, answer: Answer) -> None:
        origin = len(self.origins)
        self.origins.append({"message": "gaps.origin", "operation": answer.operation, "file": answer.origin})
        self.operations.append(answer.operation)
        rows, by_account, demands = 0, Counter[str](), len(self.demands)
        for chunk in answer:
            by_account.update(self._chunk(chunk, answer, origin))
            rows += len(chunk)
        self.states.append(answer.state)
        if answer.operation == TAG_POLICY and answer.account_id:
            self.tag_policies[answer.account_id].append((self.demands[demands:], origin))
        if answer.operation == "denied" and answer.account_id:
            # An account that refused every request still gets a row, in which everything is unknown.
            self.account(answer.account_id, answer)
        if answer.operation not in ("", "file", "denied"):
            self._count(answer, rows, by_account or Counter({answer.account_id or UNKNOWN_ACCOUNT: rows}))

    def _count(self, answer: Answer, rows: int, by_account: Counter[str]) -> None:
        if len(by_account) > 1 and answer.state == "complete":
            answer.state = "partial"
            for account in by_account:
                self._of_file(account, answer, "not_in_file", "gaps.answer.several_accounts", GLOBAL)
        for account, count in by_account.items():
            if account == UNKNOWN_ACCOUNT and not rows:
                continue
            self.calls[account, answer.operation, answer.region].add(count, answer)
            if answer.state == "truncated" and answer.tally is None:
                self._of_file(account, answer, "truncated", "gaps.answer.truncated", answer.region)
            self.account(account, answer)

    def _of_file(self, account: str, answer: Answer, reason: str, message: str, region: str) -> None:
        self.gaps.add(account, answer.operation, answer.origin, reason, message, region, file=answer.origin)

    def complete_lists(self) -> set[tuple[str, str]]:
        return {(account, operation) for (account, operation, _), c in self.calls.items() if c.state == "complete"}

    def differ(
        self, arn: str, operation: str, message: str, sides: Iterable[Any], origins: Iterable[int], **facts: Any
    ) -> None:
        (one, other), (origin, other_origin) = sides, (self.origins[number] for number in origins)
        facts |= {"one": one, "origin": origin, "other": other, "other_origin": other_origin}
        self.gaps.about(arn, operation, "contradicted", message, **facts)

    def account(self, account: str, answer: Answer | None = None) -> dict[str, Any]:
        row = self.accounts.setdefault(account, {"sources": [], "captured_at": [], "live": False})
        if answer and answer.source not in row["sources"]:
            row["sources"].append(answer.source)
        if answer and answer.captured_at:
            row["captured_at"].append(answer.captured_at)
        # The command that closes a gap differs between live accounts and files.
        row["live"] |= answer is not None and answer.tally is not None
        return row

    def _chunk(self, chunk: list[Any], answer: Answer, origin: int) -> Counter[str]:
        account = answer.account_id or UNKNOWN_ACCOUNT
        match chunk[0]:
            case NestedRole():
                return self._roles(chunk, account, origin)
            case NestedProfile():
                return self._profiles(chunk, account, origin)
            case EventSpan():
                row = self.account(account, answer)
                row["events_from_at"] = min(filter(None, (row.get("events_from_at"), *(one.from_at for one in chunk))))
                row["events_to_at"] = max(filter(None, (row.get("events_to_at"), *(one.to_at for one in chunk))))
                # A time span is not a record of the operation's list.
                return Counter({account: 0})
            case TagListing():
                self.tag_listings += [(answer.account_id, listing, origin) for listing in chunk]
            case Reference():
                self.mentions += chunk
            case ResourceOwner() | TagDemand():
                self._of_account(chunk, account)
            case Event():
                self.events[account] += chunk
            case Account() if answer.account_id:
                self._facts(chunk, answer, account, origin)
            case Gap():
                self._gaps(chunk, account)
        return Counter({account: len(chunk)})

    def _facts(self, records: list[Any], answer: Answer, account: str, origin: int) -> None:
        facts = {name: fact for one in records for name, fact in asdict(one).items() if fact is not None}
        self.account(account, answer).update(facts)
        for name, fact in facts.items() if answer.operation == SUMMARY else ():
            self.summaries[account, name].setdefault(fact, origin)

    def _of_account(self, records: list[Any], account: str) -> None:
        for record in records:
            record.account_id = account
        (self.owners if isinstance(records[0], ResourceOwner) else self.demands).extend(records)

    def _gaps(self, records: list[Gap], account: str) -> None:
        for gap in records:
            gap.account_id = gap.account_id or account
        self.gaps += records

    def _roles(self, records: list[Any], fallback: str, origin: int) -> Counter[str]:
        first, given = self.roles.size, _columns(records)
        arns = given["role_arn"]
        texts = pa.array(arns, pa.string())
        accounts, counts = _accounts_of(texts, arns, fallback)
        codes = self.trusts.codes(given["trust_policy"])
        used = given.get("last_used")
        self.roles.add(
            len(records),
            role_arn=texts,
            account_id=accounts,
            role_name=_filled(given.get("role_name"), arns, _name),
            role_path=_filled(given.get("role_path"), arns, path_of),
            role_id=given.get("role_id"),
            created_at=_time_texts(given.get("created_at")),
            description=given.get("description"),
            max_session_seconds=given.get("max_session_seconds"),
            permissions_boundary_arn=_arns(given.get("boundary")),
            last_used_at=_time_texts([one.at if one is not UNSET else None for one in used]) if used else None,
            last_used_region=[one.region if one is not UNSET else None for one in used] if used else None,
            last_used_known=_known(used),
            attached_policies=_attached(given.get("attached")),
            inline_policy_count=_lengths(given.get("inline")),
            role_template_arn=_arns(given.get("template")),
            trust=pa.array(codes, mask=codes < 0),
            trust_unreadable=codes == _NO_POLICY,
            tags_known=_known(given.get("tags")),
            links_known=_known(given.get("profiles")),
            origin=origin,
        )
        self.add_tags("role", *_flattened(given.get("tags"), first))
        profiles, rows = _flattened(given.get("profiles"), first)
        if profiles:
            self._profiles(profiles, fallback, origin, role_rows=rows)
        return counts

    def _profiles(
        self, records: list[Any], fallback: str, origin: int, role_rows: Positions | None = None
    ) -> Counter[str]:
        first, given = self.profiles.size, _columns(records)
        arns = given["profile_arn"]
        texts = pa.array(arns, pa.string())
        accounts, counts = _accounts_of(texts, arns, fallback)
        self.profiles.add(
            len(records),
            profile_arn=texts,
            account_id=accounts,
            profile_name=_filled(given.get("profile_name"), arns, _name),
            profile_path=_filled(given.get("profile_path"), arns, path_of),
            profile_id=given.get("profile_id"),
            created_at=_time_texts(given.get("created_at")),
            role_known=True if role_rows is not None else _known(given.get("roles")),
            tags_known=_known(given.get("tags")),
            origin=origin,
        )
        self.add_tags("instance-profile", *_flattened(given.get("tags"), first))
        if role_rows is not None:
            self.links.add(len(records), profile=np.arange(first, first + len(records)), role=role_rows)
            return counts
        roles, rows = _flattened(given.get("roles"), first)
        if roles:
            shown = [role for role in roles if not role.role_arn.startswith(NAMED)]
            numbers = iter(range(self.roles.size, self.roles.size + len(shown)))
            names = [role.role_arn if role.role_arn.startswith(NAMED) else None for role in roles]
            links = [None if name else next(numbers) for name in names]
            self.links.add(len(roles), profile=rows, role=links, role_name=names)
            if shown:
                self._roles(shown, fallback, origin)
        return counts

    def add_tags(self, kind: str, tags: Sequence[Any], resource_rows: int | Positions) -> None:
        if not tags:
            return
        keys, values = [tag.key for tag in tags], [tag.value for tag in tags]
        self.tags[kind].add(len(tags), row=resource_rows, tag_key=keys, tag_value=values)


def _columns(records: list[Any]) -> dict[str, tuple[Any, ...]]:
    columns = zip(type(records[0]).__struct_fields__, zip(*map(astuple, records), strict=True), strict=True)
    return {name: values for name, values in columns if values[0] is not None or values.count(None) < len(values)}


def _flattened(lists: Sequence[Any] | None, first: int) -> tuple[list[Any], Positions]:
    held = [one or () for one in lists or ()]
    items = list(chain.from_iterable(held))
    return items, np.repeat(np.arange(first, first + len(held), dtype=np.int32), list(map(len, held)))


def _filled(
    values: Sequence[str | None] | None, arns: Sequence[str], derive: Callable[[str], str | None]
) -> Sequence[str | None]:
    if values is None:
        return list(map(derive, arns))
    return values if all(values) else [value or derive(arn) for value, arn in zip(values, arns, strict=True)]


def _accounts_of(texts: pa.Array, arns: Sequence[str], fallback: str) -> tuple[str | list[str], Counter[str]]:
    prefix = arns[0].split("/", 1)[0] + "/"
    if pc.all(pc.starts_with(texts, prefix)).as_py():
        account = account_of(prefix) or fallback
        # One text stands for all ARNs.
        return account, Counter({account: len(arns)})
    accounts = [account or fallback for account in accounts_of(arns)]
    return accounts, Counter(accounts)


def _arns(values: Sequence[Any] | None) -> list[str | None] | None:
    return [one.arn if one else None for one in values] if values else None


def _attached(lists: Sequence[Any] | None) -> list[str | None] | None:
    arns = [None if held is UNSET else [one.arn for one in held] for held in lists or ()]
    return [None if held is None or None in held else " ".join(sorted(held)) for held in arns] if lists else None


def _lengths(lists: Sequence[Any] | None) -> list[int | None] | None:
    return [None if held is UNSET else len(held) for held in lists] if lists else None


def _known(values: Sequence[Any] | None) -> list[bool] | bool:
    return False if values is None else [value is not UNSET for value in values]


def _time_texts(values: Sequence[Any] | None) -> Sequence[str | None] | None:
    if values is None or {*map(type, values)} <= {str, type(None)}:
        return values
    return [_time_text(value) for value in values]


def _time_text(value: Any) -> str | None:
    try:
        return time_text(value)
    except (ValueError, OverflowError, OSError):
        return f"unreadable {value!r}"


def _name(arn: str) -> str | None:
    return name_of(arn) if account_of(arn) or ("/" in arn and not arn.startswith("address:")) else None
