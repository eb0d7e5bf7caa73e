"""Put CloudTrail events into an order in which IAM can have executed them, and identify the resource of each event.

The time of an event is when its request was completed, to the second. Source: CloudTrail User Guide, "CloudTrail record
contents", `eventTime`. Within a CloudTrail file, records are in no particular order. Source: CloudTrail User Guide,
"CloudTrail log file examples".

If possible, iamframe puts events with the same time into an order that IAM allows. CreateRole fails if a role with this
name exists. CreateInstanceProfile fails if a profile with this name exists. All other operations need a role or
profile that exists. A profile holds at most one role. DeleteRole fails while the role is in a profile.
DeleteInstanceProfile fails while the profile holds a role. Source: IAM API Reference, CreateRole,
CreateInstanceProfile, AddRoleToInstanceProfile, DeleteInstanceProfile and DeleteRole.

Events whose order remains open are sorted by kind, name and id. The kinds have this order: create, link, change,
unlink, delete. If events are missing, or if too many events have the same time, iamframe may find no possible order.
The order of the files does not matter.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import combinations, islice, product
from typing import NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory import schema
from iamframe.knowledge.arn import PROFILE_TYPE, ROLE_TYPE
from iamframe.sources.cloudtrail import ADD, CHANGE, CREATE, DELETE, REMOVE, Event

_RANKS = {CREATE: 0, ADD: 1, CHANGE: 2, REMOVE: 3, DELETE: 4}
# The search for an order stops after this many dead ends or first states, and does not start with more than this many
# events. No script needs more.
_MAX_DEAD_ENDS = 2_000
_MAX_EVENTS = 200
_MAX_STATES = 200

# A resource of one account: its type, and its name in lower case, since IAM compares names without case.
Key = tuple[str, str]
# The role of a profile that was linked before the records begin.
_ANY_ROLE = ("", "")


class _Known(NamedTuple):
    arn: str
    id: str | None
    created_at: datetime


class _Step(msgspec.Struct, frozen=True):
    event: Event
    action: str
    key: Key
    # The role that the event links or unlinks.
    role: Key = _ANY_ROLE

    @property
    def keys(self) -> tuple[Key, ...]:
        return (self.key,) if self.role is _ANY_ROLE else (self.key, self.role)

    @property
    def rank(self) -> tuple[int, str, str]:
        return _RANKS[self.action], self.event.resource_name, self.event.event_id


def event_table(events: Mapping[str, Iterable[Event]], roles: pa.Table, profiles: pa.Table) -> pa.Table:
    rows = []
    known_of = _known(events, roles, profiles) if events else {}
    for account in sorted(events):
        # Several trails may record the same event.
        unique, known = {event.event_id: event for event in sorted(events[account], reverse=True)}, known_of[account]
        ordered = in_order(unique.values(), {key: one.created_at for key, one in known.items()})
        rows += [
            {
                "account_id": account,
                "event_id": event.event_id,
                "event_order": order,
                "event_at": event.at,
                "event_name": event.name,
                "resource_type": event.action.resource_type,
                "resource_name": event.resource_name or None,
                "resource_arn": arn,
                "resource_id": unique_id,
                "related_name": event.related_name or None,
                "related_arn": related_arn,
                "tag_keys": event.tag_keys or None,
                "actor_arn": event.actor_arn or None,
                "user_agent": event.user_agent or None,
                "error_code": event.error_code or None,
            }
            for order, (event, (arn, unique_id), (related_arn, _)) in enumerate(_identified(ordered, known))
        ]
    return pa.Table.from_pylist(rows, schema=schema.EVENTS.arrow)


def in_order(events: Iterable[Event], created: Mapping[Key, datetime]) -> list[Event]:
    steps: dict[datetime, list[_Step]] = defaultdict(list)
    others: dict[datetime, list[Event]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.at):
        if step := _step(event):
            steps[event.at].append(step)
        else:
            others[event.at].append(event)
    timeline = _Timeline(steps, created)
    ordered: list[Event] = []
    for at in sorted(steps.keys() | others.keys()):
        # Failed events come before successful events with the same time.
        ordered += sorted(others[at], key=lambda event: (event.name, event.resource_name, event.event_id))
        parts = [timeline.ordered(part, at) for part in _groups_sharing_nothing(steps[at])]
        ordered += [step.event for step in heapq.merge(*parts, key=lambda step: step.rank)]
    return ordered


def _step(event: Event) -> _Step | None:
    kind, action = event.action
    linked = action in (ADD, REMOVE)
    if event.error_code or not event.resource_name or (linked and not event.related_name):
        return None
    role = (ROLE_TYPE, event.related_name.casefold()) if linked else _ANY_ROLE
    return _Step(event, action, (kind, event.resource_name.casefold()), role)


def _groups_sharing_nothing(steps: list[_Step]) -> list[list[_Step]]:
    root: dict[Key, Key] = {}

    def find(key: Key) -> Key:
        while root.setdefault(key, key) != key:
            root[key] = root[root[key]]
            key = root[key]
        return key

    for step in steps:
        for key in step.keys:
            root[find(key)] = find(step.key)
    parts: dict[Key, list[_Step]] = defaultdict(list)
    for step in sorted(steps, key=lambda step: step.rank):
        parts[find(step.key)].append(step)
    return list(parts.values())


class _State(msgspec.Struct):
    exists: dict[Key, bool] = msgspec.field(default_factory=dict)
    held: dict[Key, Key | None] = msgspec.field(default_factory=dict)

    def accepts(self, step: _Step, to_create: Counter[Key]) -> bool:
        key, held = step.key, self.held.get(step.key)
        if step.action == CREATE:
            return not self.exists[key] and key not in self.held.values()
        if step.action == DELETE:
            return self.exists[key] and held is None and key not in self.held.values()
        if step.action == REMOVE:
            return held in (step.role, _ANY_ROLE)
        # A resource that is recreated within one second is set up after its creation, which is still to come.
        if any(not self.exists[one] or to_create[one] for one in step.keys):
            return False
        return step.action == CHANGE or held is None

    def after(self, step: _Step) -> _State:
        state = _State(dict(self.exists), dict(self.held))
        state.add(step)
        return state

    def add(self, step: _Step) -> None:
        for key in step.keys:
            self.exists[key] = step.action != DELETE
        if step.action != CHANGE:
            self.held[step.key] = step.role if step.action == ADD else None


class _Timeline:
    def __init__(self, steps: Mapping[datetime, list[_Step]], created: Mapping[Key, datetime]) -> None:
        uses: _Changes = defaultdict(lambda: defaultdict(list))
        links: _Changes = defaultdict(lambda: defaultdict(list))
        balances: dict[tuple[Key, datetime], Counter[Key]] = defaultdict(Counter)
        for at, step in ((at, step) for at, of_second in steps.items() for step in of_second):
            for key in step.keys:
                uses[key][at].append({CREATE: 1, DELETE: -1}.get(step.action, 0))
            if step.role is not _ANY_ROLE:
                change = 1 if step.action == ADD else -1
                links[step.key][at].append(change)
                balances[step.key, at][step.role] += change
        for (key, at), balance in balances.items():
            if {1, -1} <= {*balance.values()}:
                # After an exchange, the profile holds another role, but it held a role before, too.
                links[key][at] = [0]
        self.exists = _beginnings(uses, created)
        self.linked = _beginnings(links, {})
        # The state after the seconds that are in order.
        self.last = _State()

    def ordered(self, part: list[_Step], at: datetime) -> list[_Step]:
        """Put events with the same time into an order that IAM allows, if iamframe finds one.

        Call this method once per group of events, the earliest group first.
        """
        if len(part) > 1:
            keys = sorted({key for step in part for key in step.keys})
            state = _State(
                {key: self.last.exists.get(key, self.exists[key, at]) for key in keys},
                {key: self._held(key, at) for key in keys if key[0] == PROFILE_TYPE},
            )
            part = _accepted_order(part, _likely_first(state, part)) or part
        for step in part:
            self.last.add(step)
        return part

    def _held(self, key: Key, at: datetime) -> Key | None:
        if key in self.last.held:
            return self.last.held[key]
        return _ANY_ROLE if self.exists[key, at] and self.linked.get((key, at)) else None


# Per resource and second: 1 for each creation or link, -1 for each deletion or unlinking, 0 for any other use.
_Changes = defaultdict[Key, defaultdict[datetime, list[int]]]


def _beginnings(changes: _Changes, created: Mapping[Key, datetime]) -> dict[tuple[Key, datetime], bool]:
    """For each second with events of a resource or link, return whether it existed just before that second."""
    beginnings = {}
    for key, seconds in changes.items():
        first: dict[datetime, bool | None] = {}
        exists: bool | None = None
        for at, own in seconds.items():
            total = sum(own)
            # A resource is deleted before it is created again. A second with as many creations as deletions does
            # not show whether the resource existed before: then earlier events count, or else later ones.
            if total or not any(own):
                exists = total <= 0
            first[at] = exists
            exists = total > 0 if total else exists
        later: bool | None = None
        for at in reversed(first):
            exists = first[at]
            if exists is None:
                # If no event decides, a resource that was created in this second replaced an older one.
                exists = at == created.get(key) if later is None else later
            else:
                later = exists
            beginnings[key, at] = exists
    return beginnings


def _likely_first(state: _State, part: list[_Step]) -> Iterator[_State]:
    """Yield states that the resources may have had before the steps in `part`, the most likely state first.

    The next states differ from the most likely state in one resource, then in two resources, and so on.
    """
    removed: dict[Key, dict[Key, None]] = defaultdict(dict)
    for step in part:
        if step.action == REMOVE:
            removed[step.key][step.role] = None
    possible: dict[Key, list[tuple[bool, Key | None]]] = {}
    for key, exists in state.exists.items():
        if key not in state.held:
            possible[key] = [(exists, None), (not exists, None)]
            continue
        linked: list[tuple[bool, Key | None]] = [(True, role) for role in removed[key] or (_ANY_ROLE,)]
        # A role that was linked before the records begin is one of the roles that are removed.
        guess = linked[:1] if state.held[key] is _ANY_ROLE else [(exists, state.held[key])]
        possible[key] = list(dict.fromkeys([*guess, *linked, (True, None), (False, None)]))
    for count in range(len(possible) + 1):
        for keys in combinations(possible, count):
            for chosen in product(*(possible[key][1:] if key in keys else possible[key][:1] for key in possible)):
                new = dict(zip(possible, chosen, strict=True))
                yield _State({key: new[key][0] for key in new}, {key: new[key][1] for key in state.held})


def _accepted_order(part: list[_Step], states: Iterable[_State]) -> list[_Step] | None:
    if len(part) > _MAX_EVENTS:
        return None
    every, to_create = tuple(range(len(part))), Counter(step.key for step in part if step.action == CREATE)
    count = 0
    for state in islice(states, _MAX_STATES):
        # The remaining steps determine which steps were done, and so the state.
        dead_ends: set[tuple[int, ...]] = set()
        found = _rest_in_order(part, every, state, to_create, dead_ends, _MAX_DEAD_ENDS - count)
        count += len(dead_ends)
        if found is not None or count > _MAX_DEAD_ENDS:
            return found
    return None


def _rest_in_order(
    part: list[_Step],
    left: tuple[int, ...],
    state: _State,
    to_create: Counter[Key],
    dead_ends: set[tuple[int, ...]],
    limit: int,
) -> list[_Step] | None:
    if not left:
        return []
    if left in dead_ends or len(dead_ends) > limit:
        return None
    tried = set()
    for place, number in enumerate(left):
        step = part[number]
        # Steps that differ only by their event id lead to the same state.
        alike = (step.action, step.key, step.role)
        if alike in tried or not state.accepts(step, to_create):
            continue
        tried.add(alike)
        still = to_create - Counter([step.key]) if step.action == CREATE else to_create
        rest = _rest_in_order(part, left[:place] + left[place + 1 :], state.after(step), still, dead_ends, limit)
        if rest is not None:
            return [step, *rest]
        if step.action == CHANGE:
            # A change never blocks another step, so no other step in its place would help.
            break
    dead_ends.add(left)
    return None


def _known(
    events: Mapping[str, Iterable[Event]], roles: pa.Table, profiles: pa.Table
) -> Mapping[str, dict[Key, _Known]]:
    named = (name for each in events.values() for event in each for name in (event.resource_name, event.related_name))
    names = pa.array({name.casefold() for name in named}, pa.string())
    known: dict[str, dict[Key, _Known]] = defaultdict(dict)
    for side, kind, table in (("role", ROLE_TYPE, roles), ("profile", PROFILE_TYPE, profiles)):
        is_named = pc.is_in(pc.utf8_lower(table[f"{side}_name"]), value_set=names)
        found = table.filter(pc.and_(is_named, pc.is_valid(table["created_at"])))
        columns = ("account_id", f"{side}_name", f"{side}_arn", f"{side}_id", "created_at")
        for account, name, *facts in zip(*(found[column].to_pylist() for column in columns), strict=True):
            known[account][kind, name.casefold()] = _Known(*facts)
    return known


# An ARN and a unique id.
_Identity = tuple[str | None, str | None]


def _identified(ordered: Iterable[Event], known: Mapping[Key, _Known]) -> Iterator[tuple[Event, _Identity, _Identity]]:
    current: dict[Key, _Identity] = {}
    deleted: dict[Key, datetime] = {}

    def identity(key: Key, at: datetime) -> _Identity:
        if key in current:
            return current[key]
        # No event shows the creation, so the inventory is searched by name.
        one = known.get(key)
        if one is None or not deleted.get(key, one.created_at) <= one.created_at <= at:
            return None, None
        return one.arn, one.id

    for event in ordered:
        kind, action = event.action
        key = (kind, event.resource_name.casefold())
        succeeded = not event.error_code
        if succeeded and action == CREATE:
            current[key] = (event.resource_arn or None, event.resource_id or None)
        related = (ROLE_TYPE, event.related_name.casefold())
        yield event, identity(key, event.at), identity(related, event.at) if event.related_name else (None, None)
        if succeeded and action == DELETE:
            current.pop(key, None)
            deleted[key] = event.at
