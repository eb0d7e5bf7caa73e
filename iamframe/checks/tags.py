"""Tags that are missing, that differ between the two sides, or that mean the same and are spelled otherwise."""

from __future__ import annotations

from copy import copy

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks import coverage as needs
from iamframe.checks.findings import Found, command, findings
from iamframe.checks.registry import check
from iamframe.checks.tag_policy import RequiredTag
from iamframe.inventory.arrow import (
    Bools,
    Positions,
    Texts,
    as_arrow,
    concat,
    index_in,
    is_in,
    join_by_group,
    lookup,
    shell_quoted,
)
from iamframe.knowledge.names import canonical_key, variant_kinds
from iamframe.messages.render import json_text

_ON_PROFILE = "aws iam tag-instance-profile --instance-profile-name="
_ON_ROLE = "aws iam tag-role --role-name="


def _json_tags(keys: pa.Array, values: pa.Array) -> pa.Array:
    """Return tags as the AWS CLI takes them in JSON."""
    written = [json_text(array) for array in (keys, values)]
    return concat('{"Key":', written[0], ',"Value":', written[1], "}")


def _tagging(prefix: str, names: pa.Array, tags: pa.Array) -> pa.Array:
    return concat(prefix, shell_quoted(names), " --tags=", shell_quoted(concat("[", tags, "]")))


def _own(tags: pd.DataFrame) -> pd.DataFrame:
    return tags[~tags["is_aws_reserved"]]


def _copied(tags: pd.DataFrame, arns: Texts, to_roles: bool = False) -> tuple[pa.Array, Positions]:
    """Return the tags of each resource as JSON, missing where it has none, and how many it has.

    To roles, those that a role can hold.
    """
    mine = _own(tags[is_in(tags["resource_arn"], as_arrow(arns))])
    if to_roles:
        # Of a key that a profile spells in two ways nobody can say which one is meant, and IAM refuses both.
        mine = mine[~mine.assign(tag_key=mine["tag_key"].str.casefold()).duplicated(["resource_arn", "tag_key"], False)]
    owner = index_in(mine["resource_arn"], as_arrow(arns))
    order = np.argsort(owner, kind="stable")
    parts = _json_tags(as_arrow(mine["tag_key"]), as_arrow(mine["tag_value"])).take(pa.array(order))
    joined = join_by_group(owner[order], parts, len(arns), ",")
    first = index_in(as_arrow(arns), as_arrow(arns))
    joined = lookup(joined, first)
    counts = np.bincount(owner[owner >= 0], minlength=len(arns))[first] if len(arns) else first
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), joined), counts


@check(
    severity="medium",
    needs=[needs.profile_tags],
    detail={"by": "_role", "tagged": "has no tags; its role {related_name} has", "other": "has no tags"},
    remediation="Tag the profile as its role is tagged.",
    about="profile",
    alone=True,
    remedy="any tag",
)
def untagged_profiles(pairs: pd.DataFrame, tags: pd.DataFrame) -> Found:
    """Instance profiles without tags.

    The IAM console neither shows nor sets tags of a profile, and CloudFormation cannot tag one at all, so that they
    stay untagged while their roles are tagged. Where the role has tags, the command copies them; else it shows what is
    there.
    """
    profiles = pairs[pairs["profile_tags_known"]].drop_duplicates("profile_arn")
    bare = profiles[~is_in(profiles["profile_arn"], _own(tags)["resource_arn"])]
    copied, counts = _copied(tags, bare["role_arn"].fillna(""))
    names = as_arrow(bare["profile_name"])
    return findings(
        bare,
        "profile_arn",
        related_name=bare["role_name"],
        related_tag_count=counts,
        _role=pc.if_else(copied.is_valid(), "tagged", "untagged"),
        expected=bare["untagged_expected"],
        next_step_changes=copied.is_valid(),
        next_step=pc.coalesce(
            _tagging(_ON_PROFILE, names, copied),
            command("iam list-instance-profile-tags", "instance-profile-name", names),
        ),
    )


@check(
    severity="medium",
    needs=[needs.role_tags],
    detail={"by": "_profile", "tagged": "has no tags; its profile has", "other": "has no tags"},
    remediation="Tag the role, as its profile is tagged where that has tags.",
    about="role",
    alone=True,
    remedy="any tag",
)
def untagged_roles(roles: pd.DataFrame, links: pd.DataFrame, tags: pd.DataFrame) -> Found:
    """Roles without tags.

    Roles that AWS manages (service-linked, or made by IAM Identity Center, which cannot be tagged) are left out. Where
    a profile of the role has tags, the command copies them; else it shows what is there.
    """
    bare = roles[roles["tags_known"] & ~roles["is_aws_managed"] & ~is_in(roles["role_arn"], _own(tags)["resource_arn"])]
    profile = lookup(links["profile_arn"], index_in(bare["role_arn"], links["role_arn"]))
    copied, counts = _copied(tags, pc.fill_null(profile, ""), to_roles=True)
    names = as_arrow(bare["role_name"])
    return findings(
        bare,
        "role_arn",
        related_tag_count=counts,
        _profile=pc.if_else(copied.is_valid(), "tagged", "untagged"),
        next_step_changes=copied.is_valid(),
        next_step=pc.coalesce(_tagging(_ON_ROLE, names, copied), command("iam list-role-tags", "role-name", names)),
    )


