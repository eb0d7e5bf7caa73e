"""Merging what several files say of one resource."""

from __future__ import annotations

import itertools
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import (
    ACCOUNT,
    dump,
    event,
    identity,
    load,
    nested_role,
    profile,
    profile_list,
    role_detail,
    tag_list,
    trust,
    write,
)
from terraform import state_of, state_of_profile, tf_role

from iamframe import run_checks
from iamframe.inventory.completeness import completeness
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.load import load_files

WEB = "arn:aws:iam::000000000001:role/web"
WEB_PROFILE = "arn:aws:iam::000000000001:instance-profile/web"
BATCH = "arn:aws:iam::000000000001:role/batch"

in_both_orders = pytest.mark.parametrize("names", [("a.json", "b.json"), ("b.json", "a.json")])


def contradicted(inventory: Inventory) -> dict[tuple[str, str], str]:
    """Return the detail of each contradiction by operation and subject."""
    gaps = inventory.gaps[inventory.gaps["reason"] == "contradicted"]
    return {(o, s): d for o, s, d in zip(gaps["operation"], gaps["subject"], gaps["detail"], strict=True)}


def got_role(**more: Any) -> dict[str, Any]:
    """Return the output of get-role."""
    return {"Role": nested_role("web", RoleLastUsed={}, **more)}


