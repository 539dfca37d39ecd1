"""How a settled reply reads: HTML, Markdown and plain text."""

from __future__ import annotations

import json
import re
import time
from html import unescape

import pytest
from markdown_it import MarkdownIt
from replies import PIXEL, called, ended, image, reply, said, thought

from claude_magic._markdown import finished_length
from claude_magic._render.parts.block import block_html
from claude_magic._render.parts.markdown_html import MARKDOWN_LIMIT, text_html
from claude_magic._render.parts.safe_markdown import text_markdown
from claude_magic._render.settled.comparison import failure_words, output_bundle, output_metadata
from claude_magic._render.settled.reply import SettledReply, reply_bundle, reply_html, reply_markdown, reply_plain
from claude_magic.errors import TurnInterrupted, TurnTimeoutError
from claude_magic.sdk.events import Notice, TextDelta
from claude_magic.sdk.response import SessionAwareResponse, fold

REPLY = """\
# Title

Some *text* with **weight**, ~~struck~~, `code`, `a < b`, $5 and $10, snake_case, 2 * 3 and [a link](https://x.example/?a=1&b=2).

- one
- two
  - nested

3. three
4. four

> quoted
> lines

| name | n |
|:-----|--:|
| a    | 1 |

```python
print("<b>")
```

---

The end\\! $e^x$
"""


def words(html: str) -> str:
    return " ".join(unescape(re.sub("<[^>]+>", " ", html)).split())


def test_markdown_reads_the_same_after_it_was_written_anew() -> None:
    """The neutral Markdown renders as the original does."""
    render = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).render
    reply = REPLY.replace("$5", "5").replace("$10", "10")
    original = reply.replace("`a < b`", "a &lt; b")
    assert render(text_markdown(reply)).replace(' start="3"', "") == render(original).replace(' start="3"', "")
    assert text_markdown(text_markdown(reply)) == text_markdown(reply)


def test_html_without_its_style_is_a_readable_text() -> None:
    """Code hosts strip styles: words stay apart, and the footer says the same."""
    html = reply_html(SettledReply(called("Bash", {"command": "ls"}, "a.py", duration_s=0.1), 3))
    assert words(html).startswith("Bash ls ✓ 0.1 s ls a.py")
    assert words(reply_html(SettledReply(said("hello"), 3))) == (
        "hello turn 3 opus-5-5 6.2 s 1,840 in · 212 out $ 0.021 681fea2c"
    )


def test_html_is_whole_inside_markdown() -> None:
    """`nbconvert --to markdown` takes the HTML: no blank line ends it there, so that nothing in code is read as Markdown."""
    code = "def f():\n\n    # no heading\n  \n\n# nor this\n```no fence"
    response = called("Bash", {"command": code}, code)
    fold(response, TextDelta(1, f"````python\n{code}\n````"))
    html = reply_html(SettledReply(response, 3))
    assert MarkdownIt("commonmark").render(html).rstrip() == html
    assert "def f():\n\n    # no heading\n" in re.sub("<[^>]+>", "", unescape(html))


def test_where_a_turn_began_is_said() -> None:
    """The footer says in a few words where a turn began, in every form; not of what never became a turn."""
    settled = SettledReply(said("hello"), 3, note="from turn 1")
    for text in (words(reply_html(settled)), reply_markdown(settled), reply_plain(settled)):
        assert "from turn 1" in text
    assert "from turn 1" not in reply_plain(SettledReply(said("hello"), note="from turn 1"))


def test_a_reply_of_one_sentence_is_small() -> None:
    """All forms and metadata of one sentence take less than 2.5 kB of a notebook, without a style sheet."""
    settled = [SettledReply(said("The capital of France is Paris."), 3)]
    output = {"data": output_bundle(settled, 1), "metadata": output_metadata(settled, 1), "output_type": "display_data"}
    written = json.dumps(output, indent=1)
    assert len(written) < 2500
    assert "<style" not in written


def test_a_longer_reply_is_its_text_in_three_forms() -> None:
    """What prose takes beside 1.5 kB is its text in HTML, Markdown and plain text, with little around it."""
    text = "A paragraph of prose with `code` and **bold** text that goes on for a while, and then some more.\n\n" * 100
    written = json.dumps(output_bundle([SettledReply(said(text), 3)], 1))
    assert len(written) < 1500 + 3.7 * len(text)


def test_every_piece_has_its_style_with_it() -> None:
    """JupyterLab takes style sheets out of an untrusted notebook: each element says how it looks, in what is kept there."""
    html = reply_html(SettledReply(called("Bash", {"command": "ls"}, "a.py", duration_s=0.1), 3))
    assert re.search(r'<div class="claude-magic" style="[^"]*border-left:', html)
    assert re.search(r'<pre style="[^"]*border:', html)
    declared = " ".join(re.findall(r'style="([^"]*)"', html))
    assert "var(" not in declared
    assert "color-mix" not in declared


