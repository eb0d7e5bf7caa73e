"""Write the sample: one fictional account, as the AWS CLI prints it, in which each check finds something.

    python data/make_sample.py [FOLDER]

Deterministic. A test holds the files beside this script to what it writes. `README.md` says what the account shows.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

ACCOUNT = "111122223333"
REGIONS = ("ap-northeast-1", "eu-west-1")
EC2 = "ec2.amazonaws.com"
DELETED = "AROAEXAMPLEDELETED01"

Tags = dict[str, str]


def trust(*services: str, aws: tuple[str, ...] = ()) -> dict[str, object]:
    principal: dict[str, object] = {}
    if services:
        principal["Service"] = services[0] if len(services) == 1 else list(services)
    if aws:
        principal["AWS"] = list(aws)
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}],
    }


class Account:
    def __init__(self) -> None:
        self.roles: list[dict[str, object]] = []
        self.profiles: list[dict[str, object]] = []
        self.profile_tags: dict[str, Tags | None] = {}

    def role(
        self,
        name: str,
        policy: dict[str, object],
        tags: Tags | None = None,
        path: str = "/",
        used: str | None = "2026-11-2",
    ) -> str:
        number = len(self.roles) + 1
        day = f"{number % 28 + 1:02d}"
        self.roles.append(
            {
                "Path": path,
                "RoleName": name,
                "RoleId": f"AROAEXAMPLE{number:09d}",
                "Arn": f"arn:aws:iam::{ACCOUNT}:role{path}{name}",
                "CreateDate": f"20{18 + number % 8}-03-{day}T09:00:00+00:00",
                "AssumeRolePolicyDocument": policy,
                "InstanceProfileList": [],
                "RolePolicyList": [],
                "AttachedManagedPolicies": [],
                "Tags": [{"Key": key, "Value": value} for key, value in (tags or {}).items()],
                "RoleLastUsed": {"LastUsedDate": f"{used}{number % 4}T08:15:00+00:00", "Region": REGIONS[number % 2]}
                if used
                else {},
            }
        )
        return name

    def profile(
        self, name: str, role: str | None, tags: Tags | None = None, path: str = "/", *, denied: bool = False
    ) -> str:
        number = len(self.profiles) + 1
        held = next((r for r in self.roles if r["RoleName"] == role), None)
        nested = ("Path", "RoleName", "RoleId", "Arn", "CreateDate", "AssumeRolePolicyDocument")
        profile = {
            "Path": path,
            "InstanceProfileName": name,
            "InstanceProfileId": f"AIPAEXAMPLE{number:09d}",
            "Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile{path}{name}",
            "CreateDate": held["CreateDate"] if held else f"2021-06-{number % 28 + 1:02d}T09:00:00+00:00",
            "Roles": [{key: held[key] for key in nested}] if held else [],
        }
        self.profiles.append(profile)
        self.profile_tags[name] = None if denied else (tags or {})
        if held:
            held["InstanceProfileList"].append(profile)  # type: ignore[attr-defined]
        return name

    def pair(self, name: str, tags: Tags, profile_tags: Tags | None = None) -> str:
        self.role(name, trust(EC2), tags)
        return self.profile(name, name, tags if profile_tags is None else profile_tags)


def account() -> Account:
    it = Account()
    ops, data, japan = {"Owner": "ops"}, {"Owner": "data"}, {"Owner": "基盤チーム", "Environment": "本番"}
    # What the console makes: two of one name.
    for name in ("web", "api", "worker", "bastion", "monitoring"):
        it.pair(name, ops | {"Environment": "prod"})
    it.pair("portal", japan)
    it.pair("batch", data | {"CostCenter": "4711"}, data | {"CostCenter": "4812"})
    it.pair("reporting", data | {"cost-center": "4711"})
    it.pair("ingest", data | {"owner": "data"}, data)
    it.pair("search", {"Οwner": "search"}, {"Οwner": "search"})
    it.pair("legacy-ftp", ops, {})
    # Services, by their own names and paths.
    it.role("AWSCloud9SSMAccessRole", trust("cloud9.amazonaws.com", EC2), ops, "/service-role/")
    it.profile("AWSCloud9SSMInstanceProfile", "AWSCloud9SSMAccessRole", path="/cloud9/")
    it.pair("AmazonSSMRoleForInstancesQuickSetup", {"QSConfigId-a1b2c": "a1b2c"})
    it.pair("aws-elasticbeanstalk-ec2-role", {}, {})
    it.pair("ecsInstanceRole", ops)
    it.role("eks-nodes", trust(EC2), ops)
    it.profile("eks-08c968da-2d88-0096-4c82-1ee57490a6af", "eks-nodes")
    it.profile(
        "prod_4067990795380418201",
        "eks-nodes",
        {"karpenter.sh/discovery": "prod"},
        "/karpenter/eu-west-1/prod/6e2f0a1c-demo/",
    )
    it.role("shop-InstanceRole-1A2B3C4D5E6F", trust(EC2), ops | {"Environment": "prod"})
    it.profile("shop-InstanceProfile-Z9Y8X7W6V5U4", "shop-InstanceRole-1A2B3C4D5E6F")
    it.role("app-20260102030405000000000001", trust(EC2), ops)
    it.profile("app-20260102030406000000000002", "app-20260102030405000000000001", ops)
    # Names and paths that differ without a maker who means it.
    it.role("billing-role", trust(EC2), ops)
    it.profile("billing-profile", "billing-role", ops)
    it.role("Cache", trust(EC2), ops)
    it.profile("cache", "Cache", ops, "/team-a/")
    it.role("blue", trust(EC2), ops)
    it.role("green", trust(EC2), ops)
    it.profile("blue", "green", ops)
    # Whom the roles let in.
    it.role("etl", trust("lambda.amazonaws.com"), data)
    it.profile("etl", "etl", data)
    it.role("partner-access", trust(aws=(f"arn:aws:iam::{ACCOUNT}:root", DELETED)), ops, used=None)
    # Halves without the other half.
    it.profile("old-batch", None, {"Owner": "data"})
    it.profile("staging-web", None)
    it.role("jump-host", trust(EC2), ops, used=None)
    # AWS's own roles, and one whose profile nobody may read the tags of.
    it.role("AWSServiceRoleForSupport", trust("support.amazonaws.com"), path="/aws-service-role/support.amazonaws.com/")
    it.role("AWSSystemsManagerDefaultEC2InstanceManagementRole", trust("ssm.amazonaws.com"), path="/service-role/")
    it.role("payroll", trust(EC2), {"Owner": "finance"})
    it.profile("payroll", "payroll", denied=True)
    return it


def references(it: Account) -> dict[str, dict[str, object]]:
    by_name = {str(profile["InstanceProfileName"]): profile for profile in it.profiles}

    def instance(
        number: int, region: str, name: str, state: str = "running", id: str | None = None
    ) -> dict[str, object]:
        return {
            "InstanceId": f"i-0abc{number:013x}",
            "State": {"Code": 16 if state == "running" else 80, "Name": state},
            "Placement": {"AvailabilityZone": f"{region}a"},
            "IamInstanceProfile": {"Arn": by_name[name]["Arn"], "Id": id or by_name[name]["InstanceProfileId"]},
            "Tags": [{"Key": "Name", "Value": f"{name}-{number}"}],
        }

    def instances(*rows: dict[str, object]) -> dict[str, object]:
        return {
            "Reservations": [
                {"ReservationId": f"r-{n:017x}", "OwnerId": ACCOUNT, "Instances": [row]}
                for n, row in enumerate(rows, 1)
            ]
        }

    def version(number: int, name: str, profile: dict[str, str], at: int = 1) -> dict[str, object]:
        return {
            "LaunchTemplateId": f"lt-0abc{number:013x}",
            "LaunchTemplateName": name,
            "VersionNumber": at,
            "DefaultVersion": True,
            "LaunchTemplateData": {"ImageId": "ami-0abcdef1234567890", "IamInstanceProfile": profile},
        }

    tokyo, ireland = REGIONS
    scaling = f"arn:aws:autoscaling:{{}}:{ACCOUNT}:{{}}Name/{{}}"
    return {
        f"{tokyo}/describe-instances": instances(
            instance(1, tokyo, "web"),
            instance(2, tokyo, "api"),
            instance(3, tokyo, "portal"),
            instance(4, tokyo, "bastion", "stopped"),
            instance(5, tokyo, "monitoring", id="AIPAEXAMPLEGONE00001"),
            instance(6, tokyo, "AWSCloud9SSMInstanceProfile"),
        ),
        f"{tokyo}/describe-launch-template-versions": {
            "LaunchTemplateVersions": [
                version(1, "worker", {"Name": "worker"}),
                version(2, "retired", {"Name": "retired-app"}),
            ]
        },
        f"{tokyo}/describe-launch-configurations": {"LaunchConfigurations": []},
        f"{tokyo}/describe-auto-scaling-groups": {
            "AutoScalingGroups": [
                {
                    "AutoScalingGroupName": "workers",
                    "AutoScalingGroupARN": scaling.format(tokyo, "autoScalingGroup:5f1c:autoScalingGroup", "workers"),
                    "LaunchTemplate": {
                        "LaunchTemplateId": "lt-0abc0000000000001",
                        "LaunchTemplateName": "worker",
                        "Version": "$Default",
                    },
                }
            ]
        },
        f"{ireland}/describe-instances": instances(
            instance(7, ireland, "batch"),
            instance(8, ireland, "ingest"),
            instance(9, ireland, "search"),
            instance(10, ireland, "eks-08c968da-2d88-0096-4c82-1ee57490a6af"),
            instance(11, ireland, "prod_4067990795380418201"),
            instance(12, ireland, "shop-InstanceProfile-Z9Y8X7W6V5U4"),
            instance(13, ireland, "blue"),
            instance(14, ireland, "etl"),
            instance(15, ireland, "payroll"),
            instance(16, ireland, "billing-profile"),
            instance(17, ireland, "cache"),
        ),
        f"{ireland}/describe-launch-template-versions": {
            "LaunchTemplateVersions": [
                version(3, "ecs", {"Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/ecsInstanceRole"})
            ]
        },
        f"{ireland}/describe-launch-configurations": {
            "LaunchConfigurations": [
                {
                    "LaunchConfigurationName": "beanstalk",
                    "LaunchConfigurationARN": scaling.format(
                        ireland, "launchConfiguration:7a2e:launchConfiguration", "beanstalk"
                    ),
                    "IamInstanceProfile": "aws-elasticbeanstalk-ec2-role",
                }
            ]
        },
        f"{ireland}/describe-auto-scaling-groups": {"AutoScalingGroups": []},
    }


def files() -> dict[str, str]:
    """Return the path of each file of the sample and its text."""
    it = account()
    documents: dict[str, object] = {
        "get-caller-identity": {
            "UserId": "AROAEXAMPLEAUDITOR01:audit",
            "Account": ACCOUNT,
            "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/auditor/audit",
        },
        "list-account-aliases": {"AccountAliases": ["example-shop"]},
        "get-account-summary": {
            "SummaryMap": {
                "Roles": len(it.roles),
                "RolesQuota": 1000,
                "InstanceProfiles": len(it.profiles),
                "InstanceProfilesQuota": 30,
            }
        },
        "get-account-authorization-details": {
            "UserDetailList": [],
            "GroupDetailList": [],
            "RoleDetailList": it.roles,
            "Policies": [],
        },
        "list-instance-profiles": {"InstanceProfiles": it.profiles},
        **references(it),
    }
    for name, tags in it.profile_tags.items():
        if tags is not None:
            documents[f"instance-profile-tags/{name}"] = {
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]
            }
    written = {
        f"{ACCOUNT}/{name}.json": json.dumps(document, indent=4, ensure_ascii=False) + "\n"
        for name, document in documents.items()
    }
    denied = [f"ListInstanceProfileTags,{name},AccessDenied" for name, tags in it.profile_tags.items() if tags is None]
    written[f"{ACCOUNT}/denied.csv"] = "\n".join(["operation,subject,error_code", *denied]) + "\n"
    return written


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "sample"
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
