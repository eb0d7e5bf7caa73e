"""Who made a pair of role and profile: each maker of the catalogue, by one concrete example."""

from __future__ import annotations

import tomllib
from importlib import resources

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamframe.knowledge.makers import Maker, known_makers, maker_of

NODE_UUID = "eks-08c968da-2d88-0096-4c82-1ee57490a6af"
KARPENTER = "/karpenter/eu-west-1/prod/6e2f0a1c-1111-2222-3333-444455556666/"
CAPA = "nodes.cluster-api-provider-aws.sigs.k8s.io"

# Role path and name, profile path and name, then the maker, and whether it means names and paths to differ.
PAIRS = [
    ("/service-role/", "AWSCloud9SSMAccessRole", "/cloud9/", "AWSCloud9SSMInstanceProfile", "AWS Cloud9", True, True),
    ("/", "aws-elasticbeanstalk-ec2-role", "/", "aws-elasticbeanstalk-ec2-role", "Elastic Beanstalk", False, False),
    ("/", "EMR_EC2_DefaultRole", "/", "EMR_EC2_DefaultRole", "Amazon EMR", False, False),
    ("/", "ecsInstanceRole", "/", "ecsInstanceRole", "Amazon ECS and AWS Batch", False, False),
    ("/", "ecsInstanceRole", "/", "ecsInstanceRole-profile", "Amazon ECS (CLI recipe)", True, False),
    ("/", "ecsInstanceRoleBlue", "/", "ecsInstanceProfileBlue", "Amazon ECS Managed Instances", True, False),
    (
        "/", "AmazonSSMRoleForInstancesQuickSetup", "/", "AmazonSSMRoleForInstancesQuickSetup",
        "SSM Quick Setup", False, False,
    ),
    ("/", "eks-nodes", "/", NODE_UUID, "EKS managed node group", True, True),
    ("/team/", "eks-nodes", "/", NODE_UUID, "EKS managed node group", True, True),
    ("/", "AutoModeNodes", "/", "eks-us-west-2-prod-1234567890123456789", "EKS Auto Mode", True, True),
    ("/", "OutpostNodes", "/", "eks-local-prod", "EKS on Outposts", True, True),
    (
        "/", "eksctl-prod-nodegroup-a-NodeInstanceRole-1A2B3C4D5E6F",
        "/", "eksctl-prod-nodegroup-a-NodeInstanceProfile-Z9Y8X7W6V5U4", "eksctl", True, False,
    ),
    ("/", "eks-nodes", KARPENTER, "prod_4067990795380418201", "Karpenter", True, True),
    ("/", "KarpenterNodeRole-prod", KARPENTER, "prod_4067990795380418201", "Karpenter", True, True),
    ("/", "KarpenterNodeRole-prod", "/", "prod_4067990795380418201", "Karpenter (node role)", True, False),
    (
        "/", "KarpenterNodeRole-prod", "/", "KarpenterNodeInstanceProfile-prod",
        "Karpenter (instanceProfile)", True, False,
    ),
    ("/", "nodes.k8s.example.com", "/", "nodes.k8s.example.com", "kOps", False, False),
    ("/", "masters.k8s.example.com", "/", "masters.k8s.example.com", "kOps", False, False),
    ("/", "bastions.k8s.example.com", "/", "bastions.k8s.example.com", "kOps", False, False),
    ("/", "prod-x7k2p-master-role", "/", "prod-x7k2p-master-profile", "OpenShift", True, False),
    ("/", "prod-x7k2p-worker-role", "/", "prod-x7k2p-worker-profile", "OpenShift", True, False),
    ("/", "ManagedOpenShift-Worker", "/", "rosa-service-managed-staging-2a3b-worker", "ROSA", True, True),
    ("/", CAPA, "/", CAPA, "Cluster API AWS", False, False),
    (
        "/", "control-plane.cluster-api-provider-aws.sigs.k8s.io",
        "/", "control-plane.cluster-api-provider-aws.sigs.k8s.io", "Cluster API AWS", False, False,
    ),
    (
        "/parallelcluster/hpc/", "hpc-RoleHeadNode-1A2B3C4D5E6F",
        "/parallelcluster/hpc/", "hpc-InstanceProfileHeadNode-Z9Y8X7W6V5U4", "AWS ParallelCluster", True, False,
    ),
    ("/", "AWSPCS-compute", "/", "hpc-nodes", "AWS PCS", True, True),
    ("/aws-pcs/", "compute", "/aws-pcs/", "hpc-nodes", "AWS PCS", True, True),
    ("/", "AWSRDSCustomSQLServerInstanceRole", "/", "AWSRDSCustomSQLServerInstanceProfile", "RDS Custom", True, False),
    (
        "/service-role/", "AmazonEC2RoleForLaunchWizard", "/", "LaunchWizard-sap-instance",
        "AWS Launch Wizard", True, True,
    ),
    (
        "/", "datazone_emr_ec2_instance_role_1a2b", "/", "datazone_emr_ec2_instance_profile_1a2b",
        "DataZone EMR", True, False,
    ),
    (
        "/service-role/", "AWSElasticDisasterRecoveryReplicationServerRole",
        "/", "AWSElasticDisasterRecoveryReplicationServerRole", "Elastic Disaster Recovery", False, True,
    ),
    (
        "/service-role/", "AWSApplicationMigrationReplicationServerRole",
        "/", "AWSApplicationMigrationReplicationServerRole", "Application Migration Service", False, True,
    ),
    ("/", "CodeStarWorker-shop-EC2", "/", "awscodestar-shop-EC2", "AWS CodeStar", True, False),
    (
        "/", "EC2InstanceProfileForImageBuilder", "/", "EC2InstanceProfileForImageBuilder",
        "EC2 Image Builder", False, False,
    ),
    ("/", "aws-opsworks-ec2-role", "/", "aws-opsworks-ec2-role", "AWS OpsWorks", False, False),
    ("/", "aws-opsworks-cm-ec2-role", "/", "aws-opsworks-cm-ec2-role", "AWS OpsWorks", False, False),
    (
        "/", "DataPipelineDefaultResourceRole", "/", "DataPipelineDefaultResourceRole",
        "AWS Data Pipeline", False, False,
    ),
    (
        "/", "AWSTransform-Deploy-App-Instance-Role", "/", "AWSTransform-Deploy-App-Instance-Role",
        "AWS Transform", False, False,
    ),
    ("/", "s3access", "/", "s3access-profile", "EC2 User Guide example", True, False),
    ("/", "app-20260102030405000000000001", "/", "web-20260102030406000000000002", "Terraform", True, False),
    ("/", "terraform-2026010203040500000000000f", "/", "app-2026010203040600000000000a", "Terraform", True, False),
    ("/", "shop-InstanceRole-1A2B3C4D5E6F", "/", "shop-Profile-Z9Y8X7W6V5U4", "CloudFormation", True, False),
    ("/", "web", "/", "web", None, False, False),  # the IAM console gives both the name that the user chose
    ("/", "blue", "/", "green", None, False, False),
]  # fmt: skip


