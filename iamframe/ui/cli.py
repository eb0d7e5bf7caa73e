"""The command line: one function per command, and how what they answer is printed."""

from __future__ import annotations

import gc
import io
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iamframe.errors import IamframeError, SourceError
from iamframe.knowledge.operations import ASSUME_ROLE
from iamframe.messages.text import SEVERITIES, escape_controls
from iamframe.version import __version__

if TYPE_CHECKING:
    from pandas import DataFrame

    from iamframe.analysis.compare import Changes
    from iamframe.checks import Result
    from iamframe.inventory.inventory import Inventory

DONE, FOUND, REFUSED, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130
FORMATS = ("table", "csv", "json", "markdown")
# The columns of a table for people, and their heads.
_FINDINGS = {"severity": "severity", "check": "check", "account_id": "account"}
_FINDINGS |= {"resource_name": "name", "detail": "found"}
_CHANGES = {"change": "change", "account_id": "account", "resource_type": "type"}
_CHANGES |= {"resource_name": "name", "detail": "what changed"}
_CHECKS = {"severity": "severity", "check": "check", "title": "finds", "needs": "needs"}
_SURFACES = {"surface": "surface", "resource_type": "resource type", "operation": "operation", "answer": "answer"}
_SURFACES |= {"checked_on": "as of", "said": "on what it depends, or how"}


def _folder(name: str) -> Path:
    # An empty name, as of a variable that is not set, would be the folder that one is in.
    if not name:
        raise click.BadParameter("is empty; name a folder")
    return Path(name)


_policy = click.option("--policy", type=Path, metavar="FILE", help="A tag policy (TOML).")
_own = click.option(
    "--checks",
    "own",
    multiple=True,
    metavar="FILE",
    help="Run checks of your own too (a Python file); may be repeated.",
)
_LIVE: tuple[Callable[[Any], Any], ...] = (
    click.option("--regions", metavar="LIST", help="Regions to look in, comma-separated, or all (the default)."),
    click.option(
        "--references",
        type=click.Choice(("all", "core", "none")),
        help="Whom to ask what uses profiles: all that may (the default), EC2 and Auto Scaling (core), or nobody.",
    ),
    click.option("--accounts", metavar="FILE|org", help="Many accounts: of a CSV file, or of the organisation."),
    click.option("--assume-role", metavar="NAME", help="The role to assume in each account; its ARN for a single one."),
    click.option("--external-id", metavar="ID", help="The external id that the role asks for."),
    click.option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Requests a second at most."),
    click.option("--role-details", is_flag=True, help="Read descriptions and session lengths of roles too."),
    click.option("--tag-index", is_flag=True, help="Read tags from the tagging API first, which is fast and lags."),
)


def _live(command: Any) -> Any:
    """Add the options of a live source."""
    for option in reversed(_LIVE):
        command = option(command)
    return command


def _asked(
    regions: str | None,
    references: str | None,
    accounts: str | None,
    assume_role: str | None,
    external_id: str | None,
    rate: float | None,
    role_details: bool,
    tag_index: bool,
) -> dict[str, Any]:
    """Return the options of a live source that were given, as `load` takes them."""
    texts = {"--regions": regions, "--accounts": accounts, "--assume-role": assume_role, "--external-id": external_id}
    for option, text in texts.items():
        # An empty one, as of a variable that is not set, would ask for something else than what was meant.
        if text is not None and not text.strip():
            raise click.BadParameter("is empty; fill it, or leave the option out", param_hint=f"'{option}'")
    named = [name.strip() for name in regions.split(",") if name.strip()] if regions else None
    asked = {
        "regions": "all" if named == ["all"] else named,
        "references": references,
        "accounts": accounts,
        "role_name": assume_role,
        "external_id": external_id,
        "rate": rate,
        "role_details": role_details or None,
        "tag_index": tag_index or None,
    }
    return {name: value for name, value in asked.items() if value is not None}


_strict = click.option("--strict", is_flag=True, help="Exit 3 if a check that was asked for is not complete.")


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"iamframe {__version__}")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def app() -> None:
    """Tell which IAM instance profiles are orphaned, untagged, or named unlike their role.

    A SOURCE is `sample`, `aws` or `aws:PROFILE` (a live account, read-only), a saved snapshot, or a file, a folder, a
    .gz or a .zip that holds what the AWS CLI printed, AWS Config items, Terraform state or Steampipe rows.
    """


