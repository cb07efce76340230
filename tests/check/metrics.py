#!/usr/bin/python3
"""metrics.py SOURCE: README.md, the dashboards and Datadog's metadata name the metrics as they are.

Prints each that one of them lacks, and each that the agent has not.
"""

import csv
import pathlib
import re
import sys

import metric_list

FORMS = {"COUNTER": "counter", "EACH_WAY": "counter, `in` and `out`",
         "BY_CLASS": "counter, `1xx` to `5xx`", "GAUGE": "gauge", "TIMING": "timing"}
DATADOG_TYPES = {"GAUGE": "gauge", "TIMING": "distribution"}
DATADOG_UNITS = {"byte", "connection", "datagram", "error", "message", "millisecond", "packet",
                 "request"}

# Where a dashboard has the name of a metric: up to the first group, which is the name. A path
# has nodes for host, and for service or interface, before it.
DATADOG_NAME = r"httpacct\.([a-z_.]+)\{"
TAGS_NAME = r"name=\$(?:counters|gauges)\.([a-z_.]+?)(?:\.count)?[')]"
PATH_NAMES = (r"\$(?:counters|gauges)\.\$host\.(agent\.)(?:(?:\$interface|\*)\.)?([a-z_]+)",
              r"\$(?:counters|gauges)\.\$host\.(?!agent\.|\*)[^.]+\.()(?:(?:in|out|\*)\.)?([a-z_]+)")


def compare(where, wanted, found):
    return ([f"{where} lacks: {row}" for row in wanted if row not in found] +
            [f"only {where} has: {row}" for row in found if row not in wanted])


def check_table(source, metrics):
    wanted = [f"| `{metric.name}` | {FORMS[metric.form]} | {metric.unit} | {metric.meaning}"
              f"{'' if metric.by_default else '; not by default'} |" for metric in metrics]
    text = (source / "README.md").read_text()
    table = text.split("| metric | type | unit | meaning |\n| --- | --- | --- | --- |\n")[1]
    return compare("README.md", wanted, table.split("\n\n")[0].split("\n"))


def check_metadata(source, metrics):
    wanted = [(f"httpacct.{metric.name}", DATADOG_TYPES.get(metric.form, "count"),
               metric.unit if metric.unit in DATADOG_UNITS else "", metric.meaning)
              for metric in metrics]
    with (source / "conf/dashboards/datadog-metadata.csv").open() as file:
        found = [(row["metric_name"], row["metric_type"], row["unit_name"], row["description"])
                 for row in csv.DictReader(file)]
    return compare("datadog-metadata.csv", wanted, found)


def names_in(text):
    yield from re.findall(DATADOG_NAME, text)
    yield from re.findall(TAGS_NAME, text)
    for pattern in PATH_NAMES:
        yield from ("".join(groups) for groups in re.findall(pattern, text))


def check_dashboards(source, metrics):
    known = {metric.name for metric in metrics}
    wrong = []
    for path in sorted((source / "conf/dashboards").glob("*.json")):
        names = set(names_in(path.read_text()))
        wrong += [f"{path.name} names what is no metric: {name}" for name in names - known]
        if len(names) < 10:
            wrong.append(f"{path.name}: hardly a name of a metric found")
    return wrong


def main():
    source = pathlib.Path(sys.argv[1])
    metrics = list(metric_list.read(source))
    wrong = [*check_table(source, metrics), *check_metadata(source, metrics),
             *check_dashboards(source, metrics)]
    print("\n".join([*wrong, f"{len(wrong)} wrong names of metrics"]))
    return wrong != []


sys.exit(main())
