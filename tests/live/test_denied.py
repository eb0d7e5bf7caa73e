"""A live account, one request after the other refused, slowed down or broken off: nothing false is ever said."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from accounts import IAM_READS, ID, found, load, same, status

import iamframe
from iamframe.checks.catalog import CHECKS
from iamframe.knowledge.operations import OPERATIONS
from iamframe.practice import PracticeAccount


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[PracticeAccount, dict[str, Any]]]:
    """An account with 10 roles and 10 profiles of all kinds, and the truth about them."""
    with PracticeAccount(regions=("us-east-1",)) as opened:
        yield opened, opened.fill(roles=10, profiles=10)


def test_every_fact_of_the_account_is_read(filled: tuple[PracticeAccount, dict[str, Any]]) -> None:
    account, truth = filled
    inventory = load(account)
    roles = inventory.roles.set_index("role_name")
    profiles = inventory.profiles.set_index("profile_name")
    assert set(roles.index) == set(truth["roles"])
    assert set(profiles.index) == set(truth["profiles"])
    assert roles["role_path"].to_dict() == {name: role["path"] for name, role in truth["roles"].items()}
    assert profiles["profile_path"].to_dict() == {name: p["path"] for name, p in truth["profiles"].items()}
    tags: dict[str, dict[str, str]] = {}
    for arn, key, value in inventory.tags[["resource_arn", "tag_key", "tag_value"]].itertuples(index=False):
        tags.setdefault(arn, {})[key] = value
    for frame, key, kind in ((roles, "role_arn", "roles"), (profiles, "profile_arn", "profiles")):
        read = {name: tags.get(arn, {}) for name, arn in frame[key].items()}
        assert read == {name: thing["tags"] for name, thing in truth[kind].items()}
        assert frame["tags_known"].all()
    held = dict(zip(inventory.links["profile_arn"], inventory.links["role_arn"], strict=True))
    names = dict(zip(roles["role_arn"], roles.index, strict=True))
    assert {name: names.get(held.get(arn, "")) for name, arn in profiles["profile_arn"].items()} == {
        name: profile["role"] for name, profile in truth["profiles"].items()
    }
    assert profiles["role_known"].all()
    assert roles["last_used_known"].all()
    assert inventory.accounts["caller_arn"].tolist() == [f"arn:aws:iam::{ID}:user/practice"]
    assert inventory.accounts["roles_expected"].tolist() == [10]


def test_of_each_list_one_request_and_of_each_profile_one(filled: tuple[PracticeAccount, dict[str, Any]]) -> None:
    account, _ = filled
    account.forget()
    inventory = load(account)
    assert account.counts() == {
        "GetAccountAuthorizationDetails": 1,
        "GetAccountSummary": 1,
        "GetCallerIdentity": 1,
        "GetInstanceProfile": 10,
        "ListAccountAliases": 1,
        "ListInstanceProfiles": 1,
    }
    assert account.writes() == 0
    requests = dict(zip(inventory.calls["operation"], inventory.calls["requests"], strict=True))
    assert requests == dict(account.counts())
    assert (inventory.calls["ended_at"] >= inventory.calls["started_at"]).all()


# What is refused


def load_denied(account: PracticeAccount, *denied: str, **options: Any) -> iamframe.Inventory:
    """Load an account that denies some operations, and allows all again afterwards."""
    for operation in denied:
        account.deny(operation)
    try:
        return load(account, **options)
    finally:
        account.allow()


OTHER_READS = [
    read.operation
    for read in OPERATIONS
    if read.service != "iam"
    and read.when in ("plan", "references", "all", "organization", "index")
    # Of two services; their gaps are told apart.
    and read.operation not in ("ListClusters", "DescribeEnvironments")
]


@pytest.fixture(scope="module")
def whole(filled: tuple[PracticeAccount, dict[str, Any]]) -> iamframe.Result:
    return iamframe.run_checks(load(filled[0], references=True))


def rows(result: iamframe.Result, check: str | None = None) -> set[tuple[str, ...]]:
    findings = result.findings if check is None else result.findings[result.findings["check"] == check]
    return set(findings[["check", "resource_arn", "related_arn"]].fillna("").itertuples(index=False, name=None))


def honest(result: iamframe.Result, whole: iamframe.Result) -> None:
    """Hold that nothing is found that is not so, and that what is called complete is all that there is."""
    assert rows(result) <= rows(whole)
    for check, state in zip(result.coverage["check"], result.coverage["status"], strict=True):
        if state == "complete":
            assert rows(result, check) == rows(whole, check), check


@pytest.mark.parametrize("denied", [*IAM_READS, *OTHER_READS])
def test_whatever_is_denied_nothing_false_is_said(
    filled: tuple[PracticeAccount, dict[str, Any]], whole: iamframe.Result, denied: str
) -> None:
    account, _ = filled
    account.forget()
    inventory = load_denied(account, denied, references=True, tag_index=denied == "GetResources")
    honest(iamframe.run_checks(inventory), whole)
    if account.counts()[denied]:
        assert "denied" in set(inventory.gaps["reason"][inventory.gaps["operation"] == denied]) or denied in (
            "GetInstanceProfile",  # the tags were read by the other operation, and nothing is missing
        )


@pytest.mark.parametrize("pair", list(itertools.combinations(IAM_READS, 2)), ids="-".join)
def test_whatever_two_iam_reads_are_denied_nothing_false_is_said(
    filled: tuple[PracticeAccount, dict[str, Any]], whole: iamframe.Result, pair: tuple[str, str]
) -> None:
    account, _ = filled
    account.forget()
    inventory = load_denied(account, *pair)
    # Where one of the two is not asked, only the other is denied, as above.
    if all(account.counts()[denied] for denied in pair):
        honest(iamframe.run_checks(inventory), whole)


LOST = {
    "ListInstanceProfiles": {"empty_profiles": "unknown", "untagged_profiles": "partial"},
    "GetAccountSummary": {"quota_pressure": "unknown"},
    "DescribeInstances": {"unreferenced_profiles": "unknown", "stale_references": "partial"},
    "DescribeFleets": {"unreferenced_profiles": "unknown"},
    "DescribeSpotInstanceRequests": {"unreferenced_profiles": "partial"},
    "DescribeIamInstanceProfileAssociations": {"unreferenced_profiles": "partial"},
}


@pytest.mark.parametrize("denied", LOST)
def test_a_check_that_lost_its_ground_says_so(filled: tuple[PracticeAccount, dict[str, Any]], denied: str) -> None:
    inventory = load_denied(filled[0], denied, references=True)
    assert {check: status(inventory, check) for check in LOST[denied]} == LOST[denied]


LISTS = ("GetAccountAuthorizationDetails", "ListRoles", "ListInstanceProfiles")
# What tells of other things than roles, profiles, their links and tags.
OTHERWISE = {"unreferenced_profiles", "stale_references", "quota_pressure", "missing_required_tags"}


def statuses(inventory: iamframe.Inventory) -> dict[str, str]:
    coverage = iamframe.run_checks(inventory, only=[name for name in CHECKS if name not in OTHERWISE]).coverage
    return dict(zip(coverage["check"], coverage["status"], strict=True))


def exported(account: PracticeAccount, folder: Path, denied: tuple[str, ...], live: iamframe.Inventory) -> Path:
    """The account as files of the AWS CLI: the lists that are not denied, and each role and profile that was asked."""
    iam = account.session().client("iam")
    documents: dict[str, Any] = {"identity": account.session().client("sts").get_caller_identity()}
    documents["summary"] = iam.get_account_summary()
    listing = {
        "GetAccountAuthorizationDetails": lambda: iam.get_account_authorization_details(Filter=["Role"]),
        "ListRoles": iam.list_roles,
        "ListInstanceProfiles": iam.list_instance_profiles,
    }
    read = set(live.calls["operation"][live.calls["state"] != "refused"])
    for operation in (one for one in LISTS if one not in denied and one in read):
        documents[operation] = listing[operation]()
    if "GetInstanceProfile" in read:
        for name in live.profiles["profile_name"]:
            documents[f"profile-{name}"] = iam.get_instance_profile(InstanceProfileName=name)
    if "GetRole" in read:
        for name in live.roles["role_name"]:
            documents[f"role-{name}"] = iam.get_role(RoleName=name)
    for name, document in documents.items():
        document.pop("ResponseMetadata", None)
        path = folder / ID / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, default=lambda value: value.isoformat()), encoding="utf-8")
    return folder


@pytest.mark.parametrize("denied", [pair for size in (0, 1, 2, 3) for pair in itertools.combinations(LISTS, size)])
def test_the_same_knowledge_is_worth_the_same_from_files_as_live(
    filled: tuple[PracticeAccount, dict[str, Any]], tmp_path: Path, denied: tuple[str, ...]
) -> None:
    account, _ = filled
    # Which profiles hold a role shows in no file of the AWS CLI but these lists.
    live = load_denied(account, *denied, "ListInstanceProfilesForRole")
    files = iamframe.load_files(exported(account, tmp_path, denied, live))
    assert statuses(files) == statuses(live)


def test_without_the_list_of_profiles_nothing_is_known_of_empty_ones(
    filled: tuple[PracticeAccount, dict[str, Any]], tmp_path: Path
) -> None:
    account, _ = filled
    live = load_denied(account, "ListInstanceProfiles", "ListRoles")
    assert live.calls.set_index("operation")["rows"]["GetInstanceProfile"] > 0
    assert statuses(live)["empty_profiles"] == "unknown"
    # One that was asked for by its name and holds nothing is a finding, and there may be more.
    one = account.session().client("iam").get_instance_profile(InstanceProfileName="empty-0007")
    (tmp_path / "one.json").write_text(json.dumps({"InstanceProfile": one["InstanceProfile"]}, default=str))
    files = iamframe.load_files(tmp_path)
    assert found(files, "empty_profiles") == {"empty-0007"}
    assert statuses(files)["empty_profiles"] == "partial"


def test_roles_read_because_profiles_hold_them_tell_nothing_of_those_in_none(
    filled: tuple[PracticeAccount, dict[str, Any]],
) -> None:
    live = load_denied(filled[0], "GetAccountAuthorizationDetails", "ListRoles")
    assert live.calls.set_index("operation")["rows"]["GetRole"] > 0
    assert statuses(live)["ec2_roles_without_profile"] == "unknown"


def test_throttling_loses_nothing(filled: tuple[PracticeAccount, dict[str, Any]]) -> None:
    account, _ = filled
    calm = load(account)
    account.throttle(30, 3)
    try:
        hurried = load(account)
    finally:
        account.throttle(0, 0)
    same(calm, hurried)
    assert hurried.calls["retries"].sum() > 0


@pytest.mark.parametrize("fault", ["truncated", "short", "reset", "500"])
def test_answers_that_break_off_lose_nothing(filled: tuple[PracticeAccount, dict[str, Any]], fault: str) -> None:
    account, _ = filled
    calm = load(account)
    for action in ("ListInstanceProfiles", "GetAccountAuthorizationDetails", "GetInstanceProfile"):
        account.fault(fault, action=action, times=2)
    same(calm, load(account))


def test_what_was_denied_makes_the_least_policy_that_allows_it(filled: tuple[PracticeAccount, dict[str, Any]]) -> None:
    account, _ = filled
    denied = ("GetAccountAuthorizationDetails", "DescribeLaunchTemplateVersions")
    policy = iamframe.missing_permissions(load_denied(account, *denied, references=True, regions=["us-east-1"]))
    actions = ["ec2:DescribeLaunchTemplateVersions", "iam:GetAccountAuthorizationDetails"]
    assert policy["Statement"] == [{"Effect": "Allow", "Action": actions, "Resource": "*"}]
    # IAM refuses a statement without actions.
    assert iamframe.missing_permissions(load(account))["Statement"] == []
