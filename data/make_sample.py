"""Write the sample: three fictional accounts of one organisation, as the AWS CLI prints them, now and a month earlier.

    python data/make_sample.py [FOLDER]

It writes FOLDER/sample, FOLDER/sample-earlier and FOLDER/sample-terraform, by default beside this script.
Deterministic. A test holds the files beside this script to what it writes. `README.md` says what each account shows,
what changed in that month, and how the Terraform states differ from the accounts.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

SHOP, PLATFORM, LEGACY = "111122223333", "444455556666", "123456789012"
EC2 = "ec2.amazonaws.com"
GONE = "staging_5502918374650192837"
DELETED = "AROAEXAMPLEDELETED01"
NESTED_ROLE = ("Path", "RoleName", "RoleId", "Arn", "CreateDate", "AssumeRolePolicyDocument")
LAST_USED = ("2026-11-18", "2026-11-12", "2026-11-19", "2026-10-02", "2026-11-17", "2026-07-21", "2026-01-14")
AWS_POLICY = "arn:aws:iam::aws:policy/"
# What roles may do: what EC2's and Lambda's have if nothing else is said, and policies of single roles.
USUAL = {EC2: "AmazonSSMManagedInstanceCore", "lambda.amazonaws.com": "service-role/AWSLambdaBasicExecutionRole"}
ATTACHED = {
    "legacy-ftp": ("AdministratorAccess",),
    "jump-host": ("AdministratorAccess", "AmazonSSMManagedInstanceCore"),
    "gpu-notebook": ("PowerUserAccess",),
    "AWSApplicationMigrationReplicationServerRole": ("service-role/AWSApplicationMigrationReplicationServerPolicy",),
    "AWSReservedSSO_AdministratorAccess_0123456789abcde0": ("AdministratorAccess",),
    "AWSReservedSSO_ReadOnlyAccess_0123456789abcde1": ("ReadOnlyAccess",),
}
# Customer managed policies, and the numbers of inline policies.
OWN, INLINE = {"sandbox": ("SandboxAccess",)}, {"clickstream": 1, "reporting": 2}
LISTED_ROLE = (*NESTED_ROLE, "Description", "MaxSessionDuration")

# What the organisation demands of tags: an owner of profiles, whose tags nobody sees in the console, and not of roles.
TAG_RULES: dict[str, object] = {
    "costcenter": {"tag_key": "CostCenter", "tag_value": ["47*", "52*"], "enforced_for": ["iam:instance-profile"]},
    "owner": {"tag_key": "Owner", "report_required_tag_for": ["iam:instance-profile"]},
}
# What it demands of the platform besides.
PLATFORM_RULES = {"environment": {"tag_key": "Environment", "tag_value": ["prod", "test"]}}

Json = dict[str, object]
Tags = dict[str, str]


def trust(*services: str, aws: tuple[str, ...] = (), federated: str | None = None) -> Json:
    principal: Json = {}
    if services:
        principal["Service"] = services[0] if len(services) == 1 else list(services)
    if aws:
        principal["AWS"] = aws[0] if len(aws) == 1 else list(aws)
    action = "sts:AssumeRole"
    if federated:
        principal["Federated"] = federated
        action = "sts:AssumeRoleWithSAML" if ":saml-provider/" in federated else "sts:AssumeRoleWithWebIdentity"
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": action}]}


def tag_list(tags: Tags) -> list[Tags]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


class Account:
    """What one account holds; ids and dates count up, so that they are the same each time."""

    def __init__(self, id: str, letter: str) -> None:
        self.id, self.letter = id, letter
        self.roles: list[Json] = []
        self.profiles: list[Json] = []
        self.role_tags: dict[str, Tags] = {}
        self.profile_tags: dict[str, Tags] = {}
        self.last_used: dict[str, Json] = {}
        self.clusters = ["dev", "prod"]

    def role(
        self,
        name: str,
        policy: Json,
        tags: Tags | None = None,
        path: str = "/",
        *,
        used: bool = True,
        created: str | None = None,
    ) -> str:
        number = len(self.roles) + 1
        day = created or f"20{18 + number % 8}-0{number % 9 + 1}-{number % 28 + 1:02d}"
        self.roles.append(
            {
                "Path": path,
                "RoleName": name,
                "RoleId": f"AROAEXAMPLE{self.letter}{number:08d}",
                "Arn": f"arn:aws:iam::{self.id}:role{path}{name}",
                "CreateDate": f"{day}T09:00:00+00:00",
                "AssumeRolePolicyDocument": policy,
                "Description": "",
                "MaxSessionDuration": 3600,
            }
        )
        self.role_tags[name] = tags or {}
        last = {"LastUsedDate": f"{LAST_USED[number % len(LAST_USED)]}T08:15:00+00:00", "Region": "eu-west-1"}
        self.last_used[name] = last if used else {}
        return name

    def profile(self, name: str, role: str | None, tags: Tags | None = None, path: str = "/") -> str:
        number = len(self.profiles) + 1
        held = next((r for r in self.roles if r["RoleName"] == role), None)
        created = str(held["CreateDate"]) if held else f"2019-06-{number % 28 + 1:02d}T09:00:00+00:00"
        self.profiles.append(
            {
                "Path": path,
                "InstanceProfileName": name,
                "InstanceProfileId": f"AIPAEXAMPLE{self.letter}{number:08d}",
                "Arn": f"arn:aws:iam::{self.id}:instance-profile{path}{name}",
                "CreateDate": created.replace(":00+", ":04+"),
                "Roles": [{key: held[key] for key in NESTED_ROLE}] if held else [],
            }
        )
        self.profile_tags[name] = tags or {}
        return name

    def find(self, name: str) -> Json | None:
        """Return the profile of a name."""
        return next((p for p in self.profiles if p["InstanceProfileName"] == name), None)

    def put(self, role: str, profile: str) -> None:
        """Put a role into a profile, in place of the one in it."""
        held = next(r for r in self.roles if r["RoleName"] == role)
        next(p for p in self.profiles if p["InstanceProfileName"] == profile)["Roles"] = [
            {key: held[key] for key in NESTED_ROLE}
        ]

    def without(self, roles: tuple[str, ...] = (), profiles: tuple[str, ...] = ()) -> None:
        """Take roles and profiles away; the others keep their ids and dates."""
        self.roles = [role for role in self.roles if role["RoleName"] not in roles]
        self.profiles = [one for one in self.profiles if one["InstanceProfileName"] not in profiles]
        for tags, names in ((self.role_tags, roles), (self.profile_tags, profiles)):
            for name in names:
                del tags[name]

    def pair(self, name: str, tags: Tags, profile_tags: Tags | None = None, path: str = "/") -> str:
        """Make what the console makes of an EC2 role: two of one name; the console tags both alike."""
        self.role(name, trust(EC2), tags, path)
        return self.profile(name, name, tags if profile_tags is None else profile_tags, path)

    def made(self, role: str, profile: str, tags: Tags | None = None, **paths: str) -> str:
        """Make a role with the profile that a service or tool makes for it, without tags."""
        if role not in self.role_tags:
            self.role(role, trust(EC2), tags, paths.get("role_path", "/"))
        return self.profile(profile, role, {}, paths.get("profile_path", "/"))

    def service_linked(self, *services: tuple[str, str]) -> None:
        for name, short in services:
            service = f"{short}.amazonaws.com"
            self.role(f"AWSServiceRoleFor{name}", trust(service), path=f"/aws-service-role/{service}/")

    def signed_in(self, *names: str) -> None:
        provider = f"arn:aws:iam::{self.id}:saml-provider/AWSSSO_0123456789abcdef_DO_NOT_DELETE"
        for number, name in enumerate(names):
            role = f"AWSReservedSSO_{name}_0123456789abcde{number}"
            self.role(role, trust(federated=provider), path="/aws-reserved/sso.amazonaws.com/eu-west-1/")

    def details(self) -> list[Json]:
        """Return the roles as get-account-authorization-details prints them."""
        return [
            {key: role[key] for key in NESTED_ROLE}
            | {
                "InstanceProfileList": [p for p in self.profiles if role["RoleName"] in roles_in(p)],
                **self.policies(role),
                "Tags": tag_list(self.role_tags[str(role["RoleName"])]),
                "RoleLastUsed": self.last_used[str(role["RoleName"])],
            }
            for role in self.roles
        ]

    def policies(self, role: Json) -> Json:
        """Return the policies of a role as get-account-authorization-details prints them."""
        name, trusted = str(role["RoleName"]), json.dumps(role["AssumeRolePolicyDocument"])
        usual = [policy for service, policy in USUAL.items() if service in trusted]
        arns = [f"{AWS_POLICY}{policy}" for policy in ATTACHED.get(name, usual)]
        arns += [f"arn:aws:iam::{self.id}:policy/{policy}" for policy in OWN.get(name, ())]
        allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
        document = {"Version": "2012-10-17", "Statement": [allow]}
        inline = [{"PolicyName": f"{name}-{n + 1}", "PolicyDocument": document} for n in range(INLINE.get(name, 0))]
        attached = [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in arns]
        return {"RolePolicyList": inline, "AttachedManagedPolicies": attached}

    def caller(self, name: str) -> dict[str, Json]:
        arn = f"arn:aws:sts::{self.id}:assumed-role/auditor/audit"
        return {
            "get-caller-identity": {"UserId": "AROAEXAMPLEAUDITOR01:audit", "Account": self.id, "Arn": arn},
            "list-account-aliases": {"AccountAliases": [name]},
        }

    def summary(self, profile_quota: int) -> dict[str, Json]:
        counts = {"Roles": len(self.roles), "RolesQuota": 1000}
        counts |= {"InstanceProfiles": len(self.profiles), "InstanceProfilesQuota": profile_quota}
        return {"get-account-summary": {"SummaryMap": counts}}


def roles_in(profile: Json) -> list[object]:
    return [role["RoleName"] for role in profile["Roles"]]  # type: ignore[attr-defined]


COST = {"CostCenter": "4711"}
OPS = {"Owner": "ops", "Environment": "prod"} | COST
DATA = {"Owner": "data", "Environment": "prod"} | COST
TOKYO = {"Owner": "基盤チーム", "Environment": "本番", "Project": "注文管理"} | COST


def shop() -> Account:
    """Make the shop's account: people, services and scripts of eight years; everything was read."""
    it = Account(SHOP, "S")
    for name in ("web", "api", "worker", "bastion", "monitoring", "checkout", "catalog", "cart", "mail", "cdn-origin"):
        it.pair(name, OPS)
    for name in ("portal", "zaiko", "haiso"):
        it.pair(name, TOKYO)
    for name in ("image-resizer", "recommendations", "price-feed", "clickstream", "warehouse-load"):
        it.pair(name, DATA)
    # Tags that two sides, or two people, write differently.
    it.pair("batch", DATA, DATA | {"CostCenter": "4812"})
    it.pair("ingest", {"owner": "data", "Environment": "prod", "CostCenter": "4711"}, DATA)
    it.pair("reporting", {"Owner": "data", "Environment": "prod", "cost-center": "4711"})
    it.pair("search", {"Οwner": "search", "Environment": "prod"})
    it.pair("legacy-ftp", OPS, {})
    shop_services(it)
    shop_accidents(it)
    return it


