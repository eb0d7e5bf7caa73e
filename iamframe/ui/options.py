"""The options of the command line, and Tab completion of their values."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from iamframe.errors import IamframeError
from iamframe.messages.text import DIFFERENCES, SEVERITIES, escape_controls

FORMATS = ("table", "csv", "json", "markdown")
QUIET, VERBOSE = "iamframe.quiet", "iamframe.verbose"
Decorator = Callable[[Any], Any]


def together(*added: Decorator) -> Decorator:
    """Combine several decorators into one, as if they stood above a function in this order."""
    return functools.partial(functools.reduce, lambda command, add: add(command), added[::-1])


# Completion


def offer_checks(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem]:
    from iamframe.checks import CHECKS

    return [CompletionItem(name, help=one.title) for name, one in CHECKS.items() if name.startswith(typed)]


def offer_sources(context: click.Context, argument: click.Parameter, typed: str) -> list[CompletionItem]:
    before = context.params.get(str(argument.name)) or ()
    # Bash takes a colon for a separate word, and completes the text after it.
    is_split = typed == ":" or before[-1:] == (":",)
    names = [] if is_split else ["sample", "aws"]
    if is_split or typed.startswith("aws"):
        from iamframe.sources.sessions import profile_names

        names += [name if is_split else f"aws:{name}" for name in profile_names()]
    # The shell replaces an item of the type "file" by files.
    files = [] if is_split else [CompletionItem(typed, type="file")]
    return files + [CompletionItem(name) for name in names if name.startswith(typed.lstrip(":"))]


# Values


def path(name: str) -> Path:
    # An unset shell variable gives an empty name. An empty path would mean the working directory.
    if not name:
        raise click.BadParameter("is empty; give a path")
    from iamframe.inventory.places import local_path

    return local_path("--out", name)


def reports(name: str) -> Path:
    from iamframe.report.write import refuse_other_files

    # A load that takes hours must not end with this error.
    refuse_other_files(place := path(name))
    return place


def place(name: str) -> str | Path:
    from iamframe.inventory.places import is_address

    return name if is_address(name) else path(name)


def workbook(_: click.Context, __: click.Parameter, wanted: bool) -> bool:
    if wanted:
        from iamframe.report.excel import require_xlsxwriter

        # A load that takes hours must not end with this error.
        require_xlsxwriter()
    return wanted


def _any(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...] | None:
    return names or None


def _filled(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    # An empty value, as from an unset shell variable, would mean something else.
    if text is not None and not text.replace(",", " ").strip():
        raise click.BadParameter("is empty; fill it, or leave the option out")
    return text


def _regions(context: click.Context, option: click.Parameter, text: str | None) -> str | list[str] | None:
    names = [name.strip() for name in (_filled(context, option, text) or "").split(",") if name.strip()]
    return "all" if names == ["all"] else names or None


def _required(context: click.Context, option: click.Parameter, text: str | None) -> str:
    # click's own `required` would put a mark behind the last sentence of the help text.
    if text is None:
        raise click.MissingParameter(ctx=context, param=option)
    return text


def _workers(_: click.Context, __: click.Parameter, number: int | None) -> int | None:
    if number is not None and number < 1:
        raise click.BadParameter(f"{number} is not a number of processes; give 1 or more")
    return number


def _rate(_: click.Context, __: click.Parameter, number: float | None) -> float | None:
    if number is not None and number <= 0:
        raise click.BadParameter(f"{number:g} is not a number of requests per second; give more than 0")
    return number


def _age(_: click.Context, __: click.Parameter, text: str) -> timedelta:
    from iamframe.analysis.plan.resources import read_age

    try:
        return read_age(text)
    except IamframeError as error:
        raise click.BadParameter(str(error)) from error


def _talk(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    context.meta[f"iamframe.{option.name}"] = True
    if option.name == "verbose":
        import logging

        handler = logging.StreamHandler(sys.stderr)
        # An error code may come from a host that is not AWS.
        handler.format = lambda record: escape_controls(record.getMessage())  # type: ignore[method-assign]
        logger = logging.getLogger("iamframe")
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)


# Errors


def usage_sentence(error: click.UsageError) -> str:
    problem, hint = error.format_message().rstrip("."), _usage_hint(error)
    if isinstance(error, click.NoSuchOption) and not hint.startswith("see "):
        return f"{error.message.rstrip('.')}; {hint}"
    # A suggestion of click ends with a question mark.
    is_question = problem.endswith(("?", "?)"))
    return f"{problem} {hint.capitalize()}" if is_question else f"{problem}; {hint}"


def _usage_hint(error: click.UsageError) -> str:
    command = error.ctx.command.name if error.ctx and error.ctx.parent else None
    if isinstance(error, click.NoSuchOption):
        if command == "explain" and not error.possibilities:
            return "if a name begins with a dash, write -- before it, as in `iamframe explain -- -NAME SOURCE`"
        if command == "report" and error.option_name in ("--owner", "--severity"):
            return f"filter the findings on the report's page, or use {error.option_name} with `iamframe check`"
    return f"see `iamframe{f' {command}' if command else ''} --help`"


# Options


def option(names: str, help_text: str, metavar: str | None = None, **more: Any) -> Decorator:
    more = {"is_flag": True} | more if metavar is None and "type" not in more else {"metavar": metavar} | more
    return click.option(*names.split(), help=help_text, **more)


def formats(*choices: str) -> Decorator:
    help_text = f"Output format (default: {choices[0]})."
    return option("--format form", help_text, type=click.Choice(choices), default=choices[0])


def source(name: str, **more: Any) -> Decorator:
    return click.argument(name, shell_complete=offer_sources, **more)


sources = source("sources", nargs=-1, required=True, metavar="SOURCE...")
talk = together(
    option(
        "-q --quiet", "Print only results, errors, and remarks on missing data.", expose_value=False, callback=_talk
    ),
    option("-v --verbose", "Log each request to AWS.", expose_value=False, callback=_talk),
)
_OWNER = (
    "Key of the owner tag (default: Owner). For a profile without this tag, its role's tag is used. For a resource "
    "that uses a profile, the profile's tag is used."
)
owner_tag = option("--owner-tag", _OWNER, "KEY", default="Owner", callback=_filled)
strict = option("--strict", "Exit with status 3 if a selected check is incomplete.")
_FAIL_ON = (
    "Exit with status 1 if a finding has this severity or above. Expected and accepted findings never cause status 1."
)
fail_on = option("--fail-on", _FAIL_ON, type=click.Choice(SEVERITIES))
_POLICY = (
    "Policy file (TOML) with required tags and accepted findings. "
    '"org" uses the effective tag policy of each account. Repeatable.'
)
policy_file = option("--policy", _POLICY, "FILE|org", multiple=True)
own = option("--checks", "Also use the checks in this Python file. Repeatable.", "FILE", multiple=True)
_MASK = (
    "Replace account ids, account names, unique ids, external ids, e-mail addresses, AWS Organizations ids and the "
    "given SOURCE with pseudonyms."
)
_KEY = "Mask with the key in FILE: the same key gives the same pseudonyms. FILE is created if it does not exist."
mask = together(option("--mask", _MASK), option("--mask-key", _KEY, "FILE", type=path))
_ATHENA = "Print SQL that creates Amazon Athena tables for a snapshot at s3://BUCKET/FOLDER, and save nothing."
_WORKERS = "If SOURCE is a snapshot: check with N parallel processes."
_DASK = "Address of a Dask cluster that checks a snapshot."
_RESULTS = "Keep the results of --workers or --dask in DIR, to resume a stopped run. All machines must share DIR."
_SHARDS = together(
    option("--workers", _WORKERS, "N", type=int, callback=_workers),
    option("--dask", _DASK, "ADDRESS", callback=_filled),
    option("--results", _RESULTS, "DIR", callback=_filled),
)
athena = option("--athena", _ATHENA, "LOCATION")
_ONLY = "Run only this check; `iamframe checks` lists all checks. Repeatable."
only = option("--only", _ONLY, "CHECK", multiple=True, callback=_any, shell_complete=offer_checks)
_SEVERITY = "Print only findings of this severity. Repeatable."
narrowed = together(
    option("--severity", _SEVERITY, type=click.Choice(SEVERITIES), multiple=True),
    option("--owner", "Print only findings of this owner. Repeatable.", "NAME", multiple=True),
    option("--hide-expected", "Print only findings that need attention (not expected, not accepted)."),
)
_AGAINST = "Compare the states with the accounts in this SOURCE (required)."
against = option("--against", _AGAINST, "SOURCE", callback=_required, shell_complete=offer_sources)
_COMPARE = "Add to the page how SOURCE differs from OLD, an older SOURCE."
older = option("--compare older", _COMPARE, "OLD", shell_complete=offer_sources)
_KIND = (
    f"Print only differences of this kind: {', '.join(DIFFERENCES)}. Rows of kind `unknown` (not compared) are always "
    "printed. Repeatable."
)
kinds = option("--only", _KIND, "KIND", type=click.Choice(DIFFERENCES), multiple=True)
_MIN_AGE = "Skip profiles that are younger than AGE, such as 12h (default: 1d)."
_MIN_IDLE = "Delete no profile whose role was used less than AGE ago (default: 90d)."
ages = together(
    option("--min-age", _MIN_AGE, "AGE", default="1d", callback=_age),
    option("--min-idle", _MIN_IDLE, "AGE", default="90d", callback=_age),
)
_REGIONS = 'Regions to scan, separated by commas (default: "all").'
regions = option("--regions", _REGIONS, "LIST", callback=_regions)
# `collect_script` checks each name itself.
named_regions = option("--regions", _REGIONS, "LIST", callback=_filled)
_ASKED = (
    'References to collect: "all", "core" (only those from EC2 and Auto Scaling) or "none". '
    'Default: "all" ("none" for `iamframe drift`).'
)
_ACCOUNTS = 'CSV file of the accounts to scan, or "org" for all accounts of the organization.'
_ROLE = "Name of the role to assume in each account. Without --accounts, give the role's ARN."
_RATE = "Send at most N requests per second per account, service and region."
_LIVE = together(
    regions,
    option("--references", _ASKED, type=click.Choice(("all", "core", "none"))),
    option("--accounts", _ACCOUNTS, "FILE|org", callback=_filled),
    option("--assume-role role_name", _ROLE, "NAME", callback=_filled),
    option("--external-id", "External id that the role's trust policy requires.", "ID", callback=_filled),
    option("--rate", _RATE, "N", type=float, callback=_rate),
    option("--role-details", "Also read the description and maximum session duration of each role."),
    option("--tag-index", "Read profile tags from the tagging API: faster, but possibly out of date."),
)


def _as_dictionary(key: str, added: Decorator, command: Callable[..., Any]) -> Any:
    names = [one.name for one in added(lambda: None).__click_params__]

    @functools.wraps(command)
    def called(**given: Any) -> Any:
        values = {name: given.pop(name) for name in names}
        return command(**given, **{key: {name: value for name, value in values.items() if value not in (None, False)}})

    return added(called)


live = functools.partial(_as_dictionary, "live", _LIVE)
shards = functools.partial(_as_dictionary, "shards", _SHARDS)
judging = together(policy_file, own, strict, shards, live)
