"""How a practice account answers EC2 calls about profiles, regions, spot requests and launch templates.

moto lacks some EC2 calls, and answers other EC2 calls incompletely.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from typing import Any
from xml.etree import ElementTree as ET

from iamframe.practice.backends import Backends
from iamframe.practice.calls import Answer, Call, Refusal, ec2_answer, members, text, values
from iamframe.practice.iam import same_name
from iamframe.practice.organization import Regions
from iamframe.practice.pages import cut

_SPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
_ASSOCIATION_ID = re.compile(rb"(<id>)(iip-assoc-[^<]+)(</id>)")
_CUT_LISTS = {
    "DescribeLaunchTemplates": ("launchTemplates", 200),
    "DescribeLaunchTemplateVersions": ("launchTemplateVersionSet", 200),
}


class Ec2:
    def __init__(self, backends: Backends, regions: Regions) -> None:
        self.backends, self.regions = backends, regions
        # The profile of each spot request, which moto does not keep.
        self._spot: dict[str, dict[str, str]] = {}

    def answer(self, call: Call) -> Answer:
        own = _OWN.get(call.action)
        if own:
            with self.backends.lock:
                return own(self, call)
        answer = self.backends.ask(call)
        return answer if call.action.startswith("Describe") else self._settled(call, answer)

    def _store_profile_ids(self, account_id: str, region: str) -> dict[str, str]:
        # moto shows an association id in place of the profile id. On AWS, an instance keeps the id of its deleted
        # profile. A new profile with the same name does not change the profile id of the instance.
        started = {}
        for association in self.backends.ec2(account_id, region).iam_instance_profile_associations.values():
            profile = association.iam_instance_profile
            started[association.association_id] = profile.id
            association.instance.iam_instance_profile = {"Arn": profile.arn, "Id": profile.id}
        return started

    def profile_of(self, account_id: str, region: str, instance_id: str) -> Any:
        associations = self.backends.ec2(account_id, region).iam_instance_profile_associations.values()
        held = {one.iam_instance_profile.id for one in associations if one.instance_id == instance_id}
        profiles = self.backends.iam(account_id).instance_profiles.values()
        return next((profile for profile in profiles if profile.id in held), None)

    def settle_groups(self, account_id: str, region: str) -> None:
        """Give the instances of a simulated Auto Scaling group the profile in the group's launch template."""
        from moto.autoscaling.models import autoscaling_backends

        backend = self.backends.ec2(account_id, region)
        profiles = self.backends.iam(account_id).instance_profiles.values()
        for group in autoscaling_backends[account_id][region].autoscaling_groups.values():
            if group.ec2_launch_template is not None:
                version = group.ec2_launch_template.get_version(group.launch_template_version)
                named = set((version.data.get("IamInstanceProfile") or {}).values())
            else:
                named = {group.launch_config.iam_instance_profile} if group.launch_config else set()
            for profile in [one for one in profiles if any(_is_called(one, given) for given in named if given)]:
                for state in group.instance_states:
                    if state.instance.id not in backend.iam_instance_profile_associations:
                        backend.associate_iam_instance_profile(state.instance.id, profile.name)
        self._store_profile_ids(account_id, region)

    def _settled(self, call: Call, answer: Answer) -> Answer:
        started = self._store_profile_ids(call.account_id, call.region)

        def replaced(match: re.Match[bytes]) -> bytes:
            return match[1] + started.get(match[2].decode(), match[2].decode()).encode() + match[3]

        return replace(answer, body=_ASSOCIATION_ID.sub(replaced, answer.body))

    def describe_regions(self, call: Call) -> Answer:
        states = dict.fromkeys(self.regions.enabled, "opt-in-not-required")
        if call.params.get("AllRegions") == "true":
            states |= dict.fromkeys(self.regions.disabled, "not-opted-in")
        named, filters = values(call.params, "RegionName"), _filters(call)
        for name in named:
            if name not in [*self.regions.enabled, *self.regions.disabled]:
                raise Refusal("InvalidParameterValue", f"Invalid region names provided: {name}")
        found = [
            text("regionName", name) + text("regionEndpoint", f"ec2.{name}.amazonaws.com") + text("optInStatus", state)
            for name, state in sorted(states.items())
            if (not named or name in named)
            and name in filters.get("region-name", [name])
            and state in filters.get("opt-in-status", [state])
        ]
        return ec2_answer(call, f"<regionInfo>{''.join(f'<item>{item}</item>' for item in found)}</regionInfo>")

    def run_instances(self, call: Call) -> Answer:
        profile = self._profile(call)
        answer = self._settled(call, self.backends.ask(call, **_in_iam_spelling(call, profile)))
        return answer if profile is None or answer.status != 200 else self._give_profile_to_all(call, answer, profile)

    def _give_profile_to_all(self, call: Call, answer: Answer, profile: Any) -> Answer:
        backend = self.backends.ec2(call.account_id, call.region)
        root = _tree(answer)
        # moto gives the profile only to the first instance. moto ignores the profile in a launch template.
        for item in root.iterfind(f"{{{_SPACE}}}instancesSet/{{{_SPACE}}}item"):
            identity = item.findtext(f"{{{_SPACE}}}instanceId")
            if identity in backend.iam_instance_profile_associations:
                continue
            backend.associate_iam_instance_profile(identity, profile.name)
            _add_profile(item, {"arn": profile.arn, "id": profile.id})
        self._store_profile_ids(call.account_id, call.region)
        return replace(answer, body=ET.tostring(root, default_namespace=_SPACE))

    def associate(self, call: Call) -> Answer:
        profile = self._profile(call)
        return self._settled(call, self.backends.ask(call, **_in_iam_spelling(call, profile)))

    def _profile(self, call: Call) -> Any:
        prefix = "IamInstanceProfile."
        name, arn = call.params.get(f"{prefix}Name"), call.params.get(f"{prefix}Arn")
        if not (name or arn):
            named = self._of_template(call)
            name, arn = named.get("Name"), named.get("Arn")
        if not (name or arn):
            return None
        for profile in list(self.backends.iam(call.account_id).instance_profiles.values()):
            if any(_is_called(profile, given) for given in (name, arn) if given):
                if not profile.roles:
                    message = f'IAM Instance Profile "{profile.arn}" has no associated IAM Roles'
                    raise Refusal("InvalidParameterValue", message)
                return profile
        kind, value = ("name", name) if name else ("ARN", arn)
        raise Refusal(
            "InvalidParameterValue",
            f"Value ({value}) for parameter iamInstanceProfile.{kind.lower()} is invalid. "
            f"Invalid IAM Instance Profile {kind}",
        )

    def _of_template(self, call: Call) -> dict[str, str]:
        identity = call.params.get("LaunchTemplate.LaunchTemplateId")
        backend = self.backends.ec2(call.account_id, call.region)
        if not identity:
            identity = backend.launch_template_name_to_ids.get(call.params.get("LaunchTemplate.LaunchTemplateName"))
        template = backend.launch_templates.get(identity)
        if template is None:
            return {}
        version = template.get_version(call.params.get("LaunchTemplate.Version", "$Default"))
        named: dict[str, str] = version.data.get("IamInstanceProfile") or {}
        return named

    def describe_instances(self, call: Call) -> Answer:
        token = call.params.get("NextToken")
        if token and token not in self.backends.ec2(call.account_id, call.region).reservations:
            raise Refusal("InvalidParameterValue", "Unable to parse pagination token")
        numbers = [
            number
            for number, one in _numbered_filters(call).items()
            if one[0] in ("iam-instance-profile.arn", "iam-instance-profile.id")
        ]
        # For moto, filters by profile become filters by instance id.
        changed: dict[str, str | None] = {}
        for number in numbers:
            name, wanted = _numbered_filters(call)[number]
            field = name.rpartition(".")[2].capitalize()
            found = [identity for identity, one in self._with_profile(call).items() if one[field] in wanted] or [
                "i-00000000000000000"
            ]
            changed |= {key: None for key in call.params if key.startswith(f"Filter.{number}.")}
            changed[f"Filter.{number}.Name"] = "instance-id"
            changed |= {f"Filter.{number}.Value.{place}": identity for place, identity in enumerate(found, 1)}
        return self.backends.ask(call, **changed)

    def _with_profile(self, call: Call) -> dict[str, dict[str, str]]:
        backend = self.backends.ec2(call.account_id, call.region)
        return {one.id: one.iam_instance_profile for one in backend.all_instances() if one.iam_instance_profile}

    def request_spot(self, call: Call) -> Answer:
        names = {"Name": "name", "Arn": "arn"}
        prefix = "LaunchSpecification.IamInstanceProfile."
        given = {names[name]: call.params[prefix + name] for name in names if prefix + name in call.params}
        answer = self.backends.ask(call)
        for identity in re.findall(rb"<spotInstanceRequestId>([^<]+)<", answer.body):
            self._spot[identity.decode()] = given
        return self._with_spot_profiles(answer)

    def describe_spot(self, call: Call) -> Answer:
        return self._with_spot_profiles(self.backends.ask(call))

    def _with_spot_profiles(self, answer: Answer) -> Answer:
        if answer.status != 200:
            return answer
        root = _tree(answer)
        for item in root.iterfind(f"{{{_SPACE}}}spotInstanceRequestSet/{{{_SPACE}}}item"):
            named = self._spot.get(item.findtext(f"{{{_SPACE}}}spotInstanceRequestId") or "")
            specification = item.find(f"{{{_SPACE}}}launchSpecification")
            if named and specification is not None:
                _add_profile(specification, named)
        return replace(answer, body=ET.tostring(root, default_namespace=_SPACE))

    def request_fleet(self, call: Call) -> Answer:
        config = "SpotFleetRequestConfig"
        # moto needs an allocation strategy and the ARN of the profile.
        changed: dict[str, str | None] = {}
        if f"{config}.AllocationStrategy" not in call.params:
            changed[f"{config}.AllocationStrategy"] = "lowestPrice"
        for key, name in call.params.items():
            if key.startswith(config) and key.endswith(".IamInstanceProfile.Name"):
                profiles = self.backends.iam(call.account_id).instance_profiles.values()
                found = next((one for one in profiles if same_name(one.name, name)), None)
                if found:
                    changed |= {key: None, f"{key.removesuffix('Name')}Arn": found.arn}
        return self._settled(call, self.backends.ask(call, **changed))

    def describe_associations(self, call: Call) -> Answer:
        wanted, filters = values(call.params, "AssociationId"), _filters(call)
        backend = self.backends.ec2(call.account_id, call.region)
        found = [
            one
            for one in backend.iam_instance_profile_associations.values()
            if (not wanted or one.association_id in wanted)
            and one.instance_id in filters.get("instance-id", [one.instance_id])
            and one.state in filters.get("state", [one.state])
        ]
        by_id = attrgetter("association_id")
        part, token = _cut(call, sorted(found, key=by_id), by_id, 1000)
        items = "".join(f"<item>{_association(one)}</item>" for one in part)
        end = text("nextToken", token) if token else ""
        return ec2_answer(call, f"<iamInstanceProfileAssociationSet>{items}</iamInstanceProfileAssociationSet>{end}")

    def cut_list(self, call: Call) -> Answer:
        name, most = _CUT_LISTS[call.action]
        # moto loses rows between pages.
        answer = self.backends.ask(call, MaxResults="100000", NextToken=None)
        if answer.status != 200:
            return answer
        root = _tree(answer)
        items = sorted(root.iterfind(f"{{{_SPACE}}}{name}/{{{_SPACE}}}item"), key=_template_key)
        part, token = _cut(call, items, _template_key, most)
        inner = "".join(ET.tostring(item, encoding="unicode", default_namespace=_SPACE) for item in part)
        return ec2_answer(call, f"<{name}>{inner}</{name}>{text('nextToken', token) if token else ''}")