def shop_services(it: Account) -> None:
    """Add what services and tools make, by their own names and paths."""
    it.role("AWSCloud9SSMAccessRole", trust("cloud9.amazonaws.com", EC2), OPS, "/service-role/")
    it.profile("AWSCloud9SSMInstanceProfile", "AWSCloud9SSMAccessRole", path="/cloud9/")
    it.pair("AmazonSSMRoleForInstancesQuickSetup", {"QSConfigId-a1b2c": "a1b2c"})
    it.made("aws-elasticbeanstalk-ec2-role", "aws-elasticbeanstalk-ec2-role")
    it.role("aws-elasticbeanstalk-service-role", trust("elasticbeanstalk.amazonaws.com"), OPS)
    it.made("EMR_EC2_DefaultRole", "EMR_EC2_DefaultRole", DATA)
    it.role("EMR_DefaultRole", trust("elasticmapreduce.amazonaws.com"), DATA)
    it.made("EC2InstanceProfileForImageBuilder", "EC2InstanceProfileForImageBuilder", OPS)
    it.pair("ecsInstanceRole", OPS)
    it.made("shop-InstanceRole-1A2B3C4D5E6F", "shop-InstanceProfile-Z9Y8X7W6V5U4", OPS)
    it.made("reports-WebRole-7G8H9J0K1L2M", "reports-WebProfile-3N4P5Q6R7S8T", DATA)
    it.role("app-20260102030405000000000001", trust(EC2), OPS)
    it.profile("app-20260102030406000000000002", "app-20260102030405000000000001", OPS)
    it.made("s3access", "s3access-profile", DATA)
    replication = "AWSApplicationMigrationReplicationServerRole"
    it.role(replication, trust(EC2), OPS, "/service-role/", used=False)
    it.profile(replication, replication, OPS)
    # Roles that have nothing to do with EC2.
    for name in (
        "order-events",
        "thumbnailer",
        "nightly-report",
        "coupon-mailer",
        "fraud-score",
        "cleanup-amis",
        "resize",
    ):
        it.role(name, trust("lambda.amazonaws.com"), OPS)
    it.role("codebuild-shop-service-role", trust("codebuild.amazonaws.com"), OPS, "/service-role/")
    it.role("order-flow", trust("states.amazonaws.com"), OPS)
    it.role("flow-logs", trust("vpc-flow-logs.amazonaws.com"), OPS)
    it.role("rds-monitoring-role", trust("monitoring.rds.amazonaws.com"), OPS)
    github = f"arn:aws:iam::{SHOP}:oidc-provider/token.actions.githubusercontent.com"
    it.role("github-actions-deploy", trust(federated=github), OPS)
    it.role("AWSSystemsManagerDefaultEC2InstanceManagementRole", trust("ssm.amazonaws.com"), path="/service-role/")
    it.signed_in("AdministratorAccess", "ReadOnlyAccess")
    it.service_linked(
        ("Support", "support"), ("TrustedAdvisor", "trustedadvisor"), ("AutoScaling", "autoscaling"), ("ECS", "ecs")
    )


