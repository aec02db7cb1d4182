"""Examples of parameters: what the pages, programs and contracts show is accepted by the bus."""

from __future__ import annotations

import pytest

from registry.models import Parameter
from registry.parameter_examples import example
from registry.parameter_values import ParameterParser


@pytest.mark.parametrize("type", Parameter.Type.values)
def test_an_example_of_each_type_is_accepted(type: str) -> None:
    parser = ParameterParser.of(Parameter(name="x", type=type, choices="b\na" if type == "choice" else ""))
    text = example(parser)
    assert text is not None
    parser(text)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"type": "integer", "min": "7"}, "7"),
        ({"type": "integer", "min": "7", "default": "9"}, "9"),
        ({"type": "date", "max": "1999-12-31"}, "1999-12-31"),
        ({"type": "text", "min": "8"}, "x" * 8),
        ({"type": "text", "choices": "dua\nsatu"}, "dua"),
        ({"type": "text", "pattern": "[0-9]"}, "1"),
        ({"type": "text", "pattern": "A-[0-9]{4}"}, None),
    ],
)
def test_an_example_keeps_the_rules_of_its_parameter(rules: dict[str, str], expected: str | None) -> None:
    parameter = Parameter(name="x", **rules)
    assert example(ParameterParser.of(parameter), parameter.default) == expected
