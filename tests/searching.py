"""How far Hypothesis searches: 25 examples, the same on each run, or as many as a test asks for, drawn anew.

`HYPOTHESIS_PROFILE=thorough pytest tests/contracts` searches thoroughly; `IAMFRAME_EXAMPLES=2000` beside it further.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci", max_examples=25, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
settings.register_profile("thorough", settings.get_profile("ci"), max_examples=100, derandomize=False)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
settings.load_profile(PROFILE)


def searching(thorough: int, ci: int = 25) -> settings:
    """Return settings with as many examples as the profile asks of a test."""
    if PROFILE == "ci":
        return settings(max_examples=min(ci, thorough))
    return settings(max_examples=int(os.environ.get("IAMFRAME_EXAMPLES", "0")) or thorough)
