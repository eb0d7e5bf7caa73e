"""The rooms of the package, from left to right, and what its modules import, read from their source."""

from __future__ import annotations

import ast
import functools
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "iamframe"
# What each is for, in the order in which facts pass through them.
ROOMS = {
    "errors": "every error, the version",
    "messages": "the words around numbers and names",
    "knowledge": "what is known before anything is read: operations, trust, names, makers, surfaces",
    "sources": "where records come from: files and AWS",
    "inventory": "records become linked frames; snapshots, SQL, tables",
    "checks": "rules, and whether enough was read for them",
    "analysis": "questions to a result: explain, compare, plan, history, owners, blind spots, probe",
    "report": "a result as files: page, CSV, workbook, masked",
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


def picture() -> str:
    """A line per room, the last one first: its size, and how many imports lead from it into each room before it."""
    arrows: Counter[tuple[str, str]] = Counter()
    for module, others in imports().items():
        arrows.update((room_of(module), room_of(other)) for other in others)
    rooms = [room for room in ROOMS if room != "face"]
    sizes = {room: [s for m, s in modules().items() if room_of(m) == room and s.strip()] for room in rooms}
    head = f"{'':10} {'modules':>7} {'lines':>6}  imports from " + " ".join(f"{room:>9}" for room in rooms[:-1])
    lines = [head]
    for at, room in reversed(list(enumerate(rooms))):
        counts = " ".join(f"{arrows[room, other] or '-':>9}" for other in rooms[:at])
        size = sum(len(source.splitlines()) for source in sizes[room])
        lines.append(f"{room:10} {len(sizes[room]):7} {size:6,}  {'':12} {counts}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    print(picture())  # noqa: T201
