"""The table of all frames: their columns, the meaning of each column, and their keys.

This table gives empty frames their column types. The frames that the loader and the checks make are converted to these
types. The column tables in the documentation are generated from this table.
"""

from __future__ import annotations

from iamframe.inventory.answers import QUOTA_USE  # noqa: F401 - all frames are found here
from iamframe.inventory.drift_frame import DRIFT  # noqa: F401
from iamframe.inventory.frame import (  # noqa: F401
    ACCOUNT_ID,
    Frame,
    category,
    count,
    date,
    flag,
    share,
    shows,
    text,
    time,
)
from iamframe.inventory.owner_frames import OWNED_PROFILES, RESOURCE_OWNERS
from iamframe.inventory.tag_policy_frame import TAG_POLICIES
from iamframe.messages.text import SEVERITIES

_MAKER = (
    text("maker?", "service or tool that created the resource, inferred from names, paths and tags"),
    text(
        "maker_basis?",
        "pair (role and profile match the tool), tag (the profile has a tag of the tool), guess (only one matches)",
    ),
)
_SEVERITIES = tuple(count(severity, f"findings of severity {severity}") for severity in SEVERITIES)

ACCOUNTS = Frame("accounts", "account", ("account_id",)).with_columns(
    ACCOUNT_ID,
    text("partition?", "partition of the account: aws, aws-cn, aws-us-gov …"),
    text("account_name?", "alias of the account"),
    text("source", "the SOURCE from which the account was loaded"),
    time("captured_at?", "when the data was collected, if the source shows it"),
    text("caller_arn?", "ARN of the caller who collected the data (GetCallerIdentity)"),
    count("role_quota?", "maximum number of roles (GetAccountSummary)"),
    count("profile_quota?", "maximum number of instance profiles (GetAccountSummary)"),
    count("roles_expected?", "number of roles in the account (GetAccountSummary)"),
    count("profiles_expected?", "number of instance profiles in the account (GetAccountSummary)"),
    time("events_from_at?", "time of the first CloudTrail record in the trail files, in IAM's region"),
    time("events_to_at?", "time of the last CloudTrail record in these files; files in between may be missing"),
)

ROLES = Frame("roles", "role", ("role_arn",)).with_columns(
    ACCOUNT_ID,
    text("role_arn", "ARN; `address:ADDRESS` for a role that a Terraform plan is about to create"),
    text("role_name?", "name: the part of the ARN after the last `/`"),
    text("role_path?", "path, `/` or `/…/`"),
    text("role_id?", "unique id, AROA… on AWS"),
    time("created_at?", "creation, UTC"),
    text("description?", "description"),
    count("max_session_seconds?", "maximum session duration in seconds"),
    text("permissions_boundary_arn?", "ARN of the role's permissions boundary"),
    time("last_used_at?", "last use in the last 400 days, UTC"),
    text("last_used_region?", "region of the last use"),
    flag("last_used_known", "True if last use was collected; a missing time then means no use in the last 400 days"),
    text("trust_policy?", "trust policy, compact JSON, keys in the order given"),
    text("trusts_ec2", "whether EC2 may assume the role: yes, no, maybe (condition, deny, `*`), unknown"),
    text("trusted_services?", "service principals that the role trusts, sorted, separated by spaces"),
    text("attached_policies?", "ARNs of the attached managed policies, separated by spaces; missing if not collected"),
    count("inline_policy_count?", "number of inline policies; missing if they were not collected"),
    text("role_template_arn?", "ARN of the role template that created the role (AcquireRole), if GetRole shows it"),
    flag("is_aws_managed", "True if service-linked or reserved for IAM Identity Center"),
    flag("tags_known", "True if the tags were collected; without rows in `tags`, the resource then has no tags"),
)

