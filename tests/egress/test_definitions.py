"""The rule is a part of an operation's definition, in the management API, bundles and versions; who may weaken it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from mantra.definitions.export import export
from registry import publishing, versions
from registry.models import Grant, Operation
from registry.publishing import Publication, is_less_guarded, needs_second_person, widenings
from tests.api.conftest import Person, person
from tests.cast import Cast
from tests.definitions.test_apply import fine

PLAIN = Publication(
    open=False, columns={"id": "internal"}, filters=frozenset({"id"}), limits={}, origins=frozenset({"a"}), query="q"
)


NEW: dict[str, Any] = {
    "kind": "data", "service": "prov/data", "code": "catatan", "source": "prov/uji", "guard": "mask",
    "guard_expected": "NIK, EMAIL", "sql": "SELECT id FROM orang",
}  # fmt: skip


def guarded(rule: str, *expected: str) -> Publication:
    return replace(PLAIN, guard=rule, guard_expected=frozenset(expected))


@pytest.mark.parametrize(
    ("old", "new", "less"),
    [
        (("block",), ("mask",), True),
        (("mask",), ("alarm",), True),
        (("alarm",), ("allow",), True),
        (("allow",), ("alarm",), False),
        (("alarm",), ("block",), False),
        (("block",), ("block", "NIK"), True),
        (("block", "NIK"), ("block",), False),
        (("mask", "NIK"), ("block", "NIK"), False),
    ],
)
def test_what_is_guarded_less(old: tuple[str, ...], new: tuple[str, ...], less: bool) -> None:
    before, after = guarded(*old), guarded(*new)
    assert is_less_guarded(before, after) == less
    assert bool(widenings(before, after)) == less
    assert needs_second_person(before, after) == (less and old[0] in ("mask", "block"))


def test_a_published_operation_is_not_guarded_less_by_one_person(cast: Cast) -> None:
    provider, _head = person("Provider", cast.provider), person("Head", cast.provider)
    made = provider.post("operations/", {**NEW, "state": "published"})
    assert made.status_code == 201, made.content
    address = f"operations/{made.json()['id']}/"
    less = provider.patch(address, {"guard": "allow", "reason": "Uji"})
    assert less.status_code == 400, less.content
    assert provider.get(address).json()["guard"] == "mask"
    more = provider.patch(address, {"guard": "block"})
    assert more.status_code == 200, more.content
    assert provider.get(address).json()["guard"] == "block"


def test_the_management_api_has_the_rule(cast: Cast) -> None:
    provider: Person = person("Provider", cast.provider)
    made = provider.post("operations/", NEW)
    assert made.status_code == 201, made.content
    assert (made.json()["guard"], made.json()["guard_expected"]) == ("mask", "NIK, EMAIL")
    wrong = provider.post("operations/", {**NEW, "code": "lain", "guard": "rahasia", "guard_expected": "NAMA"})
    assert {"guard", "guard_expected"} == set(wrong.json())


def test_a_rule_that_is_none(cast: Cast) -> None:
    operation = cast.operations["satu"]
    for name, value in (("guard", "x"), ("guard_expected", "NIK, NAMA"), ("guard_expected", "NIK," * 50)):
        setattr(operation, name, value)
        with pytest.raises(ValidationError) as error:
            operation.full_clean()
        assert name in error.value.message_dict
        operation.refresh_from_db()


def test_a_version_has_the_rule(cast: Cast) -> None:
    columns = versions.definition(cast.operation("catatan", "SELECT id FROM orang", guard="mask"))["columns"]
    assert (columns["guard"], columns["guard_expected"]) == ("mask", "")
    assert publishing.stored(Operation.objects.get(code="catatan")).guard == "mask"


def test_a_bundle_has_the_rule(cast: Cast) -> None:
    operation = cast.operation("catatan", "SELECT id FROM orang", guard="mask", guard_expected="NIK, EMAIL")
    Grant.objects.filter(operation__code="terbuka").delete()
    Operation.objects.filter(code="terbuka").delete()  # today's rules would not let it be published
    text = export()
    assert "guard: mask" in text
    assert not fine(text).changes
    Operation.objects.filter(pk=operation.pk).update(guard="alarm", guard_expected="")
    assert fine(text).changes
    operation.refresh_from_db()
    assert (operation.guard, operation.guard_expected) == ("mask", "NIK, EMAIL")
