"""The statements for Athena say what the files of a snapshot hold, and queries of the documentation answer on them."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iamframe import Inventory, athena_statements, load_sample
from iamframe.errors import StoreError
from iamframe.inventory import schema

RECIPES = Path(__file__).parents[2] / "docs" / "recipes.md"
PLACE = "s3://bucket/iamframe/2026-11-26"
# What each of Athena's types reads from a file: in DuckDB's words, in Arrow's, and as Parquet stores it.
TYPES = {
    "string": ("VARCHAR", pa.string(), ("BYTE_ARRAY", "STRING")),
    "bigint": ("BIGINT", pa.int64(), ("INT64", "NONE")),
    "boolean": ("BOOLEAN", pa.bool_(), ("BOOLEAN", "NONE")),
    "timestamp": ("TIMESTAMP WITH TIME ZONE", pa.timestamp("us", tz="UTC"), ("INT64", "TIMESTAMP")),
}
COLUMN = re.compile(r"^  `(\w+)` (\w+) COMMENT '((?:[^'\\]|\\.)*)',?$", re.MULTILINE)


def created(location: str = PLACE) -> dict[str, str]:
    """The statement that creates the table of each frame, by its name."""
    return {s.split("`")[1]: s for s in athena_statements(location) if s.startswith("CREATE EXTERNAL TABLE")}


def declared(name: str) -> dict[str, str]:
    """The columns of a table and their types, as the statement declares them."""
    return {column: kind for column, kind, _ in COLUMN.findall(created()[name])}


@pytest.fixture(scope="module", params=["sample", "nothing"])
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Inventory, Path]:
    """An inventory and its snapshot. Of the sample some frames are empty, of the other one all are."""
    nothing = Inventory(**{name: frame.empty() for name, frame in schema.FRAMES.items()})
    inventory = load_sample() if request.param == "sample" else nothing
    return inventory, inventory.save(tmp_path_factory.mktemp(request.param) / "snapshot")


def tables(folder: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB with a table per statement: its columns and types as declared, its rows from the files."""
    connection = duckdb.connect()
    for name in created():
        columns = ", ".join(f'"{column}" {TYPES[kind][0]}' for column, kind in declared(name).items())
        connection.execute(f'CREATE TABLE "{name}" ({columns}, account VARCHAR)')
        files = f"'{folder}/{name}/*/*.parquet', hive_partitioning=true, hive_types={{'account': VARCHAR}}"
        connection.execute(f'INSERT INTO "{name}" BY NAME SELECT * FROM read_parquet({files})')
    return connection


def test_each_frame_has_a_statement_that_creates_its_table_and_then_one_that_registers_its_folders() -> None:
    heads = [statement.partition(" (\n")[0] for statement in athena_statements(PLACE)]
    assert heads == [
        head for name in schema.FRAMES for head in (f"CREATE EXTERNAL TABLE `{name}`", f"MSCK REPAIR TABLE `{name}`")
    ]


def test_a_statement_says_columns_types_meanings_folders_format_and_place() -> None:
    assert created()["links"] == (
        "CREATE EXTERNAL TABLE `links` (\n"
        "  `account_id` string COMMENT '12-digit account id, `unknown` if no ARN or file shows it',\n"
        "  `profile_arn` string COMMENT 'ARN of the profile',\n"
        "  `role_arn` string COMMENT 'ARN of the role in the profile, `name:ROLE` if no source shows that role'\n"
        ")\n"
        "COMMENT 'one row per instance profile with a role'\n"
        "PARTITIONED BY (`account` string COMMENT 'folder: an account id or a hash, so filter by account_id')\n"
        "STORED AS PARQUET\n"
        "LOCATION 's3://bucket/iamframe/2026-11-26/links/'\n"
        "TBLPROPERTIES ('classification' = 'parquet')"
    )


