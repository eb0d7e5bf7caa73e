"""One role or profile: found by whatever names it, told side by side, and what is not known told as that."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest
from botocore.exceptions import ClientError
from builders import (
    ACCOUNT,
    EC2,
    dump,
    event,
    identity,
    load,
    nested_role,
    profile,
    profile_list,
    role_detail,
    tag_list,
    trust,
)
from click.testing import CliRunner
from terraform import state_of_profile

import iamframe
from iamframe.analysis.explain import Explanation, explain, nearest
from iamframe.analysis.explain_pair import CONFLICT, SECTIONS
from iamframe.checks import CHECKS
from iamframe.checks.registry import About
from iamframe.inventory.inventory import Inventory
from iamframe.practice import PracticeAccount
from iamframe.ui.cli import app

OTHER = "000000000002"
REGION = "eu-west-1"
LONG_ID = "AIPAWEBWEBWEBWEBWEB2"
CLOUD9 = profile("AWSCloud9SSMInstanceProfile", nested_role("AWSCloud9SSMAccessRole", "/service-role/"), "/cloud9/")
TEXTS = Path(__file__).with_name("explanations.txt")


def arn(name: str, account: str = ACCOUNT) -> str:
    """`profile/web` stands for the ARN of an instance profile, `role/web` for that of a role."""
    return f"arn:aws:iam::{account}:{name.replace('profile/', 'instance-profile/')}"


WEB_ARN = arn("profile/web")


def account(folder: Path, *profiles: dict[str, Any], roles: tuple[dict[str, Any], ...] = (), **more: Any) -> Inventory:
    """One account: its profiles, and an account dump of the roles given."""
    documents = {"identity.json": identity(), "profiles.json": profile_list(*profiles)}
    return load(folder, documents | ({"dump.json": dump(*roles)} if roles else {}) | more)


def told(explanation: Explanation, section: str) -> list[dict[str, Any]]:
    """The fields of a section: field, profile, role, the message of the note and its facts, those that there are."""
    frame = explanation.to_frame()
    rows = frame.loc[frame["section"] == section, ["field", "profile", "role", "message", "facts"]].to_dict("records")
    there = [{str(name): value for name, value in row.items() if pd.notna(value)} for row in rows]
    for row in there:
        facts = json.loads(row.pop("facts", "{}"))
        row.update({"message": row["message"].removeprefix("explain."), **facts} if "message" in row else {})
    return there


def field(explanation: Explanation, section: str, name: str) -> dict[str, Any]:
    """The one field of that name in a section, without the name."""
    (one,) = [row for row in told(explanation, section) if row["field"] == name]
    return {key: value for key, value in one.items() if key != "field"}


def names(explanation: Explanation, section: str) -> list[str]:
    return [row["field"] for row in told(explanation, section)]


def pairs(explanation: Explanation) -> list[tuple[str, str]]:
    frame = explanation.to_frame().fillna("")
    frame = frame[frame["section"].isin(SECTIONS)]
    return list(dict.fromkeys(zip(frame["profile_arn"], frame["role_arn"], strict=True)))


def states(row: dict[str, Any]) -> list[tuple[str, ...]]:
    """The messages in a note, among its parts and after them, with their facts: `("uses.gone", ACCOUNT)`."""
    first, *more = row.get("messages", [row])
    each = [*(part for part in first["parts"] if isinstance(part, dict)), *more]
    return [(one["message"].removeprefix("explain."), *map(str, list(one.values())[1:])) for one in each]


def test_if_files_contradict_each_other_about_a_link_both_sides_are_unknown_and_say_why(tmp_path: Path) -> None:
    by_hand = {"InstanceProfile": profile("web", nested_role("other")) | {"Tags": []}}
    inventory = account(tmp_path, profile("web", nested_role("app")), **{"get-instance-profile-web.json": by_hand})
    of_profile = field(explain(inventory, WEB_ARN), "link", "role")
    assert (of_profile["message"], of_profile["one"], of_profile["other"]) == (
        "gaps.contradicted.holds", [arn("role/other")], [arn("role/app")]
    )  # fmt: skip
    of_role = field(explain(inventory, arn("role/app")), "link", "instance profile")
    assert of_role["message"] == "gaps.contradicted.links"
    deletion = field(explain(inventory, arn("role/app")), "deleting", "deleting the role")
    assert deletion["message"] == "delete.role_not_read"


def test_that_nobody_has_tags_is_no_tag_with_the_value_none(tmp_path: Path) -> None:
    tags = {"get-instance-profile-web.json": {"InstanceProfile": profile("web", nested_role("web")) | {"Tags": []}}}
    inventory = account(tmp_path, profile("web", nested_role("web")), roles=(role_detail("web", tags={}),), **tags)
    lines = [" ".join(line.split()) for line in str(explain(inventory, WEB_ARN)).splitlines()]
    assert lines[lines.index("tags") + 1] == "all tags: none"


def test_a_name_that_people_take_from_a_policy_of_aws_is_explained(tmp_path: Path) -> None:
    core, web = nested_role("AmazonSSMManagedInstanceCore"), nested_role("web")
    result = iamframe.run_checks(account(tmp_path, profile("ssmManagedInstanceCore", core), profile("web", web)))
    row = field(explain(result, "SSMManagedInstanceCore"), "identity", "about the name")
    assert row == {
        "profile": "ssmManagedInstanceCore",
        "role": "AmazonSSMManagedInstanceCore",
        "message": "named_after",
        "policy": "AmazonSSMManagedInstanceCore",
        "service": "AWS Systems Manager",
    }
    # No AWS service has created it.
    assert "created by" not in names(explain(result, "SSMManagedInstanceCore"), "identity")
    assert "about the name" not in names(explain(result, "web"), "identity")


# What is meant


@pytest.fixture(scope="module")
def cloud9(tmp_path_factory: pytest.TempPathFactory) -> iamframe.Result:
    """An account with Cloud9's pair and another."""
    folder = tmp_path_factory.mktemp("cloud9")
    return iamframe.run_checks(account(folder, CLOUD9, profile("other", nested_role("other"))))


