"""IAM roles and instance profiles as linked DataFrames, and what is wrong with them.

`load` (or `load_files`, `load_sample`, `open_snapshot`) gives an `Inventory`; `run_checks` gives a `Result`;
`write_report` writes it down, `plots` draws it, and `plan` makes of it a clean-up to review. Names are loaded on first
use, so that importing iamframe costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iamframe import exploring, plots
    from iamframe.blindspots import blind_spot_counts, blind_spots
    from iamframe.changes import Changes, compare
    from iamframe.checks import CHECKS, Policy, Result, run_checks
    from iamframe.errors import IamframeError
    from iamframe.explanation import explain
    from iamframe.inventory import Inventory
    from iamframe.knowledge.surfaces import surfaces
    from iamframe.live import load_account, load_fleet
    from iamframe.lives import events_of, history
    from iamframe.loading import load, load_files, load_sample, open_snapshot, take_snapshot
    from iamframe.owners import findings_by_owner
    from iamframe.planning import Plan, plan
    from iamframe.probing import probe_surfaces
    from iamframe.report import write_report
    from iamframe.showing import table
    from iamframe.version import __version__
    from iamframe.views import missing_permissions, pairs, tag_coverage
    from iamframe.widgets import explore

_HOMES = {
    "__version__": "version",
    "CHECKS": "checks",
    "Changes": "changes",
    "IamframeError": "errors",
    "Inventory": "inventory",
    "Plan": "planning",
    "Policy": "checks",
    "Result": "checks",
    "blind_spot_counts": "blindspots",
    "blind_spots": "blindspots",
    "explain": "explanation",
    "explore": "widgets",
    "compare": "changes",
    "events_of": "lives",
    "findings_by_owner": "owners",
    "history": "lives",
    "load": "loading",
    "load_account": "live",
    "load_fleet": "live",
    "load_files": "loading",
    "load_sample": "loading",
    "missing_permissions": "views",
    "open_snapshot": "loading",
    "pairs": "views",
    "probe_surfaces": "probing",
    "plan": "planning",
    "run_checks": "checks",
    "surfaces": "knowledge.surfaces",
    "table": "showing",
    "tag_coverage": "views",
    "take_snapshot": "loading",
    "write_report": "report",
}

__all__ = [
    "CHECKS",
    "Changes",
    "IamframeError",
    "Inventory",
    "Plan",
    "Policy",
    "Result",
    "__version__",
    "blind_spot_counts",
    "blind_spots",
    "compare",
    "events_of",
    "explain",
    "explore",
    "exploring",
    "findings_by_owner",
    "history",
    "load",
    "load_account",
    "load_files",
    "load_fleet",
    "load_sample",
    "missing_permissions",
    "open_snapshot",
    "pairs",
    "plan",
    "plots",
    "probe_surfaces",
    "run_checks",
    "surfaces",
    "table",
    "tag_coverage",
    "take_snapshot",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in ("exploring", "plots"):
        return import_module(f"iamframe.{name}")
    if name in _HOMES:
        return getattr(import_module(f"iamframe.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'iamframe' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
