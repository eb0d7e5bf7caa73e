"""Terraform against the account: each difference by its kind and no other, and what is unknown."""

from __future__ import annotations

import copy
import gzip
import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from accounts import EC2, ID, add
from accounts import load as load_live
from builders import ACCOUNT, dump, load, nested_role, profile, profile_list, role_detail, sample_result, write, zipped
from terraform import managed, plan, plan_resource, state, tf_profile, tf_role
from test_compare import both_lists, tagged

import iamframe
from iamframe.errors import SourceError
from iamframe.messages.text import DIFFERENCES
from iamframe.practice import PracticeAccount

Documents = dict[str, Any]
Row = tuple[str, ...]


def rows(drift: iamframe.Drift, *columns: str) -> list[Row]:
    """The rows of differences, by the columns named, missing values as None."""
    frame = drift.differences[list(columns)].astype(object)
    return list(frame.where(frame.notna(), None).itertuples(index=False, name=None))


def drifted(folder: Path, account: Documents, **states: Any) -> iamframe.Drift:
    """Terraform states against an account's files; a state is `NAME.tfstate`."""
    inventory = load(folder / "account", account)
    return iamframe.drift(inventory, write(folder / "states", {f"{n}.tfstate": one for n, one in states.items()}))


def whole(roles: list[dict[str, Any]], profiles: list[dict[str, Any]], **more: Any) -> Documents:
    """An account in which everything was read; `more` are tags of profiles by name."""
    names = [one["InstanceProfileName"] for one in profiles]
    files = [tagged(name, **more.get(name, {})) for name in names]
    return both_lists(roles, profiles) | {name: file for one in files for name, file in one.items()}


def of_role(**more: Any) -> dict[str, Any]:
    return managed("aws_iam_role", tf_role(**({"tags_all": {}} | more)))


def of_profile(**more: Any) -> dict[str, Any]:
    return managed("aws_iam_instance_profile", tf_profile(**({"tags_all": {}} | more)))


HELD = profile("web", nested_role("web"))
HOLDS_DB = profile("web", nested_role("db"))
WEB = role_detail("web", [HELD])
PAIR = whole([WEB], [HELD])
AWS_OWN = role_detail("AWSServiceRoleForX", path="/aws-service-role/x.amazonaws.com/")
IN_ROLE, IN_PROFILE = "aws_iam_role.this", "aws_iam_instance_profile.this"
IN_STATE = "in the Terraform state, it"
BEFORE_PLAN = {
    "format_version": "1.0",
    "values": {
        "root_module": {
            "resources": [
                plan_resource(IN_ROLE, tf_role(tags_all={"is updated by the plan": ""})),
                plan_resource(IN_PROFILE, tf_profile(tags_all={"a": "1"})),
            ]
        }
    },
}
CONTROLLED = {
    "arn": f"arn:aws:iam::{ACCOUNT}:role/web",
    "role_name": "web",
    "role_id": "AROAWEB",
    "path": "/",
    "tags": [{"key": "Team", "value": "dev"}],
}
CONTROLLED_PROFILE = {
    "arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/web",
    "instance_profile_name": "web",
    "path": "/",
    "roles": ["db"],
}


def plan_that(action: str) -> dict[str, Any]:
    """A plan that keeps the role and does something else to the profile."""
    change = {"actions": [action], "before": tf_profile(), "after_unknown": {}}
    resource_change = {"address": IN_PROFILE, "type": "aws_iam_instance_profile", "change": change}
    return plan(plan_resource("aws_iam_role.this", tf_role(tags_all={}))) | {"resource_changes": [resource_change]}


