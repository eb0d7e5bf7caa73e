"""Turn the result of `explain` into text or HTML."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterator
from html import escape
from itertools import groupby
from operator import itemgetter
from typing import Any

import pandas as pd

from iamframe.analysis.explain_pair import ALL_TAGS, SECTIONS, bare_name
from iamframe.inventory import display
from iamframe.knowledge.surfaces import ANSWERS, ability
from iamframe.messages.render import say
from iamframe.messages.text import escape_controls, pluralize

_SHOWN = 10
_BESIDE = 56
# The text of a longer field begins on the next line.
_WIDEST = 40
# The length of a line.
_WIDTH = 118
_KEY = ["account_id", "profile_arn", "role_arn"]
_CELLS = ["section", "field", "profile", "role", "note"]
Cells = tuple[Any, ...]
# This section is long, and the same for most resources, so a page shows it on demand.
_FOLDED = "consoles and tools for tags"
# A blank at which no line ends. Control characters of values are escaped, so no value contains it.
_KEPT = "\0"
# In these sections, consecutive fields with the same content become one line.
_JOINED = ("incomplete checks", "deleting", "next")
_SIDE_BY_SIDE = ("identity", "link", "tags")
# A command that a plan would not run has a reason instead, which begins with these words. They become a heading.
_NOT_OFFERED = say("explain.not_offered", use="")


def _parts(frame: pd.DataFrame) -> Iterator[tuple[str, bool, list[Cells]]]:
    before: list[Cells] = []
    pairs: dict[Cells, list[Cells]] = defaultdict(list)
    for key, cells in zip(display.cell_rows(frame[_KEY]), display.cell_rows(frame[_CELLS]), strict=True):
        account, *arns = key
        if any(arns) and cells[0] in SECTIONS:
            pairs[key].append(cells)
        else:
            is_of_account = account and cells[-1] and not any(arns)
            before.append((cells[0], f"{cells[1]} in account {account}", *cells[2:]) if is_of_account else cells)
    if before:
        yield "", False, before
    for (_, profile, role), rows in list(pairs.items())[:_SHOWN]:
        named = {"instance profile": profile, "role": role}
        heading = " with ".join(f"{kind} {bare_name(arn)}" for kind, arn in named.items() if arn)
        yield heading, bool(profile and role), [*_joined(rows)]
    if (more := len(pairs) - _SHOWN) > 0:
        yield f"and {pluralize(more, 'more pair')}; to_frame() has all of them", False, []


def _joined(rows: list[Cells]) -> Iterator[Cells]:
    for (section, *rest), same in groupby(rows, key=lambda cells: (cells[0], *cells[2:])):
        if section in _JOINED:
            fields, note = dict.fromkeys(str(cells[1]) for cells in same), str(rest[-1])
            if note.startswith(_NOT_OFFERED):
                commands = f"do not {', and do not '.join(fields)}"
                yield _NOT_OFFERED.strip(" :"), commands, *rest[:-1], note.removeprefix(_NOT_OFFERED)
            else:
                yield section, _joint_label(section, list(fields)), *rest[:-1], note
        else:
            yield from same


def _joint_label(section: str, fields: list[str]) -> str:
    checks = [field for field in fields if " " not in field]
    if section == "next" and 0 < len(checks) < len(fields):
        return f"{', '.join(field for field in fields if field not in checks)} (next step for {', '.join(checks)})"
    # Below the heading "next", the bare name of a check would look like the check that a command completes.
    prefix = "next step for " if section == "next" and checks else ""
    return prefix + (" or " if section == "deleting" else ", ").join(fields)


def html_parts(frame: pd.DataFrame) -> Iterator[str]:
    for heading, _, rows in _parts(frame):
        if not rows:
            yield display.html_line(heading)
            continue
        if heading:
            yield f"<h4 class='{display.NO_MATH}'>{escape(heading)}</h4>"
        for is_folded, part in groupby(rows, key=lambda cells: cells[0] == _FOLDED):
            lines, last = [], None
            for section, field, *sides, note in part:
                lines.append((section if section != last else None, field, *(sides if any(sides) else ()), note))
                last = section
            table = display.html_table(("", "", "instance profile", "role", "note"), lines)
            yield f"<details><summary>{_FOLDED}</summary>{table}</details>" if is_folded else table


def text_lines(frame: pd.DataFrame) -> Iterator[str]:
    for at, (heading, has_both, rows) in enumerate(_parts(frame)):
        if at:
            yield ""
        if heading:
            yield f"== {escape_controls(heading)} ==" if rows else heading
        shown = [_with_quotes(*row) if row[0] == "tags" and row[1] != ALL_TAGS else row for row in rows]
        for section, fields in groupby(display.text_rows(shown), key=itemgetter(0)):
            yield from ("", *_section_lines(section, list(fields), has_both and section in _SIDE_BY_SIDE))


def _with_quotes(section: str, field: str, profile: Any, role: Any, note: Any) -> Cells:
    # Without quotes, an empty tag value would look like a missing tag, and a value like `it` like a word.
    profile, role = (value if value is None else f'"{value}"' for value in (profile, role))
    if profile == role and not note:
        return section, field, profile, None, "on the profile and the role"
    return section, field, profile, role, note


def _section_lines(section: str, rows: list[list[str]], two: bool) -> Iterator[str]:
    yield section
    if section == _FOLDED:
        for surface, operations, profile, role, note in _by_surface(rows):
            yield from _wrapped(f"  {_ability(surface, operations, note, profile=profile, role=role)}", "    ")
        return
    rows = [
        [section, _with_side(field, *cells) if section == "identity" and two else field, *cells]
        for section, field, *cells in rows
    ]
    width = max((len(row[1]) for row in rows if len(row[1]) <= _WIDEST), default=20)
    beside = max((len(row[2]) for row in rows if len(row[2]) <= _BESIDE), default=0)
    indent = " " * (width + 5)
    for _, field, profile, role, note in rows:
        cells = [*filter(None, (profile, role))]
        if section == "uses":
            cells = [f"uses {cell}" for cell in cells]
        if len(cells) > 1:
            cells = [f"{side}{_KEPT}={_KEPT}{cell}" for side, cell in (("profile", profile), ("role", role))]
        label = f"{field}:" if cells or note else field
        if len(label) > width + 1:
            yield f"  {label}"
        line = indent if len(label) > width + 1 else f"  {label:<{width + 1}}  "
        values = " | ".join([f"{cells[0]:<{beside + len('profile = ')}}", *cells[1:]] if cells[1:] else cells)
        joint = f"{values}; {note}" if cells[1:] else f"{values} ({note})"
        short = f"{line}{joint}" if cells and note else f"{line}{values or note}".rstrip()
        # A command stays on one line, so that it can be copied. A long value or note is on a line of its own.
        beneath = f"({note})" if note else ""
        lines = (
            [*([cells[0], *(f"| {cell}" for cell in cells[1:])] if len(line + values) > _WIDTH else [values]), beneath]
            if cells and len(short) > _WIDTH
            else []
        )
        lines = [(indent if at else line) + one for at, one in enumerate(filter(None, lines))] or [short]
        lines = lines if section == "next" else [part for one in lines for part in _wrapped(one, indent)]
        yield from (one.replace(_KEPT, " ") for one in lines)


def _with_side(field: str, profile: str, role: str, note: str) -> str:
    side = "role" if role else "profile"
    if bool(profile) == bool(role) or f"the {side}" in note:
        return field
    name, bracket, unit = field.partition(" (")
    return f"{name} of the {side}{bracket}{unit}"


def _by_surface(rows: list[list[str]]) -> Iterator[tuple[str, list[str], str, str, str]]:
    # Operations of one surface with the same answers share a sentence.
    operations: dict[tuple[str, ...], list[str]] = {}
    for _, field, *cells in rows:
        surface, _, operation = field.removesuffix(" tags").rpartition(": ")
        operations.setdefault((surface, *cells), []).append(operation)
    for (surface, profile, role, note), names in operations.items():
        yield surface, names, profile, role, note


def _ability(surface: str, operations: list[str], note: str, **answers: str) -> str:
    sides: dict[str, list[str]] = {answer: [] for answer in ANSWERS}
    for side, answer in answers.items():
        sides.get(answer, []).append(f"the {side}")
    either, both = " or ".join(operations), " and ".join(operations)
    joint = {"no": " or of ", "unknown": " or of "}
    groups = [(answer, joint.get(answer, " and of ").join(of)) for answer, of in sides.items() if of]
    (first, of), *others = groups
    line = ability(surface, first, f"{either if first in joint else both} tags of {of}", note)
    more = {
        "no": ", but not of {}",
        "depends": f"; you can {both} tags of {{}}, but {note}",
        "unknown": f"; whether you can {either} tags of {{}} is unknown",
    }
    return line + "".join(more[answer].format(of) for answer, of in others)


def _wrapped(line: str, indent: str) -> list[str]:
    return textwrap.wrap(line, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
