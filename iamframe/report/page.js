"use strict";
(() => {
  const field = document.getElementById("find"), said = document.getElementById("said");
  const rows = Array.from(document.querySelectorAll("tr.finding"));
  let words = null, timer = 0;
  const filter = () => {
    words ??= rows.map((row) => row.textContent.toLowerCase());
    const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, i) => {
      const hit = wanted.every((word) => words[i].includes(word));
      if (row.hidden === hit) row.hidden = !hit;
      if (hit) shown += 1;
    });
    said.textContent = wanted.length ? `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} findings match` : "";
  };
  field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(filter, 60); });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    const text = button.previousElementSibling.textContent;
    const done = (word) => { button.textContent = word; setTimeout(() => { button.textContent = "Copy"; }, 1500); };
    const select = () => { getSelection().selectAllChildren(button.previousElementSibling); done("Selected"); };
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(() => done("Copied"), select); else select();
  });
})();
