#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs cmocka programs one after the other and sums their results up:
# "unit: N passed, N failed[, N skipped]". A program that tells of no test at all, or takes more than
# ten minutes, has failed.
CMOCKA_MESSAGE_OUTPUT=stdout
export CMOCKA_MESSAGE_OUTPUT
passed=0
failed=0
skipped=0

# summed OUTPUT WORD: cmocka's own count, " 2 FAILED TEST(S)", over all groups of a program.
summed() {
    printf '%s\n' "$1" | awk -v word="$2" '$2 == word && $3 == "TEST(S)" { n += $1 } END { print n + 0 }'
}

for test in "$@"; do
    output=$(timeout -k 10 600 "$test" 2>&1)
    code=$?
    ok=$(printf '%s\n' "$output" | grep -c '^\[ *OK \]')
    bad=$(summed "$output" FAILED)
    skip=$(summed "$output" SKIPPED)
    passed=$((passed + ok))
    skipped=$((skipped + skip))
    if [ "$code" -ne 0 ] || [ "$bad" -gt 0 ] || [ $((ok + skip)) -eq 0 ]; then
        [ "$bad" -gt 0 ] || bad=1
        failed=$((failed + bad))
        printf '%s\n--- %s failed (exit %s)\n' "$output" "$test" "$code"
    fi
done
more=""
[ "$skipped" -eq 0 ] || more=", $skipped skipped"
printf 'unit: %s passed, %s failed%s\n' "$passed" "$failed" "$more"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
