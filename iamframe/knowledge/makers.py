"""Makers: the services and tools that create roles and profiles, by names and paths, or by a tag that they write.

A maker is known by one of three bases. `pair`: names and paths of both sides fit one entry, and name the same cluster
or stack. `tag`: the profile carries a tag that only this maker writes. `guess`: one side fits; a guess makes no finding
expected.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib import resources
from typing import Any, NamedTuple

from iamframe.knowledge.names import is_date, is_same_stem, turns

PAIR, TAG, GUESS = "pair", "tag", "guess"


def _equal(role: str, profile: str, _: str) -> bool:
    return role == profile


def _differs(role: str, profile: str, _: str) -> bool:
    return role != profile


def _is_one_stack(role: str, profile: str, role_name: str) -> bool:
    """Return whether two stacks are equal; the role's may be cut, since role names have at most 64 characters."""
    # CloudFormation cuts the text before the random one to 51 characters, or to 52 if the random one has small letters.
    random = role_name.rpartition("-")[2]
    head = len(role_name) - len(random)
    is_cut = head == 51 or (head == 52 and random != random.upper())
    return role == profile or (is_cut and profile.startswith(role))


def _are_random(role: str, profile: str, _: str) -> bool:
    """Return whether both texts look like CloudFormation's random ones, not like account ids, dates or words."""
    both, both_small = role + profile, all(text != text.upper() for text in (role, profile))
    changes = turns(role) + turns(profile)
    return (
        not (role.isdigit() or profile.isdigit())
        # Random text in capitals is a number of 63 bits in base 36, so one of 13 digits begins with 1.
        and all(len(text) < 13 or text.startswith("1") for text in (role, profile))
        # Not random: two texts in small letters, or two hexadecimal ones (a commit, a container, the end of an id).
        and both != both.lower()
        and not all(_HEXADECIMAL.fullmatch(text) for text in (role, profile))
        and not all(_WORDS.search(text) for text in (role, profile))
        # Words seldom change between capitals, small letters and digits. Only one random pair in 400 does so as seldom.
        and changes >= (7 if both_small else 3)
        and (changes >= 8 or any(map(str.isdigit, both)))
        # Two random texts agree in few places, unlike `EUWEST1PROD2` and `EUWEST1PROD3`.
        and _alike(role, profile) <= 3
        and _alike(role[::-1], profile[::-1]) <= 3
    )


_HEXADECIMAL = re.compile(r"[0-9a-f]+|[0-9A-F]+")
# Words in names that people choose. One of several thousand random texts of 12 characters holds a given word; both
# texts of a pair hardly ever do.
_WORDS = re.compile(
    "prod|prd|test|tst|dev|stag|stg|uat|sandb|sbx|demo|live|beta|east|west|north|south|centr|emea|apac|latam|web|app|api|"
    "srv|serv|node|host|rack|data|team|squad|blue|green|front|back|edge|core|main|site|zone|user|admin|release|hotfix|"
    "vers|win|lnx|linux|rhel|sql|orcl|hana|chg|inc|task|ritm|proj|cost|phase|wave|step|gate|level|tribe|unit|runner|"
    "gitlab|runn?|ec2|rds|sns|sqs|vpc|tgw|pop|rack|cage|pod|job|etl|log|sec|net|sys|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|20[0-4][0-9]",
    re.IGNORECASE,
)


def _alike(one: str, other: str) -> int:
    return sum(a == b for a, b in zip(one.casefold(), other.casefold(), strict=False))


def _is_random(text: str) -> bool:
    return not text.isdigit() and not text.isalpha() and turns(text) >= (3 if text == text.upper() else 5)


def _are_of_one_day(role: str, profile: str, _: str) -> bool:
    """Return whether two counters of Terraform, which are never equal, are of one run: of one day, or minutes apart."""
    one, other = _counted_at(role), _counted_at(profile)
    if one is None or other is None or role == profile:
        return False
    return one.date() == other.date() or abs(one - other) < timedelta(minutes=10)


def _counted_at(counter: str) -> datetime | None:
    try:
        found = datetime.strptime(counter[:14], "%Y%m%d%H%M%S")  # noqa: DTZ007 - both are UTC
    except ValueError:
        return None
    return found if 2010 <= found.year < 2100 else None


def _are_of_one_prefix(role: str, profile: str, _: str) -> bool:
    """Return whether two prefixes are equal without the words for role and profile."""
    one, other = role.strip("-_."), profile.strip("-_.")
    either = ((one, other), (f"{one}-role", other), (one, f"{other}-profile"))
    return one == other or any(is_same_stem(*both) for both in either)


