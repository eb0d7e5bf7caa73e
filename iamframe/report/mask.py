"""Mask a result: replace ids with pseudonyms in all columns and sentences.

If any file of the finished masked report contains an original id or e-mail address, iamframe writes none of the files,
and keeps an older report in the folder.
"""

from __future__ import annotations

import html
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from zipfile import ZipFile, is_zipfile

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks.catalog import CHECKS
from iamframe.checks.findings import Found, with_column
from iamframe.checks.registry import Check
from iamframe.checks.result import Result
from iamframe.checks.runner import steps_of
from iamframe.errors import IamframeError, ReportError
from iamframe.inventory.arrow import as_arrow, index_in, lookup
from iamframe.inventory.build import joined
from iamframe.inventory.gaps import with_details
from iamframe.inventory.places import local_path
from iamframe.messages.render import Text, changed_facts, render
from iamframe.messages.text import DIFFERENCES
from iamframe.report.pseudonyms import Mask
from iamframe.sources.archives import display_path, read_file

if TYPE_CHECKING:
    from iamframe.analysis.compare import Changes
    from iamframe.analysis.drift import Drift

KEY_BYTES = 32
MAX_KEY_BYTES = 1_024
# Kinds of columns by content: only an id, in any form; a policy, old or new; free text; facts of messages or tags as
# JSON. All other columns contain names.
COLUMN_KINDS = {"account_id": "acct", "finding_id": "finding", "account_name": "name"}
COLUMN_KINDS |= dict.fromkeys(("source", "state_file"), "source")
COLUMN_KINDS |= dict.fromkeys(("role_id", "profile_id", "referenced_id", "current_id", "principal_id"), "id")
COLUMN_KINDS |= dict.fromkeys(("trust_policy", "before", "after"), "policy")
_WRITTEN = "tag_value profile_value role_value profile_tags role_tags description accepted detail next_step"
COLUMN_KINDS |= dict.fromkeys((*_WRITTEN.split(), "state_value", "account_value"), "written")
COLUMN_KINDS |= dict.fromkeys(("facts", "references_facts", "_limit", "_may"), "facts")
COLUMN_KINDS |= dict.fromkeys(("_tags", "changed_facts", "allowed_values"), "written facts")
# Words of iamframe and AWS are kept, even if an external id is the same word.
_OWN = """
    partition region last_used_region references_regions references_not_read regions not_read trusts_ec2
    trusted_services resource_type consumer_type consumer_state consumer_version operation tag_source message
    references_message references_status state status event_name error_code relation maker maker_basis check severity
    certainty change kind problem counted owner_type owner_region basis power tool rule prefix
    listing demanded_by required_of _age _step _kind _region _regions _role _profile _put _used _text _trust _partition
    _differ
"""
COLUMN_KINDS |= dict.fromkeys(_OWN.split(), "own")
# In `gaps`, the reason is a word. In other frames, it is a sentence, which is rendered again.
COLUMN_KINDS |= dict.fromkeys(("reason", "references_reason"), "reason")
# The kinds of text in JSON.
_IN_JSON = {"facts": "", "written facts": "written"}
# Columns of sentences. They are rendered again from the message and the masked facts.
RENDERED = {"references_reason": ("references_message", "references_facts"), "reason": ("message", "facts")}
# A shell command with pseudonyms would write the pseudonyms into the account.
NOT_TO_RUN = "# masked, not to be run: "
_REPORTED = frozenset({".csv", ".html", ".json", ".xlsx"})
# The size of the pieces in which a file is searched, and of the overlap of two pieces.
_PIECE, _AGAIN = 1 << 22, 1 << 14

# A place of a template, with the name of a column.
_COLUMNS = re.compile(r"(\{[^{}]*\})")

# The source in the facts of an account that could not be read.
_PROFILE = re.compile(r'"source":"(aws:[^"\\]+)"')

# The masked texts by kind of column.
_MaskedTexts = Mapping[str, Mapping[str, str]]


