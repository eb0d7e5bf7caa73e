"""Pictures of an inventory or a result, one per function, drawn with matplotlib on the axes that they are given.

Unknown is hatched with slanted lines, and with nothing else: what was not read never looks like what is not there.
Nothing is told by colour alone. Names, keys and account names are drawn letter by letter, never as mathematics; letters
that cannot be seen, or that no installed font has, are spelled out by their code points. Each function returns the
axes, a new figure's where it is given none.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from iamframe.checks import Result
from iamframe.checks.orphans import unreferenced_profiles
from iamframe.errors import missing_extra
from iamframe.inventory import views
from iamframe.inventory.arrow import Bools, is_in
from iamframe.inventory.completeness import completeness
from iamframe.inventory.inventory import Inventory
from iamframe.knowledge.surfaces import known_facts
from iamframe.messages.text import pluralize, spell_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    Looks = dict[str, dict[str, Any]]

__all__ = [
    "plot_age",
    "plot_ladder",
    "plot_last_use",
    "plot_name_relations",
    "plot_profile_use",
    "plot_surfaces",
    "plot_tag_coverage",
]

_ACCOUNTS, _KEYS, _YEARS = 30, 12, 20
_EDGE = "#333333"
_PLAIN: dict[str, Any] = {"facecolor": "#4477aa"}
_LIGHT: dict[str, Any] = {"facecolor": "#bbccee"}
_DOTTED: dict[str, Any] = {"facecolor": "#ddcc77", "hatch": ".."}
_CROSSED: dict[str, Any] = {"facecolor": "#ee99aa", "hatch": "xx"}
_UNKNOWN: dict[str, Any] = {"facecolor": "white", "hatch": "////"}
_UNKNOWN_TOO: dict[str, Any] = {"facecolor": "#cccccc", "hatch": "////"}
_EXPECTED = "differ as their maker means"
_RELATIONS = ("same", "case", "affix", "generated", "different")
_RELATION_ROWS = {
    "same": "same name",
    "case": "case only",
    "affix": "affix (-role, -profile …)",
    "generated": "generated tail",
    "different": "different names",
    "unread": "a name not read",
    "empty": "profile without a role",
    "role unread": "profile, role not read",
}
_RELATION_LOOKS = {
    "same name": _LIGHT,
    "names differ": _PLAIN,
    _EXPECTED: _DOTTED,
    "no role": _CROSSED,
    "not read": _UNKNOWN,
}
_SIDES = {"role": "roles", "instance-profile": "profiles"}
_NO_ROLE = {"empty": "(no role)", "unread": "(role not read)"}
# Fonts that have the letters which matplotlib's own lacks, as Linux, macOS and Windows name them.
_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "IPAexGothic",
    "IPAGothic",
    "VL Gothic",
    "TakaoGothic",
    "Hiragino Sans",
    "Yu Gothic",
    "Meiryo",
    "MS Gothic",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Zen Hei",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "Arial Unicode MS",
    "Noto Sans",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Segoe UI",
)


def plot_name_relations(result: Result, ax: Axes | None = None) -> Axes:
    """Draw how the two names of links relate, one bar per relation, and profiles without a link below.

    What the maker of a resource means so is dotted and counted apart. Hatched are links of which a name was not read,
    and profiles whose role was not.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    pairs = views.pairs(result.inventory, result.policy.makers)
    pairs = pairs[pairs["profile_arn"].notna()]
    row, part = _relations(pairs)
    counts = _counted(row, part, _RELATION_ROWS, _RELATION_LOOKS)
    counts = counts[(counts.sum(axis=1) > 0) | counts.index.isin(_RELATIONS)]

    ax = _axes(ax, _RELATION_ROWS.values(), rows=len(counts))
    expected, unread = (part == _EXPECTED).sum(), (row == "unread").sum()
    same = (row == "same").sum()
    differ = row.isin(_RELATIONS).sum() - same
    meant = f" ({expected:,} as their maker means)" if expected else ""
    not_read = f", {unread:,} with a name not read" if unread else ""
    _title(
        ax,
        f"{pluralize(same + differ + unread, 'link')}: {same:,} of one name, {differ:,} of two names{meant}{not_read}",
        _not_whole(result.inventory, "profiles"),
    )
    if pairs.empty:
        return _say_none(ax, "links", result.inventory, "profiles")
    return _draw_bars(ax, counts.rename(index=_RELATION_ROWS), _RELATION_LOOKS, "links, and profiles without one")


