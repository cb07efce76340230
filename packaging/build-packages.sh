#!/bin/sh
# build-packages.sh [DIRECTORY]: install what is needed (Debian 12), and build the
# source, DEB and RPM packages of this tree into DIRECTORY, else build-packages/.
# The same tree gives the same packages, byte by byte.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "${1:-$top/build-packages}"
out=$(cd "${1:-$top/build-packages}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C
umask 022

from_changelog() {
    dpkg-parsechangelog -l "$top/packaging/debian/changelog" -S "$1"
}

# What upstream would publish: the tree, as one archive.
pack_source() {
    tar --create --directory "$top" --exclude-vcs --exclude='./build*' --exclude=__pycache__ \
        --sort=name --mtime="@$SOURCE_DATE_EPOCH" --mode=u=rwX,go=rX \
        --owner=0 --group=0 --numeric-owner --transform="flags=r;s,^\.,$name," . |
        gzip -9n >"$work/$name.tar.gz"
}

build_deb() {
    mkdir "$work/deb"
    cp "$work/$name.tar.gz" "$work/deb/httpacct_$version.orig.tar.gz"
    tar --extract --directory "$work/deb" --file "$work/$name.tar.gz"
    cp -a "$work/deb/$name/packaging/debian" "$work/deb/$name/debian"
    (cd "$work/deb/$name" && dpkg-buildpackage --no-sign)
    find "$work/deb" -maxdepth 1 -type f -exec cp -t "$out" {} +
}

# --nodeps: what is installed here is in Debian's books, not in rpm's. The source
# package keeps the paths it was made with: hence relative ones, and a run of its own.
build_rpm() {
    cd "$work"
    rpm_build -bs --define '_topdir rpm' --define '_sourcedir .'
    rpm_build -bb --define "_topdir $work/rpm" --define "_sourcedir $work"
}

rpm_build() {
    rpmbuild --load="$top/packaging/rpm-on-debian.macros" --nodeps "$@" \
        --define "_rpmdir $out" --define "_srcrpmdir $out" \
        --define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
        "$top/packaging/httpacct.spec"
}

"$top/packaging/install-depends.sh" "$top/packaging/build-depends" "$top/packaging/package-depends"
version=$(from_changelog Version)
version=${version%-*}
name=httpacct-$version
SOURCE_DATE_EPOCH=$(from_changelog Timestamp)
export SOURCE_DATE_EPOCH
pack_source
build_deb
build_rpm
ls "$out"
