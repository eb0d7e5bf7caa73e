"""How two names differ, and which tag keys mean the same to a reader."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_ROLE_WORDS = re.compile(r"[-_.]?(?:iam[-_.]?)?(?:ec2[-_.]?)?(?:instance[-_.]?)?role$", re.IGNORECASE)
_PROFILE_WORDS = re.compile(r"[-_.]?(?:iam[-_.]?)?(?:ec2[-_.]?)?(?:instance[-_.]?)?profile$", re.IGNORECASE)
_RANDOM_TAIL = re.compile(
    r"[-_.]?(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\d{18}[0-9a-f]{8}|\d{6,})$"
    # Words end in a number too: without a separator and digits of one kind, a tail is no random one.
    r"|[-_.](?:(?=[A-Z]*\d)[A-Z0-9]{8,}|(?=[a-f]*\d)[0-9a-f]{6,}|(?=[a-z]*\d)[a-z0-9]{12,})$"
)


def relation(role_name: str, profile_name: str) -> str:
    """Return how two names that differ do so: `case`, `affix`, `generated` or `different`, the first that fits.

    `affix`: equal but for one pair of words such as `-role` and `-profile`, or one contains the other; `generated`:
    equal but for a random tail.
    """
    role, profile = role_name.casefold(), profile_name.casefold()
    if role == profile:
        return "case"
    stem = _ROLE_WORDS.sub("", role)
    if (stem and stem == _PROFILE_WORDS.sub("", profile)) or role in profile or profile in role:
        return "affix"
    stem = _RANDOM_TAIL.sub("", role_name)
    if stem and stem == _RANDOM_TAIL.sub("", profile_name):
        return "generated"
    return "different"


# Letters of other scripts that a reader takes for Latin ones (Unicode TR 39, confusables, those of one letter each).
_LOOK_ALIKES = str.maketrans(
    "АВЕЅКМНОРСТУХІЈԚԜавеѕкмнорстухіјһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧαιονρυϲ",
    "ABESKMHOPCTYXIJQWabeskmhopctyxijhdqwABEZHIKMNOPTYXaiovpuc",
)
# Letters without a shape of their own: Hangul fillers, which neither strip() nor isspace() sees.
_INVISIBLE = re.compile("[\u115f\u1160\u3164\uffa0\u200b-\u200f\u2060\ufeff\u00ad\u202a-\u202e]")
_SEPARATORS = re.compile(r"[-_.:/=+@]")


def _invisible_out(key: str) -> str:
    return _INVISIBLE.sub("", key)


def _narrowed(key: str) -> str:
    return "".join(c if c.isspace() else unicodedata.normalize("NFKC", c) for c in key)


def _latin(key: str) -> str:
    # A word that is not all look-alikes is of another script, and nobody takes it for Latin.
    latin = key.translate(_LOOK_ALIKES)
    return latin if latin.isascii() else key


def _unspaced(key: str) -> str:
    return "".join(key.split())


def _unseparated(key: str) -> str:
    return _SEPARATORS.sub("", key)


_FOLDS: dict[str, Callable[[str], str]] = {
    "invisible": _invisible_out,
    "width": _narrowed,
    "space": _unspaced,
    "look-alike": _latin,
    "separator": _unseparated,
    "case": str.casefold,
}


def _folded(key: str, without: str = "") -> str:
    for kind, fold in _FOLDS.items():
        key = key if kind == without else fold(key)
    return key


def canonical_key(key: str) -> str:
    """Return what all keys that read alike share: no case, space, width, separator, look-alike or invisible letter."""
    return _folded(key)


def variant_kinds(keys: list[str]) -> list[str]:
    """Return by what keys that read alike differ: case, space, width, separator, look-alike, invisible."""
    differing = {kind for kind in _FOLDS if len({_folded(key, without=kind) for key in keys}) > 1}
    if not differing:
        # Letters such as the Kelvin sign are taken for another by more than one fold: the first of them names it.
        differing = {next(kind for kind, fold in _FOLDS.items() if len(set(map(fold, keys))) < len(set(keys)))}
    return [kind for kind in ("case", "space", "width", "separator", "look-alike", "invisible") if kind in differing]


def shown(text: str) -> str:
    """Return a text, with its letters spelled out behind it in brackets where they may deceive a reader."""
    spelled = "".join(
        c if c.isascii() and c.isprintable() else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}"
        for c in text
    )
    suspicious = text != text.strip() or any(
        (c.isspace() and c != " ")
        or _INVISIBLE.match(c)
        or c.translate(_LOOK_ALIKES) != c
        or 0xFF00 <= ord(c) <= 0xFFEF
        for c in text
    )
    return f"{text} [{spelled}]" if suspicious else text
