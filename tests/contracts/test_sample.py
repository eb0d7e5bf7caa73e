"""The sample: the files are what their script writes, and every check finds in them what the README says."""

from __future__ import annotations

import csv
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from builders import identity, sample_result, write

import iamframe
from iamframe import CHECKS
from iamframe.inventory import arrow
from iamframe.inventory.arrow import as_arrow
from iamframe.inventory.gaps import with_details
from iamframe.messages.render import render, text_of

ROOT = Path(__file__).parents[2]
DATA = ROOT / "data"

# Account ids that AWS's own documentation uses for nobody's account.
DOCUMENTED = {"111122223333", "123456789012", "444455556666", "777788889999", "999999999999"}

# The findings of the sample and, with the policy beside it, what is missing of the tags that it demands: literal, one
# row per finding, so that whoever changes the sample or a check sees what changes with it.
FINDINGS = Path(__file__).parent / "sample_findings.csv"
MISSING_TAGS = Path(__file__).parent / "sample_missing_tags.csv"


def sentences_file(lang: str) -> Path:
    return Path(__file__).parent / f"sample_sentences.{lang}.txt"


ROLES_PER_ACCOUNT = {"111122223333": 62, "444455556666": 58, "123456789012": 28}
PROFILES_PER_ACCOUNT = {"444455556666": 42, "111122223333": 40, "123456789012": 27}

# What is not complete, by account; all else is.
NOT_COMPLETE = {
    ("111122223333", "names_refused"): "partial",
    ("123456789012", "names_refused"): "unknown",
    ("444455556666", "names_refused"): "partial",
    ("111122223333", "missing_required_tags"): "unknown",
    ("111122223333", "owner_gone"): "unknown",
    ("111122223333", "stale_references"): "partial",
    ("111122223333", "unreferenced_profiles"): "partial",
    ("123456789012", "missing_required_tags"): "unknown",
    ("123456789012", "owner_gone"): "partial",
    ("123456789012", "quota_pressure"): "unknown",
    ("123456789012", "stale_references"): "partial",
    ("123456789012", "tag_differences"): "partial",
    ("123456789012", "tag_key_variants"): "partial",
    ("123456789012", "unreferenced_profiles"): "unknown",
    ("123456789012", "untagged_profiles"): "partial",
    ("123456789012", "untagged_roles"): "partial",
    ("444455556666", "missing_required_tags"): "unknown",
    ("444455556666", "owner_gone"): "partial",
    ("444455556666", "stale_references"): "partial",
    ("444455556666", "unreferenced_profiles"): "partial",
}


