#!/bin/sh
# The shell scripts: nothing that shellcheck would complain of.
set -eu

cd "$1"
shellcheck .ci/run packaging/*.sh packaging/debian/postrm packaging/completion/*.bash tests/*.sh tests/*/*.sh
