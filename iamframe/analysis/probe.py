"""The function `probe_surfaces`, which tests what `iamframe.surfaces()` says about the tagging API."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, Literal

import msgspec
import pandas as pd

from iamframe.errors import SourceError
from iamframe.inventory import schema
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.live import listed_regions, load_account, require_session
from iamframe.knowledge.arn import ROLE_TYPE
from iamframe.knowledge.operations import TAG_INDEX, UNKNOWN_REGION
from iamframe.knowledge.surfaces import Fact, index_home, known_facts
from iamframe.messages.text import pluralize
from iamframe.sources.calls import Calls, Indexed
from iamframe.sources.client import Client
from iamframe.sources.records import LoadPlan
from iamframe.sources.refusals import CLOSED, RequestFailed
from iamframe.sources.regions import ReferenceReader
from iamframe.sources.sessions import DEFAULT_REGION, check_regions, open_session

if TYPE_CHECKING:
    import boto3

_SURFACE = "Resource Groups Tagging API"
_NOUNS = {"role": "role", "instance-profile": "instance profile"}
_NOT_LISTED = "which regions are enabled could not be read: {}, or name them with regions="
_RENEW = "renew the credentials and ask again"
_WAYS_OUT = {
    "closed": "the region is probably not enabled, so leave it out, or enable it",
    "denied": "allow tag:GetResources",
    "expired": _RENEW,
}

_TagSet = frozenset[tuple[str, str]]


class _Page(msgspec.Struct):
    shown: list[Indexed] = msgspec.field(name="ResourceTagMappingList", default_factory=list)


class _Seen(msgspec.Struct, frozen=True):
    tags: dict[str, _TagSet]
    # The reason why AWS refused a request.
    refusal: str | None = None


@schema.shows(schema.PROBES)
def probe_surfaces(
    session: boto3.Session | None = None,
    *,
    regions: Literal["all"] | Iterable[str] = "all",
    workers: int = 16,
    rate: float | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Test in a live account what `iamframe.surfaces()` says about the Resource Groups Tagging API.

    The test compares the tags that the Resource Groups Tagging API returns with the tags that IAM returns. The returned
    frame has one row per region and resource type. The column `holds` shows whether the result is as expected. The
    tagging API can be some minutes behind IAM, so the newest tags may be missing there.

    The column `holds` is `unknown`

    - if AWS refuses the request;
    - if neither the tagging API in the row's region nor IAM shows a tagged resource of the row's type;
    - if the row is about instance profiles in a partition other than `aws` and `aws-us-gov`.

    `probe_surfaces` changes nothing in AWS. `probe_surfaces` sends the requests of `load_account(references=False)`,
    and in addition at least two GetResources requests per region. If `regions` is "all", `probe_surfaces` also sends
    DescribeRegions. One response of GetResources contains at most 100 resources.

    Parameters
    ----------
    regions
        The regions to test: a list of names, or "all" for all enabled regions.
    workers, rate, progress
        As for `load_account`.

    Raises
    ------
    SourceError
        If the credentials are missing, expired or unknown, if `regions` is empty, if AWS cannot be reached, or if AWS
        denies all requests to IAM.
    """
    require_session("probe_surfaces", session, "boto3.Session()")
    asked = listed_regions(regions)
    named = None if asked == "all" else asked
    if named == ():
        raise SourceError("no region given; give one, or all")
    session = session or open_session()
    check_regions(session, named or (), "aws")
    inventory = load_account(
        session, regions=named or "all", references=False, workers=workers, rate=rate, progress=progress
    )
    account_id, partition = inventory.accounts[["account_id", "partition"]].iloc[0]
    client = Client(session, session.region_name or (named or (DEFAULT_REGION,))[0], workers, rate)
    home = index_home(partition)
    calls = Calls(client, "aws")
    where = list(named or ReferenceReader(calls, LoadPlan("all")).regions())
    is_whole = not any(gap.region == UNKNOWN_REGION for gap in calls.gaps)
    if not is_whole and home is not None and home not in where:
        where.append(home)
    facts = [fact for fact in known_facts() if fact.surface == _SURFACE and fact.operation == "read"]
    tests = list(product(where, facts))
    with ThreadPoolExecutor(workers, thread_name_prefix="iamframe") as pool:
        seen = list(pool.map(lambda test: _indexed(client, test[0], test[1].resource_type), tests))
    in_iam = {fact.resource_type: _tags_of(inventory, fact.resource_type) for fact in facts}
    if not is_whole:
        tests += product([UNKNOWN_REGION], facts)
        is_expired = any(gap.reason == "expired" for gap in calls.gaps)
        way_out = _RENEW if is_expired else "allow ec2:DescribeRegions"
        seen += [_Seen({}, _NOT_LISTED.format(way_out)) for _ in facts]
    rows = []
    for (region, fact), found in zip(tests, seen, strict=True):
        key = account_id, fact.surface, fact.resource_type, fact.operation, region
        rows.append((*key, *_judged(fact, _expected(fact, region, home), in_iam[fact.resource_type], found)))
    return schema.PROBES.conform(dict(zip(schema.PROBES.names, zip(*rows, strict=True), strict=True)))


