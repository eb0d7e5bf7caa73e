"""What each frame is: its columns, their types and meaning, and its key.

Everything else relies on this table: it gives the typed empty frames, conforms what the loader and the checks build,
and is the source of the column tables in the README. Types are Arrow's; the pandas type of each is fixed here too
(text `str`, counts `Int64`, flags `bool`, times `datetime64[us, UTC]`, dates `datetime64[us]`), since Arrow's own
mapping would turn a count with a missing value into a float and a flag with one into an object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import cleandoc
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa

from iamframe.errors import SchemaError

TEXT = pa.string()
COUNT = pa.int64()
FLAG = pa.bool_()
TIME = pa.timestamp("us", tz="UTC")
DATE = pa.timestamp("us")
# Text of which few values stand in very many rows.
CATEGORY = pa.dictionary(pa.int32(), pa.string())
_PANDAS = {
    TEXT: "str",
    COUNT: "Int64",
    FLAG: "bool",
    TIME: "datetime64[us, UTC]",
    DATE: "datetime64[us]",
    CATEGORY: "category",
    pa.float64(): "float64",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, Arrow type, meaning, and whether a value may be missing."""

    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = False

    @property
    def dtype(self) -> str:
        """The pandas type, by its name."""
        return _PANDAS[self.type]

    @property
    def said(self) -> str:
        """The meaning, and whether a value may be missing."""
        return f"{self.meaning}; may be missing" if self.nullable else self.meaning


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: one row per what, its key, its columns."""

    name: str
    row: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """The column names, in order."""
        return [column.name for column in self.columns]

    @property
    def said(self) -> str:
        """One row per what, and the columns, as numpydoc has them."""
        columns = "\n".join(f"{c.name} : {c.dtype}\n    {c.said}" for c in self.columns)
        head = f"`{self.name}`: one row per {self.row}"
        return f"{head}\n{'-' * len(head)}\n{columns}"

    @property
    def arrow(self) -> pa.Schema:
        """The Arrow schema, with each column's meaning as its metadata."""
        return pa.schema(
            pa.field(c.name, c.type, nullable=c.nullable, metadata={"meaning": c.meaning}) for c in self.columns
        )

    def empty(self) -> pd.DataFrame:
        """Return the frame without rows, typed."""
        return self.from_arrow(self.arrow.empty_table())

    def from_arrow(self, table: pa.Table) -> pd.DataFrame:
        """Return an Arrow table as this frame.

        Raises
        ------
        SchemaError
            If a column is missing or has another type, or a value is missing where it may not be.
        """
        missing = [name for name in self.names if name not in table.column_names]
        if missing:
            raise SchemaError(f"frame {self.name} lacks the columns {', '.join(missing)}")
        for column in self.columns:
            # Arrow carries nullable=False as a remark only and does not enforce it everywhere.
            if not column.nullable and table[column.name].null_count:
                raise SchemaError(f"frame {self.name}: {column.name} has missing values")
        frame: pd.DataFrame = (
            table.select(self.names)
            .cast(self.arrow)
            .to_pandas(types_mapper={COUNT: pd.Int64Dtype()}.get, split_blocks=True, ignore_metadata=True)
        )
        return frame

    def to_arrow(self, frame: pd.DataFrame) -> pa.Table:
        """Return this frame as an Arrow table, which shares its memory where it can.

        Text is Arrow's `large_string`, as pandas holds it: a column of more than 2 GB fits no other array.

        Raises
        ------
        SchemaError
            If a column is missing, or holds what Arrow has no type for.
        """
        try:
            return pa.Table.from_pandas(frame[self.names], preserve_index=False).replace_schema_metadata()
        except (KeyError, pa.ArrowException) as error:
            raise SchemaError(f"frame {self.name} is not as the schema has it: {error}") from error

    def conform(self, columns: Mapping[str, object] | pd.DataFrame) -> pd.DataFrame:
        """Return columns of any origin as this frame: typed, in order, missing columns as missing values.

        Raises
        ------
        SchemaError
            If a value cannot be converted, or is missing where it may not be.
        """
        size = (
            len(columns)
            if isinstance(columns, pd.DataFrame)
            else max((len(v) for v in columns.values() if hasattr(v, "__len__") and not isinstance(v, str)), default=0)
        )
        arrays = []
        for column in self.columns:
            values = columns.get(column.name)
            try:
                if values is None:
                    arrays.append(pa.nulls(size, column.type))
                elif isinstance(values, (pa.Array, pa.ChunkedArray)):
                    arrays.append(values.cast(column.type))
                elif isinstance(values, str) or not hasattr(values, "__len__"):
                    arrays.append(pa.repeat(pa.scalar(values, column.type), size))
                else:
                    arrays.append(pa.array(values, column.type, from_pandas=True))
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
                raise SchemaError(f"frame {self.name}: {column.name} cannot hold such values: {error}") from error
        return self.from_arrow(pa.table(arrays, names=self.names))


