"""The page's words in one language: its own texts by id, values of columns by themselves, and reasons by message."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
from markupsafe import Markup

from iamframe.messages.render import fill, render, text_of


class Translator:
    """The words of one language."""

    def __init__(self, lang: str) -> None:
        self.lang = lang

    def __call__(self, name: str, /, **given: object) -> Markup:
        """Return one of the page's own texts as markup, with what it is given escaped in the places that it names."""
        said = Markup(text_of(f"page.{name}", self.lang))  # noqa: S704 - a text of the catalogue
        return said.format(**given) if given else said

    def word(self, value: str) -> str:
        """Return how a value of a column is called; as it is where it has no other name."""
        return str(text_of(f"page.words.{value}", self.lang, value))

    def condition(self, name: str, text: str) -> str:
        """Return on what a surface's answer depends, by its name; the text is the English one."""
        return str(text_of(f"surfaces.{name}", self.lang, text))

    def n(self, count: int, noun: str) -> str:
        """Return a count with its noun."""
        return fill(f"{{count:{noun}}}", {"count": count}, self.lang)

    def reasons(self, frame: pd.DataFrame) -> pd.Series:
        """Return the reasons of a frame with the columns `message` and `facts`; English ones are there already."""
        if self.lang == "en":
            return frame["reason"]
        said = render(pa.array(frame["message"], pa.string()), pa.array(frame["facts"], pa.string()), self.lang)
        return pd.Series(said.to_pylist(), dtype="str")
