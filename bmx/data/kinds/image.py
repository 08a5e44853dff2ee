"""Image data: (C, H, W), usually uint8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bmx.data.kinds.kind import Kind

if TYPE_CHECKING:
    from bmx.data.spec import DataSpec

# Luma weights of red, green and blue (ITU-R BT.601), as for the "L" images of Pillow.
_LUMA = (0.299, 0.587, 0.114)


class Image(Kind):
    axes = ("channel", "y", "x")
    samples = "images"
    values = "pixels"
    stored = torch.uint8
    channels_last = True

    def channels(self, spec: DataSpec) -> int:
        return spec.input_shape[0]

    def sizes(self, spec: DataSpec) -> dict[str, Any]:
        _, height, width = spec.input_shape
        size = height if height == width else (height, width)
        return {"image_size": size, "img_size": size}

    def as_stored(self, normal: Tensor) -> Tensor:
        return normal.mul(64).add(128).clamp(0, 255).to(torch.uint8)

    def shape_advice(self, have: tuple[int, ...], want: tuple[int, ...]) -> str:
        if len(have) == 2:
            return "add the channel: images.unsqueeze(1)"
        if len(have) == 3 and (have[2], *have[:2]) == want:
            return "put the channels first: images.permute(0, 3, 1, 2)"
        return super().shape_advice(have, want)

    def can_view(self, shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
        channels = {shape[0], wanted[0]}
        return len(channels) == 1 or channels == {1, 3}

    def view(self, raw: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Converts raw images (N, C, H, W) to another shape (C, H, W).

        One channel is repeated, three are reduced to their luma, and the size is changed by bilinear interpolation with
        antialiasing. The dtype stays unless values are computed, which makes it floating.
        """
        if raw.shape[1] != shape[0]:
            if raw.shape[1] == 1:
                raw = raw.expand(-1, shape[0], -1, -1)
            else:
                floating = raw if raw.is_floating_point() else raw.float()
                raw = (floating * floating.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
        if tuple(raw.shape[2:]) != shape[1:]:
            floating = raw if raw.is_floating_point() else raw.float()
            raw = F.interpolate(floating, size=shape[1:], mode="bilinear", antialias=True)
        return raw

    def show(self, raw: Tensor, spec: DataSpec) -> Any:
        if raw.dtype != torch.uint8:
            low, high = raw.min(), raw.max()
            raw = ((raw - low) / (high - low).clamp(min=1e-12) * 255).to(torch.uint8)
        return raw.permute(1, 2, 0).numpy()


KIND = Image()
