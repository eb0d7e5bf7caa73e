"""Compare two inventories of the same accounts.

Missing data is not a change, but is listed in the frame `not_compared`.
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

from iamframe.analysis.changed_findings import WAYS, changed_findings
from iamframe.analysis.matching import TYPES, KeyMap, NotCompared, Pairs, counts_by_kind, differ, ordered
from iamframe.checks import CHECKS, Result
from iamframe.checks.owner import OWNER_TAG
from iamframe.checks.runner import run
from iamframe.checks.tag_policy import PolicySource, read_policy
from iamframe.errors import require
from iamframe.inventory import display, schema
from iamframe.inventory.arrow import Positions, as_arrow, concat, index_in, is_in, join_by_group, joined_key, lookup
from iamframe.inventory.gaps import with_details
from iamframe.inventory.inventory import Inventory
from iamframe.knowledge.operations import UNKNOWN_ACCOUNT
from iamframe.knowledge.trust import policy_key, what_changed
from iamframe.messages.render import Message, columns_of, facts_of, joint, render, render_facts, say, text_of
from iamframe.version import __version__

KINDS = ("created", "deleted", "recreated", "relinked", "retagged", "trust_changed", "changed")
# Columns of roles. A missing value means none, or not collected. Every role has a session duration, so a missing one
# was not collected.
_COLUMNS = ("max_session_seconds", "description", "permissions_boundary_arn")
_STATUS = ["account_id", "check", "status"]
_SHOWN = 20


def texts_of_findings(found: pd.DataFrame, lang: str = "en") -> pd.Series:
    """Return the texts of new, gone, reopened and settled findings. If a finding is gone, its text is quoted."""
    is_deleted = found["resource_change"] == "deleted"
    ways = np.where(is_deleted, say("changes.deleted_with", lang), say("changes.in_old", lang))
    return found["detail"].where(found["change"] != "gone", ways + ('"' + found["detail"] + '"'))


@schema.shows(schema.CHANGES, schema.CHANGED_FINDINGS, schema.NOT_COMPARED)
@dataclass(frozen=True)
class Changes:
    """The differences between two inventories, and between their findings.

    The frame `changes` is sorted by kind of change, account and ARN. The frame `findings` contains new findings, gone
    findings, findings that have become expected or accepted (`settled`), and findings that no longer are expected or
    accepted (`reopened`). The frame `not_compared` shows what could not be compared. If `changes`, `findings` and
    `not_compared` have no row for an account, nothing that iamframe compares has changed there. Attached policies,
    inline policies, the frame `references` and the column `role_template_arn` are not compared.
    """

    old: Result
    new: Result
    changes: pd.DataFrame
    findings: pd.DataFrame
    not_compared: pd.DataFrame

    @property
    def is_empty(self) -> bool:
        """True if the data that could be compared has not changed. `not_compared` lists all other data."""
        return self.changes.empty and self.findings.empty

    def to_frame(self, lang: str = "en", rows: int | None = None) -> pd.DataFrame:
        """Return one frame: first the changed resources, then the changed findings.

        The frame has the same columns as the frame `changes`. The column `change` of a finding is `finding_new`,
        `finding_gone`, `finding_settled` (now expected or accepted) or `finding_reopened` (no longer expected or
        accepted). The column `what` of a finding contains the name of the check. `lang` is the language of the column
        `detail`: `en` or `ja`. `rows` is the maximum number of rows.
        """
        changes, found = self.changes[:rows], self.findings
        if lang != "en":
            changes, found = with_details(changes, lang), found.assign(detail=self.details(lang))
        columns = found[["account_id", "resource_type", "resource_name", "resource_arn"]].assign(
            change="finding_" + found["change"],
            what=found["check"],
            detail=say("changes.of_check", lang) + found["check"] + ": " + texts_of_findings(found, lang),
            message="",
            facts="{}",
        )
        return schema.CHANGES.conform(pd.concat([changes, columns], ignore_index=True)[:rows])

    def details(self, lang: str) -> pd.Series:
        """Return the column `detail` of the frame `findings` in the language `lang`."""
        ids, detail = self.findings["finding_id"], pa.nulls(len(self.findings), pa.string())
        for one in (self.new, self.old):
            found = one.only(ids).findings_in(lang)
            detail = pc.coalesce(detail, lookup(found["detail"], index_in(ids, found["finding_id"])))
        return pd.Series(detail.to_pandas(), ids.index, dtype="str")

    @cached_property
    def summary(self) -> pd.DataFrame:
        """The number of changes to roles and to profiles, by kind of change."""
        return counts_by_kind(self.changes, "change", KINDS)

    @property
    def sentence(self) -> str:
        """The number of changes of each kind, as a sentence."""
        return self.sentence_in("en")

    def sentence_in(self, lang: str) -> str:
        """Return the number of changes of each kind, as a sentence in the language `lang`."""
        kinds, ways = (
            [{"message": f"{message}.{one}", "n": int(counts[one])} for one in order if one in counts]
            for message, order, counts in (
                ("changes.count", KINDS, self.changes["change"].value_counts()),
                ("changes.findings", WAYS, self.findings["change"].value_counts()),
            )
        )
        apart = len(self.not_compared)
        nothing = {"message": "changes.sentence.nothing_compared" if apart else "changes.sentence.nothing"}
        parts: list[Message] = [{"message": "changes.sentence.kinds", "kinds": kinds} if kinds else nothing]
        same: Message = {"message": "changes.sentence.same"}
        findings: Message = {"message": "changes.sentence.findings", "ways": ways} if ways else same
        parts += [] if apart and self.is_empty else [findings]
        parts += [{"message": "changes.sentence.attention", **self.attention}] if self.attention else []
        parts += [{"message": "changes.sentence.not_compared"}] if apart else []
        return say("list.in_sentences", lang, messages=parts)

    @cached_property
    def attention(self) -> dict[str, Message]:
        """The numbers of resources that need attention in `old` and in `new`.

        The dictionary is empty if nothing changed, or if a check had more data for one of the two inventories.
        """
        statuses = [set(map(tuple, one.coverage[_STATUS].to_numpy())) for one in (self.old, self.new)]
        # More data shows more findings, so the numbers would say nothing about the accounts.
        if self.is_empty or statuses[0] != statuses[1]:
            return {}
        sides: dict[str, Message] = {}
        for side, one in (("old", self.old), ("new", self.new)):
            counts = {name: int(n) for name, n in one.attention.items() if n}
            each = [{"message": f"changes.attention.{name}", "n": n} for name, n in counts.items()]
            total = {"message": "changes.attention.some" if each else "changes.attention.none"}
            sides[side] = total | {"n": sum(counts.values()), "severities": each}
        return sides

    def __repr__(self) -> str:
        return f"Changes({self.sentence})"

    def _repr_html_(self) -> str:
        parts = [display.html_line(f"{self.sentence}."), display.html_frame(self.summary)]
        columns = ["change", "account_id", "resource_type", "resource_name", "detail"]
        if not self.is_empty:
            frame = self.to_frame(rows=_SHOWN)
            total = len(self.changes) + len(self.findings)
            parts.append(display.html_frame(frame[columns], total, ".to_frame()"))
        if len(self.not_compared):
            apart = self.not_compared[["account_id", "what", "reason"]]
            parts.append(display.html_frame(apart.head(_SHOWN), len(apart), ".not_compared"))
        return "".join(parts)


def compare(old: Inventory | Result, new: Inventory | Result, *, policy: PolicySource = None) -> Changes:
    """Compare two inventories of the same accounts, and return what changed.

    Resources are matched by ARN, or by account and name if no ARN matches. In an account, role names are unique, and
    profile names are unique, regardless of case and path. Source: IAM User Guide, "IAM and AWS STS quotas". The last
    use of a role never counts as a change. The column `change` has one of these values:

    - `created`: only `new` contains the resource, and `old` has a complete list of roles (or profiles).
    - `deleted`: only `old` contains the resource, and `new` has a complete list of roles (or profiles).
    - `recreated`: the resource has different unique ids in the two inventories. IAM cannot change the path of a
      resource, or the case of its name. So a changed path or case counts as `recreated`, even if one of the ids is
      unknown. For a recreated resource, the columns `facts` and `detail` show all other changes, too.
    - `relinked`: the profile's role was replaced, removed or added.
    - `retagged`: a tag differs (one row per tag key).
    - `trust_changed`: the trust policy differs. The order of keys, and of the items in a list, does not matter.
    - `changed`: the description, maximum session duration or permissions boundary differs. A value that is unknown in
      one inventory never counts as different.

    A resource that exists only in a Terraform plan is never `created` or `deleted`. A finding is new only if the old
    inventory had enough data for the check to report it. A finding is gone only if the check had enough data in the
    new inventory. A finding has not changed if only its text differs. The arguments `old` and `new` can each be an
    inventory or a result. For an inventory, `compare` first runs the checks. If the two results come from different
    policy files, iamframe versions or versions of a check, iamframe runs the checks again for both inventories. By
    default, iamframe uses the policy file of `new` if `new` is a result, else the policy file of `old` if `old` is a
    result. If a check ran for only one of the two results, its findings are not compared, and `not_compared` says so.
    `compare` reads only the inventories, not the accounts.

    Returns
    -------
    Changes
        The frames `changes`, `findings`, `not_compared` and `summary`. The frame `summary` has one row per kind of
        change.

    Raises
    ------
    PolicyError
        If a policy file cannot be read, or is not valid.
    """
    for one in (old, new):
        require("compare", one, Inventory, Result, instead="what `iamframe.load` or `iamframe.run_checks` gives")
    sides, alone = _with_same_checks(old, new, policy)
    accounts = [one.inventory.accounts["account_id"] for one in sides]
    apart = NotCompared(accounts[0][is_in(accounts[0], accounts[1])])
    pairs = {kind: Pairs(kind, sides, apart.accounts) for kind in TYPES}
    keys = KeyMap(pairs)
    parts = [part for each in pairs.values() for part in _created_and_deleted(each, apart)]
    parts += [part for each in pairs.values() for part in _differing(each, pairs["role"], keys, sides, apart)]
    changes = schema.CHANGES.from_arrow(
        ordered(pa.concat_tables(parts), {"change": KINDS}, ("account_id", "resource_arn", "what"))
    )
    findings = changed_findings(sides, keys, changes, apart)
    for (check, side), account in ((one, account) for one in alone.items() for account in apart.accounts):
        apart.add(account, "findings", "check", check, side=side)
    return Changes(*sides, changes, findings, apart.frame(*accounts))


def _with_same_checks(
    old: Inventory | Result, new: Inventory | Result, policy: PolicySource
) -> tuple[tuple[Result, Result], dict[str, str]]:
    results = {side: one for side, one in (("NEW", new), ("OLD", old)) if isinstance(one, Result)}
    given = next(iter(results.values()), None)
    rules = given.policy if policy is None and given else read_policy(policy)
    # If both have a check of the same name, the check of the new result counts.
    known = CHECKS | {name: one for result in reversed(results.values()) for name, one in result.checks.items()}
    checks = {name: one for name, one in known.items() if all(name in result.checks for result in results.values())}
    alone = {name: side for side, one in results.items() for name in one.checks if name not in checks}

    def result(one: Inventory | Result) -> Result:
        if not isinstance(one, Result):
            return run(one, checks, rules, known, given.owner_tag if given else OWNER_TAG)
        if one.version == __version__ and one.policy == rules and one.checks == checks:
            return one
        return run(one.inventory, checks, rules, known, one.owner_tag)

    return (result(old), result(new)), alone


# Changes, as columns


def _rows(each: Pairs, side: int, rows: Positions, change: str, **more: Any) -> pa.Table:
    at = each.frames[side].iloc[rows]
    columns: dict[str, Any] = {
        "change": change,
        "account_id": at["account_id"],
        "resource_type": TYPES[each.kind],
        "resource_name": at[f"{each.kind}_name"],
        "resource_arn": at[f"{each.kind}_arn"],
        **more,
    }

    def column(value: Any) -> pa.Array:
        one = value is None or isinstance(value, str)
        return pa.repeat(pa.scalar(value, pa.string()), len(rows)) if one else as_arrow(value)

    return pa.table([column(columns.get(name)) for name in schema.CHANGES.names], names=schema.CHANGES.names)


def _message(message: str, **facts: pa.Array) -> dict[str, Any]:
    size = len(next(iter(facts.values())))
    detail = render_facts(text_of(message), facts.__getitem__, np.arange(size), size)
    return {"message": pa.repeat(pa.scalar(message), size), "facts": facts_of(facts), "detail": detail}


def _created_and_deleted(each: Pairs, apart: NotCompared) -> Iterator[pa.Table]:
    for side, change, undated, column in (
        (0, "deleted", "changes.gone", "before"),
        (1, "created", "changes.appeared", "after"),
    ):
        frame, rows = each.frames[side], each.alone[side]
        accounts = as_arrow(frame["account_id"]).take(pa.array(rows))
        planned = np.asarray(pc.starts_with(as_arrow(frame[f"{each.kind}_arn"]).take(pa.array(rows)), "address:"))
        whole = is_in(accounts, each.whole[1 - side]) & np.asarray(pc.not_equal(accounts, UNKNOWN_ACCOUNT))
        apart.unlisted(each, side, change, apart.counts(accounts, ~whole & ~planned), apart.counts(accounts, planned))
        found = rows[whole & ~planned]
        made = as_arrow(frame["created_at"].iloc[found].dt.strftime("%Y-%m-%d %H:%M UTC"))
        dated = np.asarray(made.is_valid())
        for chosen, message in (
            (found[dated], _message(f"changes.{change}", at=made.drop_null())),
            (found[~dated], {"message": undated, "facts": "{}", "detail": say(undated)}),
        ):
            yield _rows(each, side, chosen, change, **message, **{column: frame[f"{each.kind}_id"].iloc[chosen]})


# A kind of change, the positions of the resources among the pairs, and columns of `changes`.
_Part = tuple[str, Positions, dict[str, Any]]


def _differing(
    each: Pairs, roles: Pairs, keys: KeyMap, sides: tuple[Result, Result], apart: NotCompared
) -> Iterator[pa.Table]:
    apart.unread(each, "ids", each.id_known)
    also: list[tuple[Positions, pa.Array, pa.Array]] = []
    for change, at, columns in _parts(each, roles, keys, sides, apart):
        again = each.recreated[at]
        kept = {name: column.filter(pa.array(~again)) for name, column in columns.items()}
        yield _rows(each, 1, each.rows[1][at[~again]], change, **kept)
        if again.any():
            message, facts, detail = (columns[name].filter(pa.array(again)) for name in ("message", "facts", "detail"))
            also.append((at[again], _messages_as_json(message, facts), detail))
    # A recreated resource has one row, with all its differences.
    yield _recreated(each, also)


def _messages_as_json(message: pa.Array, facts: pa.Array) -> pa.Array:
    rest = pc.utf8_slice_codeunits(facts, 1)
    return concat('{"message":"', message, pc.if_else(pc.equal(rest, "}"), '"', '",'), rest)


def _parts(
    each: Pairs, roles: Pairs, keys: KeyMap, sides: tuple[Result, Result], apart: NotCompared
) -> Iterator[_Part]:
    if each.kind == "profile":
        yield from _links(each, roles, keys, sides, apart)
    yield from _tags(each, sides, apart)
    if each.kind == "role":
        yield _trusts(each, apart)
        yield from (_column(each, name) for name in _COLUMNS)
        apart.unread_columns(each, _COLUMNS)


def _recreated(each: Pairs, also: list[tuple[Positions, pa.Array, pa.Array]]) -> pa.Table:
    at = np.flatnonzero(each.recreated)
    arns, ids = ([one.take(pa.array(at)) for one in sides] for sides in (each.arns, each.ids))
    paths, names = (
        [each.column(f"{each.kind}_{part}", side).take(pa.array(at)) for side in (0, 1)] for part in ("path", "name")
    )
    places = map(concat, paths, names)
    moved = pc.not_equal(*arns)
    before, after = (pc.if_else(moved, place, one) for place, one in zip(places, ids, strict=True))
    empty = np.zeros(0, dtype=np.int64), pa.array([], pa.string()), pa.array([], pa.string())
    owners, facts, details = zip(empty, *also, strict=True)
    group = np.searchsorted(at, np.concatenate(owners))
    facts, details = (
        pc.fill_null(join_by_group(group, pa.concat_arrays(parts), len(at), by), "")
        for parts, by in ((facts, ","), (details, str(text_of("list.between"))))
    )
    changed = pc.not_equal(facts, "")
    message = concat("changes.recreated.", pc.if_else(moved, "moved", "again"), pc.if_else(changed, "_and_changed", ""))
    columns = {"message": message, "before": before, "after": after, "also": details}
    texts = {"by": "message"} | {one: str(text_of(one)) for one in pc.unique(message).to_pylist()}
    detail = render_facts(texts, columns.__getitem__, np.arange(len(at)), len(at)) if len(at) else message
    plain = facts_of({"before": before, "after": after})
    whole = concat(pc.utf8_slice_codeunits(plain, 0, -1), pc.if_else(changed, concat(',"also":[', facts, "]"), ""), "}")
    shown = {name: pc.if_else(moved, arns[side], ids[side]) for side, name in enumerate(("before", "after"))}
    return _rows(each, 1, each.rows[1][at], "recreated", message=message, facts=whole, detail=detail, **shown)


def _links(
    each: Pairs, roles: Pairs, keys: KeyMap, sides: tuple[Result, Result], apart: NotCompared
) -> Iterator[_Part]:
    known = each.flag("role_known")
    apart.unread(each, "links", known)
    held = {}
    for side, column in enumerate(("before", "after")):
        links, linked = sides[side].inventory.links, sides[side].inventory.linked_rows
        owner, arn = each.number(side, linked.link_profile), as_arrow(links["role_arn"])
        key = keys.keys(links, "role_arn", side)
        named = lookup(roles.frames[side]["role_name"], linked.link_role)
        name = pc.coalesce(named, pc.replace_substring_regex(arn, "^name:", ""))
        # A profile holds one role. Contradicting files may show several: their order does not matter.
        order = np.asarray(pc.sort_indices(key))
        held[column] = {
            what: pc.fill_null(join_by_group(owner[order], values.take(order), len(each.accounts), " "), "")
            for what, values in (("key", key), ("arn", arn), ("name", name))
        }
    was, now = (one["key"] for one in held.values())
    other = np.asarray(pc.not_equal(was, now)) & known[0] & known[1]
    empty, emptied = np.asarray(pc.equal(was, "")), np.asarray(pc.equal(now, ""))
    for message, mask, columns in (
        ("changes.relinked", ~empty & ~emptied, ("before", "after")),
        ("changes.filled", empty, ("after",)),
        ("changes.emptied", emptied, ("before",)),
    ):
        at = np.flatnonzero(other & mask)
        names, arns = ({one: held[one][what].take(pa.array(at)) for one in columns} for what in ("name", "arn"))
        yield "relinked", at, _message(message, **names) | arns


def _tags(each: Pairs, sides: tuple[Result, Result], apart: NotCompared) -> Iterator[_Part]:
    known = each.flag("tags_known")
    apart.unread(each, "tags", known)
    read = np.append(known[0] & known[1], False)
    tables = []
    for side, one in enumerate(sides):
        owner = each.number(side, getattr(one.inventory.linked_rows, f"tag_{each.kind}"))
        at = np.flatnonzero(read[owner])
        tables.append((owner[at], *(as_arrow(one.inventory.tags[f"tag_{what}"].iloc[at]) for what in ("key", "value"))))
    (was_of, was_key, was), (now_of, now_key, now) = tables
    keys = pa.concat_arrays([was_key, now_key]).dictionary_encode()
    cells = np.concatenate([was_of, now_of]) * len(keys.dictionary) + np.asarray(keys.indices)
    there = pd.Index(cells[: len(was)]).get_indexer(pd.Index(cells[len(was) :]))
    before = lookup(was, there)
    new, other = there < 0, differ(now, before)
    gone = np.ones(len(was), dtype=bool)
    gone[there[~new]] = False
    for message, owner, mask, columns in (
        ("added", now_of, new, {"what": now_key, "after": now}),
        ("removed", was_of, gone, {"what": was_key, "before": was}),
        ("changed", now_of, other, {"what": now_key, "after": now, "before": before}),
    ):
        facts = {name: values.filter(pa.array(mask)) for name, values in columns.items()}
        yield "retagged", owner[mask], _message(f"changes.tag.{message}", **facts) | facts


def _trusts(each: Pairs, apart: NotCompared) -> _Part:
    policies = [each.column("trust_policy", side) for side in (0, 1)]
    apart.unread(each, "trust_policies", [np.asarray(one.is_valid()) for one in policies])
    at = np.flatnonzero(differ(*policies))
    columns = [one.take(pa.array(at)) for one in (*policies, *(each.column("trusts_ec2", side) for side in (0, 1)))]
    # Many roles share a policy, so each pair of policies is compared once.
    codes = joined_key(*columns).dictionary_encode().indices
    first = pa.array(np.unique(np.asarray(codes), return_index=True)[1])
    distinct = zip(*(one.take(first).to_pylist() for one in columns), strict=True)
    # If a trusted role was deleted, the new policy has its id, which the old inventory knows.
    old_roles = each.frames[0]
    roles = dict(zip(old_roles["role_id"], old_roles["role_arn"], strict=True)) if len(at) else {}
    message, facts = columns_of(_trust(old, new, was, now, roles) for old, new, was, now in distinct)
    by_code = {"message": message, "facts": facts, "detail": render(message, facts)}
    rows = {name: values.take(codes) for name, values in by_code.items()} | {"before": columns[0], "after": columns[1]}
    changed = pc.not_equal(rows["message"], "")
    return "trust_changed", at[np.asarray(changed)], {name: values.filter(changed) for name, values in rows.items()}


def _trust(old: str, new: str, was: str, now: str, roles: dict[str, str]) -> Message | None:
    if policy_key(old) == policy_key(new):
        return None
    ec2 = {name: {"message": f"changes.ec2.{one}"} for name, one in (("before", was), ("after", now))}
    return joint([*what_changed(old, new, roles), {"message": "changes.trust.ec2", **ec2} if was != now else None])


def _column(each: Pairs, name: str) -> _Part:
    values = [each.column(name, side) for side in (0, 1)]
    at = np.flatnonzero(differ(*values))
    before, after = (one.take(pa.array(at)) for one in values)
    columns = {"what": pa.repeat(pa.scalar(name), len(at)), "before": before, "after": after}
    return "changed", at, _message("changes.column", **columns) | columns
