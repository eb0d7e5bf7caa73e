"""One role or profile, or what uses one, and everything that is known about it: `explain`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.analysis.explain_pair import (
    SECTIONS,
    SIDES,
    Fields,
    Pair,
    Row,
    RowsByKey,
    bare_name,
    consumer,
    event_field,
    gap_note,
    note,
    records,
    records_by,
    status_note,
    used_note,
)
from iamframe.analysis.explain_text import html_parts, text_lines
from iamframe.analysis.history import events_of
from iamframe.analysis.nearest import nearest
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
from iamframe.knowledge.operations import ALL, ASSUME_ROLE, proving
from iamframe.knowledge.trust import statements_of
from iamframe.messages.render import Message, joint

# How many are told of what may be very many.
_MOST = 10
_KEYS = ("account_id", "profile_arn", "role_arn")
_Arns = dict[str, pa.Array]


@dataclass(frozen=True)
class Explanation:
    """What is known of the roles and profiles that a name means.

    `print` it, or take `to_frame()`, which holds every field that is printed.
    """

    query: str
    frame: pd.DataFrame

    @property
    def found(self) -> bool:
        """Whether a role or a profile of that name was read, or something that uses a profile."""
        return bool(self.frame["section"].isin(["identity", "uses"]).any())

    @schema.shows(schema.EXPLANATION)
    def to_frame(self) -> pd.DataFrame:
        """Return one row per field, in the order in which they are printed.

        Its columns are those of `schema.EXPLANATION`: profile and role stand side by side, as `profile` and `role`.
        """
        return self.frame

    def __str__(self) -> str:
        """Return it as plain text: the pairs one after the other, profile and role side by side."""
        return "\n".join(text_lines(self.frame))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return it as tables, one per pair, as a notebook shows it."""
        return "".join(html_parts(self.frame))


def explain(inventory: Inventory | Result, name: str, policy: PolicySource = None) -> Explanation:
    """Return everything known of a role or instance profile, or of the profiles that an instance or a template uses.

    Parameters
    ----------
    inventory
        What was read, of one account or many; or a result of `run_checks`, whose findings are told then, with the
        policy that it was made with.
    name
        Its name, with or without its path, its ARN (that of an assumed role means its role) or its unique id, in any
        case. A name means both the role and the profile that bear it, in each account. Whatever is given must be so:
        of another partition, account, type or path, nothing is found, and the nearest are told. A path that is not
        given may be any; where an ARN is given without it, the section `asked` says which ARN is shown instead.
        Where no role and no profile is meant, it may be the id, name or ARN of something that uses a profile: an
        instance, a launch template, an Auto Scaling group; the section `uses` tells then which profiles it uses, by
        version, and whether each is still there.
    policy
        A tag policy file, as for `run_checks`.

    Returns
    -------
    Explanation
        For each link, and each role or profile without one: both ARNs taken apart, maker, tags side by side with what
        differs, who may assume the role, what refers to the profile and where that was looked for, last use, its
        findings and what could not be checked, what AWS would answer to deleting it, and the next commands, those that
        take something away last, and none of these for a profile that something uses; behind them its events, and
        where its tags show. Where nothing bears the name: what names it or its id, the nearest names, and what was not
        readable. No request is made to AWS.

    Raises
    ------
    TypeError
        If the name is no text.
    PolicyError
        If the policy file cannot be understood.
    """
    if not isinstance(name, str):
        raise TypeError(f"explain takes the name, ARN or unique id of a role or profile as text, not {name!r}")
    require("explain", inventory, Inventory, Result, instead="what `iamframe.load` or `iamframe.run_checks` gives")
    result = inventory if isinstance(inventory, Result) else None
    read = inventory.inventory if isinstance(inventory, Result) else inventory
    asked = parse_query(name)
    fields = Fields()
    meant = _meant(read, asked)
    using = read.references[:0] if any(map(len, meant.values())) else _using(read.references, asked)
    if any(map(len, meant.values())):
        _asked(fields, asked, meant)
    else:
        lists = result.lists if result else completeness(read)
        if len(using):
            _uses(fields, read, using, asked, lists)
            meant["profile"] = pc.unique(as_arrow(using["profile_arn"]).drop_null())
        else:
            _not_found(fields, read, asked, lists)
    if any(map(len, meant.values())):
        near = _near(read, meant)
        _tell(fields, part_of(result, near) if result else run_checks(near, policy=policy), meant)
    return Explanation(name, fields.frame())


