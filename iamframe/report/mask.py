"""Pseudonyms for what tells whose accounts these are: the same throughout one report, other ones in the next.

Account ids, unique ids, external ids, e-mail addresses and the ids of AWS Organizations are replaced in every text of
a result before anything is made of it. Twelve digits are found by trying them all, so a pseudonym is an HMAC with a key
that nobody else has, never a plain hash. Afterwards the finished files are searched for the originals by another way
than they were replaced by.

Forms of ids: IAM User Guide, "IAM identifiers" (unique ids and their prefixes); AWS Organizations API Reference,
"Organization", "OrganizationalUnit", "Root" (`o-…`, `ou-…`, `r-…`).
"""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import os
import re
import secrets
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote
from zipfile import ZipFile, is_zipfile

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks.findings import Found
from iamframe.checks.result import Result
from iamframe.errors import ReportError
from iamframe.inventory.arrow import as_arrow
from iamframe.inventory.build import joined
from iamframe.inventory.gaps import with_details
from iamframe.knowledge.operations import UNKNOWN_ACCOUNT
from iamframe.messages.render import changed_facts, render, text_of
from iamframe.sources.archives import display_path, read_file

if TYPE_CHECKING:
    from iamframe.analysis.compare import Changes

MASKED = str(text_of("page.masked"))
KEY_BYTES = 32
MAX_KEY_BYTES = 1_024
# Columns that hold an id and nothing else, whatever its form.
ID_COLUMNS = {"account_id": "acct", "finding_id": "finding"} | dict.fromkeys(
    ("role_id", "profile_id", "referenced_id", "current_id", "principal_id"), "id"
)
COLUMNS = {
    "policy": frozenset({"trust_policy"}),
    # What others wrote and iamframe reads no meaning in: a word that is an external id, whatever it looks like, is one.
    "written": frozenset({"tag_value", "profile_value", "role_value", "description", "accepted"}),
    # What was so before a change: a policy, a tag's value, or what iamframe itself says.
    "changed": frozenset({"before", "after"}),
    "sentence": frozenset({"detail"}),
    # What iamframe says: an id, which is nobody's, and the texts in it, in JSON.
    "message": frozenset({"message", "references_message"}),
    "facts": frozenset({"facts", "references_facts", "_limit"}),
    # Of changes: their texts are what others wrote, too.
    "written facts": frozenset({"changed_facts"}),
    "command": frozenset({"next_step"}),
}
_PARTS = ("findings", "facts")
# Sentences that are rendered again from their message and masked facts, by column.
RENDERED = {"references_reason": ("references_message", "references_facts"), "reason": ("message", "facts")}
# Pasted into a shell, a command with pseudonyms in it would write them into the account.
NOT_TO_RUN = "# masked, not to be run: "

