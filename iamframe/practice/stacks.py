"""How a practice account answers the CloudFormation calls ListStacks and DescribeStackResources."""

from __future__ import annotations

from typing import Any

from iamframe.practice.backends import Backends
from iamframe.practice.calls import Answer, Call, Refusal, query_answer, text, values
from iamframe.practice.pages import cut
from iamframe.practice.shapes import moment, shown

# AWS does not document the size of a page.
PAGE = 100


class Stacks:
    def __init__(self, backends: Backends) -> None:
        self.backends = backends

    def answer(self, call: Call) -> Answer:
        if call.action == "ListStacks":
            return query_answer(call, self._list(call))
        if call.action == "DescribeStackResources" and "PhysicalResourceId" in call.params:
            return query_answer(call, self._of_resource(call))
        return self.backends.ask(call)

    def _stacks(self, call: Call) -> list[Any]:
        # AWS shows deleted stacks for 90 days.
        held = self.backends.cloudformation(call.account_id, call.region)
        return [*held.stacks.values(), *held.deleted_stacks.values()]

    def _list(self, call: Call) -> str:
        wanted = values(call.params, "StackStatusFilter")
        stacks = [stack for stack in self._stacks(call) if not wanted or stack.status in wanted]
        stacks.sort(key=lambda stack: str(stack.stack_id))
        part, token = cut(stacks, lambda stack: str(stack.stack_id), PAGE, call.params.get("NextToken"), call.action)
        return shown("StackSummaries", map(_summary, part)) + (text("NextToken", token) if token else "")

    def _of_resource(self, call: Call) -> str:
        wanted = call.params["PhysicalResourceId"]
        for stack in self._stacks(call):
            # For a deleted stack, moto keeps the retained resources.
            kept = stack.resource_map._parsed_resources  # noqa: SLF001 - moto's own view fails on deleted ones
            resources = {name: one for name, one in kept.items() if hasattr(one, "physical_resource_id")}
            if any(one.physical_resource_id == wanted for one in resources.values()):
                return shown("StackResources", (_resource(stack, *item) for item in resources.items()))
        raise Refusal("ValidationError", f"Stack for {wanted} does not exist")


def _summary(stack: Any) -> str:
    fields = (("StackId", stack.stack_id), ("StackName", stack.name), ("StackStatus", stack.status))
    return "".join(text(*field) for field in fields) + text("CreationTime", moment(stack.creation_time))


def _resource(stack: Any, name: str, resource: Any) -> str:
    fields = (
        ("StackId", stack.stack_id),
        ("StackName", stack.name),
        ("LogicalResourceId", name),
        ("PhysicalResourceId", resource.physical_resource_id),
        ("ResourceType", resource.cloudformation_type()),
        ("ResourceStatus", "DELETE_SKIPPED" if stack.status == "DELETE_COMPLETE" else stack.status),
    )
    return "".join(text(*field) for field in fields) + text("Timestamp", moment(stack.creation_time))
