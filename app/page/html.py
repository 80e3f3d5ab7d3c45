"""The page's HTML but for the answer's card; what is no literal here passes `html.escape`."""

from __future__ import annotations

from html import escape
from pathlib import Path

from app.answers.known_inputs import KnownInputs
from app.answers.models import Answer, Model
from app.answers.service import Reply, Service
from app.answers.speedup import FEWEST_QUESTIONS, Speedup
from app.page.cards import display_answer
from lxcompress.system.hub import is_hub_id

_MAX_LISTED_ANSWERS = 200


def render_header(service: Service) -> str:
    """The title and one sentence about the models."""
    main, dense = service.models.main, service.models.dense
    if dense is None:
        kind = "a pruned LXMERT" if main.sparsity else "an LXMERT"
        text = (
            f"<b>{escape(_short_name(service.name))}</b>, {kind} ({escape(main.precision)}, "
            f"{main.bytes / 1e6:,.0f} MB), answers questions about "
            f"{escape(service.known.pictures)}."
        )
    else:
        text = (
            "A pruned LXMERT (the ticket) and the dense model answer side by side. The ticket’s "
            f"file ({escape(main.variant)}) is {main.bytes / dense.bytes:.0%} of the size of the "
            f"dense one ({escape(dense.variant)}). Both were trained on "
            f"{escape(service.known.pictures)}."
        )
    return f'<header class="lx-header"><h1>Ask a picture</h1><p>{text}</p></header>'


def render_speech() -> str:
    """Controls to hear answers and to dictate questions, which `page.js` shows where they work."""
    return (
        '<div id="lx-live" class="lx-hidden" role="status" aria-live="polite"></div>'
        '<div class="lx-speech">'
        '<button type="button" id="lx-aloud" aria-pressed="false" aria-keyshortcuts="F8" hidden>'
        "Read answers aloud <kbd>F8</kbd></button>"
        '<p id="lx-no-voice" class="lx-small" role="status" hidden>This browser has no voice on '
        "this machine, so nothing is read.</p>"
        '<details id="lx-dictation" hidden><summary>Dictate the question</summary>'
        '<p class="lx-small">Your browser recognises the speech. Chrome sends the recording to '
        "Google for that, and other browsers may send it to their makers; this page’s server gets "
        "only the text.</p>"
        '<button type="button" id="lx-dictate">Start dictation</button>'
        '<p id="lx-dictation-status" class="lx-small" role="status"></p></details></div>'
    )


def _short_name(model: str) -> str:
    """A hub id, or the last part of a path: the page does not show where a folder lies."""
    path = Path(model)
    return model if is_hub_id(model) and not path.exists() else path.resolve().name


def render_probabilities(reply: Reply, service: Service) -> str:
    """The five most probable answers of each model as bars, with latency and file size."""
    if reply.main is None:
        return ""
    ticket, dense = service.models.main, service.models.dense
    notes = "Each bar is the probability of that answer alone; they need not add up to 100%."
    if dense is None or reply.dense is None:
        sections = _render_model("Model", reply.main, ticket)
    else:
        sections = _render_model("Ticket", reply.main, ticket)
        sections += _render_model("Dense", reply.dense, dense)
        notes = f"{_describe_speed(ticket, dense, service.speedups.summarize())} {notes}"
    return f'<div class="lx-models">{sections}</div><p class="lx-small">{notes}</p>'


