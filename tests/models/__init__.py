"""Tests of nnlite.models; a package, so that files of other folders may have the same names."""
