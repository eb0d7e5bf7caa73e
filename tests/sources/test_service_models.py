"""What boto3 sends is made by models that files on the machine can replace: a changed one sends nothing."""

from __future__ import annotations

import functools
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse

from iamframe.knowledge.operations import OPERATIONS
from iamframe.sources.client import Client
from iamframe.sources.members import Member, assume_role
from iamframe.sources.refusals import RequestFailed, WriteBlocked
from iamframe.ui.cli import _run

Model = dict[str, Any]
# A change of the model of a service, for one of its operations.
Change = Callable[[Model, str], None]


DENIALS = (
    b'{"__type":"AccessDeniedException"}',
    b"<ErrorResponse><Error><Code>AccessDenied</Code><Message/></Error></ErrorResponse>",
)


class Recorder(ThreadingHTTPServer):
    """A server that keeps the first line, target and body of each request, and denies it."""

    def __init__(self) -> None:
        self.arrived: list[tuple[str, str | None, bytes]] = []
        super().__init__(("127.0.0.1", 0), Recording)


class Recording(BaseHTTPRequestHandler):
    server: Recorder
    timeout = 5  # for a body that is shorter than it says

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.arrived.append((self.requestline, self.headers.get("X-Amz-Target"), body))
        is_form = "form" in (self.headers.get("Content-Type") or "")
        self.send_response(400)
        self.send_header("Content-Length", str(len(DENIALS[is_form])))
        self.end_headers()
        self.wfile.write(DENIALS[is_form])

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Recorder]:
    with Recorder() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "practice",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": str(tmp_path / "none"),
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
            "NO_PROXY": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, value)
        yield server
        server.shutdown()
        thread.join()


@functools.cache
def model_of(service: str) -> tuple[str, str]:
    """The version and the model of a service, as boto3 has it; a copy of it is parsed faster than copied."""
    loader = botocore.session.Session().get_component("data_loader")
    version = loader.determine_latest_version(service, "service-2")
    return version, json.dumps(loader.load_service_model(service, "service-2"))


def replaced(folder: Path, monkeypatch: pytest.MonkeyPatch, service: str, operation: str, change: Change) -> None:
    """Replace the model of a service on this machine, as AWS_DATA_PATH does."""
    version, whole = model_of(service)
    model = json.loads(whole)
    change(model, operation)
    place = folder / "models" / service / version
    place.mkdir(parents=True)
    (place / "service-2.json").write_text(json.dumps(model))
    monkeypatch.setenv("AWS_DATA_PATH", str(folder / "models"))


def http(**changes: str) -> Change:
    return lambda model, operation: model["operations"][operation]["http"].update(changes)


def metadata(**changes: Any) -> Change:
    return lambda model, _: model["metadata"].update(changes)


def spoken(protocol: str, **more: str) -> Change:
    return metadata(protocol=protocol, protocols=[protocol], **more)


def moved(member: str, **changes: str) -> Change:
    """A parameter of the request goes where it does not belong."""

    def change(model: Model, operation: str) -> None:
        shape = model["operations"][operation]["input"]["shape"]
        model["shapes"][shape]["members"][member].update(changes)

    return change


def rest(**changes: str) -> Change:
    """The service takes REST requests, and this one so."""

    def change(model: Model, operation: str) -> None:
        spoken("rest-json")(model, operation)
        http(**changes)(model, operation)

    return change


def swapped(write: str) -> Change:
    """What is asked for as a read goes where the write goes."""

    def change(model: Model, operation: str) -> None:
        model["operations"][operation]["http"] = model["operations"][write]["http"]

    return change


