"""How the command line loads its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from iamframe.errors import SourceError
from iamframe.ui import options as given

if TYPE_CHECKING:
    from iamframe.inventory.inventory import Inventory


def loud(*sources: str, **live: Any) -> dict[str, Any]:
    """Return the options for `load`. `--quiet` and `--verbose` turn off the progress of a live load."""
    from iamframe.inventory.load import is_live

    meta = click.get_current_context().meta
    is_silent = meta.get(given.QUIET) or meta.get(given.VERBOSE)
    return live | ({"progress": False} if is_silent and any(map(is_live, sources)) else {})


def load_loud(*sources: str, **live: Any) -> Inventory:
    """Load sources as `load` does. A live load shows its progress, except with `--quiet` or `--verbose`."""
    from iamframe.inventory.load import load

    return load(*sources, **loud(*sources, **live))


def load_old_and_new(old: str, new: tuple[str, ...], live: dict[str, Any]) -> tuple[Inventory, Inventory]:
    """Load an older and a newer source.

    Each live source gets the live options. If neither source is live, the newer source gets the live options.
    """
    from iamframe.inventory.load import is_live

    was = load_loud(old, **(live if is_live(old) else {}))
    now = load_loud(*new, **({} if is_live(old) and not is_live(new[0]) else live))
    accounts = [one.accounts["account_id"].tolist() for one in (was, now)]
    if not set(accounts[0]) & set(accounts[1]):
        from iamframe.sources.archives import display_path

        before, after = (", ".join(ids[:3]) + " …" * (len(ids) > 3) or "no account" for ids in accounts)
        raise SourceError(
            f"nothing can be compared: {display_path(old)} has {before}, and {' '.join(map(display_path, new))} has "
            f"{after}; give two loads of the same account"
        )
    return was, now
