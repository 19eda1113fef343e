"""One shape of source, one file, one test file of the same stem."""
