import pytest

import bmx
from bmx.data.pipeline.shapes import known_spec
from bmx.engine.build import make_source

OFFLINE = ("mnist_5k", "digits", "synthetic")


@pytest.mark.parametrize("word", OFFLINE)
def test_what_is_known_is_what_is_loaded(word: str) -> None:
    group = bmx.compose("bench", ["model=linear", f"data={word}"]).data
    known, loaded = known_spec(str(group._target_), group), make_source(group).spec
    assert known is not None
    facts = ("name", "kind", "input_shape", "num_classes", "vocab_size")
    assert [getattr(known, fact) for fact in facts] == [getattr(loaded, fact) for fact in facts]


@pytest.mark.parametrize("word", ["mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100"])
def test_every_set_that_is_downloaded_is_known(word: str) -> None:
    group = bmx.compose("bench", ["model=linear", f"data={word}"]).data
    known = known_spec(str(group._target_), group)
    assert known is not None and known.name == word


def test_others_have_to_be_loaded() -> None:
    assert known_spec("my.own.data", {}) is None
