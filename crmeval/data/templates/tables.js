// Glue between crmeval's pages and the DataTables of itables: data, filters, links into a filtered table, rows that open.
// Every string in the data was escaped where it was made. It runs inside the component's module: $ is its jQuery.
const unpack = async el => JSON.parse(await new Response(new Blob([Uint8Array.from(atob(el.textContent), c => c.charCodeAt(0))])
  .stream().pipeThrough(new DecompressionStream("gzip"))).text());

async function start(box) {
  if (box.dataset.cm) return;
  box.dataset.cm = "starting";
  const spec = await unpack(box.querySelector(".cm-data")), node = box.querySelector("table");
  node.querySelector("tbody")?.remove();
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
  table.search.fixed("crmeval", (text, data, i) => sets.every((s, k) => !s.size || s.has(spec.keys[i][k])));
  const read = () => {
    menus.forEach((m, k) => {
      sets[k] = new Set([...m.querySelectorAll("input:checked")].map(x => Number(x.value)));
      m.querySelector("b").textContent = sets[k].size ? `${sets[k].size} chosen` : "all";
    });
    table.draw();
  };
  const area = box.querySelector(".cm-area");
  const show = (sort = true) => {
    if (!area) return;
    spec.columns.forEach((c, k) => table.column(k).visible(c.areas.includes("") || c.areas.includes(area.value), false));
    table.columns.adjust();
    if (sort && spec.areaOrder[area.value]) table.order([spec.areaOrder[area.value]]);
    table.draw();
  };
  box.cmChoose = wanted => {   // [[filter, value], ...]; filters that are not named are cleared
    box.querySelectorAll(".cm-filter input").forEach(x => { x.checked = wanted.some(([f, v]) => x.name === `${box.id}-f${f}` && Number(x.value) === v); });
    table.search("");
    read();
  };
  menus.forEach(m => m.addEventListener("change", read));
  area?.addEventListener("change", () => show());
  box.querySelector(".cm-reset")?.addEventListener("click", () => { box.cmChoose([]); if (area) { area.value = area.options[0].value; show(); } });

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

function follow() {   // #ID?0=2&1=5 chooses values in the filters of the table ID
  const [id, wanted] = location.hash.slice(1).split("?");
  const box = wanted === undefined ? null : document.getElementById(id);
  if (!box?.cmChoose) return;
  box.cmChoose(wanted.split("&").filter(Boolean).map(p => p.split("=").map(Number)));
  box.scrollIntoView();
  box.querySelector("h2, h3, .dt-layout-table")?.focus({ preventScroll: true });
}

window.crmevalTables = { start: async () => { await Promise.all([...document.querySelectorAll(".cm-table")].map(start)); follow(); } };
window.addEventListener("hashchange", follow);
window.crmevalTables.start();
