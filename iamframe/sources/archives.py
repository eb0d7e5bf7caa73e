"""Find the files in folders and archives (`.gz`, `.zip`).

Each archive is unpacked only in memory, and only up to `MAX_UNPACKED` bytes. iamframe never opens the target of a link
in an archive. Names inside archives are never used as paths.
"""

from __future__ import annotations

import errno
import gzip
import io
import lzma
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Any

from iamframe.errors import SourceError

MAX_UNPACKED = 1 << 30
# The errors that reading a damaged, encrypted or unknown archive raises.
_DAMAGED = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
DENIED = "denied.csv"
_WANTED = (".json", ".jsonl", ".ndjson", ".tfstate", ".zip")
# The beginning of a JSON object or list of objects. A file may begin with a byte order mark.
_DATA = re.compile(rb"[\xef\xbb\xbf\xff\xfe\x00\s]*(?:\[[\x00\s]*)?\{[\x00\s]*(?:[\"}]|$)")
_GZIP = b"\x1f\x8b"
# Beside a state, Terraform keeps older ones (Terraform documentation, "Backend Type: local").
_OLDER_STATE = re.compile(r"(.+\.tfstate)(?:\.\d+)?\.backup", re.DOTALL)
# The access keys in an address: before the @, where a key may contain a slash, and in the query.
_SECRET = re.compile(r"(?<=://)(?:[^/@]*|[^@?]*:[^@?]*)@|\?\S*")
# The files of a report. A snapshot has the file `MANIFEST`, with the text `FORMAT` near its beginning.
_REPORT = {"report.html", "summary.json", "findings.csv"}
MANIFEST, FORMAT = "manifest.json", "iamframe snapshot"


class Unreadable(Exception):
    """The content of a file cannot be read. The message has no file name: who catches the error adds the name."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        # A problem of the whole file has no place.
        self.problem = {"message": message} | facts | ({"place": None} if facts.get("place") == "$" else {})


class Foreign(Unreadable):
    """The content of a file is readable, but not from AWS, Terraform or Steampipe, or not about roles and profiles."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One file in a folder, or in a `.zip` or `.gz` file."""

    # The file's name in messages.
    label: str
    # All folders above the file, the outermost first.
    folders: tuple[str, ...]
    # The number of folders in the source's path.
    root: int
    # The file's own name, without `.gz`.
    name: str
    # Files with the same place are read only once.
    place: tuple[str, ...]
    # Raises Unreadable.
    read: Callable[[], bytes]
    # In bytes; of a file packed with gzip, the packed size.
    size: int = 0
    # None for files in archives.
    path: Path | None = None
    # Whether the user gave the file itself, not a folder or archive.
    is_given: bool = False


def _open(path: str | os.PathLike[str], pipe: bool) -> BufferedReader:
    try:
        # Without O_NONBLOCK, opening a pipe waits for its writer: right for `<(command)`, wrong in a folder.
        waits = 0 if pipe else getattr(os, "O_NONBLOCK", 0)
        handle = os.open(path, os.O_RDONLY | waits | getattr(os, "O_BINARY", 0))
    except ValueError as error:
        raise OSError(errno.EINVAL, f"that is not a file name: {error}") from error
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode) or (pipe and stat.S_ISFIFO(mode)):
        return open(handle, "rb")  # noqa: PTH123 - the caller closes it
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    # Reading a device or a pipe may never end.
    raise OSError(errno.EINVAL, "that is a device or a pipe")


def read_file(path: str | os.PathLike[str], most: int = MAX_UNPACKED, *, pipe: bool = False) -> bytes:
    with _open(path, pipe) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes")
    return data


def pieces(source: str | os.PathLike[str]) -> Iterator[Piece]:
    # Files are sorted by name. Reports and snapshots of iamframe are skipped.
    if not os.fspath(source):
        raise SourceError("a source is empty; give a file or folder, or `sample` for the fictional sample")
    path = Path(source)
    try:
        # `absolute` fails if the current folder was deleted.
        mode = path.absolute().stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(
            f"{display_path(path)}: there is no such file or folder; check the path, or type `sample` for "
            "the fictional sample"
        ) from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{display_path(path)[:200]}: cannot be read ({why(error)}); check the path") from error
    if stat.S_ISDIR(mode):
        files = [*_folder(path)]
        # A report may also lie in the folder of its source.
        if [file.name for file in files] == ["summary.json"] and {file.name for file in path.iterdir()} >= _REPORT:
            raise SourceError(
                f"{display_path(path)}: is a report of iamframe, not a source; give the source that the report is about"
            )
        yield from files
    elif stat.S_ISREG(mode):
        folders = path.resolve().parent.parts
        yield from _file(path, folders, len(folders), is_given=True)
    else:
        raise SourceError(
            f"{display_path(path)}: is neither a file nor a folder; save its output to a file and use that"
        )


def without_secrets(text: str) -> str:
    return _SECRET.sub("", text) if "://" in text else text


def display_path(path: str | os.PathLike[str]) -> str:
    try:
        text = os.fsencode(path).decode(errors="replace")
    except UnicodeEncodeError:
        # A path from a script may contain text that no file name can have.
        text = os.fspath(path).encode(errors="replace").decode()
    text = without_secrets(text)
    return "".join(f"\\x{ord(c):02x}" if c < " " or "\x7f" <= c <= "\x9f" else c for c in text)


def why(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split())


