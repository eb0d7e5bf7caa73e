"""Resources only in the account, resources only in Terraform, and resources with different values.

Resources are matched by ARN, or by account and name if no ARN matches. In an account, role names are unique, and
profile names are unique, regardless of case and path. Source: IAM User Guide, "IAM and AWS STS quotas". No IAM
operation changes the path of a role or profile. Source: IAM API Reference: UpdateRole has no parameter for a path, and
no other action changes a path.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import UNSET

from iamframe.analysis.matching import TYPES, counts_by_kind, differ, name_key, ordered, unmasked
from iamframe.checks import Result
from iamframe.errors import SourceError, require
from iamframe.inventory import display, schema
from iamframe.inventory.arrow import Bools, are_among, as_arrow, index_in, is_in, lookup
from iamframe.inventory.completeness import completeness
from iamframe.inventory.gaps import with_details
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.load import sample_folder
from iamframe.knowledge.arn import account_of, name_of, path_of
from iamframe.knowledge.operations import TAG_INDEX, UNKNOWN_ACCOUNT
from iamframe.messages.render import Message, columns_of, facts_of, render, say
from iamframe.messages.text import DIFFERENCES
from iamframe.sources.archives import display_path
from iamframe.sources.files import read_files
from iamframe.sources.records import Gap
from iamframe.sources.terraform import Leaving, ManagedProfile, ManagedRole

UNKNOWN = "unknown"
ALL_KINDS = (*DIFFERENCES, UNKNOWN)
_SHOWN = 20
# The Terraform state of the fictional sample, as a STATE.
SAMPLE_STATE = "sample:terraform"
_PLACE = ["account_id", "resource_type", "resource_name", "resource_arn", "state_file", "state_address"]
_MANAGED = dict.fromkeys([*_PLACE, "path", "id", "role"], "str") | dict.fromkeys(["role_known", "tags_known"], "bool")
_STATE_TAGS = {"row": "int64", "tag_key": "str", "tag_value": "str"}
# The columns that are facts of a message, by the names of the facts.
_FACTS = {"tag_key": "key", "state_value": "state", "account_value": "account"}


@schema.shows(schema.DRIFT)
@dataclass(frozen=True)
class Drift:
    """The differences between Terraform states and an inventory.

    The frame `differences` has one row per difference. Rows are sorted by kind of difference, account and ARN. Rows of
    the kind `unknown` show what could not be compared. The tuple `left_out` contains the accounts that were not
    compared, because none of the given states has a role or profile there. If no account was compared, `has_compared`
    is false.
    """

    differences: pd.DataFrame
    states: tuple[str, ...]
    left_out: tuple[str, ...]
    has_compared: bool

    @property
    def is_empty(self) -> bool:
        """True if there is no difference in the data that could be compared (see `is_complete`)."""
        return bool((self.differences["kind"] == UNKNOWN).all())

    @property
    def is_complete(self) -> bool:
        """True if at least one account was compared, and no row has the kind `unknown`.

        A path or unique id that is missing on one side, or masked, is not compared, and gives no row of the kind
        `unknown`.
        """
        return self.has_compared and not (self.differences["kind"] == UNKNOWN).any()

    def only(self, *kinds: str) -> Drift:
        """Return a copy with only the differences of the given kinds (default: all) and of the kind `unknown`."""
        chosen = self.differences["kind"].isin([*(kinds or ALL_KINDS), UNKNOWN])
        return replace(self, differences=self.differences[chosen].reset_index(drop=True))

    def to_frame(self, lang: str = "en", rows: int | None = None) -> pd.DataFrame:
        """Return the differences.

        `lang` is the language of the column `detail`: `en` or `ja`. `rows` is the maximum number of rows.
        """
        shown = self.differences[:rows]
        return shown if lang == "en" else with_details(shown, lang)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """For each kind of difference, the number of differences in roles and in profiles.

        The kinds are in the same order as in the frame `differences`.
        """
        return counts_by_kind(self.differences, "kind", ALL_KINDS)

    @property
    def sentence(self) -> str:
        """The number of differences of each kind, as a sentence."""
        return self.sentence_in("en")

    def sentence_in(self, lang: str) -> str:
        """Return a sentence, in the language `lang`, that says how many differences of each kind there are."""
        counts = self.differences["kind"].value_counts()
        unknown, left_out = int(counts.get(UNKNOWN, 0)), len(self.left_out)
        kinds = [{"message": f"drift.count.{k}", "count": int(counts[k])} for k in DIFFERENCES if k in counts]
        nothing = {"message": "drift.sentence.nothing_compared" if unknown else "drift.sentence.nothing"}
        parts: list[Message] = [{"message": "drift.sentence.kinds", "kinds": kinds}] if kinds else []
        parts += [nothing] if not kinds and (self.has_compared or not left_out) else []
        parts += [{"message": "drift.sentence.unknown"}] if unknown else []
        parts += [{"message": "drift.sentence.left_out", "n": left_out}] if left_out else []
        return say("list.in_sentences", lang, messages=parts)

    def __repr__(self) -> str:
        return f"Drift({self.sentence})"

    def _repr_html_(self) -> str:
        parts = [display.html_line(f"{self.sentence}."), display.html_frame(self.summary)]
        if len(self.differences):
            columns = ["kind", "account_id", "resource_type", "resource_name", "state_address", "detail"]
            shown = self.differences[columns].head(_SHOWN)
            parts.append(display.html_frame(shown, len(self.differences), ".differences"))
        return "".join(parts)


def drift(inventory: Inventory | Result, *states: str | os.PathLike[str]) -> Drift:
    """Compare Terraform states with the accounts, and return the differences.

    Pass every Terraform state that contains roles or profiles of the accounts. A role or profile is `unmanaged` if no
    given state manages it. A role or profile that a given Terraform plan deletes is not `unmanaged`. Data sources and
    deposed objects do not count as managed resources. The comparison leaves out service-linked roles and roles of IAM
    Identity Center. It also leaves out accounts in which the given states have no role or profile. The comparison
    covers only the paths, unique ids and tags of roles and profiles, and the role in each profile. The states never
    become part of the inventory. `drift` reads only files and the inventory, not the account.

    Parameters
    ----------
    inventory
        An inventory, or a result of checks, whose accounts are compared with the states.
    states
        State files (version 4), or output of `terraform show -json` for a state or plan. You can also pass folders or
        archives with such files. The text `sample:terraform` stands for the state of the sample.

    Returns
    -------
    Drift
        The frame `differences` has one row per difference. The frame `summary` has one row per kind of difference.

    Raises
    ------
    SourceError
        If no Terraform state is given, if a path does not exist, or if none of the paths contains a Terraform state.

    Examples
    --------
    >>> drift = iamframe.drift(iamframe.load_sample(), "sample:terraform")
    >>> drift.differences.query("kind == 'gone'")["resource_name"].tolist()
    ['fax-gateway', 'fax-gateway']
    """
    require("drift", inventory, Inventory, Result, instead="what `iamframe.load` or `iamframe.run_checks` gives")
    known, read = inventory.inventory if isinstance(inventory, Result) else inventory, read_states(states)
    accounts = known.accounts["account_id"]
    lists = completeness(known)
    parts = [_unread_states(read), _accounts_from_terraform(known, read)]
    for kind in TYPES:
        sides = _Sides(kind, known, read, lists["account_id"][lists[f"{kind}s_whole"]])
        parts += [*_missing(sides), *_identity(sides), *_tags(sides, known, read), *_unmanaged(sides, read)]
        parts += _roles_of_profiles(sides, known) if kind == "profile" else []
    table = pa.concat_tables([_table(part) for part in parts])
    order = ("account_id", "resource_arn", "state_file", "state_address", "tag_key", "message")
    left_out = accounts[~is_in(accounts, read.managed_accounts)]
    return Drift(
        schema.DRIFT.from_arrow(ordered(table, {"kind": ALL_KINDS}, order)),
        tuple(str(one) for one in states),
        tuple(left_out),
        has_compared=len(left_out) < len(accounts),
    )


class _Sides:
    """The roles (or profiles) in the given Terraform states, each with its counterpart (if any) in the account."""

    def __init__(self, kind: str, inventory: Inventory, read: States, whole: pd.Series) -> None:
        self.kind, self.frame = kind, getattr(inventory, f"{kind}s")
        # The position of each resource in `States.managed`.
        self.rows = np.flatnonzero(read.managed["resource_type"] == TYPES[kind])
        managed = read.managed.iloc[self.rows].reset_index(drop=True)
        arns, names = self.frame[f"{kind}_arn"], self.frame[f"{kind}_name"]
        # A resource that a plan is about to create does not exist yet, even if another resource has its name.
        self.planned = np.asarray(managed["resource_arn"].isna())
        keys = name_key(managed["account_id"], managed["resource_name"])
        by_name = index_in(keys, name_key(self.frame["account_id"], names))
        by_arn = index_in(managed["resource_arn"], arns)
        # The position of each counterpart in the inventory, or -1.
        self.at = np.where(self.planned, -1, np.where(by_arn < 0, by_name, by_arn))
        # Names and ARNs are spelled as in the account.
        for name, values in (("resource_name", names), ("resource_arn", arns)):
            managed[name] = pc.coalesce(lookup(values, self.at), as_arrow(managed[name])).to_pandas()
        self.managed = managed
        self.managed_accounts = read.managed_accounts
        self.listed = whole
        self.collected = inventory.accounts["account_id"]

    def in_account(self, column: str) -> pa.Array:
        return lookup(self.frame[column], self.at)

    def known_in_account(self, flag: str) -> Bools:
        # The last element, False, stands for a missing counterpart (position -1).
        return np.append(np.asarray(self.frame[flag], dtype=bool), False)[self.at]

    def rows_of(self, mask: Bools, kind: str, message: str, **values: Any) -> pd.DataFrame:
        columns = {name: pd.Series(as_arrow(of).to_pandas(), dtype="str")[mask] for name, of in values.items()}
        return self.managed.loc[mask, _PLACE].assign(kind=kind, message=f"drift.{message}", **columns)


def _missing(sides: _Sides) -> Iterator[pd.DataFrame]:
    account = sides.managed["account_id"]
    away = (sides.at < 0) & ~sides.planned
    collected, listed = is_in(account, sides.collected), is_in(account, sides.listed)
    yield sides.rows_of(away & collected & listed, "gone", "gone")
    yield sides.rows_of(away & collected & ~listed, UNKNOWN, f"unknown.list.{sides.kind}")
    yield sides.rows_of(away & ~collected, UNKNOWN, "unknown.account")
    yield sides.rows_of(sides.planned, UNKNOWN, "unknown.planned")


def _identity(sides: _Sides) -> Iterator[pd.DataFrame]:
    state_path, state_id = (as_arrow(sides.managed[name]) for name in ("path", "id"))
    path, unique_id = sides.in_account(f"{sides.kind}_path"), sides.in_account(f"{sides.kind}_id")
    moved = differ(state_path, path)
    yield sides.rows_of(moved, "path", "path", state_value=state_path, account_value=path)
    again = differ(unmasked(state_id), unmasked(unique_id)) & ~moved
    yield sides.rows_of(again, "recreated", "recreated", state_value=state_id, account_value=unique_id)


def _roles_of_profiles(sides: _Sides, inventory: Inventory) -> Iterator[pd.DataFrame]:
    linked, links = inventory.linked_rows, inventory.links
    named = pc.replace_substring_regex(as_arrow(links["role_arn"]), "^name:", "")
    names = pc.coalesce(lookup(inventory.roles["role_name"], linked.link_role), named)
    first = index_in(sides.frame["profile_arn"], links["profile_arn"])
    held = lookup(lookup(names, first), sides.at)
    given = as_arrow(sides.managed["role"])
    there, known = sides.at >= 0, sides.known_in_account("role_known")
    stated = np.asarray(sides.managed["role_known"], dtype=bool)
    yield sides.rows_of(there & ~stated, UNKNOWN, "unknown.state_role")
    yield sides.rows_of(there & stated & ~known, UNKNOWN, "unknown.role")
    both, has, gives = there & stated & known, np.asarray(held.is_valid()), np.asarray(given.is_valid())
    other = both & differ(pc.utf8_lower(held), pc.utf8_lower(given))
    yield sides.rows_of(both & ~has & gives, "role_lost", "role_lost", state_value=given)
    yield sides.rows_of(both & has & ~gives, "other_role", "role_added", account_value=held)
    yield sides.rows_of(other, "other_role", "other_role", state_value=given, account_value=held)


def _tags(sides: _Sides, inventory: Inventory, read: States) -> Iterator[pd.DataFrame]:
    there, known = sides.at >= 0, sides.known_in_account("tags_known")
    tag_of = getattr(inventory.linked_rows, f"tag_{sides.kind}")
    # The index of the tagging API lags, so a missing or equal tag proves nothing.
    of_index = there & are_among(sides.at, tag_of[(inventory.tags["tag_source"] == TAG_INDEX).to_numpy(bool)])
    known &= ~of_index
    stated = np.asarray(sides.managed["tags_known"], dtype=bool)
    yield sides.rows_of(there & ~stated, UNKNOWN, "unknown.state_tags")
    yield sides.rows_of(stated & of_index, UNKNOWN, "unknown.index_tags")
    yield sides.rows_of(there & stated & ~known & ~of_index, UNKNOWN, "unknown.tags")
    compared = there & stated & known
    row = np.full(len(read.managed), -1)
    row[sides.rows] = np.where(compared, np.arange(len(compared)), -1)
    in_state = read.tags.assign(row=row[read.tags["row"].to_numpy(dtype=np.int64)]).query("row >= 0")
    tags = inventory.tags.assign(at=tag_of)
    # Terraform does not manage reserved tags (`aws:`).
    tags = tags.loc[~tags["is_aws_reserved"] & (tags["at"] >= 0), ["at", "tag_key", "tag_value"]]
    rows = pd.DataFrame({"row": np.flatnonzero(compared), "at": sides.at[compared]})
    in_account = rows.merge(tags, on="at").drop(columns="at")
    both = in_state.merge(in_account, on=["row", "tag_key"], how="outer", suffixes=("_state", "_account"))
    both = both.set_axis(["row", *_FACTS], axis=1)
    state, account = both["state_value"], both["account_value"]
    for mask, message in (
        (account.isna(), "tag.missing"),
        (state.isna(), "tag.added"),
        (state.notna() & account.notna() & (state != account), "tag.changed"),
    ):
        different = both[mask].reset_index(drop=True)
        place = sides.managed.iloc[different.pop("row")][_PLACE].reset_index(drop=True)
        yield place.join(different).assign(kind="tags", message=f"drift.{message}")


def _unmanaged(sides: _Sides, read: States) -> Iterator[pd.DataFrame]:
    kind, frame = sides.kind, sides.frame
    arns, accounts = frame[f"{kind}_arn"], frame["account_id"]
    managed = is_in(arns, sides.managed["resource_arn"]) | is_in(arns, pd.Series(read.leaving, dtype="str"))
    is_planned = np.asarray(arns.str.startswith("address:"), dtype=bool)
    unmanaged = is_in(accounts, sides.managed_accounts) & ~managed & ~is_planned
    unmanaged &= ~np.asarray(frame["is_aws_managed"], dtype=bool) if kind == "role" else True
    found = frame.loc[unmanaged, ["account_id", f"{kind}_name", f"{kind}_arn"]]
    what = (UNKNOWN, "unknown.states") if read.unread else ("unmanaged", "unmanaged")
    yield found.set_axis(["account_id", "resource_name", "resource_arn"], axis=1).assign(
        resource_type=TYPES[kind], kind=what[0], message=f"drift.{what[1]}"
    )
    collected, listed = (is_in(sides.managed_accounts, of) for of in (sides.collected, sides.listed))
    yield pd.DataFrame({"account_id": sides.managed_accounts[collected & ~listed]}).assign(
        resource_type=TYPES[kind], kind=UNKNOWN, message=f"drift.unknown.more.{kind}"
    )


def _unread_states(read: States) -> pd.DataFrame:
    _, facts = columns_of({"message": "drift.unknown.unread", "what": what} for _, what in read.unread)
    rows = {"state_file": [file for file, _ in read.unread], "facts": facts.to_pylist()}
    return pd.DataFrame(rows).assign(kind=UNKNOWN, account_id=UNKNOWN_ACCOUNT, message="drift.unknown.unread")


def _accounts_from_terraform(inventory: Inventory, read: States) -> pd.DataFrame:
    # Data from Terraform may contain resources that exist only in a state.
    calls = inventory.calls
    mixed = calls["account_id"][calls["operation"].str.startswith("terraform:")]
    rows = pd.DataFrame({"account_id": read.managed_accounts[is_in(read.managed_accounts, mixed)]})
    return rows.assign(kind=UNKNOWN, message="drift.unknown.source")


def _table(part: pd.DataFrame) -> pa.Table:
    facts = {fact: as_arrow(part[name]) for name, fact in _FACTS.items() if name in part and part[name].notna().all()}
    if "facts" not in part:
        part = part.assign(facts=facts_of(facts).to_pylist() if facts and len(part) else "{}")
    detail = render(as_arrow(part["message"]), as_arrow(part["facts"])) if len(part) else pa.array([], pa.string())
    return schema.DRIFT.to_arrow(schema.DRIFT.conform(part.assign(detail=detail.to_pylist())))


@dataclass(frozen=True)
class States:
    # One row per Terraform address. The ARN is missing if a Terraform plan will create the resource.
    managed: pd.DataFrame
    # The column `row` is the position of the tagged resource in `managed`.
    tags: pd.DataFrame
    # The ARNs of resources that a Terraform plan will delete, but that Terraform manages until then.
    leaving: list[str]
    # A file and a message for each problem in reading the states.
    unread: list[tuple[str, Message]]

    @property
    def managed_accounts(self) -> pd.Series:
        accounts = self.managed["account_id"][self.managed["resource_arn"].notna()]
        # A plan that destroys everything has only resources that it deletes.
        accounts = pd.concat([accounts, pd.Series([account_of(arn) for arn in self.leaving], dtype="str").dropna()])
        return pd.Series(accounts[accounts != UNKNOWN_ACCOUNT].unique(), dtype="str")


def read_states(states: Iterable[str | os.PathLike[str]]) -> States:
    """Read Terraform states and plans.

    Raises
    ------
    SourceError
        If no Terraform state is given, if a path does not exist, or if none of the paths contains a Terraform state.
    """
    paths = {display_path(one): one for one in states}
    if not paths:
        raise SourceError("no Terraform state given; give a state file, or the output of `terraform show -json`")
    folder = str(sample_folder("sample-terraform")) if SAMPLE_STATE in paths else None
    managed: list[dict[str, object]] = []
    tags: list[tuple[int, str, str]] = []
    leaving: list[str] = []
    unread: list[tuple[str, Message]] = []
    is_terraform = False
    for answer in read_files([folder if name == SAMPLE_STATE else path for name, path in paths.items()]):
        is_terraform |= answer.operation.startswith("terraform:")
        file = answer.origin
        if folder and answer.source == display_path(folder):
            file = f"{SAMPLE_STATE}/{name_of(file)}"
        # The account of a file is known only after the file was read.
        for record in [record for chunk in answer for record in chunk]:
            match record:
                case ManagedRole() | ManagedProfile():
                    tags += [(len(managed), key, value) for key, value in _tags_in_state(record).items()]
                    managed.append(_managed_row(record, file, answer.account_id or UNKNOWN_ACCOUNT))
                case Leaving():
                    leaving.append(record.managed_arn)
                # A plan whose resources have no ARN yet has no account, which is not a problem. Files of a repository
                # that are not from Terraform are no problem either.
                case Gap() if not record.message.startswith(("gaps.answer.", "gaps.foreign")):
                    unread.append((record.subject, {"message": record.message, **record.facts}))
    if not is_terraform:
        raise SourceError(
            f"{', '.join(paths)}: holds no Terraform state; give a state file (version 4), or the output of "
            "`terraform show -json`"
        )
    rows = pd.DataFrame(managed, columns=[*_MANAGED]).astype(_MANAGED)
    return States(rows, pd.DataFrame(tags, columns=[*_STATE_TAGS]).astype(_STATE_TAGS), leaving, unread)


def _managed_row(record: ManagedRole | ManagedProfile, file: str, account: str) -> dict[str, object]:
    kind = "role" if isinstance(record, ManagedRole) else "profile"
    arn, name, path, unique_id = (getattr(record, f"{kind}_{field}") for field in ("arn", "name", "path", "id"))
    is_planned = arn.startswith("address:")
    held = record.roles if isinstance(record, ManagedProfile) else UNSET
    return {
        "account_id": account_of(arn) or account,
        "resource_type": TYPES[kind],
        "resource_name": name or (None if is_planned else name_of(arn)),
        "resource_arn": None if is_planned else arn,
        "path": path or path_of(arn),
        "id": unique_id,
        "role": held[0].role_arn.removeprefix("name:") if held else None,
        "role_known": held is not UNSET,
        "tags_known": record.tags is not UNSET,
        "state_file": file,
        "state_address": record.address,
    }


def _tags_in_state(record: ManagedRole | ManagedProfile) -> dict[str, str]:
    # Tags that begin with `aws:` are left out on both sides.
    tags = [] if record.tags is UNSET else record.tags
    return {tag.key: tag.value for tag in tags if not tag.key.lower().startswith("aws:")}
