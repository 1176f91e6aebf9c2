"""The main job and its measurements as verbs: a replay of real history, a storm of commits."""
