#!/bin/sh
# unit.sh UNIT DROP-IN: systemd finds nothing wrong with the unit of the build, alone
# and with the drop-in, and calls the service's exposure 2.5 or less.
set -eu

unit=$(realpath "$1")
drop_in=$(realpath "$2")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# What it would start need not be installed.
sed "s,^\(ExecStart\|ExecReload\)=[^ ]*,\1=/bin/true," "$unit" >"$folder/httpacct.service"
cd "$folder"

# It ends with 0 whatever it says.
verify() {
    said=$(systemd-analyze verify --man=no ./httpacct.service 2>&1 | grep httpacct || true)
    if [ -n "$said" ]; then
        echo "$said"
        exit 1
    fi
}

verify
if ! systemd-analyze security --offline=true --threshold=25 ./httpacct.service >exposure; then
    cat exposure
    exit 1
fi
mkdir httpacct.service.d
cp "$drop_in" httpacct.service.d/
verify