@pytest.mark.parametrize(
    "name",
    [
        "AWSCloud9SSMInstanceProfile",
        "awscloud9ssminstanceprofile",
        "cloud9/AWSCloud9SSMInstanceProfile",
        "/cloud9/AWSCloud9SSMInstanceProfile",
        "instance-profile/cloud9/AWSCloud9SSMInstanceProfile",
        f"arn:aws:iam::{ACCOUNT}:instance-profile/cloud9/AWSCloud9SSMInstanceProfile",
        f"arn:aws:iam::{ACCOUNT}:instance-profile/AWSCloud9SSMInstanceProfile",
        "AIPAAWSCLOUD9SSMINSTANCEPROFILE",
        "AWSCloud9SSMAccessRole",
        "role/service-role/AWSCloud9SSMAccessRole",
        "service-role/awscloud9ssmaccessrole",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSCloud9SSMAccessRole/i-0abcdef",
        "aroaAWSCLOUD9SSMACCESSROLE",
        " AWSCloud9SSMAccessRole ",
    ],
)
def test_a_pair_is_found_by_whatever_names_one_side_of_it(cloud9: iamframe.Result, name: str) -> None:
    pair = arn("profile/cloud9/AWSCloud9SSMInstanceProfile"), arn("role/service-role/AWSCloud9SSMAccessRole")
    assert pairs(explain(cloud9, name)) == [pair]


@pytest.mark.parametrize(
    "name",
    [
        "service-role/AWSCloud9SSMInstanceProfile",
        "role/AWSCloud9SSMInstanceProfile",
        "arn:aws:iam::000000000002:role/AWSCloud9SSMAccessRole",
        f"arn:aws-cn:iam::{ACCOUNT}:role/AWSCloud9SSMAccessRole",
        f"arn:aws:iam::{ACCOUNT}:role/other/AWSCloud9SSMAccessRole",
        f"arn:aws:iam::{ACCOUNT}:instance-profile/cloud9/more/AWSCloud9SSMInstanceProfile",
        f"arn:aws:iam::{ACCOUNT}:user/AWSCloud9SSMAccessRole",
        "",
    ],
)
def test_another_path_type_or_account_is_another_resource(cloud9: iamframe.Result, name: str) -> None:
    assert not explain(cloud9, name).found


@pytest.mark.parametrize(
    ("asked", "notice"),
    [
        (arn("profile/AWSCloud9SSMInstanceProfile"), True),
        (arn("profile/Cloud9/awscloud9ssmInstanceProfile"), False),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSCloud9SSMAccessRole/i-0abcdef", False),
        ("AWSCloud9SSMInstanceProfile", False),
    ],
)
def test_an_arn_without_its_path_says_first_which_one_is_shown(
    cloud9: iamframe.Result, asked: str, notice: bool
) -> None:
    shown = arn("profile/cloud9/AWSCloud9SSMInstanceProfile")
    said = {"field": "another ARN", "message": "asked", "asked": asked, "arn": shown}
    assert told(explain(cloud9, asked), "searched for") == [said] * notice
    assert (explain(cloud9, asked).to_frame()["section"].iloc[0] == "searched for") == notice


@pytest.mark.parametrize(
    ("asked", "side"),
    [
        (f"arn:aws-cn:iam::{ACCOUNT}:role/web", "role"),
        (arn("profile/x/web"), "profile"),
        (arn("role/web", "999999999999"), "role"),
        (arn("role/wbe"), "role"),
    ],
)
def test_an_arn_that_is_not_there_has_the_nearest_with_their_arns(tmp_path: Path, asked: str, side: str) -> None:
    launch = {"LaunchConfigurations": [{"LaunchConfigurationName": "lc", "IamInstanceProfile": "web"}]}
    explained = explain(account(tmp_path, profile("web", nested_role("web")), **{"lc.json": launch}), asked)
    assert not explained.found
    assert told(explained, "nearest names")[0] == {"field": "web", side: arn(f"{side}/web")}
    # What names the profile of that name, in that account, names neither a role nor another account's.
    assert names(explained, "referenced by") == ["launch-configuration lc"] * (side == "profile")


@pytest.mark.parametrize("name", [None, 7, b"web"])
def test_a_name_that_is_no_text_is_refused_in_one_sentence(sample: Inventory, name: Any) -> None:
    with pytest.raises(TypeError, match=r"^explain takes the name, ARN or unique id of a role or profile as text"):
        explain(sample, name)


def test_a_name_is_looked_for_in_each_account(tmp_path: Path) -> None:
    documents = {
        f"{one}/profiles.json": profile_list(profile("web", nested_role("web", account=one), account=one))
        for one in (ACCOUNT, OTHER)
    }
    explained = explain(load(tmp_path, documents), "web")
    assert [role for _, role in pairs(explained)] == [arn("role/web", one) for one in (ACCOUNT, OTHER)]


def test_a_role_that_no_source_shows_is_found_by_the_profile_that_names_it(tmp_path: Path) -> None:
    explained = explain(load(tmp_path, {"terraform.tfstate": state_of_profile("web", "elsewhere")}), "elsewhere")
    assert pairs(explained) == [(WEB_ARN, "name:elsewhere")]
    said = {"profile": WEB_ARN, "role": "not collected", "message": "role_not_shown"}
    assert field(explained, "identity", "ARN") == said


def test_a_name_of_a_role_and_of_another_roles_profile_shows_both_and_says_so(tmp_path: Path) -> None:
    roles = (role_detail("web"), role_detail("other", [profile("web")]))
    inventory = account(tmp_path, profile("web", nested_role("other")), roles=roles)
    explained = explain(inventory, "web")
    assert pairs(explained) == [("", arn("role/web")), (WEB_ARN, arn("role/other"))]
    said = {"profile": WEB_ARN, "role": arn("role/web"), "message": "namesakes", "named": "web", "roles": ["other"]}
    assert field(explained, "name", "web") == said
    # The role of the profile's name is looked at even where nobody asks for it.
    assert all("crossed_names" in names(explain(inventory, name), "findings") for name in ("web", "other"))


def test_a_name_with_a_slip_has_the_nearest_ones(tmp_path: Path) -> None:
    there = ("web", "batch", "web-server", "payroll", "etl")
    inventory = account(tmp_path, *(profile(name, nested_role(name)) for name in there))
    slips = {"bacth": "batch", "wbe": "web", "wb": "web", "web-sevrer": "web-server", "BACTH": "batch", "qqq": ""}
    for typed, meant in slips.items():
        assert told(explain(inventory, typed), "nearest names")[:1] == [{"field": meant}] * bool(meant), typed


def test_the_nearest_of_very_many_names_is_found() -> None:
    many = pd.Series([f"app-{number:05}-server" for number in range(5000)], dtype="str")
    for typed in ("app-04321-srever", "ap-04321-server", "App-04321-servers"):
        assert nearest(typed, [many])[0] == "app-04321-server"


