#!/bin/sh
# run.sh [CTEST OPTION]...: install what the tests need, build with warnings as
# errors, and run every test: checks, unit tests, end-to-end tests, and those of
# the sanitizer builds. The last line counts them.
#
# Without root the tests that need it are skipped by name. With CI=true a test
# that is skipped fails.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build-tests

"$top/packaging/install-depends.sh" "$top/packaging/build-depends" \
    "$top/packaging/package-depends" "$top/tests/test-depends"
cmake -S "$top" -B "$build" -DHTTPACCT_WERROR=ON -DHTTPACCT_TEST_SANITIZED=ON
cmake --build "$build" --parallel "$(nproc)"

status=0
ctest --test-dir "$build" --parallel "$(nproc)" --output-on-failure --no-label-summary \
    --output-log "$build/ctest.log" "$@" || status=$?
grep 'tests passed' "$build/ctest.log"
exit $status
