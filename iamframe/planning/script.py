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
from iamframe.words import counted, printable

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

    `check` reads, and its `line` is what the script does instead: it calls a function of its own. `doing` says in words
    what a write does to the resource, where its action does not.
    """

    resource: Resource
    action: str
    command: str
    line: str = ""
    undo: str | None = None
    cannot_undo: str | None = None
    doing: str = ""


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


# What names profiles, as `sources.references` has it: the command, and what of its answer is a name or an ARN.
_SPOT = 'SpotInstanceRequests[?!contains(`["cancelled","closed","failed"]`,State)]'
_FLEETS = 'Fleets[?!contains(`["deleted","failed"]`,FleetState)]'
_SPOT_FLEETS = 'SpotFleetRequestConfigs[?!contains(`["cancelled","failed"]`,SpotFleetRequestState)]'
NAMED = (
    (
        "launch templates",
        "ec2 describe-launch-template-versions --versions '$Latest' '$Default'",
        "LaunchTemplateVersions[].LaunchTemplateData.IamInstanceProfile.[Arn||Name]",
    ),
    (
        "launch configurations",
        "autoscaling describe-launch-configurations",
        "LaunchConfigurations[?IamInstanceProfile].[IamInstanceProfile]",
    ),
    (
        "spot requests",
        "ec2 describe-spot-instance-requests",
        f"{_SPOT}.LaunchSpecification.IamInstanceProfile.[Arn||Name]",
    ),
    (
        "spot fleets",
        "ec2 describe-spot-fleet-requests",
        f"{_SPOT_FLEETS}.SpotFleetRequestConfig.LaunchSpecifications[].IamInstanceProfile.[Arn||Name]",
    ),
)
# What starts instances from a version of a launch template: id, name and version, a line each.
_PIN = "[LaunchTemplateId,LaunchTemplateName,Version]"
_MIXED = "[LaunchTemplateSpecification,Overrides[].LaunchTemplateSpecification][]"
PINNED = (
    (
        "Auto Scaling groups",
        "autoscaling describe-auto-scaling-groups",
        f"AutoScalingGroups[].[LaunchTemplate,MixedInstancesPolicy.LaunchTemplate.{_MIXED}][][].{_PIN}",
    ),
    (
        "spot fleets",
        "ec2 describe-spot-fleet-requests",
        f"{_SPOT_FLEETS}.SpotFleetRequestConfig.LaunchTemplateConfigs[].LaunchTemplateSpecification.{_PIN}",
    ),
    (
        "fleets",
        "ec2 describe-fleets",
        f"{_FLEETS}.LaunchTemplateConfigs[].LaunchTemplateSpecification.{_PIN}",
    ),
)


def _reading(function: str, what: str, command: str, query: str) -> str:
    asked = f'aws {command} \\\n      --region="$region" --output=text \\\n      --query={shlex.quote(query)}'
    return f'    {function} "{what} of $region" {asked}'


_READS = " &&\n".join([*(_reading("names", *one) for one in NAMED), *(_reading("pins", *one) for one in PINNED)])

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
# - once, before the first deletion: what launch templates, launch configurations, Auto Scaling groups, spot requests
#   and fleets of each region name.
# Not read again: when roles were last used, and what `--references all` asked other services. Instances and templates
# that AWS manages and this account hides are not seen. Nothing can be read and written in one: whoever changes the
# account in between is not seen.
#
# Roles are never deleted. Where a profile cannot be deleted once its role is out of it, the role is put back at once,
# which needs iam:AddRoleToInstanceProfile and iam:PassRole. Where a role and its profile have different values of a
# tag, the role's counts, unless the tag policy forbids it; `why` says so. To take steps back, begin with the last one.
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

_DELETING = """
# What is named where, once that was asked: a line that begins with a tab says where, and below it names and ARNs stand.
asked=
named=
unread=

# names WHERE COMMAND: add the names and ARNs that a command prints.
names() {{
  where=$1
  shift
  found=$("$@") || {{ unread=$where; return 1; }}
  named="$named$newline$tab$where$newline$found"
}}

# pins WHERE COMMAND: add what those versions of launch templates name which a command prints: id, name, version.
pins() {{
  where=$1
  shift
  found=$("$@") || {{ unread=$where; return 1; }}
  while IFS=$tab read -r id name version; do
    case "$version" in
      '' | None | '$Latest' | '$Default') continue ;; # was read with the templates
    esac
    if [ "$id" = None ]; then template=--launch-template-name=$name; else template=--launch-template-id=$id; fi
    found=$(aws ec2 describe-launch-template-versions --region="$region" "$template" --versions="$version" \\
      --output=text --query='{version}' 2>&1 </dev/null) ||
      case "$found" in
        *NotFound*) continue ;; # what is gone starts nothing
        *) say "$found"; unread=$where; return 1 ;;
      esac
    named="$named$newline$tab$where$newline$found"
  done <<PINS
$found
PINS
}}

# read_names REGIONS: read what names profiles in these regions, but once.
read_names() {{
  [ -z "$asked" ] || return 0
  asked=yes
  for region in $1; do
{reads} ||
      return 0
  done
}}

# unused NAME ARN ID REGIONS: whether in all these regions nothing names a profile, and no instance has it.
unused() {{
  read_names "$4"
  [ -z "$unread" ] || {{ skip "profile $1" "the $unread could not be read"; return 1; }}
  for one in "$1" "$2" "$3"; do
    case "$named$newline" in
      *"$newline$one$newline"*)
        where=${{named%%"$newline$one$newline"*}}
        where=${{where##*"$tab"}}
        skip "profile $1" "the ${{where%%"$newline"*}} name it"
        return 1
        ;;
    esac
  done
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

# put_back WHAT COMMAND: run the command that puts a role back into a profile that could not be deleted.
put_back() {{
  what=$1
  shift
  "$@" && say "put back: the role of $what"
}}
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
    deleting = _DELETING.format(reads=_READS, version=NAMED[0][2]) if any(map(_deletes, blocks)) else ""
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
