"""Models and tokenizers: built from scratch, or loaded and checked."""
