"""The first failure that everybody meets: one sentence that says what to type, soon, and nothing else anywhere."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import commands
import pytest
from botocore.credentials import SSOProvider
from botocore.tokens import SSOTokenProvider
from commands import process
from conftest import needed

import iamframe
from iamframe.errors import SourceError
from iamframe.practice import PracticeAccount
from iamframe.sources.refusals import RequestFailed
from iamframe.sources.sessions import PATIENCE, check_regions, first_failure, open_session

ROOT = str(Path(iamframe.__file__).parent.parent)
SECONDS = 30
AUDIT = "[profile audit]\nregion = us-east-1\n"
SSO = (
    f"{AUDIT}sso_session = corp\nsso_account_id = 123456789012\nsso_role_name = ReadOnly\n"
    "[sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.awsapps.com/start\n"
)
OLD_SSO = (
    f"{AUDIT}sso_region = us-east-1\nsso_start_url = https://corp.awsapps.com/start\n"
    "sso_account_id = 123456789012\nsso_role_name = ReadOnly\n"
)
ROLE = f"{AUDIT}role_arn = arn:aws:iam::123456789012:role/audit\nsource_profile = base\n"
BASE = "[base]\naws_access_key_id = AKIA123456789012TEST\naws_secret_access_key = practice\n"


@pytest.fixture(scope="module")
def practice() -> Iterator[PracticeAccount]:
    with PracticeAccount() as opened:
        yield opened


@pytest.fixture
def account(practice: PracticeAccount) -> Iterator[PracticeAccount]:
    yield practice
    practice.allow()
    practice.expire(None)


def run(
    home: Path,
    *arguments: str,
    files: Mapping[str, str] | None = None,
    by: Callable[..., Any] = commands.run,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run the command line in an empty home, with nothing of this machine's AWS configuration."""
    for name, text in (files or {}).items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": ROOT, "HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true"}
    return by(home, *arguments, environment=given | environment)  # type: ignore[no-any-return]


def refusal(home: Path, *arguments: str, **more: Any) -> str:
    """Return the one sentence by which the command line refuses, without its beginning."""
    before = {*home.rglob("*")} | {home / name for name in more.get("files") or ()}
    began = time.monotonic()
    done = run(home, *(arguments or ("check", "aws")), **more)
    took = time.monotonic() - began
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert took < SECONDS
    # Nothing is written: no report, no snapshot, not even the folder for it.
    assert {path for path in home.rglob("*") if path.is_file()} <= before
    assert not (home / "out").exists()
    assert done.stderr.startswith("iamframe: ")
    return done.stderr.removeprefix("iamframe: ").rstrip("\n")


def at(account: PracticeAccount, *without: str, **other: str) -> dict[str, str]:
    """The variables of a practice account, but for those that another text is named for, or none."""
    environment = account.environment() | other
    return {name: value for name, value in environment.items() if not name.endswith(without or ("\0",))}


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def serving() -> Iterator[Callable[..., int]]:
    """Serve, at a port of 127.0.0.1, what is no AWS."""
    servers = []

    def serve(handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None) -> int:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        # Clients that do not trust the certificate hang up, which is nothing to print.
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return int(server.server_address[1])

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


# Credentials that are not there


def test_without_credentials_it_says_how_to_log_in(tmp_path: Path) -> None:
    for by in (process, commands.run):
        assert refusal(tmp_path, by=by) == (
            "aws: no credentials were found; log in with `aws sso login` or `aws configure`, or use aws:CLI_PROFILE "
            "with a profile that has credentials"
        )


def test_without_credentials_it_names_the_profiles_that_there_are(tmp_path: Path) -> None:
    said = refusal(tmp_path, files={".aws/config": f"{AUDIT}[profile dev]\nregion = us-east-1\n"})
    assert said.endswith("or use aws:CLI_PROFILE with a profile that has credentials (known profiles: audit, dev)")


