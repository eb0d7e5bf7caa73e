"""A notebook run in the IPython of this process, without the three seconds in which a kernel starts."""

from __future__ import annotations

import warnings
from contextlib import chdir
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.core.displayhook import DisplayHook
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import select_figure_formats
from IPython.utils.capture import capture_output
from traitlets.config import Config


class _Kept(DisplayHook):
    """What the last line of a cell gives, kept rather than printed."""

    given: list[dict[str, Any]]

    def start_displayhook(self) -> None:
        """Print nothing."""

    def write_output_prompt(self) -> None:
        """Write none."""

    def write_format_data(self, format_dict: dict[str, Any], md_dict: object = None) -> None:  # noqa: ARG002
        self.given.append(format_dict)

    def finish_displayhook(self) -> None:
        """Print nothing."""


class _Shell(InteractiveShell):
    displayhook_class = _Kept


def execute(notebook: Path, made: Path, parameters: dict[str, str], folder: Path) -> None:
    """Run the cells of a notebook in a folder, with parameters as papermill puts them in, and write what they show.

    A cell that fails, or warns, fails the test; what it shows is kept as a kernel would send it.
    """
    import matplotlib.pyplot as plt

    with warnings.catch_warnings():
        # What papermill's own dependencies warn of is not about iamframe.
        warnings.simplefilter("ignore")
        import nbformat
        from papermill.iorw import load_notebook_node
        from papermill.parameterize import parameterize_notebook

        document = load_notebook_node(str(notebook))
        if parameters:
            document = parameterize_notebook(document, parameters, kernel_name="python3")
    shell = _Shell.instance(config=Config(HistoryManager={"enabled": False}))
    try:
        # Where a picture ends is not compared, and it would be drawn twice to find out.
        select_figure_formats(shell, {"png"}, bbox_inches=None)
        options = ("display.max_colwidth", "display.html.use_mathjax")
        kept: Any = [part for name in options for part in (name, pd.get_option(name))]
        with chdir(folder), pd.option_context(*kept):
            for cell in document.cells:
                if cell.cell_type == "code":
                    shell.displayhook.given = []
                    with capture_output() as captured:
                        done = shell.run_cell(cell.source)
                    done.raise_error()
                    # A kernel shows the figures that a cell leaves open, and closes them.
                    figures = [shell.display_formatter.format(plt.figure(number))[0] for number in plt.get_fignums()]
                    plt.close("all")
                    cell.outputs = _outputs(captured, shell.displayhook.given + figures)
    finally:
        _Shell.clear_instance()
    nbformat.write(document, made)


def _outputs(captured: Any, given: list[dict[str, Any]]) -> list[Any]:
    from nbformat.v4 import new_output

    said = (("stdout", captured.stdout), ("stderr", captured.stderr))
    streams = [new_output("stream", name=name, text=text) for name, text in said if text]
    shown = [one.data for one in captured.outputs] + given
    return [*streams, *(new_output("display_data", data=dict(data)) for data in shown)]
