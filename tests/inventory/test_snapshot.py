"""A snapshot comes back as it was saved, is there whole or not at all, and other readers read it too."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from builders import dump, load, of_accounts, profile, profile_list, role_detail, write
from pandas.testing import assert_frame_equal

import iamframe
from iamframe import Inventory, load_sample, open_snapshot, run_checks
from iamframe.errors import SchemaError, StoreError
from iamframe.inventory import schema
from iamframe.inventory.snapshot import MANIFEST
from iamframe.report.page import render_page
from iamframe.ui.cli import _run

# Digits alone, with and without a leading zero; a date; what other people may have put into an ARN.
DIGITS = ("123456789012", "111122223333")
ZEROS = ("000000000001", "000000000017")
HOSTILE = (
    "XXXXXXXXXXXX",
    "xxxxxxxxxxxx",
    "unknown",
    "../../x",
    "..",
    "/etc",
    "a%2Fb",
    "a=b",
    "a/b",
    "account=1",
    "2024-01-01",
    "*",
    "",
    " ",
    "\n",
    "__HIVE_DEFAULT_PARTITION__",
    "名",
    "x" * 300,
    "y" * 300,
)


def assert_same(one: Inventory, two: Inventory) -> None:
    for name, frame in one.frames.items():
        assert_frame_equal(two.frames[name], frame)
    assert two.sources == one.sources


def files(folder: Path) -> dict[str, bytes]:
    """All files beneath a folder, by their path in it."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / MANIFEST).read_text("utf-8")))


