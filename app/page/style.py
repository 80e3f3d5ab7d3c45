"""The page's theme, with system fonts, its script, and CSS for what Gradio does not cover."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

SCRIPT = Path(__file__).with_name("page.js")

_FONTS = ["system-ui", "-apple-system", "Segoe UI", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "monospace"]


def theme() -> gr.themes.Base:
    """A plain theme that loads no fonts from the network."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_lg,
        font=_FONTS,
        font_mono=_MONO,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_800",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_700",
        button_primary_text_color="white",
    )


CSS = """
:root { --lx-ticket: #4f46e5; --lx-dense: #0f766e; --lx-bad: #b91c1c; --lx-warn: #92400e;
  --lx-warn-background: #fef3c7; --lx-card: #ffffff; --lx-line: #e2e8f0; --lx-ink: #0f172a;
  --lx-muted: #475569; }
.dark { --lx-ticket: #a5b4fc; --lx-dense: #5eead4; --lx-bad: #fca5a5; --lx-warn: #fde68a;
  --lx-warn-background: #422006; --lx-card: #0f172a; --lx-line: #1e293b; --lx-ink: #f1f5f9;
  --lx-muted: #a3b1c6; }
.gradio-container { width: 100% !important; max-width: 1180px !important;
  margin: 0 auto !important; }
footer { display: none !important; }
.gradio-container .html-container { padding: 0; }
.lx-header h1 { font-size: 2rem; font-weight: 700; margin: 0.6rem 0 0.2rem; color: var(--lx-ink); }
.lx-header p { font-size: 1.05rem; line-height: 1.5; margin: 0 0 0.4rem; color: var(--lx-muted);
  max-width: 62ch; }
.lx-answer { background: var(--lx-card); border: 1px solid var(--lx-line); border-radius: 12px;
  padding: 1.1rem 1.3rem; overflow-wrap: anywhere; color: var(--lx-ink); }
.lx-answer p { margin: 0; color: inherit; }
.lx-answer .lx-question { color: var(--lx-muted); font-size: 1.05rem; }
.lx-answer .lx-headline { font-size: 2.6rem; line-height: 1.2; font-weight: 700;
  margin: 0.15rem 0 0.3rem; }
.lx-answer .lx-text { line-height: 1.5; }
.lx-answer .lx-agree { color: var(--lx-dense); }
.lx-answer .lx-disagree { color: var(--lx-warn); }
.lx-answer .lx-looked { color: var(--lx-muted); }
.lx-answer .lx-note { background: var(--lx-warn-background); color: var(--lx-warn);
  margin-top: 0.7rem; padding: 0.5rem 0.8rem; border-radius: 8px; line-height: 1.45; }
.lx-placeholder { min-height: 12rem; display: grid; place-items: center; text-align: center; }
.lx-placeholder .lx-text { color: var(--lx-muted); max-width: 34ch; }
.lx-stages { list-style: none; padding: 0; margin: 0.6rem 0 0; }
.lx-stages li { padding: 0.15rem 0; color: var(--lx-muted); }
.lx-stages li::before { content: "○"; display: inline-block; width: 1.6em; }
.lx-stages .lx-done::before { content: "✓"; color: var(--lx-dense); }
.lx-stages .lx-current { color: var(--lx-ink); font-weight: 600; }
.lx-stages .lx-current::before { content: "●"; color: var(--lx-ticket);
  animation: lx-pulse 1.2s ease-in-out infinite; }
@keyframes lx-pulse { 50% { opacity: 0.25; } }
@media (prefers-reduced-motion: reduce) { .lx-stages .lx-current::before { animation: none; } }
.lx-error { border-color: var(--lx-bad); }
.lx-error .lx-text { color: var(--lx-bad); }
.lx-objection .lx-headline { font-size: 1.6rem; color: var(--lx-warn); }
.lx-models { display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr));
  gap: 1rem; }
.lx-models section { background: var(--lx-card); border: 1px solid var(--lx-line);
  border-radius: 12px; padding: 0.9rem 1rem; min-width: 0; }
.lx-models h2 { font-size: 1.05rem; font-weight: 650; margin: 0; }
.lx-ticket h2, .lx-model h2 { color: var(--lx-ticket); }
.lx-dense h2 { color: var(--lx-dense); }
.lx-models .lx-facts { margin: 0.15rem 0 0.6rem;
  font-variant-numeric: tabular-nums; }
.lx-models .lx-facts span { color: var(--lx-muted); font-size: 0.85rem; white-space: nowrap; }
.lx-facts span:not(:last-child)::after { content: " ·"; }
.lx-models table { width: 100%; border-collapse: collapse; table-layout: fixed; margin: 0; }
.lx-models caption, .lx-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
.lx-models :is(table, tbody, tr, th, td) { border: 0 !important; background: none !important;
  color: var(--lx-ink); }
.lx-models .lx-name { width: 32%; }
.lx-models .lx-share { width: 4rem; }
.lx-models th { text-align: left; font-weight: 500; padding: 0.22rem 0.6rem 0.22rem 0;
  overflow-wrap: anywhere; }
.lx-models td { padding: 0.22rem 0; }
.lx-models td:last-child { text-align: right; font-variant-numeric: tabular-nums;
  color: var(--lx-muted); }
.lx-bar { display: block; height: 0.85rem; min-width: 2px; border-radius: 4px;
  background: var(--lx-ticket); }
.lx-dense .lx-bar { background: var(--lx-dense); }
.lx-small { color: var(--lx-muted) !important; font-size: 0.85rem !important; line-height: 1.45;
  margin: 0.5rem 0 0 !important; }
.lx-regions-heading h2 { font-size: 1.05rem; font-weight: 650; margin: 0; color: var(--lx-ink); }
.lx-about { border-top: 1px solid var(--lx-line); padding: 0.7rem 0; color: var(--lx-ink); }
.lx-about summary { cursor: pointer; font-weight: 600; }
.lx-about h2 { font-size: 0.95rem; font-weight: 600; margin: 0.8rem 0 0.2rem; }
.lx-about p { margin: 0; line-height: 1.5; color: var(--lx-muted); overflow-wrap: anywhere; }
.lx-about pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: 0.8rem;
  border-radius: 8px; margin: 0.6rem 0 0; background: var(--lx-card);
  border: 1px solid var(--lx-line); font-size: 0.9rem; }
.lx-speech { display: grid; gap: 0.4rem; color: var(--lx-ink); }
.lx-speech [hidden] { display: none; }
.lx-speech button { justify-self: start; padding: 0.35rem 0.8rem; border-radius: 8px;
  font-size: 0.9rem; font-weight: 500;
  border: 1px solid var(--lx-line); background: var(--lx-card); color: var(--lx-ink); }
.lx-speech button:hover, .lx-speech button[aria-pressed=true] { border-color: var(--lx-ticket); }
.lx-speech button[aria-pressed=true]::before { content: "✓ "; color: var(--lx-dense); }
.lx-speech kbd { margin-left: 0.3rem; padding: 0 0.35rem; border-radius: 4px;
  border: 1px solid var(--lx-line); color: var(--lx-muted); font-size: 0.85em; }
@media (pointer: coarse) { .lx-speech kbd { display: none; } }
.lx-speech summary { font-size: 0.9rem; cursor: pointer; width: fit-content; }
.lx-speech details button { margin-top: 0.4rem; }
#answer .wrap :is(.error, .clear-status) { display: none; } /* the card says it */
#picture .or, #count :is(.min_value, .max_value) { color: var(--lx-muted); }
.lx-label { color: var(--lx-muted); font-size: 0.9rem; margin: 0.2rem 0; }
.lx-examples { display: grid !important; gap: 0.6rem !important;
  grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); }
.lx-examples button { display: flex; flex-wrap: nowrap; justify-content: flex-start;
  gap: 0.7rem; padding: 0.5rem; height: 100%; min-width: 0 !important; white-space: normal;
  text-align: left; font-weight: 400; font-size: 0.9rem; line-height: 1.3;
  color: var(--lx-ink); background: var(--lx-card);
  border: 1px solid var(--lx-line); }
.lx-examples button:hover { border-color: var(--lx-ticket); }
.lx-examples button img { width: 60px !important; height: 60px !important; border-radius: 8px;
  margin: 0; flex: none; }
#picture img, #regions img { width: 100%; height: 100%; object-fit: contain; }
#regions { border: 0; background: none; }
@media (max-width: 767px) { /* one column: the answer right below the question */
  .lx-main { flex-direction: column; }
  .lx-main > .column { display: contents; }
  .lx-main > .lx-output > * { order: 1; }
  .lx-main > .lx-input > .lx-below { order: 2; }
}
button:focus-visible, input:focus-visible, textarea:focus-visible, summary:focus-visible,
pre:focus-visible { outline: 3px solid var(--lx-ticket) !important; outline-offset: 2px; }
"""
