"""The functions that print the output of the command line: frames in four formats, and remarks on standard error."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from iamframe.knowledge.operations import ASSUME_ROLE
from iamframe.messages.text import SEVERITIES, escape_controls, pluralize
from iamframe.ui.options import QUIET

if TYPE_CHECKING:
    from pandas import DataFrame

    from iamframe.analysis.compare import Changes
    from iamframe.analysis.drift import Drift
    from iamframe.checks import Result
    from iamframe.checks.tag_policy import Accepted
    from iamframe.inventory.inventory import Inventory

# The columns of tables for people, and their headings.
FINDING_COLUMNS = {"severity": "severity", "check": "check", "account_id": "account", "resource_type": "type"}
FINDING_COLUMNS |= {"resource_name": "name", "detail": "found"}
CHANGE_COLUMNS = {"change": "change", "account_id": "account", "resource_type": "type"}
CHANGE_COLUMNS |= {"resource_name": "name", "detail": "what changed"}
DRIFT_COLUMNS = {"kind": "difference", "account_id": "account", "resource_type": "type", "resource_name": "name"}
DRIFT_COLUMNS |= {"state_address": "address in the state", "detail": "found"}
CHECK_COLUMNS = {"severity": "severity", "check": "check", "title": "what it finds", "needs": "needed data"}
SURFACE_COLUMNS = {"surface": "tool", "resource_type": "resource type", "operation": "operation", "answer": "answer"}
SURFACE_COLUMNS |= {"checked_on": "checked on", "why": "condition or detail"}
# The ends of lines about changed findings.
_SINCE = {
    "was expected": "; in OLD, the finding was expected",
    "was accepted": "; in OLD, the policy file accepted the finding",
    "settled": "; in OLD, the finding was not expected",
    "accepted": "; in OLD, the policy file did not accept the finding",
}
# The owners that are listed if none is close to the given name.
_OWNERS = 10
# The unmanaged resources that a table lists.
_UNMANAGED = 10
# The ids of messages about a region that is not enabled.
_NO_REGION = [f"gaps.region.{name}" for name in ("unknown", "disabled", "rejects", "rejects_session")]


def program() -> str:
    # A virtual environment that is not activated is not on PATH.
    return "iamframe" if shutil.which("iamframe") else shlex.quote(sys.argv[0])


def remark(*groups: Iterable[str]) -> None:
    if click.get_current_context().meta.get(QUIET):
        return
    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else 0
    for line in (escape_controls(line) for group in groups for line in group):
        how: dict[str, Any] = {"subsequent_indent": "    ", "break_long_words": False, "break_on_hyphens": False}
        click.echo("\n".join(wrap(line, width, **how)) if width else line, err=True)


def remark_if_quiet(sentences: Iterable[str]) -> None:
    # With `--quiet`, an empty result could be read as "nothing is wrong".
    if click.get_current_context().meta.get(QUIET):
        for sentence in sentences:
            click.echo(f"{sentence[:1].upper()}{sentence[1:]}.", err=True)


def echo(text: str | bytes, *, nl: bool = True) -> None:
    try:
        click.echo(text, nl=nl)
    except BrokenPipeError:
        # The reader (for example `head`) has closed the pipe. Further output is dropped.
        # The remarks on standard error must still follow: they say which checks are incomplete.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def emit(frame: DataFrame, form: str, columns: Mapping[str, str] | None = None) -> None:
    from iamframe.inventory import display, export

    if form == "csv":
        written = export.csv_bytes(frame)
        # A pipe gets bytes, because `echo` removes escape sequences from text. A terminal would obey the sequences.
        lines = written.decode().split("\n") if sys.stdout.isatty() else []
        echo("\n".join(map(escape_controls, lines)) or written, nl=False)
    elif form == "json":
        echo(export.json_rows(frame))
    else:
        write = display.markdown_table if form == "markdown" else display.text_table
        shown = frame[[*columns]].rename(columns=columns) if columns else frame
        echo(write([*shown.columns], display.cell_rows(shown)))


def emit_findings(findings: DataFrame, form: str) -> None:
    if form != "table":
        emit(_with_notes(findings) if form == "markdown" else findings, form, FINDING_COLUMNS)
        return
    from iamframe.inventory.display import cell_rows, text_rows

    for row in text_rows(cell_rows(_with_notes(findings)[[*FINDING_COLUMNS]])):
        echo(_finding(row))


def _with_notes(findings: DataFrame) -> DataFrame:
    accepted, maker = (findings[name].fillna("") for name in ("accepted", "maker"))
    created = (" (expected, because " + maker + " created it)").where(maker != "", " (expected)")
    notes = created.where(findings["expected"], "").where(accepted == "", " (accepted, reason: " + accepted + ")")
    return findings.assign(detail=findings["detail"] + notes)


def _finding(row: Iterable[str]) -> str:
    severity, check, account, kind, name, detail = row
    return f"{severity:<6}  {check:<26}  {account:<12}  {kind:<16}  {name}: {detail}"


def emit_changes(changes: Changes, form: str) -> None:
    from iamframe.analysis.compare import texts_of_findings
    from iamframe.inventory.display import cell_rows, text_rows
    from iamframe.inventory.export import json_rows
    from iamframe.messages.render import text_of

    frame = changes.to_frame()
    if form == "json":
        parts = {"changes": changes.changes, "findings": changes.findings, "not_compared": changes.not_compared}
        echo("{" + ",\n".join(f'"{name}": {json_rows(part)}' for name, part in parts.items()) + "}")
    elif form == "csv":
        emit(frame, form)
    elif form == "markdown":
        words = {code: text_of(f"changes.kind.{code}") for code in frame["change"].unique()}
        emit(frame.assign(change=frame["change"].map(words)), form, CHANGE_COLUMNS)
    else:
        for change, account, kind, name, detail in text_rows(cell_rows(changes.changes[[*CHANGE_COLUMNS]])):
            echo(f"{change.replace('_', ' '):<13}  {account:<12}  {kind:<16}  {name}: {detail}")
        shown = _with_notes(changes.findings)
        only_accepted = (shown["change"] == "settled") & ~shown["expected"]
        ways = ("was " + shown["before"]).fillna(shown["change"].mask(only_accepted, "accepted"))
        findings = shown.assign(detail=texts_of_findings(shown), since=ways)
        for change, since, *row in text_rows(cell_rows(findings[["change", "since", *FINDING_COLUMNS]])):
            kind = "finding gone" if change == "gone" else f"{change} finding"
            echo(f"{kind:<16}  {_finding(row)}{_SINCE.get(since, '')}")
        remark([f"{changes.sentence}."])


def emit_drift(found: Drift, form: str) -> None:
    from iamframe.inventory.display import cell_rows, text_rows
    from iamframe.messages.render import say

    if form != "table":
        emit(found.differences, form, DRIFT_COLUMNS)
        return
    rows = found.differences[found.differences["kind"] != "unknown"]
    columns = ["account_id", "resource_type", "resource_name", "detail", "state_file", "state_address"]
    several = found.differences["state_file"].nunique() > 1
    for kind, group in rows.groupby("kind", sort=False):
        listed = group.head(_UNMANAGED) if kind == "unmanaged" else group
        for account, of, name, detail, file, address in text_rows(cell_rows(listed[columns])):
            place = f" ({address} in {file})" if address and several else f" ({address})" if address else ""
            echo(f"{say(f'drift.kind.{kind}'):<12}  {account:<12}  {of:<16}  {name}: {detail}{place}")
        if more := len(group) - len(listed):
            echo(f"and {pluralize(more, 'more unmanaged resource')}; --format csv lists all")
    remark([f"{found.sentence}."])


def emit_surfaces(facts: DataFrame, form: str) -> None:
    if form in ("csv", "json"):
        emit(facts, form)
        return
    if form == "markdown":
        emit(facts.assign(why=facts["condition"].fillna(facts["detail"])), form, SURFACE_COLUMNS)
        return
    from iamframe.knowledge.surfaces import ability

    columns = ["surface", "operation", "resource_type", "answer", "condition", "detail", "checked_on"]
    for surface, operation, kind, answer, condition, detail, day in facts[columns].itertuples(index=False, name=None):
        kinds = f"{kind.replace('-', ' ')}s"
        actions = {"find": f"find {kinds} by tag", "read": f"read tags of {kinds}", "write": f"change tags of {kinds}"}
        why = "" if answer == "depends" else f": {detail}"
        echo(f"{ability(surface, answer, actions[operation], condition)}{why}. Checked on {day}.")


# Remarks


def size_of(inventory: Inventory) -> str:
    things = {"accounts": "account", "roles": "role", "profiles": "instance profile"}
    rows = inventory.row_counts()
    return "Collected: " + ", ".join(pluralize(rows[name], thing) for name, thing in things.items())


def in_one_line(result: Result, owners: Sequence[str] = ()) -> str:
    from iamframe.checks.result import attention_in, some, tally_of

    counts, tally, of = result.attention, result.tally, ""
    if owners:
        findings = result.findings[result.findings["owner"].isin(owners)]
        counts, tally, of = attention_in(findings), tally_of(findings), f" owned by {some(map(repr, owners))}"
    total = int(counts.sum())
    verb = "needs" if total == 1 else "need"
    by_severity = ", ".join(f"{counts[name]:,} {name}" for name in SEVERITIES if counts[name])
    by = f" (most severe finding of each: {by_severity})" if by_severity else ""
    said = f"{pluralize(total, 'resource')}{of} {verb} attention{by}"
    marks = {"expected by design": tally["expected"] & tally["accepted"].isna(), "accepted": tally["accepted"].notna()}
    sums = {mark: int(tally["findings"][rows].sum()) for mark, rows in marks.items()}
    of_them = " and ".join(f"{number:,} {mark}" for mark, number in sums.items() if number)
    found = pluralize(int(tally["findings"].sum()), "finding") + (f", including {of_them}" if of_them else "")
    complete = result.complete_text
    return f"{size_of(result.inventory)}. {said}. {found}. {complete[0].upper()}{complete[1:]}."


def incomplete(result: Result) -> Iterator[str]:
    from iamframe.checks.result import some

    unsure = result.coverage[result.coverage["status"] != "complete"]
    # An owner may have findings in any account, so the list is not filtered.
    if len(unsure) and (used := _used("severity", "owner")):
        yield f"all incomplete checks, not limited by {used}:"
    checks = unsure.assign(check=unsure["check"] + " (" + unsure["status"] + ")")
    rows = checks[["account_id", "check", "message", "facts"]].itertuples(index=False, name=None)
    for (names, reasons), accounts in _accounts_by_reasons(rows).items():
        yield f"{', '.join(names)} in {some(accounts)}:"
        yield from (f"    {reason}" for reason in reasons)


def incomplete_names(result: Result) -> Iterator[str]:
    unsure = result.coverage["status"] != "complete"
    if unsure.any():
        names = result.coverage["check"][unsure].unique()
        yield f"incomplete checks: {', '.join(names)}; the report says which data is missing"


def _accounts_by_reasons(
    rows: Iterable[tuple[str, str, str, str]],
) -> dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]]:
    from iamframe.messages.render import by_reason, sentences_of

    return by_reason((account, thing, sentences_of(message, facts)) for account, thing, message, facts in rows)


def not_printed(findings: DataFrame, shown: DataFrame) -> Iterator[str]:
    if left := len(findings) - len(shown):
        used = _used("severity", "owner", "hide_expected")
        yield f"{pluralize(left, 'finding')} not printed, because of {used}"


def _used(*names: str) -> str:
    given = click.get_current_context().params
    return ", ".join(f"--{name.replace('_', '-')}" for name in names if given[name])


def unknown_owners(findings: DataFrame) -> Iterator[str]:
    from iamframe.checks.result import some

    unknown = findings[~findings["owner_known"]]
    if len(unknown):
        which = some(unknown["resource_name"].fillna(unknown["account_id"]) + " (" + unknown["check"] + ")")
        count = pluralize(len(unknown), "finding")
        yield f"the owner of {count} is not certain, because tags were not collected: {which}"


def about_owners(result: Result, owners: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return remarks about owners without findings, and reasons why findings of an owner may be missing."""
    findings = result.findings
    unsure = [*unknown_owners(findings)] if owners else []
    missing = [owner for owner in dict.fromkeys(owners) if not (findings["owner"] == owner).any()]
    if not missing:
        return [], unsure
    from iamframe.analysis.owners import resources_by_owner

    counts, without = resources_by_owner(result), []
    known = sorted({*counts, *findings["owner"].dropna()})
    for owner in missing:
        if number := counts[owner]:
            without.append(f"no finding has the owner {owner!r}; this owner has {pluralize(number, 'resource')}")
        else:
            unsure.append(f"no resource with collected tags has the owner {owner!r}{_closest(owner, known)}")
    return without, unsure


