"""From words to points, jobs and their identity."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmx.config.compose import compose, hydra_config
from bmx.config.many import Composer
from bmx.config.search_path import make_loader
from bmx.errors import UsageError
from bmx.sweep import directory
from bmx.sweep.config_hash import digest, job_key
from bmx.sweep.grid import points, take_apart
from bmx.sweep.objective import AUTO, Objective, parse
from bmx.sweep.search.space import corners, make_space
from bmx.sweep.workers.duration import seconds
from bmx.sweep.workers.resources import slots
from tests.sweep.sweep_jobs import TINY


@pytest.fixture(scope="module")
def composer():
    return Composer(make_loader("train"), "train")


def apart(composer, *words, **more):
    return take_apart([composer.parse(word) for word in words], **more)


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("lr=0.1,0.01", ["0.1", "0.01"]),
        ("epochs=range(1,4)", ["1", "2", "3"]),
        ("epochs=choice(3,5)", ["3", "5"]),
        ("model=lenet5,linear", ["lenet5", "linear"]),
        ("optim=glob(ad*)", ["adam", "adamw"]),
        ("lr=0.1,1e-1,0.1", ["0.1"]),
        ("+trainer.x='a,b','c'", ["'a,b'", "'c'"]),
    ],
)
def test_every_form_of_hydras_sweeps(composer, word, values):
    found = [next(iter(point.values())) for point in points(apart(composer, word))]
    assert found == values


def test_the_last_key_changes_fastest(composer):
    found = points(apart(composer, "lr=1,2", "epochs=3,4"))
    assert found == [{"lr": a, "epochs": b} for a in "12" for b in "34"]


def test_seeds(composer):
    assert apart(composer, "lr=1,2", seeds=3).seeds == (0, 1, 2)
    assert apart(composer, "lr=1,2", seeds=[7, 3]).seeds == (7, 3)
    assert apart(composer, "seed=range(2)").seeds == (0, 1)
    words = apart(composer, "seed=4,5", "lr=1,2")
    assert words.seeds == (4, 5) and [o.key_or_group for o in words.swept] == ["lr"]
    for wrong in (0, -1, True, "two", ["a"]):
        with pytest.raises(UsageError):
            apart(composer, "lr=1,2", seeds=wrong)
    with pytest.raises(UsageError, match="exclude"):
        apart(composer, "seed=1,2", seeds=2)


def test_words_of_every_job_give_way_to_the_commands_own(composer):
    assert apart(composer, "lr=1", defaults=("plots=false",)).defaults == ("plots=false",)
    assert apart(composer, "plots=true", defaults=("plots=false",)).defaults == ()


@pytest.mark.parametrize(
    "words",
    [
        ["lr=0.5"],
        ["optim=adam", "lr=0.5", "optim.betas=[0.5,0.9]"],
        ["experiment=lenet5_mnist", "epochs=3"],
        ["model=cnn", "model.depth=3", "data=digits"],
        ["+optim.dampening=0.1", "~optim.weight_decay"],
        ["model=linear", "regularization=dropout", "name=mine"],
    ],
)
def test_quick_composing_is_hydras(composer, words):
    with hydra_config(composer.base(words)):
        quick = composer.compose(words)
        assert job_key("train", quick) == job_key("train", compose("train", words))


def test_a_job_is_its_content(composer):
    def key(*words, verb="train"):
        with hydra_config(composer.base(words)):
            return job_key(verb, composer.compose(words))

    same = [["lr=0.01"], ["lr=1e-2"], [], ["optim=sgd"], ["name=mine", "outputs=there", "plots=false"], ["seed=0"]]
    assert len({key(*words) for words in same}) == 1
    others = [["lr=0.02"], ["seed=1"], ["optim=adam", "lr=0.01"], ["data.val_size=0.2"], ["regularization.l2=1"]]
    assert len({key(*words) for words in [[], *others]}) == len(others) + 1
    assert key() != key(verb="distill")


@given(st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False) | st.text() | st.none()))
def test_a_digest_does_not_see_the_order_of_keys(value):
    assert digest(value) == digest(dict(reversed(value.items())))
    assert digest([value, 1]) == digest([value, 1.0])


def test_the_same_sweep_is_found_again(tmp_path):
    made, found = directory.find_or_make(tmp_path, "a", "one")
    assert not found and directory.find_or_make(tmp_path, "other name", "one") == (made, True)
    assert directory.find_or_make(tmp_path, "a", "two")[0] != made
    fresh, found = directory.find_or_make(tmp_path, "a", "one", fresh=True)
    assert not found and directory.find_or_make(tmp_path, "a", "one")[0] == fresh


def test_times():
    assert [seconds(text, "timeout") for text in (90, "30s", "10min", "1.5h", None)] == [90, 30, 600, 5400, None]
    for wrong in ("abc", 0, -3, True, "5x"):
        with pytest.raises(UsageError):
            seconds(wrong, "timeout")


def test_objectives():
    assert parse("auto") == ([AUTO], [])
    assert parse(["accuracy", "macs"]) == ([Objective("val/accuracy", True), Objective("cost/macs", False)], [])
    assert parse("min:val/oddity") == ([Objective("val/oddity", False)], [])
    found = parse(["macs", "accuracy:0.97", "min:cost/bytes:2e4"])
    assert found == (
        [Objective("cost/macs", False)],
        [Objective("val/accuracy", True, 0.97), Objective("cost/bytes", False, 2e4)],
    )
    assert found[1][0].excess(0.97) == 0 and found[1][0].excess(0.873) == pytest.approx(0.1)
    assert found[1][1].excess(2.2e4) == pytest.approx(0.1) and found[1][1].excess(1e4) < 0
    for wrong in (
        "accuracy:0.9",
        ["macs", "accuracy:nan"],
        ["macs", "test/accuracy:0.9"],
        ["lr", ":3"],
        "test/accuracy",
        "test/loss",
        "val/oddity",
        ["auto", "macs"],
        ["macs", "cost/macs"],
        "up:val/loss",
    ):
        with pytest.raises(UsageError):
            parse(wrong)


def test_places(monkeypatch):
    from bmx.sweep.workers import resources

    monkeypatch.setattr(resources, "cores", lambda: 8)
    monkeypatch.setattr(resources, "memory", lambda: 64 << 30)
    monkeypatch.setattr(resources, "gpus", list)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [(len(slots(jobs)), slots(jobs)[0].threads) for jobs in ("auto", 2, 20)] == [(8, 1), (2, 4), (20, 1)]
    for asked, threads in (("1", 1), ("3,2", 3), ("99", 4), ("0", 4), ("many", 4)):
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        assert slots(2)[0].threads == threads
    monkeypatch.setattr(resources, "memory", lambda: 2 << 30)
    assert len(slots("auto")) == 2
    monkeypatch.setattr(resources, "memory", lambda: 64 << 30)
    monkeypatch.setattr(resources, "gpus", lambda: ["0", "3"])
    assert [slot.env for slot in slots("auto")] == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "3"}]
    assert len(slots("auto", per_gpu=2)) == 4 and slots("auto", device="cpu")[0].gpu is None
    for wrong in (0, -1, "many", 1.5, True):
        with pytest.raises(UsageError):
            slots(wrong)


def test_a_space(composer):
    words = apart(composer, "optim=sgd,adam", "model=cnn", "model.depth=range(1,6)", "lr=tag(log,interval(1e-3,1))")
    space = make_space(words, composer, "optim")
    kinds = {one.key: (one.choices, one.low, one.high, one.whole, one.log) for one in space.dimensions}
    assert kinds["optim"][0] == ("sgd", "adam")
    assert kinds["model.depth"] == ((), 1, 5, True, False)
    assert kinds["lr"] == ((), 1e-3, 1, False, True)
    momentum = space.conditional[("optim", "sgd")]
    assert [one.key for one in momentum] == ["optim.momentum"], "lr is the command line's own"
    assert space.conditional[("optim", "adam")] == ()
    assert all("optim.momentum" not in point for point in corners(space) if point["optim"] == "adam")
    assert {point["model.depth"] for point in corners(space)} == set("12345")
    smaller = space.without({"model.depth": ["4", "5"], "optim": ["adam"]})
    assert [(one.choices, one.high) for one in smaller.dimensions[:2]] == [(("sgd",), 0.0), ((), 3)]


@pytest.mark.parametrize(
    "words",
    [["lr=0.1"], ["lr=interval(1,1)"], ["lr=tag(log,interval(0,1))"], ["epochs=range(3,3)"], ["lr=interval(2,1)"]],
)
def test_spaces_that_are_none(composer, words):
    with pytest.raises(UsageError):
        make_space(apart(composer, *words), composer)


def test_every_file_of_search_space_fits_its_word(composer):
    from pathlib import Path

    from bmx.config.search_path import conf_dir

    files = sorted((Path(conf_dir()) / "space").glob("*/*.yaml"))
    assert files
    for file in files:
        group, word = file.parent.name, file.stem
        space = make_space(apart(composer, f"{group}={word}"), composer, group)
        for point in corners(space):
            composer.compose([*TINY, f"{group}={word}", *(f"{k}={v}" for k, v in point.items())])
