"""`--workers` and `--dask`: what they need, and that they change no answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import run

import iamframe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a snapshot of one account, which is one shard."""
    place = tmp_path_factory.mktemp("shards")
    sample = iamframe.load_sample()
    sample.only(sample.profiles["profile_arn"][sample.profiles["account_id"] == "444455556666"]).save(
        place / "snapshot"
    )
    return place


def test_check_with_workers_prints_what_it_prints_without(folder: Path) -> None:
    one, two = (run(folder, "check", "snapshot", *options) for options in ((), ("--workers", "1")))
    assert (one.returncode, one.stdout, one.stderr) == (two.returncode, two.stdout, two.stderr)
    assert "444455556666" in one.stdout


def test_fail_on_and_strict_hold_for_shards(folder: Path) -> None:
    assert run(folder, "check", "snapshot", "--workers", "1", "--fail-on", "medium").returncode == 1
    assert run(folder, "check", "snapshot", "--workers", "1", "--strict").returncode == 3


def test_results_are_kept_where_they_are_wanted_and_reused(folder: Path) -> None:
    run(folder, "check", "snapshot", "--workers", "1", "--results", "kept")
    marker = folder / "kept" / "shards" / "00001.json"
    before = marker.stat().st_mtime_ns
    run(folder, "check", "snapshot", "--workers", "1", "--results", "kept")
    assert marker.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "sample", "--workers", "2"),
        ("check", "snapshot", "snapshot", "--workers", "2"),
        ("check", "aws", "--dask", "tcp://127.0.0.1:1"),
        ("report", "--workers", "2"),
        ("report", "snapshot", "--workers", "2", "--compare", "snapshot"),
    ],
)
def test_what_is_not_one_snapshot_is_refused_with_how_to_save_one(folder: Path, arguments: tuple[str, ...]) -> None:
    refused = run(folder, *arguments)
    assert refused.returncode == 2
    assert "--workers and --dask check one snapshot, without --compare" in refused.stderr
    assert "`iamframe snapshot SOURCE --out DIR`" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_results_without_workers_and_no_worker_at_all_are_refused(folder: Path) -> None:
    assert "--results needs --workers or --dask" in run(folder, "check", "snapshot", "--results", "kept").stderr
    assert "0 is not in the range" in run(folder, "check", "snapshot", "--workers", "0").stderr


def test_an_address_where_no_scheduler_answers_is_named(folder: Path) -> None:
    pytest.importorskip("distributed", reason="the extra fleet is not installed")
    refused = run(folder, "check", "snapshot", "--dask", "nonsense://x")
    assert refused.returncode == 2
    assert "--dask nonsense://x: no Dask scheduler answers there" in refused.stderr
    assert refused.stderr.count("\n") == 1