def test_a_text_that_looks_like_an_element_keeps_its_words() -> None:
    """Only elements of ours are given a style: the same letters in a reply stay as they were written."""
    written = 'say <pre class="claude-tool"> or `<td>` or class="claude-footer"'
    assert written.replace("`", "") in words(reply_html(SettledReply(said(written))))


def test_code_is_highlighted_when_its_language_is_known() -> None:
    """A fence of a known language has bold keywords, another one is plain."""
    assert "<b>import</b>" in text_html("```python\nimport a\n```")
    assert text_html("```nonesuch\nimport a\n```") == "<pre><code>import a\n</code></pre>\n"


def test_an_image_becomes_a_link() -> None:
    """Nothing is loaded because a reply mentions an image; one can follow the link to it."""
    assert 'href="https://x.example/a.png"' in text_html("![a plot](https://x.example/a.png)")
    assert ">a plot</a>" in text_html("![a plot](https://x.example/a.png)")
    assert text_html("[![a](https://x.example/a.png)](https://y.example)").count("<a ") == 1


def test_a_tool_call_opens_to_its_input_and_result() -> None:
    """A call is one folded line; inside are the whole input as code, and the result with its images."""
    response = called("Edit", {"file_path": "a.py", "old_string": "x = 1", "new_string": "x = 2"}, "done")
    html = block_html(response.blocks[0])
    assert html.startswith('<details class="claude-tool"><summary><b>Edit</b> <code>a.py</code>')
    assert '<span class="gd">-x = 1</span>' in html
    assert '<span class="gi">+x = 2</span>' in html
    shown = block_html(called("Read", {}, "", images=(image("image/png"),)).blocks[0])
    assert f'src="data:image/png;base64,{PIXEL}" alt="Image from Read">' in shown


def test_a_figure_is_saved_once() -> None:
    """The figures of code that Claude ran in the kernel are the cell's own output, and the call says so."""
    figures = (image("image/png"), image("image/png"))
    for count, words in enumerate(("A figure in the output of this cell.", "2 figures in the output of this cell."), 1):
        shown = block_html(called("mcp__kernel__run_code", {"code": "plot()"}, "", images=figures[:count]).blocks[0])
        assert words in shown
        assert "<img" not in shown


def test_a_long_result_is_cut_in_the_middle() -> None:
    """A result of a megabyte is shown by its beginning and end, with a note between them."""
    html = block_html(called("Bash", {"command": "x"}, "a" * 1_000_000).blocks[0])
    assert len(html) < 20_000
    assert "990,001 characters left out" in html


def test_thinking_is_folded() -> None:
    """Thinking is one line that opens; without text it is only the line."""
    assert block_html(thought("Hm.").blocks[0]).startswith(
        '<details class="claude-thinking"><summary>Thought for 3 s</summary>'
    )
    assert "<details" not in block_html(thought("").blocks[0])


def test_an_empty_answer_says_so() -> None:
    """Where Claude ended a turn without a word, the cell says that, and not only what it cost."""
    for form in reply_bundle(SettledReply(reply(ended("")), 3)).values():
        assert "Claude answered nothing." in form


def test_an_interrupted_turn_says_so() -> None:
    """An interrupt is one line below what had arrived."""
    response = reply(TextDelta(0, "We begin"), ended("", is_error=True, duration_s=3.1, usage={}, cost_usd=None))
    said_so = "Interrupted. What had arrived is above; the next cell continues this session."
    failure = TurnInterrupted("stopped")
    for text in (
        words(reply_html(SettledReply(response, 6, failure))),
        reply_markdown(SettledReply(response, 6, failure)),
        reply_plain(SettledReply(response, 6, failure)),
    ):
        assert said_so in text
        assert "TurnInterrupted" not in text
        assert "We begin" in text


def test_a_remark_is_nothing_of_an_answer() -> None:
    """Where only a remark stands above a failed turn, nothing says that something had arrived."""
    response = reply(Notice("compacted"), ended("", is_error=True))
    assert "What had arrived" not in reply_plain(SettledReply(response, 6, TurnTimeoutError("late")))
    assert failure_words(SettledReply(response, 6, TurnInterrupted("stopped")))[1] == "Interrupted. Nothing had arrived."


def test_hebrew_and_arabic_run_as_they_are_read() -> None:
    """A paragraph, item or heading with such letters has the direction of its first letter; others say nothing."""
    html = text_html("## \u05e2\u05d1\n\n\u05e9\u05dc\u05d5\u05dd `code`.\n\n- \u0645\u0631\n- b\n\nEnglish")
    assert re.findall(r"<(\w+) dir=\"auto\">", html) == ["h2", "p", "li"]


