"""What AWS has answered is kept line by line, and survives whatever ends the process."""

from __future__ import annotations

import errno
import io
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from iamframe.errors import SourceError, StoreError
from iamframe.sources.journal import Entry, Journal


def entry(key: str, body: bytes = b'{"Roles":[]}') -> Entry:
    return Entry(key, 1, "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:01+00:00", Raw(body))


def kept(path: Path, *keys: str) -> None:
    journal = Journal(path)
    for key in keys:
        journal.put(entry(key))
    journal.close()


def test_what_was_put_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    kept(tmp_path / "deep" / "a.jsonl", "one", "two")
    journal = Journal(tmp_path / "deep" / "a.jsonl")
    found = journal.get("two")
    assert len(journal) == 2
    assert found is not None
    assert (found.requests, bytes(found.body)) == (1, b'{"Roles":[]}')
    assert journal.get("three") is None
    journal.close()


@pytest.mark.parametrize("torn", [b'{"key":"two","requ', b"\xff\xfe\n", b'{"key":"two"}\n', b"\x00" * 40])
def test_a_torn_last_line_is_cut_off_and_what_was_whole_stays(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "a.jsonl"
    kept(path, "one")
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    journal = Journal(path)
    assert (len(journal), journal.get("two")) == (1, None)
    journal.put(entry("two"))
    journal.close()
    again = Journal(path)
    assert [again.get(key) == entry(key) for key in ("one", "two")] == [True, True]
    again.close()
    assert path.read_bytes().startswith(whole)


def test_an_answer_of_which_a_disk_changed_a_letter_is_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    kept(path, "one", "two", "three")
    one, two, three = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(one + two.replace(b"Roles", b"Rolls") + three)
    journal = Journal(path)
    assert (len(journal), journal.get("two")) == (1, None)
    journal.close()


def test_an_answer_with_line_ends_in_it_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    journal = Journal(path)
    journal.put(entry("one", b'{"Description":"a\\r\\nb"}'))
    journal.close()
    again = Journal(path)
    found = again.get("one")
    again.close()
    assert found is not None
    assert bytes(found.body) == b'{"Description":"a\\r\\nb"}'


def _hold(path: Path, held: object, done: object) -> None:
    journal = Journal(path)
    held.set()  # type: ignore[attr-defined]
    done.wait(20)  # type: ignore[attr-defined]
    journal.close()


def test_a_second_process_is_refused_in_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="files are not held this way on this system")
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "a.jsonl", held, done))
    other.start()
    try:
        assert held.wait(20)
        with pytest.raises(SourceError, match="is being written by another process; wait for it"):
            Journal(tmp_path / "a.jsonl")
    finally:
        done.set()
        other.join(20)
    Journal(tmp_path / "a.jsonl").close()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SourceError, match=r"cannot be written to \(.+\); choose another folder"):
        Journal(tmp_path / "file" / "a.jsonl")


def test_a_full_disk_keeps_the_whole_lines_and_closes_without_a_word(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="files have no limit on this system")
    path = tmp_path / "a.jsonl"
    journal = Journal(path)
    journal.put(entry("one"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))
    try:
        with pytest.raises(
            StoreError, match=r"cannot be written .+ what was read so far is kept, run the same command"
        ):
            journal.put(entry("two"))
        assert path.stat().st_size == size
        journal.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    again = Journal(path)
    assert (len(again), again.get("two")) == (1, None)
    again.put(entry("two"))
    again.close()


class FullDisk:
    """A file whose disk takes ten bytes, waits, and then takes no more."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self.torn, self.go_on = threading.Event(), threading.Event()

    def write(self, rest: memoryview) -> int:
        if self.torn.is_set():
            assert self.go_on.wait(20)
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = self._file.write(rest[:10])
        self.torn.set()
        return taken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_a_journal_that_is_closed_while_a_disk_is_full_keeps_no_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    journal = Journal(path)
    journal.put(entry("one"))
    whole = path.read_bytes()
    disk = FullDisk(journal._file)
    journal._file = disk  # type: ignore[assignment]
    with ThreadPoolExecutor(2) as pool:
        putting = pool.submit(journal.put, entry("two"))
        assert disk.torn.wait(20)
        closing = pool.submit(journal.close)
        assert path.read_bytes() != whole
        with pytest.raises(TimeoutError):
            closing.result(0.2)
        disk.go_on.set()
        closing.result(20)
        with pytest.raises(StoreError, match="No space left on device"):
            putting.result(20)
    assert path.read_bytes() == whole
