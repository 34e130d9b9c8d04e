#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deb.sh BUILD VERSION: builds the Debian packages of this machine's release from the files here into
# BUILD/deb. The same files make the same packages, byte by byte: times are those of the last commit,
# or of $SOURCE_DATE_EPOCH.
set -e
cd "$(dirname "$0")/../.."
version=$2
out=$1/deb
tree=$out/cxsink-$version
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Makefile)}"
export SOURCE_DATE_EPOCH
# Packages of one version for two releases differ, and a newer release's is the newer one.
# shellcheck disable=SC1091
release=$(. /etc/os-release && echo "${VERSION_ID:++deb$VERSION_ID}")

rm -rf "$out"
mkdir -p "$tree"
cp -r Makefile README.md LICENSE src include sql systemd config "$tree"
cp -r config/packaging/debian "$tree/debian"
cat >"$tree/debian/changelog" <<END
cxsink ($version$release) unstable; urgency=medium

  * Version $version.

 -- $(sed -n 's/^Maintainer: //p' config/packaging/debian/control)  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
(cd "$tree" && debconf-updatepo)
# Nothing of the caller's settings, BUILD before all, whose contents `make clean` removes.
(cd "$tree" && env -i PATH="$PATH" HOME="$HOME" LC_ALL=C.UTF-8 SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" \
    CC="${CC:-gcc}" dpkg-buildpackage -b -us -uc -j"${JOBS:-2}" >../build.log 2>&1) || {
    tail -n 40 "$out/build.log" >&2
    exit 1
}
rm -rf "$tree"
ls "$out"/*.deb