def shop_accidents(it: Account) -> None:
    """Add what nobody meant."""
    it.role("billing-role", trust(EC2), OPS)
    it.profile("billing-profile", "billing-role", OPS)
    it.role("Cache", trust(EC2), OPS)
    it.profile("cache", "Cache", OPS, "/team-a/")
    it.role("blue", trust(EC2), OPS)
    it.role("green", trust(EC2), OPS)
    it.profile("blue", "green", OPS)
    # Whom the roles let in.
    it.role("etl", trust("lambda.amazonaws.com"), DATA, created="2026-11-03")
    it.profile("etl", "etl", DATA)
    it.role("partner-access", trust(aws=(f"arn:aws:iam::{SHOP}:root", DELETED)), OPS, used=False)
    # Halves without the other half.
    it.profile("old-batch", None, DATA)
    it.profile("staging-web", None)
    it.role("jump-host", trust(EC2), OPS, used=False, created="2026-11-12")
    it.find("monitoring")["CreateDate"] = "2026-11-05T16:20:00+00:00"  # type: ignore[index]


def platform() -> Account:
    """Make the platform's account: clusters of every kind, whose tools give roles and profiles names of their own."""
    it = Account(PLATFORM, "P")
    team = {"Owner": "platform", "Environment": "prod", "CostCenter": "5200"}
    dev = team | {"Environment": "test"}
    for name in (
        "ci-runner",
        "grafana",
        "vault",
        "gpu-notebook",
        "artifact-cache",
        "log-shipper",
        "build-farm",
        "runner-arm",
        "backup-agent",
    ):
        it.pair(name, team)
    for name in ("license-server", "windows-ad", "sandbox", "load-test"):
        it.pair(name, dev)
    clusters(it, team, dev)
    for pod in ("external-dns", "cluster-autoscaler", "load-balancer", "ebs-csi", "cert-manager", "loki", "velero"):
        provider = f"arn:aws:iam::{PLATFORM}:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"
        it.role(f"irsa-{pod}", trust(federated=provider), team)
    it.role("eks-prod-cluster", trust("eks.amazonaws.com"), team)
    it.role("eks-dev-cluster", trust("eks.amazonaws.com"), dev)
    for name in ("drift-report", "ami-rotation", "quota-watch"):
        it.role(name, trust("lambda.amazonaws.com"), team, used=False)
    it.role("OrganizationAccountAccessRole", trust(aws=(f"arn:aws:iam::{SHOP}:root",)), team)
    it.signed_in("AdministratorAccess", "PlatformEngineer")
    it.service_linked(
        ("Support", "support"),
        ("TrustedAdvisor", "trustedadvisor"),
        ("AmazonEKS", "eks"),
        ("AutoScaling", "autoscaling"),
    )
    # What Karpenter left behind when the cluster was deleted.
    path = "/karpenter/eu-west-1/staging/c05a7f32-3c1d-4f5e-9a7b-2d8c6e4f0a1b/"
    it.profile(GONE, "KarpenterNodeRole-dev", {"karpenter.k8s.aws/ec2nodeclass": "default"}, path)
    return it


