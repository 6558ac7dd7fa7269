"""Tests of nnlite.layers; a package, so that files of other folders may have the same names."""
