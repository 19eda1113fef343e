from .registry import TRAINERS

__all__ = ["TRAINERS"]
