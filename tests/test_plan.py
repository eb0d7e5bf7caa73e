"""Clean-up plans: what they hold, and what they do to a practice account when run with the AWS CLI."""

from __future__ import annotations

import csv
import json
import os
import shlex
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from accounts import EC2, ID, add
from builders import ACCOUNT, dump, load, nested_role, profile, profile_list, role_detail, tag_list
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import iamframe
from iamframe import Plan, Result
from iamframe.planning import CHECKS
from iamframe.practice import PracticeAccount

NOW = timedelta(0)
Findings = set[tuple[str, str]]


def checked(account: PracticeAccount, **options: Any) -> Result:
    session = account.session(region_name="us-east-1")
    return iamframe.run_checks(iamframe.load_account(session, progress=False, **({"references": True} | options)))


def named(findings: pd.DataFrame) -> Findings:
    return set(zip(findings["check"], findings["resource_name"], strict=True))


def planned_for(account: PracticeAccount) -> Findings:
    return {(check, name) for check, name in named(checked(account).findings) if check in CHECKS}


def run(script: str, account: PracticeAccount, folder: Path, account_id: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script under sh with the AWS CLI of this environment, in an empty folder."""
    folder.mkdir(exist_ok=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    (folder / "plan.sh").write_text(script, encoding="utf-8")
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


def tag_role(account: PracticeAccount, name: str, **tags: str) -> None:
    account.session().client("iam").tag_role(RoleName=name, Tags=tag_list(tags))


def name_in_template(account: PracticeAccount, name: str, region: str = "us-east-1") -> None:
    ec2 = account.session(region_name=region).client("ec2")
    data = {"IamInstanceProfile": {"Name": name}}
    ec2.create_launch_template(LaunchTemplateName=f"t-{len(name)}-{name.strip('-')}", LaunchTemplateData=data)


def start(account: PracticeAccount, name: str, region: str = "us-east-1") -> None:
    ec2 = account.session(region_name=region).client("ec2")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, IamInstanceProfile={"Name": name})


def link(account: PracticeAccount, name: str, role: dict[str, str], held_by: dict[str, str]) -> None:
    """A pair of one name with these tags, in use."""
    add(account, name, name, **held_by)
    if role:
        tag_role(account, name, **role)
    name_in_template(account, name)


def reasons(plan: Plan) -> dict[tuple[str, str], str]:
    rows = plan.not_planned
    return {(c, n): r for c, n, r in zip(rows["check"], rows["resource_name"], rows["reason"], strict=True)}


# Run with the AWS CLI

HOSTILE_PATH = "/a'b/$(touch${IFS}pwned)/`touch${IFS}pwned`/;\"\\*?/"
HOSTILE = "-empty=+,.@x"


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An account of many kinds before its plan was run, afterwards, after it was run again, and after the undo."""
    with PracticeAccount(regions=["us-east-1"]) as account:
        iam = account.session().client("iam")
        add(account, HOSTILE, path=HOSTILE_PATH)
        add(account, "--region=x", "free-role", path="/x/", Owner="file:///etc/passwd", **{"a=b,c".replace(",", ":"): ""})
        link(account, "bare", {"Owner": "@ops", "-x": "--tags=y", "Ｗide": "münchen\u3000\u2028"}, {})
        link(account, "barerole", {}, {"Owner": "http://example.com/"})
        link(account, "differs", {"Owner": "file://ops", "Env": "prod"}, {"Owner": "dev", "More": ""})
        link(account, "cased", {"Owner": "ops"}, {"owner": "ops"})
        link(account, "quick", {"Owner": "ops"}, {"Owner": "ops", "QSConfigId-a1b2": "a1b2"})
        link(account, "shared", {"Team": "a"}, {"Team": "a", "Extra": "1"})
        iam.create_instance_profile(InstanceProfileName="shared-too")
        iam.add_role_to_instance_profile(InstanceProfileName="shared-too", RoleName="shared")
        name_in_template(account, "shared-too")
        before = checked(account)
        plan = iamframe.plan(before, min_age=NOW)
        account.forget()
        folder = tmp_path_factory.mktemp("cleaned")
        done = run(plan.script, account, folder)
        written, after = writes(account), checked(account)
        facts = {"before": before, "plan": plan, "done": done, "writes": written, "after": after}
        facts["files"] = sorted(file.name for file in folder.iterdir())
        account.forget()
        facts["again"], facts["again_writes"] = run(plan.script, account, folder), writes(account)
        undo = plan.steps["undo"][plan.steps["action"].isin(["tag", "delete"])].tolist()[::-1]
        facts["undo"], facts["undone"] = run("\n".join(undo), account, folder), checked(account)
    return facts


def test_a_plan_runs_without_a_refusal(cleaned: dict[str, Any]) -> None:
    done = cleaned["done"]
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(cleaned["writes"]) == [
        "DeleteInstanceProfile",
        "DeleteInstanceProfile",
        "RemoveRoleFromInstanceProfile",
        *["TagInstanceProfile"] * 3,
        *["TagRole"] * 3,
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
        ("tag_differences", "--region=x"),
        ("name_mismatches", "--region=x"),
        ("path_mismatches", "--region=x"),
        ("untagged_profiles", "bare"),
        ("tag_differences", "bare"),
        ("untagged_roles", "barerole"),
        ("tag_differences", "barerole"),
        ("tag_differences", "differs"),
        ("tag_differences", "shared"),
        ("tag_differences", "shared-too"),
        ("untagged_profiles", "shared-too"),
    }
    # Roles are not deleted, so that one that EC2 may assume is then in no profile: the plan says so.
    assert after - before == {("ec2_roles_without_profile", "free-role")}
    told = cleaned["plan"].steps["why"][cleaned["plan"].steps["action"] == "remove-role"].tolist()
    assert [why.rpartition("; ")[2] for why in told] == [
        "the role free-role stays, and, trusting EC2, is then in no profile: ec2_roles_without_profile will name it"
    ]


def test_every_other_finding_is_listed_with_its_reason(cleaned: dict[str, Any]) -> None:
    assert reasons(cleaned["plan"]) == {
        ("tag_differences", "cased"): (
            "Owner and owner differ in case alone: which of them is right is for you to say"
        ),
        ("tag_differences", "quick"): "the tag QSConfigId-a1b2 is one that SSM Quick Setup needs where it stands",
        ("untagged_roles", "free-role"): (
            "no profile that stays has tags that could be copied: what they should be is not known"
        ),
    }


def test_tags_are_those_of_the_other_side_whatever_they_hold(cleaned: dict[str, Any]) -> None:
    tags = cleaned["after"].inventory.tags
    tagged: dict[str, dict[str, str]] = {}
    for arn, key, value in zip(tags["resource_arn"], tags["tag_key"], tags["tag_value"], strict=True):
        tagged.setdefault(arn.partition(f"{ID}:")[2], {})[key] = value
    assert tagged["instance-profile/bare"] == {"Owner": "@ops", "-x": "--tags=y", "Ｗide": "münchen\u3000\u2028"}
    assert tagged["role/barerole"] == {"Owner": "http://example.com/"}
    both = {"Owner": "file://ops", "Env": "prod", "More": ""}
    assert (tagged["instance-profile/differs"], tagged["role/differs"]) == (both, both)
    assert tagged["instance-profile/shared-too"] == {"Team": "a", "Extra": "1"}


def test_a_plan_that_was_run_is_skipped_when_it_is_run_again(cleaned: dict[str, Any]) -> None:
    assert (cleaned["again"].returncode, cleaned["again"].stdout, cleaned["again_writes"]) == (1, "", [])


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
    assert {text.split()[2] for text in steps["cannot_undo"][steps["action"] == "delete"]} == old


# What happens between the plan and its run

CHANGED = ("started", "swapped", "recreated", "tagged", "emptied", "filled", "denied", "gone")


def holding(account: PracticeAccount) -> dict[str, list[str]]:
    """The profiles, and the roles in them."""
    profiles = account.session().client("iam").list_instance_profiles()["InstanceProfiles"]
    return {one["InstanceProfileName"]: [role["RoleName"] for role in one["Roles"]] for one in profiles}


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An account in which, after the plan was made, each profile but one was changed in another way."""
    with PracticeAccount() as account:
        iam = account.session().client("iam")
        for name in ("started", "swapped", "recreated", "tagged", "emptied", "denied", "half"):
            add(account, name, name)
        for name in ("filled", "gone", "left"):
            add(account, name)
        iam.create_role(RoleName="other", AssumeRolePolicyDocument=EC2)
        plan = iamframe.plan(checked(account), min_age=NOW)
        start(account, "started", region="eu-west-1")
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
        account.deny("DeleteInstanceProfile", "half")
        account.forget()
        done = run(plan.script, account, tmp_path_factory.mktemp("changed"))
        written, held = writes(account), holding(account)
        (line,) = [line for line in done.stderr.splitlines() if "to put it back: " in line]
        run(line.partition("to put it back: ")[2], account, tmp_path_factory.mktemp("back"))
        back = holding(account)
    return {"plan": plan, "done": done, "writes": written, "held": held, "back": back}


def test_all_of_them_were_planned(changed: dict[str, Any]) -> None:
    steps = changed["plan"].steps
    assert set(steps["resource_name"][steps["action"] == "delete"]) == {*CHANGED, "left", "half"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("started", "an instance in eu-west-1 has it"),
        ("swapped", "it was ["),
        ("recreated", "it was ["),
        ("tagged", "it was ["),
        ("emptied", "it was ["),
        ("filled", "it was ["),
        ("denied", "it could not be read"),
        ("gone", "it could not be read"),
    ],
)
def test_nothing_is_written_to_a_profile_that_is_no_longer_as_it_was_read(
    changed: dict[str, Any], name: str, why: str
) -> None:
    assert f"skipped: profile {name}: {why}" in changed["done"].stderr
    assert f"profile-name={name}" not in changed["done"].stdout
    now = {"emptied": [], "filled": ["other"], "swapped": ["other"], "gone": None}
    assert changed["held"].get(name) == now.get(name, [name])


def test_the_others_are_done_and_the_script_ends_with_what_it_skipped(changed: dict[str, Any]) -> None:
    done = changed["done"]
    assert done.returncode == 1
    assert "left" not in changed["held"]
    assert changed["writes"] == [
        "RemoveRoleFromInstanceProfile",
        "DeleteInstanceProfile AccessDenied",
        "DeleteInstanceProfile",
    ]
    _, end = done.stderr.split("left as they are, or half done, as said above:\n")
    assert sorted(end.split()) == sorted(["profile"] * 9 + [*CHANGED, "half"])


def test_where_the_role_is_out_and_the_profile_cannot_be_deleted_the_way_back_is_said(changed: dict[str, Any]) -> None:
    assert (changed["held"]["half"], changed["back"]["half"]) == ([], ["half"])


@pytest.mark.parametrize("action", ["DescribeInstances", "DescribeIamInstanceProfileAssociations"])
def test_a_region_that_cannot_be_read_stops_the_deletion(tmp_path: Path, action: str) -> None:
    with PracticeAccount(regions=["us-east-1"]) as account:
        add(account, "left")
        plan = iamframe.plan(checked(account), min_age=NOW)
        account.deny(action)
        account.forget()
        done = run(plan.script, account, tmp_path)
        assert (done.returncode, writes(account)) == (1, [])
        assert "of us-east-1 could not be read" in done.stderr


def test_tags_are_not_set_where_either_side_has_changed(tmp_path: Path) -> None:
    with PracticeAccount(regions=["us-east-1"]) as account:
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
        assert "skipped: role role: it was [" in done.stderr
        assert "skipped: profile profile: it was [" in done.stderr


def test_a_script_does_nothing_in_another_account_or_with_expired_credentials(tmp_path: Path) -> None:
    with PracticeAccount(regions=["us-east-1"]) as account:
        add(account, "left")
        plan = iamframe.plan(checked(account), min_age=NOW)
        other = account.add_member("other")
        account.forget()
        elsewhere = run(plan.script, account, tmp_path, other)
        account.expire()
        expired = run(plan.script, account, tmp_path)
        assert [request.action for request in account.requests] == ["GetCallerIdentity"] * 2
    assert elsewhere.returncode == expired.returncode == 2
    assert f"these credentials are of account {other}, and this plan is for {ID}" in elsewhere.stderr
    assert "nothing was done" in expired.stderr


def test_of_many_accounts_only_that_of_the_credentials_is_done(tmp_path: Path) -> None:
    with PracticeAccount(regions=["us-east-1"]) as account:
        other = account.add_member("other")
        add(account, "mine")
        account.session(account_id=other).client("iam").create_instance_profile(InstanceProfileName="theirs")
        session = account.session(region_name="us-east-1")
        inventory = iamframe.load_fleet(
            "org", session=session, role_name="OrganizationAccountAccessRole", progress=False
        )
        plan = iamframe.plan(iamframe.run_checks(inventory), min_age=NOW)
        assert plan.steps["account_id"].unique().tolist() == sorted([ID, other])
        done = run(plan.script, account, tmp_path, other)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "done: aws iam delete-instance-profile --instance-profile-name=theirs\n"


# What is not planned


def test_what_is_in_use_wanted_back_or_needed_is_left_alone() -> None:
    with PracticeAccount(regions=["us-east-1"]) as account:
        iam = account.session().client("iam")
        add(account, "named")
        name_in_template(account, "named")
        add(account, "eks-08c968da-2d88-0096-4c82-1ee57490a6af")
        add(account, "prod_4067990795380418201", path="/karpenter/eu-west-1/prod/x/")
        add(account, "old_4067990795380418201", **{"kubernetes.io/cluster/old": "owned"})
        add(account, "infra-x7k2p-worker-profile", "infra-x7k2p-worker-role")
        add(account, "patched", **{"QSConfigId-a1b2": "a1b2"})
        iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
        add(account, "linked")
        iam.add_role_to_instance_profile(InstanceProfileName="linked", RoleName="AWSServiceRoleForAutoScaling")
        plan = iamframe.plan(checked(account), min_age=NOW)
        found = {name: reason for (check, name), reason in reasons(plan).items() if check in CHECKS[:2]}
    wanted = "which will make it again or want it back"
    assert plan.steps.empty
    assert found.pop("named").startswith("the launch-template lt-")
    assert found == {
        "eks-08c968da-2d88-0096-4c82-1ee57490a6af": f"its names and path are those of EKS managed node group, {wanted}",
        "prod_4067990795380418201": f"its names and path are those of Karpenter, {wanted}",
        "old_4067990795380418201": (
            f"its tag kubernetes.io/cluster/old says that a Kubernetes cluster made it, {wanted}"
        ),
        "infra-x7k2p-worker-profile": f"its names and path are those of OpenShift, {wanted}",
        "patched": "its tag QSConfigId-a1b2 is one that SSM Quick Setup needs",
        "linked": "AWS manages the role AWSServiceRoleForAutoScaling in it",
    }


def test_what_is_younger_than_a_day_is_left_alone_unless_another_age_is_given() -> None:
    with PracticeAccount(regions=["us-east-1"]) as account:
        add(account, "new")
        result = checked(account)
    created = result.inventory.profiles["created_at"].iloc[0].strftime("%Y-%m-%dT%H:%M:%SZ")
    plan = iamframe.plan(result)
    assert reasons(plan)["empty_profiles", "new"] == f"it was made {created}, less than 1 day before it was read"
    assert plan.steps.empty
    assert reasons(iamframe.plan(result, min_age=timedelta(hours=12)))["empty_profiles", "new"].endswith(
        "less than 12 hours before it was read"
    )
    assert iamframe.plan(result, min_age=NOW).steps["action"].tolist() == ["check", "check", "delete"]


@pytest.mark.parametrize(
    ("options", "denied", "reason"),
    [
        ({"regions": ["us-east-1"]}, None, "use unknown: regions other than us-east-1 were not asked for"),
        ({"references": False}, None, "use unknown: "),
        ({}, "DescribeLaunchTemplateVersions", "use unknown: "),
        ({}, "ListInstanceProfileTags GetInstanceProfile", "its tags were not read, "),
    ],
)
def test_what_could_not_be_seen_is_not_planned(options: dict[str, Any], denied: str | None, reason: str) -> None:
    with PracticeAccount() as account:
        add(account, "left")
        add(account, "free", "free")
        for action in (denied or "").split():
            account.deny(action)
        plan = iamframe.plan(checked(account, **options), min_age=NOW)
    assert plan.steps.empty
    assert reasons(plan)["empty_profiles", "left"].startswith(reason)


def planned(folder: Path, documents: dict[str, Any], policy: str | None = None) -> Plan:
    folder.mkdir(exist_ok=True)
    if policy:
        (folder / "policy.toml").write_text(policy, encoding="utf-8")
    inventory = load(folder / "dumps", documents)
    return iamframe.plan(iamframe.run_checks(inventory, policy=folder / "policy.toml" if policy else None), min_age=NOW)


def long(record: dict[str, Any]) -> dict[str, Any]:
    """A record with ids of the length that AWS gives."""
    ids = {key: f"{value[:4]}{value[4:].encode().hex():0<17}" for key, value in record.items() if key.endswith("Id")}
    return record | ids


def pair(role: dict[str, str], *held_by: dict[str, str], name: str = "web", **more: Any) -> dict[str, Any]:
    """A role, and the profiles `NAME`, `NAME2` … that hold it, with their tags."""
    names = [f"{name}{number or ''}" for number in range(len(held_by))]
    nested = long(nested_role(name, **more))
    profiles = [long(profile(one, nested)) for one in names]
    documents: dict[str, Any] = {
        "d.json": dump(long(role_detail(name, [long(profile(one)) for one in names], role, **more))),
        "p.json": profile_list(*profiles),
    }
    return documents | {
        f"instance-profile-tags/{one}.json": {"Tags": tag_list(tags)} for one, tags in zip(names, held_by, strict=True)
    }


def set_by(plan: Plan) -> dict[str, dict[str, str]]:
    """What the commands set, by resource, as the CLI reads them."""
    sets = {}
    for command in plan.steps["command"][plan.steps["action"] == "tag"]:
        aws, iam, verb, name, tags = shlex.split(command)
        assert (aws, iam) == ("aws", "iam")
        key = verb.removeprefix("tag-") + "/" + name.partition("=")[2]
        sets[key] = {tag["Key"]: tag["Value"] for tag in json.loads(tags.removeprefix("--tags="))}
    return sets


def test_what_is_meant_so_or_accepted_is_left_alone(tmp_path: Path) -> None:
    policy = '[[accepted]]\ncheck = "untagged_profiles"\nreason = "by hand"\n[[accepted]]\ncheck = "tag_differences"\nreason = "too"'
    plan = planned(tmp_path, pair({"Owner": "ops"}, {}), policy)
    assert plan.steps.empty
    assert reasons(plan) == {
        ("untagged_profiles", "web"): "accepted: by hand",
        ("tag_differences", "web"): "accepted: too",
    }
    cloud9 = pair({"Owner": "ops"}, {}, name="AWSCloud9SSMAccessRole", path="/service-role/")
    cloud9["p.json"]["InstanceProfiles"][0] |= {
        "Path": "/cloud9/",
        "InstanceProfileName": "AWSCloud9SSMInstanceProfile",
        "Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/cloud9/AWSCloud9SSMInstanceProfile",
    }
    cloud9["d.json"]["RoleDetailList"][0]["InstanceProfileList"] = cloud9["p.json"]["InstanceProfiles"]
    cloud9["instance-profile-tags/AWSCloud9SSMInstanceProfile.json"] = {"Tags": []}
    plan = planned(tmp_path / "c9", cloud9)
    assert reasons(plan)["tag_differences", "AWSCloud9SSMInstanceProfile"] == "AWS Cloud9 makes it so"


def test_no_resource_gets_more_than_fifty_tags(tmp_path: Path) -> None:
    few, many = ({f"k{number}": "v" for number in some} for some in (range(20, 50), range(50)))
    assert set_by(planned(tmp_path / "50", pair(many, few))) == {
        "instance-profile/web": {f"k{number}": "v" for number in range(20)}
    }
    over = planned(tmp_path / "51", pair({f"k{number}": "v" for number in range(30)}, {f"j{n}": "v" for n in range(21)}))
    assert set_by(over) == {}
    assert reasons(over)["tag_differences", "web"].endswith("would have 51 tags, and AWS takes 50")


def test_keys_that_aws_reserves_are_never_set(tmp_path: Path) -> None:
    plan = planned(tmp_path, pair({"Owner": "ops", "aws:x": "y"}, {"aws:z": "w"}))
    assert set_by(plan) == {"instance-profile/web": {"Owner": "ops"}}
    assert set_by(planned(tmp_path / "value", pair({"Owner": "aws:me"}, {}))) == {}


def test_a_tag_that_would_set_a_role_apart_from_its_other_profiles_is_not_planned(tmp_path: Path) -> None:
    plan = planned(tmp_path, pair({"Team": "a"}, {"Team": "a"}, {"Team": "a", "Extra": "1"}))
    assert set_by(plan) == {}
    assert reasons(plan) == {
        ("tag_differences", "web1"): "the profile web and the role web would then differ",
    }


def test_profiles_of_one_role_that_disagree_leave_its_tags_to_the_reader(tmp_path: Path) -> None:
    plan = planned(tmp_path, pair({"Team": "a"}, {"Team": "a", "X": "1"}, {"Team": "a", "X": "2"}))
    assert set_by(plan) == {}
    why = "X has more than one value that could be copied: which is right is for you to say"
    assert reasons(plan) == {("tag_differences", "web"): why, ("tag_differences", "web1"): why}


REQUIRED = '[required_tags]\nOwner = "*"\nEnv = ["prod", "test"]\n'


def test_a_required_tag_gets_the_value_of_the_other_side_where_the_policy_allows_it(tmp_path: Path) -> None:
    plan = planned(tmp_path, pair({"Owner": "ops", "Env": "nowhere"}, {"Env": "prod"}), REQUIRED)
    assert set_by(plan) == {"role/web": {"Env": "prod"}, "instance-profile/web": {"Owner": "ops"}}
    assert plan.not_planned.empty
    plan = planned(tmp_path / "none", pair({"Owner": "ops"}, {"Owner": "ops"}), REQUIRED)
    assert set_by(plan) == {}
    assert set(reasons(plan).values()) == {
        "Env: no value that the policy allows is on the other side, so that what it should be is not known"
    }


def test_a_role_that_no_source_shows_gives_no_tags(tmp_path: Path) -> None:
    documents = {
        "p.json": profile_list(long(profile("web", nested_role("web")))),
        "instance-profile-tags/web.json": {"Tags": []},
    }
    plan = planned(tmp_path, documents)
    assert plan.steps.empty
    assert set(plan.not_planned["check"]) == {"untagged_profiles"}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("InstanceProfileId", "XXXX", "its unique id is not known"),
        ("Arn", "arn:aws:iam::XXXXXXXXXXXX:instance-profile/web", "its ARN is none that AWS gives"),
        ("Arn", f"arn:aws:iam::{ACCOUNT}:instance-profile/a b/web", "its ARN is none that AWS gives"),
    ],
)
def test_ids_that_were_masked_or_made_up_are_not_planned(tmp_path: Path, field: str, value: str, reason: str) -> None:
    documents = {"p.json": profile_list(long(profile("web")) | {field: value}), "me.json": {"Account": ACCOUNT}}
    plan = planned(tmp_path, documents | {"instance-profile-tags/web.json": {"Tags": []}})
    assert plan.steps.empty
    assert reasons(plan)["empty_profiles", "web"].startswith(reason)


TEXTS = st.sampled_from(["", "a", "b"])
KEYS = st.sampled_from(["Owner", "owner", "Env", "x", "QSConfigId-1"])
TAGS = st.dictionaries(KEYS, TEXTS, max_size=3)
ROLE_TAGS = TAGS.filter(lambda tags: len({key.lower() for key in tags}) == len(tags))
POLICY = '[required_tags]\nOwner = ["a", "b"]\nEnv = { values = ["a"], on = ["role"] }\n'


@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(ROLE_TAGS, TAGS, TAGS, st.sampled_from([None, POLICY]))
def test_whatever_the_tags_what_is_planned_is_gone_and_nothing_new_has_come(
    tmp_path_factory: pytest.TempPathFactory, role: dict[str, str], one: dict[str, str], two: dict[str, str], policy: str | None
) -> None:
    folder = tmp_path_factory.mktemp("tags")
    plan = planned(folder / "before", pair(role, one, two), policy)
    sets = set_by(plan)
    after = [
        tags | sets.get(name, {})
        for name, tags in (("role/web", role), ("instance-profile/web", one), ("instance-profile/web1", two))
    ]
    assert len({key.lower() for key in after[0]}) == len(after[0])
    (folder / "policy.toml").write_text(policy or "", encoding="utf-8")

    def keyed(documents: dict[str, Any], name: str) -> set[tuple[Any, ...]]:
        findings = iamframe.run_checks(load(folder / name, documents), policy=folder / "policy.toml").findings
        rows = findings[~findings["check"].isin(["tag_key_variants"])]
        return set(zip(rows["check"], rows["resource_name"], rows["expected"], strict=True))

    before, now = keyed(pair(role, one, two), "1"), keyed(pair(*after), "2")
    assert now <= before
    mine = {row for row in before if row[0] in CHECKS}
    left = {(check, name, False) for check, name in reasons(plan)}
    assert mine - now == mine - left


# The text


def test_no_text_of_others_becomes_a_command(tmp_path: Path) -> None:
    evil = "x\ntouch pwned\r\u2028touch pwned;$(touch pwned)`touch pwned`'\"\\"
    documents = pair({"Owner": evil, evil: "v"}, {}, name="web") | {
        "q.json": profile_list(
            long(profile("left")) | {"InstanceProfileName": evil, "Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/{evil}"}
        ),
        "denied.csv": f'operation,subject,error_code\nListInstanceProfileTags,"{evil.replace(chr(34), "")}",AccessDenied\n',
    }
    policy = "[[accepted]]\ncheck = 'empty_profiles'\nreason = " + json.dumps(evil)
    plan = planned(tmp_path, documents, policy)
    (tmp_path / "run").mkdir()
    done = subprocess.run(
        ["sh", "-s"], input=plan.script, cwd=tmp_path / "run", env={"PATH": "/nowhere"}, encoding="utf-8", check=False,
        executable="/bin/sh", capture_output=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list((tmp_path / "run").iterdir()) == []
    assert "touch pwned" in plan.script
    assert all(line.startswith("#") or not line for line in plan.script.split("\n"))


def test_the_plan_of_the_sample_has_each_finding_once(tmp_path: Path) -> None:
    result = iamframe.run_checks(iamframe.load_sample())
    plan = iamframe.plan(result)
    mine = result.findings[result.findings["check"].isin(CHECKS)]
    left = set(zip(plan.not_planned["check"], plan.not_planned["resource_arn"], strict=True))
    names = set(zip(mine["check"], mine["resource_arn"], strict=True))
    assert left <= names
    assert len(names - left) == 9
    assert subprocess.run(["sh", "-n"], input=plan.script, encoding="utf-8", check=False).returncode == 0
    assert repr(plan) == f"Plan(0 profiles to delete, 5 resources to tag; {len(left)} findings not planned)"


def test_a_plan_is_written_with_its_csv_files_beside_it(tmp_path: Path) -> None:
    plan = planned(tmp_path, pair({"Owner": "=ops"}, {}, name="=web"))
    script = plan.write(tmp_path / "new" / "cleanup.sh")
    assert sorted(file.name for file in script.parent.iterdir()) == [
        "cleanup.csv", "cleanup.not-planned.csv", "cleanup.sh",
    ]  # fmt: skip
    assert script.read_text("utf-8") == plan.script
    assert os.access(script, os.X_OK)
    with (script.parent / "cleanup.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["resource_name"] for row in rows] == ["'=web"] * 3
    assert [row["action"] for row in rows] == ["check", "check", "tag"]


@pytest.mark.parametrize("name", ["plan.csv", ".sh"])
def test_a_plan_is_not_written_over_its_own_csv(tmp_path: Path, name: str) -> None:
    with pytest.raises(iamframe.IamframeError, match=r"name a \.sh file"):
        planned(tmp_path, pair({}, {})).write(tmp_path / name)


def test_a_plan_that_cannot_be_written_leaves_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "cleanup.csv").mkdir()
    (tmp_path / "cleanup.sh").write_text("old", encoding="utf-8")
    with pytest.raises(iamframe.IamframeError, match="could not be written"):
        planned(tmp_path, pair({}, {})).write(tmp_path / "cleanup.sh")
    assert (tmp_path / "cleanup.sh").read_text("utf-8") == "old"


def command_line(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "iamframe.cli", "plan", *arguments],
        cwd=folder, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip


def test_the_command_line_prints_the_script_and_counts_what_is_left(tmp_path: Path) -> None:
    done = command_line(tmp_path, "sample", "--only", "tag_differences")
    assert done.returncode == 0
    assert done.stdout.startswith("#!/bin/sh\n")
    assert "change 'profile batch' aws iam tag-instance-profile --instance-profile-name=batch --tags=" in done.stdout
    assert "25 findings not planned; the reasons are at the end of the script\n" in done.stderr


def test_the_command_line_writes_files_and_refuses_an_age_that_is_none(tmp_path: Path) -> None:
    done = command_line(tmp_path, "sample", "--out", "out/plan.sh", "--min-age", "12h")
    assert (done.returncode, done.stdout) == (0, f"Plan: {Path('out', 'plan.sh')}\n")
    assert len(list((tmp_path / "out").iterdir())) == 3
    done = command_line(tmp_path, "sample", "--min-age", "soon")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'soon' is no age; give days or hours, such as 1d, 12h or 0" in done.stderr


def test_the_function_stays_a_function_when_its_package_was_imported() -> None:
    code = "import iamframe, iamframe.planning, iamframe.sources.plan; assert callable(iamframe.plan)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
