"""Paths as code hosts want them: relative to the root of the working tree."""

from __future__ import annotations

import posixpath


def from_root(path: str, root: str, top: str = "") -> str:
    """The path of an input, from the folder `top`, or else from `root`, the folder lkscan ran in; absolute elsewhere.

    Both are absolute, and "" where they are not known.
    """
    short = posixpath.normpath(path)
    if root and short.startswith(f"{root.rstrip('/')}/"):
        short = posixpath.relpath(short, root)
    if top and root and not short.startswith("/"):
        return posixpath.normpath(posixpath.join(posixpath.relpath(root, top), short))
    return short
