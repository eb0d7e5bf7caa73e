"""A clean-up as a POSIX shell script of AWS CLI calls that a reviewer can read.

Every value is one shell word, `--option=value`, and every comment one line, whatever the data holds.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from iamframe.analysis.plan import reads as look
from iamframe.analysis.plan.commands import Block, Command, words
from iamframe.analysis.plan.resources import PROFILE, Account, Resource
from iamframe.messages.text import counted, printable
from iamframe.version import __version__

_TAGS = "sort_by(Tags||`[]`,&Key)[].[Key,Value]"
# `to_string` makes ASCII of any letter, so that the comparison does not hang on the terminal's encoding.
_STATE = {
    "instance-profile": f"to_string(InstanceProfile.[InstanceProfileId,Roles[].RoleId,{_TAGS}])",
    "role": f"to_string(Role.[RoleId,{_TAGS}])",
}
_READ = {
    "instance-profile": ("get-instance-profile", "instance-profile-name"),
    "role": ("get-role", "role-name"),
}


def unchanged(resource: Resource) -> Command:
    """Return the check that a resource still has the id, the role and the tags that were read."""
    verb, option = _READ[resource.kind]
    query = _STATE[resource.kind]
    command = words("iam", verb, **{option: resource.name}, output="text", query=query)
    function = "profile_is" if resource.kind == PROFILE else "role_is"
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


_HEAD = """\
#!/bin/sh
# A clean-up plan by iamframe {version}, made {made}. iamframe never runs it: read it, then run it with `sh`.
#
{accounts}
#
# What each step rests on is read again. Where that is not as it was, or cannot be read, nothing of the step is written,
# and the script goes on with the next one. What is read again, and when:
# - just before the writes of each step: id, role and tags of what it is about, and of where tags are copied from;
# - just before each deletion, too: the instances and the associations of each region;
# - once, before the first deletion: all that names profiles, as the load asked it: launch templates (every version),
#   launch configurations, Auto Scaling groups, spot requests, fleets, and what Batch, EMR, Elastic Beanstalk, Image
#   Builder, ECS, RDS and PCS hold, in each region where the service is. If one of them cannot be read, nothing is
#   deleted. Names are compared without case, and an ARN that has the name with another path counts as use.
# Not read again: when roles were last used. An AWS CLI that cannot ask for what AWS manages does not see what this
# account hides of it. Nothing can be read and written in one: what changes in between is not seen.
#
# Roles are never deleted. Of a role that you delete later, the IAM console deletes the profile too where both have the
# same name; the AWS CLI and the API do not.
# Where a profile cannot be deleted once its role is out of it, the role is put back at once, which needs
# iam:AddRoleToInstanceProfile and iam:PassRole. Where a role and its profile have different values of a tag, the role's
# counts, unless the tag policy forbids it; `why` says so. To take steps back, begin with the last one.
#
# It works on the account of the credentials that it is run with, and does only what is planned for that one.
# Exit status: 0 all was done; 1 something was skipped or refused, all of which is said at the end; 2 nothing was done.
set -uf
AWS_PAGER=
export AWS_PAGER
tab=$(printf '\\t')
newline='
'
skipped=

say() {{ printf '%s\\n' "$*" >&2; }}

# skip WHAT WHY: say why a resource is left as it is; always fails.
skip() {{
  say "skipped: $1: $2"
  skipped="$skipped$newline  $1"
  return 1
}}

# profile_is NAME STATE: whether a profile still has this id, role and tags.
profile_is() {{
  now=$(aws iam get-instance-profile --instance-profile-name="$1" --output=text \\
    --query='{profile_state}') ||
    {{ skip "profile $1" 'it could not be read'; return 1; }}
  [ "$now" = "$2" ] || skip "profile $1" "it was $2 and is $now"
}}

# role_is NAME STATE: whether a role still has this id and these tags.
role_is() {{
  now=$(aws iam get-role --role-name="$1" --output=text \\
    --query='{role_state}') ||
    {{ skip "role $1" 'it could not be read'; return 1; }}
  [ "$now" = "$2" ] || skip "role $1" "it was $2 and is $now"
}}
{deleting}
# change DOING WHAT COMMAND: run a command that writes.
change() {{
  doing=$1 what=$2
  shift 2
  "$@" || {{ skip "$what" "could not $doing it"; return 1; }}
  printf 'done: %s %s\\n' "$doing" "$what"
}}

