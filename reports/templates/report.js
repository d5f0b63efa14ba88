"use strict";
// Filters, pages and links of the findings. All that came from an input is set as text, never as markup.
(() => {
  const PAGE = 100;
  const PRINTED = 1000;
  const SEVERITIES = ["note", "low", "medium", "high", "critical"];
  const [ID, RULE, SEVERITY, COMPONENT, INPUT, MESSAGE, PLACE, EVIDENCE, PLACES, FIX] = Array(10).keys();

  const byId = (id) => document.getElementById(id);
  const { rules, components, inputs, findings } = JSON.parse(byId("data").textContent);
  const form = byId("filters");
  const list = byId("list");
  const pager = byId("pager");
  const title = byId("findings-title");
  let shown = findings;
  let page = 0;
  let haystacks = null;

  const element = (name, text, kind) => {
    const made = document.createElement(name);
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };

  // What stands between backticks, as code.
  const prose = (text) => {
    const made = document.createElement("p");
    text.split("`").forEach((piece, number) => made.append(number % 2 ? element("code", piece) : piece));
    return made;
  };

  const draw = (row) => {
    const made = byId("finding").content.cloneNode(true).firstElementChild;
    const rule = rules[row[RULE]];
    const severity = SEVERITIES[row[SEVERITY]];
    const part = (kind) => made.querySelector(`.${kind}`);
    made.id = row[ID];
    part("badge").textContent = severity;
    part("badge").classList.add(severity);
    part("message").textContent = row[MESSAGE];
    part("place").textContent = [...(inputs.length > 1 ? [inputs[row[INPUT]]] : []), components[row[COMPONENT]], row[PLACE]].join(" · ");
    part("rule").textContent = rule.id;
    made.firstElementChild.addEventListener("toggle", () => fill(made, row, rule), { once: true });
    return made;
  };

  // The rest of a finding, once somebody opens it.
  const fill = (made, row, rule) => {
    const body = made.querySelector(".body");
    if (body.firstChild) return;
    const heading = element("p", "");
    const self = element("a", "link to this finding", "self");
    self.href = `#${row[ID]}`;
    heading.append(element("b", `${rule.name}: `), rule.summary, " ", self);
    body.append(heading);
    for (const text of row[EVIDENCE] || []) body.append(element("p", text, "evidence"));
    for (const text of row[PLACES] || []) body.append(element("p", `also: ${text}`, "aside"));
    const remedy = prose(rule.remedy);
    remedy.prepend(element("b", "Do: "));
    body.append(remedy);
    if (row[FIX]) body.append(element("p", row[FIX], "aside"));
    for (const text of rule.why) body.append(prose(text));
    if (rule.nist.length) body.append(element("p", `NIST SP 800-190: ${rule.nist.join("; ")}`, "aside"));
  };

  const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

  const render = (size = PAGE) => {
    const first = page * PAGE;
    const rows = shown.slice(first, first + size);
    list.replaceChildren(...rows.map(draw));
    const whole = shown.length === findings.length ? "" : ` of ${findings.length.toLocaleString("en")}`;
    byId("tally").textContent = shown.length ? `${count(shown.length, "finding")}${whole}.` : `No finding${whole} is like that.`;
    pager.hidden = shown.length <= PAGE;
    pager.querySelector("span").textContent = `${(first + 1).toLocaleString("en")} to ${(first + rows.length).toLocaleString("en")} of ${shown.length.toLocaleString("en")}`;
    const [previous, next] = pager.querySelectorAll("button");
    previous.disabled = page === 0;
    next.disabled = first + PAGE >= shown.length;
  };

  // What a text is looked for in; made when one is first looked for.
  const haystack = (row) =>
    [row[MESSAGE], row[PLACE], rules[row[RULE]].id, rules[row[RULE]].name, components[row[COMPONENT]], ...(row[EVIDENCE] || []), ...(row[PLACES] || [])].join("\n").toLowerCase();

  const select = () => {
    const wanted = new FormData(form);
    const severities = new Set(wanted.getAll("severity").map((name) => SEVERITIES.indexOf(name)));
    const rule = rules.findIndex((one) => one.id === wanted.get("rule"));
    const component = components.indexOf(wanted.get("component"));
    const input = inputs.indexOf(wanted.get("input"));
    const words = wanted.get("text").toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length && !haystacks) haystacks = findings.map(haystack);
    shown = findings.filter(
      (row, number) =>
        (!severities.size || severities.has(row[SEVERITY])) &&
        (rule < 0 || row[RULE] === rule) &&
        (component < 0 || row[COMPONENT] === component) &&
        (input < 0 || row[INPUT] === input) &&
        words.every((word) => haystacks[number].includes(word)),
    );
    page = 0;
    render();
  };

  // The filters as the address has them, `#findings?severity=high&rule=LKP002`, so that a view can be handed on.
  const address = () => {
    const state = new URLSearchParams([...new FormData(form)].filter(([, value]) => value)).toString();
    return state ? `#findings?${state}` : "#findings";
  };

  const apply = (state) => {
    form.reset();
    for (const field of form.elements) {
      if (field.type === "checkbox") field.checked = state.getAll(field.name).includes(field.value);
      else if (field.name && state.has(field.name)) field.value = state.get(field.name);
    }
    select();
  };

  const lead = (id) => {
    let number = shown.findIndex((row) => row[ID] === id);
    if (number < 0) {
      number = findings.findIndex((row) => row[ID] === id);
      if (number < 0) return;
      apply(new URLSearchParams());
    }
    page = Math.floor(number / PAGE);
    render();
    const found = byId(id);
    found.classList.add("linked");
    found.firstElementChild.open = true;
    found.scrollIntoView({ block: "center" });
    found.querySelector("summary").focus({ preventScroll: true });
  };

  const follow = () => {
    const hash = location.hash.slice(1);
    if (hash.startsWith("findings?")) {
      apply(new URLSearchParams(hash.slice("findings?".length)));
      title.focus({ preventScroll: true });
      title.scrollIntoView();
    } else if (hash.startsWith("f-")) {
      lead(hash);
    }
  };

  for (const link of document.querySelectorAll("a[data-filter]")) {
    const { filter, value, input: source } = link.dataset;
    link.hash = `findings?${new URLSearchParams({ [filter]: value, ...(source && { input: source }) })}`;
  }
  let waiting = 0;
  const changed = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      select();
      history.replaceState(null, "", address());
    }, 120);
  };
  form.addEventListener("input", changed);
  byId("all").addEventListener("click", () => {
    form.reset();
    changed();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  pager.addEventListener("click", (event) => {
    const step = Number(event.target.dataset.step);
    if (!step) return;
    page += step;
    render();
    title.focus({ preventScroll: true });
    title.scrollIntoView();
  });
  addEventListener("hashchange", follow);
  addEventListener("beforeprint", () => {
    render(PRINTED);
    for (const one of document.querySelectorAll("details")) {
      one.open = true;
      one.dispatchEvent(new Event("toggle")); // the browser tells of it only when all is printed
    }
  });
  addEventListener("afterprint", () => render());

  form.hidden = false;
  render();
  follow();
})();
