"""bmx's own configuration, as the command line shows it."""

import pytest

from bmx.cli.main import main
from bmx.config.compose import compose
from bmx.config.keys import flatten, is_node
from bmx.config.raw import compose_raw
from bmx.config.verbs import VERBS
from bmx.config.yaml_source import describe, entries
from bmx.targets.entry_point import locate
from tests.toy_house import REPOSITORY

COMPOSED = [name for name, verb in VERBS.items() if verb.config]

# What has no default.
NEEDED = {"distill": ["teacher=mlp"]}


@pytest.mark.parametrize("verb", COMPOSED)
def test_every_key_has_help(verb, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BMX_CONF", raising=False)
    assert main([verb, "--help"]) == 0
    out = capsys.readouterr().out
    composed = compose_raw(verb, [])
    written = entries(composed.loader, verb, [])
    for key, value in flatten(composed.config):
        if key.endswith("_target_") or (is_node(value) and len(value)):
            continue
        assert f"  {key} = " in out
        assert written[key].comment, f"{written[key].file}, line {written[key].line}: {key} has no comment"


def test_a_model_of_a_library_gives_a_run_its_own_name():
    assert compose("train", ["model=torchvision", "model.name=vgg16", "data=cifar10"]).name == "vgg16-cifar10-sgd"


def test_every_file_says_what_its_word_is():
    for path in sorted((REPOSITORY / "conf").rglob("*.yaml")):
        assert describe(path), path


@pytest.mark.parametrize("verb", COMPOSED)
def test_the_default_configuration_of_each_verb_is_right(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BMX_CONF", raising=False)
    config = compose(verb, NEEDED.get(verb, []))
    assert config.name


@pytest.mark.parametrize("verb", COMPOSED)
def test_every_verb_has_what_its_entry_names(verb):
    assert callable(locate(VERBS[verb].target)) and callable(locate(VERBS[verb].check))
    assert (REPOSITORY / "conf" / f"{VERBS[verb].config}.yaml").is_file()
    assert all(example.startswith(f"bmx {verb}") for example in VERBS[verb].examples)
