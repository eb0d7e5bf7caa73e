"""What changed between two loads of the same accounts, and what could not be compared.

What only became readable, or unreadable, is never a change: a role that is missing where not all roles were read was
not deleted, and tags that are there where none were read before were not added. All of that is a row of `not_compared`,
so that no change means that nothing changed, never that we could not look.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks import CHECKS, Result
from iamframe.checks.runner import run
from iamframe.checks.tag_policy import PolicySource, read_policy
from iamframe.errors import require
from iamframe.inventory import schema
from iamframe.inventory.arrow import (
    Bools,
    Positions,
    Texts,
    as_arrow,
    concat,
    index_in,
    is_in,
    join_by_group,
    joined_key,
    lookup,
    lookup_flag,
)
from iamframe.inventory.inventory import Inventory
from iamframe.knowledge.names import canonical_key
from iamframe.knowledge.operations import UNKNOWN_ACCOUNT
from iamframe.knowledge.trust import same_policy, what_changed
from iamframe.messages.render import Message, columns_of, joint, nested, render
from iamframe.messages.text import SEVERITIES, pluralize

KINDS = ("created", "deleted", "recreated", "relinked", "retagged", "trust_changed", "changed")
_TYPES = {"role": "role", "profile": "instance-profile"}
_NULL = pa.scalar(None, pa.string())
# Whoever masks a file writes one character again and again.
_MASKED = "^(?:A(?:RO|IP)A)?(?:" + "|".join(rf"\x{{{code:x}}}{{2,}}" for code in range(0x21, 0x7F)) + ")$"
# Of a role alone; what of it is missing in a frame is none or was not read, but for the session length, which each has.
_COLUMNS = ("max_session_seconds", "description", "permissions_boundary_arn")


@schema.shows(schema.CHANGES, schema.CHANGED_FINDINGS, schema.NOT_COMPARED)
@dataclass(frozen=True)
class Changes:
    """What is other in the new one of two results.

    `changes` has one row per change and resource, and of tags one per key, by kind of change, account and ARN;
    `findings` those that are in one result alone, `new` or `gone`; `not_compared` what could not be compared, per
    account: an account that has no row there and no change has not changed.
    """

    old: Result
    new: Result
    changes: pd.DataFrame
    findings: pd.DataFrame
    not_compared: pd.DataFrame

    @property
    def is_empty(self) -> bool:
        """Whether nothing changed in what could be compared, findings included."""
        return self.changes.empty and self.findings.empty

    def to_frame(self) -> pd.DataFrame:
        """Return the changes and, behind them, the findings as `finding_new` and `finding_gone`, their check as `what`.

        One row per change and finding, with the columns of `changes`.
        """
        found = self.findings
        return schema.CHANGES.conform(
            pd.concat(
                [
                    self.changes,
                    found[["account_id", "resource_type", "resource_name", "resource_arn"]].assign(
                        change="finding_" + found["change"],
                        what=found["check"],
                        detail=found["check"] + ": " + found["detail"],
                    ),
                ],
                ignore_index=True,
            )
        )

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per kind of change, in the order of `changes`: how many of roles and of instance profiles."""
        counts = self.changes.groupby(["change", "resource_type"]).size()
        rows = [[int(counts.get((kind, of), 0)) for of in _TYPES.values()] for kind in KINDS]
        return pd.DataFrame(rows, columns=["roles", "profiles"]).assign(change=KINDS)[["change", "roles", "profiles"]]

    @property
    def said(self) -> str:
        """How many changes there are of each kind, in words."""
        counts = self.changes["change"].value_counts()
        kinds = ", ".join(f"{counts[kind]:,} {kind.replace('_', ' ')}" for kind in KINDS if kind in counts)
        found = self.findings["change"].value_counts()
        findings = ", ".join(f"{found[way]:,} {way}" for way in ("new", "gone") if way in found)
        things = pluralize(len(self.not_compared), "thing") if len(self.not_compared) else ""
        nothing = "no change in what could be compared" if things else "no change"
        if things and self.is_empty:
            return f"{nothing}; {things} could not be"
        parts = [kinds or nothing, f"findings: {findings}" if findings else "no finding new or gone"]
        return "; ".join([*parts, *([f"{things} not compared"] if things else [])])

    def __repr__(self) -> str:
        """Return how many changes there are of each kind, and how much was not compared, in one line."""
        return f"Changes({self.said})"


