"""Findings and quota use by owner: the tag of the resource, else of its role; what was not read is unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from accounts import add
from accounts import load as load_account
from builders import (
    ACCOUNT,
    dump,
    identity,
    load,
    nested_role,
    profile,
    profile_list,
    role_detail,
    sample_result,
    tag_list,
)
from click.testing import CliRunner
from terraform import state_of_profile

import iamframe
from iamframe.checks.owner import owner_keys
from iamframe.errors import ReportError
from iamframe.inventory import schema
from iamframe.practice import PracticeAccount
from iamframe.report.numbers import QuotaRow, quota_rows
from iamframe.ui.cli import app

# Findings


def result_of(folder: Path, *profiles: dict[str, Any], **tags: dict[str, str]) -> iamframe.Result:
    """Profiles whose tags are as named, each beside its file; those that are not named were not read."""
    documents: dict[str, Any] = {"profiles.json": profile_list(*profiles)}
    for one in profiles:
        name = one["InstanceProfileName"]
        if name in tags:
            whole = one | {"Tags": tag_list(tags[name])}
            documents[f"{name}.json"] = {"InstanceProfile": whole}
    return iamframe.run_checks(load(folder, documents))


def told(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Owner, state and number of findings of each row."""
    rows = frame[["owner", "state", "findings"]].astype(object)
    return list(rows.where(rows.notna(), None).itertuples(index=False, name=None))


def test_an_owner_is_the_value_of_the_tag_on_the_resource(tmp_path: Path) -> None:
    found = result_of(
        tmp_path, profile("a"), profile("b"), profile("c"), a={"Owner": "web"}, b={"Owner": "web"}, c={"Owner": "db"}
    )
    assert set(found.findings["check"]) == {"empty_profiles"}
    owners = iamframe.findings_by_owner(found)
    assert told(owners) == [("web", "owned", 2), ("db", "owned", 1)]
    assert owners[["high", "medium", "low", "info"]].to_numpy().tolist() == [[0, 2, 0, 0], [0, 1, 0, 0]]
    assert list(owners.columns) == schema.FINDINGS_BY_OWNER.names


def test_an_owner_may_be_named_by_any_letters(tmp_path: Path) -> None:
    names = ["a\x1fb", "\x1fhigh", "部門", "none"]
    values = {f"p{number}": {"Owner": name} for number, name in enumerate(names)}
    found = result_of(tmp_path, *map(profile, values), **values)
    assert {owner for owner, state, _ in told(iamframe.findings_by_owner(found)) if state == "owned"} == set(names)


def test_what_has_no_owner_tag_or_an_empty_one_has_no_owner(tmp_path: Path) -> None:
    found = result_of(tmp_path, profile("a"), profile("b"), a={"Team": "x"}, b={"Owner": ""})
    assert told(iamframe.findings_by_owner(found)) == [(None, "none", 2)]


def test_what_was_not_read_is_never_without_an_owner(tmp_path: Path) -> None:
    found = result_of(tmp_path, profile("a"), profile("b"), b={"Team": "x"})
    assert told(iamframe.findings_by_owner(found)) == [(None, "none", 1), (None, "unread", 1)]


def linked(folder: Path, of_profile: dict[str, str] | None, of_role: dict[str, str]) -> iamframe.Result:
    """A profile and its role, which differ in name."""
    one = profile("web", nested_role("portal"))
    documents = {"profiles.json": profile_list(one), "roles.json": dump(role_detail("portal", [one], of_role))}
    if of_profile is not None:
        documents["web.json"] = {"InstanceProfile": one | {"Tags": tag_list(of_profile)}}
    return iamframe.run_checks(load(folder, documents), only="name_mismatches")


def test_a_profile_without_the_tag_is_its_roles_owners(tmp_path: Path) -> None:
    found = linked(tmp_path, {"Team": "x"}, {"Owner": "web"})
    assert told(iamframe.findings_by_owner(found)) == [("web", "owned", 1)]


def test_the_profiles_own_tag_goes_before_its_roles(tmp_path: Path) -> None:
    found = linked(tmp_path, {"Owner": "ops"}, {"Owner": "web"})
    assert told(iamframe.findings_by_owner(found)) == [("ops", "owned", 1)]


def test_a_profile_whose_tags_were_not_read_may_have_an_owner_that_its_role_lacks(tmp_path: Path) -> None:
    found = linked(tmp_path, None, {"Team": "x"})
    assert told(iamframe.findings_by_owner(found)) == [(None, "unread", 1)]


def test_a_finding_about_the_profile_alone_has_the_owner_of_the_role_in_it() -> None:
    found = iamframe.run_checks(iamframe.load_sample(), only="untagged_profiles")
    mine = found.findings[found.findings["resource_name"] == "legacy-ftp"]
    assert mine["related_arn"].isna().all()
    owners = iamframe.findings_by_owner(found)
    assert ("ops", "owned") in {(owner, state) for owner, state, _ in told(owners)}
    assert owners["findings"].sum() == len(found.findings)


