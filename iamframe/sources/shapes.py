"""Find the function that can read a JSON document, and note from which account it is, and which data it lacks.

The decorator `@shape` registers a function for documents with certain keys (their "shape"). A list is recognized by
the keys of its first item.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from iamframe.knowledge.arn import account_of
from iamframe.knowledge.operations import DUMP, GLOBAL, PROFILE_LIST, ROLE_LINKS, UNKNOWN_REGION, cli_name, region_in
from iamframe.knowledge.owners import known_owners
from iamframe.sources.archives import Foreign, Piece, Unreadable
from iamframe.sources.consumers import CONSUMERS
from iamframe.sources.documents import BROKEN, NotARun, Runs, Value, kind_of, problem_of, refuse_repeats, short_text
from iamframe.sources.records import Answer, Gap, State

Records = list[msgspec.Struct]
_Kept = TypeVar("_Kept")

_TWELVE_DIGITS = re.compile(r"\d{12}", re.ASCII)
# The names of folders that hold one part of an account: a region, a service, tags, the output of one command.
_PART_OF_ACCOUNT = re.compile(
    r"global|.*tags.*|.*for-role|(?:describe|get|list)-[a-z-]+|[a-z]{2,4}(?:-[a-z]+)+-[0-9][a-z]?|iam|sts|"
    + "|".join(sorted({one.service for one in CONSUMERS} | {one.service for one in known_owners()}))
)
_IAM = (DUMP, "ListRoles", PROFILE_LIST, ROLE_LINKS, "GetAccountSummary")
# The longest names come first, because one name may begin another.
_FILE_NAMES = [
    (re.compile(rf"(?<![a-z]){cli_name(operation)}(?![a-z])"), operation)
    for operation in sorted({*_IAM, *(one.operation for one in CONSUMERS)}, key=len, reverse=True)
]
# The number of records that become columns at once.
_CHUNK = 2_000
# People edit files by hand, but none as large as this.
LARGE = 4 << 20
# AWS's documentation shows made-up markers in complete answers; a real marker is opaque.
_EXAMPLE_MARKER = re.compile(r"EXAMPLE.*EXAMPLE")
# The keys of a response besides its list. JavaScript's SDK writes `$metadata`, Go's writes `ResultMetadata`.
PAGE_KEYS = frozenset(
    ("IsTruncated", "Marker", "NextToken", "nextToken", "requestId", "ResponseMetadata", "ResultMetadata", "$metadata")
)
# Other keys of responses of AWS, which people merge with those that iamframe reads.
_OTHER_KEYS = frozenset(
    (
        *("UserDetailList", "GroupDetailList", "Policies", "PolicyNames", "AttachedPolicies", "Groups", "Users"),
        *("Regions", "Accounts", "Clusters", "clusters", "failures", "StackResources", "ResourceTagMappingList"),
        *("PaginationToken", "computeNodeGroups", "environmentIds", "ContentLength", "HttpStatusCode"),
    )
)
# The key of the items if the document itself is a list.
ROWS = "rows"


class AccountsByFolder(dict[tuple[str, ...], set[str]]):
    def add(self, piece: Piece, account: str) -> None:
        # Folders above the source do not count: their other files may belong to other accounts.
        for depth in range(piece.root, len(piece.folders) + 1):
            self.setdefault(piece.folders[:depth], set()).add(account)


@dataclass(slots=True)
class Reading:
    # Whether long lists are decoded in groups of items.
    in_runs: bool = False
    gaps: list[tuple[Piece, Gap]] = field(default_factory=list)
    # By folder, the accounts in the outputs of `aws sts get-caller-identity`.
    callers: dict[tuple[str, ...], set[str]] = field(default_factory=lambda: defaultdict(set))
    # By folder, the accounts of IAM's own answers.
    answered: dict[tuple[str, ...], set[str]] = field(default_factory=lambda: defaultdict(set))
    # The same, with the accounts of all folders below.
    answered_within: AccountsByFolder = field(default_factory=AccountsByFolder)
    # The accounts of the resources in the files.
    carried: AccountsByFolder = field(default_factory=AccountsByFolder)
    # The accounts of the profiles that the resources use.
    named: AccountsByFolder = field(default_factory=AccountsByFolder)
    has_read: bool = False
    # The problems of documents that are not from AWS, Terraform or Steampipe, and the files with other documents.
    foreign: list[tuple[Piece, str, dict[str, Any]]] = field(default_factory=list)
    recognized: set[tuple[str, ...]] = field(default_factory=set)
    # The files with a list of tags that was cut short. The next document in such a file is the rest of the list.
    cut_short: set[tuple[str, ...]] = field(default_factory=set)
    _kept: dict[type, list[Any]] = field(default_factory=lambda: defaultdict(list))

    def keep(self, record: object) -> None:
        self._kept[type(record)].append(record)

    def kept(self, kind: type[_Kept]) -> list[_Kept]:
        return self._kept[kind]

    def gap(self, piece: Piece, gap: Gap) -> None:
        self.gaps.append((piece, gap))

    def unreadable(self, piece: Piece, problem: dict[str, Any], path: str = "$") -> None:
        subject = piece.label if path == "$" else f"{piece.label} {path}"
        operation = _operation_in_name(piece) or "file"
        region = GLOBAL if operation in _IAM else region_of(piece) or UNKNOWN_REGION
        facts = {"file": piece.label, "what": problem}
        self.gap(piece, Gap(operation, subject, "unreadable", "gaps.unreadable", facts, region))

    @contextmanager
    def gap_if_unreadable(self, piece: Piece, path: str = "$") -> Iterator[None]:
        try:
            yield
        except Foreign as error:
            self.foreign.append((piece, path, error.problem))
        except Unreadable as error:
            self.unreadable(piece, error.problem, path)
        except BROKEN as error:
            self.unreadable(piece, problem_of(error, path), path)

    def note_foreign(self) -> None:
        # A folder may have hundreds of such files, so they share one gap.
        first: dict[tuple[str, ...], tuple[Piece, dict[str, Any]]] = {}
        for piece, path, problem in self.foreign:
            if piece.place in self.recognized:
                self.unreadable(piece, problem, path)
            else:
                first.setdefault(piece.place, (piece, problem))
        others = []
        for piece, problem in first.values():
            if piece.is_given or _operation_in_name(piece):
                self.unreadable(piece, problem)
            else:
                others.append((piece, problem))
        if others:
            piece, problem = others[0]
            facts = {"files": [one.label for one, _ in others], "count": len(others), "what": problem}
            self.gap(piece, Gap("file", piece.label, "unreadable", "gaps.foreign", facts, UNKNOWN_REGION))

    def gaps_with_owner(self) -> Records:
        for piece, gap in self.gaps:
            if gap.operation != "file":
                gap.account_id = gap.account_id or self.owner(piece.folders)
        return [gap for _, gap in self.gaps]

    def cannot_place(self, piece: Piece, answer: Answer) -> None:
        message = "gaps.answer.whose_tags" if answer.operation.endswith("Tags") else "gaps.answer.whose"
        self.gap(piece, Gap(answer.operation, answer.origin, "unreadable", message, {"file": answer.origin}))

    def owner(self, folders: tuple[str, ...], named: Iterable[str] = (), creators: Collection[str] = ()) -> str | None:
        """Find the account of a file that does not show its account. All files must already be read."""
        # A resource may use a profile of another account, so `named` counts only if nothing else shows an account.
        for shown in (self.carried, self.named):
            nearest: set[str] = set()
            for depth in range(len(folders), 0, -1):
                folder = folders[:depth]
                # `prod/` beside `dev/` is another account; `us-east-1/` beside `iam/` is the same one.
                is_one = all(map(_PART_OF_ACCOUNT.fullmatch, folders[depth:]))
                callers = self.callers.get(folder, set()) if is_one else set()
                if len(callers) == 1 and nearest | self.answered.get(folder, set()) <= callers:
                    return next(iter(callers))
                # A date and time, such as 202406011200, has 12 digits, too.
                name = folder[-1]
                if _TWELVE_DIGITS.fullmatch(name) and name in self.answered_within.get(folder, {name}):
                    return name
                nearest = nearest or ((shown.get(folder, set()) | callers) if is_one else set())
            # An account id in a folder's name takes precedence, because some files hide the creator's account.
            if creators:
                return next(iter(creators)) if len(creators) == 1 else None
            if nearest:
                alone = len(nearest) == 1 and (not named or nearest <= set(named))
                return next(iter(nearest)) if alone else None
        return None

    def with_owner(self, piece: Piece, answer: Answer) -> Answer:
        answer.account_id = answer.account_id or self.owner(piece.folders)
        records = sum(map(len, answer.chunks))
        self.has_read |= bool(records) or (answer.state == "complete" and answer.account_id is not None)
        if answer.account_id is None and not any(accounts_in([r]) - {None} for chunk in answer for r in chunk):
            self.cannot_place(piece, answer)
        return answer


def region_of(piece: Piece) -> str | None:
    return next(filter(None, map(region_in, (piece.name, *reversed(piece.folders)))), None)


def in_cli_form(name: str) -> str:
    return cli_name(name).replace("_", "-")


def _operation_in_name(piece: Piece) -> str | None:
    name = in_cli_form(piece.name)
    return next((operation for pattern, operation in _FILE_NAMES if pattern.search(name)), None)


def accounts_in(records: Records) -> set[str | None]:
    fields = type(records[0]).__struct_fields__
    name = next((name for name in ("role_arn", "profile_arn", "managed_arn") if name in fields), None)
    if name is None:
        return {None}
    arns = list(map(attrgetter(name), records))
    prefix = arns[0].split("/", 1)[0] + "/"
    # If the first and the last of sorted texts begin alike, all do; most files are of one account.
    if min(arns).startswith(prefix) and max(arns).startswith(prefix):
        return {account_of(prefix)}
    # The text before the first `/` of an ARN repeats, and paths hold no account.
    return set(map(account_of, {arn.split("/", 1)[0] for arn in arns}))


@dataclass(slots=True)
class Document:
    reading: Reading
    source: str
    piece: Piece
    # The size of the document's file in bytes.
    size: int
    place: str
    keys: dict[str, Value]
    # The first items of a long list, decoded in groups. The other items are in `keys`.
    runs: Runs | None = None
    # The keys of lists with unreadable items.
    short: set[str] = field(default_factory=set)

    def within(self, place: str, keys: dict[str, Value]) -> Document:
        return Document(self.reading, self.source, self.piece, self.size, place, keys)

    @property
    def is_truncated(self) -> bool:
        # `aws --max-items` adds `NextToken`. In the last page, EC2 may return an empty token, which botocore ignores.
        tokens = [self.keys.get(key) for key in ("NextToken", "nextToken", "Marker")]
        if any(isinstance(token, str) and _EXAMPLE_MARKER.fullmatch(token) for token in tokens):
            return False
        return self.keys.get("IsTruncated") in (True, "true", "True") or any(tokens)

    def of_unknown_shape(self) -> Unreadable:
        # Long keys are cut, and may then be equal.
        keys = [*dict.fromkeys(map(short_text, self.keys))]
        shown = ", ".join(keys[:5]) + (" …" if len(keys) > 5 else "")
        return Unreadable("gaps.file.no_shape", place=self.place, keys=shown or {"message": "list.none"})

    def state(self, key: str) -> State:
        # A key of no response, such as `Name`, comes from `--query`, which may have left out items.
        is_whole = key not in self.short and self.keys.keys() <= _response_keys()
        return "truncated" if self.is_truncated else "complete" if is_whole else "partial"

    def path(self, key: str) -> str:
        return self.place if key == ROWS else f"{self.place}.{key}"

    def items(self, key: str) -> list[Raw]:
        items = self.keys[key]
        if not isinstance(items, list):
            raise Unreadable("gaps.file.no_list", place=f"{self.place}.{key}", kind=kind_of(items))
        return items

    def text(self, key: str) -> str:
        value = self.keys[key]
        if not isinstance(value, str):
            raise Unreadable("gaps.file.no_text", place=f"{self.place}.{key}", kind=kind_of(value))
        return value

    def as_json(self, key: str | None = None) -> Raw:
        return Raw(msgspec.json.encode(self.keys if key is None else self.keys[key]))

    def decode(self, kind: Any, key: str | None = None) -> Any:
        try:
            return self.decoder(kind)(self.as_json(key))
        except BROKEN as error:
            place = self.place if key is None else f"{self.place}.{key}"
            raise Unreadable(**problem_of(error, place)) from None

    def decoder(self, kind: Any) -> Callable[[Raw], Any]:
        decode = msgspec.json.Decoder(kind).decode
        if self.size > LARGE:
            return decode

        def decode_once(item: Raw) -> Any:
            record = decode(item)
            refuse_repeats(item)
            return record

        return decode_once

    def records(self, key: str, kind: Any, *, by_hand: bool = True) -> Iterator[Records]:
        in_runs = self.runs is not None and self.runs.key == key
        if self.runs and in_runs:
            yield from self.runs.lists(kind)
        # People who edit a file by hand may repeat a key.
        decode = self.decoder(kind) if by_hand else msgspec.json.Decoder(kind).decode
        items, path = self.items(key), self.path(key)
        for start in range(0, len(items), _CHUNK):
            part = items[start : start + _CHUNK]
            try:
                chunk = list(map(decode, part))
            except BROKEN as error:
                if in_runs:
                    raise NotARun(str(error)) from error
                each = [self.one(item, decode, f"{path}[{n}]") for n, item in enumerate(part, start)]
                chunk = [record for record in each if record is not None]
                self.short.add(key)
            yield chunk

    def one(self, item: Raw, decode: Callable[[Raw], Any], path: str) -> Any:
        try:
            return decode(item)
        except BROKEN as error:
            self.reading.unreadable(self.piece, problem_of(error, path), path)
            return None

    def answer(
        self, operation: str, *chunks: list[Any], account_id: str | None = None, state: State = "partial"
    ) -> Answer:
        return Answer(operation, self.piece.label, chunks, account_id, state=state, source=self.source)

    def listing(self, key: str, operation: str, kind: Any, *, lists_all: bool = True) -> Answer:
        self.items(key)
        answer = self.answer(operation)

        def chunks() -> Iterator[Records]:
            yield from self.records(key, kind)
            if lists_all:
                answer.state, answer.lacks = self.state(key), key in self.short

        answer.chunks = chunks()
        return answer

    def single(self, key: str, operation: str, kind: Any) -> Answer:
        record = self.one(self.as_json(key), self.decoder(kind), f"{self.place}.{key}")
        return self.answer(operation, [] if record is None else [record])


@cache
def _response_keys() -> frozenset[str]:
    # People merge several responses into one document.
    return _OTHER_KEYS.union(PAGE_KEYS, *(one.keys for shapes in SHAPES.values() for one in shapes))


Read = Callable[[Document], Iterable[Answer]]
Condition = Callable[[Document], bool]


@dataclass(frozen=True, slots=True)
class Shape:
    keys: frozenset[str]
    when: Condition | None
    of_items: bool
    read: Read

    def fits(self, document: Document) -> bool:
        return not self.of_items and self.keys <= document.keys.keys() and (self.when is None or self.when(document))


# The shapes by module, in the order in which they are defined there.
SHAPES: dict[str, list[Shape]] = defaultdict(list)


def shape(*keys: str, when: Condition | None = None, of_items: bool = False) -> Callable[[Read], Read]:
    """A document may have extra keys, because people merge several responses into one file."""

    def register(read: Read) -> Read:
        SHAPES[read.__module__].append(Shape(frozenset(keys), when, of_items, read))
        return read

    return register
