"use strict";
(() => {
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const main = document.querySelector("main"), bar = document.querySelector(".find");
  const field = document.getElementById("find"), said = document.getElementById("said"), reset = document.getElementById("reset");
  const number = (count) => count.toLocaleString("en");
  // What the script says stands on the page, in its language.
  const say = (words, ...given) => given.reduce((text, one) => text.replace("{}", () => one), bar.dataset[words]);

  // Tables are drawn in bodies of a hundred rows; those off screen are not laid out.
  const CHUNK = 100;
  const settle = (table) => {
    for (const body of table.tBodies) {
      const shown = all("tr.finding", body).filter((row) => !row.hidden).length;
      body.hidden = shown === 0 && body.querySelector("tr.finding") !== null;
      // A body that is not laid out keeps room for the rows that it shows, not for those that it hides.
      body.className = `n${Math.ceil(shown / 10)}${shown < body.rows.length ? " some" : ""}`;
    }
  };

  // What a row does not repeat stands with its table and its section.
  const tables = new Map();
  const factsOf = (row) => {
    const table = row.closest("table");
    if (!tables.has(table)) {
      const section = table.closest("section");
      const at = (name) => Array.from(table.tHead.rows[0].cells).findIndex((cell) => cell.dataset.column === name);
      tables.set(table, {
        check: section.querySelector("h2").id, places: Object.fromEntries(["path", "maker", "owner", "account"].map((name) => [name, at(name)])),
        steps: all(".steps > li", section), ...table.dataset,
      });
    }
    const { places, steps, ...of } = tables.get(table), cell = (name) => places[name] < 0 ? null : row.cells[places[name]];
    const text = (name) => cell(name)?.textContent ?? "";
    const account = text("account") || main.dataset.account;
    // A mark behind the name is parted from it by a space.
    const first = row.cells[0].firstChild, isName = first && !["B", "I"].includes(first.nodeName);
    const name = isName ? first.textContent.replace(first.nextSibling && first.nodeType === 3 ? / $/ : "", "") : "";
    const owner = cell("owner")?.firstElementChild?.className ?? (text("owner") ? `=${text("owner")}` : "none");
    const whole = (begin, short) => short[0] === "/" ? begin.replace("{}", () => account) + short : short;
    const arn = row.dataset.a ?? (of.arns ? whole(of.arns, text("path") + name) : "");
    const related = whole(of.related, row.dataset.r ?? "");
    return {
      check: of.check, severity: row.dataset.v ?? of.severity, account, owner, name, arn, related, id: row.dataset.i,
      maker: text("maker") || of.maker, console: of.console, step: steps[Number(row.dataset.s ?? 0)],
    };
  };

  // The details of a row: its ARNs, its command, and how to accept it
  const opened = new Map();
  const close = (row) => {
    opened.get(row)?.remove();
    if (opened.delete(row)) { const button = row.querySelector("button"); button.textContent = say("more"); button.removeAttribute("aria-expanded"); }
  };
  // JSON writes texts as TOML does, but for one letter.
  const quoted = (text) => JSON.stringify(text).replaceAll("\x7f", "\\u007f");
  const entry = ({ check, arn, related, id, name }) => {
    const which = id ? { finding_id: id } : { resource_arn: arn, ...(related && { related_arn: related }) };
    const lines = [["check", check], ...Object.entries(which)].map(([key, value]) => `${key} = ${quoted(value)}`);
    const about = name ? `  # ${name.replace(/[^\x20-\x7e]/g, "?")}` : "";
    return `# ${say("file")}\n[[accepted]]${about}\n${lines.join("\n")}\nreason = ""  # ${say("reason")}\nexpires = ${main.dataset.expires}  # ${say("until")}\n`;
  };
  const open = (row) => {
    const facts = factsOf(row), table = row.closest("table");
    const part = document.getElementById("more").content.cloneNode(true);
    const set = (name, text) => { const of = part.querySelector(`.of-${name}`); if (text) of.querySelector("code").textContent = text; else of.remove(); return of; };
    set("arn", facts.arn);
    const link = set("related", facts.related).querySelector("a");
    const role = facts.related.includes(":role/") && facts.console;
    if (role) link.href = `${facts.console}/iam/home#/roles/details/${encodeURIComponent(facts.related.split("/").pop())}`; else link.remove();
    const values = { "\ue000": facts.arn, "\ue001": facts.related, "\ue002": facts.name, "\ue003": facts.related.split("/").pop() };
    const step = set("step", facts.step?.textContent.replace(/[\ue000-\ue003]/g, (place) => values[place]));
    const changes = facts.step?.classList.contains("changes");
    if (!changes) step.querySelector(".badge").remove();
    if ("m" in row.dataset) step.querySelector("p").textContent = say("maker", facts.maker); else step.querySelector("p")?.remove();
    if (changes) step.querySelector("dd").dataset.account = facts.account;
    const isDone = facts.severity === "info" || row.closest("details.folded") || main.dataset.masked;
    set("accept", isDone ? "" : entry(facts));
    const more = document.createElement("tr"), cell = more.insertCell();
    more.className = "opened";
    cell.colSpan = table.tHead.rows[0].cells.length;
    cell.append(part);
    row.after(more);
    opened.set(row, more);
    const button = row.lastElementChild.firstElementChild;
    button.textContent = say("less");
    button.setAttribute("aria-expanded", "true");
  };

  // The filter
  const sections = all("section.check").map((section) => ({
    section, head: section.querySelector("h2"), tables: all("table.findings", section), rows: all("tr.finding", section),
    folded: section.querySelector("details.folded"), count: section.querySelector("p > .hits"), told: document.getElementById(`hits-${section.querySelector("h2").id}`), facts: null, words: null,
  }));
  const total = sections.reduce((sum, { rows }) => sum + rows.length, 0);
  const wordsOf = (row, { check, arn, related }) => `${Array.from(row.cells, (cell) => cell.textContent).slice(0, -1).join("\n")}\n${check}\n${arn}\n${related}`.toLowerCase();
  const read = () => sections.forEach((one) => {
    one.facts ??= one.rows.map(factsOf);
    one.words ??= one.rows.map((row, i) => wordsOf(row, one.facts[i]));
  });
  const choices = all("select", bar);
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
    const chosen = choices.filter((one) => one.value).map((one) => [one.dataset.by, one.value]);
    const isActive = wanted.length > 0 || chosen.length > 0, asked = JSON.stringify([wanted, chosen]);
    if (asked === applied) return;
    if (reset.hidden) left = scrollY;
    applied = asked;
    read();
    const hits = [];
    let found = 0, folded = 0, first = null;
    for (const one of sections) {
      let shown = 0, within = 0;
      one.rows.forEach((row, i) => {
        const hit = chosen.every(([by, value]) => one.facts[i][by] === value) && wanted.every((word) => one.words[i].includes(word));
        if (row.hidden === hit) row.hidden = !hit;
        if (!hit) { close(row); return; }
        shown += 1;
        if (one.folded && one.folded.contains(row)) within += 1;
        if (wanted.length && hits.length < 200) hits.push(row);
      });
      one.section.hidden = isActive && shown === 0;
      if (one.told) one.told.textContent = isActive ? say("of", number(shown - within)) : "";
      if (one.count) one.count.textContent = isActive ? say("of", number(shown - within)) : "";
      if (one.folded) {
        one.folded.hidden = isActive && within === 0;
        one.folded.querySelector(".hits").textContent = isActive && within ? say("of", number(within)) : "";
        // What was searched for is not hidden in a fold, unless there is more of it outside.
        if (isActive ? within && within === shown : one.folded.dataset.was) one.folded.open = isActive;
        one.folded.dataset.was = isActive && one.folded.open ? "1" : "";
      }
      one.tables.forEach((table) => {
        settle(table);
        const frame = table.closest(".scroll"), common = frame.previousElementSibling;
        frame.hidden = isActive && all("tr.finding", table).every((row) => row.hidden);
        if (common && common.className === "common") common.hidden = frame.hidden;
      });
      if (shown) first ??= one.head;
      found += shown;
      folded += within;
    }
    reset.hidden = !isActive;
    said.textContent = isActive ? say("match", number(found), number(total), number(found - folded)) : "";
    mark(hits, wanted);
    if (!isActive) scrollTo(0, left); else if (first) first.scrollIntoView();
  };
  const clear = () => { field.value = ""; choices.forEach((one) => { one.value = ""; }); filter(); };
  field.addEventListener("focus", read);
  field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(filter, 50); });
  choices.forEach((one) => one.addEventListener("change", filter));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || reset.hidden) return;
    event.preventDefault();
    clear();
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
    all("tr.finding", table).forEach(close);
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
    if (table.matches(".cards")) settle(table);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const row = button.closest("tr.finding"), by = choices.find((one) => one.dataset.by === button.dataset.by);
    if (button.parentElement.localName === "th") sort(button.parentElement);
    else if (button.className === "copy") copy(button);
    else if (button === reset) clear();
    else if (row) { if (opened.has(row)) close(row); else open(row); }
    else if (by) { choices.forEach((one) => { one.value = one === by ? button.dataset.value : ""; }); field.value = ""; filter(); }
  });
  // A command that changes something is copied with a line before it that stops in another account.
  const guarded = (button, text) => {
    const account = button.parentElement.dataset.account;
    const changes = button.nextElementSibling?.classList.contains("changes") && !text.startsWith("#");
    return changes && /^\d{12}$/.test(account) ? `test "$(aws sts get-caller-identity --query Account --output text)" = ${account} &&\n${text}` : text;
  };
  const copy = (button) => {
    const done = (words) => { button.textContent = say(words); setTimeout(() => { button.textContent = say("copy"); }, 1500); };
    const select = () => { getSelection().selectAllChildren(button.previousElementSibling); done("selected"); };
    const text = guarded(button, button.previousElementSibling.textContent);
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
