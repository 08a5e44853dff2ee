"""Text of ``bmx --help``."""

from __future__ import annotations

from bmx.config.verbs import VERBS


def usage() -> str:
    """The top-level help: verbs with a line each, the main flags, two examples."""
    width = max(map(len, VERBS)) + 2
    verbs = "\n".join(f"  {name:<{width}}{verb.help}" for name, verb in VERBS.items())
    return f"""\
bmx runs deep-learning architecture experiments: one composed configuration in, one run directory out.

usage: bmx VERB [flags] [group=word ...] [key=value ...]

verbs:
{verbs}

flags:
  -h, --help  this page; after a verb its groups, keys, flags and examples
  --version   the version of bmx
  --debug     show the traceback of an error

examples:
  bmx train model=lenet5 optim=sgd
  bmx evaluate run=latest"""


def command_usage(name: str) -> str:
    """The help of a verb that is not composed by Hydra."""
    verb = VERBS[name]
    examples = "\n".join(f"  {example}" for example in verb.examples)
    return f"usage: bmx {name} [words]\n\n{verb.help}\n\nexamples:\n{examples}"