def test_keys_that_read_alike_count_as_the_one_asked_for_and_that_one_goes_first(tmp_path: Path) -> None:
    found = result_of(tmp_path, profile("a"), profile("b"), a={"owner": "web"}, b={"owner": "web", "Owner": "db"})
    assert owner_keys(found.inventory) == ["Owner", "owner"]
    assert told(iamframe.findings_by_owner(found)) == [
        ("db", "owned", 1),
        ("web", "owned", 1),
        (None, "account", 1),  # the two keys themselves
    ]
    assert told(iamframe.findings_by_owner(found, "owner"))[0] == ("web", "owned", 2)


def test_another_key_can_name_the_owner(tmp_path: Path) -> None:
    found = result_of(tmp_path, profile("a"), a={"cost-center": "4711"})
    assert told(iamframe.findings_by_owner(found, "CostCenter")) == [("4711", "owned", 1)]


def test_accepted_findings_are_left_out(tmp_path: Path) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:instance-profile/a"
    policy = tmp_path / "policy.toml"
    policy.write_text(f'[[accepted]]\ncheck = "empty_profiles"\nresource_arn = "{arn}"\nreason = "kept"\n')
    inventory = result_of(tmp_path / "in", profile("a"), profile("b"), a={"Owner": "web"}, b={"Owner": "web"}).inventory
    found = iamframe.run_checks(inventory, only="empty_profiles", policy=policy)
    assert found.findings["accepted"].notna().tolist() == [True, False]
    assert told(iamframe.findings_by_owner(found)) == [("web", "owned", 1)]


def test_every_finding_of_the_sample_is_counted_once() -> None:
    found = sample_result()
    owners = iamframe.findings_by_owner(found)
    assert owners["findings"].sum() == len(found.findings)
    for severity in ("high", "medium", "low", "info"):
        assert owners[severity].sum() == (found.findings["severity"] == severity).sum()


def test_without_findings_there_is_no_row() -> None:
    found = iamframe.run_checks(iamframe.load_sample(), only="missing_required_tags")
    pd.testing.assert_frame_equal(iamframe.findings_by_owner(found), schema.FINDINGS_BY_OWNER.empty())


@pytest.mark.parametrize("command", [["report", "--out", "out"], ["check"]])
def test_an_owner_tag_without_a_name_is_refused(tmp_path: Path, command: list[str]) -> None:
    done = CliRunner().invoke(app, [*command, "sample", "--owner-tag", " "])
    assert (done.exit_code, "Invalid value for '--owner-tag': is empty" in done.stderr) == (2, True)
    with pytest.raises(
        ReportError, match=r"^owner_tag=' ': is the key of no tag; name the one whose values are owners$"
    ):
        iamframe.write_report(iamframe.run_checks(iamframe.load_sample()), tmp_path / "out", owner_tag=" ")
    assert not (tmp_path / "out").exists()


# Quota use

NODES = "eks-08c968da-2d88-0096-4c82-1ee57490a6af"
SUMMARY = {"SummaryMap": {"Roles": 8, "RolesQuota": 100, "InstanceProfiles": 4, "InstanceProfilesQuota": 10}}
# An account of six roles and four profiles, by account, tool and owner: roles, profiles, empty, and shares in percent.
TRUTH = {
    ("EKS managed node groups", "platform", "owned"): (1, 1, 0, 1, 10),
    (None, "ops", "owned"): (1, 1, 0, 1, 10),
    (None, None, "none"): (2, 1, 1, 2, 10),
    (None, None, "unread"): (0, 1, 0, 0, 10),
    (None, None, "aws"): (1, 0, 0, 1, 0),
    # GetAccountSummary counts eight roles.
    (None, None, "not_collected"): (3, 0, 0, 3, 0),
}


def documents() -> dict[str, Any]:
    nodes, web = nested_role("nodes"), nested_role("web")
    linked = (profile(NODES, nodes), profile("web", web), profile("old"), profile("secret", None))
    roles = (
        role_detail("nodes", [profile(NODES)], {"Owner": "platform"}),
        role_detail("web", [profile("web")], {"owner": "ops"}),
        role_detail("lambda", policy={"Version": "2012-10-17", "Statement": []}),
        role_detail("spare", tags={"Owner": ""}),
        role_detail("AWSServiceRoleForSupport", path="/aws-service-role/support.amazonaws.com/"),
    )
    tagged = {f"{name}.json": {"InstanceProfile": profile(name, Tags=[])} for name in ("old",)}
    tagged |= {
        f"{name}.json": {"InstanceProfile": profile(name, role, Tags=tag_list({}))}
        for name, role in ((NODES, nodes), ("web", web))
    }
    base = {"i.json": identity(), "p.json": profile_list(*linked), "d.json": dump(*roles), "s.json": SUMMARY}
    return base | tagged


def used(frame: pd.DataFrame) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return {
        (row["maker"], row["owner"], row["state"]): (
            row["roles"],
            row["profiles"],
            row["empty"],
            *(None if row[share] is None else round(100 * row[share]) for share in ("role_share", "profile_share")),
        )
        for row in rows
    }


