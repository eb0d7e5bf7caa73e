"""The AWS CLI, loaded once: a script that calls it a hundred times would else wait a minute for it to start.

`resident_aws` gives a folder with an `aws`. It hands its arguments, environment, folder and files to a process that has
PyPI's AWS CLI loaded. That process forks, so that each call begins without a trace of the calls before.
"""

from __future__ import annotations

import atexit
import functools
import gc
import io
import marshal
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any
from unittest.mock import patch

import botocore

# Without site-packages, and with what is built in alone, Python starts in a fiftieth of a second.
_CALL = """\
#!{python} -IS
import _socket, array, marshal, os, sys
server = _socket.socket(_socket.AF_UNIX)
server.connect({address!r})
server.sendmsg([b"0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
server.sendall(marshal.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]))
server.shutdown(_socket.SHUT_WR)
sys.exit(int(server.recv(8) or 255))
"""


@functools.cache
def resident_aws() -> Path:
    """Return the folder of an `aws` to be put on the PATH; its process ends with this one."""
    place = Path(tempfile.mkdtemp(prefix="aws-"))
    address = str(place / "socket")
    # PyPI's AWS CLI is older than the botocore beside it, and does not know AgentCore's capacity providers yet.
    newer = Path(botocore.__file__).parent / "data" / "bedrock-agentcore-control"
    (place / "models").mkdir()
    (place / "models" / newer.name).symlink_to(newer)
    models = {"AWS_DATA_PATH": str(place / "models")}
    serving = subprocess.Popen([sys.executable, __file__, address], stdout=subprocess.PIPE, env=os.environ | models)
    atexit.register(serving.kill)
    assert serving.stdout is not None
    assert serving.stdout.readline() == b"ready\n"
    (place / "aws").write_text(_CALL.format(python=sys.executable, address=address))
    (place / "aws").chmod(0o755)
    return place


@functools.cache
def _loader() -> Any:
    from awscli.clidriver import create_clidriver

    return create_clidriver().session.get_component("data_loader")


def loaded_driver() -> Any:
    """Return an AWS CLI that has run nothing yet, and finds the models of services as the ones before it left them."""
    from awscli.clidriver import create_clidriver

    driver = create_clidriver()
    driver.session.register_component("data_loader", _loader())
    return driver


def _serve(address: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # A search for garbage would copy all that the calls share with this process.
    gc.disable()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        with patch.dict(os.environ, _MADE_UP):
            driver = loaded_driver()
        os.write(1, b"ready\n")
        known: set[str] = set()
        while True:
            caller, _ = listening.accept()
            _, files, _, _ = socket.recv_fds(caller, 1, 3)
            with caller.makefile("rb") as sent:
                words, folder, environment = marshal.load(sent)
            if service := next((word for word in words if word in _READS.keys() - known), None):
                known.add(service)
                _rehearse(loaded_driver(), service)
            if os.fork() == 0:
                for number, file in enumerate(files):
                    os.dup2(file, number)
                os.chdir(folder)
                os.environ.clear()
                os.environ.update(environment)
                os._exit(_answer(caller, driver, words))
            caller.close()
            for file in files:
                os.close(file)


# One read of each service without required arguments.
_READS = {
    "iam": "list-roles",
    "sts": "get-caller-identity",
    "ec2": "describe-instances",
    "autoscaling": "describe-auto-scaling-groups",
    "batch": "describe-compute-environments",
    "emr": "list-clusters",
    "elasticbeanstalk": "describe-environments",
    "imagebuilder": "list-infrastructure-configurations",
    "ecs": "describe-capacity-providers",
    "pcs": "list-clusters",
    "cloud9": "list-environments",
    "datazone": "list-domains",
    "bedrock-agentcore-control": "list-capacity-providers",
    "rds": "describe-db-instances",
    "eks": "list-clusters",
    "cloudformation": "list-stacks",
}


_MADE_UP = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def _rehearse(driver: Any, service: str) -> None:
    """Load the models of a service and the modules that a call of it needs, by a call that is never sent.

    Forked processes have them then: a call takes a quarter of the time.
    """
    from botocore.awsrequest import AWSResponse

    class Body(io.BytesIO):
        def stream(self) -> Iterator[bytes]:
            yield self.read()

    driver.session.register("before-send", lambda request, **_: AWSResponse(request.url, 403, {}, Body()))
    with patch.dict(os.environ, _MADE_UP), redirect_stderr(io.StringIO()):
        driver.main([service, _READS[service], "--region=eu-central-2"])


def _answer(caller: socket.socket, driver: Any, words: list[str]) -> int:
    """Run one call of the AWS CLI in this process and send its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        status = driver.main(words)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    caller.sendall(str(status).encode())
    return 0


if __name__ == "__main__":
    _serve(sys.argv[1])
