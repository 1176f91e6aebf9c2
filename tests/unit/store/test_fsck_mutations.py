"""Every invariant is broken by hand, and fsck names exactly that one."""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import lmdb
import pytest

import tatami
from tatami.store.repository import COMMANDS, LANDED, RELANDED
from tatami.store.stock import OwnPacks
from tatami.values.specs import OpSpec
from tests import sandbox
from tests.unit.store.conftest import Swarmed

KEY_BYTES = 20


def flip(path: Path, at: int) -> None:
    """Changes one bit of a file, where a disk would."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0x04
    os.chmod(path, 0o600)
    path.write_bytes(data)


def publish(swarmed: Swarmed, attributes: dict[str, str]) -> str:
    """Adds an operation that changes nothing."""
    core = swarmed.core(writes=True)
    try:
        return core.publish(None, OpSpec("by hand", attributes)).op
    finally:
        core.close()


def operations(swarmed: Swarmed) -> list[tatami.store.repository.Operation]:
    """The operation log, newest first."""
    core = swarmed.core()
    try:
        return core.operations(None)
    finally:
        core.close()


def roll_back(swarmed: Swarmed, op: str) -> None:
    """Makes an older operation the head, and agents' branches follow."""
    heads = swarmed.jj_repo / "op_heads" / "heads"
    for name in swarmed.op_heads():
        (heads / name).rename(heads / op)
    core = swarmed.core()
    for name, commit in core.view().bookmarks.items():
        assert commit
        sandbox.git(swarmed.root, "update-ref", f"refs/heads/{name}", commit)
    core.close()


def pack_of(swarmed: Swarmed, id: str) -> Path:
    """Our pack that holds this object."""
    name = OwnPacks(str(swarmed.common)).holding(id)
    assert name
    return swarmed.common / "objects" / "pack" / f"{name}.pack"


def offset_of(pack: Path, id: str) -> int:
    """Where an object begins in a pack."""
    rows = sandbox.run(
        pack.parent, "git", "show-index", stdin=pack.with_suffix(".idx").read_bytes()
    ).stdout
    return next(int(r.split()[0]) for r in rows.decode().splitlines() if r.split()[1] == id)


def add_to_extras(swarmed: Swarmed, commit: str, value: bytes) -> None:
    """Puts an entry on top of jj's table of commits, as jj's own writer would."""
    directory = swarmed.jj_repo / "store" / "extra"
    (head,) = (directory / "heads").iterdir()
    parent = head.name.encode()
    content = len(parent).to_bytes(4, "little") + parent + (1).to_bytes(4, "little")
    content += bytes.fromhex(commit) + (0).to_bytes(4, "little") + value
    name = hashlib.blake2b(content).hexdigest()
    (directory / name).write_bytes(content)
    head.rename(directory / "heads" / name)


def test_a_lost_op_head_is_named(swarmed: Swarmed) -> None:
    """heads: without an op head there is no history."""
    (head,) = swarmed.op_heads()
    (swarmed.jj_repo / "op_heads" / "heads" / head).unlink()
    assert swarmed.broken() == {"heads"}


def test_two_op_heads_side_by_side_are_named(swarmed: Swarmed, tmp_path: Path) -> None:
    """heads: what two machines wrote into one directory has to be merged."""
    other = tmp_path / "other"
    shutil.copytree(swarmed.root, other, symlinks=True)
    theirs = Swarmed(other, other / swarmed.jj_repo.relative_to(swarmed.root), [])
    publish(theirs, {})
    publish(swarmed, {})
    for folder in ("op_store/operations", "op_store/views", "op_heads/heads"):
        shutil.copytree(theirs.jj_repo / folder, swarmed.jj_repo / folder, dirs_exist_ok=True)
    assert swarmed.broken() == {"heads"}


def test_an_older_op_head_left_by_a_crash_is_none(swarmed: Swarmed) -> None:
    """A head that is an ancestor of the other goes with the next load."""
    parent = operations(swarmed)[0].parents[0]
    (swarmed.jj_repo / "op_heads" / "heads" / parent).touch()
    assert swarmed.broken() == set()


@pytest.mark.parametrize("number", [0, 3], ids=["newest", "older"])
def test_a_damaged_operation_is_named(swarmed: Swarmed, number: int) -> None:
    """I2: an operation that does not hash to its name."""
    path = swarmed.jj_repo / "op_store" / "operations" / operations(swarmed)[number].id
    flip(path, path.stat().st_size - 3)
    assert swarmed.broken() == {"I2"}


def test_a_lost_operation_is_named(swarmed: Swarmed) -> None:
    """I2: an operation whose file is gone."""
    (swarmed.jj_repo / "op_store" / "operations" / operations(swarmed)[2].id).unlink()
    assert swarmed.broken() == {"I2"}


