"""Files, folders, `.gz` and `.zip`, as pieces that are read when they are wanted.

Archives are read in memory and never unpacked to disk, with a cap on what they may unpack to; links in them are not
followed. Nothing that a name inside an archive says is used as a path.
"""

from __future__ import annotations

import errno
import gzip
import io
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from iamframe.errors import SourceError

MAX_UNPACKED = 1 << 30
# What reading a member of a damaged or encrypted archive raises.
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
_SUFFIXES = (".json", ".jsonl", ".ndjson", ".tfstate")
DENIED = "denied.csv"
# What a report consists of; the file that makes a folder a snapshot, and what it says at its beginning.
_REPORT = {"report.html", "summary.json", "findings.csv"}
MANIFEST, FORMAT = "manifest.json", "iamframe snapshot"


class Unreadable(Exception):
    """A piece that cannot be read; the message is a sentence without its place."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One file: how messages name it, the folders that it lies in (innermost last), its name, a way to open it.

    `size` is the number of its bytes where it lies, which may be packed. `root` is how many of the folders lead to the
    source that was named. `member` tells one of an archive from others of its name.
    """

    label: str
    folders: tuple[str, ...]
    name: str
    open: Callable[[], BinaryIO]
    size: int
    root: int
    member: str = ""

    def read(self) -> bytes:
        """Return its bytes.

        Raises
        ------
        Unreadable
            If it cannot be read.
        """
        with self.open() as file:
            try:
                return file.read()
            except OSError as error:
                raise unread(error) from error

    @property
    def place(self) -> tuple[str, ...]:
        """Where it stands: the same file is the same place, whatever the way that led to it."""
        return (*self.folders, Path(self.label).name, self.member)


