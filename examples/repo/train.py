"""Train a small assistant on preference pairs: python train.py --steps 4"""

import argparse
from pathlib import Path

from assistant.callbacks import PrintMargin
from assistant.model import build_model, build_tokenizer
from datasets import load_dataset
from trl import ORPOConfig, ORPOTrainer

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--output", default="out")
    options = parser.parse_args()

    dataset = load_dataset("json", data_files=str(HERE / "data" / "pairs.jsonl"), split="train")
    tokenizer = build_tokenizer(dataset)
    config = ORPOConfig(
        output_dir=options.output,
        max_steps=options.steps,
        per_device_train_batch_size=4,
        learning_rate=5e-4,
        beta=0.1,
        max_length=256,
        max_prompt_length=128,
        evaluation_strategy="no",
        warmup_ratio=0.1,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        remove_unused_columns=False,
    )
    trainer = ORPOTrainer(
        model=build_model(len(tokenizer)),
        args=config,
        train_dataset=dataset,
        tokenizer=tokenizer,
        callbacks=[PrintMargin()],
    )
    trainer.train()


if __name__ == "__main__":
    main()
