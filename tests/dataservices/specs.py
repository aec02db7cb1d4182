"""Random query specs, as hypothesis makes them, within what an engine can write."""

from __future__ import annotations

from hypothesis import strategies as st

from dataservices.builder import (
    INNER,
    LEFT,
    OPERATORS,
    Column,
    ColumnRef,
    Filter,
    Join,
    Order,
    Spec,
    Table,
    Value,
)
from dataservices.builder.dialects import Dialect, dialect_of

#: Names as real tables have them: plain, reserved, with blanks, in other cases, with letters of other alphabets.
NAMES = (
    "nik", "NIK", "Nama Lengkap", "order", "USER", "tgl_lahir", "alamat", "kode-pos", "no.", "Kelurahan/Desa", "é",
    "kadés", "select", "limit", "date", "value", "1kolom", "_x", "x1", "group", "desc", "text", "KODE", "Kode", "a$b",
    "level", "name", "key", "rank", "and", "concat", "cast", "top", "null", "true", "fetch", "a-b", "a*b",
    "Tgl.:", "a: 1", "{x}", "%s",
)  # fmt: skip
_TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12),
    st.sampled_from(["jam :mulai", "O'Reilly", "100%", "a_b", "C:\\Data", "\\", "''", "[[ x ]]", ":a:b", "--", "N'x'"]),
)


#: The check of SQL reads an apostrophe within [a name] as the beginning of a text.
APOSTROPHES = ("Jum'at", "it's ''")


def names(dialect: Dialect) -> st.SearchStrategy[str]:
    return st.sampled_from(NAMES if dialect.quotes[0] == "[" else NAMES + APOSTROPHES)


def values(dialect: Dialect, texts_only: bool = False) -> st.SearchStrategy[Value]:
    """Fixed values of the types that the engine has literals of."""
    choices = [_TEXTS.map(lambda text: Value("text", text))]
    if not texts_only:
        choices.append(st.integers(-(10**9), 10**9).map(lambda n: Value("integer", str(n))))
        choices.append(
            st.decimals(-1000, 1000, places=2).filter(lambda n: n != 0).map(lambda n: Value("decimal", str(n)))
        )
        if "date" in dialect.literals:
            choices.append(st.dates().map(lambda day: Value("date", day.isoformat())))
            choices.append(st.datetimes().map(lambda at: Value("datetime", at.replace(microsecond=0).isoformat(" "))))
        if not dialect.truth[0].isdigit():
            choices.append(st.sampled_from([Value("boolean", "true"), Value("boolean", "false")]))
    return st.one_of(choices)


@st.composite
def specs(draw: st.DrawFn, engine: str) -> Spec:
    dialect = dialect_of(engine)
    schema = st.sampled_from([dialect.default_schema, "skema", "Skema Lain", "dbo"])
    aliases = draw(st.lists(names(dialect), min_size=1, max_size=3, unique_by=str.lower))
    tables = [Table(draw(schema), draw(st.one_of(st.just(alias), names(dialect))), alias) for alias in aliases]
    joins = [
        Join(
            draw(st.sampled_from([INNER, LEFT])),
            table,
            tuple(
                (ColumnRef(draw(st.sampled_from(aliases[: index + 1])), draw(names(dialect))), draw(names(dialect)))
                for _ in range(draw(st.integers(1, 2)))
            ),
        )
        for index, table in enumerate(tables[1:])
    ]
    refs = st.builds(ColumnRef, st.sampled_from(aliases), names(dialect))
    outputs = draw(st.lists(names(dialect), min_size=1, max_size=6, unique_by=str.lower))
    columns = tuple(Column(draw(refs), name) for name in outputs)
    order = tuple(Order(draw(refs), draw(st.booleans())) for _ in range(draw(st.integers(0, 3))))
    filters = draw(_filters(refs, dialect))
    paged = bool(order and dialect.paging) and draw(st.booleans())
    limit = 0 if paged else draw(st.sampled_from([0, 1, 1000]))
    return Spec(tables[0], tuple(joins), columns, tuple(filters), order, limit, 50 if paged else 0)


@st.composite
def _filters(draw: st.DrawFn, refs: st.SearchStrategy[ColumnRef], dialect: Dialect) -> list[Filter]:
    operators = [each for each in OPERATORS if "blank" not in each or dialect.engine != "oracle"]
    return [_filter(draw, refs, dialect, operators, number) for number in range(draw(st.integers(0, 4)))]


def _filter(
    draw: st.DrawFn, refs: st.SearchStrategy[ColumnRef], dialect: Dialect, operators: list[str], number: int
) -> Filter:
    operator = draw(st.sampled_from(operators))
    count = OPERATORS[operator]
    if count == 0:
        return Filter(draw(refs), operator)
    if draw(st.booleans()):
        marks = tuple(f"p{number}_{place}" for place in range(count or 1))
        return Filter(draw(refs), operator, (), marks, draw(st.booleans()))
    texts_only = operator in ("contains", "begins")
    fixed = draw(st.lists(values(dialect, texts_only), min_size=count or 1, max_size=count or 4))
    return Filter(draw(refs), operator, tuple(fixed))
