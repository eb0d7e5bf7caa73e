"""The last look of a clean-up: how its script asks again, before it deletes, whatever the load asked.

What is asked, and of which service, comes from `sources.references.CONSUMERS`, so that no consumer is forgotten; what
of the answers names profiles stands in `LOOKS`, as JMESPath for the AWS CLI.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from iamframe.knowledge.operations import ASSOCIATIONS, INSTANCES, VERSIONS, label
from iamframe.sources.consumers import CONSUMERS, Consumer

# What a load asks, but for instances and associations: those are asked before each deletion.
ASKED = tuple(one for one in CONSUMERS if one.when != "files" and one.operation not in (INSTANCES, ASSOCIATIONS))
# What an AWS CLI may not page by itself: ECS has no paginator, and that of Image Builder is young.
UNPAGED = ("DescribeCapacityProviders", "ListInfrastructureConfigurations")
_MANAGED = "IncludeManagedResources"


@dataclass(frozen=True, slots=True)
class Look:
    """A kind of consumer in a script: what it is called, and what of AWS's answer names profiles.

    `records` is the JMESPath to those that still start instances, with the answer's key in place of `{}`; `named` leads
    from one of them to names and ARNs, `pins` to versions of launch templates.
    """

    what: str
    records: str
    named: str = ""
    pins: str = ""


# `reverse` and `merge` fail where the answer holds no such key, so that nothing is not taken for an empty list.
_ALL, _ONE = "reverse({})", "[merge({})]"


def _but(state: str, *over: str, of: str = _ALL) -> str:
    return f"{of}[?!contains(`{json.dumps(over, separators=(',', ':'))}`,{state})]"


_MIXED = "MixedInstancesPolicy.LaunchTemplate.[LaunchTemplateSpecification,Overrides[].LaunchTemplateSpecification][]"
_OPTION = "OptionSettings[?Namespace=='aws:autoscaling:launchconfiguration'&&OptionName=='IamInstanceProfile'].Value"
_OF_MANAGED = "managedInstancesProvider.instanceLaunchTemplate.ec2InstanceProfileArn"

# By operation, in the paths of `sources.references`; a test holds both against the same answers.
LOOKS = {
    VERSIONS: Look("launch templates", f"{_ALL}[]", "LaunchTemplateData.IamInstanceProfile.[Arn,Name]"),
    "DescribeLaunchConfigurations": Look("launch configurations", f"{_ALL}[]", "IamInstanceProfile"),
    "DescribeAutoScalingGroups": Look("Auto Scaling groups", f"{_ALL}[]", pins=f"[LaunchTemplate,{_MIXED}]"),
    "DescribeSpotInstanceRequests": Look(
        "spot requests",
        _but("State", "cancelled", "closed", "failed"),
        "LaunchSpecification.IamInstanceProfile.[Arn,Name]",
    ),
    "DescribeSpotFleetRequests": Look(
        "spot fleets",
        _but("SpotFleetRequestState", "cancelled", "failed"),
        "SpotFleetRequestConfig.LaunchSpecifications[].IamInstanceProfile.[Arn,Name]",
        "SpotFleetRequestConfig.LaunchTemplateConfigs[].LaunchTemplateSpecification",
    ),
    "DescribeFleets": Look(
        "fleets",
        _but("FleetState", "deleted", "failed"),
        pins="LaunchTemplateConfigs[].LaunchTemplateSpecification",
    ),
    "DescribeComputeEnvironments": Look(
        "Batch environments",
        _but("status", "DELETED"),
        f"computeResources.[instanceRole,{_OF_MANAGED}]",
        "computeResources.launchTemplate.[@,overrides[]][]"
        ".{LaunchTemplateId:launchTemplateId,LaunchTemplateName:launchTemplateName,Version:version}",
    ),
    "DescribeCluster": Look(
        "EMR clusters",
        _but("Status.State", "TERMINATED", "TERMINATED_WITH_ERRORS", of=_ONE),
        "Ec2InstanceAttributes.IamInstanceProfile",
    ),
    "DescribeConfigurationSettings": Look("Elastic Beanstalk environments", f"{_ALL}[]", _OPTION),
    "ListInfrastructureConfigurations": Look("Image Builder infrastructure", f"{_ALL}[]", "instanceProfileName"),
    "DescribeCapacityProviders": Look("ECS capacity providers", _but("status", "INACTIVE"), _OF_MANAGED),
    "DescribeDBInstances": Look("RDS Custom instances", f"{_ALL}[]", "CustomIamInstanceProfile"),
    "GetComputeNodeGroup": Look(
        "PCS node groups",
        _but("status", "DELETED", of=_ONE),
        "iamInstanceProfileArn",
        "customLaunchTemplate.{LaunchTemplateId:id,Version:version}",
    ),
}


def asked_first(consumer: Consumer) -> str:
    """Return the operation that a load asks first for a kind of consumer, as `calls` names it."""
    return label(consumer.service, consumer.steps[0].operation if consumer.steps else consumer.operation)


def rows_of(consumer: Consumer) -> str:
    """Return the JMESPath to what a script reads of an answer: rows of a name or ARN, and of id, name and version."""
    look = LOOKS[consumer.operation]
    records = look.records.format(consumer.key)
    # `join` fails where a record lacks the field without which it says nothing.
    named = f"join('',[{look.named}])" if consumer.always else look.named
    # Whether a path leads to one value or to a list (of lists), flattening leaves one list, without what is missing.
    rows = [f"{records}.[{named}][][][].[@]"] if named else []
    rows += [f"{records}.[{look.pins}][][][].[LaunchTemplateId,LaunchTemplateName,Version]"] if look.pins else []
    # Of which template which versions are among these.
    rows += [f"{records}.[LaunchTemplateId,VersionNumber]"] if consumer.operation == VERSIONS else []
    return rows[0] if len(rows) == 1 else f"[{','.join(rows)}][]"


def dashed(name: str) -> str:
    """Return a name of AWS's API as the AWS CLI spells it."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def _options(service: str, parameters: Mapping[str, object]) -> Iterator[str]:
    """Yield the options for what a load asks; how large pages are is the AWS CLI's own matter."""
    for name, value in parameters.items():
        if name == _MANAGED:
            yield f"$managed_{service}"
        elif isinstance(value, bool):
            yield f"--{'' if value else 'no-'}{dashed(name)}"
        elif isinstance(value, list):
            yield f"--{dashed(name)} {shlex.join(map(str, value))}"


