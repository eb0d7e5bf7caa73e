"""Derived frames: roles and profiles side by side, tag coverage, and what was read whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory import schema
from iamframe.inventory.columns import (
    Bools,
    Positions,
    concat,
    is_in,
    joined_by_group,
    joined_key,
    position,
    take,
    take_flag,
    texts,
)
from iamframe.inventory.inventory import Inventory
from iamframe.knowledge.makers import GUESS, PAIR, TAG, Maker, known_makers, known_own_tags, own_tag
from iamframe.knowledge.names import relation
from iamframe.knowledge.operations import (
    ALL,
    ROLE_LINKS,
    actions_of,
    policy_of,
)


@schema.shows(schema.PAIRS)
def pairs(inventory: Inventory, makers: Iterable[Maker] = ()) -> pd.DataFrame:
    """Return roles and profiles side by side: names, paths, tags, trust, and who made them.

    One row per link, then one per profile without a link, then one per role that trusts EC2 and is known to be in no
    profile. Makers given here are tried before those that iamframe knows.
    """
    roles, profiles, links = inventory.roles, inventory.profiles, inventory.links
    alone = ~is_in(profiles["profile_arn"], links["profile_arn"])
    lone_roles = _lone_roles(inventory)
    profile_arn = pa.concat_arrays(
        [texts(links["profile_arn"]), texts(profiles["profile_arn"][alone]), pa.nulls(len(lone_roles), pa.string())]
    )
    role_arn = pa.concat_arrays(
        [texts(links["role_arn"]), pa.nulls(int(alone.sum()), pa.string()), texts(roles["role_arn"]).take(lone_roles)]
    )
    profile, role = position(profile_arn, profiles["profile_arn"]), position(role_arn, roles["role_arn"])
    columns: dict[str, object] = {
        "profile_arn": profile_arn,
        "role_arn": role_arn,
        "account_id": pc.coalesce(take(profiles["account_id"], profile), take(roles["account_id"], role)),
        "profile_name": take(profiles["profile_name"], profile),
        "role_name": _role_names(roles, role, role_arn),
        "profile_path": take(profiles["profile_path"], profile),
        "role_path": take(roles["role_path"], role),
        "profile_tags_known": take_flag(profiles["tags_known"], profile, otherwise=False),
        "role_tags_known": take_flag(roles["tags_known"], role, otherwise=False),
        "role_known": take_flag(profiles["role_known"], profile, otherwise=False),
        "trusts_ec2": pc.if_else(
            pc.and_(pc.is_valid(role_arn), pa.array(role < 0)), "unknown", take(roles["trusts_ec2"], role)
        ),
        "is_aws_managed": take_flag(roles["is_aws_managed"], role, otherwise=False),
    }
    for side in ("profile", "role"):
        columns[f"{side}_segments"] = pc.utf8_trim(columns[f"{side}_path"], "/")
    columns["relation"] = _relations(columns["profile_name"], columns["role_name"])
    columns["paths_differ"] = pc.fill_null(pc.not_equal(columns["profile_path"], columns["role_path"]), False)
    for side, frame, where in (("profile", profiles, profile), ("role", roles, role)):
        columns[f"{side}_tags"] = _tag_texts(inventory.tags, frame, f"{side}_arn", where)
    columns |= _made(columns, [*makers, *known_makers()], len(links), int(alone.sum()), inventory.tags)
    return schema.PAIRS.conform(columns)


def _role_names(roles: pd.DataFrame, role: Positions, role_arn: pa.Array) -> pa.Array:
    named = pc.if_else(pc.starts_with(role_arn, "name:"), pc.utf8_slice_codeunits(role_arn, 5), None)
    return pc.coalesce(take(roles["role_name"], role), named)


def _lone_roles(inventory: Inventory) -> Positions:
    """Return where the roles stand that trust EC2 and that are known to be in no profile."""
    roles, gaps = inventory.roles, inventory.gaps
    unread = gaps[gaps["operation"] == ROLE_LINKS]
    none_read = is_in(roles["account_id"], unread["account_id"][unread["subject"] == ALL])
    known = ~none_read & ~is_in(roles["role_arn"], unread["subject"])
    trusting = np.asarray(roles["trusts_ec2"] == "yes", dtype=bool)
    return np.flatnonzero(trusting & known & ~is_in(roles["role_arn"], inventory.links["role_arn"]))


def _relations(profile_names: pa.Array, role_names: pa.Array) -> pa.Array:
    differ = pc.not_equal(profile_names, role_names)
    relations = pc.if_else(differ, pa.scalar(None, pa.string()), "same").to_pylist()
    rows = np.flatnonzero(np.asarray(pc.fill_null(differ, False)))
    chosen = pa.array(rows)
    names = zip(role_names.take(chosen).to_pylist(), profile_names.take(chosen).to_pylist(), strict=True)
    for row, (role, profile) in zip(rows.tolist(), names, strict=True):
        relations[row] = relation(role, profile)
    return pa.array(relations, pa.string())


def _tag_texts(tags: pd.DataFrame, frame: pd.DataFrame, key: str, where: Positions) -> pa.Array:
    owner = position(tags["resource_arn"], frame[key])
    mine = np.flatnonzero(owner >= 0)
    order = mine[np.argsort(owner[mine], kind="stable")]
    parts = concat(texts(tags["tag_key"]), "=", texts(tags["tag_value"])).take(pa.array(order))
    each = joined_by_group(owner[order], parts, len(frame), ", ")
    known = pa.array(np.asarray(frame["tags_known"], dtype=bool))
    return take(pc.if_else(known, each, pa.scalar(None, pa.string())), where)


def _made(
    columns: dict[str, object], makers: list[Maker], links: int, profiles: int, tags: pd.DataFrame
) -> dict[str, object]:
    """Return who made each row, what that is inferred from, and what is expected of it: nothing of a guess."""

    def told(sides: str, rows: Positions) -> Positions:
        wanted = ("role", "profile") if sides == "both" else (sides,)
        names = [f"{side}_{what}" for side in wanted for what in ("path", "name")]
        return maker_of(makers, {n: pc.fill_null(columns[n].take(pa.array(rows)), "") for n in names}, sides)  # type: ignore[attr-defined]

    size = len(columns["profile_arn"])  # type: ignore[arg-type]
    every, links_first = np.arange(size), np.arange(links)
    maker = np.full(size, -1, dtype=np.int64)
    maker[:links] = told("both", links_first)
    paired = maker >= 0
    tag_makers, by_tag = _by_tag(columns["profile_arn"], tags)
    by_tag[paired] = -1
    # The profile's name tells more than the role's: many profiles may hold one role.
    for side, shows in (("profile", every < links + profiles), ("role", (every < links) | (every >= links + profiles))):
        rows = every[shows & (maker < 0) & (by_tag < 0)]
        maker[rows] = told(side, rows)
    tagged = by_tag >= 0
    names = pc.if_else(
        pa.array(tagged),
        take(pa.array(tag_makers, pa.string()), by_tag),
        take(pa.array([m.name for m in makers]), maker),
    )

    def flag(name: str, negated: bool = False) -> Bools:
        says = np.array([getattr(m, name) is not negated for m in makers], dtype=bool)
        return take_flag(says, np.where(paired, maker, -1), otherwise=False)

    basis = pc.if_else(pa.array(paired), PAIR, pc.if_else(pa.array(tagged), TAG, GUESS))
    return {
        "maker": names,
        "maker_basis": pc.if_else(pc.is_valid(names), basis, pa.scalar(None, pa.string())),
        # What writes such tags gives its profiles names and paths of its own, and takes any role.
        "names_expected": flag("names_differ") | tagged,
        "paths_expected": flag("paths_differ") | tagged,
        "untagged_expected": flag("tags_profiles", negated=True),
    }


def _by_tag(profile_arn: object, tags: pd.DataFrame) -> tuple[list[str], Positions]:
    """Return the makers that tags prove, and per profile the position of its one, -1 where no tag proves any."""
    keys = texts(tags["tag_key"]).dictionary_encode()
    proofs = [own if own and own.is_proof else None for own in map(own_tag, keys.dictionary.to_pylist())]
    proven = np.array([own is not None for own in proofs], dtype=bool)
    makers = [own.maker for own in known_own_tags() if own.is_proof]
    number = np.array([makers.index(own.maker) if own else -1 for own in proofs], dtype=np.int64)
    codes = np.asarray(keys.indices)
    rows = np.flatnonzero(proven[codes]) if proven.any() else codes[:0]
    where = position(profile_arn, tags["resource_arn"].iloc[rows])
    return makers, np.where(where >= 0, number[codes[rows]][where], -1) if len(rows) else np.full(len(where), -1)


@schema.shows(schema.TAG_COVERAGE)
def tag_coverage(inventory: Inventory) -> pd.DataFrame:
    """Return how many roles and profiles of each account carry each tag key.

    One row per account, resource type and key in use there, by account, type, and falling share. Resources whose tags
    were not read count as neither tagged nor untagged; keys are compared as stored, so that `owner` and `Owner` are two
    rows. Roles that AWS manages and keys that AWS reserves are left out.
    """
    tags = inventory.tags[~inventory.tags["is_aws_reserved"]]
    parts = []
    for kind, (frame, key) in taggable(inventory).items():
        mine = tags[is_in(tags["resource_arn"], frame[key])]
        first, tagged = _counted(joined_key(mine["account_id"], mine["tag_key"]))
        account, tag_key = (texts(mine[name]).take(pa.array(first)) for name in ("account_id", "tag_key"))
        counts = tags_read(inventory, kind)
        where = position(account, counts["account_id"])
        known = counts["known"].take(pa.array(where))
        share = pc.divide(pa.array(tagged, pa.float64()), pc.if_else(pc.greater(known, 0), known, None))
        columns = {
            "account_id": account,
            "resource_type": pa.repeat(pa.scalar(kind), len(account)),
            "tag_key": tag_key,
            "tagged": tagged,
            "known": known,
            "unknown": counts["unknown"].take(pa.array(where)),
            "share": share,
        }
        parts.append(pa.table(columns).cast(schema.TAG_COVERAGE.arrow))
    table = pa.concat_tables(parts)
    keys = [
        (n, "descending" if n == "share" else "ascending") for n in ("account_id", "resource_type", "share", "tag_key")
    ]
    return schema.TAG_COVERAGE.from_arrow(table.take(pc.sort_indices(table, keys)))


def taggable(inventory: Inventory) -> dict[str, tuple[pd.DataFrame, str]]:
    """Return the roles that AWS does not manage and the profiles, by resource type, each with the name of its key."""
    roles = inventory.roles[~inventory.roles["is_aws_managed"]]
    return {"role": (roles, "role_arn"), "instance-profile": (inventory.profiles, "profile_arn")}


def tags_read(inventory: Inventory, resource_type: str) -> pa.Table:
    """Return, per account that has such resources, of how many the tags are `known` and of how many `unknown`."""
    frame, _ = taggable(inventory)[resource_type]
    known = np.asarray(frame["tags_known"], dtype=np.int64)
    accounts = pc.unique(texts(frame["account_id"]))
    where = position(frame["account_id"], accounts)
    counts = [
        np.bincount(where, weights=flags, minlength=len(accounts)).astype(np.int64) for flags in (known, 1 - known)
    ]
    return pa.table([accounts, *counts], names=["account_id", "known", "unknown"])


def _counted(values: pa.Array) -> tuple[Positions, Positions]:
    """Return where each distinct value stands first, and how often it stands there."""
    # Not by a group-by of Arrow, which takes longer to load than all that is done here.
    where = position(values, pc.unique(values))
    _, first, counts = np.unique(where, return_index=True, return_counts=True)
    return first, counts


def missing_permissions(inventory: Inventory) -> dict[str, object]:
    """Return the least IAM policy that allows what AWS denied, as JSON has it; no statement where it denied nothing.

    It is made of the gaps whose reason is `denied`, of all accounts. It may not be enough: an explicit Deny, a
    permissions boundary or a policy of the organisation is above any Allow (IAM User Guide, "Policy evaluation logic").
    """
    gaps = inventory.gaps
    return policy_of(actions_of(gaps["operation"][gaps["reason"] == "denied"]))


def maker_of(makers: Iterable[Maker], columns: Mapping[str, Any], sides: str) -> Positions:
    """Return, per row, the position of the first maker whose names and paths fit, -1 where none does.

    `columns` holds role_path and role_name, profile_path and profile_name, or the four of them; `sides` is `role`,
    `profile` or `both`. Of both, the two must agree (`pair`); what one side tells is a `guess`.
    """
    every = list(enumerate(makers))
    if sides == "both":
        candidates = [(index, one) for index, one in every if one.profile and not one.is_guess]
    else:
        candidates = [(index, one) for index, one in every if one.tells(sides)]
    shown = ("role", "profile") if sides == "both" else (sides,)
    size = len(columns[f"{shown[0]}_path"])
    found = np.full(size, -1, dtype=np.int64)
    if not candidates or not size:
        return found
    texts = {side: concat(columns[f"{side}_path"], "\n", columns[f"{side}_name"]) for side in shown}
    text = concat(texts["role"], "\n", texts["profile"]) if sides == "both" else texts[sides]
    patterns = {index: "\n".join(one.pattern(side) for side in shown) for index, one in candidates}
    # Arrow's expressions are linear in the text; most rows fit no maker, and of the others most are tried but once.
    rows = _fitting(text, "|".join(patterns.values()), np.arange(size))
    for index, maker in candidates:
        fitting = _fitting(text, patterns[index], rows)
        if maker.compares and len(fitting):
            # What two texts have in common is more than Arrow's expressions can ask.
            some = [texts[side].take(pa.array(fitting)).to_pylist() for side in shown]
            agree = maker.fits if sides == "both" else lambda text, one=maker: one.suggests(sides, text)
            fitting = fitting[np.fromiter(map(agree, *some), dtype=bool, count=len(fitting))]
        found[fitting] = index
        rows = rows[found[rows] < 0]
    return found


def _fitting(text: pa.Array, pattern: str, rows: Positions) -> Positions:
    if not len(rows):
        return rows
    matches = pc.match_substring_regex(text.take(pa.array(rows)), f"\\A(?:{pattern})\\z")
    fits: Bools = np.asarray(pc.fill_null(matches, False))
    return rows[fits]
