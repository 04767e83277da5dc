// Glue between crmeval's pages and the DataTables of itables: data, filters, links into a filtered table, rows that open.
// Every string in the data was escaped where it was made. It runs inside the component's module: $ is its jQuery.
const unpack = async el => JSON.parse(await new Response(new Blob([Uint8Array.from(atob(el.textContent), c => c.charCodeAt(0))])
  .stream().pipeThrough(new DecompressionStream("gzip"))).text());

async function start(box) {
  if (box.dataset.cm) return;
  box.dataset.cm = "starting";
  const spec = await unpack(box.querySelector(".cm-data")), node = box.querySelector("table");
  node.querySelector("tbody")?.remove();
  node.querySelectorAll("thead th").forEach(th => th.classList.remove("off", "wide"));   // from now on views choose the columns
  spec.columns.forEach((c, k) => {   // what has no value comes last in the better-first order of its column
    const last = c.orderSequence[0] === "desc" ? -Infinity : Infinity;
    spec.rows.forEach(r => { if (r[k].s === null) r[k].s = last; });
  });
  const table = $(node).DataTable({ data: spec.rows, columns: spec.columns, order: spec.order, pageLength: spec.pageLength, lengthMenu: [10, 25, 50, 100],
    deferRender: true, autoWidth: false, language: { search: spec.searchLabel, lengthMenu: "_MENU_ rows a page", emptyTable: "No rows" } });
  const scroll = box.querySelector(".dt-layout-table");
  Object.entries({ tabindex: "0", role: "region", "aria-label": spec.label }).forEach(([k, v]) => scroll.setAttribute(k, v));
  scroll.querySelectorAll("thead a").forEach(a => ["click", "keydown"].forEach(k => a.addEventListener(k, e => e.stopPropagation())));

  const menus = [...box.querySelectorAll(".cm-filter")], sets = menus.map(() => new Set());
  const more = box.querySelector(".cm-more"), area = box.querySelector(".cm-area"), narrow = matchMedia("(max-width: 600px)");
  table.search.fixed("crmeval", (text, data, i) => sets.every((s, k) => !s.size || s.has(spec.keys[i][k])));
  const seen = c => (!area || c.areas.includes("") || c.areas.includes(area.value)) && !(c.lone >= 0 && sets[c.lone].size === 1)
    && (!area || !narrow.matches || area.value === "all" || c.phone.includes(area.value));
  const fit = () => {   // the columns of the view; the name of their group stands above the first of them
    spec.columns.forEach((c, k) => table.column(k).visible(seen(c), false));
    table.columns.adjust();
    let last = "";
    spec.columns.filter(seen).forEach(c => {
      const head = table.column(spec.columns.indexOf(c)).header();
      head.dataset.group = c.group === last ? "" : c.group;
      head.classList.toggle("cm-first", !!c.group && c.group !== last);
      last = c.group;
    });
  };
  const keep = () => {   // what is chosen stands in the address
    const parts = menus.flatMap((m, k) => [...sets[k]].map(v => `${k}=${v}`));
    if (area && area.value !== area.options[0].value) parts.push(`area=${area.value}`);
    if (box.dataset.cm === "ready") history.replaceState(null, "", `#${box.id}?${parts.join("&")}`);
  };
  const read = () => {
    menus.forEach((m, k) => {
      sets[k] = new Set([...m.querySelectorAll("input:checked")].map(x => Number(x.value)));
      m.querySelector("b").textContent = sets[k].size ? `${sets[k].size} chosen` : "all";
    });
    fit();
    table.draw();
    keep();
  };
  const show = (sort = true) => {
    fit();
    if (area && sort && spec.areaOrder[area.value]) table.order([spec.areaOrder[area.value]]);
    table.draw();
    keep();
  };
  box.cmChoose = (wanted, view) => {   // [[filter, value], ...]; filters that are not named are cleared
    box.querySelectorAll(".cm-filter input").forEach(x => { x.checked = wanted.some(([f, v]) => x.name === `${box.id}-f${f}` && Number(x.value) === v); });
    table.search("");
    if (area && view && [...area.options].some(o => o.value === view)) { area.value = view; show(); }
    read();
  };
  const clear = () => { box.cmChoose([]); if (area) { area.value = area.options[0].value; show(); } };
  const plain = html => new DOMParser().parseFromString(String(html).replaceAll("<small", " <small"), "text/html").body.textContent.trim();
  const quoted = x => `"${(typeof x === "string" && /^[=+\-@\t\r]/.test(x) ? `'${x}` : String(x)).replaceAll('"', '""')}"`;
  const csv = () => {   // the rows and columns that are shown; a number as it is, and beside it as it is written
    const columns = spec.columns.map((c, k) => [c, k]).filter(([c]) => seen(c) && c.orderable !== false);
    const title = k => plain(table.column(k).title());
    const lines = [columns.flatMap(([c, k]) => c.type === "num" ? [title(k), `${title(k)} (as shown)`] : [title(k)])];
    table.rows({ search: "applied" }).data().toArray().forEach(r => lines.push(columns.flatMap(([c, k]) =>
      c.type === "num" ? [Number.isFinite(r[k].s) ? r[k].s : "", plain(r[k].d)] : [plain(r[k])])));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff", lines.map(l => l.map(quoted).join(",")).join("\r\n")], { type: "text/csv" }));
    link.download = `${box.id}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  menus.forEach(m => m.addEventListener("change", read));
  area?.addEventListener("change", () => show());
  narrow.addEventListener("change", () => { if (more) more.open = !narrow.matches; show(false); });
  if (more) more.open = !narrow.matches;
  box.querySelector(".cm-reset")?.addEventListener("click", clear);
  box.querySelector(".cm-csv")?.addEventListener("click", csv);

  const chunks = box.querySelectorAll(".cm-chunk"), unpacked = {};
  node.addEventListener("click", async e => {
    const button = e.target.closest("button.cm-open");
    if (!button) return;
    const row = table.row(button.closest("tr")), i = Number(button.value);
    if (row.child.isShown()) row.child.hide();
    else {
      const at = Math.floor(i / spec.chunk);
      const part = await (unpacked[at] ??= unpack(chunks[at]));
      row.child(part.rows[i % spec.chunk].map(x => typeof x === "number" ? part.shared[x] : x).join(""), "cm-detail").show();
    }
    button.setAttribute("aria-expanded", String(row.child.isShown()));
  });
  show(false);
  read();
  box.dataset.cm = "ready";
}

function reveal() {   // what an address names may lie in a folded part
  const id = decodeURIComponent(location.hash.slice(1).split("?")[0]), found = id ? document.getElementById(id) : null;
  for (let part = found?.closest("details"); part; part = part.parentElement?.closest("details")) part.open = true;
  if (found?.closest("details")) found.scrollIntoView();
}

function follow() {   // #ID?0=2&1=5&area=cost chooses values in the filters of the table ID, and its view
  reveal();
  const [id, wanted] = location.hash.slice(1).split("?");
  const box = wanted === undefined ? null : document.getElementById(id);
  if (!box?.cmChoose) return;
  const parts = wanted.split("&").filter(Boolean).map(p => p.split("="));
  box.cmChoose(parts.filter(([k]) => k !== "area").map(p => p.map(Number)), parts.find(([k]) => k === "area")?.[1]);
  box.scrollIntoView();
  box.querySelector("h2, h3, .dt-layout-table")?.focus({ preventScroll: true });
}

window.crmevalTables = { start: async () => { await Promise.all([...document.querySelectorAll(".cm-table")].map(start)); follow(); } };
window.addEventListener("hashchange", follow);
window.crmevalTables.start();
