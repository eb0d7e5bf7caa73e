"""What CloudTrail tells: the lives of roles and profiles, in the order of cause, and where nothing was read."""

from __future__ import annotations

import csv
import functools
import gzip
import json
import os
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import boto3
import pandas as pd
import pytest
from builders import dump, profile, profile_list, role_detail, sample_result, write
from hypothesis import given
from hypothesis import strategies as st
from searching import searching
from test_snapshot import manifest, seal

import iamframe
from iamframe.errors import SourceError, WrongObjectError
from iamframe.inventory.inventory import Inventory

ACCOUNT = "111122223333"
ADA = f"arn:aws:iam::{ACCOUNT}:user/ada"
TERRAFORM = "APN/1.0 HashiCorp/1.0 Terraform/1.9.0 terraform-provider-aws/5.60.0 aws-sdk-go-v2/1.30.0"


def at(time: str) -> pd.Timestamp:
    return pd.Timestamp(f"2025-03-04T{time}Z")


def record(name: str, of: str, role: str | None = None, time: str = "10:00:00", **more: Any) -> dict[str, Any]:
    """A record of CloudTrail that IAM wrote; `of` is the role, or the profile that `role` is put into."""
    is_role = "Role" in name and "InstanceProfile" not in name
    request: dict[str, Any] = {"roleName": of} if is_role else {"instanceProfileName": of}
    response = None
    if name == "CreateRole":
        response = {"role": {"roleName": of, "arn": f"arn:aws:iam::{ACCOUNT}:role/app/{of}", "roleId": f"AROA{of}"}}
    if name == "CreateInstanceProfile":
        made = {"arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/{of}", "instanceProfileId": f"AIPA{of}"}
        response = {"instanceProfile": made | {"instanceProfileName": of, "createDate": "Mar 4, 2025 10:00:00 AM"}}
    if role:
        request["roleName"] = role
    return {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "arn": ADA, "accountId": ACCOUNT, "accessKeyId": "AKIAEXAMPLE"},
        "eventTime": f"2025-03-04T{time}Z",
        "eventSource": "iam.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": TERRAFORM,
        "requestParameters": request,
        "responseElements": response,
        "eventID": f"{name}-{of}-{role}-{time}",
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    } | more


def trail(*records: dict[str, Any]) -> dict[str, Any]:
    return {"Records": list(records)}


