"""Names and paths of a role and its profile that do not match."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from accounts import add
from accounts import load as load_account
from builders import ACCOUNT, dump, load, nested_role, profile, profile_list, role_detail
from checking import HOSTILE, covered, found, rows
from terraform import state_of_profile

from iamframe import run_checks
from iamframe.errors import PolicyError
from iamframe.practice import PracticeAccount

OTHER = "000000000002"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/"
PROFILE_ARN = f"arn:aws:iam::{ACCOUNT}:instance-profile/"
NODE_UUID = "eks-08c968da-2d88-0096-4c82-1ee57490a6af"
CLOUD9 = profile("AWSCloud9SSMInstanceProfile", nested_role("AWSCloud9SSMAccessRole", "/service-role/"), "/cloud9/")


def listed(*profiles: dict[str, Any]) -> dict[str, Any]:
    return {"p.json": profile_list(*profiles)}


# Names


@pytest.mark.parametrize(
    ("role", "name", "relation"),
    [
        ("Web", "web", "case"),
        ("web-role", "web-profile", "affix"),
        ("web-4067990795380418201", "web-1193844207756120033", "generated"),
        ("green", "blue", "different"),
    ],
)
def test_a_link_of_two_names_is_found_with_how_they_differ(tmp_path: Path, role: str, name: str, relation: str) -> None:
    (row,) = rows(tmp_path, listed(profile(name, nested_role(role))), "name_mismatches")
    assert (row["resource_arn"], row["related_arn"], row["relation"]) == (PROFILE_ARN + name, ROLE_ARN + role, relation)
    assert (row["severity"], row["expected"], row["certainty"]) == ("low", False, "certain")
    assert row["detail"] == f"holds the role {role}"
    assert row["next_step"] == f"aws iam get-instance-profile --instance-profile-name={name}"


@pytest.mark.parametrize(
    "documents",
    [
        listed(profile("web", nested_role("web", path="/other/"))),
        listed(profile("web")),
        {"d.json": dump(role_detail("web"))},
    ],
)
def test_equal_names_and_halves_without_another_do_not_mismatch(tmp_path: Path, documents: dict[str, Any]) -> None:
    assert found(tmp_path, documents, "name_mismatches") == []
    assert covered(tmp_path, documents, "name_mismatches") == ("complete", "")


def test_a_role_that_only_its_name_shows_is_compared(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, {"s.tfstate": state_of_profile("web-profile", "web-role")}, "name_mismatches")
    assert (row["related_arn"], row["relation"]) == ("name:web-role", "affix")


def test_a_mismatch_that_its_maker_means_is_kept_as_info(tmp_path: Path) -> None:
    eks = profile(NODE_UUID, nested_role("nodes"))
    makers = {row["maker"]: row for row in rows(tmp_path, listed(CLOUD9, eks), "name_mismatches")}
    assert makers.keys() == {"AWS Cloud9", "EKS managed node groups"}
    assert {row["severity"] for row in makers.values()} == {"info"}
    assert {row["expected"] for row in makers.values()} == {True}


def test_names_that_their_maker_means_equal_are_not_expected_to_differ(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, listed(profile("EMR_EC2_DefaultRole", nested_role("emr"))), "name_mismatches")
    assert (row["severity"], row["expected"], row["maker_basis"]) == ("low", False, "guess")


def test_expected_and_other_mismatches_are_told_apart_in_one_account(tmp_path: Path) -> None:
    blue = profile("blue", nested_role("green"))
    severities = {
        row["resource_name"]: row["severity"] for row in rows(tmp_path, listed(blue, CLOUD9), "name_mismatches")
    }
    assert severities == {"blue": "low", "AWSCloud9SSMInstanceProfile": "info"}


def test_the_next_step_hands_over_a_hostile_name_as_one_word(tmp_path: Path) -> None:
    named = rows(tmp_path, listed(*(profile(name, nested_role("web")) for name in HOSTILE)), "name_mismatches")
    steps = {row["resource_name"]: shlex.split(row["next_step"]) for row in named}
    show = ["aws", "iam", "get-instance-profile"]
    assert steps == {name: [*show, f"--instance-profile-name={name}"] for name in HOSTILE}


# Paths


def test_a_link_of_two_paths_is_found_with_the_segments_of_each_side(tmp_path: Path) -> None:
    documents = listed(profile("web", nested_role("web", path="/service-role/"), path="/team/a/"))
    (row,) = rows(tmp_path, documents, "path_mismatches")
    assert (row["resource_arn"], row["related_arn"]) == (f"{PROFILE_ARN}team/a/web", f"{ROLE_ARN}service-role/web")
    assert (row["severity"], row["expected"]) == ("low", False)
    assert row["detail"] == "the profile has the path /team/a/, but its role has the path /service-role/"
    assert row["next_step"] == "aws iam get-instance-profile --instance-profile-name=web"


def test_a_path_of_nothing_but_the_slash_is_said_so(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, listed(profile("web", nested_role("web"), path="/team/")), "path_mismatches")
    assert row["detail"] == "the profile has the path /team/, but its role has the path /"


@pytest.mark.parametrize(
    "documents",
    [listed(profile("a", nested_role("b", path="/team/"), path="/team/")), listed(profile("a", path="/team/"))],
)
def test_equal_paths_and_profiles_alone_do_not_mismatch(tmp_path: Path, documents: dict[str, Any]) -> None:
    assert found(tmp_path, documents, "path_mismatches") == []
    assert covered(tmp_path, documents, "path_mismatches") == ("complete", "")


def test_paths_that_differ_by_case_alone_differ(tmp_path: Path) -> None:
    documents = listed(profile("a", nested_role("a", path="/Team/"), path="/team/"))
    assert found(tmp_path, documents, "path_mismatches") == [f"{PROFILE_ARN}team/a"]


def test_the_unknown_path_of_a_role_does_not_differ_and_is_told(tmp_path: Path) -> None:
    documents = {"s.tfstate": state_of_profile("web", "web")}
    assert found(tmp_path, documents, "path_mismatches") == []
    status, reason = covered(tmp_path, documents, "path_mismatches")
    assert status == "partial"
    assert "the path of the role is unknown for 1 of 1 profile with a role" in reason


def test_paths_that_their_maker_means_to_differ_are_info(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, listed(CLOUD9), "path_mismatches")
    assert (row["maker"], row["expected"], row["severity"]) == ("AWS Cloud9", True, "info")
    assert row["detail"] == "the profile has the path /cloud9/, but its role has the path /service-role/"


def test_a_maker_may_mean_the_names_to_differ_and_not_the_paths(tmp_path: Path) -> None:
    documents = listed(profile("s3access-profile", nested_role("s3access", path="/x/")))
    (row,) = rows(tmp_path, documents, "path_mismatches")
    maker = "AWS CLI commands from the EC2 User Guide"
    assert (row["maker"], row["expected"], row["severity"]) == (maker, False, "low")


# Crossed names


def crossing(holds: str, *roles: str, account: str = ACCOUNT) -> dict[str, Any]:
    """The profile `blue` that holds one role, and the other roles of the account."""
    held = role_detail(holds, [profile("blue", account=account)], account=account)
    return dump(held, *(role_detail(name, account=account) for name in roles))


def test_a_profile_that_holds_another_role_than_its_namesake_is_crossed(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, {"d.json": crossing("green", "blue")}, "crossed_names")
    assert (row["resource_arn"], row["related_arn"]) == (f"{PROFILE_ARN}blue", f"{ROLE_ARN}green")
    assert (row["severity"], row["relation"], row["expected"]) == ("high", "different", False)
    assert row["detail"] == f"holds the role green, although there is a role with the profile's name ({ROLE_ARN}blue)"
    assert row["next_step"] == "aws iam get-instance-profile --instance-profile-name=blue"


def test_the_namesake_is_looked_for_without_case_and_whatever_its_path(tmp_path: Path) -> None:
    documents = {"d.json": dump(role_detail("green", [profile("blue")]), role_detail("BLUE", path="/team/"))}
    (row,) = rows(tmp_path, documents, "crossed_names")
    assert row["detail"].endswith(f"({ROLE_ARN}team/BLUE)")


@pytest.mark.parametrize(
    "documents",
    [
        {"d.json": crossing("green")},
        {"d.json": crossing("blue", "green")},
        {"d.json": crossing("BLUE", "green")},
        {"d.json": crossing("green", "blue-role")},
        {"d.json": dump(role_detail("blue")), "p.json": profile_list(profile("blue"))},
        {"a/d.json": crossing("green"), "b/d.json": dump(role_detail("blue", account=OTHER))},
    ],
)
def test_a_profile_without_another_namesake_in_its_account_is_not_crossed(
    tmp_path: Path, documents: dict[str, Any]
) -> None:
    assert found(tmp_path, documents, "crossed_names") == []


def test_each_crossed_profile_is_told_with_its_own_namesake(tmp_path: Path) -> None:
    documents = {
        "d.json": dump(
            role_detail("a", [profile("b")]), role_detail("b", [profile("a")]), role_detail("c", [profile("x")])
        )
    }
    details = {row["resource_name"]: row["detail"] for row in rows(tmp_path, documents, "crossed_names")}
    assert details == {
        "a": f"holds the role b, although there is a role with the profile's name ({ROLE_ARN}a)",
        "b": f"holds the role a, although there is a role with the profile's name ({ROLE_ARN}b)",
    }


def test_a_profile_with_a_role_that_only_its_name_shows_may_be_crossed(tmp_path: Path) -> None:
    documents = {"s.tfstate": state_of_profile("blue", "green"), "r.json": {"Roles": [nested_role("blue")]}}
    (row,) = rows(tmp_path, documents, "crossed_names")
    assert row["related_arn"] == "name:green"


@pytest.mark.parametrize(
    ("documents", "status", "says"),
    [
        ({"d.json": crossing("blue")}, "complete", ""),
        ({"d.json": crossing("green") | {"NextToken": "x"}}, "partial", "1 role was collected, and there may be more"),
        (
            listed(profile("blue", nested_role("green"))),
            "unknown",
            "roles without a profile were not collected",
        ),
        (
            {"r.json": {"Roles": [nested_role("blue")]}},
            "unknown",
            "the data does not show which roles the profiles hold",
        ),
    ],
)
def test_crossed_names_need_all_roles_and_all_links(
    tmp_path: Path, documents: dict[str, Any], status: str, says: str
) -> None:
    said = covered(tmp_path, documents, "crossed_names")
    assert said[0] == status
    assert says in said[1]
    assert bool(said[1]) == (status != "complete")


# Makers: what names them, and what that hides


def with_tags(name: str, role: str, tags: dict[str, str]) -> dict[str, Any]:
    """The answer to GetInstanceProfile, which carries the profile's tags."""
    shown = profile(name, nested_role(role)) | {"Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
    return {"p.json": {"InstanceProfile": shown}}


@pytest.mark.parametrize(
    ("keys", "maker"),
    [
        (["eks:eks-cluster-name"], "EKS"),
        (["karpenter.k8s.aws/ec2nodeclass"], "Karpenter"),
        # Karpenter also writes the tag of EKS.
        (["eks:eks-cluster-name", "karpenter.k8s.aws/ec2nodeclass"], "Karpenter"),
    ],
)
def test_a_tag_that_only_its_maker_writes_tells_it_whatever_the_names(
    tmp_path: Path, keys: list[str], maker: str
) -> None:
    tags = dict.fromkeys(keys, "prod") | {"Owner": "web"}
    (row,) = rows(tmp_path, with_tags("green", "blue", tags), "name_mismatches")
    assert (row["maker"], row["maker_basis"], row["expected"], row["severity"]) == (maker, "tag", True, "info")


@pytest.mark.parametrize("key", ["kubernetes.io/cluster/prod", "QSConfigId-abcde", "Owner", "myeks:owner"])
def test_a_tag_that_people_and_other_tools_write_too_tells_no_maker(tmp_path: Path, key: str) -> None:
    (row,) = rows(tmp_path, with_tags("green", "blue", {key: "prod"}), "name_mismatches")
    assert (row["maker"], row["maker_basis"], row["expected"], row["severity"]) == (None, None, False, "low")


def test_names_of_both_sides_tell_more_than_a_tag(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, with_tags(NODE_UUID, "nodes", {"eks:cluster-name": "prod"}), "name_mismatches")
    assert (row["maker"], row["maker_basis"]) == ("EKS managed node groups", "pair")


@pytest.mark.parametrize(
    ("role", "name", "maker"),
    [
        ("AWSPCS-web", "shop", "AWS PCS"),
        ("ecsInstanceRole-prod", "ecsInstanceProfile-dev", "Amazon ECS Managed Instances"),
        ("nodes", "eks-local-prod", "EKS on Outposts"),
        ("shop-Role-1A2B3C4D5E6F", "mail-Profile-Z9Y8X7W6V5U4", "CloudFormation"),
    ],
)
def test_a_guess_is_told_and_changes_nothing(tmp_path: Path, role: str, name: str, maker: str) -> None:
    (row,) = rows(tmp_path, listed(profile(name, nested_role(role))), "name_mismatches")
    assert (row["maker"], row["maker_basis"], row["expected"], row["severity"]) == (maker, "guess", False, "low")
    assert row["next_step"]


def test_a_profile_without_a_role_is_never_expected_by_its_name(tmp_path: Path) -> None:
    empty = {"p.json": {"InstanceProfile": profile("shop-Profile-Z9Y8X7W6V5U4") | {"Tags": []}}}
    (row,) = rows(tmp_path, empty, "untagged_profiles")
    assert (row["maker"], row["maker_basis"], row["expected"], row["severity"]) == (
        "CloudFormation",
        "guess",
        False,
        "medium",
    )


# Names that a tool refuses

ARN = PROFILE_ARN + "{}"
# Links (profile, role, the role's path), and which tool uses each: what is said, with its certainty; None is nothing.
REFUSED: dict[str, tuple[str, str, str, str | None]] = {
    "web-profile": (
        "web",
        "/",
        "emr",
        "Amazon EMR uses the profile, but requires a role with the same name; the role is web",
    ),
    "web": ("web", "/", "emr", None),
    "WEB2": ("web2", "/", "emr", None),
    "datazone_emr_ec2_instance_profile_d4": ("datazone_emr_ec2_instance_role_d4", "/", "emr", None),
    "datazone_emr_ec2_instance_profile_e5": ("own", "/", "emr", "requires a role with the same name; the role is own"),
    "nobody-profile": ("nobody", "/", "", None),
    "db": ("AWSRDSCustomRole", "/", "rds", "begin with AWSRDSCustom; the profile holds the role AWSRDSCustomRole"),
    "AWSRDSCustomProfile": ("AWSRDSCustomDb", "/", "rds", None),
    "hpc": (
        "hpc-role",
        "/",
        "pcs",
        "begin with AWSPCS, and roles whose path contains /aws-pcs/; the profile holds the role hpc-role",
    ),
    "hpc2": ("hpc2-role", "/aws-pcs/", "pcs", None),
    "tasks": (
        "task-role",
        "/",
        "ecs",
        "AWS's policy for Amazon ECS Managed Instances allows only role names that begin with",
    ),
    "tasks2": ("ecsInstanceRoleX", "/", "ecs", None),
    "databricks-etl": ("etl", "/", "house", "for SQL Serverless, Databricks also needs the role's ARN"),
    "databricks": ("databricks", "/", "house", None),
}


def users() -> dict[str, Any]:
    """What uses the profiles, as the AWS CLI prints it."""
    of = {
        tool: [name for name, (_, _, by, _) in REFUSED.items() if by == tool] for tool in ("emr", "rds", "pcs", "ecs")
    }
    there = f"{ACCOUNT}/eu-west-1"
    documents: dict[str, Any] = {
        f"{there}/emr-{n}.json": {
            "Cluster": {
                "Id": f"j-{n}",
                "Status": {"State": "RUNNING"},
                "Ec2InstanceAttributes": {"IamInstanceProfile": one},
            }
        }
        for n, one in enumerate(of["emr"])
    }
    documents[f"{there}/rds.json"] = {
        "DBInstances": [{"DBInstanceIdentifier": n, "CustomIamInstanceProfile": n} for n in of["rds"]]
    }
    documents |= {
        f"{there}/pcs-{n}.json": {"computeNodeGroup": {"id": f"pcs-{n}", "iamInstanceProfileArn": ARN.format(one)}}
        for n, one in enumerate(of["pcs"])
    }
    made = [{"instanceLaunchTemplate": {"ec2InstanceProfileArn": ARN.format(one)}} for one in of["ecs"]]
    documents[f"{there}/ecs.json"] = {
        "capacityProviders": [{"name": f"c{n}", "managedInstancesProvider": one} for n, one in enumerate(made)],
        "failures": [],
    }
    return documents


def test_a_tool_that_uses_a_pair_and_refuses_its_names_is_named(tmp_path: Path) -> None:
    linked = [profile(name, nested_role(role, path)) for name, (role, path, _, _) in REFUSED.items()]
    documents = users() | {f"{ACCOUNT}/p.json": profile_list(*linked)}
    policy = tmp_path / "policy.toml"
    policy.write_text('[[tools]]\ntool = "Databricks"\nprofile = "databricks*"\n')
    inventory = load(tmp_path / "in", documents)
    findings = run_checks(inventory, only=["names_refused"], policy=policy).findings.set_index("resource_name")
    expected = {name: said for name, (_, _, _, said) in REFUSED.items() if said}
    assert set(findings.index) == set(expected)
    assert [name for name, said in expected.items() if said not in findings["detail"][name]] == []
    assert findings["certainty"].to_dict() == {n: "maybe" if n == "tasks" else "certain" for n in expected}
    assert set(findings["severity"]) == {"medium"}
    assert not findings["expected"].any()
    # Without the policy nothing shows who else uses a profile.
    alone = run_checks(inventory, only=["names_refused"]).findings["resource_name"]
    assert set(alone) == set(expected) - {"databricks-etl"}


def test_a_policy_that_names_a_tool_without_rules_is_refused(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[[tools]]\ntool = "Spark"\n')
    inventory = load(tmp_path / "in", listed(profile("web")))
    with pytest.raises(PolicyError, match="'Spark', of which no rule is known; there are Amazon EMR, Databricks"):
        run_checks(inventory, policy=policy)


@pytest.mark.parametrize("denied", ["", "DescribeCluster", "ListClusters", "ListInstanceProfiles"])
def test_of_a_live_account_the_cluster_tells_and_what_is_denied_is_unknown(denied: str) -> None:
    with PracticeAccount(regions=("us-east-1",)) as account:
        for name, role in (("web-profile", "web"), ("same", "same")):
            add(account, name, role)
            cluster = {"MasterInstanceType": "m5.xlarge", "InstanceCount": 1, "KeepJobFlowAliveWhenNoSteps": True}
            emr = account.session(region_name="us-east-1").client("emr")
            emr.run_job_flow(
                Name=name, ReleaseLabel="emr-7.0.0", JobFlowRole=name, ServiceRole="emr", Instances=cluster
            )
        if denied:
            account.deny(f"elasticmapreduce:{denied}" if "Cluster" in denied else denied)
        result = run_checks(load_account(account, references="all"), only=["names_refused"])
    seen = "Cluster" not in denied
    assert result.findings["resource_name"].tolist() == (["web-profile"] if seen else [])
    (status,) = result.coverage["status"]
    # The dump shows each profile that holds a role.
    assert status == ("complete" if seen else "partial")
    if not seen:
        assert denied in result.coverage["reason"].item()
