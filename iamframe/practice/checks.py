"""Validate names, paths, tags and trust policies, with IAM's own error messages."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence

from iamframe.practice.calls import Call, Refusal, members, values

_NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)
_PATH = re.compile(r"/|/[!-\x7f]+/")
_TAG = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]"
_TRUST_ACTIONS = re.compile(
    r"sts:(AssumeRole(WithSAML|WithWebIdentity)?|TagSession|SetSourceIdentity|\*)", re.IGNORECASE
)


def violated(where: str, constraint: str) -> Refusal:
    return Refusal(
        "ValidationError", f"1 validation error detected: Value at '{where}' failed to satisfy constraint: {constraint}"
    )


def required(call: Call, name: str) -> str:
    if not call.params.get(name):
        where = name[0].lower() + name[1:]
        raise violated(where, "Member must not be null")
    return call.params[name]


def checked_name(call: Call, parameter: str, longest: int) -> str:
    name = required(call, parameter)
    where = parameter[0].lower() + parameter[1:]
    if len(name) > longest:
        raise violated(where, f"Member must have length less than or equal to {longest}")
    if not _NAME.fullmatch(name):
        raise Refusal(
            "ValidationError",
            f"The specified value for {where} is invalid. It must contain only alphanumeric characters and/or the "
            "following: +=,.@_-",
        )
    return name


def checked_path(call: Call) -> str:
    path = call.params.get("Path", "/")
    if len(path) > 512:
        raise violated("path", "Member must have length less than or equal to 512")
    if not _PATH.fullmatch(path):
        raise Refusal(
            "ValidationError",
            "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric "
            "characters and/or / characters.",
        )
    return path


def checked_prefix(call: Call) -> str:
    prefix = call.params.get("PathPrefix") or "/"
    if not prefix.startswith("/") or len(prefix) > 512:
        raise Refusal("ValidationError", "The specified value for pathPrefix is invalid. It must begin with /.")
    return prefix


def checked_tags(call: Call, *, fold: bool) -> list[dict[str, str]]:
    tags = [{"Key": tag.get("Key", ""), "Value": tag.get("Value", "")} for tag in members(call.params, "Tags")]
    return check_tags(tags, fold=fold)


def check_tags(tags: list[dict[str, str]], *, fold: bool) -> list[dict[str, str]]:
    if len(tags) > 50:
        raise violated("tags", "Member must have length less than or equal to 50")
    seen = set()
    for number, tag in enumerate(tags, 1):
        _check_text(tag["Key"], f"tags.{number}.member.key", 128, "+")
        _check_text(tag["Value"], f"tags.{number}.member.value", 256, "*")
        key = tag["Key"].lower() if fold else tag["Key"]
        if key in seen:
            raise Refusal("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
        seen.add(key)
        if tag["Key"].lower().startswith("aws:") or tag["Value"].lower().startswith("aws:"):
            raise Refusal("InvalidInput", "The prefix aws: is reserved for tags that AWS itself writes.")
    return tags


def _check_text(value: str, where: str, longest: int, sign: str) -> None:
    if len(value) > longest:
        raise violated(where, f"Member must have length less than or equal to {longest}")
    if sign == "+" and not value:
        raise violated(where, "Member must have length greater than or equal to 1")
    if not _is_tag_text(value):
        raise violated(where, f"Member must satisfy regular expression pattern: {_TAG}{sign}")


def _is_tag_text(value: str) -> bool:
    return all(sign in "_.:/=+-@" or unicodedata.category(sign)[0] in "LZN" for sign in value)


def checked_tag_keys(call: Call) -> list[str]:
    keys = values(call.params, "TagKeys")
    if len(keys) > 50:
        raise violated("tagKeys", "Member must have length less than or equal to 50")
    if any(not key or len(key) > 128 or not _is_tag_text(key) for key in keys):
        raise violated(
            "tagKeys",
            "Member must satisfy constraint: [Member must have length less than or equal to 128, Member "
            "must have length greater than or equal to 1, Member must satisfy regular expression pattern: "
            f"{_TAG}+, Member must not be null]",
        )
    return keys


def merged_tags(
    old: Sequence[Mapping[str, str]], new: Sequence[Mapping[str, str]], *, fold: bool, quota: str
) -> list[dict[str, str]]:
    kept = {(tag["Key"].lower() if fold else tag["Key"]): dict(tag) for tag in old}
    for tag in new:
        kept[tag["Key"].lower() if fold else tag["Key"]] = dict(tag)
    if len(kept) > 50:
        raise Refusal("LimitExceeded", f"Cannot exceed quota for {quota}: 50", 409)
    return list(kept.values())


def checked_trust(document: str) -> str:
    try:
        read = json.loads(document)
    except ValueError:
        raise Refusal("MalformedPolicyDocument", "This policy contains invalid Json") from None
    statements = read.get("Statement", []) if isinstance(read, dict) else []
    for statement in statements if isinstance(statements, list) else [statements]:
        if not isinstance(statement, dict):
            raise Refusal("MalformedPolicyDocument", "Syntax errors in policy.")
        for name in ("Resource", "NotResource", "NotPrincipal"):
            if name in statement:
                raise Refusal("MalformedPolicyDocument", f"Has prohibited field {name}")
        actions = statement.get("Action", [])
        for action in [actions] if isinstance(actions, str) else actions:
            if not _TRUST_ACTIONS.fullmatch(str(action)):
                raise Refusal("MalformedPolicyDocument", "AssumeRole policy may only specify STS AssumeRole actions.")
    if not statements:
        raise Refusal("MalformedPolicyDocument", "Syntax errors in policy.")
    return document
