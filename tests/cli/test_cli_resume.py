"""resume=: the run's own words, then the new ones, in its own directory."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bmx.sweep.quoting import quoted
from tests.cli.conftest import write


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
