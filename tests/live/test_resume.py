"""A snapshot of a live account: killed at any moment, the same command completes it and asks for nothing twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from accounts import add, found, load, same, snapshot

import iamframe
from iamframe.errors import ExpiredError, StoreError
from iamframe.practice import PracticeAccount
from iamframe.sources.journal import Entry, Journal

WITHOUT = ("--references", "none")


def test_a_snapshot_is_the_account_and_leaves_nothing_unfinished(account: PracticeAccount, tmp_path: Path) -> None:
    account.fill(roles=8, profiles=8)
    code, said, complained = snapshot(account, tmp_path / "snap")
    assert (code, complained) == (0, "")
    assert said == f"Collected: 1 account, 8 roles, 8 instance profiles.\nSnapshot: {tmp_path / 'snap'}\n"
    same(iamframe.open_snapshot(tmp_path / "snap"), load(account, references=True))
    assert not (tmp_path / "snap" / "unfinished").exists()


def test_an_unfinished_snapshot_says_so_when_it_is_opened(account: PracticeAccount, tmp_path: Path) -> None:
    account.fill(roles=8, profiles=8)
    account.expire(after=9)
    code, _, complained = snapshot(account, tmp_path / "snap", *WITHOUT)
    assert code == 2
    assert complained.startswith("iamframe: aws: the credentials expired after ")
    assert complained.endswith("are kept; renew them and run the same command again to resume\n")
    for opened in (iamframe.open_snapshot, iamframe.load):
        with pytest.raises(
            StoreError, match="is an unfinished snapshot; run the same `iamframe snapshot` command again"
        ):
            opened(tmp_path / "snap")
    account.expire(None)
    assert snapshot(account, tmp_path / "snap", *WITHOUT)[0] == 0
    assert len(iamframe.open_snapshot(tmp_path / "snap").profiles) == 8


def test_what_fails_before_anything_is_read_leaves_nothing_behind(account: PracticeAccount, tmp_path: Path) -> None:
    account.expire(after=0)
    assert snapshot(account, tmp_path / "snap")[0] == 2
    assert not (tmp_path / "snap").exists()


def test_credentials_of_another_account_do_not_go_on_from_its_answers(account: PracticeAccount, tmp_path: Path) -> None:
    account.fill(roles=8, profiles=8)
    other = account.add_member("other")
    account.fill(roles=2, profiles=2, account_id=other)
    account.expire(after=9)
    assert snapshot(account, tmp_path / "snap", *WITHOUT)[0] == 2
    account.expire(None)
    assert snapshot(account, tmp_path / "snap", *WITHOUT, account_id=other)[0] == 0
    inventory = iamframe.open_snapshot(tmp_path / "snap")
    assert set(inventory.profiles["account_id"]) == {other}
    assert len(inventory.profiles) == 2


def test_another_command_does_not_go_on_from_it(account: PracticeAccount, tmp_path: Path) -> None:
    account.fill(roles=8, profiles=8)
    account.expire(after=9)
    session = account.session(region_name="us-east-1")
    with pytest.raises(ExpiredError):
        iamframe.load_account(session, progress=False, journal=tmp_path / "account.jsonl")
    # A load that was refused at once keeps nothing that another command could mix up.
    account.expire(after=9)
    assert snapshot(account, tmp_path / "snap")[0] == 2
    account.expire(None)
    code, _, complained = snapshot(account, tmp_path / "snap", "--references", "none")
    assert code == 2
    assert "holds an unfinished snapshot of other sources or options; finish it with the same command" in complained


def test_what_was_denied_is_asked_again_when_it_goes_on(account: PracticeAccount, tmp_path: Path) -> None:
    account.fill(roles=8, profiles=8)
    account.deny("ListInstanceProfiles")
    session = account.session(region_name="us-east-1")
    journal = tmp_path / "account.jsonl"
    first = iamframe.load_account(session, references=False, progress=False, journal=journal)
    account.allow()
    second = iamframe.load_account(session, references=False, progress=False, journal=journal)
    assert found(first, "empty_profiles") == set()
    same(second, load(account))


def test_answers_of_an_earlier_load_count_as_answers_when_the_rest_is_denied(
    account: PracticeAccount, tmp_path: Path
) -> None:
    """After twenty denials and no answer, an operation is no longer called."""
    for number in range(25):
        add(account, f"denied-{number:02}")
    add(account, "answered")
    account.deny("GetInstanceProfile", "*denied-*")
    account.deny("ListInstanceProfileTags", "*denied-*")
    read: dict[str, Any] = {"references": False, "workers": 1, "journal": tmp_path / "account.jsonl"}
    load(account, **read)
    account.forget()
    load(account, **read)
    assert account.counts()["GetInstanceProfile"] == 25


def test_of_an_account_that_was_read_to_its_end_only_who_asks_is_asked_again(
    account: PracticeAccount, tmp_path: Path
) -> None:
    """AWS says by an error that there is no organization, and no stack of this name."""
    add(account, "forgotten-Web-Z9Y8X7W6V5U4")
    session = account.session(region_name="us-east-1")
    read: dict[str, Any] = {"regions": ["us-east-1"], "progress": False, "journal": tmp_path / "account.jsonl"}
    first = iamframe.load_account(session, **read)
    assert {"DescribeEffectivePolicy", "DescribeStackResources"} <= {request.action for request in account.requests}
    account.forget()
    same(iamframe.load_account(session, **read), first)
    assert account.counts() == {"GetCallerIdentity": 1}


def test_an_old_snapshot_stays_whole_until_the_new_one_is(account: PracticeAccount, tmp_path: Path) -> None:
    account.fill(roles=8, profiles=8)
    assert snapshot(account, tmp_path / "snap", *WITHOUT)[0] == 0
    account.session().client("iam").create_instance_profile(InstanceProfileName="new")
    account.expire(after=5)
    assert snapshot(account, tmp_path / "snap", *WITHOUT)[0] == 2
    assert len(iamframe.open_snapshot(tmp_path / "snap").profiles) == 8
    account.expire(None)
    assert snapshot(account, tmp_path / "snap", *WITHOUT)[0] == 0
    assert len(iamframe.open_snapshot(tmp_path / "snap").profiles) == 9


def test_a_folder_of_other_things_is_refused_before_anything_is_asked(account: PracticeAccount, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    account.forget()
    code, _, complained = snapshot(account, tmp_path)
    assert (code, account.requests) == (2, [])
    assert "is not empty and holds no snapshot, and was not changed; choose another folder" in complained


@pytest.mark.parametrize("left", [b"", b'{"options":{"acc'])
def test_a_note_of_the_command_that_was_cut_short_is_written_anew(
    account: PracticeAccount, tmp_path: Path, left: bytes
) -> None:
    account.fill(roles=8, profiles=8)
    account.expire(after=9)
    assert snapshot(account, tmp_path / "snap", *WITHOUT)[0] == 2
    account.expire(None)
    (tmp_path / "snap" / "unfinished" / "asked.json").write_bytes(left)
    assert snapshot(account, tmp_path / "snap", *WITHOUT) == (
        0,
        f"Collected: 1 account, 8 roles, 8 instance profiles.\nSnapshot: {tmp_path / 'snap'}\n",
        "",
    )


def test_a_fleet_on_a_full_disk_gives_up_no_account(
    account: PracticeAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = account.add_member("a"), account.add_member("b")
    for name, value in account.environment().items():
        monkeypatch.setenv(name, value)
    put = Journal.put

    def full(journal: Journal, entry: Entry) -> None:
        if second in str(journal._path):
            raise StoreError("cannot be written")
        put(journal, entry)

    call: dict[str, Any] = {"role_name": "OrganizationAccountAccessRole", "references": False, "progress": False}
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "put", full)
        with pytest.raises(StoreError, match="cannot be written"):
            iamframe.take_snapshot(tmp_path / "snap", "aws", accounts=[first, second], **call)
    inventory = iamframe.take_snapshot(tmp_path / "snap", "aws", accounts=[first, second], **call)
    assert set(inventory.roles["account_id"]) == {first, second}
