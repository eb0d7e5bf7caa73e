"""Accounts at random, planned for and cleaned up with the AWS CLI: nothing that is used is deleted, all else is."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from accounts import ID, add
from plans import NOW, checked
from test_plan_script import holding, run, start

import iamframe
from iamframe.practice import PracticeAccount

REGION = "eu-south-2"
# How something may name a profile; the last two are no use of it.
KINDS = (
    "name",
    "other case",
    "arn",
    "other path",
    "version in between",
    "instance",
    "configuration",
    "spot request",
    "cluster",
    "other account",
    "nothing",
)


def name_it(account: PracticeAccount, kind: str, name: str, arn: str) -> None:
    """Let something name a profile in one of these ways."""
    session = account.session(region_name=REGION)
    ec2 = session.client("ec2")
    image = {"ImageId": ec2.describe_images()["Images"][0]["ImageId"], "InstanceType": "t3.micro"}
    of_template: dict[str, dict[str, Any]] = {
        "name": {"Name": name},
        "other case": {"Name": name.swapcase()},
        "arn": {"Arn": arn},
        "other path": {"Arn": f"arn:aws:iam::{ID}:instance-profile/elsewhere/{name}"},
        "other account": {"Arn": arn.replace(ID, "210987654321")},
        "version in between": {},
    }
    if kind in of_template:
        data = image | ({"IamInstanceProfile": of_template[kind]} if of_template[kind] else {})
        ec2.create_launch_template(LaunchTemplateName=f"t-{name}", LaunchTemplateData=data)
    if kind == "version in between":
        for more in ({"IamInstanceProfile": {"Name": name}}, {}):
            ec2.create_launch_template_version(LaunchTemplateName=f"t-{name}", LaunchTemplateData=image | more)
    elif kind == "instance":
        start(account, name, region=REGION)
    elif kind == "configuration":
        session.client("autoscaling").create_launch_configuration(
            LaunchConfigurationName=name, IamInstanceProfile=name.title(), **image
        )
    elif kind == "spot request":
        ec2.request_spot_instances(LaunchSpecification=image | {"IamInstanceProfile": {"Arn": arn}})
    elif kind == "cluster":
        instances = {"MasterInstanceType": "m5.xlarge", "InstanceCount": 1, "KeepJobFlowAliveWhenNoSteps": True}
        session.client("emr").run_job_flow(
            Name=name, ReleaseLabel="emr-7.0.0", JobFlowRole=name, ServiceRole="emr", Instances=instances
        )


def test_a_clean_up_of_a_random_account_deletes_what_nothing_uses_and_no_more(tmp_path: Path) -> None:
    """Half of the uses are there before the plan, the others come between the plan and its run."""
    chance = random.Random(1)
    uses = {
        f"{chance.choice(['web', 'Api', 'DB'])}-{number}{when[0]}": (kind, when)
        for number, kind in enumerate(KINDS)
        for when in ("before", "after")
    }
    with PracticeAccount(regions=[REGION]) as account:
        arns = {}
        for name in chance.sample(sorted(uses), len(uses)):
            full = uses[name][0] == "instance" or chance.random() < 0.6
            path = chance.choice(["/", "/team/", "/elsewhere/else/"])
            arns[name] = add(account, name, f"role-of-{name}" if full else None, path=path)
        for name, (kind, when) in uses.items():
            if when == "before":
                name_it(account, kind, name, arns[name])
        plan = iamframe.plan(checked(account), min_age=NOW)
        for name, (kind, when) in uses.items():
            if when == "after":
                name_it(account, kind, name, arns[name])
        done = run(plan.script, account, tmp_path)
        left = set(holding(account))
    free = {name for name, (kind, _) in uses.items() if kind in ("other account", "nothing")}
    planned = set(plan.steps["resource_name"][plan.steps["action"] == "delete"])
    assert planned == {name for name, (_, when) in uses.items() if when == "after"} | free
    assert left == set(uses) - free
    assert {
        line.removeprefix('done: delete the profile "').removesuffix('"')
        for line in done.stdout.splitlines()
        if "delete" in line
    } == free