PROFILES = Frame("profiles", "instance profile", ("profile_arn",)).with_columns(
    ACCOUNT_ID,
    text("profile_arn", "ARN; `address:ADDRESS` for a profile that a Terraform plan is about to create"),
    text("profile_name?", "name: the part of the ARN after the last `/`"),
    text("profile_path?", "path, `/` or `/…/`"),
    text("profile_id?", "unique id, AIPA… on AWS"),
    time("created_at?", "creation, UTC"),
    flag(
        "role_known",
        "True if the profile's role was collected; without a row in `links`, the profile then holds no role",
    ),
    flag("tags_known", "True if the tags were collected; without rows in `tags`, the resource then has no tags"),
)

LINKS = Frame("links", "role in an instance profile", ("profile_arn", "role_arn")).with_columns(
    ACCOUNT_ID,
    text("profile_arn", "ARN of the profile"),
    text("role_arn", "ARN of the role in the profile; `name:ROLE` if no source shows that role"),
)

TAGS = Frame("tags", "tag of a role or instance profile", ("resource_arn", "tag_key")).with_columns(
    ACCOUNT_ID,
    text("resource_arn", "ARN of the role or profile"),
    text("resource_type", "`role` or `instance-profile`"),
    text("tag_key", "key, as stored"),
    text("tag_value", "value; may be empty text"),
    flag("is_aws_reserved", "True if the key begins with `aws:`; users cannot set such keys"),
    text("tag_source", "the operation or file format that showed the tag"),
)

REFERENCES = Frame(
    "references",
    "use of an instance profile by a resource, such as an instance",
    ("account_id", "region", "consumer_type", "consumer_id", "named"),
).with_columns(
    ACCOUNT_ID,
    text("region", "region, or `unknown`"),
    text(
        "consumer_type",
        "instance, association, launch-template, launch-configuration, auto-scaling-group, spot-request, fleet …",
    ),
    text("consumer_id", "id or name of the resource that uses the profile"),
    text("named", "the profile's name or ARN, as the resource shows it"),
    text("profile_arn?", "ARN of the profile, found by ARN, unique id or name; missing if no such profile is known"),
    text("profile_name?", "the profile's name in `named`"),
    text("profile_id?", "the profile's unique id, as the resource shows it"),
    text("consumer_arn?", "ARN of the resource that uses the profile, if the region is known"),
    text("consumer_name?", "name of the resource that uses the profile; for an association, the instance"),
    text("consumer_version?", "versions of the launch template that use the profile, separated by spaces"),
    text("consumer_state?", "state of the resource that uses the profile"),
)

GAPS = Frame(
    "gaps", "piece of data that could not be collected", ("account_id", "region", "operation", "subject")
).with_columns(
    ACCOUNT_ID,
    text("region", "region, `global` for IAM, or `unknown`"),
    text("operation", "the operation or file format that would show the data"),
    text("subject", "the resource or file that the gap is about; `*` for all resources that `detail` describes"),
    text(
        "reason",
        "denied, throttled, expired, vanished, truncated, unreadable, contradicted, not_asked, not_in_file",
    ),
    text("message", "id of the message in `detail`; empty in snapshots of older versions"),
    text("facts", "values in the message, as JSON"),
    text("detail", "one sentence: what is unknown, and how to find out"),
)

CALLS = Frame(
    "calls",
    "operation called in one account and region, or file format read in its place",
    ("account_id", "operation", "region"),
).with_columns(
    ACCOUNT_ID,
    text(
        "operation",
        "AWS operation (`pcs:ListClusters` if several services have an operation of that name), or the file format",
    ),
    text("region", "region, `global` for IAM, or `unknown`"),
    count("requests", "requests to AWS; 0 for files"),
    count("rows", "records in the responses"),
    count("retries", "requests that were repeated; 0 for files"),
    time("started_at?", "first request, UTC"),
    time("ended_at?", "last response, UTC"),
    text("state", "complete: the full list; partial: a part of it; truncated: cut short; refused: nothing"),
)

