#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs cmocka programs one after the other and sums their results up: "N passed, N failed".
passed=0
failed=0
for test in "$@"; do
    output=$("$test" 2>&1)
    code=$?
    ok=$(printf '%s\n' "$output" | grep -c '^\[       OK \]')
    bad=$(printf '%s\n' "$output" | grep -c '^\[  FAILED  \].*[a-z]')
    passed=$((passed + ok))
    if [ "$code" -ne 0 ] || [ "$ok" -eq 0 ]; then
        [ "$bad" -gt 0 ] || bad=1
        failed=$((failed + bad))
        printf '%s\n--- %s failed (exit %s)\n' "$output" "$test" "$code"
    fi
done
printf 'unit: %s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
