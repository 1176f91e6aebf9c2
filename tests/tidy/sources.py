"""The project's own files, as the tidy tests read them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "tatami"
SKIPPED = {".git", ".venv", "target", "__pycache__", "dist", "wheels", "node_modules"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module(NamedTuple):
    """A Python file: where it is, its text, its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """The path as people write it."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def room(self) -> str:
        """The room of `src/tatami` a module is in ("" outside of one)."""
        inside = self.path.relative_to(PACKAGE).parts if self.path.is_relative_to(PACKAGE) else ()
        return inside[0] if len(inside) > 1 else ""

    def functions(self) -> Iterator[Function]:
        """Every function and method, nested ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node

    def imports(self) -> Iterator[str]:
        """The dotted names a module imports, wherever in it."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def files(*endings: str) -> tuple[Path, ...]:
    """Every file of the project with one of these endings, in order."""
    found = []
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in parts)
        if path.name.endswith(endings) and not hidden and SKIPPED.isdisjoint(parts):
            found.append(path)
    return tuple(path for path in found if path.is_file())


@cache
def modules(under: str = "src") -> tuple[Module, ...]:
    """Every Python module below a folder of the project."""
    found = []
    for path in files(".py"):
        if path.is_relative_to(ROOT / under):
            text = path.read_text()
            found.append(Module(path, text, ast.parse(text)))
    return tuple(found)
