"""The JSON documents of a file, whole or in pieces."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

from iamframe.sources.archives import Unreadable

# What decoding raises on text that is not of the shape asked for.
BROKEN = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, Unreadable)
# Where msgspec says that a document ends and another text begins.
_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")


class _Key:
    """A key of an object, told apart by identity, so that a key which comes twice is seen twice."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


Value = list[Raw] | dict[str, Raw] | str | bool | int | float | None
_Found = list[Raw] | dict[_Key, Raw] | str | bool | int | float | None
# One pass over the file finds its keys and cuts its lists into items, which are decoded one by one later.
_OBJECT = msgspec.json.Decoder(dict[_Key, _Found], dec_hook=lambda _, text: _Key(text))
_LIST = msgspec.json.Decoder(list[Raw])
Documents = Iterator[tuple[str, dict[str, Value] | list[Raw]]]


def text_of(data: bytes) -> bytes:
    """Return the text of a file as UTF-8, whatever Unicode encoding it has."""
    # PowerShell 5 writes UTF-16 where a command's output is redirected to a file.
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return data.decode("utf-16").encode()
        except UnicodeDecodeError:
            raise Unreadable("is neither UTF-8 nor UTF-16 text") from None
    return data.removeprefix(b"\xef\xbb\xbf")


def documents_of(data: bytes) -> Documents:
    """Yield each JSON document of a text with its place; people append one export to another."""
    data = text_of(data)
    if not data or data.isspace():
        raise Unreadable("is empty; the command that should have written it probably failed")
    try:
        content = _content(data, "$")
    except msgspec.DecodeError as error:
        if not _TRAILING.search(str(error)):
            raise Unreadable(f"is not JSON ({in_plain_words(error)}); export it again with --output json") from None
        for number, text in enumerate(_appended(data)):
            place = f"document {number} $"
            try:
                content = _content(text, place)
            except msgspec.DecodeError as problem:
                raise Unreadable(f"{at_place(place)}is not JSON ({in_plain_words(problem)}); export it again") from None
            yield place, content
    else:
        yield "$", content


def _appended(data: bytes) -> Iterator[bytes]:
    start = 0
    while rest := memoryview(data)[start:]:
        end = len(rest)
        try:
            msgspec.json.decode(rest, type=Raw)
        except (msgspec.DecodeError, RecursionError) as error:
            if not (trailing := _TRAILING.search(str(error))):
                raise Unreadable(
                    f"is not JSON after its first document ({in_plain_words(error)}); export it again"
                ) from None
            # It counts from one.
            end = int(trailing.group(1)) - 1
        yield data[start : start + end]
        start += end


def _content(text: bytes | Raw, place: str) -> dict[str, Value] | list[Raw]:
    if beginning(text) != b"[":
        return object_of(text, place)
    try:
        return _LIST.decode(text)
    except RecursionError:
        raise Unreadable(f"{at_place(place)}is nested too deeply to be an answer of AWS") from None
    except UnicodeDecodeError:
        raise Unreadable(f"{at_place(place)}is not UTF-8 text; export it again") from None


def beginning(text: bytes | Raw) -> bytes:
    """Return the first byte of a document that is no space."""
    return bytes(memoryview(text)[:1_000]).lstrip()[:1]


def object_of(text: bytes | Raw, place: str) -> dict[str, Value]:
    """Return the keys and values of an object.

    Raises
    ------
    Unreadable
        If it is no object, is nested too deeply, or has a key twice.
    msgspec.DecodeError
        If it is not JSON.
    """
    try:
        pairs = _OBJECT.decode(text)
    except msgspec.ValidationError:
        kinds = {b"[": "a list", b'"': "text", b"{": "a value that is no JSON value"}
        kind = kinds.get(beginning(text), "a number or constant")
        raise Unreadable(f"{at_place(place)}holds {kind}, not the object that AWS answers with") from None
    except RecursionError:
        raise Unreadable(f"{at_place(place)}is nested too deeply to be an answer of AWS") from None
    except UnicodeDecodeError:
        raise Unreadable(f"{at_place(place)}is not UTF-8 text; export it again") from None
    keys = _once([(key.text, value) for key, value in pairs.items()], f"{at_place(place)}")
    for key, value in keys.items():
        if isinstance(value, dict):
            keys[key] = _once([(k.text, v) for k, v in value.items()], f"{place}.{key} ")
    return keys


def _once(pairs: list[tuple[str, Any]], at: str = "") -> dict[str, Any]:
    """Return an object of its keys and values.

    Raises
    ------
    Unreadable
        If a key comes twice.
    """
    keys = dict(pairs)
    if len(keys) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise Unreadable(f"{at}has the key {short_text(twice)} twice, so that one would be lost; export it anew")
    return keys


# Finds keys that come twice at any depth; what numbers mean is no matter here.
NO_KEY_TWICE = json.JSONDecoder(object_pairs_hook=_once, parse_int=str, parse_float=str, strict=False)


def in_plain_words(error: Exception) -> str:
    """Return what a decoder says, without its own names."""
    return str(error).removeprefix("JSON is malformed: ").replace("\n", " ")


def sentence_of(error: Exception, path: str) -> str:
    """Return what a decoder says of a value, as a sentence that begins with the place of what it refused."""
    message, _, inner = in_plain_words(error).partition(" - at `$")
    return f"{path}{inner.rstrip('`')}: {message[:1].lower()}{message[1:]}"


def at_place(place: str) -> str:
    """Return a place within a file as a sentence begins with it."""
    return "" if place == "$" else f"{place} "


def kind_of(value: Value) -> str:
    """Return what a JSON value is, in words."""
    kinds = {list: "a list", dict: "an object", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def short_text(text: str) -> str:
    """Return a text as messages show it."""
    return repr(text[:40] + "…" if len(text) > 40 else text)
