"""One role or profile: found by whatever names it, told side by side, and what is not known told as that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest
from botocore.exceptions import ClientError
from builders import (
    ACCOUNT,
    EC2,
    dump,
    identity,
    load,
    nested_role,
    profile,
    profile_list,
    role_detail,
    tag_list,
    trust,
)
from click.testing import CliRunner

import iamframe
from iamframe.analysis.explain import CONFLICT, Explanation, explain
from iamframe.checks import CHECKS
from iamframe.checks.registry import About
from iamframe.inventory.inventory import Inventory
from iamframe.practice import PracticeAccount
from iamframe.ui.cli import app

CLOUD9 = profile("AWSCloud9SSMInstanceProfile", nested_role("AWSCloud9SSMAccessRole", "/service-role/"), "/cloud9/")


def account(folder: Path, *profiles: dict[str, Any], roles: tuple[dict[str, Any], ...] = (), **more: Any) -> Inventory:
    """One account: its profiles, and an account dump of the roles given."""
    documents = {"identity.json": identity(), "profiles.json": profile_list(*profiles)}
    return load(folder, documents | ({"dump.json": dump(*roles)} if roles else {}) | more)


def said(told: Explanation, section: str) -> list[tuple[str, ...]]:
    """Field, role, profile and note of a section, without what is missing."""
    rows = told.to_frame()[told.to_frame()["section"] == section]
    return [tuple(row) for row in rows[["field", "role", "profile", "note"]].fillna("").values.tolist()]


def pairs(told: Explanation) -> list[tuple[str, str]]:
    frame = told.to_frame().fillna("")
    frame = frame[frame["section"] != "asked"]
    return list(dict.fromkeys(zip(frame["role_arn"], frame["profile_arn"], strict=True)))


@pytest.fixture(scope="module")
def cloud9(tmp_path_factory: pytest.TempPathFactory) -> iamframe.Result:
    """An account with Cloud9's pair and another."""
    folder = tmp_path_factory.mktemp("cloud9")
    return iamframe.run_checks(account(folder, CLOUD9, profile("other", nested_role("other"))))


@pytest.mark.parametrize(
    "name",
    [
        "AWSCloud9SSMInstanceProfile",
        "awscloud9ssminstanceprofile",
        "cloud9/AWSCloud9SSMInstanceProfile",
        "/cloud9/AWSCloud9SSMInstanceProfile",
        "instance-profile/cloud9/AWSCloud9SSMInstanceProfile",
        f"arn:aws:iam::{ACCOUNT}:instance-profile/cloud9/AWSCloud9SSMInstanceProfile",
        f"arn:aws:iam::{ACCOUNT}:instance-profile/AWSCloud9SSMInstanceProfile",
        "AIPAAWSCLOUD9SSMINSTANCEPROFILE",
        "AWSCloud9SSMAccessRole",
        "role/service-role/AWSCloud9SSMAccessRole",
        "service-role/awscloud9ssmaccessrole",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSCloud9SSMAccessRole/i-0abcdef",
        "aroaAWSCLOUD9SSMACCESSROLE",
        " AWSCloud9SSMAccessRole ",
    ],
)
def test_a_pair_is_found_by_whatever_names_one_side_of_it(cloud9: iamframe.Result, name: str) -> None:
    told = explain(cloud9, name)
    assert pairs(told) == [
        (
            f"arn:aws:iam::{ACCOUNT}:role/service-role/AWSCloud9SSMAccessRole",
            f"arn:aws:iam::{ACCOUNT}:instance-profile/cloud9/AWSCloud9SSMInstanceProfile",
        )
    ]


@pytest.mark.parametrize(
    "name",
    [
        "service-role/AWSCloud9SSMInstanceProfile",
        "role/AWSCloud9SSMInstanceProfile",
        "arn:aws:iam::000000000002:role/AWSCloud9SSMAccessRole",
        f"arn:aws-cn:iam::{ACCOUNT}:role/AWSCloud9SSMAccessRole",
        f"arn:aws:iam::{ACCOUNT}:role/other/AWSCloud9SSMAccessRole",
        f"arn:aws:iam::{ACCOUNT}:instance-profile/cloud9/more/AWSCloud9SSMInstanceProfile",
        f"arn:aws:iam::{ACCOUNT}:user/AWSCloud9SSMAccessRole",
        "",
    ],
)
def test_another_path_type_or_account_is_another_resource(cloud9: iamframe.Result, name: str) -> None:
    assert not explain(cloud9, name).found


