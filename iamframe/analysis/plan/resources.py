"""The profiles and roles in a clean-up plan, and reasons not to change them."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import msgspec
import pandas as pd
import pyarrow as pa

from iamframe.analysis.plan.reads import SERVICES, first_operation
from iamframe.checks import CHECKS
from iamframe.checks.findings import finding_ids
from iamframe.checks.registry import Remedy
from iamframe.checks.result import Result
from iamframe.checks.tag_policy import Accepted, Demand, any_text, demands
from iamframe.errors import PlanError
from iamframe.inventory.arrow import index_in, is_in
from iamframe.inventory.linking import without_path
from iamframe.inventory.views import LIVING, owned_profiles
from iamframe.knowledge.arn import PROFILE_TYPE, ROLE_TYPE, name_of
from iamframe.knowledge.makers import PAIR, Maker, known_makers, own_tag
from iamframe.knowledge.operations import INSTANCES, label
from iamframe.knowledge.owners import Owner, known_owners, owner_of
from iamframe.messages.render import Message, nested

# Account ids, names, paths and unique ids in IAM's form (API Reference, data types). Values in other forms were masked,
# shortened or invented, and a command with such a value could change another resource.
_ARN = re.compile(r"arn:aws[a-z0-9-]*:iam::(?P<account>\d{12}):instance-profile/(?:[!-~]+/)?[\w+=,.@-]+", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9]{16,128}")
_REGION = re.compile(r"[a-z0-9-]+")
# The check whose findings show that the owner no longer needs the profile.
(OWNER_GONE,) = (name for name, one in CHECKS.items() if "owned_profiles" in one.reads)


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    kind: ClassVar[str]
    account_id: str
    arn: str
    name: str
    path: str
    id: str
    created_at: datetime | None
    # None if the tags were not collected.
    tags: dict[str, str] | None

    @property
    def own_tags(self) -> dict[str, str]:
        return {key: value for key, value in (self.tags or {}).items() if not key.lower().startswith("aws:")}

    @property
    def collected(self) -> Message:
        facts = {"kind": self.kind, "name": self.name, "id": self.id, "tags": len(self.tags or {})}
        return {"message": "plan.rests_on.resource", **facts}

    @property
    def state(self) -> str:
        """The JSON text that the resource's query in `STATE_QUERIES` returns if nothing changed since the load."""
        held = [[role.id for role in self.roles if role]] if isinstance(self, ProfileFacts) else []
        return json.dumps([self.id, *held, sorted((self.tags or {}).items())], separators=(",", ":"))


class RoleFacts(Resource, frozen=True, kw_only=True):
    kind: ClassVar[str] = ROLE_TYPE
    # The number of profiles that hold the role.
    holders: int
    trusts_ec2: str
    is_aws_managed: bool
    last_used_at: datetime | None
    last_used_known: bool


class GoneOwner(msgspec.Struct, frozen=True):
    owner: Owner
    names: tuple[str, ...]
    # The regions that were searched for the owner.
    regions: tuple[str, ...]

    @property
    def facts(self) -> dict[str, Any]:
        kind: Message = {"message": f"plan.owner.{self.owner.owner_type}"}
        return {"owner": kind, "name": self.names[-1], "regions": list(self.regions)}


class ProfileFacts(Resource, frozen=True, kw_only=True):
    kind: ClassVar[str] = PROFILE_TYPE
    # None stands for a role that was not collected.
    roles: tuple[RoleFacts | None, ...]
    # The tool that created the profile, but only if this tool affects the plan.
    maker: Maker | None
    maker_basis: str | None
    # About one reference to the profile.
    user: Message | None
    # The profile's cluster, environment or stack, if this resource was certainly deleted.
    gone: GoneOwner | None
    # About a cluster, environment or stack that still exists.
    living: Message | None

    def needs(self, key: str) -> bool:
        # A deleted cluster or stack no longer needs its tags.
        return self.gone is None or not self.gone.owner.lifted(key, self.gone.names)

    @property
    def role(self) -> RoleFacts | None:
        return self.roles[0] if self.roles else None


