"""Whom roles let in."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from builders import ACCOUNT, EC2, dump, load, nested_role, profile, profile_list, role_detail, trust
from checking import HOSTILE, covered, found, rows
from terraform import state_of, tf_role

from iamframe import run_checks

ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/"
PROFILE_ARN = f"arn:aws:iam::{ACCOUNT}:instance-profile/"
LAMBDA = trust("lambda.amazonaws.com")
CONDITIONAL = {
    "Statement": trust(EC2)["Statement"][0] | {"Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}}
}


def linked(name: str, policy: object) -> dict[str, Any]:
    return profile(name, nested_role(name, policy=policy))


def letting_in(*principals: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"AWS": list(principals)}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


# Profiles whose role does not let EC2 in


def test_a_profile_whose_role_trusts_another_service_is_found(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, {"p.json": profile_list(linked("etl", LAMBDA))}, "profiles_without_ec2_trust")
    assert (row["resource_arn"], row["related_arn"]) == (f"{PROFILE_ARN}etl", f"{ROLE_ARN}etl")
    assert (row["severity"], row["certainty"], row["resource_type"]) == ("high", "certain", "instance-profile")
    assert row["detail"] == "the profile's role etl trusts lambda.amazonaws.com, not EC2"
    assert row["next_step"] == "aws iam get-role --role-name=etl"


def test_a_role_that_names_ec2_but_does_not_let_it_assume_it_is_said_so(tmp_path: Path) -> None:
    policy = trust(EC2)
    policy["Statement"][0]["Action"] = "sts:TagSession"
    (row,) = rows(tmp_path, {"p.json": profile_list(linked("web", policy))}, "profiles_without_ec2_trust")
    assert row["detail"] == "the trust policy of the profile's role web names EC2, but does not allow sts:AssumeRole"


def test_a_role_that_trusts_no_service_is_said_so(tmp_path: Path) -> None:
    documents = {"p.json": profile_list(linked("etl", letting_in(f"arn:aws:iam::{ACCOUNT}:root")))}
    (row,) = rows(tmp_path, documents, "profiles_without_ec2_trust")
    assert row["detail"] == "the profile's role etl trusts no service"


@pytest.mark.parametrize(
    "policy",
    [
        trust(EC2),
        trust("lambda.amazonaws.com", EC2),
        json.dumps(trust(EC2)),
        CONDITIONAL,
        letting_in("*"),
        "<URL-encoded-JSON>",
        {},
    ],
)
def test_a_profile_whose_role_may_let_ec2_in_is_not(tmp_path: Path, policy: object) -> None:
    assert found(tmp_path, {"p.json": profile_list(linked("web", policy))}, "profiles_without_ec2_trust") == []


CHINA = trust("ec2.amazonaws.com.cn")


def test_chinas_name_of_ec2_is_ec2_in_china_alone(tmp_path: Path) -> None:
    # The same policy, in two partitions of one load.
    other = "000000000002"
    documents: dict[str, Any] = {f"{ACCOUNT}/p.json": profile_list(linked("web", CHINA), linked("both", trust(EC2)))}
    documents[f"{other}/p.json"] = profile_list(
        profile("web", nested_role("web", account=other, policy=CHINA), account=other),
        profile("both", nested_role("both", account=other), account=other),
    )
    china = json.loads(json.dumps(documents[f"{other}/p.json"]).replace("arn:aws:", "arn:aws-cn:"))
    inventory = load(tmp_path, documents | {f"{other}/p.json": china})
    said = dict(zip(inventory.roles["role_arn"], inventory.roles["trusts_ec2"], strict=True))
    assert said == {
        f"{ROLE_ARN}web": "no",
        f"{ROLE_ARN}both": "yes",
        f"arn:aws-cn:iam::{other}:role/web": "yes",
        f"arn:aws-cn:iam::{other}:role/both": "yes",
    }
    findings = run_checks(inventory, only=["profiles_without_ec2_trust"]).findings
    assert findings["resource_arn"].tolist() == [f"{PROFILE_ARN}web"]
    assert findings["detail"].tolist() == [
        "the profile's role web trusts ec2.amazonaws.com.cn, which is not EC2 in partition aws"
    ]


def test_a_role_that_has_no_arn_yet_is_not_said_to_shut_ec2_out_by_its_name_in_another_partition(
    tmp_path: Path,
) -> None:
    role = {"type": "aws_iam_role", "name": "a", "address": "aws_iam_role.a", "mode": "managed"}
    values = {"name": "a", "assume_role_policy": json.dumps(CHINA)}
    plan = {
        "format_version": "1.2",
        "terraform_version": "1.9.0",
        "planned_values": {"root_module": {"resources": [role | {"values": values}]}},
        "resource_changes": [],
    }
    inventory = load(tmp_path, {"plan.json": plan})
    assert inventory.roles["trusts_ec2"].tolist() == ["maybe"]


def test_a_role_in_no_profile_may_trust_whom_it_likes(tmp_path: Path) -> None:
    documents = {"d.json": dump(role_detail("etl", policy=LAMBDA))}
    assert found(tmp_path, documents, "profiles_without_ec2_trust") == []


@pytest.mark.parametrize(
    ("policies", "status", "says"),
    [
        ([trust(EC2), LAMBDA], "complete", ""),
        ([trust(EC2), "<JSON>"], "partial", "the trust policy of the role is unknown for 1 of 2 profiles with a role"),
        (["<JSON>", "<JSON>"], "unknown", "the trust policy of the role is unknown for 2 of 2 profiles with a role"),
        ([], "complete", ""),
    ],
)
def test_the_trust_behind_each_link_must_be_known(
    tmp_path: Path, policies: list[object], status: str, says: str
) -> None:
    links = [linked(f"p{number}", policy) for number, policy in enumerate(policies)]
    documents = {f"{ACCOUNT}/p.json": profile_list(*links)}
    said = covered(tmp_path, documents, "profiles_without_ec2_trust")
    assert said[0] == status
    assert says in said[1]
    assert bool(said[1]) == (status != "complete")


def test_the_next_step_hands_over_a_hostile_name_as_one_word(tmp_path: Path) -> None:
    documents = {"p.json": profile_list(*(linked(name, LAMBDA) for name in HOSTILE))}
    closed = rows(tmp_path, documents, "profiles_without_ec2_trust")
    steps = {row["related_name"]: shlex.split(row["next_step"]) for row in closed}
    assert steps == {name: ["aws", "iam", "get-role", f"--role-name={name}"] for name in HOSTILE}


# Trust in what was deleted


def test_a_role_that_trusts_a_deleted_role_is_found(tmp_path: Path) -> None:
    documents = {"d.json": dump(role_detail("partner", policy=letting_in("AROADBQP57FF2AEXAMPLE")))}
    (row,) = rows(tmp_path, documents, "deleted_trust_principals")
    assert (row["resource_arn"], row["related_arn"]) == (f"{ROLE_ARN}partner", None)
    assert (row["severity"], row["resource_type"], row["resource_name"]) == ("medium", "role", "partner")
    assert row["detail"] == "trusts a deleted principal: AROADBQP57FF2AEXAMPLE"
    assert row["next_step"] == "aws iam get-role --role-name=partner"


def test_several_deleted_principals_are_told_in_one_row(tmp_path: Path) -> None:
    policy = letting_in("AROAB", f"arn:aws:iam::{ACCOUNT}:root", "AIDAA")
    documents = {"d.json": dump(role_detail("a", policy=policy), role_detail("b"), role_detail("c", policy=policy))}
    details = {row["resource_name"]: row["detail"] for row in rows(tmp_path, documents, "deleted_trust_principals")}
    assert details == dict.fromkeys("ac", "trusts a deleted principal: AIDAA, AROAB")


@pytest.mark.parametrize(
    "policy",
    [
        letting_in(f"arn:aws:iam::{ACCOUNT}:role/AROAX"),
        letting_in(f"arn:aws:sts::{ACCOUNT}:assumed-role/x/AROADBQP57FF2AEXAMPLE"),
        trust("AROADBQP57FF2AEXAMPLE"),
        {"Statement": trust(EC2)["Statement"][0] | {"Condition": {"StringLike": {"aws:userid": "AROAEXAMPLE"}}}},
        "<URL-encoded-JSON>",
    ],
)
def test_ids_elsewhere_and_unread_policies_name_nobody_deleted(tmp_path: Path, policy: object) -> None:
    documents = {"d.json": dump(role_detail("a", policy=policy))}
    assert found(tmp_path, documents, "deleted_trust_principals") == []


@pytest.mark.parametrize(
    ("documents", "status", "says"),
    [
        ({"d.json": dump(role_detail("a"))}, "complete", ""),
        (
            {"d.json": dump(role_detail("a"), role_detail("b", policy="<J>"))},
            "partial",
            "policies are unknown for 1 of 2 roles",
        ),
        ({"d.json": dump(role_detail("a", policy="<J>"))}, "unknown", "policies are unknown for 1 of 1 role"),
        (
            {"p.json": profile_list(linked("a", LAMBDA))},
            "unknown",
            "roles without a profile were not collected",
        ),
        ({"r.json": {"Role": nested_role("a")}}, "partial", "the list of roles is incomplete"),
        ({"x.tfstate": state_of(tf_role("a"))}, "partial", "the list of roles is incomplete"),
    ],
)
def test_deleted_principals_need_the_trust_of_all_roles(
    tmp_path: Path, documents: dict[str, Any], status: str, says: str
) -> None:
    said = covered(tmp_path, documents, "deleted_trust_principals")
    assert said[0] == status
    assert says in said[1]
    assert bool(said[1]) == (status != "complete")
