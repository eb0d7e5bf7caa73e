"""Tags that are missing, that differ between the two sides, or that mean the same and are spelled otherwise."""

from __future__ import annotations

from copy import copy

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks import coverage as needs
from iamframe.checks.findings import Found, findings
from iamframe.checks.registry import check
from iamframe.checks.tag_policy import RequiredTag
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
    lookup,
)
from iamframe.knowledge.names import canonical_key, variant_kinds
from iamframe.messages.render import json_text

_OF_LINK = [
    "account_id",
    *("profile_arn", "profile_name", "profile_row", "role_arn", "role_name", "role_row"),
    *("maker", "maker_basis"),
]
_TAG_PROFILE = "aws iam tag-instance-profile --instance-profile-name={resource_name} --tags={_tags}"
_SHOW_PROFILE = "aws iam list-instance-profile-tags --instance-profile-name={resource_name}"
_PUT = ["on profile", "on role"]
_SHOW_ROLE = "aws iam list-role-tags --role-name={resource_name}"


def _json_tags(keys: pa.Array, values: pa.Array) -> pa.Array:
    """Return tags as the AWS CLI takes them in JSON."""
    written = [json_text(array) for array in (keys, values)]
    return concat('{"Key":', written[0], ',"Value":', written[1], "}")


def _json_list(owner: Texts, tags: pa.Array, size: int) -> pa.Array:
    """Return the tags of each owner 0 … size - 1 as a list, missing where it has none."""
    return concat("[", join_by_group(owner, tags, size, ","), "]")


def _own(tags: pd.DataFrame) -> pd.DataFrame:
    # All columns of millions of tags would take a third of a run's memory.
    return tags.loc[~tags["is_aws_reserved"], ["tag_key", "tag_value", "profile_row", "role_row"]]


def _copied(own: pd.DataFrame, side: str, rows: Positions) -> tuple[pa.Array, Positions]:
    """Return the tags of roles or profiles for their other side, as JSON, missing where one has none, and their number.

    From a profile, those that a role can hold.
    """
    mine = own[are_among(own[f"{side}_row"], rows)]
    if side == "profile":
        # Of a key that a profile spells in two ways nobody can say which one is meant, and IAM refuses both.
        mine = mine[~mine.assign(tag_key=mine["tag_key"].str.casefold()).duplicated(["profile_row", "tag_key"], False)]
    size = rows.max(initial=-1) + 1
    parts = _json_tags(as_arrow(mine["tag_key"]), as_arrow(mine["tag_value"]))
    # The last is nobody's: that of a resource which is not known.
    counts = np.bincount(mine[f"{side}_row"], minlength=size + 1)
    return lookup(_json_list(mine[f"{side}_row"], parts, size), rows), counts[rows]


@check(
    severity="medium",
    needs=[needs.profile_tags],
    detail={
        "by": "_role",
        "tagged": "has no tags; its role {related_name} has {related_tag_count:tag}",
        "other": "has no tags",
    },
    next_step={"by": "_role", "tagged": _TAG_PROFILE, "other": _SHOW_PROFILE},
    remediation="Copy the role's tags to the profile.",
    about="profile",
    alone=True,
    remedy="any tag",
)
def untagged_profiles(pairs: pd.DataFrame, tags: pd.DataFrame) -> Found:
    """Instance profiles without tags.

    The IAM console neither shows nor sets tags of a profile, and CloudFormation cannot tag one, so profiles stay
    untagged while their roles are tagged. If the role has tags, the command copies them; otherwise it shows the
    profile.
    """
    own = _own(tags)
    is_bare = pairs["profile_tags_known"] & ~are_among(pairs["profile_row"], own["profile_row"])
    bare = pairs[is_bare & ~pairs["profile_row"].duplicated()]
    copied, counts = _copied(own, "role", bare["role_row"].to_numpy())
    return findings(
        bare,
        "profile_arn",
        related_name=bare["role_name"],
        related_tag_count=counts,
        _role=pc.if_else(copied.is_valid(), "tagged", "untagged"),
        expected=bare["untagged_expected"],
        _tags=copied,
        next_step_changes=copied.is_valid(),
    )


