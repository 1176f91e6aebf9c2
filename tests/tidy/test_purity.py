"""Deciders decide, adapters do: what may not be imported, called or kept where."""

import ast
from collections.abc import Iterator

import pytest

from tests.tidy.sources import Module, modules

PURE_ROOMS = ("values", "protocol", "schedule", "merging")
IMPURE_MODULES = (
    "asyncio",
    "threading",
    "socket",
    "time",
    "random",
    "os",
    "subprocess",
    "pathlib",
    "logging",
)
IMPURE_CALLS = ("open", "print", "input")
CORE_ROOMS = ("store", "workspaces", "net")
ENVIRONMENT_ROOMS = ("ui", "hub", "client", "store", "workspaces", "scenarios")
MUTATORS = (
    "append",
    "extend",
    "insert",
    "add",
    "update",
    "pop",
    "popitem",
    "remove",
    "discard",
    "clear",
    "setdefault",
)


def impurities(module: Module) -> Iterator[str]:
    """What a decider must not use, with its place."""
    for name in module.imports():
        if name.split(".")[0] in IMPURE_MODULES:
            yield f"{module.name}: import {name}"
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in IMPURE_CALLS:
                yield f"{module.name}:{node.lineno}: {name}()"


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_deciders_have_no_world(room: str) -> None:
    """No I/O, clock, randomness or logging: time and ids come in as arguments."""
    found = [what for module in modules() if module.room == room for what in impurities(module)]
    assert found == []


def test_the_rule_about_the_world_sees_it() -> None:
    """Imports inside functions and calls of builtins would be found."""
    text = "def f():\n    from os.path import join\n    print(join)\n"
    module = Module(modules()[0].path, text, ast.parse(text))
    assert [what.split(": ", 1)[1] for what in impurities(module)] == [
        "import os.path.join",
        "print()",
    ]


def test_only_adapters_know_the_core() -> None:
    """`tatami._core` is imported by the rooms that wrap it, and by nobody else."""
    users = {
        module.room
        for module in modules()
        for name in module.imports()
        if name.startswith("tatami._core")
    }
    assert users <= set(CORE_ROOMS)


def test_nothing_is_kept_in_modules() -> None:
    """No module rebinds or changes a global: state has an owner that was made on purpose."""
    assert [what for module in modules() for what in changed_globals(module)] == []


def changed_globals(module: Module) -> Iterator[str]:
    """Where a module's functions rebind or change its globals."""
    names = {
        target.id
        for node in module.tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(module.tree):
        changed = ""
        match node:
            case ast.Global(names=[first, *_]):
                changed = first
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attribute)):
                changed = name if attribute in MUTATORS else ""
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
                changed = name
        if changed in names or isinstance(node, ast.Global):
            yield f"{module.name}:{getattr(node, 'lineno', 0)}: {changed}"


def test_the_rule_about_globals_sees_changes() -> None:
    """A cache filled by a function, a `global` and an append would be found."""
    text = (
        "SEEN = {}\nROWS = []\n"
        "def f():\n    global SEEN\n    SEEN[1] = 2\n    ROWS.append(1)\n    return SEEN[1]\n"
    )
    module = Module(modules()[0].path, text, ast.parse(text))
    assert len(list(changed_globals(module))) == 3
