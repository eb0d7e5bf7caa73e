"""What a check must have read to be trusted: per account complete, partial or unknown, and the sentence that says why.

`partial` means that what was found holds and that there may be more; `unknown` that an empty result says nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from iamframe.checks.registry import Counts, Evidence, Verdicts
from iamframe.inventory.arrow import Bools, is_in
from iamframe.inventory.linking import account_named
from iamframe.knowledge.operations import (
    ALL,
    DUMP,
    INSTANCES,
    PROFILE_LIST,
    PROFILE_TAGS,
    ROLE_LINKS,
    ROLE_LISTS,
    SUMMARY,
    TAG_INDEX,
    command_of,
    proving,
)
from iamframe.messages.text import pluralize

_COMPLETE = ("complete", "")
# Lists, and kinds of files, that show resources which nothing else refers to, as far as there are any.
_ROLES_FROM = proving("roles", files=True)
_PROFILES_FROM = proving("profiles", files=True)
_NOT_GONE = "a name that is not among the profiles read cannot be called gone"
_LIST_PROFILES = f"`{command_of(PROFILE_LIST)}` lists all of them, empty ones too"
_LIST_ROLES = f"`{command_of(DUMP)}` shows all roles with their profiles and tags"


def _read(evidence: Evidence, operations: tuple[str, ...]) -> list[bool]:
    accounts = {account for account, operation in evidence.answered if operation in operations}
    return [account in accounts for account in evidence.inventory.accounts["account_id"]]


def _some_read(evidence: Evidence, operations: tuple[str, ...], side: str) -> list[bool]:
    """Return, per account, whether some of the roles or profiles in no link were looked for, or one was seen."""
    is_whole, read = evidence.lists[f"{side}s_whole"], _read(evidence, operations)
    listed = [one or some for one, some in zip(is_whole, read, strict=True)]
    if all(listed):
        return listed
    frame = getattr(evidence.inventory, f"{side}s")
    alone = ~is_in(frame[f"{side}_arn"], evidence.inventory.links[f"{side}_arn"])
    if side == "profile":
        alone &= frame["role_known"].to_numpy(bool)
    seen = set(frame["account_id"][alone])
    return [some or account in seen for some, account in zip(listed, evidence.lists["account_id"], strict=True)]


class _Listing(NamedTuple):
    """A list that a check rests on: of what, by which operations, and what gives it."""

    noun: str
    operations: tuple[str, ...]
    expected: str
    command: str


_OF_PROFILES = _Listing("profile", (PROFILE_LIST,), "profiles_expected", _LIST_PROFILES)
_OF_ROLES = _Listing("role", ROLE_LISTS, "roles_expected", _LIST_ROLES)


def _short(evidence: Evidence, listing: _Listing, otherwise: str = "") -> list[tuple[str, str]]:
    """Return, per account, how much of a list was read, and what gives the rest of it.

    Of one that broke off, that is not the command that it came from.
    """
    otherwise = otherwise or f"not all {listing.noun}s were read"
    inventory = evidence.inventory
    if evidence.cut_short.empty:
        return [(otherwise, listing.command)] * len(inventory.accounts)
    cut = evidence.cut_short[evidence.cut_short["operation"].isin(listing.operations)]
    live = set(cut["account_id"][cut["requests"] > 0])
    broken = set(cut["account_id"])
    numbers = getattr(inventory, f"{listing.noun}s")["account_id"].value_counts()
    said = []
    for account, expected in zip(
        inventory.accounts["account_id"], inventory.accounts[listing.expected].astype(object), strict=True
    ):
        read = int(numbers.get(account, 0))
        if account not in broken:
            said.append((otherwise, listing.command))
            continue
        how_many = f"{pluralize(read, listing.noun)} {'was' if read == 1 else 'were'} read, and there may be more"
        if not pd.isna(expected) and read < expected:
            how_many = f"{read:,} of {pluralize(int(expected), listing.noun)} {'was' if read == 1 else 'were'} read"
        export = f"export the list of {listing.noun}s again, without --max-items and --no-paginate"
        said.append((how_many, "load again" if account in live else export))
    return said


_SAID = {
    "denied": "was denied",
    "throttled": "was throttled",
    "expired": "had no answer before the credentials expired",
}


def _refusals(evidence: Evidence, operations: tuple[str, ...]) -> list[str]:
    """Return, per account, how AWS refused one of the operations, as a clause to put behind a reason."""
    said: dict[str, str] = {}
    for account, operation, reason in evidence.refused:
        if operation in operations:
            said[account] = f" ({operation} {_SAID[reason]})"
    return [said.get(account, "") for account in evidence.inventory.accounts["account_id"]]


def all_profiles(evidence: Evidence) -> Verdicts:
    """All profiles of the account, each with its role or its emptiness."""
    profiles = evidence.inventory.profiles
    counts = evidence.count("profiles", profiles, role_known=profiles["role_known"], tags_known=profiles["tags_known"])
    seen = _some_read(evidence, _PROFILES_FROM, "profile")
    refused = _refusals(evidence, (PROFILE_LIST,))
    verdicts = []
    short = _short(evidence, _OF_PROFILES)
    for rows, known, whole, some, refusal, (read, how) in zip(
        counts["rows"], counts["role_known"], evidence.lists["profiles_whole"], seen, refused, short, strict=True
    ):
        if whole and known == rows:
            verdicts.append(_COMPLETE)
        elif whole:
            status = "partial" if known else "unknown"
            verdicts.append(
                (status, f"of {rows - known:,} of {pluralize(rows, 'profile')} it is not known what they hold")
            )
        elif some:
            verdicts.append(("partial", f"{read}{refusal}; {how}"))
        else:
            verdicts.append(("unknown", f"a profile without a role shows in no source read{refusal}; {_LIST_PROFILES}"))
    return verdicts


def links(evidence: Evidence) -> Verdicts:
    """All links of the account: every profile with its role, or every role with its own profiles."""
    profiles, roles = evidence.inventory.profiles, evidence.inventory.roles
    counts = evidence.count("profiles", profiles, role_known=profiles["role_known"], tags_known=profiles["tags_known"])
    of_roles = evidence.count("role links", roles, known=_own_profiles_known(evidence))
    verdicts = []
    short = _short(evidence, _OF_PROFILES, "not all links were read")
    for rows, known, roles_rows, roles_known, profiles_whole, roles_whole, (read, how) in zip(
        counts["rows"],
        counts["role_known"],
        of_roles["rows"],
        of_roles["known"],
        evidence.lists["profiles_whole"],
        evidence.lists["roles_whole"],
        short,
        strict=True,
    ):
        if known < rows:
            status = "partial" if known else "unknown"
            verdicts.append(
                (status, f"of {rows - known:,} of {pluralize(rows, 'profile')} it is not known what they hold")
            )
        elif profiles_whole or (roles_whole and roles_known == roles_rows):
            verdicts.append(_COMPLETE)
        elif rows or roles_known:
            verdicts.append(("partial", f"{read}; {how}"))
        else:
            verdicts.append(("unknown", f"which profile holds which role was not read; {how}"))
    return verdicts


def _own_profiles_known(evidence: Evidence) -> Bools:
    roles, gaps = evidence.inventory.roles, evidence.inventory.gaps
    gaps = gaps[gaps["operation"] == ROLE_LINKS]
    none = is_in(roles["account_id"], gaps["account_id"][gaps["subject"] == ALL])
    return ~none & ~is_in(roles["role_arn"], gaps["subject"])


def role_paths(evidence: Evidence) -> Verdicts:
    """The path of every role in a profile."""
    pairs = evidence.pairs[evidence.pairs["relation"].notna()]
    counts = evidence.count("role paths", pairs, unknown=pairs["role_path"].isna())
    return [
        ("partial", f"the path of the role is unknown for {unknown:,} of {pluralize(rows, 'link')}; {_LIST_ROLES}")
        if unknown
        else _COMPLETE
        for rows, unknown in zip(counts["rows"], counts["unknown"], strict=True)
    ]


def all_roles(evidence: Evidence) -> Verdicts:
    """All roles of the account."""
    refused = _refusals(evidence, ROLE_LISTS)
    seen = _some_read(evidence, _ROLES_FROM, "role")
    verdicts = []
    short = _short(evidence, _OF_ROLES)
    for whole, some, refusal, (read, how) in zip(evidence.lists["roles_whole"], seen, refused, short, strict=True):
        if whole:
            verdicts.append(_COMPLETE)
        elif some:
            verdicts.append(("partial", f"{read}{refusal}; {how}"))
        else:
            verdicts.append(("unknown", f"roles that are in no profile show in no source read{refusal}; {_LIST_ROLES}"))
    return verdicts


def own_profiles(evidence: Evidence) -> Verdicts:
    """Of every role, the profiles that hold it."""
    roles = evidence.inventory.roles
    counts = evidence.count("role links", roles, known=_own_profiles_known(evidence))
    verdicts = []
    short = _short(evidence, _OF_PROFILES)
    for rows, known, whole, (_, how) in zip(
        counts["rows"], counts["known"], evidence.lists["profiles_whole"], short, strict=True
    ):
        if known == rows and (rows or whole):
            verdicts.append(_COMPLETE)
        elif known:
            verdicts.append(
                (
                    "partial",
                    f"the profiles of {rows - known:,} of {pluralize(rows, 'role')} were not read; {how}",
                )
            )
        else:
            verdicts.append(("unknown" if rows else "partial", f"which profiles hold the roles was not read; {how}"))
    return verdicts


def trust(evidence: Evidence) -> Verdicts:
    """The trust policy of every role that was read."""
    roles = evidence.inventory.roles
    counts = evidence.count("trust", roles, unknown=roles["trusts_ec2"] == "unknown")
    return _unless_unknown(counts, "the trust policies of {} of {} were not read", "role")


def linked_trust(evidence: Evidence) -> Verdicts:
    """The trust policy of every role in a profile."""
    pairs = evidence.pairs[evidence.pairs["relation"].notna()]
    counts = evidence.count("linked trust", pairs, unknown=(pairs["trusts_ec2"] == "unknown").to_numpy(bool))
    return _unless_unknown(counts, "the trust policies behind {} of {} were not read", "link")


def _unless_unknown(counts: Counts, sentence: str, noun: str) -> Verdicts:
    verdicts: Verdicts = []
    for rows, unknown in zip(counts["rows"], counts["unknown"], strict=True):
        status = "unknown" if unknown == rows else "partial"
        reason = sentence.format(f"{unknown:,}", pluralize(rows, noun))
        verdicts.append((status, f"{reason}; {_LIST_ROLES}") if unknown else _COMPLETE)
    return verdicts


def profile_tags(evidence: Evidence) -> Verdicts:
    """The tags of every profile of the account; no listing carries them."""
    profiles = evidence.inventory.profiles
    counts = evidence.count("profiles", profiles, role_known=profiles["role_known"], tags_known=profiles["tags_known"])
    command = f"`{command_of(PROFILE_TAGS)}` for each of them{{}} would tell"
    refused = _refusals(evidence, proving("profile_tags"))
    short = _short(evidence, _OF_PROFILES)
    verdicts = _tagged(counts, evidence.lists["profiles_whole"], "profile", command, refused, short)
    return _unless_lagging(evidence, verdicts)


def _unless_lagging(evidence: Evidence, verdicts: Verdicts) -> Verdicts:
    """Return verdicts on tags of profiles, none of them complete where the tagging API told of some."""
    # It may still show tags that a profile no longer has.
    tags = evidence.inventory.tags
    mine = tags[tags["tag_source"] == TAG_INDEX]
    if mine.empty:
        return verdicts
    indexed = mine.groupby("account_id")["resource_arn"].nunique()
    lagging = "the tags of {} are those of the tagging API, which lags behind IAM; load without the tag index"
    return [
        ("partial", lagging.format(pluralize(indexed[account], "profile")))
        if verdict == _COMPLETE and account in indexed.index
        else verdict
        for account, verdict in zip(evidence.inventory.accounts["account_id"], verdicts, strict=True)
    ]


def role_tags(evidence: Evidence) -> Verdicts:
    """The tags of every role of the account that AWS does not manage."""
    roles = evidence.inventory.roles[~evidence.inventory.roles["is_aws_managed"]]
    counts = evidence.count("role tags", roles, tags_known=roles["tags_known"])
    refused = _refusals(evidence, proving("role_tags"))
    return _tagged(counts, evidence.lists["roles_whole"], "role", _LIST_ROLES, refused, _short(evidence, _OF_ROLES))


def _tagged(
    counts: Counts, wholes: pd.Series, noun: str, command: str, refused: list[str], short: list[tuple[str, str]]
) -> Verdicts:
    verdicts = []
    for rows, known, whole, refusal, (read, how) in zip(
        counts["rows"], counts["tags_known"], wholes, refused, short, strict=True
    ):
        if whole and known == rows:
            verdicts.append(_COMPLETE)
        elif known < rows:
            status = "partial" if known else "unknown"
            advice = command.format(", by whoever is allowed to," if _SAID["denied"] in refusal else "")
            if _SAID["expired"] in refusal:
                advice = "renew the credentials and load again"
            verdicts.append(
                (status, f"the tags of {rows - known:,} of {pluralize(rows, noun)} were not read{refusal}; {advice}")
            )
        else:
            status = "partial" if rows else "unknown"
            verdicts.append((status, f"{read}{refusal}; {how}"))
    return verdicts


def any_tags(evidence: Evidence) -> Verdicts:
    """The tags of every role and profile; those of one side alone are a part of it."""
    verdicts: Verdicts = []
    for (profile, why), (role, why_too) in zip(profile_tags(evidence), role_tags(evidence), strict=True):
        both = {profile, role}
        status = both.pop() if len(both) == 1 else "partial"
        verdicts.append((status, "; ".join(filter(None, (why, why_too)))))
    return verdicts


def tags_of_both(evidence: Evidence) -> Verdicts:
    """The tags of both sides of every link."""
    pairs = evidence.pairs[evidence.pairs["relation"].notna() & ~evidence.pairs["is_aws_managed"]]
    counts = evidence.count("tags of both", pairs, known=pairs["profile_tags_known"] & pairs["role_tags_known"])
    verdicts: Verdicts = []
    for rows, known in zip(counts["rows"], counts["known"], strict=True):
        status = "partial" if known else "unknown"
        reason = f"the tags of one side or both were not read for {rows - known:,} of {pluralize(rows, 'link')}"
        verdicts.append((status, reason) if known < rows else _COMPLETE)
    return _unless_lagging(evidence, verdicts)


def tag_policy(evidence: Evidence) -> Verdicts:
    """A policy file that demands tags."""
    missing = ("unknown", "no policy file demands tags; name one with `--policy FILE`, in Python with `policy=`")
    return [_COMPLETE if evidence.policy.required else missing for _ in evidence.inventory.accounts["account_id"]]


def quotas(evidence: Evidence) -> Verdicts:
    """The account's own count of roles and profiles, and its quotas."""
    accounts = evidence.inventory.accounts
    verdicts: Verdicts = []
    for roles, profiles, refusal in zip(
        accounts[["role_quota", "roles_expected"]].notna().all(axis=1),
        accounts[["profile_quota", "profiles_expected"]].notna().all(axis=1),
        _refusals(evidence, (SUMMARY,)),
        strict=True,
    ):
        missing = "instance profiles" if roles else "roles"
        half = f"the count or the quota of {missing} was not read" if roles or profiles else "the quotas were not read"
        status = "partial" if roles or profiles else "unknown"
        reason = f"{half}{refusal}; `{command_of(SUMMARY)}` shows them"
        verdicts.append(_COMPLETE if roles and profiles else (status, reason))
    return verdicts


