"""The page's template, compiled once and kept beside the package's own compiled modules."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined, Template
from jinja2.bccache import Bucket

_HERE = Path(__file__).parent


class _Compiled(BytecodeCache):
    """Where Python keeps what it compiles of this package; Jinja compares it with the template before it is used."""

    def _file(self, bucket: Bucket) -> Path:
        return _HERE / "__pycache__" / f"page.{sys.implementation.cache_tag}.{bucket.key}.jinja"

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError), self._file(bucket).open("rb") as file:
            bucket.load_bytecode(file)

    def dump_bytecode(self, bucket: Bucket) -> None:
        # An installation that may not be written to compiles each time.
        with suppress(OSError):
            if sys.dont_write_bytecode:
                return
            handle, aside = tempfile.mkstemp(dir=_HERE / "__pycache__")
            with os.fdopen(handle, "wb") as file:
                bucket.write_bytecode(file)
            Path(aside).replace(self._file(bucket))


def page_template(name: str = "page.html.j2") -> Template:
    """Return a template of this folder: what it is given is escaped, and what it is not given is an error."""
    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(_HERE),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        bytecode_cache=_Compiled(),
    )
    return environment.get_template(name)
