"""Find references to instance profiles in saved responses from EC2 and other services."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from iamframe.knowledge.arn import account_of
from iamframe.knowledge.operations import (
    CONFIGURATIONS,
    TEMPLATES,
    UNKNOWN_ACCOUNT,
    UNKNOWN_REGION,
    VERSIONS,
    aws_command,
)
from iamframe.sources.consumers import (
    CONSUMERS,
    Consumer,
    TemplateUse,
    template_ids,
    template_references,
    with_other_versions,
)
from iamframe.sources.records import Answer, Gap, Reference
from iamframe.sources.shapes import Document, Reading, Records, region_of, shape


@dataclass(slots=True)
class _Use:
    record: Any
    mentions: list[Reference]
    pinnings: list[TemplateUse]
    account: str | None
    creator_account: str | None

    @classmethod
    def of(cls, record: Any, consumer: Consumer) -> _Use:
        mentions, pinnings = list(consumer.mentions(record)), list(consumer.pinnings(record))
        consumers = [*mentions, *(pinning.consumer for pinning in pinnings)]
        arns = [getattr(record, "arn", None), *(one.consumer_arn for one in consumers)]
        own = getattr(record, "owner_id", None) or next(filter(None, (account_of(arn or "") for arn in arns)), None)
        return cls(record, mentions, pinnings, own, account_of(getattr(record, "created_by", None) or ""))

    @property
    def profile_accounts(self) -> set[str]:
        return {account for mention in self.mentions if (account := account_of(mention.named))}


class _Read:
    def __init__(self) -> None:
        self._records: dict[tuple[str, str | None], list[Any]] = defaultdict(list)

    def add(self, operation: str, region: str | None, record: Any) -> None:
        self._records[operation, region].append(record)

    def all_of(self, operation: str, region: str | None = None) -> list[Any]:
        if region:
            return self._records[operation, None] + self._records[operation, region]
        return [record for (name, _), records in self._records.items() if name == operation for record in records]


class _Used(NamedTuple):
    document: Document
    consumer: Consumer
    uses: list[_Use]


def _keep_uses(document: Document, consumer: Consumer) -> Iterable[Answer]:
    if consumer.whole or isinstance(document.keys[consumer.key], dict):
        # Some operations answer with one record instead of a list.
        document.keys[consumer.key] = [document.as_json(None if consumer.whole else consumer.key)]
    records = [record for chunk in document.records(consumer.key, consumer.record) for record in chunk]
    uses = [_Use.of(record, consumer) for record in records]
    reading = document.reading
    for use in uses:
        if account := use.account or use.creator_account:
            reading.carried.add(document.piece, account)
        for account in use.profile_accounts if not use.account else ():
            reading.named.add(document.piece, account)
    if len(records) < len(document.items(consumer.key)):
        # An unreadable record may use any profile, so the list is not complete.
        document.short.add(consumer.key)
    # A later file may show the records' account.
    reading.keep(_Used(document, consumer, uses))
    reading.has_read |= bool(records) or not document.items(consumer.key)
    return ()


def _register(consumer: Consumer) -> None:
    def is_marked(document: Document) -> bool:
        items = document.keys[consumer.key]
        first = msgspec.json.decode(items[0]) if isinstance(items, list) and items else None
        return isinstance(first, dict) and consumer.marked in first

    @shape(consumer.key, when=is_marked if consumer.marked else None)
    def read(document: Document) -> Iterable[Answer]:
        return _keep_uses(document, consumer)


for _consumer in CONSUMERS:
    _register(_consumer)


def reference_answers(reading: Reading) -> Iterator[Answer]:
    records: dict[str, _Read] = defaultdict(_Read)
    pinnings: dict[str, list[TemplateUse]] = defaultdict(list)
    for used in reading.kept(_Used):
        owner, region = _account_of_file(reading, used), region_of(used.document.piece)
        found: dict[str | None, list[Reference]] = {use.account or owner: [] for use in used.uses} or {owner: []}
        for use in used.uses:
            found[use.account or owner] += use.mentions
            account = use.account or owner or UNKNOWN_ACCOUNT
            records[account].add(used.consumer.operation, region, use.record)
            for pinning in use.pinnings:
                pinning.consumer.region = pinning.consumer.region or region
            pinnings[account] += use.pinnings
        yield from _direct_references(reading, used, found)
    # A file that is named after a template holds all of its versions.
    whole = {
        document.piece.name.partition(".")[0]
        for document, consumer, _ in reading.kept(_Used)
        if consumer.operation == VERSIONS and document.state(consumer.key) == "complete"
    }
    for account, read in records.items():
        yield from _through_templates(account, pinnings[account], read)
        yield from _other_versions(account, read, whole)


def _account_of_file(reading: Reading, used: _Used) -> str | None:
    shown = {use.account for use in used.uses if use.account}
    if len(shown) == 1:
        # No answer of AWS holds two accounts.
        return next(iter(shown))
    named = {account for use in used.uses if not use.account for account in use.profile_accounts}
    creators = {use.creator_account for use in used.uses if use.creator_account}
    return reading.owner(used.document.piece.folders, named, creators)


def _direct_references(reading: Reading, used: _Used, found: Mapping[str | None, list[Reference]]) -> Iterator[Answer]:
    document, consumer = used.document, used.consumer
    region, state = region_of(document.piece) or UNKNOWN_REGION, document.state(consumer.key)
    if consumer.steps and state == "complete":
        # The file has the answer for only one of the resources in a list.
        state = "partial"
    for account, mentions in found.items():
        for mention in mentions:
            # A reference belongs to the account of its consumer, even if the profile is another account's.
            mention.account_id = account
        for where, records in (_by_region(mentions, region) or {region: []}).items():
            answer = document.answer(consumer.operation, records, account_id=account, state=state)
            answer.region, answer.lacks = where, consumer.key in document.short
            if account is None:
                reading.cannot_place(document.piece, answer)
            yield answer


def _by_region(mentions: Iterable[Reference], otherwise: str = UNKNOWN_REGION) -> dict[str, Records]:
    by_region: dict[str, Records] = defaultdict(list)
    for mention in mentions:
        mention.region = mention.region or otherwise
        by_region[mention.region].append(mention)
    return by_region


def _through_templates(account: str, pinnings: list[TemplateUse], read: _Read) -> Iterator[Answer]:
    templates, configurations = read.all_of(TEMPLATES), read.all_of(CONFIGURATIONS)
    mentions, unread = list[Reference](), list[str]()
    by_region: dict[str | None, list[TemplateUse]] = defaultdict(list)
    for pinning in pinnings:
        by_region[pinning.consumer.region].append(pinning)
    for region, own in by_region.items():
        # Templates of other regions may have the same name.
        versions, own_templates = (read.all_of(operation, region) for operation in (VERSIONS, TEMPLATES))
        named, missing = template_references(own, versions, configurations, own_templates)
        mentions += named
        unread += missing
    shown = {version.launch_template_id for version in read.all_of(VERSIONS)}
    unread += [f"{one.launch_template_id}:$Default" for one in templates if one.launch_template_id not in shown]
    for mention in mentions:
        mention.account_id = mention.account_id or account
    for where, found in _by_region(mentions).items():
        yield Answer("", "groups", [found], account, where)
    ids = template_ids(pinnings, templates)
    for version in sorted(set(unread)):
        template, _, number = version.rpartition(":")
        by = "launch-template-id" if template in ids else "launch-template-name"
        command = aws_command("ec2 describe-launch-template-versions", {by: template, "versions": number})
        facts = {"template": template, "version": number, "command": command}
        yield _not_in_file(account, version, "gaps.absent.version", facts)


def _other_versions(account: str, read: _Read, whole: set[str]) -> Iterator[Answer]:
    # Without a template, DescribeLaunchTemplateVersions returns only latest and default versions.
    for template in with_other_versions(read.all_of(VERSIONS), read.all_of(TEMPLATES)):
        if any(name.endswith(template) for name in whole):
            continue
        command = aws_command("ec2 describe-launch-template-versions", {"launch-template-id": template})
        facts = {"template": template, "command": command}
        yield _not_in_file(account, template, "gaps.absent.other_versions", facts)


def _not_in_file(account: str, subject: str, message: str, facts: dict[str, Any]) -> Answer:
    gap = Gap(VERSIONS, subject, "not_in_file", message, facts, UNKNOWN_REGION, account)
    return Answer("", "templates", [[gap]])
