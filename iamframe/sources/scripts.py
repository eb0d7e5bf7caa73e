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
    """Return a shell script made from a template. The expression `{{ x | quote }}` becomes one shell word."""
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
    """Return a read operation's parameters as AWS CLI options, each with a leading space. Page sizes are left out.

    The shell variable `$managed_SERVICE` stands for `IncludeManagedResources`. The script sets the variable only if the
    AWS CLI knows the option.
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


def collect_script(regions: Sequence[str] = ()) -> str:
    """Return a POSIX shell script that collects data with the AWS CLI.

    The script writes a zip file for `load_files`. The script makes the same read requests as a live load with
    `references="core"`. If AWS denies a request, the script tries another request for the data. The script works with
    versions 1 and 2 of the AWS CLI.

    The script's arguments are the regions to search for resources that use profiles. Without arguments, the script
    searches the regions in the list `regions`. If this list is empty, the script searches all enabled regions.

    EKS clusters, Elastic Beanstalk environments and CloudFormation stacks may own profiles. The script skips the types
    of owners that no profile seems to have. The script also reads the tag policy of the organization.

    Raises
    ------
    SourceError
        If one of `regions` is not the name of a region.
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