@app.command("report")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option(
    "--out", type=_folder, default="iamframe-report", metavar="DIR", show_default=True, help="Folder for the report."
)
@click.option("--title", metavar="TEXT", help="Title of the page.")
@click.option("--author", metavar="TEXT", help="Who the page is by.")
@click.option("--compare", "older", metavar="OLD", help="Show what changed since an older SOURCE.")
@click.option(
    "--lang", type=click.Choice(("en", "ja"), False), default="en", show_default=True, help="Language of the page."
)
@click.option("--owner-tag", metavar="KEY", help="Key of the tag that names owners.  [default: Owner]")
@click.option("--xlsx", is_flag=True, help="Write an Excel workbook, too.")
@click.option("--mask", is_flag=True, help="Put pseudonyms for account ids, unique and external ids, e-mail addresses.")
@click.option(
    "--mask-key",
    type=Path,
    metavar="FILE",
    help="Mask with this key, made where there is none, so that the next report has the same pseudonyms.",
)
@_policy
@_own
@_strict
@_live
def report_command(
    sources: tuple[str, ...],
    out: Path,
    title: str | None,
    author: str | None,
    older: str | None,
    lang: str,
    owner_tag: str | None,
    xlsx: bool,
    mask: bool,
    mask_key: Path | None,
    policy: Path | None,
    own: tuple[str, ...],
    strict: bool,
    **live: Any,
) -> int:
    """Write the page, the CSV files and the summary into a folder; of the sample, where no SOURCE is named."""
    from iamframe.checks import run_checks
    from iamframe.checks.owner import OWNER_TAG, owner_keys
    from iamframe.inventory.load import load
    from iamframe.report.write import write_shown

    new = sources or ("sample",)
    owner_tag = OWNER_TAG if owner_tag is None else owner_tag
    changes, is_masked = None, mask or mask_key is not None
    with _masked_refusal(*new, older, out, policy, mask_key, *own) if is_masked else nullcontext():
        old, inventory = _old_and_new(older, new, live) if older else (None, load(*new, **_asked(**live)))
        result = run_checks(inventory, policy=policy, checks=own, owner_tag=owner_tag)
        if old:
            from iamframe.analysis.compare import compare

            changes = compare(old, result)
        key = mask if mask_key is None else mask_key
        page, shown = write_shown(result, out, title, author, changes, lang=lang, owner_tag=None, xlsx=xlsx, mask=key)
    if inventory.sources == ("sample",):
        click.echo("This is the fictional sample; no account in it exists. Name a SOURCE to report on your own.")
    click.echo(_one_line(result))
    if changes:
        click.echo(f"Since {escape_controls(older or '')}: {changes.said}.")
    click.echo(f"Report: {escape_controls(str(page))}")
    if owner_tag != OWNER_TAG and not owner_keys(result.inventory, owner_tag):
        click.echo(f"No tag that was read has the key {escape_controls(owner_tag)}: no finding has an owner.", err=True)
    # What a masked report does not tell, the terminal does not either.
    for line in (*_expired(shown), *_unread(shown.inventory)):
        click.echo(line, err=True)
    return _status(result, None, (), strict=strict)


@contextmanager
def _masked_refusal(*given: object) -> Iterator[None]:
    """Put pseudonyms into the sentence of an error, but for the paths that the user gave."""
    try:
        yield
    except IamframeError as error:
        from iamframe.report.mask import mask_for

        by_form = mask_for(True, Path()).by_form
        kept = sorted({text for text in map(str, filter(None, given)) if by_form(text) != text}, key=len, reverse=True)
        parts = re.split(f"({'|'.join(map(re.escape, kept))})", str(error)) if kept else [str(error)]
        error.args = ("".join(part if part in kept else by_form(part) for part in parts),)
        raise


