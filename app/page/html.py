"""The page's HTML. Every text in it that is not ours passes through `html.escape`."""

from __future__ import annotations

from html import escape

from app.answers.known_inputs import Knowledge
from app.answers.models import Answer, Model
from app.answers.service import Reply, Service

PLACEHOLDER = (
    '<div class="lx-answer lx-quiet"><p class="lx-hint">The answer appears here. '
    "Choose a picture and ask, or take an example.</p></div>"
)


def head(knowledge: Knowledge, service: Service) -> str:
    """Title and one sentence on what this is."""
    ticket, dense = service.pair.ticket, service.pair.dense
    share = f"{ticket.bytes / dense.bytes:.0%}"
    return (
        '<header class="lx-head"><h1>Ask a picture</h1><p>A pruned LXMERT answers next to the '
        f"dense model it was found in, from a file of {share} of the size. "
        f"Both have learnt {escape(knowledge.data)}: {escape(knowledge.pictures)}.</p></header>"
    )


def problem(text: str) -> str:
    """What is wrong with a picture or a question."""
    said = text[:1].upper() + text[1:]
    return (
        '<div class="lx-answer lx-problem" role="alert"><p class="lx-hint">'
        f"{escape(said)}.</p></div>"
    )


def objection(text: str, knowledge: Knowledge) -> str:
    """Why no answer is given, and what the model knows."""
    return (
        '<div class="lx-answer lx-objection" role="alert">'
        '<p class="lx-word">This model cannot tell</p>'
        f'<p class="lx-hint">{escape(text)} The model has only learnt '
        f"{escape(knowledge.data)}: {escape(knowledge.pictures)}. "
        "Any answer would be a guess, so none is given.</p></div>"
    )


def answer(reply: Reply, knowledge: Knowledge) -> str:
    """The ticket's answer in words, whether the dense model agrees, and reservations."""
    if reply.objection is not None:
        return objection(reply.objection, knowledge)
    assert reply.ticket and reply.dense
    if reply.agree:
        agreement = '<p class="lx-agree">✓ The dense model gives the same answer.</p>'
    else:
        other = escape(in_words(reply.dense.text))
        agreement = f'<p class="lx-differ">✗ The dense model says <b>{other}</b>.</p>'
    notes = "".join(f'<p class="lx-note">{escape(note)}</p>' for note in reply.notes)
    return (
        '<div class="lx-answer" role="status">'
        f'<p class="lx-question">{escape(reply.question)}</p>'
        f'<p class="lx-word">{escape(in_words(reply.ticket.text))}</p>'
        f"{agreement}{notes}</div>"
    )


def bars(reply: Reply, service: Service) -> str:
    """The five likeliest answers of both models, with latency and size."""
    if reply.ticket is None or reply.dense is None:
        return ""
    pair = service.pair
    words = "Each bar is the probability of that answer alone; they need not add up to 100%."
    if pair.ticket.precision != pair.dense.precision:
        words += (
            f" The ticket’s file computes in {pair.ticket.precision}, the dense one in "
            f"{pair.dense.precision}; that changes the time, while zeros only make a file smaller."
        )
    else:
        words += " The ticket’s zeros make its file smaller, not faster."
    return (
        '<div class="lx-models">'
        f"{_model('Ticket', reply.ticket, pair.ticket)}{_model('Dense', reply.dense, pair.dense)}"
        f'</div><p class="lx-small">{words}</p>'
    )


def _model(name: str, given: Answer, model: Model) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(in_words(text))}</th><td><span class="lx-bar" '
        f'style="width:{100 * probability:.1f}%"></span></td>'
        f"<td>{_percent(probability)}</td></tr>"
        for text, probability in given.likeliest
    )
    facts = (
        f"<span>{model.bytes / 1e6:.2f} MB</span> <span>{given.milliseconds:.1f} ms</span> "
        f"<span>{escape(model.precision)}</span>"
    )
    if model.sparsity:
        facts += f" <span>{model.sparsity:.0%} zeros</span>"
    return (
        f'<section class="lx-{name.lower()}"><h2>{name}</h2><p class="lx-facts">{facts}</p>'
        f"<table><caption>The {name.lower()} model’s likeliest answers</caption>{rows}</table>"
        "</section>"
    )


def _percent(probability: float) -> str:
    percent = 100 * probability
    if percent < 0.1:
        return "&lt;0.1%"
    return f"{percent:.1f}%" if percent < 10 else f"{percent:.0f}%"


def regions_heading() -> str:
    """What the picture of regions shows."""
    return (
        '<div class="lx-seen"><h2>What the ticket looked at</h2><p class="lx-small">Regions by '
        "their share of the last cross-modality attention, from [CLS], mean over the heads.</p>"
        "</div>"
    )


def about(knowledge: Knowledge) -> str:
    """All that the model knows: its answers, and its words where they are few."""
    answers = ", ".join(escape(in_words(text)) for text in knowledge.answers[:200])
    more = f" and {len(knowledge.answers) - 200:,} more" if len(knowledge.answers) > 200 else ""
    words = ""
    if knowledge.words:
        listed = ", ".join(escape(word) for word in knowledge.words)
        words = f"<h3>The {len(knowledge.words)} words it reads</h3><p>{listed}</p>"
    return (
        '<details class="lx-about"><summary>What the model knows</summary>'
        f"<h3>Its pictures</h3><p>{escape(knowledge.data)}: {escape(knowledge.pictures)}; regions "
        f"by the {escape(knowledge.detector)} detector.</p>"
        f"<h3>Its {len(knowledge.answers):,} answers</h3><p>{answers}{more}</p>{words}</details>"
    )


def usage(address: str) -> str:
    """How to ask from Python."""
    code = (
        "from gradio_client import Client, handle_file\n\n"
        f'client = Client("{address}")\n'
        "reply = client.predict(\n"
        '    handle_file("picture.png"), "how many shapes are there?", api_name="/ask"\n'
        ")\n"
        'print(reply["answer"], reply["agree"])'
    )
    return (
        '<details class="lx-about"><summary>Ask from Python</summary>'
        f'<pre tabindex="0"><code>{escape(code)}</code></pre></details>'
    )


def in_words(text: str) -> str:
    """An answer as it is shown: LXMERT's own list holds the empty text."""
    return text or "(nothing)"