class AccountFacts(msgspec.Struct, frozen=True):
    account_id: str
    captured_at: datetime | None
    # The regions in which instances were collected.
    regions: list[str]
    # The regions in which references were collected, by service.
    reads: dict[str, list[str]]
    is_complete: bool
    # Why references are incomplete.
    reason: Message

    @property
    def collected(self) -> Message:
        if self.captured_at is None:
            return {"message": "plan.rests_on.collected"}
        return {"message": "plan.rests_on.collected_at", "time": stamp(self.captured_at)}


class Finding(NamedTuple):
    # The position among the findings that the plan considers.
    row: int
    check: str
    resource_arn: str
    detail: str
    certainty: str
    expected: bool
    # NaN without a value.
    accepted: str | float
    maker: str | float

    @property
    def remedy(self) -> Remedy | None:
        return CHECKS[self.check].remedy

    @property
    def why_kept(self) -> Message | None:
        if isinstance(self.accepted, str):
            return {"message": "plan.accepted", "reason": self.accepted}
        return {"message": "plan.expected", "maker": self.maker} if self.expected else None


class Context:
    def __init__(self, result: Result, min_age: timedelta, min_idle: timedelta, now: datetime) -> None:
        self.result, self.inventory, self.now = result, result.inventory, now
        self.min_age, self.min_idle = min_age, min_idle

    @cached_property
    def accounts(self) -> dict[str, AccountFacts]:
        calls = self.inventory.calls
        complete = calls[(calls["state"] == "complete") & (calls["requests"] > 0)]
        regions: dict[tuple[str, str], set[str]] = defaultdict(set)
        for account, operation, region in complete[["account_id", "operation", "region"]].itertuples(index=False):
            if _REGION.fullmatch(region):
                regions[account, operation].add(region)
        # The first operation that reads each kind of consumer, by service.
        first = {name: [label(name, first_operation(one)) for one in consumers] for name, consumers in SERVICES.items()}
        accounts = {}
        lists = self.result.lists.to_dict("records")
        for captured_at, row in zip(self.inventory.accounts["captured_at"], lists, strict=True):
            account, message = row["account_id"], row["references_message"]
            accounts[account] = AccountFacts(
                account_id=account,
                captured_at=None if pd.isna(captured_at) else captured_at,
                regions=sorted(regions[account, INSTANCES]),
                reads={name: sorted(set().union(*(regions[account, one] for one in first[name]))) for name in first},
                is_complete=row["references_status"] == "complete",
                reason=nested(message, row["references_facts"]) if message else {"message": "plan.no_region"},
            )
        return accounts

    @cached_property
    def _demands(self) -> dict[tuple[str | None, str], list[Demand]]:
        found: dict[tuple[str | None, str], list[Demand]] = defaultdict(list)
        for one in demands(self.result.policy, self.inventory.tag_policies):
            found[one.account_id, one.kind].append(one)
        return found

    def demanded(self, profile: ProfileFacts) -> list[Demand]:
        return [one for account in (None, profile.account_id) for one in self._demands.get((account, profile.kind), ())]

    def profiles(self, arns: Iterable[str]) -> dict[str, ProfileFacts]:
        pairs = self.result.pairs
        pairs = pairs[is_in(pairs["profile_arn"], pd.Series(sorted(set(arns)), dtype="str"))]
        holders = self.inventory.links["role_arn"].value_counts()
        roles = {
            row["arn"]: RoleFacts(**row, holders=int(holders[row["arn"]]))
            for row in self._collected(RoleFacts, self.inventory.roles, pairs["role_arn"])
        }
        held: dict[str, list[RoleFacts | None]] = defaultdict(list)
        every = (*self.result.policy.makers, *known_makers())
        by_name = {one.name: one for one in reversed(every) if one.wants_back or one.note}
        makers: dict[str, dict[str, Any]] = {}
        columns = ["profile_arn", "role_arn", "role_known", "maker", "maker_basis"]
        for arn, role, is_known, maker, basis in pairs[columns].itertuples(index=False):
            held[arn] += [roles.get(role)] if isinstance(role, str) else [] if is_known else [None]
            makers[arn] = {"maker": by_name.get(maker), "maker_basis": basis}
        living = _living_owners(owned_profiles(self.inventory))
        users = _users(self.inventory.references, pairs["profile_arn"].drop_duplicates())
        profiles = {}
        for row in self._collected(ProfileFacts, self.inventory.profiles, pairs["profile_arn"]):
            arn, gone = row["arn"], self._gone_owner(row)
            profiles[arn] = ProfileFacts(
                **row, **makers[arn], roles=tuple(held[arn]), user=users.get(arn), gone=gone, living=living.get(arn)
            )
        return profiles

    @cached_property
    def _gone_owners_by_arn(self) -> dict[str, tuple[str, str, str]]:
        if (found := self.result.found.get(OWNER_GONE)) is None or found.findings.empty:
            return {}
        facts = found.findings.join(found.facts.set_index("finding"))
        chosen = facts[(facts["certainty"] == "certain") & facts["accepted"].isna()]
        values = chosen[["owner_type", "owner_name", "regions"]].itertuples(index=False, name=None)
        return dict(zip(chosen["resource_arn"], values, strict=True))

    def _gone_owner(self, profile: Mapping[str, Any]) -> GoneOwner | None:
        if profile["arn"] not in self._gone_owners_by_arn:
            return None
        kind, name, regions = self._gone_owners_by_arn[profile["arn"]]
        (owner,) = (one for one in known_owners() if one.owner_type == kind)
        shown = owner_of(profile["name"], profile["path"], profile["tags"] or {})
        names = dict.fromkeys([*(shown.names if shown and shown.owner is owner else ()), name])
        return GoneOwner(owner, tuple(names), tuple(filter(_REGION.fullmatch, regions.split())))

    def _collected(self, kind: type[Resource], frame: pd.DataFrame, arns: pd.Series) -> Iterator[dict[str, Any]]:
        side = "profile_" if kind is ProfileFacts else "role_"
        rows = frame[is_in(frame[f"{side}arn"], arns)].rename(columns=lambda name: name.removeprefix(side))
        tags: dict[str, dict[str, str]] = defaultdict(dict)
        own_tags = self.inventory.tags[is_in(self.inventory.tags["resource_arn"], rows["arn"])]
        for arn, key, value in own_tags[["resource_arn", "tag_key", "tag_value"]].itertuples(index=False):
            tags[arn][key] = value
        names = [name for name in kind.__struct_fields__ if name in rows]
        for row in rows.fillna({"name": "", "path": "", "id": ""}).to_dict("records"):
            values = {name: None if row[name] is pd.NaT else row[name] for name in names}
            yield values | {"tags": tags[row["arn"]] if row["tags_known"] else None}

    @cached_property
    def _acceptances(self) -> list[Accepted]:
        deleting = {name for name, one in CHECKS.items() if one.remedy == "delete"}
        return [one for one in self.result.policy.acceptances if one.check in deleting and not one.has_expired]

    @cached_property
    def _judged(self) -> set[tuple[str, str]]:
        rows = self.result.coverage[self.result.coverage["status"] == "complete"]
        return set(zip(rows["account_id"], rows["check"], strict=True))

    def accepted(self, profile: ProfileFacts) -> Message | None:
        """If the policy file accepts the profile, even for a check that found nothing there, return the reason."""
        related = [None, *(role.arn for role in profile.roles if role)]
        for one in self._acceptances:
            # An entry for all profiles is about a profile only if the check could have found it.
            is_for_all = one.resource_arn == "*" and (profile.account_id, one.check) in self._judged
            if is_for_all or not re.search(any_text(one.resource_arn), profile.arn):
                continue
            arns = {"account_id": profile.account_id, "resource_arn": profile.arn}
            columns = {name: pa.array([value] * len(related)) for name, value in (("check", one.check), *arns.items())}
            columns["related_arn"] = pa.array(related, pa.string())
            table = pa.table(
                columns | {"finding_id": finding_ids(columns | {"resource_name": columns["resource_arn"]})}
            )
            if any(one.matches(table).to_pylist()):
                return {"message": "plan.accepted_too", "check": one.check, "reason": one.reason}
        return None

    def objections(self, profile: ProfileFacts, step: str) -> Iterator[Message]:
        form = _ARN.fullmatch(profile.arn)
        if not form or form["account"] != profile.account_id or name_of(profile.arn) != profile.name:
            yield {"message": "plan.arn"}
        if not _ID.fullmatch(profile.id):
            yield {"message": "plan.id"}
        if not all(role and _ID.fullmatch(role.id) for role in profile.roles):
            yield {"message": "plan.role_id"}
        if len(profile.roles) > 1:
            yield {"message": "plan.several_roles"}
        yield from _wanted_back(profile, step)
        if self.min_age <= timedelta(0):
            return
        if profile.created_at is None:
            yield {"message": "plan.age_unknown"}
        elif self._until_collected(profile, profile.created_at) < self.min_age:
            age = _age(self.min_age)
            yield {"message": "plan.too_young", "created_at": stamp(profile.created_at), "age": age}

    def used_lately(self, role: RoleFacts) -> Iterator[Message]:
        used = role.last_used_at
        if self.min_idle <= timedelta(0):
            return
        if not role.last_used_known:
            yield {"message": "plan.last_use_unknown", "role": role.name}
        elif used is not None and self._until_collected(role, used) < self.min_idle:
            yield {"message": "plan.role_used", "role": role.name, "used_at": day(used), "age": _age(self.min_idle)}

    def _until_collected(self, resource: Resource, time: datetime) -> timedelta:
        return (self.accounts[resource.account_id].captured_at or self.now) - time