def made(columns: dict[str, str], sides: str, makers: tuple[Maker, ...] | None = None) -> Maker | None:
    makers = known_makers() if makers is None else makers
    (found,) = maker_of(makers, {name: pa.array([text]) for name, text in columns.items()}, sides)
    return makers[found] if found >= 0 else None


def of_pair(
    role_path: str, role: str, profile_path: str, profile: str, makers: tuple[Maker, ...] | None = None
) -> Maker | None:
    columns = {"role_path": role_path, "role_name": role, "profile_path": profile_path, "profile_name": profile}
    return made(columns, "both", makers)


def of_profile(path: str, name: str) -> Maker | None:
    return made({"profile_path": path, "profile_name": name}, "profile")


def of_role(path: str, name: str) -> Maker | None:
    return made({"role_path": path, "role_name": name}, "role")


def name_of(maker: Maker | None) -> str | None:
    return maker.name if maker else None


@pytest.mark.parametrize(("role_path", "role", "profile_path", "profile", "maker", "names", "paths"), PAIRS)
def test_a_pair_has_the_maker_whose_names_and_paths_it_has(
    role_path: str, role: str, profile_path: str, profile: str, maker: str | None, names: bool, paths: bool
) -> None:
    found = of_pair(role_path, role, profile_path, profile)
    assert name_of(found) == maker
    assert (found.names_differ, found.paths_differ) == (names, paths) if found else maker is None