EVENTS = Frame(
    "events", "CloudTrail event that changed a role or instance profile, or tried to", ("account_id", "event_id")
).with_columns(
    ACCOUNT_ID,
    text("event_id", "CloudTrail's event id"),
    count(
        "event_order",
        "position among the events of the account, from 0; sorted by time, and in causal order within one second",
    ),
    time("event_at", "time of the event, to the second, UTC"),
    text("event_name", "CreateRole, AddRoleToInstanceProfile …"),
    text("resource_type", "`role` or `instance-profile`; `instance-profile` if the event links or unlinks a role"),
    text("resource_name?", "name of the resource, if the event shows it"),
    text("resource_arn?", "ARN of the resource, if its creation was collected or it is in the inventory"),
    text("resource_id?", "unique id of the resource, if its creation was collected or it is in the inventory"),
    text("related_name?", "name of the role that was linked or unlinked"),
    text("related_arn?", "ARN of the related role, if its creation was collected or it is in the inventory"),
    text("tag_keys?", "tag keys that the event sets or removes, sorted, separated by commas"),
    text("actor_arn?", "ARN of the user or session, or the name of the AWS service that acted on its own"),
    text("user_agent?", "user agent of the tool"),
    text("error_code?", "error code if AWS refused the request; missing if the request succeeded"),
)

FRAMES: dict[str, Frame] = {
    frame.name: frame
    for frame in (
        *(ACCOUNTS, ROLES, PROFILES, LINKS, TAGS, REFERENCES),
        *(RESOURCE_OWNERS, TAG_POLICIES, GAPS, CALLS, EVENTS),
    )
}

PAIRS = Frame(
    "pairs",
    "link; also per profile without a link, and per role that trusts EC2 and is in no profile",
    ("profile_arn", "role_arn"),
).with_columns(
    ACCOUNT_ID,
    text("profile_arn?", "ARN of the profile; missing for a role in no profile"),
    text("role_arn?", "ARN of the role; missing for a profile without a link"),
    text("profile_name?", "name of the profile"),
    text("role_name?", "name of the role"),
    text("relation?", "how the two names of a link compare: same, case, affix, generated, different"),
    text("profile_path?", "path of the profile"),
    text("role_path?", "path of the role; missing if no source shows it"),
    text("profile_segments?", "the profile's path without its first and last `/`"),
    text("role_segments?", "the role's path without its first and last `/`"),
    flag("paths_differ", "True if both paths are known and differ"),
    text(
        "profile_tags?",
        "tags of the profile as KEY=VALUE, sorted by key; missing if unknown, empty if the profile has no tags",
    ),
    text("role_tags?", "tags of the role as KEY=VALUE, sorted by key"),
    flag("profile_tags_known", "True if the profile's tags were collected"),
    flag("role_tags_known", "True if the role's tags were collected"),
    flag("role_known", "True if the profile's role was collected; a missing role then means that the profile is empty"),
    text("trusts_ec2?", "whether EC2 may assume the role: yes, no, maybe, unknown"),
    flag("is_aws_managed", "True if AWS manages the role"),
    *_MAKER,
    flag("names_expected", "True if `maker` gives role and profile different names by design; False for a guess"),
    flag("paths_expected", "True if `maker` gives role and profile different paths by design; False for a guess"),
    flag("untagged_expected", "True if `maker` cannot tag profiles; False for a guess"),
)

TAG_COVERAGE = Frame(
    "tag_coverage", "account, resource type and tag key in use there", ("account_id", "resource_type", "tag_key")
).with_columns(
    ACCOUNT_ID,
    text("resource_type", "`role` (AWS-managed roles are left out) or `instance-profile`"),
    text("tag_key", "key, as stored"),
    count("tagged", "resources with this key"),
    count("known", "resources whose tags were collected"),
    count("unknown", "resources whose tags were not collected"),
    share("share?", "tagged / known, 0 to 1; missing if known is 0"),
)