def test_nothing_found_says_what_was_looked_through_and_what_was_not_readable(tmp_path: Path) -> None:
    denied = "operation,subject,error_code\nListRoles,*,AccessDenied\nGetRole,webserver,AccessDenied\n"
    inventory = account(tmp_path, profile("web-server", nested_role("web-server")), **{"denied.csv": denied})
    explained = explain(inventory, "webserver")
    assert not explained.found
    counts = {"accounts": 1, "roles": 1, "profiles": 1, "references": 0}
    assert field(explained, "not found", "webserver") == {"message": "not_found", **counts}
    assert {"GetRole", "ListRoles"} <= {*names(explained, "not collected")}
    assert field(explained, "not collected", "GetRole")["message"] == "gaps.refused_earlier"


@pytest.mark.parametrize("turn", [str, str.lower])
@pytest.mark.parametrize(
    ("gone", "by", "said"),
    [
        (
            "retired-app",
            "launch-template lt-0abcdef000000000c",
            {"message": "named", "by_id": False, "region": "ap-northeast-1", "named": "retired-app"},
        ),
        (
            "AIPAEXAMPLEGONE00001",
            "instance i-0abcdef0000000009",
            {"by_id": True, "region": "ap-northeast-1", "named": arn("profile/monitoring", "111122223333")},
        ),
        (
            "AROAEXAMPLEDELETED01",
            "role partner-access",
            {"value": "the trust policy contains the AWS principal AROAEXAMPLEDELETED01"},
        ),
    ],
)
def test_what_is_gone_is_told_by_what_still_names_it(
    sample: Inventory, turn: Any, gone: str, by: str, said: dict[str, Any]
) -> None:
    explained = explain(sample, turn(gone))
    assert not explained.found
    assert names(explained, "referenced by") == [by]
    assert field(explained, "referenced by", by).items() >= said.items()
    assert "no reference" not in str(explained)


def test_all_that_still_names_what_is_gone_is_told(tmp_path: Path) -> None:
    every = [f"lc-{number:02}" for number in range(25)]
    named = [{"LaunchConfigurationName": one, "IamInstanceProfile": "gone"} for one in every]
    explained = explain(account(tmp_path, **{"lc.json": {"LaunchConfigurations": named}}), "gone")
    assert names(explained, "referenced by") == [f"launch-configuration {one}" for one in every]


# The two sides


def test_an_extra_segment_is_seen_at_once(tmp_path: Path) -> None:
    explained = explain(account(tmp_path, profile("web", nested_role("web", "/team/"), "/team/blue/")), "web")
    assert field(explained, "identity", "partition") == {"profile": "aws", "role": "aws"}
    assert field(explained, "identity", "segment 1 of the path") == {"profile": "team", "role": "team"}
    extra = {"profile": "blue", "message": "only_side", "side": "profile"}
    assert field(explained, "identity", "segment 2 of the path") == extra


def test_tags_stand_side_by_side_with_what_differs(tmp_path: Path) -> None:
    tags = {"Owner": "ops", "Stage": "prod", "cost": "1", "aws:made": "x", "same": "s"}
    own = {"Tags": tag_list({"Stage": "test", "Cost": "1", "Extra": "", "same": "s"})}
    roles = (role_detail("web", [profile("web")], tags),)
    files = {"instance-profile-tags/web.json": own}
    explained = explain(account(tmp_path, profile("web", nested_role("web")), roles=roles, **files), "web")
    rows = [(r["field"], r.get("profile"), r.get("role"), r.get("kind"), r.get("key")) for r in told(explained, "tags")]
    assert rows == [
        ("Cost", "1", None, "key_case_on_role", "cost"),
        ("Extra", "", None, "missing_on_role", None),
        ("Owner", None, "ops", "missing_on_profile", None),
        ("Stage", "test", "prod", "value", None),
        ("aws:made", None, "x", "reserved", None),
        ("cost", None, "1", "key_case_on_profile", "Cost"),
        ("same", "s", "s", None, None),
    ]


def test_what_was_not_read_is_told_as_not_read(tmp_path: Path) -> None:
    explained = explain(account(tmp_path, profile("web", nested_role("web"))), "web")
    unread = {"field": "tags", "profile": "not collected", "role": "not collected", "message": "no_listing"}
    assert told(explained, "tags") == [unread]
    assert field(explained, "identity", "last use") == {"role": "not collected"}
    assert field(explained, "incomplete checks", "untagged_profiles")["status"] == "unknown"
    assert told(explained, "findings") == [{"field": "unknown", "message": "of_what_was_checked"}]
    assert "none" not in str(explained)


def test_an_empty_tag_value_is_printed_and_only_a_missing_tag_is_not(tmp_path: Path) -> None:
    roles = (role_detail("web", [profile("web")], {"Note": "", "Team": "", "Own": "x"}),)
    tags = {"instance-profile-tags/web.json": {"Tags": tag_list({"Note": "", "Own": ""})}}
    inventory = account(tmp_path, profile("web", nested_role("web")), roles=roles, **tags)
    lines = [" ".join(line.split()) for line in str(explain(inventory, "web")).splitlines()]
    start = lines.index("tags")
    assert lines[start + 1 : start + 4] == [
        'Note: "" (on the profile and the role)',
        'Own: profile = "" | role = "x"; different value',
        'Team: "" (only the role has this tag)',
    ]


def test_tags_that_were_refused_say_so_and_what_would_read_them(tmp_path: Path) -> None:
    denied = "operation,subject,error_code\nListRoleTags,web,AccessDenied\nListInstanceProfileTags,own,AccessDenied\n"
    explained = explain(account(tmp_path, profile("own", nested_role("web")), **{"denied.csv": denied}), "web")
    refused = [(one["operation"], one["subject"]) for one in field(explained, "tags", "tags")["messages"]]
    assert refused == [("ListInstanceProfileTags", "own"), ("ListRoleTags", "web")]
    assert [(row["field"], row["value"]) for row in told(explained, "next")[:2]] == [
        ("see the profile's tags", "aws iam list-instance-profile-tags --instance-profile-name=own"),
        ("see the role's tags", "aws iam list-role-tags --role-name=web"),
    ]