def masked(
    result: Result, changes: Changes | None, mask: Mask, *said: str | None, drift: Drift | None = None
) -> tuple[Result, Changes | None, Drift | None, list[str | None]]:
    old = changes.old if changes else None
    tables = {name: getattr(changes, name) for name in ("changes", "findings", "not_compared")} if changes else {}
    if changes:
        # The facts of changes contain values of tags, descriptions or principals.
        tables["changes"] = tables["changes"].rename(columns={"facts": "changed_facts"})
    differences = [_with_left_out_accounts(drift)] if drift else []
    results = [result, *([old] if old else [])]
    frames = [frame for one in results for frame in _frames(one)]
    loose = [text for one in results for text in _loose(one)] + [text for text in said if text]
    sources = [source for one in results for source in one.inventory.sources] + [*(drift.states if drift else ())]
    by_kind = _masked_by_kind([*frames, *tables.values(), *differences], loose, sources, mask)
    whole = _masked_result(result, by_kind)
    if changes is not None and old is not None:
        # Only the changes contain data of the older load.
        checks, found = _checks(old, by_kind), _found(old, by_kind)
        older = replace(old, checks=checks, found=found, inventory=_with_sources(old, by_kind))
        tables = {name: _masked(frame, by_kind) for name, frame in tables.items()}
        tables["changes"] = with_details(tables["changes"].rename(columns={"changed_facts": "facts"}))
        tables["findings"] = _with_masked_sentences(tables["findings"], whole, older)
        by_account = {
            name: frame.sort_values("account_id", kind="stable", ignore_index=True) for name, frame in tables.items()
        }
        changes = replace(changes, old=older, new=whole, **by_account)
    return whole, changes, drift and _masked_drift(drift, by_kind), [text and by_kind[""][text] for text in said]


def _with_left_out_accounts(drift: Drift) -> pd.DataFrame:
    left_out = pd.DataFrame({"account_id": pd.Series(drift.left_out, dtype="str")})
    return pd.concat([drift.differences.rename(columns={"facts": "changed_facts"}), left_out], ignore_index=True)


def _masked_drift(drift: Drift, by_kind: _MaskedTexts) -> Drift:
    shown = _masked(drift.differences.rename(columns={"facts": "changed_facts"}), by_kind)
    shown = with_details(shown.rename(columns={"changed_facts": "facts"}))
    rank = shown["kind"].map({kind: n for n, kind in enumerate(DIFFERENCES)})
    order = shown.assign(rank=rank).sort_values(["rank", "account_id"], kind="stable", ignore_index=True)
    return replace(
        drift,
        differences=order.drop(columns="rank"),
        states=tuple(by_kind["source"][one] for one in drift.states),
        left_out=tuple(sorted(by_kind["acct"][one] for one in drift.left_out)),
    )


def _views(result: Result) -> dict[str, pd.DataFrame]:
    every = {field.name: getattr(result, field.name) for field in fields(result)}
    return {name: value for name, value in every.items() if isinstance(value, pd.DataFrame)}


def _frames(result: Result) -> Iterator[pd.DataFrame]:
    yield from result.inventory.frames.values()
    yield from _views(result).values()
    for one in result.found.values():
        yield from (one.findings, one.facts)


def _loose(result: Result) -> list[str]:
    policy = result.policy
    texts = [*filter(None, [policy.path]), *(one.reason for one in policy.acceptances)]

    def noted(text: str) -> str:
        texts.append(text)
        return text

    for one in result.checks.values():
        _masked_check(one, noted)
    return texts


def _with_sources(result: Result, by_kind: _MaskedTexts) -> Any:
    return replace(result.inventory, sources=tuple(by_kind["source"][source] for source in result.inventory.sources))


def _masked_result(result: Result, by_kind: _MaskedTexts) -> Result:
    views: dict[str, Any] = {name: _masked(frame, by_kind) for name, frame in _views(result).items()}
    # The order of the originals would reveal something about them. Findings are sorted again for the same reason.
    views["coverage"] = views["coverage"].sort_values("account_id", kind="stable", ignore_index=True)
    inventory = _with_sources(result, by_kind)
    frames: dict[str, Any] = {name: _masked(frame, by_kind) for name, frame in inventory.frames.items()}
    text, policy = by_kind[""], result.policy
    return replace(
        result,
        inventory=joined([replace(inventory, **frames)], list(inventory.sources)),
        policy=replace(
            policy,
            path=policy.path and text[policy.path],
            acceptances=tuple(msgspec.structs.replace(one, reason=text[one.reason]) for one in policy.acceptances),
        ),
        checks=_checks(result, by_kind),
        found=_found(result, by_kind),
        **views,
    )


def _checks(result: Result, by_kind: _MaskedTexts) -> dict[str, Check]:
    return {name: _masked_check(one, by_kind[""].__getitem__) for name, one in result.checks.items()}


