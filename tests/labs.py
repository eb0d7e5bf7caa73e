"""A real JupyterLab, with nobody's settings, and a page of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from conftest import needed
from playwright.sync_api import Browser, Page
from resident_aws import resident_aws


def environment(folder: Path) -> dict[str, str]:
    """Jupyter with nobody's settings, and none written outside the folder."""
    places = (
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_RUNTIME_DIR",
        "JUPYTERLAB_SETTINGS_DIR",
        "JUPYTERLAB_WORKSPACES_DIR",
        "IPYTHONDIR",
    )
    return os.environ | {name: str(folder / name) for name in places}


@contextmanager
def serving(root: Path, folder: Path) -> Iterator[str]:
    """The address of a JupyterLab that serves a folder and keeps its own files in another."""
    needed(find_spec("jupyterlab"), "JupyterLab", "pip install 'iamframe[notebooks]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.port={port}"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}", "--IdentityProvider.token="]
    command += ["--LabApp.expose_app_in_browser=True", "--LabApp.news_url="]
    with (folder / "log").open("w") as log:
        # The notebook that runs a plan calls the AWS CLI two hundred times.
        variables = environment(folder) | {"PATH": f"{resident_aws()}{os.pathsep}{os.environ['PATH']}"}
        server = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while not answers(f"{address}/api"):
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(20)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


# All notebooks share the kernel of the first, which forgets its names and widgets, rather than start a kernel each.
_OPEN = """async (name) => {
  const app = window.jupyterapp;
  await app.restored;
  const kernels = app.serviceManager.kernels;
  await kernels.refreshRunning();
  const panel = await app.commands.execute("docmanager:open", {path: name, kernel: [...kernels.running()][0]});
  await panel.context.ready;
  await panel.sessionContext.ready;
  const code = "import ipywidgets\\nipywidgets.Widget.close_all()\\n%reset -f";
  await panel.sessionContext.session.kernel.requestExecute({code}).done;
}"""
_CLOSE = "() => window.jupyterapp.shell.currentWidget.dispose()"
_RUN_ALL = """async () => {
  const app = window.jupyterapp, panel = app.shell.currentWidget;
  await app.commands.execute("notebook:clear-all-cell-outputs");
  await app.commands.execute("notebook:run-all-cells");
  return panel.content.widgets.filter((cell) => cell.model.type === "code").map((cell) => cell.model.outputs.toJSON());
}"""


@dataclass
class Lab:
    """A page of a JupyterLab without a network, the folder that it serves, and what it asked for or said."""

    page: Page
    root: Path
    said: list[str] = field(default_factory=list)

    @contextmanager
    def opened(self, notebook: str) -> Iterator[Page]:
        """The page, with a notebook open in it; what asks for more than this machine fails the test."""
        self.page.evaluate(_OPEN, notebook)
        try:
            yield self.page
            assert self.said == []
        finally:
            self.page.evaluate(_CLOSE)

    def run_all(self) -> list[list[dict[str, Any]]]:
        """Run all cells of the notebook that is open, and return what each shows."""
        return list(self.page.evaluate(_RUN_ALL))


@contextmanager
def lab_page(browser: Browser, root: Path, folder: Path) -> Iterator[Lab]:
    """A page of a JupyterLab that serves a folder and keeps its own files in another."""
    with serving(root, folder) as address:
        page = browser.new_page(viewport={"width": 1400, "height": 1600})
        page.set_default_timeout(20_000)
        lab = Lab(page, root)
        page.route(
            lambda url: not url.startswith(address), lambda route: (lab.said.append(route.request.url), route.abort())
        )
        page.on("dialog", lambda dialog: (lab.said.append(dialog.message), dialog.dismiss()))
        page.goto(f"{address}/lab?reset")
        page.wait_for_function("() => window.jupyterapp", timeout=60_000)
        yield lab
        page.close()