def _folder(root: Path) -> Iterator[Piece]:
    def refuse(error: OSError) -> None:
        raise SourceError(
            f"{display_path(error.filename)}: cannot be listed ({error.strerror}); ask for permission to read it"
        )

    depth = len(root.resolve().parts)
    # Links to folders, and hidden folders such as `.terraform`, are skipped.
    for folder, subfolders, names in os.walk(root, onerror=refuse):
        if Path(folder) != root and _is_output(Path(folder), names):
            subfolders[:] = []
            continue
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        folders = Path(folder).resolve().parts
        for name in sorted(names):
            path = Path(folder) / name
            if name.startswith(".") or not _is_wanted(path, os.path.exists, partial(_open, path, pipe=False)):
                continue
            try:
                is_file = path.is_file()
            except OSError:
                # A folder may be listed, but not entered. Reading the file will say why.
                is_file = True
            if is_file:
                yield from _file(path, folders, depth)


def _is_output(folder: Path, names: list[str]) -> bool:
    if set(names) >= _REPORT:
        return True
    try:
        return FORMAT.encode() in read_file(folder / MANIFEST)[:200]
    except OSError:
        return False


def has_known_name(name: str) -> bool:
    plain = _without_gz(name).lower()
    # Terraform states in an object store often have no suffix.
    return "." not in plain or plain.endswith(_WANTED) or plain == DENIED


def _is_wanted(path: PurePath, exists: Callable[[Any], bool], opened: Callable[[], IO[bytes]]) -> bool:
    name = path.name
    if has_known_name(name) and "." in _without_gz(name):
        return True
    if (older := _OLDER_STATE.fullmatch(name)) and exists(path.with_name(older[1])):
        return False
    try:
        with opened() as file:
            start = file.read(4096)
            if start.startswith(_GZIP):
                start = zlib.decompressobj(wbits=31).decompress(start, 100)
            return bool(_DATA.match(start[:100]))
    except _DAMAGED:
        # Reading the file will say why.
        return has_known_name(name)


def _without_gz(name: str) -> str:
    return name[:-3] if name.lower().endswith(".gz") else name


def _file(path: Path, folders: tuple[str, ...], root: int, *, is_given: bool = False) -> Iterator[Piece]:
    label, name, place = display_path(path), _without_gz(path.name), (*folders, path.name)
    size = 0
    with suppress(OSError):  # Reading the file will say why.
        size = path.stat().st_size
        # A link and its target are one file. Resolving each path of a large folder would take long.
        place = path.resolve().parts if path.is_symlink() else place
    if path.suffix.lower() == ".zip":
        yield from _zip_members(label, place, path, root)
        return
    yield Piece(label, folders, root, name, place, partial(_read_file, path), size, path, is_given)


def _read_file(path: Path) -> bytes:
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise Unreadable("gaps.file.not_allowed", why=error.strerror) from error
    with file:
        try:
            data = file.read()
        except OSError as error:
            # A disk or a share may fail while a file is read.
            raise Unreadable("gaps.file.breaks_off", why=why(error)) from error
    return _unpacked(data, _Budget())


class _Budget:
    def __init__(self) -> None:
        self.left = MAX_UNPACKED

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            cap = f"{MAX_UNPACKED >> 30} GiB" if MAX_UNPACKED >= 1 << 30 else f"{MAX_UNPACKED:,} bytes"
            raise Unreadable("gaps.file.too_large", limit=cap)


def _unpacked(data: bytes, budget: _Budget) -> bytes:
    # A browser may unpack a `.gz` file while it downloads the file, or take `.gz` from the file's name.
    if not data.startswith(_GZIP):
        return data
    unpacked = io.BytesIO()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            while block := file.read(1 << 20):
                budget.spend(len(block))
                unpacked.write(block)
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable("gaps.file.gzip") from error
    return unpacked.getvalue()


def _zip_members(label: str, folders: tuple[str, ...], path: Path, root: int) -> Iterator[Piece]:
    try:
        archive = zipfile.ZipFile(path)
        entries = sorted(archive.infolist(), key=lambda entry: entry.filename)
    except _DAMAGED as error:
        problem = Unreadable("gaps.file.zip", why=why(error))
        yield Piece(label, folders, root, path.name, folders, partial(_refuse, problem))
        return
    budget, paths = _Budget(), [PurePosixPath(entry.filename.replace("\\", "/")) for entry in entries]
    for entry, inner in zip(entries, paths, strict=True):
        # The macOS Finder adds a file `__MACOSX/…/._NAME` for each file. A file itself may be named after a role, whose
        # name may begin with a dot.
        is_hidden = any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in inner.parent.parts)
        is_file = inner.name and not entry.is_dir() and not is_hidden
        if not is_file or not _is_wanted(inner, paths.__contains__, partial(archive.open, entry)):
            continue
        within = (*folders, *(part for part in inner.parent.parts if part not in ("/", "..")))
        # Two members of an archive may have the same name.
        place = (*within, inner.name, f"{entry.filename} at {entry.header_offset}")
        read = partial(_read_member, archive, entry, budget)
        member = f"{label}/{display_path(entry.filename)}"
        yield Piece(member, within, root, _without_gz(inner.name), place, read, entry.file_size)


def _read_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: _Budget) -> bytes:
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise Unreadable("gaps.file.link")
    if _without_gz(entry.filename).lower().endswith(".zip"):
        raise Unreadable("gaps.file.archive")
    budget.spend(entry.file_size)
    try:
        data = archive.read(entry)
    except _DAMAGED as error:
        raise Unreadable("gaps.file.not_unpacked", why=why(error)) from error
    return _unpacked(data, budget)


def _refuse(problem: Unreadable) -> bytes:
    raise problem
