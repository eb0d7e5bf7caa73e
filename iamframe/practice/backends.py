"""Run moto, which answers those API calls that `iamframe.practice` does not implement."""

from __future__ import annotations

import io
import json
import re
import threading
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from iamframe.errors import optional
from iamframe.practice.calls import Answer, Call, Refusal

# moto keeps its state in module globals, so a process has one account at a time.
_in_use = threading.Lock()
_ERROR_CODE = re.compile(rb"<Code>([^<]+)</Code>|\"__type\":\s*\"([^\"]+)\"")


class Backends:
    def __init__(self, partition: str) -> None:
        server = optional("moto.server", "practice")
        if not _in_use.acquire(blocking=False):
            raise RuntimeError("another practice account is open in this process: close it first")
        self.partition = partition
        # moto requires that only one thread writes at a time.
        self.lock = threading.RLock()
        self._application = server.DomainDispatcherApplication(server.create_backend_app)
        self._reset()

    def close(self) -> None:
        self._reset()
        _in_use.release()

    @staticmethod
    def _reset() -> None:
        from moto.core.base_backend import BackendDict
        from moto.core.model_instances import reset_model_data
        from moto.organizations.models import organizations_backends

        BackendDict.reset()
        reset_model_data()
        organizations_backends.master_accounts.clear()

    def iam(self, account_id: str) -> Any:
        from moto.iam.models import iam_backends

        return iam_backends[account_id][self.partition]

    def ec2(self, account_id: str, region: str) -> Any:
        from moto.ec2.models import ec2_backends

        return ec2_backends[account_id][region]

    def cloudformation(self, account_id: str, region: str) -> Any:
        from moto.cloudformation.models import cloudformation_backends

        return cloudformation_backends[account_id][region]

    def beanstalk(self, account_id: str, region: str) -> Any:
        from moto.elasticbeanstalk.models import eb_backends

        return eb_backends[account_id][region]

    @staticmethod
    def with_provider_names(call: Call) -> Call:
        """Add all capacity providers to a call that names none, because moto returns only named ones."""
        from moto.ecs.models import ecs_backends

        names = call.json.get("capacityProviders") or [*ecs_backends[call.account_id][call.region].capacity_providers]
        return replace(call, body=json.dumps(call.json | {"capacityProviders": names}).encode())

    def ask(self, call: Call, **changed: str | None) -> Answer:
        """Let moto answer a call.

        The values in `changed` replace parameters of the call. None removes a parameter.
        """
        body = call.body
        if changed:
            params = {name: value for name, value in (call.params | changed).items() if value is not None}
            body = urlencode(params).encode()
        with self.lock:
            return self._run(call, body)

    def _run(self, call: Call, body: bytes) -> Answer:
        url = urlsplit(call.target)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": call.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(url.path),
            "QUERY_STRING": url.query,
            "RAW_URI": call.target,
            "REQUEST_URI": call.target,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in call.headers.items()}
        # moto reads the region from the user agent before it reads the signature.
        environ["HTTP_USER_AGENT"] = f"practice region/{call.region}"
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = call.account_id
        environ["CONTENT_TYPE"] = environ.get("HTTP_CONTENT_TYPE", "")
        environ["CONTENT_LENGTH"] = environ["HTTP_CONTENT_LENGTH"] = str(len(body))
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
            started[:] = [int(status[:3]), {name.lower(): value for name, value in headers}]

        try:
            answer = b"".join(self._application(environ, start_response))
        except NotImplementedError as error:
            raise Refusal("InvalidAction", f"moto does not know {call.permission}", 501) from error
        except Exception as error:
            raise Refusal("InternalFailure", f"moto failed on {call.permission}: {error!r}", 500) from error
        status, headers = started
        code = None
        if status >= 400:
            match = _ERROR_CODE.search(answer)
            named = headers.get("x-amzn-errortype", "InternalFailure")
            code = (match[1] or match[2]).decode() if match else named
        passed = tuple((name, value) for name, value in headers.items() if name.startswith("x-amz"))
        return Answer(status, answer, headers.get("content-type", "text/xml"), passed, code)
