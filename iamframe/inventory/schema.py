"""All frames: their key columns, and the type and meaning of each column.

Even an empty frame has these column types. The column tables in the documentation are generated from this module.
"""

from __future__ import annotations

from iamframe.inventory.frame import ACCOUNT_ID, MAKER, Frame, count, flag, share, shows, text, time  # noqa: F401
from iamframe.inventory.result_frames import *  # noqa: F403 - all frames are found here

ACCOUNTS = Frame("accounts", "account", ("account_id",)).with_columns(
    ACCOUNT_ID,
    text("partition?", "partition of the account: aws, aws-cn, aws-us-gov …"),
    text("account_name?", "alias of the account, or its name in the fleet (CSV file or Organizations)"),
    text("source", "the SOURCE from which the account was loaded"),
    time("captured_at?", "when the data was collected, if the source shows it"),
    text("caller_arn?", "ARN of the caller who collected the data (GetCallerIdentity)"),
    count("role_quota?", "maximum number of roles (GetAccountSummary)"),
    count("profile_quota?", "maximum number of instance profiles (GetAccountSummary)"),
    count("roles_expected?", "number of roles in the account (GetAccountSummary)"),
    count("profiles_expected?", "number of instance profiles in the account (GetAccountSummary)"),
    time("events_from_at?", "time of the first write management event in the trail files, in IAM's region"),
    time("events_to_at?", "time of the last write management event in the files; files in between may be missing"),
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
    flag(
        "last_used_known", "True if last use was collected; if True, a missing time means no use in the last 400 days"
    ),
    text("trust_policy?", "trust policy, compact JSON, keys in the order given"),
    text("trusts_ec2", "whether EC2 may assume the role: yes, no, maybe (condition, deny, `*`), unknown"),
    text("trusted_services?", "service principals that the role trusts, sorted, separated by spaces"),
    text("attached_policies?", "ARNs of the attached managed policies, separated by spaces; missing if not collected"),
    count("inline_policy_count?", "number of inline policies; missing if they were not collected"),
    text("role_template_arn?", "ARN of the role template that created the role (AcquireRole), if GetRole shows it"),
    flag("is_aws_managed", "True if service-linked or reserved for IAM Identity Center"),
    flag("tags_known", "True if the tags were collected; if True and `tags` has no rows, the resource has no tags"),
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
        "True if the profile's role was collected; if True and `links` has no row, the profile holds no role",
    ),
    flag("tags_known", "True if the tags were collected; if True and `tags` has no rows, the resource has no tags"),
)

LINKS = Frame("links", "instance profile with a role", ("profile_arn", "role_arn")).with_columns(
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
    text("consumer_arn?", "ARN of the resource, if shown; for an instance or launch template, made from region and id"),
    text("consumer_name?", "name of the resource that uses the profile; for an association, the instance"),
    text("consumer_version?", "versions of the launch template that use the profile, separated by spaces"),
    text("consumer_state?", "state of the resource that uses the profile"),
)

RESOURCE_OWNERS = Frame(
    "resource_owners",
    "EKS cluster, Elastic Beanstalk environment or CloudFormation stack that may own instance profiles",
    ("account_id", "region", "owner_type", "owner_id", "profile_name"),
).with_columns(
    ACCOUNT_ID,
    text("region", "region, or `unknown`"),
    text("owner_type", "eks-cluster, beanstalk-environment, stack"),
    text("owner_id", "id of the cluster, environment or stack; of an EKS cluster, the name"),
    text("owner_name", "name of the cluster, environment or stack"),
    text("state?", "state of the environment or stack"),
    text(
        "profile_name?",
        "the profile that the stack contains (DescribeStackResources); missing if the row comes from a list call",
    ),
)

TAG_POLICIES = Frame(
    "tag_policies",
    "combination of account, resource type and tag key in an effective tag policy",
    ("account_id", "resource_type", "tag_key"),
).with_columns(
    ACCOUNT_ID,
    text("resource_type", "`role` or `instance-profile`"),
    text("tag_key", "key, in the spelling that the organization demands"),
    text(
        "allowed_values?",
        "allowed values, as a JSON list in which `*` is any text; empty if any value is allowed; missing if unknown",
    ),
    flag(
        "is_required",
        "True if resources of this type must have the tag; if False, only existing tags with this key are checked",
    ),
    flag("is_enforced", "True if AWS refuses other values and spellings on resources of this type"),
    text(
        "source", "operation that showed the key: DescribeEffectivePolicy, or ListRequiredTags, which shows no values"
    ),
)

