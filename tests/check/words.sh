#!/bin/sh
# What must not stay in the tree: a TODO without an issue number, paths of
# somebody's machine. Prints each.
set -eu

cd "$1"
status=0
search() {
    pattern=$1
    if grep -rnIE "$pattern" --exclude-dir=.git --exclude=.git --exclude-dir='build*' --exclude=words.sh .; then
        status=1
    fi
}

search '\b(TODO|FIXME|XXX|HACK)\b([^(]|\([^#]|$)'
search '(^|[^[:alnum:]_.-])/(work|farm|home|root)/'
exit $status
