"""Attention against torch's own, and what the encoders draw and pool."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bmx.models.layers.attention import Attention
from bmx.models.layers.encoder import EncoderBlock
from bmx.models.transformer import Transformer
from bmx.models.vit import ViT

VIT = {"input_shape": (1, 8, 8), "num_classes": 3, "patch_size": 4, "width": 16, "heads": 2}


@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_that_of_torch(masked):
    torch.manual_seed(0)
    attention, reference = Attention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    reference.in_proj_weight.data, reference.in_proj_bias.data = attention.qkv.weight.data, attention.qkv.bias.data
    reference.out_proj.weight.data, reference.out_proj.bias.data = attention.out.weight.data, attention.out.bias.data
    x = torch.randn(2, 5, 12)
    keep = torch.tensor([[True] * 5, [True, True, False, True, False]]) if masked else torch.ones(2, 5).bool()
    expected, _ = reference(x, x, x, key_padding_mask=~keep, need_weights=False)
    actual = attention(x, keep[:, None, None, :] if masked else None)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_attention_follows_narrower_linear_layers():
    attention = Attention(12, 3)
    attention.qkv, attention.out = nn.Linear(12, 3 * 6), nn.Linear(6, 12)
    assert attention(torch.randn(2, 5, 12)).shape == (2, 5, 12)


def test_attention_drops_only_while_training():
    attention, x = Attention(12, 3, dropout=0.5), torch.randn(2, 5, 12)
    assert torch.equal(attention.eval()(x), attention(x))
    assert not torch.equal(attention.train()(x), attention(x))


def test_a_block_is_the_pre_norm_residual_of_torch():
    torch.manual_seed(0)
    block = EncoderBlock(width=12, heads=3, mlp_width=24, activation="gelu", dropout=0.0)
    reference = nn.TransformerEncoderLayer(12, 3, 24, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
    names = {"self_attn.in_proj_": "attention.qkv.", "self_attn.out_proj.": "attention.out."}
    names |= {"linear1.": "mlp.linear1.", "linear2.": "mlp.linear2."}
    state = block.state_dict()
    for theirs, ours in names.items():
        for kind in ("weight", "bias"):
            state[theirs + kind] = state.pop(ours + kind)
    reference.load_state_dict(state)
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(block(x), reference(x), rtol=1e-4, atol=1e-5)


def test_a_vit_starts_from_the_cut_normal():
    model = ViT((1, 28, 28), 10)
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.1), name
            assert not isinstance(module, nn.Linear) or not module.bias.any(), name
    assert model.position.std().item() == pytest.approx(0.02, rel=0.1)
    assert 0.01 < model.cls.std().item() < 0.03


def test_a_token_starts_with_features_of_deviation_one():
    """Small embeddings leave the positions to dominate, and the transformer learns names several points worse."""
    assert Transformer(100, 50, 10).embedding.weight.std().item() == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize(
    ("pooling", "read"), [("cls", lambda tokens: tokens[:, 0]), ("mean", lambda tokens: tokens.mean(1))]
)
def test_the_head_of_a_vit_reads_the_pooled_tokens(pooling, read):
    model, seen = ViT(**VIT, pooling=pooling).eval(), {}
    model.encoder.register_forward_hook(lambda _, __, out: seen.update(encoded=out))
    logits = model(torch.randn(2, 1, 8, 8))
    assert seen["encoded"].shape == (2, 4 + (pooling == "cls"), 16)
    torch.testing.assert_close(logits, model.head(model.norm(read(seen["encoded"]))))
