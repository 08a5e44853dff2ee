"""A file of weights whose tensors are of another model than the one that it describes."""

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from bmx.errors import UsageError
from bmx.export import checksum, writing
from bmx.export.description import describe
from bmx.export.reading import load
from tests.export.conftest import Case


@pytest.mark.parametrize("change", ["left out", "one more"])
def test_tensors_of_another_model(images: Case, tmp_path: Path, change: str) -> None:
    from safetensors import safe_open

    file = tmp_path / "model.safetensors"
    description = describe(images.predictor, "inside", images.raw_dtype, {"parameters": 7, "macs": 11})
    writing.write("safetensors", images.predictor, description, file)
    whole = file.read_bytes()
    state = load_file(file)
    name = next(name for name in state if name.startswith("net."))
    tensor = state.pop(name) if change == "left out" else state[name].clone()
    if change == "one more":
        name = "net.extra"
        state[name] = tensor
    with safe_open(file, framework="pt") as opened:
        facts = {key: text for key, text in opened.metadata().items() if key != checksum.KEY}
    save_file(state, file, metadata={**facts, checksum.KEY: checksum.of_tensors(state, facts)})
    with pytest.raises(UsageError, match="the tensors are of another model") as refused:
        load(file)
    assert name in refused.value.what and refused.value.where == str(file) and "`bmx export`" in refused.value.fix
    file.write_bytes(whole)
    assert load(file)
