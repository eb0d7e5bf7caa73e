"""The columns of the DataFrames returned by checks and analyses."""

from __future__ import annotations

from iamframe.inventory.frame import ACCOUNT_ID, MAKER, Frame, category, count, date, flag, share, text
from iamframe.messages.text import SEVERITIES

_SEVERITIES = tuple(count(severity, f"findings of severity {severity}") for severity in SEVERITIES)

FINDINGS = Frame("findings", "problem that a check found", ("check", "resource_arn", "related_arn")).with_columns(
    text("finding_id", "short hash of check, account, resource and related resource: the same in each run"),
    text("check", "name of the check"),
    text("severity", "high, medium, low, or info (expected)"),
    text("certainty", "certain, in scope (true for the regions that were scanned), maybe"),
    ACCOUNT_ID,
    text("account_name?", "alias or name of the account"),
    text("owner?", "value of the owner tag of the resource, or else of the role or profile in `related_arn`"),
    flag(
        "owner_known",
        "False if a tag that was not collected may name the owner, or another owner than `owner`; if True and `owner` "
        "is missing, there is no owner tag",
    ),
    text("resource_type?", "role, instance-profile, account, tag key, or the type of a resource that uses a profile"),
    text("resource_name?", "name of the resource"),
    text("resource_arn?", "ARN of the resource; for a link, of the profile"),
    text("related_name?", "name of the related resource"),
    text("related_arn?", "ARN of the related resource; for a link, of the role"),
    text("relation?", "how the two names differ: case, affix, generated, different"),
    *MAKER,
    flag("expected", "True if `maker` causes the finding by design; False if `maker` is a guess"),
    text("accepted?", "reason in the policy file for accepting the finding"),
    text("detail", "the finding as a sentence"),
    text("next_step?", "a command to run next, quoted for a POSIX shell"),
    flag("next_step_changes", "True if the command `next_step` changes something"),
)

FINDINGS_BY_OWNER = Frame(
    "findings_by_owner", "owner, and one per reason why there is no owner", ("owner", "state")
).with_columns(
    text("owner?", "value of the owner tag; missing unless `state` is `owned`"),
    text("state", "owned, none (no owner tag), unread (tags not collected), account (about an account or a tag key)"),
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
    "findings_by_tag", "tag value, and one per reason why there is no value", ("tag_value", "tagged")
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
    text("section", "identity, link, tags, trust, permissions, used by, findings, incomplete checks, deleting, next …"),
    text("field", "name of the field: ARN, tag key, type of principal, resource that uses the profile, check …"),
    text("profile?", "value for the profile; `not collected` if it is unknown"),
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
    "surface, resource, and tag operation that the surface may not support",
    ("surface", "operation", "resource_arn"),
).with_columns(
    category("account_id", "account"),
    category("surface", _SURFACE.meaning),
    category("resource_type", "`role` or `instance-profile`"),
    category("resource_arn", "ARN of the role or profile"),
    category("resource_name?", "name of the role or profile"),
    category("tagged", "whether the resource has tags other than reserved ones: yes, no, unknown"),
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
    count("tagged", "number of resources with tags other than reserved ones"),
    count("untagged", "number of resources without such tags"),
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
    text("expected", "whether the surface should show the resources, according to `surfaces`: yes, no, unknown"),
    count("tagged?", "number of resources with tags in IAM; missing if IAM showed the tags of no resource"),
    count("shown?", "number of resources that the surface shows, even without tags; missing if it did not respond"),
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
    text("before?", "id, ARN, role, tag value, trust policy or value in OLD; missing if there was none"),
    text("after?", "id, ARN, role, tag value, trust policy or value in NEW; missing if there was none"),
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
    text("before?", "expected or accepted: what a reopened finding was in OLD"),
    text("resource_change?", "created, deleted or recreated: what happened to the finding's role or profile"),
)

NOT_COMPARED = Frame(
    "not_compared", "account and part of its data that could not be compared", ("account_id", "what")
).with_columns(
    ACCOUNT_ID,
    text("what", "the part: account, roles, tags of profiles, findings of a check …"),
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
    text("why", "the findings that the step settles, replaced tag values, and notes"),
    text("rests_on", "the data behind the step, and when the data was collected"),
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

DRIFT = Frame(
    "drift",
    "difference between Terraform and the account (for tags, one per key), or data that could not be compared",
    ("kind", "resource_arn", "state_file", "state_address", "tag_key", "message"),
).with_columns(
    text("kind", "role_lost, other_role, gone, recreated, path, tags, unmanaged, unknown (could not be compared)"),
    ACCOUNT_ID,
    text("resource_type?", "role or instance-profile"),
    text("resource_name?", "name of the resource; if the account has the resource, its name there"),
    text("resource_arn?", "ARN of the resource; if the account has the resource, its ARN there"),
    text("state_file?", "the state or plan that manages the resource; missing if none does"),
    text("state_address?", "address in that state, such as `module.web.aws_iam_role.this[0]`"),
    text("tag_key?", "key of the tag that differs"),
    text("state_value?", "role, path, id or tag value in the state; missing if there is none"),
    text("account_value?", "role, path, id or tag value in the account; missing if there is none"),
    text("detail", "the difference as a sentence, or why something could not be compared"),
    text("message", "id of the message in `detail`"),
    text("facts", "values in the message, as JSON"),
)

QUOTA_USE = Frame(
    "quota_use",
    "account, tool, cluster or stack, and owner of roles and profiles",
    ("account_id", "maker", "owner_type", "owner_name", "owner_region", "owner_status", "state", "owner"),
).with_columns(
    text("account_id", "12-digit account id"),
    text("account_name?", "alias or name of the account"),
    text(
        "maker?", "service or tool that created the resources, as in `pairs`; missing if no name, path or tag shows one"
    ),
    text(
        "owner_type?",
        "type of what the resources belong to, as in `owned_profiles`: eks-cluster, beanstalk-environment, stack",
    ),
    text("owner_name?", "name or id of the cluster, environment or stack"),
    text("owner_region?", "region of the cluster, environment or stack, if the profile or its stack shows it"),
    text("owner_status?", "whether the cluster, environment or stack exists: living, gone, or unread (no data)"),
    text("owner?", "value of the owner tag; missing unless `state` is `owned`"),
    text(
        "state",
        "owned, none (no owner tag), unread (tags not collected), aws (AWS manages the role), "
        "not_collected (counted by GetAccountSummary only)",
    ),
    count("roles", "roles"),
    count("profiles", "instance profiles"),
    share("role_share?", "roles / the account's quota; missing if the quota is unknown"),
    share("profile_share?", "instance profiles / the account's quota; missing if the quota is unknown"),
    count("empty", "profiles that hold no role"),
    count("role_unread", "profiles whose role was not collected; these profiles may be empty"),
    count("guessed", "roles and profiles whose maker is a guess, as in `maker_basis` of `pairs`"),
)
