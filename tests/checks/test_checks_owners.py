"""Profiles whose cluster, environment or stack is gone, and those that are not accused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from accounts import add, found, load, status
from builders import ACCOUNT, identity, nested_role, profile, profile_list, tag_list
from builders import load as load_documents
from owned import (
    CLUSTERS,
    GONE,
    REGIONS,
    add_clusters,
    end_stack,
    karpenter_tags,
    region_of,
    start_cluster,
    start_environment,
    start_stack,
)

import iamframe
from iamframe.practice import PracticeAccount
from iamframe.practice.calls import Answer, Call

CHECK = "owner_gone"


def read_with(account: PracticeAccount, denied: str | None, resource: str = "*") -> iamframe.Inventory:
    if denied:
        account.deny(denied, resource)
    inventory = load(account, references="core")
    account.allow()
    return inventory


@pytest.fixture(scope="module")
def clusters() -> dict[str | None, iamframe.Inventory]:
    """Thirty clusters, ten of them gone, by the region that was denied."""
    with PracticeAccount(regions=REGIONS) as account:
        add_clusters(account)
        return {
            region: read_with(account, region and "eks:ListClusters", f"*:{region}:*") for region in (None, *REGIONS)
        }


def clusters_in(inventory: iamframe.Inventory) -> set[str]:
    return {name.partition("_")[0] for name in found(inventory, CHECK)}


@pytest.mark.parametrize("denied", [None, *REGIONS])
def test_exactly_the_profiles_of_gone_clusters_are_found_in_the_regions_that_were_read(
    clusters: dict[str | None, iamframe.Inventory], denied: str | None
) -> None:
    inventory = clusters[denied]
    assert len(GONE) == 10
    assert clusters_in(inventory) == {name for name in GONE if region_of(name) != denied}
    assert status(inventory, CHECK) == ("partial" if denied else "complete")


DENIED = [
    None,
    "eks:ListClusters",
    "elasticbeanstalk:DescribeEnvironments",
    "cloudformation:ListStacks",
    "cloudformation:DescribeStackResources",
]


# The profiles of two stacks, of which one ends.
STACKS = {stack: f"{stack}-WebProfile-Z9Y8X7W6V5U4" for stack in ("stays", "leaves")}


class Kinds(NamedTuple):
    """An account as it was read with each operation denied, with all references, and in one region alone."""

    denied: dict[str | None, iamframe.Inventory]
    every: iamframe.Inventory
    one_region: iamframe.Inventory


@pytest.fixture(scope="module")
def kinds() -> Kinds:
    """A profile of a gone and of a living owner of each kind, and what looks like one."""
    with PracticeAccount(regions=("us-east-1", "eu-west-1")) as account:
        start_cluster(account, "lives", "eu-west-1")
        # Of the same name as one that is gone elsewhere.
        start_cluster(account, "dead", "us-east-1")
        add(account, "lives_1", "r1", path="/karpenter/eu-west-1/lives/uid/")
        add(account, "dead_1", path="/karpenter/eu-west-1/dead/uid/")
        add(account, "auto", **{"eks:cluster-name": "nowhere"})
        add(account, "kops", "r2", **{"kubernetes.io/cluster/kops.example.com": "owned"})
        lives = start_environment(account, "shop", "eu-west-1")
        add(account, "beanstalk-lives", **{"elasticbeanstalk:environment-id": lives})
        gone = {"elasticbeanstalk:environment-id": "e-gone", "elasticbeanstalk:environment-name": "old"}
        add(account, "beanstalk-gone", **gone)
        for stack, profile_name in STACKS.items():
            start_stack(account, stack, "eu-west-1", profile_name)
        end_stack(account, "leaves", "eu-west-1")
        add(account, "forgotten-Web-Z9Y8X7W6V5U4")
        # A node group's: the tail of a UUID is no random text of CloudFormation.
        add(account, "eks-9ac968dc-8a14-4b6d-a3f7-0c1e2d3f4a5b")
        denied = {operation: read_with(account, operation) for operation in DENIED}
        every = load(account, references="all")
        return Kinds(denied, every, load(account, references="core", regions=["eu-west-1"]))


# The profiles of gone owners, by the operation that shows it.
GONE_BY = {
    "eks:ListClusters": {"dead_1", "auto"},
    "elasticbeanstalk:DescribeEnvironments": {"beanstalk-gone"},
    "cloudformation:ListStacks": {"forgotten-Web-Z9Y8X7W6V5U4", STACKS["leaves"]},
    "cloudformation:DescribeStackResources": {"forgotten-Web-Z9Y8X7W6V5U4", STACKS["leaves"]},
}


@pytest.mark.parametrize("denied", DENIED)
def test_an_owner_that_could_not_be_read_accuses_nobody_and_costs_only_its_own_kind(
    kinds: Kinds, denied: str | None
) -> None:
    expected, inventory = GONE_BY, kinds.denied[denied]
    every = set().union(*expected.values())
    result = iamframe.run_checks(inventory, only=CHECK)
    assert set(result.findings["resource_name"]) == every - expected.get(denied or "", set())
    assert set(result.coverage["status"]) == {"partial" if denied else "complete"}
    refused = inventory.gaps[inventory.gaps["reason"] == "denied"]
    assert set(refused["operation"]) == ({denied} if denied else set())


def test_what_only_a_name_shows_is_maybe_and_what_aws_shows_is_certain(kinds: Kinds) -> None:
    result = iamframe.run_checks(kinds.denied[None], only=CHECK)
    rows = result.findings.merge(result[CHECK], on=["finding_id", "account_id", "resource_name"])
    shown = rows.set_index("resource_name")[["certainty", "owner_type", "owner_name", "regions", "basis"]]
    assert {name: tuple(values) for name, *values in shown.itertuples(name=None)} == {
        "auto": ("certain", "eks-cluster", "nowhere", "eu-west-1 us-east-1", "tag"),
        "beanstalk-gone": ("certain", "beanstalk-environment", "old", "eu-west-1 us-east-1", "tag"),
        "dead_1": ("certain", "eks-cluster", "dead", "eu-west-1", "path"),
        "forgotten-Web-Z9Y8X7W6V5U4": ("maybe", "stack", "forgotten", "eu-west-1 us-east-1", "name"),
        STACKS["leaves"]: ("certain", "stack", "leaves", "eu-west-1", "resource"),
    }


def change_resources(account: PracticeAccount, pattern: bytes) -> None:
    """Take from each member of DescribeStackResources what matches the pattern."""
    real = account._answer

    def answer(call: Call) -> Answer:
        given = real(call)
        if call.action != "DescribeStackResources":
            return given
        body, count = re.subn(pattern, b"", given.body, flags=re.DOTALL)
        assert count
        return Answer(given.status, body, given.content_type, given.headers)

    account._answer = answer  # type: ignore[method-assign]


def test_a_stack_with_more_resources_than_aws_returns_is_not_taken_for_gone(account: PracticeAccount) -> None:
    """DescribeStackResources returns the first 100 resources of the profile's stack."""
    # CloudFormation cuts a long name of a stack in the names of its resources.
    start_stack(account, "a-long-name-prod", "us-east-1", "a-long-na-WebProfile-Z9Y8X7W6V5U4")
    assert found(load(account, references="core"), CHECK) == set()
    change_resources(account, b"<member>((?!</member>).)*InstanceProfile.*?</member>")
    assert found(load(account, references="core"), CHECK) == set()


