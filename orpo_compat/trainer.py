"""ORPOTrainer: TRL's constructor, hooks and numbers on a plain ``transformers.Trainer``.

This file is wiring: it prepares model and data, decides which path a step takes, and keeps the metrics. The terms
are in ``loss``, the padded hooks in ``padded``, evaluation in ``evaluation``.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import transformers
from packaging.version import Version
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

from orpo_compat import construction
from orpo_compat.accepted_data import accepted
from orpo_compat.checkpoint_saving import WholeCheckpoints
from orpo_compat.config import ORPOConfig
from orpo_compat.embedding_limits import explained_lookups
from orpo_compat.evaluation import EvaluationHooks
from orpo_compat.guard import NonFiniteWatch, finite_pairs
from orpo_compat.metrics import RunningMeans
from orpo_compat.model_card import ModelCards
from orpo_compat.normalization import Window, micro_batch_loss, nll_token_count
from orpo_compat.packed_steps import PADDED_HOOKS, WHOLE_BATCH_HOOKS, PackedSteps
from orpo_compat.padded import Batch, PaddedHooks, TrainEval, mean_logit
from orpo_compat.preparation import prepare_model
from orpo_compat.preprocessing import DataReport, Preprocessor
from orpo_compat.schedules import scheduled_beta
from orpo_compat.skipping import SkipsBrokenPairs
from orpo_compat.terms import PairTerms
from orpo_compat.tokenization import TokenizationRules, join_answers, only_row, tokenize_pairs
from orpo_compat.wide_products import wide_linears

logger = logging.getLogger(__name__)

MetricsFn = Callable[[dict[str, Tensor]], Mapping[str, Any]]


class ORPOTrainer(PaddedHooks, PackedSteps, SkipsBrokenPairs, EvaluationHooks, ModelCards, WholeCheckpoints, Trainer):
    """Trains a model on preference pairs with odds ratio preference optimization (arXiv:2403.07691).

    The signature, the hooks, the logged metrics and the numbers are those of TRL 1.16's
    ``trl.experimental.orpo.ORPOTrainer``; what differs on purpose is listed in ``docs/differences.md``.

    Args:
        model: A model, or the folder or hub name of one; may be left out if ``model_init`` is given.
        args: An ``ORPOConfig``; a plain ``TrainingArguments`` is completed with ORPO's defaults.
        data_collator: Replaces ``PreferenceCollator``.
        train_dataset: Rows with ``chosen`` and ``rejected`` (text or messages), with or without ``prompt``; or
            pre-tokenized. A ``Dataset`` or an ``IterableDataset``.
        eval_dataset: The same, or a dict of them, each logged under its own name.
        processing_class: The tokenizer, or a processor that holds one; read from the model's name if left out.
        model_init: Builds the model afresh for every trial of a hyperparameter search.
        callbacks: Further ``TrainerCallback`` objects.
        optimizers: An optimizer and a scheduler of your own.
        preprocess_logits_for_metrics: See ``transformers.Trainer``.
        peft_config: Trains an adapter instead of the model.
        compute_metrics: Gets every evaluated pair's rewards: predictions ``(N, 2)``, chosen then rejected.
        tokenizer: The same as ``processing_class`` (TRL up to 0.14).
        arguments: The same as ``args`` (EasyDeL).
        ref_model: Accepted only as ``None``: ORPO has no reference model.
        metrics_fn: Gets each batch's per-pair tensors and metrics, returns further scalars to log.

    Raises:
        TypeError: an argument given twice under two names, or of a wrong kind.
        ValueError: arguments that contradict one another.
    """

    # The loss of a micro-batch is a mean over that micro-batch, so the Trainer divides by the accumulation steps.
    loss_is_scaled_for_ga = False

    _tag_names = ("orpo-compat", "orpo")

    # What a class needs that inherits the steps but deletes or skips this __init__, as ms-swift does.
    metrics_fn: MetricsFn | None = None
    _needs_autocast = False
    _window: Window | None = None
    _pairs: Mapping[str, Tensor] = MappingProxyType({})

    @cached_property
    def _means(self) -> defaultdict[str, RunningMeans]:
        return defaultdict(RunningMeans)

    @cached_property
    def _watch(self) -> NonFiniteWatch:
        return NonFiniteWatch()

    @construction.advises_on_keywords
    def __init__(
        self,
        model: nn.Module | str | None = None,
        args: TrainingArguments | None = None,
        data_collator: Callable[..., Any] | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        model_init: Callable[..., nn.Module] | None = None,
        callbacks: list[TrainerCallback] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
        preprocess_logits_for_metrics: Callable[[Tensor, Tensor], Tensor] | None = None,
        peft_config: Any = None,
        compute_metrics: Callable[..., dict[str, Any]] | None = None,
        *,
        tokenizer: Any = None,
        arguments: TrainingArguments | None = None,
        ref_model: None = None,
        metrics_fn: MetricsFn | None = None,
    ) -> None:
        construction.refuse_reference_model(ref_model)
        config = construction.resolve_args(construction.one_of("args", args, "arguments", arguments))
        processing_class = construction.one_of("processing_class", processing_class, "tokenizer", tokenizer)
        # PEFT initialises adapters at random, and the numbers must not depend on the caller's generator state.
        set_seed(config.seed)
        prepared, prepared_init = self._prepare_models(model, model_init, config, peft_config)
        reference = prepared if prepared is not None else prepared_init.probe()
        self._adopt_settings(config, reference, construction.resolve_tokenizer(processing_class, reference, config))
        self.metrics_fn = metrics_fn
        self.use_dpo_data_collator = data_collator is None
        if data_collator is None:
            data_collator = construction.default_collator(
                config,
                pad_token_id=self.padding_value,
                is_encoder_decoder=self.is_encoder_decoder,
                max_length=self.max_length,
            )
        super().__init__(
            model=prepared,
            args=config,
            data_collator=data_collator,
            train_dataset=self._preprocess(train_dataset, "train", config),
            eval_dataset=self._preprocess(eval_dataset, "eval", config),
            processing_class=self.processing_class,
            model_init=prepared_init,
            callbacks=callbacks,
            optimizers=optimizers,
            preprocess_logits_for_metrics=preprocess_logits_for_metrics,
            compute_metrics=compute_metrics,
        )
        self.loss_is_scaled_for_ga = config.loss_normalization == "global"
        if Version(transformers.__version__) < Version("5.19.0"):
            # Older Trainers read these two instead of `loss_is_scaled_for_ga`.
            self.model_accepts_loss_kwargs = False
            self.compute_loss_func = self.compute_loss if self.loss_is_scaled_for_ga else None
            if self.loss_is_scaled_for_ga:
                # Some (5.3 is one) have accelerate divide by the accumulation steps, too.
                self.accelerator.gradient_accumulation_steps = 1
        add_tags = getattr(self.model, "add_model_tags", None)
        if callable(add_tags):
            add_tags(list(self._tag_names))
        if self.data_report.counts:
            level = logging.WARNING if self.data_report.touched else logging.INFO
            logger.log(level, "orpo-compat read %s", self.data_report)

    def _prepare_models(
        self, model: nn.Module | str | None, model_init: Any, config: ORPOConfig, peft_config: Any
    ) -> tuple[nn.Module | None, Any]:
        """Return the model ready to train, or a ``model_init`` that returns such models."""

        def prepare(raw: nn.Module | str) -> nn.Module:
            ready, self._needs_autocast = prepare_model(raw, config, peft_config)
            return ready

        if model is not None and model_init is not None:
            raise ValueError("both model and model_init are given; pass one of them")
        if model is not None:
            return prepare(model), None
        if model_init is None:
            raise ValueError("neither model nor model_init is given; pass a model, its folder or hub name")
        return None, construction.PreparedInit(model_init, prepare)

    def _adopt_settings(self, config: ORPOConfig, model: nn.Module, tokenizer: Any) -> None:
        """Set the attributes that TRL's trainer has and subclasses read."""
        model_config = construction.text_config(model)
        self.processing_class = tokenizer
        self.is_encoder_decoder = bool(getattr(model_config, "is_encoder_decoder", config.is_encoder_decoder))
        self.decoder_start_token_id = getattr(model_config, "decoder_start_token_id", None)
        self.pad_token_id = getattr(model_config, "pad_token_id", None)
        self.max_length = config.max_length if config.max_length is not None else 512
        self.max_prompt_length = config.max_prompt_length
        self.truncation_mode = config.truncation_mode or "keep_end"
        self.max_completion_length = construction.completion_length(config, self.is_encoder_decoder)
        self.label_pad_token_id = config.label_pad_token_id
        self.padding_value = construction.padding_value(config, tokenizer)
        self.beta = config.beta
        self.generate_during_eval = config.generate_during_eval
        self.aux_loss_enabled = bool(getattr(model_config, "output_router_logits", False))
        self.aux_loss_coef = float(getattr(model_config, "router_aux_loss_coef", 0.0))
        self.data_report = DataReport()
        if self.aux_loss_enabled and self.aux_loss_coef == 0.0:
            logger.warning(
                "the model computes its router's auxiliary loss (output_router_logits=True) but "
                "router_aux_loss_coef is 0, so it changes nothing; set the one or unset the other."
            )

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, under its name in TRL up to 0.11."""
        return self.processing_class

    @property
    def tokenization_rules(self) -> TokenizationRules:
        """What the token ids of this trainer's rows depend on, besides the tokenizer."""
        return TokenizationRules(
            max_length=self.max_length,
            max_prompt_length=self.max_prompt_length,
            truncation_mode=self.truncation_mode,
            max_completion_length=self.max_completion_length,
            label_pad_token_id=self.label_pad_token_id,
            is_encoder_decoder=self.is_encoder_decoder,
        )

    def _preprocess(self, data: Any, name: str, config: ORPOConfig) -> Any:
        own_rows = overrides(self, "tokenize_row") or overrides(self, "build_tokenized_answer")
        grouped = getattr(config, "train_sampling_strategy", "") == "group_by_length"
        preprocess = Preprocessor(
            tokenizer=construction.text_tokenizer(self.processing_class),
            rules=self.tokenization_rules,
            num_proc=config.dataset_num_proc,
            tokenize_row=self.tokenize_row if own_rows else None,
            length_column=config.length_column_name if grouped else None,
            report=self.data_report,
        )
        return preprocess(accepted(data, name), name)

    def build_tokenized_answer(self, prompt: str, answer: str) -> dict[str, list[int]]:
        """Tokenize a prompt with its response and say where the response begins, as TRL's hook of this name.

        Returns:
            ``prompt_input_ids``, ``prompt_attention_mask``, ``input_ids`` and ``attention_mask`` (the response's).
        """
        tokenizer = construction.text_tokenizer(self.processing_class)
        full = tokenizer(prompt + answer, add_special_tokens=False)["input_ids"]
        alone = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        start = len(alone) if alone == full[: len(alone)] else max(len(alone) - 1, 0)
        return {
            "prompt_input_ids": full[:start],
            "prompt_attention_mask": [1] * start,
            "input_ids": full[start:],
            "attention_mask": [1] * (len(full) - start),
        }

    def tokenize_row(self, feature: Mapping[str, Any], model: nn.Module | None = None) -> dict[str, Any]:
        """Tokenize one row of prompt, chosen and rejected strings; see ``tokenization.tokenize_pairs``."""
        tokenizer = construction.text_tokenizer(self.processing_class)
        if overrides(self, "build_tokenized_answer"):
            prompt = tokenizer(feature["prompt"], add_special_tokens=False)["input_ids"]
            sides = [self.build_tokenized_answer(feature["prompt"], feature[side]) for side in ("chosen", "rejected")]
            return join_answers(prompt, sides[0], sides[1], tokenizer, self.tokenization_rules)
        row = {column: [feature[column]] for column in ("prompt", "chosen", "rejected")}
        return only_row(tokenize_pairs(row, tokenizer, self.tokenization_rules))

    def get_batch_loss_metrics(
        self, model: nn.Module, batch: Batch, train_eval: TrainEval = "train"
    ) -> tuple[Tensor, dict[str, Any]]:
        """Compute the ORPO loss of a padded batch and its metrics (detached scalars on the device)."""
        forward = self.concatenated_forward(model, batch)
        chosen_logps, rejected_logps, chosen_logits, rejected_logits, nll = forward[:5]
        nll_tokens = nll_token_count(batch, self.args.nll_scope, self.label_pad_token_id).to(nll.device)
        terms = PairTerms(
            chosen_logps_B=chosen_logps,
            rejected_logps_B=rejected_logps,
            nll_sum=nll * nll_tokens,
            nll_tokens=nll_tokens,
            chosen_logits_mean=mean_logit(chosen_logits, batch, "chosen"),
            rejected_logits_mean=mean_logit(rejected_logits, batch, "rejected"),
            aux_loss=forward[5] if len(forward) > 5 else None,
        )
        return self.finish_loss(terms, batch, train_eval)

    def finish_loss(self, terms: PairTerms, batch: Batch, train_eval: TrainEval) -> tuple[Tensor, dict[str, Any]]:
        """Join the terms of a batch into its loss and metrics; the common end of both paths."""
        losses, chosen_rewards, rejected_rewards, ratio, log_odds = self.odds_ratio_loss(
            terms.chosen_logps_B, terms.rejected_logps_B
        )
        self._pairs = {"chosen_rewards": chosen_rewards, "rejected_rewards": rejected_rewards}
        self._watch.note(finite_pairs(terms), batch)
        loss = self.join_loss(terms, losses, train_eval)
        metrics = {
            "rewards/chosen": chosen_rewards.mean(),
            "rewards/rejected": rejected_rewards.mean(),
            "rewards/accuracies": (chosen_rewards > rejected_rewards).float().mean(),
            "rewards/margins": (chosen_rewards - rejected_rewards).mean(),
            "logps/rejected": terms.rejected_logps_B.detach().mean(),
            "logps/chosen": terms.chosen_logps_B.detach().mean(),
            "logits/rejected": terms.rejected_logits_mean,
            "logits/chosen": terms.chosen_logits_mean,
            "nll_loss": (terms.nll_sum / terms.nll_tokens.clamp(min=1)).detach(),
            "log_odds_ratio": ratio.detach(),
            "log_odds_chosen": log_odds.detach(),
        }
        if terms.aux_loss is not None:
            metrics["aux_loss"] = terms.aux_loss.detach()
        prefix = "eval_" if train_eval == "eval" else ""
        return loss, {f"{prefix}{name}": value for name, value in metrics.items()}

    def join_loss(self, terms: PairTerms, losses: Tensor, train_eval: TrainEval) -> Tensor:
        """Weigh a batch's terms, and what ``odds_ratio_loss`` made of them, into one number."""
        if self._window is not None and train_eval == "train":
            return self._window.loss(terms, losses, self.aux_loss_coef)
        return micro_batch_loss(terms, losses, self.aux_loss_coef)

    def loss_and_outputs(self, model: nn.Module, inputs: Batch, train_eval: TrainEval) -> tuple[Tensor, dict[str, Any]]:
        """Compute a batch's loss, and its metrics together with the per-pair tensors."""
        with self.casting_context(), explained_lookups(self.model, inputs):
            loss, metrics = self.finite_loss(model, inputs, train_eval)
        outputs = {**metrics, **self._pairs}
        if self.metrics_fn is not None:
            outputs |= self.metrics_fn(outputs)
        return loss.to(self.args.device), outputs

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Tensor:
        """Train on one micro-batch, under this step's beta and after a look at the last one's check."""
        if self.args.nan_policy == "raise":
            self._watch.settle(self.state.global_step)
        if self.args.beta_schedule != "constant":
            self.beta = scheduled_beta(self.args, self.state)
        with self.wide_context(model):
            return super().training_step(model, inputs, *args, **kwargs)

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch the micro-batches of one update step; called as ``(model, batch)``, generate (TRL up to 0.11)."""
        if args and isinstance(args[0], nn.Module):
            return self.generate_from_model(*args, **kwargs)
        batches, num_items = super().get_batch_samples(*args, **kwargs)
        if self.args.loss_normalization == "global" and batches:
            scope, world = self.args.nll_scope, self.args.world_size
            self._window = Window.of(batches, scope, self._sum_over_ranks, world)
        return batches, num_items

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor | tuple[Tensor, dict[str, Any]]:
        """Compute the training loss of a batch and note its metrics.

        With ``return_outputs`` the second value holds the metrics by their logged names and the per-pair tensors
        ``chosen_rewards`` and ``rejected_rewards`` of shape ``(B,)``; scalars added to it are logged too.
        """
        loss, outputs = self.loss_and_outputs(model, inputs, "train")
        self.store_metrics(outputs, train_eval="train")
        return (loss, outputs) if return_outputs else loss

    def casting_context(self) -> AbstractContextManager[Any]:
        """Return autocast where a 4-bit adapter under bf16 needs it, else nothing."""
        return torch.autocast(self.args.device.type) if self._needs_autocast else nullcontext()

    def wide_context(self, model: nn.Module) -> AbstractContextManager[None]:
        """Return the block that widens bfloat16 products where the device is a CPU that is faster so."""
        in_bf16 = self.args.bf16 or self._needs_autocast or getattr(self.model, "dtype", None) == torch.bfloat16
        return wide_linears(model, self.args.device, in_bf16 and not self.args.torch_compile)

    def store_metrics(self, metrics: Mapping[str, Any], train_eval: TrainEval = "train") -> None:
        """Note a batch's scalars until the next log. Training weighs batches alike (TRL), evaluation by pairs."""
        pairs = len(metrics.get("chosen_rewards", [0]))
        weight = float(pairs) if train_eval == "eval" or pairs == 0 else 1.0
        self._means[train_eval].record(metrics, weight)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, with the means of what was stored since the last training log."""
        if self.args.nan_policy == "raise":
            self._watch.settle(self.state.global_step)
        if "loss" in logs:
            logs.update(self._means["train"].drain(self._sum_over_ranks))
        super().log(logs, start_time)

    def _sum_over_ranks(self, totals: Tensor) -> Tensor:
        if self.args.world_size == 1:
            return totals
        reduced: Tensor = self.accelerator.reduce(totals.to(self.args.device), reduction="sum")
        return reduced

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        if self.args.nan_policy == "raise":
            self._watch.settle(self.state.global_step)
        name = Path(self.args.hub_model_id or self.args.output_dir or "").name
        self.create_model_card(model_name=name)
        super()._save_checkpoint(model, trial)


def overrides(trainer: ORPOTrainer, hook: str) -> bool:
    """Tell whether a trainer's class has its own version of one of ORPOTrainer's methods."""
    return getattr(type(trainer), hook) is not getattr(ORPOTrainer, hook)


# What a subclass, or an assignment to the class, is compared with to find out whether it overrides a hook.
PackedSteps._own_hooks = {name: getattr(ORPOTrainer, name) for name in (*PADDED_HOOKS, *WHOLE_BATCH_HOOKS)}