# What the account has, what the state has, and each difference: kind, name, address, value there and here, detail.
RULES: dict[str, tuple[Documents, dict[str, Any], list[tuple[str | None, ...]]]] = {
    "what is the same on both sides is no difference": (PAIR, state(of_role(), of_profile()), []),
    "what no state manages is unmanaged, if any state manages something in its account": (
        PAIR,
        state(of_role()),
        [("unmanaged", "web", None, None, None, "no given Terraform state manages this resource")],
    ),
    "a data source manages nothing": (
        PAIR,
        state(of_role(), managed("aws_iam_instance_profile", tf_profile(), "data")),
        [("unmanaged", "web", None, None, None, "no given Terraform state manages this resource")],
    ),
    "a state still manages a deposed instance": (
        PAIR,
        state(of_role(), managed("aws_iam_instance_profile", tf_profile(), deposed="0a1b2c3d")),
        [],
    ),
    "a plan with -target still manages what is outside of its target": (
        PAIR,
        plan(plan_resource(IN_ROLE, tf_role(tags_all={})), unknown={IN_ROLE: {}})
        | {"complete": False, "prior_state": BEFORE_PLAN},
        [("tags", "web", IN_PROFILE, "1", None, f"tag 'a' is missing in the account; {IN_STATE} is '1'")],
    ),
    "roles that AWS manages are left out": (whole([WEB, AWS_OWN], [HELD]), state(of_role(), of_profile()), []),
    "what a complete list lacks is gone": (
        whole([AWS_OWN], []),
        state(of_role(), of_profile()),
        [
            ("gone", "web", IN_PROFILE, None, None, "does not exist in the account"),
            ("gone", "web", IN_ROLE, None, None, "does not exist in the account"),
        ],
    ),
    "a profile lost the role that the state gives it": (
        whole([role_detail("web")], [profile("web")]),
        state(of_role(), of_profile()),
        [("role_lost", "web", IN_PROFILE, "web", None, f"holds no role; {IN_STATE} holds the role web")],
    ),
    "a profile holds another role": (
        whole([role_detail("web"), role_detail("db", [HOLDS_DB])], [HOLDS_DB]),
        state(of_role(), of_role(name="db", arn=f"arn:aws:iam::{ACCOUNT}:role/db", unique_id="AROADB"), of_profile()),
        [("other_role", "web", IN_PROFILE, "web", "db", f"holds the role db; {IN_STATE} holds the role web")],
    ),
    "a profile to which the state gives no role holds one": (
        PAIR,
        state(of_role(), of_profile(role=None)),
        [("other_role", "web", IN_PROFILE, None, "web", f"holds the role web; {IN_STATE} holds no role")],
    ),
    "names of roles have no case": (PAIR, state(of_role(), of_profile(role="WEB")), []),
    "a resource with another id was deleted and created again": (
        PAIR,
        state(of_role(unique_id="AROAOLD"), of_profile()),
        [
            (
                "recreated",
                "web",
                IN_ROLE,
                "AROAOLD",
                "AROAWEB",
                "was recreated: its id is AROAWEB; in the Terraform state, its id is AROAOLD",
            )
        ],
    ),
    "an id that somebody masked differs from nothing": (PAIR, state(of_role(unique_id="XXXXXX"), of_profile()), []),
    "another path is one difference, neither gone nor unmanaged nor recreated": (
        PAIR,
        state(
            of_role(), of_profile(arn=f"arn:aws:iam::{ACCOUNT}:instance-profile/x/WEB", path="/x/", unique_id="AIPAOLD")
        ),
        [("path", "web", IN_PROFILE, "/x/", "/", f"has the path /; {IN_STATE} has the path /x/")],
    ),
    "each key of a tag is a difference": (
        whole([role_detail("web", [HELD], {"Kept": "1", "Owner": "ops", "New": ""})], [HELD], web={"aws:x:y": "1"}),
        state(of_role(tags={"Owner": "x"}, tags_all={"Kept": "1", "Owner": "dev", "Old": "x"}), of_profile()),
        [
            ("tags", "web", IN_ROLE, None, "", f"tag 'New' is empty; {IN_STATE} is missing"),
            ("tags", "web", IN_ROLE, "x", None, f"tag 'Old' is missing in the account; {IN_STATE} is 'x'"),
            ("tags", "web", IN_ROLE, "dev", "ops", f"tag 'Owner' is 'ops'; {IN_STATE} is 'dev'"),
        ],
    ),
    "tags of AWS are left out, also if only the state has them": (
        PAIR,
        state(of_role(tags_all={"aws:cloudformation:stack-name": "web"}), of_profile()),
        [],
    ),
    "a provider without tags_all has its tags in tags": (
        PAIR,
        state(
            managed("aws_iam_role", tf_role(tags={"a": "1"})),
            managed("aws_iam_instance_profile", tf_profile(tags=None)),
        ),
        [("tags", "web", IN_ROLE, "1", None, f"tag 'a' is missing in the account; {IN_STATE} is '1'")],
    ),
    "a null tags_all beside tags is that of an older provider": (
        PAIR,
        state(
            managed("aws_iam_role", tf_role(tags={"a": "1"}, tags_all=None)),
            managed("aws_iam_instance_profile", tf_profile(tags=None, tags_all=None)),
        ),
        [("tags", "web", IN_ROLE, "1", None, f"tag 'a' is missing in the account; {IN_STATE} is '1'")],
    ),
    "a plan still manages what it is about to delete or to replace": (PAIR, plan_that("delete"), []),
    "a plan still manages what it is about to forget": (PAIR, plan_that("forget"), []),
    "a plan that destroys everything still manages it": (
        whole([WEB, role_detail("db")], [HELD]),
        plan()
        | {
            "resource_changes": [
                {
                    "address": address,
                    "type": kind,
                    "change": {"actions": ["delete"], "before": one, "after_unknown": {}},
                }
                for address, kind, one in (
                    (IN_ROLE, "aws_iam_role", tf_role()),
                    (IN_PROFILE, "aws_iam_instance_profile", tf_profile()),
                )
            ]
        },
        [("unmanaged", "db", None, None, None, "no given Terraform state manages this resource")],
    ),
    "the provider awscc manages a role, too": (
        PAIR,
        state(managed("awscc_iam_role", CONTROLLED), of_profile()),
        [
            (
                "tags",
                "web",
                "awscc_iam_role.this",
                "dev",
                None,
                f"tag 'Team' is missing in the account; {IN_STATE} is 'dev'",
            )
        ],
    ),
}
SHOWN = ("kind", "resource_name", "state_address", "state_value", "account_value", "detail")


