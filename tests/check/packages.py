#!/usr/bin/python3
"""packages.py SOURCE: the lists that packages are made from agree with each other.

Prints each version, build dependency and library that one of them has and another has not.
"""

import pathlib
import re
import sys

# Every Debian machine that builds packages has them.
BUILD_ESSENTIAL = {"gcc", "libc6-dev", "make"}


def versions(cmake, changelog, spec):
    found = (re.search(r"project\(httpacct VERSION (\S+)", cmake)[1],
             re.match(r"httpacct \((.*)-\d+\)", changelog)[1],
             re.search(r"^Version: +(\S+)", spec, re.MULTILINE)[1],
             re.search(r"%changelog\n.* - (\S+)-\d+\n", spec)[1])
    return [] if len(set(found)) == 1 else [
        "versions of CMakeLists.txt, debian/changelog, Version and %changelog of httpacct.spec: "
        + " ".join(found)]


def build_depends(listed, control):
    field = re.search(r"^Build-Depends:\n((?: .*\n)+)", control, re.MULTILINE)[1]
    wanted = {line for line in listed.splitlines() if line and line[0] != "#"} - BUILD_ESSENTIAL
    named = set(re.findall(r"(?:^ |\| )([\w.+-]+)", field, re.MULTILINE))
    return [f"in packaging/build-depends, not in debian/control: {name}"
            for name in sorted(wanted - named)]


def libraries(cmake, spec):
    wanted = {module.split(">")[0]
              for modules in re.findall(r"pkg_check_modules\(\w+ ([^)]*)\)", cmake)
              for module in modules.split() if module[0].islower()}
    named = set(re.findall(r"pkgconfig\((\S+)\)", spec))
    return [f"in CMakeLists.txt, not in httpacct.spec: {name}" for name in sorted(wanted - named)]


def main():
    source = pathlib.Path(sys.argv[1])
    packaging = source / "packaging"
    cmake = "".join(path.read_text() for path in
                    (source / "CMakeLists.txt", source / ".cmake/Llhttp.cmake"))
    spec = (packaging / "httpacct.spec").read_text()
    wrong = [*versions(cmake, (packaging / "debian/changelog").read_text(), spec),
             *build_depends((packaging / "build-depends").read_text(),
                            (packaging / "debian/control").read_text()),
             *libraries(cmake, spec)]
    print("\n".join(wrong + [f"{len(wrong)} wrong in the packages' lists"]))
    return wrong != []


sys.exit(main())
