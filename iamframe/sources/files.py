"""Files that hold AWS's answers, told apart by their shape: what each proves, and whose it is.

Reading goes file by file, each to its end before the next, so that memory holds one at a time. Only answers that do
not say whose they are (tags, templates, summaries, empty listings) wait until all others have been read.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Raw

from iamframe.errors import SourceError
from iamframe.knowledge.arn import account_of
from iamframe.knowledge.operations import (
    CONFIGURATIONS,
    DUMP,
    GLOBAL,
    PROFILE_LIST,
    ROLE_LINKS,
    TEMPLATES,
    UNKNOWN_ACCOUNT,
    UNKNOWN_REGION,
    VERSIONS,
    aws_command,
    cli_name,
    region_in,
)
from iamframe.sources import cloudtrail, config, steampipe, terraform
from iamframe.sources.archives import DENIED, Piece, Unreadable, pieces, shown, unread
from iamframe.sources.consumers import CONSUMERS, Consumer, Pinning, pinned_mentions, template_ids, with_other_versions
from iamframe.sources.documents import (
    BROKEN,
    NO_KEY_TWICE,
    LongList,
    Value,
    at_place,
    beginning,
    documents_in,
    documents_of,
    in_plain_words,
    items_of,
    kind_of,
    object_of,
    short_text,
    text_of,
)
from iamframe.sources.records import (
    Account,
    Answer,
    Count,
    Gap,
    GotProfile,
    GotRole,
    ListedProfile,
    ListedRole,
    Mention,
    RoleDetail,
    State,
    Tag,
    Tagging,
    parsed_time,
    tags_or_none,
)
from iamframe.sources.runs import LARGE

CHUNK = 2_000
_SMALL = 4_096

# By what CloudTrail's records are told from others', and how many are looked at for that.
_OF_RECORDS = {"eventID", "eventTime", "eventSource"}
_LOOKED_AT = 20
_IAM_REGIONS = set(cloudtrail.HOMES.values())

# AWS's documentation shows made-up markers in answers that are whole otherwise; a real one is opaque.
_DOCUMENTED = re.compile(r"EXAMPLE.*EXAMPLE")
_TWELVE_DIGITS = re.compile(r"\d{12}", re.ASCII)
_AWS_NAMES = re.compile(r"(?:iam|ec2|autoscaling|sts|organizations):", re.IGNORECASE)
_REASONS = (
    ("denied", "denied"),
    ("unauthorized", "denied"),
    ("throttl", "throttled"),
    ("expired", "expired"),
    ("nosuchentity", "vanished"),
    ("notfound", "vanished"),
)

Records = list[msgspec.Struct]


def read_files(sources: Iterable[Any]) -> Iterator[Answer]:
    """Yield what files, folders and archives prove, one `Answer` per list; what cannot be read comes as `Gap`s.

    Raises
    ------
    SourceError
        If a source does not exist, or nothing in all of them could be read.
    """
    reader = _Reader()
    for source in sources:
        reader.sources.append(shown(source))
        for piece in pieces(source):
            # A file that is named twice, or lies in a folder named too, is read once.
            reader.found.setdefault(piece.place, (shown(source), piece))
    yield from reader.answers()


@dataclass(slots=True)
class _Document:
    """One JSON document: where it stands, its keys, and the files around it."""

    source: str
    piece: Piece
    place: str
    keys: dict[str, Value]
    # The lists of which some items could not be read.
    short: set[str] = field(default_factory=set)

    @property
    def is_truncated(self) -> bool:
        """Whether the answer says that there is more (AWS CLI: NextToken with --max-items, else IsTruncated)."""
        tokens = [self.keys.get(key) for key in ("NextToken", "nextToken", "Marker")]
        if any(isinstance(token, str) and _DOCUMENTED.fullmatch(token) for token in tokens):
            return False
        return self.keys.get("IsTruncated") in (True, "true", "True") or any(token is not None for token in tokens)

    def state(self, key: str) -> State:
        """Return whether a list is all that there is; only known when it was read to its end."""
        return "truncated" if self.is_truncated or key in self.short else "complete"

    def items(self, key: str) -> list[Raw]:
        """Return the items of a list."""
        items = self.keys[key]
        if not isinstance(items, list):
            raise Unreadable(f"{self.place}.{key} holds {kind_of(items)}, not a list")
        return items

    def as_json(self, key: str | None = None) -> Raw:
        """Return the JSON of one key's value, or of the whole."""
        return Raw(msgspec.json.encode(self.keys if key is None else self.keys[key]))


@dataclass(slots=True)
class _Use:
    """One record of what uses profiles: what it names, and of which account it says to be."""

    record: Any
    mentions: list[Mention]
    pinnings: list[Pinning]
    # By its owner or its own ARN.
    account: str | None
    # Who made it is of this account, and so is what he made; but people mask that, and not what a folder is called.
    made_in: str | None

    @classmethod
    def of(cls, record: Any, consumer: Consumer) -> _Use:
        mentions, pinnings = list(consumer.mentions(record)), list(consumer.pinnings(record))
        arns = [getattr(record, "arn", None), *(m.consumer_arn for m in mentions), *(p.arn for p in pinnings)]
        own = getattr(record, "owner_id", None) or next(filter(None, (account_of(arn or "") for arn in arns)), None)
        return cls(record, mentions, pinnings, own, account_of(getattr(record, "created_by", None) or ""))

    @property
    def named(self) -> set[str]:
        """The accounts whose profiles it names."""
        return {account for mention in self.mentions if (account := account_of(mention.named))}


