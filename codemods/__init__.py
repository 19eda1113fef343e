"""Source text in, source text out: moves a repository from TRL's ORPO to orpo-compat, and back.

Imports neither torch nor transformers nor the trainer, so that scanning a repository stays cheap.
"""
