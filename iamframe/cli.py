"""The command line: `iamframe report` and `iamframe check`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iamframe.errors import IamframeError, SourceError

if TYPE_CHECKING:
    from iamframe.checks import Result
    from iamframe.inventory import Inventory

DONE, FOUND, REFUSED, INCOMPLETE = 0, 1, 2, 3

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="IAM roles and instance profiles: which profiles are orphaned, untagged, or named unlike their role.",
)

Sources = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SOURCE]...", help="`sample`, or files and folders that hold what the AWS CLI printed"),
]
PolicyFile = Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="tag policy (TOML)")]
Strict = Annotated[bool, typer.Option("--strict", help="exit 3 if a check that was asked for is not complete")]


class Format(StrEnum):
    """How `check` prints its findings."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    MARKDOWN = "markdown"


class Severity(StrEnum):
    """A severity, as `--fail-on` takes it."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"iamframe {version('iamframe')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="show the version")
    ] = False,
) -> None:
    pass


@app.command()
def report(
    sources: Sources = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="folder for the report")] = Path("iamframe-report"),
    policy: PolicyFile = None,
    strict: Strict = False,
) -> None:
    """Write the page, the CSV files and the summary into a folder; of the sample, where no SOURCE is named."""
    from iamframe.checks import run_checks
    from iamframe.report import write_report

    sources = sources or ["sample"]
    inventory = _load(sources)
    result = run_checks(inventory, policy=policy)
    page = write_report(result, out)
    if sources == ["sample"]:
        typer.echo("This is the fictional sample; no account in it exists. Name a SOURCE to report on your own.")
    typer.echo(_one_line(result))
    typer.echo(f"Report: {page}")
    _leave(result, None, strict=strict, asked=None)


@app.command()
def check(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="`sample`, or files and folders")],
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="CHECK", help="run this check; may be repeated")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="how to print the findings")] = Format.TABLE,
    fail_on: Annotated[
        Severity | None, typer.Option("--fail-on", help="exit 1 on findings of this severity or above")
    ] = None,
    policy: PolicyFile = None,
    strict: Strict = False,
) -> None:
    """Print the findings, and on standard error what could not be seen."""
    from iamframe.checks import run_checks

    result = run_checks(_load(sources), only=only, policy=policy)
    _print(result, form)
    for line in _not_complete(result):
        typer.echo(line, err=True)
    _leave(result, fail_on, strict=strict, asked=only)


def _load(sources: list[str]) -> Inventory:
    from iamframe.load import SAMPLE, load_files, load_sample

    for source in sources:
        if source == "aws" or source.startswith("aws:"):
            raise SourceError(
                f"{source}: this version reads files and the sample; save what the AWS CLI prints and name the folder"
            )
    if SAMPLE in sources and not Path(SAMPLE).exists():
        if len(sources) > 1:
            raise SourceError("sample: is fiction and cannot be mixed with other sources; name it alone")
        return load_sample()
    return load_files(*sources)


def _one_line(result: Result) -> str:
    rows = {name: len(frame) for name, frame in result.inventory.frames.items()}
    counts = result.findings["severity"].value_counts()
    found = ", ".join(f"{counts[s]:,} {s}" for s in Severity if s in counts) or "none"
    short = int((result.summary["complete"] < len(result.inventory.accounts)).sum())
    return (
        f"{rows['accounts']:,} accounts, {rows['roles']:,} roles, {rows['profiles']:,} instance profiles; "
        f"findings: {found}; "
        f"{short} of {len(result.checks)} checks are not complete."
    )


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


def _print(result: Result, form: Format) -> None:
    findings = result.findings
    if form is Format.CSV:
        import csv

        from iamframe.report.tables import guarded

        plain = findings.assign(**{n: guarded(findings[n]) for n in findings.columns if findings[n].dtype == "str"})
        sys.stdout.write(plain.to_csv(index=False, quoting=csv.QUOTE_ALL, lineterminator="\n"))
    elif form is Format.JSON:
        typer.echo(findings.to_json(orient="records", indent=2, force_ascii=False))
    elif form is Format.MARKDOWN:
        typer.echo(
            _markdown(
                findings[["severity", "check", "account_id", "resource_name", "detail"]].fillna("").values.tolist()
            )
        )
    else:
        for row in findings[["severity", "check", "account_id", "resource_name", "detail"]].fillna("").values.tolist():
            severity, name, account, resource, detail = (_printable(str(cell)) for cell in row)
            typer.echo(f"{severity:<6}  {name:<26}  {account:<12}  {resource}: {detail}")
        typer.echo(_one_line(result), err=True)


def _printable(text: str) -> str:
    # A terminal obeys control characters, and names come from other people.
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _markdown(rows: list[list[str]]) -> str:
    def cell(text: str) -> str:
        escaped = "".join(f"\\{c}" if c in "\\|`*_[]<>#&!~$" else c for c in _printable(text))
        return escaped.replace("\n", " ")

    head = ["severity", "check", "account", "name", "found"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(cell(str(value)) for value in row) + " |" for row in rows])


def _leave(result: Result, fail_on: Severity | None, *, strict: bool, asked: list[str] | None) -> None:
    severities = list(Severity)
    findings = result.findings[result.findings["accepted"].isna() & ~result.findings["expected"]]
    if fail_on and findings["severity"].isin([str(s) for s in severities[: severities.index(fail_on) + 1]]).any():
        raise typer.Exit(FOUND)
    if strict:
        # Nobody asked for required tags who neither named the check nor gave a policy.
        unasked = {"missing_required_tags"} if not asked and not result.policy.required else set()
        rows = result.coverage[~result.coverage["check"].isin(unasked)]
        if (rows["status"] != "complete").any() or rows.empty:
            raise typer.Exit(INCOMPLETE)


def main() -> None:
    """Run the command line; every failure that a user can meet is one sentence on standard error and exit status 2."""
    try:
        code = app(standalone_mode=False)
    except IamframeError as error:
        code = _refuse(str(error))
    except typer.Abort:
        code = 130
    except Exception as error:
        # Typer vendors click in some versions: its usage errors are known by what they can say.
        if not hasattr(error, "format_message"):
            raise
        code = _refuse(f"{error.format_message().rstrip('.')}; see `iamframe --help`")
    sys.exit(code or DONE)


def _refuse(sentence: str) -> int:
    print(f"iamframe: {_printable(sentence)}", file=sys.stderr)  # noqa: T201
    return REFUSED


if __name__ == "__main__":
    main()
