"""Ages and spans as people write them: 1d, 12h."""

from __future__ import annotations

from datetime import timedelta

from iamframe.errors import PlanError


def read_age(value: timedelta | str, of: str = "") -> timedelta:
    """Return an age that is given as such, or as text: days or hours, such as 1d, 12h or 0.

    Raises
    ------
    PlanError
        If it is none, or below zero; the sentence begins with `of`.
    """
    age = _parsed(value) if isinstance(value, str) else value
    if not isinstance(age, timedelta) or age < timedelta(0):
        raise PlanError(f"{of}{value!r} is no age; give days or hours, such as 1d, 12h or 0")
    return age


def _parsed(text: str) -> timedelta | None:
    number, unit = (text[:-1], text[-1]) if text[-1:] in ("d", "h") else (text, "d")
    try:
        return timedelta(days=float(number)) if unit == "d" else timedelta(hours=float(number))
    except (ValueError, OverflowError):
        return None


def said(age: timedelta) -> str:
    """Return an age in words."""
    hours = age / timedelta(hours=1)
    number, unit = (hours / 24, "day") if hours >= 24 and hours % 24 == 0 else (hours, "hour")
    return f"{number:g} {unit}{'' if number == 1 else 's'}"