def _indexed(client: Client, region: str, resource_type: str) -> _Seen:
    found: dict[str, _TagSet] = {}
    wanted = {"ResourceTypeFilters": [f"iam:{resource_type}"], "ResourcesPerPage": 100}
    try:
        for page in client.pages("resourcegroupstaggingapi", TAG_INDEX, region, **wanted):
            for one in msgspec.json.decode(page, type=_Page).shown:
                found[one.arn] = frozenset((tag.key, tag.value) for tag in one.tags)
    except RequestFailed as refusal:
        what = _WAYS_OUT.get("closed" if refusal.code in CLOSED else refusal.reason, "ask again")
        return _Seen(found, f"AWS did not answer GetResources in {region} ({refusal.code}); {what}")
    return _Seen(found)


def _tags_of(inventory: Inventory, resource_type: str) -> dict[str, _TagSet]:
    side, frame = ("role", inventory.roles) if resource_type == ROLE_TYPE else ("profile", inventory.profiles)
    tags = defaultdict(set)
    for arn, key, value in inventory.tags[["resource_arn", "tag_key", "tag_value"]].itertuples(index=False):
        tags[arn].add((key, value))
    return {arn: frozenset(tags.get(arn, ())) for arn in frame[f"{side}_arn"][frame["tags_known"]]}


def _expected(fact: Fact, region: str, home: str | None) -> str:
    if fact.answer != "depends":
        return fact.answer
    # The condition is IAM's home region in the index. No source shows that region for every partition.
    if home is None or region == UNKNOWN_REGION:
        return "unknown"
    return "yes" if region == home else "no"


def _judged(
    fact: Fact, expected: str, known: dict[str, _TagSet], seen: _Seen
) -> tuple[str, int | None, int | None, int | None, str, str]:
    noun = _NOUNS[fact.resource_type]
    tagged = sum(1 for tags in known.values() if tags) if known else None
    if seen.refusal is not None:
        return expected, tagged, None, None, "unknown", seen.refusal
    shown, differing = len(seen.tags), sum(known.get(arn, tags) != tags for arn, tags in seen.tags.items())
    nothing = f"the tags of no {noun} in IAM are known"
    in_iam = nothing if tagged is None else f"IAM has {pluralize(tagged, noun)} with tags"
    bare = sum(not tags for tags in seen.tags.values())
    without = f" ({bare:,} without tags, which may have had some before)" if bare else ""
    holds, detail = "unknown", f"it shows {pluralize(shown, noun)}{without}, and {in_iam}"
    if differing:
        detail += f"; {pluralize(differing, noun)} with other tags than in IAM, perhaps because it lags behind"
    if expected == "unknown":
        detail += "; no source says what it shows in this partition"
    elif shown:
        holds = expected
    elif not tagged:
        detail += ", so there is nothing to compare"
    else:
        holds = "no" if expected == "yes" else "yes"
        if expected == "yes":
            detail += "; it lags behind, so ask again in some hours if these are new"
    if holds == "no":
        detail += f"; on {fact.checked_on}, AWS did otherwise"
    return expected, tagged, shown, differing, holds, detail
