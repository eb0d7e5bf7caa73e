"""Functions that read and compare trust policies.

iamframe does not test whether conditions in trust policies are met. A statement, principal or action may be one value
or a list. Source: IAM User Guide, "Grammar of the IAM JSON policy language".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec
from msgspec import Raw

# EC2's service principals per partition. In China, policies use either name, even AWS's own (AmazonEKSComputePolicy).
_COM = frozenset({"ec2.amazonaws.com"})
_EC2 = {
    "aws": _COM,
    "aws-us-gov": _COM,
    "aws-eusc": _COM,
    "aws-cn": _COM | {"ec2.amazonaws.com.cn"},
    "aws-iso": frozenset({"ec2.c2s.ic.gov"}),
    "aws-iso-b": frozenset({"ec2.sc2s.sgov.gov"}),
    "aws-iso-e": frozenset({"ec2.cloud.adc-e.uk"}),
    "aws-iso-f": frozenset({"ec2.csp.hci.ic.gov"}),
}
# Names that no documentation excludes. In these partitions, other services have both names.
_PERHAPS = {"aws-eusc": frozenset({"ec2.amazonaws.eu"})} | {name: _COM for name in _EC2 if name.startswith("aws-iso")}
_EVERY = frozenset().union(*_EC2.values(), *_PERHAPS.values())
# A name that contains a region, as for some services.
_OF_A_REGION = re.compile(r"^ec2\.[a-z]{2,}(-[a-z]+)+-\d+\.")
# An account as a principal, whose other form is the 12 digits alone.
_ACCOUNT = re.compile(r"^arn:[a-z-]+:iam::([0-9]{12}):root$")
# A deleted role or user is shown by its unique id (IAM User Guide, "AWS JSON policy elements: Principal").
_DELETED = re.compile(r"A(?:RO|ID)A\w+")


# A statement on sts:AssumeRole that may concern EC2: whether it allows, its names of EC2, whether it concerns everyone,
# and whether it has a condition.
Reach = tuple[bool, tuple[str, ...], bool, bool]


class TrustContent(NamedTuple):
    reaches: tuple[Reach, ...]
    services: str | None
    deleted: str | None


_ABSENT = Raw(b"null")


class _Statement(msgspec.Struct, gc=False, rename="pascal"):
    effect: Raw = _ABSENT
    principal: Raw = _ABSENT
    not_principal: Raw = _ABSENT
    action: Raw = _ABSENT
    not_action: Raw = _ABSENT
    condition: Raw = _ABSENT

    @property
    def has_condition(self) -> bool:
        return bytes(self.condition) not in (b"{}", b"null")


class _Policy(msgspec.Struct, gc=False, rename="pascal"):
    statement: list[_Statement] | _Statement


_POLICY = msgspec.json.Decoder(_Policy)


def _statements(text: str) -> list[_Statement]:
    found = _POLICY.decode(text).statement
    return found if isinstance(found, list) else [found]


def _texts(raw: bytes) -> list[str]:
    return _listed(msgspec.json.decode(raw))


def _listed(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str)]


def _principals(raw: bytes) -> list[tuple[str, str]]:
    # A bare `*` is of the kind AWS (IAM User Guide, "AWS JSON policy elements: Principal").
    principals = msgspec.json.decode(raw)
    by_kind = principals if isinstance(principals, dict) else {"AWS": principals}
    return [(kind, name) for kind, names in by_kind.items() for name in _listed(names)]


def _allows(effect: bytes) -> bool:
    return [text.lower() for text in _texts(effect)] == ["allow"]


# The text of a trust policy, and whether EC2 can assume the role


def read_content(document: bytes) -> tuple[str, TrustContent] | None:
    """Return a trust policy as compact JSON text, and what the policy says about EC2, services and deleted principals.

    If two documents differ only in escape sequences, or in spaces outside strings, their texts are the same.
    """
    try:
        if document.startswith(b'"'):
            # A JSON string contains the policy as text, possibly percent-encoded.
            quoted = msgspec.json.decode(document, type=str)
            # Not `unquote_plus`: a literal + is legal in names.
            document = (quoted if quoted.lstrip().startswith("{") else unquote(quoted, errors="strict")).encode()
        text = _compact(document)
        # The key has one text per statement, which joins the elements that matter. JSON contains no NUL.
        key = [
            b"\0".join((s.effect, s.principal, s.not_principal, s.action, s.not_action, b"yes" * s.has_condition))
            for s in _statements(text)
        ]
        return text, _content_of(*key)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def _compact(document: bytes) -> str:
    if b"\\" in document:
        # The AWS CLI escapes letters that other tools do not escape. Decoding makes both the same.
        return msgspec.json.encode(msgspec.json.decode(document)).decode()
    return msgspec.json.format(document, indent=-1).decode()


@lru_cache(maxsize=65_536)
def _content_of(*statements: bytes) -> TrustContent:
    reaches: list[Reach] = []
    trusted: set[str] = set()
    deleted: set[str] = set()
    for statement in statements:
        effect, principal, not_principal, action, not_action, condition = statement.split(b"\0")
        allows, principals = _allows(effect), _principals(principal)
        services = [name for kind, name in principals if kind == "Service"]
        aws = [name for kind, name in principals if kind == "AWS"]
        if allows:
            trusted.update(services)
            deleted.update(filter(_DELETED.fullmatch, aws))
        ec2 = tuple(name for name in map(str.lower, services) if name.startswith("ec2."))
        # No documentation says whether a bare `*` lets the EC2 service in. IAM refuses NotPrincipal in trust policies
        # (IAM User Guide), but files may have it: it counts as everyone.
        everyone = "*" in aws or "*" in services or not_principal != b"null"
        if (ec2 or everyone) and _covers_assume_role(action, not_action):
            reaches.append((allows, ec2, everyone, condition != b""))
    return TrustContent(tuple(reaches), " ".join(sorted(trusted)) or None, " ".join(sorted(deleted)) or None)


def _covers_assume_role(action: bytes, not_action: bytes) -> bool:
    is_excluding = not_action != b"null"
    patterns = (
        "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in name.lower())
        for name in _texts(not_action if is_excluding else action)
    )
    return any(re.fullmatch(pattern, "sts:assumerole") for pattern in patterns) != is_excluding


@lru_cache(maxsize=65_536)
def trusts_ec2(reaches: tuple[Reach, ...], partition: str) -> str:
    sure = maybe = denied = False
    for allows, names, everyone, conditional in reaches:
        named = {_is_ec2(name, partition) for name in names}
        if not named & {"yes", "maybe"} and not everyone:
            continue
        if not allows:
            denied = True
        elif "yes" in named and not conditional:
            sure = True
        else:
            maybe = True
    if sure and not denied:
        return "yes"
    return "maybe" if sure or maybe else "no"


def names_ec2(services: str, partition: str) -> bool:
    return any(_is_ec2(name.lower(), partition) != "no" for name in services.split())


def _is_ec2(name: str, partition: str) -> str:
    if name in _EC2.get(partition, _COM if not partition else ()):
        return "yes"
    # In an unknown partition, any such name may be EC2's. For a role without an ARN, any known name of EC2 may be.
    if partition not in _EC2 and (partition or name in _EVERY):
        return "maybe"
    plain = _OF_A_REGION.sub("ec2.", name)
    names = {*_EC2.get(partition, _EVERY), *_PERHAPS.get(partition, ())}
    # AWS allows no wildcard in a principal's name, but files may have one.
    return "maybe" if plain in names or name == "ec2.*" else "no"


# The statements of a policy, and how two policies differ


# A statement with several principals becomes several `Statement` objects.
class Statement(NamedTuple):
    effect: str
    # `Service`, `AWS`, `Federated`, `CanonicalUser`, or `everyone but` for a NotPrincipal.
    kind: str
    principal: str
    actions: str
    condition: str


def statements_of(text: str) -> list[Statement]:
    return [
        Statement(
            ", ".join(_texts(one.effect)),
            kind,
            name,
            ", ".join(_texts(one.action)) or f"all but {', '.join(_texts(one.not_action))}",
            bytes(one.condition).decode() if one.has_condition else "",
        )
        for one in _statements(text)
        for kind, name in (
            *_principals(one.principal),
            *(("everyone but", name) for _, name in _principals(one.not_principal)),
        )
    ]


def policy_key(text: str) -> object:
    """Return a key. It is the same for policies that differ only in order, or in how they write an account."""
    try:
        return _unordered(msgspec.json.decode(text))
    except (msgspec.MsgspecError, RecursionError):
        # A condition may be nested too deep, or may have a number that is too large.
        return text


def _unordered(value: object, of: str = "") -> object:
    if isinstance(value, dict):
        return frozenset((key, _unordered(inner, key)) for key, inner in value.items())
    if isinstance(value, list):
        members = frozenset(_unordered(inner, of) for inner in value)
        return next(iter(members)) if len(members) == 1 else members
    if of == "AWS" and isinstance(value, str):
        # Both forms mean the account (IAM User Guide, "AWS JSON policy elements: Principal").
        value = _ACCOUNT.sub(r"\1", value)
    # Python's True equals 1, JSON's true does not.
    return type(value), value


# The actions and the condition of a statement.
_Terms = set[tuple[object, object]]
# Kind and name of a principal. A NotPrincipal has one label: no kind, and all its principals.
_Label = tuple[str, Any]
_Message = dict[str, Any]
_ALLOWED = ("changes.trust.trusts", "changes.trust.trusts_no_longer", "changes.trust.trusts_otherwise")
_DENIED = ("changes.trust.denies", "changes.trust.denies_no_longer", "changes.trust.denies_otherwise")


def what_changed(old: str, new: str, roles: Mapping[str, str] | None = None) -> list[_Message]:
    """Return what a trust policy says now and did not say before. `roles` maps ids of roles to their ARNs."""
    messages: list[_Message] = []
    named = partial(_named, roles=roles or {})
    before, after = _terms(old), _terms(new)
    for allows, (added, removed, otherwise) in ((True, _ALLOWED), (False, _DENIED)):
        was, now = before[allows], after[allows]
        changed: dict[str, list[_Label]] = {}
        for label in now:
            if label in was and now[label] != was[label]:
                changed.setdefault(_changed_terms(was[label], now[label]), []).append(label)
        messages += [
            {"message": message, "principals": named(labels)} | more
            for message, labels, more in (
                (added, [label for label in now if label not in was], {}),
                (removed, [label for label in was if label not in now], {}),
                *((otherwise, labels, {"terms": {"message": terms}}) for terms, labels in changed.items()),
            )
            if labels
        ]
    if before[True] and not after[True]:
        messages.append({"message": "changes.trust.nobody"})
    if messages:
        return messages
    if not after[True]:
        return [{"message": "changes.trust.nobody_as_before"}]
    return [{"message": "changes.trust.as_before", "principals": named(after[True])}]


def _changed_terms(was: _Terms, now: _Terms) -> str:
    actions, conditions = ({terms[at] for terms in was} != {terms[at] for terms in now} for at in (0, 1))
    if actions:
        return "changes.trust.actions_and_conditions" if conditions else "changes.trust.actions"
    # Otherwise, the same actions and conditions are combined in different statements.
    return "changes.trust.conditions" if conditions else "changes.trust.combined"


def _terms(text: str) -> dict[bool, dict[_Label, _Terms]]:
    found: dict[bool, dict[_Label, _Terms]] = {True: {}, False: {}}
    for one in _statements(text):
        condition = _unordered(msgspec.json.decode(one.condition)) if one.has_condition else None
        actions = tuple(frozenset(name.lower() for name in _texts(raw)) for raw in (one.action, one.not_action))
        labels: list[_Label] = list(_principals(one.principal))
        # All principals of a NotPrincipal are one label, because adding a name changes who is allowed.
        if excluded := sorted(_principals(one.not_principal)):
            labels.append(("", tuple(excluded)))
        for label in labels:
            found[_allows(one.effect)].setdefault(label, set()).add((actions, condition))
    return found


def _named(labels: Iterable[_Label], roles: Mapping[str, str]) -> list[_Message]:
    return [_principal(*label, roles) for label in labels]


def _principal(kind: str, name: Any, roles: Mapping[str, str]) -> _Message:
    if not kind:
        return {"message": "changes.principal.others", "principals": _named(name, roles)}
    if name == "*":
        return {"message": "changes.principal.everyone", "kind": kind}
    if kind == "Service":
        return {"message": "changes.principal.service", "name": name}
    if kind == "AWS" and _DELETED.fullmatch(name):
        if name in roles:
            return {"message": "changes.principal.deleted_role", "name": name, "arn": roles[name]}
        return {"message": "changes.principal.deleted", "name": name}
    return {"message": "changes.principal.named", "kind": kind, "name": name}
