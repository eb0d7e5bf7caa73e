"""Write a large account dump, as `aws iam get-account-authorization-details` prints one.

    python benchmarks/make_dump.py OUT.json [--roles 100000] [--profiles 50000] [--distinct-trust]

Deterministic. Names, paths, tags and a handful of trust policies repeat as they do in real accounts;
`--distinct-trust` gives each role a trust policy of its own, the worst case for a reader that works once per document.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import random
import textwrap

ACCOUNT = "111122223333"
SERVICES = ("ec2", "lambda", "ecs-tasks", "eks", "codebuild", "states")


def trust(service: str, external_id: str | None) -> dict[str, object]:
    statement: dict[str, object] = {
        "Sid": "",
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    if external_id:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    return {"Version": "2012-10-17", "Statement": [statement]}


def role(number: int, profile: bool, distinct: bool, rng: random.Random) -> dict[str, object]:
    path = rng.choice(("/", "/", "/", "/team/", "/service-role/"))
    name = f"app-{number:06d}-role"
    base = {
        "Path": path,
        "RoleName": name,
        "RoleId": f"AROA{number:016d}",
        "Arn": f"arn:aws:iam::{ACCOUNT}:role{path}{name}",
        "CreateDate": f"20{rng.randrange(15, 26)}-0{rng.randrange(1, 10)}-1{rng.randrange(10)}T08:00:00+00:00",
        "AssumeRolePolicyDocument": trust(rng.choice(SERVICES), f"x-{number}" if distinct else None),
    }
    profile_name = name if rng.random() < 0.8 else f"app-{number:06d}-profile"
    profiles = [
        {
            "Path": path,
            "InstanceProfileName": profile_name,
            "InstanceProfileId": f"AIPA{number:016d}",
            "Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile{path}{profile_name}",
            "CreateDate": base["CreateDate"],
            "Roles": [base],
        }
    ]
    tags = [{"Key": key, "Value": rng.choice(("ops", "data", "web", "batch"))} for key in ("Owner", "Team", "Env")]
    policies = [{"PolicyName": f"p{n}", "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/p{n}"} for n in range(1)]
    inline = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:Get*"], "Resource": "*"}]}
    return base | {
        "InstanceProfileList": profiles if profile else [],
        "RolePolicyList": [{"PolicyName": "inline", "PolicyDocument": inline}],
        "AttachedManagedPolicies": policies,
        "Tags": tags if rng.random() < 0.7 else [],
        "RoleLastUsed": {"LastUsedDate": "2026-10-01T00:00:00+00:00", "Region": "eu-west-1"}
        if rng.random() < 0.6
        else {},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--roles", type=int, default=100_000)
    parser.add_argument("--profiles", type=int, default=50_000)
    parser.add_argument("--distinct-trust", action="store_true")
    args = parser.parse_args()
    rng = random.Random(7)
    with args.out.open("w", encoding="utf-8") as file:
        file.write('{\n    "UserDetailList": [],\n    "GroupDetailList": [],\n    "RoleDetailList": [')
        for number in range(args.roles):
            text = json.dumps(role(number, number < args.profiles, args.distinct_trust, rng), indent=4)
            file.write(("," if number else "") + "\n" + textwrap.indent(text, " " * 8))
        file.write('\n    ],\n    "Policies": []\n}\n')


if __name__ == "__main__":
    main()
