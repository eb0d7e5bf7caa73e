"""Make iamframe's boto3 clients block all requests, except the read operations that iamframe needs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from iamframe.knowledge.operations import TARGETS, Operation, read_of
from iamframe.sources.refusals import WriteBlocked


def guard(service: str) -> Callable[..., None]:
    def refuse(model: Any, **_: Any) -> None:
        if read_of(service, model.name) is None:
            raise WriteBlocked(
                f"{service}:{model.name} is not one of the reads that iamframe makes, so it was not sent"
            )

    return refuse


def guard_requests(client: Any, service: str) -> None:
    """Botocore builds requests from its models of the AWS services. Local files can override botocore's models.

    The name of an operation therefore does not prove what a request does, so iamframe checks the prepared request.
    """
    base = urlsplit(client.meta.endpoint_url).path.rstrip("/")

    def refuse(request: Any, event_name: str, **_: Any) -> None:
        operation = event_name.rpartition(".")[2]
        if _is_that_read(service, operation, base, request):
            return
        where = " or ".join(filter(None, (os.environ.get("AWS_DATA_PATH"), "~/.aws/models")))
        raise WriteBlocked(
            f"{service}:{operation} was not sent, since boto3 would send {_summary(request)}, which is not that read: "
            f"its model of {service} was changed; look for {service} in {where} and move it away, or install boto3 and "
            "iamframe anew"
        )

    # This handler is the last one, for each attempt: nothing changes the request after it.
    client.meta.events.register_last("before-send", refuse)


_FORM = "application/x-www-form-urlencoded"
_PARAMETER = re.compile(r"\{\w+\}")
_SMITHY = re.compile(r"/service/(?P<prefix>\w+)/operation/(?P<operation>\w+)")


def _is_that_read(service: str, operation: str, base: str, request: Any) -> bool:
    row = read_of(service, operation)
    place = urlsplit(request.url)
    if row is None or request.method != row.method or not _is_query_allowed(row, place.query) or place.fragment:
        return False
    path = place.path.removeprefix(base)
    kind, target = (_text(request.headers.get(name, "")) for name in ("Content-Type", "X-Amz-Target"))
    is_form = kind.partition(";")[0].strip().lower() == _FORM
    if row.path:
        return _expression(row.path).fullmatch(path) is not None and not (target or is_form)
    # A service that takes forms today may change its protocol. The prefix of the new protocol is not known yet.
    prefix = re.escape(TARGETS[service]) if service in TARGETS else r"\w+"
    if smithy := _SMITHY.fullmatch(path):
        return bool(re.fullmatch(prefix, smithy["prefix"])) and smithy["operation"] == operation and not target
    if path not in ("", "/"):
        return False
    if target:
        return re.fullmatch(rf"{prefix}\.{operation}", target) is not None and not is_form
    return service not in TARGETS and is_form and _form_actions(request.body) == [operation]


def _is_query_allowed(row: Operation, query: str) -> bool:
    names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    return not query or row.method == "GET" or (bool(row.path) and names <= {"maxResults", "nextToken"})


@cache
def _expression(path: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(map(re.escape, _PARAMETER.split(path))))


def _form_actions(body: Any) -> list[str] | None:
    if not isinstance(body, (bytes, bytearray, str)):
        return None
    return [value for name, value in parse_qsl(_text(body), keep_blank_values=True) if name.strip().lower() == "action"]


def _summary(request: Any) -> str:
    place, target = urlsplit(request.url), _text(request.headers.get("X-Amz-Target", ""))
    where = (place.path or "/") + (f"?{place.query}" if place.query else "")
    action = target or ", ".join(f"Action={action}" for action in _form_actions(request.body) or ())
    return " ".join(f"{request.method} {where[:200]} {action[:200]}".split())


def _text(value: bytes | bytearray | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