@pytest.mark.parametrize(("account", "given", "expected"), RULES.values(), ids=RULES)
def test_these_are_the_differences(
    tmp_path: Path, account: Documents, given: dict[str, Any], expected: list[tuple[str | None, ...]]
) -> None:
    found = drifted(tmp_path, account, main=given)
    assert rows(found, *SHOWN) == expected
    assert (found.is_empty, found.is_complete) == (not expected, True)
    assert set(found.differences["state_file"].dropna()) <= {str(tmp_path / "states" / "main.tfstate")}


# What is unknown

NO_LINKS = both_lists([role_detail("web")], []) | {"profiles.json": profile_list(IsTruncated=True)}
UNTAGGED = {"dump.json": dump(WEB), "profiles.json": profile_list(HELD)}
NO_ROLE = {name: value for name, value in tf_profile(tags_all={}).items() if name != "role"}
WITHOUT_ROLE = {name: value for name, value in HELD.items() if name != "Roles"}
IN_FIRST_PLAN = {"arn": True, "unique_id": True, "role": True}
PLANNED = plan(
    plan_resource(IN_ROLE, tf_role(tags_all={})),
    plan_resource(IN_PROFILE, {"name": "web", "path": "/"}),
    unknown={IN_PROFILE: IN_FIRST_PLAN},
)
CHANGED = plan(
    plan_resource(IN_ROLE, tf_role(tags_all={})),
    plan_resource(IN_PROFILE, NO_ROLE | {"tags_all": {"a": "b"}}),
    unknown={IN_PROFILE: {"role": True, "tags_all": {"a": True}}},
)
PLAN = ("unknown", "web", "drift.unknown.planned")
MORE = ("unknown", None, "drift.unknown.more.profile")
UNKNOWN: dict[str, tuple[Documents, dict[str, Any], list[tuple[str | None, ...]]]] = {
    "nothing is gone from an incomplete list, nor from an account that was not collected": (
        NO_LINKS,
        state(of_role(), of_profile(), of_role(arn="arn:aws:iam::000000000009:role/web")),
        [("unknown", "web", "drift.unknown.list.profile"), MORE, ("unknown", "web", "drift.unknown.account")],
    ),
    "tags that were not collected do not differ": (
        UNTAGGED,
        state(of_role(), of_profile(tags_all={"a": "b"})),
        [("unknown", "web", "drift.unknown.tags")],
    ),
    "a role that was not collected is not lost": (
        {"roles.json": {"Roles": [nested_role("web")]}, "p.json": {"InstanceProfile": WITHOUT_ROLE | {"Tags": []}}},
        state(of_role(tags_all=None), of_profile()),
        [("unknown", "web", "drift.unknown.role"), ("unknown", "web", "drift.unknown.tags"), MORE],
    ),
    "what a state does not show does not differ": (
        PAIR,
        state(of_role(), managed("aws_iam_instance_profile", {k: v for k, v in NO_ROLE.items() if k != "tags_all"})),
        [("unknown", "web", "drift.unknown.state_role"), ("unknown", "web", "drift.unknown.state_tags")],
    ),
    "the provider awscc shows the role of a profile, and no tags": (
        PAIR,
        state(of_role(), managed("awscc_iam_instance_profile", CONTROLLED_PROFILE)),
        [("other_role", "web", "drift.other_role"), ("unknown", "web", "drift.unknown.state_tags")],
    ),
    "what a plan shows only once it is applied does not differ": (
        PAIR,
        CHANGED,
        [("unknown", "web", "drift.unknown.state_role"), ("unknown", "web", "drift.unknown.state_tags")],
    ),
    "what a plan is about to create is unknown, and what has its name is not managed yet": (
        PAIR,
        PLANNED,
        [("unmanaged", "web", "drift.unmanaged"), PLAN],
    ),
    "what is planned in the inventory too is not there yet": (
        {"plan.json": PLANNED},
        PLANNED,
        [PLAN, MORE, ("unknown", None, "drift.unknown.more.role"), ("unknown", None, "drift.unknown.source")],
    ),
    "a resource that a newer Terraform has not rewritten since 0.11 is unknown": (
        PAIR,
        state(of_role(), {**of_profile(), "instances": [{"attributes_flat": {"arn": HELD["Arn"]}}]}),
        [("unknown", "web", "drift.unknown.states"), ("unknown", None, "drift.unknown.unread")],
    ),
    "where a state is too old or encrypted, nothing is unmanaged": (
        PAIR,
        [state(of_role()), {"version": 3, "lineage": "l", "modules": []}],
        [("unknown", "web", "drift.unknown.states"), ("unknown", None, "drift.unknown.unread")],
    ),
    "where a state could not be read in full, nothing is unmanaged": (
        PAIR,
        state(of_role(), of_profile(role=5)),
        [("unknown", "web", "drift.unknown.states"), ("unknown", None, "drift.unknown.unread")],
    ),
}


