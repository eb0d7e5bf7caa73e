"""How a practice account answers calls to the Resource Groups Tagging API about roles and profiles.

As in AWS, GetResources returns profiles, but no roles, and TagResources accepts profiles and roles. For resources of
other services, moto answers.
"""

from __future__ import annotations

import json
from dataclasses import replace
from operator import itemgetter
from typing import Any

from iamframe.practice.calls import Answer, Call, Refusal, json_answer
from iamframe.practice.checks import check_tags, merged_tags
from iamframe.practice.iam import Iam
from iamframe.practice.organization import Organization
from iamframe.practice.pages import cut

# The region whose index has a partition's IAM resources; in other regions it is empty, without an error.
HOMES = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}

# AWS does not document the size of a page of required tags.
REQUIRED_PAGE = 100


class Tagging:
    def __init__(self, iam: Iam, organization: Organization) -> None:
        self.iam, self.organization = iam, organization
        self.home = HOMES[iam.backends.partition]

    def answer(self, call: Call) -> Answer:
        if call.action == "GetResources" and _asks_for_iam(call):
            return json_answer(call, self._get_resources(call))
        if call.action == "ListRequiredTags":
            return json_answer(call, self._list_required_tags(call))
        arns = call.json.get("ResourceARNList", [])
        if call.action in ("TagResources", "UntagResources") and any(":iam:" in arn for arn in arns):
            if not 1 <= len(arns) <= 20:
                raise Refusal("InvalidParameterException", "ResourceARNList must have between 1 and 20 items")
            with self.iam.backends.lock:
                failed = {arn: reason for arn in arns if (reason := self._write(call, arn))}
            return json_answer(call, {"FailedResourcesMap": failed})
        return self.iam.backends.ask(call)

    def _list_required_tags(self, call: Call) -> dict[str, Any]:
        every = self.organization.required_tags(call.account_id)
        size = call.json.get("MaxResults") or REQUIRED_PAGE
        try:
            part, token = cut(every, itemgetter("ResourceType"), size, call.json.get("NextToken"), "ListRequiredTags")
        except Refusal:
            raise Refusal("PaginationTokenExpiredException", "The pagination token is not valid") from None
        return {"RequiredTags": part} | ({"NextToken": token} if token else {})

    def _get_resources(self, call: Call) -> dict[str, Any]:
        asked, arns = call.json, call.json.get("ResourceARNList")
        others = {"TagFilters", "ResourceTypeFilters", "ResourcesPerPage", "TagsPerPage", "PaginationToken"}
        if arns and others & {name for name, value in asked.items() if value}:
            message = "ResourceARNList cannot be used together with filters or paging"
            raise Refusal("InvalidParameterException", message)
        size = asked.get("ResourcesPerPage", 100)
        if not 1 <= size <= 100:
            raise Refusal("InvalidParameterException", "ResourcesPerPage must be between 1 and 100")
        profiles = [] if call.region != self.home else self.iam.profiles(call.account_id)
        wanted = self._of_other_services(call) + [
            {"ResourceARN": profile.arn, "Tags": list(profile.tags)}
            for profile in profiles
            if profile.id in self.iam.ever_tagged
            and (not arns or profile.arn in arns)
            and _is_wanted_kind(call)
            and _passes(profile.tags, asked.get("TagFilters", []))
        ]
        try:
            by_arn = itemgetter("ResourceARN")
            wanted.sort(key=by_arn)
            part, token = cut(wanted, by_arn, size, asked.get("PaginationToken") or None, "GetResources")
        except Refusal:
            raise Refusal("PaginationTokenExpiredException", "The pagination token is not valid") from None
        return {"ResourceTagMappingList": part, "PaginationToken": token or ""}

    def _of_other_services(self, call: Call) -> list[dict[str, Any]]:
        kinds = call.json.get("ResourceTypeFilters", [])
        if kinds and all(kind.partition(":")[0] == "iam" for kind in kinds):
            return []
        names = ("TagFilters", "ResourceTypeFilters", "ResourceARNList")
        asked = {name: call.json[name] for name in names if call.json.get(name)} | {"TagsPerPage": 500}
        found, token = [], ""
        while True:
            body = json.dumps(asked | ({"PaginationToken": token} if token else {})).encode()
            answer = json.loads(self.iam.backends.ask(replace(call, body=body)).body)
            found += [one for one in answer["ResourceTagMappingList"] if ":iam:" not in one["ResourceARN"]]
            token = answer.get("PaginationToken")
            if not token:
                return found

    def _write(self, call: Call, arn: str) -> dict[str, Any] | None:
        kind, _, rest = arn.rpartition(":")[2].partition("/")
        name = rest.rpartition("/")[2]
        try:
            if call.region != self.home or kind not in ("role", "instance-profile"):
                raise Refusal("InvalidParameterException", f"{arn} cannot be tagged in {call.region}")
            found = self.iam.role(call, name) if kind == "role" else self.iam.profile(call, name)
            if found.arn != arn:
                raise Refusal("InvalidParameterException", f"{arn} was not found")
            fold = kind == "role"
            if call.action == "TagResources":
                given = [{"Key": key, "Value": value} for key, value in call.json.get("Tags", {}).items()]
                found.tags = merged_tags(found.tags, check_tags(given, fold=fold), fold=fold, quota="TagsPerResource")
                if kind == "instance-profile":
                    self.iam.ever_tagged.add(found.id)
            else:
                keys = {_folded(key, fold=fold) for key in call.json.get("TagKeys", [])}
                found.tags = [tag for tag in found.tags if _folded(tag["Key"], fold=fold) not in keys]
        except Refusal as refusal:
            return {"StatusCode": refusal.status, "ErrorCode": refusal.code, "ErrorMessage": refusal.message}
        return None


def _folded(key: str, *, fold: bool) -> str:
    return key.lower() if fold else key


def _asks_for_iam(call: Call) -> bool:
    kinds = call.json.get("ResourceTypeFilters", [])
    return not kinds or any(kind in ("iam", "iam:instance-profile", "iam:role") for kind in kinds)


def _is_wanted_kind(call: Call) -> bool:
    kinds = call.json.get("ResourceTypeFilters", [])
    return not kinds or "iam" in kinds or "iam:instance-profile" in kinds


def _passes(tags: list[dict[str, str]], filters: list[dict[str, Any]]) -> bool:
    has = {tag["Key"]: tag["Value"] for tag in tags}
    return all(
        asked.get("Key") in has and (not asked.get("Values") or has[asked["Key"]] in asked["Values"])
        for asked in filters
    )
