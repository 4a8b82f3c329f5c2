# Completion of paraminspect for bash 4.4 or newer.

_paraminspect() {
    local kind value
    COMPREPLY=()
    while IFS=$'\t' read -r kind value; do
        case $kind in
            files) compopt -o default ;;
            part) compopt -o nospace && COMPREPLY+=("$value") ;;
            word) COMPREPLY+=("$value") ;;
        esac
    done < <(
        _PARAMINSPECT_COMPLETE=complete_bash \
        _PARAMINSPECT_BEFORE=${COMP_LINE:0:COMP_POINT} \
        _PARAMINSPECT_BEHIND=${COMP_LINE:COMP_POINT} \
        _PARAMINSPECT_BREAKS=$COMP_WORDBREAKS \
            "${1/#~\//$HOME/}" 2>/dev/null
    )
}

complete -o nosort -F _paraminspect paraminspect
