"""Fuzzes targets for a while: with atheris, guided by coverage, where it is installed.

`python -m tests.fuzz.run [TARGET...] [--seconds 60] [--seed 1]`
`python -m tests.fuzz.run TARGET FILE` repeats a finding.
"""

import argparse
import importlib.util
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.mutate import mutated
from tests.fuzz.seeds import CORPUS, corpus

FOUND = 3
"""Exit code of a target that found something."""
BYTES_MAX = 1 << 16
GUIDED = importlib.util.find_spec("atheris") is not None


def main() -> int:
    """Runs the targets one after another; 1 where one found something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        return _alone(options.targets[0], options.seconds, options.seed)
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - atheris looks on as it is imported

    names = options.targets or list(TARGETS)
    if len(names) == 2 and Path(names[1]).is_file():
        with TARGETS[names[0]]() as target:
            target(Path(names[1]).read_bytes())
        print("nothing was found")
        return 0
    how = "with coverage" if GUIDED else "without coverage (atheris is not installed)"
    print(f"{how}, seed {options.seed}", flush=True)
    codes = {name: _apart(name, options.seconds, options.seed) for name in names}
    found = [name for name, code in codes.items() if code]
    print(f"found something: {', '.join(found)}" if found else "nothing was found")
    return 1 if found else 0


def _apart(name: str, seconds: int, seed: int) -> int:
    """Runs one target in a process of its own, where atheris can instrument what it imports."""
    words = [sys.executable, "-m", "tests.fuzz.run", name, "--alone"]
    words += ["--seconds", str(seconds), "--seed", str(seed)]
    # atheris ends its process without a chance to tidy up.
    with tempfile.TemporaryDirectory(prefix="tatami-fuzz-") as folder:
        environment = os.environ | {"TMPDIR": folder}
        return subprocess.run(words, check=False, env=environment).returncode


def _alone(name: str, seconds: int, seed: int) -> int:
    return _guided(name, seconds, seed) if GUIDED else _blind(name, seconds, seed)


def _blind(name: str, seconds: int, seed: int) -> int:
    """Bytes made from the corpus, whatever they reach."""
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - atheris looks on as it is imported

    seeds = corpus(name)
    until = time.monotonic() + seconds
    count = 0
    with TARGETS[name]() as target:
        for data in mutated(seeds, seed):
            if time.monotonic() > until:
                break
            count += 1
            try:
                target(data)
            except Exception:  # noqa: BLE001 - whatever it is, it is a finding
                return _keep(name, data)
    print(f"{name}: {count} inputs", flush=True)
    return 0


def _guided(name: str, seconds: int, seed: int) -> int:
    """libFuzzer's loop, which looks for new code of ours to reach."""
    atheris = importlib.import_module("atheris")  # It is there on Linux only.

    with atheris.instrument_imports(include=["tatami"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder, TARGETS[name]() as target:
        for number, data in enumerate(corpus(name)):
            Path(folder, str(number)).write_bytes(data)

        def one(data: bytes) -> None:
            try:
                target(data)
            except Exception:
                _keep(name, data)
                raise

        options = [f"-max_total_time={seconds}", f"-seed={seed % (1 << 31)}", "-verbosity=0"]
        limits = [f"-max_len={BYTES_MAX}", "-print_final_stats=1", "-timeout=20"]
        atheris.Setup([sys.argv[0], *options, *limits, folder], one)
        atheris.Fuzz()
    return 0


def _keep(name: str, data: bytes) -> int:
    """Leaves what was found where the tests take it from, and says how to repeat it."""
    import hashlib  # noqa: PLC0415 - findings are rare
    import traceback  # noqa: PLC0415

    digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()[:12]
    path = CORPUS / name / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    traceback.print_exc()
    print(f"found: python -m tests.fuzz.run {name} {path.relative_to(Path.cwd())}", flush=True)
    return FOUND


if __name__ == "__main__":
    sys.exit(main())
