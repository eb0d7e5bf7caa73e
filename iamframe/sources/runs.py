"""The long list of a large document, read in runs of items.

To find where each of 100,000 items ends costs as much as to decode them, and to hold all of the text costs more than
reading it. So a run ends where something looks like the beginning of an item, and is decoded by itself. That is safe
whatever the text: the first run begins with an item, and a run that is a list by itself can only end where an item
does, so that the next begins with one too. What looks like the list's last items, at the end of the file, is of another
list or another document where the list ended before: then one of the runs is no list, and all from there on is read at
once, as the document that it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_LONG_LIST = re.compile(rb'"(RoleDetailList|InstanceProfiles|Roles|Records|Events)"\s*:\s*\[\s*(\{\s*"\w+")')
LARGE = 4 << 20
# Twice as much no longer stays near the processor, and takes half as long again.
RUN = 1 << 18
# What stands before the list, such as users, is looked through up to here.
_HEAD = 64 << 20
# How far an item may stand from the comma before it.
_GAP = 256


@dataclass(slots=True)
class Runs:
    """The items of a list but the last ones, as they are read."""

    file: BinaryIO
    begins: bytes
    left: int
    at: int = 0
    held: bytes = b""

    def __iter__(self) -> Iterator[bytes]:
        """Yield each run as a JSON list."""
        while self.left:
            text, known = self._more(RUN), len(self.held)
            ends, begins = _last(text, self.begins, known) if self.left else (len(text), len(text))
            self.held = text[begins:]
            if ends:
                yield b"[%b]" % text[:ends]
                self.at += begins

    def rest(self) -> bytes:
        """Return all text of the file from the last run on."""
        try:
            self.file.seek(self.at)
            return self.file.read()
        except OSError:
            return b""

    def _more(self, size: int) -> bytes:
        try:
            block = self.file.read(min(size, self.left))
        except OSError:
            block = b""
        if self.left and not block:
            # A file that became shorter meanwhile must not read as a list that is whole.
            self.left, block = 0, b"\0"
        self.left = max(self.left - len(block), 0)
        return self.held + block


def cut(file: BinaryIO) -> tuple[str, bytes, bytes, Runs] | None:
    """Return the key of a document's long list, what stands before its items, the document without its runs, and those.

    None where the text is short, or holds no list that can be cut. What stands before the items must be read to know
    that the key is one of the whole document's, and not of something within.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size <= LARGE:
        return None
    head = b""
    while (found := _LONG_LIST.search(head)) is None:
        # As much again each time, so that what is searched again stays in proportion.
        block = file.read(max(RUN, len(head)))
        head += block
        if not block or len(head) > _HEAD:
            return None
    # An item begins as the first does, after a comma; indented text gives deeper ones away by their indentation.
    start, begins = found.start(2), found.group(2)
    tail_at = max(size - 4 * RUN, start)
    file.seek(tail_at)
    tail = file.read()
    ends, last = _first(tail, begins)
    if not ends:
        return None
    file.seek(start)
    before = head[:start]
    runs = Runs(file, begins, tail_at + ends - start, start)
    return found.group(1).decode(), before, before + tail[last:], runs


def _last(text: bytes, begins: bytes, known: int) -> tuple[int, int]:
    """Return where the last item but one ends and the last begins, both 0 where `known` bytes and more hold but one."""
    at = len(text)
    while (at := text.rfind(begins, max(known - _GAP, 1), at)) > 0:
        if ends := _ends_before(text, at):
            return ends, at
    return 0, 0


def _first(text: bytes, begins: bytes) -> tuple[int, int]:
    at = 0
    while (at := text.find(begins, at + 1)) > 0:
        if ends := _ends_before(text, at):
            return ends, at
    return 0, 0


def _ends_before(text: bytes, at: int) -> int:
    """Return where the comma stands before an item, or 0 where there is none."""
    start = max(at - _GAP, 0)
    before = text[start:at].rstrip()
    return start + len(before) - 1 if before.endswith(b",") else 0
