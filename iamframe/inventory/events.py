"""Events of CloudTrail in the order of cause, each with the resource that it was of.

CloudTrail gives times to the second, and its files no order within one (User Guide, "CloudTrail record contents":
`eventTime` is when the request was completed; "CloudTrail log file examples": records are in no particular order).
What happened within a second is put into an order that IAM would have let pass: a role or profile is created before it
is used and again only when it is gone, a profile takes one role at a time, and neither is deleted while they are linked
(IAM API Reference: CreateRole, AddRoleToInstanceProfile, DeleteInstanceProfile, DeleteRole). Where IAM would have let
several pass, creations come first, then links, changes, unlinkings, deletions; and among those alike names, then ids,
so that the order is the same whatever files it is read from. What failed stands before all that was done in its second.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory import schema
from iamframe.sources.cloudtrail import ADD, CHANGE, CREATE, DELETE, PROFILE, REMOVE, ROLE, Event

_RANKS = {CREATE: 0, ADD: 1, CHANGE: 2, REMOVE: 3, DELETE: 4}
# After so many that lead nowhere no more orders are tried, nor any of so many events; no second of a script needs it.
_TRIES = 2_000
_MOST = 200

# A resource of one account: its type, and its name without case, since IAM tells names apart without it.
Key = tuple[str, str]
# A role that is in a profile when the records begin.
_SOME = ("", "")


@dataclass(frozen=True, slots=True)
class Known:
    """What a resource of the inventory is: ARN, unique id, creation."""

    arn: str
    id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class _Did:
    """An event that was done: its step, and whose."""

    event: Event
    step: str
    key: Key
    role: Key = _SOME

    @property
    def keys(self) -> tuple[Key, ...]:
        return (self.key,) if self.role is _SOME else (self.key, self.role)

    @property
    def rank(self) -> tuple[int, str, str]:
        return _RANKS[self.step], self.event.resource_name, self.event.event_id


def event_table(events: Mapping[str, Iterable[Event]], roles: pa.Table, profiles: pa.Table) -> pa.Table:
    """Return the events of each account in the order of cause, one row each, as the schema has them.

    The same event comes in several files where several trails record it, or a lookup showed it too: it is one row. An
    ARN and unique id are those of the creation in the life that the event belongs to, or of the resource in the
    inventory where that was created before and the name was nobody else's since; else they are missing.
    """
    rows: list[tuple[object, ...]] = []
    for account in sorted(events):
        once = {event.event_id: event for event in sorted(events[account], reverse=True)}
        names = {name.casefold() for e in once.values() for name in (e.resource_name, e.related_name) if name}
        known = {**_known(account, names, roles, "role", ROLE), **_known(account, names, profiles, "profile", PROFILE)}
        ordered = in_order(once.values(), {key: one.created_at for key, one in known.items()})
        rows += [
            (
                account,
                event.event_id,
                order,
                event.at,
                event.name,
                event.action.resource_type,
                event.resource_name or None,
                *own,
                event.related_name or None,
                related[0],
                event.tag_keys or None,
                event.actor_arn or None,
                event.user_agent or None,
                event.error_code or None,
            )
            for order, (event, own, related) in enumerate(_resolved(ordered, known))
        ]
    columns = zip(*rows, strict=True) if rows else [()] * len(schema.EVENTS.columns)
    arrays = [pa.array(values, c.type) for c, values in zip(schema.EVENTS.columns, columns, strict=True)]
    return pa.table(arrays, names=schema.EVENTS.names)


def in_order(events: Iterable[Event], created: Mapping[Key, datetime]) -> list[Event]:
    """Return the events of one account in the order of cause; `created` says when what still lives was created."""
    events = sorted(events, key=lambda event: event.at)
    done: dict[datetime, list[_Did]] = defaultdict(list)
    others: dict[datetime, list[Event]] = defaultdict(list)
    for event in events:
        if (did := _did(event)) is None:
            others[event.at].append(event)
        else:
            done[event.at].append(did)
    begins = _Beginnings(done, created)
    ordered: list[Event] = []
    for at, _ in groupby(events, key=lambda event: event.at):
        ordered += sorted(others[at], key=lambda event: (event.name, event.resource_name, event.event_id))
        parts = [begins.ordered(part, at) for part in _apart(done[at])] if at in done else []
        # What is of other resources has no order to these.
        ordered += [did.event for did in _merged(parts)]
    return ordered


def _did(event: Event) -> _Did | None:
    kind, step = event.action
    linked = step in (ADD, REMOVE)
    if event.error_code or not event.resource_name or (linked and not event.related_name):
        return None
    role = (ROLE, event.related_name.casefold()) if linked else _SOME
    return _Did(event, step, (kind, event.resource_name.casefold()), role)


def _apart(dids: list[_Did]) -> list[list[_Did]]:
    """Return what is done in one second in parts that share no resource."""
    if len(dids) == 1:
        return [dids]
    root: dict[Key, Key] = {}

    def find(key: Key) -> Key:
        while root.setdefault(key, key) != key:
            root[key] = root[root[key]]
            key = root[key]
        return key

    for did in dids:
        for key in did.keys:
            root[find(key)] = find(did.key)
    parts: dict[Key, list[_Did]] = defaultdict(list)
    for did in sorted(dids, key=lambda did: did.rank):
        parts[find(did.key)].append(did)
    return list(parts.values())


def _merged(parts: list[list[_Did]]) -> list[_Did]:
    """Return all parts, each in its order, what comes first of each part by rank."""
    if len(parts) == 1:
        return parts[0]
    # A rank never falls within a part, so that sorting by it keeps each part's order.
    ranked = []
    for part in parts:
        highest = part[0].rank
        for place, did in enumerate(part):
            highest = max(highest, did.rank)
            ranked.append((highest, place, did))
    return [did for *_, did in sorted(ranked, key=lambda one: one[:2])]


@dataclass(slots=True)
class _State:
    """Which resources are there, and what each profile holds."""

    alive: dict[Key, bool] = field(default_factory=dict)
    held: dict[Key, Key | None] = field(default_factory=dict)

    def takes(self, did: _Did, coming: Counter[Key]) -> bool:
        """Return whether IAM would let it pass; `coming` counts the creations that are still to come."""
        key, role, held = did.key, did.role, self.held.get(did.key)
        if did.step == CREATE:
            return not self.alive[key]
        if did.step == DELETE:
            return self.alive[key] and held is None and key not in self.held.values()
        if did.step == REMOVE:
            return held in (role, _SOME)
        # What is deleted and made anew in one second is set up after that, not before.
        if any(not self.alive[one] or coming[one] for one in did.keys):
            return False
        return did.step == CHANGE or held is None

    def after(self, did: _Did) -> _State:
        """Return what is so afterwards."""
        alive, held = dict(self.alive), dict(self.held)
        for key in did.keys:
            alive[key] = did.step != DELETE
        if did.step == ADD:
            held[did.key] = did.role
        elif did.step != CHANGE:
            held[did.key] = None
        return _State(alive, held)


class _Beginnings:
    """What is there and linked when each second begins, as far as the events of all seconds tell."""

    def __init__(self, done: Mapping[datetime, list[_Did]], created: Mapping[Key, datetime]) -> None:
        lives: dict[Key, dict[datetime, list[int]]] = defaultdict(dict)
        links: dict[Key, dict[datetime, list[int]]] = defaultdict(dict)
        for at, dids in done.items():
            for did in dids:
                for key in did.keys:
                    counts = lives[key].setdefault(at, [0, 0])
                    if key == did.key:
                        counts[0] += did.step == CREATE
                        counts[1] += did.step == DELETE
                if did.role is not _SOME:
                    counts = links[did.key].setdefault(at, [0, 0])
                    counts[0] += did.step == ADD
                    counts[1] += did.step == REMOVE
        self.alive = {(key, at): there for key, own in lives.items() for at, there in _begin(own, created.get(key))}
        self.linked = {(key, at): there for key, own in links.items() for at, there in _begin(own, None)}
        self.held: dict[Key, Key | None] = {}

    def ordered(self, part: list[_Did], at: datetime) -> list[_Did]:
        """Return what is done to resources that hang together in one second, in the order of cause."""
        if len(part) > 1:
            keys = {key for did in part for key in did.keys}
            state = _State(
                {key: self.alive[key, at] for key in keys},
                {key: self._holds(key, at) for key in keys if key[0] == PROFILE},
            )
            part = _possible(part, state, Counter(did.key for did in part if did.step == CREATE)) or part
        for did in part:
            if did.step != CHANGE:
                self.held[did.key] = did.role if did.step == ADD else None
        return part

    def _holds(self, key: Key, at: datetime) -> Key | None:
        if not self.alive[key, at]:
            return None
        linked, before = self.linked.get((key, at)), self.held.get(key)
        if linked is None:
            return before
        return (before or _SOME) if linked else None


def _begin(seconds: Mapping[datetime, list[int]], created: datetime | None) -> Iterator[tuple[datetime, bool]]:
    """Yield, per second, whether something is there when it begins: made and unmade take turns, whatever the order.

    Made as often as unmade, it ends as it began: as the second before ended, or, where that is not known, as the next
    begins; else, unless what lives was created in that second, as what is not there.
    """
    known: bool | None = None
    waiting: list[datetime] = []
    for at, (made, unmade) in seconds.items():
        if made != unmade:
            there = unmade > made
        elif not made:
            there = True
        elif known is not None:
            there = known
        else:
            waiting.append(at)
            continue
        yield from ((one, there) for one in waiting)
        waiting = []
        known = made > unmade if made != unmade else there
        yield at, there
    yield from ((at, at == created) for at in waiting)


def _possible(part: list[_Did], state: _State, coming: Counter[Key]) -> list[_Did] | None:
    """Return the first order, by rank, that IAM would let pass, or None where records are missing or too many."""
    if len(part) > _MOST:
        return None
    # What is left says what was done, and so what is so: from there on nothing need be tried twice.
    failed: set[tuple[int, ...]] = set()

    def order(left: tuple[int, ...], state: _State, coming: Counter[Key]) -> list[_Did] | None:
        if not left:
            return []
        if left in failed or len(failed) > _TRIES:
            return None
        tried = set()
        for place, number in enumerate(left):
            did = part[number]
            # Steps that differ by nothing but their id lead to the same.
            alike = (did.step, did.key, did.role)
            if alike in tried or not state.takes(did, coming):
                continue
            tried.add(alike)
            still = coming - Counter([did.key]) if did.step == CREATE else coming
            rest = order(left[:place] + left[place + 1 :], state.after(did), still)
            if rest is not None:
                return [did, *rest]
            if did.step == CHANGE:
                # It stands in the way of nothing, so that nothing else before it helps.
                break
        failed.add(left)
        return None

    return order(tuple(range(len(part))), state, coming)


def _known(account: str, names: set[str], table: pa.Table, prefix: str, kind: str) -> dict[Key, Known]:
    """Return the resources of the inventory, of one account and type, that have one of these names and a creation."""
    if not names or not len(table):
        return {}
    name = f"{prefix}_name"
    mine = pc.and_(
        pc.equal(table["account_id"], account),
        pc.is_in(pc.utf8_lower(table[name]), value_set=pa.array(sorted(names), pa.string())),
    )
    found = table.filter(pc.and_(mine, pc.is_valid(table["created_at"])))
    columns = (found[c].to_pylist() for c in (name, f"{prefix}_arn", f"{prefix}_id", "created_at"))
    return {(kind, n.casefold()): Known(arn, own, at) for n, arn, own, at in zip(*columns, strict=True)}


_Whose = tuple[str | None, str | None]


def _resolved(ordered: Iterable[Event], known: Mapping[Key, Known]) -> Iterator[tuple[Event, _Whose, _Whose]]:
    """Yield each event with the ARN and id of its resource and of the related one, where anything read says them."""
    current: dict[Key, _Whose] = {}
    gone: dict[Key, datetime] = {}

    def whose(kind: str, name: str, at: datetime) -> _Whose:
        key = (kind, name.casefold())
        if key in current:
            return current[key]
        one = known.get(key)
        if one is None or not gone.get(key, one.created_at) <= one.created_at <= at:
            return None, None
        return one.arn, one.id

    for event in ordered:
        kind, step = event.action
        key = (kind, event.resource_name.casefold())
        done = not event.error_code
        if done and step == CREATE:
            current[key] = (event.resource_arn or None, event.resource_id or None)
        yield (
            event,
            whose(kind, event.resource_name, event.at),
            whose(ROLE, event.related_name, event.at) if event.related_name else (None, None),
        )
        if done and step == DELETE:
            current.pop(key, None)
            gone[key] = event.at