def test_a_long_argument_leaves_room_for_the_outcome() -> None:
    """On the line of a tool call its argument is cut; unfolded, the call is whole."""
    command = "echo " + "word " * 30
    html = block_html(called("Bash", {"command": command}, "out").blocks[0])
    assert re.findall("<code>(.{60})</code> <span", html) == [command[:59].rstrip() + "…"]
    assert command.strip() in unescape(html)


def test_a_property_is_said_once() -> None:
    """What a class says of a property replaces what its element says."""
    for style in re.findall('style="([^"]*)"', reply_html(SettledReply(called("Bash", {"command": "ls"}, "a"), 3))):
        names = [part.partition(":")[0] for part in style.split(";")]
        assert len(names) == len(set(names))


def test_a_failed_turn_is_labelled() -> None:
    """What had arrived before an error is labelled; why it failed is left to the cell's error output."""
    response = reply(TextDelta(0, "We begin"))
    failure = TurnTimeoutError("The turn took longer than 1 s.", stderr="boom")
    html = reply_html(SettledReply(response, None, failure))
    assert "border-color:#d9483b" in html
    assert "Not finished (TurnTimeoutError). What had arrived is above." in words(html)
    assert "boom" not in html
    assert reply_plain(SettledReply(SessionAwareResponse(session_id="s"), None, failure)) == "s"
    assert reply_plain(SettledReply(SessionAwareResponse(), None, failure)) == "Nothing had arrived."


def test_plain_text_is_the_answer_as_it_was_written() -> None:
    """Plain text holds the Markdown of the answer untouched, tools and remarks one line each, and the footer."""
    response = called("Bash", {"command": "ls"}, "a.py", duration_s=0.1)
    for event in (Notice("A remark."), TextDelta(1, "**Done** <b>"), ended("**Done** <b>")):
        fold(response, event)
    assert reply_plain(SettledReply(response, 2)) == (
        "Bash  ls  ✓ 0.1 s\nA remark.\n\n**Done** <b>\n\nturn 2 · opus-5-5 · 6.2 s · 1,840 in · 212 out · $0.021 · 681fea2c"
    )


@pytest.mark.parametrize("step", [1, 3, 7, 50])
def test_pieces_of_a_growing_text_render_as_the_whole(step: int) -> None:
    """Cutting a growing text where it is finished, again and again, gives the HTML of the whole."""
    pieces, done = [], 0
    for end in [*range(0, len(REPLY), step), len(REPLY)]:
        length = finished_length(REPLY[done:end])
        pieces.append(REPLY[done : done + length])
        done += length
    pieces.append(REPLY[done:])
    assert len([piece for piece in pieces if piece]) > 3
    assert "".join(map(text_html, pieces)) == text_html(REPLY)


def test_a_list_is_not_cut_before_its_next_number() -> None:
    """A list that may go on is not finished, whatever the last line looks like so far."""
    assert finished_length("1. one\n\n2") == 0
    assert finished_length("1. one\n\ntext\n") == len("1. one\n\n")
    assert finished_length("a\r\n\r\nb\r\n") == len("a\r\n\r\n")


@pytest.mark.long
def test_rendering_is_linear() -> None:
    """Ten times the text takes about ten times as long, in all three forms; deep nesting is no exception."""

    def seconds(text: str) -> float:
        return min(once(text) for _ in range(3))  # the least is what the machine's other work adds least to

    def once(text: str) -> float:
        began = time.process_time()
        reply_html(SettledReply(said(text), 1))
        reply_markdown(SettledReply(said(text), 1))
        return time.process_time() - began

    for unit in (REPLY, "*a ", "**a** [b](https://x.example) ", "`", "- a\n", "> a\n", "$a$ ", "![a](https://x.example) "):
        short, long = unit * 50, unit * 500
        seconds(short)
        assert seconds(long) < 30 * max(seconds(short), 0.005), unit


def test_a_very_long_answer_is_shown_as_it_was_written() -> None:
    """Above a limit, Markdown is not parsed: the text is there, escaped, and the cell ends at once."""
    text = "**x** <script>\n" * (MARKDOWN_LIMIT // 10)
    response = reply(TextDelta(0, text))
    assert "**x** &lt;script&gt;\n" in reply_html(SettledReply(response))
    assert "<script>" not in reply_html(SettledReply(response))
    assert reply_markdown(SettledReply(response)).startswith("```\n**x** <script>\n")


def test_later() -> None:
    """What Claude went on with by itself stands below the reply, in every form, each with its footer, and in the metadata."""
    later = SettledReply(said("It has ended."), 4, about={"how": "by itself"})
    reply = SettledReply(said("I have begun it."), 3, later=(later,))
    for form in reply_bundle(reply).values():
        places = [form.index(text) for text in ("I have begun it.", "turn 3", "It has ended.", "turn 4")]
        assert places == sorted(places)
    told = output_metadata([reply], 1)["claude_magic"]
    assert [(each["turn"], each["how"]) for each in told["later"]] == [(4, "by itself")]
    assert "later" not in told["later"][0]