# Folders that hold a part of one account, so that the files beside them tell which: regions, services, tags.
_A_PART = re.compile(
    rf"global|.*tags.*|[a-z]{{2,4}}(?:-[a-z]+)+-[0-9]|iam|sts|{'|'.join(sorted({one.service for one in CONSUMERS}))}"
)


class _Shown:
    """Which accounts the files of each folder show, and those of the folders beneath it."""

    def __init__(self) -> None:
        self._here: dict[tuple[str, ...], set[str]] = defaultdict(set)
        self._beneath: dict[tuple[str, ...], set[str]] = defaultdict(set)

    def add(self, piece: Piece, account: str) -> None:
        self._here[piece.folders].add(account)
        # What lies above the source that was named is nobody's.
        for depth in range(piece.root, len(piece.folders) + 1):
            self._beneath[piece.folders[:depth]].add(account)

    def of(self, folders: tuple[str, ...], depth: int) -> set[str]:
        """Return what a folder shows to the files of one that is so many folders deep within it."""
        # `prod/` beside `dev/` is another account's, `us-east-1/` beside `iam/` is not.
        is_one = all(map(_A_PART.fullmatch, folders[depth:]))
        return (self._beneath if is_one else self._here).get(folders[:depth], set())


@dataclass(slots=True)
class _Reader:
    found: dict[tuple[str, ...], tuple[str, Piece]] = field(default_factory=dict)
    gaps: list[tuple[Piece, Gap]] = field(default_factory=list)
    identities: dict[tuple[str, ...], str] = field(default_factory=dict)
    carried: _Shown = field(default_factory=_Shown)
    named: _Shown = field(default_factory=_Shown)
    waiting: list[tuple[Piece, Answer]] = field(default_factory=list)
    consumers: list[tuple[_Document, Consumer, list[_Use]]] = field(default_factory=list)
    recorded: list[tuple[_Document, str, config.Item]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    has_read: bool = False

    def answers(self) -> Iterator[Answer]:
        # In the order of their places, so that the order in which they were named changes nothing.
        found = [self.found[place] for place in sorted(self.found)]
        for _, piece in found:
            self._notice_caller(piece)
        for source, piece in found:
            try:
                for answer in self._piece(source, piece):
                    yield from self._now_or_later(piece, answer)
            except Unreadable as problem:
                self._unreadable(piece, str(problem))
            except BROKEN as error:
                self._unreadable(piece, _sentence(error, "$"))
            except OSError as error:
                # A disk or a share that fails costs this file, and not those that were read.
                self._unreadable(piece, str(unread(error)))
        for piece, answer in (*self.waiting, *self._recorded()):
            yield self._owned(piece, answer)
        yield from self._references()
        yield from self._unread()

    def _unread(self) -> Iterator[Answer]:
        if not self.has_read:
            first = self.gaps[0][1].detail if self.gaps else None
            names = ", ".join(dict.fromkeys(self.sources))
            raise SourceError(
                first
                or f"{names}: holds no file that iamframe reads; it takes JSON that the AWS CLI prints, AWS Config "
                "items, CloudTrail records, Terraform state and Steampipe rows"
            )
        for piece, gap in self.gaps:
            if gap.operation != "file":
                gap.account_id = gap.account_id or self._owner(piece.folders)
        if self.gaps:
            yield Answer("file", "files", [[gap for _, gap in self.gaps]])

    # Whose file it is

    def _notice_caller(self, piece: Piece) -> None:
        # Whose the other files of a folder are must be known before the first of them is read to its end.
        if "identity" not in piece.name.lower() and piece.size > _SMALL:
            return
        try:
            data = text_of(piece.read())
            if b'"UserId"' in data and b'"Account"' in data:
                for _, content in documents_of(data):
                    account = content.get("Account") if isinstance(content, dict) else None
                    if isinstance(account, str) and account and "UserId" in content:
                        self.identities[piece.folders] = account
        except (Unreadable, msgspec.DecodeError):
            return

    def _owner(self, folders: tuple[str, ...], named: Iterable[str] = (), made_in: Collection[str] = ()) -> str | None:
        """Return whose the files of a folder are.

        `named` are the accounts whose profiles a file names, `made_in` those in which somebody made what it shows.
        """
        # What is named may be another account's, and so it counts only where nothing else says anything.
        for carried in (self.carried, self.named):
            nearest: set[str] = set()
            for depth in range(len(folders), 0, -1):
                folder = folders[:depth]
                caller = self.identities.get(folder)
                if caller is not None and nearest <= {caller}:
                    return caller
                if _TWELVE_DIGITS.fullmatch(folder[-1]):
                    return folder[-1]
                nearest = nearest or carried.of(folders, depth)
            if made_in:
                return next(iter(made_in)) if len(made_in) == 1 else None
            if nearest:
                alone = len(nearest) == 1 and (not named or nearest <= set(named))
                return next(iter(nearest)) if alone else None
        return None

    def _carries(self, piece: Piece, account: str) -> None:
        self.carried.add(piece, account)

    def _now_or_later(self, piece: Piece, answer: Answer) -> Iterator[Answer]:
        chunks = iter(answer)
        first = next(chunks, [])
        if first and None not in _accounts(first):
            yield _with_chunks(answer, self._watched(piece, answer, first, chunks))
        else:
            self.waiting.append((piece, _with_chunks(answer, [first, *chunks])))

    def _watched(self, piece: Piece, answer: Answer, first: Records, rest: Iterator[Records]) -> Iterator[Records]:
        accounts: set[str | None] = set()
        for chunk in (chunk for chunks in ([first], rest) for chunk in chunks):
            accounts.update(_accounts(chunk))
            yield chunk
        for account in accounts - {None}:
            self._carries(piece, str(account))
        self.has_read = True
        answer.account_id = self._owner(piece.folders)

    def _owned(self, piece: Piece, answer: Answer) -> Answer:
        answer.account_id = answer.account_id or self._owner(piece.folders)
        records = sum(map(len, answer.chunks))
        self.has_read |= bool(records) or (answer.state == "complete" and answer.account_id is not None)
        if answer.account_id is None and not any(_account(r) for chunk in answer for r in chunk):
            self._cannot_place(piece, answer)
        return answer

    def _cannot_place(self, piece: Piece, answer: Answer) -> None:
        what = "says whose tags these are" if answer.operation.endswith("Tags") else "says whose account this is of"
        sentence = (
            f"{answer.origin}: nothing {what}; put `aws sts get-caller-identity` output beside it, or the file into a "
            "folder named after the 12-digit account id"
        )
        self._gap(piece, Gap(answer.operation, answer.origin, "unreadable", sentence))

    # From bytes to documents

    def _piece(self, source: str, piece: Piece) -> Iterator[Answer]:
        if piece.name.lower() == DENIED:
            yield from self._denied(source, piece, piece.read())
            return
        with piece.open() as file:
            piece = replace(piece, size=file.seek(0, os.SEEK_END))
            for place, content in documents_in(file):
                try:
                    if isinstance(content, list):
                        yield from self._list(source, piece, place, content)
                    else:
                        yield from self._document(source, piece, place, content)
                except Unreadable as problem:
                    self._unreadable(piece, str(problem), place)

    def _gap(self, piece: Piece, gap: Gap) -> None:
        """Note a gap; whose it is, if it does not say so, is known when all files were read."""
        self.gaps.append((piece, gap))

    def _unreadable(self, piece: Piece, sentence: str, path: str = "$") -> None:
        subject = piece.label if path == "$" else f"{piece.label} {path}"
        operation = _named_after(piece) or "file"
        region = GLOBAL if operation in _IAM else _region(piece) or UNKNOWN_REGION
        self._gap(piece, Gap(operation, subject, "unreadable", f"{piece.label}: {sentence}", region=region))

    def _document(self, source: str, piece: Piece, place: str, keys: dict[str, Value]) -> Iterator[Answer]:
        document = _Document(source, piece, place, keys)
        if keys.keys() >= {"status_code", "data"}:
            # Recorders of botocore answers wrap each one so.
            yield from self._document(
                source, piece, place + ".data", object_of(document.as_json("data"), place + ".data")
            )
            return
        # A long list first: whether what seems to follow it does is known when it was read to its end.
        long = [key for key, value in keys.items() if isinstance(value, LongList)]
        read, problems = False, []
        for key in dict.fromkeys((*long, *_SHAPES)):
            try:
                # People merge several answers into one document.
                if key in document.keys and (answers := _SHAPES[key](self, document)) is not None:
                    read = True
                    yield from answers
            except Unreadable as problem:
                problems.append(str(problem))
        if problems:
            raise Unreadable("; ".join(problems))
        if not read:
            raise Unreadable(
                f"{at_place(place)}is not a shape that iamframe reads (its keys are {_shown_keys(keys)}); see the "
                "README for the files that it takes"
            )

    def _list(self, source: str, piece: Piece, place: str, items: list[Raw]) -> Iterator[Answer]:
        if not items:
            raise Unreadable(f"{at_place(place)}is an empty list, which says nothing of any account")
        if not any(beginning(item) == b"{" for item in items):
            raise Unreadable(f"{at_place(place)}holds a list of values, not the objects that AWS answers with")
        first = _keys(items[0])
        document = _Document(source, piece, place, {"rows": items})
        if "resourceType" in first:
            yield from self._config_items(document, "rows")
        elif "arn" in first:
            yield from self._steampipe(document)
        elif first >= _OF_RECORDS:
            yield from self._events(document, "rows", cloudtrail.TRAIL)
        else:
            for index, item in enumerate(items):
                try:
                    keys = object_of(item, f"{place}[{index}]")
                    yield from self._document(source, piece, f"{place}[{index}]", keys)
                except Unreadable as problem:
                    self._unreadable(piece, str(problem), f"{place}[{index}]")
                except BROKEN as problem:
                    self._unreadable(piece, _sentence(problem, f"{place}[{index}]"), f"{place}[{index}]")

    # From lists to records

    def _records(self, document: _Document, key: str, kind: type[msgspec.Struct]) -> Iterator[Records]:
        path = document.place if key == "rows" else f"{document.place}.{key}"
        decode = _decoder(document, kind)
        before = 0
        raws = document.items(key)
        if isinstance(raws, LongList):
            for chunk, count in self._runs(document, key, raws, kind, path):
                yield chunk
                before += count
            raws = document.items(key)
        for start in range(0, len(raws), CHUNK):
            part = raws[start : start + CHUNK]
            try:
                chunk = [decode(item) for item in part]
            except BROKEN:
                chunk = list(self._each(document, part, decode, path, before + start))
                document.short.add(key)
            yield chunk

    def _runs(
        self, document: _Document, key: str, long: LongList, kind: type[msgspec.Struct], path: str
    ) -> Iterator[tuple[Records, int]]:
        """Yield the records of the runs in chunks, and how many items each chunk stands for."""
        decode_all, decode = msgspec.json.Decoder(list[kind]).decode, msgspec.json.Decoder(kind).decode  # type: ignore[valid-type]
        held: Records = []
        count = 0
        for run in long.runs:
            try:
                held += decode_all(run)
            except BROKEN:
                yield held, len(held)
                count += len(held)
                held = []
                if (items := items_of(run)) is None:
                    self._at_once(document, key, long, f"{path}[{count}]")
                    return
                document.short.add(key)
                yield list(self._each(document, items, decode, path, count)), len(items)
                count += len(items)
            if len(held) >= CHUNK:
                yield held, len(held)
                count += len(held)
                held = []
        yield held, len(held)

    def _at_once(self, document: _Document, key: str, long: LongList, place: str) -> None:
        """Read the document from a run on that is no list by itself: an item, or the list, ended elsewhere."""
        try:
            long.after = documents_of(long.before + long.runs.rest())
            _, found = next(long.after)
        except Unreadable as problem:
            self._unreadable(document.piece, f"{place} and what follows {problem}", place)
            document.short.add(key)
            document.keys = {key: []}
        else:
            document.keys = found if isinstance(found, dict) else {key: found}

    def _each(
        self, document: _Document, items: list[Raw], decode: Callable[[Raw], Any], path: str, start: int = 0
    ) -> Iterator[Any]:
        for index, item in enumerate(items, start):
            try:
                yield decode(item)
            except BROKEN as error:
                self._unreadable(document.piece, _sentence(error, f"{path}[{index}]"), f"{path}[{index}]")

    def _listing(self, document: _Document, key: str, operation: str, kind: type[msgspec.Struct]) -> Iterator[Answer]:
        document.items(key)
        answer = Answer(operation, document.piece.label, (), source=document.source)
        answer.chunks = self._listed(document, key, kind, answer)
        yield answer

    def _listed(self, document: _Document, key: str, kind: type[msgspec.Struct], answer: Answer) -> Iterator[Records]:
        yield from self._records(document, key, kind)
        # ListInstanceProfilesForRole is the whole list of nothing but that role's.
        if answer.operation != ROLE_LINKS:
            answer.state = document.state(key)

    def _single(self, document: _Document, key: str, operation: str, kind: type[Any]) -> Iterator[Answer]:
        path = f"{document.place}.{key}"
        records = list(self._each_one(document, document.as_json(key), _decoder(document, kind), path))
        yield Answer(operation, document.piece.label, [records], source=document.source)

    def _each_one(self, document: _Document, raw: Raw, decode: Callable[[Raw], Any], path: str) -> Iterator[Any]:
        try:
            yield decode(raw)
        except BROKEN as error:
            self._unreadable(document.piece, _sentence(error, path), path)

    # IAM's own answers

    def _account_dump(self, document: _Document) -> Iterator[Answer]:
        if document.items("RoleDetailList"):
            yield from self._listing(document, "RoleDetailList", DUMP, RoleDetail)
            return
        # `--filter User` prints an empty list of roles too, so that it proves nothing.
        label = document.piece.label
        listed = (document.keys.get(key) for key in ("UserDetailList", "GroupDetailList", "Policies"))
        others = b"".join(bytes(item) for items in listed if isinstance(items, list) for item in items)
        accounts = {a.decode() for a in re.findall(rb'"arn:[^":]*:iam::([^":]+):(?:user|group|policy)/', others)}
        accounts -= {"aws"}
        for account in accounts:
            self._carries(document.piece, account)
        account_id = accounts.pop() if len(accounts) == 1 else None
        self.has_read |= bool(others)
        sentence = (
            f"{label}: lists no role, and every account has roles, so that it was made with a filter; export it with "
            "--filter=Role, or without one"
        )
        self._gap(document.piece, Gap(DUMP, label, "truncated", sentence, account_id=account_id))
        state: State = "truncated" if document.is_truncated else "partial"
        yield Answer(DUMP, label, [], account_id, state=state, source=document.source)

    def _profiles(self, document: _Document) -> Iterator[Answer]:
        # ListInstanceProfilesForRole has the same shape; only the file's name tells.
        operation = ROLE_LINKS if "for-role" in document.piece.name.lower() else PROFILE_LIST
        yield from self._listing(document, "InstanceProfiles", operation, ListedProfile)

    def _got_role(self, document: _Document) -> Iterator[Answer]:
        (answer,) = self._single(document, "Role", "GetRole", GotRole)
        for role in (role for chunk in answer for role in chunk if isinstance(role, GotRole)):
            tags_or_none(role)
        yield answer

    def _tag_listing(self, document: _Document) -> Iterator[Answer] | None:
        if document.keys.keys() - {"Tags", "IsTruncated", "Marker", "NextToken", "ResponseMetadata"}:
            return None
        return self._tagging(document)

    def _tagging(self, document: _Document) -> Iterator[Answer]:
        folder = document.piece.folders[-1] if document.piece.folders else ""
        kinds = {
            "instance-profile-tags": ("instance-profile", "ListInstanceProfileTags"),
            "role-tags": ("role", "ListRoleTags"),
        }
        if folder not in kinds:
            raise Unreadable(
                "holds tags and does not say whose; name it instance-profile-tags/NAME.json or role-tags/NAME.json"
            )
        resource_type, operation = kinds[folder]
        name = document.piece.name.rsplit(".json", 1)[0]
        if document.is_truncated:
            gap = Gap(
                operation,
                name,
                "truncated",
                f"{document.piece.label}: the tags are cut short, so none are "
                "taken; list them again without --max-items",
            )
            yield Answer(operation, document.piece.label, [[gap]], source=document.source)
            return
        listed = [tag for chunk in self._records(document, "Tags", Tag) for tag in chunk]
        if len(listed) < len(document.items("Tags")):
            return
        records: Records = [Tagging(resource_type, name, listed)]  # type: ignore[arg-type]
        yield Answer(operation, document.piece.label, [records], source=document.source)

    def _summary(self, document: _Document) -> Iterator[Answer]:
        try:
            counts = msgspec.json.decode(document.as_json("SummaryMap"), type=dict[str, Count])
        except BROKEN as error:
            raise Unreadable(_sentence(error, f"{document.place}.SummaryMap")) from None
        account = Account(
            role_quota=counts.get("RolesQuota"),
            profile_quota=counts.get("InstanceProfilesQuota"),
            roles_expected=counts.get("Roles"),
            profiles_expected=counts.get("InstanceProfiles"),
        )
        yield Answer("GetAccountSummary", document.piece.label, [[account]], state="complete", source=document.source)

    def _identity(self, document: _Document) -> Iterator[Answer] | None:
        if not document.keys.keys() >= {"UserId", "Arn"}:
            return None
        return self._caller(document)

    def _caller(self, document: _Document) -> Iterator[Answer]:
        account, arn = (_text(document, key) for key in ("Account", "Arn"))
        yield Answer(
            "GetCallerIdentity",
            document.piece.label,
            [[Account(caller_arn=arn)]],
            account_id=account,
            state="complete",
            source=document.source,
        )

    def _aliases(self, document: _Document) -> Iterator[Answer]:
        decode = msgspec.json.Decoder(str).decode
        aliases = [
            alias
            for index, raw in enumerate(document.items("AccountAliases"))
            for alias in self._each_one(document, raw, decode, f"{document.place}.AccountAliases[{index}]")
        ]
        records: Records = [Account(account_name=aliases[0] if aliases else None)]
        yield Answer("ListAccountAliases", document.piece.label, [records], state="complete", source=document.source)

    # Other sources

    def _config_items(self, document: _Document, key: str) -> Iterator[Answer]:
        path = f"{document.place}.{key}" if key != "rows" else document.place
        decode = _decoder(document, config.Item)
        found = []
        for index, raw in enumerate(document.items(key)):
            at = f"{path}[{index}]"
            found += [(at, item) for item in self._each_one(document, raw, decode, at)]
        yield from self._config(document, found)

    def _config_item(self, document: _Document) -> Iterator[Answer] | None:
        if "configuration" not in document.keys:
            return None
        decode = _decoder(document, config.Item)
        items = list(self._each_one(document, document.as_json(), decode, document.place))
        return self._config(document, [(document.place, item) for item in items]) if items else iter(())

    def _config(self, document: _Document, items: list[tuple[str, config.Item]]) -> Iterator[Answer]:
        mine = [(place, item) for place, item in items if item.resource_type in (config.ROLE, config.PROFILE)]
        self.recorded += [(document, place, item) for place, item in mine]
        self.has_read |= any(item.is_deleted for _, item in mine)
        if not mine:
            raise Unreadable("holds no AWS Config item of a role or instance profile")
        return iter(())

    def _recorded(self) -> Iterator[tuple[Piece, Answer]]:
        # Config writes an item wherever it records, so that the latest capture counts across all files.
        answers: dict[tuple[str, str, str | None], tuple[Piece, Answer]] = {}
        for document, place, item in config.latest(self.recorded):
            try:
                record = config.resource(item)
            except BROKEN as error:
                at = f"{place}.configuration"
                self._unreadable(document.piece, _sentence(error, at), at)
                continue
            self.has_read = True
            if account := _account(record):
                self._carries(document.piece, account)
            label, account = document.piece.label, account or item.account_id
            _, answer = answers.setdefault(
                (label, item.resource_type, account),
                (document.piece, Answer(f"config:{item.resource_type}", label, [[]], account, source=document.source)),
            )
            answer.chunks[0].append(record)  # type: ignore[index]
            answer.captured_at = max(answer.captured_at or "", item.captured_at)
        yield from answers.values()

    def _terraform_state(self, document: _Document) -> Iterator[Answer] | None:
        if not document.keys.keys() & {"terraform_version", "lineage", "serial"}:
            return None
        state = _decode(document, terraform.State)
        if state.version != 4:
            raise Unreadable(
                f"is Terraform state version {state.version}; run `terraform state pull` with 0.12 or later"
            )
        return self._managed(document, "terraform:state", terraform.in_state(state))

    def _terraform_plan(self, document: _Document) -> Iterator[Answer] | None:
        if "format_version" not in document.keys:
            return None
        plan = _decode(document, terraform.Plan)
        try:
            managed = list(terraform.in_plan(plan))
        except BROKEN as error:
            raise Unreadable(_sentence(error, f"{document.place}.resource_changes")) from None
        return self._managed(document, "terraform:plan" if plan.planned_values else "terraform:state", managed)

    def _managed(self, document: _Document, operation: str, managed: Iterable[terraform.Managed]) -> Iterator[Answer]:
        found: dict[str, Records] = {terraform.ROLE: [], terraform.PROFILE: []}
        for item in managed:
            try:
                found[item.type].append(terraform.resource(item))
            except BROKEN as error:
                self._unreadable(document.piece, _sentence(error, item.address), item.address)
        self.has_read = True
        for records in found.values():
            yield Answer(operation, document.piece.label, [records] if records else [], source=document.source)

    def _steampipe(self, document: _Document) -> Iterator[Answer]:
        rows = document.items("rows")
        keys = _keys(rows[0]) if rows else set()
        if "arn" not in keys:
            raise Unreadable("holds rows without `arn`, which iamframe needs; add it to the Steampipe query")
        if "instance_profile_name" in keys or "instance_profile_id" in keys or "roles" in keys:
            kind: Any = steampipe.ProfileRow
            convert: Any = steampipe.profiles
            operation = f"steampipe:{steampipe.PROFILE}"
        elif keys & {"role_id", "name", "assume_role_policy", "assume_role_policy_std", "instance_profile_arns"}:
            kind, convert = steampipe.RoleRow, steampipe.roles
            operation = f"steampipe:{steampipe.ROLE}"
        else:
            raise Unreadable("holds rows that are neither of aws_iam_role nor of aws_iam_instance_profile")
        decoded = [row for chunk in self._records(document, "rows", kind) for row in chunk]
        try:
            records = convert(decoded)
        except msgspec.MsgspecError as error:
            raise Unreadable(_sentence(error, "$[*].roles")) from None
        yield Answer(operation, document.piece.label, [records], source=document.source)

    # What happened

    def _trail(self, document: _Document) -> Iterator[Answer] | None:
        # S3 and other services hand out `Records` of their own.
        return self._events_if(document, "Records", cloudtrail.TRAIL, _OF_RECORDS)

    def _lookup(self, document: _Document) -> Iterator[Answer] | None:
        return self._events_if(document, "Events", cloudtrail.LOOKUP, {"CloudTrailEvent"})

    def _events_if(self, document: _Document, key: str, operation: str, keys: set[str]) -> Iterator[Answer] | None:
        items = document.keys[key]
        if not isinstance(items, list) or (items and not any(_keys(item) >= keys for item in items[:_LOOKED_AT])):
            return None
        self.has_read |= not items and not document.is_truncated
        return self._events(document, key, operation)

    def _events(self, document: _Document, key: str, operation: str) -> Iterator[Answer]:
        found: dict[str | None, list[cloudtrail.Event]] = defaultdict(list)
        # Per account the first and the last time of a record that stands where IAM's do.
        spans: dict[str | None, tuple[str, str]] = {}
        kind = cloudtrail.Looked if operation == cloudtrail.LOOKUP else cloudtrail.Record
        items: Iterator[Any] = (item for chunk in self._records(document, key, kind) for item in chunk)
        for item in items:
            try:
                record = cloudtrail.record_of(item)
                if cloudtrail.is_of_iam(record):
                    account, event = cloudtrail.event_of(record)
                    found[account].append(event)
            except (Unreadable, *BROKEN) as error:
                place = f"{document.place} event {item.event_id or 'without an id'}"
                said = str(error) if isinstance(error, Unreadable) else _sentence(error, "$")
                self._unreadable(document.piece, f"{place}: {said}", place)
                continue
            self.has_read = True
            # A lookup does not say what it was asked for, so that its times say nothing of what it leaves out.
            if operation == cloudtrail.TRAIL and record.event_time and record.aws_region in _IAM_REGIONS:
                whose, time = record.recipient_account_id, record.event_time
                first, last = spans.get(whose, (time, time))
                spans[whose] = min(first, time), max(last, time)
        state: State = "truncated" if operation == cloudtrail.LOOKUP and document.is_truncated else "partial"
        accounts = dict.fromkeys((*found, *spans))
        if operation == cloudtrail.LOOKUP:
            accounts = accounts or {None: None}
        for account in accounts:
            chunks: list[Records] = [found[account]]  # type: ignore[list-item]
            times = [at for text in spans.get(account, ()) if (at := parsed_time(text))]
            if len(times) == 2:
                chunks.append([cloudtrail.Covered(*times)])
            yield Answer(operation, document.piece.label, chunks, account, state=state, source=document.source)

    # What refers to profiles

    def _consumer(self, document: _Document, consumer: Consumer) -> Iterator[Answer]:
        if isinstance(document.keys[consumer.key], dict):
            # Some operations answer with one record alone.
            document.keys[consumer.key] = [document.as_json(consumer.key)]
        records = [r for chunk in self._records(document, consumer.key, consumer.record) for r in chunk]
        found = [_Use.of(record, consumer) for record in records]
        for use in found:
            if account := use.account or use.made_in:
                self._carries(document.piece, account)
            for account in use.named if not use.account else ():
                self.named.add(document.piece, account)
        if len(records) < len(document.items(consumer.key)):
            # What one unreadable row names is unknown, so that nothing can be said to be named by none.
            document.short.add(consumer.key)
        self.consumers.append((document, consumer, found))
        self.has_read |= bool(records) or not document.items(consumer.key)
        return iter(())

    def _references(self) -> Iterator[Answer]:
        by_account: dict[str, dict[str, Records]] = defaultdict(lambda: defaultdict(list))
        pinnings: dict[str, list[Pinning]] = defaultdict(list)
        for document, consumer, uses in self.consumers:
            owner = self._owner_of(document, uses)
            found: dict[str | None, list[Mention]] = {use.account or owner: [] for use in uses} or {owner: []}
            for use in uses:
                found[use.account or owner] += use.mentions
                account = use.account or owner or UNKNOWN_ACCOUNT
                by_account[account][consumer.operation].append(use.record)
                pinnings[account] += use.pinnings
            yield from self._mentioned(document, consumer, found)
        for account, read in by_account.items():
            yield from self._pinned(account, pinnings[account], read)
            yield from self._other_versions(account, read)

    def _owner_of(self, document: _Document, uses: list[_Use]) -> str | None:
        """Return whose the records of a file are that do not say it themselves."""
        shown = {use.account for use in uses if use.account}
        if len(shown) == 1:
            # No answer of AWS holds two accounts.
            return next(iter(shown))
        named = {account for use in uses if not use.account for account in use.named}
        return self._owner(document.piece.folders, named, {use.made_in for use in uses if use.made_in})

    def _mentioned(
        self, document: _Document, consumer: Consumer, found: dict[str | None, list[Mention]]
    ) -> Iterator[Answer]:
        region, state = _region(document.piece), document.state(consumer.key)
        if consumer.steps and state == "complete":
            # It is what one thing that was listed answers, and not all of them.
            state = "partial"
        for account, mentions in found.items():
            scopes: dict[str, Records] = defaultdict(list)
            for mention in mentions:
                mention.region = mention.region or region or UNKNOWN_REGION
                # It is its owner's, whoever's profile it names.
                mention.account_id = account
                scopes[mention.region].append(mention)
            for where, some in (scopes or {region or UNKNOWN_REGION: []}).items():
                answer = Answer(
                    consumer.operation, document.piece.label, [some], account, where, state, document.source
                )
                if account is None:
                    self._cannot_place(document.piece, answer)
                yield answer

    def _pinned(self, account: str, pinnings: list[Pinning], read: dict[str, Records]) -> Iterator[Answer]:
        versions, configurations, templates = (read[name] for name in (VERSIONS, CONFIGURATIONS, TEMPLATES))
        mentions, unread = pinned_mentions(pinnings, versions, configurations, templates)  # type: ignore[arg-type]
        seen = {version.launch_template_id for version in versions}  # type: ignore[attr-defined]
        unread += [f"{t.launch_template_id}:$Default" for t in templates if t.launch_template_id not in seen]  # type: ignore[attr-defined]
        for mention in mentions:
            mention.region = mention.region or UNKNOWN_REGION
            mention.account_id = mention.account_id or account
        by_region: dict[str, Records] = defaultdict(list)
        for mention in mentions:
            by_region[str(mention.region)].append(mention)
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
            yield Answer(
                "",
                "templates",
                [[Gap(VERSIONS, version, "not_in_file", sentence, region=UNKNOWN_REGION, account_id=account)]],
            )

    def _other_versions(self, account: str, read: dict[str, Records]) -> Iterator[Answer]:
        """Tell of the templates whose versions are not all in the files: a list of all templates shows but two."""
        # A file that is named after a template is what was asked for all of its versions.
        whole = {
            document.piece.name.partition(".")[0]
            for document, consumer, _ in self.consumers
            if consumer.operation == VERSIONS and document.state(consumer.key) == "complete"
        }
        for template in with_other_versions(read[VERSIONS], read[TEMPLATES]):  # type: ignore[arg-type]
            if any(name.endswith(template) for name in whole):
                continue
            command = aws_command("ec2 describe-launch-template-versions", {"launch-template-id": template})
            sentence = (
                f"of launch template {template}, versions other than the newest and the default one are not in the "
                f"files; {command}, saved as {template}.json, would show them"
            )
            gap = Gap(VERSIONS, template, "not_in_file", sentence, region=UNKNOWN_REGION, account_id=account)
            yield Answer("", "templates", [[gap]])

    # What was refused

    def _denied(self, source: str, piece: Piece, data: bytes) -> Iterator[Answer]:
        try:
            text = text_of(data).decode()
            # Spreadsheets write the separator of the country, or tabs.
            head = text.lstrip().partition("\n")[0]
            between = next((mark for mark in ";\t" if mark in head), ",")
            rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=between))
        except (csv.Error, UnicodeDecodeError):
            raise Unreadable("is not CSV text") from None
        if rows and not rows[0].keys() >= {"operation", "subject", "error_code"}:
            raise Unreadable("needs the columns operation, subject, error_code")
        gaps: Records = []
        for row in rows:
            operation, subject, code = (row[name] or "" for name in ("operation", "subject", "error_code"))
            reason = next((reason for text, reason in _REASONS if text in code.lower()), "unreadable")
            operation = _operation(operation)
            somewhere = region_in(subject) or _region(piece) or UNKNOWN_REGION
            region = somewhere if operation.startswith("Describe") else GLOBAL
            detail = f"AWS answered {code or 'an error'} to {operation}" + (f" of {subject}" if subject else "")
            gaps.append(Gap(operation, subject or "*", reason, f"{detail}, for whoever made the files", region=region))
        self.has_read |= bool(gaps)
        yield Answer("denied", piece.label, [gaps] if gaps else [], source=source)