def _relations(pairs: pd.DataFrame) -> tuple[pd.Series, Any]:
    """Return, per profile, the row of its bar and the part of it."""
    alone = pd.Series(np.where(pairs["role_known"], "empty", "role unread"), index=pairs.index)
    row = pairs["relation"].fillna("unread").where(pairs["role_arn"].notna(), alone)
    differs = row.isin(_RELATIONS) & (row != "same")
    parts = {
        "same name": row == "same",
        "names differ": differs & ~pairs["names_expected"],
        _EXPECTED: differs & pairs["names_expected"],
        "no role": row == "empty",
    }
    return row, _first_true(parts, otherwise="not read")


def plot_tag_coverage(inventory: Inventory, ax: Axes | None = None, keys: Iterable[str] | None = None) -> Axes:
    """Draw how many percent of the roles and profiles of each account carry each tag key, as a heat map.

    One row per account and side, the accounts with the lowest mean first, 30 at most; one column per key: those given,
    or the 12 most used. `n` counts the resources whose tags were read, which the percentages are of; those whose tags
    were not read are told beside it. Hatched are cells of a side of which no tags were read. Roles that AWS manages and
    keys that AWS reserves are left out.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    coverage = views.tag_coverage(inventory)
    uses = coverage.groupby("tag_key")["tagged"].sum().sort_values(ascending=False, kind="stable").index
    asked = list(dict.fromkeys([keys] if isinstance(keys, str) else keys or ()))
    chosen = asked or uses[:_KEYS].tolist() or ["any key"]
    # The view has no row for an account where no key is in use, and that is the worst of all.
    sides = _resources(inventory).groupby(["account_id", "resource_type"])["tags_known"].agg(known="sum", size="size")
    tagged = coverage.set_index(["account_id", "resource_type", "tag_key"])["tagged"].unstack()
    tagged = tagged.reindex(index=sides.index, columns=chosen).fillna(0).astype(float)
    percent = 100 * tagged.div(sides["known"].where(sides["known"] > 0), axis="index")
    worst = percent.mean(axis=1).groupby("account_id").mean().sort_values(kind="stable").index
    rank = worst.get_indexer(sides.index.get_level_values("account_id"))
    order = np.lexsort((sides.index.get_level_values("resource_type") != "role", rank))
    order = order[rank[order] < _ACCOUNTS]
    percent, sides = percent.iloc[order], sides.iloc[order].assign(unread=lambda s: s["size"] - s["known"])
    names = _account_names(inventory)
    labels = [
        f"{names[account]}  {_SIDES[kind]} n={known:,}" + (f", {unread:,} unknown" if unread else "")
        for (account, kind), known, unread in zip(sides.index, sides["known"], sides["unread"], strict=True)
    ]

    ax = _axes(ax, labels, rows=len(labels) + 4, across=max(0.55 * len(chosen), 4))
    _title(
        ax,
        f"Percent of roles and profiles that carry a tag key, in {pluralize(len(worst), 'account')}",
        _more(len(worst) - _ACCOUNTS, "account"),
        "" if asked else _more(len(uses) - _KEYS, "less used key"),
        _managed(inventory),
        _not_whole(inventory, "roles", "profiles"),
    )
    if sides.empty:
        return _say_none(ax, "roles or profiles", inventory, "roles", "profiles")
    _draw_cells(
        ax, percent.to_numpy(), labels, [_short(spell_out(key) if key.isprintable() else key, 30) for key in chosen]
    )
    accounts = sides.index.get_level_values("account_id")
    ax.hlines(np.flatnonzero(accounts[1:] != accounts[:-1]) + 1, 0, len(chosen), color=_EDGE, linewidth=1.5)
    return ax


def plot_profile_use(result: Result, ax: Axes | None = None) -> Axes:
    """Draw what the profiles of each account are for, one bar per account, 30 at most.

    Profiles with a role are parted into those that something refers to and those that `unreferenced_profiles` found:
    nothing that was read refers to them. Then come those that hold no role. Hatched are profiles with a role of which
    it is unknown whether something refers to them (references were not read, or that check did not run), and profiles
    whose role was not read. The accounts with the most profiles that are empty or not referred to come first.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    inventory, findings = result.inventory, result.findings
    profiles = inventory.profiles
    linked = is_in(profiles["profile_arn"], inventory.links["profile_arn"])
    silent = findings["resource_arn"][findings["check"] == unreferenced_profiles.__name__]
    looks = {
        "linked, referenced": _PLAIN,
        "linked, not referenced in what was read": _DOTTED,
        "empty": _CROSSED,
        "linked, references unknown": _UNKNOWN,
        "role unknown": _UNKNOWN_TOO,
    }
    part = _first_true(
        {
            "linked, referenced": linked & is_in(profiles["profile_arn"], inventory.references["profile_arn"]),
            "linked, not referenced in what was read": linked & is_in(profiles["profile_arn"], silent),
            "empty": ~linked & profiles["role_known"],
            "linked, references unknown": linked,
        },
        otherwise="role unknown",
    )
    counts = _counted(profiles["account_id"], part, sorted(set(profiles["account_id"])), looks)
    doubtful = counts["empty"] + counts["linked, not referenced in what was read"]
    worst = doubtful.sort_values(ascending=False, kind="stable").index
    names = _account_names(inventory)
    shown_counts = counts.loc[worst[:_ACCOUNTS]].rename(index=names)

    ax = _axes(ax, shown_counts.index, rows=len(shown_counts))
    said = "; ".join(f"{count:,} {name}" for name, count in counts.sum().items() if count)
    _title(
        ax,
        f"{pluralize(len(profiles), 'instance profile')}" + (f": {said}" if said else ""),
        _more(len(counts) - _ACCOUNTS, "account"),
        _not_whole(inventory, "profiles"),
    )
    if profiles.empty:
        return _say_none(ax, "instance profiles", inventory, "profiles")
    return _draw_bars(ax, shown_counts, looks, "instance profiles")


