"""The parser of the management API's request bodies."""

from __future__ import annotations

import json
from typing import IO, Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser as PlainJSONParser


class JSONParser(PlainJSONParser):  # type: ignore[misc]
    """Says in the reader's language where a body is not JSON: the library's sentence is English."""

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the content of a body. Raises ParseError."""
        try:
            return super().parse(stream, media_type, parser_context)
        except ParseError as error:
            raise ParseError(_sentence(error.__context__)) from None


def _sentence(cause: BaseException | None) -> str:
    if isinstance(cause, json.JSONDecodeError):
        place = {"line": cause.lineno, "column": cause.colno}
        return _("The body is not JSON: see line %(line)d, column %(column)d.") % place
    return _("The body is not JSON.")
