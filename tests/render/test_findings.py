from __future__ import annotations

from paraminspect.render.findings import render_findings
from paraminspect.render.style import Style
from paraminspect.summaries import Finding
from tests.making.inks import INKS, without_inks


def finding(code: str = "truncated", **more: object) -> Finding:
    return Finding(**{"severity": "error", "code": code, "name": "", "message": "it ends early", "hint": "", **more})  # type: ignore[arg-type]


def shown(*findings: Finding, **style: object) -> str:
    return "".join(render_findings("m.pt", findings, "closing", Style(**style)))  # type: ignore[arg-type]


def test_a_hint_stands_once_behind_findings_of_one_kind() -> None:
    same = [finding(hint="fetch it"), finding(hint="fetch it"), finding("other", hint="fetch it")]
    text = shown(*same)
    assert text.count("hint: fetch it") == 2
    assert text.index("hint") > text.rindex("error truncated")


def test_a_finding_names_its_place() -> None:
    assert "\nerror truncated in a.b\n  it ends early\n" in shown(finding(name="a.b"))
    assert "\nerror truncated\n" in shown(finding())


def test_text_of_others_is_escaped() -> None:
    text = shown(finding(name="a\x1b[2J", message="b\u202e", hint="c\nd"))
    assert not {"\x1b", "\u202e"} & set(text)


def test_paragraphs_keep_to_the_width_but_never_to_less_than_twenty() -> None:
    message = " ".join(["word"] * 40)
    assert max(map(len, shown(finding(message=message), width=40).splitlines())) <= 40
    assert max(map(len, shown(finding(message=message), width=5).splitlines()[3:-2])) <= 22
    assert "  " + message in shown(finding(message=message))


def test_colour_only_repeats_what_words_say() -> None:
    plain, coloured = shown(finding(hint="x")), shown(finding(hint="x"), inks=INKS)
    assert without_inks(coloured) == plain
    assert "<error>error</error>" in coloured


def test_without_findings_the_closing_line_stands_alone() -> None:
    assert shown() == "m.pt\nclosing\n"