def compare(old: Inventory | Result, new: Inventory | Result, *, policy: PolicySource = None) -> Changes:
    """Compare two loads of the same accounts: what was created, deleted, changed, and which findings are new or gone.

    A resource is the same one where its ARN is, or else its name in its account, since names are unique there without
    case and whatever the path (IAM User Guide, "IAM and AWS STS quotas"). It is `recreated` where its unique id is
    another one, or its path or the case of its name, which IAM cannot change: one row, whose `detail` says what else is
    other about it. `relinked`: a profile holds another role, or none, or one where it held none. `retagged`: one row
    per key. `trust_changed`: the policy says something else, whatever the order of its keys and lists. `changed`:
    the description, the longest session or the permissions boundary, where both show one. Last use is no change.

    Created and deleted are told only where the other one holds all roles (or profiles) of the account; a planned
    resource of Terraform (`address:…`) is neither. A finding is new or gone where the check would have seen it in the
    other one; one that only says something else is neither. Findings are those of the results given; of an inventory,
    the checks are run, with the policy of the other one where none is given. No request is made to AWS.

    Returns
    -------
    Changes
        `changes`, `findings`, `not_compared` (see there), `summary`, one row per kind of change.

    Raises
    ------
    PolicyError
        If the policy file cannot be understood.
    """
    for one in (old, new):
        require("compare", one, Inventory, Result, instead="what `iamframe.load` or `iamframe.run_checks` gives")
    old, new = _checked(old, new, policy)
    accounts = old.inventory.accounts["account_id"]
    both = accounts[is_in(accounts, new.inventory.accounts["account_id"])]
    sides = {kind: _Matched(kind, old, new, both) for kind in _TYPES}
    same = _Same(sides)
    told = _Told(both)
    parts = [
        *_appeared(sides, told),
        *(part for each in sides.values() for part in _differing(each, sides["role"], same, old, new, told)),
    ]
    changes = _sorted(
        pa.concat_tables(parts), schema.CHANGES, {"change": KINDS}, ("account_id", "resource_arn", "what")
    )
    findings = _changed_findings(old, new, same, changes, told)
    return Changes(old, new, changes, findings, told.frame(old.inventory, new.inventory))


def _checked(old: Inventory | Result, new: Inventory | Result, policy: PolicySource) -> tuple[Result, Result]:
    """Return results of the same checks under the same policy, as given where they are."""
    given = next((one.policy for one in (new, old) if isinstance(one, Result)), None)
    rules = given if policy is None and given is not None else read_policy(policy)
    results = [one for one in (new, old) if isinstance(one, Result)]
    known = CHECKS | {name: check for one in results for name, check in one.checks.items()}
    checks = [name for name in known if all(name in one.checks for one in results)]

    def result(one: Inventory | Result) -> Result:
        if isinstance(one, Result) and one.policy == rules and list(one.checks) == checks:
            return one
        return run(one.inventory if isinstance(one, Result) else one, checks, rules, known)

    return result(old), result(new)


