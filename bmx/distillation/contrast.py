"""Contrastive representation distillation (CRD) with a memory bank.

Tian, Krishnan & Isola 2020, "Contrastive Representation Distillation", https://arxiv.org/abs/1910.10699, with a memory
bank of all training samples (Wu et al. 2018) as in the authors' code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bmx.distillation.features import channels_first
from bmx.distillation.method import LayerMethod, Outputs, above_zero

# Added to the denominator, as in the authors' code.
_TINY = 1e-7


def contrast(likelihoods: Tensor, samples: int) -> Tensor:
    """Noise-contrastive estimation (NCE) loss: classifies pairs as one sample or as noise, drawn from all samples.

    The loss of Tian et al., equations 9 to 18, in nats, the mean over the batch.

    Args:
        likelihoods: (N, 1 + K), unnormalised: of the positive pair, then of K negatives.
        samples: M, the number of training samples, each of which the noise draws with probability 1 / M.
    """
    noise = (likelihoods.shape[1] - 1) / samples
    same = likelihoods[:, 0] / (likelihoods[:, 0] + noise + _TINY)
    other = noise / (likelihoods[:, 1:] + noise + _TINY)
    return -(same.log() + other.log().sum(1)).mean()


class Contrast(nn.Module):
    """CRD loss: projects features of both nets to unit vectors and keeps a memory bank of all training samples.

    Args:
        widths: channels of the student's feature and of the teacher's.
        targets: class numbers of the M training samples.
        dim: length of the vectors.
        negatives: K, number of samples of other classes that each sample is contrasted with.
        temperature: divides the cosines.
        momentum: weight of a stored vector against the sample's latest one.

    Raises:
        ValueError: all samples are of one class.
    """

    memories: Tensor
    scales: Tensor
    by_class: Tensor
    first: Tensor

    def __init__(
        self,
        widths: tuple[int, int],
        targets: Tensor,
        dim: int = 128,
        negatives: int = 4096,
        temperature: float = 0.1,
        momentum: float = 0.5,
    ) -> None:
        super().__init__()
        targets = targets.long()
        self.maps = nn.ModuleList(nn.Linear(width, dim) for width in widths)
        self.negatives, self.temperature, self.momentum = negatives, temperature, momentum
        bound = (3 / dim) ** 0.5
        counts = torch.bincount(targets)
        if int((counts > 0).sum()) < 2:
            raise ValueError("samples are told from those of other classes, and there is one class only")
        # One row a sample, of the student's vectors and of the teacher's; the scale of each is set by the first batch.
        self.register_buffer("memories", torch.rand(2, len(targets), dim) * 2 * bound - bound)
        self.register_buffer("scales", torch.zeros(2))
        # The samples sorted by class, and the offset of each class: they follow from the data, so no checkpoint has
        # them.
        self.register_buffer("by_class", targets.argsort(stable=True), persistent=False)
        self.register_buffer("first", F.pad(counts.cumsum(0), (1, 0)), persistent=False)
        # The last batch, with which the memory is updated once the gradients have been computed from its former state.
        self._latest: tuple[Tensor, list[Tensor]] | None = None
        self.register_state_dict_pre_hook(lambda *_: self.remember())  # type: ignore[no-untyped-call]

    def forward(self, student: Tensor, teacher: Tensor, rows: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch, the sum over both anchors, student and teacher; the memory is updated afterwards.

        Args:
            student: features (N, C, ...) of the student, averaged over their positions.
            teacher: likewise of the teacher.
            rows: (N,) indices of the samples.
            targets: (N,) their classes.
        """
        self.remember()
        vectors = [
            F.normalize(to_vector(_pooled(feature)), dim=1)
            for to_vector, feature in zip(self.maps, (student, teacher), strict=True)
        ]
        chosen = torch.cat([rows[:, None], self.draw(targets)], dim=1)
        total = student.new_zeros(())
        for i, vector in enumerate(vectors):
            # All cosines at once: one product is faster than gathering the stored vectors of each sample.
            cosines = vector @ self.memories[1 - i].T
            likelihoods = (cosines.gather(1, chosen) / self.temperature).exp()
            if not self.scales[i]:
                self.scales[i] = likelihoods.detach().mean() * len(self.by_class)
            total = total + contrast(likelihoods / self.scales[i].clone(), len(self.by_class))
        if torch.is_grad_enabled():
            self._latest = rows, [vector.detach() for vector in vectors]
        return total

    def draw(self, targets: Tensor) -> Tensor:
        """Draws indices (N, K) of samples of other classes than ``targets``, uniformly with replacement."""
        targets = targets.long()
        begin, end = self.first[targets], self.first[targets + 1]
        others = (len(self.by_class) - (end - begin))[:, None]
        # On the CPU, whose generator a checkpoint keeps.
        uniform = torch.rand(len(targets), self.negatives, dtype=torch.float64).to(targets.device)
        places = (uniform * others).long().minimum(others - 1)
        places += (end - begin)[:, None] * (places >= begin[:, None])
        return self.by_class[places]

    @torch.no_grad()
    def remember(self) -> None:
        """Updates the stored vectors of the last batch's samples by momentum, normalised to length 1."""
        if self._latest is None:
            return
        rows, vectors = self._latest
        self._latest = None
        for memory, vector in zip(self.memories, vectors, strict=True):
            mixed = self.momentum * memory[rows] + (1 - self.momentum) * vector
            memory[rows] = F.normalize(mixed, dim=1)


class CRD(LayerMethod):
    """Contrastive representation distillation; see :class:`Contrast`, which is trained with the student.

    Args:
        dim, negatives, temperature, momentum: see :class:`Contrast`.
    """

    needs_classes = True
    needs_rows = True

    def __init__(
        self,
        alpha: float = 1.0,
        weight: float | None = 0.8,
        dim: int = 128,
        negatives: int = 4096,
        temperature: float = 0.1,
        momentum: float = 0.5,
        student_layers: list[str] | None = None,
        teacher_layers: list[str] | None = None,
    ) -> None:
        super().__init__(alpha, weight, student_layers, teacher_layers)
        self.dim, self.negatives = int(above_zero("dim", dim)), int(above_zero("negatives", negatives))
        self.temperature, self.momentum = above_zero("temperature", temperature), float(momentum)
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be from 0 to below 1, got {momentum}")

    def learned_part(self, student: Tensor, teacher: Tensor, targets: Tensor) -> nn.Module | None:
        widths = (channels_first(student).shape[1], channels_first(teacher).shape[1])
        return Contrast(widths, targets, self.dim, self.negatives, self.temperature, self.momentum)

    def term(self, student: Outputs, teacher: Outputs, targets: Tensor, parts: Sequence[nn.Module] = ()) -> Tensor:
        total = student.logits.new_zeros(())
        for part, s, t in zip(parts, student.features, teacher.features, strict=True):
            total = total + part(s, t, student.rows, targets)
        return total


def _pooled(feature: Tensor) -> Tensor:
    """(N, C, ...) as (N, C): the mean over positions."""
    feature = channels_first(feature)
    return feature.mean(2) if feature.ndim == 3 else feature
