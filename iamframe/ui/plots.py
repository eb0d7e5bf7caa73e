"""Plots of an inventory or a result, drawn with matplotlib.

Slanted hatching means that something is unknown. Without the axes `ax`, a function draws on a new figure. If
matplotlib is not installed, the functions raise `MissingExtraError`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from datetime import UTC, datetime
from math import inf
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from iamframe.analysis.blind_spots import tag_states, tagged_counts
from iamframe.analysis.owners import quota_use
from iamframe.checks import Result
from iamframe.checks.owner import OWNER_TAG
from iamframe.errors import require
from iamframe.inventory import views
from iamframe.inventory.arrow import is_in
from iamframe.inventory.inventory import Inventory
from iamframe.knowledge.surfaces import known_facts
from iamframe.messages.text import pluralize, spell_out
from iamframe.report.numbers import RELATIONS, Tagged, most_used_keys, purposes, relation_counts, states_by_type, tags
from iamframe.ui.drawing import (
    BLUE,
    CROSSED,
    DEPENDS,
    DOTTED,
    EDGE,
    LIGHT,
    NO,
    PLAIN,
    UNKNOWN,
    UNKNOWN_CELL,
    UNKNOWN_TOO,
    Bars,
    account_labels,
    as_letters,
    count_parts,
    draw_cell,
    draw_none,
    draw_percentages,
    draw_section,
    draw_title,
    first_true,
    label_cells,
    more_not_shown,
    new_axes,
    not_all_read,
    shortened,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "plot_age",
    "plot_ladder",
    "plot_last_use",
    "plot_name_relations",
    "plot_profile_use",
    "plot_quota_use",
    "plot_surfaces",
    "plot_tag_coverage",
]

_ACCOUNTS, _KEYS, _YEARS, _TOOLS = 30, 12, 20, 15
_RELATION_ROWS = {
    "same": "same name",
    "case": "case only",
    "affix": "affix (-role, -profile …)",
    "generated": "generated tail",
    "different": "different names",
    "unread": "a name not collected",
    "empty": "profile without a role",
    "unheld": "profile, role not collected",
}
# The labels of the uses of profiles, by their names in `purposes`.
_USES = {
    "referred": "referenced",
    "silent": "no reference found",
    "unasked": "references not checked",
    "empty": "empty",
    "unheld": "role not collected",
}
_ATTENTION = {"silent": "without a reference", "empty": "without a role"}
_RESOURCES = {"profiles": "instance profile", "roles": "role"}
# The labels of owner states, by their names in `quota_use`.
_OWNED = {
    "owned": "with an owner",
    "none": "no owner",
    "aws": "managed by AWS",
    "unread": "tags not collected",
    "not_collected": "not collected",
}
_SIDES = {"role": "roles", "instance-profile": "profiles"}


def plot_name_relations(result: Result, ax: Axes | None = None) -> Axes:
    """Draw a bar chart of name differences between profiles and their roles.

    Each kind of difference has a bar. Profiles without a role have a bar of their own. Dotted parts of a bar show names
    that a service or tool makes different by design, or that your policy file allows. A bar with slanted hatching shows
    profiles for which the role's name was not collected.
    """
    require("plot_name_relations", result, Result, instead="what `iamframe.run_checks` gives")
    parts = {"same": "same name", "unread": "not collected", "empty": "no role", "unheld": "not collected"}
    looks = {"same name": LIGHT, "names differ": PLAIN, "differ by design": DOTTED}
    looks |= {"no role": CROSSED, "not collected": UNKNOWN}
    counts = pd.DataFrame(0, [*_RELATION_ROWS], [*looks])
    found = relation_counts(result)
    for (row, is_expected), count in found.items():
        counts.loc[row, parts.get(row, "differ by design" if is_expected else "names differ")] = count
    # Each relation has a row, even without links. The other rows are shown only if they are not empty.
    shown = counts[(counts.sum(axis=1) > 0) | counts.index.isin(RELATIONS)].rename(index=_RELATION_ROWS)
    bars = Bars("links", looks, shown, "links, and profiles without one")
    same, differ, expected, *_ = counts.sum().tolist()
    unread = found["unread", False]
    said = f"{differ:,} of {pluralize(same + differ + expected + unread, 'link')} have two names for no known reason"
    more = [f"{expected:,} by design"] if expected else []
    more += [f"{unread:,} with a name not collected"] if unread else []
    return bars.draw(ax, result.inventory, ["profiles"], said, "; ".join([*more, f"{same:,} with the same name"]))


def plot_tag_coverage(inventory: Inventory, ax: Axes | None = None, keys: Iterable[str] | None = None) -> Axes:
    """Draw a heat map of tag keys. Each cell shows the percentage of roles or profiles that have the key.

    Accounts with roles have a row for roles, and accounts with profiles have a row for profiles. Accounts with the
    lowest mean percentage come first. The plot has at most 30 accounts. The columns are tag keys: by default, the 12
    most used keys. In a row's label, `n` counts resources whose tags were collected, including resources without tags.
    All percentages are shares of `n`. The label also shows the number of resources whose tags were not collected. A row
    is hatched if the tags of all its resources are unknown. AWS-managed roles and AWS-reserved tag keys are left out.
    """
    require("plot_tag_coverage", inventory, Inventory, instead="what `iamframe.load` gives")
    coverage = pa.Table.from_pandas(views.tag_coverage(inventory))
    used = most_used_keys(coverage)
    asked = list(dict.fromkeys([keys] if isinstance(keys, str) else keys or ()))
    chosen = asked or used[:_KEYS] or ["any key"]
    accounts = _worst_first(tags(coverage, tagged_counts(inventory), chosen))
    rows = [row for account in accounts[:_ACCOUNTS] for row in account]
    names = account_labels(inventory)
    first = [at == 0 or row.account_id != rows[at - 1].account_id for at, row in enumerate(rows)]
    labels = [
        f"{names[row.account_id] if is_first else ''}  {_SIDES[row.resource_type]} n={row.known:,}".strip()
        + (f", {row.unknown:,} not collected" if row.unknown else "")
        for is_first, row in zip(first, rows, strict=True)
    ]

    ax = new_axes(ax, labels, rows=len(labels) + 4, across=max(0.55 * len(chosen), 4))
    draw_title(
        ax,
        *_untagged_in_words(inventory, "percent with each tag key"),
        more_not_shown(len(accounts) - _ACCOUNTS, "account"),
        "" if asked else more_not_shown(len(used) - _KEYS, "less used key"),
        _managed(inventory),
        not_all_read(inventory, "roles", "profiles"),
    )
    if not rows:
        return draw_none(ax, "roles or profiles", inventory, "roles", "profiles")
    heads = [shortened(spell_out(key) if key.isprintable() else key, 30) for key in chosen]
    draw_percentages(ax, [row.percents if row.known else None for row in rows], labels, heads)
    ax.hlines(np.flatnonzero(first[1:]) + 1, 0, len(chosen), color=EDGE, linewidth=1.5)
    return ax


def _worst_first(rows: list[Tagged]) -> list[list[Tagged]]:
    accounts: dict[str, list[Tagged]] = {}
    for row in sorted(rows, key=lambda row: (row.account_id, row.resource_type != "role")):
        accounts.setdefault(row.account_id, []).append(row)
    return sorted(accounts.values(), key=lambda sides: fmean([side.share for side in sides if side.known] or [inf]))


def plot_profile_use(result: Result, ax: Axes | None = None) -> Axes:
    """Draw a bar chart of each account's profiles: with a known use, without a known use, or without a role.

    The plot has one bar per account, for at most 30 accounts. Accounts are sorted by the number of profiles without a
    known use or without a role, the highest first. Plain parts show profiles with a known use. Dotted parts show
    profiles without a known use. Cross-hatched parts show profiles without a role. Profiles without a known reference
    are the findings of the check `unreferenced_profiles`. Parts with slanted hatching show profiles for which the role
    or the references were not collected. If `unreferenced_profiles` did not run, profiles without a known use are
    hatched in the same way.
    """
    require("plot_profile_use", result, Result, instead="what `iamframe.run_checks` gives")
    inventory, total = result.inventory, pluralize(len(result.inventory.profiles), "instance profile")
    rows = [row for row in purposes(result) if row.total]
    counts = pd.DataFrame([row.counts for row in rows], columns=[*_USES]).rename(columns=_USES)
    sums = counts.sum()
    attention = [f"{sums[_USES[kind]]:,} {words}" for kind, words in _ATTENTION.items() if sums[_USES[kind]]]
    said = f"Of {total}, " + (" and ".join(attention) or "none is known to be without a role or a reference")
    unknown = int(sums[_USES["unasked"]] + sums[_USES["unheld"]])
    unsure = f"{unknown:,} cannot be judged: not all was collected" if unknown else ""
    more = more_not_shown(len(counts) - _ACCOUNTS, "account")
    names = account_labels(inventory)
    shown = counts.head(_ACCOUNTS).set_axis([names[row.account_id] for row in rows[:_ACCOUNTS]])
    looks = dict(zip(_USES.values(), (PLAIN, DOTTED, UNKNOWN, CROSSED, UNKNOWN_TOO), strict=True))
    bars = Bars("instance profiles", looks, shown)
    return bars.draw(ax, inventory, ["profiles"], said, unsure, more)


def plot_quota_use(inventory: Inventory | Result, ax: Axes | None = None, resources: str = "profiles") -> Axes:
    """Draw what fills the quota of profiles (or roles).

    There is one bar for each combination of account, tool, and cluster (or environment, or stack). The bar shows how
    many profiles (or roles) the tool created there. Only the 15 largest bars are drawn, the largest first. Each bar's
    label shows how much of the account's quota this bar uses, if the quota is known.

    Plain parts of a bar show resources with an owner (the value of the owner tag). A profile without an owner tag has
    the owner of its role. Cross-hatched parts of a bar show resources without an owner. The dotted parts of a bar show
    roles that AWS manages. Parts with slanted hatching show resources whose tags were not collected. These parts also
    show resources that GetAccountSummary counts, but that were not listed. `iamframe.quota_use` returns the numbers
    that the plot shows.

    Parameters
    ----------
    resources
        `profiles` or `roles`.
    """
    if resources not in _RESOURCES:
        raise ValueError(f"resources={resources!r} cannot be drawn; use {' or '.join(_RESOURCES)}")
    require(
        "plot_quota_use", inventory, Inventory, Result, instead="what `iamframe.load` or `iamframe.run_checks` gives"
    )
    read = inventory if isinstance(inventory, Inventory) else inventory.inventory
    tag_key = OWNER_TAG if isinstance(inventory, Inventory) else inventory.owner_tag
    use = quota_use(inventory, tag_key).fillna({"maker": "no known tool", "owner_name": ""})
    used = use.pivot_table(resources, ["account_id", "maker", "owner_name"], "state", "sum", fill_value=0)
    used = used.reindex(columns=[*_OWNED], fill_value=0).rename(columns=_OWNED).astype(int)
    used = used[used.sum(axis=1) > 0].sort_index()
    order = np.argsort(-used.sum(axis=1).to_numpy(), kind="stable")[:_TOOLS]
    shown, names = used.iloc[order], account_labels(read)
    quotas = read.accounts.set_index("account_id")[f"{resources.removesuffix('s')}_quota"]
    quota = pd.Series(shown.index.get_level_values("account_id")).map(quotas).replace(0, pd.NA).astype("float64")
    shares = (100 * shown.sum(axis=1).to_numpy() / quota).round()
    labels = [
        f"{names[str(account)]}  {shortened(f'{maker} {of}'.strip())}"
        + ("" if pd.isna(share) else f", {share:.0f}% of the quota" if share else ", under 1% of the quota")
        for (account, maker, of), share in zip(shown.index.tolist(), shares, strict=True)
    ]
    unknown = int(used[_OWNED["unread"]].sum() + used[_OWNED["not_collected"]].sum())
    sums, things = used.sum(), _RESOURCES[resources]
    said = f"{int(sums[_OWNED['none']]):,} of {pluralize(int(sums.sum()), things)} have no owner"
    unsure = f"owner of {unknown:,} unknown" if unknown else ""
    looks = dict(zip(_OWNED.values(), (PLAIN, CROSSED, DOTTED, UNKNOWN, UNKNOWN_TOO), strict=True))
    bars = Bars(f"{things}s", looks, shown.set_axis(labels))
    return bars.draw(ax, read, [resources], said, unsure, more_not_shown(len(used) - _TOOLS, "row"))


def plot_ladder(inventory: Inventory, ax: Axes | None = None, limit: int = 60) -> Axes:
    """Draw roles in several profiles, roles that trust EC2 but are in no profile, and profiles without a (known) role.

    Lines connect the roles on the left with their profiles on the right. Each row shows a profile, or a role without a
    profile. The plot has at most `limit` rows. Roles in several profiles come first. Profiles without a role come
    second. Roles that trust EC2 but are in no profile come third. Profiles come last if it is unknown whether they have
    a role. The line from a profile to its role is dashed if only the name of the role is known. With several
    accounts, the name of each account is above its rows.
    """
    require("plot_ladder", inventory, Inventory, instead="what `iamframe.load` gives")
    rungs = _rungs(inventory)
    rows = rungs.head(limit).reset_index(drop=True)
    is_lone = rows["kind"] == "lone"
    label = rows["profile_name"].where(~is_lone, rows["role_name"]).map(shortened)
    account = rows["account_id"].map(account_labels(inventory)) if len(inventory.accounts) > 1 else ""
    begins = rows[["kind", "account_id"]].ne(rows[["kind", "account_id"]].shift()).any(axis=1)
    role = label.where(is_lone, rows["role_name"].map(shortened))
    role = role.mask(rows["kind"] == "empty", "(no role)").mask(rows["kind"] == "unread", "(role not collected)")
    profile = label.mask(is_lone, "(no profile)")
    rows = rows.assign(role=role, profile=profile, begins=begins, account=account)

    ax = new_axes(ax, rows["role"] + rows["profile"], rows=0.7 * len(rows), across=3)
    draw_title(
        ax,
        *(_rungs_in_words(rungs) or ["each role for EC2 in one profile, each profile with one role"]),
        more_not_shown(len(rungs) - limit, "row"),
        not_all_read(inventory, "roles", "profiles"),
    )
    if rows.empty:
        nothing = "shared roles, roles for EC2 without a profile, or profiles without a role"
        return draw_none(ax, nothing, inventory, "roles", "profiles")
    return _draw_rungs(ax, rows)


def _rungs(inventory: Inventory) -> pd.DataFrame:
    """Return the rows that `plot_ladder` would draw without its `limit`."""
    pairs = views.pairs(inventory)
    size = pairs.groupby("role_arn")["profile_arn"].transform("count").fillna(0)
    alone = pairs["role_arn"].isna()
    kinds = {
        "shared": size > 1,
        "lone": pairs["profile_arn"].isna(),
        "empty": alone & pairs["role_known"],
        "unread": alone,
        "one to one": True,
    }
    kind = pd.Series(first_true(kinds, len(pairs)), index=pairs.index)
    rungs = pairs.assign(
        kind=kind,
        size=-size,
        group=pairs["role_arn"].fillna(pairs["profile_arn"]),
        role_read=is_in(pairs["role_arn"], inventory.roles["role_arn"]),
        rank=kind.map({"shared": 0, "empty": 1, "lone": 2, "unread": 3}),
    )
    return rungs[rungs["rank"].notna()].sort_values(["rank", "size", "group", "profile_arn"])


def _rungs_in_words(rungs: pd.DataFrame) -> list[str]:
    kinds, shared = rungs["kind"].value_counts(), rungs[rungs["kind"] == "shared"]
    said = {
        f"{pluralize(shared['group'].nunique(), 'role')} in several profiles ({len(shared):,})": len(shared),
        f"{pluralize(kinds.get('empty', 0), 'profile')} without a role": kinds.get("empty"),
        f"{pluralize(kinds.get('lone', 0), 'role')} for EC2 in no profile": kinds.get("lone"),
        f"{pluralize(kinds.get('unread', 0), 'profile')} whose role was not collected (dashed)": kinds.get("unread"),
    }
    return [sentence for sentence, count in said.items() if count]


def _draw_rungs(ax: Axes, rows: pd.DataFrame) -> Axes:
    places = rows.index.to_series()
    left = places.groupby(rows["group"]).transform("mean")
    for row, (kind, is_read) in enumerate(zip(rows["kind"], rows["role_read"], strict=True)):
        ends = {"lone": [0], "empty": [1]}.get(kind, [0, 1])
        heights, filled = [(left[row], row)[end] for end in ends], "white" if len(ends) == 1 else BLUE
        style: dict[str, Any] = {"linestyle": "-" if is_read else "--", "markerfacecolor": filled}
        ax.plot(ends, heights, color=BLUE, marker="o", markersize=4, clip_on=False, **style)
    # Rungs without this side share one label per kind.
    for side, alone in (("role", ["empty", "unread"]), ("profile", ["lone"])):
        of = rows["kind"].where(rows["kind"].isin(alone), rows["group"] if side == "role" else places.astype(str))
        at, labels = places.groupby(of, sort=False).mean(), rows[side].groupby(of, sort=False).first()
        if side == "role":
            ax.set_yticks(at.to_numpy(), labels.tolist(), fontsize=9, **as_letters())
        else:
            for label, height in zip(labels, at, strict=True):
                ax.text(1.03, height, label, va="center", fontsize=9, **as_letters())
    is_first = rows["kind"] != rows["kind"].shift()
    for place in map(int, np.flatnonzero(rows["begins"])):
        draw_section(ax, place, rows["account"][place], is_strong=bool(is_first[place]))
    ax.set_xticks([0, 1], ["roles", "profiles"])
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6))
    ax.tick_params(length=0, pad=8, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    return ax


def plot_last_use(inventory: Inventory, ax: Axes | None = None, now: datetime | None = None) -> Axes:
    """Draw a bar chart of the days since roles were last used.

    Each range of days has a bar. AWS keeps the last use of a role for 400 days. A new, never used role also counts as
    "no use in 400 days". The days since the last use of a role are counted up to the time `now`. By default, `now` is
    the time when the account was collected. If the collection time is unknown, `now` is the current time. If `now`
    has no time zone, UTC is assumed. The bar with slanted hatching shows roles whose last use was not collected.
    AWS-managed roles are left out, and the title shows their number.
    """
    require("plot_last_use", inventory, Inventory, instead="what `iamframe.load` gives")
    roles = inventory.roles[~inventory.roles["is_aws_managed"]]
    present = pd.Timestamp(datetime.now(UTC) if now is None else now)
    present = present.tz_localize(UTC) if present.tz is None else present.tz_convert(UTC)
    captured = inventory.accounts.set_index("account_id")["captured_at"]
    known = captured if now is None else captured[:0]
    as_of = known.reindex(roles["account_id"]).set_axis(roles.index).fillna(present)
    # Collecting an account takes minutes: a use may be later than the time of its first answer.
    days = (as_of - roles["last_used_at"]).dt.days.clip(lower=0)
    spans, never = ["30 days or less", "31 to 90 days", "91 to 180 days", "181 to 400 days"], "no use in 400 days"
    row = pd.cut(days, [-1, 30, 90, 180, 400], labels=spans).astype("str").where(days <= 400, never)
    row = row.where(roles["last_used_known"], "not collected")
    parts = {"used": (row.isin(spans), PLAIN), "no use": (row == never, DOTTED), "not collected": (True, UNKNOWN)}
    bars = Bars("roles", *count_parts(parts, row, [*spans, never, "not collected"]))
    dates = as_of.dt.date.unique()
    when = {0: "", 1: f", as of {next(iter(dates), '')}"}.get(len(dates), ", as of when each account was collected")
    idle, unknown = (int((row == name).sum()) for name in (never, "not collected"))
    said = f"{idle:,} of {pluralize(len(roles), 'role')} had no use in 400 days{when}"
    unsure = f"last use of {unknown:,} not collected" if unknown else ""
    return bars.draw(ax, inventory, ["roles"], said, unsure, _managed(inventory))


def plot_age(inventory: Inventory, ax: Axes | None = None) -> Axes:
    """Draw a bar chart of roles and profiles by year of creation.

    Each year has a bar for roles and a bar for profiles. Cross-hatched parts of a bar show resources without tags.
    AWS-reserved tags are ignored. Slanted hatching shows resources whose tags were not collected, and, in a bar of its
    own, resources whose creation time was not collected. The plot shows at most 20 years. The first year also includes
    all older resources. AWS-managed roles are left out, and the title shows their number.
    """
    require("plot_age", inventory, Inventory, instead="what `iamframe.load` gives")
    sides = [
        frame[["created_at"]].assign(side=_SIDES[kind], state=tag_states(inventory, frame, key))
        for kind, (frame, key) in views.taggable_resources(inventory).items()
    ]
    resources = pd.concat(sides, ignore_index=True)
    year, state = resources["created_at"].dt.year.astype("Int64"), resources["state"]
    parts = {
        "tagged": (year.notna() & (state == 0), PLAIN),
        "untagged": (year.notna() & (state == 1), CROSSED),
        "tags not collected": (year.notna(), UNKNOWN),
        "creation not collected": (True, UNKNOWN_TOO),
    }
    years = range(year.min(), year.max() + 1) if year.notna().any() else range(0)
    labels = [*map(str, years[-_YEARS:])]
    when = year.astype("str").fillna("not collected")
    if len(years) > _YEARS:
        labels[0] += " or before"
        when = when.where(year.isna() | (year > years[-_YEARS]), labels[0])
    labels += ["not collected"] * int(year.isna().any())
    row = when + "  " + resources["side"]
    rows = [f"{label}  {side}" for label in labels for side in _SIDES.values()]
    bars = Bars("roles or profiles", *count_parts(parts, row, rows))
    said = _untagged_in_words(inventory, "by year of creation")
    return bars.draw(ax, inventory, ["roles", "profiles"], *said, _managed(inventory))


def plot_surfaces(ax: Axes | None = None) -> Axes:
    """Draw a table that shows which consoles, APIs and tools can write or read tags.

    Each console, API or tool has a row. The columns show whether you can write tags, read tags, and find resources by
    tag. Roles and profiles have separate columns. A number in a cell refers to a condition below the table. A hatched
    cell means "unknown". An answer is unknown if AWS does not document it and no measurement shows it.
    `iamframe.surfaces` shows which document or measurement each answer comes from.
    """
    facts = known_facts()
    rows = list(dict.fromkeys(fact.surface for fact in facts))
    columns = list(dict.fromkeys((fact.resource_type, fact.operation) for fact in facts))
    conditions = list(dict.fromkeys(fact.condition for fact in facts if fact.condition))
    looks = {"yes": LIGHT, "depends": DEPENDS, "no": NO, "unknown": UNKNOWN_CELL}

    ax = new_axes(ax, rows, rows=len(rows) + len(conditions), across=max(len(columns), 6.2))
    shows = [fact.surface for fact in facts if fact.operation == "read" and fact.answer == "yes"]
    both = [row for row in rows if shows.count(row) == len(_SIDES)]
    draw_title(ax, f"Only the {' and the '.join(both)} always shows the tags of roles and of profiles")
    for fact in facts:
        column, row = columns.index((fact.resource_type, fact.operation)), rows.index(fact.surface)
        text = f"if ({conditions.index(fact.condition) + 1})" if fact.condition else fact.answer
        draw_cell(ax, column, row, text, looks[fact.answer])
    ax.vlines(len(columns) / 2, 0, len(rows), color=EDGE, linewidth=2.5)
    label_cells(ax, rows, [f"{_SIDES[kind]}: {operation}" for kind, operation in columns])
    numbered = (f"({number}) {condition}" for number, condition in enumerate(conditions, 1))
    notes = "\n".join(line for note in numbered for line in textwrap.wrap(note, 84, subsequent_indent="      "))
    ax.set_xlabel(notes, loc="left", fontsize=9, **as_letters())
    return ax


def _untagged_in_words(inventory: Inventory, caption: str) -> tuple[str, str]:
    by_type = states_by_type(tagged_counts(inventory))
    said = [
        f"{untagged:,} of {tagged + untagged:,} {_SIDES[kind]}"
        for kind, (tagged, untagged, _) in reversed(by_type.items())
        if tagged + untagged
    ]
    unknown = sum(counts[2] for counts in by_type.values())
    return (
        f"{' and '.join(said)} have no tags" if said else "no tags were collected",
        caption + (f"; tags of {unknown:,} not collected" if unknown else ""),
    )


def _managed(inventory: Inventory) -> str:
    count = int(inventory.roles["is_aws_managed"].sum())
    return f"{pluralize(count, 'role')} that AWS manages left out" if count else ""