def seal(folder: Path, said: dict[str, Any]) -> None:
    """Write a manifest with the checksum that goes with what it says, as iamframe would have written it."""
    whole = json.dumps(said | {"sha256": ""}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    said["sha256"] = sha256(whole.encode()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(said), "utf-8")


def parts(folder: Path, frame: str) -> list[Path]:
    return sorted((folder / frame).glob("*/part.parquet"))


def rewritten(part: Path, change: object) -> None:
    """Write a part anew, its table changed, as an iamframe of another time would have written it."""
    old = sha256(part.read_bytes()).hexdigest()
    pq.write_table(change(pq.ParquetFile(part).read()), part)  # type: ignore[operator]
    said = manifest(part.parents[2])
    for frame in said["frames"].values():
        for one in frame["parts"]:
            if one["sha256"] == old:
                one |= {"sha256": sha256(part.read_bytes()).hexdigest(), "bytes": part.stat().st_size}
    seal(part.parents[2], said)


# What was saved comes back


def test_the_sample_comes_back_as_it_was_saved_and_gives_the_same_findings(tmp_path: Path) -> None:
    inventory = load_sample()
    assert inventory.save(tmp_path / "snapshot") == tmp_path / "snapshot"
    opened = open_snapshot(tmp_path / "snapshot")
    assert_same(inventory, opened)
    assert_frame_equal(run_checks(opened).findings, run_checks(inventory).findings)


def test_types_come_back_whether_all_is_missing_or_nothing(tmp_path: Path) -> None:
    of_accounts(*DIGITS).save(tmp_path / "snapshot")
    roles = open_snapshot(tmp_path / "snapshot").roles
    assert str(roles["account_id"].dtype) == "str"
    assert str(roles["description"].dtype) == "str"
    assert str(roles["max_session_seconds"].dtype) == "Int64"
    assert str(roles["tags_known"].dtype) == "bool"
    assert str(roles["created_at"].dtype) == str(roles["last_used_at"].dtype) == "datetime64[us, UTC]"


def test_an_inventory_without_rows_comes_back_typed_and_each_frame_has_a_file_with_its_columns(tmp_path: Path) -> None:
    nothing = Inventory(**{name: frame.empty() for name, frame in schema.FRAMES.items()})
    nothing.save(tmp_path / "snapshot")
    assert_same(nothing, open_snapshot(tmp_path / "snapshot"))
    for name, frame in schema.FRAMES.items():
        (part,) = parts(tmp_path / "snapshot", name)
        assert pq.read_schema(part).equals(frame.arrow)


def test_rows_come_back_in_the_order_in_which_they_were_also_where_accounts_take_turns(tmp_path: Path) -> None:
    inventory = of_accounts("a", "b", "c", each=40)
    rows = np.random.default_rng(1).permutation(len(inventory.tags))
    mixed = dataclasses.replace(inventory, tags=inventory.tags.iloc[rows].reset_index(drop=True))
    mixed.save(tmp_path / "snapshot")
    assert_same(mixed, open_snapshot(tmp_path / "snapshot"))


def test_a_frame_that_was_filtered_is_saved_without_its_old_index(tmp_path: Path) -> None:
    inventory = of_accounts("a", "b")
    some = dataclasses.replace(inventory, roles=inventory.roles.iloc[[0, 1, 3]])
    some.save(tmp_path / "snapshot")
    assert_frame_equal(open_snapshot(tmp_path / "snapshot").roles, some.roles.reset_index(drop=True))


def test_many_rows_of_one_account_come_back_over_several_row_groups(tmp_path: Path) -> None:
    few = of_accounts("a")
    inventory = dataclasses.replace(few, links=few.links.iloc[np.arange(300_000) % 2].reset_index(drop=True))
    inventory.save(tmp_path / "snapshot")
    (part,) = parts(tmp_path / "snapshot", "links")
    assert pq.ParquetFile(part).num_row_groups > 1
    assert_same(inventory, open_snapshot(tmp_path / "snapshot"))


def test_more_than_a_hundred_accounts_are_saved_and_opened_as_they_were(tmp_path: Path) -> None:
    inventory = of_accounts(*(f"{n:012d}" for n in range(120)), each=1)
    inventory.save(tmp_path / "snapshot")
    assert_same(inventory, open_snapshot(tmp_path / "snapshot"))


def test_the_manifest_says_what_is_there(tmp_path: Path) -> None:
    of_accounts("a", "b").save(tmp_path / "snapshot")
    said = manifest(tmp_path / "snapshot")
    assert said["format"] == "iamframe snapshot"
    assert said["format_version"] == 2
    assert said["iamframe_version"] == iamframe.__version__
    assert abs(pd.Timestamp(str(said["saved_at"])) - pd.Timestamp.now("UTC")) < pd.Timedelta(minutes=5)
    assert str(said["saved_at"]).endswith("Z")
    assert said["sources"] == ["dumps/", "state.tfstate"]
    assert said["accounts"] == [
        {"account_id": "a", "captured_at": "2024-05-01T09:00:00.123456Z"},
        {"account_id": "b", "captured_at": None},
    ]
    assert said["gaps"] == {"denied": 1, "not_in_file": 1}
    rows = {name: frame["rows"] for name, frame in said["frames"].items()}
    assert rows == {
        "accounts": 2, "roles": 4, "profiles": 4, "links": 4, "tags": 8, "references": 0, "gaps": 2, "calls": 2,
            "events": 0, "resource_owners": 0, "tag_policies": 0,
    }  # fmt: skip


def test_files_carry_the_meaning_of_each_column_and_are_packed_with_zstd(tmp_path: Path) -> None:
    of_accounts("a").save(tmp_path / "snapshot")
    (part,) = parts(tmp_path / "snapshot", "roles")
    meaning = pq.read_schema(part).field("role_path").metadata[b"meaning"]
    assert meaning == next(c.meaning for c in schema.ROLES.columns if c.name == "role_path").encode()
    group = pq.ParquetFile(part).metadata.row_group(0)
    assert {group.column(n).compression for n in range(group.num_columns)} == {"ZSTD"}


# Other readers


@pytest.mark.parametrize("accounts", [DIGITS, ZEROS, (*DIGITS, *ZEROS, "unknown"), ("17",), HOSTILE])
def test_duckdb_pyarrow_and_pandas_read_the_account_as_text_as_it_is(tmp_path: Path, accounts: tuple[str, ...]) -> None:
    of_accounts(*accounts, each=1).save(tmp_path / "snapshot")
    roles = tmp_path / "snapshot" / "roles"
    found = duckdb.sql(f"SELECT account_id FROM read_parquet('{roles}/*/*.parquet', hive_partitioning=true)")
    assert found.types == ["VARCHAR"]
    assert sorted(account for (account,) in found.fetchall()) == sorted(accounts)
    table = ds.dataset(roles, partitioning="hive").to_table()
    assert table.schema.field("account_id").type == pa.string()
    assert sorted(table["account_id"].to_pylist()) == sorted(accounts)
    frame = pd.read_parquet(roles)
    assert str(frame["account_id"].dtype) == "str"
    assert sorted(frame["account_id"]) == sorted(accounts)


def test_other_readers_read_a_frame_without_rows_and_pick_the_files_of_an_account(tmp_path: Path) -> None:
    of_accounts("a%2Fb", "a/b", "c").save(tmp_path / "snapshot")
    empty = duckdb.sql(f"SELECT * FROM '{tmp_path}/snapshot/references/*/*.parquet'").df()
    assert set(schema.REFERENCES.names) <= set(empty.columns)
    assert len(empty) == len(pd.read_parquet(tmp_path / "snapshot" / "references")) == 0
    roles = ds.dataset(tmp_path / "snapshot" / "roles", partitioning="hive")
    only = roles.to_table(filter=ds.field("account") == "a/b")
    assert set(only["account_id"].to_pylist()) == {"a/b"}


# Hostile account ids


def test_no_account_id_leads_out_of_the_folder_and_all_come_back(tmp_path: Path) -> None:
    inventory = of_accounts(*HOSTILE)
    inventory.save(tmp_path / "deep" / "er" / "snapshot")
    assert_same(inventory, open_snapshot(tmp_path / "deep" / "er" / "snapshot"))
    assert [p.name for p in tmp_path.iterdir()] == ["deep"]
    assert [p.name for p in (tmp_path / "deep" / "er").iterdir()] == ["snapshot"]
    for name in schema.FRAMES:
        assert all(p.parent.parent == tmp_path / "deep" / "er" / "snapshot" / name for p in
                   parts(tmp_path / "deep" / "er" / "snapshot", name))  # fmt: skip


def test_accounts_have_folders_that_differ_by_more_than_case_and_fit_any_file_system(tmp_path: Path) -> None:
    of_accounts(*HOSTILE).save(tmp_path / "snapshot")
    names = [p.parent.name for p in parts(tmp_path / "snapshot", "roles")]
    assert len(names) == len(HOSTILE) == len({name.casefold() for name in names})
    assert max(map(len, names)) < 255
    assert all(name.isascii() and name.isprintable() for name in names)
    assert {"account=XXXXXXXXXXXX", "account=unknown", "account=..%2F..%2Fx", "account=a%252Fb"} <= set(names)


@pytest.mark.parametrize(
    "folder", ["../../../secret", "account=/../../secret", "account=x/../../../secret", "..", "", "account=\0"]
)
def test_a_manifest_that_points_out_of_the_snapshot_is_refused(tmp_path: Path, folder: str) -> None:
    of_accounts("a").save(tmp_path / "snapshot")
    shutil.copytree(tmp_path / "snapshot" / "roles" / "account=a", tmp_path / "secret")
    said = manifest(tmp_path / "snapshot")
    said["frames"]["roles"]["parts"][0]["folder"] = folder
    seal(tmp_path / "snapshot", said)
    with pytest.raises(StoreError, match=r"manifest\.json: is not the manifest of a complete snapshot"):
        open_snapshot(tmp_path / "snapshot")


# Replacing


def test_a_snapshot_is_replaced_by_the_new_one_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    of_accounts("a", "b").save(tmp_path / "snapshot")
    of_accounts("c").save(tmp_path / "snapshot")
    assert_same(of_accounts("c"), open_snapshot(tmp_path / "snapshot"))
    assert [p.name for p in tmp_path.iterdir()] == ["snapshot"]
    assert [p.parent.name for p in parts(tmp_path / "snapshot", "roles")] == ["account=c"]


def test_an_empty_folder_becomes_the_snapshot_and_a_link_to_it_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    of_accounts("a").save(tmp_path / "link")
    of_accounts("b").save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert_same(of_accounts("b"), open_snapshot(tmp_path / "real"))


@pytest.mark.parametrize("content", ["notes", '{"format": "another"}', "{", "[]", '{"format": "\udcff"}'])
def test_a_folder_that_holds_something_else_is_left_as_it_is(tmp_path: Path, content: str) -> None:
    work = write(tmp_path / "work", {"manifest.json": content.encode("utf-8", "surrogateescape")})
    before = files(tmp_path)
    with pytest.raises(StoreError, match=r"work: is not empty and holds no snapshot, .*; choose another folder$"):
        of_accounts("a").save(work)
    assert files(tmp_path) == before


def test_a_snapshot_into_which_somebody_put_a_file_is_left_as_it_is(tmp_path: Path) -> None:
    of_accounts("a").save(tmp_path / "snapshot")
    (tmp_path / "snapshot" / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"snapshot: holds notes\.txt besides a snapshot, .*; choose another folder$"):
        of_accounts("b").save(tmp_path / "snapshot")
    assert_same(of_accounts("a"), open_snapshot(tmp_path / "snapshot"))


@pytest.mark.parametrize("here", [".", "inside"])
def test_the_folder_in_which_somebody_is_stays_and_is_no_folder_for_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str
) -> None:
    (tmp_path / "work" / here).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work" / here)
    with pytest.raises(
        StoreError, match=r"you are in this folder, which a snapshot would replace; give another folder$"
    ):
        of_accounts("a").save(tmp_path / "work")
    assert Path.cwd().is_dir()
    of_accounts("a").save("snapshot")