@pytest.mark.parametrize(
    ("profiles", "roles", "link", "deleting"),
    [
        ([profile("web")], (), ("role", "no_role"), {"deleting the profile": "delete.profile"}),
        (
            [profile("other")],
            ("web",),
            ("instance profile", "in_no_profile"),
            {"deleting the role": "delete.role"},
        ),
        (
            None,
            ("web",),
            ("instance profile", "profiles_not_read"),
            {"deleting the role": "delete.role_not_read"},
        ),
    ],
)
def test_what_stands_alone_says_so_where_that_is_known(
    tmp_path: Path,
    profiles: list[dict[str, Any]] | None,
    roles: tuple[str, ...],
    link: tuple[str, str],
    deleting: dict[str, str],
) -> None:
    if profiles is None:
        inventory = load(tmp_path, {"roles.json": {"Roles": [nested_role(name) for name in roles]}})
    else:
        inventory = account(tmp_path, *profiles, roles=tuple(map(role_detail, roles)))
    explained = explain(inventory, "web")
    assert told(explained, "link") == [dict(zip(("field", "message"), link, strict=True))]
    assert {row["field"]: row["message"] for row in told(explained, "deleting")} == deleting
    assert ("empty_profiles" in names(explained, "findings")) == (link[1] == "no_role")


def test_who_may_assume_the_role_is_told_principal_by_principal(tmp_path: Path) -> None:
    denied = {
        "Effect": "Deny",
        "Principal": {"AWS": "AROAGONE"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = {"Statement": [*trust("ec2.amazonaws.com", "eks.amazonaws.com")["Statement"], denied]}
    explained = explain(account(tmp_path, profile("web", nested_role("web", policy=policy))), "web")
    allow = {"field": "Service principal", "message": "statement", "effect": "Allow", "actions": "sts:AssumeRole"}
    assert told(explained, "trust") == [
        {"field": "can EC2 assume the role", "role": "yes"},
        allow | {"role": "ec2.amazonaws.com", "condition": None},
        allow | {"role": "eks.amazonaws.com", "condition": None},
        {"field": "AWS principal", "role": "AROAGONE", "message": "statement", "effect": "Deny"}
        | {"actions": "sts:AssumeRole, sts:TagSession", "condition": '{"Bool":{"aws:SecureTransport":"false"}}'},
    ]


def test_it_tells_which_consoles_and_apis_show_and_change_the_tags_of_each_side(tmp_path: Path) -> None:
    explained = explain(account(tmp_path, profile("web", nested_role("web"))), "web")
    for operation in ("read tags", "change tags"):
        shown = field(explained, "consoles and tools for tags", f"IAM console: {operation}")
        assert shown == {"profile": "no", "role": "yes"}
    editor = field(explained, "consoles and tools for tags", "Tag Editor: read tags")
    assert (editor["profile"], editor["role"], "us-east-1" in editor["value"]) == ("depends", "no", True)


# Findings, and what to do


def test_a_finding_of_the_roles_other_profile_is_told_with_that_one_alone(tmp_path: Path) -> None:
    """The role is in two profiles: what differs with each is told where the profile is, or names it."""
    both = [profile("one", nested_role("web")), profile("two", nested_role("web"))]
    tags = {
        f"instance-profile-tags/{n}.json": {"Tags": tag_list({"Owner": v})} for n, v in (("one", "a"), ("two", "b"))
    }
    inventory = account(tmp_path, *both, roles=(role_detail("web", both, {"Owner": "ops"}),), **tags)
    frame = explain(inventory, "web").to_frame()
    rows = frame[(frame["section"] == "findings") & (frame["field"] == "tag_differences")]
    assert rows["profile_arn"].str[-3:].tolist() == ["one", "two"]
    assert rows["note"].str.extract("and '(.)' on")[0].tolist() == ["a", "b"]
    assert rows["profile"].isna().all()
    alone = [row for row in told(explain(inventory, "one"), "findings") if row["field"] == "tag_differences"]
    assert [row for row in alone if "profile" in row or "role" in row] == []
    assert {(row["resource"], "and 'b'" in row["detail"]) for row in alone} == {("one", False), ("two", True)}


def test_checks_that_do_not_concern_what_is_told_are_not_said_to_be_missing(tmp_path: Path) -> None:
    lone = explain(account(tmp_path, profile("other", nested_role("db")), roles=(role_detail("web"),)), "web")
    of_profiles = {"unreferenced_profiles", "stale_references", "untagged_profiles", "tag_differences"}
    assert not {*names(lone, "incomplete checks")} & of_profiles
    unread = explain(load(tmp_path / "roles", {"roles.json": {"Roles": [nested_role("web")]}}), "web")
    assert "tag_differences" in names(unread, "incomplete checks")
    empty = explain(account(tmp_path / "empty", profile("web")), "web")
    assert not {*names(empty, "incomplete checks")} & {"untagged_roles", "deleted_trust_principals"}
    assert {one.about for one in CHECKS.values()} == set(get_args(About))


@pytest.fixture(scope="module")
def sample() -> Inventory:
    return iamframe.load_sample()


@pytest.fixture(scope="module")
def result(sample: Inventory) -> iamframe.Result:
    return iamframe.run_checks(sample)


def test_its_findings_are_those_of_the_whole_inventory_and_all_of_it_is_what_a_result_of_that_tells(
    sample: Inventory, result: iamframe.Result
) -> None:
    found = result.findings
    # Each check has a finding among these resources: those with the most findings come first.
    of_both = found[found["resource_type"].isin(["role", "instance-profile"])]
    number = of_both.groupby("resource_arn")["check"].transform("nunique")
    for one in of_both.loc[number.sort_values(ascending=False).index].drop_duplicates("check")["resource_arn"].unique():
        explained = explain(sample, one)
        frame = explained.to_frame()
        pd.testing.assert_frame_equal(explain(result, one).to_frame(), frame)
        rows = [row for row in told(explained, "findings") if row["field"] not in ("none", "unknown")]
        shown = {(row["field"], row["detail"]) for row in rows}
        sides = {*frame["profile_arn"].dropna(), *frame["role_arn"].dropna()}
        mine = found[found["resource_arn"].isin(sides) | found["related_arn"].isin(sides)]
        assert shown == set(zip(mine["check"], mine["detail"], strict=True))


@pytest.mark.parametrize(
    ("consumers", "use"),
    [
        ([("i-1", "running")], {"message": "explain.use.runs", "count": 1, "names": ["i-1"]}),
        ([("i-1", "stopped")], {"message": "explain.use.has", "count": 1, "names": ["i-1"]}),
        ([("i-1", "terminated")], {"message": "explain.use_unknown"}),
        ([(f"i-{n}", "running") for n in range(5)], {"count": 5, "names": [f"i-{n}" for n in range(5)]}),
        (None, {"message": "explain.use.names", "names": ["launch-configuration lc"]}),
    ],
)
def test_what_takes_something_away_stands_last_and_is_not_offered_where_the_profile_is_used(
    tmp_path: Path, consumers: list[tuple[str, str]] | None, use: dict[str, Any]
) -> None:
    launch = {"LaunchConfigurations": [{"LaunchConfigurationName": "lc", "IamInstanceProfile": "web"}]}
    running = instances(*(instance(one, WEB_ARN, state=state) for one, state in consumers or []))
    used = {"eu-west-1/used.json": running if consumers else launch, "instance-profile-tags/web.json": {"Tags": []}}
    web = profile("web", nested_role("web", RoleId=LONG_ID), InstanceProfileId=LONG_ID)
    *steps, out, deleted = told(explain(account(tmp_path, web, **used), "web"), "next")
    assert (out["field"], deleted["field"]) == ("take the role out of the profile", "delete the profile")
    assert all("get-" in row["value"] or "list-" in row["value"] for row in steps)
    assert [row["use"].items() >= use.items() for row in (out, deleted)] == [True, True]


def test_a_profile_that_something_names_with_another_path_is_not_offered_for_deletion(tmp_path: Path) -> None:
    """AWS does not say whether it takes such an ARN for the profile of that name."""
    templates = versions("lt-1", None)
    data = {"IamInstanceProfile": {"Arn": arn("profile/old/web")}}
    templates["LaunchTemplateVersions"][0]["LaunchTemplateData"] = data
    explained = explain(account(tmp_path, profile("web"), **{"versions.json": templates}), "web")
    said = {"message": "other_path", "named": arn("profile/old/web")}
    assert field(explained, "used by", "launch-template lt-1") == said
    assert names(explained, "next")[-1:] == ["delete the profile"]
    assert {row["message"] for row in told(explained, "next")[-1:]} == {"not_offered"}


@pytest.mark.parametrize(
    ("name", "because"),
    [
        (
            "AWSRDSCustomSQLServerInstanceProfile",
            "both the profile and its role have names or paths that RDS Custom gives",
        ),
        ("legacy-ftp", None),
    ],
)
def test_tags_are_suggested_only_where_a_plan_would_copy_them(
    sample: Inventory, name: str, because: str | None
) -> None:
    lines = [" ".join(line.split()) for line in str(explain(sample, name)).splitlines()]
    assert any("tag-instance-profile" in line for line in lines) == (because is None)
    if because:
        text = " ".join(lines[lines.index("warning") :])
        assert f"do not copy the role's tags to the profile: {because}" in text


def test_fields_that_say_the_same_are_one_line_of_text_and_each_a_row(sample: Inventory) -> None:
    explained = explain(sample, "old-batch")
    lines = [" ".join(line.split()) for line in str(explained).splitlines()]
    assert sum("do not delete the profile" in line for line in lines) == 1
    (at,) = (at for at, line in enumerate(lines) if line == "warning")
    assert lines[at + 1].startswith("do not delete the profile: it is unknown whether something uses")
    assert names(explained, "next") == ["see the profile", "delete the profile"]
    incomplete = names(explained, "incomplete checks")
    assert (len(incomplete), sum(line.startswith(", ".join(incomplete)) for line in lines)) == (3, 1)
    assert "(regions: " not in str(explained)


@pytest.mark.parametrize(("name", "deletes"), [("web", True), ("Web", True), ("web-profile", False), ("we", False)])
def test_it_says_whether_the_iam_console_deletes_the_profile_along_with_its_role(
    tmp_path: Path, name: str, deletes: bool
) -> None:
    """It does where both have the same name; the AWS CLI and the API do not (IAM User Guide)."""
    roles = (role_detail("web", [profile(name)]),)
    explained = explain(account(tmp_path, profile(name, nested_role("web")), roles=roles), name)
    said = {"message": "delete.console", "both": deletes, "profile": name}
    assert field(explained, "deleting", "in the IAM console") == said


def test_what_the_iam_console_deletes_is_said_of_pairs_alone(tmp_path: Path) -> None:
    for one in (account(tmp_path / "empty", profile("web")), account(tmp_path / "alone", roles=(role_detail("web"),))):
        assert "in the IAM console" not in names(explain(one, "web"), "deleting")


@pytest.fixture(scope="module")
def practice() -> Iterator[PracticeAccount]:
    with PracticeAccount() as one:
        iam = one.session().client("iam")
        for name in ("held", "free", "gone"):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust(EC2)))
        for name in ("held", "empty"):
            iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName="held", RoleName="held")
        yield one


