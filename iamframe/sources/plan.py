"""What to ask of an account, as the user said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Which consumers to ask what profile they use: all that iamframe knows, those of EC2 and Auto Scaling, or none.
References = Literal["all", "core", "none"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask of an account."""

    regions: Literal["all"] | tuple[str, ...] = "all"
    references: References = "all"
    role_details: bool = False
    tag_index: bool = False