LISTS = Frame("lists", "account", ("account_id",)).with_columns(
    ACCOUNT_ID,
    flag("roles_whole", "True if all roles of the account were collected"),
    flag("profiles_whole", "True if all instance profiles of the account were collected"),
    text("references_status", "whether all references to profiles were collected: complete, partial, unknown"),
    text("references_reason", "which references were not collected; empty when complete"),
    text("references_message", "id of the message in `references_reason`; empty when complete"),
    text("references_facts", "values in the message, as JSON"),
    text("references_regions", "regions whose references were collected, separated by spaces"),
    text("references_not_read", "operations on references that were not collected, separated by spaces"),
)

LIVES = Frame(
    "lives",
    "life of a role or instance profile in `events`: from its creation to its deletion",
    ("account_id", "resource_type", "resource_name", "life"),
).with_columns(
    ACCOUNT_ID,
    text("resource_type", "`role` or `instance-profile`"),
    text("resource_name", "name, as in its first event"),
    count("life", "number of this life among those of the same name, from 1"),
    text("resource_arn?", "ARN, if an event or the inventory shows it"),
    text("resource_id?", "unique id, if an event or the inventory shows it"),
    time("created_at?", "creation, if it was collected"),
    text("created_by?", "who created the resource (`actor_arn`)"),
    text("created_with?", "tool or AWS service that created the resource, if the user agent is known"),
    time("deleted_at?", "deletion; if it is missing, the resource may still exist"),
    text("deleted_by?", "who deleted the resource"),
    text("deleted_with?", "tool or AWS service that deleted the resource"),
    text(
        "related_names?",
        "the roles that were put into the profile, or the profiles that held the role; separated by spaces",
    ),
    count("events", "successful events of this life"),
    time("first_event_at", "time of the first event of this life"),
    time("last_event_at", "time of the last event of this life"),
    time("covered_from_at?", "start of the time span whose events were collected"),
    time("covered_to_at?", "end of the time span whose events were collected"),
)

VIEWS: dict[str, Frame] = {frame.name: frame for frame in (PAIRS, TAG_COVERAGE, LISTS, OWNED_PROFILES, LIVES)}

FINDINGS = Frame(
    "findings",
    "problem that a check found",
    ("check", "resource_arn", "related_arn"),
).with_columns(
    text("finding_id", "short hash of check, account, resource and related resource: the same in each run"),
    text("check", "name of the check"),
    text("severity", "high, medium, low, or info (expected)"),
    text("certainty", "certain, in scope (true for the regions that were scanned), maybe"),
    ACCOUNT_ID,
    text("account_name?", "alias or name of the account"),
    text("owner?", "value of the owner tag of the resource, or of its role if the resource has none"),
    flag("owner_known", "True if the tags with the owner were collected; without `owner`, there is then no owner tag"),
    text("resource_type?", "role, instance-profile, account, or the type of a resource that uses a profile"),
    text("resource_name?", "name of the resource"),
    text("resource_arn?", "ARN of the resource; for a link, of the profile"),
    text("related_name?", "name of the related resource"),
    text("related_arn?", "ARN of the related resource; for a link, of the role"),
    text("relation?", "how the two names differ: case, affix, generated, different"),
    *_MAKER,
    flag("expected", "True if `maker` causes the finding by design; False for a guess"),
    text("accepted?", "reason in the policy file for accepting the finding"),
    text("detail", "the finding as a sentence"),
    text("next_step?", "a command to run next, quoted for a POSIX shell"),
    flag("next_step_changes", "True if the command `next_step` changes something"),
)

FINDINGS_BY_OWNER = Frame(
    "findings_by_owner", "owner; also one per state without an owner", ("owner", "state")
).with_columns(
    text("owner?", "value of the owner tag; missing in the states without an owner"),
    text("state", "owned, none (no owner tag), unread (tags not collected), account (about a whole account)"),
    count("high", "findings of severity high that are not accepted"),
    count("medium", "findings of severity medium that are not accepted"),
    count("low", "findings of severity low that are not accepted"),
    count("info", "findings of severity info (expected) that are not accepted"),
    count("findings", "findings of any severity that are not accepted"),
)

