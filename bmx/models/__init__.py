"""Architectures as plain ``nn.Module``s; each takes the data's shape and returns logits (N, num_classes), no softmax.

Every model of bmx's own ends in ``head``, an ``nn.Linear``, which transfer replaces and compression leaves whole.
"""
