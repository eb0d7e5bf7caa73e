"""What AWS has answered so far, in a file of lines, so that a load which was cut off asks for nothing twice.

A line is written in one piece and handed to the system before the next request goes out: a process that is killed
leaves whole lines and at most one torn one, which is cut off when the file is opened again.
"""

from __future__ import annotations

import contextlib
import os
import threading
import zlib
from pathlib import Path

import msgspec
from msgspec import Raw

from iamframe.errors import SourceError, StoreError


class Entry(msgspec.Struct, gc=False):
    """One answer: what was asked, when, with how many requests, and the JSON that came back."""

    key: str
    requests: int
    started_at: str
    ended_at: str
    body: Raw


class _Line(msgspec.Struct):
    """An entry as it lies in the file: what a disk has changed is no answer of AWS's."""

    crc: int
    entry: Raw


_DECODE = msgspec.json.Decoder(_Line).decode
_DECODE_ENTRY = msgspec.json.Decoder(Entry).decode


def _entry(line: bytes) -> Entry | None:
    """Return what stands in a line, or None where it is torn or was changed."""
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
        kept = _DECODE(line)
        if line.endswith(b"\n") and kept.crc == zlib.crc32(kept.entry):
            return _DECODE_ENTRY(kept.entry)
    return None


class Journal:
    """A journal in a file, opened for one load at a time.

    Raises
    ------
    SourceError
        If the file cannot be written to, or another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._places: dict[str, tuple[int, int]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Without a buffer, which would keep what a full disk did not take, and fail again when it is closed.
            self._file = open(path, "a+b", buffering=0)  # noqa: SIM115, PTH123 - held until the load ends
        except OSError as error:
            raise _no_place(path, error) from error
        self._hold()
        try:
            self._read()
        except OSError as error:
            self.close()
            raise _no_place(path, error) from error

    def get(self, key: str) -> Entry | None:
        """Return the answer to what was asked, or None where there is none yet."""
        with self._lock:
            if (place := self._places.get(key)) is None:
                return None
            start, size = place
            self._file.seek(start)
            return _entry(self._file.read(size))

    def put(self, entry: Entry) -> None:
        """Add an answer; it is kept even if the process is killed right after.

        Raises
        ------
        StoreError
            If it cannot be written, as on a full disk; the answers before it are kept.
        """
        raw = msgspec.json.encode(entry)
        line = msgspec.json.encode(_Line(zlib.crc32(raw), Raw(raw))) + b"\n"
        with self._lock:
            start = self._file.seek(0, os.SEEK_END)
            try:
                rest = memoryview(line)
                while rest:
                    # A disk takes what it still has room for, and refuses the rest.
                    rest = rest[self._file.write(rest) :]
            except OSError as error:
                with contextlib.suppress(OSError):
                    self._file.truncate(start)
                raise StoreError(
                    f"{self._path}: cannot be written ({error.strerror}); what was read so far is kept, run the same "
                    "command again when there is room"
                ) from error
            self._places[entry.key] = (start, len(line))

    def __len__(self) -> int:
        """Return the number of answers."""
        return len(self._places)

    def close(self) -> None:
        """Let another process have the file."""
        # What is being written comes to its end, or is taken back, first; what a network's file system says then would
        # only hide the sentence that matters.
        with self._lock, contextlib.suppress(OSError):
            self._file.close()

    def _hold(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows lets nobody else write what is open for appending there.
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise SourceError(
                f"{self._path.parent}: is being written by another process; wait for it, or name another folder"
            ) from error

    def _read(self) -> None:
        start = 0
        with self._path.open("rb") as lines:
            for line in lines:
                if (entry := _entry(line)) is None:
                    break
                self._places[entry.key] = (start, len(line))
                start += len(line)
        self._file.truncate(start)


def _no_place(path: Path, error: OSError) -> SourceError:
    return SourceError(f"{path}: cannot be written to ({error.strerror}); name another folder")
