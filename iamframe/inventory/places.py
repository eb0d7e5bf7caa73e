"""Read and write files on a disk or in an object store.

For `s3://` addresses, pyarrow uses the default AWS credentials. The environment variable `AWS_ENDPOINT_URL` can set
another endpoint.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from iamframe.errors import ReportError, StoreError, require_paths
from iamframe.sources.archives import MAX_UNPACKED, display_path, read_file, why, without_secrets

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

# At least two letters: a single letter is a drive of Windows.
_ADDRESS = re.compile("[a-z][a-z0-9+.-]+://")


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    # Messages show the address, which contains no secrets.
    address: str
    path: str
    # pyarrow's file systems cannot be hashed.
    filesystem: FileSystem = field(compare=False)

    def __truediv__(self, name: str) -> RemoteFolder:
        return RemoteFolder(f"{self.address}/{name}", f"{self.path}/{name}", self.filesystem)

    def __fspath__(self) -> str:
        return self.address


Place = Path | RemoteFolder


def is_address(folder: object) -> bool:
    return isinstance(folder, RemoteFolder) or (isinstance(folder, str) and _ADDRESS.match(folder) is not None)


def local_path(function: str, given: str | os.PathLike[str]) -> Path:
    """Return a local path. Raise ReportError for an address such as `s3://BUCKET/FOLDER`."""
    require_paths(function, given)
    if is_address(given):
        raise ReportError(
            f"{display_path(given)}: is not on this machine; give a path on this machine, and copy the files afterwards"
        )
    return Path(given)


def place_of(folder: str | os.PathLike[str]) -> Place:
    return _opened(folder) if isinstance(folder, str) and is_address(folder) else Path(folder)


@lru_cache(maxsize=16)
def _opened(address: str) -> RemoteFolder:
    # Importing the file systems takes as long as checking a small account.
    from pyarrow.fs import FileSystem

    name = without_secrets(address).rstrip("/")
    # With this option, a small file takes one request instead of three.
    option = f"{'&' if '?' in address else '?'}allow_delayed_open=true" if address.startswith("s3://") else ""
    try:
        filesystem, path = FileSystem.from_uri(address + option)
    except (OSError, ValueError) as error:
        reason = without_secrets(" ".join(str(error).split()))
        raise StoreError(
            f"{without_secrets(address)}: cannot be opened ({reason}); give an address such as s3://BUCKET/FOLDER"
        ) from error
    if not path.strip("/"):
        raise StoreError(f"{without_secrets(address)}: names no folder; give an address such as s3://BUCKET/FOLDER")
    return RemoteFolder(name, path.rstrip("/"), filesystem)


def read_bytes(file: Place, most: int = MAX_UNPACKED) -> bytes:
    """Read a file. For a local file with more than `most` bytes, raise OSError."""
    if isinstance(file, Path):
        return read_file(file, most)
    with file.filesystem.open_input_stream(file.path) as stream:
        data: bytes = stream.read()
        return data


def write_bytes(file: Place, data: bytes | memoryview) -> None:
    if isinstance(file, RemoteFolder):
        with file.filesystem.open_output_stream(file.path) as stream:
            stream.write(data)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())


def names_in(folder: Place) -> list[str]:
    """Raise OSError for a missing folder on a disk. In an object store, a missing folder counts as an empty folder."""
    if isinstance(folder, Path):
        return [entry.name for entry in folder.iterdir()]
    from pyarrow.fs import FileSelector

    return [info.base_name for info in folder.filesystem.get_file_info(FileSelector(folder.path, allow_not_found=True))]


def missing_bucket(folder: Place) -> str | None:
    if isinstance(folder, Path):
        return None
    from pyarrow.fs import FileType

    bucket = PurePosixPath(folder.path).parts[0]
    try:
        return bucket if folder.filesystem.get_file_info(bucket).type is FileType.NotFound else None
    except OSError:
        return None


def remove(folder: Place) -> None:
    if isinstance(folder, Path):
        shutil.rmtree(folder)
    else:
        folder.filesystem.delete_dir(folder.path)


def cannot_write(place: Place, error: OSError) -> StoreError:
    what = "disk" if isinstance(place, Path) else "address, the region and the credentials"
    return StoreError(f"{display_path(place)}: cannot be written ({why(error)}); check the {what}, and call again")
