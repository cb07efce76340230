"""The agent's list of metrics, agent/core/metric.h, as documents spell it."""

import collections
import re

Metric = collections.namedtuple("Metric", "name form by_default unit meaning")


def read(source):
    code = (source / "agent/core/metric.h").read_text().replace("\\\n", " ")
    for name, scope, form, by_default, unit, meaning in re.findall(
            r'X\((\w+), (\w+), (\w+), (true|false),\s+"(\w+)",\s*"((?:[^"]|"\s*")+)"\)', code):
        yield Metric(name if scope == "SERVICE" else f"agent.{name}", form, by_default == "true",
                     unit, re.sub(r'"\s*"', "", meaning))
