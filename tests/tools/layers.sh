#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Holds the layer table to the #include lines: a file includes its own folder and lower levels only,
# and a library's headers stay in the folders that may use it.
cd "$(dirname "$0")/../.." || exit 1

level() {
    case $1 in
    core) echo 0 ;;
    config | json | spool | net) echo 1 ;;
    schema | auth | stream | pg) echo 2 ;;
    event) echo 3 ;;
    sink | jobs) echo 4 ;;
    ops) echo 5 ;;
    app) echo 6 ;;
    cli) echo 7 ;;
    sim) echo 2 ;;     # apart: stands on core and json alone
    jscheck) echo 2 ;; # apart: of core and json what it needs
    *) echo "" ;;
    esac
}

# HEADER-PATTERN:FOLDERS that may include it
libraries='
libwebsockets.h:core/loop stream ops sim
libpq-fe.h:pg
curl/:net
openssl/:core/hash net ops stream sim pg
pcre2.h:schema
idn2.h:schema/format_host
systemd/:core/log app
zlib.h:spool
jsc/:jscheck
seccomp.h:jscheck
'

faults=0
files=0
fault() {
    echo "layers: $1"
    faults=$((faults + 1))
}

for file in src/*/*.[ch] include/*/*.h; do
    files=$((files + 1))
    folder=$(basename "$(dirname "$file")")
    own=$(level "$folder")
    [ -n "$own" ] || fault "$file: folder $folder has no level"
    for included in $(sed -n 's/^#include "\([a-z]*\)\/.*/\1/p' "$file" | sort -u); do
        theirs=$(level "$included")
        [ "$included" = "$folder" ] && continue
        [ -n "$theirs" ] || { fault "$file includes unknown folder $included"; continue; }
        [ "$theirs" -lt "$own" ] || fault "$file (level $own) includes $included (level $theirs)"
    done
    base=${file%.[ch]}
    base=${base#src/}
    base=${base#include/}
    for rule in $(echo "$libraries" | tr ' ' ','); do
        pattern=${rule%%:*}
        allowed=$(echo "${rule#*:}" | tr ',' ' ')
        grep -q "^#include <$pattern" "$file" || continue
        ok=no
        for place in $allowed; do
            case $base in "$place" | "$place"/* | "$place"_priv) ok=yes ;; esac
        done
        [ $ok = yes ] || fault "$file includes <$pattern>, which only $allowed may"
    done
done
[ "$faults" -eq 0 ] && [ "$files" -gt 50 ] && echo "layers: $files files, all in order"
[ "$faults" -eq 0 ] && [ "$files" -gt 50 ]
