"""Every file in conf/ composes, builds, and takes two training steps."""

import re
from pathlib import Path

import pytest
import torch

import bmx
from bmx.config.search_path import conf_dir
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
MODEL_DATA = {"transformer": ["data=language_id", "data.val_size=9000", "model.width=32"]}


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


@pytest.mark.parametrize("word", words("metrics"))
def test_metrics(word, tmp_path):
    data = ["data=diabetes"] if word in ("mape", "spearman") else [*SMALL, "data.val_size=0.25"]
    result = two_steps(tmp_path, "model=linear", f"metrics={word}", *data, *(["metrics.top_k.k=2"] * (word == "top_k")))
    assert {f"val/{word}", f"test/{word}"} <= set(result["metrics"])


def verb_of(word):
    """The verb that an experiment is for: the one in the command that its file opens with."""
    text = (CONF / "experiment" / f"{word}.yaml").read_text()
    return re.search(rf"#   bmx (\w+) (?:-m )?experiment={word}\b", text)[1]


def on_small_data(word, cfg):
    data = cfg.data._target_.rpartition(".")[2]
    if data not in DOWNLOADED:
        return []
    # An experiment that leaves a class out has to find it.
    classes = ["data.classes=4"] if cfg.data.leave_out else []
    return [*SMALL, f"data.shape={'[3,32,32]' if data.startswith('cifar') else '[1,28,28]'}", *classes]


@pytest.mark.parametrize("word", [word for word in words("experiment") if verb_of(word) == "train"])
def test_experiment(word, tmp_path):
    cfg = bmx.compose("train", [f"experiment={word}"])
    two_steps(tmp_path, f"experiment={word}", *on_small_data(word, cfg))


@pytest.mark.slow
@pytest.mark.parametrize("word", [word for word in words("experiment") if verb_of(word) == "distill"])
def test_distill_experiment(word, tmp_path):
    cfg = bmx.compose("distill", [f"experiment={word}"])
    # The teacher takes batches of 200.
    small = [*small, "data.samples=250"] if (small := on_small_data(word, cfg)) else ["data.val_size=0.9"]
    asked = [f"experiment={word}", *small, "epochs=1", "teacher_epochs=1", "batch_size=full", "plots=false"]
    fields = [] if "mlp" in cfg.teacher else ["teacher.depth=1"]
    fields += ["teacher.width=32"] if {"transformer", "vit"} & set(cfg.teacher) else []
    result = bmx.distill(bmx.compose("distill", [*asked, *fields, f"outputs={tmp_path}"]), quiet=True)
    roles = [row["role"] for row in result["distillation"]["rows"]]
    # Several teachers have a row for all of them together.
    teachers = len(cfg.teacher_seeds) + 1 if len(cfg.teacher_seeds) > 1 else 1
    assert result["status"] == "done" and roles == ["teacher"] * teachers + ["alone", "distilled"]
    with pytest.raises(UsageError) as caught:
        bmx.compose("train", [f"experiment={word}"])
    assert caught.value.fix == f"write bmx distill experiment={word}"


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A trained run that every distillation can learn from."""
    folder = tmp_path_factory.mktemp("teacher")
    small = [*SMALL, "data.shape=[1,12,12]", "model=cnn", "model.padding=1", "batch_size=10", "epochs=1"]
    bmx.train(bmx.compose("train", [*small, "plots=false", f"outputs={folder}"]), quiet=True)
    return next(folder.glob("train/*/*"))


@pytest.mark.slow
@pytest.mark.parametrize("word", words("distillation"))
def test_distillation(word, teacher, tmp_path):
    small = [*SMALL, "data.shape=[1,12,12]", "student=cnn", "student.padding=1", f"teacher={teacher}"]
    asked = [*small, f"distillation={word}", "epochs=1", "batch_size=10", "baseline=false", "plots=false"]
    assert bmx.distill(bmx.compose("distill", [*asked, f"outputs={tmp_path}"]), quiet=True)["steps"] == 4


@pytest.mark.parametrize("word", words("augmentation"))
def test_augmentation(word, tmp_path):
    two_steps(tmp_path, "model=linear", f"augmentation={word}", *SMALL)


def test_experiment_files_open_with_command_and_result():
    for path in sorted((CONF / "experiment").glob("*.yaml")):
        head = [line for line in path.read_text().splitlines() if line.startswith("#")]
        text = "\n".join(head)
        assert f"experiment={path.stem}" in text, path
        assert "Reaches:" in text, path
        assert "MEASURED" not in text, path


def test_every_key_has_a_comment_above_it():
    for path in sorted(CONF.rglob("*.yaml")):
        lines = [line for line in path.read_text().splitlines() if not line.strip().startswith("#:")]
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


@pytest.fixture(scope="module")
def small_cnn(tmp_path_factory):
    """A trained run that every compression can take."""
    folder = tmp_path_factory.mktemp("parent")
    small = [*SMALL, "data.shape=[1,12,12]", "model=cnn", "model.width=16", "model.padding=1"]
    bmx.train(
        bmx.compose("train", [*small, "batch_size=18", "epochs=1", "plots=false", f"outputs={folder}"]), quiet=True
    )
    return next(folder.glob("train/*/*"))


def compressed(run, tmp_path, *overrides):
    asked = [f"run={run}", "batch_size=18", "engines=[]", "plots=false", f"outputs={tmp_path}", *overrides]
    result = bmx.compress(bmx.compose("compress", asked), quiet=True)
    assert result["status"] == "done"
    return result


@pytest.mark.parametrize("word", words("compression"))
def test_compression(word, small_cnn, tmp_path):
    quick = [f"compression.{field}" for field in {"deep": ("updates=2",)}.get(word, ())]
    result = compressed(
        small_cnn, tmp_path, f"compression={word}", *quick, *([] if word == "pipeline" else ["epochs=1"])
    )
    assert result["compression"]["before"]["cost"] != result["compression"]["after"]["cost"]


@pytest.mark.slow
@pytest.mark.parametrize("word", [word for word in words("experiment") if verb_of(word) == "compress"])
def test_compress_experiment(word, small_cnn, tmp_path):
    compressed(small_cnn, tmp_path, f"experiment={word}", "epochs=1", "batch_size=18")
