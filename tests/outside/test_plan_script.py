"""Clean-up plans run with the AWS CLI on a practice account: what they change, and what stops them."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from accounts import EC2, ID, add
from builders import sample_result, tag_list
from conftest import needed
from plans import NOW, because, checked, link, name_in_template, reasons, tag_role
from resident_aws import resident_aws

import iamframe
from iamframe.inventory.build import joined
from iamframe.knowledge.operations import cli_name
from iamframe.practice import PracticeAccount
from iamframe.practice.calls import Answer, Call, json_answer
from iamframe.sources.consumers import CONSUMERS


def named(findings: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(findings["check"], findings["resource_name"], strict=True))


def with_aws(folder: Path, *services: str, before: str = "") -> str:
    """A PATH with the AWS CLI of this environment; if services are given, the others answer that there is nothing."""
    place = resident_aws()
    if services:
        script = f"case $1 in {before}{' | '.join(('sts', *services))}) ;; *) exit ;; esac\n"
        script += f'exec {shlex.quote(str(place / "aws"))} "$@"\n'
        place = folder / "bin"
        place.mkdir()
        (place / "aws").write_text(f"#!/bin/sh\n{script}")
        (place / "aws").chmod(0o755)
    return f"{place}{os.pathsep}{os.environ['PATH']}"


def run(
    script: str, account: PracticeAccount, folder: Path, *services: str, account_id: str | None = None, before: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a script under sh with the AWS CLI of this environment, in an empty folder."""
    folder.mkdir(exist_ok=True)
    (folder / "plan.sh").write_text(script, encoding="utf-8")
    path = with_aws(folder, *services, before=before)
    return subprocess.run(
        ["sh", "plan.sh"],
        cwd=folder,
        env=os.environ | account.environment(account_id) | {"PATH": path},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def writes(account: PracticeAccount) -> list[str]:
    """What was written, in order, each as action and error code where it was refused."""
    kinds = ("Add", "Create", "Delete", "Remove", "Tag", "Untag")
    return [
        f"{request.action} {request.error_code}" if request.error_code else request.action
        for request in account.requests
        if request.action.startswith(kinds)
    ]


def start(account: PracticeAccount, name: str, region: str | None = None) -> None:
    ec2 = account.session(region_name=region).client("ec2")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, IamInstanceProfile={"Name": name})


# Run with the AWS CLI. In older regions its version 1 asks EMR and RDS by an address of its own, whatever
# AWS_ENDPOINT_URL says, so that accounts here are of regions that it does not know that of.

