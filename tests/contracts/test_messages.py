"""What iamframe says: in both languages, with the same facts; of gaps, each text somewhere, and each id has a text."""

from __future__ import annotations

import ast
import functools
import re
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from rooms import modules

import iamframe

ID = re.compile(r"gaps(?:\.[a-z0-9_]+)+")


def ids(table: dict[str, Any], prefix: str) -> Iterator[str]:
    """The ids of the texts in a table; a text may be a table that chooses."""
    for key, value in table.items():
        if isinstance(value, str) or "other" in value:
            yield f"{prefix}.{key}"
        else:
            yield from ids(value, f"{prefix}.{key}")


def texts_of(lang: str) -> dict[str, Any]:
    file = resources.files("iamframe.messages").joinpath(f"{lang}.toml")
    return tomllib.loads(file.read_text("utf-8"))["gaps"]


@functools.cache
def named() -> set[str]:
    """The ids that stand in the code, each whole: an id that is put together would be found nowhere."""
    constants = (node for source in modules().values() for node in ast.walk(ast.parse(source)))
    values = {node.value for node in constants if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {value for value in values if ID.fullmatch(value)}


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_each_text_of_a_gap_is_said_by_the_code_and_each_id_in_the_code_has_its_text(lang: str) -> None:
    assert len(named()) > 60
    assert named() == set(ids(texts_of(lang), "gaps"))


def test_no_sentence_of_a_gap_stands_in_the_code_of_sources_and_inventory() -> None:
    """A sentence of the texts, its places left out, that stands in a module too."""
    pieces = {piece.strip() for text in flat(texts_of("en")) for piece in re.split(r"\{[^}]*\}", text)}
    long = {piece for piece in pieces if len(piece) > 34}
    assert len(long) > 40
    folder = Path(str(iamframe.__file__)).parent
    code = {
        file.name: file.read_text("utf-8") for room in ("sources", "inventory") for file in (folder / room).glob("*.py")
    }
    assert {(name, piece) for name, text in code.items() for piece in long if piece in text} == set()


def flat(table: dict[str, Any]) -> Iterator[str]:
    for value in table.values():
        if isinstance(value, dict):
            yield from flat(value)
        else:
            yield value