def _meant(inventory: Inventory, asked: Query) -> _Arns:
    """Return the ARNs of the roles and profiles that are asked for: those of which all that the text says is so."""
    meant = {}
    for side, kind in SIDES.items():
        frame = getattr(inventory, f"{side}s")
        # What has no ARN yet is asked for by the key that stands for it.
        hit = _equal(frame[f"{side}_id"], asked.text) | np.asarray(frame[f"{side}_arn"] == asked.text, dtype=bool)
        if asked.kind in (None, kind):
            named = _equal(frame[f"{side}_name"], asked.name) & _of_place(frame, side, asked)
            if asked.path:
                named &= _equal(pc.utf8_trim(as_arrow(frame[f"{side}_path"]), "/"), asked.path)
            hit |= named
        if side == "profile" and not asked.path and asked.kind in (None, ROLE_TYPE):
            # A role that no source shows is known by its name, from the profile that holds it.
            links = inventory.links
            mine = _equal(links["role_arn"], f"name:{asked.name}") & _of_place(links, "profile", asked)
            hit |= is_in(frame["profile_arn"], links["profile_arn"][mine])
        meant[side] = as_arrow(frame[f"{side}_arn"][hit])
    return meant


def _of_place(frame: pd.DataFrame, side: str, asked: Query) -> Bools:
    if not asked.is_arn:
        return np.ones(len(frame), dtype=bool)
    begins = pc.starts_with(as_arrow(frame[f"{side}_arn"]), f"arn:{asked.partition}:", ignore_case=True)
    return np.asarray(pc.fill_null(begins, False)) & _equal(frame["account_id"], asked.account or "")


def _equal(values: Any, text: str) -> Bools:
    """Return which values are a text, in any case."""
    return np.array(pc.fill_null(pc.equal(without_case(values), text.lower()), False), dtype=bool)


def _asked(fields: Fields, asked: Query, meant: _Arns) -> None:
    """Say which ARN is shown for one that was given without its path."""
    for arn in (arn for arns in meant.values() for arn in arns.to_pylist()):
        if asked.is_arn and not asked.assumed and arn.lower() != asked.text.lower():
            # A role that is known by its name alone is shown with the profile that holds it.
            fields.add("asked", "another ARN", note=note("asked", asked=asked.text, arn=arn))


def _using(references: pd.DataFrame, asked: Query) -> pd.DataFrame:
    """Return the references of what uses profiles, asked for by its id, its name or its ARN, by version."""
    hit = np.logical_or.reduce([_equal(references[f"consumer_{what}"], asked.text) for what in ("id", "arn", "name")])
    parts = asked.text.split(":", 5)
    if parts[0].lower() == "arn" and len(parts) == 6:
        # From a file that does not say of which region it is.
        region, account, resource = parts[3:]
        mine = _equal(references["account_id"], account) & references["consumer_arn"].isna().to_numpy(bool)
        there = references["region"].isin([region, "unknown"]).to_numpy(bool)
        hit = hit | (_equal(references["consumer_id"], resource.partition("/")[2]) & mine & there)
    named = references[hit & bool(asked.text)]
    version = named["consumer_version"].fillna("").str.split(" ").str[0]
    keyed = named.assign(version=version, length=version.str.len())
    order = ["account_id", "region", "consumer_type", "consumer_id", "length", "version"]
    ordered: pd.DataFrame = references.loc[keyed.sort_values(order, kind="stable").index]
    return ordered


def _uses(fields: Fields, inventory: Inventory, using: pd.DataFrame, asked: Query, lists: pd.DataFrame) -> None:
    """Tell which profiles something uses: what each holds, and that one is gone, or that nobody can say so."""
    part = inventory.only(using["profile_arn"].dropna())
    profiles = {row["profile_arn"]: row for row in records(part.profiles)}
    whole = dict(zip(lists["account_id"], lists["profiles_whole"], strict=True))
    for row in records(using):
        fields.of = {"account_id": row["account_id"]}
        held = [bare_name(arn) for arn in part.links["role_arn"][part.links["profile_arn"] == row["profile_arn"]]]
        if row["profile_arn"] is None:
            state = _missing(inventory, row, whole)
        elif held:
            state = note("uses.role", roles=held)
        else:
            known = profiles[row["profile_arn"]]["role_known"]
            state = note("uses.no_role" if known else "uses.role_not_read")
        said = used_note(row, profiles.get(row["profile_arn"]), state)
        fields.add("uses", consumer(row), row["profile_arn"] or row["named"], note=said)
    # Versions of a template that nobody read may name other profiles.
    of = inventory.gaps["subject"].str.split(":").str[0]
    _not_read(fields, inventory.gaps[is_in(without_case(of), without_case(using["consumer_id"]))])
    # It may be the name of a profile that is gone as well.
    _named_by(fields, inventory, asked)


