"""The core: latent constraints for any generative model. It knows z, a decoder and a reward."""
