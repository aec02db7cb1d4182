"""Sample responses of operations: masked before they are stored, and again by each new version's columns."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from registry.models import Field, Operation, SampleResponse
from registry.models.catalogue import MAX_SAMPLE
from registry.personal_data import mask, recognize

#: Items of a list that are kept.
MAX_ITEMS = 3
#: What is shown of a text of a column that is neither public nor personal: codes, dates and numbers. Other texts may
#: tell of people.
_CODE = re.compile(r"(?=\S*\d)\S{1,25}")
_HIDDEN = "•••"
#: Numbers of people, and phone numbers, within a text.
_LONG_NUMBER = re.compile(r"\d[\d .\-]{7,}\d")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d\S*)?")
_PERSONAL = frozenset((Field.Classification.PERSONAL.value, Field.Classification.SPECIFIC.value))
#: Name of a column → its classification.
Classes = Mapping[str, str]


def save(operation: Operation, response: bytes) -> SampleResponse:
    """Store a response in JSON as the operation's sample, masked. Raises ValidationError if it is too large."""
    text = _fitting(masked(json.loads(response), _classes(operation)))
    sample, _created = SampleResponse.objects.update_or_create(
        operation_id=operation.pk, defaults={"content": text, "saved_at": timezone.now()}
    )
    return sample


def shown(operation: Operation) -> str:
    """Return the sample of an operation as indented JSON, by the present classification; "" without one."""
    sample = SampleResponse.objects.filter(operation=operation.pk).first()
    if sample is None:
        return ""
    return json.dumps(masked(json.loads(sample.content), _classes(operation)), indent=2, ensure_ascii=False)


def mask_again(operation: Operation) -> None:
    """Mask the stored sample by the present columns, which may be classified more strictly than when it was saved."""
    for sample in SampleResponse.objects.filter(operation=operation.pk):
        sample.content = _fitting(masked(json.loads(sample.content), _classes(operation)))
        sample.save(update_fields=["content"])


def remove(operation: Operation) -> bool:
    """Remove the sample of an operation. Return False if there is none."""
    return bool(SampleResponse.objects.filter(operation=operation.pk).delete()[0])


def _classes(operation: Operation) -> dict[str, str]:
    return dict(operation.fields.values_list("name", "classification"))


def _fitting(document: Any) -> str:
    text = json.dumps(document, ensure_ascii=False)
    if len(text) > MAX_SAMPLE:
        raise ValidationError(_("The response is too large for a sample. Choose values that return less."))
    return text


# ---------------------------------------------------------------------------------------- masking


def masked(document: Any, classes: Classes) -> Any:
    """Return a document with a few items of each list, and with personal data masked.

    What a column's name or values look like counts, not only its classification. Of texts in columns that are not
    public, only codes remain.
    """
    values: dict[str, list[Any]] = defaultdict(list)
    for name, value in _leaves(document):
        values[name].append(value)
    kinds = {name: found.kind for name in values if (found := recognize(name, values[name])) is not None}
    return _masked(document, "", lambda name, value: _shown(value, kinds.get(name, ""), classes.get(name)))


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values that are neither objects nor lists, with the names that they have."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each, name)
    else:
        yield name, value


def _masked(value: Any, name: str, leaf: Callable[[str, Any], Any]) -> Any:
    if isinstance(value, dict):
        return {_name(key): _masked(each, key, leaf) for key, each in value.items()}
    if isinstance(value, list):
        return [_masked(each, name, leaf) for each in value[:MAX_ITEMS]]
    return leaf(name, value)


def _name(key: str) -> str:
    """Return the name of a value; some documents have people's numbers as names."""
    return mask(key, "NIK") if _LONG_NUMBER.search(key) else key


def _shown(value: Any, kind: str, classification: str | None) -> Any:
    """Return a value as the sample has it."""
    if value is None or value == "" or (isinstance(value, str) and "•" in value):
        return value  # of what is masked already, nothing more is to be hidden
    if kind or classification in _PERSONAL:
        return mask(value, kind)
    if classification == Field.Classification.PUBLIC or not isinstance(value, str):
        return value
    return value if classification is not None and _is_code(value) else _HIDDEN


def _is_code(text: str) -> bool:
    """Return True for a code, a date or a number, but for numbers as people have them."""
    return bool(_DATE.fullmatch(text) or (_CODE.fullmatch(text) and not _LONG_NUMBER.search(text)))