def clusters(it: Account, team: Tags, dev: Tags) -> None:
    """Add what clusters and their tools make."""
    # Amazon EKS makes a profile per node group, Karpenter one per node class; each holds the one node role.
    for uuid in ("08c968da-2d88-0096-4c82-1ee57490a6af", "1ec968db-71f2-44d3-9e0b-52a7d1c0b9e4"):
        it.made("eks-prod-nodes", f"eks-{uuid}", team)
    it.made("eks-dev-nodes", "eks-9ac968dc-8a14-4b6d-a3f7-0c1e2d3f4a5b", dev)
    it.made("AmazonEKSAutoNodeRole", "eks-eu-west-1-prod-4067990795380418201", team)
    it.role("KarpenterNodeRole-prod", trust(EC2), team)
    for number, uid in ((8720145566123907754, "6e2f0a1c"), (1193844207756120033, "b7d41e90")):
        path = f"/karpenter/eu-west-1/prod/{uid}-3c1d-4f5e-9a7b-2d8c6e4f0a1b/"
        it.profile(f"prod_{number}", "KarpenterNodeRole-prod", {"karpenter.k8s.aws/ec2nodeclass": "default"}, path)
    it.find("prod_1193844207756120033")["CreateDate"] = "2026-11-17T07:45:00+00:00"  # type: ignore[index]
    it.made("KarpenterNodeRole-dev", "KarpenterNodeInstanceProfile-dev", dev)
    stack = "eksctl-demo-nodegroup-ng-1"
    it.made(f"{stack}-NodeInstanceRole-2B3C4D5E6F7G", f"{stack}-NodeInstanceProfile-8H9J0K1L2M3N", dev)
    for kind in ("nodes", "masters", "bastions"):
        it.pair(f"{kind}.k8s.example.com", {"KubernetesCluster": "k8s.example.com"} | dev)
    for kind in ("master", "worker"):
        tags = {"kubernetes.io/cluster/shop-x7k2p": "owned"} | team
        it.role(f"shop-x7k2p-{kind}-role", trust(EC2), tags)
        it.profile(f"shop-x7k2p-{kind}-profile", f"shop-x7k2p-{kind}-role", tags)
    it.made("ManagedOpenShift-Worker-Role", "rosa-service-managed-prod-2f9c-shop-worker", team)
    for kind in ("nodes", "control-plane", "controllers"):
        name = f"{kind}.cluster-api-provider-aws.sigs.k8s.io"
        it.made(name, name, dev)
    for kind, role, profile in (
        ("HeadNode", "4P5Q6R7S8T9U", "0V1W2X3Y4Z5A"),
        ("Queue", "6B7C8D9E0F1G", "2H3J4K5L6M7N"),
    ):
        path = "/parallelcluster/hpc/"
        it.made(
            f"hpc-Role{kind}-{role}", f"hpc-InstanceProfile{kind}-{profile}", team, role_path=path, profile_path=path
        )
    it.made("AWSPCS-render-nodes", "AWSPCS-render", team)
    it.made("ecsInstanceRole", "ecsInstanceRole-profile", team)
    it.made("ecsInstanceRoleManaged", "ecsInstanceManaged", team)
    it.made("AWSRDSCustomSQLServerInstanceRole", "AWSRDSCustomSQLServerInstanceProfile", team)
    it.made("datazone_emr_ec2_instance_role_d4x1", "datazone_emr_ec2_instance_profile_d4x1", team)
    it.made("metrics-AgentRole-3C4D5E6F7G8H", "metrics-AgentProfile-9J0K1L2M3N4P", team)
    it.made("proxy-ProxyRole-5Q6R7S8T9U0V", "proxy-ProxyProfile-1W2X3Y4Z5A6B", team)
    for number in (3, 7):
        it.role(f"terraform-2025031408150000000000000{number}", trust(EC2), team)
        it.profile(
            f"terraform-2025031408150000000000000{number + 1}", f"terraform-2025031408150000000000000{number}", team
        )