@pytest.mark.parametrize(
    ("asked", "notice"),
    [
        (f"arn:aws:iam::{ACCOUNT}:instance-profile/AWSCloud9SSMInstanceProfile", True),
        (f"arn:aws:iam::{ACCOUNT}:instance-profile/Cloud9/awscloud9ssmInstanceProfile", False),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSCloud9SSMAccessRole/i-0abcdef", False),
        ("AWSCloud9SSMInstanceProfile", False),
    ],
)
def test_an_arn_without_its_path_says_first_which_one_is_shown(
    cloud9: iamframe.Result, asked: str, notice: bool
) -> None:
    told = explain(cloud9, asked)
    shown = f"arn:aws:iam::{ACCOUNT}:instance-profile/cloud9/AWSCloud9SSMInstanceProfile"
    assert said(told, "asked") == [("another ARN", "", "", f"asked for {asked}; shown is {shown}")] * notice
    assert str(told).lstrip().startswith("asked") == notice


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        (f"arn:aws-cn:iam::{ACCOUNT}:role/web", ("web", f"arn:aws:iam::{ACCOUNT}:role/web", "", "")),
        (
            f"arn:aws:iam::{ACCOUNT}:instance-profile/x/web",
            ("web", "", f"arn:aws:iam::{ACCOUNT}:instance-profile/web", ""),
        ),
        ("arn:aws:iam::999999999999:role/web", ("web", f"arn:aws:iam::{ACCOUNT}:role/web", "", "")),
        (f"arn:aws:iam::{ACCOUNT}:role/wbe", ("web", f"arn:aws:iam::{ACCOUNT}:role/web", "", "")),
    ],
)
def test_an_arn_that_is_not_there_has_the_nearest_with_their_arns(
    tmp_path: Path, asked: str, first: tuple[str, ...]
) -> None:
    launch = {"LaunchConfigurations": [{"LaunchConfigurationName": "lc", "IamInstanceProfile": "web"}]}
    told = explain(account(tmp_path, profile("web", nested_role("web")), **{"lc.json": launch}), asked)
    assert not told.found
    assert said(told, "nearest names")[0] == first
    # What names the profile of that name, in that account, names neither a role nor another account's.
    assert [consumer for _, _, consumer, _ in said(told, "named by")] == ["lc"] * ("instance-profile" in asked)


@pytest.mark.parametrize("name", [None, 7, b"web"])
def test_a_name_that_is_no_text_is_refused_in_one_sentence(name: Any) -> None:
    with pytest.raises(TypeError, match=r"^explain takes the name, ARN or unique id of a role or profile as text"):
        explain(iamframe.load_sample(), name)


def test_a_name_is_looked_for_in_each_account(tmp_path: Path) -> None:
    two = "000000000002"
    inventory = load(
        tmp_path,
        {
            "a/profiles.json": profile_list(profile("web", nested_role("web"))),
            "b/profiles.json": profile_list(profile("web", nested_role("web", account=two), account=two)),
        },
    )
    assert [role for role, _ in pairs(explain(inventory, "web"))] == [
        f"arn:aws:iam::{one}:role/web" for one in (ACCOUNT, two)
    ]


def test_an_extra_segment_is_seen_at_once(tmp_path: Path) -> None:
    inventory = account(tmp_path, profile("web", nested_role("web", "/team/"), "/team/blue/"))
    parts = {field: rest for field, *rest in said(explain(inventory, "web"), "identity")}
    assert parts["partition"] == ["aws", "aws", ""]
    assert parts["segment 1 of the path"] == ["team", "team", ""]
    assert parts["segment 2 of the path"] == ["", "blue", "only the profile's path has it"]
    assert parts["name"] == ["web", "web", ""]


def test_tags_stand_side_by_side_with_what_differs(tmp_path: Path) -> None:
    tags = {"Owner": "ops", "Stage": "prod", "cost": "1", "aws:made": "x", "same": "s"}
    inventory = account(
        tmp_path,
        profile("web", nested_role("web")),
        roles=(role_detail("web", [profile("web")], tags),),
        **{
            "instance-profile-tags/web.json": {
                "Tags": tag_list({"Stage": "test", "Cost": "1", "Extra": "", "same": "s"})
            }
        },
    )
    assert said(explain(inventory, "web"), "tags") == [
        ("Cost", "", "1", "the role has it as cost"),
        ("Extra", "", "", "missing on the role"),
        ("Owner", "ops", "", "missing on the profile"),
        ("Stage", "prod", "test", "another value"),
        ("aws:made", "x", "", "reserved by AWS"),
        ("cost", "1", "", "the profile has it as Cost"),
        ("same", "s", "s", ""),
    ]


def test_what_was_not_read_is_told_as_not_read(tmp_path: Path) -> None:
    told = explain(account(tmp_path, profile("web", nested_role("web"))), "web")
    assert said(told, "tags") == [("read", "not read", "not read", "no listing shows tags")]
    assert ("last used", "not read", "", "") in said(told, "identity")
    assert "references were read" not in str(told)
    assert any(
        field == "untagged_profiles" and note.startswith("unknown") for field, *_, note in said(told, "not checked")
    )
    assert said(told, "findings") == [("none", "", "", "of what could be checked")]


