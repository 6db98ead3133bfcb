"""Images with labels: MNIST, CelebA, and folders of one's own."""