_Documented = TypeVar("_Documented", bound=Callable[..., Any])


def shows(*frames: Frame) -> Callable[[_Documented], _Documented]:
    """Add the columns of what a function returns, or a class holds, to what `help` and a notebook tell of it."""

    def document(thing: _Documented) -> _Documented:
        if thing.__doc__:
            thing.__doc__ = "\n\n".join((cleandoc(thing.__doc__), *(frame.said for frame in frames)))
        return thing

    return document


def _column(name: str, type: pa.DataType, meaning: str) -> Column:
    return Column(name, type, meaning)


def _optional(name: str, type: pa.DataType, meaning: str) -> Column:
    return Column(name, type, meaning, nullable=True)


_ACCOUNT = _column("account_id", TEXT, "account, as its ARNs write it; `unknown` where no ARN and no file says it")

ACCOUNTS = Frame(
    "accounts",
    "account",
    ("account_id",),
    (
        _ACCOUNT,
        _optional("partition", TEXT, "partition of its ARNs: aws, aws-cn, aws-us-gov …"),
        _optional("account_name", TEXT, "alias of the account"),
        _column("source", TEXT, "where it was loaded from, as the user named it"),
        _optional("captured_at", TIME, "when AWS was asked, where the source says so"),
        _optional("caller_arn", TEXT, "who asked (GetCallerIdentity)"),
        _optional("role_quota", COUNT, "roles that the account may have (GetAccountSummary)"),
        _optional("profile_quota", COUNT, "instance profiles that the account may have (GetAccountSummary)"),
        _optional("roles_expected", COUNT, "roles that the account has, by GetAccountSummary"),
        _optional("profiles_expected", COUNT, "instance profiles that the account has, by GetAccountSummary"),
        _optional("events_from_at", TIME, "first record that was read of a CloudTrail trail, in IAM's region"),
        _optional(
            "events_to_at",
            TIME,
            "last such record: `events` tells all between, if no file is missing",
        ),
    ),
)

ROLES = Frame(
    "roles",
    "role",
    ("role_arn",),
    (
        _ACCOUNT,
        _column("role_arn", TEXT, "ARN; `address:ADDRESS` in a Terraform plan that has none yet"),
        _optional("role_name", TEXT, "name: what follows the last `/` of the ARN"),
        _optional("role_path", TEXT, "path, `/` or `/…/`"),
        _optional("role_id", TEXT, "unique id, AROA… on AWS"),
        _optional("created_at", TIME, "creation, UTC"),
        _optional("description", TEXT, "description"),
        _optional("max_session_seconds", COUNT, "longest session, seconds"),
        _optional("permissions_boundary_arn", TEXT, "policy that bounds its permissions"),
        _optional("last_used_at", TIME, "last use in the last 400 days, UTC"),
        _optional("last_used_region", TEXT, "region of the last use"),
        _column("last_used_known", FLAG, "whether last use was read: then no time means no use in 400 days"),
        _optional("trust_policy", TEXT, "trust policy, compact JSON, keys in the order given"),
        _column("trusts_ec2", TEXT, "whether EC2 may assume it: yes, no, maybe (condition, deny, `*`), unknown"),
        _optional("trusted_services", TEXT, "service principals that it trusts, sorted, space-joined"),
        _column("is_aws_managed", FLAG, "service-linked, or reserved for IAM Identity Center"),
        _column("tags_known", FLAG, "whether its tags were read: then no rows in `tags` means none"),
    ),
)

