"""Model export to ONNX, torch.export (pt2), safetensors and packed weights: writing, reading and verification."""
