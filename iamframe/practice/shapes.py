"""Build the XML in which the IAM API describes roles, profiles, users, groups and policies.

The XML is built by joining strings, which is fast.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from iamframe.practice.calls import text

# IAM lists resources by name, and tags by key.
by_name, by_key = attrgetter("name"), itemgetter("Key")


def by_name_and_arn(item: Any) -> str:
    # Managed policies of different owners or paths can have the same name.
    return f"{item.name} {item.arn}"


def shown(name: str, items: Iterable[str]) -> str:
    return f"<{name}>{''.join(f'<member>{item}</member>' for item in items)}</{name}>"


def moment(at: datetime) -> str:
    return f"{at.replace(microsecond=0, tzinfo=None).isoformat()}Z"


@lru_cache(maxsize=4096)
def encoded(document: str) -> str:
    # AWS percent-encodes the policy documents in responses.
    return quote(document, safe="")


def bare_role(role: Any) -> str:
    # These six fields are in every response, even for a role inside a profile.
    return (
        f"<Path>{escape(role.path)}</Path><RoleName>{role.name}</RoleName><RoleId>{role.id}</RoleId>"
        f"<Arn>{escape(role.arn)}</Arn><CreateDate>{moment(role.create_date)}</CreateDate>"
        f"<AssumeRolePolicyDocument>{encoded(role.assume_role_policy_document)}</AssumeRolePolicyDocument>"
    )


def listed_role(role: Any) -> str:
    """ListRoles omits tags, permissions boundaries and last use."""
    description = text("Description", role.description) if role.description else ""
    return f"{bare_role(role)}{description}{text('MaxSessionDuration', role.max_session_duration or 3600)}"


def boundary(role: Any) -> str:
    if not role.permissions_boundary_arn:
        return ""
    # botocore's model says PermissionsBoundaryPolicy; AWS's responses say Policy.
    kind, arn = text("PermissionsBoundaryType", "Policy"), text("PermissionsBoundaryArn", role.permissions_boundary_arn)
    return f"<PermissionsBoundary>{kind}{arn}</PermissionsBoundary>"


def source_template(role: Any) -> str:
    # AcquireRole created the role from this template (source: botocore's IAM model, GetRole).
    template = getattr(role, "source_template_arn", None)
    both = f"{text('TemplateArn', template)}{text('TemplateMinorVersion', 1)}" if template else ""
    return f"<SourceRoleTemplate>{both}</SourceRoleTemplate>" if template else ""


def last_used(role: Any) -> str:
    if role.last_used is None:
        return "<RoleLastUsed/>"
    region = text("Region", role.last_used_region or "us-east-1")
    return f"<RoleLastUsed>{text('LastUsedDate', moment(role.last_used))}{region}</RoleLastUsed>"


def tag_list(tags: Iterable[dict[str, str]]) -> str:
    return shown("Tags", (text("Key", tag["Key"]) + text("Value", tag["Value"]) for tag in sorted(tags, key=by_key)))


def bare_profile(profile: Any) -> str:
    """ListInstanceProfiles and ListInstanceProfilesForRole omit tags."""
    return (
        f"<InstanceProfileName>{profile.name}</InstanceProfileName><InstanceProfileId>{profile.id}</InstanceProfileId>"
        f"<Path>{escape(profile.path)}</Path><Arn>{escape(profile.arn)}</Arn>"
        f"<CreateDate>{moment(profile.create_date)}</CreateDate>{shown('Roles', map(bare_role, profile.roles))}"
    )


def policy_name(policy: Any) -> str:
    return text("PolicyName", policy.name) + text("PolicyArn", policy.arn)


def _policies_of(holder: Any, inline: str) -> str:
    documents = (
        text("PolicyName", name) + text("PolicyDocument", encoded(document))
        for name, document in sorted(holder.policies.items())
    )
    attached = map(policy_name, sorted(holder.managed_policies.values(), key=by_name))
    return shown(inline, documents) + shown("AttachedManagedPolicies", attached)


def role_detail(role: Any, profiles: Iterable[Any]) -> str:
    """GetAccountAuthorizationDetails omits a role's description and session duration."""
    held = shown("InstanceProfileList", map(bare_profile, profiles))
    policies = _policies_of(role, "RolePolicyList")
    return f"{bare_role(role)}{held}{policies}{boundary(role)}{tag_list(role.tags)}{last_used(role)}"


def user_detail(user: Any, tags: Iterable[dict[str, str]]) -> str:
    groups = "".join(text("member", name) for name in user.group_list)
    # IAM omits an empty list of inline policies only for users.
    policies = _policies_of(user, "UserPolicyList").removeprefix("<UserPolicyList></UserPolicyList>")
    return (
        f"{text('Path', user.path)}{text('UserName', user.name)}{text('UserId', user.id)}{text('Arn', user.arn)}"
        f"{text('CreateDate', moment(user.create_date))}{policies}<GroupList>{groups}</GroupList>{tag_list(tags)}"
    )


def group_detail(group: Any) -> str:
    return (
        f"{text('Path', group.path)}{text('GroupName', group.name)}{text('GroupId', group.id)}{text('Arn', group.arn)}"
        f"{text('CreateDate', moment(group.create_date))}{_policies_of(group, 'GroupPolicyList')}"
    )


def policy_detail(policy: Any) -> str:
    versions = (
        text("Document", encoded(version.document))
        + text("VersionId", version.version_id)
        + text("IsDefaultVersion", str(version.is_default_version).lower())
        + text("CreateDate", moment(version.create_date))
        for version in list(policy.versions)
    )
    return (
        f"{policy_name(policy).replace('PolicyArn', 'Arn')}{text('PolicyId', policy.id)}{text('Path', policy.path)}"
        f"{text('DefaultVersionId', policy.default_version_id)}{text('AttachmentCount', policy.attachment_count)}"
        f"<PermissionsBoundaryUsageCount>0</PermissionsBoundaryUsageCount><IsAttachable>true</IsAttachable>"
        f"{text('CreateDate', moment(policy.create_date))}{text('UpdateDate', moment(policy.update_date))}"
        f"{shown('PolicyVersionList', versions)}"
    )
