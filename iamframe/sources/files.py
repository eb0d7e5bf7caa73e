"""Read files from the AWS CLI, AWS Config, CloudTrail, Terraform or Steampipe.

iamframe recognizes the format of a JSON document by the keys of the document (its "shape"). The files are read one
after another.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

from msgspec import Raw

from iamframe.errors import SourceError
from iamframe.knowledge.operations import ALL, GLOBAL, OPERATIONS, TAG_POLICY, UNKNOWN_REGION, proving, region_in
from iamframe.knowledge.owners import known_owners
from iamframe.messages.render import say
from iamframe.sources import cloudtrail, config, iam, owners, references, shapes, steampipe, tag_policies, terraform
from iamframe.sources.archives import DENIED, Foreign, Piece, Unreadable, display_path, has_known_name, pieces
from iamframe.sources.documents import Value, beginning, document_in_runs, documents_of, keys_of, object_of, utf8
from iamframe.sources.records import Answer, Gap, make_decoders
from iamframe.sources.shapes import ROWS, SHAPES, Document, Reading, Records, accounts_in, region_of
from iamframe.sources.tag_policies import NO_POLICY

# A document may have several shapes, which are read in this order.
_FORMATS = (iam, config, terraform, steampipe, cloudtrail, references, owners, tag_policies)
_SHAPES = [one for module in _FORMATS for one in SHAPES[module.__name__]]
_KEY = re.compile(rb'"(?:%b)"\s*:' % "|".join(sorted({key for one in _SHAPES for key in one.keys})).encode())
for _format in _FORMATS:
    make_decoders(vars(_format).values())
# The AWS CLI prints these answers about the caller's own account. Terraform states may contain several accounts.
_OF_IAM = proving("roles", "profiles", "role_links", "role", "profile")
# The columns of `denied.csv`, and the service with which a person may prefix an operation.
_COLUMNS = ("operation", "subject", "error_code")
_PREFIX = re.compile(r"[a-z0-9-]+:", re.IGNORECASE)
# A part of an error code, and the reason of the gap.
_REASONS = (
    ("denied", "denied"),
    ("unauthorized", "denied"),
    ("throttl", "throttled"),
    ("expired", "expired"),
    ("nosuchentity", "vanished"),
    ("notfound", "vanished"),
)


def read_files(sources: Iterable[Any], *, in_runs: bool = False) -> Iterator[Answer]:
    """Unreadable content becomes a row of the frame `gaps`.

    Raise `SourceError` if a source does not exist, or if no source could be read. Raise `NotARun` if `in_runs` is true
    and an item of a long list cannot be decoded. If `NotARun` is raised, the caller must discard all earlier answers.
    """
    labels = []
    found: dict[tuple[str, ...], tuple[str, Piece]] = {}
    for source in sources:
        labels.append(display_path(source))
        for piece in pieces(source):
            # A file that lies in two of the sources is read once. A file that the user names is read whatever its name.
            if piece.is_given or piece.place not in found:
                found[piece.place] = display_path(source), piece
    reading = Reading(in_runs)
    # Files are read in the order of their places, so the order of the sources changes nothing.
    yield from _answers(reading, [found[place] for place in sorted(found)])
    reading.note_foreign()
    if not reading.has_read:
        names = ", ".join(dict.fromkeys(labels))
        raise SourceError(
            say(first.message, **first.facts)
            if reading.gaps and (first := reading.gaps[0][1])
            else f"{names}: has no file that iamframe reads; give AWS CLI output (JSON), AWS Config items, CloudTrail "
            "records, Terraform state or Steampipe rows"
        )
    if reading.gaps:
        yield Answer("file", "files", [reading.gaps_with_owner()])


def _answers(reading: Reading, found: list[tuple[str, Piece]]) -> Iterator[Answer]:
    # An answer without an account (tags, a summary, an empty list) waits until all files are read.
    waiting: list[tuple[Piece, Answer]] = []
    for source, piece in found:
        with reading.gap_if_unreadable(piece):
            for answer in _file(reading, source, piece):
                chunks = iter(answer)
                first = next(chunks, [])
                if first and None not in accounts_in(first):
                    answer.chunks = _with_accounts(reading, piece, answer.operation, chain([first], chunks))
                    yield answer
                else:
                    answer.chunks = [first, *chunks]
                    waiting.append((piece, answer))
    for piece, answer in (*waiting, *config.config_answers(reading)):
        yield reading.with_owner(piece, answer)
    yield from references.reference_answers(reading)


def _with_accounts(reading: Reading, piece: Piece, operation: str, chunks: Iterable[Records]) -> Iterator[Records]:
    accounts: set[str | None] = set()
    for chunk in chunks:
        accounts |= accounts_in(chunk)
        yield chunk
    for account in accounts - {None}:
        reading.carried.add(piece, str(account))
        if operation in _OF_IAM:
            reading.answered[piece.folders].add(str(account))
            reading.answered_within.add(piece, str(account))
    reading.has_read = True


def _file(reading: Reading, source: str, piece: Piece) -> Iterator[Answer]:
    if piece.name.lower() == DENIED:
        yield from _denied(reading, source, piece)
        return
    if not (piece.is_given or has_known_name(piece.name)):
        # The file may be an older copy, such as `roles.json.1`.
        if _may_be_copy(source, piece):
            raise Unreadable("gaps.file.ending")
        return
    if piece.path and piece.size > shapes.LARGE and reading.in_runs and (found := document_in_runs(piece.path)):
        with reading.gap_if_unreadable(piece):
            yield from _document(Document(reading, source, piece, piece.size, "$", *found))
        return
    data = piece.read()
    for place, content in documents_of(data):
        keys: dict[str, Value] = content if isinstance(content, dict) else {ROWS: content}
        document = Document(reading, source, piece, len(data), place, keys)
        with reading.gap_if_unreadable(piece, place):
            yield from _document(document) if isinstance(content, dict) else _list(document, content)


def _may_be_copy(source: str, piece: Piece) -> bool:
    # A template of a JSON document is often no JSON.
    if not _KEY.search(utf8(piece.read())):
        return False
    trial = Reading()
    return any(_answers(trial, [(source, replace(piece, is_given=True))])) or bool(trial.gaps)


def _document(document: Document) -> Iterator[Answer]:
    place, keys = document.place, document.keys
    if keys.keys() >= {"status_code", "data"}:
        # Recorders of botocore wrap each answer like this.
        inner = f"{place}.data"
        yield from _document(document.within(inner, object_of(document.as_json("data"), inner)))
        return
    fitting = dict.fromkeys(one.read for one in _SHAPES if one.fits(document))
    if not fitting:
        raise Foreign(**document.of_unknown_shape().problem)
    problems: list[Unreadable] = []
    for read in fitting:
        try:
            yield from read(document)
            document.reading.recognized.add(document.piece.place)
        except Unreadable as problem:
            problems.append(problem)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise Unreadable("gaps.file.several", problems=[one.problem for one in problems])


def _list(document: Document, items: list[Raw]) -> Iterator[Answer]:
    place = document.place
    if not items:
        raise Foreign("gaps.file.empty_list", place=place)
    if not any(beginning(item) == b"{" for item in items):
        raise Foreign("gaps.file.no_objects", place=place)
    first = keys_of(items[0])
    if shape := next((one for one in _SHAPES if one.of_items and one.keys <= first), None):
        yield from shape.read(document)
        document.reading.recognized.add(document.piece.place)
        return
    for index, item in enumerate(items):
        at = f"{place}[{index}]"
        with document.reading.gap_if_unreadable(document.piece, at):
            yield from _document(document.within(at, object_of(item, at)))


def _denied(reading: Reading, source: str, piece: Piece) -> list[Answer]:
    rows = _rows(piece.read())
    refusals = [[row[name] or "" for name in _COLUMNS] for row in rows]
    gaps: Records = [_denial(piece, *refusal) for refusal in refusals if refusal[2] not in NO_POLICY]
    reading.has_read |= bool(gaps)
    answers = [Answer("denied", piece.label, [gaps], source=source)]
    if len(gaps) < len(refusals):
        answers.append(Answer(TAG_POLICY, piece.label, [], state="complete", source=source))
    return answers


def _rows(data: bytes) -> list[dict[str, str]]:
    try:
        text = utf8(data).decode()
        # Some spreadsheets write semicolons or tabs as separators.
        head = text.lstrip().partition("\n")[0]
        separator = next((mark for mark in ";\t" if mark in head), ",")
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
        # Without a line of column names, the first refusal would be taken for this line.
        if text.strip() and not {*_COLUMNS} <= {*(reader.fieldnames or ())}:
            raise Unreadable("gaps.file.no_columns", columns=_COLUMNS)
        return list(reader)
    except (csv.Error, UnicodeDecodeError):
        raise Unreadable("gaps.file.no_csv") from None


def _denial(piece: Piece, operation: str, subject: str, code: str) -> Gap:
    service = re.split("[: ]", operation.strip().removeprefix("aws "), maxsplit=1)[0].lower()
    # A permission may have another prefix than the command: `elasticmapreduce:ListClusters` and `emr list-clusters`.
    labels = {
        (name, one.operation): one.label for one in OPERATIONS for name in (one.service, one.action.partition(":")[0])
    }
    labels |= {(one.service, one.operation): one.label for one in known_owners()}
    name = _api_name(operation)
    operation = labels.get((service, name), name)
    reason = next((reason for part, reason in _REASONS if part in code.lower()), "unreadable")
    named, region = region_in(subject), GLOBAL
    if (operation.startswith("Describe") and operation != TAG_POLICY) or ":" in operation:
        region = named or region_of(piece) or UNKNOWN_REGION
    whom = None if named or subject == ALL else subject or None
    facts = {"code": code or {"message": "gaps.error"}, "operation": operation, "subject": whom, "region": named}
    return Gap(operation, subject or ALL, reason, "gaps.refused_earlier", facts, region)


def _api_name(text: str) -> str:
    # `list-role-tags` and `iam:ListRoleTags` become ListRoleTags.
    plain = _PREFIX.sub("", text.strip(), count=1).split()[-1:] or [""]
    return plain[0] if plain[0][:1].isupper() else "".join(part.capitalize() for part in plain[0].split("-"))
