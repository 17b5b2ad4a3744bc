"""What runs a trained network without PyTorch: ONNX Runtime, OpenVINO, TensorRT."""
