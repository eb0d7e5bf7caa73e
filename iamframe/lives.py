"""What CloudTrail tells of roles and instance profiles: their lives, and the events of one name."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd

from iamframe.errors import SourceError
from iamframe.inventory import Inventory, build_inventory
from iamframe.loading import is_live, load
from iamframe.schema import LIVES
from iamframe.sources.cloudtrail import (
    ACTIONS,
    CREATE,
    DELETE,
    HOMES,
    LOOKUP,
    ROLE,
    LookedPage,
    event_of,
    is_of_iam,
    record_of,
)
from iamframe.sources.connecting import DEFAULT_REGION, first_failure, open_session, source_name
from iamframe.sources.records import Answer, account_of, name_of, partition_of

if TYPE_CHECKING:
    import boto3

# CloudTrail API Reference, LookupEvents: two requests a second, up to 50 events each, of the last 90 days. An event may
# take a quarter of an hour to be shown (User Guide, "How CloudTrail works").
_RATE = 2.0
_PAGE = 50
_LOOKS_BACK = timedelta(days=90)
_LAG = timedelta(minutes=15)

# By what a user agent says (CloudTrail User Guide, "CloudTrail record contents": `userAgent`; what the SDKs and
# terraform-provider-aws send); the first that fits.
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
_CREATIONS, _DELETIONS = ([name for name, action in ACTIONS.items() if action.step == s] for s in (CREATE, DELETE))
_SUBJECT = ["account_id", "resource_type", "folded"]

# Frames of events come with the times between which events were read, per account.
_Read = tuple[pd.DataFrame, pd.DataFrame]


def history(*sources: Inventory | boto3.Session | str | os.PathLike[str], name: str | None = None) -> pd.DataFrame:
    """Return the lives of roles and instance profiles that CloudTrail tells of: who created and deleted them, and how.

    One row per life: a name that is created again begins another. Columns are those of `iamframe.schema.LIVES`; rows
    stand per account in the order of their first events. A time that is missing was not among what was read:
    `covered_from_at` and `covered_to_at` say between which times the account's events were read, which only a trail's
    files and a live look-up tell, and not whether a file in between is missing. Events that AWS refused are left out.

    Parameters
    ----------
    sources
        An inventory, files or a snapshot as `iamframe.load` takes them, or a live account: a boto3 session, `aws` or
        `aws:PROFILE`. Of that, CloudTrail's look-up is asked for the events of one name in the last 90 days, in the
        region of IAM, 50 a request and two requests a second; it needs `cloudtrail:LookupEvents`.
    name
        Name or ARN of a role or profile, whose lives alone are returned; names are compared without case (the live
        look-up compares them with it).

    Raises
    ------
    SourceError
        If no CloudTrail records of IAM are in the sources, a live account is asked without a name or refuses, or a
        source is refused as by `load`.

    Examples
    --------
    >>> iamframe.history("cloudtrail/", name="web")[["resource_type", "created_at", "created_by", "deleted_at"]]
    ... # doctest: +SKIP
    """
    events, covered = _read(sources, name)
    lives = _lives(events).merge(covered, on="account_id", how="left", validate="many_to_one")
    if name is not None:
        lives = lives[_named(lives, name, "resource_name", None)]
    return LIVES.conform(lives)


def events_of(*sources: Inventory | boto3.Session | str | os.PathLike[str], name: str) -> pd.DataFrame:
    """Return the events of one role or profile in the order of cause, those that AWS refused among them.

    Rows and columns are those of the frame `events`: what was done to the resource, and, of a role, what put it into
    profiles and took it out. Sources and name are those of `history`. Of an inventory in which no CloudTrail records
    were read there are no rows, and `accounts.events_from_at` is missing.

    Raises
    ------
    SourceError
        As `history`, but for an inventory without CloudTrail records.
    """
    if len(sources) == 1 and isinstance(sources[0], Inventory):
        events = sources[0].events
    else:
        events, _ = _read(sources, name)
    found = events[_named(events, name, "resource_name", "related_name")]
    return found.sort_values(["account_id", "event_order"], ignore_index=True)


def _read(sources: tuple[Any, ...], name: str | None) -> _Read:
    if len(sources) == 1 and (hasattr(sources[0], "client") or _is_live(sources[0])):
        return _looked_up(sources[0], name)
    inventory = sources[0] if len(sources) == 1 and isinstance(sources[0], Inventory) else load(*sources)
    if not inventory.events_read:
        where = ", ".join(inventory.sources) or "the inventory"
        raise SourceError(
            f"{where}: holds no CloudTrail records that can tell of IAM; add a trail's files of {HOMES['aws']}, where "
            "IAM's events stand, or what `aws cloudtrail lookup-events` prints there"
        )
    spans = {"events_from_at": "covered_from_at", "events_to_at": "covered_to_at"}
    return inventory.events, inventory.accounts[["account_id", *spans]].rename(columns=spans)


def _is_live(source: object) -> bool:
    return isinstance(source, str) and is_live(source)


def _named(frame: pd.DataFrame, name: str, own: str, related: str | None) -> pd.Series[bool]:
    """Return which rows are of a name, or, where it is an ARN, of the resource of that account, type and name."""
    folded, account = name_of(name).casefold(), account_of(name)
    kind = name.split(":", 5)[5].partition("/")[0] if account else None
    named = frame[own].str.casefold() == folded
    if kind:
        named &= frame["resource_type"] == kind
    if related and kind in (None, ROLE):
        named |= frame[related].str.casefold() == folded
    return named & (frame["account_id"] == account) if account else named


def _lives(events: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of lives but the times that were covered."""
    done = events[events["error_code"].isna() & events["resource_name"].notna()]
    linked = done[done["related_name"].notna()]
    held = linked.assign(
        resource_type=ROLE,
        resource_name=linked["related_name"],
        resource_arn=linked["related_arn"],
        resource_id=np.nan,
        related_name=linked["resource_name"],
    )
    touched = pd.concat([done, held.astype(done.dtypes)], ignore_index=True)
    touched["folded"] = touched["resource_name"].str.casefold()
    touched = touched.sort_values([*_SUBJECT, "event_order"], ignore_index=True)
    created, deleted = (touched["event_name"].isin(names) for names in (_CREATIONS, _DELETIONS))
    first = ~touched.duplicated(_SUBJECT)
    begins = first | created | deleted.shift(fill_value=False)
    touched["with"] = touched["user_agent"].map(_tools(touched["user_agent"])).astype("str")
    number = begins.cumsum().rename("number")
    grouped = touched.groupby(number)
    lives = grouped[[*_SUBJECT, "resource_name", "resource_arn", "resource_id"]].first()
    lives["life"] = begins.groupby([touched[column] for column in _SUBJECT]).cumsum()[begins].to_numpy()
    lives["events"] = grouped.size()
    lives["first_event_at"], lives["last_event_at"] = grouped["event_at"].min(), grouped["event_at"].max()
    lives["first_order"] = grouped["event_order"].min()
    for what, rows in (("created", created), ("deleted", deleted)):
        of = touched[rows].set_index(number[rows])
        for column, source in (("at", "event_at"), ("by", "actor_arn"), ("with", "with")):
            lives[f"{what}_{column}"] = of[source]
    related = touched[touched["related_name"].notna()]
    names = related.groupby(number[related.index])["related_name"]
    lives["related_names"] = names.agg(lambda held: " ".join(dict.fromkeys(held))).astype("str")
    return lives.sort_values(["account_id", "first_order", "resource_type"], ignore_index=True)


