"""The notebooks of iamframe, and a function that copies them into a folder."""

from __future__ import annotations

import os
from pathlib import Path

from iamframe.errors import NotebookError

_PACKAGE = Path(__file__).resolve().parent.parent
_POLICY = "tag-policy.toml"
# The copies have no data folder beside them, and must write nothing outside their own folder.
_BESIDE = {f"../data/{_POLICY}": _POLICY, "../iamframe-report/": "iamframe-report/"}


def notebook_files() -> list[Path]:
    # The files are in the installed package or in a checkout.
    for folder, data in (
        (_PACKAGE / "_notebooks", _PACKAGE / "_notebooks"),
        (_PACKAGE.parent / "notebooks", _PACKAGE.parent / "data"),
    ):
        if notebooks := sorted(folder.glob("*.ipynb")):
            return [*notebooks, data / _POLICY]
    raise NotebookError(f"{_PACKAGE / '_notebooks'}: the notebooks are missing; install iamframe again")


def copy_notebooks(folder: str | os.PathLike[str], *, force: bool = False) -> tuple[list[Path], list[Path]]:
    into = Path(folder)
    written, left = [], []
    try:
        into.mkdir(parents=True, exist_ok=True)
        for file in notebook_files():
            target = into / file.name
            if not force and os.path.lexists(target):
                left.append(target)
                continue
            text = file.read_text(encoding="utf-8")
            for there, here in _BESIDE.items():
                text = text.replace(there, here)
            # Write the file completely or not at all: a later call would skip an incomplete notebook.
            aside = into / f".{file.name}.new"
            aside.write_text(text, encoding="utf-8", newline="\n")
            aside.replace(target)
            written.append(target)
    except OSError as error:
        raise NotebookError(
            f"{into}: the notebooks cannot be copied there ({error.strerror}); choose a folder that can be written to"
        ) from error
    return written, left