PROFILES = Frame(
    "profiles",
    "instance profile",
    ("profile_arn",),
    (
        _ACCOUNT,
        _column("profile_arn", TEXT, "ARN; `address:ADDRESS` in a Terraform plan that has none yet"),
        _optional("profile_name", TEXT, "name: what follows the last `/` of the ARN"),
        _optional("profile_path", TEXT, "path, `/` or `/…/`"),
        _optional("profile_id", TEXT, "unique id, AIPA… on AWS"),
        _optional("created_at", TIME, "creation, UTC"),
        _column("role_known", FLAG, "whether its role was read: then no row in `links` means that it is empty"),
        _column("tags_known", FLAG, "whether its tags were read: then no rows in `tags` means none"),
    ),
)

LINKS = Frame(
    "links",
    "role in an instance profile",
    ("profile_arn", "role_arn"),
    (
        _ACCOUNT,
        _column("profile_arn", TEXT, "the profile"),
        _column("role_arn", TEXT, "the role in it; `name:ROLE` where no source shows that role"),
    ),
)

TAGS = Frame(
    "tags",
    "tag of a role or instance profile",
    ("resource_arn", "tag_key"),
    (
        _ACCOUNT,
        _column("resource_arn", TEXT, "the role or profile"),
        _column("resource_type", TEXT, "`role` or `instance-profile`"),
        _column("tag_key", TEXT, "key, as stored"),
        _column("tag_value", TEXT, "value, may be empty"),
        _column("is_aws_reserved", FLAG, "whether the key begins with `aws:`, which users cannot set"),
        _column("tag_source", TEXT, "the operation or file kind that it was read from"),
    ),
)

REFERENCES = Frame(
    "references",
    "mention of an instance profile by something that uses it",
    ("account_id", "region", "consumer_type", "consumer_id", "named"),
    (
        _ACCOUNT,
        _column("region", TEXT, "region, or `unknown`"),
        _column(
            "consumer_type",
            TEXT,
            "instance, association, launch-template, launch-configuration, auto-scaling-group, spot-request, fleet …",
        ),
        _column("consumer_id", TEXT, "its id or name"),
        _column("named", TEXT, "the profile as the consumer wrote it: name or ARN"),
        _optional(
            "profile_arn",
            TEXT,
            "the profile that this means, by ARN with its path, id or name; missing where none is known",
        ),
        _optional("profile_name", TEXT, "the name part of it"),
        _optional("profile_id", TEXT, "the profile's unique id as the consumer holds it"),
        _optional("consumer_arn", TEXT, "its ARN, where the region is known"),
        _optional("consumer_name", TEXT, "its name; of an association, the instance"),
        _optional("consumer_version", TEXT, "versions of a launch template that say so, space-joined"),
        _optional("consumer_state", TEXT, "its state"),
    ),
)

GAPS = Frame(
    "gaps",
    "thing that could not be read",
    ("account_id", "region", "operation", "subject"),
    (
        _ACCOUNT,
        _column("region", TEXT, "region, `global` for IAM, or `unknown`"),
        _column("operation", TEXT, "the operation that would tell, or the kind of file"),
        _column("subject", TEXT, "the resource or file; `*` for all that the detail speaks of"),
        _column(
            "reason",
            TEXT,
            "denied, throttled, expired, vanished, truncated, unreadable, contradicted, not_asked, not_in_file",
        ),
        _column("detail", TEXT, "one sentence: what is not known, and what would settle it"),
    ),
)

CALLS = Frame(
    "calls",
    "operation of an account and region that was read",
    ("account_id", "operation", "region"),
    (
        _ACCOUNT,
        _column(
            "operation",
            TEXT,
            "AWS operation (`pcs:ListClusters` where services share its name), or the kind of file that stands for one",
        ),
        _column("region", TEXT, "region, `global` for IAM, or `unknown`"),
        _column("requests", COUNT, "requests made to AWS; 0 from files"),
        _column("rows", COUNT, "records read"),
        _column("retries", COUNT, "requests that had to be made again; 0 from files"),
        _optional("started_at", TIME, "first request, UTC"),
        _optional("ended_at", TIME, "last answer, UTC"),
        _column("state", TEXT, "complete: the whole list; partial: some of it; truncated: cut short; refused: nothing"),
    ),
)

