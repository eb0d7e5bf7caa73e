"""One role or profile, or what uses one, and everything that is known about it: `explain`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.analysis.explain_text import OF_A_PAIR, SHOWN, cell_text, html_tables, text_lines
from iamframe.analysis.history import events_of
from iamframe.analysis.nearest import nearest
from iamframe.checks import CHECKS, Policy, Result, run_checks
from iamframe.checks.coverage import tag_policy
from iamframe.checks.evidence import Evidence
from iamframe.checks.runner import coverage_of
from iamframe.checks.tag_policy import PolicySource
from iamframe.errors import require
from iamframe.inventory import schema
from iamframe.inventory.arrow import Bools, as_arrow, is_in, joined_key
from iamframe.inventory.completeness import completeness
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.linking import profile_ids, without_path
from iamframe.inventory.views import first_maker
from iamframe.knowledge.arn import Query, account_of, name_of, parse_query, partition_of
from iamframe.knowledge.makers import GUESS, PAIR, TAG, known_makers
from iamframe.knowledge.operations import ALL, ASSUME_ROLE, CORE, ROLE_LINKS, aws_command, proving
from iamframe.knowledge.surfaces import known_facts
from iamframe.knowledge.trust import statements_of
from iamframe.messages.text import pluralize

NOT_READ = "not read"
# AWS's own words, as it answered when it was recorded; tests hold them against the practice account.
CONFLICT = "DeleteConflict: Cannot delete entity, must remove roles from instance profile first."
Row: TypeAlias = dict[Any, Any]
_TYPES = {"role": "role", "profile": "instance-profile"}
# Which operations tell of tags, or that they could not be read.
_TELL_TAGS = {
    "role": (*proving("role_tags"), "tags"),
    "profile": (*proving("profile_tags"), "tags"),
}
_TAKES_AWAY = ("aws iam delete-", "aws iam remove-")


@dataclass(frozen=True)
class Explanation:
    """What is known of the roles and profiles that a name means.

    `print` it, or take `to_frame()`, which holds every field that is printed.
    """

    query: str
    frame: pd.DataFrame

    @property
    def found(self) -> bool:
        """Whether a role or a profile of that name was read, or something that uses a profile."""
        return bool(self.frame["section"].isin(["identity", "uses"]).any())

    @schema.shows(schema.EXPLANATION)
    def to_frame(self) -> pd.DataFrame:
        """Return one row per field, in the order in which they are printed.

        Its columns are those of `schema.EXPLANATION`: role and profile stand side by side, as `role` and `profile`.
        """
        return self.frame

    def __str__(self) -> str:
        """Return it as plain text: the pairs one after the other, role and profile side by side."""
        return "\n".join(text_lines(self.frame))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return it as tables, one per section of a pair, as a notebook shows it."""
        return "".join(html_tables(self.frame))


def explain(inventory: Inventory | Result, name: str, policy: PolicySource = None) -> Explanation:
    """Return everything known of a role or instance profile, or of the profiles that an instance or a template uses.

    Parameters
    ----------
    inventory
        What was read, of one account or many; or a result of `run_checks`, whose findings are told then, with the
        policy that it was made with.
    name
        Its name, with or without its path, its ARN (that of an assumed role means its role) or its unique id, in any
        case. A name means both the role and the profile that bear it, in each account. Whatever is given must be so:
        of another partition, account, type or path, nothing is found, and the nearest are told. A path that is not
        given may be any; where an ARN is given without it, the section `asked` says which ARN is shown instead.
        Where no role and no profile is meant, it may be the id, name or ARN of something that uses a profile: an
        instance, a launch template, an Auto Scaling group; the section `uses` tells then which profiles it uses, and
        whether each is still there.
    policy
        A tag policy file, as for `run_checks`.

    Returns
    -------
    Explanation
        For each link, and each role or profile without one: both ARNs taken apart, maker, tags side by side with what
        differs, who may assume the role, what refers to the profile and where that was looked for, last use, its
        findings and what could not be checked, what AWS would answer to deleting it, and the next commands, those that
        take something away last, and none of these for a profile that something uses. Where nothing bears the name:
        what names it or its id, the nearest names, and what was not readable. No request is made to AWS.

    Raises
    ------
    TypeError
        If the name is no text.
    PolicyError
        If the policy file cannot be understood.
    """
    if not isinstance(name, str):
        raise TypeError(f"explain takes the name, ARN or unique id of a role or profile as text, not {name!r}")
    require("explain", inventory, Inventory, Result, instead="what `iamframe.load` or `iamframe.run_checks` gives")
    result = inventory if isinstance(inventory, Result) else None
    read = inventory.inventory if isinstance(inventory, Result) else inventory
    asked = parse_query(name)
    roles, profiles = _matches(read, asked)
    rows = _Rows()
    role_arns, profile_arns = as_arrow(read.roles["role_arn"][roles]), as_arrow(read.profiles["profile_arn"][profiles])
    if len(role_arns) or len(profile_arns):
        _asked(rows, asked, role_arns, profile_arns)
    elif len(using := _using(read.references, asked)):
        _uses(rows, read, using, result.lists if result else completeness(read))
        # It may be the name of a profile that is gone as well.
        _named_by(rows, read, asked)
        profile_arns = pc.unique(as_arrow(using["profile_arn"]).drop_null())
    else:
        _not_found(rows, read, name, asked, result.lists if result else completeness(read))
    if len(role_arns) or len(profile_arns):
        near = _near(read, role_arns, profile_arns)
        _found(rows, _told(result, near) if result else run_checks(near, policy=policy), role_arns, profile_arns)
    return Explanation(name, schema.EXPLANATION.conform(pd.DataFrame(rows.rows, columns=schema.EXPLANATION.names)))


