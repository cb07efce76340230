#!/bin/sh
# quickstart.sh [OPTION]...: install what the build needs, build, and run
# httpacct with these options. Without any it watches every interface.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build

"$top/packaging/install-depends.sh" "$top/packaging/build-depends"
cmake -S "$top" -B "$build" -DHTTPACCT_TESTS=OFF
cmake --build "$build" --parallel "$(nproc)"

as_root=
if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null; then
    as_root=sudo
fi
exec $as_root "$build/agent/httpacct" "$@"
