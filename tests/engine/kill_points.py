"""Runs a command line in a process that kills itself at a chosen point, and compares what is left behind."""

import csv
import json
import os
import signal
from pathlib import Path

import torch

from tests.warm_process import CONTEXT

# Points of a run where a kill may come. A number after the colon is a step of the whole run or an occurrence.
KINDS = ("step", "validation", "before-best", "after-best", "half-written", "before-rename", "after-save", "test")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point):
    """Patches bmx in this process so that it dies at ``point``."""
    import bmx.engine.checkpoints as checkpoints
    import bmx.engine.durable as durable
    import bmx.tasks.fit as fit
    import bmx.verbs.recording.fit_run as fitting

    kind, _, count = point.partition(":")
    left = int(count or 1)

    def on_call(owner, name, before=True, due=lambda *a: True):
        original = getattr(owner, name)

        def patched(*args, **kwargs):
            nonlocal left
            if before and due(*args):
                left -= 1
                if left <= 0:
                    die()
            value = original(*args, **kwargs)
            if not before and due(*args):
                left -= 1
                if left <= 0:
                    die()
            return value

        setattr(owner, name, patched)

    if kind == "step":
        target = left
        left = 1
        on_call(fit.FitTask, "batch_loss", due=lambda task, *a: task.steps_done >= target)
    elif kind == "validation":
        on_call(fit.FitTask, "validation_step")
    elif kind == "before-best":
        on_call(fit.FitTask, "on_train_epoch_end")
    elif kind == "after-best":
        on_call(checkpoints.Checkpoints, "save_last")
    elif kind == "after-save":
        on_call(checkpoints.Checkpoints, "save_last", before=False)
    elif kind == "before-rename":
        on_call(Path, "replace", due=lambda path, target: str(target).endswith("last.ckpt"))
    elif kind == "half-written":
        original = torch.save

        def half(content, file, *args, **kwargs):
            nonlocal left
            if "bmx" in content:
                left -= 1
                if left <= 0:
                    file.write(b"PK\x03\x04 half a checkpoint")
                    file.flush()
                    die()
            return original(content, file, *args, **kwargs)

        durable.torch.save = half
    elif kind == "test":
        on_call(fitting, "evaluate")
    else:
        raise ValueError(point)


def _child(argv, point, folder):
    os.chdir(folder)
    torch.set_num_threads(1)
    log = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if point:
        arm(point)
    from bmx.cli.main import main

    os._exit(main(argv))


def run(argv, folder, point=None):
    """Runs ``bmx argv`` in ``folder``; returns the exit code, -9 if it was killed."""
    process = CONTEXT.Process(target=_child, args=(argv, point, str(folder)))
    process.start()
    process.join(280)
    if process.is_alive():
        process.kill()
        raise TimeoutError(f"{argv} did not end; see {folder}/output.txt")
    return process.exitcode


TIMES = ("seconds", "started", "finished", "resumed", "process", "overrides", "git")


def leavings(run_dir):
    """What a run leaves behind that must not depend on whether it was ever interrupted."""
    run_dir = Path(run_dir)
    best = torch.load(run_dir / "checkpoints/best.ckpt", weights_only=True)
    last = torch.load(run_dir / "checkpoints/last.ckpt", weights_only=True)
    result = json.loads((run_dir / "result.json").read_text())
    with (run_dir / "metrics.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    return {
        "best": {name: tensor.numpy().tobytes() for name, tensor in best["state_dict"].items()},
        "last": {name: tensor.numpy().tobytes() for name, tensor in last["state_dict"].items()},
        "optimizer": _plain(last["optimizer_states"]),
        "random": _plain(last["bmx"]["random"]),
        "position": last["bmx"]["position"],
        "metrics.csv": rows,
        "result": {key: value for key, value in result.items() if key not in TIMES},
        "epochs timed": len(result["seconds"]["per_epoch"]),
    }


def _plain(value):
    if isinstance(value, torch.Tensor):
        return value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def compare(expected, found):
    """The names of what differs; empty if nothing was lost."""
    return [name for name in expected if expected[name] != found[name]]
