"""Clean-up plans: what is planned, what is not and why, and how it is written down."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import botocore.exceptions
import botocore.session
import jmespath
import pandas as pd
import pytest
from accounts import EC2, ID, add
from accounts import load as load_account
from builders import ACCOUNT, dump, load, nested_role, profile, profile_list, role_detail, sample_result, tag_list
from commands import run
from hypothesis import example, given
from hypothesis import strategies as st
from plans import DELETING, NOW, PLANNED, because, checked, name_in_template, reasons, tag_role
from searching import searching
from test_consumers import CASES, of, records

import iamframe
from iamframe import Plan, Result
from iamframe.analysis.plan import reads as look
from iamframe.knowledge.operations import cli_name
from iamframe.practice import PracticeAccount
from iamframe.sources.consumers import CONSUMERS, Consumer

# What is not planned


def test_what_is_in_use_wanted_back_or_needed_is_left_alone() -> None:
    with PracticeAccount(regions=["us-east-1"]) as account:
        iam = account.session().client("iam")
        add(account, "named")
        name_in_template(account, "named")
        add(account, "eks-08c968da-2d88-0096-4c82-1ee57490a6af")
        add(account, "prod_4067990795380418201", path="/karpenter/eu-west-1/prod/x/")
        add(account, "tagged_4067990795380418201", **{"karpenter.k8s.aws/ec2nodeclass": "x"})
        add(account, "old_4067990795380418201", **{"kubernetes.io/cluster/old": "owned"})
        add(account, "infra-x7k2p-worker-profile", "infra-x7k2p-worker-role")
        tag_role(account, "infra-x7k2p-worker-role", Owner="ops")
        add(account, "DataPipelineDefaultResourceRole", "DataPipelineDefaultResourceRole")
        add(account, "patched", **{"QSConfigId-a1b2": "a1b2"})
        iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
        add(account, "linked")
        iam.add_role_to_instance_profile(InstanceProfileName="linked", RoleName="AWSServiceRoleForAutoScaling")
        plan = iamframe.plan(checked(account), min_age=NOW)
    found = reasons(plan)
    assert plan.steps.empty
    assert found["untagged_profiles", "infra-x7k2p-worker-profile"] == because(
        "by_names", step="tag", maker="OpenShift"
    )
    deleted = {name: reason for (check, name), reason in found.items() if check in DELETING}
    assert deleted.pop("named")["message"] == "plan.used"
    key = "kubernetes.io/cluster/old"
    assert deleted == {
        "eks-08c968da-2d88-0096-4c82-1ee57490a6af": because("guess", maker="EKS managed node groups"),
        "prod_4067990795380418201": because("guess", maker="Karpenter"),
        "tagged_4067990795380418201": because(
            "by_tag", step="delete", key="karpenter.k8s.aws/ec2nodeclass", maker="Karpenter"
        ),
        "old_4067990795380418201": because("by_tag", step="delete", key=key, maker="a Kubernetes cluster"),
        "infra-x7k2p-worker-profile": because("by_names", step="delete", maker="OpenShift"),
        "DataPipelineDefaultResourceRole": because("by_names", step="delete", maker="AWS Data Pipeline"),
        "patched": because("needed_tag", step="delete", key="QSConfigId-a1b2", maker="SSM Quick Setup"),
        "linked": because("role_managed", role="AWSServiceRoleForAutoScaling"),
    }


def age(n: int, unit: str) -> dict[str, Any]:
    return because("age", unit=unit, n=n)


def test_what_is_younger_than_a_day_is_left_alone_unless_another_age_is_given() -> None:
    with PracticeAccount(regions=["us-east-1"]) as account:
        add(account, "new")
        result = checked(account)
    created = result.inventory.profiles["created_at"].iloc[0].strftime("%Y-%m-%dT%H:%M:%SZ")
    plan = iamframe.plan(result)
    assert reasons(plan)["empty_profiles", "new"] == because("too_young", created_at=created, age=age(1, "day"))
    assert plan.steps.empty
    for least, said in (("12h", age(12, "hour")), ("48h", age(2, "day")), ("0.51h", age(31, "minute"))):
        assert reasons(iamframe.plan(result, min_age=least))["empty_profiles", "new"]["age"] == said
    assert iamframe.plan(result, min_age=NOW).steps["action"].tolist() == ["check", "check", "check", "delete"]


def test_explain_offers_a_deletion_where_a_plan_makes_it_and_nowhere_else() -> None:
    with PracticeAccount(regions=["us-east-1"]) as account:
        for name in ("empty", "unused", "young", "used", "lately"):
            add(account, name, *([] if name in ("empty", "young") else [name]))
        add(account, "prod_4067990795380418201", path="/karpenter/eu-west-1/prod/x/")
        name_in_template(account, "used")
        inventory = load_account(account, references="all")
    day = pd.Timedelta(days=1)
    profiles, roles = inventory.profiles, inventory.roles
    created = profiles["created_at"].where(profiles["profile_name"] == "young", profiles["created_at"] - 2 * day)
    used = (profiles["created_at"].iloc[0] - day).floor("s")
    last_used = roles["last_used_at"].where(roles["role_name"] != "lately", used)
    inventory = replace(
        inventory, profiles=profiles.assign(created_at=created), roles=roles.assign(last_used_at=last_used)
    )
    found = iamframe.run_checks(inventory)
    steps = iamframe.plan(found).steps
    assert set(steps["resource_name"][steps["action"] == "delete"]) == {"empty", "unused"}
    offered, reasons = {}, {}
    for name in profiles["profile_name"]:
        last = iamframe.explain(found, name).to_frame().query("section == 'next'").iloc[-1]
        assert last["field"] == "delete the profile"
        offered[name] = last["note"] == f"aws iam delete-instance-profile --instance-profile-name={name}"
        reasons[name] = json.loads(last["facts"]).get("use", {}).get("message")
    assert {name for name, is_offered in offered.items() if is_offered} == {"empty", "unused"}
    assert reasons == {
        "empty": None,
        "unused": None,
        "young": "plan.too_young",
        "lately": "plan.role_used",
        "used": "explain.use.names",
        "prod_4067990795380418201": "plan.guess",
    }


@pytest.mark.parametrize("age", [timedelta(days=-1), "-1d", "soon", "nan", 1, None])
def test_an_age_that_is_none_is_refused_in_a_sentence(tmp_path: Path, age: Any) -> None:
    found = result(tmp_path, pair({}, {}))
    for name in ("min_age", "min_idle"):
        with pytest.raises(iamframe.IamframeError, match=rf"^{name}: .+ is no age; give days or hours, such as 1d"):
            iamframe.plan(found, **{name: age})


def test_what_was_used_lately_is_started_by_something_between_two_loads() -> None:
    with PracticeAccount(regions=["us-east-1"]) as account:
        for name in ("now-and-then", "long-ago", "never", "unread"):
            add(account, name, name)
        add(account, "empty")
        inventory = load_account(account, references="all")
    read = inventory.accounts["captured_at"].iloc[0]
    days = {"now-and-then": 89, "long-ago": 91}
    roles = inventory.roles.assign(
        last_used_at=[read - timedelta(days=days[n]) if n in days else pd.NaT for n in inventory.roles["role_name"]],
        last_used_known=inventory.roles["role_name"] != "unread",
    )
    found = iamframe.run_checks(replace(inventory, roles=roles), PLANNED)
    plan = iamframe.plan(found, min_age="0d")
    used_at = f"{read - timedelta(days=89):%Y-%m-%d}"
    assert reasons(plan)["unreferenced_profiles", "now-and-then"] == because(
        "role_used", role="now-and-then", used_at=used_at, age=age(90, "day")
    )
    assert "  #    note: after the profile is deleted, no profile holds the role 'long-ago', so " in plan.script
    assert all(word in plan.script for word in ("Before each deletion", "HALF DONE", "put back"))
    assert "This plan deletes nothing." not in plan.script
    deleted = plan.steps[plan.steps["action"] == "delete"].set_index("resource_name")["rests_on"]
    assert {
        name: text.partition(" collected regions (us-east-1) uses the profile")[2] for name, text in deleted.items()
    } == {
        "long-ago": f"; the role 'long-ago' was last used {read - timedelta(days=91):%Y-%m-%d}",
        "never": "; the role 'never' was not used in 400 days",
        "empty": "",
    }
    assert reasons(plan)["unreferenced_profiles", "unread"] == because("last_use_unknown", role="unread")
    for idle, too in ((timedelta(days=89), {"now-and-then"}), ("92d", set()), ("0", {"now-and-then", "unread"})):
        steps = iamframe.plan(found, min_age=NOW, min_idle=idle).steps
        gone = set(steps["resource_name"][steps["action"] == "delete"])
        if idle == "0":
            rests_on = steps["rests_on"][steps["resource_name"] == "unread"]
            assert rests_on.str.endswith("; the last use of the role 'unread' was not collected").all()
        assert gone == {"never", "empty", *too} | ({"long-ago"} if idle != "92d" else set())


def test_only_a_script_that_deletes_something_begins_with_what_it_does_before_a_deletion() -> None:
    script = iamframe.plan(sample_result()).script
    assert "This plan deletes nothing." in script
    assert not [word for word in ("Before each deletion", "HALF DONE", "put back") if word in script]


def test_a_step_has_the_same_number_in_the_script_as_in_the_frame() -> None:
    plan = iamframe.plan(sample_result())
    headings = re.findall(r"# Steps (\d+) to (\d+): \w+ the profile (\S+) ", plan.script)
    numbers = [number for first, last, _ in headings for number in range(int(first), int(last) + 1)]
    assert numbers == plan.steps["step"].tolist() == [*range(1, len(plan.steps) + 1)]
    written = plan.steps.set_index("step").loc[[int(last) for _, last, _ in headings]]
    assert written["resource_name"].tolist() == [name for *_, name in headings]
    assert "check" not in set(written["action"])


def test_nothing_is_deleted_where_a_consumer_was_not_asked() -> None:
    """Nor is an empty profile: what was not asked may name it."""
    with PracticeAccount(regions=["us-east-1"]) as account:
        add(account, "web", "web")
        add(account, "left")
        for references in ("core", False):
            plan = iamframe.plan(checked(account, references=references), min_age=NOW, min_idle="0")
            assert plan.steps.empty, references
            assert reasons(plan)["empty_profiles", "left"]["message"] == "plan.use_unknown"


def test_what_services_made_and_nothing_uses_is_planned_once_they_were_asked() -> None:
    with PracticeAccount(regions=["us-east-1"]) as account:
        for name in ("aws-elasticbeanstalk-ec2-role", "ecsInstanceRole"):
            add(account, name, name)
        account.session().client("iam").create_role(
            RoleName="AWSCloud9SSMAccessRole", Path="/service-role/", AssumeRolePolicyDocument=EC2
        )
        add(account, "AWSCloud9SSMInstanceProfile", path="/cloud9/")
        account.session().client("iam").add_role_to_instance_profile(
            InstanceProfileName="AWSCloud9SSMInstanceProfile", RoleName="AWSCloud9SSMAccessRole"
        )
        plan = iamframe.plan(checked(account), min_age=NOW)
    deleted = plan.steps[plan.steps["action"] == "delete"].set_index("resource_name")["why"]
    assert set(deleted.index) == {"aws-elasticbeanstalk-ec2-role", "ecsInstanceRole", "AWSCloud9SSMInstanceProfile"}
    assert (
        "; each new no-ingress environment of AWS Cloud9 uses this profile; " in deleted["AWSCloud9SSMInstanceProfile"]
    )


def arn(name: str, account: str = ID) -> str:
    return f"arn:aws:iam::{account}:instance-profile/{name}"


@pytest.mark.parametrize(
    ("named", "kept", "why"),
    [
        # Then it is not found unreferenced.
        ("WEB", "web", None),
        (arn("team/web"), "web", None),
        ("Old", "old", "plan.used"),
        # With another path it is no use that AWS documents; that it is none is not documented either.
        (arn("web"), "web", "plan.used_elsewhere"),
        (arn("OTHER/Web"), "web", "plan.used_elsewhere"),
        (arn("a/b/old"), "old", "plan.used_elsewhere"),
        # Of another account, or not of this name.
        (arn("team/web", "210987654321"), None, None),
        (arn("web/other"), None, None),
    ],
)
def test_what_a_template_names_in_any_case_or_with_any_path_is_not_planned(
    named: str, kept: str | None, why: str | None
) -> None:
    with PracticeAccount(regions=["us-east-1"]) as account:
        add(account, "web", "web", path="/team/")
        add(account, "old")
        add(account, "nobody", "nobody")
        name_in_template(account, named)
        plan = iamframe.plan(checked(account), min_age=NOW)
    assert set(plan.steps["resource_name"][plan.steps["action"] == "delete"]) == {"nobody", "old", "web"} - {kept}
    left = {name: reason for (check, name), reason in reasons(plan).items() if check in DELETING}
    assert {name: reason["message"] for name, reason in left.items()} == ({kept: why} if why else {})
    assert {(reason["consumer_type"], reason["named"]) for reason in left.values()} <= {("launch-template", named)}


@pytest.mark.parametrize(
    ("options", "denied", "reason"),
    [
        ({"regions": ["us-east-1"]}, None, "gaps.region.others"),
        ({"references": False}, None, "gaps.references.none"),
        ({}, "DescribeLaunchTemplateVersions", "coverage.references.not_read"),
        ({}, "ListInstanceProfileTags GetInstanceProfile", "plan.tags_unknown"),
    ],
)
def test_what_could_not_be_seen_is_not_planned(options: dict[str, Any], denied: str | None, reason: str) -> None:
    with PracticeAccount(regions=["us-east-1", "eu-west-1"]) as account:
        add(account, "left")
        add(account, "free", "free")
        for action in (denied or "").split():
            account.deny(action)
        plan = iamframe.plan(checked(account, **options), min_age=NOW)
    assert plan.steps.empty
    assert f"'message': '{reason}'" in str(reasons(plan)["empty_profiles", "left"])


def result(folder: Path, documents: dict[str, Any], policy: str | None = None) -> Result:
    inventory = load(folder / "dumps", documents)
    (folder / "policy.toml").write_text(policy or "", encoding="utf-8")
    return iamframe.run_checks(inventory, PLANNED, folder / "policy.toml")


def planned(folder: Path, documents: dict[str, Any], policy: str | None = None) -> Plan:
    return iamframe.plan(result(folder, documents, policy), min_age=NOW)


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
    """What the commands set, by profile, as the CLI reads them."""
    sets = {}
    for command in plan.steps["command"][plan.steps["action"] == "tag"]:
        *verb, name, tags = shlex.split(command)
        assert verb == ["aws", "iam", "tag-instance-profile"]
        sets[name.partition("=")[2]] = {tag["Key"]: tag["Value"] for tag in json.loads(tags.removeprefix("--tags="))}
    return sets


def test_a_profile_of_unknown_age_or_with_two_roles_is_left_alone(tmp_path: Path) -> None:
    held = [nested_role(name, RoleId=f"AROAEXAMPLE{name.upper():0>9}") for name in ("web", "db")]
    two = profile("two", InstanceProfileId="AIPAEXAMPLE000000001") | {"Roles": held}
    undated = profile("undated", InstanceProfileId="AIPAEXAMPLE000000002")
    del undated["CreateDate"]
    untagged = {f"instance-profile-tags/{name}.json": {"Tags": []} for name in ("two", "undated")}
    read = {"roles.json": {"Roles": held}, "profiles.json": profile_list(two, undated)} | untagged
    plan = iamframe.plan(iamframe.run_checks(load(tmp_path, read), ["empty_profiles", "untagged_profiles"]))
    assert plan.steps.empty
    assert reasons(plan) == {
        ("empty_profiles", "undated"): because("age_unknown"),
        ("untagged_profiles", "undated"): because("age_unknown"),
        ("untagged_profiles", "two"): because("several_roles"),
    }


def test_what_is_accepted_is_left_alone(tmp_path: Path) -> None:
    policy = (
        '[[accepted]]\ncheck = "untagged_profiles"\nreason = "by hand"\n'
        '[[accepted]]\ncheck = "tag_differences"\nreason = "too"\n'
    )
    plan = planned(tmp_path, pair({"Owner": "ops"}, {}), policy)
    assert plan.steps.empty
    assert reasons(plan) == {("untagged_profiles", "web"): because("accepted", reason="by hand")}
    plan = planned(tmp_path / "differing", pair({"Owner": "ops"}, {"Owner": "dev"}), policy)
    assert plan.steps.empty
    assert reasons(plan) == {("tag_differences", "web"): because("accepted", reason="too")}


@pytest.mark.parametrize(
    ("about", "is_kept"),
    [
        ('resource_arn = "*:instance-profile/kept"', True),
        ('resource_arn = "*:instance-profile/other"', False),
        ('resource_arn = "*"\nexpires = 2020-01-01', False),
    ],
)
def test_an_accepted_finding_keeps_the_profile_even_if_its_check_does_not_run(
    tmp_path: Path, about: str, is_kept: bool
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(f'[[accepted]]\ncheck = "unreferenced_profiles"\nreason = "by hand"\n{about}\n', encoding="utf-8")
    with PracticeAccount(regions=["us-east-1"]) as account:
        add(account, "kept", **{"eks:cluster-name": "old"})
        inventory = load_account(account, references="all")
    plan = iamframe.plan(iamframe.run_checks(inventory, only="owner_gone", policy=policy), min_age=NOW)
    assert plan.steps.empty == is_kept
    said = {("owner_gone", "kept"): because("accepted_too", check="unreferenced_profiles", reason="by hand")}
    assert reasons(plan) == (said if is_kept else {})


@pytest.mark.parametrize(("arn", "is_kept"), [("*/dead_1", True), ("*", True), ("*/other", False)])
def test_an_accepted_finding_keeps_the_profile_even_if_its_check_lacks_data(
    tmp_path: Path, arn: str, is_kept: bool
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        f'[[accepted]]\ncheck = "owner_gone"\nreason = "ours"\nresource_arn = "{arn}"\n', encoding="utf-8"
    )
    with PracticeAccount(regions=["us-east-1"]) as account:
        add(account, "dead_1", "node", path="/karpenter/us-east-1/dead/uid/")
        account.deny("eks:ListClusters")
        inventory = load_account(account, references="all")
    plan = iamframe.plan(iamframe.run_checks(inventory, policy=policy), min_age=NOW)
    assert ("delete" in set(plan.steps["action"])) != is_kept


def test_a_profile_with_an_accepted_finding_is_not_deleted_for_another_finding(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[[accepted]]\ncheck = "empty_profiles"\nreason = "for the audit"\n', encoding="utf-8")
    with PracticeAccount(regions=["us-east-1"]) as account:
        add(account, "kept", **{"eks:cluster-name": "old"})
        inventory = load_account(account, references="all")
    found = iamframe.run_checks(inventory, policy=policy)
    plan = iamframe.plan(found, min_age=NOW)
    assert plan.steps.empty
    left = {check: why for (check, _), why in reasons(plan).items() if check in DELETING}
    assert left == {
        "empty_profiles": because("accepted", reason="for the audit"),
        "owner_gone": because("accepted_too", check="empty_profiles", reason="for the audit"),
    }
    last = iamframe.explain(found, "kept").to_frame().query("section == 'next'").iloc[-1]
    assert "for the audit" in last["note"]


REQUIRED = '[required_tags]\nOwner = "*"\nEnv = ["prod", "test"]\n'
FEW, MANY = ({f"k{number}": "v" for number in some} for some in (range(20, 50), range(50)))
NEEDED = because("needed_tag", step="tag", key="QSConfigId-1", maker="SSM Quick Setup")
FORBIDDEN = because("tags.forbidden", key="Env", value="nowhere")
NO_ENV = because("tags.no_value", keys=["Env"])
OF_ROLE = because("tags.of_role")
TOO_MANY = because("tags.too_many", size=52, most=50)
WRONG = {"Owner": "ops", "Env": "nowhere"}
LACKS, ROLE_S = "missing_required_tags web", "missing_required_tags role/web"


@pytest.mark.parametrize(
    ("policy", "role", "profile", "sets", "left"),
    [
        (None, MANY, FEW, {f"k{number}": "v" for number in range(20)}, {}),
        (None, {"Owner": "ops", "aws:x": "y"}, {"aws:z": "w"}, {"Owner": "ops"}, {}),
        (None, {"Owner": "aws:me"}, {}, {}, {"untagged_profiles web": because("tags.not_taken", key="Owner")}),
        (None, {"a;b": "1"}, {}, {}, {"untagged_profiles web": because("tags.not_taken", key="a;b")}),
        (
            None,
            {"a": "1"},
            {"a": "2", "X": "", "Y": ""},
            {},
            {"tag_differences web": because("tags.alone", keys=["X", "Y"])},
        ),
        (None, {"a": "1"}, {"a": "1", "A": "2"}, {}, {"tag_differences web": because("tags.alone", keys=["A"])}),
        (None, {"A": "1", "x": "1"}, {"a": "1"}, {}, {"tag_differences web": because("tags.case", keys=["A", "a"])}),
        (None, {"a": "1", "QSConfigId-1": "x"}, {"a": "1"}, {}, {"tag_differences web": NEEDED}),
        (None, {"a": "1"}, {"a": "1", "QSConfigId-1": "x"}, {}, {"tag_differences web": NEEDED}),
        (None, {}, {"a": "1"}, {}, {"untagged_roles role/web": OF_ROLE}),
        (None, {}, {}, {}, {"untagged_roles role/web": OF_ROLE, "untagged_profiles web": because("tags.none")}),
        # Without any other finding that can be settled, the profile gets no more than the policy requires.
        (REQUIRED, WRONG, {"Env": "prod"}, {"Owner": "ops"}, {"tag_differences web": FORBIDDEN, ROLE_S: OF_ROLE}),
        (REQUIRED, WRONG, {}, {}, {"untagged_profiles web": FORBIDDEN, LACKS: NO_ENV, ROLE_S: OF_ROLE}),
        (REQUIRED, {"Owner": "ops"}, {"Owner": "dev"}, {"Owner": "ops"}, {LACKS: NO_ENV, ROLE_S: OF_ROLE}),
        (REQUIRED, {"Owner": "ops", "Env": "prod"}, MANY, {}, dict.fromkeys(("tag_differences web", LACKS), TOO_MANY)),
    ],
)
def test_a_profile_gets_the_tags_of_its_role_or_it_is_said_why_not(
    tmp_path: Path,
    policy: str | None,
    role: dict[str, str],
    profile: dict[str, str],
    sets: dict[str, str],
    left: dict[str, Any],
) -> None:
    plan = planned(tmp_path, pair(role, profile), policy)
    assert set_by(plan) == ({"web": sets} if sets else {})
    assert {f"{check} {name}": why for (check, name), why in reasons(plan).items()} == left


def test_each_profile_of_a_role_is_looked_at_alone(tmp_path: Path) -> None:
    plan = planned(tmp_path, pair({"Team": "a"}, {}, {"Team": "b"}, {"Team": "a", "X": "1"}))
    assert set_by(plan) == {"web": {"Team": "a"}, "web1": {"Team": "a"}}
    assert reasons(plan) == {("tag_differences", "web2"): because("tags.alone", keys=["X"])}
    why = plan.steps.set_index("resource_name")["why"]["web1"].iloc[0]
    assert why.endswith("; tag 'Team': the script replaces the profile's value 'b' with the role's value 'a'")


def test_a_profile_without_tags_gets_all_of_its_role_s_or_none(tmp_path: Path) -> None:
    """A part of them would make it differ from its role."""
    found = result(tmp_path, pair({"Owner": "ops", "Env": "prod", "x": "1"}, {}), REQUIRED)
    only = iamframe.run_checks(found.inventory, only="missing_required_tags", policy=found.policy)
    assert set_by(iamframe.plan(only, min_age=NOW)) == {"web": {"Owner": "ops", "Env": "prod", "x": "1"}}


def test_a_tag_step_says_which_tool_may_have_created_the_profile(tmp_path: Path) -> None:
    guessed = planned(tmp_path / "guessed", pair({"Owner": "ops"}, {}, name="eks-prod-4067990795380418201"))
    own = planned(tmp_path / "own", pair({"Owner": "ops"}, {}))
    of_tool = "suggests that EKS Auto Mode created the profile; if so, EKS Auto Mode may remove the copied tags"
    assert [of_tool in plan.steps.query("action == 'tag'")["why"].item() for plan in (guessed, own)] == [True, False]
    assert of_tool in guessed.script


def test_a_role_that_no_source_shows_gives_no_tags(tmp_path: Path) -> None:
    documents = {
        "p.json": profile_list(long(profile("web", nested_role("web")))),
        "instance-profile-tags/web.json": {"Tags": []},
    }
    plan = planned(tmp_path, documents)
    assert plan.steps.empty
    assert reasons(plan) == {("untagged_profiles", "web"): because("role_id")}


@pytest.mark.parametrize(("is_known", "reason"), [(True, because("tags.no_role")), (False, because("role_id"))])
def test_a_profile_is_said_to_hold_no_role_only_if_its_role_was_collected(
    tmp_path: Path, is_known: bool, reason: dict[str, Any]
) -> None:
    documents = {"p.json": profile_list(long(profile("web"))), "instance-profile-tags/web.json": {"Tags": []}}
    inventory = load(tmp_path, documents)
    inventory = replace(inventory, profiles=inventory.profiles.assign(role_known=is_known))
    found = iamframe.run_checks(inventory, only="untagged_profiles")
    assert reasons(iamframe.plan(found, min_age=NOW)) == {("untagged_profiles", "web"): reason}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("InstanceProfileId", "XXXX", "plan.id"),
        ("Arn", "arn:aws:iam::XXXXXXXXXXXX:instance-profile/web", "plan.arn"),
        ("Arn", f"arn:aws:iam::{ACCOUNT}:instance-profile/a b/web", "plan.arn"),
    ],
)
def test_ids_that_were_masked_or_made_up_are_not_planned(tmp_path: Path, field: str, value: str, reason: str) -> None:
    documents = {"p.json": profile_list(long(profile("web")) | {field: value}), "me.json": {"Account": ACCOUNT}}
    plan = planned(tmp_path, documents | {"instance-profile-tags/web.json": {"Tags": []}})
    assert plan.steps.empty
    assert reasons(plan)["empty_profiles", "web"] == {"message": reason}


TEXTS = st.sampled_from(["", "a", "b"])
KEYS = st.sampled_from(["Owner", "owner", "Env", "x", "QSConfigId-1"])
TAGS = st.dictionaries(KEYS, TEXTS, max_size=3)
ROLE_TAGS = TAGS.filter(lambda tags: len({key.lower() for key in tags}) == len(tags))
POLICY = '[required_tags]\nOwner = ["a", "b"]\nEnv = { values = ["a"], on = ["role"] }\n'


def keyed(findings: pd.DataFrame) -> set[tuple[str, str]]:
    rows = findings[findings["check"].isin(PLANNED)]
    return set(zip(rows["check"], rows["resource_arn"], strict=True))


@searching(25, ci=2)
@given(ROLE_TAGS, TAGS, TAGS, st.sampled_from([None, POLICY]))
@example({}, {"Owner": "a", "QSConfigId-1": "b"}, {"Env": "b"}, None)
@example({}, {"x": "a"}, {"x": "b"}, None)
@example({"Owner": ""}, {"Owner": "a"}, {}, POLICY)
def test_whatever_the_tags_what_is_planned_is_gone_and_nothing_new_has_come(
    tmp_path_factory: pytest.TempPathFactory,
    role: dict[str, str],
    one: dict[str, str],
    two: dict[str, str],
    policy: str | None,
) -> None:
    folder = tmp_path_factory.mktemp("tags")
    before = result(folder / "before", pair(role, one, two), policy)
    plan = iamframe.plan(before, min_age=NOW)
    sets = set_by(plan)
    after = [one | sets.get("web", {}), two | sets.get("web1", {})]
    now = keyed(result(folder / "after", pair(role, *after), policy).findings)
    assert now == keyed(plan.not_planned)
    assert now <= keyed(before.findings)
    assert not any(tags.get("Owner") == "" for tags in sets.values() if policy)


# The text


def test_a_script_asks_for_each_kind_of_consumer_that_a_load_asks_for() -> None:
    """Instances and associations it asks before each deletion."""
    script = look.functions().replace("\\\n", " ")
    live = [consumer for consumer in CONSUMERS if consumer.when != "files"]
    for consumer in live:
        for operation in (*(step.operation for step in consumer.steps), consumer.operation):
            assert f"aws {consumer.service} {cli_name(operation)} " in script
    apart = {"DescribeInstances", "DescribeIamInstanceProfileAssociations"}
    assert {one.operation for one in live} - apart == {one.operation for one in look.ASKED}
    assert subprocess.run(["sh", "-n"], input=script, encoding="utf-8", check=False).returncode == 0


def cells(query: str, answer: dict[str, Any]) -> list[tuple[str | None, ...]]:
    return [tuple(row) for row in jmespath.search(query, answer)]


LOOKED = {one.operation for one in look.ASKED}


@pytest.mark.parametrize(
    ("operation", "answer"),
    [case[:2] for case in CASES if case[0] in LOOKED],
    ids=[case[0] for case in CASES if case[0] in LOOKED],
)
def test_a_script_reads_of_an_answer_what_a_load_reads_of_it(operation: str, answer: dict[str, Any]) -> None:
    consumer, decoded = of(operation), records(operation, answer)
    rows = cells(look.rows_of(consumer), answer)
    assert {row[0] for row in rows if len(row) == 1} == {m.named for one in decoded for m in consumer.mentions(one)}
    assert {row for row in rows if len(row) == 3} == {
        (pin.launch_template_id, pin.launch_template_name, pin.version)
        for one in decoded
        for pinning in consumer.pinnings(one)
        for pin in pinning.pins
    }


@pytest.mark.parametrize("consumer", look.ASKED, ids=[one.operation for one in look.ASKED])
def test_an_answer_that_holds_no_list_is_an_error_for_a_script(consumer: Consumer) -> None:
    with pytest.raises(jmespath.exceptions.JMESPathTypeError):
        cells(look.rows_of(consumer), {"somethingElse": []})


def test_infrastructure_that_does_not_say_its_profile_is_an_error_for_a_script() -> None:
    answer = {"infrastructureConfigurationSummaryList": [{"name": "golden"}]}
    with pytest.raises(jmespath.exceptions.JMESPathTypeError):
        cells(look.rows_of(of("ListInfrastructureConfigurations")), answer)


def test_batch_on_managed_instances_is_read_by_a_script() -> None:
    template = {"ec2InstanceProfileArn": arn("web")}
    managed = {"managedInstancesProvider": {"instanceLaunchTemplate": template}}
    answer = {"computeEnvironments": [{"status": "VALID", "computeResources": managed}]}
    assert cells(look.rows_of(of("DescribeComputeEnvironments")), answer) == [(arn("web"),)]


@pytest.mark.parametrize("consumer", CONSUMERS, ids=[one.operation for one in CONSUMERS])
def test_commands_are_spelled_as_the_aws_cli_spells_them_and_their_answers_come_whole(consumer: Consumer) -> None:
    session = botocore.session.get_session()
    model = session.get_service_model(consumer.service)
    for operation in (*(step.operation for step in consumer.steps), consumer.operation):
        shapes = model.operation_model(operation)
        for name in (operation, *shapes.input_shape.members):
            assert cli_name(name) == botocore.xform_name(name, "-")
        try:
            paged = operation in session.get_paginator_model(consumer.service)._paginator_config
        except botocore.exceptions.UnknownServiceError:
            paged = False
        more = any(name.lower().endswith(("token", "marker")) for name in shapes.output_shape.members)
        assert paged or not more or operation in look.UNPAGED


def test_no_text_of_others_becomes_a_command(tmp_path: Path) -> None:
    evil = "x\ntouch pwned\r\u2028touch pwned;$(touch pwned)`touch pwned`'\"\\"
    documents = pair({"Owner": evil, evil: "v"}, {}, name="web") | {
        "q.json": profile_list(
            long(profile("left"))
            | {"InstanceProfileName": evil, "Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/{evil}"}
        ),
        "denied.csv": f"operation,subject,error_code\nListRoleTags,'{evil}',AccessDenied\n",
    }
    policy = "[[accepted]]\ncheck = 'empty_profiles'\nreason = " + json.dumps(evil)
    plan = planned(tmp_path, documents, policy)
    (tmp_path / "run").mkdir()
    done = subprocess.run(
        ["sh", "-s"],
        input=plan.script,
        cwd=tmp_path / "run",
        env={"PATH": "/nowhere"},
        encoding="utf-8",
        check=False,
        executable="/bin/sh",
        capture_output=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list((tmp_path / "run").iterdir()) == []
    assert "touch pwned" in plan.script
    assert all(line.startswith("#") or not line for line in plan.script.split("\n"))


def test_the_plan_of_the_sample_has_each_finding_once() -> None:
    result = sample_result()
    plan = iamframe.plan(result)
    mine = result.findings[result.findings["check"].isin(PLANNED)]
    left = set(zip(plan.not_planned["check"], plan.not_planned["resource_arn"], strict=True))
    names = set(zip(mine["check"], mine["resource_arn"], strict=True))
    assert left <= names
    assert len(names - left) == 7
    assert subprocess.run(["sh", "-n"], input=plan.script, encoding="utf-8", check=False).returncode == 0
    assert repr(plan) == f"Plan(0 profiles to delete, 7 profiles to tag, {len(left)} findings without steps)"


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


def test_another_plan_is_never_written_over(tmp_path: Path) -> None:
    plan = planned(tmp_path, pair({"Owner": "ops"}, {}))
    script = plan.write(tmp_path / "cleanup.sh")
    before = {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    other = replace(plan, script=f"{plan.script}#\n", steps=plan.steps.iloc[:0])
    with pytest.raises(
        iamframe.IamframeError, match=r"cleanup\.sh: exists, .+; choose another file, or delete this one$"
    ):
        other.write(script)
    assert {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == before
    assert plan.write(script) == script
    # The CSV files of a plan show how to undo it, too. A file may also be no plan at all.
    script.unlink()
    with pytest.raises(iamframe.IamframeError, match=r"cleanup\.csv: exists, "):
        other.write(script)
    for file in before:
        file.unlink(missing_ok=True)
    other.write(script)


@pytest.mark.parametrize("name", ["plan.csv", ".sh"])
def test_a_plan_is_not_written_over_its_own_csv(tmp_path: Path, name: str) -> None:
    with pytest.raises(iamframe.IamframeError, match=r"name a \.sh file"):
        planned(tmp_path, pair({}, {})).write(tmp_path / name)


def test_a_plan_that_cannot_be_written_leaves_what_is_there(tmp_path: Path) -> None:
    plan = planned(tmp_path, pair({}, {}))
    script = plan.write(tmp_path / "new" / "cleanup.sh")
    script.with_name("cleanup.csv").unlink()
    script.with_name("cleanup.csv").mkdir()
    script.with_name("cleanup.not-planned.csv").write_text("old", encoding="utf-8")
    with pytest.raises(iamframe.IamframeError, match="could not be written"):
        plan.write(script)
    assert script.with_name("cleanup.not-planned.csv").read_text("utf-8") == "old"
    assert script.read_text("utf-8") == plan.script


def test_the_command_line_prints_the_script_and_counts_what_is_left(tmp_path: Path) -> None:
    done = run(tmp_path, "plan", "sample", "--only", "tag_differences")
    assert done.returncode == 0
    assert done.stdout.startswith("#!/bin/sh\n")
    assert "): 1 profile to tag.\n" in done.stdout
    assert (
        "try_to tag 'the profile \"batch\"' aws iam tag-instance-profile --instance-profile-name=batch --tags="
        in done.stdout
    )
    assert "4 findings without steps. The end of the script says why findings have no steps. " in done.stderr
    said = "A plan covers only unneeded profiles, and missing or different tags. It deletes profiles only after a live "
    assert f"{said}account was loaded in all regions.\n" in done.stderr


def test_the_command_line_writes_files_and_refuses_an_age_that_is_none(tmp_path: Path) -> None:
    done = run(tmp_path, "plan", "sample", "--out", "out/plan.sh", "--min-age", "12h")
    assert (done.returncode, done.stdout) == (0, f"Plan: {Path('out', 'plan.sh')}\n")
    assert len(list((tmp_path / "out").iterdir())) == 3
    (tmp_path / "out" / "plan.sh").write_text("another", encoding="utf-8")
    for arguments, why in (
        (("--min-age", "soon"), "'soon' is no age; give days or hours, such as 1d, 12h or 0"),
        (("--min-idle=-1d",), "'-1d' is no age; give days or hours, such as 1d, 12h or 0"),
        (("--out", "out/plan.sh"), "plan.sh: exists, "),
    ):
        done = run(tmp_path, "plan", "sample", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert why in done.stderr


def test_the_function_stays_a_function_when_its_package_was_imported() -> None:
    code = "import iamframe, iamframe.analysis.plan.plan, iamframe.sources.records; assert callable(iamframe.plan)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
