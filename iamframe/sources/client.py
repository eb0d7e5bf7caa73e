"""Send requests to AWS, and keep the answers in a journal.

iamframe's boto3 clients block every operation that is not in `knowledge.operations`. boto3's answers are converted to
the AWS CLI's JSON, so live accounts and files share the same decoders.
"""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from botocore import exceptions as failures
from botocore import xform_name
from botocore.config import Config
from botocore.parsers import ResponseParserError, ResponseParserFactory
from botocore.utils import parse_timestamp

from iamframe.errors import IamframeError
from iamframe.knowledge.operations import GLOBAL, IDENTITY, label
from iamframe.sources.guards import guard, guard_requests
from iamframe.sources.journal import Entry, Journal
from iamframe.sources.records import CallStats, make_decoders
from iamframe.sources.refusals import THROTTLED, RequestFailed, failure_of, is_unknown_host
from iamframe.sources.sessions import PATIENCE, share_models

if TYPE_CHECKING:
    import boto3

# The log has operations, regions, waits and refusals, but no parameters or answers, which may be secret.
LOG = logging.getLogger("iamframe")
# The service that is called first, to find out quickly whether AWS can be reached at all.
FIRST = "sts"
# Botocore's default retry mode changes between releases. In the default mode, some calls fail when AWS throttles
# requests.
_PATIENCE = {"connect_timeout": 10, "read_timeout": 60, "retries": {"mode": "standard", "total_max_attempts": 10}}
# Errors of an answer that was cut off after botocore accepted it as complete. Botocore does not repeat the call.
_CUT = (ResponseParserError, failures.IncompleteReadError, failures.ResponseStreamingError)
# Botocore retries the last two, but gives up before a service in trouble has recovered.
_BROKEN = (*_CUT, failures.ConnectionClosedError, failures.ReadTimeoutError)
_BROKEN_WAITS = (0.2, 0.4, 0.8)
# boto3's own errors, and errors of files, programs and addresses that boto3 does not catch.
_FAILED = (failures.BotoCoreError, failures.ClientError, ResponseParserError, OSError, ValueError)
_NOT_WANTED = "nobody waits for the answer any more"
# The rate after the first refusal. IAM allows at least 15 requests per second of one operation (measured by others).
_AFTER_FIRST = 20.0
# The gain per second without throttling, the factor after throttling, and the lowest rate.
_GAIN = 2.0
_LOSS = 0.7
_LEAST = 1.0


class Identity(msgspec.Struct, rename="pascal"):
    account: str
    arn: str


