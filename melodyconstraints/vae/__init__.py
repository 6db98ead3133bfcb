"""What the variational autoencoders of all domains share."""
