// Shows one reply and sends what a person does with it; all decisions are taken in Python (people/feedback_widget.py).
// Texts come from models and from data, and are set as text only, never as markup.
function el(tag, attrs = {}, ...children) {
  const node = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs)) k === "text" ? (node.textContent = v) : k.startsWith("on") ? node.addEventListener(k.slice(2), v) : node.setAttribute(k, v);
  node.append(...children.filter(Boolean));
  return node;
}

function render({ model, el: host }) {
  const root = el("div", { class: "crm-feedback", role: "group", "aria-label": "Feedback on a reply", "data-lm-suppress-shortcuts": "true" });
  const body = el("div"), live = el("div", { role: "status", "aria-live": "polite" });
  let view = null, waiting = null, editor = null, words = null, sent = null, drawing = false;
  host.append(root);
  root.append(body, live);

  const say = (text, bad) => { live.textContent = text; live.classList.toggle("crm-fb-bad", !!bad); };
  function send(message) {
    clearTimeout(waiting);
    waiting = setTimeout(() => say("The kernel does not answer, so nothing was saved. Restart it and run the cell again.", true), 4000);
    model.send(message);
  }
  const button = (name, label, pressed, act) => el("button", { type: "button", "data-do": name, "aria-pressed": String(!!pressed), text: label, onclick: act });

  // Only what Python called a link becomes one, and only to http(s).
  function source(s) {
    const link = /^https?:\/\//i.test(s.url) && el("a", { href: s.url, target: "_blank", rel: "noopener noreferrer", text: s.title });
    return el("li", { value: s.number }, link || el("span", { text: s.title }));
  }
  const list = (title, tag, items) => items.length && el("section", { "aria-label": title }, el("h4", { text: title }), el(tag, {}, ...items));

  const reasons = () => [...body.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.value);
  const why = () => drawing || send({ do: "why", reasons: reasons(), words: words.value });

  function edit() {
    const area = el("textarea", { rows: 10, "aria-label": "Your text (Ctrl+Enter saves, Escape cancels)" });
    area.value = view.edited ?? view.shown;
    const box = body.querySelector(".crm-fb-editor");
    box.replaceChildren(area, button("save", "Save (Ctrl+Enter)", false, () => save()), button("cancel", "Cancel (Esc)", false, () => close()));
    editor = area;
    area.focus();
  }
  // The editor stays until Python says that its text was saved: what was written outlives a full disk and a dead kernel.
  function save() { if (!editor) return; sent = editor.value; send({ do: "edit", text: sent }); }
  function close() { editor = sent = null; body.querySelector(".crm-fb-editor").replaceChildren(); body.querySelector("[data-do=edit]").focus(); }

  function draw() {
    const on = document.activeElement, inside = root.contains(on), had = inside && on.getAttribute("data-do");
    const typing = had === "words" ? words.value : null; // the answer to an earlier click takes no word away
    const box = (r) => {
      const input = el("input", { type: "checkbox", value: r.name, "data-do": `reason-${r.name}`, onchange: why });
      input.checked = view.reasons.includes(r.name);
      return el("label", {}, input, document.createTextNode(` ${r.title}`));
    };
    words = el("input", { type: "text", "aria-label": "In your words", "data-do": "words", placeholder: "In your words", onchange: why });
    words.value = typing ?? view.words;
    const shown = view.action === "edit" ? view.edited : view.shown;
    drawing = true; // a field that is taken out while somebody types in it says 'change'
    body.replaceChildren(...[
      el("section", { "aria-label": "Reply" }, el("h4", { text: view.action === "edit" ? "Reply, as edited" : "Reply" }), el("div", { class: "crm-fb-text", tabindex: "0", text: shown })),
      list("Sources", "ol", view.sources.map(source)),
      list("What was masked", "ul", view.masked.map((m) => el("li", { text: `${m.kind}: ${m.count}` }))),
      el("div", { class: "crm-fb-editor" }),
      el("div", {},
        button("accept", "Accept (a)", view.action === "accept", () => send({ do: "accept" })),
        button("edit", "Edit (e)", view.action === "edit", edit),
        button("ignore", "Ignore (i)", view.action === "ignore", () => send({ do: "ignore" })),
        button("up", "\u{1F44D} Good (+)", view.thumb === "up", () => send({ do: "thumb", thumb: "up" })),
        button("down", "\u{1F44E} Bad (-)", view.thumb === "down", () => send({ do: "thumb", thumb: "down" }))),
      el("fieldset", {}, el("legend", { text: "Why?" }), ...view.known_reasons.map(box)),
      words,
    ].filter(Boolean));
    drawing = false;
    // the focus stays where it was, or goes to the reply: never out of the form
    if (inside) ((had && body.querySelector(`[data-do="${CSS.escape(had)}"]`)) || body.querySelector(".crm-fb-text")).focus();
  }

  root.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.altKey || event.isComposing) return;
    const { key, target } = event;
    if (editor && target === editor) {
      if (key === "Escape") close();
      else if (key === "Enter" && (event.ctrlKey || event.metaKey)) save();
      else return;
      event.preventDefault();
      return;
    }
    if (event.ctrlKey || event.metaKey || (target.tagName === "INPUT" && target.type === "text")) return;
    const acts = { a: () => send({ do: "accept" }), e: edit, i: () => send({ do: "ignore" }), "+": () => send({ do: "thumb", thumb: "up" }), "-": () => send({ do: "thumb", thumb: "down" }) };
    if (!acts[key]) return;
    acts[key]();
    event.preventDefault();
  });

  function show() {
    clearTimeout(waiting);
    view = model.get("view");
    if (editor && sent !== null && !view.error && view.edited === sent) editor = sent = null;
    if (!editor) draw(); // what somebody is writing is not taken away
    say(view.error || view.say, !!view.error);
  }
  model.on("change:view", show);
  show();
  return () => { model.off("change:view", show); clearTimeout(waiting); };
}

export default { render };
