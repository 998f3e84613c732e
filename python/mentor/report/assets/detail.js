// One rollout: what the student wrote beside what the teacher called.
const link = (rollout) => `#r-${encodeURIComponent(rollout.id)}`;
const verdict = (rollout) =>
  el("span", `verdict ${rollout.correct ? "right" : "wrong"}`, rollout.correct ? "\u2713 right" : "\u2717 wrong");

const place = (rollout) =>
  [phaseName(rollout.phase), rollout.step && `step ${rollout.step}`, rollout.split, rollout.task]
    .filter(Boolean)
    .join(" \u00b7 ");

const callText = (call) => {
  const values = Array.isArray(call.arguments)
    ? call.arguments.map(([name, value]) => `${name}=${value}`).join(", ")
    : call.arguments;
  return el("code", "", el("b", "", call.name || "(no name)"), `(${values})`);
};

const tag = (...parts) => el("span", "tag", ...parts.filter(Boolean).map((part) => el("span", "", part)));
const flaws = (found) => found.map(([kind, why]) => el("div", "why", `${kind}: ${why}`));

// A call of the student: same as the teacher's, alike, one too many, or unreadable; grey where nothing was matched.
const studentCall = (call) => {
  let kind = "";
  let note = null;
  if (call.broken) {
    kind = "extra";
    note = tag("cannot be read");
  } else if (call.match) {
    const { reference, exact, similarity, reasons } = call.match;
    kind = exact && similarity > 0.999 ? "same" : "alike";
    const worth = kind === "same" ? "" : `worth ${plain(similarity, 2)}`;
    note = tag(`${kind === "same" ? "matches" : "is like"} teacher\u2019s ${reference + 1}`, worth, ...reasons);
  } else if (call.match === null) {
    kind = "extra";
    note = tag(call.result === undefined ? "no result, does not count" : "no partner");
  }
  const made = el("div", `call ${kind}`, callText(call));
  if (call.result !== undefined) made.append(el("div", "result", `\u2192 ${call.result}`));
  if (note) made.append(note);
  made.append(...flaws(call.flaws ?? []));
  return made;
};

const teacherCall = (call, at, kind) => {
  const made = el("div", `call ${kind}`, callText(call));
  if (call.result !== undefined) made.append(el("div", "result", `\u2192 ${call.result}`));
  made.append(tag(`teacher\u2019s ${at + 1}`, kind === "missing" ? "no call of the student\u2019s stands for it" : ""));
  return made;
};

const turnLine = (turn, index) => {
  const line = el("div", "turn wide", turn.role === "assistant" ? `turn ${index}` : turn.role);
  if (turn.cut) line.append(el("span", "wrong", "cut off by the budget"));
  if (isNumber(turn.credit)) {
    const credit = el("b", turn.credit < 0 ? "wrong" : "", `credit ${turn.credit < 0 ? "" : "+"}${plain(turn.credit)}`);
    credit.title = "This turn\u2019s share of the reward; the shares of all turns add up to it";
    line.append(credit);
  }
  return line;
};

// Text of a turn: plain passages and marked flaws in one block, so that a flaw stands where it was written.
const passages = (parts) => {
  const made = el("div", "text wide");
  for (const part of parts) {
    if (part.kind === "text") made.append(part.text);
    else {
      const flaw = el("span", "flaw", part.text);
      flaw.title = part.flaws.map((one) => one.join(": ")).join("\n");
      made.append(flaw, el("span", "why", ` ${part.flaws.map((one) => one[0]).join(", ")} `));
    }
  }
  return made;
};

const pairs = (rollout, reference, alone = false) => {
  const grid = el("div", alone ? "" : "pairs");
  const matched = new Map();
  for (const turn of rollout.turns)
    for (const part of turn.parts) if (part.match) matched.set(part.match.reference, part.match);
  if (!alone) grid.append(el("h4", "", "Student"), el("h4", "", "Teacher"));
  let turns = 0;
  for (const turn of rollout.turns) {
    if (turn.role === "assistant") turns += 1;
    grid.append(turnLine(turn, turns));
    let run = [];
    const flush = () => {
      if (run.length) grid.append(passages(run));
      run = [];
    };
    for (const part of turn.parts) {
      if (part.kind === "text" || part.kind === "flaw") {
        run.push(part);
        continue;
      }
      flush();
      if (part.kind === "result") {
        grid.append(el("div", "result wide", `\u2192 ${part.text}`));
        continue;
      }
      grid.append(studentCall(part));
      if (alone) continue;
      const at = part.match?.reference;
      const partner = at === undefined ? null : reference.calls[at];
      if (partner) {
        const same = part.match.exact && part.match.similarity > 0.999;
        grid.append(teacherCall(partner, at, same ? "same" : "alike"));
      } else grid.append(el("div", "absent", "\u2013"));
    }
    flush();
  }
  if (!rollout.turns.length) grid.append(el("p", "empty wide", "The student wrote nothing."));
  if (alone) return grid;
  const judged = rollout.rewarded || rollout.turns.some((turn) => turn.credit !== undefined);
  const missing = reference.calls.map((call, at) => [call, at]).filter(([, at]) => !matched.has(at));
  if (missing.length) grid.append(el("div", "turn wide", judged ? "not called" : "the teacher\u2019s calls"));
  for (const [call, at] of missing) grid.append(el("div", "absent", "\u2013"), teacherCall(call, at, judged ? "missing" : ""));
  if (!reference.calls.length) grid.append(el("p", "empty wide", "The reference calls no tool."));
  const final = (title, text, className) =>
    el("div", "end", el("h4", "", title), el("div", `final ${className}`, text ?? "none"));
  grid.append(
    final("Student\u2019s answer", rollout.answer, rollout.correct ? "right" : "wrong"),
    final("Reference\u2019s answer", reference.answer || "none", ""),
  );
  return grid;
};

