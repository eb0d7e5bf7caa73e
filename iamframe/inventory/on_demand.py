"""The inventory of a snapshot whose frames are read at their first use."""

from __future__ import annotations

from typing import Any

import pandas as pd

from iamframe.inventory import schema
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.linking import with_profiles
from iamframe.inventory.parts import Manifest, read_frames
from iamframe.inventory.places import Place


class OnDemandInventory(Inventory):
    """An `Inventory` that reads each frame from the files of a snapshot when the frame is used for the first time."""

    _place: Place
    _manifest: Manifest
    _accounts: frozenset[str]
    _more: Inventory

    @classmethod
    def of(cls, place: Place, manifest: Manifest, accounts: frozenset[str], more: Inventory) -> OnDemandInventory:
        """Return the inventory of some accounts of a snapshot, with the rows of `more` at the end of each frame."""
        inventory = object.__new__(cls)
        inventory.__dict__.update(_place=place, _manifest=manifest, _accounts=accounts, _more=more)
        inventory.__dict__["sources"] = manifest.sources
        return inventory

    def __getattr__(self, name: str) -> Any:
        """Read a frame, and keep it."""
        if name not in schema.FRAMES or "_manifest" not in self.__dict__:
            raise AttributeError(name)
        frame = read_frames(self._place, self._manifest, self._accounts, (name,))[name]
        if name == "references" and (frame["profile_arn"].isna() & frame["named"].str.startswith("arn:")).any():
            table = with_profiles(schema.REFERENCES.to_arrow(frame), self.profiles)
            frame = schema.REFERENCES.from_arrow(table)
        more = getattr(self._more, name)
        whole = pd.concat([frame, more], ignore_index=True) if len(more) else frame
        self.__dict__[name] = whole
        return whole

    @property
    def sizes(self) -> dict[str, int]:
        """The number of rows of each frame, without reading it."""
        stored = {
            name: sum(part.rows for part in of.parts if part.account_id in self._accounts)
            for name, of in self._manifest.frames.items()
        }
        return {name: stored.get(name, 0) + len(getattr(self._more, name)) for name in schema.FRAMES}
