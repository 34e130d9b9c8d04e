#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run-unit.sh JOBS PROGRAM...: runs cmocka programs, JOBS at a time, and sums their results up:
# "unit: N passed, N failed[, N skipped]". A program that tells of no test at all, or takes more than
# ten minutes, has failed; what failed is printed whole.
CMOCKA_MESSAGE_OUTPUT=stdout
export CMOCKA_MESSAGE_OUTPUT

# summed FILE WORD: cmocka's own count, " 2 FAILED TEST(S)", over all groups of a program.
summed() {
    awk -v word="$2" '$2 == word && $3 == "TEST(S)" { n += $1 } END { print n + 0 }' "$1"
}

# Leaves "passed failed skipped" in DIRECTORY/*.counts.
run_one() {
    output=$(mktemp "$1/XXXXXX") || exit 1
    timeout -k 10 600 "$2" >"$output" 2>&1
    code=$?
    ok=$(grep -c '^\[ *OK \]' "$output")
    bad=$(summed "$output" FAILED)
    skip=$(summed "$output" SKIPPED)
    if [ "$code" -ne 0 ] || [ "$bad" -gt 0 ] || [ $((ok + skip)) -eq 0 ]; then
        [ "$bad" -gt 0 ] || bad=1
        echo "--- $2 failed (exit $code)" >>"$output"
        cat "$output"
    fi
    echo "$ok $bad $skip" >"$output.counts"
}

if [ "$1" = one ]; then
    run_one "$2" "$3"
    exit 0
fi
jobs=$1
shift
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
trap 'exit 1' INT TERM
printf '%s\n' "$@" | xargs -P "$jobs" -n 1 sh "$0" one "$directory"
cat "$directory"/*.counts | awk -v wanted=$# '
    { passed += $1; failed += $2; skipped += $3; programs++ }
    END {
        failed += wanted - programs
        more = skipped ? ", " skipped " skipped" : ""
        printf "unit: %d passed, %d failed%s\n", passed, failed, more
        exit failed > 0 || passed == 0
    }'