def _are_of_one_counted_prefix(role: str, profile: str, _: str) -> bool:
    """Return the same for prefixes before counters: a counter is unmistakable, so those words may be the prefix."""
    return _are_of_one_prefix(role, profile, _) or is_same_stem(f"x-{role.strip('-_.')}", f"x-{profile.strip('-_.')}")


def _are_hexadecimal(role: str, profile: str, _: str) -> bool:
    """Return whether both may be Pulumi's random texts: not two numbers, two words, or two nearly equal texts."""
    counted = [re.fullmatch(r"[a-f]?[0-9]+|[a-f]+", text) for text in (role, profile)]
    return not all(counted) and _alike(role, profile) <= 3


# Words without vowels, which look like Kubernetes' random texts.
_LIKE_KUBERNETES = re.compile(
    r".*-(?:\d{5}|https|http\d|html\d|mssql|pgsql|mqtts|smtps|sftp\d|mgmt\d|grpc\d|"
    r"(?:prd|stg|tst|srv|dmz|sbx|crm|vpc|dbs|wrk)\d\d)"
)


def _are_of_one_infrastructure(role: str, profile: str, _: str) -> bool:
    return role == profile and not _LIKE_KUBERNETES.fullmatch(role)


class _Token(NamedTuple):
    """A token in braces: the text that fits, whether two sides agree on it, and whether one side alone may have it."""

    text: str
    agree: Callable[[str, str, str], bool] | None = None
    alone: Callable[[str], bool] | None = None


