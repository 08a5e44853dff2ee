"""A run that is taken up is compared with what it was made from, and says what it does otherwise than before."""

import json
import shlex
import shutil

import pytest
import torch

import bmx
from bmx.cli.main import main
from bmx.errors import UsageError
from tests.engine.own_modules import Own

QUICK = ("data=iris", "model=mlp", "model.hidden=[8]", "epochs=2", "plots=false")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def own(here):
    own = Own(here)
    yield own
    own.forget()


def runs(here, verb="train"):
    return sorted((run for run in here.glob(f"outputs/{verb}/*/*") if run.is_dir()), key=lambda run: run.name)


def result_of(run):
    return json.loads((run / "result.json").read_text())


def contents(run):
    return {file: file.read_bytes() for file in run.rglob("*") if file.is_file() and file.name != ".lock"}


@pytest.mark.parametrize("door", ["command line", "python"])
@pytest.mark.parametrize("what", ["data", "code", "what the code imports"])
def test_what_has_changed_stops_a_resume_and_can_be_accepted(here, own, capsys, door, what):
    assert main(["train", *own.words]) == 0
    (run,) = runs(here)
    if what == "data":
        own.shift(train=1.0)
        told = "the data have changed: iris has the fingerprint"
    elif what == "code":
        own.edit(own.net, ".relu()", ".tanh()")
        told = f"the code of {own.net} has changed"
    else:
        own.edit(own.layers, "width + 0", "width + 0 * 2")
        told = f"the code of {own.layers} has changed"
    before = contents(run)

    def resume(*words):
        if door == "command line":
            return main(["train", f"resume={run.name}", "epochs=3", *words])
        try:
            return {"done": 0}[bmx.train(bmx.compose("train", [f"resume={run.name}", "epochs=3", *words]))["status"]]
        except UsageError as error:
            print("\n".join(error.lines()))
            return error.exit_code

    capsys.readouterr()
    assert resume() == 2
    said = "".join(capsys.readouterr())
    assert told in said and "accept_changes=true" in said
    assert ("the first difference is in the training inputs" in said) == (what == "data")
    assert contents(run) == before
    assert resume("accept_changes=true") == 0
    assert told in capsys.readouterr().out
    assert any(told in line for line in result_of(run)["changes"])


def test_a_comment_is_told_and_refuses_nothing(here, own, capsys):
    assert main(["train", *own.words]) == 0
    own.edit(own.net, "class Net", "# It widens.\nclass Net")
    assert main(["train", f"resume={runs(here)[0].name}", "epochs=3"]) == 0
    assert f"comments or layout of {own.net} have changed, the code has not" in capsys.readouterr().out


def test_nothing_is_said_where_nothing_changed(here, own, capsys):
    assert main(["train", *own.words]) == 0
    (run,) = runs(here)
    result = result_of(run)
    assert set(result["code"]) == {own.net, own.layers, own.data} and "changes" not in result
    capsys.readouterr()
    assert main(["train", f"resume={run.name}"]) == 0
    said = capsys.readouterr().out
    assert "changed" not in said and "otherwise" not in said and "learning rate" not in said
    assert "changes" not in result_of(run)


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("evaluate", ["plots=false"]),
        ("export", ["format=packed"]),
        ("bench", ["engines=[eager]", "seconds=0.01", "batch_sizes=[1]", "check_memory=false", "plots=false"]),
        ("compress", ["compression=prune", "epochs=0", "engines=[]", "plots=false"]),
    ],
)
def test_every_verb_that_takes_a_run_up_says_what_is_another(here, own, capsys, verb, words):
    assert main(["train", *own.words]) == 0
    own.shift(test=0.5)
    own.edit(own.net, ".relu()", ".tanh()")
    capsys.readouterr()
    assert main([verb, "run=latest", *words]) == 0
    said = capsys.readouterr().out
    found = result_of(runs(here, verb)[-1])["changes"]
    for told in ("the data have changed: iris has", "in the test inputs", f"the code of {own.net} has changed"):
        assert told in said and any(told in line for line in found)


