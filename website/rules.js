// The list of rules shows those in which all of the words occur; a family without any is hidden with its heading.
(() => {
  const label = document.querySelector(".rule-filter");
  if (!label) return;
  label.hidden = false;
  const families = [...document.querySelectorAll("article table")].map((table) => {
    const holder = table.closest(".md-typeset__scrollwrap") || table;
    return { holder, heading: holder.previousElementSibling, rows: [...table.tBodies[0].rows] };
  });
  label.querySelector("input").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const { holder, heading, rows } of families) {
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      holder.hidden = heading.hidden = shown === 0;
    }
  });
})();