COVERAGE = Frame("coverage", "account and check", ("account_id", "check")).with_columns(
    ACCOUNT_ID,
    text("check", "name of the check"),
    text("status", "complete, partial, unknown"),
    text("reason", "what was not collected, and how to collect it; empty when complete"),
    text("message", "id of the message in `reason`; empty when complete"),
    text("facts", "values in the message, as JSON"),
)

COUNTS = Frame("counts", "check", ("check",)).with_columns(
    text("check", "name of the check"),
    count("findings", "findings that match the filters"),
    *_SEVERITIES,
    count("complete", "accounts in which the check is complete"),
    count("partial", "accounts in which the check is partial"),
    count("unknown", "accounts in which the check is unknown"),
)

FINDINGS_BY_TAG = Frame(
    "findings_by_tag", "tag value; also one per state without a value", ("tag_value", "tagged")
).with_columns(
    text("tag_value?", "value, as stored; missing if neither role nor profile has the tag"),
    text("tagged", "whether the role or profile has the tag: yes, no, or unknown (tags were not collected)"),
    count("findings", "findings; if role and profile have different values, the finding counts for both"),
    *_SEVERITIES,
)

EXPLANATION = Frame("explanation", "field of an explanation", ()).with_columns(
    text("account_id?", "account; missing if the field concerns no account"),
    text("profile_arn?", "ARN of the explained profile"),
    text("role_arn?", "ARN of the explained role"),
    text(
        "section", "identity, link, tags, trust, permissions, used by, findings, not checked, deleting, next, history …"
    ),
    text("field", "name of the field: ARN, tag key, type of principal, resource that uses the profile, check …"),
    text("profile?", "value for the profile; `not collected` if unknown"),
    text("role?", "value for the role; `not collected` if it is unknown"),
    text("note?", "explanation of the values; under `next`, the command"),
    text("message?", "id of the message in `note`"),
    text("facts?", "values in the message, as JSON"),
)

_SURFACE = text("surface", "console, API or tool: IAM console, Tag Editor, IAM API …")
_OPERATION = text("operation", "write, read, or find (by tag)")
_MISSED = (
    "yes; depends (no if the condition in `reason` is true); unknown (neither AWS nor a measurement shows the answer)"
)

SURFACES = Frame(
    "surfaces", "surface, resource type and tag operation", ("surface", "resource_type", "operation")
).with_columns(
    _SURFACE,
    text("resource_type", "`role` or `instance-profile`"),
    _OPERATION,
    text("answer", "yes, no, depends, or unknown (neither AWS nor a measurement shows the answer)"),
    text("condition?", "the condition, if the answer depends on one"),
    text("detail", "how to do it, or what is known"),
    date("since?", "date from which the answer is true, if known"),
    text("source", "document that shows the answer"),
    date("checked_on", "date on which the source was checked"),
)

BLIND_SPOTS = Frame(
    "blind_spots",
    "role or profile and tag operation that a console, API or tool may not support",
    ("surface", "operation", "resource_arn"),
).with_columns(
    category("account_id", "account"),
    category("surface", _SURFACE.meaning),
    category("resource_type", "`role` or `instance-profile`"),
    category("resource_arn", "ARN of the role or profile"),
    category("resource_name?", "name of the role or profile"),
    category("tagged", "whether it has tags other than reserved ones: yes, no, unknown"),
    category("operation", _OPERATION.meaning),
    category("missed", _MISSED),
    category("reason", "what you cannot do with this surface, and why, or on which condition"),
)

BLIND_SPOT_COUNTS = Frame(
    "blind_spot_counts",
    "account, surface, resource type and tag operation",
    ("account_id", "surface", "resource_type", "operation"),
).with_columns(
    ACCOUNT_ID,
    _SURFACE,
    text("resource_type", "`role` (AWS-managed roles are left out) or `instance-profile`"),
    _OPERATION,
    text("missed", f"no; {_MISSED}"),
    count("resources", "number of collected resources of this type"),
    count("tagged", "number of resources with tags"),
    count("untagged", "number of resources without tags"),
    count("unknown", "number of resources whose tags were not collected"),
    text("reason", "what you can or cannot do with this surface, and how, why, or on which condition"),
)

