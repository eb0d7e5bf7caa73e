"""Read account, partition, path and name from an ARN."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

_ARN = re.compile(r"(?is)arn:(?P<partition>[^:]*):(?:iam|sts):[^:]*:(?P<account>[^:]*):(?P<resource>.+)")
# The management console of each partition (General Reference, AWS Management Console; China and GovCloud User Guides).
CONSOLES = {
    "aws": "https://console.aws.amazon.com",
    "aws-cn": "https://console.amazonaws.cn",
    "aws-us-gov": "https://console.amazonaws-us-gov.com",
}
# The types of resources, as in the frames.
ROLE_TYPE, PROFILE_TYPE = "role", "instance-profile"
_KINDS = {"role": "role", "instance-profile": "instance-profile", "assumed-role": "role"}


def _field(arn: str, number: int) -> str | None:
    # A path may hold `:`, so only the first five colons separate fields (IAM User Guide, IAM identifiers).
    fields = arn.split(":", 5)
    return fields[number] or None if len(fields) == 6 and fields[0] == "arn" else None


def account_of(arn: str) -> str | None:
    # Any text counts as an id, because people mask ids in shared files.
    return _field(arn, 4)


def accounts_of(arns: Iterable[str]) -> list[str | None]:
    account = cache(account_of)
    return [account(arn.split("/", 1)[0]) for arn in arns]


def partition_of(arn: str) -> str | None:
    return _field(arn, 1)


def name_of(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]


class Query(NamedTuple):
    """The name, unique id or ARN of a role or profile, split into parts."""

    text: str
    name: str
    # Partition, kind and path are in lower case. Absent parts are None.
    partition: str | None = None
    account: str | None = None
    kind: str | None = None
    # The path has no slash at either end.
    path: str | None = None
    assumed: bool = False

    @property
    def is_arn(self) -> bool:
        return self.partition is not None


def parse_query(text: str) -> Query:
    text = text.strip()
    arn = _ARN.fullmatch(text)
    rest = (arn["resource"] if arn else text).lstrip("/")
    first, slash, inner = rest.partition("/")
    kind = _KINDS.get(first.lower()) if slash else None
    assumed = kind is not None and first.lower() == "assumed-role"
    if kind:
        # The ARN of a role session contains the role's name, but not the role's path.
        rest = inner.partition("/")[0] if assumed else inner
    path, _, name = rest.rpartition("/")
    path = path.strip("/").lower() or None
    if arn is None:
        return Query(text, name, kind=kind, path=path, assumed=assumed)
    return Query(text, name, arn["partition"].lower(), arn["account"], kind or "other", path, assumed)


def path_of(arn: str) -> str | None:
    resource = arn.split(":", 5)[-1]
    if not arn.startswith("arn:") or "/" not in resource:
        return None
    return "/" + resource.split("/", 1)[1].rpartition("/")[0] + "/" if resource.count("/") > 1 else "/"
