"""One request: refused where it is no read, tried again where AWS breaks off, and told in AWS's own words."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from botocore.parsers import ResponseParserError
from botocore.utils import parse_timestamp
from hypothesis import given
from hypothesis import strategies as st

from iamframe.knowledge.operations import actions, policy_of
from iamframe.practice import PracticeAccount
from iamframe.sources.client import Client, Pacer, check_answer, parse_date
from iamframe.sources.refusals import RequestFailed, WriteBlocked

WEB = {"InstanceProfileName": "web"}


@pytest.fixture(scope="module")
def practice() -> Iterator[PracticeAccount]:
    with PracticeAccount() as account:
        iam = account.session().client("iam")
        for name in ("api", "web"):
            iam.create_instance_profile(InstanceProfileName=name)
        yield account


@pytest.fixture
def account(practice: PracticeAccount) -> Iterator[PracticeAccount]:
    practice.forget()
    yield practice
    practice.allow()
    practice.throttle(0, 0)
    practice.latency = 0


def client(account: PracticeAccount, **more: Any) -> Client:
    return Client(account.session(region_name="us-east-1"), "us-east-1", **more)


def refusal(client: Client, *asked: str, **parameters: Any) -> RequestFailed:
    with pytest.raises(RequestFailed) as caught:
        client.call(*asked, **parameters)
    return caught.value


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("iam", "DeleteInstanceProfile", WEB),
        ("iam", "TagInstanceProfile", WEB | {"Tags": []}),
        ("iam", "GetUser", {}),
        ("ec2", "RunInstances", {"MinCount": 1, "MaxCount": 1}),
        ("sts", "GetSessionToken", {}),
    ],
)
def test_what_is_not_on_the_list_is_refused_before_it_is_sent(
    account: PracticeAccount, service: str, operation: str, parameters: dict[str, Any]
) -> None:
    with pytest.raises(WriteBlocked, match=f"{service}:{operation} is not one of the reads"):
        client(account).call(service, operation, **parameters)
    assert account.requests == []


def test_the_client_itself_refuses_whoever_holds_it(account: PracticeAccount) -> None:
    boto = client(account).boto3_client("iam")
    with pytest.raises(WriteBlocked):
        boto.delete_instance_profile(InstanceProfileName="web")
    assert account.requests == []


def test_the_least_policy_names_each_action_once_and_none_that_writes() -> None:
    named = actions("plan", "fallback", "references")
    assert named == sorted(set(named))
    assert "iam:GetInstanceProfile" in named
    assert "sts:GetCallerIdentity" not in named
    assert actions("index") == ["tag:GetResources"]
    assert actions("fleet") == ["organizations:ListAccounts", "sts:AssumeRole"]
    assert policy_of(actions("index")) == {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["tag:GetResources"], "Resource": "*"}],
    }


def test_an_answer_is_the_json_that_the_command_line_would_print(account: PracticeAccount) -> None:
    body = msgspec.json.decode(client(account).call("iam", "GetInstanceProfile", **WEB))
    profile = body["InstanceProfile"]
    assert list(body) == ["InstanceProfile"]
    assert (profile["Arn"], profile["Tags"]) == ("arn:aws:iam::123456789012:instance-profile/web", [])
    assert isinstance(profile["CreateDate"], str)


@pytest.mark.parametrize("fault", ["truncated", "short", "reset", "500"])
def test_an_answer_that_breaks_off_is_asked_for_again(account: PracticeAccount, fault: str) -> None:
    account.fault(fault, action="GetInstanceProfile", times=2)
    mine = client(account)
    assert b'"web"' in mine.call("iam", "GetInstanceProfile", **WEB)
    tally = mine.tallies["GetInstanceProfile", "global"]
    assert (tally.requests, tally.retries) == (3, 2)


def test_an_answer_that_breaks_off_again_and_again_is_a_refusal(account: PracticeAccount) -> None:
    account.fault("truncated", action="GetInstanceProfile", times=4)
    assert refusal(client(account), "iam", "GetInstanceProfile", **WEB).reason == "unreadable"
    assert account.counts()["GetInstanceProfile"] == 4


def test_a_denial_says_so_in_the_words_of_aws(account: PracticeAccount) -> None:
    account.deny("GetInstanceProfile", resource="web")
    found = refusal(client(account), "iam", "GetInstanceProfile", **WEB)
    assert (found.reason, found.code) == ("denied", "AccessDenied")
    assert "is not authorized to perform: iam:GetInstanceProfile" in found.message
    assert b'"api"' in client(account).call("iam", "GetInstanceProfile", InstanceProfileName="api")


def test_what_is_not_there_has_vanished(account: PracticeAccount) -> None:
    found = refusal(client(account), "iam", "GetInstanceProfile", InstanceProfileName="gone")
    assert (found.reason, found.code) == ("vanished", "NoSuchEntity")


def test_credentials_that_expire_stop_all_that_comes_after(practice: PracticeAccount) -> None:
    practice.forget()
    practice.expire(after=1)
    try:
        mine = client(practice)
        mine.call("iam", "GetInstanceProfile", **WEB)
        assert refusal(mine, "iam", "GetInstanceProfile", InstanceProfileName="api").reason == "expired"
        sent = len(practice.requests)
        assert refusal(mine, "iam", "GetRole", RoleName="x").reason == "expired"
        assert len(practice.requests) == sent
    finally:
        practice.expire(None)


def test_a_request_that_is_stopped_while_it_waits_is_not_logged_as_sent(
    account: PracticeAccount, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mine = client(account)
    monkeypatch.setattr(Pacer, "wait", lambda _: mine.end(for_all=False) or 0.0)
    with caplog.at_level(logging.INFO, logger="iamframe"):
        assert refusal(mine, "iam", "GetInstanceProfile", **WEB).reason == "not_asked"
    assert "sending the request" not in caplog.text
    assert account.requests == []


def test_an_operation_that_is_never_answered_is_hopeless_after_twenty_refusals(account: PracticeAccount) -> None:
    account.deny("GetInstanceProfile")
    mine = client(account)
    for number in range(20):
        assert not mine.always_denied("GetInstanceProfile")
        refusal(mine, "iam", "GetInstanceProfile", InstanceProfileName=f"p{number}")
    assert mine.always_denied("GetInstanceProfile")
    assert not mine.always_denied("GetRole")


def test_throttling_is_waited_out_and_loses_nothing(account: PracticeAccount) -> None:
    account.throttle(20, 5)
    mine = client(account)
    for _ in range(12):
        mine.call("iam", "GetInstanceProfile", **WEB)
    tally = mine.tallies["GetInstanceProfile", "global"]
    assert tally.requests == 12 + tally.retries


def test_a_marker_that_comes_twice_ends_the_listing_as_cut_short(account: PracticeAccount) -> None:
    class Circling(Client):
        def call(self, *_: Any, **__: Any) -> bytes:
            return b'{"Roles":[],"Marker":"again","IsTruncated":true}'

    mine = Circling(account.session(region_name="us-east-1"), "us-east-1")
    with pytest.raises(RequestFailed) as caught:
        list(mine.pages("iam", "ListRoles"))
    assert caught.value.reason == "truncated"


def test_a_page_marker_that_is_no_text_ends_the_listing_as_unreadable(account: PracticeAccount) -> None:
    class Numbering(Client):
        def call(self, *_: Any, **__: Any) -> bytes:
            return b'{"Roles":[],"Marker":5,"IsTruncated":true}'

    mine = Numbering(account.session(region_name="us-east-1"), "us-east-1")
    with pytest.raises(RequestFailed, match=r"got `int` - at `\$.Marker`") as caught:
        list(mine.pages("iam", "ListRoles"))
    assert caught.value.reason == "unreadable"


# What says that all is well, and is no answer


@pytest.mark.parametrize(
    ("service", "operation", "body"),
    [
        ("ec2", "DescribeInstances", b"<html><body>blocked by policy</body></html>"),
        ("iam", "ListRoles", b"{}"),
        ("iam", "ListRoles", b""),
        ("organizations", "ListAccounts", b'{"Accounts":[{"Id":"0000'),
        ("organizations", "ListAccounts", b"<html>please log in</html>"),
        ("resourcegroupstaggingapi", "GetResources", b"[]"),
        ("account", "ListRegions", b""),
        ("batch", "DescribeComputeEnvironments", b"\xff"),
    ],
)
def test_a_page_of_a_proxy_is_never_taken_for_an_empty_list(service: str, operation: str, body: bytes) -> None:
    """Botocore reads most of these as an answer that holds nothing."""
    with pytest.raises(ResponseParserError, match=f"the answer to {operation} begins with "):
        checked(service, operation, body)


@pytest.mark.parametrize(
    ("service", "operation", "body"),
    [
        ("ec2", "DescribeInstances", b'<?xml version="1.0"?>\n<DescribeInstancesResponse xmlns="x"/>'),
        ("iam", "ListRoles", b'<ns:ListRolesResponse xmlns:ns="x"><ns:ListRolesResult/></ns:ListRolesResponse>'),
        ("organizations", "ListAccounts", b'{"Accounts":[]}'),
        ("account", "ListRegions", b" {} "),
    ],
)
def test_an_answer_of_aws_passes(service: str, operation: str, body: bytes) -> None:
    checked(service, operation, body)


def test_an_error_need_not_have_the_form_of_an_answer() -> None:
    checked("iam", "ListRoles", b"<html>gone</html>", status=404)


def checked(service: str, operation: str, body: bytes, status: int = 200) -> None:
    protocol = {"ec2": "ec2", "iam": "query", "account": "rest-json", "batch": "rest-json"}.get(service, "json")
    wrapper = {"resultWrapper": f"{operation}Result"} if protocol == "query" else {}
    shape = SimpleNamespace(serialization=wrapper)
    service = SimpleNamespace(resolved_protocol=protocol)
    model = SimpleNamespace(name=operation, service_model=service, output_shape=shape)
    check_answer(operation_model=model, response_dict={"status_code": status, "body": body})


@pytest.mark.parametrize(
    ("service", "operation", "listed"),
    [
        ("account", "ListRegions", b'"Regions":[{'),
        ("resourcegroupstaggingapi", "GetResources", b'"ResourceTagMappingList":[]'),
        ("ec2", "DescribeRegions", b'"Regions":[{'),
    ],
)
def test_a_list_that_is_cut_off_is_asked_for_again_whatever_its_form(
    account: PracticeAccount, service: str, operation: str, listed: bytes
) -> None:
    account.fault("truncated", action=operation, times=1)
    assert listed in client(account).call(service, operation, "us-east-1")
    assert account.counts()[operation] == 2


@given(
    st.one_of(
        st.datetimes(timezones=st.just(UTC)).map(lambda date: date.isoformat().replace("+00:00", "Z")),
        st.datetimes(timezones=st.builds(lambda m: timezone(timedelta(minutes=m)), st.integers(-720, 840))).map(
            datetime.isoformat
        ),
        st.datetimes().map(lambda date: f"{date:%Y-%m-%dT%H:%M:%S}.000Z".rjust(24, "0")),
        st.datetimes().map(lambda date: f"{date:%Y%m%dT%H%M%SZ}".rjust(16, "0")),
        st.integers(0, 4_000_000_000),
        st.floats(0, 4_000_000_000),
        st.sampled_from(["Wed, 25 Nov 2026 12:00:00 GMT", "1700000000", "2026-11-25", "2026-1-5T00:00:00Z"]),
    )
)
def test_a_date_means_what_botocore_takes_it_for(written: object) -> None:
    theirs = parse_timestamp(written)
    ours = parse_date(written)
    assert (ours, ours.utcoffset()) == (theirs, theirs.utcoffset())


@pytest.mark.parametrize("written", ["", "today", "2026-13-01T00:00:00Z"])
def test_what_is_no_date_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="Invalid timestamp"):
        parse_date(written)


def test_what_others_make_of_the_same_session_reads_dates_as_before(account: PracticeAccount) -> None:
    session = account.session(region_name="us-east-1")
    one = Client(session, "us-east-1")
    one.call("iam", "GetInstanceProfile", **WEB)
    theirs = session.client("iam").get_instance_profile(**WEB)["InstanceProfile"]["CreateDate"]
    ours = one.boto3_client("iam").get_instance_profile(**WEB)["InstanceProfile"]["CreateDate"]
    assert ours == theirs
    assert theirs.tzinfo is not UTC
    assert ours.tzinfo is UTC
