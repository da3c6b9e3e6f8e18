"""Reads OpenMetrics from standard input with the parser of prometheus_client, which refuses what
the specification forbids, and prints every sample as JSON: [name, labels, value]."""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

text = sys.stdin.buffer.read().decode("utf-8")
families = text_string_to_metric_families(text)
samples = [sample for family in families for sample in family.samples]
json.dump([[sample.name, sample.labels, float(sample.value)] for sample in samples], sys.stdout)
