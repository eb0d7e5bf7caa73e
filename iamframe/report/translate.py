"""The page's words: English as they stand in the code, another language by a catalogue whose keys are the English.

A key may hold `{names}`. Sentences that arrive composed (what changed) are told by their keys: a name that is
`n` or `n2` stands for a number, any other one for whatever is there, which is translated too if it has a key.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path

import pandas as pd
import pyarrow as pa
from markupsafe import Markup

from iamframe.messages.render import render

_NAME = re.compile(r"\{(\w+)\}")
# Commands keep their semicolons.
_BETWEEN = re.compile(r"; (?=(?:[^`]*`[^`]*`)*[^`]*$)")
_NUMBER = re.compile(r"n\d?")
_COUNTED = re.compile(r"\{n\} [a-z ]+")


class Translator:
    """The words of one language; English needs no catalogue."""

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self.texts: dict[str, str] = {} if lang == "en" else read_catalogue(lang)

    def __call__(self, text: str, /, **given: object) -> Markup:
        """Return one of the page's own texts as markup, with what it is given escaped in the places that it names."""
        said = Markup(self.texts.get(text, text))  # noqa: S704 - texts of the template and of the catalogue
        return said.format(**given) if given else said

    def word(self, text: str) -> str:
        """Return the whole of a text that is no markup, as it is where it has no other words."""
        return self.texts.get(text, text)

    def n(self, count: int, one: str, many: str = "") -> str:
        """Return a count with its noun."""
        if counted := self.texts.get(f"{{n}} {one}"):
            return counted.format(n=f"{count:,}")
        return f"{count:,} {one if count == 1 else many or one + 's'}"

    def told(self, text: str) -> list[tuple[str, str]]:
        """Return the sentences of a composed text, each with the language that it is in."""
        if not self.texts:
            return [(text, self.lang)]
        # What is behind a semicolon is a sentence of its own; what has no other words is a detail, as it was read.
        said = [(part, translated(self.lang, part)) for part in _BETWEEN.split(text)]
        return [(part, "en") if other is None else (other, self.lang) for part, other in said]

    def reasons(self, frame: pd.DataFrame) -> pd.Series:
        """Return the reasons of a frame with the columns `message` and `facts`; English ones are there already."""
        if self.lang == "en":
            return frame["reason"]
        said = render(pa.array(frame["message"], pa.string()), pa.array(frame["facts"], pa.string()), self.lang)
        return pd.Series(said.to_pylist(), dtype="str")


@lru_cache
def read_catalogue(lang: str) -> dict[str, str]:
    """Return the words of a language by the English ones."""
    with (Path(__file__).parent / f"{lang}.toml").open("rb") as file:
        return {key: text for of_kind in tomllib.load(file).values() for key, text in of_kind.items()}


@lru_cache
def _templates(lang: str) -> list[tuple[re.Pattern[str], str]]:
    """Return the keys with names as patterns, the one that says the most first."""
    catalogue = read_catalogue(lang)
    named = sorted((key for key in catalogue if _NAME.search(key)), key=lambda key: -len(_NAME.sub("", key)))
    return [(_pattern(key), catalogue[key]) for key in named]


def _pattern(key: str) -> re.Pattern[str]:
    parts = _NAME.split(key)
    for at in range(1, len(parts), 2):
        parts[at] = f"(?P<{parts[at]}>{'[0-9,]+' if _NUMBER.fullmatch(parts[at]) else '.*?'})"
    parts[::2] = map(re.escape, parts[::2])
    return re.compile("".join(parts) + ("s?" if _COUNTED.fullmatch(key) else ""), re.DOTALL)


@lru_cache(maxsize=10_000)
def translated(lang: str, text: str) -> str | None:
    """Return a composed sentence in another language, None where no key tells what it says."""
    exact = read_catalogue(lang).get(text)
    if exact is not None:
        return exact
    for pattern, said in _templates(lang):
        if found := pattern.fullmatch(text):
            given = {name: translated(lang, part) or part for name, part in found.groupdict().items()}
            return said.format(**given)
    parts = text.split(", ")
    others = [translated(lang, part) for part in parts] if len(parts) > 1 else [None]
    return "、".join(map(str, others)) if all(others) else None
