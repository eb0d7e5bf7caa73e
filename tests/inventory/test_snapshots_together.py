"""Snapshots of different accounts, taken one by one, open together as if they had been loaded together."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import dump, load, of_accounts, profile, profile_list, role_detail, write
from pandas.testing import assert_frame_equal

import iamframe
from iamframe import Inventory, load_files, load_sample, run_checks
from iamframe.errors import SourceError, StoreError
from iamframe.inventory import schema

ONE, OTHER = "111122223333", "444455556666"


def documents(account: str) -> dict[str, Any]:
    return {
        "dump.json": dump(role_detail("app", tags={"Owner": "x"}, account=account)),
        "profiles.json": profile_list(profile("app", account=account), profile("left", account=account)),
    }


def instance(profile_arn: str, account: str) -> dict[str, Any]:
    """The output of describe-instances: an instance of an account uses a profile."""
    used = {"InstanceId": "i-1", "IamInstanceProfile": {"Arn": profile_arn, "Id": "AIPA"}}
    return {"Reservations": [{"OwnerId": account, "Instances": [used]}]}


def test_snapshots_of_two_accounts_are_what_loading_their_files_together_gives(tmp_path: Path) -> None:
    for account in (ONE, OTHER):
        load(tmp_path / "files" / account, documents(account)).save(tmp_path / account)
    together, opened = load_files(tmp_path / "files"), iamframe.load(tmp_path / OTHER, tmp_path / ONE)
    for name, frame in together.frames.items():
        key = list(schema.FRAMES[name].key)
        # The sources differ: a folder for all, or one for each account.
        found, wanted = (one.drop(columns="source", errors="ignore") for one in (opened.frames[name], frame))
        assert_frame_equal(found, wanted.sort_values(key, ignore_index=True), obj=name)
    assert_frame_equal(run_checks(opened).findings, run_checks(together).findings)


def test_sources_are_those_of_the_snapshots_in_order_and_each_once(tmp_path: Path) -> None:
    for folder, account, sources in (("b", ONE, ("aws:b", "x.json")), ("a", OTHER, ("aws:a", "x.json"))):
        dataclasses.replace(of_accounts(account), sources=sources).save(tmp_path / folder)
    opened = iamframe.load(tmp_path / "b", str(tmp_path / "a"))
    assert opened.sources == ("aws:b", "x.json", "aws:a")
    assert opened.accounts["account_id"].tolist() == [ONE, OTHER]


def test_a_use_of_another_accounts_profile_is_found_when_both_snapshots_are_there(tmp_path: Path) -> None:
    arn = f"arn:aws:iam::{OTHER}:instance-profile/left"
    user = {"us-east-1/describe-instances.json": instance(arn, ONE)}
    load(tmp_path / "files" / ONE, documents(ONE) | user).save(tmp_path / ONE)
    load(tmp_path / "files" / OTHER, documents(OTHER)).save(tmp_path / OTHER)
    assert iamframe.load(tmp_path / ONE).references["profile_arn"].isna().tolist() == [True]
    assert iamframe.load(tmp_path / ONE, tmp_path / OTHER).references["profile_arn"].tolist() == [arn]


def test_parts_of_the_sample_are_still_fiction_together(tmp_path: Path) -> None:
    sample = load_sample()
    for account, arns in sample.profiles.groupby("account_id")["profile_arn"]:
        sample.only(arns).save(tmp_path / str(account))
    opened = iamframe.load(*sorted(tmp_path.iterdir()))
    assert opened.is_sample
    assert len(opened.profiles) == len(sample.profiles)


def test_joined_snapshots_are_saved_as_one(tmp_path: Path) -> None:
    for account in (ONE, OTHER):
        of_accounts(account).save(tmp_path / account)
    saved = iamframe.take_snapshot(tmp_path / "all", tmp_path / ONE, tmp_path / OTHER)
    assert_frame_equal(iamframe.open_snapshot(tmp_path / "all").roles, saved.roles)
    assert saved.roles["account_id"].tolist() == [ONE, ONE, OTHER, OTHER]


def test_the_same_account_in_two_snapshots_is_refused_with_the_account_both_folders_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    of_accounts(ONE).save("monday")
    of_accounts("777788889999").save("elsewhere")
    of_accounts(OTHER, ONE).save("tuesday")
    with pytest.raises(SourceError) as refused:
        iamframe.load("monday", "elsewhere", "tuesday")
    assert str(refused.value) == (
        f"the account {ONE} is in monday and in tuesday; give only one of these snapshots, or "
        "compare them with `iamframe diff OLD NEW`"
    )
    with pytest.raises(SourceError, match=rf"^the account {ONE} is in monday and in monday; "):
        iamframe.load("monday", "monday")


def test_a_snapshot_beside_something_else_is_refused_and_what_is_no_snapshot_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "files", documents(ONE))
    of_accounts(ONE).save("a")
    of_accounts(OTHER).save("b")
    for other in ("files", "sample", "sample:earlier", "nowhere"):
        said = (
            rf"^{other}: is not a snapshot, and cannot be combined with the snapshot a; give only snapshots, or none$"
        )
        for given in ((other, "a", "b"), ("a", other, "b"), ("a", "b", other)):
            with pytest.raises(SourceError, match=said):
                iamframe.load(*given)
    with pytest.raises(SourceError, match=r"^aws: is a live account, which cannot be combined with other sources"):
        iamframe.load("a", "aws")
    with pytest.raises(SourceError, match=r"^a source is empty"):
        iamframe.load("a", "")


@pytest.mark.parametrize("place", ["one", "team/one", "team/2026/one"])
def test_a_folder_with_a_snapshot_anywhere_below_is_refused_and_no_account_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "all" / "other", documents(OTHER))
    of_accounts(ONE).save(f"all/{place}")
    beside = Path("all", place).parent
    said = f"^all: holds snapshots, such as {place}; give the snapshots, such as {beside}/[*]$"
    with pytest.raises(SourceError, match=said):
        iamframe.load("all")


def test_a_damaged_snapshot_among_others_is_named(tmp_path: Path) -> None:
    of_accounts(ONE).save(tmp_path / "a")
    of_accounts(OTHER).save(tmp_path / "b")
    (tmp_path / "b" / "roles" / f"account={OTHER}" / "part.parquet").unlink()
    with pytest.raises(StoreError, match=r"b/roles/account=444455556666/part\.parquet: is missing"):
        iamframe.load(tmp_path / "a", tmp_path / "b")


def test_a_snapshot_without_accounts_adds_nothing(tmp_path: Path) -> None:
    nothing = Inventory(**{name: frame.empty() for name, frame in schema.FRAMES.items()})
    nothing.save(tmp_path / "empty")
    of_accounts(ONE).save(tmp_path / "a")
    opened = iamframe.load(tmp_path / "empty", tmp_path / "a")
    pd.testing.assert_frame_equal(opened.roles, iamframe.load(tmp_path / "a").roles)