@pytest.fixture(scope="module")
def told_before(practice: PracticeAccount) -> dict[str, Explanation]:
    """What is told of each of them before anything is deleted."""
    inventory = iamframe.load_account(practice.session(region_name="us-east-1"), regions=["us-east-1"])
    return {name: explain(inventory, name) for name in ("held", "empty", "free")}


@pytest.mark.parametrize(
    ("name", "resource", "delete"),
    [
        ("held", "deleting the profile", "delete_instance_profile"),
        ("held", "deleting the role", "delete_role"),
        ("empty", "deleting the profile", "delete_instance_profile"),
        ("free", "deleting the role", "delete_role"),
    ],
)
def test_deleting_is_answered_as_it_says(
    practice: PracticeAccount, told_before: dict[str, Explanation], name: str, resource: str, delete: str
) -> None:
    answer = field(told_before[name], "deleting", resource)
    parameter = "RoleName" if delete == "delete_role" else "InstanceProfileName"
    refusal = None
    try:
        getattr(practice.session(region_name="us-east-1").client("iam"), delete)(**{parameter: name})
    except ClientError as error:
        refusal = f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    assert (answer["message"] == "delete.refused") == bool(refusal)
    assert refusal in (None, answer["answer"], CONFLICT)


def test_a_profile_that_an_instance_names_can_be_deleted(practice: PracticeAccount) -> None:
    session = practice.session(region_name="us-east-1")
    iam, ec2 = session.client("iam"), session.client("ec2")
    iam.create_instance_profile(InstanceProfileName="used")
    iam.add_role_to_instance_profile(InstanceProfileName="used", RoleName="gone")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    run = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, IamInstanceProfile={"Name": "used"})
    iam.remove_role_from_instance_profile(InstanceProfileName="used", RoleName="gone")
    explained = explain(iamframe.load_account(session, regions=["us-east-1"]), "used")
    assert [name.split()[0] for name in names(explained, "used by")] == ["association", "instance", "reference"]
    assert field(explained, "deleting", "deleting the profile")["message"] == "delete.profile"
    lost = {"message": "explain.use.runs", "count": 1, "names": [run["Instances"][0]["InstanceId"]]}
    assert told(explained, "next")[-1] == {"field": "delete the profile", "message": "not_offered", "use": lost}
    assert "delete-instance-profile" not in str(explained)
    iam.delete_instance_profile(InstanceProfileName="used")


