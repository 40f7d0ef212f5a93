"""What is done with any module of torch: copies, TorchScript."""