def test_a_file_is_no_folder_for_a_snapshot_nor_is_one_beneath_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match=r"file: is a file; give a folder"):
        of_accounts("a").save(tmp_path / "file")
    with pytest.raises(StoreError, match=r"snapshot: cannot be written \(.+\), .*; choose another folder$"):
        of_accounts("a").save(tmp_path / "file" / "snapshot")
    assert files(tmp_path) == {"file": b"mine"}


@pytest.mark.parametrize("failing", ["mkdir", "fsync", "rename"])
def test_a_save_that_fails_leaves_the_old_snapshot_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    of_accounts("a").save(tmp_path / "snapshot")
    before, calls = files(tmp_path), []

    def full(self: Path, *arguments: object, **options: object) -> object:
        calls.append(self)
        # Later than the first: in the middle of the frames, or between the two renames.
        if len(calls) >= 2:
            raise OSError(28, "No space left on device")
        return done(self, *arguments, **options)

    place = os if failing == "fsync" else Path
    done = getattr(place, failing)
    with monkeypatch.context() as patch:
        patch.setattr(place, failing, full)
        with pytest.raises(StoreError, match=r"cannot be written \(No space left on device\)"):
            of_accounts("b").save(tmp_path / "snapshot")
    # Where the old one could not be moved back either, it is read from where it is.
    assert_same(of_accounts("a"), open_snapshot(tmp_path / "snapshot"))
    if failing != "rename":
        assert files(tmp_path) == before


