"""Make shell scripts that run AWS CLI commands."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from iamframe.errors import SourceError
from iamframe.knowledge.operations import VERSIONS, cli_name, region_in
from iamframe.knowledge.owners import known_owners
from iamframe.sources.consumers import CONSUMERS
from iamframe.sources.tag_policies import NO_POLICY


def render_template(package: str, template: str, **values: object) -> str:
    return _template(package, template).render(values)


@functools.cache
def _template(package: str, template: str) -> Template:
    environment = Environment(  # noqa: S701 - a script is not HTML
        loader=PackageLoader(package, "."),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"quote": shlex.quote, "cli_name": cli_name, "options": options}
    return environment.get_template(template)


def options(parameters: Mapping[str, object], service: str) -> str:
    # Page sizes, which are numbers, are left out.
    words = []
    for name, value in parameters.items():
        if name == "IncludeManagedResources":
            # The script sets the shell variable only if the AWS CLI knows the option.
            words.append(f'${{managed_{service}:+"$managed_{service}"}}')
        elif isinstance(value, bool):
            words.append(f"--{'' if value else 'no-'}{cli_name(name)}")
        elif isinstance(value, list):
            words.append(f"--{cli_name(name)} {shlex.join(map(str, value))}")
    return "".join(f" {word}" for word in words)


def collect_script(regions: Sequence[str] = ()) -> str:
    """Return a script with nearly the same requests as a live load with `references="core"`.

    The script calls DescribeLaunchTemplates, which a live load never calls. The script does not call
    DescribeStackResources.
    """
    for region in regions:
        if region_in(region) != region:
            raise SourceError(f"{region!r} is not a region; write regions like eu-west-1,us-east-1")
    consumers = [one for one in CONSUMERS if one.service in ("ec2", "autoscaling")]
    versions = next(one for one in consumers if one.operation == VERSIONS)
    return render_template(
        "iamframe.sources",
        "collect.sh.j2",
        regions=regions,
        consumers=consumers,
        versions=versions,
        owners=known_owners(),
        no_policy=NO_POLICY,
    )
