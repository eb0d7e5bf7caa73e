"""How a practice account answers calls to AWS Organizations and Account Management."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from typing import Any

from iamframe.practice.backends import Backends
from iamframe.practice.calls import Answer, Call, Refusal, json_answer
from iamframe.practice.iam import now
from iamframe.practice.pages import cut


@dataclass
class Member:
    id: str
    name: str
    status: str


@dataclass
class Regions:
    enabled: list[str]
    disabled: list[str] = field(default_factory=list)

    def disable(self, name: str) -> None:
        if name in self.enabled:
            self.enabled.remove(name)
        if name not in self.disabled:
            self.disabled.append(name)


class Organization:
    def __init__(self, backends: Backends, account_id: str) -> None:
        self.backends = backends
        self.members = [Member(account_id, "management", "ACTIVE")]
        # The effective tag policy of each account that has one.
        self.tag_policies: dict[str, dict[str, Any]] = {}
        self._began = now().timestamp()

    def answer(self, call: Call) -> Answer:
        manager = self.members[0].id
        if len(self.members) == 1:
            message = "Your account is not a member of an organization."
            raise Refusal("AWSOrganizationsNotInUseException", message)
        if call.action == "DescribeOrganization":
            return json_answer(call, {"Organization": self._describe()})
        if call.action == "DescribeEffectivePolicy":
            return json_answer(call, {"EffectivePolicy": self._effective_policy(call)})
        if call.account_id != manager:
            raise Refusal("AccessDeniedException", "You don't have permissions to access this resource.")
        if call.action == "ListAccounts":
            return json_answer(call, self._list_accounts(call))
        if call.action == "DescribeAccount":
            wanted = call.json.get("AccountId")
            for member in self.members:
                if member.id == wanted:
                    return json_answer(call, {"Account": self._account(member)})
            message = "You specified an account that doesn't exist."
            raise Refusal("AccountNotFoundException", message)
        raise Refusal("UnsupportedAPIEndpointException", f"{call.action} is not part of this practice account")

    def _effective_policy(self, call: Call) -> dict[str, Any]:
        kind, target = call.json.get("PolicyType"), call.json.get("TargetId", call.account_id)
        if not kind:
            raise Refusal("InvalidInputException", "You specified an invalid value. PolicyType must not be null.")
        # Member accounts can read only their own policy (Organizations API Reference, DescribeEffectivePolicy).
        if target != call.account_id and call.account_id != self.members[0].id:
            raise Refusal("AccessDeniedException", "You don't have permissions to access this resource.")
        if target not in [member.id for member in self.members]:
            raise Refusal("TargetNotFoundException", "You specified a target that doesn't exist.")
        if kind != "TAG_POLICY" or target not in self.tag_policies:
            raise Refusal("EffectivePolicyNotFoundException", "You specified a target without an effective policy.")
        content = json.dumps(self.tag_policies[target])
        return {"PolicyContent": content, "LastUpdatedTimestamp": self._began, "TargetId": target, "PolicyType": kind}

    def required_tags(self, account_id: str) -> list[dict[str, Any]]:
        keys: dict[str, list[str]] = {}
        for name, tag in self.tag_policies.get(account_id, {}).get("tags", {}).items():
            for kind in tag.get("report_required_tag_for", []):
                for one in _IAM_TYPES if kind == "iam:ALL_SUPPORTED" else (kind,):
                    keys.setdefault(one, []).append(tag.get("tag_key", name.lower()))
        return [{"ResourceType": kind, "ReportingTagKeys": keys[kind]} for kind in sorted(keys)]

    def _list_accounts(self, call: Call) -> dict[str, Any]:
        size = call.json.get("MaxResults", 20)
        if not 1 <= size <= 20:
            raise Refusal("InvalidInputException", "You specified an invalid value. MaxResults must be 1 to 20.")
        try:
            ordered = sorted(self.members, key=attrgetter("id"))
            part, token = cut(ordered, attrgetter("id"), size, call.json.get("NextToken"), "ListAccounts")
        except Refusal:
            raise Refusal("InvalidInputException", "You provided an invalid pagination token.") from None
        found: dict[str, Any] = {"Accounts": [self._account(member) for member in part]}
        return found | ({"NextToken": token} if token else {})

    def _account(self, member: Member) -> dict[str, Any]:
        manager = self.members[0].id
        return {
            "Id": member.id,
            "Arn": f"arn:{self.backends.partition}:organizations::{manager}:account/o-practice00/{member.id}",
            "Email": f"{member.id}@example.com",
            "Name": member.name,
            "Status": member.status,
            "State": member.status,
            "JoinedMethod": "INVITED" if member.id == manager else "CREATED",
            "JoinedTimestamp": self._began,
        }

    def _describe(self) -> dict[str, Any]:
        manager, partition = self.members[0].id, self.backends.partition
        return {
            "Id": "o-practice00",
            "Arn": f"arn:{partition}:organizations::{manager}:organization/o-practice00",
            "FeatureSet": "ALL",
            "MasterAccountArn": f"arn:{partition}:organizations::{manager}:account/o-practice00/{manager}",
            "MasterAccountId": manager,
            "MasterAccountEmail": f"{manager}@example.com",
        }


# The types of IAM's resources that can need a tag, as far as tools that read such policies map them.
_IAM_TYPES = ("iam:instance-profile", "iam:role")


def list_regions(call: Call, regions: Regions) -> Answer:
    states = dict.fromkeys(regions.enabled, "ENABLED_BY_DEFAULT") | dict.fromkeys(regions.disabled, "DISABLED")
    wanted = call.json.get("RegionOptStatusContains") or list(states.values())
    found = [{"RegionName": name, "RegionOptStatus": state} for name, state in states.items() if state in wanted]
    size = call.json.get("MaxResults", 50)
    if not 1 <= size <= 50:
        raise Refusal("ValidationException", "MaxResults must be between 1 and 50")
    by_name = itemgetter("RegionName")
    part, token = cut(sorted(found, key=by_name), by_name, size, call.json.get("NextToken"), "ListRegions")
    return json_answer(call, {"Regions": part} | ({"NextToken": token} if token else {}))