class Pacer:
    """The rate limit, in requests per second, that all threads share.

    AWS publishes no request limits for IAM. All users of an account share the request limits. If iamframe uses up a
    request limit, requests of other users may fail.
    """

    def __init__(
        self,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        # Without a rate, requests wait only after AWS has throttled a request.
        self._most = rate or math.inf
        # The rate at a time. Before the first throttled request, that time is infinitely long ago.
        self._rate, self._since = 0.0, -math.inf
        self._next = -math.inf
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()

    def wait(self) -> float:
        with self._lock:
            now = self._clock()
            at = max(now, self._next)
            self._next = at + 1 / self._current_rate()
        if at > now:
            self._sleep(min(at - now, threading.TIMEOUT_MAX))
        return at - now

    def refused(self) -> None:
        with self._lock:
            rate, now = self._current_rate(), self._clock()
            if rate == math.inf:
                rate, self._next = _AFTER_FIRST, now + 1 / _AFTER_FIRST
            elif now - self._since < 1:
                # When a limit is reached, AWS throttles nearly all requests.
                return
            else:
                rate = max(rate * _LOSS, _LEAST)
            self._rate, self._since = min(rate, self._most), now

    def _current_rate(self) -> float:
        return min(self._rate + _GAIN * (self._clock() - self._since), self._most)


@dataclass
class Client:
    """Sends requests to one account. Several threads can share the object."""

    session: boto3.Session
    region: str
    workers: int = 16
    rate: float | None = None
    journal: Journal | None = None
    tallies: defaultdict[tuple[str, str], CallStats] = field(default_factory=lambda: defaultdict(CallStats))
    # AWS's messages, by the denied operation.
    denials: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    answered: Counter[str] = field(default_factory=Counter)
    # Part of each key in the journal, so that answers of another account are never used.
    account_id: str | None = None
    # Set when the credentials expire or the load fails. Later calls raise it, unless the journal has the answer.
    stopped: RequestFailed | None = None
    # Set when the answers are no longer wanted. The clients of a fleet share the event.
    ended: threading.Event = field(default_factory=threading.Event)
    _asks_anew: bool = False
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _pacers: dict[tuple[str, str], Pacer] = field(default_factory=dict)
    _making: threading.RLock = field(default_factory=threading.RLock)
    _counting: threading.Lock = field(default_factory=threading.Lock)
    _sent: threading.local = field(default_factory=threading.local)

    def identity(self) -> Identity:
        try:
            return msgspec.json.decode(self.call(FIRST, IDENTITY), type=Identity)
        except msgspec.ValidationError as error:
            raise failure_of(error) from error

    def call(
        self,
        service: str,
        operation: str,
        region: str = GLOBAL,
        counted_as: str = "",
        none_codes: Collection[str] = (),
        **parameters: Any,
    ) -> bytes:
        """Raise `RequestFailed` if the call fails.

        Raise `WriteBlocked` if the request is not a read operation in the table of operations.
        """
        name = counted_as or label(service, operation)
        # STS is always called: the credentials may have changed since the journal began.
        journal = self.journal if service != FIRST and self.account_id is not None else None
        asked = [self.account_id, service, operation, region, parameters]
        key = msgspec.json.encode(asked, order="sorted").decode()
        if journal is not None and not self._asks_anew and (entry := journal.get(key)) is not None:
            self._count(name, region, entry.requests, entry.started_at, entry.ended_at)
            with self._counting:
                self.answered[name] += 1
            return bytes(entry.body)
        if self.stopped is not None:
            raise self.stopped
        started_at = _now()
        self._sent.requests = 0
        try:
            answer = self._whole(self.boto3_client(service, region), operation, parameters, service)
            body = msgspec.json.encode(answer)
        except _FAILED as error:
            refusal = failure_of(error)
            where = self.region if region == GLOBAL else region
            LOG.info("%s in %s: refused with %s", refusal.operation or name, where, refusal.code)
            if refusal.code not in none_codes:
                if refusal.reason == "denied":
                    with self._counting:
                        self.denials[name].append(refusal.message)
                if refusal.reason == "expired":
                    self.stopped = refusal
                raise refusal from error
            # The requested resource does not exist.
            body = b"null"
        finally:
            self._count(name, region, self._sent.requests, started_at, _now())
        if journal is not None:
            journal.put(Entry(key, self._sent.requests, started_at, _now(), msgspec.Raw(body)))
        with self._counting:
            self.answered[name] += 1
        return body

    def pages(self, service: str, operation: str, region: str = GLOBAL, **parameters: Any) -> Iterator[bytes]:
        seen = set()
        token: dict[str, str] = {}
        while True:
            page = self.call(service, operation, region, **parameters, **token)
            yield page
            try:
                token, more = _next_page(page)
            except msgspec.ValidationError as error:
                raise failure_of(error) from error
            if more and not token:
                raise RequestFailed(
                    "truncated", "PaginationError", f"{operation} says that there is more, and not where"
                )
            if not token:
                return
            (mark,) = token.values()
            if mark in seen:
                raise RequestFailed("truncated", "PaginationError", f"{operation} gave the same page marker twice")
            seen.add(mark)

    def boto3_client(self, service: str, region: str = GLOBAL) -> Any:
        key = (service, self.region if region == GLOBAL else region)
        with self._making:
            if key not in self._clients:
                self._clients[key] = self._new_client(*key)
            return self._clients[key]

    def takes(self, service: str, operation: str, parameter: str, region: str = GLOBAL) -> bool:
        try:
            shape = self.boto3_client(service, region).meta.service_model.operation_model(operation).input_shape
        except _FAILED:
            # The call itself will fail and give the reason.
            return False
        return shape is not None and parameter in shape.members

    @contextmanager
    def bypass_journal(self) -> Iterator[None]:
        self._asks_anew = True
        try:
            yield
        finally:
            self._asks_anew = False

    def end(self, *, for_all: bool) -> None:
        if for_all:
            self.ended.set()
        self.stopped = self.stopped or RequestFailed("not_asked", "Ended", _NOT_WANTED)

    def always_denied(self, operation: str) -> bool:
        return len(self.denials[operation]) >= 20 and not self.answered[operation]

    def _new_client(self, service: str, region: str) -> Any:
        config = Config(
            **(PATIENCE if service == FIRST else _PATIENCE),
            max_pool_connections=self.workers + 2,
            user_agent_extra="iamframe",
            # All parameters are iamframe's own; validating them takes as long as sending them.
            parameter_validation=False,
        )
        with _quick_dates(self.session):
            client = self.session.client(service, region_name=region, config=config)
        # AWS limits requests per service, and EC2's also per region.
        pacer = self._pacers.setdefault((service, region), Pacer(self.rate, sleep=self.ended.wait))
        events = client.meta.events
        events.register_first("before-call", guard(service))
        events.register_first("before-send", self._before_send(pacer, region))
        events.register_first("needs-retry", _watch(pacer, region))
        events.register_first("before-parse", check_answer)
        guard_requests(client, service)
        return client

    def _before_send(self, pacer: Pacer, region: str) -> Callable[..., None]:
        def before_send(event_name: str = "", **_: Any) -> None:
            waited = pacer.wait()
            if self.ended.is_set():
                raise RequestFailed("not_asked", "Ended", _NOT_WANTED)
            if self.stopped is not None:
                raise self.stopped
            LOG.info(
                "%s in %s: sending the request after a wait of %.2f s", event_name.rpartition(".")[2], region, waited
            )
            self._sent.requests += 1

        return before_send

    def _whole(self, client: Any, operation: str, parameters: dict[str, Any], service: str) -> dict[str, Any]:
        broken = _CUT if service == FIRST else _BROKEN
        for wait in _BROKEN_WAITS:
            try:
                return _call(client, operation, parameters)
            except broken:
                time.sleep(wait)
        return _call(client, operation, parameters)

    def _count(self, operation: str, region: str, requests: int, started_at: str, ended_at: str) -> None:
        with self._counting:
            self.tallies[operation, region].add(requests, started_at, ended_at)


def _call(client: Any, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    method = getattr(client, xform_name(operation), None)
    if method is None:
        message = "the boto3 that is installed does not know it; install a newer one"
        raise RequestFailed("unreadable", "UnknownOperation", message)
    try:
        answer: dict[str, Any] = method(**parameters)
    except (IamframeError, RequestFailed, *_FAILED):
        raise
    except Exception as error:
        # Botocore's parsers raise any exception for an error without AWS's form, such as one without a code.
        raise ResponseParserError(f"the response is not from AWS ({type(error).__name__}: {error})") from error
    answer.pop("ResponseMetadata", None)
    return answer


# Pagination: the token in an answer has the same name as the parameter of the next call (botocore's paginators).
_TOKENS = ("Marker", "NextToken", "nextToken", "PaginationToken")
_MARKS = msgspec.json.Decoder(
    msgspec.defstruct("Marks", [("IsTruncated", bool, False), *((name, str | None, None) for name in _TOKENS)])
).decode


def _next_page(page: bytes) -> tuple[dict[str, str], bool]:
    # IAM may end a page at any size. IAM sets `IsTruncated` if more items follow (IAM API Reference, ListRoleTags).
    marks = msgspec.structs.asdict(_MARKS(page))
    more = marks.pop("IsTruncated")
    return {name: token for name, token in marks.items() if token}, more


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


@contextmanager
def _quick_dates(session: boto3.Session) -> Iterator[None]:
    core = session._session  # noqa: SLF001 - boto3 does not give its parts away
    parsers = ResponseParserFactory()
    # A quarter of botocore's work on an answer is parsing dates. The AWS CLI also replaces botocore's date parser.
    parsers.set_parser_defaults(timestamp_parser=parse_date)
    usual = {name: core.get_component(name) for name in ("response_parser_factory", "data_loader")}
    core.register_component("response_parser_factory", parsers)
    share_models(session)
    try:
        yield
    finally:
        for name, component in usual.items():
            core.register_component(name, component)


def parse_date(value: Any) -> datetime:
    if isinstance(value, str) and value[4:5] == "-":
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    return parse_timestamp(value)  # type: ignore[no-any-return]


# The first element of an XML answer, after its declaration.
_ROOT = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<(?:\w+:)?(\w+)")


def check_answer(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """Botocore may read a web page or truncated JSON as an empty list.

    A web page may come from a proxy, or be a network's login page.
    """
    if response_dict["status_code"] >= 300:
        return
    body, protocol = response_dict["body"], operation_model.service_model.resolved_protocol
    is_answer = True
    if protocol in ("query", "ec2"):
        root = _ROOT.match(body)
        # AWS names the element after the operation; emulators may use another name. Botocore needs the wrapper.
        shape = operation_model.output_shape
        wrapper = str(shape.serialization.get("resultWrapper", "") if shape is not None else "").encode()
        is_answer = root is not None and root.group(1).endswith(b"Response") and wrapper in body
    elif protocol in ("json", "rest-json"):
        try:
            msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError):
            is_answer = False
    if not is_answer:
        start = " ".join(body[:60].decode("utf-8", "replace").split())
        raise ResponseParserError(f"the answer to {operation_model.name} begins with {start!r}")


def _watch(pacer: Pacer, region: str) -> Callable[..., None]:
    is_known = False

    def notice(
        response: Any, caught_exception: Exception | None, attempts: int, event_name: str = "", **_: Any
    ) -> None:
        nonlocal is_known
        if response is not None:
            is_known = True
            if response[1].get("Error", {}).get("Code") in THROTTLED:
                LOG.info("%s in %s: throttled", event_name.rpartition(".")[2], region)
                pacer.refused()
        # A region may not have the service, and ten attempts take minutes. A host that answered before does exist, so
        # then the network is down for a while.
        elif caught_exception is not None and not is_known and attempts > 1 and is_unknown_host(caught_exception):
            raise caught_exception

    return notice


make_decoders([Identity])
