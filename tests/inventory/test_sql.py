"""SQL reads the frames, as they are, and reaches nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from iamframe import Inventory, load_sample
from iamframe.errors import MissingExtraError, SqlError
from iamframe.inventory import schema

OUTSIDE = pd.DataFrame({"secret": [1]})


@pytest.fixture(scope="module")
def inventory() -> Iterator[Inventory]:
    """The sample, of which no query changes a frame."""
    inventory = load_sample()
    before = {name: frame.copy() for name, frame in inventory.frames.items()}
    yield inventory
    for name, frame in inventory.frames.items():
        assert_frame_equal(frame, before[name])


@pytest.mark.parametrize("name", schema.FRAMES)
def test_each_frame_is_a_table_that_comes_back_as_it_is(inventory: Inventory, name: str) -> None:
    quoted = f'"{name}"'
    bare = quoted if name == "references" else name
    for table in (bare, quoted, f"inventory.{name}", f"inventory.{quoted}", f"main.{name}"):
        assert_frame_equal(inventory.sql(f"FROM {table}"), inventory.frames[name])


def test_the_bare_word_references_is_refused_with_how_to_write_it(inventory: Inventory) -> None:
    for word in ("references", "REFERENCES"):
        with pytest.raises(SqlError, match=r'write "references" or inventory\.references'):
            inventory.sql(f"SELECT * FROM {word}")


def test_frames_without_rows_can_be_asked() -> None:
    nothing = Inventory(**{name: frame.empty() for name, frame in schema.FRAMES.items()})
    for name, frame in nothing.frames.items():
        assert_frame_equal(nothing.sql(f"SELECT * FROM inventory.{name}"), frame)
    assert nothing.sql("SELECT count(*) AS n FROM roles")["n"].tolist() == [0]


def test_frames_are_joined_and_counted_in_the_types_of_pandas(inventory: Inventory) -> None:
    found = inventory.sql("""
        SELECT account_id, count(*) AS roles, sum(max_session_seconds) AS seconds, max(created_at) AS newest,
               bool_and(tags_known) AS known, avg(max_session_seconds) AS mean
        FROM roles LEFT JOIN links USING (role_arn, account_id) GROUP BY ALL ORDER BY ALL
    """)
    assert found.dtypes.astype(str).to_dict() == {
        "account_id": "str",
        "roles": "Int64",
        "seconds": "Int64",
        "newest": "datetime64[us, UTC]",
        "known": "bool",
        "mean": "float64",
    }
    assert found["account_id"].tolist() == sorted(set(inventory.roles["account_id"]))
    both = inventory.roles.merge(inventory.links, on=["role_arn", "account_id"], how="left")
    assert found["roles"].tolist() == both.groupby("account_id").size().tolist()


def test_what_is_missing_is_missing_in_the_types_of_pandas(inventory: Inventory) -> None:
    found = inventory.sql("SELECT NULL::VARCHAR AS t, NULL::INT AS n, NULL::TIMESTAMPTZ AS at, NULL::BOOLEAN AS b")
    assert found.isna().all(axis=None)
    assert found.dtypes.astype(str).tolist() == ["str", "Int64", "datetime64[us, UTC]", "boolean"]
    large = inventory.sql("SELECT 18446744073709551615::UBIGINT AS n, 170141183460469231731687303715884105727 AS h")
    assert [int(large.loc[0, name]) for name in large] == [2**64 - 1, 2**127 - 1]
    assert str(large["n"].dtype) == "UInt64"


def test_times_are_utc_wherever_the_machine_is(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    found = inventory.sql(
        "SELECT current_setting('timezone') AS zone, hour(TIMESTAMPTZ '2024-01-01 09:00:00Z') AS hour"
    )
    assert found.values.tolist() == [["UTC", 9]]


def test_account_ids_are_text(inventory: Inventory) -> None:
    (account,) = inventory.sql("SELECT DISTINCT account_id FROM roles WHERE account_id = '111122223333'")["account_id"]
    assert account == "111122223333"


@pytest.mark.parametrize(
    "query",
    [
        "FROM read_csv('{place}/in.csv')",
        "FROM '{place}/in.csv'",
        "FROM read_text('{place}/in.csv')",
        "FROM read_blob('{place}/*')",
        "FROM glob('{place}/*')",
        "FROM read_parquet('https://example.com/x.parquet')",
        "COPY roles TO '{place}/out.csv'",
        "COPY (SELECT 1) TO '{place}/out.parquet' (FORMAT parquet)",
        "EXPORT DATABASE '{place}/out'",
        "ATTACH '{place}/out.db'",
        "ATTACH ':memory:' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "PRAGMA database_list",
        "CREATE TABLE mine AS FROM roles",
        "DROP VIEW roles",
        "DELETE FROM roles",
        "UPDATE roles SET role_name = 'x'",
        "SELECT 1; COPY roles TO '{place}/out.csv'",
        "EXPLAIN ANALYZE COPY roles TO '{place}/out.csv'",
        "",
        "-- nothing",
    ],
)
def test_a_query_that_reaches_out_or_writes_is_refused_in_one_sentence(
    inventory: Inventory, tmp_path: Path, query: str
) -> None:
    (tmp_path / "in.csv").write_text("secret\n1\n")
    with pytest.raises(SqlError) as caught:
        inventory.sql(query.format(place=tmp_path))
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_the_settings_shut_files_out_even_for_a_statement_that_passes_as_a_select(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import duckdb

    kinds = duckdb.StatementType
    monkeypatch.setattr(duckdb, "StatementType", SimpleNamespace(SELECT=kinds.COPY))
    with pytest.raises(SqlError, match="file system operations are disabled"):
        inventory.sql(f"COPY roles TO '{tmp_path}/out.csv'")
    monkeypatch.setattr(duckdb, "StatementType", SimpleNamespace(SELECT=kinds.SET))
    with pytest.raises(SqlError, match="configuration has been locked"):
        inventory.sql("SET threads = 1")


@pytest.mark.parametrize("variable", ["frame", "frames", "inventory", "mine", "OUTSIDE"])
def test_a_table_that_is_not_there_is_not_looked_for_among_variables(inventory: Inventory, variable: str) -> None:
    mine = OUTSIDE
    with pytest.raises(SqlError, match=f"Table with name {variable} does not exist!"):
        inventory.sql(f"FROM {variable}")
    assert len(mine) == 1


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT * FROM role", 'Did you mean "roles"?'),
        ("SELECT rolename FROM roles", 'Referenced column "rolename" not found'),
        ("SELECT role_name::INT FROM roles", "Could not convert string"),
        ("SELECT error('a' || chr(10) || 'b')", "a b"),
        ("SELECT '", "unterminated"),
    ],
)
def test_what_duckdb_says_of_a_wrong_query_is_one_sentence(inventory: Inventory, query: str, said: str) -> None:
    with pytest.raises(SqlError) as caught:
        inventory.sql(query)
    assert str(caught.value).startswith("the query cannot be answered: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "LINE 1" not in str(caught.value)


def test_without_duckdb_the_error_says_what_to_install(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MissingExtraError, match=r'duckdb is not installed; run pip install "\.\[sql\]"'):
        inventory.sql("SELECT 1")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT INTERVAL '1 month 2 days' AS i",
        "SELECT [INTERVAL '1 month'] AS i",
        "SELECT DATE 'infinity' AS d",
        "SELECT TIMESTAMP '290000-01-01' AS t",
        "SELECT union_value(k := 1) AS u",
        "SELECT MAP {'a': 1} AS m",
        "SELECT '101'::BIT AS b",
    ],
)
def test_a_type_that_no_frame_holds_is_refused_in_one_sentence_or_answered(inventory: Inventory, query: str) -> None:
    said = "cast it"
    try:
        found = inventory.sql(query)
    except SqlError as error:
        found, said = pd.DataFrame([0]), str(error)
    assert len(found) == 1
    assert "cast it" in said
    assert "\n" not in said