const meter = (share, minus = false) => {
  const bar = el("i", "");
  bar.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return el("span", `meter${minus ? " minus" : ""}`, bar);
};

const rewardParts = (rollout) => {
  const columns = el("div", "cols");
  if (rollout.terms?.length) {
    const terms = el("div", "terms");
    for (const [name, value, most] of rollout.terms) {
      const whole = most ?? (Math.abs(value) || 1);
      terms.append(el("span", "", name), meter(Math.abs(value) / whole, value < 0));
      terms.append(el("b", "", most ? `${plain(value)} of ${compact(most)}` : plain(value)));
    }
    columns.append(el("div", "", el("h4", "", `Reward: ${rollout.rewarded}`), terms));
  }
  if (rollout.components.length) {
    const parts = el("div", "parts");
    for (const [name, value] of rollout.components) {
      const share = isNumber(value) && value >= 0 && value <= 1;
      parts.append(el("span", "", name), share ? meter(value) : el("span", ""), el("b", "", compact(value)));
    }
    const more = el("details", "quiet", el("summary", "", `${rollout.components.length} components`), parts);
    more.open = !rollout.terms?.length;
    columns.append(el("div", "", el("h4", "", "Measured"), more));
  }
  return columns.childNodes.length ? columns : null;
};

// The same task elsewhere: of other runs the most alike rollout, of this run the other evaluation's.
const beside = (rollout, others) => {
  const near = (one) =>
    4 * (one.phase === rollout.phase) + 2 * (one.step === rollout.step) + (one.split === rollout.split);
  const chosen = new Map();
  for (const one of others) {
    if (one.run === rollout.run && !(one.phase !== rollout.phase && one.phase !== "grpo")) continue;
    const key = `${one.run} ${one.run === rollout.run ? one.phase : ""}`;
    if (!chosen.has(key) || near(one) > near(chosen.get(key))) chosen.set(key, one);
  }
  return [...chosen.values()].sort((a, b) => a.run - b.run).slice(0, 12);
};

const otherLink = (one, several) => {
  const name = [several && data.runs[one.run].label, phaseName(one.phase), one.step && `step ${one.step}`];
  const made = el("a", "", `${one.correct ? "\u2713" : "\u2717"} ${plain(one.reward, 2)} `, name.filter(Boolean).join(" \u00b7 "));
  made.href = link(one);
  return made;
};

const besideCard = (one) => {
  const open = el("a", "", [data.runs.length > 1 && data.runs[one.run].label, phaseName(one.phase), one.step && `step ${one.step}`].filter(Boolean).join(" \u00b7 "));
  open.href = link(one);
  return el(
    "article",
    "",
    el("div", "head", swatch(one.run), open),
    el("div", "head", verdict(one), el("span", "", `reward ${plain(one.reward)}`)),
    pairs(one, data.references[one.reference], true),
    el("div", "", el("h4", "", "Answer"), el("div", `final ${one.correct ? "right" : "wrong"}`, one.answer ?? "none")),
  );
};

const showDetail = (rollout, others) => {
  const reference = data.references[rollout.reference];
  const several = data.runs.length > 1;
  const where = el("div", "where", several ? swatch(rollout.run) : "", several ? `${data.runs[rollout.run].label} \u00b7 ` : "", place(rollout));
  const made = [el("div", "", el("div", "head", verdict(rollout), el("span", "", `reward ${plain(rollout.reward)}`)), where)];
  const prompt = data.prompts[rollout.prompt];
  if (prompt) made.push(el("div", "prompt", prompt));
  if (rollout.note) made.push(el("p", "empty", rollout.note));
  made.push(pairs(rollout, reference));
  if (rollout.hidden) made.push(el("p", "empty", `${rollout.hidden} more calls are not shown.`));
  if (rollout.defects.length) {
    const items = rollout.defects.map(([kind, message]) => el("li", "", el("b", "", kind), ` ${message}`));
    made.push(el("div", "", el("h4", "", "Defects"), el("ul", "defects", ...items)));
  }
  const parts = rewardParts(rollout);
  if (parts) made.push(parts);
  const close = beside(rollout, others);
  if (close.length) {
    made.push(el("div", "", el("h4", "", "The same task, side by side"), el("div", "beside", ...close.map(besideCard))));
  }
  if (others.length) {
    const links = el("div", "others", ...others.slice(0, 60).map((one) => otherLink(one, several)));
    made.push(el("div", "", el("h4", "", `All other rollouts of this task (${others.length})`), links));
  }
  return made;
};
