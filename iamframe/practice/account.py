"""The class `PracticeAccount`: a fictional AWS account on this machine."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from iamframe.practice import faults
from iamframe.practice.backends import Backends
from iamframe.practice.beanstalk import Beanstalk
from iamframe.practice.calls import Answer, Call, Principal, Refusal, Request, json_answer, read_call, refusal_answer
from iamframe.practice.ec2 import Ec2
from iamframe.practice.faults import Bucket, Denial, Fault, Faults
from iamframe.practice.filling import fill
from iamframe.practice.iam import Iam
from iamframe.practice.models import models
from iamframe.practice.organization import Member, Organization, Regions, list_regions
from iamframe.practice.server import Reply, Server
from iamframe.practice.stacks import Stacks
from iamframe.practice.sts import Sts
from iamframe.practice.tagging import HOMES, Tagging

_REGIONS = {
    "aws": ("us-east-1", "eu-west-1"),
    "aws-us-gov": ("us-gov-west-1", "us-gov-east-1"),
    "aws-cn": ("cn-north-1", "cn-northwest-1"),
}
# Operations of services that moto does not have. A practice account cannot have resources of these services.
_NOTHING: dict[tuple[str, str], dict[str, Any]] = {
    ("bedrock-agentcore", "ListCapacityProviders"): {"capacityProviders": []},
    ("cloud9", "ListEnvironments"): {"environmentIds": []},
    ("datazone", "ListDomains"): {"items": []},
    ("imagebuilder", "ListInfrastructureConfigurations"): {"infrastructureConfigurationSummaryList": []},
    ("pcs", "ListClusters"): {"clusters": []},
}
# Services with one endpoint for all regions.
_GLOBAL = ("iam", "organizations", "account")


class PracticeAccount:
    """A fictional AWS account on 127.0.0.1, for practice. The account has no roles, profiles or instances at first.

    Use a practice account in a `with` statement, or call `open` and `close`. A process can have only one open practice
    account. Clients that are created with the boto3 session from `session()` send their requests to the practice
    account. The AWS CLI 2 and programs with boto3 also use the practice account if they are started with the
    environment variables from `environment()`. A client without the session or the environment variables of the
    practice account calls the real AWS. A practice account accepts only credentials from `session()`, `environment()`,
    `instance_credentials()` and AssumeRole.

    Parameters
    ----------
    account_id
        The twelve digits of the account.
    partition
        "aws", "aws-us-gov" or "aws-cn".
    regions
        The enabled regions, by default two regions of the partition. The practice account also answers in other
        regions, but those are missing from lists of regions.
    port
        The port on 127.0.0.1, or 0 for a free port.
    """

    def __init__(
        self,
        account_id: str = "123456789012",
        partition: str = "aws",
        regions: Iterable[str] | None = None,
        port: int = 0,
    ) -> None:
        if not 0 <= port <= 65535:
            raise ValueError(f"{port} is not a port: choose a number from 0 to 65535")
        if partition not in HOMES:
            raise ValueError(f"{partition} is not a partition that can be practised on: {', '.join(HOMES)}")
        self.account_id, self.partition, self._port = account_id, partition, port
        self._regions = Regions(list(regions if regions is not None else _REGIONS[partition]))
        self.latency = 0.0
        self._requests: list[Request] = []
        self._keys: dict[str, Principal] = {}
        self._accounts: list[str] = []
        self._lock = threading.Lock()
        self._faults = Faults(partition)
        self._is_open = False

    def open(self) -> None:
        """Start the practice account.

        Raises
        ------
        MissingExtraError
            If moto is not installed.
        RuntimeError
            If another practice account is still open in this process.
        OSError
            If the port is taken.
        """
        self._backends = Backends(self.partition)
        self._keys.clear()
        self._accounts.clear()
        try:
            self._server = Server(self._respond, self._port)
        except OSError:
            self._backends.close()
            raise
        self._iam = Iam(self._backends)
        self._sts = Sts(self._backends, self._keys, self._accounts)
        self._ec2 = Ec2(self._backends, self._regions)
        self._stacks, self._beanstalk = Stacks(self._backends), Beanstalk(self._backends)
        self._organization = Organization(self._backends, self.account_id)
        self._tagging = Tagging(self._iam, self._organization)
        self._know(self.account_id)
        self._server.start()
        self._is_open = True

    def close(self) -> None:
        """Stop the practice account, and discard its resources and member accounts.

        The recorded requests, and the settings of simulated failures and disabled regions, remain. If the account is
        already closed, `close` does nothing.
        """
        if not self._is_open:
            return
        self._is_open = False
        self._server.stop()
        self._backends.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _know(self, account_id: str, *, active: bool = True) -> None:
        arn = f"arn:{self.partition}:iam::{account_id}:user/practice"
        if active:
            self._keys[_key(account_id)] = Principal(account_id, arn, f"AIDA{account_id}USERX")
            self._accounts.append(account_id)

    # Use

    @property
    def endpoint(self) -> str:
        """The URL of the practice account."""
        return self._server.endpoint

    def session(self, region_name: str | None = None, account_id: str | None = None) -> Any:
        """Return a boto3 session for the practice account or a member account.

        The returned session takes no credentials, profiles, regions, endpoints or proxies from environment variables
        or the AWS CLI's files.
        """
        import boto3
        from botocore.config import Config
        from botocore.session import Session

        core: Any = Session()
        core.register_component("data_loader", models())
        core.set_config_variable("config_file", os.devnull)
        core.set_config_variable("credentials_file", os.devnull)
        core.get_scoped_config = dict
        core.set_default_client_config(Config(proxies={}))
        create = core.create_client

        def create_client(*args: Any, **named: Any) -> Any:
            return create(*args, **(named | {"endpoint_url": named.get("endpoint_url") or self.endpoint}))

        core.create_client = create_client
        session = boto3.Session(
            aws_access_key_id=_key(account_id or self.account_id),
            aws_secret_access_key="practice",  # noqa: S106 (it opens nothing)
            region_name=region_name or self._regions.enabled[0],
            botocore_session=core,
        )
        # Each session adds the path of boto3's models again.
        models().search_paths[:] = dict.fromkeys(models().search_paths)
        return session

    def environment(self, account_id: str | None = None) -> dict[str, str]:
        """Return environment variables that direct programs to the practice account.

        With these variables, the AWS CLI 2 and programs with boto3 send their requests to the practice account. Version
        1 of the AWS CLI sends some requests to the real AWS instead of the practice account, for example requests to
        EMR, RDS, SQS, DocumentDB, Neptune and Health. AWS does not accept the access keys of a practice account.
        """
        # Version 1 ignores the variables for EMR in most regions, and for RDS in us-east-1.
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": _key(account_id or self.account_id),
            "AWS_SECRET_ACCESS_KEY": "practice",
            "AWS_DEFAULT_REGION": self._regions.enabled[0],
            "AWS_REGION": self._regions.enabled[0],
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_PAGER": "",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def fill(self, roles: int = 500, profiles: int = 500, account_id: str | None = None) -> dict[str, dict[str, Any]]:
        """Fill the account with fictional roles and profiles, and return them.

        The result is not random: the same arguments give the same result. The result contains two dictionaries. In the
        result, `roles` maps each role name to `path`, `tags` and `trusts`. `trusts` is the service that the role
        trusts. In the result, `profiles` maps each profile name to `path`, `role` and `tags`. Some profiles have their
        role's name, and some have another name. Some profiles are empty. Every second role and every second profile has
        tags. Every tenth role trusts eks.amazonaws.com, and the other roles trust ec2.amazonaws.com.

        Raises
        ------
        ValueError
            If the account already contains a role or profile with a name that `fill` gives.
        """
        with self._backends.lock:
            return fill(self._iam, account_id or self.account_id, roles, profiles)

    def add_member(
        self, name: str, status: str = "ACTIVE", role_name: str | None = "OrganizationAccountAccessRole"
    ) -> str:
        """Create a member account, and return its id.

        The member account gets a role with the name `role_name`, which the practice account itself can assume.
        """
        with self._lock:
            account_id = f"{len(self._organization.members):012d}"
            self._organization.members.append(Member(account_id, name, status))
            # A suspended or closed account accepts no request.
            self._know(account_id, active=status == "ACTIVE")
        if role_name is not None:
            trust = (
                '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:'
                f'{self.partition}:iam::{self.account_id}:root"}},"Action":"sts:AssumeRole"}}]}}'
            )
            with self._backends.lock:
                self._backends.iam(account_id).create_role(role_name, trust, "/", None, "", [], "3600")
        return account_id

    def set_tag_policy(self, policy: Mapping[str, Any] | None, account_id: str | None = None) -> None:
        """Set an account's effective tag policy, such as `{"tags": {…}}`.

        If `policy` is None, the account loses its tag policy. Before the first call of `add_member`, there is no
        organization, so requests for the tag policy fail.
        """
        policies, account_id = self._organization.tag_policies, account_id or self.account_id
        if policy is None:
            policies.pop(account_id, None)
        else:
            policies[account_id] = dict(policy)

    def disable_region(self, name: str) -> None:
        """Disable a region.

        A disabled region refuses all credentials. Lists of enabled regions do not contain a disabled region.
        """
        self._regions.disable(name)

    def instance_credentials(
        self, instance_id: str, region_name: str | None = None, account_id: str | None = None
    ) -> dict[str, str]:
        """Return the credentials document from an instance's metadata (`iam/security-credentials/ROLE`).

        If the role trusts EC2, the field `Code` is "Success", and the document contains access keys for the practice
        account. If the role does not trust EC2, the `Code` in the credentials document is
        "AssumeRoleUnauthorizedAccess", and the credentials document contains a `Message`. In a practice account, a role
        trusts EC2 if an `Allow` statement without a `Condition` names EC2. In a practice account, a change to the role
        reaches the instance at once. On AWS, it can take an hour until a new trust policy reaches the instances.

        Raises
        ------
        LookupError
            If the instance has no profile, or an empty profile.
        """
        account_id, region_name = account_id or self.account_id, region_name or self._regions.enabled[0]
        with self._backends.lock:
            profile = self._ec2.profile_of(account_id, region_name, instance_id)
            if profile is None or not profile.roles:
                raise LookupError(
                    f"{instance_id} in {region_name} has no instance profile with a role in it: give it one"
                )
            return self._sts.instance_credentials(profile.roles[0], instance_id)

    # Requests

    @property
    def requests(self) -> list[Request]:
        """The recorded requests, in the order in which they were answered."""
        with self._lock:
            return list(self._requests)

    def counts(self) -> Counter[str]:
        """Return the number of recorded requests per action."""
        return Counter(request.action for request in self.requests)

    def writes(self) -> int:
        """Return the number of recorded requests that are not reads.

        Reads are AssumeRole, GET requests without a known action, and actions that begin with Get, List, Describe,
        BatchGet, Lookup, Query, Scan, Search, Select or Simulate.
        """
        return sum(faults.is_write(request.action) for request in self.requests)

    def forget(self) -> None:
        """Delete the recorded requests."""
        with self._lock:
            self._requests.clear()

    # Failures

    def throttle(self, rate: float, burst: float, service: str = "iam") -> None:
        """Allow `burst` requests to a service, and then at most `rate` requests per second.

        If `rate` and `burst` are 0, requests to the service are not limited.
        """
        with self._faults.lock:
            if rate or burst:
                self._faults.buckets[service] = Bucket(rate, burst, burst, time.monotonic())
            else:
                self._faults.buckets.pop(service, None)

    def deny(self, action: str, resource: str = "*", account_id: str = "*") -> None:
        """Deny an action, such as "GetRole" or "iam:*", on a resource.

        The resource is the name or ARN of a role or profile. `*` matches any text. For actions about other resources,
        such as DescribeInstances, pass "*" or an ARN such as "arn:aws:ec2:us-east-1:123456789012:*".
        """
        with self._faults.lock:
            self._faults.denials.append(Denial(action, resource, account_id))

    def allow(self) -> None:
        """Remove all denials."""
        with self._faults.lock:
            self._faults.denials.clear()

    def expire(self, after: int | None = 0) -> None:
        """Make all credentials expire after a number of requests. `expire(None)` makes the credentials valid again."""
        with self._faults.lock:
            self._faults.left = after

    def fault(self, kind: str, action: str = "*", times: int = 1) -> None:
        """The next `times` calls of the given action fail.

        Parameters
        ----------
        kind
            "reset" closes the connection without an answer. "truncated" sends half of the answer, with the length of
            this half as Content-Length. "short" sends half of the answer, with the full length as Content-Length. "500"
            sends the service's error for an internal failure.
        action
            The name of an API action of any service, such as "GetRole". `*` matches any text.
        times
            How many of the next calls shall fail.
        """
        if kind not in faults.FAULTS:
            raise ValueError(f"{kind} is not a fault: {', '.join(faults.FAULTS)}")
        with self._faults.lock:
            self._faults.faults.append(Fault(kind, action, times))

    # Answers

    def _respond(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        began = time.perf_counter()
        call = read_call(method, target, headers, body)
        call.who = self._keys.get(call.key, call.who)
        broken = self._faults.broken(call)
        answer = refusal_answer(call, faults.service_failure(call)) if broken == "500" else self._answer(call)
        if broken == "truncated":
            answer = Answer(answer.status, answer.body[: len(answer.body) // 2], answer.content_type, answer.headers)
        seconds = time.perf_counter() - began
        if self.latency > seconds:
            time.sleep(self.latency - seconds)
        status = 0 if broken == "reset" else answer.status
        request = Request(call.service, call.action, call.region, status, call.account_id, answer.error_code, seconds)
        with self._lock:
            self._requests.append(request)
        return Reply(answer, broken)

    def _answer(self, call: Call) -> Answer:
        try:
            if not call.key:
                raise faults.unsigned()
            if not call.account_id or not self._reaches(call):
                raise faults.unknown_credentials(call)
            self._faults.check(call, self._iam.path_of)
            return self._dispatch(call)
        except Refusal as refusal:
            return refusal_answer(call, refusal)
        except Exception as error:  # noqa: BLE001
            # The client gets an error of this program instead of a broken connection.
            return refusal_answer(call, Refusal("InternalFailure", f"{call.permission}: {error!r}", 500))

    def _reaches(self, call: Call) -> bool:
        if call.service not in _GLOBAL and call.region in self._regions.disabled:
            return False
        prefix = {"aws-cn": "cn-", "aws-us-gov": "us-gov-"}.get(self.partition)
        return call.region.startswith(prefix) if prefix else not call.region.startswith(("cn-", "us-gov-"))

    def _dispatch(self, call: Call) -> Answer:
        if (nothing := _NOTHING.get((call.service, call.action))) is not None:
            return json_answer(call, nothing)
        if call.service == "account" and call.action == "ListRegions":
            return list_regions(call, self._regions)
        if call.service == "ecs" and call.action == "DescribeCapacityProviders":
            call = self._backends.with_provider_names(call)
        services: dict[str, Any] = {
            "iam": self._iam,
            "sts": self._sts,
            "ec2": self._ec2,
            "tagging": self._tagging,
            "organizations": self._organization,
            "cloudformation": self._stacks,
            "elasticbeanstalk": self._beanstalk,
        }
        answer: Answer = services[call.service].answer(call) if call.service in services else self._backends.ask(call)
        if call.service == "autoscaling" and faults.is_write(call.action):
            # A write to Auto Scaling may start instances.
            with self._backends.lock:
                self._ec2.settle_groups(call.account_id, call.region)
        return answer


def refusal_of(call: Callable[..., Any], /, **arguments: Any) -> str:
    """Make a boto3 call, check that the call fails, and return the error message.

    Raises
    ------
    AssertionError
        If the call succeeds.
    """
    from botocore.exceptions import ClientError

    try:
        call(**arguments)
    except ClientError as refusal:
        return str(refusal)
    raise AssertionError(f"{call.__name__} was not refused")


def _key(account_id: str) -> str:
    return f"AKIA{account_id}TEST"