class _Matched:
    """The roles, or the profiles, of both sides, and which of them are the same one."""

    def __init__(self, kind: str, old: Result, new: Result, both: pd.Series) -> None:
        self.kind = kind
        self.frames = [_of_accounts(getattr(one.inventory, f"{kind}s"), both) for one in (old, new)]
        self.whole = [one.lists["account_id"][one.lists[f"{kind}s_whole"]] for one in (old, new)]
        was, now = self.frames
        where = index_in(was[f"{kind}_arn"], now[f"{kind}_arn"])
        self.alone = [np.flatnonzero(where < 0), np.flatnonzero(~is_in(now[f"{kind}_arn"], was[f"{kind}_arn"]))]
        renamed = self._same_name()
        self.alone = [np.setdiff1d(alone, mine) for alone, mine in zip(self.alone, renamed, strict=True)]
        kept = np.flatnonzero(where >= 0)
        # Per resource that is on both sides, its row in each.
        self.rows = [np.append(kept, renamed[0]), np.append(where[kept], renamed[1])]
        self.renamed = [
            as_arrow(frame[f"{kind}_arn"]).take(pa.array(r)) for frame, r in zip(self.frames, renamed, strict=True)
        ]
        self.arns = [self.column(f"{kind}_arn", side) for side in (0, 1)]
        self.accounts = self.column("account_id", 1)
        ids = [self._ids(side) for side in (0, 1)]
        self.id_known = [np.asarray(one.is_valid()) for one in ids]
        other_id = pc.not_equal(*ids)
        planned = pc.or_(*(pc.starts_with(arns, "address:") for arns in self.arns))
        named, laid = (pc.not_equal(*(self.column(f"{kind}_{of}", s) for s in (0, 1))) for of in ("name", "path"))
        moved = pc.and_not(pc.or_kleene(named, laid), planned)
        # Where the ids tell, paths do not matter: two ids that are one say that an ARN was only written otherwise.
        self.recreated = np.asarray(pc.fill_null(pc.coalesce(other_id, moved), pa.scalar(False)))
        self.ids = ids

    def column(self, name: str, side: int) -> pa.Array:
        """Return a column of the resources on both sides, as one side has it, in text."""
        return as_arrow(self.frames[side][name]).take(pa.array(self.rows[side]))

    def flag(self, name: str) -> list[Bools]:
        """Return a flag of the resources on both sides, as each side has it."""
        return [np.asarray(frame[name], dtype=bool)[rows] for frame, rows in zip(self.frames, self.rows, strict=True)]

    def _ids(self, side: int) -> pa.Array:
        ids = self.column(f"{self.kind}_id", side)
        return pc.if_else(pc.match_substring_regex(ids, _MASKED), _NULL, ids)

    def _same_name(self) -> list[Positions]:
        """Return where resources stand on each side that are on both by their name alone."""
        keys = []
        for frame, alone in zip(self.frames, self.alone, strict=True):
            rows = frame.iloc[alone]
            key = _name_key(rows["account_id"], rows[f"{self.kind}_name"])
            named = pc.and_(
                as_arrow(rows[f"{self.kind}_name"]).is_valid(),
                pc.not_equal(as_arrow(rows["account_id"]), UNKNOWN_ACCOUNT),
            )
            codes = np.asarray(key.dictionary_encode().indices)
            once = np.bincount(codes)[codes] == 1 if len(codes) else np.zeros(0, dtype=bool)
            keys.append(pc.if_else(pc.and_(named, pa.array(once)), key, _NULL))
        where = index_in(*keys)
        return [self.alone[0][where >= 0], self.alone[1][where[where >= 0]]]


def _of_accounts(frame: pd.DataFrame, accounts: pd.Series) -> pd.DataFrame:
    mine = is_in(frame["account_id"], accounts)
    return frame if mine.all() else frame[mine].reset_index(drop=True)


def _name_key(accounts: Texts, names: Texts) -> pa.Array:
    return joined_key(accounts, pc.utf8_lower(as_arrow(names)))


class _Same:
    """Under which key a resource goes on both sides: the old one's ARN, where it has another in the new one."""

    def __init__(self, sides: dict[str, _Matched]) -> None:
        self.old, self.new = (pa.concat_arrays([each.renamed[side] for each in sides.values()]) for side in (0, 1))
        roles = sides["role"]
        self.names = [_name_key(frame["account_id"], frame["role_name"]) for frame in roles.frames]
        self.arns = [frame["role_arn"] for frame in roles.frames]

    def keys(self, arns: Texts, accounts: Texts, side: int) -> pa.Array:
        """Return the keys of ARNs of one side; of a role that is known there by name alone, as the other has it."""
        arns = as_arrow(arns)
        by_name = pc.fill_null(pc.starts_with(arns, "name:"), pa.scalar(False))
        if pc.any(by_name).as_py():
            name = pc.if_else(by_name, pc.utf8_slice_codeunits(arns, 5), _NULL)
            known = lookup(self.arns[1 - side], index_in(_name_key(accounts, name), self.names[1 - side]))
            arns = pc.if_else(by_name, pc.coalesce(known, concat("name:", pc.utf8_lower(name))), arns)
        return pc.coalesce(lookup(self.old, index_in(arns, self.new)), arns)


