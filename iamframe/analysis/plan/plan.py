"""From findings to a clean-up that somebody reviews and runs: a shell script of AWS CLI calls, and a CSV of it.

iamframe never runs it, and never deletes a role.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from iamframe.analysis.plan import deletions as deleting
from iamframe.analysis.plan import tags as tagging
from iamframe.analysis.plan.commands import Block
from iamframe.analysis.plan.deletions import Finding
from iamframe.analysis.plan.resources import Facts, read_age, stamp
from iamframe.analysis.plan.script import render_script
from iamframe.checks import CHECKS
from iamframe.checks.result import Result
from iamframe.errors import ReportError, require
from iamframe.inventory import display, schema
from iamframe.inventory.arrow import as_arrow
from iamframe.messages.text import pluralize

__all__ = ["Plan", "plan"]


@schema.shows(schema.STEPS, schema.NOT_PLANNED)
@dataclass(frozen=True)
class Plan:
    """A clean-up: `steps` in the order in which `script` does them, and what is `not_planned`, with the reason.

    `steps` has one row per command: `check` reads and stops what follows for that resource unless it is as it was read;
    `remove-role`, `delete` and `tag` write. Columns: `iamframe.schema.STEPS` and `NOT_PLANNED`.
    """

    steps: pd.DataFrame
    not_planned: pd.DataFrame
    script: str

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the script, and beside it the steps and what is not planned as CSV; return the script's path.

        `cleanup.sh` comes with `cleanup.csv` and `cleanup.not-planned.csv`. All are written aside and moved into place
        when they are whole. The CSV files are for people: guarded against formulas, so run the script and not them.
        Another plan is never written over: when it has run, its files are the only record of how to take it back.

        Raises
        ------
        ReportError
            If another plan is there, or one of the files cannot be written.
        """
        # The page's parts are loaded only by who writes.
        from iamframe.inventory.export import move_in, write_csv

        place = Path(path)
        stem = place.name.removesuffix(".sh")
        if place.suffix == ".csv" or not stem:
            raise ReportError(f"{place}: is no name for a script, beside which its CSV files stand; name a .sh file")
        script = self.script.encode()
        try:
            if place.exists() and place.read_bytes() != script:
                raise ReportError(
                    f"{place}: is there, and may be the only record of how to undo another plan; "
                    "name another file, or delete it"
                )
            place.parent.mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(prefix=".plan-", dir=place.parent))
        except OSError as error:
            raise ReportError(f"{place}: cannot be written ({error.strerror}); name another file with --out") from error
        try:
            (aside / place.name).write_bytes(script)
            (aside / place.name).chmod(0o755)
            write_csv(self.steps, aside / f"{stem}.csv")
            write_csv(self.not_planned, aside / f"{stem}.not-planned.csv")
            move_in(aside, place.parent)
        except OSError as error:
            raise ReportError(
                f"{place}: could not be written ({error.strerror}); the files there are as they were"
            ) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return place

    def __repr__(self) -> str:
        """Return what is planned and how much is not, in one line."""
        return f"Plan({self._said()})"

    def _said(self) -> str:
        actions = self.steps["action"].value_counts()
        deleted, tagged = (pluralize(int(actions.get(name, 0)), what) for name, what in _WRITTEN.items())
        return f"{deleted} to delete, {tagged} to tag; {pluralize(len(self.not_planned), 'finding')} not planned"

    def _repr_html_(self) -> str:
        """Return what is planned, the first commands, and why findings are not planned, as a notebook shows it."""
        parts = [display.html_line(f"{self._said()}.")]
        for frame, columns, where in (
            (self.steps, ["step", "account_id", "resource_name", "action", "command"], ".steps"),
            (self.not_planned, ["check", "account_id", "resource_name", "reason"], ".not_planned"),
        ):
            if len(frame):
                parts.append(display.html_frame(frame[columns].head(_SHOWN), len(frame), where))
        return "".join(parts)


_SHOWN = 20
_WRITTEN = {"delete": "profile", "tag": "resource"}


