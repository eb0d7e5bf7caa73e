"""From a source to an Inventory, in one call."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from iamframe.errors import SourceError
from iamframe.inventory import Inventory, build_inventory
from iamframe.sources.archives import shown
from iamframe.progress import Progress, shown as shown_progress
from iamframe.sources.files import read_files
from iamframe.sources.sample import sample_folder

if TYPE_CHECKING:
    import boto3

SAMPLE = "sample"
AWS = "aws"


def is_live(source: str | os.PathLike[str]) -> bool:
    """Return whether a source is a live account: `aws`, or `aws:PROFILE`."""
    return str(source) == AWS or str(source).startswith(f"{AWS}:")


def load(*sources: str | os.PathLike[str]) -> Inventory:
    """Load sources as the command line names them: `sample`, `aws`, `aws:PROFILE`, or what `load_files` takes.

    A live account is read as by `load_account`, with its defaults.

    Raises
    ------
    SourceError
        If the sample or an account is named beside others, no source is given, or a source is refused as by
        `load_files` or `load_account`.
    """
    live = [str(source) for source in sources if is_live(source)]
    if live:
        if len(sources) > 1:
            raise SourceError(
                f"{live[0]}: is read live; name it alone, and several accounts with --accounts or load_fleet"
            )
        from iamframe.sources.connecting import open_session

        return load_account(open_session(live[0].partition(":")[2] or None), source=live[0])
    if SAMPLE not in sources:
        return load_files(*sources)
    if len(sources) > 1:
        raise SourceError("sample: is fiction; name it alone, or a folder of your own of that name as ./sample")
    return load_sample()


def load_files(*paths: str | os.PathLike[str]) -> Inventory:
    """Load what files hold: what the AWS CLI prints, AWS Config items, Terraform state and plans, Steampipe rows.

    A path is a file, a folder (read with all beneath it), a `.gz` or a `.zip`. Files are told apart by their shape,
    not by their name, but for tag listings, which must be `instance-profile-tags/NAME.json` or `role-tags/NAME.json`,
    and `denied.csv` (`operation,subject,error_code`), which says what was refused to whoever made the files. No
    request is made to AWS.

    Returns
    -------
    Inventory
        Its frames hold what the files prove; what they do not prove, or what could not be read, is in `gaps`.

    Raises
    ------
    SourceError
        If no path is given, a path does not exist, or nothing in all of them could be read.
    """
    if not paths:
        raise SourceError("no file given; name a file or folder that holds what the AWS CLI printed")
    # A folder of one's own that is named like the sample is not the sample.
    names = [shown(path) for path in paths]
    return build_inventory(read_files(paths), [f"./{name}" if name == SAMPLE else name for name in names])


def load_sample() -> Inventory:
    """Load the fictional sample that comes with iamframe; nothing to set up, no request to AWS."""
    return build_inventory(read_files([sample_folder()]), [SAMPLE])


def load_account(
    session: boto3.Session | None = None,
    *,
    regions: Literal["all"] | Iterable[str] = "all",
    references: bool | Literal["all"] = True,
    role_details: bool = False,
    tag_index: bool = False,
    workers: int = 16,
    rate: float | None = None,
    progress: bool | Progress | None = None,
    source: str = AWS,
    journal: str | os.PathLike[str] | None = None,
) -> Inventory:
    """Load one live account, read-only, with the credentials of a boto3 session (by default the environment's).

    Requests: GetCallerIdentity, GetAccountSummary and ListAccountAliases once, GetAccountAuthorizationDetails and
    ListInstanceProfiles in pages of 1,000, and one per instance profile for its tags (GetInstanceProfile, or
    ListInstanceProfileTags where only that is allowed). What is denied is replaced by the next best plan, and told in
    `gaps` and `calls`. Nothing that is not on iamframe's list of reads is ever sent.

    Parameters
    ----------
    regions
        Where to look for what refers to profiles: all that are enabled (one request tells), or those named.
    references
        Whether to look for it: instances, associations, launch templates and configurations, Auto Scaling groups, spot
        requests and fleets; with `"all"` also Batch, EMR, Elastic Beanstalk, Image Builder, ECS, RDS Custom and PCS.
    role_details
        Whether to read descriptions and longest sessions too, which only ListRoles has.
    tag_index
        Whether to read profile tags from the tagging API first, 100 a request, and one by one only what it does not
        show. It lags behind: `tags.tag_source` says where each tag is from.
    workers
        Requests in flight.
    rate
        Requests a second at most, per service and region; by default as many as AWS lets pass.
    progress
        Whether to show progress; by default to a terminal or a notebook. A function is called with the stage, what is
        done, and what there is so far.
    source
        How `accounts.source` names it.
    journal
        A file that keeps each answer, so that a load which was cut off goes on from it.

    Raises
    ------
    SourceError
        If there are no credentials, they have expired or are unknown, AWS cannot be reached, or it denies everything.
    """
    from iamframe.sources.aws import AccountReader, Plan
    from iamframe.sources.asking import Asker, Refused
    from iamframe.sources.connecting import DEFAULT_REGION, first_failure, open_session
    from iamframe.sources.journal import Journal

    named: Literal["all"] | tuple[str, ...] = "all"
    if regions != "all":
        named = tuple(dict.fromkeys([regions] if isinstance(regions, str) else regions))
    session = session or open_session()
    region = session.region_name or (named[0] if named != "all" and named else DEFAULT_REGION)
    kept = Journal(Path(journal)) if journal is not None else None
    asker = Asker(session, region, workers, rate, kept)
    try:
        with shown_progress(progress) as show:
            answers = AccountReader(
                asker, Plan(named, references, role_details, tag_index), source, progress=show
            ).answers()
    except Refused as refusal:
        raise first_failure(refusal, source) from refusal.cause
    finally:
        if kept is not None:
            kept.close()
    return build_inventory(answers, [source])
