"""The page: one self-contained HTML file that is safe to open, whatever names it contains."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from importlib import resources
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, StrictUndefined, Template, compiler
from markupsafe import Markup

from iamframe.analysis.matching import things
from iamframe.analysis.owners import STATES
from iamframe.checks.result import Result
from iamframe.inventory.arrow import as_arrow
from iamframe.inventory.display import cell_rows
from iamframe.inventory.gaps import with_details
from iamframe.inventory.inventory import SAMPLES
from iamframe.messages.render import say
from iamframe.messages.text import SEVERITIES
from iamframe.messages.text import spell_out as spelled
from iamframe.report import charts as pictures
from iamframe.report.numbers import MAX_OTHER_ROWS, Numbers, numbers_of
from iamframe.report.rows import CHUNK, COLUMNS, MAX_ROWS, FindingRows, Section, sections_of
from iamframe.report.translate import Translator, without_folder
from iamframe.version import __version__

if TYPE_CHECKING:
    from iamframe.analysis.compare import Changes
    from iamframe.analysis.drift import Drift

_MAX_OVERVIEW_ROWS = 10
# A longer list in a filter is slow to open and to search.
_MAX_OPTIONS = 1_000
# An accepted finding counts again after this time, unless a person chooses another day.
_ACCEPTED_FOR = dt.timedelta(days=180)
_POLICY = (
    "default-src 'none'; style-src {style}; script-src {script}; img-src data:; base-uri 'none'; form-action 'none'"
)
_CHANGE = ["change", "account_id", "resource_type", "resource_name", "resource_arn", "changed"]
_APART = ["account_id", "what", "why"]
_DRIFT = ["difference", "account_id", "resource_type", "resource_name", "state_address", "changed"]
_GAP = ["account_id", "region", "operation", "subject", "reason", "gap"]
_SHARES = {"name": "1.4fr", "path": ".7fr", "found": "2fr", "relation": ".9fr", "maker": ".8fr", "owner": ".7fr"}


def render_page(
    result: Result,
    title: str | None = None,
    author: str | None = None,
    changes: Changes | None = None,
    *,
    lang: str = "en",
    is_masked: bool = False,
    drift: Drift | None = None,
    numbers: Numbers | None = None,
) -> str:
    """Return the HTML page of a result as text. The page loads no other files, and runs only its own script.

    Every text is escaped. The Content-Security-Policy allows only the page's own style and script, by their hashes. The
    page has at most 10,000 rows. The most severe findings come first. A check has at least 300 rows, unless it has
    fewer findings. If rows are left out, the page has a note. The title is at the top of the page, in the browser's tab
    and on each printed page. Changes, and differences from Terraform, have their own sections. `lang` is the language
    of all texts except commands, which are English. `numbers` has the numbers of the result in this language. If it is
    given, the result is not read.
    """
    numbers = numbers or numbers_of(result, lang)
    listed = numbers.listed
    words = Translator(lang, listed.sources)
    gaps, changed = _gaps(numbers.gaps, words), _changed(changes, words) if changes is not None else None
    drifted = _drifted(drift, words) if drift is not None else None
    others = gaps["shown_gaps"] + (changed["shown"] + changed["shown_apart"] if changed else 0)
    others += drifted["shown"] if drifted else 0
    sections = sections_of(listed, words, MAX_ROWS - others, is_masked=is_masked)
    states: Counter[str] = Counter()
    for (_, _, state), count in listed.counts.items():
        states[state] += count
    severities = {name: numbers.summary["attention"][name] for name in SEVERITIES}
    drawn = _drawn(numbers)
    linked = [one.account_id for one in numbers.accounts[:_MAX_OVERVIEW_ROWS]]
    linked += [one.name for one in drawn["owners"][: pictures.MAX_PICTURE_ROWS] if one.name]
    return page_template().render(
        **_frame(listed, title or words("title"), words, sections, linked),
        **drawn,
        **gaps,
        title=title or "",
        author=author or "",
        chosen="",
        masked=say("report.masked", lang) if is_masked else "",
        rows=numbers.summary["rows"],
        attention={name: count for name, count in severities.items() if count or name != "info"},
        accepted=states["accepted"],
        expected=states["expected"],
        found=[section for section in sections if section.to_fix.total],
        changed=changed,
        drifted=drifted,
    )


def render_findings(result: Result, said: str) -> str:
    """Return the findings of a result as one HTML page, with a section per check.

    The page is as safe as the page of `render_page`. The text `said` describes how the findings were selected. It is at
    the top of the page.
    """
    listed = FindingRows.of(result)
    words = Translator("en", listed.sources)
    title = words("title_of_some")
    sections = sections_of(listed, words)
    return page_template().render(
        **_frame(listed, title, words, sections), title=title, author="", chosen=said, masked="", shown_gaps=0
    )


def _frame(
    listed: FindingRows, title: str, words: Translator, sections: list[Section], linked: Collection[str] = ()
) -> dict[str, Any]:
    """Return the values that the template needs for every page, such as texts, style, script and checks.

    `linked` has the accounts and owners that the page has buttons for.
    """
    layouts = _layouts(sections)
    style, script = asset("page.css") + generated_style(title, words, layouts), asset("page.js")
    today = dt.datetime.now(dt.UTC).date()
    accounts, sources = listed.accounts, listed.sources
    return {
        "_": words,
        "word": words.word,
        "on": words.condition,
        "n": words.n,
        "lang": words.lang,
        "style": Markup(style),  # noqa: S704 - our own files, and a title of which each letter is escaped
        "script": Markup(script),  # noqa: S704 - our own file
        "policy": content_policy(style, script),
        "version": __version__,
        "date": today,
        "expires": today + _ACCEPTED_FOR,
        "sources": [words.without_folders(source) for source in sources],
        "max_sources": _MAX_OVERVIEW_ROWS,
        "is_sample": len(sources) == 1 and sources[0] in SAMPLES,
        "policy_file": without_folder(listed.policy.path or ""),
        "labels": {name: words(f"heads.{name}") for name in {*COLUMNS, *_CHANGE, *_APART, *_DRIFT, *_GAP}},
        "sections": sections,
        "layouts": layouts,
        "unseen": [section for section in sections if section.status != "complete"],
        "reasons": _reasons(sections, words.lang),
        "all_accounts": len(accounts),
        "only_account": accounts[0] if len(accounts) == 1 else "",
        "filters": _filters(listed, words, sections, linked),
        "total": listed.counts.total(),
        "shown": sum(section.to_fix.shown + section.no_action.shown for section in sections),
    }


def _filters(
    listed: FindingRows, words: Translator, sections: list[Section], linked: Collection[str]
) -> list[tuple[str, list[tuple[str, str]], int]]:
    """Return the filters of the page: for each, its name, its options, and the number of options that are left out.

    An option has a value and a text.
    """
    severities = {severity for _, severity, _ in listed.counts}
    accounts, owners = (
        _options(names, linked, Counter(listed.findings[of].drop_null().to_pylist()))
        for of, names in (("account_id", listed.accounts), ("owner", sorted(listed.owners, key=_folded)))
    )
    # A name gets `=` in front, so that an owner named `none` differs from "no owner".
    choices = {
        "severity": [(name, words.word(name)) for name in SEVERITIES if name in severities],
        "account": [(account, account) for account in accounts],
        "owner": [*((f"={name}", name) for name in owners), *((name, words(f"owner_{name}")) for name in STATES[1:])],
        "check": [(section.name, section.title) for section in sections if section.total],
    }
    more = {"account": len(listed.accounts) - len(accounts), "owner": len(listed.owners) - len(owners)}
    shown = {"severity", "check", *(["account"] if len(accounts) > 1 else []), *(["owner"] if owners else [])}
    return [(name, values, more.get(name, 0)) for name, values in choices.items() if name in shown]


def _options(names: list[str], linked: Collection[str], rows: Counter[str]) -> list[str]:
    """Return up to `_MAX_OPTIONS` names: those in `linked`, then those with the most rows."""
    chosen = set(sorted(names, key=lambda name: (name not in linked, -rows[name]))[:_MAX_OPTIONS])
    return [name for name in names if name in chosen]


def _folded(name: str) -> tuple[str, str]:
    return name.casefold(), name


def _drawn(numbers: Numbers) -> dict[str, Any]:
    keys, tagged = pictures.tags(numbers.tag_keys, numbers.taggable)
    return {
        "accounts": numbers.accounts,
        "dates": sorted(numbers.dates),
        "owners": pictures.owner_counts(numbers.owners),
        "owner_tag": numbers.owner_tag,
        "owner_keys": list(map(spelled, numbers.owner_keys)),
        "widths": pictures.widths,
        "relations": pictures.relations(numbers.relations),
        "purposes": numbers.purposes,
        "uses": numbers.uses,
        "all_uses": numbers.all_uses,
        "keys": keys,
        "tagged": tagged,
        "surfaces": pictures.surface_rows(),
        "missed": pictures.missed(numbers.missed),
        "max_picture": pictures.MAX_PICTURE_ROWS,
        "max_overview": _MAX_OVERVIEW_ROWS,
        "max_keys": pictures.MAX_KEYS,
    }


def _gaps(gaps: pd.DataFrame, words: Translator) -> dict[str, Any]:
    gaps = with_details(gaps, words.lang).rename(columns={"detail": "gap"})
    for column in ("subject", "gap"):
        gaps[column] = [words.without_folders(text) for text in gaps[column].fillna("")]
    return {"gap_columns": _GAP, "gaps": _chunks(cell_rows(gaps[_GAP])), "shown_gaps": len(gaps)}


def _changed(changes: Changes, words: Translator) -> dict[str, Any]:
    captured, lang = changes.old.inventory.accounts["captured_at"].max(), words.lang
    shown = changes.to_frame(lang, MAX_OTHER_ROWS).rename(columns={"detail": "changed"})
    apart = changes.not_compared.head(MAX_OTHER_ROWS).reset_index(drop=True)
    apart = apart.assign(what=things(as_arrow(apart["facts"]), lang).to_pylist(), why=words.reasons(apart))
    return {
        "since": [without_folder(source) for source in changes.old.inventory.sources],
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


def _drifted(drift: Drift, words: Translator) -> dict[str, Any]:
    shown = drift.to_frame(words.lang, MAX_OTHER_ROWS).rename(columns={"kind": "difference", "detail": "changed"})
    return {
        "states": [without_folder(state) for state in drift.states],
        "said": drift.said_in(words.lang),
        "columns": _DRIFT,
        "kinds": {kind: say(f"drift.kind.{kind}", words.lang) for kind in shown["difference"].unique()},
        "chunks": _chunks(cell_rows(shown[_DRIFT])),
        "shown": len(shown),
        "total": len(drift.differences),
    }


def asset(name: str) -> str:
    """Return the text of a file in this package."""
    return resources.files("iamframe.report").joinpath(name).read_text("utf-8")


def _layouts(sections: list[Section]) -> dict[tuple[str, ...], str]:
    """Return the CSS classes of the tables of findings. Tables with the same columns have the same class."""
    columns = dict.fromkeys(
        rows.columns for one in sections for part in (one.to_fix, one.no_action) for rows in part.tables
    )
    return {names: f"c{number}" for number, names in enumerate(columns)}


def generated_style(title: str, words: Translator, layouts: dict[tuple[str, ...], str]) -> str:
    """Return style rules that depend on the page: widths, space for rows to be drawn later, labels, and the title.

    The page's security policy forbids `style` attributes, so the style sheet contains these rules.
    """
    widths = "".join(f".w{percent}{{width:{percent}%}}" for percent in range(101))
    room = "".join(f".n{tens}{{--rows:{tens}0}}" for tens in range(1, CHUNK // 10 + 1))
    tables: dict[str, Sequence[str]] = {".changes": _CHANGE, ".apart": _APART, ".drift": _DRIFT, ".gaps": _GAP}
    tables |= {f".{of}": names for names, of in layouts.items()}
    cells = [(f"{of} td:nth-child({at})", name) for of, names in tables.items() for at, name in enumerate(names, 1)]
    labels = "".join(f'{cell}::before{{content:"{words(f"heads.{name}")}"}}' for cell, name in cells)
    grids = "".join(
        f".{of} tr{{grid-template-columns:{' '.join(_SHARES.get(name, '8.1rem') for name in names)} 5.5rem}}"
        for names, of in layouts.items()
    )
    more = f'.scroll.more::before{{content:"\\2192  {words("scroll")}"/""}}'
    head = "".join(f"\\{ord(letter):x} " for letter in title)
    narrow = f"@media screen and (max-width:700px){{{labels}}}"
    wide = f"@media screen and (min-width:701px){{{grids}}}"
    return f'{widths}{room}{wide}@media screen{{{more}}}{narrow}@page{{@top-left{{content:"{head}"}}}}'


def content_policy(style: str, script: str) -> str:
    """Return the security policy that allows only the page's own style and script."""
    return _POLICY.format(style=_hash(style), script=_hash(script))


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _chunks(rows: list[tuple[Any, ...]]) -> list[list[tuple[Any, ...]]]:
    return [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]


def _reasons(sections: list[Section], lang: str) -> list[tuple[str, list[tuple[Section, str]], list[str]]]:
    """Return the reasons for incomplete checks. Each reason is listed once, with its checks and accounts."""
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


_JINJA = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)


class _TemplateLoader(SourceFileLoader):
    """Loads the template as Python loads a module: the compiled code is kept in `__pycache__`.

    Without it, compiling the template takes an eighth of a report's time.
    """

    def path_stats(self, path: str) -> dict[str, Any]:
        """Return size and time of the template. A newer Jinja also makes the time newer."""
        template, jinja = (SourceFileLoader.path_stats(self, file) for file in (path, compiler.__file__))
        return {**template, "mtime": max(template["mtime"], jinja["mtime"])}

    def source_to_code(self, data: bytes, path: str) -> CodeType:  # type: ignore[override]
        """Compile the template with Jinja."""
        return _JINJA.compile(data.decode(), filename=path)


def page_template() -> Template:
    """Return the page's template. Values are escaped, and a missing value is an error."""
    loader = _TemplateLoader("page", str(Path(__file__).with_name("page.html.j2")))
    return Template.from_code(_JINJA, loader.get_code("page"), _JINJA.globals)  # type: ignore[arg-type]
