"""A fleet that its workers save: the same rows as in memory, nothing held, and it goes on where it stopped."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import commands
import pandas as pd
import pytest
from accounts import same
from builders import of_accounts
from pyarrow.fs import FileSelector, FileSystem
from test_fleet import ROLE, Dying, load, members

import iamframe
from iamframe.errors import ExpiredError, SourceError, StoreError
from iamframe.inventory import unfinished
from iamframe.practice import PracticeAccount

Bucket = Callable[[str], str]
IDS = [f"{number:012d}" for number in range(1, 5)]


@pytest.fixture(scope="module")
def fleet() -> Iterator[PracticeAccount]:
    """An organization of four accounts, and of one that is suspended; each test leaves it as it found it."""
    with PracticeAccount(regions=("us-east-1",)) as opened:
        assert members(opened, 4) == IDS
        opened.add_member("old", status="SUSPENDED")
        yield opened


@pytest.fixture(autouse=True)
def organization(fleet: PracticeAccount, monkeypatch: pytest.MonkeyPatch) -> Iterator[PracticeAccount]:
    for name, value in fleet.environment().items():
        monkeypatch.setenv(name, value)
    fleet.forget()
    yield fleet
    fleet.allow()
    fleet.expire(None)
    fleet.latency = 0


@functools.cache
def whole(*accounts: str) -> iamframe.Inventory:
    """These accounts in memory, read once."""
    return load([*accounts])


@pytest.fixture(params=["disk", "bucket"])
def out(organization: PracticeAccount, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder on a disk, then one in a bucket; moto forgets all buckets when a practice account opens."""
    assert organization
    return str(tmp_path / "snap") if request.param == "disk" else request.getfixturevalue("bucket")("snap")


