"""How each input is judged: the command line over the overrides for its path, over its file, over the defaults."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial

from ..rules.catalogue import of_all, of_specs
from ..rules.engine import Profile, Rule, Severity
from ..rules.funnel import Options, choose, unknown
from ..scanner.labels import LabelError, LabelFinder
from ..scanner.source import Limits
from ..scanner.startup import Any, Literal, NamedTuple
from ..scanner.subjects import Problem
from ..terminal import UsageError, complain, folder
from .files import ConfigurationError, Finder, is_within, repository

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..rules.entries import Entries
    from .settings import PerPath, Settings

_STDIN = "-"


LINUXKIT = "linuxkit"
"""The profile that asks whether LinuxKit's promises are kept: all of them selected, unless something else is."""
PROMISES = ("promise:*",)


class Overrides(NamedTuple):
    """What the command line asks for; None where it leaves the word to the configuration."""

    profile: Profile | Literal["linuxkit"] | None = None
    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    fail_on: str | None = None
    packages: str | None = None
    cache: str | None = None
    require_reason: bool | None = None
    heed: bool = True
    limits: Mapping[str, int] = {}
    budget: Mapping[str, int] = {}


DEFAULTS = Overrides(Profile.REGULAR, (), (), fail_on="medium", require_reason=False)
"""What holds where nobody says anything."""


class Policy(NamedTuple):
    """How some inputs are judged: by which of the rules that `known` gives, with which options, labels from where.

    `fail_on` is the least severity that fails a run, None when nothing does. `entries`: what a configuration silences.
    `problems` are those of a configuration that can be used all the same. `limits` are what an image may cost.
    `whole` is there where `rules` are only those about specs. `budget` says how many bytes images ("") and components
    of them may have.
    """

    rules: tuple[Rule, ...]
    known: Callable[[], tuple[Rule, ...]]
    options: Options
    labels: LabelFinder
    fail_on: Severity | None = None
    entries: Entries | None = None
    problems: tuple[Problem, ...] = ()
    limits: Limits = Limits()
    whole: Callable[[], Policy] | None = None
    budget: Mapping[str, int] = {}

    def for_images(self) -> Policy:
        """The policy itself, or where it has only rules about specs, the same with all (always the same object)."""
        return self.whole() if self.whole else self


