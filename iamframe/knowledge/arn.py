"""The parts of an ARN, and what a text that somebody types asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_ARN = re.compile(r"(?is)arn:(?P<partition>[^:]*):(?:iam|sts):[^:]*:(?P<account>[^:]*):(?P<resource>.+)")
_KINDS = {"role": "role", "instance-profile": "instance-profile", "assumed-role": "role"}


def account_of(arn: str) -> str | None:
    """Return the account that an ARN names, as text, or None where it names none or is no ARN.

    The text is not checked: people who share files mask account ids or shorten them. Paths may hold `:`, so only the
    first five count (IAM User Guide, IAM identifiers).
    """
    parts = arn.split(":", 5)
    return parts[4] or None if len(parts) == 6 and parts[0] == "arn" else None


def accounts_of(arns: Iterable[str]) -> list[str | None]:
    """Return the account of each ARN; what stands before the first `/` repeats, and is taken apart once."""
    known: dict[str, str | None] = {}
    accounts = []
    for arn in arns:
        prefix = arn.split("/", 1)[0]
        if prefix not in known:
            known[prefix] = account_of(prefix)
        accounts.append(known[prefix])
    return accounts


def partition_of(arn: str) -> str | None:
    """Return the partition that an ARN names: aws, aws-cn, aws-us-gov …, or None."""
    parts = arn.split(":", 5)
    return parts[1] or None if len(parts) == 6 and parts[0] == "arn" else None


def name_of(arn: str) -> str:
    """Return the name in a role's or profile's ARN, or the text itself where it is already a name."""
    return arn.rsplit("/", 1)[-1]


class Asked(NamedTuple):
    """A role or profile as somebody asks for it: what the text says of it, None where it does not say.

    `path` has no slash at either end, and no case, as all but `text` and `name` have none.
    """

    text: str
    name: str
    partition: str | None = None
    account: str | None = None
    kind: str | None = None
    path: str | None = None
    assumed: bool = False

    @property
    def is_arn(self) -> bool:
        """Whether it is an ARN of IAM, or of a session of a role."""
        return self.partition is not None


def asked_for(text: str) -> Asked:
    """Return what a name, with or without its type and path, an ARN, or a unique id asks for.

    The ARN of a session (`assumed-role`) asks for its role, whose path it does not hold. One of another type, such as a
    user's, has the kind `other`.
    """
    text = text.strip()
    arn = _ARN.fullmatch(text)
    rest = (arn["resource"] if arn else text).lstrip("/")
    first, slash, inner = rest.partition("/")
    kind = _KINDS.get(first.lower()) if slash else None
    assumed = kind is not None and first.lower() == "assumed-role"
    if kind:
        rest = inner.partition("/")[0] if assumed else inner
    path, _, name = rest.rpartition("/")
    path = path.strip("/").lower() or None
    if arn is None:
        return Asked(text, name, kind=kind, path=path, assumed=assumed)
    return Asked(text, name, arn["partition"].lower(), arn["account"], kind or "other", path, assumed)


def path_of(arn: str) -> str | None:
    """Return the path in a role's or profile's ARN: `/`, or `/…/`; None where the text is no ARN."""
    resource = arn.split(":", 5)[-1]
    if not arn.startswith("arn:") or "/" not in resource:
        return None
    return "/" + resource.split("/", 1)[1].rpartition("/")[0] + "/" if resource.count("/") > 1 else "/"
