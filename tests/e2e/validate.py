"""Checks a JSON Schema against its own draft, and documents against it. Standard input: an object with
`schema` and the list `documents`. Prints for each document what is wrong with it, or null."""

import json
import sys

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

given = json.load(sys.stdin)
Draft202012Validator.check_schema(given["schema"])
validator = Draft202012Validator(given["schema"])
errors = [best_match(validator.iter_errors(document)) for document in given["documents"]]
json.dump([error and f"{error.json_path}: {error.message}" for error in errors], sys.stdout)
