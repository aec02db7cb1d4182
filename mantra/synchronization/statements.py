"""The statements on the table of a synchronisation, as each engine writes them. Names are quoted, values are bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.base import Adapter

Values = Sequence[Any]
#: Rows of one statement, and the values that it binds, at most: SQL Server takes 2,100.
MAX_ROWS, MAX_VALUES = 200, 1_800
#: Engines that have no statement for several rows that are new or changed: there it is a batch of the server's own
#: language, or one row after the other.
_BATCHES, _ONE_BY_ONE = ("sqlserver", "sybase"), ("oracle",)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with its values, by name."""

    text: str
    values: dict[str, Any]


class _Writer:
    """Collects the values of a statement, and returns their placeholders."""

    def __init__(self, paramstyle: str) -> None:
        self._pattern = "%({})s" if paramstyle == "pyformat" else ":{}"
        self.values: dict[str, Any] = {}

    def bind(self, value: Any) -> str:
        name = f"v{len(self.values)}"
        self.values[name] = value
        return self._pattern.format(name)

    def listed(self, values: Values) -> str:
        return ", ".join(map(self.bind, values))


class Table:
    """A table with the columns that are filled, those of the key first, and the column that marks deleted rows."""

    def __init__(
        self, adapter: Adapter, schema: str, name: str, columns: Sequence[str], keys: int, mark: str = ""
    ) -> None:
        self._adapter, self._keys = adapter, keys
        self._name = self._quoted(schema, name)
        self._columns = [self._quoted(column) for column in columns]
        self._mark = self._quoted(mark) if mark else ""

    def _quoted(self, *names: str) -> str:
        text = ".".join(map(self._adapter.quoted, names))
        return text.replace("%", "%%") if self._adapter.paramstyle == "pyformat" else text

    def set_size(self) -> int:
        """Return for how many rows a statement is at most."""
        columns = len(self._columns) + bool(self._mark)
        factor = 2 if self._adapter.engine in _BATCHES else 1
        return max(1, min(MAX_ROWS, MAX_VALUES // (factor * columns + self._keys)))

    def _writer(self) -> _Writer:
        return _Writer(self._adapter.paramstyle)

    def _all(self) -> list[str]:
        return [*self._columns, self._mark] if self._mark else self._columns

    def _among(self, writer: _Writer, keys: Sequence[Values]) -> str:
        """Return the condition for rows with one of these keys."""
        names = self._columns[: self._keys]
        if len(names) == 1:
            return f"{names[0]} IN ({writer.listed([key[0] for key in keys])})"
        return " OR ".join(f"({self._equal(writer, key)})" for key in keys)

    def _equal(self, writer: _Writer, key: Values) -> str:
        names = self._columns[: self._keys]
        return " AND ".join(f"{name} = {writer.bind(value)}" for name, value in zip(names, key, strict=True))

    # ------------------------------------------------------------------------------------ reading

    def count(self) -> Statement:
        """The number of rows."""
        return Statement(f"SELECT COUNT(*) FROM {self._name}", {})  # noqa: S608 (names are quoted)

    def rows(self, keys: Sequence[Values]) -> Statement:
        """The rows with these keys: the columns, then the mark."""
        writer = self._writer()
        text = f"SELECT {', '.join(self._all())} FROM {self._name} WHERE {self._among(writer, keys)}"  # noqa: S608
        return Statement(text, writer.values)

    def keys(self) -> Statement:
        """The keys of all rows, each with the mark."""
        names = self._columns[: self._keys] + ([self._mark] if self._mark else [])
        return Statement(f"SELECT {', '.join(names)} FROM {self._name}", {})  # noqa: S608

    # ------------------------------------------------------------------------------------ writing

    def rehearsals(self) -> list[Statement]:
        """Statements that need the rights of the others and change nothing."""
        names, first = ", ".join(self._all()), self._columns[0]
        return [
            Statement(f"INSERT INTO {self._name} ({names}) SELECT {names} FROM {self._name} WHERE 1 = 0", {}),  # noqa: S608
            Statement(
                f"UPDATE {self._name} SET {', '.join(f'{each} = {each}' for each in self._updated() or [first])}"  # noqa: S608
                " WHERE 1 = 0",
                {},
            ),
        ]

    def _updated(self) -> list[str]:
        return self._all()[self._keys :]

    def puts(self, rows: Sequence[Values]) -> list[Statement]:
        """What makes these rows be in the table: one statement, or several where the engine has none for it.

        A row has the columns' values, and that of the mark if there is one. Each statement is right however often it
        runs: what is there already is overwritten by the same values.
        """
        engine = self._adapter.engine
        if engine in _ONE_BY_ONE:
            return [self._put_one(row) for row in rows]
        if engine in _BATCHES:
            return [self._put_batch(rows)]
        writer = self._writer()
        lines = ", ".join(f"({writer.listed(row)})" for row in rows)
        text = f"INSERT INTO {self._name} ({', '.join(self._all())}) VALUES {lines} {self._on_conflict()}"  # noqa: S608
        return [Statement(text, writer.values)]

    def _on_conflict(self) -> str:
        updated = self._updated()
        if self._adapter.engine == "mysql":
            # A table of key columns only: a row that is there stays as it is.
            updated = updated or self._columns[:1]
            return "ON DUPLICATE KEY UPDATE " + ", ".join(f"{name} = VALUES({name})" for name in updated)
        conflict = f"ON CONFLICT ({', '.join(self._columns[: self._keys])}) DO "
        if not updated:
            return conflict + "NOTHING"
        return conflict + "UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in updated)

    def _update(self, writer: _Writer, row: Values) -> str:
        updated = self._updated()
        pairs = zip(updated or self._columns[:1], row[self._keys :] if updated else row[:1], strict=True)
        assigned = ", ".join(f"{name} = {writer.bind(value)}" for name, value in pairs)
        return f"UPDATE {self._name} SET {assigned} WHERE {self._equal(writer, row[: self._keys])}"  # noqa: S608

    def _insert(self, writer: _Writer, row: Values) -> str:
        return f"INSERT INTO {self._name} ({', '.join(self._all())}) VALUES ({writer.listed(row)})"  # noqa: S608

    def _put_batch(self, rows: Sequence[Values]) -> Statement:
        writer, lines = self._writer(), []
        for row in rows:
            lines += [self._update(writer, row), f"IF @@ROWCOUNT = 0 {self._insert(writer, row)}"]
        return Statement("\n".join(lines), writer.values)

    def _put_one(self, row: Values) -> Statement:
        """A MERGE of one row. Its values stand where a column tells their type."""
        writer = self._writer()
        keys = zip(self._columns[: self._keys], row[: self._keys], strict=True)
        lines = [
            f"MERGE INTO {self._name} d USING dual",
            f"ON ({' AND '.join(f'd.{name} = {writer.bind(value)}' for name, value in keys)})",
        ]
        if updated := self._updated():
            pairs = zip(updated, row[self._keys :], strict=True)
            assigned = ", ".join(f"d.{name} = {writer.bind(value)}" for name, value in pairs)
            lines.append(f"WHEN MATCHED THEN UPDATE SET {assigned}")
        lines.append(f"WHEN NOT MATCHED THEN INSERT ({', '.join(self._all())})")
        lines.append(f"VALUES ({writer.listed(row)})")
        return Statement(" ".join(lines), writer.values)

    def mark(self, keys: Sequence[Values], value: Any) -> Statement:
        """What marks the rows with these keys as deleted."""
        writer = self._writer()
        text = f"UPDATE {self._name} SET {self._mark} = {writer.bind(value)} WHERE {self._among(writer, keys)}"  # noqa: S608
        return Statement(text, writer.values)
