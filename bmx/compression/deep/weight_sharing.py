"""Weight sharing during fine-tuning: the weights of a cluster are one trained value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bmx.compression.deep.kmeans import kmeans
from bmx.compression.prune.fixed_masks import Masking


@dataclass(frozen=True)
class Clusters:
    """Cluster assignment of one parameter's entries; entries in no cluster are zero.

    Attributes:
        positions: (N,) of the entries in the flattened parameter.
        labels: (N,) the cluster of each, from 0 on.
        count: the number of clusters.
    """

    positions: Tensor
    labels: Tensor
    count: int

    def to(self, device: torch.device) -> Clusters:
        """A copy on another device."""
        return Clusters(self.positions.to(device), self.labels.to(device), self.count)

    def sums(self, tensor: Tensor) -> Tensor:
        """Sums of a tensor of the parameter's shape over the entries of each cluster: (count,) float64."""
        entries = tensor.flatten()[self.positions].double()
        return entries.new_zeros(self.count).index_add_(0, self.labels, entries)

    def sizes(self) -> Tensor:
        """The number of entries in each cluster."""
        return torch.bincount(self.labels, minlength=self.count)

    def spread(self, values: Tensor, like: Tensor) -> Tensor:
        """A tensor like ``like`` with ``values`` (count,) in the entries of their clusters, and zero elsewhere."""
        flat = torch.zeros_like(like, memory_format=torch.contiguous_format).flatten()
        flat[self.positions] = values.to(flat.dtype)[self.labels]
        return flat.view(like.shape)


class Sharing:
    """Prunes as :class:`Masking` does, then clusters the weights and fine-tunes the shared values (Han et al. 2016).

    From ``begin`` on, every parameter has one value for each of its clusters: the gradient of a value is the sum of
    those of the weights that share it, and after each step the weights of a cluster are equal again.

    Args:
        net: changed in place.
        masking: prunes it first.
        most: by parameter, the largest number of distinct values; zero not counted where a parameter is pruned.
        begin: fraction of the steps after which values are shared.
        gradient: ``sum``, as it is; ``mean``, which with plain SGD does not make large clusters run away.
    """

    def __init__(
        self, net: nn.Module, masking: Masking, most: Mapping[str, int], begin: float, gradient: str = "sum"
    ) -> None:
        self.net = net
        self.masking = masking
        self.most = dict(most)
        self.begin = begin
        self.gradient = gradient
        self.clusters: dict[str, Clusters] = {}

    @property
    def settled(self) -> bool:
        """Whether the net is pruned and its values are shared; an earlier net is not a valid result."""
        return bool(self.clusters)

    def after_step(self, step: int, steps: int) -> None:
        """Prunes, begins to share, or makes the weights of each cluster equal again."""
        if self.clusters:
            self._join()
            return
        self.masking.after_step(step, steps)
        if step >= self.begin * steps:
            self.share()

    def share(self) -> None:
        """Completes the pruning and clusters the weights of each parameter."""
        if not self.masking.settled:
            self.masking.prune(1.0)
        for name, parameter in self._parameters():
            flat = parameter.data.flatten()
            pruned = name in self.masking.names
            positions = flat.nonzero().flatten() if pruned else torch.arange(len(flat), device=flat.device)
            centroids, labels = kmeans(flat[positions], self.most[name])
            self.clusters[name] = Clusters(positions, labels, len(centroids))
            parameter.data.copy_(self.clusters[name].spread(centroids, parameter.data))
        self._watch_gradients()

    def _parameters(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, parameter) for name, parameter in self.net.named_parameters() if name in self.most]

    def _join(self) -> None:
        with torch.no_grad():
            for name, parameter in self._parameters():
                clusters = self._on(name, parameter)
                means = clusters.sums(parameter.data) / clusters.sizes()
                parameter.data.copy_(clusters.spread(means, parameter.data))

    def _watch_gradients(self) -> None:
        for name, parameter in self._parameters():
            # Accumulated gradients are added after the hook, which is linear, so accumulation gives the same result.
            parameter.register_hook(lambda gradient, name=name: self._shared(name, gradient))

    def _shared(self, name: str, gradient: Tensor) -> Tensor:
        clusters = self._on(name, gradient)
        sums = clusters.sums(gradient)
        return clusters.spread(sums if self.gradient == "sum" else sums / clusters.sizes(), gradient)

    def _on(self, name: str, tensor: Tensor) -> Clusters:
        clusters = self.clusters[name]
        if clusters.positions.device != tensor.device:
            clusters = self.clusters[name] = clusters.to(tensor.device)
        return clusters

    def state_dict(self) -> dict[str, Any]:
        """State of the masks, and the clusters."""
        clusters = {
            name: {"positions": c.positions.cpu(), "labels": c.labels.cpu(), "count": c.count}
            for name, c in self.clusters.items()
        }
        return {"masking": self.masking.state_dict(), "clusters": clusters}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state that ``state_dict`` returned."""
        self.masking.load_state_dict(state["masking"])
        watched = bool(self.clusters)
        self.clusters = {name: Clusters(**fields) for name, fields in state["clusters"].items()}
        if self.clusters and not watched:
            self._watch_gradients()
