"""An inventory of many roles and profiles in memory, for timing the checks.

One profile and two tags on each side per role; some empty, some mismatched, some untagged, some tagged otherwise.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory import schema
from iamframe.inventory.arrow import concat
from iamframe.inventory.inventory import Inventory

ACCOUNT = "111122223333"
TRUST = {
    service: '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"'
    + service
    + '.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
    for service in ("ec2", "lambda")
}


def make_inventory(size: int, accounts: int = 1, first: int = 1) -> Inventory:
    """Return an inventory of `size` roles, as many profiles, and four times as many tags.

    The roles are spread evenly over the accounts, whose numbers begin with `first`. Profiles, links and tags are in the
    accounts of their roles.
    """
    number = pa.array([f"{n:08d}" for n in range(size)])
    every = np.arange(size)
    ids = pa.array([f"{n:012d}" for n in range(first, first + accounts)] if accounts > 1 else [ACCOUNT])
    account = ids.take(pa.array(every * accounts // max(size, 1)))
    path = pc.if_else(pa.array(every % 20 == 0), "/team/", "/")
    role_name = concat("app-", number, pc.if_else(pa.array(every % 3 == 0), "-role", ""))
    profile_name = concat("app-", number, pc.if_else(pa.array(every % 10 == 0), "-profile", ""))
    role_arn = concat("arn:aws:iam::", account, ":role", path, role_name)
    profile_arn = concat("arn:aws:iam::", account, ":instance-profile/", profile_name)
    trusted = pa.array(every % 8 != 0)
    linked = pa.array(np.flatnonzero(every % 12 != 0))
    tags = []
    for resource, kind, step in ((role_arn, "role", 7), (profile_arn, "instance-profile", 5)):
        rows = pa.array(np.flatnonzero(every % step != 0))
        for key, values in (("Owner", ("ops", "data", "web")), ("Environment", ("prod", "test", "dev"))):
            value = pa.array(values).take(pa.array((every + (kind == "role") * (every % 9 == 0)) % 3)).take(rows)
            tags.append(
                {
                    "account_id": account.take(rows),
                    "resource_arn": resource.take(rows),
                    "resource_type": kind,
                    "tag_key": key,
                    "tag_value": value,
                }
            )
        more = rows.slice(0, int(size * 1.15) - len(rows) if len(rows) < size else 0)
        tags.append(
            {
                "account_id": account.take(more),
                "resource_arn": resource.take(more),
                "resource_type": kind,
                "tag_key": "team",
                "tag_value": "a",
            }
        )
    calls = ("GetAccountAuthorizationDetails", "ListInstanceProfiles")
    return Inventory(
        accounts=schema.ACCOUNTS.conform({"account_id": ids, "source": "benchmark"}),
        roles=schema.ROLES.conform(
            {
                "account_id": account,
                "role_arn": role_arn,
                "role_name": role_name,
                "role_path": path,
                "last_used_known": True,
                "trust_policy": pc.if_else(trusted, TRUST["ec2"], TRUST["lambda"]),
                "trusts_ec2": pc.if_else(trusted, "yes", "no"),
                "is_aws_managed": False,
                "tags_known": True,
            }
        ),
        profiles=schema.PROFILES.conform(
            {
                "account_id": account,
                "profile_arn": profile_arn,
                "profile_name": profile_name,
                "profile_path": pa.repeat(pa.scalar("/"), size),
                "profile_id": concat("AIPA", number),
                "role_known": True,
                "tags_known": True,
            }
        ),
        links=schema.LINKS.conform(
            {
                "account_id": account.take(linked),
                "profile_arn": profile_arn.take(linked),
                "role_arn": role_arn.take(linked),
            }
        ),
        tags=schema.TAGS.from_arrow(
            pa.concat_tables(
                [
                    pa.table(
                        {
                            "account_id": t["account_id"],
                            "resource_arn": t["resource_arn"],
                            "resource_type": pa.repeat(pa.scalar(t["resource_type"]), len(t["resource_arn"])),
                            "tag_key": pa.repeat(pa.scalar(t["tag_key"]), len(t["resource_arn"])),
                            "tag_value": t["tag_value"]
                            if isinstance(t["tag_value"], pa.Array)
                            else pa.repeat(pa.scalar(t["tag_value"]), len(t["resource_arn"])),
                            "is_aws_reserved": pa.repeat(pa.scalar(False), len(t["resource_arn"])),
                            "tag_source": pa.repeat(pa.scalar("benchmark"), len(t["resource_arn"])),
                        }
                    )
                    for t in tags
                ]
            )
        ),
        references=schema.REFERENCES.empty(),
        gaps=schema.GAPS.empty(),
        calls=schema.CALLS.conform(
            {
                "account_id": ids.take(pa.array(np.repeat(np.arange(len(ids)), 2))),
                "operation": calls * len(ids),
                "region": "global",
                "requests": 0,
                "rows": size // len(ids),
                "retries": 0,
                "state": "complete",
            }
        ),
    )
