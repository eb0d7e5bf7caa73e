"""The command line: one function per command."""

from __future__ import annotations

import gc
import io
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iamframe.errors import IamframeError
from iamframe.messages.text import SEVERITIES, escape_controls
from iamframe.ui import options as given
from iamframe.ui import output
from iamframe.ui.loading import checked, load_old_and_new, load_sources, progress_options
from iamframe.ui.options import option
from iamframe.ui.output import remark
from iamframe.version import __version__

if TYPE_CHECKING:
    from iamframe.checks import Result

DONE, FOUND, REFUSED, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130


# click makes help texts two columns narrower than this.
@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 74})
@click.version_option(__version__, message=f"iamframe {__version__}", help="Show the version.")
@given.talk
def app() -> None:
    """Find IAM instance profiles that have no role, no known use, no tags, or a different name from their role.

    A SOURCE is `sample`, `sample:earlier`, `aws`, `aws:CLI_PROFILE`, a path, or the s3:// address of a snapshot.
    `sample` and `sample:earlier` are fictional examples. `aws` and `aws:CLI_PROFILE` read a live account, and change
    nothing. A path is a file or folder (also packed as .gz or .zip) with AWS CLI output, AWS Config items, Terraform
    states or plans, Steampipe rows, or CloudTrail records. A path can also be a folder written by `iamframe snapshot`.
    """


def _command(name: str, *added: given.Decorator) -> Callable[[Callable[..., int]], click.Command]:
    return lambda function: app.command(name)(given.together(*added, given.talk)(function))


@_command(
    "report",
    given.source("sources", nargs=-1, metavar="[SOURCE]..."),
    option("--out", "Folder (default: iamframe-report).", "DIR", type=given.reports, default="iamframe-report"),
    option("--title", "Title of the page.", "TEXT"),
    option("--author", "Author of the page.", "TEXT"),
    given.older,
    option(
        "--terraform states", "Also show how accounts differ from Terraform states. Repeatable.", "STATE", multiple=True
    ),
    option("--lang", "Page language (default: en).", type=click.Choice(("en", "ja"), False), default="en"),
    given.owner_tag,
    option("--xlsx", "Also write an Excel workbook.", callback=given.workbook),
    given.mask,
    given.only,
    given.judging,
)
def report_command(
    sources: tuple[str, ...],
    out: Path,
    older: str | None,
    states: tuple[str, ...],
    owner_tag: str,
    mask: bool,
    mask_key: Path | None,
    only: tuple[str, ...] | None,
    policy: tuple[str, ...],
    checks: tuple[str, ...],
    strict: bool,
    live: dict[str, Any],
    shards: dict[str, Any],
    **page: Any,
) -> int:
    """Write a report (HTML, CSV and summary.json).

    Without a SOURCE, the report is about the fictional sample.
    """
    from iamframe.analysis.compare import compare
    from iamframe.analysis.drift import drift
    from iamframe.report.write import write_shown

    new, key = sources or ("sample",), mask if mask_key is None else mask_key
    masking: AbstractContextManager[None] = nullcontext()
    if key:
        from iamframe.report.mask import masked_errors

        masking = masked_errors(*new, older, *states, out, *policy, mask_key, *checks)
    judged = {"only": only, "policy": policy, "checks": checks, "owner_tag": owner_tag}
    with masking, checked(new, live, shards, older, **judged) as (old, result):
        changes = compare(old, result) if old else None
        found = drift(result.inventory, *states) if states else None
        file, shown = write_shown(result, out, changes=changes, drift=found, owner_tag=None, mask=key, **page)
        if result.inventory.is_sample:
            hint = "" if sources else f" For your own account, type `{output.program()} report aws`."
            click.echo(f"This report is about the fictional sample.{hint}")
        click.echo(output.in_one_line(result))
        if changes:
            click.echo(f"Changes since {escape_controls(older or '')}: {changes.sentence}.")
        if found:
            click.echo(f"Terraform: {found.sentence}.")
        click.echo(f"Report: {escape_controls(str(file))}")
        remark(output.incomplete_names(result), output.no_owner(result.inventory, owner_tag))
        # After a masked report, the terminal shows pseudonyms too.
        remark(output.about_policy(result, shown), output.not_collected(shown.inventory))
        return _status(result, None, only, strict=strict)


