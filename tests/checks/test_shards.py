"""A snapshot checked in shards gives what it gives as a whole; what fails costs its own accounts only."""

from __future__ import annotations

import copy
import pickle
import random
import re
import shutil
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

import iamframe
from iamframe import Inventory, Result
from iamframe.errors import CheckError, StoreError, UnknownCheckError
from iamframe.inventory import schema

FIRST, SECOND, THIRD = "111122223333", "123456789012", "444455556666"
POLICY = Path(__file__).parents[2] / "data" / "tag-policy.toml"
# For what holds whatever is checked.
ONE = ["empty_profiles"]
HOUSE = """
import iamframe

@iamframe.check(severity="low", detail="is named {length} letters long")
def short_names(profiles):
    '''Short names.'''
    short = profiles[profiles["profile_name"].str.len() < 6]
    return short.rename(columns={"profile_arn": "resource_arn"}).assign(length=short["profile_name"].str.len())
"""


class Here(Executor):
    """Calls each function at once, in this process, and notes the shards; `before` may raise instead."""

    def __init__(self, before: Callable[[int], object] = int) -> None:
        self.shards: list[tuple[str, ...]] = []
        self.before = before

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.shards.append(args[1].accounts)
        try:
            self.before(args[1].number)
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - as an executor does
            future.set_exception(error)
        return future


def reference(account: str, named: str, **more: str) -> dict[str, Any]:
    """A reference of a launch template of one account to a profile, as a fleet saves it: without the profile's ARN."""
    return {
        "account_id": account,
        "region": "eu-west-1",
        "consumer_type": "launch-template",
        "consumer_id": "lt-0123",
        "named": named,
        "profile_name": named.rpartition("/")[2],
        **more,
    }


def with_references(inventory: Inventory, rows: list[dict[str, Any]]) -> Inventory:
    columns = {name: [row.get(name) for row in rows] for name in schema.REFERENCES.names}
    more = schema.REFERENCES.conform(columns)
    return replace(inventory, references=pd.concat([inventory.references, more], ignore_index=True))


def across(inventory: Inventory, seed: int) -> list[dict[str, Any]]:
    """Thirty references from any account to profiles of any account, some of which are gone."""
    chance = random.Random(seed)
    arns = inventory.profiles["profile_arn"].tolist()
    accounts = [*inventory.accounts["account_id"], "999999999999"]
    return [
        reference(
            chance.choice(accounts), chance.choice(arns) + chance.choice(["", "", "-gone"]), consumer_id=f"lt-{n}"
        )
        for n in range(30)
    ]


def same(parts: Result, whole: Result) -> None:
    assert_frame_equal(parts.findings, whole.findings)
    assert_frame_equal(parts.findings_in("ja"), whole.findings_in("ja"))
    assert_frame_equal(parts.coverage, whole.coverage)
    for name in whole.checks:
        facts, expected = (
            one[name].sort_values("finding_id", kind="stable", ignore_index=True) for one in (parts, whole)
        )
        assert_frame_equal(facts, expected)
    assert parts.attention.to_dict() == whole.attention.to_dict()
    assert_frame_equal(parts.summary, whole.summary)
    assert repr(parts) == repr(whole)


def by_account(folder: Path, only: str | list[str] | None = None) -> Result:
    """The result of the snapshot in the folder, each account in a shard of its own."""
    return iamframe.check_snapshot(folder / "snapshot", folder / "out", executor=Here(), shard_size=1, only=only)


@pytest.fixture(scope="module")
def sample() -> Inventory:
    return iamframe.load_sample()