def test_an_unknown_profile_is_told_with_those_that_exist(tmp_path: Path) -> None:
    said = refusal(tmp_path, "check", "aws:nope", files={".aws/config": AUDIT, ".aws/credentials": BASE})
    assert said == (
        "aws:nope: the AWS CLI configuration has no profile with this name "
        "(known profiles: audit, base); "
        "to list all profiles, run `aws configure list-profiles`"
    )


def test_an_unknown_profile_of_the_environment_is_told_so(tmp_path: Path) -> None:
    assert refusal(tmp_path, files={".aws/config": AUDIT}, AWS_PROFILE="nope") == (
        "aws: the profile 'nope' in AWS_PROFILE does not exist (known profiles: audit); "
        "to list all profiles, run `aws configure list-profiles`"
    )


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("aws", "aws: no credentials were found"),
        ("aws:audit", "aws:audit: the AWS CLI configuration has no profile with this name"),
    ],
)
def test_a_configuration_that_is_not_where_the_environment_says_is_named(
    tmp_path: Path, command: str, said: str
) -> None:
    gone = str(tmp_path / "gone")
    assert refusal(tmp_path, "check", command, AWS_CONFIG_FILE=gone).startswith(
        f"{said}, and AWS_CONFIG_FILE points to {gone}, which does not exist; "
    )


@pytest.mark.parametrize("text", ["this is [not\n ini", "[profile audit\nregion = x", "garbage"])
@pytest.mark.parametrize("name", ["config", "credentials"])
def test_a_configuration_that_cannot_be_parsed_is_named(tmp_path: Path, name: str, text: str) -> None:
    for command in ("aws", "aws:audit"):
        assert refusal(tmp_path, "check", command, files={f".aws/{name}": text}) == (
            f"{command}: the AWS configuration cannot be used (Unable to parse config file: "
            f"{tmp_path / '.aws' / name}); fix that file"
        )


def test_credentials_of_which_a_part_is_missing_are_told_which(tmp_path: Path, account: PracticeAccount) -> None:
    assert refusal(tmp_path, **at(account, "SECRET_ACCESS_KEY")) == (
        "aws: the credentials are incomplete (Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY); set "
        "what is missing, for example with `aws configure`"
    )
    half = {".aws/credentials": "[base]\naws_access_key_id = AKIA123456789012TEST\n"}
    assert refusal(tmp_path, "check", "aws:base", files=half).endswith(
        "missing: aws_secret_access_key); set what is missing, for example with `aws configure --profile=base`"
    )


# Logins


@pytest.mark.parametrize(
    ("config", "of"), [(SSO, b"corp"), (OLD_SSO, b"https://corp.awsapps.com/start")], ids=["session", "legacy"]
)
@pytest.mark.parametrize("expired", [True, False], ids=["expired", "never"])
def test_an_sso_login_that_has_expired_or_never_was_says_how_to_log_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, of: bytes, *, expired: bool
) -> None:
    token = {
        "startUrl": "https://corp.awsapps.com/start",
        "region": "us-east-1",
        "accessToken": "x",
        "expiresAt": "2020-01-01T00:00:00Z",
    }
    cache = f".aws/sso/cache/{hashlib.sha1(of, usedforsecurity=False).hexdigest()}.json"
    files = {".aws/config": config} | ({cache: json.dumps(token)} if expired else {})
    # Where logins are kept is settled when botocore is imported.
    for reader in (SSOProvider, SSOTokenProvider):
        monkeypatch.setattr(reader, "_SSO_TOKEN_CACHE_DIR", str(tmp_path / ".aws/sso/cache"))
    said = refusal(tmp_path, "check", "aws:audit", files=files)
    assert said.startswith("aws:audit: there is no SSO login, or it has expired (")
    assert said.endswith("); log in with `aws sso login --profile=audit` and run the same command again")