def test_every_maker_with_a_profile_has_an_example_here() -> None:
    assert {maker.name for maker in known_makers() if maker.profile} == {pair[4] for pair in PAIRS} - {None}


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("AWSSystemsManagerDefaultEC2InstanceManagementRole", "SSM Default Host Management"),
        ("AmazonEC2RunCommandRoleForManagedInstances", "SSM hybrid activation"),
    ],
)
def test_a_role_that_is_used_without_a_profile_is_known_by_itself(name: str, maker: str) -> None:
    assert name_of(of_role("/service-role/", name)) == maker
    assert of_role("/", name) is None


@pytest.mark.parametrize(
    ("role_path", "role", "profile_path", "profile"),
    [
        ("/", "AWSCloud9SSMAccessRole", "/cloud9/", "AWSCloud9SSMInstanceProfile"),
        ("/service-role/", "AWSCloud9SSMAccessRole", "/", "AWSCloud9SSMInstanceProfile"),
        ("/", "nodes.a.example.com", "/", "nodes.b.example.com"),
        ("/", "prod-a-master-role", "/", "prod-b-master-profile"),
        ("/", "prod-a-master-role", "/", "prod-a-worker-profile"),
        ("/", "KarpenterNodeRole-prod", "/", "test_4067990795380418201"),
        ("/", "KarpenterNodeRole-prod", "/", "KarpenterNodeInstanceProfile-test"),
        ("/", "EMR_EC2_DefaultRole", "/", "EMR_EC2_OtherRole"),
        ("/", "emr_ec2_defaultrole", "/", "emr_ec2_defaultrole"),
        ("/", "nodes", "/", "eks-08C968DA-2d88-0096-4c82-1ee57490a6a"),
        ("/", "xAWSPCS-compute", "/", "hpc"),
        ("/", "nodes.", "/", "nodes."),
    ],
)
def test_a_pair_that_is_nearly_a_makers_is_not_its(role_path: str, role: str, profile_path: str, profile: str) -> None:
    assert of_pair(role_path, role, profile_path, profile) is None


def test_an_empty_profile_is_known_by_its_own_name_and_path() -> None:
    assert name_of(of_profile("/", NODE_UUID)) == "EKS managed node group"
    assert name_of(of_profile("/cloud9/", "AWSCloud9SSMInstanceProfile")) == "AWS Cloud9"
    assert of_profile("/", "web") is None


@pytest.mark.parametrize("name", ["backup_2024", "db_1"])
def test_an_empty_profile_has_no_maker_that_only_its_role_could_tell(name: str) -> None:
    assert of_profile("/", name) is None


def test_the_first_maker_that_fits_counts() -> None:
    makers = (
        Maker("none", role="x-*", profile="x-*"),
        Maker("first", role="{name}-role", profile="{name}-profile"),
        Maker("second", role="*", profile="*-profile"),
    )
    assert name_of(of_pair("/", "web-role", "/", "web-profile", makers)) == "first"
    assert name_of(of_pair("/", "web-role", "/", "api-profile", makers)) == "second"