@pytest.fixture(scope="module")
def saved(sample: Inventory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "snapshot"
    sample.save(folder)
    return folder


@pytest.fixture
def snapshot(saved: Path, tmp_path: Path) -> Path:
    """A copy of the sample's snapshot, to be changed."""
    return Path(shutil.copytree(saved, tmp_path / "snapshot"))


@pytest.fixture(scope="module")
def whole(saved: Path) -> Result:
    return iamframe.run_checks(iamframe.open_snapshot(saved))


@pytest.fixture(scope="module")
def linked(sample: Inventory, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Result]:
    """What is found, by account and in the whole, where accounts refer to profiles of each other."""
    folder = tmp_path_factory.mktemp("linked")
    with_references(sample, across(sample, 1)).save(folder / "snapshot")
    return by_account(folder), iamframe.run_checks(iamframe.open_snapshot(folder / "snapshot"))


@pytest.mark.parametrize("seed", range(2))
def test_findings_facts_and_coverage_of_shards_are_those_of_the_whole(
    sample: Inventory, tmp_path: Path, seed: int
) -> None:
    """With references from account to account, a policy, a check of one's own, and shards of one account or two."""
    (tmp_path / "house.py").write_text(HOUSE, "utf-8")
    with_references(sample, across(sample, seed)).save(tmp_path / "snapshot")
    judged: dict[str, Any] = {"policy": POLICY, "checks": tmp_path / "house.py", "owner_tag": "team"}
    parts = iamframe.check_snapshot(
        tmp_path / "snapshot", tmp_path / "out", executor=Here(), shard_size=1 + 70 * (seed % 2), **judged
    )
    whole = iamframe.run_checks(iamframe.open_snapshot(tmp_path / "snapshot"), **judged)
    assert len(whole["short_names"]) > 3
    same(parts, whole)


def test_a_template_of_another_account_uses_the_profile(sample: Inventory, whole: Result, tmp_path: Path) -> None:
    """The whole finds no use of `batch-legacy`; a template of another account changes that, and the shards see it."""
    unused = whole["unreferenced_profiles"]
    mine = unused[unused["account_id"] == FIRST].iloc[0]["resource_arn"]
    with_references(sample, [reference(THIRD, mine)]).save(tmp_path / "snapshot")
    found = by_account(tmp_path, "unreferenced_profiles")["unreferenced_profiles"]["resource_arn"]
    assert set(unused["resource_arn"]) - set(found) == {mine}


def test_a_profile_of_another_account_is_gone_only_if_the_list_of_that_account_is_whole(
    sample: Inventory, tmp_path: Path
) -> None:
    gone = [f"arn:aws:iam::{account}:instance-profile/gone" for account in (FIRST, "777777777777")]
    rows = [reference(THIRD, arn, consumer_id=f"lt-{n}") for n, arn in enumerate(gone)]
    with_references(sample, rows).save(tmp_path / "snapshot")
    facts = by_account(tmp_path, "stale_references")["stale_references"]
    assert facts[facts["account_id"] == THIRD]["named"].tolist() == [gone[0]]


def test_a_shard_has_as_many_accounts_as_fit_and_never_half_of_one(snapshot: Path, tmp_path: Path) -> None:
    """The accounts have 62, 28 and 58 roles."""
    for size, shards in {1: 3, 90: 2, 1000: 1}.items():
        executor = Here()
        iamframe.check_snapshot(snapshot, tmp_path / str(size), executor=executor, shard_size=size, only=ONE)
        assert len(executor.shards) == shards
        assert [account for shard in executor.shards for account in shard] == [FIRST, SECOND, THIRD]


def test_each_shard_is_one_parquet_file_that_other_programs_read(snapshot: Path, tmp_path: Path) -> None:
    result = iamframe.check_snapshot(
        snapshot, tmp_path / "out", executor=Here(), shard_size=1, only=["tag_differences", "untagged_roles"]
    )
    assert sorted(file.name for file in (tmp_path / "out" / "findings").iterdir()) == [
        "part-00001.parquet",
        "part-00002.parquet",
        "part-00003.parquet",
    ]
    assert len(pq.read_table(tmp_path / "out" / "findings")) == len(result.findings)
    assert len(pq.read_table(tmp_path / "out" / "coverage")) == 3 * len(result.checks)
    facts = pd.read_parquet(tmp_path / "out" / "checks" / "tag_differences")
    assert set(facts["tag_key"]) == set(result["tag_differences"]["tag_key"])


def test_a_call_that_was_interrupted_goes_on_with_the_shards_that_are_left(
    snapshot: Path, whole: Result, tmp_path: Path
) -> None:
    def stop(number: int) -> None:
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Here(stop), shard_size=1)
    rest = Here()
    parts = iamframe.check_snapshot(snapshot, tmp_path / "out", executor=rest, shard_size=1)
    assert rest.shards == [(SECOND,), (THIRD,)]
    same(parts, whole)
    again = Here()
    iamframe.check_snapshot(snapshot, tmp_path / "out", executor=again, shard_size=1)
    assert again.shards == []


