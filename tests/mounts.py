"""Which mounts this machine lets the tests make, and how to go without them."""

import os
import shutil
import tempfile

import pytest

from tatami.workspaces.kinds import overlay

WITHOUT_MOUNTS = ("setpriv", "--bounding-set", "-sys_admin")
"""Runs a command as a user who may not mount for everybody, but in namespaces of his own."""
WITHOUT_NAMESPACES = (
    *("unshare", "--user", "--map-root-user", "sh", "-c"),
    'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"',
    "sh",
)
"""Runs a command as a user who may not even do that."""


def forbidden() -> str:
    """Why overlays cannot be mounted here; "" where they can."""
    place = tempfile.mkdtemp(prefix="tatami-probe-")
    try:
        return overlay.probe(place)
    finally:
        shutil.rmtree(place)


needs_mounts = pytest.mark.skipif(
    bool(forbidden()), reason="overlays cannot be mounted here; root (CAP_SYS_ADMIN) can"
)
needs_privileges = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("setpriv", "unshare"))),
    reason="only root can give up privileges; setpriv and unshare do it",
)
