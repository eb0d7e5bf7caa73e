"""Parse requests to a practice account, and build answers and errors like those of AWS."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from iamframe.practice.models import rest_action

_SCOPE = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_NAMESPACES = {
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
    "autoscaling": "http://autoscaling.amazonaws.com/doc/2011-01-01/",
    "cloudformation": "http://cloudformation.amazonaws.com/doc/2010-05-15/",
    "ec2": "http://ec2.amazonaws.com/doc/2016-11-15/",
    "elasticbeanstalk": "http://elasticbeanstalk.amazonaws.com/docs/2010-12-01/",
    "rds": "http://rds.amazonaws.com/doc/2014-10-31/",
}
# The IAM prefix of a service, if it differs from its signing name.
_PREFIXES = {"tagging": "tag"}
# The services with a REST protocol in JSON.
_REST = ("account", "eks")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Request:
    """The record of one request to a practice account.

    `status` is 0 if the connection was closed without an answer. `error_code` is None if the request succeeded.
    `seconds` is the time in which the practice account made the answer, without an artificial delay.
    """

    service: str
    action: str
    region: str
    status: int
    account_id: str
    error_code: str | None
    seconds: float


@dataclass(frozen=True)
class Principal:
    account_id: str
    arn: str
    user_id: str


@dataclass
class Call:
    service: str
    action: str
    region: str
    key: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    params: dict[str, str] = field(default_factory=dict)
    json: dict[str, Any] = field(default_factory=dict)
    who: Principal = Principal("", "", "")

    @property
    def account_id(self) -> str:
        return self.who.account_id

    @property
    def permission(self) -> str:
        return f"{_PREFIXES.get(self.service, self.service)}:{self.action}"


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    content_type: str = "text/xml"
    headers: tuple[tuple[str, str], ...] = ()
    error_code: str | None = None


class Refusal(Exception):
    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def read_call(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Call:
    scope = _SCOPE.search(headers.get("authorization", ""))
    key, region, service = scope.groups() if scope else ("", "", "")
    url = urlsplit(target)
    call = Call(service, "", region, key, method, target, headers, body)
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        call.params = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True))
    elif url.query:
        call.params = dict(parse_qsl(url.query, keep_blank_values=True))
    call.action = call.params.get("Action") or headers.get("x-amz-target", "").rpartition(".")[2]
    if not call.action and service:
        call.action = rest_action(service, method, unquote(url.path)) or f"{method} {url.path}"
    if "json" in headers.get("content-type", "") or "x-amz-target" in headers or service in _REST:
        try:
            read = json.loads(body or b"{}")
        except ValueError:
            read = None
        call.json = read if isinstance(read, dict) else {}
    return call


def members(params: Mapping[str, str], name: str) -> list[dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for key, value in params.items():
        # Keys are such as `Tags.member.1.Key`, `Filter.1.Name` or `TagKeys.member.1`.
        match = re.fullmatch(rf"{name}\.(?:member\.)?(\d+)(?:\.(.+))?", key)
        if match:
            found.setdefault(int(match[1]), {})[match[2] or ""] = value
    return [found[number] for number in sorted(found)]


def values(params: Mapping[str, str], name: str) -> list[str]:
    return [member[""] for member in members(params, name) if "" in member]


def text(name: str, value: object) -> str:
    return f"<{name}>{escape(str(value))}</{name}>"


def query_answer(call: Call, result: str | None) -> Answer:
    name, number = call.action, next(_numbers)
    inner = "" if result is None else f"<{name}Result>{result}</{name}Result>"
    body = (
        f'<{name}Response xmlns="{_NAMESPACES[call.service]}">{inner}<ResponseMetadata>'
        f"<RequestId>{request_id(number)}</RequestId></ResponseMetadata></{name}Response>"
    )
    return Answer(200, body.encode(), headers=(("x-amzn-RequestId", request_id(number)),))


def ec2_answer(call: Call, result: str) -> Answer:
    identity = request_id(next(_numbers))
    body = f'<{call.action}Response xmlns="{_NAMESPACES["ec2"]}"><requestId>{identity}</requestId>{result}'
    return Answer(200, f"{body}</{call.action}Response>".encode(), "text/xml;charset=UTF-8")


def json_answer(call: Call, result: Mapping[str, Any], status: int = 200, error_code: str | None = None) -> Answer:
    kind = "application/json" if call.service in _REST else "application/x-amz-json-1.1"
    headers = [("x-amzn-RequestId", request_id(next(_numbers)))]
    if error_code:
        headers.append(("x-amzn-ErrorType", error_code))
    return Answer(status, json.dumps(result).encode(), kind, tuple(headers), error_code)


def refusal_answer(call: Call, refusal: Refusal) -> Answer:
    code, message = text("Code", refusal.code), text("Message", refusal.message)
    identity = request_id(next(_numbers))
    if call.service == "ec2":
        body = f"<Response><Errors><Error>{code}{message}</Error></Errors><RequestID>{identity}</RequestID></Response>"
    elif call.service in _NAMESPACES:
        side = "Sender" if refusal.status < 500 else "Receiver"
        body = (
            f'<ErrorResponse xmlns="{_NAMESPACES[call.service]}"><Error><Type>{side}</Type>{code}{message}</Error>'
            f"<RequestId>{identity}</RequestId></ErrorResponse>"
        )
    else:
        answer = {"__type": refusal.code, "message": refusal.message, "Message": refusal.message}
        return json_answer(call, answer, refusal.status, refusal.code)
    return Answer(refusal.status, body.encode(), headers=(("x-amzn-RequestId", identity),), error_code=refusal.code)


def request_id(number: int) -> str:
    # A random id would differ in each run of a failing test.
    return f"00000000-0000-4000-8000-{number:012d}"
