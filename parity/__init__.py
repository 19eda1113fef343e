"""Trains TRL's ORPO trainer and ours on the same batches, and judges on evidence whether they are the same."""
