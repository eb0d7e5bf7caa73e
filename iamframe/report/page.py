"""The report's page, as one self-contained HTML file. The page is safe to open, even if a name contains HTML."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from iamframe.analysis.matching import in_short, things
from iamframe.analysis.owners import STATES
from iamframe.checks import CHECKS
from iamframe.checks.result import Result
from iamframe.inventory.arrow import as_arrow
from iamframe.inventory.display import cell_rows
from iamframe.inventory.gaps import with_details
from iamframe.inventory.inventory import SAMPLES
from iamframe.messages.render import say
from iamframe.messages.text import SEVERITIES
from iamframe.report.numbers import MAX_OTHER_ROWS, MAX_PICTURE_ROWS, Numbers, numbers_of
from iamframe.report.pictures import MAX_OVERVIEW_ROWS, Pictures, collected_at, sorted_owners
from iamframe.report.rows import (
    CHUNK,
    MAX_ROWS,
    MIN_ROWS_PER_CHECK,
    FindingRows,
    Section,
    chunked,
    reasons_of,
    sections_of,
)
from iamframe.report.translate import Translator, coded, whole_words, without_folder
from iamframe.version import __version__

if TYPE_CHECKING:
    from iamframe.analysis.compare import Changes
    from iamframe.analysis.drift import Drift

# The page names at most this many sources.
_MAX_SOURCES = 10
# A longer list in a filter is slow to open and to search.
_MAX_OPTIONS = 1_000
# An accepted finding counts again after this time, unless a person chooses another day.
_ACCEPTED_FOR = dt.timedelta(days=180)
_POLICY = (
    "default-src 'none'; style-src {style}; script-src {script}; img-src data:; base-uri 'none'; form-action 'none'"
)
_Row = tuple[str | None, ...]
# The columns of the tables that do not show findings, by CSS class.
_COLUMNS = {
    "changes": ["change", "account_id", "resource_type", "resource_name", "resource_arn", "changed"],
    "apart": ["account_id", "what", "why"],
    "drift": ["difference", "account_id", "resource_type", "resource_name", "state_address", "changed"],
    "gaps": ["account_id", "region", "operation", "subject", "reason", "gap"],
}
# The nouns for the numbers of collected rows.
_NOUNS = {"accounts": "account", "roles": "role", "profiles": "instance-profile"}
_NOUNS |= {"links": "link", "tags": "tag", "references": "mention"}
_LISTS = {"roles": "page.lists.roles", "profiles": "page.lists.profiles", "references": "page.lists.references"}
# The texts that the script shows.
_SCRIPT_TEXTS = ("of", "match", "copy", "copied", "selected", "more", "less", "maker", "reason", "file", "until")
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
    """Return the HTML page of a result as text.

    The page loads no other files, and runs only its own script. Every text is escaped. Suggested commands are always in
    English. The texts in `numbers` must be in the language `lang`.
    """
    numbers = numbers or numbers_of(result, lang)
    listed = numbers.listed
    words = Translator(lang, listed.sources)
    gaps, changed = _gaps(numbers, words), _changed(changes, words) if changes is not None else None
    drifted = _drifted(drift, words) if drift is not None else None
    others: list[OtherTable] = [
        gaps,
        *([changed["list"], changed["apart"]] if changed else []),
        *([drifted["list"]] if drifted else []),
    ]
    sections = sections_of(listed, words, MAX_ROWS - sum(one.size for one in others), is_masked=is_masked)
    linked = [one.account_id for one in numbers.accounts[:MAX_OVERVIEW_ROWS]]
    linked += [name for (_, name), _ in sorted_owners(numbers)[:MAX_PICTURE_ROWS] if name]
    return page_template().render(
        **_frame(listed, title or words("title"), words, sections, linked, is_masked=is_masked),
        **_overview(numbers, words, sections),
        title=title or "",
        author=author or "",
        chosen="",
        undecided=0,
        gaps=gaps,
        changed=changed,
        drifted=drifted,
    )


def render_findings(result: Result, heading: str, *, undecided: int = 0, is_masked: bool = False) -> str:
    listed = FindingRows.of(result)
    words = Translator("en", listed.sources)
    title = words("title_of_some")
    sections = sections_of(listed, words, is_masked=is_masked)
    return page_template().render(
        **_frame(listed, title, words, sections, is_masked=is_masked),
        title=title,
        author="",
        chosen=heading,
        undecided=undecided,
        gaps=None,
    )


def _frame(
    listed: FindingRows,
    title: str,
    words: Translator,
    sections: list[Section],
    linked: Collection[str] = (),
    *,
    is_masked: bool,
) -> dict[str, Any]:
    layouts = _layouts(sections)
    style, script = asset("page.css") + generated_style(title, words, layouts), asset("page.js")
    today = dt.datetime.now(dt.UTC).date()
    accounts, sources, file = listed.accounts, listed.sources, without_folder(listed.policy.path or "")
    shown = _sources(list(map(words.without_folders, sources)), words, "inventory")
    made = {"date": today, "version": __version__, "sources": shown}
    return {
        "_": words,
        "style": Markup(style),  # noqa: S704 - our own files, and a title whose letters are all escaped
        "script": Markup(script),  # noqa: S704 - our own file
        "script_texts": _SCRIPT_TEXTS,
        "policy": _POLICY.format(style=_hash(style), script=_hash(script)),
        "version": __version__,
        "made": words("made_with_policy", file=file, **made) if file else words("made", **made),
        "expires": today + _ACCEPTED_FOR,
        "is_sample": len(sources) == 1 and sources[0] in SAMPLES,
        "sections": sections,
        "layouts": layouts,
        "unseen": [section for section in sections if section.status != "complete"],
        "not_run": len(CHECKS.keys() - listed.checks.keys()),
        "reasons": reasons_of(listed),
        "masked": say("report.masked", words.lang) if is_masked else "",
        "section_of": {section.name: section for section in sections},
        "all_accounts": len(accounts),
        "only_account": accounts[0] if len(accounts) == 1 else "",
        "filters": _filters(listed, words, sections, linked),
        "total": listed.counts.total(),
        "least": MIN_ROWS_PER_CHECK,
        "shown": sum(section.to_fix.shown + section.no_action.shown for section in sections),
    }


def _sources(sources: list[str], words: Translator, otherwise: str) -> str:
    return words.some(sources) if len(sources) > _MAX_SOURCES else ", ".join(sources) or words(otherwise)


def _overview(numbers: Numbers, words: Translator, sections: list[Section]) -> dict[str, Any]:
    severities = {name: numbers.summary["attention"][name] for name in SEVERITIES}
    attention = {name: count for name, count in severities.items() if count or name != "info"}
    states: Counter[str] = Counter()
    for (_, _, state), count in numbers.listed.counts.items():
        states[state] += count
    total, rows = sum(attention.values()), numbers.summary["rows"]
    pictures = Pictures(numbers, words, attention)
    counted = {name: words.n(rows[name], noun) for name, noun in _NOUNS.items()}
    dates = [collected_at(time, words) for time in numbers.dates]
    no_key = words("no_owner_key", key=numbers.owner_tag)
    return {
        "strip": [
            ("all", total, words.n(total, "attention")),
            *((name, count, words.word(name)) for name, count in attention.items()),
            ("soft", states["expected"], words.n(states["expected"], "expected")),
            *([("soft", states["accepted"], words.n(states["accepted"], "accepted"))] if states["accepted"] else []),
        ],
        "looked_at": Markup(" ").join(
            [words("looked_at", **counted), *_partial_lists(numbers, words), *(dates if len(dates) == 1 else [])]
        ),
        "demands": _demands(numbers, words),
        "accounts": pictures.accounts(),
        "owners": pictures.owners(),
        "no_owner_key": "" if numbers.owner_keys else no_key if rows["tags"] else words("no_tags"),
        "found": [section for section in sections if section.to_fix.total],
        "checks": pictures.checks(sections),
        # Each picture, and the id of its heading.
        "pictures": [
            ("", pictures.relations()),
            ("", pictures.purposes()),
            ("quota", pictures.quota_use()),
            ("", pictures.tag_coverage()),
            ("", pictures.surfaces()),
        ],
        "all_gaps": rows["gaps"],
    }


def _partial_lists(numbers: Numbers, words: Translator) -> list[str]:
    lists = [{"message": message} for name, message in _LISTS.items() if name in numbers.partial_lists]
    return [say("page.not_all", words.lang, lists=lists)] if lists else []


def _demands(numbers: Numbers, words: Translator) -> str:
    said = []
    for key, values, required_of in sorted(numbers.demands):
        tag = words("demand_values", key=key, values=values) if values else key
        resources = words("and").join(map(words.word, required_of.split()))
        said.append(words("demand_required", tag=tag, resources=resources) if required_of else tag)
    return words("demands", tags=words("semicolon").join(said)) if said else ""


def _filters(
    listed: FindingRows, words: Translator, sections: list[Section], linked: Collection[str]
) -> list[tuple[str, list[tuple[str, str]], int]]:
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
    # The page has buttons for the names in `linked`, so these names are chosen first.
    chosen = set(sorted(names, key=lambda name: (name not in linked, -rows[name]))[:_MAX_OPTIONS])
    return [name for name in names if name in chosen]


def _folded(name: str) -> tuple[str, str]:
    return name.casefold(), name


class OtherTable(msgspec.Struct, frozen=True):
    name: Markup
    kind: str
    caption: Markup
    columns: list[str]
    chunks: list[list[_Row]]
    size: int


def _other_table(
    words: Translator, kind: str, name: str, rows: list[_Row], total: int, file: str = "", more: str = ""
) -> OtherTable:
    caption = Markup("").join([words.rows_of(len(rows), total, file or f"{kind}.csv"), more])
    return OtherTable(words(name), kind, caption, _COLUMNS[kind], chunked(rows), len(rows))


def _gaps(numbers: Numbers, words: Translator) -> OtherTable:
    gaps = with_details(numbers.gaps, words.lang).rename(columns={"detail": "gap"})
    for column in ("subject", "gap"):
        gaps[column] = [words.without_folders(text) for text in gaps[column].fillna("")]
    rows: list[_Row] = [
        (account, words.word(region), operation, words("whole") if subject == "*" else subject, words.word(reason), gap)
        for account, region, operation, subject, reason, gap in cell_rows(gaps[_COLUMNS["gaps"]])
    ]
    return _other_table(words, "gaps", "gaps", rows, numbers.summary["rows"]["gaps"])


def _changed(changes: Changes, words: Translator) -> dict[str, Any]:
    captured, lang = changes.old.inventory.accounts["captured_at"].max(), words.lang
    shown = changes.to_frame(lang, MAX_OTHER_ROWS).rename(columns={"detail": "changed"})
    apart = in_short(changes.not_compared.head(MAX_OTHER_ROWS).reset_index(drop=True))
    apart = apart.assign(what=things(as_arrow(apart["facts"]), lang).to_pylist(), why=words.reasons(apart))
    rows: list[_Row] = [
        (say(f"changes.kind.{change}", lang), account, words.word(kind or ""), *others)
        for change, account, kind, *others in cell_rows(shown[_COLUMNS["changes"]])
    ]
    reasons: list[_Row] = [(account, what, coded(why)) for account, what, why in cell_rows(apart[_COLUMNS["apart"]])]
    older = [without_folder(source) for source in changes.old.inventory.sources]
    given = {"sources": _sources(older, words, "older"), "said": changes.sentence_in(lang)}
    since = words("since", **given)
    if not pd.isna(captured):
        since = words("since_at", time=f"{captured:%Y-%m-%d %H:%M} UTC", **given)
    total, total_apart = len(changes.changes) + len(changes.findings), len(changes.not_compared)
    more, old = words("old_and_new"), changes.attention.get("old")
    return {
        "before": words("before", sources=given["sources"], old=say(**old, lang=lang)) if old else "",
        "said": Markup(" ").join([since, *([words("no_change")] if reasons else [])]),
        "list": _other_table(words, "changes", "changed", rows, total, words("files_of_changes")),
        "nothing": words("nothing_compared" if reasons else "nothing"),
        "apart": _other_table(words, "apart", "not_compared", reasons, total_apart, "not_compared.csv", more),
        "total": total,
    }


def _drifted(drift: Drift, words: Translator) -> dict[str, Any]:
    shown = drift.to_frame(words.lang, MAX_OTHER_ROWS).rename(columns={"kind": "difference", "detail": "changed"})
    rows: list[_Row] = [
        (say(f"drift.kind.{kind}", words.lang), account, words.word(of or ""), *others)
        for kind, account, of, *others in cell_rows(shown[_COLUMNS["drift"]])
    ]
    states = ", ".join(map(without_folder, drift.states))
    return {
        "said": words("against", states=states, said=drift.sentence_in(words.lang)),
        "list": _other_table(words, "drift", "drifted", rows, len(drift.differences)),
        "total": int((drift.differences["kind"] != "unknown").sum()),
    }


def asset(name: str) -> str:
    return resources.files("iamframe.report").joinpath(name).read_text("utf-8")


def _layouts(sections: list[Section]) -> dict[tuple[str, ...], str]:
    columns = dict.fromkeys(
        rows.columns for one in sections for part in (one.to_fix, one.no_action) for rows in part.tables
    )
    return {names: f"c{number}" for number, names in enumerate(columns)}


def generated_style(title: str, words: Translator, layouts: dict[tuple[str, ...], str]) -> str:
    # The page's security policy forbids `style` attributes, so the style sheet contains all widths.
    widths = "".join(f".w{percent}{{width:{percent}%}}" for percent in range(101))
    room = "".join(f".n{tens}{{--rows:{tens}0}}" for tens in range(1, CHUNK // 10 + 1))
    tables: dict[str, Sequence[str]] = _COLUMNS | {of: names for names, of in layouts.items()}
    cells = [(f".{of} td:nth-child({at})", name) for of, names in tables.items() for at, name in enumerate(names, 1)]
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


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def page_template() -> Template:
    jinja = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    jinja.filters |= {"coded": coded, "whole_words": whole_words}
    return jinja.from_string(asset("page.html.j2"))
