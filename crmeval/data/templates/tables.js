// Glue between crmeval's pages and the DataTables of itables: data, filters, links into a filtered table, rows that open.
// Every string in the data was escaped where it was made. It runs inside the component's module: $ is its jQuery.
const bytes = packed => {
  const signs = atob(packed), all = new Uint8Array(signs.length);
  for (let i = 0; i < signs.length; i++) all[i] = signs.charCodeAt(i);
  return all;
};
const unpack = async el => JSON.parse(await new Response(new Blob([bytes(el.textContent)]).stream().pipeThrough(new DecompressionStream("gzip"))).text());
$(document).off(".dtSelect");   // rows are opened, not selected: that part of the component would count all rows at each draw

const missing = v => !Number.isFinite(v), plain = html => new DOMParser().parseFromString(String(html).replace(/\s*<small/g, " <small"), "text/html").body.textContent.trim();
Object.assign($.fn.dataTable.ext.type.order, {   // what has no value comes last, whichever way a column is sorted
  "cmnum-asc": (a, b) => missing(a) || missing(b) ? missing(a) - missing(b) : a - b,
  "cmnum-desc": (a, b) => missing(a) || missing(b) ? missing(a) - missing(b) : b - a,
});

const counted = (_, first, last, all, total) => {   // what is shown, and what the filters hide
  const told = x => x.toLocaleString("en"), rows = total === 1 ? "1 row" : `${told(total)} rows`;
  const seen = total > last - first + 1 ? `Rows ${told(first)} to ${told(last)} of ${told(total)}` : rows;
  return total < all ? `${seen}; filters hide ${told(all - total)}` : seen;
};

