"""Explain a role, an instance profile, or a resource that refers to a profile."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.analysis.explain_pair import (
    SECTIONS,
    TYPE_OF,
    Pair,
    Row,
    RowsByKey,
    bare_name,
    consumer,
    event_field,
    field,
    frame_of,
    gap_note,
    note,
    records,
    records_by,
    status_note,
    used_note,
)
from iamframe.analysis.explain_text import html_parts, text_lines
from iamframe.analysis.history import recorded_events
from iamframe.checks import Result, run_checks
from iamframe.checks.runner import part_of
from iamframe.checks.tag_policy import PolicySource
from iamframe.errors import require
from iamframe.inventory import schema
from iamframe.inventory.arrow import Bools, as_arrow, is_in, joined_key
from iamframe.inventory.completeness import completeness
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.linking import without_case
from iamframe.inventory.views import first_maker
from iamframe.knowledge.arn import PROFILE_TYPE, ROLE_TYPE, Query, account_of, name_of, parse_query
from iamframe.knowledge.makers import GUESS, known_makers
from iamframe.knowledge.operations import ALL, ASSUME_ROLE, CHECK_SNAPSHOT, proving
from iamframe.knowledge.trust import statements_of
from iamframe.messages.render import Message, joint

# The maximum number of resources with the nearest names.
_MOST = 10
# The number of names that are compared letter by letter.
_COMPARED = 500
_KEYS = ("account_id", "profile_arn", "role_arn")
_Arns = dict[str, list[str]]


@dataclass(frozen=True)
class Explanation:
    """Everything known about the roles and profiles that match a name, ARN or id.

    `print` shows the explanation as text. `to_frame()` returns the explanation as a frame.
    """

    query: str
    frame: pd.DataFrame

    @property
    def found(self) -> bool:
        """True if the name, ARN or id matches a resource in the inventory."""
        return bool(self.frame["section"].isin(["identity", "uses"]).any())

    @schema.shows(schema.EXPLANATION)
    def to_frame(self) -> pd.DataFrame:
        """Return one row per field, in the printed order."""
        return self.frame

    def __str__(self) -> str:
        return "\n".join(text_lines(self.frame))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "".join(html_parts(self.frame))


def explain(inventory: Inventory | Result, name: str, policy: PolicySource = None) -> Explanation:
    """Return everything known about the roles and profiles that have the given name, ARN or id.

    Parameters
    ----------
    inventory
        An `Inventory` or a `Result`. For a `Result`, its findings and its policy file are used.
    name
        A name, an ARN or a unique id. Case does not matter. A name selects the role and the profile with this name in
        each account. The ARN of an assumed-role session selects the role. A name can be given with its path. An ARN can
        be given without its path. If you give an ARN without its path, the section `searched for` shows the full ARN.
        You can also pass the id, name or ARN of an instance, or of any other resource that uses profiles. The section
        `uses` shows the profiles of an instance or other resource, and whether each profile still exists.
    policy
        An iamframe policy file, as for `run_checks`.

    Returns
    -------
    Explanation
        The explanation has one part for each profile with its role, for each profile without a role, and for each role
        without a profile. Each part shows ARNs, creator, last use and tags, in one column for the profile and one
        column for the role. Other sections show who may assume the role, and what uses the profile. The explanation
        also shows where iamframe searched for references to the profile. Further sections show findings, incomplete
        checks, suggested commands and CloudTrail events. The section `deleting` shows whether AWS would accept a
        deletion. The section `consoles and tools for tags` says which consoles and tools show or change the tags. Of
        the suggested commands, those that empty or delete a profile come last. If something speaks against a deletion,
        the explanation gives the reason instead of these commands. If nothing matches, the explanation shows similar
        names and references to the name. The explanation then also shows what was not collected. `explain` reads only
        the inventory, not the account.

    Raises
    ------
    TypeError
        If the name is not a string.
    PolicyError
        If a policy file cannot be read, or is not valid.
    """
    if not isinstance(name, str):
        raise TypeError(f"explain takes the name, ARN or unique id of a role or profile as text, not {name!r}")
    require("explain", inventory, Inventory, Result, instead="what `iamframe.load` or `iamframe.run_checks` gives")
    if isinstance(inventory, Inventory):
        return Explanation(name, _frame(inventory, None, name, policy))
    frames = []
    for part in inventory.parts(neighbours=True):
        frame = _frame(part.inventory, part, name, policy)
        # Another part explains the resources of its own accounts.
        frames.append(frame[frame["account_id"].isna() | is_in(frame["account_id"], part.coverage["account_id"])])
    if len(frames) > 1:
        frames = [frame for frame in frames if Explanation(name, frame).found]
    if not frames:
        # What is said about a name that does not exist concerns all accounts.
        return Explanation(name, _frame(inventory.inventory, None, name, policy))
    return Explanation(name, pd.concat(frames, ignore_index=True))


def _frame(read: Inventory, result: Result | None, name: str, policy: PolicySource) -> pd.DataFrame:
    query = parse_query(name)
    found = _matching_arns(read, query)
    fields: list[Row] = []
    if found["profile"] or found["role"]:
        fields += _full_arns(query, found)
    else:
        using, lists = _references_from_resource(read.references, query), result.lists if result else completeness(read)
        found["profile"] = using["profile_arn"].dropna().unique().tolist()
        fields += _used_profiles(read, using, query, lists) if len(using) else _not_found(read, query, lists)
    if found["profile"] or found["role"]:
        near = _with_namesakes(read, [*found["profile"], *found["role"]])
        fields += _explained(part_of(result, near) if result else run_checks(near, policy=policy), found)
    return frame_of(fields)


def _matching_arns(inventory: Inventory, query: Query) -> _Arns:
    found = {}
    for side, kind in TYPE_OF.items():
        frame = getattr(inventory, f"{side}s")
        # A planned resource has no ARN; it matches by the key that replaces the ARN.
        hit = _equal(frame[f"{side}_id"], query.text) | np.asarray(frame[f"{side}_arn"] == query.text, dtype=bool)
        if query.kind in (None, kind):
            named = _equal(frame[f"{side}_name"], query.name) & _of_place(frame, side, query)
            if query.path:
                named &= _equal(pc.utf8_trim(as_arrow(frame[f"{side}_path"]), "/"), query.path)
            hit |= named
        if side == "profile" and not query.path and query.kind in (None, ROLE_TYPE):
            # A role that no source shows is known only by its name, from the profile that holds it.
            links = inventory.links
            by_name = _equal(links["role_arn"], f"name:{query.name}") & _of_place(links, "profile", query)
            hit |= is_in(frame["profile_arn"], links["profile_arn"][by_name])
        found[side] = frame[f"{side}_arn"][hit].tolist()
    return found


def _of_place(frame: pd.DataFrame, side: str, query: Query) -> Bools:
    if not query.is_arn:
        return np.ones(len(frame), dtype=bool)
    begins = pc.starts_with(as_arrow(frame[f"{side}_arn"]), f"arn:{query.partition}:", ignore_case=True)
    return np.asarray(pc.fill_null(begins, False)) & _equal(frame["account_id"], query.account or "")


def _equal(values: Any, text: str) -> Bools:
    return np.array(pc.fill_null(pc.equal(without_case(values), text.lower()), False), dtype=bool)


def _full_arns(query: Query, found: _Arns) -> Iterator[Row]:
    for arn in (arn for arns in found.values() for arn in arns):
        if query.is_arn and not query.assumed and arn.lower() != query.text.lower():
            # A role that is known only by its name is shown with the profile that holds it.
            yield field("another ARN", note=note("asked", asked=query.text, arn=arn), section="searched for")


def _references_from_resource(references: pd.DataFrame, query: Query) -> pd.DataFrame:
    hit = np.logical_or.reduce([_equal(references[f"consumer_{what}"], query.text) for what in ("id", "arn", "name")])
    parts = query.text.split(":", 5)
    if parts[0].lower() == "arn" and len(parts) == 6:
        # A file may not show its region.
        region, account, resource = parts[3:]
        without_arn = _equal(references["account_id"], account) & references["consumer_arn"].isna().to_numpy(bool)
        there = references["region"].isin([region, "unknown"]).to_numpy(bool)
        hit = hit | (_equal(references["consumer_id"], resource.partition("/")[2]) & without_arn & there)
    named = references[hit & bool(query.text)]
    version = named["consumer_version"].fillna("").str.split(" ").str[0]
    keyed = named.assign(version=version, length=version.str.len())
    order = ["account_id", "region", "consumer_type", "consumer_id", "length", "version"]
    ordered: pd.DataFrame = keyed.sort_values(order, kind="stable")[[*references]]
    return ordered


def _used_profiles(inventory: Inventory, using: pd.DataFrame, query: Query, lists: pd.DataFrame) -> Iterator[Row]:
    part = inventory.only(using["profile_arn"].dropna())
    profiles, links = records_by("profile_arn", part.profiles), records_by("profile_arn", part.links)
    whole = dict(zip(lists["account_id"], lists["profiles_whole"], strict=True))
    for row in records(using):
        profile = next(iter(profiles[row["profile_arn"]]), None)
        held = [bare_name(link["role_arn"]) for link in links[row["profile_arn"]]]
        state = note("uses.role", roles=held) if held else _why_profile_missing(inventory, row, whole)
        if profile and not held:
            state = note("uses.no_role" if profile["role_known"] else "uses.role_not_read")
        used = row["profile_arn"] or row["named"], None, used_note(row, profile, state)
        yield field(consumer(row), *used, section="uses", account_id=row["account_id"])
    # Template versions that were not collected may use other profiles.
    subjects = inventory.gaps["subject"].str.split(":").str[0]
    yield from _not_collected(inventory.gaps[is_in(without_case(subjects), without_case(using["consumer_id"]))])
    # The text may also be the name of a deleted profile.
    yield from _referenced_by(inventory, query)


def _why_profile_missing(inventory: Inventory, reference: Row, whole: dict[str, bool]) -> Message | None:
    account = account_of(reference["named"]) or reference["account_id"]
    if not whole.get(account):
        way = "list_not_read" if account in whole else "account_not_read"
        return note(f"uses.{way}", account=account)
    profiles = inventory.profiles
    same = _equal(profiles["account_id"], account) & _equal(profiles["profile_name"], name_of(reference["named"]))
    another = note("uses.another", arns=profiles["profile_arn"][same].tolist()) if same.any() else None
    return joint([note("uses.gone", account=account), another])


def _with_namesakes(inventory: Inventory, arns: list[str]) -> Inventory:
    # `crossed_names` needs the role that has the profile's name.
    profiles, roles = inventory.only(arns).profiles, inventory.roles
    own = joined_key(profiles["account_id"], without_case(profiles["profile_name"]))
    namesakes = roles["role_arn"][is_in(joined_key(roles["account_id"], without_case(roles["role_name"])), own)]
    return inventory.only([*arns, *namesakes])


def _explained(result: Result, found: _Arns) -> Iterator[Row]:
    near, pairs = result.inventory, result.pairs
    pairs = pairs[is_in(pairs["profile_arn"], found["profile"]) | is_in(pairs["role_arn"], found["role"])]
    alone = near.roles[is_in(near.roles["role_arn"], found["role"]) & ~is_in(near.roles["role_arn"], pairs["role_arn"])]
    yield from _namesakes(near, found)
    rows = [*records(pairs), *({"profile_arn": None, **row} for row in _with_guessed_makers(alone, result))]
    known = RowsByKey(result, rows)
    for row in sorted(rows, key=lambda row: [row[name] or "" for name in _KEYS]):
        pair, keys = Pair(known, row), {name: row[name] for name in _KEYS}
        for section, fields in SECTIONS.items():
            yield from ({"section": section, **keys, **one} for one in fields(pair))


def _with_guessed_makers(roles: pd.DataFrame, result: Result) -> Iterator[Row]:
    makers = [*result.policy.makers, *known_makers()]
    columns = {name: pc.fill_null(as_arrow(roles[name]), "") for name in ("role_path", "role_name")}
    for row, at in zip(records(roles), first_maker(makers, columns, "role"), strict=True):
        yield row | {"maker": makers[at].name if at >= 0 else None, "maker_basis": GUESS}


def _namesakes(near: Inventory, found: _Arns) -> Iterator[Row]:
    named = []
    for side, frame in (("profile", near.profiles), ("role", near.roles)):
        selected = frame[is_in(frame[f"{side}_arn"], found[side])]
        # If files disagree on a name, it is missing.
        named.append(selected.assign(name=selected[f"{side}_name"].str.lower()).dropna(subset="name"))
    held = records_by("profile_arn", near.links)
    for row in records(named[0].merge(named[1], on=["account_id", "name"])):
        roles = [link["role_arn"] for link in held[row["profile_arn"]]]
        if roles and row["role_arn"] not in roles:
            why = note("namesakes", named=row["profile_name"], roles=[*map(bare_name, roles)])
            keys = {name: row[name] for name in _KEYS}
            yield field(row["profile_name"], row["profile_arn"], row["role_arn"], why, section="name", **keys)


def _not_found(inventory: Inventory, query: Query, lists: pd.DataFrame) -> Iterator[Row]:
    counts = {name: len(getattr(inventory, name)) for name in ("accounts", "roles", "profiles", "references")}
    yield field(query.text, note=note("not_found", **counts), section="not found")
    unread = records(lists[lists["references_status"] != "complete"])
    for first in unread[:1]:
        why = status_note(first, "uses_not_read", "references_", more=len(unread) - 1)
        yield field("resources that use profiles", note=why, section="not collected", account_id=first["account_id"])
    gaps = inventory.gaps
    whole = pa.array((*proving("roles", "profiles"), ASSUME_ROLE, CHECK_SNAPSHOT))
    every = is_in(gaps["operation"], whole) & (gaps["subject"] == ALL) | (gaps["operation"] == "file")
    own = _contains(gaps["subject"], query.name)
    yield from _not_collected(pd.concat([gaps[own], gaps[every]]).drop_duplicates(["account_id", "detail"]))
    yield from _referenced_by(inventory, query)
    for event in records(recorded_events(inventory, query.text)):
        yield event_field(event, section="history", account_id=event["account_id"])
    yield from (field(near, **arns, section="nearest names") for near, arns in _nearest(inventory, query))


def _not_collected(gaps: pd.DataFrame) -> Iterator[Row]:
    for gap in records(gaps):
        yield field(gap["operation"], note=gap_note(gap), section="not collected", account_id=gap["account_id"])


def _contains(texts: pd.Series, part: str) -> Bools:
    held = pc.match_substring(as_arrow(texts), part, ignore_case=True)
    return np.asarray(pc.fill_null(held, False)) & bool(part)


def _referenced_by(inventory: Inventory, query: Query) -> Iterator[Row]:
    # A resource refers to its profile by name, ARN or unique id.
    references = inventory.references
    by_id = _equal(references["profile_id"], query.text)
    by_name = _equal(references["profile_name"], query.name) & (query.kind in (None, PROFILE_TYPE))
    naming = records(references.assign(by_id=by_id)[by_id | by_name])
    for row in [row for row in naming if row["by_id"] or _matches_query(row, query)]:
        named = note("named", **{name: row[name] for name in ("by_id", "region", "named")})
        yield field(consumer(row), note=named, section="referenced by", account_id=row["account_id"])
    # A trust policy refers to a principal by ARN or unique id.
    for row in records(inventory.roles[_contains(inventory.roles["trust_policy"], query.text)]):
        name, account = f"role {row['role_name']}", row["account_id"]
        for one in statements_of(row["trust_policy"]):
            if one.principal.lower() == query.text.lower():
                why = f"the trust policy contains the {one.kind} principal {one.principal}"
                yield field(name, note=why, section="referenced by", account_id=account)


def _matches_query(reference: Row, query: Query) -> bool:
    named = parse_query(reference["named"])
    is_there = query.account in (None, named.account or reference["account_id"])
    is_same = query.partition in (None, named.partition) and query.path in (None, named.path)
    return is_there and (is_same or not named.is_arn)


def _nearest(inventory: Inventory, query: Query) -> list[tuple[str, dict[str, str]]]:
    frames = {"profile": inventory.profiles, "role": inventory.roles}
    columns = [frame[f"{side}_name"] for side, frame in frames.items()]
    if not (query.is_arn or query.path or query.kind):
        return [(near, {}) for near in nearest(query.name, columns)]
    there = any(_equal(column, query.name).any() for column in columns)
    found = []
    for name in [query.name] if there else nearest(query.name, columns):
        for side, frame in frames.items():
            for row in records(frame[_equal(frame[f"{side}_name"], name)]):
                far = query.account not in (None, row["account_id"]), query.kind not in (None, "other", TYPE_OF[side])
                found.append((far, row[f"{side}_name"], {side: row[f"{side}_arn"]}))
    return [one[1:] for one in sorted(found, key=lambda one: one[0])[:_MOST]]


def nearest(name: str, columns: Iterable[pd.Series], count: int = 5) -> list[str]:
    names = pc.unique(pa.chunked_array([as_arrow(column) for column in columns]).drop_null())
    wanted, lower = name.lower(), pc.utf8_lower(names)
    # A typing error keeps most letters, so only the names that share the most letters are compared.
    size = max(1, len(wanted) // 4)
    alike = np.zeros(len(names))
    for piece in {wanted[at : at + size] for at in range(0, len(wanted), size)}:
        alike += np.asarray(pc.match_substring(lower, piece)) * len(piece)
    likest = np.argsort(-alike / (len(wanted) + np.asarray(pc.utf8_length(lower))), kind="stable")[:_COMPARED]
    spelled = dict(zip(*(values.take(pa.array(likest)).to_pylist() for values in (lower, names)), strict=True))
    return [spelled[one] for one in difflib.get_close_matches(wanted, spelled, count)]