@check(
    severity="medium",
    needs=[needs.role_tags],
    detail={"by": "_profile", "tagged": "has no tags; its profile has {related_tag_count:tag}", "other": "has no tags"},
    next_step={
        "by": "_profile",
        "tagged": "aws iam tag-role --role-name={resource_name} --tags={_tags}",
        "other": _SHOW_ROLE,
    },
    remediation="Tag the role; if its profile has tags, copy them.",
    about="role",
    alone=True,
    remedy="any tag",
)
def untagged_roles(roles: pd.DataFrame, links: pd.DataFrame, tags: pd.DataFrame) -> Found:
    """Roles without tags.

    AWS-managed roles (service-linked, or created by IAM Identity Center) cannot be tagged and are left out. If a
    profile of the role has tags, the command copies them; otherwise it shows the role.
    """
    own, every = _own(tags), np.arange(len(roles))
    rows = every[roles["tags_known"] & ~roles["is_aws_managed"] & ~are_among(every, own["role_row"])]
    bare, held = roles.iloc[rows], links[links["role_row"] >= 0].drop_duplicates("role_row")
    profile = np.full(len(roles), -1)
    profile[held["role_row"]] = held["profile_row"]
    copied, counts = _copied(own, "profile", profile[rows])
    return findings(
        bare,
        "role_arn",
        related_tag_count=counts,
        _profile=pc.if_else(copied.is_valid(), "tagged", "untagged"),
        _tags=copied,
        next_step_changes=copied.is_valid(),
    )


class _Side:
    """The tags of one side of the links, as whole numbers: the link's row, and codes of key, folded key and value."""

    def __init__(self, pairs: pd.DataFrame, tags: pd.DataFrame, side: str, codes: dict[str, pa.Array]) -> None:
        owner, linked = tags[f"{side}_row"].to_numpy(), pairs[f"{side}_row"].to_numpy()
        by_owner = np.argsort(owner, kind="stable")
        # A role may be in several links: its tags count in each.
        starts, ends = (np.searchsorted(owner[by_owner], linked, end) for end in ("left", "right"))
        sizes = ends - starts
        self.link = np.repeat(np.arange(len(pairs)), sizes)
        offsets = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        self.row = by_owner[np.repeat(starts, sizes) + offsets]
        self.key, self.folded, self.value = (np.asarray(codes[name])[self.row] for name in ("key", "folded", "value"))

    def only(self, mask: Bools) -> _Side:
        """Return the tags under a mask."""
        some = copy(self)
        some.link, some.row, some.key, some.folded, some.value = (
            array[mask] for array in (self.link, self.row, self.key, self.folded, self.value)
        )
        return some

    def at(self, other: _Side, name: str) -> Positions:
        """Return, per tag, where the other side has the same link and key (or folded key), -1 where it has not."""
        width = max(int(getattr(self, name).max(initial=0)), int(getattr(other, name).max(initial=0))) + 1
        mine, theirs = (side.link * width + getattr(side, name) for side in (self, other))
        order = np.argsort(theirs, kind="stable")
        where = np.searchsorted(theirs[order], mine)
        inside = where < len(order)
        hit = np.zeros(len(mine), dtype=bool)
        hit[inside] = theirs[order][where[inside]] == mine[inside]
        result = np.full(len(mine), -1)
        result[hit] = order[where[hit]]
        return result


