"""Recognize JSON documents by their keys, and register the functions that read the documents.

The decorator `@shape` registers a function for documents with certain keys. A list is recognized by the keys of its
first item.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Raw

from iamframe.sources.archives import Piece, Unreadable
from iamframe.sources.documents import BROKEN, NotARun, Runs, Value, kind_of, problem_of, refuse_repeats, short_text
from iamframe.sources.reading import Reading, Records
from iamframe.sources.records import Answer, State

# The number of records that become columns at once.
_CHUNK = 2_000
# People edit files by hand, but none as large as this.
LARGE = 4 << 20
# AWS's documentation shows made-up markers in complete answers; a real marker is opaque.
_EXAMPLE_MARKER = re.compile(r"EXAMPLE.*EXAMPLE")
# The key of the items if the document itself is a list.
ROWS = "rows"


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
        return "truncated" if self.is_truncated or key in self.short else "complete"

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
                answer.state = self.state(key)

        answer.chunks = chunks()
        return answer

    def single(self, key: str, operation: str, kind: Any) -> Answer:
        record = self.one(self.as_json(key), self.decoder(kind), f"{self.place}.{key}")
        return self.answer(operation, [] if record is None else [record])


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