@pytest.mark.parametrize(("account", "given", "expected"), UNKNOWN.values(), ids=UNKNOWN)
def test_this_is_unknown_and_no_difference(
    tmp_path: Path, account: Documents, given: dict[str, Any], expected: list[tuple[str | None, ...]]
) -> None:
    found = drifted(tmp_path, account, main=given)
    assert rows(found, "kind", "resource_name", "message") == expected


# Accounts, addresses, plans


def test_tags_from_an_index_that_lags_are_neither_equal_nor_different(tmp_path: Path) -> None:
    account = load(tmp_path / "account", whole([WEB], [HELD], web={"Owner": "ops"}))
    lagging = replace(account, tags=account.tags.assign(tag_source="GetResources"))
    states = write(tmp_path / "states", {"a.tfstate": state(of_role(), of_profile(tags_all={"Owner": "dev"}))})
    found = iamframe.drift(lagging, states)
    assert rows(found, "kind", "resource_name", "message") == [("unknown", "web", "drift.unknown.index_tags")]
    assert not found.is_complete
    assert rows(iamframe.drift(account, states), "kind") == [("tags",)]


def test_accounts_in_which_the_states_manage_nothing_are_left_out_and_said(tmp_path: Path) -> None:
    other = "000000000002"
    files = {f"{ACCOUNT}/{name}": document for name, document in whole([WEB, role_detail("db")], [HELD]).items()} | {
        f"{other}/list-instance-profiles.json": profile_list(profile("left", account=other))
    }
    found = drifted(tmp_path, files, main=state(of_role(), of_profile()))
    assert rows(found, "kind", "account_id", "resource_name") == [("unmanaged", ACCOUNT, "db")]
    assert found.left_out == (other,)
    left_out = "1 account not compared, because the given Terraform states have no roles or instance profiles there"
    assert found.sentence == f"1 resource is managed by none of the given Terraform states. {left_out}"


