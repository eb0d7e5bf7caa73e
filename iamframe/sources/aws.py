"""One live account: which requests give every fact, what takes the place of those that are refused, what that costs.

Roles, their tags, last use and links come from GetAccountAuthorizationDetails, page by page; profiles from
ListInstanceProfiles; and of each profile one request gives its tags, which no listing carries (IAM API Reference,
ListInstanceProfiles). GetInstanceProfile is asked first, since it shows the profile's role once more and so confirms
that an empty one is empty. What is refused becomes a gap that says what is not known for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from iamframe.errors import SourceError
from iamframe.knowledge.arn import account_of, partition_of
from iamframe.knowledge.operations import (
    ALL,
    CONFIGURATIONS,
    CORE,
    GLOBAL,
    PROFILE_LIST,
    ROLE_LINKS,
    UNKNOWN_REGION,
    VERSIONS,
    action_of,
    label,
)
from iamframe.sources.client import Asker
from iamframe.sources.consumers import CONSUMERS, OTHERS, Consumer
from iamframe.sources.progress import Progress, silent
from iamframe.sources.records import (
    Account,
    Answer,
    Gap,
    GotProfile,
    GotRole,
    ListedProfile,
    ListedRole,
    Mention,
    Plan,
    RoleDetail,
    State,
    Tag,
    Tagging,
    make_decoders,
    tags_or_none,
)
from iamframe.sources.refusals import Refused, is_nowhere
from iamframe.sources.templates import Pinning, pinned_mentions, template_ids, with_other_versions

if TYPE_CHECKING:
    from iamframe.sources.templates import Configuration, Version

DUMP = "GetAccountAuthorizationDetails"
INDEX = "GetResources"
PROFILE_TAGS = "ListInstanceProfileTags"
PROFILE = "GetInstanceProfile"
ROLE_TAGS = "ListRoleTags"
ROLE = "GetRole"
AWS = "AWS"
_BIG = 1000

# The region in which the tagging API shows what IAM holds; elsewhere it answers that there is nothing, without an
# error (measured by others, see Cloud Custodian's get_resource_tagging_region; AWS's documentation is silent).
# Nobody has measured China: both of its regions are asked.
_HOMES = {
    "aws": ("us-east-1",),
    "aws-us-gov": ("us-gov-west-1",),
    "aws-cn": ("cn-north-1", "cn-northwest-1"),
    "aws-eusc": ("eusc-de-east-1",),
}

# What is not asked with each `references`, and what the gap of each consumer says then.
_WANTED: dict[str, tuple[str, ...]] = {"all": ("references", "all"), "core": ("references",), "none": ()}
_NOT_WANTED = {
    "core": f'{OTHERS} were not asked which profiles they use; --references all (references="all") asks them',
    "none": 'what refers to profiles was not asked for; --references all (references="all") asks for it',
}

# What a region answers that takes no credentials of the account, mostly since it is not enabled there; no permission
# would help (General Reference, "Managing AWS Regions").
_CLOSED = {"AuthFailure", "InvalidClientTokenId", "OptInRequired", "UnrecognizedClientException"}

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)

# What is not known where an operation is refused, after "so that".
_COST = {
    DUMP: "roles are read by ListRoles and one request each",
    "ListRoles": "roles that are in no profile may be missing",
    PROFILE_LIST: "profiles that hold no role, and all that no role shows, may be missing",
    "GetAccountSummary": "quotas are unknown, and nothing tells whether a list is whole",
    "ListAccountAliases": "the account's alias is unknown",
    INDEX: "the tags of each profile are read one by one",
    "DescribeRegions": "which regions are enabled is unknown",
    ROLE_LINKS: "which profiles hold the role is unknown",
    "GetCallerIdentity": "who asked is unknown",
}


@dataclass
class _Read:
    """Records of one operation and region, and whether they are the whole list."""

    records: list[Any] = field(default_factory=list)
    state: State = "partial"


@dataclass
class AccountReader:
    """Reads one account; `answers` gives what it said, in the shapes that files have too."""

    asker: Asker
    plan: Plan
    source: str
    name: str | None = None
    expected: str | None = None
    progress: Progress = silent
    account_id: str | None = None
    gaps: list[Gap] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _regions_lock: threading.Lock = field(default_factory=threading.Lock)
    _regions_on: list[str] | None = None
    _vanished: set[str] = field(default_factory=set)
    _done: dict[str, list[int]] = field(default_factory=dict)

    def answers(self) -> list[Answer]:
        """Ask all that the plan says and return the answers, gaps last.

        Raises
        ------
        Refused
            If even GetCallerIdentity gives no answer: nothing can be said of an account that nobody knows.
        """
        identity = self._identity()
        self._pool = ThreadPoolExecutor(self.asker.workers, thread_name_prefix="iamframe")
        try:
            answers = list(self._read_all(identity))
        except BaseException:
            # Whoever interrupts does not wait for what is in flight, nor for what stands in line.
            self.asker.ended.set()
            raise
        finally:
            self._pool.shutdown(wait=not self.asker.ended.is_set(), cancel_futures=True)
        # What was never asked has no answer.
        return [one for one in answers if one.tally is not None or one.operation in ("", "denied")]

    def _identity(self) -> _Identity | None:
        """Return who asks, or None where AWS refuses to say: the ARNs of what is read tell the account then."""
        # It needs no permission, but a service control policy can deny it.
        try:
            identity = _decoded(self.asker.ask("sts", "GetCallerIdentity"), _Identity)
        except Refused as refusal:
            if (
                refusal.code not in ("AccessDenied", "AccessDeniedException")
                or refusal.operation != "GetCallerIdentity"
            ):
                raise
            self._refused("sts", "GetCallerIdentity", refusal)
            self.partition = self.asker.partition
            self.account_id = self.asker.account_id = self.expected
            return None
        self.account_id = self.asker.account_id = identity.account
        self.partition = partition_of(identity.arn) or "aws"
        if self.expected not in (None, self.account_id):
            raise SourceError(
                f"{self.source}: these credentials are of account {self.account_id}, not of {self.expected}; check its "
                "profile and role"
            )
        return identity

    def _read_all(self, identity: _Identity | None) -> Iterator[Answer]:
        dumped = self._pool.submit(self._listing, "iam", DUMP, "RoleDetailList", RoleDetail, Filter=["Role"])
        listed_too = self._roles_listed() if self.plan.role_details else None
        summary = self._pool.submit(self._one, "GetAccountSummary", _Summary)
        aliases = self._pool.submit(self._one, "ListAccountAliases", _Aliases)
        references = self._pool.submit(self.regions)
        homes = _HOMES.get(self.partition, (self.asker.region,)) if self.plan.tag_index else ()
        index = [self._pool.submit(self._tag_index, home) for home in homes]
        profiles, tagged = _Read(), []
        # Which profiles are to be asked one by one is known only after the index has told its part.
        indexed = [job.result() for job in index]
        shown = {one.profile_arn for found in indexed for one in found.records}
        for page in self._pages("iam", PROFILE_LIST, "InstanceProfiles", ListedProfile, profiles):
            tagged += [self._profile(one.profile_arn) for one in page if one.profile_arn not in shown]
        listed = {profile.profile_arn for profile in profiles.records}
        for home, found in zip(homes, indexed, strict=True):
            # The index shows for a while what has been deleted.
            found.records = [one for one in found.records if one.profile_arn in listed]
            yield self._answer(INDEX, found, home)
        jobs = self._ask_references(references.result())
        dump = dumped.result()
        arns = (*listed, *(role.role_arn for role in dump.records[:1]))
        self.account_id = self.account_id or next(map(account_of, arns), None)
        beneath = {p.profile_arn for role in dump.records if role.profiles is not UNSET for p in role.profiles}
        if profiles.state != "complete":
            tagged += [self._profile(arn) for arn in sorted(beneath - listed)]
        of_profiles = _gathered(tagged)
        referring = list(self._references(jobs))
        if self._is_outdated(profiles, referring):
            of_profiles = self._listed_again(profiles, of_profiles)
        roles = listed_too.result() if listed_too else None
        if dump.state != "complete":
            roles = roles or self._roles_listed().result()
        single = self._roles_one_by_one(dump, roles, profiles) if dump.state != "complete" else []
        held = self._links_one_by_one(dump, roles) if "complete" not in (dump.state, profiles.state) else []
        of_roles = _gathered(single)
        linked = [one for read in _gathered(held) for one in read]
        yield from self._iam(identity, dump, roles, profiles, of_profiles, of_roles, linked)
        yield from self._account(summary.result(), aliases.result())
        yield from referring
        left = [one.operation for one in CONSUMERS if one.when not in ("files", *_WANTED[self.plan.references])]
        self._not_asked(left, UNKNOWN_REGION, _NOT_WANTED.get(self.plan.references, ""))
        yield self._answer("denied", _Read(list(self.gaps)))

    def _is_outdated(self, profiles: _Read, referring: list[Answer]) -> bool:
        """Return whether something has come up since profiles were listed that the listing does not show."""
        ids = {_name(p.profile_arn).casefold(): p.profile_id for p in profiles.records}
        arns = {p.profile_arn.casefold() for p in profiles.records}
        mentions = (m for answer in referring for chunk in answer for m in chunk if isinstance(m, Mention))
        strange = any(
            (name := _name(mention.named).casefold()) not in ids
            or mention.profile_id not in (None, ids[name])
            or (account_of(mention.named) is not None and mention.named.casefold() not in arns)
            for mention in mentions
        )
        # What replaced a profile that was deleted meanwhile may hold its role.
        return profiles.state == "complete" and (strange or bool(self._vanished))

    def _listed_again(self, profiles: _Read, read: list[Any]) -> list[Any]:
        """List profiles once more, after all that names them was read; return what is known of each, new ones too."""
        before = {profile.profile_arn: profile.profile_id for profile in profiles.records}
        with self.asker.anew():
            again = self._listing("iam", PROFILE_LIST, "InstanceProfiles", ListedProfile)
            if again.state != "complete":
                profiles.state = "partial"
                return read
            profiles.records = again.records
            now = {profile.profile_arn: profile.profile_id for profile in again.records}
            for arn in sorted(before.keys() - now.keys() - self._vanished):
                self._gone(PROFILE_LIST, arn)
            back = self._vanished & now.keys()
            self._vanished -= back
            self.gaps = [gap for gap in self.gaps if gap.reason != "vanished" or gap.subject not in back]
            new = {arn for arn, unique in now.items() if before.get(arn) != unique} | back
            # What was read of one that was made anew since is not of this one.
            names = {_name(arn) for arn in new}
            kept = [one for one in read if (_name_of(one) not in names)]
            return kept + _gathered([self._profile(arn) for arn in sorted(new)])

    # Roles and profiles

    def _iam(
        self,
        identity: _Identity | None,
        dump: _Read,
        roles: _Read | None,
        profiles: _Read,
        of_profiles: list[Any],
        of_roles: list[Any],
        linked: list[Any],
    ) -> Iterator[Answer]:
        caller = Account(caller_arn=identity.arn if identity else None, account_name=self.name)
        yield self._answer("GetCallerIdentity", _Read([caller], "complete" if identity else "refused"))
        gone = self._vanished
        for role in dump.records:
            if role.profiles is not UNSET:
                role.profiles = [p for p in role.profiles if p.profile_arn not in gone]
        profiles.records = [p for p in profiles.records if p.profile_arn not in gone]
        yield self._answer(DUMP, dump)
        if roles is not None:
            roles.records = [role for role in roles.records if role.role_arn not in gone]
            yield self._answer("ListRoles", roles)
        yield self._answer(PROFILE_LIST, profiles)
        for operation, kind in ((PROFILE, GotProfile), (ROLE, GotRole)):
            found = [one for one in (*of_profiles, *of_roles) if isinstance(one, kind)]
            yield self._answer(operation, self._one_by_one(operation, found))
        for operation, kind_of in ((PROFILE_TAGS, "instance-profile"), (ROLE_TAGS, "role")):
            named = [
                one for one in (*of_profiles, *of_roles) if isinstance(one, Tagging) and one.resource_type == kind_of
            ]
            yield self._answer(operation, self._one_by_one(operation, named))
        yield self._answer(ROLE_LINKS, self._one_by_one(ROLE_LINKS, linked))

    def _one_by_one(self, operation: str, records: list[Any]) -> _Read:
        return _Read(records, "partial" if records or self.asker.answered[operation] else "refused")

    def _roles_listed(self) -> Future[_Read]:
        return self._pool.submit(self._listing, "iam", "ListRoles", "Roles", ListedRole)

    def _profile(self, arn: str) -> Future[Any]:
        return self._submit("profiles", self._of_profile, arn)

    def _of_profile(self, arn: str) -> GotProfile | Tagging | None:
        name = _name(arn)
        ways: dict[str, Callable[[list[bytes]], GotProfile | Tagging]] = {
            PROFILE: lambda pages: _decoded(pages[0], _ProfileAnswer).profile,
            PROFILE_TAGS: lambda pages: _tagging("instance-profile", name, pages),
        }
        found = self._first_allowed(arn, ways, "its tags are unknown", InstanceProfileName=name)
        if isinstance(found, GotProfile) and found.profile_arn != arn:
            # Made anew under another path, or spelled otherwise: the one that was listed is gone.
            self._gone(PROFILE, arn)
        return found

    def _roles_one_by_one(self, dump: _Read, roles: _Read | None, profiles: _Read) -> list[Future[Any]]:
        dumped = {role.role_arn for role in dump.records}
        listed = [role.role_arn for role in roles.records] if roles is not None else []
        nested = [r.role_arn for p in profiles.records if p.roles is not UNSET for r in p.roles]
        wanted = dict.fromkeys(arn for arn in (*listed, *nested) if arn not in dumped)
        return [self._submit("roles", self._of_role, arn) for arn in wanted]

    def _of_role(self, arn: str) -> GotRole | Tagging | None:
        name = _name(arn)
        ways: dict[str, Callable[[list[bytes]], GotRole | Tagging]] = {
            ROLE: lambda pages: tags_or_none(_decoded(pages[0], _RoleAnswer).role),
            ROLE_TAGS: lambda pages: _tagging("role", name, pages),
        }
        return self._first_allowed(arn, ways, "its tags and last use are unknown", RoleName=name)

    def _links_one_by_one(self, dump: _Read, roles: _Read | None) -> list[Future[Any]]:
        dumped = {role.role_arn for role in dump.records if role.profiles is not UNSET}
        arns = [role.role_arn for role in roles.records] if roles is not None else []
        return [self._submit("roles", self._of_link, arn) for arn in arns if arn not in dumped]

    def _of_link(self, arn: str) -> list[ListedProfile]:
        if self.asker.hopeless(ROLE_LINKS):
            refusal = Refused("denied", "AccessDenied", "as for all others")
            self._refused("iam", ROLE_LINKS, refusal)
            return []
        return self._listing(
            "iam", ROLE_LINKS, "InstanceProfiles", ListedProfile, subject=arn, RoleName=_name(arn)
        ).records

    def _first_allowed(
        self, arn: str, ways: dict[str, Callable[[list[bytes]], R]], cost: str, **parameters: Any
    ) -> R | None:
        """Return what the first operation says that is not refused, one that was always denied last."""
        refusals: dict[str, Refused] = {}
        # A few that are denied say nothing of the others, of which the first way tells more.
        for operation in sorted(ways, key=lambda one: self.asker.refusals[one] > 3 and not self.asker.answered[one]):
            if self.asker.hopeless(operation):
                refusals[operation] = Refused("denied", "AccessDenied", "as it was for all others that were asked")
                continue
            try:
                return ways[operation](list(self.asker.pages("iam", operation, **parameters)))
            except Refused as refusal:
                refusals[operation] = refusal
                if refusal.reason == "vanished":
                    self._gone(operation, arn)
                    return None
                if refusal.reason != "denied":
                    break
        operation, first = next(iter(refusals.items()))
        codes = ", ".join(f"{one} ({r.code})" for one, r in refusals.items())
        allow = " or ".join(f"iam:{one}" for one in refusals)
        what = f"allow {allow}" if first.reason == "denied" else "load again"
        self._gap(operation, arn, first.reason, f"AWS did not answer {codes} of {arn}, so that {cost}; {what}")
        return None

    def _gone(self, operation: str, arn: str) -> None:
        with self._lock:
            self._vanished.add(arn)
        self._gap(operation, arn, "vanished", f"{arn} was deleted while the account was read, and is left out")

    def _tag_index(self, home: str) -> _Read:
        wanted = {"ResourceTypeFilters": ["iam:instance-profile"], "ResourcesPerPage": 100}
        found = self._listing(
            "resourcegroupstaggingapi", INDEX, "ResourceTagMappingList", _Indexed, region=home, **wanted
        )
        # It lags: what it shows without tags may have some by now (measured by others: 21 minutes and more).
        found.records = [GotProfile(one.arn, tags=one.tags) for one in found.records if one.tags]
        found.state = "partial" if found.state == "complete" else found.state
        return found

    def _account(self, summary: _Summary | None, aliases: _Aliases | None) -> Iterator[Answer]:
        counts = summary.counts if summary is not None else {}
        record = Account(
            role_quota=counts.get("RolesQuota"),
            profile_quota=counts.get("InstanceProfilesQuota"),
            roles_expected=counts.get("Roles"),
            profiles_expected=counts.get("InstanceProfiles"),
        )
        yield self._answer("GetAccountSummary", _Read([record], "complete") if summary is not None else _REFUSED)
        names = aliases.names if aliases is not None else []
        alias = Account(account_name=self.name or (names[0] if names else None))
        yield self._answer("ListAccountAliases", _Read([alias], "complete") if aliases is not None else _REFUSED)

    # What refers to profiles

    def regions(self) -> list[str]:
        """Return the regions to look in: those of the plan, or all that are enabled, as far as AWS tells."""
        if self.plan.references == "none":
            return []
        if self.plan.regions != "all":
            where = ", ".join(self.plan.regions)
            self._not_asked(CORE, UNKNOWN_REGION, f"regions other than {where} were not asked for")
            return self._existing(self.plan.regions)
        if (enabled := self._enabled()) is not None:
            return enabled
        here = self.asker.region
        self._not_asked(CORE, UNKNOWN_REGION, f"which regions are enabled could not be read, so only {here} was asked")
        return [here]

    def _existing(self, named: Iterable[str]) -> list[str]:
        """Return the regions but for those that neither botocore nor the account knows."""
        strange = {region for region in named if not self._is_known(region)}
        enabled = self._enabled() if strange else None
        nowhere = strange - set(enabled) if enabled is not None else set()
        for region in sorted(nowhere):
            detail = f"{region} is none of the regions that are enabled in the account, so that it was not asked"
            self._not_asked(CORE, region, detail)
        return [region for region in named if region not in nowhere]

    def _is_known(self, region: str) -> bool:
        return region in self.asker.session.get_available_regions("ec2", self.partition)

    def _enabled(self) -> list[str] | None:
        """Return the regions that are enabled in the account, or None where AWS does not say."""
        here = self.asker.region
        try:
            body = self.asker.ask("ec2", "DescribeRegions", here)
            return sorted(region.name for region in _decoded(body, _Regions).regions)
        except Refused as refusal:
            self._refused("ec2", "DescribeRegions", refusal, region=here)
        found = self._listing(
            "account",
            "ListRegions",
            "Regions",
            _OptedRegion,
            MaxResults=50,
            RegionOptStatusContains=["ENABLED", "ENABLED_BY_DEFAULT"],
        )
        return sorted(region.name for region in found.records) if found.state == "complete" else None

    def _ask_references(self, regions: list[str]) -> list[tuple[Consumer, str, Future[_Read]]]:
        wanted = _WANTED[self.plan.references]
        return [
            (consumer, region, self._submit("references", self._consume, consumer, region))
            for region in regions
            for consumer in CONSUMERS
            if consumer.when in wanted and self._offered(consumer.service, region)
        ]

    def _references(self, jobs: list[tuple[Consumer, str, Future[_Read]]]) -> Iterator[Answer]:
        regions = list(dict.fromkeys(region for _, region, _ in jobs))
        read: dict[tuple[str, str], _Read] = {}
        pinnings: dict[str, list[Pinning]] = {region: [] for region in regions}
        self._read_other_versions({region: job for consumer, region, job in jobs if consumer.operation == VERSIONS})
        for consumer, region, job in jobs:
            found = read[consumer.operation, region] = job.result()
            mentions = [mention for record in found.records for mention in consumer.mentions(record)]
            for mention in mentions:
                mention.region, mention.account_id = region, self.account_id
            pinnings[region] += [p for record in found.records for p in consumer.pinnings(record)]
            for step in consumer.steps:
                yield self._answer(label(consumer.service, step.operation), _Read(state=found.state), region)
            yield self._answer(consumer.operation, _Read(mentions, found.state), region)
        second = [
            (region, self._submit("references", self._pinned, region, pinnings[region], read)) for region in regions
        ]
        for region, job_of in second:
            mentions = job_of.result()
            for mention in mentions:
                mention.region, mention.account_id = region, self.account_id
            yield self._answer("", _Read(mentions), region)

    def _read_other_versions(self, jobs: dict[str, Future[_Read]]) -> None:
        """Add the versions of launch templates that are neither newest nor default, which no listing of all shows."""
        others = [
            (region, self._submit("references", self._versions, {"LaunchTemplateId": template}, [], region))
            for region, job in jobs.items()
            for template in with_other_versions(job.result().records)
        ]
        more: dict[str, list[Version]] = {region: [] for region in jobs}
        for region, read in others:
            more[region] += read.result()
        for region, job in jobs.items():
            found = job.result()
            each = {(one.launch_template_id, one.version_number): one for one in (*found.records, *more[region])}
            found.records = list(each.values())

    def _offered(self, service: str, region: str) -> bool:
        """Return whether to ask a service in a region: not where botocore lists others and leaves this one out.

        Of some services it lists no region at all, and a region that it does not know may have any of them.
        """
        there = self._listed(service)
        return not there or region in there or service in ("ec2", "autoscaling") or not self._is_known(region)

    def _listed(self, service: str) -> list[str]:
        return self.asker.session.get_available_regions(service, self.partition)  # type: ignore[no-any-return]

    def _is_absent(self, refusal: Refused, service: str, region: str) -> bool:
        """Return whether AWS has no such service in a region: its host's name does not exist.

        A name tells that only where botocore does not list the service in a region that it knows, and where it is the
        one that AWS would have given: whoever sets another endpoint may have mistyped it.
        """
        if not is_nowhere(refusal.cause) or region in self._listed(service) or not self._is_known(region):
            return False
        meta = self.asker.client(service, region).meta
        host = urlsplit(meta.endpoint_url).hostname or ""
        return host.startswith(f"{meta.service_model.endpoint_prefix}.{region}.amazonaws.")

    def _consume(self, consumer: Consumer, region: str) -> _Read:
        found = _Read(state="complete")
        asked: list[dict[str, Any]] = [{}]
        for step in consumer.steps:
            parameters = []
            for before in asked:
                given = before | dict(step.parameters)
                pages = self._tried(found, consumer.service, step.operation, region, beneath=bool(before), **given)
                for page in pages:
                    each = _search(step.each, page)
                    if each is None:
                        self._said_nothing(found, label(consumer.service, step.operation), step.each, region)
                    parameters += each or []
            asked = parameters
        fixed = self._fixed(consumer, region)
        for before in asked:
            given = before | fixed
            for page in self._tried(found, consumer.service, consumer.operation, region, beneath=bool(before), **given):
                found.records += self._records(found, consumer.operation, region, page, consumer.key, consumer.record)
        self._note_silent(found, consumer, region)
        return found

    def _note_silent(self, found: _Read, consumer: Consumer, region: str) -> None:
        """Note the records that lack the field which says what they name."""
        silent = [record for record in found.records if consumer.always and not record.get(consumer.always)]
        for record in silent:
            found.state = "truncated"
            what = f"{consumer.operation} {record.get('name', '')}".strip()
            detail = f"{what} of AWS's answer holds no {consumer.always}, so that which profile it uses is unknown"
            self._gap(consumer.operation, what, "unreadable", detail, region)

    def _fixed(self, consumer: Consumer, region: str) -> dict[str, object]:
        return {
            name: value
            for name, value in consumer.parameters.items()
            if name != "IncludeManagedResources" or self.asker.takes(consumer.service, consumer.operation, name, region)
        }

    def _pinned(self, region: str, pinnings: list[Pinning], read: dict[tuple[str, str], _Read]) -> list[Any]:
        listed = read[VERSIONS, region]
        # Of a listing that broke off, the highest number read need not be the newest: what is pinned is asked for.
        versions: list[Version] = list(listed.records) if listed.state == "complete" else []
        configurations: list[Configuration] = read[CONFIGURATIONS, region].records
        mentions, unread = pinned_mentions(pinnings, versions, configurations, None)
        of_template: dict[str, list[str]] = {}
        for pinned in sorted(set(unread)):
            template, _, version = pinned.rpartition(":")
            of_template.setdefault(template, []).append(version)
        ids = template_ids(pinnings)
        for template, wanted in of_template.items():
            by = "LaunchTemplateId" if template in ids else "LaunchTemplateName"
            versions += self._versions({by: template}, wanted, region)
        return pinned_mentions(pinnings, versions, configurations, None)[0] if of_template else mentions

    def _versions(self, template: dict[str, str], wanted: list[str], region: str) -> list[Version]:
        consumer = next(one for one in CONSUMERS if one.operation == VERSIONS)
        # Without numbers, it is all versions of a template.
        fixed = {name: value for name, value in self._fixed(consumer, region).items() if name != "Versions"}
        asked = fixed | template | ({"Versions": wanted} if wanted else {})
        found: list[Version] = []
        try:
            for page in self.asker.pages("ec2", VERSIONS, region, **asked):
                found += self._records(_Read(), VERSIONS, region, page, consumer.key, consumer.record)
        except Refused as refusal:
            if refusal.reason != "vanished":
                subject = ":".join(filter(None, (*template.values(), " ".join(wanted))))
                self._refused("ec2", VERSIONS, refusal, subject, region)
            elif len(wanted) > 1:
                # One that is gone refuses the request for all of them.
                return [version for one in wanted for version in self._versions(template, [one], region)]
            # A version that is gone starts nothing, so that it names nothing.
        return found

    # Listings

    def _tried(
        self, found: _Read, service: str, operation: str, region: str, *, beneath: bool, **parameters: Any
    ) -> Iterator[bytes]:
        try:
            yield from self.asker.pages(service, operation, region, **parameters)
        except Refused as refusal:
            # What is gone since it was listed uses nothing any more; a whole list is not gone.
            if refusal.reason == "vanished" and beneath:
                return
            # A service that a region does not have holds nothing there, which is no gap; but it answered nothing.
            found.state = "truncated" if found.records else "refused"
            if not self._is_absent(refusal, service, region):
                self._refused(service, operation, refusal, region=region)

    def _listing(self, service: str, operation: str, key: str, kind: type[T], **parameters: Any) -> _Read:
        found = _Read()
        for _ in self._pages(service, operation, key, kind, found, **parameters):
            pass
        return found

    def _pages(
        self,
        service: str,
        operation: str,
        key: str,
        kind: type[T],
        found: _Read,
        subject: str = ALL,
        region: str = GLOBAL,
        **parameters: Any,
    ) -> Iterator[list[T]]:
        if service == "iam":
            parameters["MaxItems"] = _BIG
        try:
            found.state = "complete"
            for body in self.asker.pages(service, operation, region, **parameters):
                page = self._records(found, operation, region, body, key, kind)
                found.records += page
                yield page
        except Refused as refusal:
            found.state = "truncated" if found.records else "refused"
            self._refused(service, operation, refusal, subject, region)

    def _records(self, found: _Read, operation: str, region: str, body: bytes, key: str, kind: Any) -> list[Any]:
        """Return the records under a key of an answer; one that is not of the shape known is a gap."""
        value = msgspec.json.decode(body, type=dict[str, msgspec.Raw]).get(key)
        if value is None:
            self._said_nothing(found, operation, key, region)
            return []
        raw = bytes(value)
        try:
            if raw[:1] == b"[":
                records: list[Any] = msgspec.json.decode(raw, type=list[kind])
                return records
            return [msgspec.json.decode(raw, type=kind)]
        except msgspec.ValidationError:
            pass
        records = []
        for number, item in enumerate(msgspec.json.decode(raw, type=list[msgspec.Raw]) if raw[:1] == b"[" else [value]):
            try:
                records.append(msgspec.json.decode(item, type=kind))
            except msgspec.ValidationError as error:
                found.state = "truncated"
                where = f"{operation} {key}[{number}]"
                self._gap(operation, where, "unreadable", f"{where} of AWS's answer cannot be read: {error}", region)
        return records

    def _said_nothing(self, found: _Read, operation: str, key: str, region: str) -> None:
        # AWS writes an empty list as one.
        found.state = "truncated"
        self._gap(operation, ALL, "unreadable", f"AWS's answer to {operation} holds no {key}; load again", region)

    def _one(self, operation: str, kind: type[T]) -> T | None:
        try:
            return _decoded(self.asker.ask("iam", operation), kind)
        except Refused as refusal:
            self._refused("iam", operation, refusal)
            return None

    # Gaps, answers, progress

    def _refused(
        self, service: str, operation: str, refusal: Refused, subject: str = ALL, region: str = GLOBAL
    ) -> None:
        action, name = action_of(service, operation), label(service, operation)
        if refusal.code in _CLOSED and region not in (GLOBAL, self.asker.region):
            self._gap(name, subject, *self._closed(region, refusal.code), region)
            return
        where = "" if region == GLOBAL else f" in {region}"
        of = "" if subject == ALL else f" of {subject}"
        cost = _COST.get(operation, "what names profiles there is unknown" if where else "what it shows is unknown")
        what = f"allow {action}" if refusal.reason == "denied" else "load again"
        if is_nowhere(refusal.cause):
            what = "no host of that name exists: check whether there is such a region, and the service in it"
        self._gap(
            name,
            subject,
            refusal.reason,
            f"AWS did not answer {name}{of}{where} ({refusal.code}), so that {cost}; {what}",
            region,
        )

    def _closed(self, region: str, code: str) -> tuple[str, str]:
        """Return reason and detail of a region that takes no credentials: mostly it is not enabled in the account."""
        with self._regions_lock:
            if self._regions_on is None:
                self._regions_on = self._enabled() or []
        unread = f"so that nothing was read there ({code})"
        advice = "leave it out of the regions that are asked for, or enable it"
        if not self._regions_on:
            detail = f"{region} takes no credentials of the account, {unread}; it is probably not enabled: {advice}"
            return "unreadable", detail
        if region not in self._regions_on:
            return "not_asked", f"{region} is not enabled in the account, {unread}; {advice}"
        # IAM User Guide, "Managing AWS STS in an AWS Region": a session of the global endpoint is of the old kind.
        why = "a session of STS's global endpoint is not valid in regions that have to be enabled; take a regional one"
        return "unreadable", f"{region} is enabled and does not take these credentials, {unread}; {why}"

    def _not_asked(self, operations: Iterable[str], region: str, detail: str) -> None:
        for operation in operations:
            self._gap(operation, ALL, "not_asked", detail, region)

    def _gap(self, operation: str, subject: str, reason: str, detail: str, region: str = GLOBAL) -> None:
        gap = Gap(operation, subject, reason, detail, region, self.account_id)
        with self._lock:
            self.gaps.append(gap)

    def _answer(self, operation: str, read: _Read, region: str = GLOBAL) -> Answer:
        tally = self.asker.tallies.get((operation, region))
        return Answer(
            operation,
            AWS,
            [read.records],
            self.account_id,
            region,
            read.state,
            self.source,
            captured_at=tally.started_at if tally else None,
            tally=tally,
        )

    def _submit(self, stage: str, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        with self._lock:
            self._done.setdefault(stage, [0, 0])[1] += 1
        future = self._pool.submit(work, *arguments)
        future.add_done_callback(lambda _: self._advance(stage))
        return future

    def _advance(self, stage: str) -> None:
        with self._lock:
            counts = self._done[stage]
            counts[0] += 1
            self.progress(stage, *counts)


class _Identity(msgspec.Struct, rename="pascal"):
    account: str
    arn: str


class _ProfileAnswer(msgspec.Struct):
    profile: GotProfile = msgspec.field(name="InstanceProfile")


class _RoleAnswer(msgspec.Struct):
    role: GotRole = msgspec.field(name="Role")


class _TagsAnswer(msgspec.Struct):
    tags: list[Tag] = msgspec.field(name="Tags")


class _Indexed(msgspec.Struct):
    arn: str = msgspec.field(name="ResourceARN")
    tags: list[Tag] = msgspec.field(name="Tags", default_factory=list)


class _Summary(msgspec.Struct):
    counts: dict[str, int] = msgspec.field(name="SummaryMap")


class _Aliases(msgspec.Struct):
    names: list[str] = msgspec.field(name="AccountAliases", default_factory=list)


class _Region(msgspec.Struct):
    name: str = msgspec.field(name="RegionName")


class _Regions(msgspec.Struct):
    regions: list[_Region] = msgspec.field(name="Regions")


_OptedRegion = _Region
_REFUSED = _Read([], "refused")


def _gathered(futures: list[Future[Any]]) -> list[Any]:
    return [found for future in futures if (found := future.result()) is not None]


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Refused("unreadable", type(error).__name__, str(error)) from error


def _tagging(resource_type: Literal["role", "instance-profile"], name: str, pages: list[bytes]) -> Tagging:
    return Tagging(resource_type, name, [tag for page in pages for tag in _decoded(page, _TagsAnswer).tags])


def _search(path: str, body: bytes) -> list[dict[str, Any]] | None:
    import jmespath

    return jmespath.search(path, msgspec.json.decode(body))  # type: ignore[no-any-return]


def _name_of(read: GotProfile | Tagging) -> str:
    return read.resource_name if isinstance(read, Tagging) else _name(read.profile_arn)


def _name(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]


make_decoders([*globals().values(), *(consumer.record for consumer in CONSUMERS)])
