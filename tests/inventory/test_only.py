"""A part of an inventory: some roles and profiles, what they are linked to, and all that is known of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import ACCOUNT, dump, event, identity, load, nested_role, profile, profile_list, role_detail, tag_list
from terraform import state_of_profile

import iamframe
from iamframe import schema
from iamframe.errors import WrongObjectError
from iamframe.inventory.inventory import Inventory

OTHER = "000000000002"
AT = "2026-01-01T10:00:00Z"


def arn(name: str, account: str = ACCOUNT) -> str:
    """`profile/web` stands for the ARN of an instance profile."""
    return f"arn:aws:iam::{account}:{name.replace('profile/', 'instance-profile/')}"


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    """One role in two profiles, one in none, an empty profile; another account with the same names."""
    shared = [profile("web", nested_role("server")), profile("web2", nested_role("server"))]
    instances = [
        {
            "InstanceId": f"i-{named}",
            "State": {"Name": "running"},
            "IamInstanceProfile": {"Arn": arn(f"profile/{named}")},
        }
        for named in ("web", "old/web", "empty", "gone")
    ]
    return load(
        tmp_path_factory.mktemp("two"),
        {
            f"{ACCOUNT}/identity.json": identity(),
            f"{ACCOUNT}/profiles.json": profile_list(*shared, profile("empty")),
            f"{ACCOUNT}/dump.json": dump(
                role_detail("server", shared, {"Owner": "ops"}), role_detail("lone", [], {"Owner": "web"})
            ),
            f"{ACCOUNT}/instance-profile-tags/empty.json": {"Tags": tag_list({"Stage": "test"})},
            f"{ACCOUNT}/eu-west-1/i.json": {"Reservations": [{"OwnerId": ACCOUNT, "Instances": instances}]},
            f"{ACCOUNT}/trail.json": {
                "Records": [
                    event(AT, "CreateRole", roleName="Server"),
                    event(AT, "CreateInstanceProfile", instanceProfileName="server"),
                    event(AT, "AddRoleToInstanceProfile", instanceProfileName="once", roleName="server"),
                    event(AT, "CreateRole", roleName="empty"),
                    event(AT, "CreateInstanceProfile", instanceProfileName="empty"),
                ]
            },
            f"{OTHER}/profiles.json": profile_list(profile("web", nested_role("server", account=OTHER), account=OTHER)),
        },
    )


@pytest.mark.parametrize(
    ("asked", "profiles", "roles", "used_by", "tags", "events"),
    [
        (
            ["profile/web"],
            ["web", "web2"],
            ["server"],
            ["i-old/web", "i-web"],
            ["Owner"],
            ["CreateRole", "AddRoleToInstanceProfile"],
        ),
        (
            ["role/server"],
            ["web", "web2"],
            ["server"],
            ["i-old/web", "i-web"],
            ["Owner"],
            ["CreateRole", "AddRoleToInstanceProfile"],
        ),
        (["role/lone"], [], ["lone"], [], ["Owner"], []),
        (["profile/empty", "role/lone", "role/absent"], ["empty"], ["lone"], ["i-empty"], ["Owner", "Stage"],
         ["CreateInstanceProfile"]),
    ],
)  # fmt: skip
def test_a_part_holds_what_is_linked_and_all_that_is_known_of_it(
    inventory: Inventory,
    asked: list[str],
    profiles: list[str],
    roles: list[str],
    used_by: list[str],
    tags: list[str],
    events: list[str],
) -> None:
    part = inventory.only(map(arn, asked))
    assert sorted(part.profiles["profile_name"]) == profiles
    assert part.roles["role_name"].tolist() == roles
    assert {*part.links["profile_arn"]} == {arn(f"profile/{name}") for name in profiles if name != "empty"}
    assert sorted(part.references["consumer_id"]) == used_by
    assert sorted(part.tags["tag_key"]) == tags
    assert part.events["event_name"].tolist() == events
    # Of the account all that is said of it stays, and nothing of another one.
    for name in ("accounts", "gaps", "calls"):
        whole = inventory.frames[name]
        mine = whole[whole["account_id"] == ACCOUNT].reset_index(drop=True)
        pd.testing.assert_frame_equal(part.frames[name], mine)
    assert part.sources == inventory.sources


def test_a_part_is_typed_and_checked_as_a_whole_inventory_and_leaves_that_as_it_is(inventory: Inventory) -> None:
    before = {name: frame.copy() for name, frame in inventory.frames.items()}
    part = inventory.only(arn("profile/web"))
    for name, frame in part.frames.items():
        pd.testing.assert_frame_equal(schema.FRAMES[name].conform(frame), frame)
        pd.testing.assert_frame_equal(inventory.frames[name], before[name])
    assert part.pairs["profile_name"].tolist() == ["web", "web2"]
    found = iamframe.run_checks(part, only=["roles_in_many_profiles", "tag_differences"]).findings
    assert found["resource_name"].tolist() == ["server"]


@pytest.mark.parametrize("asked", [[], [arn("role/absent")], [None], pd.Series([], dtype="str")])
def test_a_part_of_nothing_is_an_empty_inventory(inventory: Inventory, asked: Any) -> None:
    part = inventory.only(asked)
    assert {name: len(frame) for name, frame in part.frames.items()} == dict.fromkeys(schema.FRAMES, 0)
    assert len(iamframe.run_checks(part).findings) == 0


def test_all_arns_give_all_roles_and_profiles(inventory: Inventory) -> None:
    whole = inventory.only([*inventory.roles["role_arn"], *inventory.profiles["profile_arn"]])
    for name in ("accounts", "roles", "profiles", "links", "tags", "gaps", "calls"):
        pd.testing.assert_frame_equal(whole.frames[name], inventory.frames[name])


def test_a_role_that_no_source_shows_is_another_one_in_each_account(tmp_path: Path) -> None:
    states = {f"{a}/terraform.tfstate": state_of_profile("web", "unseen", account=a) for a in (ACCOUNT, OTHER)}
    two, held = load(tmp_path, states), arn("profile/web")
    assert two.only(held).links.values.tolist() == [[ACCOUNT, held, "name:unseen"]]
    # Its name is all that is known of it, and means both.
    assert len(two.only(["name:unseen"]).links) == 2


@pytest.mark.parametrize("given", [None, 7, [1, 2], [["x"]], pd.DataFrame({"profile_arn": ["x"]})])
def test_what_holds_no_arns_is_refused_with_what_to_pass(inventory: Inventory, given: Any) -> None:
    with pytest.raises(WrongObjectError, match=r"^only takes ARNs, not \w+: pass a list of them, or a column such as"):
        inventory.only(given)