def references(evidence: Evidence) -> Verdicts:
    """Everything that may name a profile, in every region in use."""
    return list(zip(evidence.lists["references_status"], evidence.lists["references_reason"], strict=True))


def any_references(evidence: Evidence) -> Verdicts:
    """Some of what names profiles: each reference speaks for itself."""
    seen = _read(evidence, proving("references"))
    verdicts: Verdicts = []
    abroad = _names_unread(evidence)
    profiles = set(evidence.inventory.profiles["account_id"])
    for account, some, (status, reason), whole in zip(
        evidence.lists["account_id"], seen, references(evidence), evidence.lists["profiles_whole"], strict=True
    ):
        if not some:
            verdicts.append(
                (
                    "unknown",
                    f"nothing that names a profile was read; `{command_of(INSTANCES)}` of each region is a start",
                )
            )
        else:
            # Without the list of profiles, those that were read can be told to be others, and no name to be gone.
            short = [] if whole else [f"{_NOT_GONE}; {_LIST_PROFILES}"]
            reasons = "; ".join([*([reason] if status != "complete" else []), *short])
            seen_enough = "partial" if whole or account in profiles else "unknown"
            verdicts.append((seen_enough, reasons) if reasons else _COMPLETE)
        if verdicts[-1] is _COMPLETE and account in abroad:
            number = pluralize(abroad[account], "reference")
            whose = f"{number} to profiles of other accounts, whose list of profiles was not read"
            verdicts[-1] = ("partial", whose)
    return verdicts


def _names_unread(evidence: Evidence) -> dict[str, int]:
    """Return, per account, how many references it has to profiles of accounts whose list of them was not read."""
    references, lists = evidence.inventory.references, evidence.lists
    some = references[references["profile_arn"].isna()]
    whole = lists["account_id"][lists["profiles_whole"]]
    whose = account_named(some["named"])
    unread = some["account_id"][np.asarray(whose.is_valid()) & ~is_in(whose, whole)]
    return {str(account): int(count) for account, count in unread.value_counts().items()}