class _Told:
    """What could not be compared, account by account."""

    def __init__(self, accounts: pd.Series) -> None:
        self.accounts = accounts
        self.rows: dict[tuple[str, str], list[Message]] = {}

    def add(self, account: str, what: str, message: str, **facts: Any) -> None:
        """Note a reason, a message with its facts; several of one thing stand behind each other."""
        self.rows.setdefault((account, what), []).append({"message": f"not_compared.{message}", **facts})

    def counts(self, accounts: Texts, mask: Any) -> list[int]:
        """Return, per account, how many rows are under a mask."""
        where = index_in(as_arrow(accounts).filter(pa.array(mask)), self.accounts)
        return np.bincount(where[where >= 0], minlength=len(self.accounts)).tolist()  # type: ignore[no-any-return]

    def unread(self, each: _Matched, what: str, known: list[Bools]) -> None:
        """Note of how many resources that are on both sides something was not read."""
        was, now = known
        every = self.counts(each.accounts, was | True)
        for sides, mask in (("OLD", ~was & now), ("NEW", was & ~now), ("OLD NEW", ~was & ~now)):
            for account, missing, rows in zip(self.accounts, self.counts(each.accounts, mask), every, strict=True):
                if missing:
                    self.add(account, what, "unread", kind=each.kind, missing=missing, total=rows, sides=sides)

    def frame(self, old: Inventory, new: Inventory) -> pd.DataFrame:
        """Return all that was noted, and the accounts that are on one side alone."""
        for one, other, side in ((old, new, "NEW"), (new, old, "OLD")):
            for account in one.accounts["account_id"][~is_in(one.accounts["account_id"], other.accounts["account_id"])]:
                self.add(account, "account", "account", side=side)
        # By account; within it as noted: lists first, findings last.
        rows = sorted(self.rows, key=lambda row: row[0])
        message, facts = columns_of(joint(self.rows[row]) for row in rows)
        account, what = ([row[at] for row in rows] for at in (0, 1))
        columns = {"account_id": account, "what": what, "reason": render(message, facts)}
        return schema.NOT_COMPARED.conform(columns | {"message": message, "facts": facts})


def _table(frame: pd.DataFrame, kind: str, rows: Positions, change: str, detail: Any, **more: Any) -> pa.Table:
    """Return changes of resources that stand at rows of a frame."""
    at = frame.iloc[rows]
    columns: dict[str, Any] = {
        "change": change,
        "account_id": at["account_id"],
        "resource_type": _TYPES[kind],
        "resource_name": at[f"{kind}_name"],
        "resource_arn": at[f"{kind}_arn"],
        "detail": detail,
        **more,
    }

    def column(value: Any) -> pa.Array:
        one = value is None or isinstance(value, str)
        return pa.repeat(pa.scalar(value, pa.string()), len(rows)) if one else as_arrow(value)

    return pa.table([column(columns.get(name)) for name in schema.CHANGES.names], names=schema.CHANGES.names)


def _sorted(
    table: pa.Table, frame: schema.Frame, ranks: dict[str, tuple[str, ...]], then: tuple[str, ...]
) -> pd.DataFrame:
    keyed = table
    for name, order in ranks.items():
        keyed = keyed.append_column(f"{name} rank", pc.index_in(table[name], value_set=pa.array(order)))
    keys = [(name, "ascending") for name in (*(f"{name} rank" for name in ranks), *then)]
    return frame.from_arrow(table.take(pc.sort_indices(keyed, keys)) if len(table) else table)


