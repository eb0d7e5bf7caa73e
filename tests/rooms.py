"""The rooms of the package, from left to right, and what its modules import, read from their source."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "iamframe"
# What each is for, in the order in which facts pass through them.
ROOMS = {
    "errors": "every error, the version",
    "messages": "the text of every message, in English and Japanese",
    "knowledge": "built-in data about AWS, services and tools",
    "sources": "reading files and live accounts",
    "inventory": "linked DataFrames, snapshots, SQL, tables",
    "checks": "the checks, and whether each check is complete",
    "analysis": "explain, compare, plan, history, owners, blind spots, probe",
    "report": "the HTML page, CSV files and workbook, also masked",
    "ui": "command line, plots, explorer, notebooks",
    "face": "the names that people type",
}
_FACE = ("", "__main__", "exploring", "plots", "schema")


@functools.cache
def modules() -> dict[str, str]:
    """The source of each module by its name without `iamframe.`."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = file.read_text("utf-8")
    return found


def room_of(module: str) -> str:
    """The room that a module is in."""
    if module in _FACE:
        return "face"
    return "errors" if module in ("errors", "version") else module.partition(".")[0]


@functools.cache
def imports() -> dict[str, set[str]]:
    """The modules of the package that each of its modules imports, for types too; the practice account stands apart."""
    known = modules()
    found = {}
    for module, source in known.items():
        if module.startswith("practice"):
            continue
        others = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("iamframe."):
                base = str(node.module).removeprefix("iamframe").removeprefix(".")
                names = [f"{base}.{alias.name}".removeprefix(".") for alias in node.names]
                # A package is no module of its own where one of its modules is what is imported.
                others |= {name if name in known else base for name in names}
            elif isinstance(node, ast.Import):
                names = [alias.name.removeprefix("iamframe.") for alias in node.names]
                others |= {name for name in names if name in known and name}
        found[module] = others - {module, ""}
    return found


def _arrows() -> set[tuple[str, str]]:
    return {(room_of(module), room_of(other)) for module, others in imports().items() for other in others}


def _modules_of(room: str) -> list[str]:
    named = [module for module, source in modules().items() if room_of(module) == room and source.count("\n") > 1]
    return sorted({module.partition(".")[2] or module for module in named} - {room if room != "errors" else ""})


def picture() -> str:
    """A line per room: its number, those of the rooms that it imports from, and what it is for."""
    rooms, arrows = [room for room in ROOMS if room != "face"], _arrows()
    lines = []
    for number, room in enumerate(rooms, 1):
        marks = " ".join(str(at) if (room, other) in arrows else " " for at, other in enumerate(rooms[: number - 1], 1))
        lines.append(f"{number} {room:10} {marks:{2 * len(rooms) - 1}}{ROOMS[room]}")
    return "\n".join(lines)


def contents() -> str:
    """A line per room with its modules."""
    return "\n".join(f"{room:10} {' '.join(_modules_of(room))}" for room in ROOMS if room != "face")


def sizes() -> str:
    """A line per room: how many modules, how many lines, and the longest of them."""
    lines = []
    for room in ROOMS:
        mine = {module: source.count("\n") for module, source in modules().items() if room_of(module) == room}
        longest = max(mine, key=mine.__getitem__)
        lines.append(f"{room:10} {len(mine):3} {sum(mine.values()):6,}  {longest} {mine[longest]}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(picture(), contents(), sizes(), sep="\n\n")  # noqa: T201
