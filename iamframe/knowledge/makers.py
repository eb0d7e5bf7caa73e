"""Makers: the services and tools that create roles and profiles.

Names, paths or tags show who created a role or profile. Findings about a resource are never marked as expected if
iamframe only guesses which tool created the resource.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from typing import Literal, NamedTuple

import msgspec

from iamframe.knowledge.names import is_date, is_same_stem, turns

PAIR, TAG, GUESS = "pair", "tag", "guess"


def _equal(role: str, profile: str, _: str) -> bool:
    return role == profile


def _is_one_stack(role: str, profile: str, role_name: str) -> bool:
    # A role name has at most 64 characters, so CloudFormation cuts the text before the random text to 51 characters; to
    # 52 if the random text has small letters.
    random = role_name.rpartition("-")[2]
    head = len(role_name) - len(random)
    is_cut = head == 51 or (head == 52 and random != random.upper())
    return role == profile or (is_cut and profile.startswith(role))


def _are_random(role: str, profile: str, _: str) -> bool:
    both, both_small = role + profile, all(text != text.upper() for text in (role, profile))
    changes = turns(role) + turns(profile)
    return (
        not (role.isdigit() or profile.isdigit())
        # A random text in capitals is a number of 63 bits in base 36. If it has 13 digits, it begins with 1.
        and all(len(text) < 13 or text.startswith("1") for text in (role, profile))
        # Not random: two texts in small letters, or two hexadecimal texts (a commit, a container, the end of an id).
        and both != both.lower()
        and not all(_HEXADECIMAL.fullmatch(text) for text in (role, profile))
        and not all(_WORDS.search(text) for text in (role, profile))
        # Words seldom change between capitals, small letters and digits. Only one random pair in 400 changes so seldom.
        and changes >= (7 if both_small else 3)
        and (changes >= 8 or any(map(str.isdigit, both)))
        # Two random texts have few equal places, unlike `EUWEST1PROD2` and `EUWEST1PROD3`.
        and _alike(role, profile) <= 3
        and _alike(role[::-1], profile[::-1]) <= 3
    )


_HEXADECIMAL = re.compile(r"[0-9a-f]+|[0-9A-F]+")
# Words in names that people choose. A given word is in one of several thousand random texts of 12 characters. That both
# texts of a pair have such a word is very rare.
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
    one, other = _counted_at(role), _counted_at(profile)
    # Two names from one run of Terraform have different counters.
    if one is None or other is None or role == profile:
        return False
    # Both names are from one day, or less than ten minutes apart: a run may begin before and end after midnight.
    return one.date() == other.date() or abs(one - other) < dt.timedelta(minutes=10)


def _counted_at(counter: str) -> dt.datetime | None:
    try:
        found = dt.datetime.strptime(counter[:14], "%Y%m%d%H%M%S")  # noqa: DTZ007 - both are UTC
    except ValueError:
        return None
    return found if 2010 <= found.year < 2100 else None


def _are_of_one_prefix(role: str, profile: str, _: str) -> bool:
    one, other = role.strip("-_."), profile.strip("-_.")
    either = ((one, other), (f"{one}-role", other), (one, f"{other}-profile"))
    return one == other or any(is_same_stem(*both) for both in either)


def _are_of_one_counted_prefix(role: str, profile: str, _: str) -> bool:
    # A counter after the prefix shows that Terraform created the name. The prefixes `role-` and `profile-` therefore
    # count as equal.
    return _are_of_one_prefix(role, profile, _) or is_same_stem(f"x-{role.strip('-_.')}", f"x-{profile.strip('-_.')}")


def _are_hexadecimal(role: str, profile: str, _: str) -> bool:
    counted = [re.fullmatch(r"[a-f]?[0-9]+|[a-f]+", text) for text in (role, profile)]
    return not all(counted) and _alike(role, profile) <= 3


# Words without vowels. They look like Kubernetes' random texts.
_LIKE_KUBERNETES = re.compile(
    r".*-(?:\d{5}|https|http\d|html\d|mssql|pgsql|mqtts|smtps|sftp\d|mgmt\d|grpc\d|"
    r"(?:prd|stg|tst|srv|dmz|sbx|crm|vpc|dbs|wrk)\d\d)"
)


def _are_of_one_infrastructure(role: str, profile: str, _: str) -> bool:
    return role == profile and not _LIKE_KUBERNETES.fullmatch(role)


class _Token(NamedTuple):
    text: str
    # The arguments are the texts in role and profile, and the role's name.
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
    # OpenShift: the name of the cluster and five random characters, from the alphabet of Kubernetes.
    "{infra}": _Token(r"[a-z0-9-]+-[bcdfghj-np-tv-xz24-9]{5}", _are_of_one_infrastructure),
    # CloudFormation: STACK-LOGICALID-RANDOM: 12 or 13, seldom 11, capitals and digits; later 12 letters and digits.
    "{stack}": _Token(r"[A-Za-z][A-Za-z0-9-]*", _is_one_stack),
    "{logical}": _Token(r"[A-Za-z0-9]+", lambda role, profile, _: role != profile),
    "{random}": _Token(r"(?:[A-Z0-9]{11,13}|[A-Za-z0-9]{12})", _are_random, _is_random),
    # Terraform: the time in 18 digits, then a counter in 8; a prefix before it. Pulumi: 7 hexadecimal digits.
    "{counter}": _Token(r"[0-9]{18}[0-9a-f]{8}", _are_of_one_day, lambda text: _counted_at(text) is not None),
    "{counted}": _Token(r"[^\n]*", _are_of_one_counted_prefix),
    "{prefix}": _Token(r"[^\n]*", _are_of_one_prefix),
    "{hex}": _Token(r"[0-9a-f]{7}", _are_hexadecimal, lambda text: not (text.isdigit() or text.isalpha())),
    # These texts are random by form.
    "{uuid}": _Token(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "{hash}": _Token(r"[0-9]{15,20}", alone=lambda text: not is_date(text)),
    "{id}": _Token(r"[0-9a-z]{32}"),
    "{digits}": _Token(r"[0-9]+"),
    "{region}": _Token(r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]"),
    "{time}": _Token(r"20[0-9]{6}T[0-9]{6}", _equal),
}
_TOKEN = re.compile(r"(\*|\{[^{}]*\})")


# Tokens that make a name unmistakable.
_TELLING = {"{uuid}", "{random}", "{counter}", "{hash}", "{id}"}


@dataclass(frozen=True)
class Form:
    """A regular expression for a text of four lines: role path, role name, profile path, profile name.

    If the expression is only for roles, or only for profiles, the text has two lines: path and name.
    """

    # For Arrow, which does not support back-references.
    plain: str
    # For Python, with named groups and back-references.
    grouped: str
    # Tokens whose texts are checked by functions, and the tokens' groups in `grouped`.
    checked: tuple[tuple[_Token, list[str]], ...]

    def fits(self, text: str) -> bool:
        found = self._grouped.fullmatch(text)
        return found is not None and all(
            token.agree(found[groups[0]], found[groups[1]], text.split("\n")[1])
            if token.agree and len(groups) == 2
            else not token.alone or token.alone(found[groups[0]])
            for token, groups in self.checked
        )

    @cached_property
    def _grouped(self) -> re.Pattern[str]:
        # Most forms match nothing in an account, and are never compiled.
        return re.compile(self.grouped)


@lru_cache(maxsize=4096)
def _form(*templates: str) -> Form:
    lines, checked = [], dict[str, tuple[_Token, list[str]]]()
    for line, template in enumerate(templates):
        plain = grouped = ""
        # Every second piece is a token.
        for place, piece in enumerate(_TOKEN.split(template)):
            name, token = _token(piece) if place % 2 else ("", _Token(re.escape(piece)))
            plain += token.text
            group = f"{name}{line // 2}"
            if not (token.agree or token.alone):
                grouped += token.text
            elif group in checked.setdefault(name, (token, []))[1]:
                grouped += f"(?P={group})"
            else:
                checked[name][1].append(group)
                grouped += f"(?P<{group}>{token.text})"
        lines.append((plain, grouped))
    all_plain, all_grouped = map("\n".join, zip(*lines, strict=True))
    return Form(all_plain, all_grouped, tuple(checked.values()))


def _token(text: str) -> tuple[str, _Token]:
    if "|" in text:
        # `{a|b}`: one of these texts, equal on both sides.
        return "kind", _Token(f"(?:{'|'.join(map(re.escape, text[1:-1].split('|')))})", _equal)
    if text not in _TOKENS:
        raise ValueError(f"there is no {text}, only {', '.join(_TOKENS)}")
    return text.strip("{}"), _TOKENS[text]


class Maker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A service or tool, and the names and paths of the roles and profiles that it creates.

    The comment at the top of `makers.toml` explains the fields of `Maker`.
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
    is_example: bool = False
    note: str = ""
    source: str = ""
    date: dt.date | None = None
    not_rechecked: str = ""

    def __post_init__(self) -> None:
        # The method `form` raises ValueError if a token in braces is unknown.
        self.form(("role", "profile"))

    def form(self, sides: Iterable[str]) -> Form:
        """Return a `Form` (a regular expression) for paths and names of the roles, the profiles, or both (`sides`)."""
        templates = {"role": (self.role_path, self.role), "profile": (self.profile_path, self.profile)}
        return _form(*(template for side in sides for template in templates[side]))

    def tells(self, side: str) -> bool:
        # A name without fixed text and without random text would fit any name.
        name = self.role if side == "role" else self.profile
        return bool(_TOKEN.sub("", name).strip("-_.")) or not _TELLING.isdisjoint(_TOKEN.findall(name))


class OwnTag(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tag key by which a tool recognizes its own resources (see `makers.toml`)."""

    key: str
    maker: str
    wants_back: bool
    source: str
    date: dt.date
    is_proof: bool = False
    tags_role: bool = True


class ToolRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tool: str
    # The file `tool_rules.toml` describes the rules.
    rule: Literal["same_names", "role_arn", "prefix", "role_prefix", "policy"]
    source: str
    date: dt.date
    consumer_types: tuple[str, ...] = ()
    role_prefix: str = ""
    profile_prefix: str = ""
    role_path: str = ""
    except_makers: tuple[str, ...] = ()

    @property
    def wants_same_names(self) -> bool:
        # The rule `role_arn` allows different names if the tool has the role's ARN.
        return self.rule in ("same_names", "role_arn")


class _Makers(msgspec.Struct, forbid_unknown_fields=True):
    maker: tuple[Maker, ...]
    tag: tuple[OwnTag, ...]


@cache
def _known() -> _Makers:
    return msgspec.toml.decode(files("iamframe.knowledge").joinpath("makers.toml").read_bytes(), type=_Makers)


def known_tags() -> tuple[OwnTag, ...]:
    return _known().tag


def known_makers() -> tuple[Maker, ...]:
    return _known().maker


@lru_cache(maxsize=4096)
def own_tag(key: str) -> OwnTag | None:
    return next((one for one in known_tags() if fnmatchcase(key, one.key)), None)


@cache
def tool_rules() -> tuple[ToolRule, ...]:
    text = files("iamframe.knowledge").joinpath("tool_rules.toml").read_bytes()
    return msgspec.toml.decode(text, type=dict[str, tuple[ToolRule, ...]])["rules"]