HOSTILE_PATH = "/a'b/$(touch${IFS}pwned)/`touch${IFS}pwned`/;\"\\*?/"
HOSTILE = "-empty=+,.@x"


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An account of many kinds before its plan was run, afterwards, after it was run again, and after the undo."""
    with PracticeAccount(regions=["me-central-1"]) as account:
        iam = account.session().client("iam")
        add(account, HOSTILE, path=HOSTILE_PATH)
        add(
            account,
            "--region=x",
            "free-role",
            path="/x/",
            Owner="file:///etc/passwd",
            **{"a=b,c".replace(",", ":"): ""},
        )
        link(account, "bare", {"Owner": "@ops", "-x": "--tags=y", "Ｗide": "münchen\u3000\u2028"}, {})
        link(account, "barerole", {}, {"Owner": "http://example.com/"})
        link(account, "differs", {"Owner": "file://ops", "Env": "prod"}, {"Owner": "dev"})
        link(account, "more", {"Owner": "ops"}, {"Owner": "dev", "More": ""})
        link(account, "cased", {"Owner": "ops"}, {"owner": "ops"})
        link(account, "quick", {"Owner": "ops"}, {"Owner": "ops", "QSConfigId-a1b2": "a1b2"})
        link(account, "shared", {"Team": "a"}, {"Team": "a", "Extra": "1"})
        iam.create_instance_profile(InstanceProfileName="shared-too")
        iam.add_role_to_instance_profile(InstanceProfileName="shared-too", RoleName="shared")
        name_in_template(account, "shared-too")
        before = checked(account, None)
        plan = iamframe.plan(before, min_age=NOW)
        account.forget()
        folder = tmp_path_factory.mktemp("cleaned")
        done = run(plan.script, account, folder)
        written, after = writes(account), checked(account, None)
        facts = {"before": before, "plan": plan, "done": done, "writes": written, "after": after}
        facts["files"] = sorted(file.name for file in folder.iterdir())
        account.forget()
        facts["again"], facts["again_writes"] = run(plan.script, account, folder), writes(account)
        undo = plan.steps["undo"].dropna().tolist()[::-1]
        facts["undo"], facts["undone"] = run("\n".join(undo), account, folder), checked(account, None)
    return facts


def test_a_plan_runs_without_a_refusal(cleaned: dict[str, Any]) -> None:
    done = cleaned["done"]
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(cleaned["writes"]) == [
        "DeleteInstanceProfile",
        "DeleteInstanceProfile",
        "RemoveRoleFromInstanceProfile",
        *["TagInstanceProfile"] * 3,
    ]
    assert cleaned["files"] == ["plan.sh"]


def test_the_role_is_taken_out_before_its_profile_is_deleted(cleaned: dict[str, Any]) -> None:
    last = cleaned["writes"][-3:]
    assert last.index("RemoveRoleFromInstanceProfile") < len(last) - 1 - last[::-1].index("DeleteInstanceProfile")
    assert cleaned["plan"].steps["action"].tolist()[-3:] == ["check", "check", "delete"] or cleaned["plan"].steps[
        "action"
    ].tolist()[-4:] == ["check", "check", "remove-role", "delete"]


def test_what_the_findings_named_is_gone_afterwards_and_nothing_else_has_come(cleaned: dict[str, Any]) -> None:
    before, after = (named(cleaned[when].findings) for when in ("before", "after"))
    assert before - after == {
        ("empty_profiles", HOSTILE),
        ("untagged_profiles", HOSTILE),
        ("unreferenced_profiles", "--region=x"),
        ("name_mismatches", "--region=x"),
        ("path_mismatches", "--region=x"),
        ("untagged_profiles", "bare"),
        ("tag_differences", "differs"),
        ("untagged_profiles", "shared-too"),
    }
    # Roles are not deleted, so that one that EC2 may assume is then in no profile: the plan says so.
    assert after - before == {("ec2_roles_without_profile", "free-role")}
    told = cleaned["plan"].steps["why"][cleaned["plan"].steps["action"] == "remove-role"].tolist()
    assert [why.rpartition("; ")[2] for why in told] == [
        (
            "after the profile is deleted, no profile holds the role 'free-role', so the check "
            "ec2_roles_without_profile will find the role"
        )
    ]


def test_every_other_finding_is_listed_with_its_reason(cleaned: dict[str, Any]) -> None:
    role, key = because("tags.of_role"), "QSConfigId-a1b2"
    assert reasons(cleaned["plan"]) == {
        ("tag_differences", "cased"): because("tags.case", keys=["Owner", "owner"]),
        ("tag_differences", "more"): because("tags.alone", keys=["More"]),
        ("tag_differences", "quick"): because("needed_tag", step="tag", key=key, maker="SSM Quick Setup"),
        ("tag_differences", "shared"): because("tags.alone", keys=["Extra"]),
        ("untagged_roles", "role/barerole"): role,
        ("untagged_roles", "role/free-role"): role,
    }


def test_tags_are_those_of_the_other_side_whatever_they_hold(cleaned: dict[str, Any]) -> None:
    tags = cleaned["after"].inventory.tags
    tagged: dict[str, dict[str, str]] = {}
    for arn, key, value in zip(tags["resource_arn"], tags["tag_key"], tags["tag_value"], strict=True):
        tagged.setdefault(arn.partition(f"{ID}:")[2], {})[key] = value
    assert tagged["instance-profile/bare"] == {"Owner": "@ops", "-x": "--tags=y", "Ｗide": "münchen\u3000\u2028"}
    assert tagged["instance-profile/differs"] == {"Owner": "file://ops", "Env": "prod"}
    assert tagged["instance-profile/shared-too"] == {"Team": "a"}
    assert "role/barerole" not in tagged


def test_a_plan_that_was_run_is_skipped_when_it_is_run_again(cleaned: dict[str, Any]) -> None:
    assert (cleaned["again"].returncode, cleaned["again"].stdout, cleaned["again_writes"]) == (1, "", [])


def test_shellcheck_has_nothing_to_say_of_a_script(cleaned: dict[str, Any], tmp_path: Path) -> None:
    """Neither of one with hostile names that deletes, nor of the sample's, which only tags."""
    needed(shutil.which("shellcheck"), "shellcheck", "`apt-get install shellcheck` brings it on Debian")
    scripts = (cleaned["plan"].script, iamframe.plan(sample_result()).script)
    for number, script in enumerate(scripts):
        (tmp_path / f"{number}.sh").write_text(script, encoding="utf-8")
    done = subprocess.run(["shellcheck", "-s", "sh", *tmp_path.iterdir()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_undo_brings_all_back_but_the_ids(cleaned: dict[str, Any]) -> None:
    assert (cleaned["undo"].returncode, cleaned["undo"].stderr) == (0, "")
    before, now = (cleaned[when].inventory for when in ("before", "undone"))
    same = ["profile_arn", "profile_path", "role_known", "tags_known"]
    pd.testing.assert_frame_equal(now.profiles[same], before.profiles[same])
    pd.testing.assert_frame_equal(now.links, before.links)
    pd.testing.assert_frame_equal(now.tags, before.tags)
    deleted = [HOSTILE, "--region=x"]
    old, new = (set(i.profiles["profile_id"][i.profiles["profile_name"].isin(deleted)]) for i in (before, now))
    assert not old & new
    steps = cleaned["plan"].steps
    lost = steps["cannot_undo"][steps["action"] == "delete"].str.extract(r"\b(AIPA\w+)", expand=False)
    assert set(lost) == old


# What happens between the plan and its run

NAMED = ("templated", "configured", "requested", "fleeted", "pinned", "shouted", "moved", "versioned")
ASKED = (
    "batched", "clustered", "stalked", "imaged", "provided", "based", "grouped", "queued",
    "AWSCloud9SSMInstanceProfile", "connected", "thinking",
)  # fmt: skip
CHANGED = ("started", "swapped", "recreated", "tagged", "emptied", "filled", "denied", "gone", *NAMED, *ASKED)


def holding(account: PracticeAccount) -> dict[str, list[str]]:
    """The profiles, and the roles in them."""
    profiles = account.session().client("iam").list_instance_profiles()["InstanceProfiles"]
    return {one["InstanceProfileName"]: [role["RoleName"] for role in one["Roles"]] for one in profiles}


def name_everywhere(account: PracticeAccount, arns: dict[str, str]) -> None:
    """Let a template, a configuration, a spot request, a spot fleet, and a group by an old version name one each.

    And templates: one in another case, one with another path, and one that names it in a version in between.
    """
    session = account.session(region_name="il-central-1")
    ec2, scaling = session.client("ec2"), session.client("autoscaling")
    image = {"ImageId": ec2.describe_images()["Images"][0]["ImageId"], "InstanceType": "t3.micro"}
    data = {"IamInstanceProfile": {"Arn": arns["templated"]}}
    ec2.create_launch_template(LaunchTemplateName="named", LaunchTemplateData=data)
    moved = arns["moved"].replace("/moved", "/old/path/moved")
    for name, data in (("case", {"Name": "SHOUTED"}), ("path", {"Arn": moved})):
        ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"IamInstanceProfile": data})
    ec2.create_launch_template(LaunchTemplateName="many", LaunchTemplateData=image)
    for data in ({"IamInstanceProfile": {"Name": "versioned"}}, {}, {}):
        ec2.create_launch_template_version(LaunchTemplateName="many", LaunchTemplateData=image | data)
    scaling.create_launch_configuration(LaunchConfigurationName="named", IamInstanceProfile="configured", **image)
    ec2.request_spot_instances(LaunchSpecification=image | {"IamInstanceProfile": {"Name": "requested"}})
    fleet = {"IamFleetRole": "arn:aws:iam::123456789012:role/fleet", "TargetCapacity": 1}
    specification = image | {"IamInstanceProfile": {"Arn": arns["fleeted"]}}
    ec2.request_spot_fleet(SpotFleetRequestConfig=fleet | {"LaunchSpecifications": [specification]})
    data = {"IamInstanceProfile": {"Name": "pinned"}}
    for name in ("pinned", "lost"):
        ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
        ec2.create_launch_template_version(LaunchTemplateName=name, LaunchTemplateData=image)
        ec2.modify_launch_template(LaunchTemplateName=name, DefaultVersion="2")
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=0,
            AvailabilityZones=["il-central-1a"],
            LaunchTemplate={"LaunchTemplateName": name, "Version": "1"},
        )
    # A group whose template is gone starts nothing.
    ec2.delete_launch_template(LaunchTemplateName="lost")


