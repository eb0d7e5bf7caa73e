"""Counts with their nouns, and other people's text made safe to print on one line."""

from __future__ import annotations

# The severities of findings, the gravest first.
SEVERITIES = ("high", "medium", "low", "info")


def pluralize(count: int, noun: str) -> str:
    """Return a count with its noun, in the singular for one."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def escape_controls(text: str) -> str:
    """Return a text with control characters escaped: a terminal would obey them, and names come from other people."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def count_complete(complete: int, checks: int) -> str:
    """Return the number of complete checks as the end of a sentence."""
    if checks == 1:
        return f"the check is {'complete' if complete else 'not complete'}"
    if complete in (0, checks):
        return f"all {checks} checks are complete" if complete else f"none of {checks} checks is complete"
    return f"{complete} of {checks} checks {'is' if complete == 1 else 'are'} complete"
