"""Self-attention of torch with its projections as separate linear layers, whose heads can be narrower or fewer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bmx.compression.recipe import Step
from bmx.measure.meta_copy import no_fast_path


class SeparateAttention(nn.Module):
    """Equivalent of nn.MultiheadAttention for one tensor as query, key and value, with heads of any width.

    Attributes:
        qkv: to queries, keys and values, each (heads, width of a head).
        out: back to the width of the tokens.
        num_heads: the number of heads.
    """

    in_proj_bias = None  # disables the fused kernel of torch's encoder layer, which supports full heads only

    def __init__(self, of: nn.MultiheadAttention) -> None:
        super().__init__()
        weight, bias = of.in_proj_weight, of.in_proj_bias
        made = {"device": weight.device, "dtype": weight.dtype}
        self.num_heads, self.dropout, self.batch_first = of.num_heads, of.dropout, of.batch_first
        self.qkv = nn.Linear(of.embed_dim, 3 * of.embed_dim, bias=bias is not None, **made)
        self.out = nn.Linear(of.embed_dim, of.embed_dim, bias=of.out_proj.bias is not None, **made)
        self.qkv.weight, self.out.weight = weight, of.out_proj.weight
        if bias is not None:
            self.qkv.bias = bias
        if of.out_proj.bias is not None:
            self.out.bias = of.out_proj.bias
        self.train(of.training)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """See nn.MultiheadAttention; (N, T, width) or (T, N, width), with or without a batch.

        Raises:
            ValueError: query, key and value are not one tensor.
        """
        if key is not query or value is not query:
            raise ValueError("this attention was made for one tensor as query, key and value")
        batched = query.ndim == 3
        x = query if batched else query.unsqueeze(0)
        if batched and not self.batch_first:
            x = x.transpose(0, 1)
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        mask = self._mask(attn_mask, key_padding_mask, q)
        weights = None
        if need_weights:
            weights = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
            weights = (weights if mask is None else weights + mask).softmax(-1)
            weights = weights.mean(1) if average_attn_weights else weights
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        y = self.out(y.transpose(1, 2).flatten(2))
        if batched and not self.batch_first:
            y = y.transpose(0, 1)
        return (y if batched else y.squeeze(0)), weights if batched or weights is None else weights.squeeze(0)

    def _mask(self, mask: Tensor | None, padding: Tensor | None, q: Tensor) -> Tensor | None:
        """The additive attention mask from ``mask`` (T, T) or (N·heads, T, T) and ``padding`` (N, T)."""
        found = _additive(mask, q)
        if found is not None and found.ndim == 3:
            found = found.view(len(q), self.num_heads, *found.shape[1:])
        hidden = _additive(padding, q)
        if hidden is not None:
            hidden = hidden.view(-1, 1, 1, hidden.shape[-1])
            found = hidden if found is None else found + hidden
        return found


def _additive(mask: Tensor | None, q: Tensor) -> Tensor | None:
    if mask is None or mask.dtype != torch.bool:
        return mask if mask is None else mask.to(q.dtype)
    return torch.zeros(mask.shape, dtype=q.dtype, device=q.device).masked_fill(mask, float("-inf"))


def separable(net: nn.Module, inputs: Tensor) -> list[str]:
    """Paths of nn.MultiheadAttention layers whose query, key and value are one tensor in every call of ``net``."""
    alone: dict[str, bool] = {}

    def watch(path: str) -> object:
        def note(module: nn.Module, arguments: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
            given = [*arguments, *(named[name] for name in ("query", "key", "value") if name in named)][:3]
            alone[path] = alone.get(path, True) and all(each is given[0] for each in given)

        return note

    hooks = [
        module.register_forward_pre_hook(watch(path), with_kwargs=True)  # type: ignore[arg-type]
        for path, module in net.named_modules()
        if type(module) is nn.MultiheadAttention and _is_usual(module)
    ]
    try:
        with torch.no_grad(), no_fast_path():
            if hooks:
                net(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return [path for path, one in alone.items() if one]


def _is_usual(module: nn.MultiheadAttention) -> bool:
    return bool(module._qkv_same_embed_dim) and module.bias_k is None and not module.add_zero_attn


def separate(net: nn.Module, paths: Sequence[str]) -> nn.Module:
    """Replaces nn.MultiheadAttention by an equivalent :class:`SeparateAttention` at ``paths``; changes ``net``."""
    for path in paths:
        parent, _, name = path.rpartition(".")
        old = net.get_submodule(path)
        assert isinstance(old, nn.MultiheadAttention)
        setattr(net.get_submodule(parent), name, SeparateAttention(old))
    for module in net.modules():
        if isinstance(module, nn.TransformerEncoder) and any(
            isinstance(m, SeparateAttention) for m in module.modules()
        ):
            module.use_nested_tensor = False
    return net


def attention_step(paths: Sequence[str]) -> Step:
    """The recipe step that repeats :func:`separate`."""
    return {"kind": "attention", "modules": list(paths)}


def rebuild(net: nn.Module, step: Step) -> nn.Module:
    """Rebuilds a step of :func:`attention_step`."""
    return separate(net, step["modules"])