FINANCE = "/finance/"


def legacy() -> Account:
    """Make the old account: little differs, and much was refused to whoever read it."""
    it = Account(LEGACY, "L")
    tags = {"Owner": "it", "Environment": "prod", "CostCenter": "1000"}
    for name in (
        "intranet",
        "wiki",
        "ldap",
        "smtp-relay",
        "fileserver",
        "vpn",
        "dns",
        "mirror",
        "tape-gateway",
        "jira",
        "cvs",
        "proxy",
        "sap-router",
    ):
        it.pair(name, tags)
    for name in ("erp", "crm", "ledger", "payroll"):
        it.pair(name, tags, path=FINANCE)
    for name in (
        "aws-opsworks-ec2-role",
        "DataPipelineDefaultResourceRole",
        "EMR_EC2_DefaultRole",
        "aws-elasticbeanstalk-ec2-role",
        "AWSTransform-Deploy-App-Instance-Role",
    ):
        it.pair(name, tags)
    for name in ("intranet-old", "packer-2017", "sap-poc", "scan-station"):
        it.profile(name, None, tags)
    it.role("vendor-backup", trust(aws=("AIDAEXAMPLEDELETED02",)), tags)
    it.role("scan-import", trust("lambda.amazonaws.com"), tags)
    it.profile("scan-import", "scan-import", tags)
    it.role("OrganizationAccountAccessRole", trust(aws=(f"arn:aws:iam::{SHOP}:root",)), tags)
    it.service_linked(("Support", "support"), ("TrustedAdvisor", "trustedadvisor"), ("AutoScaling", "autoscaling"))
    return it


# The same accounts four weeks earlier, told backwards: what has come since is taken away, what has gone is put back.


def earlier_shop(it: Account) -> None:
    # Deleted since: a pair, an empty profile, and a role that another one trusted.
    it.pair("fax-gateway", OPS)
    it.profile("web-2019", None, OPS)
    it.role("partner-sync", trust("lambda.amazonaws.com"), OPS)
    it.roles[-1]["RoleId"] = DELETED
    let_in = (f"arn:aws:iam::{SHOP}:root", str(it.roles[-1]["Arn"]))
    next(r for r in it.roles if r["RoleName"] == "partner-access")["AssumeRolePolicyDocument"] = trust(aws=let_in)
    # Created since.
    it.without(("etl", "jump-host"), ("etl",))
    # Deleted and created again since: an instance still holds this id.
    monitoring = next(p for p in it.profiles if p["InstanceProfileName"] == "monitoring")
    monitoring |= {"InstanceProfileId": "AIPAEXAMPLEGONE00001", "CreateDate": "2023-06-06T09:00:04+00:00"}
    # Another role since: one by mistake, one to put a mistake right.
    it.put("blue", "blue")
    it.role("shop-debug", trust(EC2), OPS)
    it.put("shop-debug", "shop-InstanceProfile-Z9Y8X7W6V5U4")
    # Tagged since, or tagged otherwise.
    it.profile_tags |= {"mail": {}, "batch": DATA, "catalog": OPS | {"Owner": "web"}}
    it.role_tags["catalog"] = OPS | {"Owner": "web"}


