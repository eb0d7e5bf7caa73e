"""The page: one self-contained HTML file, safe to open whatever the names in it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import version
from typing import Any

import pandas as pd
import pyarrow as pa

from iamframe.checks.registry import CHECKS, SEVERITIES, STATUSES, Result

# A browser lays out a longer table too slowly; the CSV beside the page has all rows.
MAX_ROWS = 20_000
_CHUNK = 100
_POLICY = (
    "default-src 'none'; style-src {style}; script-src {script}; img-src data:; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True, slots=True)
class Section:
    """One check on the page."""

    name: str
    title: str
    why: str
    severity: str
    status: str
    coverage: list[tuple[str, str, list[str]]]
    total: int
    expected: int
    accepted: int
    columns: list[str]
    chunks: list[list[tuple[Any, ...]]]
    shown: int

    @property
    def open(self) -> int:
        """Findings that nobody means or accepts."""
        return self.total - self.expected - self.accepted


def render_page(result: Result) -> str:
    """Return the page of a result as text: one HTML document that loads nothing and runs nothing but its own filter.

    Every text is escaped, and the Content-Security-Policy allows the page's own style and script by their hashes alone.
    A table is cut at 20,000 rows and says so.
    """
    # Loaded here, since the checks and the CSV files need no page.
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True,
        loader=PackageLoader("iamframe.report", ""),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    style, script = (
        resources.files("iamframe.report").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js")
    )
    sections = list(_sections(result))
    accounts = result.inventory.accounts
    return environment.get_template(
        "page.html.j2"
    ).render(
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        policy=_POLICY.format(style=_hash(style), script=_hash(script)),
        version=version("iamframe"),
        sources=result.inventory.sources,
        is_sample=result.inventory.sources == ("sample",),
        accounts=_rows(accounts, ["account_id", "account_name", "captured_at"]),
        rows={name: len(frame) for name, frame in result.inventory.frames.items()},
        counts={
            severity: int(((result.findings["severity"] == severity) & result.findings["accepted"].isna()).sum())
            for severity in SEVERITIES
        },
        sections=sections,
        found=[section for section in sections if section.open],
        unseen=[section for section in sections if section.status != "complete"],
        first=[section for section in sections if section.open][:5],
        gaps=_rows(
            result.inventory.gaps.head(MAX_ROWS), ["account_id", "region", "operation", "subject", "reason", "detail"]
        ),
        all_gaps=len(result.inventory.gaps),
        max_rows=MAX_ROWS,
        policy_file=result.policy.path,
    )


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _rows(frame: pd.DataFrame, names: list[str]) -> list[tuple[Any, ...]]:
    columns = []
    for name in names:
        values = frame[name]
        if values.dtype.kind == "M":
            columns.append([None if pd.isna(v) else f"{v:%Y-%m-%d %H:%M} UTC" for v in values])
        else:
            columns.append(pa.array(values, from_pandas=True).to_pylist())
    return list(zip(*columns, strict=True))


def _sections(result: Result) -> Iterator[Section]:
    by_check = dict(iter(result.findings.groupby("check", sort=False)))
    for name in sorted(
        result.checks, key=lambda name: (SEVERITIES.index(CHECKS[name].severity), list(CHECKS).index(name))
    ):
        found = by_check.get(name, result.findings.head(0))
        coverage = result.coverage[result.coverage["check"] == name]
        optional = [column for column in ("related_arn", "relation", "maker") if found[column].notna().any()]
        columns = [
            "severity",
            "account_id",
            "resource_name",
            "resource_arn",
            *optional,
            "detail",
            "next_step",
            "accepted",
            "expected",
            "certainty",
        ]
        shown = found.head(MAX_ROWS)
        rows = _rows(shown, columns)
        yield Section(
            name=name,
            title=CHECKS[name].title,
            why=CHECKS[name].why,
            severity=CHECKS[name].severity,
            status=max(coverage["status"], key=STATUSES.index, default="unknown"),
            coverage=_grouped(coverage),
            total=len(found),
            expected=int((found["expected"] & found["accepted"].isna()).sum()),
            accepted=int(found["accepted"].notna().sum()),
            columns=columns,
            chunks=[rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)],
            shown=len(shown),
        )


def _grouped(coverage: pd.DataFrame) -> list[tuple[str, str, list[str]]]:
    """Return statuses and reasons with the accounts that share them, the worst first."""
    groups: dict[tuple[str, str], list[str]] = {}
    for account, status, reason in zip(coverage["account_id"], coverage["status"], coverage["reason"], strict=True):
        groups.setdefault((status, reason), []).append(account)
    ordered = sorted(groups.items(), key=lambda item: (-STATUSES.index(item[0][0]), item[0][1]))
    return [(status, reason, accounts) for (status, reason), accounts in ordered]
