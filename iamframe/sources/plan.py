"""What to ask of an account, as the user said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask of an account."""

    regions: Literal["all"] | tuple[str, ...] = "all"
    references: bool | Literal["all"] = True
    role_details: bool = False
    tag_index: bool = False