def test_other_files_of_a_repository_leave_nothing_unknown(tmp_path: Path) -> None:
    inventory = load(tmp_path / "account", whole([WEB, role_detail("db")], [HELD]))
    states = {"main.tfstate": state(of_role(), of_profile()), "empty.json": {"format_version": "1.0"}}
    others = {"package.json": {"name": "x"}, "a.ipynb": {"cells": []}, "containers.json": [{"name": "web"}]}
    found = iamframe.drift(inventory, write(tmp_path / "repository", states | others))
    assert rows(found, "kind", "resource_name") == [("unmanaged", "db")]
    assert found.is_complete


def test_a_file_that_was_given_and_is_no_state_leaves_the_unmanaged_unknown(tmp_path: Path) -> None:
    inventory = load(tmp_path / "account", whole([WEB, role_detail("db")], [HELD]))
    folder = write(tmp_path, {"main.tfstate": state(of_role(), of_profile()), "plan.json": {"type": "planned_change"}})
    found = iamframe.drift(inventory, folder / "main.tfstate", folder / "plan.json")
    assert rows(found, "kind", "resource_name") == [("unknown", "db"), ("unknown", None)]


def test_an_empty_state_says_nothing_of_any_account(tmp_path: Path) -> None:
    found = drifted(tmp_path, PAIR, main=state())
    assert (len(found.differences), found.left_out) == (0, (ACCOUNT,))
    assert not found.is_complete
    left_out = "1 account not compared, because the given Terraform states have no roles or instance profiles there"
    assert found.sentence == left_out


@pytest.mark.parametrize(
    ("more", "address"),
    [
        ({}, "aws_iam_role.this"),
        ({"index_key": 3}, "aws_iam_role.this[3]"),
        ({"index_key": 'a"b'}, 'aws_iam_role.this["a\\"b"]'),
    ],
)
@pytest.mark.parametrize("module", ["", 'module.a["x"].module.b[0]'])
def test_a_row_has_the_address_as_terraform_writes_it(
    tmp_path: Path, more: dict[str, Any], address: str, module: str
) -> None:
    held = managed("aws_iam_role", tf_role("gone"), **more) | ({"module": module} if module else {})
    (row,) = rows(drifted(tmp_path, whole([AWS_OWN], []), main=state(held)), "kind", "state_address")
    assert row == ("gone", f"{module}.{address}" if module else address)


def test_workspaces_are_several_files_and_the_row_says_which(tmp_path: Path) -> None:
    found = drifted(tmp_path, whole([AWS_OWN], []), dev=state(of_role()), prod=state(of_role()))
    assert [Path(file).stem for (file,) in rows(found, "state_file")] == ["dev", "prod"]