IAM = "arn:aws:iam::123456789012:instance-profile"
JSON = {
    ("batch", "DescribeComputeEnvironments"): {
        "computeEnvironments": [
            {
                "computeEnvironmentName": "idle",
                "computeEnvironmentArn": "arn:aws:batch:il-central-1:123456789012:compute-environment/idle",
                "status": "VALID",
                "computeResources": {
                    "type": "EC2",
                    "minvCpus": 0,
                    "maxvCpus": 4,
                    "subnets": [],
                    "instanceRole": "Batched",
                    "launchTemplate": {"launchTemplateName": "queue", "version": "1"},
                },
            }
        ]
    },
    ("elasticmapreduce", "ListClusters"): {"Clusters": [{"Id": "j-1"}, {"Id": "j-2"}]},
    ("elasticmapreduce", "DescribeCluster"): {
        "Cluster": {"Id": "j-1", "Status": {"State": "WAITING"}, "Ec2InstanceAttributes": {}}
    },
    # What the AWS CLI asks besides when it describes a cluster.
    ("elasticmapreduce", "ListInstanceGroups"): {"InstanceGroups": []},
    ("elasticmapreduce", "ListBootstrapActions"): {"BootstrapActions": []},
    ("imagebuilder", "ListInfrastructureConfigurations"): {
        "infrastructureConfigurationSummaryList": [{"name": "golden", "instanceProfileName": "imaged"}]
    },
    ("ecs", "DescribeCapacityProviders"): {"capacityProviders": [{"name": "FARGATE"}], "nextToken": "second"},
    ("cloud9", "ListEnvironments"): {"environmentIds": ["e1", "e2"]},
    ("cloud9", "DescribeEnvironments"): {"environments": [{"id": "e1", "connectionType": "CONNECT_SSM"}]},
    ("datazone", "ListDomains"): {"items": [{"id": "dzd_1"}]},
    ("datazone", "ListProjects"): {"items": [{"domainId": "dzd_1", "id": "p"}]},
    ("datazone", "ListConnections"): {
        "items": [
            {"connectionId": "c", "props": {"sparkEmrProperties": {"instanceProfileArn": f"{IAM}/connected"}}},
            {"connectionId": "r", "props": {"sparkEmrProperties": {"instanceProfileArn": "arn:aws:iam::1:role/r"}}},
        ]
    },
    ("bedrock-agentcore", "ListCapacityProviders"): {
        "capacityProviders": [{"capacityProviderId": "agents-abcdefghij"}]
    },
    ("bedrock-agentcore", "GetCapacityProvider"): {
        "name": "agents",
        "status": "READY",
        "permissionsConfiguration": {"capacityProviderOperatorRoleArn": "arn:aws:iam::123456789012:role/operator"},
        "computeConfiguration": {
            "ec2Configuration": {
                "launchTemplateSource": {"launchParameters": {"instanceProfileArn": f"{IAM}/thinking"}}
            }
        },
    },
    ("pcs", "ListClusters"): {"clusters": [{"id": "c"}]},
    ("pcs", "ListComputeNodeGroups"): {"computeNodeGroups": [{"id": "g1", "clusterId": "c"}]},
    ("pcs", "GetComputeNodeGroup"): {
        "computeNodeGroup": {
            "id": "g1",
            "status": "ACTIVE",
            "iamInstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/grouped",
        }
    },
}
OPTION = (
    "<OptionSettings><member><Namespace>aws:autoscaling:launchconfiguration</Namespace>"
    "<OptionName>IamInstanceProfile</OptionName><Value>stalked</Value></member></OptionSettings>"
)
XML = {
    ("rds", "DescribeDBInstances"): (
        "<DBInstances><DBInstance><DBInstanceIdentifier>custom</DBInstanceIdentifier>"
        "<CustomIamInstanceProfile>based</CustomIamInstanceProfile></DBInstance></DBInstances>"
    ),
    ("elasticbeanstalk", "DescribeEnvironments"): (
        "<Environments><member><ApplicationName>my shop</ApplicationName><EnvironmentName>prod</EnvironmentName>"
        "</member></Environments>"
    ),
    ("elasticbeanstalk", "DescribeConfigurationSettings"): (
        f"<ConfigurationSettings><member><ApplicationName>my shop</ApplicationName>{OPTION}</member>"
        "</ConfigurationSettings>"
    ),
}


