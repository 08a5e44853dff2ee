"""The same value is taken or refused alike from the command line, files, the environment and Python."""

import copy

import pytest
from omegaconf import OmegaConf, open_dict

import bmx
from bmx.cli.main import main
from bmx.errors import UsageError

IRIS = ("data=iris", "model=mlp", "epochs=1", "plots=false")

# key, value as it is written, what is said of it
WRONG = [
    ("plots", "maybe", "plots must be true or false, not 'maybe'"),
    ("scheduler.warmup", ".nan", "scheduler.warmup must be a number, 0 or more, not nan"),
    ("regularization.patience", "1.5", "regularization.patience must be a whole number, 1 or more, or null, not 1.5"),
    ("regularization.patience", "true", "regularization.patience must be a whole number, 1 or more, or null, not true"),
    ("trainer.accumulate", "two", "trainer.accumulate must be a whole number, 1 or more, not 'two'"),
    ("trainer.clip_norm", "abc", "trainer.clip_norm must be a number greater than 0, or null, not 'abc'"),
    ("trainer.clip_norm", ".inf", "trainer.clip_norm must be a number greater than 0, or null, not inf"),
    ("trainer.callbacks", "[early]", "trainer.callbacks must be a list, each keys with a _target_, not [early]"),
    ("trainer.devices", "2", "no key 'trainer.devices'"),
    ("lerning_rate", "5", "no group or key 'lerning_rate'"),
    ("checkpoint", "null", "checkpoint must hold keys, not null"),
    ("checkpoint.every", "10furlongs", "checkpoint.every must be a whole number, 1 or more, a time such as 30s"),
    ("data.leave_out", "0.5", "data.leave_out must be a list, each a class by number or label, not 0.5"),
    ("data.val_size", "1.5", "data.val_size must be a whole number, 0 or more, or a number from 0 to below 1, not 1.5"),
    ("data.dir", "imgs", "no key 'data.dir'"),
    ("optim.nesterov", "2", "optim.nesterov must be true or false, not 2"),
    ("model.activation", "rleu", "model.activation must be one of relu, tanh"),
    ("model.hidden", "[8, x]", "model.hidden must be a list, each a whole number, 1 or more, not [8, x]"),
    ("lr", "{a: 1}", "lr must be a number greater than 0, or auto, not {a: 1}"),
    ("outputs", "''", "outputs must be a folder, not ''"),
]
# key, value as it is written, what it becomes
RIGHT = [
    ("plots", "'no'", False),
    ("plots", "'off'", False),
    ("plots", "0", False),
    ("compile", "'off'", False),
    ("trainer.channels_last", "'yes'", True),
    ("lr", "'0.1'", 0.1),
    ("epochs", "'3'", 3),
    ("name", "7", "7"),
    ("name", "0", "0"),
    ("outputs", "2026", "2026"),
    ("data.leave_out", "0", [0]),
    ("data.leave_out", "setosa", ["setosa"]),
    ("data.leave_out", "[0, setosa]", [0, "setosa"]),
    ("model.hidden", "8", [8]),
    ("model.hidden", "'[8, 4]'", [8, 4]),
    ("model.hidden", "'8,4'", [8, 4]),
    ("regularization.patience", "'null'", None),
    ("checkpoint.every", "10min", "10min"),
    ("checkpoint.every", "'500'", 500),
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BMX_CONF", raising=False)
    return tmp_path


def on_the_command_line(key, value, place):
    text = value.replace(".nan", "nan").replace(".inf", "inf")
    return [f"++{key}={text}" if key in ("trainer.devices", "lerning_rate", "data.dir") else f"{key}={text}"]


def in_a_file(key, value, place):
    nested = OmegaConf.create()
    OmegaConf.update(nested, key, OmegaConf.create(f"x: {value}").x, force_add=True)
    text = "# @package _global_\n# Mine.\n" + OmegaConf.to_yaml(nested)
    (place / "bmx_conf" / "experiment").mkdir(parents=True)
    (place / "bmx_conf" / "experiment" / "mine.yaml").write_text(text)
    return ["experiment=mine"]


def in_the_environment(key, value, place):
    return [f"++{key}=${{oc.env:BMX_TEST_VALUE}}"]


WAYS = [on_the_command_line, in_a_file]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("key", "value", "said"), WRONG, ids=[f"{key}={value}" for key, value, _ in WRONG])
def test_what_does_not_fit_is_refused_before_anything_is_written(way, key, value, said, place, capsys):
    words = way(key, value, place)
    before = sorted(place.iterdir())
    iris = [word for word in IRIS if not word.startswith(f"{key}=")]
    assert main(["train", *iris, *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and said in lines[0] and "+" not in lines[2], lines
    where = "the argument" if way is on_the_command_line else ("experiment/mine.yaml, line", "the key", "the argument")
    assert any(one in lines[1] for one in ([where] if isinstance(where, str) else where)), lines
    assert sorted(place.iterdir()) == before


@pytest.mark.parametrize("way", WAYS)
def test_what_is_meant_is_what_the_configuration_has(way, place):
    for number, (key, value, meant) in enumerate(RIGHT):
        own = place / str(number)
        own.mkdir()
        words = way(key, value, own)
        folder = str(own / "bmx_conf") if way is in_a_file else None
        iris = [word for word in IRIS if not word.startswith(f"{key}=")]
        cfg = bmx.compose("train", [*iris, *words], config_dir=folder)
        found = OmegaConf.to_container(cfg)
        for part in key.split("."):
            found = found[part]
        assert (found, type(found)) == (meant, type(meant)), (key, value)


@pytest.mark.parametrize(
    ("key", "text", "meant"),
    [
        ("lr", "0.1", 0.1),
        ("epochs", "3", 3),
        ("plots", "off", False),
        ("trainer.clip_norm", "null", None),
        ("model.hidden", "[8,4]", [8, 4]),
        ("model.hidden", "8,4", [8, 4]),
        ("data.leave_out", "setosa", ["setosa"]),
        ("lr", "nan", "lr must be a number greater than 0, or auto, not 'nan'"),
        ("epochs", "1.5", "epochs must be a whole number, 1 or more, not '1.5'"),
        ("plots", "maybe", "plots must be true or false, not 'maybe'"),
    ],
)
def test_text_of_the_environment_becomes_what_the_key_has(key, text, meant, place, monkeypatch, capsys):
    monkeypatch.setenv("BMX_TEST_VALUE", text)
    words = [*IRIS, f"{key}=${{oc.env:BMX_TEST_VALUE}}"]
    if isinstance(meant, str):
        assert main(["train", *words]) == 2
        assert meant in capsys.readouterr().err
        assert not list(place.iterdir())
    else:
        assert OmegaConf.select(bmx.compose("train", words), key) == meant


def test_a_configuration_that_was_changed_by_hand_is_checked_too(place):
    composed = bmx.compose("train", list(IRIS))
    for key, value, said in WRONG:
        cfg = copy.deepcopy(composed)
        with open_dict(cfg):
            OmegaConf.update(cfg, key, OmegaConf.create(f"x: {value}").x, force_add=True, merge=False)
        with pytest.raises(UsageError) as caught:
            bmx.train(cfg, quiet=True)
        assert said in caught.value.what and caught.value.where == f"cfg.{key}"
        assert not list(place.iterdir())


def test_groups_that_are_needed_cannot_be_taken_away(place):
    composed = bmx.compose("train", list(IRIS))
    for group in ("optim", "scheduler", "regularization", "trainer", "data", "model"):
        for change in (None, "adam", 3):
            cfg = copy.deepcopy(composed)
            with open_dict(cfg):
                cfg[group] = change
            with pytest.raises(UsageError, match=f"{group} (cannot be null|must hold keys)") as caught:
                bmx.train(cfg, quiet=True)
            word = caught.value.fix.partition(f"{group}=")[2].partition(",")[0]
            bmx.compose("train", [f"{group}={word}"])  # what is advised works
    assert not list(place.iterdir())


def test_a_key_that_is_left_out_in_python_has_its_default(place):
    cfg = bmx.compose("train", list(IRIS))
    with open_dict(cfg):
        del cfg.checkpoint, cfg.profile, cfg.data.leave_out
        cfg.plots = "no"
    result = bmx.train(cfg, quiet=True)
    assert result["status"] == "done"
    (kept,) = place.glob("outputs/train/*/*/config.yaml")
    kept = OmegaConf.load(kept)
    assert kept.checkpoint.every is None and kept.profile is False and kept.plots is False
    assert not list(place.glob("outputs/train/*/*/plots"))
    assert cfg.plots == "no"  # the caller's own is left as it is


def test_a_class_is_left_out_by_number_or_label(place):
    from bmx.data.pipeline.prepare import prepare
    from bmx.engine.build import make_source

    for written, gone in (("0", 0), ("2", 2), ("setosa", 0), ("[virginica]", 2), ("'1'", 1)):
        cfg = bmx.compose("train", [*IRIS, f"data.leave_out={written}"])
        data = prepare(make_source(cfg.data), cfg.data.val_size, 0, cfg.data.leave_out)
        classes = set(data.train.targets.tolist()) | set(data.val.targets.tolist())
        assert classes == {0, 1, 2} - {gone}, written
    for written, fix in (("setossa", "did you mean 'setosa'?"), ("3", "setosa, versicolor, virginica")):
        cfg = bmx.compose("train", [*IRIS, f"data.leave_out={written}"])
        with pytest.raises(UsageError, match="iris has no class") as caught:
            bmx.train(cfg, quiet=True)
        assert fix in caught.value.fix
    assert not list(place.iterdir())


def test_a_key_that_another_refers_to_is_used_and_may_be_added():
    cfg = bmx.compose("train", [*IRIS, "+width=8", "model.hidden=['${width}',4]"])
    assert list(cfg.model.hidden) == [8, 4]
    with pytest.raises(UsageError, match="no group or key 'width'"):
        bmx.compose("train", [*IRIS, "+width=8"])


def test_a_field_that_a_signature_takes_may_be_added():
    assert bmx.compose("train", [*IRIS, "optim=adam", "+optim.amsgrad=true"]).optim.amsgrad is True


@pytest.mark.parametrize("value", ["nan", "inf", "[1.0,nan]"])
def test_numbers_that_are_none_are_refused_where_only_a_signature_says_what_fits(value, place, capsys):
    (place / "my_opt.py").write_text(
        "import torch\nclass Mine(torch.optim.SGD):\n"
        "    def __init__(self, params, lr=0.1, slope=0.5, most=float('inf')):\n        super().__init__(params, lr)\n"
    )
    (place / "bmx_conf" / "optim").mkdir(parents=True)
    fields = "  _target_: my_opt.Mine\n  lr: ${lr}\n  slope: 0.5\n  most: .inf\n"
    text = f"# @package _global_\n# Mine.\nlr: 0.1\noptim:\n{fields}"
    (place / "bmx_conf" / "optim" / "mine.yaml").write_text(text)
    before = sorted(place.iterdir())
    assert main(["train", *IRIS, "optim=mine", f"optim.slope={value}"]) == 2
    assert "optim.slope must be finite" in capsys.readouterr().err
    assert sorted(p for p in place.iterdir() if p.name != "__pycache__") == before


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["train", "sweep"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lr=0.1,nan"], "lr must be a number greater than 0, or auto, not nan"),
        (["scheduler.warmup=0,x"], "scheduler.warmup must be a number, 0 or more, not 'x'"),
        (["model.hidden=[8],[x]"], "model.hidden must be a list, each a whole number, 1 or more, not [x]"),
        (["plots=no,maybe"], "plots must be true or false, not 'maybe'"),
        (["lr=0.1,0.2", "jobs=two"], "must be a whole number, 1 or more, or auto, not 'two'"),
        (["lr=0.1,0.2", "on_error=stp"], "must be one of continue, stop, not 'stp'"),
        (["lr=0.1,0.2", "sweeper=tpe", "trials=1.5"], "must be a whole number, 1 or more, or null, not 1.5"),
        (["lr=0.1,0.2", "sweeper=tpe", "pruner=meddian"], "must be one of auto, none, median, halving"),
        (["lr=0.1,0.2", "+hydra.sweeper.foo=1"], "no key 'hydra.sweeper.foo'"),
        (["lr=0.1,nan", "sweeper=basic"], "lr must be a number greater than 0, or auto, not nan"),
    ],
)
def test_every_value_of_a_sweep_is_checked_before_its_first_job(verb, words, said, place, capsys):
    many = ["-m"] if verb == "train" else []
    assert main([verb, *many, *IRIS, *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(place.iterdir())
