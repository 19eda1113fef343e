"""One arm of a comparison across environments: trains what a job says and writes down every number. A script, no test.

Runs under any TRL from 0.8 and any transformers from 4.40, so it uses nothing newer: ``python older_arm.py JOB``.
"""

import json
import sys
from pathlib import Path

import torch
from datasets import Dataset
from torch.optim.optimizer import register_optimizer_step_pre_hook
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedTokenizerFast


def make_model(job):
    """Draw the weights by parameter name, so that no library's own initialisation matters."""
    kind = dict(job["model"])
    config = AutoConfig.for_model(kind.pop("type"), **kind)
    family = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = family.from_config(config)
    for name, weight in sorted(model.named_parameters()):
        draw = torch.Generator().manual_seed(sum(map(ord, name)))
        with torch.no_grad():
            noise = torch.randn(weight.shape, generator=draw)
            weight.copy_(1.0 + 0.1 * noise if weight.ndim == 1 else 0.2 * noise)
    model.save_pretrained(job["folder"])


def load(job):
    config = AutoConfig.from_pretrained(job["folder"])
    for name, value in job.get("config", {}).items():
        setattr(config, name, value)
    family = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    return family.from_pretrained(job["folder"], config=config, torch_dtype=torch.float32, attn_implementation="eager")


def classes(name):
    if name == "ours":
        from orpo_compat import ORPOConfig, ORPOTrainer
    else:
        from trl import ORPOConfig, ORPOTrainer
    return ORPOConfig, ORPOTrainer


def build(job):
    config_class, trainer_class = classes(job["arm"])

    class InOrder(trainer_class):
        def _get_train_sampler(self, *_):
            return torch.utils.data.SequentialSampler(self.train_dataset)

        def get_decay_parameter_names(self, model):
            if not job.get("decay_norms"):
                return super().get_decay_parameter_names(model)
            return [name for name, _ in model.named_parameters() if "bias" not in name]

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=job["tokenizer"], pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
    tokenizer.chat_template = job["chat_template"]
    peft = None
    if job.get("lora"):
        from peft import LoraConfig

        peft = LoraConfig(**job["lora"])
    common = {
        "model": load(job),
        "args": config_class(output_dir=job["out"], **job["settings"]),
        "peft_config": peft,
        "train_dataset": Dataset.from_list(job["rows"]),
        "eval_dataset": Dataset.from_list(job["eval_rows"]),
    }
    try:
        return InOrder(processing_class=tokenizer, **common)
    except TypeError as error:
        if "processing_class" not in str(error):
            raise
        return InOrder(tokenizer=tokenizer, **common)


def main(job):
    trainer = build(job)
    for name, weight in sorted(trainer.model.named_parameters()):
        if "lora_" in name:
            draw = torch.Generator().manual_seed(sum(map(ord, name)))
            weight.data.copy_(0.1 * torch.randn(weight.shape, generator=draw))
    names = {id(weight): name for name, weight in trainer.model.named_parameters()}
    gradients = []

    def note(optimizer, *_):
        found = {}
        for group in optimizer.param_groups:
            found.update({names[id(p)]: p.grad.clone() for p in group["params"] if p.grad is not None})
        gradients.append(found)

    handle = register_optimizer_step_pre_hook(note)
    trainer.train()
    handle.remove()
    evaluation = trainer.evaluate()
    weights = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    trainer.model.save_pretrained(Path(job["out"]) / "trained")
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    torch.save({"logs": logs, "evaluation": evaluation, "gradients": gradients, "weights": weights}, job["result"])


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    make_model(given) if given["arm"] == "make" else main(given)
