"""The reference pages that are made from the code: names, frames, checks, errors, operations, commands.

As an extension of Sphinx it writes them into docs/ before each build, beside copies of the notebooks, and puts the
report on the sample into the built site. Without Sphinx, `pages()` returns them.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
from knowledge_pages import consumers, makers, surfaces
from page_parts import code, directive, escape, page, table, toctree

import iamframe
from iamframe import errors, schema
from iamframe.checks.registry import Check
from iamframe.inventory.frame import Frame
from iamframe.inventory.views import owned_profiles
from iamframe.knowledge.operations import DUMP, OPERATIONS, ROLE_LIST
from iamframe.ui import cli

ROOT = Path(__file__).parent.parent
# What is written into docs/, as git ignores it.
GENERATED = (
    "notebooks/",
    "reference/api/",
    "reference/checks/",
    "reference/frames/",
    "reference/commands.md",
    "reference/consumers.md",
    "reference/errors.md",
    "reference/makers.md",
    "reference/operations.md",
    "reference/surfaces.md",
)
# Links in docs/ lead to the source of a generated page, because the clone has no generated pages. In the built site,
# the links lead to the page whose name is the text of the link, or else to the overview of the folder.
SOURCES = {
    "iamframe/inventory/schema.py": "reference/frames/",
    "iamframe/inventory/result_frames.py": "reference/frames/",
    "iamframe/checks/names.py": "reference/checks/",
    "iamframe/checks/orphans.py": "reference/checks/",
    "iamframe/checks/tags.py": "reference/checks/",
    "README.md#checks": "reference/checks/",
    "iamframe/__init__.pyi": "reference/api/",
    "iamframe/ui/cli.py": "reference/commands.md",
    "iamframe/errors.py": "reference/errors.md",
    "iamframe/knowledge/makers.toml": "reference/makers.md",
    "iamframe/knowledge/operations.py": "reference/operations.md",
    "iamframe/knowledge/surfaces.toml": "reference/surfaces.md",
    "iamframe/sources/consumers.toml": "reference/consumers.md",
}
# How to get a frame, if it is none of an inventory.
ORIGINS = {
    "pairs": "iamframe.pairs(inventory)",
    "tag_coverage": "iamframe.tag_coverage(inventory)",
    "lists": "result.lists",
    "lives": 'iamframe.history("cloudtrail/")',
    "findings": "result.findings",
    "findings_by_owner": "iamframe.findings_by_owner(result)",
    "quota_use": "iamframe.quota_use(inventory)",
    "coverage": "result.coverage",
    "counts": "iamframe.exploring.counts(result, result.findings, iamframe.exploring.Filter())",
    "findings_by_tag": 'iamframe.exploring.grouped(result, result.findings, "Owner")',
    "explanation": 'iamframe.explain(result, "web").to_frame()',
    "surfaces": "iamframe.surfaces()",
    "blind_spots": "iamframe.blind_spots(inventory)",
    "blind_spot_counts": "iamframe.blind_spot_counts(inventory)",
    "probes": "iamframe.probe_surfaces(boto3.Session())",
    "changes": "iamframe.compare(old, new).changes",
    "changed_findings": "iamframe.compare(old, new).findings",
    "not_compared": "iamframe.compare(old, new).not_compared",
    "drift": 'iamframe.drift(inventory, "state.tfstate").differences',
    "steps": "iamframe.plan(result).steps",
    "not_planned": "iamframe.plan(result).not_planned",
}
# Classes that public functions take or return.
TYPES = (
    "iamframe.analysis.explain.Explanation",
    "iamframe.inventory.display.Table",
    "iamframe.ui.exploring.Filter",
    "iamframe.ui.widgets.Explorer",
    "iamframe.checks.registry.Check",
    "iamframe.checks.evidence.Need",
    "iamframe.checks.tag_policy.Demand",
    "iamframe.checks.findings.Found",
    "iamframe.checks.tag_policy.RequiredTag",
    "iamframe.checks.tag_policy.Accepted",
    "iamframe.checks.tag_policy.ToolUse",
    "iamframe.knowledge.makers.Maker",
)
# Members of a public class that serve other modules.
INTERNAL = {
    "linked_rows",
    "sentence",
    "sentence_in",
    "complete_text",
    "complete_in",
    "asked",
    "findings_in",
    "accepted",
}
MEMBERS = ", ".join(sorted(INTERNAL))
WHEN = {
    "plan": "every load",
    "fallback": "if another operation is denied",
    "references": 'references `"core"` and `"all"`',
    "all": 'references `"all"`',
    "owners": 'references `"core"` and `"all"`, if a profile may belong to ',
    "organization": 'references `"core"` and `"all"`',
    "index": "`--tag-index` and `iamframe.probe_surfaces`",
    "history": "`iamframe.history` and `iamframe.events_of` on a live account",
}
# What follows the text of `WHEN`, or replaces it.
BESIDES = {
    "iam:ListRoles": ", and for `--role-details`",
    "ec2:DescribeRegions": ", and for `iamframe.probe_surfaces`",
    "elasticbeanstalk:DescribeEnvironments": ', and `"core"` if a profile may belong to an environment',
    "eks:ListClusters": "an EKS cluster",
    "cloudformation:ListStacks": "a CloudFormation stack",
    "cloudformation:DescribeStackResources": "a CloudFormation stack",
    "sts:AssumeRole": "accounts with a role to assume",
    "organizations:ListAccounts": "`--accounts org`",
}
# Where the values of an option of a check come from, if the policy sets the option.
POLICY_SETS = {
    "demanded": " The [policy file](../policy-file.md) (`[required_tags]`) and `--policy org` set this option.",
    "tools": " The [policy file](../policy-file.md) (`[[tools]]`) sets this option.",
}


def frames() -> dict[str, Frame]:
    """Return every frame of the schema by its name."""
    return {frame.name: frame for frame in vars(schema).values() if isinstance(frame, Frame)}


def page_of(name: str) -> str:
    """Return the name of the page of a public name: `Plan` and `plan` are one file where names have no case."""
    return f"{name}-class" if inspect.isclass(getattr(iamframe, name)) else name


def commands() -> dict[str, str]:
    """Return the name of each command, and of the object behind it."""
    found = {}
    for name, command in cli.app.commands.items():
        (attribute,) = (key for key, value in vars(cli).items() if value is command)
        found[name] = attribute
    return found


@functools.cache
def pages() -> dict[str, str]:
    """Return the Markdown of each generated page by its path in docs/."""
    made = {f"reference/api/{page_of(name)}.md": _api(name) for name in iamframe.__all__ if name != "__version__"}
    made |= {f"reference/frames/{name}.md": _frame(frame) for name, frame in frames().items()}
    made |= {f"reference/checks/{name}.md": _check(check) for name, check in iamframe.CHECKS.items()}
    made |= {
        "reference/api/index.md": _api_index(),
        "reference/api/types.md": _types(),
        "reference/frames/index.md": _frames_index(),
        "reference/checks/index.md": _checks_index(),
        "reference/errors.md": _errors(),
        "reference/operations.md": _operations(),
        "reference/makers.md": makers(),
        "reference/consumers.md": consumers(),
        "reference/surfaces.md": surfaces(),
        "reference/commands.md": _commands(),
    }
    return made


def _is_missing(value: object) -> bool:
    return value is None or (not isinstance(value, (list, tuple)) and bool(pd.isna(value)))


# --- The sample


@functools.cache
def _sample() -> Any:
    return iamframe.run_checks(iamframe.load_sample(), policy=ROOT / "data" / "tag-policy.toml")


@functools.cache
def _example_frames() -> dict[str, pd.DataFrame]:
    result, inventory = _sample(), _sample().inventory
    views = {"pairs": iamframe.pairs(inventory), "tag_coverage": iamframe.tag_coverage(inventory)}
    views["owned_profiles"] = owned_profiles(inventory)
    answers = {"findings": result.findings, "coverage": result.coverage, "surfaces": iamframe.surfaces()}
    return {name: getattr(inventory, name) for name in schema.FRAMES} | views | answers


def _example(name: str, column: str) -> str:
    """Return a value of a column in the sample, the shortest one that is longer than one character if there is any."""
    frame = _example_frames().get(name)
    if frame is None or not len(values := frame[column].dropna().head(50).astype(str)):
        return ""
    values = values[values != ""]
    short = values[values.str.len() < 60]
    return code(short.iloc[0]) if len(short) else ""


# --- Names


def _api(name: str) -> str:
    thing = getattr(iamframe, name)
    if isinstance(thing, ModuleType):
        return page(f"# iamframe.{name}", _summary(thing), _module(name, thing))
    if name == "CHECKS":
        return page(
            "# iamframe.CHECKS",
            "All checks by name, in the order in which reports list them. Each value has `name`, `severity`, `title`, "
            "`why`, `needs` and `remediation`. [The checks](../checks/index.md) have a page each.",
        )
    kind = "autoclass" if inspect.isclass(thing) else "autofunction"
    members = "\n   :members:\n   :exclude-members: " + MEMBERS if kind == "autoclass" else ""
    return page(f"# iamframe.{name}", directive(f".. {kind}:: iamframe.{name}{members}"))


def _module(name: str, module: ModuleType) -> str:
    if name == "errors":
        return "[All errors](../errors.md) are on one page."
    if name == "schema":
        return "[The frames](../frames/index.md) have a page each."
    public = [
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and inspect.isroutine(value) and value.__module__ == module.__name__
    ]
    return directive("\n\n".join(f".. autofunction:: iamframe.{name}.{key}" for key in public if key not in INTERNAL))


def _summary(thing: object) -> str:
    return (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")


def _types() -> str:
    directives = [f".. autoclass:: {name}\n   :members:\n   :exclude-members: {MEMBERS}" for name in TYPES]
    return page("# Other types", "Public functions take or return these.", directive("\n\n".join(directives)))


def _api_index() -> str:
    names = sorted((name for name in iamframe.__all__ if name != "__version__"), key=str.lower)
    about = {name: _summary(getattr(iamframe, name)) for name in names} | {"CHECKS": "All checks by name."}
    return page(
        "# Python API",
        "Import `iamframe`; each name below is loaded on first use. `iamframe.__version__` is the version.",
        table(["name", "what it is"], [[f"[`{name}`]({page_of(name)}.md)", escape(about[name])] for name in names]),
        "[Other types](types.md) are those that these functions take or return.",
        toctree([*map(page_of, names), "types"]),
    )


def _errors() -> str:
    names = [
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.IamframeError)
    ]
    return page(
        "# Errors",
        "iamframe raises an error if no answer is possible. The message of an error is one sentence: what happened, "
        "where, and what to do. The command line prints the message and ends with exit status 2.",
        "A missing path or a damaged snapshot raises an error. If iamframe can read only a part of an account or file, "
        "iamframe raises no error, except ExpiredError. Each unreadable part is a row of [`gaps`](frames/gaps.md).",
        directive("\n\n".join(f".. autoexception:: iamframe.errors.{name}\n   :show-inheritance:" for name in names)),
    )


# --- Frames


def _frame(frame: Frame) -> str:
    origin = ORIGINS.get(frame.name, f"inventory.{frame.name}")
    key = ", ".join(f"`{name}`" for name in frame.key)
    examples = [_example(frame.name, column.name) for column in frame.columns]
    rows = [
        [f"`{c.name}`", f"`{c.dtype}`", "yes" if c.nullable else "", escape(c.meaning), example]
        for c, example in zip(frame.columns, examples, strict=True)
    ]
    head = ["column", "type", "may be missing", "meaning", "example"]
    if not any(examples):
        head, *rows = [line[:-1] for line in (head, *rows)]
    return page(
        f"# {frame.name}",
        f"One row per {frame.row}." + (f" Key: {key}." if key else ""),
        f"```python\n{origin}\n```",
        table(head, rows),
    )


def _frames_index() -> str:
    groups = {
        "Frames of an inventory": [*schema.FRAMES],
        "Views": [*schema.VIEWS],
        "Answers": [name for name in frames() if name not in schema.FRAMES and name not in schema.VIEWS],
    }
    tables = [
        part
        for title, names in groups.items()
        for part in (
            f"## {title}",
            table(["frame", "one row per"], [[f"[`{name}`]({name}.md)", escape(frames()[name].row)] for name in names]),
        )
    ]
    return page(
        "# Frames",
        "Every frame is a plain DataFrame. "
        "Join `roles`, `profiles`, `links`, `pairs` and `references` on `role_arn` or `profile_arn`. "
        "Every frame that shows accounts can be joined on `account_id`. "
        "In `tags` and `findings`, the ARN of a role or profile is in `resource_arn`.",
        "Text is `str`. A missing text is `nan`: test it with `isna()`. Counts are `Int64`. Flags are never missing. "
        "Times are in UTC, and their names end in `_at`. "
        "The command `iamframe report` writes the frames of an inventory as CSV files.",
        *tables,
        toctree([name for names in groups.values() for name in names]),
    )


# --- Checks


def _check(check: Check) -> str:
    needs = "\n".join(f"- {need.name}" for need in check.needs)
    reads = ", ".join(f"[`{name}`](../frames/{name}.md)" for name in check.reads)
    frames_read = f"frame{'s' * (len(check.reads) > 1)} {reads}"
    return page(
        f"# {check.name}",
        f"**{check.title}.** Severity: {check.severity}.",
        check.why,
        f"## What to do\n\n{check.remediation}",
        f"## What it needs\n\nThe check is `complete` in an account if these are known:\n\n{needs}",
        f"The check reads the {frames_read}.",
        _options(check),
        _finding(check),
        f"## Run it\n\n```sh\niamframe check SOURCE --only {check.name}\n```\n\n```python\n"
        f'result["{check.name}"]  # its facts, one row each\n```',
    )


def _options(check: Check) -> str:
    parameters = inspect.signature(check.rule).parameters
    lines = []
    for option in check.options:
        default = parameters[option].default
        value = f"{default:g}" if isinstance(default, (int, float)) else "none"
        lines.append(f"- `{option}`: {value} by default.{POLICY_SETS.get(option, '')}")
    return "## Options\n\n" + "\n".join(lines) if lines else ""


def _finding(check: Check) -> str:
    result = _sample()
    found = result.findings[result.findings["check"] == check.name].sort_values("expected", kind="stable")
    finding = found.iloc[0]
    shown = {name: value for name, value in finding.items() if not _is_missing(value) and name != "next_step"}
    facts = result[check.name]
    facts = facts[facts["finding_id"] == finding["finding_id"]]
    common = {"finding_id", "account_id", "resource_arn", "resource_name", "related_arn"}
    own = [name for name in facts.columns if name not in common]
    parts = [
        "## An example from the sample",
        table(
            ["column", "value"],
            [[f"`{name}`", escape(value) if name == "detail" else code(value)] for name, value in shown.items()],
        ),
    ]
    if not _is_missing(finding["next_step"]):
        parts.append(f"The suggested command:\n\n```sh\n{finding['next_step']}\n```")
    if own:
        rows = [["" if _is_missing(row[name]) else code(row[name]) for name in own] for _, row in facts[own].iterrows()]
        parts.append("Its facts:\n\n" + table([f"`{name}`" for name in own], rows))
    coverage = result.coverage[result.coverage["check"] == check.name]
    rows = [[f"`{row.account_id}`", row.status, escape(row.reason)] for row in coverage.itertuples()]
    parts.append("Status in the sample:\n\n" + table(["account", "status", "reason"], rows))
    return "\n\n".join(parts)


def _checks_index() -> str:
    rows = [
        [f"[`{c.name}`]({c.name}.md)", c.severity, c.title, ", ".join(need.name for need in c.needs)]
        for c in iamframe.CHECKS.values()
    ]
    return page(
        "# Checks",
        "`iamframe checks` prints this table. [Add a check of your own](../../guides/own-checks.md).",
        table(["check", "severity", "finds", "needs"], rows),
        toctree([*iamframe.CHECKS]),
    )


# --- Operations and commands


def _operations() -> str:
    rows = [
        [
            f"`{row.action}`",
            WHEN.get(row.when, "") + BESIDES.get(row.action, ""),
            f"`{instead}`" if (instead := ROLE_LIST if row.operation == DUMP else row.fallback) else "",
        ]
        for row in OPERATIONS
    ]
    return page(
        "# AWS operations",
        "iamframe reads an account only with these operations. No operation in this table changes an account. "
        "[Permissions](permissions.md) has the policy for a default load, and the actions for other cases.",
        table(["IAM action", "called for", "if denied, iamframe calls"], rows),
    )


def _commands() -> str:
    directives = [f".. click:: iamframe.ui.cli:{key}\n   :prog: iamframe {name}" for name, key in commands().items()]
    return page(
        "# Command line",
        "A SOURCE is `sample`, `aws` or `aws:CLI_PROFILE` (a live account), a snapshot, or a file, a folder, a `.gz` "
        "or a `.zip` ([what a file may hold](sources.md)).",
        "Exit status: 0 done; 1 findings at or above `--fail-on`, changes with `--fail-on-change`, or differences with "
        "`--fail-on-drift`; 2 the input or AWS gave no answer; 3, with `--strict` only, a check or comparison is "
        "incomplete; 130 interrupted.",
        directive("\n\n".join(directives)),
    )


# --- Sphinx


def write(docs: Path) -> None:
    """Write the generated pages and copies of the notebooks into docs/; remove those that are no longer made."""
    made = {docs / path: text for path, text in pages().items()}
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        # The example policy has a place of its own in the documentation.
        text = notebook.read_text("utf-8").replace("](../data/tag-policy.toml)", "](../reference/policy-file.md)")
        made[docs / "notebooks" / notebook.name] = text
    for old in {file for folder in GENERATED for file in (docs / folder).glob("*")} - made.keys():
        old.unlink()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8", newline="\n")


def linked(text: str, folder: Path) -> str:
    """Return a page of a folder whose links to sources lead to the pages that are generated from the sources."""

    def link(match: re.Match[str]) -> str:
        target = os.path.relpath(folder / match[2], ROOT)
        made = SOURCES.get(target, target if target.startswith("notebooks/") else "")
        if made.endswith("/"):
            named = f"{made}{match[1].strip('`')}.md"
            made = named if named in pages() else f"{made}index.md"
        return f"[{match[1]}](/{made})" if made else match[0]

    return re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", link, text)


def _link_pages(app: Any, name: str, source: list[str]) -> None:
    if (file := Path(app.env.doc2path(name))).suffix == ".md":
        source[0] = linked(source[0], file.parent)


def _mark_options(app: Any, doctree: Any) -> None:  # noqa: ARG001
    from docutils import nodes

    for literal in doctree.findall(nodes.literal):
        if literal.astext().startswith("--"):
            literal["classes"].append("option")


def _link_frames(app: Any, what: str, name: str, thing: object, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Link to the pages of the frames whose columns `schema.shows` adds to a docstring."""
    at = next((at for at, line in enumerate(lines) if re.match(r"`\w+`: one row per", line)), None)
    if at is not None:
        shown = [match[1] for line in lines[at:] if (match := re.match(r"`(\w+)`: one row per", line))]
        # numpydoc puts a section that it does not know nowhere: the links stand before the first section.
        first = next((n for n, line in enumerate(lines) if line and set(line) == {"-"}), at + 1) - 1
        links = ", ".join(f":doc:`{frame} </reference/frames/{frame}>`" for frame in shown)
        lines[at:] = []
        lines[min(first, at) : min(first, at)] = [f"Columns: {links}.", ""]


def _sample_reports(app: Any, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        result = iamframe.run_checks(iamframe.load_sample())
        for lang in ("en", "ja"):
            folder = Path(app.outdir) / "sample-report" / lang
            shutil.rmtree(folder, ignore_errors=True)
            iamframe.write_report(result, folder, lang=lang)


def setup(app: Any) -> dict[str, bool]:
    """Register this module with Sphinx."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir)))
    app.connect("source-read", _link_pages)
    app.connect("doctree-read", _mark_options)
    # Before numpydoc.
    app.connect("autodoc-process-docstring", _link_frames, priority=100)
    app.connect("build-finished", _sample_reports)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
