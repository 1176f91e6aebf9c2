"""Recovery commits: what a workspace held before something that could have destroyed it."""

from tatami.workspaces.recovery.saved import Saved, saved
from tatami.workspaces.recovery.saving import PREFIX, save

__all__ = ["PREFIX", "Saved", "save", "saved"]