def test_another_policy_check_owner_tag_or_snapshot_does_not_go_on_with_these_results(
    snapshot: Path, sample: Inventory, tmp_path: Path
) -> None:
    house = tmp_path / "house.py"
    house.write_text(HOUSE, "utf-8")
    iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Here(), checks=house)
    others: list[dict[str, Any]] = [{"policy": POLICY}, {"only": ONE}, {"owner_tag": "Team"}]
    for other in [{}, *({"checks": house} | other for other in others)]:
        with pytest.raises(StoreError, match=r"out: holds the results of another snapshot, policy, set of checks"):
            iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Here(), **other)
    house.write_text(HOUSE.replace("< 6", "< 7"), "utf-8")
    with pytest.raises(StoreError, match="choose another folder, or delete this one"):
        iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Here(), checks=house)
    house.write_text(HOUSE + "\n\nMOST = 7\n", "utf-8")
    with pytest.raises(StoreError, match="choose another folder, or delete this one"):
        iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Here(), checks=house)
    house.write_text(HOUSE, "utf-8")
    sample.only(sample.profiles["profile_arn"][:5]).save(snapshot)
    with pytest.raises(StoreError, match="another snapshot"):
        iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Here(), checks=house)


def test_a_check_without_a_file_whose_constant_differs_is_another_check(snapshot: Path, tmp_path: Path) -> None:
    """A check typed at Python's prompt is in no file."""

    def typed(source: str) -> Any:
        names: dict[str, Any] = {}
        exec(compile(source, "<typed>", "exec"), names)
        return names["short_names"]

    six, seven = (typed(HOUSE.replace("< 6", most)) for most in ("< 6", "< 7"))
    iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Here(), checks=six)
    again = Here()
    iamframe.check_snapshot(snapshot, tmp_path / "out", executor=again, checks=six)
    assert again.shards == []
    with pytest.raises(StoreError, match="another snapshot, policy, set of checks"):
        iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Here(), checks=seven)


def test_a_shard_that_fails_once_is_tried_again(snapshot: Path, whole: Result, tmp_path: Path) -> None:
    tried: list[int] = []

    def fail(number: int) -> None:
        tried.append(number)
        if tried.count(number) == 1:
            raise MemoryError

    parts = iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Here(fail), shard_size=1)
    assert sorted(tried) == [1, 1, 2, 2, 3, 3]
    same(parts, whole)


def damage(snapshot: Path) -> None:
    """Damage a file of the second account."""
    file = snapshot / "roles" / f"account={SECOND}" / "part.parquet"
    file.write_bytes(file.read_bytes()[:-9] + b"123456789")


@pytest.fixture(scope="module")
def damaged(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("damaged")
    damage(Path(shutil.copytree(saved, folder / "snapshot")))
    return by_account(folder)


def test_a_damaged_account_is_unknown_in_each_check_and_costs_no_other(
    damaged: Result, whole: Result, sample: Inventory
) -> None:
    others = whole.findings[whole.findings["account_id"] != SECOND].reset_index(drop=True)
    assert_frame_equal(damaged.findings, others)
    unknown = damaged.coverage[damaged.coverage["account_id"] == SECOND]
    assert set(unknown["status"]) == {"unknown"}
    assert unknown["reason"].str.match(r"the account could not be checked: .*part\.parquet: is damaged").all()
    gaps = damaged.inventory.gaps
    gap = gaps[gaps["operation"] == "check_snapshot"].squeeze()
    assert (gap["account_id"], gap["reason"]) == (SECOND, "unreadable")
    assert gap["detail"].endswith("is damaged or was changed; copy or save the snapshot again")
    assert len(damaged.inventory.roles) == (sample.roles["account_id"] != SECOND).sum()


def test_a_damaged_account_costs_no_other_of_its_shard_either(snapshot: Path, whole: Result, tmp_path: Path) -> None:
    (snapshot / "tags" / f"account={SECOND}" / "part.parquet").unlink()
    parts = iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Here())
    unknown = parts.coverage[parts.coverage["account_id"] == SECOND]
    assert set(unknown["status"]) == {"unknown"}
    assert unknown["reason"].str.endswith("part.parquet: is missing; copy or save the snapshot again").all()
    others = whole.findings[whole.findings["account_id"] != SECOND].reset_index(drop=True)
    assert_frame_equal(parts.findings, others)
    assert_frame_equal(
        parts.coverage[parts.coverage["account_id"] != SECOND].reset_index(drop=True),
        whole.coverage[whole.coverage["account_id"] != SECOND].reset_index(drop=True),
    )
    (part,) = parts.parts()
    assert part.inventory.accounts["account_id"].tolist() == [FIRST, SECOND, THIRD]


