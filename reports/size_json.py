"""Sizes as JSON, for programs: an array with an object per image. The keys are a contract, later versions only add.

All sizes are in bytes.

- `path`: of the image. `size`: of all files, unpacked; `packed`: of all as shipped, null where that can't be told.
- `memory`: what the files of an initrd take in memory for good, in whole pages; 0 where nothing is unpacked there.
- `onboot`: how many containers run one after another.
- `components`, the largest first: `{name, layer, size, share, packed, memory, files, parts: [{path, size, files}]}`.
  `packed` is an estimate wherever components are packed as one; null where it can't be told.
- `boot`: `{kernels, initrds, onboot, services}`: the first two `[{place, packed, size}]`, what is unpacked, null where
  that is not told; the others are names, in the order in which containers are started.
- `over_budget`: sentences. `problems`: `[{place, message}]`.
"""

from __future__ import annotations

import json

from ..rules.components import Component, Unpacked
from ..rules.sizes import Report, Sizes
from ..scanner.startup import Any
from .formats import Options
from .printable import encodable


def render(report: Report, options: Options) -> str:  # noqa: ARG001 - as every format
    """The report; see `formats.render`."""
    return json.dumps([_image(one) for one in report.images if one.is_read], indent=1) + "\n"


def _image(sizes: Sizes) -> dict[str, Any]:
    rows = zip(sizes.components, sizes.packed, sizes.held, strict=True)
    return {
        "path": encodable(sizes.path),
        "size": sizes.size,
        "packed": sizes.shipped,
        "memory": sizes.memory,
        "onboot": len(sizes.onboot),
        "components": [_component(*row, sizes.size or 1) for row in rows],
        "boot": {
            "kernels": [_unpacked(one) for one in sizes.kernels],
            "initrds": [_unpacked(one) for one in sizes.initrds],
            "onboot": [encodable(name) for name in sizes.onboot],
            "services": [encodable(name) for name in sizes.services],
        },
        "over_budget": [encodable(str(one)) for one in sizes.excess],
        "problems": [{"place": encodable(str(one.place)), "message": encodable(one.message)} for one in sizes.problems],
    }


def _component(one: Component, packed: int | None, held: int, whole: int) -> dict[str, Any]:
    return {
        "name": encodable(one.name),
        "layer": encodable(str(one.layer)),
        "size": one.size,
        "share": round(one.size / whole, 4),
        "packed": packed,
        "memory": held,
        "files": one.files,
        "parts": [{"path": encodable(part.path), "size": part.size, "files": part.files} for part in one.parts],
    }


def _unpacked(one: Unpacked) -> dict[str, Any]:
    return {"place": encodable(str(one.place)), "packed": one.packed, "size": one.size}
