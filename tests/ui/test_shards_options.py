"""`--workers` and `--dask`: what they need, and that they change no answer."""

from __future__ import annotations

import shutil
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


def test_explain_with_workers_prints_what_it_prints_without(folder: Path) -> None:
    one, two = (run(folder, "explain", "ci-runner", "snapshot", *options) for options in ((), ("--workers", "1")))
    assert (one.returncode, one.stdout, one.stderr) == (two.returncode, two.stdout, two.stderr)
    assert "444455556666:instance-profile/ci-runner" in one.stdout
    refused = run(folder, "explain", "ci-runner", "sample", "--workers", "1")
    assert (refused.returncode, "work only with one snapshot, not with `sample`; " in refused.stderr) == (2, True)


def test_plan_with_workers_prints_what_it_prints_without(folder: Path) -> None:
    one, two = (run(folder, "plan", "snapshot", *options) for options in ((), ("--workers", "1")))
    scripts = [[line for line in done.stdout.splitlines() if " by iamframe " not in line] for done in (one, two)]
    assert scripts[0] == scripts[1]
    assert (one.returncode, one.stderr) == (two.returncode, two.stderr)
    assert "tag-instance-profile" in one.stdout


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
    ("arguments", "message"),
    [
        (
            ("check", "sample", "--workers", "2"),
            "work only with one snapshot, not with `sample`; to save a snapshot, run `iamframe snapshot",
        ),
        (
            ("check", "snapshot", "other", "--workers", "2"),
            "work only with one snapshot, not with `snapshot`, `other`; ",
        ),
        (("check", "aws", "--dask", "tcp://127.0.0.1:1"), "work only with one snapshot, not with `aws`; "),
        (("report", "--workers", "2"), "work only with one snapshot, not with `sample`; "),
        (("check", "nowhere", "--workers", "2"), "nowhere is not a snapshot; give the folder of a snapshot"),
        (
            ("report", "snapshot", "--workers", "2", "--compare", "snapshot"),
            "--compare does not work with --workers or --dask",
        ),
        (("check", "snapshot", "--workers", "2", "--dask", "tcp://127.0.0.1:1"), "--workers or --dask, not both"),
    ],
)
def test_what_is_not_one_snapshot_is_refused_with_what_to_do(
    folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    refused = run(folder, *arguments)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("report", "snapshot", "--out", "snapshot"), "snapshot: holds a snapshot, which other files would spoil"),
        (("report", "snapshot", "--workers", "1", "--results", "snapshot"), "is not empty, and holds no results"),
        (("report", "snapshot", "--out", "s3://bucket/report"), "s3://bucket/report: is not on this machine"),
        (("plan", "snapshot", "--out", "s3://bucket/x.sh"), "s3://bucket/x.sh: is not on this machine"),
        (("check", "."), ".: holds snapshots, such as cut; give the snapshots, such as ./*"),
        (("check", "kept"), "kept: holds the results of check_snapshot; give the snapshot"),
        (("check", "cut"), "manifest.json: is damaged"),
        (("check", "headless"), "manifest.json: does not exist or cannot be read, so headless is not a snapshot"),
    ],
)
def test_a_folder_for_another_thing_is_refused_and_stays_as_it_is(
    folder: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    for name in ("snapshot", "cut", "headless"):
        shutil.copytree(folder / "snapshot", tmp_path / name)
    manifest = (tmp_path / "cut" / "manifest.json").read_bytes()
    (tmp_path / "cut" / "manifest.json").write_bytes(manifest[:100])
    (tmp_path / "headless" / "manifest.json").unlink()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "checked.json").write_text("{}", "utf-8")
    before = sorted(file for file in tmp_path.rglob("*"))
    refused = run(tmp_path, *arguments)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert sorted(file for file in tmp_path.rglob("*")) == before


def test_results_without_workers_and_no_worker_at_all_are_refused(folder: Path) -> None:
    assert "--results needs --workers or --dask" in run(folder, "check", "snapshot", "--results", "kept").stderr
    assert "0 is not a number of processes; give 1 or more" in run(folder, "check", "snapshot", "--workers", "0").stderr


def test_an_address_where_no_scheduler_answers_is_named(folder: Path) -> None:
    pytest.importorskip("distributed", reason="the extra fleet is not installed")
    refused = run(folder, "check", "snapshot", "--dask", "nonsense://x")
    assert refused.returncode == 2
    assert "--dask nonsense://x: no Dask scheduler answers there" in refused.stderr
    assert refused.stderr.count("\n") == 1
