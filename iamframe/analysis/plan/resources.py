"""The roles and profiles that a clean-up is about, as they were read, and what forbids to touch one."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import pandas as pd

from iamframe.analysis.plan.reads import ASKED, asked_first
from iamframe.checks.result import Result
from iamframe.errors import PlanError
from iamframe.inventory.arrow import index_in, is_in
from iamframe.knowledge.arn import PROFILE_TYPE, ROLE_TYPE, name_of
from iamframe.knowledge.makers import GUESS, Maker, known_makers, own_tag
from iamframe.knowledge.operations import INSTANCES

# Account ids, names, paths and unique ids as IAM has them (API Reference, data types). What is of another form was
# masked, shortened or made up, and a command that carries it would be about something else.
_ARN = re.compile(
    r"arn:aws[a-z0-9-]*:iam::(?P<account>\d{12}):(?:role|instance-profile)/(?:[!-~]+/)?[\w+=,.@-]+", re.ASCII
)
_ID = re.compile(r"[A-Za-z0-9]{16,128}")
_REGION = re.compile(r"[a-z0-9-]+")
# Columns of `roles` and `profiles`, each behind the name of its side.
_TEXTS = ("arn", "name", "path", "id")


@dataclass(frozen=True, slots=True)
class Resource:
    """One role or profile, as it was read.

    `tags` is None where they were not read; `roles` are the ids of the roles in a profile; `maker` is the name of who
    made it, or its pair; `untaggable` says that its maker cannot tag it, so that its lack of tags is meant so.
    """

    kind: str
    account_id: str
    arn: str
    name: str
    path: str
    id: str
    created_at: datetime | None
    tags: dict[str, str] | None
    roles: tuple[str, ...] | None = ()
    maker: str | None = None
    maker_is_sure: bool = False
    managed: bool = False
    untaggable: bool = False
    # Of a role alone.
    last_used_at: datetime | None = None
    last_used_known: bool = False

    @property
    def own_tags(self) -> dict[str, str]:
        """Its tags but for those that AWS reserves."""
        return {key: value for key, value in (self.tags or {}).items() if not key.lower().startswith("aws:")}

    @property
    def state(self) -> str:
        """What the guard of a script must read: id, ids of the roles of a profile, tags, as compact JSON in ASCII."""
        tags = sorted((self.tags or {}).items())
        return json.dumps([self.id, *([self.roles] if self.kind == PROFILE_TYPE else []), tags], separators=(",", ":"))

    @property
    def last_use(self) -> str:
        """When a role was last used, in words; AWS remembers 400 days (IAM API Reference, RoleLastUsed)."""
        if not self.last_used_known:
            return "when it was last used was not read"
        used = self.last_used_at
        return f"last used {used.astimezone(UTC):%Y-%m-%d}" if used else "not used in 400 days"

    @property
    def said(self) -> str:
        """What it is called in a sentence."""
        return f"the {'role' if self.kind == ROLE_TYPE else 'profile'} {self.name}"


@dataclass(frozen=True)
class AccountFacts:
    """What was read of an account, and when."""

    account_id: str
    captured_at: datetime | None
    regions: tuple[str, ...]
    references_status: str
    references_reason: str
    # By service, the regions in which it was asked what names profiles; elsewhere it has no endpoint.
    reads: dict[str, tuple[str, ...]]

    @property
    def read(self) -> str:
        """When it was read, in words."""
        return f"read {stamp(self.captured_at)}" if self.captured_at else "read at a time that its files do not say"


def stamp(time: datetime) -> str:
    """Return a time as people and sorters read it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(value: pd.Timestamp) -> datetime | None:
    return None if pd.isna(value) else value.to_pydatetime()


