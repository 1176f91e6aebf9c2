"""The Python SDK: agents and swarms, blocking and async, over the hub's socket."""
