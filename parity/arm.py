"""The driver of one arm: trains one trainer on the plan, and writes down everything it did.

Run by path in the arm's own interpreter, ``python arm.py JOB.json``: it needs nothing of this project there, only
torch, transformers (peft for adapters) and the trainer under test. The same file drives both arms and knows neither; it
watches through bound methods wrapped on the instance and through callbacks. It writes JSON lines (one event each,
flushed) and one safetensors file per step, so memory is constant in steps. It judges nothing.

Kept to Python 3.8 syntax, because a reference environment may be that old.
"""

# Python 3.8, and no pathlib before the search path is clean:
# ruff: noqa: B905, E402, PTH103, PTH106, PTH107, PTH110, PTH118, PTH119, PTH123, PTH208, SIM115, SIM118

from __future__ import annotations

import sys

# A script run by path puts its own folder first, where a sibling would shadow a standard module (trace.py does).
_HERE = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
sys.path[:] = [entry for entry in sys.path if entry not in ("", ".", _HERE)]

import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import json
import math
import os
import platform
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

FORMAT = 1
METRICS_SKIPPED = ("epoch", "total_flos")


class Events:
    """Appends events to a JSON-lines file, flushed one by one, non-finite numbers spelled as strings."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "a", encoding="utf-8")
        self._count = 0

    def write(self, event: str, **content: Any) -> None:
        line = {"event": event, "n": self._count, **content}
        self._file.write(json.dumps(spell(line), allow_nan=False) + "\n")
        self._file.flush()
        self._count += 1

    def close(self) -> None:
        self._file.close()


def spell(value: Any) -> Any:
    """Return ``value`` with NaN and infinities as strings, so that the line is strict JSON and loses nothing."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, dict):
        return {str(key): spell(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [spell(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)


# --- memory -----------------------------------------------------------------------------------------------------


def reset_peak() -> bool:
    """Start a new high-water mark of resident memory; false where the system cannot."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        return True
    except OSError:
        return False


def memory() -> dict[str, Any]:
    """Return resident bytes now and at the peak since the last reset, and the accelerator's peaks."""
    found: dict[str, Any] = {"rss": None, "rss_peak": None, "resettable": os.path.exists("/proc/self/clear_refs")}
    try:
        with open("/proc/self/status") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        found["rss"] = int(fields["VmRSS"].split()[0]) * 1024
        found["rss_peak"] = int(fields["VmHWM"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        import resource

        scale = 1 if sys.platform == "darwin" else 1024
        found["rss_peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "cuda") and torch.cuda.is_available() and torch.cuda.is_initialized():
        found["cuda_allocated_peak"] = torch.cuda.max_memory_allocated()
        found["cuda_reserved_peak"] = torch.cuda.max_memory_reserved()
    return found


@contextmanager
def phase(events: Events, name: str, **content: Any) -> Iterator[None]:
    """Measure one phase: wall seconds, and the memory peak reached within it."""
    reset_peak()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
    before, started = memory(), time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    events.write("phase", phase=name, seconds=seconds, rss_before=before["rss"], **memory(), **content)


# --- digests and samples ----------------------------------------------------------------------------------------


def plain_name(name: str) -> str:
    """Return a parameter's name without the wrappers that compilers and data parallelism add."""
    for prefix in ("module.", "_orig_mod."):
        while name.startswith(prefix):
            name = name[len(prefix) :]
    return name


_EXPERT = re.compile(r"(.*)\.(?:block_sparse_moe|mlp)\.experts\.(\d+)\.(w[123]|(?:gate|up|down)_proj)\.weight")
_ROLES = {"w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"}


def fused_name(name: str) -> str:
    """Return the name under which transformers 5 holds a parameter: a layer's experts are two tensors there."""
    expert = _EXPERT.fullmatch(name)
    if expert is None:
        return name.replace(".block_sparse_moe.", ".mlp.")
    role = _ROLES.get(expert[3], expert[3])
    return f"{expert[1]}.mlp.experts.{'down_proj' if role == 'down_proj' else 'gate_up_proj'}"


def fuse_experts(named: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return tensors by the names and in the layout of transformers 5, whichever release named them."""
    import torch

    plain: list[tuple[str, Any]] = []
    experts: dict[str, dict[str, dict[int, Any]]] = {}
    for name, tensor in named:
        expert = _EXPERT.fullmatch(name)
        if expert is None:
            plain.append((fused_name(name), tensor))
        else:
            role = _ROLES.get(expert[3], expert[3])
            experts.setdefault(fused_name(name), {}).setdefault(role, {})[int(expert[2])] = tensor.detach()
    for name, roles in experts.items():
        stacked = {role: torch.stack([by_number[n] for n in sorted(by_number)]) for role, by_number in roles.items()}
        order = [role for role in ("gate_proj", "up_proj", "down_proj") if role in stacked]
        plain.append((name, torch.cat([stacked[role] for role in order], dim=1)))
    return plain


def tensor_bytes(tensor: Any) -> bytes:
    import torch

    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def digest_of(named: Iterable[tuple[str, Any]]) -> str:
    """Hash tensors by name, dtype, shape and bytes, in the order of their names."""
    whole = hashlib.sha256()
    for name, tensor in sorted(named, key=lambda item: item[0]):
        whole.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        whole.update(tensor_bytes(tensor))
    return whole.hexdigest()


def sample_of(tensor: Any, limit: int) -> Any:
    """Return all of a small tensor, or evenly strided elements of a large one, as float32 on the CPU."""
    flat = tensor.detach().reshape(-1)
    if limit and flat.numel() > limit:
        stride = -(-flat.numel() // limit)
        # An offset that is no multiple of a power of two walks over rows and columns alike.
        flat = flat[(stride // 3) :: stride | 1]
    return flat.to("cpu", copy=True).float().contiguous()


def norm_of(tensor: Any) -> float:
    import torch

    return float(torch.linalg.vector_norm(tensor.detach().float(), dtype=torch.float64))


def file_digest(path: str) -> str:
    whole = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            whole.update(block)
    return whole.hexdigest()


# --- the trainer under test -------------------------------------------------------------------------------------


def find_trainer(wanted: str) -> tuple[Any, Any]:
    """Import the trainer and its config class: ``"trl"`` wherever that release keeps it, or ``"module:Class"``."""
    if wanted != "trl":
        module_name, class_name = wanted.split(":")
        module = importlib.import_module(module_name)
        trainer = getattr(module, class_name)
        config = getattr(module, class_name.replace("Trainer", "Config"))
        return trainer, config
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    problems = []
    for name in ("trl.experimental.orpo", "trl.trainer.orpo_trainer", "trl"):
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            problems.append(f"{name}: {error}")
            continue
        if hasattr(module, "ORPOTrainer"):
            config = getattr(module, "ORPOConfig", None)
            return module.ORPOTrainer, config or importlib.import_module("trl").ORPOConfig
    raise ModuleNotFoundError("no ORPOTrainer in this TRL; tried " + "; ".join(problems))


ALIASES = {
    "eval_strategy": ("evaluation_strategy",),
    "use_cpu": ("no_cuda",),
    "warmup_ratio": ("warmup_steps",),
    "lr_scheduler_kwargs": (),
}


def make_config(config_class: Any, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Build the config from the settings this release knows; return it with what it refused."""
    parameters = inspect.signature(config_class.__init__).parameters
    accepted, refused = {}, {}
    for name, value in settings.items():
        spelling = next((s for s in (name,) + ALIASES.get(name, ()) if s in parameters), None)
        if spelling is None:
            refused[name] = value
        else:
            accepted[spelling] = value
    return config_class(**accepted), refused


def load_model(folder: str, spec: dict[str, Any], attention: str) -> Any:
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    auto = "AutoModelForSeq2SeqLM" if config.is_encoder_decoder else "AutoModelForCausalLM"
    release = tuple(int(part) for part in transformers.__version__.split(".")[:2] if part.isdigit())
    dtype = {("dtype" if release >= (4, 56) else "torch_dtype"): getattr(torch, spec["dtype"])}
    load = getattr(transformers, auto).from_pretrained
    try:
        model = load(folder, attn_implementation=attention, **dtype)
    except ValueError as error:
        # Such as T5 before transformers 5, which has eager attention alone; the start event says which it was.
        if attention == "eager" or "attention" not in str(error):
            raise
        model = load(folder, attn_implementation="eager", **dtype)
    for setting, value in spec.get("model_config", {}).items():
        setattr(model.config, setting, value)
    return model


def load_tokenizer(folder: str) -> Any:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def start_adapters(model: Any, seed: int) -> None:
    """Give adapter weights a start that depends on their names alone, never on who drew random numbers before."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" not in name:
                continue
            drawn = torch.Generator().manual_seed(
                int(hashlib.sha256(f"{seed}|{plain_name(name)}".encode()).hexdigest()[:12], 16)
            )
            parameter.copy_(torch.randn(parameter.shape, generator=drawn) * 0.02)


# --- legitimate perturbations: answers that are as right as the first -------------------------------------------


def nudge(model: Any) -> str:
    """Move one weight that every forward uses by one unit in the last place; return which."""
    import torch

    names = [name for name, parameter in model.named_parameters() if "norm" in name and parameter.dim() == 1]
    name = names[0] if names else next(name for name, _ in model.named_parameters())
    parameter = dict(model.named_parameters())[name]
    with torch.no_grad():
        flat = parameter.view(-1)
        value = flat[0]
        if value.dtype == torch.float32:
            flat[0] = torch.nextafter(value, value + 1)
        else:
            flat[0] = value * (1 + torch.finfo(value.dtype).eps)
    return plain_name(name)


def jitter(parameters: list[tuple[str, Any]], step: int) -> None:
    """Move every element of every gradient by eight units of rounding of its tensor, up or down by a seeded draw.

    An optimizer that divides by the gradient's size lets an element that is almost zero move its weight as far as its
    rounding happens to say. The other perturbations leave that to chance; here every element has its share. Eight
    units is what the floor allows a gradient in any case (``floor.LEAST``): this is what the optimizer makes of them.
    A gradient of exactly zero, such as that of a token that does not occur, is no sum and has no rounding.
    """
    import torch

    for name, parameter in parameters:
        gradient = parameter.grad
        if gradient is None or gradient.numel() == 0:
            continue
        seed = int(hashlib.sha256(f"{step}|{name}".encode()).hexdigest()[:12], 16)
        drawn = torch.Generator().manual_seed(seed)
        signs = torch.randint(0, 2, gradient.shape, generator=drawn, dtype=torch.int8).to(gradient) * 2 - 1
        units = 8 if gradient.dtype == torch.float32 else 1
        size = units * torch.finfo(gradient.dtype).eps * norm_of(gradient) / math.sqrt(gradient.numel())
        gradient.add_(signs * (gradient != 0), alpha=size)


def split_forward(model: Any) -> None:
    """Compute every forward in two halves of the batch; the same function, summed in another order."""
    import torch

    refuse_router_loss(model)
    whole = model.forward

    def halves(*args: Any, **kwargs: Any) -> Any:
        tensors = [value for value in list(args) + list(kwargs.values()) if isinstance(value, torch.Tensor)]
        rows = tensors[0].shape[0]
        if rows < 2:
            return whole(*args, **kwargs)

        def part(value: Any, piece: slice) -> Any:
            same = isinstance(value, torch.Tensor) and value.dim() > 0 and value.shape[0] == rows
            return value[piece] if same else value

        cut = rows // 2
        outputs = [
            whole(*[part(arg, piece) for arg in args], **{key: part(value, piece) for key, value in kwargs.items()})
            for piece in (slice(0, cut), slice(cut, rows))
        ]
        outputs[0].logits = torch.cat([output.logits for output in outputs])
        return outputs[0]

    model.forward = halves


def refuse_router_loss(model: Any) -> None:
    """A router's loss is a mean over the whole batch: computed in parts it is another function."""
    if getattr(model.config, "output_router_logits", False):
        raise RuntimeError("the router's auxiliary loss needs the whole batch")


def row_by_row(model: Any) -> None:
    """Compute every row alone, without its padding; what a trainer without padding would sum."""
    import torch

    refuse_router_loss(model)
    if model.config.is_encoder_decoder:
        raise RuntimeError("an encoder-decoder's decoder has no mask to trim by")
    whole = model.forward

    def rows(input_ids: Any, attention_mask: Any = None, **kwargs: Any) -> Any:
        results, width = [], input_ids.shape[1]
        for index in range(len(input_ids)):
            length = int(attention_mask[index].sum())
            piece = (slice(index, index + 1), slice(0, length))
            results.append(whole(input_ids[piece], attention_mask=attention_mask[piece], **kwargs))
        padded = [torch.nn.functional.pad(r.logits, (0, 0, 0, width - r.logits.shape[1])) for r in results]
        results[0].logits = torch.cat(padded)
        return results[0]

    model.forward = rows


# --- watching ---------------------------------------------------------------------------------------------------


def scalars(mapping: dict[str, Any]) -> dict[str, float]:
    """Return the entries that are single numbers, as floats."""
    found = {}
    for name, value in mapping.items():
        if hasattr(value, "numel"):
            if value.numel() == 1:
                found[name] = float(value.detach().float())
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found[name] = float(value)
    return found


def rows_of(batch: dict[str, Any]) -> tuple[list[dict[str, list[int]]], bool]:
    """Return each pair's real tokens and labels, whatever the padding, and whether any row was padded."""
    pairs, padded = [], False
    num_pairs = len(batch["chosen_labels"])
    widths = [len(batch[side + "_labels"][0]) for side in ("chosen", "rejected")]
    for index in range(num_pairs):
        pair = {}
        for side in ("chosen", "rejected"):
            labels = batch[side + "_labels"][index].tolist()
            if side + "_input_ids" in batch:
                mask = batch[side + "_attention_mask"][index].tolist()
                ids = batch[side + "_input_ids"][index].tolist()
                kept = [position for position, real in enumerate(mask) if real]
            else:
                ids = labels
                kept = [position for position, label in enumerate(labels) if label != -100]
            pair[side] = [ids[position] for position in kept]
            pair[side + "_labels"] = [labels[position] for position in kept]
            padded = padded or len(kept) < max(widths)
        if "chosen_input_ids" not in batch:
            mask = batch["prompt_attention_mask"][index].tolist()
            ids = batch["prompt_input_ids"][index].tolist()
            pair["prompt"] = [token for token, real in zip(ids, mask) if real]
        pairs.append(pair)
    return pairs, padded


def rank() -> int:
    """Return which process of the launcher's this is; 0 where there is one."""
    return int(os.environ.get("RANK", "0"))


class Watch:
    """Wraps a trainer's bound methods and notes what passes through them.

    Under a launcher each process notes its own micro-batches, and the first one the steps, which are common to all.
    """

    def __init__(self, trainer: Any, events: Events, folder: str, limit: int, traced: bool) -> None:
        self.trainer, self.events, self.folder = trainer, events, folder
        self.limit, self.traced, self.steps_traced = limit, traced, traced and rank() == 0
        self.micro, self.overhead, self.step_started = 0, 0.0, 0.0
        self.current: dict[str, Any] = {}
        self.pre: dict[str, Any] = {}
        self.post: dict[str, Any] = {}
        if traced:
            self._wrap("odds_ratio_loss", self._odds)
            self._wrap("store_metrics", self._metrics)
            self._wrap("compute_loss", self._loss)
            self._wrap("training_step", self._training_step)
            self._wrap("prediction_step", self._prediction_step)
        self._wrap("log", self._log)

    def _wrap(self, name: str, around: Callable[..., Any]) -> None:
        inner = getattr(self.trainer, name)

        def outer(*args: Any, **kwargs: Any) -> Any:
            return around(inner, *args, **kwargs)

        setattr(self.trainer, name, outer)

    @contextmanager
    def _aside(self) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.overhead += time.perf_counter() - started

    def _odds(self, inner: Callable[..., Any], chosen: Any, rejected: Any, *args: Any, **kwargs: Any) -> Any:
        result = inner(chosen, rejected, *args, **kwargs)
        with self._aside():
            self.current["chosen_logps"] = chosen.detach().float().reshape(-1).tolist()
            self.current["rejected_logps"] = rejected.detach().float().reshape(-1).tolist()
            self.current["logps_dtype"] = str(chosen.dtype)
        return result

    def _metrics(self, inner: Callable[..., Any], metrics: Any, *args: Any, **kwargs: Any) -> Any:
        with self._aside():
            self.current["metrics"] = scalars(metrics)
        return inner(metrics, *args, **kwargs)

    def _loss(self, inner: Callable[..., Any], model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        with self._aside():
            self.current["pairs"], self.current["padded"] = rows_of(inputs)
        result = inner(model, inputs, *args, **kwargs)
        with self._aside():
            loss = result[0] if isinstance(result, tuple) else result
            self.current["loss"] = float(loss.detach().float())
            self.current["path"] = str(getattr(self.trainer, "active_path", "padded"))
        return result

    def _training_step(self, inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.current = {}
        result = inner(*args, **kwargs)
        with self._aside():
            last = bool(self.trainer.accelerator.sync_gradients)
            step = self.trainer.state.global_step
            self.events.write("micro", step=step, micro=self.micro, last=last, **self.current)
            self.micro += 1
            if last and self.steps_traced:
                self.pre = self._gradients(keep=True)
        return result

    def _prediction_step(self, inner: Callable[..., Any], model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        self.current = {}
        result = inner(model, inputs, *args, **kwargs)
        with self._aside():
            pairs, padded = rows_of(inputs)
            self.current.pop("logps_dtype", None)
            self.events.write("eval_batch", num_pairs=len(pairs), padded=padded, **self.current)
        return result

    def _log(self, inner: Callable[..., Any], logs: Any, *args: Any, **kwargs: Any) -> Any:
        result = inner(logs, *args, **kwargs)
        with self._aside():
            self.events.write("log", step=self.trainer.state.global_step, logs=scalars(logs))
        return result

    def parameters(self) -> list[tuple[str, Any]]:
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        return [(plain_name(name), p) for name, p in model.named_parameters() if p.requires_grad]

    def _gradients(self, keep: bool) -> dict[str, Any]:
        import torch

        gradients, missing = [], []
        for name, parameter in self.parameters():
            if parameter.grad is not None:
                gradients.append((name, parameter.grad))
            elif _EXPERT.fullmatch(name):
                gradients.append((name, torch.zeros_like(parameter)))  # no token chose it
            else:
                missing.append(fused_name(name))
        samples, norms = {}, {}
        for name, gradient in fuse_experts(gradients):
            norms[name] = norm_of(gradient)
            if keep:
                samples["grad/" + name] = sample_of(gradient, self.limit)
        return {"samples": samples, "norms": norms, "missing": missing}

    def before_step(self) -> None:
        with self._aside():
            self.post = self._gradients(keep=False)
            self.post["groups"] = self._groups()

    def _groups(self) -> list[dict[str, Any]]:
        names = {id(parameter): name for name, parameter in self.parameters()}
        groups = []
        for group in self.trainer.optimizer.param_groups:
            members = sorted({fused_name(names.get(id(parameter), "?")) for parameter in group["params"]})
            settings = {key: group.get(key) for key in ("lr", "betas", "eps", "weight_decay") if key in group}
            members_digest = hashlib.sha256("\n".join(members).encode()).hexdigest()[:16]
            groups.append(dict(settings, num_params=len(members), members=members_digest))
        return groups

    def after_step(self) -> dict[str, Any]:
        """Write the step that has just been taken: gradients, optimizer state, weights."""
        import torch
        from safetensors.torch import save_file

        with self._aside():
            tensors, norms = dict(self.pre["samples"]), {"grad": self.pre["norms"]}
            state = getattr(self.trainer.optimizer, "optimizer", self.trainer.optimizer).state
            kinds: dict[str, list[tuple[str, Any]]] = {"weight": []}
            for name, parameter in self.parameters():
                kinds["weight"].append((name, parameter))
                for key, value in (state.get(parameter) or {}).items():
                    if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                        kinds.setdefault(key, []).append((name, value))
            for kind, named in kinds.items():
                there = {name for name, _ in named}
                # An expert that no token has chosen yet has no state where it had no gradient.
                for name, parameter in self.parameters():
                    if name not in there and _EXPERT.fullmatch(name):
                        named.append((name, torch.zeros_like(parameter)))
                for name, value in fuse_experts(named):
                    tensors[f"{kind}/{name}"] = sample_of(value, self.limit)
                    norms.setdefault(kind, {})[name] = norm_of(value)
            step = self.trainer.state.global_step - 1
            path = os.path.join(self.folder, f"step-{step:05d}.safetensors")
            save_file(tensors, path)
        return {
            "step": step,
            "file": os.path.basename(path),
            "file_digest": file_digest(path),
            "grad_norm_before_clip": math.sqrt(sum(n * n for n in self.pre["norms"].values())),
            "grad_norm_after_clip": math.sqrt(sum(n * n for n in self.post["norms"].values())),
            "no_gradient": self.pre["missing"],
            "groups": self.post["groups"],
            "norms": norms,
        }


def make_callback(watch: Watch, resync: Any, jittered: bool) -> Any:
    """Return the callback that marks steps, times them without the watching, and copies or perturbs if asked to."""
    from transformers import TrainerCallback

    class Marks(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if resync is not None and state.global_step > 0:
                resync(watch, state.global_step - 1)
            watch.overhead, watch.step_started = 0.0, time.perf_counter()

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if watch.steps_traced:
                watch.before_step()
            if jittered:
                jitter(watch.parameters(), state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            seconds = time.perf_counter() - watch.step_started - watch.overhead
            content = watch.after_step() if watch.steps_traced else {"step": state.global_step - 1}
            watch.events.write("step", seconds=seconds, **content)

    return Marks()


def copier(source: str) -> Callable[[Watch, int], None]:
    """Return a function that copies another arm's weights and optimizer state after a step into this trainer."""
    from safetensors.torch import load_file

    def copy(watch: Watch, step: int) -> None:
        import torch

        tensors = load_file(os.path.join(source, f"step-{step:05d}.safetensors"))
        state = getattr(watch.trainer.optimizer, "optimizer", watch.trainer.optimizer).state
        with torch.no_grad():
            for name, parameter in watch.parameters():
                parameter.copy_(tensors["weight/" + name].view_as(parameter))
                for key, value in (state.get(parameter) or {}).items():
                    saved = tensors.get(f"{key}/{name}")
                    if saved is not None:
                        value.copy_(saved.view_as(value))

    return copy


# --- one run ----------------------------------------------------------------------------------------------------


def determinism(spec: dict[str, Any]) -> None:
    import torch

    torch.set_num_threads(spec["threads"])
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    # Filling fresh memory with NaN would also turn buffers that transformers leaves uninitialised into NaN.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def in_order(trainer: Any) -> None:
    """Make the trainer take the rows in the plan's order."""
    from torch.utils.data import SequentialSampler

    def sampler(dataset: Any = None, *args: Any, **kwargs: Any) -> Any:
        return SequentialSampler(dataset if dataset is not None else trainer.train_dataset)

    trainer._get_train_sampler = sampler


def token_digests(dataset: Any) -> list[str]:
    """Return a digest of each tokenized row, over the lists of numbers it holds."""
    digests = []
    for row in dataset:
        numbers = {key: value for key, value in row.items() if key.endswith(("_ids", "_labels")) and value is not None}
        digests.append(hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()[:16])
    return digests


def construct(job: dict[str, Any], run: dict[str, Any], plan: dict[str, Any], folder: str) -> tuple[Any, Any, Any]:
    """Build model, rows and trainer of one run as its spec and perturbation say."""
    import transformers
    from datasets import Dataset

    spec = plan["spec"]
    trainer_class, config_class = find_trainer(job["trainer"])
    output = os.path.join(job["out"], run["name"], "output")  # one folder for all processes
    settings = dict(plan["settings"], output_dir=output, **run.get("settings", {}))
    for name in run.get("without", []):
        settings.pop(name, None)
    config, refused = make_config(config_class, settings)
    transformers.set_seed(spec["seed"])
    attention = "eager" if run.get("perturb") == "eager" else run.get("attention") or spec["attention"]
    model, tokenizer = load_model(plan["model_dir"], spec, attention), load_tokenizer(plan["tokenizer_dir"])
    rows = json.loads(open(plan["rows_file"], encoding="utf-8").read())
    parameters = inspect.signature(trainer_class.__init__).parameters
    kwargs = {"processing_class" if "processing_class" in parameters else "tokenizer": tokenizer}
    if spec["lora"]:
        from peft import LoraConfig

        kwargs["peft_config"] = LoraConfig(**spec["lora"])
    if rows["eval"]:
        kwargs["eval_dataset"] = Dataset.from_list(rows["eval"])
    trainer = trainer_class(model=model, args=config, train_dataset=Dataset.from_list(rows["train"]), **kwargs)
    if spec["lora"]:
        start_adapters(trainer.model, spec["seed"])
    in_order(trainer)
    return trainer, refused, rows


def start_event(events: Events, trainer: Any, refused: dict[str, Any], plan: dict[str, Any], rows: Any) -> None:
    named = [(plain_name(name), parameter) for name, parameter in trainer.model.named_parameters()]
    args, model = trainer.args, trainer.model
    effective = {name: getattr(args, name, None) for name in sorted(plan["settings"])}
    events.write(
        "start",
        plan=plan["digest"],
        rows=hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest(),
        weights=digest_of(fuse_experts(named)),
        trainable=sorted({fused_name(name) for name, parameter in named if parameter.requires_grad}),
        num_parameters=sum(parameter.numel() for _, parameter in named),
        dtype=str(named[0][1].dtype),
        device=str(args.device),
        attention=str(getattr(model.config, "_attn_implementation", "")),
        effective=effective,
        refused=refused,
        tokens={"train": token_digests(trainer.train_dataset)},
    )


def plant(job: dict[str, Any], run: dict[str, Any], trainer: Any) -> None:
    """Plant a named bug into this trainer; only the self-test asks for it."""
    path = job["mutants"]
    loaded = importlib.util.spec_from_file_location("planted_mutants", path)
    assert loaded is not None
    assert loaded.loader is not None
    module = importlib.util.module_from_spec(loaded)
    sys.modules["planted_mutants"] = module
    loaded.loader.exec_module(module)
    module.PLANTS[run["plant"]](trainer)


def run_once(job: dict[str, Any], run: dict[str, Any], plan: dict[str, Any]) -> None:
    folder = os.path.join(own_folder(job), run["name"])
    os.makedirs(folder, exist_ok=True)
    events = Events(os.path.join(folder, "events.jsonl"))
    events.write("run", run=run, format=FORMAT, spec=plan["spec_digest"])
    determinism(plan["spec"])
    with phase(events, "model"):
        trainer, refused, rows = construct(job, run, plan, folder)
    if run.get("perturb") == "nudge":
        events.write("nudged", weight=nudge(trainer.model))
    if run.get("perturb") in ("split", "rows"):
        (split_forward if run["perturb"] == "split" else row_by_row)(trainer.model)
    start_event(events, trainer, refused, plan, rows)
    if run.get("plant"):
        plant(job, run, trainer)
    watch = Watch(trainer, events, folder, plan["sample_limit"], run.get("trace", True))
    resync = copier(run["resync"]) if run.get("resync") else None
    trainer.add_callback(make_callback(watch, resync, run.get("perturb") == "jitter"))
    with phase(events, "train"):
        trainer.train()
    if rows["eval"] and run.get("trace", True):
        with phase(events, "evaluate"):
            found = trainer.evaluate()
        events.write("eval", metrics=scalars(found))
    finish(events, trainer, folder, run)
    if run.get("push"):
        trainer.push_to_hub()
    events.close()


def same_weights(named: list[tuple[str, Any]], saved: dict[str, Any]) -> bool:
    """Whether every saved tensor equals the one in memory; an adapter is saved without its name in its keys."""
    import torch

    held = {name.replace(".default.", "."): parameter.detach().cpu() for name, parameter in named}
    known = {name: tensor for name, tensor in saved.items() if name in held}
    return bool(known) and all(torch.equal(tensor, held[name]) for name, tensor in known.items())


def finish(events: Events, trainer: Any, folder: str, run: dict[str, Any]) -> None:
    """Write the end: the digest of the weights in memory and of those that were saved and read back."""
    named = [(plain_name(name), parameter) for name, parameter in trainer.model.named_parameters()]
    content: dict[str, Any] = {"weights": digest_of(fuse_experts(named))}
    if run.get("save", True) and rank() == 0:
        from safetensors import safe_open

        saved = os.path.join(folder, "saved")
        trainer.save_model(saved)
        files = sorted(name for name in os.listdir(saved) if name.endswith(".safetensors"))
        tensors = {}
        for name in files:
            with safe_open(os.path.join(saved, name), framework="pt") as file:
                for key in file.keys():
                    tensors[key] = file.get_tensor(key)
        content["saved"] = digest_of(tensors.items())
        content["saved_tensors"] = len(tensors)
        content["saved_matches"] = same_weights(named, tensors)
        for name in os.listdir(saved):
            os.remove(os.path.join(saved, name))
        os.rmdir(saved)
    events.write("end", **content)


# --- the arm ----------------------------------------------------------------------------------------------------


def versions() -> dict[str, Any]:
    from importlib import metadata

    found: dict[str, Any] = {"python": platform.python_version()}
    names = ("trl", "orpo-compat", "transformers", "torch", "accelerate", "peft", "datasets", "tokenizers", "numpy")
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def import_phase(events: Events, job: dict[str, Any]) -> None:
    with phase(events, "torch"):
        importlib.import_module("torch")
        importlib.import_module("transformers")
    with phase(events, "import"):
        importlib.import_module("transformers.trainer")
        datasets = importlib.import_module("datasets")
        trainer_class, config_class = find_trainer(job["trainer"])
    datasets.disable_progress_bars()
    source = inspect.getsourcefile(trainer_class) or ""
    events.write(
        "arm",
        arm=job["arm"],
        executable=sys.executable,
        versions=versions(),
        trainer=f"{trainer_class.__module__}:{trainer_class.__name__}",
        trainer_file=source,
        trainer_digest=file_digest(source),
        config_fields=sorted(field.name for field in dataclasses.fields(config_class)),
        driver_digest=file_digest(__file__),
        platform=platform.platform(),
        cpus=os.cpu_count(),
    )


def end_with_parent(starter: int, every: float = 1.0) -> None:
    """End this process when those that started it are gone, so that a killed run leaves no trainer behind.

    Under a launcher the parent is the launcher, which outlives the process ``starter`` that started it.
    """
    parent = os.getppid()

    def alive(process: int) -> bool:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        except OSError:
            pass  # it is there and somebody else's
        return True

    def wait() -> None:
        while os.getppid() == parent and alive(starter):
            time.sleep(every)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def own_folder(job: dict[str, Any]) -> str:
    """Return where this process writes: the arm's folder, or a folder in it for each further process."""
    return os.path.join(job["out"], f"rank-{rank()}") if rank() else job["out"]


def leave_group() -> None:
    """Leave the process group, if a launcher started one."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def main(argv: list[str]) -> int:
    with open(argv[1], encoding="utf-8") as file:
        job = json.load(file)
    end_with_parent(job.get("starter") or os.getppid())
    # Behind the standard library, ahead of what is installed: the trainer under test is the caller's own.
    first_installed = next((i for i, entry in enumerate(sys.path) if "site-packages" in entry), len(sys.path))
    sys.path[first_installed:first_installed] = [entry for entry in job.get("path", []) if entry not in sys.path]
    os.makedirs(own_folder(job), exist_ok=True)
    events = Events(os.path.join(own_folder(job), "arm.jsonl"))
    try:
        import_phase(events, job)
        for run in job["runs"]:
            with open(run.get("plan") or job["plan"], encoding="utf-8") as file:
                plan = json.load(file)
            try:
                run_once(job, run, plan)
            except Exception as error:
                if not run.get("optional"):
                    raise
                events.write("skipped", run=run["name"], reason=f"{type(error).__name__}: {error}")
        leave_group()
        events.write("done")
    except Exception as error:
        events.write("failed", error=type(error).__name__, message=str(error), traceback=traceback.format_exc())
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
