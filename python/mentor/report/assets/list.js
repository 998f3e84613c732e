// A list of which only the visible rows are in the document.
const ROW = 56;

class VirtualList {
  constructor(onChoose) {
    this.rows = el("div", "rows");
    this.node = el("div", "list", this.rows);
    this.node.tabIndex = 0;
    this.node.setAttribute("role", "listbox");
    this.node.setAttribute("aria-label", "Rollouts");
    this.items = [];
    this.chosen = null;
    // Kept, because to ask for them after a change would lay out the whole page.
    this.top = 0;
    this.height = 600;
    this.node.addEventListener(
      "scroll",
      () => {
        this.top = this.node.scrollTop;
        this.draw();
      },
      { passive: true },
    );
    this.node.addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
      if (!by) return;
      event.preventDefault();
      onChoose(by);
    });
    new ResizeObserver(() => {
      this.height = this.node.clientHeight;
      this.draw();
    }).observe(this.node);
  }

  show(items) {
    this.items = items;
    this.rows.style.height = `${items.length * ROW}px`;
    this.move(0);
  }

  move(top) {
    if (top !== this.top) this.node.scrollTop = this.top = Math.max(0, Math.min(top, this.items.length * ROW - this.height));
  }

  // Marks an item and brings it into view.
  choose(item, centred = false) {
    this.chosen = item;
    const at = this.items.indexOf(item);
    const top = at * ROW;
    if (at >= 0) {
      if (centred) this.move(top - (this.height - ROW) / 2);
      else if (top < this.top) this.move(top);
      else if (top + ROW > this.top + this.height) this.move(top + ROW - this.height);
    }
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.top / ROW) - 4);
    const last = Math.min(this.items.length, Math.ceil((this.top + this.height) / ROW) + 4);
    const made = [];
    for (let at = first; at < last; at += 1) made.push(this.row(this.items[at], at));
    if (!this.items.length) made.push(el("p", "row empty", "No rollout passes the filters."));
    this.rows.replaceChildren(...made);
  }

  row(rollout, at) {
    const chosen = rollout === this.chosen;
    const several = data.runs.length > 1;
    const made = el(
      "a",
      "row",
      el(
        "div",
        "",
        several ? el("span", "", swatch(rollout.run)) : "",
        el("span", `verdict ${rollout.correct ? "right" : "wrong"}`, rollout.correct ? "\u2713" : "\u2717"),
        el("span", "name", rollout.task || data.prompts[rollout.prompt] || "(no name)"),
        el("span", "value", plain(rollout.reward, 2)),
      ),
      el("span", "sub", several ? `${data.runs[rollout.run].label} \u00b7 ` : "", subtitle(rollout)),
    );
    made.href = link(rollout);
    made.id = `row-${at}`;
    made.tabIndex = -1;
    made.setAttribute("role", "option");
    made.setAttribute("aria-selected", String(chosen));
    made.setAttribute("aria-posinset", String(at + 1));
    made.setAttribute("aria-setsize", String(this.items.length));
    made.style.top = `${at * ROW}px`;
    if (chosen) this.node.setAttribute("aria-activedescendant", made.id);
    return made;
  }
}

const subtitle = (rollout) => {
  const flaws = rollout.defects.length;
  return [
    phaseName(rollout.phase),
    rollout.step && rollout.phase === "grpo" && `step ${rollout.step}`,
    rollout.split,
    `${rollout.calls} call${rollout.calls === 1 ? "" : "s"}`,
    flaws && `${flaws} defect${flaws === 1 ? "" : "s"}`,
  ]
    .filter(Boolean)
    .join(" \u00b7 ");
};