@_command(
    "check",
    given.sources,
    given.only,
    given.narrowed,
    given.formats(*given.FORMATS),
    given.fail_on,
    given.owner_tag,
    given.judging,
)
def check_command(
    sources: tuple[str, ...],
    severity: tuple[str, ...],
    owner: tuple[str, ...],
    hide_expected: bool,
    form: str,
    fail_on: str | None,
    owner_tag: str,
    strict: bool,
    live: dict[str, Any],
    shards: dict[str, Any],
    **judged: Any,
) -> int:
    """Print the findings.

    Checks that lack data are listed on standard error. Options that hide findings do not change the exit status.
    """
    with checked(sources, live, shards, owner_tag=owner_tag, **judged) as (_, result):
        findings = shown = result.findings
        if severity:
            shown = shown[shown["severity"].isin(severity)]
        if owner:
            shown = shown[shown["owner"].isin(owner)]
        if hide_expected:
            shown = shown[~shown["expected"] & shown["accepted"].isna()]
        output.emit_findings(shown, form)
        remark([output.in_one_line(result, owner)] * (form == "table"))
        without, unsure = output.about_owners(result, owner)
        remark(output.not_printed(findings, shown), unsure, without)
        output.remark_if_quiet([*output.complete_text(result), *unsure])
        remark(output.incomplete(result), output.no_owner(result.inventory, owner_tag))
        remark(output.about_policy(result, is_covered=True), output.not_collected(result.inventory))
        return _status(result, fail_on, judged["only"], strict=strict)


@_command(
    "plan",
    given.sources,
    option("--out", "Write the script to FILE, and two CSV files into the same folder.", "FILE", type=given.path),
    given.ages,
    given.only,
    given.policy_file,
    given.own,
    given.shards,
    given.live,
)
def plan_command(
    sources: tuple[str, ...],
    out: Path | None,
    min_age: timedelta,
    min_idle: timedelta,
    live: dict[str, Any],
    shards: dict[str, Any],
    **judged: Any,
) -> int:
    """Print a clean-up script to review.

    The script deletes profiles, and copies tags from roles to profiles. iamframe never runs the script. Read the
    script, then run it with `sh`. Findings of checks that you add with --checks get no steps in the script.
    """
    from iamframe.analysis.plan.plan import plan

    with checked(sources, live, shards, **judged) as (_, result):
        made = plan(result, min_age=min_age, min_idle=min_idle)
        if out is None:
            click.echo(made.script, nl=False)
        else:
            click.echo(f"Plan: {escape_controls(str(made.write(out)))}")
        why = ["The end of the script says why findings have no steps."] if len(made.not_planned) else []
        covers = "A plan covers only unneeded profiles, and missing or different tags."
        live_only = "It deletes profiles only after a live account was loaded in all regions."
        remark([" ".join([f"{made.in_one_line}.", *why, covers, live_only])])
        remark(output.about_policy(result), output.not_collected(result.inventory))
        return DONE


@_command(
    "explain",
    click.argument("name", metavar="NAME_OR_ARN"),
    given.sources,
    given.formats("text", "csv", "json"),
    given.policy_file,
    given.own,
    given.shards,
    given.live,
)
def explain_command(
    name: str,
    sources: tuple[str, ...],
    form: str,
    policy: tuple[str, ...],
    checks: tuple[str, ...],
    live: dict[str, Any],
    shards: dict[str, Any],
) -> int:
    """Print all data about a role or profile.

    NAME_OR_ARN is the name, id or ARN of a role, of a profile, or of a resource that uses a profile. A name selects the
    roles and profiles with this name in all accounts. The exit status is 2 if no resource matches.
    """
    from iamframe.analysis.explain import explain

    # An unset shell variable gives an empty name. It is refused before any file is read.
    if not name.strip():
        raise click.BadParameter("must not be empty; give a name, an ARN or an id", param_hint="'NAME_OR_ARN'")
    with ExitStack() as opened:
        if shards or checks:
            _, result = opened.enter_context(checked(sources, live, shards, policy=policy, checks=checks))
            inventory, explanation = result.inventory, explain(result, name)
        else:
            inventory = load_sources(*sources, **live)
            explanation = explain(inventory, name, policy=policy)
        if form == "text":
            click.echo(str(explanation))
        else:
            output.emit(explanation.to_frame(), form)
        remark(output.not_collected(inventory))
        return DONE if explanation.found else REFUSED


