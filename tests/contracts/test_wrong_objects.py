"""What is given the wrong object says in one sentence what to pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from builders import sample_result

import iamframe
from iamframe.errors import IamframeError, WrongObjectError


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda _: iamframe.run_checks("sample"), "run_checks takes Inventory, not str"),
        (iamframe.run_checks, "run_checks takes Inventory, not Result"),
        (lambda found: iamframe.plan(found.inventory), "plan takes Result, not Inventory"),
        (lambda found: iamframe.write_report(found.inventory, "out"), "write_report takes Result, not Inventory"),
        (lambda found: iamframe.explain(found.findings, "web"), "explain takes Inventory or Result, not DataFrame"),
        (lambda found: iamframe.compare(found, "older/"), "compare takes Inventory or Result, not str"),
        (lambda found: iamframe.drift(found.findings), "drift takes Inventory or Result, not DataFrame"),
        (iamframe.pairs, "pairs takes Inventory, not Result"),
        (iamframe.tag_coverage, "tag_coverage takes Inventory, not Result"),
        (iamframe.missing_permissions, "missing_permissions takes Inventory, not Result"),
        (iamframe.blind_spots, "blind_spots takes Inventory, not Result"),
        (iamframe.blind_spot_counts, "blind_spot_counts takes Inventory, not Result"),
        (lambda found: iamframe.findings_by_owner(found.inventory), "findings_by_owner takes Result, not Inventory"),
        (iamframe.plots.plot_age, "plot_age takes Inventory, not Result"),
        (iamframe.plots.plot_last_use, "plot_last_use takes Inventory, not Result"),
        (iamframe.plots.plot_ladder, "plot_ladder takes Inventory, not Result"),
        (iamframe.plots.plot_tag_coverage, "plot_tag_coverage takes Inventory, not Result"),
        (
            lambda found: iamframe.plots.plot_profile_use(found.inventory),
            "plot_profile_use takes Result, not Inventory",
        ),
        (
            lambda found: iamframe.plots.plot_name_relations(found.inventory),
            "plot_name_relations takes Result, not Inventory",
        ),
        (lambda _: iamframe.explore(None), "explore takes Inventory or Result, not NoneType"),
    ],
)
def test_the_wrong_object_is_refused_with_what_to_pass_instead(call: Callable[[Any], object], says: str) -> None:
    with pytest.raises(IamframeError) as refused:
        call(sample_result())
    assert str(refused.value).startswith(f"{says}: pass what `iamframe.")
    assert isinstance(refused.value, TypeError)


def test_what_is_no_session_is_refused_with_what_to_pass_instead() -> None:
    with pytest.raises(WrongObjectError) as refused:
        iamframe.load_account("aws:audit")  # type: ignore[arg-type]
    assert str(refused.value) == (
        'load_account takes a boto3 session, not str: pass boto3.Session(), or call iamframe.load("aws:CLI_PROFILE")'
    )
