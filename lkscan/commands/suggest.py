"""`lkscan suggest`: print the smallest privileges that an image's programs can do with, as a fragment of a spec."""

from __future__ import annotations

import argparse

from .. import suggesting
from ..evidence import Evidence, gather
from ..inputs import Input
from ..inputs import gather as inputs
from ..ordering import add_configuration, add_limits, facts, staff
from ..scanner.subjects import Place, Problem
from ..terminal import INCOMPLETE, OK, USAGE, UsageError, warn

DESCRIPTION = """Tell which capabilities the programs of each container can use at all, whether they write below its
root or open a socket, and print what is left as a fragment of a spec, with the evidence for each line. Three answers:
`used` (a call that needs it is there), `no use found` (nothing that is reached can ask for it), `can't tell` (and why).
Programs are read from the image: for a spec, name the image that was built from it by --image."""

EPILOG = """exit status:
  0  done
  2  wrong usage, or a path that is no image
  3  an image could not be read whole
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    add = parser.add_argument
    add("paths", metavar="PATH", nargs="+", help="an image, or a spec with --image")
    add("--image", metavar="FILE", help="the image that was built from the spec")
    add("-f", "--format", choices=("text", "json"), default="text")
    add("--jobs", metavar="N", type=int, help="read so many images at a time (default: as many as there are CPUs)")
    add_limits(parser)
    add_configuration(parser)
    parser.set_defaults(packages=None, cache=None)


def run(order: argparse.Namespace) -> int:
    """Read the images and print what is suggested."""
    found = evidence(order, order.paths)
    if order.format == "json":
        print(suggesting.as_json(found))
    else:
        for line in suggesting.as_text(found):
            print(line)
    problems = [problem for one in found for problem in one.problems]
    warn(problems)
    kinds = {problem.kind for problem in problems}
    return INCOMPLETE if "incomplete" in kinds else USAGE if kinds else OK


def evidence(order: argparse.Namespace, paths: list[str]) -> list[Evidence]:
    """The evidence of the images among the paths, or of the one that was named for a spec. Raises UsageError."""
    images: list[Input] = []
    specs: list[Input] = []
    problems: list[Evidence] = []
    for one in inputs(paths, images=True):
        if isinstance(one, Problem):
            problems.append(Evidence(one.place.artifacts[0], (), (one,)))
        else:
            (images if one.kind == "image" else specs).append(one)
    if order.image is None:
        problems += [Evidence(one.paths[0], (), (_without_image(one),)) for one in specs]
        return [*gather(images, facts(order), staff(order)), *problems]
    if images or not specs:
        raise UsageError("--image is for specs: name an image by its path alone")
    built = [one for one in inputs([order.image]) if isinstance(one, Input) and one.kind == "image"]
    if len(built) != 1:
        raise UsageError(f"{order.image}: is no image that can be read")
    (found,) = gather(built, facts(order), staff(order))
    return [*(suggesting.for_spec(one, found, facts(order)) for one in specs), *problems]


def _without_image(one: Input) -> Problem:
    why = "a spec holds no programs, so nothing can be told; name the image that was built from it by --image"
    return Problem(Place((one.paths[0],)), why, "unusable")
