"""References in files: which answers of EC2, Auto Scaling and other services name a profile, and whose each is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from iamframe.knowledge.arn import account_of
from iamframe.knowledge.operations import (
    CONFIGURATIONS,
    TEMPLATES,
    UNKNOWN_ACCOUNT,
    UNKNOWN_REGION,
    VERSIONS,
    aws_command,
)
from iamframe.sources.consumers import CONSUMERS, Consumer
from iamframe.sources.reading import Reading, Records, region_of
from iamframe.sources.records import Answer, Gap, Mention
from iamframe.sources.shapes import Document, shape
from iamframe.sources.templates import Pinning, pinned_mentions, template_ids, with_other_versions


@dataclass(slots=True)
class _Use:
    """One record of what uses profiles: what it names, and the account that it says to belong to.

    `account` is that of its owner or of its own ARN, `made_in` that of the person who made it. What a person makes
    belongs to his account, but people mask the names of persons, so `made_in` is weaker than the name of a folder.
    """

    record: Any
    mentions: list[Mention]
    pinnings: list[Pinning]
    account: str | None
    made_in: str | None

    @classmethod
    def of(cls, record: Any, consumer: Consumer) -> _Use:
        mentions, pinnings = list(consumer.mentions(record)), list(consumer.pinnings(record))
        arns = [getattr(record, "arn", None), *(m.consumer_arn for m in mentions), *(p.consumer_arn for p in pinnings)]
        own = getattr(record, "owner_id", None) or next(filter(None, (account_of(arn or "") for arn in arns)), None)
        return cls(record, mentions, pinnings, own, account_of(getattr(record, "created_by", None) or ""))

    @property
    def named(self) -> set[str]:
        """The accounts whose profiles it names."""
        return {account for mention in self.mentions if (account := account_of(mention.named))}


class Used(NamedTuple):
    """A document of a consumer's records, and what each uses."""

    document: Document
    consumer: Consumer
    uses: list[_Use]


def _keep_uses(document: Document, consumer: Consumer) -> Iterable[Answer]:
    """Keep the records of a consumer until all files are read: only then it is known whose they are."""
    if isinstance(document.keys[consumer.key], dict):
        # Some operations answer with one record alone.
        document.keys[consumer.key] = [document.as_json(consumer.key)]
    records = [record for chunk in document.records(consumer.key, consumer.record) for record in chunk]
    uses = [_Use.of(record, consumer) for record in records]
    reading = document.reading
    for use in uses:
        if account := use.account or use.made_in:
            reading.carried.add(document.piece, account)
        for account in use.named if not use.account else ():
            reading.named.add(document.piece, account)
    if len(records) < len(document.items(consumer.key)):
        # An unreadable row may name any profile, so the list is not complete.
        document.short.add(consumer.key)
    reading.keep(Used(document, consumer, uses))
    reading.has_read |= bool(records) or not document.items(consumer.key)
    return ()


def _register(consumer: Consumer) -> None:
    @shape(consumer.key)
    def read(document: Document) -> Iterable[Answer]:
        return _keep_uses(document, consumer)


for _consumer in CONSUMERS:
    _register(_consumer)


def answers(reading: Reading) -> Iterator[Answer]:
    """Yield the references that all files show, once all of them are read."""
    by_account: dict[str, dict[str, Records]] = defaultdict(lambda: defaultdict(list))
    pinnings: dict[str, list[Pinning]] = defaultdict(list)
    for used in reading.kept(Used):
        owner = _owner(reading, used)
        found: dict[str | None, list[Mention]] = {use.account or owner: [] for use in used.uses} or {owner: []}
        for use in used.uses:
            found[use.account or owner] += use.mentions
            account = use.account or owner or UNKNOWN_ACCOUNT
            by_account[account][used.consumer.operation].append(use.record)
            pinnings[account] += use.pinnings
        yield from _mentioned(reading, used, found)
    # A file that is named after a template holds all of its versions.
    whole = {
        document.piece.name.partition(".")[0]
        for document, consumer, _ in reading.kept(Used)
        if consumer.operation == VERSIONS and document.state(consumer.key) == "complete"
    }
    for account, read in by_account.items():
        yield from _pinned(account, pinnings[account], read)
        yield from _other_versions(account, read, whole)


