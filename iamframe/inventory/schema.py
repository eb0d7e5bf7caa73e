"""The table of all frames: their columns, the meaning of each column, and their keys.

It gives the typed empty frames, conforms the frames that the loader and the checks build, and is the source of the
column tables in the README.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc
from typing import Any, TypeVar

import pyarrow as pa

from iamframe.inventory.frame import CATEGORY, COUNT, DATE, FLAG, SHARE, TEXT, TIME, Column, Frame

_Documented = TypeVar("_Documented", bound=Callable[..., Any])


def shows(*frames: Frame) -> Callable[[_Documented], _Documented]:
    """Add the columns of these frames to the docstring of a function or class, for `help` and notebooks."""

    def document(thing: _Documented) -> _Documented:
        if thing.__doc__:
            thing.__doc__ = "\n\n".join((cleandoc(thing.__doc__), *(frame.said for frame in frames)))
        return thing

    return document


def _constructor(type: pa.DataType) -> Callable[[str, str], Column]:
    return lambda name, meaning: Column(name.removesuffix("?"), type, meaning, nullable=name.endswith("?"))


# Constructors of columns by type. A name that ends in `?` means that values may be missing.
text, count, flag, time, date, category, share = map(_constructor, (TEXT, COUNT, FLAG, TIME, DATE, CATEGORY, SHARE))

_ACCOUNT = text("account_id", "account, as its ARNs write it; `unknown` where no ARN and no file says it")

ACCOUNTS = Frame("accounts", "account", ("account_id",)).with_columns(
    _ACCOUNT,
    text("partition?", "partition of its ARNs: aws, aws-cn, aws-us-gov …"),
    text("account_name?", "alias of the account"),
    text("source", "where it was loaded from, as the user named it"),
    time("captured_at?", "when AWS was asked, where the source says so"),
    text("caller_arn?", "who asked (GetCallerIdentity)"),
    count("role_quota?", "roles that the account may have (GetAccountSummary)"),
    count("profile_quota?", "instance profiles that the account may have (GetAccountSummary)"),
    count("roles_expected?", "roles that the account has, by GetAccountSummary"),
    count("profiles_expected?", "instance profiles that the account has, by GetAccountSummary"),
    time("events_from_at?", "first record that was read of a CloudTrail trail, in IAM's region"),
    time("events_to_at?", "last such record: `events` tells all between, if no file is missing"),
)

ROLES = Frame("roles", "role", ("role_arn",)).with_columns(
    _ACCOUNT,
    text("role_arn", "ARN; `address:ADDRESS` in a Terraform plan that has none yet"),
    text("role_name?", "name: what follows the last `/` of the ARN"),
    text("role_path?", "path, `/` or `/…/`"),
    text("role_id?", "unique id, AROA… on AWS"),
    time("created_at?", "creation, UTC"),
    text("description?", "description"),
    count("max_session_seconds?", "longest session, seconds"),
    text("permissions_boundary_arn?", "policy that bounds its permissions"),
    time("last_used_at?", "last use in the last 400 days, UTC"),
    text("last_used_region?", "region of the last use"),
    flag("last_used_known", "whether last use was read: then no time means no use in 400 days"),
    text("trust_policy?", "trust policy, compact JSON, keys in the order given"),
    text("trusts_ec2", "whether EC2 may assume it: yes, no, maybe (condition, deny, `*`), unknown"),
    text("trusted_services?", "service principals that it trusts, sorted, space-joined"),
    flag("is_aws_managed", "service-linked, or reserved for IAM Identity Center"),
    flag("tags_known", "whether its tags were read: then no rows in `tags` means none"),
)

PROFILES = Frame("profiles", "instance profile", ("profile_arn",)).with_columns(
    _ACCOUNT,
    text("profile_arn", "ARN; `address:ADDRESS` in a Terraform plan that has none yet"),
    text("profile_name?", "name: what follows the last `/` of the ARN"),
    text("profile_path?", "path, `/` or `/…/`"),
    text("profile_id?", "unique id, AIPA… on AWS"),
    time("created_at?", "creation, UTC"),
    flag("role_known", "whether its role was read: then no row in `links` means that it is empty"),
    flag("tags_known", "whether its tags were read: then no rows in `tags` means none"),
)

LINKS = Frame("links", "role in an instance profile", ("profile_arn", "role_arn")).with_columns(
    _ACCOUNT,
    text("profile_arn", "the profile"),
    text("role_arn", "the role in it; `name:ROLE` where no source shows that role"),
)

TAGS = Frame("tags", "tag of a role or instance profile", ("resource_arn", "tag_key")).with_columns(
    _ACCOUNT,
    text("resource_arn", "the role or profile"),
    text("resource_type", "`role` or `instance-profile`"),
    text("tag_key", "key, as stored"),
    text("tag_value", "value, may be empty"),
    flag("is_aws_reserved", "whether the key begins with `aws:`, which users cannot set"),
    text("tag_source", "the operation or file kind that it was read from"),
)

REFERENCES = Frame(
    "references",
    "mention of an instance profile by something that uses it",
    ("account_id", "region", "consumer_type", "consumer_id", "named"),
).with_columns(
    _ACCOUNT,
    text("region", "region, or `unknown`"),
    text(
        "consumer_type",
        "instance, association, launch-template, launch-configuration, auto-scaling-group, spot-request, fleet …",
    ),
    text("consumer_id", "its id or name"),
    text("named", "the profile as the consumer wrote it: name or ARN"),
    text("profile_arn?", "the profile that this means, by ARN with its path, id or name; missing where none is known"),
    text("profile_name?", "the name part of it"),
    text("profile_id?", "the profile's unique id as the consumer holds it"),
    text("consumer_arn?", "its ARN, where the region is known"),
    text("consumer_name?", "its name; of an association, the instance"),
    text("consumer_version?", "versions of a launch template that say so, space-joined"),
    text("consumer_state?", "its state"),
)

GAPS = Frame("gaps", "thing that could not be read", ("account_id", "region", "operation", "subject")).with_columns(
    _ACCOUNT,
    text("region", "region, `global` for IAM, or `unknown`"),
    text("operation", "the operation that would tell, or the kind of file"),
    text("subject", "the resource or file; `*` for all that the detail speaks of"),
    text(
        "reason",
        "denied, throttled, expired, vanished, truncated, unreadable, contradicted, not_asked, not_in_file",
    ),
    text("message", "id of what `detail` says; empty where an older iamframe saved it"),
    text("facts", "the values in it, a JSON object"),
    text("detail", "one sentence: what is not known, and what would settle it"),
)

CALLS = Frame(
    "calls", "operation of an account and region that was read", ("account_id", "operation", "region")
).with_columns(
    _ACCOUNT,
    text(
        "operation",
        "AWS operation (`pcs:ListClusters` where services share its name), or the kind of file that stands for one",
    ),
    text("region", "region, `global` for IAM, or `unknown`"),
    count("requests", "requests made to AWS; 0 from files"),
    count("rows", "records read"),
    count("retries", "requests that had to be made again; 0 from files"),
    time("started_at?", "first request, UTC"),
    time("ended_at?", "last answer, UTC"),
    text("state", "complete: the whole list; partial: some of it; truncated: cut short; refused: nothing"),
)

EVENTS = Frame(
    "events", "event of CloudTrail that changed a role or instance profile, or tried to", ("account_id", "event_id")
).with_columns(
    _ACCOUNT,
    text("event_id", "CloudTrail's id of it"),
    count("event_order", "its place in its account, from 0: by time, within one second by cause"),
    time("event_at", "when, to the second, UTC"),
    text("event_name", "CreateRole, AddRoleToInstanceProfile …"),
    text("resource_type", "`role` or `instance-profile`; of a link, the profile"),
    text("resource_name?", "its name, where the event says it"),
    text("resource_arn?", "its ARN, where its creation was read or it is the one in the inventory"),
    text("resource_id?", "its unique id, likewise"),
    text("related_name?", "of a link, the role's name"),
    text("related_arn?", "of a link, the role's ARN, known as `resource_arn` is"),
    text("tag_keys?", "keys that it sets or takes away, sorted, comma-joined"),
    text("actor_arn?", "who: ARN of a user or session, or the name of an AWS service that did it itself"),
    text("user_agent?", "what the tool says of itself"),
    text("error_code?", "why AWS refused it; none where it was done"),
)

FRAMES: dict[str, Frame] = {
    frame.name: frame for frame in (ACCOUNTS, ROLES, PROFILES, LINKS, TAGS, REFERENCES, GAPS, CALLS, EVENTS)
}

PAIRS = Frame(
    "pairs",
    "link, profile without a link, and role that trusts EC2 and is known to be in no profile",
    ("profile_arn", "role_arn"),
).with_columns(
    _ACCOUNT,
    text("profile_arn?", "the profile; missing for a role alone"),
    text("role_arn?", "the role; missing for a profile alone"),
    text("profile_name?", "name of the profile"),
    text("role_name?", "name of the role"),
    text("relation?", "of a link: same, case, affix, generated, different"),
    text("profile_path?", "path of the profile"),
    text("role_path?", "path of the role; missing where no source shows it"),
    text("profile_segments?", "what the profile's path has beyond `/`"),
    text("role_segments?", "what the role's path has beyond `/`"),
    flag("paths_differ", "whether both paths are known and differ"),
    text("profile_tags?", "tags of the profile, KEY=VALUE by key; missing where unknown, empty for none"),
    text("role_tags?", "tags of the role, likewise"),
    flag("profile_tags_known", "whether the profile's tags were read"),
    flag("role_tags_known", "whether the role's tags were read"),
    flag("role_known", "of a profile: whether its role was read, so that no role means that it is empty"),
    text("trusts_ec2?", "whether the role lets EC2 assume it: yes, no, maybe, unknown"),
    flag("is_aws_managed", "whether AWS manages the role"),
    text("maker?", "service or tool that created it, as far as names, paths and tags tell"),
    text("maker_basis?", "what tells: pair (both sides fit and agree), tag (its own), guess (one side looks like it)"),
    flag("names_expected", "whether the names differ by the maker's design; not of a guess"),
    flag("paths_expected", "whether the paths differ by its design; not of a guess"),
    flag("untagged_expected", "whether the maker cannot tag profiles; not of a guess"),
)

TAG_COVERAGE = Frame(
    "tag_coverage", "account, resource type and tag key in use there", ("account_id", "resource_type", "tag_key")
).with_columns(
    _ACCOUNT,
    text("resource_type", "`role` (those that AWS manages left out) or `instance-profile`"),
    text("tag_key", "key, as stored"),
    count("tagged", "resources that carry it"),
    count("known", "resources whose tags were read: what `share` is of"),
    count("unknown", "resources whose tags were not read"),
    share("share?", "tagged / known, 0 to 1; missing where none is known"),
)

LISTS = Frame("lists", "account", ("account_id",)).with_columns(
    _ACCOUNT,
    flag("roles_whole", "whether all roles of the account were read"),
    flag("profiles_whole", "whether all instance profiles of the account were read"),
    text("references_status", "complete, partial, unknown: whether what refers to profiles was read"),
    text("references_reason", "what of it was not read"),
    text("references_message", "id of the message that says so; empty when complete"),
    text("references_facts", "what that message says, as JSON"),
    text("references_regions", "regions whose references were read, space-joined"),
    text("references_not_read", "operations on references that were not read, space-joined"),
)

LIVES = Frame(
    "lives",
    "life of a role or instance profile that `events` tells of",
    ("account_id", "resource_type", "resource_name", "life"),
).with_columns(
    _ACCOUNT,
    text("resource_type", "`role` or `instance-profile`"),
    text("resource_name", "name, as its first event writes it"),
    count("life", "which of the lives of that name, from 1"),
    text("resource_arn?", "ARN, where anything read says it"),
    text("resource_id?", "unique id, likewise"),
    time("created_at?", "creation, where it was read"),
    text("created_by?", "who created it (`actor_arn`)"),
    text("created_with?", "tool or AWS service that created it, where its user agent is a known one"),
    time("deleted_at?", "deletion; where none was read, it may live on"),
    text("deleted_by?", "who deleted it"),
    text("deleted_with?", "tool or AWS service that deleted it"),
    text("related_names?", "of a profile the roles put into it, of a role its profiles; space-joined"),
    count("events", "events of this life that were done"),
    time("first_event_at", "first of them"),
    time("last_event_at", "last of them"),
    time("covered_from_at?", "from when on events of the account were read"),
    time("covered_to_at?", "until when"),
)

VIEWS: dict[str, Frame] = {frame.name: frame for frame in (PAIRS, TAG_COVERAGE, LISTS, LIVES)}

FINDINGS = Frame(
    "findings", "resource and related resource that a check found", ("check", "resource_arn", "related_arn")
).with_columns(
    text("finding_id", "short hash of check, account, resource and related resource: the same in each run"),
    text("check", "name of the check"),
    text("severity", "high, medium, low, or info (expected)"),
    text("certainty", "certain, in scope (of the regions read), maybe"),
    _ACCOUNT,
    text("account_name?", "its name"),
    text("owner?", "value of the owner tag of the resource, else of its role"),
    flag("owner_known", "whether those tags were read, so that no owner means that there is none"),
    text("resource_type?", "role, instance-profile, account, or the consumer's type"),
    text("resource_name?", "its name"),
    text("resource_arn?", "its ARN; of a link, the profile's"),
    text("related_name?", "name of the other side"),
    text("related_arn?", "the other side; of a link, the role"),
    text("relation?", "how two names differ: case, affix, generated, different"),
    text("maker?", "service or tool that created it, as far as names, paths and tags tell"),
    text("maker_basis?", "what tells: pair (both sides fit and agree), tag (its own), guess (one side looks like it)"),
    flag("expected", "whether it is so by the maker's design; never by a guess"),
    text("accepted?", "reason why the policy file accepts it"),
    text("detail", "what was found, in words"),
    text("next_step?", "the next command to type, quoted for a POSIX shell"),
    flag("next_step_changes", "whether that command changes anything"),
)

FINDINGS_BY_OWNER = Frame("findings_by_owner", "owner, and state without one", ("owner", "state")).with_columns(
    text("owner?", "value of the tag that names the owner"),
    text("state", "owned, none (no such tag), unread (tags not read), account (about one as a whole)"),
    count("high", "findings of severity high that are not accepted"),
    count("medium", "of medium"),
    count("low", "of low"),
    count("info", "of info: expected"),
    count("findings", "all of them"),
)

COVERAGE = Frame("coverage", "account and check", ("account_id", "check")).with_columns(
    _ACCOUNT,
    text("check", "name of the check"),
    text("status", "complete, partial, unknown"),
    text("reason", "what was not read and what would settle it; empty when complete"),
    text("message", "id of the message that says so; empty when complete"),
    text("facts", "what that message says, as JSON"),
)

COUNTS = Frame("counts", "check", ("check",)).with_columns(
    text("check", "name of the check"),
    count("findings", "findings that are wanted"),
    count("high", "those of severity high"),
    count("medium", "medium"),
    count("low", "low"),
    count("info", "info"),
    count("complete", "accounts of which the check saw all: no finding means that there is none"),
    count("partial", "accounts of which it saw some"),
    count("unknown", "accounts of which it saw nothing"),
)

FINDINGS_BY_TAG = Frame(
    "findings_by_tag", "value of a tag, and state without one", ("tag_value", "tagged")
).with_columns(
    text("tag_value?", "value, as stored; missing where none is carried"),
    text("tagged", "yes: carried by a side of the finding; no: by none; unknown: a side was not read"),
    count("findings", "findings; one whose sides carry two values counts for both"),
    count("high", "those of severity high"),
    count("medium", "medium"),
    count("low", "low"),
    count("info", "info"),
)

EXPLANATION = Frame("explanation", "field that is known of a profile, a role, or both", ()).with_columns(
    text("account_id?", "account; missing where the field is of none"),
    text("profile_arn?", "the profile that is told of"),
    text("role_arn?", "the role that is told of"),
    text("section", "identity, link, tags, trust, used by, findings, not checked, deleting, next, history …"),
    text("field", "what it is: name, tag key, principal's kind, consumer, check …"),
    text("profile?", "of the profile; `not read` where it is unknown"),
    text("role?", "of the role, likewise"),
    text("note?", "of both, or what differs, where, why; commands under `next`"),
    text("message?", "id of the message that `note` is"),
    text("facts?", "what that message says, as JSON"),
)

_SURFACE = text("surface", "console, API or tool: IAM console, Tag Editor, IAM API …")
_OPERATION = text("operation", "write, read, or find (by tag)")
_MISSED = "yes; unless: where the condition in `reason` holds, not; unknown: nobody says"

SURFACES = Frame(
    "surfaces", "surface, resource type and operation on tags", ("surface", "resource_type", "operation")
).with_columns(
    _SURFACE,
    text("resource_type", "`role` or `instance-profile`"),
    _OPERATION,
    text("answer", "yes, no, condition, or unknown: neither AWS nor a measurement says it"),
    text("condition?", "on what it depends"),
    text("detail", "by what it is done, or what is known of it"),
    date("since?", "when it became so, where that is known"),
    text("source", "where it is written"),
    date("checked_on", "of when that is"),
)

BLIND_SPOTS = Frame(
    "blind_spots",
    "role or profile and operation on its tags that a surface does not have for sure",
    ("surface", "operation", "resource_arn"),
).with_columns(
    category("account_id", "account"),
    category("surface", _SURFACE.meaning),
    category("resource_type", "`role` or `instance-profile`"),
    category("resource_arn", "its ARN"),
    category("resource_name?", "its name"),
    category("tagged", "whether it has tags besides reserved ones: yes, no, unknown"),
    category("operation", _OPERATION.meaning),
    category("missed", _MISSED),
    category("reason", "what cannot be done there, and why or on what it depends"),
)

BLIND_SPOT_COUNTS = Frame(
    "blind_spot_counts",
    "account, surface, resource type and operation on tags",
    ("account_id", "surface", "resource_type", "operation"),
).with_columns(
    _ACCOUNT,
    _SURFACE,
    text("resource_type", "`role` (those that AWS manages left out) or `instance-profile`"),
    _OPERATION,
    text("missed", f"no; {_MISSED}"),
    count("resources", "of how many resources that is so: all that were read"),
    count("tagged", "how many of them have tags"),
    count("untagged", "how many have none"),
    count("unknown", "of how many the tags were not read"),
    text("reason", "what can or cannot be done there, and by what, why, or on what it depends"),
)

PROBES = Frame(
    "probes", "fact about a surface and region that was asked", ("surface", "resource_type", "operation", "region")
).with_columns(
    _ACCOUNT,
    _SURFACE,
    text("resource_type", "`role` or `instance-profile`"),
    _OPERATION,
    text("region", "region that was asked; `unknown` for those that could not be listed"),
    text("expected", "whether such resources are shown there, as `surfaces` has it: yes, no, unknown"),
    count("tagged?", "how many of them have tags, by IAM; missing where IAM did not tell of any"),
    count("shown?", "how many the surface shows; missing where it did not answer"),
    count("differing?", "how many it shows with other tags than IAM has, of those that IAM told"),
    text("holds", "whether what was seen is what was expected: yes, no, unknown"),
    text("detail", "what was seen, in words, or why nothing can be said"),
)

CHANGES = Frame(
    "changes", "change of a role or instance profile; of tags, one per key", ("resource_arn", "change", "what")
).with_columns(
    text("change", "created, deleted, recreated, relinked, retagged, trust_changed, changed"),
    _ACCOUNT,
    text("resource_type?", "role or instance-profile"),
    text("resource_name?", "its name"),
    text("resource_arn?", "its ARN; of a deleted one, the ARN that it had"),
    text("what?", "the tag's key, or the column that changed"),
    text("before?", "id, role, tag value, trust policy or value in the old one; missing for none"),
    text("after?", "the same in the new one"),
    text("detail", "what changed, in words"),
    text("message", "id of the message that says so"),
    text("facts", "what that message says, as JSON; of one recreated, with all that is other besides, in `also`"),
)

CHANGED_FINDINGS = Frame(
    "changed_findings",
    "finding that is in one of two results alone, or expected or accepted in one alone",
    ("change", *FINDINGS.key),
).with_columns(
    text("change", "new or gone; settled: expected or accepted now; reopened: no more so"),
    *FINDINGS.columns,
)

NOT_COMPARED = Frame(
    "not_compared", "account and thing that could not be compared", ("account_id", "what")
).with_columns(
    _ACCOUNT,
    text("what", "what of it: account, roles, profile tags, findings of a check …"),
    text("reason", "what was not read, and where: OLD or NEW"),
    text("message", "id of the message that says so"),
    text("facts", "what that message says, as JSON"),
)

STEPS = Frame("steps", "command of a clean-up plan", ("step",)).with_columns(
    count("step", "place in the order in which the script does them"),
    _ACCOUNT,
    text("checks", "checks whose findings it settles, space-joined"),
    text("resource_type", "role or instance-profile: what the command is about"),
    text("resource_name", "its name"),
    text("resource_arn", "its ARN"),
    text("related_arn?", "of a profile that is deleted, the role in it, which stays"),
    text("action", "check (reads, and stops what follows), remove-role, delete, tag"),
    text("command", "the command, quoted for a POSIX shell"),
    text("why", "what was found"),
    text("rests_on", "what was read, and when; a check stops where id, role, tags or what names it are no longer so"),
    text("undo?", "the command that takes it back; run from the last row to the first; missing for a check"),
    text("cannot_undo?", "what no command brings back"),
)

NOT_PLANNED = Frame(
    "not_planned", "finding that a clean-up plan leaves alone", ("check", "resource_arn", "related_arn")
).with_columns(
    text("check", "name of the check"),
    _ACCOUNT,
    text("resource_type?", "role or instance-profile"),
    text("resource_name?", "its name"),
    text("resource_arn", "its ARN"),
    text("related_arn?", "the other side of a link: the role"),
    text("reason", "why it is left alone"),
    text("message", "id of the message that says so"),
    text("facts", "what that message says, as JSON"),
)