def test_a_frame_that_is_not_as_the_schema_has_it_is_not_saved(tmp_path: Path) -> None:
    inventory = of_accounts("a")
    for wrong in (
        inventory.roles.drop(columns="role_path"),
        inventory.roles.assign(role_arn=None),
        inventory.roles.assign(account_id=None),
        inventory.roles.assign(max_session_seconds="long"),
        inventory.roles.assign(role_path=[object()] * 2),
    ):
        with pytest.raises(SchemaError, match="frame roles"):
            dataclasses.replace(inventory, roles=wrong).save(tmp_path / "snapshot")
    assert list(tmp_path.iterdir()) == []


def test_between_the_two_renames_the_old_snapshot_is_opened_from_beside_and_a_new_save_clears_it(
    tmp_path: Path,
) -> None:
    of_accounts("a").save(tmp_path / "snapshot")
    (tmp_path / "snapshot").rename(tmp_path / ".snapshot.iamframe-old")
    assert_same(of_accounts("a"), open_snapshot(tmp_path / "snapshot"))
    assert_same(of_accounts("a"), iamframe.load(tmp_path / "snapshot"))
    of_accounts("b").save(tmp_path / "snapshot")
    assert_same(of_accounts("b"), open_snapshot(tmp_path / "snapshot"))
    assert [p.name for p in tmp_path.iterdir()] == ["snapshot"]


def test_what_is_left_of_an_old_snapshot_whose_deletion_was_cut_short_stands_in_no_way(tmp_path: Path) -> None:
    for name in ("snapshot", ".snapshot.iamframe-old"):
        of_accounts("a").save(tmp_path / name)
    (tmp_path / ".snapshot.iamframe-old" / MANIFEST).unlink()
    of_accounts("b").save(tmp_path / "snapshot")
    assert_same(of_accounts("b"), open_snapshot(tmp_path / "snapshot"))
    assert [p.name for p in tmp_path.iterdir()] == ["snapshot"]


def test_what_killed_saves_left_is_cleared_after_a_day_and_not_before(tmp_path: Path) -> None:
    old, new, other = (tmp_path / f".{name}" for name in
                       ("snapshot.iamframe-new-1", "snapshot.iamframe-new-2", "other.iamframe-new-1"))  # fmt: skip
    for folder in (old, new, other):
        folder.mkdir()
    for folder in (old, other):
        os.utime(folder, (time.time() - 90_000,) * 2)
    of_accounts("a").save(tmp_path / "snapshot")
    assert (old.exists(), new.exists(), other.exists()) == (False, True, True)