def _matches(inventory: Inventory, asked: Query) -> tuple[Bools, Bools]:
    """Return which roles and which profiles are asked for: those of which all that the text says is so."""
    found = []
    for side, frame in (("role", inventory.roles), ("profile", inventory.profiles)):
        hit = _bears(frame, side, asked)
        ids = pc.utf8_lower(as_arrow(frame[f"{side}_id"]))
        hit |= np.asarray(pc.fill_null(pc.equal(ids, asked.text.lower()), False))
        # What has no ARN yet is asked for by the key that stands for it.
        found.append(hit | np.asarray(pc.equal(as_arrow(frame[f"{side}_arn"]), asked.text)))
    if not asked.path and asked.kind in (None, "role"):
        # A role that no source shows is known by its name, from the profile that holds it.
        links = inventory.links
        named = np.asarray(pc.equal(pc.utf8_lower(as_arrow(links["role_arn"])), f"name:{asked.name.lower()}"))
        mine = links[named & _of_place(links, "profile", asked)]
        found[1] = found[1] | is_in(inventory.profiles["profile_arn"], mine["profile_arn"])
    return found[0], found[1]


def _bears(frame: pd.DataFrame, side: str, asked: Query) -> Bools:
    """Return which roles, or which profiles, are of the name, type, path, partition and account that are given."""
    if asked.kind not in (None, _TYPES[side]):
        return np.zeros(len(frame), dtype=bool)
    hit = _equal(frame[f"{side}_name"], asked.name)
    if asked.path:
        hit &= _equal(pc.utf8_trim(as_arrow(frame[f"{side}_path"]), "/"), asked.path)
    return hit & _of_place(frame, side, asked)


def _of_place(frame: pd.DataFrame, side: str, asked: Query) -> Bools:
    if not asked.is_arn:
        return np.ones(len(frame), dtype=bool)
    begins = pc.starts_with(as_arrow(frame[f"{side}_arn"]), f"arn:{asked.partition}:", ignore_case=True)
    return np.asarray(pc.fill_null(begins, False)) & _equal(frame["account_id"], asked.account or "")


def _equal(values: Any, text: str) -> Bools:
    """Return which values are a text, in any case."""
    return np.array(pc.fill_null(pc.equal(pc.utf8_lower(as_arrow(values)), text.lower()), False), dtype=bool)


def _using(references: pd.DataFrame, asked: Query) -> pd.DataFrame:
    """Return the references of what uses profiles, asked for by its id, its name or its ARN, by version."""
    hit = np.logical_or.reduce([_equal(references[f"consumer_{what}"], asked.text) for what in ("id", "arn", "name")])
    parts = asked.text.split(":", 5)
    if parts[0].lower() == "arn" and len(parts) == 6:
        # From a file that does not say of which region it is.
        region, account, resource = parts[3:]
        mine = _equal(references["account_id"], account) & references["consumer_arn"].isna().to_numpy(bool)
        there = references["region"].isin([region, "unknown"]).to_numpy(bool)
        hit = hit | (_equal(references["consumer_id"], resource.partition("/")[2]) & mine & there)
    versions = references["consumer_version"].fillna("")
    named = references.assign(consumer_version=versions, length=versions.str.len())[hit & bool(asked.text)]
    order = named.sort_values(
        ["account_id", "region", "consumer_type", "consumer_id", "length", "consumer_version"], kind="stable"
    )
    ordered: pd.DataFrame = references.loc[order.index]
    return ordered


def _uses(rows: _Rows, inventory: Inventory, using: pd.DataFrame, lists: pd.DataFrame) -> None:
    """Tell which profiles something uses: what each holds, and that one is gone, or that nobody can say so."""
    profiles = inventory.profiles.set_index("profile_arn")
    held = _grouped(inventory.links[is_in(inventory.links["profile_arn"], using["profile_arn"])], "profile_arn")
    whole = dict(zip(lists["account_id"], lists["profiles_whole"], strict=True))
    for row in using.to_dict("records"):
        rows.of = {"account_id": row["account_id"], "role_arn": None, "profile_arn": None}
        arn, version = cell_text(row["profile_arn"]), cell_text(row["consumer_version"])
        if arn is None:
            said = _missing(inventory, row, whole)
        else:
            profile = profiles.loc[arn]
            names = ", ".join(name_of(one["role_arn"].removeprefix("name:")) for one in held[arn])
            said = f"holds the role {names}" if names else "holds no role"
            if not names and not profile["role_known"]:
                said = f"{NOT_READ} which role it holds"
            if other := _other_id(row, profile):
                said += f"; {other}"
        words = [row["region"], row["consumer_name"], row["consumer_state"], version and f"version {version}", said]
        field = f"{row['consumer_type']} {row['consumer_id']}"
        rows.add("uses", field, profile=arn or row["named"], note=", ".join(filter(None, map(cell_text, words))))
    rows.of = {}


def _missing(inventory: Inventory, reference: Row, whole: dict[str, bool]) -> str:
    """Say of a profile that no source shows whether it is gone."""
    account = account_of(reference["named"]) or reference["account_id"]
    if account not in whole:
        return f"unknown whether that profile exists: account {account} was not read"
    if not whole[account]:
        return f"unknown whether that profile exists: not all profiles of account {account} were read"
    mine = inventory.profiles[_equal(inventory.profiles["account_id"], account)]
    others = mine["profile_arn"][_equal(mine["profile_name"], name_of(reference["named"]))].tolist()
    another = f"; {', '.join(others)} is another one" if others else ""
    return f"gone: account {account} has no such profile{another}"


def _other_id(reference: Row, profile: Any) -> str | None:
    """Say that what uses a profile was started with one that was deleted since, and made again under its name."""
    held, today = profile_ids([cell_text(reference["profile_id"]), cell_text(profile["profile_id"])]).to_pylist()
    if held and today and held != today:
        return f"was started with the id {held}, which is not the profile's"
    return None


