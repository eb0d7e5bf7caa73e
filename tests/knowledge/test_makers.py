"""Who made a pair of role and profile: each maker of the catalogue, by one concrete example."""

from __future__ import annotations

import tomllib
from importlib import resources

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iamframe.inventory.views import first_maker
from iamframe.knowledge.makers import Maker, known_makers

NODE_UUID = "eks-08c968da-2d88-0096-4c82-1ee57490a6af"
KARPENTER = "/karpenter/eu-west-1/prod/6e2f0a1c-1111-2222-3333-444455556666/"
LONG = "nodes.a-cluster-with-a-very-long-name.eu-west-1.k8s.examp-a1b2c3"
CAPA = "nodes.cluster-api-provider-aws.sigs.k8s.io"

# Role path and name, profile path and name, then the maker, and whether it means names and paths to differ.
PAIRS = [
    ("/service-role/", "AWSCloud9SSMAccessRole", "/cloud9/", "AWSCloud9SSMInstanceProfile", "AWS Cloud9", True, True),
    ("/", "aws-elasticbeanstalk-ec2-role", "/", "aws-elasticbeanstalk-ec2-role", "Elastic Beanstalk", False, False),
    ("/", "EMR_EC2_DefaultRole", "/", "EMR_EC2_DefaultRole", "Amazon EMR", False, False),
    ("/", "ecsInstanceRole", "/", "ecsInstanceRole", "Amazon ECS or AWS Batch", False, False),
    (
        "/", "ecsInstanceRole", "/", "ecsInstanceRole-profile",
        "AWS CLI commands from the ECS Developer Guide", True, False,
    ),
    (
        "/", "AmazonSSMRoleForInstancesQuickSetup", "/", "AmazonSSMRoleForInstancesQuickSetup",
        "SSM Quick Setup", False, False,
    ),
    ("/", "eks-nodes", "/", NODE_UUID, "EKS managed node groups", True, True),
    ("/team/", "eks-nodes", "/", NODE_UUID, "EKS managed node groups", True, True),
    (
        "/", "eksctl-prod-nodegroup-a-NodeInstanceRole-1A2B3C4D5E6F",
        "/", "eksctl-prod-nodegroup-a-NodeInstanceProfile-Z9Y8X7W6V5U4", "eksctl", True, False,
    ),
    ("/", "eks-nodes", KARPENTER, "prod_4067990795380418201", "Karpenter", True, True),
    ("/", "KarpenterNodeRole-prod", KARPENTER, "prod_4067990795380418201", "Karpenter", True, True),
    ("/", "KarpenterNodeRole-prod", "/", "prod_4067990795380418201", "Karpenter (node role)", True, False),
    (
        "/", "KarpenterNodeRole-prod", "/", "KarpenterNodeInstanceProfile-prod",
        "Karpenter's setup stack", True, False,
    ),
    ("/", "nodes.k8s.example.com", "/", "nodes.k8s.example.com", "kOps", False, False),
    ("/", "masters.k8s.example.com", "/", "masters.k8s.example.com", "kOps", False, False),
    ("/", "bastions.k8s.example.com", "/", "bastions.k8s.example.com", "kOps", False, False),
    ("/", "apiservers.k8s.example.com", "/", "apiservers.k8s.example.com", "kOps", False, False),
    ("/", "ig-gpu.k8s.example.com", "/", "ig-gpu.k8s.example.com", "kOps", False, False),
    # Cut to 64 characters, with a hash at the end.
    ("/", LONG, "/", LONG, "kOps", False, False),
    ("/", "shoot--team--prod-nodes", "/", "shoot--team--prod-nodes", "Gardener", False, False),
    ("/", "skyplane_gateway", "/", "skyplane-aws-1a2b3c4d_profile", "Skyplane", True, False),
    (
        "/dd/", "DatadogAgentlessScannerAgentRole", "/dd/", "DatadogAgentlessScannerAgentRole",
        "Datadog Agentless Scanner", False, False,
    ),
    # With Iam/ResourcePrefix, AWS ParallelCluster is known by its stack alone.
    ("/org/", "hpc-RoleHeadNode-1A2B3C4D5E6F",
     "/org/", "hpc-InstanceProfileHeadNode-Z9Y8X7W6V5U4", "CloudFormation", True, False),
    ("/", "prod-x7k2p-master-role", "/", "prod-x7k2p-master-profile", "OpenShift", True, False),
    ("/", "prod-x7k2p-worker-role", "/", "prod-x7k2p-worker-profile", "OpenShift", True, False),
    ("/", "my-prod-x7k2p-edge-role", "/", "my-prod-x7k2p-edge-profile", "OpenShift", True, False),
    ("/", "prod-x7k2p-worker-role", "/", "prod-x7k2p-worker", "HyperShift", True, False),
    ("/", "prod-x7k2p-worker-ROSA-Worker-Role", "/", "prod-x7k2p-worker", "HyperShift", True, False),
    ("/", "ManagedOpenShift-Worker-Role", "/", "rosa-service-managed-staging-2a3b-worker", "ROSA", True, True),
    ("/", "any-role",
     "/", "rosa-service-managed-staging-2aud6upeadfbjo8v69jov3g3cf23uk4i-hcp-worker", "ROSA", True, True),
    ("/", CAPA, "/", CAPA, "Cluster API AWS", False, False),
    (
        "/", "control-plane.cluster-api-provider-aws.sigs.k8s.io",
        "/", "control-plane.cluster-api-provider-aws.sigs.k8s.io", "Cluster API AWS", False, False,
    ),
    (
        "/parallelcluster/hpc/", "hpc-RoleHeadNode-1A2B3C4D5E6F",
        "/parallelcluster/hpc/", "hpc-InstanceProfileHeadNode-Z9Y8X7W6V5U4", "AWS ParallelCluster", True, False,
    ),
    ("/", "AWSRDSCustomSQLServerInstanceRole", "/", "AWSRDSCustomSQLServerInstanceProfile", "RDS Custom", True, False),
    ("/", "AWSRDSCustomInstanceRole-us-east-1",
     "/", "AWSRDSCustomInstanceProfile-us-east-1", "RDS Custom", True, False),
    (
        "/service-role/", "AmazonEC2RoleForLaunchWizard", "/", "LaunchWizard-sap-instance",
        "AWS Launch Wizard", True, True,
    ),
    ("/service-role/", "AmazonEC2RoleForLaunchWizardAD", "/", "LaunchWizardAD", "AWS Launch Wizard", True, True),
    ("/", "AmazonEC2RoleForLaunchWizard", "/", "LaunchWizard-sap", "AWS Launch Wizard", True, True),
    (
        "/", "datazone_emr_ec2_instance_role_1a2b", "/", "datazone_emr_ec2_instance_profile_1a2b",
        "Amazon DataZone", True, False,
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
    ("/", "s3access", "/", "s3access-profile", "AWS CLI commands from the EC2 User Guide", True, False),
    ("/", f"packer-{NODE_UUID[4:]}", "/", f"packer-{NODE_UUID[4:]}", "Packer", False, False),
    ("/", "ray-autoscaler-v1", "/", "ray-autoscaler-v1", "Ray", False, False),
    ("/", "skypilot-v1", "/", "skypilot-v1", "SkyPilot", False, False),
    ("/", "castai-eks-instance-prod", "/", "castai-eks-instance-prod", "CAST AI", False, False),
    (
        "/", "customer-mc-ec2-instance-profile", "/", "customer-mc-ec2-instance-profile",
        "AWS Managed Services", False, False,
    ),
    ("/", "juju-controller-prod", "/", "juju-controller-prod", "Juju", False, False),
    ("/", "web-20260102030405000000000001", "/", "web-20260102030406000000000002", "Terraform", True, False),
    ("/", "web-role-2026010223595900010000000a",
     "/", "web-profile-2026010300000100020000000b", "Terraform", True, False),
    ("/", "web-node-role-20260102030405000000000001",
     "/", "web-node-20260102120000000000000002", "Terraform", True, False),
    ("/", "terraform-2026010203040500000000000f",
     "/", "terraform-20260102030406000000000010", "Terraform", True, False),
    ("/", "shop-InstanceRole-1A2B3C4D5E6F", "/", "shop-Profile-Z9Y8X7W6V5U4", "CloudFormation", True, False),
    ("/", "partner-hpc-RoleHead-bNKWzqHt04WS",
     "/", "partner-hpc-ProfileHead-p1HWQXLCfKhi", "CloudFormation", True, False),
    ("/", "shop-Role-jXNNFVvKvpkJ",
     "/", "shop-Profile-SyLc6QJ3Gfys", "CloudFormation", True, False),  # one has no digit
    ("/", "shop-Role-X2EV2N47ZGN9", "/", "shop-Profile-p1HWQXLCfKhi", "CloudFormation", True, False),  # years apart
    ("/", "Shop-App-1U9I2DE9P7PAE-Role-1WK9H3BST9J9Y", "/", "Shop-App-1U9I2DE9P7PAE-Profile-PSCO6KEEE0F6",
     "CloudFormation", True, False),  # a stack within a stack
    ("/", "Acme-Platform-Stack-1U9I2-WorkerInstancesServiceRo-1RJTWPPNTGP6P", "/",
     "Acme-Platform-Stack-1U9I2DE9P7PAE-WorkerInstancesProfile-1TQX359QGWM8R", "CloudFormation", True, False),
    ("/", "eksctl-fabulous-badger-1764007365--NodeInstanceRole-fWK99bpuO1Mj", "/",
     "eksctl-fabulous-badger-1764007365-nodegroup-ng-1-NodeInstanceProfile-qNlJ2ojEWOdP", "eksctl", True, False),
    ("/", "workers-NodeInstanceRole-1E97EK7WH11XU",
     "/", "workers-NodeInstanceProfile-141G8BC5RWJT1", "eksctl", True, False),
    ("/", "web-role-1a2b3c4", "/", "web-profile-9f8e7d6", "Pulumi", True, False),
    ("/", "web-role-1234567", "/", "web-profile-9f8e7d6", "Pulumi", True, False),
    ("/", "apps-instanceRole-role-a045dc4", "/", "apps-instanceProfile-9f8e7d6", "Pulumi (EKS)", True, False),
    ("/", "eksctl-KarpenterNodeRole-prod", "/", "eksctl-KarpenterNodeInstanceProfile-prod",
     "eksctl (Karpenter)", True, False),
    ("/service-role/", "AmazonEMR-InstanceProfile-20240603T210651", "/", "AmazonEMR-InstanceProfile-20240603T210651",
     "Amazon EMR (console)", False, True),
    ("/", "ocp4-9n2nn-bootstrap-role", "/", "ocp4-9n2nn-bootstrap-profile", "OpenShift", True, False),
    ("/", "role-20260102035417812000000024", "/", "profile-20260102035418792100000006", "Terraform", True, False),
    # Cut for a random text of 12 capitals and digits: 63 characters; of 11: 62; of two without a digit.
    ("/", "eksctl-security-workshop-nodegrou-NodeInstanceRole-QBU9FVSOHZEQ", "/",
     "eksctl-security-workshop-nodegroup-ng-1-NodeInstanceProfile-1O2HVS5QEZ09C", "eksctl", True, False),
    ("/", "eksctl-cluster-5a-nodegroup-ng1-p-NodeInstanceRole-NNH3ISP12CX", "/",
     "eksctl-cluster-5a-nodegroup-ng1-public-NodeInstanceProfile-QNLJ2OJEW0DP", "eksctl", True, False),
    ("/", "shop-Role-jXNNFVvKvpkJ", "/", "shop-Profile-ZAErVIeYmtZo", "CloudFormation", True, False),
    ("/", "shop-Role-1A2B3C4D5E6F", "/", "shop-Profile-aQ7zXk29LmRt", "CloudFormation", True, False),
    ("/", "web", "/", "web", None, False, False),  # the IAM console gives both the name that the user chose
    ("/", "blue", "/", "green", None, False, False),
]  # fmt: skip


def made(columns: dict[str, str], sides: str, makers: tuple[Maker, ...] | None = None) -> Maker | None:
    makers = known_makers() if makers is None else makers
    (found,) = first_maker(makers, {name: pa.array([text]) for name, text in columns.items()}, sides)
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
    sure = {maker.name for maker in known_makers() if maker.profile and not maker.is_guess}
    assert sure == {pair[4] for pair in PAIRS} - {None}


# Role and profile as companies name them, whatever services name alike.
OWN_NAMES = [
    ("prod-db-123456789012", "dev-web-123456789012"),
    ("ec2-web-123456789012", "ec2-web-123456789012"),
    ("app-role-123456789012", "app-profile-123456789012"),
    ("app-role-123456789012", "app-profile-210987654321"),
    ("backup-202401011200", "restore-202401011200"),
    ("backup-role-202401011200", "backup-profile-202401011300"),
    ("nightly-role-20240101", "nightly-profile-20240102"),
    ("x-PRODUCTIONEU", "x-DEVELOPMENTS"),
    ("x-Role-PRODUCTIONEU", "x-Profile-PRODUCTIONEU"),
    ("shop-Role-PRODUCTION01", "shop-Profile-PRODUCTION02"),
    ("shop-Role-Production01", "shop-Profile-Production02"),
    ("shop-role-environment1", "shop-profile-environment2"),
    ("shop-Role-EUWEST1PROD2", "shop-Profile-EUWEST1PROD3"),
    ("shop-Role-WebServer001", "shop-Profile-AppServer002"),
    ("shop-Role-FRONTEND0001", "shop-Profile-BACKEND00002"),
    ("shop-Role-2024JAN01PROD", "shop-Profile-2025FEB02TEST"),
    ("shop-Role-1A2B3C4D5E6F", "shop-Profile-1A2B3C4D5E6F"),  # the same text is no two random ones
    ("shop-Node-1A2B3C4D5E6F", "shop-Node-Z9Y8X7W6V5U4"),  # a stack has each logical id once
    ("shop-Role-1A2B3C4D5E6F", "mail-Profile-Z9Y8X7W6V5U4"),  # two stacks
    ("shop-eu-Role-1A2B3C4D5E6F", "shop-us-Profile-Z9Y8X7W6V5U4"),
    ("shop-Role-1A2B3C4D5E6F", "shop-eu-Profile-Z9Y8X7W6V5U4"),  # shorter, and not since it was cut
    ("shop-Role-1A2B3C4D5E6F", "shop-profile"),
    ("shop-role", "shop-Profile-Z9Y8X7W6V5U4"),
    ("eksctl-a-nodegroup-1-NodeInstanceRole-1A2B3C4D5E6F", "eksctl-b-nodegroup-1-NodeInstanceProfile-Z9Y8X7W6V5U4"),
    ("team-NodeInstanceRole-prod", "team-NodeInstanceProfile-prod"),
    ("web-20260102030405000000000001", "app-20260102030406000000000002"),  # two prefixes
    ("web-20260102030405000000000001", "web-20260105030406000000000002"),  # two days
    ("web-20261302030405000000000001", "web-20261302030406000000000002"),  # no month has the number 13
    ("web-20260102030405000000000001", "web"),
    ("terraform-2026010203040500000000000f", "app-2026010203040600000000000a"),
    ("datazone_emr_ec2_instance_role_alpha", "datazone_emr_ec2_instance_profile_beta"),
    ("AWSPCS-compute", "hpc-nodes"),
    ("AWSPCS-web", "shop"),
    ("ecsInstanceRole-prod", "ecsInstanceProfile-dev"),
    ("ecsInstanceRole-prod", "ecsInstanceRole-prod"),
    ("ecsInstanceRole-prod", "shop"),
    ("shop-nodes", "eks-local-prod"),
    ("shop-nodes", "eks-local-dev-123456789012"),
    ("shop-nodes", "eks-nodes"),
    ("shop-nodes", "eks-us-west-2-prod-1234567890123456789"),
    ("shop-nodes", "eks-prod-202401011200"),
    ("shop-nodes", "eks-08c968da"),
    ("shop-nodes", "rosa-service-managed-web"),
    ("shop-nodes", "prod_4067990795380418201"),  # Karpenter's, perhaps, before 1.7
    ("KarpenterNodeRole-prod", "prod_1"),
    ("KarpenterNodeRole-prod", "prod_202401011200301"),
    ("KarpenterNodeRole-prod", "KarpenterNodeInstanceProfile-dev"),
    ("data-worker-role", "data-worker-profile"),
    ("data-batch-worker-role", "data-batch-worker-profile"),
    ("app-master-role", "app-master-profile"),
    ("app-worker-role", "app-worker"),
    ("app-prod1-worker-role", "app-prod1-worker"),
    ("AWSRDSCustom-prod-role", "AWSRDSCustom-dev-profile"),
    ("AWSRDSCustomOracleInstanceRole", "AWSRDSCustomSQLServerInstanceProfile"),
    ("AmazonEC2RoleForLaunchWizard-prod", "LaunchWizard-dev"),
    ("CodeStarWorker-alpha-EC2", "awscodestar-beta-EC2"),
    ("aws-elasticbeanstalk-shop", "aws-elasticbeanstalk-shop"),
    ("aws-opsworks-shop", "aws-opsworks-shop"),
    ("AWSElasticDisasterRecoveryShop", "AWSElasticDisasterRecoveryShop"),
    ("packer-web", "packer-web"),
    ("web-role-1234567", "web-profile-1234567"),
    ("web-role-1a2b3c4", "web-profile-1a2b3c4"),
    ("web-role-1a2b3c4", "app-profile-9f8e7d6"),
    ("web-role-deadbee", "web-profile-feedbee"),
    ("web-role-2024010", "web-profile-2024020"),
    ("imagebuilder-role", "imagebuilder-profile"),
    ("kubernetes-prod-worker", "kubernetes-prod"),  # Kubermatic's only by its tag
    ("shoot--team--prod-nodes", "shoot--team--dev-nodes"),
    ("shoot-prod-nodes", "shoot-prod-nodes"),
    ("skyplane_gateway", "skyplane_profile"),
    ("web_gateway", "skyplane-aws-1a2b3c4d_profile"),
    ("ig-web.shop", "ig-web.shop"),
    ("ig-web.shop.example.com", "ig-api.shop.example.com"),
    ("app-worker-ROSA-Worker-Role", "app-worker"),
    ("prod-x7k2p-arbiter-role", "prod-x7k2p-arbiter-profile"),
    ("DatadogAgentlessScannerDelegateRole", "DatadogAgentlessScannerDelegateRole"),
    ("EMR_EC2_DefaultRole", "EMR_EC2_DefaultRole_v2"),
    ("s3access-prod", "s3access-prod-profile"),
    # Words without a vowel, and numbers, where OpenShift has random characters.
    *((f"{name}-role", f"{name}-profile") for name in ("acme-https-master", "data-mssql-worker", "acme-24578-edge")),
    *((f"acme-{word}-worker-role", f"acme-{word}-worker") for word in ("html5", "pgsql", "sftp2", "mgmt2", "prd24")),
    ("acme-x7k2p-backup-role", "acme-x7k2p-backup-profile"),
    # Commits, containers, the ends of ids.
    ("api-role-3f9a1c2b7d4e", "api-profile-8b2d0e6f1a9c"),
    ("deploy-NodeInstanceRole-3f9a1c2b7d4e", "deploy-NodeInstanceProfile-8b2d0e6f1a9c"),
    ("app-role-a3d6g9j2k5m8", "app-profile-b4e7h0k3m6n9"),
    ("mac-Role-0A1B2C3D4E5F", "mac-Profile-F9E8D7C6B5A4"),
    # Words, regions and dates in capitals or humps, on two sides that differ.
    ("shop-Role-USEAST1PROD", "shop-Profile-EUWEST1TEST"),
    ("shop-Role-EUWEST1PROD", "shop-Profile-APSOUTH1DEV"),
    ("rel-Role-31JAN2024EU1", "rel-Profile-02FEB2025US2"),
    ("ops-Role-CHG0034567EU", "ops-Profile-INC0081234US"),
    ("win-Role-WIN2022SRV01", "win-Profile-RHEL9WEB002"),
    ("shop-Role-BLUEPROD2024", "shop-Profile-GREENTEST23X"),
    ("acme-WebRole-PRD01EUC1A2", "acme-DbProfile-DEV12USE2B3"),
    ("app-Role-ProdEuWest1a", "app-Profile-TestUsEast1b"),
    ("shop-Role-Web01Prod2Eu", "shop-Profile-Api03Test4Us"),
    ("app-Role-FrontEndProd", "app-Profile-BackEndTest1"),
    ("shop-Role-A1B2C3D4E5F6G", "shop-Profile-Z9Y8X7W6V5U4T"),  # of 13, and no number of 63 bits
    (
        "acme-platform-production-eu-west-1-web-InstanceRole-1A2B3C4D5E6F",
        "acme-platform-production-eu-west-1-web-blue-InstanceProfile-Z9Y8X7W6V5U4",
    ),  # of 64 characters, and not cut
    # Numbers where Pulumi has seven hexadecimal digits, one counter where Terraform has two.
    ("cust-role-c001234", "cust-profile-c005678"),
    ("po-role-24e1001", "po-profile-24e1002"),
    ("dr-role-20240131093000000000000000", "dr-profile-20240131093000000000000000"),
    ("AWSRDSCustomPaymentsRole", "AWSRDSCustomPaymentsProfile"),
    ("aws-elasticbeanstalk-ec2-role-housing", "aws-elasticbeanstalk-ec2-role-housing"),
    ("nodes.shop", "nodes.shop"),
    ("masters.data", "masters.data"),
    ("AWSTransform-Deploy-Shop-Instance-Role", "AWSTransform-Deploy-Shop-Instance-Role"),
    ("BatchWorkerRole", "rosa-service-managed-prod-worker"),
    ("AmazonEC2RoleForLaunchWizard", "LaunchWizardry-game-profile"),
]


@pytest.mark.parametrize(("role", "profile"), OWN_NAMES)
def test_a_pair_that_people_named_is_no_services(role: str, profile: str) -> None:
    assert of_pair("/", role, "/", profile) is None


@pytest.mark.parametrize(
    ("role_path", "role", "profile_path", "profile", "maker"),
    [
        ("/", "ecsInstanceRoleBlue", "/", "ecsInstanceProfileBlue", "Amazon ECS Managed Instances"),
        ("/", "AutoModeNodes", "/", "eks-us-west-2-prod-1234567890123456789", "EKS Auto Mode"),
        ("/", "OutpostNodes", "/", "eks-local-prod", "EKS on Outposts"),
        ("/", "shop-nodes", "/", "prod_4067990795380418201", "Karpenter (node role)"),
        ("/", "AWSPCS-compute", "/", "hpc-nodes", "AWS PCS"),
        ("/", "AWSRDSCustom-a", "/", "AWSRDSCustom-b", "RDS Custom"),
        ("/", "shop", "/", "rosa-service-managed-web", "ROSA"),
        ("/", "kubernetes-prod-worker", "/", "kubernetes-prod", "Kubermatic"),
        ("/", "shop-Role-1A2B3C4D5E6F", "/", "mail-profile", "CloudFormation"),
        ("/", "shop", "/", "mail-20260102030406000000000002", "Terraform"),
    ],
)
def test_one_side_that_looks_like_a_makers_is_a_guess(
    role_path: str, role: str, profile_path: str, profile: str, maker: str
) -> None:
    assert of_pair(role_path, role, profile_path, profile) is None
    assert maker in {name_of(of_profile(profile_path, profile)), name_of(of_role(role_path, role))}


def test_karpenters_path_repeats_the_cluster_of_the_name() -> None:
    name = "prod_4067990795380418201"
    assert name_of(of_pair("/", "any", "/karpenter/eu-west-1/prod/6e2f/", name)) == "Karpenter"
    assert of_pair("/", "any", "/karpenter/eu-west-1/dev/6e2f/", name) is None
    assert of_pair("/", "any", "/karpenter/prod/", name) is None


@pytest.mark.parametrize(
    ("path", "name", "maker"),
    [
        ("/service-role/", "AWSSystemsManagerDefaultEC2InstanceManagementRole", "SSM Default Host Management"),
        ("/service-role/", "AmazonEC2RunCommandRoleForManagedInstances", "SSM hybrid activation"),
        ("/", "AWSSystemsManagerDefaultEC2InstanceManagementRole", None),
        ("/", "AmazonEC2RunCommandRoleForManagedInstances", None),
        ("/", "AWS-QuickSetup-SSM-DefaultEC2MgmtRole-eu-west-1", "SSM Default Host Management (Quick Setup)"),
        ("/", "AWS-QuickSetup-SSM-DefaultEC2MgmtRole", None),
    ],
)
def test_a_role_that_is_used_without_a_profile_is_known_by_itself(path: str, name: str, maker: str | None) -> None:
    assert name_of(of_role(path, name)) == maker


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
        ("/", "nodes.", "/", "nodes."),
    ],
)
def test_a_pair_that_is_nearly_a_makers_is_not_its(role_path: str, role: str, profile_path: str, profile: str) -> None:
    assert of_pair(role_path, role, profile_path, profile) is None