def test_tags_that_were_refused_say_so_and_what_would_read_them(tmp_path: Path) -> None:
    lines = ("operation,subject", "ListRoleTags,web", "ListInstanceProfileTags,web-profile")
    denied = "".join(f"{line},{'AccessDenied' if at else 'error_code'}\n" for at, line in enumerate(lines))
    told = explain(account(tmp_path, profile("web-profile", nested_role("web")), **{"denied.csv": denied}), "web")
    answer = "AWS answered AccessDenied to {}, for whoever made the files"
    refused = answer.format("ListRoleTags of web"), answer.format("ListInstanceProfileTags of web-profile")
    assert said(told, "tags") == [("read", "not read", "not read", "; ".join(refused))]
    assert said(told, "next")[:2] == [
        ("read the role's tags", "", "", "aws iam list-role-tags --role-name=web"),
        (
            "read the profile's tags",
            "",
            "",
            "aws iam list-instance-profile-tags --instance-profile-name=web-profile",
        ),
    ]


def test_a_finding_of_the_roles_other_profile_is_told_with_that_one_alone(tmp_path: Path) -> None:
    """The role is in two profiles: what differs with each is told where the profile is, or names it."""
    both = [profile("one", nested_role("web")), profile("two", nested_role("web"))]
    inventory = account(
        tmp_path,
        *both,
        roles=(role_detail("web", both, {"Owner": "ops"}),),
        **{
            f"instance-profile-tags/{name}.json": {"Tags": tag_list({"Owner": value})}
            for name, value in (("one", "a"), ("two", "b"))
        },
    )
    told = explain(inventory, "web").to_frame()
    rows = told[(told["section"] == "findings") & (told["field"] == "tag_differences")]
    assert rows["profile_arn"].str[-3:].tolist() == ["one", "two"]
    assert rows["note"].str.extract("and (.) on")[0].tolist() == ["a", "b"]
    assert rows["profile"].isna().all()
    alone = said(explain(inventory, "one"), "findings")
    named = {(profile, "and b" in note) for field, _, profile, note in alone if field == "tag_differences"}
    assert named == {("", False), ("two", True)}


def test_a_role_that_is_in_no_profile_is_not_told_of_checks_of_profiles(tmp_path: Path) -> None:
    told = explain(account(tmp_path, profile("other", nested_role("db")), roles=(role_detail("web"),)), "web")
    names = {field for field, *_ in said(told, "not checked")}
    assert {"tag_key_variants"} <= names
    assert not names & {"unreferenced_profiles", "stale_references", "untagged_profiles", "tag_differences"}
    unread = explain(load(tmp_path / "roles", {"roles.json": {"Roles": [nested_role("web")]}}), "web")
    assert "tag_differences" in {field for field, *_ in said(unread, "not checked")}
    empty = explain(account(tmp_path / "empty", profile("web")), "web")
    assert not {field for field, *_ in said(empty, "not checked")} & {"untagged_roles", "deleted_trust_principals"}


def test_every_check_says_what_it_is_about() -> None:
    assert {one.about for one in CHECKS.values()} == set(get_args(About))


def test_a_role_whose_profiles_were_not_read_is_not_said_to_be_in_none(tmp_path: Path) -> None:
    told = explain(load(tmp_path, {"roles.json": {"Roles": [nested_role("web")]}}), "web")
    assert said(told, "link") == [("instance profile", "", "", "not read: whether a profile holds the role")]
    assert said(told, "deleting") == [
        ("the role", "", "", f"not read whether a profile holds it; if one does, refused: {CONFLICT}")
    ]


def test_a_role_that_a_whole_list_of_profiles_does_not_hold_is_in_none(tmp_path: Path) -> None:
    told = explain(account(tmp_path, profile("other"), roles=(role_detail("web"),)), "web")
    assert said(told, "link") == [("instance profile", "", "", "the role is in no instance profile")]


def test_an_empty_profile_is_said_to_be_empty(tmp_path: Path) -> None:
    told = explain(account(tmp_path, profile("web")), "web")
    assert said(told, "link") == [("role", "", "", "the profile holds no role")]
    assert ("empty_profiles", "", "", "medium: holds no role") in said(told, "findings")


def test_a_role_that_no_source_shows_is_found_by_the_profile_that_names_it(tmp_path: Path) -> None:
    state = {
        "version": 4,
        "terraform_version": "1.5.0",
        "resources": [
            {
                "mode": "managed",
                "type": "aws_iam_instance_profile",
                "name": "web",
                "instances": [
                    {
                        "attributes": {
                            "arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/web-profile",
                            "name": "web-profile",
                            "path": "/",
                            "role": "elsewhere",
                        }
                    }
                ],
            }
        ],
    }
    told = explain(load(tmp_path, {"terraform.tfstate": state}), "elsewhere")
    assert pairs(told) == [("name:elsewhere", f"arn:aws:iam::{ACCOUNT}:instance-profile/web-profile")]
    assert (
        "ARN",
        "not read: no source shows this role",
        f"arn:aws:iam::{ACCOUNT}:instance-profile/web-profile",
        "",
    ) in said(told, "identity")