def _appeared(sides: dict[str, _Matched], told: _Told) -> Iterator[pa.Table]:
    """Return what was created and deleted, where the other side holds all there is."""
    for kind, each in sides.items():
        for side, (change, own, other) in enumerate((("deleted", "OLD", "NEW"), ("created", "NEW", "OLD"))):
            frame, rows = each.frames[side], each.alone[side]
            accounts = as_arrow(frame["account_id"]).take(pa.array(rows))
            planned = np.asarray(pc.starts_with(as_arrow(frame[f"{kind}_arn"]).take(pa.array(rows)), "address:"))
            whole = is_in(accounts, each.whole[1 - side]) & np.asarray(pc.not_equal(accounts, UNKNOWN_ACCOUNT))
            listed = set(each.whole[1 - side])
            for account, unsure, plans in zip(
                told.accounts, told.counts(accounts, ~whole & ~planned), told.counts(accounts, planned), strict=True
            ):
                more = {"message": "not_compared.so", "change": change, "count": unsure, "own": own}
                if account == UNKNOWN_ACCOUNT:
                    told.add(account, f"{kind}s", "whose", so=more if unsure else None)
                elif account not in listed:
                    told.add(account, f"{kind}s", "lists", other=other, so=more if unsure else None)
                if plans:
                    told.add(account, f"{kind}s", "planned", count=plans, own=own)
            found = rows[whole & ~planned]
            named = frame.iloc[found]
            made = as_arrow(named["created_at"].dt.strftime("%Y-%m-%d %H:%M UTC"))
            words = ("is gone; it was created ", "is gone") if change == "deleted" else ("created ", "is in NEW alone")
            detail = pc.coalesce(concat(words[0], made), words[1])
            yield _table(frame, kind, found, change, detail, **{("before", "after")[side]: named[f"{kind}_id"]})


# Where the resources stand that differ, the kind of change, and columns of `changes`.
_Part = tuple[Positions, str, dict[str, Any]]


def _differing(
    each: _Matched, roles: _Matched, same: _Same, old: Result, new: Result, told: _Told
) -> Iterator[pa.Table]:
    """Return the differences of resources that are on both sides."""
    told.unread(each, f"{each.kind} ids", each.id_known)
    parts = list(_parts(each, roles, same, old, new, told))
    for _, at, change, columns in parts:
        kept = ~each.recreated[at]
        values = {name: _under(column, pa.array(kept)) for name, column in columns.items()}
        yield _table(each.frames[1], each.kind, each.rows[1][at[kept]], change, **values)
    yield _recreated(each, parts)


def _under(column: Any, mask: pa.Array) -> Any:
    return column.filter(mask) if isinstance(column, (pa.Array, pa.ChunkedArray)) else column


def _parts(
    each: _Matched, roles: _Matched, same: _Same, old: Result, new: Result, told: _Told
) -> Iterator[tuple[str, *_Part]]:
    """Yield each kind of difference, with the words for it in the detail of a resource that was recreated."""
    if each.kind == "profile":
        yield ("its role", *_links(each, roles, same, old, new, told))
    yield ("its tags", *_tags(each, old, new, told))
    if each.kind == "role":
        yield ("its trust policy", *_trusts(each, told))
        for name in _COLUMNS:
            yield ("its " + name.split("_")[0], *_column(each, name))
        _told_columns(each, told)


def _recreated(each: _Matched, parts: list[tuple[str, *_Part]]) -> pa.Table:
    """Return one row per resource that was recreated; its detail names all other differences."""
    others: dict[int, list[str]] = {}
    for words, where, *_ in parts:
        for place in np.unique(where[each.recreated[where]]).tolist():
            others.setdefault(place, []).append(words)
    at = np.flatnonzero(each.recreated)
    arns = [arns.take(pa.array(at)) for arns in each.arns]
    ids = [ids.take(pa.array(at)) for ids in each.ids]
    moved = pc.not_equal(*arns)
    places = [
        concat(*(each.column(f"{each.kind}_{of}", side).take(pa.array(at)) for of in ("path", "name")))
        for side in (0, 1)
    ]
    before, after = (pc.if_else(moved, arn, one) for arn, one in zip(arns, ids, strict=True))
    said = pc.if_else(
        moved,
        concat("was made anew as ", places[1], "; it was ", places[0]),
        concat("was made anew with the id ", ids[1], "; it was ", ids[0]),
    )
    also = [f"; other too: {', '.join(others[place])}" if place in others else "" for place in at.tolist()]
    detail = concat(said, pa.array(also, pa.string()))
    return _table(each.frames[1], each.kind, each.rows[1][at], "recreated", detail, before=before, after=after)


