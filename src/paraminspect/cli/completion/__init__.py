"""Completion of command lines: from the text before the cursor to what may come next.

    bash, zsh, fish   a script of `scripts/` sends the line and is answered in lines KIND TAB VALUE TAB HELP
    words             the line as a shell splits it
    typed             what it means to the command: its sources, its options, the one whose value is being typed
    choices           what each option or argument can be
    names             tensors of the sources, module by module
    install           where a shell looks for its script

Nothing here imports torch or numpy. Whatever goes wrong, the answer is empty: a shell that completes a line is no
place for an error. Names come from files that nobody need trust: those with anything that a terminal would not print
as it is are left out, and each shell quotes the rest (`words.quote` for bash; zsh and fish do it themselves).
"""