IN_QUERY = {"location": "querystring", "locationName": "Action"}
IN_HEADER = {"location": "header", "locationName": "X-Amz-Target"}
BATCH, IMAGES = ("batch", "DescribeComputeEnvironments"), ("imagebuilder", "ListInfrastructureConfigurations")
AGENTS, AGENT = "bedrock-agentcore-control", {"capacityProviderId": "x"}


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "change"),
    [
        (*BATCH, {}, swapped("DeleteComputeEnvironment")),
        (*BATCH, {}, http(method="DELETE")),
        (*BATCH, {}, http(requestUri="/v1/../v1/x")),
        (*BATCH, {}, spoken("query")),
        (*BATCH, {}, spoken("json", targetPrefix="Batch.DeleteJobQueue", jsonVersion="1.1")),
        (*BATCH, {"computeEnvironments": ["x"]}, moved("computeEnvironments", **IN_QUERY)),
        ("account", "ListRegions", {}, swapped("DisableRegion")),
        (*IMAGES, {}, http(method="PUT")),
        (*IMAGES, {}, http(method="DELETE", requestUri="/DeleteInfrastructureConfiguration")),
        (*IMAGES, {"nextToken": "x"}, moved("nextToken", **IN_QUERY)),
        (*IMAGES, {"nextToken": "ElasticMapReduce.TerminateJobFlows"}, moved("nextToken", **IN_HEADER)),
        (AGENTS, "GetCapacityProvider", AGENT, swapped("DeleteCapacityProvider")),
        (AGENTS, "GetCapacityProvider", AGENT, http(requestUri="/capacity-providers/{capacityProviderId}/more")),
        (AGENTS, "ListCapacityProviders", {"nextToken": "x"}, moved("nextToken", locationName="clientToken")),
        ("datazone", "ListConnections", {"domainIdentifier": "x"}, http(method="POST")),
        (
            "cloud9",
            "ListEnvironments",
            {},
            metadata(targetPrefix="AWSCloud9WorkspaceManagementService.DeleteEnvironment"),
        ),
        ("iam", "ListRoles", {}, rest(requestUri="/?Action=CreateAccountAlias&AccountAlias=x")),
        ("iam", "ListRoles", {}, http(method="GET")),
        ("iam", "GetRole", {"RoleName": "CreateAccountAlias"}, moved("RoleName", locationName="Action")),
        ("iam", "GetRole", {"RoleName": "DeleteRole"}, moved("RoleName", locationName="action")),
        ("iam", "GetRole", {"RoleName": "x"}, rest(requestUri="/?Action=DeleteRole")),
        ("iam", "GetRole", {"RoleName": "x"}, spoken("json", targetPrefix="IAM.DeleteRole", jsonVersion="1.1")),
        ("iam", "ListRoles", {}, rest(requestUri="/", method="PUT")),
        (
            "ec2",
            "DescribeInstances",
            {"NextToken": "TerminateInstances"},
            moved("NextToken", locationName="Action", queryName="Action"),
        ),
        ("emr", "ListClusters", {}, metadata(targetPrefix="ElasticMapReduce.TerminateJobFlows")),
        ("emr", "ListClusters", {}, metadata(targetPrefix="AWSOrganizationsV20161128")),
        ("emr", "ListClusters", {}, spoken("query")),
        ("organizations", "ListAccounts", {}, rest(requestUri="/close", method="DELETE")),
        ("organizations", "ListAccounts", {}, spoken("smithy-rpc-v2-cbor", targetPrefix="Another")),
    ],
)
def test_a_changed_model_sends_nothing_and_says_where_to_look(
    server: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    operation: str,
    parameters: dict[str, Any],
    change: Change,
) -> None:
    replaced(tmp_path, monkeypatch, service, operation, change)
    client = Client(boto3.Session(), "us-east-1")
    with pytest.raises(WriteBlocked) as caught:
        client.call(service, operation, "us-east-1", **parameters)
    assert server.arrived == []
    said = str(caught.value)
    assert said.startswith(f"{service}:{operation} was not sent")
    assert str(tmp_path / "models") in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("protocol", "line"),
    [("json", "POST / HTTP/1.1"), ("smithy-rpc-v2-cbor", "POST /service/EMR/operation/ListRoles HTTP/1.1")],
)
def test_a_read_of_the_same_name_in_a_newer_protocol_of_its_service_is_sent(
    server: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, line: str
) -> None:
    replaced(tmp_path, monkeypatch, "iam", "ListRoles", spoken(protocol, targetPrefix="EMR", jsonVersion="1.0"))
    with pytest.raises(RequestFailed):
        Client(boto3.Session(), "us-east-1").call("iam", "ListRoles")
    assert server.arrived[0][0] == line


def test_the_command_line_refuses_a_changed_model_with_one_sentence(
    server: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change = rest(requestUri="/?Action=CreateAccountAlias")
    replaced(tmp_path, monkeypatch, "sts", "GetCallerIdentity", change)
    assert _run(["check", "aws"]) == 2
    told = capsys.readouterr()
    assert server.arrived == []
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert "Action=CreateAccountAlias" in told.err


def test_the_role_of_a_member_is_assumed_by_no_other_request(
    server: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced(tmp_path, monkeypatch, "sts", "AssumeRole", rest(requestUri="/?Action=GetFederationToken"))
    session = assume_role(boto3.Session(), Member("111122223333"), "audit", None)
    with pytest.raises(WriteBlocked):
        Client(session, "us-east-1").call("iam", "ListRoles")
    assert server.arrived == []


def test_each_attempt_is_looked_at(server: Recorder) -> None:
    client = Client(boto3.Session(), "us-east-1")
    of_iam = client.boto3_client("iam")
    seen: list[str] = []

    def changing(request: Any, **_: Any) -> AWSResponse | None:
        seen.append(request.url)
        if len(seen) == 1:
            return AWSResponse(request.url, 500, {}, Raw())
        request.body = request.body.replace(b"ListRoles" if isinstance(request.body, bytes) else "ListRoles", "x")
        return None

    of_iam.meta.events.register("before-send", changing)
    with pytest.raises(WriteBlocked):
        client.call("iam", "ListRoles")
    assert len(seen) == 2
    assert server.arrived == []


class Raw:
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield b"<ErrorResponse><Error><Code>InternalFailure</Code></Error></ErrorResponse>"


def test_every_read_on_the_list_is_sent_as_boto3_makes_it(server: Recorder) -> None:
    client = Client(boto3.Session(), "us-east-1")
    for read in OPERATIONS:
        assert read.operation.startswith(("Get", "List", "Describe", "Lookup", "AssumeRole"))
        given = dict.fromkeys(re.findall(r"\{(\w+)\}", read.path), "x")
        with pytest.raises(RequestFailed, match="AccessDenied"):
            client.call(read.service, read.operation, "us-east-1", **given)
    assert len(server.arrived) == len(OPERATIONS)