EVENTS = Frame(
    "events",
    "event of CloudTrail that changed a role or instance profile, or tried to",
    ("account_id", "event_id"),
    (
        _ACCOUNT,
        _column("event_id", TEXT, "CloudTrail's id of it"),
        _column("event_order", COUNT, "its place in its account, from 0: by time, within one second by cause"),
        _column("event_at", TIME, "when, to the second, UTC"),
        _column("event_name", TEXT, "CreateRole, AddRoleToInstanceProfile …"),
        _column("resource_type", TEXT, "`role` or `instance-profile`; of a link, the profile"),
        _optional("resource_name", TEXT, "its name, where the event says it"),
        _optional("resource_arn", TEXT, "its ARN, where its creation was read or it is the one in the inventory"),
        _optional("resource_id", TEXT, "its unique id, likewise"),
        _optional("related_name", TEXT, "of a link, the role's name"),
        _optional("related_arn", TEXT, "of a link, the role's ARN, known as `resource_arn` is"),
        _optional("tag_keys", TEXT, "keys that it sets or takes away, sorted, comma-joined"),
        _optional("actor_arn", TEXT, "who: ARN of a user or session, or the name of an AWS service that did it itself"),
        _optional("user_agent", TEXT, "what the tool says of itself"),
        _optional("error_code", TEXT, "why AWS refused it; none where it was done"),
    ),
)

FRAMES: dict[str, Frame] = {
    frame.name: frame for frame in (ACCOUNTS, ROLES, PROFILES, LINKS, TAGS, REFERENCES, GAPS, CALLS, EVENTS)
}

PAIRS = Frame(
    "pairs",
    "link, profile without a link, and role that trusts EC2 and is known to be in no profile",
    ("profile_arn", "role_arn"),
    (
        _ACCOUNT,
        _optional("profile_arn", TEXT, "the profile; missing for a role alone"),
        _optional("role_arn", TEXT, "the role; missing for a profile alone"),
        _optional("profile_name", TEXT, "name of the profile"),
        _optional("role_name", TEXT, "name of the role"),
        _optional("relation", TEXT, "of a link: same, case, affix, generated, different"),
        _optional("profile_path", TEXT, "path of the profile"),
        _optional("role_path", TEXT, "path of the role; missing where no source shows it"),
        _optional("profile_segments", TEXT, "what the profile's path has beyond `/`"),
        _optional("role_segments", TEXT, "what the role's path has beyond `/`"),
        _column("paths_differ", FLAG, "whether both paths are known and differ"),
        _optional("profile_tags", TEXT, "tags of the profile, KEY=VALUE by key; missing where unknown, empty for none"),
        _optional("role_tags", TEXT, "tags of the role, likewise"),
        _column("profile_tags_known", FLAG, "whether the profile's tags were read"),
        _column("role_tags_known", FLAG, "whether the role's tags were read"),
        _column("role_known", FLAG, "of a profile: whether its role was read, so that no role means that it is empty"),
        _optional("trusts_ec2", TEXT, "whether the role lets EC2 assume it: yes, no, maybe, unknown"),
        _column("is_aws_managed", FLAG, "whether AWS manages the role"),
        _optional("maker", TEXT, "service or tool that created it, as far as names, paths and tags tell"),
        _optional(
            "maker_basis",
            TEXT,
            "what tells: pair (both sides fit and agree), tag (its own), guess (one side looks like it)",
        ),
        _column("names_expected", FLAG, "whether the names differ by the maker's design; not of a guess"),
        _column("paths_expected", FLAG, "whether the paths differ by its design; not of a guess"),
        _column("untagged_expected", FLAG, "whether the maker cannot tag profiles; not of a guess"),
    ),
)

TAG_COVERAGE = Frame(
    "tag_coverage",
    "account, resource type and tag key in use there",
    ("account_id", "resource_type", "tag_key"),
    (
        _ACCOUNT,
        _column("resource_type", TEXT, "`role` (those that AWS manages left out) or `instance-profile`"),
        _column("tag_key", TEXT, "key, as stored"),
        _column("tagged", COUNT, "resources that carry it"),
        _column("known", COUNT, "resources whose tags were read: what `share` is of"),
        _column("unknown", COUNT, "resources whose tags were not read"),
        _optional("share", pa.float64(), "tagged / known, 0 to 1; missing where none is known"),
    ),
)

