#!/usr/bin/python3
"""manual.py SOURCE HTTPACCT: the manual pages are sound and complete.

Prints what mandoc finds, and each option, setting, range and metric that a page lacks or that
only a page has.
"""

import collections
import pathlib
import re
import subprocess
import sys

import metric_list

# Other packages' pages may not be installed where this runs.
NOT_OURS = re.compile(r"referenced manual not found|mandoc\.db lacks")
FORMS = {"COUNTER": "counter", "EACH_WAY": "counter", "BY_CLASS": "counter", "GAUGE": "gauge",
         "TIMING": "timing"}


def lint(pages):
    result = subprocess.run(["mandoc", "-Tlint", *pages], text=True, capture_output=True)
    return [line for line in (result.stdout + result.stderr).splitlines()
            if not NOT_OURS.search(line)]


def items(page, macro):
    """What the list items of a page begin with, by macro: name and text, in order."""
    text = page.read_text().replace("\\-", "-")
    return re.findall(rf"^\.It {macro} (\S+).*\n((?:(?!\.It |\.Sh ).*\n)*)", text, re.MULTILINE)


def compare(what, wanted, found):
    wanted, found = map(collections.Counter, (wanted, found))
    return ([f"{what} not in the manual: {name}" for name in (wanted - found).elements()] +
            [f"{what} only in the manual: {name}" for name in (found - wanted).elements()])


def check_options(page, program):
    usage = subprocess.run([program, "-h"], text=True, capture_output=True, check=True).stdout
    wanted = re.findall(r"^ +(?:-(\w), | {4})--(\w+)", usage, re.MULTILINE)
    heads = re.findall(r"^\.It (Fl .*)$", page.read_text().replace("\\-", "-"), re.MULTILINE)
    found = [re.findall(r"Fl (\S+)", head) for head in heads]
    return compare("option", [name for pair in wanted for name in pair if name],
                   [name.removeprefix("-") for head in found for name in head])


def setting_keys(source):
    """Name and range of each setting that the agent reads."""
    readers = sorted((source / "agent/app").glob("settings*.c"))
    code = "".join(path.read_text() for path in [*(source / "agent").rglob("*.h"), *readers])
    constants = dict(re.findall(r"\b([A-Z_]+) = (\d+)", code))
    for path in readers:
        for name, rest in re.findall(r'\{"(\w+)",\s*\w*read\w*,([^}]*)\}', path.read_text()):
            limits = re.search(r"\.min = (\w+),\s*\.max = ([\w <]+)", rest)
            yield name, limits and [
                eval(constants.get(limit, limit)) for limit in limits.groups()]


def check_settings(page, source):
    keys = list(setting_keys(source))
    documented = items(page, "Cm")
    wrong = compare("setting", [name for name, _ in keys], [name for name, _ in documented])
    conf = (source / "conf/httpacct.conf").read_text()
    for name, limits in keys:
        if not re.search(rf"\b{name}\b", conf):
            wrong.append(f"setting not in conf/httpacct.conf: {name}")
        words = limits and "{} to {}".format(*limits)
        for text in (conf, "".join(text for item, text in documented if item == name)):
            if words and words not in re.sub(r"\s+#?\s*", " ", text):
                wrong.append(f"range of {name} is not said: {words}")
    return wrong


def check_metrics(page, source):
    wanted = [f"{metric.name} {FORMS[metric.form]}, {metric.unit}: {metric.meaning}"
              f"{'' if metric.by_default else '; not by default'}"
              for metric in metric_list.read(source)]
    section = page.read_text().split(".Sh METRICS")[1].split(".El")[0]
    found = [" ".join(row.split()) for row in section.split(".It Cm ")[1:]]
    return compare("metric", wanted, found)


def main():
    source, program = pathlib.Path(sys.argv[1]), sys.argv[2]
    agent, conf = (source / "packaging/man" / name for name in ("httpacct.8", "httpacct.conf.5"))
    wrong = [*lint((agent, conf)), *check_options(agent, program), *check_settings(conf, source),
             *check_metrics(agent, source)]
    print("\n".join(wrong + [f"{len(wrong)} wrong in the manual"]))
    return wrong != []


sys.exit(main())
