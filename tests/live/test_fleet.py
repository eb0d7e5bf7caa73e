"""Many accounts: each a unit of work that makes its own credentials, and one that fails costs only its own rows."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from accounts import same

import iamframe
from iamframe.errors import SourceError
from iamframe.inventory.live import LoadOptions
from iamframe.practice import PracticeAccount
from iamframe.practice.calls import Answer, Call, Refusal, refusal_answer
from iamframe.sources.calls import Calls
from iamframe.sources.members import Member, assume_role, read_members
from iamframe.sources.records import LoadPlan
from iamframe.sources.sessions import open_session

ROLE = "OrganizationAccountAccessRole"


def members(organization: PracticeAccount, count: int, profiles: int = 2) -> list[str]:
    ids = [organization.add_member(f"team-{number}") for number in range(count)]
    for account in ids:
        # The role that is assumed is one of the account's roles too.
        organization.fill(roles=profiles, profiles=profiles, account_id=account)
    return ids


def load(accounts: object, **options: object) -> iamframe.Inventory:
    given = {"role_name": ROLE, "references": False, "progress": False} | options
    return iamframe.load_fleet(accounts, **given)  # type: ignore[arg-type]


# Which accounts


def test_accounts_come_from_ids_mappings_frames_and_files_alike(tmp_path: Path) -> None:
    ids = ["000000000001", "000000000002"]
    rows = [{"account_id": account, "account_name": f"n{account[-1]}"} for account in ids]
    file = tmp_path / "accounts.csv"
    file.write_text("Id,Name,Role,External ID\r\n1,n1,audit,s3cret\r\n000000000002,n2,,\r\n", "utf-8-sig")
    assert [member.account_id for member in read_members(ids)] == ids
    assert read_members(pd.DataFrame(rows)) == read_members(rows)
    read = read_members(file)
    assert [(m.account_id, m.account_name, m.role_name, m.external_id) for m in read] == [
        ("000000000001", "n1", "audit", "s3cret"),  # a spreadsheet has taken the zeros off
        ("000000000002", "n2", None, None),
    ]
    assert "s3cret" not in repr(read)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name\nx\n", "has no column account_id in its first line"),
        ("account_id\n12ab\n", "row 1 has no account id of 12 digits ('12ab')"),
        ("account_id\n000000000001\n1\n", "has the account 000000000001 twice"),
        ("account_id\n", "holds no account"),
        ("", "has no column account_id in its first line"),
        ("account_id\n" + "1" * 200_000, "is not CSV (field larger than field limit (131072))"),
        # A quote that is not closed swallows no account.
        (
            'account_id,account_name\n000000000001,"one\n000000000002,two\n',
            "is not CSV (unexpected end of data); save it as CSV again",
        ),
    ],
)
def test_a_file_of_accounts_that_cannot_be_used_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "accounts.csv"
    file.write_text(text)
    with pytest.raises(SourceError) as caught:
        read_members(file)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(file))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_file_of_accounts_as_spreadsheets_save_it(tmp_path: Path, separator: str) -> None:
    file = tmp_path / "accounts.csv"
    lines = ["account_id,account_name,role_name", '1,"a\r\nb",audit', ",,", "", "2,n2,"]
    file.write_bytes("\r\n".join(lines).replace(",", separator).encode("utf-8-sig"))
    assert [(m.account_id, m.account_name, m.role_name) for m in read_members(file)] == [
        ("000000000001", "a\r\nb", "audit"),
        ("000000000002", "n2", None),
    ]
    file.write_text('"account_id","account_name"\n"1","a;b,c"\n'.replace('","', f'"{separator}"'))
    assert [(m.account_id, m.account_name) for m in read_members(file)] == [("000000000001", "a;b,c")]
    file.write_text(f"account_id{separator}account_name\n{separator}\nx{separator}y\n")
    with pytest.raises(SourceError, match="row 2 has no account id"):
        read_members(file)


def test_the_accounts_of_an_organisation_are_read_with_their_names(organization: PracticeAccount) -> None:
    ids = members(organization, 2)
    organization.fill(roles=3, profiles=3)
    inventory = load("org")
    assert inventory.accounts[["account_id", "account_name"]].to_numpy().tolist()[:2] == [
        [ids[0], "team-0"],
        [ids[1], "team-1"],
    ]
    # The account that asks has no such role in itself, and needs none.
    assert len(inventory.accounts) == 3
    assert inventory.profiles["account_id"].value_counts().to_dict() == {ids[0]: 2, ids[1]: 2, "123456789012": 3}
    assert not (inventory.gaps["operation"] == "AssumeRole").any()


def test_an_account_that_is_suspended_is_not_asked_and_not_called_empty(organization: PracticeAccount) -> None:
    members(organization, 1)
    closed = organization.add_member("old", status="SUSPENDED")
    inventory = load("org")
    (gap,) = inventory.gaps[inventory.gaps["operation"] == "AssumeRole"].to_dict("records")
    assert gap["account_id"] == closed
    assert gap["detail"] == f"account {closed} is SUSPENDED and cannot be read"
    assert gap["reason"] == "not_asked"
    assert "sts:AssumeRole" not in str(iamframe.missing_permissions(inventory))
    coverage = iamframe.run_checks(inventory).coverage
    assert set(coverage["status"][coverage["account_id"] == closed]) == {"unknown"}


# Each account by itself


def test_accounts_that_fail_cost_only_their_own_rows(organization: PracticeAccount) -> None:
    good, other, no_role = members(organization, 3)
    strangers = "999999999999"
    inventory = load(
        [good, {"account_id": no_role, "role_name": "missing"}, strangers, {"account_id": other, "profile": "nope"}]
    )
    assert set(inventory.profiles["account_id"]) == {good}
    gaps = inventory.gaps[inventory.gaps["operation"] == "AssumeRole"]
    assert set(gaps["account_id"]) == {no_role, strangers, other}
    assert (
        gaps["detail"]
        .str.contains("could not assume the role|the AWS CLI configuration has no profile with this name")
        .all()
    )
    # Only AWS denies: no permission helps where a profile is missing.
    reasons = dict(zip(gaps["account_id"], gaps["reason"], strict=True))
    assert reasons == {no_role: "denied", strangers: "denied", other: "unreadable"}
    assert set(inventory.accounts["account_id"]) == {good, no_role, strangers, other}
    coverage = iamframe.run_checks(inventory, only=["empty_profiles"]).coverage
    assert dict(zip(coverage["account_id"], coverage["status"], strict=True)) == {
        good: "complete",
        no_role: "unknown",
        strangers: "unknown",
        other: "unknown",
    }


def test_an_account_that_denies_all_does_not_lack_the_permission_to_assume_its_role(
    organization: PracticeAccount,
) -> None:
    good, denying = members(organization, 2)
    organization.deny("iam:*", account_id=denying)
    inventory = load([good, denying])
    (gap,) = inventory.gaps[inventory.gaps["operation"] == "AssumeRole"].to_dict("records")
    assert "AWS denied every request" in gap["detail"]
    assert iamframe.missing_permissions(inventory)["Statement"] == []


def test_when_all_fail_it_is_refused(organization: PracticeAccount) -> None:
    ids = members(organization, 2)
    with pytest.raises(SourceError, match="none of the 2 accounts could be read; the first: aws/000000000001: "):
        load(ids, role_name="missing")


def test_credentials_of_another_account_are_noticed(organization: PracticeAccount) -> None:
    (member,) = members(organization, 1)
    organization.fill(roles=1, profiles=1)
    with pytest.raises(SourceError, match=f"these credentials are for account 123456789012, not for {member}"):
        iamframe.load_fleet([member], references=False, progress=False)


@pytest.mark.parametrize("regions", ["all", ["us-east-1"]])
def test_without_a_configured_region_the_roles_of_a_fleet_are_assumed(
    organization: PracticeAccount, monkeypatch: pytest.MonkeyPatch, regions: Any
) -> None:
    ids = members(organization, 1)
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    inventory = load(ids, regions=regions)
    assert "AssumeRole" not in set(inventory.gaps["operation"])
    assert len(inventory.profiles) == 2


def test_sessions_of_a_fleet_share_the_models_of_services(organization: PracticeAccount) -> None:
    ids = members(organization, 2)
    base = open_session()
    sessions = [base, open_session(), *(assume_role(base, Member(one), ROLE, None) for one in ids)]
    (loader,) = {session._session.get_component("data_loader") for session in sessions}
    assert len(loader.search_paths) == len({*loader.search_paths})


def test_a_frame_of_accounts_is_loaded_as_a_list_of_them_is(organization: PracticeAccount) -> None:
    ids = members(organization, 2)
    same(load(pd.DataFrame({"account_id": ids})), load(ids))


def test_the_external_id_is_written_nowhere(organization: PracticeAccount, tmp_path: Path) -> None:
    ids = members(organization, 2)
    inventory = load([*ids, "999999999999"], external_id="s3cret-external")
    iamframe.write_report(iamframe.run_checks(inventory), tmp_path / "report")
    inventory.save(tmp_path / "snap")
    own = [{"account_id": account, "external_id": "s3cret-external"} for account in ids]
    organization.expire(after=12)
    with pytest.raises(SourceError, match="expired"):
        iamframe.take_snapshot(tmp_path / "taken", "aws", accounts=own, role_name=ROLE, progress=False)
    organization.expire(None)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 12
    assert (tmp_path / "taken" / "unfinished" / "asked.json") in files
    for file in files:
        assert b"s3cret-external" not in file.read_bytes()
    for frame in inventory.frames.values():
        assert "s3cret-external" not in frame.to_string()


def test_an_external_id_that_aws_quotes_is_written_nowhere(
    organization: PracticeAccount, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good, bad = members(organization, 2)
    # AWS cuts nothing short, and a sentence does: no part of it may stay either.
    secret = "s3cret-" * 60
    inner = organization._answer

    def quoting(call: Call) -> Answer:
        given = call.params.get("ExternalId")
        if call.action == "AssumeRole" and given:
            words = f"1 validation error detected: Value '{given}' at 'externalId' failed to satisfy constraint"
            return refusal_answer(call, Refusal("ValidationError", words, 400))
        return inner(call)

    monkeypatch.setattr(organization, "_answer", quoting)
    inventory = load([good, {"account_id": bad, "external_id": secret}])
    (gap,) = inventory.gaps[inventory.gaps["operation"] == "AssumeRole"].to_dict("records")
    assert "Value '…' at 'externalId'" in gap["detail"]
    with pytest.raises(SourceError) as caught:
        load([good], external_id=secret)
    assert "Value '…' at 'externalId'" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(LoadOptions(LoadPlan(), 8, None, ROLE, secret))
    inventory.save(tmp_path / "snap")
    assert not any(b"s3cret" in file.read_bytes() for file in tmp_path.rglob("*.*"))


@pytest.mark.parametrize("threads", [None, 2])
def test_without_credentials_only_the_accounts_without_a_profile_are_lost(
    organization: PracticeAccount, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, threads: int | None
) -> None:
    first, second = members(organization, 2)
    keys = [f"aws_{name}={os.environ[f'AWS_{name.upper()}']}" for name in ("access_key_id", "secret_access_key")]
    (tmp_path / "credentials").write_text("\n".join(["[x]", *keys]))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    executor = ThreadPoolExecutor(threads) if threads else None
    inventory = load([{"account_id": first, "profile": "x"}, second], executor=executor)
    assert set(inventory.profiles["account_id"]) == {first}
    (gap,) = inventory.gaps[inventory.gaps["operation"] == "AssumeRole"].to_dict("records")
    assert gap["account_id"] == second
    assert gap["detail"].startswith(f"aws/{second}: no credentials were found")
    with pytest.raises(SourceError, match="no credentials were found"):
        load([second], executor=executor)


def test_credentials_are_met_once_where_some_accounts_have_a_profile(
    organization: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    (member,) = members(organization, 1)
    met = []
    monkeypatch.setattr("iamframe.inventory.fleet._prime_credentials", lambda options: met.append(options.profile))
    load([member, {"account_id": "999999999999", "profile": "nope"}])
    assert met == [None]


class Dying(ThreadPoolExecutor):
    """An executor whose worker dies at the second account, and which takes nothing from the third on."""

    taken = 0

    def submit(self, work: Any, /, *given: Any, **more: Any) -> Future[Any]:
        self.taken += 1
        if self.taken > 2:
            raise BrokenExecutor("a child process terminated abruptly")
        return super().submit(self._die if self.taken == 2 else work, *given, **more)

    def _die(self, *_: object) -> None:
        raise BrokenExecutor("a child process terminated abruptly")


def test_a_worker_that_dies_costs_only_the_accounts_that_it_took(organization: PracticeAccount) -> None:
    good, *lost = members(organization, 3)
    inventory = load([good, *lost], executor=Dying(1))
    assert set(inventory.profiles["account_id"]) == {good}
    gaps = inventory.gaps[inventory.gaps["operation"] == "AssumeRole"]
    assert gaps["detail"].tolist() == [
        f"aws/{account}: the worker that read the account stopped: BrokenExecutor: a child process terminated abruptly"
        for account in lost
    ]
    coverage = iamframe.run_checks(inventory, only=["empty_profiles"]).coverage
    assert coverage["status"].tolist() == ["complete", "unknown", "unknown"]
    dead = Dying(1)
    dead.taken = 2
    with pytest.raises(SourceError, match=r"none of the 1 account could be read; the first: aws/.+ the worker that"):
        load([good], executor=dead)


@pytest.mark.parametrize("is_saved", [False, True])
def test_an_account_that_meets_an_unexpected_error_does_not_end_the_others(
    organization: PracticeAccount, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_saved: bool
) -> None:
    lost, *good = members(organization, 5)
    real = Calls.submit

    def submit(calls: Calls, stage: str, *work: Any) -> Any:
        if calls.account_id == lost and stage == "references":
            raise RuntimeError("can't start new thread")
        return real(calls, stage, *work)

    monkeypatch.setattr(Calls, "submit", submit)
    out = {"out": tmp_path / "fleet"} if is_saved else {}
    inventory = load([lost, *good], references="core", regions=["us-east-1"], workers=2, **out)
    assert set(inventory.profiles["account_id"]) == set(good)
    assert set(inventory.accounts["account_id"]) == {lost, *good}
    failed = inventory.gaps[inventory.gaps["reason"] == "unreadable"]
    assert failed["account_id"].tolist() == [lost]
    assert failed["detail"].str.endswith("stopped: RuntimeError: can't start new thread").all()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"rate": 0}, "rate=0: is not a number of requests per second"),
        ({"rate": -1}, "rate=-1: is not a number"),
        ({"rate": float("nan")}, "rate=nan: is not a number"),
        ({"rate": "5"}, "rate='5': is not a number"),
        ({"references": "foo"}, "references='foo': is not a value"),
        ({"workers": 0}, "workers=0: is not a number of requests in flight"),
        ({"regions": None}, "regions=None: is not a list of regions; give their names, or all"),
        # A session without a configured region has the region None.
        ({"regions": [None]}, r"regions=\[None\]: is not a list of regions"),
    ],
)
def test_an_option_that_is_none_is_one_sentence(option: dict[str, Any], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        load(["000000000001"], **option)
    with pytest.raises(SourceError, match=said):
        iamframe.load_account(progress=False, **option)


def test_a_column_of_regions_is_as_good_as_a_list(account: PracticeAccount) -> None:
    column = pd.Series(["us-east-1", "us-east-1"])
    inventory = iamframe.load_account(account.session(), regions=column, references="core", progress=False)
    read = inventory.calls["region"][inventory.calls["operation"] == "DescribeInstances"]
    assert read.tolist() == ["us-east-1"]


def test_an_account_whose_credentials_expire_keeps_its_journal_and_the_rest_goes_on(
    organization: PracticeAccount, tmp_path: Path
) -> None:
    ids = members(organization, 3, profiles=6)
    organization.expire(after=14)
    with pytest.raises(SourceError, match="expired"):
        iamframe.take_snapshot(tmp_path / "snap", "aws", accounts=ids, role_name=ROLE, references=False, progress=False)
    organization.expire(None)
    organization.forget()
    inventory = iamframe.take_snapshot(
        tmp_path / "snap", "aws", accounts=ids, role_name=ROLE, references=False, progress=False
    )
    same(inventory, load(ids))
    same(iamframe.open_snapshot(tmp_path / "snap"), inventory)


READY = """
import msgspec
import iamframe.inventory.fleet, iamframe.sources.client, iamframe.sources.account
import iamframe.sources.members, iamframe.sources.journal

def kinds(base):
    for kind in base.__subclasses__():
        yield kind
        yield from kinds(kind)

late = []
for kind in set(kinds(msgspec.Struct)):
    if kind.__module__.startswith("iamframe.sources"):
        # Whose decoder is made by now does not look up its annotations any more.
        kind.__annotations__ = dict.fromkeys(kind.__annotations__ or ["x"], "Nowhere")
        try:
            msgspec.json.Decoder(kind)
        except NameError:
            late.append(kind.__name__)
print(sorted(late))
"""


def test_every_record_has_its_decoder_before_a_thread_asks_for_it() -> None:
    """Two threads that make one at once can end the process: msgspec makes it in several steps."""
    run = subprocess.run([sys.executable, "-c", READY], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
