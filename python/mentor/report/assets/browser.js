// The browser of rollouts: filters, sorting, search, keys, and links that survive a reload.
const startBrowser = (root) => {
  const all = data.rollouts;
  const byId = new Map(all.map((rollout) => [rollout.id, rollout]));
  const byPrompt = new Map();
  all.forEach((rollout, order) => {
    rollout.order = order;
    rollout.tools = new Set(rollout.turns.flatMap((turn) => turn.parts.filter((part) => part.kind === "call").map((part) => part.name)));
    rollout.kinds = new Set(rollout.defects.map(([kind]) => kind));
    if (!byPrompt.has(rollout.prompt)) byPrompt.set(rollout.prompt, []);
    byPrompt.get(rollout.prompt).push(rollout);
  });

  // Everything in a rollout that can be read, in small letters; made when it is first searched.
  const haystack = (rollout) => {
    if (rollout.haystack === undefined) {
      const words = [data.prompts[rollout.prompt], rollout.task, rollout.split, rollout.answer ?? ""];
      const call = (one) => words.push(one.name, Array.isArray(one.arguments) ? one.arguments.map((pair) => pair.join("=")).join(", ") : one.arguments, one.result ?? "");
      for (const turn of rollout.turns) for (const part of turn.parts) (part.kind === "call" ? call : (one) => words.push(one.text))(part);
      data.references[rollout.reference].calls.forEach(call);
      words.push(data.references[rollout.reference].answer, ...rollout.defects.flat());
      rollout.haystack = words.join("\n").toLowerCase();
    }
    return rollout.haystack;
  };

  const filters = [];
  const bar = el("form", "filters");
  const field = (title, ...inputs) => el("label", "", title, ...inputs);
  const search = el("input", "");
  search.type = "search";
  search.name = "search";
  search.placeholder = 'words, "a phrase"';
  search.title = "In prompts, texts, calls, results, answers and defects";
  const searchField = field("Search", search);
  searchField.classList.add("search");
  bar.append(searchField);
  filters.push(() => {
    const words = (search.value.toLowerCase().match(/"[^"]+"|\S+/g) ?? []).map((word) => word.replace(/^"(.+)"$/, "$1"));
    return words.length ? (rollout) => words.every((word) => haystack(rollout).includes(word)) : null;
  });

  const select = (name, title, choices, test) => {
    if (choices.length < 2) return;
    const made = el("select", "");
    made.name = name;
    made.append(new Option("all", ""), ...choices.map(([value, text]) => new Option(text, value)));
    bar.append(field(title, made));
    filters.push(() => (made.value === "" ? null : (rollout) => test(rollout, made.value)));
  };
  const distinct = (values) => [...new Set(values)].filter((value) => value !== "");
  const named = (values) => values.map((value) => [value, value]);
  const counted = (sets) => {
    const counts = new Map();
    for (const set of sets) for (const value of set) counts.set(value, (counts.get(value) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1]).map(([value, count]) => [value, `${value} (${count})`]);
  };
  const bySize = (a, b) => Number(a) - Number(b) || (a < b ? -1 : 1);

  select("run", "Run", data.runs.map((run, at) => [String(at), run.label]), (rollout, value) => rollout.run === Number(value));
  const phases = distinct(all.map((rollout) => rollout.phase));
  select("phase", "Phase", phases.map((phase) => [phase, phaseName(phase)]), (rollout, value) => rollout.phase === value);
  select("split", "Split", named(distinct(all.map((rollout) => rollout.split))), (rollout, value) => rollout.split === value);
  const steps = distinct(all.map((rollout) => rollout.step)).sort(bySize);
  select("step", "Step", named(steps), (rollout, value) => rollout.step === value);
  select("verdict", "Answer", [["right", "right"], ["wrong", "wrong"]], (rollout, value) => rollout.correct === (value === "right"));
  const NONE = "\u0000none";
  const kinds = counted(all.map((rollout) => rollout.kinds));
  if (kinds.length) {
    select("defect", "Defect", [[NONE, "without defects"], ...kinds], (rollout, value) =>
      value === NONE ? rollout.kinds.size === 0 : rollout.kinds.has(value),
    );
  }
  const tools = counted(all.map((rollout) => rollout.tools));
  if (tools.length) {
    select("tool", "Tool", [[NONE, "without calls"], ...tools], (rollout, value) =>
      value === NONE ? rollout.calls === 0 : rollout.tools.has(value),
    );
  }
  const range = ["from", "to"].map((name) => {
    const made = el("input", "");
    made.type = "number";
    made.step = "any";
    made.name = `reward-${name}`;
    made.placeholder = name;
    made.setAttribute("aria-label", `Reward ${name}`);
    return made;
  });
  bar.append(field("Reward", el("span", "pair", ...range)));
  filters.push(() => {
    const [low, high] = range.map((input) => input.valueAsNumber);
    if (Number.isNaN(low) && Number.isNaN(high)) return null;
    return (rollout) => isNumber(rollout.reward) && !(rollout.reward < low) && !(rollout.reward > high);
  });

  const sort = el("select", "");
  sort.name = "sort";
  const orders = {
    file: ["as recorded", (a, b) => a.order - b.order],
    latest: ["latest first", (a, b) => b.order - a.order],
    high: ["reward, high first", (a, b) => (b.reward ?? -Infinity) - (a.reward ?? -Infinity)],
    low: ["reward, low first", (a, b) => (a.reward ?? Infinity) - (b.reward ?? Infinity)],
    calls: ["calls, many first", (a, b) => b.calls - a.calls],
    flaws: ["defects, many first", (a, b) => b.defects.length - a.defects.length],
    task: ["by task", (a, b) => a.prompt - b.prompt],
  };
  sort.append(...Object.entries(orders).map(([key, [text]]) => new Option(text, key)));
  bar.append(field("Sort", sort));
  const reset = el("button", "", "Reset");
  reset.type = "reset";
  bar.append(reset);

  const count = el("span", "");
  count.setAttribute("role", "status");
  const hint = el("span", "keys", el("kbd", "", "j"), " ", el("kbd", "", "k"), " next, previous  ", el("kbd", "", "/"), " search");
  const detail = el("div", "detail");
  detail.setAttribute("aria-live", "polite");
  let shown = [];
  let chosen = null;

  const go = (by) => {
    if (!shown.length) return;
    const now = shown.indexOf(chosen);
    const at = Math.max(0, Math.min(shown.length - 1, now < 0 ? 0 : now + by));
    choose(shown[at], { remember: true });
  };
  const list = new VirtualList(go);
  root.append(bar, el("p", "tally", count, hint), el("div", "panes", list.node, detail));

  // The list follows at once; the detail once per frame, and the address when the keys rest.
  let frame = 0;
  let address = 0;
  const choose = (rollout, { remember = false, centred = false } = {}) => {
    chosen = rollout;
    list.choose(rollout, centred);
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      const others = rollout ? byPrompt.get(rollout.prompt).filter((one) => one !== rollout) : [];
      const none = el("p", "empty", "Choose a rollout on the list.");
      detail.replaceChildren(...(rollout ? showDetail(rollout, others) : [none]));
    });
    clearTimeout(address);
    if (remember) address = setTimeout(() => history.replaceState(null, "", link(rollout)), 100);
  };

  const refresh = () => {
    const tests = filters.map((make) => make()).filter(Boolean);
    shown = all.filter((rollout) => tests.every((test) => test(rollout)));
    const compare = orders[sort.value][1];
    shown.sort((a, b) => compare(a, b) || a.order - b.order);
    const right = shown.filter((rollout) => rollout.correct).length;
    const number = (value) => value.toLocaleString("en");
    count.textContent = `${number(shown.length)} of ${number(all.length)} rollouts` + (shown.length ? `, ${number(right)} right` : "");
    list.show(shown);
    if (chosen && shown.includes(chosen)) list.choose(chosen);
    else choose(shown[0] ?? null, { remember: shown.length > 0 && location.hash.startsWith("#r-") });
  };

  // A link names a rollout; filters that would hide it give way.
  const followLink = (centred) => {
    let name = location.hash;
    if (!name.startsWith("#r-")) return false;
    try {
      name = decodeURIComponent(name.slice(3));
    } catch {
      name = name.slice(3);
    }
    const rollout = byId.get(name);
    if (!rollout) {
      choose(null);
      cancelAnimationFrame(frame);
      detail.replaceChildren(el("p", "empty", "The rollout that this link names is not in this page."));
      return true;
    }
    if (!shown.includes(rollout)) {
      bar.reset();
      chosen = rollout;
      refresh();
      centred = true;
    }
    choose(rollout, { centred });
    return true;
  };

  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(refresh, 120);
  });
  bar.addEventListener("input", (event) => event.target !== search && refresh());
  bar.addEventListener("reset", () => setTimeout(refresh));
  bar.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => followLink(false));
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof Element && event.target.closest("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "j") go(1);
    else if (event.key === "k") go(-1);
    else if (event.key === "/") {
      event.preventDefault();
      search.focus();
    }
  });

  root.hidden = false;
  refresh();
  if (followLink(true)) root.scrollIntoView({ behavior: "instant" });
};

const browserRoot = document.getElementById("browser");
if (browserRoot) startBrowser(browserRoot);
