"""The AWS CLI, loaded once: a script that calls it a hundred times would else wait a minute for it to start.

`resident_aws` gives a folder with an `aws` that hands its words, environment, folder and files to a process which has
PyPI's AWS CLI loaded; that forks, so that each call begins with nothing of the one before.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# Without site-packages, Python itself starts in a fiftieth of a second.
_CALL = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"0"], [0, 1, 2])
    server.sendall(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode())
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(8) or 255))
"""


@functools.cache
def resident_aws() -> Path:
    """Return the folder of an `aws` to be put on the PATH; its process ends with this one."""
    place = Path(tempfile.mkdtemp(prefix="aws-"))
    address = str(place / "socket")
    serving = subprocess.Popen([sys.executable, __file__, address], stdout=subprocess.PIPE)
    atexit.register(serving.kill)
    assert serving.stdout is not None
    assert serving.stdout.readline() == b"ready\n"
    (place / "aws").write_text(_CALL.format(python=sys.executable, address=address))
    (place / "aws").chmod(0o755)
    return place


def _serve(address: str) -> None:
    from awscli.clidriver import create_clidriver

    loader = create_clidriver().session.get_component("data_loader")
    for service in ("iam", "sts", "ec2", "autoscaling", "batch", "emr", "elasticbeanstalk", "imagebuilder", "ecs"):
        loader.load_service_model(service, "service-2")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        os.write(1, b"ready\n")
        while True:
            caller, _ = listening.accept()
            _, files, _, _ = socket.recv_fds(caller, 1, 3)
            if os.fork() == 0:
                os._exit(_answer(caller, files, create_clidriver, loader))
            caller.close()
            for file in files:
                os.close(file)


def _answer(caller: socket.socket, files: list[int], create_clidriver: Any, loader: Any) -> int:
    """Do in this process what one call of the AWS CLI asks for, and tell its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    words, folder, environment = json.loads(b"".join(iter(lambda: caller.recv(65536), b"")))
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    driver = create_clidriver()
    driver.session.register_component("data_loader", loader)
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
