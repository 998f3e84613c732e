// What the other scripts share: the page's data, elements made of text (never of HTML), and numbers.
const data = JSON.parse(document.getElementById("data").textContent);

const el = (tag, className, ...children) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
};

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const plain = (value, digits = 3) =>
  isNumber(value) ? value.toFixed(digits).replace("-", "\u2212") : "\u2013";
const compact = (value) => (isNumber(value) ? String(Number(value.toPrecision(4))).replace("-", "\u2212") : "\u2013");
const PHASES = { eval_before: "before training", grpo: "training", eval_after: "after training" };
const phaseName = (phase) => PHASES[phase] ?? phase;
const swatch = (run) => el("i", `swatch ${data.runs[run].look}`);

// The theme: as the system, light, dark. A file from disk may have no storage; then it lasts as long as the page.
(() => {
  const button = document.getElementById("theme");
  const names = { "": "as the system", light: "light", dark: "dark" };
  let theme = "";
  const apply = () => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    button.textContent = `Theme: ${names[theme]}`;
  };
  try {
    theme = localStorage.getItem("mentor-theme") ?? "";
  } catch { /* no storage */ }
  if (!(theme in names)) theme = "";
  button.addEventListener("click", () => {
    theme = { "": "light", light: "dark", dark: "" }[theme];
    try {
      localStorage.setItem("mentor-theme", theme);
    } catch { /* no storage */ }
    apply();
  });
  button.hidden = false;
  apply();
})();
