#!/usr/bin/python3
"""headers.py SOURCE BUILD: every header compiles alone, with its layer's own flags.

Prints what the compiler says of those that don't.
"""

import json
import pathlib
import shlex
import subprocess
import sys


def flags_by_directory(build):
    """What the sources of each directory are compiled with, less input and output."""
    flags = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        arguments = shlex.split(entry["command"])
        output = arguments.index("-o")
        del arguments[output:output + 2]
        arguments.remove("-c")
        arguments.remove(entry["file"])
        flags.setdefault(pathlib.Path(entry["file"]).parent, arguments)
    return flags


def main():
    source, build = map(pathlib.Path, sys.argv[1:])
    flags = flags_by_directory(build)
    headers = sorted(header for folder in ("agent", "tests/unit")
                     for header in (source / folder).rglob("*.h"))
    failed = 0
    for header in headers:
        compiler = flags.get(header.parent) or next(iter(flags.values()))
        failed += subprocess.run(
            [*compiler, "-fsyntax-only", "-x", "c", "-"], cwd=build,
            input=f'#include "{header}"\n', text=True).returncode != 0
    print(f"{len(headers)} headers, {failed} don't compile alone")
    return failed != 0 or not headers


sys.exit(main())