@app.command("check")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--only", multiple=True, metavar="CHECK", help="Run this check; may be repeated.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", help="How to print the findings.")
@click.option("--fail-on", type=click.Choice(SEVERITIES), help="Exit 1 on findings of this severity or above.")
@_policy
@_own
@_strict
@_live
def check_command(
    sources: tuple[str, ...],
    only: tuple[str, ...],
    form: str,
    fail_on: str | None,
    policy: Path | None,
    own: tuple[str, ...],
    strict: bool,
    **live: Any,
) -> int:
    """Print the findings, and on standard error what could not be seen."""
    from iamframe.checks import run_checks
    from iamframe.inventory.load import load

    result = run_checks(load(*sources, **_asked(**live)), only=only or None, policy=policy, checks=own)
    _print(result, form)
    for line in (*_not_complete(result), *_expired(result), *_unread(result.inventory)):
        click.echo(escape_controls(line), err=True)
    return _status(result, fail_on, only, strict=strict)


def _age(_: click.Context, __: click.Parameter, text: str) -> timedelta:
    from iamframe.analysis.plan.resources import read_age

    try:
        return read_age(text)
    except IamframeError as error:
        raise click.BadParameter(str(error)) from error


@app.command("plan")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--out", metavar="FILE", help="Write the script there, and CSV files beside it.")
@click.option(
    "--min-age", default="1d", show_default=True, callback=_age, metavar="AGE", help="Leave alone what was younger."
)
@click.option(
    "--min-idle",
    default="90d",
    show_default=True,
    callback=_age,
    metavar="AGE",
    help="Leave alone profiles whose role was used since.",
)
@click.option("--only", multiple=True, metavar="CHECK", help="Plan for this check; may be repeated.")
@_policy
@_live
def plan_command(
    sources: tuple[str, ...],
    out: str | None,
    min_age: timedelta,
    min_idle: timedelta,
    only: tuple[str, ...],
    policy: Path | None,
    **live: Any,
) -> int:
    """Print a clean-up as a shell script to review: profiles to delete, or to tag as their roles are.

    iamframe never runs it.
    """
    from iamframe.analysis.plan.plan import plan
    from iamframe.checks import run_checks
    from iamframe.inventory.load import load
    from iamframe.messages.text import pluralize

    result = run_checks(load(*sources, **_asked(**live)), only=only or None, policy=policy)
    made = plan(result, min_age=min_age, min_idle=min_idle)
    if out is None:
        click.echo(made.script, nl=False)
    else:
        click.echo(f"Plan: {escape_controls(str(made.write(out)))}")
    where = "at the end of the script" if out is None else "in the CSV file beside it and at the end of the script"
    if len(made.not_planned):
        left = pluralize(len(made.not_planned), "finding")
        click.echo(f"{left} not planned; the reasons are {where}", err=True)
    for line in (*_expired(result), *_unread(result.inventory)):
        click.echo(line, err=True)
    return DONE


@app.command("explain")
@click.argument("name", metavar="NAME_OR_ARN")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--format", "form", type=click.Choice(("text", "csv", "json")), default="text", help="How to print it.")
@_policy
@_live
def explain_command(name: str, sources: tuple[str, ...], form: str, policy: Path | None, **live: Any) -> int:
    """Print everything known of a role, a profile, or what uses one; exit 2 where there is none of that name."""
    from iamframe.analysis.explain import explain
    from iamframe.inventory.load import load

    # As of a variable that is not set; every file would be read first, to find nothing.
    if not name.strip():
        raise click.BadParameter("is empty; give the name, ARN or id of a role or profile", param_hint="'NAME_OR_ARN'")
    inventory = load(*sources, **_asked(**live))
    told = explain(inventory, name, policy=policy)
    if form == "text":
        click.echo(str(told))
    else:
        _print_rows(told.to_frame(), form)
    for line in _unread(inventory):
        click.echo(line, err=True)
    return DONE if told.found else REFUSED


@app.command("diff")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", help="How to print the changes.")
@click.option("--fail-on-change", is_flag=True, help="Exit 1 if anything changed, a finding among it.")
@click.option("--strict", is_flag=True, help="Exit 3 if anything could not be compared.")
@click.option("--out", type=_folder, metavar="DIR", help="Write changes, findings, what was not compared as CSV too.")
@_policy
@_live
def diff_command(
    old: str,
    new: str,
    form: str,
    fail_on_change: bool,
    strict: bool,
    out: Path | None,
    policy: Path | None,
    **live: Any,
) -> int:
    """Print what changed from one SOURCE to another, and on standard error what could not be compared."""
    from iamframe.analysis.compare import compare

    changes = compare(*_old_and_new(old, (new,), live), policy=policy)
    if out:
        from iamframe.report.write import write_changes

        write_changes(changes, out)
    _print_changes(changes, form)
    for line in (
        *_apart(changes),
        *_expired(changes.new),
        *_unread(changes.old.inventory),
        *_unread(changes.new.inventory),
    ):
        click.echo(escape_controls(line), err=True)
    if fail_on_change and not changes.is_empty:
        return FOUND
    return INCOMPLETE if strict and len(changes.not_compared) else DONE


