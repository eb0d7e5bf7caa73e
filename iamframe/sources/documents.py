"""Find the JSON documents in a file, and split lists into items. The items are decoded later.

The class `Runs` splits a long list in a large file into groups of items.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from iamframe.sources.archives import Unreadable

# The errors of decoding text that does not have the expected form.
BROKEN = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, Unreadable)
# msgspec's message if more text follows a document; it counts bytes from one.
_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")
_BYTE = re.compile(r" \(byte (\d+)\)")


class _Key:
    # Equal keys are different `_Key` objects, so a dict keeps both values if a JSON object has a key twice.

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


Value = list[Raw] | dict[str, Raw] | str | bool | int | float | None
_KeyedValue = list[Raw] | dict[_Key, Raw] | str | bool | int | float | None
# One pass checks the whole text, finds the keys of an object, and cuts its lists into items.
_OBJECT = msgspec.json.Decoder(dict[_Key, _KeyedValue], dec_hook=lambda _, text: _Key(text))
_LIST = msgspec.json.Decoder(list[Raw])
_LONG_LIST = re.compile(rb'"(RoleDetailList|Roles|InstanceProfiles)"\s*:\s*\[(\s*\{\s*"\w+")')
# The long list must begin within this many bytes of the start of the file, and end within as many of its end.
_ENDS = 16 << 20
# The size of a run in bytes. Much larger runs do not fit into the processor's cache.
_RUN = 1 << 20
# The item that replaces the runs in the document. It proves that the list is the document's own, not a nested one.
_MARK = Raw(b'"iamframe: items in runs"')


class NotARun(Exception):
    """A group of items of a long list could not be decoded in one step, so `load_files` must decode each item alone."""


@dataclass(frozen=True, slots=True)
class Runs:
    """The items of a long list, except those that begin in the last 16 MiB of the file.

    `document_in_runs` also returns a parsed document with these last items.
    """

    # The text of all items would need more memory than all finished DataFrames. The list is split without a search for
    # the end of each item: the search would take as long as decoding. A wrong split leaves a first part that is no
    # valid list, so the mistake is always noticed.

    key: str
    path: Path
    start: int
    end: int
    # A comma and the beginning of an item.
    between: bytes

    def lists(self, kind: Any) -> Iterator[list[Any]]:
        decode = msgspec.json.Decoder(list[kind]).decode
        left, text = self.end - self.start, bytearray(b"[")
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.start)
                while left:
                    block = file.read(min(_RUN, left))
                    if not block:
                        raise NotARun(f"{self.path} became shorter")
                    left -= len(block)
                    text += block
                    end = text.rfind(self.between) if left else len(text)
                    if end > 1:
                        # The comma between two items becomes the end of one list and the beginning of the next.
                        rest = text[end + 1 :]
                        text[end:] = b"]"
                        yield decode(text)
                        text = bytearray(b"[") + rest
        except (OSError, *BROKEN) as error:
            raise NotARun(str(error)) from error


def document_in_runs(path: Path) -> tuple[dict[str, Value], Runs] | None:
    try:
        with path.open("rb", buffering=0) as file:
            head = file.read(_ENDS)
            if not (found := _LONG_LIST.search(head)):
                return None
            (key, first), start = found.groups(), found.start(2)
            tail_at = file.seek(max(file.seek(0, os.SEEK_END) - _ENDS, start))
            tail = file.read()
        # Each item begins like the first. In a list on one line, a space precedes each item but the first.
        for between in (b"," + first, b", " + first):
            if (last := tail.find(between)) > 0:
                break
        else:
            return None
        ((_, keys),) = documents_of(head[:start] + bytes(_MARK) + tail[last:])
    except (OSError, ValueError, Unreadable):
        return None
    items = keys.get(key.decode()) if isinstance(keys, dict) else None
    if not isinstance(items, list) or items[:1] != [_MARK]:
        return None
    del items[0]
    return keys, Runs(key.decode(), path, start, tail_at + last, between)  # type: ignore[return-value]


def utf8(data: bytes) -> bytes:
    # PowerShell 5 writes UTF-16 when a command's output is redirected to a file.
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return data.decode("utf-16").encode()
        except UnicodeDecodeError:
            raise Unreadable("gaps.file.encoding") from None
    return data.removeprefix(b"\xef\xbb\xbf")


def documents_of(given: bytes) -> Iterator[tuple[str, dict[str, Value] | list[Raw]]]:
    data = utf8(given)
    start = len(given) - len(data) if given.endswith(data) else None
    if not data or data.isspace():
        raise Unreadable("gaps.file.empty")
    try:
        content = _content(data, "$")
    except msgspec.DecodeError as error:
        if not _TRAILING.search(str(error)):
            raise Unreadable("gaps.file.not_json", why=in_plain_words(error, start)) from None
        for number, text in enumerate(_appended(data, start)):
            place = f"document {number} $"
            try:
                content = _content(text, place)
            except msgspec.DecodeError as problem:
                raise Unreadable("gaps.file.part_not_json", place=place, why=in_plain_words(problem)) from None
            yield place, content
    else:
        yield "$", content


def _appended(data: bytes, offset: int | None) -> Iterator[bytes]:
    start = 0
    while rest := memoryview(data)[start:]:
        end = len(rest)
        try:
            msgspec.json.decode(rest, type=Raw)
        except (msgspec.DecodeError, RecursionError) as error:
            if not (trailing := _TRAILING.search(str(error))):
                place = None if offset is None else offset + start
                raise Unreadable("gaps.file.rest_not_json", why=in_plain_words(error, place)) from None
            end = int(trailing.group(1)) - 1
        yield data[start : start + end]
        start += end


def _content(text: bytes, place: str) -> dict[str, Value] | list[Raw]:
    return _decoded(_LIST, text, place) if beginning(text) == b"[" else object_of(text, place)


def object_of(text: bytes | Raw, place: str) -> dict[str, Value]:
    """Raise `DecodeError` if the text is not JSON."""
    try:
        pairs = _decoded(_OBJECT, text, place)
    except msgspec.ValidationError:
        kinds = {b"[": "list", b'"': "text", b"{": "no-value"}
        kind = kinds.get(beginning(text), "constant")
        raise Unreadable("gaps.file.no_object", place=place, kind=kind) from None
    keys = _without_repeats([(key.text, value) for key, value in pairs.items()], place)
    for key, value in keys.items():
        if isinstance(value, dict):
            keys[key] = _without_repeats([(k.text, v) for k, v in value.items()], f"{place}.{key}")
    return keys


def _decoded(decoder: msgspec.json.Decoder[Any], text: bytes | Raw, place: str) -> Any:
    try:
        return decoder.decode(text)
    except RecursionError:
        raise Unreadable("gaps.file.too_deep", place=place) from None
    except UnicodeDecodeError:
        raise Unreadable("gaps.file.not_utf8", place=place) from None


def _without_repeats(pairs: list[tuple[str, Any]], place: str | None = None) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise Unreadable("gaps.file.key_twice", place=place, key=short_text(twice))
    return keys


# Finds repeated keys at any depth; the values of numbers do not matter here.
_NO_REPEATS = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_int=str, parse_float=str, strict=False)


def refuse_repeats(item: Raw) -> None:
    _NO_REPEATS.decode(bytes(item).decode())


def beginning(text: bytes | Raw) -> bytes:
    return bytes(memoryview(text)[:1_000]).lstrip()[:1]


def keys_of(item: Raw) -> set[str]:
    try:
        return set(msgspec.json.decode(item, type=dict[str, Raw]))
    except BROKEN:
        return set()


def in_plain_words(error: Exception, start: int | None = 0) -> str:
    """Return the text of an error, with `start` added to each byte position.

    If a file was converted from UTF-16, `start` is None, and the text has no byte position.
    """
    text = str(error).removeprefix("JSON is malformed: ").replace("\n", " ")
    if start is None:
        return _BYTE.sub("", text)
    return _BYTE.sub(lambda found: f" at byte position {start + int(found[1])}, counted from 0", text)


def problem_of(error: Exception, path: str) -> dict[str, Any]:
    if isinstance(error, Unreadable):
        return {"message": "gaps.file.value", "at": path, "why": error.problem}
    # The decoder may add a more exact location below `path`.
    why, _, inner = in_plain_words(error).partition(" - at `$")
    return {"message": "gaps.file.value", "at": path + inner.rstrip("`"), "why": why[:1].lower() + why[1:]}


def kind_of(value: Value) -> str:
    # Keys of the message table `words`.
    kinds = {list: "list", dict: "object", str: "text", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")


def short_text(text: str) -> str:
    return repr(text[:40] + "…" if len(text) > 40 else text)
