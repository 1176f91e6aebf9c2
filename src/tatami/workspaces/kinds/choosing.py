"""Decides of which kind a new workspace is: what was asked for, what works here, and what pays."""

import os
import tomllib
from collections.abc import Sequence
from typing import NamedTuple

from tatami import _core
from tatami.values.errors import UsageError
from tatami.values.limits import OVERLAY_FILES_MIN
from tatami.workspaces.core import core_errors
from tatami.workspaces.kinds import lower, overlay, sparse

KINDS = ("auto", "checkout", "overlay", "sparse")
ONLY_INSIDE = "seen inside `tatami run {} -- COMMAND` only, since this user may not mount: {}"
INSTEAD = "a checkout: an overlay is not possible here: {}"


class Wanted(NamedTuple):
    """What is asked of new workspaces. kind: one of `KINDS`. cone: directories of a sparse one."""

    kind: str = "auto"
    cone: tuple[str, ...] = ()


CHECKOUT = Wanted("checkout")


class Chosen(NamedTuple):
    """What they become. tree: of an overlay. visible: whether it can be mounted for everybody."""

    kind: str
    tree: str = ""
    visible: bool = True


def wanted(root: str, kind: str | None, cone: Sequence[str]) -> Wanted:
    """What a caller asks for, completed by `[workspace] kind` in `.tatami/local.toml`.

    Raises `UsageError` for kinds and directories that cannot be.
    """
    directories = tuple(sparse.directories(cone))
    if kind is None:
        kind = "sparse" if directories else _setting(root)
    if kind not in KINDS:
        raise UsageError(
            f"there is no workspace kind {kind!r}; {', '.join(KINDS)} are", fix="--kind auto"
        )
    if directories and kind not in {"sparse", "auto"}:
        raise UsageError(f"a workspace of kind {kind} has all directories", fix="--kind sparse")
    if kind == "sparse" and not directories:
        raise UsageError("a sparse workspace needs directories", fix="--sparse DIR")
    return Wanted("sparse" if directories else kind, directories)


def choose(common: str, commit: str, asked: Wanted) -> Chosen:
    """The kind that a workspace of this commit gets; tries what the machine permits."""
    if asked.kind not in {"auto", "overlay"}:
        return Chosen(asked.kind)
    forbidden = overlay.why_not(common)
    if forbidden and (asked.kind == "auto" or overlay.why_not(common, in_namespaces=True)):
        return Chosen("checkout")
    with core_errors():
        tree = _core.tree_of(common, commit)
        size = lower.size(common, tree) or _core.tree_size(common, tree)
    if asked.kind == "auto" and size < OVERLAY_FILES_MIN:
        # A small checkout costs nothing, and has no mount that `rm -rf` stumbles over.
        return Chosen("checkout")
    return Chosen("overlay", tree, visible=not forbidden)


def note(common: str, asked: Wanted, name: str, kind: str) -> str:
    """What to tell about a new workspace that is not quite what was asked for; "" for nothing."""
    if asked.kind != "overlay":
        return ""
    forbidden = overlay.why_not(common)
    if kind != "overlay":
        return INSTEAD.format(forbidden)
    return ONLY_INSIDE.format(name, forbidden) if forbidden else ""


def _setting(root: str) -> str:
    path = os.path.join(root, ".tatami", "local.toml")
    try:
        with open(path, "rb") as file:
            kind = tomllib.load(file).get("workspace", {}).get("kind", "auto")
    except FileNotFoundError:
        return "auto"
    except (ValueError, AttributeError, RecursionError) as error:
        raise _bad_setting(path, str(error)) from None
    if kind not in KINDS or kind == "sparse":
        raise _bad_setting(path, f"[workspace] kind is {kind!r}, not auto, checkout or overlay")
    return str(kind)


def _bad_setting(path: str, why: str) -> UsageError:
    return UsageError(
        f"{path} cannot be used: {why}", code="bad_settings", fix=f"edit or remove {path}"
    )