def plot_ladder(inventory: Inventory, ax: Axes | None = None, limit: int = 60) -> Axes:
    """Draw roles on the left, profiles on the right, and a line per link, of all that is not one to one.

    First roles in several profiles, then profiles without a role, roles that trust EC2 and are known to be in no
    profile, and profiles whose role was not read: one row per profile or lone role, `limit` at most. A line is dashed
    where the role was not read.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    rungs = _rungs(inventory)
    rows = rungs.head(limit).reset_index(drop=True)
    several, names = len(inventory.accounts) > 1, _account_names(inventory, 16)
    suffixes = [f"  {names[account]}" if several else "" for account in rows["account_id"]]
    roles = [
        _NO_ROLE.get(kind) or _short(name) + suffix
        for kind, name, suffix in zip(rows["kind"], rows["role_name"], suffixes, strict=True)
    ]
    profiles = [
        "(no profile)" if kind == "lone" else _short(name) + suffix
        for kind, name, suffix in zip(rows["kind"], rows["profile_name"], suffixes, strict=True)
    ]

    both = [role + profile for role, profile in zip(roles, profiles, strict=True)]
    ax = _axes(ax, both, rows=0.7 * len(rows), across=3)
    _title(
        ax,
        "Not one to one: " + (", ".join(_rungs_said(rungs)) or "none"),
        _more(len(rungs) - limit, "row"),
        _not_whole(inventory, "roles", "profiles"),
    )
    if rows.empty:
        return _say_none(ax, "roles or profiles that are not one to one", inventory, "roles", "profiles")
    return _draw_rungs(ax, rows, roles, profiles)


def _rungs_said(rungs: pd.DataFrame) -> list[str]:
    """Return how many rungs there are of each kind, in words; nothing of a kind that has none."""
    kinds, shared = rungs["kind"].value_counts(), rungs[rungs["kind"] == "shared"]
    said = {
        f"{pluralize(shared['group'].nunique(), 'role')} in several profiles ({len(shared):,})": len(shared),
        f"{pluralize(kinds.get('empty', 0), 'profile')} without a role": kinds.get("empty"),
        f"{pluralize(kinds.get('lone', 0), 'role')} for EC2 in no profile": kinds.get("lone"),
        f"{pluralize(kinds.get('unread', 0), 'profile')} whose role was not read (dashed)": kinds.get("unread"),
    }
    return [sentence for sentence, count in said.items() if count]


def _draw_rungs(ax: Axes, rows: pd.DataFrame, roles: Sequence[str], profiles: Sequence[str]) -> Axes:
    """Draw a line per rung, its profile at the right end, its role at the left one, once for all its profiles."""
    left = rows.index.to_series().groupby(rows["group"]).transform("mean")
    for row, (kind, read) in enumerate(zip(rows["kind"], rows["role_read"], strict=True)):
        ends = {"lone": [0], "empty": [1]}.get(kind, [0, 1])
        ax.plot(
            ends,
            [(left[row], row)[end] for end in ends],
            linestyle="-" if read else "--",
            color="#4477aa",
            marker="o",
            markersize=4,
            markerfacecolor="white" if len(ends) == 1 else "#4477aa",
            clip_on=False,
        )
        ax.text(1.03, row, profiles[row], va="center", fontsize=9, **_font(profiles[row]))
    first = ~rows["group"].duplicated()
    ends_left = [role for role, is_first in zip(roles, first, strict=True) if is_first]
    ax.set_yticks(left[first].to_numpy(), ends_left, fontsize=9, **_font(*ends_left))
    ax.set_xticks([0, 1], ["roles", "profiles"])
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6))
    ax.tick_params(length=0, pad=8, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    return ax


def plot_last_use(inventory: Inventory, ax: Axes | None = None, now: datetime | None = None) -> Axes:
    """Draw roles by their last use, one bar per span of days back from `now`.

    AWS looks back 400 days: a role without a use in them, be it of last week, stands under "no use in 400 days". `now`
    is when the account was read, by default, or the present where no source says when; a time without a zone is UTC.
    Hatched are roles whose last use was not read. Roles that AWS manages are left out, and counted in the title.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    roles = inventory.roles[~inventory.roles["is_aws_managed"]]
    present = pd.Timestamp(datetime.now(UTC) if now is None else now)
    present = present.tz_localize(UTC) if present.tz is None else present.tz_convert(UTC)
    captured = inventory.accounts.set_index("account_id")["captured_at"]
    known = captured if now is None else captured[:0]
    as_of = known.reindex(roles["account_id"]).set_axis(roles.index).fillna(present)
    # An account is read for minutes: a use may be later than the time of its first answer.
    days = (as_of - roles["last_used_at"]).dt.days.clip(lower=0)
    spans = ["30 days or less", "31 to 90 days", "91 to 180 days", "181 to 400 days"]
    row = pd.cut(days, [-1, 30, 90, 180, 400], labels=spans).astype("str").where(days <= 400, "no use in 400 days")
    row = row.where(roles["last_used_known"], "not read")
    looks = {"used": _PLAIN, "no use": _DOTTED, "not read": _UNKNOWN}
    part = _first_true({"not read": row == "not read", "no use": row == "no use in 400 days"}, otherwise="used")
    counts = _counted(row, part, [*spans, "no use in 400 days", "not read"], looks)

    ax = _axes(ax, counts.index, rows=len(counts))
    dates = as_of.dt.date.unique()
    when = {0: "", 1: f", as of {next(iter(dates), '')}"}.get(len(dates), ", as of when each account was read")
    _title(
        ax,
        f"{pluralize(len(roles), 'role')} by last use{when}",
        _managed(inventory),
        _not_whole(inventory, "roles"),
    )
    if roles.empty:
        return _say_none(ax, "roles", inventory, "roles")
    return _draw_bars(ax, counts, looks, "roles")