def test_a_name_of_a_role_and_of_another_roles_profile_shows_both_and_says_so(tmp_path: Path) -> None:
    inventory = account(
        tmp_path,
        profile("web", nested_role("other")),
        roles=(role_detail("web"), role_detail("other", [profile("web")])),
    )
    told = explain(inventory, "web")
    arns = [f"arn:aws:iam::{ACCOUNT}:{what}" for what in ("role/other", "instance-profile/web", "role/web")]
    assert set(pairs(told)) == {(arns[0], arns[1]), (arns[2], ""), (arns[2], arns[1])}
    assert said(told, "name") == [
        ("web", arns[2], arns[1], "is the name of two resources that are not linked: the profile holds the role other")
    ]
    assert any(field == "crossed_names" for field, *_ in said(told, "findings"))


def test_who_may_assume_the_role_is_told_principal_by_principal(tmp_path: Path) -> None:
    policy = {
        "Statement": [
            *trust("ec2.amazonaws.com", "eks.amazonaws.com")["Statement"],
            {
                "Effect": "Deny",
                "Principal": {"AWS": "AROAGONE"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ]
    }
    told = explain(account(tmp_path, profile("web", nested_role("web", policy=policy))), "web")
    assert said(told, "trust") == [
        ("EC2 may assume the role", "yes", "", ""),
        ("Service", "ec2.amazonaws.com", "", "Allow sts:AssumeRole"),
        ("Service", "eks.amazonaws.com", "", "Allow sts:AssumeRole"),
        (
            "AWS",
            "AROAGONE",
            "",
            'Deny sts:AssumeRole, sts:TagSession, if {"Bool":{"aws:SecureTransport":"false"}}',
        ),
    ]


def test_what_refers_to_the_profile_is_told_with_where_that_was_looked_for() -> None:
    told = explain(iamframe.load_sample(), "AWSCloud9SSMInstanceProfile")
    *consumers, scope = said(told, "used by")
    assert [(kind, identifier) for kind, _, identifier, _ in consumers] == [("instance", "i-0abcdef0000000007")]
    assert scope[0] == "looked for"
    assert scope[3].startswith("partial: references were read from files")
    assert scope[3].endswith("(regions read: ap-northeast-1, eu-west-1)")


def test_nothing_found_shows_the_nearest_names_and_what_was_not_readable(tmp_path: Path) -> None:
    inventory = account(
        tmp_path,
        profile("web-server", nested_role("web-server")),
        profile("batch", nested_role("batch")),
        **{"denied.csv": "operation,subject,error_code\nListRoles,*,AccessDenied\nGetRole,webserver,AccessDenied\n"},
    )
    told = explain(inventory, "webserver")
    assert not told.found
    assert said(told, "not found") == [
        (
            "webserver",
            "",
            "",
            "no role or instance profile of that name, ARN or id among 2 roles and 2 instance profiles of 1 account",
        )
    ]
    assert said(told, "nearest names") == [("web-server", "", "", "")]
    assert {"GetRole", "ListRoles"} <= {field for field, *_ in said(told, "not readable")}
    assert f"account {ACCOUNT}:" in str(told)


def test_a_profile_that_is_gone_is_told_by_what_still_names_it() -> None:
    inventory = iamframe.load_sample()
    stale = inventory.references[inventory.references["profile_arn"].isna()].iloc[0]
    told = explain(inventory, stale["profile_name"])
    assert not told.found
    assert stale["consumer_id"] in {profile for _, _, profile, _ in said(told, "named by")}


@pytest.mark.parametrize("turned", [False, True])
def test_an_id_that_is_gone_is_told_by_what_still_holds_it(turned: bool) -> None:
    inventory = iamframe.load_sample()
    case = str.lower if turned else str
    told = explain(inventory, case("AIPAEXAMPLEGONE00001"))
    assert not told.found
    assert said(told, "named by") == [
        (
            "instance",
            "",
            "i-0abcdef0000000009",
            "ap-northeast-1: arn:aws:iam::111122223333:instance-profile/monitoring, started with that id",
        )
    ]
    assert said(explain(inventory, case("AROAEXAMPLEDELETED01")), "named by") == [
        ("trust policy of role", "partner-access", "", "AWS AROAEXAMPLEDELETED01")
    ]


REGION = "eu-west-1"


def instance(number: str, named: str, profile_id: str | None = None) -> dict[str, Any]:
    """An instance that uses a profile, given by its ARN."""
    return {
        "InstanceId": number,
        "State": {"Name": "running"},
        "Tags": [{"Key": "Name", "Value": f"{number}-name"}],
        "IamInstanceProfile": {"Arn": named, "Id": profile_id or f"AIPA{named.rsplit('/', 1)[-1].upper()}"},
    }


def instances(*found: dict[str, Any], account: str = ACCOUNT) -> dict[str, Any]:
    return {"Reservations": [{"OwnerId": account, "Instances": list(found)}]}


def versions(template: str, *named: str | None) -> dict[str, Any]:
    """All versions of a launch template, each with the profile that it names."""
    listed = [
        {
            "LaunchTemplateId": template,
            "LaunchTemplateName": f"{template}-name",
            "VersionNumber": number,
            "DefaultVersion": number == 1,
            "LaunchTemplateData": {} if name is None else {"IamInstanceProfile": {"Name": name}},
        }
        for number, name in enumerate(named, 1)
    ]
    return {"LaunchTemplateVersions": listed}


WEB_ARN = f"arn:aws:iam::{ACCOUNT}:instance-profile/web"


def using(folder: Path, *found: dict[str, Any], **more: Any) -> Inventory:
    """An account with the profiles web and empty, and its instances."""
    documents = {
        "identity.json": identity(),
        "p.json": profile_list(
            profile("web", nested_role("server"), InstanceProfileId="AIPAWEBWEBWEBWEBWEB2"), profile("empty")
        ),
    }
    return load(folder / ACCOUNT, documents | {f"{REGION}/describe-instances.json": instances(*found)} | more)


@pytest.mark.parametrize(
    "asked",
    ["i-1", " I-1 ", "i-1-name", f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1"],
)
def test_an_instance_is_explained_by_the_profile_that_it_uses(tmp_path: Path, asked: str) -> None:
    told = explain(using(tmp_path, instance("i-1", WEB_ARN), instance("i-2", WEB_ARN)), asked)
    assert told.found
    ((field, _, named, note),) = said(told, "uses")
    assert (field, named) == ("instance i-1", WEB_ARN)
    assert {REGION, "running", "holds the role server"} <= set(note.split(", "))
    # The pair itself is told as if its own name had been given.
    assert pairs(told)[1:] == [(f"arn:aws:iam::{ACCOUNT}:role/server", WEB_ARN)]
    assert said(told, "link") == said(explain(using(tmp_path / "again", instance("i-1", WEB_ARN)), "web"), "link")
    assert f"account {ACCOUNT}" in str(told)
    assert "instance i-1" in told._repr_html_()


def test_each_version_of_a_launch_template_is_told_with_its_profile(tmp_path: Path) -> None:
    templates = versions("lt-1", "web", "gone", None, "empty", *["web"] * 8)
    inventory = using(tmp_path, **{f"{REGION}/describe-launch-template-versions.json": templates})
    for asked in ("lt-1", "lt-1-name", f"arn:aws:ec2:{REGION}:{ACCOUNT}:launch-template/lt-1"):
        told = explain(inventory, asked)
        assert told.found
        uses = {named: note for _, _, named, note in said(told, "uses")}
        assert set(uses) == {WEB_ARN, WEB_ARN.replace("web", "empty"), "gone"}
        assert "holds the role server" in uses[WEB_ARN]
        assert "holds no role" in uses[WEB_ARN.replace("web", "empty")]
        assert "gone: " in uses["gone"]
        assert "version 2" in uses["gone"]
        assert len(pairs(told)) == 3


def test_the_name_of_a_profile_wins_over_that_of_what_uses_another(tmp_path: Path) -> None:
    templates = versions("lt-1", "empty")
    templates["LaunchTemplateVersions"][0]["LaunchTemplateName"] = "web"
    inventory = using(tmp_path, **{f"{REGION}/describe-launch-template-versions.json": templates})
    assert pairs(explain(inventory, "web")) == [(f"arn:aws:iam::{ACCOUNT}:role/server", WEB_ARN)]
    assert said(explain(inventory, "web"), "uses") == []
    # Nothing else bears the id.
    assert [named for _, _, named, _ in said(explain(inventory, "lt-1"), "uses")] == [WEB_ARN.replace("web", "empty")]


def test_a_profile_that_is_gone_or_was_never_read_is_told_so(tmp_path: Path) -> None:
    other = "000000000002"
    moved, gone = (f"arn:aws:iam::{ACCOUNT}:instance-profile/{rest}" for rest in ("old/web", "gone"))
    elsewhere = f"arn:aws:iam::{other}:instance-profile/web"
    found = [
        instance("i-gone", gone),
        instance("i-else", elsewhere),
        instance("i-again", WEB_ARN, profile_id="AIPAOLDOLDOLDOLDOLD2"),
    ]
    inventory = using(tmp_path, *found)
    notes = {name: said(explain(inventory, name), "uses")[0][3] for name in ("i-gone", "i-else", "i-again")}
    assert "gone: " in notes["i-gone"]
    assert "unknown" in notes["i-else"]
    assert other in notes["i-else"]
    assert "AIPAOLDOLDOLDOLDOLD2" in notes["i-again"]
    assert all(explain(inventory, name).found for name in notes)
    # Without the list of profiles nobody can say that one is gone.
    documents = {"identity.json": identity(), f"{REGION}/describe-instances.json": instances(instance("i-gone", gone))}
    ((_, _, named, note),) = said(explain(load(tmp_path / "bare" / ACCOUNT, documents), "i-gone"), "uses")
    assert named == gone
    assert "unknown" in note
    assert "gone: " not in note
    # One of that name at another path is another profile.
    ((_, _, _, note),) = said(explain(using(tmp_path / "moved", instance("i-moved", moved)), "i-moved"), "uses")
    assert "gone: " in note


def test_an_id_of_two_accounts_tells_of_both_and_an_arn_of_its_own(tmp_path: Path) -> None:
    other = "000000000002"
    documents: dict[str, Any] = {}
    for account_id in (ACCOUNT, other):
        web = profile("web", nested_role("server", account=account_id), account=account_id)
        arn = f"arn:aws:iam::{account_id}:instance-profile/web"
        documents[f"{account_id}/p.json"] = profile_list(web)
        documents[f"{account_id}/{REGION}/describe-instances.json"] = instances(
            instance("i-1", arn), account=account_id
        )
    inventory = load(tmp_path, documents)
    told = explain(inventory, "i-1").to_frame()
    assert told["account_id"][told["section"] == "uses"].tolist() == [ACCOUNT, other]
    one = explain(inventory, f"arn:aws:ec2:{REGION}:{other}:instance/i-1").to_frame()
    assert one["account_id"][one["section"] == "uses"].tolist() == [other]


def test_an_instance_that_no_reference_shows_is_not_found_with_where_was_looked(tmp_path: Path) -> None:
    told = explain(using(tmp_path, instance("i-1", WEB_ARN)), "i-2")
    assert not told.found
    assert "what uses profiles" in {field for field, *_ in said(told, "not readable")}


def test_the_command_explains_an_instance() -> None:
    run = CliRunner().invoke(app, ["explain", "i-0abcdef0000000009", "sample"], standalone_mode=False)
    assert run.return_value == 0
    assert "AIPAEXAMPLEGONE00001" in run.stdout
    run = CliRunner().invoke(app, ["explain", "lt-0abcdef000000000c", "sample"], standalone_mode=False)
    assert run.return_value == 0
    assert "gone: account 111122223333 has no such profile" in " ".join(run.stdout.split())


def test_an_id_that_cloudtrail_tells_of_has_a_history(tmp_path: Path) -> None:
    made = event("2026-01-01T10:00:00Z", "CreateRole", roleName="app")
    made["responseElements"] = {
        "role": {"roleName": "app", "arn": f"arn:aws:iam::{ACCOUNT}:role/app", "roleId": "AROAEXAMPLEAPP000001"}
    }
    inventory = load(tmp_path, {"trail.json": {"Records": [made]}})
    told = explain(inventory, "AROAEXAMPLEAPP000001")
    assert not told.found
    assert [note for *_, note in said(told, "history")] == [
        f"CreateRole app, by arn:aws:iam::{ACCOUNT}:user/ada, with aws-cli/2.15"
    ]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("bacth", "batch"), ("wbe", "web"), ("wb", "web"), ("web-sevrer", "web-server"), ("BACTH", "batch")],
)
def test_letters_that_changed_places_are_near(tmp_path: Path, typed: str, meant: str) -> None:
    names = ("web", "batch", "web-server", "payroll", "etl")
    inventory = account(tmp_path, *(profile(name, nested_role(name)) for name in names))
    assert said(explain(inventory, typed), "nearest names")[0] == (meant, "", "", "")
    assert said(explain(inventory, "qqq"), "nearest names") == []


def test_it_tells_which_consoles_and_apis_show_and_change_the_tags_of_each_side(tmp_path: Path) -> None:
    shown = said(explain(account(tmp_path, profile("web", nested_role("web"))), "web"), "where tags show")
    assert ("IAM console: read", "yes", "no", "") in shown
    assert ("IAM console: write", "yes", "no", "") in shown
    (tag_editor,) = [row for row in shown if row[0] == "Tag Editor: read"]
    assert tag_editor[1:3] == ("no", "condition")
    assert "us-east-1" in tag_editor[3]


def event(at: str, name: str, **parameters: str) -> dict[str, Any]:
    """A record as a trail's file holds it."""
    return {
        "eventID": f"{at}-{name}",
        "eventTime": at,
        "eventSource": "iam.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "recipientAccountId": ACCOUNT,
        "userAgent": "aws-cli/2.15",
        "userIdentity": {"arn": f"arn:aws:iam::{ACCOUNT}:user/ada"},
        "requestParameters": parameters,
    }


def test_what_cloudtrail_tells_of_it_is_told_in_order_with_the_time_that_was_read(tmp_path: Path) -> None:
    records = [
        event("2026-01-02T10:00:00Z", "AddRoleToInstanceProfile", instanceProfileName="web", roleName="web"),
        event("2026-01-01T10:00:00Z", "CreateRole", roleName="web"),
        event("2026-01-01T11:00:00Z", "CreateRole", roleName="another"),
        event("2026-01-03T10:00:00Z", "DeleteRole", roleName="gone"),
    ]
    inventory = account(tmp_path, profile("web", nested_role("web")), **{"trail.json": {"Records": records}})
    told = said(explain(inventory, "web"), "history")
    assert [(field, note) for field, *_, note in told[:-1]] == [
        ("2026-01-01 10:00:00 UTC", f"CreateRole web, by arn:aws:iam::{ACCOUNT}:user/ada, with aws-cli/2.15"),
        (
            "2026-01-02 10:00:00 UTC",
            f"AddRoleToInstanceProfile web web, by arn:aws:iam::{ACCOUNT}:user/ada, with aws-cli/2.15",
        ),
    ]
    assert told[-1][3] == "CloudTrail records from 2026-01-01 10:00:00 UTC to 2026-01-03 10:00:00 UTC"
    gone = explain(inventory, "gone")
    assert not gone.found
    assert [field for field, *_ in said(gone, "history")] == ["2026-01-03 10:00:00 UTC"]
    assert f"account {ACCOUNT}: DeleteRole gone" in str(gone)


def test_without_cloudtrail_there_is_no_history(sample: Inventory) -> None:
    assert said(explain(sample, "AWSCloud9SSMAccessRole"), "history") == []


@pytest.fixture(scope="module")
def sample() -> Inventory:
    return iamframe.load_sample()


@pytest.fixture(scope="module")
def result(sample: Inventory) -> iamframe.Result:
    return iamframe.run_checks(sample)


@pytest.mark.parametrize(("kind", "step"), [("profile", 13), ("role", 19)])
def test_its_findings_are_those_of_the_whole_inventory_and_all_of_it_is_what_a_result_of_that_tells(
    sample: Inventory, result: iamframe.Result, kind: str, step: int
) -> None:
    found = result.findings
    for arn in sample.frames[f"{kind}s"][f"{kind}_arn"][::step]:
        told = explain(sample, arn).to_frame()
        pd.testing.assert_frame_equal(explain(result, arn).to_frame(), told)
        of_it = told[(told["section"] == "findings") & (told["field"] != "none")]
        shown = set(zip(of_it["field"], of_it["note"].str.split(": ", n=1).str[1], strict=True))
        sides = {*told["role_arn"].dropna(), *told["profile_arn"].dropna()}
        mine = found[found["resource_arn"].isin(sides) | found["related_arn"].isin(sides)]
        assert shown == set(zip(mine["check"], mine["detail"], strict=True))


def test_every_field_that_is_printed_is_in_its_frame(sample: Inventory) -> None:
    told = explain(sample, "AWSCloud9SSMInstanceProfile")
    assert str(Explanation("another", told.to_frame())) == str(told)
    words = " ".join(str(told).split())
    for field in told.to_frame()["field"]:
        assert field in words


def test_control_characters_never_reach_a_terminal(tmp_path: Path) -> None:
    inventory = account(
        tmp_path,
        profile("web", nested_role("web")),
        **{"instance-profile-tags/web.json": {"Tags": tag_list({"Owner": "\x1b[31mred\nnext"})}},
    )
    text = str(explain(inventory, "web"))
    assert "\x1b" not in text
    assert "\\x1b[31mred\\nnext" in text


def test_many_pairs_are_cut_in_text_and_whole_in_the_frame(tmp_path: Path) -> None:
    inventory = account(tmp_path, *(profile(f"p{n:02}", nested_role("web")) for n in range(12)))
    told = explain(inventory, "web")
    assert len(pairs(told)) == 12
    assert str(told).endswith("and 2 more pairs; to_frame() has all of them")


@pytest.fixture(scope="module")
def practice() -> Iterator[PracticeAccount]:
    with PracticeAccount() as one:
        iam = one.session().client("iam")
        for name in ("held", "free", "gone"):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust(EC2)))
        for name in ("held", "empty"):
            iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName="held", RoleName="held")
        yield one


