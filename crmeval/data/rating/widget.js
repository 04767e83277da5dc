// Shows one item and sends what the rater does; all decisions are taken in Python (rating_widget.py).
// Texts come from models and are set as text only, never as markup.
const KEYS = [["1-4", "rate"], ["\u2191 \u2193", "criterion"], ["Enter", "next"], ["u", "undo"], ["s", "skip"], ["c", "comment"], ["e", "mark evidence"]];
const PANEL = {
  skip: ["Why can this item not be rated?", "reason"],
  comment: ["Comment on this item", "text"],
  evidence: ["Mark evidence: the exact words from the response or the source", "quote"],
};

function el(tag, attrs = {}, ...children) {
  const node = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs)) k === "text" ? (node.textContent = v) : k.startsWith("on") ? node.addEventListener(k.slice(2), v) : node.setAttribute(k, v);
  node.append(...children.filter(Boolean));
  return node;
}

const whole = (text) => text.replace(/\p{Surrogate}/gu, "\ufffd"); // half of a character cannot be sent

const points = (text, n) => Array.from(text.slice(0, n)).length; // Python counts characters, JavaScript UTF-16 units

// A text with the marked places highlighted.
function marked(box, text, marks) {
  const chars = Array.from(text), on = new Array(chars.length).fill(false);
  for (const m of marks) on.fill(true, m.start, m.end);
  box.textContent = "";
  for (let i = 0, j; i < chars.length; i = j) {
    for (j = i + 1; j < chars.length && on[j] === on[i]; j++);
    const part = chars.slice(i, j).join("");
    box.append(on[i] ? el("mark", { text: part }) : document.createTextNode(part));
  }
}