def _missing(inventory: Inventory, reference: Row, whole: dict[str, bool]) -> Message | None:
    """Say of a profile that no source shows whether it is gone."""
    account = account_of(reference["named"]) or reference["account_id"]
    if not whole.get(account):
        way = "list_not_read" if account in whole else "account_not_read"
        return note(f"uses.{way}", account=account)
    profiles = inventory.profiles
    same = _equal(profiles["account_id"], account) & _equal(profiles["profile_name"], name_of(reference["named"]))
    another = note("uses.another", arns=profiles["profile_arn"][same].tolist()) if same.any() else None
    return joint([note("uses.gone", account=account), another])


def _near(inventory: Inventory, meant: _Arns) -> Inventory:
    """Return the part of the inventory that the checks need to judge these roles and profiles."""
    arns = pa.concat_arrays([*meant.values()])
    near = inventory.only(arns)
    # A role of a profile's own name may be crossed with another one.
    profile, role = near.profiles, inventory.roles
    own = joined_key(profile["account_id"], without_case(profile["profile_name"]))
    namesakes = role["role_arn"][is_in(joined_key(role["account_id"], without_case(role["role_name"])), own)]
    return inventory.only(pa.concat_arrays([arns, as_arrow(namesakes)]))


def _tell(fields: Fields, result: Result, meant: _Arns) -> None:
    """Tell of each link of what is meant, and of what has none."""
    near, pairs = result.inventory, result.pairs
    pairs = pairs[is_in(pairs["profile_arn"], meant["profile"]) | is_in(pairs["role_arn"], meant["role"])]
    alone = near.roles[is_in(near.roles["role_arn"], meant["role"]) & ~is_in(near.roles["role_arn"], pairs["role_arn"])]
    _namesakes(fields, near, meant)
    told = [*records(pairs), *({"profile_arn": None, **row} for row in _guessed(alone, result))]
    known = RowsByKey(result, told)
    for row in sorted(told, key=lambda row: [row[name] or "" for name in _KEYS]):
        pair, fields.of = Pair(known, row), {name: row[name] for name in _KEYS}
        for section, fields_of in SECTIONS.items():
            for field in fields_of(pair):
                fields.add(section, *field)


def _guessed(roles: pd.DataFrame, result: Result) -> Iterator[Row]:
    """Yield roles without a profile, with what their names say of their makers."""
    makers = [*result.policy.makers, *known_makers()]
    columns = {name: pc.fill_null(as_arrow(roles[name]), "") for name in ("role_path", "role_name")}
    for row, at in zip(records(roles), first_maker(makers, columns, "role"), strict=True):
        yield row | {"maker": makers[at].name if at >= 0 else None, "maker_basis": GUESS}


def _namesakes(fields: Fields, near: Inventory, meant: _Arns) -> None:
    """Say where a role and a profile bear the same name and are not each other's."""
    sides = {s: getattr(near, f"{s}s")[is_in(getattr(near, f"{s}s")[f"{s}_arn"], meant[s])] for s in SIDES}
    # Where files disagree on the name, nobody knows it.
    keyed = {s: f.assign(name=f[f"{s}_name"].str.lower()).dropna(subset="name") for s, f in sides.items()}
    held = records_by("profile_arn", near.links)
    for row in records(keyed["profile"].merge(keyed["role"], on=["account_id", "name"])):
        roles = [link["role_arn"] for link in held[row["profile_arn"]]]
        if roles and row["role_arn"] not in roles:
            fields.of = {name: row[name] for name in _KEYS}
            said = note("namesakes", roles=[*map(bare_name, roles)])
            fields.add("name", row["profile_name"], row["profile_arn"], row["role_arn"], said)


