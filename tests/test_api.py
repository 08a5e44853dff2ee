"""Python's door: the same checks as the command line's, and nothing of a run is left in the process that called it."""

import contextlib
import json
import os
import random
import signal
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import bmx
import bmx.api
from bmx.cli.main import main
from bmx.errors import UsageError

QUICK = ["data=iris", "model=mlp", "model.hidden=[8]", "epochs=2", "plots=false"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def python(verb, words, **how):
    """The exit code, and what is said in three lines, of a call from Python."""
    try:
        result = getattr(bmx.api, verb)(bmx.compose(verb, words), quiet=True, **how)
    except UsageError as error:
        return error.exit_code, error.what
    return {"done": 0, "failed": 1, "interrupted": 130}[result["status"]], ""


def command_line(verb, words, capsys):
    capsys.readouterr()
    code = main([verb, *words])
    said = capsys.readouterr().err.splitlines()
    return code, said[0].removeprefix("bmx: ") if said else ""


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("train", ["resume=typo"]),
        ("train", ["resume=latest"]),
        ("train", ["init_from=latest"]),
        ("train", ["init_from=typo"]),
        ("train", ["epochs=0"]),
        ("train", ["lr=0.1,0.2"]),
        ("train", ["lrr=1"]),
        ("train", ["model=lenet6"]),
        ("train", ["batch_size=5000"]),
        ("train", ["data=iris", "model=lenet5"]),
        ("train", ["compression=pipeline"]),
        ("train", ["outputs=my runs"]),
        ("evaluate", ["run=typo"]),
        ("evaluate", []),
        ("bench", []),
        ("bench", ["run=typo"]),
        ("bench", ["model=mlp", "batch_sizes=0"]),
        ("export", ["run=typo"]),
        ("compress", ["run=typo"]),
        ("compress", ["resume=typo"]),
        ("distill", ["teacher=typo-1"]),
        ("distill", ["resume=latest"]),
    ],
)
def test_what_one_door_refuses_so_does_the_other(here, capsys, verb, words):
    words = [*QUICK, *words] if verb == "train" else words
    found = python(verb, words), command_line(verb, words, capsys)
    assert found[0] == found[1]
    if found[0][0] == 2:
        assert not any(file.is_file() for file in here.rglob("*") if file.name != ".clock")


@pytest.mark.slow
def test_a_run_that_was_stopped_is_gone_on_with_through_either_door(here):
    """Begun and gone on with in every order, the end is the same to the bit."""
    weights = {}
    doors = {
        "python": lambda *words: python("train", [*words])[0],
        "command line": lambda *words: main(["train", *words]),
    }
    for first in doors:
        for second in doors:
            name = f"{first[:1]}{second[:1]}"
            assert doors[first](*QUICK, f"name={name}", "trainer.log_every=2") == 0
            (run,) = (here / "outputs/train" / name).glob("*")
            for epochs, door in ((3, second), (4, first), (5, second)):
                assert doors[door](f"resume={run.name}", f"epochs={epochs}") == 0
            result = json.loads((run / "result.json").read_text())
            assert result["epochs"] == 5 and len(result["resumed"]) == 3
            rows = (run / "metrics.csv").read_text().splitlines()
            steps = [line.split(",")[2] for line in rows[1:] if line.startswith("step")]
            assert steps == sorted(set(steps), key=int)
            content = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
            weights[name] = b"".join(tensor.numpy().tobytes() for tensor in content.values())
    assert len(set(weights.values())) == 1


def test_resume_in_the_configuration_is_what_the_word_is(here):
    assert python("train", [*QUICK, "name=a"])[0] == 0
    (run,) = (here / "outputs/train/a").glob("*")
    cfg = bmx.compose("train", [*QUICK, "name=a", "epochs=3"])
    cfg.resume = run.name
    result = bmx.train(cfg, quiet=True)
    assert result["epochs"] == 3 and list((here / "outputs/train/a").glob("*")) == [run]
    assert cfg.resume == run.name  # the caller's own is not changed
    with pytest.raises(UsageError, match="goes on in its own directory"):
        bmx.train(cfg, run_dir="elsewhere", quiet=True)
    cfg.resume, cfg.seed = str(run), 1
    with pytest.raises(UsageError, match="seed cannot change on resume"):
        bmx.train(cfg, quiet=True)