LISTS = Frame(
    "lists",
    "account",
    ("account_id",),
    (
        _ACCOUNT,
        _column("roles_whole", FLAG, "whether all roles of the account were read"),
        _column("profiles_whole", FLAG, "whether all instance profiles of the account were read"),
        _column("references_status", TEXT, "complete, partial, unknown: whether what refers to profiles was read"),
        _column("references_reason", TEXT, "what of it was not read"),
    ),
)

LIVES = Frame(
    "lives",
    "life of a role or instance profile that `events` tells of",
    ("account_id", "resource_type", "resource_name", "life"),
    (
        _ACCOUNT,
        _column("resource_type", TEXT, "`role` or `instance-profile`"),
        _column("resource_name", TEXT, "name, as its first event writes it"),
        _column("life", COUNT, "which of the lives of that name, from 1"),
        _optional("resource_arn", TEXT, "ARN, where anything read says it"),
        _optional("resource_id", TEXT, "unique id, likewise"),
        _optional("created_at", TIME, "creation, where it was read"),
        _optional("created_by", TEXT, "who created it (`actor_arn`)"),
        _optional("created_with", TEXT, "tool or AWS service that created it, where its user agent is a known one"),
        _optional("deleted_at", TIME, "deletion; where none was read, it may live on"),
        _optional("deleted_by", TEXT, "who deleted it"),
        _optional("deleted_with", TEXT, "tool or AWS service that deleted it"),
        _optional("related_names", TEXT, "of a profile the roles put into it, of a role its profiles; space-joined"),
        _column("events", COUNT, "events of this life that were done"),
        _column("first_event_at", TIME, "first of them"),
        _column("last_event_at", TIME, "last of them"),
        _optional("covered_from_at", TIME, "from when on events of the account were read"),
        _optional("covered_to_at", TIME, "until when"),
    ),
)

VIEWS: dict[str, Frame] = {frame.name: frame for frame in (PAIRS, TAG_COVERAGE, LISTS, LIVES)}

FINDINGS = Frame(
    "findings",
    "resource and related resource that a check found",
    ("check", "resource_arn", "related_arn"),
    (
        _column("check", TEXT, "name of the check"),
        _column("severity", TEXT, "high, medium, low, or info (expected)"),
        _column("certainty", TEXT, "certain, in scope (of the regions read), maybe"),
        _ACCOUNT,
        _optional("resource_type", TEXT, "role, instance-profile, account, or the consumer's type"),
        _optional("resource_name", TEXT, "its name"),
        _optional("resource_arn", TEXT, "its ARN; of a link, the profile's"),
        _optional("related_arn", TEXT, "the other side; of a link, the role"),
        _optional("relation", TEXT, "how two names differ: case, affix, generated, different"),
        _optional("maker", TEXT, "service or tool that created it, as far as names, paths and tags tell"),
        _optional(
            "maker_basis",
            TEXT,
            "what tells: pair (both sides fit and agree), tag (its own), guess (one side looks like it)",
        ),
        _column("expected", FLAG, "whether it is so by the maker's design; never by a guess"),
        _optional("accepted", TEXT, "reason why the policy file accepts it"),
        _column("detail", TEXT, "what was found, in words"),
        _optional("next_step", TEXT, "the next command to type, quoted for a POSIX shell"),
    ),
)

FINDINGS_BY_OWNER = Frame(
    "findings_by_owner",
    "owner, and state without one",
    ("owner", "state"),
    (
        _optional("owner", TEXT, "value of the tag that names the owner"),
        _column("state", TEXT, "owned, none (no such tag), unread (tags not read), account (about one as a whole)"),
        _column("high", COUNT, "findings of severity high that are not accepted"),
        _column("medium", COUNT, "of medium"),
        _column("low", COUNT, "of low"),
        _column("info", COUNT, "of info: expected"),
        _column("findings", COUNT, "all of them"),
    ),
)

COVERAGE = Frame(
    "coverage",
    "account and check",
    ("account_id", "check"),
    (
        _ACCOUNT,
        _column("check", TEXT, "name of the check"),
        _column("status", TEXT, "complete, partial, unknown"),
        _column("reason", TEXT, "what was not read and what would settle it; empty when complete"),
    ),
)

