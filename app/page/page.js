// Speech for people who do not see the picture: answers are announced to screen readers, read aloud
// on request with a voice of this machine, and questions dictated where the browser can.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const Recognition = window.SpeechRecognition || window.webkitSpeechRecognition;
  let announced; // data-time of the card that was announced last
  let aloud = false;

  const announce = (text) => {
    const live = byId("lx-live");
    if (live) live.textContent = text;
  };

  // Voices that are not local send the text to a server.
  const localVoice = () => {
    const voices = window.speechSynthesis.getVoices().filter((voice) => voice.localService);
    return voices.find((voice) => voice.lang.startsWith("en")) || voices[0];
  };

  const speak = (text) => {
    const voice = localVoice();
    if (!voice) return;
    const utterance = new SpeechSynthesisUtterance(text);
    utterance.voice = voice;
    utterance.lang = voice.lang;
    window.speechSynthesis.cancel();
    window.speechSynthesis.speak(utterance);
  };

  const toggleAloud = (button) => {
    aloud = !aloud && Boolean(localVoice());
    byId("lx-no-voice").hidden = Boolean(localVoice());
    button.setAttribute("aria-pressed", String(aloud));
    const card = document.querySelector("#answer [data-spoken]");
    if (aloud) speak(card ? card.dataset.spoken : "Answers are read aloud.");
    else window.speechSynthesis.cancel();
  };

  const dictate = () => {
    const question = document.querySelector("#question textarea");
    const status = byId("lx-dictation-status");
    const recognition = new Recognition();
    recognition.lang = "en-US";
    recognition.onstart = () => (status.textContent = "Listening.");
    recognition.onerror = (event) =>
      (status.textContent = `The question was not recognised: ${event.error}.`);
    recognition.onend = () => {
      if (status.textContent === "Listening.") status.textContent = "";
    };
    recognition.onresult = (event) => {
      question.value = event.results[0][0].transcript;
      question.dispatchEvent(new Event("input", { bubbles: true }));
      question.focus();
      announce(`Question: ${question.value}`);
    };
    recognition.start();
  };

  const update = () => {
    const card = document.querySelector("#answer [data-spoken]");
    if (card && card.dataset.time !== announced) {
      announced = card.dataset.time;
      // An alert is announced by itself.
      if (card.getAttribute("role") !== "alert") announce(card.dataset.spoken);
      if (aloud) speak(card.dataset.spoken);
    }
    // The label of Gradio's upload box lacks the text that is seen in it.
    const upload = document.querySelector("#picture button.upload-container[aria-label]");
    if (upload && upload.innerText.trim()) upload.removeAttribute("aria-label");
    const button = byId("lx-aloud");
    if (button) button.hidden = !("speechSynthesis" in window);
    const details = byId("lx-dictation");
    if (details) details.hidden = !Recognition;
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("#lx-aloud");
    if (button) toggleAloud(button);
    if (event.target.closest("#lx-dictate")) dictate();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "F8" || event.repeat) return;
    const button = byId("lx-aloud");
    if (!button || button.hidden) return; // the browser cannot speak and keeps its own F8
    event.preventDefault();
    toggleAloud(button);
  });
  const start = () => {
    if ("speechSynthesis" in window) window.speechSynthesis.getVoices(); // loads them
    new MutationObserver(update).observe(document.body, { childList: true, subtree: true });
    update();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start(); // Gradio adds this script when the page is there
})();
