"""A shell script that collects the data with the AWS CLI. iamframe need not be installed or have credentials there."""

from __future__ import annotations

from collections.abc import Sequence

from iamframe.errors import SourceError
from iamframe.knowledge.operations import VERSIONS, region_in
from iamframe.knowledge.owners import known_owners
from iamframe.sources.consumers import CONSUMERS
from iamframe.sources.shell import render_template
from iamframe.sources.tag_policies import NO_POLICY


def collect_script(regions: Sequence[str] = ()) -> str:
    """Return a POSIX shell script that collects data with the AWS CLI and makes a zip for `load_files`.

    The script makes the same read requests as a live load with `references="core"`. If AWS denies a request, the script
    tries its fallback, as a live load does. The script works with the AWS CLI 1 and 2.

    The arguments of the script are regions. It reads the resources that use profiles in these regions. Without
    arguments, it reads them in `regions`, or in all enabled regions if `regions` is empty.

    The script lists EKS clusters only if a profile seems to belong to one. The same applies to Elastic Beanstalk
    environments and CloudFormation stacks. The script also reads the tag policy of the organization.

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
