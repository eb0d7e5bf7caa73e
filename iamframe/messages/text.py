"""Format counts, such as "3 roles", and escape unsafe characters in names from AWS."""

from __future__ import annotations

import re

# The severities of findings, the highest first.
SEVERITIES = ("high", "medium", "low", "info")
# The kinds of differences between Terraform and an account.
DIFFERENCES = ("role_lost", "other_role", "gone", "recreated", "path", "tags", "unmanaged")

# Letters of other scripts that look like Latin ones (Unicode TR 39, confusables of one letter each).
LOOK_ALIKES = str.maketrans(
    "АВЕЅКМНОРСТУХІЈԚԜавеѕкмнорстухіјһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧαιονρυϲ",
    "ABESKMHOPCTYXIJQWabeskmhopctyxijhdqwABEZHIKMNOPTYXaiovpuc",
)
# Invisible letters, such as Hangul fillers, that strip() and isspace() do not recognize.
INVISIBLE = re.compile("[\u115f\u1160\u3164\uffa0\u200b-\u200f\u2060\ufeff\u00ad\u202a-\u202e]")


def pluralize(count: int, noun: str) -> str:
    """Return a count and a noun, such as "1 role" or "2 roles"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def escape_controls(text: str) -> str:
    # A terminal would obey control characters.
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def spell_out(text: str) -> str:
    """If a text contains invisible or look-alike characters, append a copy in escaped ASCII."""
    spelled = "".join(
        c if c.isascii() and c.isprintable() else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}"
        for c in text
    )
    suspicious = text != text.strip() or any(
        (c.isspace() and c != " ") or INVISIBLE.match(c) or c.translate(LOOK_ALIKES) != c or 0xFF00 <= ord(c) <= 0xFFEF
        for c in text
    )
    return f"{text} [{spelled}]" if suspicious else text
