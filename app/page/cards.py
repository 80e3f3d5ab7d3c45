"""The card in the answer's place: a placeholder, the stage, what is wrong, or the answer.

All text that is not a literal here passes through `html.escape`. `data-spoken` of a card is what
`page.js` announces to screen readers, and reads aloud on request; `data-time` tells it a new card
from the same one rendered again.
"""

from __future__ import annotations

import time
from html import escape

from app.answers.known_inputs import KnownInputs
from app.answers.service import Reply
from app.answers.stages import Stage
from lxcompress.vision.region_names import region_names
from lxcompress.vision.regions import Regions

PLACEHOLDER = (
    '<div class="lx-answer lx-placeholder"><p class="lx-text">The answer appears here. '
    "Choose a picture and ask a question.</p></div>"
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
    body = f'<p class="lx-text">Looking at the picture…</p><ol class="lx-stages">{items}</ol>'
    return _card("busy", body, f"{_STAGES[stage]}.")


def render_ready(regions: Regions) -> str:
    """That a picture's regions are known, with the names of what is in them if they have any."""
    found = [name for name in region_names(regions) if name is not None]
    names = list(dict.fromkeys(found))[:_MAX_LISTED_OBJECTS]
    text = "The picture is ready; ask a question."
    if names:
        text += f" Found in it: {', '.join(names)}."
    return _card("placeholder", f'<p class="lx-text">{escape(text)}</p>', text)


def render_error(message: str) -> str:
    """What is wrong with the picture or the question."""
    text = f"{message[:1].upper()}{message[1:]}."
    return _card("error", f'<p class="lx-text">{escape(text)}</p>', text, is_alert=True)


def render_objection(objection: str, known: KnownInputs) -> str:
    """Why no answer is given, and which pictures the model was trained on."""
    headline = "No answer for this picture"
    body = (
        f'<p class="lx-headline">{headline}</p>'
        f'<p class="lx-text">{escape(objection)} The model was only trained on '
        f"{escape(known.pictures)}. Any answer would be a guess.</p>"
    )
    return _card("objection", body, f"{headline}. {objection}", is_alert=True)


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
    looked = ""
    if reply.looked_at:
        looked = f'<p class="lx-looked">Looked most at: {escape("; ".join(reply.looked_at))}.</p>'
    notes = "".join(f'<p class="lx-note">{escape(note)}</p>' for note in reply.notes)
    body = (
        f'<p class="lx-question">{escape(reply.question)}</p>'
        f'<p class="lx-headline">{escape(display_answer(reply.main.text))}</p>'
        f"{agreement}{looked}{notes}"
    )
    return _card("given", body, _describe(reply))


def _describe(reply: Reply) -> str:
    """The answer card as sentences."""
    assert reply.main
    sentences = [f"Answer: {display_answer(reply.main.text)}."]
    if reply.agree:
        sentences.append("The dense model gives the same answer.")
    elif reply.dense is not None:
        sentences.append(f"The dense model answers: {display_answer(reply.dense.text)}.")
    if reply.looked_at:
        sentences.append(f"Looked most at: {'; '.join(reply.looked_at)}.")
    return " ".join([*sentences, *reply.notes])


def display_answer(answer: str) -> str:
    """An answer as the page shows it: LXMERT's own answer list contains the empty string."""
    return answer or "(nothing)"


def _card(kind: str, body: str, spoken: str, *, is_alert: bool = False) -> str:
    role = ' role="alert"' if is_alert else ""
    return (
        f'<div class="lx-answer lx-{kind}"{role} data-time="{time.monotonic_ns()}" '
        f'data-spoken="{escape(spoken)}">{body}</div>'
    )