def _asked(rows: _Rows, asked: Query, *arns: pa.Array) -> None:
    """Say which ARN is shown for one that was given without its path."""
    for arn in (arn for side in arns for arn in side.to_pylist()):
        if asked.is_arn and not asked.assumed and arn.lower() != asked.text.lower():
            # A role that is known by its name alone is shown with the profile that holds it.
            rows.add("asked", "another ARN", note=f"asked for {asked.text}; shown is {arn}")


def _near(inventory: Inventory, roles: pa.Array, profiles: pa.Array) -> Inventory:
    """Return what the checks need to judge these roles and profiles, and nothing else of the inventory."""
    links = inventory.links
    for _ in range(2):
        mine = links[is_in(links["role_arn"], roles) | is_in(links["profile_arn"], profiles)]
        roles = pa.concat_arrays([roles, as_arrow(mine["role_arn"])])
        profiles = pa.concat_arrays([profiles, as_arrow(mine["profile_arn"])])
    rows = {
        "roles": is_in(inventory.roles["role_arn"], roles),
        "profiles": is_in(inventory.profiles["profile_arn"], profiles),
    }
    names = pa.concat_arrays(
        [_name_key(inventory.roles[rows["roles"]], "role"), _name_key(inventory.profiles[rows["profiles"]], "profile")]
    )
    rows["roles"] |= is_in(_name_key(inventory.roles, "role"), names)
    chosen = {name: getattr(inventory, name)[mask] for name, mask in rows.items()}
    arns = pa.concat_arrays([as_arrow(chosen["roles"]["role_arn"]), as_arrow(chosen["profiles"]["profile_arn"])])
    accounts = pa.concat_arrays([as_arrow(frame["account_id"]) for frame in chosen.values()])
    frames = inventory.frames | chosen
    for name in ("accounts", "gaps", "calls"):
        frames[name] = frames[name][is_in(frames[name]["account_id"], accounts)]
    frames["links"] = links[
        is_in(links["profile_arn"], chosen["profiles"]["profile_arn"])
        | is_in(links["role_arn"], chosen["roles"]["role_arn"])
    ]
    frames["tags"] = inventory.tags[is_in(inventory.tags["resource_arn"], arns)]
    frames["events"] = _of_names(
        inventory.events, pa.concat_arrays([as_arrow(frame[f"{side[:-1]}_name"]) for side, frame in chosen.items()])
    )
    references = inventory.references
    elsewhere = is_in(without_path(references["named"]), without_path(chosen["profiles"]["profile_arn"]))
    frames["references"] = references[is_in(references["profile_arn"], arns) | elsewhere]
    return Inventory(
        **{name: frame.reset_index(drop=True) for name, frame in frames.items()}, sources=inventory.sources
    )


def _of_names(events: pd.DataFrame, names: pa.Array) -> pd.DataFrame:
    """Return the events of resources of some names, in any case, and of what they were linked to."""
    names = pc.utf8_lower(names)
    of_name, of_other = (
        is_in(pc.utf8_lower(as_arrow(events[f"{what}_name"])), names) for what in ("resource", "related")
    )
    return events[of_name | of_other].sort_values(["account_id", "event_order"])


def _name_key(frame: pd.DataFrame, side: str) -> pa.Array:
    return joined_key(frame["account_id"], pc.utf8_lower(as_arrow(frame[f"{side}_name"])))


class _Rows:
    """The fields of an explanation, as they come."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str | None]] = []
        self.of: dict[str, str | None] = {}

    @property
    def account(self) -> str:
        return str(self.of["account_id"])

    def add(
        self, section: str, field: str, role: str | None = None, profile: str | None = None, note: str | None = None
    ) -> None:
        self.rows.append(
            self.of | {"section": section, "field": field, "role": role, "profile": profile, "note": note or None}
        )


def _told(result: Result, near: Inventory) -> Result:
    """Return what a result says of a part of its inventory."""
    arns = pa.concat_arrays([as_arrow(near.roles["role_arn"]), as_arrow(near.profiles["profile_arn"])])

    def of(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
        return frame[np.logical_or.reduce([is_in(frame[column], arns) for column in columns])]

    pairs = of(result.pairs, "profile_arn", "role_arn")
    lists = result.lists[is_in(result.lists["account_id"], near.accounts["account_id"])]
    found = {
        name: one.only(is_in(one.findings["resource_arn"], arns) | is_in(one.findings["related_arn"], arns))
        for name, one in result.found.items()
    }
    # What was not read of the rest does not matter here.
    evidence = Evidence(near, pairs, lists, result.policy)
    coverage = coverage_of(evidence, result.checks, {name: one.findings["account_id"] for name, one in found.items()})
    return replace(result, inventory=near, found=found, coverage=coverage, pairs=pairs, lists=lists)


def _found(rows: _Rows, result: Result, role_arns: pa.Array, profile_arns: pa.Array) -> None:
    near = result.inventory
    pairs = result.pairs[is_in(result.pairs["role_arn"], role_arns) | is_in(result.pairs["profile_arn"], profile_arns)]
    alone = near.roles[is_in(near.roles["role_arn"], role_arns) & ~is_in(near.roles["role_arn"], pairs["role_arn"])]
    told = [
        *zip(pairs["account_id"], pairs["role_arn"], pairs["profile_arn"], _makers_said(pairs), strict=True),
        *zip(alone["account_id"], alone["role_arn"], [None] * len(alone), _makers(alone, result.policy), strict=True),
    ]
    _both(rows, near, role_arns, profile_arns)
    of_pair = _Facts(result, {(cell_text(role_arn), cell_text(profile_arn)) for _, role_arn, profile_arn, _ in told})
    for account, role_arn, profile_arn, maker in sorted(
        told, key=lambda row: tuple(cell_text(part) or "" for part in row)
    ):
        rows.of = {"account_id": account, "role_arn": cell_text(role_arn), "profile_arn": cell_text(profile_arn)}
        of_pair.tell(rows, cell_text(role_arn), cell_text(profile_arn), cell_text(maker))


def _makers(roles: pd.DataFrame, policy: Policy) -> list[str | None]:
    makers = [*policy.makers, *known_makers()]
    columns = {name: pc.fill_null(as_arrow(roles[name]), "") for name in ("role_path", "role_name")}
    guessed = [makers[at].name if at >= 0 else None for at in first_maker(makers, columns, "role")]
    return [maker and _BY[GUESS].format(maker) for maker in guessed]


_BY = {
    PAIR: "{}, as the names and paths of both sides say",
    TAG: "{}, as a tag of the profile says that only it writes",
    GUESS: "perhaps {}: one side looks like it",
}


def _makers_said(pairs: pd.DataFrame) -> list[str | None]:
    told = zip(pairs["maker"], pairs["maker_basis"], strict=True)
    return [None if pd.isna(maker) else _BY[basis].format(maker) for maker, basis in told]


def _both(rows: _Rows, near: Inventory, role_arns: pa.Array, profile_arns: pa.Array) -> None:
    """Say where a role and a profile bear the same name and are not each other's."""
    # Where files disagree on the name, nobody knows it.
    mine = near.profiles[is_in(near.profiles["profile_arn"], profile_arns) & near.profiles["profile_name"].notna()]
    namesakes = near.roles[is_in(near.roles["role_arn"], role_arns)]
    for account, name, profile_arn in zip(mine["account_id"], mine["profile_name"], mine["profile_arn"], strict=True):
        same = namesakes[(namesakes["account_id"] == account) & (namesakes["role_name"].str.lower() == name.lower())]
        held = near.links["role_arn"][near.links["profile_arn"] == profile_arn]
        for role_arn in same["role_arn"]:
            if len(held) and role_arn not in set(held):
                rows.of = {"account_id": account, "role_arn": role_arn, "profile_arn": profile_arn}
                others = ", ".join(name_of(arn.removeprefix("name:")) for arn in held)
                rows.add(
                    "name",
                    name,
                    role_arn,
                    profile_arn,
                    f"is the name of two resources that are not linked: the profile holds the role {others}",
                )


