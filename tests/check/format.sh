#!/bin/sh
# Every C file is as clang-format leaves it. Other versions than 14 differ.
set -eu

cd "$1"
find agent bpf tests -name '*.[ch]' -print0 | xargs -0 clang-format-14 --dry-run -Werror