def _links(each: _Matched, roles: _Matched, same: _Same, old: Result, new: Result, told: _Told) -> _Part:
    known = each.flag("role_known")
    told.unread(each, "links", known)
    held: list[pa.Array] = []
    shown: list[pa.Array] = []
    names: list[pa.Array] = []
    for side, one in enumerate((old, new)):
        links = one.inventory.links
        owner = index_in(links["profile_arn"], each.arns[side])
        mine = np.flatnonzero(owner >= 0)
        table = pa.table(
            {
                "owner": owner[mine],
                "key": same.keys(links["role_arn"], links["account_id"], side).take(pa.array(mine)),
                "arn": as_arrow(links["role_arn"]).take(pa.array(mine)),
            }
        )
        table = table.take(pc.sort_indices(table, [("owner", "ascending"), ("key", "ascending")]))
        arns = table["arn"].combine_chunks()
        where = index_in(arns, roles.frames[side]["role_arn"])
        name = pc.coalesce(
            lookup(roles.frames[side]["role_name"], where), pc.replace_substring_regex(arns, "^name:", "")
        )
        group = np.asarray(table["owner"])
        for into, values in ((held, table["key"].combine_chunks()), (shown, arns), (names, name)):
            into.append(pc.fill_null(join_by_group(group, values, len(each.accounts), " "), ""))
    at = np.flatnonzero(np.asarray(pc.not_equal(*held)) & known[0] & known[1])
    rows = pa.array(at)
    before, after = (pc.if_else(pc.equal(one, ""), _NULL, one).take(rows) for one in shown)
    was, now = (pc.if_else(pc.equal(one, ""), "no role", one).take(rows) for one in names)
    return at, "relinked", {"before": before, "after": after, "detail": concat("holds ", now, "; it held ", was)}


def _tags(each: _Matched, old: Result, new: Result, told: _Told) -> _Part:
    known = each.flag("tags_known")
    told.unread(each, f"{each.kind} tags", known)
    read = known[0] & known[1]
    tables = []
    for side, one in enumerate((old, new)):
        tags = one.inventory.tags
        owner = index_in(tags["resource_arn"], each.arns[side])
        mine = np.flatnonzero(lookup_flag(read, owner, otherwise=False))
        key, value = (as_arrow(tags[name]).take(pa.array(mine)) for name in ("tag_key", "tag_value"))
        tables.append((owner[mine], key, value, joined_key(lookup(each.arns[0], owner[mine]), key)))
    (was_of, was_key, was_value, was), (now_of, now_key, now_value, now) = tables
    there = index_in(now, was)
    added, gone = np.flatnonzero(there < 0), np.flatnonzero(~is_in(was, now))
    other = np.flatnonzero(
        np.asarray(pc.fill_null(pc.not_equal(now_value, lookup(was_value, there)), pa.scalar(False)))
    )
    nothing = [pa.nulls(len(rows), pa.string()) for rows in (added, gone)]
    key = pa.concat_arrays([now_key.take(pa.array(added)), was_key.take(pa.array(gone)), now_key.take(pa.array(other))])
    before = pa.concat_arrays([nothing[0], was_value.take(pa.array(gone)), was_value.take(pa.array(there[other]))])
    after = pa.concat_arrays([now_value.take(pa.array(added)), nothing[1], now_value.take(pa.array(other))])
    shown = [pc.if_else(pc.equal(values, ""), "(empty)", values) for values in (before, after)]
    detail = pc.coalesce(
        concat("tag ", key, " is ", shown[1], "; it was ", shown[0]),
        concat("tag ", key, " was added: ", shown[1]),
        concat("tag ", key, " was removed; it was ", shown[0]),
    )
    at = np.concatenate([now_of[added], was_of[gone], now_of[other]])
    return at, "retagged", {"what": key, "before": before, "after": after, "detail": detail}