class _Facts:
    """What was read and found, to be told pair by pair."""

    def __init__(self, result: Result, told: set[tuple[str | None, str | None]]) -> None:
        self.near = near = result.inventory
        self.told = told
        self.checks = CHECKS | dict(result.checks)
        self.not_run = [name for name in CHECKS if name not in result.checks]
        self.roles, self.profiles, self.accounts, self.lists = (
            {row[key]: row for row in frame.to_dict("records")}
            for frame, key in (
                (near.roles, "role_arn"),
                (near.profiles, "profile_arn"),
                (near.accounts, "account_id"),
                (result.lists, "account_id"),
            )
        )
        self.pairs = {(row["role_arn"], row["profile_arn"]): row for row in result.pairs.to_dict("records")}
        self.held = _grouped(near.links, "role_arn")
        self.references = _grouped(near.references, "profile_arn")
        unknown = near.references[near.references["profile_arn"].isna()]
        self.elsewhere = _grouped(unknown.assign(meant=without_path(unknown["named"]).to_pandas().array), "meant")
        unsure = result.coverage[result.coverage["status"] != "complete"]
        self.unsure = _grouped(unsure[unsure["check"].isin(_of_one_resource())], "account_id")
        self.findings: dict[str, dict[int, Row]] = defaultdict(dict)
        for at, row in enumerate(result.findings.to_dict("records")):
            for arn in (row["resource_arn"], row["related_arn"]):
                self.findings[arn][at] = row
        self.tags: dict[str, dict[str, str]] = defaultdict(dict)
        tags = near.tags
        for arn, key, value in zip(tags["resource_arn"], tags["tag_key"], tags["tag_value"], strict=True):
            self.tags[arn][key] = value
        self.events = _grouped(near.events, "account_id")
        self.scopes = {account: self._scope(account) for account in self.accounts}

    def _scope(self, account: str) -> str:
        calls = self.near.calls
        calls = calls[(calls["account_id"] == account) & is_in(calls["operation"], pa.array(CORE))]
        regions = sorted(set(calls["region"][calls["state"] == "complete"]))
        where = f" (regions read: {', '.join(regions)})" if regions else ""
        status, reason = (self.lists[account][f"references_{word}"] for word in ("status", "reason"))
        return f"{status}: {reason or 'all enabled regions were read'}{where}"

    def tell(self, rows: _Rows, role_arn: str | None, profile_arn: str | None, maker: str | None) -> None:
        role, profile = self.roles.get(role_arn or ""), self.profiles.get(profile_arn or "")
        start = len(rows.rows)
        self._identity(rows, role_arn, role, profile_arn, profile, maker)
        self._link(rows, role_arn, profile_arn, profile)
        self._tags(rows, role_arn, role, profile_arn, profile)
        self._next_tags(rows, role_arn, role, profile_arn, profile)
        if role_arn is not None:
            _trust(rows, role)
        if profile is not None:
            self._references(rows, profile)
        if self.near.events_read:
            self._history(rows, role_arn, profile_arn)
        taking = self._findings(rows, role_arn, profile_arn)
        _surfaces(rows, role_arn is not None, profile_arn is not None)
        self._deleting(rows, role_arn, role, profile, taking)
        rows.rows[start:] = sorted(rows.rows[start:], key=lambda row: OF_A_PAIR.index(str(row["section"])))

    def _identity(
        self,
        rows: _Rows,
        role_arn: str | None,
        role: Row | None,
        profile_arn: str | None,
        profile: Row | None,
        maker: str | None,
    ) -> None:
        account = self.accounts[rows.account]
        rows.add("identity", "account", note=" ".join(filter(None, (rows.account, cell_text(account["account_name"])))))
        sides = [
            _parts(role_arn, role, "role") if role_arn else {},
            _parts(profile_arn, profile, "profile") if profile_arn else {},
        ]
        for field in dict.fromkeys((*sides[0], *sides[1])):
            of_role, of_profile = (side.get(field) for side in sides)
            extra = field.startswith("segment") and all(sides) and None in (of_role, of_profile)
            only = "role" if of_profile is None else "profile"
            rows.add("identity", field, of_role, of_profile, f"only the {only}'s path has it" if extra else None)
        if maker:
            rows.add("identity", "created by", note=maker)
        if role is not None:
            rows.add("identity", "last used", _last_used(role))
            for field, column in (
                ("description", "description"),
                ("longest session, seconds", "max_session_seconds"),
                ("permissions boundary", "permissions_boundary_arn"),
            ):
                if (value := cell_text(role[column])) is not None:
                    rows.add("identity", field, value)
            if role["is_aws_managed"]:
                rows.add("identity", "managed by AWS", "yes", note="AWS makes and deletes such roles")

    def _link(self, rows: _Rows, role_arn: str | None, profile_arn: str | None, profile: Row | None) -> None:
        if role_arn and profile_arn:
            pair = self.pairs[role_arn, profile_arn]
            expected = ", by the maker's design" if pair["names_expected"] else ""
            rows.add("link", "names", pair["role_name"], pair["profile_name"], _NAMES[pair["relation"]] + expected)
            # A role that no source shows is known by its name alone, and is another one in each account.
            more = [row["profile_arn"] for row in self.held[role_arn] if row["account_id"] == rows.account]
            if len(more) > 1:
                others = sorted(name_of(arn) for arn in more if arn != profile_arn)
                rows.add("link", "the role is also in", profile=", ".join(others))
        elif profile is not None:
            rows.add(
                "link",
                "role",
                note="the profile holds no role"
                if profile["role_known"]
                else f"{NOT_READ}: which role the profile holds",
            )
        else:
            known = self._own_profiles_read(rows, role_arn)
            rows.add(
                "link",
                "instance profile",
                note="the role is in no instance profile" if known else f"{NOT_READ}: whether a profile holds the role",
            )

    def _own_profiles_read(self, rows: _Rows, role_arn: str | None) -> bool:
        gaps = self.near.gaps
        gaps = gaps[(gaps["operation"] == ROLE_LINKS) & (gaps["account_id"] == rows.account)]
        return (
            bool(self.lists[rows.account]["profiles_whole"])
            or not is_in(gaps["subject"], pa.array([ALL, role_arn])).any()
        )

    def _tags(
        self,
        rows: _Rows,
        role_arn: str | None,
        role: Row | None,
        profile_arn: str | None,
        profile: Row | None,
    ) -> None:
        sides = [self._own_tags(role_arn, role), self._own_tags(profile_arn, profile)]
        there = (role_arn is not None, profile_arn is not None)
        if None in [tags for tags, is_there in zip(sides, there, strict=True) if is_there]:
            words = [
                None if not is_there else NOT_READ if tags is None else pluralize(len(tags), "tag")
                for tags, is_there in zip(sides, there, strict=True)
            ]
            why = [
                cause
                for word, side, arn in zip(words, _TYPES, (role_arn, profile_arn), strict=True)
                if word == NOT_READ
                for cause in self._why_no_tags(rows, side, str(arn))
            ]
            otherwise = "no listing shows tags" if words[1] == NOT_READ else None
            rows.add("tags", "read", words[0], words[1], "; ".join(dict.fromkeys(why)) or otherwise)
        elif not any(sides):
            words = ["none" if is_there else None for is_there in there]
            rows.add("tags", "all", words[0], words[1])
        of_role, of_profile = sides
        for key in sorted({*(of_role or {}), *(of_profile or {})}):
            note = _difference(key, of_role, of_profile) if all(there) and None not in sides else None
            rows.add("tags", key, (of_role or {}).get(key), (of_profile or {}).get(key), note)

    def _why_no_tags(self, rows: _Rows, side: str, arn: str) -> list[str]:
        """Return what the gaps say of tags that were not read: of this resource, else of all that was refused."""
        gaps = self.near.gaps
        gaps = gaps[(gaps["account_id"] == rows.account) & gaps["operation"].isin(_TELL_TAGS[side])]
        own = gaps[is_in(gaps["subject"], pa.array([arn, name_of(arn.removeprefix("name:"))]))]
        every = gaps[(gaps["subject"] == ALL) & gaps["reason"].isin(["denied", "throttled", "expired"])]
        return (own if len(own) else every)["detail"].tolist()

    def _next_tags(
        self, rows: _Rows, role_arn: str | None, role: Row | None, profile_arn: str | None, profile: Row | None
    ) -> None:
        if role_arn is not None and self._own_tags(role_arn, role) is None:
            held = {"role-name": name_of(role_arn.removeprefix("name:"))}
            rows.add("next", "read the role's tags", note=_command("iam list-role-tags", held))
        if profile is not None and self._own_tags(profile_arn, profile) is None:
            name = {"instance-profile-name": cell_text(profile["profile_name"]) or ""}
            rows.add("next", "read the profile's tags", note=_command("iam list-instance-profile-tags", name))

    def _own_tags(self, arn: str | None, row: Row | None) -> dict[str, str] | None:
        return self.tags[str(arn)] if row is not None and row["tags_known"] else None

    def _references(self, rows: _Rows, profile: Row) -> None:
        mine = self.references[profile["profile_arn"]]
        for row in mine:
            said = [row["region"], row["consumer_name"], row["consumer_state"], row["consumer_version"]]
            words = [text for text in (*map(cell_text, said), _other_id(row, profile)) if text]
            rows.add("used by", row["consumer_type"], profile=row["consumer_id"], note=", ".join(words))
        for row in self._elsewhere(profile):
            note = f"names {row['named']}, another path, which AWS may take for this profile"
            rows.add("used by", row["consumer_type"], profile=row["consumer_id"], note=note)
        nothing = "" if mine else "nothing that was read names it; "
        rows.add("used by", "looked for", note=f"{nothing}{self.scopes[rows.account]}")

    def _elsewhere(self, profile: Row) -> list[Row]:
        """Return what names a profile by an ARN that has another path."""
        return self.elsewhere[without_path([profile["profile_arn"]])[0].as_py()]

    def _history(self, rows: _Rows, role_arn: str | None, profile_arn: str | None) -> None:
        names = {
            kind: name_of(arn.removeprefix("name:")).lower()
            for kind, arn in (("role", role_arn), ("instance-profile", profile_arn))
            if arn
        }
        for event in self.events[rows.account]:
            related = (cell_text(event["related_name"]) or "").lower()
            own = (cell_text(event["resource_name"]) or "").lower()
            if own == names.get(event["resource_type"]) or (related and related == names.get("role")):
                _event(rows, event)
        account = self.accounts[rows.account]
        since, until = _time(account["events_from_at"]), _time(account["events_to_at"])
        span = f"from {since} to {until}" if since and until else "over a time that they do not tell"
        rows.add("history", "read", note=f"CloudTrail records {span}")

    def _findings(self, rows: _Rows, role_arn: str | None, profile_arn: str | None) -> list[tuple[str, str]]:
        """Tell the findings and their next steps; return those that take something away, which stand last."""
        mine = self.findings[role_arn or ""] | self.findings[profile_arn or ""]
        taking = []
        for at, row in sorted(mine.items()):
            arns = (cell_text(row["resource_arn"]), cell_text(row["related_arn"]))
            if (arns[1], arns[0]) != (role_arn, profile_arn) and (arns[1], arns[0]) in self.told:
                # It is of another pair of this role or profile, and told there.
                del mine[at]
                continue
            accepted = cell_text(row["accepted"])
            said = [row["severity"], "expected" if row["expected"] else None, accepted and f"accepted ({accepted})"]
            others = {arn: self._side(arn) for arn in arns if arn and arn not in (role_arn, profile_arn)}
            role, profile = (next((name_of(arn) for arn, of in others.items() if of == side), None) for side in _TYPES)
            rows.add("findings", row["check"], role, profile, note=f"{', '.join(filter(None, said))}: {row['detail']}")
            if step := cell_text(row["next_step"]):
                if step.startswith(_TAKES_AWAY):
                    taking.append((row["check"], step))
                else:
                    rows.add("next", row["check"], note=step)
        unsure = [row for row in self.unsure[rows.account] if self._concerns(row["check"], rows, role_arn, profile_arn)]
        if not mine:
            rows.add("findings", "none", note="of what could be checked" if unsure or self.not_run else None)
        if self.not_run:
            rows.add("not checked", "not run", note=", ".join(self.not_run))
        for row in unsure:
            rows.add("not checked", row["check"], note=f"{row['status']}: {row['reason']}")
        return taking

    def _side(self, arn: str) -> str | None:
        return "role" if arn in self.roles else "profile" if arn in self.profiles else None

    def _concerns(self, check: str, rows: _Rows, role_arn: str | None, profile_arn: str | None) -> bool:
        """Return whether a check concerns a pair or a side; one of profiles or links does not concern a lone role."""
        about = self.checks[check].about
        if profile_arn is not None:
            return role_arn is not None or about != "role"
        return about != "profile" and (about != "link" or not self._own_profiles_read(rows, role_arn))

    def _deleting(
        self, rows: _Rows, role_arn: str | None, role: Row | None, profile: Row | None, taking: list[tuple[str, str]]
    ) -> None:
        if profile is not None:
            name = {"instance-profile-name": cell_text(profile["profile_name"]) or ""}
            answer = "accepted, whether or not an instance still names it"
            rows.add("next", "see the profile", note=_command("iam get-instance-profile", name))
            if role_arn is None:
                if not profile["role_known"]:
                    answer = f"{NOT_READ} whether it holds a role; if it does, refused: {CONFLICT}"
            else:
                answer = f"refused: {CONFLICT}"
                held = {"role-name": name_of(role_arn.removeprefix("name:"))}
                taking.append(("take the role out", _command("iam remove-role-from-instance-profile", name | held)))
            taking.append(("delete the profile", _command("iam delete-instance-profile", name)))
            rows.add("deleting", "the profile", note=answer)
        if role is not None:
            answer = "accepted unless policies are in it or attached to it, which iamframe does not read"
            if role["is_aws_managed"]:
                answer = "refused: AWS manages it; the service that it belongs to deletes it"
            elif self.held[str(role_arn)]:
                answer = f"refused: {CONFLICT}"
            elif not self._own_profiles_read(rows, role_arn):
                answer = f"{NOT_READ} whether a profile holds it; if one does, refused: {CONFLICT}"
            rows.add("deleting", "the role", note=answer)
            rows.add(
                "next", "see the role", note=_command("iam get-role", {"role-name": cell_text(role["role_name"]) or ""})
            )
        if role_arn is not None and profile is not None and not (role is not None and role["is_aws_managed"]):
            names = name_of(role_arn.removeprefix("name:")), cell_text(profile["profile_name"]) or ""
            rows.add("deleting", "in the IAM console", note=_in_console(*names))
        self._taking(rows, profile, taking)

    def _taking(self, rows: _Rows, profile: Row | None, taking: list[tuple[str, str]]) -> None:
        """Tell, last, what takes something away: AWS accepts that of a profile in use, whatever loses its keys."""
        if not taking:
            return
        used = _used(self.references[profile["profile_arn"]]) if profile is not None else None
        if used is None and (
            self.lists[rows.account]["references_status"] != "complete"
            or (profile is not None and self._elsewhere(profile))
        ):
            rows.add("next", "first make sure", note="that nothing uses it, see used by")
        for field, command in taking:
            rows.add("next", field, note=f"not offered: {used}" if used else command)


