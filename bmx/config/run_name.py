"""Default name of a run, from its experiment or its config choices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bmx.errors import UsageError

AUTO = "auto"
"""Value of a run or sweep directory that is still to be created, under a generated name."""
_SAID = ("model", "data", "optim")
# Groups in the name of a run of an existing run.
_SAID_ABOUT = ("model", "data", "compression")


def run_name(config: DictConfig, swept: dict[str, list[str]] | None = None) -> str:
    """The chosen experiment, or the options of model, data and optim joined by dashes: ``lenet5-mnist_5k-sgd``.

    A run of an existing run (``run=``) is named after that one. A library's model, whose option covers many
    (``model=torchvision model.name=resnet18``), is named by its own name.

    Args:
        config: the composed configuration with its ``hydra`` node, which records the choices.
        swept: options of a group that a sweep runs through; up to three are named, ``lenet5+mlp-mnist_5k-sgd``.
    """
    choices = {**OmegaConf.to_container(config.hydra.runtime.choices), **(swept or {})}  # type: ignore[dict-item]
    if choices.get("experiment"):
        return _word("experiment", choices["experiment"])
    if config.get("student"):  # an earlier run, not the default option of the model group
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
    except UsageError:  # an exported file, or an error that the verb's own check explains better
        return Path(run).stem
