"""The Postman collection of a service: each of its requests is sent to the bus as Postman would send it."""

from __future__ import annotations

import json
import re
from typing import Any

from django.test import Client

from registry.models import Operation
from registry.snapshot import holder
from tests.cast import Cast, Reply, call


def send(request: dict[str, Any], variables: dict[str, str], key: str) -> Reply:
    """Send a request of a collection, with its variables filled in."""
    values = variables | {"access_key": key}
    raw = re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], request["url"]["raw"])
    headers = {each["key"].lower().replace("-", "_"): each["value"] for each in request["header"]}
    if request.get("auth", {}).get("type") != "noauth":
        headers["accesskey"] = values["access_key"]
    return call("/" + raw.split("/", 3)[3], request["method"], request.get("body", {}).get("raw", ""), **headers)


def test_every_request_is_answered(cast: Cast) -> None:
    cast.define("tulis", "DELETE FROM orang WHERE id = -:id", writes=True, parameters=(
        {"name": "id", "type": "integer", "min": "1", "description": "Nomor"},))  # fmt: skip
    cast.define("spasi di nama", "SELECT :teks AS a", parameters=({"name": "teks", "choices": "a & b=c"},))
    Operation.objects.update(listing="public")
    holder.refresh()
    reply = Client().get("/catalog/prov/data/postman.json")
    assert "attachment" in reply["content-disposition"]
    collection = json.loads(reply.content)
    assert collection["info"]["schema"].endswith("/v2.1.0/collection.json")
    assert {"key": "value", "value": "{{access_key}}", "type": "string"} in collection["auth"]["apikey"]
    variables = {each["key"]: each["value"] for each in collection["variable"]}
    assert variables["access_key"] == ""
    statuses = {}
    for folder in collection["item"]:
        for item in folder["item"]:
            statuses[item["name"]] = send(item["request"], variables, cast.key).status
    assert statuses == dict.fromkeys(statuses, 200)
    assert {"GET satu", "POST satu", "POST tulis", "GET spasi di nama", "GET terbuka"} <= set(statuses)
    assert "GET tulis" not in statuses


def test_optional_parameters_are_switched_off(cast: Cast) -> None:
    Operation.objects.filter(code="cari").update(listing="public")
    holder.refresh()
    (folder,) = json.loads(Client().get("/catalog/prov/data/postman.json").content)["item"]
    (get,) = [each["request"] for each in folder["item"] if each["request"]["method"] == "GET"]
    assert [(each["key"], each["disabled"]) for each in get["url"]["query"]] == [("nama", True), ("unit", True)]
    assert "?" not in get["url"]["raw"]