def test_damaged_references_stop_the_call_since_they_may_use_profiles_of_any_account(
    snapshot: Path, tmp_path: Path
) -> None:
    file = snapshot / "references" / f"account={SECOND}" / "part.parquet"
    file.write_bytes(file.read_bytes()[:-9] + b"123456789")
    with pytest.raises(StoreError, match=r"references/account=123456789012/part\.parquet: is damaged or was changed"):
        iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Here())
    assert not (tmp_path / "out").exists()


def test_explain_names_the_account_that_could_not_be_checked(damaged: Result) -> None:
    text = " ".join(str(damaged.explain("no such name")).split())
    assert f"account {SECOND}: " in text
    assert "part.parquet: is damaged or was changed" in text


def test_without_any_readable_account_there_is_no_result(snapshot: Path, tmp_path: Path) -> None:
    for file in (snapshot / "profiles").glob("*/part.parquet"):
        file.unlink()
    with pytest.raises(StoreError, match=r"no account could be checked; the first: .* is missing; copy or save"):
        iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Here(), shard_size=1)


@pytest.mark.parametrize("folder", ["findings", "coverage", "checks/tag_differences"])
def test_results_that_were_changed_are_refused(snapshot: Path, tmp_path: Path, folder: str) -> None:
    result = iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Here(), only=["tag_differences"])
    file = tmp_path / "out" / folder / "part-00001.parquet"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(StoreError, match=r"part-00001\.parquet: is missing, damaged or changed; delete .*out, and"):
        result.findings, result.coverage, result["tag_differences"]


def test_results_go_into_an_empty_folder_of_their_own(snapshot: Path, tmp_path: Path) -> None:
    for out in (snapshot, tmp_path):
        with pytest.raises(StoreError, match="is not empty, and holds no results; choose another folder"):
            iamframe.check_snapshot(snapshot, out, executor=Here())
    with pytest.raises(StoreError, match="out is empty; give a folder for the results"):
        iamframe.check_snapshot(snapshot, "", executor=Here())
    with pytest.raises(StoreError, match="shard_size=0: give a number of roles above 0"):
        iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Here(), shard_size=0)
    assert {file.name for file in tmp_path.iterdir()} == {"snapshot"}


def test_the_report_of_a_damaged_account_says_so(damaged: Result, tmp_path: Path) -> None:
    damaged.write(tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "could not be checked: snapshot/roles/account=123456789012/part.parquet: is damaged" in page
    assert str(tmp_path.parent) not in page
    gaps = pd.read_csv(tmp_path / "report" / "gaps.csv", dtype=str)
    assert (gaps["operation"] == "check_snapshot").sum() == 1


def test_a_damaged_account_is_tried_again_by_the_next_call(
    whole: Result, saved: Path, snapshot: Path, tmp_path: Path
) -> None:
    damage(snapshot)
    assert (by_account(tmp_path).coverage["status"] == "unknown").sum() > 18
    file = Path("roles") / f"account={SECOND}" / "part.parquet"
    (snapshot / file).write_bytes((saved / file).read_bytes())
    executor = Here()
    parts = iamframe.check_snapshot(snapshot, tmp_path / "out", executor=executor, shard_size=1)
    assert executor.shards == [(SECOND,)]
    same(parts, whole)


def test_a_snapshot_that_is_replaced_while_it_is_checked_is_no_mixture(
    snapshot: Path, sample: Inventory, tmp_path: Path
) -> None:
    def save(number: int) -> None:
        if number == 2:
            sample.only(sample.profiles["profile_arn"]).save(snapshot)

    with pytest.raises(StoreError, match="snapshot: was replaced while it was checked; check it again"):
        iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Here(save), shard_size=1, only=ONE)