COUNTS = Frame(
    "counts",
    "check",
    ("check",),
    (
        _column("check", TEXT, "name of the check"),
        _column("findings", COUNT, "findings that are wanted"),
        _column("high", COUNT, "those of severity high"),
        _column("medium", COUNT, "medium"),
        _column("low", COUNT, "low"),
        _column("info", COUNT, "info"),
        _column("complete", COUNT, "accounts of which the check saw all: no finding means that there is none"),
        _column("partial", COUNT, "accounts of which it saw some"),
        _column("unknown", COUNT, "accounts of which it saw nothing"),
    ),
)

FINDINGS_BY_TAG = Frame(
    "findings_by_tag",
    "value of a tag, and state without one",
    ("tag_value", "tagged"),
    (
        _optional("tag_value", TEXT, "value, as stored; missing where none is carried"),
        _column("tagged", TEXT, "yes: carried by a side of the finding; no: by none; unknown: a side was not read"),
        _column("findings", COUNT, "findings; one whose sides carry two values counts for both"),
        _column("high", COUNT, "those of severity high"),
        _column("medium", COUNT, "medium"),
        _column("low", COUNT, "low"),
        _column("info", COUNT, "info"),
    ),
)

EXPLANATION = Frame(
    "explanation",
    "field that is known of a role, a profile, or both",
    (),
    (
        _optional("account_id", TEXT, "account; missing where the field is of none"),
        _optional("role_arn", TEXT, "the role that is told of"),
        _optional("profile_arn", TEXT, "the profile that is told of"),
        _column("section", TEXT, "identity, link, tags, trust, used by, findings, not checked, deleting, next …"),
        _column("field", TEXT, "what it is: name, tag key, principal's kind, consumer's type, check …"),
        _optional("role", TEXT, "of the role; `not read` where it is unknown"),
        _optional("profile", TEXT, "of the profile, likewise"),
        _optional("note", TEXT, "of both, or what differs, where, why"),
    ),
)

_SURFACE = _column("surface", TEXT, "console, API or tool: IAM console, Tag Editor, IAM API …")
_OPERATION = _column("operation", TEXT, "write, read, or find (by tag)")
_MISSED = "yes; unless: where the condition in `reason` holds, not; unknown: nobody says"

SURFACES = Frame(
    "surfaces",
    "surface, resource type and operation on tags",
    ("surface", "resource_type", "operation"),
    (
        _SURFACE,
        _column("resource_type", TEXT, "`role` or `instance-profile`"),
        _OPERATION,
        _column("answer", TEXT, "yes, no, condition, or unknown: neither AWS nor a measurement says it"),
        _optional("condition", TEXT, "on what it depends"),
        _column("detail", TEXT, "by what it is done, or what is known of it"),
        _optional("since", DATE, "when it became so, where that is known"),
        _column("source", TEXT, "where it is written"),
        _column("checked_on", DATE, "of when that is"),
    ),
)

BLIND_SPOTS = Frame(
    "blind_spots",
    "role or profile and operation on its tags that a surface does not have for sure",
    ("surface", "operation", "resource_arn"),
    (
        _column("account_id", CATEGORY, "account"),
        _column("surface", CATEGORY, _SURFACE.meaning),
        _column("resource_type", CATEGORY, "`role` or `instance-profile`"),
        _column("resource_arn", CATEGORY, "its ARN"),
        _optional("resource_name", CATEGORY, "its name"),
        _column("tagged", CATEGORY, "whether it has tags besides reserved ones: yes, no, unknown"),
        _column("operation", CATEGORY, _OPERATION.meaning),
        _column("missed", CATEGORY, _MISSED),
        _column("reason", CATEGORY, "what cannot be done there, and why or on what it depends"),
    ),
)

BLIND_SPOT_COUNTS = Frame(
    "blind_spot_counts",
    "account, surface, resource type and operation on tags",
    ("account_id", "surface", "resource_type", "operation"),
    (
        _ACCOUNT,
        _SURFACE,
        _column("resource_type", TEXT, "`role` (those that AWS manages left out) or `instance-profile`"),
        _OPERATION,
        _column("missed", TEXT, f"no; {_MISSED}"),
        _column("resources", COUNT, "of how many resources that is so: all that were read"),
        _column("tagged", COUNT, "how many of them have tags"),
        _column("untagged", COUNT, "how many have none"),
        _column("unknown", COUNT, "of how many the tags were not read"),
        _column("reason", TEXT, "what can or cannot be done there, and by what, why, or on what it depends"),
    ),
)

