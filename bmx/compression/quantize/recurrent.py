"""Recurrent layers with weights stored as int8."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from bmx.compression.quantize.layers import StoredWeights


class QuantizedRecurrent(nn.Module):
    """nn.LSTM, nn.GRU or nn.RNN with int8 weights; activations stay in floats.

    Each weight matrix has one step, as in onnxruntime's integer LSTM, which therefore computes with the same weights.

    Args:
        layer: the recurrent layer; its weights are rounded to the nearest integers.
        bits: 8, or 7 for integers within ±63.
    """

    def __init__(self, layer: nn.RNNBase, bits: int) -> None:
        super().__init__()
        self.bits = bits
        self.matrices = nn.ModuleDict()
        self.vectors = nn.ParameterDict()
        for name, parameter in layer.named_parameters():
            if parameter.dim() < 2:
                self.vectors[name] = nn.Parameter(parameter.detach().clone())
                continue
            whole = parameter.detach().flatten().unsqueeze(0)
            self.matrices[name] = StoredWeights.of(whole, bits, 0, torch.ones((), device=whole.device))
        # Only its settings are used: it must not be registered as a submodule, nor its weights as parameters.
        self._shapes = {name: parameter.shape for name, parameter in layer.named_parameters()}
        self._settings = (copy.deepcopy(layer).to("meta"),)

    @property
    def batch_first(self) -> bool:
        return self._settings[0].batch_first

    def finish(self) -> None:
        """Does nothing: these layers are not tuned."""

    def plain(self) -> nn.RNNBase:
        """The layer with its weights as floats."""
        layer = copy.deepcopy(self._settings[0])
        for name, tensor in self._tensors().items():
            setattr(layer, name, nn.Parameter(tensor.detach(), requires_grad=False))
        return layer.eval()

    def _tensors(self) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = dict(self.vectors.items())
        for name, stored in self.matrices.items():
            tensors[name] = stored().view(self._shapes[name])
        return tensors

    def forward(self, *inputs: Any) -> Any:
        settings = self._settings[0].train(self.training)
        return torch.func.functional_call(settings, self._tensors(), inputs)
