"""What a trust policy says: its canonical text, the services it trusts, whether EC2 may assume the role.

A policy is read, never evaluated: a Condition or a Deny in the way makes the answer `maybe`. Grammar: IAM User Guide,
"Grammar of the IAM JSON policy language" (a statement, a principal and an action may each be one value or a list).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

import msgspec

# `ec2.amazonaws.com` in most partitions, `ec2.amazonaws.com.cn` in China, `ec2.<DNS suffix>` in the isolated ones.
# AWS's own policies accept the first two side by side; `ec2.*` stands in one of them.
_EC2 = re.compile(r"ec2\.(amazonaws\.com(\.cn)?|amazonaws\.eu|[a-z0-9.-]+\.(gov|uk)|\*)", re.IGNORECASE)
# A deleted role or user is shown by its unique id (IAM User Guide, "AWS JSON policy elements: Principal").
_DELETED = re.compile(r"A(?:RO|ID)A\w+")


class Trust(NamedTuple):
    """What one trust policy says."""

    text: str | None
    trusts_ec2: str
    services: str | None
    deleted: str | None


UNREADABLE = Trust(None, "unknown", None, None)


def read_trust(document: bytes) -> Trust:
    """Return what a trust policy says, whether it is an object, a string, or a percent-encoded string.

    `text` is compact JSON with the keys in the order given, so that the same policy is the same text from every
    source. What is no policy is `UNREADABLE`: no text, and `unknown` whether it trusts EC2.
    """
    try:
        policy = msgspec.json.decode(document)
        if isinstance(policy, str):
            policy = _from_text(policy)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return UNREADABLE
    if not isinstance(policy, dict) or "Statement" not in policy:
        return UNREADABLE
    listed = list(_many(policy["Statement"]))
    statements = [statement for statement in listed if isinstance(statement, dict)]
    if len(statements) < len(listed):
        return UNREADABLE
    services = sorted({name for s in statements if _allows(s) for name in _principals(s, "Service")})
    deleted = sorted({id for s in statements for id in _principals(s, "AWS") if _DELETED.fullmatch(id)})
    return Trust(
        msgspec.json.encode(policy).decode(),
        _trusts_ec2(statements),
        " ".join(services) or None,
        " ".join(deleted) or None,
    )


def _from_text(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        # `unquote`, not `unquote_plus`: a literal + is legal in names.
        return msgspec.json.decode(unquote(text, errors="strict"))


def _many(value: object) -> Iterator[object]:
    if isinstance(value, list):
        yield from value
    elif value is not None:
        yield value


def _texts(value: object) -> list[str]:
    return [item for item in _many(value) if isinstance(item, str)]


def _principals(statement: dict[str, object], kind: str) -> list[str]:
    principal = statement.get("Principal")
    if isinstance(principal, str):
        return [principal] if kind == "AWS" else []
    return _texts(principal.get(kind)) if isinstance(principal, dict) else []


def _allows(statement: dict[str, object]) -> bool:
    return str(statement.get("Effect", "")).lower() == "allow"


def _assumes(statement: dict[str, object]) -> bool:
    if "NotAction" in statement:
        return not any(_covers_assume_role(action) for action in _texts(statement["NotAction"]))
    return any(_covers_assume_role(action) for action in _texts(statement.get("Action")))


def _covers_assume_role(action: str) -> bool:
    pattern = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in action.lower())
    return re.fullmatch(pattern, "sts:assumerole") is not None


def _names_ec2(statement: dict[str, object]) -> bool:
    return any(_EC2.fullmatch(name) for name in _principals(statement, "Service"))


def _names_everyone(statement: dict[str, object]) -> bool:
    # Whether a bare `*` lets the EC2 service in is not documented. NotPrincipal is refused in trust policies
    # (IAM User Guide), but stands in files: whom it leaves over is not worked out here.
    everyone = "*" in _principals(statement, "AWS") or "*" in _principals(statement, "Service")
    return everyone or "NotPrincipal" in statement


def _trusts_ec2(statements: list[dict[str, object]]) -> str:
    assuming = [s for s in statements if _assumes(s)]
    allows = [s for s in assuming if _allows(s)]
    denied = any(not _allows(s) and (_names_ec2(s) or _names_everyone(s)) for s in assuming)
    if any(_names_ec2(s) and not s.get("Condition") for s in allows):
        return "maybe" if denied else "yes"
    return "maybe" if any(_names_ec2(s) or _names_everyone(s) for s in allows) else "no"