def test_an_answer_about_a_stack_that_cannot_be_read_is_a_gap(account: PracticeAccount) -> None:
    start_stack(account, "a-long-name-prod", "us-east-1", "a-long-na-WebProfile-Z9Y8X7W6V5U4")
    change_resources(account, b"<StackId>[^<]*</StackId>")
    inventory = load(account, references="core")
    assert found(inventory, CHECK) == set()
    unreadable = inventory.gaps[inventory.gaps["reason"] == "unreadable"]
    assert unreadable["operation"].tolist() == ["cloudformation:DescribeStackResources"]


def test_where_only_some_regions_are_asked_an_owner_that_may_be_elsewhere_is_unknown(kinds: Kinds) -> None:
    # AWS showed the stack of one, and so its region.
    assert found(kinds.one_region, CHECK) == {"dead_1", STACKS["leaves"]}


@pytest.mark.parametrize("references", ["none", "core"])
def test_lists_are_asked_for_only_with_references_and_only_if_a_profile_shows_an_owner(
    account: PracticeAccount, references: str
) -> None:
    add(account, "plain", **{"kubernetes.io/cluster/kops.example.com": "owned"})
    load(account, references=references)
    assert not {"ListStacks", "ListClusters", "DescribeEnvironments"} & set(account.counts())
    add(account, "prod_1", path="/karpenter/us-east-1/prod/uid/")
    account.forget()
    inventory = load(account, references=references)
    assert account.counts()["ListClusters"] == (references == "core")
    assert found(inventory, CHECK) == ({"prod_1"} if references == "core" else set())
    assert status(inventory, CHECK) == ("complete" if references == "core" else "unknown")


