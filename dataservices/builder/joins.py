"""Joins along foreign keys, and by the names of columns where a source has no such keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from adapters.base import ColumnInfo, Key
from dataservices.builder.spec import INNER, LEFT, MAX_NAME, MAX_PAIRS, ColumnRef, Join, Spec, Table
from registry.personal_data import words_of

#: The keys and the columns of tables, by (schema, table) as the schema browser names them.
Keys = Mapping[tuple[str, str], Sequence[Key]]
Columns = Mapping[tuple[str, str], Sequence[ColumnInfo]]

#: Words for what identifies a row.
_CODES = frozenset(("kode", "id", "nomor", "nik", "nip", "nisn", "npsn", "npwp", "kk", "nop"))
#: Those that every table has: their columns in other tables have the table's name too.
_PLAIN = frozenset(("kode", "id", "nomor"))
#: Words with which tables' names begin, but not those of columns that refer to them.
_PREFIXES = frozenset(("m", "mst", "master", "ref", "referensi", "tb", "tbl", "t", "r"))
#: Joins by names that are suggested at most, and columns among which they are looked for.
_MAX_BY_NAMES, _MAX_COLUMNS = 10, 5_000


def suggested_joins(spec: Spec, keys: Keys, columns: Columns | None = None) -> list[Join]:
    """Return the joins by which further tables could be added to a query, the likeliest first.

    These are the tables that foreign keys of its tables refer to, then the tables that refer to its tables. The former
    are LEFT joins, which keep every row; the latter are inner joins, and may give several rows for one. With the
    ``columns`` of tables, both are followed by joins of tables without such a foreign key, by the columns' names.
    """
    found = [*_referred(spec, keys), *_referring(spec, keys)]
    found += _by_names(spec, columns or {}, {(join.table.schema, join.table.name) for join in found})
    present = {join.on for join in spec.joins}
    return list(dict.fromkeys(join for join in found if len(join.on) <= MAX_PAIRS and join.on not in present))


def alias_for(name: str, spec: Spec) -> str:
    """Return an alias for a further table of the query: its name, with a number if that is in use."""
    used = {alias.lower() for alias in spec.aliases}
    candidates = (name if number == 1 else f"{name[: MAX_NAME - 4]}_{number}" for number in range(1, len(used) + 2))
    return next(alias for alias in candidates if alias.lower() not in used)


def _referred(spec: Spec, keys: Keys) -> Iterator[Join]:
    for table in spec.tables:
        for key in keys.get((table.schema, table.name), ()):
            if key.kind == "foreign" and key.target is not None:
                schema, name, columns = key.target
                yield _join(spec, LEFT, Table(schema, name), table, list(zip(key.columns, columns, strict=False)))


def _referring(spec: Spec, keys: Keys) -> Iterator[Join]:
    for table in spec.tables:
        for (schema, name), its_keys in keys.items():
            for key in its_keys:
                if key.kind == "foreign" and key.target is not None and key.target[:2] == (table.schema, table.name):
                    pairs = list(zip(key.target[2], key.columns, strict=False))
                    if not _leads_back(spec, table, (schema, name), pairs):
                        yield _join(spec, INNER, Table(schema, name), table, pairs)


def _leads_back(spec: Spec, table: Table, name: tuple[str, str], pairs: Sequence[tuple[str, str]]) -> bool:
    """Return True if the query came to ``table`` by these pairs, from a table of this name."""
    for join in spec.joins:
        if join.table == table and [(own, earlier.column) for earlier, own in join.on] == list(pairs):
            sources = {spec.aliases[earlier.table] for earlier, _own in join.on}
            return {(source.schema, source.name) for source in sources} == {name}
    return False


def _join(spec: Spec, kind: str, joined: Table, earlier: Table, pairs: Sequence[tuple[str, str]]) -> Join:
    """Return a join by pairs of an earlier table's column and the joined one's."""
    aliased = Table(joined.schema, joined.name, alias_for(joined.name, spec))
    return Join(kind, aliased, tuple((ColumnRef(earlier.alias, own), other) for own, other in pairs))


class _Named(NamedTuple):
    """A column, and what its name means: words in their usual spelling, and numbers."""

    info: ColumnInfo
    meaning: frozenset[str]


def _meaning(name: str) -> frozenset[str]:
    return frozenset(words_of(name)).union(re.findall(r"[0-9]+", name))


def _by_names(spec: Spec, columns: Columns, linked: set[tuple[str, str]]) -> list[Join]:
    """Return joins with tables that are neither ``linked`` by foreign keys nor in the query; none in a huge schema."""
    if sum(map(len, columns.values())) > _MAX_COLUMNS:
        return []
    named = {name: [_Named(info, _meaning(info.name)) for info in infos] for name, infos in columns.items()}
    others = named.keys() - linked - {(table.schema, table.name) for table in spec.tables}
    referred, referring = [], []
    for table in spec.tables:
        own = named.get((table.schema, table.name), [])
        for schema, name in sorted(others):
            joined = Table(schema, name)
            for pair in _references(own, name, named[schema, name]):
                referred.append(_join(spec, LEFT, joined, table, [pair]))
            for column, code in _references(named[schema, name], table.name, own):
                referring.append(_join(spec, INNER, joined, table, [(code, column)]))
    seen = {join.table for join in referred}
    return [*referred, *(join for join in referring if join.table not in seen)][:_MAX_BY_NAMES]


def _references(columns: Sequence[_Named], name: str, others: Sequence[_Named]) -> list[tuple[str, str]]:
    """Return the first pair of one of ``columns`` and the code of table ``name`` that it seems to refer to, in a list.

    That is a code with the same name, or one that the column has with the table's name: jabatan_id and id.
    """
    keyed = any(other.info.key for other in others)
    for other in others:
        if not other.meaning & _CODES or (keyed and not other.info.key):
            continue
        wanted = other.meaning
        if wanted <= _PLAIN:
            wanted |= _meaning(name) - _PREFIXES
        for column in columns:
            if column.meaning == wanted and column.info.kind == other.info.kind:
                return [(column.info.name, other.info.name)]
    return []
