"""What Tatami is broken with before others break it: clock, disk, network, simulator, invariants.

Nothing here is needed to run Tatami; all of it may be used by whoever builds on it.
"""
