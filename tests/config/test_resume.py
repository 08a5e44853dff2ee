"""resume=: the run's own words, then the new ones, in its own directory."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bmx.config import override_grammar
from bmx.config.quoting import quoted
from tests.toy_house import write


def stopped(house, *words):
    house.behave["run"] = lambda cfg, run_dir: {"status": "interrupted"}
    house("train", *words)
    house.behave.pop("run")
    return house.runs()[-1]


def words_of(run):
    return yaml.safe_load((run / ".hydra" / "overrides.yaml").read_text())


@pytest.mark.parametrize("how", ["latest", "id", "path", "quoted path"])
def test_a_run_goes_on_in_its_directory_with_its_own_words(house, how):
    run = stopped(house, "model=cnn", "lr=0.5", "name=mine")
    named = {"latest": "latest", "id": run.name, "path": str(run), "quoted path": f"'{run}'"}[how]
    assert house("train", f"resume={named}", "epochs=20").code == 0
    cfg, run_dir = house.ran[-1]
    assert run_dir == run.resolve() and house.runs() == [run]
    assert cfg.resume == str(run.resolve())
    assert (cfg.lr, cfg.epochs, cfg.name, cfg.model.depth) == (0.5, 20, "mine", 2)


def test_new_words_take_the_place_of_the_runs_own_and_are_kept(house):
    run = stopped(house, "lr=0.5", "model=cnn", "+model.extra=1")
    house("train", "resume=latest", "lr=0.1")
    house("train", "resume=latest", "epochs=3", "model.depth=9")
    cfg, _ = house.ran[-1]
    assert (cfg.lr, cfg.epochs, cfg.model.depth, cfg.model.extra) == (0.1, 3, 9, 1)
    kept = words_of(run)
    assert kept[:-1] == ["model=cnn", "+model.extra=1", "lr=0.1", "epochs=3", "model.depth=9"]
    assert kept[-1].startswith("resume=")


def test_the_folder_given_with_config_dir_is_found_again(house, tmp_path):
    write(tmp_path / "more", {"model/theirs.yaml": "# Theirs.\nwidth: 8\n"})
    stopped(house, "model=theirs", "--config-dir", str(tmp_path / "more"))
    assert house("train", "resume=latest").code == 0
    assert house.ran[-1][0].model.width == 8


def test_nothing_to_resume(house):
    run = stopped(house)
    assert "no run 'nix'" in house("train", "resume=nix").err
    (run / ".hydra" / "overrides.yaml").unlink()
    called = house("train", f"resume={run}")
    assert called.code == 2 and "did not keep the words" in called.err


def test_null_starts_afresh(house):
    stopped(house)
    assert house("train", "resume=null").code == 0
    assert len(house.runs()) == 2


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_path_survives_hydras_grammar(text):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    assert OverridesParser.create().parse_overrides([f"a={quoted(text)}"])[0].value() == text


PLACES = [
    ("outputs='my runs'", "my runs"),
    ('outputs="my runs"', "my runs"),
    ("++outputs='a,b'", "a,b"),
    ("outputs='it\\'s [a=b] {é}'", "it's [a=b] {é}"),
    ("outputs=${oc.env:RUNS}", "from env"),
    ("outputs=${nested.place}/x", "elsewhere/x"),
]


@pytest.mark.parametrize(("word", "folder"), PLACES)
@pytest.mark.parametrize("where", ["word", "experiment", "root"])
def test_latest_is_found_wherever_and_however_the_outputs_are_said(house, monkeypatch, word, folder, where):
    monkeypatch.setenv("RUNS", "from env")
    root = house.conf / "train.yaml"
    root.write_text(root.read_text().replace("nested:\n", "nested:\n  place: elsewhere\n"))
    if where != "word":
        said = f"outputs: {json.dumps(override_grammar.value(word))}\n"
        if where == "experiment":
            write(house.conf, {"experiment/there.yaml": f"# @package _global_\n# There.\n{said}"})
            word = "experiment=there"
        else:
            root.write_text(root.read_text().replace("outputs: outputs\n", said))
            word = "seed=0"
    house.behave["run"] = lambda cfg, run_dir: {"status": "interrupted"}
    house("train", word, "name=mine")
    house.behave.pop("run")
    (run,) = (house.work / folder / "train/mine").glob("*")
    called = house("train", word, "resume=latest", "epochs=3")
    assert called.code == 0, called.err
    assert house.ran[-1][1] == run.resolve() and house.ran[-1][0].epochs == 3
    called = house("train", f"resume={run.name}", word)
    assert called.code == 0 and house.ran[-1][1] == run.resolve()


@pytest.mark.parametrize("word", ["++resume=latest", "resume='latest'", 'resume="latest"', "resume=${oc.env:GO_ON}"])
def test_every_way_to_say_latest(house, monkeypatch, word):
    monkeypatch.setenv("GO_ON", "latest")
    run = stopped(house)
    assert house("train", word).code == 0
    assert house.ran[-1][1] == run.resolve() and house.runs() == [run]


def test_words_that_fit_only_the_run_do_not_hide_its_outputs(house):
    house.behave["run"] = lambda cfg, run_dir: {"status": "interrupted"}
    house("train", "model=cnn", "outputs='my runs'")
    (run,) = house.work.glob("my runs/train/*/*")
    house.behave.pop("run")
    assert house("train", "resume=latest", "model.depth=7", "outputs='my runs'").code == 0
    assert house.ran[-1][1] == run.resolve() and house.ran[-1][0].model.depth == 7


def test_a_file_cannot_resume(house):
    run = stopped(house)
    write(house.conf, {"experiment/again.yaml": "# @package _global_\n# Again.\nresume: latest\n"})
    called = house("train", "experiment=again")
    assert called.code == 2 and "by a word of the command line alone" in called.err
    assert "again.yaml, line 3" in called.err and house.runs() == [run]


def test_a_run_goes_on_in_its_own_directory_or_not_at_all(house):
    run = stopped(house)
    called = house("train", "resume=latest", "hydra.run.dir=other")
    assert called.code == 2 and "a run goes on in its own directory" in called.err
    assert house.runs() == [run] and not (house.work / "other").exists()
    assert house("train", "resume=latest", f"hydra.run.dir='{run}'").code == 0


def test_a_run_of_another_verb_is_named(house):
    run = stopped(house)
    (run / "result.json").write_text('{"verb": "distill", "status": "interrupted"}')
    called = house("train", f"resume={run.name}")
    assert called.code == 2 and "this is a run of bmx distill, not of bmx train" in called.err
    assert f"bmx distill resume={run.name}" in called.err


def test_runs_are_listed_where_the_quoted_outputs_say(house, monkeypatch):
    monkeypatch.setenv("RUNS", "my runs")
    house("train", "outputs='my runs'", "name=mine")
    for word in ("outputs='my runs'", 'outputs="my runs"', "outputs=my runs", "outputs=${oc.env:RUNS}"):
        assert "mine" in house("runs", "list", word).out
