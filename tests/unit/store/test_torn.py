"""What a power cut left of git's files is mended, and what is whole is not touched."""

from pathlib import Path

from tatami.store.fsck.files import Damage, damaged_refs, lonely_packs
from tatami.store.repair.torn import mend_refs
from tests import sandbox


def test_an_emptied_keep_ref_is_written_again(repository: Path) -> None:
    """Its name is the commit; whole ones, and files that are no such ref, stay as they are."""
    common, head = str(repository / ".git"), sandbox.git(repository, "rev-parse", "main")
    older = sandbox.git(repository, "rev-parse", "main~1")
    folder = repository / ".git/refs/jj/keep"
    assert list(mend_refs(common)) == []
    folder.mkdir(parents=True)
    (folder / head).touch()
    (folder / older).write_text(older + "\n")
    (folder / "other").touch()
    assert list(mend_refs(common)) == [f"refs/jj/keep/{head} was written anew"]
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        head: head + "\n",
        older: older + "\n",
        "other": "",
    }
    assert list(mend_refs(common)) == []


def test_a_ref_that_names_no_commit_is_told(repository: Path) -> None:
    """Emptied, cut or foreign; a symbolic ref, a lock and one that is packed are none of these."""
    common = str(repository / ".git")
    folder = repository / ".git/refs/heads/agent"
    folder.mkdir()
    (folder / "cut").write_text("0123")
    (folder / "empty").touch()
    (folder / "foreign").write_text("g" * 40 + "\n")
    (folder / "link").write_text("ref: refs/heads/main\n")
    (folder / "new.lock").touch()
    (folder / "whole").write_text("a" * 40 + "\n")
    assert damaged_refs(common, "main") == [
        Damage("refs/heads/agent/cut", "'0123' is no commit id"),
        Damage("refs/heads/agent/empty", "'' is no commit id"),
        Damage("refs/heads/agent/foreign", f"{'g' * 40!r} is no commit id"),
    ]


def test_a_pack_and_its_index_belong_together(repository: Path) -> None:
    """Whichever of the two is alone, the other one is what is missing."""
    folder = repository / ".git/objects/pack"
    for name in ("pack-a.pack", "pack-b.idx", "pack-c.pack", "pack-c.idx", ".tatami-new.pack"):
        (folder / name).touch()
    found = lonely_packs(str(repository / ".git"))
    assert [one for one in found if one.path.startswith(("pack-a", "pack-b", "pack-c"))] == [
        Damage("pack-b.pack", "is missing"),
        Damage("pack-a.idx", "is missing"),
    ]
