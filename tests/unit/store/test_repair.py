"""Repair: what is whole goes on, what is not is set aside and named."""

import json
import os
from pathlib import Path

import pytest

import tatami
from tatami.store.locate import find, marker
from tatami.store.repair import torn
from tatami.store.repair.repair import Repaired, repair
from tatami.store.stock import OwnPacks
from tatami.values.errors import BusyError
from tests import sandbox
from tests.unit.store.conftest import Swarmed
from tests.unit.store.test_fsck import files_of


def mended(swarmed: Swarmed, dry: bool = False) -> Repaired:
    """Repairs, with everything that was acknowledged."""
    acks = swarmed.root.with_suffix(".acks")
    acks.write_text("".join(f"{id}\n" for id in swarmed.acked))
    return repair(find(str(swarmed.root)), str(acks), dry)


def newest_operation(swarmed: Swarmed) -> Path:
    """The file of the operation that is the head."""
    (head,) = swarmed.op_heads()
    return swarmed.jj_repo / "op_store" / "operations" / head


def pack_of(swarmed: Swarmed, id: str) -> Path:
    """Our pack with this object."""
    name = OwnPacks(str(swarmed.common)).holding(id)
    assert name
    return swarmed.common / "objects" / "pack" / f"{name}.pack"


def test_a_whole_repository_is_left_alone(swarmed: Swarmed) -> None:
    """Nothing is set aside, nothing is done, and no file is another one."""
    before = files_of(swarmed.root)
    found = mended(swarmed)
    assert (found.set_aside, found.done, found.quarantine) == ((), (), "")
    assert files_of(swarmed.root) == before


def test_a_dry_repair_changes_nothing(swarmed: Swarmed) -> None:
    """It says what would be set aside."""
    newest_operation(swarmed).write_bytes(b"")
    before = files_of(swarmed.root)
    found = mended(swarmed, dry=True)
    assert f"op_heads/heads/{swarmed.op_heads()[0]}" in " ".join(found.set_aside)
    after = files_of(swarmed.root)
    index = "jj/.jj/repo/index/"
    assert {n for n in after if index not in n} == {n for n in before if index not in n}
    assert all(after[name] == content for name, content in before.items() if index not in name)


def test_commits_of_a_lost_operation_come_back(swarmed: Swarmed) -> None:
    """The operation is gone, its commits are whole: another operation names them again."""
    damaged = newest_operation(swarmed)
    damaged.write_bytes(b"not an operation")
    found = mended(swarmed)
    assert found.missing == ()
    assert found.report.ok
    (kept,) = Path(found.quarantine).rglob(f"operations/{damaged.name}")
    assert kept.read_bytes() == b"not an operation"


def test_commands_above_a_lost_operation_are_still_known(swarmed: Swarmed) -> None:
    """A command that is sent again is answered, not carried out again."""
    core = swarmed.core()
    older = core.operations(None)[4].id
    before = {row for op in core.operations(4) for row in _commands(op.attributes)}
    core.close()
    (swarmed.jj_repo / "op_store" / "operations" / older).unlink()
    assert mended(swarmed).report.ok
    core = swarmed.core()
    after = {row for op in core.operations(None) for row in _commands(op.attributes)}
    core.close()
    assert before <= after


def _commands(attributes: dict[str, str]) -> list[tuple[str, ...]]:
    return [tuple(row) for row in json.loads(attributes.get("tatami:commands", "[]"))]


def test_what_is_lost_is_named(swarmed: Swarmed) -> None:
    """The acknowledged commits that cannot be whole any more, and no others."""
    lost = swarmed.acked[-1]
    pack_of(swarmed, lost).unlink()
    found = mended(swarmed)
    assert set(found.missing) <= {swarmed.acked[-1], swarmed.acked[-2]}
    assert lost in found.missing
    rest = [p for p in found.report.problems if p.invariant != "I1"]
    assert rest == []


def test_whole_objects_of_a_damaged_pack_are_saved(swarmed: Swarmed) -> None:
    """Only the checksum at its end is wrong: nothing is lost, the damaged pack is kept."""
    pack = pack_of(swarmed, swarmed.acked[0])
    content = pack.read_bytes()
    os.chmod(pack, 0o600)
    pack.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    found = mended(swarmed)
    assert (found.missing, found.report.problems) == ((), ())
    assert len(list(Path(found.quarantine).rglob(pack.name))) == 1


def test_a_file_that_a_checkout_still_has_is_taken_from_there(swarmed: Swarmed) -> None:
    """A lost blob is found again where its content is checked out, unchanged."""
    blob = sandbox.git(swarmed.root, "rev-parse", "main:dir0/file1.txt")
    loose = swarmed.common / "objects" / blob[:2] / blob[2:]
    loose.chmod(0o600)
    loose.write_bytes(b"damaged")
    found = mended(swarmed)
    assert found.report.problems == ()
    assert sandbox.git(swarmed.root, "cat-file", "blob", blob) == "file 1\nsecond line"


def test_a_running_hub_is_not_repaired_under(swarmed: Swarmed) -> None:
    """Whoever writes has to stop first."""
    with tatami.Swarm.open(str(swarmed.root)) as swarm:
        with pytest.raises(BusyError) as refused:
            mended(swarmed)
        swarm.stop()
    assert refused.value.code == "hub_running"


def test_the_command_asks_before_it_changes_anything(swarmed: Swarmed) -> None:
    """Without a terminal it wants to be told."""
    done = sandbox.tatami(swarmed.root, "fsck", "--repair", "--json")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (64, "needs_yes")
    done = sandbox.tatami(swarmed.root, "fsck", "--repair", "--yes", "--json")
    assert done.returncode == 0
    expected = {"quarantine": "", "set_aside": [], "done": [], "missing": []}
    assert json.loads(done.stdout)["repair"] == expected


def test_a_hub_gives_a_pack_its_index_back(swarmed: Swarmed) -> None:
    """A lost index is no leftover: the pack under it was acknowledged. Once it was deleted."""
    pack = pack_of(swarmed, swarmed.acked[0])
    pack.with_suffix(".idx").unlink()
    with tatami.Swarm.open(str(swarmed.root)) as swarm:
        swarm.stop()
    sandbox.tatami(swarmed.root, "stop")
    assert swarmed.check().problems == ()


def test_a_hub_writes_emptied_keep_refs_again(swarmed: Swarmed) -> None:
    """jj's keep refs are not synced; a power cut empties one, and git refuses the repository."""
    commit = sandbox.git(swarmed.root, "rev-parse", "main")
    ref = swarmed.common / "refs/jj/keep" / commit
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_bytes(b"")
    assert torn.mend(find(str(swarmed.root))) == [f"refs/jj/keep/{commit} was written anew"]
    assert sandbox.git(swarmed.root, "rev-parse", f"refs/jj/keep/{commit}") == commit


def test_a_marker_is_made_anew(swarmed: Swarmed) -> None:
    """The operation log and the place of its files say what was in it."""
    place = find(str(swarmed.root))
    before = marker(place)
    (swarmed.common / "tatami/tatami.json").write_text('{"format": 1, "trunk": "mbin"}')
    assert swarmed.broken() == {"branches", "trunk"}
    assert mended(swarmed).report.ok
    assert marker(place) == before