GAPS = Frame(
    "gaps", "piece of data that is missing or contradictory", ("account_id", "region", "operation", "subject")
).with_columns(
    ACCOUNT_ID,
    text("region", "region, `global` for IAM, or `unknown`"),
    text(
        "operation",
        "the operation or file format that would show the data; or a column, `tags`, `file` or `check_snapshot`",
    ),
    text("subject", "the resource or file that the gap is about; `*` for all resources that `detail` describes"),
    text("reason", "denied, throttled, expired, vanished, truncated, unreadable, contradicted, not_asked, not_in_file"),
    text("message", "id of the message in `detail`; empty in snapshots of older versions"),
    text("facts", "values in the message, as JSON"),
    text("detail", "one sentence: what is unknown, and how to find out"),
)

CALLS = Frame(
    "calls",
    "combination of account, region and source (AWS operation or file format)",
    ("account_id", "operation", "region"),
).with_columns(
    ACCOUNT_ID,
    text(
        "operation",
        "AWS operation, or the file format; a name that several services use has a prefix: `pcs:ListClusters`",
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
        "position among the events of the account, from 0; sorted by time, then in an order that IAM allows",
    ),
    time("event_at", "time of the event, to the second, UTC"),
    text("event_name", "CreateRole, AddRoleToInstanceProfile …"),
    text("resource_type", "`role` or `instance-profile`; `instance-profile` if the event links or unlinks a role"),
    text("resource_name?", "name of the resource, if the event shows it"),
    text("resource_arn?", "ARN of the resource, if its creation event or the inventory shows it"),
    text("resource_id?", "unique id of the resource, if its creation event or the inventory shows it"),
    text("related_name?", "name of the role that was linked or unlinked"),
    text("related_arn?", "ARN of the related role, if its creation event or the inventory shows it"),
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
    "profile (with its role, if known), or role that trusts EC2 but is in no profile",
    ("profile_arn", "role_arn"),
).with_columns(
    ACCOUNT_ID,
    text("profile_arn?", "ARN of the profile; missing for a role in no profile"),
    text("role_arn?", "ARN of the role; missing if the profile has no role, or an unknown role"),
    text("profile_name?", "name of the profile"),
    text("role_name?", "name of the role"),
    text(
        "relation?",
        "same, different, or what alone differs: case, affix (a word such as role), generated (random text)",
    ),
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
    flag(
        "role_known", "True if the profile's role was collected; if True and the role is missing, the profile is empty"
    ),
    text("trusts_ec2?", "whether EC2 may assume the role: yes, no, maybe, unknown"),
    flag("is_aws_managed", "True if AWS manages the role"),
    *MAKER,
    flag(
        "names_expected",
        "True if `maker` gives role and profile different names by design; False if `maker` is a guess",
    ),
    flag(
        "paths_expected",
        "True if `maker` gives role and profile different paths by design; False if `maker` is a guess",
    ),
    flag("untagged_expected", "True if `maker` cannot tag profiles; False if `maker` is a guess"),
)

TAG_COVERAGE = Frame(
    "tag_coverage", "account, resource type and tag key in use", ("account_id", "resource_type", "tag_key")
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
    text("references_regions", "regions in which at least one core list was collected in full, separated by spaces"),
    text("references_not_read", "operations whose references were not collected, separated by spaces"),
)

OWNED_PROFILES = Frame(
    "owned_profiles", "instance profile whose cluster, environment or stack iamframe knows or guesses", ("profile_arn",)
).with_columns(
    ACCOUNT_ID,
    text("profile_arn", "ARN of the profile"),
    text("profile_name?", "name of the profile"),
    text("owner_type", "eks-cluster, beanstalk-environment, stack"),
    text("owner_name", "name or id of the cluster, environment or stack, as the profile or its stack shows it"),
    text("owner_region?", "region of the cluster, environment or stack, if the profile or its stack shows it"),
    text(
        "basis",
        "what shows the cluster, environment or stack: tag, path, name (a guess), resource (DescribeStackResources)",
    ),
    text(
        "status",
        "whether the cluster, environment or stack exists: living, gone (in no possible region), unread (no data)",
    ),
    text("regions", "collected regions where the cluster, environment or stack could be, separated by spaces"),
    text("listing", "the operation that lists the clusters, environments or stacks, as named in `calls`"),
)

LIVES = Frame(
    "lives",
    "lifetime of a role or instance profile in `events`, from creation to deletion",
    ("account_id", "resource_type", "resource_name", "life"),
).with_columns(
    ACCOUNT_ID,
    text("resource_type", "`role` or `instance-profile`"),
    text("resource_name", "name, as in its first event"),
    count("life", "1 for the first resource of this name, 2 for the next resource after a deletion …"),
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
    count("events", "successful events of the resource"),
    time("first_event_at", "time of the first event of the resource"),
    time("last_event_at", "time of the last event of the resource"),
    time("covered_from_at?", "start of the time span whose events were collected"),
    time("covered_to_at?", "end of the time span whose events were collected"),
)

VIEWS: dict[str, Frame] = {frame.name: frame for frame in (PAIRS, TAG_COVERAGE, LISTS, OWNED_PROFILES, LIVES)}
