"""Everything stays small enough to be read in one go."""

import ast
import re
from collections import Counter

from tests.tidy.sources import ROOT, Function, files, modules

LINE_CHARS_MAX = 100
PRAGMA = re.compile(r"  # (?:noqa|type: ignore).*")
"""A word to a checker is not read with the line."""
FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 500
TEST_MODULE_LINES_MAX = 800
"""A file of tests is looked things up in, not read."""
ROOM_MODULES_MAX = 10
POSITIONAL_PARAMETERS_MAX = 5


def test_lines_fit_on_a_screen() -> None:
    """No line of code is longer than a hundred characters."""
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files(".py", ".pyi", ".rs", "Makefile", ".ci/run")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if len(PRAGMA.sub("", line)) > LINE_CHARS_MAX
    ]
    assert long == []


def test_functions_fit_on_a_screen() -> None:
    """No function has more than sixty lines, docstring and signature counted."""
    long = [
        f"{module.name}:{function.lineno} {function.name}"
        for module in (*modules(), *modules("tests"))
        for function in module.functions()
        if (function.end_lineno or 0) - function.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_modules_are_read_in_one_sitting() -> None:
    """No source file has more than five hundred lines, no file of tests more than eight hundred."""
    long = [
        path.relative_to(ROOT).as_posix()
        for path in files(".py", ".pyi", ".rs")
        if len(path.read_text().splitlines())
        > (TEST_MODULE_LINES_MAX if "tests" in path.relative_to(ROOT).parts else MODULE_LINES_MAX)
    ]
    assert long == []


def test_a_room_can_be_seen_at_a_glance() -> None:
    """No folder of the package holds more than ten modules."""
    count = Counter(m.path.parent for m in modules() if not m.path.name.startswith("__"))
    crowded = {
        folder.relative_to(ROOT).as_posix(): number
        for folder, number in count.items()
        if number > ROOM_MODULES_MAX
    }
    assert crowded == {}


def test_calls_can_be_read_without_the_signature() -> None:
    """No function takes more than five positional parameters."""
    many = [
        f"{module.name}:{function.lineno} {function.name}"
        for module in modules()
        for function in module.functions()
        if positional(function) > POSITIONAL_PARAMETERS_MAX
    ]
    assert many == []


def positional(function: Function) -> int:
    """How many positional parameters a function has besides `self`."""
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def test_the_rule_about_parameters_sees_them() -> None:
    """A method with six parameters besides `self` would be found."""
    tree = ast.parse("def f(self, a, b, /, c, d, e, f, *, g): ...")
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    assert positional(function) == 6