def test_every_damaged_view_is_named(swarmed: Swarmed) -> None:
    """I2: views that do not hash to their names, each by its own name."""
    views = sorted((swarmed.jj_repo / "op_store" / "views").iterdir())
    for view in views:
        flip(view, view.stat().st_size - 3)
    report = swarmed.check()
    assert {problem.invariant for problem in report.problems} == {"I2"}


def test_a_lost_segment_of_the_index_is_named(swarmed: Swarmed) -> None:
    """The one that jj starts from, and any that it goes on from."""
    segments = swarmed.jj_repo / "index" / "segments"
    link = swarmed.jj_repo / "index" / "op_links" / operations(swarmed)[0].id
    lost = segments / link.read_bytes()[2:66].hex()
    lost.unlink()
    named = [problem.where for problem in swarmed.check().problems if problem.invariant == "index"]
    assert named == [str(lost)]


def test_an_old_link_to_a_lost_index_is_none(swarmed: Swarmed) -> None:
    """jj makes such an index anew when asked; reindexing beside other programs leaves some."""
    link = swarmed.jj_repo / "index" / "op_links" / operations(swarmed)[2].id
    link.write_bytes(link.read_bytes()[:2] + bytes(64))
    assert swarmed.check().ok


def test_a_damaged_blob_in_a_pack_is_named(swarmed: Swarmed) -> None:
    """I2: a flipped bit in a file's content, told once though git tells it in many ways."""
    blob = sandbox.git(swarmed.root, "rev-parse", "agent/coder-1:coder-1/1.txt")
    pack = pack_of(swarmed, blob)
    flip(pack, offset_of(pack, blob) + 14)
    report = swarmed.check()
    assert {(problem.invariant, problem.where) for problem in report.problems} == {("I2", blob)}


def test_a_lost_pack_is_named(swarmed: Swarmed) -> None:
    """I2: commits, trees and files whose pack is gone."""
    pack = pack_of(swarmed, swarmed.acked[-1])
    pack.unlink()
    pack.with_suffix(".idx").unlink()
    assert swarmed.broken(acks=[]) == {"I2"}


def test_a_damaged_pack_is_named_though_its_objects_are_whole(swarmed: Swarmed) -> None:
    """I3: the checksum at the end of a pack, which only git looks at."""
    pack = pack_of(swarmed, swarmed.acked[0])
    flip(pack, pack.stat().st_size - 5)
    assert swarmed.broken() == {"I3"}


def test_a_lost_file_of_imported_history_is_named(swarmed: Swarmed) -> None:
    """I3: what git wrote before us is git's to check, and git's word counts."""
    blob = sandbox.git(swarmed.root, "rev-parse", "main~3:dir0/file1.txt")
    (swarmed.common / "objects" / blob[:2] / blob[2:]).unlink()
    report = swarmed.check()
    assert {(problem.invariant, problem.where) for problem in report.problems} == {("I3", blob)}


def test_a_lost_commit_is_named(swarmed: Swarmed) -> None:
    """I1: the operation log was taken back to before the last acknowledged commits."""
    roll_back(swarmed, operations(swarmed)[3].id)
    report = swarmed.check()
    assert {problem.invariant for problem in report.problems} == {"I1"}
    assert {problem.where for problem in report.problems} == set(swarmed.acked[4:])


def test_a_commit_that_never_was_is_named(swarmed: Swarmed) -> None:
    """I1: a client has an acknowledgement of something that is nowhere."""
    nowhere = "1234567890" * 4
    report = swarmed.check(acks=[*swarmed.acked, nowhere])
    assert [(problem.invariant, problem.where) for problem in report.problems] == [("I1", nowhere)]


@pytest.mark.parametrize("value", [b"\x22\x10" + b"\x07" * 16 + b"\x50\x01", b"\x50\x01"])
def test_a_wrong_change_id_is_named(swarmed: Swarmed, value: bytes) -> None:
    """I5: jj's table says another change id than the commit, or none."""
    commit = swarmed.acked[2]
    add_to_extras(swarmed, commit, value)
    report = swarmed.check()
    assert [(problem.invariant, problem.where) for problem in report.problems] == [("I5", commit)]


def test_a_command_in_two_operations_is_named(swarmed: Swarmed) -> None:
    """I6: a command carried out twice."""
    rows = next(op.attributes[COMMANDS] for op in operations(swarmed) if COMMANDS in op.attributes)
    publish(swarmed, {COMMANDS: rows})
    assert swarmed.broken() == {"I6"}


def test_commands_that_cannot_be_read_are_named(swarmed: Swarmed) -> None:
    """I6: an attribute of ours that is not what we write."""
    publish(swarmed, {COMMANDS: "[[]]"})
    assert swarmed.broken() == {"I6"}


