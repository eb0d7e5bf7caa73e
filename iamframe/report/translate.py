"""The texts of the report's page in the chosen language."""

from __future__ import annotations

import ntpath
import posixpath
from collections.abc import Iterable, Sequence

import pandas as pd
import pyarrow as pa
from markupsafe import Markup

from iamframe.messages.render import LISTED, fill, render, sentences_of, text_of


class Translator:
    def __init__(self, lang: str, sources: Iterable[str] = ()) -> None:
        self.lang = lang
        self._folders = {source: short for source in sources if (short := without_folder(source)) != source}

    def without_folders(self, text: str) -> str:
        for source, short in self._folders.items():
            text = text.replace(source, short)
        return text

    def __call__(self, name: str, /, **given: object) -> Markup:
        text = text_of(f"page.{name}", self.lang)
        if not isinstance(text, str):
            text = text.get(str(given[text["by"]]), text["other"])
        said = Markup(text)  # noqa: S704 - a text of the catalogue
        shown = {key: f"{value:,}" if isinstance(value, int) else value for key, value in given.items()}
        return said.format(**shown) if given else said

    def word(self, value: str) -> str:
        return str(text_of(f"page.words.{value}", self.lang, value))

    def condition(self, name: str, text: str) -> str:
        return str(text_of(f"surfaces.{name}", self.lang, text))

    def n(self, count: int, noun: str) -> str:
        """Return a count and its noun, such as "2 roles"."""
        return fill(f"{{count:{noun}}}", {"count": count}, self.lang)

    def some(self, names: Sequence[str], total: int = 0) -> str:
        if len(names) <= LISTED:
            return ", ".join(names)
        if len(names) == total:
            return self("all_of", accounts=self.n(total, "account"))
        return self("some_of", some=", ".join(names[:LISTED]), n=len(names) - LISTED)

    def rows_of(self, shown: int, total: int, file: str = "") -> str:
        if shown >= total:
            return self.n(total, "row")
        return self("rows_of", n=shown, n2=total, file=file) if file else self("rows_some", n=shown, n2=total)

    def reasons(self, frame: pd.DataFrame) -> pd.Series:
        said = frame["reason"]
        if self.lang != "en":
            texts = render(pa.array(frame["message"], pa.string()), pa.array(frame["facts"], pa.string()), self.lang)
            said = pd.Series(texts.to_pylist(), dtype="str")
        # Many accounts share a reason.
        short = {text: self.without_folders(text) for text in said.dropna().unique()} if self._folders else {}
        return said.map(short) if short else said

    def sentences(self, frame: pd.DataFrame) -> list[tuple[str, ...]]:
        rows = [*zip(frame["message"], frame["facts"], strict=True)]
        said = {
            (message, facts): tuple(map(self.without_folders, sentences_of(message, facts, self.lang)))
            for message, facts in dict.fromkeys(rows)
            if message
        }
        return [said.get(row, ()) for row in rows]


def coded(text: str) -> Markup:
    parts = text.split("`")
    parts[1::2] = [Markup("<code>{}</code>").format(whole_words(part) if " " in part else part) for part in parts[1::2]]
    return Markup("").join(parts)


def whole_words(command: str) -> Markup:
    # Lines break between words. Only words that are wider than a line are broken.
    return Markup(" ").join(Markup("<span>{}</span>").format(word) for word in command.split(" "))


def without_folder(source: str) -> str:
    for kind in (posixpath, ntpath):
        if kind.isabs(source):
            return kind.basename(source.rstrip("/\\")) or source
    return source
