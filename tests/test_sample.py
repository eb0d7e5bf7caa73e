"""The sample: the files are what their script writes, and every check finds in them what the README says."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import iamframe

ROOT = Path(__file__).parent.parent
DATA = ROOT / "data"

# Account ids that AWS's own documentation uses for nobody's account.
DOCUMENTED = {"111122223333", "123456789012", "444455556666", "777788889999", "999999999999"}

# check, severity, resource, role of a link (or profile of a reference), relation, maker
FINDINGS = [
    ("crossed_names", "high", "blue", "green", "different", ""),
    ("profiles_without_ec2_trust", "high", "etl", "etl", "", ""),
    ("quota_pressure", "high", "example-shop", "", "", ""),
    ("stale_references", "high", "monitoring-5", "monitoring", "", ""),
    ("stale_references", "high", "retired", "", "", ""),
    ("deleted_trust_principals", "medium", "partner-access", "", "", ""),
    ("empty_profiles", "medium", "old-batch", "", "", ""),
    ("empty_profiles", "medium", "staging-web", "", "", ""),
    ("tag_differences", "medium", "batch", "batch", "", ""),
    ("tag_differences", "medium", "ingest", "ingest", "", ""),
    ("tag_differences", "medium", "prod_4067990795380418201", "eks-nodes", "", "Karpenter"),
    ("tag_differences", "medium", "legacy-ftp", "legacy-ftp", "", ""),
    (
        "unreferenced_profiles",
        "medium",
        "AmazonSSMRoleForInstancesQuickSetup",
        "AmazonSSMRoleForInstancesQuickSetup",
        "",
        "SSM Quick Setup",
    ),
    (
        "unreferenced_profiles",
        "medium",
        "app-20260102030406000000000002",
        "app-20260102030405000000000001",
        "",
        "Terraform",
    ),
    ("unreferenced_profiles", "medium", "legacy-ftp", "legacy-ftp", "", ""),
    ("unreferenced_profiles", "medium", "reporting", "reporting", "", ""),
    ("untagged_profiles", "medium", "legacy-ftp", "", "", ""),
    ("untagged_profiles", "medium", "staging-web", "", "", ""),
    ("untagged_roles", "medium", "aws-elasticbeanstalk-ec2-role", "", "", ""),
    ("untagged_roles", "medium", "AWSSystemsManagerDefaultEC2InstanceManagementRole", "", "", ""),
    ("ec2_roles_without_profile", "low", "blue", "", "", ""),
    ("ec2_roles_without_profile", "low", "jump-host", "", "", ""),
    ("name_mismatches", "low", "billing-profile", "billing-role", "affix", ""),
    ("name_mismatches", "low", "blue", "green", "different", ""),
    ("name_mismatches", "low", "cache", "Cache", "case", ""),
    ("path_mismatches", "low", "cache", "Cache", "", ""),
    ("roles_in_many_profiles", "low", "eks-nodes", "", "", ""),
    ("tag_key_variants", "low", "Owner", "", "", ""),
    ("tag_key_variants", "low", "CostCenter", "", "", ""),
    (
        "name_mismatches",
        "info",
        "app-20260102030406000000000002",
        "app-20260102030405000000000001",
        "generated",
        "Terraform",
    ),
    ("name_mismatches", "info", "AWSCloud9SSMInstanceProfile", "AWSCloud9SSMAccessRole", "different", "AWS Cloud9"),
    (
        "name_mismatches",
        "info",
        "eks-08c968da-2d88-0096-4c82-1ee57490a6af",
        "eks-nodes",
        "different",
        "EKS managed node group",
    ),
    ("name_mismatches", "info", "prod_4067990795380418201", "eks-nodes", "different", "Karpenter"),
    (
        "name_mismatches",
        "info",
        "shop-InstanceProfile-Z9Y8X7W6V5U4",
        "shop-InstanceRole-1A2B3C4D5E6F",
        "different",
        "CloudFormation",
    ),
    ("path_mismatches", "info", "AWSCloud9SSMInstanceProfile", "AWSCloud9SSMAccessRole", "", "AWS Cloud9"),
    ("path_mismatches", "info", "prod_4067990795380418201", "eks-nodes", "", "Karpenter"),
    ("tag_differences", "info", "AWSCloud9SSMInstanceProfile", "AWSCloud9SSMAccessRole", "", "AWS Cloud9"),
    ("tag_differences", "info", "eks-08c968da-2d88-0096-4c82-1ee57490a6af", "eks-nodes", "", "EKS managed node group"),
    (
        "tag_differences",
        "info",
        "shop-InstanceProfile-Z9Y8X7W6V5U4",
        "shop-InstanceRole-1A2B3C4D5E6F",
        "",
        "CloudFormation",
    ),
    ("untagged_profiles", "info", "aws-elasticbeanstalk-ec2-role", "", "", "Elastic Beanstalk"),
    ("untagged_profiles", "info", "AWSCloud9SSMInstanceProfile", "", "", "AWS Cloud9"),
    ("untagged_profiles", "info", "eks-08c968da-2d88-0096-4c82-1ee57490a6af", "", "", "EKS managed node group"),
    ("untagged_profiles", "info", "shop-InstanceProfile-Z9Y8X7W6V5U4", "", "", "CloudFormation"),
]

KEY_VARIANTS = [
    r"differ by case and look-alike: Owner (39), Οwner [\u039fwner] (2), owner (1)",
    "differ by case and separator: CostCenter (2), cost-center (2)",
]

COVERAGE = {
    "empty_profiles": "complete",
    "unreferenced_profiles": "partial",
    "stale_references": "partial",
    "ec2_roles_without_profile": "complete",
    "roles_in_many_profiles": "complete",
    "quota_pressure": "complete",
    "name_mismatches": "complete",
    "path_mismatches": "complete",
    "crossed_names": "complete",
    "untagged_profiles": "partial",
    "untagged_roles": "complete",
    "tag_differences": "partial",
    "missing_required_tags": "unknown",
    "tag_key_variants": "partial",
    "profiles_without_ec2_trust": "complete",
    "deleted_trust_principals": "complete",
}

# resource type, resource, what tag-policy.toml misses on it
MISSING_TAGS = [
    ("instance-profile", "AmazonSSMRoleForInstancesQuickSetup", "Owner is missing"),
    ("instance-profile", "aws-elasticbeanstalk-ec2-role", "Owner is missing"),
    ("instance-profile", "AWSCloud9SSMInstanceProfile", "Owner is missing"),
    ("instance-profile", "eks-08c968da-2d88-0096-4c82-1ee57490a6af", "Owner is missing"),
    ("instance-profile", "prod_4067990795380418201", "Owner is missing"),
    ("instance-profile", "legacy-ftp", "Owner is missing"),
    ("instance-profile", "search", "Owner is missing"),
    ("instance-profile", "shop-InstanceProfile-Z9Y8X7W6V5U4", "Owner is missing"),
    ("instance-profile", "staging-web", "Owner is missing"),
    ("role", "AmazonSSMRoleForInstancesQuickSetup", "Owner is missing; Environment is missing; CostCenter is missing"),
    ("role", "Cache", "Environment is missing; CostCenter is missing"),
    ("role", "api", "CostCenter is missing"),
    ("role", "app-20260102030405000000000001", "Environment is missing; CostCenter is missing"),
    ("role", "aws-elasticbeanstalk-ec2-role", "Owner is missing; Environment is missing; CostCenter is missing"),
    ("role", "bastion", "CostCenter is missing"),
    ("role", "batch", "Environment is missing"),
    ("role", "billing-role", "Environment is missing; CostCenter is missing"),
    ("role", "blue", "Environment is missing; CostCenter is missing"),
    ("role", "ecsInstanceRole", "Environment is missing; CostCenter is missing"),
    ("role", "eks-nodes", "Environment is missing; CostCenter is missing"),
    ("role", "etl", "Environment is missing; CostCenter is missing"),
    ("role", "green", "Environment is missing; CostCenter is missing"),
    ("role", "ingest", "Environment is missing; CostCenter is missing"),
    ("role", "jump-host", "Environment is missing; CostCenter is missing"),
    ("role", "legacy-ftp", "Environment is missing; CostCenter is missing"),
    ("role", "monitoring", "CostCenter is missing"),
    ("role", "partner-access", "Environment is missing; CostCenter is missing"),
    ("role", "payroll", "Environment is missing; CostCenter is missing"),
    ("role", "portal", "CostCenter is missing"),
    ("role", "reporting", "Environment is missing; CostCenter is missing"),
    ("role", "search", "Owner is missing; Environment is missing; CostCenter is missing"),
    ("role", "AWSCloud9SSMAccessRole", "Environment is missing; CostCenter is missing"),
    (
        "role",
        "AWSSystemsManagerDefaultEC2InstanceManagementRole",
        "Owner is missing; Environment is missing; CostCenter is missing",
    ),
    ("role", "shop-InstanceRole-1A2B3C4D5E6F", "CostCenter is missing"),
    ("role", "web", "CostCenter is missing"),
    ("role", "worker", "CostCenter is missing"),
]


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


def test_the_sample_is_exactly_what_its_script_makes() -> None:
    assert files_in(DATA / "sample") == make_sample().files()


def test_the_script_writes_the_sample_anywhere_and_removes_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "stale.json").write_text("{}")
    subprocess.run([sys.executable, str(DATA / "make_sample.py"), str(tmp_path / "new")], check=True)
    assert files_in(tmp_path / "new") == files_in(DATA / "sample")


def test_the_sample_is_one_small_account_of_which_nearly_all_was_read() -> None:
    inventory = iamframe.load_sample()
    assert inventory.sources == ("sample",)
    assert {name: len(frame) for name, frame in inventory.frames.items()} == {
        "accounts": 1,
        "roles": 28,
        "profiles": 26,
        "links": 24,
        "tags": 62,
        "references": 22,
        "gaps": 2,
        "calls": 14,
    }
    assert inventory.gaps[["operation", "subject", "reason"]].to_numpy().tolist() == [
        ["ListInstanceProfileTags", "*", "not_in_file"],
        ["ListInstanceProfileTags", "payroll", "denied"],
    ]


def test_the_findings_of_the_sample_are_these() -> None:
    findings = iamframe.run_checks(iamframe.load_sample(), only=COVERAGE).findings.fillna("")
    findings["related"] = [arn.rpartition("/")[2] for arn in findings["related_arn"]]
    columns = ["check", "severity", "resource_name", "related", "relation", "maker"]
    assert [tuple(row) for row in findings[columns].to_numpy().tolist()] == FINDINGS


def test_a_finding_of_the_sample_is_expected_just_where_it_is_info() -> None:
    findings = iamframe.run_checks(iamframe.load_sample(), only=COVERAGE).findings
    assert findings["resource_arn"][findings["expected"]].count() == 14
    assert set(findings["severity"][findings["expected"]]) == {"info"}
    assert set(findings["severity"][~findings["expected"]]) == {"high", "medium", "low"}
    assert findings["accepted"].isna().all()


def test_the_sample_says_of_its_references_that_other_regions_may_hold_more() -> None:
    findings = iamframe.run_checks(iamframe.load_sample(), only=COVERAGE).findings
    unsure = findings[findings["certainty"] != "certain"]
    assert set(unsure["check"]) == {"unreferenced_profiles"}
    assert set(unsure["certainty"]) == {"maybe"}


def test_the_sample_shows_keys_that_look_alike() -> None:
    findings = iamframe.run_checks(iamframe.load_sample(), only=["tag_key_variants"]).findings
    assert findings["detail"].tolist() == KEY_VARIANTS


def test_the_coverage_of_the_sample_is_this() -> None:
    coverage = iamframe.run_checks(iamframe.load_sample(), only=COVERAGE).coverage
    assert dict(zip(coverage["check"], coverage["status"], strict=True)) == COVERAGE


def test_the_tag_policy_beside_the_sample_demands_these_tags() -> None:
    found = iamframe.run_checks(iamframe.load_sample(), only=["missing_required_tags"], policy=DATA / "tag-policy.toml")
    rows = found.findings[["resource_type", "resource_name", "detail"]].to_numpy().tolist()
    assert [tuple(row) for row in rows] == MISSING_TAGS
    assert found.coverage["status"].tolist() == ["partial"]


def test_each_of_these_checks_finds_something_in_the_sample_with_the_tag_policy_beside_it() -> None:
    result = iamframe.run_checks(iamframe.load_sample(), only=COVERAGE, policy=DATA / "tag-policy.toml")
    assert set(result.findings["check"]) == set(COVERAGE)


def test_the_tag_policy_beside_the_sample_accepts_one_finding_and_knows_one_pair_of_names() -> None:
    findings = iamframe.run_checks(iamframe.load_sample(), only=COVERAGE, policy=DATA / "tag-policy.toml").findings
    accepted = findings[findings["accepted"].notna()]
    assert accepted[["check", "resource_name", "accepted"]].to_numpy().tolist() == [
        ["empty_profiles", "old-batch", "kept until the audit of 2029 is over"]
    ]
    house = findings[findings["maker"] == "house rule"]
    assert house[["check", "severity", "resource_name", "relation"]].to_numpy().tolist() == [
        ["name_mismatches", "info", "billing-profile", "affix"]
    ]


def test_the_readme_of_the_sample_has_a_row_for_every_check() -> None:
    rows = [line.split("|")[1] for line in (DATA / "README.md").read_text("utf-8").splitlines() if line.startswith("|")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row) if name in COVERAGE} == set(COVERAGE)


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