def _tools(agents: pd.Series[str]) -> dict[str, str | float]:
    return {agent: _tool(agent) for agent in agents.dropna().unique()}


def _tool(agent: str) -> str | float:
    for pattern, tool in _TOOLS:
        if found := pattern.search(agent):
            return tool or found.group(1)
    return np.nan


def _looked_up(live: boto3.Session | str, name: str | None) -> _Read:
    """Return the events of one name that a live account looks up."""
    from iamframe.sources.asking import Asker, Refused

    profile = live.partition(":")[2] or None if isinstance(live, str) else None
    session = open_session(profile) if isinstance(live, str) else live
    source = source_name(profile)
    if not name:
        raise SourceError(f"{source}: is looked up for one name; give name=, or load a trail's files for all")
    asker = Asker(session, session.region_name or DEFAULT_REGION, workers=1, rate=_RATE)
    try:
        identity = msgspec.json.decode(asker.ask("sts", "GetCallerIdentity"), type=dict[str, str])
    except Refused as refusal:
        raise first_failure(refusal, source, profile) from refusal.cause
    account, home = identity["Account"], HOMES.get(partition_of(identity["Arn"]) or "aws", DEFAULT_REGION)
    asked_at = datetime.now(UTC)
    attribute = {"AttributeKey": "ResourceName", "AttributeValue": name_of(name)}
    try:
        pages = asker.pages("cloudtrail", LOOKUP, home, LookupAttributes=[attribute], MaxResults=_PAGE)
        looked = [one for page in pages for one in msgspec.json.decode(page, type=LookedPage).events]
    except Refused as refusal:
        raise SourceError(_refused(source, refusal.reason, refusal.code, home)) from refusal.cause
    events = [event_of(record)[1] for record in map(record_of, looked) if is_of_iam(record)]
    answer = Answer(LOOKUP, "AWS", [events] if events else [], account, source=source)  # type: ignore[list-item]
    covered = pd.DataFrame({"account_id": [account], "covered_from_at": asked_at - _LOOKS_BACK})
    return build_inventory([answer], [source]).events, covered.assign(covered_to_at=asked_at - _LAG)


def _refused(source: str, reason: str, code: str, home: str) -> str:
    if reason == "denied":
        return (
            f"{source}: may not look up CloudTrail's events ({code}); allow cloudtrail:LookupEvents in {home}, or load "
            "a trail's files"
        )
    return f"{source}: CloudTrail's events could not be looked up in {home} ({code}); run it again later"
