"""From a source to an Inventory, in one call, and from there to a snapshot."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

import msgspec

from iamframe.errors import IamframeError, SourceError, StoreError
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.merge import build_inventory
from iamframe.inventory.snapshot import UNFINISHED, is_snapshot, move_back, read_snapshot, refuse_others
from iamframe.sources.archives import shown, whole_file
from iamframe.sources.files import read_files
from iamframe.sources.runs import NotARun

SAMPLE = "sample"
# What the command line calls otherwise.
_OPTIONS = {"role_name": "assume-role (role_name)", "external_id": "external-id (external_id)"}


def is_live(source: str | os.PathLike[str]) -> bool:
    """Return whether a source is a live account: `aws`, or `aws:PROFILE`."""
    return str(source) == "aws" or str(source).startswith("aws:")


def load(*sources: str | os.PathLike[str], **live: Any) -> Inventory:
    """Load sources as the command line names them: `sample`, `aws`, `aws:PROFILE`, a snapshot, or files.

    Keyword arguments are for a live source: those of `load_account`, or, with `accounts` or `role_name`, those of
    `load_fleet`.

    Raises
    ------
    SourceError
        If the sample, an account or a snapshot is named beside others, no source is given, or a source is refused as by
        `load_files`, `load_account` or `load_fleet`.
    StoreError
        If a snapshot is damaged.
    """
    for source in sources:
        if is_live(source):
            if len(sources) > 1:
                raise SourceError(f"{source}: is read live; name it alone, and several accounts with --accounts")
            return _load_live(str(source), live)
    if live:
        given = ", ".join(_OPTIONS.get(name, name) for name in sorted(live))
        raise SourceError(f"{given}: is for a live account; name aws or aws:PROFILE as the source")
    # An empty name would be the folder that one is in; that a source is empty is said below.
    snapshot = next((source for source in sources if source not in (SAMPLE, "") and is_snapshot(source)), None)
    if snapshot is not None:
        if len(sources) > 1:
            raise SourceError(f"{shown(snapshot)}: is a snapshot, which is not merged with others; name it alone")
        return open_snapshot(snapshot)
    if SAMPLE not in sources:
        return load_files(*sources)
    if len(sources) > 1:
        raise SourceError("sample: is fiction; name it alone, or a folder of your own of that name as ./sample")
    return load_sample()


def _load_live(source: str, live: dict[str, Any]) -> Inventory:
    # Not needed by whoever reads files, and as long to load as they take to read.
    from iamframe.inventory.live import load_account, load_fleet
    from iamframe.sources.fleet import role_account
    from iamframe.sources.sessions import open_session

    profile = source.partition(":")[2] or None
    if ":" in source and not (profile or "").strip():
        raise SourceError(
            f"{source.strip()} names no profile; write aws:PROFILE, or aws for the environment's credentials"
        )
    role, accounts = live.get("role_name"), live.get("accounts")
    if role is None and accounts is None:
        if "external_id" in live:
            raise SourceError(
                f"{source}: an external id goes with a role; name that with --assume-role (role_name), or accounts "
                "with --accounts"
            )
        return load_account(open_session(profile), source=source, **live)
    if accounts is None:
        if (account := role_account(str(role))) is None:
            raise SourceError(f"{role}: is a role of which account? name its ARN, or the accounts with --accounts")
        live = live | {"accounts": [account]}
    return load_fleet(profile=profile, **live)


def load_files(*paths: str | os.PathLike[str]) -> Inventory:
    """Load what files hold: what the AWS CLI prints, AWS Config items, CloudTrail records, Terraform, Steampipe rows.

    A path is a file, a folder (read with all beneath it), a `.gz` or a `.zip`. Files are told apart by their shape,
    not by their name, but for tag listings, which must be `instance-profile-tags/NAME.json` or `role-tags/NAME.json`,
    and `denied.csv` (`operation,subject,error_code`), which says what was refused to whoever made the files. No
    request is made to AWS.

    Returns
    -------
    Inventory
        Its frames hold what the files prove; what they do not prove, or what could not be read, is in `gaps`.

    Raises
    ------
    SourceError
        If no path is given, a path does not exist, or nothing in all of them could be read.
    """
    if not paths:
        raise SourceError("no file given; name a file or folder that holds what the AWS CLI printed")
    # A folder of one's own that is named like the sample is not the sample.
    names = [shown(path) for path in paths]
    sources = [f"./{name}" if name == SAMPLE else name for name in names]
    try:
        return build_inventory(read_files(paths), sources)
    except NotARun:
        return build_inventory(read_files(paths, in_runs=False), sources)


def load_sample() -> Inventory:
    """Load the fictional sample that comes with iamframe; nothing to set up, no request to AWS."""
    return build_inventory(read_files([sample_folder()]), [SAMPLE])


def open_snapshot(folder: str | os.PathLike[str]) -> Inventory:
    """Return the inventory that was saved in a folder (`Inventory.save`), as it was.

    A snapshot of an older iamframe opens too: a column that it does not have is missing in each row.

    Raises
    ------
    StoreError
        If there is no snapshot, a newer iamframe wrote it, or a file of it is missing or damaged.
    """
    frames, sources = read_snapshot(folder)
    return Inventory(**frames, sources=sources)


def take_snapshot(out: str | os.PathLike[str], *sources: str | os.PathLike[str], **live: Any) -> Inventory:
    """Load sources as `load` does, save them as a snapshot, and return them.

    What a live account answers is kept in the folder as it comes. A load that was killed, or whose credentials expired,
    leaves it there; the same call goes on from it, and asks for nothing twice.

    Raises
    ------
    StoreError
        If the folder holds anything else, cannot be written, or what was kept is of another call.
    SourceError
        As `load`.
    """
    folder = Path(out)
    if not any(map(is_live, sources)):
        inventory = load(*sources, **live)
        inventory.save(folder)
        return inventory
    unfinished = folder / UNFINISHED
    try:
        move_back(folder)
        # A folder that cannot hold the snapshot is refused before AWS is asked for anything.
        refuse_others(folder)
        begun = unfinished.exists()
        made = [one for one in (folder, *folder.parents) if not one.exists()]
    except (OSError, ValueError) as error:
        # A name may be longer than any file system takes.
        why = getattr(error, "strerror", None) or error
        raise StoreError(f"{shown(folder)[:200]}: cannot be looked at ({why}); name another folder") from error
    many = live.get("accounts") is not None or live.get("role_name") is not None
    keep = {"journals": unfinished} if many else {"journal": unfinished / "account.jsonl"}
    try:
        _same_call(unfinished, [str(source) for source in sources], live)
        inventory = load(*sources, **live, **keep)
    except IamframeError:
        # Whoever mends the command must not be told that the folder holds another one's answers.
        if not begun and not any(kept.stat().st_size for kept in unfinished.glob("*.jsonl")):
            shutil.rmtree(unfinished, ignore_errors=True)
            for one in made:
                with contextlib.suppress(OSError):
                    one.rmdir()
        raise
    inventory.save(folder)
    return inventory


def _same_call(unfinished: Path, sources: list[str], live: dict[str, Any]) -> None:
    """Note what is asked for, or hold it against what was, so that answers to other questions are not mixed."""
    # An external id is written nowhere, be it one for all accounts or each one's own.
    asked = {name: value for name, value in live.items() if name not in ("external_id", "progress", "workers", "rate")}
    if not isinstance(asked.get("accounts"), (str, os.PathLike, type(None))):
        from iamframe.sources.fleet import members_of

        asked["accounts"] = [member.account_id for member in members_of(asked["accounts"])]
    said = msgspec.json.encode({"sources": sources, "options": asked}, enc_hook=str, order="sorted")
    file = unfinished / "asked.json"
    try:
        before = _whole(whole_file(file)) if file.exists() else None
        if before is None:
            unfinished.mkdir(parents=True, exist_ok=True)
            _write_whole(file, said)
    except OSError as error:
        raise StoreError(f"{unfinished}: cannot be written ({error.strerror}); name another folder") from error
    if before is not None and before != said:
        raise StoreError(
            f"{shown(unfinished.parent)}: holds an unfinished snapshot of other sources or options; finish it with the "
            f"same command, delete {shown(unfinished)}, or name another folder"
        )


def _whole(said: bytes) -> bytes | None:
    """Return what was noted, or None where the note was cut short: answers tell by themselves what they are of."""
    try:
        msgspec.json.decode(said)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return said


def _write_whole(file: Path, text: bytes) -> None:
    """Write a file that is there whole or not at all."""
    aside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with aside.open("wb") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        aside.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise


_PACKAGE = Path(__file__).resolve().parent.parent


def sample_folder() -> Path:
    """Return the folder that holds the sample, as the AWS CLI would have printed it.

    Raises
    ------
    SourceError
        If it is not there, as in an installation that was put together by hand.
    """
    for folder in (_PACKAGE / "_sample", _PACKAGE.parent / "data" / "sample"):
        if folder.is_dir():
            return folder
    raise SourceError(f"{_PACKAGE / '_sample'}: the sample is missing; install iamframe again")