@pytest.fixture(scope="module")
def told_before(practice: PracticeAccount) -> dict[str, Explanation]:
    """What is told of each of them before anything is deleted."""
    inventory = iamframe.load_account(practice.session(region_name="us-east-1"), regions=["us-east-1"])
    return {name: explain(inventory, name) for name in ("held", "empty", "free")}


@pytest.mark.parametrize(
    ("name", "resource", "delete"),
    [
        ("held", "the profile", "delete_instance_profile"),
        ("held", "the role", "delete_role"),
        ("empty", "the profile", "delete_instance_profile"),
        ("free", "the role", "delete_role"),
    ],
)
def test_deleting_is_answered_as_it_says(
    practice: PracticeAccount, told_before: dict[str, Explanation], name: str, resource: str, delete: str
) -> None:
    session = practice.session(region_name="us-east-1")
    (answer,) = [note for field, *_, note in said(told_before[name], "deleting") if field == resource]
    parameter = "RoleName" if delete == "delete_role" else "InstanceProfileName"
    refusal = refused(session, delete, parameter, name)
    assert answer == f"refused: {refusal}" if refusal else answer.startswith("accepted")


def refused(session: Any, operation: str, parameter: str, name: str) -> str | None:
    """Send a request, and return AWS's words where it was refused."""
    try:
        getattr(session.client("iam"), operation)(**{parameter: name})
    except ClientError as error:
        return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    return None