def _operation(text: str) -> str:
    """Return AWS's name of an operation that may be written as the CLI's: `list-role-tags`, `iam:ListRoleTags`."""
    plain = _AWS_NAMES.sub("", text.strip()).split()[-1:] or [""]
    return plain[0] if plain[0][:1].isupper() else "".join(part.capitalize() for part in plain[0].split("-"))


def _region(piece: Piece) -> str | None:
    """Return the region that a file's name holds, or the innermost of its folders that names one."""
    return next(filter(None, map(region_in, (piece.name, *reversed(piece.folders)))), None)


_IAM = (DUMP, "ListRoles", PROFILE_LIST, ROLE_LINKS, "GetAccountSummary")
# The longest first, since one name may begin another.
_NAMED = [
    (re.compile(rf"(?<![a-z]){cli_name(operation)}(?![a-z])"), operation)
    for operation in sorted({*_IAM, *(one.operation for one in CONSUMERS)}, key=len, reverse=True)
]


def _named_after(piece: Piece) -> str | None:
    """Return the operation that a file is named after, as in `describe-instances.json`."""
    name = cli_name(piece.name).replace("_", "-")
    return next((operation for pattern, operation in _NAMED if pattern.search(name)), None)


def _with_chunks(answer: Answer, chunks: Iterable[Records]) -> Answer:
    """Give an answer its chunks and return it: it stays the same object, since reading it on changes its state."""
    answer.chunks = chunks
    return answer