def test_each_role_and_profile_counts_once_under_its_tool_and_owner(tmp_path: Path) -> None:
    inventory = load(tmp_path, documents())
    use = iamframe.quota_use(inventory)
    assert used(use) == TRUTH | {(None, None, "unread"): (0, 1, 1, 0, 10)}
    assert use["account_id"].eq(ACCOUNT).all()
    pd.testing.assert_frame_equal(use, iamframe.quota_use(iamframe.run_checks(inventory)))
    # The largest share of a quota comes first.
    assert use["profile_share"].iloc[:4].tolist() == [0.1] * 4
    assert used(iamframe.quota_use(inventory, "Team")).keys() == {
        ("EKS managed node groups", None, "none"), (None, None, "none"), (None, None, "unread"), (None, None, "aws"),
        (None, None, "not_collected"),
    }  # fmt: skip


def test_without_the_quotas_shares_are_unknown_and_profiles_of_unknown_role_are_not_empty(tmp_path: Path) -> None:
    state = state_of_profile("app", "gone", tags_all={})
    nothing = load(tmp_path, {"d.json": dump(role_detail("web", [profile("web")])), "t.json": state})
    use = iamframe.quota_use(nothing)
    assert use[["role_share", "profile_share"]].isna().all(axis=None)
    assert use["empty"].sum() == 0
    assert all(row.percent is None for row in quota_rows(use))


@pytest.mark.parametrize(("share", "percent"), [(0.0, 0), (0.001, 1), (0.29, 29), (0.996, 99), (1.0, 100), (1.2, 100)])
def test_a_quota_that_is_nearly_full_is_not_shown_as_full(share: float, percent: int) -> None:
    row = QuotaRow("123456789012", None, None, None, None, None, "owned", 1, 1, 0, share)
    assert row.percent == percent


def test_profiles_count_by_cluster_and_a_role_belongs_to_the_cluster_of_all_its_profiles(tmp_path: Path) -> None:
    prod, staging = nested_role("prod"), nested_role("shared")
    of = {
        "prod_1193844207756120033": ("prod", prod), "prod_8720145566123907754": ("prod", staging),
        "staging_5502918374650192837": ("staging", staging),
    }  # fmt: skip
    listed = [
        profile(name, role, path=f"/karpenter/eu-west-1/{cluster}/b7d41e90-3c1d-4f5e-9a7b-2d8c6e4f0a1b/")
        for name, (cluster, role) in of.items()
    ]
    roles = [role_detail("prod", [listed[0]]), role_detail("shared", listed[1:])]
    clusters = {"eu-west-1/eks.json": {"clusters": ["prod"]}}
    documents = {"i.json": identity(), "p.json": profile_list(*listed), "d.json": dump(*roles), **clusters}
    use = iamframe.quota_use(load(tmp_path, documents))
    of_what = [f"owner_{name}" for name in ("type", "name", "region", "status")]
    filled = use.assign(**use[of_what].fillna(""))
    assert filled.groupby(of_what)[["roles", "profiles"]].sum().apply(tuple, axis=1).to_dict() == {
        ("eks-cluster", "prod", "eu-west-1", "living"): (1, 2),
        ("eks-cluster", "staging", "eu-west-1", "gone"): (0, 1),
        ("", "", "", ""): (1, 0),
    }


@pytest.mark.parametrize("denied", ["", "GetAccountSummary", "ListInstanceProfiles", "tags"])
def test_of_a_live_account_what_is_denied_is_unknown(denied: str) -> None:
    with PracticeAccount(regions=("us-east-1",)) as account:
        add(account, "web", "web", Owner="ops")
        add(account, "old")
        for operation in (
            ("GetInstanceProfile", "ListInstanceProfileTags") if denied == "tags" else filter(None, [denied])
        ):
            account.deny(operation)
        use = iamframe.quota_use(load_account(account))
    expected: dict[tuple[Any, ...], tuple[int, int, int]] = {
        (None, "ops", "owned"): (0, 1, 0), (None, None, "none"): (1, 1, 1),
    }  # fmt: skip
    if denied == "ListInstanceProfiles":
        # The summary counts the profile that only that list shows.
        expected = {(None, "ops", "owned"): (0, 1, 0), (None, None, "none"): (1, 0, 0)}
        expected |= {(None, None, "not_collected"): (0, 1, 0)}
    elif denied == "tags":
        expected = {(None, None, "none"): (1, 0, 0), (None, None, "unread"): (0, 2, 1)}
    assert {key: counts[:3] for key, counts in used(use).items()} == expected
    assert use["profile_share"].isna().all() == (denied == "GetAccountSummary")


def test_the_sample_s_page_and_file_say_who_fills_the_quota(tmp_path: Path) -> None:
    sample_result().write(tmp_path)
    rows = pd.read_csv(tmp_path / "quota_use.csv", dtype={"account_id": str})
    assert (rows["roles"].sum(), rows["profiles"].sum()) == tuple(
        len(getattr(sample_result().inventory, name)) for name in ("roles", "profiles")
    )
    page = (tmp_path / "report.html").read_text("utf-8")
    assert f"10 of {len(rows)} rows (all rows: quota_use.csv)" in page
    assert "iamframe.quota_use" in iamframe.CHECKS["quota_pressure"].remediation
