"""In memory: for tests, and for folds that nobody keeps."""