def test_what_concerns_all_shards_is_an_error_and_no_gap(snapshot: Path, tmp_path: Path) -> None:
    house = tmp_path / "house.py"
    house.write_text(HOUSE.replace("profile_name", "no_such_column"), "utf-8")
    with pytest.raises(CheckError, match="check short_names: stops with KeyError"):
        iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Here(), checks=house, shard_size=1)
    with pytest.raises(UnknownCheckError, match="no check 'empty'"):
        iamframe.check_snapshot(snapshot, tmp_path / "out2", only=["empty"])
    with pytest.raises(StoreError, match="nowhere"):
        iamframe.check_snapshot(tmp_path / "nowhere", tmp_path / "out3")
    assert not (tmp_path / "out2").exists()
    assert not (tmp_path / "out3").exists()
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(StoreError, match=re.escape("checked.json: cannot be")):
        iamframe.check_snapshot(snapshot, tmp_path / "file", executor=Here())


def test_an_executor_that_has_ended_is_an_error_that_says_how_to_go_on(snapshot: Path, tmp_path: Path) -> None:
    class Ended(Here):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            if self.shards:
                raise RuntimeError("cannot schedule new futures after shutdown")
            return super().submit(fn, *args, **kwargs)

    with pytest.raises(StoreError, match="call check_snapshot again with a new executor: it resumes where it stopped"):
        iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Ended(), shard_size=1, only=ONE)
    rest = Here()
    iamframe.check_snapshot(snapshot, tmp_path / "out", executor=rest, shard_size=1, only=ONE)
    assert rest.shards == [(SECOND,), (THIRD,)]


def test_workers_that_write_to_a_folder_of_their_own_machine_are_noticed(snapshot: Path, tmp_path: Path) -> None:
    class Elsewhere(Here):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            return super().submit(fn, replace(args[0], out=str(tmp_path / "elsewhere")), *args[1:], **kwargs)

    with pytest.raises(StoreError, match="out: lacks results that workers wrote; give a folder that all workers share"):
        iamframe.check_snapshot(snapshot, tmp_path / "out", executor=Elsewhere(), shard_size=1, only=ONE)


def test_a_snapshot_without_accounts_has_a_result_without_findings(tmp_path: Path) -> None:
    frames: dict[str, Any] = {name: frame.empty() for name, frame in schema.FRAMES.items()}
    nothing = Inventory(**frames)
    nothing.save(tmp_path / "snapshot")
    same(
        iamframe.check_snapshot(tmp_path / "snapshot", tmp_path / "out", executor=Here()), iamframe.run_checks(nothing)
    )


def test_frames_are_read_when_they_are_used(snapshot: Path, tmp_path: Path) -> None:
    result = by_account(tmp_path, "empty_profiles")
    (snapshot / "roles" / f"account={THIRD}" / "part.parquet").unlink()
    assert result.inventory.row_counts()["roles"] == 148
    assert len(result.inventory.profiles) == 109
    with pytest.raises(StoreError, match=r"part\.parquet: is missing"):
        len(result.inventory.roles)


def test_a_plan_of_shards_is_that_of_the_whole(linked: tuple[Result, Result]) -> None:
    parts, whole = (result.plan() for result in linked)
    assert_frame_equal(parts.steps, whole.steps)
    columns = ["check", "account_id", "resource_arn", "related_arn"]
    assert_frame_equal(
        parts.not_planned.sort_values(columns, ignore_index=True),
        whole.not_planned.sort_values(columns, ignore_index=True),
    )


def test_explain_says_of_shards_what_it_says_of_the_whole(linked: tuple[Result, Result]) -> None:
    parts, whole = linked
    for name in ("AWSCloud9SSMInstanceProfile", "lt-3", "no such name"):
        assert str(parts.explain(name)) == str(whole.explain(name))


@pytest.mark.usefixtures("snapshot")
def test_a_copy_reads_the_same_files_also_in_another_process_and_one_with_other_findings_none(tmp_path: Path) -> None:
    result = by_account(tmp_path, ["empty_profiles", "untagged_profiles"])
    for copied in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert type(copied) is type(result)
        assert_frame_equal(copied.findings, result.findings)
        assert len(list(copied.parts())) == len(list(result.parts()))
    chosen = result.findings["finding_id"][:7]
    some = result.only(chosen)
    assert some.findings["finding_id"].tolist() == chosen.tolist()
    assert int(some.tally["findings"].sum()) == 7
    assert [len(part.findings) for part in some.parts()] == [7]
