#!/bin/sh
# install-depends.sh LIST...: install those of the listed Debian packages that
# are missing. Where none is, apt is not run at all. A line is the name of a
# package; a command behind it says that whoever has that needs no package.
set -eu

is_installed() {
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

if ! command -v dpkg-query >/dev/null; then
    echo "not Debian: install what these list by other means, then build by hand: $*" >&2
    exit 1
fi

missing=$(sed 's/#.*//;/^ *$/d' "$@" | while read -r package command; do
    is_installed "$package" || { [ -n "$command" ] && command -v "$command" >/dev/null; } ||
        printf '%s ' "$package"
done)
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "neither root nor sudo to install what is missing: $missing" >&2
        exit 1
    fi
    as_root=sudo
fi
$as_root apt-get update -q
# shellcheck disable=SC2086 # one word a package
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing
