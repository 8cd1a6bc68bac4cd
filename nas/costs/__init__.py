"""Parameters, multiply-adds, latency and memory of networks, and their expectation under the alphas."""