def test_other_data_that_are_asked_for_are_no_change(here, own, capsys):
    assert main(["train", *own.words]) == 0
    own.shift(test=0.5)
    assert main(["evaluate", "run=latest", "data=iris", "plots=false"]) == 0
    assert "changed" not in capsys.readouterr().out
    assert "changes" not in result_of(runs(here, "evaluate")[-1])


def test_load_and_init_from_say_that_the_code_is_another(here, own, capsys):
    assert main(["train", *own.words]) == 0
    bmx.load("latest")
    own.edit(own.net, ".relu()", ".tanh()")
    with pytest.warns(UserWarning, match=f"the code of {own.net} has changed"):
        bmx.load("latest")
    capsys.readouterr()
    assert main(["train", *own.words, "init_from=latest"]) == 0
    assert f"init_from: the code of {own.net} has changed" in capsys.readouterr().out


def test_a_teacher_that_is_not_what_it_was_is_told(here, own, capsys):
    assert main(["train", *own.words]) == 0
    own.edit(own.net, ".relu()", ".tanh()")
    words = ["teacher=latest", "data=flowers", "student=mlp", "baseline=false", "epochs=1", "plots=false"]
    assert main(["distill", *words]) == 0
    assert f"the code of {own.net} has changed" in capsys.readouterr().out
    assert any(own.net in line for line in result_of(runs(here, "distill")[0])["changes"])


def test_another_version_of_torch_is_one_line(here, capsys):
    assert main(["train", *QUICK]) == 0
    (run,) = runs(here)
    file = run / "checkpoints/best.ckpt"
    content = torch.load(file, weights_only=True)
    content["origin"]["versions"]["torch"] = "1.0"
    torch.save(content, file)
    capsys.readouterr()
    assert main(["evaluate", "plots=false"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    now = result_of(run)["versions"]["torch"]
    assert lines == [f"note: made with torch 1.0, now {now}: the last digits may differ"]


def test_a_run_whose_parent_was_deleted_goes_on(here):
    assert main(["train", *QUICK, "name=parent"]) == 0
    assert main(["train", *QUICK, "name=child", "init_from=latest"]) == 0
    child = runs(here)[-1]
    shutil.rmtree(here / "outputs/train/parent")
    assert main(["train", f"resume={child.name}", "epochs=3"]) == 0
    assert result_of(child)["epochs"] == 3
    (child / "checkpoints/last.ckpt").unlink()
    (child / "checkpoints/previous.ckpt").unlink()
    assert main(["train", f"resume={child.name}"]) == 2  # it would have to begin with weights that are gone


def test_a_stretched_schedule_is_told_before_the_run_goes_on(here, capsys):
    assert main(["train", *QUICK, "scheduler=cosine", "lr=0.1"]) == 0
    (run,) = runs(here)
    capsys.readouterr()
    assert main(["train", f"resume={run.name}", "epochs=4"]) == 0
    said = capsys.readouterr().out
    last, after = torch.cos(torch.tensor([13 / 14, 14 / 28]) * torch.pi).add(1).mul(0.05).tolist()
    told = f"the learning rate was {last:.3g} in step 14, and is {after:.3g} from step 15 on"
    assert f"{told}: the schedule is stretched from 2 to 4 epochs, as in a run of that many" in said
    assert "epochs 2 → 4" in said and said.index(told) < said.index("3/4")
    rows = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()]
    assert float(rows[-1][rows[0].index("lr")]) < last


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["lr=0.001"], ["lr 0.01 → 0.001", "was 0.01 in step 14, and is 0.001 from step 15 on"]),
        (["trainer.clip_norm=1"], ["trainer.clip_norm null → 1"]),
        (["optim.momentum=0.5"], ["optim.momentum"]),
        (["regularization.l2=0.1"], ["regularization.l2 0 → 0.1"]),
        (["scheduler=exponential"], ["scheduler._target_", "was 0.01 in step 14"]),
    ],
)
def test_what_takes_effect_is_told_as_it_does(here, capsys, words, told):
    assert main(["train", *QUICK]) == 0
    (run,) = runs(here)
    capsys.readouterr()
    assert main(["train", f"resume={run.name}", "epochs=3", *words]) == 0
    said = capsys.readouterr().out
    assert all(one in said for one in told), said
    assert any(told[0] in line for line in result_of(run)["changes"])


