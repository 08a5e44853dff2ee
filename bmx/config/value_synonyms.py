"""Synonyms of values and options in other programs: ``gpu`` for ``cuda``, ``fp16``, ``svd``, ``validation``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bmx.config.formats import formats

_NAMES: Mapping[str, str] = {
    # device
    "cuda": "gpu gpus nvidia cuda_0 gpu_0 rocm hip",
    "mps": "metal apple m1 m2 m3",
    # precision
    "32-true": "32 fp32 float32 float single full tf32 32_bit",
    "16-mixed": "16 fp16 float16 half amp mixed mixed_precision",
    "bf16-mixed": "bf16 bfloat16",
    "64-true": "64 fp64 float64 double",
    # optim
    "sgd": "momentum nesterov sgdm minibatch_gd",
    "gd": "gradient_descent batch_gd full_batch",
    # scheduler
    "constant": "none null off fixed flat no",
    "cosine": "cos cosine_annealing cosine_annealing_lr",
    "exponential": "exp exponential_lr exp_decay",
    "one_cycle": "onecycle one_cycle_lr 1cycle super_convergence",
    "plateau": "reduce_on_plateau reduce_lr_on_plateau on_plateau",
    "step": "step_lr steps",
    "multistep": "multi_step multi_step_lr milestones",
    # regularization, augmentation, criteria
    "none": "off no null disabled nothing",
    "l2": "ridge weight_decay wd",
    "l1": "lasso",
    "crop_flip": "flip hflip horizontal_flip crop random_crop standard",
    "jitter": "shift translate translation",
    "magnitude": "l1 l2 norm abs",
    "taylor": "gradient grad",
    # logger
    "tensorboard": "tb tensor_board",
    "wandb": "wb weights_and_biases weights_biases",
    # data
    "fashion_mnist": "fashion fmnist",
    "breast_cancer": "cancer",
    "language_id": "names language languages text",
    "synthetic": "fake dummy toy noise",
    # model
    "mlp": "dense fc fully_connected feed_forward ffn perceptron nn dnn",
    "cnn": "conv convnet conv_net",
    "linear": "logistic logreg logistic_regression linear_regression softmax",
    "transformer": "bert encoder attention",
    "vit": "vision_transformer",
    # compression
    "prune": "pruning sparsify sparse sparsity unstructured",
    "prune_structured": "structured structured_pruning channel_pruning filter_pruning channels",
    "low_rank": "svd lora factorize factorise factorization factorisation decompose decomposition tucker cp",
    "quantize": "quantise quantization quantisation int8 ptq qat 8bit",
    "quantize_weights": "int4 4bit weight_only gptq awq",
    "deep": "deep_compression clustering weight_sharing",
    "pipeline": "stages chain",
    # distillation
    "kd": "hinton soft soft_targets vanilla distill kl",
    "fitnet": "hint hints feature features",
    "attention": "at attention_transfer",
    "mse_logits": "mse l2",
    "patient": "pkd patient_kd",
    # sweeper, pruner
    "tpe": "bayes bayesian optuna hyperopt",
    "gp": "gaussian_process",
    "nsga2": "nsga genetic evolutionary",
    "grid": "grid_search exhaustive",
    "random": "random_search",
    "halving": "asha hyperband sha successive_halving",
    # engines; formats declare their own
    "eager": "torch pytorch",
    "compile": "inductor torch_compile",
    "onnx_int8": "int8",
    # the rest
    "val": "validation valid dev validate",
    "train": "training",
    "avg": "mean average",
    "mean": "avg average",
    "max": "maximum",
    "silu": "swish",
    "identity": "linear none",
    "continue": "ignore skip",
    "stop": "raise fail abort",
    "after": "post afterwards",
    "during": "while in_training",
    "auto": "default",
    "full": "all",
    "online": "true on",
    "disabled": "false off none",
}


def _bare(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())


_MEANT: dict[str, list[str]] = {}
for _ours, _theirs in _NAMES.items():
    for _name in _theirs.split():
        _found = _MEANT.setdefault(_bare(_name), [])
        _found += [] if _ours in _found else [_ours]


def meant_values(word: str, options: Iterable[str]) -> list[str]:
    """The options that ``word`` is a synonym of."""
    known, bare = list(options), _bare(word)
    of_formats = [name for name, row in formats().items() if bare in map(_bare, row.also)]
    return [option for option in [*_MEANT.get(bare, ()), *of_formats] if option in known]
