# Completion of paraminspect for fish.

function __paraminspect_complete
    set -l before (commandline -cp | string collect)
    set -l behind (commandline -p | string collect | string sub -s (math (string length -- $before) + 1) | string collect)
    set -l program (commandline -opc)[1]
    for line in (env _PARAMINSPECT_COMPLETE=complete_fish _PARAMINSPECT_BEFORE=$before _PARAMINSPECT_BEHIND=$behind \
        (string replace -r '^~/' $HOME/ -- $program) 2>/dev/null)
        set -l parts (string split -m 1 \t -- $line)
        switch $parts[1]
            case files
                set -l prefix $parts[2]
                set -l word (commandline -ct | string sub -s (math (string length -- "$prefix") + 1))
                string replace -r '^' -- "$prefix" (__fish_complete_path "$word")
            case word part
                echo -- $parts[2]
        end
    end
end

complete -c paraminspect -f -a '(__paraminspect_complete)'