def _of_one_resource() -> list[str]:
    """Return the checks that judge a single role or profile without a tag policy."""
    return [name for name, one in CHECKS.items() if one.about != "account" and tag_policy not in one.needs]


def _in_console(role: str, profile: str) -> str:
    """Return what the IAM console does to a profile when its role is deleted there (IAM User Guide, "Delete roles")."""
    if role.lower() == profile.lower():
        return (
            f"deleting the role there deletes the profile {profile} too, because both have the same name; "
            "the AWS CLI and the API never do that"
        )
    return f"deleting the role there leaves the profile {profile}: the console deletes only one of the role's own name"


def _grouped(frame: pd.DataFrame, key: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in frame.to_dict("records"):
        groups[row[key]].append(row)
    return groups


def _event(rows: _Rows, event: Row) -> None:
    what = [event["event_name"], *(cell_text(event[name]) for name in ("resource_name", "related_name", "tag_keys"))]
    refused = cell_text(event["error_code"])
    said = [
        " ".join(word for word in what if word),
        f"by {cell_text(event['actor_arn']) or 'whom it does not tell'}",
        f"with {cell_text(event['user_agent'])}" if cell_text(event["user_agent"]) else None,
        f"refused: {refused}" if refused else None,
    ]
    rows.add("history", _time(event["event_at"]) or "", note=", ".join(filter(None, said)))


def _used(references: list[Row]) -> str | None:
    """Return what uses a profile and what that would lose, the first of it; None where nothing does."""
    using = [row for row in references if cell_text(row["consumer_state"]) not in ("terminated", "shutting-down")]
    instances = {
        row["consumer_id"]: cell_text(row["consumer_state"]) or ""
        for row in using
        if row["consumer_type"] == "instance"
    }
    running = [one for one, state in instances.items() if not state.startswith("stop")]
    associated = [
        name for row in using if row["consumer_type"] == "association" and (name := cell_text(row["consumer_name"]))
    ]
    for names, has, have in (
        (running or [one for one in associated if one not in instances], "runs with it", "run with it"),
        (list(instances), "has it", "have it"),
    ):
        if len(names) == 1:
            return f"instance {names[0]} {has} and would lose its credentials"
        if names:
            return f"instances {_listed(names)} {have} and would lose their credentials"
    if using:
        names = [f"{row['consumer_type']} {row['consumer_id']}" for row in using]
        return f"{_listed(names)} {'names' if len(names) == 1 else 'name'} it and could start no instance"
    return None


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


_NAMES = {
    "same": "the same",
    "case": "the same but for case",
    "affix": "differ by a word such as -role or -profile",
    "generated": "differ by a random tail",
    "different": "differ",
}


def _command(verb: str, options: dict[str, str]) -> str:
    return aws_command(verb, options).strip("`")


def _parts(arn: str, row: Row | None, side: str) -> dict[str, str | None]:
    """Return an ARN taken apart, and what else tells its resource from others."""
    if row is None:
        return {"name": name_of(arn.removeprefix("name:")), "ARN": f"{NOT_READ}: no source shows this role"}
    path = cell_text(row[f"{side}_path"]) or ""
    segments = [segment for segment in path.split("/") if segment]
    return {
        "ARN": arn,
        "partition": partition_of(arn),
        "type": "role" if side == "role" else "instance-profile",
        **{f"segment {number} of the path": segment for number, segment in enumerate(segments, 1)},
        "name": cell_text(row[f"{side}_name"]),
        "path": path or None,
        "id": cell_text(row[f"{side}_id"]),
        "created": _time(row["created_at"]),
    }


def _difference(key: str, of_role: dict[str, str] | None, of_profile: dict[str, str] | None) -> str | None:
    role, profile = of_role or {}, of_profile or {}
    if key.startswith("aws:"):
        return "reserved by AWS"
    if key in role and key in profile:
        return None if role[key] == profile[key] else "another value"
    for there, other, missing in ((role, profile, "profile"), (profile, role, "role")):
        if key in there:
            cased = next((name for name in other if name.casefold() == key.casefold()), None)
            return f"the {missing} has it as {cased}" if cased else f"missing on the {missing}"
    return None


def _trust(rows: _Rows, role: Row | None) -> None:
    policy = cell_text(role["trust_policy"]) if role is not None else None
    rows.add("trust", "EC2 may assume the role", cell_text(role["trusts_ec2"]) if role is not None else "unknown")
    if policy is None:
        rows.add("trust", "policy", NOT_READ)
        return
    for one in statements_of(policy):
        condition = f", if {one.condition}" if one.condition else ""
        rows.add("trust", one.kind, one.principal, note=f"{one.effect} {one.actions}{condition}")


def _surfaces(rows: _Rows, of_role: bool, of_profile: bool) -> None:
    """Tell which consoles, APIs and tools show the tags, and which change them."""
    facts = {(fact.surface, fact.operation, fact.resource_type): fact for fact in known_facts()}
    for surface, operation in dict.fromkeys((fact.surface, fact.operation) for fact in known_facts()):
        if operation == "find":
            continue
        role, profile = (
            facts[surface, operation, kind] if there else None
            for kind, there in (("role", of_role), ("instance-profile", of_profile))
        )
        conditions = dict.fromkeys(fact.condition for fact in (role, profile) if fact and fact.condition)
        rows.add(
            "where tags show",
            f"{surface}: {operation}",
            role.answer if role else None,
            profile.answer if profile else None,
            "; ".join(conditions),
        )


def _last_used(role: Row) -> str:
    if not role["last_used_known"]:
        return NOT_READ
    at = _time(role["last_used_at"])
    # AWS looks back 400 days (IAM API Reference, RoleLastUsed).
    return (
        f"{at} in {cell_text(role['last_used_region']) or 'a region that AWS does not name'}"
        if at
        else "not in 400 days"
    )


def _time(value: Any) -> str | None:
    return None if pd.isna(value) else pd.Timestamp(value).strftime("%Y-%m-%d %H:%M:%S UTC")


def _not_found(rows: _Rows, inventory: Inventory, name: str, asked: Query, lists: pd.DataFrame) -> None:
    accounts = inventory.accounts
    read = (
        f"{pluralize(len(inventory.roles), 'role')} and {pluralize(len(inventory.profiles), 'instance profile')} "
        f"of {pluralize(len(accounts), 'account')}"
    )
    references = pluralize(len(inventory.references), "reference")
    uses = f", and nothing that uses one among {references}" if len(inventory.references) else ""
    rows.add("not found", name, note=f"no role or instance profile of that name, ARN or id among {read}{uses}")
    unread = lists[lists["references_status"] != "complete"]
    if len(unread):
        why = f"{unread['references_status'].iloc[0]}: {unread['references_reason'].iloc[0]}"
        more = f"; likewise of {pluralize(len(unread) - 1, 'more account')}" if len(unread) > 1 else ""
        rows.of = {"account_id": unread["account_id"].iloc[0], "role_arn": None, "profile_arn": None}
        rows.add("not readable", "what uses profiles", note=why + more)
        rows.of = {}
    _named_by(rows, inventory, asked)
    for event in events_of(inventory, name=asked.text).to_dict("records"):
        rows.of = {"account_id": event["account_id"], "role_arn": None, "profile_arn": None}
        _event(rows, event)
    rows.of = {}
    for near, role_arn, profile_arn in _nearest(inventory, asked):
        rows.add("nearest names", near, role_arn, profile_arn)
    gaps = inventory.gaps
    listings = (*proving("roles", "profiles"), ASSUME_ROLE)
    of_lists = gaps[is_in(gaps["operation"], pa.array(listings)) & (gaps["subject"] == ALL)]
    ends = pc.match_substring(as_arrow(gaps["subject"]), asked.name, ignore_case=True)
    of_name = gaps[np.asarray(pc.fill_null(ends, False)) & bool(asked.name)]
    both = pd.concat([of_name, of_lists]).drop_duplicates(["account_id", "detail"])
    for account, operation, detail in zip(both["account_id"], both["operation"], both["detail"], strict=True):
        rows.of = {"account_id": account, "role_arn": None, "profile_arn": None}
        rows.add("not readable", operation, note=detail)


def _named_by(rows: _Rows, inventory: Inventory, asked: Query) -> None:
    """Tell what still names it: consumers by name, ARN or the id they hold, trust policies by ARN or id."""
    references = inventory.references
    by_id = _equal(references["profile_id"], asked.text)
    by_name = _equal(references["profile_name"], asked.name) if asked.kind in (None, "instance-profile") else by_id
    shown = 0
    for row, of_id in zip(references[by_id | by_name].to_dict("records"), by_id[by_id | by_name], strict=True):
        if shown == SHOWN or not (of_id or _means(row, asked)):
            continue
        shown += 1
        rows.of = {"account_id": row["account_id"], "role_arn": None, "profile_arn": None}
        note = f"{row['region']}: {row['named']}{', started with that id' if of_id else ''}"
        rows.add("named by", row["consumer_type"], profile=row["consumer_id"], note=note)
    policies = as_arrow(inventory.roles["trust_policy"])
    holding = np.asarray(pc.fill_null(pc.match_substring(policies, asked.text, ignore_case=True), False))
    for row in inventory.roles[holding & bool(asked.text)].head(SHOWN * SHOWN).to_dict("records"):
        for one in statements_of(row["trust_policy"]):
            if one.principal.lower() == asked.text.lower():
                rows.of = {"account_id": row["account_id"], "role_arn": None, "profile_arn": None}
                rows.add("named by", "trust policy of role", row["role_name"], note=f"{one.kind} {one.principal}")


def _means(reference: Row, asked: Query) -> bool:
    """Return whether what names a profile of that name means the one that is asked for."""
    named = parse_query(reference["named"])
    account = named.account or reference["account_id"]
    return (
        asked.account in (None, account)
        and (not named.is_arn or asked.partition in (None, named.partition))
        and (not named.is_arn or asked.path in (None, named.path))
    )


def _nearest(inventory: Inventory, asked: Query) -> list[tuple[str, str | None, str | None]]:
    """Return the nearest names; with the ARNs that bear them where more than a name was asked for."""
    columns = [inventory.roles["role_name"], inventory.profiles["profile_name"]]
    if not (asked.is_arn or asked.path or asked.kind):
        return [(near, None, None) for near in nearest(asked.name, columns)]
    there = any(_equal(column, asked.name).any() for column in columns)
    found: list[tuple[int, str, str | None, str | None]] = []
    for name in [asked.name] if there else nearest(asked.name, columns):
        for side, frame in (("role", inventory.roles), ("profile", inventory.profiles)):
            mine = frame[_equal(frame[f"{side}_name"], name)]
            for account, own, arn in zip(mine["account_id"], mine[f"{side}_name"], mine[f"{side}_arn"], strict=True):
                far = 2 * (asked.account not in (None, account)) + (asked.kind not in (None, "other", _TYPES[side]))
                found.append((far, own, *((arn, None) if side == "role" else (None, arn))))
    return [one[1:] for one in sorted(found, key=lambda one: one[0])[:SHOWN]]