def open_file(path: str | os.PathLike[str], *, pipe: bool = False) -> BufferedReader:
    """Open a file that somebody named, to be read; a pipe only where it may be one.

    Raises
    ------
    OSError
        If it cannot be opened, or is no file but what may never end or never begin, such as a device or a pipe.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for its writer: right for `<(command)`, wrong in somebody's folder.
        waits = 0 if pipe else getattr(os, "O_NONBLOCK", 0)
        handle = os.open(path, os.O_RDONLY | waits | getattr(os, "O_BINARY", 0))
    except ValueError as error:
        raise OSError(errno.EINVAL, f"that is no name of a file: {error}") from error
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode) or (pipe and stat.S_ISFIFO(mode)):
        return open(handle, "rb")  # noqa: PTH123 - whoever asks closes it
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError(errno.EINVAL, "that is no file but a device or a pipe")


def whole_file(path: str | os.PathLike[str], most: int = MAX_UNPACKED, *, pipe: bool = False) -> bytes:
    """Return the bytes of a file that somebody named; `pipe`: it may be one, such as a shell's `<(command)`.

    Raises
    ------
    OSError
        If it cannot be read, is no file, or has more bytes than that.
    """
    with open_file(path, pipe=pipe) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes")
    return data


def pieces(source: str | os.PathLike[str]) -> Iterator[Piece]:
    """Yield the pieces of a file, folder or archive, sorted by name.

    Of a folder only JSON, Terraform state, archives and `denied.csv` are taken; folders whose name begins with a dot
    (such as Terraform's own) are passed over, so are reports and snapshots that iamframe wrote beneath it, and links to
    folders are not followed.

    Raises
    ------
    SourceError
        If there is no such file or folder, or it may not be read.
    """
    if not os.fspath(source):
        raise SourceError("a source is empty; name a file or folder, or `sample` for the fictional sample")
    path = Path(source)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(
            f"{shown(path)}: no such file or folder; check the path, or use `sample` for the fictional sample"
        ) from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{shown(path)[:200]}: cannot be looked at ({_reason(error)}); check the path") from error
    if stat.S_ISDIR(mode):
        yield from _folder(path)
    elif stat.S_ISREG(mode):
        folders = path.resolve().parent.parts
        yield from _file(path, folders, len(folders))
    else:
        raise SourceError(f"{shown(path)}: is neither a file nor a folder; save what it prints to a file and name that")


def unread(error: OSError) -> Unreadable:
    """Return what is said of a piece that fails while it is read, as on a disk or a share that is failing."""
    return Unreadable(f"cannot be read to its end ({_reason(error)}); copy it to another disk, and name it there")


def shown(path: str | os.PathLike[str]) -> str:
    """Return a path as text that fits one line of a message and any file."""
    try:
        text = os.fsencode(path).decode(errors="replace")
    except UnicodeEncodeError:
        # What a script put together may be no name that a file can have.
        text = os.fspath(path).encode(errors="replace").decode()
    return "".join(f"\\x{ord(c):02x}" if c < " " or "\x7f" <= c <= "\x9f" else c for c in text)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _folder(root: Path) -> Iterator[Piece]:
    def refuse(error: OSError) -> None:
        raise SourceError(
            f"{shown(error.filename)}: cannot be listed ({error.strerror}); ask for permission to read it"
        )

    depth = len(root.resolve().parts)
    for folder, subfolders, names in os.walk(root, onerror=refuse):
        if Path(folder) != root and _is_ours(Path(folder), names):
            subfolders[:] = []
            continue
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        folders = Path(folder).resolve().parts
        for name in sorted(names):
            path = Path(folder) / name
            if _is_wanted(name, (*_SUFFIXES, ".zip")) and not name.startswith(".") and path.is_file():
                yield from _file(path, path.resolve().parent.parts if path.is_symlink() else folders, depth)


def _is_ours(folder: Path, names: list[str]) -> bool:
    """Return whether a folder holds what iamframe itself wrote: a report, or a snapshot."""
    if set(names) >= _REPORT:
        return True
    try:
        return FORMAT.encode() in whole_file(folder / MANIFEST)[:200]
    except OSError:
        return False


def _is_wanted(name: str, suffixes: tuple[str, ...]) -> bool:
    plain = name[:-3] if name.lower().endswith(".gz") else name
    return plain.lower().endswith(suffixes) or plain.lower() == DENIED


def _file(path: Path, folders: tuple[str, ...], root: int) -> Iterator[Piece]:
    label = shown(path)

    def opened() -> BinaryIO:
        try:
            return path.open("rb", buffering=0)
        except OSError as error:
            raise Unreadable(f"cannot be read ({error.strerror}); ask for permission to read it") from error

    def unpacked() -> BinaryIO:
        with opened() as file:
            return _gunzipped(file, _Budget())

    try:
        size = path.stat().st_size
    except OSError as error:
        yield _broken(label, folders, root, str(unread(error)))
        return
    if path.suffix.lower() == ".zip":
        yield from _zipped(label, (*folders, path.name), path, root)
    elif path.suffix.lower() == ".gz":
        yield Piece(label, folders, path.name[:-3], unpacked, size, root)
    else:
        yield Piece(label, folders, path.name, opened, size, root)


class _Budget:
    """How many more bytes a source may unpack to."""

    def __init__(self) -> None:
        self.left = MAX_UNPACKED

    def spend(self, size: int) -> None:
        """Take some of it.

        Raises
        ------
        Unreadable
            If there is not as much left.
        """
        self.left -= size
        if self.left < 0:
            cap = f"{MAX_UNPACKED >> 30} GiB" if MAX_UNPACKED >= 1 << 30 else f"{MAX_UNPACKED:,} bytes"
            raise Unreadable(f"unpacks to more than {cap}; unpack it and name the folder")


def _gunzipped(packed: BinaryIO, budget: _Budget) -> BinaryIO:
    unpacked = io.BytesIO()
    try:
        with gzip.GzipFile(fileobj=packed) as file:
            while block := file.read(1 << 20):
                budget.spend(len(block))
                unpacked.write(block)
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable("is not a whole gzip file; compress it again, or name the file itself") from error
    # A file of exactly these bytes is read without a copy of them.
    return io.BytesIO(unpacked.getvalue())


def _zipped(label: str, folders: tuple[str, ...], path: Path, root: int) -> Iterator[Piece]:
    try:
        archive = zipfile.ZipFile(path)
        entries = sorted(archive.infolist(), key=lambda entry: entry.filename)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        yield _broken(
            label, folders, root, f"is not a whole zip archive ({_reason(error)}); make it again, or name its files"
        )
        return
    budget = _Budget()
    for entry in entries:
        inner = PurePosixPath(entry.filename.replace("\\", "/"))
        if not inner.name or entry.is_dir() or not _is_wanted(inner.name, (*_SUFFIXES, ".zip")):
            continue
        place = f"{label}/{shown(entry.filename)}"
        if stat.S_ISLNK(entry.external_attr >> 16):
            yield _broken(
                place, folders, root, "is a link inside an archive, which is not followed; pack the file itself"
            )
            continue
        if inner.name.lower().endswith((".zip", ".zip.gz")):
            yield _broken(
                place,
                folders,
                root,
                "is an archive inside an archive, which is not unpacked; unpack it and name it too",
            )
            continue
        within = tuple(part for part in inner.parent.parts if part not in ("/", ".."))
        yield Piece(
            place,
            (*folders, *within),
            inner.name[:-3] if inner.name.lower().endswith(".gz") else inner.name,
            _reader(archive, entry, budget, inner.name.lower().endswith(".gz")),
            entry.file_size,
            root,
            f"{entry.filename} at {entry.header_offset}",
        )


def _reader(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: _Budget, zipped_twice: bool
) -> Callable[[], BinaryIO]:
    def opened() -> BinaryIO:
        budget.spend(entry.file_size)
        try:
            data = io.BytesIO(archive.read(entry))
        except _DAMAGED as error:
            raise Unreadable(
                f"cannot be unpacked ({_reason(error)}); unpack the archive and name the folder"
            ) from error
        return _gunzipped(data, budget) if zipped_twice else data

    return opened


def _broken(label: str, folders: tuple[str, ...], root: int, sentence: str) -> Piece:
    def opened() -> BinaryIO:
        raise Unreadable(sentence)

    return Piece(label, folders, label, opened, 0, root)
