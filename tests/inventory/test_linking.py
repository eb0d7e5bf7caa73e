"""Which profile a mention means, in whose account it stands, and what that makes unreferenced or stale."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from accounts import EC2, ID
from accounts import load as load_live
from builders import identity, load, nested_role, profile, profile_list

import iamframe
from iamframe import run_checks
from iamframe.inventory.arrow import matches
from iamframe.inventory.build import joined
from iamframe.inventory.inventory import Inventory
from iamframe.practice import PracticeAccount

A, B = "000000000001", "000000000002"
REGION = "eu-west-1"
NOW, BEFORE = "AIPA2222NOW2222NOW222", "AIPA2222BEFORE2222222"


def arn(name: str, account: str = A, path: str = "/", partition: str = "aws") -> str:
    return f"arn:{partition}:iam::{account}:instance-profile{path}{name}"


def held(*names: str, account: str = A, path: str = "/", **more: Any) -> dict[str, Any]:
    """The whole profile list of an account, each profile with the role of its name."""
    rows = [
        profile(name, nested_role(name, account=account), path=path, account=account, InstanceProfileId=NOW) | more
        for name in names
    ]
    return profile_list(*rows)


def instance(named: str, id: str | None = None, number: int = 1) -> dict[str, Any]:
    return {
        "InstanceId": f"i-{number:017x}",
        "State": {"Name": "running"},
        "Placement": {"AvailabilityZone": f"{REGION}a"},
        "IamInstanceProfile": {"Arn": named} | ({"Id": id} if id else {}),
    }


def instances(*rows: dict[str, Any], owner: str | None = A) -> dict[str, Any]:
    return {"Reservations": [({"OwnerId": owner} if owner else {}) | {"Instances": list(rows)}]}


def versions(*named: str, **more: Any) -> dict[str, Any]:
    """The first version of one launch template per profile named."""
    rows = [
        {
            "LaunchTemplateId": f"lt-{number:017x}",
            "LaunchTemplateName": f"t{number}",
            "VersionNumber": 1,
            "DefaultVersion": True,
            "LaunchTemplateData": {"IamInstanceProfile": {"Arn" if ":" in text else "Name": text}},
        }
        | more
        for number, text in enumerate(named, 1)
    ]
    return {"LaunchTemplateVersions": rows}


def core(folder: str, account: str = A, **instead: Any) -> dict[str, Any]:
    """All core consumers of one region, as they are named in a folder."""
    files = {
        "instances": instances(owner=account),
        "versions": versions(),
        "configurations": {"LaunchConfigurations": []},
        "groups": {"AutoScalingGroups": []},
    }
    return {f"{folder}/{REGION}/{name}.json": content for name, content in (files | instead).items()}


def meant(inventory: Inventory) -> list[str | None]:
    """What each reference means, missing ones as None."""
    arns = inventory.references["profile_arn"]
    return [None if pd.isna(one) else str(one) for one in arns]


def found(inventory: Inventory, check: str) -> list[str]:
    findings = run_checks(inventory, only=[check]).findings
    return sorted(findings["resource_name" if check == "unreferenced_profiles" else "resource_arn"])


def stale(inventory: Inventory) -> dict[str, str]:
    """The detail of each stale reference, by the id of its consumer."""
    findings = run_checks(inventory, only=["stale_references"]).findings
    names = [arn.rpartition("/")[2] for arn in findings["resource_arn"]]
    return dict(zip(names, findings["detail"], strict=True))


# What an ARN, a name and an id mean


@pytest.mark.parametrize(
    ("named", "path", "means"),
    [
        ("web", "/", True),
        ("WEB", "/", True),
        ("web", "/team/", True),
        (arn("web"), "/", True),
        (arn("web", path="/team/x/"), "/team/x/", True),
        # Nobody knows whether AWS tells these apart: who is used must not pass for unused.
        (arn("WEB"), "/", True),
        (arn("web", path="/TEAM/"), "/team/", True),
        (arn("web", path="/old/path/"), "/", False),
        (arn("web"), "/team/", False),
        (arn("web", path="/team/x/"), "/team/", False),
        (arn("web", path="/x/team/"), "/team/", False),
        (arn("web", partition="aws-cn"), "/", False),
        (arn("web", account=B), "/", False),
        (f"arn:aws:iam::{A}:role/web", "/", False),
        (arn("web2"), "/", False),
        ("we", "/", False),
        # An ARN that tells no account is one of the consumer's own.
        ("arn:aws:iam:::instance-profile/web", "/", True),
    ],
)
def test_an_arn_means_the_profile_of_its_path_and_a_name_that_of_any_path(
    tmp_path: Path, named: str, path: str, means: bool
) -> None:
    inventory = load(tmp_path, {f"{A}/p.json": held("web", path=path)} | core(A, versions=versions(named)))
    assert meant(inventory) == [arn("web", path=path) if means else None]
    assert found(inventory, "unreferenced_profiles") == ([] if means else ["web"])


@pytest.mark.parametrize("consumer", ["instances", "versions", "configurations"])
def test_an_arn_of_another_path_is_stale_and_uses_nothing(tmp_path: Path, consumer: str) -> None:
    old = arn("web", path="/old/path/")
    naming = {
        "instances": instances(instance(old, BEFORE)),
        "versions": versions(old),
        "configurations": {"LaunchConfigurations": [{"LaunchConfigurationName": "c", "IamInstanceProfile": old}]},
    }
    inventory = load(tmp_path, {f"{A}/p.json": held("web")} | core(A, **{consumer: naming[consumer]}))
    assert found(inventory, "unreferenced_profiles") == ["web"]
    (detail,) = stale(inventory).values()
    assert detail == f"uses the profile {old}, which does not exist; the profile of that name has the path /"


def test_an_arn_of_another_path_accuses_nobody_where_not_all_profiles_were_read(tmp_path: Path) -> None:
    listed = held("web") | {"NextToken": "more"}
    naming = core(A, versions=versions(arn("web", path="/old/")))
    assert stale(load(tmp_path, {f"{A}/p.json": listed} | naming)) == {}


def test_a_path_that_differs_in_case_alone_accuses_nobody(tmp_path: Path) -> None:
    naming = core(A, versions=versions(arn("web", path="/Team/"), arn("WEB", path="/team/")))
    assert stale(load(tmp_path, {f"{A}/p.json": held("web", path="/team/")} | naming)) == {}


def test_an_instance_means_the_profile_of_its_id_where_its_arn_means_none(tmp_path: Path) -> None:
    documents = {f"{A}/p.json": held("web")} | core(A, instances=instances(instance(arn("web", path="/old/"), NOW)))
    inventory = load(tmp_path, documents)
    assert meant(inventory) == [arn("web")]
    assert (found(inventory, "unreferenced_profiles"), stale(inventory)) == ([], {})


def test_an_id_that_two_profiles_have_means_neither(tmp_path: Path) -> None:
    documents = {f"{A}/p.json": held("web", "api")} | core(A, instances=instances(instance(arn("x"), NOW)))
    assert meant(load(tmp_path, documents)) == [None]


# Ids


def test_only_another_id_of_a_profile_shows_that_it_was_recreated(tmp_path: Path) -> None:
    """Each in an account of its own: the id that the instance has, that of the profile, and whether it is another."""
    cases = [
        (BEFORE, NOW, True),
        (NOW, NOW, False),
        ("iip-assoc-0123456789abcdef0", NOW, False),
        ("k3q8vz0c1m2n4b5v6c7x", NOW, False),
        (BEFORE, "k3q8vz0c1m2n4b5v6c7x", False),
        ("AIPAXXXXXXXXXXXXXXXXX", NOW, False),
        (BEFORE, "AIPAXXXXXXXXXXXXXXXXX", False),
        (BEFORE.lower(), NOW, False),
        ("AROA2222BEFORE2222222", NOW, False),
        ("AIPASHORT", NOW, False),
        ("", NOW, False),
    ]
    documents: dict[str, Any] = {}
    for number, (then, now, _) in enumerate(cases):
        account = f"{number:012d}"
        rows = instances(instance(arn("web", account), then, number), owner=account)
        documents |= core(account, account, instances=rows)
        documents[f"{account}/p.json"] = held("web", account=account, InstanceProfileId=now)
    inventory = load(tmp_path, documents)
    assert [*stale(inventory)] == [f"i-{number:017x}" for number, (*_, is_stale) in enumerate(cases) if is_stale]
    assert found(inventory, "unreferenced_profiles") == []
    result = run_checks(inventory)
    for number, (*_, is_stale) in enumerate(cases):
        notes = iamframe.explain(result, arn("web", f"{number:012d}")).to_frame()["note"].dropna()
        assert notes.str.contains("uses a deleted profile that had the same name").any() == is_stale


# Whose a reference is


def both(folder_a: str, folder_b: str) -> dict[str, Any]:
    return {f"{folder_a}/p.json": held("web"), f"{folder_b}/p.json": held("web", account=B)}


@pytest.mark.parametrize(
    ("folder", "beside", "more"),
    [
        (B, {}, {}),
        ("b", {"b/id.json": identity(B)}, {}),
        ("b", {f"b/{REGION}/id.json": identity(B)}, {}),
        ("b", {}, {"CreatedBy": f"arn:aws:sts::{B}:assumed-role/AWSServiceRoleForAmazonEKSNodegroup/EKS"}),
        ("b", {}, {"CreatedBy": f"arn:aws:iam::{B}:root"}),
        # Whoever masks the makers says nothing against what the folder is called.
        (B, {}, {"CreatedBy": "arn:aws:iam::XXXXXXXXXXXX:root"}),
    ],
)
def test_a_template_that_names_another_accounts_profile_is_of_its_own_account(
    tmp_path: Path, folder: str, beside: dict[str, Any], more: dict[str, Any]
) -> None:
    naming = core(folder, B, versions=versions(arn("web"), **more)) | core(A)
    inventory = load(tmp_path, both(A, folder) | naming | beside)
    (row,) = inventory.references.to_dict("records")
    assert (row["account_id"], row["profile_arn"]) == (B, arn("web"))
    assert row["consumer_arn"] == f"arn:aws:ec2:{REGION}:{B}:launch-template/lt-{1:017x}"
    assert found(inventory, "stale_references") == []
    # It is used by B, and nothing of A's own says so.
    assert run_checks(inventory, only=["unreferenced_profiles"]).findings["account_id"].tolist() == [B]


@pytest.mark.parametrize(
    ("folder", "beside", "more"),
    [(B, {}, {}), ("b", {"b/id.json": identity(B)}, {}), ("b", {}, {"CreatedBy": f"arn:aws:iam::{B}:user/ops"})],
)
def test_a_template_that_names_an_account_which_nobody_read_makes_no_account_and_accuses_nobody(
    tmp_path: Path, folder: str, beside: dict[str, Any], more: dict[str, Any]
) -> None:
    naming = core(folder, B, versions=versions(arn("web"), arn("gone"), **more))
    inventory = load(tmp_path, {f"{folder}/p.json": held("web", account=B)} | naming | beside)
    assert inventory.references["account_id"].tolist() == [B, B]
    for name in ("accounts", "calls", "gaps"):
        assert set(inventory.frames[name]["account_id"]) == {B}
    result = run_checks(inventory)
    assert set(result.coverage["account_id"]) == {B}
    assert found(inventory, "stale_references") == []


@pytest.mark.parametrize("consumer", ["groups", "configurations", "instances"])
def test_what_names_its_own_account_needs_no_folder_that_tells_it(tmp_path: Path, consumer: str) -> None:
    own = f"arn:aws:autoscaling:{REGION}:{B}:launchConfiguration:u:launchConfigurationName/c"
    naming = {
        "configurations": {
            "LaunchConfigurations": [
                {"LaunchConfigurationName": "c", "LaunchConfigurationARN": own, "IamInstanceProfile": arn("web")}
            ]
        },
        "instances": instances(instance(arn("web")), owner=B),
        "groups": {
            "AutoScalingGroups": [
                {
                    "AutoScalingGroupName": "g",
                    "AutoScalingGroupARN": f"arn:aws:autoscaling:{REGION}:{B}:autoScalingGroup:u:x/g",
                    "LaunchConfigurationName": "c",
                }
            ]
        },
    }
    documents = {f"{REGION}/{consumer}.json": naming[consumer]}
    if consumer == "groups":
        documents[f"{REGION}/c.json"] = naming["configurations"]
    inventory = load(tmp_path, documents)
    assert set(inventory.references["account_id"]) == {B}
    assert set(inventory.accounts["account_id"]) == {B}
    assert set(inventory.calls["account_id"]) == {B}


def test_instances_without_a_profile_tell_whose_the_file_is(tmp_path: Path) -> None:
    bare = {"InstanceId": "i-1", "State": {"Name": "running"}}
    inventory = load(tmp_path, {f"{REGION}/i.json": instances(bare, owner=B)})
    assert set(inventory.calls["account_id"]) == {B}


def test_a_file_that_names_no_profile_but_another_accounts_is_nobodys_where_nothing_tells(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"x/p.json": held("web", account=B), "x/v.json": versions(arn("web"))})
    assert inventory.references["account_id"].tolist() == ["unknown"]
    assert A not in set(inventory.accounts["account_id"])
    assert inventory.gaps["detail"].str.contains("does not show which account it is from").any()


def test_a_fleet_knows_the_profile_of_another_account_that_a_template_names(tmp_path: Path) -> None:
    # Each account was read by itself, as a fleet's are.
    naming = core(B, B, versions=versions(arn("web"), arn("web", path="/old/"), arn("gone"), "web"))
    parts = [
        load(tmp_path / "a", {f"{A}/p.json": held("web")}),
        load(tmp_path / "b", {f"{B}/p.json": held("api", account=B)} | naming),
    ]
    # A name is one of its own account.
    assert sorted(stale(parts[1])) == [f"lt-{4:017x}"]
    whole = joined(parts)
    assert sorted(filter(None, meant(whole))) == [arn("web")]
    assert sorted(stale(whole)) == [f"lt-{number:017x}" for number in (2, 3, 4)]


def test_the_order_in_which_accounts_are_joined_does_not_matter(tmp_path: Path) -> None:
    naming = core(B, B, versions=versions(arn("web"), "api"))
    parts = [
        load(tmp_path / "a", {f"{A}/p.json": held("web")}),
        load(tmp_path / "b", {f"{B}/p.json": held("api", account=B)} | naming),
    ]
    one, two = joined(parts), joined(reversed(parts))
    pd.testing.assert_frame_equal(one.references, two.references)


# Live


@pytest.fixture
def account() -> Iterator[PracticeAccount]:
    with PracticeAccount(regions=["us-east-1"]) as practice:
        yield practice


def make(account: PracticeAccount, name: str, path: str = "/") -> str:
    iam = account.session().client("iam")
    made = iam.create_instance_profile(InstanceProfileName=name, Path=path)["InstanceProfile"]
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=EC2)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return str(made["Arn"])


def template(account: PracticeAccount, name: str, **named: str) -> None:
    ec2 = account.session("us-east-1").client("ec2")
    ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"IamInstanceProfile": named})


def test_a_live_account_whose_template_names_another_accounts_profile_is_alone_and_not_complete(
    account: PracticeAccount,
) -> None:
    make(account, "web")
    template(account, "theirs", Arn=arn("web", account="999999999999"))
    inventory = load_live(account, references="all")
    assert set(inventory.accounts["account_id"]) == {ID}
    assert set(inventory.references["account_id"]) == {ID}
    assert found(inventory, "stale_references") == []
    coverage = run_checks(inventory).coverage.set_index("check")
    assert coverage.loc["stale_references", "status"] == "partial"
    assert (
        "1 reference to profiles of other accounts could not be checked" in coverage.loc["stale_references", "reason"]
    )


def test_a_profile_that_is_named_in_another_case_starts_instances_in_practice(account: PracticeAccount) -> None:
    web = make(account, "web", "/team/")
    ec2 = account.session("us-east-1").client("ec2")
    template(account, "upper", Name="WEB")
    started = []
    for more in (
        {"IamInstanceProfile": {"Name": "Web"}},
        {"IamInstanceProfile": {"Arn": web.replace("web", "WEB")}},
        {"LaunchTemplate": {"LaunchTemplateName": "upper"}},
    ):
        one = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, **more)["Instances"][0]
        started.append(one["IamInstanceProfile"]["Arn"])
    assert started == [web, web, web]
    with pytest.raises(Exception, match="iamInstanceProfile"):
        ec2.run_instances(
            ImageId="ami-12c6146b", MinCount=1, MaxCount=1, IamInstanceProfile={"Arn": web.replace("team", "old")}
        )
    assert found(load_live(account, references=True), "unreferenced_profiles") == []


def test_a_role_and_a_profile_are_found_by_their_name_in_any_case_in_practice(account: PracticeAccount) -> None:
    make(account, "web")
    iam = account.session().client("iam")
    assert iam.get_instance_profile(InstanceProfileName="WEB")["InstanceProfile"]["InstanceProfileName"] == "web"
    assert iam.get_role(RoleName="Web")["Role"]["RoleName"] == "web"
    iam.remove_role_from_instance_profile(InstanceProfileName="wEb", RoleName="weB")
    iam.delete_instance_profile(InstanceProfileName="WEB")
    assert iam.list_instance_profiles()["InstanceProfiles"] == []


def test_row_numbers_are_matched_in_order_and_one_that_is_there_twice_gives_two_pairs() -> None:
    # -1 is the number of no row.
    of_tags, of_links = np.array([2, -1, 0, 2, 5]), np.array([0, 2, -1, 2])
    tags, links = matches(of_tags, of_links)
    assert list(zip(tags.tolist(), links.tolist(), strict=True)) == [(0, 1), (0, 3), (2, 0), (3, 1), (3, 3)]
    assert [len(side) for side in matches(of_tags[:0], of_links)] == [0, 0]
    assert [len(side) for side in matches(of_tags, of_links[:0])] == [0, 0]
