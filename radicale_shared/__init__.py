"""Shared address books for organisations, served over CardDAV by Radicale.

The rooms of the house and the directions of its imports are drawn in docs/architecture.md.
"""

__version__ = "0.1.0"