# Damage, and other versions


def test_what_is_no_snapshot_is_refused_with_what_to_name(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(StoreError, match=r"manifest\.json: does not exist .*; give the folder of a snapshot$"):
            open_snapshot(place)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        b"\xff",
        b'{"format": "\xff"}',
        b"[]",
        b'{"format": "iamframe snapshot"}',
        b'{"format": "another", "frames": {}}',
    ],
)
def test_a_damaged_manifest_is_named(tmp_path: Path, damaged: bytes) -> None:
    of_accounts("a").save(tmp_path / "snapshot")
    (tmp_path / "snapshot" / MANIFEST).write_bytes(damaged)
    with pytest.raises(
        StoreError, match=r"snapshot/manifest\.json: is damaged \(.*\); copy .* again, or save it to another folder$"
    ):
        open_snapshot(tmp_path / "snapshot")


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (("format",), "another"),
        (("frames", "roles", "rows"), 3),
        (("frames", "roles", "parts"), []),
        (("frames", "tags", "order"), [[0, 8]]),
        (("frames", "tags", "order"), [[7, 8]]),
        (("frames", "gaps"), None),
    ],
)
def test_a_manifest_that_does_not_add_up_is_refused(tmp_path: Path, at: tuple[str, ...], value: object) -> None:
    of_accounts("a", "b").save(tmp_path / "snapshot")
    said = manifest(tmp_path / "snapshot")
    inner = said
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    if value is None:
        del inner[at[-1]]
    seal(tmp_path / "snapshot", said)
    with pytest.raises(StoreError, match=r"manifest\.json: is not the manifest of a complete snapshot"):
        open_snapshot(tmp_path / "snapshot")