def test_a_role_that_wants_an_mfa_code_is_not_asked_for_where_nobody_can_answer(
    tmp_path: Path, account: PracticeAccount
) -> None:
    config = f"{ROLE}mfa_serial = arn:aws:iam::123456789012:mfa/me\n"
    files = {".aws/config": config, ".aws/credentials": BASE}
    without = at(account, "KEY", "KEY_ID", "FILE")
    assert refusal(tmp_path, "check", "aws:audit", files=files, by=process, **without) == (
        "aws:audit: an MFA code is needed but could not be asked for; run it in a terminal, or put temporary "
        "credentials from `aws sts get-session-token --profile=audit --serial-number=ARN --token-code=CODE` into the "
        "environment"
    )


def test_an_mfa_code_is_asked_for_once_for_all_sessions_of_a_profile(
    tmp_path: Path, account: PracticeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.session().client("iam").create_role(
        RoleName="once",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}],
            }
        ),
    )
    (tmp_path / "config").write_text(
        ROLE.replace("role/audit", "role/once") + "mfa_serial = arn:aws:iam::123456789012:mfa/me\n"
    )
    (tmp_path / "credentials").write_text(BASE)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", account.endpoint)
    asked = []
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or "123456")
    keys = {open_session("audit").get_credentials().get_frozen_credentials().access_key for _ in range(3)}
    assert len(keys) == 1
    assert asked == ["Enter MFA code for arn:aws:iam::123456789012:mfa/me: "]


def test_a_role_that_may_not_be_assumed_is_told_in_the_words_of_aws(tmp_path: Path, account: PracticeAccount) -> None:
    files = {".aws/config": ROLE, ".aws/credentials": BASE}
    said = refusal(tmp_path, "check", "aws:audit", files=files, **at(account, "KEY", "KEY_ID", "FILE"))
    assert said == (
        "aws:audit: iamframe could not assume the role (User: arn:aws:iam::123456789012:user/practice is not "
        "authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/audit); its trust policy "
        "and a policy of yours must both allow sts:AssumeRole"
    )


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (ROLE, 'The source_profile "base" referenced in the profile "audit" does not exist'),
        (SSO.partition("[sso-session")[0], 'The specified sso-session does not exist: "corp"'),
    ],
)
def test_a_profile_that_names_what_is_not_there_is_a_mistake_of_the_configuration(
    tmp_path: Path, config: str, said: str
) -> None:
    assert refusal(tmp_path, "check", "aws:audit", files={".aws/config": config}) == (
        f"aws:audit: the AWS configuration cannot be used ({said}); fix ~/.aws/config until "
        "`aws sts get-caller-identity --profile=audit` works"
    )


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("/nowhere/tool", "[Errno 2] No such file or directory: '/nowhere/tool'"),
        ("false", "Error when retrieving credentials from custom-process"),
        ("echo hello", "Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_a_program_that_gives_no_credentials_is_one_sentence(tmp_path: Path, program: str, said: str) -> None:
    files = {".aws/config": f"{AUDIT}credential_process = {program}\n"}
    assert refusal(tmp_path, "check", "aws:audit", files=files) == (
        f"aws:audit: the configured way to get credentials failed ({said}); fix ~/.aws/config or the "
        "environment until `aws sts get-caller-identity --profile=audit` works"
    )


def test_a_token_file_that_is_missing_is_one_sentence(tmp_path: Path) -> None:
    said = refusal(
        tmp_path,
        AWS_ROLE_ARN="arn:aws:iam::123456789012:role/x",
        AWS_WEB_IDENTITY_TOKEN_FILE="/nowhere/token",
        AWS_DEFAULT_REGION="us-east-1",
    )
    assert "([Errno 2] No such file or directory: '/nowhere/token')" in said


# Credentials that AWS refuses


def test_credentials_that_have_expired_say_how_to_renew_them(tmp_path: Path, account: PracticeAccount) -> None:
    account.expire(0)
    assert refusal(tmp_path, **at(account), by=process) == (
        "aws: the credentials have expired; renew them, for example with `aws sso login`, and run the same command "
        "again"
    )


def test_an_access_key_that_aws_does_not_know_is_told_so(tmp_path: Path, account: PracticeAccount) -> None:
    assert refusal(tmp_path, **at(account, AWS_ACCESS_KEY_ID="AKIANOBODY")) == (
        "aws: AWS does not know these credentials (The security token included in the request is invalid); check the "
        "access key, and the region (accounts in China and GovCloud need one of theirs, such as --regions cn-north-1)"
    )


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        (
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
            (
                "aws: the secret key does not match the access key, or was cut off when it was copied; set both again "
                "with `aws configure`"
            ),
        ),
        (
            "SignatureDoesNotMatch",
            "Signature expired: 20240101T000000Z is now earlier than 20240101T001000Z (20240101T002500Z - 15 min.)",
            "aws: AWS rejects the time of this machine; set the clock, for example with `timedatectl set-ntp true`",
        ),
        (
            "InvalidSignatureException",
            "Signature not yet current: 20240101T010000Z is still later than 20240101T001500Z",
            "aws: AWS rejects the time of this machine; set the clock, for example with `timedatectl set-ntp true`",
        ),
        (
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            "aws: AWS rejects the time of this machine; set the clock, for example with `timedatectl set-ntp true`",
        ),
        (
            "AccessDenied",
            "MultiFactorAuthentication failed with invalid MFA one time pass code.",
            (
                "aws: the MFA code was not accepted (MultiFactorAuthentication failed with invalid MFA one time pass "
                "code); wait for the next code and run the same command again"
            ),
        ),
        (
            "ForbiddenException",
            "No access",
            (
                "aws: the SSO login gives no access to that account and role (No access); check sso_account_id and "
                "sso_role_name, for example with `aws configure sso`"
            ),
        ),
        (
            "Strange",
            "Something\n else.",
            (
                "aws: AWS did not return the account id (Strange: Something else); `aws sts get-caller-identity` must "
                "work first"
            ),
        ),
    ],
)
def test_what_a_practice_account_cannot_refuse_is_a_sentence_too(code: str, message: str, said: str) -> None:
    assert str(first_failure(RequestFailed("denied", code, message), "aws", None)) == said


