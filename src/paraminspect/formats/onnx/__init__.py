"""ONNX files, whose messages are protobuf."""
