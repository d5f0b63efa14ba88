"""Paths as code hosts want them: relative to the root of the working tree."""

from __future__ import annotations

import posixpath

from .formats import Options


def from_root(path: str, options: Options) -> str:
    """The path of an input, from the root of the checkout, or else from the folder lkscan ran in, where it is below it.

    Elsewhere it stays as it is.
    """
    short = posixpath.normpath(path)
    if options.root and short.startswith(f"{options.root.rstrip('/')}/"):
        short = posixpath.relpath(short, options.root)
    if options.checkout and options.root and not short.startswith("/"):
        return posixpath.normpath(posixpath.join(posixpath.relpath(options.root, options.checkout.root), short))
    return short