def test_the_profile_to_log_in_with_is_the_one_that_was_asked() -> None:
    """A profile's name may hold a slash, and an account of many is told after one."""
    said = first_failure(RequestFailed("expired", "ExpiredToken", ""), "aws:corp/dev/000000000001", "corp/dev")
    assert str(said).startswith(
        "aws:corp/dev/000000000001: the credentials have expired; renew them, for example with "
    )
    assert "`aws sso login --profile=corp/dev`" in str(said)


def test_where_everything_is_denied_it_says_what_to_allow(tmp_path: Path, account: PracticeAccount) -> None:
    account.deny("*")
    assert refusal(tmp_path, **at(account)) == (
        "aws: AWS denied every request for the account; attach the AWS managed policy SecurityAudit or "
        "ViewOnlyAccess, or the policy in the documentation"
    )


# The network


def test_where_nobody_listens_it_says_what_to_check(tmp_path: Path, account: PracticeAccount) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    assert refusal(tmp_path, **at(account, AWS_ENDPOINT_URL=url), by=process) == (
        f'aws: AWS cannot be reached (Could not connect to the endpoint URL: "{url}/": [Errno 111] Connection '
        "refused); check the network, the region, HTTPS_PROXY and AWS_ENDPOINT_URL"
    )


def test_a_host_whose_name_does_not_resolve_is_told_so(tmp_path: Path, account: PracticeAccount) -> None:
    said = refusal(tmp_path, **at(account, AWS_ENDPOINT_URL="http://sts.invalid"))
    assert said.startswith('aws: AWS cannot be reached (Could not connect to the endpoint URL: "http://sts.invalid/": ')
    assert "Failed to resolve 'sts.invalid'" in said


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_does_not_listen_is_told_without_its_password(
    tmp_path: Path, account: PracticeAccount, scheme: str
) -> None:
    port = closed_port()
    # The practice account's variables keep proxies away from 127.0.0.1.
    environment = at(account, "PROXY", "proxy", AWS_ENDPOINT_URL=f"{scheme}://sts.invalid")
    said = refusal(tmp_path, **environment, **{f"{scheme.upper()}_PROXY": f"http://me:s3cret@127.0.0.1:{port}"})
    assert said == (
        f'aws: the proxy cannot be reached (Failed to connect to proxy URL: "http://***:***@127.0.0.1:{port}": '
        "[Errno 111] Connection refused); check HTTPS_PROXY and HTTP_PROXY"
    )


