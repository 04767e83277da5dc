// The parts of a page as tabs: one is seen, the others are one click, one key or one address away. Without scripts all are seen.
const strip = document.querySelector("nav.tabs");
let byTab = false;   // whether the reader came to this part by its tab: going back finds the tab again
document.addEventListener("click", e => { byTab = !!e.target.closest("[role=tab]"); }, true);
const controls = "a, button, input, select, summary, [tabindex='0']";
const tabLeft = () => byTab && strip ? strip.querySelector("[aria-selected=true]") : null;

function selectPart(panel) {
  if (!strip || !panel?.id) return;
  document.querySelectorAll("section.part").forEach(p => {
    if (p === panel) p.removeAttribute("hidden"); else p.setAttribute("hidden", "until-found");
    if (p === panel && !p.querySelector(controls)) p.tabIndex = 0; else p.removeAttribute("tabindex");   // the next stop after the tabs
  });
  strip.querySelectorAll("a").forEach(a => {
    const on = a.getAttribute("aria-controls") === panel.id;
    a.setAttribute("aria-selected", String(on));
    a.tabIndex = on ? 0 : -1;
    if (on) strip.scrollLeft = a.offsetLeft - strip.offsetLeft - 40;   // on a narrow screen, too
  });
}

function startTabs() {
  if (!strip || strip.getAttribute("role") === "tablist") return;
  const links = [...strip.querySelectorAll("a")];
  const open = (a, push = true) => {
    const panel = document.getElementById(a.getAttribute("aria-controls"));
    if (push && a.getAttribute("aria-selected") !== "true") history.pushState(null, "", a.getAttribute("href"));
    selectPart(panel);
    if (strip.getBoundingClientRect().top <= 1) panel.scrollIntoView();
  };
  strip.setAttribute("role", "tablist");
  links.forEach((a, k) => {
    const panel = document.getElementById(a.getAttribute("href").slice(1)).closest("section.part");
    Object.entries({ role: "tab", id: `tab-${panel.id}`, "aria-controls": panel.id }).forEach(([n, v]) => a.setAttribute(n, v));
    Object.entries({ role: "tabpanel", "aria-labelledby": a.id }).forEach(([n, v]) => panel.setAttribute(n, v));
    panel.addEventListener("beforematch", () => selectPart(panel));   // the browser's own search opens a part
    a.addEventListener("click", e => { if (!e.ctrlKey && !e.metaKey && !e.shiftKey) { e.preventDefault(); open(a); } });
    a.addEventListener("keydown", e => {
      const to = { ArrowRight: k + 1, ArrowLeft: k - 1, Home: 0, End: -1 }[e.key];
      if (to === undefined && e.key !== " ") return;
      e.preventDefault();
      const next = e.key === " " ? a : links.at(to % links.length);
      next.focus({ preventScroll: true });
      byTab = true;
      open(next);
    });
  });
  selectPart(document.getElementById(links[0].getAttribute("aria-controls")));
}
startTabs();
