"""What torch writes: zip archives, the two older formats, TorchScript, exported programs, distributed checkpoints."""