class Facts:
    """What a result says of the resources that a clean-up is about."""

    def __init__(self, result: Result, min_age: timedelta, min_idle: timedelta, now: datetime) -> None:
        self.result, self.inventory, self.now = result, result.inventory, now
        self.min_age, self.min_idle = min_age, min_idle

    @cached_property
    def accounts(self) -> dict[str, AccountFacts]:
        """The accounts, by id."""
        calls, lists = self.inventory.calls, self.result.lists
        asked = calls[(calls["state"] == "complete") & (calls["requests"] > 0)]
        where: dict[tuple[str, str], set[str]] = defaultdict(set)
        for account, operation, region in zip(asked["account_id"], asked["operation"], asked["region"], strict=True):
            if _REGION.fullmatch(region):
                where[account, operation].add(region)
        asked_of: dict[str, set[str]] = defaultdict(set)
        for one in ASKED:
            asked_of[one.service].add(asked_first(one))
        captured = map(_time, self.inventory.accounts["captured_at"])
        return {
            account: AccountFacts(
                account,
                time,
                tuple(sorted(where[account, INSTANCES])),
                status,
                reason,
                {
                    service: tuple(sorted(set().union(*(where[account, name] for name in names))))
                    for service, names in asked_of.items()
                },
            )
            for account, time, status, reason in zip(
                self.inventory.accounts["account_id"],
                captured,
                lists["references_status"],
                lists["references_reason"],
                strict=True,
            )
        }

    def resources(self, arns: Iterable[str]) -> dict[str, Resource]:
        """Return the roles and profiles of these ARNs, those that were shown, by ARN."""
        wanted = pd.Series(sorted(set(arns)), dtype="str")
        inventory, pairs = self.inventory, self.result.pairs
        tags = self._tags(wanted)
        untaggable = set(pairs["profile_arn"][pairs["untagged_expected"] & is_in(pairs["profile_arn"], wanted)])
        found = {}
        for kind, frame, side in ((ROLE_TYPE, inventory.roles, "role"), (PROFILE_TYPE, inventory.profiles, "profile")):
            rows = frame[is_in(frame[f"{side}_arn"], wanted)]
            rows = rows.rename(columns={f"{side}_{name}": name for name in _TEXTS}).fillna(dict.fromkeys(_TEXTS, ""))
            held = self._held(rows["arn"]) if kind == PROFILE_TYPE else {}
            for row in rows.to_dict("records"):
                arn = row["arn"]
                maker, is_sure = self._made_by.get(arn, (None, False))
                found[arn] = Resource(
                    kind=kind,
                    account_id=row["account_id"],
                    **{name: row[name] for name in _TEXTS},
                    created_at=_time(row["created_at"]),
                    tags=tags[arn] if row["tags_known"] else None,
                    roles=held.get(arn, ()),
                    maker=maker,
                    maker_is_sure=is_sure,
                    managed=bool(row.get("is_aws_managed", False)),
                    untaggable=arn in untaggable,
                    last_used_at=_time(row.get("last_used_at", pd.NaT)),
                    last_used_known=bool(row.get("last_used_known", False)),
                )
        return found

    def _tags(self, arns: pd.Series) -> dict[str, dict[str, str]]:
        tags: dict[str, dict[str, str]] = defaultdict(dict)
        mine = self.inventory.tags[is_in(self.inventory.tags["resource_arn"], arns)]
        for arn, key, value in zip(mine["resource_arn"], mine["tag_key"], mine["tag_value"], strict=True):
            tags[arn][key] = value
        return tags

    def _held(self, profiles: pd.Series) -> dict[str, tuple[str, ...] | None]:
        """Return the ids of the roles in profiles, None where one of them is unknown."""
        links, roles = self.inventory.links, self.inventory.roles
        links = links[is_in(links["profile_arn"], profiles)]
        where = index_in(links["role_arn"], roles["role_arn"])
        ids = roles["role_id"].fillna("").to_numpy()
        held: dict[str, list[str]] = defaultdict(list)
        for profile, row in zip(links["profile_arn"], where.tolist(), strict=True):
            held[profile].append(ids[row] if row >= 0 else "")
        return {profile: tuple(of) if all(map(_ID.fullmatch, of)) else None for profile, of in held.items()}

    @cached_property
    def makers(self) -> dict[str, Maker]:
        """The makers of which a plan takes notice, by name: what they made is wanted back, or there is a note on it."""
        every = (*self.result.policy.makers, *known_makers())
        return {one.name: one for one in reversed(every) if one.wants_back or one.note}

    @cached_property
    def _made_by(self) -> dict[str, tuple[str, bool]]:
        """Both sides of the pairs of such a maker: its name, and whether that is sure; who wants it back counts."""
        pairs = self.result.pairs
        pairs = pairs[pairs["maker"].isin(list(self.makers))]
        wanting = pairs["maker"].isin([name for name, one in self.makers.items() if one.wants_back])
        pairs = pd.concat([pairs[~wanting], pairs[wanting]])
        # What is sure comes last, and so counts.
        pairs = pd.concat([pairs[pairs["maker_basis"] == GUESS], pairs[pairs["maker_basis"] != GUESS]])
        sides = [pairs[[f"{side}_arn", "maker", "maker_basis"]].dropna().to_numpy() for side in ("role", "profile")]
        return {arn: (maker, basis != GUESS) for side in sides for arn, maker, basis in side}

    def unfit(self, resource: Resource, *, deleting: bool) -> str | None:
        """Return why a resource may not be deleted, or not be tagged; None where it may."""
        return next(filter(None, self._objections(resource, deleting)), None)

    def _objections(self, resource: Resource, deleting: bool) -> Iterator[str | None]:
        wants = "which will make it again or want it back"
        form = _ARN.fullmatch(resource.arn)
        if not form or form["account"] != resource.account_id or name_of(resource.arn) != resource.name:
            yield "its ARN is none that AWS gives, so that no command can be sure to be about it"
        if not _ID.fullmatch(resource.id):
            yield "its unique id is not known, so that one made anew under its name could not be told from it"
        if resource.roles is None:
            yield "the unique id of the role in it is not known, so that another one could not be told from it"
        elif len(resource.roles) > 1:
            yield "it shows more than one role, which no profile of AWS holds"
        if resource.managed:
            yield "AWS manages it"
        yield self._wanted_back(resource, deleting, wants) if resource.maker_is_sure else None
        if resource.tags is None:
            yield "its tags were not read, so that what a service knows it by, and what would be lost, is unknown"
        for key in resource.tags or ():
            owner = own_tag(key)
            if owner and owner.wants_back:
                says = f"its tag {key} says that {owner.maker}"
                yield f"{says} made it, {wants}" if deleting else f"{says} manages it"
        yield self._wanted_back(resource, deleting, wants)
        yield self._too_young(resource)

    def _wanted_back(self, resource: Resource, deleting: bool, wants: str) -> str | None:
        """Return that its maker wants a resource back; a guess keeps one from being deleted, and from nothing else."""
        if not resource.maker or not self.makers[resource.maker].wants_back:
            return None
        if not resource.maker_is_sure:
            return f"by its name it may be one of {resource.maker}, {wants}" if deleting else None
        if deleting:
            return f"its names and path are those of {resource.maker}, {wants}"
        return f"{resource.maker} manages it, as its names and path say"

    def _too_young(self, resource: Resource) -> str | None:
        if self.min_age <= timedelta(0):
            return None
        if resource.created_at is None:
            return "when it was made is not known, so that it may be in the making"
        if self._read_at(resource) - resource.created_at < self.min_age:
            return (
                f"it was made {stamp(resource.created_at)}, less than {age_in_words(self.min_age)} before it was read"
            )
        return None

    def _read_at(self, resource: Resource) -> datetime:
        account = self.accounts.get(resource.account_id)
        return (account and account.captured_at) or self.now

    def used_lately(self, role: Resource) -> str | None:
        """Return when a role was used, if that was less than `min_idle` before it was read."""
        used = role.last_used_at
        if self.min_idle <= timedelta(0) or used is None or self._read_at(role) - used >= self.min_idle:
            return None
        return f"last used {used.astimezone(UTC):%Y-%m-%d}, less than {age_in_words(self.min_idle)} before it was read"


def read_age(value: timedelta | str, of: str = "") -> timedelta:
    """Return an age that is given as such, or as text: days or hours, such as 1d, 12h or 0.

    Raises
    ------
    PlanError
        If it is none, or below zero; the sentence begins with `of`.
    """
    age = _parsed_age(value) if isinstance(value, str) else value
    if not isinstance(age, timedelta) or age < timedelta(0):
        raise PlanError(f"{of}{value!r} is no age; give days or hours, such as 1d, 12h or 0")
    return age


def _parsed_age(text: str) -> timedelta | None:
    number, unit = (text[:-1], text[-1]) if text[-1:] in ("d", "h") else (text, "d")
    try:
        return timedelta(days=float(number)) if unit == "d" else timedelta(hours=float(number))
    except (ValueError, OverflowError):
        return None


def age_in_words(age: timedelta) -> str:
    """Return an age in words."""
    hours = age / timedelta(hours=1)
    number, unit = (hours / 24, "day") if hours >= 24 and hours % 24 == 0 else (hours, "hour")
    return f"{number:g} {unit}{'' if number == 1 else 's'}"