class _Page(BaseHTTPRequestHandler):
    """The page of a network that wants a login, or of a proxy that does not let pass."""

    status, page = 200, b"<html>please log in</html>"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Forbidden(_Page):
    status = 403


def test_a_certificate_that_is_not_trusted_says_where_to_name_the_right_ones(
    tmp_path: Path, account: PracticeAccount, serving: Callable[..., int]
) -> None:
    openssl = shutil.which("openssl")
    needed(openssl, "openssl", "apt-get install openssl")
    files = tmp_path / "tls"
    files.mkdir()
    made = f"req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout {files}/key -out {files}/cert"
    subprocess.run([str(openssl), *made.split()], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files / "cert", files / "key")
    url = f"https://127.0.0.1:{serving(_Page, tls)}"
    assert refusal(tmp_path, **at(account, AWS_ENDPOINT_URL=url)) == (
        "aws: the certificate of AWS is not trusted here; set AWS_CA_BUNDLE to the certificates of your proxy or "
        "company"
    )
    gone = str(tmp_path / "gone.pem")
    assert refusal(tmp_path, **at(account, AWS_ENDPOINT_URL=url, AWS_CA_BUNDLE=gone)) == (
        f"aws: the certificates cannot be read, because AWS_CA_BUNDLE points to {gone}, which does not exist; fix it"
    )


def test_what_speaks_no_tls_is_not_a_matter_of_certificates(tmp_path: Path, account: PracticeAccount) -> None:
    said = refusal(tmp_path, **at(account, AWS_ENDPOINT_URL=account.endpoint.replace("http:", "https:")))
    assert said.startswith("aws: the TLS connection failed (")
    assert said.endswith("; check HTTPS_PROXY and AWS_ENDPOINT_URL")


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (_Page, "the answer to GetCallerIdentity begins with '<html>please log in</html>'"),
        (_Forbidden, "an error without a code"),
    ],
)
def test_the_page_of_a_network_that_wants_a_login_is_not_taken_for_aws(
    tmp_path: Path, account: PracticeAccount, serving: Callable[..., int], page: type[_Page], said: str
) -> None:
    assert refusal(tmp_path, **at(account, AWS_ENDPOINT_URL=f"http://127.0.0.1:{serving(page)}")) == (
        f"aws: the answer is not from AWS ({said}); check HTTPS_PROXY and AWS_ENDPOINT_URL, and "
        "whether the network needs a login"
    )


def test_an_endpoint_that_is_no_address_is_one_sentence(tmp_path: Path, account: PracticeAccount) -> None:
    assert "(Invalid endpoint: nonsense)" in refusal(tmp_path, **at(account, AWS_ENDPOINT_URL="nonsense"))


def test_a_network_that_swallows_everything_is_given_up_within_half_a_minute() -> None:
    tries = PATIENCE["retries"]["total_max_attempts"]
    # Botocore waits up to 1, 2, 4 … seconds between tries (its ExponentialBackoff).
    waits = sum(2**attempt for attempt in range(tries - 1))
    assert tries * max(PATIENCE["connect_timeout"], PATIENCE["read_timeout"]) + waits <= SECONDS


# Regions


