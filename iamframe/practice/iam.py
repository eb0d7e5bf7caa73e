"""How a practice account answers IAM calls about roles, instance profiles and their tags.

iamframe, not moto, answers most IAM calls about roles and profiles. moto stores the roles and profiles. moto's answers
differ from AWS's answers, and are too slow for load tests.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any
from urllib.parse import quote

from iamframe.practice import checks, shapes
from iamframe.practice.backends import Backends
from iamframe.practice.calls import Answer, Call, Refusal, query_answer, text, values
from iamframe.practice.pages import page

_IN_PROFILE = "Cannot delete entity, must remove roles from instance profile first."
QUOTA = 1000


class Iam:
    def __init__(self, backends: Backends) -> None:
        self.backends = backends
        # The ids of all profiles that ever had a tag: the tagging API shows only these profiles.
        self.ever_tagged: set[str] = set()

    def answer(self, call: Call) -> Answer:
        # Reads need no lock: a read copies a list in one step, and a write replaces a whole list.
        read = _READS.get(call.action)
        if read:
            return query_answer(call, read(self, call))
        with self.backends.lock:
            write = _WRITES.get(call.action)
            if write:
                return query_answer(call, write(self, call))
            # moto's messages on missing resources differ from AWS's, and moto compares names with case.
            role = self.role(call) if call.params.get("RoleName") else None
            return self.backends.ask(call, **({"RoleName": role.name} if role else {}))

    def role(self, call: Call, name: str | None = None) -> Any:
        name = name or checks.required(call, "RoleName")
        role = _of_name(self.roles(call.account_id), name)
        if role is not None:
            return role
        raise Refusal("NoSuchEntity", f"The role with name {name} cannot be found.", 404)

    def profile(self, call: Call, name: str | None = None) -> Any:
        name = name or checks.required(call, "InstanceProfileName")
        there = self.backends.iam(call.account_id).instance_profiles
        profile = there.get(name) or _of_name(list(there.values()), name)
        if profile is None:
            raise Refusal("NoSuchEntity", f"Instance Profile {name} cannot be found.", 404)
        return profile

    def path_of(self, call: Call) -> str:
        """Return the path of the role or profile that a call names."""
        name, role_name = call.params.get("InstanceProfileName"), call.params.get("RoleName")
        found = _of_name(self.profiles(call.account_id), name) if name else None
        if not name and role_name:
            found = _of_name(self.roles(call.account_id), role_name)
        return found.path if found else call.params.get("Path", "/")

    def roles(self, account_id: str) -> list[Any]:
        return list(self.backends.iam(account_id).roles.values())

    def profiles(self, account_id: str) -> list[Any]:
        return list(self.backends.iam(account_id).instance_profiles.values())

    # Reads

    def get_role(self, call: Call) -> str:
        role = self.role(call)
        # GetRole omits empty tags, but always returns `RoleLastUsed`.
        tags = shapes.tag_list(role.tags) if role.tags else ""
        more = f"{shapes.boundary(role)}{tags}{shapes.last_used(role)}{shapes.source_template(role)}"
        return f"<Role>{shapes.listed_role(role)}{more}</Role>"

    def list_roles(self, call: Call) -> str:
        part, more = page(call, _below(call, self.roles(call.account_id)), shapes.by_name)
        return f"{shapes.shown('Roles', map(shapes.listed_role, part))}{more}"

    def list_role_tags(self, call: Call) -> str:
        return _tag_page(call, self.role(call).tags)

    def get_instance_profile(self, call: Call) -> str:
        profile = self.profile(call)
        # GetInstanceProfile also returns empty tags.
        return f"<InstanceProfile>{shapes.bare_profile(profile)}{shapes.tag_list(profile.tags)}</InstanceProfile>"

    def list_instance_profiles(self, call: Call) -> str:
        part, more = page(call, _below(call, self.profiles(call.account_id)), shapes.by_name)
        return f"{shapes.shown('InstanceProfiles', map(shapes.bare_profile, part))}{more}"

    def list_instance_profiles_for_role(self, call: Call) -> str:
        role = self.role(call)
        held = [profile for profile in self.profiles(call.account_id) if role in profile.roles]
        part, more = page(call, sorted(held, key=shapes.by_name), shapes.by_name)
        return f"{shapes.shown('InstanceProfiles', map(shapes.bare_profile, part))}{more}"

    def list_instance_profile_tags(self, call: Call) -> str:
        return _tag_page(call, self.profile(call).tags)

    def list_role_policies(self, call: Call) -> str:
        part, more = page(call, sorted(self.role(call).policies), str)
        return f"<PolicyNames>{''.join(text('member', name) for name in part)}</PolicyNames>{more}"

    def list_attached_role_policies(self, call: Call) -> str:
        attached = _below(call, list(self.role(call).managed_policies.values()))
        part, more = page(call, sorted(attached, key=shapes.by_name_and_arn), shapes.by_name_and_arn)
        return f"{shapes.shown('AttachedPolicies', map(shapes.policy_name, part))}{more}"

    def get_role_policy(self, call: Call) -> str:
        role, name = self.role(call), checks.required(call, "PolicyName")
        document = quote(_inline(role, name))
        return f"{text('RoleName', role.name)}{text('PolicyName', name)}{text('PolicyDocument', document)}"

    def get_account_authorization_details(self, call: Call) -> str:
        wanted = set(values(call.params, "Filter"))
        found = ((kind, item) for kind, items in self._details(call, wanted) for item in items)
        entries = sorted(((f"{kind} {shapes.by_name_and_arn(item)}", item) for kind, item in found), key=itemgetter(0))
        part, more = page(call, entries, itemgetter(0))
        # GetAccountAuthorizationDetails leaves out empty profiles.
        held: dict[str, list[Any]] = {}
        for profile in sorted(self.profiles(call.account_id), key=shapes.by_name):
            for role in profile.roles:
                held.setdefault(role.id, []).append(profile)
        tagger = self.backends.iam(call.account_id).tagger
        show: dict[str, Callable[[Any], str]] = {
            "UserDetailList": lambda user: shapes.user_detail(user, tagger.list_tags_for_resource(user.arn)["Tags"]),
            "GroupDetailList": shapes.group_detail,
            "RoleDetailList": lambda role: shapes.role_detail(role, held.get(role.id, [])),
            "Policies": shapes.policy_detail,
        }
        return (
            "".join(
                shapes.shown(kind, (detail(item) for key, item in part if key.partition(" ")[0] == kind))
                for kind, detail in show.items()
            )
            + more
        )

    def _details(self, call: Call, wanted: set[str]) -> Iterator[tuple[str, list[Any]]]:
        backend = self.backends.iam(call.account_id)
        policies = list(backend.managed_policies.values())
        kinds = {
            "User": ("UserDetailList", list(backend.users.values())),
            "Group": ("GroupDetailList", list(backend.groups.values())),
            "Role": ("RoleDetailList", self.roles(call.account_id)),
            "LocalManagedPolicy": ("Policies", [policy for policy in policies if "::aws:" not in policy.arn]),
            "AWSManagedPolicy": ("Policies", [policy for policy in policies if "::aws:" in policy.arn]),
        }
        for name, kind in kinds.items():
            if not wanted or name in wanted:
                yield kind

    # Writes

    def create_role(self, call: Call) -> str:
        name = checks.checked_name(call, "RoleName", 64)
        path = checks.checked_path(call)
        trust = checks.checked_trust(checks.required(call, "AssumeRolePolicyDocument"))
        tags = checks.checked_tags(call, fold=True)
        boundary = self._checked_boundary(call) if "PermissionsBoundary" in call.params else None
        _check_free(self.roles(call.account_id), name, f"Role with name {name}", "RolesPerAccount")
        backend = self.backends.iam(call.account_id)
        duration, description = call.params.get("MaxSessionDuration", "3600"), call.params.get("Description", "")
        role = backend.create_role(name, trust, path, boundary, description, tags, duration)
        # CreateRole returns neither description nor session duration.
        shown = shapes.tag_list(tags) if tags else ""
        return f"<Role>{shapes.bare_role(role)}{shapes.boundary(role)}{shown}</Role>"

    def create_service_linked_role(self, call: Call) -> str:
        from moto.iam.exceptions import EntityAlreadyExists

        service = checks.required(call, "AWSServiceName")
        description, suffix = call.params.get("Description", ""), call.params.get("CustomSuffix", "")
        try:
            role = self.backends.iam(call.account_id).create_service_linked_role(service, description, suffix)
        except EntityAlreadyExists:
            message = f"The service-linked role of {service} has been taken in this account, try a different suffix."
            raise Refusal("InvalidInput", message) from None
        return f"<Role>{shapes.bare_role(role)}</Role>"

    def update_role(self, call: Call) -> str:
        role = self.role(call)
        role.description = call.params.get("Description", role.description)
        role.max_session_duration = call.params.get("MaxSessionDuration", role.max_session_duration)
        return ""

    def update_role_description(self, call: Call) -> str:
        role = self.role(call)
        role.description = call.params.get("Description", "")
        return f"<Role>{shapes.bare_role(role)}{text('Description', role.description)}</Role>"

    def update_assume_role_policy(self, call: Call) -> None:
        self.role(call).assume_role_policy_document = checks.checked_trust(checks.required(call, "PolicyDocument"))

    def delete_role(self, call: Call) -> None:
        role = self.role(call)
        if any(role in profile.roles for profile in self.profiles(call.account_id)):
            raise Refusal("DeleteConflict", _IN_PROFILE, 409)
        if role.managed_policies:
            raise Refusal("DeleteConflict", "Cannot delete entity, must detach all policies first.", 409)
        if role.policies:
            raise Refusal("DeleteConflict", "Cannot delete entity, must delete policies first.", 409)
        del self.backends.iam(call.account_id).roles[role.id]

    def tag_role(self, call: Call) -> None:
        """A new tag replaces an old tag whose key differs only in case."""
        role, tags = self.role(call), checks.checked_tags(call, fold=True)
        role.tags = checks.merged_tags(role.tags, tags, fold=True, quota="TagsPerRole")

    def untag_role(self, call: Call) -> None:
        role, keys = self.role(call), {key.lower() for key in checks.checked_tag_keys(call)}
        role.tags = [tag for tag in role.tags if tag["Key"].lower() not in keys]

    def create_instance_profile(self, call: Call) -> str:
        name = checks.checked_name(call, "InstanceProfileName", 128)
        path, tags = checks.checked_path(call), checks.checked_tags(call, fold=False)
        _check_free(self.profiles(call.account_id), name, f"Instance Profile {name}", "InstanceProfilesPerAccount")
        profile = self.backends.iam(call.account_id).create_instance_profile(name, path, [], tags)
        profile.id = new_id("AIPA")
        if tags:
            self.ever_tagged.add(profile.id)
        return (
            f"<InstanceProfile>{shapes.bare_profile(profile)}{shapes.tag_list(tags) if tags else ''}</InstanceProfile>"
        )

    def delete_instance_profile(self, call: Call) -> None:
        profile = self.profile(call)
        if profile.roles:
            raise Refusal("DeleteConflict", _IN_PROFILE, 409)
        del self.backends.iam(call.account_id).instance_profiles[profile.name]

    def add_role_to_instance_profile(self, call: Call) -> None:
        profile, role = self.profile(call), self.role(call)
        if profile.roles:
            raise Refusal("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1", 409)
        profile.roles = [role]

    def remove_role_from_instance_profile(self, call: Call) -> None:
        profile, role = self.profile(call), self.role(call)
        if role not in profile.roles:
            message = f"Role {role.name} in Instance Profile {profile.name} cannot be found."
            raise Refusal("NoSuchEntity", message, 404)
        profile.roles = []

    def tag_instance_profile(self, call: Call) -> None:
        """A profile can have two tag keys that differ only in case."""
        profile, tags = self.profile(call), checks.checked_tags(call, fold=False)
        profile.tags = checks.merged_tags(profile.tags, tags, fold=False, quota="TagsPerInstanceProfile")
        if tags:
            self.ever_tagged.add(profile.id)

    def untag_instance_profile(self, call: Call) -> None:
        profile, keys = self.profile(call), checks.checked_tag_keys(call)
        profile.tags = [tag for tag in profile.tags if tag["Key"] not in keys]

    def put_role_permissions_boundary(self, call: Call) -> None:
        role = self.role(call)
        role.permissions_boundary_arn = self._checked_boundary(call)

    def _checked_boundary(self, call: Call) -> str:
        arn = checks.required(call, "PermissionsBoundary")
        if ":policy/" not in arn:
            raise Refusal("InvalidInput", f"ARN {arn} is not valid.")
        if "::aws:policy/" not in arn and arn not in self.backends.iam(call.account_id).managed_policies:
            raise Refusal("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.", 404)
        return arn

    def attach_role_policy(self, call: Call) -> None:
        role, arn = self.role(call), _policy_arn(call)
        backend = self.backends.iam(call.account_id)
        policy = backend.managed_policies.get(arn)
        if policy is None and "::aws:policy/" in arn:
            policy = backend.managed_policies.setdefault(arn, self._aws_policy(call.account_id, arn))
        if policy is None:
            raise Refusal("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", 404)
        if arn not in role.managed_policies:
            policy.attach_to(role)

    def _aws_policy(self, account_id: str, arn: str) -> Any:
        from moto.iam.models import AWSManagedPolicy

        path, _, name = arn.partition(":policy")[2].rpartition("/")
        made = "2020-01-01T00:00:00+00:00"
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        data = {"Path": f"{path}/", "DefaultVersionId": "v1", "Document": document, "CreateDate": made}
        return AWSManagedPolicy.from_data(name, account_id, self.backends.partition, data | {"UpdateDate": made})

    def detach_role_policy(self, call: Call) -> None:
        role, arn = self.role(call), _policy_arn(call)
        if arn not in role.managed_policies:
            raise Refusal("NoSuchEntity", f"Policy {arn} was not found.", 404)
        role.managed_policies[arn].detach_from(role)

    def delete_role_policy(self, call: Call) -> None:
        role, name = self.role(call), checks.required(call, "PolicyName")
        _inline(role, name)
        del role.policies[name]


def same_name(one: str, other: str) -> bool:
    """In an account, no two profiles (or roles) have names that differ only in case.

    AWS does not document whether lookups by name ignore case. In a practice account, lookups of roles and profiles
    ignore case.
    """
    return one.lower() == other.lower()


def new_id(prefix: str) -> str:
    letters = string.ascii_uppercase + "234567"
    return prefix + "".join(secrets.choice(letters) for _ in range(17))


def _of_name(items: list[Any], name: str) -> Any:
    exact = next((item for item in items if item.name == name), None)
    return exact or next((item for item in items if same_name(item.name, name)), None)


def _check_free(there: Iterable[Any], name: str, who: str, quota: str) -> None:
    names = [item.name for item in there]
    if any(same_name(one, name) for one in names):
        raise Refusal("EntityAlreadyExists", f"{who} already exists.", 409)
    if len(names) >= QUOTA:
        raise Refusal("LimitExceeded", f"Cannot exceed quota for {quota}: {QUOTA}", 409)


def _policy_arn(call: Call) -> str:
    arn = checks.required(call, "PolicyArn")
    if not arn.startswith("arn:") or ":policy/" not in arn:
        raise Refusal("ValidationError", f"ARN {arn} is not valid.")
    return arn


def _inline(role: Any, name: str) -> str:
    if name not in role.policies:
        raise Refusal("NoSuchEntity", f"The role policy with name {name} cannot be found.", 404)
    document: str = role.policies[name]
    return document


def _below(call: Call, items: list[Any]) -> list[Any]:
    prefix = checks.checked_prefix(call)
    return sorted((item for item in items if item.path.startswith(prefix)), key=shapes.by_name)


def _tag_page(call: Call, tags: list[dict[str, str]]) -> str:
    part, more = page(call, sorted(tags, key=shapes.by_key), shapes.by_key)
    return shapes.tag_list(part) + more


def now() -> datetime:
    # moto's times have no time zone.
    return datetime.now(UTC).replace(tzinfo=None)


_Handler = Callable[[Iam, Call], str | None]
_READS: dict[str, _Handler] = {
    "GetRole": Iam.get_role,
    "ListRoles": Iam.list_roles,
    "ListRoleTags": Iam.list_role_tags,
    "GetInstanceProfile": Iam.get_instance_profile,
    "ListInstanceProfiles": Iam.list_instance_profiles,
    "ListInstanceProfilesForRole": Iam.list_instance_profiles_for_role,
    "ListInstanceProfileTags": Iam.list_instance_profile_tags,
    "ListRolePolicies": Iam.list_role_policies,
    "ListAttachedRolePolicies": Iam.list_attached_role_policies,
    "GetRolePolicy": Iam.get_role_policy,
    "GetAccountAuthorizationDetails": Iam.get_account_authorization_details,
}
_WRITES: dict[str, _Handler] = {
    "CreateRole": Iam.create_role,
    "CreateServiceLinkedRole": Iam.create_service_linked_role,
    "UpdateRole": Iam.update_role,
    "UpdateRoleDescription": Iam.update_role_description,
    "UpdateAssumeRolePolicy": Iam.update_assume_role_policy,
    "DeleteRole": Iam.delete_role,
    "TagRole": Iam.tag_role,
    "UntagRole": Iam.untag_role,
    "CreateInstanceProfile": Iam.create_instance_profile,
    "DeleteInstanceProfile": Iam.delete_instance_profile,
    "AddRoleToInstanceProfile": Iam.add_role_to_instance_profile,
    "RemoveRoleFromInstanceProfile": Iam.remove_role_from_instance_profile,
    "TagInstanceProfile": Iam.tag_instance_profile,
    "UntagInstanceProfile": Iam.untag_instance_profile,
    "PutRolePermissionsBoundary": Iam.put_role_permissions_boundary,
    "AttachRolePolicy": Iam.attach_role_policy,
    "DetachRolePolicy": Iam.detach_role_policy,
    "DeleteRolePolicy": Iam.delete_role_policy,
}
