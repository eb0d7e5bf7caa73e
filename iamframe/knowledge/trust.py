"""What a trust policy says: its canonical text, the services it trusts, whether EC2 may assume the role.

A policy is read, never evaluated: a Condition or a Deny in the way makes the answer `maybe`. Grammar: IAM User Guide,
"Grammar of the IAM JSON policy language" (a statement, a principal and an action may each be one value or a list).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

import msgspec
from msgspec import Raw

# EC2's service principal per partition. China's policies name either, AWS's own among them (AmazonEKSComputePolicy).
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
# What no documentation excludes: other services of these partitions are known by both of their names.
_PERHAPS = {"aws-eusc": frozenset({"ec2.amazonaws.eu"})} | {name: _COM for name in _EC2 if name.startswith("aws-iso")}
_EVERY = frozenset().union(*_EC2.values(), *_PERHAPS.values())
# A name with a region in it, as some services have, and one with a wildcard, which a principal may not have in part.
_OF_A_REGION = re.compile(r"^ec2\.[a-z]{2,}(-[a-z]+)+-\d+\.")
# A deleted role or user is shown by its unique id (IAM User Guide, "AWS JSON policy elements: Principal").
_DELETED = re.compile(r"A(?:RO|ID)A\w+")


class Trust(NamedTuple):
    """What one trust policy says."""

    text: str | None
    trusts_ec2: str
    services: str | None
    deleted: str | None


# A statement on sts:AssumeRole that may be of EC2: whether it allows, whom of EC2's names, everyone, on a condition.
Reach = tuple[bool, tuple[str, ...], bool, bool]


class Says(NamedTuple):
    """What a trust policy says, shared by the many that say the same."""

    reaches: tuple[Reach, ...]
    services: str | None
    deleted: str | None


UNREADABLE = Trust(None, "unknown", None, None)


_ABSENT = Raw(b"null")


class _Statement(msgspec.Struct, gc=False, rename="pascal"):
    effect: Raw = _ABSENT
    principal: Raw = _ABSENT
    not_principal: Raw = _ABSENT
    action: Raw = _ABSENT
    not_action: Raw = _ABSENT
    condition: Raw = _ABSENT


class _Policy(msgspec.Struct, gc=False, rename="pascal"):
    statement: list[_Statement] | _Statement


_POLICY = msgspec.json.Decoder(_Policy)


def read_trust(document: bytes, partition: str = "aws") -> Trust:
    """Return what a trust policy says, whether it is an object, a string, or a percent-encoded string.

    The partition is that of the role: each has its own name for EC2. `text` is compact JSON with the keys in the order
    given, so that the same policy is the same text from every source. What is no policy is `UNREADABLE`: no text, and
    `unknown` whether it trusts EC2.
    """
    read = read_parts(document)
    if read is None:
        return UNREADABLE
    text, says = read
    return Trust(text, trusts_ec2(says.reaches, partition), says.services, says.deleted)


def read_parts(document: bytes) -> tuple[str, Says] | None:
    """Return the text of a trust policy, and what it says, which many policies share; None for what is no policy."""
    try:
        if document.startswith(b'"'):
            document = _from_text(msgspec.json.decode(document, type=str))
        text = _compact(document)
        found = _POLICY.decode(text).statement
        # One text per statement, of all that matters to what it says; NUL stands in no JSON.
        key = [
            b"\0".join((s.effect, s.principal, s.not_principal, s.action, s.not_action, _has_condition(s.condition)))
            for s in (found if isinstance(found, list) else [found])
        ]
        return text, _says(*key)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def _from_text(text: str) -> bytes:
    # `unquote`, not `unquote_plus`: a literal + is legal in names.
    return (text if text.lstrip().startswith("{") else unquote(text, errors="strict")).encode()


def _compact(document: bytes) -> str:
    if b"\\" in document:
        # The AWS CLI escapes what others write as it is; decoding makes one text of both.
        return msgspec.json.encode(msgspec.json.decode(document)).decode()
    return msgspec.json.format(document, indent=-1).decode()


def _has_condition(raw: Raw) -> bytes:
    return b"" if raw is _ABSENT or bytes(raw) in (b"{}", b"null") else b"yes"


@lru_cache(maxsize=65_536)
def _says(*key: bytes) -> Says:
    """Return what may reach EC2, the services and the deleted principals: policies that differ share them."""
    statements = [
        _Read(
            [text.lower() for text in _texts(effect)] == ["allow"],
            _principals(principal, "Service"),
            _principals(principal, "AWS"),
            not_principal != b"null",
            _assumes(action, not_action),
            conditional != b"",
        )
        for effect, principal, not_principal, action, not_action, conditional in (text.split(b"\0") for text in key)
    ]
    services = sorted({name for s in statements if s.allows for name in s.services})
    deleted = sorted({name for s in statements for name in s.aws if _DELETED.fullmatch(name)})
    reaches = (s.reach for s in statements if s.assumes)
    may_be_ec2 = tuple(reach for reach in reaches if reach[1] or reach[2])
    return Says(_shared(may_be_ec2), " ".join(services) or None, " ".join(deleted) or None)


@lru_cache(maxsize=65_536)
def _shared(reaches: tuple[Reach, ...]) -> tuple[Reach, ...]:
    # Nearly all policies are alike in this.
    return reaches


def same_policy(one: str, other: str) -> bool:
    """Return whether two trust policies say the same: in whatever order, and with a value or a list of that value."""
    return _unordered(msgspec.json.decode(one)) == _unordered(msgspec.json.decode(other))


def _unordered(value: object) -> object:
    if isinstance(value, dict):
        return frozenset((key, _unordered(inner)) for key, inner in value.items())
    if isinstance(value, list):
        members = frozenset(map(_unordered, value))
        return next(iter(members)) if len(members) == 1 else members
    # In JSON true is not 1.
    return type(value), value


class _Read(NamedTuple):
    allows: bool
    services: list[str]
    aws: list[str]
    excludes: bool
    assumes: bool
    conditional: bool

    @property
    def ec2(self) -> tuple[str, ...]:
        return tuple(name for name in map(str.lower, self.services) if name.startswith("ec2."))

    @property
    def everyone(self) -> bool:
        # Whether a bare `*` lets the EC2 service in is not documented. NotPrincipal is refused in trust policies
        # (IAM User Guide), but stands in files: whom it leaves over is not worked out here.
        return "*" in self.aws or "*" in self.services or self.excludes

    @property
    def reach(self) -> Reach:
        return self.allows, self.ec2, self.everyone, self.conditional


def _texts(raw: bytes) -> list[str]:
    return _listed(msgspec.json.decode(raw))


def _listed(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str)]


def _principals(raw: bytes, kind: str) -> list[str]:
    principal = msgspec.json.decode(raw)
    if isinstance(principal, str):
        return [principal] if kind == "AWS" else []
    return _listed(principal.get(kind)) if isinstance(principal, dict) else []


def _assumes(action: bytes, not_action: bytes) -> bool:
    if not_action != b"null":
        return not any(_covers_assume_role(name) for name in _texts(not_action))
    return any(_covers_assume_role(name) for name in _texts(action))


def _covers_assume_role(action: str) -> bool:
    pattern = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in action.lower())
    return re.fullmatch(pattern, "sts:assumerole") is not None


@lru_cache(maxsize=65_536)
def trusts_ec2(reaches: tuple[Reach, ...], partition: str) -> str:
    """Return whether a policy lets EC2 assume a role of a partition; "" is that of a role without an ARN."""
    sure = maybe = denied = False
    for allows, names, everyone, conditional in reaches:
        named = {_names_ec2(name, partition) for name in names}
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


def _names_ec2(name: str, partition: str) -> str:
    """Return whether a service principal that begins with `ec2.` is EC2 in a partition."""
    if name in _EC2.get(partition, _COM if not partition else ()):
        return "yes"
    # Of a role that has no ARN yet, and in a partition that is not known here, any of AWS's names may be.
    if partition not in _EC2 and (partition or name in _EVERY):
        return "maybe"
    plain = _OF_A_REGION.sub("ec2.", name)
    names = {*_EC2.get(partition, _EVERY), *_PERHAPS.get(partition, ())}
    return "maybe" if plain in names or name == "ec2.*" else "no"


class Statement(NamedTuple):
    """What one statement says of one principal: `Allow`, kind and name of whom, actions, and its condition as JSON."""

    effect: str
    kind: str
    principal: str
    actions: str
    condition: str


def statements_of(text: str) -> list[Statement]:
    """Return who may assume a role, or is denied it: one row per principal, in the order of the policy.

    `text` is what `Trust.text` holds. `kind` is AWS's word for whom (`Service`, `AWS`, `Federated`, `CanonicalUser`),
    or `everyone but` for NotPrincipal.
    """
    found = _POLICY.decode(text).statement
    rows = []
    for one in found if isinstance(found, list) else [found]:
        actions = ", ".join(_texts(one.action)) or f"all but {', '.join(_texts(one.not_action))}"
        condition = bytes(one.condition).decode() if _has_condition(one.condition) else ""
        for raw, excluded in ((one.principal, False), (one.not_principal, True)):
            principals = msgspec.json.decode(raw)
            by_kind = principals if isinstance(principals, dict) else {"AWS": principals}
            rows += [
                Statement(", ".join(_texts(one.effect)), "everyone but" if excluded else kind, name, actions, condition)
                for kind, names in by_kind.items()
                for name in _listed(names)
            ]
    return rows


# Whether it lets in, and whom; of that, for what actions and under which conditions.
_Whom = tuple[bool, str]
_Terms = set[tuple[object, object]]


def what_changed(old: str, new: str) -> str:
    """Return what a trust policy says that another one did not, and no longer says: every principal by its name.

    Both are what `Trust.text` holds.
    """
    was, now = _terms(old), _terms(new)
    said = []
    for allows, verb in ((True, "trusts"), (False, "denies")):
        came, went = (
            [label for effect, label in one if effect is allows and (effect, label) not in other]
            for one, other in ((now, was), (was, now))
        )
        said += [f"now {verb} {', '.join(came)}"] if came else []
        said += [f"no longer {verb} {', '.join(went)}"] if went else []
        kept: dict[str, list[str]] = {}
        for whom, terms in now.items():
            if whom[0] is allows and whom in was and terms != was[whom]:
                kept.setdefault(_how_other(was[whom], terms), []).append(whom[1])
        said += [f"{verb} {', '.join(labels)} as before, but {how}" for how, labels in kept.items()]
    if not any(allows for allows, _ in now) and any(allows for allows, _ in was):
        said.append("trusts nobody now")
    if said:
        return "; ".join(said)
    same = ", ".join(label for allows, label in now if allows) or "nobody"
    return f"trusts {same} as before, and something else in its policy is other"


def _how_other(was: _Terms, now: _Terms) -> str:
    parts = [
        noun
        for place, noun in enumerate(("actions", "conditions"))
        if {terms[place] for terms in was} != {terms[place] for terms in now}
    ]
    # The same actions and the same conditions, in other statements together.
    return f"the {' and the '.join(parts) if parts else 'conditions of its actions'} are other"


def _terms(text: str) -> dict[_Whom, _Terms]:
    """Return whom a policy lets in or denies, in its order, and on what terms."""
    found = _POLICY.decode(text).statement
    whom: dict[_Whom, _Terms] = {}
    for one in found if isinstance(found, list) else [found]:
        allows = [effect.lower() for effect in _texts(one.effect)] == ["allow"]
        condition = _unordered(msgspec.json.decode(one.condition)) if _has_condition(one.condition) else None
        actions = tuple(frozenset(name.lower() for name in _texts(raw)) for raw in (one.action, one.not_action))
        labels = _labels(msgspec.json.decode(one.principal))
        # Whom NotPrincipal leaves out is one thing: with one name more it lets in somebody else.
        if excluded := _labels(msgspec.json.decode(one.not_principal)):
            labels.append(f"everyone but {' and '.join(sorted(excluded))}")
        for label in labels:
            whom.setdefault((allows, label), set()).add((actions, condition))
    return whom


def _labels(principal: object) -> list[str]:
    # A bare * is that of AWS (IAM User Guide, "AWS JSON policy elements: Principal").
    by_kind = principal if isinstance(principal, dict) else {"AWS": principal}
    return [_label(kind, name) for kind, names in by_kind.items() for name in _listed(names)]


def _label(kind: str, name: str) -> str:
    if name == "*":
        return f"everyone ({kind}: *)"
    return name if kind == "Service" else f"{kind} {name}"
