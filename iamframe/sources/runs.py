"""The long list of a large file, decoded in runs while the file is read. A run is several items in a row.

To find where each of 100,000 items ends takes as long as to decode the items. The text of all items takes more memory
than all frames. So the list is cut where an item seems to begin, and each run is decoded as a list.

A wrong cut is always noticed. The first run begins with an item. If it is a valid list, it also ends with an item, and
so the next run begins with an item. If a run is not a valid list, or contains an item that cannot be read, all files
are read again, each as a whole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from iamframe.sources.documents import BROKEN

_LONG_LIST = re.compile(rb'"(RoleDetailList|Roles|InstanceProfiles)"\s*:\s*\[(\s*\{\s*"\w+")')
# The list must begin within this many bytes of the start of the file, and end within this many of its end. The larger
# number is a second try, for files with other lists before or after it, such as policies.
_ENDS = (1 << 20, 16 << 20)
# Larger runs do not fit into the processor's cache.
_RUN = 1 << 18
# The item that replaces the runs in the document. It proves that the list is the document's own, not a nested one.
MARK = Raw(b'"iamframe: items in runs"')


class NotARun(Exception):
    """A run could not be decoded as a list of items. The files must be read as a whole."""


@dataclass(frozen=True, slots=True)
class Runs:
    """The part of a file that has the items of a long list, except the last ones.

    `between` is a comma and the text with which each item begins. The list can be cut at this text.
    """

    key: str
    path: Path
    start: int
    end: int
    between: bytes

    def lists(self, kind: Any) -> Iterator[list[Any]]:
        """Yield the records of each run.

        Raises
        ------
        NotARun
            If a run cannot be decoded.
        """
        decode = msgspec.json.Decoder(list[kind]).decode
        left, text = self.end - self.start, bytearray(b"[")
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.start)
                while left:
                    block = file.read(min(_RUN, left))
                    if not block:
                        raise NotARun(f"{self.path} became shorter")
                    left -= len(block)
                    text += block
                    end = text.rfind(self.between) if left else len(text)
                    if end > 1:
                        # The comma between two items becomes the end of one list and the beginning of the next.
                        rest = text[end + 1 :]
                        text[end:] = b"]"
                        yield decode(text)
                        text = bytearray(b"[") + rest
        except (OSError, *BROKEN) as error:
            raise NotARun(str(error)) from error


def cut(path: Path) -> tuple[bytes, Runs] | None:
    """Split a file into the runs of its long list and the remaining text. Return None if it has no long list.

    `MARK` replaces the runs in the text.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        for end in _ENDS:
            file.seek(0)
            head = file.read(end)
            if found := _LONG_LIST.search(head):
                start, first = found.start(2), found.group(2)
                tail_at = file.seek(max(size - end, start))
                tail = file.read()
                # Each item begins like the first. In a list on one line, all but the first have a space before them.
                for between in (b"," + first, b", " + first):
                    if (last := tail.find(between)) > 0:
                        text = head[:start] + bytes(MARK) + tail[last:]
                        return text, Runs(found.group(1).decode(), path, start, tail_at + last, between)
    return None
