"""The command line, run in this process or in one of its own: what it prints where, and its exit status."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from iamframe.sources import sessions
from iamframe.ui import cli


def run(
    folder: Path, *arguments: str, encoding: str = "utf-8", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder as a process would, but in this one, which saves a second's start.

    Its streams are of the encoding, and nothing that it sets of Python's own stays. Whatever it raises is raised.
    """
    out, errors = (io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2))
    given = os.environ if environment is None else environment
    with (
        chdir(folder),
        redirect_stdout(out),
        redirect_stderr(errors),
        patch.object(sys, "argv", ["iamframe", *arguments]),
        patch.object(cli, "gc"),
        patch.object(os, "_exit", sys.exit),
        patch.object(sessions, "_ASSUMED", {}),
        patch.dict(os.environ, dict(given), clear=True),
    ):
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = []
        for stream in (out, errors):
            stream.flush()
            said.append(stream.buffer.getvalue().decode(encoding))  # type: ignore[attr-defined]
    return subprocess.CompletedProcess([*arguments], ended.value.code, *said)  # type: ignore[arg-type]


def process(
    folder: Path, *arguments: str, encoding: str = "utf-8", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "iamframe.ui.cli", *arguments],
        cwd=folder,
        capture_output=True,
        encoding=encoding,
        env=(os.environ if environment is None else environment) | {"PYTHONIOENCODING": encoding},
        # Without a terminal of its own, nothing can be asked of whoever runs the tests.
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        timeout=120,
        check=False,
    )
