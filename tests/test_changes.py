"""What changed between two loads, each change by its name and no other, and what could not be compared."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from accounts import EC2, ID, TRUST
from accounts import load as load_live

import iamframe
from iamframe.practice import PracticeAccount

# Each is made on resources of its own. To make more: `IAMFRAME_CHANGES=1000 pytest tests/test_changes.py`.
MADE = int(os.environ.get("IAMFRAME_CHANGES", "60"))
EKS = TRUST % "eks.amazonaws.com"

Row = tuple[str, str, str | None]


@pytest.fixture
def account() -> Iterator[PracticeAccount]:
    with PracticeAccount(regions=("us-east-1",)) as opened:
        yield opened


def rows(changes: iamframe.Changes, *names: str) -> list[tuple[Any, ...]]:
    """The rows of changes, by the columns named, missing values as None."""
    frame = changes.changes[list(names or ("change", "resource_name", "what"))].astype(object)
    return list(frame.where(frame.notna(), None).itertuples(index=False, name=None))


class Hand:
    """Makes one random change after the other, each on resources that no other touches, and notes what it did."""

    def __init__(self, account: PracticeAccount, truth: dict[str, dict[str, Any]], seed: int) -> None:
        self.iam = account.session().client("iam")
        self.random = random.Random(seed)
        self.roles, self.profiles = truth["roles"], truth["profiles"]
        held = {profile["role"] for profile in self.profiles.values()}
        self.free = sorted(self.roles.keys() - held)
        self.held = sorted(held - {None})
        self.full = sorted(name for name, profile in self.profiles.items() if profile["role"])
        self.empty = sorted(self.profiles.keys() - set(self.full))
        for names in (self.free, self.held, self.full, self.empty):
            self.random.shuffle(names)
        self.made: list[Row] = []
        self.number = 0

    def role_arn(self, name: str, path: str | None = None) -> str:
        return f"arn:aws:iam::{ID}:role{path or self.roles[name]['path']}{name}"

    def profile_arn(self, name: str, path: str | None = None) -> str:
        return f"arn:aws:iam::{ID}:instance-profile{path or self.profiles[name]['path']}{name}"

    def new_name(self) -> str:
        self.number += 1
        return f"{self.random.choice(('web', 'etl', 'x+y=,.@-'))}-made-{self.number}"

    def make(self, count: int) -> None:
        while len(self.made) < count:
            with suppress(IndexError):
                self.random.choice(CHANGES)(self)

    def taken(self, *names: list[str]) -> str:
        """A resource that nothing was done to, off one of these lists; IndexError where all are used up."""
        return self.random.choice([some for some in names if some]).pop()

    # Roles that are in no profile

    def create_role(self) -> None:
        name, path = self.new_name(), self.random.choice(("/", "/made/", "/a/b/"))
        self.iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=EC2, Tags=[{"Key": "T", "Value": "v"}])
        self.made.append(("created", self.role_arn(name, path), None))

    def delete_role(self) -> None:
        name = self.taken(self.free)
        self.iam.delete_role(RoleName=name)
        self.made.append(("deleted", self.role_arn(name), None))

    def recreate_role(self) -> None:
        name = self.taken(self.free)
        path = self.random.choice((self.roles[name]["path"], "/elsewhere/"))
        self.iam.delete_role(RoleName=name)
        self.iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=EKS)
        self.made.append(("recreated", self.role_arn(name, path), None))

    # Any role

    def change_trust(self) -> None:
        name = self.taken(self.free, self.held)
        other = TRUST % self.random.choice(("lambda.amazonaws.com", "ecs-tasks.amazonaws.com"))
        self.iam.update_assume_role_policy(RoleName=name, PolicyDocument=other)
        self.made.append(("trust_changed", self.role_arn(name), None))

    def say_the_same_trust(self) -> None:
        """No change: the same policy, its keys in another order and its one service in a list."""
        name = self.taken(self.held)
        principal = {"Service": [self.roles[name]["trusts"]]}
        statement = {"Action": ["sts:AssumeRole"], "Effect": "Allow", "Principal": principal}
        document = {"Statement": statement, "Version": "2012-10-17"}
        self.iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(document))

    def change_session(self) -> None:
        name = self.taken(self.free, self.held)
        self.iam.update_role(RoleName=name, MaxSessionDuration=7200)
        self.made.append(("changed", self.role_arn(name), "max_session_seconds"))

    def retag_role(self) -> None:
        name = self.taken(self.free, self.held)
        self._retag(
            self.roles[name]["tags"],
            lambda key, value: self.iam.tag_role(RoleName=name, Tags=[{"Key": key, "Value": value}]),
            lambda key: self.iam.untag_role(RoleName=name, TagKeys=[key]),
            self.role_arn(name),
        )

    # Profiles

    def create_profile(self) -> None:
        name, path = self.new_name(), self.random.choice(("/", "/made/"))
        self.iam.create_instance_profile(InstanceProfileName=name, Path=path)
        if self.random.random() < 0.5:
            self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=self.held[-1])
        self.made.append(("created", self.profile_arn(name, path), None))

    def delete_profile(self) -> None:
        name = self.taken(self.full, self.empty)
        if role := self.profiles[name]["role"]:
            self.iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)
        self.iam.delete_instance_profile(InstanceProfileName=name)
        self.made.append(("deleted", self.profile_arn(name), None))

    def recreate_profile(self) -> None:
        name = self.taken(self.full)
        role, path = self.profiles[name]["role"], self.random.choice((self.profiles[name]["path"], "/elsewhere/"))
        self.iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)
        self.iam.delete_instance_profile(InstanceProfileName=name)
        self.iam.create_instance_profile(InstanceProfileName=name, Path=path)
        if self.random.random() < 0.5:
            self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)
        self.made.append(("recreated", self.profile_arn(name, path), None))

    def empty_profile(self) -> None:
        name = self.taken(self.full)
        self.iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=self.profiles[name]["role"])
        self.made.append(("relinked", self.profile_arn(name), None))

    def fill_profile(self) -> None:
        name = self.taken(self.empty)
        self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=self.held[-1])
        self.made.append(("relinked", self.profile_arn(name), None))

    def relink_profile(self) -> None:
        name = self.taken(self.full)
        role = self.profiles[name]["role"]
        other = next(one for one in reversed(self.held) if one != role)
        self.iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)
        self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=other)
        self.made.append(("relinked", self.profile_arn(name), None))

    def retag_profile(self) -> None:
        name = self.taken(self.full, self.empty)
        self._retag(
            self.profiles[name]["tags"],
            lambda key, value: self.iam.tag_instance_profile(
                InstanceProfileName=name, Tags=[{"Key": key, "Value": value}]
            ),
            lambda key: self.iam.untag_instance_profile(InstanceProfileName=name, TagKeys=[key]),
            self.profile_arn(name),
        )

    def _retag(
        self, tags: dict[str, str], tag: Callable[[str, str], Any], untag: Callable[[str], Any], arn: str
    ) -> None:
        key = self.random.choice(("Added", *tags))
        if key in tags and self.random.random() < 0.5:
            untag(key)
        else:
            tag(key, "made = so: @")
        self.made.append(("retagged", arn, key))


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
    told = changes.not_compared[~changes.not_compared["what"].str.startswith("findings of")]
    assert told.empty, told.to_string()