def test_a_profile_that_an_instance_has_is_not_accused_and_one_in_a_template_is(account: PracticeAccount) -> None:
    ec2 = account.session().client("ec2")
    for name in ("runs", "template"):
        add(account, f"{name}_1", name, path=f"/karpenter/us-east-1/{name}/uid/")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, IamInstanceProfile={"Name": "runs_1"})
    data = {"IamInstanceProfile": {"Name": "template_1"}}
    ec2.create_launch_template(LaunchTemplateName="t", LaunchTemplateData=data)
    rows = iamframe.run_checks(load(account, references="core"), only=CHECK)[CHECK]
    assert rows[["resource_name", "references"]].to_numpy().tolist() == [["template_1", 1]]


def test_without_the_list_of_instances_no_gone_owner_is_certain(account: PracticeAccount) -> None:
    add(account, "dead_1", path="/karpenter/us-east-1/dead/uid/")
    for denied, certainty in ((None, "certain"), ("DescribeInstances", "maybe")):
        result = iamframe.run_checks(read_with(account, denied), only=CHECK)
        assert result.findings["certainty"].tolist() == [certainty]


def test_where_only_a_profiles_stack_was_denied_the_list_of_stacks_is_not_called_incomplete(
    account: PracticeAccount,
) -> None:
    add(account, "shop-WebProfile-Q1A2B3C4D5E6")
    result = iamframe.run_checks(read_with(account, "DescribeStackResources"), only=CHECK)
    (reason,) = result.coverage["reason"]
    assert "the stacks of some profiles were not collected (cloudformation:DescribeStackResources was denied)" in reason
    assert "`aws cloudformation describe-stack-resources --region=" in reason
    assert "list-stacks" not in reason


def test_a_plan_takes_a_gone_owners_profile_and_leaves_those_of_the_living_and_of_a_guess(kinds: Kinds) -> None:
    plan = iamframe.plan(iamframe.run_checks(kinds.every, only=[CHECK, "unreferenced_profiles"]), min_age="0")
    deleted = set(plan.steps["resource_name"][plan.steps["action"] == "delete"])
    assert deleted == {"dead_1", "auto", "beanstalk-gone", STACKS["leaves"]}
    left = plan.not_planned.set_index(["check", "resource_name"])["message"].to_dict()
    assert left == {
        (CHECK, "forgotten-Web-Z9Y8X7W6V5U4"): "plan.owner_by_name",
        ("unreferenced_profiles", "lives_1"): "plan.owner_lives",
        ("unreferenced_profiles", STACKS["stays"]): "plan.owner_lives",
        ("unreferenced_profiles", "kops"): "plan.by_tag",
    }


def test_a_profile_of_a_gone_cluster_that_an_existing_stack_or_environment_needs_is_not_accused() -> None:
    with PracticeAccount(regions=("eu-south-2",)) as account:
        in_stack, gone = "both-WebProfile-Z9Y8X7W6V5U4", {"eks:cluster-name": "gone"}
        start_stack(account, "both", "eu-south-2", in_stack)
        account.session().client("iam").tag_instance_profile(InstanceProfileName=in_stack, Tags=tag_list(gone))
        environment = start_environment(account, "env1", "eu-south-2")
        add(account, "both", **gone, **{"elasticbeanstalk:environment-id": environment})
        add(account, "one", **gone)
        result = iamframe.run_checks(load(account, references="all"))
    assert result.findings.query("check == @CHECK")["resource_name"].tolist() == ["one"]
    deleted = iamframe.plan(result, min_age="0").steps.query("action == 'delete'")["resource_name"]
    assert deleted.tolist() == ["one"]