def _masked_check(one: Check, hide: Callable[[str], str]) -> Check:
    # The texts of your own checks may contain ids, too.
    if one.name in CHECKS:
        return one

    def filled(template: Text) -> Text:
        if not isinstance(template, str):
            return {key: text if key == "by" else str(filled(text)) for key, text in template.items()}
        # The names of columns in braces are kept.
        return "".join(text if n % 2 else hide(text) for n, text in enumerate(_COLUMNS.split(template)))

    rule = partial(one.rule)
    rule.__doc__ = hide(one.rule.__doc__ or "")
    detail, next_step = filled(one.detail), filled(one.next_step)
    return replace(one, rule=rule, remediation=hide(one.remediation), detail=detail, next_step=next_step)


def _found(result: Result, by_kind: _MaskedTexts) -> dict[str, Found]:
    return {name: _masked_found(one, result.found[name], by_kind) for name, one in _checks(result, by_kind).items()}


def _masked_found(check: Check, one: Found, by_kind: _MaskedTexts) -> Found:
    findings = one.findings
    shown = Found.of(_masked(findings, by_kind), _masked(one.facts, by_kind))
    was, now = findings["next_step"], pd.Series(pd.array(steps_of(check, shown), dtype="str"))
    steps = now.where(now.isna() | (now == was), _comments(now))
    return _by_account(Found(with_column(shown.table, "next_step", pa.array(steps, pa.string())), shown.facts))


def _by_account(one: Found) -> Found:
    order = pc.sort_indices(one.table["account_id"])
    numbers = np.argsort(order)[one.numbers]
    facts = one.facts.assign(finding=numbers).sort_values("finding", kind="stable", ignore_index=True)
    return Found(one.table.take(order), facts)


def _comments(commands: pd.Series) -> pd.Series:
    return NOT_TO_RUN + commands.str.replace(r"\r\n?|\n", lambda end: f"{end[0]}# ", regex=True)


def _with_masked_sentences(findings: pd.DataFrame, new: Result, old: Result) -> pd.DataFrame:
    where = [index_in(findings["finding_id"], one.findings["finding_id"]) for one in (new, old)]
    texts = {
        name: pc.coalesce(*(lookup(one.findings[name], at) for one, at in zip((new, old), where, strict=True)))
        for name in ("detail", "next_step")
    }
    return findings.assign(**{name: pd.Series(t.to_pandas(), findings.index, dtype="str") for name, t in texts.items()})


def _masked_by_kind(
    frames: Iterable[pd.DataFrame], loose: Iterable[str], sources: Iterable[str], mask: Mask
) -> _MaskedTexts:
    distinct: dict[str, dict[str, None]] = {kind: {} for kind in {"", *COLUMN_KINDS.values()}}
    distinct[""] |= dict.fromkeys(loose)
    distinct["source"] |= dict.fromkeys(sources)
    for frame in frames:
        for name in frame.columns:
            if frame[name].dtype == "str":
                kind = COLUMN_KINDS.get(name, "")
                distinct[kind] |= dict.fromkeys(pc.unique(as_arrow(frame[name]).drop_null()).to_pylist())
    for kind, of in _IN_JSON.items():
        for facts in distinct[kind]:
            changed_facts(facts, lambda text, texts=distinct[of]: texts.setdefault(text) or text)  # type: ignore[misc]
    mask.learn(distinct["acct"], distinct["policy"], distinct["own"])
    # A list of accounts can give each account a profile of its own.
    mask.learn_sources([*sources, *_PROFILE.findall("\n".join(distinct["facts"]))])
    become = {
        "acct": {one: mask.account(one) for one in distinct["acct"]},
        "id": {one: mask.unique(one) for one in distinct["id"]},
        "finding": {one: mask.named("finding", one) for one in distinct["finding"]},
        "name": {one: mask.named("name", one) for one in distinct["name"]},
    }
    # One text may show that a word is an id. Then the id must be found in all other texts, too.
    how = {"policy": mask.policy, "written": mask.written, "own": mask.by_form, "reason": mask.by_form, "": mask.text}
    how["source"] = mask.source
    first = {kind: {one: hide(one) for one in distinct[kind]} for kind, hide in how.items()}
    become |= {kind: {one: mask.known(text) for one, text in texts.items()} for kind, texts in first.items()}
    for kind, of in _IN_JSON.items():
        become[kind] = {one: changed_facts(one, become[of].__getitem__) for one in distinct[kind]}
    return become


