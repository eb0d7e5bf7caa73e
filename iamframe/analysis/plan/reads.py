"""The shell functions with which a clean-up script checks, just before a deletion, whether a profile is in use.

The script reads instances and their associations before each deletion, and all other resources once, before the first
deletion. The functions are in the template `last_look.sh.j2`.
"""

from __future__ import annotations

import json
import shlex

from iamframe.knowledge.operations import ASSOCIATIONS, INSTANCES, UNPAGED, VERSIONS, cli_name
from iamframe.knowledge.owners import Owner, known_owners
from iamframe.sources.consumers import CONSUMERS, Consumer, flat
from iamframe.sources.scripts import options, render_template

# The consumers that a script asks for once. It asks for instances and associations before each deletion.
ASKED = tuple(one for one in CONSUMERS if one.when != "files" and one.operation not in (INSTANCES, ASSOCIATIONS))
SERVICES = {one.service: [other for other in ASKED if other.service == one.service] for one in ASKED}


def first_operation(consumer: Consumer) -> str:
    return consumer.steps[0].operation if consumer.steps else consumer.operation


def rows_of(consumer: Consumer) -> str:
    """Return a JMESPath expression that finds all profiles and all launch template versions in an answer of AWS."""
    records = _records(consumer)
    # `join` fails if a record lacks the field that shows which profile it uses.
    profiles = f"join('',[{consumer.profiles}])" if consumer.always else consumer.profiles
    rows = [f"{records}.{flat(profiles)}.[@]"] if profiles else []
    if consumer.pins:
        rows.append(f"{records}.{flat(consumer.pins)}.[LaunchTemplateId,LaunchTemplateName,Version]")
    if consumer.operation == VERSIONS:
        # These rows show which versions of which template were read.
        rows.append(f"{records}.[LaunchTemplateId,VersionNumber]")
    return rows[0] if len(rows) == 1 else f"[{','.join(rows)}][]"


def _records(consumer: Consumer) -> str:
    # `reverse` and `merge` fail if the answer lacks the key: a missing list is not an empty one.
    one = f"[merge({consumer.key},@)]" if consumer.whole else f"[merge({consumer.key})]"
    records = one if consumer.single or consumer.whole else f"reverse({consumer.key})"
    return records + _without_ended(consumer)


def _without_ended(kind: Consumer | Owner) -> str:
    return f"[?!contains(`{json.dumps(kind.over, separators=(',', ':'))}`,{kind.state})]" if kind.over else "[]"


def _command(service: str, operation: str, given: str, query: str) -> str:
    by_page, more = "", ""
    if operation in UNPAGED:
        by_page, more, query = "by_page ", " --no-paginate", f"[[[nextToken]],{query}][]"
    return (
        f"{by_page}aws {service} {cli_name(operation)}{given} \\\n"
        f'      --region="$region" --output=text{more} \\\n      --query={shlex.quote(query)}'
    )


def ask(consumer: Consumer) -> str:
    where = f'"{consumer.plural} of $region"'
    lines, ends, given = [], [], ""
    for level, step in enumerate(consumer.steps, 1):
        # This is a list of columns: after a mapping, JMESPath would not visit the records one by one.
        query = f"reverse({step.key})[].[{','.join(step.gives.values())}]"
        command = _command(consumer.service, step.operation, given + options(step.parameters, consumer.service), query)
        variables = [f"{column}{level}" for column in "abc"[: len(step.gives)]]
        given = "".join(f' --{cli_name(key)}="${name}"' for key, name in zip(step.gives, variables, strict=True))
        margin = "  " * level
        lines += [
            f"{margin}list {where} {command} || return 1",
            f"{margin}while IFS=$tab read -r {' '.join(variables)}; do",
            f'{margin}  [ -n "${variables[0]}" ] || continue',
        ]
        ends.append(f"{margin}done <<EACH{level}\n$found\nEACH{level}")
    given += options(consumer.parameters, consumer.service)
    command = _command(consumer.service, consumer.operation, given, rows_of(consumer))
    lines.append(f"{'  ' * len(consumer.steps)}  names {where} {command} || return 1")
    return "\n".join([*lines, *reversed(ends)])


def existing(owner: Owner) -> str:
    """Return a command that prints the names and ids of all clusters (or environments, or stacks) in `$region`."""
    # `reverse` fails if the answer lacks the key: a missing list is not an empty one.
    query = f"reverse({owner.key})[].[@]"
    if owner.name:
        query = f"reverse({owner.key}){_without_ended(owner)}.[{owner.id},{owner.name}][].[@]"
    given = options(owner.parameters, owner.service)
    return _command(owner.service, owner.operation, given, query)


def in_stack(name: str) -> str:
    """Return a command that prints the resources of the CloudFormation stack in `$region` that contains a profile.

    CloudFormation finds a resource of any type with this name. It also finds stacks that were deleted in the last 90
    days. It returns only the first 100 resources of a stack. Source: CloudFormation API Reference,
    DescribeStackResources.
    """
    # The beginning of a line shows that it is no warning of the AWS CLI.
    columns = "[join('',['stack=',StackName]),ResourceStatus,ResourceType,PhysicalResourceId]"
    query = f"reverse(StackResources)[].{columns}"
    return (
        f'aws cloudformation describe-stack-resources \\\n      --region="$region" --output=text '
        f"--physical-resource-id={name} \\\n      --query={shlex.quote(query)}"
    )


def functions() -> str:
    """Return the shell functions that a script needs to delete profiles.

    For each account with deletions, the script sets the variables `regions` and `reads`, whose values are the fields
    `regions` and `reads` of `AccountFacts`.
    """
    versions = next(one for one in ASKED if one.operation == VERSIONS)
    return render_template(
        "iamframe.analysis.plan",
        "last_look.sh.j2",
        services=SERVICES.items(),
        versions=versions,
        owners=known_owners(),
        existing=existing,
        in_stack=in_stack('"$1"'),
        ask=ask,
        first_operation=first_operation,
        rows_of=rows_of,
    )