def test_a_plan_deletes_no_profile_whose_owner_only_an_index_that_lags_shows(account: PracticeAccount) -> None:
    add(account, "web", **karpenter_tags("dead", "us-east-1"))
    result = iamframe.run_checks(load(account, references="all", tag_index=True), only=CHECK)
    assert result.findings["certainty"].tolist() == ["maybe"]
    plan = iamframe.plan(result, min_age="0")
    assert plan.steps.empty
    (reason,) = plan.not_planned["reason"]
    assert reason.startswith("the finding is not certain, because data is missing or may be out of date")


def test_a_list_that_is_no_longer_asked_for_changes_no_scope(account: PracticeAccount) -> None:
    iam = account.session().client("iam")
    add(account, "dead_1", path="/karpenter/us-east-1/dead/uid/")
    old = iamframe.run_checks(load(account, references="all"))
    iam.delete_instance_profile(InstanceProfileName="dead_1")
    changes = iamframe.compare(old, iamframe.run_checks(load(account, references="all")))
    rows = changes.findings[["change", "check"]]
    assert ("gone", CHECK) in set(rows.itertuples(index=False, name=None))
    assert len(changes.not_compared) == 0


# From files


def karpenter(cluster: str, region: str, number: int) -> dict[str, Any]:
    tags = {"Tags": tag_list(karpenter_tags(cluster, region))}
    return profile(f"{cluster}_{number}", nested_role("node"), f"/karpenter/{region}/{cluster}/uid/", **tags)


def of_files(folder: Path, listed: dict[str, Any], *shown: dict[str, Any]) -> iamframe.Inventory:
    """An account with profiles, each with its tags, and files of its regions."""
    documents = {"p.json": profile_list(*shown), "id.json": identity()}
    documents |= {f"get-instance-profile/{n}.json": {"InstanceProfile": one} for n, one in enumerate(shown)}
    return load_documents(folder, {f"{ACCOUNT}/{name}": document for name, document in (documents | listed).items()})


def test_files_show_the_same_as_the_account(tmp_path: Path) -> None:
    shown = [karpenter(name, region_of(name), number) for number, name in enumerate(CLUSTERS)]
    read = REGIONS[:2]
    listed = {
        f"{region}/list-clusters.json": {"clusters": [n for n in CLUSTERS if n not in GONE and region_of(n) == region]}
        for region in read
    }
    inventory = of_files(tmp_path, listed, *shown)
    assert clusters_in(inventory) == {name for name in GONE if region_of(name) in read}
    assert status(inventory, CHECK) == "partial"


ONE = karpenter("dead", "eu-west-1", 1)
BEANSTALK = profile("b", Tags=tag_list({"elasticbeanstalk:environment-name": "old"}))
ENVIRONMENT = {"EnvironmentId": "e-1", "EnvironmentName": "new", "Status": "Ready"}


@pytest.mark.parametrize(
    ("name", "document", "is_gone"),
    [
        ("eu-west-1/list-clusters.json", {"clusters": ["other"]}, True),
        ("eu-west-1/list-clusters.json", {"clusters": []}, True),
        ("eu-west-1/list-clusters.json", {"clusters": ["dead"]}, False),
        ("eu-west-1/list-clusters.json", {"clusters": ["other"], "nextToken": "more"}, False),
        ("us-east-1/list-clusters.json", {"clusters": []}, False),
        ("list-clusters.json", {"clusters": []}, False),
        # AWS PCS has a list of the same name.
        ("eu-west-1/list-clusters.json", {"clusters": [{"id": "pcs_1", "name": "hpc"}]}, False),
        ("eu-west-1/pcs-list-clusters.json", {"clusters": []}, False),
        ("eu-west-1/list-clusters.json", {"clusters": ["other", 7]}, False),
        # So may have files of other tools.
        ("eu-west-1/prod.tfvars.json", {"clusters": ["other"], "region": "eu-west-1"}, False),
        ("eu-west-1/prod.json", {"clusters": ["other"]}, True),
        # So have Aurora DSQL and DocumentDB Elastic, and ECS in DescribeClusters.
        ("eu-west-1/eks.json", {"clusters": []}, True),
        ("eu-west-1/ListClusters.json", {"clusters": []}, True),
        ("eu-west-1/x.json", {"clusters": []}, False),
        ("eu-west-1/dsql/list-clusters.json", {"clusters": []}, False),
        ("eu-west-1/docdb-elastic-list-clusters.json", {"clusters": []}, False),
        ("eu-west-1/ecs-describe-clusters.json", {"clusters": [], "failures": []}, False),
        ("eu-west-1/list-clusters.json", {"clusters": [], "failures": []}, False),
    ],
)
def test_a_file_shows_that_a_cluster_is_gone_only_as_the_whole_list_of_its_region(
    tmp_path: Path, name: str, document: dict[str, Any], is_gone: bool
) -> None:
    inventory = of_files(tmp_path, {name: document}, ONE)
    assert found(inventory, CHECK) == ({"dead_1"} if is_gone else set())


