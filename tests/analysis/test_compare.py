"What changed between two loads, each change by its name and no other, and what could not be compared."

from __future__ import annotations

import csv
import io
import json
import os
import random
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from accounts import EC2, ID, TRUST, add
from accounts import load as load_live
from builders import ACCOUNT, dump, identity, load, nested_role, profile, profile_list, role_detail, tag_list, trust
from builders import EC2 as EC2_SERVICE
from commands import run
from hypothesis import assume, given
from searching import searching
from shapes import broken_worlds
from terraform import plan, plan_resource, state_of_profile
from test_properties import folder_of, loaded

import iamframe
from iamframe.checks.findings import Found
from iamframe.inventory import schema
from iamframe.knowledge.operations import REQUIRED_TAGS, TAG_POLICY
from iamframe.practice import PracticeAccount
from iamframe.ui.output import not_compared

# Each is made on resources of its own. To make more: `IAMFRAME_CHANGES=1000 pytest tests/analysis/test_compare.py`.
MADE = int(os.environ.get("IAMFRAME_CHANGES", "60"))
EKS = TRUST % "eks.amazonaws.com"

Row = tuple[str, str, str | None]


def rows(changes: iamframe.Changes, *names: str) -> list[tuple[Any, ...]]:
    """The rows of changes, by the columns named, missing values as None."""
    frame = changes.changes[list(names or ("change", "resource_name", "what"))].astype(object)
    return list(frame.where(frame.notna(), None).itertuples(index=False, name=None))


class Hand:
    """Makes one random change after the other, each on resources that no other touches, and notes what it did."""

    def __init__(self, account: PracticeAccount, truth: dict[str, dict[str, Any]], seed: int) -> None:
        self.iam = account.session().client("iam")
        self.random = random.Random(seed)
        self.truth = {"role": truth["roles"], "instance-profile": truth["profiles"]}
        self.holds = {name: one["role"] for name, one in truth["profiles"].items()}
        held = set(self.holds.values())
        self.free = sorted(truth["roles"].keys() - held)
        self.held = sorted(held - {None})
        self.full = sorted(name for name, role in self.holds.items() if role)
        self.empty = sorted(name for name, role in self.holds.items() if not role)
        for names in (self.free, self.held, self.full, self.empty):
            self.random.shuffle(names)
        self.made: list[Row] = []
        self.number = 0

    def make(self, count: int) -> None:
        while len(self.made) < count:
            with suppress(IndexError):
                self.random.choice(CHANGES)(self)

    def note(self, change: str, kind: str, name: str, path: str | None = None, what: str | None = None) -> None:
        where = path or self.truth[kind][name]["path"]
        self.made.append((change, f"arn:aws:iam::{ID}:{kind}{where}{name}", what))

    def new(self, *paths: str) -> tuple[str, str]:
        """A name that nothing has, and a path."""
        self.number += 1
        return f"{self.random.choice(('web', 'etl', 'x+y=,.@-'))}-made-{self.number}", self.random.choice(paths)

    def taken(self, *names: list[str]) -> str:
        """A resource that nothing was done to, off one of these lists; IndexError where all are used up."""
        return self.random.choice([some for some in names if some]).pop()

    def sometimes(self) -> bool:
        return self.random.random() < 0.5

    def link(self, name: str, role: str) -> None:
        self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)

    def unlink(self, name: str) -> str:
        """Take the role out of a profile, if it holds one, and return it."""
        if role := self.holds[name]:
            self.iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)
        return str(role)

    # Roles: those that are in no profile, or any

    def create_role(self) -> None:
        name, path = self.new("/", "/made/", "/a/b/")
        self.iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=EC2, Tags=[{"Key": "T", "Value": "v"}])
        self.note("created", "role", name, path)

    def delete_role(self) -> None:
        name = self.taken(self.free)
        self.iam.delete_role(RoleName=name)
        self.note("deleted", "role", name)

    def recreate_role(self) -> None:
        name = self.taken(self.free)
        path = self.random.choice((self.truth["role"][name]["path"], "/elsewhere/"))
        self.iam.delete_role(RoleName=name)
        self.iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=EKS)
        self.note("recreated", "role", name, path)

    def change_trust(self) -> None:
        name = self.taken(self.free, self.held)
        other = TRUST % self.random.choice(("lambda.amazonaws.com", "ecs-tasks.amazonaws.com"))
        self.iam.update_assume_role_policy(RoleName=name, PolicyDocument=other)
        self.note("trust_changed", "role", name)

    def say_the_same_trust(self) -> None:
        """No change: the same policy, its keys in another order and its one service in a list."""
        name = self.taken(self.held)
        principal = {"Service": [self.truth["role"][name]["trusts"]]}
        statement = {"Action": ["sts:AssumeRole"], "Effect": "Allow", "Principal": principal}
        document = {"Statement": statement, "Version": "2012-10-17"}
        self.iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(document))

    def change_session(self) -> None:
        name = self.taken(self.free, self.held)
        self.iam.update_role(RoleName=name, MaxSessionDuration=7200)
        self.note("changed", "role", name, what="max_session_seconds")

    # Profiles

    def create_profile(self) -> None:
        name, path = self.new("/", "/made/")
        self.iam.create_instance_profile(InstanceProfileName=name, Path=path)
        if self.sometimes():
            self.link(name, self.held[-1])
        self.note("created", "instance-profile", name, path)

    def delete_profile(self) -> None:
        name = self.taken(self.full, self.empty)
        self.unlink(name)
        self.iam.delete_instance_profile(InstanceProfileName=name)
        self.note("deleted", "instance-profile", name)

    def recreate_profile(self) -> None:
        name = self.taken(self.full)
        path = self.random.choice((self.truth["instance-profile"][name]["path"], "/elsewhere/"))
        role = self.unlink(name)
        self.iam.delete_instance_profile(InstanceProfileName=name)
        self.iam.create_instance_profile(InstanceProfileName=name, Path=path)
        if self.sometimes():
            self.link(name, role)
        self.note("recreated", "instance-profile", name, path)

    def empty_profile(self) -> None:
        name = self.taken(self.full)
        self.unlink(name)
        self.note("relinked", "instance-profile", name)

    def fill_profile(self) -> None:
        name = self.taken(self.empty)
        self.link(name, self.held[-1])
        self.note("relinked", "instance-profile", name)

    def relink_profile(self) -> None:
        name = self.taken(self.full)
        role = self.unlink(name)
        self.link(name, next(one for one in reversed(self.held) if one != role))
        self.note("relinked", "instance-profile", name)

    # Both

    def retag(self) -> None:
        if self.sometimes():
            name, of, verb = self.taken(self.free, self.held), "RoleName", "role"
        else:
            name, of, verb = self.taken(self.full, self.empty), "InstanceProfileName", "instance_profile"
        kind = verb.replace("_", "-")
        tags = self.truth[kind][name]["tags"]
        key = self.random.choice(("Added", *tags))
        if key in tags and self.sometimes():
            getattr(self.iam, f"untag_{verb}")(**{of: name, "TagKeys": [key]})
        else:
            getattr(self.iam, f"tag_{verb}")(**{of: name, "Tags": [{"Key": key, "Value": "made = so: @"}]})
        self.note("retagged", kind, name, what=key)