def landing(swarmed: Swarmed) -> list[list[str]]:
    """The rows of the landing there was: entry, commit as queued, commit as landed."""
    found = (op.attributes.get(LANDED) for op in operations(swarmed))
    rows: list[list[str]] = json.loads(next(rows for rows in found if rows))
    return rows


def test_a_commit_that_landed_twice_is_named(swarmed: Swarmed) -> None:
    """landings: two operations put the same queued commit on the trunk."""
    _, queued, landed = landing(swarmed)[1]
    publish(swarmed, {RELANDED: json.dumps({landed: "a" * 40})})
    publish(swarmed, {LANDED: json.dumps([[9, queued, "b" * 40]])})
    report = swarmed.check()
    problems = [(problem.invariant, problem.where) for problem in report.problems]
    assert problems == [("landings", f"commit {queued}")]


def test_a_commit_that_landed_again_after_it_was_off_the_trunk_is_none(swarmed: Swarmed) -> None:
    """The user's git took it away, wherever it had been put in between."""
    _, queued, landed = landing(swarmed)[1]
    publish(swarmed, {RELANDED: json.dumps({landed: "a" * 40})})
    publish(swarmed, {RELANDED: json.dumps({"a" * 40: ""})})
    publish(swarmed, {LANDED: json.dumps([[9, queued, "b" * 40]])})
    assert swarmed.broken() == set()


@pytest.mark.parametrize("attribute", [LANDED, RELANDED])
@pytest.mark.parametrize("value", ["[[]]", "7", "{", '["x"]'])
def test_landings_that_cannot_be_read_are_named(
    swarmed: Swarmed, attribute: str, value: str
) -> None:
    """landings: an attribute of ours that is not what we write."""
    publish(swarmed, {attribute: value})
    assert swarmed.broken() == {"landings"}


def imported_line(swarmed: Swarmed, entries: Sequence[str]) -> None:
    """An agent's line that begins at a commit of git's whose tree has these entries as well."""
    git = sandbox.git
    listed = git(swarmed.root, "ls-tree", "main")
    tree = git(swarmed.root, "mktree", stdin="\n".join([listed, *entries, ""]).encode())
    commit = git(swarmed.root, "commit-tree", "-p", "main", "-m", "by git", tree)
    with tatami.Swarm.open(str(swarmed.root)) as swarm:
        agent = swarm.agents(["coder-3"], base=commit, workspace=False)[0]
        agent.commit("on top", {"top.txt": b"top\n"})
        swarm.stop()


def test_a_path_against_the_policy_is_named(swarmed: Swarmed) -> None:
    """I11: a name that git takes and other systems read as something else."""
    blob = sandbox.git(swarmed.root, "rev-parse", "main:history.txt")
    imported_line(swarmed, [f"100644 blob {blob}\t.JJ"])
    assert swarmed.broken() == {"I11"}


def test_a_git_directory_in_a_tree_is_named_once(swarmed: Swarmed) -> None:
    """I11: `.git` in a tree of ours, which git would complain about as well."""
    tree = sandbox.git(swarmed.root, "rev-parse", "main^{tree}")
    imported_line(swarmed, [f"040000 tree {tree}\t.git"])
    assert swarmed.broken() == {"I11"}


def test_what_stock_jj_cannot_read_is_named(swarmed: Swarmed, with_jj: None) -> None:
    """I4: a file that only stock jj reads."""
    (swarmed.jj_repo.parent / "working_copy" / "type").write_text("another kind")
    assert swarmed.broken() == {"I4"}


@pytest.mark.parametrize("target", ["main~1", None], ids=["moved", "gone"])
def test_a_branch_away_from_its_bookmark_is_named(swarmed: Swarmed, target: str | None) -> None:
    """branches: git shows another head of an agent's line than the operation log."""
    change = ["update-ref", "refs/heads/agent/coder-1", target] if target else []
    sandbox.git(swarmed.root, *(change or ["update-ref", "-d", "refs/heads/agent/coder-1"]))
    assert swarmed.broken() == {"branches"}


def test_a_row_of_the_ledger_that_cannot_be_read_is_named(swarmed: Swarmed) -> None:
    """ledger: the hub's table holds something that is not ours."""
    with lmdb.open(str(swarmed.common / "tatami" / "hub" / "ledger"), max_dbs=8) as table:
        queue = table.open_db(b"queue")
        with table.begin(write=True, db=queue) as write:
            write.put(bytes(8), b"{}")
    assert swarmed.broken() == {"ledger"}


@pytest.mark.parametrize("size", [0, 100, 8192])
def test_a_ledger_that_was_cut_is_named(swarmed: Swarmed, size: int) -> None:
    """ledger: a file shorter than its own table says is not looked into."""
    path = swarmed.common / "tatami" / "hub" / "ledger" / "data.mdb"
    os.truncate(path, size)
    assert swarmed.broken() == {"ledger"}