# What uses profiles


def instance(number: str, named: str, profile_id: str | None = None, state: str = "running") -> dict[str, Any]:
    """An instance that uses a profile, given by its ARN."""
    return {
        "InstanceId": number,
        "State": {"Name": state},
        "Tags": [{"Key": "Name", "Value": f"{number}-name"}],
        "IamInstanceProfile": {"Arn": named, "Id": profile_id or f"AIPA{named.rsplit('/', 1)[-1].upper()}"},
    }


def instances(*found: dict[str, Any], account: str = ACCOUNT) -> dict[str, Any]:
    return {"Reservations": [{"OwnerId": account, "Instances": list(found)}]}


def versions(template: str, *named: str | None) -> dict[str, Any]:
    """All versions of a launch template, each with the profile that it names."""
    listed = [
        {
            "LaunchTemplateId": template,
            "LaunchTemplateName": f"{template}-name",
            "VersionNumber": number,
            "DefaultVersion": number == 1,
            "LaunchTemplateData": {} if name is None else {"IamInstanceProfile": {"Name": name}},
        }
        for number, name in enumerate(named, 1)
    ]
    return {"LaunchTemplateVersions": listed}


def using(folder: Path, *found: dict[str, Any], **more: Any) -> Inventory:
    """An account with the profiles web and empty, and its instances."""
    web = profile("web", nested_role("server"), InstanceProfileId="AIPAWEBWEBWEBWEBWEB2")
    documents = {"identity.json": identity(), "p.json": profile_list(web, profile("empty"))}
    return load(folder / ACCOUNT, documents | {f"{REGION}/describe-instances.json": instances(*found)} | more)


@pytest.mark.parametrize("asked", ["i-1", " I-1 ", "i-1-name", f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1"])
def test_an_instance_is_explained_by_the_profile_that_it_uses(tmp_path: Path, asked: str) -> None:
    inventory = using(tmp_path, instance("i-1", WEB_ARN), instance("i-2", WEB_ARN))
    explained = explain(inventory, asked)
    assert explained.found
    used = field(explained, "uses", "instance i-1")
    assert (used["profile"], used["message"]) == (WEB_ARN, "list.messages")
    named = {"message": "explain.consumer_name", "type": "instance", "named": "i-1-name"}
    assert used["messages"] == [
        {"message": "explain.parts", "parts": [REGION, named, "running"]},
        {"message": "explain.uses.role", "roles": ["server"]},
    ]
    # The pair itself is told as if its own name had been given.
    own = explain(inventory, "web").to_frame()
    frame = explained.to_frame()
    pd.testing.assert_frame_equal(frame[frame["section"] != "uses"].reset_index(drop=True), own)


def test_each_version_of_a_launch_template_is_told_with_its_profile(tmp_path: Path) -> None:
    templates = versions("lt-1", "web", "gone", None, *["web"] * 6, "empty")
    inventory = using(tmp_path, **{f"{REGION}/describe-launch-template-versions.json": templates})
    for asked in ("lt-1", "lt-1-name", f"arn:aws:ec2:{REGION}:{ACCOUNT}:launch-template/lt-1"):
        explained = explain(inventory, asked)
        assert explained.found
        named = ("consumer_name", "launch-template", "lt-1-name")
        assert [(row["profile"], states(row)) for row in told(explained, "uses")] == [
            (WEB_ARN, [named, ("version", "1 4 5 6 7 8 9"), ("uses.role", "['server']")]),
            ("gone", [named, ("version", "2"), ("uses.gone", ACCOUNT)]),
            (arn("profile/empty"), [named, ("version", "10"), ("uses.no_role",)]),
        ]
        assert [profile for profile, _ in pairs(explained)] == [arn("profile/empty"), WEB_ARN]


def test_what_is_the_name_of_a_profile_that_is_gone_too_is_told_of_what_names_that(tmp_path: Path) -> None:
    inventory = using(tmp_path, instance("i-1", WEB_ARN), instance("i-2", arn("profile/i-1")))
    explained = explain(inventory, "i-1")
    assert (names(explained, "uses"), names(explained, "referenced by")) == (["instance i-1"], ["instance i-2"])


def test_versions_of_a_template_that_nobody_read_are_said_to_be_missing(tmp_path: Path) -> None:
    template = {"LaunchTemplateId": "lt-1", "LaunchTemplateName": "lt-1-name"}
    listed = {"LaunchTemplates": [template | {"DefaultVersionNumber": 1, "LatestVersionNumber": 3}]}
    some = versions("lt-1", "web", None, "web")
    del some["LaunchTemplateVersions"][1]
    files = {f"{REGION}/templates.json": listed, f"{REGION}/versions.json": some}
    (gap,) = told(explain(using(tmp_path, **files), "lt-1"), "not collected")
    assert gap["message"] == "gaps.absent.other_versions"


def test_the_name_of_a_profile_wins_over_that_of_what_uses_another(tmp_path: Path) -> None:
    templates = versions("lt-1", "empty")
    templates["LaunchTemplateVersions"][0]["LaunchTemplateName"] = "web"
    inventory = using(tmp_path, **{f"{REGION}/describe-launch-template-versions.json": templates})
    assert pairs(explain(inventory, "web")) == [(WEB_ARN, arn("role/server"))]
    assert told(explain(inventory, "web"), "uses") == []
    # Nothing else bears the id.
    assert [row["profile"] for row in told(explain(inventory, "lt-1"), "uses")] == [arn("profile/empty")]


@pytest.mark.parametrize(
    ("named", "held", "state"),
    [
        (arn("profile/gone"), None, [("uses.gone", ACCOUNT)]),
        # One of that name at another path is another profile.
        (arn("profile/old/web"), None, [("uses.gone", ACCOUNT), ("uses.another", f"['{WEB_ARN}']")]),
        (arn("profile/web", OTHER), None, [("uses.account_not_read", OTHER)]),
        (WEB_ARN, "AIPAOLDOLDOLDOLDOLD2", [("uses.role", "['server']"), ("other_id", "AIPAOLDOLDOLDOLDOLD2")]),
    ],
)
def test_a_profile_that_is_gone_or_was_never_read_is_told_so(
    tmp_path: Path, named: str, held: str | None, state: list[tuple[str, ...]]
) -> None:
    explained = explain(using(tmp_path, instance("i-1", named, profile_id=held)), "i-1")
    assert explained.found
    assert states(field(explained, "uses", "instance i-1")) == [("consumer_name", "instance", "i-1-name"), *state]


def test_without_the_list_of_profiles_nobody_can_say_that_one_is_gone(tmp_path: Path) -> None:
    documents = {"identity.json": identity(), f"{REGION}/i.json": instances(instance("i-1", arn("profile/gone")))}
    used = field(explain(load(tmp_path / ACCOUNT, documents), "i-1"), "uses", "instance i-1")
    said = [("consumer_name", "instance", "i-1-name"), ("uses.list_not_read", ACCOUNT)]
    assert (used["profile"], states(used)) == (arn("profile/gone"), said)


def test_an_id_of_two_accounts_tells_of_both_and_an_arn_of_its_own(tmp_path: Path) -> None:
    documents: dict[str, Any] = {}
    for one in (ACCOUNT, OTHER):
        web = profile("web", nested_role("server", account=one), account=one)
        documents[f"{one}/p.json"] = profile_list(web)
        documents[f"{one}/{REGION}/i.json"] = instances(instance("i-1", arn("profile/web", one)), account=one)
    inventory = load(tmp_path, documents)
    for asked, accounts in (("i-1", [ACCOUNT, OTHER]), (f"arn:aws:ec2:{REGION}:{OTHER}:instance/i-1", [OTHER])):
        frame = explain(inventory, asked).to_frame()
        assert frame["account_id"][frame["section"] == "uses"].tolist() == accounts


def test_an_instance_that_no_reference_shows_is_not_found_with_where_was_looked(tmp_path: Path) -> None:
    explained = explain(using(tmp_path, instance("i-1", WEB_ARN)), "i-2")
    assert not explained.found
    assert field(explained, "not collected", "resources that use profiles")["status"] == "unknown"


def test_what_refers_to_the_profile_is_told_with_where_that_was_looked_for(sample: Inventory) -> None:
    explained = explain(sample, "AWSCloud9SSMInstanceProfile")
    assert names(explained, "used by") == ["instance i-0abcdef0000000007", "reference search"]
    looked = field(explained, "used by", "reference search")
    assert (looked["status"], looked["regions"]) == ("partial", "ap-northeast-1, eu-west-1")
    assert looked["reason"]["message"] == "coverage.references.files"


def test_a_name_that_is_not_found_may_be_in_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"whole.json": dump(role_detail("web")), "cut.json": "{"})
    explained = explain(inventory, "batch").to_frame()
    note = explained.loc[(explained["section"] == "not collected") & (explained["field"] == "file"), "note"]
    assert note.str.contains("cut.json: is not JSON").tolist() == [True]