def plan(
    result: Result, *, min_age: timedelta | str = timedelta(days=1), min_idle: timedelta | str = timedelta(days=90)
) -> Plan:
    """Return a clean-up of what was found, to be reviewed and run by somebody else: nothing is asked of AWS here.

    Planned are empty and unreferenced profiles (the role taken out, then the profile deleted; roles stay) and tags that
    are missing or differ, where the other side of the link tells the value. Each of these findings is either among the
    steps or in `not_planned` with the reason: accepted or meant so; use unknown; made less than `min_age` before it was
    read; its role used less than `min_idle` before; managed by AWS; made by what will make it again or want it back;
    tags that a service needs; no value known. Where role and profile have different values of a tag, the role's counts,
    unless the policy forbids it; `why` says so.

    Parameters
    ----------
    result
        What `run_checks` returned.
    min_age, min_idle
        As `timedelta`, or as text: days or hours, such as "1d", "12h" or "0".

    Returns
    -------
    Plan
        `steps`, one row per command, in the order of the script: by account, tags first; `not_planned`, one row per
        finding, in the order of the findings; `script`.

    Raises
    ------
    PlanError
        If an age is none, or below zero.
    WrongObjectError
        If it is given anything but a result.
    """
    require("plan", result, Result, instead="what `iamframe.run_checks` gives")
    now = datetime.now(UTC)
    facts = Facts(result, read_age(min_age, "min_age: "), read_age(min_idle, "min_idle: "), now)
    findings = result.findings[result.findings["check"].isin(_planned())].reset_index(drop=True)
    left = _meant_so(findings)
    every = [
        Finding(*cells)
        for cells in zip(
            range(len(findings)), *(as_arrow(findings[name]).to_pylist() for name in Finding._fields[1:]), strict=True
        )
    ]
    wanted = [one for one in every if one.row not in left]
    deletions, more = deleting.deletions([one for one in wanted if one.remedy == "delete"], facts)
    left |= more
    deleted = {block.steps[0].resource.arn: number for number, block in enumerate(deletions)}
    # What a profile's tags lack goes with the profile.
    gone = [one for one in every if one.remedy != "delete" and one.resource_arn in deleted]
    deletions = _with_more(deletions, deleted, gone)
    for one in gone:
        left.pop(one.row, None)
    tags = [one for one in wanted if one.remedy != "delete" and one.resource_arn not in deleted]
    blocks, more = tagging.taggings(tags, set(deleted), facts)
    left |= more
    ordered = sorted([*blocks, *deletions], key=lambda block: block.account_id)
    not_planned = findings.iloc[sorted(left)].assign(reason=[left[row] for row in sorted(left)])
    script = render_script(ordered, facts.accounts, _told(not_planned), _unseen(result), stamp(now))
    return Plan(_steps(ordered), schema.NOT_PLANNED.conform(not_planned), script)


def _planned() -> list[str]:
    """Return the checks whose findings a plan settles."""
    return [name for name, one in CHECKS.items() if one.remedy]


def _meant_so(findings: pd.DataFrame) -> dict[int, str]:
    said = ("accepted: " + findings["accepted"]).fillna(
        (findings["maker"].fillna("its maker") + " makes it so").where(findings["expected"])
    )
    return {row: reason for row, reason in enumerate(as_arrow(said).to_pylist()) if reason is not None}


def _with_more(blocks: list[Block], deleted: dict[str, int], gone: list[Finding]) -> list[Block]:
    more: dict[int, set[str]] = {}
    for one in gone:
        more.setdefault(deleted[one.resource_arn], set()).add(one.check)
    return [
        replace(block, checks=" ".join([block.checks, *sorted(more.get(number, ()))]))
        for number, block in enumerate(blocks)
    ]


def _steps(blocks: list[Block]) -> pd.DataFrame:
    rows: dict[str, list[object]] = {name: [] for name in schema.STEPS.names}
    for block in blocks:
        for step in block.steps:
            rows["step"].append(len(rows["step"]) + 1)
            for name, value in (
                ("account_id", block.account_id),
                ("checks", block.checks),
                ("resource_type", step.resource.kind),
                ("resource_name", step.resource.name),
                ("resource_arn", step.resource.arn),
                ("related_arn", block.related_arn),
                ("action", step.action),
                ("command", step.command),
                ("why", block.why),
                ("rests_on", block.rests_on),
                ("undo", step.undo),
                ("cannot_undo", step.cannot_undo),
            ):
                rows[name].append(value)
    return schema.STEPS.conform(rows)


def _told(not_planned: pd.DataFrame) -> list[str]:
    columns = [not_planned[name].fillna("") for name in ("account_id", "check", "resource_name", "reason")]
    return [f"{account}: {check}: {name}: {reason}" for account, check, name, reason in zip(*columns, strict=True)]


def _unseen(result: Result) -> list[str]:
    coverage = result.coverage
    asked = [name for name in result.asked if name in _planned()]
    coverage = coverage[coverage["check"].isin(asked) & (coverage["status"] != "complete")]
    columns = [coverage[name] for name in ("account_id", "check", "status", "reason")]
    return [f"{account}: {check}: {status}: {reason}" for account, check, status, reason in zip(*columns, strict=True)]
