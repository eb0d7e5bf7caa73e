"""Load a live account into an `Inventory`, through a boto3 session."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from iamframe.errors import ExpiredError, SourceError, WrongObjectError
from iamframe.inventory.build import build_inventory, without_collector
from iamframe.inventory.inventory import Inventory
from iamframe.knowledge.operations import IDENTITY
from iamframe.sources.account import AccountReader
from iamframe.sources.client import Client
from iamframe.sources.journal import Journal
from iamframe.sources.members import Member, redacted, spellings
from iamframe.sources.progress import Progress, progress_bars
from iamframe.sources.records import Answer, Gap, LoadPlan, References
from iamframe.sources.refusals import RequestFailed
from iamframe.sources.sessions import DEFAULT_REGION, check_regions, first_failure, open_session, refused

if TYPE_CHECKING:
    import boto3


def load_account(
    session: boto3.Session | None = None,
    *,
    regions: Literal["all"] | Iterable[str] = "all",
    references: bool | References = "all",
    role_details: bool = False,
    tag_index: bool = False,
    workers: int = 16,
    rate: float | None = None,
    progress: bool | Progress | None = None,
    source: str = "aws",
    journal: str | os.PathLike[str] | None = None,
) -> Inventory:
    """Load one live account with the credentials of a boto3 session.

    If no session is given, iamframe uses the default credentials of boto3. To load the account, iamframe calls only
    read operations from a fixed list. GetCallerIdentity, GetAccountSummary and ListAccountAliases need one request
    each. One response of GetAccountAuthorizationDetails or ListInstanceProfiles contains at most 1,000 entries. By
    default, the tags of each instance profile need one request, GetInstanceProfile. If AWS denies GetInstanceProfile,
    iamframe calls ListInstanceProfileTags instead. For some other operations, iamframe also tries another operation
    after a denial. The frame `gaps` lists the data that no operation returned.

    iamframe lists EKS clusters only if a profile's path or tags suggest a cluster. iamframe lists CloudFormation stacks
    only if a profile's name suggests a stack. If `references` is `"none"`, iamframe lists neither clusters nor stacks.

    Parameters
    ----------
    regions
        The regions in which to look for references to profiles. The default is all enabled regions.
    references
        `"none"` (or False) reads no references. `"core"` reads instances, associations, spot requests, fleets, launch
        templates (all versions), launch configurations and Auto Scaling groups. `"all"` (or True) also reads Batch,
        EMR, Elastic Beanstalk, Image Builder, ECS, RDS Custom, PCS, Cloud9, DataZone and Bedrock AgentCore.
    role_details
        Whether to call ListRoles, too. ListRoles returns descriptions and maximum session durations.
        GetAccountAuthorizationDetails returns neither of them.
    tag_index
        Whether to read profile tags from the tagging API, and from IAM only for profiles that the tagging API does not
        return. One request to the tagging API returns the tags of up to 100 profiles. The tagging API can return
        outdated tags. The column `tag_source` of the frame `tags` shows which operation returned each tag.
    workers
        The number of requests that run at the same time. At times, iamframe runs one request more than this number.
    rate
        The maximum number of requests per second, per account, service and region. By default, iamframe has no limit,
        and slows down only if AWS throttles requests.
    progress
        Whether to show progress. The default is True in a terminal or notebook. If `progress` is a function, iamframe
        calls the function with three arguments. The first argument that iamframe passes to `progress` is the stage.
        The second argument is the number of finished tasks. The third argument is the number of all tasks known so
        far. In `load_fleet`, the second and third argument count accounts.
    source
        The text in the column `source` of the frame `accounts`.
    journal
        A file that keeps AWS's answers, so that an interrupted load can resume.

    Raises
    ------
    SourceError
        If the credentials are missing, expired or unknown, if AWS cannot be reached, if AWS denies all requests, or if
        an option is invalid.
    StoreError
        If the disk that holds the journal is full. Earlier answers stay in the journal.
    """
    require_session("load_account", session, 'boto3.Session(), or call iamframe.load("aws:CLI_PROFILE")')
    plan = load_plan(regions, references, role_details, tag_index, workers, rate)
    options = LoadOptions(plan, workers, rate, profile=source.partition(":")[2] or None)
    with progress_bars(progress) as show:
        answers = read_answers(session or open_session(), options, source, journal, show)
    return build_inventory(answers, [source])


def require_session(function: str, session: object, instead: str) -> None:
    if session is not None and not hasattr(session, "region_name"):
        raise WrongObjectError(f"{function} takes a boto3 session, not {type(session).__name__}: pass {instead}")


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The options of a load. If `ended` is None, the options can be pickled and sent to the workers of an executor."""

    plan: LoadPlan
    workers: int
    rate: float | None
    role_name: str | None = None
    # A kind of secret.
    external_id: str | None = field(default=None, repr=False)
    profile: str | None = None
    journals: str | None = None
    # The place to which each account is written. Without it, the account is returned.
    out: str | None = None
    # Set when the answers are no longer wanted.
    ended: threading.Event | None = None

    @property
    def region(self) -> str:
        """The region to which iamframe sends requests if no region is configured."""
        return DEFAULT_REGION if self.plan.regions == "all" else next(iter(self.plan.regions), DEFAULT_REGION)

    def secrets(self, member: Member) -> tuple[str, ...]:
        # AWS may repeat external ids in error messages.
        return spellings(member.external_id, self.external_id)