def _command(service: str, operation: str, query: str, options: Iterable[str]) -> str:
    by_page, more = "", ""
    if operation in UNPAGED:
        by_page, more, query = "by_page ", " --no-paginate", f"[[[nextToken]],{query}][]"
    asked = " ".join([f"{by_page}aws {service} {dashed(operation)}", *options])
    return f'{asked} \\\n      --region="$region" --output=text{more} \\\n      --query={shlex.quote(query)}'


def _asking(consumer: Consumer) -> str:
    """Return what of a script asks for one kind of consumer in `$region`: loops over what is listed before it."""
    where = f'"{LOOKS[consumer.operation].what} of $region"'
    lines, ends = [], []
    given: list[str] = []
    for level, step in enumerate(consumer.steps, 1):
        listed, rest = step.each.split("[]", 1)
        keys, paths = zip(*re.findall(r"(\w+): (\w+)", rest), strict=True)
        # A list, not the mapping itself: after one, JMESPath no longer goes through the records one by one.
        query = f"{_ALL.format(listed)}[].[{','.join(paths)}]"
        options = [*given, *_options(consumer.service, step.parameters)]
        variables = [f"{column}{level}" for column in "abc"[: len(keys)]]
        given = [f'--{dashed(key)}="${variable}"' for key, variable in zip(keys, variables, strict=True)]
        margin = "  " * level
        lines += [
            f"{margin}list {where} {_command(consumer.service, step.operation, query, options)} || return 1",
            f"{margin}while IFS=$tab read -r {' '.join(variables)}; do",
            f'{margin}  [ -n "${variables[0]}" ] || continue',
        ]
        ends.append(f"{margin}done <<EACH{level}\n$found\nEACH{level}")
    given += _options(consumer.service, consumer.parameters)
    command = _command(consumer.service, consumer.operation, rows_of(consumer), given)
    lines.append(f"{'  ' * len(consumer.steps)}  names {where} {command} || return 1")
    return "\n".join([*lines, *reversed(ends)])


def _of_service(service: str) -> str:
    lines = []
    for one in ASKED:
        if one.service == service:
            lines.append(_asking(one))
            if one.operation == VERSIONS:
                lines.append(_OTHER_VERSIONS)
    body = "\n".join(lines)
    return f"ask_{service}() {{\n{body}\n}}\n"


# Versions are numbered from 1: where fewer are known than the newest one's number, there may be others.
_OTHER_VERSIONS = """\
  for id in $(printf '%s\\n' "$found" | awk -F"$tab" \\
    'NF == 2 && !seen[$0]++ {count[$1]++; if ($2 > newest[$1] + 0) newest[$1] = $2}
    END {for (id in count) if (count[id] < newest[id]) print id}'); do
    versions "launch templates of $region" "--launch-template-id=$id" || return 1
  done"""


