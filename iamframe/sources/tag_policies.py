"""Read an account's effective tag policy, either from files or from a live account.

An example of an effective policy is `{"tags": {"costcenter": {"tag_key": "CostCenter", "tag_value": ["100", "Prod*"],
…}}}`. Source: Organizations User Guide, "Tag policy syntax and examples", checked 2026-11-26.

- `tag_key` is the tag key in the compliant spelling. If the entry of a tag has no `tag_key`, the compliant spelling is
  the entry's key in lower case.
- `tag_value` lists the compliant values, in which `*` stands for any text. If the entry of a tag has no
  `tag_value`, any value is compliant.
- `report_required_tag_for` lists the resource types that must have the tag. Resources of other types do not need the
  tag. If a resource of any type has the tag, its value and the case of its key must be compliant.
- `enforced_for` lists the resource types for which AWS rejects a tag that is not compliant. AWS accepts a missing tag
  even for the types in `enforced_for`.

`iam:ALL_SUPPORTED` stands for all IAM resource types that tag policies support. A tag can be required for `iam:role`,
`iam:instance-profile` and other types. Source: Pulumi's documentation, "AWS Organizations Tag Policies",
`report_required_tag_for`. The list `enforced_for` can contain `iam:instance-profile`. No known source says that
`enforced_for` can contain `iam:role`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from iamframe.knowledge.operations import REQUIRED_TAGS, TAG_POLICY
from iamframe.sources.records import Answer, RequiredKeys, TagDemand, make_decoders
from iamframe.sources.shapes import Document, shape

# By these error codes AWS says that no tag policy applies to the account (Organizations API Reference,
# DescribeEffectivePolicy).
NO_POLICY = ("EffectivePolicyNotFoundException", "AWSOrganizationsNotInUseException")
_TYPES = {"instance-profile": "iam:instance-profile", "role": "iam:role"}
_EVERY = {"iam:ALL_SUPPORTED", "iam:*"}
_NEVER_ENFORCED = "role"


class _Tag(msgspec.Struct):
    tag_key: str | None = None
    tag_value: list[str] = []
    enforced_for: list[str] = []
    report_required_tag_for: list[str] = []


class _Policy(msgspec.Struct):
    tags: dict[str, _Tag] | None = None


class EffectivePolicy(msgspec.Struct):
    content: str = msgspec.field(name="PolicyContent")
    target_id: str | None = msgspec.field(name="TargetId", default=None)


def demands_in(policy: EffectivePolicy) -> list[TagDemand]:
    """If `policy.content` is not a tag policy, raise msgspec.DecodeError."""
    tags = msgspec.json.decode(policy.content, type=_Policy).tags
    if tags is None:
        # The collect script writes `{}` if there is no policy.
        if msgspec.json.decode(policy.content) != {}:
            raise msgspec.ValidationError("Object missing required field `tags`")
        return []
    return [_demand(tag.tag_key or key.lower(), tag, kind) for key, tag in tags.items() for kind in _TYPES]


def _demand(key: str, tag: _Tag, kind: str) -> TagDemand:
    one, every = {_TYPES[kind]}, {_TYPES[kind], *_EVERY}
    return TagDemand(
        kind,
        key,
        msgspec.json.encode([] if "*" in tag.tag_value else tag.tag_value).decode(),
        is_required=not every.isdisjoint(tag.report_required_tag_for),
        is_enforced=not (one if kind == _NEVER_ENFORCED else every).isdisjoint(tag.enforced_for),
        source=TAG_POLICY,
    )


def required_in(records: Iterable[RequiredKeys]) -> list[TagDemand]:
    kinds = {name: kind for kind, name in _TYPES.items()}
    return [
        TagDemand(kinds[one.resource_type], key, None, is_required=True, is_enforced=False, source=REQUIRED_TAGS)
        for one in records
        if one.resource_type in kinds
        for key in one.tag_keys
    ]


# Backup policies and others have the same shape.
@shape("EffectivePolicy", when=lambda document: b'"TAG_POLICY"' in bytes(document.as_json("EffectivePolicy")))
def effective_policy(document: Document) -> Iterable[Answer]:
    policy = document.decode(EffectivePolicy, "EffectivePolicy")
    return [document.answer(TAG_POLICY, demands_in(policy), account_id=policy.target_id, state="complete")]


@shape("RequiredTags")
def required_tags(document: Document) -> Iterable[Answer]:
    records = [one for chunk in document.records("RequiredTags", RequiredKeys) for one in chunk]
    return [document.answer(REQUIRED_TAGS, required_in(records), state=document.state("RequiredTags"))]  # type: ignore[arg-type]


make_decoders([_Policy, EffectivePolicy])