def got_profile(role: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return the output of get-instance-profile."""
    return {"InstanceProfile": profile("web", role, **more)}


def cell(frame: pd.DataFrame, column: str) -> Any:
    """Return the one value of a column, a missing one as None."""
    (value,) = frame[column]
    return None if pd.isna(value) else value


def same(one: Inventory, two: Inventory) -> None:
    """Compare all frames of two inventories."""
    for name, frame in one.frames.items():
        pd.testing.assert_frame_equal(frame, two.frames[name], obj=name)


# A known value beats an unknown one


@in_both_orders
def test_a_role_has_what_each_of_its_sources_knows(tmp_path: Path, names: tuple[str, str]) -> None:
    described = {"Roles": [nested_role("web", Description="front", MaxSessionDuration=7200)]}
    inventory = load(tmp_path, {names[0]: described, names[1]: dump(role_detail("web", tags={"owner": "ops"}))})
    assert (cell(inventory.roles, "description"), cell(inventory.roles, "max_session_seconds")) == ("front", 7200)
    assert cell(inventory.roles, "tags_known") is True
    assert list(inventory.tags["tag_value"]) == ["ops"]
    assert contradicted(inventory) == {}


@in_both_orders
def test_a_profile_has_what_each_of_its_sources_knows(tmp_path: Path, names: tuple[str, str]) -> None:
    bare = {key: value for key, value in profile("web", Tags=tag_list({"owner": "ops"})).items() if key != "Roles"}
    inventory = load(
        tmp_path, {names[0]: {"InstanceProfile": bare}, names[1]: profile_list(profile("web", nested_role("web")))}
    )
    assert (cell(inventory.profiles, "role_known"), cell(inventory.profiles, "tags_known")) == (True, True)
    assert list(inventory.links["role_arn"]) == [WEB]
    assert list(inventory.tags["tag_value"]) == ["ops"]


def test_a_known_trust_policy_beats_an_unreadable_one(tmp_path: Path) -> None:
    documents = {
        "a.json": {"Roles": [nested_role("web", policy="nonsense")]},
        "b.json": {"Roles": [nested_role("web")]},
    }
    inventory = load(tmp_path, documents)
    assert cell(inventory.roles, "trusts_ec2") == "yes"
    assert list(inventory.gaps["reason"]).count("unreadable") == 0


EC2_ALLOWED = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
SORTED_KEYS = {"Statement": [dict(sorted(EC2_ALLOWED.items()))], "Version": "2012-10-17"}
OF_ACCOUNT = {"Version": "2012-10-17", "Statement": [EC2_ALLOWED | {"Principal": {"AWS": "000000000009"}}]}
OF_ROOT = OF_ACCOUNT | {"Statement": [EC2_ALLOWED | {"Principal": {"AWS": "arn:aws:iam::000000000009:root"}}]}
ENCODED = (
    "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A"
    "%7B%22Service%22%3A%22ec2.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D"
)


@pytest.mark.parametrize(
    ("one", "other", "trusts"),
    [
        (ENCODED, trust("ec2.amazonaws.com"), "yes"),
        (trust("ec2.amazonaws.com"), SORTED_KEYS, "yes"),
        (trust("ec2.amazonaws.com"), {"Version": "2012-10-17", "Statement": EC2_ALLOWED}, "yes"),
        (OF_ROOT, OF_ACCOUNT, "no"),
    ],
)
def test_a_trust_policy_that_another_tool_writes_in_another_form_is_no_contradiction(
    tmp_path: Path, one: dict[str, Any] | str, other: dict[str, Any], trusts: str
) -> None:
    documents = {name: {"Roles": [nested_role("web", policy=p)]} for name, p in (("a.json", one), ("b.json", other))}
    inventory = load(tmp_path, documents)
    assert cell(inventory.roles, "trusts_ec2") == trusts
    assert contradicted(inventory) == {}


def test_a_condition_that_is_nested_too_deep_is_compared_as_text(tmp_path: Path) -> None:
    condition = json.loads("[" * 900 + "]" * 900)
    deep = trust("ec2.amazonaws.com")["Statement"][0] | {"Condition": condition}
    policies = {"a.json": [deep], "b.json": [deep], "c.json": [EC2_ALLOWED]}
    documents = {name: {"Roles": [nested_role("web", policy={"Statement": p})]} for name, p in policies.items()}
    inventory = load(tmp_path, documents)
    assert cell(inventory.roles, "trusts_ec2") == "unknown"
    assert set(contradicted(inventory)) == {("trust_policy", WEB)}


def test_the_same_time_in_two_spellings_is_no_contradiction(tmp_path: Path) -> None:
    one, two = (nested_role("web") | {"CreateDate": t} for t in ("2024-05-01T11:00:00+02:00", 1714554000))
    inventory = load(tmp_path, {"a.json": {"Roles": [one]}, "b.json": {"Roles": [two]}})
    assert cell(inventory.roles, "created_at") == pd.Timestamp("2024-05-01T09:00:00Z")
    assert contradicted(inventory) == {}


def test_the_same_tags_in_another_order_are_no_contradiction(tmp_path: Path) -> None:
    one, two = (got_role(Tags=tag_list(tags)) for tags in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"}))
    inventory = load(tmp_path, {"a.json": one, "b.json": two})
    assert list(inventory.tags["tag_key"]) == ["a", "b"]
    assert contradicted(inventory) == {}


@in_both_orders
def test_the_latest_of_two_last_uses_counts_with_its_region(tmp_path: Path, names: tuple[str, str]) -> None:
    old, new = (
        role_detail("web") | {"RoleLastUsed": {"LastUsedDate": day, "Region": region}}
        for day, region in (("2024-06-01T00:00:00Z", "us-east-1"), ("2024-07-01T00:00:00Z", "eu-west-1"))
    )
    inventory = load(tmp_path, {names[0]: dump(old), names[1]: dump(new)})
    assert cell(inventory.roles, "last_used_at") == pd.Timestamp("2024-07-01T00:00:00Z")
    assert cell(inventory.roles, "last_used_region") == "eu-west-1"
    assert contradicted(inventory) == {}


@in_both_orders
@pytest.mark.parametrize(("other", "known"), [({}, False), ({"LastUsedDate": "2024-07-01T00:00:00Z"}, True)])
def test_an_unreadable_time_is_not_shown_as_no_use(
    tmp_path: Path, names: tuple[str, str], other: dict[str, str], known: bool
) -> None:
    used = (role_detail("web") | {"RoleLastUsed": {"LastUsedDate": "yesterday"}}, role_detail("web"))
    inventory = load(tmp_path, {names[0]: dump(used[0]), names[1]: dump(used[1] | {"RoleLastUsed": other})})
    assert cell(inventory.roles, "last_used_known") is known
    note = "in an unknown region" if known else "not collected"
    assert any(note in line for line in str(inventory.explain("web")).splitlines() if "last use" in line)


@pytest.mark.parametrize(
    ("one", "two", "attached", "inline"),
    [
        (
            dump(role_detail("web", attached=("arn:b", "arn:a"), inline=2)),
            {"Roles": [nested_role("web")]},
            "arn:a arn:b",
            2,
        ),
        (dump(role_detail("web")), dump(role_detail("web")), "", 0),
        (dump(role_detail("web", attached=("arn:a",))), dump(role_detail("web", inline=1)), None, None),
    ],
)
def test_policies_that_are_known_beat_unknown_ones_and_those_that_differ_are_unknown(
    tmp_path: Path, one: dict[str, Any], two: dict[str, Any], attached: str | None, inline: int | None
) -> None:
    inventory = load(tmp_path, {"a.json": one, "b.json": two})
    assert (cell(inventory.roles, "attached_policies"), cell(inventory.roles, "inline_policy_count")) == (
        attached,
        inline,
    )
    if attached is None:
        assert (
            f"is 'arn:a' in GetAccountAuthorizationDetails in {tmp_path / 'a.json'} but empty in"
            in contradicted(inventory)["attached_policies", WEB]
        )


# Two known values that differ


@pytest.mark.parametrize(
    ("field", "column", "one", "two"),
    [
        ("Description", "description", "front", "rear"),
        ("MaxSessionDuration", "max_session_seconds", 3600, 7200),
        ("RoleId", "role_id", "AROAOLD", "AROANEW"),
        ("CreateDate", "created_at", "2024-05-01T09:00:00Z", "2025-05-01T09:00:00Z"),
    ],
)
@in_both_orders
def test_two_values_that_differ_leave_the_cell_missing_and_a_gap_that_tells_both(
    tmp_path: Path, names: tuple[str, str], field: str, column: str, one: str | int, two: str | int
) -> None:
    documents = {name: {"Roles": [nested_role("web") | {field: v}]} for name, v in zip(names, (one, two), strict=True)}
    inventory = load(tmp_path, documents)
    assert cell(inventory.roles, column) is None
    detail = contradicted(inventory)[column, WEB]
    said = (str(value)[:10] for value in (one, two))
    assert all(text in detail for text in (*said, str(tmp_path / "a.json"), str(tmp_path / "b.json")))


def test_a_third_source_does_not_settle_what_two_contradict(tmp_path: Path) -> None:
    documents = {
        f"{i}.json": {"Roles": [nested_role("web", Description=d)]} for i, d in enumerate(("a", "b", "a", "a"))
    }
    inventory = load(tmp_path, documents)
    assert cell(inventory.roles, "description") is None
    assert list(contradicted(inventory)) == [("description", WEB)]


def test_a_contradiction_on_one_role_leaves_the_others_alone(tmp_path: Path) -> None:
    documents = {
        name: {"Roles": [nested_role("web", Description=name), nested_role("batch", Description="batch")]}
        for name in ("a.json", "b.json")
    }
    inventory = load(tmp_path, documents)
    assert inventory.roles.set_index("role_arn")["description"].dropna().to_dict() == {BATCH: "batch"}
    assert list(contradicted(inventory)) == [("description", WEB)]


@pytest.mark.parametrize("kind", ["role", "profile"])
@pytest.mark.parametrize(
    ("one", "two", "told"),
    [
        ({"owner": "ops"}, {"owner": "dev"}, ["owner=ops", "owner=dev"]),
        ({"owner": "ops"}, {}, ["owner=ops", "none"]),
        ({}, {"owner": "ops"}, ["owner=ops", "none"]),
        ({"owner": "ops"}, {"owner": "ops", "team": "x"}, ["owner=ops in", "owner=ops, team=x in"]),
        ({"owner": "ops"}, {"Owner": "ops"}, ["owner=ops", "Owner=ops"]),
    ],
)
def test_tags_that_differ_are_left_unknown_with_a_gap_that_tells_both(
    tmp_path: Path, kind: str, one: dict[str, str], two: dict[str, str], told: list[str]
) -> None:
    got = got_role if kind == "role" else got_profile
    inventory = load(tmp_path, {"a.json": got(Tags=tag_list(one)), "b.json": got(Tags=tag_list(two))})
    frame, arn = (inventory.roles, WEB) if kind == "role" else (inventory.profiles, WEB_PROFILE)
    assert cell(frame, "tags_known") is False
    assert len(inventory.tags) == 0
    detail = contradicted(inventory)["tags", arn]
    assert all(text in detail for text in (*told, str(tmp_path / "a.json"), str(tmp_path / "b.json")))


def test_a_tag_listing_that_differs_from_get_instance_profile_leaves_tags_unknown(tmp_path: Path) -> None:
    documents = {
        "profile.json": got_profile(Tags=tag_list({"owner": "ops"})),
        "instance-profile-tags/web.json": {"Tags": []},
    }
    inventory = load(tmp_path, documents)
    assert cell(inventory.profiles, "tags_known") is False
    assert ("tags", WEB_PROFILE) in contradicted(inventory)


def test_tags_that_one_source_lacks_are_not_contradicted(tmp_path: Path) -> None:
    listing = {"Roles": [nested_role("web", Tags=[])]}
    inventory = load(tmp_path, {"a.json": got_role(Tags=tag_list({"owner": "ops"})), "b.json": listing})
    assert cell(inventory.roles, "tags_known") is True
    assert contradicted(inventory) == {}


HELD_BY = {
    "empty by one source, and held by another": (got_profile(), got_profile(nested_role("web")), [WEB]),
    "two roles by two sources": (got_profile(nested_role("web")), got_profile(nested_role("batch")), [WEB, BATCH]),
    "a role whose own list lacks the profile": (
        dump(role_detail("web")),
        profile_list(profile("web", nested_role("web"))),
        [WEB],
    ),
    "beneath its role, and empty in the profile list": (
        dump(role_detail("web", [profile("web")])),
        profile_list(profile("web")),
        [WEB],
    ),
}


@in_both_orders
@pytest.mark.parametrize("case", HELD_BY)
def test_a_profile_whose_role_two_sources_contradict_is_left_unknown_with_a_gap_that_tells_both(
    tmp_path: Path, case: str, names: tuple[str, str]
) -> None:
    one, other, roles = HELD_BY[case]
    inventory = load(tmp_path, {names[0]: one, names[1]: other})
    assert (cell(inventory.profiles, "role_known"), len(inventory.links)) == (False, 0)
    said = contradicted(inventory)
    assert set(said) == {("GetInstanceProfile", WEB_PROFILE)} | {
        ("ListInstanceProfilesForRole", role) for role in roles
    }
    detail = said["GetInstanceProfile", WEB_PROFILE]
    told = [
        *roles,
        *(["no role"] if case.startswith("empty") else []),
        str(tmp_path / "a.json"),
        str(tmp_path / "b.json"),
    ]
    assert [text for text in told if text not in detail] == []


def test_a_dump_and_a_profile_list_that_agree_are_no_contradiction(tmp_path: Path) -> None:
    held = profile("web", nested_role("web"))
    inventory = load(tmp_path, {"a.json": dump(role_detail("web", [held])), "b.json": profile_list(held)})
    assert list(inventory.links["role_arn"]) == [WEB]
    assert contradicted(inventory) == {}
    assert completeness(inventory)[["roles_whole", "profiles_whole"]].values.tolist() == [[True, True]]


def test_a_role_name_and_the_arn_that_it_means_are_no_contradiction(tmp_path: Path) -> None:
    listed = profile_list(profile("web", nested_role("web")))
    inventory = load(tmp_path, {"x.tfstate": state_of_profile(role="WEB"), "p.json": listed})
    assert list(inventory.links["role_arn"]) == [WEB]
    assert contradicted(inventory) == {}


def test_trust_policies_that_differ_leave_the_trust_unknown_with_a_gap_that_tells_both(tmp_path: Path) -> None:
    one, two = (nested_role("web", policy=trust(s)) for s in ("ec2.amazonaws.com", "lambda.amazonaws.com"))
    inventory = load(tmp_path, {"a.json": {"Roles": [one]}, "b.json": {"Roles": [two]}})
    assert cell(inventory.roles, "trust_policy") is None
    assert (cell(inventory.roles, "trusts_ec2"), cell(inventory.roles, "trusted_services")) == ("unknown", None)
    detail = contradicted(inventory)["trust_policy", WEB]
    assert '"ec2.amazonaws.com"' in detail
    assert '"lambda.amazonaws.com"' in detail


# The same again, and in another order


def files() -> dict[str, Any]:
    """Return files that complete and contradict one another."""
    return {
        "dump.json": dump(
            role_detail("web", [profile("web", nested_role("web"))], tags={"owner": "ops"}), role_detail("batch")
        ),
        "roles.json": {"Roles": [nested_role("web", Description="front"), nested_role("batch", Description="nightly")]},
        "role.json": got_role(Description="rear", Tags=tag_list({"owner": "dev"})),
        "profiles.json": profile_list(
            profile("web", nested_role("web")), profile("batch", nested_role("batch")), profile("old")
        ),
        "identity.json": identity(),
    }


def test_loading_a_file_twice_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, files())
    paths = [tmp_path / name for name in files()]
    same(load_files(*paths), load_files(*paths, *paths))


def test_a_copy_of_a_file_changes_nothing_of_what_is_known(tmp_path: Path) -> None:
    write(tmp_path, {"dump.json": files()["dump.json"], "profiles.json": profile_list(profile("old"))})
    once = load_files(tmp_path)
    shutil.copy(tmp_path / "dump.json", tmp_path / "copy.json")
    twice = load_files(tmp_path)
    for name in ("accounts", "roles", "profiles", "links", "tags", "references", "gaps"):
        pd.testing.assert_frame_equal(once.frames[name], twice.frames[name], obj=name)


def orders() -> list[tuple[str, ...]]:
    """Orders of the files, so few that each three of them still stand in each order that three can have."""
    left, chosen = set(itertools.permutations(files(), 3)), []
    every = list(itertools.permutations(files()))
    while left:
        chosen.append(max(every, key=lambda order: len(left & set(itertools.combinations(order, 3)))))
        left -= set(itertools.combinations(chosen[-1], 3))
    return chosen


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Inventory]:
    """The folder of those files, and what they say in the order in which they stand above."""
    folder = write(tmp_path_factory.mktemp("files"), files())
    return folder, load_files(*(folder / name for name in files()))


@pytest.mark.parametrize("order", orders(), ids=" ".join)
def test_the_order_of_the_files_does_not_matter(written: tuple[Path, Inventory], order: tuple[str, ...]) -> None:
    folder, expected = written
    same(expected, load_files(*(folder / name for name in order)))


def test_an_account_that_another_names_has_its_sources_in_one_order_however_they_are_named(tmp_path: Path) -> None:
    theirs = profile("web", account="000000000002")
    write(tmp_path, {"a.json": dump(role_detail("web", [theirs])), "b.json": profile_list(profile("jobs"))})
    found = load_files(tmp_path / "b.json", tmp_path / "a.json")
    assert list(found.accounts["account_id"]) == ["000000000001", "000000000002"]
    assert list(found.accounts["source"]) == [f"{tmp_path / 'a.json'} {tmp_path / 'b.json'}"] * 2


def test_the_order_of_the_documents_in_a_file_does_not_matter(tmp_path: Path) -> None:
    names = ["c", "a", "b"]
    one = load(tmp_path / "one", {"r.json": {"Roles": [nested_role(n) for n in names]}})
    two = load(tmp_path / "two", {"r.json": {"Roles": [nested_role(n) for n in sorted(names)]}})
    assert list(one.roles["role_name"]) == ["a", "b", "c"]
    pd.testing.assert_frame_equal(one.roles, two.roles)


def test_two_whole_lists_that_differ_are_not_of_one_time_and_only_the_one_that_has_all_is_whole(tmp_path: Path) -> None:
    documents = {"new.json": profile_list(profile("a"), profile("b")), "old.json": profile_list(profile("a"))}
    inventory = load(tmp_path, documents)
    assert list(inventory.profiles["profile_name"]) == ["a", "b"]
    assert list(inventory.calls["state"]) == ["partial"]
    old = f"the list from ListInstanceProfiles in {tmp_path / 'old.json'} has 1 resource"
    assert inventory.gaps["detail"].str.startswith(f"{old}, but all files together have 2, ").any()


def test_a_list_of_none_is_not_whole_where_a_role_shows_a_profile(tmp_path: Path) -> None:
    web = role_detail("web", [profile("web")])
    inventory = load(tmp_path, {"profiles.json": profile_list(), "dump.json": dump(web), "who.json": identity()})
    lists = completeness(inventory)
    assert lists["profiles_whole"].tolist() == [False]
    (gap,) = inventory.gaps[inventory.gaps["reason"] == "contradicted"].to_dict("records")
    assert gap["detail"].startswith(
        "the list from ListInstanceProfiles has 0 resources, but all files together have 1, "
    )


def test_a_role_list_that_lacks_the_role_of_a_profile_is_not_whole(tmp_path: Path) -> None:
    documents = {"r.json": {"Roles": [nested_role("old")]}, "p.json": profile_list(profile("new", nested_role("new")))}
    lists = completeness(load(tmp_path, documents))
    assert lists[["roles_whole", "profiles_whole"]].to_numpy().tolist() == [[False, True]]


def test_what_terraform_remembers_takes_no_wholeness_from_a_list_of_aws(tmp_path: Path) -> None:
    files = {"r.json": {"Roles": [nested_role("web")]}, "s.tfstate": state_of(tf_role("gone"))}
    lists = completeness(load(tmp_path, files))
    assert list(lists["roles_whole"]) == [True]


TRAIL = {
    "Records": [
        event("2024-06-01T10:00:00Z", "DeleteInstanceProfile", instanceProfileName="web"),
        event("2024-06-01T10:00:00Z", "DeleteRole", roleName="db"),
        event("2024-06-01T10:00:00Z", "DeleteInstanceProfile", instanceProfileName="kept") | {"errorCode": "Denied"},
        event("2024-04-01T10:00:00Z", "DeleteInstanceProfile", instanceProfileName="again"),
    ]
}
REFUSED = "operation,subject,error_code\nListInstanceProfileTags,web,NoSuchEntity\nGetRole,db,NoSuchEntity\n"


@pytest.mark.parametrize(
    ("deletions", "message", "is_whole"),
    [
        # A command of the collect script met the deletion moments after the list.
        ({"denied.csv": REFUSED}, "gaps.deleted", True),
        # Since the list, other profiles may have been created.
        ({"trail.json": TRAIL}, "gaps.outdated", False),
    ],
)
def test_what_was_deleted_after_it_was_listed_is_left_out(
    tmp_path: Path, deletions: dict[str, Any], message: str, is_whole: bool
) -> None:
    held = profile("db", nested_role("db"))
    listed = profile_list(profile("web", Tags=tag_list({"a": "b"})), held, profile("kept"), profile("again"))
    roles = dump(role_detail("db", [held], tags={"a": "b"}), role_detail("other"))
    inventory = load(tmp_path, {"list.json": listed, "dump.json": roles} | deletions)
    assert inventory.profiles["profile_name"].tolist() == ["again", "db", "kept"]
    assert inventory.roles["role_name"].tolist() == ["other"]
    assert (len(inventory.links), len(inventory.tags)) == (0, 0)
    found = run_checks(inventory, only="empty_profiles")
    assert found.findings["resource_name"].tolist() == ["again", "kept"]
    assert found.coverage["status"].tolist() == ["partial"]
    assert completeness(inventory)["profiles_whole"].tolist() == [is_whole]
    vanished = inventory.gaps[inventory.gaps["message"] == message]
    assert [detail.split()[0].split(":", 5)[5] for detail in vanished["detail"]] == ["instance-profile/web", "role/db"]


def test_what_has_another_id_than_the_deleted_one_is_kept(tmp_path: Path) -> None:
    created = event("2024-05-01T09:00:05Z", "CreateInstanceProfile", instanceProfileName="web") | {
        "responseElements": {"instanceProfile": {"arn": WEB_PROFILE, "instanceProfileId": "AIPAOLD"}}
    }
    inventory = load(tmp_path, {"trail.json": {"Records": [created, TRAIL["Records"][0]]}, "p.json": LISTED_WEB})
    assert inventory.profiles["profile_id"].tolist() == ["AIPAWEB"]


LISTED_WEB = profile_list(profile("web"))


def test_two_profiles_of_one_name_are_of_different_times_and_neither_is_judged(tmp_path: Path) -> None:
    documents = {
        "old.json": profile_list(profile("web")),
        "new.json": profile_list(profile("WEB", nested_role("app"), "/app/")),
        "tags.json": {"InstanceProfile": profile("web", Tags=[])},
    }
    inventory = load(tmp_path, documents)
    moved = WEB_PROFILE.replace("web", "app/WEB")
    details = contradicted(inventory)
    assert (
        f" and {moved} have the same name, but an account cannot have two profiles or two roles with one name"
        in details["GetInstanceProfile", WEB_PROFILE]
    )
    assert ("GetInstanceProfile", moved) in details
    assert not inventory.profiles[["role_known", "tags_known"]].any(axis=None)
    assert inventory.links.empty
    assert run_checks(inventory).findings.empty


def test_two_roles_of_one_name_are_of_different_times_and_neither_is_judged(tmp_path: Path) -> None:
    statement = {"Effect": "Allow", "Principal": {"AWS": "AROAEXAMPLEGONE00001"}, "Action": "sts:AssumeRole"}
    old = role_detail("web", policy={"Version": "2012-10-17", "Statement": [statement]}, Tags=[])
    inventory = load(tmp_path, {"old.json": dump(old), "new.json": dump(role_detail("web", path="/app/"))})
    assert {("GetRole", WEB), ("GetRole", WEB.replace("web", "app/web"))} <= set(contradicted(inventory))
    assert not inventory.roles["tags_known"].any()
    assert (set(inventory.roles["trusts_ec2"]), inventory.roles["trust_policy"].count()) == ({"unknown"}, 0)
    result = run_checks(inventory)
    assert result.findings.empty
    assert "complete" not in set(result.coverage.query("check == 'deleted_trust_principals'")["status"])


def test_the_tags_and_links_of_a_role_and_profile_that_were_recreated_between_two_answers_are_unknown(
    tmp_path: Path,
) -> None:
    documents = {
        "old.json": dump(role_detail("web", RoleId="AROAOLD", Tags=[])),
        "new.json": got_role(RoleId="AROANEW"),
        "profiles.json": profile_list(profile("web", InstanceProfileId="AIPAOLD")),
        "profile.json": got_profile(InstanceProfileId="AIPANEW", Tags=[]),
    }
    inventory = load(tmp_path, documents)
    assert {("role_id", WEB), ("profile_id", WEB_PROFILE)} <= set(contradicted(inventory))
    assert not inventory.roles["tags_known"].any()
    assert inventory.roles["trusts_ec2"].item() == "unknown"
    assert not inventory.profiles[["role_known", "tags_known"]].any(axis=None)
    result = run_checks(inventory)
    assert result.findings.empty
    assert "complete" not in set(result.coverage.loc[result.coverage["check"] == "untagged_roles", "status"])


# One file that says two things


def said_twice(tmp_path: Path, document: dict[str, Any]) -> tuple[Inventory, dict[tuple[str, str], str]]:
    """Load one document, and return what it contradicts."""
    inventory = load(tmp_path, {"one.json": document})
    return inventory, contradicted(inventory)


@pytest.mark.parametrize("other", [profile("web"), profile("web", nested_role("db"))])
def test_a_profile_that_comes_twice_with_other_roles_holds_what_nobody_knows(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    inventory, said = said_twice(tmp_path, profile_list(profile("web", nested_role("web")), other))
    assert (cell(inventory.profiles, "role_known"), len(inventory.links)) == (False, 0)
    detail = said["GetInstanceProfile", WEB_PROFILE]
    assert "role/web in" in detail
    assert ("role/db in" if other["Roles"] else "no role in") in detail


def test_a_role_that_comes_twice_with_other_tags_has_tags_that_nobody_knows(tmp_path: Path) -> None:
    roles = [role_detail("web", tags={"owner": "ops"}), role_detail("web", tags={"owner": "dev"})]
    inventory, said = said_twice(tmp_path, dump(*roles))
    assert (cell(inventory.roles, "tags_known"), len(inventory.tags)) == (False, 0)
    assert "are owner=ops in" in said["tags", WEB]
    assert "owner=dev in" in said["tags", WEB]


def test_a_role_that_comes_twice_with_other_profiles_is_in_ones_that_nobody_knows(tmp_path: Path) -> None:
    inventory, said = said_twice(tmp_path, dump(role_detail("web", [profile("web")]), role_detail("web")))
    assert cell(inventory.profiles, "role_known") is False
    assert len(inventory.links) == 0
    assert set(said) == {("GetInstanceProfile", WEB_PROFILE), ("ListInstanceProfilesForRole", WEB)}


def test_a_profile_beneath_two_roles_holds_what_nobody_knows(tmp_path: Path) -> None:
    inventory, said = said_twice(
        tmp_path, dump(role_detail("web", [profile("web")]), role_detail("batch", [profile("web")]))
    )
    assert cell(inventory.profiles, "role_known") is False
    assert "role/web in" in said["GetInstanceProfile", WEB_PROFILE]
    assert "role/batch in" in said["GetInstanceProfile", WEB_PROFILE]


def test_what_comes_twice_and_is_the_same_is_no_contradiction(tmp_path: Path) -> None:
    twice = [role_detail("web", [profile("web")], tags={"owner": "ops"})] * 2
    inventory, said = said_twice(tmp_path, dump(*twice))
    assert said == {}
    assert (len(inventory.roles), len(inventory.links), list(inventory.tags["tag_value"])) == (1, 1, ["ops"])


@pytest.mark.parametrize("beside", [{}, {"role-tags/web.json": {"Tags": tag_list({"owner": "ops"})}}])
def test_a_key_that_comes_twice_in_one_list_of_tags_leaves_them_unknown(tmp_path: Path, beside: dict[str, Any]) -> None:
    tags = [{"Key": "owner", "Value": "ops"}, {"Key": "owner", "Value": "dev"}, {"Key": "env", "Value": "prod"}]
    inventory = load(tmp_path, {"dump.json": dump(role_detail("web") | {"Tags": tags})} | beside)
    assert (cell(inventory.roles, "tags_known"), len(inventory.tags)) == (False, 0)
    detail = contradicted(inventory)["tags", WEB]
    assert "owner=dev" in detail
    assert "owner=ops" in detail


def test_a_tag_that_comes_twice_and_is_the_same_is_one_tag(tmp_path: Path) -> None:
    tags = [{"Key": "owner", "Value": "ops"}] * 2
    inventory, said = said_twice(tmp_path, dump(role_detail("web") | {"Tags": tags}))
    assert (said, list(inventory.tags["tag_value"])) == ({}, ["ops"])


def test_each_role_that_any_answer_shows_in_a_doubted_profile_is_in_doubt(tmp_path: Path) -> None:
    """Three answers, three roles: none of them may be accused of being in no profile."""
    names = ("web", "batch", "db")
    files = {f"{name}.json": {"InstanceProfile": profile("web", nested_role(name))} for name in names}
    inventory = load(tmp_path, files | {"dump.json": dump(*map(role_detail, names))})
    said = contradicted(inventory)
    assert {subject for operation, subject in said if operation == "ListInstanceProfilesForRole"} == {
        f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in names
    }
    findings = run_checks(inventory).findings
    assert "ec2_roles_without_profile" not in set(findings["check"])


# Rows


def test_the_rows_that_links_and_tags_belong_to_are_those_of_the_inventorys_own_frames(tmp_path: Path) -> None:
    web, batch = role_detail("web", [profile("web")], tags={"a": "1"}), role_detail("batch", tags={"b": "2"})
    inventory = load(tmp_path, {"dump.json": dump(web, batch)})
    assert list(inventory.roles["role_name"]) == ["batch", "web"]
    rows = inventory.linked_rows
    assert (list(rows.link_role), list(rows.link_profile)) == ([1], [0])
    assert (list(rows.tag_role), list(rows.tag_profile)) == ([0, 1], [-1, -1])
    only_web = replace(inventory, roles=inventory.roles.iloc[[1]].reset_index(drop=True))
    assert list(only_web.linked_rows.tag_role) == [-1, 0]
    assert list(pickle.loads(pickle.dumps(inventory)).linked_rows.tag_role) == [0, 1]
