"""The results of reading files: accounts, records, and rows of the frame `gaps`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from iamframe.knowledge.arn import account_of
from iamframe.knowledge.operations import DUMP, GLOBAL, PROFILE_LIST, ROLE_LINKS, UNKNOWN_REGION, cli_name, region_in
from iamframe.knowledge.owners import known_owners
from iamframe.sources.archives import Piece, Unreadable
from iamframe.sources.consumers import CONSUMERS
from iamframe.sources.documents import BROKEN, problem_of
from iamframe.sources.records import Answer, Gap

Records = list[msgspec.Struct]
_Kept = TypeVar("_Kept")

_TWELVE_DIGITS = re.compile(r"\d{12}", re.ASCII)
# The names of folders that hold one part of an account: a region, a service, tags.
_PART_OF_ACCOUNT = re.compile(
    r"global|.*tags.*|[a-z]{2,4}(?:-[a-z]+)+-[0-9]|iam|sts|"
    + "|".join(sorted({one.service for one in CONSUMERS} | {one.service for one in known_owners()}))
)
_IAM = (DUMP, "ListRoles", PROFILE_LIST, ROLE_LINKS, "GetAccountSummary")
# The longest names come first, because one name may begin another.
_FILE_NAMES = [
    (re.compile(rf"(?<![a-z]){cli_name(operation)}(?![a-z])"), operation)
    for operation in sorted({*_IAM, *(one.operation for one in CONSUMERS)}, key=len, reverse=True)
]


class AccountsByFolder(dict[tuple[str, ...], set[str]]):
    def add(self, piece: Piece, account: str) -> None:
        # Folders above the source do not count: their other files may belong to other accounts.
        for depth in range(piece.root, len(piece.folders) + 1):
            self.setdefault(piece.folders[:depth], set()).add(account)


@dataclass(slots=True)
class Reading:
    # Whether long lists are decoded in groups of items.
    in_runs: bool = False
    gaps: list[tuple[Piece, Gap]] = field(default_factory=list)
    # By folder, the accounts in the outputs of `aws sts get-caller-identity`.
    callers: dict[tuple[str, ...], set[str]] = field(default_factory=lambda: defaultdict(set))
    # By folder, the accounts of IAM's own answers.
    answered: dict[tuple[str, ...], set[str]] = field(default_factory=lambda: defaultdict(set))
    # The accounts of the resources in the files.
    carried: AccountsByFolder = field(default_factory=AccountsByFolder)
    # The accounts of the profiles that the resources use.
    named: AccountsByFolder = field(default_factory=AccountsByFolder)
    has_read: bool = False
    # The files with a list of tags that was cut short. The next document in such a file is the rest of the list.
    cut_short: set[tuple[str, ...]] = field(default_factory=set)
    _kept: dict[type, list[Any]] = field(default_factory=lambda: defaultdict(list))

    def keep(self, record: object) -> None:
        self._kept[type(record)].append(record)

    def kept(self, kind: type[_Kept]) -> list[_Kept]:
        return self._kept[kind]

    def gap(self, piece: Piece, gap: Gap) -> None:
        self.gaps.append((piece, gap))

    def unreadable(self, piece: Piece, problem: dict[str, Any], path: str = "$") -> None:
        subject = piece.label if path == "$" else f"{piece.label} {path}"
        operation = _operation_in_name(piece) or "file"
        region = GLOBAL if operation in _IAM else region_of(piece) or UNKNOWN_REGION
        facts = {"file": piece.label, "what": problem}
        self.gap(piece, Gap(operation, subject, "unreadable", "gaps.unreadable", facts, region))

    @contextmanager
    def gap_if_unreadable(self, piece: Piece, path: str = "$") -> Iterator[None]:
        try:
            yield
        except Unreadable as error:
            self.unreadable(piece, error.problem, path)
        except BROKEN as error:
            self.unreadable(piece, problem_of(error, path), path)

    def gaps_with_owner(self) -> Records:
        for piece, gap in self.gaps:
            if gap.operation != "file":
                gap.account_id = gap.account_id or self.owner(piece.folders)
        return [gap for _, gap in self.gaps]

    def cannot_place(self, piece: Piece, answer: Answer) -> None:
        message = "gaps.answer.whose_tags" if answer.operation.endswith("Tags") else "gaps.answer.whose"
        self.gap(piece, Gap(answer.operation, answer.origin, "unreadable", message, {"file": answer.origin}))

    def owner(self, folders: tuple[str, ...], named: Iterable[str] = (), creators: Collection[str] = ()) -> str | None:
        """Find the account of a file that does not show its account. All files must already be read."""
        # A resource may use a profile of another account, so `named` counts only if nothing else shows an account.
        for shown in (self.carried, self.named):
            nearest: set[str] = set()
            for depth in range(len(folders), 0, -1):
                folder = folders[:depth]
                # `prod/` beside `dev/` is another account; `us-east-1/` beside `iam/` is the same one.
                is_one = all(map(_PART_OF_ACCOUNT.fullmatch, folders[depth:]))
                callers = self.callers.get(folder, set()) if is_one else set()
                if len(callers) == 1 and nearest | self.answered.get(folder, set()) <= callers:
                    return next(iter(callers))
                if _TWELVE_DIGITS.fullmatch(folder[-1]):
                    return folder[-1]
                nearest = nearest or ((shown.get(folder, set()) | callers) if is_one else set())
            # An account id in a folder's name takes precedence, because some files hide the creator's account.
            if creators:
                return next(iter(creators)) if len(creators) == 1 else None
            if nearest:
                alone = len(nearest) == 1 and (not named or nearest <= set(named))
                return next(iter(nearest)) if alone else None
        return None

    def with_owner(self, piece: Piece, answer: Answer) -> Answer:
        answer.account_id = answer.account_id or self.owner(piece.folders)
        records = sum(map(len, answer.chunks))
        self.has_read |= bool(records) or (answer.state == "complete" and answer.account_id is not None)
        if answer.account_id is None and not any(accounts_in([r]) - {None} for chunk in answer for r in chunk):
            self.cannot_place(piece, answer)
        return answer


def region_of(piece: Piece) -> str | None:
    return next(filter(None, map(region_in, (piece.name, *reversed(piece.folders)))), None)


def in_cli_form(name: str) -> str:
    return cli_name(name).replace("_", "-")


def _operation_in_name(piece: Piece) -> str | None:
    name = in_cli_form(piece.name)
    return next((operation for pattern, operation in _FILE_NAMES if pattern.search(name)), None)


def accounts_in(records: Records) -> set[str | None]:
    fields = type(records[0]).__struct_fields__
    name = next((name for name in ("role_arn", "profile_arn", "managed_arn") if name in fields), None)
    if name is None:
        return {None}
    arns = list(map(attrgetter(name), records))
    prefix = arns[0].split("/", 1)[0] + "/"
    # If the first and the last of sorted texts begin alike, all do; most files are of one account.
    if min(arns).startswith(prefix) and max(arns).startswith(prefix):
        return {account_of(prefix)}
    # The text before the first `/` of an ARN repeats, and paths hold no account.
    return set(map(account_of, {arn.split("/", 1)[0] for arn in arns}))
