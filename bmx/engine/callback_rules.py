"""Lightning callbacks and hooks that bmx does not support, with the reason and the alternative.

bmx steps the optimiser and sets its learning rate itself, shows its own progress, and tests the best model after the
fit without Lightning. Callbacks that rely on Lightning for one of these would silently do nothing, so they are
rejected.
"""

from __future__ import annotations

from pytorch_lightning.callbacks import (
    BaseFinetuning,
    BasePredictionWriter,
    BatchSizeFinder,
    Callback,
    GradientAccumulationScheduler,
    LearningRateFinder,
    ModelPruning,
    ProgressBar,
    StochasticWeightAveraging,
)

REFUSED: dict[type[Callback], tuple[str, str]] = {
    BaseFinetuning: (
        "it adds parameters to the optimiser during the run, whose groups and rates bmx sets from the start",
        "freeze layers in the model itself, and train all of it in a second run with init_from=latest",
    ),
    BasePredictionWriter: ("a run predicts nothing", "use bmx evaluate, or bmx.load(run) from Python"),
    BatchSizeFinder: ("it needs Lightning's own batches", "use batch_size=auto"),
    GradientAccumulationScheduler: (
        "it needs Lightning to step the optimiser",
        "use batch_size= for larger steps, and trainer.accumulate= where such a batch does not fit in memory",
    ),
    LearningRateFinder: ("it needs Lightning to step the optimiser", "use lr=auto"),
    ModelPruning: (
        "it puts masks into the model that no model file could be loaded with",
        "use compression=prune; with compress_when=during it prunes as it trains",
    ),
    ProgressBar: ("bmx shows its own progress", "leave it out; bmx train shows epochs, steps, rate and time left"),
    StochasticWeightAveraging: (
        "it sets the rate by a scheduler of Lightning's and adds an epoch, and bmx sets rate and epochs itself",
        "use pytorch_lightning.callbacks.WeightAveraging, which averages the weights of all steps, "
        "or EMAWeightAveraging",
    ),
}
"""Unsupported callback classes, including their subclasses: reason and alternative."""

STEP_HOOKS = (
    "on_train_batch_start",
    "on_train_batch_end",
    "on_validation_batch_start",
    "on_validation_batch_end",
)
"""Hooks that are called for single batches."""

OPTIMISER_HOOKS = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
"""Hooks within a step."""

_TEST = ("bmx tests the best model after the fit, without Lightning", "use on_fit_end, or bmx evaluate afterwards")
_PREDICT = ("a run predicts nothing", "use bmx evaluate, or bmx.load(run) from Python")
_SANITY = ("a run begins with training, not with a trial of the validation", "use on_fit_start or on_train_start")

_BATCH_AND_EPOCH = ("start", "end", "epoch_start", "epoch_end", "batch_start", "batch_end")

UNCALLED: dict[str, tuple[str, str]] = {
    **{f"on_test_{when}": _TEST for when in _BATCH_AND_EPOCH},
    **{f"on_predict_{when}": _PREDICT for when in _BATCH_AND_EPOCH},
    **{f"on_sanity_check_{when}": _SANITY for when in ("start", "end")},
}
"""Hooks that are never called in a run: reason and alternative."""
