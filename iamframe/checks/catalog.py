"""The built-in checks, and your own checks."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from iamframe.checks import orphans, names, tags, trust  # isort: skip - the order of the output
from iamframe.checks.coverage import NEEDS_OF
from iamframe.checks.evidence import Need
from iamframe.checks.findings import ADDED, COMMON, Found, found_in
from iamframe.checks.registry import Check, checks_of, stopped_with
from iamframe.errors import CheckError, SchemaError, require
from iamframe.messages.render import LIST, render_facts
from iamframe.messages.text import SEVERITIES

CHECKS: dict[str, Check] = checks_of(orphans, names, tags, trust)

# A Python file, or a function under `@iamframe.check`.
Own = str | os.PathLike[str] | Callable[..., Any]

_VALUES = {"severity": SEVERITIES, "certainty": ("certain", "in scope", "maybe")}
_FLAGS = ("expected", "next_step_changes")
_PLACE = re.compile(r"\{(\w+)")
_FORMED = re.compile(r"\{(\w+):([\w-]+)\}")
_COUNT = re.compile(r"\{count\b")
# If a check returned these columns, their values would be lost. `Found.facts` has its own column `finding`.
_FILLED = ("finding_id", "check", "accepted", *ADDED, "finding")


def with_own(own: Own | Iterable[Own] | None) -> dict[str, Check]:
    """Raise CheckError if one of your own checks cannot be loaded."""
    checks = dict(CHECKS)
    for one in each_own(own):
        for check in _checks_in(Path(one)) if isinstance(one, (str, os.PathLike)) else [_check_of(one)]:
            # On some disks, `checks/NAME.csv` and `checks/name.csv` are one file.
            if check.name.casefold() in map(str.casefold, checks):
                raise CheckError(f"{check.name}: a check of that name already exists; rename the function")
            checks[check.name] = replace(check, needs=_needs(check))
    return checks


def each_own(own: Own | Iterable[Own] | None) -> tuple[Own, ...]:
    if isinstance(own, (str, os.PathLike)) or callable(own):
        return (own,)
    require("checks=…", own, str, os.PathLike, Iterable, NoneType, instead="checks, or Python files with checks")
    return () if own is None else tuple(own)


def list_checks(own: Own | Iterable[Own] | None = None) -> pd.DataFrame:
    rows = [
        {
            "check": one.name,
            "severity": one.severity,
            "title": one.title,
            "needs": ", ".join(need.name for need in one.needs) or "nothing",
            "remediation": one.remediation,
        }
        for one in with_own(own).values()
    ]
    return pd.DataFrame(rows, dtype="str")


def _needs(check: Check) -> tuple[Need, ...]:
    named = set(check.needs)
    frames = [NEEDS_OF[frame] for frame in check.reads if frame in NEEDS_OF]
    added = [need for default, smaller in frames if named.isdisjoint(default + smaller) for need in default]
    return (*check.needs, *dict.fromkeys(added))


def _check_of(rule: Callable[..., Any]) -> Check:
    check = getattr(rule, "check", None)
    if not isinstance(check, Check):
        raise CheckError(f"{rule!r}: is not a check; put `@iamframe.check(...)` in front of the function")
    return check


def _checks_in(path: Path) -> list[Check]:
    spec = importlib.util.spec_from_file_location("iamframe_own_checks", path)
    if spec is None or spec.loader is None:
        only = f"to run only this check, use --only {path} (in Python, only=['{path}'])"
        to_do = only if str(path) in CHECKS else "give one that ends in .py"
        raise CheckError(f"{path}: is not a Python file; {to_do}")
    module = importlib.util.module_from_spec(spec)
    try:
        path.read_bytes()
    except OSError as error:
        raise CheckError(f"{path}: cannot be read ({error.strerror}); check the path of the file") from error
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise CheckError(f"{path}: {stopped_with(error, str(path))}; fix the file") from error
    if not (found := list(checks_of(module).values())):
        raise CheckError(f"{path}: has no check; put `@iamframe.check(...)` in front of a function")
    return found


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
