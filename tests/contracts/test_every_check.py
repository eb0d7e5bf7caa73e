"""What holds of every check, whatever it looks for."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
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
from iamframe import CHECKS, Inventory, run_checks
from iamframe.checks.registry import check
from iamframe.errors import UnknownCheckError
from iamframe.inventory import schema, views
from iamframe.inventory.completeness import completeness
from iamframe.inventory.views import owned_profiles
from iamframe.knowledge.policies import POWERS
from iamframe.messages.text import SEVERITIES

TESTS = Path(__file__).parents[1]
POLICY = TESTS.parent / "data" / "tag-policy.toml"
STATUSES = {"complete", "partial", "unknown"}

every_check = pytest.mark.parametrize("name", CHECKS)


@pytest.fixture(scope="module")
def sample() -> Inventory:
    return iamframe.load_sample()


@pytest.fixture(scope="module")
def result(sample: Inventory) -> iamframe.Result:
    return run_checks(sample, policy=POLICY)


@pytest.fixture(scope="module")
def empty_account(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    """An account that was read whole and holds nothing."""
    summary = {"SummaryMap": {"Roles": 0, "RolesQuota": 1000, "InstanceProfiles": 0, "InstanceProfilesQuota": 1000}}
    region = {"i": "Reservations", "v": "LaunchTemplateVersions", "c": "LaunchConfigurations", "g": "AutoScalingGroups"}
    documents: dict[str, Any] = {"id.json": identity(), "s.json": summary, "d.json": dump(), "p.json": profile_list()}
    documents |= {f"eu-west-1/{name}.json": {key: []} for name, key in region.items()}
    folder = tmp_path_factory.mktemp("empty")
    return load(folder, {f"{ACCOUNT}/{name}": document for name, document in documents.items()})


@pytest.fixture(scope="module")
def nothing() -> Inventory:
    """No account at all."""
    return Inventory(**{name: frame.empty() for name, frame in schema.FRAMES.items()})


@pytest.fixture(scope="module")
def unknown(sample: Inventory) -> Inventory:
    """The sample as if neither tags nor links nor trust had been read."""
    roles = sample.roles.assign(tags_known=False, trusts_ec2="unknown", trust_policy=np.nan, trusted_services=np.nan)
    return replace(
        sample,
        roles=schema.ROLES.conform(roles),
        profiles=sample.profiles.assign(tags_known=False, role_known=False),
        links=schema.LINKS.empty(),
        tags=schema.TAGS.empty(),
    )


def test_a_result_that_another_process_receives_has_the_same_findings_summary_and_checks(
    result: iamframe.Result,
) -> None:
    received = pickle.loads(pickle.dumps(result))
    pd.testing.assert_frame_equal(received.findings, result.findings)
    pd.testing.assert_frame_equal(received.summary, result.summary)
    assert received.asked == result.asked


@every_check
def test_a_check_is_silent_on_an_empty_account(name: str, empty_account: Inventory) -> None:
    result = run_checks(empty_account, only=[name], policy=POLICY)
    pd.testing.assert_frame_equal(result.findings, schema.FINDINGS.empty())
    assert result.coverage[["account_id", "check"]].to_numpy().tolist() == [[ACCOUNT, name]]


def test_where_no_account_could_be_told_no_check_is_complete(nothing: Inventory) -> None:
    assert repr(iamframe.run_checks(nothing)) == f"Result(0 findings; none of {len(CHECKS)} checks had complete data)"
    for lang, says in (("en", "no account was checked"), ("ja", "チェックしたアカウントはありません")):
        assert iamframe.run_checks(nothing, only=[next(iter(CHECKS))]).complete_in(lang) == says


@every_check
def test_a_check_is_silent_where_there_is_no_account(name: str, nothing: Inventory) -> None:
    result = run_checks(nothing, only=[name], policy=POLICY)
    pd.testing.assert_frame_equal(result.findings, schema.FINDINGS.empty())
    pd.testing.assert_frame_equal(result.coverage, schema.COVERAGE.empty())


@every_check
def test_a_check_has_a_title_without_a_full_stop_and_a_why(name: str) -> None:
    assert re.fullmatch(r"[A-Z].*[^.\s]", CHECKS[name].title)
    assert len(CHECKS[name].title.split()) <= 8
    assert len(CHECKS[name].why) > 20
    assert CHECKS[name].why.endswith(".")
    assert re.fullmatch(r"[A-Z].{15,}\.", CHECKS[name].remediation)


@every_check
def test_a_check_is_named_in_the_readme(name: str) -> None:
    assert f"`{name}`" in (TESTS.parent / "README.md").read_text(encoding="utf-8")


@every_check
def test_a_check_is_tested(name: str) -> None:
    tests = list((TESTS / "checks").glob("test_checks_*.py"))
    assert any(f'"{name}"' in path.read_text(encoding="utf-8") for path in tests)


@every_check
def test_a_check_never_changes_what_it_reads(name: str, sample: Inventory) -> None:
    frames = sample.linked_rows.numbered() | {
        "pairs": views.numbered_pairs(sample),
        "lists": completeness(sample),
        "tag_coverage": views.tag_coverage(sample),
        "owned_profiles": owned_profiles(sample),
    }
    before = {read: frames[read].copy(deep=True) for read in CHECKS[name].reads}
    CHECKS[name].rule(*(frames[read] for read in CHECKS[name].reads))
    assert before.keys() == set(CHECKS[name].reads)
    for read, frame in before.items():
        pd.testing.assert_frame_equal(frames[read], frame)


def test_running_all_checks_never_changes_an_inventory(sample: Inventory) -> None:
    before = {name: frame.copy(deep=True) for name, frame in sample.frames.items()}
    run_checks(sample, policy=POLICY)
    for name, frame in before.items():
        pd.testing.assert_frame_equal(sample.frames[name], frame)
    assert len(before["roles"]) > 0


@every_check
def test_a_check_finds_something_in_the_sample(name: str, result: iamframe.Result) -> None:
    assert name in set(result.findings["check"])


ON_WHAT_IS_UNKNOWN = [
    "deleted_trust_principals", "ec2_roles_without_profile", "empty_profiles", "missing_required_tags",
    "profiles_without_ec2_trust", "tag_differences", "tag_key_variants", "untagged_profiles", "untagged_roles",
]  # fmt: skip


@pytest.mark.parametrize("name", ON_WHAT_IS_UNKNOWN)
def test_a_check_never_accuses_the_unknown(name: str, unknown: Inventory) -> None:
    result = run_checks(unknown, only=[name], policy=POLICY)
    pd.testing.assert_frame_equal(result.findings, schema.FINDINGS.empty())


@pytest.mark.parametrize(
    "name", [*ON_WHAT_IS_UNKNOWN, "crossed_names", "name_mismatches", "path_mismatches", "roles_in_many_profiles"]
)
def test_a_check_of_what_nobody_has_read_is_unknown_and_says_why(name: str, unknown: Inventory) -> None:
    coverage = run_checks(unknown, only=[name], policy=POLICY).coverage
    assert coverage["status"].tolist() == ["unknown"] * 3
    assert coverage["reason"].str.len().gt(30).all()


@pytest.mark.parametrize(
    "document",
    [
        {"Roles": [nested_role("a")]},
        profile_list(profile("a", nested_role("b"))),
        dump(role_detail("a", [profile("b")])),
        {"Role": nested_role("a")},
        {"InstanceProfile": profile("a")},
    ],
)
def test_every_account_and_check_has_a_status_and_a_reason_unless_it_is_complete(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    coverage = run_checks(load(tmp_path, {"x.json": document})).coverage
    assert coverage["check"].tolist() == list(CHECKS)
    assert set(coverage["account_id"]) == {ACCOUNT}
    assert set(coverage["status"]) <= STATUSES
    assert ((coverage["reason"] == "") == (coverage["status"] == "complete")).all()


@pytest.mark.parametrize("name", ["crossed_names", "deleted_trust_principals"])
def test_where_a_check_found_something_its_coverage_is_partial_at_least(tmp_path: Path, name: str) -> None:
    policy = {"Statement": {"Effect": "Allow", "Principal": {"AWS": "AROAGONE"}, "Action": "sts:AssumeRole"}}
    web, batch = nested_role("web", policy=policy), nested_role("batch")
    result = run_checks(load(tmp_path, {"p.json": profile_list(profile("batch", web), profile("x", batch))}), [name])
    assert result.findings["check"].tolist() == [name]
    assert result.coverage["status"].tolist() == ["partial"]


def test_findings_have_the_columns_and_types_of_the_schema(result: iamframe.Result) -> None:
    assert list(result.findings.columns) == schema.FINDINGS.names
    assert result.findings.dtypes.to_dict() == schema.FINDINGS.empty().dtypes.to_dict()
    pd.testing.assert_frame_equal(schema.FINDINGS.conform(result.findings), result.findings)


def test_findings_name_each_resource_and_related_resource_of_a_check_once(result: iamframe.Result) -> None:
    named = result.findings[result.findings["resource_arn"].notna()]
    assert not named.duplicated(["check", "resource_arn", "related_arn"]).any()
    assert set(result.findings["check"][result.findings["resource_arn"].isna()]) == {"tag_key_variants"}


def test_findings_are_sorted_by_severity_check_power_of_an_orphan_and_arn(result: iamframe.Result) -> None:
    facts = pd.concat([result[name] for name in CHECKS if "power" in result[name]])
    power = dict(zip(facts["finding_id"], facts["power"].map(POWERS.index, na_action="ignore"), strict=True))
    rank = result.findings["finding_id"].map(power).fillna(len(POWERS))
    columns = result.findings.assign(rank=rank)[["severity", "check", "rank", "resource_arn", "related_arn"]]
    columns = columns.fillna("\uffff")
    keys = [(SEVERITIES.index(severity), *rest) for severity, *rest in columns.itertuples(index=False, name=None)]
    assert {key[2] for key in keys} > {0, 2}
    assert len({key[0] for key in keys}) == 4
    assert keys == sorted(keys)


def test_what_is_expected_is_info_and_nothing_else_is(result: iamframe.Result) -> None:
    assert ((result.findings["severity"] == "info") == result.findings["expected"]).all()
    assert result.findings["expected"].any()


def test_a_finding_that_is_not_expected_has_the_severity_of_its_check(result: iamframe.Result) -> None:
    own = result.findings[~result.findings["expected"]]
    assert own["severity"].tolist() == own["check"].map(lambda name: CHECKS[name].severity).tolist()


def test_the_severities_are_those_of_the_contract() -> None:
    contract = {
        "empty_profiles": "medium",
        "unreferenced_profiles": "medium",
        "owner_gone": "medium",
        "stale_references": "high",
        "ec2_roles_without_profile": "low",
        "roles_in_many_profiles": "low",
        "quota_pressure": "high",
        "name_mismatches": "low",
        "path_mismatches": "low",
        "crossed_names": "high",
        "untagged_profiles": "medium",
        "untagged_roles": "medium",
        "tag_differences": "medium",
        "missing_required_tags": "medium",
        "tag_key_variants": "low",
        "profiles_without_ec2_trust": "high",
        "deleted_trust_principals": "medium",
    }
    assert {name: CHECKS[name].severity for name in contract} == contract


def test_only_runs_what_it_names_and_in_the_order_of_the_checks(sample: Inventory) -> None:
    result = run_checks(sample, only=["untagged_roles", "empty_profiles"])
    assert list(result.checks) == ["empty_profiles", "untagged_roles"]
    assert set(result.findings["check"]) == {"empty_profiles", "untagged_roles"}
    assert list(run_checks(sample, only="empty_profiles").checks) == ["empty_profiles"]


def test_a_check_finds_the_same_alone_as_with_the_others(sample: Inventory, result: iamframe.Result) -> None:
    for name in CHECKS:
        together = result.findings[result.findings["check"] == name].reset_index(drop=True)
        alone = run_checks(sample, only=[name], policy=POLICY).findings
        pd.testing.assert_frame_equal(alone, together)


@pytest.mark.parametrize("only", [["empty_profile"], ["empty_profiles", ""], "EMPTY_PROFILES"])
def test_a_check_that_does_not_exist_is_an_error_that_names_those_that_do(sample: Inventory, only: Any) -> None:
    with pytest.raises(
        UnknownCheckError, match=r"^there is no check '.*'; the checks are empty_profiles, unreferenced_profiles, "
    ):
        run_checks(sample, only=only)


def test_the_summary_counts_findings_and_accounts(tmp_path: Path) -> None:
    documents = {
        "p.json": profile_list(profile("old"), profile("older"), profile("s3access-profile", nested_role("s3access"))),
        "instance-profile-tags/old.json": {"Tags": tag_list({"Owner": "x"})},
    }
    summary = run_checks(
        load(tmp_path, documents), only=["empty_profiles", "name_mismatches", "untagged_roles"]
    ).summary
    columns = ["check", "findings", "expected", "accepted", "complete", "partial", "unknown"]
    assert summary[columns].to_numpy().tolist() == [
        ["empty_profiles", 2, 0, 0, 1, 0, 0],
        ["name_mismatches", 1, 1, 0, 1, 0, 0],
        ["untagged_roles", 0, 0, 0, 0, 0, 1],
    ]


# Registration


def test_a_rule_with_a_parameter_that_names_no_frame_is_refused_when_it_is_registered() -> None:
    def odd_profiles(pairs: pd.DataFrame, rolls: pd.DataFrame) -> pd.DataFrame:
        """Odd profiles."""
        return pairs if len(rolls) else rolls

    with pytest.raises(TypeError, match="check odd_profiles reads rolls; there are accounts, calls, "):
        check(severity="low", detail="is odd")(odd_profiles)
    assert "odd_profiles" not in CHECKS


def test_a_rule_without_a_docstring_is_refused() -> None:
    def untitled_profiles(pairs: pd.DataFrame) -> pd.DataFrame:
        return pairs

    with pytest.raises(TypeError, match="check untitled_profiles needs a docstring"):
        check(severity="low", detail="has no title")(untitled_profiles)


def test_a_severity_that_does_not_exist_is_refused() -> None:
    def grave_profiles(pairs: pd.DataFrame) -> pd.DataFrame:
        """Grave profiles."""
        return pairs

    with pytest.raises(TypeError, match=r"severity 'grave'; use one of high, medium, low, info$"):
        check(severity="grave", detail="is grave")(grave_profiles)


def test_a_check_has_the_name_of_its_rule_and_what_its_signature_says() -> None:
    @check(severity="low", detail="{profile_name} is short", remediation="Say more.")
    def short_names(profiles: pd.DataFrame, lists: pd.DataFrame, *, length: int = 3) -> pd.DataFrame:
        """Short names.

        They say
        little.
        """
        return profiles[profiles["profile_name"].str.len() < length] if len(lists) else profiles

    one = short_names.check  # type: ignore[attr-defined]
    assert (one.name, one.detail, one.remediation) == ("short_names", "{profile_name} is short", "Say more.")
    assert (one.reads, one.options) == (("profiles", "lists"), ("length",))
    assert (one.title, one.why, one.certainty) == ("Short names", "They say little.", "certain")


def test_what_its_maker_means_so_wants_nothing_done() -> None:
    findings = sample_result().findings
    assert findings["expected"].sum() >= 14
    assert findings["next_step"][findings["expected"]].isna().all()