@check(
    severity="medium",
    needs=[needs.links, needs.tags_of_both],
    detail={
        "by": "_text",
        "missing_on_profile": "{tag_key} is missing on the profile",
        "missing_on_role": "{tag_key} is missing on the role",
        "value": "{tag_key} is {role_value:value} on the role and {profile_value:value} on the profile",
        "key_case": "{tag_key} on the role is {profile_key} on the profile (only the case differs)",
        "other": "{tag_key} is {role_value:value} on the role and {profile_key} is {profile_value:value} on the "
        "profile, keys that differ by case",
    },
    next_step={
        "by": "_put",
        "on profile": _TAG_PROFILE,
        "on role": "aws iam tag-role --role-name={related_name} --tags={_tags}",
        "other": _SHOW_PROFILE,
    },
    remediation="Give both sides the same tags. Use the role's value unless you know that it is wrong.",
    about="link",
    alone=True,
    remedy="same tags",
)
def tag_differences(pairs: pd.DataFrame, tags: pd.DataFrame) -> Found:
    """Profile and role tags differ.

    Cost reports, inventories and tag-based permissions look at one side only, so their results differ. Keys that AWS
    reserves do not count. A role's keys are unique without case, a profile's with case (IAM User Guide, "Tags for IAM
    resources"), so keys that differ only in case are reported as such. A side without any tags is untagged, not
    different. The command copies the role's tags to the profile; if only the profile has more tags, it copies those to
    the role.
    """
    is_known = pairs["profile_tags_known"] & pairs["role_tags_known"]
    both = pairs.loc[pairs["relation"].notna() & is_known & ~pairs["is_aws_managed"], _OF_LINK].reset_index(drop=True)
    tags = _own(tags)
    key, value = as_arrow(tags["tag_key"]), as_arrow(tags["tag_value"])
    encoded = key.dictionary_encode()
    folded = pa.array([text.casefold() for text in encoded.dictionary.to_pylist()], pa.string()).dictionary_encode()
    codes = {
        "key": encoded.indices,
        "folded": folded.indices.take(encoded.indices),
        "value": value.dictionary_encode().indices,
    }
    role, profile = (_Side(both, tags, side, codes) for side in ("role", "profile"))
    is_tagged = np.isin(np.arange(len(both)), role.link) & np.isin(np.arange(len(both)), profile.link)
    role, profile = (side.only(is_tagged[side.link]) for side in (role, profile))
    at, back = role.at(profile, "key"), profile.at(role, "key")
    differs = (at >= 0) & (role.value != profile.value[at]) if len(profile.value) else np.zeros(len(at), dtype=bool)
    other = profile.row[at[differs]]
    changed = _Rows("value", role.link[differs], role.row[differs], other)
    # Keys that only one side has: under another case on the other side, or not there at all. A profile may spell a key
    # of the role in several ways, each of which is told; a role cannot hold them, so that it lacks none of them.
    of_role, of_profile = role.only(at < 0), profile.only(back < 0)
    cased, again = of_role.at(of_profile, "folded"), of_profile.at(role, "folded")
    others = (again >= 0) & ~np.isin(np.arange(len(again)), cased)
    # Both spellings of a key that the role lacks are told, and neither is in the command: IAM refuses them together.
    lacking = of_profile.only(again < 0)
    first = lacking.at(lacking, "folded")
    alone = np.bincount(first, minlength=1)[first] == 1
    kinds = (
        changed,
        _Rows("key_case", of_role.link[cased >= 0], of_role.row[cased >= 0], of_profile.row[cased[cased >= 0]]),
        _Rows("key_case", of_profile.link[others], role.row[again[others]], of_profile.row[others]),
        _Rows("missing_on_profile", of_role.link[cased < 0], of_role.row[cased < 0], None),
        _Rows("missing_on_role", lacking.link[alone], None, lacking.row[alone]),
        _Rows("missing_on_role, twice", lacking.link[~alone], None, lacking.row[~alone]),
    )
    return _differing(both, key, value, kinds)


class _Rows:
    """Differences of one kind: the link of each, and the rows of `tags` that its role and its profile have."""

    def __init__(self, kind: str, link: Positions, role: Positions | None, profile: Positions | None) -> None:
        none = np.full(len(link), -1)
        self.kind, self.link = kind, link
        self.role, self.profile = (none if row is None else row for row in (role, profile))


