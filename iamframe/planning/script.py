"""A clean-up as a POSIX shell script of AWS CLI calls that a reviewer can read.

Every value is one shell word, `--option=value`, and every comment one line, whatever the data holds.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from iamframe.planning.resources import PROFILE, Account, Resource
from iamframe.version import __version__
from iamframe.words import counted

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


@dataclass(frozen=True, slots=True)
class Command:
    """One step: of what, what it does, the command as one shell line, and what taking it back takes.

    `check` reads, and its `line` is what the script does instead: it calls a function of its own.
    """

    resource: Resource
    action: str
    command: str
    line: str = ""
    undo: str | None = None
    cannot_undo: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Commands that are done together or not at all: checks first, then writes."""

    account_id: str
    title: str
    checks: str
    why: str
    rests_on: str
    related_arn: str | None
    steps: tuple[Command, ...]
    if_half_done: str | None = None

    @property
    def writes(self) -> list[Command]:
        """The steps that change something."""
        return [step for step in self.steps if step.action != "check"]


def words(*parts: str, **options: str) -> str:
    """Return an AWS CLI command as a line of a shell, each option one word whatever its value is."""
    given = [f"--{name.replace('_', '-')}={shlex.quote(value)}" for name, value in options.items()]
    return " ".join(("aws", *parts, *given))


def tag_words(resource: Resource, tags: dict[str, str]) -> str:
    """Return the command that gives a resource tags; in JSON, since the CLI's shorthand has no safe way of quoting."""
    verb, option = (
        ("tag-instance-profile", "instance_profile_name") if resource.kind == PROFILE else ("tag-role", "role_name")
    )
    return words("iam", verb, **{option: resource.name}, tags=tags_json(tags))


def untag_words(resource: Resource, keys: Iterable[str]) -> str:
    """Return the command that takes tags off a resource."""
    verb, option = (
        ("untag-instance-profile", "instance_profile_name") if resource.kind == PROFILE else ("untag-role", "role_name")
    )
    return words("iam", verb, **{option: resource.name}, tag_keys=json.dumps(list(keys)))


def tags_json(tags: dict[str, str]) -> str:
    """Return tags as the AWS CLI takes them, in ASCII: letters that look alike stay apart, and no locale matters."""
    return json.dumps([{"Key": key, "Value": value} for key, value in tags.items()], separators=(",", ":"))


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
    line = shlex.join(("unused", resource.name, resource.arn, resource.id, " ".join(regions)))
    return Command(resource, "check", command, line)


_HEAD = """\
#!/bin/sh
# A clean-up plan by iamframe {version}, made {made}. iamframe never runs it: read it, then run it with `sh`.
#
{accounts}
#
# Each step first reads what it rests on. Where that is not as it was, or cannot be read, nothing of that step is
# written, and the script goes on with the next one. Nothing can be read and written in one: whoever changes the account
# in the seconds between is not seen. Roles are never deleted.
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

# unused NAME ARN ID REGIONS: whether no instance has a profile, under its id or its ARN, in any of these regions.
unused() {{
  for region in $4; do
    now=$(aws ec2 describe-iam-instance-profile-associations --region="$region" --output=text \\
      --query='IamInstanceProfileAssociations[].IamInstanceProfile.[Id,Arn]') ||
      {{ skip "profile $1" "the associations of $region could not be read"; return 1; }}
    case "$newline$now$newline" in
      *"$newline$3$tab"* | *"$tab$2$newline"*)
        skip "profile $1" "an instance in $region has it"
        return 1
        ;;
    esac
    now=$(aws ec2 describe-instances --region="$region" --output=text \\
      --query='Reservations[].Instances[].InstanceId' \\
      --filters "Name=iam-instance-profile.id,Values=$3" \\
      'Name=instance-state-name,Values=pending,running,stopping,stopped,shutting-down') ||
      {{ skip "profile $1" "the instances of $region could not be read"; return 1; }}
    [ -z "$now" ] || {{ skip "profile $1" "an instance in $region has it: $now"; return 1; }}
  done
}}

# change WHAT COMMAND: run a command that writes.
change() {{
  what=$1
  shift
  "$@" || {{ skip "$what" "refused: $*"; return 1; }}
  printf 'done: %s\\n' "$*"
}}

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
    text = [
        _HEAD.format(
            version=__version__,
            made=made,
            accounts="\n".join(head),
            profile_state=_STATE["instance-profile"],
            role_state=_STATE["role"],
            known=" | ".join(by_account),
            said=", ".join(by_account),
        )
    ]
    number = 0
    for account, mine in by_account.items():
        text.append(f'\n# ---- Account {account}\nif [ "$account" = {account} ]; then\n')
        for block in mine:
            number += 1
            text.append(_block(number, block))
        text.append("fi\n")
    return "".join((*text, not_done, _END))


def _summary(account: Account, blocks: list[Block]) -> str:
    writes = [step for block in blocks for step in block.writes]
    deleted = sum(step.action == "delete" for step in writes)
    tagged = sum(step.action == "tag" for step in writes)
    parts = [counted(deleted, "profile") + " deleted"] if deleted else []
    parts += [counted(tagged, "resource") + " tagged"] if tagged else []
    return comment(f"Account {account.account_id}, {account.read}: {', '.join(parts)}.")


def _block(number: int, block: Block) -> str:
    told = [("why", block.why), ("rests on", block.rests_on)]
    told += [("undo", step.undo) for step in block.writes if step.undo]
    told += [("undo cannot", step.cannot_undo) for step in block.writes if step.cannot_undo]
    lines = [f"\n  {comment(f'{number}. {block.title}')}"]
    lines += [f"  {comment(f'   {name}: {text}')}" for name, text in told]
    checks = " &&\n    ".join(step.line for step in block.steps if step.action == "check")
    lines += [f"  if {checks}; then"]
    writes = [f"change {shlex.quote(_what(step.resource))} {step.command}" for step in block.writes]
    *before, last = writes
    if block.if_half_done:
        last = f"{{ {last} || say {shlex.quote(printable(block.if_half_done))}; }}"
    lines += [*(f"    {line} &&" for line in before), f"    {last}"]
    return "\n".join((*lines, "  fi\n"))


def _what(resource: Resource) -> str:
    return f"{'profile' if resource.kind == PROFILE else 'role'} {resource.name}"


def _listed(title: str, lines: Iterable[str]) -> str:
    text = "".join(f"# - {printable(line)}\n" for line in lines)
    return f"\n# {title}:\n{text}" if text else ""


def comment(text: str) -> str:
    """Return a text as one comment line, whatever it holds."""
    return f"# {printable(text)}"


def printable(text: str) -> str:
    """Return a text on one line: a terminal obeys control characters, and names come from other people."""
    return (
        text
        if text.isprintable()
        else "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    )