# What CloudTrail tells


def test_an_id_that_cloudtrail_tells_of_has_a_history(tmp_path: Path) -> None:
    made = event("2026-01-01T10:00:00Z", "CreateRole", roleName="app")
    role = {"roleName": "app", "arn": arn("role/app"), "roleId": "AROAEXAMPLEAPP000001"}
    inventory = load(tmp_path, {"trail.json": {"Records": [made | {"responseElements": {"role": role}}]}})
    explained = explain(inventory, "AROAEXAMPLEAPP000001")
    assert not explained.found
    (one,) = told(explained, "history")
    assert one["parts"][0] == "CreateRole app"
    assert states(one) == [("event.actor", f"arn:aws:iam::{ACCOUNT}:user/ada"), ("event.with", "aws-cli/2.15")]


def test_what_cloudtrail_tells_of_it_is_told_in_order_with_the_time_that_was_read(tmp_path: Path) -> None:
    records = [
        event("2026-01-02T10:00:00Z", "AddRoleToInstanceProfile", instanceProfileName="web", roleName="web"),
        event("2026-01-01T10:00:00Z", "CreateRole", roleName="web"),
        event("2026-01-01T11:00:00Z", "CreateRole", roleName="another"),
        event("2026-01-03T10:00:00Z", "DeleteRole", roleName="gone") | {"errorCode": "AccessDenied"},
    ]
    inventory = account(tmp_path, profile("web", nested_role("web")), **{"trail.json": {"Records": records}})
    *events, span = told(explain(inventory, "web"), "history")
    assert [(row["field"], row["parts"][0]) for row in events] == [
        ("2026-01-01 10:00:00 UTC", "CreateRole web"),
        ("2026-01-02 10:00:00 UTC", "AddRoleToInstanceProfile web web"),
    ]
    times = {"since": "2026-01-01 10:00:00 UTC", "until": "2026-01-03 10:00:00 UTC"}
    assert span == {"field": "collected", "message": "trail", "known": True, **times}
    gone = explain(inventory, "gone")
    assert not gone.found
    (refused,) = told(gone, "history")
    assert (refused["field"], states(refused)[-1]) == ("2026-01-03 10:00:00 UTC", ("event.refused", "AccessDenied"))


def test_another_accounts_records_are_no_records_of_this_account(tmp_path: Path) -> None:
    # The builders' account has records; the other account has none.
    there = json.loads(json.dumps(profile_list(profile("web"))).replace(ACCOUNT, "444455556666"))
    records = {"Records": [event("2026-01-01T10:00:00Z", "TagRole", roleName="another")]}
    inventory = account(tmp_path, profile("web"), **{"there.json": there, "trail.json": records})
    frame = explain(inventory, "web").to_frame()
    assert frame.loc[frame["section"] == "history", "account_id"].tolist() == [ACCOUNT]


def test_without_cloudtrail_there_is_no_history(sample: Inventory) -> None:
    assert told(explain(sample, "AWSCloud9SSMAccessRole"), "history") == []


# How it is shown


