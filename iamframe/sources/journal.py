"""A file with one answer from AWS per line.

An interrupted load resumes from this file. The resumed load repeats GetCallerIdentity. If a new answer shows that the
saved list of profiles is out of date, the resumed load lists profiles again. If the process is killed, at most the
last line is incomplete. An incomplete line is removed the next time the journal is opened.
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
    key: str
    requests: int
    started_at: str
    ended_at: str
    body: Raw


class _Line(msgspec.Struct):
    # Detects damage on the disk.
    crc: int
    entry: Raw


_DECODE = msgspec.json.Decoder(_Line).decode
_DECODE_ENTRY = msgspec.json.Decoder(Entry).decode


def _entry(line: bytes) -> Entry | None:
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
        kept = _DECODE(line)
        if line.endswith(b"\n") and kept.crc == zlib.crc32(kept.entry):
            return _DECODE_ENTRY(kept.entry)
    return None


class Journal:
    """A journal file. Except on Windows, a load is refused if another running load uses the same journal."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._places: dict[str, tuple[int, int]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # A buffer would keep the bytes that a full disk refused, and fail again on closing.
            self._file = open(path, "a+b", buffering=0)  # noqa: SIM115, PTH123 - held until the load ends
            try:
                self._hold()
                self._read()
            except BaseException:
                self.close()
                raise
        except OSError as error:
            raise SourceError(f"{path}: cannot be written to ({error.strerror}); choose another folder") from error

    def get(self, key: str) -> Entry | None:
        with self._lock:
            if (place := self._places.get(key)) is None:
                return None
            start, size = place
            self._file.seek(start)
            return _entry(self._file.read(size))

    def put(self, entry: Entry) -> None:
        """If the disk is full, earlier answers from AWS stay in the file."""
        raw = msgspec.json.encode(entry)
        line = msgspec.json.encode(_Line(zlib.crc32(raw), Raw(raw))) + b"\n"
        with self._lock:
            start = self._file.seek(0, os.SEEK_END)
            try:
                rest = memoryview(line)
                while rest:
                    # A nearly full disk may take only a part.
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
        return len(self._places)

    def close(self) -> None:
        # The lock lets a running write finish. An error of a network file system would hide a more important error.
        with self._lock, contextlib.suppress(OSError):
            self._file.close()

    def _hold(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows has no such lock.
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SourceError(
                f"{self._path.parent}: is being written by another process; wait for it, or choose another folder"
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
