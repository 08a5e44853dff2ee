"""safetensors files: weights and a description of the model that bmx builds again to load them."""

from __future__ import annotations

from pathlib import Path

from bmx.compression.rebuild import rebuild
from bmx.engine.build import make_model
from bmx.engine.predictor import Predictor, lay_out
from bmx.engine.trust_check import judged
from bmx.errors import UsageError
from bmx.export import checksum
from bmx.export.description import BESIDE, INSIDE, Description


def write_weights(predictor: Predictor, path: Path, preprocessing: str, facts: dict[str, str]) -> None:
    """Writes the tensors of a predictor, and ``facts`` into the header.

    ``preprocessing=inside`` keeps its statistics as tensors, ``input_stage.*``; ``beside`` leaves them to the header.
    Those of regression targets, ``output_stage.*``, are treated likewise.
    Tensors that are shared are written once for each name.
    """
    from safetensors.torch import save_file

    state = {
        name: tensor.detach().cpu().clone().contiguous()
        for name, tensor in predictor.state_dict().items()
        if preprocessing == INSIDE or name.startswith("net.")
    }
    save_file(state, path, metadata={**facts, checksum.KEY: checksum.of_tensors(state, facts)})


def read_weights(path: Path) -> tuple[Predictor, Description]:
    """The predictor of a file that :func:`write_weights` wrote, in eval mode on the CPU, and what the file says of it.

    Raises:
        UsageError: it is no such file.
    """
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
        checksum.check_tensors(path, state, facts)
        description = Description.from_text(facts, path)
    except UsageError:
        raise
    except Exception as error:  # the reader is written in Rust and has one error for everything
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
        fix = "export one with `bmx export`"
        raise UsageError(f"this safetensors file cannot be read: {first}", str(path), fix) from error
    net = make_model(judged(description.config.model, "model", path), description.spec)
    net = rebuild(net, description.recipe, path)
    stage = description.input_stage()
    units = description.output_stage()
    predictor = Predictor(net, stage, description.spec, description.config, description.recipe, units)
    floating = next((t for t in state.values() if t.is_floating_point()), None)
    if floating is not None:
        predictor.to(floating.dtype)
    missing, unexpected = predictor.load_state_dict(state, strict=False)
    # The description holds the statistics too; of regression, files have them as tensors only since they are learned.
    held = ("input_stage.", "output_stage.") if description.preprocessing == BESIDE else ("output_stage.",)
    wrong = [name for name in [*missing, *unexpected] if not name.startswith(held)]
    if wrong:
        raise UsageError(
            f"the tensors are of another model: {wrong[0]}", str(path), "export it again with `bmx export`"
        )
    lay_out(net, description.config, description.spec)
    return predictor.eval(), description
