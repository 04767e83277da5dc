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
  let view = null, at = 0, groups = [], texts = {}, waiting = null, panel = null;
  const say = (text, bad) => { live.textContent = text; live.classList.toggle("crm-bad", !!bad); };

  function send(message) {
    clearTimeout(waiting);
    waiting = setTimeout(() => say("The kernel does not answer, so nothing was saved. Restart it and run the cell again.", true), 4000);
    model.send(message);
  }
  const rate = (n, p) => { at = n; send({ do: "rate", criterion: view.criteria[n].name, points: p }); };
  const focus = (n) => { at = Math.max(0, Math.min(n, groups.length - 1)); groups[at]?.focus(); };

  function textBox(name, label) {
    texts[name] = el("div", { class: "crm-text" });
    return el("section", { class: "crm-pane", tabindex: "0", role: "region", "aria-label": label }, el("div", { class: "crm-head", text: label }), texts[name]);
  }

  function group(c, n) {
    const radios = [4, 3, 2, 1].map((p) => el("div", { role: "radio", id: `${view.dom}-${n}-${p}`, class: "crm-radio", onclick: () => rate(n, p) },
      el("span", { class: "crm-points", text: `${p} ${view.words[p]}` }), el("span", { text: c.scale[p] })));
    const title = el("div", { class: "crm-head", id: `${view.dom}-${n}`, text: c.title });
    return el("div", { role: "radiogroup", tabindex: "0", class: "crm-group", "aria-labelledby": title.id, "aria-describedby": `${view.dom}-${n}-q`, onfocus: () => { at = n; } },
      title, el("div", { class: "crm-question", id: `${view.dom}-${n}-q`, text: c.question }), ...radios);
  }

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
      body.append(view.item.note ? el("div", { class: "crm-note", text: view.item.note }) : "",
        el("div", { class: "crm-panes" }, textBox("prompt", `Prompt: ${view.item.use_case}`), textBox("source", "Source"), textBox("response", "Response")), facts || "");
      groups = view.criteria.map(group);
      body.append(el("div", { class: "crm-groups" }, ...groups));
    } else body.append(el("div", { class: "crm-note", text: "All items are finished. Thank you. Undo (u) takes back the last step." }));
    body.append(el("div", { class: "crm-said" }),
      el("div", { class: "crm-panel" }),
      el("div", { class: "crm-buttons" }, view.item && button("next", "Next (Enter)", () => send({ do: "next" })), button("undo", "Undo (u)", () => send({ do: "undo" })),
        view.item && button("skip", "Skip (s)", () => ask("skip")), view.item && button("comment", "Comment (c)", () => ask("comment")),
        view.item && button("evidence", "Mark evidence (e)", mark)),
      el("div", { class: "crm-help" }, ...KEYS.flatMap(([k, what]) => [el("kbd", { text: k }), el("span", { text: what })])));
  }

  function update() { // the same item: points, marks, comment
    view.criteria.forEach((c, n) => {
      const radios = [...groups[n].querySelectorAll("[role=radio]")];
      radios.forEach((r, i) => r.setAttribute("aria-checked", String(c.points === 4 - i)));
      c.points ? groups[n].setAttribute("aria-activedescendant", `${view.dom}-${n}-${c.points}`) : groups[n].removeAttribute("aria-activedescendant");
    });
    for (const name of Object.keys(texts)) marked(texts[name], view.item[name], view.evidence.filter((e) => e.where === name));
    const said = body.querySelector(".crm-said");
    said.textContent = "";
    if (view.comment) said.append(el("div", { text: `Comment: ${view.comment}` }));
    for (const e of view.evidence) said.append(el("div", { text: `Marked in the ${e.where}${e.criterion ? ` (${e.criterion.replace("_", " ")})` : ""}: \u201c${e.text}\u201d` }));
  }

  function close() {
    panel = null;
    body.querySelector(".crm-panel").textContent = "";
    focus(at);
  }

  function ask(kind) {
    if (!view.item) return;
    const [label, field] = PANEL[kind], id = `${view.dom}-panel`;
    const input = el("textarea", { id, rows: kind === "comment" ? 3 : 1, class: "crm-input" });
    if (kind === "comment") input.value = view.comment;
    const save = () => (kind === "evidence" ? quote(input.value) : send({ do: kind, [field]: input.value }), close());
    panel = { save };
    const box = body.querySelector(".crm-panel");
    box.textContent = "";
    box.append(el("label", { for: id, text: `${label} (Enter saves, Esc cancels)` }), input, button("save", "Save", save), button("cancel", "Cancel", close));
    input.focus();
  }

  function quote(text) {
    const where = text && ["response", "source"].find((w) => view.item[w].includes(text));
    if (!where) return say(`\u201c${text}\u201d is neither in the response nor in the source.`, true);
    span(where, view.item[where].indexOf(text), text);
  }
  function span(where, start16, text) {
    const whole = view.item[where];
    send({ do: "evidence", where, start: points(whole, start16), end: points(whole, start16 + text.length), text, criterion: view.criteria[at]?.name ?? null });
  }
  function mark() {
    const s = window.getSelection();
    if (!view.item) return;
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
    const acts = { Enter: () => view.item && send({ do: "next" }), u: () => send({ do: "undo" }), s: () => ask("skip"), c: () => ask("comment"), e: mark };
    if (/^[1-4]$/.test(key) && view.item) rate(at, Number(key));
    else if (key in steps && target.getAttribute("role") === "radiogroup") focus(at + steps[key]);
    else if (acts[key]) acts[key]();
    else return;
    event.preventDefault();
  });

  function show() {
    clearTimeout(waiting);
    const old = view, mine = root.contains(document.activeElement);
    view = model.get("view");
    const same = old && (old.item?.id ?? null) === (view.item?.id ?? null);
    if (!same) { draw(); at = 0; }
    if (view.item) update();
    const wanted = view.criteria.findIndex((c) => c.name === view.focus);
    if (old && mine && !panel) view.item ? focus(wanted >= 0 ? wanted : at) : body.querySelector("[data-do=undo]").focus();
    say(view.error || view.say, !!view.error);
  }
  model.on("change:view", show);
  show();
  return () => { model.off("change:view", show); clearTimeout(waiting); };
}

export default { render };
