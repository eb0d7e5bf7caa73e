"""Files that hold AWS's answers, told apart by their shape.

Each format is a module of its own, which registers its shapes. Files are read one after the other, each to its end, so
that memory holds one at a time. Only answers that do not say whose they are (tags, summaries, empty listings) wait
until all other files are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Raw

from iamframe.errors import SourceError
from iamframe.sources import cloudtrail, config, iam, references, steampipe, terraform
from iamframe.sources.archives import DENIED, Piece, Unreadable, pieces, shown, unread
from iamframe.sources.denied import read_denied
from iamframe.sources.documents import (
    BROKEN,
    Value,
    at_place,
    beginning,
    documents_of,
    object_of,
    sentence_of,
    short_text,
    text_of,
)
from iamframe.sources.reading import Reading, Records, accounts_of
from iamframe.sources.records import Answer
from iamframe.sources.shapes import LISTS, ROWS, SHAPES, Document, keys_of

# A document may have several shapes, which are read in this order.
_FORMATS = (iam, config, terraform, steampipe, cloudtrail, references)
_SHAPES = [one for module in _FORMATS for one in SHAPES[module.__name__]]
_LISTS = [one for module in _FORMATS for one in LISTS[module.__name__]]
# The output of `aws sts get-caller-identity` is no larger.
_SMALL = 4_096


def read_files(sources: Iterable[Any]) -> Iterator[Answer]:
    """Yield what files, folders and archives prove, one `Answer` per list; what cannot be read comes as `Gap`s.

    Parameters
    ----------
    sources
        Paths of files, folders and archives.

    Raises
    ------
    SourceError
        If a source does not exist, or nothing in all of them could be read.
    """
    reader = _Reader()
    for source in sources:
        reader.sources.append(shown(source))
        for piece in pieces(source):
            # A file that is named twice, or lies in a folder named too, is read once.
            reader.found.setdefault(piece.place, (shown(source), piece))
    yield from reader.answers()


@dataclass(slots=True)
class _Reader:
    sources: list[str] = field(default_factory=list)
    found: dict[tuple[str, ...], tuple[str, Piece]] = field(default_factory=dict)
    waiting: list[tuple[Piece, Answer]] = field(default_factory=list)
    reading: Reading = field(default_factory=Reading)

    def answers(self) -> Iterator[Answer]:
        # The order of places, so that the order in which sources are named changes nothing.
        found = [self.found[place] for place in sorted(self.found)]
        for _, piece in found:
            self._notice_caller(piece)
        for source, piece in found:
            try:
                for answer in self._file(source, piece):
                    yield from self._now_or_later(piece, answer)
            except Unreadable as problem:
                self.reading.unreadable(piece, str(problem))
            except BROKEN as error:
                self.reading.unreadable(piece, sentence_of(error, "$"))
            except OSError as error:
                # A disk or a share that fails costs this file alone.
                self.reading.unreadable(piece, str(unread(error)))
        for piece, answer in (*self.waiting, *config.answers(self.reading)):
            yield self.reading.with_owner(piece, answer)
        yield from references.answers(self.reading)
        yield from self._gaps()

    def _notice_caller(self, piece: Piece) -> None:
        """Note the caller of a folder, which tells whose its other files are, before any of them is read."""
        if "identity" not in piece.name.lower() and piece.size > _SMALL:
            return
        try:
            data = text_of(piece.read())
            if b'"UserId"' in data and b'"Account"' in data:
                for _, content in documents_of(data):
                    account = content.get("Account") if isinstance(content, dict) else None
                    if isinstance(account, str) and account and "UserId" in content:
                        self.reading.callers[piece.folders] = account
        except (Unreadable, msgspec.DecodeError):
            return

    def _now_or_later(self, piece: Piece, answer: Answer) -> Iterator[Answer]:
        chunks = iter(answer)
        first = next(chunks, [])
        if first and None not in accounts_of(first):
            answer.chunks = self._watched(piece, answer, first, chunks)
            yield answer
        else:
            answer.chunks = [first, *chunks]
            self.waiting.append((piece, answer))

    def _watched(self, piece: Piece, answer: Answer, first: Records, rest: Iterator[Records]) -> Iterator[Records]:
        accounts: set[str | None] = set()
        for chunk in (chunk for chunks in ([first], rest) for chunk in chunks):
            accounts |= accounts_of(chunk)
            yield chunk
        for account in accounts - {None}:
            self.reading.carried.add(piece, str(account))
        self.reading.has_read = True
        answer.account_id = self.reading.owner(piece.folders)

    def _file(self, source: str, piece: Piece) -> Iterator[Answer]:
        if piece.name.lower() == DENIED:
            yield from read_denied(self.reading, source, piece)
            return
        data = piece.read()
        for place, content in documents_of(data):
            try:
                keys: dict[str, Value] = content if isinstance(content, dict) else {ROWS: content}
                document = Document(self.reading, source, piece, len(data), place, keys)
                yield from _document(document) if isinstance(content, dict) else _list(document, content)
            except Unreadable as problem:
                self.reading.unreadable(piece, str(problem), place)

    def _gaps(self) -> Iterator[Answer]:
        gaps = self.reading.gaps
        if not self.reading.has_read:
            first = gaps[0][1].detail if gaps else None
            names = ", ".join(dict.fromkeys(self.sources))
            raise SourceError(
                first
                or f"{names}: holds no file that iamframe reads; it takes JSON that the AWS CLI prints, AWS Config "
                "items, CloudTrail records, Terraform state and Steampipe rows"
            )
        for piece, gap in gaps:
            if gap.operation != "file":
                gap.account_id = gap.account_id or self.reading.owner(piece.folders)
        if gaps:
            yield Answer("file", "files", [[gap for _, gap in gaps]])


def _document(document: Document) -> Iterator[Answer]:
    """Yield the answers of each shape that a document has.

    Raises
    ------
    Unreadable
        If it has none, or one of them cannot be read.
    """
    place, keys = document.place, document.keys
    if keys.keys() >= {"status_code", "data"}:
        # Recorders of botocore answers wrap each one so.
        inner = f"{place}.data"
        yield from _document(document.within(inner, object_of(document.as_json("data"), inner)))
        return
    has_shape, problems = False, []
    for one in _SHAPES:
        if not one.fits(document):
            continue
        has_shape = True
        try:
            yield from one.read(document)
        except Unreadable as problem:
            problems.append(str(problem))
    if problems:
        raise Unreadable("; ".join(problems))
    if not has_shape:
        raise Unreadable(
            f"{at_place(place)}is not a shape that iamframe reads (its keys are {_shown_keys(keys)}); see the "
            "README for the files that it takes"
        )


def _list(document: Document, items: list[Raw]) -> Iterator[Answer]:
    """Yield the answers of a list that is a document by itself.

    Raises
    ------
    Unreadable
        If it is empty, or a list of values.
    """
    place = document.place
    if not items:
        raise Unreadable(f"{at_place(place)}is an empty list, which says nothing of any account")
    if not any(beginning(item) == b"{" for item in items):
        raise Unreadable(f"{at_place(place)}holds a list of values, not the objects that AWS answers with")
    first = keys_of(items[0])
    if shape := next((one for one in _LISTS if one.keys <= first), None):
        yield from shape.read(document)
        return
    for index, item in enumerate(items):
        at = f"{place}[{index}]"
        try:
            yield from _document(document.within(at, object_of(item, at)))
        except Unreadable as problem:
            document.reading.unreadable(document.piece, str(problem), at)
        except BROKEN as error:
            document.reading.unreadable(document.piece, sentence_of(error, at), at)


def _shown_keys(keys: dict[str, Value]) -> str:
    return ", ".join(short_text(key) for key in list(keys)[:5]) + (" …" if len(keys) > 5 else "") if keys else "none"