def test_a_region_that_does_not_exist_is_refused_before_anything_is_asked(
    tmp_path: Path, account: PracticeAccount
) -> None:
    account.forget()
    assert refusal(tmp_path, "check", "aws", "--regions", "us-east-1,nowhere-1", **at(account)) == (
        "aws: nowhere-1 is not an AWS region; use one such as us-east-1 with --regions"
    )
    assert account.requests == []


def test_a_region_of_the_environment_that_does_not_exist_is_told_where_it_is_from(
    tmp_path: Path, account: PracticeAccount
) -> None:
    assert refusal(tmp_path, **at(account, "_REGION") | {"AWS_DEFAULT_REGION": "nowhere"}) == (
        "aws: 'nowhere' (from AWS_DEFAULT_REGION, AWS_REGION or ~/.aws/config) is not an AWS region; use one such as "
        "us-east-1 with --regions or `export AWS_DEFAULT_REGION=REGION`"
    )


def test_an_empty_variable_is_no_region(tmp_path: Path, account: PracticeAccount) -> None:
    environment = at(account, AWS_REGION="", AWS_DEFAULT_REGION="")
    done = run(tmp_path, "check", "aws", "--only", "empty_profiles", **environment)
    assert (done.returncode, done.stderr.count("The check had complete data.")) == (0, 1), done.stderr


@pytest.mark.parametrize("region", ["us-gov-west-1", "cn-north-1", "eusc-de-east-1", "us-iso-east-1", "ap-east-9"])
def test_regions_of_all_partitions_are_let_pass_and_those_that_are_still_to_come(region: str) -> None:
    import boto3

    check_regions(boto3.Session(region_name="us-east-1"), [region], "aws")
    with pytest.raises(SourceError):
        check_regions(boto3.Session(region_name="us-east-1"), [f"{region}x"], "aws")


# The other commands, and many accounts

