"""From a source to an Inventory, in one call."""

from __future__ import annotations

import os

from iamframe.errors import SourceError
from iamframe.inventory import Inventory, build_inventory
from iamframe.sources.archives import shown
from iamframe.sources.files import read_files
from iamframe.sources.sample import sample_folder
from iamframe.store import is_snapshot, read_snapshot

SAMPLE = "sample"


def load(*sources: str | os.PathLike[str]) -> Inventory:
    """Load sources as the command line names them: `sample`, a saved snapshot, or what `load_files` takes.

    Raises
    ------
    SourceError
        If the sample or a snapshot is named beside others, no source is given, or a source is refused as by
        `load_files`.
    StoreError
        If a snapshot is damaged.
    """
    for source in sources:
        if source == "aws" or str(source).startswith("aws:"):
            raise SourceError(
                f"{source}: this version reads files and the sample; save what the AWS CLI prints and name the folder"
            )
    snapshot = next((source for source in sources if source != SAMPLE and is_snapshot(source)), None)
    if snapshot is not None:
        if len(sources) > 1:
            raise SourceError(f"{shown(snapshot)}: is a snapshot, which is not merged with others; name it alone")
        return open_snapshot(snapshot)
    if SAMPLE not in sources:
        return load_files(*sources)
    if len(sources) > 1:
        raise SourceError("sample: is fiction; name it alone, or a folder of your own of that name as ./sample")
    return load_sample()


def load_files(*paths: str | os.PathLike[str]) -> Inventory:
    """Load what files hold: what the AWS CLI prints, AWS Config items, Terraform state and plans, Steampipe rows.

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
    return build_inventory(read_files(paths), [f"./{name}" if name == SAMPLE else name for name in names])


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
