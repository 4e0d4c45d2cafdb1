from __future__ import annotations

import json

import jsonschema
import pytest

from twinset import documents


@pytest.mark.parametrize("name", [*documents.DOCUMENTS, "recipe"])
def test_every_schema_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(documents.schema(name))


def test_a_path_that_is_not_utf_8_comes_back_from_json_as_it_was() -> None:
    document = documents.InitDocument(recipe="photos/a\udcff.yaml", text="data: é")
    assert documents.InitDocument.model_validate(json.loads(documents.to_json(document))) == document
