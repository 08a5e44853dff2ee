"""A student is shown what its teachers were trained on, unless the command says otherwise."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

import bmx
from bmx.cli.main import main
from bmx.config.compose import compose
from bmx.config.inherited_config import inherited_words
from bmx.config.quoting import written

QUICK = ("model=mlp", "model.hidden=[8]", "epochs=1", "plots=false")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """An outputs folder in which a run was trained on the digits and then compressed."""
    folder = tmp_path_factory.mktemp("inheriting")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", *QUICK, "data=digits", "data.val_size=0.2"]) == 0
        words = ["compression=low_rank", "epochs=0", "engines=[]", "plots=false"]
        assert main(["compress", "run=latest", *words]) == 0
    return folder / "outputs"


def data(outputs, *words):
    return compose("distill", [f"outputs={outputs}", *words]).data


def ids(outputs, verb):
    return [run.name for run in outputs.glob(f"{verb}/*/*") if run.is_dir()]


@pytest.mark.parametrize("verb", ["train", "compress"])
def test_the_data_of_the_teacher_are_taken_with_their_fields(outputs, verb):
    (run,) = ids(outputs, verb)
    found = data(outputs, f"teacher={run}")
    assert found._target_ == "bmx.data.digits.digits" and found.val_size == 0.2
    assert data(outputs, "teacher=latest") == found


def test_a_field_that_is_typed_wins_over_the_teachers(outputs):
    found = data(outputs, "teacher=latest", "data.val_size=0.3")
    assert found._target_ == "bmx.data.digits.digits" and found.val_size == 0.3


@pytest.mark.parametrize(
    "words",
    [("data=iris",), ("experiment=distill_vit_cnn",), ("resume=latest",), ("data=mnist_5k,iris",)],
)
def test_a_command_that_chooses_is_left_alone(outputs, words):
    run = next(outputs.glob("train/*/*"))
    assert inherited_words("distill", [*words, f"teacher=['{run}']"], {}) == []


def test_a_root_configuration_of_the_users_own_chooses(outputs):
    run = next(outputs.glob("train/*/*"))
    assert inherited_words("distill", [f"teacher=['{run}']"], {"--config-name": "mine"}) == []


def test_the_compressed_run_and_the_one_it_comes_from_agree(outputs):
    both = ",".join(repr(str(run)) for verb in ("train", "compress") for run in outputs.glob(f"{verb}/*/*"))
    expected = ["data=digits", "data.val_size=0.2"]
    assert inherited_words("distill", [f"teacher=[{both}]"], {}) == expected
    assert inherited_words("distill", [f"teacher=[{both},vit]"], {}) == expected


def test_a_student_that_is_a_run_brings_its_data_to_a_teacher_that_is_a_word(outputs):
    (run,) = ids(outputs, "compress")
    assert data(outputs, "teacher=vit", f"student={run}").val_size == 0.2


def test_a_teacher_that_was_trained_for_another_student_brings_its_data_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["teacher=linear", "teacher_words=data.val_size=0.3", "data=digits", "data.val_size=0.2", "baseline=false"]
    assert main(["distill", *words, *QUICK]) == 0
    (run,) = ids(tmp_path / "outputs", "train")
    found = data(tmp_path / "outputs", f"teacher={run}")
    assert found._target_ == "bmx.data.digits.digits" and found.val_size == 0.3


def test_teachers_of_different_data_decide_nothing(outputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *QUICK, "data=iris"]) == 0
    runs = [next(folder.glob("train/*/*")) for folder in (outputs, tmp_path / "outputs")]
    assert inherited_words("distill", [f"teacher=[{','.join(repr(str(run)) for run in runs)}]"], {}) == []


def test_data_that_are_no_word_here_decide_nothing(outputs, tmp_path):
    """The teacher was trained with a folder of the user's own words, which this command does not name."""
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").write_text(f"data: {{dir: '{tmp_path}'}}\n")
    (run / "result.json").write_text('{"verb": "train", "choices": {"data": "mine"}}')
    assert inherited_words("distill", [f"teacher=['{run}']"], {}) == []


def test_data_of_a_run_that_have_gone_are_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    gone = tmp_path / "gone"
    run = tmp_path / "outputs" / "train" / "a" / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").write_text(f"data: {{_target_: bmx.data.mnist.mnist, dir: '{gone}'}}\n")
    (run / "result.json").write_text('{"verb": "train", "choices": {"data": "mnist"}}')
    assert main(["distill", f"teacher={run}", "student=mlp"]) == 2
    said = capsys.readouterr().err
    assert f"the data of the run were in {gone}, which is not there" in said
    assert "data.dir=FOLDER" in said.partition("do:")[2]
    gone.mkdir()
    # With the folder named the data are looked for there.
    assert main(["distill", f"teacher={run}", "student=mlp", f"data.dir={gone}"]) == 2
    assert "which is not there" not in capsys.readouterr().err
    assert not (tmp_path / "outputs" / "distill").exists()