def test_a_profile_that_an_instance_names_can_be_deleted(practice: PracticeAccount) -> None:
    session = practice.session(region_name="us-east-1")
    iam, ec2 = session.client("iam"), session.client("ec2")
    iam.create_instance_profile(InstanceProfileName="used")
    iam.add_role_to_instance_profile(InstanceProfileName="used", RoleName="gone")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, IamInstanceProfile={"Name": "used"})
    iam.remove_role_from_instance_profile(InstanceProfileName="used", RoleName="gone")
    told = explain(iamframe.load_account(session, regions=["us-east-1"]), "used")
    assert [kind for kind, *_ in said(told, "used by")] == ["association", "instance", "looked for"]
    assert said(told, "deleting") == [("the profile", "", "", "accepted, whether or not an instance still names it")]
    (instance,) = [identifier for kind, _, identifier, _ in said(told, "used by") if kind == "instance"]
    lost = f"not offered: instance {instance} runs with it and would lose its credentials"
    assert said(told, "next")[-1] == ("delete the profile", "", "", lost)
    assert "delete-instance-profile" not in str(told)
    iam.delete_instance_profile(InstanceProfileName="used")


@pytest.mark.parametrize(("name", "deletes"), [("web", True), ("Web", True), ("web-profile", False), ("we", False)])
def test_it_says_whether_the_iam_console_deletes_the_profile_along_with_its_role(
    tmp_path: Path, name: str, deletes: bool
) -> None:
    """It does where both have the same name; the AWS CLI and the API do not (IAM User Guide)."""
    roles = (role_detail("web", [profile(name)]),)
    told = explain(account(tmp_path, profile(name, nested_role("web")), roles=roles), name)
    (note,) = {note for field, *_, note in said(told, "deleting") if field == "in the IAM console"}
    assert note.startswith("deleting the role there " + (f"deletes the profile {name} too" if deletes else "leaves"))
    assert ("the AWS CLI and the API" in note) == deletes


