"""`lkscan suggest`: print the smallest privileges that an image's programs can do with, as a fragment of a spec."""

from __future__ import annotations

import argparse

from .. import suggesting
from ..evidence import Evidence, cache, gather
from ..inputs import Input
from ..inputs import gather as inputs
from ..ordering import add_configuration, add_labels, add_limits, facts, staff
from ..scanner.subjects import Place, Problem
from ..terminal import INCOMPLETE, OK, USAGE, UsageError, warn

DESCRIPTION = """Tell which capabilities the programs of each container can use at all, whether they write below its
root or open a socket, and print what is left as a fragment of a spec, with the evidence for each line. Three answers:
`used` (a call that needs it is there), `no use found` (nothing that is reached can ask for it), `can't tell` (and why).
Programs are read from the image: for a spec, name the image that was built from it by --image. Without one, the images
that a spec names are read from a cache: the one that --cache names, or LinuxKit's own."""

EPILOG = """exit status:
  0  done
  2  wrong usage, or a path that is no image
  3  an image could not be read whole
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    add = parser.add_argument
    add("paths", metavar="PATH", nargs="+", help="an image or a spec")
    add("--image", metavar="FILE", help="the image that was built from the spec")
    add("-f", "--format", choices=("text", "json"), default="text")
    add("--jobs", metavar="N", type=int, help="read so many images at a time (default: as many as there are CPUs)")
    add_labels(parser)
    add_limits(parser)
    add_configuration(parser)


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
    """The evidence for images and specs, or that of the one image that was named for specs. Raises UsageError."""
    policy_of = facts(order)
    known: list[Input] = []
    problems: list[Evidence] = []
    for one in inputs(paths, images=True):
        if isinstance(one, Problem):
            problems.append(Evidence(one.place.artifacts[0], (), (one,)))
        elif order.image is None and one.kind == "spec" and not cache(policy_of(one.paths[0])):
            problems.append(Evidence(one.paths[0], (), (_without_image(one),)))
        else:
            known.append(one)
    if order.image is None:
        return [*gather(known, policy_of, staff(order)), *problems]
    if not all(one.kind == "spec" for one in known):
        raise UsageError("--image is for specs: name an image by its path alone")
    built = [one for one in inputs([order.image]) if isinstance(one, Input) and one.kind == "image"]
    if len(built) != 1:
        raise UsageError(f"{order.image}: is no image that can be read")
    (found,) = gather(built, policy_of, staff(order))
    return [*(suggesting.for_spec(one, found, policy_of) for one in known), *problems]


def _without_image(one: Input) -> Problem:
    why = (
        "a spec holds no programs, so nothing can be told; name the image that was built from it by --image, "
        "or by --cache a cache that has its images"
    )
    return Problem(Place((one.paths[0],)), why, "unusable")