def earlier_platform(it: Account) -> None:
    # A node group that is gone, and a node class that has come; tags that a script took from a profile of EKS.
    it.made("eks-prod-nodes", "eks-5ac3e0f2-71b4-4d0e-8c55-b0d2f9a3c6e1")
    it.without(profiles=("prod_1193844207756120033",))
    it.clusters.append("staging")
    it.profile_tags["eks-eu-west-1-prod-4067990795380418201"] = {"eks:eks-cluster-name": "prod"}


def earlier_legacy(it: Account) -> None:
    it.profile("intranet-2014", None)


class Region:
    """What one region of an account holds that names profiles; of a profile that is not there, nothing."""

    def __init__(self, account: Account, name: str, start: int) -> None:
        self.account, self.name, self.number = account, name, start
        self.instances: list[Json] = []
        self.templates: list[Json] = []
        self.versions: list[Json] = []
        self.configurations: list[Json] = []
        self.groups: list[Json] = []

    def _next(self) -> int:
        self.number += 1
        return self.number

    def instance(self, name: str, state: str = "running", id: str | None = None) -> None:
        number = self._next()
        if (profile := self.account.find(name)) is None:
            return
        self.instances.append(
            {
                "InstanceId": f"i-0abcdef{number:010x}",
                "State": {"Code": 16 if state == "running" else 80, "Name": state},
                "Placement": {"AvailabilityZone": f"{self.name}a"},
                "IamInstanceProfile": {"Arn": profile["Arn"], "Id": id or profile["InstanceProfileId"]},
                "Tags": [{"Key": "Name", "Value": f"{name}-{number}"}],
            }
        )

    def template(self, name: str, profile: Json, group: bool = False) -> None:
        template = {"LaunchTemplateId": f"lt-0abcdef{self._next():010x}", "LaunchTemplateName": name}
        data = {"ImageId": "ami-0abcdef1234567890", "IamInstanceProfile": profile}
        self.templates.append(template | {"DefaultVersionNumber": 1, "LatestVersionNumber": 1})
        self.versions.append(template | {"VersionNumber": 1, "DefaultVersion": True, "LaunchTemplateData": data})
        if group:
            arn = self._scaling("autoScalingGroup", name)
            chosen: Json = {"LaunchTemplate": template | {"Version": "$Default"}}
            self.groups.append({"AutoScalingGroupName": name, "AutoScalingGroupARN": arn} | chosen)

    def configuration(self, name: str, profile: str) -> None:
        arn = self._scaling("launchConfiguration", name)
        self.configurations.append(
            {"LaunchConfigurationName": name, "LaunchConfigurationARN": arn, "IamInstanceProfile": profile}
        )

    def _scaling(self, kind: str, name: str) -> str:
        return f"arn:aws:autoscaling:{self.name}:{self.account.id}:{kind}:{self._next():08x}:{kind}Name/{name}"

    def documents(self) -> dict[str, Json]:
        reservations = [
            {"ReservationId": f"r-{row['InstanceId'][2:]}", "OwnerId": self.account.id, "Instances": [row]}  # type: ignore[index]
            for row in self.instances
        ]
        return {
            f"{self.name}/describe-instances": {"Reservations": reservations},
            f"{self.name}/describe-launch-templates": {"LaunchTemplates": self.templates},
            f"{self.name}/describe-launch-template-versions": {"LaunchTemplateVersions": self.versions},
            f"{self.name}/describe-launch-configurations": {"LaunchConfigurations": self.configurations},
            f"{self.name}/describe-auto-scaling-groups": {"AutoScalingGroups": self.groups},
        }


