"""Views of an inventory, such as pairs of profile and role, or tag coverage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.errors import require
from iamframe.inventory import schema
from iamframe.inventory.arrow import (
    Bools,
    Positions,
    are_among,
    as_arrow,
    concat,
    index_in,
    is_in,
    join_by_group,
    joined_key,
    lookup,
    lookup_flag,
    on_two_cores,
)
from iamframe.inventory.inventory import Inventory
from iamframe.knowledge.makers import GUESS, PAIR, TAG, Maker, known_makers, known_tags, own_tag
from iamframe.knowledge.names import relation
from iamframe.knowledge.operations import ALL, BY_LABEL, ROLE_LINKS, STACK_RESOURCES, actions_of, policy_of
from iamframe.knowledge.owners import NAME, Owned, known_owners, owners_of, shows_owner

_NO_TEXT = pa.scalar(None, pa.string())
_PARTS = ("path", "name")
Sides = Literal["role", "profile", "both"]
_RESOURCE = "resource"
# The facts of denials that the denied operation's permission does not change.
_NOT_GRANTED = r'"message":"(?:gaps\.advice\.denied|access\.all_denied)"'
LIVING, GONE, UNREAD = "living", "gone", "unread"
# The name of the operation in `gaps`.
_IN_STACK = BY_LABEL[STACK_RESOURCES].action


@schema.shows(schema.PAIRS)
def pairs(inventory: Inventory, makers: Iterable[Maker] = ()) -> pd.DataFrame:
    """Return one row per profile, and one row per role that trusts EC2 but has no profile.

    The columns show the names, paths and tags of role and profile, and whether the role trusts EC2. The column `maker`
    shows which tool or service created the resources, if known or guessed. The first rows are the links: one row per
    profile with a known role. The next rows are the profiles without a role, and profiles of which it is unknown
    whether they have a role. The last rows are roles that trust EC2 but have no profile. The parameter `makers`
    describes your own tools that create roles and profiles. If your tool and a known tool fit the same names and
    paths, the column `maker` shows your tool.
    """
    require("pairs", inventory, Inventory, instead="what `iamframe.load` gives")
    return numbered_pairs(inventory, makers)[schema.PAIRS.names]


def numbered_pairs(inventory: Inventory, makers: Iterable[Maker] = ()) -> pd.DataFrame:
    """The columns `profile_row` and `role_row` are row numbers in `profiles` and `roles`, or -1 for no row."""
    roles, profiles, linked = inventory.roles, inventory.profiles, inventory.linked_rows
    lone_profiles = np.flatnonzero(~are_among(np.arange(len(profiles)), linked.link_profile))
    lone_roles = np.flatnonzero(_is_lone_role(inventory))
    profile = np.concatenate([linked.link_profile, lone_profiles, np.full(len(lone_roles), -1)])
    role = np.concatenate([linked.link_role, np.full(len(lone_profiles), -1), lone_roles])
    no_profile, no_role = (pa.nulls(len(lone), pa.string()) for lone in (lone_roles, lone_profiles))
    lone_arns = lookup(profiles["profile_arn"], lone_profiles), lookup(roles["role_arn"], lone_roles)
    profile_arn = pa.concat_arrays([as_arrow(inventory.links["profile_arn"]), lone_arns[0], no_profile])
    role_arn = pa.concat_arrays([as_arrow(inventory.links["role_arn"]), no_role, lone_arns[1]])
    named = pc.if_else(pc.starts_with(role_arn, "name:"), pc.utf8_slice_codeunits(role_arn, 5), None)
    unseen = pc.and_(pc.is_valid(role_arn), pa.array(role < 0))
    profile_name, profile_path = (lookup(profiles[name], profile) for name in ("profile_name", "profile_path"))
    role_name, role_path = pc.coalesce(lookup(roles["role_name"], role), named), lookup(roles["role_path"], role)
    sides = ((profiles, linked.tag_profile), (roles, linked.tag_role))
    calls = (partial(_tag_texts, inventory.tags, *side) for side in sides)
    relate = partial(_relations, role_name, profile_name)
    profile_tags, role_tags, relations = on_two_cores(len(inventory.tags), *calls, relate)
    columns = {
        "account_id": pc.coalesce(lookup(profiles["account_id"], profile), lookup(roles["account_id"], role)),
        "profile_arn": profile_arn,
        "role_arn": role_arn,
        "profile_name": profile_name,
        "role_name": role_name,
        "relation": relations,
        "profile_path": profile_path,
        "role_path": role_path,
        "profile_segments": pc.utf8_trim(profile_path, "/"),
        "role_segments": pc.utf8_trim(role_path, "/"),
        "paths_differ": pc.fill_null(pc.not_equal(profile_path, role_path), False),
        "profile_tags": lookup(profile_tags, profile),
        "role_tags": lookup(role_tags, role),
        "profile_tags_known": lookup_flag(profiles["tags_known"], profile, otherwise=False),
        "role_tags_known": lookup_flag(roles["tags_known"], role, otherwise=False),
        "role_known": lookup_flag(profiles["role_known"], profile, otherwise=False),
        "trusts_ec2": pc.if_else(unseen, "unknown", lookup(roles["trusts_ec2"], role)),
        "is_aws_managed": lookup_flag(roles["is_aws_managed"], role, otherwise=False),
    }
    made = _maker_columns(columns, [*makers, *known_makers()], lookup(_maker_proven_by_tag(inventory), profile))
    return schema.PAIRS.conform(columns | made).assign(profile_row=profile, role_row=role)


def knows_profiles(inventory: Inventory) -> Bools:
    roles, gaps = inventory.roles, inventory.gaps
    unread = gaps[gaps["operation"] == ROLE_LINKS]
    none_read = is_in(roles["account_id"], unread["account_id"][unread["subject"] == ALL])
    return ~none_read & ~is_in(roles["role_arn"], unread["subject"])


def _is_lone_role(inventory: Inventory) -> Bools:
    trusting = np.asarray(inventory.roles["trusts_ec2"] == "yes", dtype=bool)
    linked = are_among(np.arange(len(inventory.roles)), inventory.linked_rows.link_role)
    return trusting & knows_profiles(inventory) & ~linked


def _relations(role_names: pa.Array, profile_names: pa.Array) -> pa.Array:
    differ = pc.not_equal(role_names, profile_names)
    rows = pc.indices_nonzero(pc.fill_null(differ, False))
    names = zip(role_names.take(rows).to_pylist(), profile_names.take(rows).to_pylist(), strict=True)
    relations = pa.array([relation(role, profile) for role, profile in names], pa.string())
    return pc.replace_with_mask(pc.if_else(differ, _NO_TEXT, "same"), pc.fill_null(differ, False), relations)


def _tag_texts(tags: pd.DataFrame, frame: pd.DataFrame, owner: Positions) -> pa.Array:
    own = np.flatnonzero(owner >= 0)
    key, value = (as_arrow(tags[name]).take(pa.array(own)) for name in ("tag_key", "tag_value"))
    each = pc.fill_null(join_by_group(owner[own], concat(key, "=", value), len(frame), ", "), "")
    return pc.if_else(pa.array(np.asarray(frame["tags_known"], dtype=bool)), each, _NO_TEXT)


def _maker_columns(columns: Mapping[str, Any], makers: list[Maker], maker_by_tag: pa.Array) -> dict[str, Any]:
    def first_fitting(sides: Sides, among: Bools) -> Positions:
        rows = np.flatnonzero(among)
        names = [f"{side}_{part}" for side in _sides(sides) for part in _PARTS]
        found = np.full(len(among), -1)
        found[rows] = first_maker(makers, {n: pc.fill_null(columns[n].take(pa.array(rows)), "") for n in names}, sides)
        return found

    has_profile, has_role = (np.asarray(columns[arn].is_valid()) for arn in ("profile_arn", "role_arn"))
    pair = first_fitting("both", has_profile & has_role)
    is_tag = np.asarray(maker_by_tag.is_valid()) & (pair < 0)
    rest = (pair < 0) & ~is_tag
    # The profile's name says more than the role's: many profiles may hold one role.
    by_profile = first_fitting("profile", rest & has_profile)
    by_role = first_fitting("role", rest & has_role & (by_profile < 0))
    names = pa.array([maker.name for maker in makers], pa.string())
    maker = pc.coalesce(lookup(names, pair), maker_by_tag, lookup(names, by_profile), lookup(names, by_role))
    basis = pc.if_else(pa.array(pair >= 0), PAIR, pc.if_else(pa.array(is_tag), TAG, GUESS))

    # False if the maker is only a guess.
    def intended(flags: Iterable[bool]) -> Bools:
        return lookup_flag(np.fromiter(flags, dtype=bool), pair, otherwise=False)

    return {
        "maker": maker,
        "maker_basis": pc.if_else(maker.is_valid(), basis, _NO_TEXT),
        # The tools that write such tags choose names and paths of their profiles, and accept any role.
        "names_expected": intended(maker.names_differ for maker in makers) | is_tag,
        "paths_expected": intended(maker.paths_differ for maker in makers) | is_tag,
        "untagged_expected": intended(not maker.tags_profiles for maker in makers),
    }


def _maker_proven_by_tag(inventory: Inventory) -> pa.Array:
    keys = as_arrow(inventory.tags["tag_key"]).dictionary_encode()
    known = known_tags()
    numbers = [known.index(own) if own and own.is_proof else -1 for own in map(own_tag, keys.dictionary.to_pylist())]
    number, owner = np.array(numbers, dtype=np.int64)[np.asarray(keys.indices)], inventory.linked_rows.tag_profile
    rows = np.flatnonzero((number >= 0) & (owner >= 0))
    # Karpenter writes a tag of EKS, too, so the first entry of the file counts. The last assignment stays.
    rows = rows[np.argsort(-number[rows], kind="stable")]
    of_profile = np.full(len(inventory.profiles), -1)
    of_profile[owner[rows]] = number[rows]
    return lookup(pa.array([one.maker for one in known], pa.string()), of_profile)


@schema.shows(schema.TAG_COVERAGE)
def tag_coverage(inventory: Inventory) -> pd.DataFrame:
    """Return how many roles and profiles of each account have each tag key.

    In each account and resource type, the most common tag keys come first. Resources with unknown tags are counted only
    in the column `unknown`. Tag keys that differ only in case have separate rows. AWS-managed roles and AWS-reserved
    tag keys are left out.
    """
    require("tag_coverage", inventory, Inventory, instead="what `iamframe.load` gives")
    tags, linked = inventory.tags, inventory.linked_rows
    is_managed = lookup_flag(inventory.roles["is_aws_managed"], linked.tag_role, otherwise=True)
    parts = []
    for kind, is_own in (("role", ~is_managed), ("instance-profile", linked.tag_profile >= 0)):
        own = tags[is_own & ~tags["is_aws_reserved"].to_numpy(bool)]
        # Arrow's group-by takes longer to load than this takes to run.
        codes = np.asarray(joined_key(own["account_id"], own["tag_key"]).dictionary_encode().indices)
        _, first, tagged = np.unique(codes, return_index=True, return_counts=True)
        account, tag_key = (as_arrow(own[name]).take(pa.array(first)) for name in ("account_id", "tag_key"))
        counts = count_tags_known(inventory, kind)
        counts = counts.take(pa.array(index_in(account, counts["account_id"])))
        known = counts["known"]
        columns = {
            "account_id": account,
            "resource_type": pa.repeat(pa.scalar(kind), len(account)),
            "tag_key": tag_key,
            "tagged": tagged,
            "known": known,
            "unknown": counts["unknown"],
            "share": pc.divide(pa.array(tagged, pa.float64()), pc.if_else(pc.greater(known, 0), known, None)),
        }
        parts.append(pa.table(columns).cast(schema.TAG_COVERAGE.arrow))
    keys = [
        (n, "descending" if n == "share" else "ascending") for n in ("account_id", "resource_type", "share", "tag_key")
    ]
    return schema.TAG_COVERAGE.from_arrow(pa.concat_tables(parts).sort_by(keys))


def taggable_resources(inventory: Inventory) -> dict[str, tuple[pd.DataFrame, str]]:
    roles = inventory.roles[~inventory.roles["is_aws_managed"]]
    return {"role": (roles, "role_arn"), "instance-profile": (inventory.profiles, "profile_arn")}


def count_tags_known(inventory: Inventory, resource_type: str) -> pa.Table:
    frame, _ = taggable_resources(inventory)[resource_type]
    accounts, known = as_arrow(frame["account_id"]).dictionary_encode(), np.asarray(frame["tags_known"], dtype=bool)
    codes, size = np.asarray(accounts.indices), len(accounts.dictionary)
    counts = [np.bincount(codes[flags], minlength=size) for flags in (known, ~known)]
    return pa.table([accounts.dictionary, *counts], names=["account_id", "known", "unknown"])


def missing_permissions(inventory: Inventory) -> dict[str, object]:
    """Return one IAM policy that allows every operation that `gaps` shows as denied in at least one account.

    The policy allows only operations that iamframe calls. The policy leaves out operations that another policy denies
    explicitly, because an explicit Deny overrides any Allow. Accounts that denied every request do not affect the
    policy. The column `detail` of `gaps` shows the cause of each denial. If the policy allows no operation, its list
    `Statement` is empty.

    Even with this policy, AWS may still deny a request. A permissions boundary or an organization's policy can block an
    action that the returned policy allows. AWS may have denied `sts:AssumeRole` because the role does not trust the
    caller, or because the account is closed. Source: IAM User Guide, "Policy evaluation logic".
    """
    require("missing_permissions", inventory, Inventory, instead="what `iamframe.load` gives")
    gaps = inventory.gaps[inventory.gaps["reason"] == "denied"]
    return policy_of(actions_of(gaps["operation"][~gaps["facts"].str.contains(_NOT_GRANTED, na=False)]))


def first_maker(makers: Iterable[Maker], columns: Mapping[str, Any], sides: Sides) -> Positions:
    chosen = _sides(sides)
    forms = {
        at: maker.form(chosen)
        for at, maker in enumerate(makers)
        if (maker.profile and not maker.is_guess if sides == "both" else maker.tells(sides))
    }
    text = pc.binary_join_element_wise(*(columns[f"{side}_{part}"] for side in chosen for part in _PARTS), "\n")
    found = np.full(len(text), -1)
    if not forms or not len(found):
        return found
    # Most rows fit no maker, so a pattern of all makers comes first.
    rows = _fitting(text, "|".join(form.plain for form in forms.values()), np.arange(len(found)))
    for at, form in forms.items():
        fitting = _fitting(text, form.plain, rows)
        if form.checked:
            fits = map(form.fits, text.take(pa.array(fitting)).to_pylist())
            fitting = fitting[np.fromiter(fits, dtype=bool, count=len(fitting))]
        found[fitting] = at
        rows = rows[found[rows] < 0]
    return found


def _sides(sides: Sides) -> tuple[str, ...]:
    return ("role", "profile") if sides == "both" else (sides,)


def _fitting(text: pa.Array, pattern: str, rows: Positions) -> Positions:
    if not len(rows):
        return rows
    matches = pc.match_substring_regex(text.take(pa.array(rows)), f"\\A(?:{pattern})\\z")
    fits: Bools = np.asarray(pc.fill_null(matches, False))
    return rows[fits]


def owned_profiles(inventory: Inventory) -> pd.DataFrame:
    candidates = list(_candidates(inventory))
    lists = _Lists(inventory) if candidates else None
    rows = [min((lists.judged(one, owned) for owned in one.owned), key=_precedence) for one in candidates if lists]
    return schema.OWNED_PROFILES.conform(pd.DataFrame(rows, columns=schema.OWNED_PROFILES.names))


def _precedence(row: Mapping[str, Any]) -> tuple[bool, int]:
    # A profile may show several clusters, environments or stacks, and one that exists may need the profile.
    return row["basis"] == NAME and row["status"] != LIVING, (LIVING, UNREAD, GONE).index(row["status"])


class _Profile(NamedTuple):
    account_id: str
    arn: str
    name: str
    owned: list[Owned]


def _candidates(inventory: Inventory) -> Iterator[_Profile]:
    profiles, tags = inventory.profiles, inventory.tags
    own = tags[(inventory.linked_rows.tag_profile >= 0) & is_in(tags["tag_key"], pa.array(shows_owner().tags))]
    tagged: dict[str, dict[str, str]] = defaultdict(dict)
    for arn, key, value in zip(own["resource_arn"], own["tag_key"], own["tag_value"], strict=True):
        tagged[arn][key] = value
    texts = pc.binary_join_element_wise(
        *(pc.fill_null(as_arrow(profiles[f"profile_{part}"]), "") for part in ("path", "name")), "\n"
    )
    shown = pc.match_substring_regex(texts, shows_owner().texts)
    chosen = profiles[np.asarray(shown) | is_in(profiles["profile_arn"], pa.array(tagged, pa.string()))]
    columns = (chosen[name] for name in ("account_id", "profile_arn", "profile_name", "profile_path"))
    for account, arn, name, path in zip(*(column.fillna("") for column in columns), strict=True):
        if owned := owners_of(name, path, tagged.get(arn, {})):
            yield _Profile(account, arn, name, owned)


class _Lists:
    def __init__(self, inventory: Inventory) -> None:
        labels = pa.array([owner.label for owner in known_owners()])
        calls = inventory.calls[is_in(inventory.calls["operation"], labels)]
        whole = calls[calls["state"] == "complete"]
        self.whole: dict[tuple[str, str], set[str]] = defaultdict(set)
        for account, operation, region in zip(whole["account_id"], whole["operation"], whole["region"], strict=True):
            self.whole[account, operation].add(region)
        # Files do not show which regions are enabled.
        asked = calls[calls["requests"] > 0]
        self.asked = set(zip(asked["account_id"], asked["operation"], strict=True))
        gaps = inventory.gaps
        self.gaps = set(zip(gaps["account_id"], gaps["operation"], gaps["subject"], strict=True))
        # A gap about one profile does not make a list incomplete.
        self.any_gap = {(account, name) for account, name, of in self.gaps if ":instance-profile/" not in str(of)}
        self.living: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        self.stacks: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
        columns = ("account_id", "region", "owner_type", "owner_id", "owner_name", "profile_name")
        rows = (inventory.resource_owners[name] for name in columns)
        for account, region, kind, owner_id, name, profile in zip(*rows, strict=True):
            if isinstance(profile, str):
                self.stacks[account, profile].append((region, owner_id, name))
            else:
                self.living[account, kind, owner_id].add(region)
                self.living[account, kind, name].add(region)

    def judged(self, profile: _Profile, owned: Owned) -> dict[str, Any]:
        account, (owner, names, region, basis) = profile.account_id, owned
        if basis == NAME and (stacks := self.stacks.get((account, profile.name))):
            # AWS shows the profile's stack, whether or not the profile's name contains the name of the stack.
            region, stack_id, name = max(stacks, key=lambda one: (account, owner.owner_type, one[1]) in self.living)
            names, basis = (stack_id, name), _RESOURCE
        whole = self.whole.get((account, owner.label), set())
        regions = whole & {region} if region else whole
        living = set().union(*(self.living.get((account, owner.owner_type, name), set()) for name in names))
        if living & {region} if region else living:
            status = LIVING
        elif not regions or not (region or self._is_everywhere(account, owner.label)):
            status = UNREAD
        else:
            refused = {(account, _IN_STACK, ALL), (account, _IN_STACK, profile.arn)} & self.gaps
            is_newer = (account, owner.label, profile.arn) in self.gaps
            status = UNREAD if is_newer or (basis == NAME and refused) else GONE
        return {
            "account_id": account,
            "profile_arn": profile.arn,
            "profile_name": profile.name or None,
            "owner_type": owner.owner_type,
            "owner_name": names[-1],
            "owner_region": region,
            "basis": basis,
            "status": status,
            "regions": " ".join(sorted(regions)),
            "listing": owner.label,
        }

    def _is_everywhere(self, account: str, listing: str) -> bool:
        return (account, listing) in self.asked and (account, listing) not in self.any_gap