@_command(
    "diff",
    given.source("old", metavar="OLD"),
    given.source("new", metavar="NEW"),
    given.formats(*given.FORMATS),
    option("--fail-on-change", "Exit with status 1 if a resource or a finding changed."),
    option("--strict", "Exit with status 3 if something could not be compared."),
    option(
        "--out", "Also write CSV files: changes, changed findings, and what was not compared.", "DIR", type=given.path
    ),
    given.policy_file,
    given.own,
    given.live,
)
def diff_command(
    old: str,
    new: str,
    form: str,
    fail_on_change: bool,
    strict: bool,
    out: Path | None,
    policy: tuple[str, ...],
    checks: tuple[str, ...],
    live: dict[str, Any],
) -> int:
    """Print what changed between two sources.

    OLD and NEW are SOURCEs (see `iamframe --help`). To try the command, type `iamframe diff sample:earlier sample`.
    Standard error lists the data that could not be compared.
    """
    from iamframe.analysis.compare import compare
    from iamframe.checks import run_checks

    was, now = load_old_and_new(old, (new,), live)
    changes = compare(was, run_checks(now, policy=policy, checks=checks))
    if out:
        from iamframe.report.write import write_changes

        write_changes(changes, out)
    output.emit_changes(changes, form)
    output.remark_if_quiet([changes.sentence] if len(changes.not_compared) else [])
    loads = changes.old.inventory, changes.new.inventory
    remark(output.not_compared(changes), output.about_policy(changes.new), *map(output.not_collected, loads))
    if fail_on_change and not changes.is_empty:
        return FOUND
    return INCOMPLETE if strict and len(changes.not_compared) else DONE


@_command(
    "drift",
    click.argument("states", nargs=-1, required=True, metavar="STATE..."),
    given.against,
    given.kinds,
    given.formats(*given.FORMATS),
    option("--fail-on-drift", "Exit with status 1 if anything differs. Rows of kind `unknown` never cause status 1."),
    option("--strict", "Exit with status 3 if no account was compared, or something has the kind `unknown`."),
    given.live,
)
def drift_command(
    states: tuple[str, ...],
    against: str,
    only: tuple[str, ...],
    form: str,
    fail_on_drift: bool,
    strict: bool,
    live: dict[str, Any],
) -> int:
    """Print how accounts differ from Terraform.

    A STATE is a Terraform state file, or what `terraform show -json` prints. Pass all Terraform states of the
    accounts. A resource is listed as unmanaged only if no state manages it. `sample:terraform` is the Terraform state
    of the sample.
    """
    from iamframe.analysis.drift import drift
    from iamframe.inventory.load import is_live

    inventory = load_sources(against, **({"references": "none"} if is_live(against) else {}) | live)
    found = drift(inventory, *states).only(*only)
    output.emit_drift(found, form)
    output.remark_if_quiet([] if found.is_complete and not found.left_out else [found.sentence])
    remark(output.not_known(found), output.not_collected(inventory))
    if fail_on_drift and not found.is_empty:
        return FOUND
    return INCOMPLETE if strict and not found.is_complete else DONE


@_command(
    "snapshot",
    given.source("sources", nargs=-1, metavar="[SOURCE]..."),
    option("--out", "Save the snapshot to this folder or s3:// address.", "DIR", type=given.place),
    given.athena,
    given.live,
)
def snapshot_command(sources: tuple[str, ...], out: str | Path | None, athena: str | None, live: dict[str, Any]) -> int:
    """Save AWS data as Parquet, to read it later.

    Pass at least one SOURCE, and --out. If the command was interrupted, and --out is a local folder, run the same
    command again to resume.
    """
    from iamframe.inventory.load import take_snapshot
    from iamframe.inventory.sql import athena_statements
    from iamframe.sources.archives import display_path

    if athena is not None and not (sources or out or live):
        click.echo(";\n\n".join(athena_statements(athena)) + ";")
        return DONE
    if athena is not None or not sources or out is None:
        raise click.UsageError("give a SOURCE and --out DIR, or only --athena LOCATION")
    inventory = take_snapshot(out, *sources, **progress_options(*sources, **live))
    click.echo(f"{output.size_of(inventory)}.")
    click.echo(f"Snapshot: {display_path(out)}")
    remark(output.not_collected(inventory))
    return DONE


@_command("checks", given.formats(*given.FORMATS), given.own)
def checks_command(form: str, checks: tuple[str, ...]) -> int:
    """List the checks.

    The list shows what each check finds, and how severe the findings are. The list also shows which data a check needs
    for the status `complete`.
    """
    from iamframe.checks.catalog import list_checks

    output.emit(list_checks(checks), form, output.CHECK_COLUMNS)
    return DONE


