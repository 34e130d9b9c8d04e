#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# packages.sh build|demo|check|fuzz|bench|deb|check-deb: installs the Debian packages (12 and 13) that the target needs
# and that are missing, saying which; as root directly, else through sudo.
compile="gcc make pkg-config libc6-dev libwebsockets-dev libpq-dev libssl-dev
       libsystemd-dev libcurl4-openssl-dev libpcre2-dev libidn2-dev"
# Of cxsink-jscheck, which the demo does without.
helper="libjavascriptcoregtk-4.1-dev libseccomp-dev"
build="$compile $helper"
demo="$compile postgresql openssl curl python3 python3-psycopg2 util-linux procps"
check="$demo $helper libcmocka-dev python3-pytest python3-pytest-xdist python3-pytest-timeout
       python3-aiohttp python3-yaml python3-hypercorn python3-websockets prometheus pgbouncer systemd valgrind strace git
       libjson-c-dev chromium mandoc zsh"
fuzz="$compile libjson-c-dev clang libclang-rt-dev"
bench="$demo nodejs npm python3-aiohttp"
deb="$build build-essential debhelper po-debconf dpkg-dev"
check_deb="debootstrap python3 util-linux"
# The form of the sources is held to Debian 12's version alone (format.sh).
# shellcheck disable=SC1091
if [ "$(. /etc/os-release 2>/dev/null && echo "$VERSION_ID")" = 12 ]; then
    check="$check clang-format"
    deb="$deb systemd"
else
    deb="$deb systemd-dev"
fi

case $1 in
build) wanted=$build ;;
demo) wanted=$demo ;;
check) wanted=$check ;;
fuzz) wanted=$fuzz ;;
bench) wanted=$bench ;;
deb) wanted=$deb ;;
check-deb) wanted=$check_deb ;;
*)
    echo "usage: packages.sh build|demo|check|fuzz|bench|deb|check-deb" >&2
    exit 64
    ;;
esac

command -v dpkg-query >/dev/null || {
    echo "packages: this is no Debian; install by hand: $wanted" >&2
    exit 0
}
missing=""
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)
    [ "$state" = installed ] && continue
    # A machine may have these two from elsewhere.
    case $package in nodejs | npm) command -v "${package%js}" >/dev/null && continue ;; esac
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "packages: not root, and no sudo; install as root:$missing" >&2
        exit 1
    }
    as_root=sudo
fi
echo "packages: installing$missing"
# PostgreSQL is started by the tests and the demo themselves: no cluster is made at installation.
if ! dpkg-query -W -f '${db:Status-Status}' postgresql-common 2>/dev/null | grep -q '^installed'; then
    $as_root mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo 'create_main_cluster = false' | $as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
$as_root apt-get update -q &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