def _old_and_new(old: str, new: tuple[str, ...], live: dict[str, Any]) -> tuple[Inventory, Inventory]:
    """Load two sources; the options of a live one are for the one that is live, or for both."""
    from iamframe.inventory.load import is_live, load

    asked = _asked(**live)
    was = load(old, **(asked if is_live(old) else {}))
    now = load(*new, **({} if is_live(old) and not is_live(new[0]) else asked))
    accounts = [one.accounts["account_id"].tolist() for one in (was, now)]
    if not set(accounts[0]) & set(accounts[1]):
        before, after = (", ".join(ids[:3]) + " …" * (len(ids) > 3) or "no account" for ids in accounts)
        raise SourceError(
            f"nothing can be compared: {old} is of {before}, and {' '.join(new)} of {after}; "
            "name two loads of the same account"
        )
    return was, now


def _print_changes(changes: Changes, form: str) -> None:
    from iamframe.inventory.display import cell_rows, text_rows
    from iamframe.inventory.export import json_rows

    frame = changes.to_frame()
    if form == "json":
        parts = {"changes": changes.changes, "findings": changes.findings, "not_compared": changes.not_compared}
        click.echo("{" + ",\n".join(f'"{name}": {json_rows(part)}' for name, part in parts.items()) + "}")
    elif form != "table":
        _print_rows(frame, form, _CHANGES)
    else:
        columns = ["severity", "account_id", "resource_type", "resource_name", "detail"]
        # Findings stand behind the changes, in their own order; a change has no severity.
        severity = changes.findings["severity"].set_axis(frame.index[len(changes.changes) :])
        for change, group in frame.assign(severity=severity).groupby("change", sort=False):
            click.echo(f"{str(change).replace('_', ' ')}: {len(group):,}")
            for how, account, kind, name, detail in text_rows(cell_rows(group[columns])):
                click.echo(f"  {how and f'{how:<6}  '}{account:<12}  {kind:<16}  {name}: {detail}")
        click.echo(f"{changes.said}.", err=True)


def _apart(changes: Changes) -> list[str]:
    """Return what could not be compared, things of one reason together, twenty sentences at most."""
    lines = []
    for reason, rows in changes.not_compared.groupby("reason", sort=False):
        accounts = rows["account_id"].drop_duplicates()
        more = f" and {len(accounts) - 3:,} more" if len(accounts) > 3 else ""
        things = ", ".join(rows["what"].drop_duplicates())
        lines.append(f"not compared: {things} in {', '.join(accounts.head(3))}{more}: {reason}")
    return [
        *lines[:20],
        *([f"and {len(lines) - 20:,} more, all in not_compared.csv of --out"] if len(lines) > 20 else []),
    ]


@app.command("snapshot")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--out", type=Path, required=True, metavar="DIR", help="Folder for the snapshot.")
@_live
def snapshot_command(sources: tuple[str, ...], out: Path, **live: Any) -> int:
    """Save what is read as Parquet, to be named as a SOURCE later; a load that was cut off goes on where it was."""
    from iamframe.inventory.load import take_snapshot

    inventory = take_snapshot(out, *sources, **_asked(**live))
    click.echo(f"{_of_each(inventory)}.")
    click.echo(f"Snapshot: {escape_controls(str(out))}")
    for line in _unread(inventory):
        click.echo(line, err=True)
    return DONE


@app.command("checks")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", help="How to print them.")
@_own
def checks_command(form: str, own: tuple[str, ...]) -> int:
    """List the checks: severity, what each finds, and what it needs to be complete."""
    from iamframe.checks.catalog import list_checks

    _print_rows(list_checks(own), form, _CHECKS)
    return DONE


