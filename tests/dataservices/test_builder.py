"""Query specs become SQL that the check of SQL takes, and that becomes the same spec again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import ADAPTERS
from dataservices.builder import Spec, from_json, from_sql, to_json, to_sql
from dataservices.builder.dialects import DIALECTS, dialect_of
from dataservices.sql import check, parse, quoted_placeholders
from tests.dataservices.specs import specs

ENGINES = sorted(DIALECTS)
EXAMPLES = settings(max_examples=25, deadline=None)


def test_every_engine_has_a_dialect() -> None:
    assert set(DIALECTS) == set(ADAPTERS)


@pytest.mark.parametrize("engine", ENGINES)
@given(data=st.data())
@EXAMPLES
def test_the_sql_of_a_spec_is_read_as_that_spec(engine: str, data: st.DataObject) -> None:
    spec = data.draw(specs(engine))
    sql = to_sql(spec, engine)
    assert from_sql(sql, engine, spec.page_size) == spec


@pytest.mark.parametrize("engine", ENGINES)
@given(data=st.data())
@EXAMPLES
def test_the_check_takes_the_sql_of_a_spec(engine: str, data: st.DataObject) -> None:
    spec = data.draw(specs(engine))
    sql = to_sql(spec, engine)
    grammar = dialect_of(engine).grammar
    assert [problem.text() for problem in check(sql, grammar) + quoted_placeholders(sql, grammar)] == []
    template = parse(sql, grammar)
    assert set(template.placeholders) == {*spec.parameters, *(("limit", "offset") if spec.page_size else ())}
    assert template.optional == {name for each in spec.filters if each.optional for name in each.parameters}


@given(data=st.data())
@EXAMPLES
def test_json_keeps_a_spec(data: st.DataObject) -> None:
    spec: Spec = data.draw(specs(data.draw(st.sampled_from(ENGINES))))
    assert from_json(json.loads(json.dumps(to_json(spec)))) == spec