def _not_found(fields: Fields, inventory: Inventory, asked: Query, lists: pd.DataFrame) -> None:
    """Tell what was looked through, what could not be, what names it, and the nearest names."""
    counts = {name: len(getattr(inventory, name)) for name in ("accounts", "roles", "profiles", "references")}
    fields.add("not found", asked.text, note=note("not_found", **counts))
    for first in records(lists[unread := lists["references_status"] != "complete"].head(1)):
        fields.of = {"account_id": first["account_id"]}
        said = status_note(first, "uses_not_read", "references_", more=int(unread.sum()) - 1)
        fields.add("not readable", "what uses profiles", note=said)
    gaps = inventory.gaps
    every = is_in(gaps["operation"], pa.array((*proving("roles", "profiles"), ASSUME_ROLE))) & (gaps["subject"] == ALL)
    own = pc.match_substring(as_arrow(gaps["subject"]), asked.name, ignore_case=True)
    own = np.asarray(pc.fill_null(own, False)) & bool(asked.name)
    _not_read(fields, pd.concat([gaps[own], gaps[every]]).drop_duplicates(["account_id", "detail"]))
    _named_by(fields, inventory, asked)
    for event in records(events_of(inventory, name=asked.text)):
        fields.of = {"account_id": event["account_id"]}
        fields.add("history", *event_field(event))
    fields.of = {}
    for near, arns in _nearest(inventory, asked):
        fields.add("nearest names", near, **arns)


def _not_read(fields: Fields, gaps: pd.DataFrame) -> None:
    for gap in records(gaps):
        fields.of = {"account_id": gap["account_id"]}
        fields.add("not readable", gap["operation"], note=gap_note(gap))
    fields.of = {}


def _named_by(fields: Fields, inventory: Inventory, asked: Query) -> None:
    """Tell what still names it: consumers by name, ARN or the id they hold, trust policies by ARN or id."""
    references = inventory.references
    by_id = _equal(references["profile_id"], asked.text)
    by_name = _equal(references["profile_name"], asked.name) & (asked.kind in (None, PROFILE_TYPE))
    naming = zip(records(references[by_id | by_name]), by_id[by_id | by_name], strict=True)
    for row, of_id in [(row, bool(of_id)) for row, of_id in naming if of_id or _means(row, asked)][:_MOST]:
        fields.of = {"account_id": row["account_id"]}
        fields.add("named by", consumer(row), note=note("named", by_id=of_id, region=row["region"], named=row["named"]))
    policies = as_arrow(inventory.roles["trust_policy"])
    holding = np.asarray(pc.fill_null(pc.match_substring(policies, asked.text, ignore_case=True), False))
    for row in records(inventory.roles[holding & bool(asked.text)].head(_MOST * _MOST)):
        for one in statements_of(row["trust_policy"]):
            if one.principal.lower() == asked.text.lower():
                fields.of = {"account_id": row["account_id"]}
                fields.add("named by", f"trust policy of role {row['role_name']}", note=f"{one.kind} {one.principal}")
    fields.of = {}


def _means(reference: Row, asked: Query) -> bool:
    """Return whether what names a profile of that name means the one that is asked for."""
    named = parse_query(reference["named"])
    is_there = asked.account in (None, named.account or reference["account_id"])
    return is_there and (
        not named.is_arn or (asked.partition in (None, named.partition) and asked.path in (None, named.path))
    )


def _nearest(inventory: Inventory, asked: Query) -> list[tuple[str, dict[str, str]]]:
    """Return the nearest names; with the ARNs that bear them where more than a name was asked for."""
    frames = {"profile": inventory.profiles, "role": inventory.roles}
    columns = [frame[f"{side}_name"] for side, frame in frames.items()]
    if not (asked.is_arn or asked.path or asked.kind):
        return [(near, {}) for near in nearest(asked.name, columns)]
    there = any(_equal(column, asked.name).any() for column in columns)
    found = []
    for name in [asked.name] if there else nearest(asked.name, columns):
        for side, frame in frames.items():
            for row in records(frame[_equal(frame[f"{side}_name"], name)]):
                far = asked.account not in (None, row["account_id"]), asked.kind not in (None, "other", SIDES[side])
                found.append((far, row[f"{side}_name"], {side: row[f"{side}_arn"]}))
    return [one[1:] for one in sorted(found, key=lambda one: one[0])[:_MOST]]
