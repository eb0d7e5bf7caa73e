"""Two accounts at random, with everything that names profiles, as the AWS CLI prints it; and beside it what is true.

Nothing of iamframe is used here: what each thing means is what the generator meant when it wrote it down.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FIRST, SECOND, UNREAD = "111122223333", "444455556666", "777788889999"
REGIONS = ("eu-west-1", "us-east-1")
# What `stale_references` speaks of.
DIRECT = ("instance", "association", "launch-template", "launch-configuration")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PATHS = ("/", "/", "/", "/team/", "/team/blue/", "/service-role/", "/old/path/")
_WORDS = ("web", "api", "batch", "etl", "ci", "db", "cache", "ops", "node", "edge", "mail", "search")
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@dataclass(frozen=True)
class Profile:
    """An instance profile that is there."""

    account: str
    name: str
    path: str
    id: str
    role: str | None

    @property
    def arn(self) -> str:
        return arn_of(self.account, self.path, self.name)


@dataclass(frozen=True)
class Naming:
    """How something names a profile: the text, the id that it carries, what that means, and what is wrong with it.

    `problem` is None, `gone`, `other_path`, `recreated`, or `unread` where nobody can say.
    """

    text: str
    means: Profile | None
    problem: str | None = None
    id: str | None = None

    @property
    def as_pair(self) -> dict[str, str]:
        """The text as EC2 writes it."""
        return {"Arn" if self.text.startswith("arn:") else "Name": self.text}


@dataclass(frozen=True)
class Use:
    """One thing that names a profile by itself, and where it stands."""

    account: str
    region: str
    consumer_type: str
    consumer_id: str
    naming: Naming
    # Of an association, its instance.
    instance: str | None = None


@dataclass
class World:
    """Two accounts: their profiles, what uses them, and the files that tell of both."""

    profiles: list[Profile] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    files: dict[str, Any] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)

    @property
    def used(self) -> set[str]:
        """The ARNs of the profiles that something uses."""
        return {use.naming.means.arn for use in self.uses if use.naming.means}

    @property
    def unreferenced(self) -> set[str]:
        """The ARNs of the profiles that hold a role and are used by nothing."""
        return {one.arn for one in self.profiles if one.role} - self.used

    @property
    def stale(self) -> set[tuple[str, str, str]]:
        """Account, kind and id of what names a profile that is gone, or of another path, or was recreated."""
        instances = {use.consumer_id for use in self.uses if use.consumer_type == "instance"}
        return {
            (use.account, use.consumer_type, use.consumer_id)
            for use in self.uses
            if use.consumer_type in DIRECT
            and use.naming.problem in ("gone", "other_path", "recreated")
            # The instance speaks for itself.
            and use.instance not in instances
        }


def arn_of(account: str, path: str, name: str) -> str:
    return f"arn:aws:iam::{account}:instance-profile{path}{name}"


def random_world(seed: int, size: int = 200) -> World:
    """Return two accounts of so many roles and so many profiles each, the same for the same seed."""
    return _Maker(seed, size).world


class _Maker:
    def __init__(self, seed: int, size: int) -> None:
        self.random = random.Random(f"{seed} {size}")
        self.world = World()
        self.number = 0
        self.free: dict[str, list[Profile]] = {}
        for account in (FIRST, SECOND):
            self.free[account] = self._profiles(account, size)
        for account in (FIRST, SECOND):
            self._listings(account, size)
            for region in REGIONS:
                self._region(account, region, size)

    # Names and ids

    def _id(self, prefix: str) -> str:
        return prefix + "".join(self.random.choices(_LETTERS, k=17))

    def _hex(self, prefix: str) -> str:
        self.number += 1
        return f"{prefix}-{self.random.getrandbits(32):08x}{self.number:09x}"

    def _profiles(self, account: str, size: int) -> list[Profile]:
        made = []
        for number in range(size):
            # Names come twice in two accounts, so that one account's must not be taken for the other's.
            whose = "" if number % 3 else account[0]
            name = f"{self.random.choice(_WORDS)}{whose}-{self.random.choice(('App', 'svc', 'X.y', 'a_b'))}-{number}"
            role = None if self.random.random() < 0.1 else f"{name}-role"
            made.append(Profile(account, name, self.random.choice(_PATHS), self._id("AIPA"), role))
        self.world.profiles += made
        # A third of them is named by nothing, unless by another account.
        return self.random.sample(made, size * 2 // 3)

    # How a profile is named

    def _naming(self, account: str, by: str = "both", *, with_id: bool = False) -> Naming:
        """Return a naming by `name`, by `arn` or by `both`; with an id, as an instance has it."""
        one = self.random.choice(self.free[account])
        other = SECOND if account == FIRST else FIRST
        theirs = self.random.choice(self.free[other])
        ways: list[tuple[int, Callable[[], Naming]]] = []
        if by != "name":
            wrong = self.random.choice([path for path in sorted(set(_PATHS)) if path != one.path])
            ways += [
                (8, lambda: Naming(one.arn, one)),
                (2, lambda: Naming(arn_of(account, one.path, one.name.swapcase()), one)),
                (2, lambda: Naming(arn_of(account, wrong, one.name), None, "other_path")),
                (1, lambda: Naming(arn_of(account, wrong, f"{one.name}-gone"), None, "gone")),
                (2, lambda: Naming(theirs.arn, theirs)),
                (1, lambda: Naming(arn_of(other, f"{theirs.path}x/", theirs.name), None, "other_path")),
                (1, lambda: Naming(arn_of(other, theirs.path, f"{theirs.name}-gone"), None, "gone")),
                (1, lambda: Naming(arn_of(UNREAD, one.path, one.name), None, "unread")),
            ]
        if by != "arn" and not with_id:
            mine = {profile.name for profile in self.world.profiles if profile.account == account}
            ways += [
                (8, lambda: Naming(one.name, one)),
                (2, lambda: Naming(one.name.swapcase(), one)),
                (1, lambda: Naming(f"{one.name}-gone", None, "gone")),
            ]
            if theirs.name not in mine:
                ways.append((1, lambda: Naming(theirs.name, None, "gone")))
        if with_id:
            ways += [
                (3, lambda: Naming(one.arn, one, "recreated", self._id("AIPA"))),
                (2, lambda: Naming(one.arn, one, None, self._hex("iip-assoc"))),
                (1, lambda: Naming(arn_of(account, f"{one.path}before/", one.name), one, None, one.id)),
                (1, lambda: Naming(arn_of(account, f"{one.path}x/", one.name), None, "other_path", self._id("AIPA"))),
            ]
        weights, makers = zip(*ways, strict=True)
        naming: Naming = self.random.choices(makers, weights)[0]()
        if with_id and naming.id is None:
            held = naming.means.id if naming.means else self._id("AIPA")
            naming = Naming(naming.text, naming.means, naming.problem, held)
        return naming

    def _use(self, account: str, region: str, kind: str, id: str, naming: Naming, instance: str | None = None) -> None:
        self.world.uses.append(Use(account, region, kind, id, naming, instance))

    # Files

    def _listings(self, account: str, size: int) -> None:
        # One account's folder is called after it, of the other the caller tells.
        folder = self.world.folders[account] = account if account == FIRST else "second"
        mine = [one for one in self.world.profiles if one.account == account]
        names = [one.role for one in mine if one.role]
        names += [f"alone-{number}" for number in range(size - len(names))]
        roles = {name: self._role(account, name) for name in names}
        listed = [
            {
                "Path": one.path,
                "InstanceProfileName": one.name,
                "InstanceProfileId": one.id,
                "Arn": one.arn,
                "CreateDate": "2024-05-01T09:00:05+00:00",
                "Roles": [roles[one.role]] if one.role else [],
            }
            for one in mine
        ]
        who = f"arn:aws:sts::{account}:assumed-role/audit/me"
        self.world.files |= {
            f"{folder}/get-caller-identity.json": {"UserId": "AROA:me", "Account": account, "Arn": who},
            f"{folder}/list-instance-profiles.json": {"InstanceProfiles": listed},
            f"{folder}/list-roles.json": {"Roles": list(roles.values())},
        }

    def _role(self, account: str, name: str) -> dict[str, Any]:
        return {
            "Path": "/",
            "RoleName": name,
            "RoleId": self._id("AROA"),
            "Arn": f"arn:aws:iam::{account}:role/{name}",
            "CreateDate": "2024-05-01T09:00:00+00:00",
            "AssumeRolePolicyDocument": _TRUST,
            "MaxSessionDuration": 3600,
        }

    def _region(self, account: str, region: str, size: int) -> None:
        some = max(2, size // 20)
        instances, associations = self._instances(account, region, some * 2)
        templates, versions = self._templates(account, region, some)
        configurations = [self._configuration(account, region) for _ in range(some // 2)]
        started = [{"LaunchTemplateSpecification": self._pin(versions)} for _ in range(some)]
        answers = {
            "describe-instances": {"Reservations": instances},
            "describe-iam-instance-profile-associations": {"IamInstanceProfileAssociations": associations},
            "describe-launch-templates": {"LaunchTemplates": templates},
            "describe-launch-configurations": {"LaunchConfigurations": configurations},
            "describe-auto-scaling-groups": {
                "AutoScalingGroups": [self._group(account, region, versions, configurations) for _ in range(some)]
            },
            "describe-spot-instance-requests": {
                "SpotInstanceRequests": [self._spot_request(account, region) for _ in range(some)]
            },
            "describe-spot-fleet-requests": {
                "SpotFleetRequestConfigs": [self._spot_fleet(account, region, started) for _ in range(some // 2)]
            },
            "describe-fleets": {
                "Fleets": [
                    {"FleetId": self._hex("fleet"), "FleetState": "active", "LaunchTemplateConfigs": [one]}
                    for one in started
                ]
            },
            "describe-compute-environments": {
                "computeEnvironments": [self._batch(account, region, versions) for _ in range(some // 2)]
            },
            "describe-capacity-providers": {"capacityProviders": [self._ecs(account, region)], "failures": []},
            "describe-db-instances": {"DBInstances": [self._rds(account, region)]},
            "describe-cluster": {"Cluster": self._emr(account, region)},
            "describe-configuration-settings": {"ConfigurationSettings": [self._beanstalk(account, region)]},
            "get-infrastructure-configuration": {"infrastructureConfiguration": self._image_builder(account, region)},
            "get-compute-node-group": {"computeNodeGroup": self._pcs(account, region, versions)},
        }
        # As many pages as somebody saved: the newest and the defaults, and those that were asked for one by one.
        shuffled = self.random.sample(versions, len(versions))
        half = len(shuffled) // 2
        answers |= {
            f"describe-launch-template-versions-{number}": {"LaunchTemplateVersions": part}
            for number, part in enumerate((shuffled[:half], shuffled[half:]), 1)
        }
        where = f"{self.world.folders[account]}/{region}"
        self.world.files |= {f"{where}/{name}.json": answer for name, answer in answers.items()}

    # Things that name profiles

    def _instances(self, account: str, region: str, count: int) -> tuple[list[Any], list[Any]]:
        instances, associations = [], []
        for _ in range(count):
            one, naming = self._hex("i"), self._naming(account, "arn", with_id=True)
            state = self.random.choice(("running", "running", "stopped", "pending", "terminated"))
            # An association may be read where its instance is not: the files are of two moments.
            shown = self.random.random() < 0.8
            if shown:
                instances.append(
                    {
                        "InstanceId": one,
                        "State": {"Name": state},
                        "Placement": {"AvailabilityZone": f"{region}b"},
                        "IamInstanceProfile": {"Arn": naming.text, "Id": naming.id},
                    }
                )
                if state != "terminated":
                    self._use(account, region, "instance", one, naming)
            if state != "terminated" and (not shown or self.random.random() < 0.5):
                association = self._hex("iip-assoc")
                associations.append(
                    {
                        "AssociationId": association,
                        "InstanceId": one,
                        "IamInstanceProfile": {"Arn": naming.text, "Id": naming.id},
                        "State": "associated",
                    }
                )
                self._use(account, region, "association", association, naming, instance=one)
        reservations = [
            {"ReservationId": self._hex("r"), "OwnerId": account, "Groups": [], "Instances": instances[at : at + 3]}
            for at in range(0, len(instances), 3)
        ]
        return reservations, associations

    def _templates(self, account: str, region: str, count: int) -> tuple[list[Any], list[Any]]:
        templates, versions = [], []
        for _ in range(count):
            one, newest = self._hex("lt"), self.random.randint(1, 5)
            default = self.random.randint(1, newest)
            both = {"LaunchTemplateId": one, "LaunchTemplateName": f"template-{one[-4:]}"}
            templates.append(both | {"DefaultVersionNumber": default, "LatestVersionNumber": newest})
            for number in range(1, newest + 1):
                data: dict[str, Any] = {"ImageId": "ami-1"}
                if self.random.random() < 0.8:
                    naming = self._naming(account)
                    data["IamInstanceProfile"] = naming.as_pair
                    self._use(account, region, "launch-template", one, naming)
                versions.append(
                    both
                    | {
                        "VersionNumber": number,
                        "CreatedBy": f"arn:aws:iam::{account}:root",
                        "DefaultVersion": number == default,
                        "LaunchTemplateData": data,
                    }
                )
        return templates, versions

    def _pin(self, versions: list[Any]) -> dict[str, str]:
        one = self.random.choice(versions)
        number = self.random.choice((str(one["VersionNumber"]), "$Default", "$Latest"))
        by = self.random.choice(("LaunchTemplateId", "LaunchTemplateName"))
        return {by: one[by], "Version": number}

    def _configuration(self, account: str, region: str) -> dict[str, Any]:
        name, naming = self._hex("lc"), self._naming(account)
        self._use(account, region, "launch-configuration", name, naming)
        arn = f"arn:aws:autoscaling:{region}:{account}:launchConfiguration:1:launchConfigurationName/{name}"
        return {"LaunchConfigurationName": name, "LaunchConfigurationARN": arn, "IamInstanceProfile": naming.text}

    def _group(self, account: str, region: str, versions: list[Any], configurations: list[Any]) -> dict[str, Any]:
        name = self._hex("asg")
        arn = f"arn:aws:autoscaling:{region}:{account}:autoScalingGroup:1:autoScalingGroupName/{name}"
        mixed = {
            "LaunchTemplateSpecification": self._pin(versions),
            "Overrides": [{"InstanceType": "m5.large", "LaunchTemplateSpecification": self._pin(versions)}],
        }
        through = self.random.choice(
            (
                {"LaunchTemplate": self._pin(versions)},
                {"MixedInstancesPolicy": {"LaunchTemplate": mixed}},
                {"LaunchConfigurationName": self.random.choice(configurations)["LaunchConfigurationName"]},
            )
        )
        return {"AutoScalingGroupName": name, "AutoScalingGroupARN": arn, "Instances": []} | through

    def _spot_request(self, account: str, region: str) -> dict[str, Any]:
        one, naming = self._hex("sir"), self._naming(account)
        state = self.random.choice(("open", "active", "active", "cancelled", "closed"))
        if state not in ("cancelled", "closed"):
            self._use(account, region, "spot-request", one, naming)
        return {
            "SpotInstanceRequestId": one,
            "State": state,
            "LaunchSpecification": {"ImageId": "ami-1", "IamInstanceProfile": naming.as_pair},
        }

    def _spot_fleet(self, account: str, region: str, started: list[Any]) -> dict[str, Any]:
        one, naming = self._hex("sfr"), self._naming(account)
        self._use(account, region, "spot-fleet", one, naming)
        config = {
            "LaunchSpecifications": [{"ImageId": "ami-1", "IamInstanceProfile": naming.as_pair}],
            "LaunchTemplateConfigs": [self.random.choice(started)],
        }
        return {"SpotFleetRequestId": one, "SpotFleetRequestState": "active", "SpotFleetRequestConfig": config}

    def _batch(self, account: str, region: str, versions: list[Any]) -> dict[str, Any]:
        name, naming = self._hex("batch"), self._naming(account)
        self._use(account, region, "batch-environment", name, naming)
        pin = self._pin(versions)
        resources = {
            "type": "EC2",
            "minvCpus": 0,
            "desiredvCpus": 0,
            "instanceRole": naming.text,
            "launchTemplate": {key[0].lower() + key[1:]: value for key, value in pin.items()},
        }
        arn = f"arn:aws:batch:{region}:{account}:compute-environment/{name}"
        return {
            "computeEnvironmentName": name,
            "computeEnvironmentArn": arn,
            "status": "VALID",
            "computeResources": resources,
        }

    def _ecs(self, account: str, region: str) -> dict[str, Any]:
        name, naming = self._hex("cp"), self._naming(account, "arn")
        self._use(account, region, "ecs-capacity-provider", name, naming)
        arn = f"arn:aws:ecs:{region}:{account}:capacity-provider/{name}"
        template = {"instanceLaunchTemplate": {"ec2InstanceProfileArn": naming.text}}
        return {"name": name, "capacityProviderArn": arn, "status": "ACTIVE", "managedInstancesProvider": template}

    def _rds(self, account: str, region: str) -> dict[str, Any]:
        name, naming = self._hex("db"), self._naming(account, "name")
        self._use(account, region, "rds-custom-instance", name, naming)
        return {
            "DBInstanceIdentifier": name,
            "DBInstanceArn": f"arn:aws:rds:{region}:{account}:db:{name}",
            "DBInstanceStatus": "available",
            "CustomIamInstanceProfile": naming.text,
        }

    def _emr(self, account: str, region: str) -> dict[str, Any]:
        one, naming = self._hex("j"), self._naming(account)
        self._use(account, region, "emr-cluster", one, naming)
        return {
            "Id": one,
            "Name": "etl",
            "ClusterArn": f"arn:aws:elasticmapreduce:{region}:{account}:cluster/{one}",
            "Status": {"State": "WAITING"},
            "Ec2InstanceAttributes": {"IamInstanceProfile": naming.text},
        }

    def _beanstalk(self, account: str, region: str) -> dict[str, Any]:
        name, naming = self._hex("env"), self._naming(account)
        self._use(account, region, "beanstalk-environment", name, naming)
        namespace = "aws:autoscaling:launchconfiguration"
        option = {"Namespace": namespace, "OptionName": "IamInstanceProfile", "Value": naming.text}
        return {"ApplicationName": "app", "EnvironmentName": name, "OptionSettings": [option]}

    def _image_builder(self, account: str, region: str) -> dict[str, Any]:
        name, naming = self._hex("infra"), self._naming(account, "name")
        self._use(account, region, "imagebuilder-infrastructure", name, naming)
        arn = f"arn:aws:imagebuilder:{region}:{account}:infrastructure-configuration/{name}"
        return {"arn": arn, "name": name, "instanceProfileName": naming.text}

    def _pcs(self, account: str, region: str, versions: list[Any]) -> dict[str, Any]:
        one, naming = self._hex("pcs"), self._naming(account, "arn")
        self._use(account, region, "pcs-node-group", one, naming)
        template = self.random.choice(versions)
        return {
            "id": one,
            "name": one,
            "arn": f"arn:aws:pcs:{region}:{account}:cluster/c/computenodegroup/{one}",
            "status": "ACTIVE",
            "iamInstanceProfileArn": naming.text,
            "customLaunchTemplate": {"id": template["LaunchTemplateId"], "version": str(template["VersionNumber"])},
        }
