"""The script that somebody else runs, where iamframe itself is not to be installed or given credentials."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from iamframe.errors import SourceError
from iamframe.knowledge.operations import region_in


def collect_script(regions: Sequence[str] = ()) -> str:
    """Return a POSIX shell script of AWS CLI reads that makes a zip which `load_files` takes; nothing is run.

    It makes the reads of a live load with `references="core"`, and those that take the place of denied ones, with the
    AWS CLI 1 or 2. It looks for what names profiles in `regions`, or in those that it is run with; without any, in all
    that are enabled.

    Raises
    ------
    SourceError
        If a region is none.
    """
    for region in regions:
        if region_in(region) != region:
            raise SourceError(f"{region!r} is no region; write regions like eu-west-1,us-east-1")
    text = files("iamframe.sources").joinpath("collect.sh").read_text(encoding="utf-8")
    return text.replace("\nregions=''\n", f"\nregions='{' '.join(regions)}'\n", 1)
