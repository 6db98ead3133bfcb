"""Parts that the variational autoencoders of all domains share."""
