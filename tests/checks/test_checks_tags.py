"""Tags that are missing, that differ between the two sides, or that read alike and are not the same."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from builders import ACCOUNT, dump, load, nested_role, profile, profile_list, role_detail, tag_list
from checking import covered, found, rows

from iamframe import run_checks

OTHER = "000000000002"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/"
PROFILE_ARN = f"arn:aws:iam::{ACCOUNT}:instance-profile/"
SERVICE_LINKED = "/aws-service-role/ec2.amazonaws.com/"
IDENTITY_CENTER = "/aws-reserved/sso.amazonaws.com/"
NODE_UUID = "eks-08c968da-2d88-0096-4c82-1ee57490a6af"

Tags = dict[str, str]


def facts(folder: Path, documents: dict[str, Any], check: str, *columns: str) -> list[list[Any]]:
    """The facts of one check in some columns, missing values as None."""
    result = run_checks(load(folder, documents), only=[check])
    chosen = result[check][[*columns]].astype(object)
    return chosen.where(chosen.notna(), None).to_numpy().tolist()


def tagged(**profiles: Tags | None) -> dict[str, Any]:
    """Profiles that hold a role of their own name, and their tags (None for not read)."""
    listing = profile_list(*(profile(name, nested_role(name)) for name in profiles))
    return {"p.json": listing} | tag_files(profiles)


def tag_files(profiles: dict[str, Tags | None]) -> dict[str, Any]:
    return {
        f"instance-profile-tags/{name}.json": {"Tags": tag_list(tags)}
        for name, tags in profiles.items()
        if tags is not None
    }


def link(role: Tags, held_by: Tags | None, name: str = "web", path: str = "/") -> dict[str, Any]:
    """A role and its profile of the same name, with the tags of both."""
    documents = {"d.json": dump(role_detail(name, [profile(name)], role, path=path))}
    return documents | tagged(**{name: held_by}) | {"p.json": profile_list(profile(name, nested_role(name, path)))}


def sent_tags(step: str) -> Tags:
    """The tags that a command would set, as the CLI would read them."""
    (tags,) = (word.removeprefix("--tags=") for word in shlex.split(step) if word.startswith("--tags="))
    return {tag["Key"]: tag["Value"] for tag in json.loads(tags)}


# Untagged


def test_a_profile_without_tags_is_untagged(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, tagged(bare={}, owned={"Owner": "ops"}), "untagged_profiles")
    assert (row["resource_arn"], row["related_arn"]) == (f"{PROFILE_ARN}bare", None)
    assert (row["resource_type"], row["severity"], row["expected"]) == ("instance-profile", "medium", False)
    assert row["detail"] == "has no tags; the tags of its role are unknown"
    assert row["next_step"] == "aws iam list-instance-profile-tags --instance-profile-name=bare"


def test_an_untagged_profile_without_a_role_says_so(tmp_path: Path) -> None:
    documents = {"p.json": profile_list(profile("bare")), "instance-profile-tags/bare.json": {"Tags": []}}
    (row,) = rows(tmp_path, documents, "untagged_profiles")
    assert row["detail"] == "has no tags, and holds no role"


def test_a_profile_whose_tags_were_not_read_is_not_untagged(tmp_path: Path) -> None:
    assert found(tmp_path, tagged(unread=None, bare={}), "untagged_profiles") == [f"{PROFILE_ARN}bare"]


def test_tags_in_a_listing_prove_nothing(tmp_path: Path) -> None:
    documents = {"p.json": profile_list(profile("a", nested_role("a"), Tags=[]))}
    assert found(tmp_path, documents, "untagged_profiles") == []
    assert covered(tmp_path, documents, "untagged_profiles")[0] == "unknown"


def test_keys_that_aws_reserves_are_no_tags_of_ones_own(tmp_path: Path) -> None:
    documents = tagged(stack={"aws:cloudformation:stack-name": "x"}, owned={"aws:x": "y", "Owner": ""})
    assert found(tmp_path, documents, "untagged_profiles") == [f"{PROFILE_ARN}stack"]


@pytest.mark.parametrize(
    ("role", "held_by", "check", "says"),
    [
        ({}, {"aws:x": "y"}, "untagged_profiles", "has only `aws:` tags"),
        ({"Owner": "ops"}, {"aws:x": "y"}, "untagged_profiles", "has only `aws:` tags, but its role has 1 tag"),
        ({"aws:x": "y"}, {}, "untagged_profiles", "has no tags; no tag of its role can be copied"),
        ({}, {}, "untagged_profiles", "has no tags, and its role has no tags either"),
        ({"aws:x": "y"}, {}, "untagged_roles", "has only `aws:` tags"),
        ({"aws:x": "y"}, {"Owner": "ops"}, "untagged_roles", "has only `aws:` tags, but its profile has 1 tag"),
        ({}, {"aws:x": "y"}, "untagged_roles", "has no tags"),
    ],
)
def test_an_untagged_resource_with_tags_of_aws_is_not_said_to_have_no_tags(
    tmp_path: Path, role: Tags, held_by: Tags, check: str, says: str
) -> None:
    (row,) = rows(tmp_path, link(role, held_by), check)
    assert row["detail"] == says
    japanese = run_checks(load(tmp_path / "ja", link(role, held_by)), only=[check]).findings_in("ja")
    assert ("`aws:` のタグしかありません" in japanese["detail"].item()) == ("`aws:`" in says)


def test_an_empty_profile_may_be_untagged_too(tmp_path: Path) -> None:
    documents = {"p.json": profile_list(profile("old"))} | tag_files({"old": {}})
    assert found(tmp_path, documents, "untagged_profiles") == [f"{PROFILE_ARN}old"]


def test_the_next_step_copies_the_tags_of_the_role(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, link({"Owner": "ops", "aws:x": "y", "Env": ""}, {}), "untagged_profiles")
    assert row["detail"] == "has no tags, but its role has 3 tags"
    assert row["next_step"].startswith("aws iam tag-instance-profile --instance-profile-name=web --tags=")
    assert sent_tags(row["next_step"]) == {"Env": "", "Owner": "ops"}


@pytest.mark.parametrize("key", ["eks:cluster-name", "karpenter.sh/managed-by", "kubernetes.io/cluster/prod"])
def test_the_next_step_copies_no_tag_that_proves_a_creator(tmp_path: Path, key: str) -> None:
    (row,) = rows(tmp_path / "some", link({key: "prod", "Owner": "ops"}, {}), "untagged_profiles")
    assert sent_tags(row["next_step"]) == {"Owner": "ops"}
    (row,) = rows(tmp_path / "none", link({key: "prod"}, {}), "untagged_profiles")
    assert row["next_step"] == "aws iam list-instance-profile-tags --instance-profile-name=web"
    assert not row["next_step_changes"]
    (row,) = rows(tmp_path / "other", link({key: "prod", "A": "1"}, {key: "test", "A": "2"}), "tag_differences")
    assert sent_tags(row["next_step"]) == {"A": "1"}


def test_a_profile_that_its_maker_cannot_tag_is_untagged_as_info(tmp_path: Path) -> None:
    documents = {"p.json": profile_list(profile(NODE_UUID, nested_role("nodes")))} | tag_files({NODE_UUID: {}})
    (row,) = rows(tmp_path, documents, "untagged_profiles")
    assert (row["maker"], row["expected"], row["severity"]) == ("EKS managed node groups", True, "info")


def test_tags_that_were_denied_are_told_so_and_the_others_judged(tmp_path: Path) -> None:
    documents = {f"{ACCOUNT}/{name}": content for name, content in tagged(a={}, b=None).items()}
    documents[f"{ACCOUNT}/denied.csv"] = "operation,subject,error_code\nListInstanceProfileTags,b,AccessDenied\n"
    assert found(tmp_path, documents, "untagged_profiles") == [f"{PROFILE_ARN}a"]
    status, reason = covered(tmp_path, documents, "untagged_profiles")
    assert status == "partial"
    assert reason.startswith("the tags of 1 of 2 profiles were not collected (ListInstanceProfileTags was denied);")


def test_denied_tags_are_no_reason_for_an_incomplete_list_of_roles(tmp_path: Path) -> None:
    documents: dict[str, Any] = {f"{ACCOUNT}/r.json": {"Role": nested_role("a", Tags=tag_list({"Team": "x"}))}}
    for operation, named in (("ListRoleTags", ""), ("ListRoles", " (ListRoles was denied)")):
        denied = f"operation,subject,error_code\n{operation},,AccessDenied\n"
        folder = tmp_path / operation
        status, reason = covered(folder, documents | {f"{ACCOUNT}/denied.csv": denied}, "untagged_roles")
        assert (status, reason.partition(";")[0]) == ("partial", f"the list of roles is incomplete{named}")


def test_a_role_without_tags_is_untagged(tmp_path: Path) -> None:
    documents = {"d.json": dump(role_detail("bare"), role_detail("owned", tags={"Owner": "x"}))}
    (row,) = rows(tmp_path, documents, "untagged_roles")
    assert (row["resource_arn"], row["resource_type"], row["detail"]) == (f"{ROLE_ARN}bare", "role", "has no tags")
    assert (row["severity"], row["next_step"]) == ("medium", "aws iam list-role-tags --role-name=bare")


@pytest.mark.parametrize(
    "documents",
    [
        {"r.json": {"Roles": [nested_role("a")]}},
        {"r.json": {"Roles": [nested_role("a") | {"Tags": []}]}},
        {"p.json": profile_list(profile("a", nested_role("a")))},
        {"d.json": dump(role_detail("a", path=SERVICE_LINKED), role_detail("b", path=IDENTITY_CENTER))},
    ],
)
def test_a_role_of_unknown_tags_or_that_aws_manages_is_not_untagged(tmp_path: Path, documents: dict[str, Any]) -> None:
    assert found(tmp_path, documents, "untagged_roles") == []


def test_a_role_of_get_role_without_tags_is_untagged(tmp_path: Path) -> None:
    documents = {"r.json": {"Role": nested_role("a") | {"RoleLastUsed": {}}}}
    assert found(tmp_path, documents, "untagged_roles") == [f"{ROLE_ARN}a"]
    assert covered(tmp_path, documents, "untagged_roles")[0] == "partial"


def test_the_next_step_copies_the_tags_of_the_profile(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, link({}, {"Owner": "ops", "aws:x": "y"}), "untagged_roles")
    assert row["detail"] == "has no tags, but its profile has 2 tags"
    assert row["next_step"].startswith("aws iam tag-role --role-name=web --tags=")
    assert sent_tags(row["next_step"]) == {"Owner": "ops"}


def test_an_untagged_role_in_several_profiles_gets_only_the_tags_that_all_of_them_have(tmp_path: Path) -> None:
    role, names = nested_role("shared"), "abc"
    documents = {
        "d.json": dump(role_detail("shared", [profile(name) for name in names])),
        "p.json": profile_list(*(profile(name, role) for name in names)),
    }
    tags: dict[str, Tags] = {name: {"Owner": "ops", "Env": "prod", "Name": name} for name in names}
    (row,) = rows(tmp_path / "alike", documents | tag_files(tags), "untagged_roles")
    assert row["detail"] == "has no tags, but its 3 profiles have 2 tags in common"
    assert sent_tags(row["next_step"]) == {"Owner": "ops", "Env": "prod"}
    unlike = documents | tag_files({name: {"Name": name} for name in names})
    (row,) = rows(tmp_path / "unlike", unlike, "untagged_roles")
    assert (row["detail"], row["next_step"]) == ("has no tags", "aws iam list-role-tags --role-name=shared")
    assert not row["next_step_changes"]
    one_unknown = documents | tag_files({"a": tags["a"], "b": tags["b"]})
    (row,) = rows(tmp_path / "unknown", one_unknown, "untagged_roles")
    assert row["next_step"] == "aws iam list-role-tags --role-name=shared"


def test_a_tag_that_not_all_profiles_of_a_role_have_is_not_copied_to_the_role(tmp_path: Path) -> None:
    role = nested_role("shared")
    documents = {
        "d.json": dump(role_detail("shared", [profile("a"), profile("b")], {"Owner": "ops"})),
        "p.json": profile_list(profile("a", role), profile("b", role)),
    }
    cases: dict[str, tuple[Tags, list[Tags | None]]] = {
        "other value": ({"Owner": "ops", "Env": "test"}, [None, None]),
        "none": ({"Owner": "ops"}, [None]),
        "untagged": ({}, [None]),
        "alike": ({"Owner": "ops", "Env": "prod"}, [{"Env": "prod"}, {"Env": "prod"}]),
    }
    for name, (other, sent) in cases.items():
        both = {"a": {"Owner": "ops", "Env": "prod", "Team": "1"}, "b": other}
        steps = [row["next_step"] for row in rows(tmp_path / name, documents | tag_files(both), "tag_differences")]
        assert [sent_tags(step) if " tag-role " in step else None for step in steps] == sent, name


def many(letter: str, count: int, value: str = "") -> Tags:
    return {f"{letter}{number}": value for number in range(count)}


@pytest.mark.parametrize(
    ("role", "held_by", "command", "says"),
    [
        (many("r", 20), many("p", 30), "tag-instance-profile", "tag 'r0' is missing on the profile"),
        (many("p", 50, "x"), many("p", 50), "tag-instance-profile", "tag 'p0' is 'x' on the role and empty on the"),
        (many("p", 1), many("p", 50), "tag-role", "tag 'p1' is missing on the role"),
        (
            many("r", 21),
            many("p", 30),
            "list-instance-profile-tags",
            "tag 'r0' is missing on the profile; with all tags of its role, the profile would have 51 tags",
        ),
    ],
)
def test_the_next_step_gives_nothing_more_than_50_tags(
    tmp_path: Path, role: Tags, held_by: Tags, command: str, says: str
) -> None:
    (row,) = rows(tmp_path, link(role, held_by), "tag_differences")
    assert row["next_step"].split()[2] == command
    assert row["detail"].startswith(says)
    assert row["next_step_changes"] is not command.startswith("list")


NAMES = ["a b", "it's", 'say "hi"', "$(rm -rf)", "-rf", "a\nb"]


@pytest.mark.parametrize("name", NAMES)
def test_the_next_step_hands_over_hostile_names_and_tags_as_they_are(tmp_path: Path, name: str) -> None:
    tags = {f"{name} key": f"{name}\\", "'": '"', "a,b": "Key=x,Value=y"}
    # A file may not be named after such a profile: what it holds is told by its own answer.
    documents = {
        "d.json": dump(role_detail("r", [profile(name)], tags)),
        "g.json": {"InstanceProfile": profile(name, nested_role("r"), Tags=[])},
    }
    (row,) = rows(tmp_path, documents, "untagged_profiles")
    command = ["aws", "iam", "tag-instance-profile", f"--instance-profile-name={name}"]
    assert shlex.split(row["next_step"])[:4] == command
    assert sent_tags(row["next_step"]) == tags


# Differences


@pytest.mark.parametrize(
    ("role", "held_by", "detail"),
    [
        ({"Cost": "4711"}, {"Cost": "4812"}, "tag 'Cost' is '4711' on the role and '4812' on the profile"),
        ({"Env": "x"}, {"env": "x"}, "tag 'Env' on the role is spelled 'env' on the profile (only the case differs)"),
        ({"Owner": "x", "A": "1"}, {"A": "1"}, "tag 'Owner' is missing on the profile"),
        ({"A": "1"}, {"A": "1", "Owner": "x"}, "tag 'Owner' is missing on the role"),
        ({"Env": "Prod"}, {"Env": "prod"}, "tag 'Env' is 'Prod' on the role and 'prod' on the profile"),
        ({"Owner": ""}, {"Owner": "x"}, "tag 'Owner' is empty on the role and 'x' on the profile"),
        # What the eye misses is spelled out.
        ({"Env": "prod"}, {"Env": "prod "}, "tag 'Env' is 'prod' on the role and 'prod  [prod ]' on the profile"),
        ({"Env": "prod"}, {"Env": " prod"}, "tag 'Env' is 'prod' on the role and ' prod [ prod]' on the profile"),
        (
            {"Env": "prod"},
            {"Env": "prod\u200b"},
            "tag 'Env' is 'prod' on the role and 'prod\u200b [prod\\u200b]' on the profile",
        ),
    ],
)
def test_a_link_whose_sides_disagree_is_found_with_how(tmp_path: Path, role: Tags, held_by: Tags, detail: str) -> None:
    (row,) = rows(tmp_path, link(role, held_by), "tag_differences")
    assert (row["resource_arn"], row["related_arn"]) == (f"{PROFILE_ARN}web", f"{ROLE_ARN}web")
    assert (row["resource_type"], row["severity"], row["expected"]) == ("instance-profile", "medium", False)
    assert row["detail"] == detail


def test_several_differences_of_a_link_are_one_row(tmp_path: Path) -> None:
    role = {"CostCenter": "1", "Env": "prod", "Owner": "x", "Same": "s", "aws:a": "1"}
    held_by = {"CostCenter": "2", "Team": "t", "owner": "x", "Same": "s", "aws:a": "2"}
    (row,) = rows(tmp_path, link(role, held_by), "tag_differences")
    # Three are told in the sentence; all of them are facts.
    assert row["detail"] == (
        "tag 'CostCenter' is '1' on the role and '2' on the profile; tag 'Owner' on the role is spelled 'owner' on the "
        "profile (only the case differs); tag 'Env' is missing on the profile; and 1 more difference"
    )
    columns = ("finding_id", "kind", "tag_key", "profile_key", "role_value", "profile_value")
    assert facts(tmp_path, link(role, held_by), "tag_differences", *columns) == [
        [row["finding_id"], "value", "CostCenter", "CostCenter", "1", "2"],
        [row["finding_id"], "key_case", "Owner", "owner", "x", "x"],
        [row["finding_id"], "missing_on_profile", "Env", None, "prod", None],
        [row["finding_id"], "missing_on_role", "Team", "Team", None, "t"],
    ]


@pytest.mark.parametrize(
    ("role", "held_by", "untagged"),
    [
        ({}, {"Owner": "x"}, "untagged_roles"),
        ({"aws:a": "1"}, {"Owner": "x"}, "untagged_roles"),
        ({"Owner": "x"}, {}, "untagged_profiles"),
        ({"Owner": "x"}, {"aws:a": "1"}, "untagged_profiles"),
    ],
)
def test_a_side_without_any_tags_is_untagged_and_no_difference(
    tmp_path: Path, role: Tags, held_by: Tags, untagged: str
) -> None:
    result = run_checks(load(tmp_path, link(role, held_by)))
    accused = result.findings["check"]
    assert set(accused) & {"tag_differences", "untagged_roles", "untagged_profiles"} == {untagged}
    assert result[untagged]["related_tag_count"].tolist() == [1]
    assert covered(tmp_path, link(role, held_by), "tag_differences") == ("complete", "")


@pytest.mark.parametrize(
    ("role", "held_by"),
    [
        ({}, {}),
        ({"Owner": "x", "Env": ""}, {"Env": "", "Owner": "x"}),
        ({"aws:a": "1"}, {"aws:b": "2"}),
        ({"Owner": "x", "AWS:a": "1"}, {"Owner": "x"}),
        ({"Owner": "x"}, None),
    ],
)
def test_sides_that_agree_or_were_not_read_do_not_differ(tmp_path: Path, role: Tags, held_by: Tags | None) -> None:
    assert found(tmp_path, link(role, held_by), "tag_differences") == []


def test_a_role_that_aws_manages_does_not_differ(tmp_path: Path) -> None:
    documents = link({"Owner": "x"}, {}, path=SERVICE_LINKED)
    documents["d.json"] = dump(role_detail("web", [profile("web")], {"Owner": "x"}, path=SERVICE_LINKED))
    assert found(tmp_path, documents, "tag_differences") == []
    assert covered(tmp_path, documents, "tag_differences") == ("complete", "")


def test_a_key_that_the_role_has_in_another_case_is_not_called_missing_there(tmp_path: Path) -> None:
    # A profile may carry both, a role may not: tagging the role with one would overwrite the other.
    (row,) = rows(tmp_path, link({"Owner": "x"}, {"Owner": "x", "owner": "y"}), "tag_differences")
    assert "tag 'owner' is missing on the role" not in row["detail"]
    assert "case" in row["detail"]
    assert "tag-role" not in row["next_step"]


@pytest.mark.parametrize(
    ("role", "held_by", "said"),
    [
        # The role's key, the profile's keys that spell it otherwise or with another value, and what either side lacks.
        ({"Owner": "x"}, {"owner": "x", "OWNER": "y"}, ["owner", "OWNER"]),
        ({"Owner": "x"}, {"Owner": "x", "owner": "x", "OWNER": "x"}, ["owner", "OWNER"]),
        ({"Owner": "x"}, {"Owner": "y", "owner": "x"}, ["value Owner", "owner"]),
        ({"Owner": ""}, {"owner": "", "oWner": "", "OWNER": ""}, ["owner", "oWner", "OWNER"]),
        (
            {"Owner": "x", "Team": "a", "Env": "e"},
            {"OWNER": "x", "owner": "z", "TEAM": "a", "team": "b", "Cost": "1"},
            ["OWNER", "owner", "TEAM", "team", "missing_on_profile Env", "missing_on_role Cost"],
        ),
        ({"Owner": "x", "aws:Owner": "1"}, {"owner": "x", "OWNER": "x", "AWS:owner": "2"}, ["owner", "OWNER"]),
    ],
)
def test_every_spelling_of_a_key_is_told_once(tmp_path: Path, role: Tags, held_by: Tags, said: list[str]) -> None:
    told = facts(tmp_path, link(role, held_by), "tag_differences", "kind", "tag_key", "profile_key")
    spelled = [other if kind == "key_case" else f"{kind} {key}" for kind, key, other in told]
    assert sorted(spelled) == sorted(said)


@pytest.mark.parametrize(
    ("role", "profile_tags", "is_expected"),
    [
        ({"Owner": "ops"}, {"eks:eks-cluster-name": "prod", "kubernetes.io/cluster/prod": "owned"}, True),
        ({"Owner": "dev"}, {"eks:eks-cluster-name": "prod"}, False),
        ({"Owner": "ops", "Env": "prod"}, {"eks:eks-cluster-name": "prod"}, False),
        ({"Owner": "ops"}, {"eks:eks-cluster-name": "prod", "Env": "prod"}, False),
        ({"Owner": "ops", "eks:eks-cluster-name": "prod"}, {}, False),
        ({"Owner": "ops", "eks:eks-cluster-name": "prod"}, {"eks:eks-cluster-name": "test"}, False),
        # kOps writes this tag to role and profile, and Kubermatic the next one.
        ({"Owner": "ops"}, {"kubernetes.io/cluster/prod": "owned"}, False),
        ({"Owner": "ops"}, {"owned-by.kubermatic.k8c.io/prod": ""}, False),
    ],
)
def test_tags_that_only_its_tool_gives_to_a_profile_are_a_difference_by_design(
    tmp_path: Path, role: Tags, profile_tags: Tags, is_expected: bool
) -> None:
    (row,) = rows(tmp_path, link(role, profile_tags | {"Owner": "ops"}), "tag_differences")
    assert (row["expected"], row["severity"]) == (is_expected, "info" if is_expected else "medium")


def test_a_key_that_the_profile_spells_twice_is_in_no_command_for_the_role(tmp_path: Path) -> None:
    # IAM refuses to tag a role with both: "Tag keys are case insensitive".
    held_by = {"A": "1", "Team": "t", "TEAM": "u", "Cost": "2"}
    (row,) = rows(tmp_path / "one", link({"A": "1"}, held_by), "tag_differences")
    assert sorted(row["detail"].split("; ")) == [
        f"tag '{key}' is missing on the role" for key in ("Cost", "TEAM", "Team")
    ]
    assert sent_tags(row["next_step"]) == {"Cost": "2"}
    (row,) = rows(tmp_path / "two", link({"A": "1"}, {"A": "1", "Team": "t", "TEAM": "u"}), "tag_differences")
    assert row["next_step"] == "aws iam list-instance-profile-tags --instance-profile-name=web"
    (row,) = rows(tmp_path / "three", link({}, held_by), "untagged_roles")
    assert sent_tags(row["next_step"]) == {"A": "1", "Cost": "2"}


def test_keys_of_another_case_and_another_value_differ_by_both(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, link({"Owner": "alice"}, {"owner": "bob"}), "tag_differences")
    assert "only the case differs" not in row["detail"]
    assert "alice" in row["detail"]
    assert "bob" in row["detail"]


def test_each_profile_of_a_role_is_compared_with_it(tmp_path: Path) -> None:
    role = nested_role("shared")
    documents = {
        "d.json": dump(role_detail("shared", [profile(name) for name in "abc"], {"Owner": "x"})),
        "p.json": profile_list(*(profile(name, role) for name in "abc")),
    } | tag_files({"a": {"Team": "t"}, "b": {"Owner": "x"}, "c": {"Owner": "y"}})
    assert sorted(facts(tmp_path, documents, "tag_differences", "resource_name", "tag_key", "kind")) == [
        ["a", "Owner", "missing_on_profile"],
        ["a", "Team", "missing_on_role"],
        ["c", "Owner", "value"],
    ]


def test_each_link_is_told_its_own_differences(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d"]
    roles: dict[str, Tags] = {"a": {"K": "1"}, "b": {"K": "2", "L": "1"}, "c": {"L": "1"}, "d": {"L": "9"}}
    held_by: dict[str, Tags | None] = {"a": {"K": "1"}, "b": {"K": "3"}, "c": {"L": "1", "M": "1"}, "d": {"l": "9"}}
    documents = {
        "d.json": dump(*(role_detail(name, [profile(name)], roles[name]) for name in names)),
        "p.json": profile_list(*(profile(name, nested_role(name)) for name in names)),
    } | tag_files(held_by)
    details = {row["resource_name"]: row["detail"] for row in rows(tmp_path, documents, "tag_differences")}
    assert details == {
        "b": "tag 'K' is '2' on the role and '3' on the profile; tag 'L' is missing on the profile",
        "c": "tag 'M' is missing on the role",
        "d": "tag 'L' on the role is spelled 'l' on the profile (only the case differs)",
    }


@pytest.mark.parametrize(
    ("role", "held_by", "verb", "tags"),
    [
        ({"A": "1", "B": "2"}, {"A": "0"}, "tag-instance-profile", {"A": "1", "B": "2"}),
        ({"A": "1"}, {"A": "0", "C": "3"}, "tag-instance-profile", {"A": "1"}),
        ({"A": "1"}, {"A": "1", "C": "3", "D": ""}, "tag-role", {"C": "3", "D": ""}),
    ],
)
def test_the_next_step_puts_on_the_profile_what_the_role_has_or_else_the_other_way(
    tmp_path: Path, role: Tags, held_by: Tags, verb: str, tags: Tags
) -> None:
    (row,) = rows(tmp_path, link(role, held_by), "tag_differences")
    assert shlex.split(row["next_step"])[:3] == ["aws", "iam", verb]
    assert sent_tags(row["next_step"]) == tags


ENVIRONMENT = """
[required_tags]
Environment = ["prod", "test"]
Team = { pattern = "[a-z]+", on = ["role"] }
"""


@pytest.mark.parametrize(
    ("check", "role", "held_by", "tags"),
    [
        ("untagged_profiles", {"Environment": "live", "A": "1"}, {}, {"A": "1"}),
        ("untagged_profiles", {"Environment": "live"}, {}, None),
        ("untagged_profiles", {"Environment": "prod", "Team": "7"}, {}, {"Environment": "prod", "Team": "7"}),
        ("untagged_roles", {}, {"Environment": "test", "Team": "7"}, {"Environment": "test"}),
        ("untagged_roles", {}, {"Team": "7"}, None),
        ("tag_differences", {"Environment": "live", "A": "1"}, {"Environment": "prod"}, {"A": "1"}),
        ("tag_differences", {"Environment": "live"}, {"Environment": "prod", "B": "2"}, {"B": "2"}),
        ("tag_differences", {"A": "1"}, {"A": "1", "Team": "7"}, None),
        ("tag_differences", {"environment": "live"}, {"A": "1"}, {"environment": "live"}),
    ],
)
def test_the_next_step_copies_no_tag_that_the_policy_file_does_not_allow_there(
    tmp_path: Path, check: str, role: Tags, held_by: Tags, tags: Tags | None
) -> None:
    (row,) = rows(tmp_path, link(role, held_by), check, ENVIRONMENT)
    assert row["next_step_changes"] == (tags is not None)
    if tags is None:
        assert shlex.split(row["next_step"])[2] in ("list-instance-profile-tags", "list-role-tags")
    else:
        assert sent_tags(row["next_step"]) == tags


def test_the_next_step_of_a_difference_of_case_shows_what_is_there(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, link({"Owner": "x"}, {"owner": "x"}), "tag_differences")
    assert row["next_step"] == "aws iam list-instance-profile-tags --instance-profile-name=web"


@pytest.mark.parametrize(
    ("tags", "check", "severity"), [({}, "untagged_profiles", "info"), ({"Other": "y"}, "tag_differences", "medium")]
)
def test_tags_that_its_maker_cannot_put_on_the_profile_are_expected_to_be_missing(
    tmp_path: Path, tags: Tags, check: str, severity: str
) -> None:
    documents = {
        "d.json": dump(role_detail("nodes", [profile(NODE_UUID)], {"Owner": "x"})),
        "p.json": profile_list(profile(NODE_UUID, nested_role("nodes"))),
    } | tag_files({NODE_UUID: tags})
    (row,) = rows(tmp_path, documents, check)
    assert (row["severity"], row["expected"], row["maker"]) == (severity, severity == "info", "EKS managed node groups")


# Required tags

OWNER = '[required_tags]\nOwner = "*"\n'


def demanded(folder: Path, documents: dict[str, Any], policy: str) -> dict[str, str]:
    return {row["resource_arn"]: row["detail"] for row in rows(folder, documents, "missing_required_tags", policy)}


def test_a_resource_without_a_key_that_is_demanded_is_found(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, {"d.json": dump(role_detail("a"))}, "missing_required_tags", OWNER)
    assert (row["resource_arn"], row["resource_type"], row["severity"]) == (f"{ROLE_ARN}a", "role", "medium")
    assert (row["detail"], row["next_step"]) == ("tag 'Owner' is missing", "aws iam list-role-tags --role-name=a")


def test_profiles_and_roles_are_both_held_to_the_policy(tmp_path: Path) -> None:
    expected = {f"{PROFILE_ARN}web": "tag 'Owner' is missing"}
    assert demanded(tmp_path, link({"Owner": ""}, {"owner": "x"}), OWNER) == expected


@pytest.mark.parametrize(
    ("rule", "value", "detail"),
    [
        ('["prod", "test"]', "prod", None),
        ('["prod", "test"]', "Prod", "tag 'Key' is 'Prod', but the policy file allows only prod, test"),
        ('"prod"', "test", "tag 'Key' is 'test', but the policy file allows only prod"),
        ('"*"', "anything", None),
        ("true", "anything", None),
        ('{ pattern = "[0-9]{4}" }', "4711", None),
        ('{ pattern = "[0-9]{4}" }', "47110", "tag 'Key' is '47110', which does not match [0-9]{4}"),
        ('{ values = ["a"] }', "b", "tag 'Key' is 'b', but the policy file allows only a"),
        ('"prod"', "", "tag 'Key' is empty, but the policy file allows only prod"),
        ('{ pattern = "[0-9]{4}" }', "", "tag 'Key' is empty, which does not match [0-9]{4}"),
    ],
)
def test_a_value_must_be_one_that_the_policy_allows(tmp_path: Path, rule: str, value: str, detail: str | None) -> None:
    documents = {"d.json": dump(role_detail("a", tags={"Key": value}))}
    expected = {} if detail is None else {f"{ROLE_ARN}a": detail}
    assert demanded(tmp_path, documents, f"[required_tags]\nKey = {rule}\n") == expected


def test_several_keys_of_one_resource_are_one_row(tmp_path: Path) -> None:
    policy = '[required_tags]\nA = "*"\nB = ["x"]\nC = "*"\n'
    documents = {"d.json": dump(role_detail("a", tags={"B": "y", "C": "1"}), role_detail("b", tags={"B": "x"}))}
    assert demanded(tmp_path, documents, policy) == {
        f"{ROLE_ARN}a": "tag 'A' is missing; tag 'B' is 'y', but the policy file allows only x",
        f"{ROLE_ARN}b": "tag 'A' is missing; tag 'C' is missing",
    }


def test_a_rule_for_roles_leaves_profiles_alone(tmp_path: Path) -> None:
    policy = '[required_tags]\nOwner = { on = ["role"] }\n'
    assert demanded(tmp_path, link({}, {}), policy) == {f"{ROLE_ARN}web": "tag 'Owner' is missing"}


@pytest.mark.parametrize(
    "documents",
    [
        {"r.json": {"Roles": [nested_role("a")]}},
        {"p.json": profile_list(profile("a", nested_role("a")))},
        {"d.json": dump(role_detail("a", path=SERVICE_LINKED))},
    ],
)
def test_unknown_tags_and_roles_that_aws_manages_lack_nothing(tmp_path: Path, documents: dict[str, Any]) -> None:
    assert demanded(tmp_path, documents, OWNER) == {}


def test_without_a_policy_nothing_is_demanded_and_that_is_said(tmp_path: Path) -> None:
    documents = {"d.json": dump(role_detail("a"))}
    assert found(tmp_path, documents, "missing_required_tags") == []
    status, reason = covered(tmp_path, documents, "missing_required_tags")
    assert status == "unknown"
    assert reason.startswith(
        "required tags were not checked, because no policy file with [required_tags] was given; use"
    )


# Keys that read alike


def keyed(*keys: str, account: str = ACCOUNT, path: str = "/") -> dict[str, Any]:
    """A dump of one role for each key."""
    return dump(*(role_detail(f"r{n}", tags={key: "x"}, account=account, path=path) for n, key in enumerate(keys)))


def test_keys_that_read_alike_are_one_row_with_how_often_each_is_used(tmp_path: Path) -> None:
    documents = {"d.json": keyed("Owner", "owner", "owner", "CostCenter", "cost-center", "Team")}
    found = rows(tmp_path, documents, "tag_key_variants")
    assert [row["detail"] for row in found] == [
        "the key has spellings that differ by case and separator: CostCenter (1 resource), cost-center (1 resource)",
        "the key has spellings that differ by case: owner (2 resources), Owner (1 resource)",
    ]
    assert {(row["resource_arn"], row["related_arn"], row["account_id"]) for row in found} == {(None, None, ACCOUNT)}
    assert {(row["severity"], row["resource_type"], row["expected"]) for row in found} == {("low", "tag key", False)}


@pytest.mark.parametrize(
    ("key", "other", "detail"),
    [
        ("\u039fwner", "Owner", "look-alike letters: Owner (1 resource), \u039fwner [\\u039fwner] (1 resource)"),
        ("\uff2fwner", "Owner", "width: Owner (1 resource), \uff2fwner [\\uff2fwner] (1 resource)"),
        ("Owner\u3164", "Owner", "invisible letters: Owner (1 resource), Owner\u3164 [Owner\\u3164] (1 resource)"),
        ("Cost\u00a0Center", "Cost Center",
         "space: Cost Center (1 resource), Cost\u00a0Center [Cost\\u00a0Center] (1 resource)"),
    ],
)  # fmt: skip
def test_what_the_eye_misses_is_spelled_out(tmp_path: Path, key: str, other: str, detail: str) -> None:
    (row,) = rows(tmp_path, {"d.json": keyed(key, other)}, "tag_key_variants")
    assert row["detail"] == f"the key has spellings that differ by {detail}"


@pytest.mark.parametrize(
    "documents",
    [
        {"d.json": keyed("Owner", "Owner", "Owners")},
        {"a/d.json": keyed("Owner"), "b/d.json": keyed("owner", account=OTHER)},
        {"d.json": keyed("aws:Owner", "AWS:owner")},
        {"d.json": keyed("Owner", "owner", path=SERVICE_LINKED)},
    ],
)
def test_other_keys_other_accounts_and_what_aws_reserves_or_manages_make_no_variants(
    tmp_path: Path, documents: dict[str, Any]
) -> None:
    assert rows(tmp_path, documents, "tag_key_variants") == []


def test_a_key_of_a_profile_and_one_of_a_role_are_variants_too(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, link({"Owner": "x"}, {"owner": "x"}), "tag_key_variants")
    assert row["detail"] == "the key has spellings that differ by case: Owner (1 resource), owner (1 resource)"


# What each check needs

DUMP = "`aws iam get-account-authorization-details --filter Role`"
SIDES = "tags of the role or the profile are unknown for 1 of 1 profile with a role"
ROLE_A = {"d.json": dump(role_detail("a"))}


@pytest.mark.parametrize(
    ("check", "documents", "status", "says"),
    [
        ("untagged_profiles", tagged(a={}, b={"Owner": "x"}), "complete", ""),
        ("untagged_profiles", tagged(a={}, b=None), "partial", "the tags of 1 of 2 profiles were not collected"),
        ("untagged_profiles", tagged(a=None, b=None), "unknown", "the tags of 2 of 2 profiles were not collected"),
        ("untagged_roles", ROLE_A, "complete", ""),
        (
            "untagged_roles",
            {"d.json": dump(role_detail("a"), NextToken="x")},
            "partial",
            "export the list of roles again, without --max-",
        ),
        ("untagged_roles", ROLE_A | {"p.json": profile_list(profile("b", nested_role("b")))}, "partial", DUMP),
        ("untagged_roles", {"r.json": {"Roles": [nested_role("a")]}}, "unknown", DUMP),
        ("untagged_roles", {"p.json": profile_list(profile("a", nested_role("a")))}, "unknown", DUMP),
        ("tag_differences", link({"Owner": "x"}, {"Owner": "x"}), "complete", ""),
        ("tag_differences", link({"Owner": "x"}, None), "unknown", SIDES),
        ("tag_differences", tagged(web={}), "unknown", SIDES),
        ("tag_differences", {"d.json": dump(role_detail("web"))}, "complete", ""),
        ("missing_required_tags", link({}, {}), "complete", ""),
        ("missing_required_tags", link({}, None), "partial", ""),
        ("missing_required_tags", tagged(a=None), "unknown", ""),
        ("tag_key_variants", link({}, {}), "complete", ""),
        ("tag_key_variants", ROLE_A, "partial", ""),
        ("tag_key_variants", tagged(a=None), "unknown", ""),
    ],
)
def test_a_check_of_tags_needs_the_tags_of_all_that_it_judges(
    tmp_path: Path, check: str, documents: dict[str, Any], status: str, says: str
) -> None:
    said = covered(tmp_path, documents, check, OWNER if check == "missing_required_tags" else None)
    assert said[0] == status
    assert says in said[1]
    assert bool(said[1]) == (status != "complete")