function render({ model, el: host }) {
  const root = el("div", { class: "crm-rate", role: "group", "aria-label": "Rating of responses", "data-lm-suppress-shortcuts": "true" });
  const live = el("div", { class: "crm-live", role: "status", "aria-live": "polite" });
  const body = el("div");
  host.append(root);
  root.append(body, live);
  // late: answers that are still to come; moving: an answer that brings another item is among them
  let view = null, at = 0, groups = [], texts = {}, waiting = null, panel = null, late = 0, moving = false, drafting = null;
  const dom = `crm-${Math.random().toString(36).slice(2)}`; // of this view: one widget may be shown twice
  const say = (text, bad) => { live.textContent = text; live.classList.toggle("crm-bad", !!bad); };

  function send(message) {
    clearTimeout(waiting);
    waiting = setTimeout(() => { late = 0; moving = false; say("The kernel does not answer, so nothing is saved so far. If it is busy, wait. If it was restarted, run the cell again.", true); }, 4000);
    late += 1;
    moving = moving || ["next", "skip", "undo"].includes(message.do);
    model.send({ ...message, item: view.item?.id ?? null }); // Python refuses what was meant for another item
  }
  // The next key rates the next criterion, also before the answer has come.
  function rate(n, p) {
    if (moving) return;
    send({ do: "rate", criterion: view.criteria[n].name, points: p });
    focus(n + 1);
  }
  const focus = (n) => { at = Math.max(0, Math.min(n, groups.length - 1)); groups[at]?.focus(); };

  function textBox(name, label) {
    texts[name] = el("div", { class: "crm-text" });
    return el("section", { class: "crm-pane", tabindex: "0", role: "region", "aria-label": label }, el("div", { class: "crm-head", text: label }), texts[name]);
  }

  function group(c, n) {
    const radios = [4, 3, 2, 1].map((p) => el("div", { role: "radio", id: `${dom}-${n}-${p}`, class: "crm-radio", onclick: () => rate(n, p) },
      el("span", { class: "crm-points", text: `${p} ${view.words[p]}` }), el("span", { text: c.scale[p] })));
    const title = el("div", { class: "crm-head", id: `${dom}-${n}`, text: c.title });
    return el("div", { role: "radiogroup", tabindex: "0", class: "crm-group", "aria-labelledby": title.id, "aria-describedby": `${dom}-${n}-q`, onfocus: () => { at = n; } },
      title, el("div", { class: "crm-question", id: `${dom}-${n}-q`, text: c.question }), ...radios);
  }

  const next = () => moving || send({ do: "next" }), undo = () => moving || send({ do: "undo" });
  const button = (name, label, act) => el("button", { type: "button", class: "crm-button", "data-do": name, onclick: act, text: label });

  function draw() { // a new item: everything anew
    body.textContent = "";
    groups = []; texts = {}; panel = null;
    const p = view.progress, done = p.done + p.skipped;
    body.append(el("div", { class: "crm-top" },
      el("progress", { max: p.total, value: done, "aria-label": "Items finished" }),
      el("span", { class: "crm-count", text: `${done} of ${p.total} finished${p.skipped ? `, ${p.skipped} skipped` : ""} (${view.rater})` })));
    if (view.item) {
      const facts = view.item.key_facts.length && el("section", { class: "crm-facts crm-pane", tabindex: "0", role: "region", "aria-label": "Key facts" }, el("div", { class: "crm-head", text: "Key facts" }), el("ul", {}, ...view.item.key_facts.map((f) => el("li", { text: f }))));
      body.append(view.item.note ? el("div", { class: "crm-note crm-pane", tabindex: "0", role: "region", "aria-label": "Note", text: view.item.note }) : "",
        el("div", { class: "crm-panes" }, textBox("prompt", `Prompt: ${view.item.use_case}`), textBox("source", "Source"), textBox("response", "Response")), facts || "");
      groups = view.criteria.map(group);
      body.append(el("div", { class: "crm-groups" }, ...groups));
    } else body.append(el("div", { class: "crm-note", text: "All items are finished. Thank you. Undo (u) takes back the last step." }));
    body.append(el("div", { class: "crm-said" }),
      el("div", { class: "crm-panel" }),
      el("div", { class: "crm-buttons" }, view.item && button("next", "Next (Enter)", next), button("undo", "Undo (u)", undo),
        view.item && button("skip", "Skip (s)", () => ask("skip")), view.item && button("comment", "Comment (c)", () => ask("comment")),
        view.item && button("evidence", "Mark evidence (e)", mark)),
      el("div", { class: "crm-help" }, ...KEYS.map(([k, what]) => el("span", {}, el("kbd", { text: k }), ` ${what}`))));
  }

  function update() { // the same item: points, marks, comment
    view.criteria.forEach((c, n) => {
      const radios = [...groups[n].querySelectorAll("[role=radio]")];
      radios.forEach((r, i) => r.setAttribute("aria-checked", String(c.points === 4 - i)));
      c.points ? groups[n].setAttribute("aria-activedescendant", `${dom}-${n}-${c.points}`) : groups[n].removeAttribute("aria-activedescendant");
    });
    for (const name of Object.keys(texts)) marked(texts[name], view.item[name], view.evidence.filter((e) => e.where === name));
    const said = body.querySelector(".crm-said");
    said.textContent = "";
    if (view.comment) said.append(el("div", { text: `Comment: ${view.comment}` }));
    for (const e of view.evidence) said.append(el("div", { text: `Marked in the ${e.where}${e.criterion ? ` (${e.criterion.replace("_", " ")})` : ""}: \u201c${e.text}\u201d` }));
    said.toggleAttribute("tabindex", false);
    if (said.scrollHeight > said.clientHeight) said.setAttribute("tabindex", "0"); // what scrolls is reached by keyboard
  }

  // What is being written is kept in the kernel, so that a page that is loaded again shows it.
  function draft() {
    clearTimeout(drafting);
    model.set("draft", panel ? { kind: panel.kind, item: view.item.id, text: whole(panel.input.value) } : {});
    model.save_changes();
  }
  function close() {
    panel = null;
    draft();
    body.querySelector(".crm-panel").textContent = "";
    focus(at);
  }

  function ask(kind, written) {
    if (!view.item || moving) return;
    if (panel?.kind === kind) return panel.input.focus(); // what was written stays
    const [label, field] = PANEL[kind], id = `${dom}-panel`;
    const later = () => { clearTimeout(drafting); drafting = setTimeout(draft, 250); };
    const input = el("textarea", { id, dir: "auto", rows: kind === "comment" ? 3 : 1, class: "crm-input", oninput: later });
    input.value = written ?? (kind === "comment" ? view.comment : "");
    // The panel stays until Python says that its text was saved.
    const save = () => {
      if (late && panel.sent === input.value) return;
      panel.sent = input.value;
      kind === "evidence" ? quote(whole(input.value)) : send({ do: kind, [field]: whole(input.value) });
    };
    panel = { kind, input, save, sent: null };
    const box = body.querySelector(".crm-panel");
    box.textContent = "";
    box.append(el("label", { for: id, text: `${label} (Enter saves, Esc cancels)` }), input, button("save", "Save", save), button("cancel", "Cancel", close));
    if (written === undefined) input.focus();
  }

  function quote(text) { // a text area turns every kind of line end into \n
    const found = new RegExp(text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&").replace(/\n/g, "(?:\\r\\n|\\r|\\n)"));
    const where = text && ["response", "source"].find((w) => found.test(view.item[w]));
    if (!where) return say(`\u201c${text}\u201d is neither in the response nor in the source.`, true);
    const match = found.exec(view.item[where]);
    span(where, match.index, match[0]);
  }
  function span(where, start16, text) {
    const all = view.item[where];
    send({ do: "evidence", where, start: points(all, start16), end: points(all, start16 + text.length), text, criterion: view.criteria[at]?.name ?? null });
  }
  function mark() {
    const s = window.getSelection();
    if (!view.item || moving) return;
    const where = s.rangeCount && !s.isCollapsed && ["response", "source"].find((w) => texts[w].contains(s.anchorNode) && texts[w].contains(s.focusNode));
    if (!where) return ask("evidence");
    const range = s.getRangeAt(0), before = range.cloneRange();
    before.selectNodeContents(texts[where]);
    before.setEnd(range.startContainer, range.startOffset);
    span(where, before.toString().length, range.toString());
    s.removeAllRanges();
  }

  root.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const { key, target } = event;
    if (target.tagName === "TEXTAREA") {
      if (key === "Escape") close();
      else if (key === "Enter" && !event.shiftKey) { event.preventDefault(); panel.save(); }
      return;
    }
    if (key === "Enter" && target.tagName === "BUTTON") return;
    const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };
    const acts = { Enter: () => view.item && next(), u: undo, s: () => ask("skip"), c: () => ask("comment"), e: mark };
    if (event.repeat && !(key in steps)) return event.preventDefault(); // a key that is held down acts once
    if (/^[1-4]$/.test(key) && view.item) rate(at, Number(key));
    else if (key in steps && target.getAttribute("role") === "radiogroup") focus(at + steps[key]);
    else if (acts[key]) acts[key]();
    else return;
    event.preventDefault();
  });

  function show() {
    late = Math.max(0, late - 1);
    if (!late) { clearTimeout(waiting); moving = false; }
    const old = view, mine = root.contains(document.activeElement);
    view = model.get("view");
    const same = old && (old.item?.id ?? null) === (view.item?.id ?? null);
    if (!same) { draw(); at = 0; if (old) draft(); }
    if (view.item) update();
    const wanted = view.criteria.findIndex((c) => c.name === view.focus);
    if (panel && panel.sent !== null && !late) view.error || panel.sent !== panel.input.value ? (panel.sent = null) : close();
    if (old && mine && !panel && !late) view.item ? focus(wanted >= 0 ? wanted : at) : body.querySelector("[data-do=undo]").focus();
    say(view.error || view.say, !!view.error);
  }
  model.on("change:view", show);
  show();
  const left = model.get("draft");
  if (left?.kind in PANEL && left.item === view.item?.id) ask(left.kind, left.text);
  return () => { model.off("change:view", show); clearTimeout(waiting); clearTimeout(drafting); };
}

export default { render };
