"""The output of the command line: frames in four formats, and remarks on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

import click

from iamframe.knowledge.operations import ASSUME_ROLE
from iamframe.messages.text import SEVERITIES, escape_controls, pluralize
from iamframe.ui.options import QUIET

if TYPE_CHECKING:
    from pandas import DataFrame

    from iamframe.analysis.compare import Changes
    from iamframe.checks import Result
    from iamframe.inventory.inventory import Inventory

# The columns of tables for people, and their headings.
FINDING_COLUMNS = {"severity": "severity", "check": "check", "account_id": "account"}
FINDING_COLUMNS |= {"resource_name": "name", "detail": "found"}
CHANGE_COLUMNS = {"change": "change", "account_id": "account", "resource_type": "type"}
CHANGE_COLUMNS |= {"resource_name": "name", "detail": "what changed"}
CHECK_COLUMNS = {"severity": "severity", "check": "check", "title": "finds", "needs": "needs"}
SURFACE_COLUMNS = {"surface": "surface", "resource_type": "resource type", "operation": "operation", "answer": "answer"}
SURFACE_COLUMNS |= {"checked_on": "as of", "said": "on what it depends, or how"}


def remark(*groups: Iterable[str]) -> None:
    """Print lines on standard error, unless `--quiet` is given."""
    if not click.get_current_context().meta.get(QUIET):
        for line in (line for group in groups for line in group):
            click.echo(escape_controls(line), err=True)


def emit(frame: DataFrame, form: str, columns: Mapping[str, str] | None = None) -> None:
    """Print a frame: all columns as CSV or JSON, or some columns, under headings, as a table or Markdown."""
    from iamframe.inventory import display, export

    if form == "csv":
        written = export.csv_bytes(frame)
        # A pipe gets bytes, because `echo` removes escape sequences from text. A terminal would obey them.
        lines = written.decode().split("\n") if sys.stdout.isatty() else []
        click.echo("\n".join(map(escape_controls, lines)) or written, nl=False)
    elif form == "json":
        click.echo(export.json_rows(frame))
    else:
        write = display.markdown_table if form == "markdown" else display.text_table
        shown = frame[[*columns]].rename(columns=columns) if columns else frame
        click.echo(write([*shown.columns], display.cell_rows(shown)))


def emit_findings(findings: DataFrame, form: str) -> None:
    """Print findings; as a table, what the details of several in a row have in common once, beneath them."""
    if form != "table":
        emit(findings, form, FINDING_COLUMNS)
        return
    from iamframe.inventory.display import cell_rows, text_rows

    rows = text_rows(cell_rows(findings[[*FINDING_COLUMNS, "accepted"]]))
    for (_, common), group in groupby(rows, key=lambda row: (row[1], row[4].partition(": ")[2])):
        alike = list(group)
        once = common if len(alike) > 1 else ""
        for severity, name, account, resource, detail, accepted in alike:
            said = detail.removesuffix(f": {once}") + (f" (accepted: {accepted})" if accepted else "")
            click.echo(f"{severity:<6}  {name:<26}  {account:<12}  {resource}: {said}")
        if once:
            click.echo(f"        of these {len(alike):,}: {once}")


def emit_changes(changes: Changes, form: str) -> None:
    """Print changes, then changed findings; as JSON also what was not compared."""
    from iamframe.inventory.display import cell_rows, text_rows
    from iamframe.inventory.export import json_rows

    frame = changes.to_frame()
    if form == "json":
        parts = {"changes": changes.changes, "findings": changes.findings, "not_compared": changes.not_compared}
        click.echo("{" + ",\n".join(f'"{name}": {json_rows(part)}' for name, part in parts.items()) + "}")
    elif form != "table":
        emit(frame, form, CHANGE_COLUMNS)
    else:
        columns = ["severity", "account_id", "resource_type", "resource_name", "detail"]
        # Findings follow the changes, in their own order; a change has no severity.
        severity = changes.findings["severity"].set_axis(frame.index[len(changes.changes) :])
        for change, group in frame.assign(severity=severity).groupby("change", sort=False):
            click.echo(f"{str(change).replace('_', ' ')}: {len(group):,}")
            for how, account, kind, name, detail in text_rows(cell_rows(group[columns])):
                click.echo(f"  {how and f'{how:<6}  '}{account:<12}  {kind:<16}  {name}: {detail}")
        remark([f"{changes.said}."])


# Remarks


def size_of(inventory: Inventory) -> str:
    """Return the numbers of accounts, roles and profiles."""
    things = {"accounts": "account", "roles": "role", "profiles": "instance profile"}
    return ", ".join(pluralize(len(inventory.frames[name]), thing) for name, thing in things.items())


def in_one_line(result: Result) -> str:
    """Return the numbers of accounts, roles, profiles, findings by severity, and complete checks."""
    counts = result.findings["severity"][result.findings["accepted"].isna()].value_counts()
    found = ", ".join(f"{counts[s]:,} {s}" for s in SEVERITIES if s in counts) or "none"
    return f"{size_of(result.inventory)}; findings: {found}; {result.said_complete}."


def incomplete(result: Result) -> Iterator[str]:
    """Yield, per check, status and reason, in which accounts it is not complete."""
    from iamframe.checks.result import some

    unsure = result.coverage[result.coverage["status"] != "complete"]
    for name in result.checks:
        rows = unsure[unsure["check"] == name]
        for (status, reason), group in rows.groupby(["status", "reason"], sort=False):
            yield f"{name}: {status} in {some(group['account_id'])}: {reason}"


def expired(result: Result) -> Iterator[str]:
    """Yield a sentence per expired acceptance of the policy; its findings count again."""
    for one in result.policy.acceptances:
        if one.has_expired:
            said = f"the acceptance of {one.check} expired on {one.expires} ({one.reason})"
            yield f"{result.policy.path}: {said}; renew it or remove it"


def unread(inventory: Inventory) -> list[str]:
    """Return unreadable files, contradictions and accounts that failed, ten sentences at most."""
    gaps = inventory.gaps
    gaps = gaps[gaps["reason"].isin(["unreadable", "contradicted", "expired"]) | (gaps["operation"] == ASSUME_ROLE)]
    return _cut([f"not read: {detail}" for detail in gaps["detail"]], 10, "gaps.csv of a report")


def not_compared(changes: Changes) -> list[str]:
    """Return what could not be compared, grouped by reason, twenty sentences at most."""
    from iamframe.checks.result import some

    lines = []
    for reason, rows in changes.not_compared.groupby("reason", sort=False):
        things, accounts = ", ".join(rows["what"].drop_duplicates()), some(rows["account_id"].drop_duplicates())
        lines.append(f"not compared: {things} in {accounts}: {reason}")
    return _cut(lines, 20, "not_compared.csv of --out")


def _cut(lines: list[str], most: int, where: str) -> list[str]:
    return [*lines[:most], *([f"and {len(lines) - most:,} more, all in {where}"] if len(lines) > most else [])]