def _trusts(each: _Matched, told: _Told) -> _Part:
    policies = [each.column("trust_policy", side) for side in (0, 1)]
    told.unread(each, "trust policies", [np.asarray(one.is_valid()) for one in policies])
    differing = np.flatnonzero(np.asarray(pc.fill_null(pc.not_equal(*policies), pa.scalar(False))))
    pairs = list(zip(*(one.take(pa.array(differing)).to_pylist() for one in policies), strict=True))
    # Of a policy that many roles share, each change is worked out once.
    other = {pair: what_changed(*pair) for pair in dict.fromkeys(pairs) if not same_policy(*pair)}
    changed = np.array([pair in other for pair in pairs], dtype=bool)
    at = differing[changed]
    rows = pa.array(at)
    ec2 = [each.column("trusts_ec2", side).take(rows) for side in (0, 1)]
    detail = concat(
        pa.array([other[pair] for pair in pairs if pair in other], pa.string()),
        pc.if_else(pc.equal(*ec2), "", concat("; whether EC2 may assume it: ", ec2[1], ", it was ", ec2[0])),
    )
    before, after = (one.take(rows) for one in policies)
    return at, "trust_changed", {"before": before, "after": after, "detail": detail}


def _column(each: _Matched, name: str) -> _Part:
    values = [each.column(name, side) for side in (0, 1)]
    at = np.flatnonzero(np.asarray(pc.fill_null(pc.not_equal(*values), pa.scalar(False))))
    before, after = (one.take(pa.array(at)) for one in values)
    what = pa.repeat(pa.scalar(name), len(at))
    return (
        at,
        "changed",
        {"what": what, "before": before, "after": after, "detail": concat(name, " is ", after, "; it was ", before)},
    )


def _told_columns(each: _Matched, told: _Told) -> None:
    known = [[np.asarray(each.column(name, side).is_valid()) for side in (0, 1)] for name in _COLUMNS]
    told.unread(each, "descriptions and session lengths", known[0])
    for name, (was, now) in zip(("descriptions", "permissions boundaries"), known[1:], strict=True):
        for account, count in zip(told.accounts, told.counts(each.accounts, was != now), strict=True):
            if count:
                told.add(account, name, "in_one", count=count)


def _changed_findings(old: Result, new: Result, same: _Same, changes: pd.DataFrame, told: _Told) -> pd.DataFrame:
    """Return the findings of one side alone that the other would have seen; note those that it might not have."""
    sides = (old, new)
    keys = [_finding_keys(one.findings, same, side) for side, one in enumerate(sides)]
    scopes = set(_same_scope(old, new))
    parts = []
    for side, (way, appeared) in enumerate((("gone", "deleted"), ("new", "created"))):
        findings = sides[side].findings
        findings = findings[~is_in(keys[side], keys[1 - side]) & is_in(findings["account_id"], told.accounts)]
        seen = _seen_by_other(findings, sides, side, same, scopes)
        seen |= is_in(findings["resource_arn"], changes["resource_arn"][changes["change"] == appeared])
        columns = [pa.array(findings[name][seen], from_pandas=True) for name in schema.FINDINGS.names]
        ways = pa.repeat(pa.scalar(way), int(seen.sum()))
        parts.append(pa.table([ways, *columns], schema=schema.CHANGED_FINDINGS.arrow))
        _told_unsure(findings[~seen], way, sides[side], ("OLD", "NEW")[side], scopes, told)
    _told_coverage(old, new, told)
    order = {"change": ("new", "gone"), "severity": SEVERITIES}
    return _sorted(
        pa.concat_tables(parts), schema.CHANGED_FINDINGS, order, ("check", "account_id", "resource_arn", "related_arn")
    )


def _seen_by_other(
    findings: pd.DataFrame, sides: tuple[Result, Result], side: int, same: _Same, scopes: set[str]
) -> Bools:
    """Return which findings of one side the check would have made on the other side too."""
    complete = [_of_check(one.coverage[one.coverage["status"] == "complete"]) for one in sides]
    checks = sides[side].checks
    relying = [name for name, one in checks.items() if "references" in one.reads]
    alone = [name for name, one in checks.items() if one.alone]
    check = _of_check(findings)
    seen = is_in(check, complete[1 - side])
    seen &= ~findings["check"].isin(relying).to_numpy(bool) | (
        is_in(check, complete[side]) & is_in(findings["account_id"], pa.array(scopes, pa.string()))
    )
    resources = same.keys(findings["resource_arn"], findings["account_id"], side)
    read = is_in(resources, _wholly_read(sides[1 - side], same, 1 - side))
    return seen | (findings["check"].isin(alone).to_numpy(bool) & read)


