"""No field leaves that is not permitted, whatever the shape of the response."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyservices.decoders.table import Table
from proxyservices.forwarding import fields
from registry import faults
from registry.results import Fault

#: Names in documents: such as get declared or granted, others, and keys that are data.
NAMES = st.sampled_from(
    ["nip", "nama", "alamat", "gaji", "data", "items", "response", "0", "1", "198001012010", "a b", ""]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False) | st.text(max_size=3) | st.dates()
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=30
)
DECLARED = st.dictionaries(st.sampled_from(["nip", "nama", "alamat"]), st.sampled_from(["text", "integer"]))
GRANTED = st.frozensets(st.sampled_from(["nip", "nama", "gaji", "alamat"]))
RESTRICTIONS = st.tuples(DECLARED, GRANTED).filter(lambda pair: bool(pair[0] or pair[1]))


def permitted(declared: dict[str, str], granted: frozenset[str]) -> set[str]:
    if not declared or not granted:
        return {*declared, *granted}
    return declared.keys() & granted


def withheld(declared: dict[str, str], granted: frozenset[str]) -> set[str]:
    return declared.keys() - granted if granted else set()


def names_in(value: Any) -> Iterator[str]:
    """Every name in a value, at any depth."""
    if isinstance(value, list):
        for each in value:
            yield from names_in(each)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from names_in(member)


def leaks(value: Any, names: set[str]) -> Iterator[Any]:
    """Everything in an output beside the permitted fields, and the names and lists that lead to them."""
    if isinstance(value, list):
        for each in value:
            yield from leaks(each, names)
    elif not isinstance(value, dict):
        yield value
    elif names & value.keys():
        yield from value.keys() - names
    else:
        for name, member in value.items():
            if not name or not name[0].isalpha() or sum(map(str.isdigit, name)) > 4:
                yield name
            yield from leaks(member, names)


def keys_beside_permitted(value: Any, names: set[str]) -> Iterator[str]:
    """The names of members that share an object with a plain value: only fields do, never a name that leads on."""
    if isinstance(value, list):
        for each in value:
            yield from keys_beside_permitted(each, names)
    elif isinstance(value, dict):
        plain = any(not isinstance(member, (dict, list)) for member in value.values())
        for name, member in value.items():
            if name in names:
                continue  # the field's own value goes out whole
            if plain:
                yield name
            yield from keys_beside_permitted(member, names)


def restricted(value: Any, declared: dict[str, str], granted: frozenset[str], enveloped: bool = False) -> Any:
    """The output; None if the response is refused."""
    try:
        return fields.restrict(value, declared, granted, enveloped)
    except Fault as fault:
        kind = fault.kind
    assert kind is (faults.FIELDS_INSEPARABLE if granted else faults.FIELD_MISSING)
    return None


def test_it_works() -> None:
    assert doctest.testmod(fields) == (0, 10)


@settings(max_examples=500, deadline=None)
@given(DOCUMENTS, RESTRICTIONS)
def test_document_has_no_undeclared_key(document: Any, restrictions: tuple[dict[str, str], frozenset[str]]) -> None:
    output, names = restricted(document, *restrictions), permitted(*restrictions)
    if output in (None, "", [], {}):
        return
    assert list(leaks(output, names)) == []
    assert list(keys_beside_permitted(output, names)) == []
    assert not set(names_in(output)) & withheld(*restrictions)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["code", "message", "debug", "sql", "nip"]), DOCUMENTS),
    st.sampled_from(["1", 1, "0", 2, None]),
    DOCUMENTS,
    RESTRICTIONS,
)
def test_envelope_has_no_undeclared_key(
    members: dict[str, Any], status: Any, data: Any, restrictions: tuple[dict[str, str], frozenset[str]]
) -> None:
    output = restricted({"response": members | {"status": status, "data": data}, "more": data}, *restrictions, True)
    if output is None:
        return
    assert output.keys() == {"response"}
    envelope = output["response"]
    assert envelope.keys() <= {"status", "code", "message", "data"}
    assert not any(isinstance(envelope.get(name), (dict, list)) for name in ("status", "code", "message"))
    if str(status) != "1":
        assert envelope["data"] == ""
    elif envelope["data"] not in (None, "", [], {}):
        assert list(leaks(envelope["data"], permitted(*restrictions))) == []


@settings(max_examples=300, deadline=None)
@given(st.lists(NAMES, unique=True, max_size=6), st.data(), RESTRICTIONS)
def test_table_has_no_undeclared_column(
    names: list[str], data: st.DataObject, restrictions: tuple[dict[str, str], frozenset[str]]
) -> None:
    rows = data.draw(st.lists(st.tuples(*(SCALARS for _ in names)), max_size=3))
    output = restricted(Table(names, rows), *restrictions)
    if output is None:
        assert not permitted(*restrictions) & set(names)
        return
    assert output.names == [name for name in names if name in permitted(*restrictions)]
    assert all(len(row) == len(output.names) for row in output.rows)


@settings(max_examples=200, deadline=None)
@given(st.lists(DOCUMENTS, min_size=1, max_size=3), RESTRICTIONS)
def test_s16_container_in_a_table_has_no_withheld_field(cells: list[Any], restrictions: Any) -> None:
    declared, granted = restrictions
    output = restricted(Table(["nip"], [(cell,) for cell in cells]), {**declared, "nip": "json"}, granted | {"nip"})
    assert not set(names_in([list(row) for row in output.rows])) & withheld(declared, granted | {"nip"})


def test_s16_a_granted_container_hides_the_declared_fields_that_were_not_granted() -> None:
    declared = dict.fromkeys(("nama", "alamat", "nik"), "text")
    person = {"nama": "Ani", "nik": 1, "alamat": {"kota": "B", "nik": 2, "lama": [{"@nik": 3, "kota": "C"}]}}
    output = fields.restrict([person], declared, frozenset({"alamat"}), False)
    assert output == [{"alamat": {"kota": "B", "lama": [{"kota": "C"}]}}]


@pytest.mark.parametrize(
    "document",
    [{"gaji": 9, "data": {"nip": 7}}, {"orang": {"198001": {"nip": 7, "gaji": 9}}}, [[{"nip": 7}], {"gaji": 9}]],
)
def test_value_of_another_field_never_leaves(document: Any) -> None:
    assert "9" not in repr(fields.restrict(document, {"nip": "integer"}, frozenset(), False))
