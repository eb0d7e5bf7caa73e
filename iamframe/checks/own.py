"""Raise CheckError if the frame that your own check returns is not valid."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from iamframe.checks.findings import ADDED, COMMON, Found, found_in
from iamframe.checks.registry import Check
from iamframe.errors import CheckError, SchemaError
from iamframe.messages.render import LIST, render_facts
from iamframe.messages.text import SEVERITIES

_VALUES = {"severity": SEVERITIES, "certainty": ("certain", "in scope", "maybe")}
_FLAGS = ("expected", "next_step_changes")
_PLACE = re.compile(r"\{(\w+)")
_FORMED = re.compile(r"\{(\w+):([\w-]+)\}")
_COUNT = re.compile(r"\{count\b")
# If a check returned these columns, their values would be lost. `Found.facts` has its own column `finding`.
_FILLED = ("finding_id", "check", "accepted", *ADDED, "finding")


def own_found(one: Check, given: Any, accounts: pd.Series) -> Found:
    if not isinstance(given, pd.DataFrame) or "resource_arn" not in given:
        raise CheckError(f"check {one.name}: does not return a DataFrame with a column resource_arn; return one")
    if not given.columns.is_unique:
        (name, *_) = given.columns[given.columns.duplicated()]
        raise CheckError(f"check {one.name}: returns several columns {name}; rename or drop all but one")
    if filled := [name for name in _FILLED if name in given]:
        raise CheckError(f"check {one.name}: returns the column {filled[0]}, which iamframe fills; rename the column")
    for name in given.columns.intersection([*_VALUES]):
        if len(wrong := given[name][~given[name].isin(_VALUES[name])]):
            allowed = ", ".join(_VALUES[name])
            raise CheckError(f"check {one.name}: returns the {name} {wrong.iloc[0]!r}; use one of {allowed}")
    columns = {name: _column(one, str(name), given[name]).array for name in given.columns}
    rows = pd.DataFrame(columns)
    # Masking and messages expect account ids as texts. A small number, like the id 000000000012, is rather a count.
    ids = [int(account) for account in accounts if account.isdecimal() and not account.startswith("000")]
    for name in rows.columns:
        if rows[name].dtype != "str" and rows[name].isin(ids).any():
            raise CheckError(
                f"check {one.name}: the column {name} has account ids as numbers; convert them to texts of 12 digits"
            )
    with _in_one_sentence(one):
        return found_in(rows)


def _column(one: Check, name: str, values: pd.Series) -> pd.Series:
    if name in _FLAGS and values.hasnans:
        raise CheckError(f"check {one.name}: the column {name} has missing values; fill them with true or false")
    if values.dtype != "object" and isinstance(values.dtype, np.dtype):
        return values
    # Masking and messages expect each text in a column of the type `str`.
    try:
        kind = pa.array(values, from_pandas=True).type
    except pa.ArrowException:
        kind = pa.list_(pa.null())
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or isinstance(kind, pa.BaseExtensionType):
        expected = "only texts, only numbers, only times, or only true and false"
        raise CheckError(f"check {one.name}: the column {name} must hold {expected}; convert its values to texts")
    return values.astype("str") if pa.types.is_string(kind) or pa.types.is_large_string(kind) else values


def own_findings(one: Check, returned: Found, complete: Callable[[], Found]) -> Found:
    columns = {*returned.facts, *COMMON.names}
    for name, text in (("detail", one.detail), ("next_step", one.next_step)):
        if not isinstance(text, str) and "other" not in text:
            raise CheckError(f"check {one.name}: {name} has no key `other`; add it, with the text for all other values")
        texts = [text] if isinstance(text, str) else [f"{{{text.get('by', 'count')}}}", *text.values()]
        if name == "detail" and isinstance(text, str) and (listed := LIST.search(text)):
            # Outside the list in `[…]`, `{count}` is the length of the list.
            around = text[: listed.start()] + text[listed.end() :]
            texts = [_COUNT.sub("", around), listed[1]]
        if wrong := sorted({*_PLACE.findall(" ".join(texts))} - columns):
            raise CheckError(f"check {one.name}: {name} shows {{{wrong[0]}}}; return a column of that name")
        if name == "detail":
            formed = _FORMED.findall(" ".join(texts))
    with _in_one_sentence(one):
        found = complete()
    _try_forms(one, found, formed)
    return found


def _try_forms(one: Check, found: Found, formed: list[tuple[str, str]]) -> None:
    for name, form in formed:
        place = f"{{{name}:{form}}}"
        try:
            render_facts(place, found.column, found.numbers, len(found.table))
        except (KeyError, ValueError) as error:
            cannot = f"iamframe cannot show the values of {name} in the form {form}"
            raise CheckError(f"check {one.name}: detail has {place}, but {cannot}; write {{{name}}}") from error


@contextmanager
def _in_one_sentence(one: Check) -> Iterator[None]:
    try:
        yield
    except pa.ArrowException as error:
        raise CheckError(f"check {one.name}: returns a value of a wrong type ({error}); see schema.FINDINGS") from error
    except SchemaError as error:
        absent = "returns a resource_arn of no role or profile in the inventory"
        raise CheckError(f"check {one.name}: {absent}; return the column account_id, too") from error