@pytest.mark.parametrize("name", ["network", "network.gz", "all.zip"])
def test_a_state_in_a_folder_needs_no_suffix(tmp_path: Path, name: str) -> None:
    text = json.dumps(state(of_profile())).encode()
    file = {"network": text, "network.gz": gzip.compress(text), "all.zip": zipped({"network": text})}[name]
    states = write(tmp_path / "s", {"shop.tfstate": state(of_role()), name: file, "LICENSE": "MIT"})
    assert rows(iamframe.drift(load(tmp_path / "account", PAIR), states), "kind", "detail") == []


def test_a_drift_never_becomes_part_of_the_inventory(tmp_path: Path) -> None:
    inventory = load(tmp_path / "account", PAIR)
    before = {name: frame.copy() for name, frame in inventory.frames.items()}
    iamframe.drift(iamframe.run_checks(inventory), write(tmp_path / "s", {"s.tfstate": state(of_role(name="other"))}))
    assert all(frame.equals(before[name]) for name, frame in inventory.frames.items())


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (None, "no Terraform state given; give a state file"),
        ({"dump.json": dump(WEB)}, "holds no Terraform state; give a state file (version 4)"),
        ({"s.tfstate": state() | {"version": 3}}, "version"),
    ],
)
def test_without_a_state_nothing_is_compared(tmp_path: Path, files: Documents | None, says: str) -> None:
    states = [] if files is None else [write(tmp_path / "s", files)]
    with pytest.raises(SourceError, match=re.escape(says)):
        iamframe.drift(load(tmp_path / "account", PAIR), *states)


# As it is shown


def test_the_states_of_the_sample_show_each_kind_of_difference() -> None:
    found = iamframe.drift(sample_result(), "sample:terraform")
    kinds = found.differences.groupby("kind", sort=False)["resource_name"].agg(set)
    assert list(kinds.index) == [*DIFFERENCES, "unknown"]
    assert {kind: kinds[kind] for kind in kinds.index if kind != "unmanaged"} == {
        "role_lost": {"staging-web"},
        "other_role": {"blue"},
        "gone": {"fax-gateway"},
        "recreated": {"monitoring"},
        "path": {"cache"},
        "tags": {"batch", "mail"},
        "unknown": {"erp"},
    }
    assert found.left_out == ("444455556666",)
    assert found.summary.set_index("kind").loc["gone"].tolist() == [1, 1]
    assert found.only("gone").differences["kind"].unique().tolist() == ["gone", "unknown"]
    shown = found._repr_html_()
    assert "1 profile lost its role" in shown
    assert "more rows, in .differences" in shown
    assert repr(found) == f"Drift({found.sentence})"
    assert found.to_frame("ja")["detail"].iloc[0] == "ロールが入っていません (ステートでは web)"


# Many differences, made by code that knows nothing of how they are found


