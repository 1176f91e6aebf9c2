"""Names are the field's nouns, public things say what they are, errors can be relied on."""

import ast
import re
from collections.abc import Iterator

from tatami.ui.cli.app import ALIASES, VERBS
from tests.tidy.sources import Module, files, modules

EMPTY_NAMES = re.compile(r"manager|helper|utils?(?![a-z])|misc(?![a-z])", re.IGNORECASE)
SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
ERROR = re.compile(r"[A-Z]\w*Error")
OURS = re.compile(r"(?:^|; |&& |, then: )tatami ([a-z-]+)")


def raised(module: Module) -> Iterator[ast.Call]:
    """Every place where one of our errors is built."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Name(id=name), keywords=given) if ERROR.fullmatch(name):
                if any(keyword.arg in ("code", "fix") for keyword in given):
                    yield node


def texts(module: Module, keyword: str) -> Iterator[tuple[str, str]]:
    """The literal texts given for a keyword of our errors, with their places."""
    for call in raised(module):
        for given in call.keywords:
            if given.arg != keyword:
                continue
            for node in ast.walk(given.value):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield f"{module.name}:{call.lineno}", node.value


def test_names_say_something() -> None:
    """No file, class or function is called a manager, helper or utility."""
    named = [path.name for path in files(".py", ".rs", ".sh")]
    for module in (*modules(), *modules("tests")):
        kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        named += [node.name for node in ast.walk(module.tree) if isinstance(node, kinds)]
    assert [name for name in named if EMPTY_NAMES.search(name)] == []


def test_error_codes_are_snake_case() -> None:
    """A code is a stable word for programs."""
    wrong = [
        (place, code)
        for module in modules()
        for place, code in texts(module, "code")
        if not SNAKE_CASE.fullmatch(code)
    ]
    assert wrong == []


def test_every_command_an_error_recommends_exists() -> None:
    """The next command an error names is one that can be typed."""
    unknown = [
        (place, fix)
        for module in modules()
        for place, fix in texts(module, "fix")
        for verb in OURS.findall(fix)
        if verb not in VERBS and verb not in ALIASES
    ]
    assert unknown == []


def test_every_test_says_what_it_expects() -> None:
    """A test's docstring states the expectation; its name alone is not enough when it fails."""
    silent = [
        f"{module.name}:{function.lineno} {function.name}"
        for module in modules("tests")
        for function in module.functions()
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert silent == []


def test_public_things_say_what_they_are() -> None:
    """Every public module, class and function of the package has a docstring that is a sentence."""
    silent = [
        f"{module.name}:{node.lineno} {node.name}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and node in public(module)
        and not (ast.get_docstring(node) or "").split("\n\n")[0].rstrip().endswith((".", ":", ")"))
    ]
    assert silent == []


def public(module: Module) -> set[ast.AST]:
    """The classes and functions other modules can see: not those inside functions."""
    found: set[ast.AST] = set(module.tree.body)
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found.update(node.body)
    return found