@pytest.fixture
def one() -> Iterator[Executor]:
    """An executor that reads one account after the other."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


def names(folder: str) -> set[str]:
    """The files beneath a folder on a disk or in a bucket, but for the parts of frames."""
    filesystem, path = FileSystem.from_uri(folder if "://" in folder else f"file://{folder}")
    found = filesystem.get_file_info(FileSelector(path, recursive=True, allow_not_found=True))
    files = {info.path.removeprefix(f"{path}/") for info in found if info.is_file}
    return {name for name in files if not name.endswith(".parquet")}


def interrupt(organization: PracticeAccount, accounts: Any, out: str | Path, one: Executor, after: int) -> None:
    """Save a fleet whose credentials expire when so many accounts are done; they are renewed afterwards."""

    def show(stage: str, done: int, _: int) -> None:
        if (stage, done) == ("accounts", after):
            organization.expire(0)

    with pytest.raises(ExpiredError, match="the credentials have expired; renew them"):
        load(accounts, out=out, executor=one, progress=show)
    organization.expire(None)
    organization.forget()


def asked(organization: PracticeAccount) -> set[str]:
    """The accounts whose roles were read."""
    return {one.account_id for one in organization.requests if one.action == "GetAccountAuthorizationDetails"}


@pytest.fixture(scope="module")
def named(fleet: PracticeAccount) -> list[str]:
    """The profiles that templates of the first account name: one of the second account, and one that nobody has."""
    profiles = fleet.session(account_id=IDS[1]).client("iam").list_instance_profiles()["InstanceProfiles"]
    ec2 = fleet.session("us-east-1", IDS[0]).client("ec2")
    arns = [profiles[0]["Arn"], "arn:aws:iam::999999999999:instance-profile/strange"]
    for arn in arns:
        data = {"IamInstanceProfile": {"Arn": arn}}
        ec2.create_launch_template(LaunchTemplateName=arn[-4:], LaunchTemplateData=data)
    return arns


def test_a_saved_fleet_has_the_rows_of_the_fleet_in_memory(
    organization: PracticeAccount, out: str, named: list[str]
) -> None:
    first, _, broken, _ = IDS
    organization.deny("GetCallerIdentity", account_id=broken)
    organization.deny("iam:*", account_id=broken)
    organization.deny("ec2:*", account_id=broken)
    memory = load("org", references="core")
    saved = load("org", references="core", out=out)
    references = memory.references.set_index("named")["profile_arn"]
    assert references[named[0]] == named[0]
    assert pd.isna(references[named[1]])
    assert set(memory.gaps["account_id"]) >= {broken}
    same(saved, memory)
    same(iamframe.open_snapshot(out), memory)
    assert names(out) == {"manifest.json"}
    part = iamframe.open_snapshot(out, first).references.set_index("named")["profile_arn"]
    assert part.isna().all()


def test_no_frame_is_read_before_it_is_needed(tmp_path: Path) -> None:
    ids = IDS[:2]
    saved = load([*ids, "999999999999"], out=tmp_path / "snap")
    (tmp_path / "snap" / "roles" / f"account={ids[0]}" / "part.parquet").unlink()
    assert "accounts" not in vars(saved)
    assert saved.row_counts()["profiles"] == 4
    assert repr(saved).startswith("Inventory(3 accounts, 6 roles, 4 profiles")
    assert ">roles</" in saved._repr_html_()
    assert "999999999999" in set(saved.gaps["account_id"])
    assert saved.sources == ("aws",)
    with pytest.raises(StoreError, match=r"part\.parquet: is missing"):
        saved.roles  # noqa: B018
    assert not hasattr(saved, "rules")


def test_a_snapshot_that_was_replaced_meanwhile_is_not_mixed_with_the_new_one(tmp_path: Path) -> None:
    saved = load(IDS[:1], out=tmp_path / "snap")
    assert len(saved.accounts) == 1
    of_accounts("a").save(tmp_path / "snap")
    with pytest.raises(StoreError, match="snap: was replaced meanwhile; open it again"):
        saved.roles  # noqa: B018


# Resuming


def test_a_fleet_whose_credentials_expire_goes_on_with_the_accounts_that_are_missing(
    organization: PracticeAccount, out: str, one: Executor
) -> None:
    ids = IDS[:3]
    interrupt(organization, ids, out, one, after=1)
    with pytest.raises(StoreError, match=r"is (an unfinished|not a) snapshot"):
        iamframe.open_snapshot(out)
    saved = load(ids, out=out)
    assert ids[0] not in asked(organization)
    assert ids[2] in asked(organization)
    same(saved, whole(*ids))
    assert names(out) == {"manifest.json"}


def test_an_account_that_failed_is_asked_again_when_it_goes_on(
    organization: PracticeAccount, out: str, one: Executor
) -> None:
    ids = IDS[:3]
    organization.deny("*", account_id=ids[0])
    interrupt(organization, ids, out, one, after=2)
    organization.allow()
    saved = load(ids, out=out)
    assert asked(organization) == {ids[0], ids[2]}
    same(saved, whole(*ids))
    same(iamframe.open_snapshot(out), saved)


def test_an_account_that_left_the_organization_meanwhile_is_not_in_the_snapshot(
    organization: PracticeAccount, out: str, one: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = IDS[:3]
    interrupt(organization, "org", out, one, after=2)
    left = [member for member in organization._organization.members if member.id != ids[0]]
    monkeypatch.setattr(organization._organization, "members", left)
    saved = load("org", out=out)
    assert ids[0] not in set(saved.accounts["account_id"])
    same(iamframe.open_snapshot(out), load("org"))


def test_accounts_are_read_again_when_the_credentials_were_renewed_meanwhile(
    organization: PracticeAccount, tmp_path: Path
) -> None:
    ids = IDS[:2]
    organization.expire(after=9)

    def show(_: str, done: int, total: int) -> None:
        if done == total:
            organization.expire(None)

    same(load(ids, out=tmp_path / "snap", progress=show), whole(*ids))


@pytest.mark.parametrize("after", [0, 6])
def test_an_account_during_whose_load_the_credentials_expire_is_never_taken_for_complete(
    organization: PracticeAccount, out: str, one: Executor, after: int
) -> None:
    organization.expire(after=after)
    with pytest.raises(ExpiredError, match="the same command again"):
        load(IDS[:1], out=out, executor=one)
    organization.expire(None)
    same(load(IDS[:1], out=out), whole(IDS[0]))


def test_credentials_that_expire_once_more_after_their_renewal_end_the_call(
    organization: PracticeAccount, out: str
) -> None:
    organization.expire(after=6)

    def show(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("accounts", total):
            # The credentials were renewed, and do not last either.
            organization.expire(after=3)

    with pytest.raises(ExpiredError, match="the same command again"):
        load(IDS[:1], out=out, progress=show)
    organization.expire(None)
    same(load(IDS[:1], out=out), whole(IDS[0]))


def test_an_older_snapshot_stays_until_the_new_one_is_complete(
    organization: PracticeAccount, tmp_path: Path, one: Executor
) -> None:
    ids = IDS[:2]
    first = load(ids, out=tmp_path / "snap")
    same(first, whole(*ids))
    iam = organization.session(account_id=ids[0]).client("iam")
    iam.create_instance_profile(InstanceProfileName="new")
    interrupt(organization, ids, tmp_path / "snap", one, after=1)
    assert len(iamframe.open_snapshot(tmp_path / "snap").profiles) == 4
    assert len(load(ids, out=tmp_path / "snap").profiles) == 5
    iam.delete_instance_profile(InstanceProfileName="new")
    assert [place.name for place in tmp_path.iterdir()] == ["snap"]


def test_the_unfinished_folder_of_another_call_is_refused(
    organization: PracticeAccount, out: str, one: Executor
) -> None:
    ids = IDS[:2]
    interrupt(organization, ids, out, one, after=1)
    kept = names(out)
    for other in (lambda: load(ids[:1], out=out), lambda: load(ids, out=out, references="core")):
        with pytest.raises(StoreError, match="holds an unfinished snapshot of other sources or options; finish it"):
            other()
    assert names(out) == kept
    # Neither the number of requests at a time nor their rate changes what is read.
    same(load(ids, out=out, workers=3, rate=500.0), whole(*ids))


def test_a_call_that_reads_nothing_leaves_nothing_behind(out: str) -> None:
    ids = IDS[:2]
    with pytest.raises(SourceError, match="none of the 2 accounts could be read"):
        load(ids, out=out, role_name="missing")
    assert names(out) == set()
    same(load(ids, out=out), whole(*ids))


def test_a_folder_with_other_files_is_refused_before_anything_is_asked(
    organization: PracticeAccount, bucket: Bucket
) -> None:
    filesystem, path = FileSystem.from_uri(bucket("snap"))
    with filesystem.open_output_stream(f"{path}/notes.txt") as stream:
        stream.write(b"mine")
    organization.forget()
    with pytest.raises(StoreError, match=r"snap: is not empty and holds no snapshot; choose another folder$"):
        load(["000000000001"], out=bucket("snap"))
    assert (names(bucket("snap")), organization.requests) == ({"notes.txt"}, [])


def test_a_bucket_with_a_snapshot_or_without_any_folder_is_refused_before_anything_is_asked(
    organization: PracticeAccount, bucket: Bucket
) -> None:
    of_accounts("a").save(bucket("snap"))
    organization.forget()
    with pytest.raises(StoreError, match="snap: already holds a snapshot, which an object store cannot replace"):
        load(["000000000001"], out=bucket("snap"))
    with pytest.raises(StoreError, match=r"^s3://gone-\w+/snap/\.unfinished: cannot be written \(.*NO_SUCH_BUCKET"):
        load(["000000000001"], out=bucket("snap").replace("bucket-", "gone-"))
    assert organization.requests == []


def test_a_disk_that_is_full_ends_the_call_at_once_and_it_goes_on_later(
    organization: PracticeAccount, out: str, one: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = IDS
    write = unfinished.write_parts

    def full(frames: Any, place: Any, account: str) -> Any:
        if account == ids[1]:
            raise OSError(28, "No space left on device")
        return write(frames, place, account)

    organization.forget()
    with monkeypatch.context() as patch:
        patch.setattr(unfinished, "write_parts", full)
        with pytest.raises(
            StoreError, match=r"cannot be written \(No space left on device\); check the .+ call again$"
        ):
            load(ids, out=out, executor=one)
    assert ids[3] not in asked(organization)
    organization.forget()
    same(load(ids, out=out), whole(*ids))


def test_an_account_whose_read_was_interrupted_is_not_taken_for_complete(
    organization: PracticeAccount, out: str
) -> None:
    ids = IDS[:3]
    organization.latency = 0.05

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load([*ids, "999999999999"], out=out, progress=stop)
    for thread in threading.enumerate():
        if thread.name.startswith("iamframe-accounts"):
            thread.join()
    organization.latency = 0
    same(load([*ids, "999999999999"], out=out), whole(*ids, "999999999999"))


def test_two_calls_do_not_write_to_one_folder(tmp_path: Path) -> None:
    ids = IDS[:2]
    met = []

    def again(*_: object) -> None:
        if not met:
            with pytest.raises(SourceError, match=r"unfinished: is being written by another process; wait for it"):
                met.append(load(ids, out=tmp_path / "snap"))
            met.append(None)

    same(load(ids, out=tmp_path / "snap", progress=again), whole(*ids))
    assert met == [None]


@pytest.mark.parametrize("left", [b"", b'{"frames":{"acc'])
def test_a_note_of_an_account_that_was_cut_off_counts_for_nothing(
    organization: PracticeAccount, tmp_path: Path, one: Executor, left: bytes
) -> None:
    ids = IDS[:2]
    interrupt(organization, ids, tmp_path / "snap", one, after=1)
    (note,) = (tmp_path / "snap").rglob(f"{ids[0]}.json")
    note.write_bytes(left)
    same(load(ids, out=tmp_path / "snap"), whole(*ids))


def test_journals_of_accounts_that_are_written_are_deleted(
    organization: PracticeAccount, tmp_path: Path, one: Executor
) -> None:
    ids = IDS[:3]
    interrupt(organization, ids, tmp_path / "snap", one, after=1)
    assert ids[0] not in {file.stem for file in (tmp_path / "snap" / "unfinished").glob("*.jsonl")}


# Workers and accounts that fail


def test_a_worker_that_dies_costs_only_the_accounts_that_it_took(out: str) -> None:
    good, *lost = IDS[:3]
    saved = load([good, *lost], executor=Dying(1), out=out)
    same(iamframe.open_snapshot(out), load([good, *lost], executor=Dying(1)))
    gaps = saved.gaps[saved.gaps["operation"] == "AssumeRole"]
    assert gaps["account_id"].tolist() == lost


def test_rows_of_an_account_that_several_accounts_tell_of_are_all_kept(tmp_path: Path) -> None:
    written = {
        account: unfinished.write_account(
            tmp_path / "new", account, of_accounts(account, "unknown").frames, is_complete=True
        )
        for account in ("b", "a")
    }
    unfinished.finish(tmp_path / "snap", tmp_path / "new", written, ("test",))
    opened = iamframe.open_snapshot(tmp_path / "snap")
    assert opened.roles["account_id"].tolist() == ["a", "a", "unknown", "unknown", "b", "b", "unknown", "unknown"]
    assert len(iamframe.open_snapshot(tmp_path / "snap", "unknown").roles) == 4


# The command line


def test_the_command_says_what_was_saved_and_what_was_not_collected(out: str, tmp_path: Path) -> None:
    ids = IDS[:2]
    (tmp_path / "accounts.csv").write_text("\n".join(["account_id", *ids, "999999999999"]))
    call = ("snapshot", "aws", "--accounts", "accounts.csv", "--assume-role", ROLE, "--references", "none")
    done = commands.run(tmp_path, *call, "--out", out)
    assert done.returncode == 0
    said = f"Collected: 3 accounts, 6 roles, 4 instance profiles.\nSnapshot: {out.partition('?')[0]}\n"
    assert done.stdout == said
    assert done.stderr.startswith("aws/999999999999: ")
    assert done.stderr.count("\n") == 1
    assert set(iamframe.open_snapshot(out).roles["account_id"]) == {*ids}


def test_the_command_saves_one_account_in_a_bucket(organization: PracticeAccount, bucket: Bucket) -> None:
    organization.fill(roles=4, profiles=4)
    done = commands.run(Path.cwd(), "snapshot", "aws", "--references", "none", "--out", bucket("snap"))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(iamframe.open_snapshot(bucket("snap")).profiles) == 4
    organization.forget()
    again = commands.run(Path.cwd(), "snapshot", "aws", "--references", "none", "--out", bucket("snap"))
    assert (again.returncode, organization.requests) == (2, [])
    assert "already holds a snapshot" in again.stderr


def test_an_account_whose_credentials_expire_is_not_saved_in_a_bucket(
    organization: PracticeAccount, bucket: Bucket
) -> None:
    out = bucket("snap")
    organization.expire(after=4)
    with pytest.raises(ExpiredError, match="the credentials have expired; renew them"):
        iamframe.take_snapshot(out, "aws")
    organization.expire(None)
    assert not iamframe.take_snapshot(out, "aws").gaps["reason"].isin(["expired"]).any()