def shop_regions(it: Account) -> dict[str, Json]:
    tokyo, ireland = Region(it, "ap-northeast-1", 0), Region(it, "eu-west-1", 50)
    for name in ("web", "api", "portal", "zaiko", "haiso", "checkout", "AWSCloud9SSMInstanceProfile"):
        tokyo.instance(name)
    tokyo.instance("bastion", "stopped")
    tokyo.instance("monitoring", id="AIPAEXAMPLEGONE00001")
    tokyo.template("worker", {"Name": "worker"}, group=True)
    tokyo.template("retired", {"Name": "retired-app"})
    for name in (
        *("batch", "ingest", "search", "blue", "etl", "billing-profile", "cache", "catalog", "cart", "mail"),
        *("shop-InstanceProfile-Z9Y8X7W6V5U4", "reports-WebProfile-3N4P5Q6R7S8T", "EMR_EC2_DefaultRole"),
        *("image-resizer", "recommendations", "price-feed", "cdn-origin", "s3access-profile"),
    ):
        ireland.instance(name)
    ireland.template("ecs", {"Arn": f"arn:aws:iam::{SHOP}:instance-profile/ecsInstanceRole"})
    ireland.configuration("beanstalk", "aws-elasticbeanstalk-ec2-role")
    # EMR takes only a profile with its role's name: the next cluster of this kind does not start.
    cluster: Json = {"Id": "j-0ABCDEF123456", "Name": "nightly-etl", "Status": {"State": "WAITING"}}
    cluster["Ec2InstanceAttributes"] = {"IamInstanceProfile": "s3access-profile"}
    return tokyo.documents() | ireland.documents() | {"eu-west-1/describe-cluster": {"Cluster": cluster}}


def platform_regions(it: Account) -> dict[str, Json]:
    ireland = Region(it, "eu-west-1", 100)
    # Today's profiles first, so that an instance has the same id at both times.
    for name in dict.fromkeys(str(one["InstanceProfileName"]) for one in (*platform().profiles, *it.profiles)):
        if name.startswith("eks-"):
            ireland.template(name, {"Name": name}, group=True)
        elif name not in ("sandbox", "gpu-notebook", "KarpenterNodeInstanceProfile-dev", GONE):
            ireland.instance(name)
    return ireland.documents() | {"eu-west-1/list-clusters": {"clusters": it.clusters}}


def legacy_regions(it: Account) -> dict[str, Json]:
    virginia = Region(it, "us-east-1", 200)
    for name in ("intranet", "wiki", "ldap", "fileserver", "vpn", "erp"):
        virginia.instance(name)
    documents = virginia.documents()
    for refused in ("templates", "template-versions"):
        del documents[f"us-east-1/describe-launch-{refused}"]
    return documents


def tag_policy(account: str, rules: dict[str, object]) -> dict[str, Json]:
    content = json.dumps({"tags": rules})
    policy: Json = {
        "PolicyContent": content,
        "LastUpdatedTimestamp": "2026-03-02T09:00:00+00:00",
        "TargetId": account,
        "PolicyType": "TAG_POLICY",
    }
    return {"describe-effective-policy": {"EffectivePolicy": policy}}


def tag_files(folder: str, tags: dict[str, Tags], denied: set[str] | None = None) -> dict[str, Json]:
    return {f"{folder}/{name}": {"Tags": tag_list(own)} for name, own in tags.items() if name not in (denied or set())}


def files(*, earlier: bool = False) -> dict[str, str]:
    """Return the path of each file of the sample and its text; of the one of four weeks earlier, if asked for."""
    one, two, three = shop(), platform(), legacy()
    if earlier:
        earlier_shop(one)
        earlier_platform(two)
        earlier_legacy(three)
        for last in (last for account in (one, two, three) for last in account.last_used.values()):
            last |= {key: str(day).replace("2026-11-", "2026-10-") for key, day in last.items()}
    shop_documents: dict[str, Json] = {
        **one.caller("example-shop"),
        # The quota stands at 50, so that a small account can show what it is to come near it.
        **one.summary(profile_quota=50),
        "get-account-authorization-details": {
            "UserDetailList": [],
            "GroupDetailList": [],
            "RoleDetailList": one.details(),
        },
        "list-instance-profiles": {"InstanceProfiles": one.profiles},
        **tag_files("instance-profile-tags", one.profile_tags),
        **tag_policy(SHOP, TAG_RULES),
        **shop_regions(one),
    }
    platform_documents: dict[str, Json] = {
        **two.caller("example-platform"),
        **two.summary(profile_quota=1000),
        "get-account-authorization-details": {
            "UserDetailList": [],
            "GroupDetailList": [],
            "RoleDetailList": two.details(),
        },
        "list-instance-profiles": {"InstanceProfiles": two.profiles},
        **tag_policy(PLATFORM, TAG_RULES | PLATFORM_RULES),
        **platform_regions(two),
    }
    hidden = {str(row["RoleName"]) for row in three.roles if row["Path"] == FINANCE}
    # The tags of these two have become readable since, which is no change of theirs.
    hidden |= {"vpn", "dns"} if earlier else set()
    legacy_documents: dict[str, Json] = {
        **three.caller("example-legacy"),
        "list-roles": {"Roles": [{key: role[key] for key in LISTED_ROLE} for role in three.roles]},
        "list-instance-profiles": {"InstanceProfiles": three.profiles},
        **tag_files("role-tags", three.role_tags, hidden),
        **tag_files("instance-profile-tags", three.profile_tags, hidden),
        **legacy_regions(three),
    }
    written = {
        f"{account}/{name}.json": printed(document)
        for account, documents in ((SHOP, shop_documents), (PLATFORM, platform_documents), (LEGACY, legacy_documents))
        for name, document in documents.items()
    }
    # One command after the other, appended to one file.
    written[f"{PLATFORM}/get-instance-profile.json"] = "".join(
        printed(
            {"InstanceProfile": profile | {"Tags": tag_list(two.profile_tags[str(profile["InstanceProfileName"])])}}
        )
        for profile in two.profiles
    )
    denied = [
        "GetAccountAuthorizationDetails,*,AccessDenied",
        "GetAccountSummary,*,AccessDenied",
        *(
            f"{call},{name},AccessDenied"
            for name in sorted(hidden)
            for call in ("ListRoleTags", "ListInstanceProfileTags")
        ),
        "DescribeInstances,eu-west-1,UnauthorizedOperation",
        "DescribeLaunchTemplateVersions,us-east-1,UnauthorizedOperation",
    ]
    written[f"{LEGACY}/denied.csv"] = "\n".join(["operation,subject,error_code", *denied]) + "\n"
    return written