def plot_age(inventory: Inventory, ax: Axes | None = None) -> Axes:
    """Draw roles and profiles by the year in which they were created, two bars per year.

    Those without a tag of their own are crossed: tags were read, and there are none but those that AWS reserves.
    Hatched are those whose tags, or whose time of creation, were not read. Of more than 20 years the first share a row.
    Roles that AWS manages are left out, and counted in the title.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    resources = _resources(inventory)
    used = inventory.tags["resource_arn"][~inventory.tags["is_aws_reserved"]]
    tagged, known = is_in(resources["resource_arn"], used), resources["tags_known"]
    year = resources["created_at"].dt.year.astype("Int64")
    looks = {"tagged": _PLAIN, "untagged": _CROSSED, "tags not read": _UNKNOWN, "creation not read": _UNKNOWN_TOO}
    part = _first_true(
        {"creation not read": year.isna(), "tagged": known & tagged, "untagged": known}, otherwise="tags not read"
    )
    years = range(year.min(), year.max() + 1) if year.notna().any() else range(0)
    old, years = f"{years[-_YEARS]} or before" if len(years) > _YEARS else "", years[-_YEARS:]
    when = year.astype("str").fillna("not read")
    if old:
        when, labels = when.where(year.isna() | (year > years[0]), old), [old, *map(str, years[1:])]
    else:
        labels = [*map(str, years)]
    labels += ["not read"] * int(year.isna().any())
    row = when + "  " + resources["resource_type"].map(_SIDES)
    counts = _counted(row, part, [f"{label}  {side}" for label in labels for side in _SIDES.values()], looks)

    ax = _axes(ax, counts.index, rows=len(counts))
    sides = resources["resource_type"].value_counts()
    unread = f", tags of {(~known).sum():,} not read" if not known.all() else ""
    _title(
        ax,
        f"{pluralize(sides.get('role', 0), 'role')} and {pluralize(sides.get('instance-profile', 0), 'profile')} by "
        f"year of creation: {(known & ~tagged).sum():,} untagged{unread}",
        _managed(inventory),
        _not_whole(inventory, "roles", "profiles"),
    )
    if resources.empty:
        return _say_none(ax, "roles or profiles", inventory, "roles", "profiles")
    return _draw_bars(ax, counts, looks, "roles or profiles")


def plot_surfaces(ax: Axes | None = None) -> Axes:
    """Draw on which consoles, APIs and tools tags can be written, read, and be found by, as a table of cells.

    One row per surface, three columns for roles and three for profiles. What depends bears the number of its condition,
    which stands below. Hatched is what neither AWS nor a measurement says. `surfaces` has the sources.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    facts = known_facts()
    rows = list(dict.fromkeys(fact.surface for fact in facts))
    columns = list(dict.fromkeys((fact.resource_type, fact.operation) for fact in facts))
    conditions = list(dict.fromkeys(fact.condition for fact in facts if fact.condition))
    looks = {"yes": _LIGHT, "condition": _DOTTED, "no": _CROSSED, "unknown": _UNKNOWN}

    ax = _axes(ax, rows, rows=len(rows) + len(conditions), across=max(len(columns), 6.2))
    _title(ax, "Where tags of roles and profiles can be seen and changed")
    rectangle = _loaded("matplotlib.patches").Rectangle
    for fact in facts:
        column, row = columns.index((fact.resource_type, fact.operation)), rows.index(fact.surface)
        ax.add_patch(rectangle((column, row), 1, 1, edgecolor=_EDGE, linewidth=0.8, **looks[fact.answer]))
        text = f"if ({conditions.index(fact.condition) + 1})" if fact.condition else fact.answer
        _on_white(ax, column + 0.5, row + 0.5, text)
    ax.vlines(len(columns) / 2, 0, len(rows), color=_EDGE, linewidth=2.5)
    labels = [f"{_SIDES[kind]}: {operation}" for kind, operation in columns]
    ax.set_yticks(np.arange(len(rows)) + 0.5, rows, fontsize=9, **_font(*rows))
    ax.set_xticks(np.arange(len(columns)) + 0.5, labels, fontsize=9, **_font(*labels))
    ax.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    numbered = (f"({number}) {condition}" for number, condition in enumerate(conditions, 1))
    notes = "\n".join(line for note in numbered for line in textwrap.wrap(note, 84, subsequent_indent="      "))
    ax.set_xlabel(notes, loc="left", fontsize=9, **_font(notes))
    return ax