class Policies:
    """Gives the policy of each input, the same object to those that are judged alike."""

    def __init__(
        self,
        overrides: Overrides | None = None,
        *,
        config: str | None = None,
        search: bool = True,
        scanned: Sequence[str] = (),
    ) -> None:
        """With `config`, that file governs all; else each the nearest one, unless `search` is off.

        `scanned` are the paths that the user names; what a configuration silences is unused only where all was scanned.
        Raises ConfigurationError where the file `config` cannot be used.
        """
        order = overrides or Overrides()
        self.overrides = order._replace(ignore=() if order.select and order.ignore is None else order.ignore)
        """What the command line asks for; the rules that it selects are not left out by the file."""
        self._finder = Finder() if search and config is None else None
        self._config = config
        self._settings: dict[str | None, Settings | ConfigurationError] = {}
        self._policies: dict[tuple[str | None, tuple[int, ...]], Policy] = {}
        self._scanned = [absolute(path) for path in scanned]
        self._entries: dict[str, Entries] = {}
        self._labels: dict[tuple[str | None, str | None], LabelFinder] = {}
        if config is not None:
            self._load(config)

    def __call__(self, path: str) -> Policy:
        """The policy for an input of this path. Raises ConfigurationError, or UsageError for the order."""
        governing = self.governing(path)
        if governing is None:
            return self._policy(None, ())
        return self._policy(governing, self._fitting(governing, _below(governing, path)))

    def governing(self, path: str) -> str | None:
        """The configuration file that governs an input of this path, as it is shown; None without one."""
        if self._finder is None:
            return self._config
        start = folder() if path == _STDIN else absolute(path)
        found = self._finder.nearest(start if path == _STDIN or os.path.isdir(start) else os.path.dirname(start))
        return os.path.relpath(found, folder()) if found else None

    def rules(self, path: str) -> tuple[tuple[Rule, ...], tuple[Problem, ...]]:
        """All rules that there are to an input of this path, and what is wrong with plugins."""
        file = self.settings(self.governing(path))
        if file is None:
            return of_all(), ()
        return configured(file.rules, file.severities, file.parameters), file.problems

    def settings(self, path: str | None) -> Settings | None:
        """What a configuration file says. Raises ConfigurationError."""
        return None if path is None else self._load(path)

    def _fitting(self, governing: str, relative: str) -> tuple[int, ...]:
        """The numbers of the overrides that fit a path."""
        overrides = self._load(governing).per_path
        if not overrides:
            return ()
        from ..rules.globs import fits

        return tuple(number for number, one in enumerate(overrides) if fits(relative, one.path))

    def _load(self, path: str) -> Settings:
        if path not in self._settings:
            from .files import load
            from .settings import settings

            try:
                self._settings[path] = settings(path, *load(path, named=path == self._config), of_all())
            except ConfigurationError as error:
                self._settings[path] = error
        found = self._settings[path]
        if isinstance(found, ConfigurationError):
            raise found
        return found

    def _policy(self, path: str | None, fitting: tuple[int, ...]) -> Policy:
        key = (path, fitting)
        if key not in self._policies:
            settings = self._load(path) if path else None
            self._policies[key] = self._merged(settings, [settings.per_path[i] for i in fitting] if settings else [])
        return self._policies[key]

    def _merged(self, file: Settings | None, special: list[PerPath]) -> Policy:
        """The policy of a configuration file, if any, with those of its overrides that fit a path, in order."""
        order = self.overrides
        is_plain = not (file or order.select or order.ignore or order.profile == LINUXKIT)
        known = _ruled(file, special) if file else of_specs() if is_plain else of_all()
        for text in unknown((*(order.select or ()), *(order.ignore or ())), known):
            from .settings import stranger

            raise UsageError(stranger(text, known))
        layers = (order, *reversed(special), file, DEFAULTS) if file else (order, DEFAULTS)
        options = self._options(layers, file, special)
        fail_on = _first(layers, "fail_on")
        policy = Policy(
            choose(known, options),
            of_all if is_plain else lambda: known,
            options,
            self._finder_of(file),
            None if fail_on == "never" else Severity[fail_on.upper()],
            self._entries_of(file) if file and file.entries and order.heed else None,
            file.problems if file else (),
            self._limits(file),
            budget={**file.budget, **order.budget} if file else order.budget,
        )
        return policy._replace(whole=cache(lambda: policy._replace(rules=of_all()))) if is_plain else policy

    def _options(self, layers: Sequence[object], file: Settings | None, special: list[PerPath]) -> Options:
        """What to choose of the rules and to show: of each option the first word that a layer has."""
        profile, select = _first(layers, "profile"), _first(layers, "select")
        if profile == LINUXKIT:
            profile, select = Profile.REGULAR, select or PROMISES
        ignore = self.overrides.ignore
        if ignore is None:  # what the command line ignores takes the place of the file's; the file's own lists add up
            ignore = (*((file and file.ignore) or ()), *(text for one in special for text in one.ignore))
        required = _first(layers, "require_reason")
        return Options(profile, select, ignore, heed=self.overrides.heed, require_reason=required)

    def _limits(self, file: Settings | None) -> Limits:
        """What an image may cost. Raises ConfigurationError for a file that was found and raises what protects us."""
        own = file.limits if file else {}
        if not own and not self.overrides.limits:
            return Limits()
        from ..limits import merged, raised

        if file and file.path != self._config and (names := raised(own)):
            text = f"'limits.{names[0]}' is raised; only --limit, or a file that --config names, may do that"
            raise ConfigurationError(file.path, text)
        return merged(self.overrides.limits, own)

    def _entries_of(self, file: Settings) -> Entries:
        """What a file silences: one register for all that it governs."""
        if file.path not in self._entries:
            from ..rules.entries import Entries

            required = bool(_first((self.overrides, file, DEFAULTS), "require_reason"))
            found = [one._replace(ignore=one.ignore._replace(required=required)) for one in file.entries]
            base = os.path.dirname(absolute(file.path))
            whole = any(os.path.isdir(one) and f"{base}/".startswith(f"{one.rstrip('/')}/") for one in self._scanned)
            below = partial(_below, file.path)
            self._entries[file.path] = Entries(found, file.rules, below, whole=whole)
        return self._entries[file.path]

    def _finder_of(self, file: Settings | None) -> LabelFinder:
        """Where images' labels are looked for. Raises ConfigurationError or UsageError for a useless folder."""
        order = self.overrides
        packages, cache = order.packages, order.cache
        if file and packages is None and file.packages is not None:
            packages = self._beside(file, "packages", file.packages)
        if file and cache is None and file.cache is not None:
            cache = self._beside(file, "cache", file.cache)
        key = (packages, cache)
        if key not in self._labels:
            try:
                self._labels[key] = labels(*key)
            except LabelError as error:
                if file and key != (order.packages, order.cache):
                    raise ConfigurationError(file.path, f"'packages' or 'cache': {error}") from None
                raise UsageError(str(error)) from None
        return self._labels[key]

    def _beside(self, file: Settings, key: str, named: str) -> str:
        """A folder that a configuration names, as seen from here.

        A file that was found, and not named by the user, may be of somebody who is not to make us read everywhere.
        """
        found = os.path.join(os.path.dirname(file.path), os.path.expanduser(named))
        if file.path != self._config and not is_within(found, repository(os.path.dirname(absolute(file.path)))):
            text = f"'{key}' leads out of the repository; only a file that --config names may do that"
            raise ConfigurationError(file.path, text)
        return found


