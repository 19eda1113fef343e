"""The report as Markdown for a pull request and as JUnit XML for CI, both from sealed evidence alone."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from parity.report import first_line, measurement_note, measurement_rows, mebibytes, notes_of, number
from parity.series import QUANTITIES

_PLAIN = str.maketrans({"|": "\\|", "<": "&lt;", ">": "&gt;", "\n": " ", "`": "'"})


def cell(value: object) -> str:
    """Return text that cannot break out of a Markdown table."""
    return str(value).translate(_PLAIN)


def _row(*cells: object) -> str:
    return "| " + " | ".join(cell(item) for item in cells) + " |"


def _table(*headings: str) -> list[str]:
    return [_row(*headings), "|" + " --- |" * len(headings)]


def make_markdown(content: dict[str, Any]) -> str:
    """Return the report as Markdown."""
    conclusion = content["conclusion"]
    lines = [f"## Parity: {conclusion['verdict']}", "", cell(conclusion["headline"]), "", cell(first_line(content)), ""]
    lines += [f"> {cell(note)}" for note in notes_of(content)]
    lines += ["", *_table("path", "verdict", "what it rests on")]
    lines += [_row(item["path"], item["verdict"], item["headline"]) for item in content["judgements"]]
    for item in content["judgements"]:
        lines += [f"- explained ({cell(item['path'])}): {cell(text)}" for text in item["explained"]]
    lines += ["", *_steps(content), "", *_stages(content), "", *_resources(content), ""]
    measured = content["resources"].get("measurements")
    if measured:
        lines += [f"{measurement_note(measured)}:", "", *_measurements(measured), ""]
    lines += [*_checklist(content), ""]
    lines += [
        f"Sealed `{content['seal'][:16]}`, made {content['validity']['made']}, "
        f"valid {content['validity']['days']} days."
    ]
    return "\n".join(lines) + "\n"


def _steps(content: dict[str, Any]) -> list[str]:
    theirs, ours = content["series"]["theirs"], next(iter(content["series"]["ours"].values()))
    lines = _table("step", "quantity", "theirs", "ours", "difference")
    for step in range(len(theirs["loss"])):
        for quantity in ("loss", "nll_loss", "log_odds_chosen", "rewards/margins", "grad_norm"):
            left = number(theirs[quantity][step])
            right = number(ours[quantity][step]) if step < len(ours[quantity]) else float("nan")
            lines.append(_row(step, QUANTITIES[quantity], f"{left:.6f}", f"{right:.6f}", f"{right - left:+.1e}"))
    return lines


def _stages(content: dict[str, Any]) -> list[str]:
    lines = _table("path", "stage", "step", "where", "distance", "floor", "ratio")
    for item in content["judgements"]:
        for stage, worst in item["stages"].items():
            figures = (f"{number(worst['distance']):.1e}", f"{worst['floor']:.1e}", f"{number(worst['ratio']):.2f}")
            lines.append(_row(item["path"], stage, worst["step"], worst["name"], *figures))
    return lines


def _resources(content: dict[str, Any]) -> list[str]:
    lines = _table("phase", "theirs", "peak", "ours", "peak")
    resources = content["resources"]
    for phase in ("torch", "import", "model", "train"):
        cells: list[str] = []
        for arm in ("theirs", "ours"):
            event = resources[arm].get(phase, {})
            cells += [f"{number(event.get('seconds')):.2f} s", mebibytes(event.get("rss_peak"))]
        lines.append(_row(phase, *cells))
    return lines


def _measurements(measured: dict[str, Any]) -> list[str]:
    table = _table("quantity", "theirs", "ours", "ratio", "resolving power", "claim")
    return [*table, *(_row(*row) for row in measurement_rows(measured))]


def _checklist(content: dict[str, Any]) -> list[str]:
    keys = ("point", "theirs", "ours", "measured")
    return [*_table(*keys), *(_row(*(point[key] for key in keys)) for point in content["checklist"])]


def make_junit(content: dict[str, Any]) -> str:
    """Return one test case per path of ours and one per stage; what does not pass is a failure."""
    suite = ElementTree.Element("testsuite", name="orpo-compat parity")
    count = failures = 0
    for item in content["judgements"]:
        passes = item["verdict"] in ("IDENTICAL", "EQUIVALENT")
        case = ElementTree.SubElement(suite, "testcase", classname=f"parity.{item['path']}", name="verdict")
        count += 1
        if not passes:
            failures += 1
            failure = ElementTree.SubElement(case, "failure", message=_clean(item["headline"]), type=item["verdict"])
            failure.text = _clean("\n".join([*item["reasons"], *item["explained"]]))
        for stage, worst in item["stages"].items():
            case = ElementTree.SubElement(suite, "testcase", classname=f"parity.{item['path']}", name=stage)
            count += 1
            if number(worst["ratio"]) > content["thresholds"]["pass_ratio"]:
                failures += 1
                message = f"step {worst['step']}, {worst['name']}: {number(worst['ratio']):.3g} floors"
                ElementTree.SubElement(case, "failure", message=_clean(message), type="ratio")
    suite.set("tests", str(count))
    suite.set("failures", str(failures))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _clean(text: str) -> str:
    """Drop the control characters that XML cannot hold."""
    return "".join(character for character in text if character in "\n\t" or ord(character) >= 32)
