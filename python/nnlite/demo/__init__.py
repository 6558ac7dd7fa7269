"""The demo: a small convolutional network trained on real images, and a page about it."""

EPOCHS = 10