async function start(box) {
  if (box.dataset.cm) return;
  box.dataset.cm = "starting";
  const spec = await unpack(box.querySelector(".cm-data")), node = box.querySelector("table");
  ["tabindex", "role", "aria-label"].forEach(a => box.querySelector(".cm-plain")?.removeAttribute(a));   // what scrolls is inside from now on
  node.querySelector("tbody")?.remove();
  node.querySelectorAll("thead th").forEach(th => th.classList.remove("off", "wide"));   // from now on views choose the columns
  spec.columns.forEach((c, k) => { if (c.type === "num") spec.rows.forEach(r => { r[k].s ??= Infinity; }); });
  if (spec.by.length) spec.order = [[spec.by[0][1], spec.columns[spec.by[0][1]].orderSequence[1]]];
  const menus = [...box.querySelectorAll(".cm-filter")], sets = menus.map(() => new Set());
  const more = box.querySelector(".cm-more"), area = box.querySelector(".cm-area"), narrow = matchMedia("(max-width: 37.5em)");
  let pane = null;
  const seen = c => (!area || c.areas.includes("") || c.areas.includes(area.value)) && !(c.lone >= 0 && sets[c.lone].size === 1)
    && (!area || !narrow.matches || area.value === "all" || c.phone.includes(area.value))
    && (!pane || !narrow.matches || c.phone.includes("") || spec.columns.indexOf(c) === pane.by());
  // The rows come when all that chooses among them stands, so that they are looked through once; their texts, when someone searches.
  const asked = spec.columns.map(c => ({ ...c, type: c.type === "num" ? "cmnum" : c.type, visible: seen(c), searchable: false }));
  const table = $(node).DataTable({ data: [], columns: asked, order: spec.order, pageLength: spec.pageLength, lengthMenu: [10, 25, 50, 100],
    deferRender: true, autoWidth: false, language: { search: spec.searchLabel, lengthMenu: "_MENU_ rows a page", emptyTable: "No rows", zeroRecords: "No row fits" }, infoCallback: counted });
  const scroll = box.querySelector(".dt-layout-table");
  Object.entries({ tabindex: "0", role: "region", "aria-label": spec.label }).forEach(([k, v]) => scroll.setAttribute(k, v));
  scroll.querySelectorAll("thead a").forEach(a => ["click", "keydown"].forEach(k => a.addEventListener(k, e => e.stopPropagation())));

  const sought = box.querySelector(".dt-search input");
  let searchable = false;
  const makeSearchable = () => {
    if (searchable) return;
    const inside = table.settings()[0];
    inside.aoColumns.forEach(c => { c.bSearchable = true; });
    inside.aoData.forEach(d => { d._aFilterData = null; });
    searchable = true;
  };
  // before the component reads what was typed, pasted, spoken or set by a tool: a box can be filled without its focus
  ["focus", "input", "keyup", "search", "paste", "cut"].forEach(kind => sought.addEventListener(kind, makeSearchable, { capture: true }));
  table.on("draw", () => {   // a pager of one page and a menu of lengths that change nothing are left away
    const { pages, recordsDisplay, recordsTotal } = table.page.info();
    box.classList.toggle("cm-one-page", pages < 2);
    box.classList.toggle("cm-short", recordsDisplay <= 10);
    box.classList.toggle("cm-few", recordsTotal <= 10);
    box.querySelector(".dt-paging nav")?.setAttribute("aria-label", `Pages: ${spec.label}`);
  });
  // Nobody turns a page on paper: up to a thousand rows are printed, and the count below them says if some are missing.
  let turned = null;
  window.addEventListener("beforeprint", () => {
    if (turned || table.page.info().pages < 2) return;
    turned = { length: table.page.len(), page: table.page() };
    table.page.len(1000).page(0).draw("page");
  });
  window.addEventListener("afterprint", () => {
    if (turned) table.page.len(turned.length).page(turned.page).draw("page");
    turned = null;
  });
  table.search.fixed("crmeval", (text, data, i) => sets.every((s, k) => !s.size || s.has(spec.keys[i][k])));
  const fit = () => {   // the columns of the view; the name of their group stands above the first of them
    const other = spec.columns.map((c, k) => k).filter(k => table.column(k).visible() !== seen(spec.columns[k]));
    other.forEach(k => table.column(k).visible(seen(spec.columns[k]), false));
    if (other.length) table.columns.adjust();
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
    if (box.dataset.cm !== "ready") return;
    document.querySelectorAll("nav.files a").forEach(a => { if (pane) a.hash = `${box.id}?${[...parts, ...pane.parts().filter(x => !x.startsWith("at="))].join("&")}`; });
    if (pane) parts.push(...pane.parts());
    history.replaceState(null, "", `#${box.id}?${parts.join("&")}`);
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
  box.cmChoose = (wanted, view, more = {}) => {   // [[filter, value], ...]; filters that are not named are cleared
    box.querySelectorAll(".cm-filter input").forEach(x => { x.checked = wanted.some(([f, v]) => x.name === `${box.id}-f${f}` && Number(x.value) === v); });
    table.search("");
    pane?.choose(more);
    if (area && view && [...area.options].some(o => o.value === view)) { area.value = view; show(); }
    read();
    if (more.at) pane?.show(Number(more.at));
  };
  const clear = () => { box.cmChoose([]); if (area) { area.value = area.options[0].value; show(); } };
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
  menus.forEach(m => m.addEventListener("keydown", e => {
    if (e.key !== "Escape" || !m.open) return;
    m.open = false;
    m.querySelector("summary").focus();
  }));
  area?.addEventListener("change", () => show());
  narrow.addEventListener("change", () => { if (more) more.open = !narrow.matches; show(false); });
  if (more) more.open = !narrow.matches;
  box.querySelector(".cm-reset")?.addEventListener("click", clear);
  box.querySelector(".cm-csv")?.addEventListener("click", csv);

  const chunks = box.querySelectorAll(".cm-chunk"), unpacked = {};
  const piece = i => unpacked[Math.floor(i / spec.chunk)] ??= unpack(chunks[Math.floor(i / spec.chunk)]);
  pane = startPane(box, spec, table, piece, plain, keep);
  if (pane) table.on("order", fit);
  node.addEventListener("click", async e => {
    const button = e.target.closest("button.cm-open");
    if (!button) return;
    const row = table.row(button.closest("tr")), i = Number(button.value);
    if (pane) return pane.show(i);
    if (row.child.isShown()) row.child.hide();
    else {
      const part = await piece(i);
      row.child(part.rows[i % spec.chunk].map(x => typeof x === "number" ? part.shared[x] : x).join(""), "cm-detail").show();
    }
    button.setAttribute("aria-expanded", String(row.child.isShown()));
  });
  table.rows.add(spec.rows);
  read();
  box.dataset.cm = "ready";
}

let came = null;   // the link by which a reader left a table, and the address it was left at: coming back there finds it again
document.addEventListener("click", e => { const a = e.target.closest(".cm-table a[href^='#']"); if (a) came = { a, at: location.hash }; }, true);
const returned = () => came?.at === location.hash ? came.a : null;

function reveal() {   // what an address names may lie in a folded part, or in another tab
  const id = decodeURIComponent(location.hash.slice(1).split("?")[0]), found = id ? document.getElementById(id) : null;
  selectPart(found?.closest("section.part"));
  for (let part = found?.closest("details"); part; part = part.parentElement?.closest("details")) part.open = true;
  if (found?.closest("details, section.part")) found.scrollIntoView();
}

function follow() {   // #ID?0=2&1=5&area=cost chooses values in the filters of the table ID, and its view
  reveal();
  const [id, wanted] = location.hash.slice(1).split("?");
  const box = wanted === undefined ? null : document.getElementById(id);
  if (!box?.cmChoose) return (returned() ?? tabLeft())?.focus({ preventScroll: true });
  const parts = wanted.split("&").filter(Boolean).map(p => p.split("=")), named = Object.fromEntries(parts.filter(([k]) => !/^\d+$/.test(k)));
  const back = returned();
  box.cmChoose(parts.filter(([k]) => /^\d+$/.test(k)).map(p => p.map(Number)), named.area, named);
  const pane = box.querySelector(".cm-pane");
  (pane ?? box).scrollIntoView();
  if (back) back.focus({ preventScroll: true });
  else (pane?.querySelector(".cm-which") ?? box.querySelector("h2, h3, .dt-layout-table"))?.focus({ preventScroll: true });
}

const breathe = () => new Promise(done => setTimeout(done));
window.crmevalTables = { start: async () => {   // one after the other, so that the first can be used while the last is made
  for (const box of document.querySelectorAll(".cm-table")) { await start(box); await breathe(); }
  if (location.hash) follow();
} };
window.addEventListener("hashchange", () => { if (location.hash) follow(); else { selectPart(document.querySelector("section.part")); (returned() ?? tabLeft())?.focus(); } });
window.crmevalTables.start();
