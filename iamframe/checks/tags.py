"""Tags that are missing, that differ between the two sides, or that mean the same and are spelled otherwise."""

from __future__ import annotations

from collections import defaultdict
from copy import copy
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks import coverage as needs
from iamframe.checks.findings import command, found, json_text
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
from iamframe.knowledge.names import canonical_key, spell_out, variant_kinds

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


def _copied(tags: pd.DataFrame, arns: Texts, to_roles: bool = False) -> pa.Array:
    """Return the tags of each resource as JSON, missing where it has none; to roles, those that a role can hold."""
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
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), joined)


@check(severity="medium", needs=[needs.profile_tags], about="profile", alone=True, remedy="any tag")
def untagged_profiles(pairs: pd.DataFrame, tags: pd.DataFrame) -> pd.DataFrame:
    """Instance profiles without tags.

    The IAM console neither shows nor sets tags of a profile, and CloudFormation cannot tag one at all, so that they
    stay untagged while their roles are tagged. Where the role has tags, the command copies them; else it shows what is
    there.
    """
    profiles = pairs[pairs["profile_tags_known"]].drop_duplicates("profile_arn")
    bare = profiles[~is_in(profiles["profile_arn"], _own(tags)["resource_arn"])]
    copied = _copied(tags, bare["role_arn"].fillna(""))
    names = as_arrow(bare["profile_name"])
    detail = pc.if_else(
        copied.is_valid(),
        concat("has no tags; its role ", pc.fill_null(as_arrow(bare["role_name"]), ""), " has"),
        "has no tags",
    )
    return found(
        bare,
        "profile_arn",
        None,
        detail,
        maker=bare["maker"],
        maker_basis=bare["maker_basis"],
        expected=bare["untagged_expected"],
        next_step=pc.coalesce(
            _tagging(_ON_PROFILE, names, copied),
            command("iam list-instance-profile-tags", "instance-profile-name", names),
        ),
    )


