"""Merge rows from live accounts and files into sorted tables: one row per role, profile, link or tag.

If two answers give an unknown and a known value, the known value counts. Contradictory values become unknown, and the
frame `gaps` shows them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory.arrow import Bools, Positions, join_by_group, joined_key, matches
from iamframe.inventory.frame import TIME
from iamframe.inventory.staging import NAMED, Kind, Staging
from iamframe.knowledge.arn import name_of, partition_of
from iamframe.knowledge.operations import PROFILE, ROLE, ROLE_LINKS, UNKNOWN_ACCOUNT, aws_command
from iamframe.sources.records import TagListing, parsed_time


def settle(code: Positions, value: Positions, size: int) -> tuple[Positions, Positions, Positions]:
    """Choose one row (or none) for each key, and find keys with several values.

    Each row has a key and a value. In `code`, equal keys have equal numbers, from 0 to `size` - 1. In `value`, equal
    values have equal numbers, and an unknown value is -1.

    Returns
    -------
    first
        For each key, the position of the first row with a known value, or -1 if the known values differ or there is
        none.
    one, other
        For each key with different values, the positions of two rows whose values differ.
    """
    rows = np.flatnonzero(value >= 0)
    first = np.full(size, -1)
    first[code[rows][::-1]] = rows[::-1]
    different = rows[value[rows] != value[first[code[rows]]]]
    keys, where = np.unique(code[different], return_index=True)
    one, other = first[keys], different[where]
    first[keys] = -1
    return first, one, other


@dataclass
class Merged:
    kind: Kind
    # One row per record of a resource.
    rows: pa.Table
    # For each row of `rows`, its row in `table`.
    code: Positions
    # One row per ARN, sorted by ARN.
    table: pa.Table
    # The rows of `table` with data of different times: two unique ids, or the name of another row of the account.
    mixed: set[int] = field(default_factory=set)

    @property
    def arns(self) -> pa.Array:
        return self.table.column(0).combine_chunks()

    @property
    def accounts(self) -> pa.Array:
        return pc.fill_null(self.table["account_id"], UNKNOWN_ACCOUNT).combine_chunks()

    def put(self, name: str, values: Any) -> None:
        values = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values)
        if name in self.table.column_names:
            self.table = self.table.set_column(self.table.column_names.index(name), name, values)
        else:
            self.table = self.table.append_column(name, values)

    def is_known(self, flag: str) -> Bools:
        return np.asarray(self.table[flag]).astype(bool)

    def set_known(self, flag: str, rows: Iterable[int], known: bool) -> None:
        if chosen := [*rows]:
            values = self.is_known(flag)
            values[chosen] = known
            self.put(flag, values)


def merge_rows(staged: Staging, kind: Kind, rows: pa.Table) -> Merged:
    rows, unreadable = _with_times(staged, rows)
    encoded = rows.column(0).combine_chunks().dictionary_encode()
    rank = _ranks(encoded.dictionary)
    code = rank[np.asarray(encoded.indices)]
    first = np.empty(len(rank), dtype=np.int64)
    first[code[::-1]] = np.arange(len(code) - 1, -1, -1)
    table = rows.drop_columns("origin")
    merged = Merged(kind, rows, code, table if np.array_equal(first, np.arange(len(code))) else table.take(first))
    if len(first) < len(code):
        _merge_cells(staged, merged, first)
    if unreadable:
        # Another answer may show a time.
        unknown = np.asarray(merged.table["last_used_at"].is_null())
        merged.set_known("last_used_known", (row for row in code[unreadable].tolist() if unknown[row]), False)
    merged.mixed |= _namesakes(staged, merged)
    return merged


def _namesakes(staged: Staging, merged: Merged) -> set[int]:
    # Names are unique in an account, regardless of case and path (IAM User Guide, "IAM and AWS STS quotas"). A planned
    # resource has no ARN, and may replace another one.
    names = merged.table[merged.kind.name].combine_chunks()
    rows = np.flatnonzero(pc.and_(pc.starts_with(merged.arns, "arn:"), names.is_valid()))
    key = joined_key(merged.accounts, pc.utf8_lower(names)).take(pa.array(rows)).dictionary_encode()
    code = np.asarray(key.indices)
    several = np.bincount(code)[code] > 1
    found = defaultdict[tuple[int, str | None], list[tuple[int, str]]](list)
    for number, row in zip(code[several].tolist(), rows[several].tolist(), strict=True):
        arn = merged.arns[row].as_py()
        found[number, partition_of(arn)].append((row, arn))
    groups = [same for same in found.values() if len(same) > 1]
    for namesakes, arn in ((same, arn) for same in groups for _, arn in same):
        others = [other for _, other in namesakes if other != arn]
        staged.gaps.about(arn, merged.kind.single[0], "contradicted", "gaps.contradicted.namesakes", others=others)
    return {row for same in groups for row, _ in same}


def _merge_cells(staged: Staging, merged: Merged, first: Positions) -> None:
    rows, code = merged.rows, merged.code
    several = np.flatnonzero(np.bincount(code)[code] > 1)
    some, shared = rows.take(several), np.unique(code[several])

    def put(name: str, chosen: Positions) -> None:
        # A resource with one row gets the value of that row.
        where = first.copy()
        where[shared] = np.where(chosen[shared] < 0, -1, several[chosen[shared]])
        merged.put(name, rows[name].take(pa.array(where, mask=where < 0)))

    for name in rows.column_names[1:]:
        column = some[name].combine_chunks()
        if pa.types.is_boolean(column.type):
            # A flag is true if any answer sets it.
            merged.put(name, np.bincount(code, np.asarray(rows[name]), minlength=len(first)) > 0)
        elif name == "last_used_at":
            # A role may be used again between two answers: the latest time counts, with its region.
            latest = np.asarray(pc.sort_indices(column, sort_keys=[("", "descending")])).astype(np.int64)
            latest = latest[: len(column) - column.null_count]
            chosen, *_ = settle(code[several[latest]], np.zeros_like(latest, dtype=np.int64), len(first))
            where = np.where(chosen < 0, -1, latest[chosen] if len(latest) else -1)
            put("last_used_at", where)
            put("last_used_region", where)
        elif name not in ("last_used_region", "origin"):
            value = staged.trusts.unified(column) if name == "trust" else column.dictionary_encode().indices
            where, one, other = settle(code[several], np.asarray(value.fill_null(-1)), len(first))
            put(name, where)
            _contradicted(staged, some, name, one, other)
            if name in ("role_id", "profile_id"):
                # The resource was recreated between two answers: links, tags and trust may be those of the old one.
                merged.mixed |= {*code[several[one]].tolist()}


def _contradicted(staged: Staging, rows: pa.Table, name: str, one: Positions, other: Positions) -> None:
    for pair in zip(one.tolist(), other.tolist(), strict=True):
        values = [rows[name][row].as_py() for row in pair]
        origins = [rows["origin"][row].as_py() for row in pair]
        arn, column = rows.column(0)[pair[0]].as_py(), name
        if name == "trust":
            column, values = "trust_policy", [staged.trusts.text(code) for code in values]
        staged.differ(arn, column, "gaps.contradicted.cell", map(str, values), origins, column=column)


def _with_times(staged: Staging, rows: pa.Table) -> tuple[pa.Table, list[int]]:
    """Parse the times of all rows. Also return the numbers of the rows whose time of last use cannot be parsed."""
    unreadable: list[int] = []
    for name in ("created_at", "last_used_at"):
        if name in rows.column_names:
            times, unreadable = parsed_times(rows[name])
            for row in unreadable:
                arn, text = rows.column(0)[row].as_py(), repr(rows[name][row].as_py())
                staged.gaps.about(arn, name, "unreadable", "gaps.answer.no_time", column=name, text=text)
            rows = rows.set_column(rows.column_names.index(name), name, times)
    # The last column with times is `last_used_at`; profiles do not have it.
    return rows, unreadable if "last_used_at" in rows.column_names else []


def parsed_times(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, list[int]]:
    try:
        return column.cast(TIME), []
    except pa.ArrowInvalid:
        # One text without a zone, or with more than six digits of a second, fails the cast of the whole column.
        texts = column.combine_chunks().dictionary_encode()
        times = pa.array(map(parsed_time, texts.dictionary.to_pylist()), TIME).take(texts.indices)
        return pa.chunked_array([times]), np.flatnonzero(pc.and_(times.is_null(), column.is_valid())).tolist()


class _MembersByRow:
    def __init__(self, rows: Positions, members: Positions) -> None:
        self._rows, self._members = rows, members

    @cached_property
    def _pairs(self) -> tuple[Positions, Positions]:
        span = int(self._members.max(initial=0)) + 1
        return np.divmod(np.unique(self._rows.astype(np.int64) * span + self._members), span)

    def members_in(self, row: int) -> Positions:
        rows, members = self._pairs
        return members[slice(*np.searchsorted(rows, (row, row + 1)))]

    def set_numbers(self, known: Positions, code: Positions) -> Positions:
        """Return an id for each row's set of tags or links.

        Rows about the same role or profile get the same id if their sets are equal. A row gets -1 if its set is
        unknown. A row also gets -1 if no other row about the same role or profile has a known set, because then there
        is nothing to compare.
        """
        value = np.full(len(code), -1)
        several = known[np.bincount(code[known])[code[known]] > 1]
        if len(several):
            rows, members = self._pairs
            group = np.searchsorted(several, rows).clip(max=len(several) - 1)
            is_known = several[group] == rows
            texts = pa.array(members[is_known]).cast(pa.string())
            sets = pc.fill_null(join_by_group(group[is_known], texts, len(several), ","), "")
            value[several] = sets.dictionary_encode().indices
        return value


def merge_links(staged: Staging, roles: Merged, profiles: Merged) -> pa.Table:
    rows = staged.links.table()
    profile_row, role_row = (np.asarray(rows[name].fill_null(-1)) for name in ("profile", "role"))
    role, arns = _roles_of(staged, rows, roles, profiles)
    profile = profiles.code[profile_row]
    # Per staged link: its profile and its role, and the staged rows of both.
    links = pd.DataFrame({"profile": profile, "role": role, "profile_row": profile_row, "role_row": role_row})
    doubted = _missing_from_list_of_role(staged, links, arns, roles, profiles)
    doubted |= _different_roles(staged, links, arns, profiles) | profiles.mixed
    is_doubted = np.isin(profile, list(doubted))
    # The profiles of a role are unknown if any answer shows the role in a doubted profile.
    in_doubt = np.unique(role[is_doubted & (role < len(roles.table))])
    for number in in_doubt.tolist():
        staged.gaps.about(arns[number].as_py(), ROLE_LINKS, "contradicted", "gaps.contradicted.links")
    profiles.set_known("role_known", doubted, False)
    roles.set_known("links_known", {*in_doubt.tolist(), *roles.mixed}, False)
    rank = _ranks(arns) if len(arns) > len(roles.table) else np.arange(len(arns))
    _, kept = np.unique(profile * max(len(arns), 1) + rank[role], return_index=True)
    # If answers disagree about a profile's role, only the frame `gaps` shows the roles.
    kept = kept[~is_doubted[kept]]
    owner = pa.array(profile[kept])
    columns = {"account_id": profiles.accounts.take(owner), "profile_arn": profiles.arns.take(owner)}
    return pa.table(columns | {"role_arn": arns.take(pa.array(role[kept]))})


def _different_roles(staged: Staging, links: pd.DataFrame, role_arns: pa.Array, profiles: Merged) -> set[int]:
    sets = _MembersByRow(links["profile_row"].to_numpy(), links["role"].to_numpy())
    known = np.flatnonzero(profiles.rows["role_known"])
    _, one, other = settle(profiles.code, sets.set_numbers(known, profiles.code), len(profiles.table))
    arns = profiles.arns
    for pair in zip(one.tolist(), other.tolist(), strict=True):
        held = (sorted(role_arns.take(pa.array(sets.members_in(row))).to_pylist()) for row in pair)
        sides = [arns_held or {"message": "gaps.contradicted.no_role"} for arns_held in held]
        origins = [profiles.rows["origin"][row].as_py() for row in pair]
        arn = arns[profiles.code[pair[0]]].as_py()
        staged.differ(arn, PROFILE, "gaps.contradicted.holds", sides, origins, command=_showing(arn))
    return set(profiles.code[one].tolist())


def _missing_from_list_of_role(
    staged: Staging, links: pd.DataFrame, role_arns: pa.Array, roles: Merged, profiles: Merged
) -> set[int]:
    if len(roles.table) == len(roles.rows) and (links["role_row"] >= 0).all():
        # One answer shows all roles, each with its own list.
        return set()
    lists = np.flatnonzero(roles.rows["links_known"])
    links = links.drop_duplicates(["profile", "role_row"])
    # Per link and list of its role: the link's position, and the staged row of the role.
    at, own = matches(links["role"], roles.code[lists])
    both = links.iloc[at].assign(own=lists[own])
    rows = len(roles.rows) + 1
    both = both[~(both["profile"] * rows + both["own"]).isin(links["profile"] * rows + links["role_row"])]
    columns = (both[name].tolist() for name in ("profile", "role", "profile_row", "own"))
    profile_arns = profiles.arns
    for profile, role, row, own in zip(*columns, strict=True):
        origins = profiles.rows["origin"][row].as_py(), roles.rows["origin"][own].as_py()
        arn, sides = profile_arns[profile].as_py(), (role_arns[role].as_py(), None)
        staged.differ(arn, PROFILE, "gaps.contradicted.held", sides, origins, command=_showing(arn))
    return set(both["profile"].tolist())


def _showing(profile: str) -> str:
    return aws_command("iam get-instance-profile", {"instance-profile-name": name_of(profile)})


def _roles_of(staged: Staging, links: pa.Table, roles: Merged, profiles: Merged) -> tuple[Positions, pa.Array]:
    names = links["role_name"].combine_chunks()
    if names.null_count == len(names):
        return roles.code[np.asarray(links["role"])], roles.arns
    role = np.asarray(links["role"].fill_null(-1)).astype(np.int64)
    role[role >= 0] = roles.code[role[role >= 0]]
    known, strange = rows_by_name(roles), dict[str, int]()
    rows = np.flatnonzero(names.is_valid())
    holder = pa.array(profiles.code[np.asarray(links["profile"])[rows]])
    columns = (values.to_pylist() for values in (profiles.accounts.take(holder), profiles.arns.take(holder)))
    for row, named, account, profile in zip(
        rows.tolist(), names.take(pa.array(rows)).to_pylist(), *columns, strict=True
    ):
        number = known.get((account, named.removeprefix(NAMED).casefold()))
        if number is None:
            number = len(roles.table) + strange.setdefault(named, len(strange))
            name = named.partition(":")[2]
            facts = {"profile": profile, "role": name, "command": aws_command("iam get-role", {"role-name": name})}
            staged.gaps.add(account, ROLE, named, "not_in_file", "gaps.absent.role", **facts)
        role[row] = number
    # The ARNs of the table of roles come first. A role that is known only by its name follows as `name:ROLE`.
    return role, pa.concat_arrays([roles.arns, pa.array(list(strange), pa.string())])


def rows_by_name(merged: Merged) -> dict[tuple[str, str], int]:
    names = zip(merged.accounts.to_pylist(), merged.table[merged.kind.name].to_pylist(), strict=True)
    return {(account, text.casefold()): row for row, (account, text) in enumerate(names) if text is not None}


def merge_tags(staged: Staging, *resources: Merged) -> pa.Table:
    return pa.concat_tables([_merge_tags_of(staged, merged) for merged in resources])


@dataclass
class _Tags:
    # The merged row and the answer of each row: first the staged rows, then one row per list of a resource's tags.
    code: Positions
    origin: Positions
    # The rows whose tags are known.
    known: Positions
    table: pa.Table
    # The row of each tag, ascending, and the position of the tag's key in `keys`.
    row: Positions
    key: Positions
    keys: pa.Array

    def tags_in(self, row: int) -> set[tuple[str, str]]:
        start, end = np.searchsorted(self.row, (row, row + 1)).tolist()
        own = self.table.slice(start, end - start)
        return set(zip(own["tag_key"].to_pylist(), own["tag_value"].to_pylist(), strict=True))


def _merge_tags_of(staged: Staging, merged: Merged) -> pa.Table:
    tags = _staged_tags(staged, merged)
    doubted = _different_sets(staged, merged, tags) | merged.mixed
    owner = tags.code[tags.row]
    order = np.argsort(tags.origin[tags.row], kind="stable")
    order = order[np.argsort((owner * max(len(tags.keys), 1) + tags.key)[order], kind="stable")]
    owner, key = owner[order], tags.key[order]
    # Tags with the same resource and key as the tag before.
    repeats = np.append(False, (owner[1:] == owner[:-1]) & (key[1:] == key[:-1]))[: len(order)]
    doubted |= _two_values_for_one_key(staged, merged, tags, order, np.flatnonzero(repeats), doubted)
    merged.set_known("tags_known", doubted, False)
    # If answers disagree about a resource's tags, only the frame `gaps` shows the tags.
    kept = ~repeats & ~np.isin(owner, list(doubted)) if doubted else ~repeats
    order, resource = order[kept], pa.array(owner[kept])
    table = tags.table.select(["tag_key", "tag_value"]).take(pa.array(order))
    return pa.table(
        {
            "account_id": merged.accounts.take(resource),
            "resource_arn": merged.arns.take(resource),
            "resource_type": pa.repeat(pa.scalar(merged.kind.noun), len(order)),
            "tag_key": table["tag_key"],
            "tag_value": table["tag_value"],
            "is_aws_reserved": pc.starts_with(pc.utf8_lower(tags.keys), "aws:").take(pa.array(key[kept])),
            "tag_source": pa.array(staged.operations, pa.string()).take(pa.array(tags.origin[tags.row[order]])),
        }
    )


def _staged_tags(staged: Staging, merged: Merged) -> _Tags:
    kind = merged.kind.noun
    code, origin = merged.code, np.asarray(merged.rows["origin"])
    known = np.flatnonzero(merged.rows["tags_known"])
    listings = [listing for listing in staged.tag_listings if listing[1].resource_type == kind]
    if listings:
        resources, origins = _add_listings(staged, merged, listings)
        known = np.append(known, np.arange(len(code), len(code) + len(resources)))
        code, origin = np.append(code, resources), np.append(origin, origins)
    table = staged.tags[kind].table()
    encoded = table["tag_key"].combine_chunks().dictionary_encode()
    rank = _ranks(encoded.dictionary)
    keys = encoded.dictionary.take(pc.sort_indices(encoded.dictionary))
    row = np.asarray(table["row"])
    return _Tags(code, origin, known, table, row, rank[np.asarray(encoded.indices)], keys)


def _add_listings(
    staged: Staging, merged: Merged, listings: list[tuple[str | None, TagListing, int]]
) -> tuple[Positions, Positions]:
    kind, rows = merged.kind.noun, rows_by_name(merged)
    resources: list[int] = []
    origins: list[int] = []
    for account, listing, origin in listings:
        resource = rows.get((account or UNKNOWN_ACCOUNT, listing.resource_name.casefold()))
        if resource is not None:
            staged.add_tags(kind, listing.tags, len(merged.code) + len(resources))
            resources.append(resource)
            origins.append(origin)
        elif account:
            operation, name = staged.operations[origin], listing.resource_name
            facts = {"resource_type": kind, "name": name}
            staged.gaps.add(account, operation, name, "not_in_file", "gaps.absent.owner_of_tags", **facts)
    merged.set_known("tags_known", resources, True)
    # For each added list, the number of its resource and of its answer.
    return np.array(resources, dtype=np.int64), np.array(origins, dtype=np.int64)


def _different_sets(staged: Staging, merged: Merged, tags: _Tags) -> set[int]:
    if np.bincount(tags.code[tags.known]).max(initial=0) < 2:
        return set()
    values = tags.table["tag_value"].combine_chunks().dictionary_encode()
    sets = _MembersByRow(tags.row, tags.key * len(values.dictionary) + np.asarray(values.indices))
    _, one, other = settle(tags.code, sets.set_numbers(tags.known, tags.code), len(merged.table))
    arns = merged.arns
    for pair in zip(one.tolist(), other.tolist(), strict=True):
        sides, arn = [_listed(tags.tags_in(row)) for row in pair], arns[tags.code[pair[0]]].as_py()
        staged.differ(arn, "tags", "gaps.contradicted.tags", sides, tags.origin[[*pair]])
    return set(tags.code[one].tolist())


def _two_values_for_one_key(
    staged: Staging, merged: Merged, tags: _Tags, order: Positions, repeats: Positions, doubted: set[int]
) -> set[int]:
    one, other = order[repeats - 1], order[repeats]
    value = tags.table["tag_value"]
    differs = np.asarray(pc.not_equal(value.take(pa.array(one)), value.take(pa.array(other))))
    found, arns = set[int](), merged.arns
    for pair in zip(one[differs].tolist(), other[differs].tolist(), strict=True):
        resource = int(tags.code[tags.row[pair[0]]])
        if resource not in doubted | found:
            sides = [_listed({(tags.keys[tags.key[tag]].as_py(), value[tag].as_py())}) for tag in pair]
            origins = tags.origin[tags.row[[*pair]]]
            staged.differ(arns[resource].as_py(), "tags", "gaps.contradicted.tags", sides, origins)
            found.add(resource)
    return found


def _listed(tags: Iterable[tuple[str, str]]) -> object:
    return [f"{key}={value}" for key, value in sorted(tags)] or {"message": "list.none"}


def _ranks(values: pa.Array) -> Positions:
    if pc.all(pc.less(values[:-1], values[1:])).as_py() is not False:
        return np.arange(len(values))
    order = np.asarray(pc.sort_indices(values))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank
