"""How a command line is split into flags and words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmx.config.flags import parse
from bmx.errors import UsageError

words = st.lists(st.sampled_from(["lr=0.1", "model=cnn", "+a.b=1", "~x", "name='a b'", "seed=0,1"]), max_size=4)
flags = st.sampled_from([["--cfg", "job"], ["--cfg=job"], ["-c", "job"]])
extra = st.lists(st.sampled_from([["--resolve"], ["-p", "optim"], ["--package=optim"]]), max_size=2)


@given(words, words, flags, extra)
def test_flags_may_stand_anywhere_and_words_keep_their_order(before, after, flag, more):
    command = parse("train", [*before, *flag, *after, *(part for flag in more for part in flag)])
    assert command.words == before + after
    assert command.flags["--cfg"] == "job"
    assert command.for_hydra()[0] == "--cfg=job"
    assert command.for_hydra()[-len(command.words) :] == command.words or not command.words
    assert not command.runs


def test_info_takes_a_word_only_if_it_is_one_of_its_own():
    assert parse("train", ["--info", "model=cnn"]).flags["--info"] == "all"
    assert parse("train", ["--info", "model=cnn"]).words == ["model=cnn"]
    assert parse("train", ["-i", "searchpath", "lr=1"]).flags["--info"] == "searchpath"


def test_implied_flags_give_way_to_another_mode():
    assert parse("sweep", ["lr=1,2"], ("--multirun",)).on("--multirun")
    assert not parse("sweep", ["--cfg", "job"], ("--multirun",)).on("--multirun")
    assert not parse("sweep", ["--help"], ("--multirun",)).on("--multirun")


@pytest.mark.parametrize(
    ("arguments", "what", "do"),
    [
        (["--mutlirun"], "no flag '--mutlirun'", "--multirun"),
        (["--cfg", "jobs"], "--cfg does not know 'jobs'", "job"),
        (["--cfg=jbo"], "--cfg does not know 'jbo'", "job"),
        (["--cfg"], "--cfg has no value", "job, hydra, all"),
        (["--cfg", "-m"], "--cfg has no value", "job"),
        (["--info", "searchpth"], "--info does not know", "searchpath"),
        (["--multirun=3"], "takes no value", "write --multirun"),
        (["-m", "--cfg", "job"], "exclude each other", "--cfg"),
        (["--resolve"], "--resolve says how --cfg prints", "--cfg job"),
        (["--config-dir", "/no/such/folder"], "no folder '/no/such/folder'", "a folder that exists"),
        (["lr="], "lr has no value", "write lr=VALUE, such as lr=0.01"),
        (["+lr="], "lr has no value", "write lr=VALUE, such as lr=0.01"),
    ],
)
def test_wrong_flags_and_empty_words(arguments, what, do):
    with pytest.raises(UsageError) as caught:
        parse("train", arguments)
    assert what in caught.value.what and do in caught.value.fix and caught.value.where
