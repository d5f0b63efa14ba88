"""Family S: whether LinuxKit itself would accept a spec, and what of it LinuxKit no longer heeds."""

from collections.abc import Iterator

from ..scanner.startup import Literal, late
from ..scanner.subjects import Change, Spec, Violation
from .engine import Fix, Profile, Severity, Verdict, fail, rule

_INDEX = late(r"\[\d+\]")
_REFUSED = ("3.1.2",)


def violations(spec: Spec, kind: Literal["yaml", "schema", "build", "capability"]) -> Iterator[Verdict]:
    """One failure for each violation of a kind, told apart by its path of keys: lines, indices and wordings change."""
    for violation in spec.violations:
        if violation.kind == kind:
            key = _INDEX.sub("[]", violation.place.pointer)
            yield fail(spec.kind, violation.place, _phrase(violation), key=key, fix=_fix(violation))


def _fix(violation: Violation) -> Fix | None:
    """What LinuxKit refuses it has not built so far: a cure has no effect that anybody could miss."""
    if violation.cure is None:
        return None
    change, certain = violation.cure
    verb = {"rename": f"call the key '{change.text}'", "remove": "remove the key"}.get(change.action, "")
    return Fix(verb or "write the value as LinuxKit takes it", (change,), safe=certain)


def is_parsed(spec: Spec) -> bool:
    """Whether there is anything behind the text to judge."""
    return all(violation.kind != "yaml" for violation in spec.violations)


def _is_spec(spec: Spec) -> bool:
    return spec.kind == "spec"


def _phrase(violation: Violation) -> str:
    """The reason and the hint, fit to stand in single quotes inside a sentence."""
    text = f"{violation.message.rstrip('.')} ({violation.hint.rstrip('.')})" if violation.hint else violation.message
    return text.rstrip(".").replace("'", '"')


@rule(
    "LKS001",
    "unparsable-yaml",
    Severity.MEDIUM,
    "LinuxKit cannot read the file: '{0}'.",
    remedy="Mend the YAML at the position named; nothing else in the file was checked.",
    nist=_REFUSED,
)
def unparsable_yaml(spec: Spec) -> Iterator[Verdict]:
    """The file is no YAML that LinuxKit can read."""
    yield from violations(spec, "yaml")


@rule(
    "LKS002",
    "schema-violation",
    Severity.MEDIUM,
    "LinuxKit refuses the file: '{0}'.",
    remedy="Correct the key or the type of its value as LinuxKit's schema wants it.",
    nist=_REFUSED,
    about=is_parsed,
    autofix="safe",
)
def schema_violation(spec: Spec) -> Iterator[Verdict]:
    """A key or a type is not what LinuxKit's schema allows."""
    yield from violations(spec, "schema")


@rule(
    "LKS003",
    "build-failure",
    Severity.MEDIUM,
    "The build stops: '{0}'.",
    remedy="Correct the value; LinuxKit stops at it when it builds.",
    nist=_REFUSED,
    about=is_parsed,
)
def build_failure(spec: Spec) -> Iterator[Verdict]:
    """The schema is met, but LinuxKit's build stops at a value."""
    yield from violations(spec, "build")


@rule(
    "LKS004",
    "trust-section-ignored",
    Severity.MEDIUM,
    "The section '{0}' has no effect: LinuxKit no longer verifies signatures of images.",
    remedy="Remove the section, and pin the images by digest.",
    nist=("3.1.5",),
    profile=Profile.PEDANTIC,
    about=_is_spec,
    autofix="safe",
)
def trust_section_ignored(spec: Spec) -> Iterator[Verdict]:
    """A `trust` section promises signed images, and LinuxKit ignores it."""
    place = spec.sections.get("trust")
    if place is not None:
        fix = Fix("remove the section", (Change("remove", place),))
        yield fail(spec.kind, place, "trust", note="accepted by the schema, read by nothing", fix=fix)


@rule(
    "LKS009",
    "further-document-ignored",
    Severity.MEDIUM,
    "LinuxKit reads the first YAML document only: all that follows '{0}' is ignored.",
    remedy="Move the further documents to files of their own and build them together, or remove them.",
    nist=_REFUSED,
    about=is_parsed,
)
def further_document_ignored(spec: Spec) -> Iterator[Verdict]:
    """The file holds more than one YAML document, and LinuxKit silently ignores all but the first."""
    if spec.ignored is not None:
        yield fail(spec.kind, spec.ignored, "---", note="from here on, nothing is read")


RULES = (unparsable_yaml, schema_violation, build_failure, trust_section_ignored, further_document_ignored)
