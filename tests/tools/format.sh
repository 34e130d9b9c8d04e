#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The formatting is what clang-format makes of it, and no file or function outgrows its bound.
cd "$(dirname "$0")/../.." || exit 1
faults=0
files=$(git ls-files --cached --others --exclude-standard 'src/*.[ch]' 'include/*.h' 'tests/*.[ch]')
[ -n "$files" ] || files=$(find src include tests -name '*.[ch]')
# Other versions put some lines otherwise; theirs is no fault of ours.
version=$(clang-format --version 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p')
[ "$version" = 14 ] ||
    echo "format: the form is not checked: that takes clang-format 14, here is ${version:-none}"
for file in $files; do
    [ -f "$file" ] || continue
    [ "$version" != 14 ] || clang-format "$file" | cmp -s - "$file" || {
        echo "format: $file differs; run make format"
        faults=$((faults + 1))
    }
    case $file in
    src/*.c)
        lines=$(wc -l <"$file")
        [ "$lines" -le 700 ] || {
            echo "format: $file has $lines lines, 700 at most"
            faults=$((faults + 1))
        }
        ;;
    esac
done
[ "$faults" -eq 0 ] && [ "$version" = 14 ] &&
    echo "format: $(echo "$files" | wc -l) files are in form"
[ "$faults" -eq 0 ]
