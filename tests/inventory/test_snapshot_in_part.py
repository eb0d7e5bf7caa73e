"""A part of a snapshot opens like the whole: its rows are those of the accounts, and no other file is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import ACCOUNT, event, load, of_accounts, profile, profile_list
from test_snapshot import assert_same, files, parts

import iamframe
from iamframe import Inventory, iter_snapshot, open_snapshot
from iamframe.errors import StoreError
from iamframe.inventory import on_demand
from iamframe.inventory.on_demand import InventoryOnDemand
from iamframe.inventory.parts import write_manifest, write_parts
from iamframe.inventory.unfinished import write_account


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    of_accounts("a", "b", "c").save(tmp_path / "snapshot")
    return tmp_path / "snapshot"


def rows_of(inventory: Inventory, *accounts: str) -> dict[str, pd.DataFrame]:
    frames = inventory.frames.items()
    return {name: frame[frame["account_id"].isin(accounts)].reset_index(drop=True) for name, frame in frames}


@pytest.mark.parametrize("accounts", [("b",), ("a", "c"), ("c", "a"), ("a", "b", "c"), ()])
def test_some_accounts_of_a_snapshot_are_their_rows_of_the_whole(folder: Path, accounts: tuple[str, ...]) -> None:
    part = open_snapshot(folder, accounts)
    for name, rows in rows_of(of_accounts("a", "b", "c"), *accounts).items():
        pd.testing.assert_frame_equal(part.frames[name], rows, obj=name)
    assert part.sources == ("dumps/", "state.tfstate")


def test_one_account_can_be_given_as_a_text(folder: Path) -> None:
    assert_same(open_snapshot(folder, ["b"]), open_snapshot(folder, "b"))


def test_an_account_that_is_a_number_gets_its_leading_zeros_back(tmp_path: Path) -> None:
    of_accounts("000000000012", "123456789012").save(tmp_path / "snapshot")
    part = open_snapshot(tmp_path / "snapshot", pd.Series([12, 123456789012]))  # type: ignore[arg-type]
    assert part.accounts["account_id"].tolist() == ["000000000012", "123456789012"]


def test_rows_of_a_part_keep_their_order_where_accounts_take_turns(tmp_path: Path) -> None:
    whole = of_accounts("a", "b", "c", each=20)
    mixed = whole.tags.sample(frac=1, random_state=1).reset_index(drop=True)
    Inventory(**(whole.frames | {"tags": mixed})).save(tmp_path / "snapshot")
    part = open_snapshot(tmp_path / "snapshot", ["c", "a"])
    pd.testing.assert_frame_equal(part.tags, mixed[mixed["account_id"] != "b"].reset_index(drop=True))


def test_rows_keep_their_order_where_accounts_take_turns_in_one_of_several_writings(tmp_path: Path) -> None:
    both, third = of_accounts("a", "b", each=20), of_accounts("c")
    mixed = both.tags.sample(frac=1, random_state=1).reset_index(drop=True)
    written = [write_parts(frames, tmp_path) for frames in (both.frames | {"tags": mixed}, third.frames)]
    write_manifest(written, ("test",), tmp_path)
    tags = pd.concat([mixed, third.tags], ignore_index=True)
    pd.testing.assert_frame_equal(open_snapshot(tmp_path).tags, tags)
    only = tags[tags["account_id"].isin(["a", "c"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(open_snapshot(tmp_path, ["c", "a"]).tags, only)


def test_gaps_of_an_account_in_several_files_come_once_in_parts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = {
        member: write_account(tmp_path, member, of_accounts(member, "unknown").frames, is_complete=False)
        for member in ("a", "b")
    }
    write_manifest(written.values(), ("test",), tmp_path)
    inventory = InventoryOnDemand.of(tmp_path)
    monkeypatch.setattr(on_demand, "_ACCOUNTS_AT_ONCE", 1)
    assert sorted(gap for gaps in inventory.gap_parts() for gap in gaps["account_id"]) == [
        "a",
        "b",
        "unknown",
        "unknown",
    ]
    assert inventory.row_counts()["gaps"] == len(inventory.gaps) == 4


EMPTY = {
    "trail.json": {"Records": [event("2024-05-01T09:00:00Z", "CreateUser", userName="ada")]},
    f"{ACCOUNT}/eu-west-1/list-stacks.json": {"StackSummaries": []},
}


@pytest.mark.parametrize("documents", [{}, EMPTY])
def test_frames_that_were_collected_are_counted_even_if_empty(tmp_path: Path, documents: dict[str, Any]) -> None:
    inventory = load(tmp_path / "files", {"p.json": profile_list(profile("web")), **documents})
    assert inventory.events.empty
    assert inventory.resource_owners.empty
    assert ("events" in inventory.row_counts(), "resource_owners" in inventory.row_counts()) == (bool(documents),) * 2
    inventory.save(tmp_path / "snapshot")
    assert InventoryOnDemand.of(tmp_path / "snapshot").row_counts() == inventory.row_counts()


def test_the_accounts_of_a_snapshot_come_one_by_one_in_the_order_of_their_ids(tmp_path: Path) -> None:
    of_accounts("c", "a", "b").save(tmp_path / "snapshot")
    each = [*iter_snapshot(tmp_path / "snapshot")]
    assert [one.accounts["account_id"].tolist() for one in each] == [["a"], ["b"], ["c"]]
    for name, frame in open_snapshot(tmp_path / "snapshot").frames.items():
        together = pd.concat([one.frames[name] for one in each])
        pd.testing.assert_frame_equal(
            together.sort_values([*frame], ignore_index=True), frame.sort_values([*frame], ignore_index=True), obj=name
        )


def test_an_account_that_a_snapshot_lacks_is_refused_with_those_that_it_has(folder: Path) -> None:
    with pytest.raises(StoreError, match=r"snapshot: has no account x; it has a, b, c$"):
        open_snapshot(folder, ["a", "x"])


def test_damage_in_one_account_does_not_concern_the_others(folder: Path) -> None:
    (damaged,) = (part for part in parts(folder, "roles") if part.parent.name == "account=b")
    damaged.write_bytes(b"damaged")
    assert set(open_snapshot(folder, ["a", "c"]).roles["account_id"]) == {"a", "c"}
    with pytest.raises(StoreError, match=r"account=b/part\.parquet: is damaged or was changed"):
        open_snapshot(folder, ["a", "b"])
    with pytest.raises(StoreError, match=r"account=b/part\.parquet: is damaged or was changed"):
        [*iter_snapshot(folder)]


def test_a_part_needs_no_file_of_another_account(folder: Path) -> None:
    whole = of_accounts("a", "b", "c")
    for name in files(folder):
        if "account=b" in name or "account=c" in name:
            (folder / name).unlink()
    part = open_snapshot(folder, ["a"])
    for name, rows in rows_of(whole, "a").items():
        pd.testing.assert_frame_equal(part.frames[name], rows, obj=name)


def test_a_part_knows_only_the_profiles_of_its_accounts(tmp_path: Path) -> None:
    sample = iamframe.load_sample()
    sample.save(tmp_path / "snapshot")
    for account in sample.accounts["account_id"]:
        assert set(open_snapshot(tmp_path / "snapshot", account).profiles["account_id"]) <= {account}
