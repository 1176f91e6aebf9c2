"""The documents are true: links lead somewhere, verbs exist, figures name their script."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from tatami.ui.cli import app
from tests.tidy.sources import ROOT, files

LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ ", re.MULTILINE)
FIGURE = re.compile(r"\|[^|\n]*\d(?:\.\d+)?\s?(?:ms|s|MB|GB|/s|x|%)\s*\|")
SCRIPT = re.compile(r"\]\([^)]*\.(?:py|sh)\)|`(?:make|tatami) [a-z]")
VERB = re.compile(r"`(?:\$ )?tatami ([a-z][a-z-]*)")
PROJECT_PATH = re.compile(r"`((?:src|tests|crates|docs|bench)/[\w./-]*)(?= |`)")
DOCUMENTS = files(".md")


def anchors(document: Path) -> set[str]:
    """The anchors the headings of a document make."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link names a file of the project, and a heading of it where it has one."""
    broken = []
    for target in LINK.findall(document.read_text()):
        path, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        there = (document.parent / path).resolve() if path else document
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_paths_in_documents_exist(document: Path) -> None:
    """A file of the project that a document names is there."""
    named = set(PROJECT_PATH.findall(document.read_text()))
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_verbs_in_documents_exist(document: Path) -> None:
    """A reader can type every `tatami ...` a document shows."""
    known = {*app.VERBS, *app.ALIASES}
    assert set(VERB.findall(document.read_text())) - known == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_figures_name_their_script(document: Path) -> None:
    """A section with a table of measured figures links to what measured them."""
    sections = HEADING.split(document.read_text())
    bare = [s.splitlines()[0] for s in sections if FIGURE.search(s) and not SCRIPT.search(s)]
    assert bare == []


@pytest.mark.parametrize("verb", sorted(app.VERBS))
def test_every_verb_explains_itself(verb: str) -> None:
    """`tatami VERB --help` succeeds and says what the verb does."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        code = app.run([verb, "--help"])
    words = [line for line in shown.getvalue().splitlines() if line.strip()]
    assert (code, len(words) >= 2) == (0, True), shown.getvalue()


def test_design_notes_are_short_and_complete() -> None:
    """Each note says problem, choice, rejected and consequence, in at most eighty lines."""
    wanted = ["## Problem", "## Choice", "## Rejected", "## Consequence"]
    for note in sorted((ROOT / "docs" / "design").glob("*.md")):
        lines = note.read_text().splitlines()
        assert [line for line in lines if line in wanted] == wanted, note.name
        assert len(lines) <= 80, note.name