@pytest.mark.parametrize(
    "word",
    ["batch_size=8", "model.hidden=[4]", "data.val_size=0.3", "seed=3", "precision=bf16-mixed", "data.leave_out=[1]"],
)
def test_what_would_make_another_run_is_refused(here, capsys, word):
    assert main(["train", *QUICK]) == 0
    (run,) = runs(here)
    before = contents(run)
    assert main(["train", f"resume={run.name}", "epochs=3", word]) == 2
    assert "cannot change on resume" in capsys.readouterr().err
    assert contents(run) == before


def test_rows_of_a_run_that_begins_again_are_not_doubled_in_tensorboard(here):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert main(["train", *QUICK, "logger=[csv,tensorboard]", "trainer.log_every=2"]) == 0
    (run,) = runs(here)
    shutil.rmtree(run / "checkpoints")  # as if it had been stopped before its first checkpoint
    assert main(["train", f"resume={run.name}"]) == 0
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    steps = [event.step for event in events.Scalars("train/loss")]
    assert steps == sorted(set(steps)) and len(steps) == 2 * 4


@pytest.mark.parametrize("places", [["hydra.output_subdir=null"], ["hydra.output_subdir=.elsewhere"], []])
def test_a_run_without_hydras_records_goes_on_from_its_configuration(here, places):
    assert main(["train", *QUICK, "lr=0.05", "scheduler=step", *places]) == 0
    (run,) = runs(here)
    if not places:
        shutil.rmtree(run / ".hydra")
    for number, words in enumerate((["epochs=3"], ["epochs=4", "scheduler=cosine"]), 3):
        assert main(["train", f"resume={run.name}", *words]) == 0
        cfg = (run / "config.yaml").read_text()
        assert result_of(run)["epochs"] == number and "lr: 0.05" in cfg and "- 8\n" in cfg
    assert "Cosine" in cfg and "gamma" not in cfg
    # A group that is written again, as the whole command of before, changes nothing: its root's own fields are there.
    assert main(["train", f"resume={run.name}", *QUICK, "epochs=4"]) == 0


@pytest.mark.slow
def test_a_teacher_is_trained_anew_where_the_equal_run_is_of_other_code_or_data(here, own, capsys):
    words = ["teacher=mine", "data=flowers", "student=mlp", "baseline=false", "epochs=1", "plots=false", "lr=0.1"]

    def trained_anew():
        capsys.readouterr()
        before = len(runs(here))
        assert main(["distill", *words]) == 0
        return len(runs(here)) - before

    assert trained_anew() == 1
    assert trained_anew() == 0
    own.edit(own.net, ".relu()", ".tanh()")
    assert trained_anew() == 1
    own.shift(train=0.5)
    assert trained_anew() == 1
    assert trained_anew() == 0


def test_what_to_do_next_works_in_quoted_outputs(here, capsys):
    assert main(["train", *QUICK, "outputs='it\\'s mine'"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  next ")]
    words = shlex.split(line.partition("bmx ")[2])
    assert words[0] == "evaluate" and main([*words, "plots=false", "outputs='it\\'s mine'"]) == 0
    (run,) = [run for run in here.glob("it's mine/train/*/*") if run.is_dir()]
    assert main(["train", f'resume="{run}"', "epochs=3"]) == 0 and result_of(run)["epochs"] == 3