class _Side:
    """The tags of one side of the links, as whole numbers: the link's row, and codes of key, folded key and value."""

    def __init__(self, pairs: pd.DataFrame, tags: pd.DataFrame, arn: str, codes: dict[str, pa.Array]) -> None:
        owner = index_in(tags["resource_arn"], pairs[arn])
        # A role may be in several links: its tags count in each.
        first = index_in(pairs[arn], pairs[arn])
        by_owner = np.argsort(owner, kind="stable")
        by_owner = by_owner[owner[by_owner] >= 0]
        starts, ends = (np.searchsorted(owner[by_owner], first, side) for side in ("left", "right"))
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
    remediation="Give both sides the same tags: the role's value, unless somebody knows better.",
    about="link",
    alone=True,
    remedy="same tags",
)
def tag_differences(pairs: pd.DataFrame, tags: pd.DataFrame) -> Found:
    """Profile and role tags differ.

    Cost reports, inventories and tag-based permissions look at one side or the other, and then answer differently. Keys
    that AWS reserves do not count. A role's keys are unique without case, a profile's with case (IAM User Guide,
    "Tags for IAM resources"), so that keys that differ in case alone are said to. A side without any tags is
    untagged, not different. The command puts on the profile what the role has; where only the profile has more, it puts
    that on the role.
    """
    both = pairs[
        pairs["relation"].notna() & pairs["profile_tags_known"] & pairs["role_tags_known"] & ~pairs["is_aws_managed"]
    ]
    both = both.reset_index(drop=True)
    tags = _own(tags).reset_index(drop=True)
    key, value = as_arrow(tags["tag_key"]), as_arrow(tags["tag_value"])
    encoded = key.dictionary_encode()
    folded = pa.array([text.casefold() for text in encoded.dictionary.to_pylist()], pa.string()).dictionary_encode()
    codes = {
        "key": encoded.indices.cast(pa.int64()),
        "folded": folded.indices.take(encoded.indices).cast(pa.int64()),
        "value": value.dictionary_encode().indices.cast(pa.int64()),
    }
    role, profile = (_Side(both, tags, arn, codes) for arn in ("role_arn", "profile_arn"))
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
    facts = {
        "finding": finding,
        "tag_key": pc.coalesce(lookup(key, role), lookup(key, profile)).to_pandas(),
        "profile_key": lookup(key, profile).to_pandas(),
        "profile_value": values["profile_value"].to_pandas(),
        "role_value": values["role_value"].to_pandas(),
        "kind": kind,
        "_text": np.where((kind == "key_case") & ~same, "other", kind),
    }
    to_profile, to_role = (
        _joined_tags(len(both), key, value, [(rows.link, getattr(rows, side)) for rows in kinds if rows.kind in of])
        for of, side in ((("value", "missing_on_profile"), "role"), (("missing_on_role",), "profile"))
    )
    chosen = pa.array(differing)
    step = pc.coalesce(
        _tagging(_ON_PROFILE, as_arrow(links["profile_name"]), to_profile.take(chosen)),
        _tagging(_ON_ROLE, as_arrow(links["role_name"]), to_role.take(chosen)),
        command("iam list-instance-profile-tags", "instance-profile-name", links["profile_name"]),
    )
    changes = pc.or_(to_profile.take(chosen).is_valid(), to_role.take(chosen).is_valid())
    given = {"next_step": step, "next_step_changes": changes}
    return findings(links, "profile_arn", "role_arn", facts=pd.DataFrame(facts), **given)


def _joined_tags(size: int, key: pa.Array, value: pa.Array, kinds: list[tuple[Positions, Positions]]) -> pa.Array:
    """Return tags of each link as JSON, missing where it has none: their link and their row, by kind."""
    link, row = (np.concatenate(parts) for parts in zip(*kinds, strict=True))
    order = np.argsort(link, kind="stable")
    chosen = pa.array(row[order])
    joined = join_by_group(link[order], _json_tags(key.take(chosen), value.take(chosen)), size, ",")
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), joined)


@check(
    severity="medium",
    needs=[needs.tag_policy, needs.any_tags],
    detail={"by": "problem", "missing": "{tag_key} is missing", "other": "{tag_key} is {tag_value}, not {_wanted}"},
    remediation="Set the tags that the policy demands.",
    alone=True,
    remedy="required tags",
)
def missing_required_tags(
    roles: pd.DataFrame, profiles: pd.DataFrame, tags: pd.DataFrame, *, required: tuple[RequiredTag, ...] = ()
) -> pd.DataFrame:
    """Roles and profiles missing required tags.

    Keys are compared as stored, since cost allocation and tag policies do so. Roles that AWS manages are left out.
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
            found = {
                "account_id": rows["account_id"].array,
                "resource_type": kind,
                "resource_name": rows[f"{side}_name"].array,
                "resource_arn": rows[f"{side}_arn"].array,
                "next_step": command(f"iam list-{kind}-tags", f"{kind}-name", rows[f"{side}_name"]).to_pandas(),
                "tag_key": rule.key,
                "tag_value": value,
                "problem": np.where(value.isna(), "missing", "value"),
                "_wanted": rule.wanted,
            }
            parts.append(pd.DataFrame(found, index=pd.RangeIndex(len(rows))))
    columns = ("resource_arn", "tag_key", "tag_value", "problem")
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({name: [] for name in columns}, dtype="str")


@check(
    severity="low",
    needs=[needs.any_tags],
    detail="differ by {_differ:words}: [{tag_key:spelled} ({resources})]",
    remediation="Choose one spelling, and tag the resources that carry another one again.",
)
def tag_key_variants(tags: pd.DataFrame, roles: pd.DataFrame) -> pd.DataFrame:
    """Tag keys that only look the same.

    They differ by case, space, width, separator, or a letter of another script that looks alike, so that a filter on
    one of them misses the others. What the eye may miss is spelled out behind the key.
    """
    managed = roles["role_arn"][roles["is_aws_managed"]]
    own = _own(tags)
    own = own[~is_in(own["resource_arn"], managed)]
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