def _is_called(profile: Any, named: str) -> bool:
    return same_name(profile.name, named) or same_name(profile.arn, named)


def _in_iam_spelling(call: Call, profile: Any) -> dict[str, str]:
    # moto compares names and ARNs case-sensitively.
    spelled = {"IamInstanceProfile.Name": profile.name, "IamInstanceProfile.Arn": profile.arn} if profile else {}
    return {key: value for key, value in spelled.items() if key in call.params}


def _tree(answer: Answer) -> ET.Element:
    # moto leaves out the slash at the end of the namespace.
    space = _SPACE.encode()
    return ET.fromstring(answer.body.replace(b'"' + space[:-1] + b'"', b'"' + space + b'"'))  # noqa: S314


def _template_key(item: ET.Element) -> str:
    version = item.findtext(f"{{{_SPACE}}}versionNumber") or ""
    return f"{item.findtext(f'{{{_SPACE}}}launchTemplateName')} {version:>08}"


def _add_profile(item: ET.Element, named: dict[str, str]) -> None:
    held = ET.SubElement(item, f"{{{_SPACE}}}iamInstanceProfile")
    for name, value in named.items():
        ET.SubElement(held, f"{{{_SPACE}}}{name}").text = value


def _cut(call: Call, items: list[Any], key: Callable[[Any], str], most: int) -> tuple[list[Any], str | None]:
    size = int(call.params.get("MaxResults", most))
    if not 1 <= size <= most:
        message = f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value between 1 and {most}."
        raise Refusal("InvalidParameterValue", message)
    try:
        return cut(items, key, size, call.params.get("NextToken"), call.action)
    except Refusal:
        raise Refusal("InvalidParameterValue", "Unable to parse pagination token") from None


