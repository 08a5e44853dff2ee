"""Completion scripts of the supported shells; each calls ``bmx _complete``, which prints whole arguments."""

from __future__ import annotations

# bash breaks words at = and : as well, and replaces only what follows the last break: what comes before is cut off.
# A completion that can go on (it ends in = . / or ,) gets no space after it.
_BASH = r"""# bmx: tab completion for bash. Use it with: eval "$(bmx completion bash)"
_bmx_complete() {
    local typed="${COMP_LINE:0:COMP_POINT}" IFS=$'\n' cut="" word breaks="${COMP_WORDBREAKS//[[:space:]]/}"
    typed="${typed##*[[:space:]]}"
    if [[ -n "$breaks" && "$typed" == *["$breaks"]* ]]; then
        cut="${typed%"${typed##*["$breaks"]}"}"
    fi
    COMPREPLY=()
    for word in $(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" "${COMP_WORDS[0]}" _complete 2>/dev/null); do
        [[ "$word" == *[=./,] ]] || word+=" "
        COMPREPLY+=("${word#"$cut"}")
    done
}
complete -o nospace -F _bmx_complete bmx
"""

_ZSH = r"""#compdef bmx
# bmx: tab completion for zsh. Use it with: eval "$(bmx completion zsh)"
_bmx() {
    local -a found open closed
    local word
    found=("${(@f)$(COMP_LINE="$LBUFFER" COMP_POINT="${#LBUFFER}" "${words[1]}" _complete 2>/dev/null)}")
    for word in $found; do
        if [[ "$word" == *[=./,] ]]; then open+=("$word"); else closed+=("$word"); fi
    done
    (( $#open )) && compadd -Q -S '' -- $open
    (( $#closed )) && compadd -Q -- $closed
    return 0
}
if (( ! $+functions[compdef] )); then
    autoload -Uz compinit && compinit
fi
compdef _bmx bmx
"""

_FISH = r"""# bmx: tab completion for fish. Use it with: bmx completion fish | source
function __bmx_complete
    set -l line (commandline -cp)
    set -l program (commandline -opc)[1]
    COMP_LINE="$line" COMP_POINT=(string length -- "$line") $program _complete 2>/dev/null
end
complete -c bmx -f -a '(__bmx_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
"""Completion script by shell."""
