#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check.sh all|sanitized: the phases of make check in order, each with its wall time. Ends at the
# first that fails; only when all is well does it end with "N passed, N failed", the sum of the unit
# and integration tests, plain and sanitized.
cd "$(dirname "$0")/../.." || exit 1
make="${MAKE:-make} --no-print-directory"
build=${BUILD:-build}
jobs=${JOBS:-2}
log=$build/check.log
total_passed=0
total_failed=0

# in_log WORD: "12 passed" in the last line that counts tests, of run-unit.sh or pytest.
in_log() {
    counted=$(grep -E '[0-9]+ (passed|failed|skipped|errors?)' "$log" | tail -n 1 |
        grep -oE "[0-9]+ $1" | cut -d ' ' -f 1)
    echo "${counted:-0}"
}

# phase NAME COMMAND...
phase() {
    name=$1
    shift
    began=$(date +%s)
    "$@" || {
        echo "check: $name failed after $(($(date +%s) - began)) s" >&2
        exit 1
    }
    echo "check: $name took $(($(date +%s) - began)) s"
}

logged() {
    mkdir -p "$build"
    { "$@"; echo $? >"$log.status"; } 2>&1 | tee "$log"
    read -r code <"$log.status"
    rm -f "$log.status"
    return "$code"
}

# tests NAME COMMAND...: a phase that counts.
tests() {
    phase_name=$1
    shift
    phase "$phase_name" logged "$@"
    [ "$(in_log passed)" -gt 0 ] || {
        echo "check: $phase_name ran no test" >&2
        exit 1
    }
    total_passed=$((total_passed + $(in_log passed)))
    total_failed=$((total_failed + $(in_log failed) + $(in_log error)))
    rm -f "$log"
}

plain() {
    phase build $make -j"$jobs" all
    phase layers sh tests/tools/layers.sh
    phase headers sh tests/tools/headers.sh
    phase format sh tests/tools/format.sh
    phase unit-build $make -j"$jobs" unit-build
    tests unit $make unit
    tests integration $make integration
}

sanitized() {
    set -- BUILD="$build/asan" SANITIZE=address,undefined OPT='-O1 -g'
    phase build-sanitized $make -j"$jobs" "$@" all unit-build
    tests unit-sanitized $make "$@" unit
    CXSINK_WAIT_FACTOR=3
    export CXSINK_WAIT_FACTOR
    tests integration-sanitized $make "$@" integration
}

phase packages sh tests/tools/packages.sh check
case $1 in
all)
    plain
    sanitized
    ;;
sanitized) sanitized ;;
*)
    echo "usage: check.sh all|sanitized" >&2
    exit 64
    ;;
esac
echo "$total_passed passed, $total_failed failed"
[ "$total_failed" -eq 0 ]
