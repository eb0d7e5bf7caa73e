"""Shell scripts of AWS CLI commands, made from templates."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

from iamframe.knowledge.operations import cli_name


def render_template(package: str, template: str, **values: object) -> str:
    """Return a shell script, made from a template in a package. `{{ x | quote }}` becomes one word of the shell."""
    environment = Environment(  # noqa: S701 - a script is not HTML
        loader=PackageLoader(package, "."),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"quote": shlex.quote, "cli_name": cli_name, "options": options}
    return environment.get_template(template).render(values)


def options(parameters: Mapping[str, object], service: str) -> str:
    """Return the parameters of a read operation as options of the AWS CLI, each after a space, without page sizes.

    The shell variable `$managed_SERVICE` stands for `IncludeManagedResources`. A script sets the variable if its AWS
    CLI knows that option.
    """
    words = []
    for name, value in parameters.items():
        if name == "IncludeManagedResources":
            words.append(f'${{managed_{service}:+"$managed_{service}"}}')
        elif isinstance(value, bool):
            words.append(f"--{'' if value else 'no-'}{cli_name(name)}")
        elif isinstance(value, list):
            words.append(f"--{cli_name(name)} {shlex.join(map(str, value))}")
    return "".join(f" {word}" for word in words)
