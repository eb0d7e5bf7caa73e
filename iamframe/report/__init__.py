"""Write the result of the checks to files: HTML, CSV, JSON and Excel."""

from iamframe.report.page import render_findings, render_page
from iamframe.report.write import summarize, write_changes, write_findings, write_report

__all__ = ["render_findings", "render_page", "summarize", "write_changes", "write_findings", "write_report"]
