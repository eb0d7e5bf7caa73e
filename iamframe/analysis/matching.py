"""Find each role and profile of one inventory in another inventory, and list the data that cannot be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks import Result
from iamframe.inventory import schema
from iamframe.inventory.arrow import Bools, Positions, Texts, as_arrow, concat, index_in, is_in, joined_key, lookup
from iamframe.knowledge.operations import UNKNOWN_ACCOUNT
from iamframe.messages.render import Message, columns_of, joint, nested, render

TYPES = {"role": "role", "profile": "instance-profile"}
SIDES = ("OLD", "NEW")
_NULL = pa.scalar(None, pa.string())
# Masked ids repeat one character, such as `AROAXXXXXXXX`.
_MASKED_ID = "^(?:A(?:RO|IP)A)?(?:" + "|".join(rf"\x{{{code:x}}}{{2,}}" for code in range(0x21, 0x7F)) + ")$"


class Pairs:
    """The roles (or profiles) of two inventories: those in both, and those in only one."""

    def __init__(self, kind: str, sides: tuple[Result, Result], accounts: pd.Series) -> None:
        self.kind = kind
        self.frames = [getattr(one.inventory, f"{kind}s") for one in sides]
        self.whole = [one.lists["account_id"][one.lists[f"{kind}s_whole"]] for one in sides]
        was, now = (frame[f"{kind}_arn"] for frame in self.frames)
        compared = [is_in(frame["account_id"], accounts) for frame in self.frames]
        where = np.where(compared[0], index_in(was, now), -1)
        alone = [np.flatnonzero(compared[0] & (where < 0)), np.flatnonzero(compared[1] & ~is_in(now, was))]
        renamed = self._same_name(alone)
        # The row numbers, per inventory, of resources in only one inventory, and of resources in both inventories.
        self.alone = [np.setdiff1d(*rows, assume_unique=True) for rows in zip(alone, renamed, strict=True)]
        kept = np.flatnonzero(where >= 0)
        self.rows = [np.append(kept, renamed[0]), np.append(where[kept], renamed[1])]
        self.renamed = [as_arrow(arns.iloc[rows]) for arns, rows in zip((was, now), renamed, strict=True)]
        self.arns = [self.column(f"{kind}_arn", side) for side in (0, 1)]
        self.accounts = self.column("account_id", 1)
        self.ids = [unmasked(self.column(f"{kind}_id", side)) for side in (0, 1)]
        self.id_known = [np.asarray(one.is_valid()) for one in self.ids]
        planned = pc.or_(*(pc.starts_with(arns, "address:") for arns in self.arns))
        other = [pc.not_equal(*(self.column(f"{kind}_{what}", s) for s in (0, 1))) for what in ("name", "path")]
        moved = pc.and_not(pc.or_kleene(*other), planned)
        # If both ids are known, they decide. If the ids are equal, only the spelling of the ARN differs.
        self.recreated = np.asarray(pc.fill_null(pc.coalesce(pc.not_equal(*self.ids), moved), pa.scalar(False)))

    def column(self, name: str, side: int) -> pa.Array:
        return as_arrow(self.frames[side][name]).take(pa.array(self.rows[side]))

    def flag(self, name: str) -> list[Bools]:
        return [np.asarray(frame[name], dtype=bool)[rows] for frame, rows in zip(self.frames, self.rows, strict=True)]

    def number(self, side: int, rows: Positions) -> Positions:
        # The position in `rows`, or -1 for a row that is in no pair.
        numbers = np.full(len(self.frames[side]) + 1, -1)
        numbers[self.rows[side]] = np.arange(len(self.rows[side]))
        return numbers[rows]

    def _same_name(self, alone: list[Positions]) -> list[Positions]:
        keys = []
        for frame, rows in zip(self.frames, alone, strict=True):
            account, name = (as_arrow(frame[column].iloc[rows]) for column in ("account_id", f"{self.kind}_name"))
            key = name_key(account, name)
            named = np.asarray(name.is_valid()) & np.asarray(pc.not_equal(account, UNKNOWN_ACCOUNT))
            once = ~key.to_pandas().duplicated(keep=False).to_numpy()
            keys.append(pc.if_else(pa.array(named & once), key, _NULL))
        where = index_in(*keys)
        return [alone[0][where >= 0], alone[1][where[where >= 0]]]


def unmasked(ids: pa.Array) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(ids, _MASKED_ID), _NULL, ids)


def differ(one: pa.Array, other: pa.Array) -> Bools:
    # A missing value never counts as different.
    return np.asarray(pc.fill_null(pc.not_equal(one, other), pa.scalar(False)), dtype=bool)


def name_key(accounts: Texts, names: Texts) -> pa.Array:
    # In an account, no two roles (or profiles) have names that differ only in case.
    return joined_key(accounts, pc.utf8_lower(as_arrow(names)))


class KeyMap:
    """The keys of all roles and profiles of two compared inventories.

    A key is the ARN. If a resource has different ARNs in the two inventories, the key is the old ARN. If only a role's
    name is known, its key is `name:NAME`, in lower case.
    """

    def __init__(self, pairs: Mapping[str, Pairs]) -> None:
        self._old, self._new = (pa.concat_arrays([each.renamed[side] for each in pairs.values()]) for side in (0, 1))
        frames = pairs["role"].frames
        self._names = [name_key(frame["account_id"], frame["role_name"]) for frame in frames]
        self._arns = [frame["role_arn"] for frame in frames]

    def keys(self, frame: pd.DataFrame, column: str, side: int) -> pa.Array:
        arns = as_arrow(frame[column])
        # A role known only by name gets the ARN from the other inventory.
        by_name = pc.fill_null(pc.starts_with(arns, "name:"), pa.scalar(False))
        if pc.any(by_name).as_py():
            name = pc.if_else(by_name, pc.utf8_slice_codeunits(arns, 5), _NULL)
            known = lookup(self._arns[1 - side], index_in(name_key(frame["account_id"], name), self._names[1 - side]))
            arns = pc.if_else(by_name, pc.coalesce(known, concat("name:", pc.utf8_lower(name))), arns)
        return pc.coalesce(lookup(self._old, index_in(arns, self._new)), arns) if len(self._new) else arns


class NotCompared:
    def __init__(self, accounts: pd.Series) -> None:
        self.accounts, self._compared = accounts, set(accounts)
        self._rows: dict[tuple[str, str, str], list[Message]] = {}

    def add(self, account: str, what: str, message: str, about: str = "", **facts: Any) -> None:
        self._rows.setdefault((account, what, about), []).append({"message": f"not_compared.{message}", **facts})

    def counts(self, accounts: Texts, mask: Bools) -> dict[str, int]:
        counts = pc.value_counts(as_arrow(accounts).filter(pa.array(mask))).to_pylist()
        return {one["values"]: one["counts"] for one in counts if one["values"] in self._compared}

    def unread(self, each: Pairs, what: str, known: list[Bools]) -> None:
        was, now = known
        totals = self.counts(each.accounts, was | True)
        for sides, mask in (("OLD", ~was & now), ("NEW", was & ~now), ("OLD NEW", ~was & ~now)):
            for account, missing in self.counts(each.accounts, mask).items():
                of = {"message": "not_compared.of", "kind": each.kind, "total": totals[account]}
                self.add(account, what, "unread", each.kind, sides=sides, missing=missing, of=of)

    def unread_columns(self, each: Pairs, names: tuple[str, str, str]) -> None:
        # The columns in `names` are session duration, description and permissions boundary.
        known = [[np.asarray(each.column(name, side).is_valid()) for side in (0, 1)] for name in names]
        self.unread(each, "details", known[0])
        for what, (was, now) in zip(("descriptions", "boundaries"), known[1:], strict=True):
            for account, count in self.counts(each.accounts, was != now).items():
                self.add(account, what, "in_one", count=count)

    def unlisted(self, each: Pairs, side: int, change: str, unsure: dict[str, int], planned: dict[str, int]) -> None:
        own, other = SIDES[side], SIDES[1 - side]
        listed = set(each.whole[1 - side])
        for account in self.accounts:
            count = unsure.get(account)
            so = {"message": "not_compared.so", "change": change, "count": count, "own": own} if count else None
            if account == UNKNOWN_ACCOUNT:
                self.add(account, "lists", "whose", each.kind, so=so)
            elif account not in listed:
                self.add(account, "lists", "lists", each.kind, other=other, so=so)
            if account in planned:
                self.add(account, "lists", "planned", each.kind, count=planned[account], own=own)

    def frame(self, old: pd.Series, new: pd.Series) -> pd.DataFrame:
        for one, other, side in ((old, new, "NEW"), (new, old, "OLD")):
            for account in one[~is_in(one, other)]:
                self.add(account, "account", "account", side=side)
        # Rows are sorted by account, then in the order of the notes: lists first, findings last.
        rows = sorted(self._rows, key=lambda row: row[0])
        message, facts = columns_of({**(joint(self._rows[row]) or {}), "what": _thing(*row[1:])} for row in rows)
        columns = {"account_id": [account for account, _, _ in rows], "what": things(facts)}
        columns |= {"reason": render(message, facts), "message": message, "facts": facts}
        return schema.NOT_COMPARED.conform(columns)


def _thing(what: str, about: str) -> Message:
    return {"message": f"not_compared.what.{what}"} | ({"of": about} if about else {})


# The messages about an incomplete check, with its reasons and without.
_WHOLE, WITHOUT_REASONS = "not_compared.coverage", "not_compared.incomplete"


def in_short(apart: pd.DataFrame) -> pd.DataFrame:
    # The frame `not_compared` without the reasons why checks are incomplete.
    message, facts = columns_of(map(_in_short, map(nested, apart["message"], apart["facts"])))
    texts = {"message": message, "facts": facts, "reason": render(message, facts)}
    return apart.assign(**{name: column.to_pandas().array for name, column in texts.items()})


def _in_short(why: Message) -> Message:
    parts = why.get("messages", [why])
    sides = {side for one in parts if one["message"] == _WHOLE for side in one["sides"].split()}
    incomplete = {"message": WITHOUT_REASONS, "sides": " ".join(side for side in SIDES if side in sides)}
    short = joint([incomplete if sides else None, *(one for one in parts if one["message"] != _WHOLE)])
    return {**(short or {}), "what": why["what"]}


def things(facts: pa.Array, lang: str = "en") -> pa.Array:
    return render(pa.repeat(pa.scalar("not_compared.thing"), len(facts)), facts, lang)


def counts_by_kind(rows: pd.DataFrame, column: str, kinds: Iterable[str]) -> pd.DataFrame:
    counts = rows.groupby([column, "resource_type"]).size()
    each = [(kind, *(int(counts.get((kind, of), 0)) for of in TYPES.values())) for kind in kinds]
    return pd.DataFrame(each, columns=[column, "roles", "profiles"])


def ordered(table: pa.Table, ranks: Mapping[str, tuple[str, ...]], others: Iterable[str]) -> pa.Table:
    keyed = table
    for name, order in ranks.items():
        keyed = keyed.append_column(f"{name} rank", pc.index_in(table[name], value_set=pa.array(order)))
    keys = [(name, "ascending") for name in (*(f"{name} rank" for name in ranks), *others)]
    return table.take(pc.sort_indices(keyed, keys)) if len(table) else table