def _account(record: msgspec.Struct) -> str | None:
    return next(iter(_accounts([record])))


def _accounts(records: Records) -> set[str | None]:
    """Return the accounts that the ARNs of records name, None among them where one names none."""
    fields = type(records[0]).__struct_fields__
    name = next((name for name in ("role_arn", "profile_arn") if name in fields), None)
    if name is None:
        return {None}
    arns = list(map(attrgetter(name), records))
    prefix = arns[0].split("/", 1)[0] + "/"
    if all(arn.startswith(prefix) for arn in arns):
        return {account_of(prefix)}
    # What stands before the first `/` of an ARN repeats, and a path holds no account.
    return set(map(account_of, {arn.split("/", 1)[0] for arn in arns}))


def _decoder(document: _Document, kind: Any) -> Callable[[Raw], Any]:
    """Return what decodes an item, and refuses one that has a key twice.

    Only people who edit by hand make such items, and nobody edits a large file by hand: there a second look at each
    would cost several times what decoding does. Nor does anybody edit CloudTrail's records.
    """
    decode = msgspec.json.Decoder(kind).decode
    if document.piece.size > LARGE or kind in (cloudtrail.Record, cloudtrail.Looked):
        return decode

    def looked_at_twice(item: Raw) -> Any:
        record = decode(item)
        NO_KEY_TWICE.decode(bytes(item).decode())
        return record

    return looked_at_twice


