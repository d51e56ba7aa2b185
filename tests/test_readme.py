"""What README shows and doctest cannot run: the Mermaid text of its picture."""

import doctest
import re
from pathlib import Path

import numpy as np

import tinygrad_np as tg

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


def section(title):
    """What stands below a heading, up to the next of its level."""
    (found,) = re.findall(rf"^## {title}\n(.*?)^## ", README, flags=re.MULTILINE | re.DOTALL)
    return found


def test_the_mermaid_text_is_that_of_the_code():
    text = section("Pictures")
    (mermaid,) = re.findall(r"```mermaid\n(.*?)\n```", text, flags=re.DOTALL)
    scope = {"np": np, "tg": tg}
    for example in doctest.DocTestParser().get_examples(text):
        if not example.source.startswith("print"):
            exec(example.source, scope)
    assert scope["picture"].to("mermaid").strip() == mermaid


def wrong_lines(report):
    """What a report says of wrong gradients; how many digits the others agree to depends on the machine."""
    return re.findall(r"^  WRONG .*\n(?:   .*\n)*", report, flags=re.MULTILINE)


def test_the_report_of_a_wrong_gradient_is_that_of_the_code():
    scope = {"np": np, "tg": tg}
    for title in ("The backpropagation, written out", "What is wrong with my gradient\\?"):
        for example in doctest.DocTestParser().get_examples(section(title)):
            if not example.source.startswith(("print", "report.ok")):
                exec(example.source.replace("locals()", "dict(globals())"), scope)
    (shown,) = re.findall(r"```text\n(.*?)```", section("What is wrong with my gradient\\?"), flags=re.DOTALL)
    report = str(scope["report"]) + "\n"
    assert shown.splitlines()[0] == report.splitlines()[0]
    assert wrong_lines(shown) == wrong_lines(report)
    assert len(wrong_lines(shown)) == 2
