"""Training with differential privacy: DP-SGD for our diffusion model and classifier, its account, its sittings."""
