"""Read the roles, instance profiles and quotas of one live account.

GetAccountAuthorizationDetails (the "dump") returns the roles, with their tags, last use and profiles.
ListInstanceProfiles returns the profiles, but not their tags (IAM API Reference, ListInstanceProfiles).
GetInstanceProfile returns one profile with its tags and its role.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from iamframe.errors import SourceError
from iamframe.knowledge.arn import account_of, name_of, partition_of, path_of
from iamframe.knowledge.operations import (
    BY_LABEL,
    DUMP,
    IDENTITY,
    INSTANCES,
    PROFILE_LIST,
    REQUIRED_TAGS,
    ROLE_LINKS,
    TAG_POLICY,
    label,
)
from iamframe.knowledge.owners import known_owners, owners_of
from iamframe.sources.calls import Calls, Listing, ResourceAnswer
from iamframe.sources.client import Client
from iamframe.sources.consumers import CONSUMERS
from iamframe.sources.progress import Progress, silent
from iamframe.sources.records import (
    Account,
    Answer,
    GotProfile,
    LoadPlan,
    Reference,
    RoleDetail,
    Tag,
    account_of_summary,
    make_decoders,
    parsed_time,
    time_text,
)
from iamframe.sources.refusals import NotCalled, RequestFailed, failure_of
from iamframe.sources.regions import OwnerReader, ReferenceReader
from iamframe.sources.sessions import refused
from iamframe.sources.tag_policies import NO_POLICY, EffectivePolicy, demands_in, required_in

# The region in which the tag index has IAM's resources. In other regions it answers with an empty list (measured by
# others, see Cloud Custodian's get_resource_tagging_region; AWS's documentation does not say). There is no measurement
# for China, so both of its regions are queried.
_HOMES = {
    "aws": ("us-east-1",),
    "aws-us-gov": ("us-gov-west-1",),
    "aws-cn": ("cn-north-1", "cn-northwest-1"),
    "aws-eusc": ("eusc-de-east-1",),
}
# The operations that show the use of profiles, and those that list clusters, environments and stacks.
_USES = "uses"
_CONSUMING = {name for one in CONSUMERS for name in (one.operation, label(one.service, one.operation))}
_OWNERS = [one.label for one in known_owners()]
# The operations that answer about a single role or profile.
_SINGLE = ("GetInstanceProfile", "GetRole", "ListInstanceProfileTags", "ListRoleTags")


@dataclass
class AccountReader:
    client: Client
    plan: LoadPlan
    source: str
    name: str | None = None
    expected: str | None = None
    progress: Progress = silent

    def answers(self) -> list[Answer]:
        """Raise `RequestFailed` if GetCallerIdentity fails, unless a policy such as a VPC endpoint policy denies it.

        Raise `SourceError` if GetCallerIdentity returns an account other than `expected`.
        """
        self._calls = Calls(self.client, self.source, self.progress)
        self._profiles = _Profiles(self._calls)
        caller_arn = self._identify()
        pool = self._calls.pool
        try:
            answers = list(self._read_all(caller_arn))
        except BaseException as error:
            # A load that fails waits neither for the requests in flight nor for those in the queue.
            self.client.end(for_all=not isinstance(error, Exception))
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown(wait=not self.client.ended.is_set(), cancel_futures=True)
        # An operation that was never called has no answer.
        return [answer for answer in answers if answer.tally is not None or answer.operation in ("", "denied")]

    def _identify(self) -> str | None:
        calls, client = self._calls, self.client
        try:
            identity = client.identity()
        except RequestFailed as refusal:
            # GetCallerIdentity needs no permission, but a service control policy can deny it.
            if refusal.code not in ("AccessDenied", "AccessDeniedException") or refusal.operation != IDENTITY:
                raise
            calls.note_refused(IDENTITY, refusal)
            calls.partition = client.session.get_partition_for_region(client.region)
            calls.account_id = client.account_id = self.expected
            return None
        calls.account_id = client.account_id = identity.account
        calls.partition = partition_of(identity.arn) or "aws"
        if self.expected not in (None, identity.account):
            facts = {"account": identity.account, "expected": self.expected}
            raise refused(SourceError, self.source, "access.wrong_account", **facts)
        return identity.arn

    def _read_all(self, caller_arn: str | None) -> Iterator[Answer]:
        # Calls that do not depend on other answers start at once.
        calls, profiles, references = self._calls, self._profiles, ReferenceReader(self._calls, self.plan)
        dumping = calls.pool.submit(calls.listing, DUMP)
        listing_roles = calls.pool.submit(calls.listing, "ListRoles") if self.plan.role_details else None
        summary = calls.pool.submit(calls.one, "GetAccountSummary")
        aliases = calls.pool.submit(calls.one, "ListAccountAliases")
        # A load without references makes no request that it can do without.
        demands = calls.pool.submit(_read_tag_policy, calls) if self.plan.references != "none" else None
        regions = calls.pool.submit(references.regions)
        homes = _HOMES.get(calls.partition, (self.client.region,)) if self.plan.tag_index else ()
        yield from profiles.start(homes)
        scope = regions.result()
        consumers = references.start(scope)
        dump = dumping.result()
        arns = (*profiles.arns, *(role.role_arn for role in dump.records[:1]))
        calls.account_id = calls.account_id or next(map(account_of, arns), None)
        if profiles.listed.state != "complete":
            profiles.ask(sorted((_profiles_of(dump) | profiles.indexed.keys()) - profiles.arns))
        profiles.wait()
        owners = OwnerReader(calls, self.plan, scope)
        listing_owners = owners.start(profiles.tags_by_arn())
        referring = list(references.answers(consumers))
        if profiles.is_outdated(referring):
            profiles.list_again()
        profiles.note_newer()
        roles = listing_roles.result() if listing_roles else None
        if dump.state == "complete":
            # The dump shows all roles.
            for gap in calls.gaps:
                if gap.operation == "ListRoles" and gap.message == "gaps.refused":
                    gap.facts["cost"] = {"message": "gaps.cost.descriptions"}
        else:
            roles = roles or calls.listing("ListRoles")
        single, links = self._roles_one_by_one(dump, roles)
        yield from self._iam(caller_arn, dump, roles, [*profiles.found, *single], links)
        yield from self._account(summary.result(), aliases.result())
        yield from referring
        yield from demands.result() if demands else ()
        yield from owners.answers(listing_owners)
        references.note_not_wanted()
        yield calls.answer("denied", Listing(list(calls.gaps)))

    def _roles_one_by_one(self, dump: Listing, roles: Listing | None) -> tuple[list[ResourceAnswer], list[Any]]:
        calls, profiles = self._calls, self._profiles.listed
        if roles is None or dump.state == "complete":
            return [], []
        listed = [role.role_arn for role in roles.records]
        nested = [role.role_arn for profile in profiles.records if profile.roles is not UNSET for role in profile.roles]
        dumped = {role.role_arn for role in dump.records}
        missing = [arn for arn in dict.fromkeys([*listed, *nested]) if arn not in dumped]
        single = [calls.submit("roles", calls.resource, "GetRole", arn) for arn in missing]
        links = []
        if profiles.state != "complete":
            linked = {role.role_arn for role in dump.records if role.profiles is not UNSET}
            links = [calls.submit("roles", self._links_of, arn) for arn in listed if arn not in linked]
        return _results(single), [profile for read in _results(links) for profile in read]

    def _links_of(self, arn: str) -> list[Any]:
        if self.client.always_denied(ROLE_LINKS):
            self._calls.note_refused_one(arn, {ROLE_LINKS: NotCalled(self.client.denials[ROLE_LINKS][-1])})
            return []
        return self._calls.listing(ROLE_LINKS, arn, RoleName=name_of(arn)).records

    def _iam(
        self,
        caller_arn: str | None,
        dump: Listing,
        roles: Listing | None,
        single: list[ResourceAnswer],
        links: list[Any],
    ) -> Iterator[Answer]:
        answer, gone, profiles = self._calls.answer, self._calls.vanished, self._profiles.listed
        caller = Account(caller_arn=caller_arn, account_name=self.name)
        yield answer(IDENTITY, Listing([caller], "complete" if caller_arn else "refused"))
        for role in dump.records:
            if role.profiles is not UNSET and not gone.isdisjoint(one.profile_arn for one in role.profiles):
                # Without a complete list of profiles, the role may be in a profile that replaced the deleted one.
                is_whole = profiles.state == "complete"
                role.profiles = [one for one in role.profiles if one.profile_arn not in gone] if is_whole else UNSET
        yield answer(DUMP, dump)
        if roles is not None:
            self._leave_out(gone, roles)
            yield answer("ListRoles", roles)
        profiles.records = [profile for profile in profiles.records if profile.profile_arn not in gone]
        yield answer(PROFILE_LIST, profiles)
        by_operation = {name: [one.record for one in single if one.operation == name] for name in _SINGLE}
        for operation, records in (by_operation | {ROLE_LINKS: links}).items():
            is_answered = bool(records or self.client.answered[operation])
            yield answer(operation, Listing(records, "partial" if is_answered else "refused"))

    def _leave_out(self, gone: set[str], roles: Listing) -> None:
        kept = [role for role in roles.records if role.role_arn not in gone]
        if len(kept) < len(roles.records):
            with self.client.bypass_journal():
                again = self._calls.listing("ListRoles")
            # AWS does not find a role that was just created again, but lists it.
            if again.state != "complete" or not gone.isdisjoint(role.role_arn for role in again.records):
                roles.state = "partial"
        roles.records = kept

    def _account(self, counts: dict[str, int] | None, aliases: list[str] | None) -> Iterator[Answer]:
        quotas = [] if counts is None else [account_of_summary(counts)]
        alias = [] if aliases is None else [Account(account_name=self.name or next(iter(aliases), None))]
        for operation, records in (("GetAccountSummary", quotas), ("ListAccountAliases", alias)):
            yield self._calls.answer(operation, Listing(records, "complete" if records else "refused"))


@dataclass
class _Profiles:
    calls: Calls
    listed: Listing = field(default_factory=Listing)
    found: list[ResourceAnswer] = field(default_factory=list)
    _jobs: list[Future[Any]] = field(default_factory=list)
    indexed: dict[str, list[Tag]] = field(default_factory=dict)
    _indexes: list[Listing] = field(default_factory=list)
    # The profiles that only the second list has.
    _new: set[str] = field(default_factory=set)

    @property
    def arns(self) -> set[str]:
        return {profile.profile_arn for profile in self.listed.records}

    def start(self, homes: Iterable[str]) -> Iterator[Answer]:
        jobs = {home: self.calls.pool.submit(self._index, home) for home in homes}
        indexes = {home: job.result() for home, job in jobs.items()}
        indexed = {profile.profile_arn: profile.tags for index in indexes.values() for profile in index.records}
        self.indexed = indexed
        for page in self.calls.pages(PROFILE_LIST, self.listed):
            self.ask(profile.profile_arn for profile in page if profile.profile_arn not in indexed)
        listed, self._indexes = self.arns, list(indexes.values())
        for home, index in indexes.items():
            # The index still shows deleted resources for a while.
            if self.listed.state == "complete":
                index.records = [profile for profile in index.records if profile.profile_arn in listed]
            yield self.calls.answer("GetResources", index, home)

    def _index(self, home: str) -> Listing:
        index = self.calls.listing("GetResources", region=home)
        # The index lags, by 21 minutes and more (measured by others): a resource without tags there may have some.
        index.records = [GotProfile(one.arn, tags=one.tags) for one in index.records if one.tags]
        index.state = "partial" if index.state == "complete" else index.state
        return index

    def ask(self, arns: Iterable[str]) -> None:
        self._jobs += [self.calls.submit("profiles", self._read, arn) for arn in arns]

    def _read(self, arn: str) -> ResourceAnswer | None:
        found = self.calls.resource("GetInstanceProfile", arn)
        if found and isinstance(found.record, GotProfile) and found.record.profile_arn != arn:
            # The listed profile was deleted, and a new one has its name, but another path or case.
            self.calls.note_vanished("GetInstanceProfile", arn)
        return found

    def wait(self) -> None:
        self.found += _results(self._jobs)
        self._jobs = []
        for index in self._indexes:
            index.records[:] = [one for one in index.records if one.profile_arn not in self.calls.vanished]

    def tags_by_arn(self) -> dict[str, dict[str, str]]:
        arns = {name_of(arn): arn for arn in self.arns}
        read = {arns.get(one.name): getattr(one.record, "tags", UNSET) or [] for one in self.found} | self.indexed
        return {arn: {tag.key: tag.value for tag in read.get(arn, ())} for arn in arns.values()}

    def is_outdated(self, referring: list[Answer]) -> bool:
        ids = {name_of(profile.profile_arn).casefold(): profile.profile_id for profile in self.listed.records}
        arns = {profile.profile_arn.casefold() for profile in self.listed.records}
        mentions = (one for answer in referring for chunk in answer for one in chunk if isinstance(one, Reference))
        # A profile may have been created or replaced during the load.
        is_missing = any(
            (name := name_of(mention.named).casefold()) not in ids
            or mention.profile_id not in (None, ids[name])
            or (account_of(mention.named) is not None and mention.named.casefold() not in arns)
            for mention in mentions
        )
        # A new profile may hold the role of a profile that was deleted during the load.
        return self.listed.state == "complete" and (is_missing or bool(self.calls.vanished))

    def list_again(self) -> None:
        calls = self.calls
        before = {profile.profile_arn: profile.profile_id for profile in self.listed.records}
        with calls.client.bypass_journal():
            again = calls.listing(PROFILE_LIST)
            if again.state != "complete":
                self.listed.state = "partial"
                return
            self.listed.records = again.records
            now = {profile.profile_arn: profile.profile_id for profile in again.records}
            for arn in sorted(before.keys() - now.keys() - calls.vanished):
                calls.note_vanished(PROFILE_LIST, arn)
            back = calls.vanished & now.keys()
            calls.vanished -= back
            calls.gaps = [gap for gap in calls.gaps if gap.reason != "vanished" or gap.subject not in back]
            self._new = {arn for arn, unique_id in now.items() if before.get(arn) != unique_id}
            new = self._new | back
            # Facts of a deleted profile do not apply to a new profile of the same name.
            names = {name_of(arn) for arn in new}
            self.found = [one for one in self.found if one.name not in names]
            self.ask(sorted(new))
            self.wait()
            if calls.vanished & now.keys():
                # AWS lists the profile, but does not find it.
                self.listed.state = "partial"

    def note_newer(self) -> None:
        """Add a gap for each profile that was created after iamframe had looked for its use, or for its owner.

        If profiles were listed a second time, or if a load was resumed, the list of instances or clusters may be older
        than the list of profiles.
        """
        started: dict[str, datetime] = {}
        # Requests for owners are still running, and add tallies.
        for (operation, _), tally in [*self.calls.client.tallies.items()]:
            of, at = _USES if operation in _CONSUMING else operation, parsed_time(tally.started_at or "")
            if at and of in (_USES, *_OWNERS):
                started[of] = min(at, started.get(of, at))
        tags = self.tags_by_arn()
        for profile in self.listed.records if started else ():
            arn, created = profile.profile_arn, parsed_time(time_text(profile.created_at) or "")
            older = {of for of, at in started.items() if arn in self._new or (created and created > at)}
            if _USES in older:
                self.calls.gap(INSTANCES, arn, "not_asked", "gaps.newer.uses", {"arn": arn})
            owners = owners_of(name_of(arn), path_of(arn) or "/", tags.get(arn, {})) if older else []
            for operation in sorted({one.owner.label for one in owners} & older):
                self.calls.gap(operation, arn, "not_asked", "gaps.newer.owner", {"arn": arn})


class _Effective(msgspec.Struct):
    policy: EffectivePolicy = msgspec.field(name="EffectivePolicy")


def _read_tag_policy(calls: Calls) -> list[Answer]:
    row = BY_LABEL[TAG_POLICY]
    parameters: dict[str, Any] = dict(row.parameters)
    try:
        body = calls.client.call(row.service, row.operation, none_codes=NO_POLICY, **parameters)
        answer = msgspec.json.decode(body, type=_Effective | None)
        demands = demands_in(answer.policy) if answer else []
        return [calls.answer(TAG_POLICY, Listing(demands, "complete"))]
    except (msgspec.DecodeError, RequestFailed) as error:
        refusal = error if isinstance(error, RequestFailed) else failure_of(error)
    calls.note_refused(TAG_POLICY, refusal)
    answers = [calls.answer(TAG_POLICY, Listing(state="refused"))]
    if refusal.reason == "denied":
        keys = calls.listing(REQUIRED_TAGS)
        answers.append(calls.answer(REQUIRED_TAGS, Listing(required_in(keys.records), keys.state)))
    return answers


def _profiles_of(dump: Listing) -> set[str]:
    roles: list[RoleDetail] = dump.records
    return {profile.profile_arn for role in roles if role.profiles is not UNSET for profile in role.profiles}


def _results(jobs: list[Future[Any]]) -> list[Any]:
    return [found for job in jobs if (found := job.result()) is not None]


make_decoders([_Effective])