@_command("surfaces", given.formats(*given.FORMATS))
def surfaces_command(form: str) -> int:
    """Show how other tools handle IAM tags.

    The tools are consoles and APIs of AWS, and programs such as Terraform. Each line is about roles or instance
    profiles, and about one operation: write tags, read tags, or find resources by tag. Only the formats CSV and JSON
    show the source of each line, such as a page of AWS's documentation.
    """
    from iamframe.analysis.blind_spots import surfaces

    facts = surfaces()
    dates = {name: facts[name].dt.strftime("%Y-%m-%d").astype("str") for name in ("since", "checked_on")}
    output.emit_surfaces(facts.assign(**dates), form)
    return DONE


@_command(
    "notebooks",
    click.argument("folder", type=given.path, metavar="DIR"),
    option("--force", "Overwrite existing files."),
)
def notebooks_command(folder: Path, *, force: bool) -> int:
    """Copy the notebooks into a folder.

    Existing files are overwritten only with --force.
    """
    import shlex
    from importlib.util import find_spec

    from iamframe.ui.notebooks import copy_notebooks

    written, left = copy_notebooks(folder, force=force)
    if written:
        click.echo(f"Copied: {', '.join(file.name for file in written)}")
    if left:
        existing = ", ".join(file.name for file in left)
        click.echo(f"Not copied, because these files exist: {existing}; --force overwrites them")
    install = "" if find_spec("jupyterlab") else 'pip install ".[notebooks]" && '
    click.echo(f"To open the notebooks, type: {install}jupyter lab {escape_controls(shlex.quote(str(folder)))}")
    return DONE


@_command("collect-script", given.named_regions)
def collect_script_command(regions: str | None) -> int:
    """Print a shell script that collects AWS data.

    With the AWS CLI, the script reads roles and profiles, and which resources use the profiles. The printed script
    changes nothing in AWS. Give the script to somebody with access to the account. The script writes a zip file, which
    you can use as SOURCE.
    """
    from iamframe.sources.scripts import collect_script

    named = [name.strip() for name in (regions or "all").split(",")]
    # As bytes, because a shell does not accept Windows line endings.
    click.echo(collect_script(() if named == ["all"] else named).encode(), nl=False)
    return DONE


def _status(result: Result, fail_on: str | None, asked: tuple[str, ...] | None, *, strict: bool) -> int:
    findings = result.tally[result.tally["accepted"].isna() & ~result.tally["expected"]]
    if fail_on and findings["severity"].isin(SEVERITIES[: SEVERITIES.index(fail_on) + 1]).any():
        return FOUND
    # A check that needs a policy counts only if a policy was given, or the check was selected.
    coverage = result.coverage[result.coverage["check"].isin(asked or result.asked)]
    return INCOMPLETE if strict and (coverage.empty or (coverage["status"] != "complete").any()) else DONE


def main() -> None:
    """Run the command line. An error is one line on standard error, with exit status 2."""
    # pandas creates hundreds of thousands of lasting objects, and the garbage collector would visit all of them.
    gc.set_threshold(1_000_000, 10, 10)
    # A stream that the shell closed is None.
    sys.stdout, sys.stderr = (stream or Path(os.devnull).open("w") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # A letter that the terminal's encoding lacks becomes an escape instead of an error.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Output for a file or another program must not depend on the machine's locale.
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")
    status = _run() or DONE
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    # All files are written, and the journal has all answers of AWS. A normal end would wait for threads that still
    # wait for AWS, take as long as the checks for a last garbage collection, and could fail in a library's thread.
    os._exit(status)


def _run(arguments: list[str] | None = None) -> Any:
    try:
        return _answered(arguments)
    except OSError as error:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        if frame.f_code is not click.echo.__code__:
            raise
        # Python flushes standard output once more when it ends.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _refuse(f"standard output: cannot be written ({error.strerror}); send it elsewhere, or make room")


def _answered(arguments: list[str] | None) -> Any:
    try:
        return app.main(arguments, "iamframe", standalone_mode=False)
    except IamframeError as error:
        return _refuse(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
        return REFUSED
    except click.UsageError as error:
        return _refuse(given.usage_sentence(error))
    except click.Abort:
        return INTERRUPTED


def _refuse(sentence: str) -> int:
    click.echo(f"iamframe: {escape_controls(sentence)}", err=True)
    return REFUSED


if __name__ == "__main__":
    main()
