"""The words that a mistyped one was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

from bmx.errors import nearest


def near(word: str, options: Iterable[str], most: int = 3) -> list[str]:
    """The options like ``word``, best first, without those that are much less like it than the best."""
    found = nearest(word, options, most)
    alike = {option: SequenceMatcher(None, word, option).ratio() for option in found}
    best = max(alike.values(), default=0.0)
    return [option for option in found if alike[option] >= best - 0.15]


def either(options: Iterable[str], form: str = "{}") -> str:
    """``did you mean a or b?``; nothing for nothing."""
    named = " or ".join(form.format(option) for option in options)
    return f"did you mean {named}?" if named else ""


def suggestion(word: str, options: Iterable[str], form: str = "{}") -> str:
    """What to do about ``word``: the nearest options, or all of them where none is near."""
    known = list(options)
    return either(near(word, known), form) or f"choose one of: {', '.join(known) or 'nothing, there is none'}"


# What other programs call it.
_ELSEWHERE = {
    **dict.fromkeys(("learning_rate", "step_size", "base_lr", "eta"), "lr"),
    **dict.fromkeys(("max_epochs", "num_epochs", "n_epochs", "num_train_epochs"), "epochs"),
    **dict.fromkeys(("bs", "batch", "train_batch_size", "per_device_train_batch_size"), "batch_size"),
    **dict.fromkeys(("devices", "gpu", "gpus", "cuda", "accelerator"), "device"),
    **dict.fromkeys(("random_state", "random_seed", "manual_seed", "seed_everything"), "seed"),
    **dict.fromkeys(("optimizer", "optimiser", "opt"), "optim"),
    **dict.fromkeys(("lr_scheduler", "lr_schedule", "schedule", "sched"), "scheduler"),
    **dict.fromkeys(("dataset", "datamodule"), "data"),
    **dict.fromkeys(("net", "network", "arch", "architecture", "backbone"), "model"),
    **dict.fromkeys(("output_dir", "save_dir", "default_root_dir", "log_dir", "logdir"), "outputs"),
    **dict.fromkeys(("run_name", "experiment_name"), "name"),
    **dict.fromkeys(("num_workers", "n_workers"), "data.workers"),
    **dict.fromkeys(("data_dir", "data_root", "root"), "data.dir"),
    **dict.fromkeys(("val_split", "validation_split", "valid_size"), "data.val_size"),
    **dict.fromkeys(("gradient_clip_val", "grad_clip", "clip_grad", "max_grad_norm"), "trainer.clip_norm"),
    **dict.fromkeys(("accumulate_grad_batches", "gradient_accumulation_steps", "grad_accum"), "trainer.accumulate"),
    **dict.fromkeys(("log_every_n_steps", "log_interval", "logging_steps"), "trainer.log_every"),
    **dict.fromkeys(("early_stopping", "early_stopping_patience"), "regularization.patience"),
    **dict.fromkeys(("amp", "fp16", "mixed_precision", "dtype"), "precision"),
    **dict.fromkeys(("ckpt_path", "resume_from_checkpoint", "resume_from"), "resume"),
    **dict.fromkeys(("pretrained", "init", "load_from"), "init_from"),
}


def nearest_keys(key: str, known: list[str]) -> list[str]:
    """Known keys like this one: in a node that exists, those of that node; else any, by whole name or last part.

    Where other programs call a key so, or nearly so and nothing else is like it, that key is meant.
    """
    last = key.rpartition(".")[2]
    meant = _ELSEWHERE.get(last)
    if meant in known and meant != key:
        return [str(meant)]
    alike = _alike(key, known)
    nearly = [] if alike else get_close_matches(last, _ELSEWHERE, 1, cutoff=0.85)
    return alike or [_ELSEWHERE[name] for name in nearly if _ELSEWHERE[name] in known and _ELSEWHERE[name] != key]


def _alike(key: str, known: list[str]) -> list[str]:
    parent, _, last = key.rpartition(".")
    if parent in known:
        return [f"{parent}.{part}" for part in near(last, parts(parent, known))]
    by_last: dict[str, list[str]] = {}
    for name in known:
        by_last.setdefault(name.rpartition(".")[2], []).append(name)
    alike = [full for part in near(last, by_last) for full in by_last[part]]
    return list(dict.fromkeys([*near(key, known), *alike]))[:3]


def parts(node: str, known: list[str]) -> list[str]:
    """The keys of one node, by their last part, without those that Hydra reads."""
    inside = [name.removeprefix(f"{node}.") for name in known if name.startswith(f"{node}.")]
    return [part for part in inside if "." not in part and not part.startswith("_")]
