#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh BUILD SECONDS TARGET...: runs the targets in BUILD/fuzz one after the other, the seconds
# split evenly, each from its committed corpus and what earlier runs found (BUILD/corpus). A line a
# target at the end; fails when one of them found something, which is then kept in BUILD/findings.
#
# fuzz.sh BUILD merge TARGET...: makes the committed corpus anew from both: of the few inputs that
# together reach every place of the code that any of them reaches, the 90 that hold most.
build=$1
seconds=$2
shift 2
[ $# -gt 0 ] || {
    echo "usage: fuzz.sh BUILD SECONDS|merge TARGET..." >&2
    exit 64
}
findings=$build/findings
keep=90
summary=$build/summary
# A finding must not wait for a person: stdin is closed, and each input has ten seconds and 2 GiB.
limits="-timeout=10 -rss_limit_mb=2048 -max_len=4096"
mkdir -p "$findings"
: >"$summary"

options() {
    case $1 in validate) dictionary=tests/fuzz/schema.dict ;; *) dictionary=tests/fuzz/$1.dict ;; esac
    [ ! -f "$dictionary" ] || echo "-dict=$dictionary"
}

merge() {
    kept=$build/kept/$1
    rm -rf "$kept"
    mkdir -p "$kept" "tests/fuzz/corpus/$1"
    "$build/fuzz/$1" -set_cover_merge=1 -use_counters=0 -max_len=512 "$kept" \
        "$build/corpus/$1" "tests/fuzz/corpus/$1" </dev/null >"$build/$1.log" 2>&1 || {
        tail -20 "$build/$1.log"
        exit 1
    }
    rm -f "tests/fuzz/corpus/$1"/*
    ls -S "$kept" | head -n "$keep" | while read -r name; do
        cp "$kept/$name" "tests/fuzz/corpus/$1"
    done
    echo "merge $1: $(ls "$kept" | wc -l) inputs reach all, kept are $(ls "tests/fuzz/corpus/$1" |
        wc -l), $(cat "tests/fuzz/corpus/$1"/* | wc -c) bytes"
}

fuzz() {
    mkdir -p "$build/corpus/$1" "tests/fuzz/corpus/$1"
    before=$(ls "$findings" | wc -l)
    # shellcheck disable=SC2046,SC2086
    nice -n 19 "$build/fuzz/$1" $limits $(options "$1") -max_total_time="$each" -print_final_stats=1 \
        -artifact_prefix="$findings/$1-" "$build/corpus/$1" "tests/fuzz/corpus/$1" \
        </dev/null >"$build/$1.log" 2>&1
    code=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$1.log")
    found="no finding"
    if [ $code -ne 0 ] || [ "$(ls "$findings" | wc -l)" -ne "$before" ]; then
        found="FAILED, see $build/$1.log and $findings/$1-*"
        faults=$((faults + 1))
        tail -40 "$build/$1.log"
    fi
    echo "fuzz $1: ${runs:-0} runs in $each s, $(ls "$build/corpus/$1" | wc -l) inputs kept, $found" |
        tee -a "$summary"
}

if [ "$seconds" = merge ]; then
    for target in "$@"; do merge "$target"; done
    exit 0
fi
each=$((seconds / $#))
[ "$each" -gt 0 ] || each=1
faults=0
for target in "$@"; do fuzz "$target"; done
echo "fuzz: $# targets, $faults with findings"
[ "$faults" -eq 0 ]
