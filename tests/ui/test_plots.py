"""Pictures show what is there, hatch what is unknown, and take every text for a text."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from builders import (
    ACCOUNT,
    dump,
    empty_account,
    identity,
    load,
    nested_role,
    profile,
    profile_list,
    role_detail,
    sample_result,
    tag_list,
    trust,
)
from terraform import plan, plan_resource

import iamframe
from iamframe import run_checks
from iamframe.errors import MissingExtraError
from iamframe.inventory.build import build_inventory
from iamframe.inventory.inventory import Inventory
from iamframe.report import page
from iamframe.report.numbers import most_used_keys, numbers_of, tags
from iamframe.ui.drawing import HEAT
from iamframe.ui.plots import (
    plot_age,
    plot_ladder,
    plot_last_use,
    plot_name_relations,
    plot_profile_use,
    plot_quota_use,
    plot_surfaces,
    plot_tag_coverage,
)

if find_spec("matplotlib") is None:
    missing = "matplotlib is not installed"
    if os.environ.get("IAMFRAME_CI"):
        pytest.fail(missing)
    pytest.skip(missing, allow_module_level=True)

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

mpl.use("Agg")

OTHER = "000000000002"
UNKNOWN = "////"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = ["$x$", "_hidden", "<script>", "a\nb", "x" * 300, "\u202eevil", "שלום", "日本語"]
CLOUD9 = profile("AWSCloud9SSMInstanceProfile", nested_role("AWSCloud9SSMAccessRole", "/service-role/"), "/cloud9/")


def of_inventory(plot: Callable[..., Axes]) -> Callable[..., Axes]:
    return lambda inventory, ax=None: plot(inventory, ax)


def of_result(plot: Callable[..., Axes]) -> Callable[..., Axes]:
    return lambda inventory, ax=None: plot(run_checks(inventory), ax)


PLOTS = [
    pytest.param(draw(plot), id=plot.__name__)
    for draw, plot in (
        (of_result, plot_name_relations),
        (of_inventory, plot_tag_coverage),
        (of_result, plot_profile_use),
        (of_inventory, plot_quota_use),
        (of_inventory, plot_ladder),
        (of_inventory, plot_last_use),
        (of_inventory, plot_age),
    )
]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


def title(ax: Axes) -> str:
    return " ".join(ax.get_title(loc="left").split())


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def rows(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def columns(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_xticklabels()]


def bars(ax: Axes) -> dict[str, dict[str, float]]:
    """The widths of the bars by row and part, without those of no width."""
    found: dict[str, dict[str, float]] = {row: {} for row in rows(ax)}
    for part in ax.containers:
        for row, bar in zip(rows(ax), part, strict=True):
            if bar.get_width():
                found[row][str(part.get_label())] = bar.get_width()
    return found


def hatches(ax: Axes) -> dict[str, str | None]:
    return {str(part.get_label()): part[0].get_hatch() for part in ax.containers}


def drawn(ax: Axes, tmp_path: Path) -> Axes:
    """The axes, after a real drawing; a warning of it is an error."""
    ax.figure.savefig(tmp_path / "picture.png", dpi=50)
    return ax


def account(*roles: dict[str, Any], name: str = "shop", profiles: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    documents = {"d.json": dump(*roles), "i.json": identity(), "a.json": {"AccountAliases": [name]}}
    return documents | {"p.json": profile_list(*profiles)} if profiles else documents


def tagged_profile(name: str, tags: dict[str, str], **more: Any) -> dict[str, Any]:
    """The output of get-instance-profile, which carries tags."""
    return {"InstanceProfile": profile(name, nested_role(name), **more) | {"Tags": tag_list(tags)}}


def with_profiles_unread(inventory: Inventory) -> Inventory:
    """The inventory, with nothing known of what its profiles hold and carry."""
    profiles = inventory.profiles.assign(role_known=False, tags_known=False)
    return Inventory(**inventory.frames | {"profiles": profiles})


# Names


def test_links_are_counted_by_how_their_names_relate(tmp_path: Path) -> None:
    names = [("web", "web"), ("Web", "web-2"), ("api", "API"), ("job-role", "job-profile"), ("green", "blue")]
    documents = {"p.json": profile_list(*[profile(p, nested_role(r)) for r, p in names], profile("empty"))}
    ax = drawn(plot_name_relations(run_checks(load(tmp_path, documents))), tmp_path)
    assert bars(ax) == {
        "same name": {"same name": 1},
        "case only": {"names differ": 1},
        "affix (-role, -profile …)": {"names differ": 2},
        "generated tail": {},
        "different names": {"names differ": 1},
        "profile without a role": {"no role": 1},
    }
    assert texts(ax) == ["1", "1", "2", "0", "1", "1"]
    assert title(ax) == "4 of 5 links have two names for no known reason 1 with the same name"


def test_names_that_their_maker_means_to_differ_stand_apart_in_texture_legend_and_number(tmp_path: Path) -> None:
    documents = {"p.json": profile_list(CLOUD9, *[profile(f"blue{n}", nested_role(f"green{n}")) for n in "abc"])}
    ax = plot_name_relations(run_checks(load(tmp_path, documents)))
    assert bars(ax)["different names"] == {"names differ": 3, "differ by design": 1}
    assert hatches(ax) == {"names differ": None, "differ by design": ".."}
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["names differ", "differ by design"]
    assert {"3", "1", "4"} <= set(texts(ax))
    assert title(ax) == "3 of 4 links have two names for no known reason 1 by design; 0 with the same name"


def test_a_part_too_thin_for_its_number_is_told_behind_its_bar(tmp_path: Path) -> None:
    documents = {"p.json": profile_list(CLOUD9, *[profile(f"blue{n}", nested_role(f"green{n}")) for n in range(40)])}
    ax = plot_name_relations(run_checks(load(tmp_path, documents)))
    assert "41 (differ by design: 1)" in texts(ax)


def test_profiles_whose_role_was_not_read_are_hatched_and_not_called_empty(tmp_path: Path) -> None:
    ax = plot_name_relations(run_checks(with_profiles_unread(load(tmp_path, {"p.json": profile_list(profile("x"))}))))
    assert bars(ax)["profile, role not collected"] == {"not collected": 1}
    assert "profile without a role" not in rows(ax)
    assert hatches(ax) == {"not collected": UNKNOWN}


def test_links_of_which_a_name_was_not_read_are_hatched_and_counted_apart(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"p.json": profile_list(profile("web", nested_role("web")))})
    nameless = Inventory(**inventory.frames | {"roles": inventory.roles.assign(role_name=np.nan)})
    ax = plot_name_relations(run_checks(nameless))
    assert bars(ax)["a name not collected"] == {"not collected": 1}
    assert title(ax).endswith("1 with a name not collected; 0 with the same name")


def test_a_profile_whose_name_a_plan_does_not_know_yet_holds_its_role_on_plots_and_page(tmp_path: Path) -> None:
    web = "aws_iam_instance_profile.web"
    planned = plan(plan_resource(web, {"path": "/", "role": "web"}), unknown={web: {"name": True, "arn": True}})
    result = run_checks(load(tmp_path, {f"{ACCOUNT}/plan.json": planned}))
    assert bars(plot_profile_use(result)) == {ACCOUNT: {"references not checked": 1}}
    assert bars(plot_name_relations(result))["a name not collected"] == {"not collected": 1}
    html = page.render_page(result)
    assert "No links were collected." not in html
    assert re.search('unknown .a name was not collected.<td.*?<span class="bar w100 unknown">', html)
    assert re.search('holds no role">not listed<td[^>]*references not checked">1', html)


# Tags


def test_each_side_of_an_account_has_its_percentages_and_what_they_are_of(tmp_path: Path) -> None:
    roles = [role_detail(f"r{n}", tags={"Owner": "ops"} if n < 3 else {"Team": "a"}) for n in range(4)]
    documents = account(*roles) | {"g.json": tagged_profile("web", {"Owner": "ops"})}
    ax = drawn(plot_tag_coverage(load(tmp_path, documents)), tmp_path)
    assert columns(ax) == ["Owner", "Team"]
    # The profile shows one role more, of which no file has the tags.
    assert rows(ax) == [f"shop ({ACCOUNT})  roles n=4, 1 not collected", "profiles n=1"]
    assert texts(ax) == ["75", "25", "100", "0"]
    assert title(ax).startswith(
        "0 of 1 profiles and 0 of 4 roles have no tags Percent with each tag key; tags of 1 not"
    )


def test_accounts_stand_worst_first_and_one_without_any_tag_is_the_worst(tmp_path: Path) -> None:
    documents = {
        f"{ACCOUNT}/d.json": dump(role_detail("a", tags={"Owner": "x"})),
        f"{OTHER}/d.json": dump(role_detail("b", account=OTHER)),
    }
    ax = plot_tag_coverage(load(tmp_path, documents))
    assert rows(ax) == [f"{OTHER}  roles n=1", f"{ACCOUNT}  roles n=1"]
    assert texts(ax) == ["0", "100"]


def test_where_no_tags_were_read_cells_are_hatched_and_say_unknown(tmp_path: Path) -> None:
    ax = drawn(plot_tag_coverage(load(tmp_path, {"p.json": profile_list(profile("web"))}), keys="Owner"), tmp_path)
    assert (rows(ax), columns(ax)) == ([f"{ACCOUNT}  profiles n=0, 1 not collected"], ["Owner"])
    assert texts(ax) == ["unknown"]
    assert [patch.get_hatch() for patch in ax.patches] == [UNKNOWN]


def test_without_a_key_in_use_the_picture_still_tells_none_from_unknown(tmp_path: Path) -> None:
    documents = account(role_detail("a"), profiles=(profile("web"),))
    ax = plot_tag_coverage(load(tmp_path, documents))
    assert columns(ax) == ["any key"]
    assert texts(ax) == ["0", "unknown"]


@pytest.mark.parametrize(("carrying", "shown"), [(1, "1"), (299, "99"), (300, "100")])
def test_a_few_are_not_rounded_to_none_nor_nearly_all_to_all(tmp_path: Path, carrying: int, shown: str) -> None:
    roles = [role_detail(f"r{n}", tags={"Owner": "x"} if n < carrying else {}) for n in range(300)]
    assert texts(plot_tag_coverage(load(tmp_path, account(*roles)))) == [shown]


def test_at_most_twelve_keys_and_thirty_accounts_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    ids = [f"{n:012d}" for n in range(1, 33)]
    tags = {f"key{n:02d}": "x" for n in range(14)}
    documents = {f"{i}.json": dump(role_detail("web", tags=tags, account=i)) for i in ids}
    ax = plot_tag_coverage(load(tmp_path, documents))
    assert (len(rows(ax)), len(columns(ax))) == (30, 12)
    assert "2 more accounts not shown" in title(ax).lower()
    assert "2 more less used keys not shown" in title(ax).lower()


def test_percentages_and_colours_are_those_of_the_page() -> None:
    """Half a percent is rounded up on both: 72.5 is 73."""
    result = sample_result()
    numbers = numbers_of(result)
    keys = most_used_keys(numbers.tag_keys)[:8]
    tagged = tags(numbers.tag_keys, numbers.tag_states, keys)
    ax = plot_tag_coverage(result.inventory, keys=keys)
    drawn = np.reshape([int(text) for text in texts(ax)], (len(rows(ax)), -1)).tolist()
    assert sorted(drawn) == sorted(one.percents for one in tagged)
    light = (Path(page.__file__).parent / "page.css").read_text("utf-8").partition("@media")[0]
    assert re.findall(r"--heat\d: (#\w+)", light) == [paper for paper, _ in HEAT[1:]]


def test_numbers_stand_out_from_their_cells() -> None:
    for paper, ink in HEAT:
        lights = sorted(luminance(mpl.colors.to_rgba(colour)) for colour in (paper, ink))
        assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5


def luminance(colour: Any) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3])
    return float(0.2126 * r + 0.7152 * g + 0.0722 * b)


# Profile use


def instance(name: str) -> dict[str, Any]:
    arn = f"arn:aws:iam::{ACCOUNT}:instance-profile/{name}"
    return {"InstanceId": f"i-{name}", "IamInstanceProfile": {"Arn": arn, "Id": f"AIPA{name.upper()}"}}


REFERENCES = {
    "instances.json": {"Reservations": [{"OwnerId": ACCOUNT, "Instances": [instance("used")]}]},
    "templates.json": {"LaunchTemplateVersions": []},
    "configurations.json": {"LaunchConfigurations": []},
    "groups.json": {"AutoScalingGroups": []},
    "fleets.json": {"Fleets": []},
    "spot.json": {"SpotFleetRequestConfigs": []},
}
PROFILES = profile_list(profile("used", nested_role("used")), profile("spare", nested_role("spare")), profile("empty"))


def test_profiles_are_parted_by_what_refers_to_them(tmp_path: Path) -> None:
    result = run_checks(load(tmp_path, {"p.json": PROFILES, "i.json": identity()} | REFERENCES))
    ax = drawn(plot_profile_use(result), tmp_path)
    parts = {"referenced": 1, "no reference found": 1, "empty": 1}
    assert bars(ax) == {ACCOUNT: parts}
    assert UNKNOWN not in hatches(ax).values()
    assert title(ax) == "Of 3 instance profiles, 1 without a reference and 1 without a role"


def test_where_references_were_not_read_linked_profiles_are_hatched_and_accused_of_nothing(tmp_path: Path) -> None:
    ax = plot_profile_use(run_checks(load(tmp_path, {"p.json": PROFILES})))
    assert bars(ax) == {ACCOUNT: {"empty": 1, "references not checked": 2}}
    assert hatches(ax)["references not checked"] == UNKNOWN
    assert "2 cannot be judged" in title(ax)


def test_without_the_check_of_references_nothing_is_called_unreferenced(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"p.json": PROFILES, "i.json": identity()} | REFERENCES)
    ax = plot_profile_use(run_checks(inventory, only=["empty_profiles"]))
    assert bars(ax) == {ACCOUNT: {"referenced": 1, "empty": 1, "references not checked": 1}}


def test_profiles_of_unknown_content_are_hatched(tmp_path: Path) -> None:
    unread = with_profiles_unread(load(tmp_path, {"p.json": profile_list(profile("web"))}))
    ax = plot_profile_use(run_checks(unread))
    assert (bars(ax), hatches(ax)) == ({ACCOUNT: {"role not collected": 1}}, {"role not collected": UNKNOWN})


def test_the_quota_is_parted_by_tool_and_owner_and_what_was_not_collected_is_hatched(tmp_path: Path) -> None:
    counts = {"Roles": 1, "RolesQuota": 10, "InstanceProfiles": 3, "InstanceProfilesQuota": 4}
    documents = {"p.json": profile_list(profile("web", nested_role("web")), profile("old"), NextToken="x")}
    documents |= {"i.json": identity(), "s.json": {"SummaryMap": counts}}
    documents["old.json"] = {"InstanceProfile": profile("old", Tags=[])}
    ax = drawn(plot_quota_use(load(tmp_path, documents)), tmp_path)
    row = f"{ACCOUNT} no known tool, 75% of the quota"
    assert {" ".join(name.split()): parts for name, parts in bars(ax).items()} == {
        row: {"no owner": 1, "tags not collected": 1, "not collected": 1}
    }
    assert UNKNOWN in hatches(ax)["not collected"]
    with pytest.raises(ValueError, match="use profiles or roles"):
        plot_quota_use(load(tmp_path, documents), resources="links")


def test_roles_that_aws_manages_fill_the_quota_too_and_owners_are_those_of_the_result(tmp_path: Path) -> None:
    service = role_detail("AWSServiceRoleForX", path="/aws-service-role/x.amazonaws.com/")
    documents = {"dump.json": dump(role_detail("web", tags={"Team": "a"}), service), "i.json": identity()}
    documents["s.json"] = {"SummaryMap": {"Roles": 2, "RolesQuota": 10}}
    ax = plot_quota_use(run_checks(load(tmp_path, documents), owner_tag="Team"), resources="roles")
    assert {" ".join(name.split()): parts for name, parts in bars(ax).items()} == {
        f"{ACCOUNT} no known tool, 20% of the quota": {"with an owner": 1, "managed by AWS": 1}
    }


def test_at_most_thirty_accounts_have_a_bar_those_with_empty_profiles_first(tmp_path: Path) -> None:
    ids = [f"{n:012d}" for n in range(1, 33)]
    documents = {f"{i}.json": profile_list(profile("web", nested_role("web", account=i), account=i)) for i in ids}
    documents["32.json"] = profile_list(profile("empty", account=ids[-1]))
    ax = plot_profile_use(run_checks(load(tmp_path, documents)))
    assert (len(rows(ax)), rows(ax)[0]) == (30, ids[-1])
    assert "2 more accounts not shown" in title(ax).lower()


# Ladder


def test_the_ladder_shows_only_what_is_not_one_to_one(tmp_path: Path) -> None:
    shared, lone = nested_role("shared"), role_detail("lone")
    documents = {
        "d.json": dump(lone, role_detail("lambda", policy=trust("lambda.amazonaws.com"))),
        "p.json": profile_list(
            profile("one", shared), profile("two", shared), profile("plain", nested_role("plain")), profile("empty")
        ),
    }
    ax = drawn(plot_ladder(load(tmp_path, documents)), tmp_path)
    assert rows(ax) == ["shared", "(no role)", "lone"]
    assert texts(ax) == ["one", "two", "empty", "(no profile)"]
    assert [list(line.get_xdata()) for line in ax.lines] == [[0, 1], [0, 1], [1], [0]]
    assert [list(line.get_ydata()) for line in ax.lines] == [[0.5, 0], [0.5, 1], [2], [3]]
    assert {line.get_linestyle() for line in ax.lines[:2]} == {"-"}
    assert title(ax).startswith("1 role in several profiles (2) 1 profile without a role 1 role for EC2 in no profile")


def test_a_profile_whose_role_was_not_read_hangs_on_a_dashed_line(tmp_path: Path) -> None:
    ax = plot_ladder(with_profiles_unread(load(tmp_path, {"p.json": profile_list(profile("web"))})))
    assert (rows(ax), texts(ax)) == (["(role not collected)"], ["web"])
    assert [line.get_linestyle() for line in ax.lines] == ["--"]
    assert "1 profile whose role was not collected (dashed)" in title(ax)


def test_a_name_that_was_not_read_is_said_to_be_so(tmp_path: Path) -> None:
    inventory = load(tmp_path, {"p.json": profile_list(profile("web"))})
    nameless = inventory.profiles.assign(profile_name=np.nan).astype({"profile_name": "str"})
    ax = plot_ladder(Inventory(**inventory.frames | {"profiles": nameless}))
    assert texts(ax) == ["(name not collected)"]


def test_the_ladder_has_no_more_rows_than_asked_for_and_says_how_many_more(tmp_path: Path) -> None:
    documents = {"p.json": profile_list(*[profile(f"p{n}") for n in range(5)])}
    ax = plot_ladder(load(tmp_path, documents), limit=2)
    assert texts(ax) == ["p0", "p1"]
    assert "3 more rows not shown" in title(ax)


def test_of_several_accounts_each_is_named_once_and_so_is_what_there_is_none_of(tmp_path: Path) -> None:
    documents = {
        f"{i}.json": profile_list(profile("a", account=i), profile("b", account=i)) for i in (ACCOUNT, OTHER)
    } | {"d.json": dump(role_detail("lone"), role_detail("only"))}
    ax = drawn(plot_ladder(load(tmp_path, documents)), tmp_path)
    assert texts(ax) == ["a", "b", "a", "b", "(no profile)", ACCOUNT, OTHER, ACCOUNT]
    assert rows(ax) == ["(no role)", "lone", "only"]
    assert [float(place) for place in ax.get_yticks()] == [1.5, 4, 5]


# Last use


def used(name: str, date: str | None, **more: Any) -> dict[str, Any]:
    last = {"LastUsedDate": f"{date}T12:00:00+00:00", "Region": "eu-west-1"} if date else {}
    return role_detail(name, **more) | {"RoleLastUsed": last}


def test_roles_fall_into_spans_of_days_back_from_the_given_time(tmp_path: Path) -> None:
    dates = ["2025-12-31", "2025-12-01", "2025-11-30", "2025-10-02", "2025-09-01", "2025-01-01", "2024-01-01", None]
    inventory = load(tmp_path, account(*[used(f"r{n}", date) for n, date in enumerate(dates)]))
    ax = drawn(plot_last_use(inventory, now=NOW), tmp_path)
    assert bars(ax) == {
        "30 days or less": {"used": 2},
        "31 to 90 days": {"used": 2},
        "91 to 180 days": {"used": 1},
        "181 to 400 days": {"used": 1},
        "no use in 400 days": {"no use": 2},
        "not collected": {},
    }
    assert texts(ax) == ["2", "2", "1", "1", "2", "0"]
    assert title(ax).startswith("2 of 8 roles had no use in 400 days, as of 2026-01-01")


def test_a_last_use_that_was_not_read_is_hatched_and_not_called_unused(tmp_path: Path) -> None:
    ax = plot_last_use(load(tmp_path, {"r.json": {"Roles": [nested_role("web")]}}), now=NOW)
    assert (bars(ax)["not collected"], bars(ax)["no use in 400 days"]) == ({"not collected": 1}, {})
    assert hatches(ax) == {"not collected": UNKNOWN}
    assert "Last use of 1 not collected" in title(ax)


def test_a_time_without_a_zone_is_utc_and_a_use_after_it_is_recent(tmp_path: Path) -> None:
    inventory = load(tmp_path, account(used("web", "2025-12-01"), used("api", "2026-01-02")))
    ax = plot_last_use(inventory, now=NOW.replace(hour=12, tzinfo=None))
    assert bars(ax)["30 days or less"] == {"used": 1}
    assert bars(ax)["31 to 90 days"] == {"used": 1}


def test_days_count_from_when_the_account_was_read_where_that_is_known(tmp_path: Path) -> None:
    inventory = load(tmp_path, account(used("web", "2019-12-31")))
    captured = np.array(["2020-01-01"], dtype="datetime64[us]")
    accounts = inventory.accounts.assign(captured_at=captured)
    accounts["captured_at"] = accounts["captured_at"].dt.tz_localize("UTC")
    ax = plot_last_use(Inventory(**inventory.frames | {"accounts": accounts}))
    assert bars(ax)["30 days or less"] == {"used": 1}
    assert "as of 2020-01-01" in title(ax)


def test_roles_that_aws_manages_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    managed = used("AWSServiceRoleForEC2", "2025-12-31", path="/aws-service-role/ec2.amazonaws.com/")
    inventory = load(tmp_path, account(used("web", "2025-12-31"), managed))
    for ax in (plot_last_use(inventory, now=NOW), plot_age(inventory)):
        assert sum(width for row in bars(ax).values() for width in row.values()) == 1
        assert "1 role that AWS manages left out" in title(ax)


# Age


def test_roles_and_profiles_are_counted_by_year_untagged_ones_apart(tmp_path: Path) -> None:
    documents = account(
        role_detail("old", tags={"Owner": "ops"}, CreateDate="2022-05-01T09:00:00Z"),
        role_detail("bare", CreateDate="2022-06-01T09:00:00Z"),
        role_detail("stack", tags={"aws:cloudformation:stack-name": "s"}, CreateDate="2024-06-01T09:00:00Z"),
        profiles=(profile("web", CreateDate="2024-05-01T09:00:00Z"),),
    )
    ax = drawn(plot_age(load(tmp_path, documents)), tmp_path)
    assert bars(ax) == {
        "2022  roles": {"tagged": 1, "untagged": 1},
        "2022  profiles": {},
        "2023  roles": {},
        "2023  profiles": {},
        "2024  roles": {"untagged": 1},
        "2024  profiles": {"tags not collected": 1},
    }
    assert hatches(ax) == {"tagged": None, "untagged": "xx", "tags not collected": UNKNOWN}
    assert title(ax).startswith("2 of 3 roles have no tags By year of creation; tags of 1 not collected")


def test_a_creation_that_was_not_read_is_hatched_in_a_row_of_its_own(tmp_path: Path) -> None:
    role = role_detail("web")
    del role["CreateDate"]
    ax = plot_age(load(tmp_path, account(role)))
    assert bars(ax) == {"not collected  roles": {"creation not collected": 1}, "not collected  profiles": {}}
    assert hatches(ax) == {"creation not collected": UNKNOWN}


def test_of_more_than_twenty_years_the_first_share_a_row(tmp_path: Path) -> None:
    years = (1990, 2005, 2006, 2024)
    roles = [role_detail(f"r{y}", CreateDate=f"{y}-05-01T09:00:00Z") for y in years]
    ax = plot_age(load(tmp_path, account(*roles)))
    assert len(rows(ax)) == 2 * 20
    assert bars(ax)["2005 or before  roles"] == {"untagged": 2}
    assert bars(ax)["2006  roles"] == {"untagged": 1}


# All of them


@pytest.mark.parametrize("plot", PLOTS)
def test_nothing_to_draw_is_said_in_words(plot: Callable[..., Axes], tmp_path: Path) -> None:
    (text,) = texts(drawn(plot(build_inventory([])), tmp_path))
    assert text.startswith("no ")
    assert " ".join(text.split()).endswith("in the collected data")


@pytest.mark.parametrize("plot", PLOTS)
def test_an_account_that_was_read_whole_and_has_nothing_has_none(plot: Callable[..., Axes]) -> None:
    (text,) = texts(plot(empty_account()))
    assert text.startswith("no ")
    assert "collected" not in text


@pytest.mark.parametrize("plot", PLOTS)
def test_a_plot_draws_on_the_axes_given_opens_no_figure_and_keeps_settings(
    plot: Callable[..., Axes], tmp_path: Path
) -> None:
    inventory, before = load(tmp_path, account(role_detail("web", [profile("web")]))), dict(mpl.rcParams)
    figure = mpl.figure.Figure()
    ax = figure.subplots()
    assert plot(inventory, ax) is ax
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("fonts", ["installed", "none but matplotlib's"])
def test_any_text_is_drawn_without_an_error_or_a_warning(
    plot: Callable[..., Axes], fonts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fonts != "installed":
        monkeypatch.setattr("iamframe.ui.drawing.FONTS", ())
    roles = [
        role_detail(f"{name}", [profile(f"{name}{n}") for n in "pq"], tags={name: "値"}, CreateDate="2024-05-01")
        for name in HOSTILE
    ]
    documents = account(*roles, name="$経理部$\n_本番", profiles=tuple(profile(name) for name in HOSTILE))
    drawn(plot(load(tmp_path, documents)), tmp_path)


def test_no_text_is_read_as_mathematics_or_vanishes(tmp_path: Path) -> None:
    names = ["$x$", "_hidden", "<script>", "a\nb", "\u202eevil"]
    documents = account(role_detail("web", tags=dict.fromkeys(names, "x")), name="$money$")
    ax = plot_tag_coverage(load(tmp_path, documents))
    assert sorted(columns(ax)) == sorted(["$x$", "_hidden", "<script>", "a\\u000ab", "\\u202eevil"])
    assert rows(ax) == [f"$money$ ({ACCOUNT})  roles n=1"]
    assert not any(label.get_parse_math() for label in [*ax.get_xticklabels(), *ax.get_yticklabels()])


def test_a_long_name_loses_its_middle(tmp_path: Path) -> None:
    name = "begin" + "x" * 300 + "end"
    (label,) = texts(plot_ladder(load(tmp_path, {"p.json": profile_list(profile(name))})))
    assert len(label) < 40
    assert (label[:5], label[-3:], "…" in label) == ("begin", "end", True)


def test_a_look_alike_key_is_told_from_the_real_one(tmp_path: Path) -> None:
    ax = plot_tag_coverage(load(tmp_path, account(role_detail("web", tags={"Owner": "a", "Οwner": "b"}))))
    assert columns(ax) == ["Owner", "Οwner [\\u039fwner]"]


def test_letters_that_no_font_has_are_spelled_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iamframe.ui.drawing.FONTS", ())
    (label,) = texts(plot_ladder(load(tmp_path, {"p.json": profile_list(profile("web日本"))})))
    assert label == "web\\u65e5\\u672c"


def test_a_font_that_has_the_letters_is_used_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Both fonts come with matplotlib, so that this holds on a machine without Japanese ones too.
    general, sans = (font_manager.get_font(font_manager.findfont(name)) for name in ("STIXGeneral", "DejaVu Sans"))
    letter = next(c for c in map(chr, sorted(general.get_charmap())) if c.isalpha() and not sans.get_char_index(ord(c)))
    monkeypatch.setattr("iamframe.ui.drawing.FONTS", ("No Such Font", "STIXGeneral"))
    ax = drawn(plot_ladder(load(tmp_path, {"p.json": profile_list(profile(f"web{letter}"))})), tmp_path)
    (text,) = ax.texts
    assert text.get_fontfamily() == ["sans-serif", "STIXGeneral"]
    assert text.get_text() == f"web{letter}"


def test_surfaces_are_drawn_as_cells_that_say_what_they_are_and_number_what_they_depend_on(tmp_path: Path) -> None:
    ax = drawn(plot_surfaces(), tmp_path)
    cells = {tuple(np.floor(text.get_position()).tolist()): text.get_text() for text in ax.texts}
    rows = [label.get_text() for label in ax.get_yticklabels()]
    of_profiles = [label.get_text() for label in ax.get_xticklabels()].index("profiles: read")
    said = {row: cells[of_profiles, place] for place, row in enumerate(rows)}
    assert said["IAM console"] == "no"
    assert said["IAM API"] == "yes"
    assert said["Tag Editor"] == "if (1)"
    assert said["Resource Explorer"] == "no"
    assert said["AWS Config"] == "unknown"
    condition = "only if us-east-1 is selected (in GovCloud: us-gov-west-1; AWS does not document the region for China)"
    assert f"(1) {condition}" in " ".join(ax.get_xlabel().split())


def test_of_surfaces_what_is_unknown_is_hatched_and_nothing_else(tmp_path: Path) -> None:
    ax = drawn(plot_surfaces(), tmp_path)
    hatched = {(patch.get_x(), patch.get_y()) for patch in ax.patches if patch.get_hatch() == UNKNOWN}
    unknown = {tuple(np.floor(t.get_position()).tolist()) for t in ax.texts if t.get_text() == "unknown"}
    assert hatched == unknown
    assert len(hatched) == 8
    # Other cells have no texture that their text would have to fight.
    assert {patch.get_hatch() for patch in ax.patches} == {UNKNOWN, None}
    assert title(ax) == "Only the IAM API always shows the tags of roles and of profiles"


def test_without_matplotlib_one_sentence_names_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib.font_manager", None)
    inventory = load(tmp_path, account(role_detail("web")))
    for plot in (plot_age, plot_ladder, plot_last_use, plot_tag_coverage):
        with pytest.raises(MissingExtraError, match=r'pip install "\.\[notebooks\]"') as error:
            plot(inventory)
        assert "\n" not in str(error.value)
    with pytest.raises(MissingExtraError):
        plot_surfaces()


def test_plots_are_there_on_first_use_and_matplotlib_with_the_first_picture() -> None:
    code = "import sys, iamframe; iamframe.plots.plot_age; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=Path(iamframe.__file__).parent.parent)


@pytest.mark.parametrize("plot", PLOTS)
def test_the_sample_is_drawn(plot: Callable[..., Axes], tmp_path: Path) -> None:
    ax = drawn(plot(iamframe.load_sample()), tmp_path)
    assert ax.texts
    assert title(ax)
