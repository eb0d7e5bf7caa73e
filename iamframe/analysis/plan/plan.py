"""Clean-up plans: a shell script, a frame of its steps, and a frame of the findings without steps.

iamframe never runs the script.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from iamframe.analysis.plan.actions import STATE_QUERIES, Block, deletion, deletion_objections, tagging
from iamframe.analysis.plan.reads import functions
from iamframe.analysis.plan.resources import AccountFacts, Context, Finding, ProfileFacts, read_age, stamp
from iamframe.checks import CHECKS
from iamframe.checks.orphans import MIN_AGE
from iamframe.checks.result import Result
from iamframe.errors import ReportError, require
from iamframe.inventory import display, schema
from iamframe.messages.render import Message, columns_of, render, say
from iamframe.messages.text import escape_controls, pluralize
from iamframe.sources.scripts import render_template
from iamframe.version import __version__


@schema.shows(schema.STEPS, schema.NOT_PLANNED)
@dataclass(frozen=True)
class Plan:
    """A clean-up plan: the script, its steps, and the findings that the plan leaves alone.

    The frame `steps` has one row per command, in script order. A step with the action `check` reads AWS again. If
    something has changed since the load, or cannot be read, the script skips the profile's remaining steps. The
    actions `remove-role`, `delete` and `tag` change a profile. The frame `not_planned` lists findings that a plan could
    settle, but for which this plan has no steps, and says why.
    """

    steps: pd.DataFrame
    not_planned: pd.DataFrame
    script: str

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the script and two CSV files, and return the script's path.

        For a script `cleanup.sh`, the frame `steps` is in `cleanup.csv`. The frame `not_planned` is in
        `cleanup.not-planned.csv`. The script and the two CSV files appear only after all three files are complete. Run
        the script, not the commands in the CSV files. An older plan is never overwritten. Keep the files: a later plan
        does not show how to undo the steps of this plan.

        Raises
        ------
        ReportError
            If one of the files already exists and does not belong to the same plan, or if a file cannot be written.
        """
        # Loaded only here, because it takes long.
        from iamframe.inventory.export import write_csv, write_into
        from iamframe.inventory.places import local_path

        place, script = local_path("Plan.write", path), self.script.encode()
        stem = place.name.removesuffix(".sh")
        if place.suffix == ".csv" or not stem:
            raise ReportError(f"{place}: is no name for a script, beside which its CSV files stand; name a .sh file")
        frames = {f"{stem}.csv": self.steps, f"{stem}.not-planned.csv": self.not_planned}
        try:
            is_written = place.exists() and place.read_bytes() == script
        except OSError as error:
            raise ReportError(f"{place}: cannot be read ({error.strerror}); choose another file with --out") from error
        files = (place, *map(place.with_name, frames))
        if others := [one for one in files if one.exists() and not is_written]:
            raise ReportError(
                f"{others[0]}: exists, and may be the only record of how to undo another plan; "
                "choose another file, or delete this one"
            )

        def write(folder: Path) -> None:
            (folder / place.name).write_bytes(script)
            (folder / place.name).chmod(0o755)
            for name, frame in frames.items():
                write_csv(frame, folder / name)

        write_into(place.parent, write)
        return place

    def __repr__(self) -> str:
        return f"Plan({self.in_one_line})"

    @property
    def in_one_line(self) -> str:
        """The numbers of profiles to delete, profiles to tag, and findings in `not_planned`."""
        actions = self.steps["action"].value_counts()
        deleted, tagged = (pluralize(int(actions.get(name, 0)), "profile") for name in ("delete", "tag"))
        return f"{deleted} to delete, {tagged} to tag, {pluralize(len(self.not_planned), 'finding')} without steps"

    def _repr_html_(self) -> str:
        parts = [display.html_line(f"{self.in_one_line}.")]
        for frame, columns, where in (
            (self.steps, ["step", "account_id", "resource_name", "action", "command"], ".steps"),
            (self.not_planned, ["check", "account_id", "resource_name", "reason"], ".not_planned"),
        ):
            if len(frame):
                parts.append(display.html_frame(frame[columns].head(_SHOWN), len(frame), where))
        return "".join(parts)


_SHOWN = 20
_MIN_IDLE = timedelta(days=90)
# The checks whose findings a plan can settle.
_PLANNED = [name for name, one in CHECKS.items() if one.remedy]