def load_plan(
    regions: Literal["all"] | Iterable[str],
    references: bool | References,
    role_details: bool,
    tag_index: bool,
    workers: object,
    rate: object,
) -> LoadPlan:
    if not (isinstance(references, bool) or references in get_args(References)):
        raise SourceError(f'references={references!r}: is not a value of this option; give "all", "core" or "none"')
    if not (isinstance(workers, Integral) and int(workers) >= 1):
        raise SourceError(f"workers={workers!r}: is not a number of requests in flight; give 1 or more")
    if rate is not None and not (isinstance(rate, Real) and 0 < float(rate) < math.inf):
        raise SourceError(f"rate={rate!r}: is not a number of requests per second; give one above 0, or none")
    named = listed_regions(regions)
    asked: References = ("all" if references else "none") if isinstance(references, bool) else references
    if asked != "none" and not named:
        raise SourceError("no region given; give one, or all")
    return LoadPlan(named, asked, role_details, tag_index)


def listed_regions(regions: Iterable[str]) -> Literal["all"] | tuple[str, ...]:
    if isinstance(regions, str):
        return "all" if regions == "all" else (regions,)
    named = tuple(dict.fromkeys(regions)) if isinstance(regions, Iterable) else (None,)
    if not all(isinstance(region, str) for region in named):
        raise SourceError(f"regions={regions!r}: is not a list of regions; give their names, or all")
    return named


def open_client(session: boto3.Session, options: LoadOptions, source: str) -> Client:
    named = options.plan.regions if options.plan.regions != "all" else ()
    check_regions(session, named, source)
    return Client(session, session.region_name or options.region, options.workers, options.rate)


def read_answers(
    session: boto3.Session,
    options: LoadOptions,
    source: str,
    journal: str | os.PathLike[str] | None,
    show: Progress,
    member: Member | None = None,
) -> list[Answer]:
    client = open_client(session, options, source)
    client.journal = Journal(Path(journal)) if journal is not None else None
    client.ended = options.ended or client.ended
    name, account = (member.account_name, member.account_id) if member else (None, None)
    try:
        with without_collector():
            answers = AccountReader(client, options.plan, source, name, account, show).answers()
        if client.stopped is not None and client.journal is not None:
            raise refused(ExpiredError, source, "access.expired_after", answers=len(client.journal))
        if client.stopped is not None and options.out is not None:
            # The same call reads the account again.
            raise client.stopped
    except RequestFailed as refusal:
        if member:
            # Redacting comes before shortening, because a part of an external id would not be recognised.
            refusal.message = redacted(refusal.message, options.secrets(member))
        raise first_failure(refusal, source, (member and member.profile) or options.profile) from refusal.cause
    finally:
        if client.journal is not None:
            client.journal.close()
    if all(answer.state == "refused" for answer in answers if answer.tally and answer.operation != IDENTITY):
        raise _refusal_of_all(answers, source)
    return answers


def _refusal_of_all(answers: list[Answer], source: str) -> SourceError:
    # A service control policy can deny even GetCallerIdentity.
    account_id = next((answer.account_id for answer in answers if answer.account_id), None)
    whose = {"message": "access.account" if account_id else "access.the_account", "account": account_id}
    records = (record for answer in answers for chunk in answer for record in chunk)
    failed = [record for record in records if isinstance(record, Gap) and record.message == "gaps.refused"]
    if any(gap.reason == "expired" for gap in failed):
        return refused(SourceError, source, "access.expired_before", account=whose)
    other = next((gap for gap in failed if gap.facts["advice"]["message"] != "gaps.advice.allow"), None)
    if other is None:
        return refused(SourceError, source, "access.all_denied", account=whose)
    message = "access.all_denied_explicitly" if other.reason == "denied" else "access.all_failed"
    return refused(SourceError, source, message, account=whose, **other.facts)
