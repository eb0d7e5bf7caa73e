"""A plan for the profiles of gone clusters, run with the AWS CLI: what it deletes, and what stops it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from accounts import EC2, add, found, load
from owned import GONE, REGIONS, add_clusters, end_stack, region_of, start_cluster, start_environment, start_stack
from plans import NOW, checked
from test_plan_script import run

import iamframe
from iamframe.practice import PracticeAccount

CHECK = "owner_gone"
LEFT = "leaves-WebProfile-Z9Y8X7W6V5U4"


def deleted(plan: iamframe.Plan) -> set[str]:
    return set(plan.steps["resource_name"][plan.steps["action"] == "delete"])


def test_the_plan_for_gone_clusters_runs_as_written_and_a_new_load_finds_none_of_them(tmp_path: Path) -> None:
    with PracticeAccount(regions=REGIONS) as account:
        add_clusters(account)
        account.deny("eks:ListClusters", f"*:{REGIONS[1]}:*")
        plan = iamframe.plan(checked(account), min_age=NOW)
        left = {name for name in GONE if region_of(name) == REGIONS[1]}
        assert {name.partition("_")[0] for name in deleted(plan)} == set(GONE) - left
        assert plan.steps["rests_on"].str.contains("the EKS cluster 'c[0-9]+' does not exist").all()
        done = run(plan.script, account, tmp_path, "iam", "eks")
        assert (done.returncode, done.stderr) == (0, "")
        after = checked(account, (CHECK, "stale_references"))
        assert not {CHECK, "stale_references"} & set(after.findings["check"])
        assert len(after.inventory.profiles) == 30 - len(deleted(plan))
        # With the permission, the others are found, and only they.
        account.allow()
        assert {name.partition("_")[0] for name in found(load(account, references="all"), CHECK)} == left


def test_a_profile_of_a_living_stack_is_skipped_whatever_its_name(tmp_path: Path) -> None:
    """No list shows the stack of the first profile, and the names of the two others suggest no stack."""
    with PracticeAccount(regions=("eu-south-2",)) as account:
        for stack, profile in (
            ("good", "good-WebProfile-6QBRV5TDOB0W"),
            ("named", "web"),
            ("letters", "l-Web-ABCDEFGHIJKL"),
        ):
            start_stack(account, stack, "eu-south-2", profile)
        start_stack(account, "leaves", "eu-south-2", LEFT)
        end_stack(account, "leaves", "eu-south-2")
        add(account, "free")
        account.deny("cloudformation:ListStacks")
        plan = iamframe.plan(checked(account), min_age=NOW)
        assert {"good-WebProfile-6QBRV5TDOB0W", "web", "l-Web-ABCDEFGHIJKL", "free"} <= deleted(plan)
        done = run(plan.script, account, tmp_path, "iam", "cloudformation")
        assert done.stderr.count("in eu-south-2 contains it; delete it with the stack") == 3
        assert "the CloudFormation stack named in eu-south-2 contains it" in done.stderr
        kept = {"good-WebProfile-6QBRV5TDOB0W", "web", "l-Web-ABCDEFGHIJKL"}
        assert set(load(account).profiles["profile_name"]) - {LEFT} == kept
        # Who may not ask, may not delete.
        account.deny("cloudformation:*")
        again = run(plan.script, account, tmp_path / "again", "iam", "cloudformation")
        assert "its stack in eu-south-2 could not be read" in again.stderr
        assert set(load(account).profiles["profile_name"]) - {LEFT} == kept


def test_a_profile_is_told_from_a_role_of_the_same_name_in_a_stack(tmp_path: Path) -> None:
    """A physical id is unique among the resources of one type only."""
    role = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "web", "AssumeRolePolicyDocument": json.loads(EC2)}}
    with PracticeAccount(regions=("eu-south-2",)) as account:
        client = account.session(region_name="eu-south-2").client("cloudformation")
        client.create_stack(StackName="app", TemplateBody=json.dumps({"Resources": {"Role": role}}))
        account.session().client("iam").create_instance_profile(InstanceProfileName="web")
        add(account, "free")
        plan = iamframe.plan(checked(account), min_age=NOW)
        assert deleted(plan) == {"web", "free"}
        done = run(plan.script, account, tmp_path, "iam", "cloudformation")
        assert set(load(account).profiles["profile_name"]) == {"web"}
        assert "the CloudFormation stack app in eu-south-2 contains another resource of this name" in done.stderr


def test_each_check_of_the_csv_file_can_be_typed_and_asks_what_it_says(tmp_path: Path) -> None:
    with PracticeAccount(regions=("eu-south-2",)) as account:
        add(account, "dead_1", path="/karpenter/eu-south-2/dead/uid/")
        start_stack(account, "leaves", "eu-south-2", LEFT)
        end_stack(account, "leaves", "eu-south-2")
        plan = iamframe.plan(checked(account), min_age=NOW)
        start_cluster(account, "dead", "eu-south-2")
        steps = plan.steps[plan.steps["action"] == "check"]
        asked = {
            name: run("\n".join(rows["command"]), account, tmp_path / str(number), "iam", "eks", "cloudformation")
            for number, (name, rows) in enumerate(steps.groupby("resource_name"))
        }
        assert {one.stderr for one in asked.values()} <= {""} | {asked["dead_1"].stderr}
        assert "Stack for dead_1 does not exist" in asked["dead_1"].stderr
        assert "dead" in asked["dead_1"].stdout.split()
        assert ["stack=leaves", "DELETE_SKIPPED", "AWS::IAM::InstanceProfile", LEFT] in [
            line.split("\t") for line in asked[LEFT].stdout.splitlines()
        ]


@pytest.mark.parametrize("what", ["back", "eks:ListClusters", "cloudformation:ListStacks"])
def test_a_profile_whose_owner_is_back_or_cannot_be_read_is_skipped(tmp_path: Path, what: str) -> None:
    with PracticeAccount(regions=("eu-south-2",)) as account:
        add(account, "dead_1", path="/karpenter/eu-south-2/dead/uid/")
        add(account, "beanstalk", **{"elasticbeanstalk:environment-name": "old1"})
        start_stack(account, "leaves", "eu-south-2", LEFT)
        end_stack(account, "leaves", "eu-south-2")
        plan = iamframe.plan(checked(account), min_age=NOW)
        assert deleted(plan) == {"dead_1", "beanstalk", LEFT}
        if what == "back":
            start_cluster(account, "dead", "eu-south-2")
            start_environment(account, "old1", "eu-south-2")
            start_stack(account, "leaves", "eu-south-2")
        else:
            account.deny(what)
        done = run(plan.script, account, tmp_path, "iam", "eks", "cloudformation", "elasticbeanstalk")
        assert done.returncode == 1
        said = "exists in eu-south-2 again" if what == "back" else "in eu-south-2 could not be read"
        assert what != "back" or "its eks-cluster dead exists in eu-south-2 again" in done.stderr
        assert done.stderr.count(said) == (3 if what == "back" else 1)
        assert account.counts()["DeleteInstanceProfile"] == (0 if what == "back" else 2)
