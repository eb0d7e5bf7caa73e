"""Profiles whose cluster, environment or stack is gone, and those that are not accused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from accounts import add, found, load, status
from builders import ACCOUNT, identity, nested_role, profile, profile_list, tag_list
from builders import load as load_documents
from owned import (
    CLUSTERS,
    GONE,
    REGIONS,
    add_clusters,
    end_stack,
    karpenter_tags,
    profiles,
    region_of,
    start_cluster,
    start_environment,
    start_stack,
)

import iamframe
from iamframe.practice import PracticeAccount

CHECK = "owner_gone"


@pytest.fixture(scope="module")
def clusters() -> Iterator[PracticeAccount]:
    with PracticeAccount(regions=REGIONS) as account:
        add_clusters(account)
        yield account
        account.allow()


def clusters_in(inventory: iamframe.Inventory) -> set[str]:
    return {name.partition("_")[0] for name in found(inventory, CHECK)}


@pytest.mark.parametrize("denied", [None, *REGIONS])
def test_exactly_the_profiles_of_gone_clusters_are_found_in_the_regions_that_were_read(
    clusters: PracticeAccount, denied: str | None
) -> None:
    clusters.allow()
    if denied:
        clusters.deny("eks:ListClusters", f"*:{denied}:*")
    inventory = load(clusters, references="core")
    assert len(GONE) == 10
    assert clusters_in(inventory) == {name for name in GONE if region_of(name) != denied}
    assert status(inventory, CHECK) == ("partial" if denied else "complete")
