"""A plan for the profiles of gone clusters, run with the AWS CLI: what it deletes, and what stops it."""

from __future__ import annotations

from pathlib import Path

import pytest
from accounts import add, found
from owned import (
    GONE,
    REGIONS,
    add_clusters,
    end_stack,
    profiles,
    region_of,
    start_cluster,
    start_environment,
    start_stack,
)
from plans import NOW, checked
from test_plan_script import run

import iamframe
from iamframe.practice import PracticeAccount

CHECK = "owner_gone"


def deleted(plan: iamframe.Plan) -> set[str]:
    return set(plan.steps["resource_name"][plan.steps["action"] == "delete"])


def test_the_plan_for_gone_clusters_runs_as_written_and_a_new_load_finds_none_of_them(tmp_path: Path) -> None:
    with PracticeAccount(regions=REGIONS) as account:
        add_clusters(account)
        account.deny("eks:ListClusters", f"*:{REGIONS[1]}:*")
        plan = iamframe.plan(checked(account), min_age=NOW)
        left = {name for name in GONE if region_of(name) == REGIONS[1]}
        assert {name.partition("_")[0] for name in deleted(plan)} == set(GONE) - left
        assert plan.steps["rests_on"].str.contains("no EKS cluster c").all()
        done = run(plan.script, account, tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        after = checked(account)
        assert not {CHECK, "stale_references"} & set(after.findings["check"])
        assert len(after.inventory.profiles) == 30 - len(deleted(plan))
        # With the permission, the others are found, and only they.
        account.allow()
        assert {name.partition("_")[0] for name in found(checked(account).inventory, CHECK)} == left


@pytest.mark.parametrize("what", ["back", "denied"])
def test_a_profile_whose_owner_is_back_or_cannot_be_read_is_skipped(tmp_path: Path, what: str) -> None:
    with PracticeAccount(regions=("eu-south-2",)) as account:
        add(account, "dead_1", path="/karpenter/eu-south-2/dead/uid/")
        add(account, "beanstalk", **{"elasticbeanstalk:environment-name": "old"})
        start_stack(account, "leaves", "eu-south-2")
        end_stack(account, "leaves", "eu-south-2")
        plan = iamframe.plan(checked(account), min_age=NOW)
        names = {"dead_1", "beanstalk", profiles(account)["leaves"]}
        assert deleted(plan) == names
        if what == "back":
            start_cluster(account, "dead", "eu-south-2")
            start_environment(account, "old", "eu-south-2")
            start_stack(account, "leaves", "eu-south-2")
            # It brings a profile of its own.
            names = names | {profiles(account)["leaves"]}
        else:
            for action in ("eks:ListClusters", "cloudformation:ListStacks", "elasticbeanstalk:DescribeEnvironments"):
                account.deny(action)
        done = run(plan.script, account, tmp_path)
        assert done.returncode == 1
        assert (
            done.stderr.count("exists in eu-south-2 again" if what == "back" else "in eu-south-2 could not be read")
            == 3
        )
        assert "DeleteInstanceProfile" not in account.counts()