@app.command("surfaces")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", help="How to print them.")
def surfaces_command(form: str) -> int:
    """Print on which consoles, APIs and tools tags can be written, read, and be found by, and where that is written."""
    from iamframe.analysis.blind_spots import surfaces

    facts = surfaces()
    facts = facts.assign(
        **{name: facts[name].dt.strftime("%Y-%m-%d").astype("str") for name in ("since", "checked_on")}
    )
    if form not in ("csv", "json"):
        facts = facts.assign(said=facts["condition"].fillna(facts["detail"]))
    _print_rows(facts, form, _SURFACES)
    return DONE


@app.command("notebooks")
@click.argument("folder", type=_folder, metavar="DIR")
@click.option("--force", is_flag=True, help="Write over those that are there.")
def notebooks_command(folder: Path, *, force: bool) -> int:
    """Copy the notebooks that come with iamframe into a folder; those that are there are left as they are."""
    import shlex
    from importlib.util import find_spec

    from iamframe.ui.notebooks import copy_notebooks

    written, left = copy_notebooks(folder, force=force)
    if written:
        click.echo(f"Copied: {', '.join(file.name for file in written)}")
    if left:
        click.echo(f"Left as they are: {', '.join(file.name for file in left)}; --force writes over them")
    install = "" if find_spec("jupyterlab") else "pip install 'iamframe[notebooks]' && "
    click.echo(f"Now type: {install}jupyter lab {escape_controls(shlex.quote(str(folder)))}")
    return DONE


@app.command("collect-script")
@click.option("--regions", metavar="LIST", help="Regions to look in, comma-separated, or all (the default).")
def collect_script_command(regions: str | None) -> int:
    """Print a shell script of AWS CLI reads that somebody else can read and run; the zip that it makes is a SOURCE."""
    from iamframe.sources.collect import collect_script

    named = [name.strip() for name in (regions or "all").split(",")]
    # As bytes, since a shell takes no line that ends as Windows ends them.
    click.echo(collect_script(() if named == ["all"] else named).encode(), nl=False)
    return DONE


def _of_each(inventory: Inventory) -> str:
    rows = {name: len(frame) for name, frame in inventory.frames.items()}
    things = {"accounts": "account", "roles": "role", "profiles": "instance profile"}
    return ", ".join(f"{rows[name]:,} {thing}{'' if rows[name] == 1 else 's'}" for name, thing in things.items())


def _one_line(result: Result) -> str:
    counts = result.findings["severity"][result.findings["accepted"].isna()].value_counts()
    found = ", ".join(f"{counts[s]:,} {s}" for s in SEVERITIES if s in counts) or "none"
    return f"{_of_each(result.inventory)}; findings: {found}; {result.said_complete}."


def _not_complete(result: Result) -> list[str]:
    lines = []
    for name in result.checks:
        rows = result.coverage[(result.coverage["check"] == name) & (result.coverage["status"] != "complete")]
        for (status, reason), group in rows.groupby(["status", "reason"], sort=False):
            accounts = ", ".join(group["account_id"].head(3)) + (
                f" and {len(group) - 3} more" if len(group) > 3 else ""
            )
            lines.append(f"{name}: {status} in {accounts}: {reason}")
    return lines


def _expired(result: Result) -> list[str]:
    """Return a sentence per acceptance of the policy that has expired, so that its findings count again."""
    return [
        escape_controls(
            f"{result.policy.path}: the acceptance of {one.check} expired on {one.expires} ({one.reason}); "
            "renew it or remove it"
        )
        for one in result.policy.acceptances
        if one.has_expired
    ]


def _unread(inventory: Inventory) -> list[str]:
    """Return what could not be read or believed at all, accounts among it, ten sentences at most."""
    gaps = inventory.gaps
    gaps = gaps[gaps["reason"].isin(["unreadable", "contradicted", "expired"]) | (gaps["operation"] == ASSUME_ROLE)]
    more = [f"and {len(gaps) - 10:,} more, all in gaps.csv of a report"] if len(gaps) > 10 else []
    return [f"not read: {escape_controls(detail)}" for detail in gaps["detail"].head(10)] + more


def _print(result: Result, form: str) -> None:
    if form != "table":
        _print_rows(result.findings, form, _FINDINGS)
        return
    for line in _table(result.findings):
        click.echo(line)
    click.echo(_one_line(result), err=True)


