"""The main job: inputs in, a result out. The public API is `scan`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from .config.files import ConfigurationError
from .config.policies import Policies, Policy
from .desks import Desk, Staff
from .inputs import Input, gather
from .rules.catalogue import of_all
from .rules.engine import Outcome
from .rules.funnel import Funnel, Options, Result, accept, choose, hygiene
from .scanner.labels import LabelFinder
from .scanner.subjects import Place, Problem

TYPE_CHECKING = False  # a baseline's modules are imported where there is one: start-up is a feature
if TYPE_CHECKING:
    from .rules.baseline import Baseline
    from .rules.entries import Entries


def scan(
    paths: Sequence[str],
    *,
    options: Options | None = None,
    merge: bool = False,
    config: str | None = None,
    baseline: str | None = None,
) -> Result:
    """Scan specs, packages, images and directories; what cannot be read is in the result's problems.

    `config` is a configuration file to judge by, `options` what to judge by without one; none is looked for. Findings
    that are in the file `baseline` are not in the result's findings. Nothing is raised for bad input, nothing is
    written, no network is used. Raises UsageError for a configuration or baseline that cannot be used, ValueError for
    options and configuration at once.

    Images are read in this process: unlike the command line, nothing shuts their readers in, and a decoder that crashes
    ends the caller. For images of strangers, run `lkscan --format json`.
    """
    known = accepted(baseline)
    if config is not None:
        if options is not None:
            raise ValueError("give either options or a configuration")
        return scan_judged(gather(paths, merge=merge), Policies(config=config, scanned=paths), known)
    return scan_inputs(gather(paths, merge=merge), options or Options(), LabelFinder(), known)


def accepted(path: str | None) -> Baseline | None:
    """The baseline in a file, if one is given. Raises UsageError."""
    if path is None:
        return None
    from .baselines import load

    return load(path)


def scan_inputs(
    inputs: Iterable[Input | Problem], options: Options, labels: LabelFinder, baseline: Baseline | None = None
) -> Result:
    """Scan what `inputs.gather` found, all by the same options, with the labels of images from `labels`."""
    policy = Policy(choose(of_all(), options), of_all, options, labels)
    return scan_judged(inputs, lambda _: policy, baseline)


def scan_judged(
    inputs: Iterable[Input | Problem],
    policy_of: Callable[[str], Policy],
    baseline: Baseline | None = None,
    staff: Staff | None = None,
) -> Result:
    """Scan what `inputs.gather` found, each input by the policy of its (first) path, and leave out what is known.

    Specs are read here, images by the `staff`. An input whose configuration cannot be used is not scanned, and that is
    a problem of the result.
    """
    desks: dict[int, Desk] = {}
    images: list[tuple[Input, Policy]] = []
    policies: dict[int, Policy] = {}
    problems: list[Problem] = []
    order: list[str] = []
    judged: list[str] = []
    for one in inputs:
        if isinstance(one, Problem):
            order.append(one.place.artifacts[0])
            problems.append(one)
            continue
        order += one.paths
        try:
            policy = _policy_of(one, policy_of)
        except ConfigurationError as error:
            problems.append(Problem(Place((error.path,)), error.message, "unusable"))
            continue
        judged += one.paths
        policies[id(policy)] = policy
        if one.kind == "image":
            images.append((one, policy))
            continue
        if id(policy) not in desks:
            desks[id(policy)] = Desk(policy)
        desks[id(policy)].take(one)
    parts = [desk.result() for desk in desks.values()]
    if images:
        from .imaging import judge

        found, failures = judge(images, staff or Staff())
        parts += found
        problems += failures
    unread = {one.place.artifacts[0] for one in (*problems, *(one for part in parts for one in part.problems))}
    registers = {id(one.entries): one for one in reversed(policies.values())}
    for policy in reversed(registers.values()):
        if policy.entries:
            parts.append(_hygiene(policy, policy.entries, unread))
            judged.append(policy.entries.path)
    if len(parts) == 1 and not problems:
        result = parts[0]
    else:
        from .rules.joining import join

        result = join(parts, order, problems)
    return result if baseline is None else accept(result, baseline, judged)


def _policy_of(one: Input, policy_of: Callable[[str], Policy]) -> Policy:
    policy = policy_of(one.paths[0])
    return policy.for_images() if one.kind == "image" else policy


def _hygiene(policy: Policy, entries: Entries, unread: Iterable[str]) -> Result:
    """What the rules about directives say of those in a configuration, now that it is known what came of each."""
    funnel, counts = Funnel(policy.rules, policy.options), Counter[tuple[str, Outcome]]()
    for finding in hygiene(entries.outcomes(policy.rules, unread), policy.rules, counts):
        funnel.add(finding)
    return funnel.result(counts)
