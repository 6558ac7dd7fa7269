"""Tests of nnlite.training; a package, so that files of other folders may have the same names."""
