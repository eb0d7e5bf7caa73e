"""An account of plain moto, as others run it for their tests, filled with the AWS CLI: nothing false is said of it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from accounts import EC2, TRUST
from awscli.clidriver import create_clidriver
from moto.server import ThreadedMotoServer

import iamframe

LAMBDA = TRUST % "lambda.amazonaws.com"
OPS = {"Owner": "ops", "Env": "prod"}
INSTANCE, TEMPLATE, OLD_VERSION, CONFIGURATION, BATCH, NOTHING = (
    "an instance",
    "a template",
    "an old version of a template",
    "a launch configuration",
    "a Batch environment",
    "nothing",
)
# Profile with its path and tags, role (path before its name) with its tags, what uses the profile, and the checks that
# name the one or the other.
ROWS: list[tuple[str, str, dict[str, str], str, dict[str, str], str, set[str]]] = [
    *((f"web-{n}", "/", OPS, f"/web-{n}", OPS, INSTANCE, set()) for n in range(6)),
    *((f"api-{n}", "/team/", OPS, f"/team/api-{n}", OPS, TEMPLATE, set()) for n in range(4)),
    ("old", "/", OPS, "/old", OPS, OLD_VERSION, set()),
    ("Configured", "/", OPS, "/Configured", OPS, CONFIGURATION, set()),
    ("batch", "/", OPS, "/batch", OPS, BATCH, set()),
    ("empty", "/", OPS, "", {}, NOTHING, {"empty_profiles"}),
    ("bare-empty", "/", {}, "", {}, NOTHING, {"empty_profiles", "untagged_profiles"}),
    ("idle", "/", OPS, "/idle", OPS, NOTHING, {"unreferenced_profiles"}),
    ("idle-at-path", "/team/", OPS, "/team/idle-at-path", OPS, NOTHING, {"unreferenced_profiles"}),
    ("bare", "/", {}, "/bare", OPS, INSTANCE, {"untagged_profiles", "tag_differences"}),
    ("bare-role", "/", OPS, "/bare-role", {}, INSTANCE, {"untagged_roles", "tag_differences"}),
    ("both-bare", "/", {}, "/both-bare", {}, INSTANCE, {"untagged_profiles", "untagged_roles"}),
    ("differs", "/", OPS, "/differs", OPS | {"Env": "test"}, TEMPLATE, {"tag_differences"}),
    ("Cased", "/", OPS, "/cased", OPS, TEMPLATE, {"name_mismatches"}),
    ("db-profile", "/", OPS, "/db-role", OPS, TEMPLATE, {"name_mismatches"}),
    ("prod-db-123456789012", "/", OPS, "/dev-web-123456789012", OPS, TEMPLATE, {"name_mismatches"}),
    ("pathless", "/", OPS, "/cloud9/pathless", OPS, INSTANCE, {"path_mismatches"}),
    ("job", "/", OPS, "/job", OPS, TEMPLATE, {"profiles_without_ec2_trust"}),
    ("", "", {}, "/free", OPS, NOTHING, {"ec2_roles_without_profile"}),
    ("", "", {}, "/function", OPS, NOTHING, set()),
]
WITHOUT_EC2 = {"/job", "/function"}


def aws(*words: str, **options: Any) -> Any:
    """Run the AWS CLI in this process."""
    given = [f"--{name.replace('_', '-')}={v if isinstance(v, str) else json.dumps(v)}" for name, v in options.items()]
    assert create_clidriver().main([*words, *given]) == 0, (words, options)


@pytest.fixture(scope="module")
def inventory() -> Iterator[iamframe.Inventory]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "eu-central-2",
            "AWS_PAGER": "",
            "NO_PROXY": host,
        }.items():
            patch.setenv(name, value)
        fill()
        yield iamframe.load_account(boto3.Session(), regions=["eu-central-2"], progress=False)
    server.stop()


def fill() -> None:
    for profile, path, tags, role, role_tags, use, _ in ROWS:
        where, _, name = role.rpartition("/")
        if role:
            trust = LAMBDA if role in WITHOUT_EC2 else EC2
            aws("iam", "create-role", role_name=name, path=f"{where}/", assume_role_policy_document=trust)
            if role_tags:
                aws("iam", "tag-role", role_name=name, tags=as_list(role_tags))
        if not profile:
            continue
        given = {"tags": as_list(tags)} if tags else {}
        aws("iam", "create-instance-profile", instance_profile_name=profile, path=path, **given)
        if role:
            aws("iam", "add-role-to-instance-profile", instance_profile_name=profile, role_name=name)
        use_it(profile, use)


def as_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def use_it(profile: str, use: str) -> None:
    image = "ami-12c6146b"
    named = {"IamInstanceProfile": {"Name": profile}}
    if use == INSTANCE:
        aws("ec2", "run-instances", image_id=image, instance_type="t3.micro", iam_instance_profile=f"Name={profile}")
    elif use in (TEMPLATE, OLD_VERSION):
        template = {"launch_template_name": f"t-{profile}"}
        first = named if use == TEMPLATE else {"ImageId": image}
        aws("ec2", "create-launch-template", **template, launch_template_data=first)
        for data in (named, {"ImageId": image}) if use == OLD_VERSION else ():
            aws("ec2", "create-launch-template-version", **template, launch_template_data=data)
    elif use == CONFIGURATION:
        configured = {"launch_configuration_name": profile, "image_id": image, "instance_type": "t3.micro"}
        aws("autoscaling", "create-launch-configuration", **configured, iam_instance_profile=profile)
    elif use == BATCH:
        boto3.client("iam").create_role(RoleName="service", AssumeRolePolicyDocument=LAMBDA, Tags=as_list(OPS))
        ec2 = boto3.client("ec2")
        subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"][:1]]
        groups = [one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"][:1]]
        arn = boto3.client("iam").get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Arn"]
        compute = {"type": "EC2", "minvCpus": 0, "maxvCpus": 4, "instanceTypes": ["m5.large"], "subnets": subnets}
        aws(
            "batch",
            "create-compute-environment",
            compute_environment_name="idle",
            type="MANAGED",
            service_role="arn:aws:iam::123456789012:role/service",
            compute_resources=compute | {"securityGroupIds": groups, "instanceRole": arn},
        )


def test_what_is_found_is_what_was_made_so(inventory: iamframe.Inventory) -> None:
    expected: dict[str, set[str]] = defaultdict(set)
    of_roles = {"untagged_roles", "ec2_roles_without_profile"}
    for profile, _, _, role, _, _, checks in ROWS:
        for check in checks:
            expected[check].add(role.rpartition("/")[2] if check in of_roles else profile)
    found: dict[str, set[str]] = defaultdict(set)
    result = iamframe.run_checks(inventory)
    for check, name in zip(result.findings["check"], result.findings["resource_name"], strict=True):
        found[check].add(name)
    assert found == expected
    assert result.coverage["status"][result.coverage["check"] == "empty_profiles"].tolist() == ["complete"]


def test_an_instance_profile_id_that_is_an_associations_id_is_no_other_profile(inventory: iamframe.Inventory) -> None:
    references = inventory.references
    of_instances = references[references["consumer_type"] == "instance"]
    assert set(of_instances["profile_arn"].str.rpartition("/")[2]) == {row[0] for row in ROWS if row[5] == INSTANCE}