def literal(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8", newline="") as rows:
        return list(csv.reader(rows))[1:]


def make_sample() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample", DATA / "make_sample.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def files_in(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes().decode() for file in folder.rglob("*") if file.is_file()
    }


SAMPLES = pytest.mark.parametrize("folder", ["sample", "sample-earlier", "sample-terraform"])


@SAMPLES
def test_the_sample_is_exactly_what_its_script_makes(folder: str) -> None:
    made = make_sample()
    texts = made.states() if folder == "sample-terraform" else made.files(earlier=folder != "sample")
    assert files_in(DATA / folder) == texts


@SAMPLES
def test_the_script_writes_the_sample_anywhere_and_removes_what_was_there(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "stale.json").write_text("{}")
    subprocess.run([sys.executable, str(DATA / "make_sample.py"), str(tmp_path)], check=True)
    assert files_in(tmp_path / folder) == files_in(DATA / folder)


def test_the_sample_is_three_accounts_of_an_organisation() -> None:
    inventory = iamframe.load_sample()
    assert inventory.sources == ("sample",)
    accounts = inventory.accounts[["account_id", "account_name"]].to_numpy().tolist()
    assert accounts == [
        ["111122223333", "example-shop"],
        ["123456789012", "example-legacy"],
        ["444455556666", "example-platform"],
    ]
    assert inventory.roles["account_id"].value_counts().to_dict() == ROLES_PER_ACCOUNT
    assert inventory.profiles["account_id"].value_counts().to_dict() == PROFILES_PER_ACCOUNT


# What changed from the earlier sample to this one, by kind, and the findings that came and went.
CHANGED = {
    "created": {"etl", "jump-host", "prod_1193844207756120033"},
    "deleted": {
        *("eks-5ac3e0f2-71b4-4d0e-8c55-b0d2f9a3c6e1", "fax-gateway", "intranet-2014"),
        *("partner-sync", "shop-debug", "web-2019"),
    },
    "recreated": {"monitoring"},
    "relinked": {"blue", "shop-InstanceProfile-Z9Y8X7W6V5U4"},
    "retagged": {"batch", "catalog", "eks-eu-west-1-prod-4067990795380418201", "mail"},
    "trust_changed": {"partner-access"},
}
FOUND = {
    ("new", "high"): {
        "crossed_names": {"blue"},
        "profiles_without_ec2_trust": {"etl"},
        "stale_references": {"monitoring-9"},
    },
    ("reopened", "low"): {"name_mismatches": {"eks-eu-west-1-prod-4067990795380418201"}},
    ("settled", "info"): {"untagged_profiles": {"shop-InstanceProfile-Z9Y8X7W6V5U4"}},
}


def test_the_earlier_sample_and_the_sample_tell_a_story_of_each_kind_of_change() -> None:
    earlier = iamframe.load("sample:earlier")
    assert earlier.sources == iamframe.load_sample(earlier=True).sources == ("sample:earlier",)
    assert earlier.is_sample
    assert not iamframe.load_files(DATA / "sample").is_sample
    changes = iamframe.compare(earlier, sample_result())
    assert changes.changes.groupby("change")["resource_name"].agg(set).to_dict() == CHANGED
    found = changes.findings.groupby(["change", "severity", "check"])["resource_name"].agg(set)
    assert {key: found[key].to_dict() for key in FOUND} == FOUND
    assert set(changes.findings["change"]) == {"new", "gone", "reopened", "settled"}
    # What only became readable is no change.
    assert {"vpn", "dns"}.isdisjoint(changes.changes["resource_name"])
    assert ("123456789012", "tags of profiles") in set(
        changes.not_compared[["account_id", "what"]].itertuples(index=False, name=None)
    )


def test_a_folder_of_the_user_s_that_is_named_as_a_sample_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("sample", "sample:earlier"):
        write(tmp_path / name, {"list-roles.json": {"Roles": []}, "i.json": identity()})
        inventory = iamframe.load_files(name)
        assert (inventory.sources, inventory.is_sample) == ((f"./{name}",), False)


def test_what_was_created_between_the_two_samples_is_dated_so() -> None:
    now, earlier = iamframe.load_sample(), iamframe.load_sample(earlier=True)
    for name, of in (("roles", "role"), ("profiles", "profile")):
        made = getattr(now, name)
        is_new = ~made[f"{of}_id"].isin(getattr(earlier, name)[f"{of}_id"])
        assert set(made["created_at"][is_new].dt.strftime("%Y-%m")) == {"2026-11"}
        assert (made["created_at"][~is_new] < "2026-10-29").all()
    assert earlier.roles["last_used_at"].max() < now.roles["last_used_at"].max()


def test_reads_were_refused_in_one_account_of_the_sample() -> None:
    gaps = iamframe.load_sample().gaps
    denied = gaps[gaps["reason"] == "denied"]
    assert set(denied["account_id"]) == {"123456789012"}
    assert sorted(set(denied["operation"])) == [
        "DescribeInstances",
        "DescribeLaunchTemplateVersions",
        "GetAccountAuthorizationDetails",
        "GetAccountSummary",
        "ListInstanceProfileTags",
        "ListRoleTags",
    ]
    assert set(gaps["account_id"]) == {"123456789012"}


@pytest.mark.parametrize("is_on_two_cores", [False, True])
def test_the_findings_of_the_sample_are_these(is_on_two_cores: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_on_two_cores:
        monkeypatch.setattr(arrow, "_MANY_ROWS", 0)
        result = iamframe.run_checks(iamframe.load_sample())
    else:
        result = sample_result()
    findings = result.findings.fillna("")
    findings["related"] = [arn.rpartition("/")[2] for arn in findings["related_arn"]]
    columns = [
        "severity",
        "check",
        "account_id",
        "resource_name",
        "related",
        "relation",
        "maker",
        "maker_basis",
        "next_step",
    ]
    assert findings[columns].to_numpy().tolist() == literal(FINDINGS)


def sentences(lang: str) -> list[str]:
    """Return what the sample's result says: of each check and finding, of what was not read or is not planned."""
    result = iamframe.run_checks(iamframe.load_sample(), policy=DATA / "tag-policy.toml")
    found = result.findings_in(lang)
    coverage, gaps = result.coverage, with_details(result.inventory.gaps, lang)
    reasons = render(as_arrow(coverage["message"]), as_arrow(coverage["facts"]), lang).to_pylist()
    left = iamframe.plan(result).not_planned.drop_duplicates(["message", "facts"])
    why_not = render(as_arrow(left["message"]), as_arrow(left["facts"]), lang).to_pylist()
    remedies = [(name, text_of(f"checks.{name}.remediation", lang, one.remediation)) for name, one in CHECKS.items()]
    said = (
        ("do first", remedies),
        ("found", zip(found["check"] + " " + found["resource_name"], found["detail"], strict=True)),
        ("not complete", zip(coverage["account_id"] + " " + coverage["check"], reasons, strict=True)),
        ("not read", zip(gaps["account_id"] + " " + gaps["operation"], gaps["detail"], strict=True)),
        ("not planned", zip(left["check"] + " " + left["resource_name"], why_not, strict=True)),
    )
    return [f"{kind} | {about} | {text}" for kind, rows in said for about, text in rows if text]


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_what_the_sample_s_result_says_is_this(lang: str) -> None:
    """`PYTHONPATH=tests python tests/contracts/test_sample.py` writes the two files anew: read what changed in them."""
    assert sentences(lang) == sentences_file(lang).read_text("utf-8").splitlines()


def test_each_check_finds_something_in_one_account_and_nothing_in_another() -> None:
    result = iamframe.run_checks(iamframe.load_sample(), policy=DATA / "tag-policy.toml")
    accounts = result.findings.groupby("check")["account_id"].nunique()
    assert set(accounts.index) == set(iamframe.CHECKS)
    assert accounts.between(1, 2).all()


def test_a_finding_of_the_sample_is_expected_just_where_it_is_info() -> None:
    findings = sample_result().findings
    assert set(findings["severity"][findings["expected"]]) == {"info"}
    assert set(findings["severity"][~findings["expected"]]) == {"high", "medium", "low"}
    assert findings["accepted"].isna().all()


def test_the_sample_says_of_its_references_that_other_regions_may_hold_more() -> None:
    findings = sample_result().findings
    unsure = findings[findings["certainty"] != "certain"]
    assert set(unsure["check"]) == {"unreferenced_profiles"}
    assert set(unsure["certainty"]) == {"maybe"}


def test_the_coverage_of_the_sample_is_this() -> None:
    coverage = sample_result().coverage
    short = coverage[coverage["status"] != "complete"]
    keys = zip(short["account_id"], short["check"], strict=True)
    assert dict(zip(keys, short["status"], strict=True)) == NOT_COMPLETE


def test_the_tag_policy_beside_the_sample_demands_these_tags() -> None:
    result = iamframe.run_checks(
        iamframe.load_sample(), only=["missing_required_tags"], policy=DATA / "tag-policy.toml"
    )
    columns = ["account_id", "resource_type", "resource_name", "detail"]
    assert result.findings[columns].to_numpy().tolist() == literal(MISSING_TAGS)
    assert result.coverage["status"].tolist() == ["complete", "partial", "complete"]


def test_the_organisation_of_the_sample_demands_an_owner_of_profiles_and_not_of_roles() -> None:
    result = iamframe.run_checks(iamframe.load_sample(), only=["missing_required_tags"], policy="org")
    rows = result["missing_required_tags"]
    owner = rows[rows["tag_key"] == "Owner"]
    assert set(owner["required_of"]) == {"instance-profile"}
    demanded = [row for row in literal(MISSING_TAGS) if row[1] == "instance-profile" and "'Owner' is missing" in row[3]]
    assert owner["resource_name"][owner["problem"] == "missing"].tolist() == [row[2] for row in demanded]
    others = rows[rows["problem"] != "missing"][["resource_name", "found_key", "problem"]]
    assert others.to_numpy().tolist() == [["batch", "CostCenter", "value"], ["ingest", "owner", "spelling"]]
    assert result.coverage["status"].tolist() == ["complete", "unknown", "complete"]


def test_each_of_these_checks_finds_something_in_the_sample_with_the_tag_policy_beside_it() -> None:
    result = iamframe.run_checks(iamframe.load_sample(), policy=DATA / "tag-policy.toml")
    assert set(result.findings["check"]) == set(iamframe.CHECKS)


def test_the_tag_policy_beside_the_sample_accepts_one_finding_and_knows_the_house_s_names() -> None:
    findings = iamframe.run_checks(iamframe.load_sample(), policy=DATA / "tag-policy.toml").findings
    accepted = findings[findings["accepted"].notna()]
    assert accepted[["check", "resource_name", "accepted"]].to_numpy().tolist() == [
        ["empty_profiles", "old-batch", "kept until the audit of 2029 is over"]
    ]
    house = findings[findings["maker"] == "house rule"]
    assert house[["check", "severity", "resource_name", "relation"]].to_numpy().tolist() == [
        ["name_mismatches", "info", "billing-profile", "affix"],
        ["name_mismatches", "info", "shop-x7k2p-master-profile", "affix"],
        ["name_mismatches", "info", "shop-x7k2p-worker-profile", "affix"],
    ]


def test_the_readme_of_the_sample_has_a_row_for_every_check() -> None:
    rows = [line.split("|")[1] for line in (DATA / "README.md").read_text("utf-8").splitlines() if line.startswith("|")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row) if name in iamframe.CHECKS} == set(
        iamframe.CHECKS
    )


def test_data_and_notebooks_hold_no_account_id_but_those_of_awss_documentation() -> None:
    texts = [
        file.read_text("utf-8")
        for folder in (DATA, ROOT / "notebooks")
        for file in folder.rglob("*")
        if file.is_file() and ".ipynb_checkpoints" not in file.parts and "__pycache__" not in file.parts
    ]
    assert len(texts) > 40
    assert {
        number for text in texts for number in re.findall(r"(?<![0-9A-Za-z])\d{12}(?![0-9A-Za-z])", text)
    } <= DOCUMENTED


if __name__ == "__main__":
    for lang in ("en", "ja"):
        sentences_file(lang).write_text("\n".join(sentences(lang)) + "\n", "utf-8")