_TOKENS = {
    "*": _Token(r"[^\n]*"),
    # The same text on both sides.
    "{name}": _Token(r"[^\n]+", _equal),
    "{rest}": _Token(r"[^\n]*", _equal),
    "{cluster}": _Token(r"[A-Za-z0-9][A-Za-z0-9._-]*", _equal),
    # A name with dots.
    "{domain}": _Token(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", _equal),
    # OpenShift: the name of the cluster and five random characters, of those that Kubernetes draws from.
    "{infra}": _Token(r"[a-z0-9-]+-[bcdfghj-np-tv-xz24-9]{5}", _are_of_one_infrastructure),
    # CloudFormation: STACK-LOGICALID-RANDOM: 12 or 13, seldom 11, capitals and digits; later 12 letters and digits.
    "{stack}": _Token(r"[A-Za-z][A-Za-z0-9-]*", _is_one_stack),
    "{logical}": _Token(r"[A-Za-z0-9]+", _differs),
    "{random}": _Token(r"(?:[A-Z0-9]{11,13}|[A-Za-z0-9]{12})", _are_random, _is_random),
    # Terraform: the time in 18 digits, then a counter in 8; a prefix before it. Pulumi: 7 hexadecimal digits.
    "{counter}": _Token(r"[0-9]{18}[0-9a-f]{8}", _are_of_one_day, lambda text: _counted_at(text) is not None),
    "{counted}": _Token(r"[^\n]*", _are_of_one_counted_prefix),
    "{prefix}": _Token(r"[^\n]*", _are_of_one_prefix),
    "{hex}": _Token(r"[0-9a-f]{7}", _are_hexadecimal, lambda text: not (text.isdigit() or text.isalpha())),
    # Random by themselves.
    "{uuid}": _Token(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "{hash}": _Token(r"[0-9]{15,20}", alone=lambda text: not is_date(text)),
    "{id}": _Token(r"[0-9a-z]{32}"),
    "{digits}": _Token(r"[0-9]+"),
    "{region}": _Token(r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]"),
    "{time}": _Token(r"20[0-9]{6}T[0-9]{6}", _equal),
}
_TOKEN = re.compile(r"(\*|\{[a-z]+\}|\{[A-Za-z]*(?:\|[A-Za-z]+)+\})")


# Tokens that make a name unmistakable.
_TELLING = {"{uuid}", "{random}", "{counter}", "{hash}", "{id}"}


class _Side(NamedTuple):
    """Expressions for path and name of one side, on a line each; `checked` are the tokens whose values are compared."""

    plain: str
    grouped: re.Pattern[str]
    checked: dict[str, _Token]


@lru_cache(maxsize=4096)
def _side(*templates: str) -> _Side:
    """Return the side that these templates describe."""
    lines, checked = [], dict[str, _Token]()
    for template in templates:
        plain = grouped = ""
        # Every second piece is a token.
        for place, piece in enumerate(_TOKEN.split(template)):
            name, token = _token(piece) if place % 2 else ("", _Token(re.escape(piece)))
            plain += token.text
            if name in checked:
                grouped += f"(?P={name})"
            elif token.agree or token.alone:
                checked[name] = token
                grouped += f"(?P<{name}>{token.text})"
            else:
                grouped += token.text
        lines.append((plain, grouped))
    all_plain, all_grouped = map("\n".join, zip(*lines, strict=True))
    return _Side(all_plain, re.compile(all_grouped), checked)


def _token(text: str) -> tuple[str, _Token]:
    """Return the name of a token in braces, and the text that fits it."""
    if "|" in text:
        # `{a|b}`: one of these texts, equal on both sides.
        return "kind", _Token(f"(?:{text.strip('{}')})", _equal)
    if text not in _TOKENS:
        raise ValueError(f"there is no {text}, only {', '.join(_TOKENS)}")
    return text.strip("{}"), _TOKENS[text]


@dataclass(frozen=True, slots=True)
class Maker:
    """One service or tool, with the names and paths that it gives, and whether they differ by its design.

    `is_guess`: users choose names of this form themselves, so a name is no proof.
    """

    name: str
    role: str = "*"
    profile: str = ""
    role_path: str = "*"
    profile_path: str = "*"
    names_differ: bool = False
    paths_differ: bool = False
    tags_profiles: bool = True
    wants_back: bool = False
    is_guess: bool = False
    note: str = ""
    source: str = ""
    date: date | None = None

    def _templates(self, side: str) -> tuple[str, str]:
        return (self.role_path, self.role) if side == "role" else (self.profile_path, self.profile)

    def _side(self, side: str) -> _Side:
        try:
            return _side(*self._templates(side))
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error

    def pattern(self, side: str) -> str:
        """Return a regular expression for path and name of one side (`role` or `profile`), on a line each."""
        return self._side(side).plain

    def tells(self, side: str) -> bool:
        """Return whether path and name of one side alone suggest this maker."""
        # A name without fixed text and without random text would fit any name.
        _, name = self._templates(side)
        return bool(name) and (bool(_TOKEN.sub("", name).strip("-_.")) or bool(_TELLING & {*_TOKEN.findall(name)}))

    def fits(self, role: str, profile: str) -> bool:
        """Return whether both sides, path and name on a line each, fit this maker and agree on their shared tokens."""
        of_role, of_profile = self._side("role"), self._side("profile")
        one, other = of_role.grouped.fullmatch(role), of_profile.grouped.fullmatch(profile)
        if one is None or other is None:
            return False
        values, others = one.groupdict(), other.groupdict()
        role_name = role.rpartition("\n")[2]
        return all(
            token.agree(values[name], others[name], role_name)
            if token.agree and name in values and name in others
            else not token.alone or token.alone(values.get(name) or others[name])
            for name, token in (of_role.checked | of_profile.checked).items()
        )

    def suggests(self, side: str, text: str) -> bool:
        """Return whether one side, path and name on a line each, fits this maker."""
        form = self._side(side)
        found = form.grouped.fullmatch(text)
        return found is not None and all(t.alone(found[name]) for name, t in form.checked.items() if t.alone)

    @property
    def compares(self) -> bool:
        """Whether the values of tokens are compared, besides the form of both sides."""
        return bool(self._side("role").checked or self._side("profile").checked)


@dataclass(frozen=True, slots=True)
class OwnTag:
    """The tag keys by which a service or tool recognizes its own resources; `*` is any text.

    `is_proof`: only the maker writes them, to profiles that it creates.
    """

    key: str
    maker: str
    wants_back: bool
    source: str
    date: date
    is_proof: bool = False


def _entries(table: str) -> list[dict[str, Any]]:
    text = resources.files("iamframe.knowledge").joinpath("makers.toml").read_text(encoding="utf-8")
    entries: list[dict[str, Any]] = tomllib.loads(text)[table]
    return entries


@cache
def known_makers() -> tuple[Maker, ...]:
    """Return the makers of `makers.toml`, in its order; the first that fits counts."""
    return tuple(Maker(**entry) for entry in _entries("maker"))


@cache
def known_own_tags() -> tuple[OwnTag, ...]:
    """Return the keys of tags by which services and tools recognize their own resources."""
    return tuple(OwnTag(**entry) for entry in _entries("tag"))


@lru_cache(maxsize=4096)
def own_tag(key: str) -> OwnTag | None:
    """Return the entry of a tag's key, or None for the account's own keys."""
    return next((one for one in known_own_tags() if fnmatchcase(key, one.key)), None)
