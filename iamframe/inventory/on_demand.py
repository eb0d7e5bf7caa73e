"""The class `InventoryOnDemand`, which reads a snapshot frame by frame."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from iamframe.errors import StoreError
from iamframe.inventory import display, schema
from iamframe.inventory.inventory import Inventory, is_read
from iamframe.inventory.linking import with_profiles
from iamframe.inventory.parts import LATER, Manifest, SavedPart, read_frame
from iamframe.inventory.places import Place
from iamframe.inventory.snapshot import find_snapshot
from iamframe.sources.archives import display_path

_ACCOUNTS_AT_ONCE = 500


def resolved_references(references: pd.DataFrame, inventory: Inventory) -> pd.DataFrame:
    # If accounts were saved one by one, the ARNs of profiles in other accounts are missing.
    if not (references["profile_arn"].isna() & references["named"].str.startswith("arn:")).any():
        return references
    table = with_profiles(schema.REFERENCES.to_arrow(references), inventory.profiles)
    return schema.REFERENCES.from_arrow(table)


class InventoryOnDemand(Inventory):
    _folder: str | os.PathLike[str]
    _checksum: str
    _accounts: frozenset[str] | None
    _more: Inventory | None

    @classmethod
    def of(
        cls, folder: str | os.PathLike[str], accounts: Iterable[str] | None = None, more: Inventory | None = None
    ) -> InventoryOnDemand:
        inventory = object.__new__(cls)
        manifest = find_snapshot(folder)[1]
        inventory.__dict__.update(_folder=folder, _checksum=manifest.sha256, sources=manifest.sources)
        inventory.__dict__.update(_accounts=None if accounts is None else frozenset(accounts), _more=more)
        return inventory

    def __getattr__(self, name: str) -> Any:
        """Read a frame when it is first used. Raise StoreError if the snapshot was replaced or is damaged."""
        if name not in schema.FRAMES or "_folder" not in self.__dict__:
            raise AttributeError(name)
        place, manifest = self._found()
        frame = read_frame(place, manifest, name, self._accounts)
        if name == "references":
            frame = resolved_references(frame, self)
        if self._more is not None and len(more := getattr(self._more, name)):
            frame = pd.concat([frame, more], ignore_index=True)
        return self.__dict__.setdefault(name, frame)

    def _found(self) -> tuple[Place, Manifest]:
        place, manifest = find_snapshot(self._folder)
        if manifest.sha256 != self._checksum:
            raise StoreError(f"{display_path(self._folder)}: was replaced meanwhile; open it again")
        return place, manifest

    def _own(self, parts: list[SavedPart]) -> list[SavedPart]:
        return [part for part in parts if self._accounts is None or part.account_id in self._accounts]

    def gap_parts(self) -> Iterator[pd.DataFrame]:
        if "_folder" not in self.__dict__:
            # This is a copy by `replace`, whose frames are in memory.
            yield self.gaps
            return
        place, manifest = self._found()
        for group in self._groups("gaps"):
            yield read_frame(place, manifest, "gaps", group)
        if self._more is not None:
            yield self._more.gaps

    def _groups(self, name: str) -> Iterator[set[str]]:
        # Several members of a fleet may have rows of the same account.
        parts = self._own(self._found()[1].frames[name].parts)
        accounts = list(dict.fromkeys(part.account_id for part in parts))
        for start in range(0, len(accounts), _ACCOUNTS_AT_ONCE):
            yield {*accounts[start : start + _ACCOUNTS_AT_ONCE]}

    def _is_read(self, name: str) -> bool:
        if name not in LATER or "calls" in self.__dict__:
            return is_read(self, name)
        # The calls of all accounts need not fit into memory.
        parts = (InventoryOnDemand.of(self._folder, group) for group in self._groups("calls"))
        return any(is_read(part, name) for part in parts)

    def row_counts(self) -> dict[str, int]:
        if "_folder" not in self.__dict__:
            # This is a copy by `replace`, whose frames are in memory.
            return super().row_counts()
        counts = {}
        for name, stored in self._found()[1].frames.items():
            more = 0 if self._more is None else len(getattr(self._more, name))
            counts[name] = more + sum(part.rows for part in self._own(stored.parts))
        return {name: rows for name, rows in counts.items() if rows or self._is_read(name)}

    def _repr_html_(self) -> str:
        rows = [(name, schema.FRAMES[name].row, count) for name, count in self.row_counts().items()]
        return display.html_table(("frame", "one row per", "rows"), rows)
