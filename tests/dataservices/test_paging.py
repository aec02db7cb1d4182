"""T8: pages in each engine's own words, and names that paging keeps for itself."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from dataservices.models import DataOperation, DataSource
from dataservices.plan import parameters_message
from dataservices.sql import check
from registry.models import Parameter, reserved_message
from tests.cast import Cast

RESERVED = ("limit", "offset", "page", "per_page", "Limit")


def operation(cast: Cast, engine: str, sql: str, page_size: int = 10) -> DataOperation:
    source, _ = DataSource.objects.get_or_create(
        agency=cast.provider, code=engine, engine=engine, host="db", database="x", user="x"
    )
    return DataOperation(service=cast.service, source=source, code="baru", sql=sql, page_size=page_size)


def problems(row: DataOperation) -> dict[str, list[str]]:
    try:
        row.full_clean()
    except ValidationError as error:
        return error.message_dict
    return {}


@pytest.mark.parametrize(
    ("engine", "clause"),
    [
        ("postgresql", "LIMIT :limit OFFSET :offset"),
        ("mysql", "LIMIT :limit OFFSET :offset"),
        ("sqlserver", "ORDER BY a OFFSET :offset ROWS FETCH NEXT :limit ROWS ONLY"),
        ("oracle", "OFFSET :offset ROWS FETCH NEXT :limit ROWS ONLY"),
    ],
)
def test_t8_the_advice_is_what_the_engine_takes(cast: Cast, engine: str, clause: str) -> None:
    (told,) = problems(operation(cast, engine, "SELECT a FROM t"))["page_size"]
    assert clause.replace("ORDER BY a", "ORDER BY …") in told
    assert problems(operation(cast, engine, f"SELECT a FROM t {clause}")) == {}


def test_t8_an_engine_without_such_a_clause_says_so(cast: Cast) -> None:
    (told,) = problems(operation(cast, "sybase", "SELECT a FROM t"))["page_size"]
    assert ":limit" in told and "LIMIT" not in told
    numbered = "SELECT a FROM t WHERE nomor > :offset AND nomor <= :offset + :limit"
    assert problems(operation(cast, "sybase", numbered)) == {}


@pytest.mark.parametrize("dialect", ["tsql", "oracle"])
@pytest.mark.parametrize(
    "end", ["LIMIT 10", "LIMIT :limit OFFSET :offset", "limit :a", "ORDER BY a LIMIT 5", "[[ LIMIT :n ]]"]
)
def test_t8_limit_is_refused_where_the_server_would_refuse_it(dialect: str, end: str) -> None:
    (problem,) = {each.code: each for each in check(f"SELECT a FROM t {end}", dialect)}.values()
    assert problem.code == f"limit-{dialect}"
    assert "ROWS ONLY" in problem.text()
    assert (problem.line, problem.column) == (1, 17 + end.lower().index("limit"))


@pytest.mark.parametrize("dialect", ["tsql", "oracle"])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT limit FROM t", "SELECT limit, a AS limit FROM t", "SELECT a FROM t WHERE limit > 5",
        "SELECT t.limit FROM t ORDER BY limit", "SELECT 'LIMIT 5' AS a FROM t",
        "SELECT a FROM t ORDER BY a OFFSET :offset ROWS FETCH NEXT :limit ROWS ONLY",
    ],
)  # fmt: skip
def test_t8_a_column_may_be_called_limit(dialect: str, sql: str) -> None:
    assert check(sql, dialect) == []


@pytest.mark.parametrize("dialect", ["postgres", "mysql", "sqlite"])
def test_t8_limit_stays_where_it_is_known(dialect: str) -> None:
    assert check("SELECT a FROM t LIMIT 5", dialect) == []


@pytest.mark.parametrize("name", RESERVED)
def test_t8_paging_keeps_its_names(cast: Cast, name: str) -> None:
    """As a parameter it would be asked of every caller, who cannot know what paging fills in."""
    row = cast.operations["halaman"]
    with pytest.raises(ValidationError) as error:
        Parameter(operation=row, name=name).full_clean()
    assert name in error.value.message_dict["name"][0]
    assert parameters_message(row, [name]) == reserved_message(name)
    other = cast.operations["satu"]
    Parameter(operation=other, name=name).full_clean()
    assert parameters_message(other, ["id", name]) != reserved_message(name)


FORM: dict[str, Any] = {
    "code": "halaman2", "title": "Baru", "max_rows": "10", "timeout_ms": "1000", "page_size": "10", "state": "draft",
    "access": "restricted", "listing": "members", "cache_seconds": "0", "guard": "alarm",
    "sql": "SELECT id FROM orang LIMIT :limit OFFSET :offset",
    "fields-TOTAL_FORMS": "0", "fields-INITIAL_FORMS": "0",
    "parameters-TOTAL_FORMS": "1", "parameters-INITIAL_FORMS": "0", "parameters-0-position": "0",
    "parameters-0-name": "limit", "parameters-0-type": "text",
}  # fmt: skip


def test_t8_the_form_refuses_a_parameter_of_that_name(cast: Cast, admin_client: Any) -> None:
    data = FORM | {"service": cast.service.pk, "source": cast.source.pk}
    address = "/admin/dataservices/dataoperation/add/"
    answer = admin_client.post(address, data)
    assert answer.status_code == 200
    assert "limit" in str(answer.context["inline_admin_formsets"][0].formset.errors)
    assert not DataOperation.objects.filter(code="halaman2").exists()
    assert admin_client.post(address, data | {"parameters-TOTAL_FORMS": "0"}).status_code == 302
    assert DataOperation.objects.filter(code="halaman2").exists()