def _closest(owner: str, known: list[str]) -> str:
    if not known:
        return ""
    import difflib

    same = [one for one in known if one.lower() == owner.lower()]
    close = [*dict.fromkeys([*same, *difflib.get_close_matches(owner, known)])][:3]
    shown = close or (known if len(known) <= _OWNERS else known[:3])
    owners = f"owner{'' if len(shown) == 1 else 's'}"
    if close:
        which = f"the closest {owners}"
    else:
        which = f"some of the {len(known):,} owners" if len(known) > len(shown) else f"the {owners}"
    return f"; {which} {'is' if len(shown) == 1 else 'are'} {', '.join(map(repr, shown))}"


def complete_text(result: Result) -> Iterator[str]:
    if (result.coverage["status"] != "complete").any():
        yield result.complete_text


def no_owner(inventory: Inventory, owner_tag: str) -> list[str]:
    from iamframe.checks.owner import OWNER_TAG, owner_keys

    if owner_tag == OWNER_TAG or owner_keys(inventory, owner_tag):
        return []
    return [f"no collected tag has the key {owner_tag!r}, so no owner is known; give another key with --owner-tag"]


def about_policy(result: Result, shown: Result | None = None, *, is_covered: bool = False) -> Iterator[str]:
    """Yield remarks about `[[accepted]]` entries that have expired, or fit no finding despite complete data."""
    # A masked report prints the texts of `shown`.
    shown = shown or result
    if shown.policy.organization and not is_covered:
        from iamframe.checks.result import some

        read = set(shown.inventory.accounts["account_id"][shown.inventory.tag_policies_read])
        if unread := [account for account in shown.inventory.accounts["account_id"] if account not in read]:
            yield (
                f"--policy org: the effective tag policy was not collected for {some(unread)}; "
                "`iamframe check SOURCE --policy org` says why"
            )
    for one, printed in zip(result.policy.acceptances, shown.policy.acceptances, strict=True):
        if not one.has_expired and one.check in result.checks:
            if _is_complete(result, one) and not _has_match(result, one):
                problem = f"the entry for {one.check} with the reason {printed.reason!r} matches no finding"
                yield f"{shown.policy.path}: {problem}; correct or remove this entry"
        elif one.has_expired:
            problem = f"the last day of the entry for {one.check} with the reason {printed.reason!r} was {one.expires}"
            yield f"{shown.policy.path}: {problem}; change the date or remove the entry"