def _masked(frame: pd.DataFrame, by_kind: _MaskedTexts) -> pd.DataFrame:
    columns = {}
    for name in frame.columns:
        if frame[name].dtype == "str":
            encoded = as_arrow(frame[name]).dictionary_encode()
            become = by_kind[COLUMN_KINDS.get(name, "")]
            values = pa.array([become[one] for one in encoded.dictionary.to_pylist()], pa.large_string())
            columns[name] = pd.Series(values.take(encoded.indices).to_pandas(), dtype="str").set_axis(frame.index)
    if columns.keys() >= {"resource_type", "resource_name"}:
        # The name of an account is in this column, too.
        names = frame["resource_name"].map(by_kind["name"]).astype("str")
        columns["resource_name"] = columns["resource_name"].mask(frame["resource_type"] == "account", names)
    if columns.keys() >= {"message", "facts", "detail"}:
        # The reason of a gap is a word; its detail is the sentence.
        return with_details(frame.assign(**columns))
    for name, of in RENDERED.items():
        if columns.keys() >= {name, *of}:
            message, facts = (pa.array(columns[part], pa.string()) for part in of)
            columns[name] = pd.Series(render(message, facts).to_pylist(), frame.index, dtype="str")
    return frame.assign(**columns)


def search(aside: Path, folder: Path, mask: Mask, removed: Iterable[str] = ()) -> None:
    """Raise ReportError if a file contains a text that should be masked.

    HTML, CSV and other text files that were already in `folder` are searched, too.
    """
    finished = {str(file.relative_to(aside)) for file in aside.rglob("*")} | {*removed}
    for file in sorted(path for path in aside.rglob("*") if path.is_file()):
        if holds(file, mask):
            raise ReportError(
                f"{folder}: nothing was written, since {file.name} would still hold an id or address that masking "
                f"takes out; that is a defect of iamframe, to be reported without the data"
            )
    there = (path for place in (folder, folder / "checks") if place.is_dir() for path in place.iterdir())
    for file in sorted(path for path in there if path.is_file() and str(path.relative_to(folder)) not in finished):
        if file.suffix in _REPORTED and holds(file, mask):
            raise ReportError(
                f"{folder}: nothing was written, since {file.name}, which would stay there, holds an id or address "
                f"that masking takes out; move it away, or choose another folder with --out"
            )


def holds(file: Path, mask: Mask) -> bool:
    if mask.holds(file.name):
        return True
    if is_zipfile(file):
        with ZipFile(file) as archive:
            members = (archive.open(name) for name in archive.namelist())
            return any(mask.holds(text) for member in members for text in _pieces(member, is_markup=True))
    with file.open("rb") as stream:
        return any(mask.holds(text) for text in _pieces(stream, is_markup=file.suffix == ".html"))


def _pieces(stream: IO[bytes], *, is_markup: bool) -> Iterator[str]:
    kept = b""
    while piece := stream.read(_PIECE):
        text = (kept + piece).decode(errors="replace").lstrip("\ufeff")
        yield html.unescape(text) if is_markup else text.replace('""', '"')
        # The pieces overlap, so that no id is cut in two.
        kept = (kept + piece)[-_AGAIN:]


def mask_for(key: bool | str | os.PathLike[str], folder: Path) -> Mask:
    """Raise ReportError if the key file is invalid or is in the report's folder."""
    if isinstance(key, bool):
        return Mask(secrets.token_bytes(KEY_BYTES))
    file = local_path("mask", key)
    try:
        if file.resolve().is_relative_to(folder.resolve()):
            raise ReportError(f"{file}: the key must not be in the report's folder; choose another folder")
        with suppress(FileExistsError):
            # Only the current user may read the key.
            handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as made:
                made.write(secrets.token_hex(KEY_BYTES) + "\n")
        content = read_file(file, pipe=True).strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ReportError(
            f"{display_path(file)[:200]}: the key cannot be read or created ({why}); choose another file"
        ) from error
    if not KEY_BYTES <= len(content) <= MAX_KEY_BYTES:
        # A longer file is probably a document that was given by mistake, and that other people may have.
        raise ReportError(
            f"{file}: holds {len(content):,} bytes, and a key has {KEY_BYTES} to {MAX_KEY_BYTES:,}; name a file that "
            "is not there yet, and it is made"
        )
    return Mask(content)


@contextmanager
def masked_errors(*typed: object) -> Iterator[None]:
    """Mask the ids in error messages, but keep what the user typed."""
    try:
        yield
    except IamframeError as error:
        by_form = mask_for(True, Path()).by_form
        kept = sorted({text for text in map(str, filter(None, typed)) if by_form(text) != text}, key=len, reverse=True)
        parts = re.split(f"({'|'.join(map(re.escape, kept))})", str(error)) if kept else [str(error)]
        error.args = ("".join(part if part in kept else by_form(part) for part in parts),)
        raise