CHANGES = [
    one
    for name, one in vars(Hand).items()
    if name.split("_")[0] in {"create", "delete", "recreate", "change", "say", "retag", "empty", "fill", "relink"}
]


@pytest.mark.parametrize("seed", [1, 2])
def test_of_random_changes_on_a_live_account_each_is_named_and_no_other(account: PracticeAccount, seed: int) -> None:
    # An account may hold 1,000 of each.
    truth = account.fill(roles=min(MADE * 2, 900), profiles=min(MADE + MADE // 2, 600))
    old = load_live(account, role_details=True)
    hand = Hand(account, truth, seed)
    hand.make(MADE)
    changes = iamframe.compare(old, load_live(account, role_details=True))
    assert sorted(rows(changes, "change", "resource_arn", "what"), key=str) == sorted(hand.made, key=str)
    told = changes.not_compared[~changes.not_compared["what"].str.contains("findings of")]
    assert told.empty, told.to_string()


# One change

Documents = dict[str, Any]


def both_lists(roles: list[dict[str, Any]], profiles: list[dict[str, Any]], **more: Any) -> Documents:
    """Files of an account of which both lists were read, and the tags of roles."""
    return {"dump.json": dump(*roles), "profiles.json": profile_list(*profiles)} | more


def whole(folder: Path, roles: list[dict[str, Any]], profiles: list[dict[str, Any]], **more: Any) -> iamframe.Inventory:
    return load(folder, both_lists(roles, profiles, **more))


def compared(folder: Path, old: Documents, new: Documents, only: str | None = None) -> iamframe.Changes:
    """What changed between two accounts, and in the findings of all checks, or of one."""
    each = (load(folder / when, documents) for when, documents in (("old", old), ("new", new)))
    return iamframe.compare(*(iamframe.run_checks(one, only) for one in each))


def tagged(name: str, **tags: str) -> Documents:
    """The file of a profile's tags."""
    return {f"instance-profile-tags/{name}.json": {"Tags": tag_list(tags), "IsTruncated": False}}


def arn(kind: str, name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:{kind}/{name}"


def holding(role: str | None) -> Documents:
    """A profile that holds a role, or none."""
    roles = {"Roles": [nested_role("web"), nested_role("db")], "IsTruncated": False}
    return {"r.json": roles, "p.json": profile_list(profile("p", role and nested_role(role)))}


def listed(**more: Any) -> Documents:
    return {"roles.json": {"Roles": [nested_role("web", **more)], "IsTruncated": False}, "p.json": profile_list()}


def trusting(**policies: dict[str, Any]) -> Documents:
    return both_lists([role_detail(name, policy=policy) for name, policy in policies.items()], [])


def apart(changes: iamframe.Changes) -> dict[str, str]:
    "What could not be compared, but for findings and what these files never hold."
    frame = changes.not_compared
    frame = frame[
        ~frame["what"].str.contains("findings of") & (frame["what"] != "descriptions and session lengths of roles")
    ]
    return dict(zip(frame["what"], frame["reason"], strict=True))


PROFILE, ROLE, DB = arn("instance-profile", "p"), arn("role", "web"), arn("role", "db")
HELD, MOVED = profile("p", nested_role("web")), profile("p", nested_role("web", "/x/", RoleId="AROANEW"))
USED = {"RoleLastUsed": {"LastUsedDate": "2024-06-01T00:00:00+00:00", "Region": "eu-west-1"}}
EC2_TRUST, EKS_TRUST, NARROWED = trust(EC2_SERVICE), trust("eks.amazonaws.com"), trust(EC2_SERVICE)
NARROWED["Statement"][0]["Condition"] = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
OTHERWISE = {"Action": ["sts:AssumeRole"], "Principal": {"Service": [EC2_SERVICE]}, "Effect": "Allow"}
EVERYONE = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
MAYBE = "EC2 can assume the role: now maybe, before yes"
LONGER = ("changed", ROLE, "max_session_seconds", "3600", "7200")
CREATED = "created 2024-05-01 09:00 UTC"
# Files of before and after, and of each change: kind, ARN, what, before, after (but of policies), detail.
ONE_CHANGE: dict[str, tuple[Documents, Documents, list[tuple[str | None, ...]]]] = {
    "what is on one side alone was created or deleted": (
        both_lists([role_detail("gone")], [profile("left")]),
        both_lists([role_detail("web")], [profile("p")]),
        [
            ("created", PROFILE, None, None, "AIPAP", CREATED),
            ("created", ROLE, None, None, "AROAWEB", CREATED),
            ("deleted", arn("instance-profile", "left"), None, "AIPALEFT", None, f"was deleted ({CREATED})"),
            ("deleted", arn("role", "gone"), None, "AROAGONE", None, f"was deleted ({CREATED})"),
        ],
    ),
    "the same name elsewhere or in another case is recreated, and links to it are as they were": (
        both_lists([role_detail("web", [HELD]), role_detail("db")], [HELD]),
        both_lists([role_detail("web", [MOVED], path="/x/", RoleId="AROANEW"), role_detail("DB", RoleId="X")], [MOVED]),
        [
            ("recreated", arn("role", "DB"), None, DB, arn("role", "DB"), "was recreated as /DB (before: /db)"),
            (
                "recreated",
                arn("role", "x/web"),
                None,
                ROLE,
                arn("role", "x/web"),
                "was recreated as /x/web (before: /web)",
            ),
        ],
    ),
    "a profile lost its role": (
        holding("web"),
        holding(None),
        [("relinked", PROFILE, None, ROLE, None, "now holds no role (before: web)")],
    ),
    "a profile got a role": (
        holding(None),
        holding("web"),
        [("relinked", PROFILE, None, None, ROLE, "now holds the role web (before: no role)")],
    ),
    "a profile got another role": (
        holding("web"),
        holding("db"),
        [("relinked", PROFILE, None, ROLE, DB, "now holds the role db (before: web)")],
    ),
    "each key of a tag is a change": (
        both_lists(
            [role_detail("web", tags={"Kept": "1", "Owner": "ops", "Gone": "x"})], [profile("p")], **tagged("p")
        ),
        both_lists(
            [role_detail("web", tags={"Kept": "1", "Owner": "dev", "Added": ""})],
            [profile("p")],
            **tagged("p", Owner="ops"),
        ),
        [
            ("retagged", PROFILE, "Owner", None, "ops", "tag 'Owner' was added with the value 'ops'"),
            ("retagged", ROLE, "Added", None, "", "tag 'Added' was added with the value empty"),
            ("retagged", ROLE, "Gone", "x", None, "tag 'Gone' was removed (value before: 'x')"),
            ("retagged", ROLE, "Owner", "ops", "dev", "tag 'Owner' is now 'dev' (before: 'ops')"),
        ],
    ),
    "a policy that is only written otherwise has not changed": (
        trusting(web=EC2_TRUST),
        trusting(web={"Statement": OTHERWISE, "Version": "2012-10-17"}),
        [],
    ),
    "a policy that says something else has changed": (
        trusting(db=EC2_TRUST, web=EC2_TRUST),
        trusting(db=EKS_TRUST, web=NARROWED),
        [
            (
                *("trust_changed", DB, None),
                f"now trusts eks.amazonaws.com; no longer trusts {EC2_SERVICE}; {MAYBE.replace('maybe', 'no')}",
            ),
            ("trust_changed", ROLE, None, f"still trusts {EC2_SERVICE}, but the conditions changed; {MAYBE}"),
        ],
    ),
    "everyone may assume a role": (
        trusting(web=EC2_TRUST),
        trusting(web=EVERYONE),
        [("trust_changed", ROLE, None, f"now trusts everyone (AWS: *); no longer trusts {EC2_SERVICE}; {MAYBE}")],
    ),
    "a description on one side alone is no change": (
        listed(MaxSessionDuration=3600, Description="front"),
        listed(MaxSessionDuration=7200),
        [(*LONGER, "max_session_seconds is now '7200' (before: '3600')")],
    ),
    "last use is no change": (both_lists([role_detail("web")], []), both_lists([role_detail("web") | USED], []), []),
}


@pytest.mark.parametrize("name", ONE_CHANGE)
def test_each_change_has_its_kind_and_what_was_before_and_after(tmp_path: Path, name: str) -> None:
    old, new, told = ONE_CHANGE[name]
    changes = compared(tmp_path, old, new, "empty_profiles")
    columns = ["change", "resource_arn", "what", "before", "after", "detail"]
    if told and len(told[0]) < len(columns):
        assert changes.changes[["before", "after"]].notna().all(axis=None)
        columns = [one for one in columns if one not in ("before", "after")]
    assert rows(changes, *columns) == told
    if "description" in name:
        assert apart(changes)["descriptions of roles"] == "for 1 role, only one of OLD and NEW has this data"


def test_another_id_under_the_same_arn_is_one_change_that_has_what_else_is_other_before_and_after(
    tmp_path: Path,
) -> None:
    again = role_detail("web", policy=EKS_TRUST) | {"RoleId": "AROAOTHER"}
    changes = compared(
        tmp_path,
        both_lists([role_detail("web", [HELD], {"Owner": "ops"})], [HELD]),
        both_lists([again], [profile("p") | {"InstanceProfileId": "AIPAOTHER"}]),
    )
    assert rows(changes, "resource_arn", "before", "after", "message") == [
        (PROFILE, "AIPAP", "AIPAOTHER", "changes.recreated.again_and_changed"),
        (ROLE, "AROAWEB", "AROAOTHER", "changes.recreated.again_and_changed"),
    ]
    of_profile, of_role = map(json.loads, changes.changes["facts"])
    assert of_profile["also"] == [{"message": "changes.emptied", "before": "web"}]
    retagged, trusted = of_role["also"]
    assert retagged == {"message": "changes.tag.removed", "what": "Owner", "before": "ops"}
    assert [one["message"].rpartition(".")[2] for one in trusted["messages"]] == ["trusts", "trusts_no_longer", "ec2"]
    assert changes.changes["detail"][0] == (
        "was recreated with the id AIPAOTHER (before: AIPAP); now holds no role (before: web)"
    )


def test_a_trusted_role_that_was_deleted_is_named_beside_its_id(tmp_path: Path) -> None:
    """AWS replaces the ARN of a deleted role by its id, which the earlier inventory knows."""
    partner = role_detail("partner")
    gone = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": partner["RoleId"]}, "Action": "sts:AssumeRole"}]}
    there = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": partner["Arn"]}, "Action": "sts:AssumeRole"}]}
    old = whole(tmp_path / "old", [partner, role_detail("web", AssumeRolePolicyDocument=there)], [])
    new = whole(tmp_path / "new", [role_detail("web", AssumeRolePolicyDocument=gone)], [])
    details = iamframe.compare(old, new).changes.set_index("change")["detail"]
    arn = partner["Arn"]
    named = f"{partner['RoleId']} (the id of the deleted role {arn})"
    assert details["trust_changed"] == f"now trusts {named}; no longer trusts {arn}"


# What could not be read


@pytest.mark.parametrize(("read", "side", "so"), [("old", "OLD", "have existed before"), ("new", "NEW", "still exist")])
def test_what_a_list_that_is_not_whole_lacks_was_neither_created_nor_deleted(
    tmp_path: Path, read: str, side: str, so: str
) -> None:
    """The one side holds a page of the list, the other all of it."""
    page = {"dump.json": dump(IsTruncated=True), "p.json": profile_list(IsTruncated=True)} | {"id.json": identity()}
    every = {"dump.json": dump(role_detail("web")), "p.json": profile_list(profile("web")), "id.json": identity()}
    both = {"old": every, "new": every} | {read: page}
    changes = iamframe.compare(*(load(tmp_path / name, both[name]) for name in ("old", "new")))
    other = {"OLD": "NEW", "NEW": "OLD"}[side]
    reason = f"the list is incomplete in {side}, so 1 resource found only in {other} may {so}"
    assert changes.is_empty
    assert apart(changes) == {"roles": reason, "profiles": reason}


@pytest.mark.parametrize("turned", [False, True])
def test_tags_links_and_trust_that_one_side_did_not_read_are_no_changes(tmp_path: Path, turned: bool) -> None:
    held = profile("p", nested_role("web"))
    known = whole(
        tmp_path / "known", [role_detail("web", [held], {"Owner": "ops"})], [held], **tagged("p", Owner="ops")
    )
    bare = {name: value for name, value in nested_role("web").items() if name != "AssumeRolePolicyDocument"}
    unknown = load(
        tmp_path / "unknown",
        {
            "r.json": {"Roles": [bare], "IsTruncated": False},
            "p.json": profile_list({k: v for k, v in profile("p").items() if k != "Roles"}),
        },
    )
    changes = iamframe.compare(*((unknown, known) if turned else (known, unknown)))
    other = "NEW" if turned else "OLD"
    assert changes.is_empty
    assert apart(changes) == {
        "tags of roles": f"collected only in {other} for 1 of 1 role",
        "trust policies": f"collected only in {other} for 1 of 1 role",
        "links": f"collected only in {other} for 1 of 1 profile",
        "tags of profiles": f"collected only in {other} for 1 of 1 profile",
    }


def test_an_id_that_is_masked_or_missing_makes_nothing_recreated(tmp_path: Path) -> None:
    masked = role_detail("web") | {"RoleId": "AROAXXXXXXXXXXXXXXXXX"}
    missing = {name: value for name, value in profile("p").items() if name != "InstanceProfileId"}
    changes = compared(tmp_path, both_lists([role_detail("web")], [profile("p")]), both_lists([masked], [missing]))
    assert changes.is_empty
    assert apart(changes)["role ids"] == "collected only in OLD for 1 of 1 role"
    assert apart(changes)["profile ids"] == "collected only in OLD for 1 of 1 profile"


def test_an_account_that_is_on_one_side_alone_is_told_and_nothing_of_it_is_a_change(tmp_path: Path) -> None:
    other = "000000000002"
    elsewhere = both_lists([role_detail("web", account=other)], [profile("left", account=other)])
    changes = compared(tmp_path, both_lists([role_detail("web")], []), elsewhere)
    assert changes.is_empty
    assert changes.not_compared[["account_id", "what", "reason"]].to_numpy().tolist() == [
        [ACCOUNT, "account", "the account is not in NEW"],
        [other, "account", "the account is not in OLD"],
    ]


def test_of_resources_without_an_account_none_is_called_new_or_deleted(tmp_path: Path) -> None:
    """An ARN of a shared file may lack the account, and a plan of Terraform has no ARNs yet."""
    masked = ({"r.json": {"Roles": [nested_role(name, account="")], "IsTruncated": False}} for name in ("web", "db"))
    changes = compared(tmp_path, *masked)
    assert changes.changes.empty
    assert apart(changes)["roles"] == (
        "their account is unknown, so 1 resource found only in OLD may still exist; "
        "their account is unknown, so 1 resource found only in NEW may have existed before"
    )
    plans = (
        {"plan.json": plan(plan_resource(f"aws_iam_role.{name}", {"name": name, "path": "/"}))} for name in ("a", "b")
    )
    changes = compared(tmp_path / "plans", *plans)
    assert changes.changes.empty
    assert apart(changes)["roles"] == (
        "their account is unknown; "
        "1 resource found only in OLD may not exist yet, because Terraform has only planned to create it; "
        "1 resource found only in NEW may not exist yet, because Terraform has only planned to create it"
    )


def test_a_changed_policy_that_trusts_nobody_before_and_after_is_a_change(tmp_path: Path) -> None:
    policies = ({"Version": version, "Statement": []} for version in ("2008-10-17", "2012-10-17"))
    (was, now) = (trusting(web=policy) for policy in policies)
    changes = compared(tmp_path, was, now, "deleted_trust_principals").changes
    assert changes[["change", "detail"]].to_numpy().tolist() == [
        ["trust_changed", "the trust policy changed, but still nobody can assume the role"]
    ]


@pytest.mark.parametrize("turned", [False, True])
def test_a_role_known_by_its_name_alone_and_then_by_its_arn_is_the_same_role(tmp_path: Path, turned: bool) -> None:
    files = {"terraform.tfstate": state_of_profile("p", "Web", unique_id="AIPAP", tags_all={})}
    by_name = load(tmp_path / "state", files)
    by_arn = load(tmp_path / "files", {"p.json": profile_list(profile("p", nested_role("web")))})
    assert by_name.links["role_arn"].tolist() == ["name:Web"]
    changes = iamframe.compare(*((by_arn, by_name) if turned else (by_name, by_arn)))
    assert changes.changes.empty
    other = load(tmp_path / "other", {"p.json": profile_list(profile("p", nested_role("db")))})
    assert rows(iamframe.compare(by_name, other), "change", "before", "after") == [
        ("relinked", "name:Web", arn("role", "db"))
    ]


# Findings


def test_findings_that_came_and_went_are_new_and_gone_each_on_its_side(tmp_path: Path) -> None:
    p, q = (profile(name, nested_role("web")) for name in ("p", "q"))
    was = both_lists([role_detail("web", [p], {"a": "b"})], [p, profile("q")])
    found = compared(tmp_path, was, both_lists([role_detail("web", [q])], [profile("p"), q])).findings
    assert found[["change", "check", "resource_name"]].to_numpy().tolist() == [
        ["new", "empty_profiles", "p"],
        ["new", "untagged_roles", "web"],
        ["new", "name_mismatches", "q"],
        ["gone", "empty_profiles", "q"],
        ["gone", "name_mismatches", "p"],
    ]


def test_a_finding_that_is_gone_tells_whether_the_resource_was_deleted_or_only_repaired(tmp_path: Path) -> None:
    was = both_lists([role_detail("web")], [profile("away"), profile("filled"), profile("again")])
    filled = profile("filled", nested_role("web"))
    now = both_lists([role_detail("web", [filled])], [profile("again", InstanceProfileId=SECOND), filled])
    changes = compared(tmp_path, was, now)
    empty = changes.findings[changes.findings["check"] == "empty_profiles"]
    assert empty[["resource_name", "change", "resource_change"]].fillna("").to_numpy().tolist() == [
        ["away", "gone", "deleted"],
        ["filled", "gone", ""],
    ]
    shown = changes.to_frame()
    of_check = (shown["change"] == "finding_gone") & (shown["what"] == "empty_profiles")
    assert shown["detail"][of_check].tolist() == [
        'check empty_profiles: the resource was deleted; before: "holds no role"',
        'check empty_profiles: before: "holds no role"',
    ]


def test_how_many_resources_needed_attention_is_said_only_if_both_sides_could_see_as_much(tmp_path: Path) -> None:
    was = both_lists([], [profile("a"), profile("b")])
    now = both_lists([], [profile("a")])
    said = "Resources that need attention: 2 (2 medium) in OLD, 1 (1 medium) in NEW"
    assert said in compared(tmp_path / "same", was, now).sentence
    filled = profile("a", nested_role("web"))
    fewer = {"dump.json": dump(role_detail("web", [filled])), "p.json": profile_list(filled, NextToken="x")}
    changes = compared(tmp_path / "less", was, fewer)
    assert not changes.is_empty
    assert (changes.attention, "attention" in changes.sentence) == ({}, False)


def test_a_finding_that_is_gone_has_the_owner_by_the_owner_tag_of_the_given_result(tmp_path: Path) -> None:
    p, tags = profile("p", nested_role("web")), tagged("p", Owner="ops", CostCenter="42")
    old = whole(tmp_path / "old", [], [profile("p")], **tags)
    result = iamframe.run_checks(whole(tmp_path / "new", [], [p], **tags), owner_tag="CostCenter")
    changes = iamframe.compare(old, result)
    turned = iamframe.compare(result, old)
    run(tmp_path, "report", "new", "--compare", "old", "--owner-tag", "CostCenter", "--out", "out")
    written = pd.read_csv(tmp_path / "out" / "changed_findings.csv", dtype=str, encoding="utf-8-sig")
    for found, change in ((changes.findings, "gone"), (turned.findings, "new"), (written, "gone")):
        empty = found[found["check"] == "empty_profiles"]
        assert empty[["change", "owner"]].to_numpy().tolist() == [[change, "42"]]


def test_a_finding_of_what_one_side_did_not_read_is_neither_new_nor_gone(tmp_path: Path) -> None:
    """The tags of p are read on both sides, those of q on one: which of the findings is new is known of p alone."""
    old = whole(tmp_path / "old", [], [profile("p"), profile("q")], **tagged("p", Owner="ops"))
    new = whole(tmp_path / "new", [], [profile("p"), profile("q")], **tagged("p"), **tagged("q"))
    changes = iamframe.compare(old, new)
    assert changes.findings[["change", "check", "resource_name"]].to_numpy().tolist() == [
        ["new", "untagged_profiles", "p"]
    ]
    told = changes.not_compared.set_index("what")["reason"]["findings of the check untagged_profiles"]
    scope = "in OLD, the tags of 1 of 2 profiles were not collected"
    assert told.startswith(f"it is unknown whether 1 finding is new; {scope}")
    turned = iamframe.compare(new, old)
    assert turned.findings[["change", "resource_name"]].to_numpy().tolist() == [["gone", "p"]]


def test_a_profile_that_only_became_referred_to_because_more_was_asked_is_no_finding_gone(
    account: PracticeAccount,
) -> None:
    add(account, "web", "web")
    instance(account, "web")
    less = iamframe.load_account(account.session(), regions=["us-east-1"], progress=False, references=False)
    more = iamframe.load_account(account.session(), progress=False)
    unseen = replace(more, references=schema.REFERENCES.empty())
    fewer_kinds = replace(unseen, calls=more.calls[more.calls["operation"] != "DescribeFleets"].reset_index(drop=True))
    less, more, unseen, fewer_kinds = map(iamframe.run_checks, (less, more, unseen, fewer_kinds))
    for old, new in ((less, more), (more, less)):
        changes = iamframe.compare(old, new)
        assert changes.is_empty
        assert "findings of the check unreferenced_profiles" in set(changes.not_compared["what"])
    assert iamframe.compare(unseen, more).findings["check"].tolist() == ["unreferenced_profiles"]
    changes = iamframe.compare(fewer_kinds, more)
    assert changes.is_empty
    assert (
        dict(zip(changes.not_compared["what"], changes.not_compared["reason"], strict=True))[
            "findings of the check unreferenced_profiles"
        ]
        == "it is unknown whether 1 finding is gone, because OLD and NEW cover different regions or services"
    )


def instance(account: PracticeAccount, name: str) -> None:
    """Start an instance with a profile."""
    account.session(region_name="us-east-1").client("ec2").run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1, IamInstanceProfile={"Name": name}
    )


def test_a_finding_that_says_something_else_is_neither_new_nor_gone(tmp_path: Path) -> None:
    """A pair of keys that read alike is the same one, whichever is the more used, and so is a difference of tags."""
    was, now = {"Owner": "x"}, {"owner": "x", "OWNER": "y"}
    old, new = (both_lists([role_detail("a", tags=t), role_detail("b", tags={"owner": "x"})], []) for t in (was, now))
    changes = compared(tmp_path, old, new)
    assert changes.findings.empty
    assert iamframe.run_checks(changes.new.inventory, ["tag_key_variants"]).findings["resource_name"].tolist() == [
        "owner"
    ]


def test_a_finding_of_a_role_that_was_made_again_elsewhere_is_neither_new_nor_gone(tmp_path: Path) -> None:
    moved = role_detail("web", path="/x/", RoleId="AROANEW")
    changes = compared(tmp_path, both_lists([role_detail("web")], []), both_lists([moved], []))
    assert len(changes.old.findings) == len(changes.new.findings) > 1
    assert (len(changes.changes), len(changes.findings)) == (1, 0)


def test_results_are_compared_by_the_policy_and_the_checks_that_they_were_run_with(tmp_path: Path) -> None:
    policy = tmp_path / "tags.toml"
    policy.write_text('[required_tags]\nOwner = "*"\n', encoding="utf-8")
    old = whole(tmp_path / "old", [role_detail("web", tags={"Owner": "x"})], [])
    new = whole(tmp_path / "new", [role_detail("web", tags={"Team": "x"})], [])
    result = iamframe.run_checks(new, ["missing_required_tags"], policy)
    for changes in (iamframe.compare(old, result), iamframe.compare(old, new, policy=policy)):
        assert changes.findings[["change", "check"]].to_numpy().tolist() == [["new", "missing_required_tags"]]
    assert iamframe.compare(old, new).findings.empty


@pytest.mark.parametrize("turned", [False, True])
def test_without_the_tag_policy_on_one_side_no_finding_from_it_is_new_or_gone(turned: bool) -> None:
    sample = iamframe.load_sample()
    calls = sample.calls[~sample.calls["operation"].isin([TAG_POLICY, REQUIRED_TAGS])].reset_index(drop=True)
    without = replace(sample, tag_policies=sample.tag_policies[:0], calls=calls)
    sides = (iamframe.run_checks(one, ["missing_required_tags"], "org") for one in (without, sample))
    changes = iamframe.compare(*(reversed(list(sides)) if turned else sides))
    assert changes.findings.empty
    assert changes.old.findings.empty != changes.new.findings.empty
    assert not changes.not_compared.empty


def without_role(name: str) -> Any:
    """A check of somebody's own, under a name."""

    def rule(roles: pd.DataFrame) -> pd.DataFrame:
        """Roles that somebody does not want."""
        return roles[["role_arn"]].rename(columns={"role_arn": "resource_arn"})

    rule.__name__ = name
    return iamframe.check("low", detail="is there")(rule)


def test_of_a_snapshot_or_a_result_of_another_version_the_findings_are_those_of_todays_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory = whole(tmp_path / "in", [role_detail("web")], [profile("p")])
    with monkeypatch.context() as earlier:
        earlier.setattr("iamframe.inventory.parts.__version__", "0.0.1")
        inventory.save(tmp_path / "snapshot")
    result = iamframe.run_checks(inventory)
    blind = replace(result.only([]), version="0.0.1")
    for old in (iamframe.open_snapshot(tmp_path / "snapshot"), blind):
        assert iamframe.compare(old, result).findings.empty
    assert len(iamframe.compare(replace(blind, version=result.version), result).findings) == len(result.findings) > 1


def test_of_a_check_that_one_result_was_not_run_with_no_finding_is_new_or_gone(tmp_path: Path) -> None:
    inventory = whole(tmp_path / "in", [role_detail("web")], [])
    fewer = iamframe.run_checks(inventory, ["untagged_roles"])
    more = iamframe.run_checks(inventory, checks=[without_role("unwanted")])
    for old, new, side in ((fewer, more, "NEW"), (more, fewer, "OLD")):
        changes = iamframe.compare(old, new)
        assert changes.findings.empty
        rows_of = changes.not_compared.set_index("what")
        assert rows_of.loc["findings of the check unwanted", "message"] == "not_compared.check"
        assert json.loads(rows_of.loc["findings of the check unwanted", "facts"])["side"] == side
    assert iamframe.compare(inventory, more).findings.empty
    again = iamframe.run_checks(inventory, checks=[without_role("unwanted")])
    assert iamframe.compare(again, more).is_empty


def test_a_finding_that_is_no_longer_accepted_is_reopened_and_one_that_is_accepted_now_settled(tmp_path: Path) -> None:
    inventory = whole(tmp_path / "in", [], [profile("p")])
    open_one = iamframe.run_checks(inventory, ["empty_profiles"])
    (found,) = [one.findings for one in open_one.found.values()]
    agreed = {"empty_profiles": Found.of(found.assign(accepted="agreed"), open_one.found["empty_profiles"].facts)}
    accepted = replace(open_one, found=agreed)
    reopened, settled = "1 reopened (no longer expected or accepted)", "1 settled (now expected or accepted)"
    for old, new, way, said in ((accepted, open_one, "reopened", reopened), (open_one, accepted, "settled", settled)):
        changes = iamframe.compare(old, new)
        assert changes.findings[["change", "check"]].to_numpy().tolist() == [[way, "empty_profiles"]]
        assert changes.findings["before"].fillna("").tolist() == ["accepted" if way == "reopened" else ""]
        assert changes.findings["finding_id"].tolist() == found["finding_id"].tolist()
        assert f"Findings: {said}" in changes.sentence
    assert iamframe.compare(accepted, accepted).findings.empty


def test_a_finding_is_reopened_if_its_maker_left_and_not_if_its_tags_were_not_read(tmp_path: Path) -> None:
    inventory = whole(tmp_path / "in", [role_detail("r")], [profile("p")], **tagged("p", a="b"))
    result = iamframe.run_checks(inventory, ["empty_profiles"])
    one = result.found["empty_profiles"]
    meant = replace(result, found={"empty_profiles": Found.of(one.findings.assign(expected=True), one.facts)})
    assert iamframe.compare(meant, result).findings[["change", "before"]].to_numpy().tolist() == [
        ["reopened", "expected"]
    ]
    unread = replace(meant, pairs=meant.pairs.assign(profile_tags_known=False))
    assert iamframe.compare(unread, result).findings.empty


# All of them


@searching(10, ci=4)
@given(files=broken_worlds())
def test_a_load_compared_with_itself_has_no_change(files: dict[str, bytes]) -> None:
    with folder_of(files) as folder:
        inventory = loaded(folder)
    assume(inventory is not None)
    assert inventory is not None
    result = iamframe.run_checks(inventory)
    changes = iamframe.compare(result, result)
    assert changes.is_empty
    assert changes.changes.dtypes.to_dict() == schema.CHANGES.empty().dtypes.to_dict()
    assert changes.findings.dtypes.to_dict() == schema.CHANGED_FINDINGS.empty().dtypes.to_dict()
    assert not changes.not_compared.duplicated(["account_id", "what"]).any()


def test_a_comparison_says_in_one_line_what_it_found_and_changes_no_frame() -> None:
    sample = iamframe.load_sample()
    before = {name: frame.copy(deep=True) for name, frame in sample.frames.items()}
    fewer = replace(sample, tags=sample.tags.iloc[1:].reset_index(drop=True))
    changes = iamframe.compare(sample, fewer)
    assert repr(changes).startswith("Changes(1 tag changed. ")
    assert changes.summary.to_numpy().tolist()[4] == ["retagged", 1, 0]
    for name, frame in sample.frames.items():
        pd.testing.assert_frame_equal(frame, before[name])


# On the command line, as files, on the page


def used(profile_id: str | None, *profiles: dict[str, Any]) -> Documents:
    """An account with these profiles, and an instance (or, without an id, a launch configuration) that uses `web`."""
    arn = f"arn:aws:iam::{ACCOUNT}:instance-profile/web"
    instance = {"InstanceId": "i-1", "IamInstanceProfile": {"Arn": arn, "Id": profile_id}}
    configuration = {"LaunchConfigurationName": "c", "IamInstanceProfile": "web"}
    return {
        f"{ACCOUNT}/p.json": profile_list(*profiles),
        f"{ACCOUNT}/eu-west-1/i.json": {"Reservations": [{"Instances": [instance] if profile_id else []}]},
        f"{ACCOUNT}/eu-west-1/c.json": {"LaunchConfigurations": [] if profile_id else [configuration]},
    }


FIRST, SECOND = "AIPAEXAMPLEFIRST0001", "AIPAEXAMPLESECOND002"


@pytest.mark.parametrize(
    ("profile_id", "old", "new", "ways"),
    [
        # The profile was deleted; made again for those that use it by name; made again with another id.
        (FIRST, [profile("web", InstanceProfileId=FIRST)], [], ["new"]),
        (None, [profile("web", InstanceProfileId=FIRST)], [], ["new"]),
        (None, [], [profile("web", InstanceProfileId=SECOND)], ["gone"]),
        (FIRST, [profile("web", InstanceProfileId=FIRST)], [profile("web", InstanceProfileId=SECOND)], ["new"]),
        # OLD does not show the id that the instance uses.
        (FIRST, [profile("web", InstanceProfileId=None)], [profile("web", InstanceProfileId=SECOND)], []),
    ],
)
def test_a_stale_reference_is_new_or_gone_where_the_other_load_has_the_profile_that_it_uses(
    tmp_path: Path, profile_id: str | None, old: list[Any], new: list[Any], ways: list[str]
) -> None:
    changes = compared(tmp_path, used(profile_id, *old), used(profile_id, *new), "stale_references")
    assert changes.findings["change"].tolist() == ways
    assert ("unknown whether" in changes.not_compared["reason"].str.cat()) == (not ways)


def test_a_stale_reference_may_or_may_not_be_new_if_the_old_load_lacks_its_profile(tmp_path: Path) -> None:
    old = {"id.json": identity(), "p.json": profile_list(NextToken="x")}
    changes = compared(tmp_path, old, used(FIRST), "stale_references")
    assert changes.findings.empty
    assert "it is unknown whether 1 finding is new" in changes.not_compared["reason"].str.cat()


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A folder with an account as it was, and as it is: a role was made, and the tag of another changed."""
    whole(tmp_path / "old", [role_detail("web", tags={"Owner": "ops"})], [])
    whole(tmp_path / "new", [role_detail("web", tags={"Owner": "=1+1"}), role_detail("db", tags={"a": "b"})], [])
    return tmp_path


def said(done: Any) -> list[str]:
    """What a command printed on standard error about things that were not compared, but for findings."""
    lines = done.stderr.splitlines()
    return [line for line in lines if line.startswith("incomplete comparison in ") and "findings" not in line]


def test_diff_prints_changes_by_kind_and_what_was_not_compared_and_writes_three_files_if_asked(two: Path) -> None:
    done = run(two, "diff", "old", "new", "--out", "out")
    found = "trusts EC2 and is in no instance profile; the role has no policies"
    assert done.stdout.splitlines() == [
        f"created        {ACCOUNT}  role              db: created 2024-05-01 09:00 UTC",
        f"retagged       {ACCOUNT}  role              web: tag 'Owner' is now '=1+1' (before: 'ops')",
        f"new finding       low     ec2_roles_without_profile   {ACCOUNT}  role              db: {found}",
    ]
    assert done.stderr.startswith("1 resource created, 1 tag changed. Findings: 1 new. ")
    assert said(done) == [
        (
            f"incomplete comparison in {ACCOUNT}: descriptions and session lengths of roles "
            "(collected neither in OLD nor in NEW for 1 of 1 role)"
        )
    ]
    assert done.returncode == 0
    files = sorted(file.name for file in (two / "out").iterdir())
    assert files == ["changed_findings.csv", "changes.csv", "not_compared.csv"]
    table = pd.read_csv(two / "out" / "changes.csv", dtype=str, encoding="utf-8-sig")
    assert table[["change", "resource_name"]].to_numpy().tolist() == [["created", "db"], ["retagged", "web"]]


def test_a_number_that_each_of_several_checks_has_is_said_to_be_that_of_each() -> None:
    rows = [
        {
            "account_id": ACCOUNT,
            "what": f"findings of the check {name}",
            "message": "not_compared.findings",
            "facts": json.dumps(
                {"way": "new", "count": 1, "scope": None, "what": {"message": "not_compared.what.findings", "of": name}}
            ),
        }
        for name in ("stale_references", "names_refused")
    ]
    (line,) = not_compared(SimpleNamespace(not_compared=pd.DataFrame(rows)))  # type: ignore[arg-type]
    assert line == (
        f"incomplete comparison in {ACCOUNT}: findings of the checks stale_references, names_refused "
        "(each: it is unknown whether 1 finding is new)"
    )


def test_diff_prints_short_reasons_once_for_all_that_share_them_and_says_where_they_are_whole(tmp_path: Path) -> None:
    done = run(tmp_path, "diff", "sample:earlier", "sample", "--out", "out")
    *lines, where = done.stderr.splitlines()[1:]
    assert where == "`iamframe check SOURCE` prints why a check is incomplete"
    assert len(lines) == len(set(lines)) == 8
    assert max(len(line.split(" (", 1)[-1]) for line in lines) <= 106
    assert (
        "incomplete comparison in 111122223333: findings of the checks unreferenced_profiles, owner_gone, "
        "stale_references, names_refused (incomplete data in OLD and NEW)"
    ) in lines
    rows = pd.read_csv(tmp_path / "out" / "not_compared.csv", encoding="utf-8-sig")
    assert len(rows) == 21
    assert rows["reason"].str.len().max() > 400


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["old", "new"], 0),
        (["old", "new", "--fail-on-change"], 1),
        # A change comes before what could not be compared.
        (["old", "new", "--fail-on-change", "--strict"], 1),
        (["old", "new", "--strict"], 3),
        (["old", "old", "--fail-on-change"], 0),
        (["old", "nowhere", "--fail-on-change"], 2),
        (["old"], 2),
        (["old", "new", "--regions", "eu-west-1"], 2),
        (["old", "new", "--policy", "nowhere.toml"], 2),
    ],
)
def test_the_exit_status_of_diff_tells_of_changes_only_where_it_is_asked(
    two: Path, arguments: list[str], status: int
) -> None:
    done = run(two, "diff", *arguments)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert (done.stdout == "") == (status == 2 or arguments[1] == "old")


def test_where_nothing_could_be_compared_diff_says_so_first_and_strict_exits_3(tmp_path: Path) -> None:
    whole(tmp_path / "old", [role_detail("web")], [])
    load(tmp_path / "new", {"p.json": profile_list()} | {"id.json": identity()})
    done = run(tmp_path, "diff", "old", "new", "--fail-on-change")
    first, *apart = done.stderr.splitlines()
    things = len(iamframe.compare(*(iamframe.load_files(tmp_path / side) for side in ("old", "new"))).not_compared)
    assert things > 1
    assert first == "no change in the compared data. Some of the data could not be compared."
    assert any(line.startswith(f"incomplete comparison in {ACCOUNT}: roles") for line in apart)
    assert done.returncode == 0
    assert run(tmp_path, "diff", "old", "new", "--strict").returncode == 3
    assert run(tmp_path, "diff", "old", "new", "--fail-on-change", "--strict").returncode == 3


def test_loads_of_different_accounts_are_refused_since_nothing_of_them_can_be_compared(tmp_path: Path) -> None:
    whole(tmp_path / "old", [role_detail("web")], [])
    load(tmp_path / "new", {"p.json": profile_list()} | {"id.json": identity("000000000002")})
    for command in (["diff", "old", "new", "--fail-on-change"], ["report", "new", "--compare", "old", "--out", "out"]):
        done = run(tmp_path, *command)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"iamframe: nothing can be compared: old has {ACCOUNT}, and new has 000000000002; "
            "give two loads of the same account\n"
        )
    assert not (tmp_path / "out").exists()


def test_diff_as_csv_json_and_markdown_holds_each_change_and_nothing_else(two: Path) -> None:
    read = list(csv.DictReader(io.StringIO(run(two, "diff", "old", "new", "--format", "csv").stdout)))
    assert [(row["change"], row["resource_name"], row["what"], row["after"]) for row in read] == [
        ("created", "db", "", "AROADB"),
        ("retagged", "web", "Owner", "'=1+1"),
        ("finding_new", "db", "ec2_roles_without_profile", ""),
    ]
    document = json.loads(run(two, "diff", "old", "new", "--format", "json").stdout)
    assert [row["change"] for row in document["changes"]] == ["created", "retagged"]
    assert [row["check"] for row in document["findings"]] == ["ec2_roles_without_profile"]
    assert {row["account_id"] for row in document["not_compared"]} == {ACCOUNT}
    table = run(two, "diff", "old", "new", "--format", "markdown").stdout.splitlines()
    assert table[0] == "| change | account | type | name | what changed |"
    assert table[3] == f"| retagged | {ACCOUNT} | role | web | tag 'Owner' is now '=1+1' (before: 'ops') |"
    assert table[4].startswith(f"| new finding | {ACCOUNT} | role | db | check ec2\\_roles\\_without\\_profile: ")
    assert len(table) == 5
    table = run(two, "diff", "sample:earlier", "sample", "--format", "markdown").stdout.splitlines()
    assert sum(line.startswith("| reopened finding (no longer expected or accepted) | ") for line in table) == 1


def test_the_page_says_of_when_the_older_data_is_where_that_is_known(two: Path) -> None:
    old, new = (iamframe.load_files(two / name) for name in ("old", "new"))
    known = replace(old, accounts=old.accounts.assign(captured_at=pd.Timestamp("2026-01-02T03:04:05Z")))
    out = iamframe.write_report(iamframe.run_checks(new), two / "out", changes=iamframe.compare(known, new))
    assert "Changes since old, as of 2026-01-02 03:04 UTC: 1 resource created" in out.read_text("utf-8")


def test_a_report_compared_with_an_older_source_has_a_section_and_one_without_takes_its_files_away(two: Path) -> None:
    done = run(two, "report", "new", "--compare", "old", "--out", "out")
    assert done.stdout.splitlines()[1].startswith(
        "Changes since old: 1 resource created, 1 tag changed. Findings: 1 new. "
    )
    summary = json.loads((two / "out" / "summary.json").read_text("utf-8"))
    assert summary["changes"] == {"created": 1, "finding_new": 1, "retagged": 1}
    assert (two / "out" / "not_compared.csv").exists()
    run(two, "report", "new", "--out", "out")
    assert not list((two / "out").glob("chang*.csv")) + list((two / "out").glob("not_compared.csv"))
    assert "changes" not in json.loads((two / "out" / "summary.json").read_text("utf-8"))
    assert 'id="changes"' not in (two / "out" / "report.html").read_text("utf-8")