def _differing(both: pd.DataFrame, key: pa.Array, value: pa.Array, kinds: tuple[_Rows, ...]) -> Found:
    link = np.concatenate([rows.link for rows in kinds])
    order = np.argsort(link, kind="stable")
    role, profile = (np.concatenate([getattr(rows, side) for rows in kinds])[order] for side in ("role", "profile"))
    kind = np.repeat([rows.kind.partition(",")[0] for rows in kinds], [len(rows.link) for rows in kinds])[order]
    differing, finding = np.unique(link[order], return_inverse=True)
    links = both.iloc[differing].reset_index(drop=True)
    values = {"role_value": lookup(value, role), "profile_value": lookup(value, profile)}
    same = np.asarray(pc.fill_null(pc.equal(*values.values()), False))
    to_profile, to_role = (
        _joined_tags(len(both), key, value, [(rows.link, getattr(rows, side)) for rows in kinds if rows.kind in of])
        for of, side in ((("value", "missing_on_profile"), "role"), (("missing_on_role",), "profile"))
    )
    put = np.select([np.asarray(tags.take(pa.array(differing)).is_valid()) for tags in (to_profile, to_role)], _PUT, "")
    facts = {
        "finding": finding,
        "tag_key": pc.coalesce(lookup(key, role), lookup(key, profile)).to_pandas(),
        "profile_key": lookup(key, profile).to_pandas(),
        "profile_value": values["profile_value"].to_pandas(),
        "role_value": values["role_value"].to_pandas(),
        "kind": kind,
        "_text": np.where((kind == "key_case") & ~same, "other", kind),
        "_put": put[finding],
        # Once for each finding.
        "_tags": lookup(
            pc.coalesce(to_profile, to_role), np.where(np.diff(finding, prepend=-1), differing[finding], -1)
        ).to_pandas(),
    }
    return findings(links, "profile_arn", "role_arn", facts=pd.DataFrame(facts), next_step_changes=put != "")


def _joined_tags(size: int, key: pa.Array, value: pa.Array, kinds: list[tuple[Positions, Positions]]) -> pa.Array:
    """Return tags of each link as JSON, missing where it has none: their link and their row, by kind."""
    link, row = (np.concatenate(parts) for parts in zip(*kinds, strict=True))
    chosen = pa.array(row)
    return _json_list(link, _json_tags(key.take(chosen), value.take(chosen)), size)


@check(
    severity="medium",
    needs=[needs.tag_policy, needs.any_tags],
    detail={
        "by": "_text",
        "missing": "{tag_key} is missing",
        "pattern": "{tag_key} is {tag_value}, not text that matches {_wanted}",
        "other": "{tag_key} is {tag_value}, not one of {_wanted}",
    },
    next_step={"by": "resource_type", "role": _SHOW_ROLE, "other": _SHOW_PROFILE},
    remediation="Set the tags that the policy requires.",
    alone=True,
    remedy="required tags",
)
def missing_required_tags(
    roles: pd.DataFrame, profiles: pd.DataFrame, tags: pd.DataFrame, *, required: tuple[RequiredTag, ...] = ()
) -> pd.DataFrame:
    """Roles and profiles missing required tags.

    Keys are compared with case, as cost allocation and tag policies do. AWS-managed roles are left out.
    """
    parts = []
    for kind, frame, side in (
        ("role", roles[roles["tags_known"] & ~roles["is_aws_managed"]], "role"),
        ("instance-profile", profiles[profiles["tags_known"]], "profile"),
    ):
        for rule in (rule for rule in required if kind in rule.on):
            mine = tags[tags["tag_key"] == rule.key]
            value = lookup(mine["tag_value"], index_in(frame[f"{side}_arn"], mine["resource_arn"]))
            allowed = [v for v in pc.unique(value).to_pylist() if v is not None and rule.allows(v)]
            bad = ~is_in(value, pa.array(allowed, pa.string()))
            rows, value = frame[bad], value.filter(pa.array(bad)).to_pandas()
            problem = np.where(value.isna(), "missing", "value")
            found = {
                "account_id": rows["account_id"].array,
                "resource_type": kind,
                "resource_name": rows[f"{side}_name"].array,
                "resource_arn": rows[f"{side}_arn"].array,
                "tag_key": rule.key,
                "tag_value": value,
                "problem": problem,
                "_text": np.where(problem == "value", "pattern" if rule.pattern else "value", problem),
                "_wanted": rule.pattern or ", ".join(rule.values),
            }
            parts.append(pd.DataFrame(found, index=pd.RangeIndex(len(rows))))
    columns = ("resource_arn", "tag_key", "tag_value", "problem")
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({name: [] for name in columns}, dtype="str")


@check(
    severity="low",
    needs=[needs.any_tags],
    detail="differ by {_differ:words}: [{tag_key:spelled} ({resources})]",
    remediation="Choose one spelling, and retag the resources that use another one.",
)
def tag_key_variants(tags: pd.DataFrame, roles: pd.DataFrame) -> pd.DataFrame:
    """Tag keys that only look the same.

    They differ by case, space, width, separator, or a look-alike letter of another script, so a filter on one key
    misses the others. Characters that are hard to see are spelled out after the key.
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
