"""The OpenAPI of jobs is what they do."""

from __future__ import annotations

import re
from typing import Any

from mantra.jobs import contract
from mantra.jobs.models import Job
from registry.snapshot import holder
from tests.cast import Cast
from tests.jobs.conftest import begin, jobs_of, work


def paths_of(cast: Cast, code: str) -> dict[str, Any]:
    operation = holder.refresh().operation("prov", "data", code)
    assert operation is not None
    return contract.paths(operation)


def test_each_address_is_there_and_answers_as_it_says(cast: Cast) -> None:
    found = paths_of(cast, "satu")
    job = begin(cast, "id\n1\n")
    work()
    tried = 0
    for path, item in found.items():
        below = path.partition("/jobs")[2].replace("{id}", job.request_id).replace("{format}", "csv")
        for method, described in item.items():
            if method not in ("get", "post") or (method, below) == ("post", ""):
                continue
            reply = jobs_of(cast, below=below, method=method.upper())
            expected = 409 if method == "post" else 200  # it has ended
            assert reply.status == expected, (path, reply.body)
            if expected == 200:
                media_type = reply.headers["content-type"].partition(";")[0]
                assert media_type in described["responses"]["200"]["content"], path
            tried += 1
    assert tried == 8
    names = [
        operation["operationId"]
        for item in found.values()
        for operation in item.values()
        if isinstance(operation, dict)
    ]
    assert len(names) == len(set(names)) == 10


def test_the_state_has_what_the_contract_says(cast: Cast) -> None:
    job = begin(cast, "id\n1\nx\n")
    work()
    schema = paths_of(cast, "satu")["/rest/prov/data/satu/jobs/{id}"]["get"]["responses"]["200"]["content"]
    properties = schema["application/json"]["schema"]["properties"]
    state = jobs_of(cast, below=f"/{job.request_id}").json()
    assert set(state) == set(properties)
    assert set(properties["state"]["enum"]) == set(Job.State.values)
    assert re.fullmatch(r"[0-9a-f]{32}", state["id"])


def test_what_has_no_jobs_says_nothing_of_them(cast: Cast) -> None:
    cast.operation("ubah", "UPDATE orang SET nama = :nama WHERE id = 0", writes=True, parameters=({"name": "nama"},))
    assert paths_of(cast, "ubah") == {}
