"""Which profile a mention means: that of its ARN, path included, or of its name, or of the unique id that it carries.

Names of profiles are unique in an account without case, whatever their path (IAM User Guide, "IAM and AWS STS quotas").
Whether AWS tells ARNs apart by case is not documented: one in another case counts, so that nothing in use passes for
unused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory.columns import joined_key, position, take, texts

# Unique ids of profiles (IAM User Guide, "IAM identifiers"; API Reference, idType: 16 characters at least). Moto and
# LocalStack write the id of an association in their place, which tells nothing of a profile.
_PROFILE_ID = "^AIPA[A-Z0-9]{12,124}$"


def profile_ids(values: Any) -> pa.Array:
    """Return the unique ids of profiles among texts; missing where one has another form, or was masked."""
    ids = texts(values)
    rest = pc.utf8_slice_codeunits(ids, 4)
    # One that was masked is one character again and again.
    masked = pc.equal(rest, pc.binary_repeat(pc.utf8_slice_codeunits(rest, 0, 1), pc.utf8_length(rest)))
    told = pc.and_(pc.match_substring_regex(ids, _PROFILE_ID), pc.invert(masked))
    return pc.if_else(told, ids, pa.scalar(None, pa.string()))


def account_named(named: Any) -> pa.Array:
    """Return the account that the ARN of a profile holds; missing for a name, or where the ARN holds none."""
    return pc.struct_field(pc.extract_regex(texts(named), r"^arn:[^:]*:[^:]*:[^:]*:(?P<account>[^:]+):"), "account")


def without_case(values: Any) -> pa.Array:
    """Return names or ARNs as they are compared."""
    return pc.utf8_lower(texts(values))


def without_path(arns: Any) -> pa.Array:
    """Return ARNs of profiles as they are compared, without their path; of anything else, missing."""
    form = r"(?s)^(?P<account>arn:[^:]*:iam::[^:]*:instance-profile/)(?:.*/)?(?P<name>[^/]+)$"
    found = pc.extract_regex(without_case(arns), form)
    return pc.binary_join_element_wise(pc.struct_field(found, "account"), pc.struct_field(found, "name"), "")


def profiles_meant(references: Any, profiles: Any) -> pa.Array:
    """Return, per row of `references`, the ARN of the profile that it means, missing where none of them is.

    An ARN may be of any account; a name is one of the consumer's own account. An id counts where the ARN is of no
    profile: an instance keeps that of the profile which it was started with.
    """
    arns = texts(profiles["profile_arn"])
    named = texts(references["named"])
    where = position(without_case(named), without_case(arns)).copy()
    rest = np.flatnonzero(where < 0)
    if not len(rest) or not len(arns):
        return take(arns, where)
    by_id = profile_ids(_of(references["profile_id"], rest))
    if by_id.null_count < len(by_id):
        where[rest] = _only(by_id, texts(profiles["profile_id"]))
    rest = rest[(where[rest] < 0) & np.asarray(account_named(_of(named, rest)).is_null())]
    if len(rest):
        mine = joined_key(*(_of(without_case(references[name]), rest) for name in ("account_id", "profile_name")))
        theirs = joined_key(*(without_case(profiles[name]) for name in ("account_id", "profile_name")))
        # Of a profile that is planned and one that is there, the ARN of the latter comes last.
        last = len(arns) - 1
        place = position(mine, theirs.take(pa.array(np.arange(last, -1, -1))))
        where[rest] = np.where(place < 0, -1, last - place)
    return take(arns, where)


def _of(values: Any, rows: Any) -> pa.Array:
    return texts(values).take(pa.array(rows))


def _only(ids: pa.Array, among: pa.Array) -> Any:
    """Return, per id, where it stands among the others, -1 where it does not, or more than once."""
    where = position(ids, among)
    found = np.unique(where[where >= 0])
    counts = among.filter(pc.is_in(among, value_set=among.take(pa.array(found)))).value_counts()
    several = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    return np.where(np.asarray(pc.is_in(ids, value_set=several)), -1, where)
