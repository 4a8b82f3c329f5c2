# Completion of paraminspect for fish.

function __paraminspect_complete
    # of what stands behind the cursor, fish tells nothing
    set -l before (commandline -cp | string collect)
    set -l program (commandline -opc)[1]
    for line in (env _PARAMINSPECT_COMPLETE=complete_fish _PARAMINSPECT_BEFORE=$before \
        (string replace -r '^~/' $HOME/ -- $program) 2>/dev/null)
        set -l parts (string split -m 1 \t -- $line)
        switch $parts[1]
            case files
                set -l prefix $parts[2]
                set -l word (commandline -ct | string sub -s (math (string length -- "$prefix") + 1))
                # what the file is called: without a quote that is still open, or backslashes
                if string match -qr '^[\'"]' -- "$word"
                    set word (string sub -s 2 -- "$word")
                else
                    set word (string unescape -- "$word")
                end
                set -l found (__fish_complete_path (string replace -r '^~/' "$HOME/" -- "$word"))
                if string match -q '~/*' -- "$word"
                    set found (string replace -- "$HOME/" '~/' $found)
                end
                string replace -r '^' -- "$prefix" $found
            case word part
                echo -- $parts[2]
        end
    end
end

complete -c paraminspect -f -a '(__paraminspect_complete)'
