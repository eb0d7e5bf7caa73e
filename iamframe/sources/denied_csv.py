"""`denied.csv` of the collect script: the requests that AWS refused while the files were collected."""

from __future__ import annotations

import csv
import io
import re

from iamframe.knowledge.operations import ALL, GLOBAL, TAG_POLICY, UNKNOWN_REGION, region_in
from iamframe.knowledge.owners import known_owners
from iamframe.sources.archives import Piece, Unreadable
from iamframe.sources.documents import utf8
from iamframe.sources.reading import Reading, Records, region_of
from iamframe.sources.records import Answer, Gap
from iamframe.sources.tag_policies import NO_POLICY

_COLUMNS = ("operation", "subject", "error_code")
_PREFIXES = re.compile(r"(?:iam|ec2|autoscaling|sts|organizations|tag):", re.IGNORECASE)
# A part of an error code, and the reason of the gap.
_REASONS = (
    ("denied", "denied"),
    ("unauthorized", "denied"),
    ("throttl", "throttled"),
    ("expired", "expired"),
    ("nosuchentity", "vanished"),
    ("notfound", "vanished"),
)


def read_denied(reading: Reading, source: str, piece: Piece) -> list[Answer]:
    """Return an answer with one gap per refused request.

    Some error codes mean that no tag policy applies to the account. If the file has such a code, a second answer
    records this fact.

    Raises
    ------
    Unreadable
        If the file is not CSV, or lacks a required column.
    """
    rows = _rows(piece.read())
    if rows and not rows[0].keys() >= set(_COLUMNS):
        raise Unreadable("gaps.file.no_columns", columns=_COLUMNS)
    told = [tuple(row[name] or "" for name in _COLUMNS) for row in rows]
    gaps: Records = [_gap(piece, *one) for one in told if one[2] not in NO_POLICY]
    reading.has_read |= bool(gaps)
    answers = [Answer("denied", piece.label, [gaps] if gaps else [], source=source)]
    if len(gaps) < len(told):
        answers.append(Answer(TAG_POLICY, piece.label, [], state="complete", source=source))
    return answers


def _rows(data: bytes) -> list[dict[str, str]]:
    try:
        text = utf8(data).decode()
        # Some spreadsheets write semicolons or tabs as separators.
        head = text.lstrip().partition("\n")[0]
        separator = next((mark for mark in ";\t" if mark in head), ",")
        return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))
    except (csv.Error, UnicodeDecodeError):
        raise Unreadable("gaps.file.no_csv") from None


def _gap(piece: Piece, operation: str, subject: str, code: str) -> Gap:
    service, operation = operation.partition(" ")[0].lower(), _api_name(operation)
    of_owners = {(one.service, one.operation): one.label for one in known_owners()}
    operation = of_owners.get((service, operation), operation)
    reason = next((reason for part, reason in _REASONS if part in code.lower()), "unreadable")
    region = GLOBAL
    if (operation.startswith("Describe") and operation != TAG_POLICY) or operation in of_owners.values():
        region = region_in(subject) or region_of(piece) or UNKNOWN_REGION
    where = region_in(subject)
    whom = None if where or subject == ALL else subject or None
    facts = {"code": code or {"message": "gaps.error"}, "operation": operation, "subject": whom, "region": where}
    return Gap(operation, subject or ALL, reason, "gaps.refused_earlier", facts, region)


def _api_name(text: str) -> str:
    """Return the API's name of an operation. The file may have it as `list-role-tags` or `iam:ListRoleTags`."""
    plain = _PREFIXES.sub("", text.strip()).split()[-1:] or [""]
    return plain[0] if plain[0][:1].isupper() else "".join(part.capitalize() for part in plain[0].split("-"))
