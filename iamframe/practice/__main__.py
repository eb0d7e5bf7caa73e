"""The command `python -m iamframe.practice` runs a simulated AWS account until Ctrl-C is pressed."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import threading

from iamframe.errors import MissingExtraError
from iamframe.practice.account import PracticeAccount


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m iamframe.practice",
        description="A fictional AWS account on 127.0.0.1, filled with roles and instance profiles, until Ctrl-C.",
    )
    parser.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1 (a free one if not given)")
    parser.add_argument("--roles", type=int, default=40, help="how many roles (40)")
    parser.add_argument("--profiles", type=int, default=40, help="how many instance profiles (40)")
    asked = parser.parse_args(arguments)
    try:
        account = PracticeAccount(port=asked.port)
        account.open()
    except OSError as error:
        parser.error(f"port {asked.port} of 127.0.0.1 cannot be served on ({error.strerror}); name another with --port")
    except (ValueError, MissingExtraError) as error:
        parser.error(str(error))
    with contextlib.closing(account), contextlib.suppress(KeyboardInterrupt):
        account.fill(asked.roles, asked.profiles)
        for name, value in account.environment().items():
            print(f"export {name}={shlex.quote(value)}", flush=True)  # noqa: T201 (this is what it is for)
        threading.Event().wait()


if __name__ == "__main__":
    main()