def _ruled(file: Settings, special: Iterable[PerPath]) -> tuple[Rule, ...]:
    """The rules as a configuration file has them for a path that these of its overrides fit; the last one counts."""
    severities = dict(file.severities)
    for one in special:
        severities.update(one.severities)
    return configured(file.rules, severities, file.parameters)


def configured(
    rules: Iterable[Rule], severities: Mapping[str, Severity], parameters: Mapping[str, Mapping[str, Any]]
) -> tuple[Rule, ...]:
    """The rules with severities and parameters that a user set, by rule id."""
    return tuple(
        rule._replace(
            severity=severities.get(rule.id, rule.severity),
            settled=rule.id in severities,
            parameters={**rule.parameters, **parameters.get(rule.id, {})},
        )
        if rule.id in severities or rule.id in parameters
        else rule
        for rule in rules
    )


def labels(packages: str | None, cache: str | None) -> LabelFinder:
    """Where images' labels are looked for; LinuxKit's own cache where none is named. Raises LabelError."""
    default = os.environ.get("LINUXKIT_CACHE") or os.path.expanduser("~/.linuxkit/cache")
    if cache is not None or not os.path.isfile(os.path.join(default, "index.json")):
        return LabelFinder(packages=packages, cache=cache)
    finder = LabelFinder(packages=packages)
    try:
        found = LabelFinder(packages=packages, cache=default)
    except LabelError as error:  # nobody asked for it: it is left out, and that is said
        complain(f"{error}; going on without it")
        return finder
    found.layers = None
    return found


def _below(config: str, path: str) -> str:
    """The path as patterns in a configuration have it: relative to its folder."""
    return os.path.relpath(absolute(path), os.path.dirname(absolute(config))).replace(os.sep, "/")


def absolute(path: str) -> str:
    """The path from the root, links in it as they are."""
    return os.path.normpath(os.path.join(folder(), path))


def _first(layers: Iterable[object], key: str) -> Any:  # noqa: ANN401 - of the type of the key
    """What the first of the layers says that has a word on it."""
    return next(value for layer in layers if (value := getattr(layer, key, None)) is not None)