@pytest.mark.parametrize("name", schema.FRAMES)
def test_a_column_is_declared_with_the_type_that_duckdb_pyarrow_and_parquet_find_in_each_file(
    saved: tuple[Inventory, Path], name: str
) -> None:
    types = {column: TYPES[kind] for column, kind in declared(name).items()}
    for part in (saved[1] / name).glob("account=*/part.parquet"):
        found = duckdb.sql(f"SELECT * FROM read_parquet('{part}', hive_partitioning=false)")
        assert dict(zip(found.columns, map(str, found.types), strict=True)) == {c: t[0] for c, t in types.items()}
        file = pq.ParquetFile(part)
        assert {field.name: field.type for field in file.schema_arrow} == {c: t[1] for c, t in types.items()}
        stored = [file.schema.column(number) for number in range(len(types))]
        assert {c.name: (c.physical_type, c.logical_type.type) for c in stored} == {c: t[2] for c, t in types.items()}


def test_the_tables_have_the_rows_of_the_frames_and_the_folder_names_the_account(saved: tuple[Inventory, Path]) -> None:
    inventory, folder = saved
    connection = tables(folder)
    for name, frame in inventory.frames.items():
        key = list(schema.FRAMES[name].key)
        found = connection.execute(f'SELECT * FROM "{name}"').df().sort_values(key, ignore_index=True)
        assert found["account"].tolist() == found["account_id"].tolist()
        wanted = frame.sort_values(key, ignore_index=True)
        pd.testing.assert_frame_equal(found[frame.columns].astype(wanted.dtypes), wanted, obj=name)


def test_the_column_of_the_folders_is_in_no_frame_because_athena_refuses_a_name_twice() -> None:
    assert not any("account" in frame.names for frame in schema.FRAMES.values())


@pytest.mark.parametrize("name", schema.FRAMES)
def test_a_comment_is_the_meaning_of_the_column_as_a_text_that_glue_takes(name: str) -> None:
    said = {column: re.sub(r"\\(.)", r"\1", comment) for column, _, comment in COLUMN.findall(created()[name])}
    # Some clients divide statements at semicolons.
    assert said == {column.name: column.meaning.replace(";", ",") for column in schema.FRAMES[name].columns}
    # Glue refuses a longer comment, or one with a line break.
    assert all(len(comment) <= 255 and comment.isprintable() for comment in said.values())


def test_a_quote_in_a_meaning_or_a_prefix_does_not_end_the_text() -> None:
    assert "COMMENT 'ARN of the role\\'s permissions boundary'" in created()["roles"]
    assert "LOCATION 's3://bucket/Ada\\'s \\\\ files/roles/'\n" in created("s3://bucket/Ada's \\ files")["roles"]


@pytest.mark.parametrize("location", ["s3://bucket", "s3://bucket/", "s3://bucket//"])
def test_a_bucket_may_hold_the_snapshot_itself_with_or_without_a_slash(location: str) -> None:
    assert "LOCATION 's3://bucket/tags/'\n" in created(location)["tags"]


@pytest.mark.parametrize(
    "location",
    ["", "snapshot", "s3://", "s3:///prefix", "s3a://bucket/x", "S3://bucket", "s3://bu cket", "s3://b/a\nb"],
)
def test_what_is_no_folder_in_s3_is_refused_with_what_to_give(location: str) -> None:
    with pytest.raises(StoreError, match=r"is not a folder in S3; give the snapshot's folder, s3://BUCKET/FOLDER"):
        athena_statements(location)


# The queries of the recipe


def queries() -> list[str]:
    recipe = RECIPES.read_text("utf-8").partition("## Query snapshots with Athena\n")[2].partition("\n## ")[0]
    return re.findall(r"```sql\n(.*?)```", recipe, re.DOTALL)


def test_the_queries_of_the_recipe_answer_with_what_the_sample_has(tmp_path: Path) -> None:
    inventory = load_sample()
    connection = tables(inventory.save(tmp_path / "snapshot"))
    empty, uses = (connection.execute(query).df() for query in queries())
    profiles = inventory.profiles[inventory.profiles["role_known"]]
    left = profiles[~profiles["profile_arn"].isin(inventory.links["profile_arn"])].groupby("account_id")["created_at"]
    assert empty.set_index("account_id")["empty_profiles"].to_dict() == left.size().to_dict() != {}
    assert empty.set_index("account_id")["oldest"].to_dict() == left.min().to_dict()
    references = inventory.references[inventory.references["account_id"] == "111122223333"]
    kinds = ["consumer_type", "region"]
    assert uses.set_index(kinds)["uses"].to_dict() == references.value_counts(kinds).to_dict() != {}
