"""Checks that nothing acknowledged is missing and that everything is what its name says."""

from tatami.store.fsck.check import check
from tatami.store.fsck.report import Problem, Report

__all__ = ["Problem", "Report", "check"]