# What is drawn


def _resources(inventory: Inventory) -> pd.DataFrame:
    """Return roles that AWS does not manage, then profiles, in one frame."""
    columns = ["account_id", "resource_arn", "created_at", "tags_known", "resource_type"]
    roles = inventory.roles[~inventory.roles["is_aws_managed"]].rename(columns={"role_arn": "resource_arn"})
    profiles = inventory.profiles.rename(columns={"profile_arn": "resource_arn"})
    sides = [roles.assign(resource_type="role"), profiles.assign(resource_type="instance-profile")]
    return pd.concat([side[columns] for side in sides], ignore_index=True)


def _rungs(inventory: Inventory) -> pd.DataFrame:
    """Return the pairs that are not one to one, those of one role together: their `kind`, `group`, `role_read`."""
    pairs = views.pairs(inventory)
    size = pairs.groupby("role_arn")["profile_arn"].transform("count").fillna(0)
    alone = pairs["role_arn"].isna()
    kind = _first_true(
        {
            "shared": size > 1,
            "lone": pairs["profile_arn"].isna(),
            "empty": alone & pairs["role_known"],
            "unread": alone,
        },
        otherwise="one to one",
    )
    rungs = pairs.assign(
        kind=kind,
        size=-size,
        group=pairs["role_arn"].fillna(pairs["profile_arn"]),
        role_read=is_in(pairs["role_arn"], inventory.roles["role_arn"]),
        rank=pd.Series(kind, index=pairs.index).map({"shared": 0, "empty": 1, "lone": 2, "unread": 3}),
    )
    return rungs[rungs["rank"].notna()].sort_values(["rank", "size", "group", "profile_arn"])