def lookup(*records: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What `aws cloudtrail lookup-events` prints."""
    events = [
        {"EventId": r["eventID"], "EventName": r["eventName"], "Username": "ada", "CloudTrailEvent": json.dumps(r)}
        for r in records
    ]
    return {"Events": events} | more


def load(folder: Path, *records: dict[str, Any], **files: Any) -> Inventory:
    documents = {f"{name}.json": content for name, content in files.items()}
    return iamframe.load_files(write(folder, documents | ({"trail.json": trail(*records)} if records else {})))


def told(inventory: Inventory) -> list[str]:
    """The events in the order of cause, in short."""
    events = inventory.events.sort_values("event_order")
    related = events["related_name"].fillna("").map(lambda name: f"/{name}" if name else "")
    return (events["event_name"] + " " + events["resource_name"] + related).tolist()


LIFE = (
    record("CreateRole", "web", time="10:00:00"),
    record("CreateInstanceProfile", "box", time="10:00:01", requestParameters={
        "instanceProfileName": "box", "tags": [{"key": "Team", "value": "secret"}, {"key": "Owner", "value": "x"}],
    }),
    record("AddRoleToInstanceProfile", "box", "web", time="10:00:02"),
    record("TagRole", "web", time="10:05:00", requestParameters={"roleName": "web", "tags": [{"key": "Owner"}]}),
    record("UpdateAssumeRolePolicy", "web", time="10:06:00"),
    record("RemoveRoleFromInstanceProfile", "box", "web", time="11:00:00"),
    record("DeleteInstanceProfile", "box", time="11:00:01"),
    record("DeleteRole", "web", time="11:00:02", userAgent="aws-cli/2.17.0 md/awscrt#0.20"),
)  # fmt: skip


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    """A trail with the life of a role and of a profile."""
    return load(tmp_path_factory.mktemp("life"), *LIFE)


def test_a_life_says_who_created_linked_and_deleted_a_role_and_a_profile_when_and_with_what(life: Inventory) -> None:
    lives = iamframe.history(life)
    assert lives["resource_name"].tolist() == ["web", "box"]
    assert lives["resource_type"].tolist() == ["role", "instance-profile"]
    assert lives["resource_arn"].tolist() == [
        f"arn:aws:iam::{ACCOUNT}:role/app/web",
        f"arn:aws:iam::{ACCOUNT}:instance-profile/box",
    ]
    assert lives["resource_id"].tolist() == ["AROAweb", "AIPAbox"]
    assert lives["created_at"].tolist() == [at("10:00:00"), at("10:00:01")]
    assert lives["deleted_at"].tolist() == [at("11:00:02"), at("11:00:01")]
    assert lives[["created_by", "deleted_by"]].eq(ADA).all(axis=None)
    assert lives[["created_with", "deleted_with"]].to_numpy().tolist() == [
        ["Terraform", "AWS CLI"],
        ["Terraform", "Terraform"],
    ]
    assert lives["related_names"].tolist() == ["box", "web"]
    assert lives["events"].tolist() == [6, 4]
    assert lives["covered_from_at"].tolist() == [at("10:00:00")] * 2
    assert lives["covered_to_at"].tolist() == [at("11:00:02")] * 2


def test_events_name_tag_keys_and_the_resource_that_each_is_of(life: Inventory) -> None:
    events = life.events
    assert events["event_order"].tolist() == list(range(8))
    assert events["tag_keys"].dropna().tolist() == ["Owner, Team", "Owner"]
    assert set(events["resource_arn"]) == {
        f"arn:aws:iam::{ACCOUNT}:role/app/web",
        f"arn:aws:iam::{ACCOUNT}:instance-profile/box",
    }
    assert events["related_arn"].dropna().tolist() == [f"arn:aws:iam::{ACCOUNT}:role/app/web"] * 2
    assert iamframe.events_of(life, name="BOX")["event_name"].tolist() == [
        "CreateInstanceProfile",
        "AddRoleToInstanceProfile",
        "RemoveRoleFromInstanceProfile",
        "DeleteInstanceProfile",
    ]
    of_role = iamframe.events_of(life, name=f"arn:aws:iam::{ACCOUNT}:role/app/web")
    assert len(of_role) == 6
    with pytest.raises(SourceError, match=r"holds no CloudTrail records of the account 444455556666, only of"):
        iamframe.events_of(life, name="arn:aws:iam::444455556666:role/app/web")


def test_nothing_is_kept_of_addresses_keys_tag_values_and_other_services_events(tmp_path: Path) -> None:
    secret = record("CreateUser", "evelyn", requestParameters={"userName": "evelyn", "password": "hunter2"})
    inventory = load(tmp_path, *LIFE, secret, record("ConsoleLogin", "x", eventSource="signin.amazonaws.com"))
    assert len(inventory.events) == 8
    text = "".join(frame.to_csv() for frame in inventory.frames.values())
    assert not [word for word in ("192.0.2.7", "AKIAEXAMPLE", "secret", "hunter2", "evelyn") if word in text]


def test_a_name_chooses_its_lives_and_none_is_an_empty_answer_of_what_was_read(life: Inventory) -> None:
    assert iamframe.history(life, name="WEB")["resource_name"].tolist() == ["web"]
    assert iamframe.history(life, name=f"arn:aws:iam::{ACCOUNT}:instance-profile/web").empty
    nobody = iamframe.history(life, name="nobody")
    assert nobody.empty
    assert nobody.dtypes.equals(iamframe.history(life).dtypes)


# The order of cause


@pytest.mark.parametrize("seed", range(8))
def test_within_one_second_the_order_is_that_of_cause_whatever_the_order_in_the_file(tmp_path: Path, seed: int) -> None:
    steps = [
        record("CreateRole", "web"),
        record("CreateInstanceProfile", "box"),
        record("AddRoleToInstanceProfile", "box", "web"),
        record("TagInstanceProfile", "box"),
        record("RemoveRoleFromInstanceProfile", "box", "web", time="11:00:00"),
        record("DeleteInstanceProfile", "box", time="11:00:00"),
        record("DeleteRole", "web", time="11:00:00"),
    ]
    random.Random(seed).shuffle(steps)
    order = told(load(tmp_path, *steps))
    assert set(order[:2]) == {"CreateRole web", "CreateInstanceProfile box"}
    assert order[2:] == [
        "AddRoleToInstanceProfile box/web",
        "TagInstanceProfile box",
        "RemoveRoleFromInstanceProfile box/web",
        "DeleteInstanceProfile box",
        "DeleteRole web",
    ]


def test_what_is_deleted_and_created_again_within_a_second_has_two_lives(tmp_path: Path) -> None:
    inventory = load(
        tmp_path,
        record("TagRole", "web", time="10:00:00"),
        record("TagRole", "web", time="10:00:01"),
        record("CreateRole", "web", time="10:00:01"),
        record("DeleteRole", "web", time="10:00:01"),
    )
    assert told(inventory) == ["TagRole web", "DeleteRole web", "CreateRole web", "TagRole web"]
    lives = iamframe.history(inventory)
    assert lives["life"].tolist() == [1, 2]
    assert lives["created_at"].isna().tolist() == [True, False]
    assert lives["deleted_at"].isna().tolist() == [False, True]
    # What the first life's ARN was nothing says: the second may lie on another path.
    assert lives["resource_arn"].isna().tolist() == [True, False]


def test_what_is_created_and_deleted_within_a_second_has_one_life(tmp_path: Path) -> None:
    inventory = load(tmp_path, record("DeleteRole", "web"), record("TagRole", "web"), record("CreateRole", "web"))
    assert told(inventory) == ["CreateRole web", "TagRole web", "DeleteRole web"]
    assert len(iamframe.history(inventory)) == 1


def test_what_the_inventory_shows_as_created_in_that_second_was_deleted_before(tmp_path: Path) -> None:
    still = role_detail("web", account=ACCOUNT, CreateDate="2025-03-04T10:00:00+00:00")
    inventory = load(tmp_path, record("DeleteRole", "web"), record("CreateRole", "web"), dump=dump(still))
    assert told(inventory) == ["DeleteRole web", "CreateRole web"]


def test_a_profile_gives_up_its_role_before_it_takes_another_in_the_same_second(tmp_path: Path) -> None:
    inventory = load(
        tmp_path,
        record("AddRoleToInstanceProfile", "box", "new", time="10:00:01"),
        record("RemoveRoleFromInstanceProfile", "box", "old", time="10:00:01"),
        record("AddRoleToInstanceProfile", "box", "old", time="10:00:00"),
    )
    assert told(inventory) == [
        "AddRoleToInstanceProfile box/old",
        "RemoveRoleFromInstanceProfile box/old",
        "AddRoleToInstanceProfile box/new",
    ]
    (box,) = iamframe.history(inventory, name="box")["related_names"]
    assert box == "old new"


def test_an_exchange_of_the_role_within_a_second_is_a_removal_and_then_a_link(tmp_path: Path) -> None:
    exchange = (record("AddRoleToInstanceProfile", "box", "new"), record("RemoveRoleFromInstanceProfile", "box", "old"))
    assert told(load(tmp_path, *exchange)) == [
        "RemoveRoleFromInstanceProfile box/old",
        "AddRoleToInstanceProfile box/new",
    ]


def test_a_role_that_is_unlinked_deleted_and_created_within_a_second_was_there_before(tmp_path: Path) -> None:
    steps = [
        record("CreateRole", "web"),
        record("DeleteRole", "web"),
        record("RemoveRoleFromInstanceProfile", "box", "web"),
    ]
    assert told(load(tmp_path, *steps)) == ["RemoveRoleFromInstanceProfile box/web", "DeleteRole web", "CreateRole web"]


class IAM:
    """The rules by which IAM lets a step pass, and the steps that it would let pass now."""

    def __init__(self) -> None:
        self.roles: set[str] = set()
        self.profiles: dict[str, str | None] = {}

    def takes(self, name: str, of: str, role: str | None) -> bool:
        return {
            "CreateRole": of not in self.roles,
            "DeleteRole": of in self.roles and of not in self.profiles.values(),
            "TagRole": of in self.roles,
            "CreateInstanceProfile": of not in self.profiles,
            "DeleteInstanceProfile": of in self.profiles and self.profiles.get(of) is None,
            "TagInstanceProfile": of in self.profiles,
            "AddRoleToInstanceProfile": of in self.profiles and self.profiles[of] is None and role in self.roles,
            "RemoveRoleFromInstanceProfile": of in self.profiles and self.profiles[of] == role,
        }[name]

    def do(self, name: str, of: str, role: str | None) -> None:
        if name == "CreateRole":
            self.roles.add(of)
        elif name == "DeleteRole":
            self.roles.remove(of)
        elif name == "DeleteInstanceProfile":
            del self.profiles[of]
        elif name in ("CreateInstanceProfile", "RemoveRoleFromInstanceProfile"):
            self.profiles[of] = None
        elif name == "AddRoleToInstanceProfile":
            self.profiles[of] = role


ROLES, PROFILES = ("r1", "r2"), ("p1", "p2")
STEPS = [
    *((name, role, None) for name in ("CreateRole", "DeleteRole", "TagRole") for role in ROLES),
    *((f"{name}InstanceProfile", p, None) for name in ("Create", "Delete", "Tag") for p in PROFILES),
    *((f"{n}InstanceProfile", p, r) for n in ("AddRoleTo", "RemoveRoleFrom") for p in PROFILES for r in ROLES),
]


@searching(60)
@given(data=st.data())
def test_any_history_that_iam_let_pass_is_put_into_one_that_it_would_have_let_pass(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    iam, second, records = IAM(), 0, []
    for number in range(data.draw(st.integers(1, 24))):
        name, of, role = data.draw(st.sampled_from([step for step in STEPS if iam.takes(*step)]))
        iam.do(name, of, role)
        second += data.draw(st.sampled_from((0, 0, 0, 1)))
        records.append(record(name, of, role, time=f"10:00:{second:02}", eventID=f"{number:02}"))
    shuffled = data.draw(st.permutations(records))
    events = load(tmp_path_factory.mktemp("trail"), *shuffled).events.sort_values("event_order")
    assert events["event_at"].is_monotonic_increasing
    again = IAM()
    for name, of, role in zip(events["event_name"], events["resource_name"], events["related_name"], strict=True):
        step = (name, of, role if isinstance(role, str) else None)
        assert again.takes(*step), (step, told(Inventory(**iamframe.load_sample().frames | {"events": events})))
        again.do(*step)
    assert (again.roles, again.profiles) == (iam.roles, iam.profiles)


def test_what_aws_refused_stays_with_its_error_and_is_no_part_of_a_life(tmp_path: Path) -> None:
    refused = record("DeleteRole", "web", time="10:30:00", errorCode="DeleteConflictException", eventID="refused")
    denied = record(
        "CreateRole", "other", errorCode="AccessDenied", requestParameters=None, responseElements=None, eventID="denied"
    )
    inventory = load(tmp_path, *LIFE, refused, denied)
    errors = inventory.events.set_index("event_id")["error_code"].dropna()
    assert errors.to_dict() == {"refused": "DeleteConflictException", "denied": "AccessDenied"}
    assert inventory.events.set_index("event_id")["resource_name"].isna().sum() == 1
    assert iamframe.history(inventory)["events"].tolist() == [6, 4]
    assert "refused" in iamframe.events_of(inventory, name="web")["event_id"].tolist()


def test_a_service_linked_role_is_named_by_the_answer_and_its_asked_for_deletion_is_none(tmp_path: Path) -> None:
    made = {"role": {"roleName": "AWSServiceRoleForX", "arn": f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/x/X"}}
    lives = iamframe.history(
        load(
            tmp_path,
            record(
                "CreateServiceLinkedRole",
                "x",
                requestParameters={"aWSServiceName": "x.amazonaws.com"},
                responseElements=made,
                userIdentity={"type": "AWSService", "invokedBy": "x.amazonaws.com"},
                userAgent="x.amazonaws.com",
            ),
            record("DeleteServiceLinkedRole", "AWSServiceRoleForX", time="12:00:00"),
        )
    )
    assert lives[["resource_name", "created_by", "created_with", "events"]].to_numpy().tolist() == [
        ["AWSServiceRoleForX", "x.amazonaws.com", "x.amazonaws.com", 2]
    ]
    assert lives["deleted_at"].isna().all()


@pytest.mark.parametrize(
    ("created", "both", "lives"),
    [
        ("Mar 4, 2025 10:00:00 AM", False, [("2025-03-04T10:00:00Z", ADA)]),
        ("Mar 4, 2025 10:00:01 AM", True, [("2025-03-04T10:00:00Z", ADA)]),
        # The role was there: whoever acquired it did not create it.
        ("Mar 3, 2025 10:00:00 AM", False, []),
        (None, False, []),
    ],
)
def test_a_role_of_a_template_has_its_birth_and_one_that_was_there_has_none(
    tmp_path: Path, created: str | None, both: bool, lives: list[tuple[str, str]]
) -> None:
    role = {"roleName": "shop", "arn": f"arn:aws:iam::{ACCOUNT}:role/shop", "roleId": "AROAshop", "createDate": created}
    template = {"templateArn": "arn:aws:iam::aws:role-template/Lambda"}
    acquired = record("AcquireRole", "x", requestParameters=template, responseElements={"role": role})
    denied = record("AcquireRole", "x", eventID="no", requestParameters=template, responseElements=None, errorCode="No")
    records = [acquired, denied]
    if both:
        records.append(record("CreateRole", "shop", responseElements={"role": role}))
    found = iamframe.history(load(tmp_path, *records))
    told = found[["created_at", "created_by"]].itertuples(index=False, name=None)
    assert [(f"{at:%Y-%m-%dT%H:%M:%SZ}", by) for at, by in told] == lives


# The user agent, and the tool. An unknown tool is not guessed.
AGENTS = {
    TERRAFORM: "Terraform",
    "stratus APN/1.0 HashiCorp/1.0 Terraform/1.1.2 aws-sdk-go/1.44.157 (go1.19.3; linux; amd64)": "Terraform",
    "APN/1.0 Pulumi/1.0 PulumiAWS/6.0 aws-sdk-go-v2/1.2": "Pulumi",
    "aws-cli/1.33.0 md/Botocore#1.34 Python/3.12": "AWS CLI",
    "Boto3/1.34 md/Botocore#1.34.0 ua/2.0 os/linux": "boto3",
    "aws-sdk-go-v2/1.30.0 os/linux lang/go#1.22": "aws-sdk-go-v2",
    "AWSPowerShell.Common/4.1.600 .NET_Core/8": "AWS Tools for PowerShell",
    "console.amazonaws.com": "console",
    "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0": "console",
    "cloudformation.amazonaws.com": "CloudFormation",
    "cloud9.amazonaws.com": "cloud9.amazonaws.com",
    "AWS Internal": "AWS",
    "home-made/1.0": "",
}


def test_the_tool_is_told_by_its_user_agent(tmp_path: Path) -> None:
    inventory = load(tmp_path, *(record("CreateRole", f"r{n:02}", userAgent=one) for n, one in enumerate(AGENTS)))
    assert inventory.events["user_agent"].tolist() == [*AGENTS]
    assert iamframe.history(inventory)["created_with"].fillna("").tolist() == [*AGENTS.values()]


# ARNs and ids


AGAIN = (
    record("CreateRole", "web", time="12:00:00", responseElements={
        "role": {"roleName": "web", "arn": f"arn:aws:iam::{ACCOUNT}:role/app/web", "roleId": "AROAother"},
    }),
    record("AddRoleToInstanceProfile", "new", "web", time="12:00:01"),
)  # fmt: skip


@pytest.mark.parametrize("turned", [False, True])
def test_a_unique_id_chooses_its_own_life_and_what_was_linked_in_it(tmp_path: Path, turned: bool) -> None:
    inventory = load(tmp_path, *LIFE, *AGAIN)
    case = str.lower if turned else str
    lives = iamframe.history(inventory, name=case("AROAweb"))
    assert lives[["resource_id", "deleted_at"]].to_numpy().tolist() == [["AROAweb", at("11:00:02")]]
    assert iamframe.events_of(tmp_path, name=case("AROAweb"))["event_name"].tolist() == [
        "CreateRole",
        "AddRoleToInstanceProfile",
        "TagRole",
        "UpdateAssumeRolePolicy",
        "RemoveRoleFromInstanceProfile",
        "DeleteRole",
    ]
    later = iamframe.events_of(inventory, name=case("AROAother"))
    assert (later["event_name"] + " " + later["resource_name"]).tolist() == [
        "CreateRole web",
        "AddRoleToInstanceProfile new",
    ]
    assert iamframe.history(inventory, name=case("AIPAbox"))["resource_name"].tolist() == ["box"]
    assert len(iamframe.events_of(inventory, name=case("AIPAbox"))) == 4
    assert iamframe.events_of(inventory, name="AROAnobody").empty


def test_of_a_role_that_was_only_linked_the_inventory_says_the_id(tmp_path: Path) -> None:
    web = role_detail("web", account=ACCOUNT, CreateDate="2025-03-04T09:00:00+00:00")
    inventory = load(tmp_path, LIFE[2], dump=dump(web))
    assert iamframe.events_of(inventory, name="AROAWEB")["event_name"].tolist() == ["AddRoleToInstanceProfile"]
    assert iamframe.history(inventory, name="AROAWEB")["resource_name"].tolist() == ["web"]


@pytest.mark.parametrize(
    ("arn", "number"),
    [
        (f"arn:aws:iam::{ACCOUNT}:role/app/web", 6),
        (f"ARN:aws:iam::{ACCOUNT}:Role/APP/Web", 6),
        (f"arn:aws:iam::{ACCOUNT}:role/web", 6),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/web/i-0abc", 6),
        ("app/web", 6),
        (f"arn:aws:iam::{ACCOUNT}:role/other/web", 0),
        (f"arn:aws-cn:iam::{ACCOUNT}:role/app/web", 0),
        (f"arn:aws:iam::{ACCOUNT}:user/app/web", 0),
        ("other/web", 0),
    ],
)
def test_an_arn_of_another_path_partition_or_type_is_another_resources(life: Inventory, arn: str, number: int) -> None:
    assert len(iamframe.events_of(life, name=arn)) == number
    assert len(iamframe.history(life, name=arn)) == bool(number)


def test_an_event_before_what_was_read_gets_the_arn_of_the_inventory_only_if_that_lived_then(tmp_path: Path) -> None:
    web = role_detail("web", account=ACCOUNT, path="/ops/", CreateDate="2025-03-04T10:00:00+00:00")
    box = profile("box", account=ACCOUNT, CreateDate="2025-03-04T10:00:00+00:00")
    events = load(
        tmp_path,
        record("TagRole", "web", time="09:00:00"),
        record("TagRole", "WEB", time="11:00:00"),
        record("TagInstanceProfile", "box", time="11:00:00"),
        record("TagRole", "gone", time="11:00:00"),
        dump=dump(web),
        profiles=profile_list(box),
    ).events.sort_values(["event_at", "resource_name"])
    rows = events[["resource_name", "resource_arn"]].astype(object).where(events.notna(), None).to_numpy().tolist()
    assert rows == [
        ["web", None],
        ["WEB", f"arn:aws:iam::{ACCOUNT}:role/ops/web"],
        ["box", f"arn:aws:iam::{ACCOUNT}:instance-profile/box"],
        ["gone", None],
    ]


# Files


def test_a_trails_packed_files_and_a_lookup_of_the_same_events_give_each_once(tmp_path: Path) -> None:
    folder = tmp_path / "AWSLogs" / ACCOUNT / "CloudTrail" / "us-east-1"
    for number, part in enumerate((LIFE[:5], LIFE[3:])):
        write(folder, {f"{number}.json.gz": gzip.compress(json.dumps(trail(*part)).encode())})
    digest = {"awsAccountId": ACCOUNT, "digestStartTime": "2025-03-04T10:00:00Z", "logFiles": []}
    write(tmp_path / "AWSLogs" / ACCOUNT / "CloudTrail-Digest", {"digest.json": digest})
    write(tmp_path, {"lookup-events.json": lookup(*LIFE[2:6])})
    inventory = iamframe.load_files(tmp_path)
    pd.testing.assert_frame_equal(inventory.events, load(tmp_path / "one", *LIFE).events)
    assert not inventory.gaps["reason"].isin(["unreadable", "truncated"]).any()


@searching(25)
@given(data=st.data())
def test_neither_the_order_of_records_nor_of_files_matters(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    records = [*LIFE, *(r | {"eventTime": "2025-03-04T10:00:00Z", "eventID": r["eventID"] + "2"} for r in LIFE)]
    split = data.draw(st.permutations(records))
    cut = data.draw(st.integers(1, len(split) - 1))
    files = {"a": trail(*split[:cut]), "b": trail(*split[cut:])}
    pd.testing.assert_frame_equal(
        load(tmp_path_factory.mktemp("two"), **files).events, load(tmp_path_factory.mktemp("one"), *records).events
    )


def test_a_list_of_records_without_anything_around_it_is_read(tmp_path: Path) -> None:
    assert told(load(tmp_path, records=list(LIFE))) == told(load(tmp_path / "as it is", *LIFE))


def test_a_lookup_says_nothing_of_what_it_leaves_out_and_is_truncated_where_there_is_more(tmp_path: Path) -> None:
    inventory = load(tmp_path, lookup=lookup(*LIFE, NextToken="eyJ"))
    assert len(inventory.events) == 8
    assert inventory.accounts[["events_from_at", "events_to_at"]].isna().all(axis=None)
    (gap,) = inventory.gaps[inventory.gaps["reason"] == "truncated"].to_dict("records")
    assert (gap["account_id"], gap["operation"]) == (ACCOUNT, "LookupEvents")
    assert iamframe.history(inventory)["covered_from_at"].isna().all()


def test_a_lookup_that_found_nothing_is_read_and_belongs_to_its_folder(tmp_path: Path) -> None:
    inventory = iamframe.load_files(write(tmp_path / ACCOUNT, {"lookup.json": lookup()}))
    assert inventory.accounts["account_id"].tolist() == [ACCOUNT]
    assert iamframe.history(inventory).empty


def test_files_with_other_events_alone_give_no_rows_and_no_gap_but_the_time_that_they_cover(tmp_path: Path) -> None:
    other = record("PutObject", "x", eventSource="s3.amazonaws.com", time="08:00:00")
    broken = record("PutObject", "x", eventSource="s3.amazonaws.com", requestParameters=7, userIdentity="?")
    inventory = load(tmp_path, other, broken)
    assert inventory.events.empty
    assert set(inventory.gaps["reason"]) == {"not_in_file"}
    assert inventory.accounts["events_from_at"].tolist() == [at("08:00:00")]
    assert inventory.accounts["events_to_at"].tolist() == [at("10:00:00")]
    assert iamframe.history(inventory).empty


def test_records_of_a_region_where_iam_writes_none_are_no_history(tmp_path: Path) -> None:
    other = record("RunInstances", "x", eventSource="ec2.amazonaws.com", awsRegion="eu-west-1")
    with pytest.raises(SourceError, match="holds no CloudTrail records of write management events in us-east-1, where"):
        iamframe.history(load(tmp_path, other))


@pytest.mark.parametrize("kind", [{"eventCategory": "Data"}, {"eventCategory": None, "managementEvent": False}])
def test_data_events_prove_nothing_about_iam(tmp_path: Path, kind: dict[str, Any]) -> None:
    data = record("GetObject", "x", eventSource="s3.amazonaws.com", time="08:00:00", **kind)
    with pytest.raises(SourceError, match="holds no CloudTrail records of write management events"):
        iamframe.history(load(tmp_path / "alone", data))
    (life,) = iamframe.history(load(tmp_path / "beside", data, record("CreateRole", "web"))).itertuples()
    assert life.covered_from_at == at("10:00:00")


@pytest.mark.parametrize(("read", "write"), [(True, False), ("true", "false")])
def test_read_events_prove_nothing_about_iam_because_a_trail_may_record_only_these(
    tmp_path: Path, read: object, write: object
) -> None:
    reads = [record("ListRoles", "x", time=time, readOnly=read) for time in ("08:00:00", "12:00:00")]
    with pytest.raises(SourceError, match="holds no CloudTrail records of write management events in us-east-1"):
        iamframe.history(load(tmp_path / "alone", *reads))
    (life,) = iamframe.history(
        load(tmp_path / "beside", *reads, record("CreateRole", "web", readOnly=write))
    ).itertuples()
    assert life.covered_from_at == life.covered_to_at == at("10:00:00")


def test_a_lookup_in_a_region_where_iam_writes_none_is_no_history(tmp_path: Path) -> None:
    other = record("RunInstances", "x", eventSource="ec2.amazonaws.com", awsRegion="eu-west-1")
    inventory = load(tmp_path / ACCOUNT, lookup=lookup(other), roles={"Roles": []})
    assert not inventory.events_read
    with pytest.raises(SourceError, match="holds no CloudTrail records of write management events"):
        iamframe.history(inventory)


def test_an_inventory_without_cloudtrail_has_no_history_and_says_so() -> None:
    sample = iamframe.load_sample()
    for look in (iamframe.history, functools.partial(iamframe.events_of, name="web")):
        with pytest.raises(SourceError, match=r"^sample: holds no CloudTrail records"):
            look(sample)
    assert "event" not in repr(sample)


def test_an_arn_of_an_account_without_records_has_no_empty_history(
    life: Inventory, cloudtrail: type[CloudTrail]
) -> None:
    elsewhere = "arn:aws:iam::444455556666:role/app/web"
    for source in (life, "aws"):
        with pytest.raises(SourceError, match=rf"no CloudTrail records of the account 444455556666, only of {ACCOUNT}"):
            iamframe.history(source, name=elsewhere)
    assert cloudtrail.asked == []


def test_insights_that_count_calls_are_no_calls(tmp_path: Path) -> None:
    counted = record("CreateRole", "web", eventCategory="Insight", eventID="insight")
    assert "insight" not in load(tmp_path, *LIFE, counted).events["event_id"].tolist()


def test_records_of_other_things_are_not_taken_for_cloudtrails(tmp_path: Path) -> None:
    s3 = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "eventTime": "2025-03-04T10:00:00Z"}
    rds = {"SourceIdentifier": "db", "Message": "DB instance created"}
    inventory = load(tmp_path, *LIFE, s3={"Records": [s3]}, rds={"Events": [rds]})
    unreadable = inventory.gaps[inventory.gaps["reason"] == "unreadable"]["facts"]
    (files,) = unreadable.map(lambda facts: json.loads(facts)["files"])
    assert [Path(file).name for file in files] == ["rds.json", "s3.json"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"eventID": None}, "has no eventID"),
        ({"eventTime": "yesterday"}, "has the eventTime 'yesterday', which is not a time"),
        ({"requestParameters": {"roleName": 7}}, "roleName: expected `str | null`, got `int`"),
        ({"eventName": ["CreateRole"]}, "eventName: expected `str | null`, got `array`"),
    ],
)
def test_a_record_that_cannot_be_understood_is_a_gap_and_the_others_are_read(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    inventory = load(tmp_path, record("TagRole", "bad", eventID="bad") | change, *LIFE)
    assert len(inventory.events) == 8
    (detail,) = inventory.gaps[inventory.gaps["reason"] == "unreadable"]["detail"]
    assert said in detail


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@searching(120)
@given(data=st.data())
def test_whatever_stands_in_records_they_are_read_or_are_gaps(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    records = []
    for one in data.draw(st.lists(st.sampled_from(LIFE), min_size=1, max_size=4)):
        fields = st.sampled_from(sorted(one))
        records.append(one | data.draw(st.dictionaries(fields, JSON, max_size=3)))
    junk = data.draw(st.lists(JSON, max_size=2))
    inventory = load(tmp_path_factory.mktemp("any"), whole=trail(*LIFE), other={"Records": [*records, *junk]})
    assert len(inventory.events) >= 8
    iamframe.history(inventory)
    assert not inventory.events.duplicated(["account_id", "event_id"]).any()


def test_a_large_file_gives_what_its_parts_give(tmp_path: Path) -> None:
    pad = record("PutObject", "x" * 1000, eventSource="s3.amazonaws.com")
    many = [pad] * 1500 + list(LIFE[:4]) + [pad] * 1500 + list(LIFE[4:]) + [pad] * 1500
    inventory = load(tmp_path, *many)
    assert (tmp_path / "trail.json").stat().st_size > 4 << 20
    pd.testing.assert_frame_equal(inventory.events, load(tmp_path / "small", *LIFE).events)


# Kept and shown


def test_a_snapshot_keeps_events_and_one_of_an_older_version_opens_without(tmp_path: Path) -> None:
    inventory = load(tmp_path / "files", *LIFE)
    folder = inventory.save(tmp_path / "saved")
    opened = iamframe.open_snapshot(folder)
    pd.testing.assert_frame_equal(opened.events, inventory.events)
    pd.testing.assert_frame_equal(iamframe.history(folder), iamframe.history(inventory))
    said = manifest(folder)
    del said["frames"]["events"]
    seal(folder, said)
    old = iamframe.open_snapshot(folder)
    assert old.events.empty
    assert old.events.dtypes.equals(inventory.events.dtypes)


def test_a_report_has_a_table_of_events_only_where_cloudtrail_was_read(tmp_path: Path) -> None:
    out = tmp_path / "out"
    iamframe.write_report(iamframe.run_checks(load(tmp_path / "files", *LIFE)), out)
    with (out / "events.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["event_name"] for row in csv.DictReader(file)] == [one["eventName"] for one in LIFE]
    assert json.loads((out / "summary.json").read_text("utf-8"))["rows"]["events"] == 8
    iamframe.write_report(sample_result(), out)
    assert not (out / "events.csv").exists()
    assert "events" not in json.loads((out / "summary.json").read_text("utf-8"))["rows"]


# Live


class CloudTrail(BaseHTTPRequestHandler):
    """Answers GetCallerIdentity, and LookupEvents with one event a page, or a refusal."""

    asked: ClassVar[list[tuple[str, dict[str, Any]]]] = []
    told: ClassVar[list[dict[str, Any]]] = [LIFE[0], LIFE[3], LIFE[7]]
    refusal: str | None = None

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        target = self.headers.get("X-Amz-Target", "")
        if not target:
            xml = (
                '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
                f"<Arn>{ADA}</Arn><UserId>AIDAEXAMPLE</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult>"
                "</GetCallerIdentityResponse>"
            )
            self.answer(200, xml.encode(), "text/xml")
            return
        parameters = json.loads(body)
        region = self.headers["Authorization"].split("/")[2]
        self.asked.append((f"{region} {target.rpartition('.')[2]}", parameters))
        if self.refusal:
            self.answer(400, json.dumps({"__type": self.refusal, "message": "no"}).encode())
            return
        page = int(parameters.get("NextToken", 0))
        more = {"NextToken": str(page + 1)} if page < len(self.told) - 1 else {}
        self.answer(200, json.dumps(lookup(self.told[page], **more)).encode())

    def answer(self, status: int, body: bytes, kind: str = "application/x-amz-json-1.1") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def cloudtrail(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[CloudTrail]]:
    handler = type("Handler", (CloudTrail,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield handler
    server.shutdown()
    server.server_close()


def test_a_live_account_is_asked_for_the_events_of_one_name_in_the_region_of_iam(cloudtrail: type[CloudTrail]) -> None:
    session = boto3.Session()
    events = iamframe.events_of(session, name=f"arn:aws:iam::{ACCOUNT}:role/app/web")
    assert events["event_name"].tolist() == ["CreateRole", "TagRole", "DeleteRole"]
    asked = {"LookupAttributes": [{"AttributeKey": "ResourceName", "AttributeValue": "web"}], "MaxResults": 50}
    assert cloudtrail.asked == [
        ("us-east-1 LookupEvents", asked),
        ("us-east-1 LookupEvents", asked | {"NextToken": "1"}),
        ("us-east-1 LookupEvents", asked | {"NextToken": "2"}),
    ]
    (life,) = iamframe.history("aws", name="web").to_dict("records")
    assert (life["created_at"], life["deleted_at"]) == (at("10:00:00"), at("11:00:02"))
    span = life["covered_to_at"] - life["covered_from_at"]
    assert pd.Timedelta(days=89) < span < pd.Timedelta(days=90)


@pytest.mark.parametrize("turned", [False, True])
def test_a_live_account_whose_role_was_acquired_while_it_was_there_loses_no_event(
    cloudtrail: type[CloudTrail], turned: bool
) -> None:
    role = {"roleName": "web", "arn": f"arn:aws:iam::{ACCOUNT}:role/app/web", "createDate": "Mar 3, 2025 10:00:00 AM"}
    acquired = record("AcquireRole", "web", responseElements={"role": role}, eventID="acquired")
    cloudtrail.told = [LIFE[0], acquired] if turned else [acquired, LIFE[0]]
    assert iamframe.events_of("aws", name="web")["event_name"].tolist() == ["CreateRole"]
    assert iamframe.history("aws", name="web")["created_at"].tolist() == [at("10:00:00")]


def test_whoever_may_not_look_up_events_is_told_what_to_allow(cloudtrail: type[CloudTrail]) -> None:
    cloudtrail.refusal = "AccessDeniedException"
    with pytest.raises(SourceError, match=r"^aws: may not look up .*; allow cloudtrail:LookupEvents in us-east-1"):
        iamframe.history("aws", name="web")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("InvalidAction", "what answers has no such look-up; load a trail's files instead"),
        ("InternalError", "run it again later"),
    ],
)
def test_a_look_up_that_is_not_there_is_not_to_be_tried_again(
    cloudtrail: type[CloudTrail], code: str, said: str
) -> None:
    cloudtrail.refusal = code
    with pytest.raises(SourceError, match=f"^aws: .* us-east-1 .{code}.*{said}$"):
        iamframe.history("aws", name="web")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"requestParameters": "hidden"}, "CloudTrailEvent: expected `object . null`, got `str`"),
        ({"eventTime": "yesterday"}, "CloudTrailEvent: has the eventTime 'yesterday', which is not a time"),
    ],
)
def test_an_event_of_a_live_account_that_cannot_be_read_is_an_error_in_one_sentence(
    cloudtrail: type[CloudTrail], change: dict[str, Any], why: str
) -> None:
    cloudtrail.told = [LIFE[0], LIFE[3] | change]
    with pytest.raises(SourceError, match=rf"^aws: CloudTrail returned an unreadable event \({why}\); load a trail's"):
        iamframe.history("aws", name="web")


def test_a_folder_that_is_not_there_is_said_not_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nonexist: there is no such file or folder"):
        iamframe.history(tmp_path / "nonexist")


def test_a_live_account_is_not_asked_for_everything(cloudtrail: type[CloudTrail]) -> None:
    with pytest.raises(SourceError, match=r"^aws: is looked up for one name; give name="):
        iamframe.history(boto3.Session())
    assert cloudtrail.asked == []


def test_a_live_account_is_not_asked_for_a_unique_id_because_a_deletion_does_not_show_it(
    cloudtrail: type[CloudTrail],
) -> None:
    said = "^aws: AROAEXAMPLEEXAMPLE123 is a unique id, but CloudTrail looks up names; give the name or the ARN$"
    with pytest.raises(SourceError, match=said):
        iamframe.history("aws", name="AROAEXAMPLEEXAMPLE123")
    assert cloudtrail.asked == []


def test_a_session_or_an_inventory_beside_another_source_is_refused_in_one_sentence(tmp_path: Path) -> None:
    said = "is not a file, folder or snapshot; pass only an inventory, only a boto3 session, or only files$"
    with pytest.raises(WrongObjectError, match=f"^Session: {said}"):
        iamframe.history(boto3.Session(), tmp_path, name="web")
    with pytest.raises(WrongObjectError, match=f"^Inventory: {said}"):
        iamframe.events_of(iamframe.load_sample(), tmp_path, name="web")
    with pytest.raises(WrongObjectError, match=f"^Result: {said}"):
        iamframe.history(sample_result())


# A real trail


def real() -> Path | None:
    places = [Path(os.environ["IAMFRAME_CASES"])] if os.environ.get("IAMFRAME_CASES") else []
    places += [parent / "shared" / "cases" for parent in Path(__file__).resolve().parents]
    return next((found for p in places if (found := p / "real" / "invictus-ir-aws_dataset").is_dir()), None)


@pytest.mark.skipif(real() is None, reason="the cases are not on this machine: name their folder in IAMFRAME_CASES")
def test_a_real_trail_gives_the_lives_of_three_profiles_and_thirteen_roles_in_order_of_cause() -> None:
    folder = real()
    assert folder is not None
    inventory = iamframe.load_files(folder)
    lives = iamframe.history(inventory)
    assert lives["resource_type"].value_counts().to_dict() == {"role": 13, "instance-profile": 3}
    assert lives[["created_at", "deleted_at", "resource_arn", "resource_id"]].notna().all(axis=None)
    assert (lives["created_at"] < lives["deleted_at"]).all()
    assert lives[["created_with", "deleted_with"]].eq("Terraform").all(axis=None)
    iam = IAM()
    events = inventory.events[~inventory.events["event_name"].str.startswith("Update")]
    for name, of, role in zip(events["event_name"], events["resource_name"], events["related_name"], strict=True):
        step = (name, of, role if isinstance(role, str) else None)
        assert iam.takes(*step), step
        iam.do(*step)
    assert not iam.roles
    assert not iam.profiles
    for name in lives[lives["resource_type"] == "instance-profile"]["resource_name"]:
        steps = iamframe.events_of(inventory, name=name)["event_name"].tolist()
        assert steps == [
            "CreateInstanceProfile",
            "AddRoleToInstanceProfile",
            "TagInstanceProfile",
            "RemoveRoleFromInstanceProfile",
            "DeleteInstanceProfile",
        ]
