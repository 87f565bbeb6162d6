// Makes pages more pleasant; every page works without it.
"use strict";

// A run that goes on is shown as it goes: the server sends the part of the page that changes.
for (const part of document.querySelectorAll("[data-live]")) {
  const events = new EventSource(part.dataset.live);
  events.addEventListener("part", (event) => {
    const parsed = new DOMParser().parseFromString(event.data, "text/html");
    part.replaceChildren(...parsed.body.childNodes);
  });
  events.addEventListener("end", () => {
    events.close();
    location.reload();
  });
}

// A filter is applied when something is chosen in it.
for (const form of document.querySelectorAll("form.filters")) {
  for (const choice of form.querySelectorAll("select")) {
    choice.addEventListener("change", () => form.requestSubmit());
  }
}

// A form is sent once.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    const says = event.submitter;
    // An export leaves the page where it is, so its button must work again.
    if (says && says.dataset.download !== undefined) return;
    form.dataset.sent = "yes";
    form.setAttribute("aria-busy", "true");
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
  }
});

// Ctrl+Enter sends what is written.
for (const text of document.querySelectorAll("textarea[data-send]")) {
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      text.form.requestSubmit();
    }
  });
}

// Everything in a list of choices at once.
for (const all of document.querySelectorAll("input[data-all]")) {
  all.hidden = false;
  const boxes = () => all.form.querySelectorAll(`input[name="${all.dataset.all}"]`);
  all.addEventListener("change", () => {
    for (const box of boxes()) box.checked = all.checked;
  });
}
