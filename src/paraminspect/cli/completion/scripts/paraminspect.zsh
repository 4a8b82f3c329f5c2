#compdef paraminspect
# Completion of paraminspect for zsh.

_paraminspect() {
    local kind value about program=${(Q)words[1]/#\~\//$HOME/}
    local -a finished parts finished_shown parts_shown
    while IFS=$'\t' read -r kind value about; do
        case $kind in
            files)
                [[ -z $value ]] || compset -P '*='
                _files
                return
                ;;
            word)
                finished+=("$value")
                finished_shown+=("$value${about:+  -- $about}")
                ;;
            part)
                parts+=("$value")
                parts_shown+=("$value${about:+  -- $about}")
                ;;
        esac
    done < <(
        _PARAMINSPECT_COMPLETE=complete_zsh \
        _PARAMINSPECT_BEFORE="${(j: :)words[1,CURRENT-1]} $QIPREFIX$PREFIX" \
        _PARAMINSPECT_BEHIND="$SUFFIX ${(j: :)words[CURRENT+1,-1]}" \
            "$program" 2>/dev/null
    )
    (( $#parts )) && compadd -V parts -S '' -l -d parts_shown -a parts
    (( $#finished )) && compadd -V finished -l -d finished_shown -a finished
}

if [[ ${funcstack[1]} == _paraminspect ]]; then
    _paraminspect "$@"
else
    compdef _paraminspect paraminspect
fi
