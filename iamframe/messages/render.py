"""Insert values (facts) into the texts of messages. A fact is a name, number or other value in a message.

In a text, a placeholder such as `{key}` stands for the fact with this name. A colon and a format can follow the name:

- `{key:spelled}`: the fact in the form `spelled`, which adds the Unicode codes of look-alike letters
- `{total:profile}`: the number `total` with a noun, such as "3 profiles"
- `{region:in}`: the fact in a phrase, such as "in eu-west-1", or nothing if the fact is missing
- `{actions:or}`: all items of a list, joined by "or"
- `[{key}, {value}]`: the text between the brackets, repeated for each of the finding's rows in the frame `facts`

In the TOML file, a message with several texts is a table. One of the values that fill the message decides which text is
used:

- `by`: the name of the deciding value (default: `count`)
- `one`: the text for the number 1
- `other`: the text for all other values
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from importlib import resources
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.messages.text import INVISIBLE, spell_out

Text = str | Mapping[str, str]
# A message as a fact: its id under `message`, and its facts.
Message = Mapping[str, Any]
_Item = TypeVar("_Item")
LANGUAGES = ("en", "ja")
# The ways to join a list that stand only before its last item.
_BEFORE_LAST = ("and", "or", "comma_and")
# The length at which a list is cut, unless it consists of messages, or its way to join is in `list`, such as `or`.
LISTED = 3
_PLACE = re.compile(r"\{(\w+)(?::([\w-]+))?\}")
LIST = re.compile(r"\[(.*)\]", re.DOTALL)


@cache
def _catalogue(lang: str) -> dict[str, Text]:
    texts: dict[str, Text] = {}

    def flatten(table: Mapping[str, Any], prefix: str) -> None:
        for key, value in table.items():
            is_text = isinstance(value, str) or "other" in value or "by" in value
            texts.update({prefix + key: value}) if is_text else flatten(value, f"{prefix}{key}.")

    file = resources.files("iamframe.messages").joinpath(f"{lang}.toml")
    flatten(msgspec.toml.decode(file.read_bytes()), "")
    return texts


def text_of(message: str, lang: str = "en", default: Text | None = None) -> Text:
    own = _catalogue(lang).get(message, default)
    return _catalogue("en")[message] if own is None else own


def say(message: str, lang: str = "en", **facts: Any) -> str:
    return fill(text_of(message, lang), facts, lang)


def fill(text: Text, facts: Mapping[str, Any], lang: str = "en") -> str:
    if not isinstance(text, str):
        text = _chosen(text, facts.get(text.get("by", "count")))
    return _PLACE.sub(lambda place: _shown(facts[place[1]], place[2], lang), text)


def _chosen(texts: Mapping[str, str], value: Any) -> str:
    return texts.get(str(value)) or texts["one" if value == 1 and "one" in texts else "other"]


def _shown(value: Any, how: str | None, lang: str) -> str:
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, str):
        return _shown(msgspec.json.decode(value), None, lang) if how == "message" else _text(value, how, lang)
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, Mapping):
        return fill(text_of(value["message"], lang), value, lang)
    if isinstance(value, Sequence):
        return _listed(value, how, lang)
    if isinstance(value, (int, float)) and how not in _WAYS:
        return _number(value, how, lang)
    return _text(str(value), how, lang)


def _text(text: str, how: str | None, lang: str) -> str:
    if how is None:
        return text
    if how == "words":
        return say("list.and", lang).join(say(f"words.{word}", lang) for word in text.split())
    if how not in _WAYS:
        return say(f"phrases.{how}", lang, text=text)
    shown, empty = _WAYS[how]
    return shown(text) or say(empty, lang)


def _listed(values: Sequence[Any], how: str | None, lang: str) -> str:
    is_messages = bool(values) and isinstance(values[0], Mapping)
    if joint := _catalogue(lang).get(f"list.{how}" if how else "list.between" if is_messages else ""):
        each = [_shown(one, None, lang) for one in values]
        # "a, b and c"
        before = say("list.separator", lang).join(each[:-1]) if how in _BEFORE_LAST else str(joint).join(each[:-1])
        return str(joint).join([*filter(None, [before]), *each[-1:]])
    each = [_shown(one, how, lang) for one in values]
    listed = say("list.separator", lang).join(each[:LISTED])
    return listed + (say("list.more", lang, n=len(each) - LISTED) if len(each) > LISTED else "")


def _number(value: float, noun: str | None, lang: str) -> str:
    number = f"{value:,.0f}" if value % 1 == 0 else f"{value:,.15g}"
    text = "{n}" if noun is None else text_of(f"nouns.{noun}", lang)
    return (text if isinstance(text, str) else _chosen(text, int(value))).replace("{n}", number)


# A text that is empty, or differs from another text only by spaces at an end or by invisible letters.
_UNCLEAR = rf"^$|^[\s\p{{Z}}]|[\s\p{{Z}}]$|{INVISIBLE.pattern}"


def _quoted(text: str) -> str:
    return text and f"'{spell_out(text) if text != text.strip() or INVISIBLE.search(text) else text}'"


# The ways to show a text: with look-alike letters spelled out; in quotes, with spaces at the ends and invisible letters
# spelled out; or unchanged. An empty text becomes a word.
_WAYS: dict[str | None, tuple[Callable[[str], str], str]] = {
    "spelled": (spell_out, "list.empty"),
    "value": (_quoted, "list.empty"),
    "path": (str, "list.nothing"),
}


def render(messages: pa.Array, facts: pa.Array, lang: str = "en") -> pa.Array:
    pairs = pc.binary_join_element_wise(messages, facts, "\x1f").dictionary_encode()
    sentences = []
    for pair in pairs.dictionary.to_pylist():
        message, _, values = pair.partition("\x1f")
        sentences.append(say(message, lang, **msgspec.json.decode(values)) if message else "")
    return pa.array(sentences, pa.string()).take(pairs.indices)


@cache
def _choices() -> tuple[frozenset[tuple[str, str]], frozenset[str]]:
    # The facts and values that choose a string of a table, and the facts that are shown as `words`.
    tables = [text for text in _catalogue("en").values() if not isinstance(text, str)]
    texts = [text for text in _catalogue("en").values() if isinstance(text, str)]
    texts += [text for table in tables for text in table.values()]
    words = frozenset(name for text in texts for name, how in _PLACE.findall(text) if how == "words")
    return frozenset((table["by"], value) for table in tables if "by" in table for value in table), words


def _selects(name: str, value: Any) -> bool:
    # The same name may have other values in a message that shows it.
    choices, words = _choices()
    is_words = name in words and all(f"words.{word}" in _catalogue("en") for word in str(value).split())
    return name == "message" or is_words or (name, value) in choices


def changed_facts(facts: str, change: Callable[[str], str]) -> str:
    def within(value: Any) -> Any:
        if isinstance(value, str):
            return change(value)
        if isinstance(value, dict):
            chosen = {name for name, one in value.items() if isinstance(one, str) and _selects(name, one)}
            return {name: one if name in chosen else within(one) for name, one in value.items()}
        return [within(one) for one in value] if isinstance(value, list) else value

    try:
        values = msgspec.json.decode(facts)
    except msgspec.DecodeError:
        # A column of your own check can have the name of a column that contains JSON.
        return change(facts)
    return msgspec.json.encode(within(values)).decode()


def nested(message: str, facts: str) -> Message:
    return {"message": message, **msgspec.json.decode(facts)}


def as_fact(message: str, facts: str) -> str | None:
    # A placeholder such as `{reason:message}` reads JSON.
    return msgspec.json.encode(nested(message, facts)).decode() if message else None


def joint(messages: Iterable[Message | None], message: str = "list.messages") -> Message | None:
    each = [part for one in messages if one for part in one.get("messages", [one])]
    distinct = [one for place, one in enumerate(each) if one not in each[:place]]
    return {"message": message, "messages": distinct} if len(distinct) > 1 else next(iter(distinct), None)


def sentences_of(message: str, facts: str, lang: str = "en") -> list[str]:
    one = nested(message, facts)
    return [_shown(part, None, lang) for part in one.get("messages", [one])]


def by_reason(
    rows: Iterable[tuple[str, _Item, Iterable[str]]],
) -> dict[tuple[tuple[_Item, ...], tuple[str, ...]], list[str]]:
    items_of: dict[str, dict[str, list[_Item]]] = {}
    for account, item, sentences in rows:
        for sentence in sentences:
            items_of.setdefault(account, {}).setdefault(sentence, []).append(item)
    accounts: dict[tuple[tuple[_Item, ...], tuple[str, ...]], list[str]] = {}
    for account, items in items_of.items():
        shared: dict[tuple[_Item, ...], list[str]] = {}
        for sentence, group in items.items():
            shared.setdefault(tuple(group), []).append(sentence)
        for of, reasons in shared.items():
            accounts.setdefault((of, tuple(reasons)), []).append(account)
    return accounts


def columns_of(messages: Iterable[Message | None]) -> tuple[pa.Array, pa.Array]:
    ids, facts = [], []
    for one in messages:
        values = dict(one or {})
        ids.append(values.pop("message", ""))
        facts.append(msgspec.json.encode(values).decode())
    return pa.array(ids, pa.string()), pa.array(facts, pa.string())


def json_text(values: pa.Array) -> pa.Array:
    quoted = pc.binary_join_element_wise('"', values, '"', "")
    escaped = pc.fill_null(pc.match_substring_regex(values, r'["\\\x00-\x1f]'), pa.scalar(False))
    odd = values.filter(escaped).dictionary_encode()
    texts = pa.array([msgspec.json.encode(one).decode() for one in odd.dictionary.to_pylist()], pa.string())
    return pc.replace_with_mask(quoted, escaped, texts.take(odd.indices))


def facts_of(columns: Mapping[str, pa.Array]) -> pa.Array:
    parts: list[Any] = []
    for name, values in columns.items():
        parts += [f'{"," if parts else "{"}"{name}":', json_text(values)]
    return pc.binary_join_element_wise(*parts, "}", "")


Groups = npt.NDArray[np.int64]


def render_facts(text: Text, column: Callable[[str], pa.Array], group: Groups, size: int, lang: str = "en") -> pa.Array:
    """The sorted array `group` assigns each row to one of `size` groups."""
    starts = np.searchsorted(group, np.arange(size + 1))
    sizes = np.diff(starts)
    listed = LIST.search(text) if isinstance(text, str) else None
    rows = _rows(listed[1] if listed else text, column, len(group), lang)
    if len(group) > size:
        shown = np.arange(len(group)) - starts[group] < LISTED
        rows, offsets = rows.filter(pa.array(shown)), np.concatenate([[0], np.cumsum(np.minimum(sizes, LISTED))])
        between, more = ("list.separator", "list.more") if listed else ("list.between", "list.more_sentences")
        rows = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), rows), say(between, lang))
        counts, which = np.unique(np.maximum(sizes - LISTED, 0), return_inverse=True)
        own = None if isinstance(text, str) else text.get("more")
        ends = [fill(own or text_of(more, lang), {"n": int(count)}, lang) if count else "" for count in counts]
        rows = pc.binary_join_element_wise(rows, pa.array(ends, pa.string()).take(pa.array(which)), "")
    if listed is None or not isinstance(text, str):
        return rows
    before, after = text[: listed.start()], text[listed.end() :]
    numbers = pa.array([f"{rows_of:,}" for rows_of in sizes], pa.string())

    def first(name: str) -> pa.Array:
        return numbers if name == "count" else _some(column, starts[:-1], name)

    return pc.binary_join_element_wise(_rows(before, first, size, lang), rows, _rows(after, first, size, lang), "")


def _rows(text: Text, column: Callable[[str], pa.Array], size: int, lang: str) -> pa.Array:
    if not isinstance(text, str):
        by = _whole(column(text.get("by", "count"))).dictionary_encode()
        code = np.asarray(by.indices.fill_null(-1))
        parts, places = [], []
        for which in np.unique(code):
            at = np.flatnonzero(code == which)
            value = by.dictionary[int(which)].as_py() if which >= 0 else None
            parts.append(_rows(_chosen(text, value), partial(_some, column, at), len(at), lang))
            places.append(at)
        order = np.argsort(np.concatenate(places), kind="stable") if places else code
        return pa.concat_arrays(parts).take(pa.array(order)) if parts else pa.array([], pa.string())
    pieces = _PLACE.split(text)
    parts = [pieces[0]]
    for name, how, literal in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        parts += [_texts(column(name), how, lang), literal]
    if len(pieces) == 1:
        return pa.repeat(pa.scalar(text), size)
    return pc.binary_join_element_wise(*parts, "")


def _some(column: Callable[[str], pa.Array], at: Groups, name: str) -> pa.Array:
    return _whole(column(name)).take(pa.array(at))


def _whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _texts(values: pa.Array, how: str | None, lang: str) -> pa.Array:
    values = _whole(values)
    if how in (None, "value") and (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        values = values.cast(pa.string())
        if how:
            odd = pc.fill_null(pc.match_substring_regex(values, _UNCLEAR), pa.scalar(False))
            few = values.filter(odd).dictionary_encode()
            clear = pa.array([_text(one, how, lang) for one in few.dictionary.to_pylist()], pa.string())
            quoted = pc.binary_join_element_wise("'", values, "'", "")
            values = pc.replace_with_mask(quoted, odd, clear.take(few.indices))
        return values.fill_null("")
    encoded = values.dictionary_encode()
    shown = [_shown(value, how, lang) for value in encoded.dictionary.to_pylist()]
    return pa.array(shown, pa.string()).take(encoded.indices).fill_null("")