class World:
    """Pairs of a role and a profile, as AWS and as Terraform have them; each change is of one pair alone."""

    def __init__(self, seed: int, pairs: int) -> None:
        self.random = random.Random(seed)
        self.made: list[tuple[str, str, str | None]] = []
        # No change touches this role but by giving it to a profile.
        self.roles: dict[str, dict[str, Any]] = {"spare": {"path": "/", "tags": {}, "id": "19999999"}}
        self.profiles: dict[str, dict[str, Any]] = {}
        for number in range(pairs):
            path = self.random.choice(("/", "/team/", "/a/b/"))
            tags = {"Owner": self.random.choice("xyz"), "n": str(number)}
            there = {"path": path, "tags": tags, "id": f"1{number:07d}"}
            self.roles[f"app-{number}"] = there
            held = None if number % 5 == 0 else f"app-{number}"
            self.profiles[f"app-{number}"] = there | {"role": held, "tags": dict(tags)}
        self.stated = copy.deepcopy({"role": self.roles, "instance-profile": self.profiles})
        self.there = {"role": self.roles, "instance-profile": self.profiles}
        self.left = list(range(pairs))
        self.random.shuffle(self.left)

    def change(self) -> None:
        number = self.left.pop()
        name, is_lone = f"app-{number}", number % 5 == 0
        # Nothing else depends on a role that is in no profile, or on a profile.
        kind = self.random.choice(("role", "instance-profile") if is_lone else ("instance-profile",))
        ways: list[Callable[[str, str], tuple[str, str | None]]] = [
            *(self.unmanage, self.lose, self.again, self.move, self.tag, self.untag, self.retag),
            *([self.give] if is_lone and kind == "instance-profile" else []),
            *([self.empty, self.give] if not is_lone else []),
        ]
        difference, key = self.random.choice(ways)(kind, name)
        self.made.append((difference, f"{kind} {name}", key))

    def unmanage(self, kind: str, name: str) -> tuple[str, None]:
        del self.stated[kind][name]
        return "unmanaged", None

    def lose(self, kind: str, name: str) -> tuple[str, None]:
        del self.there[kind][name]
        return "gone", None

    def again(self, kind: str, name: str) -> tuple[str, None]:
        self.there[kind][name]["id"] = f"9{name[4:]:0>7}"
        return "recreated", None

    def move(self, kind: str, name: str) -> tuple[str, None]:
        self.there[kind][name] |= {"path": "/moved/", "id": f"9{name[4:]:0>7}"}
        return "path", None

    def tag(self, kind: str, name: str) -> tuple[str, str]:
        self.there[kind][name]["tags"] = self.there[kind][name]["tags"] | {"Added": ""}
        return "tags", "Added"

    def untag(self, kind: str, name: str) -> tuple[str, str]:
        self.there[kind][name]["tags"] = {"Owner": self.there[kind][name]["tags"]["Owner"]}
        return "tags", "n"

    def retag(self, kind: str, name: str) -> tuple[str, str]:
        self.there[kind][name]["tags"] = self.there[kind][name]["tags"] | {"Owner": "somebody else"}
        return "tags", "Owner"

    def empty(self, _: str, name: str) -> tuple[str, None]:
        self.profiles[name]["role"] = None
        return "role_lost", None

    def give(self, _: str, name: str) -> tuple[str, None]:
        self.profiles[name]["role"] = "spare"
        return "other_role", None

    def account(self) -> Documents:
        """The account as the AWS CLI prints it, with things that are nobody's difference."""
        held = {
            name: profile(
                name,
                one["role"] and nested_role(one["role"], self.path_of(one["role"]), RoleId=self.id_of(one["role"])),
                one["path"],
                InstanceProfileId=f"AIPA{one['id']}",
            )
            for name, one in self.profiles.items()
        }
        roles = [
            role_detail(
                name,
                [held[p] for p, of in self.profiles.items() if of["role"] == name],
                one["tags"] | {"aws:reserved": "1"},
                path=one["path"],
                RoleId=f"AROA{one['id']}",
            )
            for name, one in self.roles.items()
        ]
        tags = {name: one["tags"] for name, one in self.profiles.items()}
        return whole([*roles, AWS_OWN], list(held.values()), **tags)

    def path_of(self, role: str) -> str:
        return str(self.roles[role]["path"])

    def id_of(self, role: str) -> str:
        return f"AROA{self.roles[role]['id']}"

    def states(self) -> Documents:
        """What Terraform manages, in two states and the output of `terraform show -json`."""
        parts: tuple[list[dict[str, Any]], ...] = ([], [], [])
        for kind, resources in self.stated.items():
            for number, (name, one) in enumerate(resources.items()):
                of_kind = "aws_iam_role" if kind == "role" else "aws_iam_instance_profile"
                values = {
                    "arn": f"arn:aws:iam::{ACCOUNT}:{kind}{one['path']}{name}",
                    "name": name,
                    "path": one["path"],
                    "unique_id": ("AROA" if kind == "role" else "AIPA") + one["id"],
                    "tags_all": one["tags"],
                } | ({} if kind == "role" else {"role": one["role"]})
                address = f'{of_kind}.this["{name}"]'
                shown = {"address": address, "mode": "managed", "type": of_kind, "name": "this", "values": values}
                parts[number % 3].append(shown if number % 3 == 2 else managed(of_kind, values, index_key=name))
        shown_json = {"format_version": "1.0", "values": {"root_module": {"resources": parts[2]}}}
        return {"dev.tfstate": state(*parts[0]), "prod.tfstate": state(*parts[1]), "shown.json": shown_json}


