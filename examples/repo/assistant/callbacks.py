from transformers import TrainerCallback
from trl import (
    ModelConfig,
    ORPOConfig,  # only for the annotation
)


class PrintMargin(TrainerCallback):
    """Print the reward margin at every log."""

    def on_log(self, args: ORPOConfig, state, control, logs=None, **kwargs):
        if "rewards/margins" in logs:
            print(f"step {state.global_step}: loss {float(logs['loss']):.4f}, margin {float(logs['rewards/margins']):+.5f}")


def describe(model_args: ModelConfig) -> str:
    return str(model_args.model_name_or_path)
