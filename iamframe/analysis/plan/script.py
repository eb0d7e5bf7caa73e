"""A clean-up as a POSIX shell script of AWS CLI commands that a reviewer can read.

Every value is one shell word, `--option=value`, and every comment is one line, whatever the data holds.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from itertools import count

from iamframe.analysis.plan.commands import Block, Command, on
from iamframe.analysis.plan.reads import functions
from iamframe.analysis.plan.resources import AccountFacts, Resource
from iamframe.knowledge.arn import PROFILE_TYPE
from iamframe.messages.text import escape_controls, pluralize
from iamframe.sources import shell
from iamframe.version import __version__

_TAGS = "sort_by(Tags||`[]`,&Key)[].[Key,Value]"
# `to_string` escapes all letters but ASCII, so that the comparison does not depend on the terminal's encoding.
_STATE = {
    "instance-profile": f"to_string(InstanceProfile.[InstanceProfileId,Roles[].RoleId,{_TAGS}])",
    "role": f"to_string(Role.[RoleId,{_TAGS}])",
}


def unchanged(resource: Resource) -> Command:
    """Return the check that a resource still has the id, the role and the tags that were read."""
    command = on(resource, "get", output="text", query=_STATE[resource.kind])
    function = "profile_is" if resource.kind == PROFILE_TYPE else "role_is"
    return Command(resource, "check", command, shlex.join((function, resource.name, resource.state)))


def unused(resource: Resource, regions: tuple[str, ...]) -> Command:
    """Return the check that no instance has a profile, in any of the regions."""
    by_id = f"IamInstanceProfileAssociations[?IamInstanceProfile.Id=='{resource.id}'].AssociationId"
    command = (
        f"for region in {' '.join(regions)}; do aws ec2 describe-iam-instance-profile-associations "
        f'--region="$region" --output=text --query={shlex.quote(by_id)}; aws ec2 describe-instances '
        f"--region=\"$region\" --output=text --query='Reservations[].Instances[].InstanceId' "
        f"--filters=Name=iam-instance-profile.id,Values={resource.id}; done"
    )
    line = shlex.join(("unused", resource.name, resource.arn, resource.id))
    return Command(resource, "check", command, line)


def render_script(
    blocks: list[Block], accounts: dict[str, AccountFacts], left: Iterable[str], unseen: Iterable[str], made: str
) -> str:
    """Return the script: blocks in their order, and as comments the findings and resources that are left out."""
    not_done = _listed("Not seen", unseen) + _listed("Not planned", left)
    if not blocks:
        first = f"#!/bin/sh\n# A clean-up plan by iamframe {__version__}, made {made}: nothing is planned.\n"
        return first + not_done
    by_account: dict[str, list[Block]] = {}
    for block in blocks:
        by_account.setdefault(block.account_id, []).append(block)
    numbers = count(1)
    return shell.render_template(
        "iamframe.analysis.plan",
        "cleanup.sh.j2",
        version=__version__,
        made=made,
        states=_STATE,
        comment=_comment,
        # A script that only tags has no functions for deletions.
        last_look=functions() if any(map(_deletes, blocks)) else "",
        accounts=[_account(accounts[account], mine, numbers) for account, mine in by_account.items()],
        not_done=not_done,
    )


def _account(account: AccountFacts, blocks: list[Block], numbers: Iterator[int]) -> dict[str, object]:
    """Return the part of one account as the template takes it."""
    writes = [step for block in blocks for step in block.writes]
    deleted = sum(step.action == "delete" for step in writes)
    tagged = sum(step.action == "tag" for step in writes)
    parts = [f"delete {pluralize(deleted, 'profile')}"] if deleted else []
    parts += [f"tag {pluralize(tagged, 'resource')}"] if tagged else []
    return {
        "account_id": account.account_id,
        "summary": f"Account {account.account_id}, {account.read}; to do: {', '.join(parts)}.",
        "deletes": deleted > 0,
        "regions": account.regions,
        "reads": account.reads.items(),
        "blocks": [_block(next(numbers), block) for block in blocks],
    }


def _deletes(block: Block) -> bool:
    return any(step.action == "delete" for step in block.writes)


def _block(number: int, block: Block) -> dict[str, object]:
    """Return one block as the template takes it: comments, checks, and writes that are done if all checks hold."""
    undo = [step.undo for step in reversed(block.writes) if step.undo]
    notes = [("why", block.why), ("rests on", block.rests_on)]
    notes += [(f"undo, {n} of {len(undo)}" if len(undo) > 1 else "undo", line) for n, line in enumerate(undo, 1)]
    notes += [("undo cannot", text) for text in dict.fromkeys(step.cannot_undo for step in block.writes) if text]
    *before, last = block.writes
    final = _or_put_back(before[0], last) if before and last.action == "delete" else _change(last)
    return {
        "number": number,
        "title": block.title,
        "notes": notes,
        "checks": [step.line for step in block.steps if step.action == "check"],
        "writes": [*map(_change, before), final],
    }


def _change(step: Command) -> str:
    return f"change {shlex.quote(step.doing or step.action)} {shlex.quote(_what(step.resource))} {step.command}"


def _or_put_back(taken: Command, last: Command) -> str:
    """Return the lines that delete a profile, and put the role that was taken out of it back if that fails."""
    what = _what(last.resource)
    half = f"HALF DONE: {what}: its role is out of it and could not be put back; type: {taken.undo}"
    return (
        f"{{ {_change(last)} ||\n"
        f"      put_back {shlex.quote(what)} {taken.undo} ||\n"
        f"      say {shlex.quote(escape_controls(half))}; }}"
    )


def _what(resource: Resource) -> str:
    return f"{'profile' if resource.kind == PROFILE_TYPE else 'role'} {resource.name}"


def _listed(title: str, lines: Iterable[str]) -> str:
    text = "".join(f"# - {escape_controls(line)}\n" for line in lines)
    return f"\n# {title}:\n{text}" if text else ""


def _comment(text: str) -> str:
    """Return a text as one comment line, whatever it holds."""
    return f"# {escape_controls(text)}"
