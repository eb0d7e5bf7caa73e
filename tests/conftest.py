"""What all tests share: a real browser, and what is done once for all of them."""

from __future__ import annotations

import functools
import gc
import os
import secrets
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import moto.backends
import moto.core.responses
import pytest
import searching  # noqa: F401 (it loads the profile of Hypothesis)
from botocore.client import ClientCreator
from botocore.hooks import EventAliaser, NodeList
from botocore.retries.standard import ExponentialBackoff
from moto.core.utils import method_names_from_class
from moto.server import ThreadedMotoServer
from playwright.sync_api import Browser, sync_playwright

from iamframe.inventory import load
from iamframe.practice import PracticeAccount
from iamframe.report import page
from iamframe.sources import client

# moto makes 1,300 machine images for each region of each account, which takes a third of a second; here it makes one.
os.environ.setdefault("MOTO_AMIS_PATH", str(Path(__file__).with_name("images.json")))

# Dask's profiler calls sys._current_frames, which in Python 3.11 can deadlock while a thread starts (CPython issue
# gh-106883).
os.environ.setdefault("DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED", "False")

# Imports leave no garbage, and small tests leave little; searching for it is a tenth of their time.
gc.disable()
gc.set_threshold(20_000)

OUTSIDE = Path(__file__).parent / "outside"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def needed(found: object, what: str, how: str) -> None:
    """Go on if a part was found; without it the test is skipped, and fails in CI, which has every part."""
    if not found:
        reason = f"{what} is not on this machine: {how}"
        if os.environ.get("IAMFRAME_CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def pytest_configure() -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Started in the background, where interrupts are ignored, which programs that tests interrupt would inherit.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if OUTSIDE in item.path.parents:
            item.add_marker("outside")
    # Files are handed out whole, since accounts, pages and servers are shared within them; the longest go first.
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.get_closest_marker("outside") is None, -tests[item.path]))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _without_waiting() -> Iterator[None]:
    """Do once for all tests what takes long each time, and wait for no broken answer to become whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "page_template", functools.cache(page.page_template))
        patch.setattr(load, "load_sample", functools.cache(load.load_sample))
        patch.setattr(client, "_BROKEN_WAITS", [0.01] * len(client._BROKEN_WAITS))
        delay = ExponentialBackoff.delay_amount
        patch.setattr(ExponentialBackoff, "delay_amount", lambda backoff, tries: delay(backoff, tries) / 20)
        # moto looks for its own modules on the disk at each request, and for the methods of its classes.
        modules = [*moto.backends.list_of_moto_modules()]
        patch.setattr(moto.backends, "list_of_moto_modules", lambda: modules)
        patch.setattr(moto.core.responses, "method_names_from_class", functools.cache(method_names_from_class))
        # botocore renames the same events for each client, and makes the class of a service anew.
        renamed = functools.cache(EventAliaser(None)._alias_event_name)
        patch.setattr(EventAliaser, "_alias_event_name", lambda _, event: renamed(event))
        patch.setattr(NodeList, "__copy__", lambda nodes: NodeList(*(part[:] for part in nodes)))
        make, made = ClientCreator._create_client_class, {}

        def client_class(creator: Any, service: str, model: Any) -> Any:
            described = model._service_description
            if made.get(service, [None])[0] is not described:
                made[service] = described, make(creator, service, model)
            return made[service][1]

        patch.setattr(ClientCreator, "_create_client_class", client_class)
        yield


@pytest.fixture
def account() -> Iterator[PracticeAccount]:
    """A practice account of one region with nothing in it; one is opened in a millisecond."""
    with PracticeAccount(regions=("us-east-1",)) as opened:
        yield opened


@pytest.fixture
def organization(account: PracticeAccount, monkeypatch: pytest.MonkeyPatch) -> PracticeAccount:
    """That account, to which the variables of the AWS command line lead; members can be added."""
    for name, value in account.environment().items():
        monkeypatch.setenv(name, value)
    return account


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The host and port of an S3 server on this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """A new bucket of that server: the address of each folder in it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, os.environ.get(name, "testing"))
    name = f"bucket-{secrets.token_hex(4)}"
    boto3.client("s3", endpoint_url=f"http://{s3_server}", region_name="us-east-1").create_bucket(Bucket=name)
    return lambda folder: f"s3://{name}/{folder}?region=us-east-1&scheme=http&endpoint_override={s3_server}"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The Chromium of this machine."""
    found = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    needed(found, "a browser", f"put one of {', '.join(CHROMIUMS)} on the PATH")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=list(QUIET))
        yield chromium
        chromium.close()
