"""A whole swarm in one loop: the real deciders between a model disk and a model network.

One seed decides everything. `world.run(seed)` is all there is to call; `python -m
tatami.testing.simulator` calls it for many.
"""
