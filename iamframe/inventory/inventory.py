"""Records to frames: the answers of all sources, merged by ARN into one `Inventory`.

Merging follows one rule: a known value beats an unknown one, and two known values that differ leave the cell unknown
and a `contradicted` row in `gaps` that tells both. What no source says is a `not_in_file` gap.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from iamframe.inventory import display, schema
from iamframe.inventory.snapshot import write_snapshot
from iamframe.inventory.sql import select
from iamframe.messages.text import counted
from iamframe.sources.cloudtrail import LOOKUP, TRAIL

_ACCOUNTS_SHOWN = 10


@schema.shows(*schema.FRAMES.values())
@dataclass(frozen=True, slots=True)
class Inventory:
    """The roles and instance profiles of one account or many, as linked DataFrames.

    Each frame is a plain DataFrame with the columns that `iamframe.schema` gives it; frames join on the columns that
    they share (`role_arn`, `profile_arn`, `account_id`). Functions of iamframe never change them.
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
    sources: tuple[str, ...] = ()

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """The frames by name, in the order of the schema."""
        return {name: getattr(self, name) for name in schema.FRAMES}

    @property
    def frames_read(self) -> dict[str, pd.DataFrame]:
        """Those of them that something was read for: a table of events without rows would say that nothing happened."""
        return {name: frame for name, frame in self.frames.items() if name != "events" or self.events_read}

    @property
    def events_read(self) -> bool:
        """Whether CloudTrail records were read that can tell of IAM; without them no rows in `events` say nothing."""
        return bool(self.calls["operation"].isin([TRAIL, LOOKUP]).any())

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Save the frames as Parquet files and return their folder, for `iamframe.open_snapshot` and other readers.

        The folder gets `FRAME/account=ACCOUNT/part.parquet` and, last, `manifest.json`. A snapshot that is there is
        replaced when the new one is whole; whatever ends the process, the one or the other can be opened.

        Raises
        ------
        StoreError
            If the folder holds anything but a snapshot, or cannot be written.
        """
        return write_snapshot(self.frames, self.sources, folder)

    def sql(self, query: str) -> pd.DataFrame:
        """Return what a SELECT finds in the frames, each a table of its name, by DuckDB (extra `sql`).

        REFERENCES is a word of SQL: that table is `"references"` in quotes, or `inventory.references`, and so are the
        others (`inventory.roles`). Times are UTC. A query reaches no file and no network, and changes nothing.

        Raises
        ------
        SqlError
            If it is not one SELECT, names what is not there, or asks for anything but these tables.
        MissingExtraError
            If DuckDB is not installed.
        """
        return select(self.frames, query)

    def __repr__(self) -> str:
        """Return the number of rows of each frame, in one line; without events where none were read."""
        rows = ", ".join(counted(count, name.removesuffix("s")) for name, count in self._told().items())
        return f"Inventory({rows})"

    def _told(self) -> dict[str, int]:
        return {name: len(frame) for name, frame in self.frames_read.items()}

    def _repr_html_(self) -> str:
        """Return what was not read, and the number of rows of each frame and account, as a notebook shows it."""
        accounts = self.accounts.head(_ACCOUNTS_SHOWN)
        rows = [(name, schema.FRAMES[name].row, count) for name, count in self._told().items()]
        parts = [self._unread(), display.html_table(("frame", "one row per", "rows"), rows)]
        by_account = {name: self.frames[name]["account_id"].value_counts() for name in ("roles", "profiles", "gaps")}
        parts.append(
            display.html_table(
                ("account", "name", "roles", "profiles", "gaps"),
                [
                    (
                        account,
                        None if pd.isna(name) else name,
                        *(int(counts.get(account, 0)) for counts in by_account.values()),
                    )
                    for account, name in zip(accounts["account_id"], accounts["account_name"], strict=True)
                ],
            )
        )
        if len(self.accounts) > _ACCOUNTS_SHOWN:
            parts.append(display.html_line(f"and {counted(len(self.accounts) - _ACCOUNTS_SHOWN, 'more account')}"))
        return "".join(parts)

    def _unread(self) -> str:
        reasons = self.gaps["reason"].value_counts()
        if reasons.empty:
            return display.html_line("Nothing that was asked for was left unread: there are no gaps.")
        said = ", ".join(f"{count:,} {str(reason).replace('_', ' ')}" for reason, count in reasons.items())
        return display.html_line(
            f"{counted(len(self.gaps), 'gap')} ({said}): what was not read, or not believed, is in .gaps"
        )
