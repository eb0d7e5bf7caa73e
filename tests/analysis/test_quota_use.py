"""Who fills the quota: each role and profile counts once, by tool and owner; what was not read is unknown."""

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

import iamframe
from iamframe.practice import PracticeAccount
from iamframe.report.charts import quota_rows

NODES = "eks-08c968da-2d88-0096-4c82-1ee57490a6af"
SUMMARY = {"SummaryMap": {"Roles": 8, "RolesQuota": 100, "InstanceProfiles": 4, "InstanceProfilesQuota": 10}}
# An account of six roles and four profiles, by account, tool and owner: roles, profiles, empty, and shares in percent.
TRUTH = {
    ("EKS managed node group", "platform", "owned"): (1, 1, 0, 1, 10),
    (None, "ops", "owned"): (1, 1, 0, 1, 10),
    (None, None, "none"): (2, 1, 1, 2, 10),
    (None, None, "unread"): (0, 1, 0, 0, 10),
    (None, None, "aws"): (1, 0, 0, None, 0),
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
        ("EKS managed node group", None, "none"), (None, None, "none"), (None, None, "unread"), (None, None, "aws"),
        (None, None, "not_collected"),
    }  # fmt: skip


def test_without_the_quotas_shares_are_unknown_and_profiles_of_unknown_role_are_not_empty(tmp_path: Path) -> None:
    nothing = load(tmp_path, {"d.json": dump(role_detail("web", [profile("web")])), "t.json": tfstate("app", "gone")})
    use = iamframe.quota_use(nothing)
    assert use[["role_share", "profile_share"]].isna().all(axis=None)
    assert use["empty"].sum() == 0
    assert all(row.percent is None for row in quota_rows(use))


def tfstate(name: str, role: str) -> dict[str, Any]:
    """A state with one profile that names a role which nothing shows."""
    attributes = profile(name)
    held = {"arn": attributes["Arn"], "name": name, "path": "/", "role": role, "tags_all": {}}
    resource = {
        "mode": "managed",
        "type": "aws_iam_instance_profile",
        "name": "it",
        "instances": [{"attributes": held}],
    }
    return {"version": 4, "terraform_version": "1.9.0", "resources": [resource]}


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
    assert f"10 of {len(rows)} rows, all in quota_use.csv" in page
    assert "iamframe.quota_use" in iamframe.CHECKS["quota_pressure"].remediation
