"""Checks for missing tags, tag differences between role and profile, and several spellings of tag keys."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks import coverage as needs
from iamframe.checks.findings import Found, findings
from iamframe.checks.registry import check
from iamframe.checks.tag_policy import SIDE_OF, Demand
from iamframe.inventory.arrow import (
    Bools,
    Positions,
    Texts,
    are_among,
    as_arrow,
    concat,
    index_in,
    is_in,
    join_by_group,
    joined_key,
    lookup,
    matches,
)
from iamframe.knowledge.makers import own_tag
from iamframe.knowledge.names import canonical_key, variant_kinds
from iamframe.messages.render import json_text

_OF_LINK = [
    "account_id",
    *("profile_arn", "profile_name", "profile_row", "role_arn", "role_name", "role_row"),
    *("maker", "maker_basis"),
]
_TAG_PROFILE = "aws iam tag-instance-profile --instance-profile-name={resource_name} --tags={_tags}"
_SHOW_PROFILE = "aws iam list-instance-profile-tags --instance-profile-name={resource_name}"
_OTHER = {"role": "profile", "profile": "role"}
# A resource can have at most 50 tags, not counting reserved tags.
# Source: IAM User Guide, "Tags for AWS Identity and Access Management resources".
MOST_TAGS = 50
_PUT = ["on profile", "on role"]
_SHOW_ROLE = "aws iam list-role-tags --role-name={resource_name}"


def _json_for_cli(owner: Texts, tags: pd.DataFrame, size: int) -> pa.Array:
    # A resource without tags has a missing value.
    key, value = (json_text(as_arrow(tags[name])) for name in ("tag_key", "tag_value"))
    each = concat('{"Key":', key, ',"Value":', value, "}")
    return concat("[", join_by_group(owner, each, size, ","), "]")


def _own(tags: pd.DataFrame) -> pd.DataFrame:
    # Columns first: all columns of millions of tags would take a third of a run's memory.
    return tags[["account_id", "tag_key", "tag_value", "profile_row", "role_row"]][~tags["is_aws_reserved"]]


def _tags_to_copy(own: pd.DataFrame, side: str, rows: Positions, demanded: tuple[Demand, ...]) -> pa.Array:
    mine = own[are_among(own[f"{side}_row"], rows)]
    if side == "profile":
        # If a profile has a key in two spellings, neither is copied: a role cannot hold both.
        mine = mine[~mine.assign(tag_key=mine["tag_key"].str.casefold()).duplicated(["profile_row", "tag_key"], False)]
    at, tag = matches(rows, mine[f"{side}_row"])
    is_copied = ~(_is_of_tool(mine["tag_key"]) | _is_forbidden(mine, _OTHER[side], demanded))[tag]
    return _json_for_cli(at[is_copied], mine.iloc[tag[is_copied]], len(rows))


def _are_on_all(tags: pd.DataFrame, roles: Positions, linked: pd.Series) -> Bools:
    """For each tag of a profile, return whether all profiles that hold the same role have this tag with this value."""
    # `linked` has the role of each link.
    count = np.bincount(linked[linked >= 0], minlength=roles.max(initial=-1) + 1)[roles]
    found: Bools = count == 1
    if not found.all():
        shared = tags[["tag_key", "tag_value"]][count > 1].assign(role=roles[count > 1])
        found[count > 1] = shared.groupby([*shared], sort=False)["role"].transform("size") == count[count > 1]
    return found


def _tag_counts(tags: pd.DataFrame, side: str, rows: Positions) -> Positions:
    held = tags[f"{side}_row"].to_numpy()
    counts = np.bincount(held[held >= 0], minlength=rows.max(initial=0) + 1)
    return np.where(rows >= 0, counts[rows], 0)


def _is_of_tool(keys: pd.Series) -> Bools:
    # A copied tag would make another resource look like the tool's.
    return is_in(keys, [key for key in keys.dropna().unique() if own_tag(key)])


def _is_forbidden(tags: pd.DataFrame, side: str, demanded: tuple[Demand, ...]) -> Bools:
    rules: dict[tuple[str | None, str], list[Demand]] = {}
    for one in demanded:
        if SIDE_OF[one.kind] == side:
            rules.setdefault((one.account_id, one.rule.key.casefold()), []).append(one)
    found = np.zeros(len(tags), bool)
    if not rules:
        return found
    keys = {key for _, key in rules}
    ruled = is_in(tags["tag_key"], [key for key in tags["tag_key"].unique() if key.casefold() in keys])
    near = tags.loc[ruled, ["account_id", "tag_key", "tag_value"]]
    distinct = near.drop_duplicates()
    bad = [
        any(one.forbids(key, value) for of in (None, account) for one in rules.get((of, key.casefold()), ()))
        for account, key, value in distinct.itertuples(index=False, name=None)
    ]
    each, forbidden = (joined_key(*(rows[name] for name in near)) for rows in (near, distinct[np.array(bad, bool)]))
    found[np.flatnonzero(ruled)[is_in(each, forbidden)]] = True
    return found


def _if_reserved(rows: Texts, tagged: pd.Series) -> pa.Array:
    # Every tag of an untagged resource is reserved for AWS.
    return pc.if_else(pa.array(are_among(rows, tagged)), ", aws:", "")


@check(
    severity="medium",
    needs=[needs.profile_tags],
    detail={
        "by": "_text",
        "tagged": "has no tags, but its role has {related_tag_count:tag}",
        "tagged, aws:": "has only `aws:` tags, but its role has {related_tag_count:tag}",
        "untagged, aws:": "has only `aws:` tags",
        "empty": "has no tags, and holds no role",
        "both": "has no tags, and its role has no tags either",
        "none": "has no tags; no tag of its role can be copied",
        "other": "has no tags; the tags of its role are unknown",
    },
    next_step={"by": "_role", "tagged": _TAG_PROFILE, "other": _SHOW_PROFILE},
    remediation="Copy the role's tags to the profile.",
    about="profile",
    alone=True,
    remedy="any tag",
)
def untagged_profiles(pairs: pd.DataFrame, tags: pd.DataFrame, *, demanded: tuple[Demand, ...] = ()) -> Found:
    """Instance profiles without tags.

    The check also reports profiles whose tag keys all begin with `aws:`. Profiles often stay untagged while their roles
    are tagged. The IAM console neither shows nor sets tags of a profile. CloudFormation cannot tag a profile. The
    suggested command copies the role's tags, except tags that begin with `aws:` and tags by which a tool recognizes its
    own resources, such as `eks:cluster-name`. If your policy file or the organization's tag policy forbids a tag, the
    tag is not copied. If the role has no tag that can be copied to the profile, the suggested command only shows the
    profile's tags.
    """
    own = _own(tags)
    is_bare = pairs["profile_tags_known"] & ~are_among(pairs["profile_row"], own["profile_row"])
    bare = pairs[is_bare & ~pairs["profile_row"].duplicated()]
    role = bare["role_row"].to_numpy()
    copied = _tags_to_copy(own, "role", role, demanded)
    is_copied, is_reserved = np.asarray(copied.is_valid()), are_among(bare["profile_row"], tags["profile_row"])
    counts, is_empty = _tag_counts(tags, "role", role), bare["role_arn"].isna() & bare["role_known"]
    texts = {
        "tagged, aws:": is_copied & is_reserved,
        "tagged": is_copied,
        "untagged, aws:": is_reserved,
        "empty": is_empty,
        "other": ~bare["role_tags_known"],
        "both": counts == 0,
    }
    return findings(
        bare,
        "profile_arn",
        related_name=bare["role_name"],
        related_tag_count=counts,
        _role=pc.if_else(copied.is_valid(), "tagged", "untagged"),
        _text=np.select([*texts.values()], [*texts], "none"),
        expected=bare["untagged_expected"],
        _tags=copied,
        next_step_changes=copied.is_valid(),
    )


@check(
    severity="medium",
    needs=[needs.role_tags],
    detail={
        "by": "_text",
        "tagged": "has no tags, but its profile has {related_tag_count:tag}",
        "tagged, aws:": "has only `aws:` tags, but its profile has {related_tag_count:tag}",
        "shared": "has no tags, but its {_profiles} profiles have {related_tag_count:tag} in common",
        "shared, aws:": "has only `aws:` tags, but its {_profiles} profiles have {related_tag_count:tag} in common",
        "untagged, aws:": "has only `aws:` tags",
        "other": "has no tags",
    },
    next_step={
        "by": "_profile",
        "untagged": _SHOW_ROLE,
        "other": "aws iam tag-role --role-name={resource_name} --tags={_tags}",
    },
    remediation="Tag the role, for example with the tags that all its profiles have.",
    about="role",
    alone=True,
    remedy="any tag",
)
def untagged_roles(
    roles: pd.DataFrame, links: pd.DataFrame, tags: pd.DataFrame, *, demanded: tuple[Demand, ...] = ()
) -> Found:
    """Roles without tags.

    The check also reports roles that have only tags whose keys begin with `aws:`. The check leaves out service-linked
    roles and roles of IAM Identity Center. The suggested command copies the tags of the role's profile to the role. If
    a role is in several profiles, the suggested command copies only tags that all these profiles have with equal
    values. If two tag keys of a profile differ only in case, the suggested command copies neither. Tags that begin with
    `aws:`, and tags by which a tool recognizes its own resources, are not copied. If your policy file or the
    organization's tag policy forbids a tag, the suggested command does not copy the tag. If no tag can be copied, the
    suggested command changes nothing, and only lists the role's tags.
    """
    own, every = _own(tags), np.arange(len(roles))
    rows = every[roles["tags_known"] & ~roles["is_aws_managed"] & ~are_among(every, own["role_row"])]
    held = links[are_among(links["role_row"], rows)]
    link, tag = matches(held["profile_row"], tags["profile_row"])
    # In `on_all`, the role's row stands in place of the profile's.
    on_all = tags.iloc[tag].assign(profile_row=held["role_row"].to_numpy()[link])
    on_all = on_all[_are_on_all(on_all, on_all["profile_row"].to_numpy(), held["role_row"])]
    on_all = on_all.drop_duplicates(["profile_row", "tag_key"])
    profiles = np.bincount(held["role_row"], minlength=len(roles))[rows]
    copied = _tags_to_copy(_own(on_all), "profile", rows, demanded)
    return findings(
        roles.iloc[rows],
        "role_arn",
        related_tag_count=_tag_counts(on_all, "profile", rows),
        _profiles=profiles,
        _profile=(other := pc.if_else(copied.is_valid(), np.where(profiles > 1, "shared", "tagged"), "untagged")),
        _text=concat(other, _if_reserved(rows, tags["role_row"])),
        _tags=copied,
        next_step_changes=copied.is_valid(),
    )


@check(
    severity="medium",
    needs=[needs.roles_of_profiles, needs.tags_of_both],
    detail={
        "by": "_text",
        "missing_on_profile": "tag '{tag_key}' is missing on the profile",
        "missing_on_profile, full": "tag '{tag_key}' is missing on the profile; with all tags of its role, the profile "
        "would have {_size:tag}, but AWS allows 50",
        "missing_on_role": "tag '{tag_key}' is missing on the role",
        "missing_on_role, full": "tag '{tag_key}' is missing on the role; with all tags of its profile, the role would "
        "have {_size:tag}, but AWS allows 50",
        "value": "tag '{tag_key}' is {role_value:value} on the role and {profile_value:value} on the profile",
        "key_case": "tag '{tag_key}' on the role is spelled '{profile_key}' on the profile (only the case differs)",
        "more": "; and {n:more-difference}",
        "other": "tag '{tag_key}' is {role_value:value} on the role; on the profile, the key is '{profile_key}' (other "
        "case), and the value is {profile_value:value}",
    },
    next_step={
        "by": "_put",
        "on profile": _TAG_PROFILE,
        "on role": "aws iam tag-role --role-name={related_name} --tags={_tags}",
        "other": _SHOW_PROFILE,
    },
    remediation="Give the profile and the role the same tags. Use the role's value unless you know that it is wrong.",
    about="link",
    alone=True,
    remedy="same tags",
)
def tag_differences(tags: pd.DataFrame, pairs: pd.DataFrame, *, demanded: tuple[Demand, ...] = ()) -> Found:
    """Profile and role tags differ.

    Inventories, reports and tag-based permissions may use tags of profiles or roles. If profile and role tags differ, a
    report that uses profile tags contradicts a report that uses role tags. The check ignores tag keys that AWS
    reserves. A profile can have two tag keys that differ only in case. A role cannot have two tag keys that differ only
    in case. Source: IAM User Guide, "Tags for AWS Identity and Access Management resources". If a key of the role and a
    key of the profile differ only in case, the finding says so. This check leaves out resources without tags or with
    only `aws:` tags, because `untagged_profiles` and `untagged_roles` report them. The suggested command copies to the
    profile those tags of the role that are missing or different on the profile. If the profile already has all tags of
    the role, the suggested command copies the profile's other tags to the role. If the role is in several profiles,
    only tags that all these profiles have with equal values are copied to the role. The suggested command does not copy
    a tag to a role or profile that already has the same key in other case (such as Owner and OWNER). If two tag keys of
    a profile differ only in case, the suggested command copies neither. Tags by which a tool recognizes its own
    resources are not in the suggested command. If your policy file or the organization's tag policy forbids a tag, the
    suggested command leaves the tag out. If a profile or role would have more than 50 tags after the copy, no tag is
    copied to it, because AWS allows 50 tags. If the role only lacks tags that Karpenter or EKS writes to profiles, and
    nothing else differs, the severity is `info`.
    """
    is_known = pairs["profile_tags_known"] & pairs["role_tags_known"] & ~pairs["is_aws_managed"]
    own = _own(tags)
    is_tagged = are_among(pairs["role_row"], own["role_row"]) & are_among(pairs["profile_row"], own["profile_row"])
    links = pairs[_OF_LINK][pairs["relation"].notna() & is_known & is_tagged].reset_index(drop=True)
    role, profile = (_tags_of_links(own, links, side) for side in ("role", "profile"))
    # A profile may have a key of its role in several spellings, and each is a difference; a role cannot.
    in_profile = pd.Index(profile["key"]).get_indexer(pd.Index(role["key"]))
    same, role_only = np.flatnonzero(in_profile >= 0), np.flatnonzero(in_profile < 0)
    changed = same[role["value"][same] != profile["value"][in_profile[same]]]
    profile_only = np.flatnonzero(~are_among(np.arange(len(profile["key"])), in_profile))
    folded, _ = pd.factorize(np.concatenate([role["folded"], profile["folded"][profile_only]]))
    role_folded, only_folded = np.split(folded, [len(in_profile)])
    cased, spelled = matches(only_folded, role_folded)
    is_lacking = ~are_among(only_folded, role_folded)
    profile_alone, role_alone = profile_only[is_lacking], role_only[~are_among(role_folded[role_only], only_folded)]
    # The rows of `role` and of `profile`; -1 where the tag is missing.
    kinds = {
        "value": (changed, in_profile[changed]),
        "key_case": (spelled, profile_only[cased]),
        "missing_on_profile": (role_alone, np.full(len(role_alone), -1)),
        "missing_on_role": (np.full(len(profile_alone), -1), profile_alone),
    }
    role_rows, profile_rows = (np.concatenate(each) for each in zip(*kinds.values(), strict=True))
    # IAM refuses two spellings of a key together, so the command has neither.
    is_alone = ~pd.Series(only_folded[is_lacking]).duplicated(keep=False)
    of_role = links["role_row"].to_numpy()[profile["link"][profile_alone]]
    is_alone &= _are_on_all(
        own.iloc[profile["tag"][profile_alone]], of_role, pairs["role_row"][pairs["relation"].notna()]
    )
    facts = pd.DataFrame(
        {
            "kind": np.repeat([*kinds], [len(rows) for rows, _ in kinds.values()]),
            "link": np.maximum(_at(role["link"], role_rows), _at(profile["link"], profile_rows)),
            "role": _at(role["tag"], role_rows),
            "profile": _at(profile["tag"], profile_rows),
            "is_put_on_role": np.concatenate([np.zeros(len(role_rows) - len(profile_alone), dtype=bool), is_alone]),
        }
    )
    return _differing(links, own, facts.sort_values("link", kind="stable", ignore_index=True), demanded)


def _at(values: Positions, rows: Positions) -> Positions:
    return np.append(values, -1)[rows]


def _tags_of_links(own: pd.DataFrame, links: pd.DataFrame, side: str) -> dict[str, Positions]:
    # A role may be in several links: its tags count in each.
    tag, link = matches(own[f"{side}_row"], links[f"{side}_row"])
    keys, values = (as_arrow(own[name]).dictionary_encode() for name in ("tag_key", "tag_value"))
    key, size = np.asarray(keys.indices)[tag], len(keys.dictionary)
    folded = pd.factorize(keys.dictionary.to_pandas().str.casefold())[0][key]
    value = np.asarray(values.indices)[tag]
    # `link` and `tag` are row numbers of `links` and `own`; in one link, equal keys have equal codes.
    return {"link": link, "tag": tag, "key": link * size + key, "folded": link * size + folded, "value": value}


def _differing(links: pd.DataFrame, own: pd.DataFrame, facts: pd.DataFrame, demanded: tuple[Demand, ...]) -> Found:
    differing, finding = np.unique(facts["link"], return_inverse=True)
    kind, rows = facts["kind"], {side: facts[side].to_numpy() for side in ("role", "profile")}
    text = {
        f"{side}_{part}": pd.Series(own[f"tag_{part}"].array.take(rows[side], allow_fill=True))
        for side in rows
        for part in ("key", "value")
    }
    differ = links.iloc[differing].reset_index(drop=True)
    is_own = ~_is_of_tool(text["role_key"].fillna(text["profile_key"]))
    is_put = {"profile": is_in(kind, ["value", "missing_on_profile"]), "role": facts["is_put_on_role"].to_numpy()}
    size = np.zeros(len(facts), dtype=np.int64)

    def put_on(side: str) -> pa.Array:
        at, is_missing = np.flatnonzero(is_put[side] & is_own), is_in(kind, [f"missing_on_{side}"])
        copied = own.iloc[rows[_OTHER[side]][at]]
        is_copied = ~_is_forbidden(copied, side, demanded)
        added = np.bincount(finding[at[is_copied & is_missing[at]]], minlength=len(differ))
        sizes = _tag_counts(own, side, differ[f"{side}_row"].to_numpy()) + added
        size[is_missing] = sizes[finding[is_missing]]
        is_copied &= sizes[finding[at]] <= MOST_TAGS
        return _json_for_cli(finding[at[is_copied]], copied[is_copied], len(differ))

    to_profile, to_role = put_on("profile"), put_on("role")
    put = np.select([np.asarray(to_profile.is_valid()), np.asarray(to_role.is_valid())], _PUT, "")
    # One row for each finding.
    tags = lookup(pc.coalesce(to_profile, to_role), np.where(np.diff(finding, prepend=-1), finding, -1))
    is_cased = (kind == "key_case") & (text["role_value"] != text["profile_value"])
    shown = {
        "finding": finding,
        "tag_key": text["role_key"].fillna(text["profile_key"]),
        **{name: text[name] for name in ("profile_key", "profile_value", "role_value")},
        "kind": kind,
        "_text": kind.mask(is_cased, "other").mask(size > MOST_TAGS, kind[size > MOST_TAGS] + ", full"),
        "_size": size,
        "_put": put[finding],
        "_tags": tags.to_pandas(),
    }
    expected = _are_of_tool(finding, text["profile_key"].where(kind == "missing_on_role"), len(differ))
    more = {"next_step_changes": put != "", "expected": expected}
    return findings(differ, "profile_arn", "role_arn", facts=pd.DataFrame(shown), **more)


def _are_of_tool(finding: Positions, keys: pd.Series, size: int) -> Bools:
    sure = [key for key in keys.dropna().unique() if (tag := own_tag(key)) and tag.is_proof and not tag.tags_role]
    others, proven = finding[~_is_of_tool(keys)], finding[is_in(keys, sure)]
    is_expected: Bools = (np.bincount(proven, minlength=size) > 0) & (np.bincount(others, minlength=size) == 0)
    return is_expected


@check(
    severity="medium",
    needs=[needs.required_tags, needs.role_and_profile_tags],
    detail={
        "by": "_text",
        "missing": "tag '{tag_key}' is missing",
        "missing_everywhere": "tag '{tag_key}' is missing, but the organization requires it",
        "missing_on_profile": "tag '{tag_key}' is missing, but the organization requires it on profiles (not on roles)",
        "missing_on_role": "tag '{tag_key}' is missing, but the organization requires it on roles (not on profiles)",
        "spelling": "the tag key '{found_key}' is misspelled: the organization's tag policy spells it '{tag_key}'",
        "pattern": "tag '{tag_key}' is {tag_value:value}, which does not match {_wanted}",
        "organization": "tag '{tag_key}' is {tag_value:value}, but the organization allows only {_wanted}",
        "more": "; and {n:more-tag}",
        "other": "tag '{tag_key}' is {tag_value:value}, but the policy file allows only {_wanted}",
    },
    next_step={"by": "resource_type", "role": _SHOW_ROLE, "other": _SHOW_PROFILE},
    remediation="Set the tags that your policy file or the organization's tag policy requires.",
    alone=True,
    remedy="required tags",
)
def missing_required_tags(
    roles: pd.DataFrame, profiles: pd.DataFrame, tags: pd.DataFrame, *, demanded: tuple[Demand, ...] = ()
) -> pd.DataFrame:
    """Roles and profiles missing required tags.

    A tag with the key `owner` is not the required tag `Owner`: cost allocation and tag policies distinguish upper and
    lower case in tag keys. The check leaves out service-linked roles and roles of IAM Identity Center. With `--policy
    org`, the check compares the tags with the account's effective tag policy. A tag policy can require a tag for
    profiles only, or for roles only. A tag policy can also prescribe the values of a tag and the case of its key, even
    for a tag that is not required.
    """
    judged = {
        "role": (roles, np.flatnonzero(roles["tags_known"] & ~roles["is_aws_managed"])),
        "instance-profile": (profiles, np.flatnonzero(profiles["tags_known"])),
    }
    groups: dict[tuple[str, str, str], list[Demand]] = {}
    for one in demanded:
        groups.setdefault((one.demanded_by, one.kind, one.rule.key), []).append(one)
    parts = [_broken(group, *judged[kind], tags) for (_, kind, _), group in groups.items()]
    columns = ("resource_arn", "tag_key", "found_key", "tag_value", "problem", "demanded_by", "required_of")
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({one: [] for one in columns}, dtype="str")
    # If a file and the organization demand the same, the file has said it.
    return found[~found.duplicated(["resource_arn", "tag_key", "found_key"])]


def _broken(group: list[Demand], frame: pd.DataFrame, judged: Positions, tags: pd.DataFrame) -> pd.DataFrame:
    side, key, frame = SIDE_OF[group[0].kind], group[0].rule.key, frame.iloc[judged]
    accounts = pa.array([one.account_id for one in group], pa.string())
    of = np.zeros(len(frame), int) if group[0].account_id is None else index_in(frame["account_id"], accounts)
    frame, rows, of = frame[of >= 0], judged[of >= 0], of[of >= 0]
    keys = [one for one in tags["tag_key"].unique() if one == key or group[0].is_misspelled(one)]
    near = tags.loc[is_in(tags["tag_key"], keys), [f"{side}_row", "tag_key", "tag_value"]]
    held = pd.DataFrame({"at": np.arange(len(frame)), "of": of, f"{side}_row": rows})
    there = held.merge(near, on=f"{side}_row")
    distinct = there[["of", "tag_key", "tag_value"]].drop_duplicates()
    columns = (distinct[name] for name in distinct)
    distinct["bad"] = [group[one].forbids(found, value) for one, found, value in zip(*columns, strict=True)]
    bad = there.merge(distinct, on=["of", "tag_key", "tag_value"])
    required = np.array([one.is_required for one in group], bool)[of]
    absent = held[required & ~are_among(held["at"], there["at"])]
    bad = pd.concat([bad[bad["bad"].astype(bool)], absent]).sort_values("at", kind="stable", ignore_index=True)
    at, found_key, demand = bad["at"].to_numpy(), bad["tag_key"], [group[one] for one in bad["of"]]
    problem = np.select([found_key.isna(), found_key != key], ["missing", "spelling"], "value")
    return pd.DataFrame(
        {
            "account_id": frame["account_id"].array[at],
            "resource_type": group[0].kind,
            "resource_name": frame[f"{side}_name"].array[at],
            "resource_arn": frame[f"{side}_arn"].array[at],
            "tag_key": key,
            "found_key": found_key,
            "tag_value": bad["tag_value"],
            "problem": problem,
            "demanded_by": group[0].demanded_by,
            "required_of": pd.array([one.required_of for one in demand], dtype="str"),
            "_text": [_text_of(*one) for one in zip(problem, demand, strict=True)],
            "_wanted": [one.wanted for one in demand],
        }
    )


def _text_of(problem: str, demand: Demand) -> str:
    if demand.account_id is None:
        return "pattern" if problem == "value" and demand.rule.pattern else problem
    if problem == "missing":
        sides = {"role": "missing_on_role", "instance-profile": "missing_on_profile"}
        return sides.get(demand.required_of, "missing_everywhere")
    return "organization" if problem == "value" else problem


@check(
    severity="low",
    needs=[needs.role_and_profile_tags],
    detail="the key has spellings that differ by {_differ:words}: [{tag_key:spelled} ({resources:resource})]",
    remediation="Choose one spelling of the tag key, and retag the resources that use another spelling.",
)
def tag_key_variants(tags: pd.DataFrame, roles: pd.DataFrame) -> pd.DataFrame:
    """Tag keys with several spellings.

    Spellings of a key can differ in case, spaces, separators, character width, alphabet or invisible characters. A
    filter on one spelling of a key misses resources that use another spelling. The finding also shows invisible and
    look-alike characters of a key as Unicode codes.
    """
    own = tags[~tags["is_aws_reserved"] & ~are_among(tags["role_row"], np.flatnonzero(roles["is_aws_managed"]))]
    keys = own.groupby(["account_id", "tag_key"], sort=True).size().rename("resources").reset_index()
    canonical = {key: canonical_key(key) for key in keys["tag_key"].unique()}
    keys["_key"] = keys["tag_key"].map(canonical).astype("str")
    keys = keys[keys.duplicated(["account_id", "_key"], keep=False)]
    keys = keys.sort_values(["account_id", "_key", "resources", "tag_key"], ascending=[True, True, False, True])
    groups = keys.groupby(["account_id", "_key"], sort=False)["tag_key"]
    kinds = {name: " ".join(variant_kinds(list(alike))) for name, alike in groups}
    return keys.assign(
        resource_arn=pd.Series(np.nan, index=keys.index, dtype="str"),
        resource_type="tag key",
        resource_name=groups.transform("first"),
        _differ=[kinds[name] for name in zip(keys["account_id"], keys["_key"], strict=True)],
    )