def name_in_services(account: PracticeAccount, patch: pytest.MonkeyPatch) -> None:
    """Let what other services hold name one profile each, in AWS's shapes, where the practice account holds nothing."""
    real = account._dispatch

    def dispatch(call: Call) -> Answer:
        what = (call.service, call.action)
        if what in XML:
            return Answer(
                200,
                f"<{call.action}Response><{call.action}Result>{XML[what]}</{call.action}Result>"
                f"</{call.action}Response>".encode(),
            )
        answer = JSON.get(what)
        if call.json.get("ClusterId") == "j-2":
            answer = {"Cluster": {"Id": "j-2", "Ec2InstanceAttributes": {"IamInstanceProfile": "clustered"}}}
        if what[0] == "ecs" and call.json.get("nextToken") == "second":
            template = {"ec2InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/provided"}
            managed = {"managedInstancesProvider": {"instanceLaunchTemplate": template}}
            answer = {"capacityProviders": [{"name": "mine", "status": "ACTIVE", **managed}]}
        return real(call) if answer is None else json_answer(call, answer)

    patch.setattr(account, "_dispatch", dispatch)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An account in which, after the plan was made, each profile but one was changed in another way."""
    with PracticeAccount(regions=["il-central-1", "me-central-1"]) as account:
        iam = account.session().client("iam")
        for name in ("started", "swapped", "recreated", "tagged", "emptied", "denied", "half", "stuck"):
            add(account, name, name)
        arns = {name: add(account, name, name) for name in (*NAMED, *ASKED)}
        for name in ("filled", "gone", "left"):
            add(account, name)
        iam.create_role(RoleName="other", AssumeRolePolicyDocument=EC2)
        plan = iamframe.plan(checked(account), min_age=NOW)
        start(account, "started", region="il-central-1")
        iam.remove_role_from_instance_profile(InstanceProfileName="swapped", RoleName="swapped")
        iam.add_role_to_instance_profile(InstanceProfileName="swapped", RoleName="other")
        iam.remove_role_from_instance_profile(InstanceProfileName="recreated", RoleName="recreated")
        iam.delete_instance_profile(InstanceProfileName="recreated")
        iam.create_instance_profile(InstanceProfileName="recreated")
        iam.add_role_to_instance_profile(InstanceProfileName="recreated", RoleName="recreated")
        iam.tag_instance_profile(InstanceProfileName="tagged", Tags=tag_list({"keep": "yes"}))
        iam.remove_role_from_instance_profile(InstanceProfileName="emptied", RoleName="emptied")
        iam.add_role_to_instance_profile(InstanceProfileName="filled", RoleName="other")
        iam.delete_instance_profile(InstanceProfileName="gone")
        account.deny("GetInstanceProfile", "denied")
        name_everywhere(account, arns)
        queue = {"IamInstanceProfile": {"Name": "queued"}}
        ec2 = account.session(region_name="il-central-1").client("ec2")
        ec2.create_launch_template(LaunchTemplateName="queue", LaunchTemplateData=queue)
        for name in ("half", "stuck"):
            account.deny("DeleteInstanceProfile", name)
        account.deny("AddRoleToInstanceProfile", "stuck")
        account.forget()
        with pytest.MonkeyPatch.context() as patch:
            name_in_services(account, patch)
            done = run(plan.script, account, tmp_path_factory.mktemp("changed"))
        written, held = writes(account), holding(account)
        asked = [request.action for request in account.requests]
        account.allow()
        (line,) = [line for line in done.stderr.splitlines() if line.startswith('HALF DONE: the profile "stuck": ')]
        run(line.partition("; type: ")[2], account, tmp_path_factory.mktemp("back"))
        back = holding(account)
    return {"plan": plan, "done": done, "writes": written, "held": held, "back": back, "asked": asked}


def test_all_of_them_were_planned(changed: dict[str, Any]) -> None:
    steps = changed["plan"].steps
    assert set(steps["resource_name"][steps["action"] == "delete"]) == {*CHANGED, "left", "half", "stuck"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("started", "an instance in il-central-1 has it"),
        ("swapped", "it was ["),
        ("recreated", "it was ["),
        ("tagged", "it was ["),
        ("emptied", "it was ["),
        ("filled", "it was ["),
        ("denied", "it could not be read"),
        ("gone", "it could not be read"),
        ("templated", "the launch templates of il-central-1 reference it"),
        ("configured", "the launch configurations of il-central-1 reference it"),
        ("requested", "the Spot requests of il-central-1 reference it"),
        ("fleeted", "the Spot Fleets of il-central-1 reference it"),
        ("pinned", "the launch templates of il-central-1 reference it"),
        ("shouted", "the launch templates of il-central-1 reference it"),
        ("moved", "the launch templates of il-central-1 reference its name with another path"),
        ("versioned", "the launch templates of il-central-1 reference it"),
        ("batched", "the Batch compute environments of il-central-1 reference it"),
        ("clustered", "the EMR clusters of il-central-1 reference it"),
        ("stalked", "the Elastic Beanstalk environments of il-central-1 reference it"),
        ("imaged", "the Image Builder infrastructure configurations of il-central-1 reference it"),
        ("provided", "the ECS capacity providers of il-central-1 reference it"),
        ("based", "the RDS Custom instances of il-central-1 reference it"),
        ("queued", "the launch templates of il-central-1 reference it"),
        ("grouped", "the PCS node groups of il-central-1 reference it"),
        ("AWSCloud9SSMInstanceProfile", "the Cloud9 environments of il-central-1 reference it"),
        ("connected", "the DataZone connections of il-central-1 reference it"),
        ("thinking", "the AgentCore capacity providers of il-central-1 reference it"),
    ],
)
def test_nothing_is_written_to_a_profile_that_is_no_longer_as_it_was_read(
    changed: dict[str, Any], name: str, why: str
) -> None:
    assert f'skipped: the profile "{name}": {why}' in changed["done"].stderr
    assert f'the profile "{name}"\n' not in changed["done"].stdout
    now = {"emptied": [], "filled": ["other"], "swapped": ["other"], "gone": None}
    assert changed["held"].get(name) == now.get(name, [name])


def test_an_aws_cli_that_is_too_old_for_a_kind_of_use_relies_on_the_load_and_says_so(tmp_path: Path) -> None:
    with PracticeAccount(regions=["il-central-1"]) as account:
        add(account, "left", "left")
        plan = iamframe.plan(checked(account), min_age=NOW)
        done = run(
            plan.script, account, tmp_path, "iam", before="bedrock-agentcore-control) echo usage >&2; exit 2 ;; "
        )
        held = holding(account)
    where = "the AgentCore capacity providers of il-central-1"
    unseen = "so the script does not see those that began to use a profile after the load"
    assert done.stderr == f"note: this AWS CLI is too old to list {where} again, {unseen}\n"
    assert (done.returncode, held) == (0, {})


def test_the_others_are_done_and_the_script_ends_with_what_it_skipped(changed: dict[str, Any]) -> None:
    done = changed["done"]
    assert done.returncode == 1
    assert "left" not in changed["held"]
    assert changed["writes"] == [
        "DeleteInstanceProfile",
        "RemoveRoleFromInstanceProfile",
        "DeleteInstanceProfile AccessDenied",
        "AddRoleToInstanceProfile",
        "RemoveRoleFromInstanceProfile",
        "DeleteInstanceProfile AccessDenied",
        "AddRoleToInstanceProfile AccessDenied",
    ]
    assert done.stdout.splitlines() == [
        'done: delete the profile "left"',
        'done: take the role out of the profile "half"',
        'done: take the role out of the profile "stuck"',
    ]
    _, end = done.stderr.split("these profiles or roles were skipped, or are half done (the messages above say why):\n")
    assert sorted(end.split()) == sorted(
        ["the", "profile"] * (len(CHANGED) + 2) + [f'"{name}"' for name in (*CHANGED, "half", "stuck")]
    )


def test_the_role_goes_back_into_a_profile_that_cannot_be_deleted(changed: dict[str, Any]) -> None:
    assert 'put back: the role of the profile "half"\n' in changed["done"].stderr
    assert changed["held"]["half"] == ["half"]


def test_where_the_role_cannot_be_put_back_the_way_back_is_said(changed: dict[str, Any]) -> None:
    assert (changed["held"]["stuck"], changed["back"]["stuck"]) == ([], ["stuck"])


def test_what_names_profiles_is_asked_once_in_each_region_and_instances_before_each_deletion(
    changed: dict[str, Any],
) -> None:
    counts = Counter(changed["asked"])
    for name in ("DescribeLaunchConfigurations", "DescribeAutoScalingGroups", "DescribeFleets"):
        assert counts[name] == 2
    # Of three profiles in two regions, and of one that is found in use in the first.
    assert counts["DescribeInstances"] == 6
    assert counts["DescribeIamInstanceProfileAssociations"] == 7


def test_all_that_a_load_asks_is_asked_again(changed: dict[str, Any]) -> None:
    assert {one.operation for one in CONSUMERS if one.when != "files"} <= set(changed["asked"])


def test_a_service_that_cannot_be_read_stops_the_deletion(tmp_path: Path) -> None:
    with PracticeAccount(regions=["me-central-1"]) as account:
        add(account, "left")
        plan = iamframe.plan(checked(account), min_age=NOW)
        account.deny("pcs:ListClusters")
        account.forget()
        done = run(plan.script, account, tmp_path, "iam", "pcs")
        assert (done.returncode, writes(account)) == (1, [])
        assert "of me-central-1 could not be read" in done.stderr


@pytest.fixture(scope="module")
def one_left() -> tuple[str, str]:
    """The script that deletes an empty profile of two regions, and what the AWS CLI must print of it."""
    with PracticeAccount(regions=["eu-central-1", "eu-south-1"]) as account:
        add(account, "left")
        plan = iamframe.plan(checked(account), min_age=NOW)
    (block,) = [line for line in plan.script.splitlines() if "profile_is left " in line]
    return plan.script, shlex.split(block.partition("profile_is left ")[2])[0]


# An AWS CLI of ten lines: it writes down what it is asked, lists one thing wherever something is asked for by itself,
# and fails at what is to be refused.
AWS = """\
#!/bin/sh
echo "$*" >>asked
case "$* " in $REFUSED) echo refused >&2; exit 254 ;; esac
case "$*" in
  sts*) echo 123456789012 ;;
  iam\\ get*) printf '%s\\n' "$STATE" ;;
  *--launch-template-id*) ;;
  *launch-template-versions*) printf 'lt-1\\t3\\nlt-1\\t1\\nlt-3\\t1\\nlt-4\\t2\\nlt-4\\t1\\n' ;;
  *auto-scaling-groups*) printf 'lt-2\\tNone\\t5\\n' ;;
  emr\\ list*) echo j-1 ;;
  elasticbeanstalk\\ describe-env*) printf 'my shop\\tprod\\n' ;;
  imagebuilder\\ list* | ecs*) printf 'None\\nother\\n' ;;
  cloud9\\ list* | bedrock*list*) echo x ;;
  datazone\\ list-domains*) echo d ;;
  datazone\\ list-projects*) printf 'd\\tp\\n' ;;
  pcs\\ list-clusters*) echo c ;;
  pcs\\ list-compute*) printf 'c\\tg\\n' ;;
