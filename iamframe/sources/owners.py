"""Read files that list clusters, environments and stacks, which may own profiles."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec

from iamframe.knowledge.arn import account_of
from iamframe.knowledge.operations import UNKNOWN_REGION, cli_name, region_in
from iamframe.knowledge.owners import Owner, known_owners
from iamframe.sources.records import Answer, ResourceOwner
from iamframe.sources.shapes import PAGE_KEYS, Document, region_of, shape

# `aws cloudformation describe-stacks` shows the same records under another key.
_STACKS = "Stacks"
# Services whose lists have the same keys.
_OTHERS = {"appstream", "docdb", "dsql", "ecs", "mwaa", "opsworks", "pcs"}


def owners_in(owner: Owner, records: Iterable[Any]) -> list[ResourceOwner]:
    """A record of an unexpected form raises msgspec.ValidationError."""
    found = [_owner_in(owner, record) for record in records]
    return [one for one in found if one.state not in owner.over]


def _owner_in(owner: Owner, record: Any) -> ResourceOwner:
    if isinstance(record, str) and not owner.name:
        return ResourceOwner(owner.owner_type, record, record)
    if not isinstance(record, dict) or not owner.name:
        raise msgspec.ValidationError(f"Expected {'`object`' if owner.name else '`str`'}")
    fields = (owner.id, owner.name, owner.state, owner.arn)
    owner_id, name, state, arn = (record.get(field) for field in fields)
    if not isinstance(owner_id, str) or not isinstance(name, str):
        raise msgspec.ValidationError(f"Object missing required field `{owner.id}` or `{owner.name}`")
    if not isinstance(arn, str | None) or not isinstance(state, str | None):
        raise msgspec.ValidationError(f"Expected `str | null` - at `{owner.arn}` or `{owner.state}`")
    return ResourceOwner(owner.owner_type, owner_id, name, state, region_in(arn), account_of(arn or ""))


def _is_list_of(owner: Owner, key: str, document: Document) -> bool:
    items = document.keys[key]
    if not isinstance(items, list):
        return False
    # Files of other tools have lists of names, too, such as the variables of a Terraform module.
    if not items or (not owner.name and not document.keys.keys() <= {key, *PAGE_KEYS}):
        return _is_named(owner, key, document)
    # EKS returns a list `clusters` of names. AWS PCS returns a list `clusters` of objects. OpsWorks and CloudFormation
    # return lists `Stacks` whose items have different fields.
    first = bytes(items[0]).lstrip()
    return first[:1] == b'"' if not owner.name else f'"{owner.name}"'.encode() in first


def _is_named(owner: Owner, key: str, document: Document) -> bool:
    # An empty list, or a list beside other keys, proves no service. Then the path must name the operation or service.
    path = "/".join((*document.piece.folders[document.piece.root :], document.piece.name))
    words = re.findall("[a-z0-9]+", cli_name(path))
    operation = cli_name("DescribeStacks" if key == _STACKS else owner.operation)
    # ECS adds `failures`.
    if not _OTHERS.isdisjoint(words) or "failures" in document.keys:
        return False
    return owner.service in words or f"-{operation}-" in f"-{'-'.join(words)}-"


def _read(owner: Owner, key: str, document: Document) -> Iterable[Answer]:
    records = [record for chunk in document.records(key, Any) for record in chunk]
    found: list[ResourceOwner] = []
    for number, record in enumerate(records):
        with document.reading.gap_if_unreadable(document.piece, f"{document.path(key)}[{number}]"):
            found += owners_in(owner, [record])
            continue
        document.short.add(key)
    here = region_of(document.piece) or next((one.region for one in found if one.region), UNKNOWN_REGION)
    for one in found:
        one.region = one.region or here
    state = document.state(key)
    # DescribeStacks with a name shows one stack, and not whether there are others.
    if key == _STACKS and len(records) == 1:
        state = "partial"
    accounts = {one.account_id for one in found}
    answer = document.answer(owner.label, found, account_id=accounts.pop() if len(accounts) == 1 else None, state=state)
    answer.region, answer.lacks = here, key in document.short
    return [answer]


def _register(owner: Owner, key: str) -> None:
    @shape(key, when=partial(_is_list_of, owner, key))
    def read(document: Document) -> Iterable[Answer]:
        return _read(owner, key, document)


for _owner in known_owners():
    _register(_owner, _owner.key)
    if _owner.owner_type == "stack":
        _register(_owner, _STACKS)
