"""Tables of a configuration, read key by key: wrong types and unknown keys are errors that name file and key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime

from ..scanner.schema import suggest
from ..scanner.startup import Any, NoReturn
from .files import ConfigurationError

_TEXTS, _GLOB = 1000, 500
"""Items of a list, characters of a path pattern; more are refused."""


class Table:
    """A table of a file. Each method takes a key out, None where it is not there, and raises ConfigurationError.

    `name` is the table's own key, "" at the top: `rules.unpinned-image`, `per-path[0]`.
    """

    def __init__(self, path: str, tree: Mapping[str, Any], name: str = "") -> None:
        self.path = path
        self.name = name
        self._tree = tree
        self._taken: list[str] = []

    def flag(self, key: str) -> bool | None:
        """A truth value."""
        value = self._take(key)
        return value if value is None or isinstance(value, bool) else self._refuse(key, "true or false", value)

    def text(self, key: str, *, needed: bool = False) -> str | None:
        """A text; with `needed`, its absence is an error."""
        value = self._take(key)
        if value is None and needed:
            raise self.error(key, "is missing")
        return value if value is None or isinstance(value, str) else self._refuse(key, "a text", value)

    def quantity(self, key: str) -> str | None:
        """A whole number, or a text that stands for one, as a text."""
        value = self._take(key)
        if value is None or isinstance(value, str) or type(value) is int:
            return value if value is None else str(value)
        return self._refuse(key, "a whole number or a text", value)

    def line(self, key: str, limit: int) -> str:
        """A text of one line, at most `limit` printable characters, which must be there."""
        value = " ".join((self.text(key, needed=True) or "").split())
        if not value.isprintable() or not 0 < len(value) <= limit:
            raise self.error(key, f"must have between 1 and {limit} printable characters")
        return value

    def page(self, key: str, limit: int) -> str:
        """A text of any lines, at most `limit` printable characters; "" where there is none."""
        text = (self.text(key) or "").expandtabs().strip()
        if len(text) > limit or not all(line.isprintable() for line in text.split("\n")):
            raise self.error(key, f"must have at most {limit} printable characters")
        return text

    def day(self, key: str) -> str | None:
        """A day, as a date or as a text of the form YYYY-MM-DD."""
        value = self._take(key)
        try:
            if isinstance(value, str) and len(value) == len("YYYY-MM-DD"):
                value = date.fromisoformat(value)
        except ValueError:
            pass
        if value is None:
            return None
        if isinstance(value, date) and not isinstance(value, datetime):
            return value.isoformat()
        raise self.error(key, "must be a day of the form YYYY-MM-DD")

    def choice(self, key: str, words: Iterable[str]) -> str | None:
        """One of several words."""
        value, known = self.text(key), tuple(words)
        if value is None or value in known:
            return value
        hint = suggest(value, known)
        raise self.error(key, f"is '{_short(value)}', which is none of {', '.join(known)}{hint and f'; {hint}'}")

    def glob(self, key: str, *, needed: bool = True) -> str:
        """A pattern of paths; "" where there is none and none is needed."""
        value = self.text(key, needed=needed)
        if value is None:
            return ""
        if not 0 < len(value) <= _GLOB:
            raise self.error(key, f"must have between 1 and {_GLOB} characters")
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of texts."""
        value = self._take(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self._refuse(key, "a list of texts", value)
        self._bound(key, value)
        return tuple(value)

    def items(self, key: str) -> list[Any] | None:
        """A list of anything."""
        value = self._take(key)
        if value is None:
            return None
        if not isinstance(value, list):
            self._refuse(key, "a list", value)
        self._bound(key, value)
        return value

    def table(self, key: str) -> Table:
        """A table within; an empty one where it is not there."""
        value = self._take(key)
        if value is not None and not isinstance(value, dict):
            self._refuse(key, "a table", value)
        return Table(self.path, value or {}, self._whole(key))

    def tables(self, key: str) -> list[Table]:
        """An array of tables, `[[key]]`."""
        return [self.within(key, index, one) for index, one in enumerate(self.items(key) or ())]

    def within(self, key: str, index: int, value: Any) -> Table:  # noqa: ANN401 - it is checked here
        """A table that is an item of the list `key`."""
        if not isinstance(value, dict):
            self._refuse(f"{key}[{index}]", "a table", value)
        return Table(self.path, value, f"{self._whole(key)}[{index}]")

    def like(self, key: str, model: Any) -> Any:  # noqa: ANN401 - of the type of the model
        """A value of the type of `model`; a list becomes the model's own kind of collection."""
        if isinstance(model, bool):
            return self.flag(key)
        if isinstance(model, str):
            return self.text(key)
        if isinstance(model, (list, tuple, set, frozenset)):
            found = self.texts(key)
            return found if found is None else type(model)(found)
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float) if isinstance(model, float) else type(model)):
            self._refuse(key, _WORDS.get(type(model), "a table"), value)
        return value

    def __iter__(self) -> Iterator[str]:
        """The keys that are there."""
        return iter(self._tree)

    def close(self) -> None:
        """Nothing else may be there. Raises ConfigurationError for a key that was not taken."""
        for key in self._tree:
            if key not in self._taken:
                hint = suggest(key, self._taken)
                raise self.error(key, f"is unknown; {hint or 'there are ' + ', '.join(self._taken)}")

    def error(self, key: str, message: str) -> ConfigurationError:
        """An error to raise about a key."""
        return ConfigurationError(self.path, f"'{_short(self._whole(key))}' {message}")

    def _take(self, key: str) -> Any:  # noqa: ANN401 - TOML
        self._taken.append(key)
        return self._tree.get(key)

    def _whole(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key

    def _bound(self, key: str, value: list[Any]) -> None:
        if len(value) > _TEXTS:
            raise self.error(key, f"has more than {_TEXTS} items")

    def _refuse(self, key: str, wanted: str, value: object) -> NoReturn:
        raise self.error(key, f"must be {wanted}, not {_WORDS.get(type(value), 'a date or time')}")


_WORDS = {
    bool: "true or false",
    str: "a text",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
    type(None): "missing",
}


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"  # noqa: PLR2004 - a line's worth