def test_a_directory_that_holds_a_run_is_not_written_over(here):
    cfg = bmx.compose("train", QUICK)
    for where in ("text", Path("path")):
        assert bmx.train(cfg, run_dir=where, quiet=True)["status"] == "done"
    before = {file: file.read_bytes() for file in here.rglob("*") if file.is_file()}
    for verb, words in (("train", QUICK), ("evaluate", ["run=path", "plots=false"])):
        with pytest.raises(UsageError, match="already holds a run"):
            getattr(bmx, verb)(bmx.compose(verb, words), run_dir="text", quiet=True)
    assert {file: file.read_bytes() for file in here.rglob("*") if file.is_file()} == before
    result = bmx.evaluate(bmx.compose("evaluate", ["run=path", "plots=false"]), run_dir="measured", quiet=True)
    assert json.loads(Path("measured/result.json").read_text())["metrics"] == result["metrics"]
    with pytest.raises(UsageError, match="split"):
        cfg = bmx.compose("evaluate", ["run=path", "plots=false"])
        cfg.split = "tset"
        bmx.evaluate(cfg, run_dir="nowhere", quiet=True)
    assert not Path("nowhere").exists()


def test_a_folder_of_the_users_own_keeps_what_is_in_it(here):
    """The command turns out to be wrong only once the directory has been taken."""
    folder = here / "mine"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    assert main(["train", *QUICK, "name=parent"]) == 0
    parent = next(here.glob("outputs/train/parent/*"))
    cfg = bmx.compose("train", [*QUICK, f"init_from={parent}"])
    from bmx.verbs.train import command as verb

    def gone(prepared, run_dir):
        raise UsageError("the parent is gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verb, "start", gone)
        with pytest.raises(UsageError, match="gone"):
            bmx.train(cfg, run_dir=folder, quiet=True)
        with pytest.raises(UsageError, match="gone"):
            bmx.train(cfg, run_dir="new", quiet=True)
    assert [file.name for file in folder.iterdir()] == ["notes.txt"] and not Path("new").exists()


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("lr", "abc", "lr must be"),
        ("lr", float("nan"), "lr must be"),
        ("epochs", 1.5, "epochs must be"),
        ("batch_size", -1, "batch_size must be"),
        ("device", "gpu", "device must be"),
        ("precision", "fp16", "precision must be"),
        ("seed", None, "seed must be"),
        ("init_from", "typo", "no run 'typo'"),
        ("model", None, "model cannot be null"),
    ],
)
def test_values_that_are_changed_in_the_configuration_are_checked(here, key, value, told):
    cfg = bmx.compose("train", QUICK)
    cfg[key] = value
    with pytest.raises(UsageError, match=told):
        bmx.train(cfg, quiet=True)
    assert list(here.iterdir()) == []


def test_what_is_no_configuration_of_the_verb_is_refused(here):
    for cfg in ({"lr": 0.1}, None, bmx.compose("evaluate")):
        with pytest.raises(UsageError):
            bmx.train(cfg)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["seeds=3"], "seeds"),
        (["jobs=2"], "jobs"),
        (["hydra.run.dir=x"], "hydra.run.dir"),
        (["--multirun", "lr=1,2"], "--multirun"),
        (["--cfg", "job"], "--cfg"),
        ("lr=0.1", "the words are a list"),
    ],
)
def test_words_that_a_configuration_cannot_hold_are_refused(here, words, told):
    with pytest.raises(UsageError, match=told):
        bmx.compose("train", words)


def test_compose_reads_words_as_the_command_line_does(here):
    (here / "more/model").mkdir(parents=True)
    (here / "more/model/mine.yaml").write_text("# Mine.\n_target_: bmx.models.mlp.MLP\n# Units.\nhidden: [3]\n")
    for more in ({"config_dir": "more"}, {"config_dir": here / "more"}):
        assert bmx.compose("train", ["model=mine", "data=iris"], **more).model.hidden == [3]
    assert bmx.compose("train", ["--config-dir", "more", "model=mine", "--plan"]).plan is True
    assert bmx.compose("distill", ["teacher=vit", "student=mlp", "student.hidden=[4]"]).model.hidden == [4]
    with pytest.raises(UsageError, match="no verb 'trian'"):
        bmx.compose("trian")
    with pytest.raises(UsageError, match="no group or key 'studnt'"):
        bmx.compose("distill", ["studnt=mlp"])