def test_a_teacher_of_other_data_is_named(outputs, capsys):
    words = [f"outputs={outputs}", "teacher=latest", "data=mnist_5k", "baseline=false"]
    assert main(["distill", *words, *QUICK]) == 0
    assert "was trained on digits, and is shown mnist_5k here\n" in capsys.readouterr().out


@pytest.fixture(scope="module")
def from_python(tmp_path_factory):
    """An outputs folder with a run that Python made, which knows no word of its data, and a compression of it."""
    folder = tmp_path_factory.mktemp("python")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        bmx.train(bmx.compose("train", [*QUICK, "data=wine", "data.val_size=0.2"]), quiet=True)
        words = ["run=latest", "compression=low_rank", "epochs=0", "engines=[]", "plots=false"]
        bmx.compress(bmx.compose("compress", words), quiet=True)
    return folder / "outputs"


@pytest.mark.parametrize("verb", ["train", "compress"])
def test_a_teacher_that_python_trained_brings_its_data(from_python, verb):
    (run,) = ids(from_python, verb)
    found = data(from_python, f"teacher={run}")
    assert found._target_ == "bmx.data.tables.wine" and found.val_size == 0.2
    path = next(from_python.glob(f"{verb}/*/{run}"))
    assert inherited_words("distill", [f"teacher=['{path}']"], {}) == ["data=wine", "data.val_size=0.2"]


@pytest.mark.slow
def test_python_and_the_command_line_show_a_student_the_same(from_python, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (run,) = from_python.glob("train/*/*")
    words = [f"teacher={run}", "baseline=false", *QUICK]
    assert main(["distill", *words]) == 0
    result = bmx.distill(bmx.compose("distill", words), quiet=True)
    kept = [OmegaConf.load(run / "config.yaml").data for run in (tmp_path / "outputs" / "distill").glob("*/*")]
    assert result["data"]["name"] == "wine" and len(kept) == 2
    assert kept[0] == kept[1] == OmegaConf.load(run / "config.yaml").data


def test_a_word_that_one_teacher_knows_stands_for_both(from_python, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *QUICK, "data=wine", "data.val_size=0.2"]) == 0
    both = [next(folder.glob("train/*/*")) for folder in (from_python, tmp_path / "outputs")]
    for pair in (both, both[::-1]):
        given = f"teacher=[{','.join(repr(str(run)) for run in pair)}]"
        assert inherited_words("distill", [given], {}) == ["data=wine", "data.val_size=0.2"]


def test_a_word_of_the_users_own_is_found_too(from_python, tmp_path, monkeypatch):
    """Of several that build the same data, the one that says most of what the run had."""
    (tmp_path / "bmx_conf" / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (run,) = from_python.glob("train/*/*")
    fields = OmegaConf.load(run / "config.yaml").data
    (tmp_path / "bmx_conf/data/mine.yaml").write_text(OmegaConf.to_yaml(fields))
    (tmp_path / "bmx_conf/data/another.yaml").write_text(OmegaConf.to_yaml({**fields, "val_size": 0.4}))
    (tmp_path / "bmx_conf/data/broken.yaml").write_text("_target_: [")
    assert inherited_words("distill", [f"teacher=['{run}']"], {}) == ["data=mine"]


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@given(PLAIN | st.lists(PLAIN))
def test_a_value_is_read_back_from_how_it_is_written(value):
    (override,) = OverridesParser.create().parse_overrides([f"key={written(value)}"])
    read = override.value()
    plain = [str(item) if isinstance(item, str) else item for item in read] if isinstance(read, list) else read
    assert plain == value and type(plain) is type(value)


def test_a_run_from_python_knows_nothing_of_a_command_before_it(tmp_path, monkeypatch):
    """Commands that end early, in the same process, must not lend their words to it."""
    monkeypatch.chdir(tmp_path)
    assert main(["train", "data=digits", "model=mlp", "--cfg", "job"]) == 0
    assert main(["train", "data=digits", "model=mlp", "batch_size=99999"]) == 2
    cfg = bmx.compose("train", ["data=iris", "model=mlp", "epochs=1", "plots=false"])
    assert (bmx.train(cfg, run_dir="run", quiet=True).get("choices") or {}).get("data") is None
