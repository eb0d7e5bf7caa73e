"""The class `Inventory`: the DataFrames of one or many AWS accounts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

import iamframe
from iamframe.errors import WrongObjectError, require_paths
from iamframe.inventory import display, schema
from iamframe.inventory.arrow import as_arrow
from iamframe.inventory.linking import LinkedRows, frames_of
from iamframe.inventory.snapshot import write_snapshot
from iamframe.inventory.sql import select
from iamframe.knowledge.operations import REQUIRED_TAGS, TAG_POLICY
from iamframe.knowledge.owners import known_owners
from iamframe.messages.text import pluralize
from iamframe.sources.cloudtrail import LOOKUP, TRAIL

_ACCOUNTS_SHOWN = 10
# The fictional sample as a source: today, and four weeks earlier.
SAMPLES = ("sample", "sample:earlier")


@schema.shows(*schema.FRAMES.values())
@dataclass(frozen=True)
class Inventory:
    """The roles and instance profiles of one or many accounts, as linked DataFrames.

    All frames are plain DataFrames. The module `iamframe.schema` describes the columns of each frame. You can join
    frames on the columns `account_id`, `role_arn`, `profile_arn` and `resource_arn` (the ARN of a role or profile).
    iamframe never changes the frames of an inventory.
    """

    accounts: pd.DataFrame
    roles: pd.DataFrame
    profiles: pd.DataFrame
    links: pd.DataFrame
    tags: pd.DataFrame
    references: pd.DataFrame
    gaps: pd.DataFrame
    calls: pd.DataFrame
    events: pd.DataFrame = field(default_factory=schema.EVENTS.empty)
    resource_owners: pd.DataFrame = field(default_factory=schema.RESOURCE_OWNERS.empty)
    tag_policies: pd.DataFrame = field(default_factory=schema.TAG_POLICIES.empty)
    sources: tuple[str, ...] = ()

    @cached_property
    def linked_rows(self) -> LinkedRows:
        """For each link, tag and reference: the row numbers of the roles and profiles that it is about."""
        return LinkedRows(self.frames)

    def __getstate__(self) -> dict[str, Any]:
        # Computing row numbers again is faster than sending them.
        return {name: value for name, value in self.__dict__.items() if name != "linked_rows"}

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """What `iamframe.pairs(inventory)` returns: each profile in a row with the role that it holds."""
        return iamframe.pairs(self)

    def explain(self, name: str, **given: Any) -> Any:
        """Return the result of `iamframe.explain(inventory, name)`: everything known about a role or profile."""
        return iamframe.explain(self, name, **given)

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """All frames of the inventory by name, in the order of the schema."""
        return {name: getattr(self, name) for name in schema.FRAMES}

    @property
    def frames_read(self) -> dict[str, pd.DataFrame]:
        """The frames by name, without `events`, `resource_owners` and `tag_policies` if these were not collected.

        All other frames are always included.
        """
        return {name: frame for name, frame in self.frames.items() if is_read(self, name)}

    @property
    def is_sample(self) -> bool:
        """True if the inventory is a fictional sample (`sample` or `sample:earlier`)."""
        return len(self.sources) == 1 and self.sources[0] in SAMPLES

    @property
    def events_read(self) -> bool:
        """True if CloudTrail records of the region that has IAM's events (such as us-east-1) were loaded.

        If no CloudTrail records were loaded, the empty frame `events` proves nothing.
        """
        return bool(self.calls["operation"].isin([TRAIL, LOOKUP]).any())

    @property
    def owners_read(self) -> bool:
        """True if EKS clusters, Elastic Beanstalk environments or CloudFormation stacks were read in any account."""
        read = self.calls["operation"][self.calls["state"] != "refused"]
        return bool(read.isin([owner.label for owner in known_owners()]).any())

    @property
    def tag_policies_read(self) -> pd.Series:
        """For each account, in the order of `accounts`: True if any part of the account's tag policy was collected.

        If AWS denies DescribeEffectivePolicy, iamframe collects only the required tag keys (ListRequiredTags). If an
        account has no rows in `tag_policies`, and `tag_policies_read` is False, the account may have a tag policy.
        """
        calls = self.calls[self.calls["operation"].isin([TAG_POLICY, REQUIRED_TAGS])]
        return self.accounts["account_id"].isin(calls["account_id"][calls["state"] != "refused"])

    def only(self, arns: Iterable[str]) -> Inventory:
        """Return a new inventory with everything known about the chosen roles and profiles.

        Directly or indirectly linked roles and profiles are included, too. The frame `references` keeps all references
        to included profiles. The frames `accounts`, `gaps` and `calls` keep all rows of each account with an included
        role or profile. Rows keep their order.

        Parameters
        ----------
        arns
            One ARN, or several ARNs, from the frames `roles`, `profiles` and `links`. Unknown ARNs are ignored. If no
            ARN is known, or no ARN is given, all frames are empty, even `accounts`.

        Returns
        -------
        Inventory
            You can check, save or share the new inventory like any other inventory. The frame `accounts` still counts
            all roles and profiles of each account.

        Raises
        ------
        WrongObjectError
            If `arns` is a whole frame, or contains a value that is not text.

        Examples
        --------
        >>> part = iamframe.load_sample().only("arn:aws:iam::111122223333:instance-profile/blue")
        >>> part.roles["role_name"].tolist()
        ['green']
        """
        try:
            if isinstance(arns, pd.DataFrame) or not isinstance(arns, Iterable):
                raise TypeError
            chosen = pa.array([arns] if isinstance(arns, str) else arns, pa.string(), from_pandas=True)
        except (TypeError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise WrongObjectError(
                f"only takes ARNs, not {type(arns).__name__}: pass a list of them, or a column such as "
                '`inventory.profiles["profile_arn"]`'
            ) from None
        return Inventory(**frames_of(self.frames, as_arrow(chosen)), sources=self.sources)

    def save(self, folder: str | os.PathLike[str]) -> Path | str:
        """Save the frames as Parquet files (a snapshot), and return the folder.

        The folder is on a disk or in an object store (`s3://BUCKET/FOLDER`). The function `iamframe.open_snapshot`
        opens a saved folder. The saved files are `FRAME/account=ACCOUNT/part.parquet` and `manifest.json`.

        In a local folder, an older snapshot stays until the new snapshot is complete. Even if the process is killed,
        one complete snapshot can be opened: the old one or the new one. In an object store, no folder can be replaced
        in one step. Save only one snapshot to each folder of an object store.

        Raises
        ------
        StoreError
            If the folder contains files that belong to no snapshot, or if the folder cannot be written.
        """
        require_paths("Inventory.save", folder)
        return write_snapshot(self.frames, self.sources, folder)

    def sql(self, query: str) -> pd.DataFrame:
        """Run an SQL query (SELECT) on the frames, and return the result.

        In SQL, each frame is a table with two names: for example, `roles` and `inventory.roles`. REFERENCES is a
        keyword of SQL, so write `inventory.references` or `"references"`. Times are UTC. A query cannot change
        anything, and cannot read files or the network.

        Raises
        ------
        SqlError
            If the query is not a single SELECT, or if it reads a table that is not a frame of the inventory.
        MissingExtraError
            If DuckDB (extra `sql`) is not installed.
        """
        return select(self.frames, query)

    def __repr__(self) -> str:
        left_out = ("calls", "resource_owners", "tag_policies")
        counts = {name: count for name, count in self.row_counts().items() if name not in left_out}
        named = {"links": "profile-role links", "references": "profile references", "gaps": "data gaps"}
        texts = {named.get(name, name): count for name, count in counts.items()}
        rows = [f"{count:,} {_singular(text) if count == 1 else text}" for text, count in texts.items()]
        return f"Inventory({', '.join(rows)})"

    def gap_parts(self) -> Iterator[pd.DataFrame]:
        """Yield the frame `gaps` once, as a single part."""
        yield self.gaps

    def row_counts(self) -> dict[str, int]:
        """Return the number of rows of each collected frame (see `frames_read`)."""
        return {name: len(frame) for name, frame in self.frames_read.items()}

    def _repr_html_(self) -> str:
        frames = [(name, schema.FRAMES[name].row, count) for name, count in self.row_counts().items()]
        accounts = self.accounts.head(_ACCOUNTS_SHOWN)
        by_account = [self.frames[name]["account_id"].value_counts() for name in ("roles", "profiles", "gaps")]
        rows = [
            (account, None if pd.isna(name) else name, *(int(counts.get(account, 0)) for counts in by_account))
            for account, name in zip(accounts["account_id"], accounts["account_name"], strict=True)
        ]
        more = len(self.accounts) - len(rows)
        return "".join(
            [
                display.html_line(self._unread()),
                display.html_table(("frame", "one row per", "rows"), frames),
                display.html_table(("account", "name", "roles", "profiles", "gaps"), rows),
                display.html_line(f"and {pluralize(more, 'more account')}") if more else "",
            ]
        )

    def _unread(self) -> str:
        reasons = self.gaps["reason"].value_counts()
        if reasons.empty:
            return "Nothing that was asked for was left unread: there are no gaps."
        counts = ", ".join(f"{count:,} {str(reason).replace('_', ' ')}" for reason, count in reasons.items())
        return f"{pluralize(len(self.gaps), 'gap')} ({counts}): `.gaps` shows which data is missing or contradictory"


def is_read(inventory: Inventory, name: str) -> bool:
    match name:
        case "events":
            return inventory.events_read
        case "resource_owners":
            return inventory.owners_read
        case "tag_policies":
            return bool(inventory.tag_policies_read.any())
    return True


def _singular(name: str) -> str:
    return f"{name.removesuffix('ies')}y" if name.endswith("ies") else name.removesuffix("s")
