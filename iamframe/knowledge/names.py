"""Find out how two names differ, and which tag keys look alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from datetime import datetime
from itertools import combinations, pairwise

from iamframe.messages.text import INVISIBLE, LOOK_ALIKES

_BEFORE = r"(?:iam[-_.]?)?(?:ec2[-_.]?)?(?:instance[-_.]?)?"
_WORD_OF_ROLE = re.compile(rf"[-_.]?{_BEFORE}role[-_.]?$|^{_BEFORE}role[-_.]?", re.IGNORECASE)
_WORD_OF_PROFILE = re.compile(rf"[-_.]?{_BEFORE}profile[-_.]?$|^{_BEFORE}profile[-_.]?", re.IGNORECASE)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATED = re.compile(r"[^A-Za-z0-9]+")
_LETTER = re.compile(r"[A-Za-z0-9]")
_ONE_WORD = re.compile(r"[^A-Za-z0-9]+(?:[A-Z]?[a-z0-9]+|[A-Z]+[0-9]*)[^A-Za-z0-9]*")
_TAIL = re.compile(
    r"[-_.]?(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?<![0-9a-f])\d{18}[0-9a-f]{8}|(?<!\d)\d{6,})$"
    # A word may end in a number, so other random tails need a separator and characters of more than one kind.
    r"|[-_.](?:[A-Z0-9]{8,}|[0-9a-f]{6,}|[a-z0-9]{12,}|[A-Za-z0-9]{12})$"
)


def relation(role_name: str, profile_name: str) -> str:
    # The result `affix` means one more word at either end, or that only words such as `-role` and `-profile` differ.
    # The result `generated` means that only random texts at the end differ.
    short, long = (role_name, profile_name) if len(role_name) <= len(profile_name) else (profile_name, role_name)
    # Most names with one more word match here. Splitting all names into words would take ten times as long.
    if long.startswith(short) and _ONE_WORD.fullmatch(long, len(short)) and _LETTER.search(short):
        return "affix"
    role, profile = role_name.casefold(), profile_name.casefold()
    if role == profile:
        return "case"
    if _is_one_word_more(short, long) or is_same_stem(role, profile):
        return "affix"
    stem = _without_random_tail(role_name)
    if stem and stem == _without_random_tail(profile_name):
        return "generated"
    return "different"


def is_same_stem(role: str, profile: str) -> bool:
    stems = _stems(_WORD_OF_ROLE, role)
    return bool(stems) and not stems.isdisjoint(_stems(_WORD_OF_PROFILE, profile))


def _stems(word: re.Pattern[str], name: str) -> set[str]:
    stems = {(name[: found.start()] + name[found.end() :]).casefold().strip("-_.") for found in word.finditer(name)}
    return stems - {""}


def _words(name: str) -> list[str]:
    return [word.casefold() for word in _SEPARATED.split(_HUMP.sub("-", name)) if word]


def _is_one_word_more(short: str, long: str) -> bool:
    if short.casefold() not in long.casefold():
        return False
    words, more = _words(short), _words(long)
    # `-instance-profile` counts as one word, like `-profile`.
    if words and short.casefold() in _stems(_WORD_OF_ROLE, long) | _stems(_WORD_OF_PROFILE, long):
        return more[: len(words)] == words or more[-len(words) :] == words
    return bool(words) and len(more) == len(words) + 1 and words in (more[1:], more[:-1])


def _without_random_tail(name: str) -> str:
    found = _TAIL.search(name)
    return name[: found.start()] if found and _is_random(found.group().lstrip("-_.")) else name


def _is_random(tail: str) -> bool:
    if tail.isdigit():
        return not is_date(tail) and len(tail) != 12  # an account id has 12 digits
    if "-" in tail or (len(tail) == 26 and tail[:18].isdigit()):
        return True
    if re.fullmatch(r"[0-9a-f]+", tail):
        return not tail.isalpha()
    return turns(tail) >= (5 if tail != tail.upper() and tail != tail.lower() else 2) and not is_date(tail)


def turns(text: str) -> int:
    """Count the places where two neighboring characters are of different kinds: capital letter, digit, other."""
    kinds = ["d" if c.isdigit() else "u" if c.isupper() else "l" for c in text]
    return sum(one != other for one, other in pairwise(kinds))


_DATES = {4: ("%Y",), 6: ("%Y%m", "%y%m%d"), 7: ("%d%b%y",), 8: ("%Y%m%d", "%d%m%Y", "%m%d%Y"), 9: ("%Y%b%d", "%d%b%Y")}
_TIME_OF_DAY = re.compile(r"(?<=^\d{8})(?:T?\d{1,9}Z?)$")


def is_date(text: str) -> bool:
    day = _TIME_OF_DAY.sub("", text) if len(text) > 9 else text
    for form in _DATES.get(len(day), ()):
        try:
            found = datetime.strptime(day, form)  # noqa: DTZ007 - a name has no time zone
        except ValueError:
            continue
        if 1970 <= found.year < 2100:
            return True
    return False


_SEPARATORS = re.compile(r"[-_.:/=+@]")


def _without_look_alikes(key: str) -> str:
    # A key that also has letters unlike any Latin letter is not mistaken for Latin.
    latin = key.translate(LOOK_ALIKES)
    return latin if latin.isascii() else key


_FOLDS: dict[str, Callable[[str], str]] = {
    "invisible": lambda key: INVISIBLE.sub("", key),
    "width": lambda key: "".join(c if c.isspace() else unicodedata.normalize("NFKC", c) for c in key),
    "space": lambda key: "".join(key.split()),
    "look-alike": _without_look_alikes,
    "separator": lambda key: _SEPARATORS.sub("", key),
    "case": str.casefold,
}


def canonical_key(key: str, kinds: Collection[str] = _FOLDS) -> str:
    for kind, fold in _FOLDS.items():
        key = fold(key) if kind in kinds else key
    return key


def variant_kinds(keys: list[str]) -> list[str]:
    differing = {kind for kind in _FOLDS if len({canonical_key(key, _FOLDS.keys() - {kind}) for key in keys}) > 1}
    if not differing:
        # Several folds change letters such as the Kelvin sign. The fewest and first folds count.
        some = (kinds for size in range(1, len(_FOLDS) + 1) for kinds in combinations(_FOLDS, size))
        differing = set(next(one for one in some if len({canonical_key(key, one) for key in keys}) < len(set(keys))))
    return [kind for kind in ("case", "space", "width", "separator", "look-alike", "invisible") if kind in differing]