def _owner(reading: Reading, used: Used) -> str | None:
    """Return the account of the records of a document that do not say it themselves."""
    shown = {use.account for use in used.uses if use.account}
    if len(shown) == 1:
        # No answer of AWS holds two accounts.
        return next(iter(shown))
    named = {account for use in used.uses if not use.account for account in use.named}
    made_in = {use.made_in for use in used.uses if use.made_in}
    return reading.owner(used.document.piece.folders, named, made_in)


def _mentioned(reading: Reading, used: Used, found: dict[str | None, list[Mention]]) -> Iterator[Answer]:
    document, consumer = used.document, used.consumer
    region, state = region_of(document.piece), document.state(consumer.key)
    if consumer.steps and state == "complete":
        # The file holds the answer about one of several things that were listed.
        state = "partial"
    for account, mentions in found.items():
        by_region: dict[str, Records] = defaultdict(list)
        for mention in mentions:
            mention.region = mention.region or region or UNKNOWN_REGION
            # A reference belongs to the account of its consumer, even if the profile is another account's.
            mention.account_id = account
            by_region[mention.region].append(mention)
        for where, records in (by_region or {region or UNKNOWN_REGION: []}).items():
            answer = document.answer(consumer.operation, records, account_id=account, state=state)
            answer.region = where
            if account is None:
                reading.cannot_place(document.piece, answer)
            yield answer


def _pinned(account: str, pinnings: list[Pinning], read: dict[str, Records]) -> Iterator[Answer]:
    """Yield the profiles of the template versions that groups pin, and a gap per version that is not in the files."""
    versions, configurations, templates = (read[name] for name in (VERSIONS, CONFIGURATIONS, TEMPLATES))
    mentions, unread = pinned_mentions(pinnings, versions, configurations, templates)  # type: ignore[arg-type]
    seen = {version.launch_template_id for version in versions}  # type: ignore[attr-defined]
    unread += [f"{t.launch_template_id}:$Default" for t in templates if t.launch_template_id not in seen]  # type: ignore[attr-defined]
    by_region: dict[str, Records] = defaultdict(list)
    for mention in mentions:
        mention.region = mention.region or UNKNOWN_REGION
        mention.account_id = mention.account_id or account
        by_region[mention.region].append(mention)
    for region, found in by_region.items():
        yield Answer("", "groups", [found], account, region)
    ids = template_ids(pinnings, templates)  # type: ignore[arg-type]
    for version in sorted(set(unread)):
        template, _, number = version.rpartition(":")
        by = "launch-template-id" if template in ids else "launch-template-name"
        command = aws_command("ec2 describe-launch-template-versions", {by: template, "versions": number})
        sentence = (
            f"launch template {template}, version {number}, is not in the files; {command} would show which "
            "profile it names"
        )
        yield _not_in_file(account, version, sentence)


def _other_versions(account: str, read: dict[str, Records], whole: set[str]) -> Iterator[Answer]:
    """Yield a gap per template of which not all versions are in the files: a list of all templates shows but two."""
    for template in with_other_versions(read[VERSIONS], read[TEMPLATES]):  # type: ignore[arg-type]
        if any(name.endswith(template) for name in whole):
            continue
        command = aws_command("ec2 describe-launch-template-versions", {"launch-template-id": template})
        sentence = (
            f"of launch template {template}, versions other than the newest and the default one are not in the "
            f"files; {command}, saved as {template}.json, would show them"
        )
        yield _not_in_file(account, template, sentence)


def _not_in_file(account: str, subject: str, sentence: str) -> Answer:
    gap = Gap(VERSIONS, subject, "not_in_file", sentence, region=UNKNOWN_REGION, account_id=account)
    return Answer("", "templates", [[gap]])
