"""What an organization's tag policy demands of roles and profiles, and who is not accused by it."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from accounts import EC2, add, load
from builders import dump, identity, nested_role, profile, profile_list, role_detail, tag_list
from builders import load as load_documents
from commands import run

import iamframe
from iamframe.practice import PracticeAccount
from iamframe.report.page import render_page
from iamframe.sources.tag_policies import EffectivePolicy, demands_in

CHECK = "missing_required_tags"
DESCRIBE, LIST = "DescribeEffectivePolicy", "ListRequiredTags"
POLICY = {
    "tags": {
        "costcenter": {
            "tag_key": "CostCenter",
            "tag_value": ["100", "Prod*"],
            "report_required_tag_for": ["iam:instance-profile", "ec2:instance"],
            "enforced_for": ["iam:instance-profile"],
        },
        # Enforced, and never required.
        "env": {"tag_key": "Env", "tag_value": ["prod"], "enforced_for": ["iam:ALL_SUPPORTED"]},
        # Without `tag_key`, the key is in lower case; with `*`, any value is allowed.
        "Team": {"tag_value": ["*"], "report_required_tag_for": ["iam:ALL_SUPPORTED"]},
        "other": {"tag_key": "Other", "report_required_tag_for": ["s3:bucket"]},
    }
}
PROFILES: dict[str, dict[str, str]] = {
    "good": {"CostCenter": "Prod-7", "team": "a", "Env": "prod", "OTHER ": "x"},
    "bare": {},
    "value": {"CostCenter": "prod-7", "team": "a", "Env": "dev"},
    "cased": {"costcenter": "100", "team": "a"},
    # The keys of a profile, unlike those of a role, are unique with case.
    "twice": {"CostCenter": "100", "COSTCENTER": "100", "team": "a"},
}
ROLES: dict[str, dict[str, str]] = {
    "plain": {"team": "a"},
    "teamless": {"CostCenter": "100"},
    "wrong": {"CostCenter": "9", "Team": "a"},
}
# What breaks the policy, worked out by hand: resource, demanded key, key that was found, problem.
REQUIRED = {
    ("bare", "CostCenter", "", "missing"),
    ("bare", "team", "", "missing"),
    ("cased", "CostCenter", "costcenter", "spelling"),
    ("twice", "CostCenter", "COSTCENTER", "spelling"),
    ("teamless", "team", "", "missing"),
    ("wrong", "team", "Team", "spelling"),
}
VALUES = {
    ("value", "CostCenter", "CostCenter", "value"),
    ("value", "Env", "Env", "value"),
    ("wrong", "CostCenter", "CostCenter", "value"),
}


def fill(account: PracticeAccount) -> None:
    iam = account.session().client("iam")
    for name, tags in PROFILES.items():
        add(account, name, **tags)
    for name, tags in ROLES.items():
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=EC2, Tags=tag_list(tags))


@pytest.fixture(scope="module")
def loads() -> Mapping[tuple[str, ...], iamframe.Inventory]:
    """An account of an organization, by the operations that were denied."""
    with PracticeAccount(regions=("us-east-1",)) as account:
        account.add_member("other")
        account.set_tag_policy(POLICY)
        fill(account)
        found = {}
        for denied in ((), (LIST,), (DESCRIBE,), (DESCRIBE, LIST)):
            for operation in denied:
                account.deny(operation)
            found[denied] = load(account, references="core")
            account.allow()
        return found


def broken(result: iamframe.Result) -> set[tuple[str, ...]]:
    rows = result[CHECK][["resource_name", "tag_key", "found_key", "problem"]].fillna("")
    return set(rows.itertuples(index=False, name=None))


def checked(inventory: iamframe.Inventory, *more: Any) -> iamframe.Result:
    return iamframe.run_checks(inventory, only=CHECK, policy=[*more, "org"])


def covered(inventory: iamframe.Inventory, *more: Any) -> list[tuple[str, str]]:
    coverage = checked(inventory, *more).coverage
    return list(zip(coverage["status"], coverage["message"], strict=True))


@pytest.mark.parametrize(
    ("denied", "expected", "status", "message"),
    [
        ((), REQUIRED | VALUES, "complete", ""),
        ((LIST,), REQUIRED | VALUES, "complete", ""),
        ((DESCRIBE,), REQUIRED, "partial", "coverage.policy.organization.keys"),
        ((DESCRIBE, LIST), set(), "unknown", "coverage.policy.organization.unread"),
    ],
)
def test_exactly_what_breaks_the_policy_is_found_as_far_as_aws_showed_it(
    loads: Mapping[tuple[str, ...], iamframe.Inventory],
    denied: tuple[str, ...],
    expected: set[tuple[str, ...]],
    status: str,
    message: str,
) -> None:
    inventory = loads[denied]
    assert broken(checked(inventory)) == expected
    assert covered(inventory) == [(status, message)]
    gaps = inventory.gaps[inventory.gaps["reason"] == "denied"]
    assert list(gaps["operation"]) == [one for one in denied if DESCRIBE in denied]
    # No other question depends on it.
    others = [iamframe.run_checks(one).coverage for one in (inventory, loads[()])]
    pd.testing.assert_frame_equal(*others)


def test_the_finding_says_that_profiles_need_a_tag_and_roles_do_not(
    loads: Mapping[tuple[str, ...], iamframe.Inventory],
) -> None:
    details = checked(loads[()]).findings.set_index("resource_name")["detail"]
    assert details["bare"] == (
        "tag 'CostCenter' is missing, but the organization requires it on profiles (not on roles); "
        "tag 'team' is missing, but the organization requires it"
    )
    assert details["value"] == (
        "tag 'CostCenter' is 'prod-7', but the organization allows only 100, Prod*; "
        "tag 'Env' is 'dev', but the organization allows only prod"
    )
    assert (
        details["cased"]
        == "the tag key 'costcenter' is misspelled: the organization's tag policy spells it 'CostCenter'"
    )


def test_the_frame_holds_what_is_demanded_of_each_type(loads: Mapping[tuple[str, ...], iamframe.Inventory]) -> None:
    columns = ["resource_type", "tag_key", "allowed_values", "is_required", "is_enforced"]
    rows = loads[()].tag_policies[columns]
    assert list(rows.itertuples(index=False, name=None)) == [
        ("instance-profile", "CostCenter", '["100","Prod*"]', True, True),
        ("instance-profile", "Env", '["prod"]', False, True),
        # Required of other resources; its spelling counts everywhere.
        ("instance-profile", "Other", "[]", False, False),
        ("instance-profile", "team", "[]", True, False),
        ("role", "CostCenter", '["100","Prod*"]', False, False),
        ("role", "Env", '["prod"]', False, False),
        ("role", "Other", "[]", False, False),
        ("role", "team", "[]", True, False),
    ]
    assert set(loads[DESCRIBE,].tag_policies["allowed_values"].isna()) == {True}


def test_a_load_without_references_asks_nothing_and_says_so(account: PracticeAccount) -> None:
    inventory = load(account)
    assert not {DESCRIBE, LIST} & set(account.counts())
    assert covered(inventory) == [("unknown", "coverage.policy.organization.unread")]
    (reason,) = checked(inventory).coverage["reason"]
    again = 'load the account again with `--references core` (in Python, `references="core"`)'
    assert reason == f"the account's effective tag policy was not requested; {again}"


@pytest.mark.parametrize("members", [0, 1])
def test_an_account_without_a_tag_policy_or_an_organization_has_no_gap(account: PracticeAccount, members: int) -> None:
    for _ in range(members):
        account.add_member("other")
    inventory = load(account, references="core")
    assert account.counts()[DESCRIBE] == 1
    assert account.counts()[LIST] == 0
    assert DESCRIBE not in set(inventory.gaps["operation"])
    assert covered(inventory) == [("unknown", "coverage.policy.organization.none_required")]


def test_a_policy_that_cannot_be_read_is_unknown(account: PracticeAccount) -> None:
    account.add_member("other")
    account.set_tag_policy({"tags": {"a": {"tag_value": "x"}}})
    inventory = load(account, references="core")
    assert "unreadable" in set(inventory.gaps["reason"][inventory.gaps["operation"] == DESCRIBE])
    assert covered(inventory) == [("unknown", "coverage.policy.organization.unread")]


# From files


def described(policy: Any, account: str, kind: str = "TAG_POLICY") -> dict[str, Any]:
    content = policy if isinstance(policy, str) else json.dumps(policy)
    return {"EffectivePolicy": {"PolicyContent": content, "PolicyType": kind, "TargetId": account}}


def required(*keys: str, kind: str = "iam:instance-profile", **more: Any) -> dict[str, Any]:
    return {"RequiredTags": [{"ResourceType": kind, "ReportingTagKeys": list(keys)}], **more}


def of_account(account: str, **documents: Any) -> dict[str, Any]:
    """The files of an account with a profile and a role without tags."""
    bare = profile("web", account=account)
    listed = {
        "id.json": identity(account),
        "p.json": profile_list(bare),
        "get-instance-profile/p.json": {"InstanceProfile": bare | {"Tags": []}},
        "d.json": dump(role_detail("app", account=account)),
    }
    return {f"{account}/{name}": one for name, one in (listed | documents).items()}


ONE, TWO, THREE = "000000000001", "000000000002", "000000000003"
NEEDS = {"tags": {"k": {"tag_key": "K", "report_required_tag_for": ["iam:instance-profile"]}}}


def test_each_account_is_held_to_its_own_policy_and_one_without_to_none(tmp_path: Path) -> None:
    of_roles = {"tags": {"team": {"report_required_tag_for": ["iam:role"]}}}
    documents = of_account(ONE, **{"e.json": described(NEEDS, ONE)}) | of_account(THREE)
    result = checked(load_documents(tmp_path, documents | of_account(TWO, **{"e.json": described(of_roles, TWO)})))
    found = result.findings[["account_id", "resource_type", "detail"]].to_numpy().tolist()
    assert found == [
        [ONE, "instance-profile", "tag 'K' is missing, but the organization requires it on profiles (not on roles)"],
        [TWO, "role", "tag 'team' is missing, but the organization requires it on roles (not on profiles)"],
    ]
    assert result.coverage["status"].tolist() == ["complete", "complete", "unknown"]


NONE = "operation,subject,error_code\norganizations describe-effective-policy,,{}\n"


@pytest.mark.parametrize(
    ("documents", "keys", "status", "known"),
    [
        ({}, "", "unknown", "unread"),
        ({"e.json": described(NEEDS, ONE)}, "K", "complete", ""),
        ({"e.json": described({"tags": {}}, ONE)}, "", "unknown", "none_required"),
        ({"e.json": described(NEEDS, ONE, "BACKUP_POLICY")}, "", "unknown", "unread"),
        ({"e.json": described("{", ONE)}, "", "unknown", "unread"),
        ({"r.json": required("A")}, "A", "partial", "keys"),
        ({"r.json": required("A", kind="s3:bucket")}, "", "partial", "keys"),
        ({"r.json": required("A", NextToken="more")}, "A", "partial", "some_keys"),
        # What a list shows besides the policy is of another day.
        ({"r.json": required("A"), "e.json": described(NEEDS, ONE)}, "K", "complete", ""),
        ({"denied.csv": NONE.format("EffectivePolicyNotFoundException")}, "", "unknown", "none_required"),
        ({"denied.csv": NONE.format("AWSOrganizationsNotInUseException")}, "", "unknown", "none_required"),
        ({"denied.csv": NONE.format("AccessDeniedException")}, "", "unknown", "unread"),
        ({"denied.csv": NONE.format("AccessDeniedException"), "r.json": required("A")}, "A", "partial", "keys"),
    ],
)
def test_files_show_what_the_organization_demands(
    tmp_path: Path, documents: dict[str, Any], keys: str, status: str, known: str
) -> None:
    inventory = load_documents(tmp_path, of_account(ONE, **documents))
    assert "".join(sorted(checked(inventory)[CHECK]["tag_key"])) == keys
    assert covered(inventory) == [(status, f"coverage.policy.organization.{known}" if known else "")]


OLDER = {"tags": {"k": {"tag_key": "K", "tag_value": ["old"]}}}


@pytest.mark.parametrize("other", [OLDER, {"tags": {}}, {}])
def test_two_files_that_show_different_policies_leave_the_policy_unknown(tmp_path: Path, other: dict[str, Any]) -> None:
    files = {"a.json": described(other, ONE), "b.json": described(NEEDS, ONE), "copy.json": described(NEEDS, ONE)}
    inventory = load_documents(tmp_path, of_account(ONE, **files))
    assert len(checked(inventory).findings) == 0
    assert covered(inventory) == [("unknown", "coverage.policy.organization.unread")]
    (reason,) = checked(inventory).coverage["reason"]
    assert reason == (
        "the files show different effective tag policies for the account, so required tags were not checked; keep only "
        "the newest file"
    )
    (gap,) = inventory.gaps["detail"][inventory.gaps["reason"] == "contradicted"]
    assert gap == (
        f"the effective tag policy of {ONE} differs between DescribeEffectivePolicy in {tmp_path}/{ONE}/a.json and "
        f"DescribeEffectivePolicy in {tmp_path}/{ONE}/b.json, so it is unknown; keep only the newer file"
    )


def test_the_same_policy_twice_is_no_contradiction(tmp_path: Path) -> None:
    files = {"a.json": described(NEEDS, ONE), "b.json": described(NEEDS, ONE)}
    assert covered(load_documents(tmp_path, of_account(ONE, **files))) == [("complete", "")]


def test_the_target_of_a_policy_shows_whose_it_is(tmp_path: Path) -> None:
    inventory = load_documents(tmp_path, {"p.json": profile_list(profile("web")), "e.json": described(NEEDS, TWO)})
    assert set(inventory.tag_policies["account_id"]) == {TWO}


@pytest.mark.parametrize("content", ['{"plans": {"daily": {}}}', '{"Tags": {"K": {}}}', "null", "[]"])
def test_a_policy_without_tags_is_not_taken_for_an_empty_tag_policy(content: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        demands_in(EffectivePolicy(content))


@pytest.mark.parametrize("content", ["{}", '{"tags": {}}'])
def test_an_empty_tag_policy_demands_nothing(content: str) -> None:
    assert demands_in(EffectivePolicy(content)) == []


def test_a_file_and_the_organization_count_together_and_the_file_first(tmp_path: Path) -> None:
    tags = tmp_path / "tags.toml"
    tags.write_text('[required_tags]\nK = "*"\nOwner = { on = ["role"] }\n', "utf-8")
    documents = of_account(ONE, **{"e.json": described(NEEDS, ONE)}) | of_account(TWO)
    inventory = load_documents(tmp_path / "in", documents)
    rows = checked(inventory, tags)[CHECK]
    assert sorted(rows[["account_id", "resource_name", "tag_key", "demanded_by"]].to_numpy().tolist()) == [
        [account, name, key, "file"]
        for account in (ONE, TWO)
        for name, key in (("app", "K"), ("app", "Owner"), ("web", "K"))
    ]
    assert covered(inventory, tags) == [("complete", ""), ("partial", "coverage.policy.organization.unread")]


def test_the_page_lists_what_the_organization_demands(loads: Mapping[tuple[str, ...], iamframe.Inventory]) -> None:
    said = re.compile("<p>(Tags that .*|各アカウントの有効なタグポリシー.*)</p>")
    result = checked(loads[()])
    # Of `Other`, the policy says only how it is spelled.
    tags = "CostCenter (100, Prod*), required on each {0}; Env (prod); Other; team, required on each {0} and role."
    (told,) = said.findall(render_page(result))
    assert told == "Tags that the accounts' effective tag policies demand: " + tags.format("instance-profile")
    (told,) = said.findall(render_page(result, lang="ja"))
    assert told.startswith(
        "各アカウントの有効なタグポリシーが求めるタグ: CostCenter (100, Prod*) (インスタンスプロファイルに必須)"
    )
    # Without the values, the keys are still known. The policy counts only if it is asked for.
    (keys,) = said.findall(render_page(checked(loads[DESCRIBE,])))
    assert keys.endswith(
        "demand: CostCenter, required on each instance-profile; team, required on each instance-profile and role."
    )
    assert said.findall(render_page(iamframe.run_checks(loads[()], only=CHECK))) == []


# The frame, saved and shared


def seal(folder: Path, said: dict[str, Any]) -> None:
    text = json.dumps(said | {"sha256": ""}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    (folder / "manifest.json").write_text(json.dumps(said | {"sha256": hashlib.sha256(text.encode()).hexdigest()}))


def test_the_frame_is_saved_and_a_snapshot_of_an_older_version_was_not_asked(
    loads: Mapping[tuple[str, ...], iamframe.Inventory], tmp_path: Path
) -> None:
    loads[()].save(tmp_path / "new")
    opened = iamframe.open_snapshot(tmp_path / "new")
    pd.testing.assert_frame_equal(opened.tag_policies, loads[()].tag_policies)
    assert broken(checked(opened)) == REQUIRED | VALUES
    # As a version saved it that knew no such frame and made no such request.
    calls = opened.calls[opened.calls["operation"] != DESCRIBE]
    iamframe.Inventory(**opened.frames | {"calls": calls}, sources=opened.sources).save(tmp_path / "old")
    shutil.rmtree(tmp_path / "old" / "tag_policies")
    said = json.loads((tmp_path / "old" / "manifest.json").read_text("utf-8"))
    del said["frames"]["tag_policies"]
    seal(tmp_path / "old", said)
    older = iamframe.open_snapshot(tmp_path / "old")
    assert older.tag_policies.empty
    assert covered(older) == [("unknown", "coverage.policy.organization.unread")]


def test_a_report_has_the_frame_and_a_masked_one_hides_ids_in_it_as_in_tags(tmp_path: Path) -> None:
    # The id of a policy of an organization, which is replaced only where values stand, not in names.
    secret = "p-95abcd12"
    policy = {"tags": {"owner": {"tag_key": "Owner", "tag_value": [secret, f"{secret} *"]}}}
    documents = of_account(ONE, **{"e.json": described(policy, ONE)})
    documents[f"{ONE}/get-instance-profile/p.json"]["InstanceProfile"]["Tags"] = tag_list({"Owner": secret})
    result = checked(load_documents(tmp_path / "in", documents))
    shown = {}
    for name, mask in (("plain", False), ("masked", True)):
        iamframe.write_report(result, tmp_path / name, mask=mask)
        with (tmp_path / name / "tag_policies.csv").open(encoding="utf-8-sig", newline="") as file:
            (profiles, _) = csv.DictReader(file)
        tags = pd.read_csv(tmp_path / name / "tags.csv", dtype=str)
        shown[name] = (profiles["account_id"], json.loads(profiles["allowed_values"]), tags["tag_value"][0])
    assert shown["plain"] == (ONE, [secret, f"{secret} *"], secret)
    account, values, value = shown["masked"]
    assert account != ONE
    assert (values[0], values[1]) == (value, f"{value} *")
    assert secret not in value


# Plans and commands


@pytest.mark.parametrize(("value", "is_planned"), [("100", True), ("9", False)])
def test_a_plan_copies_only_what_the_organization_allows(
    account: PracticeAccount, value: str, *, is_planned: bool
) -> None:
    account.add_member("other")
    account.set_tag_policy(POLICY)
    add(account, "web", "web", team="a")
    account.session().client("iam").tag_role(RoleName="web", Tags=tag_list({"CostCenter": value, "team": "a"}))
    plan = iamframe.plan(checked(load(account, references="all")), min_age="0")
    assert (set(plan.steps["action"]) == {"check", "tag"}) == is_planned
    left = plan.not_planned[plan.not_planned["resource_type"] == "instance-profile"]
    assert left["message"].tolist() == ([] if is_planned else ["plan.tags.no_value"])


def test_a_suggested_command_copies_no_tag_that_the_tag_policy_of_the_account_does_not_allow(tmp_path: Path) -> None:
    documents: dict[str, Any] = {}
    for account, key in ((ONE, "K"), (TWO, "other")):
        bare = profile("web", nested_role("app", account=account), account=account)
        files = {
            "p.json": profile_list(bare),
            "get-instance-profile/p.json": {"InstanceProfile": bare | {"Tags": []}},
            "d.json": dump(role_detail("app", [bare], {"k": "v"}, account=account)),
            "e.json": described({"tags": {"k": {"tag_key": key}}}, account),
        }
        documents |= of_account(account, **files)
    result = iamframe.run_checks(load_documents(tmp_path, documents), only=["untagged_profiles"], policy="org")
    assert dict(zip(result.findings["account_id"], result.findings["next_step"], strict=True)) == {
        ONE: "aws iam list-instance-profile-tags --instance-profile-name=web",
        TWO: """aws iam tag-instance-profile --instance-profile-name=web --tags='[{"Key":"k","Value":"v"}]'""",
    }


@pytest.mark.parametrize("command", [["check"], ["plan"], ["report", "--out", "out"], ["explain", "web"]])
def test_on_the_command_line_an_unread_policy_is_one_sentence(tmp_path: Path, command: list[str]) -> None:
    load_documents(tmp_path / "in", of_account(ONE))
    (tmp_path / "tags.toml").write_text('[required_tags]\nOwner = "*"\n', "utf-8")
    told = [
        run(tmp_path, command[0], *command[1:], "in", *options)
        for options in (["--policy", "tags.toml"], ["--policy", "tags.toml", "--policy", "org"])
    ]
    said = [one.stdout if command[0] == "explain" else one.stderr for one in told]
    assert [one.count("effective tag policy was not collected") for one in said] == [0, 1]