def _has_match(result: Result, one: Accepted) -> bool:
    tally, others = result.tally, result.policy.acceptances
    is_only = sum((other.check, other.reason) == (one.check, one.reason) for other in others) == 1
    if is_only and ((tally["check"] == one.check) & (tally["accepted"] == one.reason)).any():
        return True
    # The reason of a finding is that of the first entry that matches the finding.
    import pyarrow as pa

    columns = ["check", "finding_id", "resource_arn", "related_arn"]
    return any(one.matches(pa.Table.from_pandas(result.findings[columns])).to_pylist())


def _is_complete(result: Result, one: Accepted) -> bool:
    named = re.match("arn:[^:*]*:[^:]*:[^:]*:([^:*]+):", one.resource_arn)
    accounts = {named[1]} if named else {*result.inventory.accounts["account_id"]}
    is_complete = (result.coverage["check"] == one.check) & (result.coverage["status"] == "complete")
    return bool(accounts) and accounts <= {*result.coverage["account_id"][is_complete]}


def not_collected(inventory: Inventory) -> list[str]:
    details: dict[str, None] = {}
    for gaps in inventory.gap_parts():
        is_shown = gaps["reason"].isin(["unreadable", "contradicted", "expired"]) | (gaps["operation"] == ASSUME_ROLE)
        details |= dict.fromkeys(gaps["detail"][is_shown | gaps["message"].isin(_NO_REGION)])
    return _cut([*details], 10, "gaps.csv of a report")


