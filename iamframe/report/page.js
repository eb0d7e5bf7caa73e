"use strict";
(() => {
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const field = document.getElementById("find"), said = document.getElementById("said");
  const number = (count) => count.toLocaleString("en");
  // What the script says stands on the page, in its language.
  const say = (words, ...given) => given.reduce((text, one) => text.replace("{}", one), field.dataset[words]);

  // Tables are drawn in bodies of a hundred rows; those off screen are not laid out.
  const CHUNK = 100;
  const settle = (table) => {
    for (const body of table.tBodies) {
      let shown = 0;
      for (const row of body.rows) if (!row.hidden) shown += 1;
      body.hidden = shown === 0;
      // A body that is not laid out keeps room for the rows that it shows, not for those that it hides.
      body.className = `n${Math.ceil(shown / 10)}${shown < body.rows.length ? " some" : ""}`;
    }
  };

  // The filter
  const sections = all("section.check").map((section) => ({
    section, head: section.querySelector("h2"), table: section.querySelector("table"), rows: all("tr.finding", section),
    told: document.getElementById(`hits-${section.querySelector("h2").id}`), words: null,
  }));
  const total = sections.reduce((sum, { rows }) => sum + rows.length, 0);
  const wordsOf = (row) => Array.from(row.cells, (cell) => {
    const button = cell.lastElementChild;
    const text = cell.textContent.toLowerCase();
    return button && button.localName === "button" ? text.slice(0, -button.textContent.length) : text;
  }).join("\n");
  // A row is found by the name of its check, too.
  const read = () => sections.forEach((one) => { one.words ??= one.rows.map((row) => `${wordsOf(row)}\n${one.head.id}`); });
  let left = 0, timer = 0, applied = "";

  const mark = (rows, wanted) => {
    if (!window.CSS || !CSS.highlights) return;
    const ranges = [];
    for (const row of rows) {
      const texts = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
      while (texts.nextNode()) {
        const node = texts.currentNode, text = node.data.toLowerCase();
        if (text.length !== node.data.length || node.parentNode.localName === "button") continue;
        for (const word of wanted) {
          for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
            const range = document.createRange();
            range.setStart(node, at);
            range.setEnd(node, at + word.length);
            ranges.push(range);
          }
        }
      }
      if (ranges.length > 1000) break;
    }
    if (ranges.length) CSS.highlights.set("hit", new Highlight(...ranges)); else CSS.highlights.delete("hit");
  };

  const filter = () => {
    const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (wanted.join(" ") === applied) return;
    if (!applied) left = scrollY;
    applied = wanted.join(" ");
    read();
    const hits = [];
    let found = 0, first = null;
    for (const one of sections) {
      let shown = 0;
      one.rows.forEach((row, i) => {
        const hit = wanted.every((word) => one.words[i].includes(word));
        if (row.hidden === hit) row.hidden = !hit;
        if (!hit) return;
        shown += 1;
        if (wanted.length && hits.length < 200) hits.push(row);
      });
      one.section.hidden = wanted.length > 0 && shown === 0;
      one.told.textContent = wanted.length ? say("of", number(shown)) : "";
      if (one.table) settle(one.table);
      if (shown) first ??= one.head;
      found += shown;
    }
    said.textContent = wanted.length ? say("match", number(found), number(total)) : "";
    mark(hits, wanted);
    if (!wanted.length) scrollTo(0, left); else if (first) first.scrollIntoView();
  };
  field.addEventListener("focus", read);
  field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(filter, 50); });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !field.value) return;
    event.preventDefault();
    field.value = "";
    filter();
  });

  // Sorting: each time from the order in which the page was written, so that equal rows keep it.
  const SEVERITIES = ["high", "medium", "low", "info"];
  const order = new Intl.Collator(document.documentElement.lang, { numeric: true });
  const written = new WeakMap();
  const keyOf = {
    severity: (cell) => SEVERITIES.findIndex((name) => cell.firstElementChild.classList.contains(name)),
    number: (cell) => parseFloat(Array.from(cell.childNodes).find((node) => node.nodeType === 3).data.replaceAll(",", "")),
  };
  const sort = (head) => {
    const table = head.closest("table"), at = head.cellIndex, kind = head.dataset.sort;
    if (!written.has(table)) written.set(table, all("tbody > tr", table));
    const rows = written.get(table);
    const down = head.getAttribute("aria-sort") === "ascending";
    const key = keyOf[kind] || ((cell) => cell.textContent);
    const keys = rows.map((row) => key(row.cells[at]));
    const missing = (value) => value === "" || Number.isNaN(value);
    const compare = kind ? (a, b) => a - b : order.compare;
    // Each text is compared once with its neighbours, not each row: of ten thousand, many are alike.
    const ranks = new Map([...new Set(keys)].filter((value) => !missing(value)).sort(compare).map((value, i) => [value, i]));
    const rank = (value) => missing(value) ? Infinity : down ? -ranks.get(value) : ranks.get(value);
    const places = keys.map(rank);
    const sorted = rows.map((_, i) => i).sort((a, b) => (places[a] === places[b] ? 0 : places[a] - places[b]) || a - b);
    Array.from(table.tBodies).forEach((body, i) => {
      body.replaceChildren(...sorted.slice(i * CHUNK, (i + 1) * CHUNK).map((place) => rows[place]));
    });
    all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    settle(table);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.parentElement.localName === "th") sort(button.parentElement);
    else if (button.className === "copy") copy(button);
  });
  const copy = (button) => {
    const done = (words) => { button.textContent = say(words); setTimeout(() => { button.textContent = say("copy"); }, 1500); };
    const select = () => { getSelection().selectAllChildren(button.previousElementSibling); done("selected"); };
    const text = button.previousElementSibling.textContent;
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(() => done("copied"), select); else select();
  };

  // A table that is wider than its frame says so until its end is reached.
  const told = ({ target }) => target.classList.toggle("more", target.scrollWidth - target.clientWidth - target.scrollLeft > 4);
  const watched = new ResizeObserver((all) => all.forEach(told));
  for (const frame of all(".scroll")) {
    watched.observe(frame);
    frame.addEventListener("scroll", told, { passive: true });
  }

  // Tables that are not drawn as such lose their meaning in some browsers.
  const ROLES = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", th: "columnheader", td: "cell" };
  for (const part of all("table, thead, tbody, tr, th, td")) part.setAttribute("role", ROLES[part.localName]);
})();