def _filters(call: Call) -> dict[str, list[str]]:
    return dict(_numbered_filters(call).values())


def _numbered_filters(call: Call) -> dict[int, tuple[str, list[str]]]:
    return {
        number: (one.get("Name", ""), [value for key, value in one.items() if key.startswith("Value")])
        for number, one in enumerate(members(call.params, "Filter"), 1)
    }


def _association(one: Any) -> str:
    profile = text("arn", one.iam_instance_profile.arn) + text("id", one.iam_instance_profile.id)
    return (
        f"{text('associationId', one.association_id)}{text('instanceId', one.instance_id)}"
        f"<iamInstanceProfile>{profile}</iamInstanceProfile>{text('state', one.state)}"
    )


_OWN: dict[str, Callable[[Ec2, Call], Answer]] = {
    "DescribeRegions": Ec2.describe_regions,
    "RunInstances": Ec2.run_instances,
    "AssociateIamInstanceProfile": Ec2.associate,
    "ReplaceIamInstanceProfileAssociation": Ec2.associate,
    "DescribeInstances": Ec2.describe_instances,
    "RequestSpotInstances": Ec2.request_spot,
    "DescribeSpotInstanceRequests": Ec2.describe_spot,
    "RequestSpotFleet": Ec2.request_fleet,
    "DescribeIamInstanceProfileAssociations": Ec2.describe_associations,
    "DescribeLaunchTemplates": Ec2.cut_list,
    "DescribeLaunchTemplateVersions": Ec2.cut_list,
}
