"""The page of findings that somebody chose: nothing of the others, and by what they were chosen."""

from __future__ import annotations

from iamframe.checks.result import Result
from iamframe.report.page import LABELS, asset, content_policy, generated_style, sections_of
from iamframe.version import __version__

_TITLE = "IAM roles and instance profiles: some findings"


def render_findings(result: Result, said: str) -> str:
    """Return the page of a result's findings, section by section, as text: one HTML document.

    It is as safe as `render_page`. `said` tells at its head by what the findings were chosen.
    """
    # Loaded here, since the checks and the CSV files need no page.
    from markupsafe import Markup

    from iamframe.report.template import page_template
    from iamframe.report.translate import Words

    words = Words("en")
    style = asset("page.css") + generated_style(_TITLE, words)
    script = asset("page.js")
    sections = list(sections_of(result, words))
    return page_template("findings.html.j2").render(
        style=Markup(style),  # noqa: S704 - our own files, and a title of our own
        script=Markup(script),  # noqa: S704 - our own file
        policy=content_policy(style, script),
        title=_TITLE,
        chosen=said,
        version=__version__,
        sources=result.inventory.sources,
        is_sample=result.inventory.sources == ("sample",),
        labels=LABELS,
        sections=[section for section in sections if section.total],
        unseen=[section for section in sections if section.status != "complete"],
        policy_file=result.policy.path,
    )