PROBES = Frame(
    "probes",
    "fact about a surface, and region in which it was tested",
    ("surface", "resource_type", "operation", "region"),
).with_columns(
    ACCOUNT_ID,
    _SURFACE,
    text("resource_type", "`role` or `instance-profile`"),
    _OPERATION,
    text("region", "region that was tested; `unknown` for regions that could not be listed"),
    text("expected", "whether the surface should show them there, according to `surfaces`: yes, no, unknown"),
    count("tagged?", "number of resources with tags in IAM; missing if IAM showed no tags"),
    count("shown?", "number of tagged resources that the surface shows; missing if the surface did not respond"),
    count("differing?", "number of resources whose tags on the surface differ from those in IAM"),
    text("holds", "whether the result is as expected: yes, no, unknown"),
    text("detail", "the result as a sentence, or why there is none"),
)

CHANGES = Frame(
    "changes", "change of a role or instance profile; for tags, one per key", ("resource_arn", "change", "what")
).with_columns(
    text("change", "created, deleted, recreated, relinked, retagged, trust_changed, changed"),
    ACCOUNT_ID,
    text("resource_type?", "role or instance-profile"),
    text("resource_name?", "name of the resource"),
    text("resource_arn?", "ARN of the resource; if it was deleted, its last ARN"),
    text("what?", "the tag key, or the column that changed"),
    text("before?", "id, role, tag value, trust policy or value in OLD; missing if there was none"),
    text("after?", "id, role, tag value, trust policy or value in NEW; missing if there was none"),
    text("detail", "the change as a sentence"),
    text("message", "id of the message in `detail`"),
    text("facts", "values in the message, as JSON; for a recreated resource, `also` has the other changes"),
)

CHANGED_FINDINGS = Frame(
    "changed_findings",
    "finding that only one of two results has, or that is expected or accepted in only one of them",
    ("change", *FINDINGS.key),
).with_columns(
    text("change", "new; gone; settled (now expected or accepted); reopened (no longer expected or accepted)"),
    *FINDINGS.columns,
)

NOT_COMPARED = Frame(
    "not_compared", "account and part of its data that could not be compared", ("account_id", "what")
).with_columns(
    ACCOUNT_ID,
    text("what", "the part: account, roles, profile tags, findings of a check …"),
    text("reason", "what was not collected, and whether in OLD or NEW"),
    text("message", "id of the message in `reason`"),
    text("facts", "values in the message, as JSON"),
)

STEPS = Frame("steps", "command of a clean-up plan", ("step",)).with_columns(
    count("step", "position in the script"),
    ACCOUNT_ID,
    text("checks", "checks whose findings the step settles, separated by spaces"),
    text("resource_type", "type of the resource: role or instance-profile"),
    text("resource_name", "name of the resource"),
    text("resource_arn", "ARN of the resource"),
    text("related_arn?", "ARN of the role in a profile that will be deleted; the role stays"),
    text("action", "check (only reads), remove-role, delete, tag"),
    text("command", "the command, quoted for a POSIX shell"),
    text("why", "the findings that the step settles"),
    text(
        "rests_on",
        "the data behind the step, and when the data was collected",
    ),
    text("undo?", "the command that undoes the step; run these commands from the last row to the first"),
    text("cannot_undo?", "what no command can restore"),
)

NOT_PLANNED = Frame(
    "not_planned", "finding that a clean-up plan leaves alone", ("check", "resource_arn", "related_arn")
).with_columns(
    text("check", "name of the check"),
    ACCOUNT_ID,
    text("resource_type?", "role or instance-profile"),
    text("resource_name?", "name of the resource"),
    text("resource_arn", "ARN of the resource"),
    text("related_arn?", "ARN of the related resource; for a link, of the role"),
    text("reason", "why the plan leaves the resource alone"),
    text("message", "id of the message in `reason`"),
    text("facts", "values in the message, as JSON"),
)