PROBES = Frame(
    "probes",
    "fact about a surface and region that was asked",
    ("surface", "resource_type", "operation", "region"),
    (
        _ACCOUNT,
        _SURFACE,
        _column("resource_type", TEXT, "`role` or `instance-profile`"),
        _OPERATION,
        _column("region", TEXT, "region that was asked; `unknown` for those that could not be listed"),
        _column("expected", TEXT, "whether such resources are shown there, as `surfaces` has it: yes, no, unknown"),
        _optional("tagged", COUNT, "how many of them have tags, by IAM; missing where IAM did not tell of any"),
        _optional("shown", COUNT, "how many the surface shows; missing where it did not answer"),
        _optional("differing", COUNT, "how many it shows with other tags than IAM has, of those that IAM told"),
        _column("holds", TEXT, "whether what was seen is what was expected: yes, no, unknown"),
        _column("detail", TEXT, "what was seen, in words, or why nothing can be said"),
    ),
)

CHANGES = Frame(
    "changes",
    "change of a role or instance profile; of tags, one per key",
    ("resource_arn", "change", "what"),
    (
        _column("change", TEXT, "created, deleted, recreated, relinked, retagged, trust_changed, changed"),
        _ACCOUNT,
        _optional("resource_type", TEXT, "role or instance-profile"),
        _optional("resource_name", TEXT, "its name"),
        _optional("resource_arn", TEXT, "its ARN; of a deleted one, the ARN that it had"),
        _optional("what", TEXT, "the tag's key, or the column that changed"),
        _optional("before", TEXT, "id, role, tag value, trust policy or value in the old one; missing for none"),
        _optional("after", TEXT, "the same in the new one"),
        _column("detail", TEXT, "what changed, in words"),
    ),
)

CHANGED_FINDINGS = Frame(
    "changed_findings",
    "finding that is in one of two results alone",
    ("change", *FINDINGS.key),
    (_column("change", TEXT, "new or gone"), *FINDINGS.columns),
)

NOT_COMPARED = Frame(
    "not_compared",
    "account and thing that could not be compared",
    ("account_id", "what"),
    (
        _ACCOUNT,
        _column("what", TEXT, "what of it: account, roles, profile tags, findings of a check …"),
        _column("reason", TEXT, "what was not read, and where: OLD or NEW"),
    ),
)

STEPS = Frame(
    "steps",
    "command of a clean-up plan",
    ("step",),
    (
        _column("step", COUNT, "place in the order in which the script does them"),
        _ACCOUNT,
        _column("checks", TEXT, "checks whose findings it settles, space-joined"),
        _column("resource_type", TEXT, "role or instance-profile: what the command is about"),
        _column("resource_name", TEXT, "its name"),
        _column("resource_arn", TEXT, "its ARN"),
        _optional("related_arn", TEXT, "of a profile that is deleted, the role in it, which stays"),
        _column("action", TEXT, "check (reads, and stops what follows), remove-role, delete, tag"),
        _column("command", TEXT, "the command, quoted for a POSIX shell"),
        _column("why", TEXT, "what was found"),
        _column(
            "rests_on",
            TEXT,
            "what was read, and when; a check stops where id, role, tags or what names it are no longer so",
        ),
        _optional(
            "undo", TEXT, "the command that takes it back; run from the last row to the first; missing for a check"
        ),
        _optional("cannot_undo", TEXT, "what no command brings back"),
    ),
)

NOT_PLANNED = Frame(
    "not_planned",
    "finding that a clean-up plan leaves alone",
    ("check", "resource_arn", "related_arn"),
    (
        _column("check", TEXT, "name of the check"),
        _ACCOUNT,
        _optional("resource_type", TEXT, "role or instance-profile"),
        _optional("resource_name", TEXT, "its name"),
        _column("resource_arn", TEXT, "its ARN"),
        _optional("related_arn", TEXT, "the other side of a link: the role"),
        _column("reason", TEXT, "why it is left alone"),
    ),
)
