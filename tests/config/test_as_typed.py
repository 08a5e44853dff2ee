"""Errors name keys as they were typed, not as Hydra was given them."""

import pytest

from bmx.config.as_typed import retell
from bmx.config.overrides import rewrite_words
from bmx.config.verbs import VERBS
from bmx.errors import UsageError


@pytest.mark.parametrize(
    ("verb", "word", "said", "told"),
    [
        (
            "distill",
            "student.width=a",
            "model.width is no number; model=cnn",
            "student.width is no number; student=cnn",
        ),
        ("distill", "student=cnn", "model (bmx.models.cnn.CNN)", "student (bmx.models.cnn.CNN)"),
        ("distill", "student=cnnn", "did you mean model=cnn?", "did you mean student=cnn?"),
        ("distill", "+student.x=1", "the argument '+model.x=1'", "the argument '+student.x=1'"),
        ("distill", "teacher.x=1", "++teacher_fields.x", "++teacher.x"),
        ("sweep", "trials=a", "hydra.sweeper.trials=30", "trials=30"),
        (
            "sweep",
            "sweeper=tp",
            "hydra/sweeper=tpe in the group 'hydra/sweeper'",
            "sweeper=tpe in the group 'hydra/sweeper'",
        ),
        ("train", "model.x=1", "model.x in my_model.x and data.model.x", "model.x in my_model.x and data.model.x"),
        ("distill", "student.x=1", "my_model.x, data.model.x and model", "my_model.x, data.model.x and model"),
    ],
)
def test_keys_are_told_as_they_were_typed(verb, word, said, told):
    error = UsageError(said, said, said)
    retell(error, [word], rewrite_words([word], VERBS[verb]))
    assert (error.what, error.where, error.fix) == (told, told, told)


def test_a_mistyped_short_word_of_a_sweep_is_known(house):
    assert "did you mean trials?" in house("train", "-m", "trils=3", "lr=1,2").err
    assert "the argument 'sweeper=tp'" in house("train", "-m", "sweeper=tp", "lr=1,2").err
