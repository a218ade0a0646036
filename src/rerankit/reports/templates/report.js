"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const root = document.documentElement;

  // Views: one part at a time; without scripts all of them stand below each other.
  const views = all(".view");
  const show = (key) => {
    views.forEach((view) => { view.hidden = view.id !== key; });
    all("[data-view]").forEach((tab) => tab.setAttribute("aria-selected", String(tab.dataset.view === key)));
  };
  all("[data-view]").forEach((tab) => tab.addEventListener("click", () => show(tab.dataset.view)));
  if (views.length) show(views[0].id);

  // Light and dark: as the system has it, until the button says otherwise.
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  document.getElementById("theme")?.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; });

  // Tables: sorted by a click on a head; the best and the second of what is shown.
  const value = (row, at) => {
    const text = row.cells[at]?.dataset.value;
    const number = Number.parseFloat(text);
    return text === undefined || text === "" ? null : Number.isNaN(number) ? text : number;
  };
  const sort = (head, down) => {
    const table = head.closest("table"), at = head.cellIndex, body = table.tBodies[0];
    const rows = [...body.rows].sort((a, b) => {
      const x = value(a, at), y = value(b, at);
      if (x === null || y === null) return (x === null) - (y === null);
      const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
      return down ? -order : order;
    });
    all("th", table).forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    rows.forEach((row) => body.append(row));
  };
  all("th[data-sort]").forEach((head) => {
    head.tabIndex = 0;
    const turn = () => {
      const now = head.getAttribute("aria-sort");
      sort(head, now ? now === "ascending" : head.dataset.sort === "down");
    };
    head.addEventListener("click", turn);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); turn(); } });
  });
  const places = (table) => {
    all("th[data-better]", table).forEach((head) => {
      const sign = head.dataset.better === "higher" ? 1 : -1, at = head.cellIndex;
      const rows = [...table.tBodies[0].rows].filter((row) => !row.classList.contains("off") && typeof value(row, at) === "number");
      const levels = [...new Set(rows.map((row) => sign * value(row, at)))].sort((a, b) => b - a);
      [...table.tBodies[0].rows].forEach((row) => {
        const figure = row.cells[at].querySelector(".figure");
        if (!figure) return;
        const place = rows.includes(row) && levels.length > 1 ? levels.indexOf(sign * value(row, at)) : -1;
        figure.classList.toggle("best", place === 0);
        figure.classList.toggle("second", place === 1);
      });
    });
  };

  // Filters: what a pipeline looks at, and words of its name.
  const boxes = all("[data-kind]"), search = document.getElementById("search");
  const filter = () => {
    const shown = new Set(boxes.filter((box) => box.checked).map((box) => box.dataset.kind));
    const words = (search?.value || "").toLowerCase().split(/\s+/).filter(Boolean);
    const off = new Set();
    all("tr[data-system]").forEach((row) => {
      const hidden = !row.classList.contains("first") &&
        (!(row.dataset.kinds || "").split(" ").every((kind) => shown.has(kind)) ||
         !words.every((word) => row.dataset.label.toLowerCase().includes(word)));
      row.classList.toggle("off", hidden);
      if (hidden) off.add(row.dataset.system);
    });
    all(".mark[data-system]").forEach((mark) => mark.classList.toggle("off", off.has(mark.dataset.system)));
    all("table").forEach(places);
  };
  boxes.forEach((box) => box.addEventListener("change", filter));
  search?.addEventListener("input", filter);

  // One pipeline of several, where a section is about one.
  all("select[data-pick]").forEach((select) => {
    const pick = () => all("[data-of]", select.closest("section")).forEach((part) => { part.hidden = part.dataset.of !== select.value; });
    select.addEventListener("change", pick);
    pick();
  });

  // Pointing at a row or a mark: its text, and the same pipeline everywhere.
  const tip = document.getElementById("tip");
  const light = (system, on) => {
    document.body.classList.toggle("lighting", on);
    if (system) all(`[data-system="${CSS.escape(system)}"]`).forEach((part) => part.classList.toggle("lit", on));
  };
  const place = (event) => {
    const width = tip.offsetWidth, right = event.pageX + 14 + width > root.clientWidth;
    tip.style.left = `${Math.max(4, right ? event.pageX - width - 10 : event.pageX + 14)}px`;
    tip.style.top = `${event.pageY + 14}px`;
  };
  document.addEventListener("pointerover", (event) => {
    const told = event.target.closest?.("[data-tip]"), row = event.target.closest?.("tr[data-system], .mark[data-system]");
    if (told) { tip.textContent = told.dataset.tip; tip.classList.add("on"); place(event); }
    if (row) light(row.dataset.system, true);
  });
  document.addEventListener("pointermove", (event) => { if (tip.classList.contains("on")) place(event); });
  document.addEventListener("pointerout", (event) => {
    const row = event.target.closest?.("tr[data-system], .mark[data-system]");
    tip.classList.remove("on");
    if (row) light(row.dataset.system, false);
  });
  root.classList.add("ready");
})();
