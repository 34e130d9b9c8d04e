# SPDX-License-Identifier: Apache-2.0
# bash completion for cxsink and cxsink-sim. Commands, verbs and options are those that the program
# at hand names in its --help; only what their values are is known here.

# The options that a help text names.
_cxsink_options() {
    grep -oE '(^|[][ |(])--[a-z][a-z-]*' <<<"$1" | grep -oE -- '--[a-z-]+' | sort -u
    echo --help
}

# The verbs that its usage lines name: "cxsink spool stat|verify".
_cxsink_verbs() {
    sed -nE "s/^(usage:|      ) cxsink $2 ([a-z|]+)( .*)?$/\2/p" <<<"$1" | tr '|' '\n' | sort -u
}

# Those of the words that begin with what is typed.
_cxsink_reply() {
    COMPREPLY=($(compgen -W "$*" -- "$cur"))
    return 0 # also where there is none
}

# -f: files; -d: directories.
_cxsink_files() {
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen "$1" -- "$cur"))
    return 0
}

# What its option $2 takes: "FILE" of "--config FILE", "" of a flag.
_cxsink_takes() {
    grep -oE -- "(^|[][ |(,])$2(, --[a-z-]+)? \[?[A-Z]+" <<<"$1" | head -n 1 | grep -oE '[A-Z]+$'
}

# The values of option $2 of a program $1 with the help text $3; false: it takes none.
_cxsink_values() {
    local config=()
    case $2 in
    --stream | --action)
        [[ -z $configuration ]] || config=(-c "$configuration")
        _cxsink_reply $("$1" names "${2#--}s" "${config[@]}" 2>/dev/null)
        ;;
    --draft) _cxsink_reply 2020-12 2019-09 7 6 4 ;;
    --formats) _cxsink_reply assert annotate ;;
    --output) _cxsink_reply text basic ;;
    --strict) _cxsink_reply typos all off ;;
    --state) _cxsink_reply queued running polling succeeded failed cancelled ;;
    -?*)
        case $(_cxsink_takes "$3" "$2") in
        FILE) _cxsink_files -f ;;
        DIR) _cxsink_files -d ;;
        '') return 1 ;;
        esac # others are what nobody can guess
        ;;
    *) return 1 ;;
    esac
}

_cxsink() {
    local IFS=$'\n' program=${COMP_WORDS[0]} cur=${COMP_WORDS[COMP_CWORD]}
    local previous=${COMP_WORDS[COMP_CWORD - 1]} command='' verb='' configuration='' help verbs i
    COMPREPLY=()
    # --option=value is three words here
    [[ $cur == = ]] && cur='' || { [[ $previous == = ]] && previous=${COMP_WORDS[COMP_CWORD - 2]}; }
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -c | --config)
            [[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))
            ((++i))
            configuration=${COMP_WORDS[i]}
            ;;
        -* | =) ;;
        *)
            if [[ ${program##*/} == cxsink-sim ]]; then
                :
            elif [[ -z $command ]]; then
                command=${COMP_WORDS[i]}
            elif [[ -z $verb ]]; then
                verb=${COMP_WORDS[i]}
            fi
            ;;
        esac
    done
    help=$("$program" $command --help 2>/dev/null) || return
    _cxsink_values "$program" "$previous" "$help" && return
    if [[ $cur == -* ]]; then
        _cxsink_reply $(_cxsink_options "$help")
    elif [[ ${program##*/} == cxsink-sim ]]; then
        return
    elif [[ -z $command ]]; then
        _cxsink_reply $(sed -nE 's/^  ([a-z]+) .*/\1/p' <<<"$help")
    else
        verbs=$(_cxsink_verbs "$help" "$command")
        if [[ -n $verbs && ! $verbs =~ (^|$'\n')"$verb"($'\n'|$) ]]; then
            _cxsink_reply $verbs
        elif grep -qE "cxsink $command${verbs:+ $verb} .*FILE\.\.\." <<<"$help"; then
            _cxsink_files -f
        fi
    fi
}

complete -F _cxsink cxsink cxsink-sim