def test_a_name_is_the_same_text_on_both_sides_and_on_each_mention() -> None:
    makers = (Maker("twice", role="{name}.{name}", profile="{name}"),)
    assert name_of(of_pair("/", "a.a", "/", "a", makers)) == "twice"
    assert of_pair("/", "a.b", "/", "a", makers) is None
    assert of_pair("/", "a.a", "/", "b", makers) is None


def test_regex_characters_in_a_makers_names_are_plain_text() -> None:
    makers = (Maker("plain", role="a.b+c", profile="(x|y)[z]"),)
    assert name_of(of_pair("/", "a.b+c", "/", "(x|y)[z]", makers)) == "plain"
    assert of_pair("/", "axbbc", "/", "x", makers) is None


@pytest.mark.parametrize(
    "name", ["(", "[a", "a{2}", "\\", ".*", "$", "^", "(?P<m0>x)", "a\nb", "\r\n", "", "\u3164", "*"]
)
def test_hostile_names_have_no_maker(name: str) -> None:
    assert of_pair("/", name, "/", name) is None


@pytest.mark.parametrize(
    ("role", "profile"),
    [
        ("web", f"web\n/\n{NODE_UUID}"),
        ("web", "web\neks-local-prod"),
        ("web\n/\nAWSPCS", "hpc"),
    ],
)
def test_a_line_break_in_a_name_does_not_make_one_name_of_two(role: str, profile: str) -> None:
    assert of_pair("/", role, "/", profile) is None


def test_no_rows_have_no_makers() -> None:
    none = pa.array([], pa.string())
    found = maker_of(known_makers(), {"role_path": none, "role_name": none}, "role")
    assert found.tolist() == []


def test_without_makers_nobody_made_anything() -> None:
    found = maker_of((), {"role_path": pa.array(["/"]), "role_name": pa.array(["web"])}, "role")
    assert np.array_equal(found, [-1])


names = st.text() | st.from_regex(r"[\w+=,.@-]{1,64}", fullmatch=True)
paths = st.just("/") | st.from_regex(r"/[!-~]{1,40}/", fullmatch=True)


@given(rows=st.lists(st.tuples(paths, names, paths, names), max_size=5))
def test_any_names_and_paths_are_looked_at_without_an_error(rows: list[tuple[str, str, str, str]]) -> None:
    columns = ("role_path", "role_name", "profile_path", "profile_name")
    texts = {column: pa.array([row[i] for row in rows], pa.string()) for i, column in enumerate(columns)}
    found = maker_of(known_makers(), texts, "both")
    assert len(found) == len(rows)
    assert all(-1 <= index < len(known_makers()) for index in found)


TOML = resources.files("iamframe.knowledge").joinpath("makers.toml").read_text(encoding="utf-8")
ENTRIES = tomllib.loads(TOML)["maker"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry['name']}: {entry['role']}")
def test_every_maker_says_what_it_means_where_that_is_written_and_when_it_was_looked_up(
    entry: dict[str, object],
) -> None:
    assert entry.keys() >= {"names_differ", "paths_differ", "tags_profiles", "source", "date"}
    assert len(str(entry["source"])) > 10
    assert 2023 <= entry["date"].year <= 2026  # type: ignore[attr-defined]


@pytest.mark.parametrize("entry", tomllib.loads(TOML)["tag"], ids=lambda entry: str(entry["key"]))
def test_every_tag_of_a_maker_says_where_that_is_written_and_when_it_was_looked_up(entry: dict[str, object]) -> None:
    assert entry.keys() == {"key", "maker", "wants_back", "source", "date"}
    assert len(str(entry["source"])) > 10
    assert 2023 <= entry["date"].year <= 2026  # type: ignore[attr-defined]


def test_a_maker_that_means_equal_names_has_them_equal() -> None:
    equal = [entry for entry in ENTRIES if "profile" in entry and not entry["names_differ"]]
    assert len(equal) > 10
    assert all(entry["role"] == entry["profile"] for entry in equal)