def state():
    return {
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "dtype": torch.get_default_dtype(),
        "matmul": torch.get_float32_matmul_precision(),
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": repr(np.random.get_state()),
        "python": random.getstate(),
        "folder": Path.cwd(),
        "argv": list(sys.argv),
        "path": list(sys.path),
        "environment": {name: value for name, value in os.environ.items() if name != "KINETO_LOG_LEVEL"},
        "filters": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "gradients": torch.is_grad_enabled(),
    }


class Meddler(torch.nn.Module):
    """A model that changes all that it can of its process."""

    def __init__(self, num_classes: int, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.head = torch.nn.Linear(input_shape[0], num_classes)
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.set_float32_matmul_precision("medium")
        os.environ["MEDDLED"] = "1"
        sys.path.append("/meddled")
        warnings.simplefilter("ignore")
        random.random()
        np.random.rand()
        signal.signal(signal.SIGHUP, lambda *_: None)

    def forward(self, x):
        return self.head(x)


@pytest.mark.slow
def test_nothing_of_a_run_is_left_in_the_process(here):
    words = ["data=iris", "epochs=1", "plots=false", "trainer.threads=1", "trainer.deterministic=true", "seed=5"]
    cfg = bmx.compose("train", [*words, "model=mlp"])
    cfg.model = {"_target_": f"{__name__}.Meddler"}
    torch.set_num_threads(2)
    before = state()
    for call in (
        lambda: bmx.train(cfg, quiet=True),
        lambda: main(["train", *words, "model=mlp", "model.hidden=[8]"]),
        lambda: main(["train", *words, "model=mlp", "--plan"]),
        lambda: bmx.compose("train", words),
        lambda: bmx.evaluate(bmx.compose("evaluate", ["plots=false"]), quiet=True),
        lambda: bmx.load("latest"),
        lambda: python("train", [*words, "init_from=typo"]),
        lambda: main(["bench", "model=mlp", "data=iris", "engines=[eager]", "seconds=0.01", "plots=false"]),
    ):
        call()
        after = state()
        assert {key for key in before if before[key] != after[key]} == set()


def test_what_a_call_sets_is_not_for_the_next(here):
    torch.set_num_threads(2)
    assert bmx.train(bmx.compose("train", [*QUICK, "trainer.threads=1"]), quiet=True)["threads"] == 1
    assert bmx.train(bmx.compose("train", QUICK), quiet=True)["threads"] == 2
    assert main(["train", *QUICK, "trainer.threads=1"]) == 0
    assert bmx.train(bmx.compose("train", QUICK), quiet=True)["threads"] == 2


def test_threads_that_train_at_once_do_as_they_would_alone(here):
    """As in a notebook too: signals are for the main thread, which none of these is."""
    words = [*QUICK, "regularization=dropout"]
    expected = bmx.train(bmx.compose("train", [*words, "name=alone"]), quiet=True)["metrics"]
    found = {}

    def train(name):
        found[name] = bmx.train(bmx.compose("train", [*words, f"name={name}"]), quiet=True)["metrics"]

    threads = [threading.Thread(target=train, args=(f"t{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {f"t{number}": expected for number in range(3)}


def test_a_run_within_a_run_does_not_wait_for_itself(here):
    """A callback of the user's may call bmx."""
    bmx.train(bmx.compose("train", QUICK), quiet=True)
    calls = []

    class Calls(torch.nn.Linear):
        def forward(self, x):
            if not calls:
                calls.append(None)
                calls.append(bmx.load("latest"))
            return super().forward(x)

    Calls.__module__, Calls.__qualname__ = __name__, "Calls"
    globals()["Calls"] = Calls
    cfg = bmx.compose("train", QUICK)
    cfg.model = {"_target_": f"{__name__}.Calls", "in_features": 4, "out_features": 3}
    with contextlib.suppress(UsageError):
        bmx.train(cfg, quiet=True)
    assert len(calls) == 2


def test_the_public_names_are_all_there():
    assert {"bench", "compose", "compress", "distill", "evaluate", "load", "train"} < set(bmx.__all__)
    for name in bmx.__all__:
        assert getattr(bmx, name) is not None
