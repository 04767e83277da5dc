// One row of a table at a time: the source and the answer side by side, in the table's order, with filters and order of the table.
// The source is plain text that is marked here by positions, never read as HTML; everything else was escaped where it was made.
const marked = (text, marks) => {
  const signs = Array.from(text), out = [];
  let at = 0;
  for (const [start, end, kind, label] of marks) {
    out.push(signs.slice(at, start).join(""));
    const mark = document.createElement("mark"), name = document.createElement("sub");
    mark.className = `cm ${kind}`;
    name.textContent = label;
    mark.append(signs.slice(start, end).join(""), name);
    out.push(mark);
    at = end;
  }
  return [...out, signs.slice(at).join("")];
};

function startPane(box, spec, table, piece, plain, keep) {
  const pane = box.querySelector(".cm-pane");
  if (!pane) return null;
  const get = name => pane.querySelector(`.cm-${name}`);
  const by = get("by"), only = get("only").querySelector("input"), which = get("which"), source = get("source"), said = get("said"), place = get("at");
  const names = spec.by.map(b => b[0]), columnOf = name => spec.by[names.indexOf(name)]?.[1];
  let at = null, drawn = null, order = [], near = false;

  table.search.fixed("with", (text, data, i) => !only.checked || columnOf(by.value) === undefined || Number.isFinite(spec.rows[i][columnOf(by.value)].s));
  const list = () => { order = table.rows({ search: "applied", order: "applied" }).indexes().toArray(); };
  const sorted = () => { const k = columnOf(by.value); return k === undefined ? spec.order : [[k, spec.columns[k].orderSequence[1]]]; };

  const tell = () => {
    const k = order.indexOf(at), row = spec.rows[at];
    place.textContent = at === null ? "No answer fits the filters" : `${(k + 1).toLocaleString("en")} of ${order.length.toLocaleString("en")}`;
    get("prev").setAttribute("aria-disabled", String(k <= 0));
    get("next").setAttribute("aria-disabled", String(k < 0 || k === order.length - 1));
    get("sides").hidden = at === null;
    box.querySelectorAll("tbody tr.cm-now").forEach(tr => tr.classList.remove("cm-now"));
    if (at === null) { which.textContent = ""; get("chips").replaceChildren(); return; }
    table.row(at).node()?.classList.add("cm-now");
    const last = spec.columns.length - 1, scored = new Set(spec.by.map(b => b[1]));
    const parts = row.map((v, c) => scored.has(c) || c === last ? null : plain(v)).filter(Boolean);
    which.replaceChildren(...parts.flatMap((part, k) => {   // a name of right-to-left letters does not turn its neighbours
      const name = document.createElement("bdi");
      name.textContent = part;
      return k ? [" · ", name] : [name];
    }));
    get("chips").replaceChildren(...spec.by.map(([name, c, title]) => {
      const chip = document.createElement("span"), value = document.createElement("b");
      value.textContent = plain(row[c].d);
      chip.append(`${title[0].toUpperCase()}${title.slice(1)} `, value);
      if (name === by.value) chip.className = "cm-on";
      return chip;
    }));
  };
  const draw = async () => {
    tell();
    if (at === null || drawn === at || !near) return;
    const i = drawn = at, part = await piece(i);
    if (at !== i) return;
    const [answer, shared, marks] = part.rows[i % spec.chunk], [text, asked] = part.shared[shared];
    source.replaceChildren(...(text ? marked(text, marks) : ["(left out of this file)"]));
    get("asked").innerHTML = asked;
    said.innerHTML = answer;
    const pre = said.querySelector("pre");
    pane.classList.remove("cm-undrawn");
    Object.entries({ tabindex: "0", role: "region", "aria-label": "Answer" }).forEach(([k, v]) => pre.setAttribute(k, v));
    [source, pre].forEach(side => {   // the first mark of each is in view, without moving the page
      const first = side.querySelector("mark.bad, mark.near") ?? side.querySelector("mark");
      side.scrollTop = first ? Math.max(0, first.offsetTop - side.offsetTop - 40) : 0;
    });
  };
  const refresh = () => {
    list();
    if (!order.includes(at)) at = order[0] ?? null;
    draw();
  };
  const go = i => {
    if (i === undefined || i === at) return;
    at = i;
    const page = Math.floor(order.indexOf(at) / table.page.len());
    if (page !== table.page()) table.page(page).draw("page");
    draw();
    keep();
  };
  const step = way => go(order[order.indexOf(at) + way]);
  const again = () => {   // another order or another set: from its worst
    at = null;
    table.order(sorted());
    table.draw();
    keep();
  };

  table.on("draw", refresh);
  table.on("order", () => {   // a click on a head sorts otherwise than the menu says
    const [k, way] = table.order()[0] ?? [];
    const b = spec.by.find(x => x[1] === k);
    by.value = b && way === spec.columns[k].orderSequence[1] ? b[0] : "";
  });
  by.addEventListener("change", again);
  only.addEventListener("change", again);
  get("prev").addEventListener("click", () => step(-1));
  get("next").addEventListener("click", () => step(1));
  pane.addEventListener("keydown", e => {
    const way = { ArrowLeft: -1, k: -1, ArrowRight: 1, j: 1 }[e.key];
    if (!way || e.altKey || e.ctrlKey || e.metaKey || e.target.closest("select, input, textarea")) return;
    e.preventDefault();
    step(way);
  });
  new IntersectionObserver((seen, me) => { if (seen.some(s => s.isIntersecting)) { near = true; me.disconnect(); draw(); } }, { rootMargin: "400px" }).observe(pane);

  return {
    parts: () => [...(by.value && by.value !== names[0] ? [`by=${by.value}`] : by.value ? [] : ["by="]), ...(only.checked ? ["with=1"] : []), ...(at !== null && at !== order[0] ? [`at=${at}`] : [])],
    choose: wanted => {   // before the filters are read
      by.value = wanted.by === "" || names.includes(wanted.by) ? wanted.by : names[0];
      only.checked = wanted.with === "1";
      at = null;
      table.order(sorted());
    },
    show: i => { refresh(); if (order.includes(i)) go(i); which.focus({ preventScroll: true }); pane.scrollIntoView(); },
    by: () => columnOf(by.value),
    toTop: () => which.focus({ preventScroll: true }),
    pane,
  };
}