def _told_unsure(findings: pd.DataFrame, way: str, result: Result, where: str, scopes: set[str], told: _Told) -> None:
    """Note how many findings of one side the other might not have seen."""
    unsure = findings.value_counts(["account_id", "check"], sort=False).reset_index()
    for account, name, count in unsure.itertuples(index=False, name=None):
        apart = "references" in result.checks[name].reads and account not in scopes
        scope = {"message": "not_compared.scope"} if apart else None
        told.add(account, f"findings of {name}", "findings", way=way, count=count, side=where, scope=scope)


def _of_check(frame: pd.DataFrame) -> pa.Array:
    return joined_key(frame["account_id"], frame["check"])


def _finding_keys(findings: pd.DataFrame, same: _Same, side: int) -> pa.Array:
    resource, related = (
        same.keys(findings[name], findings["account_id"], side) for name in ("resource_arn", "related_arn")
    )
    nowhere = np.flatnonzero(np.asarray(resource.is_null()))
    name = pa.nulls(len(findings), pa.string()).to_pylist()
    # Keys that read alike are a group, whichever of them is the most used.
    for row, key in zip(nowhere.tolist(), findings["resource_name"].iloc[nowhere].fillna(""), strict=True):
        name[row] = canonical_key(key)
    return joined_key(_of_check(findings), resource, related, pa.array(name, pa.string()))


def _same_scope(old: Result, new: Result) -> Iterator[str]:
    """Return the accounts of which the same was read in the same regions, beyond IAM."""
    calls = [one.inventory.calls for one in (old, new)]
    calls = [one[(one["region"] != "global") & (one["state"] == "complete")] for one in calls]
    keys = [joined_key(one["account_id"], one["operation"], one["region"]) for one in calls]
    other = [set(one["account_id"][~is_in(keys[side], keys[1 - side])]) for side, one in enumerate(calls)]
    return (account for account in old.inventory.accounts["account_id"] if account not in other[0] | other[1])


def _wholly_read(one: Result, same: _Same, side: int) -> pa.Array:
    """Return the keys of roles and profiles of which all is known that a check asks of one resource and its role."""
    roles, pairs = one.inventory.roles, one.pairs
    known = roles[roles["tags_known"] & roles["trust_policy"].notna()]
    empty = pairs["role_arn"].isna()
    role = (
        pairs["role_tags_known"] & pairs["role_path"].notna() & (pairs["trusts_ec2"] != "unknown").fillna(value=False)
    )
    read = pairs["profile_tags_known"] & pairs["role_known"] & (empty | role)
    profiles = pairs[pairs["profile_arn"].notna()]
    doubtful = is_in(profiles["profile_arn"], profiles["profile_arn"][~read[profiles.index]])
    profiles = profiles[~doubtful]
    return pa.concat_arrays(
        [
            same.keys(frame[key], frame["account_id"], side)
            for frame, key in ((known, "role_arn"), (profiles, "profile_arn"))
        ]
    )


def _told_coverage(old: Result, new: Result, told: _Told) -> None:
    """Note the checks that did not see all: of what they missed nobody knows whether it is new or gone."""
    said: dict[tuple[str, str], dict[tuple[str, str], list[str]]] = {}
    for side, one in (("OLD", old), ("NEW", new)):
        rows = one.coverage[(one.coverage["status"] != "complete") & one.coverage["check"].isin(one.asked)]
        rows = rows[is_in(rows["account_id"], told.accounts)]
        columns = (rows[name] for name in ("account_id", "check", "message", "facts"))
        for account, check, message, facts in zip(*columns, strict=True):
            said.setdefault((account, check), {}).setdefault((message, facts), []).append(side)
    for (account, check), reasons in said.items():
        for (message, facts), sides in reasons.items():
            reason = nested(message, facts)
            told.add(account, f"findings of {check}", "coverage", sides=" ".join(sides), reason=reason)