@pytest.mark.parametrize("seed", range(3))
def test_of_40_random_differences_among_300_resources_each_is_named_and_no_other(tmp_path: Path, seed: int) -> None:
    world = World(seed, 150)
    for _ in range(40):
        world.change()
    inventory = load(tmp_path / "account", world.account())
    found = iamframe.drift(inventory, write(tmp_path / "states", world.states()))
    named = [
        (kind, f"{of} {name}", key)
        for kind, of, name, key in rows(found, "kind", "resource_type", "resource_name", "tag_key")
    ]
    assert sorted(named, key=str) == sorted(world.made, key=str)
    assert len({kind for kind, _, _ in named}) >= 6
    address = found.differences["state_address"]
    assert (address.isna() == (found.differences["kind"] == "unmanaged")).all()
    assert address.dropna().str.contains("this[", regex=False).all()


def test_changes_of_a_live_account_since_terraform_are_named_and_no_other(
    tmp_path: Path, account: PracticeAccount
) -> None:
    truth = account.fill(roles=30, profiles=30)
    iam = account.session().client("iam")
    ids = {one["RoleName"]: one["RoleId"] for one in iam.list_roles()["Roles"]}
    resources = []
    for kind, of in (("role", "roles"), ("instance-profile", "profiles")):
        for name, one in truth[of].items():
            values = {"arn": f"arn:aws:iam::{ID}:{kind}{one['path']}{name}", "name": name, "path": one["path"]}
            values |= {"tags_all": one["tags"], "role": one["role"]} if kind != "role" else {"tags_all": one["tags"]}
            values |= {"unique_id": ids[name]} if kind == "role" else {}
            resources.append(managed(f"aws_iam_{kind.replace('-', '_')}", values))
    states = write(tmp_path, {"s.tfstate": state(*resources)})
    assert iamframe.drift(load_live(account), states).sentence == "no differences"
    full = [name for name, one in truth["profiles"].items() if one["role"]]
    emptied, deleted, tagged_, moved = full[:4]
    for name in (emptied, deleted, moved):
        iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=truth["profiles"][name]["role"])
    iam.delete_instance_profile(InstanceProfileName=deleted)
    iam.tag_instance_profile(InstanceProfileName=tagged_, Tags=[{"Key": "By", "Value": "hand"}])
    iam.add_role_to_instance_profile(InstanceProfileName=moved, RoleName=truth["profiles"][emptied]["role"])
    lone = next(name for name in truth["roles"] if name not in {one["role"] for one in truth["profiles"].values()})
    iam.delete_role(RoleName=lone)
    iam.create_role(RoleName=lone, Path=truth["roles"][lone]["path"], AssumeRolePolicyDocument=EC2)
    add(account, "by-hand", "by-hand")
    found = iamframe.drift(load_live(account), states)
    assert set(rows(found, "kind", "resource_type", "resource_name")) == {
        ("role_lost", "instance-profile", emptied),
        ("other_role", "instance-profile", moved),
        ("gone", "instance-profile", deleted),
        ("tags", "instance-profile", tagged_),
        ("recreated", "role", lone),
        *(("tags", "role", lone) for _ in truth["roles"][lone]["tags"]),
        ("unmanaged", "role", "by-hand"),
        ("unmanaged", "instance-profile", "by-hand"),
    }
    account.deny("ListInstanceProfiles")
    denied = iamframe.drift(load_live(account), states).differences
    assert not ((denied["kind"] == "gone") & (denied["resource_type"] == "instance-profile")).any()
    assert deleted in set(denied["resource_name"][denied["kind"] == "unknown"])