def _print_rows(frame: DataFrame, form: str, columns: Mapping[str, str] | None = None) -> None:
    """Print a frame: as CSV or JSON all its columns, as a table or Markdown those for people under their heads."""
    from iamframe.inventory import display, export

    if form == "csv":
        written = export.csv_bytes(frame)
        # What is piped is bytes: `echo` takes escape sequences out of text. A terminal would obey them.
        lines = written.decode().split("\n") if sys.stdout.isatty() else []
        click.echo("\n".join(map(escape_controls, lines)) or written, nl=False)
    elif form == "json":
        click.echo(export.json_rows(frame))
    else:
        write = display.markdown_table if form == "markdown" else display.text_table
        shown = frame[[*columns]].rename(columns=columns) if columns else frame
        click.echo(write([*shown.columns], display.cell_rows(shown)))


def _table(findings: DataFrame) -> Iterator[str]:
    """Yield a line per finding; what the details of several in a row have in common is said once, beneath them."""
    from iamframe.inventory.display import cell_rows, text_rows

    columns = ["severity", "check", "account_id", "resource_name", "detail", "accepted"]
    rows = text_rows(cell_rows(findings[columns]))
    for (_, common), group in groupby(rows, key=lambda row: (row[1], row[4].partition(": ")[2])):
        alike = list(group)
        once = common if len(alike) > 1 else ""
        for severity, name, account, resource, detail, accepted in alike:
            said = detail.removesuffix(f": {once}") + (f" (accepted: {accepted})" if accepted else "")
            yield f"{severity:<6}  {name:<26}  {account:<12}  {resource}: {said}"
        if once:
            yield f"        of these {len(alike):,}: {once}"


def _status(result: Result, fail_on: str | None, asked: tuple[str, ...], *, strict: bool) -> int:
    findings = result.findings[result.findings["accepted"].isna() & ~result.findings["expected"]]
    if fail_on and findings["severity"].isin(SEVERITIES[: SEVERITIES.index(fail_on) + 1]).any():
        return FOUND
    # A check that needs a policy counts where one was given, or where the check was named.
    coverage = result.coverage[result.coverage["check"].isin(asked or result.asked)]
    return INCOMPLETE if strict and (coverage.empty or (coverage["status"] != "complete").any()) else DONE


def main() -> None:
    """Run the command line; every failure that a user can meet is one sentence on standard error and exit status 2."""
    # Loading pandas makes hundreds of thousands of objects that stay: the collector would walk them all.
    gc.set_threshold(1_000_000, 10, 10)
    for stream in (sys.stdout, sys.stderr):
        # A letter that the terminal's encoding lacks is spelled out rather than the end of the report.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # What goes into a file or another program must be the same whatever the machine's language is.
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")
    status = _run()
    if status == INTERRUPTED:
        # Threads may wait for AWS; whoever interrupts does not, and what was answered is in the journal.
        sys.stderr.flush()
        os._exit(status)
    # What is alive now ends with the process; a last walk over all of it would take as long as the checks.
    gc.freeze()
    sys.exit(status)


def _run(arguments: list[str] | None = None) -> Any:
    try:
        return _answered(arguments)
    except OSError as error:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        if frame.f_code is not click.echo.__code__:
            raise
        # Python writes what is left once more when it ends.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _refuse(f"standard output: cannot be written ({error.strerror}); send it elsewhere, or make room")


def _answered(arguments: list[str] | None) -> Any:
    try:
        return app.main(arguments, standalone_mode=False)
    except IamframeError as error:
        return _refuse(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
        return REFUSED
    except click.UsageError as error:
        return _refuse(f"{error.format_message().rstrip('.')}; {_way_out(error)}")
    except click.Abort:
        return INTERRUPTED


def _way_out(error: click.UsageError) -> str:
    unknown = isinstance(error, click.NoSuchOption) and not error.possibilities
    if unknown and error.ctx and error.ctx.command is explain_command:
        return "a name that begins with - stands behind --, as in `iamframe explain -- -NAME SOURCE`"
    of = f" {error.ctx.command.name}" if error.ctx and error.ctx.command is not app else ""
    return f"see `iamframe{of} --help`"


def _refuse(sentence: str) -> int:
    click.echo(f"iamframe: {escape_controls(sentence)}", err=True)
    return REFUSED


if __name__ == "__main__":
    main()
