"""bmx completion: tab completion for bash, zsh and fish."""

from bmx.config.verbs import Verb

VERB = Verb(
    place=90,
    help="print the tab completion script of a shell: bash, zsh or fish",
    target="bmx.verbs.completion.command:main",
    examples=('eval "$(bmx completion bash)"', 'eval "$(bmx completion zsh)"', "bmx completion fish | source"),
)