"""

_PUT_BACK = """
# put_back WHAT COMMAND: run the command that puts a role back into a profile that could not be deleted.
put_back() {
  what=$1
  shift
  "$@" && say "put back: the role of $what"
}
"""

_LOGIN = """\
account=$(aws sts get-caller-identity --query=Account --output=text) || {{
  say 'nothing was done: whose account this is could not be read; renew the credentials and run this again'
  exit 2
}}
case "$account" in
  {known}) ;;
  *)
    say "nothing was done: these credentials are of account $account, and this plan is for {said}"
    exit 2
    ;;
esac
"""

_END = """
if [ -n "$skipped" ]; then
  say "left as they are, or half done, as said above:$skipped"
  exit 1
fi
"""


def render(
    blocks: list[Block], accounts: dict[str, Account], left: Iterable[str], unseen: Iterable[str], made: str
) -> str:
    """Return the script: blocks in their order, and as comments what is not planned and what was not seen."""
    by_account: dict[str, list[Block]] = {}
    for block in blocks:
        by_account.setdefault(block.account_id, []).append(block)
    head = [_summary(accounts[account], mine) for account, mine in by_account.items()]
    not_done = _listed("Not seen", unseen) + _listed("Not planned", left)
    if not blocks:
        first = f"#!/bin/sh\n# A clean-up plan by iamframe {__version__}, made {made}: nothing is planned.\n"
        return first + not_done
    # Who only tags is not given the functions that deletions need.
    deleting = look.functions() + _PUT_BACK if any(map(_deletes, blocks)) else ""
    text = [
        _HEAD.format(
            version=__version__,
            made=made,
            accounts="\n".join(head),
            profile_state=_STATE["instance-profile"],
            role_state=_STATE["role"],
            deleting=deleting,
        ),
        _LOGIN.format(known=" | ".join(by_account), said=", ".join(by_account)),
    ]
    number = 0
    for account, mine in by_account.items():
        text.append(f'\n# ---- Account {account}\nif [ "$account" = {account} ]; then\n')
        if any(map(_deletes, mine)):
            text.append(look.looked(accounts[account].regions, accounts[account].reads))
        for block in mine:
            number += 1
            text.append(_block(number, block))
        text.append("fi\n")
    return "".join((*text, not_done, _END))


def _summary(account: Account, blocks: list[Block]) -> str:
    writes = [step for block in blocks for step in block.writes]
    deleted = sum(step.action == "delete" for step in writes)
    tagged = sum(step.action == "tag" for step in writes)
    parts = [f"delete {counted(deleted, 'profile')}"] if deleted else []
    parts += [f"tag {counted(tagged, 'resource')}"] if tagged else []
    return comment(f"Account {account.account_id}, {account.read}; to do: {', '.join(parts)}.")


def _deletes(block: Block) -> bool:
    return any(step.action == "delete" for step in block.writes)


def _block(number: int, block: Block) -> str:
    told = [("why", block.why), ("rests on", block.rests_on)]
    undo = [step.undo for step in reversed(block.writes) if step.undo]
    told += [
        (f"undo, {number} of {len(undo)}" if len(undo) > 1 else "undo", line) for number, line in enumerate(undo, 1)
    ]
    told += [("undo cannot", text) for text in dict.fromkeys(step.cannot_undo for step in block.writes) if text]
    lines = [f"\n  {comment(f'{number}. {block.title}')}"]
    lines += [f"  {comment(f'   {name}: {text}')}" for name, text in told]
    checks = " &&\n    ".join(step.line for step in block.steps if step.action == "check")
    lines += [f"  if {checks}; then"]
    *before, last = block.writes
    lines += [f"    {_change(step)} &&" for step in before]
    lines += _deleting(before[0], last) if before and last.action == "delete" else [f"    {_change(last)}"]
    return "\n".join((*lines, "  fi\n"))


def _change(step: Command) -> str:
    return f"change {shlex.quote(step.doing or step.action)} {shlex.quote(_what(step.resource))} {step.command}"


def _deleting(taken: Command, last: Command) -> list[str]:
    """Return the lines that delete a profile of which the role was taken out, and put it back where that fails."""
    what = _what(last.resource)
    half = f"HALF DONE: {what}: its role is out of it and could not be put back; type: {taken.undo}"
    return [
        f"    {{ {_change(last)} ||",
        f"      put_back {shlex.quote(what)} {taken.undo} ||",
        f"      say {shlex.quote(printable(half))}; }}",
    ]


def _what(resource: Resource) -> str:
    return f"{'profile' if resource.kind == PROFILE else 'role'} {resource.name}"


def _listed(title: str, lines: Iterable[str]) -> str:
    text = "".join(f"# - {printable(line)}\n" for line in lines)
    return f"\n# {title}:\n{text}" if text else ""


def comment(text: str) -> str:
    """Return a text as one comment line, whatever it holds."""
    return f"# {printable(text)}"
