// Shows one reply and sends what a person does with it; all decisions are taken in Python (people/feedback_widget.py).
// Texts come from models and from data, and are set as text only, never as markup.
function el(tag, attrs = {}, ...children) {
  const node = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs)) k === "text" ? (node.textContent = v) : k.startsWith("on") ? node.addEventListener(k.slice(2), v) : node.setAttribute(k, v);
  node.append(...children.filter(Boolean));
  return node;
}

const whole = (text) => text.replace(/\p{Surrogate}/gu, "\ufffd"); // half of a character cannot be sent

const lines = (text) => text.replace(/\r\n?/g, "\n"); // as a text area returns them

function render({ model, el: host }) {
  const root = el("div", { class: "crm-feedback", role: "group", "aria-label": "Feedback on a reply", "data-lm-suppress-shortcuts": "true" });
  const body = el("div"), live = el("div", { role: "status", "aria-live": "polite" });
  // late: answers that are still to come
  let view = null, waiting = null, editor = null, words = null, sent = null, drawing = false, late = 0, drafting = null, noted = null;
  host.append(root);
  root.append(body, live);

  const say = (text, bad) => { live.textContent = text; live.classList.toggle("crm-fb-bad", !!bad); };
  function send(message) {
    clearTimeout(waiting);
    waiting = setTimeout(() => { late = 0; say("The kernel does not answer, so nothing is saved so far. If it is busy, wait. If it was restarted, run the cell again.", true); }, 4000);
    late += 1;
    model.send(message);
  }
  const button = (name, label, pressed, act) => el("button", { type: "button", "data-do": name, "aria-pressed": String(!!pressed), text: label, onclick: act });

  // Only what Python called a link becomes one, and only to http(s). The host says where it leads, whatever the title says;
  // bdi keeps a title that turns the direction of writing from turning what stands after it.
  function source(s) {
    const title = el("bdi", { text: s.title });
    const link = /^https?:\/\//i.test(s.url) && URL.canParse(s.url);
    if (!link) return el("li", { value: s.number }, el("span", {}, title));
    return el("li", { value: s.number }, el("a", { href: s.url, target: "_blank", rel: "noopener noreferrer" }, title, el("span", { text: ` (${new URL(s.url).host})` })));
  }
  const list = (title, tag, items) => items.length && el("section", { "aria-label": title }, el("h4", { text: title }), el(tag, { tabindex: "0", "aria-label": title }, ...items));

  const reasons = () => [...body.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.value);
  const why = () => { if (drawing) return; noted = words.value; send({ do: "why", reasons: reasons(), words: whole(words.value) }); };
  // Words that an earlier page or form left are in the field without having been sent.
  const done = (message) => { if (words.value !== (noted ?? view.words)) why(); send(message); };

  // What is being written is kept in the kernel, so that a page that is loaded again shows it.
  function draft() {
    clearTimeout(drafting);
    model.set("draft", { edit: editor && whole(editor.value), words: whole(words.value) });
    model.save_changes();
  }
  const later = () => { clearTimeout(drafting); drafting = setTimeout(draft, 250); };

  function edit() { open(view.edited ?? view.shown).focus(); }
  function open(text) {
    if (editor) return editor; // what was written stays
    const area = el("textarea", { rows: 10, dir: "auto", "aria-label": "Your text (Ctrl+Enter saves, Escape cancels)", oninput: later });
    area.value = text;
    const box = body.querySelector(".crm-fb-editor");
    box.replaceChildren(area, button("save", "Save (Ctrl+Enter)", false, () => save()), button("cancel", "Cancel (Esc)", false, () => close()));
    return editor = area;
  }
  // The editor stays until Python says that its text was saved: what was written outlives a full disk and a dead kernel.
  function save() { if (!editor) return; const from = view.edited ?? view.shown; sent = editor.value === lines(from) ? from : whole(editor.value); done({ do: "edit", text: sent }); }
  function close() { editor = sent = null; draw(); draft(); body.querySelector("[data-do=edit]").focus(); }

  function draw() {
    const on = document.activeElement, inside = root.contains(on), had = inside && on.getAttribute("data-do");
    const typed = words && words.value !== words.defaultValue ? words.value : null; // no answer takes away what is not saved
    const box = (r) => {
      const input = el("input", { type: "checkbox", value: r.name, "data-do": `reason-${r.name}`, onchange: why });
      input.checked = view.reasons.includes(r.name);
      return el("label", {}, input, document.createTextNode(` ${r.title}`));
    };
    words = el("input", { type: "text", dir: "auto", "aria-label": "In your words", "data-do": "words", placeholder: "In your words", onchange: why, oninput: later });
    words.defaultValue = view.words;
    words.value = typed ?? view.words;
    const shown = view.action === "edit" ? view.edited : view.shown;
    drawing = true; // a field that is taken out while somebody types in it says 'change'
    body.replaceChildren(...[
      el("section", { "aria-label": "Reply" }, el("h4", { text: view.action === "edit" ? "Reply, as edited" : "Reply" }), el("div", { class: "crm-fb-text", tabindex: "0", text: shown })),
      list("Sources", "ol", view.sources.map(source)),
      list("What was masked", "ul", view.masked.map((m) => el("li", {}, el("bdi", { text: m.kind }), el("span", { text: `: ${m.count}` })))),
      el("div", { class: "crm-fb-editor" }),
      el("div", {},
        button("accept", "Accept (a)", view.action === "accept", () => done({ do: "accept" })),
        button("edit", "Edit (e)", view.action === "edit", edit),
        button("ignore", "Ignore (i)", view.action === "ignore", () => done({ do: "ignore" })),
        button("up", "\u{1F44D} Good (+)", view.thumb === "up", () => send({ do: "thumb", thumb: "up" })),
        button("down", "\u{1F44E} Bad (-)", view.thumb === "down", () => send({ do: "thumb", thumb: "down" }))),
      el("fieldset", {}, el("legend", { text: "Why?" }), ...view.known_reasons.map(box)),
      words,
    ].filter(Boolean));
    drawing = false;
    // the focus stays where it was, or goes to the reply: never out of the form
    if (inside) ((had && body.querySelector(`[data-do="${CSS.escape(had)}"]`)) || body.querySelector(".crm-fb-text")).focus();
  }

  function press() { // what stands around an open editor
    const on = { accept: view.action === "accept", edit: view.action === "edit", ignore: view.action === "ignore", up: view.thumb === "up", down: view.thumb === "down" };
    for (const [name, pressed] of Object.entries(on)) body.querySelector(`[data-do=${name}]`).setAttribute("aria-pressed", String(pressed));
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
    const acts = { a: () => done({ do: "accept" }), e: edit, i: () => done({ do: "ignore" }), "+": () => send({ do: "thumb", thumb: "up" }), "-": () => send({ do: "thumb", thumb: "down" }) };
    if (!acts[key]) return;
    if (!event.repeat) acts[key](); // a key that is held down acts once
    event.preventDefault();
  });

  function show() {
    late = Math.max(0, late - 1);
    if (!late) clearTimeout(waiting);
    view = model.get("view");
    const saved = editor && sent !== null && !view.error && view.edited === sent;
    if (saved && whole(editor.value) === lines(sent)) editor = sent = null;
    // What somebody is writing or has just ticked is not taken away: the answer to it is still to come.
    if (editor || late) press();
    else draw();
    if (saved && !editor) draft();
    say(view.error || view.say, !!view.error);
  }
  model.on("change:view", show);
  show();
  const left = model.get("draft");
  if (typeof left?.edit === "string") open(left.edit);
  if (left?.words) words.value = left.words;
  return () => { model.off("change:view", show); clearTimeout(waiting); clearTimeout(drafting); };
}

export default { render };
