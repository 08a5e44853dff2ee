"""What a run is called when the user does not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bmx.errors import UsageError

AUTO = "auto"
"""In the place of a run directory or a sweep's: one is to be made, with a name of its own."""
_SAID = ("model", "data", "optim")
# Of a run that is about another one: what was done to it.
_SAID_ABOUT = ("model", "data", "compression")


def run_name(config: DictConfig, swept: dict[str, list[str]] | None = None) -> str:
    """The chosen experiment, or the chosen words of model, data and optim joined by dashes: ``lenet5-mnist_5k-sgd``.

    A run that is about another one (``run=``) is called as that one. A model of a library, whose word stands for many
    (``model=torchvision model.name=resnet18``), is called by its own name.

    Args:
        config: the composed configuration with Hydra's node, which knows the choices.
        swept: group words that a sweep runs through; up to three are named, ``lenet5+mlp-mnist_5k-sgd``.
    """
    choices = {**OmegaConf.to_container(config.hydra.runtime.choices), **(swept or {})}  # type: ignore[dict-item]
    if choices.get("experiment"):
        return _word("experiment", choices["experiment"])
    if config.get("student"):  # an earlier run, not the model word that is chosen by default
        choices["model"] = _name_of(str(config.student), Path(str(config.get("outputs", "outputs"))))
    elif swept is None and choices.get("model"):
        choices["model"] = OmegaConf.select(config, "model.name") or choices["model"]
    about = _run_it_is_about(config)
    words = [_word(group, choices[group]) for group in (_SAID_ABOUT if about else _SAID) if choices.get(group)]
    return "-".join(word for word in [about, *words] if word) or config.hydra.job.name


def _word(group: str, choice: Any) -> str:
    words = [str(word) for word in choice] if isinstance(choice, (list, tuple)) else [str(choice)]
    return "+".join(words) if len(words) <= 3 else group


def _run_it_is_about(config: DictConfig) -> str:
    if not config.get("run"):
        return ""
    named = config.run if OmegaConf.is_list(config.run) else [config.run]
    names = [_name_of(str(run), Path(str(config.get("outputs", "outputs")))) for run in named]
    return "+".join(dict.fromkeys(names)) if len(names) <= 3 else f"{names[0]}+{len(names) - 1}-more"


def _name_of(run: str, outputs: Path) -> str:
    from bmx.runs.best_job import name_of
    from bmx.runs.directory import find

    try:
        return name_of(find(run, outputs))
    except UsageError:  # an exported file, or a mistake that the verb's own check explains better
        return Path(run).stem