@check(severity="medium", needs=[needs.role_tags], about="role", alone=True, remedy="any tag")
def untagged_roles(roles: pd.DataFrame, links: pd.DataFrame, tags: pd.DataFrame) -> pd.DataFrame:
    """Roles without tags.

    Roles that AWS manages (service-linked, or made by IAM Identity Center, which cannot be tagged) are left out. Where
    a profile of the role has tags, the command copies them; else it shows what is there.
    """
    bare = roles[roles["tags_known"] & ~roles["is_aws_managed"] & ~is_in(roles["role_arn"], _own(tags)["resource_arn"])]
    profile = lookup(links["profile_arn"], index_in(bare["role_arn"], links["role_arn"]))
    copied = _copied(tags, pc.fill_null(profile, ""), to_roles=True)
    names = as_arrow(bare["role_name"])
    return found(
        bare,
        "role_arn",
        None,
        pc.if_else(copied.is_valid(), "has no tags; its profile has", "has no tags"),
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


@check(severity="medium", needs=[needs.links, needs.tags_of_both], about="link", alone=True, remedy="same tags")
def tag_differences(pairs: pd.DataFrame, tags: pd.DataFrame) -> pd.DataFrame:
    """Links whose role and profile disagree on their tags.

    Cost reports, inventories and tag-based permissions look at one side or the other, and then answer differently. Keys
    that AWS reserves do not count. A role's keys are unique without case, a profile's with case (IAM User Guide,
    "Tags for IAM resources"), so that keys that differ in case alone are said to. The command puts on the profile what
    the role has; where only the profile has more, it puts that on the role.
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
        _Rows("case", of_role.link[cased >= 0], of_role.row[cased >= 0], of_profile.row[cased[cased >= 0]]),
        _Rows("case", of_profile.link[others], role.row[again[others]], of_profile.row[others]),
        _Rows("profile", of_role.link[cased < 0], of_role.row[cased < 0], None),
        _Rows("role", lacking.link[alone], lacking.row[alone], None),
        _Rows("role, twice", lacking.link[~alone], lacking.row[~alone], None),
    )
    return _differing(both, key, value, kinds)


class _Rows:
    def __init__(self, kind: str, link: Positions, row: Positions, other: Positions | None) -> None:
        self.kind, self.link, self.row, self.other = kind, link, row, other


def _differing(both: pd.DataFrame, key: pa.Array, value: pa.Array, kinds: tuple[_Rows, ...]) -> pd.DataFrame:
    sentences = pa.concat_arrays([_sentences(rows, key, value) for rows in kinds])
    link = np.concatenate([rows.link for rows in kinds])
    order = np.argsort(link, kind="stable")
    detail = join_by_group(link[order], sentences.take(pa.array(order)), len(both), "; ")
    to_profile = _joined_tags(both, key, value, [rows for rows in kinds if rows.kind in ("value", "profile")])
    to_role = _joined_tags(both, key, value, [rows for rows in kinds if rows.kind == "role"])
    step = pc.coalesce(
        _tagging(_ON_PROFILE, as_arrow(both["profile_name"]), to_profile),
        _tagging(_ON_ROLE, as_arrow(both["role_name"]), to_role),
        command("iam list-instance-profile-tags", "instance-profile-name", both["profile_name"]),
    )
    some = np.unique(link)
    found_in = both.iloc[some]
    return found(
        found_in,
        "profile_arn",
        "role_arn",
        detail.take(pa.array(some)),
        maker=found_in["maker"],
        maker_basis=found_in["maker_basis"],
        expected=found_in["untagged_expected"] & (found_in["profile_tags"] == ""),
        next_step=step.take(pa.array(some)),
    )


def _sentences(rows: _Rows, key: pa.Array, value: pa.Array) -> pa.Array:
    """Return how each tag of one kind differs between role and profile."""
    keys, values = (array.take(pa.array(rows.row)) for array in (key, value))
    shown_value = _or_empty(values)
    if rows.kind == "profile":
        return concat(keys, " is missing on the profile")
    if rows.other is None:
        return concat(keys, " is missing on the role")
    other_keys, other_values = (array.take(pa.array(rows.other)) for array in (key, value))
    other_shown = _or_empty(other_values)
    if rows.kind == "value":
        return concat(keys, " is ", shown_value, " on the role and ", other_shown, " on the profile")
    same = concat(keys, " on the role is ", other_keys, " on the profile (only the case differs)")
    on_role = concat(keys, " is ", shown_value, " on the role and ")
    on_profile = concat(other_keys, " is ", other_shown, " on the profile, keys that differ by case")
    return pc.if_else(pc.equal(values, other_values), same, concat(on_role, on_profile))


def _or_empty(values: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(values, ""), "empty", values)


def _joined_tags(both: pd.DataFrame, key: pa.Array, value: pa.Array, kinds: list[_Rows]) -> pa.Array:
    link = np.concatenate([rows.link for rows in kinds])
    row = np.concatenate([rows.row for rows in kinds])
    order = np.argsort(link, kind="stable")
    chosen = pa.array(row[order])
    joined = join_by_group(link[order], _json_tags(key.take(chosen), value.take(chosen)), len(both), ",")
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), joined)


@check(severity="medium", needs=[needs.tag_policy, needs.any_tags], alone=True, remedy="required tags")
def missing_required_tags(
    roles: pd.DataFrame, profiles: pd.DataFrame, tags: pd.DataFrame, *, required: tuple[RequiredTag, ...] = ()
) -> pd.DataFrame:
    """Roles and profiles without the keys or values that the tag policy demands.

    Keys are compared as stored, since cost allocation and tag policies do so. Roles that AWS manages are left out.
    """
    sides = []
    for kind, frame, arn, name in (
        ("role", roles[roles["tags_known"] & ~roles["is_aws_managed"]], "role_arn", "role_name"),
        ("instance-profile", profiles[profiles["tags_known"]], "profile_arn", "profile_name"),
    ):
        said, where = [], []
        for rule in (rule for rule in required if kind in rule.on):
            mine = tags[tags["tag_key"] == rule.key]
            at = index_in(frame[arn], mine["resource_arn"])
            value = lookup(mine["tag_value"], at)
            allowed = pa.array(
                [v for v in pc.unique(value).to_pylist() if v is not None and rule.allows(v)], pa.string()
            )
            bad = ~is_in(value, allowed)
            chosen = value.filter(pa.array(bad))
            said.append(
                pc.coalesce(
                    concat(f"{rule.key} is ", chosen, f", not {rule.wanted}"), pa.scalar(f"{rule.key} is missing")
                )
            )
            where.append(np.flatnonzero(bad))
        if not where:
            continue
        row = np.concatenate(where)
        order = np.argsort(row, kind="stable")
        detail = join_by_group(row[order], pa.concat_arrays(said).take(pa.array(order)), len(frame), "; ")
        some = np.unique(row)
        rows = frame.iloc[some]
        verb = "iam list-role-tags" if kind == "role" else "iam list-instance-profile-tags"
        option = "role-name" if kind == "role" else "instance-profile-name"
        sides.append(found(rows, arn, None, detail.take(pa.array(some)), next_step=command(verb, option, rows[name])))
    return pd.concat(sides, ignore_index=True) if sides else pd.DataFrame()


@check(severity="low", needs=[needs.any_tags])
def tag_key_variants(tags: pd.DataFrame, roles: pd.DataFrame) -> pd.DataFrame:
    """Tag keys of one account that read alike and are not the same.

    They differ by case, space, width, separator, or a letter of another script that looks alike, so that a filter on
    one of them misses the others. What the eye may miss is spelled out behind the key.
    """
    managed = roles["role_arn"][roles["is_aws_managed"]]
    own = _own(tags)
    counts = own[~is_in(own["resource_arn"], managed)].groupby(["account_id", "tag_key"], sort=True).size()
    canonical = {key: canonical_key(key) for key in counts.index.get_level_values("tag_key").unique()}
    groups: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for account, key, count in counts.rename("count").reset_index().itertuples(index=False, name=None):
        groups[account, canonical[key]].append((key, int(count)))
    rows: list[dict[str, Any]] = []
    for (account, _), keys in groups.items():
        if len(keys) > 1:
            spelled = ", ".join(
                f"{spell_out(key)} ({count})" for key, count in sorted(keys, key=lambda k: (-k[1], k[0]))
            )
            kinds = " and ".join(variant_kinds([key for key, _ in keys]))
            most = max(keys, key=lambda k: k[1])[0]
            rows.append({"account_id": account, "resource_name": most, "detail": f"differ by {kinds}: {spelled}"})
    frame = pd.DataFrame(rows, columns=["account_id", "resource_name", "detail"]).astype("str")
    return frame.assign(
        resource_arn=pd.Series(np.nan, index=frame.index, dtype="str"),
        related_arn=pd.Series(np.nan, index=frame.index, dtype="str"),
        resource_type="tag key",
    )