def test_an_empty_profile_is_guessed_by_its_own_name_and_path() -> None:
    assert name_of(of_profile("/", NODE_UUID)) == "EKS managed node groups"
    assert name_of(of_profile("/cloud9/", "AWSCloud9SSMInstanceProfile")) == "AWS Cloud9"
    assert of_profile("/", "web") is None
    # Only their roles could tell.
    assert of_profile("/", "backup_2024") is None
    assert of_profile("/", "db_1") is None


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


def test_one_of_several_texts_is_plain_text_too_and_the_same_on_both_sides() -> None:
    makers = (Maker("sizes", role="{t3.micro|m5}-role", profile="{t3.micro|m5}-profile"),)
    assert name_of(of_pair("/", "t3.micro-role", "/", "t3.micro-profile", makers)) == "sizes"
    assert of_pair("/", "t3xmicro-role", "/", "t3xmicro-profile", makers) is None
    assert of_pair("/", "t3.micro-role", "/", "m5-profile", makers) is None


@pytest.mark.parametrize("name", ["{env}-role", "{Name}-role", "{}", "{name2}"])
@pytest.mark.parametrize("field", ["role", "profile", "role_path", "profile_path"])
def test_a_token_that_does_not_exist_is_refused_where_the_maker_is_made(field: str, name: str) -> None:
    with pytest.raises(ValueError, match=r"^there is no \{\w*\}, only \*, \{name\}, "):
        Maker("house", **{field: name})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["(", "[a", "a{2}", "\\", ".*", "$", "^", "(?P<m0>x)", "a\nb", "\r\n", "", "\u3164", "*"]
)
def test_hostile_names_have_no_maker(name: str) -> None:
    assert of_pair("/", name, "/", name) is None


