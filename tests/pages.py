"""What the tests of pages share: a browser that looks at one offline, and text that tries to be more than text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from builders import ACCOUNT, dump, identity, nested_role, profile, profile_list, role_detail, tag_list, trust
from playwright.sync_api import Browser, Page

from iamframe.inventory.export import unguarded

HOSTILE = {
    "script": "<script>window.pwned=1</script>",
    "image": '"><img src=x onerror=window.pwned=1>',
    "attribute": "' onmouseover='window.pwned=1' autofocus onfocus='window.pwned=1",
    "template": "{{7*7}}{% raw %}${7*7}",
    "end of style": "</style><script>window.pwned=1</script>",
    "end of comment": "--><svg onload=window.pwned=1>",
    "link": "javascript:window.pwned=1",
    "entity": "&lt;b&gt;&amp;#x3c;",
    "right to left": "\u202egnorw\u2066\u200fx\u2069",
    "line separator": "a\u2028b\u2029c",
    "dollars": "$x$ \\(x\\) $(touch x) `y`",
    "quotes": "'--\"; DROP",
    "invisible": "a\u3164b\u00a0c\ufeffd",
}
# How a tag's value with invisible letters is spelled out.
SPELLED = {"right to left": r"\u202egnorw\u2066\u200fx\u2069", "invisible": r"a\u3164b\u00a0c\ufeffd"}


def as_value(text: str, end: str = "") -> str:
    spelled = {HOSTILE[name]: text for name, text in SPELLED.items()}.get(text)
    return f"{text}{end} [{spelled}{end}]" if spelled else f"{text}{end}"


_DETAILS = """rows => rows.map(row => ({
    check: row.closest("section").querySelector("h2").id,
    name: row.previousElementSibling.cells[0].firstChild.textContent,
    ...Object.fromEntries(Array.from(row.querySelectorAll("dl > div"), part =>
        [part.querySelector("dt").textContent, part.querySelector("code").textContent])),
}))"""


@dataclass
class Opened:
    """A page, and what it did that it must not do."""

    page: Page
    requests: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def cells(self) -> set[str]:
        return set(self.page.eval_on_selector_all("td", "cells => cells.map(cell => cell.textContent)"))

    def text(self) -> str:
        return str(self.page.evaluate("document.body.textContent"))

    def rows_shown(self) -> list[str]:
        shown = (
            "rows => rows.filter(row => row.checkVisibility()).map(row => row.cells[0].firstChild.textContent.trim())"
        )
        return list(self.page.eval_on_selector_all("tr.finding", shown))

    def opened_rows(self) -> list[dict[str, str]]:
        """Open the details of every finding, and return what they say, by heading, with name and check."""
        self.page.eval_on_selector_all("tr.finding button", "buttons => buttons.forEach(button => button.click())")
        return list(self.page.eval_on_selector_all("tr.opened", _DETAILS))


# Pages that no test looks at now, by size: going to a file in one takes a third of the time of opening one.
_FREE: dict[tuple[int, int], Page] = {}


@contextmanager
def opened(browser: Browser, file: Path, width: int = 1280, height: int = 800) -> Iterator[Opened]:
    """Open a page from disk, with no network. A test that fails leaves its page to nobody."""
    if (page := _FREE.pop((width, height), None)) is None:
        context = browser.new_context(offline=True, viewport={"width": width, "height": height})
        context.set_default_timeout(5_000)
        page = context.new_page()
    it = Opened(page)
    noted = {
        "request": lambda request: it.requests.append(request.url),
        "console": lambda message: it.said.append(message.text),
        "pageerror": lambda error: it.said.append(str(error)),
        "dialog": lambda dialog: (it.said.append(dialog.message), dialog.dismiss()),
    }
    for event, note in noted.items():
        page.on(event, note)  # type: ignore[call-overload]
    page.goto(file.as_uri())
    yield it
    for event, note in noted.items():
        page.remove_listener(event, note)
    # Else the next test of the same file would find what was typed into it, and where it was scrolled to.
    page.set_content("")
    page.mouse.move(0, 0)
    page.emulate_media(media="null", reduced_motion="null", color_scheme="light")
    page.set_viewport_size({"width": width, "height": height})
    _FREE[width, height] = page


def complaints(page: Page, *schemes: Any) -> list[Any]:
    """What axe complains about on a wide and a narrow screen, in each scheme of colors."""
    every = ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]
    found = []
    for number, scheme in enumerate(schemes or ["light"]):
        # Schemes differ by their colors alone.
        options = {"runOnly": ["cat.color"] if number else every, "resultTypes": ["violations"]}
        for width in (1280, 390):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 800})
            told = Axe().run(page, options=options).response["violations"]
            found += [(scheme, width, one["id"], one["nodes"][0]["html"]) for one in told]
    return found


def table(page: Page, label: str) -> list[list[str]]:
    """The text of the cells of a table, row by row."""
    rows = page.get_by_role("group", name=f"Table: {label}", exact=True).locator("tbody tr")
    return list(rows.evaluate_all("rows => rows.map(row => Array.from(row.cells, cell => cell.innerText.trim()))"))


def hostile_documents(text: str) -> dict[str, Any]:
    """One account in which every field that reaches the page holds the text."""
    path, opener = f"/{text}/", trust(f"{text}.example")
    linked = profile(f"{text}-profile", nested_role(f"{text}-role", path), f"{path}x/")
    shut = profile(f"{text}-shut", nested_role(f"{text}-shut", path, policy=opener), path)
    role_tags = {text: f"{text}-value", f"{text}-only": ""}
    refused = io.StringIO(newline="")
    csv.writer(refused).writerows([["operation", "subject", "error_code"], ["ListRoleTags", text, f"{text}-code"]])
    return {
        "get-caller-identity.json": identity(),
        "list-account-aliases.json": {"AccountAliases": [text]},
        "get-account-authorization-details.json": dump(
            role_detail(f"{text}-role", [linked], role_tags, path=path, Description=text),
            role_detail(f"{text}-shut", [shut], path=path, policy=opener),
        ),
        "list-instance-profiles.json": profile_list(linked, shut, profile(f"{text}-empty", None, path)),
        "get-instance-profile.json": {"InstanceProfile": linked | {"Tags": tag_list({text: "other"})}},
        "eu-west-1/describe-instances.json": {
            "Reservations": [
                {
                    "OwnerId": ACCOUNT,
                    "Instances": [
                        {
                            "InstanceId": f"i-{text}",
                            "IamInstanceProfile": {"Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/{text}-gone"},
                            "Tags": tag_list({"Name": f"{text}-instance"}),
                        }
                    ],
                }
            ]
        },
        "other/get-caller-identity.json": identity(f"{text}-account"),
        "denied.csv": refused.getvalue(),
        "broken.json": json.dumps({f"{text}-key": 1}),
    }


def hostile_policy(text: str) -> str:
    said = json.dumps(text)
    return f"""
        [required_tags]
        {json.dumps(text + "-wanted")} = "*"
        {said} = [{json.dumps(text + "-allowed")}]
        [[makers]]
        name = {json.dumps(text + "-maker")}
        role = "*-role"
        profile = "*-profile"
        names_differ = true
        [[accepted]]
        check = "empty_profiles"
        reason = {json.dumps(text + "-reason")}
    """


def exported(folder: Path) -> list[tuple[str, str]]:
    """Check and name of the findings that were exported to a folder."""
    with (folder / "findings.csv").open(encoding="utf-8-sig", newline="") as file:
        return [(unguarded(row["check"]), unguarded(row["resource_name"])) for row in csv.DictReader(file)]
