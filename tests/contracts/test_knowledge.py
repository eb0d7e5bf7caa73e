"""Each fact about AWS and other tools says where it stands, and was read there within a year, or says why not."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest

TABLES = {
    "iamframe.knowledge": ("makers", "owners", "policies", "surfaces", "tool_rules"),
    "iamframe.sources": ("consumers",),
}
YEAR = dt.timedelta(days=365)


def dated(place: str, part: Any) -> Iterator[Any]:
    """Yield the tables with a date, and the innermost ones that should have one."""
    if isinstance(part, list):
        for number, one in enumerate(part):
            yield from dated(f"{place}[{number}]", one)
    elif isinstance(part, dict) and "date" in part:
        yield pytest.param(part, id=f"{place} {part.get('name', part.get('operation', ''))}")
    elif isinstance(part, dict):
        for name, one in part.items():
            yield from dated(f"{place}.{name}", one)


ENTRIES = [
    entry
    for package, names in TABLES.items()
    for name in names
    for entry in dated(name, tomllib.loads(resources.files(package).joinpath(f"{name}.toml").read_text("utf-8")))
]
NEWEST = max(entry.values[0]["date"] for entry in ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_fact_was_read_in_its_source_within_a_year_of_the_newest_or_says_why_not(entry: dict[str, Any]) -> None:
    assert len(entry.get("source", entry.get("text", ""))) > 10
    assert (NEWEST - entry["date"] > YEAR) == (len(entry.get("not_rechecked", "")) > 10)


@pytest.mark.parametrize("name", ["maker", "tag", "consumers", "owner", "rules"])
def test_no_entry_of_a_table_is_without_a_date(name: str) -> None:
    for package, names in TABLES.items():
        for table in names:
            text = resources.files(package).joinpath(f"{table}.toml").read_text("utf-8")
            assert all("date" in entry for entry in tomllib.loads(text).get(name, ()))


def test_as_many_makers_consumers_and_surfaces_are_known_as_the_documentation_says() -> None:
    tables = {name: tomllib.loads(resources.files(package).joinpath(f"{name}.toml").read_text("utf-8"))
              for package, names in TABLES.items() for name in names}  # fmt: skip
    makers = {one["name"] for one in tables["makers"]["maker"] if one.get("profile") and not one.get("is_example")}
    assert len(makers) >= 45
    assert len({one["consumer_type"] for one in tables["consumers"]["consumers"]}) >= 18
    assert len(tables["surfaces"]["surface"]) >= 10
