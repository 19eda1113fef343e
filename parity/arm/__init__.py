"""The driver of one arm: trains one trainer on the plan, and writes down everything it did.

Run by path in the arm's own interpreter, ``python parity/arm JOB.json``: it needs nothing of this project there, only
torch, transformers (peft for adapters) and the trainer under test. The same folder drives both arms and knows neither;
it watches through bound methods wrapped on the instance and through callbacks. It writes JSON lines (one event each,
flushed) and one safetensors file per step, so memory is constant in steps. It judges nothing.

Every module here keeps to Python 3.8, because a reference environment may be that old, imports the standard library
alone before a function runs, and names its neighbours relatively, because the folder has another name in the arm.
"""
