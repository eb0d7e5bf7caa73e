"""Accounts at random: what is called unreferenced or stale is exactly what the generator knows to be so."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from builders import load
from random_accounts import FIRST, REGIONS, SECOND, World, random_world

from iamframe import run_checks
from iamframe.checks.result import Result
from iamframe.inventory.build import joined
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.load import load_files

SEEDS = range(10)
SIZE = 200


@cache
def judged(seed: int) -> tuple[World, Result]:
    """A world, and what the checks of references say of its files."""
    world = random_world(seed, SIZE)
    with TemporaryDirectory() as folder:
        inventory = load(Path(folder), world.files)
    return world, run_checks(inventory, only=["unreferenced_profiles", "stale_references"])


def found(result: Result, check: str) -> pd.DataFrame:
    return result.findings[result.findings["check"] == check]


def stale(result: Result) -> set[tuple[str, str, str]]:
    rows = found(result, "stale_references")
    ids = [arn.rpartition("/")[2] for arn in rows["resource_arn"]]
    return set(zip(rows["account_id"], rows["resource_type"], ids, strict=True))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_unreferenced_or_stale_is_what_the_generator_knows(seed: int) -> None:
    world, result = judged(seed)
    assert set(found(result, "unreferenced_profiles")["resource_arn"]) == world.unreferenced
    assert stale(result) == world.stale


@pytest.mark.parametrize("seed", SEEDS)
def test_every_reference_means_what_the_generator_meant_and_is_of_its_own_account(seed: int) -> None:
    world, result = judged(seed)
    references = result.inventory.references.astype(object)
    references = references.where(references.notna(), None)
    columns = ("account_id", "region", "consumer_type", "consumer_id", "named", "profile_arn")
    told = set(zip(*(references[name] for name in columns), strict=True))
    meant = {
        (
            use.account,
            use.region,
            use.consumer_type,
            use.consumer_id,
            use.naming.text,
            use.naming.means.arn if use.naming.means else None,
        )
        for use in world.uses
    }
    # Groups and fleets name what their templates name.
    through = {
        row
        for row in told - meant
        if row[2] in ("auto-scaling-group", "fleet", "spot-fleet", "batch-environment", "pcs-node-group")
    }
    assert told - through == meant
    assert {row[5] for row in through} <= {*world.used, None}
    assert set(result.inventory.accounts["account_id"]) == {FIRST, SECOND}
    arns = result.inventory.references[["account_id", "consumer_arn"]].dropna()
    assert [arn.split(":")[4] for arn in arns["consumer_arn"]] == arns["account_id"].tolist()


@pytest.mark.parametrize("seed", SEEDS)
def test_from_files_nothing_is_said_to_be_complete(seed: int) -> None:
    _, result = judged(seed)
    assert set(result.coverage["status"]) == {"partial"}
    assert set(found(result, "unreferenced_profiles")["certainty"]) == {"maybe"}


def test_accounts_that_were_read_one_by_one_and_joined_say_the_same(tmp_path: Path) -> None:
    world, result = judged(0)
    parts: list[Inventory] = []
    for account, folder in world.folders.items():
        mine = {name: content for name, content in world.files.items() if name.startswith(f"{folder}/")}
        load(tmp_path / account, mine)
        parts.append(load_files(tmp_path / account))
        assert set(parts[-1].accounts["account_id"]) == {account}
        # Alone it accuses nobody falsely.
        assert stale(run_checks(parts[-1], only=["stale_references"])) <= world.stale
    together = run_checks(joined(parts), only=["unreferenced_profiles", "stale_references"])
    pd.testing.assert_frame_equal(together.inventory.references, result.inventory.references)
    assert stale(together) == world.stale
    assert set(found(together, "unreferenced_profiles")["resource_arn"]) == world.unreferenced


def test_the_worlds_hold_something_of_everything() -> None:
    world = random_world(0, SIZE)
    problems = {use.naming.problem for use in world.uses}
    assert problems == {None, "gone", "other_path", "recreated", "unread"}
    assert len({use.consumer_type for use in world.uses}) == 13
    assert {use.region for use in world.uses} == set(REGIONS)
    assert any(use.naming.means and use.naming.means.account != use.account for use in world.uses)
    assert min(len(world.unreferenced), len(world.stale), len(world.used)) > 40
    assert random_world(0, SIZE) == world
