"""onnx: a graph of operations that onnxruntime and most other runtimes execute."""

from bmx.config.formats import Engine, Format

FORMAT = Format(
    place=10,
    suffix=".onnx",
    help="onnxruntime and most others read it",
    write="bmx.export.onnx_file:write",
    read="bmx.export.onnx_file:read",
    extra="onnx",
    check="bmx.export.onnx_rounding:require",
    engines={
        "onnx": Engine("bmx.export.onnx_engine:floats", "onnxruntime"),
        "onnx_int8": Engine("bmx.export.onnx_engine:int8", calibrated=True),
    },
    also=("onnxruntime", "ort"),
)
