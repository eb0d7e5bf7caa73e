"""Asking AWS: each request as JSON text, at a pace that AWS lets pass, refused where it is no read of iamframe's.

What boto3 answers becomes the JSON that the AWS CLI would have printed, so that one typed decoder serves live accounts
and files, and so that a load which was cut off can go on from it. Retries are botocore's `standard` mode with ten
attempts, always set: its default changes between releases and loses calls under throttling. An answer that breaks off
in the middle is no error that botocore tries again, so that it is tried again here.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from botocore import exceptions as failures
from botocore.config import Config
from botocore.parsers import ResponseParserError, ResponseParserFactory
from botocore.utils import parse_timestamp

from iamframe.errors import IamframeError
from iamframe.knowledge.operations import GLOBAL, RESTS, TARGETS, is_read, label
from iamframe.sources.journal import Entry, Journal
from iamframe.sources.pacing import Pacer
from iamframe.sources.records import Tally
from iamframe.sources.refusals import THROTTLED, NotARead, Refused, is_nowhere, refusal_of
from iamframe.sources.sessions import PATIENCE

if TYPE_CHECKING:
    import boto3

# The service that is asked first, and tells whether AWS can be reached at all.
FIRST = "sts"
ATTEMPTS = 10
_BROKEN_ATTEMPTS = 4
# What an answer raises that was cut off after botocore took it for a whole one.
_CUT = (ResponseParserError, failures.IncompleteReadError, failures.ResponseStreamingError)
# Botocore tries these again by itself, but gives up before a service that is in trouble is out of it.
_BROKEN = (*_CUT, failures.ConnectionClosedError, failures.ReadTimeoutError)
# What boto3 raises, with what it lets through of files and programs that are to give credentials, and of addresses.
_FAILED = (failures.BotoCoreError, failures.ClientError, ResponseParserError, OSError, ValueError)


@dataclass
class Asker:
    """Asks one account through one session: clients, pace, journal, counts, all shared by its threads."""

    session: boto3.Session
    region: str
    workers: int = 16
    rate: float | None = None
    journal: Journal | None = None
    tallies: defaultdict[tuple[str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    refusals: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    # Whose answers these are: those of another account in the same journal are not taken for them.
    account_id: str | None = None
    # Why nothing more is asked: credentials that expired do not come back.
    stopped: Refused | None = None
    # Set where nobody waits for the answers any more.
    ended: threading.Event = field(default_factory=threading.Event)
    _asks_anew: bool = False
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _pacers: dict[tuple[str, str], Pacer] = field(default_factory=dict)
    _making: threading.RLock = field(default_factory=threading.RLock)
    _counting: threading.Lock = field(default_factory=threading.Lock)
    _sent: threading.local = field(default_factory=threading.local)

    def ask(self, service: str, operation: str, region: str = GLOBAL, **parameters: Any) -> bytes:
        """Return the JSON that AWS answers to one read.

        Raises
        ------
        Refused
            If AWS refuses it, it cannot be reached, or the credentials have expired meanwhile.
        NotARead
            If the operation is not on the list of reads; nothing is sent then.
        """
        name = label(service, operation)
        # Who asks is asked anew each time: the credentials may be others than those that began the journal.
        journal = self.journal if service != FIRST and self.account_id is not None else None
        asked = [self.account_id, service, operation, region, parameters]
        key = msgspec.json.encode(asked, order="sorted").decode()
        if journal is not None and not self._asks_anew and (entry := journal.get(key)) is not None:
            self._count(name, region, entry.requests, entry.started_at, entry.ended_at)
            return bytes(entry.body)
        if self.stopped is not None:
            raise self.stopped
        started_at = _now()
        self._sent.requests = 0
        try:
            answer = self._whole(self.client(service, region), operation, parameters, service)
        except _FAILED as error:
            refusal = refusal_of(error)
            if refusal.reason == "denied":
                with self._counting:
                    self.refusals[name] += 1
            if refusal.reason == "expired":
                self.stopped = refusal
            raise refusal from error
        finally:
            self._count(name, region, self._sent.requests, started_at, _now())
        answer.pop("ResponseMetadata", None)
        body = msgspec.json.encode(answer)
        if journal is not None:
            journal.put(Entry(key, self._sent.requests, started_at, _now(), msgspec.Raw(body)))
        with self._counting:
            self.answered[name] += 1
        return body

    def pages(self, service: str, operation: str, region: str = GLOBAL, **parameters: Any) -> Iterator[bytes]:
        """Yield the JSON of each page of a listing, in pages as large as AWS allows.

        Raises
        ------
        Refused
            As `ask`; the pages before it were yielded.
        """
        seen = set()
        token: dict[str, str] = {}
        while True:
            page = self.ask(service, operation, region, **parameters, **token)
            yield page
            token, more = _next_page(page)
            if more and not token:
                raise Refused("truncated", "PaginationError", f"{operation} says that there is more, and not where")
            if not token:
                return
            (mark,) = token.values()
            if mark in seen:
                raise Refused("truncated", "PaginationError", f"{operation} gave the same page marker twice")
            seen.add(mark)

    def client(self, service: str, region: str = GLOBAL) -> Any:
        """Return the client of a service, made once per region and shared by all threads."""
        where = self.region if region == GLOBAL else region
        key = (service, where)
        with self._making:
            if key not in self._clients:
                self._clients[key] = self._made(service, where)
            return self._clients[key]

    @property
    def partition(self) -> str:
        """The partition of the region that is asked."""
        return str(self.session.get_partition_for_region(self.region))

    def takes(self, service: str, operation: str, parameter: str, region: str = GLOBAL) -> bool:
        """Return whether the installed botocore knows a parameter of an operation."""
        try:
            shape = self.client(service, region).meta.service_model.operation_model(operation).input_shape
        except _FAILED:
            # Why it cannot be asked is told where it is asked.
            return False
        return shape is not None and parameter in shape.members

    @contextmanager
    def anew(self) -> Iterator[None]:
        """Ask within for what the journal has an answer to as well: that one may be out of date."""
        self._asks_anew = True
        try:
            yield
        finally:
            self._asks_anew = False

    def hopeless(self, operation: str) -> bool:
        """Return whether an operation was refused so often, and never answered, that asking on is noise."""
        return self.refusals[operation] >= 20 and not self.answered[operation]

    def _made(self, service: str, region: str) -> Any:
        patience = {
            "connect_timeout": 10,
            "read_timeout": 60,
            "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
        }
        config = Config(
            **(PATIENCE if service == FIRST else patience),
            max_pool_connections=self.workers + 2,
            user_agent_extra="iamframe",
            # What is sent is iamframe's own; checking each request against the model costs as much as sending it.
            parameter_validation=False,
        )
        with _quick(self.session):
            client = self.session.client(service, region_name=region, config=config)
        # One bucket per service where AWS has one: IAM is global, EC2's buckets are a region's own.
        pacer = self._pacers.setdefault((service, region), Pacer(self.rate, sleep=self.ended.wait))
        events = client.meta.events
        events.register_first("before-call", guard(service))
        events.register_first("before-send", self._before_send(pacer))
        events.register_first("needs-retry", _noticing(pacer))
        events.register_first("before-parse", check_answer)
        guard_requests(client, service)
        return client

    def _before_send(self, pacer: Pacer) -> Callable[..., None]:
        def before_send(**_: Any) -> None:
            pacer.wait()
            if self.ended.is_set():
                raise Refused("not_asked", "Ended", "nobody waits for the answer any more")
            if self.stopped is not None:
                raise self.stopped
            self._sent.requests += 1

        return before_send

    def _whole(self, client: Any, operation: str, parameters: dict[str, Any], service: str) -> dict[str, Any]:
        method = getattr(client, _method(client, operation))
        broken = _CUT if service == FIRST else _BROKEN
        for attempt in range(1, _BROKEN_ATTEMPTS):
            try:
                return _called(method, parameters)
            except broken:
                time.sleep(0.1 * 2**attempt)
        return _called(method, parameters)

    def _count(self, operation: str, region: str, requests: int, started_at: str, ended_at: str) -> None:
        with self._counting:
            self.tallies[operation, region].add(requests, started_at, ended_at)


# Reading the models of all services again for each session would take a second per account.
_LOADERS: dict[tuple[str, ...], Any] = {}


@contextmanager
def _quick(session: boto3.Session) -> Iterator[None]:
    """Make clients within that read dates quickly, from models that all sessions share.

    Botocore's own reading of dates is a quarter of all that it does for an answer. How the clients that are made
    meanwhile read them is set as the AWS CLI sets it; those that others make of this session keep their own.
    """
    core = session._session  # noqa: SLF001 - boto3 hands its parts to nobody
    loader = core.get_component("data_loader")
    parsers = ResponseParserFactory()
    parsers.set_parser_defaults(timestamp_parser=parse_date)
    quick = {
        "response_parser_factory": parsers,
        # Another place of models is another loader.
        "data_loader": _LOADERS.setdefault(tuple(loader.search_paths), loader),
    }
    usual = {name: core.get_component(name) for name in quick}
    for name, component in quick.items():
        core.register_component(name, component)
    try:
        yield
    finally:
        for name, component in usual.items():
            core.register_component(name, component)


def parse_date(value: Any) -> datetime:
    """Return the date of an answer, in whatever form that botocore reads.

    Raises
    ------
    ValueError
        If it is no date.
    """
    if isinstance(value, str) and value[4:5] == "-":
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    return parse_timestamp(value)  # type: ignore[no-any-return]


def guard(service: str) -> Callable[..., None]:
    """Return a handler of botocore's `before-call` that lets only iamframe's reads pass."""

    def refuse(model: Any, **_: Any) -> None:
        if not is_read(service, model.name):
            raise NotARead(f"{service}:{model.name} is not one of the reads that iamframe makes, so it was not sent")

    return refuse


def guard_requests(client: Any, service: str) -> None:
    """Let a client send nothing but what names, in the request itself, a read of iamframe's.

    The operation's name is not enough: what is sent for it is made by a model, which files on the machine can replace.
    """
    base = urlsplit(client.meta.endpoint_url).path.rstrip("/")

    def refuse(request: Any, event_name: str, **_: Any) -> None:
        operation = event_name.rpartition(".")[2]
        if is_read(service, operation) and _names(service, operation, base, request):
            return
        where = " or ".join(filter(None, (os.environ.get("AWS_DATA_PATH"), "~/.aws/models")))
        raise NotARead(
            f"{service}:{operation} was not sent, since boto3 would send {_said(request)}, which is not that read: "
            f"its model of {service} was changed; look for {service} in {where} and move it away, or install boto3 and "
            "iamframe anew"
        )

    # Whatever else changes a request does so before: this is the last that is called, for each attempt.
    client.meta.events.register_last("before-send", refuse)


_FORM = "application/x-www-form-urlencoded"
_SMITHY = re.compile(r"/service/(?P<prefix>\w+)/operation/(?P<operation>\w+)")


def _names(service: str, operation: str, base: str, request: Any) -> bool:
    """Return whether a prepared request names this operation, in the one way that its service knows, and no other."""
    place = urlsplit(request.url)
    path = place.path.removeprefix(base)
    kind, target = (_text(request.headers.get(name, "")) for name in ("Content-Type", "X-Amz-Target"))
    is_form = kind.partition(";")[0].strip().lower() == _FORM
    if rest := RESTS.get((service, operation)):
        asked = (request.method, path) == (rest.method, rest.path)
        return asked and not (place.query or place.fragment or target or is_form)
    if request.method != "POST" or place.query or place.fragment:
        return False
    # Of a service that is asked by forms so far, nobody knows how it will be called in a protocol that it has later.
    prefix = re.escape(TARGETS[service]) if service in TARGETS else r"\w+"
    if smithy := _SMITHY.fullmatch(path):
        return bool(re.fullmatch(prefix, smithy["prefix"])) and smithy["operation"] == operation and not target
    if path not in ("", "/"):
        return False
    if target:
        return re.fullmatch(rf"{prefix}\.{operation}", target) is not None and not is_form
    return service not in TARGETS and is_form and _actions(request.body) == [operation]


def _actions(body: Any) -> list[str] | None:
    """Return all that a form calls its action, None where it is no form that can be read."""
    if not isinstance(body, (bytes, bytearray, str)):
        return None
    return [value for name, value in parse_qsl(_text(body), keep_blank_values=True) if name.strip().lower() == "action"]


def _said(request: Any) -> str:
    """Return what a request asks for, in a few words."""
    place, target = urlsplit(request.url), _text(request.headers.get("X-Amz-Target", ""))
    where = (place.path or "/") + (f"?{place.query}" if place.query else "")
    action = target or ", ".join(f"Action={action}" for action in _actions(request.body) or ())
    return " ".join(f"{request.method} {where[:200]} {action[:200]}".split())


def _text(value: bytes | bytearray | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


# The element that an XML answer begins with, after its declaration.
_ROOT = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<(?:\w+:)?(\w+)")


def check_answer(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """Refuse what says that all is well and is no answer of AWS's to this operation; for botocore's `before-parse`.

    Botocore takes the page of a proxy or of a network's login, and JSON that was cut off, for an answer that holds
    nothing: an empty list that would mean "there is none".

    Raises
    ------
    ResponseParserError
        If the answer is another document.
    """
    if response_dict["status_code"] >= 300:
        return
    body, protocol = response_dict["body"], operation_model.service_model.resolved_protocol
    if protocol in ("query", "ec2"):
        root = _ROOT.match(body)
        # Of AWS it is the operation's own name; what stands in for AWS may know it by another.
        answers = root is not None and root.group(1).endswith(b"Response") and _wrapper(operation_model) in body
    elif protocol in ("json", "rest-json"):
        try:
            msgspec.json.decode(body, type=dict[str, msgspec.Raw])
            answers = True
        except (msgspec.DecodeError, UnicodeDecodeError):
            answers = False
    else:
        return
    if not answers:
        start = " ".join(body[:60].decode("utf-8", "replace").split())
        raise ResponseParserError(f"the answer to {operation_model.name} begins with {start!r}")


def _wrapper(operation_model: Any) -> bytes:
    # Where it is missing, botocore ends in a KeyError.
    shape = operation_model.output_shape
    return str(shape.serialization.get("resultWrapper", "") if shape is not None else "").encode()


def _noticing(pacer: Pacer) -> Callable[..., None]:
    known = False

    def notice(response: Any, caught_exception: Exception | None, attempts: int, **_: Any) -> None:
        nonlocal known
        if response is not None:
            known = True
            if response[1].get("Error", {}).get("Code") in THROTTLED:
                pacer.refused()
        # Nobody is at a name that does not exist, as of a region without the service; ten tries take minutes. Where
        # there was somebody before, the network is down for a while.
        elif caught_exception is not None and not known and attempts > 1 and is_nowhere(caught_exception):
            raise caught_exception

    return notice


# All services that are read name the token of an answer as the parameter that takes it (botocore's paginators).
_TOKENS = ("Marker", "NextToken", "nextToken", "PaginationToken")
_MARKS = msgspec.json.Decoder(
    msgspec.defstruct("Marks", [("IsTruncated", bool, False), *((name, str | None, None) for name in _TOKENS)])
).decode


def _next_page(page: bytes) -> tuple[dict[str, str], bool]:
    """Return the parameter that asks for the page after this one, none where it is the last; and what IAM says of it.

    IAM may cut a listing short of any size, and says so in `IsTruncated` (IAM API Reference, ListRoleTags).
    """
    marks = msgspec.structs.asdict(_MARKS(page))
    more = marks.pop("IsTruncated")
    return {name: token for name, token in marks.items() if token}, more


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _method(client: Any, operation: str) -> str:
    names: dict[str, str] = client.meta.method_to_api_mapping
    for name, api in names.items():
        if api == operation:
            return name
    raise Refused("unreadable", "UnknownOperation", "the boto3 that is installed does not know it; install a newer one")


def _called(method: Callable[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = method(**parameters)
    except (IamframeError, Refused, *_FAILED):
        raise
    except Exception as error:
        # An error that has not AWS's form makes botocore's parsers fail in whatever way, as one without a code does.
        raise ResponseParserError(f"what came back is no answer of AWS ({type(error).__name__}: {error})") from error
    else:
        return answer
