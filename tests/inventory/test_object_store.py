"""Snapshots in an object store: they come back as they were saved, are never replaced, and keep keys to themselves."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import commands
import pandas as pd
import pytest
from builders import dump, nested_role, of_accounts, profile, role_detail, write
from pyarrow.fs import FileSelector, FileSystem
from test_snapshot import assert_same

import iamframe
from iamframe import Inventory, check_snapshot, iter_snapshot, load_sample, open_snapshot, run_checks
from iamframe.errors import StoreError

Bucket = Callable[[str], str]
KEYS = "AKIAEXAMPLE:s3cr%2Ft@"


def names(address: str) -> list[str]:
    """The files in a folder of a bucket."""
    filesystem, path = FileSystem.from_uri(address)
    found = filesystem.get_file_info(FileSelector(path, recursive=True, allow_not_found=True))
    return sorted(one.path.removeprefix(f"{path}/") for one in found if one.is_file)


def test_a_snapshot_in_a_bucket_comes_back_as_it_was_saved(bucket: Bucket) -> None:
    inventory = of_accounts("123456789012", "a/b", "unknown")
    assert inventory.save(bucket("deep/er")) == bucket("deep/er")
    assert_same(inventory, open_snapshot(bucket("deep/er")))
    assert_same(inventory, iamframe.load(bucket("deep/er")))
    assert {"manifest.json", "roles/account=a%2Fb/part.parquet"} <= {*names(bucket("deep/er"))}


def test_some_accounts_of_a_bucket_need_no_file_of_the_others(bucket: Bucket) -> None:
    of_accounts("a", "b", "c").save(bucket("snap"))
    filesystem, path = FileSystem.from_uri(bucket("snap"))
    for name in names(bucket("snap")):
        if "account=b" in name:
            filesystem.delete_file(f"{path}/{name}")
    assert set(open_snapshot(bucket("snap"), ["a", "c"]).roles["account_id"]) == {"a", "c"}
    each = iter_snapshot(bucket("snap"))
    assert next(each).roles["account_id"].unique().tolist() == ["a"]
    with pytest.raises(StoreError, match=r"s3://.+/snap/\w+/account=b/part\.parquet: is missing; copy or save"):
        next(each)


def test_a_snapshot_in_a_bucket_is_not_replaced(bucket: Bucket) -> None:
    of_accounts("a").save(bucket("snap"))
    with pytest.raises(StoreError, match=r"^s3://bucket-\w+/snap: already holds a snapshot, .* or delete it first$"):
        of_accounts("b").save(bucket("snap"))
    assert_same(of_accounts("a"), open_snapshot(bucket("snap")))


def test_a_folder_with_files_of_no_snapshot_is_refused_before_anything_is_written(bucket: Bucket) -> None:
    filesystem, path = FileSystem.from_uri(bucket("snap"))
    with filesystem.open_output_stream(f"{path}/roles/more.parquet") as stream:
        stream.write(b"more")
    with pytest.raises(StoreError, match=r"^s3://bucket-\w+/snap: is not empty and holds no snapshot; choose another"):
        of_accounts("a").save(bucket("snap"))
    assert names(bucket("snap")) == ["roles/more.parquet"]


@pytest.mark.parametrize("address", ["s3://", "file:///", "file://"])
def test_an_address_without_a_folder_is_one_sentence(address: str) -> None:
    for attempt in (
        lambda: open_snapshot(address),
        lambda: iamframe.load(address),
        lambda: of_accounts("a").save(address),
        lambda: iamframe.load_fleet(["000000000001"], out=address),
    ):
        with pytest.raises(StoreError, match=f"^{address}: .*; give an address such as s3://BUCKET/FOLDER$"):
            attempt()


def test_a_file_that_somebody_put_beside_the_parts_is_named(bucket: Bucket) -> None:
    of_accounts("a").save(bucket("snap"))
    filesystem, path = FileSystem.from_uri(bucket("snap"))
    with filesystem.open_output_stream(f"{path}/roles/more.parquet") as stream:
        stream.write(b"more")
    with pytest.raises(StoreError, match=r"s3://.+/roles/more\.parquet: does not belong to the snapshot"):
        open_snapshot(bucket("snap"))


def test_a_bucket_or_a_folder_that_is_missing_is_one_sentence(bucket: Bucket) -> None:
    gone = re.sub("bucket-[^/]+", "bucket-that-is-gone", bucket("snap"))
    for address, said in (
        (gone, r"^s3://bucket-that-is-gone/snap: the bucket bucket-that-is-gone does not exist; check the address$"),
        (bucket("snap"), r"^s3://bucket-.+/snap/manifest\.json: does not exist or cannot be read"),
    ):
        with pytest.raises(StoreError, match=said):
            open_snapshot(address)
    with pytest.raises(StoreError, match=r"^s3://bucket-that-is-gone/snap: cannot be written \(.*NO_SUCH_BUCKET.*\)"):
        of_accounts("a").save(gone)


class Denying(BaseHTTPRequestHandler):
    """A store that denies everything."""

    def deny(self) -> None:
        self.send_response(403)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")

    do_HEAD = do_GET = do_PUT = do_POST = deny  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def denying(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Denying)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"s3://bucket/snap?region=us-east-1&scheme=http&endpoint_override=127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_store_that_denies_is_not_called_empty(denying: str) -> None:
    said = r"^s3://bucket/snap/manifest\.json: cannot be read \(.*ACCESS_DENIED.*\); check the address, the region and"
    for attempt in (
        lambda: open_snapshot(denying),
        lambda: of_accounts("a").save(denying),
        lambda: iamframe.load_fleet(["000000000001"], out=denying),
    ):
        with pytest.raises(StoreError, match=said):
            attempt()


@pytest.mark.parametrize(
    "address",
    [
        "",
        # A key that is not encoded, as somebody pastes it.
        f"s3://{KEYS.replace('%2F', '/')}bucket/snap",
        f"s4://{KEYS}bucket/snap?secret=s3cr",
    ],
)
def test_no_message_has_the_keys_of_an_address(address: str, denying: str) -> None:
    address = address or denying.replace("s3://", f"s3://{KEYS}")
    for attempt in (
        lambda: open_snapshot(address),
        lambda: open_snapshot(address, ["a"]),
        lambda: of_accounts("a").save(address),
        lambda: iamframe.take_snapshot(address, "sample"),
        lambda: iamframe.load_fleet(["000000000001"], out=address),
        lambda: check_snapshot(address, address),
    ):
        with pytest.raises(StoreError) as caught:
            attempt()
        assert re.search("s[34]://bucket/snap", str(caught.value))
        assert not re.search("AKIA|s3cr", str(caught.value))


def test_no_message_about_a_snapshot_has_the_keys_of_its_address(bucket: Bucket) -> None:
    address = bucket("snap").replace("s3://", f"s3://{KEYS}")
    iamframe.take_snapshot(address, "sample")
    for attempt in (
        lambda: open_snapshot(address, ["x"]),
        lambda: iamframe.take_snapshot(address, "sample"),
        lambda: iamframe.load_fleet(["000000000001"], out=address),
    ):
        with pytest.raises(StoreError, match=r"^s3://bucket-\w+/snap: ") as caught:
            attempt()
        assert not re.search("AKIA|s3cr", str(caught.value))


def test_the_command_saves_files_in_a_bucket_and_reads_them_there(bucket: Bucket, tmp_path: Path) -> None:
    held = profile("web", nested_role("web"))
    write(tmp_path / "dump", {"dump.json": dump(role_detail("web", [held]))})
    done = commands.run(tmp_path, "snapshot", "dump", "--out", bucket("snap"))
    assert (done.returncode, done.stdout.splitlines()[1]) == (0, f"Snapshot: {bucket('snap').partition('?')[0]}")
    assert_same(open_snapshot(bucket("snap")), iamframe.load(bucket("snap")))
    assert open_snapshot(bucket("snap")).roles["role_name"].tolist() == ["web"]
    again = commands.run(tmp_path, "snapshot", "dump", "--out", bucket("snap"))
    assert again.returncode == 2
    assert "already holds a snapshot" in again.stderr


def by_id(findings: pd.DataFrame) -> pd.DataFrame:
    return findings.sort_values("finding_id", ignore_index=True)


def test_a_snapshot_in_a_bucket_is_checked_shard_by_shard_into_the_bucket(bucket: Bucket) -> None:
    sample = load_sample()
    sample.save(bucket("snap"))
    with ThreadPoolExecutor(2) as threads:
        checked = check_snapshot(bucket("snap"), bucket("checked"), executor=threads, shard_size=1)
        again = check_snapshot(bucket("snap"), bucket("checked"), executor=threads, shard_size=1)
    whole = run_checks(sample)
    assert len(sample.accounts) > 1
    assert sum(name.startswith("shards/") for name in names(bucket("checked"))) == len(sample.accounts)
    for result in (checked, again):
        pd.testing.assert_frame_equal(by_id(result.findings), by_id(whole.findings))
        keys = ["account_id", "check"]
        pd.testing.assert_frame_equal(
            result.coverage.sort_values(keys, ignore_index=True), whole.coverage.sort_values(keys, ignore_index=True)
        )


def test_an_unfinished_snapshot_of_a_fleet_is_not_mixed_with_another_one(bucket: Bucket) -> None:
    filesystem, path = FileSystem.from_uri(bucket("snap"))
    with filesystem.open_output_stream(f"{path}/.unfinished/asked.json") as stream:
        stream.write(b"{}")
    with pytest.raises(StoreError, match=r"/snap: holds an unfinished snapshot; choose another folder, or delete it$"):
        of_accounts("a").save(bucket("snap"))
    assert names(bucket("snap")) == [".unfinished/asked.json"]


def test_an_inventory_without_rows_comes_back_from_a_bucket(bucket: Bucket) -> None:
    nothing = load_sample().only([])
    nothing.save(bucket("snap"))
    opened = open_snapshot(bucket("snap"))
    assert isinstance(opened, Inventory)
    assert_same(nothing, opened)