@pytest.mark.parametrize(
    ("role", "profile"), [("web", f"web\n/\n{NODE_UUID}"), ("web", "web\neks-local-prod"), ("web\n/\nAWSPCS", "hpc")]
)
def test_a_line_break_in_a_name_does_not_make_one_name_of_two(role: str, profile: str) -> None:
    assert of_pair("/", role, "/", profile) is None


def test_no_rows_have_no_makers() -> None:
    none = pa.array([], pa.string())
    found = first_maker(known_makers(), {"role_path": none, "role_name": none}, "role")
    assert found.tolist() == []


def test_without_makers_nobody_made_anything() -> None:
    found = first_maker((), {"role_path": pa.array(["/"]), "role_name": pa.array(["web"])}, "role")
    assert np.array_equal(found, [-1])


names = st.text() | st.from_regex(r"[\w+=,.@-]{1,64}", fullmatch=True)
paths = st.just("/") | st.from_regex(r"/[!-~]{1,40}/", fullmatch=True)


@settings(deadline=None)
@given(rows=st.lists(st.tuples(paths, names, paths, names), max_size=5))
def test_any_names_and_paths_are_looked_at_without_an_error(rows: list[tuple[str, str, str, str]]) -> None:
    columns = ("role_path", "role_name", "profile_path", "profile_name")
    texts = {column: pa.array([row[i] for row in rows], pa.string()) for i, column in enumerate(columns)}
    found = first_maker(known_makers(), texts, "both")
    assert len(found) == len(rows)
    assert all(-1 <= index < len(known_makers()) for index in found)


TOML = resources.files("iamframe.knowledge").joinpath("makers.toml").read_text(encoding="utf-8")
ENTRIES = tomllib.loads(TOML)["maker"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry['name']}: {entry['role']}")
def test_every_maker_says_what_it_means_where_that_is_written_and_when_it_was_looked_up(
    entry: dict[str, object],
) -> None:
    assert entry.keys() >= {"names_differ", "paths_differ", "tags_profiles", "source", "date"}


@pytest.mark.parametrize("entry", tomllib.loads(TOML)["tag"], ids=lambda entry: str(entry["key"]))
def test_every_tag_of_a_maker_says_where_that_is_written_and_when_it_was_looked_up(entry: dict[str, object]) -> None:
    assert entry.keys() - {"is_proof", "tags_role"} == {"key", "maker", "wants_back", "source", "date"}


def test_a_maker_that_means_equal_names_has_them_equal() -> None:
    equal = [entry for entry in ENTRIES if "profile" in entry and not entry["names_differ"]]
    assert len(equal) > 10
    assert all(entry["role"] == entry["profile"] for entry in equal)
