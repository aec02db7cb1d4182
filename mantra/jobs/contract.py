"""The addresses of an operation's jobs as OpenAPI has them (mantra/contracts/openapi.py)."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from mantra.contracts.openapi import address, name_of
from mantra.jobs.execution import can_run
from mantra.jobs.inputs import MEDIA_TYPES
from mantra.jobs.models import Job
from mantra.jobs.service import FILE_FORMATS
from registry.snapshot.types import Operation

_SECURITY: list[dict[str, list[str]]] = [{"AccessKey": []}, {"Bearer": []}, {"Signature": []}]
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"}}
_BINARY = {"schema": {"type": "string", "format": "binary"}}

_NUMBERS = (
    "rows", "checked", "done", "found", "not_found", "faults", "invalid", "duplicates", "result_rows",
)  # fmt: skip
_MOMENTS = ("created_at", "started_at", "estimated_end", "retry_at", "finished_at", "expires_at")


def paths(operation: Operation) -> dict[str, Any]:
    """Return the path items of an operation's jobs; none if it has none."""
    if not can_run(operation) or operation.state == "retired":
        return {}
    jobs, name = f"{address(operation)}/jobs", name_of(operation)

    def item(method: str, what: str, summary: str, status: str, content: dict[str, Any], **more: Any) -> dict[str, Any]:
        success: dict[str, Any] = {"description": summary}
        if content:
            success["content"] = content
        return {
            method: {
                "operationId": f"{what}_{name}", "summary": summary, "tags": [operation.service],
                "security": _SECURITY, "responses": {status: success, "default": _refusal()}, **more,
            }
        }  # fmt: skip

    state = {"application/json": {"schema": _state()}}
    one = {"parameters": [_ID]}
    found = {
        jobs: item(
            "post", "startJob", _("Run the operation for each row of a file."), "202", state,
            parameters=_options(operation),
            requestBody={"required": True, "content": dict.fromkeys(MEDIA_TYPES.values(), _BINARY)},
        ),
        f"{jobs}/template.csv": item(
            "get", "jobTemplateCsv", _("A file to fill in."), "200", {MEDIA_TYPES["csv"]: _BINARY}
        ),
        f"{jobs}/template.xlsx": item(
            "get", "jobTemplateXlsx", _("A file to fill in."), "200", {MEDIA_TYPES["xlsx"]: _BINARY}
        ),
        f"{jobs}/{{id}}": one
        | item("get", "job", _("The state of a job."), "200", state)
        | item("delete", "deleteJob", _("End a job and delete its files."), "204", {}),
        f"{jobs}/{{id}}/results": one
        | item(
            "get", "jobResults", _("The results that are there, from a row on."), "200",
            {MEDIA_TYPES[format]: {} for format in ("json", "ndjson", "csv")}, parameters=_page(),
        ),
        f"{jobs}/{{id}}/file.{{format}}": {
            "parameters": [
                _ID,
                {"name": "format", "in": "path", "required": True,
                 "schema": {"type": "string", "enum": list(FILE_FORMATS)}},
            ]
        }
        | item(
            "get", "jobFile", _("All results of a job that has ended."), "200",
            {MEDIA_TYPES[format]: _BINARY for format in FILE_FORMATS},
        ),
    }  # fmt: skip
    for action, words in (
        ("pause", _("Let a job stand still.")),
        ("resume", _("Let a job go on.")),
        ("cancel", _("End a job. What is done stays.")),
    ):
        found[f"{jobs}/{{id}}/{action}"] = one | item("post", f"{action}Job", words, "200", state)
    return found


def _refusal() -> dict[str, Any]:
    return {
        "description": _("The request was refused."),
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _options(operation: Operation) -> list[dict[str, Any]]:
    choices = {"type": "string", "enum": Job.OnInvalid.values, "default": Job.OnInvalid.SKIP.value}
    words = _("What is done if rows cannot be run: run the others, pause after the check, or run none.")
    options: list[dict[str, Any]] = [
        {"name": "on_invalid", "in": "query", "required": False, "schema": choices, "description": words}
    ]
    for parameter in operation.parameters:
        words = _("The column of the file that has %(parameter)s, if its name is another.") % {
            "parameter": parameter.name
        }
        options.append(
            {"name": f"column.{parameter.name}", "in": "query", "required": False,
             "schema": {"type": "string", "maxLength": 100}, "description": words}
        )  # fmt: skip
    return options


def _page() -> list[dict[str, Any]]:
    number = {"type": "integer", "minimum": 1}
    return [
        {"name": "from", "in": "query", "schema": {**number, "default": 1}},
        {"name": "per_page", "in": "query", "schema": {**number, "maximum": 10_000, "default": 1000}},
    ]


def _state() -> dict[str, Any]:
    number, moment = {"type": ["integer", "null"]}, {"type": ["string", "null"], "format": "date-time"}
    return {
        "type": "object",
        "required": ["id", "state", "rows", "done"],
        "properties": {
            "id": {"type": "string"},
            "state": {"type": "string", "enum": Job.State.values},
            **dict.fromkeys(_NUMBERS, number),
            "rate": {"type": "number"},
            **dict.fromkeys(_MOMENTS, moment),
            "problem": {"type": ["object", "null"]},
            "report": {"type": ["object", "null"]},
            "results": {"type": "string", "format": "uri-reference"},
            "files": {"type": "object", "additionalProperties": {"type": "string", "format": "uri-reference"}},
        },
    }  # fmt: skip