esac
"""


def asked_of(folder: Path, left: tuple[str, str], refused: str) -> tuple[list[str], str]:
    """Run a script with that AWS CLI; return what it asked, in order, and what it said."""
    folder.mkdir()
    (folder / "aws").write_text(AWS, encoding="utf-8")
    (folder / "aws").chmod(0o755)
    environment = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "STATE": left[1], "REFUSED": refused}
    done = subprocess.run(
        ["sh", "-s"],
        input=left[0],
        cwd=folder,
        env=environment | {"AWS": "x"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return (folder / "asked").read_text("utf-8").splitlines(), done.stderr


def test_all_that_a_load_asks_is_asked_before_a_deletion(tmp_path: Path, one_left: tuple[str, str]) -> None:
    asked, said = asked_of(tmp_path / "run", one_left, "nothing")
    assert (asked[-1], said) == ("iam delete-instance-profile --instance-profile-name=left", "")
    for line in READ_AGAIN:
        for region in ("eu-central-1", "eu-south-1"):
            assert any(one.startswith(line) and f"--region={region} " in one for one in asked), (line, region)
    # A version that is neither the newest nor the default, and one that a group starts from.
    told = ("--launch-template-id", "--versions", "--region")
    by_id = {
        tuple(part for part in one.split() if part.startswith(told)) for one in asked if "--launch-template-id" in one
    }
    assert by_id == {
        (f"--launch-template-id={one}", *versions, f"--region={region}")
        for one, versions in (("lt-1", ()), ("lt-2", ("--versions=5",)))
        for region in ("eu-central-1", "eu-south-1")
    }


READ_AGAIN = sorted(
    f"{one.service} {cli_name(operation)} "
    for one in CONSUMERS
    if one.when != "files"
    for operation in (one.operation, *(step.operation for step in one.steps))
)


@pytest.mark.parametrize("line", [*READ_AGAIN, "ec2 describe-launch-template-versions --launch-template-id=lt-1 "])
def test_nothing_is_deleted_where_one_read_is_refused_in_one_region(
    tmp_path: Path, one_left: tuple[str, str], line: str
) -> None:
    asked, said = asked_of(tmp_path / "run", one_left, f"{line}*--region=eu-south-1*")
    assert [one for one in asked if one.startswith(line)]
    assert not [one for one in asked if one.startswith(("iam delete", "iam remove"))]
    assert "of eu-south-1 could not be read" in said


def test_tags_are_not_set_where_either_side_has_changed(tmp_path: Path) -> None:
    with PracticeAccount(regions=["me-central-1"]) as account:
        for name in ("role", "profile"):
            link(account, name, {"Owner": "ops"}, {"Owner": "dev"})
        plan = iamframe.plan(checked(account), min_age=NOW)
        tag_role(account, "role", Owner="new")
        account.session().client("iam").tag_instance_profile(
            InstanceProfileName="profile", Tags=tag_list({"Owner": "own"})
        )
        account.forget()
        done = run(plan.script, account, tmp_path)
        assert (done.returncode, writes(account)) == (1, [])
        assert 'skipped: the role "role": it was [' in done.stderr
        assert 'skipped: the profile "profile": it was [' in done.stderr


def test_a_deletion_whose_answer_is_lost_is_done(tmp_path: Path) -> None:
    with PracticeAccount(regions=["me-central-1"]) as account:
        add(account, "web", "web")
        plan = iamframe.plan(checked(account), min_age=NOW)
        actions = ("RemoveRoleFromInstanceProfile", "DeleteInstanceProfile")
        for action in actions:
            account.fault("reset", action)
        done = run(plan.script, account, tmp_path, "iam")
        assert {f"{action} NoSuchEntity" for action in actions} <= set(writes(account))
        assert holding(account) == {}
    assert done.stdout == 'done: take the role out of the profile "web"\ndone: delete the profile "web"\n'
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("by", ["Ctrl-C", "a closed output"])
def test_a_script_that_is_stopped_finishes_one_profile_and_begins_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str, by: str
) -> None:
    with PracticeAccount(regions=["me-central-1"]) as account:
        for name in ("one", "two"):
            add(account, name, name)
        (tmp_path / "plan.sh").write_text(iamframe.plan(checked(account), min_age=NOW).script)
        read, out = os.pipe()
        environment = os.environ | account.environment() | {"PATH": with_aws(tmp_path, "iam")}
        real = account._dispatch

        def dispatch(call: Call) -> Answer:
            answer = real(call)
            if call.action == "RemoveRoleFromInstanceProfile":
                os.killpg(process.pid, signal.SIGINT) if by == "Ctrl-C" else os.close(read)
            return answer

        monkeypatch.setattr(account, "_dispatch", dispatch)
        process = subprocess.Popen(
            [shell, "plan.sh"],
            cwd=tmp_path,
            env=environment,
            stdout=out,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        os.close(out)
        _, errors = process.communicate()
        assert holding(account) == {"two": ["two"]}
    assert (process.returncode, errors.decode().splitlines()[-1]) == (130, "stopped: the remaining steps were not done")


def test_a_script_does_nothing_in_another_account_or_with_expired_credentials(tmp_path: Path) -> None:
    with PracticeAccount(regions=["me-central-1"]) as account:
        add(account, "left")
        plan = iamframe.plan(checked(account), min_age=NOW)
        other = account.add_member("other")
        account.forget()
        elsewhere = run(plan.script, account, tmp_path, account_id=other)
        account.expire()
        expired = run(plan.script, account, tmp_path)
        assert [request.action for request in account.requests] == ["GetCallerIdentity"] * 2
    assert elsewhere.returncode == expired.returncode == 2
    assert f"these credentials are for account {other}, but this plan is for {ID}" in elsewhere.stderr
    assert "nothing was done" in expired.stderr


def test_of_many_accounts_only_that_of_the_credentials_is_done(tmp_path: Path) -> None:
    with PracticeAccount(regions=["me-central-1"]) as account:
        other = account.add_member("other")
        add(account, "mine")
        account.session(account_id=other).client("iam").create_instance_profile(InstanceProfileName="theirs")
        sessions = [account.session(region_name="me-central-1", account_id=one) for one in (ID, other)]
        both = joined(iamframe.load_account(session, progress=False) for session in sessions)
        plan = iamframe.plan(iamframe.run_checks(both), min_age=NOW)
        assert plan.steps["account_id"].unique().tolist() == sorted([ID, other])
        done = run(plan.script, account, tmp_path, "iam", account_id=other)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == 'done: delete the profile "theirs"\n'