def test_sections_come_in_the_order_of_use_and_the_profile_stands_before_the_role(sample: Inventory) -> None:
    explained = explain(sample, "blue")
    frame = explained.to_frame()
    assert list(frame)[1:7] == ["profile_arn", "role_arn", "section", "field", "profile", "role"]
    order = list(SECTIONS)
    assert max(map(order.index, ("findings", "deleting", "next"))) < min(
        map(order.index, ("history", "consoles and tools for tags"))
    )
    for _, rows in frame[frame["section"].isin(order)].groupby(["profile_arn", "role_arn"], dropna=False):
        assert rows["section"].drop_duplicates().tolist() == [name for name in order if name in set(rows["section"])]
    both = frame[frame["profile_arn"].notna() & frame["role_arn"].notna() & frame["section"].isin(order)]
    fields = both.groupby("section")["field"].agg(list)
    assert fields["deleting"][:2] == ["deleting the profile", "deleting the role"]
    assert [name for name in fields["next"] if name.startswith("see")] == ["see the profile", "see the role"]
    lines = str(explained).split("\n")
    heads = {line for line in lines if line.startswith(("identity", "link", "tags", "consoles"))}
    assert heads == {"identity", "link", "tags", "consoles and tools for tags"}
    both_sides = [line for line in lines[lines.index("== instance profile blue with role green ==") :] if "|" in line]
    assert len(both_sides) == 7
    assert all(re.match(r"  \S[^:]*: +profile = \S.* +\| role = \S| +\| role = arn:", line) for line in both_sides)
    assert "== instance profile blue with role green ==" in lines
    assert "names: profile = blue | role = green; the names differ" in [" ".join(line.split()) for line in lines]
    shown, _, folded = explained._repr_html_().partition("<details><summary>consoles and tools for tags</summary>")
    assert "<th scope='col' style='text-align:left'>instance profile</th><th" in shown
    assert ">IAM console: read tags<" in folded
    assert ">IAM console: read tags<" not in shown


def printed(sample: Inventory, folder: Path) -> Iterator[str]:
    """What is printed of what the sample has, and of an account that has what it lacks."""
    used = {"i-1": "profile/old/web", "i-2": "profile/web", "i-3": "profile/empty"}
    made = using(
        folder,
        *(instance(one, arn(named)) for one, named in used.items()),
        instance("i-4", arn("profile/web", OTHER)),
        **{
            "trail.json": {"Records": [event("2026-01-01T10:00:00Z", "CreateRole", roleName="server")]},
            "roles.json": {"Roles": [nested_role("lone"), nested_role("server")]},
            "role-tags/server.json": {"Tags": tag_list({"Owner": "ops"})},
        },
    )
    bare = load(folder / "bare" / ACCOUNT, {"roles.json": {"Roles": [nested_role("lone")]}})
    of_sample = ("blue", "AWSCloud9SSMInstanceProfile", "old-batch", "lt-0abcdef000000000c", "AIPAEXAMPLEGONE00001")
    for inventory, asked in ((sample, of_sample), (made, ("web", *used, "i-4")), (bare, ("lone",))):
        for name in asked:
            frame = explain(inventory, name).to_frame()
            # Where tags show is the same for each pair, and the pair of an instance is that of its profile.
            left_out = list(SECTIONS) if name in used else ["consoles and tools for tags"] * (name != "blue")
            yield f"######## {name}\n\n{str(Explanation(name, frame[~frame['section'].isin(left_out)])).strip()}\n"


def test_it_is_printed_in_these_words(sample: Inventory, tmp_path: Path) -> None:
    """One text holds the sentences, so that whoever changes one sees it as people read it."""
    assert "\n".join(printed(sample, tmp_path)) == TEXTS.read_text("utf-8")


def test_every_field_that_is_printed_is_in_its_frame(sample: Inventory) -> None:
    explained = explain(sample, "AWSCloud9SSMInstanceProfile")
    assert str(Explanation("another", explained.to_frame())) == str(explained)
    words = " ".join(str(explained).split())
    frame = explained.to_frame()
    shows_tags = frame["section"] == "consoles and tools for tags"
    assert all(name in words for name in frame.loc[~shows_tags, "field"])
    sentences = re.split(r"\n(?=  \S)", str(explained).partition("\nconsoles and tools for tags\n")[2])
    found = Counter()
    for said in (" ".join(sentence.split()) for sentence in sentences):
        assert {"profile", "role"} <= set(re.findall(r"the (\w+)", said))
        operations = re.search(r"\bcan(?:not)? (\w+)(?: (?:and|or) (\w+))? tags of", said)
        tool = re.search(r"^With (?:the )?(.+?), you| with (?:the )?(.+)$", said)
        assert operations
        assert tool
        found.update(
            f"{tool[tool.lastindex or 0]}: {operation} tags" for operation in filter(None, operations.groups())
        )
    assert found == Counter(frame.loc[shows_tags, "field"])


def test_control_characters_never_reach_a_terminal(tmp_path: Path) -> None:
    tags = {"instance-profile-tags/web.json": {"Tags": tag_list({"Owner": "\x1b[31mred\nnext"})}}
    text = str(explain(account(tmp_path, profile("web", nested_role("web")), **tags), "web"))
    assert "\x1b" not in text
    assert "\\x1b[31mred\\nnext" in text


def test_many_pairs_are_cut_in_text_and_whole_in_the_frame(tmp_path: Path) -> None:
    explained = explain(account(tmp_path, *(profile(f"p{n:02}", nested_role("web")) for n in range(12))), "web")
    assert len(pairs(explained)) == 12
    more = next(row for row in told(explained, "link") if row["field"] == "the role is also in")
    assert more["profile"] == ", ".join(f"p{n:02}" for n in range(1, 12))
    assert str(explained).endswith("and 2 more pairs; to_frame() has all of them")


@pytest.mark.parametrize(
    ("arguments", "status", "printed"),
    [
        (["awscloud9ssmaccessrole"], 0, "instance-profile/cloud9/AWSCloud9SSMInstanceProfile"),
        (["i-0abcdef0000000009"], 0, "AIPAEXAMPLEGONE00001"),
        (["lt-0abcdef000000000c"], 0, "the profile was deleted (account 111122223333 has no such profile)"),
        (["no-such-thing", "--format", "csv"], 2, '"not found","no-such-thing"'),
    ],
)
def test_the_command_prints_it_and_exits_2_where_there_is_none(arguments: list[str], status: int, printed: str) -> None:
    run = CliRunner().invoke(app, ["explain", *arguments, "sample"], standalone_mode=False)
    assert run.return_value == status
    assert printed in " ".join(run.stdout.split())
