"""Derived frames: roles and profiles side by side, tag coverage, and what was read whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import ACCOUNT, dump, identity, load, nested_role, profile, profile_list, role_detail, tag_list, trust
from showing import only_row
from terraform import state_of_profile

from iamframe import pairs, tag_coverage
from iamframe.inventory import schema
from iamframe.inventory.completeness import completeness
from iamframe.knowledge.makers import Maker

ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/"
PROFILE_ARN = f"arn:aws:iam::{ACCOUNT}:instance-profile/"


def side_by_side(folder: Path, documents: dict[str, Any]) -> pd.DataFrame:
    return pairs(load(folder, documents))


def arns(frame: pd.DataFrame) -> list[tuple[str | None, str | None]]:
    rows = frame[["profile_arn", "role_arn"]].astype(object)
    return list(rows.where(rows.notna(), None).itertuples(index=False, name=None))


# Pairs


def test_a_link_is_one_row_with_both_sides(tmp_path: Path) -> None:
    held = profile("web-profile", nested_role("web-role", path="/service-role/"), path="/team/a/")
    row = only_row(side_by_side(tmp_path, {"p.json": profile_list(held)}))
    assert row == {
        "account_id": ACCOUNT,
        "profile_arn": f"{PROFILE_ARN}team/a/web-profile",
        "role_arn": f"{ROLE_ARN}service-role/web-role",
        "profile_name": "web-profile",
        "role_name": "web-role",
        "relation": "affix",
        "profile_path": "/team/a/",
        "role_path": "/service-role/",
        "profile_segments": "team/a",
        "role_segments": "service-role",
        "paths_differ": True,
        "profile_tags": None,
        "role_tags": None,
        "profile_tags_known": False,
        "role_tags_known": False,
        "role_known": True,
        "trusts_ec2": "yes",
        "is_aws_managed": False,
        "maker": None,
        "maker_basis": None,
        "names_expected": False,
        "paths_expected": False,
        "untagged_expected": False,
    }


@pytest.mark.parametrize(
    ("role", "held_by", "relation"),
    [("web", "web", "same"), ("Web", "web", "case"), ("web", "web-profile", "affix"), ("green", "blue", "different")],
)
def test_a_link_says_how_its_names_differ(tmp_path: Path, role: str, held_by: str, relation: str) -> None:
    documents = {"p.json": profile_list(profile(held_by, nested_role(role)))}
    assert only_row(side_by_side(tmp_path, documents))["relation"] == relation


def test_equal_paths_do_not_differ_and_have_no_segments_beyond_the_slash(tmp_path: Path) -> None:
    row = only_row(side_by_side(tmp_path, {"p.json": profile_list(profile("web", nested_role("web")))}))
    assert (row["paths_differ"], row["profile_segments"], row["role_segments"]) == (False, "", "")


def test_a_profile_without_a_role_is_a_row_of_its_own(tmp_path: Path) -> None:
    row = only_row(side_by_side(tmp_path, {"p.json": profile_list(profile("empty", path="/team/"))}))
    assert (row["profile_name"], row["profile_segments"], row["role_known"]) == ("empty", "team", True)
    assert [row[name] for name in ("role_arn", "role_name", "relation", "role_path", "trusts_ec2")] == [None] * 5


def test_a_profile_whose_role_was_not_read_is_a_row_that_says_so(tmp_path: Path) -> None:
    bare = {key: value for key, value in profile("web").items() if key != "Roles"}
    row = only_row(side_by_side(tmp_path, {"p.json": profile_list(bare)}))
    assert (row["profile_name"], row["role_arn"], row["role_known"]) == ("web", None, False)


def test_each_profile_of_a_role_is_a_row(tmp_path: Path) -> None:
    role = nested_role("shared")
    frame = side_by_side(tmp_path, {"p.json": profile_list(profile("a", role), profile("b", role))})
    assert arns(frame) == [(f"{PROFILE_ARN}a", f"{ROLE_ARN}shared"), (f"{PROFILE_ARN}b", f"{ROLE_ARN}shared")]


def test_links_come_before_profiles_alone_and_these_before_roles_alone(tmp_path: Path) -> None:
    documents = {
        "d.json": dump(role_detail("alone"), role_detail("web", [profile("web")])),
        "p.json": profile_list(profile("empty"), profile("web", nested_role("web"))),
    }
    assert arns(side_by_side(tmp_path, documents)) == [
        (f"{PROFILE_ARN}web", f"{ROLE_ARN}web"),
        (f"{PROFILE_ARN}empty", None),
        (None, f"{ROLE_ARN}alone"),
    ]


def test_a_role_that_trusts_ec2_is_alone_if_its_own_list_of_profiles_is_empty(tmp_path: Path) -> None:
    row = only_row(side_by_side(tmp_path, {"d.json": dump(role_detail("blue"))}))
    assert (row["role_name"], row["profile_arn"], row["relation"]) == ("blue", None, None)
    assert (row["trusts_ec2"], row["role_known"], row["profile_tags_known"]) == ("yes", False, False)


@pytest.mark.parametrize(
    "documents",
    [
        {"r.json": {"Roles": [nested_role("blue")]}},
        {"r.json": {"Role": nested_role("blue") | {"RoleLastUsed": {}}}},
        {"r.json": {"Roles": [nested_role("blue")]}, "p.json": profile_list(NextToken="x")},
    ],
)
def test_a_role_is_not_alone_while_nobody_has_read_its_profiles(tmp_path: Path, documents: dict[str, Any]) -> None:
    assert arns(side_by_side(tmp_path, documents)) == []


def test_a_whole_profile_list_shows_which_roles_are_alone(tmp_path: Path) -> None:
    documents = {"r.json": {"Roles": [nested_role("blue"), nested_role("web")]}}
    documents |= {"p.json": profile_list(profile("web", nested_role("web")))}
    assert arns(side_by_side(tmp_path, documents)) == [
        (f"{PROFILE_ARN}web", f"{ROLE_ARN}web"),
        (None, f"{ROLE_ARN}blue"),
    ]


def test_a_whole_profile_list_of_one_account_says_nothing_of_another(tmp_path: Path) -> None:
    other = "000000000002"
    documents = {
        f"{ACCOUNT}/p.json": profile_list(profile("web", nested_role("web"))),
        f"{other}/r.json": {"Roles": [nested_role("blue", account=other)]},
    }
    assert arns(side_by_side(tmp_path, documents)) == [(f"{PROFILE_ARN}web", f"{ROLE_ARN}web")]


@pytest.mark.parametrize(
    "policy",
    [
        trust("lambda.amazonaws.com"),
        {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}},
        "<URL-encoded-JSON>",
    ],
)
def test_a_role_that_does_not_surely_trust_ec2_is_no_row(tmp_path: Path, policy: object) -> None:
    assert arns(side_by_side(tmp_path, {"d.json": dump(role_detail("etl", policy=policy))})) == []


def test_a_role_that_only_its_name_shows_has_a_name_and_nothing_else(tmp_path: Path) -> None:
    row = only_row(side_by_side(tmp_path, {"s.tfstate": state_of_profile("web-profile", "web-role")}))
    assert (row["role_arn"], row["role_name"], row["relation"]) == ("name:web-role", "web-role", "affix")
    assert (row["role_path"], row["role_segments"], row["paths_differ"]) == (None, None, False)
    assert (row["trusts_ec2"], row["role_tags_known"]) == ("unknown", False)


def test_unknown_tags_are_missing_and_no_tags_are_empty(tmp_path: Path) -> None:
    documents = {
        "d.json": dump(role_detail("a", [profile("a")]), role_detail("b", [profile("b")], {"Owner": "ops", "Env": ""})),
        "p.json": profile_list(profile("a", nested_role("a")), profile("b", nested_role("b"))),
        "instance-profile-tags/a.json": {"Tags": tag_list({"Team": "x", "aws:made": "y"})},
    }
    frame = side_by_side(tmp_path, documents).set_index("profile_name")
    assert frame.loc["a", "profile_tags"] == "Team=x, aws:made=y"
    assert frame.loc["a", "role_tags"] == ""
    assert pd.isna(frame.loc["b", "profile_tags"])
    assert frame.loc["b", "role_tags"] == "Env=, Owner=ops"
    assert frame["profile_tags_known"].to_dict() == {"a": True, "b": False}
    assert frame["role_tags_known"].tolist() == [True, True]


def test_the_maker_of_a_pair_says_what_is_meant_so(tmp_path: Path) -> None:
    cloud9 = profile("AWSCloud9SSMInstanceProfile", nested_role("AWSCloud9SSMAccessRole", "/service-role/"), "/cloud9/")
    row = only_row(side_by_side(tmp_path, {"p.json": profile_list(cloud9)}))
    expected = [row[name] for name in ("maker", "names_expected", "paths_expected", "untagged_expected")]
    assert expected == ["AWS Cloud9", True, True, True]


def test_the_house_goes_before_what_everybody_knows(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"p.json": profile_list(profile("s3access-profile", nested_role("s3access")))})
    house = Maker("the house", role="{name}", profile="{name}-profile", paths_differ=True)
    row = only_row(pairs(inventory, [house]))
    assert (row["maker"], row["names_expected"], row["paths_expected"]) == ("the house", False, True)


def test_pairs_of_nothing_are_an_empty_typed_frame(tmp_path: Path) -> None:
    frame = side_by_side(tmp_path, {"p.json": profile_list(), "i.json": identity()})
    pd.testing.assert_frame_equal(frame, schema.PAIRS.empty())


# Tag coverage


def covered(folder: Path, documents: dict[str, Any]) -> list[tuple[Any, ...]]:
    columns = ["resource_type", "tag_key", "tagged", "known", "unknown", "share"]
    return list(tag_coverage(load(folder, documents))[columns].itertuples(index=False, name=None))


def test_a_share_is_of_those_whose_tags_were_read(tmp_path: Path) -> None:
    documents = {
        "p.json": profile_list(*map(profile, "abcde")),
        "instance-profile-tags/a.json": {"Tags": tag_list({"Owner": "x", "Env": "y"})},
        "instance-profile-tags/b.json": {"Tags": tag_list({"Owner": "z"})},
        "instance-profile-tags/c.json": {"Tags": []},
        "instance-profile-tags/d.json": {"Tags": tag_list({"Owner": "x"})},
    }
    assert covered(tmp_path, documents) == [
        ("instance-profile", "Owner", 3, 4, 1, 0.75),
        ("instance-profile", "Env", 1, 4, 1, 0.25),
    ]


def test_roles_and_profiles_are_counted_apart_and_keys_as_stored(tmp_path: Path) -> None:
    documents = {
        "d.json": dump(role_detail("a", tags={"Owner": "x"}), role_detail("b", tags={"owner": "x"})),
        "p.json": profile_list(profile("a")),
        "instance-profile-tags/a.json": {"Tags": tag_list({"Owner": "x"})},
    }
    assert covered(tmp_path, documents) == [
        ("instance-profile", "Owner", 1, 1, 0, 1.0),
        ("role", "Owner", 1, 2, 0, 0.5),
        ("role", "owner", 1, 2, 0, 0.5),
    ]


def test_what_aws_manages_or_reserves_is_left_out(tmp_path: Path) -> None:
    documents = {
        "d.json": dump(
            role_detail("a", tags={"Owner": "x", "aws:made": "y"}),
            role_detail("managed", path="/aws-service-role/ec2.amazonaws.com/", tags={"Team": "x"}),
            role_detail("sso", path="/aws-reserved/sso.amazonaws.com/"),
        )
    }
    assert covered(tmp_path, documents) == [("role", "Owner", 1, 1, 0, 1.0)]


def test_accounts_are_counted_apart(tmp_path: Path) -> None:
    documents = {
        f"{account}/d.json": dump(*(role_detail(name, account=account, tags={"Owner": "x"}) for name in names))
        for account, names in ((ACCOUNT, "a"), ("000000000002", "bc"))
    }
    frame = tag_coverage(load(tmp_path, documents))
    assert frame[["account_id", "tagged", "known"]].to_numpy().tolist() == [[ACCOUNT, 1, 1], ["000000000002", 2, 2]]


def test_no_tags_have_no_coverage(tmp_path: Path) -> None:
    frame = tag_coverage(load(tmp_path, {"d.json": dump(role_detail("a"))}))
    pd.testing.assert_frame_equal(frame, schema.TAG_COVERAGE.empty())


# What was read whole

CORE = {
    "instances.json": {"Reservations": []},
    "versions.json": {"LaunchTemplateVersions": []},
    "configurations.json": {"LaunchConfigurations": []},
    "groups.json": {"AutoScalingGroups": []},
}


def core(*regions: str) -> dict[str, Any]:
    "The four core answers for each region."
    return {f"{ACCOUNT}/{region}/{name}": CORE[name] for region in regions for name in CORE}


def lists(folder: Path, documents: dict[str, Any]) -> dict[str, Any]:
    return only_row(completeness(load(folder, documents)))


def test_a_dump_is_all_roles_and_a_profile_list_all_profiles(tmp_path: Path) -> None:
    row = lists(tmp_path, {"d.json": dump(role_detail("a", [profile("a")]))})
    assert (row["roles_whole"], row["profiles_whole"]) == (True, False)
    row = lists(tmp_path / "too", {"p.json": profile_list(profile("a", nested_role("a")))})
    assert (row["roles_whole"], row["profiles_whole"]) == (False, True)


@pytest.mark.parametrize("cut", [{"NextToken": "x"}, {"IsTruncated": True}])
def test_a_list_that_was_cut_short_is_not_whole(tmp_path: Path, cut: dict[str, Any]) -> None:
    row = lists(tmp_path, {"d.json": dump(role_detail("a"), **cut), "p.json": profile_list(profile("a"), **cut)})
    assert (row["roles_whole"], row["profiles_whole"]) == (False, False)


def test_a_list_that_is_shorter_than_the_accounts_own_count_is_not_whole(tmp_path: Path) -> None:
    summary = {"SummaryMap": {"Roles": 2, "InstanceProfiles": 1}}
    documents = {"i.json": identity(), "s.json": summary, "d.json": dump(role_detail("a"))}
    row = lists(tmp_path, documents | {"p.json": profile_list(profile("a"))})
    assert (row["roles_whole"], row["profiles_whole"]) == (False, True)


@pytest.mark.parametrize("regions", [("eu-west-1",), ("eu-west-1", "us-east-1")])
def test_references_from_files_are_partial_at_best(tmp_path: Path, regions: tuple[str, ...]) -> None:
    row = lists(tmp_path, core(*regions))
    assert row["references_status"] == "partial"
    assert f"only {' and '.join(regions)}, so" in row["references_reason"]


def test_references_of_files_that_name_no_region_are_partial(tmp_path: Path) -> None:
    row = lists(tmp_path, core("somewhere"))
    assert row["references_status"] == "partial"
    assert "do not show which regions" in row["references_reason"]


@pytest.mark.parametrize(
    ("missing", "operation"),
    [
        ("instances.json", "DescribeInstances"),
        ("versions.json", "DescribeLaunchTemplateVersions"),
        ("configurations.json", "DescribeLaunchConfigurations"),
        ("groups.json", "DescribeAutoScalingGroups"),
    ],
)
def test_references_are_unknown_when_one_core_consumer_was_not_read(
    tmp_path: Path, missing: str, operation: str
) -> None:
    documents = core("eu-west-1")
    del documents[f"{ACCOUNT}/eu-west-1/{missing}"]
    row = lists(tmp_path, documents)
    assert row["references_status"] == "unknown"
    assert operation in row["references_reason"]


def test_references_are_unknown_when_one_region_lacks_a_core_consumer(tmp_path: Path) -> None:
    documents = core("eu-west-1", "us-east-1")
    del documents[f"{ACCOUNT}/us-east-1/groups.json"]
    row = lists(tmp_path, documents)
    assert (row["references_status"], row["references_reason"]) == (
        "unknown",
        (
            "references to profiles may be missing, because data of these operations is missing or incomplete: "
            "DescribeAutoScalingGroups (in us-east-1)"
        ),
    )


def test_the_reason_names_every_core_consumer_that_is_missing_and_where(tmp_path: Path) -> None:
    documents = core("eu-west-1", "us-east-1")
    for name in ("eu-west-1/versions.json", "us-east-1/versions.json", "us-east-1/groups.json"):
        del documents[f"{ACCOUNT}/{name}"]
    denied = "operation,subject,error_code\nDescribeInstances,sa-east-1,UnauthorizedOperation\n"
    row = lists(tmp_path, documents | {f"{ACCOUNT}/denied.csv": denied})
    assert row["references_reason"] == (
        "references to profiles may be missing, because data of these operations is missing or incomplete: "
        "DescribeLaunchTemplateVersions (in all regions), DescribeInstances (in sa-east-1), and "
        "DescribeAutoScalingGroups (in us-east-1)"
    )


def test_references_are_unknown_when_a_core_consumer_was_cut_short(tmp_path: Path) -> None:
    documents = core("eu-west-1") | {f"{ACCOUNT}/eu-west-1/instances.json": {"Reservations": [], "NextToken": "x"}}
    row = lists(tmp_path, documents)
    assert row["references_status"] == "unknown"
    assert row["references_reason"].startswith(
        "references to profiles may be missing, because data of these operations is missing or incomplete: "
        "DescribeInstances (in part)"
    )


@pytest.mark.parametrize("subject", ["us-east-1", ""])
def test_references_are_unknown_when_a_core_consumer_was_denied_somewhere(tmp_path: Path, subject: str) -> None:
    denied = f"operation,subject,error_code\nDescribeInstances,{subject},UnauthorizedOperation\n"
    row = lists(tmp_path, core("eu-west-1") | {f"{ACCOUNT}/denied.csv": denied})
    assert row["references_status"] == "unknown"
    assert "UnauthorizedOperation" in row["references_reason"]


def test_references_are_unknown_when_a_group_pins_a_version_that_was_not_read(tmp_path: Path) -> None:
    pin = {"LaunchTemplateId": "lt-1", "Version": "3"}
    group = {
        "AutoScalingGroupName": "g",
        "AutoScalingGroupARN": f"arn:aws:autoscaling:eu-west-1:{ACCOUNT}:autoScalingGroup:x:autoScalingGroupName/g",
        "LaunchTemplate": pin,
    }
    row = lists(tmp_path, core("eu-west-1") | {f"{ACCOUNT}/eu-west-1/groups.json": {"AutoScalingGroups": [group]}})
    assert row["references_status"] == "unknown"
    assert "launch template lt-1, version 3" in row["references_reason"]


def test_one_account_read_well_says_nothing_of_another(tmp_path: Path) -> None:
    other = "000000000002"
    documents = core("eu-west-1") | {f"{other}/p.json": profile_list(profile("a", account=other))}
    frame = completeness(load(tmp_path, documents)).set_index("account_id")
    assert frame["references_status"].to_dict() == {ACCOUNT: "partial", other: "unknown"}
    assert frame["profiles_whole"].to_dict() == {ACCOUNT: False, other: True}


@pytest.mark.parametrize(
    "instances",
    [
        {"Reservations": [], "NextToken": "more"},
        {"Reservations": [{"OwnerId": ACCOUNT, "Instances": [{"InstanceId": 5}]}]},
    ],
    ids=["cut short", "a row that cannot be read"],
)
def test_references_are_unknown_when_the_instances_of_one_region_were_read_in_part(
    tmp_path: Path, instances: dict[str, Any]
) -> None:
    documents = core("eu-west-1", "us-east-1") | {f"{ACCOUNT}/us-east-1/instances.json": instances}
    (row,) = completeness(load(tmp_path, documents)).to_dict("records")
    assert row["references_status"] == "unknown"
    assert "us-east-1" in row["references_reason"]


def test_a_role_may_be_in_a_profile_of_which_nobody_read_what_it_holds(tmp_path: Path) -> None:
    closed = {key: value for key, value in profile("p").items() if key != "Roles"}
    documents = {"r.json": {"Roles": [nested_role("web")]}, "p.json": profile_list(closed)}
    found = pairs(load(tmp_path, documents))
    assert list(found["role_name"].dropna()) == []


def test_a_dump_tells_that_a_role_is_in_no_profile_whatever_a_listing_leaves_out(tmp_path: Path) -> None:
    closed = {key: value for key, value in profile("p").items() if key != "Roles"}
    documents = {"d.json": dump(role_detail("web")), "p.json": profile_list(closed)}
    found = pairs(load(tmp_path, documents))
    assert list(found["role_name"].dropna()) == ["web"]
