"""The page: one self-contained HTML file, safe to open whatever the names in it."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from jinja2 import Environment, FileSystemBytecodeCache, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from iamframe.analysis.matching import things
from iamframe.checks.owner import OWNER_TAG, owner_keys
from iamframe.checks.registry import STATUSES
from iamframe.checks.result import Result
from iamframe.inventory.arrow import as_arrow
from iamframe.inventory.display import cell_rows
from iamframe.inventory.gaps import with_details
from iamframe.knowledge.makers import GUESS
from iamframe.messages.render import say, text_of
from iamframe.messages.text import SEVERITIES
from iamframe.messages.text import spell_out as spelled
from iamframe.report import charts as pictures
from iamframe.report.translate import Translator
from iamframe.version import __version__

if TYPE_CHECKING:
    from iamframe.analysis.compare import Changes

# A browser lays out a longer table too slowly; the CSV beside the page has all rows.
MAX_TABLE_ROWS = 20_000
_CHUNK = 100
_POLICY = (
    "default-src 'none'; style-src {style}; script-src {script}; img-src data:; base-uri 'none'; form-action 'none'"
)
# Where a finding's cells stand: a class on each of them would cost a tenth of the page.
_CELLS = {
    "severity": ":nth-child(1)",
    "account_id": ":nth-child(2)",
    "resource_name": ":nth-child(3)",
    "resource_arn": ":nth-child(4)",
    "related_arn": ".rel",
    "relation": ".how",
    "maker": ".by",
    "detail": ":nth-last-child(2)",
    "next_step": ":nth-last-child(1)",
}
_OPTIONAL = ("related_arn", "relation", "maker")
_ROW = ("severity", "account_id", "resource_name", "resource_arn", *_OPTIONAL, "detail", "next_step")
_MARKS = ("accepted", "expected", "certainty")
_CHANGE = ["change", "account_id", "resource_type", "resource_name", "resource_arn", "changed"]
_APART = ["account_id", "what", "why"]
_GAP = ["account_id", "region", "operation", "subject", "reason", "gap"]

_Rows = list[tuple[Any, ...]]


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
    chunks: list[_Rows]
    shown: int
    first: tuple[str, str, str] | None
    remediation: str

    @property
    def open(self) -> int:
        """Findings that nobody means or accepts."""
        return self.total - self.expected - self.accepted

    @property
    def worst(self) -> int:
        """Accounts of which the check saw as little as its status says."""
        return sum(len(accounts) for status, _, accounts in self.coverage if status == self.status)


def render_page(
    result: Result,
    title: str | None = None,
    author: str | None = None,
    changes: Changes | None = None,
    *,
    lang: str = "en",
    owner_tag: str = OWNER_TAG,
    is_masked: bool = False,
) -> str:
    """Return the page of a result as text: one HTML document that loads nothing and runs nothing but its own script.

    Every text is escaped, and the Content-Security-Policy allows the page's own style and script by their hashes alone.
    A table is cut at 20,000 rows and says so. The title stands at its head, in the browser's tab and on each printed
    page. Changes are a section of their own. `lang` is the language of all texts but commands, which
    are English.
    """
    words = Translator(lang)
    sections = list(sections_of(result, words))
    inventory = result.inventory
    accounts = inventory.accounts[["account_id", "account_name", "captured_at"]].head(_CHUNK)
    severities = _counted(result.findings["severity"][result.findings["accepted"].isna()])
    return page_template().render(
        **_frame(result, title or words("title"), words),
        **_drawn(result, owner_tag),
        **_gaps(result, words),
        **_in_words(words),
        title=title or "",
        author=author or "",
        masked=say("report.masked", lang) if is_masked else "",
        accounts=cell_rows(accounts.assign(captured_at=accounts["captured_at"].dt.strftime("%Y-%m-%d %H:%M UTC"))),
        rows={name: len(frame) for name, frame in inventory.frames.items()},
        counts={severity: severities.get(severity, 0) for severity in SEVERITIES},
        labels=_heads(words),
        sections=sections,
        found=[section for section in sections if section.open],
        accepted=sum(section.accepted for section in sections),
        said_complete=_capital(result.complete_in(words.lang)),
        unseen=[section for section in sections if section.status != "complete"],
        reasons=_reasons(sections, words.lang),
        changed=_changed(changes, words) if changes is not None else None,
    )


def _frame(result: Result, title: str, words: Translator) -> dict[str, Any]:
    """Return what each page has: its style, its script, the policy for both, and where the result is from."""
    style, script = asset("page.css") + generated_style(title, words), asset("page.js")
    return {
        "style": Markup(style),  # noqa: S704 - our own files, and a title of which each letter is escaped
        "script": Markup(script),  # noqa: S704 - our own file
        "policy": content_policy(style, script),
        "version": __version__,
        "sources": result.inventory.sources,
        "is_sample": result.inventory.sources == ("sample",),
        "policy_file": result.policy.path,
    }


def _drawn(result: Result, owner_tag: str) -> dict[str, Any]:
    keys, tagged = pictures.tags(result)
    return {
        "owners": pictures.owner_counts(result, owner_tag),
        "owner_tag": owner_tag,
        "owner_keys": list(map(spelled, owner_keys(result.inventory, owner_tag))),
        "widths": pictures.widths,
        "relations": pictures.relations(result),
        "purposes": pictures.purposes(result),
        "keys": keys,
        "tagged": tagged,
        "surfaces": pictures.surface_rows(),
        "missed": pictures.missed(result),
        "max_picture": pictures.MAX_PICTURE_ROWS,
        "max_keys": pictures.MAX_KEYS,
    }


def _gaps(result: Result, words: Translator) -> dict[str, Any]:
    gaps = with_details(result.inventory.gaps.head(MAX_TABLE_ROWS), words.lang).rename(columns={"detail": "gap"})
    return {"gap_columns": _GAP, "gaps": _chunks(cell_rows(gaps[_GAP])), "shown_gaps": len(gaps)}


def _heads(words: Translator) -> dict[str, str]:
    """Return the heads of the columns of tables."""
    return {name: words(f"heads.{name}") for name in {*_ROW, *_CHANGE, *_APART, *_GAP}}


def _in_words(words: Translator) -> dict[str, Any]:
    return {"_": words, "word": words.word, "on": words.condition, "n": words.n, "lang": words.lang}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _changed(changes: Changes, words: Translator) -> dict[str, Any]:
    captured, lang = changes.old.inventory.accounts["captured_at"].max(), words.lang
    shown = changes.to_frame(lang, MAX_TABLE_ROWS).rename(columns={"detail": "changed"})
    apart = changes.not_compared.head(MAX_TABLE_ROWS).reset_index(drop=True)
    apart = apart.assign(what=things(as_arrow(apart["facts"]), lang).to_pylist(), why=words.reasons(apart))
    return {
        "since": changes.old.inventory.sources,
        "as_of": "" if pd.isna(captured) else f"{captured:%Y-%m-%d %H:%M} UTC",
        "said": changes.said_in(lang),
        "columns": _CHANGE,
        "kinds": {kind: say(f"changes.kind.{kind}", lang) for kind in shown["change"].unique()},
        "chunks": _chunks(cell_rows(shown[_CHANGE])),
        "shown": len(shown),
        "total": len(changes.changes) + len(changes.findings),
        "apart_columns": _APART,
        "apart": _chunks(cell_rows(apart[_APART])),
        "shown_apart": len(apart),
        "total_apart": len(changes.not_compared),
    }


def asset(name: str) -> str:
    """Return a file of this folder as text."""
    return resources.files("iamframe.report").joinpath(name).read_text("utf-8")


def generated_style(title: str, words: Translator) -> str:
    """Return widths of bars, room for rows off screen, labels of cells on a narrow screen, and the head of each page.

    They stand in the style since the page's policy forbids styles of single elements.
    """
    widths = "".join(f".w{percent}{{width:{percent}%}}" for percent in range(101))
    room = "".join(f".n{tens}{{--rows:{tens}0}}" for tens in range(1, _CHUNK // 10 + 1))
    tables = {".changes": _CHANGE, ".apart": _APART, ".gaps": _GAP}
    cells = [(f".findings td{where}", name) for name, where in _CELLS.items()]
    cells += [(f"{of} td:nth-child({at})", name) for of, names in tables.items() for at, name in enumerate(names, 1)]
    labels = "".join(f'{cell}::before{{content:"{words(f"heads.{name}")}"}}' for cell, name in cells)
    more = f'.more caption::after{{content:" \\2192  {words("scroll")}"/""}}'
    head = "".join(f"\\{ord(letter):x} " for letter in title)
    narrow = f"@media screen and (max-width:700px){{{labels}}}"
    return f'{widths}{room}@media screen{{{more}}}{narrow}@page{{@top-left{{content:"{head}"}}}}'


def content_policy(style: str, script: str) -> str:
    """Return the policy that allows a page its own style and script alone."""
    return _POLICY.format(style=_hash(style), script=_hash(script))


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _counted(values: pd.Series) -> dict[str, int]:
    return {pair["values"]: pair["counts"] for pair in pc.value_counts(as_arrow(values)).to_pylist()}


def _chunks(rows: _Rows) -> list[_Rows]:
    return [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]


def sections_of(result: Result, words: Translator) -> Iterator[Section]:
    """Yield the checks of a result as the page shows them, by severity."""
    findings = result.findings if words.lang == "en" else result.findings_in(words.lang)
    shown_as = findings.assign(maker=_makers(findings))
    findings = pa.table({name: pa.array(shown_as[name], from_pandas=True) for name in ("check", *_ROW, *_MARKS)})
    coverage: dict[str, list[tuple[str, str, str]]] = {name: [] for name in result.checks}
    columns = (result.coverage[name].tolist() for name in ("check", "account_id", "status"))
    for of, account, status, reason in zip(*columns, words.reasons(result.coverage), strict=True):
        coverage[of].append((account, status, reason))
    for name, check in sorted(result.checks.items(), key=lambda item: SEVERITIES.index(item[1].severity)):
        where = pc.indices_nonzero(pc.equal(findings["check"], name))
        found = findings.take(where)
        shown = found.slice(0, MAX_TABLE_ROWS)
        rows = list(zip(*(shown[column].to_pylist() for column in (*_ROW, *_MARKS)), strict=True))
        accepted = pc.is_valid(found["accepted"])
        yield Section(
            name=name,
            title=str(text_of(f"checks.{name}.title", words.lang, check.title)),
            why=str(text_of(f"checks.{name}.why", words.lang, check.why)),
            severity=check.severity,
            status=max((status for _, status, _ in coverage[name]), key=STATUSES.index, default="unknown"),
            coverage=_grouped(coverage[name]),
            total=len(found),
            expected=pc.sum(pc.and_not(found["expected"], accepted)).as_py() or 0,
            accepted=pc.sum(accepted).as_py() or 0,
            columns=[c for c in _ROW if c not in _OPTIONAL or shown[c].null_count < len(shown)],
            chunks=_chunks(rows),
            shown=len(shown),
            first=_first(rows),
            remediation=str(text_of(f"checks.{name}.remediation", words.lang, check.remediation)),
        )


def _makers(findings: pd.DataFrame) -> pd.Series:
    """Return the makers as the page shows them: with a question mark where one side only looks like theirs."""
    return findings["maker"].where(findings["maker_basis"] != GUESS, findings["maker"] + "?")


def _first(rows: _Rows) -> tuple[str, str, str] | None:
    """Return name, next step and account of the first finding that nobody means or accepts and that has both."""
    for row in rows:
        named = dict(zip((*_ROW, *_MARKS), row, strict=True))
        if not named["expected"] and not named["accepted"] and named["resource_name"] and named["next_step"]:
            return named["resource_name"], named["next_step"], named["account_id"]
    return None


def _grouped(coverage: list[tuple[str, str, str]]) -> list[tuple[str, str, list[str]]]:
    """Return the statuses that are not complete, and their reasons, with the accounts that share them, worst first."""
    groups: dict[tuple[str, str], list[str]] = {}
    for account, status, reason in coverage:
        if status != "complete":
            groups.setdefault((status, reason), []).append(account)
    ordered = sorted(groups.items(), key=lambda item: (-STATUSES.index(item[0][0]), -len(item[1]), item[0][1]))
    return [(status, reason, accounts) for (status, reason), accounts in ordered]


def _reasons(sections: list[Section], lang: str) -> list[tuple[str, list[tuple[Section, str]], list[str]]]:
    """Return each reason why something was not seen, once, with the checks and the accounts that it holds for."""
    said: dict[str, tuple[list[tuple[Section, str]], dict[str, None]]] = {}
    for section in sections:
        for status, reason, accounts in section.coverage:
            checks, of_accounts = said.setdefault(reason, ([], {}))
            checks.append((section, status))
            of_accounts |= dict.fromkeys(accounts)
        if section.status != "complete" and not section.coverage:
            checks, _ = said.setdefault(say("coverage.no_account", lang), ([], {}))
            checks.append((section, section.status))
    ordered = sorted(said.items(), key=lambda item: (-len(item[1][1]), -len(item[1][0])))
    return [(reason, checks, list(accounts)) for reason, (checks, accounts) in ordered]


_SOME = "IAM roles and instance profiles: some findings"


def render_findings(result: Result, said: str) -> str:
    """Return the page of a result's findings, section by section, as text: one HTML document.

    It is as safe as `render_page`. `said` tells at its head by what the findings were chosen.
    """
    words = Translator("en")
    sections = list(sections_of(result, words))
    return page_template("findings.html.j2").render(
        **_frame(result, _SOME, words),
        title=_SOME,
        chosen=said,
        labels=_heads(words),
        sections=[section for section in sections if section.total],
        unseen=[section for section in sections if section.status != "complete"],
    )


def page_template(name: str = "page.html.j2") -> Template:
    """Return a template of this folder: what it is given is escaped, and what it is not given is an error.

    To compile it takes an eighth of a report's time, so that it is kept, as Python keeps what it compiled.
    """
    compiled = Path(__file__).with_name("__pycache__")
    is_kept = not sys.dont_write_bytecode and os.access(compiled, os.W_OK)
    environment = Environment(
        autoescape=True,
        loader=PackageLoader("iamframe.report", "."),
        bytecode_cache=FileSystemBytecodeCache(str(compiled), "%s.jinja") if is_kept else None,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(name)
