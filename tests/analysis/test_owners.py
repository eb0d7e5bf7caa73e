"Findings by owner: the tag of the resource, else of its role, and never nobody's where nobody has read."

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import ACCOUNT, dump, load, nested_role, profile, profile_list, role_detail, sample_result, tag_list
from click.testing import CliRunner

import iamframe
from iamframe.checks.owner import owner_keys
from iamframe.errors import ReportError
from iamframe.inventory import schema
from iamframe.ui.cli import app


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