# Keys of conditions, without their prefix, whose values are told by them: those of paths are PrincipalOrgPaths,
# ResourceOrgPaths, SourceOrgPaths and VpceOrgPaths ("AWS global condition context keys", IAM User Guide).
_ASKED = {"externalid": "external"} | dict.fromkeys(
    ("principalorgpaths", "resourceorgpaths", "sourceorgpaths", "vpceorgpaths"), "path"
)
_OF_PATHS = {"o": "org", "r": "root", "ou": "ou"}
# What stands in an ARN where others have their account, and is AWS's own.
_NOT_ACCOUNTS = frozenset({"aws", "cloudfront", UNKNOWN_ACCOUNT})
# One try per run of letters: a text of a million of them takes no longer than its length. `+` after a quantifier takes
# all there is and gives none back.
_EMAIL = re.compile(
    r"(?<![\w.+'-])(?P<lead>['.+-]*+)(?P<email>(?:\w[\w.+'-]*+|\x22[^\x22\r\n]{1,64}\x22)(?:[@＠]|%40|\\u0040)"
    r"[\w-]+(?:\.[\w-]+)*\.(?:xn--[\w-]+|[^\W\d_]{2,}))"
)
_AT = re.compile(r"[@＠%\\](?:(?<=[@＠])|40|u0040)")
# Those of roles, users and profiles are told however short they were made for an example; others begin words.
_UNIQUE = r"(?:(?:ID|IP|RO)A[A-Z0-9]{3,}|(?:BIA|CCA|GPA|KIA|NPA|NVA|PKA|SCA|SIA)[A-Z0-9]{12,})"
# All begin with one of few letters, which are found before anything is tried. What must not stand before an id is told
# after its first letter.
_ID = re.compile(
    r"[aAo0-9](?:"
    r"(?P<arn>(?<=a)rn:[\w-]*:[\w-]*:[\w*-]*:)(?P<field>[^:/\s\"'\\`,;|<>(){}\[\]]+)(?=:)"
    rf"|(?P<unique>(?<=A)(?<![0-9A-Za-z]A){_UNIQUE})"
    r"|(?P<org>(?<=o)(?<![\w-]o)-[a-z0-9]{10,32}(?![\w-]))(?P<root>/r-[0-9a-z]{4,32}(?![\w-]))?"
    r"|(?P<unit>(?<=o)(?<![\w-]o)u-[0-9a-z]{4,32}-[a-z0-9]{8,32}(?![\w-]))"
    r"|(?P<digits>(?<=[0-9])(?<![0-9]{2})[0-9]{11}(?![0-9])"
    r"|(?<=[0-9])(?<![0-9-][0-9])[0-9]{3}-[0-9]{4}-[0-9]{4}(?![0-9-])))"
)
# A root and a policy of an organisation, as AWS makes them today; in names it may be a word with a number.
_OF_ORGANIZATION = re.compile(
    r"(?<![\w-])(?:(?P<root>r-(?=[a-z]*[0-9])[0-9a-z]{4})|p-(?=[a-z]*[0-9])[0-9a-z]{8})(?![\w-])"
)
# An id of an instance or a template is not an account's, though it may hold twelve digits in a row.
_EC2 = re.compile(r"(?<![0-9A-Za-z])[a-z]{1,10}-[0-9a-f]{17}(?![0-9a-z])")
_TWELVE = re.compile("[0-9]{12}")
_LETTERS = b"abcdefghijklmnopqrstuvwxyz234567" * 8
_DIGEST = 10
_PSEUDONYM = re.compile(rf"\w+-[a-z2-7]{{{_DIGEST}}}")
# Times are written into the files without having been a text before.
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Shorter ones stand within numbers and words that have nothing to do with them: there, only as a word of their own.
_MIN_EXTERNAL = 8
_MIN_MIXED = 6
# What is shorter is a count or a day more often than an id.
_MIN_DIGITS = 4
# Where letters meet digits, and a small letter a capital one, a word begins: names are put together so.
_WORD = re.compile(r"\d+|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
# Where iamframe's sentences and commands quote what others wrote.
_QUOTED = re.compile(
    r"(?s)^(?:tag|description) .+|(?:(?<= is )|(?<= and )).+?(?= on the (?:role|profile)\b|, not )"
    r'|(?<=, not one of )[^;]+|(?<=")[^"]+(?=")'
)
_REPORTED = frozenset({".csv", ".html", ".json", ".xlsx"})
_WINDOW = 6
_MIN_SEARCHED = 4
_CHUNK = 1 << 20


class Hit(NamedTuple):
    """Where an original stands."""

    start: int
    end: int


class Finder:
    """Finds any of a million byte strings, of six bytes at least, at any place, in one pass."""

    def __init__(self, wanted: Iterable[bytes]) -> None:
        self._wanted = frozenset(wanted)
        self.longest = max(map(len, self._wanted), default=0)
        self._lengths: dict[int, list[int]] = {}
        for length, start in sorted({(len(one), _number(one)) for one in self._wanted}, reverse=True):
            self._lengths.setdefault(start, []).append(length)
        self._bits = np.uint64(64 - min(max(len(self._lengths).bit_length() + 6, 16), 24))
        self._table = np.zeros(1 << (64 - int(self._bits)), dtype=bool)
        self._table[self._slot(np.fromiter(self._lengths, np.uint64, len(self._lengths)))] = True

    def _slot(self, numbers: Any) -> Any:
        return (numbers * np.uint64(0x9E3779B97F4A7C15)) >> self._bits

    def hits(self, text: bytes) -> Iterator[Hit]:
        """Yield where one stands, from left to right, the longest of each place; none overlaps another."""
        if not self._wanted:
            return
        padded, end = text + bytes(8), 0
        for start in range(0, len(text), _CHUNK):
            stop = min(start + _CHUNK, len(text))
            found = []
            for offset in range(start, min(start + 8, stop)):
                view = np.frombuffer(padded, "<u8", (stop - offset + 7) // 8, offset)
                numbers = view & np.uint64((1 << (8 * _WINDOW)) - 1)
                found.append(np.flatnonzero(self._table[self._slot(numbers)]) * 8 + offset)
            for place in np.sort(np.concatenate(found)).tolist():
                if place < end:
                    continue
                for length in self._lengths.get(_number(text[place : place + _WINDOW]), ()):
                    if text[place : place + length] in self._wanted:
                        end = place + length
                        yield Hit(place, end)
                        break


def _number(text: bytes) -> int:
    return int.from_bytes(text[:_WINDOW], "little")


class WordFinder:
    """Finds words, or runs of them, where they stand by themselves and are no part of a pseudonym or a day."""

    def __init__(self, words: Iterable[str], pseudonyms: Container[str] = ()) -> None:
        self._pseudonyms = pseudonyms
        self._starting: dict[str, list[tuple[int, str]]] = {}
        longest_first = sorted(words, key=len, reverse=True)
        # Of a few, it is quickly seen that a text holds none.
        self._few = longest_first if len(longest_first) < 100 else []
        for one in longest_first:
            if first := _WORD.search(one):
                self._starting.setdefault(first[0], []).append((first.start(), one))

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._starting)

    def hits(self, text: str) -> Iterator[Hit]:
        """Yield where one stands, from left to right, the longest of each place; none overlaps another."""
        if not self or (self._few and not any(one in text for one in self._few)):
            return
        words, end = list(_WORD.finditer(text)), 0
        ends = {word.end() for word in words}
        for word in words:
            if word.start() < end:
                continue
            if text[word.start() : word.end() + _DIGEST + 1] in self._pseudonyms:
                end = word.end() + _DIGEST + 1
                continue
            for lead, one in self._starting.get(word[0], ()):
                start = word.start() - lead
                stop = start + len(one)
                is_whole = stop in ends or not _WORD.match(one[-1])
                is_day = one.isdigit() and _DAY.match(text, start)
                if start >= end and text.startswith(one, start) and is_whole and not is_day:
                    end = stop
                    yield Hit(start, end)
                    break


class Search(NamedTuple):
    """What is looked for in finished files."""

    anywhere: Finder
    alone: WordFinder

    def within(self, file: Path) -> bool:
        """Tell whether one stands in a file, a file within it, or its name."""
        if any(True for _ in self.anywhere.hits(_bytes(file.name))):
            return True
        if is_zipfile(file):
            with ZipFile(file) as archive:
                for name in archive.namelist():
                    with archive.open(name) as member:
                        if self._within_stream(member):
                            return True
            return False
        with file.open("rb") as stream:
            if self._within_stream(stream):
                return True
        with file.open(encoding="utf-8-sig", errors="replace") as lines:
            read = html.unescape if file.suffix == ".html" else str
            return any(
                # As words of their own, numbers are counts and parts of times, and short ones anything.
                end - start >= _MIN_SEARCHED and not line[start:end].isdigit()
                for line in map(read, lines if self.alone else ())
                for start, end in self.alone.hits(line)
            )

    def _within_stream(self, stream: IO[bytes]) -> bool:
        kept = b""
        while piece := stream.read(8 * _CHUNK):
            if any(True for _ in self.anywhere.hits(kept + piece)):
                return True
            kept = (kept + piece)[-self.anywhere.longest :] if self.anywhere.longest else b""
        return False


class Mask:
    """The pseudonyms of one report, and the originals that they stand for."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        # By spelling: an account id may stand with hyphens, an address in capitals.
        self._originals: dict[str, str] = {}
        self._external: dict[str, str] = {}
        # Those external ids that no word is like, and those that no word of iamframe's is.
        self._telling: dict[str, str] = {}
        self._alone = self._common = WordFinder(())
        self._given: set[str] = set()
        self._accounts: dict[str, str] = {}
        self._roots: dict[str, str] = {}
        # Policies are made of the same few words.
        self._words: dict[str, str] = {}

    def named(self, kind: str, original: str) -> str:
        """Return the pseudonym of a value of some kind."""
        digest = hmac.digest(self._key, _bytes(f"{kind}\0{original}"), hashlib.sha256)
        pseudonym = f"{kind}-{digest[:_DIGEST].translate(_LETTERS).decode()}"
        self._given.add(pseudonym)
        return pseudonym

    def _noted(self, kind: str, original: str, spelled: str) -> str:
        if spelled not in self._originals:
            self._originals[spelled] = self.named(kind, original)
        return self._originals[spelled]

    def account(self, spelled: str) -> str:
        """Return the pseudonym of an account, whatever the form of its id; `unknown` is none."""
        if spelled in _NOT_ACCOUNTS:
            return spelled
        plain = spelled.replace("-", "")
        if _TWELVE.fullmatch(plain):
            return self._noted("acct", plain, spelled)
        return self.named("acct", spelled)

    def unique(self, spelled: str) -> str:
        """Return the pseudonym of a unique id, which keeps the four letters that say what it is of."""
        if re.fullmatch(f"A{_UNIQUE}", spelled):
            return self._noted(spelled[:4], spelled, spelled)
        return self.named("id", spelled)

    def text(self, text: str) -> str:
        """Return a text with a pseudonym for each id and address that its form tells."""
        while _AT.search(text):
            told = _EMAIL.sub(self._email, text)
            if told == text:
                break
            text = told
        return _ID.sub(self._id, text)

    def _email(self, match: re.Match[str]) -> str:
        plain = re.sub(r"＠|%40|\\u0040", "@", match["email"]).casefold()
        return match["lead"] + self._noted("email", plain, match["email"])

    def _id(self, match: re.Match[str]) -> str:
        if field := match["field"]:
            return f"a{match['arn']}{self.account(field) if field.strip('*?') else field}"
        if match["org"]:
            org, root = f"o{match['org']}", match["root"]
            return self._noted("org", org, org) + (f"/{self._root(root[1:])}" if root else "")
        spelled = match[0]
        if match["unique"]:
            return self.unique(spelled)
        if match["unit"]:
            return self._noted("ou", spelled, spelled)
        near = _EC2.finditer(match.string, max(match.start() - 28, 0), match.end() + 18)
        return spelled if any(one.start() < match.start() < one.end() for one in near) else self.account(spelled)

    def _root(self, root: str) -> str:
        # Too short to be told where no path shows what it is.
        self._roots[root] = self.named("root", root)
        return self._roots[root]

    def _org_path(self, path: str) -> str:
        """Return a path of an organisation (`o-…/r-…/ou-…/`) with pseudonyms, whatever a pattern leaves of its ids."""
        parts = []
        for part in path.split("/"):
            core = part.rstrip("*?")
            told = self.text(core)
            kind = core.partition("-")[0]
            if told == core and kind in _OF_PATHS and core != f"{kind}-":
                told = self._root(core) if kind == "r" else self.named(_OF_PATHS[kind], core)
            parts.append(told + part[len(core) :])
        return "/".join(parts)

    def learn_accounts(self, ids: Iterable[str]) -> None:
        """Take note of accounts: in a policy, an id of any form is told by being one of them."""
        self._accounts |= {one: self.account(one) for one in ids if one not in _NOT_ACCOUNTS}

    def learn_external(self, policies: Iterable[str]) -> None:
        """Take note of the external ids that policies ask for."""
        said: set[str] = set()
        for policy in policies:
            with suppress(msgspec.MsgspecError, RecursionError):
                said.update(_external_ids(msgspec.json.decode(policy)))
        # A pattern stays one, and what it is of is an external id too.
        cores = {one: one.strip("*?") for one in said}
        cores |= {core: core for core in cores.values()}
        # An account's id may serve as one, and keeps its pseudonym then.
        cores = {one: core for one, core in cores.items() if core and not self._is_id(core)}
        become = {one: one.replace(core, self.named("ext", core)) for one, core in cores.items()}
        self._external = {spelled: become[one] for one in become for spelled in _spellings(one)} | become
        said = set(self._external)
        telling = {_bytes(one) for one in said if _tells(one)}
        # What iamframe's own sentences hold cannot be told from them. One may hide another that it overlaps.
        own = _own_words() if said else b""
        while found := {own[start:end] for start, end in Finder(telling).hits(own)}:
            telling -= found
        self._telling = {one: self._external[one] for one in map(_text, telling)}
        self._originals |= self._telling
        common = said - self._telling.keys()
        alone = {one for one in common if not ((one.isdigit() and len(one) < _MIN_DIGITS) or _DAY.match(one))}
        text = _text(own)
        while found_alone := {text[start:end] for start, end in WordFinder(alone).hits(text)}:
            alone -= found_alone
        self._alone, self._common = WordFinder(alone, self._given), WordFinder(common - alone, self._given)

    def _is_id(self, text: str) -> bool:
        told = self.text(text)
        return told != text and _PSEUDONYM.fullmatch(told) is not None

    def policy(self, policy: str) -> str:
        """Return a policy, compact JSON, with pseudonyms in all its texts."""
        try:
            return msgspec.json.encode(self._within(msgspec.json.decode(policy), "")).decode()
        except (msgspec.MsgspecError, RecursionError):
            return self.text(policy)

    def _within(self, node: Any, asked: str) -> Any:
        if isinstance(node, dict):
            return {
                self._word(key): self._within(value, _ASKED.get(key.lower().rpartition(":")[2], ""))
                for key, value in node.items()
            }
        if isinstance(node, list):
            return [self._within(value, asked) for value in node]
        if isinstance(node, int) and not isinstance(node, bool):
            # An id without its quotes is one all the same.
            told = self._within(str(node), asked)
            return node if told == str(node) else told
        if not isinstance(node, str):
            return node
        if asked == "path":
            return self._org_path(node)
        return (self._external if asked == "external" else self._accounts).get(node) or self._word(node)

    def _word(self, word: str) -> str:
        if word not in self._words:
            self._words[word] = self.alone(self.text(word))
        return self._words[word]

    def whole(self, text: str, told: str) -> str:
        """Return the pseudonym of the external id that a cell is, or what the cell became."""
        return self._external.get(text, told)

    def written(self, text: str) -> str:
        """Return what others wrote with a pseudonym for each external id, even if iamframe has the same word."""
        return _put(_OF_ORGANIZATION.sub(self._of_organization, text), self._common, self._external)

    def _of_organization(self, match: re.Match[str]) -> str:
        return self.named("root" if match["root"] else "policy", match[0])

    def quoted(self, text: str) -> str:
        """Return a sentence or command of iamframe's with a pseudonym for each external id in what it quotes."""
        return _QUOTED.sub(lambda match: self.written(match[0]), text)

    def alone(self, text: str) -> str:
        """Return a text with a pseudonym for each external id that is a word of it and none of iamframe's."""
        return _put(text, self._alone, self._external)

    def external(self, values: Iterable[str]) -> list[str]:
        """Return texts with a pseudonym for each external id, at whatever place it stands."""
        return _replaced(list(values), self._telling)

    def known(self, values: list[str]) -> list[str]:
        """Return texts with a pseudonym for each original known by now, at whatever place it stands."""
        roots = WordFinder(self._roots, self._given)
        return [_put(one, roots, self._roots) for one in _replaced(values, self._originals)]

    def searched(self) -> Search:
        """Return what finds the originals in finished files, as they stand in text, JSON, HTML and CSV.

        An external id of letters alone is left out, except as a word of its own: it may be within a file format's.
        """
        spelled = [one for one in self._originals if not (one in self._telling and one.isalpha())]
        ways = (str, html.escape, lambda one: json.dumps(one, ensure_ascii=False)[1:-1], lambda o: o.replace('"', '""'))
        return Search(Finder({_bytes(way(one)) for one in spelled for way in ways}), self._alone)


def _spellings(external: str) -> Iterator[str]:
    """Yield how else an external id may stand: in other letters, in a URL, in a command's JSON and quotes."""
    cases = (external.lower(), external.upper()) if re.search("[0-9]", external) else ()
    for one in (external, *cases):
        yield from (one, quote(one, safe=""))
        for told in (one, json.dumps(one, ensure_ascii=False)[1:-1], json.dumps(one)[1:-1]):
            yield from (told, told.replace("'", "'\"'\"'"))


def _tells(external: str) -> bool:
    """Whether nothing else holds an external id by chance."""
    is_mixed = re.search("[0-9]", external) and re.search("[A-Za-z]", external)
    return len(_bytes(external)) >= (_MIN_MIXED if is_mixed else _MIN_EXTERNAL) and not _DAY.match(external)


def _bytes(text: str) -> bytes:
    # A title may hold bytes that the terminal could not decode.
    return text.encode(errors="surrogatepass")


def _put(text: str, words: WordFinder, become: Mapping[str, str]) -> str:
    parts, last = [], 0
    for start, end in words.hits(text):
        parts += [text[last:start], become[text[start:end]]]
        last = end
    return "".join([*parts, text[last:]]) if parts else text


def _replaced(values: list[str], originals: Mapping[str, str]) -> list[str]:
    if not originals:
        return values
    become = {_bytes(one): pseudonym.encode() for one, pseudonym in originals.items()}
    # No text has this byte, so that none begins in one text and ends in the next.
    joint = b"\xff".join(map(_bytes, values))
    parts, last = [], 0
    for start, end in Finder(become).hits(joint):
        parts += [joint[last:start], become[joint[start:end]]]
        last = end
    if not parts:
        return values
    return list(map(_text, b"".join([*parts, joint[last:]]).split(b"\xff")))


def _external_ids(node: Any, asked: bool = False) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _external_ids(value, key.lower() == "sts:externalid")
    elif isinstance(node, list):
        for value in node:
            yield from _external_ids(value, asked)
    elif asked and isinstance(node, (str, int)):
        yield str(node)


def _text(spelled: bytes) -> str:
    return spelled.decode(errors="surrogatepass")


@cache
def _own_words() -> bytes:
    def within(folder: Traversable) -> Iterator[bytes]:
        for entry in folder.iterdir():
            if entry.is_dir():
                yield from within(entry)
            elif entry.name.endswith((".py", ".toml", ".j2", ".css", ".js")):
                yield entry.read_bytes()

    return b"\0".join(within(resources.files("iamframe")))


def masked(
    result: Result, changes: Changes | None, mask: Mask, *said: str | None
) -> tuple[Result, Changes | None, list[str | None]]:
    """Return a result with pseudonyms in all its texts, its rows sorted by them; its changes, and other texts, too."""
    inventory, gaps = result.inventory, result.inventory.gaps
    # What has a message is said anew from masked facts.
    frames = inventory.frames | {"gaps": gaps.assign(detail=gaps["detail"].where(gaps["message"] == "", ""))}
    views = {field.name: getattr(result, field.name) for field in fields(result)}
    views = {name: value for name, value in views.items() if isinstance(value, pd.DataFrame)}
    found: dict[tuple[str, ...], pd.DataFrame]
    found = {(name, part): getattr(one, part) for name, one in result.found.items() for part in _PARTS}
    loose = [*inventory.sources, *([result.policy.path] if result.policy.path else []), *filter(None, said)]
    tables = {name: getattr(changes, name) for name in ("changes", "findings", "not_compared")} if changes else {}
    old = changes.old.inventory if changes else None
    if changes is not None and old is not None:
        loose += old.sources
        tables["changes"] = tables["changes"].rename(columns={"facts": "changed_facts"})
        of_old = changes.old.only(changes.findings["finding_id"]).found
        found |= {("old", name, part): getattr(one, part) for name, one in of_old.items() for part in _PARTS}
    # What only the older of two loads holds is written nowhere but in the changes, and must not stand there.
    before = old.frames.values() if old is not None else ()
    told = _told([*frames.values(), *views.values(), *found.values(), *tables.values(), *before], loose, mask)
    views = {name: _masked(frame, told) for name, frame in views.items()}
    in_frames: dict[str, Any] = {name: _masked(frame, told) for name, frame in frames.items()}
    in_frames["gaps"] = with_details(in_frames["gaps"])
    text = told[""]
    # The order of the originals would tell about them.
    views["coverage"] = views["coverage"].sort_values("account_id", kind="stable", ignore_index=True)
    shown = {at: _masked(frame, told) for at, frame in found.items()}
    whole = replace(
        result,
        inventory=joined([replace(inventory, **in_frames)], [text[source] for source in inventory.sources]),
        policy=replace(result.policy, path=result.policy.path and text[result.policy.path]),
        found={name: Found(shown[name, "findings"], shown[name, "facts"]) for name in result.found},
        **views,
    )
    if changes is not None and old is not None:
        sources = tuple(text[source] for source in old.sources)
        of_old = {name: Found(*(shown["old", name, part] for part in _PARTS)) for name in of_old}
        older = replace(changes.old, inventory=replace(old, sources=sources), found=of_old)
        changes = _changes(replace(changes, old=older, new=whole, **{n: _masked(t, told) for n, t in tables.items()}))
    return whole, changes, [one and text[one] for one in said]


def _changes(masked: Changes) -> Changes:
    """Return changes in the order of masked accounts, with the details of masked facts."""
    names = ("changes", "findings", "not_compared")
    tables = (getattr(masked, name).sort_values("account_id", kind="stable", ignore_index=True) for name in names)
    masked = replace(masked, **dict(zip(names, tables, strict=True)))
    changes = with_details(masked.changes.rename(columns={"changed_facts": "facts"}))
    return replace(masked, changes=changes, findings=masked.findings.assign(detail=masked.details("en")))


def _kind(column: str) -> str:
    return next((kind for kind, columns in COLUMNS.items() if column in columns), ID_COLUMNS.get(column, ""))


def not_to_run(command: str) -> str:
    """Return a command as a comment of a shell, on each of its lines."""
    return NOT_TO_RUN + re.sub(r"\r\n?|\n", lambda end: f"{end[0]}# ", command)


def _distinct(frames: Iterable[pd.DataFrame], loose: Iterable[str]) -> dict[str, dict[str, None]]:
    """Return the distinct texts per kind of column."""
    distinct: dict[str, dict[str, None]] = {kind: {} for kind in ("acct", "id", "finding", *COLUMNS)}
    distinct[""] = dict.fromkeys(loose)
    for frame in frames:
        for name in frame.columns:
            if frame[name].dtype == "str":
                distinct[_kind(name)] |= dict.fromkeys(pc.unique(as_arrow(frame[name]).drop_null()).to_pylist())
    for kind, facts in (("", "facts"), ("changed", "written facts")):
        distinct[kind] |= dict.fromkeys(_texts_in(distinct[facts]))
    return distinct


def _told(frames: Iterable[pd.DataFrame], loose: Iterable[str], mask: Mask) -> dict[str, Mapping[str, str]]:
    """Return, per kind of column, what each text becomes."""
    distinct = _distinct(frames, loose)
    mask.learn_accounts(distinct["acct"])
    mask.learn_external(policy for policy in distinct["policy"] if "externalid" in policy.lower())
    accounts = {one: mask.account(one) for one in distinct["acct"]}
    unique = {one: mask.unique(one) for one in distinct["id"]}
    policies = [mask.policy(one) for one in distinct["policy"]]
    # An external id may hold an account's id or an address: it goes first, and whole.
    kinds = ("", *(kind for kind in COLUMNS if kind not in ("policy", "message", "facts", "written facts")))
    some = list(dict.fromkeys(one for kind in kinds for one in distinct[kind]))
    plain = [mask.alone(mask.text(one)) for one in mask.external(some)]
    # What one text shows to be an id may stand in another where its form does not tell.
    plain, policies = (mask.known(told) for told in (plain, policies))
    become = dict(zip(some, plain, strict=True))
    of_policies = dict(zip(distinct["policy"], policies, strict=True))
    commands = {one: mask.quoted(become[one]) for one in distinct["command"]}

    def written(one: str) -> str:
        return mask.whole(one, mask.written(become[one]))

    # What a policy was before it changed stands beside what a tag was.
    changed = {
        one: of_policies.get(one) or (mask.whole(one, become[one]) if one.startswith("arn:") else written(one))
        for one in distinct["changed"]
    }
    return {
        "acct": accounts,
        "id": unique,
        "finding": {one: mask.named("finding", one) for one in distinct["finding"]},
        "policy": of_policies,
        "written": {one: written(one) for one in distinct["written"]},
        "changed": changed,
        "sentence": {one: mask.quoted(become[one]) for one in distinct["sentence"]},
        "message": {one: one for one in distinct["message"]},
        "facts": {one: changed_facts(one, become.__getitem__) for one in distinct["facts"]},
        "written facts": {one: changed_facts(one, changed.__getitem__) for one in distinct["written facts"]},
        "command": {one: told if told == one else not_to_run(told) for one, told in commands.items()},
        "": become,
    }


def _texts_in(facts: Iterable[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for one in facts:
        changed_facts(one, lambda text: texts.setdefault(text, text))
    return texts


def _masked(frame: pd.DataFrame, told: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    columns = {}
    for name in frame.columns:
        if frame[name].dtype == "str":
            encoded = as_arrow(frame[name]).dictionary_encode()
            become = told[_kind(name)]
            values = pa.array([become[one] for one in encoded.dictionary.to_pylist()], pa.large_string())
            columns[name] = pd.Series(values.take(encoded.indices).to_pandas(), dtype="str").set_axis(frame.index)
    for name, of in RENDERED.items():
        # The reason of a gap is one word; its detail is the sentence.
        if columns.keys() >= {name, *of} and "detail" not in columns:
            message, facts = (pa.array(columns[part], pa.string()) for part in of)
            columns[name] = pd.Series(render(message, facts).to_pylist(), frame.index, dtype="str")
    return frame.assign(**columns)


def search(aside: Path, folder: Path, mask: Mask, going: Iterable[str] = ()) -> None:
    """Look through finished files, and through those of an earlier report that would stay beside them.

    `going` names files of an earlier report that are taken away when this one is there.

    Raises
    ------
    ReportError
        If one holds an original: which file, never which id.
    """
    originals = mask.searched()
    finished = {str(file.relative_to(aside)) for file in aside.rglob("*")} | {*going}
    for file in sorted(path for path in aside.rglob("*") if path.is_file()):
        if originals.within(file):
            raise ReportError(
                f"{folder}: nothing was written, since {file.name} would still hold an id or address that masking "
                f"takes out; that is a defect of iamframe, to be reported without the data"
            )
    there = (path for place in (folder, folder / "checks") if place.is_dir() for path in place.iterdir())
    for file in sorted(path for path in there if path.is_file() and str(path.relative_to(folder)) not in finished):
        if file.suffix in _REPORTED and originals.within(file):
            raise ReportError(
                f"{folder}: nothing was written, since {file.name}, which would stay there, holds an id or address "
                f"that masking takes out; move it away, or name another folder with --out"
            )


def mask_for(key: bool | str | os.PathLike[str], folder: Path) -> Mask:
    """Return a mask with a key of its own, or with that of a file, which is made, for its owner alone, if not there.

    Raises
    ------
    ReportError
        If it lies where the report goes, holds less than 32 bytes or more than 1,024, or cannot be read or made.
    """
    if isinstance(key, bool):
        return Mask(secrets.token_bytes(KEY_BYTES))
    file = Path(key)
    try:
        if file.resolve().is_relative_to(folder.resolve()):
            raise ReportError(f"{file}: a key in the report's folder would be handed on with it; keep it elsewhere")
        with suppress(FileExistsError):
            handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as made:
                made.write(secrets.token_hex(KEY_BYTES) + "\n")
        content = read_file(file, pipe=True).strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ReportError(
            f"{display_path(file)[:200]}: the key cannot be read or made ({why}); name another file"
        ) from error
    if not KEY_BYTES <= len(content) <= MAX_KEY_BYTES:
        # What is longer is a document that was named by mistake, and that others may have.
        raise ReportError(
            f"{file}: holds {len(content):,} bytes, and a key has {KEY_BYTES} to {MAX_KEY_BYTES:,}; name a file that "
            "is not there yet, and it is made"
        )
    return Mask(content)
