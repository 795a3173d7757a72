"""Training of models on history, for `tocsin train`: read, cut into windows, fit, export as ONNX, verify, report."""
