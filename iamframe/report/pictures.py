"""The pictures on the report's page. Most pictures are tables with bars or shaded cells."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby

import msgspec
from markupsafe import Markup, escape

from iamframe.analysis.owners import STATES
from iamframe.knowledge.surfaces import Fact, known_facts
from iamframe.messages.text import spell_out
from iamframe.report.numbers import (
    MAX_KEYS,
    MAX_PICTURE_ROWS,
    RELATIONS,
    Numbers,
    Purpose,
    QuotaRow,
    Tagged,
    TagStates,
    Totals,
    most_used_keys,
    states_by_type,
    tags,
    widths,
)
from iamframe.report.rows import Section
from iamframe.report.translate import Translator

# The number of rows in the pictures at the top of the page.
MAX_OVERVIEW_ROWS = 10

# A count, a text, or a text and more CSS classes for its cell. A text that is not markup is escaped.
_Value = int | str | tuple[int | str, str]
_Row = Sequence[_Value]
# Uses of profiles, in the order of their bars.
_USES = ("referred", "silent", "empty")


class ColumnHead(msgspec.Struct, frozen=True):
    text: str
    # The CSS class of the cells.
    kind: str = ""
    # The text beside each cell on narrow screens.
    label: str = ""
    # The order: `number`, `severity`, an empty text (alphabetical), or None (no order).
    sort: str | None = ""
    swatch: str = ""


class Picture(msgspec.Struct, frozen=True):
    name: Markup
    kind: str
    caption: Markup
    heads: list[ColumnHead]
    # Each cell consists of a text, CSS classes and a label.
    rows: list[list[tuple[str, str, str]]]
    # The text that replaces a table without rows.
    none: str


class Pictures(msgspec.Struct, frozen=True):
    numbers: Numbers
    words: Translator
    severities: Collection[str]

    def accounts(self) -> Picture:
        words, total = self.words, len(self.numbers.listed.accounts)
        columns = [ColumnHead(words("heads.account_id")), *self._total_heads(), _number(words("checks_incomplete"))]
        rows: list[_Row] = []
        for one in self.numbers.accounts[:MAX_OVERVIEW_ROWS]:
            named = self._with_name(one.account_id, _button("account", one.account_id, one.account_id))
            # If all accounts were collected at one time, the time is above the picture.
            if len(self.numbers.dates) > 1:
                named += Markup(" ") + _soft(collected_at(one.captured_at, words))
            rows.append([named, *self._of_totals(one.totals), one.incomplete])
        caption = [*self._first_of(MAX_OVERVIEW_ROWS, total), words("per_account")]
        return _picture(words("looked"), caption, columns, rows, kind="totals")

    def owners(self) -> Picture:
        words, keys = self.words, list(map(spell_out, self.numbers.owner_keys))
        caption = self._first_of(MAX_PICTURE_ROWS, len(self.numbers.owners))
        if keys:
            more = ", ".join(keys[1:])
            caption.append(words("by_tags", key=keys[0], keys=more) if more else words("by_tag", key=keys[0]))
        rows: list[_Row] = []
        for (state, name), totals in sorted_owners(self.numbers)[:MAX_PICTURE_ROWS]:
            is_owned = state == "owned"
            button = _button("owner", f"={name}" if is_owned else state, name if is_owned else words(f"owner_{state}"))
            rows.append([(button, "unknown" if state == "unread" else ""), *self._of_totals(totals)])
        columns = [ColumnHead(words("heads.owner")), *self._total_heads()]
        return _picture(words("owners"), caption, columns, rows, kind="totals", none=words("no_owner"))

    def _first_of(self, most: int, total: int) -> list[str]:
        return [self.words("first_of", n=most, n2=total), " "] if total > most else []

    def _total_heads(self) -> list[ColumnHead]:
        words = self.words
        return [
            *(_number(words("resources_of", severity=words.word(name))) for name in self.severities),
            _number(words("findings_to_fix")),
            _number(words("no_action")),
        ]

    def _of_totals(self, totals: Totals) -> list[int]:
        return [totals[name] for name in (*self.severities, "to_fix", "no_action")]

    def checks(self, sections: list[Section]) -> Picture:
        words = self.words
        columns = [
            ColumnHead(words("heads.check")),
            ColumnHead(words("heads.severity"), sort="severity"),
            ColumnHead(words("seen")),
            _number(words("to_fix")),
            _number(words("no_action")),
            _chart(words),
        ]
        longest = max([1, *(section.total for section in sections)])
        rows = [self._check(section, longest) for section in sections]
        return _picture(words("per_check"), [words("per_check_caption")], columns, rows, kind="index")

    def _check(self, section: Section, longest: int) -> _Row:
        words, accounts, severity = self.words, len(self.numbers.listed.accounts), section.check.severity
        status, is_unknown = words.word(section.status), section.status == "unknown"
        if accounts > 1 and section.incomplete:
            status = Markup(",<br>").join(
                Markup("{} {}").format(words.word(one), _soft(words("in_accounts", n=number, n2=accounts)))
                for one, number in section.incomplete.items()
            )
        to_fix, no_action = widths([section.to_fix.total, section.no_action.total], longest)
        unknown = 100 if is_unknown and not section.total else 0
        return [
            Markup('<a href="#{}">{}</a>').format(section.name, section.title),
            Markup('<span class="badge {}">{}</span>').format(severity, words.word(severity)),
            (status, "unknown" if is_unknown else ""),
            *_found(section, accounts, words),
            (_track((unknown, "unknown"), (to_fix, "solid"), (no_action, "hollow")), severity),
        ]

    def relations(self) -> Picture:
        words, found = self.words, self.numbers.relations
        kinds = [*RELATIONS, *(["unread"] if found["unread", False] else [])]
        counts = {kind: [found[kind, is_expected] for is_expected in (False, True)] for kind in kinds}
        longest, links = max(map(sum, counts.values())), sum(map(sum, counts.values()))
        columns = [
            ColumnHead(words("names_are")),
            _chart(words),
            _number(words("heads.links")),
            _number(words("expected_links")),
        ]
        rows: list[_Row] = []
        for kind, both in counts.items() if links else ():
            bars = zip(widths(both, longest), ("unknown" if kind == "unread" else "solid", "hollow"), strict=True)
            rows.append([words(f"names.{kind}"), _track(*bars), sum(both), both[1]])
        caption = words("relations_caption", links=words.n(links, "link"))
        return _picture(words("relations"), [caption], columns, rows, none=words("no_link"))

    def purposes(self) -> Picture:
        words, total = self.words, len(self.numbers.listed.accounts)
        columns = [
            ColumnHead(words("heads.account_id")),
            _chart(words),
            _number(words("heads.profiles")),
            *(_number(words(name), name) for name in _USES),
            *(_number(words(name), "unknown") for name in ("references_unread", "role_unread")),
        ]
        rows = [self._uses(one) for one in self.numbers.purposes[:MAX_PICTURE_ROWS]]
        caption = [words.rows_of(len(rows), total), words("purposes_caption")]
        return _picture(words("purposes"), caption, columns, rows, none=words("no_account"))

    def _uses(self, one: Purpose) -> _Row:
        counts, more = one.counts, "" if one.is_whole else Markup(" ") + _soft(self.words("or_more"))
        wide = dict(zip(counts, widths(counts.values(), one.total), strict=True))
        bars = [(wide[name], name) for name in _USES]
        empty: _Value = Markup("{:,}{}").format(counts["empty"], more)
        return [
            self._with_name(one.account_id),
            _track(*bars, (wide["unasked"] + wide["unheld"], "unknown")),
            Markup("{:,}{}").format(one.total, more),
            counts["referred"],
            counts["silent"],
            empty if one.is_whole or counts["empty"] else (self.words("not_listed"), "unknown"),
            *((counts[name], "unknown" if counts[name] else "") for name in ("unasked", "unheld")),
        ]

    def quota_use(self) -> Picture:
        words = self.words
        columns = [
            *(ColumnHead(words(f"heads.{name}")) for name in ("account_id", "maker", "belongs_to")),
            ColumnHead(words("heads.owner"), "kind"),
            _chart(words),
            *(_number(words(name)) for name in ("quota_share", "heads.roles", "heads.profiles", "heads.empty")),
        ]
        rows = [self._used(one) for one in self.numbers.uses[:MAX_OVERVIEW_ROWS]]
        caption = [words.rows_of(len(rows), self.numbers.all_uses, "quota_use.csv"), words("quota_caption")]
        return _picture(words("quota_use"), caption, columns, rows, kind="quota", none=words("no_resource"))

    def _used(self, one: QuotaRow) -> _Row:
        words = self.words
        no_maker = _soft(words("no_maker")) if one.state in ("owned", "none", "unread") else ""
        belongs = ""
        if one.owner_type:
            status = {"gone": words("no_longer_there"), "unread": words("perhaps_not_there")}
            belongs = words("belongs_to", owner_type=one.owner_type, owner_name=one.owner_name)
            belongs += status.get(one.owner_status or "", "")
        return [
            self._with_name(one.account_id),
            one.maker or no_maker,
            belongs,
            one.owner or words(f"owner_{one.state}"),
            _track((100, "unknown") if one.percent is None else (one.percent, "solid")),
            (words("not_read"), "unknown") if one.percent is None else f"{one.percent} %",
            *(one.roles, one.profiles, one.empty),
        ]

    def tag_coverage(self) -> Picture:
        """For each of the most used tag keys, return the percentages of roles and of profiles with the key."""
        words, numbers = self.words, self.numbers
        keys = most_used_keys(numbers.tag_keys)
        tagged = tags(numbers.tag_keys, numbers.tag_states, keys[:MAX_KEYS])
        columns = [
            ColumnHead(words("heads.account_id")),
            ColumnHead(words("resources"), "kind"),
            _number(words("read_of")),
            *(ColumnHead(Markup("/<wbr>").join(key.split("/")), "share", key, "number") for key in keys[:MAX_KEYS]),
        ]
        rows = [self._shares(one) for one in tagged[:MAX_PICTURE_ROWS]]
        most = words("most_used", n=MAX_KEYS, n2=len(keys)) if len(keys) > MAX_KEYS else words.n(len(keys), "key")
        shown = words.rows_of(len(rows), len(tagged))
        caption = [shown, words("fewest_first"), most, words("percent")]
        return _picture(words("tags"), caption, columns, rows, kind="heat", none=words("no_resource"))

    def _shares(self, one: Tagged) -> _Row:
        words = self.words
        known = words("n_of", n=one.known, n2=one.known + one.unknown)
        shares: list[_Value] = [(words("not_read"), "unknown")] * len(one.tagged)
        if one.known:
            share = Markup("{} % <small>{:,}</small>")
            counts = zip(one.percents, one.tagged, strict=True)
            shares = [(share.format(percent, count), f"heat{(percent + 24) // 25}") for percent, count in counts]
        account = self._with_name(one.account_id)
        return [account, _side(one.resource_type, words), (known, "unknown" if one.unknown else ""), *shares]

    def surfaces(self) -> Picture:
        """Return a table for the page: which consoles, APIs and tools can write tags, read tags, and find by tag."""
        words = self.words
        columns = [
            ColumnHead(words("surface")),
            ColumnHead(words("resources"), "kind"),
            *(ColumnHead(words(name), "kind", words.word(name)) for name in ("write", "read", "find")),
        ]
        facts = groupby(known_facts(), lambda fact: (fact.surface, fact.resource_type))
        rows = [[words.word(name), _side(kind, words), *_answers(group, words)] for (name, kind), group in facts]
        caption = words("surfaces_caption", lists=words("and").join(_missed(self.numbers.tag_states, words)))
        return _picture(words("surfaces"), [caption], columns, rows)

    def _with_name(self, account: str, shown: str | None = None) -> Markup:
        name = self.numbers.names[account]
        return Markup("{} ({})").format(shown or account, name) if name else escape(shown or account)


def sorted_owners(numbers: Numbers) -> list[tuple[tuple[str, str], Totals]]:
    return sorted(
        numbers.owners.items(),
        key=lambda item: (STATES.index(item[0][0]), -item[1]["to_fix"], -item[1]["no_action"], item[0][1]),
    )


def collected_at(time: str, words: Translator) -> Markup:
    return words("as_of", time=time) if time else words("undated")


def _picture(
    name: Markup,
    caption: Iterable[str],
    heads: list[ColumnHead],
    rows: Iterable[_Row],
    *,
    kind: str = "",
    none: str = "",
) -> Picture:
    cells = [list(map(_cell, heads, row)) for row in rows]
    return Picture(name, f"picture {kind}".strip(), Markup("").join(caption), heads, cells, none)


def _cell(head: ColumnHead, value: _Value) -> tuple[str, str, str]:
    text, more = value if isinstance(value, tuple) else (value, "")
    shown = text if isinstance(text, str) else f"{text:,}"
    return shown, f"{head.kind} {more}".strip(), head.label


# Heads, rows, and pieces of cells


def _number(text: str, swatch: str = "") -> ColumnHead:
    return ColumnHead(text, "number", text, "number", swatch)


def _found(section: Section, accounts: int, words: Translator) -> list[Markup | str]:
    found, settled = f"{section.to_fix.total:,}" + ("+" if section.incomplete else ""), f"{section.no_action.total:,}"
    if section.incomplete.get("unknown") == accounts and not section.total:
        # A zero would say that there is nothing to find.
        found = settled = words.word("unknown")
    return [Markup('<span class="hits" id="hits-{}"></span>{}').format(section.name, found), settled]


def _chart(words: Translator) -> ColumnHead:
    return ColumnHead(words("bar"), "drawn", sort=None)


def _answers(facts: Iterable[Fact], words: Translator) -> Iterator[_Value]:
    for fact in facts:
        if fact.condition and fact.condition_id:
            yield words("depends_but", condition=words.condition(fact.condition_id, fact.condition))
        else:
            yield words.word(fact.answer), "unknown" if fact.answer == "unknown" else ""


def _missed(states: TagStates, words: Translator) -> Iterator[str]:
    for kind, (tagged, untagged, unknown) in states_by_type(states).items():
        resources = words.n(tagged + untagged + unknown, kind.removeprefix("instance-"))
        yield words("missed_of" if unknown else "missed", resources=resources, n=tagged, n2=untagged, n3=unknown)


def _side(resource_type: str, words: Translator) -> str:
    return words.word("roles" if resource_type == "role" else "profiles")


def _track(*bars: tuple[int, str]) -> Markup:
    drawn = (Markup('<span class="bar w{} {}"></span>').format(*bar) for bar in bars if bar[0])
    return Markup('<span class="track">{}</span>').format(Markup("").join(drawn))


def _soft(text: str) -> Markup:
    return Markup('<span class="soft">{}</span>').format(text)


def _button(by: str, value: str, text: str) -> Markup:
    button = Markup('<button class="as-link" type="button" data-by="{}" data-value="{}">{}</button>')
    return button.format(by, value, text)
