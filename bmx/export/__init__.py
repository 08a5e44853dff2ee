"""Files that other programs can load: ONNX, torch.export's pt2, safetensors; written, read back and compared."""
