"""bmx compress, as a user meets it: on a run that was trained a moment ago."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

import bmx
from bmx.cli.main import main
from bmx.runs import result as results
from bmx.runs.report.pareto import dominated
from bmx.sweep import job_status
from bmx.sweep.workers import latency

TRAIN = ("data=digits", "model=mlp", "model.hidden=[64,32]", "batch_size=64", "epochs=3", "plots=false")
QUICK = ("engines=[eager]", "batch_sizes=[1]", "seconds=0.01", "plots=false")


@pytest.fixture(scope="module")
def once(tmp_path_factory) -> Path:
    """A folder with the run that each test gets a copy of."""
    folder = tmp_path_factory.mktemp("once")
    with contextlib.chdir(folder):
        assert main(["train", *TRAIN]) == 0
    return folder


@pytest.fixture
def trained(once, tmp_path, monkeypatch) -> Path:
    """A run in a folder of its own."""
    shutil.copytree(once / "outputs", tmp_path / "outputs")
    monkeypatch.chdir(tmp_path)
    return next(tmp_path.glob("outputs/train/*/*"))


def result_of(verb: str = "compress") -> dict:
    runs = sorted(Path.cwd().glob(f"outputs/{verb}/*/*/result.json"), key=lambda f: f.stat().st_mtime)
    return json.loads(runs[-1].read_text())


def newest(verb: str = "compress") -> Path:
    return max(Path.cwd().glob(f"outputs/{verb}/*/*"), key=lambda f: f.stat().st_mtime)


def evaluated_on_val(run: Path) -> float:
    assert main(["evaluate", f"run={run.name}", "split=val", "plots=false"]) == 0
    return result_of("evaluate")["metrics"]["val/accuracy"]


def test_low_rank_without_tuning_is_smaller_and_loads(trained, capsys):
    assert (
        main(["compress", "run=latest", "compression=low_rank", "compression.budget.params=0.5", "epochs=0", *QUICK])
        == 0
    )
    result, run = result_of(), newest()
    before, after = result["compression"]["before"], result["compression"]["after"]
    factored = [layer for layer in result["compression"]["layers"] if "rank" in layer["note"]]
    assert factored and after["cost"]["parameters"] < 0.6 * before["cost"]["parameters"]
    assert result["parent"] == str(trained / "checkpoints/best.ckpt") or Path(result["parent"]).samefile(
        trained / "checkpoints/best.ckpt"
    )
    content = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    assert [step["kind"] for step in content["recipe"]] == ["low_rank"]
    model = bmx.load(run)
    assert sum(p.numel() for p in model.net.parameters()) == after["cost"]["parameters"]
    assert "points of accuracy" in capsys.readouterr().out
    # What compressions can be chosen by, without a look at the test set.
    assert result["metrics"]["val/accuracy"] == evaluated_on_val(run)
    assert main(["evaluate", f"run={run.name}", "plots=false"]) == 0
    assert result_of("evaluate")["metrics"]["test/accuracy"] == result["metrics"]["test/accuracy"]


def test_the_sensitivity_of_each_layer_is_drawn(trained):
    words = ["compression=low_rank", "epochs=0", "sensitivity=true", *QUICK, "plots=true"]
    assert main(["compress", "run=latest", *words]) == 0
    rows = result_of()["compression"]["facts"]["sensitivity"]
    assert {row["layer"] for row in rows} == {"hidden.linear1", "hidden.linear2", "head"}
    assert (newest() / "plots/sensitivity.png").stat().st_size > 1000


def test_pruned_weights_are_zero_after_tuning(trained):
    assert main(["compress", "run=latest", "compression=prune", "compression.sparsity=0.8", "epochs=1", *QUICK]) == 0
    weights = [p for name, p in bmx.load(newest()).net.named_parameters() if name.endswith("weight")]
    zeros = sum(int((w == 0).sum()) for w in weights)
    assert zeros / sum(w.numel() for w in weights) == pytest.approx(0.8, abs=1e-3)


def test_the_model_that_is_kept_is_validated_not_the_one_that_was_tuned(trained):
    words = ["compression=deep", "compression.sparsity=0.9", "compression.bits.linear=1", "epochs=2"]
    assert main(["compress", "run=latest", *words, *QUICK]) == 0
    result, run = result_of(), newest()
    assert result["best"]["value"] == result["metrics"]["val/accuracy"] == evaluated_on_val(run)


@pytest.mark.slow
def test_what_one_stage_pruned_the_next_leaves_zero(trained):
    words = ["compression=pipeline", "stages=[prune,quantize]", "compression.prune.sparsity=0.8", "epochs=1"]
    assert main(["compress", "run=latest", *words, *QUICK]) == 0
    cost = result_of()["compression"]["after"]["cost"]
    assert cost["nonzero_parameters"] < 0.25 * cost["parameters"]


def test_a_compressed_run_can_be_compressed_again(trained):
    words = ["compression=low_rank", "epochs=0", *QUICK]
    assert main(["compress", "run=latest", *words, "compression.budget.params=0.6"]) == 0
    assert main(["compress", "run=latest", "compression=quantize", "compression.qat=false", "epochs=0", *QUICK]) == 0
    recipe = bmx.load(newest()).recipe
    assert [step["kind"] for step in recipe] == ["low_rank", "quantize"]


@pytest.mark.slow
def test_a_packed_file_is_a_model_like_any_other(trained, capsys):
    """Loaded, compressed again, and a teacher, as the run it was exported from."""
    assert main(["compress", "run=latest", "compression=deep", "epochs=0", *QUICK]) == 0
    assert main(["export", f"run={newest().name}", "format=packed"]) == 0
    (file,) = Path.cwd().glob("outputs/export/*/*/*.bmxp")
    weights = bmx.load(newest()).state_dict()
    assert all(torch.equal(t, weights[name]) for name, t in bmx.load(file).state_dict().items())
    assert main(["compress", f"run={file}", "compression=prune_structured", "epochs=0", *QUICK]) == 0
    assert result_of()["compression"]["before"]["cost"]["bytes"] == file.stat().st_size
    kinds = [step["kind"] for step in bmx.load(newest()).recipe]
    assert "channels" in kinds
    assert main(["compress", f"run={file}", "compression=quantize", "epochs=0", *QUICK]) == 2
    assert "give up the values that weights share" in capsys.readouterr().err
    assert main(["distill", f"teacher={file}", "student=mlp", "data=digits", "epochs=1", "plots=false"]) == 0
    Path("model.onnx").write_bytes(b"")
    assert main(["compress", "run=model.onnx", "compression=quantize", *QUICK]) == 2
    assert "finished graph" in capsys.readouterr().err


@pytest.mark.slow
def test_tuning_can_learn_from_the_original(trained):
    words = ["compression=low_rank", "compression.budget.params=0.3", "epochs=2", "seed=0", *QUICK]
    assert main(["compress", f"run={trained.name}", *words]) == 0
    plain = bmx.load(newest()).net.state_dict()
    assert main(["compress", f"run={trained.name}", *words, "distillation=kd", "distillation.alpha=0.0"]) == 0
    taught, result = bmx.load(newest()).net.state_dict(), result_of()
    assert plain.keys() == taught.keys() and any(not torch.equal(plain[name], taught[name]) for name in plain)
    found = result["compression"]
    assert found["agreement"] > 0.5
    gained = found["only_right"]["after"] - found["only_right"]["before"]
    assert gained == round(
        found["samples"] * (found["after"]["metrics"]["accuracy"] - found["before"]["metrics"]["accuracy"])
    )


@pytest.mark.slow
def test_a_pipeline_weighs_every_stage(trained, capsys):
    words = ["compression=pipeline", "stages=[low_rank,quantize]", "epochs=1", *QUICK]
    assert main(["compress", "run=latest", *words]) == 0
    result = result_of()
    assert [stage["word"] for stage in result["stages"]] == ["low_rank", "quantize"]
    assert result["name"] == newest().parent.name
    kept = OmegaConf.load(newest() / "config.yaml")
    assert kept.compression.stages == ["low_rank", "quantize"] and kept.model.hidden == [64, 32]
    sizes = [stage["cost"]["bytes"] for stage in result["stages"]]
    assert result["compression"]["before"]["cost"]["bytes"] > 2 * max(sizes)
    assert result["compression"]["after"]["cost"]["bytes"] == sizes[1]
    said = capsys.readouterr().out
    assert "original" in said and "low_rank" in said and f"{result['name']}: " in said


@pytest.mark.slow
def test_a_target_keeps_to_the_validation_accuracy(trained):
    words = ["compression=low_rank", "target.accuracy_drop=3", "target.trials=3", "epochs=0", *QUICK]
    assert main(["compress", "run=latest", *words]) == 0
    result = result_of()
    held = [trial for trial in result["trials"] if trial["holds"]]
    assert len(result["trials"]) == 3 and held
    assert all(trial["drop"] <= 3 + 1e-6 for trial in held)
    smallest = min(trial["cost"]["nonzero_parameters"] for trial in held)
    assert result["compression"]["after"]["cost"]["nonzero_parameters"] == smallest
    trial = json.loads((newest() / "trials/01/result.json").read_text())
    assert not any(name.startswith("test/") for name in trial["metrics"])


@pytest.mark.slow
def test_one_fraction_among_several_stages_is_bisected(trained):
    words = ["compression=pipeline", "stages=[low_rank,quantize]", "target.bytes=11000", "target.trials=3", "epochs=0"]
    assert main(["compress", "run=latest", *words, *QUICK]) == 0
    result = result_of()
    assert [set(trial["kept"]) for trial in result["trials"]] == 3 * [{"low_rank.budget.params"}]
    assert result["compression"]["after"]["cost"]["bytes"] <= 11000
    kinds = [step["kind"] for step in bmx.load(newest()).recipe]
    assert kinds[0] == "low_rank" and set(kinds[1:]) == {"quantize"}


@pytest.mark.parametrize(("memory", "sizes"), [(200_000, [1, 64]), (40_000, [1])])
def test_a_batch_that_memory_cannot_hold_is_left_out_and_named(trained, capsys, monkeypatch, memory, sizes):
    """A quantised net unpacks 26 kB of weights, once for a whole batch."""
    monkeypatch.setattr("bmx.verbs.bench.measuring.available_memory", lambda: memory)
    words = ["compression=quantize_weights", "epochs=0", "plots=false", "engines=[eager]", "batch_sizes=[1,64]"]
    assert main(["compress", "run=latest", *words, "seconds=0.01"]) == 0
    after, said = result_of()["compression"]["after"], capsys.readouterr().out
    assert [timing["batch_size"] for timing in after["timings"]] == sizes
    assert ("a batch of 64 does not fit into the memory that is free" in said) == (sizes == [1])


STAGES = ("compression=pipeline", "stages=[prune_structured,low_rank]", "epochs=1", *QUICK)


@pytest.mark.slow
def test_several_fractions_are_searched_together_by_a_sweep(trained, capsys):
    assert main(["compress", "run=latest", *STAGES, "target.accuracy_drop=6", "target.trials=3"]) == 0
    run, said = newest(), capsys.readouterr().out
    result = json.loads((run / "result.json").read_text())
    assert said.count("trial ") >= 3 and "keeps to the target" in said
    held = [trial for trial in result["trials"] if trial["holds"]]
    assert len(result["trials"]) >= 3 and held
    smallest = min(held, key=lambda trial: trial["cost"]["nonzero_parameters"])
    assert result["compression"]["after"]["cost"] == smallest["cost"]
    assert set(smallest["kept"]) == {"prune_structured.budget.params", "low_rank.budget.params"}
    assert result["compression"]["facts"]["kept"] == smallest["kept"]
    assert result["compression"]["epochs"] == 2 and "fine-tuning" in said and "no fine-tuning" not in said
    assert result["metrics"]["val/accuracy"] == evaluated_on_val(run) and "test/accuracy" in result["metrics"]
    trials = [json.loads(file.read_text()) for file in run.glob("trials/jobs/*/result.json")]
    assert all(not name.startswith("test/") for trial in trials for name in trial.get("metrics", {}))
    assert (run / "trials/leaderboard.csv").exists()


@pytest.mark.slow
def test_several_fractions_are_searched_for_what_is_fast_enough(trained, capsys):
    words = ["target.latency_ms=100000", "target.trials=2", "epochs=0", *QUICK]
    assert main(["compress", "run=latest", *STAGES[:2], *words]) == 0
    trials = [json.loads(file.read_text()) for file in newest().glob("trials/jobs/*/result.json")]
    result = result_of()
    assert result["trials"] and all(trial["holds"] for trial in result["trials"] if "reason" not in trial)
    assert all(0 < trial["cost"]["latency"] < 100 for trial in trials if trial["status"] == "done")


def test_a_run_that_was_stopped_before_it_was_timed_is_timed_and_not_made_again(trained):
    weights = (trained / "checkpoints" / "best.ckpt").stat().st_mtime_ns
    assert latency.main(["train", f"hydra.run.dir='{trained}'"]) == 0
    assert latency.known(job_status.read(trained))
    assert (trained / "checkpoints" / "best.ckpt").stat().st_mtime_ns == weights


@pytest.mark.slow
def test_a_pipeline_can_be_chosen_by_its_validation_accuracy(trained, capsys):
    words = ["compression.low_rank.budget.params=0.6,0.1", "split=val", "jobs=1", *QUICK[:3]]
    assert main(["compress", "-m", "run=latest", "compression=pipeline", "stages=[low_rank]", "epochs=0", *words]) == 0
    said = capsys.readouterr().out
    assert "* at the epoch whose weights were kept" in said and re.search(r"compression +val +change", said)
    assert re.search("size +eager, 1\n", said), "timed as asked for, and no more"
    (sweep,) = Path.cwd().glob("outputs/sweep/*/*")
    board = list(csv.DictReader((sweep / "leaderboard.csv").open()))
    assert board[0]["compression.low_rank.budget.params"] == "0.6"
    results = [json.loads(file.read_text()) for file in sweep.glob("jobs/*/result.json")]
    assert all("val/accuracy" in result["metrics"] and "test/accuracy" not in result["metrics"] for result in results)
    assert all(result["compression"]["split"] == "val" for result in results)


@pytest.mark.slow
def test_a_sweep_names_what_cannot_run_and_how_to_repeat_the_rest(trained, capsys):
    """That a budget is too small is found out while the job runs."""
    Path("conf").mkdir()
    words = ["run=latest", "compression=low_rank", "compression.budget.params=0.6,0.5,0.01", "epochs=0", "jobs=1"]
    assert main(["compress", "-m", "--config-dir=conf", *words]) == 1
    said = capsys.readouterr().out
    why = "cannot run compression.budget.params=0.01"
    assert re.search(rf"{re.escape(why)} · .* · low rank cannot bring this net to params=0.01", said)
    assert "2 of 3 jobs done" in said and "1 cannot run" in said and "job.log" in said
    command = f"bmx compress --config-dir=conf run={trained} compression=low_rank epochs=0 compression.budget.params"
    assert f"again  {command}" in said
    for budget in ("0.6", "0.5"):
        assert f"budget.params={budget}:  {command}={budget}\n" in said


@pytest.mark.slow
def test_the_latest_run_is_settled_for_all_jobs_though_nobody_wrote_it(trained, capsys):
    words = ["compression=low_rank,prune", "epochs=0", "jobs=1"]  # prune makes no file smaller: another beats it
    assert main(["compress", "-m", *words]) == 0
    said = capsys.readouterr().out
    again = re.search(r"^again  (.*)$", said, re.MULTILINE)
    assert again is not None and f"run={trained}" in again[1]
    for word in ("low_rank", "prune"):
        assert f"  {word}:  bmx compress epochs=0 compression={word} run={trained}\n" in said
    for file in Path.cwd().glob("outputs/sweep/*/*/jobs/*/.hydra/overrides.yaml"):
        assert f"run={trained}" in OmegaConf.load(file)


def test_a_search_without_optuna_names_what_to_install(trained, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["compress", "run=latest", *STAGES, "target.accuracy_drop=6"]) == 2
    said = capsys.readouterr().err
    assert "a target over several stages needs optuna" in said and "bmx[optuna]" in said
    assert not list(Path.cwd().glob("outputs/compress/*/*"))


@pytest.mark.slow
def test_a_target_of_bytes_is_not_exceeded(trained):
    words = ["compression=low_rank", "target.bytes=12000", "target.trials=4", "epochs=0", *QUICK]
    assert main(["compress", "run=latest", *words]) == 0
    assert result_of()["compression"]["after"]["cost"]["bytes"] <= 12000


def test_a_target_that_cannot_be_met_says_what_came_nearest(trained, capsys):
    words = ["compression=low_rank", "target.bytes=100", "target.trials=2", "epochs=0", *QUICK]
    assert main(["compress", "run=latest", *words]) == 1
    said = capsys.readouterr().err
    assert "none of 2 compressions kept to the target" in said and "nearest" in said


METHODS = ("low_rank", "prune", "prune_structured", "quantize", "quantize_weights", "deep")


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("quantize", "low_rank", "this model is quantised already"),
        ("quantize_weights", "prune_structured", "no layer of this net has channels that can go"),
    ],
)
def test_what_is_quantised_is_not_compressed_further(trained, capsys, first, second, told):
    assert main(["compress", "run=latest", f"compression={first}", "epochs=0", *QUICK]) == 0
    capsys.readouterr()
    assert main(["compress", "run=latest", f"compression={second}", "epochs=0", *QUICK]) == 2
    said = capsys.readouterr().err
    assert told in said and "compress the run that it was quantised from" in said and said.count("bmx:") == 1
    assert len(list(Path.cwd().glob("outputs/compress/*/*"))) == 1


@pytest.mark.parametrize(
    ("stages", "told", "instead"),
    [
        ("quantize,prune", "quantize rounds to few bits, which comes last", "stages=[prune,quantize]"),
        ("prune,low_rank", "low_rank would undo the zeros that prune makes", "stages=[low_rank,prune]"),
        ("deep,quantize", "quantize would undo the shared values that deep makes", "leave out quantize or deep"),
        ("deep,quantize,low_rank", "quantize would undo the shared values", "leave out quantize or deep"),
    ],
)
def test_a_pipeline_that_would_undo_itself_is_told_so_before_it_begins(trained, capsys, stages, told, instead):
    assert main(["compress", "run=latest", "compression=pipeline", f"stages=[{stages}]", "epochs=0", *QUICK]) == 2
    said = capsys.readouterr().err
    assert told in said and instead in said
    assert not list(Path.cwd().glob("outputs/compress/*/*"))


@pytest.mark.slow
@pytest.mark.parametrize("model", [("cnn", "model.width=16", "model.depth=2"), ("vit", "model.patch_size=4")])
@pytest.mark.parametrize("one", METHODS)
def test_any_two_methods_one_after_the_other(tmp_path, monkeypatch, model, one):
    """The second works on what the first left, or says in one sentence why it cannot."""
    monkeypatch.chdir(tmp_path)
    word, *fields = model
    assert main(["train", "data=digits", f"model={word}", *fields, "epochs=1", "plots=false"]) == 0
    base, settled = newest("train"), ["epochs=0", "engines=[]", "plots=false"]
    assert main(["compress", f"run={base}", f"compression={one}", *settled]) == 0
    run = newest()
    for two in METHODS:
        undone = {("prune", "low_rank"), ("deep", "low_rank"), ("deep", "quantize"), ("deep", "quantize_weights")}
        nothing = (one, two) == ("deep", "prune")
        refused = one.startswith("quantize") or (one, two) in undone or nothing
        assert main(["compress", f"run={run}", f"compression={two}", *settled]) == (2 if refused else 0)


def test_training_and_pruning_in_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["compression=prune", "compression.sparsity=0.7", "compression.updates=5", "compress_when=during"]
    assert main(["train", *TRAIN, *words]) == 0
    cost = result_of("train")["cost"]
    assert cost["nonzero_parameters"] < 0.4 * cost["parameters"]


def test_training_then_compressing_in_one_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *TRAIN, "compression=low_rank", "tuning_epochs=0"]) == 0
    assert Path(result_of()["parent"]).samefile(newest("train") / "checkpoints/best.ckpt")


def test_a_resumed_compression_ends_as_one_that_was_never_stopped(trained):
    words = ["compression=prune", "compression.sparsity=0.8", "epochs=3", "compression.updates=7", *QUICK]
    assert main(["compress", "run=latest", *words]) == 0
    whole = newest()
    stop = "trainer.callbacks=[{_target_: tests.verbs.stopping.AfterEpoch, epoch: 1}]"
    assert main(["compress", f"run={trained.name}", *words, stop]) == 130
    stopped = newest()
    assert stopped != whole
    assert main(["compress", f"resume={stopped.name}", "trainer.callbacks=[]"]) == 0
    one, two = (torch.load(run / "checkpoints/best.ckpt", weights_only=True)["state_dict"] for run in (whole, stopped))
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_a_compression_that_comes_out_different_is_not_gone_on_with(trained, capsys):
    words = ["compression=prune", "compression.sparsity=0.8", "epochs=3", "compression.updates=7", *QUICK]
    stop = "trainer.callbacks=[{_target_: tests.verbs.stopping.AfterEpoch, epoch: 1}]"
    assert main(["compress", f"run={trained.name}", *words, stop]) == 130
    stopped = newest()
    file = stopped / "checkpoints" / "compressed.ckpt"
    content = torch.load(file, weights_only=True)
    torch.save({**content, "recipe": [{"kind": "low_rank", "layers": []}]}, file)  # as another architecture would say
    capsys.readouterr()
    assert main(["compress", f"resume={stopped.name}", "trainer.callbacks=[]"]) == 1
    said = capsys.readouterr().err
    assert "came out different" in said and str(file) in said and "without resume=" in said.partition("do:")[2]
    # As it advises.
    assert main(["compress", f"run={trained.name}", *words[:2], "epochs=0", *QUICK]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["compression=pipeline", "stages=[low_rank,quantize]"], ["target.accuracy_drop=50", "target.trials=2"]]
)
def test_a_run_of_runs_that_was_stopped_goes_on(trained, capsys, words):
    stop = "trainer.callbacks=[{_target_: tests.verbs.stopping.AfterEpoch, epoch: 1}]"
    assert main(["compress", "run=latest", *words, "epochs=2", *QUICK, stop]) == 130
    assert result_of()["status"] == "interrupted"
    run = newest()
    results.write(run, result_of() | {"seconds": {"total": result_of()["seconds"]["total"] + 3600}})
    assert main(["compress", f"resume={run.name}", "trainer.callbacks=[]"]) == 0
    assert result_of()["status"] == "done" and newest() == run
    assert result_of()["seconds"]["total"] > 3600
    assert bmx.load(run).recipe[0]["kind"] == "low_rank"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["compression=low_rnk"], "low_rank"),
        (["compression=low_rank", "compression.budget.params=-1"], "budget"),
        (["compression=low_rank", "compression.skip=[hiden.linear1]"], "hidden.linear1"),
        (["epochs=-1"], "epochs"),
        (["split=train"], "split must be one of test, val, not 'train'"),
        (["run=nothing"], "nothing"),
        (["compression=quantize", "target.accuracy_drop=1"], "no size to search"),
        (["target.accuracy_drop=1", "target.bytes=3"], "2 targets"),
        (["compression=pipeline", "stages=[low_rnk]"], "low_rank"),
        (["compression=pipeline", "stages=[]"], "without stages"),
    ],
)
def test_wrong_commands_write_nothing(trained, capsys, words, told):
    named = [] if any(word.startswith("run=") for word in words) else [f"run={trained.name}"]
    assert main(["compress", *named, *QUICK, *words]) == 2
    assert told in capsys.readouterr().err
    assert not (Path.cwd() / "outputs/compress").exists()


def test_what_another_beats_in_both_is_dominated():
    # (cost, score): the third costs more than the second for less; equal points do not beat each other.
    assert dominated([(1.0, 90.0), (2.0, 95.0), (3.0, 94.0), (2.0, 95.0)]) == [False, False, True, False]