def plan(result: Result, *, min_age: timedelta | str = MIN_AGE, min_idle: timedelta | str = _MIN_IDLE) -> Plan:
    """Return a clean-up plan: a script that you review and run. `plan` reads only the result, not the account.

    The script deletes profiles that hold no role, profiles without a known use, and profiles whose cluster, environment
    or stack is gone. Before the script deletes a profile, it takes the role out of the profile. The script never
    deletes or tags a role. The script copies missing or different tags from a role to its profile. If the script
    replaces a tag value, the column `why` of the frame `steps` shows both values.

    In the following cases, the plan does not delete a profile:

    - if your policy file accepts a finding that recommends the deletion;
    - if all findings that recommend the deletion are expected (column `expected` of `findings`);
    - if something uses the profile, or may use it;
    - if the profile was younger than `min_age` when the data was collected;
    - if the last use of the role was less than `min_idle` before the data was collected;
    - if `min_age` is above zero, and the age of the profile is unknown;
    - if `min_idle` is above zero, and it is unknown when the role was last used;
    - if a service or tool needs the profile or would create it again, unless the profile belongs to a deleted EKS
      cluster;
    - if AWS manages the role, or if the cluster, environment or stack of the profile still exists;
    - if the tags or unique id of the profile, or the unique id of its role, is unknown.

    In the following cases, an untagged profile gets no tags, and a tagged profile gets only tags that your policy file
    or the organization's tag policy requires:

    - if a service or tool recognizes its own resources by a tag of the role or profile;
    - if the profile has a tag that the role lacks;
    - if the profile has a tag whose key differs only in case from the key of a tag to copy;
    - if your policy file or the account's effective tag policy forbids a value that would be copied.

    Parameters
    ----------
    result
        The `Result` of `run_checks`.
    min_age, min_idle
        A `timedelta`, or a text such as "1d" (days), "12h" (hours) or "0".

    Returns
    -------
    Plan
        `script` is the text to run. The frame `steps` has one row per command, sorted by account. In each account, tags
        come before deletions. The frame `not_planned` shows why some findings have no steps.

    Raises
    ------
    PlanError
        If `min_age` or `min_idle` cannot be parsed, or is below zero.
    WrongObjectError
        If `result` is not a `Result`.
    """
    require("plan", result, Result, instead="what `iamframe.run_checks` gives")
    now, ages = datetime.now(UTC), (read_age(min_age, "min_age: "), read_age(min_idle, "min_idle: "))
    blocks: list[Block] = []
    accounts: dict[str, AccountFacts] = {}
    frames, unchecked = [], []
    for part in result.parts(neighbours=True):
        context = Context(part, *ages, now)
        planned, not_planned = _planned(part, context)
        blocks += planned
        # A script needs the facts of an account only if it has steps there.
        accounts |= {block.profile.account_id: context.accounts[block.profile.account_id] for block in planned}
        frames.append(not_planned)
        coverage = part.coverage[part.coverage["check"].isin(_PLANNED) & part.coverage["check"].isin(part.asked)]
        unchecked += _lines(coverage[coverage["status"] != "complete"], "check", "status")
    blocks.sort(key=lambda block: (block.profile.account_id, block.deletes))
    not_planned = pd.concat(frames, ignore_index=True)
    # A bare name such as `reporting` would look like a word of the sentence.
    named = not_planned["resource_type"].str.replace("-", " ") + " '" + not_planned["resource_name"] + "'"
    left_out = {
        "Incomplete checks": unchecked,
        "Findings without steps": _lines(not_planned.assign(resource=named), "resource", "check"),
    }
    return Plan(_steps(blocks), not_planned, _script(blocks, accounts, left_out, stamp(now)))


def _planned(result: Result, context: Context) -> tuple[list[Block], pd.DataFrame]:
    findings, by_resource = _plannable_findings(result)
    profiles = context.profiles(by_resource)
    blocks: list[Block] = []
    not_planned: dict[Finding, Message] = {}
    for arn, found in by_resource.items():
        block, reasons = _settled(found, profiles.get(arn), context)
        blocks += [block] if block else []
        not_planned |= reasons
    rows = sorted(not_planned, key=lambda one: one.row)
    message, facts = columns_of(not_planned[one] for one in rows)
    columns = {"message": message, "facts": facts, "reason": render(message, facts)}
    return blocks, schema.NOT_PLANNED.conform({**findings.iloc[[one.row for one in rows]], **columns})


def _plannable_findings(result: Result) -> tuple[pd.DataFrame, dict[str, list[Finding]]]:
    frame = result.findings[result.findings["check"].isin(_PLANNED)].reset_index(drop=True)
    by_resource: dict[str, list[Finding]] = {}
    for one in map(Finding._make, frame[[*Finding._fields[1:]]].itertuples()):
        by_resource.setdefault(one.resource_arn, []).append(one)
    return frame, by_resource


