"""The demo: a convolutional network trained on real images that come with the package."""
