"""Pads never influence the transformer, and order does."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bmx.models.transformer import POOLINGS, STEMS, Transformer

VOCABULARY, LONGEST = 11, 16
KINDS = [(stem, pooling) for stem in STEMS for pooling in POOLINGS]


def make(stem: str, pooling: str, pad_id: int = 0) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(VOCABULARY, LONGEST, 4, pad_id, width=16, heads=2, stem=stem, pooling=pooling)
    with torch.no_grad():  # Weights large enough that a leak would show.
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return model.eval()


MODELS = {(kind, pad): make(*kind, pad) for kind in KINDS for pad in (0, 7)}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KINDS), st.sampled_from([0, 7]), st.data())
def test_the_amount_of_padding_does_not_matter(kind, pad, data):
    model = MODELS[kind, pad]
    symbols = st.sampled_from([i for i in range(VOCABULARY) if i != pad])
    words = data.draw(st.lists(st.lists(symbols, max_size=LONGEST), min_size=1, max_size=4))
    together = torch.full((len(words), LONGEST), pad)
    for row, word in zip(together, words, strict=True):
        row[: len(word)] = torch.tensor(word, dtype=torch.int64)
    alone = torch.cat([model(torch.tensor([word or [pad]])) for word in words])
    logits = model(together)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits, alone, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_embedding_of_the_pad_is_never_read(kind):
    model = make(*kind)
    tokens = torch.tensor([[3, 4, 5, 0, 0], [1, 0, 0, 0, 0]])
    before = model(tokens)
    with torch.no_grad():
        model.embedding.weight[0] = 1000.0
    torch.testing.assert_close(model(tokens), before, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_finite_for_an_empty_sequence(kind):
    model = make(*kind).train()
    model(torch.zeros(2, 5, dtype=torch.int64)).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_tokens_matters(kind):
    model = make(*kind)
    assert not torch.allclose(model(torch.tensor([[1, 2, 3]])), model(torch.tensor([[3, 2, 1]])), atol=1e-3)


def test_refuses_what_is_not_a_sequence_it_can_read():
    with pytest.raises(ValueError, match="no vocabulary"):
        Transformer(vocab_size=0, max_length=0, num_classes=10)
    with pytest.raises(ValueError, match="stem='konv' is not known: did you mean 'conv'"):
        Transformer(10, 10, 3, stem="konv")
    with pytest.raises(ValueError, match="17 tokens"):
        make("conv", "max")(torch.ones(1, 17, dtype=torch.int64))