def _first_true(parts: Mapping[str, pd.Series | Bools], otherwise: str) -> Any:
    """Return, per row, the name of the first part that is true of it."""
    return np.select([np.asarray(mask, dtype=bool) for mask in parts.values()], list(parts), otherwise)


def _counted(row: pd.Series, part: Any, rows: Iterable[str], parts: Iterable[str]) -> pd.DataFrame:
    """Return how many there are of each row, by part."""
    counts = row.to_frame("row").assign(part=part).value_counts().unstack()
    return counts.reindex(index=list(rows), columns=list(parts)).fillna(0).astype(int)


# What is said


def _more(count: int, noun: str) -> str:
    return f"{count:,} more {noun}{'s' * (count > 1)} not shown" if count > 0 else ""


def _managed(inventory: Inventory) -> str:
    count = int(inventory.roles["is_aws_managed"].sum())
    return f"{pluralize(count, 'role')} that AWS manages left out" if count else ""


def _not_whole(inventory: Inventory, *frames: str) -> str:
    """Return of how many accounts not all was read, as a clause; nothing where all was."""
    lists = completeness(inventory)
    counts = {frame: int((~lists[f"{frame}_whole"]).sum()) for frame in frames}
    parts = [f"not all {frame} of {pluralize(count, 'account')}" for frame, count in counts.items() if count]
    return f"{' and '.join(parts)} were read" if parts else ""


