"""The page's words: English as they stand in the code, another language by a catalogue whose keys are the English.

A key may hold `{names}`.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path

import pandas as pd
import pyarrow as pa
from markupsafe import Markup

from iamframe.messages.render import render


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
