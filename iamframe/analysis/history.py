"""Find in CloudTrail records which principal created or deleted each role and profile, and when."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd

from iamframe.errors import SourceError, WrongObjectError
from iamframe.inventory.build import build_inventory
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.load import is_live, load
from iamframe.inventory.schema import EVENTS, LIVES, shows
from iamframe.knowledge.arn import ROLE_TYPE, Query, parse_query, partition_of
from iamframe.knowledge.operations import UNKNOWN_ACCOUNT
from iamframe.messages.render import say
from iamframe.sources.cloudtrail import (
    ACTIONS,
    CREATE,
    DELETE,
    HOMES,
    LOOKUP,
    TRAIL,
    LookupPage,
    event_of,
    is_of_iam,
    record_of,
)
from iamframe.sources.documents import BROKEN, problem_of
from iamframe.sources.records import Answer
from iamframe.sources.sessions import DEFAULT_REGION, first_failure, open_session, source_name

if TYPE_CHECKING:
    import boto3

# CloudTrail API Reference, LookupEvents: two requests a second, up to 50 events each, of the last 90 days. An event may
# take 15 minutes to appear (User Guide, "How CloudTrail works").
_RATE = 2.0
_PAGE = 50
_LOOKS_BACK = timedelta(days=90)
_LAG = timedelta(minutes=15)

# Tools by a part of the user agent; the first match counts (CloudTrail User Guide, "CloudTrail record contents":
# `userAgent`; SDKs and terraform-provider-aws).
_TOOLS = (
    (re.compile(r"^(?:console|signin)\.amazonaws\.com|^Mozilla/"), "console"),
    (re.compile(r"^cloudformation\.amazonaws\.com"), "CloudFormation"),
    (re.compile(r"^([a-z0-9.-]+\.amazonaws\.com(?:\.cn)?)$"), None),
    (re.compile(r"^AWS Internal"), "AWS"),
    (re.compile(r"\bPulumi"), "Pulumi"),
    (re.compile(r"\bOpenTofu/"), "OpenTofu"),
    (re.compile(r"\b[Tt]erraform(?:-provider-aws)?/"), "Terraform"),
    (re.compile(r"\baws-cli/"), "AWS CLI"),
    (re.compile(r"\bAWSPowerShell"), "AWS Tools for PowerShell"),
    (re.compile(r"\bBoto3/"), "boto3"),
    (re.compile(r"\bBotocore/"), "botocore"),
    (re.compile(r"\b(aws-sdk-[a-z0-9]+(?:-[a-z0-9]+)*)"), None),
)
# IAM User Guide, "IAM identifiers": the prefixes of roles and instance profiles.
_UNIQUE_ID = re.compile(r"(?i)A(?:RO|IP)A[A-Z0-9]{13,}")
_CREATIONS, _DELETIONS = ([name for name, action in ACTIONS.items() if action.step == s] for s in (CREATE, DELETE))
_SUBJECT = ["account_id", "resource_type", "folded"]

# Errors of an endpoint that is not CloudTrail, or of a region without LookupEvents: waiting does not help.
_NO_LOOKUP = {"InvalidAction", "UnknownOperationException", "UnsupportedOperation", "404", "501"}


@shows(LIVES)
def history(*sources: Inventory | boto3.Session | str | os.PathLike[str], name: str | None = None) -> pd.DataFrame:
    """Return when roles and instance profiles were created and deleted, and by whom.

    A *life* lasts from the creation of a resource to its deletion. A recreated role or profile has a separate row for
    each life. Rows are sorted by account, then by the time of the first event in the row's life. The times and
    callers of events come from CloudTrail records. Without a record of the creation (or deletion), its time and caller
    are missing. The columns `covered_from_at` and `covered_to_at` show the period that the records cover. The period is
    unknown for a file with the output of `aws cloudtrail lookup-events`. Events within the period are missing if you
    did not pass all files of a trail. The history leaves out accounts without CloudTrail records. The history also
    leaves out requests that AWS refused.

    Parameters
    ----------
    sources
        An inventory, files, a snapshot or a live account. Pass a live account as a boto3 session, `aws` or
        `aws:CLI_PROFILE`. For a live account, the lookup covers the last 90 days. The lookup reads only events about
        `name`, in IAM's region. The lookup needs the permission `cloudtrail:LookupEvents`. The lookup reads at most
        100 events per second.
    name
        A name, ARN or unique id, to select roles and profiles. Case does not matter, except in a live account. A name
        selects every role and profile that ever had this name. An ARN selects every role or profile that ever had this
        ARN. An ARN without a path also selects resources that differ from the ARN only in their path. A CloudTrail
        record with a name but no ARN matches if its name and account are those in the given ARN. A unique id selects
        one role or profile.

    Raises
    ------
    SourceError
        If `load` refuses a source, if the sources lack CloudTrail records of IAM's region, or if `name` is an ARN of an
        account without CloudTrail records of IAM's region. For a live account, `history` also raises `SourceError` if
        `name` is missing or is a unique id, if AWS refuses the request, or if an event is unreadable.

    Examples
    --------
    >>> iamframe.history("cloudtrail/", name="web")[["resource_type", "created_at", "created_by", "deleted_at"]]
    ... # doctest: +SKIP
    """
    read = _read(sources, name)
    lives = _lives(read.events).merge(read.covered, on="account_id", how="left", validate="many_to_one")
    if name is not None:
        query = parse_query(name)
        is_named = _named(lives, query, "resource")
        has_id = lives["resource_id"].str.casefold() == query.text.casefold()
        # If the records show only links of a resource, its id is only in the inventory.
        id_elsewhere = lives["resource_id"].isna() & lives["resource_arn"].isin(read.arns_of_id(query.text))
        lives = lives[is_named | has_id | id_elsewhere]
    return LIVES.conform(lives)


@shows(EVENTS)
def events_of(*sources: Inventory | boto3.Session | str | os.PathLike[str], name: str) -> pd.DataFrame:
    """Return the events of the roles and profiles that `name` selects, including requests that AWS refused.

    A refused request is left out if its CloudTrail record shows no name. The result is sorted by account, then by time.
    If possible, events in the same second are in an order that IAM allows, such as CreateRole before
    AddRoleToInstanceProfile. The events of a role include AddRoleToInstanceProfile and RemoveRoleFromInstanceProfile.
    The parameters `sources` and `name` have the same meaning as in `history`. To leave out events of other resources
    with the same name, give the unique id (not possible for a live account).

    Raises
    ------
    SourceError
        In the same cases as in `history`.
    """
    return _events_of(_read(sources, name), name)


def recorded_events(inventory: Inventory, name: str) -> pd.DataFrame:
    return _events_of(_Read(inventory.events, inventory.accounts, inventory), name)


def _events_of(read: _Read, name: str) -> pd.DataFrame:
    query, events = parse_query(name), read.events
    is_named = _named(events, query, "resource")
    if query.kind in (None, ROLE_TYPE):
        is_named |= _named(events, query, "related")
    found = events[is_named | _of_id(events, query.text, read.arns_of_id(query.text))]
    return found.sort_values(["account_id", "event_order"], ignore_index=True)


@dataclass(frozen=True)
class _Read:
    events: pd.DataFrame
    covered: pd.DataFrame
    # Missing after a live lookup.
    inventory: Inventory | None = None

    def arns_of_id(self, unique_id: str) -> list[str]:
        if self.inventory is None:
            return []
        arns: list[str] = []
        for side, frame in (("role", self.inventory.roles), ("profile", self.inventory.profiles)):
            arns += frame.loc[frame[f"{side}_id"].str.casefold() == unique_id.casefold(), f"{side}_arn"].tolist()
        return arns


def _read(sources: tuple[Any, ...], name: str | None) -> _Read:
    only = sources[0] if len(sources) == 1 else None
    if hasattr(only, "client") or (isinstance(only, str) and is_live(only)):
        return _looked_up(only, name)
    inventory = only if isinstance(only, Inventory) else load(*_paths(sources))
    if not inventory.events_read:
        where = ", ".join(inventory.sources) or "the inventory"
        raise SourceError(
            f"{where}: holds no CloudTrail records of write management events in {HOMES['aws']}, where CloudTrail "
            "records changes to IAM; add such files of a trail, or what `aws cloudtrail lookup-events` prints there"
        )
    if name is not None:
        read = inventory.calls["account_id"][inventory.calls["operation"].isin([TRAIL, LOOKUP])]
        _require_account(", ".join(inventory.sources), name, read)
    spans = {"events_from_at": "covered_from_at", "events_to_at": "covered_to_at"}
    covered = inventory.accounts[["account_id", *spans]].rename(columns=spans)
    return _Read(inventory.events, covered, inventory)


def _paths(sources: Iterable[Any]) -> Iterator[str | os.PathLike[str]]:
    for source in sources:
        if not isinstance(source, (str, os.PathLike)):
            raise WrongObjectError(
                f"{type(source).__name__}: is not a file, folder or snapshot; pass only an inventory, only a boto3 "
                "session, or only files"
            )
        yield source


def _require_account(source: str, name: str, read: Iterable[str]) -> None:
    accounts, account = sorted(set(read)), parse_query(name).account
    # The account of an empty look-up is unknown.
    if account and account not in accounts and UNKNOWN_ACCOUNT not in accounts:
        raise SourceError(
            f"{source}: holds no CloudTrail records of the account {account}, only of {', '.join(accounts)}; add a "
            "trail's files of that account"
        )


def _named(frame: pd.DataFrame, query: Query, which: str) -> pd.Series[bool]:
    named: pd.Series[bool] = frame[f"{which}_name"].str.casefold() == query.name.casefold()
    if query.kind and which == "resource":
        named &= frame["resource_type"] == query.kind
    if query.account:
        named &= frame["account_id"] == query.account
    if query.is_arn or query.path:
        arns = frame[f"{which}_arn"]
        known = {arn: parse_query(arn) for arn in arns[named].dropna().unique()}
        # The ARN in the query may be without its path. The ARN of a session never has a path.
        same = [arn for arn, one in known.items() if query.partition in (None, one.partition)]
        same = [arn for arn in same if query.path in (None, known[arn].path)]
        named &= arns.isna() | arns.isin(same)
    return named


def _of_id(events: pd.DataFrame, text: str, arns: list[str]) -> pd.Series[bool]:
    ids = events["resource_id"].str.casefold() == text.casefold()
    arns = [*events["resource_arn"][ids].dropna().unique(), *arns]
    by_arn = events["resource_arn"].isin(arns) & events["resource_id"].isna()
    # AddRoleToInstanceProfile and RemoveRoleFromInstanceProfile count only while the resource existed.
    linked = events["related_arn"].isin(arns)
    if not linked.any():
        return ids | by_arn
    # A resource that was recreated under the same ARN is a different one.
    others = events["resource_arn"].isin(arns) & events["resource_id"].notna() & ~ids
    order = events["event_order"].to_numpy(dtype=np.int64)
    first = order[ids].min(initial=len(order))
    before, after = (order[others & place] for place in (order < first, order > first))
    lived = (order > before.max(initial=-1)) & (order < after.min(initial=len(order)))
    found: pd.Series[bool] = ids | by_arn | (linked & lived)
    return found


def _lives(events: pd.DataFrame) -> pd.DataFrame:
    done = events[events["error_code"].isna() & events["resource_name"].notna()]
    linked = done[done["related_name"].notna()]
    swapped = {"resource_name": "related_name", "resource_arn": "related_arn", "related_name": "resource_name"}
    of_roles = linked.assign(
        resource_type=ROLE_TYPE, resource_id=np.nan, **{to: linked[source] for to, source in swapped.items()}
    )
    touched = pd.concat([done, of_roles.astype(done.dtypes)], ignore_index=True)
    touched["folded"] = touched["resource_name"].str.casefold()
    touched = touched.sort_values([*_SUBJECT, "event_order"], ignore_index=True)
    created, deleted = (touched["event_name"].isin(names) for names in (_CREATIONS, _DELETIONS))
    # AcquireRole calls CreateRole to create a role. If both were recorded, they are one creation.
    before = touched.groupby(_SUBJECT)["resource_id"].shift().where(created.shift(fill_value=False))
    created &= ~(touched["resource_id"].notna() & (touched["resource_id"] == before))
    first = ~touched.duplicated(_SUBJECT)
    begins = first | created | deleted.shift(fill_value=False)
    agents = touched["user_agent"].dropna().unique()
    touched["with"] = touched["user_agent"].map({agent: _tool(agent) for agent in agents}).astype("str")
    number = begins.cumsum().rename("number")
    grouped = touched.groupby(number)
    lives = grouped[[*_SUBJECT, "resource_name", "resource_arn", "resource_id"]].first()
    lives["life"] = begins.groupby([touched[column] for column in _SUBJECT]).cumsum()[begins].to_numpy()
    lives["events"] = grouped.size()
    lives["first_event_at"], lives["last_event_at"] = grouped["event_at"].min(), grouped["event_at"].max()
    lives["first_order"] = grouped["event_order"].min()
    for what, rows in (("created", created), ("deleted", deleted)):
        steps = touched[rows].set_index(number[rows])
        for column, source in (("at", "event_at"), ("by", "actor_arn"), ("with", "with")):
            lives[f"{what}_{column}"] = steps[source]
    related = touched[touched["related_name"].notna()]
    names = related.groupby(number[related.index])["related_name"]
    lives["related_names"] = names.agg(lambda held: " ".join(dict.fromkeys(held))).astype("str")
    return lives.sort_values(["account_id", "first_order", "resource_type"], ignore_index=True)


def _tool(agent: str) -> str | float:
    for pattern, tool in _TOOLS:
        if found := pattern.search(agent):
            return tool or found.group(1)
    return np.nan


def _looked_up(live: boto3.Session | str, name: str | None) -> _Read:
    from iamframe.sources.client import Client
    from iamframe.sources.refusals import RequestFailed

    profile = live.partition(":")[2] or None if isinstance(live, str) else None
    session = open_session(profile) if isinstance(live, str) else live
    source = source_name(profile)
    if not name:
        raise SourceError(f"{source}: is looked up for one name; give name=, or load a trail's files for all")
    if _UNIQUE_ID.fullmatch(name.strip()):
        # Events that name the resource without its id would be missing, such as its deletion.
        raise SourceError(f"{source}: {name} is a unique id, but CloudTrail looks up names; give the name or the ARN")
    client = Client(session, session.region_name or DEFAULT_REGION, workers=1, rate=_RATE)
    try:
        identity = client.identity()
    except RequestFailed as refusal:
        raise first_failure(refusal, source, profile) from refusal.cause
    _require_account(source, name, [identity.account])
    account, home = identity.account, HOMES.get(partition_of(identity.arn) or "aws", DEFAULT_REGION)
    asked_at = datetime.now(UTC)
    attribute = {"AttributeKey": "ResourceName", "AttributeValue": parse_query(name).name}
    try:
        pages = client.pages("cloudtrail", LOOKUP, home, LookupAttributes=[attribute], MaxResults=_PAGE)
        looked = [one for page in pages for one in msgspec.json.decode(page, type=LookupPage).events]
        found = (event_of(record)[1] for record in map(record_of, looked) if is_of_iam(record))
        # An AcquireRole that returned an existing role is no event.
        events = [event for event in found if event]
    except RequestFailed as refusal:
        raise SourceError(_refused(source, refusal.reason, refusal.code, home)) from refusal.cause
    except BROKEN as error:
        why = say(**problem_of(error, "CloudTrailEvent"))
        raise SourceError(f"{source}: CloudTrail returned an unreadable event ({why}); load a trail's files") from error
    answer = Answer(LOOKUP, "AWS", [events] if events else [], account, source=source)  # type: ignore[list-item]
    covered = pd.DataFrame({"account_id": [account], "covered_from_at": asked_at - _LOOKS_BACK})
    return _Read(build_inventory([answer], [source]).events, covered.assign(covered_to_at=asked_at - _LAG))


def _refused(source: str, reason: str, code: str, home: str) -> str:
    if reason == "denied":
        return (
            f"{source}: may not look up CloudTrail's events ({code}); allow cloudtrail:LookupEvents in {home}, or load "
            "a trail's files"
        )
    what = f"{source}: CloudTrail's events could not be looked up in {home} ({code})"
    if code in _NO_LOOKUP:
        return f"{what}: what answers has no such look-up; load a trail's files instead"
    return f"{what}; {'renew the credentials and run it again' if reason == 'expired' else 'run it again later'}"