def _say_none(ax: Axes, what: str, inventory: Inventory, *frames: str) -> Axes:
    """Write that there is nothing to draw, and claim no more than was read."""
    whole = len(inventory.accounts) and not _not_whole(inventory, *frames)
    ax.text(0.5, 0.5, f"no {what}" if whole else f"no {what} in what was read", ha="center", transform=ax.transAxes)
    ax.set(xticks=[], yticks=[])
    return ax


def _title(ax: Axes, *sentences: str) -> None:
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence[:1].upper() + sentence[1:], 84)]
    ax.set_title("\n".join(lines), loc="left", fontsize=10.5, **_font(*lines))


# How it is drawn


def _loaded(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise missing_extra("matplotlib", "notebooks") from error


def _axes(ax: Axes | None, labels: Iterable[str], rows: float, across: float = 6.2) -> Axes:
    """Return the axes given, or those of a new figure with room for labels at their side and for rows."""
    if ax is not None:
        return ax
    width = across + 0.08 * max(map(_width, labels), default=0)
    new: Axes = _loaded("matplotlib.pyplot").subplots(figsize=(width, 2 + 0.34 * max(rows, 2)), layout="constrained")[1]
    return new


def _draw_bars(ax: Axes, counts: pd.DataFrame, looks: Looks, unit: str) -> Axes:
    """Draw a bar per row, stacked of its parts; what is too thin for its number has it behind the bar."""
    ticker = _loaded("matplotlib.ticker")
    counts = counts.loc[:, counts.sum() > 0]
    totals, rows = counts.sum(axis=1).to_numpy(), np.arange(len(counts))
    wide = counts.to_numpy() >= 0.07 * totals.max()
    left: Any = np.zeros(len(counts))
    for part, (name, count) in enumerate(counts.items()):
        values: Any = count.to_numpy()
        ax.barh(rows, values, left=left, height=0.7, label=name, edgecolor=_EDGE, linewidth=0.8, **looks[str(name)])
        for bar in np.flatnonzero(wide[:, part] & (values < totals)):
            _on_white(ax, left[bar] + values[bar] / 2, bar, f"{values[bar]:,}")
        left = left + values
    for row, total in enumerate(totals):
        thin = counts.iloc[row][(counts.iloc[row] > 0) & ~wide[row]]
        small = [f"{name}: {value:,}" if value < total else str(name) for name, value in thin.items()]
        text = f"{total:,}" + (f" ({', '.join(small)})" if small else "")
        ax.annotate(text, (total, row), (4, 0), textcoords="offset points", va="center", fontsize=9, **_font(text))
    labels = [str(label) for label in counts.index]
    ax.set_yticks(rows, labels, fontsize=9, **_font(*labels))
    ax.set(xlim=(0, 1.12 * totals.max()), ylim=(len(counts) - 0.4, -0.6))
    ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    ax.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    ax.set_xlabel(unit, **_font(unit))
    ax.spines[["top", "right"]].set_visible(False)
    # Padding is in letters, so that the legend stays below the axis whatever the height of the picture.
    ax.legend(loc="upper left", bbox_to_anchor=(0, 0), borderaxespad=4.2, ncols=2, frameon=False, fontsize=9)
    return ax


def _draw_cells(ax: Axes, percent: Any, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Draw percentages as coloured cells with their numbers; a missing one is unknown."""
    rectangle = _loaded("matplotlib.patches").Rectangle
    mesh = ax.pcolormesh(np.ma.masked_invalid(percent), cmap="cividis", vmin=0, vmax=100, edgecolor="white")
    inks = np.where(_luminance(mesh.to_rgba(np.nan_to_num(percent))) > 0.18, "black", "white")
    for (row, column), value in np.ndenumerate(percent):
        if np.isnan(value):
            ax.add_patch(rectangle((column, row), 1, 1, edgecolor=_EDGE, linewidth=0.8, **_UNKNOWN))
            _on_white(ax, column + 0.5, row + 0.5, "unknown")
        else:
            # Rounding must make no 0 of a few, and no 100 of nearly all.
            text = "<1" if 0 < value < 1 else ">99" if 99 < value < 100 else f"{value:.0f}"
            ax.text(
                column + 0.5, row + 0.5, text, color=inks[row, column], ha="center", va="center", fontsize=9, **_font()
            )
    ax.set_yticks(np.arange(len(rows)) + 0.5, rows, fontsize=9, **_font(*rows))
    ax.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=40, ha="left", fontsize=9, **_font(*columns))
    ax.set(ylim=(len(rows), 0))
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.tick_params(axis="x", rotation=40)


def _luminance(colours: Any) -> Any:
    """Return the relative luminance of colours (WCAG 2); above 0.18 black letters have the better contrast."""
    rgb = colours[..., :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def _on_white(ax: Axes, x: Any, y: Any, text: str) -> None:
    """Write over a hatched place so that it can be read."""
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    ax.text(x, y, text, color="black", ha="center", va="center", fontsize=8, bbox=paper, **_font())


# Letters


def _account_names(inventory: Inventory, limit: int = 24) -> dict[str, str]:
    """Return the name and id of each account by its id."""
    columns = inventory.accounts[["account_id", "account_name"]].itertuples(index=False, name=None)
    return {
        account: _short(account, 16) if pd.isna(name) else f"{_short(name, limit)} ({_short(account, 16)})"
        for account, name in columns
    }


def _font(*texts: str) -> dict[str, Any]:
    """Return how to draw texts: letter by letter, in the user's font and others that have the letters it lacks."""
    return {"family": _families("".join(texts))[0], "parse_math": False, "usetex": False}


def _families(text: str) -> tuple[list[str], set[str]]:
    """Return the font families that a text needs, the user's first, and the letters that no known font has."""
    fonts = _loaded("matplotlib.font_manager")
    families: list[str] = list(_loaded("matplotlib").rcParams["font.family"])
    lacking = {c for c in text if c != "\n"}
    for family in [*families, *_FONTS]:
        if not lacking:
            break
        # A family that is given as bare text would be read as a fontconfig pattern.
        wanted = fonts.FontProperties(family=[family])
        try:
            font = fonts.get_font(fonts.findfont(wanted, fallback_to_default=False))
        except ValueError:
            continue
        if had := {c for c in lacking if font.get_char_index(ord(c))}:
            lacking -= had
            families += [family] * (family not in families)
    return families, lacking


def _short(text: Any, limit: int = 36) -> str:
    """Return a text that fits on one line: its middle left out, and spelled out what cannot be seen or drawn."""
    if pd.isna(text):
        return "(name not read)"
    lacking = _families(str(text))[1]
    # The ideographic space is a letter like another in Japanese names, though Python holds it unprintable.
    spelled = [
        c
        if (c.isprintable() or c == "\u3000") and c not in lacking
        else f"\\u{ord(c):04x}"
        if ord(c) < 0x10000
        else f"\\U{ord(c):08x}"
        for c in map(str, str(text))
    ]
    ends = np.cumsum([_width(letters) for letters in spelled])
    if not len(ends) or ends[-1] <= limit:
        return "".join(spelled)
    head = int(np.searchsorted(ends, limit * 2 // 3, side="right"))
    tail = int(np.searchsorted(ends, ends[-1] - limit // 3, side="left")) + 1
    return "".join([*spelled[:head], "…", *spelled[tail:]])


def _width(text: str) -> int:
    """Return how many Latin letters a text is wide."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