def test_what_the_iam_console_deletes_is_said_of_pairs_alone(tmp_path: Path) -> None:
    for one in (account(tmp_path / "empty", profile("web")), account(tmp_path / "alone", roles=(role_detail("web"),))):
        assert "in the IAM console" not in [field for field, *_ in said(explain(one, "web"), "deleting")]


@pytest.mark.parametrize(
    ("consumers", "lost"),
    [
        ([("i-1", "running")], "instance i-1 runs with it and would lose its credentials"),
        ([("i-1", "stopped")], "instance i-1 has it and would lose its credentials"),
        ([("i-1", "terminated")], None),
        (
            [(f"i-{number}", "running") for number in range(5)],
            "instances i-0, i-1, i-2 and 2 more run with it and would lose their credentials",
        ),
        (None, "launch-configuration lc names it and could start no instance"),
    ],
)
def test_what_takes_something_away_stands_last_and_is_not_offered_where_the_profile_is_used(
    tmp_path: Path, consumers: list[tuple[str, str]] | None, lost: str | None
) -> None:
    web = {"Name": "web", "Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/web", "Id": "AIPAWEB"}
    instances = [
        {"InstanceId": one, "State": {"Name": state}, "IamInstanceProfile": web} for one, state in consumers or []
    ]
    launch = {"LaunchConfigurations": [{"LaunchConfigurationName": "lc", "IamInstanceProfile": "web"}]}
    document = {"Reservations": [{"OwnerId": ACCOUNT, "Instances": instances}]} if consumers else launch
    told = explain(account(tmp_path, profile("web", nested_role("web")), **{"eu-west-1/used.json": document}), "web")
    steps = said(told, "next")
    assert [field for field, *_ in steps[-2:]] == ["take the role out", "delete the profile"]
    assert all("get-" in note or "list-" in note or field == "first make sure" for field, *_, note in steps[:-2])
    if lost:
        assert {note for *_, note in steps[-2:]} == {f"not offered: {lost}"}
    else:
        assert steps[-3][0] == "first make sure"
        assert steps[-1][3] == "aws iam delete-instance-profile --instance-profile-name=web"


