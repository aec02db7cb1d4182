"""Joins along foreign keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from adapters.base import Key
from dataservices.builder.spec import INNER, LEFT, MAX_NAME, MAX_PAIRS, ColumnRef, Join, Spec, Table

#: The keys of tables, by (schema, table) as the schema browser names them.
Keys = Mapping[tuple[str, str], Sequence[Key]]


def suggested_joins(spec: Spec, keys: Keys) -> list[Join]:
    """Return the joins by which further tables could be added to a query, the likeliest first.

    These are the tables that foreign keys of its tables refer to, then the tables that refer to its tables. The former
    are LEFT joins, which keep every row; the latter are inner joins, and may give several rows for one.
    """
    found = [*_referred(spec, keys), *_referring(spec, keys)]
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
