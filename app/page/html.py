"""The page's HTML. All text that is not a literal here passes through `html.escape`."""

from __future__ import annotations

from html import escape

from app.answers.known_inputs import KnownInputs
from app.answers.models import Answer, Model
from app.answers.service import Reply, Service
from app.answers.speedup import FEWEST_QUESTIONS, Speedup
from app.answers.stages import Stage
from lxcompress.vision.region_names import region_names
from lxcompress.vision.regions import Regions

_MAX_LISTED_ANSWERS = 200

PLACEHOLDER = (
    '<div class="lx-answer lx-placeholder"><p class="lx-text">The answer appears here. '
    "Choose a picture and ask a question, or try an example.</p></div>"
)


_STAGES = {
    Stage.OPENING: "Opening the picture",
    Stage.WAITING: "Waiting for the pictures before this one",
    Stage.DETECTING: "Detecting regions",
    Stage.ANSWERING: "Answering",
}
_MAX_LISTED_OBJECTS = 8


def render_stage(stage: Stage, last: Stage, detector_seconds: float | None) -> str:
    """What is being done, as a list of stages up to `last`: those before are done.

    detector_seconds: how long the detector took for the latest picture; None if that is not known.
    """
    order = list(Stage)[: list(Stage).index(last) + 1]
    items = ""
    for one in order:
        if one is Stage.WAITING and stage is not one:
            continue
        done = order.index(one) < order.index(stage)
        state = "done" if done else "current" if one is stage else "next"
        took = ""
        if one is Stage.DETECTING and stage in (Stage.WAITING, Stage.DETECTING):
            known = detector_seconds is not None
            took = f" (the latest picture took {detector_seconds:.0f} s)" if known else ""
        items += f'<li class="lx-{state}">{_STAGES[one]}{took}</li>'
    return (
        '<div class="lx-answer lx-busy"><p class="lx-text">Looking at the picture…</p>'
        f'<ol class="lx-stages">{items}</ol></div>'
    )


def render_ready(regions: Regions) -> str:
    """That a picture's regions are known, with the names of what is in them if they have any."""
    found = [name for name in region_names(regions) if name is not None]
    names = list(dict.fromkeys(found))[:_MAX_LISTED_OBJECTS]
    if not names:
        return PLACEHOLDER
    return (
        '<div class="lx-answer lx-placeholder"><p class="lx-text">The picture is ready; ask a '
        f"question. Found in it: {escape(', '.join(names))}.</p></div>"
    )


def render_header(service: Service) -> str:
    """The title and one sentence about the models."""
    main, dense = service.models.main, service.models.dense
    if dense is None:
        pictures = escape(service.known.pictures)
        text = (
            f"<b>{escape(service.name)}</b>, an LXMERT ({escape(main.precision)}, "
            f"{main.bytes / 1e6:,.0f} MB), answers questions about {pictures}."
        )
    else:
        text = (
            "A pruned LXMERT (the ticket) and the dense model answer side by side. The ticket’s "
            f"file ({main.variant}) is {main.bytes / dense.bytes:.0%} of the size of the dense one "
            f"({dense.variant}). Both were trained on {escape(service.known.pictures)}."
        )
    return f'<header class="lx-header"><h1>Ask a picture</h1><p>{text}</p></header>'


def render_error(message: str) -> str:
    """What is wrong with the picture or the question."""
    sentence = message[:1].upper() + message[1:]
    return (
        '<div class="lx-answer lx-error" role="alert"><p class="lx-text">'
        f"{escape(sentence)}.</p></div>"
    )


def render_objection(objection: str, known: KnownInputs) -> str:
    """Why no answer is given, and which pictures the model was trained on."""
    return (
        '<div class="lx-answer lx-objection" role="alert">'
        '<p class="lx-headline">No answer for this picture</p>'
        f'<p class="lx-text">{escape(objection)} The model was only trained on '
        f"{escape(known.pictures)}. "
        "Any answer would be a guess.</p></div>"
    )


def render_answer(reply: Reply, known: KnownInputs) -> str:
    """The answer, whether the dense model agrees if there is one, and notes; or the objection."""
    if reply.objection is not None:
        return render_objection(reply.objection, known)
    assert reply.main
    if reply.dense is None:
        agreement = ""
    elif reply.agree:
        agreement = '<p class="lx-agree">✓ The dense model gives the same answer.</p>'
    else:
        other = escape(display_answer(reply.dense.text))
        agreement = f'<p class="lx-disagree">✗ The dense model answers <b>{other}</b>.</p>'
    notes = "".join(f'<p class="lx-note">{escape(note)}</p>' for note in reply.notes)
    return (
        '<div class="lx-answer" role="status">'
        f'<p class="lx-question">{escape(reply.question)}</p>'
        f'<p class="lx-headline">{escape(display_answer(reply.main.text))}</p>'
        f"{agreement}{notes}</div>"
    )


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
        f"<table><caption>The {_model_name(name)}’s most probable answers</caption>{rows}</table>"
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
        words = f"<h3>The {len(known.words)} words of its questions</h3><p>{listed}</p>"
    return (
        '<details class="lx-about"><summary>What the model was trained on</summary>'
        f"<h3>Its pictures</h3><p>{escape(known.pictures)}; regions "
        f"from the {escape(known.detector)} detector.</p>"
        f"<h3>Its {len(known.answers):,} answers</h3><p>{answers}{more}</p>{words}</details>"
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


def display_answer(answer: str) -> str:
    """An answer as the page shows it: LXMERT's own answer list contains the empty string."""
    return answer or "(nothing)"