def _keys(item: Raw) -> set[str]:
    try:
        return set(msgspec.json.decode(item, type=dict[str, Raw]))
    except BROKEN:
        return set()


def _decode(document: _Document, kind: type[Any]) -> Any:
    try:
        return _decoder(document, kind)(document.as_json())
    except BROKEN as error:
        raise Unreadable(_sentence(error, document.place)) from None


def _text(document: _Document, key: str) -> str:
    value = document.keys[key]
    if not isinstance(value, str):
        raise Unreadable(f"{document.place}.{key} holds {kind_of(value)}, not text")
    return value


def _sentence(error: Exception, path: str) -> str:
    message, _, inner = in_plain_words(error).partition(" - at `$")
    return f"{path}{inner.rstrip('`')}: {message[:1].lower()}{message[1:]}"


def _shown_keys(keys: dict[str, Value]) -> str:
    return ", ".join(short_text(key) for key in list(keys)[:5]) + (" …" if len(keys) > 5 else "") if keys else "none"


_SHAPES: dict[str, Callable[[_Reader, _Document], Iterator[Answer] | None]] = {
    "RoleDetailList": _Reader._account_dump,
    "Roles": lambda reader, document: reader._listing(document, "Roles", "ListRoles", ListedRole),
    "Role": _Reader._got_role,
    "InstanceProfiles": _Reader._profiles,
    "InstanceProfile": lambda reader, document: reader._single(
        document, "InstanceProfile", "GetInstanceProfile", GotProfile
    ),
    "SummaryMap": _Reader._summary,
    "Account": _Reader._identity,
    "AccountAliases": _Reader._aliases,
    "configurationItems": lambda reader, document: reader._config_items(document, "configurationItems"),
    "baseConfigurationItems": lambda reader, document: reader._config_items(document, "baseConfigurationItems"),
    "resourceType": _Reader._config_item,
    "planned_values": _Reader._terraform_plan,
    "values": _Reader._terraform_plan,
    "resources": _Reader._terraform_state,
    "rows": _Reader._steampipe,
    "Records": _Reader._trail,
    "Events": _Reader._lookup,
    # A trail writes signed lists of its own files beside them, which say nothing of IAM.
    "digestStartTime": lambda _, __: iter(()),
    "Tags": _Reader._tag_listing,
    **{
        consumer.key: lambda reader, document, consumer=consumer: reader._consumer(document, consumer)  # type: ignore[misc]
        for consumer in CONSUMERS
    },
}
