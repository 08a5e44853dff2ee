"""safetensors: weights by name, without code."""

from bmx.config.formats import Format

FORMAT = Format(
    place=30,
    suffix=".safetensors",
    help="the weights, for bmx or your code",
    write="bmx.export.safetensors_file:write",
    read="bmx.export.safetensors_file:read",
    of_weights=True,
    extra="safetensors",
    idle={"tolerance": ("this format keeps the weights to the last bit", "format=pt2")},
)