def _describe_speed(ticket: Model, dense: Model, speedup: Speedup) -> str:
    """How much faster the ticket is, if that is its own gain; else what explains the times."""
    precision, other = escape(ticket.precision), escape(dense.precision)
    if precision != other:
        text = (
            f"The ticket computes in {precision}, the dense model in {other}; the precision "
            "changes the latency"
        )
        if ticket.compact:
            return (
                f"{text} too. <code>--dense-variant {precision}</code> compares both in one "
                "precision."
            )
        return f"{text}. The zeros only make the file smaller."
    if not ticket.compact:
        return "The ticket’s zeros make its file smaller, not faster."
    fewer = "The ticket has fewer heads and neurons than the dense model"
    over = f"the {speedup.questions:,} questions so far (both in {precision}, in ONNX Runtime)"
    if speedup.questions < FEWEST_QUESTIONS:
        return (
            f"{fewer}. How much faster that makes it is shown from {FEWEST_QUESTIONS} questions "
            f"on; there have been {speedup.questions}."
        )
    if not speedup.significant:
        return f"{fewer}, but was not measurably faster over {over}."
    return f"{fewer} and answers <b>{speedup.median:.1f} times as fast</b>: the median over {over}."


def _render_model(name: str, answer: Answer, model: Model) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(display_answer(text))}</th><td><span class="lx-bar" '
        f'style="width:{100 * probability:.1f}%"></span></td>'
        f"<td>{_display_probability(probability)}</td></tr>"
        for text, probability in answer.likeliest
    )
    facts = (
        f"<span>{model.bytes / 1e6:.2f} MB</span> <span>{answer.milliseconds:.1f} ms</span> "
        f"<span>{escape(model.precision)}</span>"
    )
    if model.sparsity:
        facts += f" <span>{model.sparsity:.0%} pruned</span>"
    return (
        f'<section class="lx-{name.lower()}"><h2>{name}</h2><p class="lx-facts">{facts}</p>'
        f"<table><caption>The {_model_name(name)}’s most probable answers</caption>"
        f'<colgroup><col class="lx-name"><col><col class="lx-share"></colgroup>{rows}</table>'
        "</section>"
    )


def _model_name(heading: str) -> str:
    return "model" if heading == "Model" else f"{heading.lower()} model"


def _display_probability(probability: float) -> str:
    percent = 100 * probability
    if percent < 0.1:
        return "&lt;0.1%"
    return f"{percent:.1f}%" if percent < 10 else f"{percent:.0f}%"


def render_regions_heading(service: Service) -> str:
    """The heading of the picture of regions, and how attention is computed."""
    name = "model" if service.models.dense is None else "ticket"
    return (
        f'<div class="lx-regions-heading"><h2>Where the {name} looked</h2><p class="lx-small">'
        "Share of the attention from [CLS] in the last cross-modality layer, mean over the heads."
        "</p></div>"
    )


def render_known_inputs(known: KnownInputs) -> str:
    """A collapsed section: the pictures, answers and words that the model was trained on."""
    answers = ", ".join(
        escape(display_answer(text)) for text in known.answers[:_MAX_LISTED_ANSWERS]
    )
    rest = len(known.answers) - _MAX_LISTED_ANSWERS
    more = f" and {rest:,} more" if rest > 0 else ""
    words = ""
    if known.words:
        listed = ", ".join(escape(word) for word in known.words)
        words = f"<h2>The {len(known.words)} words of its questions</h2><p>{listed}</p>"
    return (
        '<details class="lx-about"><summary>What the model was trained on</summary>'
        f"<h2>Its pictures</h2><p>{escape(known.pictures)}; regions "
        f"from the {escape(known.detector)} detector.</p>"
        f"<h2>Its {len(known.answers):,} answers</h2><p>{answers}{more}</p>{words}</details>"
    )


def render_client_example(address: str, service: Service) -> str:
    """A collapsed section: how to ask a question from Python."""
    printed = 'reply["answer"]' + (', reply["agree"]' if service.models.dense else "")
    code = (
        "from gradio_client import Client, handle_file\n\n"
        f'client = Client("{address}")\n'
        "reply = client.predict(\n"
        '    handle_file("picture.png"), "how many shapes are there?", api_name="/ask"\n'
        ")\n"
        f"print({printed})"
    )
    return (
        '<details class="lx-about"><summary>Ask from Python</summary>'
        f'<pre tabindex="0"><code>{escape(code)}</code></pre></details>'
    )