_FUNCTIONS = """
# What is named where, in small letters, once that was asked: a line that begins with a tab says where, and below it
# stand names and ARNs. Where that is an ARN of this account, a line /NAME, without its path, comes after it.
asked=
named=
unread=

# small TEXT: in small letters, a value a line: IAM tells no names apart that differ in case alone.
small() {
  printf '%s\\n' "$1" | LC_ALL=C tr 'A-Z\\t' 'a-z\\n'
}

# list WHERE COMMAND: `found` is what a command prints.
list() {
  where=$1
  shift
  found=$("$@" </dev/null) || { unread=$where; return 1; }
}

# by_page COMMAND: what a command prints page by page, of which the first line is the mark of the next one.
by_page() {
  mark=
  while page=$("$@" ${mark:+"--next-token=$mark"} </dev/null); do
    printf '%s\\n' "$page" | sed 1d
    last=$mark
    mark=${page%%"$newline"*}
    case "$mark" in
      None | '') return 0 ;;
      "$last") return 1 ;;
    esac
  done
  return 1
}

# add WHERE: add the names and ARNs of `found`, not its lines of several columns.
add() {
  named="$named$newline$tab$1$newline$(printf '%s\\n' "$found" | LC_ALL=C sed "/$tab/d" | LC_ALL=C tr A-Z a-z |
    LC_ALL=C sed "/^arn:[^:]*:iam::$account:instance-profile\\\\//{p;s|.*/|/|;}")"
}

# names WHERE COMMAND: add what a command prints: names and ARNs, and versions of launch templates (id, name, version).
names() {
  list "$@" || return 1
  add "$where"
  while IFS=$tab read -r id name version; do
    case "$version" in
      '' | None | '$Latest' | '$Default') continue ;; # no version, or one that is read with the templates
    esac
    if [ "$id" = None ]; then template=--launch-template-name=$name; else template=--launch-template-id=$id; fi
    versions "$where" "$template" "--versions=$version" || return 1
  done <<PINS
$(printf '%s\\n' "$found" | LC_ALL=C sort -u)
PINS
}

# versions WHERE OPTION ...: add what versions of a launch template name; one that is gone starts nothing.
versions() {
  where=$1
  shift
  found=$(aws ec2 describe-launch-template-versions "$@" $managed_ec2 --region="$region" --output=text \\
    --query=@VERSION@ 2>&1 </dev/null) ||
    case "$found" in
      *InvalidLaunchTemplate*NotFound*) return 0 ;;
      *) say "$found"; unread=$where; return 1 ;;
    esac
  add "$where"
}

# What of each service names profiles, in $region.
@SERVICES@
# managed SERVICE COMMAND: the option that shows what AWS manages, too, where this AWS CLI knows it; nothing is sent.
managed() {
  aws "$@" --include-managed-resources --region="${regions%% *}" --generate-cli-skeleton=output \\
    >/dev/null 2>&1 </dev/null && echo --include-managed-resources
}

# read_names: read what names profiles, but once: of each service in the regions in which it was asked before.
read_names() {
  [ -z "$asked" ] || return 0
  asked=yes
  managed_ec2=$(managed ec2 describe-instances)
  managed_autoscaling=$(managed autoscaling describe-auto-scaling-groups)
  while read -r service regions_of; do
    for region in $regions_of; do
      "ask_$service" || return 0
    done
  done <<READS
$reads
READS
}

# unused NAME ARN ID: whether in all regions nothing names a profile, and no instance has it.
unused() {
  read_names
  [ -z "$unread" ] || { skip "profile $1" "the $unread could not be read"; return 1; }
  name=$(small "$1") arn=$(small "$2") id=$(small "$3")
  for one in "$name" "$arn" "$id" "/$name"; do
    case "$named$newline" in
      *"$newline$one$newline"*)
        where=${named%%"$newline$one$newline"*}
        where=${where##*"$tab"}
        where=${where%%"$newline"*}
        case "$one" in
          /*) skip "profile $1" "the $where name its name with another path, which AWS may take for it" ;;
          *) skip "profile $1" "the $where name it" ;;
        esac
        return 1
        ;;
    esac
  done
  for region in $regions; do
    now=$(aws ec2 describe-iam-instance-profile-associations --region="$region" --output=text \\
      --query='reverse(IamInstanceProfileAssociations)[].IamInstanceProfile.[Id,Arn][]') ||
      { skip "profile $1" "the associations of $region could not be read"; return 1; }
    case "$newline$(small "$now")$newline" in
      *"$newline$id$newline"* | *"$newline$arn$newline"*)
        skip "profile $1" "an instance in $region has it"
        return 1
        ;;
    esac
    now=$(aws ec2 describe-instances $managed_ec2 --region="$region" --output=text \\
      --query='reverse(Reservations)[].Instances[].InstanceId' \\
      --filters "Name=iam-instance-profile.id,Values=$3" \\
      'Name=instance-state-name,Values=pending,running,stopping,stopped,shutting-down') ||
      { skip "profile $1" "the instances of $region could not be read"; return 1; }
    [ -z "$now" ] || { skip "profile $1" "an instance in $region has it: $now"; return 1; }
  done
}
"""


def functions() -> str:
    """Return the functions of a script that deletes; its account sets `regions`, and `reads` as `looked` gives it."""
    services = dict.fromkeys(one.service for one in ASKED)
    versions = next(one for one in CONSUMERS if one.operation == VERSIONS)
    return _FUNCTIONS.replace("@SERVICES@", "\n".join(map(_of_service, services))).replace(
        "@VERSION@", shlex.quote(rows_of(versions))
    )


def looked(regions: Iterable[str], reads: Mapping[str, Iterable[str]]) -> str:
    """Return the lines that say where a script looks: in these regions, and by service in which of them."""
    asked = "\n".join(" ".join((service, *where)) for service, where in reads.items())
    return f"  regions='{' '.join(regions)}'\n  reads='{asked}'\n"
