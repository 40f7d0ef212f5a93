"""The C++ header against ONNX Runtime, libtorch and PyTorch, and against what the processor can do."""