def test_the_command_prints_it_and_exits_2_where_there_is_none() -> None:
    run = CliRunner().invoke(app, ["explain", "awscloud9ssmaccessrole", "sample"], standalone_mode=False)
    assert run.return_value == 0
    assert "instance-profile/cloud9/AWSCloud9SSMInstanceProfile" in run.stdout
    run = CliRunner().invoke(app, ["explain", "no-such-thing", "sample", "--format", "csv"], standalone_mode=False)
    assert run.return_value == 2
    assert '"not found","no-such-thing"' in run.stdout


def test_what_names_a_profile_with_another_path_is_told_before_its_deletion_is_offered(tmp_path: Path) -> None:
    """AWS does not say whether it takes such an ARN for the profile of that name."""
    data = {"IamInstanceProfile": {"Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/old/web"}}
    template = {"LaunchTemplateId": "lt-1", "VersionNumber": 1, "DefaultVersion": True, "LaunchTemplateData": data}
    told = explain(
        account(tmp_path, profile("web"), **{"versions.json": {"LaunchTemplateVersions": [template]}}), "web"
    )
    what, _, who, note = said(told, "used by")[0]
    assert (what, who) == ("launch-template", "lt-1")
    assert "/old/web" in note
    assert [field for field, *_ in said(told, "next")][-3:] == [
        "first make sure",
        "empty_profiles",
        "delete the profile",
    ]