# Terraform states of two of the accounts, last applied four weeks ago; nothing in the platform's account is in a state.


def managed(it: Account, address: str, key: str | int | None = None, **other: object) -> Json:
    """Return a resource as a state holds it, from the account; `other` are attributes that differ there."""
    module, _, rest = address.rpartition("aws_iam_")
    kind, name = rest.split(".")
    of_role = kind == "role"
    held = str(other.get("name", key or name))
    rows, tags = (it.roles, it.role_tags) if of_role else (it.profiles, it.profile_tags)
    row = next(one for one in rows if one["RoleName" if of_role else "InstanceProfileName"] == held)
    attributes: Json = {
        "arn": row["Arn"],
        "create_date": row["CreateDate"],
        "name": held,
        "path": row["Path"],
        "tags": tags[held],
        "tags_all": tags[held],
        "unique_id": row["RoleId" if of_role else "InstanceProfileId"],
    }
    if of_role:
        attributes["assume_role_policy"] = json.dumps(row["AssumeRolePolicyDocument"])
    else:
        attributes["role"] = next(iter(roles_in(row)), None)
    return {
        **({"module": module.rstrip(".")} if module else {}),
        "mode": "managed",
        "type": f"aws_iam_{kind}",
        "name": name,
        "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
        "instances": [{**({} if key is None else {"index_key": key}), "attributes": attributes | other}],
    }


def state(lineage: str, *resources: Json) -> str:
    head: Json = {"version": 4, "terraform_version": "1.14.0", "serial": 7, "lineage": lineage, "outputs": {}}
    # Resources of one `for_each` are instances of one resource.
    blocks: dict[tuple[object, ...], Json] = {}
    for one in resources:
        block = blocks.setdefault((one.get("module"), one["type"], one["name"]), one)
        if block is not one:
            block["instances"] += one["instances"]  # type: ignore[operator]
    return printed(head | {"resources": list(blocks.values())})


def states() -> dict[str, str]:
    """Return the name of each Terraform state and its text."""
    one, three = shop(), legacy()
    earlier_shop(one)
    cache = f"arn:aws:iam::{SHOP}:instance-profile/cache"
    services = [
        managed(one, f"module.service[{json.dumps(name)}].aws_iam_{kind}.this", name=name)
        for name in ("web", "api", "worker", "checkout", "mail", "monitoring", "blue")
        for kind in ("role", "instance_profile")
    ]
    pairs = [
        managed(one, f"aws_iam_{kind}.batch", name)
        for name in ("batch", "ingest", "fax-gateway")
        for kind in ("role", "instance_profile")
    ]
    others = (
        managed(one, "aws_iam_role.cache", name="Cache"),
        # Somebody made it again by hand, under another path, and it has another id.
        managed(one, "aws_iam_instance_profile.cache", arn=cache, path="/", unique_id="AIPAEXAMPLEGONE00002"),
        # Terraform put a role into it, and somebody took the role out.
        managed(one, "aws_iam_instance_profile.staging", 0, name="staging-web", role="web"),
    )
    old = [
        managed(three, f"aws_iam_{kind}.{name}")
        for name in ("intranet", "wiki", "erp")
        for kind in ("role", "instance_profile")
    ]
    return {
        "shop.tfstate": state("1f4d7c2a-0000-4000-8000-111122223333", *services, *pairs, *others),
        "legacy.tfstate": state("1f4d7c2a-0000-4000-8000-123456789012", *old),
    }


def printed(document: Json) -> str:
    return json.dumps(document, indent=4, ensure_ascii=False) + "\n"


def main() -> None:
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for folder, texts in (
        ("sample", files()),
        ("sample-earlier", files(earlier=True)),
        ("sample-terraform", states()),
    ):
        shutil.rmtree(into / folder, ignore_errors=True)
        for name, text in texts.items():
            path = into / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
