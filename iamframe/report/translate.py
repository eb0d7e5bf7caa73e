"""The page's texts in one language: fixed texts, words for the values of columns, and reasons."""

from __future__ import annotations

import ntpath
import posixpath
from collections.abc import Iterable

import pandas as pd
import pyarrow as pa
from markupsafe import Markup

from iamframe.messages.render import fill, render, text_of


class Translator:
    """The texts of the page in one language."""

    def __init__(self, lang: str, sources: Iterable[str] = ()) -> None:
        self.lang = lang
        self._folders = {source: short for source in sources if (short := without_folder(source)) != source}

    def without_folders(self, text: str) -> str:
        """Return a text in which the paths of sources are shortened to file names."""
        for source, short in self._folders.items():
            text = text.replace(source, short)
        return text

    def __call__(self, name: str, /, **given: object) -> Markup:
        """Return one of the page's fixed texts as markup. The given values are escaped and inserted."""
        text = text_of(f"page.{name}", self.lang)
        if not isinstance(text, str):
            text = text.get(str(given[text["by"]]), text["other"])
        said = Markup(text)  # noqa: S704 - a text of the catalogue
        return said.format(**given) if given else said

    def word(self, value: str) -> str:
        """Return the translation of a column's value, or the value itself if there is no translation."""
        return str(text_of(f"page.words.{value}", self.lang, value))

    def condition(self, name: str, text: str) -> str:
        """Return a condition of a console, API or tool in the page's language. `text` is the condition in English."""
        return str(text_of(f"surfaces.{name}", self.lang, text))

    def n(self, count: int, noun: str) -> str:
        """Return a count and its noun, such as "2 roles"."""
        return fill(f"{{count:{noun}}}", {"count": count}, self.lang)

    def reasons(self, frame: pd.DataFrame) -> pd.Series:
        """Return a frame's reasons in the page's language.

        English reasons come from the column `reason`. Reasons in other languages are rendered from `message` and
        `facts`.
        """
        said = frame["reason"]
        if self.lang != "en":
            texts = render(pa.array(frame["message"], pa.string()), pa.array(frame["facts"], pa.string()), self.lang)
            said = pd.Series(texts.to_pylist(), dtype="str")
        # Many accounts share a reason.
        short = {text: self.without_folders(text) for text in said.dropna().unique()} if self._folders else {}
        return said.map(short) if short else said


def without_folder(source: str) -> str:
    """Return the file name of an absolute path. Any other text is returned unchanged."""
    for kind in (posixpath, ntpath):
        if kind.isabs(source):
            return kind.basename(source.rstrip("/\\")) or source
    return source