def not_compared(changes: Changes) -> list[str]:
    from iamframe.analysis.matching import WITHOUT_REASONS, in_short
    from iamframe.checks.result import some
    from iamframe.messages.render import by_reason, sentences_of

    def named(things: Sequence[str]) -> str:
        # "findings of the checks" stands once before the names of several checks.
        checks = [thing.removeprefix("findings of the check ") for thing in things]
        is_merged = len(things) > 1 and all(map(str.__ne__, checks, things))
        return f"findings of the checks {', '.join(checks)}" if is_merged else some(things)

    def counted(things: Sequence[str], accounts: Sequence[str], reasons: str) -> str:
        # The numbers are those of one thing in one account.
        is_shared = len(things) > 1 or len(accounts) > 1
        return f"each: {reasons}" if is_shared and re.search(r"\d", reasons) else reasons

    short = in_short(changes.not_compared)[["account_id", "what", "message", "facts"]]
    rows = short.itertuples(index=False, name=None)
    # All reasons of one thing stand in one line.
    reasons = by_reason((account, what, ["; ".join(sentences_of(*reason))]) for account, what, *reason in rows)
    lines = [
        f"incomplete comparison in {some(accounts)}: {named(things)} ({counted(things, accounts, reason)})"
        for (things, (reason,)), accounts in reasons.items()
    ]
    has_none = short.isin([WITHOUT_REASONS]).any(axis=None)
    why = ["`iamframe check SOURCE` prints why a check is incomplete"] if has_none else []
    return [*_cut(lines, 20, "not_compared.csv of --out"), *why]


def not_known(found: Drift) -> list[str]:
    from iamframe.checks.result import some

    unknown = found.differences[found.differences["kind"] == "unknown"]
    lines = []
    for (account, detail), rows in unknown.groupby(["account_id", "detail"], sort=False):
        kinds = rows["resource_type"].str.replace("-", " ")
        names = (kinds + " " + rows["resource_name"]).dropna().drop_duplicates()
        of = f": {some(names)}" if len(names) else ""
        lines.append(f"incomplete comparison in {account}{of} ({detail})")
    why = "the given Terraform states have no roles or instance profiles there"
    left_out = [f"not compared: {some(found.left_out)} ({why})"] if found.left_out else []
    return [*left_out, *_cut(lines, 20, "the output of --format csv")]


def _cut(lines: list[str], most: int, where: str) -> list[str]:
    return [*lines[:most], *([f"and {len(lines) - most:,} more, all in {where}"] if len(lines) > most else [])]
