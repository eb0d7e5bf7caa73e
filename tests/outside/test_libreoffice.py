"""Workbook and CSV in LibreOffice: hostile text is no formula, and every value of the workbook is there."""

from __future__ import annotations

import csv
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders import load, write
from conftest import needed
from pages import HOSTILE, hostile_documents, hostile_policy
from test_excel import DANGEROUS, dangerous, read, sheets, written

import iamframe
from iamframe.inventory.export import write_csv


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """LibreOffice, which opens a workbook and saves it as something else, every sheet of it."""
    found = next(filter(None, map(shutil.which, ("soffice", "libreoffice"))), None)
    needed(found, "LibreOffice", "put soffice on the PATH")
    home = tmp_path_factory.mktemp("office")

    def convert(form: str, *books: Path, options: tuple[str, ...] = ()) -> Path:
        out = tmp_path_factory.mktemp("converted")
        command = [str(found), f"-env:UserInstallation={home.as_uri()}", "--headless", *options, "--convert-to", form]
        subprocess.run([*command, "--outdir", str(out), *map(str, books)], check=True, capture_output=True, timeout=120)
        return out

    return convert


def links(flat: str) -> set[str]:
    return set(re.findall(r'xlink:href="([^"]*)"', flat))


def test_libreoffice_sees_no_formula_and_no_link_in_hostile_text_and_every_value(tmp_path: Path, office: Any) -> None:
    file = written(dangerous(tmp_path / "in"), tmp_path / "out")
    flat = (office("fods", file) / "report.fods").read_text("utf-8")
    assert "<table:table-cell" in flat
    assert "table:formula" not in flat
    assert links(flat) == {f"#&apos;{name}&apos;.A1" for name in sheets(file) if name != "overview"}
    saved = office("csv:Text - txt - csv (StarCalc):44,34,76,1,,0,true,true,false,false,false,-1", file)
    with (saved / "report-roles.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["account_id"] for row in rows] == ["000000000001"] * len(DANGEROUS)
    told = {row["role_name"]: row["description"] for row in rows}
    lost = re.compile("[￾￿\x00-\x08\x1b]")
    for number, text in enumerate(DANGEROUS):
        if not lost.search(text):
            assert told[f"r{number:03}"].replace("\r\n", "\n") == text.replace("\r\n", "\n"), repr(text)


FORMULAS = (HOSTILE["script"], "=cmd|'/c calc'!A0", '@SUM(1)*"<b>')


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, office: Any) -> dict[str, tuple[iamframe.Result, Path, str]]:
    """By text: an account in which every field holds it, its workbook, and what LibreOffice makes of that."""
    folder = tmp_path_factory.mktemp("hostile")
    made = {}
    for number, text in enumerate(FORMULAS):
        source = load(folder / f"in{number}", hostile_documents(text.replace("/", "-")))
        policy = write(folder, {f"{number}.toml": hostile_policy(text)}) / f"{number}.toml"
        result = iamframe.run_checks(source, policy=policy)
        book = written(result, folder / f"out{number}", title=text, author=text)
        made[text] = result, book.rename(book.with_stem(f"book{number}"))
    # It starts as slowly for one workbook as for all.
    saved = office("fods", *(book for _, book in made.values()))
    return {
        text: (result, book, (saved / f"{book.stem}.fods").read_text("utf-8")) for text, (result, book) in made.items()
    }


@pytest.mark.parametrize("text", FORMULAS)
def test_hostile_text_in_every_field_is_no_formula_for_libreoffice_and_loses_no_row(
    hostile: dict[str, tuple[iamframe.Result, Path, str]], text: str
) -> None:
    result, file, flat = hostile[text]
    assert "table:formula" not in flat
    assert links(flat) == {f"#&apos;{name}&apos;.A1" for name in sheets(file) if name != "overview"}
    for name, frame in result.inventory.frames_read.items():
        assert len(read(file, name)) == len(frame) + 1, name


# Pieces of what makes LibreOffice begin a cell, or take one for a formula.
PIECES = [
    "=1+1",
    "=",
    "+",
    "-",
    "@",
    '"',
    '""',
    "'",
    ";",
    "\t",
    "\n",
    "\r",
    "\x00",
    "\x01",
    "\x1b",
    "\x85",
    ",",
    "x",
    " ",
]


@pytest.mark.parametrize("separator", [",", ";", "\t", ";\t"])
def test_no_text_of_a_csv_is_a_formula_for_libreoffice_whatever_separates_its_cells(
    tmp_path: Path, office: Any, separator: str
) -> None:
    draw = random.Random(1)
    texts = ["".join(draw.choices(PIECES, k=draw.randint(1, 8))) for _ in range(2_000)]
    said = pd.Series([*DANGEROUS, "\x00=1+1", "safe\n=1+1", "safe\nx;=1+1", "safe\r\nx\t=1+1", *texts], dtype="str")
    write_csv(pd.DataFrame({"name": "web", "said": said, "last": said[::-1].to_numpy()}), tmp_path / "t.csv")
    # Separators, quotes, UTF-8, from the first line on, all columns as they look; spaces are dropped, formulas are run.
    read_as = f"{'/'.join(str(ord(one)) for one in separator)},34,76,1,,0,false,true,false,false,true,0,true"
    options = (f"--infilter=Text - txt - csv (StarCalc):{read_as}",)
    flat = office("fods", tmp_path / "t.csv", options=options) / "t.fods"
    assert flat.read_text("utf-8").count("<table:table-row") >= len(said)
    assert "table:formula" not in flat.read_text("utf-8")