@pytest.mark.parametrize("name", [MANIFEST, "roles/account=a/part.parquet"])
def test_no_bit_of_a_snapshot_changes_what_is_opened(tmp_path: Path, name: str) -> None:
    inventory = of_accounts("a", each=1)
    inventory.save(tmp_path / "snapshot")
    file = tmp_path / "snapshot" / name
    whole = file.read_bytes()
    bits = random.Random(os.environ.get("IAMFRAME_SEED", "bits"))
    for at in bits.sample(range(len(whole) * 8), 200):
        changed = bytearray(whole)
        changed[at // 8] ^= 1 << at % 8
        file.write_bytes(changed)
        try:
            opened = open_snapshot(tmp_path / "snapshot")
        except StoreError:
            continue
        assert_same(inventory, opened)


@pytest.mark.parametrize("frame", ["roles", "gaps"])
def test_a_part_that_is_taken_out_of_manifest_and_folder_is_missed(tmp_path: Path, frame: str) -> None:
    of_accounts("a", "b").save(tmp_path / "snapshot")
    said = manifest(tmp_path / "snapshot")
    gone = said["frames"][frame]["parts"].pop()
    said["frames"][frame]["rows"] -= gone["rows"]
    (tmp_path / "snapshot" / MANIFEST).write_text(json.dumps(said))
    shutil.rmtree(tmp_path / "snapshot" / frame / gone["folder"])
    with pytest.raises(StoreError, match=r"manifest\.json: is damaged or was changed"):
        open_snapshot(tmp_path / "snapshot")


def test_a_part_that_is_no_part_of_the_snapshot_is_refused_and_notes_of_a_file_manager_are_not(tmp_path: Path) -> None:
    of_accounts("a").save(tmp_path / "snapshot")
    roles = tmp_path / "snapshot" / "roles"
    (roles / ".DS_Store").write_text("mine")
    (roles / "account=a" / ".DS_Store").write_text("mine")
    assert_same(of_accounts("a"), open_snapshot(tmp_path / "snapshot"))
    for extra in (roles / "account=b" / "part.parquet", roles / "account=a" / "more.parquet"):
        extra.parent.mkdir(exist_ok=True)
        shutil.copy(roles / "account=a" / "part.parquet", extra)
        with pytest.raises(StoreError, match="does not belong to the snapshot; move it away, or save it again"):
            open_snapshot(tmp_path / "snapshot")
        extra.unlink()
        if extra.parent.name == "account=b":
            extra.parent.rmdir()


def test_a_manifest_without_a_checksum_says_to_save_the_snapshot_again(tmp_path: Path) -> None:
    of_accounts("a").save(tmp_path / "snapshot")
    said = manifest(tmp_path / "snapshot")
    del said["sha256"]
    (tmp_path / "snapshot" / MANIFEST).write_text(json.dumps(said))
    with pytest.raises(StoreError, match=r"manifest\.json: has no checksum, .*; save the snapshot again$"):
        open_snapshot(tmp_path / "snapshot")


@pytest.mark.skipif(os.name == "nt", reason="there are no such files")
@pytest.mark.parametrize("name", [MANIFEST, "roles/account=a/part.parquet"])
def test_a_pipe_or_a_device_in_the_place_of_a_file_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    of_accounts("a").save(tmp_path / "snapshot")
    file = tmp_path / "snapshot" / name
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(StoreError, match="cannot be read"):
        open_snapshot(tmp_path / "snapshot")
    file.unlink()
    file.symlink_to("/dev/zero")
    with pytest.raises(StoreError, match="cannot be read"):
        open_snapshot(tmp_path / "snapshot")


def test_a_snapshot_of_a_newer_format_says_to_upgrade_whatever_else_is_in_it(tmp_path: Path) -> None:
    newer = {"format": "iamframe snapshot", "format_version": 3, "frames": {"roles": "elsewhere"}}
    (tmp_path / MANIFEST).write_text(json.dumps(newer))
    with pytest.raises(StoreError, match=r"is of format 3, and this iamframe reads up to 2; pip install --upgrade"):
        open_snapshot(tmp_path)
    with pytest.raises(StoreError, match="pip install --upgrade"):
        iamframe.load(tmp_path)


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    of_accounts("a", "b").save(tmp_path / "snapshot")
    parts(tmp_path / "snapshot", "links")[1].unlink()
    with pytest.raises(
        StoreError, match=r"links/account=b/part\.parquet: is missing; copy or save the snapshot again$"
    ):
        open_snapshot(tmp_path / "snapshot")


def test_a_part_that_is_cut_or_no_parquet_or_of_which_one_byte_changed_is_named(tmp_path: Path) -> None:
    of_accounts("a", "b").save(tmp_path / "snapshot")
    part = parts(tmp_path / "snapshot", "links")[1]
    whole = part.read_bytes()
    # The name of a column: the file stays readable, and that column would be missing.
    renamed = whole.replace(b"role_arn", b"role_arm")
    for damaged in (b"", whole[:100], whole[: len(whole) // 2], b"text", renamed, whole + b" "):
        part.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"links/account=b/part\.parquet: is damaged or was changed; copy or save"):
            open_snapshot(tmp_path / "snapshot")


def test_a_part_that_is_a_folder_cannot_be_read(tmp_path: Path) -> None:
    of_accounts("a").save(tmp_path / "snapshot")
    (part,) = parts(tmp_path / "snapshot", "links")
    part.unlink()
    part.mkdir()
    with pytest.raises(StoreError, match=r"part\.parquet: cannot be read \(Is a directory\); copy or save"):
        open_snapshot(tmp_path / "snapshot")


def test_a_part_with_other_rows_than_the_manifest_has_is_refused(tmp_path: Path) -> None:
    of_accounts("a", "b").save(tmp_path / "snapshot")
    rewritten(parts(tmp_path / "snapshot", "tags")[1], lambda table: table.slice(1))
    with pytest.raises(StoreError, match=r"tags: has data that this version cannot use \(7 rows and not 8\)"):
        open_snapshot(tmp_path / "snapshot")


def test_a_snapshot_of_an_older_schema_opens_with_missing_values_and_a_column_of_a_newer_one_is_passed_over(
    tmp_path: Path,
) -> None:
    inventory = of_accounts("a", "b")
    inventory.save(tmp_path / "snapshot")
    for part in parts(tmp_path / "snapshot", "roles"):
        rewritten(part, lambda table: table.drop_columns(["role_path", "created_at", "max_session_seconds"]))
        rewritten(part, lambda table: table.append_column("later", pa.array([1] * len(table))))
    opened = open_snapshot(tmp_path / "snapshot").roles
    assert opened[["role_path", "created_at", "max_session_seconds"]].isna().all(axis=None)
    assert opened.dtypes.equals(inventory.roles.dtypes)
    kept = [name for name in schema.ROLES.names if name not in ("role_path", "created_at", "max_session_seconds")]
    assert_frame_equal(opened[kept], inventory.roles[kept])


def test_a_snapshot_of_before_owners_and_policies_accuses_no_owner_and_knows_no_policy(tmp_path: Path) -> None:
    place, sample = tmp_path / "snapshot", load_sample()
    # Such a load did not ask for owners either.
    dataclasses.replace(sample, calls=sample.calls[sample.calls["operation"] != "eks:ListClusters"]).save(place)
    later = ["attached_policies", "inline_policy_count", "role_template_arn"]
    for part in parts(place, "roles"):
        rewritten(part, lambda table: table.drop_columns(later))
    shutil.rmtree(place / "resource_owners")
    said = manifest(place)
    del said["frames"]["resource_owners"]
    seal(place, said)
    result = run_checks(open_snapshot(place))
    assert len(result["owner_gone"]) == 0
    coverage = result.coverage.set_index(["account_id", "check"])["status"]
    assert coverage["444455556666", "owner_gone"] == "unknown"
    orphans = result["unreferenced_profiles"]
    assert len(orphans) > 0
    assert orphans[["attached_policies", "inline_policy_count", "power"]].isna().all(axis=None)


def test_a_snapshot_of_format_1_opens_with_the_details_that_its_gaps_had(tmp_path: Path) -> None:
    inventory = load_sample()
    inventory.save(tmp_path / "snapshot")
    for part in parts(tmp_path / "snapshot", "gaps"):
        rewritten(part, lambda table: table.drop_columns(["message", "facts"]))
    seal(tmp_path / "snapshot", manifest(tmp_path / "snapshot") | {"format_version": 1})
    gaps = open_snapshot(tmp_path / "snapshot").gaps
    assert gaps.dtypes.equals(inventory.gaps.dtypes)
    assert (set(gaps["message"]), set(gaps["facts"])) == ({""}, {"{}"})
    assert gaps["detail"].tolist() == inventory.gaps["detail"].tolist()
    assert (
        gaps["detail"][0]
        == "DescribeInstances in eu-west-1 failed with UnauthorizedOperation when the files were collected"
    )
    html = render_page(run_checks(open_snapshot(tmp_path / "snapshot")), lang="ja")
    assert "<td>DescribeInstances in eu-west-1 failed with UnauthorizedOperation when the files were collected" in html


def test_a_snapshot_that_lacks_what_must_be_known_is_refused(tmp_path: Path) -> None:
    of_accounts("a").save(tmp_path / "snapshot")
    rewritten(parts(tmp_path / "snapshot", "roles")[0], lambda table: table.drop_columns(["tags_known"]))
    with pytest.raises(StoreError, match=r"tags_known has missing values.*; load its sources again$"):
        open_snapshot(tmp_path / "snapshot")


# As a source


def test_a_snapshot_is_a_source_by_itself_for_load_and_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inventory = load(tmp_path / "in", {"dump.json": dump(role_detail("app")), "p.json": profile_list(profile("empty"))})
    inventory.save(tmp_path / "snapshot")
    assert_same(inventory, iamframe.load(tmp_path / "snapshot"))
    assert_same(inventory, iamframe.load(str(tmp_path / "snapshot")))
    assert _run(["check", str(tmp_path / "snapshot"), "--only", "empty_profiles"]) == 0
    assert "empty" in capsys.readouterr().out
    assert _run(["report", str(tmp_path / "snapshot"), "--out", str(tmp_path / "report")]) == 0
    assert (tmp_path / "report" / "report.html").exists()


def test_a_report_on_a_snapshot_of_the_sample_says_that_it_is_fiction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_sample().save(tmp_path / "snapshot")
    assert _run(["report", str(tmp_path / "snapshot"), "--out", str(tmp_path / "report")]) == 0
    assert capsys.readouterr().out.startswith("This report is about the fictional sample")


def test_a_damaged_snapshot_is_refused_by_the_command_line_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_accounts("a").save(tmp_path / "snapshot")
    parts(tmp_path / "snapshot", "roles")[0].unlink()
    assert _run(["check", str(tmp_path / "snapshot")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "is missing" in error


def test_a_manifest_of_something_else_is_a_file_like_any_other(tmp_path: Path) -> None:
    documents = {"manifest.json": {"format": "another"}, "dump.json": dump(role_detail("app"))}
    write(tmp_path / "in", documents)
    assert iamframe.load(tmp_path / "in").roles["role_name"].tolist() == ["app"]
