"""Divide lists into pages, which are linked by opaque markers."""

from __future__ import annotations

import base64
import binascii
import json
from bisect import bisect_right
from collections.abc import Callable
from typing import TypeVar

from iamframe.practice.calls import Call, Refusal, text

T = TypeVar("T")


def page(call: Call, items: list[T], key: Callable[[T], str]) -> tuple[list[T], str]:
    part, marker = cut(items, key, max_items(call), call.params.get("Marker"), call.action)
    if marker is None:
        return part, "<IsTruncated>false</IsTruncated>"
    return part, f"<IsTruncated>true</IsTruncated>{text('Marker', marker)}"


def cut(
    items: list[T], key: Callable[[T], str], size: int, marker: str | None, purpose: str
) -> tuple[list[T], str | None]:
    # A marker contains the last key of a page. A new or deleted item does not shift the next page.
    start = bisect_right(items, _read(marker, purpose), key=key) if marker is not None else 0
    part = items[start : start + size]
    more = start + size < len(items)
    return part, _write(purpose, key(part[-1])) if more and part else None


def max_items(call: Call) -> int:
    asked = call.params.get("MaxItems", "100")
    size = int(asked) if asked.isdecimal() else 0
    if not 1 <= size <= 1000:
        side = "less than or equal to 1000" if size else "greater than or equal to 1"
        raise Refusal(
            "ValidationError",
            f"1 validation error detected: Value '{asked}' at 'maxItems' failed to satisfy constraint: Member must "
            f"have value {side}",
        )
    return size


def _write(purpose: str, after: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([purpose, after]).encode()).decode()


def _read(marker: str, purpose: str) -> str:
    try:
        read = json.loads(base64.urlsafe_b64decode(marker.encode()))
    except (ValueError, binascii.Error):
        read = None
    if not isinstance(read, list) or len(read) != 2 or read[0] != purpose or not isinstance(read[1], str):
        raise Refusal("ValidationError", "Invalid Marker.")
    return read[1]
