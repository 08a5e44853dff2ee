"""Mistyped words: three lines with the nearest right one, exit 2, and not a file left behind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmx.config.keys import nearest_keys
from bmx.config.suggestions import near
from tests.toy_house import tree

WRONG = [
    # words, what is said of it, what to do
    (["modle=cnn"], "no group or key 'modle'", "did you mean model?"),
    (["model=cnnn"], "no word 'cnnn' in the group 'model'", "did you mean model=cnn?"),
    (["model=zzz"], "no word 'zzz' in the group 'model'", "choose one of: cnn, net"),
    (["optim=sdg"], "no word 'sdg' in the group 'optim'", "optim=sgd"),
    (["data=1"], "no word '1' in the group 'data'", "choose one of: digits, toy"),
    (["cnn"], "'cnn' says no key", "did you mean model=cnn?"),
    (["lrr=3"], "no group or key 'lrr'", "did you mean lr?"),
    (["+lrr=3"], "no group or key 'lrr'", "did you mean lr?"),
    (["++nested.swich=true"], "no key 'nested.swich'", "did you mean nested.switch?"),
    (["nested=null"], "nested must hold keys, not null", "nested.switch=true"),
    (["epoch=3"], "bmx calls 'epoch' epochs", "write bmx train epochs=3"),
    (["model.widht=3"], "no key 'model.widht'", "did you mean model.width?"),
    (["widht=3"], "no group or key 'widht'", "model.width"),
    (["model=cnn", "model.xyz=3"], "no key 'model.xyz'", "model has: depth, dropout"),
    (["optim.momentun=0.9"], "no key 'optim.momentun'", "did you mean optim.momentum?"),
    (["lr.x=3"], "no key 'lr.x'", "lists every key"),
    (["hydra.verbos=true"], "no key 'hydra.verbos'", "hydra.verbose"),
    (["hydra/job_logging=bxm"], "no word 'bxm' in the group 'hydra/job_logging'", "hydra/job_logging=bmx"),
    (["~modle"], "no group or key 'modle'", "did you mean model?"),
    (["+lr=3"], "lr is there already", "write lr=3 without the +"),
    (["model=null"], "model cannot be null", "write model=net"),
    (["model@teacher=cnn"], "bmx train takes no model@teacher=", "did you mean model=?"),
    (["epochs"], "'epochs' has no value", "epochs=VALUE"),
    (["epochs="], "epochs has no value", "epochs=VALUE"),
    (["model=["], "cannot read the value of model", "quote"),
    (["lr=0,1"], "lr has several values", "add -m"),
    (["lrr=0,1"], "no group or key 'lrr'", "did you mean lr"),
    (["model=cnn,mpl"], "no word 'mpl' in the group 'model'", "cnn"),
    (["epochs=ten"], "epochs must be a whole number, 1 or more, not 'ten'", "write epochs=10"),
    (["epochs=0"], "epochs must be a whole number, 1 or more, not 0", "epochs=10"),
    (["epochs=1.5"], "epochs must be a whole number", "epochs=10"),
    (["epochs=true"], "epochs must be a whole number", "epochs=10"),
    (["lr=fast"], "lr must be a number greater than 0, or auto, not 'fast'", "lr=auto"),
    (["lr=-1"], "lr must be a number greater than 0, or auto, not -1", "lr=0.01"),
    (["lr=nan"], "lr must be a number greater than 0", "lr=0.01"),
    (["lr=null"], "lr must be a number greater than 0, or auto, not null", "lr=0.01"),
    (["lr=???"], "lr has no value", "write lr=VALUE"),
    (["batch_size=ful"], "batch_size must be", "batch_size=full"),
    (["seed=-1"], "seed must be a whole number from 0", "seed=0"),
    (["outputs=null"], "outputs must be a folder", "outputs=outputs"),
    (["lr=${lrr}"], "lr refers to 'lrr', which does not exist", "${lr}"),
    (["-m", "model=cnn,cnm"], "no word 'cnm' in the group 'model'", "model=cnn"),
    (["-m", "epochs=1,ten"], "epochs must be a whole number", "epochs=10"),
    (["-m", "lr=choice(1,x)"], "lr must be a number", "lr=0.01"),
    (["-m", "lrr=1,2"], "no group or key 'lrr'", "did you mean lr?"),
    (["-m", "lr=interval(0,1)"], "lr is an interval", "list the values"),
    (["--cfg", "job", "lrr=3"], "no group or key 'lrr'", "did you mean lr?"),
    (["--cfg", "job", "-p", "optm"], "no key 'optm' to print", "-p optim"),
    (["--help", "modle=cnn"], "no group or key 'modle'", "did you mean model?"),
    (["--info", "config", "lrr=3"], "no group or key 'lrr'", "did you mean lr?"),
    (["resume=latest"], "there is no unfinished run to resume", "bmx runs list"),
    (["-m", "resume=latest"], "a sweep cannot resume one run", "leave out"),
]


@pytest.mark.parametrize(("words", "what", "do"), WRONG, ids=[" ".join(case[0]) for case in WRONG])
def test_a_wrong_word_is_three_lines_and_leaves_nothing(house, words, what, do):
    before = tree(house.work)
    called = house("train", *words)
    lines = called.err.splitlines()
    assert called.code == 2, called
    assert 2 <= len(lines) <= 3 and lines[0].startswith("bmx: ") and lines[1].startswith("  where: "), called.err
    assert what in lines[0] and do in lines[-1], called.err
    assert tree(house.work) == before
    assert not house.ran and not house.checked


def test_the_same_words_are_fine_where_they_are_right(house):
    assert house("train", "model=cnn", "model.depth=3", "optim=adam", "+model.new=1", "++lr=2").code == 0
    assert house.ran[0][0].lr == 2


def test_where_is_the_argument_or_the_line_that_set_it(house):
    assert "the argument 'epochs=ten'" in house("train", "epochs=ten").err
    (house.conf / "experiment" / "slow.yaml").write_text("# @package _global_\n# Slow.\nepochs: ten\n")
    assert "experiment/slow.yaml, line 3" in house("train", "experiment=slow").err


def test_knobs_may_be_null_in_a_verb_that_takes_them_from_a_run(house):
    assert house("evaluate").code == 0
    assert house.ran[0][0].precision is None


def test_debug_adds_the_traceback(house):
    called = house("train", "lrr=3", "--debug")
    assert called.code == 2 and "Traceback" in called.err and "did you mean lr?" in called.err


KEYS = ["epochs", "batch_size", "precision", "model", "model.width", "model.dropout", "optim.momentum", "data.val_size"]


@given(st.sampled_from(KEYS), st.data())
def test_one_slip_of_the_finger_is_always_understood(key, data):
    place = data.draw(st.integers(0, len(key) - 2))
    slip = data.draw(st.sampled_from(["swap", "drop", "double"]))
    typed = {
        "swap": key[:place] + key[place + 1] + key[place] + key[place + 2 :],
        "drop": key[:place] + key[place + 1 :],
        "double": key[:place] + key[place] + key[place:],
    }[slip]
    assert key in nearest_keys(typed, KEYS)


@given(st.text(), st.lists(st.text()))
def test_only_what_exists_is_suggested(word, options):
    assert set(near(word, options)) <= set(options)
