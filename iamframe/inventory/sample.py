"""Where the fictional sample lies: inside the installed package, or in `data/` of a checkout."""

from __future__ import annotations

from pathlib import Path

from iamframe.errors import SourceError

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
