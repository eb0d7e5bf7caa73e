"""Pseudonyms for ids and e-mail addresses.

A pseudonym is an HMAC with a secret key. With a plain hash, anybody could try all account ids, because these have only
twelve digits.

The IAM User Guide documents unique ids and their prefixes in "IAM identifiers". The ids `o-…`, `ou-…` and `r-…` belong
to AWS Organizations. Source: AWS Organizations API Reference, "Organization", "OrganizationalUnit" and "Root".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import unicodedata
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from operator import add
from typing import Any, NamedTuple

import msgspec

from iamframe.knowledge.operations import UNKNOWN_ACCOUNT
from iamframe.messages.text import INVISIBLE

# Condition keys, without their prefix, that show the kind of their values. Paths are in PrincipalOrgPaths,
# ResourceOrgPaths, SourceOrgPaths and VpceOrgPaths ("AWS global condition context keys", IAM User Guide).
_VALUE_KINDS = {"externalid": "external"} | dict.fromkeys(
    ("principalorgpaths", "resourceorgpaths", "sourceorgpaths", "vpceorgpaths"), "path"
)
# Policy keys whose values are words that AWS defines.
_VALUE_KINDS |= dict.fromkeys(("version", "effect", "action", "notaction", "service"), "aws")
_KINDS = {"o": "org", "r": "root", "ou": "ou", "p": "policy"}
# Sources that say nothing about the user.
_OWN_SOURCES = ("sample", "sample:earlier", "aws")
# Words of AWS that an ARN can have in the place of the account.
_NOT_ACCOUNTS = frozenset({"aws", "cloudfront", UNKNOWN_ACCOUNT})
# One try per run of letters keeps the time linear in the length of the text. A `+` after a quantifier prevents
# backtracking.
_EMAIL = re.compile(
    r"(?<![\w.+'-])['.+-]*+(?P<email>(?:\w[\w.+'-]*+|\x22[^\x22\r\n]{1,64}\x22)@"
    r"[\w-]+(?:\.[\w-]+)*\.(?:xn--[\w-]+|[^\W\d_]{2,}))"
)
# Ids of roles, users and profiles are recognized even if an example shortens them; other prefixes also begin words.
_UNIQUE = r"(?:(?:ID|IP|RO)A[A-Z0-9]{3,}|(?:BIA|CCA|GPA|KIA|NPA|NVA|PKA|SCA|SIA)[A-Z0-9]{12,})"
# All ids begin with one of a few letters, so the pattern looks for these first. The look-behind comes after the first
# letter.
_ID = re.compile(
    r"[aAo0-9](?:"
    r"(?<=a)rn:[\w-]*:[\w-]*:[\w*-]*:(?P<field>[^:/\s\"'\\`,;|<>(){}\[\]]+)(?=:)"
    rf"|(?P<unique>(?<=A)(?<![0-9A-Za-z]A){_UNIQUE})"
    r"|(?P<org>(?<=o)(?<![\w-]o)-[a-z0-9]{10,32}(?![\w-]))(?:/(?P<root>r-[0-9a-z]{4,32}(?![\w-])))?"
    r"|(?P<unit>(?<=o)(?<![\w-]o)u-[0-9a-z]{4,32}-[a-z0-9]{8,32}(?![\w-]))"
    r"|(?P<digits>(?<=[0-9])(?<![0-9]{2})[0-9]{11}(?![0-9])"
    r"|(?<=[0-9])(?<![0-9-][0-9])[0-9]{3}-[0-9]{4}-[0-9]{4}(?![0-9-])))"
)
# A root and a policy of an organization, in AWS's current form. In names, such a text may be a word with a number.
_OF_ORGANIZATION = re.compile(r"(?<![\w-])[rp]-(?=[a-z]*[0-9])(?:(?<=r-)[0-9a-z]{4}|(?<=p-)[0-9a-z]{8})(?![\w-])")
_ROOT = re.compile(r"(?<![\w-])r-[0-9a-z]{4,32}(?![\w-])")
# The id of an instance or a template is not an account id, even with twelve digits in a row.
_EC2 = re.compile(r"(?<![0-9A-Za-z])[a-z]{1,10}-[0-9a-f]{17}(?![0-9a-z])")
# The separators between the parts of a known id; `_STARTS` are its possible beginnings in lower case.
_BETWEEN = r"[\s,.+_\-\u2010-\u2015\u2212\u00b7\u30fb]{0,3}+"
_DIGITS = re.compile(rf"[0-9](?<![0-9]{{2}})(?:{_BETWEEN}[0-9]){{11,}}+")
_PREFIXES = "|".join(
    map(_BETWEEN.join, (("[bgi]", "[dip]"), ("[ckp]", "[cik]"), ("n", "[pv]"), ("r", "o"), ("s", "[ci]")))
)
_STARTS = (re.compile(rf"a(?={_BETWEEN}(?:{_PREFIXES}){_BETWEEN}a)"), re.compile("o(?=u?-[0-9a-z])"))
_SPELLED = re.compile(rf"[^\W_](?:{_BETWEEN}[^\W_])*+")
# The length of a letter with the separators after it.
_MAX_SPELLED = 4
# A shorter id, as in an example, is replaced only where it is recognized by its form.
_MIN_UNIQUE = 12
_WORD = re.compile(r"[^\W_]+")
# Up to this number of words, one pattern of all words is faster.
_FEW = 50
# The head of an ARN, up to the resource type.
_ARN_HEAD = re.compile(r"arn:[^:\s]*:[^:\s]*:[^:\s]*:[^:\s]*:[\w-]*")
# A shorter word, or one without a digit, may also be a word of iamframe. So finished files are not searched for it.
_MIN_SEARCHED = 8
# Finished files are not searched for dates and regions, either.
_NOT_SEARCHED = re.compile(r"[0-9]+\W[0-9\W]*|[a-z]{2,3}(?:-[a-z]+)+-[0-9]\w?")
_LETTERS = b"abcdefghijklmnopqrstuvwxyz234567" * 8
_DIGEST = 10
_PSEUDONYM = re.compile(rf"\w+-[a-z2-7]{{{_DIGEST}}}")
# Encoded characters, and characters outside ASCII.
_ODD = re.compile(r"(?:%[0-9A-Fa-f]{2})+|(?:\\u[0-9A-Fa-f]{4})+|[^\x00-\x7f]")


class Hit(NamedTuple):
    start: int
    end: int
    pseudonym: str


class Plain(NamedTuple):
    """A text in a normal form, to search it for ids.

    Percent-encoded characters and JSON's escapes are decoded. Digits of all scripts and full-width letters become
    ASCII. Accents and invisible characters are removed.
    """

    text: str
    # The position of each letter in the original text, and the length of this text. None without a conversion.
    starts: list[int] | None = None

    @classmethod
    def of(cls, text: str) -> Plain:
        if _is_plain(text):
            return cls(text)
        parts: list[str] = []
        starts: list[int] = []
        last = 0
        for odd in _ODD.finditer(text):
            parts.append(text[last : odd.start()])
            starts.extend(range(last, odd.start()))
            last = odd.start()
            for letter, size in _decoded(odd[0]):
                parts.append(_plain(letter))
                starts += [last] * len(parts[-1])
                last += size
        return cls("".join([*parts, text[last:]]), [*starts, *range(last, len(text) + 1)])

    def put(self, text: str, hits: Iterable[Hit]) -> str:
        parts, last = [], 0
        for start, end, pseudonym in hits:
            # Hits are positions in the ASCII form.
            begin, stop = start, end
            if self.starts is not None:
                # Invisible characters after the original are replaced, too.
                while self.starts[stop] == self.starts[end - 1]:
                    stop += 1
                begin, stop = self.starts[begin], self.starts[stop]
            parts += [text[last:begin], pseudonym]
            last = stop
        return "".join([*parts, text[last:]]) if parts else text


def _is_plain(text: str) -> bool:
    return text.isascii() and "%" not in text and "\\u" not in text


def _decoded(odd: str) -> Iterator[tuple[str, int]]:
    if odd[0] == "%":
        for letter in bytes.fromhex(odd.replace("%", "")).decode(errors="surrogateescape"):
            yield letter, 3 * len(letter.encode(errors="surrogateescape"))
    elif odd[0] == "\\":
        for letter in bytes.fromhex(odd.replace("\\u", "")).decode("utf-16-be", "surrogatepass"):
            yield letter, 6 if ord(letter) < 0x10000 else 12
    else:
        yield odd, 1


@lru_cache(maxsize=100_000)
def _plain(letter: str) -> str:
    digit = unicodedata.digit(letter, None)
    parts = unicodedata.normalize("NFKD", letter) if digit is None else str(digit)
    return "".join(c for c in parts if unicodedata.category(c) not in ("Cf", "Mn", "Me") and not INVISIBLE.match(c))


def _small(text: str) -> str:
    if not _is_plain(text):
        text = _ODD.sub(lambda odd: "".join(_plain(letter) for letter, _ in _decoded(odd[0])), text)
    return text.lower()


class Words:
    """A search for whole words. Words in `open_ended` also match the start of longer words."""

    def __init__(self, words: Mapping[str, str], open_ended: Container[str] = ()) -> None:
        self._words, self._open = words, open_ended
        # Entries with the same first word differ in their length, and in the length before that word.
        self._starting: dict[str, set[tuple[int, int]]] = {}
        for one in words:
            if first := _WORD.search(one):
                self._starting.setdefault(first[0], set()).add((len(one), first.start()))

    def hits(self, small: str, end: int = 0) -> Iterator[Hit]:
        """Yield where the searched words are, from left to right. If words overlap, only the longest counts."""
        every = self._starting.keys()
        there = {one for one in every if one in small} if len(every) < _FEW else every & {*_WORD.findall(small)}
        of_these = rf"(?<![^\W_])(?:{'|'.join(sorted(there))})(?![^\W_])" if len(there) < _FEW else _WORD
        for word in re.finditer(of_these, small) if there else ():
            for size, lead in sorted(self._starting.get(word[0], ()), reverse=True):
                start = word.start() - lead
                one, ahead = small[max(start, 0) : start + size], small[start + size - 1 : start + size + 1]
                whole = one in self._open or not (len(ahead) == 2 and ahead.isalnum())
                if start >= end and whole and one in self._words:
                    end = start + size
                    yield Hit(start, end, self._words[one])
                    break


class Sources:
    """Mask the sources of the data: paths, and names of AWS CLI profiles."""

    def __init__(self, sources: Iterable[str], named: Callable[[str, str], str]) -> None:
        self._names: dict[str, str] = {}
        for source in sources:
            # The source of an account of many is `aws:CLI_PROFILE/ACCOUNT`.
            place = re.sub(r"(?<=^aws:)(.+)/[0-9]{12}$", r"\1", source).rstrip("/\\")
            if re.search(r"\w", place) and place not in _OWN_SOURCES:
                # In messages about files, a path has no `./`.
                name = self._names[place.removeprefix("./")] = named("source", place)
                if place.startswith("aws:"):
                    self._names[f"--profile={place[4:]}"] = f"--profile={name}"
        places = [re.escape(one) for one in sorted(self._names, key=len, reverse=True)]
        self._whole = self._pattern(rf"{one}(?![\w-])" for one in places)
        # A plain word may be any name. In other texts, it is replaced only before the name of a file.
        ends = (r"(?![\w-])" if re.search(r"[/.:=]|\\\\", one) else r"(?=[/\\])" for one in places)
        self._parts = self._pattern(map(add, places, ends))

    def _pattern(self, places: Iterable[str]) -> re.Pattern[str]:
        return re.compile(rf"(?<![\w./\\-])(?:\./)?({'|'.join(places)})")

    def masked(self, sources: str) -> str:
        return self._whole.sub(lambda one: self._names[one[1]], sources) if self._names else sources

    def masked_in(self, text: str) -> str:
        return self._parts.sub(lambda one: self._names[one[1]], text) if self._names else text


class Mask:
    def __init__(self, key: bytes) -> None:
        self._key = key
        # Ids (without separators), addresses and roots, all in lower case.
        self._ids: dict[str, str] = {}
        self._lengths: tuple[int, ...] = ()
        self._addresses: dict[str, list[str]] = {}
        self._roots: dict[str, str] = {}
        # External ids as in policies, and account ids of any form.
        self._external: dict[str, str] = {}
        self._accounts: dict[str, str] = {}
        self._words = self._searched = Words({})
        self._sources = Sources((), self.named)
        self._hidden: dict[tuple[str, str], str] = {}

    def named(self, kind: str, original: str) -> str:
        # A title may have bytes that the terminal could not decode.
        digest = hmac.digest(self._key, f"{kind}\0{original}".encode(errors="surrogatepass"), hashlib.sha256)
        return f"{kind}-{digest[:_DIGEST].translate(_LETTERS).decode()}"

    def _noted(self, kind: str, original: str) -> str:
        squeezed = _squeezed(original)
        if squeezed not in self._ids:
            self._ids[squeezed] = self.named(kind, original)
            self._lengths = tuple(sorted({*self._lengths, len(squeezed)}, reverse=True))
        return self._ids[squeezed]

    def account(self, spelled: str) -> str:
        if spelled in _NOT_ACCOUNTS:
            return spelled
        plain = spelled.replace("-", "")
        return self._noted("acct", plain) if re.fullmatch("[0-9]{12}", plain) else self.named("acct", spelled)

    def unique(self, spelled: str) -> str:
        if not re.fullmatch(f"A{_UNIQUE}", spelled):
            return self.named("id", spelled)
        note = self._noted if len(spelled) >= _MIN_UNIQUE else self.named
        return note(spelled[:4], spelled)

    def learn(self, accounts: Iterable[str], policies: Iterable[str], own: Iterable[str] = ()) -> None:
        # An account id is replaced in policies even without twelve digits.
        self._accounts |= {one: self.account(one) for one in accounts if one not in _NOT_ACCOUNTS}
        external: set[str] = set()
        for policy in policies:
            if "externalid" in policy.lower():
                with suppress(msgspec.MsgspecError, RecursionError):
                    external.update(_external_ids(msgspec.json.decode(policy)))
        # Wildcards around an external id are kept, and only the text between them is replaced. An account id that is
        # used as an external id keeps its pseudonym.
        cores = {one: one.strip("*?") for one in external}
        cores = {one: core for one, core in cores.items() if core and not self._is_id(core)}
        self._external = {one: one.replace(core, self.named("ext", core)) for one, core in cores.items()}
        words, open_ended = {}, set()
        for one, core in cores.items():
            # The text in its plain form, and as in JSON.
            for spelled in {_small(core), _small(json.dumps(core, ensure_ascii=False)[1:-1])}:
                words[spelled] = self.named("ext", core)
                if one[-1] in "*?":
                    open_ended.add(spelled)
        self._words = Words(words, open_ended)
        # Finished files are not searched for words of iamframe and AWS, which `own` contains.
        known = {word.lower() for text in own for word in (text, *text.split())}
        searched = [one for one in words.keys() - known if len(one) >= _MIN_SEARCHED and re.search("[0-9]", one)]
        self._searched = Words({one: words[one] for one in searched if not _NOT_SEARCHED.fullmatch(one)}, open_ended)

    def learn_sources(self, sources: Iterable[str]) -> None:
        self._sources = Sources(sources, self.named)

    def source(self, text: str) -> str:
        return self.text(self._sources.masked(text))

    def _is_id(self, text: str) -> bool:
        masked = self.by_form(text)
        return masked != text and _PSEUDONYM.fullmatch(masked) is not None

    def text(self, text: str) -> str:
        if text in self._external:
            return self._external[text]
        text = self._sources.masked_in(text)
        plain = Plain.of(text)
        head = _ARN_HEAD.match(plain.text)
        return self.by_form(plain.put(text, self._words.hits(plain.text.lower(), head.end() if head else 0)))

    def by_form(self, text: str) -> str:
        plain = Plain.of(text)
        while "@" in plain.text and (masked := plain.put(text, map(self._email, _EMAIL.finditer(plain.text)))) != text:
            text, plain = masked, Plain.of(masked)
        return plain.put(text, (hit for found in _ID.finditer(plain.text) for hit in self._id(found)))

    def _email(self, found: re.Match[str]) -> Hit:
        address = found["email"].lower()
        near = self._addresses.setdefault(_around(address, address.rindex("@")), [])
        if address not in near:
            near.append(address)
        return Hit(*found.span("email"), self.named("email", address))

    def _id(self, found: re.Match[str]) -> Iterator[Hit]:
        start, end = found.span()
        if field := found["field"]:
            if field.strip("*?"):
                yield Hit(*found.span("field"), self.account(field))
        elif found["org"]:
            yield Hit(start, found.end("org"), self._noted("org", f"o{found['org']}"))
            if found["root"]:
                yield Hit(*found.span("root"), self._root(found["root"]))
        elif found["unique"]:
            yield Hit(start, end, self.unique(found[0]))
        elif found["unit"]:
            yield Hit(start, end, self._noted("ou", found[0]))
        else:
            near = _EC2.finditer(found.string, max(start - 28, 0), end + 18)
            if not any(one.start() < start < one.end() for one in near):
                yield Hit(start, end, self.account(found[0]))

    def _root(self, root: str) -> str:
        # Outside a path, a root is too short to be recognized.
        self._roots[root] = self.named("root", root)
        return self._roots[root]

    def written(self, text: str) -> str:
        return _OF_ORGANIZATION.sub(lambda one: self.named(_KINDS[one[0][0]], one[0]), self.text(text))

    def known(self, text: str) -> str:
        plain = Plain.of(text)
        masked = plain.put(text, self._known(plain.text.lower()))
        return _ROOT.sub(lambda one: self._roots.get(one[0], one[0]), masked) if self._roots else masked

    def _known(self, small: str) -> Iterator[Hit]:
        runs = [(run.start(), run[0]) for run in _DIGITS.finditer(small)]
        for starts in _STARTS if self._ids else ():
            longest = self._lengths[0] * _MAX_SPELLED
            at = (found.start() for found in starts.finditer(small))
            some = (_SPELLED.match(small, place, place + longest) for place in at)
            runs += [(one.start(), one[0]) for one in some if one]
        end = 0
        for start, run in sorted(runs):
            squeezed, is_account = run if run.isalnum() else _squeezed(run), run[0].isdigit()
            places: list[int] = []
            for first in range(len(squeezed) - 11 if is_account else 1):
                sizes = [size for size in ((12,) if is_account else self._lengths) if first + size <= len(squeezed)]
                if size := next((size for size in sizes if squeezed[first : first + size] in self._ids), 0):
                    places = places or [place for place, letter in enumerate(run, start) if letter.isalnum()]
                    if places[first] >= end:
                        end = places[first + size - 1] + 1
                        yield Hit(places[first], end, self._ids[squeezed[first : first + size]])

    def holds(self, text: str) -> bool:
        small = _small(text)
        if next(self._known(small), None) or next(self._searched.hits(small), None):
            return True
        # An address is recognized by the text around its @.
        places = (found.start() for found in re.finditer("@", small))
        near = ((place, one) for place in places for one in self._addresses.get(_around(small, place), ()))
        return any(small.startswith(one, max(place - one.rindex("@"), 0)) for place, one in near)

    def policy(self, policy: str) -> str:
        if policy.startswith("{"):
            with suppress(msgspec.MsgspecError, RecursionError):
                return msgspec.json.encode(self._within(msgspec.json.decode(policy), "")).decode()
        return self.written(policy)

    def _within(self, node: Any, kind: str) -> Any:
        if isinstance(node, dict):
            kinds = {key: _VALUE_KINDS.get(key.lower().rpartition(":")[2], "") for key in node}
            return {self._key_of_policy(key): self._within(node[key], kinds[key]) for key in node}
        if isinstance(node, list):
            return [self._within(value, kind) for value in node]
        if isinstance(node, bool) or not isinstance(node, (str, int)):
            return node
        # Policies repeat the same few words, so each word is masked once. An id may be a number without quotes.
        word = str(node)
        if (kind, word) not in self._hidden:
            self._hidden[kind, word] = self._hidden_text(word, kind)
        return node if self._hidden[kind, word] == word else self._hidden[kind, word]

    def _hidden_text(self, word: str, kind: str) -> str:
        if kind == "path":
            return "/".join(map(self._part_of_path, word.split("/")))
        if kind == "aws":
            return self.by_form(word)
        return (self._external if kind == "external" else self._accounts).get(word) or self.text(word)

    def _key_of_policy(self, key: str) -> str:
        # The text after the slash, such as a tag key, comes from other people.
        head, slash, rest = key.partition("/")
        return self.by_form(head) + slash + (self.text(rest) if rest else "")

    def _part_of_path(self, part: str) -> str:
        # An organization path is `o-…/r-…/ou-…/`. Wildcards after an id are kept.
        core = part.rstrip("*?")
        masked, kind = self.by_form(core), core.partition("-")[0]
        if masked == core and kind in _KINDS and core != f"{kind}-":
            masked = self._root(core) if kind == "r" else self.named(_KINDS[kind], core)
        return masked + part[len(core) :]


def _squeezed(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def _around(text: str, at: int) -> str:
    return text[max(at - 2, 0) : at + 3]


def _external_ids(node: Any, is_external: bool = False) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _external_ids(value, key.lower() == "sts:externalid")
    elif isinstance(node, list):
        for value in node:
            yield from _external_ids(value, is_external)
    elif is_external and isinstance(node, (str, int)):
        yield str(node)
