"""The Inventory: the frames of one account or many, how they are saved, queried and shown."""

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
from iamframe.errors import WrongObjectError
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
    """The roles and instance profiles of one account or many, as linked DataFrames.

    Each frame is a plain DataFrame. `iamframe.schema` lists the columns. You can join frames on the columns that they
    share: `role_arn`, `profile_arn` and `account_id`. Functions of iamframe never change a frame.
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
        """The row numbers of the role and profile of each link, tag and reference, computed once per inventory."""
        return LinkedRows(self.frames)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the row numbers out of a pickle. Computing them again is faster than sending them."""
        return {name: value for name, value in self.__dict__.items() if name != "linked_rows"}

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Roles and profiles side by side: `iamframe.pairs(inventory)`."""
        return iamframe.pairs(self)

    def explain(self, name: str, **given: Any) -> Any:
        """Return everything known about a role or profile: `iamframe.explain(inventory, name)`."""
        return iamframe.explain(self, name, **given)

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """The frames by name, in the order of the schema."""
        return {name: getattr(self, name) for name in schema.FRAMES}

    @property
    def frames_read(self) -> dict[str, pd.DataFrame]:
        """The frames by name, without `events`, `resource_owners` and `tag_policies` if they were not collected."""
        read = {"events": self.events_read, "resource_owners": self.owners_read}
        read["tag_policies"] = bool(self.tag_policies_read.any())
        return {name: frame for name, frame in self.frames.items() if read.get(name, True)}

    @property
    def is_sample(self) -> bool:
        """Whether this is the fictional sample or the earlier sample."""
        return len(self.sources) == 1 and self.sources[0] in SAMPLES

    @property
    def events_read(self) -> bool:
        """Whether CloudTrail records of IAM were collected. If not, an empty `events` frame proves nothing."""
        return bool(self.calls["operation"].isin([TRAIL, LOOKUP]).any())

    @property
    def owners_read(self) -> bool:
        """Whether clusters, environments or stacks were collected in some region."""
        return bool(self.calls["operation"].isin([owner.label for owner in known_owners()]).any())

    @property
    def tag_policies_read(self) -> pd.Series:
        """Per account, whether its tag policy was collected.

        If not, the account may have a tag policy, although `tag_policies` has no row for the account.
        """
        calls = self.calls[self.calls["operation"].isin([TAG_POLICY, REQUIRED_TAGS])]
        return self.accounts["account_id"].isin(calls["account_id"][calls["state"] != "refused"])

    def only(self, arns: Iterable[str]) -> Inventory:
        """Return an inventory of some roles and profiles only, with everything known about them.

        The new inventory has the links, tags, events and references of these roles and profiles. If a profile holds a
        role, the role and its other profiles are included. References that have the profile's name with another path
        are included, too. `accounts`, `gaps` and `calls` keep all rows of the accounts concerned. Rows keep their
        order. This inventory does not change.

        Parameters
        ----------
        arns
            One ARN or several, as in `roles`, `profiles` and `links`. Unknown ARNs are ignored. If all ARNs are
            unknown, all frames are empty, even `accounts`.

        Returns
        -------
        Inventory
            You can check, plan, save or share the new inventory. The counts in `accounts` are still those of the full
            accounts.

        Raises
        ------
        WrongObjectError
            If `arns` is a whole frame, or contains no ARNs.

        Examples
        --------
        >>> part = iamframe.load_sample().only("arn:aws:iam::111122223333:instance-profile/blue")
        >>> part.roles["role_name"].tolist()
        ['green']
        """
        if isinstance(arns, pd.DataFrame) or not isinstance(arns, Iterable):
            raise WrongObjectError(
                f"only takes ARNs, not {type(arns).__name__}: pass a list of them, or a column such as "
                '`inventory.profiles["profile_arn"]`'
            )
        chosen = pa.array([arns] if isinstance(arns, str) else arns, pa.string(), from_pandas=True)
        return Inventory(**frames_of(self.frames, as_arrow(chosen)), sources=self.sources)

    def save(self, folder: str | os.PathLike[str]) -> Path | str:
        """Save the frames as Parquet files, and return the folder. `iamframe.open_snapshot` opens the folder again.

        `folder` is on a disk, or the address of an object store, such as `s3://BUCKET/FOLDER`.

        The files are `FRAME/account=ACCOUNT/part.parquet` and `manifest.json`. A complete new snapshot replaces an
        older snapshot in the folder. If the process is killed, the old or the new snapshot can still be opened. An
        object store cannot replace a folder, so a folder there must not have a snapshot yet.

        Raises
        ------
        StoreError
            If the folder contains files that do not belong to a snapshot, or if it cannot be written.
        """
        return write_snapshot(self.frames, self.sources, folder)

    def sql(self, query: str) -> pd.DataFrame:
        """Run a SELECT on the frames with DuckDB, and return the result. This needs the extra `sql`.

        Each frame is a table with the frame's name. You can also write `inventory.` before a table's name, as in
        `inventory.roles`. REFERENCES is a keyword of SQL, so write `inventory.references` or `"references"`. Times are
        UTC. A query cannot change anything, and cannot read files or the network.

        Raises
        ------
        SqlError
            If the query is not a single SELECT, or reads other tables.
        MissingExtraError
            If DuckDB is not installed.
        """
        return select(self.frames, query)

    def __repr__(self) -> str:
        """Return the number of rows of each frame in `frames_read`, in one line."""
        rows = [f"{count:,} {_singular(name) if count == 1 else name}" for name, count in self.row_counts().items()]
        return f"Inventory({', '.join(rows)})"

    def gap_parts(self) -> Iterator[pd.DataFrame]:
        """Yield `gaps` in parts that fit into the memory: here as a whole."""
        yield self.gaps

    def row_counts(self) -> dict[str, int]:
        """Return the number of rows of each frame in `frames_read`."""
        return {name: len(frame) for name, frame in self.frames_read.items()}

    def _repr_html_(self) -> str:
        """Return the gaps and the number of rows of each frame and account, for a notebook."""
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
        return f"{pluralize(len(self.gaps), 'gap')} ({counts}): what was not collected, or not believed, is in .gaps"


def _singular(name: str) -> str:
    return f"{name.removesuffix('ies')}y" if name.endswith("ies") else name.removesuffix("s")