def why_not_planned(
    result: Result, arns: Iterable[str]
) -> tuple[dict[str, Message | None], dict[tuple[str, str], Message]]:
    """Return why a plan with default options would not delete a profile, and why it would not copy tags to it.

    The first dictionary has a reason for each profile ARN, or None if a plan could delete the profile.
    """
    context, (_, by_resource) = Context(result, MIN_AGE, _MIN_IDLE, datetime.now(UTC)), _plannable_findings(result)
    kept: dict[str, Message | None] = {}
    untagged: dict[tuple[str, str], Message] = {}
    for arn, profile in context.profiles(arns).items():
        findings = by_resource.get(arn, [])
        found: list[Finding | None] = [one for one in findings if one.remedy == "delete"]
        each = [(one and one.why_kept) or _why_not_deleted(one, findings, profile, context) for one in found or [None]]
        kept[arn] = None if None in each else each[0]
        about_tags = [one for one in findings if one.remedy != "delete"]
        _, reasons = tagging([one for one in about_tags if not one.why_kept], profile, context)
        reasons |= {one: why for one in about_tags if (why := one.why_kept)}
        untagged |= {(arn, one.check): why for one, why in reasons.items()}
    return kept, untagged


def _settled(
    findings: list[Finding], profile: ProfileFacts | None, context: Context
) -> tuple[Block | None, dict[Finding, Message]]:
    not_planned = {one: why for one in findings if (why := one.why_kept)}
    about_tags = []
    for one in findings:
        if one in not_planned:
            continue
        if profile is None:
            not_planned[one] = {"message": "plan.tags.of_role"}
        elif one.remedy != "delete":
            about_tags.append(one)
        elif objection := _why_not_deleted(one, findings, profile, context):
            not_planned[one] = objection
        else:
            return deletion(one, findings, profile, context), {}
    if profile is None or not about_tags:
        return None, not_planned
    block, reasons = tagging(about_tags, profile, context)
    return block, not_planned | reasons


def _why_not_deleted(
    finding: Finding | None, findings: list[Finding], profile: ProfileFacts, context: Context
) -> Message | None:
    for one in findings:
        if one.remedy == "delete" and isinstance(one.accepted, str):
            return {"message": "plan.accepted_too", "check": one.check, "reason": one.accepted}
    return context.accepted(profile) or next(deletion_objections(finding, profile, context), None)


def _steps(blocks: list[Block]) -> pd.DataFrame:
    rows = [
        {
            "account_id": block.profile.account_id,
            "checks": " ".join(block.checks),
            "resource_type": step.resource.kind,
            "resource_name": step.resource.name,
            "resource_arn": step.resource.arn,
            "related_arn": block.profile.role.arn if block.deletes and block.profile.role else None,
            "action": step.action,
            "command": step.command,
            "why": _sentence(block.why + block.notes),
            "rests_on": _sentence(block.rests_on),
            "undo": step.undo,
            "cannot_undo": _sentence([step.cannot_undo]) if step.cannot_undo else None,
        }
        for block in blocks
        for step in block.steps
    ]
    return schema.STEPS.conform(pd.DataFrame(rows).assign(step=range(1, len(rows) + 1)))


def _lines(frame: pd.DataFrame, what: str, how: str) -> list[str]:
    columns = (frame[name].fillna("") for name in (what, how, "account_id", "reason"))
    return [f"{cells[0]} ({cells[1]}) in {cells[2]}: {cells[3]}" for cells in zip(*columns, strict=True)]


def _script(blocks: list[Block], accounts: dict[str, AccountFacts], left_out: dict[str, list[str]], made: str) -> str:
    """Return a POSIX shell script in which every value is one shell word."""
    by_account: dict[str, list[tuple[str, Block]]] = {}
    last = 0
    for block in blocks:
        # The same numbers as in the frame `steps`.
        first, last = last + 1, last + len(block.steps)
        by_account.setdefault(block.profile.account_id, []).append((f"{first} to {last}", block))
    return render_template(
        "iamframe.analysis.plan",
        "cleanup.sh.j2",
        version=__version__,
        made=made,
        accounts=[(accounts[account], _to_do(numbered), numbered) for account, numbered in by_account.items()],
        state_queries=STATE_QUERIES,
        # A script that only changes tags has no functions for deletions.
        last_look=functions() if any(block.deletes for block in blocks) else "",
        left_out=left_out,
        # Every comment is one line.
        line=escape_controls,
        sentence=_sentence,
    )


def _to_do(numbered: list[tuple[str, Block]]) -> str:
    deleted = sum(block.deletes for _, block in numbered)
    counts = (("delete", deleted), ("tag", len(numbered) - deleted))
    return ", ".join(f"{pluralize(count, 'profile')} to {verb}" for verb, count in counts if count)


def _sentence(messages: list[Message]) -> str:
    return say("list.messages", messages=messages)