COMMANDS = {
    "report": ("report", "aws", "--out", "out"),
    "snapshot": ("snapshot", "aws", "--out", "out"),
    "deep": ("snapshot", "aws", "--out", "out/of/many"),
    "organisation": ("check", "aws", "--accounts", "org", "--assume-role", "audit"),
    "file": ("snapshot", "aws", "--accounts", "accounts.csv", "--assume-role", "audit", "--out", "out"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_command_refuses_in_the_same_words_and_writes_nothing(
    tmp_path: Path, account: PracticeAccount, command: tuple[str, ...]
) -> None:
    files = {"accounts.csv": "account_id\n000000000001\n000000000002\n"}
    assert refusal(tmp_path, *command, files=files).startswith("aws: no credentials were found; log in with")
    account.expire(0)
    assert refusal(tmp_path, *command, files=files, **at(account)).startswith("aws: the credentials have expired; ")
    url = f"http://127.0.0.1:{closed_port()}"
    assert refusal(tmp_path, *command, files=files, **at(account, AWS_ENDPOINT_URL=url)).startswith(
        "aws: AWS cannot be reached ("
    )
    assert refusal(tmp_path, *command, "--regions", "nowhere-1", files=files, **at(account)).startswith(
        "aws: nowhere-1 is not an AWS region; "
    )


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_command_that_is_denied_everything_writes_nothing(
    tmp_path: Path, account: PracticeAccount, command: tuple[str, ...]
) -> None:
    account.deny("*")
    refusal(tmp_path, *command, files={"accounts.csv": "account_id\n000000000001\n"}, **at(account))


def test_a_folder_whose_snapshot_failed_at_once_can_be_used_by_another_command(
    tmp_path: Path, account: PracticeAccount
) -> None:
    refusal(tmp_path, "snapshot", "aws", "--out", "out")
    done = run(tmp_path, "snapshot", "aws", "--references", "none", "--out", "out", **at(account))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [["check"], ["report", "--out", "out"]], ids=lambda command: command[0])
def test_a_region_that_is_not_enabled_is_said_by_check_and_by_report(
    tmp_path: Path, account: PracticeAccount, command: list[str]
) -> None:
    done = run(tmp_path, *command, "aws", "--regions", "us-east-1,us-nowhere-1", **at(account))
    assert done.returncode == 0, done.stderr
    assert "us-nowhere-1 is not enabled in this account, so it was skipped" in done.stderr


def test_an_account_that_is_in_no_organisation_is_told_so(tmp_path: Path, account: PracticeAccount) -> None:
    assert refusal(tmp_path, "check", "aws", "--accounts", "org", "--assume-role", "audit", **at(account)) == (
        "aws: the account is in no organization; give a CSV of accounts with --accounts FILE"
    )


def test_who_may_not_list_the_accounts_is_told_what_to_allow(tmp_path: Path, account: PracticeAccount) -> None:
    account.deny("ListAccounts")
    assert refusal(tmp_path, "check", "aws", "--accounts", "org", "--assume-role", "audit", **at(account)) == (
        "aws: the accounts of the organization cannot be listed (AccessDeniedException); allow "
        "organizations:ListAccounts, use the management account or a delegated one, or give a CSV of accounts"
    )


# Arguments


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["check", "sample", "--regions", "us-east-1"],
            "regions: can be used only with a live account as the source (aws or aws:CLI_PROFILE)",
        ),
        (
            ["check", ".", "--assume-role", "audit"],
            "assume-role (role_name): can be used only with a live account as the source (aws or",
        ),
        (["report", "--accounts", "org"], "accounts: can be used only with a live account as the source (aws or"),
        (["check", "aws", "--assume-role", "audit"], "audit: the account of the role is unknown; give the role's ARN"),
        (["check", "aws", "--external-id", "x"], "aws: an external id needs a role; give it with --assume-role"),
        (
            ["check", "aws", "--accounts", "org"],
            "aws: iamframe assumes a role in each account of an organization except your own;",
        ),
        (
            ["check", "aws", "--accounts", "gone.csv"],
            "gone.csv: cannot be read (No such file or directory); give a CSV",
        ),
        (
            ["check", "aws", "--rate", "0"],
            "Invalid value for '--rate': 0 is not a number of requests per second; give more than 0",
        ),
        (["check", "aws", "--rate", "fast"], "Invalid value for '--rate': 'fast' is not a valid float"),
        (["check", "aws", "--regions", ","], "Invalid value for '--regions': is empty; fill it, or leave the option"),
        (["check", "aws", "--regions", ""], "Invalid value for '--regions': is empty; fill it, or leave the option"),
        (["check", "aws", "--accounts", " "], "Invalid value for '--accounts': is empty; fill it, or leave the option"),
        (["check", "aws", "--assume-role", ""], "Invalid value for '--assume-role': is empty; fill it, or leave"),
        (["check", "aws", "--external-id", ""], "Invalid value for '--external-id': is empty; fill it, or leave"),
        (["check", "aws:"], "aws: has no profile; write aws:CLI_PROFILE, or aws for the default credentials"),
        (
            ["snapshot", "aws: ", "--out", "out"],
            "aws: has no profile; write aws:CLI_PROFILE, or aws for the default credentials",
        ),
        (
            ["check", "aws", "sample"],
            "aws: is a live account, which cannot be combined with other sources; for several accounts use --accounts",
        ),
        (
            ["check", "aws:a", "aws:b"],
            (
                "aws:a: is a live account, which cannot be combined with other sources; "
                "for several accounts use --accounts"
            ),
        ),
        (["snapshot", "aws"], "give a SOURCE and --out DIR, or only --athena LOCATION; see `iamframe snapshot --help`"),
        (["snapshot", "aws", "--athena", "s3://bucket/x"], "give a SOURCE and --out DIR, or only --athena LOCATION"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_do_not_fit_are_one_sentence_and_nothing_is_asked(
    tmp_path: Path, account: PracticeAccount, arguments: list[str], said: str
) -> None:
    account.forget()
    assert refusal(tmp_path, *arguments, **at(account)).startswith(said)
    assert account.requests == []
