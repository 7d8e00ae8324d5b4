"""Compose live reception: sockets, the engine, sinks, plugins and listeners, in one process or several.

`Receiver` (receiver.py) is where to start: it reads its sockets in turns, and hands what arrives to a Pipeline
(pipeline.py), which joins the engine to its sinks; overload.py says when calls are left out, listening.py hands streams
to whoever iterates them, workers/ lets several processes share a port. offline.py does the same with capture files.
What decides about packets, files or commands belongs elsewhere.
"""
