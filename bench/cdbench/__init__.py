"""A CardDAV benchmark over HTTP.

Measuring one server needs the standard library only; ``servers`` (starting the servers to compare) and ``plot`` need
more and are imported by ``run.py`` alone.
"""