def _users(references: pd.DataFrame, arns: pd.Series) -> dict[str, Message]:
    exact = references[is_in(references["profile_arn"], arns)]
    unknown = references[references["profile_arn"].isna()]
    # AWS may resolve a reference with a different path to the profile.
    where = index_in(without_path(unknown["named"]), without_path(arns))
    elsewhere = unknown[where >= 0].assign(profile_arn=arns.iloc[where[where >= 0]].array)
    found: dict[str, Message] = {}
    for message, rows in (("plan.used_elsewhere", elsewhere), ("plan.used", exact)):
        first = rows.drop_duplicates("profile_arn")
        facts = first[["consumer_type", "consumer_id", "region", "named"]].to_dict("records")
        found |= {arn: {"message": message, **one} for arn, one in zip(first["profile_arn"], facts, strict=True)}
    return found


def _living_owners(owned: pd.DataFrame) -> dict[str, Message]:
    rows = owned[owned["status"] == LIVING]
    return {
        arn: {"message": "plan.owner_lives", "owner": {"message": f"plan.owner.{kind}"}, "name": name}
        for arn, kind, name in zip(rows["profile_arn"], rows["owner_type"], rows["owner_name"], strict=True)
    }


def _wanted_back(profile: ProfileFacts, step: str) -> Iterator[Message]:
    lifted = profile.gone.owner.lifts if profile.gone else ()
    maker = profile.maker if profile.maker and profile.maker.wants_back and profile.maker.name not in lifted else None
    if maker and profile.maker_basis == PAIR:
        yield {"message": "plan.by_names", "step": step, "maker": maker.name}
    if profile.tags is None:
        yield {"message": "plan.tags_unknown"}
    for key in profile.tags or ():
        owner = own_tag(key)
        if owner and owner.wants_back and profile.needs(key):
            yield {"message": "plan.by_tag", "step": step, "key": key, "maker": owner.maker}
    # A guessed tool speaks against deletion, but not against tagging.
    if maker and step == "delete":
        yield {"message": "plan.guess", "maker": maker.name}


