"""Accounts whose profiles belong to clusters, environments and stacks, with the truth worked out beside them."""

from __future__ import annotations

import json
from typing import Any

from accounts import EC2, add
from moto.eks.models import eks_backends

from iamframe.practice import PracticeAccount

# Regions of which the AWS CLI 1 has no address of its own for EMR.
REGIONS = ("eu-south-2", "eu-central-2", "ap-south-2")
CLUSTERS = [f"c{number:02}" for number in range(30)]
GONE = CLUSTERS[::3]


def region_of(cluster: str) -> str:
    return REGIONS[int(cluster[1:]) % 4 % 3]


def start_cluster(account: PracticeAccount, name: str, region: str) -> None:
    # moto takes a quarter of a second for the keys of a cluster, of which only its name is listed.
    eks_backends[account.account_id][region].clusters[name] = None


def karpenter_tags(cluster: str, region: str) -> dict[str, str]:
    """The tags that Karpenter writes (ec2nodeclass.go, InstanceProfileTags)."""
    return {
        f"kubernetes.io/cluster/{cluster}": "owned",
        "eks:eks-cluster-name": cluster,
        "karpenter.k8s.aws/ec2nodeclass": "default",
        "topology.kubernetes.io/region": region,
    }


def add_clusters(account: PracticeAccount) -> None:
    """Thirty clusters in three regions, ten of them gone; each has a profile, half by path, half by tags alone."""
    for number, name in enumerate(CLUSTERS):
        region = region_of(name)
        if name not in GONE:
            start_cluster(account, name, region)
        path = f"/karpenter/{region}/{name}/uid/" if number % 2 else "/"
        add(account, f"{name}_1{number:019}", f"node-{name}", path=path, **karpenter_tags(name, region))


def start_stack(account: PracticeAccount, name: str, region: str, profile: str | None = None) -> None:
    """Start a stack with a role, and with a profile that it leaves behind when it ends.

    A random text of CloudFormation without any digit, one of forty, is not taken for one, so the profile has a name.
    """
    resources: dict[str, Any] = {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": json.loads(EC2)}}
    }
    if profile:
        held = {"InstanceProfileName": profile, "Roles": [{"Ref": "Role"}]}
        kept = {"Type": "AWS::IAM::InstanceProfile", "DeletionPolicy": "Retain", "Properties": held}
        resources["WebProfile"] = kept
    client = account.session(region_name=region).client("cloudformation")
    client.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))


def end_stack(account: PracticeAccount, name: str, region: str) -> None:
    account.session(region_name=region).client("cloudformation").delete_stack(StackName=name)


def start_environment(account: PracticeAccount, name: str, region: str) -> str:
    """Start an environment in an application of its name, and return its id."""
    client = account.session(region_name=region).client("elasticbeanstalk")
    client.create_application(ApplicationName=name)
    made = client.create_environment(ApplicationName=name, EnvironmentName=name, SolutionStackName="Linux")
    assert made["EnvironmentId"]
    return str(made["EnvironmentId"])
