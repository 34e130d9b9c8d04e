#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every header compiles alone.
cd "$(dirname "$0")/../.." || exit 1
faults=0
count=0
for header in include/*/*.h src/*/*.h; do
    count=$((count + 1))
    printf '#include "%s"\nextern int unused;\n' "$header" |
        ${CC:-gcc} -std=gnu11 -D_GNU_SOURCE -DNDEBUG -Wall -Wextra -Werror -fsyntax-only -I. -Iinclude \
            -Isrc -I"$(dirname "$header")" $(pkg-config --cflags libpq) -x c - || {
        echo "headers: $header does not compile alone"
        faults=$((faults + 1))
    }
done
[ "$faults" -eq 0 ] && [ "$count" -gt 20 ] && echo "headers: $count compile alone"
[ "$faults" -eq 0 ] && [ "$count" -gt 20 ]
