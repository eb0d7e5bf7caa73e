"""Load an `Inventory` from any source: the sample, live accounts, files or snapshots."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import NoneType
from typing import Any

from iamframe.errors import ExpiredError, SourceError, require, require_paths
from iamframe.inventory.arrow import memory_of_system
from iamframe.inventory.build import build_inventory, joined
from iamframe.inventory.inventory import SAMPLES, Inventory
from iamframe.inventory.on_demand import resolved_references
from iamframe.inventory.parts import account_sizes
from iamframe.inventory.places import is_address, place_of
from iamframe.inventory.snapshot import find_snapshot, is_snapshot, read_snapshot, refuse_to_replace
from iamframe.inventory.unfinished import unfinished_load
from iamframe.knowledge.arn import account_of
from iamframe.sources.archives import display_path
from iamframe.sources.documents import NotARun
from iamframe.sources.files import read_files

_PACKAGE = Path(__file__).resolve().parent.parent
# Options whose names on the command line differ.
_OPTIONS = {"role_name": "assume-role (role_name)", "external_id": "external-id (external_id)"}


def is_live(source: str | os.PathLike[str]) -> bool:
    return str(source) == "aws" or str(source).startswith("aws:")


def load(*sources: str | os.PathLike[str], **live: Any) -> Inventory:
    """Load one or several sources: `sample`, `aws`, `aws:CLI_PROFILE`, snapshots, or files.

    The source `sample:earlier` is the sample as it was four weeks earlier. Snapshots of different accounts become one
    inventory.

    Only a live source takes keyword arguments: all arguments of `load_account`, except `session` and `source`. If
    `accounts` or `role_name` is given, the arguments of `load_fleet` except `profile` are allowed instead.

    Raises
    ------
    SourceError
        If there is no source, if `load_files`, `load_account` or `load_fleet` refuses a source, if the sample or a live
        account is combined with another source, if a snapshot is combined with files, if a source folder has a
        subfolder that contains a snapshot, or if two snapshots are of the same account.
    StoreError
        If a snapshot is damaged.
    """
    require_paths("load", *sources)
    alone = len(sources) == 1
    for source in filter(is_live, sources):
        if not alone:
            raise SourceError(
                f"{source}: is a live account, which cannot be combined with other sources; "
                "for several accounts use --accounts"
            )
        return _load_live(str(source), live)
    if live:
        given = ", ".join(_OPTIONS.get(name, name) for name in sorted(live))
        raise SourceError(f"{given}: can be used only with a live account as the source (aws or aws:CLI_PROFILE)")
    # An empty name, which `load_files` refuses, would be the working directory.
    snapshots = [source for source in sources if source not in (*SAMPLES, "") and is_snapshot(source)]
    if snapshots and "" not in sources:
        for other in sources:
            if other not in snapshots:
                raise SourceError(
                    f"{display_path(other)}: is not a snapshot, and cannot be combined with the snapshot "
                    f"{display_path(snapshots[0])}; give only snapshots, or none"
                )
        return open_snapshot(snapshots[0]) if alone else _open_snapshots(snapshots)
    if (fiction := next((name for name in SAMPLES if name in sources), None)) is None:
        _refuse_above_snapshots(filter(None, sources))
        return load_files(*sources)
    if not alone:
        raise SourceError(
            f"{fiction!r} is iamframe's fictional organization, and cannot be combined with other sources; "
            f"write ./{fiction} for a folder of that name"
        )
    return load_sample(earlier=fiction != SAMPLES[0])


def _refuse_above_snapshots(sources: Iterable[str | os.PathLike[str]]) -> None:
    for folder in map(Path, sources):
        # `load_files` says what is wrong with a folder that cannot be listed.
        with suppress(OSError, ValueError):
            if (folder / "checked.json").is_file():
                raise SourceError(f"{display_path(folder)}: holds the results of check_snapshot; give the snapshot")
        if inner := next(_snapshots_below(folder), None):
            name, beside = display_path(inner.relative_to(folder)), display_path(inner.parent)
            raise SourceError(
                f"{display_path(folder)}: holds snapshots, such as {name}; give the snapshots, such as {beside}/*"
            )


def _snapshots_below(folder: Path) -> Iterator[Path]:
    # `load_files` would leave them out, however deep they are.
    for parent, names, _ in os.walk(folder):
        names.sort()
        yield from (inner for name in names if is_snapshot(inner := Path(parent, name)))
        names[:] = (name for name in names if not name.startswith("."))


def _load_live(source: str, live: dict[str, Any]) -> Inventory:
    # Importing these modules takes as long as loading small files.
    from iamframe.inventory.fleet import load_fleet
    from iamframe.inventory.live import load_account
    from iamframe.sources.sessions import open_session

    profile = source.partition(":")[2] or None
    if ":" in source and not (profile or "").strip():
        raise SourceError(f"{source.strip()} has no profile; write aws:CLI_PROFILE, or aws for the default credentials")
    role, accounts = live.get("role_name"), live.get("accounts")
    if role is None and accounts is None:
        if "external_id" in live:
            raise SourceError(
                f"{source}: an external id needs a role; give it with --assume-role (role_name), or accounts with "
                "--accounts"
            )
        return load_account(open_session(profile), source=source, **live)
    if accounts is None:
        if (account := account_of(str(role))) is None:
            raise SourceError(
                f"{role}: the account of the role is unknown; give the role's ARN, or the accounts with --accounts"
            )
        live = live | {"accounts": [account]}
    return load_fleet(profile=profile, **live)


def load_files(*paths: str | os.PathLike[str]) -> Inventory:
    """Load files from the AWS CLI, AWS Config, CloudTrail, Terraform or Steampipe.

    A path is a file, an archive (`.gz` or `.zip`), or a folder. Subfolders are read, too, except hidden folders, links
    to folders, and folders with a report or a snapshot. (`iamframe.load` does not skip a subfolder with a snapshot, but
    raises SourceError.) iamframe recognises most files by their content. The file `denied.csv` is recognised by its
    name. Files with lists of tags must be named `instance-profile-tags/NAME.json` or `role-tags/NAME.json`. The name of
    a file with the output of `aws iam list-instance-profiles-for-role` must contain `for-role`, `for_role` or
    `ForRole`, or the name of its folder must end with one of these words. Otherwise, iamframe mistakes the output of
    `list-instance-profiles-for-role` for the list of all profiles. The optional file `denied.csv` lists the operations
    that AWS denied. Its columns are `operation`, `subject` (the resource that the denied request was about, if there is
    one) and `error_code`. Loading files makes no request to AWS.

    Returns
    -------
    Inventory
        The frames contain what the files show. The frame `gaps` contains what is missing or unreadable.

    Raises
    ------
    SourceError
        If no path is given, if a path does not exist, if a path is a report, or if no file could be read.
    """
    if not paths:
        raise SourceError("no file given; give a file or folder with output of the AWS CLI")
    require_paths("load_files", *paths)
    # A user's folder named `sample` is not the sample.
    names = [display_path(path) for path in paths]
    sources = [f"./{name}" if name in SAMPLES else name for name in names]
    try:
        return build_inventory(read_files(paths, in_runs=True), sources)
    except NotARun:
        return build_inventory(read_files(paths), sources)


def load_sample(*, earlier: bool = False) -> Inventory:
    """Load the fictional sample that comes with iamframe, without any request to AWS.

    Parameters
    ----------
    earlier
        Whether to load the sample of four weeks earlier (`sample:earlier`).
    """
    inventory = build_inventory(
        read_files([sample_folder("sample-earlier" if earlier else "sample")]), [SAMPLES[earlier]]
    )
    return replace(inventory, accounts=inventory.accounts.assign(source=SAMPLES[earlier]))


@memory_of_system()
def open_snapshot(folder: str | os.PathLike[str], accounts: Iterable[str] | None = None) -> Inventory:
    """Load the inventory of a snapshot: all accounts, or only some accounts.

    If an older iamframe saved the snapshot, columns that were added since contain only missing values, except in the
    frame `gaps`. In the frame `gaps`, newer columns have defaults: `message` is `""`, and `facts` is `"{}"`.

    Parameters
    ----------
    folder
        A folder on a disk or in an object store (`s3://BUCKET/FOLDER`).
    accounts
        The ids of the accounts to open. Only the files of these accounts are read. The default is all accounts.

    Raises
    ------
    StoreError
        If the folder has no snapshot, if the snapshot lacks one of the accounts, if a newer version wrote the snapshot,
        or if a file is missing or damaged.
    """
    require_paths("open_snapshot", folder)
    require("accounts=…", accounts, str, Iterable, NoneType, instead="account ids")
    frames, sources = read_snapshot(folder, [accounts] if isinstance(accounts, str) else accounts)
    inventory = Inventory(**frames, sources=sources)
    return replace(inventory, references=resolved_references(inventory.references, inventory))


def iter_snapshot(folder: str | os.PathLike[str]) -> Iterator[Inventory]:
    """Yield one inventory per account of a snapshot, sorted by account id.

    Raises
    ------
    StoreError
        If the snapshot cannot be opened (see `open_snapshot`).
    """
    require_paths("iter_snapshot", folder)
    for account in sorted(account_sizes(find_snapshot(folder)[1])):
        yield open_snapshot(folder, [account])


def _open_snapshots(folders: list[str | os.PathLike[str]]) -> Inventory:
    opened: list[Inventory] = []
    folder_of: dict[str, str] = {}
    for folder in folders:
        opened.append(open_snapshot(folder))
        name, accounts = display_path(folder), opened[-1].accounts["account_id"].tolist()
        for account in accounts:
            if other := folder_of.get(account):
                raise SourceError(
                    f"the account {account} is in {other} and in {name}; give only one of these "
                    "snapshots, or compare them with `iamframe diff OLD NEW`"
                )
        folder_of |= dict.fromkeys(accounts, name)
    return joined(opened, dict.fromkeys(source for one in opened for source in one.sources))


def take_snapshot(out: str | os.PathLike[str], *sources: str | os.PathLike[str], **live: Any) -> Inventory:
    """Load sources (see `load`), save a snapshot, and return the inventory.

    If a live load stops early, call `take_snapshot` again to resume. If `out` is a local folder, the resumed load uses
    the answers that the stopped load saved there. If `out` is in an object store, only a load of several accounts can
    resume: complete accounts are not read again. If `accounts` or `role_name` is given, `load_fleet` loads and saves
    the accounts.

    Raises
    ------
    StoreError
        If the folder contains files that are not part of a snapshot, if the folder cannot be written, if the folder
        keeps the answers of an interrupted call with other arguments, or if the folder is in an object store and
        already contains a snapshot.
    SourceError
        If a source cannot be loaded (see `load`).
    ExpiredError
        If the credentials expired before a live load was finished. In this case, no snapshot is saved.
    """
    require_paths("take_snapshot", out, *sources)
    if any(map(is_live, sources)):
        if live.get("accounts") is not None or live.get("role_name") is not None:
            return load(*sources, **live, out=out)
        if not is_address(out):
            with unfinished_load(out, [str(source) for source in sources], live) as unfinished:
                inventory = load(*sources, **live, journal=unfinished / "account.jsonl")
            inventory.save(out)
            return inventory
        # An object store that already has a snapshot is refused before any request to AWS.
        refuse_to_replace(place_of(out))
    inventory = load(*sources, **live)
    if is_address(out) and (inventory.gaps["reason"] == "expired").any():
        from iamframe.sources.sessions import refused

        source = inventory.sources[0]
        profile = source.partition(":")[2]
        raise refused(ExpiredError, source, "access.expired", option=f" --profile={profile}" if profile else "")
    inventory.save(out)
    return inventory


def sample_folder(name: str) -> Path:
    for folder in (_PACKAGE / f"_{name}", _PACKAGE.parent / "data" / name):
        if folder.is_dir():
            return folder
    raise SourceError(f"{_PACKAGE / f'_{name}'}: the sample is missing; install iamframe again")