def needed_tags(keys: Iterable[str], step: str) -> Iterator[Message]:
    for key in keys:
        if owner := own_tag(key):
            yield {"message": "plan.needed_tag", "step": step, "key": key, "maker": owner.maker}


def stamp(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(time: datetime) -> str:
    return stamp(time)[:10]


def read_age(value: timedelta | str, option: str = "") -> timedelta:
    """Parse an age in days or hours, such as `1d`, `12h` or `0`.

    Raises
    ------
    PlanError
        If the age cannot be parsed or is below zero.
    """
    age: timedelta | str | None = value
    if isinstance(value, str):
        number, unit = (value[:-1], value[-1]) if value[-1:] in ("d", "h") else (value, "d")
        try:
            age = timedelta(days=float(number)) if unit == "d" else timedelta(hours=float(number))
        except (ValueError, OverflowError):
            age = None
    if not isinstance(age, timedelta) or age < timedelta(0):
        raise PlanError(f"{option}{value!r} is no age; give days or hours, such as 1d, 12h or 0")
    return age


def _age(age: timedelta) -> Message:
    for unit in ("day", "hour"):
        n, rest = divmod(age, timedelta(**{f"{unit}s": 1}))
        if not rest:
            return {"message": "plan.age", "unit": unit, "n": n}
    return {"message": "plan.age", "unit": "minute", "n": -(-age // timedelta(minutes=1))}
