"""Every file in conf/ composes, builds, and takes two training steps."""

from pathlib import Path

import pytest
import torch

import bmx
from bmx.cli.search_path import conf_dir
from bmx.errors import UsageError

CONF = Path(conf_dir())
# Sets whose files have to be fetched: composed and bound, and read in tests/data from files of the same format.
DOWNLOADED = {"mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100"}
NEEDS_EXTRA = {"wandb": "wandb", "mlflow": "mlflow", "tensorboard": "tensorboard"}


def words(group):
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def two_steps(tmp_path, *overrides):
    """Trains for one epoch of two steps and returns the result."""
    cfg = bmx.compose("train", [*overrides, "plots=false", f"outputs={tmp_path}"])
    cfg.epochs, cfg.name = 1, "two-steps"
    from bmx.engine.prepare import prepare

    asked = cfg.batch_size
    cfg.batch_size = "full"
    samples = len(prepare(cfg).data.train)
    if asked == "full":  # gradient descent: an epoch is a step
        cfg.epochs = 2
    else:
        cfg.batch_size = -(-samples // 2)
    result = bmx.train(cfg, quiet=True)
    assert result["status"] == "done"
    assert result["steps"] == 2
    return result


SMALL = ["data=synthetic", "data.samples=40", "data.test_samples=10", "data.classes=3"]
# The data that each model is for, where it is not any image.
MODEL_DATA = {"transformer": ["data=language_id", "data.val_size=9000"]}


@pytest.mark.parametrize("word", words("model"))
def test_model(word, tmp_path):
    two_steps(tmp_path, f"model={word}", *MODEL_DATA.get(word, SMALL))


@pytest.mark.parametrize("word", sorted(set(words("data")) - DOWNLOADED))
def test_data(word, tmp_path):
    size = {"language_id": ["data.val_size=9000"], "synthetic": SMALL[1:]}.get(word, [])
    two_steps(tmp_path, "model=linear", f"data={word}", *size)


@pytest.mark.parametrize("word", sorted(DOWNLOADED & set(words("data"))))
def test_data_that_is_fetched_says_how_to_get_it(word, tmp_path, monkeypatch):
    monkeypatch.setenv("BMX_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UsageError) as caught:
        two_steps(tmp_path, "model=linear", f"data={word}", f"data.dir={tmp_path / 'nothing'}")
    assert len(caught.value.lines()) == 3
    assert "mnist_5k" in caught.value.fix


@pytest.mark.parametrize("word", words("optim"))
def test_optim(word, tmp_path):
    two_steps(tmp_path, "model=linear", f"optim={word}", *SMALL)


@pytest.mark.parametrize("word", words("scheduler"))
def test_scheduler(word, tmp_path):
    two_steps(tmp_path, "model=linear", f"scheduler={word}", *SMALL)


@pytest.mark.parametrize("word", words("regularization"))
def test_regularization(word, tmp_path):
    two_steps(tmp_path, "model=mlp", f"regularization={word}", *SMALL)


@pytest.mark.parametrize("word", words("trainer"))
def test_trainer(word, tmp_path):
    two_steps(tmp_path, "model=linear", f"trainer={word}", *SMALL)


@pytest.mark.parametrize("word", words("logger"))
def test_logger(word, tmp_path):
    if word in NEEDS_EXTRA:
        pytest.importorskip(NEEDS_EXTRA[word], reason=f"the extra bmx[{word}] is not installed")
    two_steps(tmp_path, "model=linear", f"logger={word}", *SMALL)


@pytest.mark.parametrize("word", words("experiment"))
def test_experiment(word, tmp_path):
    cfg = bmx.compose("train", [f"experiment={word}"])
    data = cfg.data._target_.rpartition(".")[2]
    if data in DOWNLOADED:
        shape = "[3,32,32]" if data.startswith("cifar") else "[1,28,28]"
        two_steps(tmp_path, f"experiment={word}", *SMALL, f"data.shape={shape}")
    else:
        two_steps(tmp_path, f"experiment={word}")


def test_experiment_files_open_with_command_and_result():
    for path in sorted((CONF / "experiment").glob("*.yaml")):
        head = [line for line in path.read_text().splitlines() if line.startswith("#")]
        text = "\n".join(head)
        assert f"experiment={path.stem}" in text, path
        assert "Reaches:" in text, path
        assert "MEASURED" not in text, path


def test_every_key_has_a_comment_above_it():
    for path in sorted(CONF.rglob("*.yaml")):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            stripped = line.strip()
            is_key = stripped and not stripped.startswith(("#", "-")) and ":" in stripped
            if (
                not is_key
                or stripped.startswith(("defaults:", "_target_:"))
                or path.parent.name in ("hydra_logging", "job_logging", "experiment")
            ):
                continue
            opens_a_section = stripped.endswith(":")
            assert opens_a_section or lines[number - 1].strip().startswith("#"), f"{path.name}:{number + 1}: {stripped}"


def test_torch_is_deterministic_across_two_runs(tmp_path):
    """The same command and seed give the same weights, bit for bit."""
    from bmx.engine.fit import best_file

    weights = []
    for run in ("a", "b"):
        cfg = bmx.compose(
            "train", ["data=digits", "model=cnn", "model.padding=1", "regularization=dropout", "plots=false"]
        )
        cfg.epochs, cfg.name = 2, "twice"
        bmx.train(cfg, run_dir=_made(tmp_path / run), quiet=True)
        weights.append(torch.load(best_file(tmp_path / run), weights_only=True)["state_dict"])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def _made(path):
    path.mkdir()
    return path