EMPTY = [
    ("describe-environments.json", "Environments", True),
    ("list-stacks.json", "StackSummaries", True),
    ("describe-stacks.json", "Stacks", True),
    ("mwaa-list-environments.json", "Environments", False),
    ("list-environments.json", "Environments", False),
    ("opsworks-describe-stacks.json", "Stacks", False),
    ("x.json", "StackSummaries", False),
]


@pytest.mark.parametrize(("name", "key", "is_read"), EMPTY)
def test_an_empty_list_is_of_the_service_that_its_path_names(
    tmp_path: Path, name: str, key: str, is_read: bool
) -> None:
    inventory = of_files(tmp_path, {f"eu-west-1/{name}": {key: []}}, ONE)
    owners = inventory.calls[inventory.calls["operation"].str.contains(":")]
    assert owners["state"].tolist() == (["complete"] if is_read else [])
    assert len(inventory.gaps[inventory.gaps["reason"] == "unreadable"]) == (0 if is_read else 1)


@pytest.mark.parametrize("field", ["EnvironmentArn", "Status"])
def test_an_environment_with_a_field_of_a_wrong_type_is_a_gap(tmp_path: Path, field: str) -> None:
    listed = {"Environments": [ENVIRONMENT, ENVIRONMENT | {field: 5}]}
    inventory = of_files(tmp_path, {"eu-west-1/describe-environments.json": listed}, BEANSTALK)
    assert inventory.resource_owners["owner_id"].tolist() == ["e-1"]
    (gap,) = inventory.gaps[inventory.gaps["reason"] == "unreadable"].to_dict("records")
    assert "Environments[1]" in gap["subject"]


@pytest.mark.parametrize(
    "document",
    [{"Environments": [ENVIRONMENT]}, {"StackSummaries": []}, {"Stacks": [{"StackName": "a", "StackId": "b"}]}],
)
def test_files_never_show_an_owner_gone_that_may_be_in_any_region(tmp_path: Path, document: dict[str, Any]) -> None:
    inventory = of_files(
        tmp_path, {"eu-west-1/list-stacks.json": document}, BEANSTALK, profile("forgotten-Web-Z9Y8X7W6V5U4")
    )
    assert found(inventory, CHECK) == set()
    assert status(inventory, CHECK) == "unknown"
    assert len(inventory.calls[inventory.calls["operation"].str.contains(":")]) == 1


def test_owners_are_saved_and_opened_again_and_an_older_snapshot_opens_without_them(tmp_path: Path) -> None:
    inventory = of_files(tmp_path / "files", {"eu-west-1/list-clusters.json": {"clusters": ["other"]}}, ONE)
    inventory.save(tmp_path / "new")
    opened = iamframe.open_snapshot(tmp_path / "new")
    pd.testing.assert_frame_equal(opened.resource_owners, inventory.resource_owners)
    assert found(opened, CHECK) == {"dead_1"}


def test_owners_whose_lists_were_denied_everywhere_were_not_read(account: PracticeAccount) -> None:
    add(account, "b", **{"elasticbeanstalk:environment-name": "old"})
    account.deny("elasticbeanstalk:DescribeEnvironments")
    inventory = load(account, references="core")
    assert (inventory.calls["operation"] == "elasticbeanstalk:DescribeEnvironments").any()
    assert not inventory.owners_read
    assert "resource_owners" not in repr(inventory)


def test_what_references_were_read_from_says_nothing_of_owners(account: PracticeAccount) -> None:
    """Snapshots of older versions listed environments for the profiles that these use, and kept none of them."""
    add(account, "b", **{"elasticbeanstalk:environment-name": "old"})
    inventory = load(account, references="all")
    own = inventory.calls["operation"] == "elasticbeanstalk:DescribeEnvironments"
    assert "DescribeEnvironments" in set(inventory.calls["operation"])
    assert found(inventory, CHECK) == {"b"}
    assert found(replace(inventory, calls=inventory.calls[~own]), CHECK) == set()
