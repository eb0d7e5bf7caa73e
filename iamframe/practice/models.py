"""Load botocore's service models, and find the action names of REST requests."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

# The services whose model has another name than their requests are signed with.
_MODELS = {"bedrock-agentcore": "bedrock-agentcore-control"}
_PARAMETER = re.compile(r"\{[^}]+\}")


@cache
def models() -> Any:
    from botocore.loaders import create_loader

    # Loading the models is the slowest part of a test.
    return create_loader()


def rest_action(service: str, method: str, path: str) -> str:
    for verb, pattern, name in _operations(service):
        if verb == method and pattern.fullmatch(path.rstrip("/") or "/"):
            return name
    return ""


@cache
def _operations(service: str) -> list[tuple[str, re.Pattern[str], str]]:
    from botocore.exceptions import UnknownServiceError

    try:
        described: dict[str, Any] = models().load_service_model(_MODELS.get(service, service), "service-2")[
            "operations"
        ]
    except UnknownServiceError:
        return []
    found = []
    for name, operation in described.items():
        uri = operation["http"]["requestUri"].partition("?")[0].rstrip("/") or "/"
        parts = [re.escape(part) for part in _PARAMETER.split(uri)]
        found.append((operation["http"]["method"], re.compile("[^/]+".join(parts)), name))
    # Paths without parameters come first: `/clusters/all` is not the cluster "all".
    return sorted(found, key=lambda one: one[1].pattern.count("[^/]+"))
